/*
 * hours.c
 *		Local time: time zones, service days, opening hours and closures.
 */
#include "config/config.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/datetime.h"

/* The time zone of that name; an error if this server knows none. */
pg_tz *
qms_zone_by_name(const char *name)
{
	pg_tz	   *zone = pg_tzset(name);

	if (zone == NULL || !pg_tz_acceptable(zone))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_INVALID_TIME_ZONE),
				 errmsg("time zone \"%s\" is not known", name),
				 errdetail("Time zones are named as in the view pg_timezone_names."),
				 errhint("Use a name such as \"Europe/Berlin\".")));
	return zone;
}

/*
 * The day whose numbers are given at this moment: the branch's local date, which
 * changes at reset_time.  Local time is taken apart, never added to, so a day of
 * 23 or 25 hours needs no care.
 */
DateADT
qms_service_day(const QmsQueue *queue, TimestampTz now)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;
	int64		time_of_day;
	DateADT		day;

	if (timestamp2tm(now, &tz, &tm, &fsec, NULL, queue->zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
	time_of_day = ((tm.tm_hour * MINS_PER_HOUR + tm.tm_min) * SECS_PER_MINUTE + tm.tm_sec) *
		USECS_PER_SEC + fsec;
	return time_of_day < queue->settings.reset_time ? day - 1 : day;
}


typedef struct Span
{
	int			weekday;		/* 1 is Monday */
	int64		opens;			/* microseconds after local midnight */
	int64		closes;
} Span;

typedef struct Closure
{
	TimestampTz from;			/* DT_NOBEGIN, DT_NOEND where it has no end */
	TimestampTz until;
	char	   *reason;
} Closure;

struct QmsHours
{
	int			nspans;			/* 0: open at any time */
	Span	   *spans;			/* in the order of the week */
	int			nclosures;
	Closure    *closures;		/* by their beginning */
	TimestampTz given_from;		/* in between, tickets are given: found before */
	TimestampTz given_until;
};

/* Openings looked at before we say that there is none: more than a year's. */
#define MAX_LOOKS 2000

static void
read_spans(QmsPlan *plan, int64 id, QmsHours *hours)
{
	QmsParams	params = {0};
	int			i;

	qms_param_int64(&params, id);
	hours->nspans = (int) qms_spi_look(plan, &params);
	hours->spans = MemoryContextAllocZero(qms_config_context(), sizeof(Span) * Max(hours->nspans, 1));
	for (i = 0; i < hours->nspans; i++)
	{
		hours->spans[i].weekday = qms_spi_int32(i, 0);
		hours->spans[i].opens = qms_spi_int64(i, 1);
		hours->spans[i].closes = qms_spi_int64(i, 2);
	}
}

static void
read_closures(int64 branch_id, QmsHours *hours)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.lower(c.during), pg_catalog.upper(c.during), c.reason FROM qms.closure c "
								   "WHERE c.branch_id = $1 AND c.deleted_at IS NULL ORDER BY 1 NULLS FIRST", INT8OID);
	QmsParams	params = {0};
	int			i;

	qms_param_int64(&params, branch_id);
	hours->nclosures = (int) qms_spi_look(&plan, &params);
	hours->closures = MemoryContextAllocZero(qms_config_context(), sizeof(Closure) * Max(hours->nclosures, 1));
	for (i = 0; i < hours->nclosures; i++)
	{
		Closure    *closure = &hours->closures[i];

		closure->from = qms_spi_time(i, 0);
		closure->until = qms_spi_isnull(i, 1) ? DT_NOEND : qms_spi_time(i, 1);
		closure->reason = MemoryContextStrdup(qms_config_context(), qms_spi_text(i, 2));
	}
}

/* Hours and closures of a queue, read once; its own hours count before those of the branch. */
static QmsHours *
hours_of(QmsQueue *queue)
{
	static QmsPlan of_queue = QMS_PLAN(
									   "SELECT h.weekday::pg_catalog.int4, h.opens, h.closes FROM qms.opening_hours h "
									   "WHERE h.queue_id = $1 ORDER BY h.weekday, h.opens", INT8OID);
	static QmsPlan of_branch = QMS_PLAN(
										"SELECT h.weekday::pg_catalog.int4, h.opens, h.closes FROM qms.opening_hours h "
										"WHERE h.branch_id = $1 ORDER BY h.weekday, h.opens", INT8OID);
	QmsHours   *hours;

	if (queue->hours != NULL)
		return queue->hours;
	hours = MemoryContextAllocZero(qms_config_context(), sizeof(QmsHours));
	read_spans(&of_queue, queue->queue_id, hours);
	if (hours->nspans == 0 && queue->branch_id != 0)
		read_spans(&of_branch, queue->branch_id, hours);
	if (queue->branch_id != 0)
		read_closures(queue->branch_id, hours);
	queue->hours = hours;
	return hours;
}

/* The local time of a moment. */
void
qms_local_time(TimestampTz at, pg_tz *zone, struct pg_tm *tm)
{
	fsec_t		fsec;
	int			tz;

	if (timestamp2tm(at, &tz, tm, &fsec, NULL, zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
}

/* ISO weekday of a Julian day, 1 is Monday. */
int
qms_local_weekday(int julian)
{
	int			day = j2day(julian);

	return day == 0 ? 7 : day;
}

/*
 * The moment of a local time.  A time that the change of clocks leaves out is
 * taken as an hour later, one that comes twice as its second time.
 */
TimestampTz
qms_local_moment(int julian, int64 time_of_day, pg_tz *zone)
{
	struct pg_tm tm = {0};
	TimestampTz result;
	int			tz;

	j2date(julian + (int) (time_of_day / USECS_PER_DAY), &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	time_of_day %= USECS_PER_DAY;
	tm.tm_hour = (int) (time_of_day / USECS_PER_HOUR);
	tm.tm_min = (int) (time_of_day / USECS_PER_MINUTE % MINS_PER_HOUR);
	tm.tm_sec = (int) (time_of_day / USECS_PER_SEC % SECS_PER_MINUTE);
	tz = DetermineTimeZoneOffset(&tm, zone);
	if (tm2timestamp(&tm, 0, &tz, &result) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return result;
}

/* The first span of the week that ends after a moment; there is at least one. */
static void
span_after(const QmsHours *hours, pg_tz *zone, TimestampTz at, TimestampTz *opens, TimestampTz *closes)
{
	struct pg_tm tm;
	int			julian;
	int			last;

	qms_local_time(at, zone, &tm);
	julian = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - 1;
	for (last = julian + 9; julian <= last; julian++)
	{
		int			i;

		for (i = 0; i < hours->nspans; i++)
		{
			if (hours->spans[i].weekday != qms_local_weekday(julian))
				continue;
			*opens = qms_local_moment(julian, hours->spans[i].opens, zone);
			*closes = qms_local_moment(julian, hours->spans[i].closes, zone);
			if (*closes > at && *closes > *opens)
				return;
		}
	}
	/* Only hours inside a leap of the clocks come here: one more week. */
	*opens = *closes = at + 7 * USECS_PER_DAY;
}

/* The same, where spans that meet, as at midnight, are one. */
static void
joined_span_after(const QmsHours *hours, pg_tz *zone, TimestampTz at, TimestampTz *opens, TimestampTz *closes)
{
	TimestampTz next_opens;
	TimestampTz next_closes;
	int			i;

	if (hours->nspans == 0)
	{
		*opens = DT_NOBEGIN;
		*closes = DT_NOEND;
		return;
	}
	span_after(hours, zone, at, opens, closes);
	for (i = 0; i < 2 * 7; i++)
	{
		span_after(hours, zone, *closes, &next_opens, &next_closes);
		if (next_opens > *closes)
			break;
		*closes = next_closes;
	}
}

/*
 * The next time it is really open at or after a moment: hours without closures.
 * It begins with the moment itself if it is open then.  False: none in sight.
 */
static bool
open_after(const QmsHours *hours, pg_tz *zone, TimestampTz at, TimestampTz *opens, TimestampTz *closes)
{
	int			looks;
	int			i;

	for (looks = 0; looks < MAX_LOOKS && at != DT_NOEND; looks++)
	{
		joined_span_after(hours, zone, at, opens, closes);
		*opens = Max(*opens, at);
		for (i = 0; i < hours->nclosures; i++)
		{
			if (hours->closures[i].from <= *opens && *opens < hours->closures[i].until)
				*opens = hours->closures[i].until;
			else if (hours->closures[i].from > *opens)
				*closes = Min(*closes, hours->closures[i].from);
		}
		if (*opens < *closes)
			return true;
		at = Max(*opens, *closes);
	}
	return false;
}

/*
 * Is it open?  closes_at: when that ends; next_open: when it is open again if it
 * is not now; QMS_NO_TIME where there is no such moment.
 */
bool
qms_hours_is_open(QmsQueue *queue, TimestampTz now, TimestampTz *closes_at, TimestampTz *next_open)
{
	const QmsHours *hours = hours_of(queue);
	TimestampTz opens;
	TimestampTz closes;

	*closes_at = QMS_NO_TIME;
	*next_open = QMS_NO_TIME;
	if (!open_after(hours, queue->zone, now, &opens, &closes))
		return false;
	if (opens > now)
	{
		*next_open = opens;
		return false;
	}
	if (closes != DT_NOEND)
		*closes_at = closes;
	return true;
}

/*
 * The closing time of who came at a moment: the end of the opening he came in,
 * or of the next one if it was closed.  DT_NOEND if there is none.
 */
TimestampTz
qms_hours_closing(QmsQueue *queue, TimestampTz at)
{
	TimestampTz opens;
	TimestampTz closes;

	return open_after(hours_of(queue), queue->zone, at, &opens, &closes) ? closes : DT_NOEND;
}

/* Why the branch is closed at a moment, if by a closure; else NULL. */
static const char *
closure_at(const QmsHours *hours, TimestampTz now)
{
	int			i;

	for (i = 0; i < hours->nclosures; i++)
	{
		if (hours->closures[i].from <= now && now < hours->closures[i].until)
			return hours->closures[i].reason;
	}
	return NULL;
}

const char *
qms_hours_closure(QmsQueue *queue, TimestampTz now)
{
	return closure_at(hours_of(queue), now);
}

static const char *const weekdays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

/* "Monday, 2030-01-07, 08:00" */
static char *
local_text(TimestampTz at, pg_tz *zone)
{
	struct pg_tm tm;

	qms_local_time(at, zone, &tm);
	return psprintf("%s, %04d-%02d-%02d, %02d:%02d",
					weekdays[qms_local_weekday(date2j(tm.tm_year, tm.tm_mon, tm.tm_mday))],
					tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min);
}

/* What holds today: a closure, or the hours. */
static char *
today_text(const QmsQueue *queue, const QmsHours *hours, TimestampTz now)
{
	StringInfoData text;
	struct pg_tm tm;
	int			weekday;
	bool		any = false;
	int			i;

	initStringInfo(&text);
	if (closure_at(hours, now) != NULL)
		return psprintf("It is closed: %s.", closure_at(hours, now));
	qms_local_time(now, queue->zone, &tm);
	weekday = qms_local_weekday(date2j(tm.tm_year, tm.tm_mon, tm.tm_mday));
	for (i = 0; i < hours->nspans; i++)
	{
		const Span *span = &hours->spans[i];

		if (span->weekday != weekday)
			continue;
		appendStringInfo(&text, "%s%02d:%02d-%02d:%02d", any ? ", " : "",
						 (int) (span->opens / USECS_PER_HOUR), (int) (span->opens / USECS_PER_MINUTE % 60),
						 (int) (span->closes / USECS_PER_HOUR), (int) (span->closes / USECS_PER_MINUTE % 60));
		any = true;
	}
	if (hours->nspans == 0)
		return psprintf("It closes soon; the last ticket is given %lld s before.",
						(long long) (queue->settings.last_ticket_before / USECS_PER_SEC));
	if (!any)
		return psprintf("On %s it is not open.", weekdays[weekday]);
	if (queue->settings.last_ticket_before > 0)
		appendStringInfo(&text, ", and the last ticket is given %lld min before closing",
						 (long long) (queue->settings.last_ticket_before / USECS_PER_MINUTE));
	return psprintf("On %s it is open %s (time zone %s).", weekdays[weekday], text.data,
					pg_get_timezone_name(queue->zone));
}

/*
 * An error outside the hours in which tickets are given: from join_from before
 * an opening to last_ticket_before its end.
 */
void
qms_hours_check_open(QmsQueue *queue, TimestampTz now)
{
	QmsHours   *hours = hours_of(queue);
	int64		last_before = queue->settings.last_ticket_before;
	TimestampTz opens;
	TimestampTz closes;
	bool		found;

	if (hours->nspans == 0 && hours->nclosures == 0)
		return;
	if (now >= hours->given_from && now < hours->given_until)
		return;
	found = open_after(hours, queue->zone, now, &opens, &closes);
	/* Too late for one opening is perhaps early enough for the next. */
	while (found && closes != DT_NOEND && now >= closes - last_before)
		found = open_after(hours, queue->zone, closes, &opens, &closes);
	if (found && now >= opens - queue->settings.join_from)
	{
		hours->given_from = now;
		hours->given_until = closes == DT_NOEND ? closes : closes - last_before;
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_QMS_OUTSIDE_HOURS),
			 errmsg("queue \"%s\" is outside its opening hours", queue->name),
			 errdetail("%s", today_text(queue, hours, now)),
			 found ? errhint("Tickets are given again from %s.",
							 local_text(opens - queue->settings.join_from, queue->zone)) :
			 errhint("No opening is in sight; ask the branch.")));
}
