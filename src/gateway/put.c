/*
 * put.c
 *		What is said to a client, member by member, in JSON or in Protobuf.
 *
 * A member is given as the protocol's definition (client.proto) has it: by its
 * name, which JSON writes, and its number, which Protobuf writes.  So whoever
 * describes a message does it once.
 */
#include "protocol.h"

#include <stdlib.h>
#include <string.h>

#define VARINT_MOST 10

/* Bits of a tag behind the number. */
enum
{
	WIRE_VARINT = 0, WIRE_BYTES = 2
};

/* An unsigned number, seven bits in each byte, the lowest first; its length. */
static size_t
varint(unsigned char *to, uint64_t value)
{
	size_t		n = 0;

	for (; value >= 0x80; value >>= 7)
		to[n++] = (unsigned char) (value | 0x80);
	to[n++] = (unsigned char) value;
	return n;
}

/* The same into a text. */
static void
put_varint(QmsText *out, uint64_t value)
{
	unsigned char bytes[VARINT_MOST];

	qms_text_append(out, (const char *) bytes, varint(bytes, value));
}

/* Bytes with number and length before them. */
static void
put_bytes(QmsText *out, int number, const char *bytes, size_t size)
{
	put_varint(out, (uint64_t) number << 3 | WIRE_BYTES);
	put_varint(out, size);
	qms_text_append(out, bytes, size);
}

/* A comma, unless it is the first of its object or list. */
static void
put_comma(QmsText *out)
{
	char		last = out->data[out->size - 1];

	if (last != '{' && last != '[')
		qms_text_append(out, ",", 1);
}

/* "name": and what begins or is its value; names are short. */
static void
put_name(QmsText *out, const char *name, const char *value)
{
	size_t		name_size = strlen(name);
	size_t		value_size = strlen(value);
	char		last = out->data[out->size - 1];
	char		text[96];
	char	   *at = text;

	if (name_size + value_size + 4 > sizeof(text))
		abort();
	if (last != '{' && last != '[')
		*at++ = ',';
	*at++ = '"';
	memcpy(at, name, name_size);
	at += name_size;
	*at++ = '"';
	*at++ = ':';
	memcpy(at, value, value_size);
	qms_text_append(out, text, at + value_size - text);
}

/* Something begins that is closed later: in JSON by an end, in Protobuf, if measured, by its length before it. */
static void
begin(QmsPut *put, const char *end, bool measured)
{
	QmsPutOpen *open;

	if (put->depth == QMS_PUT_DEPTH)
		abort();
	open = &put->open[put->depth++];
	open->end = end;
	open->begin = put->out->size;
	open->measured = measured;
	open->is_entry = false;
}

/* Messages for a connection of that kind and form follow, into a text that is empty. */
void
qms_put_start(QmsPut *put, QmsText *out, QmsConnKind kind, QmsForm form)
{
	put->out = out;
	put->kind = kind;
	put->form = form;
	put->depth = 0;
}

/* A message: one more in the same frame, or an event of a stream. */
void
qms_put_message(QmsPut *put)
{
	QmsText    *out = put->out;

	if (put->form == QMS_FORM_JSON)
	{
		if (put->kind == QMS_CONN_SSE)
			qms_text_append(out, "data: ", 6);
		else if (put->kind == QMS_CONN_WS && out->size > 0)
			qms_text_append(out, "\n", 1);
		qms_text_append(out, "{", 1);
	}
	begin(put, put->kind == QMS_CONN_SSE ? "}\n\n" : "}", true);
}

/* A member that is an object. */
void
qms_put_open(QmsPut *put, const char *name, int number)
{
	if (put->form == QMS_FORM_JSON)
		put_name(put->out, name, "{");
	else
		put_varint(put->out, (uint64_t) number << 3 | WIRE_BYTES);
	begin(put, "}", true);
}

/* A member that is a list of objects; each of them is begun by qms_put_item. */
void
qms_put_list(QmsPut *put, const char *name)
{
	if (put->form == QMS_FORM_JSON)
		put_name(put->out, name, "[");
	begin(put, "]", false);
}

/* An object of a list; number is the list's. */
void
qms_put_item(QmsPut *put, int number)
{
	if (put->form == QMS_FORM_JSON)
	{
		put_comma(put->out);
		qms_text_append(put->out, "{", 1);
	}
	else
		put_varint(put->out, (uint64_t) number << 3 | WIRE_BYTES);
	begin(put, "}", true);
}

/* A member that maps names to objects; each of them is begun by qms_put_entry. */
void
qms_put_map(QmsPut *put, const char *name)
{
	if (put->form == QMS_FORM_JSON)
		put_name(put->out, name, "{");
	begin(put, "}", false);
}

/* An object of a map; number is the map's.  In Protobuf that is a message of name and object. */
void
qms_put_entry(QmsPut *put, int number, const char *name)
{
	if (put->form == QMS_FORM_JSON)
	{
		put_comma(put->out);
		qms_text_json_string(put->out, name);
		qms_text_append(put->out, ":{", 2);
		begin(put, "}", false);
		return;
	}
	put_varint(put->out, (uint64_t) number << 3 | WIRE_BYTES);
	begin(put, "", true);
	put_bytes(put->out, 1, name, strlen(name));
	put_varint(put->out, 2 << 3 | WIRE_BYTES);
	begin(put, "", true);
	put->open[put->depth - 1].is_entry = true;
}

/* The end of what was begun last. */
void
qms_put_close(QmsPut *put)
{
	const QmsPutOpen *open = &put->open[--put->depth];
	unsigned char length[VARINT_MOST];
	size_t		n;

	if (put->form == QMS_FORM_JSON)
		qms_text_append(put->out, open->end, open->end[1] == '\0' ? 1 : strlen(open->end));
	else if (open->measured)
	{
		size_t		size = put->out->size - open->begin;
		char	   *at;

		n = varint(length, size);
		qms_text_append(put->out, (const char *) length, n);
		at = put->out->data + open->begin;
		memmove(at + n, at, size);
		memcpy(at, length, n);
		if (open->is_entry)
			qms_put_close(put);
	}
}

/* The end of the message. */
void
qms_put_close_all(QmsPut *put)
{
	while (put->depth > 0)
		qms_put_close(put);
}

/* A whole number that is not negative. */
void
qms_put_number(QmsPut *put, const char *name, int number, int64_t value)
{
	char		digits[24];
	char	   *at = digits + sizeof(digits);
	uint64_t	rest = (uint64_t) value;

	if (put->form == QMS_FORM_JSON)
	{
		*--at = '\0';
		do
			*--at = (char) ('0' + rest % 10);
		while ((rest /= 10) > 0);
		put_name(put->out, name, at);
	}
	else if (value != 0)
	{
		put_varint(put->out, (uint64_t) number << 3 | WIRE_VARINT);
		put_varint(put->out, rest);
	}
}

/* True or false. */
void
qms_put_bool(QmsPut *put, const char *name, int number, bool value)
{
	if (put->form != QMS_FORM_JSON)
		qms_put_number(put, name, number, value);
	else
		put_name(put->out, name, value ? "true" : "false");
}

/* A string. */
void
qms_put_string(QmsPut *put, const char *name, int number, const char *value)
{
	if (put->form != QMS_FORM_JSON)
		put_bytes(put->out, number, value, strlen(value));
	else
	{
		put_name(put->out, name, "");
		qms_text_json_string(put->out, value);
	}
}

/* What is the server's own, JSON text without line breaks: as it is, in both forms. */
void
qms_put_data(QmsPut *put, const char *name, int number, const QmsFrame *data)
{
	if (put->form != QMS_FORM_JSON)
		put_bytes(put->out, number, (const char *) data->data, data->size);
	else
	{
		put_name(put->out, name, "");
		qms_text_append(put->out, (const char *) data->data, data->size);
	}
}

/* A frame of all that was put; the text is empty again. */
QmsFrame *
qms_put_frame(QmsPut *put)
{
	QmsFrame   *frame;

	qms_put_close_all(put);
	frame = qms_frame_of(put->out);
	frame->binary = put->form == QMS_FORM_PROTOBUF;
	return frame;
}
