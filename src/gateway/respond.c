/*
 * respond.c
 *		HTTP replies: head, body, and sending them as fast as the socket takes them.
 *
 * Every reply ends its connection (server.c says why).  While one is sent, the
 * library does not read the socket but is woken by whatever arrives there, without
 * end; so a guard watches it, and who goes on talking is cut off.
 */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CHUNK (32 * 1024)
#define CHUNKS_AT_ONCE 8		/* then the others have their turn */
#define STALL_MS 30000			/* a reader that takes nothing for so long */

struct QmsReply
{
	QmsText		head;			/* and a short body */
	QmsPage    *page;			/* a long one */
	size_t		head_sent;
	size_t		page_sent;
};

struct QmsGuard
{
	uv_poll_t	poll;
	int			fd;				/* a second descriptor of the socket: libuv wants one watcher each */
	QmsConn    *conn;
};

/* The words of a status line. */
static const char *
status_words(int status)
{
	static const struct
	{
		int			status;
		const char *words;
	}			all[] = {
		{200, "OK"}, {204, "No Content"}, {304, "Not Modified"}, {400, "Bad Request"}, {403, "Forbidden"},
		{404, "Not Found"}, {405, "Method Not Allowed"}, {426, "Upgrade Required"}, {429, "Too Many Requests"},
		{503, "Service Unavailable"}, {505, "HTTP Version Not Supported"}
	};
	size_t		i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].status == status)
			return all[i].words;
	return "Error";
}

/* The status line and what every reply says. */
void
qms_head_begin(QmsText *head, int status)
{
	time_t		now = time(NULL);
	struct tm	tm;
	char		date[64];

	qms_net.replies[status / 100 < 6 ? status / 100 : 0]++;
	gmtime_r(&now, &tm);
	/* Not strftime's names: the locale's. */
	snprintf(date, sizeof(date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
			 &"Sun\0Mon\0Tue\0Wed\0Thu\0Fri\0Sat"[tm.tm_wday * 4], tm.tm_mday,
			 &"Jan\0Feb\0Mar\0Apr\0May\0Jun\0Jul\0Aug\0Sep\0Oct\0Nov\0Dec"[tm.tm_mon * 4],
			 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	qms_text_printf(head, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\n"
					"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n",
					status, status_words(status), date);
}

/* What has arrived and nobody will read: left there, closing would reset the reply away. */
static void
drain(QmsConn *conn)
{
	char		buffer[4096];
	int			i;

	for (i = 0; i < 16 && recv(lws_get_socket_fd(conn->wsi), buffer, sizeof(buffer), MSG_DONTWAIT) > 0; i++)
		;
}

/* The guard's descriptor is closed when the loop has let go of it. */
static void
on_guard_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* Something arrived, or the other side has gone: nothing more is owed. */
static void
on_guard(uv_poll_t *handle, int status, int events)
{
	QmsGuard   *guard = handle->data;
	QmsConn    *conn = guard->conn;
	char		byte;
	ssize_t		n = recv(guard->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	(void) status;
	(void) events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	qms_net.counts[n > 0 ? QMS_CHATTER : QMS_LOST]++;
	qms_guard_stop(conn);
	qms_conn_doom(conn);
}

/* Watches the socket.  False: no descriptor is left for it. */
bool
qms_guard_start(QmsConn *conn)
{
	QmsGuard   *guard;
	int			fd;

	if (conn->guard != NULL)
		return true;
	fd = fcntl(lws_get_socket_fd(conn->wsi), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return false;
	guard = calloc(1, sizeof(*guard));
	if (guard == NULL)
		abort();
	guard->fd = fd;
	guard->conn = conn;
	uv_poll_init(qms_net.loop, &guard->poll, fd);
	guard->poll.data = guard;
	uv_poll_start(&guard->poll, UV_READABLE | UV_DISCONNECT, on_guard);
	conn->guard = guard;
	return true;
}

/* No more. */
void
qms_guard_stop(QmsConn *conn)
{
	QmsGuard   *guard = conn->guard;

	if (guard == NULL)
		return;
	conn->guard = NULL;
	uv_poll_stop(&guard->poll);
	close(guard->fd);
	uv_close((uv_handle_t *) &guard->poll, on_guard_closed);
}

/* The reply is done with. */
void
qms_reply_free(QmsReply *reply)
{
	if (reply == NULL)
		return;
	qms_text_free(&reply->head);
	qms_page_unref(reply->page);
	free(reply);
}

/* The next bytes to send, or none. */
static size_t
next_piece(QmsReply *reply, const char **piece)
{
	size_t		left = reply->head.size - reply->head_sent;

	*piece = reply->head.data + reply->head_sent;
	if (left == 0 && reply->page != NULL)
	{
		left = reply->page->size - reply->page_sent;
		*piece = reply->page->body + reply->page_sent;
	}
	return left < CHUNK ? left : CHUNK;
}

/* As much as goes now; -1: all is out, or nothing goes any more. */
int
qms_reply_continue(QmsConn *conn)
{
	QmsReply   *reply = conn->reply;
	int			i;

	for (i = 0; i < CHUNKS_AT_ONCE; i++)
	{
		const char *piece;
		size_t		size;

		if (lws_partial_buffered(conn->wsi))
			break;
		size = next_piece(reply, &piece);
		if (size == 0)
		{
			drain(conn);
			return -1;
		}
		if (lws_write(conn->wsi, (unsigned char *) piece, size, LWS_WRITE_HTTP) < 0)
			return -1;
		if (reply->head_sent < reply->head.size)
			reply->head_sent += size;
		else
			reply->page_sent += size;
	}
	if (!qms_guard_start(conn))
		return -1;
	qms_wheel_add(&conn->timer, STALL_MS, qms_conn_expire, conn);
	lws_callback_on_writable(conn->wsi);
	return 0;
}

/* The head is complete; the reply begins to go out. */
static int
begin(QmsConn *conn, QmsText *head, QmsPage *page)
{
	QmsReply   *reply = calloc(1, sizeof(*reply));
	int			rc;

	if (reply == NULL)
		abort();
	reply->head = *head;
	reply->page = page;
	conn->reply = reply;
	conn->stage = QMS_STAGE_REPLY;
	lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
	rc = qms_reply_continue(conn);
	if (rc != 0)
		qms_wheel_cancel(&conn->timer);
	return rc;
}

/* A short body; further headers, or "", each with its line end. */
int
qms_reply_text(QmsConn *conn, int status, const char *type, const char *headers, const char *body)
{
	QmsText		head = {0};

	qms_head_begin(&head, status);
	qms_text_printf(&head, "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
					"X-Frame-Options: DENY\r\nCache-Control: no-store\r\n%s", headers);
	if (type != NULL)
		qms_text_printf(&head, "Content-Type: %s\r\n", type);
	if (status != 204)
		qms_text_printf(&head, "Content-Length: %zu\r\n", strlen(body));
	qms_text_puts(&head, "\r\n");
	if (lws_hdr_total_length(conn->wsi, WSI_TOKEN_HEAD_URI) == 0)
		qms_text_puts(&head, body);
	return begin(conn, &head, NULL);
}

/* An error, for people. */
int
qms_reply_refuse(QmsConn *conn, int status, const char *headers, const char *why)
{
	QmsText		body = {0};
	int			rc;

	qms_text_printf(&body, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%d %s</title></head>\n"
					"<body><h1>%s</h1><p>%s</p></body></html>\n",
					status, status_words(status), status_words(status), why);
	rc = qms_reply_text(conn, status, "text/html; charset=utf-8", headers, body.data);
	qms_text_free(&body);
	return rc;
}

/* Whether one of the tags that the client has is the page's. */
static bool
client_has(QmsConn *conn, const QmsPage *page)
{
	char		tags[512];
	const char *list = tags;
	char		tag[64];

	if (!qms_header(conn, WSI_TOKEN_HTTP_IF_NONE_MATCH, tags, sizeof(tags)))
		return false;
	while (qms_list_next(&list, tag, sizeof(tag)))
	{
		const char *p = strncmp(tag, "W/", 2) == 0 ? tag + 2 : tag;

		if (strcmp(p, page->etag) == 0 || strcmp(p, "*") == 0)
			return true;
	}
	return false;
}

/* A page, which is given up to the reply, with its security policy. */
int
qms_reply_page(QmsConn *conn, QmsPage *page, const char *policy)
{
	QmsText		head = {0};
	bool		has = client_has(conn, page);
	bool		body = !has && lws_hdr_total_length(conn->wsi, WSI_TOKEN_HEAD_URI) == 0;

	qms_head_begin(&head, has ? 304 : 200);
	/* Asked about each time, answered with 304: an upgrade is on every screen at its next load. */
	qms_text_printf(&head, "ETag: %s\r\nCache-Control: no-cache\r\nContent-Security-Policy: %s\r\n"
					"X-Frame-Options: SAMEORIGIN\r\nCross-Origin-Resource-Policy: same-origin\r\n"
					"Permissions-Policy: camera=(), geolocation=(), microphone=()\r\n", page->etag, policy);
	if (!has)
		qms_text_printf(&head, "Content-Type: %s\r\nContent-Length: %zu\r\n", page->type, page->size);
	qms_text_puts(&head, "\r\n");
	if (!body)
	{
		qms_page_unref(page);
		page = NULL;
	}
	return begin(conn, &head, page);
}
