/*
 * protocol.c
 *		What a client says: commands in JSON, one per line; those in Protobuf are
 *		protobuf.c's.  And the protocol's codes.
 *
 * Nothing here trusts its input.  Unknown members are ignored, as the
 * protocol asks; known ones of a wrong type make a bad request.
 */
#include "protocol.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct
{
	const char *name;
	QmsCommandKind kind;
}			command_names[] = {
	{"connect", QMS_COMMAND_CONNECT},
	{"subscribe", QMS_COMMAND_SUBSCRIBE},
	{"unsubscribe", QMS_COMMAND_UNSUBSCRIBE},
	{"publish", QMS_COMMAND_PUBLISH},
	{"presence", QMS_COMMAND_PRESENCE},
	{"presence_stats", QMS_COMMAND_PRESENCE_STATS},
	{"history", QMS_COMMAND_HISTORY},
	{"ping", QMS_COMMAND_PING},
	{"send", QMS_COMMAND_SEND},
	{"rpc", QMS_COMMAND_RPC},
	{"refresh", QMS_COMMAND_REFRESH},
	{"sub_refresh", QMS_COMMAND_SUB_REFRESH}
};

static const struct
{
	int			code;
	const char *text;
	bool		temporary;
}			codes[] = {
	{QMS_ERROR_INTERNAL, "internal server error", true},
	{QMS_ERROR_UNKNOWN_CHANNEL, "unknown channel", false},
	{QMS_ERROR_PERMISSION_DENIED, "permission denied", false},
	{QMS_ERROR_METHOD_NOT_FOUND, "method not found", false},
	{QMS_ERROR_ALREADY_SUBSCRIBED, "already subscribed", false},
	{QMS_ERROR_LIMIT_EXCEEDED, "limit exceeded", false},
	{QMS_ERROR_BAD_REQUEST, "bad request", false},
	{QMS_ERROR_NOT_AVAILABLE, "not available", false},
	{QMS_ERROR_TOKEN_EXPIRED, "token expired", false},
	{QMS_ERROR_TOO_MANY_REQUESTS, "too many requests", true},
	{QMS_ERROR_UNRECOVERABLE_POSITION, "unrecoverable position", false},
	{QMS_UNSUBSCRIBE_SERVER, "server unsubscribe", false},
	{QMS_UNSUBSCRIBE_INSUFFICIENT_STATE, "insufficient state", false},
	{QMS_UNSUBSCRIBE_EXPIRED, "subscription expired", false},
	{QMS_DISCONNECT_SHUTDOWN, "shutdown", false},
	{QMS_DISCONNECT_SERVER_ERROR, "internal server error", false},
	{QMS_DISCONNECT_EXPIRED, "connection expired", false},
	{QMS_DISCONNECT_SLOW, "slow", false},
	{QMS_DISCONNECT_INSUFFICIENT_STATE, "insufficient state", false},
	{QMS_DISCONNECT_FORCE_RECONNECT, "force reconnect", false},
	{QMS_DISCONNECT_NO_PONG, "no pong", false},
	{QMS_DISCONNECT_TOO_MANY_REQUESTS, "too many requests", false},
	{QMS_DISCONNECT_INVALID_TOKEN, "invalid token", false},
	{QMS_DISCONNECT_BAD_REQUEST, "bad request", false},
	{QMS_DISCONNECT_STALE, "stale", false},
	{QMS_DISCONNECT_PERMISSION_DENIED, "permission denied", false}
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The protocol's own words for a code. */
const char *
qms_code_text(int code)
{
	size_t		i;

	for (i = 0; i < LENGTH(codes); i++)
		if (codes[i].code == code)
			return codes[i].text;
	return "error";
}

/* Is it worth to ask again? */
bool
qms_code_is_temporary(int code)
{
	size_t		i;

	for (i = 0; i < LENGTH(codes); i++)
		if (codes[i].code == code)
			return codes[i].temporary;
	return false;
}

/* The next line that is not empty; false at the end. */
static bool
next_line(const char **at, const char *end, const char **line, size_t *size)
{
	const char *eol;

	while (*at < end && (**at == '\n' || **at == '\r' || **at == ' ' || **at == '\t'))
		(*at)++;
	if (*at >= end)
		return false;
	eol = memchr(*at, '\n', end - *at);
	if (eol == NULL)
		eol = end;
	*line = *at;
	*size = eol - *at;
	*at = eol;
	return true;
}

/* The next message of a frame; false at its end, or before the end where no message begins. */
bool
qms_protocol_next(QmsForm form, const char **at, const char *end, const char **message, size_t *size)
{
	return form == QMS_FORM_JSON ? next_line(at, end, message, size) : qms_protobuf_next(at, end, message, size);
}

/* A string member: null if absent or JSON null; false: it is something else. */
static bool
get_string(const json_t *object, const char *name, const char **value)
{
	const json_t *member = json_object_get(object, name);

	*value = NULL;
	if (member == NULL || json_is_null(member))
		return true;
	if (!json_is_string(member))
		return false;
	*value = json_string_value(member);
	return true;
}

/* A boolean member, false if absent. */
static bool
get_bool(const json_t *object, const char *name, bool *value)
{
	const json_t *member = json_object_get(object, name);

	*value = member != NULL && json_is_true(member);
	return member == NULL || json_is_boolean(member) || json_is_null(member);
}

/* A whole number within bounds, the default if absent. */
static bool
get_integer(const json_t *object, const char *name, int64_t lowest, int64_t highest, int64_t *value)
{
	const json_t *member = json_object_get(object, name);

	if (member == NULL || json_is_null(member))
		return true;
	if (!json_is_integer(member))
		return false;
	*value = json_integer_value(member);
	return *value >= lowest && *value <= highest;
}

/* recover, offset and epoch. */
static bool
get_place(const json_t *object, QmsPlace *place)
{
	if (!json_is_object(object) ||
		!get_bool(object, "recover", &place->recover) ||
		!get_integer(object, "offset", 0, INT64_MAX, &place->offset) ||
		!get_string(object, "epoch", &place->epoch))
		return false;
	if (place->epoch == NULL)
		place->epoch = "";
	return true;
}

/* The subs of a connect command: {channel: place}. */
static bool
get_subs(QmsCommand *command, json_t *params)
{
	json_t	   *subs = json_object_get(params, "subs");
	json_t	   *value;
	const char *name;

	if (subs == NULL || json_is_null(subs))
		return true;
	if (!json_is_object(subs) || json_object_size(subs) > QMS_MAX_COMMAND_SUBS)
		return false;
	command->subs = calloc(json_object_size(subs) + 1, sizeof(QmsCommandSub));
	if (command->subs == NULL)
		return false;
	json_object_foreach(subs, name, value)
	{
		command->subs[command->nsubs].channel = name;
		if (!get_place(value, &command->subs[command->nsubs].place))
			return false;
		command->nsubs++;
	}
	return true;
}

/* limit, reverse and since of a history command. */
static bool
get_history(QmsCommand *command, const json_t *params)
{
	const json_t *since = json_object_get(params, "since");
	int64_t		limit = 0;

	if (!get_bool(params, "reverse", &command->reverse) ||
		!get_integer(params, "limit", INT32_MIN, INT32_MAX, &limit))
		return false;
	command->limit = (int) limit;
	if (since == NULL || json_is_null(since))
		return true;
	if (!get_place(since, &command->place))
		return false;
	command->place.recover = true;
	return true;
}

/* The members of a command's own object. */
static bool
get_params(QmsCommand *command, json_t *params)
{
	json_t	   *data;

	if (!json_is_object(params))
		return false;
	command->place.epoch = "";
	if (!get_string(params, "token", &command->token) ||
		!get_string(params, "channel", &command->channel))
		return false;
	if (command->token != NULL && command->token[0] == '\0')
		command->token = NULL;
	if (command->token != NULL && strlen(command->token) > QMS_MAX_TOKEN)
		return false;
	switch (command->kind)
	{
		case QMS_COMMAND_CONNECT:
			return get_subs(command, params);
		case QMS_COMMAND_SUBSCRIBE:
			data = json_object_get(params, "data");
			if (data != NULL && !json_is_null(data))
			{
				command->data = json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY);
				if (command->data == NULL || strlen(command->data) > QMS_MAX_DATA)
					return false;
			}
			return get_place(params, &command->place);
		case QMS_COMMAND_HISTORY:
			return get_history(command, params);
		default:
			return true;
	}
}

/* One command in JSON. */
static bool
parse_json(QmsCommand *command, const char *text, size_t size)
{
	json_t	   *root = json_loadb(text, size, 0, NULL);
	int64_t		id = 0;
	size_t		i;

	memset(command, 0, sizeof(*command));
	command->root = root;
	if (!json_is_object(root) || !get_integer(root, "id", 0, UINT32_MAX, &id))
		return false;
	command->id = (uint32_t) id;
	for (i = 0; i < LENGTH(command_names); i++)
	{
		json_t	   *params = json_object_get(root, command_names[i].name);

		if (params == NULL || json_is_null(params))
			continue;
		command->kind = command_names[i].kind;
		/* Only send expects no reply. */
		if (command->id == 0 && command->kind != QMS_COMMAND_SEND)
			return false;
		return get_params(command, params);
	}
	if (command->id != 0)
	{
		command->kind = QMS_COMMAND_UNKNOWN;
		return true;
	}
	command->kind = QMS_COMMAND_PONG;
	return json_object_size(root) == 0;
}

/* One command of a client; false: the client does not speak the protocol. */
bool
qms_command_parse(QmsForm form, QmsCommand *command, const char *message, size_t size)
{
	return form == QMS_FORM_JSON ? parse_json(command, message, size) : qms_protobuf_parse(command, message, size);
}

/* The first message of a unidirectional client: a connect request without wrapping. */
bool
qms_command_parse_connect(QmsCommand *command, const char *text, size_t size)
{
	json_t	   *root = json_loadb(text, size, 0, NULL);

	memset(command, 0, sizeof(*command));
	command->root = root;
	command->kind = QMS_COMMAND_CONNECT;
	return get_params(command, root);
}

/* Give back what a parse took, whatever it answered. */
void
qms_command_release(QmsCommand *command)
{
	json_decref(command->root);
	free(command->memory);
	free(command->data);
	free(command->subs);
	memset(command, 0, sizeof(*command));
}
