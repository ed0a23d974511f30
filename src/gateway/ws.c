/*
 * ws.c
 *		WebSockets: whole messages out of pieces, and what is refused.
 */
#include "net.h"

#include <string.h>

#define UNSUPPORTED_DATA 1003
#define INVALID_PAYLOAD 1007
#define TOO_BIG 1009
#define TRY_AGAIN_LATER 1013

/* The handshake is through. */
int
qms_ws_begin(QmsConn *conn)
{
	if (qms_client_begin(conn, (QmsConnKind) conn->kind) != 0)
		qms_conn_close(conn, TRY_AGAIN_LATER, "try again later");
	return 0;
}

/* A whole message for the hub. */
static void
deliver(QmsConn *conn, const char *text, size_t size)
{
	qms_net.counts[QMS_MESSAGES_IN]++;
	qms_net.counts[QMS_BYTES_IN] += size;
	if (conn->client != NULL)
		qms_client_message(conn->client, text, size);
}

/* Refused with a code of RFC 6455. */
static int
refuse(QmsConn *conn, QmsCount count, int code, const char *why)
{
	qms_net.counts[count]++;
	qms_text_free(&conn->message);
	qms_conn_close(conn, code, why);
	return 0;
}

/* A piece of a message. */
int
qms_ws_receive(QmsConn *conn, const char *piece, size_t size)
{
	size_t		most = (size_t) qms_net.config->max_frame_size;
	bool		whole = lws_is_final_fragment(conn->wsi);
	QmsText		message;

	if (conn->dead || conn->closing || conn->stage != QMS_STAGE_CLIENT)
		return 0;
	if (lws_frame_is_binary(conn->wsi) && !conn->binary)
		return refuse(conn, QMS_BINARY, UNSUPPORTED_DATA, "text only");
	if (conn->binary && !lws_frame_is_binary(conn->wsi))
	{
		if (conn->client != NULL)
			qms_client_bad_request(conn->client);
		return 0;
	}
	if (conn->message.size + size + lws_remaining_packet_payload(conn->wsi) > most)
		return refuse(conn, QMS_OVERSIZE, TOO_BIG, "message too big");
	if (whole && conn->message.size == 0)
	{
		deliver(conn, piece, size);
		return 0;
	}
	qms_text_append(&conn->message, piece, size);
	if (!whole)
		return 0;
	/* The library looks at the pieces, but not at the end of a message whose last piece is empty. */
	if (!conn->binary && !qms_text_is_utf8(conn->message.data, conn->message.size))
		return refuse(conn, QMS_BAD_FRAME, INVALID_PAYLOAD, "invalid UTF-8");
	/* Given up first: the hub may close. */
	message = conn->message;
	memset(&conn->message, 0, sizeof(conn->message));
	deliver(conn, message.data, message.size);
	qms_text_free(&message);
	return 0;
}
