/*
 * conn.c
 *		What the hub can do with a connection, whichever kind it is.
 *
 * A frame goes to the kernel at once when nothing waits; that costs a third of
 * asking for the writeable callback each time.  While something waits in the
 * library nothing more may be written (it would be sent without a frame header),
 * so later frames wait here, a few of them.
 */
#include "net.h"

#include <stdlib.h>
#include <string.h>

#define MOST_FRAMES 256
#define MOST_BYTES (4 * 1024 * 1024)
#define CLOSE_MS 5000			/* until a closed connection is gone, whatever the other side does */
#define ACK_MS 3000				/* for the other side's close frame */
#define REASON_SIZE 123

/* Frames in order, held. */
struct QmsBacklog
{
	QmsFrame  **frames;
	int			n;
	int			room;
	size_t		bytes;
};

/* None waits any more. */
static void
backlog_free(QmsConn *conn)
{
	QmsBacklog *backlog = conn->backlog;
	int			i;

	if (backlog == NULL)
		return;
	conn->backlog = NULL;
	for (i = 0; i < backlog->n; i++)
		qms_frame_unref(backlog->frames[i]);
	free(backlog->frames);
	free(backlog);
}

/* One more that waits.  False: they are too many, he does not read. */
static bool
backlog_add(QmsConn *conn, QmsFrame *frame)
{
	QmsBacklog *backlog = conn->backlog;

	if (backlog == NULL)
		backlog = conn->backlog = calloc(1, sizeof(*backlog));
	if (backlog == NULL)
		abort();
	if (backlog->n == MOST_FRAMES || backlog->bytes + frame->size > MOST_BYTES)
		return false;
	if (backlog->n == backlog->room)
	{
		backlog->room = backlog->room == 0 ? 4 : backlog->room * 2;
		backlog->frames = realloc(backlog->frames, backlog->room * sizeof(*backlog->frames));
		if (backlog->frames == NULL)
			abort();
	}
	backlog->frames[backlog->n++] = qms_frame_ref(frame);
	backlog->bytes += frame->size;
	return true;
}

/* To the kernel, or what it does not take into the library. */
static int
send_now(QmsConn *conn, QmsFrame *frame)
{
	enum lws_write_protocol how = conn->kind == QMS_CONN_SSE ? LWS_WRITE_HTTP :
		frame->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;

	if (lws_write(conn->wsi, frame->data, frame->size, how) < (int) frame->size)
	{
		qms_conn_doom(conn);
		return -1;
	}
	qms_net.counts[QMS_MESSAGES_OUT]++;
	qms_net.counts[QMS_BYTES_OUT] += frame->size;
	return 0;
}

/* Whether anything may be written at all. */
static bool
is_open(const QmsConn *conn)
{
	return conn->stage == QMS_STAGE_CLIENT && !conn->dead && !conn->closing && !conn->peer_closes;
}

/* Nothing of ours waits: a write goes to the kernel now. */
bool
qms_conn_is_clear(const QmsConn *conn)
{
	return is_open(conn) && conn->backlog == NULL && !(conn->opening && conn->kind == QMS_CONN_SSE) &&
		!lws_partial_buffered(conn->wsi);
}

/* One message, or bytes of a stream; -1: the connection is dying. */
int
qms_conn_write(QmsConn *conn, QmsFrame *frame)
{
	if (!is_open(conn))
		return -1;
	if (qms_send_gather(conn, frame))
	{
		qms_net.counts[QMS_MESSAGES_OUT]++;
		qms_net.counts[QMS_BYTES_OUT] += frame->size;
		return 0;
	}
	if (!is_open(conn))
		return -1;
	if (qms_conn_is_clear(conn))
		return send_now(conn, frame);
	if (!backlog_add(conn, frame))
	{
		qms_net.counts[QMS_STUCK]++;
		qms_conn_doom(conn);
		return -1;
	}
	if (!conn->opening)
		lws_callback_on_writable(conn->wsi);
	return 0;
}

/* Frames that wait, as long as the socket takes them; -1: the connection is dying. */
int
qms_conn_flush(QmsConn *conn)
{
	QmsBacklog *backlog = conn->backlog;
	int			i = 0;
	int			rc = 0;

	if (backlog == NULL || lws_partial_buffered(conn->wsi))
		return 0;
	for (; i < backlog->n && rc == 0 && !lws_partial_buffered(conn->wsi); i++)
	{
		backlog->bytes -= backlog->frames[i]->size;
		rc = send_now(conn, backlog->frames[i]);
		qms_frame_unref(backlog->frames[i]);
	}
	backlog->n -= i;
	memmove(backlog->frames, backlog->frames + i, backlog->n * sizeof(*backlog->frames));
	if (backlog->n == 0)
		backlog_free(conn);
	return rc;
}

/* qms_client_writable, once it is clear.  Each asking costs libuv two system calls. */
void
qms_conn_want(QmsConn *conn)
{
	if (!is_open(conn) || conn->wanted)
		return;
	conn->wanted = true;
	if (!conn->opening || conn->kind != QMS_CONN_SSE)
		lws_callback_on_writable(conn->wsi);
}

/*
 * The close frame.  It is written here, not left to the library, which would
 * need two turns of the loop and two of its slow timers for each.
 */
static void
send_close(QmsConn *conn)
{
	unsigned char frame[4 + REASON_SIZE];
	size_t		length = conn->close_reason == NULL ? 0 : strlen(conn->close_reason);

	frame[0] = 0x88;			/* final, close */
	frame[1] = (unsigned char) (2 + length);
	frame[2] = (unsigned char) (conn->close_code >> 8);
	frame[3] = (unsigned char) conn->close_code;
	if (length > 0)
		memcpy(frame + 4, conn->close_reason, length);
	conn->close_sent = true;
	/* Of a WebSocket this kind of write goes out as it is. */
	if (lws_write(conn->wsi, frame, 4 + length, LWS_WRITE_HTTP) < 0)
		qms_conn_doom(conn);
	else
		qms_wheel_add(&conn->timer, ACK_MS, qms_conn_expire, conn);
}

/* No more is taken from it or written to it; what was written before is sent first. */
void
qms_conn_close(QmsConn *conn, int code, const char *reason)
{
	size_t		length = reason == NULL ? 0 : strlen(reason);

	if (conn->gathered)
		qms_send_flush();
	if (!is_open(conn))
		return;
	conn->close_code = (uint16_t) code;
	if (length > 0)
	{
		conn->close_reason = qms_copy(reason);
		/* A control frame is short; the text is ASCII. */
		if (length > REASON_SIZE)
			conn->close_reason[REASON_SIZE] = '\0';
	}
	conn->closing = true;
	qms_wheel_add(&conn->timer, CLOSE_MS, qms_conn_expire, conn);
	if (conn->kind != QMS_CONN_SSE && conn->backlog == NULL && !lws_partial_buffered(conn->wsi))
		send_close(conn);
	else if (!conn->opening || conn->kind != QMS_CONN_SSE)
		lws_callback_on_writable(conn->wsi);
}

/* The socket takes more; -1: to be closed. */
int
qms_conn_writeable(QmsConn *conn)
{
	if (conn->dead)
		return -1;
	if (conn->scraping)
		return qms_scrape_reply(conn);
	if (conn->stage == QMS_STAGE_REPLY)
		return qms_reply_continue(conn);
	if (conn->stage != QMS_STAGE_CLIENT)
		return 0;
	if (qms_conn_flush(conn) != 0)
		return -1;
	if (conn->backlog != NULL || lws_partial_buffered(conn->wsi))
	{
		lws_callback_on_writable(conn->wsi);
		return 0;
	}
	if (conn->closing)
	{
		if (conn->kind == QMS_CONN_SSE)
			return -1;
		if (!conn->close_sent)
			send_close(conn);
		return 0;
	}
	if (conn->wanted)
	{
		conn->wanted = false;
		qms_client_writable(conn->client);
	}
	return 0;
}

/* The hub is told that it is gone, once. */
void
qms_client_end(QmsConn *conn)
{
	QmsClient  *client = conn->client;

	if (conn->stage == QMS_STAGE_CLIENT)
	{
		conn->stage = QMS_STAGE_GONE;
		if (client != NULL)
			qms_net.clients[conn->kind]--;
	}
	backlog_free(conn);
	conn->client = NULL;
	if (client != NULL)
		qms_client_closed(client);
}
