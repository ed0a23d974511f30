/*
 * tasks.c
 *		What the scheduler does, task by task.
 */
#include "worker/tasks.h"
#include "worker/worker.h"

#include "catalog/pg_type.h"

#define SILENT_ROWS 1000		/* of heartbeats, looked at in one turn */
#define SILENT_LOOK (30 * USECS_PER_SEC)
#define SILENT_PAUSE (5 * USECS_PER_SEC)

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

/* ---- waiters who have not been heard of ---- */

typedef struct Silent
{
	int64		ticket_id;
	int64		queue_id;		/* 0: the ticket is no longer open */
	TimestampTz seen_at;
	bool		in_line;		/* waits or is on hold */
} Silent;

static void
plan_one_silent(QmsTaskRun *run, QmsQueue *queue, void *arg)
{
	const Silent *silent = arg;
	int64		timeout = queue->settings.heartbeat_timeout;
	TimestampTz due = silent->seen_at + timeout;

	if (timeout == 0)
		return;
	if (silent->in_line && due <= run->call->now)
		qms_task_add(run, silent->ticket_id);
	else if (silent->in_line)
		qms_task_next(run, due);
}

/*
 * How often to look.  A heartbeat wakes nobody, so where heartbeats count the
 * scheduler looks every now and then; elsewhere rarely, to tidy up.
 */
static TimestampTz
next_silent_look(TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT 1 FROM qms.queue WHERE deleted_at IS NULL AND settings ? 'heartbeat_timeout' LIMIT 1");

	return now + (qms_spi_run(&plan, NULL) > 0 ? SILENT_LOOK : USECS_PER_HOUR);
}

/*
 * The rows are gone through by ticket, some at a time, in turns that follow one
 * another: those that have long to live, or for ever, hide nobody.
 */
static void
plan_silent(QmsTaskRun *run)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.ticket_id, t.queue_id, s.seen_at, t.state IN ('waiting', 'on_hold') "
								   "FROM qms_internal.ticket_seen s LEFT JOIN qms.ticket t ON t.ticket_id = s.ticket_id "
								   "WHERE s.ticket_id > $1 ORDER BY s.ticket_id LIMIT $2", INT8OID, INT4OID);
	static int64 looked_up_to = 0;
	static TimestampTz next = DT_NOEND;	/* of the rows looked at before */
	QmsParams	params = {0};
	Silent	   *silent;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, looked_up_to);
	qms_param_int32(&params, SILENT_ROWS);
	n = qms_spi_run(&plan, &params);
	silent = palloc(sizeof(Silent) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		silent[i].ticket_id = qms_spi_int64(i, 0);
		silent[i].queue_id = qms_spi_int64(i, 1);
		silent[i].seen_at = qms_spi_time(i, 2);
		silent[i].in_line = qms_spi_bool(i, 3);
	}
	for (i = 0; i < n && !run->more; i++)
	{
		if (silent[i].queue_id == 0)
			qms_task_add(run, silent[i].ticket_id);
		else
			(void) qms_task_with_queue(run, silent[i].queue_id, plan_one_silent, &silent[i]);
		if (!run->more)
			looked_up_to = silent[i].ticket_id;
	}
	if (run->more || n == SILENT_ROWS)
	{
		next = Min(next, run->next);
		run->next = run->call->now;
		run->more = false;
		return;
	}
	/* The end: not at once again, or each heartbeat of many would be a round through all. */
	run->next = Max(Min(next, run->next), run->call->now + SILENT_PAUSE);
	qms_task_next(run, next_silent_look(run->call->now));
	looked_up_to = 0;
	next = DT_NOEND;
}

static void
run_silent(QmsTaskRun *run, int64 ticket_id)
{
	static QmsPlan seen = QMS_PLAN("SELECT seen_at FROM qms_internal.ticket_seen WHERE ticket_id = $1", INT8OID);
	static QmsPlan forget = QMS_PLAN("DELETE FROM qms_internal.ticket_seen WHERE ticket_id = $1", INT8OID);
	QmsParams	params = {0};
	QmsTicket  *ticket;
	QmsQueue   *queue;
	QmsState	state;

	qms_visit_lock_of(ticket_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	qms_param_int64(&params, ticket_id);
	if (ticket != NULL)
	{
		queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));
		state = qms_ticket_state(ticket);
		/* Heard of meanwhile? */
		if (queue != NULL && queue->settings.heartbeat_timeout > 0 &&
			(state == QMS_WAITING || state == QMS_ON_HOLD) && qms_spi_run(&seen, &params) > 0)
		{
			if (qms_spi_time(0, 0) + queue->settings.heartbeat_timeout > run->call->now)
				return;
			qms_finish(run->call, ticket, QMS_EXPIRED, NULL, "not heard of", true);
		}
	}
	qms_spi_run(&forget, &params);
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
	{"partitions", 0, false, qms_plan_partitions, qms_run_partitions},
	{"no_show", QMS_WAKE_TIMERS, false, plan_no_shows, run_no_show},
	{"hold", QMS_WAKE_TIMERS, false, plan_holds, run_hold},
	{"day_end", 0, true, qms_plan_day_ends, qms_run_day_end},
	{"closing", 0, true, qms_plan_closings, qms_run_closing},
	{"auto_call", QMS_WAKE_CALLS, false, plan_auto_calls, run_auto_call},
	{"silent", 0, true, plan_silent, run_silent},
	{"retention", 0, false, qms_plan_retention, qms_run_retention},
	{"requests", 0, false, qms_plan_requests, qms_run_requests},
	{"last_seen", QMS_WAKE_TIMERS, false, qms_plan_last_seen, qms_run_last_seen},
	{NULL, 0, false, NULL, NULL}
};
