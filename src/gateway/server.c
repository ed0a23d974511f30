/*
 * server.c
 *		The library's context on our loop, and the life of a connection in it.
 *
 * What is known of libwebsockets 4.1.6 (Debian 12) and why the code is as it is:
 *	- Its own listening goes on without a word when the port is busy, and stops
 *	  nobody before it has allocated (9 kB for each, which leave holes behind when
 *	  10,000 come at once).  We accept, and hand it the sockets once they speak.
 *	- Its timers are one sorted list, so a connection keeps none there: request,
 *	  reply and close have their time in our wheel, and the retry policy is all zero.
 *	- The libuv plugin stops its idle handler while data is pending: see on_prepare.
 *	- A timer or a kill asked for outside of its callbacks is seen only when
 *	  something wakes it: connections are doomed in a list, and the kill is
 *	  followed by lws_cancel_service.
 *	- An unknown Upgrade on a connection that is kept alive uses freed memory
 *	  (CVE-2025-11677), so no connection is kept alive after a reply; CONNECT
 *	  turns a connection into a raw one, which the callback refuses.
 */
#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define RESERVED_FDS 200
#define LEAST_FDS 65536
#define HEADER_BYTES 8192		/* of one request */
#define RX_BYTES 512			/* read at once; each WebSocket holds so many */
#define TX_BYTES (1024 * 1024)	/* written at once: a frame is never cut by the library */
#define STOP_MS 700				/* close frames must be out by then: the server waits 0.8 s for us */

QmsNet		qms_net;

/* A socket that has not said anything. */
struct QmsLobby
{
	uv_poll_t	poll;
	int			fd;
	QmsConn    *conn;
};

static uv_prepare_t prepare;
static uv_idle_t reaper;
static QmsConn *doomed;
static QmsTimer stop_timer;
static void (*stop_done) (void);
static QmsText trouble;			/* what the library says while it starts */
static bool made;				/* the library has made an object for the socket at hand */

static int	on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

/* One callback for all: the subprotocol's name is the only difference. */
static const struct lws_protocols protocols[] = {
	{"", on_event, 0, RX_BYTES, 0, NULL, TX_BYTES},
	{"centrifuge-json", on_event, 0, RX_BYTES, 0, NULL, TX_BYTES},
	{QMS_SUBPROTOCOL_BINARY, on_event, 0, RX_BYTES, 0, NULL, TX_BYTES},
	{NULL, NULL, 0, 0, 0, NULL, 0}
};

static const lws_retry_bo_t no_policy;
static const struct lws_extension no_extensions[] = {{NULL, NULL, NULL}};

/* The last is gone: what waited for the end goes on. */
static void
end_if_empty(void)
{
	if (qms_net.stopping && qms_net.connections == 0 && stop_done != NULL)
	{
		void		(*done) (void) = stop_done;

		stop_done = NULL;
		qms_wheel_cancel(&stop_timer);
		done();
	}
}

/* The loop has let go of it. */
static void
on_lobby_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* Out of the lobby; the socket, which is the caller's now. */
static int
leave_lobby(QmsConn *conn)
{
	QmsLobby   *lobby = conn->lobby;

	conn->lobby = NULL;
	uv_poll_stop(&lobby->poll);
	uv_close((uv_handle_t *) &lobby->poll, on_lobby_closed);
	return lobby->fd;
}

/* The library has finished with it. */
static void
conn_free(QmsConn *conn)
{
	QmsConn   **link;

	if (conn->stage == QMS_STAGE_REQUEST && !conn->dead)
		qms_net.counts[QMS_NO_REQUEST]++;
	if (conn->lobby != NULL)
		close(leave_lobby(conn));
	qms_client_end(conn);
	qms_wheel_cancel(&conn->timer);
	qms_guard_stop(conn);
	qms_reply_free(conn->reply);
	qms_text_free(&conn->message);
	if (conn->peer != NULL)
		qms_peer_release(conn->peer);
	for (link = &doomed; *link != NULL; link = &(*link)->next_doomed)
		if (*link == conn)
		{
			*link = conn->next_doomed;
			break;
		}
	free(conn->close_reason);
	free(conn);
	qms_net.connections--;
	end_if_empty();
}

/* The doomed are killed from here, where nobody is in the middle of using them. */
static void
on_reaper(uv_idle_t *handle)
{
	uv_idle_stop(handle);
	while (doomed != NULL)
	{
		QmsConn    *conn = doomed;

		doomed = conn->next_doomed;
		conn->next_doomed = NULL;
		if (conn->wsi == NULL)
			conn_free(conn);
		else
			lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	}
	lws_cancel_service(qms_net.context);
}

/* To be ended without ceremony, from the loop. */
void
qms_conn_doom(QmsConn *conn)
{
	if (conn->dead)
		return;
	conn->dead = true;
	qms_wheel_cancel(&conn->timer);
	conn->next_doomed = doomed;
	doomed = conn;
	uv_idle_start(&reaper, on_reaper);
}

/* A timer of a connection has run out: request, reply or close took too long. */
void
qms_conn_expire(void *arg)
{
	QmsConn    *conn = arg;

	qms_net.counts[conn->stage == QMS_STAGE_REQUEST ? QMS_SLOW_REQUEST : QMS_STUCK]++;
	qms_conn_doom(conn);
}

/* It speaks: the socket goes to the library. */
static void
adopt(QmsConn *conn)
{
	lws_adopt_desc_t desc;
	struct lws_pollfd first;

	memset(&desc, 0, sizeof(desc));
	desc.vh = qms_net.vhost;
	desc.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL;
	desc.fd.sockfd = leave_lobby(conn);
	desc.opaque = conn;
	made = false;
	if (lws_adopt_descriptor_vhost_via_info(&desc) == NULL)
	{
		/* If it came into being, its end is told to the callback, with the connection. */
		if (!made)
			conn_free(conn);
		return;
	}
	/* Out of the library's list of timers: the wheel has it. */
	if (qms_net.config->tls_cert[0] == '\0')
		lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
	/*
	 * Read at once: libuv goes through 49,152 events before it looks at a socket
	 * that is new, and until then the library would hold 9 kB for each.
	 */
	first.fd = desc.fd.sockfd;
	first.events = first.revents = POLLIN;
	lws_service_fd(qms_net.context, &first);
}

/* The first bytes, or the end. */
static void
on_lobby(uv_poll_t *handle, int status, int events)
{
	QmsLobby   *lobby = handle->data;
	char		byte;
	ssize_t		n = recv(lobby->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	(void) status;
	(void) events;
	if (n > 0)
		adopt(lobby->conn);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		conn_free(lobby->conn);
}

/* A socket that was accepted. */
void
qms_conn_new(int fd, const QmsAddress *address)
{
	QmsConn    *conn = calloc(1, sizeof(*conn));
	QmsLobby   *lobby = calloc(1, sizeof(*lobby));

	if (conn == NULL || lobby == NULL)
		abort();
	conn->address = *address;
	conn->lobby = lobby;
	if (!qms_networks_contain(&qms_net.proxies, address))
		conn->peer = qms_peer_get(address);
	qms_net.connections++;
	qms_wheel_add(&conn->timer, qms_net.config->request_timeout * 1000, qms_conn_expire, conn);
	lobby->fd = fd;
	lobby->conn = conn;
	uv_poll_init(qms_net.loop, &lobby->poll, fd);
	lobby->poll.data = lobby;
	uv_poll_start(&lobby->poll, UV_READABLE, on_lobby);
}

/* The other side or the library has closed it; the object lives on for a moment. */
static void
conn_closed(QmsConn *conn)
{
	if (conn->stage == QMS_STAGE_CLIENT && !conn->closing && !conn->peer_closes && !conn->dead)
		qms_net.counts[conn->kind != QMS_CONN_SSE && lws_get_close_length(conn->wsi) > 0 ? QMS_BAD_FRAME : QMS_LOST]++;
	conn->dead = true;
	qms_client_end(conn);
	qms_scrape_forget(conn);
	qms_guard_stop(conn);
}

/* Everything that the library has to say. */
static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	QmsConn    *conn = lws_get_opaque_user_data(wsi);

	switch (reason)
	{
		case LWS_CALLBACK_WSI_CREATE:
			made = true;
			return 0;
		case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
			qms_tls_context(user);
			return 0;
		case LWS_CALLBACK_WSI_DESTROY:
			if (conn != NULL)
				conn_free(conn);
			return 0;
		default:
			if (conn == NULL)
				return 0;
			conn->wsi = wsi;
	}
	switch (reason)
	{
		case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
			return qms_http_upgrade(conn, in);
		case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
			return conn->approved ? 0 : -1;
		case LWS_CALLBACK_ESTABLISHED:
			return qms_ws_begin(conn);
		case LWS_CALLBACK_RECEIVE:
			return qms_ws_receive(conn, in, len);
		case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
			conn->peer_closes = true;
			/* Ours went out before: this is the answer to it. */
			return conn->close_sent ? -1 : 0;
		case LWS_CALLBACK_HTTP:
			return qms_http_request(conn, in);
		case LWS_CALLBACK_HTTP_WRITEABLE:
		case LWS_CALLBACK_SERVER_WRITEABLE:
			return qms_conn_writeable(conn);
		case LWS_CALLBACK_CLOSED:
		case LWS_CALLBACK_CLOSED_HTTP:
			conn_closed(conn);
			return 0;
		case LWS_CALLBACK_RAW_ADOPT:
		case LWS_CALLBACK_RAW_CONNECTED:
		case LWS_CALLBACK_RAW_RX:
			return -1;
		default:
			return 0;
	}
}

/*
 * Before the loop sleeps: the plugin may have forgotten that it still holds data
 * (fixed upstream in 4.3.3); a wake-up makes it look again.
 */
static void
on_prepare(uv_prepare_t *handle)
{
	(void) handle;
	if (lws_service_adjust_timeout(qms_net.context, 1, 0) == 0)
		lws_cancel_service(qms_net.context);
}

/* What the library logs is about single clients, or about our own start. */
static void
on_library_log(int level, const char *line)
{
	if ((level & LLL_ERR) != 0 && qms_net.vhost == NULL)
		qms_text_printf(&trouble, "%s%.*s", trouble.size > 0 ? "; " : "", (int) strcspn(line, "\n"), line);
	else if (qms_log_wants(QMS_LOG_DEBUG))
		qms_logf(QMS_LOG_DEBUG, NULL, "libwebsockets: %.*s", (int) strcspn(line, "\n"), line);
}

/* Descriptors for all connections, event streams twice; then how many there may be. */
static void
raise_limit(void)
{
	struct rlimit limit;
	rlim_t		need = (rlim_t) qms_net.config->max_connections * 2 + RESERVED_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (need < LEAST_FDS)
		need = LEAST_FDS;
	if (limit.rlim_cur < need)
	{
		limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* As many as the settings say, if there are descriptors for them. */
static void
count_limit(void)
{
	struct rlimit limit;
	rlim_t		most = LEAST_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		most = limit.rlim_cur > RESERVED_FDS ? limit.rlim_cur - RESERVED_FDS : 1;
	qms_net.most_connections = qms_net.config->max_connections;
	if ((rlim_t) qms_net.most_connections <= most)
		return;
	qms_net.most_connections = (int) most;
	qms_logf(QMS_LOG_WARNING, "Raise the limit of open files (LimitNOFILE, ulimit -n).",
			 "only %d connections are possible, not %d: the limit of open files", (int) most, qms_net.config->max_connections);
}

/* The library's context and its one host. */
static bool
make_context(QmsText *problem)
{
	struct lws_context_creation_info info;
	void	   *loops[1];

	memset(&info, 0, sizeof(info));
	loops[0] = qms_net.loop;
	info.foreign_loops = loops;
	info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8;
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = protocols;
	info.extensions = no_extensions;
	info.retry_and_idle_policy = &no_policy;
	info.max_http_header_data = HEADER_BYTES;
	info.timeout_secs = qms_net.config->request_timeout;
	info.timeout_secs_ah_idle = qms_net.config->request_timeout;
	info.gid = -1;
	info.uid = -1;
	if (qms_net.config->tls_cert[0] != '\0')
	{
		info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
		info.ssl_cert_filepath = qms_net.config->tls_cert;
		info.ssl_private_key_filepath = qms_net.config->tls_key;
		/* HTTP/2 would bring its own state machine for nothing. */
		info.alpn = "http/1.1";
	}
	lws_set_log_level(LLL_ERR | LLL_WARN, on_library_log);
	qms_net.context = lws_create_context(&info);
	if (qms_net.context != NULL)
		qms_net.vhost = lws_create_vhost(qms_net.context, &info);
	if (qms_net.vhost == NULL)
		qms_text_printf(problem, "could not start libwebsockets: %s", trouble.size > 0 ? trouble.data :
						"no reason given (on Debian it needs the package libwebsockets-evlib-uv, too)");
	return qms_net.vhost != NULL;
}

/* Settings that need no more than being remembered. */
static void
take_settings(QmsConfig *config)
{
	qms_net.config = config;
	qms_networks_parse(&qms_net.proxies, config->trusted_proxies);
	qms_networks_parse(&qms_net.metrics_from, config->metrics_from);
	qms_log_set(config->log_level, config->supervised);
}

/* Begins to serve.  False: it cannot, and why. */
bool
qms_server_start(uv_loop_t *loop, QmsConfig *config, QmsText *problem)
{
	qms_net.loop = loop;
	take_settings(config);
	raise_limit();
	if (!make_context(problem) || (config->tls_cert[0] != '\0' && !qms_tls_load(problem)))
		return false;
	count_limit();
	uv_prepare_init(loop, &prepare);
	uv_prepare_start(&prepare, on_prepare);
	uv_unref((uv_handle_t *) &prepare);
	uv_idle_init(loop, &reaper);
	qms_pages_set(config->pages);
	return qms_listen_start(config->listen, problem);
}

/* Other settings from now on, which are kept; the old ones are freed by the caller. */
void
qms_server_reload(QmsConfig *config)
{
	QmsConfig  *old = qms_net.config;
	QmsText		problem = {0};

	if ((old->tls_cert[0] == '\0') != (config->tls_cert[0] == '\0'))
		qms_log(QMS_LOG_WARNING, "TLS is switched on or off only by a restart", NULL, NULL);
	take_settings(config);
	count_limit();
	if (old->tls_cert[0] != '\0' && config->tls_cert[0] != '\0' && !qms_tls_load(&problem))
		qms_log(QMS_LOG_ERROR, problem.data, "The certificate that was loaded before stays in use.", NULL);
	qms_text_clear(&problem);
	if (strcmp(old->listen, config->listen) != 0 && !qms_listen_change(config->listen, &problem))
		qms_log(QMS_LOG_ERROR, problem.data, "It listens where it listened before.", NULL);
	qms_pages_set(config->pages);
	if (config->supervised && qms_sandbox_built && strcmp(old->pages, config->pages) != 0 && qms_pages_count() == 0)
		qms_log(QMS_LOG_WARNING, "another folder of pages cannot be read until the program is started again", config->pages, NULL);
	qms_text_free(&problem);
}

/* Who has not gone by himself by now is left behind. */
static void
on_stop_timer(void *arg)
{
	void		(*done) (void) = stop_done;

	(void) arg;
	stop_done = NULL;
	if (done != NULL)
		done();
}

/* No new connections; the hub has told its clients, and done is called once they are gone, or soon. */
void
qms_server_stop(void (*done) (void))
{
	qms_net.stopping = true;
	stop_done = done;
	qms_listen_stop();
	qms_wheel_add(&stop_timer, STOP_MS, on_stop_timer, NULL);
	end_if_empty();
}

/* The library's things are given back. */
void
qms_server_finish(void)
{
	int			rounds;

	if (qms_net.context == NULL)
		return;
	uv_prepare_stop(&prepare);
	qms_send_stop();
	lws_context_destroy(qms_net.context);
	for (rounds = 0; rounds < 100 && uv_run(qms_net.loop, UV_RUN_NOWAIT) != 0; rounds++)
		;
	qms_net.context = NULL;
	qms_text_free(&trouble);
	qms_pages_stop();
	qms_limits_stop();
	qms_networks_parse(&qms_net.proxies, "");
	qms_networks_parse(&qms_net.metrics_from, "");
}
