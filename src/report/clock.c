/*
 * clock.c
 *		Days and hours as the clocks of a time zone show them.
 */
#include "report/report.h"

#include "utils/datetime.h"

/* The Julian day of the local date. */
int
qms_report_day(TimestampTz at, pg_tz *zone)
{
	struct pg_tm tm;

	qms_local_time(at, zone, &tm);
	return date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);
}

/* The hour that a moment lies in. */
void
qms_report_hour(TimestampTz at, pg_tz *zone, QmsReportHour *hour)
{
	struct pg_tm tm;
	int64		past;

	qms_local_time(at, zone, &tm);
	past = tm.tm_min * USECS_PER_MINUTE + tm.tm_sec * USECS_PER_SEC + (at % USECS_PER_SEC + USECS_PER_SEC) % USECS_PER_SEC;
	hour->starts_at = at - past;
	hour->day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);
	hour->weekday = qms_local_weekday(hour->day);
	hour->hour = tm.tm_hour;
	/* A zone may put its clocks on by half an hour. */
	qms_local_time(hour->starts_at + USECS_PER_HOUR, zone, &tm);
	hour->ends_at = hour->starts_at + USECS_PER_HOUR;
	if (tm.tm_min != 0)
		hour->ends_at += (MINS_PER_HOUR - tm.tm_min) * USECS_PER_MINUTE;
}

/* When the day begins; where the clocks go back over midnight, with the first of the two. */
TimestampTz
qms_report_midnight(int day, pg_tz *zone)
{
	TimestampTz result = qms_local_moment(day, 0, zone);
	QmsReportHour before;

	qms_report_hour(result - 1, zone, &before);
	return before.day == day ? before.starts_at : result;
}
