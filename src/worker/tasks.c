/*
 * tasks.c
 *		What the scheduler does, task by task.
 */
#include "worker/tasks.h"
#include "worker/worker.h"

#include "catalog/pg_type.h"

/* The ids of the present result (column 0) are due. */
static void
add_result(QmsTaskRun *run, uint64 n)
{
	uint64		i;

	for (i = 0; i < n; i++)
		qms_task_add(run, qms_spi_int64(i, 0));
}

/* ---- a called customer does not come ---- */

static void
plan_no_show(QmsTaskRun *run, QmsQueue *queue pg_attribute_unused(), void *arg)
{
	const QmsTicket *ticket = arg;
	TimestampTz due = qms_ticket_no_show_due(ticket);

	if (due <= run->call->now)
		qms_task_add(run, qms_row_int64(ticket, T_ticket_id));
	else
		qms_task_next(run, due);
}

static void
plan_no_shows(QmsTaskRun *run)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT4OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_table_plan(&qms_ticket_table, &plan,
				   "SELECT %s FROM qms.staff_session s JOIN qms.ticket t ON t.ticket_id = s.current_ticket_id "
				   "WHERE s.closed_at IS NULL AND s.counter_id > 0 AND t.state = 'called' AND $1 > 0");
	qms_param_int32(&params, 1);
	n = qms_spi_run(&plan, &params);
	for (i = 0; i < n; i++)
	{
		QmsTicket  *ticket = qms_row_fetch(&qms_ticket_table, i, 0);

		(void) qms_task_with_queue(run, qms_row_int64(ticket, T_queue_id), plan_no_show, ticket);
	}
}

static void
run_no_show(QmsTaskRun *run, int64 ticket_id)
{
	QmsTicket  *ticket;

	qms_visit_lock_of(ticket_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	/* Served, recalled or gone meanwhile: not due any more. */
	if (ticket == NULL || qms_ticket_no_show_due(ticket) > run->call->now)
		return;
	qms_finish(run->call, ticket, QMS_NO_SHOW, NULL, "no_show_after", true);
}

/* ---- a hold ends by itself ---- */

static void
plan_holds(QmsTaskRun *run)
{
	static QmsPlan due = QMS_PLAN(
								  "SELECT ticket_id FROM qms.ticket WHERE resume_at IS NOT NULL AND resume_at <= $1 "
								  "ORDER BY resume_at LIMIT $2", TIMESTAMPTZOID, INT4OID);
	static QmsPlan next = QMS_PLAN(
								   "SELECT resume_at FROM qms.ticket WHERE resume_at IS NOT NULL AND resume_at > $1 "
								   "ORDER BY resume_at LIMIT 1", TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsParams	now = {0};

	qms_param_time(&params, run->call->now);
	qms_param_int32(&params, qms_task_limit(run));
	add_result(run, qms_spi_run(&due, &params));
	qms_param_time(&now, run->call->now);
	if (qms_spi_run(&next, &now) > 0)
		qms_task_next(run, qms_spi_time(0, 0));
}

static void
run_hold(QmsTaskRun *run, int64 ticket_id)
{
	QmsTicket  *ticket;
	TimestampTz due;
	QmsJson		json;

	qms_visit_lock_of(ticket_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	if (ticket == NULL || qms_row_isnull(ticket, T_hold_kind))
		return;
	due = qms_row_time(ticket, T_resume_at);
	if (due == QMS_NO_TIME || due > run->call->now)
		return;
	if (qms_hold_resume(run->call, ticket))
		return;
	/* The person is at a counter: it waits again when he is done there. */
	qms_row_set_text(ticket, T_hold_kind, "other_ticket");
	qms_row_set_null(ticket, T_resume_at);
	qms_ticket_store(ticket);
	/* The event says what kind of hold it is now, as every other one of this kind does. */
	qms_json_begin(&json);
	qms_json_text(&json, "hold_kind", "other_ticket");
	qms_ticket_event(run->call, ticket, "ticket.held", qms_json_end(&json), 0);
}

/* ---- counters that call by themselves, the longest idle first ---- */

/*
 * Only counters for which somebody waits, so that many who have nothing to do
 * hide nobody.  Whoever waits may still be none that the counter can call.
 */
static void
plan_auto_calls(QmsTaskRun *run)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.counter_id FROM qms.counter_profile p JOIN qms.staff_session s "
								   "ON s.counter_profile_id = p.counter_profile_id JOIN qms.counter c ON c.counter_id = s.counter_id "
								   "WHERE p.auto_call AND p.deleted_at IS NULL AND s.closed_at IS NULL AND s.paused_at IS NULL "
								   "AND s.current_ticket_id IS NULL AND EXISTS (SELECT 1 FROM (SELECT pg_catalog.unnest(c.queue_ids) "
								   "WHERE p.sources IS NULL UNION ALL SELECT (e->>'queue_id')::pg_catalog.int8 "
								   "FROM pg_catalog.jsonb_array_elements(p.sources) e) q (queue_id), "
								   "LATERAL (SELECT 1 FROM qms.ticket t WHERE t.queue_id = q.queue_id AND t.state = 'waiting' LIMIT 1) w) "
								   "ORDER BY s.idle_since, s.counter_id LIMIT $1", INT4OID);
	QmsParams	params = {0};

	qms_param_int32(&params, qms_task_limit(run));
	add_result(run, qms_spi_run(&plan, &params));
}

static void
run_auto_call(QmsTaskRun *run, int64 counter_id)
{
	QmsCounter *counter = qms_config_counter(counter_id);
	QmsSession *session = qms_session_read(counter_id);

	if (counter == NULL || session == NULL || !qms_row_isnull(session, S_paused_at) ||
		!qms_row_isnull(session, S_current_ticket_id))
		return;
	/* Nobody it may call, yet: somebody who wants another counter does so for some time only. */
	if (qms_call_next_ticket(run->call, counter, NULL) == NULL)
		qms_task_next(run, run->call->now + USECS_PER_MINUTE);
}

/* In the order in which they are done when all are due, as after a day of downtime. */
const QmsTask qms_tasks[] = {
	{"partitions", 0, false, NULL, qms_plan_partitions, qms_run_partitions, false},
	{"draw", 0, true, NULL, qms_plan_draws, qms_run_draw, false},
	{"release", QMS_WAKE_ROOM, true, qms_peek_release, qms_plan_release, qms_run_release, true},
	{"release_pool", QMS_WAKE_ROOM, true, qms_peek_release_pool, qms_plan_release_pool, qms_run_release_pool, true},
	{"no_show", QMS_WAKE_TIMERS, false, NULL, plan_no_shows, run_no_show, false},
	{"hold", QMS_WAKE_TIMERS, false, NULL, plan_holds, run_hold, false},
	{"ends", QMS_WAKE_TIMERS, false, qms_peek_ends, qms_plan_ends, qms_run_ends, false},
	{"hours", 0, true, NULL, qms_plan_hours, qms_run_hours, false},
	{"day_end", 0, true, NULL, qms_plan_day_ends, qms_run_day_end, false},
	{"closing", 0, true, NULL, qms_plan_closings, qms_run_closing, false},
	{"auto_call", QMS_WAKE_CALLS, false, NULL, plan_auto_calls, run_auto_call, false},
	{"heartbeats", 0, false, qms_peek_heartbeats, qms_plan_heartbeats, qms_run_heartbeats, false},
	{"silent", 0, true, NULL, qms_plan_silent, qms_run_silent, false},
	{"retention", 0, false, NULL, qms_plan_retention, qms_run_retention, false},
	{"requests", 0, false, NULL, qms_plan_requests, qms_run_requests, false},
	{"access_tokens", 0, false, NULL, qms_plan_access_tokens, qms_run_access_tokens, false},
	{"secrets", 0, false, NULL, qms_plan_secrets, qms_run_secrets, false},
	{"counts", 0, false, qms_peek_counts, qms_plan_counts, qms_run_counts, false},
	{"flow", QMS_WAKE_ROOM, false, NULL, qms_plan_flows, qms_run_flow, false},
	{"refusals", QMS_WAKE_TIMERS, false, NULL, qms_plan_refusals, qms_run_refusals, false},
	{"old_tickets", 0, true, NULL, qms_plan_old_tickets, qms_run_old_tickets, false},
	{"old_customers", 0, true, NULL, qms_plan_old_customers, qms_run_old_customers, false},
	{"reseal", 0, true, NULL, qms_plan_reseal, qms_run_reseal, false},
	{"last_seen", QMS_WAKE_TIMERS, false, NULL, qms_plan_last_seen, qms_run_last_seen, false},
	/* met */
	{"alerts", 0, true, NULL, qms_plan_alerts, qms_run_alert, false},
	/* snap: statistics */
	{"statistics", 0, false, NULL, qms_plan_statistics, qms_run_statistics, false},
	{"snapshots", 0, false, NULL, qms_plan_snapshots, qms_run_snapshots, false},
	/* report */
	{"reports", QMS_WAKE_TIMERS, false, NULL, qms_plan_reports, qms_run_report, false},
	/* predict */
	{"learning", QMS_WAKE_TIMERS, false, NULL, qms_plan_learning, qms_run_learning, false},
	{NULL, 0, false, NULL, NULL, NULL, false}
};
