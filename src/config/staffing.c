/*
 * staffing.c
 *		Counters that are planned for a queue, over the next day.
 *
 * A plan of the week says how many from when to when, in local time.  Where it says
 * nothing, it is as many as are open now; and none while the queue is closed by its
 * hours or a closure, if it opens again on the same day, or is closed now.  At the
 * end of the day those who wait are still served.
 */
#include "config/config.h"

#include "catalog/pg_type.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#define HORIZON USECS_PER_DAY
#define LASTS	USECS_PER_HOUR
#define MOST_ROWS 7 * 24

typedef struct PlannedSpan
{
	int			weekday;		/* 1 is Monday */
	int64		begins;			/* microseconds after local midnight */
	int64		ends;
	int			counters;
} PlannedSpan;

typedef struct WeekPlan
{
	const QmsQueue *queue;
	int			n;
	PlannedSpan			rows[MOST_ROWS];
} WeekPlan;

static void
read_plan(WeekPlan *plan)
{
	static QmsPlan statement = QMS_PLAN(
										"SELECT p.weekday::pg_catalog.int4, p.begins, p.ends, p.counters FROM qms.staffing_plan p "
										"WHERE p.queue_id = $1 ORDER BY p.weekday, p.begins LIMIT $2", INT8OID, INT8OID);
	QmsParams	params = {0};
	int			i;

	qms_param_int64(&params, plan->queue->queue_id);
	qms_param_int64(&params, MOST_ROWS);
	plan->n = (int) qms_spi_look(&statement, &params);
	for (i = 0; i < plan->n; i++)
	{
		PlannedSpan		   *row = &plan->rows[i];

		row->weekday = qms_spi_int32(i, 0);
		row->begins = qms_spi_int64(i, 1);
		row->ends = qms_spi_int64(i, 2);
		row->counters = qms_spi_int32(i, 3);
	}
}

static int
julian_of(TimestampTz at, pg_tz *zone)
{
	struct pg_tm tm;

	qms_local_time(at, zone, &tm);
	return date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);
}

/* Counters planned at a moment, and when that may be otherwise. */
static int
planned_at(const WeekPlan *plan, TimestampTz at, TimestampTz *until)
{
	pg_tz	   *zone = plan->queue->zone;
	int			today = julian_of(at, zone);
	int			planned = QMS_NOT_PLANNED;
	int			julian;
	int			i;

	for (julian = today; julian <= today + 1; julian++)
	{
		for (i = 0; i < plan->n; i++)
		{
			const PlannedSpan  *row = &plan->rows[i];
			TimestampTz from;
			TimestampTz to;

			if (row->weekday != qms_local_weekday(julian))
				continue;
			from = qms_local_moment(julian, row->begins, zone);
			to = qms_local_moment(julian, row->ends, zone);
			if (from <= at && at < to)
			{
				planned = row->counters;
				*until = Min(*until, to);
			}
			else if (from > at)
				*until = Min(*until, from);
		}
	}
	return planned;
}

/* Closed at that moment, and worth waiting for? */
static bool
is_break(QmsQueue *queue, TimestampTz at, bool is_now, TimestampTz *until)
{
	TimestampTz closes_at;
	TimestampTz next_open;

	if (qms_hours_is_open(queue, at, &closes_at, &next_open))
	{
		if (closes_at != QMS_NO_TIME)
			*until = Min(*until, closes_at);
		return false;
	}
	if (next_open == QMS_NO_TIME)
		return false;
	*until = Min(*until, next_open);
	return is_now || julian_of(at, queue->zone) == julian_of(next_open, queue->zone);
}

static void
add_segment(QmsStaffing *staffing, TimestampTz until, int planned)
{
	QmsStaffSegment *last = staffing->n > 0 ? &staffing->segments[staffing->n - 1] : NULL;

	if (last != NULL && last->planned == planned)
		last->until = until;
	else
	{
		staffing->segments[staffing->n].until = until;
		staffing->segments[staffing->n++].planned = planned;
	}
}

static void
make_staffing(QmsQueue *queue, TimestampTz now, QmsStaffing *staffing)
{
	WeekPlan	   *plan = palloc(sizeof(WeekPlan));
	TimestampTz at = now;

	plan->queue = queue;
	read_plan(plan);
	staffing->n = 0;
	while (at < now + HORIZON && staffing->n < QMS_STAFF_SEGMENTS)
	{
		TimestampTz until = now + HORIZON;
		int			planned = plan->n > 0 ? planned_at(plan, at, &until) : QMS_NOT_PLANNED;

		if (planned == QMS_NOT_PLANNED && is_break(queue, at, at == now, &until))
			planned = QMS_NOT_OPEN;
		add_segment(staffing, until, planned);
		at = until;
	}
	pfree(plan);
	staffing->made_at = now;
	staffing->good_until = Min(staffing->segments[0].until, now + LASTS);
}

const QmsStaffing *
qms_config_staffing(QmsQueue *queue, TimestampTz now)
{
	if (queue->staffing == NULL)
		queue->staffing = MemoryContextAllocZero(qms_config_context(), sizeof(QmsStaffing));
	if (queue->staffing->n == 0 || now < queue->staffing->made_at || now >= queue->staffing->good_until)
	{
		queue->staffing->n = 0;
		make_staffing(queue, now, queue->staffing);
	}
	return queue->staffing;
}
