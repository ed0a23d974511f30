/*
 * fuzz_protocol.c
 *		libFuzzer target: what a client may say, as a frame with commands and as the
 *		connect request of a unidirectional client.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc/gateway -o fuzz_protocol \
 *		test/gateway/fuzz_protocol.c src/gateway/{protocol,encode,text,frame}.c -ljansson
 *	./fuzz_protocol -max_total_time=60 -max_len=4096 test/gateway/corpus
 *
 * The input is copied into a block of exactly its size.  What was understood is
 * said again by the encoder, and must be JSON on one line.
 */
#include "protocol.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What the encoder made must be one JSON object without line breaks. */
static void
check_json(QmsText *out)
{
	json_t	   *root = json_loadb(out->data, out->size, 0, NULL);

	if (!json_is_object(root) || memchr(out->data, '\n', out->size) != NULL)
		abort();
	json_decref(root);
	qms_text_clear(out);
}

/* Say again what was understood. */
static void
echo(const QmsCommand *command)
{
	static QmsText out;
	static const int codes[] = {QMS_ERROR_INTERNAL, QMS_ERROR_BAD_REQUEST, QMS_DISCONNECT_SLOW, 1};
	const char *channel = command->channel == NULL ? "" : command->channel;
	QmsFrame   *frame;
	int			i;

	qms_put_error(&out, command->id, codes[command->id % 4]);
	check_json(&out);
	for (i = QMS_CONN_WS; i <= QMS_CONN_SSE; i++)
	{
		frame = qms_frame_new(command->data == NULL ? 4 : strlen(command->data));
		memcpy(frame->data, command->data == NULL ? "null" : command->data, frame->size);
		qms_put_push(&out, (QmsConnKind) i, channel);
		qms_text_puts(&out, "\"pub\":");
		qms_put_publication(&out, frame, command->place.offset);
		qms_put_push_end(&out, (QmsConnKind) i);
		qms_frame_unref(frame);
		check_json(&out);
	}
	qms_put_unsubscribe(&out, channel, QMS_UNSUBSCRIBE_EXPIRED, qms_code_text(QMS_UNSUBSCRIBE_EXPIRED));
	check_json(&out);
	qms_put_reply(&out, command->id, "refresh");
	qms_put_expiry(&out, command->place.offset, command->limit & 0xffff, "");
	qms_text_puts(&out, "}}");
	check_json(&out);
	for (i = 0; i < command->nsubs; i++)
		if (command->subs[i].channel == NULL || command->subs[i].place.epoch == NULL ||
			command->subs[i].place.offset < 0)
			abort();
	if (command->place.offset < 0 || (command->token != NULL && command->token[0] == '\0'))
		abort();
}

int			LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char	   *copy = malloc(size == 0 ? 1 : size);
	const char *at = copy;
	const char *line;
	size_t		length;
	QmsCommand	command;

	memcpy(copy, data, size);
	while (qms_protocol_line(&at, copy + size, &line, &length))
	{
		if (line < copy || line + length > copy + size || length == 0)
			abort();
		if (qms_command_parse(&command, line, length))
			echo(&command);
		qms_command_release(&command);
	}
	if (qms_command_parse_connect(&command, copy, size))
		echo(&command);
	qms_command_release(&command);
	free(copy);
	return 0;
}
