/*
 * tasks.c
 *		What the scheduler does, task by task.
 */
#include "worker/tasks.h"
#include "worker/worker.h"

#include "catalog/pg_type.h"
#include "utils/guc.h"

#define REQUEST_LIFE (48 * USECS_PER_HOUR)
#define POSITION_WINDOW USECS_PER_DAY

/* Keep the ids of the current result (column 0) as items. */
static void
keep_items(QmsTaskRun *run, uint64 n)
{
	uint64		i;

	run->items = MemoryContextAlloc(run->result_context, sizeof(int64) * Max(n, 1));
	run->nitems = (int) n;
	for (i = 0; i < n; i++)
		run->items[i] = qms_spi_int64(i, 0);
}

static void
add_item(QmsTaskRun *run, int64 item)
{
	if (run->items == NULL)
		run->items = MemoryContextAlloc(run->result_context, sizeof(int64) * QMS_TASK_BATCH);
	if (run->nitems < QMS_TASK_BATCH)
		run->items[run->nitems++] = item;
}

/* ---- a called customer does not come ---- */

static TimestampTz
no_show_due(const QmsTicket *ticket)
{
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));
	TimestampTz since = qms_row_time(ticket, T_last_recall_at);

	if (queue == NULL || queue->settings.no_show_after == 0)
		return DT_NOEND;
	if (since == QMS_NO_TIME)
		since = qms_row_time(ticket, T_called_at);
	return since + queue->settings.no_show_after;
}

static void
plan_no_shows(QmsTaskRun *run)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT4OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	/* The index of open calls has a row per busy counter. */
	qms_table_plan(&qms_ticket_table, &plan,
				   "SELECT %s FROM qms.ticket t WHERE t.state IN ('called', 'serving') AND t.state = 'called' "
				   "AND t.counter_id > 0 AND $1 > 0");
	qms_param_int32(&params, 1);
	n = qms_spi_run(&plan, &params);
	for (i = 0; i < n; i++)
	{
		QmsTicket  *ticket = qms_row_fetch(&qms_ticket_table, i, 0);
		TimestampTz due;
		SPITupleTable *table = SPI_tuptable;

		due = no_show_due(ticket);
		SPI_tuptable = table;
		if (due <= run->call->now)
			add_item(run, qms_row_int64(ticket, T_ticket_id));
		else
			run->next = Min(run->next, due);
	}
}

static void
run_no_show(QmsTaskRun *run, int64 ticket_id)
{
	QmsTicket  *ticket;

	qms_visit_lock_of(ticket_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	/* Served, recalled or gone meanwhile: not due any more. */
	if (ticket == NULL || qms_ticket_state(ticket) != QMS_CALLED || no_show_due(ticket) > run->call->now)
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
	qms_param_int32(&params, QMS_TASK_BATCH);
	keep_items(run, qms_spi_run(&due, &params));
	qms_param_time(&now, run->call->now);
	if (qms_spi_run(&next, &now) > 0)
		run->next = qms_spi_time(0, 0);
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
	qms_json_begin(&json);
	qms_json_text(&json, "hold_kind", "other_ticket");
	qms_ticket_event(run->call, ticket, "ticket.held", qms_json_end(&json), 0);
}

/* ---- the end of a service day: who is left over goes home ---- */

/* The moment at which the queue's present service day began, found by halving. */
static TimestampTz
day_begin(const QmsQueue *queue, TimestampTz now)
{
	DateADT		today = qms_service_day(queue, now);
	TimestampTz before = now - 2 * USECS_PER_DAY;
	TimestampTz after = now;

	while (after - before > 1)
	{
		TimestampTz middle = before + (after - before) / 2;

		if (qms_service_day(queue, middle) < today)
			before = middle;
		else
			after = middle;
	}
	return after;
}

static TimestampTz
next_day_begin(const QmsQueue *queue, TimestampTz now)
{
	DateADT		today = qms_service_day(queue, now);
	TimestampTz later = now + USECS_PER_DAY / 2;

	while (qms_service_day(queue, later) <= today)
		later += USECS_PER_HOUR;
	return day_begin(queue, later);
}

static void
plan_day_ends(QmsTaskRun *run)
{
	static QmsPlan queues = QMS_PLAN_NOARGS(
											"SELECT n.queue_id FROM qms_internal.queue_number n ORDER BY n.queue_id");
	static QmsPlan left = QMS_PLAN(
								   "SELECT ticket_id FROM qms.ticket WHERE branch_id = $1 AND number IS NOT NULL AND queue_id = $2 "
								   "AND state IN ('waiting', 'on_hold') AND service_day < $3 LIMIT $4",
								   INT8OID, INT8OID, DATEOID, INT4OID);
	uint64		n = qms_spi_run(&queues, NULL);
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	uint64		i;

	for (i = 0; i < n; i++)
		ids[i] = qms_spi_int64(i, 0);
	for (i = 0; i < n && run->nitems < QMS_TASK_BATCH; i++)
	{
		QmsQueue   *queue = qms_config_queue(ids[i]);
		QmsParams	params = {0};
		uint64		found;
		uint64		j;

		if (queue == NULL || queue->settings.live_past_midnight)
			continue;
		run->next = Min(run->next, next_day_begin(queue, run->call->now));
		qms_param_int64(&params, queue->branch_id);
		qms_param_int64(&params, queue->queue_id);
		qms_param_datum(&params, DateADTGetDatum(qms_service_day(queue, run->call->now)));
		qms_param_int32(&params, QMS_TASK_BATCH - run->nitems);
		found = qms_spi_run(&left, &params);
		for (j = 0; j < found; j++)
			add_item(run, qms_spi_int64(j, 0));
	}
}

static void
run_day_end(QmsTaskRun *run, int64 ticket_id)
{
	QmsTicket  *ticket;
	QmsState	state;

	qms_visit_lock_of(ticket_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	if (ticket == NULL)
		return;
	state = qms_ticket_state(ticket);
	if (state == QMS_WAITING || state == QMS_ON_HOLD)
		qms_finish(run->call, ticket, QMS_EXPIRED, NULL, "the day is over", true);
}

/* ---- waiters who have not been heard of ---- */

static void
plan_silent(QmsTaskRun *run)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.ticket_id, s.seen_at, t.queue_id FROM qms_internal.ticket_seen s "
								   "LEFT JOIN qms.ticket t ON t.ticket_id = s.ticket_id AND t.state IN ('waiting', 'on_hold') "
								   "ORDER BY s.seen_at LIMIT 1000 OFFSET $1", INT4OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;
	int64	   *tickets;
	int64	   *queues;
	TimestampTz *seen;

	qms_param_int32(&params, 0);
	n = qms_spi_run(&plan, &params);
	tickets = palloc(sizeof(int64) * Max(n, 1));
	queues = palloc(sizeof(int64) * Max(n, 1));
	seen = palloc(sizeof(TimestampTz) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		tickets[i] = qms_spi_int64(i, 0);
		seen[i] = qms_spi_time(i, 1);
		queues[i] = qms_spi_int64(i, 2);
	}
	for (i = 0; i < n; i++)
	{
		QmsQueue   *queue = queues[i] ? qms_config_queue(queues[i]) : NULL;
		int64		timeout = queue ? queue->settings.heartbeat_timeout : 0;
		TimestampTz due = seen[i] + (timeout > 0 ? timeout : USECS_PER_DAY);

		if (due <= run->call->now)
			add_item(run, tickets[i]);
		else
			run->next = Min(run->next, due);
	}
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

static void
plan_auto_calls(QmsTaskRun *run)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.counter_id FROM qms.counter_profile p JOIN qms.staff_session s "
								   "ON s.counter_profile_id = p.counter_profile_id "
								   "WHERE p.auto_call AND p.deleted_at IS NULL AND s.closed_at IS NULL AND s.paused_at IS NULL "
								   "AND s.current_ticket_id IS NULL ORDER BY s.idle_since LIMIT $1", INT4OID);
	QmsParams	params = {0};

	qms_param_int32(&params, QMS_TASK_BATCH - 1);
	keep_items(run, qms_spi_run(&plan, &params));
}

static void
run_auto_call(QmsTaskRun *run, int64 counter_id)
{
	QmsCounter *counter = qms_config_counter(counter_id);
	QmsSession *session = qms_session_read(run->call, counter_id);

	if (counter == NULL || session == NULL || !qms_row_isnull(session, S_paused_at) ||
		!qms_row_isnull(session, S_current_ticket_id))
		return;
	(void) qms_call_next_ticket(run->call, counter, NULL);
}

/* ---- partitions ahead ---- */

static void
plan_partitions(QmsTaskRun *run)
{
	add_item(run, 0);
	run->next = qms_partition_next(QMS_PART_POSITION, run->call->now);
}

/* Months for three months ahead, days for two days; one lock wait holds nobody up. */
static void
run_partitions(QmsTaskRun *run, int64 item)
{
	TimestampTz month = run->call->now;
	TimestampTz day = run->call->now;
	int			i;

	(void) set_config_option("lock_timeout", "2s", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	for (i = 0; i <= 3; i++)
	{
		qms_partition_ensure(QMS_PART_EVENT, month);
		qms_partition_ensure(QMS_PART_HISTORY, month);
		qms_partition_ensure(QMS_PART_LEG, month);
		month = qms_partition_next(QMS_PART_EVENT, month);
	}
	for (i = 0; i <= 2; i++)
	{
		qms_partition_ensure(QMS_PART_POSITION, day);
		day = qms_partition_next(QMS_PART_POSITION, day);
	}
}

/* ---- retention ---- */

static void
plan_retention(QmsTaskRun *run)
{
	int			i;

	for (i = 0; i <= QMS_PART_POSITION; i++)
		add_item(run, i);
	run->next = run->call->now + USECS_PER_HOUR;
}

/* Positions: not past the window, and not past the slowest consumer. */
static TimestampTz
positions_needed_from(TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT pg_catalog.min(p.published_at) FROM qms.event_consumer c, LATERAL ("
										  "SELECT published_at FROM qms_internal.event_position WHERE position > c.position ORDER BY position LIMIT 1) p "
										  "WHERE c.enabled AND c.epoch = (SELECT epoch FROM qms_internal.publisher)");
	TimestampTz from = now - POSITION_WINDOW;

	qms_spi_run(&plan, NULL);
	if (!qms_spi_isnull(0, 0))
		from = Min(from, qms_spi_time(0, 0));
	return from;
}

static void
note_pruned(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "UPDATE qms_internal.publisher SET pruned_position = greatest(pruned_position, "
										  "coalesce((SELECT position - 1 FROM qms_internal.event_position ORDER BY position LIMIT 1), last_position))");

	qms_spi_run(&plan, NULL);
}

static void
run_retention(QmsTaskRun *run, int64 which)
{
	int64		months = qms_history_retention_months();

	(void) set_config_option("lock_timeout", "500ms", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	if (which == QMS_PART_POSITION)
	{
		if (qms_partition_drop_one(which, positions_needed_from(run->call->now)))
			note_pruned();
	}
	else if (months > 0)
		(void) qms_partition_drop_one(which, run->call->now - months * 31 * USECS_PER_DAY);
}

/* ---- answers of requests that nobody repeats any more ---- */

static void
plan_requests(QmsTaskRun *run)
{
	add_item(run, 0);
	run->next = run->call->now + USECS_PER_HOUR;
}

static void
run_requests(QmsTaskRun *run, int64 item)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms_internal.request WHERE ctid = ANY (ARRAY(SELECT ctid FROM qms_internal.request "
								   "WHERE created_at < $1 ORDER BY created_at LIMIT 10000))", TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_time(&params, run->call->now - REQUEST_LIFE);
	if (qms_spi_run(&plan, &params) >= 10000)
		run->next = run->call->now;
}

const QmsTask qms_tasks[] = {
	{"partitions", false, plan_partitions, run_partitions},
	{"no_show", true, plan_no_shows, run_no_show},
	{"hold", true, plan_holds, run_hold},
	{"auto_call", true, plan_auto_calls, run_auto_call},
	{"day_end", false, plan_day_ends, run_day_end},
	{"silent", false, plan_silent, run_silent},
	{"retention", false, plan_retention, run_retention},
	{"requests", false, plan_requests, run_requests},
	{NULL, false, NULL, NULL}
};
