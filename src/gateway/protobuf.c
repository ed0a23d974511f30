/*
 * protobuf.c
 *		What a client says in Protobuf: commands of client.proto (centrifugal/protocol),
 *		each with its length before it.
 *
 * Only what the hub acts on is read.  Nothing here trusts its input: unknown
 * members are passed over, as the protocol asks; known ones of a wrong type, and
 * what the JSON form would refuse, make a bad request.
 */
#include "protocol.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The lowest three bits of a member's tag. */
enum
{
	WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5
};

#define REQUEST_FIRST 4			/* connect; the others follow in the order of QmsCommandKind */
#define REQUEST_LAST 15

/* A part of the message. */
typedef struct Bytes
{
	const unsigned char *at;
	const unsigned char *end;
} Bytes;

/* One member. */
typedef struct Member
{
	uint32_t	number;
	int			wire;
	uint64_t	value;			/* of a varint */
	Bytes		bytes;
} Member;

/* An unsigned number, seven bits in each byte, the lowest first. */
static bool
read_varint(Bytes *from, uint64_t *value)
{
	int			shift;

	*value = 0;
	for (shift = 0; shift < 64 && from->at < from->end; shift += 7)
	{
		unsigned char byte = *from->at++;

		if (shift == 63 && byte > 1)
			return false;
		*value |= (uint64_t) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

/* So many bytes. */
static bool
read_bytes(Bytes *from, uint64_t size, Bytes *bytes)
{
	if (size > (uint64_t) (from->end - from->at))
		return false;
	bytes->at = from->at;
	bytes->end = from->at += size;
	return true;
}

/* The next member; false: this is none.  Groups, which nobody uses any more, are none. */
static bool
read_member(Bytes *from, Member *member)
{
	uint64_t	tag;

	memset(member, 0, sizeof(*member));
	if (!read_varint(from, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
		return false;
	member->number = (uint32_t) (tag >> 3);
	member->wire = (int) (tag & 7);
	switch (member->wire)
	{
		case WIRE_VARINT:
			return read_varint(from, &member->value);
		case WIRE_64:
			return read_bytes(from, 8, &member->bytes);
		case WIRE_BYTES:
			return read_varint(from, &member->value) && read_bytes(from, member->value, &member->bytes);
		case WIRE_32:
			return read_bytes(from, 4, &member->bytes);
		default:
			return false;
	}
}

/* A string without zero bytes, as C has it, in the command's memory: that is as big as the message, and each has its tag there. */
static bool
get_string(const Member *member, char **memory, const char **value)
{
	size_t		size = member->bytes.end - member->bytes.at;

	if (member->wire != WIRE_BYTES || memchr(member->bytes.at, '\0', size) != NULL ||
		!qms_text_is_utf8((const char *) member->bytes.at, size))
		return false;
	memcpy(*memory, member->bytes.at, size);
	(*memory)[size] = '\0';
	*value = *memory;
	*memory += size + 1;
	return true;
}

/* A whole number within bounds. */
static bool
get_integer(const Member *member, int64_t lowest, int64_t highest, int64_t *value)
{
	*value = (int64_t) member->value;
	return member->wire == WIRE_VARINT && *value >= lowest && *value <= highest;
}

/* True or false. */
static bool
get_bool(const Member *member, bool *value)
{
	*value = member->value != 0;
	return member->wire == WIRE_VARINT;
}

/* JSON as bytes; nothing, and null, are as if it were not given. */
static bool
get_data(QmsCommand *command, const Member *member)
{
	size_t		size = member->bytes.end - member->bytes.at;
	json_t	   *data;

	free(command->data);
	command->data = NULL;
	if (member->wire != WIRE_BYTES)
		return false;
	if (size == 0)
		return true;
	data = json_loadb((const char *) member->bytes.at, size, JSON_DECODE_ANY, NULL);
	if (data == NULL)
		return false;
	if (!json_is_null(data))
		command->data = json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY);
	if (!json_is_null(data) && (command->data == NULL || strlen(command->data) > QMS_MAX_DATA))
	{
		json_decref(data);
		return false;
	}
	json_decref(data);
	return true;
}

/* SubscribeRequest of the subs of a connect: recover, epoch, offset. */
static bool
get_place(Bytes from, char **memory, QmsPlace *place)
{
	Member		member;

	place->epoch = "";
	while (from.at < from.end)
	{
		bool		fine = read_member(&from, &member);

		if (fine && member.number == 3)
			fine = get_bool(&member, &place->recover);
		else if (fine && member.number == 6)
			fine = get_string(&member, memory, &place->epoch);
		else if (fine && member.number == 7)
			fine = get_integer(&member, 0, INT64_MAX, &place->offset);
		if (!fine)
			return false;
	}
	return true;
}

/* StreamPosition: since where a history is wanted. */
static bool
get_since(QmsCommand *command, Bytes from, char **memory)
{
	Member		member;

	memset(&command->place, 0, sizeof(command->place));
	command->place.epoch = "";
	command->place.recover = true;
	while (from.at < from.end)
	{
		bool		fine = read_member(&from, &member);

		if (fine && member.number == 1)
			fine = get_integer(&member, 0, INT64_MAX, &command->place.offset);
		else if (fine && member.number == 2)
			fine = get_string(&member, memory, &command->place.epoch);
		if (!fine)
			return false;
	}
	return true;
}

/* One of the subs of a connect: channel and place; of the same channel the last counts. */
static bool
get_sub(QmsCommand *command, Bytes from, char **memory)
{
	QmsCommandSub sub = {.channel = "", .place = {.epoch = ""}};
	Member		member;
	int			i;

	while (from.at < from.end)
	{
		bool		fine = read_member(&from, &member);

		if (fine && member.number == 1)
			fine = get_string(&member, memory, &sub.channel);
		else if (fine && member.number == 2)
		{
			memset(&sub.place, 0, sizeof(sub.place));
			fine = member.wire == WIRE_BYTES && get_place(member.bytes, memory, &sub.place);
		}
		if (!fine)
			return false;
	}
	for (i = 0; i < command->nsubs && strcmp(command->subs[i].channel, sub.channel) != 0; i++)
		;
	if (i == QMS_MAX_COMMAND_SUBS)
		return false;
	if (command->subs == NULL)
		command->subs = calloc(QMS_MAX_COMMAND_SUBS, sizeof(QmsCommandSub));
	if (command->subs == NULL)
		return false;
	command->subs[i] = sub;
	if (i == command->nsubs)
		command->nsubs++;
	return true;
}

/* A member of a connect. */
static bool
get_connect(QmsCommand *command, const Member *member, char **memory)
{
	switch (member->number)
	{
		case 1:
			return get_string(member, memory, &command->token);
		case 3:
			return member->wire == WIRE_BYTES && get_sub(command, member->bytes, memory);
		default:
			return true;
	}
}

/* A member of a subscribe. */
static bool
get_subscribe(QmsCommand *command, const Member *member, char **memory)
{
	switch (member->number)
	{
		case 1:
			return get_string(member, memory, &command->channel);
		case 2:
			return get_string(member, memory, &command->token);
		case 3:
			return get_bool(member, &command->place.recover);
		case 6:
			return get_string(member, memory, &command->place.epoch);
		case 7:
			return get_integer(member, 0, INT64_MAX, &command->place.offset);
		case 8:
			return get_data(command, member);
		default:
			return true;
	}
}

/* A member of a history. */
static bool
get_history(QmsCommand *command, const Member *member, char **memory)
{
	int64_t		limit;

	switch (member->number)
	{
		case 1:
			return get_string(member, memory, &command->channel);
		case 7:
			if (!get_integer(member, INT32_MIN, INT32_MAX, &limit))
				return false;
			command->limit = (int) limit;
			return true;
		case 8:
			return member->wire == WIRE_BYTES && get_since(command, member->bytes, memory);
		case 9:
			return get_bool(member, &command->reverse);
		default:
			return true;
	}
}

/* A member of a command's own message. */
static bool
get_param(QmsCommand *command, const Member *member, char **memory)
{
	switch (command->kind)
	{
		case QMS_COMMAND_CONNECT:
			return get_connect(command, member, memory);
		case QMS_COMMAND_SUBSCRIBE:
			return get_subscribe(command, member, memory);
		case QMS_COMMAND_HISTORY:
			return get_history(command, member, memory);
		case QMS_COMMAND_REFRESH:
			return member->number != 1 || get_string(member, memory, &command->token);
		case QMS_COMMAND_SUB_REFRESH:
			return member->number == 2 ? get_string(member, memory, &command->token) :
				member->number != 1 || get_string(member, memory, &command->channel);
		case QMS_COMMAND_UNSUBSCRIBE:
		case QMS_COMMAND_PRESENCE_STATS:
			return member->number != 1 || get_string(member, memory, &command->channel);
		default:
			/* Nobody looks at the others. */
			return true;
	}
}

/* All members of a command's own message. */
static bool
get_params(QmsCommand *command, Bytes from)
{
	char	   *memory = command->memory;
	Member		member;

	command->place.epoch = "";
	while (from.at < from.end)
		if (!read_member(&from, &member) || !get_param(command, &member, &memory))
			return false;
	if (command->token != NULL && command->token[0] == '\0')
		command->token = NULL;
	if (command->channel != NULL && command->channel[0] == '\0')
		command->channel = NULL;
	return command->token == NULL || strlen(command->token) <= QMS_MAX_TOKEN;
}

/* The next message; false at the end, or where its length or its bytes are not all there. */
bool
qms_protobuf_next(const char **at, const char *end, const char **message, size_t *size)
{
	Bytes		from = {(const unsigned char *) *at, (const unsigned char *) end};
	Bytes		bytes;
	uint64_t	length;

	if (!read_varint(&from, &length) || !read_bytes(&from, length, &bytes))
		return false;
	*at = (const char *) from.at;
	*message = (const char *) bytes.at;
	*size = length;
	return true;
}

/* One command of a client; false: the client does not speak the protocol. */
bool
qms_protobuf_parse(QmsCommand *command, const char *message, size_t size)
{
	Bytes		from = {(const unsigned char *) message, (const unsigned char *) message + size};
	Bytes		params = {NULL, NULL};
	Member		member;
	int64_t		id = 0;

	memset(command, 0, sizeof(*command));
	command->kind = QMS_COMMAND_UNKNOWN;
	while (from.at < from.end)
	{
		if (!read_member(&from, &member) || (member.number == 1 && !get_integer(&member, 0, UINT32_MAX, &id)))
			return false;
		if (member.number < REQUEST_FIRST || member.number > REQUEST_LAST)
			continue;
		if (member.wire != WIRE_BYTES)
			return false;
		/* Of several the first in the protocol's order counts. */
		if ((int) (member.number - REQUEST_FIRST + QMS_COMMAND_CONNECT) > (int) command->kind)
			continue;
		command->kind = (QmsCommandKind) (member.number - REQUEST_FIRST + QMS_COMMAND_CONNECT);
		params = member.bytes;
	}
	command->id = (uint32_t) id;
	if (size == 0)
		command->kind = QMS_COMMAND_PONG;
	/* Only send expects no reply. */
	else if (command->id == 0 && command->kind != QMS_COMMAND_SEND)
		return false;
	command->memory = malloc(size + 1);
	return command->memory != NULL && get_params(command, params);
}
