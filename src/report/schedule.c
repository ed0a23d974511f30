/*
 * schedule.c
 *		Report schedules: setting them up, and what is due when.
 */
#include "report/page.h"
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "utils/date.h"
#include "utils/datetime.h"

#define PATIENCE		USECS_PER_HOUR	/* longer than that nobody waits for the statistics */
#define MOST_KEPT	1000

/* ---- when ---- */

static bool
month_begins(int day)
{
	int			y;
	int			m;
	int			d;

	j2date(day, &y, &m, &d);
	return d == 1;
}

/* When the next one is due after a moment; every: day, week or month. */
static TimestampTz
next_due(const char *every, int64 time_of_day, pg_tz *zone, TimestampTz after)
{
	int			day = qms_report_day(after, zone);
	TimestampTz due;

	for (;; day++)
	{
		if (strcmp(every, "week") == 0 && qms_local_weekday(day) != 1)
			continue;
		if (strcmp(every, "month") == 0 && !month_begins(day))
			continue;
		due = qms_local_moment(day, time_of_day, zone);
		if (due > after)
			return due;
	}
}

/* The same, where those that would not be kept are passed over after a time in which nobody made any. */
static TimestampTz
next_kept(const char *every, int64 time_of_day, pg_tz *zone, TimestampTz due, TimestampTz now, int32 kept)
{
	TimestampTz next = next_due(every, time_of_day, zone, due);
	TimestampTz ahead = next;

	/* "ahead" runs so many before "next" as are kept. */
	for (; kept > 0 && ahead <= now; kept--)
		ahead = next_due(every, time_of_day, zone, ahead);
	for (; ahead <= now; next = next_due(every, time_of_day, zone, next))
		ahead = next_due(every, time_of_day, zone, ahead);
	return next;
}

/* The days of the report that is due at a moment: the day, week or month before it. */
static void
find_days(QmsReport *report, const char *every, TimestampTz due)
{
	int			day = qms_report_day(due, report->scope->zone);

	if (strcmp(every, "day") == 0)
		report->first_day = day - 1;
	else if (strcmp(every, "week") == 0)
	{
		day -= qms_local_weekday(day) - 1;
		report->first_day = day - 7;
	}
	else
	{
		while (!month_begins(day))
			day--;
		for (report->first_day = day - 1; !month_begins(report->first_day);)
			report->first_day--;
	}
	report->end_day = day;
}

/* ---- setting up ---- */

enum
{
	F_ID, F_ORGANIZATION, F_NAME, F_SCOPE, F_EVERY, F_TIME_OF_DAY, F_LANGUAGE, F_WITH_STAFF, F_KEEP, F_NEXT_DUE
};

static QmsField schedule_fields[] = {
	[F_ID] = QMS_FIELD("report_schedule_id", QMS_F_HELD),
	[F_ORGANIZATION] = QMS_FIELD("organization_id", QMS_F_HELD),
	[F_NAME] = QMS_FIELD_UNIQUE("name", QMS_F_NAME, QMS_IN_ORGANIZATION),
	[F_SCOPE] = QMS_FIELD("scope", QMS_F_OTHER),
	[F_EVERY] = QMS_FIELD("every", QMS_F_PLAIN),
	[F_TIME_OF_DAY] = QMS_FIELD("time_of_day", QMS_F_PLAIN),
	[F_LANGUAGE] = QMS_FIELD("language", QMS_F_CODE),
	[F_WITH_STAFF] = QMS_FIELD("with_staff", QMS_F_BOOL),
	[F_KEEP] = QMS_FIELD("keep", QMS_F_PLAIN),
	[F_NEXT_DUE] = QMS_FIELD("next_due_at", QMS_F_HELD),
	QMS_FIELDS_AT_END
};

/* The scope as it is written: something of the organization, or all of it. */
static void
check_scope(QmsSetup *setup, QmsReportScope *scope)
{
	char	   *text = NULL;

	if (qms_setup_given(setup, "scope"))
		text = qms_arg_text(setup->call, qms_setup_argument(setup, "scope"), "scope");
	else if (setup->creating)
		text = psprintf("organization:%lld", (long long) setup->organization_id);
	qms_report_scope_read(text != NULL ? text : qms_row_text(setup->row, F_SCOPE), scope);
	if (scope->organization_id != setup->organization_id)
		qms_not_found(qms_report_scope_noun(scope), scope->of.id);
	if (text != NULL)
		qms_row_set_text(setup->row, F_SCOPE, qms_report_scope_text(scope));
}

static void
check_schedule(QmsSetup *setup)
{
	QmsReportScope scope;
	char	   *every = qms_row_text(setup->row, F_EVERY);
	int64		time_of_day = qms_row_int64(setup->row, F_TIME_OF_DAY);
	int32		kept = qms_row_int32(setup->row, F_KEEP);
	TimestampTz due;

	check_scope(setup, &scope);
	if (strcmp(every, "day") != 0 && strcmp(every, "week") != 0 && strcmp(every, "month") != 0)
		qms_arg_choice_error("every", every, "day, week and month");
	if (time_of_day >= USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time_of_day must be before 24:00"),
				 errhint("Give 00:00 for the beginning of the next day.")));
	if (!qms_row_isnull(setup->row, F_LANGUAGE))
		(void) qms_report_language(setup->organization_id, qms_row_text(setup->row, F_LANGUAGE));
	if (kept < 1 || kept > MOST_KEPT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("keep must be between 1 and %d, not %d", MOST_KEPT, kept),
				 errhint("Give the number of reports that are kept, the newest ones.")));
	/* When is a matter of these; other changes leave it, or a report could be missed. */
	if (!setup->creating && !qms_setup_given(setup, "scope") && !qms_setup_given(setup, "every") &&
		!qms_setup_given(setup, "time_of_day"))
		return;
	due = next_due(every, time_of_day, scope.zone, setup->call->now);
	qms_row_set_time(setup->row, F_NEXT_DUE, due);
	qms_doorbell_note_timer(due);
}

static QmsThing schedule = {
	.name = "report_schedule",
	.noun = "report schedule",
	.owner = QMS_OWNER_ORGANIZATION,
	QMS_FIELDS(schedule_fields),
	.check = check_schedule
};

QMS_FUNCTION(create_report_schedule, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &schedule);
}

QMS_FUNCTION(update_report_schedule, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &schedule);
}

QMS_FUNCTION(delete_report_schedule, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &schedule);
}

/* ---- making what is due ---- */

typedef struct Due
{
	char	   *scope;
	char	   *every;
	int64		time_of_day;
	char	   *language;
	bool		with_staff;
	int32		kept;
	TimestampTz due;
} Due;

/* The schedule, locked; false: it is gone, or nothing is due. */
static bool
lock_due(int64 report_schedule_id, TimestampTz now, Due *due)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.scope, s.every, s.time_of_day, s.language, s.with_staff, s.keep, s.next_due_at "
								   "FROM qms.report_schedule s WHERE s.report_schedule_id = $1 AND s.deleted_at IS NULL AND s.next_due_at <= $2 "
								   "FOR NO KEY UPDATE", INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, report_schedule_id);
	qms_param_time(&params, now);
	if (qms_spi_run(&plan, &params) == 0)
		return false;
	due->scope = qms_spi_text(0, 0);
	due->every = qms_spi_text(0, 1);
	due->time_of_day = qms_spi_int64(0, 2);
	due->language = qms_spi_text(0, 3);
	due->with_staff = qms_spi_bool(0, 4);
	due->kept = qms_spi_int32(0, 5);
	due->due = qms_spi_time(0, 6);
	return true;
}

static void
set_next_due(int64 report_schedule_id, TimestampTz due)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.report_schedule SET next_due_at = $2 WHERE report_schedule_id = $1", INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, report_schedule_id);
	qms_param_time(&params, due);
	qms_spi_run(&plan, &params);
}

/*
 * The last hours of the period may not have been counted yet: they are by the
 * second look at the log after its end.  Answers when to come back; QMS_NO_TIME:
 * they have been, or nobody knows why not.
 */
static TimestampTz
wait_for_statistics(TimestampTz end, TimestampTz due, TimestampTz now)
{
	TimestampTz looked = end + 2 * qms_statistics_interval * USECS_PER_SEC;

	if (qms_statistics_interval == 0 || now >= due + PATIENCE)
		return QMS_NO_TIME;
	if (now < looked)
		return Min(looked, due + PATIENCE);
	return qms_stats_need(end) ? now + USECS_PER_MINUTE : QMS_NO_TIME;
}

/* Make the report that is due; answers when to come back, QMS_NO_TIME: it does not matter. */
TimestampTz
qms_report_make_due(QmsCall *call, int64 report_schedule_id)
{
	QmsReport	report = {0};
	QmsReportScope scope;
	Due			due;
	TimestampTz wait;
	TimestampTz next;

	if (!lock_due(report_schedule_id, call->now, &due))
		return QMS_NO_TIME;
	qms_report_scope_read(due.scope, &scope);
	report.scope = &scope;
	report.made_at = call->now;
	report.language = qms_report_language(scope.organization_id, due.language);
	find_days(&report, due.every, due.due);
	wait = wait_for_statistics(qms_report_midnight(report.end_day, scope.zone), due.due, call->now);
	if (wait != QMS_NO_TIME)
		return wait;
	qms_report_keep(call, &report, report_schedule_id, due.with_staff, due.kept);
	next = next_kept(due.every, due.time_of_day, scope.zone, due.due, call->now, due.kept);
	set_next_due(report_schedule_id, next);
	return next;
}
