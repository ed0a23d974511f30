/*
 * look.h
 *		What staff and the public look at.  Nothing here changes anything.
 */
#ifndef QMS_LOOK_H
#define QMS_LOOK_H

#include "queue/queue.h"

/* More than anybody reads; a caller who wants all reads the event stream. */
#define QMS_LOOK_MOST_ROWS 10000

/* Waiting people are counted one by one up to here. */
#define QMS_LOOK_COUNTED 1000

typedef struct QmsLookBranch
{
	int64		organization_id;
	TimestampTz midnight;		/* beginning of today, local to the branch */
} QmsLookBranch;

/* branch.c: $1 branch, $2 now, $3 beginning of today, $4 where counting ends; columns of qms.branch_queue */
extern QmsPlan qms_look_queues_of_branch;

/* look.c */
extern int32 qms_look_max_rows(QmsCall *call, int n);
extern void qms_look_branch(QmsCall *call, int64 branch_id, QmsLookBranch *branch);
extern bool qms_look_is_blind(QmsCall *call);
extern void qms_look_fetch(QmsCall *call, int r, Datum **values, bool **nulls);

/*
 * Pieces of statements.  OPEN_SPANS: today's opening hours of an owner, as
 * [{opens, closes}] in local time; null: it has none, and is always open.
 * OPEN_NOW: does one of them contain the present?  local is a timestamp.
 */
#define QMS_LOOK_TIME(t) \
	"pg_catalog.to_char(" t " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"
#define QMS_LOOK_HAS_HOURS(owner) \
	"EXISTS (SELECT 1 FROM qms.opening_hours h WHERE " owner ")"
#define QMS_LOOK_OPEN_SPANS(owner, local) \
	"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"'opens', pg_catalog.to_char(h.opens, 'HH24:MI'), 'closes', pg_catalog.to_char(h.closes, 'HH24:MI')) " \
	"ORDER BY h.opens), '[]') FROM qms.opening_hours h WHERE " owner " " \
	"AND h.weekday = extract(isodow FROM " local "))"
#define QMS_LOOK_OPEN_NOW(owner, local) \
	"EXISTS (SELECT 1 FROM qms.opening_hours h WHERE " owner " " \
	"AND h.weekday = extract(isodow FROM " local ") AND " local "::time >= h.opens AND " local "::time < h.closes)"
#define QMS_LOOK_IS_CLOSURE(branch, now) \
	"EXISTS (SELECT 1 FROM qms.closure l WHERE l.branch_id = " branch " AND l.deleted_at IS NULL " \
	"AND l.during @> " now ")"

/* ---- What the gateway asks: feed.c, channels.c ---- */

/* One moment, that everything of a call is read in. */
typedef struct QmsMoment
{
	Snapshot	snapshot;
	QmsStream	stream;
	TimestampTz now;
} QmsMoment;

/*
 * An event e, its counter c, its queue q and what is said of its hours, h; in
 * the order of F_... in envelope.c.  What the events say of a queue counts: it is
 * closed outside of its hours, whatever people have set.
 */
#define QMS_QUEUE_STATUS "CASE WHEN h.is_open THEN q.status WHEN h.is_open IS NULL THEN q.status ELSE 'closed' END"
#define QMS_QUEUE_HOURS \
	"LEFT JOIN qms_internal.queue_hours h ON h.queue_id = q.queue_id AND h.organization_id = q.organization_id "
#define QMS_FEED_COLUMNS \
	"p.position, e.event_id, e.at, e.kind, e.organization_id, e.branch_id, e.queue_id, e.application_id, e.visit_id, " \
	"e.ticket_id, e.number, e.state, e.version, e.counter_id, c.name, c.zone_id, e.actor_kind, e.actor_id, e.actor_role, " \
	"e.data, " QMS_IS_SHOWN_PUBLICLY ", " QMS_IS_SYSTEM ", " QMS_QUEUE_STATUS " "
#define QMS_FEED_JOINS \
	"LEFT JOIN qms.event e ON e.event_id = p.event_id AND e.at = p.at " \
	"LEFT JOIN qms.counter c ON c.counter_id = e.counter_id " \
	"LEFT JOIN qms.queue q ON q.queue_id = e.queue_id " QMS_QUEUE_HOURS
#define QMS_FEED_WIDTH 23

typedef struct QmsFeedEvent
{
	Datum		values[QMS_FEED_WIDTH];
	bool		nulls[QMS_FEED_WIDTH];
	int64		position;
	const char *kind;			/* NULL: its row is not there any more */
	TimestampTz at;
	bool		is_public;
	bool		is_system;
	int64		organization_id;
	int64		branch_id;
	int64		queue_id;
	int64		application_id;
	int64		visit_id;
	int64		counter_id;
	int64		zone_id;		/* 0: of no counter, or one in no zone */
	const char *queue_status;	/* NULL: of no queue */
} QmsFeedEvent;

/* envelope.c */
extern void qms_feed_fetch(SPITupleTable *rows, uint64 r, QmsFeedEvent *event);
extern void qms_feed_full(StringInfo out, const QmsFeedEvent *event, const char *epoch);
extern void qms_feed_public(StringInfo out, const QmsFeedEvent *event, const char *epoch, const char *figures);
extern void qms_feed_of_visit(StringInfo out, const QmsFeedEvent *event, const char *epoch);
extern bool qms_feed_changes_rights(const QmsFeedEvent *event);
extern bool qms_feed_changes_what_is_shown(const QmsFeedEvent *event);
extern int64 qms_feed_from_queue(const QmsFeedEvent *event);
extern int64 qms_feed_undone_transfer(const QmsFeedEvent *event);

/* figures.c */
extern void qms_figures_write(StringInfo out, int64 queue_id, const char *status, TimestampTz now);
extern int64 qms_feed_other_queue(const QmsFeedEvent *event, const QmsMoment *moment, char **status);
extern char *qms_figures_of_event(const char *figures, int64 other, const char *status, TimestampTz now);

/* feed.c */
extern void qms_feed_begin(QmsCall *call, FunctionCallInfo fcinfo, const QmsFunction *function);
extern Datum qms_feed_end(QmsCall *call);
extern void qms_moment_take(QmsMoment *moment, QmsCall *call);
extern void qms_moment_release(QmsMoment *moment);

/* snapshot.c, snapshot_staff.c: what a channel shows, behind the head of it */
extern bool qms_snapshot_branch(StringInfo out, int64 branch_id, const QmsMoment *moment, TimestampTz *midnight);
extern char *qms_snapshot_number(int r, int c);
extern void qms_snapshot_write(StringInfo out, const QmsChannel *channel, const QmsMoment *moment);
extern void qms_snapshot_staff(StringInfo out, int64 branch_id, const QmsMoment *moment);
extern void qms_snapshot_visit(StringInfo out, int64 visit_id, const QmsMoment *moment);

extern void qms_look_set_text(Datum *values, bool *nulls, int column, const char *text);	/* NULL: null */

#endif							/* QMS_LOOK_H */
