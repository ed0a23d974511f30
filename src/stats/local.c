/*
 * local.c
 *		Hours and days in a time zone.
 *
 * An hour begins where the local clock shows a full hour, so it suits zones that
 * are 30 or 45 minutes off; where the clock goes back, an hour of the clock is
 * there twice, and each is a row of its own.  A day is what lies between two
 * midnights: 23 or 25 hours when the clock is changed.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "utils/datetime.h"

/* The hour that a moment lies in. */
void
qms_local_hour(TimestampTz at, pg_tz *zone, QmsLocalHour *hour)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;
	const char *name;

	if (timestamp2tm(at, &tz, &tm, &fsec, &name, zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	hour->starts_at = at - (tm.tm_min * SECS_PER_MINUTE + tm.tm_sec) * USECS_PER_SEC - fsec;
	hour->ends_at = hour->starts_at + USECS_PER_HOUR;
	hour->date = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) - POSTGRES_EPOCH_JDATE;
	hour->hour = tm.tm_hour;
}

/* The moment at which a day begins; where its midnight is left out, the first moment there is. */
TimestampTz
qms_local_midnight(DateADT date, pg_tz *zone)
{
	struct pg_tm tm = {0};
	QmsLocalHour before;
	TimestampTz result;
	int			tz;

	j2date(date + POSTGRES_EPOCH_JDATE, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	tz = DetermineTimeZoneOffset(&tm, zone);
	if (tm2timestamp(&tm, 0, &tz, &result) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	/* Where the clock goes back over midnight, the day begins with the first of the two. */
	qms_local_hour(result - 1, zone, &before);
	return before.date == date ? before.starts_at : result;
}

/* A zone that is not known any more counts as UTC: one broken branch must not stop the others. */
pg_tz *
qms_local_zone(const char *name)
{
	pg_tz	   *zone = name != NULL ? pg_tzset(name) : NULL;

	return zone != NULL ? zone : pg_tzset("UTC");
}

/* The zone in which a queue, branch or organization has its hours and days. */
pg_tz *
qms_local_zone_of(QmsStatsOf of, int64 id)
{
	static QmsPlan plans[] = {
		[QMS_OF_ORGANIZATION] = QMS_PLAN("SELECT time_zone FROM qms.organization WHERE organization_id = $1", INT8OID),
		[QMS_OF_BRANCH] = QMS_PLAN(
								   "SELECT coalesce(b.time_zone, o.time_zone) FROM qms.branch b JOIN qms.organization o "
								   "ON o.organization_id = b.organization_id WHERE b.branch_id = $1", INT8OID),
		[QMS_OF_QUEUE] = QMS_PLAN(
								  "SELECT coalesce(b.time_zone, o.time_zone) FROM qms.queue q JOIN qms.organization o "
								  "ON o.organization_id = q.organization_id LEFT JOIN qms.branch b ON b.branch_id = q.branch_id "
								  "WHERE q.queue_id = $1", INT8OID)
	};
	QmsParams	params = {0};

	qms_param_int64(&params, id);
	return qms_local_zone(qms_spi_look(&plans[of], &params) > 0 ? qms_spi_text(0, 0) : NULL);
}
