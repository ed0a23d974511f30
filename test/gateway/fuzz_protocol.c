/*
 * fuzz_protocol.c
 *		libFuzzer target: what a client may say.  In JSON as a frame with commands
 *		and as the connect request of a unidirectional client; with
 *		-DFORM=QMS_FORM_PROTOBUF as a frame with commands in Protobuf.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc/gateway -o fuzz_protocol \
 *		test/gateway/{fuzz_protocol,transcode}.c src/gateway/{protocol,protobuf,put,encode,text,frame}.c -ljansson
 *	./fuzz_protocol -max_total_time=60 -max_len=4096 test/gateway/corpus
 *
 * The input is copied into a block of exactly its size.  What was understood is
 * said again in both forms: the one must be JSON on one line, the other must be
 * what transcode.c, which is nobody's code but the tests', reads as the same.
 */
#include "protocol.h"
#include "transcode.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#ifndef FORM
#define FORM QMS_FORM_JSON
#endif

typedef void (*Say) (QmsPut *put, const QmsCommand *command, const QmsFrame *data);

static const char *
channel_of(const QmsCommand *command)
{
	return command->channel == NULL ? "" : command->channel;
}

static void
say_error(QmsPut *put, const QmsCommand *command, const QmsFrame *data)
{
	static const int codes[] = {QMS_ERROR_INTERNAL, QMS_ERROR_BAD_REQUEST, QMS_DISCONNECT_SLOW, 1};

	(void) data;
	qms_put_error(put, command->id, codes[command->id % 4]);
}

static void
say_publication(QmsPut *put, const QmsCommand *command, const QmsFrame *data)
{
	qms_put_push(put, channel_of(command));
	qms_put_open(put, "pub", 4);
	qms_put_publication(put, data, command->place.offset);
}

static void
say_unsubscribe(QmsPut *put, const QmsCommand *command, const QmsFrame *data)
{
	(void) data;
	qms_put_unsubscribe(put, channel_of(command), QMS_UNSUBSCRIBE_EXPIRED, qms_code_text(QMS_UNSUBSCRIBE_EXPIRED));
}

static void
say_refresh(QmsPut *put, const QmsCommand *command, const QmsFrame *data)
{
	(void) data;
	qms_put_reply(put, command->id, "refresh", 14);
	qms_put_expiry(put, 3, command->place.offset, command->limit & 0xffff);
}

/* A connect with subs, of which each has the same publication twice. */
static void
say_connect(QmsPut *put, const QmsCommand *command, const QmsFrame *data)
{
	int			i,
				j;

	qms_put_reply(put, command->id, "connect", 5);
	if (command->token != NULL)
		qms_put_string(put, "client", 1, command->token);
	qms_put_map(put, "subs");
	for (i = 0; i < command->nsubs; i++)
	{
		qms_put_entry(put, 6, command->subs[i].channel);
		qms_put_bool(put, "recovered", 8, command->subs[i].place.recover);
		qms_put_string(put, "epoch", 6, command->subs[i].place.epoch);
		qms_put_list(put, "publications");
		for (j = 0; j < 2; j++)
		{
			qms_put_item(put, 7);
			qms_put_publication(put, data, command->subs[i].place.offset);
			qms_put_close(put);
		}
		qms_put_close(put);
		qms_put_data(put, "data", 11, data);
		qms_put_close(put);
	}
}

/* Members that Protobuf does not write: 0, false, nothing in it. */
static void
drop_defaults(json_t *value)
{
	json_t	   *member;
	const char *name;
	void	   *next;
	size_t		i;

	json_array_foreach(value, i, member)
		drop_defaults(member);
	json_object_foreach_safe(value, next, name, member)
	{
		if (strcmp(name, "data") == 0)
			continue;
		drop_defaults(member);
		if (json_is_false(member) || (json_is_integer(member) && json_integer_value(member) == 0) ||
			(strcmp(name, "subs") == 0 && json_object_size(member) == 0))
			json_object_del(value, name);
	}
}

/* What the writer made must be one JSON object without line breaks. */
static json_t *
read_json(const char *text, size_t size)
{
	json_t	   *root = json_loadb(text, size, 0, NULL);

	if (!json_is_object(root) || memchr(text, '\n', size) != NULL)
		abort();
	return root;
}

/* The same in both forms. */
static void
check(Say say, const QmsCommand *command, const QmsFrame *data)
{
	static QmsText out;
	json_t	   *roots[QMS_FORMS];
	int			form;

	for (form = 0; form < QMS_FORMS; form++)
	{
		QmsFrame   *frame;
		QmsPut		put;

		qms_put_start(&put, &out, QMS_CONN_WS, (QmsForm) form);
		say(&put, command, data);
		frame = qms_put_frame(&put);
		if (frame->binary)
		{
			char	   *text = transcode_replies((const char *) frame->data, frame->size);

			if (text == NULL)
				abort();
			roots[form] = read_json(text, strlen(text));
			free(text);
		}
		else
			roots[form] = read_json((const char *) frame->data, frame->size);
		drop_defaults(roots[form]);
		qms_frame_unref(frame);
	}
	if (!json_equal(roots[0], roots[1]))
		abort();
	json_decref(roots[0]);
	json_decref(roots[1]);
}

/* Say again what was understood. */
static void
echo(const QmsCommand *command)
{
	static const Say all[] = {say_error, say_publication, say_unsubscribe, say_refresh, say_connect};
	static QmsText text;
	QmsFrame   *data;
	size_t		i;
	int			j;

	for (j = 0; j < command->nsubs; j++)
		if (command->subs[j].channel == NULL || command->subs[j].place.epoch == NULL ||
			command->subs[j].place.offset < 0)
			abort();
	if (command->place.offset < 0 || (command->kind != QMS_COMMAND_PONG && command->kind != QMS_COMMAND_UNKNOWN && command->place.epoch == NULL) ||
		(command->token != NULL && command->token[0] == '\0'))
		abort();
	qms_text_puts(&text, command->data == NULL ? "null" : command->data);
	data = qms_frame_of(&text);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		check(all[i], command, data);
	qms_frame_unref(data);
}

int			LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char	   *copy = malloc(size == 0 ? 1 : size);
	const char *at = copy;
	const char *message;
	size_t		length;
	QmsCommand	command;

	if (size > 0)
		memcpy(copy, data, size);
	while (qms_protocol_next(FORM, &at, copy + size, &message, &length))
	{
		/* Parsed in a block of its own size, too. */
		char	   *alone = malloc(length == 0 ? 1 : length);

		if (message < copy || message + length > copy + size || at < message + length || at > copy + size)
			abort();
		if (length > 0)
			memcpy(alone, message, length);
		if (qms_command_parse(FORM, &command, alone, length))
			echo(&command);
		qms_command_release(&command);
		free(alone);
	}
	if (FORM == QMS_FORM_JSON && at != copy + size)
		abort();
	if (FORM == QMS_FORM_JSON)
	{
		if (qms_command_parse_connect(&command, copy, size))
			echo(&command);
		qms_command_release(&command);
	}
	free(copy);
	return 0;
}
