/*
 * sse.c
 *		Event streams (GET /events?channel=...), and what the hub is told about any
 *		client that begins.
 */
#include "net.h"

#include <string.h>
#include <strings.h>

#define CHANNEL_SIZE 256

/* What the pointers of a QmsOpening point to. */
typedef struct Begin
{
	QmsOpening	opening;
	char		host[256];
	char		address[QMS_ADDRESS_SIZE];
	char		origin[300];
	char		authorization[6000];
	char		last_event_id[256];
	char		channels[QMS_OPENING_CHANNELS][CHANNEL_SIZE];
} Begin;

/* ?channel=a&channel=b, and lastEventId for those who cannot send the header. */
static void
read_arguments(QmsConn *conn, Begin *begin)
{
	char		argument[CHANNEL_SIZE + 16];
	int			i;

	for (i = 0; lws_hdr_copy_fragment(conn->wsi, argument, sizeof(argument), WSI_TOKEN_HTTP_URI_ARGS, i) >= 0; i++)
	{
		if (strncmp(argument, "channel=", 8) == 0 && strlen(argument + 8) < CHANNEL_SIZE &&
			begin->opening.nchannels < QMS_OPENING_CHANNELS)
		{
			char	   *channel = begin->channels[begin->opening.nchannels];

			strcpy(channel, argument + 8);
			begin->opening.channels[begin->opening.nchannels++] = channel;
		}
		else if (strncmp(argument, "lastEventId=", 12) == 0 && strlen(argument + 12) < sizeof(begin->last_event_id))
		{
			strcpy(begin->last_event_id, argument + 12);
			begin->opening.last_event_id = begin->last_event_id;
		}
	}
}

/*
 * Whether it speaks Protobuf: by the subprotocol that the library has chosen, or
 * without one by ?format=protobuf or ?cf_protocol=protobuf.
 */
static bool
is_binary(QmsConn *conn)
{
	const char *subprotocol = lws_get_protocol(conn->wsi)->name;
	char		argument[1024];
	int			i;

	if (conn->kind != QMS_CONN_WS || subprotocol[0] != '\0')
		return conn->kind == QMS_CONN_WS && strcmp(subprotocol, QMS_SUBPROTOCOL_BINARY) == 0;
	for (i = 0; lws_hdr_copy_fragment(conn->wsi, argument, sizeof(argument), WSI_TOKEN_HTTP_URI_ARGS, i) >= 0; i++)
		if (strcmp(argument, "format=protobuf") == 0 || strcmp(argument, "cf_protocol=protobuf") == 0)
			return true;
	return false;
}

/* What the request says. */
static void
read_request(QmsConn *conn, Begin *begin)
{
	QmsOpening *opening = &begin->opening;

	opening->kind = conn->kind;
	conn->binary = is_binary(conn);
	opening->form = conn->binary ? QMS_FORM_PROTOBUF : QMS_FORM_JSON;
	qms_address_text(&conn->address, begin->address);
	opening->address = begin->address;
	if (qms_header(conn, WSI_TOKEN_HOST, begin->host, sizeof(begin->host)))
		opening->host = begin->host;
	if (qms_header(conn, WSI_TOKEN_ORIGIN, begin->origin, sizeof(begin->origin)))
		opening->origin = begin->origin;
	if (qms_header(conn, WSI_TOKEN_HTTP_AUTHORIZATION, begin->authorization, sizeof(begin->authorization)) &&
		strncasecmp(begin->authorization, "Bearer ", 7) == 0)
		opening->token = begin->authorization + 7;
	if (conn->kind != QMS_CONN_WS)
		read_arguments(conn, begin);
	if (lws_hdr_custom_copy(conn->wsi, begin->last_event_id, sizeof(begin->last_event_id), "last-event-id:", 14) > 0)
		opening->last_event_id = begin->last_event_id;
}

/* The connection is the hub's from now on; -1: he does not want it. */
int
qms_client_begin(QmsConn *conn, QmsConnKind kind)
{
	Begin		begin;

	memset(&begin, 0, sizeof(begin));
	conn->kind = kind;
	read_request(conn, &begin);
	qms_wheel_cancel(&conn->timer);
	conn->stage = QMS_STAGE_CLIENT;
	conn->opening = true;
	qms_net.clients[kind]++;
	conn->client = qms_client_open(conn, &begin.opening);
	conn->opening = false;
	if (conn->client != NULL)
		return 0;
	qms_net.clients[kind]--;
	return -1;
}

/* The headers of a stream; it ends with its connection. */
static int
write_head(QmsConn *conn)
{
	QmsText		head = {0};
	char		origin[300];
	int			rc;

	qms_head_begin(&head, 200);
	qms_text_puts(&head, "Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
	if (qms_header(conn, WSI_TOKEN_ORIGIN, origin, sizeof(origin)))
		qms_text_printf(&head, "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n", origin);
	qms_text_puts(&head, "\r\n");
	rc = lws_write(conn->wsi, (unsigned char *) head.data, head.size, LWS_WRITE_HTTP_HEADERS);
	qms_text_free(&head);
	return rc < 0 ? -1 : 0;
}

/* GET /events.  What the hub writes at once waits until the headers are out. */
int
qms_sse_begin(QmsConn *conn)
{
	char		origin[300];
	char		host[256] = "";

	qms_header(conn, WSI_TOKEN_HOST, host, sizeof(host));
	if (lws_hdr_total_length(conn->wsi, WSI_TOKEN_ORIGIN) > 0 &&
		(!qms_header(conn, WSI_TOKEN_ORIGIN, origin, sizeof(origin)) ||
		 !qms_origin_allowed(qms_net.config->allowed_origins, origin, host)))
	{
		qms_net.counts[QMS_BAD_ORIGIN]++;
		return qms_reply_refuse(conn, 403, "", "Pages of that origin may not connect (setting allowed-origins).");
	}
	if (qms_net.stopping || !qms_guard_start(conn) || qms_client_begin(conn, QMS_CONN_SSE) != 0)
	{
		conn->closing = false;
		return qms_reply_refuse(conn, 503, "Retry-After: 5\r\n", "No event stream is possible at the moment.");
	}
	if (write_head(conn) != 0)
		return -1;
	lws_http_headers_detach(conn->wsi);
	lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
	if (qms_conn_flush(conn) != 0)
		return -1;
	lws_callback_on_writable(conn->wsi);
	return 0;
}
