/*
 * encode.c
 *		What the gateway says to a client: replies and pushes in JSON.
 *
 * Texts of the database (envelopes, snapshots) are put in as they are: JSON
 * without line breaks.
 */
#include "protocol.h"

#include <inttypes.h>
#include <string.h>

/* SDKs ask for a new token when the time they were told is over, so they are told less. */
#define EARLIER_AT_MOST 10

/* {"id":1,"error":{...}} */
void
qms_put_error(QmsText *out, uint32_t id, int code)
{
	qms_text_printf(out, "{\"id\":%" PRIu32 ",\"error\":{\"code\":%d,\"message\":\"%s\"%s}}",
					id, code, qms_code_text(code),
					qms_code_is_temporary(code) ? ",\"temporary\":true" : "");
}

/* {"id":1,"subscribe":{ - the caller goes on, and closes with two braces. */
void
qms_put_reply(QmsText *out, uint32_t id, const char *name)
{
	qms_text_printf(out, "{\"id\":%" PRIu32 ",\"%s\":{", id, name);
}

/* {"push":{"channel":"c", - unidirectional clients get the push alone. */
void
qms_put_push(QmsText *out, QmsConnKind kind, const char *channel)
{
	qms_text_puts(out, kind == QMS_CONN_WS ? "{\"push\":{" : "{");
	if (channel != NULL)
	{
		qms_text_puts(out, "\"channel\":");
		qms_text_json_string(out, channel);
		qms_text_append(out, ",", 1);
	}
}

/* The braces that qms_put_push opened. */
void
qms_put_push_end(QmsText *out, QmsConnKind kind)
{
	qms_text_puts(out, kind == QMS_CONN_WS ? "}}" : "}");
}

/* {"data":...,"offset":7} */
void
qms_put_publication(QmsText *out, const QmsFrame *data, int64_t position)
{
	qms_text_puts(out, "{\"data\":");
	qms_text_append(out, (const char *) data->data, data->size);
	qms_text_printf(out, ",\"offset\":%" PRId64 "}", position);
}

/* To a bidirectional client: this subscription is over. */
void
qms_put_unsubscribe(QmsText *out, const char *channel, int code, const char *reason)
{
	qms_put_push(out, QMS_CONN_WS, channel);
	qms_text_printf(out, "\"unsubscribe\":{\"code\":%d,\"reason\":\"%s\"}", code, reason);
	qms_put_push_end(out, QMS_CONN_WS);
}

/* "expires":true,"ttl":n behind the separator, or nothing; both in seconds since 1970. */
void
qms_put_expiry(QmsText *out, int64_t expires_at, int64_t now, const char *separator)
{
	int64_t		ttl = expires_at - now;

	if (expires_at == 0)
		return;
	ttl -= ttl / 5 < EARLIER_AT_MOST ? ttl / 5 : EARLIER_AT_MOST;
	qms_text_printf(out, "%s\"expires\":true,\"ttl\":%" PRId64, separator, ttl < 1 ? 1 : ttl);
}

/* A frame of what was gathered; the buffer is empty again. */
QmsFrame *
qms_put_frame(QmsText *out)
{
	QmsFrame   *frame = qms_frame_new(out->size);

	if (out->size > 0)
		memcpy(frame->data, out->data, out->size);
	qms_text_clear(out);
	return frame;
}
