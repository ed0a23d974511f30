/*
 * transcode.c
 *		See transcode.h.
 */
#include "transcode.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef enum Message
{
	COMMAND, CONNECT, SUBSCRIBE, CHANNEL, CHANNEL_TOKEN, HISTORY, SINCE, PUBLISH, RPC, SEND, TOKEN, EMPTY,
	REPLY, ERROR, PUSH, CONNECTED, SUBSCRIBED, STATS, PUBLICATIONS, PUBLICATION, REFRESHED, SUB_REFRESHED, UNSUBSCRIBED
} Message;

typedef enum Type
{
	NUMBER, BOOL, STRING, DATA, MESSAGE, LIST, MAP
} Type;

static const struct
{
	Message		of;
	int			number;
	const char *name;
	Type		type;
	Message		message;
}			table[] = {
	{COMMAND, 1, "id", NUMBER, 0},
	{COMMAND, 4, "connect", MESSAGE, CONNECT},
	{COMMAND, 5, "subscribe", MESSAGE, SUBSCRIBE},
	{COMMAND, 6, "unsubscribe", MESSAGE, CHANNEL},
	{COMMAND, 7, "publish", MESSAGE, PUBLISH},
	{COMMAND, 8, "presence", MESSAGE, CHANNEL},
	{COMMAND, 9, "presence_stats", MESSAGE, CHANNEL},
	{COMMAND, 10, "history", MESSAGE, HISTORY},
	{COMMAND, 11, "ping", MESSAGE, EMPTY},
	{COMMAND, 12, "send", MESSAGE, SEND},
	{COMMAND, 13, "rpc", MESSAGE, RPC},
	{COMMAND, 14, "refresh", MESSAGE, TOKEN},
	{COMMAND, 15, "sub_refresh", MESSAGE, CHANNEL_TOKEN},
	{COMMAND, 2000, "dance", MESSAGE, EMPTY},	/* unknown to everybody but us */
	{CONNECT, 1, "token", STRING, 0},
	{CONNECT, 2, "data", DATA, 0},
	{CONNECT, 3, "subs", MAP, SUBSCRIBE},
	{CONNECT, 4, "name", STRING, 0},
	{CONNECT, 5, "version", STRING, 0},
	{SUBSCRIBE, 1, "channel", STRING, 0},
	{SUBSCRIBE, 2, "token", STRING, 0},
	{SUBSCRIBE, 3, "recover", BOOL, 0},
	{SUBSCRIBE, 6, "epoch", STRING, 0},
	{SUBSCRIBE, 7, "offset", NUMBER, 0},
	{SUBSCRIBE, 8, "data", DATA, 0},
	{CHANNEL, 1, "channel", STRING, 0},
	{CHANNEL_TOKEN, 1, "channel", STRING, 0},
	{CHANNEL_TOKEN, 2, "token", STRING, 0},
	{HISTORY, 1, "channel", STRING, 0},
	{HISTORY, 7, "limit", NUMBER, 0},
	{HISTORY, 8, "since", MESSAGE, SINCE},
	{HISTORY, 9, "reverse", BOOL, 0},
	{SINCE, 1, "offset", NUMBER, 0},
	{SINCE, 2, "epoch", STRING, 0},
	{PUBLISH, 1, "channel", STRING, 0},
	{PUBLISH, 2, "data", DATA, 0},
	{RPC, 1, "data", DATA, 0},
	{RPC, 2, "method", STRING, 0},
	{SEND, 1, "data", DATA, 0},
	{TOKEN, 1, "token", STRING, 0},
	{REPLY, 1, "id", NUMBER, 0},
	{REPLY, 2, "error", MESSAGE, ERROR},
	{REPLY, 4, "push", MESSAGE, PUSH},
	{REPLY, 5, "connect", MESSAGE, CONNECTED},
	{REPLY, 6, "subscribe", MESSAGE, SUBSCRIBED},
	{REPLY, 7, "unsubscribe", MESSAGE, EMPTY},
	{REPLY, 10, "presence_stats", MESSAGE, STATS},
	{REPLY, 11, "history", MESSAGE, PUBLICATIONS},
	{REPLY, 12, "ping", MESSAGE, EMPTY},
	{REPLY, 14, "refresh", MESSAGE, REFRESHED},
	{REPLY, 15, "sub_refresh", MESSAGE, SUB_REFRESHED},
	{ERROR, 1, "code", NUMBER, 0},
	{ERROR, 2, "message", STRING, 0},
	{ERROR, 3, "temporary", BOOL, 0},
	{PUSH, 2, "channel", STRING, 0},
	{PUSH, 4, "pub", MESSAGE, PUBLICATION},
	{PUSH, 7, "unsubscribe", MESSAGE, UNSUBSCRIBED},
	{CONNECTED, 1, "client", STRING, 0},
	{CONNECTED, 2, "version", STRING, 0},
	{CONNECTED, 3, "expires", BOOL, 0},
	{CONNECTED, 4, "ttl", NUMBER, 0},
	{CONNECTED, 6, "subs", MAP, SUBSCRIBED},
	{CONNECTED, 7, "ping", NUMBER, 0},
	{CONNECTED, 8, "pong", BOOL, 0},
	{SUBSCRIBED, 1, "expires", BOOL, 0},
	{SUBSCRIBED, 2, "ttl", NUMBER, 0},
	{SUBSCRIBED, 3, "recoverable", BOOL, 0},
	{SUBSCRIBED, 6, "epoch", STRING, 0},
	{SUBSCRIBED, 7, "publications", LIST, PUBLICATION},
	{SUBSCRIBED, 8, "recovered", BOOL, 0},
	{SUBSCRIBED, 9, "offset", NUMBER, 0},
	{SUBSCRIBED, 10, "positioned", BOOL, 0},
	{SUBSCRIBED, 11, "data", DATA, 0},
	{SUBSCRIBED, 12, "was_recovering", BOOL, 0},
	{STATS, 1, "num_clients", NUMBER, 0},
	{STATS, 2, "num_users", NUMBER, 0},
	{PUBLICATIONS, 1, "publications", LIST, PUBLICATION},
	{PUBLICATIONS, 2, "epoch", STRING, 0},
	{PUBLICATIONS, 3, "offset", NUMBER, 0},
	{PUBLICATION, 4, "data", DATA, 0},
	{PUBLICATION, 6, "offset", NUMBER, 0},
	{REFRESHED, 1, "client", STRING, 0},
	{REFRESHED, 2, "version", STRING, 0},
	{REFRESHED, 3, "expires", BOOL, 0},
	{REFRESHED, 4, "ttl", NUMBER, 0},
	{SUB_REFRESHED, 1, "expires", BOOL, 0},
	{SUB_REFRESHED, 2, "ttl", NUMBER, 0},
	{UNSUBSCRIBED, 2, "code", NUMBER, 0},
	{UNSUBSCRIBED, 3, "reason", STRING, 0}
};

#define ROWS ((int) (sizeof(table) / sizeof(table[0])))

typedef struct Buffer
{
	char	   *data;
	size_t		size;
} Buffer;

static void
add(Buffer *to, const void *bytes, size_t size)
{
	to->data = realloc(to->data, to->size + size + 1);
	if (to->data == NULL)
		abort();
	if (size > 0)
		memcpy(to->data + to->size, bytes, size);
	to->size += size;
	to->data[to->size] = '\0';
}

static void
add_varint(Buffer *to, uint64_t value)
{
	do
	{
		unsigned char byte = (unsigned char) ((value & 127) | (value > 127 ? 128 : 0));

		add(to, &byte, 1);
		value >>= 7;
	} while (value > 0);
}

static void
add_bytes(Buffer *to, int number, const void *bytes, size_t size)
{
	add_varint(to, (uint64_t) number * 8 + 2);
	add_varint(to, size);
	add(to, bytes, size);
}

static void
add_string(Buffer *to, int number, const char *text)
{
	add_bytes(to, number, text, strlen(text));
}

/* A message of a JSON object. */
static void
encode(Buffer *to, Message message, json_t *object)
{
	int			row;

	for (row = 0; row < ROWS; row++)
	{
		json_t	   *value = table[row].of == message ? json_object_get(object, table[row].name) : NULL;
		int			number = table[row].number;
		Buffer		inner = {NULL, 0};
		const char *name;
		json_t	   *one;
		char	   *text;

		if (value == NULL)
			continue;
		switch (table[row].type)
		{
			case NUMBER:
			case BOOL:
				add_varint(to, (uint64_t) number * 8);
				add_varint(to, json_is_true(value) ? 1 : (uint64_t) json_integer_value(value));
				break;
			case STRING:
				add_string(to, number, json_string_value(value));
				break;
			case DATA:
				text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
				add_string(to, number, text);
				free(text);
				break;
			case MESSAGE:
				encode(&inner, table[row].message, value);
				add_bytes(to, number, inner.data, inner.size);
				break;
			case MAP:
				json_object_foreach(value, name, one)
				{
					Buffer		of = {NULL, 0};

					inner.size = 0;
					encode(&of, table[row].message, one);
					add_string(&inner, 1, name);
					add_bytes(&inner, 2, of.data, of.size);
					add_bytes(to, number, inner.data, inner.size);
					free(of.data);
				}
				break;
			case LIST:
				abort();
		}
		free(inner.data);
	}
}

char *
transcode_commands(const char *lines, size_t size, size_t *bytes)
{
	const char *end = lines + size;
	Buffer		out = {NULL, 0};

	while (lines < end)
	{
		const char *eol = memchr(lines, '\n', end - lines);
		Buffer		one = {NULL, 0};
		json_t	   *command;

		if (eol == NULL)
			eol = end;
		command = json_loadb(lines, eol - lines, 0, NULL);
		if (!json_is_object(command))
		{
			json_decref(command);
			free(out.data);
			return NULL;
		}
		encode(&one, COMMAND, command);
		add_varint(&out, one.size);
		add(&out, one.data, one.size);
		free(one.data);
		json_decref(command);
		lines = eol + 1;
	}
	*bytes = out.size;
	return out.data;
}

static bool
take_varint(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
	int			shift = 0;

	*value = 0;
	while (*at < end && shift < 64)
	{
		unsigned char byte = *(*at)++;

		*value |= (uint64_t) (byte & 127) << shift;
		shift += 7;
		if (byte < 128)
			/* Written as short as possible. */
			return byte != 0 || shift == 7;
	}
	return false;
}

static json_t *decode(Message message, const unsigned char *at, const unsigned char *end);

/* One member; false: it is none. */
static bool
decode_member(json_t *object, int row, uint64_t value, const unsigned char *at, const unsigned char *end)
{
	const char *name = table[row].name;
	json_t	   *list;
	json_t	   *inner;

	switch (table[row].type)
	{
		case NUMBER:
			return value != 0 && json_object_set_new(object, name, json_integer((json_int_t) value)) == 0;
		case BOOL:
			return value == 1 && json_object_set_new(object, name, json_true()) == 0;
		case STRING:
			return json_object_set_new(object, name, json_stringn((const char *) at, end - at)) == 0;
		case DATA:
			return json_object_set_new(object, name, json_loadb((const char *) at, end - at, JSON_DECODE_ANY, NULL)) == 0;
		case MESSAGE:
			return json_object_get(object, name) == NULL &&
				json_object_set_new(object, name, decode(table[row].message, at, end)) == 0;
		case LIST:
			list = json_object_get(object, name);
			if (list == NULL && json_object_set_new(object, name, list = json_array()) != 0)
				return false;
			return json_array_append_new(list, decode(table[row].message, at, end)) == 0;
		case MAP:
			list = json_object_get(object, name);
			if (list == NULL && json_object_set_new(object, name, list = json_object()) != 0)
				return false;
			/* An entry: 1 the name, 2 the message. */
			if (at >= end || *at++ != (1 << 3 | 2) || !take_varint(&at, end, &value) || value > (uint64_t) (end - at))
				return false;
			inner = json_stringn((const char *) at, value);
			at += value;
			if (inner == NULL || at >= end || *at++ != (2 << 3 | 2) || !take_varint(&at, end, &value) ||
				value != (uint64_t) (end - at) ||
				json_object_set_new(list, json_string_value(inner), decode(table[row].message, at, end)) != 0)
				value = UINT64_MAX;
			json_decref(inner);
			return value != UINT64_MAX;
	}
	return false;
}

/* A message as a JSON object, or null. */
static json_t *
decode(Message message, const unsigned char *at, const unsigned char *end)
{
	json_t	   *object = json_object();

	while (at < end)
	{
		uint64_t	tag;
		uint64_t	value;
		int			row;
		bool		is_number;

		if (!take_varint(&at, end, &tag) || !take_varint(&at, end, &value))
			break;
		for (row = 0; row < ROWS; row++)
			if (table[row].of == message && (uint64_t) table[row].number == tag >> 3)
				break;
		is_number = row < ROWS && (table[row].type == NUMBER || table[row].type == BOOL);
		if (row == ROWS || (tag & 7) != (is_number ? 0 : 2) || (!is_number && value > (uint64_t) (end - at)) ||
			!decode_member(object, row, value, at, is_number ? at : at + value))
			break;
		if (!is_number)
			at += value;
		if (at == end)
			return object;
	}
	if (at == end && json_object_size(object) == 0)
		return object;
	json_decref(object);
	return NULL;
}

char *
transcode_replies(const char *bytes, size_t size)
{
	const unsigned char *at = (const unsigned char *) bytes;
	const unsigned char *end = at + size;
	Buffer		out = {NULL, 0};

	while (at < end)
	{
		uint64_t	length;
		json_t	   *reply = NULL;
		char	   *text;

		if (take_varint(&at, end, &length) && length <= (uint64_t) (end - at))
			reply = decode(REPLY, at, at + length);
		if (reply == NULL)
		{
			free(out.data);
			return NULL;
		}
		at += length;
		text = json_dumps(reply, JSON_COMPACT);
		if (out.size > 0)
			add(&out, "\n", 1);
		add(&out, text, strlen(text));
		free(text);
		json_decref(reply);
	}
	return out.data;
}
