/*
 * make.c
 *		Reports on demand, and those that are kept.
 */
#include "report/page.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define MOST_DAYS	732

/* The language of that tag, or without one that of the organization. */
QmsLanguage
qms_report_language(int64 organization_id, const char *tag)
{
	QmsLanguage language = qms_config_organization(organization_id)->report_language;

	if (tag != NULL && !qms_language_by_tag(tag, &language))
		qms_arg_choice_error("language", tag, "en, de, fr and es");
	return language;
}

/* ---- on demand ---- */

/* The days that a call asks for, by the clocks of its scope: all those that it touches. */
static void
read_days(QmsCall *call, QmsReport *report)
{
	TimestampTz since = qms_arg_time(call, 1);
	TimestampTz before = qms_arg_time(call, 2);
	pg_tz	   *zone = report->scope->zone;

	report->end_day = before == QMS_NO_TIME ? qms_report_day(call->now, zone) : qms_report_day(before - 1, zone) + 1;
	report->first_day = since == QMS_NO_TIME ? report->end_day - 7 : qms_report_day(since, zone);
	if (report->first_day >= report->end_day || report->end_day - report->first_day > MOST_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a report is of 1 to %d days, not of %d", MOST_DAYS, report->end_day - report->first_day),
				 errhint("Give since => a moment before before.")));
}

QMS_FUNCTION(report_html, QMS_ACT_LOOK, 0)
{
	QmsReport	report = {0};
	QmsReportScope scope;
	char	   *text = qms_arg_text_or_null(call, 0);
	char	   *language = qms_arg_text_or_null(call, 3);
	bool		with_staff = qms_arg_bool(call, 4, true);
	char	   *html;
	MemoryContext old;
	Datum		result;

	qms_report_scope_of_call(call, text, &scope);
	report.scope = &scope;
	report.made_at = call->now;
	report.language = qms_report_language(scope.organization_id, language);
	read_days(call, &report);
	html = qms_report_make(&report, with_staff);
	old = MemoryContextSwitchTo(call->result_context);
	result = CStringGetTextDatum(html);
	MemoryContextSwitchTo(old);
	return result;
}

/* ---- kept ---- */

QMS_FUNCTION(get_report, QMS_ACT_LOOK, 0)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT r.report_id, r.organization_id, r.branch_id, r.queue_id, r.report_schedule_id, r.scope, r.since, r.before, "
								   "r.language, r.made_at, r.html, q.application_id FROM qms.report r LEFT JOIN qms.queue q ON q.queue_id = r.queue_id "
								   "WHERE r.report_id = $1", INT8OID);
	int64		report_id = qms_arg_id(call, 0, "report_id");
	QmsParams	params = {0};
	QmsObject	object = {.what = "report", .id = report_id};
	Datum		values[11];
	bool		nulls[11];
	int			c;

	qms_param_int64(&params, report_id);
	if (qms_spi_look(&plan, &params) == 0)
		qms_not_found("report", report_id);
	object.organization_id = qms_spi_int64(0, 1);
	object.branch_id = qms_spi_int64(0, 2);
	object.queue_id = qms_spi_int64(0, 3);
	object.application_id = qms_spi_int64(0, 11);
	/* That of an organization is for those who see all of it. */
	if (object.branch_id == 0 && object.queue_id == 0)
		qms_gate_administers(call, &object);
	else
		qms_gate_object(call, &object);
	for (c = 0; c < 11; c++)
		values[c] = qms_spi_datum(0, c, &nulls[c]);
	return qms_answer_tuple(call, values, nulls);
}

static int64
keep_report(QmsCall *call, const QmsReport *report, int64 report_schedule_id, const char *html)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.report (report_id, organization_id, branch_id, queue_id, report_schedule_id, scope, since, before, language, "
								   "made_at, html) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
								   INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID,
								   TIMESTAMPTZOID, TEXTOID);
	QmsParams	params = {0};
	int64		report_id = qms_sequence_next("report_report_id_seq");

	qms_param_int64(&params, report_id);
	qms_param_int64(&params, report->scope->organization_id);
	qms_param_id(&params, report->scope->branch_id);
	qms_param_id(&params, report->scope->queue_id);
	qms_param_int64(&params, report_schedule_id);
	qms_param_text(&params, qms_report_scope_text(report->scope));
	qms_param_time(&params, report->since);
	qms_param_time(&params, report->before);
	qms_param_text(&params, qms_language_tag(report->language));
	qms_param_time(&params, call->now);
	qms_param_text(&params, html);
	qms_spi_run(&plan, &params);
	return report_id;
}

/* The oldest ones of the schedule go. */
static void
drop_old(int64 report_schedule_id, int32 kept)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms.report WHERE report_id IN (SELECT r.report_id FROM qms.report r WHERE r.report_schedule_id = $1 "
								   "ORDER BY r.report_id DESC OFFSET $2)", INT8OID, INT4OID);
	QmsParams	params = {0};

	qms_param_int64(&params, report_schedule_id);
	qms_param_int32(&params, kept);
	qms_spi_run(&plan, &params);
}

static void
write_event(QmsCall *call, const QmsReport *report, int64 report_id, int64 report_schedule_id, int64 bytes)
{
	QmsEvent	event = {0};
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_int64(&json, "report_id", report_id);
	qms_json_int64(&json, "report_schedule_id", report_schedule_id);
	qms_json_text(&json, "scope", qms_report_scope_text(report->scope));
	qms_json_time(&json, "since", report->since);
	qms_json_time(&json, "before", report->before);
	qms_json_text(&json, "language", qms_language_tag(report->language));
	qms_json_int64(&json, "bytes", bytes);
	event.kind = "report.made";
	event.organization_id = report->scope->organization_id;
	event.branch_id = report->scope->branch_id;
	event.application_id = report->scope->application_id;
	event.queue_id = report->scope->queue_id;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

/* Make the report of a schedule, scope, days and language being there, and keep it. */
void
qms_report_keep(QmsCall *call, QmsReport *report, int64 report_schedule_id, bool with_staff, int32 kept)
{
	char	   *html = qms_report_make(report, with_staff);
	int64		report_id = keep_report(call, report, report_schedule_id, html);

	write_event(call, report, report_id, report_schedule_id, (int64) strlen(html));
	drop_old(report_schedule_id, kept);
}
