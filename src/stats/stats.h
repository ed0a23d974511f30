/*
 * stats.h
 *		Statistics made from the event log: hours and days of queues, branches and
 *		organizations, and what staff did.
 *
 * What is stored can be added: counts, sums, and distributions as sketches.  So
 * any span of hours, any set of queues is the sum of its parts, and a quantile of
 * the sum has the same bound of error as one of an hour.  What each figure means
 * is in contrib-docs/analytics.md.
 */
#ifndef QMS_STATS_H
#define QMS_STATS_H

#include "look/look.h"

/* ---- sketch.c: a distribution of durations, as a histogram with bins of equal ratio ---- */

/*
 * Bin 0 is below a second; bin i from 1 ends at gamma^i seconds, gamma = 1.01 /
 * 0.99.  The last one holds all from a little over 7 days.  A quantile is the
 * middle of its bin: at most 1 % from a value that is there; below a second, 0.
 */
#define QMS_SKETCH_BINS 668
#define QMS_SKETCH_ERROR 0.01

typedef struct QmsSketch
{
	int64		count;			/* of all bins */
	int64		bins[QMS_SKETCH_BINS];
} QmsSketch;

extern void qms_sketch_add(QmsSketch *sketch, int64 usec);
extern void qms_sketch_merge(QmsSketch *into, const QmsSketch *from);
extern int64 qms_sketch_quantile(const QmsSketch *sketch, double q);	/* microseconds; -1: it is empty */
extern int64 qms_sketch_count_up_to(const QmsSketch *sketch, int64 usec);	/* how many were not longer */
extern bytea *qms_sketch_pack(const QmsSketch *sketch); /* as qms.wait_sketch stores it */
extern void qms_sketch_unpack(const struct varlena *packed, QmsSketch *sketch);
extern bool qms_sketch_read(const uint8 *bytes, Size size, QmsSketch *sketch);

/* ---- times.c: durations, with what can be added of them ---- */

typedef struct QmsTimes
{
	int64		count;
	int64		sum;			/* microseconds */
	double		squares;		/* sum of squares, in seconds^2 */
	int64		max;			/* microseconds */
	QmsSketch	sketch;
} QmsTimes;

extern void qms_times_add(QmsTimes *times, int64 usec);
extern void qms_times_merge(QmsTimes *into, const QmsTimes *from);
extern int64 qms_times_mean(const QmsTimes *times); /* microseconds; -1: there are none */
extern double qms_times_variance(const QmsTimes *times);	/* seconds^2, of the sample; 0 below two */
extern int64 qms_times_quantile(const QmsTimes *times, double q);	/* not above max; -1: there are none */

/* ---- What is counted of an hour ---- */

typedef enum QmsStatsCount
{
	QMS_N_VISITS,				/* people who came: joins that begin a visit */
	QMS_N_JOINED,				/* tickets taken, walk-ups too */
	QMS_N_WALK_UPS,				/* of those: served at once, without waiting */
	QMS_N_TRANSFERRED_IN,		/* legs that came from another queue */
	QMS_N_CALLED,
	QMS_N_RECALLED,
	QMS_N_STARTED,				/* services begun */
	QMS_N_COMPLETED,
	QMS_N_NO_SHOW,
	QMS_N_CANCELLED,			/* by staff or otherwise, before they were called or after */
	QMS_N_EXPIRED,
	QMS_N_REVOKED,
	QMS_N_TRANSFERRED_OUT,
	QMS_N_REQUEUED,
	QMS_N_HELD,
	QMS_N_DEFERRED,
	QMS_N_REINSTATED,
	QMS_N_RELEASED,				/* of waiting rooms: let in */
	QMS_N_ADMITTED,				/* ... and came */
	QMS_N_ABANDONED,			/* went before they were called: of cancelled and expired */
	QMS_N_WITHIN_TARGET,		/* waits not longer than the target of their queue */
	QMS_STATS_COUNTS
} QmsStatsCount;

typedef struct QmsStats
{
	int64		n[QMS_STATS_COUNTS];
	QmsTimes	wait;			/* from entering the queue to the call, the release or the start */
	QmsTimes	service;		/* from the start to the end */
	QmsTimes	abandoned;		/* from entering the queue to going without a call */
	TimestampTz computed_at;	/* the oldest of what was added; QMS_NO_TIME (or 0): nothing was */
} QmsStats;

extern const char *qms_stats_count_name(QmsStatsCount which);	/* the column of qms.analytics_snapshot */
extern void qms_stats_merge(QmsStats *into, const QmsStats *from);
extern int64 qms_stats_arrivals(const QmsStats *stats); /* legs begun: joined and transferred in */
extern double qms_stats_within_target(const QmsStats *stats);	/* share of waits, 0 to 1; -1: nobody waited */

/* ---- read.c: what is stored.  All of it needs SPI, and checks no rights ---- */

typedef enum QmsStatsOf
{
	QMS_OF_ORGANIZATION,
	QMS_OF_BRANCH,
	QMS_OF_QUEUE
} QmsStatsOf;

typedef struct QmsStatsScope
{
	QmsStatsOf	of;
	int64		id;
} QmsStatsScope;

typedef enum QmsStatsPeriod
{
	QMS_STATS_HOUR,
	QMS_STATS_DAY
} QmsStatsPeriod;

/* One hour or day, in the time zone of its queue, branch or organization. */
typedef struct QmsStatsRow
{
	TimestampTz starts_at;
	TimestampTz ends_at;
	DateADT		local_date;
	int			local_hour;		/* 0 to 23; -1: a day */
	int			weekday;		/* 1 Monday to 7 Sunday */
	int64		target;			/* microseconds; 0: of several */
	const QmsStats *stats;
} QmsStatsRow;

/* "organization:1", "branch:2", "queue:3"; false: it is none of these. */
extern bool qms_stats_scope_parse(const char *text, QmsStatsScope *scope);

/*
 * The sum of the hours and days that begin within [since, before).
 * customer_class: name, NULL for all.  Days are used where whole days fit, hours
 * at the edges.
 */
extern void qms_stats_sum(QmsStatsScope scope, TimestampTz since, TimestampTz before, const char *customer_class,
						  QmsStats *out);

/* Each hour or day that begins within [since, before) and has something, in order of time. */
typedef void (*QmsStatsCallback) (const QmsStatsRow *row, void *arg);
extern void qms_stats_each(QmsStatsScope scope, QmsStatsPeriod period, TimestampTz since, TimestampTz before,
						   const char *customer_class, QmsStatsCallback callback, void *arg);

/* The classes that occur: names, in order; answers how many. */
extern int	qms_stats_classes(QmsStatsScope scope, TimestampTz since, TimestampTz before, char ***names);

/* ---- What staff did in the hours that begin within [since, before) ---- */

typedef struct QmsStaffStats
{
	int64		staff_id;		/* 0: at counters that were opened without anybody's name */
	char	   *display_name;	/* NULL then */
	int			days;			/* on which they were there */
	int64		called;
	int64		served;
	int64		no_show;
	int64		transferred;
	int64		requeued;
	QmsTimes	service;		/* of those served */
	/* microseconds */
	int64		idle;			/* free, nobody called */
	int64		walking;		/* called, service not begun */
	int64		serving;
	int64		paused;
	Jsonb	   *pauses;			/* {reason: seconds} */
} QmsStaffStats;

typedef void (*QmsStaffCallback) (const QmsStaffStats *row, void *arg);
extern void qms_staff_each(int64 branch_id, TimestampTz since, TimestampTz before, QmsStaffCallback callback,
						   void *arg);

/* ---- The log ---- */

extern int	qms_statistics_interval;	/* of the scheduler, in seconds; 0: off */
extern bool qms_stats_need(TimestampTz before); /* has something of the log to be counted that is older? */
extern void qms_stats_forget_before(TimestampTz oldest);	/* what is older is dropped from the log */
extern void qms_stats_adopt(void);	/* the log came with a restore */
extern TimestampTz qms_stats_computed_until(void);	/* what is before it is in the snapshots; QMS_NO_TIME: nothing is */

#endif							/* QMS_STATS_H */
