/*
 * fold.h
 *		How the figures of an hour are made from events; for src/stats only.
 */
#ifndef QMS_STATS_FOLD_H
#define QMS_STATS_FOLD_H

#include "stats/stats.h"

#include "pgtime.h"
#include "utils/hsearch.h"

typedef enum QmsEventKind
{
	QMS_E_OTHER,
	QMS_E_JOINED,
	QMS_E_CALLED,
	QMS_E_RECALLED,
	QMS_E_SERVING,
	QMS_E_COMPLETED,
	QMS_E_NO_SHOW,
	QMS_E_CANCELLED,
	QMS_E_EXPIRED,
	QMS_E_REVOKED,
	QMS_E_HELD,
	QMS_E_RESUMED,
	QMS_E_REQUEUED,
	QMS_E_DEFERRED,
	QMS_E_TRANSFERRED,
	QMS_E_RELEASED,
	QMS_E_ADMITTED,
	QMS_E_UNDONE,
	QMS_E_COUNTER_OPENED,
	QMS_E_COUNTER_PAUSED,
	QMS_E_COUNTER_RESUMED,
	QMS_E_COUNTER_CLOSED
} QmsEventKind;

/* An event of a ticket, as the fold needs it. */
typedef struct QmsTicketEvent
{
	int64		event_id;
	TimestampTz at;
	QmsEventKind kind;
	char		state;			/* first letter of the state afterwards */
	int64		queue_id;
	int64		customer_class_id;	/* 0: not said */
	int64		from_queue_id;
	int64		undone_event_id;
	bool		begins_visit;
	bool		walk_up;
	bool		implied;		/* of serving: nobody pressed start */
	bool		reinstated;
	bool		for_other;		/* of held: while another ticket of the visit is served */
	/* found by qms_fold_ticket */
	bool		undone;
	bool		serves_at_once; /* of called: the service began with it */
	int64		served_usec;	/* of completed; -1: it was not served */
} QmsTicketEvent;

/* What one event means for one queue. */
typedef struct QmsFact
{
	const QmsTicketEvent *event;
	int64		queue_id;
	int64		customer_class_id;
	QmsStatsCount count;
	int64		waited;			/* microseconds; -1: no wait ends here */
	int64		served;
	int64		abandoned;
} QmsFact;

typedef void (*QmsFactCallback) (const QmsFact *fact, void *arg);

/* fold.c */
extern QmsEventKind qms_event_kind(const char *kind);
extern void qms_fold_ticket(QmsTicketEvent *events, int n, QmsFactCallback callback, void *arg);

/* ---- hours ---- */

/* What a branch, or the waiting rooms of an organization, is counted by: one unit. */
typedef struct QmsUnitKey
{
	int64		organization_id;
	int64		branch_id;		/* 0: queues of applications */
} QmsUnitKey;

/* An hour of the local clock. */
typedef struct QmsLocalHour
{
	TimestampTz starts_at;
	TimestampTz ends_at;
	DateADT		date;
	int			hour;
} QmsLocalHour;

typedef struct QmsUnit
{
	QmsUnitKey	key;
	pg_tz	   *zone;
	pg_tz	   *organization_zone;
	QmsLocalHour hour;			/* of a window: its beginning may be shown by the local clock as another one */
} QmsUnit;

/* local.c */
extern void qms_local_hour(TimestampTz at, pg_tz *zone, QmsLocalHour *hour);
extern TimestampTz qms_local_midnight(DateADT date, pg_tz *zone);
extern pg_tz *qms_local_zone(const char *name);
extern pg_tz *qms_local_zone_of(QmsStatsOf of, int64 id);

/* ---- staff.c: what counters and their staff do in an hour ---- */

typedef struct QmsStaffHour QmsStaffHour;

extern QmsStaffHour *qms_staff_hour_begin(MemoryContext context, TimestampTz starts_at, TimestampTz ends_at);
extern void qms_staff_hour_carry(QmsStaffHour *hour, const QmsUnitKey *unit, const Jsonb *carry);

/* An event of a counter, or one that a ticket has at a counter. */
typedef struct QmsCounterEvent
{
	TimestampTz at;
	QmsEventKind kind;
	QmsUnitKey	unit;
	int64		counter_id;
	int64		from_counter_id;
	int64		staff_id;
	int64		ticket_id;
	char	   *reason;
	bool		serves_at_once;
	bool		implied;
	int64		served_usec;
} QmsCounterEvent;

extern void qms_staff_hour_event(QmsStaffHour *hour, const QmsCounterEvent *event);
extern void qms_staff_hour_end(QmsStaffHour *hour, TimestampTz until);
extern Jsonb *qms_staff_hour_open(QmsStaffHour *hour, const QmsUnitKey *unit);
extern void qms_staff_hour_write(QmsStaffHour *hour, const QmsUnit *unit, const QmsLocalHour *local,
								 TimestampTz computed_at);

/* ---- store.c: rows of qms.analytics_snapshot ---- */

typedef struct QmsSnapshotKey
{
	int64		organization_id;
	int64		branch_id;		/* 0: null */
	int64		queue_id;		/* 0: null */
	const char *customer_class; /* NULL: all */
} QmsSnapshotKey;

extern const char *qms_snapshot_columns(void);	/* of the figures, for qms_snapshot_read */
extern void qms_snapshot_read(int r, int column, QmsStats *stats);
extern void qms_snapshot_insert(const QmsSnapshotKey *key, QmsStatsPeriod period, const QmsLocalHour *local,
								int64 target, const QmsStats *stats, TimestampTz computed_at);

/* ---- window.c: one hour of all units that it is due for ---- */

typedef struct QmsWindowQueue
{
	int64		queue_id;		/* hash key */
	QmsUnitKey	unit;
	bool		simulated;
	int64		target;
} QmsWindowQueue;

typedef struct QmsWindowClass
{
	int64		customer_class_id;	/* hash key */
	char	   *name;
} QmsWindowClass;

typedef struct QmsCellKey
{
	int64		queue_id;
	int64		customer_class_id;
} QmsCellKey;

/* The figures of a class in a queue. */
typedef struct QmsCell
{
	QmsCellKey	key;
	const QmsWindowQueue *queue;
	const char *class_name;
	QmsStats   *stats;
} QmsCell;

typedef struct QmsWindow
{
	MemoryContext context;
	TimestampTz starts_at;
	TimestampTz ends_at;
	int64		mark;			/* what became due up to this turn is done by it */
	int64		after;			/* events up to here have been read */
	int64		last;
	HTAB	   *units;
	HTAB	   *queues;
	HTAB	   *classes;
	HTAB	   *cells;
	QmsStaffHour *staff;
} QmsWindow;

extern HTAB *qms_window_table(MemoryContext context, const char *name, Size keysize, Size entrysize);
extern QmsWindow *qms_window_next(MemoryContext parent, TimestampTz now, int64 organization_id);
extern QmsWindowQueue *qms_window_queue(QmsWindow *window, int64 queue_id);
extern const char *qms_window_class(QmsWindow *window, int64 customer_class_id);
extern bool qms_window_is_due(QmsWindow *window, const QmsUnitKey *key, TimestampTz at);
extern void qms_window_free(QmsWindow *window);

/* batch.c: reads on; false: all is read */
extern bool qms_window_step(QmsWindow *window);

/* write.c */
extern void qms_window_write(QmsWindow *window, TimestampTz now);
extern void qms_window_postpone(const QmsWindow *window, TimestampTz until);

/* days.c: days and organizations, from hours; false: nothing is due */
extern bool qms_days_step(TimestampTz now, int64 organization_id);

/* collect.c: what is new in the log; true: there is more */
extern bool qms_stats_collect(void);
extern void qms_stats_mark_range(TimestampTz since, TimestampTz before, int64 organization_id);
extern TimestampTz qms_stats_floor(void);
extern void qms_stats_mark_ended(TimestampTz now);
extern bool qms_stats_is_due(TimestampTz now);

#endif							/* QMS_STATS_FOLD_H */
