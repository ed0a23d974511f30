/*
 * opening.c
 *		Task of the scheduler when opening hours and closures open or close a queue:
 *		one event for each queue, once for each change.
 *
 * qms_internal.queue_hours holds what the events so far say: a queue of which a
 * row says so is closed by its hours, every other one open.  The task compares
 * that with the hours of now; so it does not matter how often it looks, whether
 * the clock jumps, or what was missed while the server was down.  Nothing is
 * said of a queue that a person has closed.  When a person opens or pauses one,
 * the world takes it for open whatever the hours are (queue/lifecycle.c), and if
 * they are not, the task says so at once.
 */
#include "worker/tasks.h"

#include "catalog/pg_type.h"

#define BUSY_PAUSE USECS_PER_SEC

typedef struct Concerned
{
	int64		queue_id;
	bool		said_open;
} Concerned;

static void
plan_queue(QmsTaskRun *run, QmsQueue *queue, void *arg)
{
	const Concerned *concerned = arg;
	TimestampTz closes_at;
	TimestampTz next_open;
	bool		is_open = qms_hours_is_open(queue, run->call->now, &closes_at, &next_open);
	TimestampTz changes_at = is_open ? closes_at : next_open;

	if (is_open != concerned->said_open)
		qms_task_add(run, queue->queue_id);
	if (changes_at != QMS_NO_TIME)
		qms_task_next(run, changes_at);
}

/* Queues that nobody has closed and that have hours, a closure ahead, or are said to be closed. */
void
qms_plan_hours(QmsTaskRun *run)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.queue_id, coalesce(s.is_open, true) FROM qms.queue q "
								   "LEFT JOIN qms_internal.queue_hours s ON s.queue_id = q.queue_id "
								   "WHERE q.deleted_at IS NULL AND q.status <> 'closed' AND (NOT s.is_open "
								   "OR EXISTS (SELECT 1 FROM qms.opening_hours h WHERE h.queue_id = q.queue_id) "
								   "OR EXISTS (SELECT 1 FROM qms.opening_hours h WHERE h.branch_id = q.branch_id) "
								   "OR EXISTS (SELECT 1 FROM qms.closure c WHERE c.branch_id = q.branch_id AND c.deleted_at IS NULL "
								   "  AND (pg_catalog.upper(c.during) > $1 OR pg_catalog.upper_inf(c.during)))) "
								   "ORDER BY q.queue_id", TIMESTAMPTZOID);
	QmsParams	params = {0};
	Concerned  *concerned;
	uint64		n;
	uint64		i;

	qms_param_time(&params, run->call->now);
	n = qms_spi_run(&plan, &params);
	concerned = palloc(sizeof(Concerned) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		concerned[i].queue_id = qms_spi_int64(i, 0);
		concerned[i].said_open = qms_spi_bool(i, 1);
	}
	for (i = 0; i < n && !run->more; i++)
		(void) qms_task_with_queue(run, concerned[i].queue_id, plan_queue, &concerned[i]);
}

/* Write down what is about to be said; false if it has been said already. */
static bool
note_hours(QmsTaskRun *run, const QmsQueue *queue, bool is_open)
{
	static QmsPlan change = QMS_PLAN(
									 "UPDATE qms_internal.queue_hours SET is_open = $3, changed_at = $4 "
									 "WHERE queue_id = $1 AND organization_id = $2 AND is_open <> $3 RETURNING 1",
									 INT8OID, INT8OID, BOOLOID, TIMESTAMPTZOID);
	static QmsPlan begin = QMS_PLAN(
									"INSERT INTO qms_internal.queue_hours (queue_id, organization_id, is_open, changed_at) "
									"VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING 1",
									INT8OID, INT8OID, BOOLOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	qms_param_bool(&params, is_open);
	qms_param_time(&params, run->call->now);
	return qms_spi_run(&change, &params) > 0 || (!is_open && qms_spi_run(&begin, &params) > 0);
}

/*
 * Say that a queue is open or closed by its hours now.  One that is paused is
 * paused again when they begin.
 *
 * Lock: shared on the queue, if it is free.  Whoever opens, pauses or closes it
 * holds it exclusive, so the events are in the order of the changes; joins share
 * it, so nobody waits for us, and we for nobody.
 */
void
qms_run_hours(QmsTaskRun *run, int64 queue_id)
{
	QmsEvent	event = {0};
	QmsQueue   *queue;
	QmsJson		json;
	TimestampTz closes_at;
	TimestampTz next_open;
	bool		is_open;

	if (!qms_lock_if_free(QMS_LOCK_QUEUE, queue_id, false))
	{
		qms_task_next(run, run->call->now + BUSY_PAUSE);
		return;
	}
	qms_config_refresh();
	queue = qms_config_queue(queue_id);
	if (queue == NULL || queue->status == 'c')
		return;
	is_open = qms_hours_is_open(queue, run->call->now, &closes_at, &next_open);
	if (!note_hours(run, queue, is_open))
		return;
	qms_json_begin(&json);
	qms_json_text(&json, "by", "hours");
	qms_json_time(&json, "until", is_open ? closes_at : next_open);
	qms_json_text(&json, "reason", qms_hours_closure(queue, run->call->now));
	event.data = qms_json_end(&json);
	event.kind = !is_open ? "queue.closed" : queue->status == 'p' ? "queue.paused" : "queue.opened";
	event.state = !is_open ? "closed" : queue->status == 'p' ? "paused" : "open";
	event.organization_id = queue->organization_id;
	event.branch_id = queue->branch_id;
	event.application_id = queue->application_id;
	event.queue_id = queue_id;
	qms_event_write(run->call, &event);
}
