/*
 * gateway.h
 *		The program qms_gateway: what its two halves know of one another.
 *
 * The hub (protocol, clients, channels, fan-out, databases) decides what is
 * sent to whom; the transport (libwebsockets, HTTP, settings, the loop) sends
 * it.  One libuv loop in one thread; only send.c has helpers.  No header of the PostgreSQL server here.
 */
#ifndef QMS_GATEWAY_H
#define QMS_GATEWAY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define qms_printf_like(f, a) __attribute__((format(printf, f, a)))
#else
#define qms_printf_like(f, a)
#endif

struct uv_loop_s;

/*
 * frame.c: an immutable message, shared by all who receive it.  data has
 * QMS_FRAME_ROOM bytes of room before it, for the library's frame header
 * (LWS_PRE; the transport asserts that it is no more).  One allocation.
 */
#define QMS_FRAME_ROOM 16

typedef struct QmsFrame
{
	int			refs;
	bool		binary;			/* of a WebSocket: no text */
	size_t		size;
	unsigned char *data;
} QmsFrame;

typedef struct QmsText QmsText;

extern QmsFrame *qms_frame_new(size_t size);
extern QmsFrame *qms_frame_of(QmsText *text);	/* the text is empty again */
extern QmsFrame *qms_frame_ref(QmsFrame *frame);
extern void qms_frame_unref(QmsFrame *frame);

/*
 * text.c: a buffer that grows.  {0} is an empty one; data always ends with a
 * zero byte once something was appended.  Without memory the program ends.
 */
struct QmsText
{
	char	   *data;
	size_t		size;
	size_t		room;
};

extern void qms_text_append(QmsText *text, const char *what, size_t size);
extern void qms_text_puts(QmsText *text, const char *what);
extern void qms_text_printf(QmsText *text, const char *format,...) qms_printf_like(2, 3);
extern void qms_text_json_string(QmsText *text, const char *what);	/* with its quotes */
extern bool qms_text_is_utf8(const char *text, size_t size);
extern void qms_text_clear(QmsText *text);	/* empty, the memory is kept */
extern void qms_text_free(QmsText *text);

/* log.c */
typedef enum QmsLogLevel
{
	QMS_LOG_DEBUG, QMS_LOG_INFO, QMS_LOG_WARNING, QMS_LOG_ERROR
} QmsLogLevel;

extern void qms_log(QmsLogLevel level, const char *message, const char *detail, const char *hint);

/* wheel.c: one timer wheel, grain 100 ms, all O(1).  {0} is a timer at rest. */
typedef struct QmsTimer QmsTimer;
typedef void (*QmsTimerCallback) (void *arg);

struct QmsTimer
{
	QmsTimer   *next;
	QmsTimer   *prev;			/* null: at rest */
	QmsTimerCallback callback;
	void	   *arg;
	uint32_t	due;			/* tick */
};

#define QMS_WHEEL_GRAIN 100		/* milliseconds */

extern void qms_wheel_add(QmsTimer *timer, int ms, QmsTimerCallback callback, void *arg); /* again: moved */
extern void qms_wheel_cancel(QmsTimer *timer);
extern int64_t qms_now_ms(void);	/* monotonic */

/* settings.c; lists are texts with commas, what is not set is "" */
typedef struct QmsConfigDatabase
{
	char	   *name;
	char	   *conninfo;
} QmsConfigDatabase;

typedef struct QmsConfigHost
{
	char	   *host;			/* lower case, no port */
	char	   *database;		/* name of a QmsConfigDatabase */
} QmsConfigHost;

typedef struct QmsConfig
{
	char	   *listen;
	QmsConfigDatabase *databases;
	int			ndatabases;
	QmsConfigHost *hosts;
	int			nhosts;
	char	   *pages;
	int			max_connections;
	int			max_connections_per_address;
	int			max_frame_size;
	int			max_commands_per_second;
	int			max_subscriptions;
	int			ping_interval;	/* seconds, 0: no pings */
	int			pong_timeout;	/* seconds */
	int			history_size;	/* publications kept per channel */
	int			send_threads;	/* 0: as the machine has processors */
	char	   *allowed_origins;
	char	   *tls_cert;
	char	   *tls_key;
	char	   *trusted_proxies;
	char	   *log_level;
	bool		supervised;
	/* the transport's own */
	int			max_requests_per_second;	/* of one address */
	int			request_timeout;	/* seconds */
	char	   *metrics_from;
	int			alive_every;	/* ms between signs of life for the supervisor; 0: none */
} QmsConfig;

/*
 * The transport's half, called by the hub.
 *
 * A QmsConn lives until the transport has called qms_client_closed, which it
 * does exactly once for every client it opened, never from inside one of
 * these calls: after qms_conn_close or a failed write it comes from the loop.
 */
typedef enum QmsConnKind
{
	QMS_CONN_WS, QMS_CONN_UNI_WS, QMS_CONN_SSE
} QmsConnKind;

typedef enum QmsForm			/* in which a client speaks the protocol; Protobuf only on QMS_CONN_WS */
{
	QMS_FORM_JSON, QMS_FORM_PROTOBUF, QMS_FORMS
} QmsForm;

typedef struct QmsConn QmsConn;
typedef struct QmsClient QmsClient;

extern bool qms_conn_is_clear(const QmsConn *conn); /* nothing of ours waits: a write goes to the kernel now */
extern int	qms_conn_write(QmsConn *conn, QmsFrame *frame);	/* one message, SSE: bytes as they are; -1: it is dying */
extern void qms_conn_want(QmsConn *conn);	/* qms_client_writable once clear */
extern void qms_conn_close(QmsConn *conn, int code, const char *reason);
extern void qms_send_begin(void);	/* writes are gathered ... */
extern void qms_send_end(void);	/* ... and go out now, from several threads */

/* The hub's half, called by the transport. */
#define QMS_OPENING_CHANNELS 8

typedef struct QmsOpening		/* valid during the call */
{
	QmsConnKind kind;
	QmsForm		form;
	const char *host;			/* the request's Host, or null */
	const char *address;
	const char *origin;
	const char *token;			/* Authorization: Bearer, or null */
	const char *channels[QMS_OPENING_CHANNELS]; /* of SSE and uni: ?channel=...&channel=... */
	int			nchannels;
	const char *last_event_id;
} QmsOpening;

extern QmsClient *qms_client_open(QmsConn *conn, const QmsOpening *opening);	/* null: refused, close it */
extern void qms_client_message(QmsClient *client, const char *text, size_t size);	/* a whole message of its form */
extern void qms_client_bad_request(QmsClient *client);	/* it sent a message of another form */
extern void qms_client_writable(QmsClient *client);
extern void qms_client_closed(QmsClient *client);

extern void qms_hub_init(const QmsConfig *config, struct uv_loop_s *loop);	/* the config is copied as needed */
extern void qms_hub_reload(const QmsConfig *config);
extern void qms_hub_stop(void);	/* all clients told 3001 "shutdown", databases closed */
extern void qms_hub_metrics(QmsText *out);	/* Prometheus text */
extern bool qms_hub_metrics_ask(void (*done) (void));	/* false: that is called when they are there */
extern bool qms_hub_ready(void);	/* some database is connected and its stream is known */

/* What a status line says (see the supervised form). */
typedef struct QmsHubStatus
{
	int64_t		connections;
	int64_t		subscriptions;
	int64_t		messages;
	int64_t		bytes;
	int64_t		drops;
	double		lag_ms;			/* of the last wake: doorbell to last write */
} QmsHubStatus;

extern void qms_hub_status(QmsHubStatus *status);
extern void qms_hub_databases_json(QmsText *out);	/* [{"name","connected","position","error"}] */

/* ---------- net: your own things below this line ---------- */

/* ---------- hub: inside of the hub is in hub.h ---------- */

#endif							/* QMS_GATEWAY_H */
