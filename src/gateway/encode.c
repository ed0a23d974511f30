/*
 * encode.c
 *		What the gateway says to a client: replies and pushes, with the names and
 *		numbers of the protocol's definition (client.proto of centrifugal/protocol).
 */
#include "protocol.h"

/* SDKs ask for a new token when the time they were told is over, so they are told less. */
#define EARLIER_AT_MOST 10

/* {"id":1,"error":{...}} */
void
qms_put_error(QmsPut *put, uint32_t id, int code)
{
	qms_put_message(put);
	qms_put_number(put, "id", 1, id);
	qms_put_open(put, "error", 2);
	qms_put_number(put, "code", 1, code);
	qms_put_string(put, "message", 2, qms_code_text(code));
	if (qms_code_is_temporary(code))
		qms_put_bool(put, "temporary", 3, true);
}

/* {"id":1,"subscribe":{ - the caller goes on. */
void
qms_put_reply(QmsPut *put, uint32_t id, const char *name, int number)
{
	qms_put_message(put);
	qms_put_number(put, "id", 1, id);
	qms_put_open(put, name, number);
}

/* {"push":{"channel":"c", - unidirectional clients get the push alone; the caller goes on. */
void
qms_put_push(QmsPut *put, const char *channel)
{
	qms_put_message(put);
	if (put->kind == QMS_CONN_WS)
		qms_put_open(put, "push", 4);
	if (channel != NULL)
		qms_put_string(put, "channel", 2, channel);
}

/* Inside of a publication: "data":...,"offset":7 */
void
qms_put_publication(QmsPut *put, const QmsFrame *data, int64_t position)
{
	qms_put_data(put, "data", 4, data);
	qms_put_number(put, "offset", 6, position);
}

/* To a bidirectional client: this subscription is over. */
void
qms_put_unsubscribe(QmsPut *put, const char *channel, int code, const char *reason)
{
	qms_put_push(put, channel);
	qms_put_open(put, "unsubscribe", 7);
	qms_put_number(put, "code", 2, code);
	qms_put_string(put, "reason", 3, reason);
}

/* "expires":true,"ttl":n, or nothing; the numbers of both are next to one another, the times are seconds since 1970. */
void
qms_put_expiry(QmsPut *put, int number, int64_t expires_at, int64_t now)
{
	int64_t		ttl = expires_at - now;

	if (expires_at == 0)
		return;
	ttl -= ttl / 5 < EARLIER_AT_MOST ? ttl / 5 : EARLIER_AT_MOST;
	qms_put_bool(put, "expires", number, true);
	qms_put_number(put, "ttl", number + 1, ttl < 1 ? 1 : ttl);
}
