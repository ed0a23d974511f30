/*
 * protocol.h
 *		The Centrifuge client protocol, version 2: commands in, messages out, in
 *		JSON and in Protobuf.
 *
 * Knows jansson, text and frames and nothing else, so that it can be fuzzed
 * alone.
 */
#ifndef QMS_PROTOCOL_H
#define QMS_PROTOCOL_H

#include "gateway.h"

#define QMS_MAX_COMMANDS 1024	/* in one frame */
#define QMS_MAX_CHANNEL_NAME 200
#define QMS_MAX_TOKEN 8192
#define QMS_MAX_DATA 4096		/* of a subscribe command */

/* Errors of replies, as the protocol numbers them. */
typedef enum QmsCode
{
	QMS_OK = 0,
	QMS_ERROR_INTERNAL = 100,
	QMS_ERROR_UNKNOWN_CHANNEL = 102,
	QMS_ERROR_PERMISSION_DENIED = 103,
	QMS_ERROR_METHOD_NOT_FOUND = 104,
	QMS_ERROR_ALREADY_SUBSCRIBED = 105,
	QMS_ERROR_LIMIT_EXCEEDED = 106,
	QMS_ERROR_BAD_REQUEST = 107,
	QMS_ERROR_NOT_AVAILABLE = 108,
	QMS_ERROR_TOKEN_EXPIRED = 109,
	QMS_ERROR_TOO_MANY_REQUESTS = 111,
	QMS_ERROR_UNRECOVERABLE_POSITION = 112,

	/* Unsubscribes: SDKs subscribe again from 2500 on. */
	QMS_UNSUBSCRIBE_SERVER = 2000,
	QMS_UNSUBSCRIBE_INSUFFICIENT_STATE = 2500,
	QMS_UNSUBSCRIBE_EXPIRED = 2501,

	/* Disconnects: SDKs connect again below 3500. */
	QMS_DISCONNECT_SHUTDOWN = 3001,
	QMS_DISCONNECT_SERVER_ERROR = 3004,
	QMS_DISCONNECT_EXPIRED = 3005,
	QMS_DISCONNECT_SLOW = 3008,
	QMS_DISCONNECT_INSUFFICIENT_STATE = 3010,
	QMS_DISCONNECT_FORCE_RECONNECT = 3011,
	QMS_DISCONNECT_NO_PONG = 3012,
	QMS_DISCONNECT_TOO_MANY_REQUESTS = 3013,
	QMS_DISCONNECT_INVALID_TOKEN = 3500,
	QMS_DISCONNECT_BAD_REQUEST = 3501,
	QMS_DISCONNECT_STALE = 3502,
	QMS_DISCONNECT_PERMISSION_DENIED = 3507
} QmsCode;

extern const char *qms_code_text(int code);
extern bool qms_code_is_temporary(int code);

typedef enum QmsCommandKind
{
	QMS_COMMAND_PONG, QMS_COMMAND_CONNECT, QMS_COMMAND_SUBSCRIBE, QMS_COMMAND_UNSUBSCRIBE,
	QMS_COMMAND_PUBLISH, QMS_COMMAND_PRESENCE, QMS_COMMAND_PRESENCE_STATS, QMS_COMMAND_HISTORY,
	QMS_COMMAND_PING, QMS_COMMAND_SEND, QMS_COMMAND_RPC, QMS_COMMAND_REFRESH,
	QMS_COMMAND_SUB_REFRESH, QMS_COMMAND_UNKNOWN
} QmsCommandKind;

/* A place in a channel that a client knows. */
typedef struct QmsPlace
{
	bool		recover;
	int64_t		offset;
	const char *epoch;			/* "" when not given */
} QmsPlace;

/* Of the subs of a connect command. */
typedef struct QmsCommandSub
{
	const char *channel;
	QmsPlace	place;
} QmsCommandSub;

#define QMS_MAX_COMMAND_SUBS 128

typedef struct QmsCommand
{
	QmsCommandKind kind;
	uint32_t	id;
	const char *token;			/* null when not given or empty */
	const char *channel;		/* null when not given */
	char	   *data;			/* JSON text, null when not given */
	QmsPlace	place;			/* of subscribe; of history: since, recover = it was given */
	int			limit;			/* of history */
	bool		reverse;
	QmsCommandSub *subs;
	int			nsubs;
	void	   *root;			/* what the strings above belong to: JSON ... */
	char	   *memory;			/* ... or plain memory */
} QmsCommand;

/* protocol.c; at stays before end where there is no message, but something else */
extern bool qms_protocol_next(QmsForm form, const char **at, const char *end, const char **message, size_t *size);
extern bool qms_command_parse(QmsForm form, QmsCommand *command, const char *message, size_t size);
extern bool qms_command_parse_connect(QmsCommand *command, const char *text, size_t size);
extern void qms_command_release(QmsCommand *command);

/* protobuf.c */
extern bool qms_protobuf_next(const char **at, const char *end, const char **message, size_t *size);
extern bool qms_protobuf_parse(QmsCommand *command, const char *message, size_t size);

/* put.c: messages in either form */
#define QMS_PUT_DEPTH 10

typedef struct QmsPutOpen
{
	size_t		begin;
	const char *end;			/* in JSON */
	bool		measured;		/* in Protobuf its length stands before it */
	bool		is_entry;		/* in Protobuf the one around it ends with it */
} QmsPutOpen;

typedef struct QmsPut
{
	QmsText    *out;
	QmsConnKind kind;
	QmsForm		form;
	int			depth;
	QmsPutOpen	open[QMS_PUT_DEPTH];
} QmsPut;

extern void qms_put_start(QmsPut *put, QmsText *out, QmsConnKind kind, QmsForm form);
extern void qms_put_message(QmsPut *put);
extern void qms_put_open(QmsPut *put, const char *name, int number);
extern void qms_put_list(QmsPut *put, const char *name);
extern void qms_put_item(QmsPut *put, int number);
extern void qms_put_map(QmsPut *put, const char *name);
extern void qms_put_entry(QmsPut *put, int number, const char *name);
extern void qms_put_close(QmsPut *put);
extern void qms_put_close_all(QmsPut *put);
extern void qms_put_number(QmsPut *put, const char *name, int number, int64_t value);
extern void qms_put_bool(QmsPut *put, const char *name, int number, bool value);
extern void qms_put_string(QmsPut *put, const char *name, int number, const char *value);
extern void qms_put_data(QmsPut *put, const char *name, int number, const QmsFrame *data);
extern QmsFrame *qms_put_frame(QmsPut *put);

/* encode.c: replies and pushes; all but the last two begin a message that the caller, or qms_put_close_all, closes */
extern void qms_put_error(QmsPut *put, uint32_t id, int code);
extern void qms_put_reply(QmsPut *put, uint32_t id, const char *name, int number);	/* in the result */
extern void qms_put_push(QmsPut *put, const char *channel);
extern void qms_put_unsubscribe(QmsPut *put, const char *channel, int code, const char *reason);
extern void qms_put_publication(QmsPut *put, const QmsFrame *data, int64_t position);
extern void qms_put_expiry(QmsPut *put, int number, int64_t expires_at, int64_t now);

#endif							/* QMS_PROTOCOL_H */
