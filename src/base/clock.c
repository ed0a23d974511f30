/*
 * clock.c
 *		The clock of everything that qms does, and intervals as microseconds.
 *
 * Nothing else in qms reads the time.  A superuser may set qms.mock_now, and
 * then that is the time: tests move it.
 */
#include "base/base.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"

static char *mock_now_text = NULL;
static TimestampTz mock_now = QMS_NO_TIME;

/*
 * A moment as text, without an error for what is none.  One that names no time
 * zone is in the session's, or is none either if it needs a zone.
 */
bool
qms_time_parse(const char *text, bool needs_zone, TimestampTz *value)
{
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	char		work[MAXDATELEN + MAXDATEFIELDS];
	struct pg_tm tm;
	fsec_t		fsec;
	int			nf;
	int			dtype;
	int			tz;

	/* Decoding where no zone is expected fails if there is one; it spoils what was parsed. */
	if (needs_zone && (ParseDateTime(text, work, sizeof(work), field, ftype, MAXDATEFIELDS, &nf) != 0 ||
					   DecodeDateTime(field, ftype, nf, &dtype, &tm, &fsec, NULL) == 0))
		return false;
	return ParseDateTime(text, work, sizeof(work), field, ftype, MAXDATEFIELDS, &nf) == 0 &&
		DecodeDateTime(field, ftype, nf, &dtype, &tm, &fsec, &tz) == 0 && dtype == DTK_DATE &&
		tm2timestamp(&tm, fsec, &tz, value) == 0;
}

/* An empty string is the real clock. */
static bool
check_mock_now(char **newval, void **extra, GucSource source pg_attribute_unused())
{
	TimestampTz *parsed;
	TimestampTz value = QMS_NO_TIME;

	if (*newval != NULL && **newval != '\0' && !qms_time_parse(*newval, false, &value))
	{
		GUC_check_errdetail("The value must be a timestamp with time zone, or empty for the real clock.");
		return false;
	}
	parsed = malloc(sizeof(TimestampTz));
	if (parsed == NULL)
		return false;
	*parsed = value;
	*extra = parsed;
	return true;
}

static void
assign_mock_now(const char *newval pg_attribute_unused(), void *extra)
{
	mock_now = extra ? *(TimestampTz *) extra : QMS_NO_TIME;
}

void
qms_clock_define_settings(void)
{
	DefineCustomStringVariable("qms.mock_now",
							   "Moment that qms takes for the present; empty is the real clock.",
							   "For tests only.",
							   &mock_now_text, "", PGC_SUSET,
							   GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							   check_mock_now, assign_mock_now, NULL);
}

TimestampTz
qms_clock_now(void)
{
	return mock_now != QMS_NO_TIME ? mock_now : GetCurrentTimestamp();
}

bool
qms_clock_is_mocked(void)
{
	return mock_now != QMS_NO_TIME;
}

#define UNIX_EPOCH_SECONDS ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/* Whole seconds since 1970, as tokens count; after 2000. */
int64
qms_unix_seconds(TimestampTz moment)
{
	return moment / USECS_PER_SEC + UNIX_EPOCH_SECONDS;
}

/* Microseconds since 1970, exactly. */
int64
qms_unix_usec(TimestampTz moment)
{
	return moment + UNIX_EPOCH_SECONDS * USECS_PER_SEC;
}

/* Whole seconds, and back; what is too far away is never. */
TimestampTz
qms_unix_moment(int64 seconds)
{
	if (seconds > PG_INT64_MAX / USECS_PER_SEC)
		return DT_NOEND;
	return (seconds - UNIX_EPOCH_SECONDS) * USECS_PER_SEC;
}

Interval *
qms_interval_make(int64 usec)
{
	Interval   *result = palloc0(sizeof(Interval));

	result->time = usec;
	return result;
}

/*
 * An interval of fixed length in microseconds, days of 24 h.  Months have no
 * fixed length: an error that names what was given, or 30 days when what is
 * NULL (a value of our own).
 */
int64
qms_interval_usec(const Interval *interval, const char *what)
{
	int64		days;
	int64		result;

	if (interval->month != 0 && what != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not contain months or years", what),
				 errdetail("A month has no fixed length."),
				 errhint("Give days, hours, minutes or seconds.")));
	days = (int64) interval->day + (int64) interval->month * DAYS_PER_MONTH;
	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &result) ||
		pg_add_s64_overflow(result, interval->time, &result))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_FIELD_OVERFLOW),
				 errmsg("%s is out of range", what ? what : "interval")));
	return result;
}
