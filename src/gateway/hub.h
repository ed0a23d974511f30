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
#define QMS_SLICE 500			/* receivers between two looks at the loop */
#define QMS_EVENTS_ROWS 500		/* events read at a time */
#define QMS_FRAME_LIMIT 65536	/* publications are gathered into one frame up to here */
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

/* In the order in which one wake is served. */
typedef enum QmsChannelKind
{
	QMS_STAFF, QMS_ADMIN, QMS_APPLICATION, QMS_DISPLAY, QMS_SYSTEM, QMS_QUEUE, QMS_VISIT,
	QMS_CHANNEL_KINDS
} QmsChannelKind;

typedef struct QmsEntry
{
	int64_t		position;
	QmsFrame   *data;			/* the envelope, shared by the rings it is in */
} QmsEntry;

typedef enum QmsKnown			/* what a channel knows of its rights for everybody */
{
	QMS_NOT_ASKED, QMS_ASKED, QMS_PUBLIC, QMS_NOT_PUBLIC
} QmsKnown;

typedef enum QmsLoad
{
	QMS_LOAD_NOTHING, QMS_LOAD_SNAPSHOT, QMS_LOAD_HISTORY
} QmsLoad;

struct QmsChannel
{
	QmsDatabase *db;
	QmsChannelKind kind;
	char	   *name;			/* as subscribers say it */
	char	   *canonical;		/* as the database says it; null: not known yet */
	QmsChannel *next_by_name;
	QmsChannel *next_by_canonical;

	QmsSub	   *first;
	QmsSub	   *last_sub;
	int			nsubs;
	QmsSub	   *walk;			/* the next to be visited */
	int			left;			/* visits to go */
	bool		queued;
	QmsChannel *next_queued;
	QmsTimer	linger;
	uint32_t	generation;		/* another after each break of the stream */

	QmsEntry   *ring;
	int			room;
	int			start;
	int			count;
	int64_t		floor;			/* the ring has all after it */
	int64_t		last;			/* position of the newest entry, or floor */
	int64_t		renew;			/* who is before it needs a snapshot: what happened there no publication tells */
	bool		has_history;	/* the database was asked for what was before */

	int64_t		news_at;		/* doorbell of the publications being served, 0: unknown */

	QmsFrame   *snapshot;
	int64_t		snapshot_position;
	int64_t		snapshot_asked;	/* when */
	QmsLoad		wanted;
	QmsLoad		flying;
	QmsChannel *next_wanted;
	int64_t		flying_since;

	QmsKnown	known;
	int64_t		known_at;
	QmsCheck   *check;
	int64_t		organization_id;	/* 0: not known; learnt from its events */
	int64_t		branch_id;		/* of displays and queues, likewise */

	int64_t		stats_at;		/* presence_stats, remembered a second */
	int			stats_users;
};

typedef enum QmsSubState
{
	QMS_SUB_CHECKING, QMS_SUB_LOADING, QMS_SUB_LIVE
} QmsSubState;

struct QmsHistory				/* a history command that waits for the database */
{
	uint32_t	command_id;
	int			limit;
	bool		reverse;
	bool		has_since;
	int64_t		offset;
	int64_t		began;
};

struct QmsSub
{
	QmsClient  *client;
	QmsChannel *channel;
	QmsSub	   *next;			/* of the channel */
	QmsSub	   *prev;
	QmsSub	   *next_of_client;
	int64_t		cursor;
	int64_t		began;			/* when, in milliseconds */
	int64_t		expires_at;		/* seconds since 1970, 0: with the connection */
	char	   *epoch;			/* of the place to recover from, null: no recovery */
	char	   *token;			/* its own, or null */
	char	   *data;
	QmsCheck   *check;
	QmsHistory *history;
	uint32_t	command_id;
	uint32_t	generation;
	uint8_t		state;			/* QmsSubState */
	bool		server_side;	/* the client did not ask for it by a command */
	bool		own_right;		/* checked for itself, not as one of the public */
};

typedef enum QmsClientState
{
	QMS_CLIENT_NEW, QMS_CLIENT_CHECKING, QMS_CLIENT_SETTLING, QMS_CLIENT_CONNECTED,
	QMS_CLIENT_GONE				/* told to go, or dying: nothing is sent any more */
} QmsClientState;

#define QMS_ADDRESS_SIZE 46

struct QmsClient
{
	QmsConn    *conn;
	QmsDatabase *db;
	QmsClient  *next;			/* of the database */
	QmsClient  *prev;
	QmsSub	   *subs;
	QmsOut	   *out;			/* replies that wait until the connection is clear */
	QmsOut	   *out_last;
	QmsCheck   *check;
	char	   *token;
	char	   *subject;
	char	   *backlog;		/* what was said before connect was answered */
	uint32_t	backlog_size;
	QmsTimer	timer;
	int64_t		organization_id;
	int64_t		expires_at;		/* seconds since 1970, 0: never */
	int64_t		began;			/* connect was said */
	int64_t		pinged;			/* 0: no pong is awaited */
	int64_t		next_ping;
	int64_t		behind_since;	/* 0: it keeps up */
	int64_t		allowance_at;	/* of commands */
	int64_t		event_id;		/* SSE: the last id it was told */
	uint32_t	out_bytes;
	uint32_t	connect_id;
	int			allowance;		/* commands it may say now */
	uint16_t	out_frames;
	uint16_t	nsubs;
	bool		refused;		/* one of the channels in its address is none */
	uint8_t		kind;			/* QmsConnKind */
	uint8_t		state;			/* QmsClientState */
	char		id[37];
	char		address[QMS_ADDRESS_SIZE];
};

/* A question to the database about somebody's rights. */
typedef enum QmsCheckKind
{
	QMS_CHECK_CONNECT, QMS_CHECK_REFRESH, QMS_CHECK_CONNECT_AGAIN,
	QMS_CHECK_SUBSCRIBE, QMS_CHECK_SUB_REFRESH, QMS_CHECK_SUBSCRIBE_AGAIN,
	QMS_CHECK_PUBLIC
} QmsCheckKind;

struct QmsCheck
{
	QmsCheck   *next;
	QmsCheckKind kind;
	QmsClient  *client;			/* one of the three; all null: nobody waits any more */
	QmsSub	   *sub;
	QmsChannel *channel;
	char	   *token;			/* of a refresh */
	uint32_t	command_id;		/* of a refresh */
};

typedef struct QmsAnswer		/* of gateway_check; strings live during the call */
{
	int			code;
	int64_t		expires_at;
	int64_t		organization_id;
	const char *subject;
	const char *channels;		/* lines */
	const char *canonical;
} QmsAnswer;

typedef struct QmsChecks
{
	QmsCheck   *first;
	QmsCheck   *last;
	int			count;
} QmsChecks;

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
	bool		rung;			/* there may be more */
	bool		asleep;			/* nobody is subscribed: events were not read */
	bool		complained;		/* about a database that cannot serve */
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
	QmsHistogram arrival;		/* commit to doorbell */
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

#define QMS_MAX_PARAMS 4

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

/* stream.c */
extern void qms_stream_start(QmsDatabase *db);
extern void qms_stream_stop(QmsDatabase *db);
extern void qms_stream_ring(QmsDatabase *db);
extern void qms_stream_hello(QmsDatabase *db);
extern void qms_stream_go_on(QmsDatabase *db);
extern void qms_stream_wake(QmsDatabase *db);
extern int64_t qms_result_int64(PGresult *result, int row, int column);
extern const char *qms_result_text(PGresult *result, int row, int column);
extern const char *qms_result_state(PGresult *result);
extern void qms_database_says(QmsDatabase *db, const char *what, PGresult *result);

/* publish.c: rows of gateway_events into rings */
extern void qms_publish_rows(QmsDatabase *db, PGresult *result);
extern QmsFrame *qms_publish_text(const char *text);

/* channel.c */
extern QmsChannelKind qms_channel_kind(const char *name);
extern QmsChannel *qms_channel_get(QmsDatabase *db, const char *name);
extern QmsChannel *qms_channel_find(QmsDatabase *db, const char *name);
extern QmsChannel *qms_channel_next(QmsDatabase *db, QmsChannel *after, const char *key);
extern void qms_channel_index(QmsChannel *channel, const char *canonical, int64_t organization_id);
extern void qms_channel_free(QmsChannel *channel);
extern void qms_channel_attach(QmsChannel *channel, QmsSub *sub);
extern void qms_channel_detach(QmsSub *sub);
extern void qms_channel_break(QmsChannel *channel);
extern bool qms_channel_is_state(const QmsChannel *channel);
extern QmsChannel *qms_channels_next(QmsDatabase *db, int *bucket, QmsChannel *channel);

/* ring.c */
extern void qms_ring_append(QmsChannel *channel, int64_t position, QmsFrame *data);
extern void qms_ring_clear(QmsChannel *channel, int64_t floor);
extern void qms_ring_replace(QmsChannel *channel, QmsEntry *entries, int count, int64_t floor, int64_t position);
extern int	qms_ring_after(const QmsChannel *channel, int64_t position);
extern const QmsEntry *qms_ring_entry(const QmsChannel *channel, int i);
extern QmsFrame *qms_ring_frame(QmsChannel *channel, QmsConnKind kind, bool with_id, int64_t from, int64_t *to);
extern void qms_ring_forget_frames(void);

/* fanout.c */
extern void qms_fanout_channel(QmsChannel *channel);
extern void qms_fanout_forget(QmsChannel *channel);
extern void qms_fanout_run(void);
extern bool qms_fanout_is_done(void);

/* check.c, recheck.c */
extern void qms_check_ask(QmsCheck *check);
extern QmsCheck *qms_check_new(QmsCheckKind kind);
extern void qms_check_forget(QmsCheck *check);
extern void qms_check_flush(QmsDatabase *db);
extern void qms_check_drop_all(QmsDatabase *db);
extern void qms_recheck_organization(QmsDatabase *db, int64_t organization_id);
extern void qms_recheck_client(QmsClient *client, bool all);
extern void qms_recheck_start(QmsDatabase *db);
extern void qms_recheck_stop(QmsDatabase *db);
extern void qms_recheck_public(QmsChannel *channel);

/* load.c */
extern void qms_load_want(QmsChannel *channel, QmsLoad load);
extern void qms_load_forget(QmsChannel *channel);
extern void qms_load_flush(QmsDatabase *db);

/* client.c */
extern void qms_client_disconnect(QmsClient *client, int code);
extern void qms_client_fail_waiting(QmsClient *client, int64_t before);
extern QmsSub *qms_client_sub(const QmsClient *client, const char *channel);

/* client_timer.c */
extern void qms_client_schedule(QmsClient *client);
extern void qms_client_start_pings(QmsClient *client);

/* client_write.c */
extern bool qms_client_at_ease(const QmsClient *client);
extern void qms_client_send(QmsClient *client, QmsFrame *frame);	/* takes the frame */
extern void qms_client_say(QmsClient *client, QmsText *text);	/* empties it */
extern void qms_client_error(QmsClient *client, uint32_t id, int code);
extern bool qms_client_write(QmsClient *client, QmsFrame *frame);	/* at ease: now */
extern void qms_client_drop_out(QmsClient *client);
extern void qms_client_tell_id(QmsClient *client);

/* client_connect.c */
extern void qms_client_connect(QmsClient *client, const QmsCommand *command);
extern void qms_client_connect_answer(QmsClient *client, const QmsAnswer *answer);
extern void qms_client_settled(QmsClient *client);
extern void qms_client_refresh(QmsClient *client, const QmsCommand *command);
extern void qms_client_refresh_answer(QmsClient *client, QmsCheck *check, const QmsAnswer *answer);
extern void qms_client_again_answer(QmsClient *client, const QmsAnswer *answer);

/* sub.c, client_subscribe.c */
extern void qms_client_subscribe(QmsClient *client, const QmsCommand *command);
extern void qms_client_unsubscribe(QmsClient *client, const QmsCommand *command);
extern void qms_client_sub_refresh(QmsClient *client, const QmsCommand *command);
extern QmsSub *qms_sub_new(QmsClient *client, const char *channel, const QmsPlace *place);
extern bool qms_sub_may_be_made(const QmsClient *client, const char *channel);
extern void qms_sub_ask(QmsSub *sub);
extern void qms_sub_free(QmsSub *sub);
extern void qms_sub_end(QmsSub *sub, int code, const char *reason);
extern void qms_sub_refuse(QmsSub *sub, int code);
extern void qms_sub_answer(QmsSub *sub, QmsCheck *check, const QmsAnswer *answer);
extern void qms_sub_public_answer(QmsChannel *channel, const QmsAnswer *answer);

/* sub_start.c, sub_deliver.c */
extern bool qms_sub_is_ready(QmsSub *sub);
extern void qms_sub_result(QmsSub *sub, QmsText *out);
extern void qms_sub_visit(QmsSub *sub);
extern bool qms_sub_deliver(QmsSub *sub);
extern bool qms_sub_is_behind(const QmsSub *sub);

/* client_look.c */
extern void qms_client_history(QmsClient *client, const QmsCommand *command);
extern void qms_client_history_answer(QmsSub *sub);
extern void qms_client_presence_stats(QmsClient *client, const QmsCommand *command);

#endif							/* QMS_HUB_H */
