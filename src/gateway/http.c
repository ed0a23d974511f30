/*
 * http.c
 *		What is at which path, who may have it, and which requests may become
 *		WebSockets.  The library's own checks of an upgrade are loose (any version,
 *		any method, the first letters of a token), so all are made here.
 */
#include "net.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

typedef int (*RouteHandler) (QmsConn *conn);

static int	reply_health(QmsConn *conn);
static int	reply_ready(QmsConn *conn);
static int	reply_metrics(QmsConn *conn);
static int	reply_upgrade(QmsConn *conn);

static const struct
{
	const char *path;
	RouteHandler handler;
}			routes[] = {
	{"/healthz", reply_health},
	{"/readyz", reply_ready},
	{"/metrics", reply_metrics},
	{"/events", qms_sse_begin},
	{"/connection/websocket", reply_upgrade},
	{"/connection/uni_websocket", reply_upgrade},
};

/* A header's value; false if it is missing, empty or too long. */
bool
qms_header(QmsConn *conn, enum lws_token_indexes token, char *value, size_t size)
{
	return lws_hdr_copy(conn->wsi, value, (int) size, token) > 0;
}

/*
 * Whose request it is: the address that a trusted proxy names counts, from now
 * on, for the limits.  False: that address has too many connections.
 */
bool
qms_http_admit(QmsConn *conn)
{
	char		forwarded[512];

	if (conn->peer != NULL)
		return true;
	if (qms_header(conn, WSI_TOKEN_X_FORWARDED_FOR, forwarded, sizeof(forwarded)))
		qms_address_forwarded(&qms_net.proxies, forwarded, &conn->address);
	conn->peer = qms_peer_get(&conn->address);
	if (qms_networks_contain(&qms_net.proxies, &conn->address) ||
		qms_peer_connections(conn->peer) <= qms_net.config->max_connections_per_address)
		return true;
	qms_net.counts[QMS_FULL_ADDRESS]++;
	return false;
}

/* It lives. */
static int
reply_health(QmsConn *conn)
{
	return qms_reply_text(conn, 200, "text/plain; charset=utf-8", "", "ok\n");
}

/* It serves: a database is connected. */
static int
reply_ready(QmsConn *conn)
{
	bool		ready = qms_hub_ready() && !qms_net.stopping;

	return qms_reply_text(conn, ready ? 200 : 503, "text/plain; charset=utf-8", "", ready ? "ready\n" : "not ready\n");
}

/* For Prometheus; for who comes through a proxy that is not trusted it is not there. */
static int
reply_metrics(QmsConn *conn)
{
	if (!qms_networks_contain(&qms_net.metrics_from, &conn->address) ||
		(lws_hdr_total_length(conn->wsi, WSI_TOKEN_X_FORWARDED_FOR) > 0 && qms_net.proxies.n == 0))
		return qms_reply_refuse(conn, 403, "", "The figures are only for the addresses of the setting metrics-from.");
	return qms_scrape_begin(conn);
}

/* A plain request where a WebSocket is. */
static int
reply_upgrade(QmsConn *conn)
{
	return qms_reply_refuse(conn, 426, "Upgrade: websocket\r\n", "Here is a WebSocket.");
}

/* Whether a Host header can be quoted in a header of the reply. */
static bool
host_is_plain(const char *host)
{
	return host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]")] == '\0';
}

/* What a page of ours may load and talk to. */
static void
page_policy(QmsConn *conn, char *policy, size_t size)
{
	char		host[256];
	char		sockets[600] = "";

	/* Browsers that do not take 'self' for WebSockets need the name. */
	if (qms_header(conn, WSI_TOKEN_HOST, host, sizeof(host)) && host_is_plain(host))
		snprintf(sockets, sizeof(sockets), " ws://%s wss://%s", host, host);
	snprintf(policy, size, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
			 "font-src 'self'; media-src 'self' data: blob:; connect-src 'self'%s; manifest-src 'self'; "
			 "worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'", sockets);
}

/* /display/<branch> and /display/<organization>/<branch>, with or without a zone behind it. */
static bool
is_display(const char *path)
{
	return strncmp(path, "/display/", 9) == 0 &&
		path[9 + strspn(path + 9, "abcdefghijklmnopqrstuvwxyz0123456789-_:/")] == '\0' && path[9] != '\0';
}

/* A file of the page folder, or nothing. */
static int
reply_file(QmsConn *conn, const char *path)
{
	char		policy[1200];
	QmsPage    *page;

	if (is_display(path))
		page = qms_pages_find("/display.html");
	else if (strcmp(path, "/") == 0)
		page = qms_pages_find("/index.html");
	else
		page = qms_pages_find(path);
	if (page == NULL)
		return qms_reply_refuse(conn, 404, "", "There is nothing at this address.");
	page_policy(conn, policy, sizeof(policy));
	return qms_reply_page(conn, page, policy);
}

/* EventSource of a page of another origin asks first if it wants to send a header. */
static int
reply_options(QmsConn *conn, const char *path)
{
	char		origin[300];
	char		host[256];
	char		headers[700];

	if (strcmp(path, "/events") != 0 || !qms_header(conn, WSI_TOKEN_ORIGIN, origin, sizeof(origin)))
		return qms_reply_text(conn, 204, NULL, "Allow: GET, HEAD, OPTIONS\r\n", "");
	if (!qms_origin_allowed(qms_net.config->allowed_origins, origin,
							qms_header(conn, WSI_TOKEN_HOST, host, sizeof(host)) ? host : NULL))
		return qms_reply_refuse(conn, 403, "", "Pages of that origin may not connect (setting allowed-origins).");
	snprintf(headers, sizeof(headers), "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n"
			 "Access-Control-Allow-Methods: GET\r\nAccess-Control-Allow-Headers: Authorization, Last-Event-ID\r\n"
			 "Access-Control-Max-Age: 600\r\n", origin);
	return qms_reply_text(conn, 204, NULL, headers, "");
}

/* A whole request that is no upgrade. */
int
qms_http_request(QmsConn *conn, const char *path)
{
	bool		get = lws_hdr_total_length(conn->wsi, WSI_TOKEN_GET_URI) > 0;
	bool		head = lws_hdr_total_length(conn->wsi, WSI_TOKEN_HEAD_URI) > 0;
	char		version[16];
	size_t		i;

	if (conn->stage != QMS_STAGE_REQUEST || path == NULL)
		return -1;
	qms_wheel_cancel(&conn->timer);
	if (!qms_http_admit(conn))
		return qms_reply_refuse(conn, 503, "Retry-After: 5\r\n", "There are too many connections from your address.");
	if (!qms_peer_request(conn->peer))
	{
		qms_net.counts[QMS_FLOOD]++;
		return qms_reply_refuse(conn, 429, "Retry-After: 1\r\n", "There are too many requests from your address.");
	}
	if (lws_hdr_total_length(conn->wsi, WSI_TOKEN_HOST) == 0 &&
		(!qms_header(conn, WSI_TOKEN_HTTP, version, sizeof(version)) || strcmp(version, "HTTP/1.0") != 0))
		return qms_reply_refuse(conn, 400, "", "The request names no host.");
	if (lws_hdr_total_length(conn->wsi, WSI_TOKEN_OPTIONS_URI) > 0)
		return reply_options(conn, path);
	if (!get && !head)
		return qms_reply_refuse(conn, 405, "Allow: GET, HEAD, OPTIONS\r\n", "This address can only be read.");
	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(routes[i].path, path) == 0)
			return head && routes[i].handler == qms_sse_begin ?
				qms_reply_text(conn, 200, "text/event-stream", "", "") : routes[i].handler(conn);
	return reply_file(conn, path);
}

/* Whether a comma-separated header has the token. */
static bool
has_token(const char *list, const char *token)
{
	char		word[128];

	while (qms_list_next(&list, word, sizeof(word)))
		if (strcasecmp(word, token) == 0)
			return true;
	return false;
}

/* 16 bytes in base64. */
static bool
key_is_valid(const char *key)
{
	size_t		i;

	if (strlen(key) != 24 || key[22] != '=' || key[23] != '=')
		return false;
	for (i = 0; i < 22; i++)
		if (!isalnum((unsigned char) key[i]) && key[i] != '+' && key[i] != '/')
			return false;
	return true;
}

/* Whether a subprotocol is offered. */
static bool
offers(QmsConn *conn, const char *subprotocol)
{
	char		value[128];

	return qms_header(conn, WSI_TOKEN_PROTOCOL, value, sizeof(value)) && has_token(value, subprotocol);
}

/* The same as below, of the subprotocols that are offered: the library takes the first that it knows. */
static int
subprotocol_fault(QmsConn *conn, const char **why)
{
	char		path[64];
	bool		binary = offers(conn, QMS_SUBPROTOCOL_BINARY);

	*why = "Of subprotocols there are only centrifuge-json and " QMS_SUBPROTOCOL_BINARY ".";
	if (!binary)
		return offers(conn, "centrifuge-json") ? 0 : 400;
	*why = "A unidirectional WebSocket speaks JSON only.";
	return qms_header(conn, WSI_TOKEN_GET_URI, path, sizeof(path)) &&
		strcmp(path, "/connection/uni_websocket") == 0 ? 400 : 0;
}

/* What is wrong with the form of an upgrade: a status and a sentence; 0 if nothing is. */
static int
upgrade_fault(QmsConn *conn, const char *to, const char **why)
{
	char		value[256];

	*why = "The request is no WebSocket handshake as RFC 6455 has it.";
	if (to == NULL || strcasecmp(to, "websocket") != 0 ||
		lws_hdr_total_length(conn->wsi, WSI_TOKEN_GET_URI) == 0 ||
		!qms_header(conn, WSI_TOKEN_HTTP, value, sizeof(value)) || strcmp(value, "HTTP/1.1") != 0 ||
		lws_hdr_total_length(conn->wsi, WSI_TOKEN_HOST) == 0 ||
		!qms_header(conn, WSI_TOKEN_CONNECTION, value, sizeof(value)) || !has_token(value, "upgrade") ||
		!qms_header(conn, WSI_TOKEN_KEY, value, sizeof(value)) || !key_is_valid(value))
		return 400;
	if (!qms_header(conn, WSI_TOKEN_VERSION, value, sizeof(value)) || strcmp(value, "13") != 0)
		return 426;
	return lws_hdr_total_length(conn->wsi, WSI_TOKEN_PROTOCOL) == 0 ? 0 : subprotocol_fault(conn, why);
}

/* Whether the request may become a WebSocket; if not, it gets its reply here. */
int
qms_http_upgrade(QmsConn *conn, const char *to)
{
	const char *why;
	char		path[64];
	char		origin[300];
	char		host[256];
	int			status;

	if (conn->stage != QMS_STAGE_REQUEST)
		return -1;
	status = upgrade_fault(conn, to, &why);
	if (status != 0)
	{
		qms_net.counts[QMS_BAD_UPGRADE]++;
		qms_reply_refuse(conn, status, status == 426 ? "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n" : "", why);
		return -1;
	}
	if (!qms_header(conn, WSI_TOKEN_GET_URI, path, sizeof(path)))
		path[0] = '\0';
	if (strcmp(path, "/connection/websocket") == 0)
		conn->kind = QMS_CONN_WS;
	else if (strcmp(path, "/connection/uni_websocket") == 0)
		conn->kind = QMS_CONN_UNI_WS;
	else
	{
		qms_reply_refuse(conn, 404, "", "There is no WebSocket at this address.");
		return -1;
	}
	if (!qms_http_admit(conn) || qms_net.stopping)
	{
		qms_reply_refuse(conn, 503, "Retry-After: 5\r\n", qms_net.stopping ? "The program ends." :
						 "There are too many connections from your address.");
		return -1;
	}
	host[0] = '\0';
	qms_header(conn, WSI_TOKEN_HOST, host, sizeof(host));
	if (lws_hdr_total_length(conn->wsi, WSI_TOKEN_ORIGIN) > 0 &&
		(!qms_header(conn, WSI_TOKEN_ORIGIN, origin, sizeof(origin)) ||
		 !qms_origin_allowed(qms_net.config->allowed_origins, origin, host)))
	{
		qms_net.counts[QMS_BAD_ORIGIN]++;
		qms_reply_refuse(conn, 403, "", "Pages of that origin may not connect (setting allowed-origins).");
		return -1;
	}
	conn->approved = true;
	return 0;
}
