/*
 * clock.c
 *		Days and hours as the clocks of a time zone show them.
 */
#include "report/report.h"

#include "utils/datetime.h"

static void
take_apart(TimestampTz at, pg_tz *zone, struct pg_tm *tm)
{
	fsec_t		fsec;
	int			tz;

	if (timestamp2tm(at, &tz, tm, &fsec, NULL, zone) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
}

/* The Julian day of the local date. */
int
qms_report_day(TimestampTz at, pg_tz *zone)
{
	struct pg_tm tm;

	take_apart(at, zone, &tm);
	return date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);
}

/* ISO: 1 is Monday. */
int
qms_report_weekday(int day)
{
	int			weekday = j2day(day);

	return weekday == 0 ? 7 : weekday;
}

/* A time of day that clocks leave out is taken as that much later. */
TimestampTz
qms_report_time(int day, int64 time_of_day, pg_tz *zone)
{
	struct pg_tm tm = {0};
	TimestampTz result;
	int			tz;

	j2date(day, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
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


/* The hour that a moment lies in. */
void
qms_report_hour(TimestampTz at, pg_tz *zone, QmsReportHour *hour)
{
	struct pg_tm tm;
	int64		past;

	take_apart(at, zone, &tm);
	past = tm.tm_min * USECS_PER_MINUTE + tm.tm_sec * USECS_PER_SEC + (at % USECS_PER_SEC + USECS_PER_SEC) % USECS_PER_SEC;
	hour->starts_at = at - past;
	hour->day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);
	hour->weekday = qms_report_weekday(hour->day);
	hour->hour = tm.tm_hour;
	/* A zone may put its clocks on by half an hour. */
	take_apart(hour->starts_at + USECS_PER_HOUR, zone, &tm);
	hour->ends_at = hour->starts_at + USECS_PER_HOUR;
	if (tm.tm_min != 0)
		hour->ends_at += (MINS_PER_HOUR - tm.tm_min) * USECS_PER_MINUTE;
}

/* When the day begins; where the clocks go back over midnight, with the first of the two. */
TimestampTz
qms_report_midnight(int day, pg_tz *zone)
{
	TimestampTz result = qms_report_time(day, 0, zone);
	QmsReportHour before;

	qms_report_hour(result - 1, zone, &before);
	return before.day == day ? before.starts_at : result;
}
