/*
 * channel.h
 *		Channels, their publications, their subscriptions.  Included by hub.h.
 */
#ifndef QMS_CHANNEL_H
#define QMS_CHANNEL_H

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

/* publish.c: rows of gateway_events into rings */
extern void qms_publish_rows(QmsDatabase *db, PGresult *result);
extern QmsFrame *qms_publish_text(const char *text);

/* channel.c */
extern QmsChannelKind qms_channel_kind(const char *name);
extern QmsChannel *qms_channel_get(QmsDatabase *db, const char *name);
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
extern QmsFrame *qms_ring_frame(QmsChannel *channel, const QmsClient *client, bool with_id, int64_t from, int64_t *to);
extern void qms_ring_forget_frames(void);

/* fanout.c */
extern void qms_fanout_channel(QmsChannel *channel);
extern void qms_fanout_forget(QmsChannel *channel);
extern void qms_fanout_run(void);
extern bool qms_fanout_is_done(void);

/* load.c */
extern void qms_load_want(QmsChannel *channel, QmsLoad load);
extern void qms_load_forget(QmsChannel *channel);
extern void qms_load_flush(QmsDatabase *db);

/* sub_start.c, sub_deliver.c */
extern bool qms_sub_is_ready(QmsSub *sub);
extern void qms_sub_result(QmsSub *sub, QmsPut *put);
extern void qms_sub_visit(QmsSub *sub);
extern bool qms_sub_deliver(QmsSub *sub);
extern bool qms_sub_is_behind(const QmsSub *sub);

#endif							/* QMS_CHANNEL_H */
