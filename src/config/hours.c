/*
 * hours.c
 *		Local time: time zones, service days, opening hours and closures.
 */
#include "config/config.h"

#include "utils/builtins.h"
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

void
qms_hours_check_open(QmsQueue *queue, TimestampTz now)
{
}

bool
qms_hours_is_open(QmsQueue *queue, TimestampTz now, TimestampTz *closes_at, TimestampTz *next_open)
{
	return true;
}
