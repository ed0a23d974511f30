/*
 * net.h
 *		Inside of the transport: settings, loop, libwebsockets, HTTP, limits.
 */
#ifndef QMS_GATEWAY_NET_H
#define QMS_GATEWAY_NET_H

#include "gateway.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

/* ---- settings.c, settings_read.c, settings_json.c ---- */

#define QMS_HOST_SIZE 256
#define QMS_PORT_SIZE 6
#define QMS_MAX_FLAGS 64

typedef struct QmsFlags
{
	bool		help;
	bool		version;
	bool		check;
	bool		supervised;
	const char *file;			/* --config */
	const char *forbidden;		/* --try-forbidden: for the tests of the sandbox */
	const char *names[QMS_MAX_FLAGS];
	const char *values[QMS_MAX_FLAGS];
	int			n;
} QmsFlags;

extern char *qms_copy(const char *text);
extern bool qms_list_next(const char **list, char *word, size_t size);
extern bool qms_listen_split(const char *word, char host[QMS_HOST_SIZE], char port[QMS_PORT_SIZE]);
extern QmsConfig *qms_settings_new(void);
extern void qms_settings_free(QmsConfig *config);
extern bool qms_settings_set(QmsConfig *config, const char *name, const char *value, QmsText *problem);
extern bool qms_settings_add_database(QmsConfig *config, const char *name, const char *conninfo, QmsText *problem);
extern bool qms_settings_add_host(QmsConfig *config, const char *host, const char *database, QmsText *problem);
extern bool qms_settings_check(const QmsConfig *config, QmsText *problem);
extern const char *qms_settings_name(int i, bool *repeatable);
extern void qms_settings_help(FILE *to);
extern bool qms_flags_parse(int argc, char **argv, QmsFlags *flags, QmsText *problem);
extern QmsConfig *qms_settings_read(const QmsFlags *flags, QmsText *problem);
extern QmsConfig *qms_settings_of_json(const char *line, size_t size, QmsText *problem);

/* ---- log.c, supervisor.c, wheel.c ---- */

typedef void (*QmsSupervisorLine) (const char *line, size_t size);

extern void qms_log_set(const char *level, bool supervised);
extern bool qms_log_wants(QmsLogLevel level);
extern void qms_logf(QmsLogLevel level, const char *hint, const char *format,...) qms_printf_like(3, 4);
extern bool qms_supervisor_start(uv_loop_t *loop, QmsSupervisorLine line, void (*end) (void));
extern void qms_supervisor_stop(void);
extern void qms_supervisor_say(const QmsText *line);
extern void qms_supervisor_tell(const char *type, const char *name, const char *value);
extern void qms_supervisor_report(int alive_every);
extern void qms_supervisor_live(int every);
extern void qms_wheel_start(uv_loop_t *loop);
extern void qms_wheel_stop(void);

/* ---- address.c, origin.c, limits.c ---- */

#define QMS_ADDRESS_SIZE 46

typedef struct QmsAddress
{
	unsigned char bytes[16];	/* IPv4 as ::ffff:a.b.c.d */
} QmsAddress;

typedef struct QmsNetwork
{
	QmsAddress	address;
	int			bits;			/* of 128 */
} QmsNetwork;

typedef struct QmsNetworks
{
	QmsNetwork *list;
	int			n;
} QmsNetworks;

typedef struct QmsPeer QmsPeer;

extern bool qms_address_is_v4(const QmsAddress *address);
extern bool qms_address_parse(const char *text, QmsAddress *address);
extern bool qms_address_of_socket(const struct sockaddr *socket_address, QmsAddress *address);
extern void qms_address_text(const QmsAddress *address, char text[QMS_ADDRESS_SIZE]);
extern void qms_address_forwarded(const QmsNetworks *proxies, const char *forwarded, QmsAddress *address);
extern void qms_networks_parse(QmsNetworks *networks, const char *list);
extern bool qms_networks_check(const char *value, QmsText *problem);
extern bool qms_networks_contain(const QmsNetworks *networks, const QmsAddress *address);
extern bool qms_origins_check(const char *value, QmsText *problem);
extern bool qms_origin_allowed(const char *list, const char *origin, const char *host);
extern QmsPeer *qms_peer_get(const QmsAddress *address);
extern void qms_peer_release(QmsPeer *peer);
extern int	qms_peer_connections(const QmsPeer *peer);
extern bool qms_peer_request(QmsPeer *peer);
extern void qms_limits_stop(void);

/* ---- the transport's state: one program, one loop ---- */

typedef enum QmsCount
{
	QMS_ACCEPTED, QMS_FULL, QMS_FULL_ADDRESS, QMS_FLOOD, QMS_NO_REQUEST, QMS_SLOW_REQUEST, QMS_BAD_UPGRADE, QMS_BAD_ORIGIN,
	QMS_BAD_FRAME, QMS_BINARY, QMS_OVERSIZE, QMS_CHATTER, QMS_STUCK, QMS_LOST, QMS_MESSAGES_IN, QMS_BYTES_IN, QMS_MESSAGES_OUT,
	QMS_BYTES_OUT, QMS_COUNTS
} QmsCount;

typedef struct QmsNet
{
	uv_loop_t  *loop;
	struct lws_context *context;
	struct lws_vhost *vhost;
	QmsConfig  *config;
	QmsNetworks proxies;		/* trusted */
	QmsNetworks metrics_from;
	int			connections;	/* accepted sockets */
	int			most_connections;	/* what settings and descriptors allow */
	int			clients[3];		/* by QmsConnKind */
	bool		stopping;
	int64_t		counts[QMS_COUNTS];
	int64_t		replies[6];		/* by hundred of the status */
} QmsNet;

extern QmsNet qms_net;

/* ---- server.c, listen.c, tls.c: context, sockets ---- */

typedef enum QmsStage
{
	QMS_STAGE_REQUEST,			/* nothing or some headers so far */
	QMS_STAGE_REPLY,			/* an HTTP reply is being sent */
	QMS_STAGE_CLIENT,			/* the hub's: WebSocket or event stream */
	QMS_STAGE_GONE				/* the hub has been told, the library has not finished */
} QmsStage;

typedef struct QmsReply QmsReply;
typedef struct QmsBacklog QmsBacklog;
typedef struct QmsGuard QmsGuard;
typedef struct QmsLobby QmsLobby;

struct QmsConn
{
	struct lws *wsi;			/* null: nothing has arrived yet */
	QmsLobby   *lobby;			/* until then */
	QmsClient  *client;
	QmsPeer    *peer;			/* null: of a trusted proxy, and no request yet */
	QmsTimer	timer;			/* of the stage */
	QmsReply   *reply;
	QmsBacklog *backlog;		/* frames that wait for the socket */
	QmsGuard   *guard;			/* watches an HTTP socket that is only written */
	QmsText		message;		/* pieces so far; empty between messages */
	char	   *close_reason;
	QmsConn    *next_doomed;
	QmsConn    *next_scraping;
	QmsAddress	address;
	uint16_t	close_code;
	uint8_t		stage;
	uint8_t		kind;
	bool		binary;			/* its messages are Protobuf */
	bool		approved;		/* the upgrade was looked at */
	bool		gathered;		/* what is written to it goes out with others, see send.c */
	bool		scraping;		/* waits for the figures of the databases */
	bool		wanted;			/* the hub wants to know when it is clear */
	bool		opening;		/* inside qms_client_open */
	bool		closing;		/* to be closed with close_code once clear */
	bool		close_sent;
	bool		peer_closes;	/* the other side has sent its close frame */
	bool		dead;			/* doomed, or the library closes it */
};

#define QMS_SUBPROTOCOL_BINARY "centrifuge-protobuf"

extern bool qms_server_start(uv_loop_t *loop, QmsConfig *config, QmsText *problem);
extern void qms_server_reload(QmsConfig *config);
extern void qms_server_stop(void (*done) (void));
extern void qms_server_finish(void);
extern void qms_conn_new(int fd, const QmsAddress *address);
extern void qms_conn_doom(QmsConn *conn);
extern void qms_conn_expire(void *conn);
extern bool qms_listen_start(const char *list, QmsText *problem);
extern bool qms_listen_change(const char *list, QmsText *problem);
extern void qms_listen_stop(void);
extern void qms_listen_text(QmsText *text);
extern void qms_tls_context(void *ssl_ctx);
extern bool qms_tls_load(QmsText *problem);

/* ---- conn.c, pages.c, respond.c, http.c, sse.c, ws.c, metrics.c ---- */

typedef struct QmsPage
{
	char	   *path;			/* begins with / */
	const char *type;
	char	   *body;
	size_t		size;
	char		etag[40];
	int			refs;
	bool		seen;
	struct timespec mtime;
	ino_t		inode;
} QmsPage;

extern void qms_pages_set(const char *folder);
extern QmsPage *qms_pages_find(const char *path);
extern void qms_page_unref(QmsPage *page);
extern int	qms_pages_count(void);
extern void qms_pages_stop(void);
extern void qms_head_begin(QmsText *head, int status);
extern int	qms_reply_text(QmsConn *conn, int status, const char *type, const char *headers, const char *body);
extern int	qms_reply_page(QmsConn *conn, QmsPage *page, const char *policy);
extern int	qms_reply_refuse(QmsConn *conn, int status, const char *headers, const char *why);
extern int	qms_reply_continue(QmsConn *conn);
extern void qms_reply_free(QmsReply *reply);
extern bool qms_guard_start(QmsConn *conn);
extern void qms_guard_stop(QmsConn *conn);
extern bool qms_header(QmsConn *conn, enum lws_token_indexes token, char *value, size_t size);
extern bool qms_http_admit(QmsConn *conn);
extern int	qms_http_request(QmsConn *conn, const char *path);
extern int	qms_http_upgrade(QmsConn *conn, const char *to);
extern int	qms_client_begin(QmsConn *conn, QmsConnKind kind);
extern void qms_client_end(QmsConn *conn);
extern int	qms_sse_begin(QmsConn *conn);
extern int	qms_ws_begin(QmsConn *conn);
extern int	qms_ws_receive(QmsConn *conn, const char *piece, size_t size);
extern int	qms_conn_writeable(QmsConn *conn);
extern int	qms_conn_flush(QmsConn *conn);
extern void qms_metrics_write(QmsText *out);

/* ---- scrape.c ---- */

extern int	qms_scrape_begin(QmsConn *conn);
extern int	qms_scrape_reply(QmsConn *conn);
extern void qms_scrape_forget(QmsConn *conn);

/* ---- send.c ---- */

extern bool qms_send_gather(QmsConn *conn, QmsFrame *frame);
extern void qms_send_flush(void);
extern void qms_send_stop(void);

/* ---- sandbox.c, landlock.c, forbidden.c ---- */

extern const bool qms_sandbox_built;	/* not with a sanitizer */
extern void qms_sandbox_begin(bool supervised, pid_t parent);
extern bool qms_sandbox_enter(void);
extern bool qms_landlock_enter(const QmsConfig *config);
extern void qms_try_forbidden(const char *what);

#endif							/* QMS_GATEWAY_NET_H */
