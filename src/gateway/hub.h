/*
 * hub.h
 *		The inside of the hub: databases, channels, clients, subscriptions.
 *
 * A publication is an event of the database in a channel; its offset is the
 * event's position.  Every channel keeps its latest publications in a ring
 * (floor, last]; every subscription has a cursor: all publications up to it
 * were sent, none after it.  Whatever happens, a subscription that is live
 * gets exactly the ring's entries after its cursor, in order, or is told that
 * it cannot.  See contrib-docs/gateway.md, "How it works".
 */
#ifndef QMS_HUB_H
#define QMS_HUB_H

#include <libpq-fe.h>
#include <uv.h>

#include "gateway.h"
#include "protocol.h"

/* Bounds.  Times are milliseconds where nothing else is said. */
#ifndef QMS_SLICE
#define QMS_SLICE 200			/* receivers between two looks at the loop; tests take fewer */
#endif
#define QMS_EVENTS_ROWS 500		/* events read at a time */
#define QMS_PUSH_LIMIT 8192		/* publications are gathered into one frame up to here; what a socket does not take of it is copied */
#define QMS_FRAME_LIMIT 65536	/* publications in one reply */
#define QMS_OUT_FRAMES 512		/* replies that wait for a client that does not read */
#define QMS_OUT_BYTES (256 * 1024)
#define QMS_BACKLOG (128 * 1024)	/* said before connect was answered */
#define QMS_SNAPSHOT_AGE 1000	/* so long one snapshot serves whoever comes */
#define QMS_ANSWER_MS 5000		/* so long a command waits for the database */
#define QMS_STALE_MS 10000		/* so long a connection may wait before it says connect */
#define QMS_BEHIND_MS 60000		/* so long a client may be behind before it counts as slow */
#define QMS_LINGER_MS 30000		/* so long a channel without subscribers is kept */
#define QMS_LINGERING 1000		/* as many of them at most */
#define QMS_RECHECK_MS 60000	/* rights are asked again at least so often */
#define QMS_RECHECK_GATHER 200	/* rechecks asked for by events are gathered so long */
#define QMS_LOOK_MS 30000		/* without a doorbell, a look at the stream */
#define QMS_PATIENCE_MS 20000	/* a read waits so long in the database, less than QMS_QUERY_MS and statement_timeout */
#define QMS_HASTY_NS INT64_C(200000000) /* one that comes back empty sooner has not waited */
#define QMS_HELLO_MS 2000		/* a database that cannot serve yet is asked again */
#define QMS_QUERY_MS 30000		/* a query that takes longer: the connection is given up */
#define QMS_BACKOFF_FIRST 100
#define QMS_BACKOFF_MOST 5000
#define QMS_CHECKS_AT_ONCE 500	/* in one statement */
#define QMS_LOADS_AT_ONCE 100	/* in one statement */
#define QMS_MAX_SUBS 1000000	/* of all clients */
#define QMS_EPOCH_SIZE 64

typedef struct QmsDatabase QmsDatabase;
typedef struct QmsChannel QmsChannel;
typedef struct QmsSub QmsSub;
typedef struct QmsCheck QmsCheck;
typedef struct QmsLink QmsLink;
typedef struct QmsHistory QmsHistory;
typedef struct QmsOut QmsOut;

#include "channel.h"
#include "client.h"

struct QmsDatabase
{
	QmsDatabase *next;
	char	   *name;
	char	   *conninfo;
	bool		doomed;			/* no longer in the settings */
	QmsLink    *stream;			/* doorbell and events */
	QmsLink    *work;			/* checks and snapshots */

	/* stream.c */
	char		epoch[QMS_EPOCH_SIZE];	/* "": not known yet */
	int64_t		position;		/* all events up to it are in the rings */
	bool		streaming;
	bool		saying_hello;
	bool		reading;
	bool		patient;		/* the read waits in the database until there is something */
	bool		hasty;			/* such reads came back empty at once: doorbells instead, for a while */
	bool		figures_changed;	/* since what is being read was asked for */
	bool		rung;			/* there may be more */
	QmsText		figures;		/* branches and queues that are looked at, as an array; empty: to be made */
	bool		asleep;			/* nobody is subscribed: events were not read */
	bool		complained;		/* about a database that cannot serve */
	int64_t		asked_at;		/* nanoseconds: the read that is under way */
	int64_t		rung_at;		/* nanoseconds: the first doorbell not answered yet, 0: none */
	int64_t		wake_at;		/* the doorbell that is being answered */
	int			unfinished;		/* events read since fan-out had nothing to do */
	QmsTimer	look;

	/* channel.c */
	QmsChannel **by_name;
	QmsChannel **by_canonical;
	int			nbuckets;
	int			nchannels;

	/* client.c */
	QmsClient  *clients;
	QmsClient  *sweep;			/* the next whose rights are asked again */
	int			nclients;
	QmsTimer	tick;

	/* check.c, load.c */
	QmsChecks	local;			/* that need no database */
	QmsChecks	checks;
	QmsChecks	flying;
	bool		checking;
	QmsChannel *wanted;			/* snapshots and histories to be asked for */
	QmsChannel *wanted_last;
	bool		loading;
	QmsTimer	pause;			/* before snapshots are asked for again */
	int64_t		recheck_organizations[16];	/* gathered; more: all */
	int			nrecheck;		/* -1: all */
	QmsTimer	recheck;
	char	   *error;			/* the last one, for the status */
};

/* hub_metrics.c */
#define QMS_LATENCY_BUCKETS 16

typedef struct QmsHistogram
{
	uint64_t	buckets[QMS_LATENCY_BUCKETS + 1];
	uint64_t	count;
	double		sum;			/* seconds */
} QmsHistogram;

typedef struct QmsCounters
{
	int64_t		connections;
	int64_t		forms[QMS_FORMS];	/* of them, by the form they speak */
	int64_t		subscriptions;
	uint64_t	connects;
	uint64_t	commands;
	uint64_t	bad_requests;
	uint64_t	refused_commands;	/* too many a second */
	uint64_t	messages;		/* frames written */
	uint64_t	bytes;
	uint64_t	publications;	/* events put into rings */
	uint64_t	events;			/* read from databases */
	uint64_t	wakes;
	uint64_t	direct;			/* publications' frames written at once */
	uint64_t	late;			/* written when the client was clear again */
	uint64_t	snapshots;		/* sent instead of publications, on state channels */
	uint64_t	slow;			/* clients disconnected as slow */
	uint64_t	recovered;
	uint64_t	not_recovered;
	uint64_t	resets;			/* breaks of a stream */
	uint64_t	checks;
	uint64_t	check_statements;
	uint64_t	loads;
	uint64_t	load_statements;
	uint64_t	reconnects;		/* of databases */
	uint64_t	disconnects[16];	/* by code, see hub_metrics.c */
	QmsHistogram delivery[QMS_CHANNEL_KINDS];	/* doorbell to the last write */
	QmsHistogram arrival;		/* an event's own moment to its arrival here */
	double		lag_ms;
} QmsCounters;

typedef struct QmsHub
{
	uv_loop_t  *loop;
	uv_check_t	turn;			/* once each turn of the loop */
	uv_idle_t	busy;			/* runs while fan-out has more to do */
	bool		started;
	bool		stopping;
	QmsDatabase *databases;
	QmsConfigHost *hosts;
	int			nhosts;
	int			max_commands_per_second;
	int			max_subscriptions;
	int			ping_interval;
	int			pong_timeout;
	int			history_size;
	int			lingering;
	QmsCounters counters;
	QmsText		scratch;		/* for whoever builds a frame; empty between uses */
} QmsHub;

extern QmsHub qms_hub;

/* hub.c */
extern void qms_hub_busy(void);
extern void *qms_alloc(size_t size);
extern char *qms_hub_copy(const char *text);
extern int64_t qms_now_unix(void);
extern int64_t qms_now_ns(void);
extern QmsDatabase *qms_hub_database_of(const char *host);
extern void qms_hub_let_go(QmsDatabase *db);

/* hub_metrics.c */
extern void qms_histogram_add(QmsHistogram *histogram, double seconds);
extern void qms_count_disconnect(int code);

/* database.c: a connection to a database, never blocking */
typedef enum QmsStatement
{
	QMS_SQL_HELLO, QMS_SQL_EVENTS, QMS_SQL_CHECK, QMS_SQL_CHANNELS, QMS_STATEMENTS
} QmsStatement;

#define QMS_MAX_PARAMS 5

/* result null: the connection was lost, or never made; the callee frees nothing. */
typedef void (*QmsQueryDone) (QmsDatabase *db, PGresult *result);

typedef struct QmsLinkEvents
{
	void		(*up) (QmsDatabase *db);
	void		(*down) (QmsDatabase *db);
	void		(*notified) (QmsDatabase *db);
} QmsLinkEvents;

extern QmsLink *qms_link_new(QmsDatabase *db, const char *purpose, bool listen, const QmsLinkEvents *events);
extern void qms_link_free(QmsLink *link);
extern void qms_link_restart(QmsLink *link);	/* with the database's conninfo of now */
extern bool qms_link_is_up(const QmsLink *link);
extern void qms_link_query(QmsLink *link, QmsStatement statement, const char *const *values, QmsQueryDone done);

/* link_begin.c */
extern PGconn *qms_link_begin(const char *conninfo);

/* stream.c */
extern void qms_stream_start(QmsDatabase *db);
extern void qms_stream_stop(QmsDatabase *db);
extern void qms_stream_ring(QmsDatabase *db);
extern void qms_stream_hello(QmsDatabase *db);
extern void qms_stream_forget_figures(QmsDatabase *db);
extern void qms_stream_go_on(QmsDatabase *db);
extern void qms_stream_wake(QmsDatabase *db);
extern int64_t qms_result_int64(PGresult *result, int row, int column);
extern const char *qms_result_text(PGresult *result, int row, int column);
extern const char *qms_result_state(PGresult *result);
extern void qms_database_says(QmsDatabase *db, const char *what, PGresult *result);

#endif							/* QMS_HUB_H */
