/*
 * flow.c
 *		Task of the scheduler: learns how waiting rooms flow (queue/flow.c).
 *
 * Each one is looked at every LEARN_EVERY while anybody waits in it or is inside.
 * When all are empty the task sleeps until somebody may be let in somewhere.
 */
#include "worker/tasks.h"

#include "release/release.h"

#include "catalog/pg_type.h"

#define LEARN_EVERY (10 * USECS_PER_SEC)

/* Each release wakes us: no look sooner than this after the last one. */
#define LOOK_EVERY USECS_PER_SEC

static TimestampTz looked_at = 0;

/* Rooms that have had somebody when last looked at, or that nobody has looked at for so long. */
void
qms_plan_flows(QmsTaskRun *run)
{
	static QmsPlan due = QMS_PLAN(
								  "SELECT r.queue_id FROM qms_internal.release_queue r "
								  "JOIN qms.queue q ON q.queue_id = r.queue_id AND q.deleted_at IS NULL "
								  "LEFT JOIN qms_internal.release_flow f ON f.queue_id = r.queue_id "
								  "WHERE (f.at IS NULL OR f.at <= $1 OR f.at > $2) AND (f.waiting > 0 OR f.inside > 0 OR r.inside > 0 OR "
								  "EXISTS (SELECT 1 FROM qms.ticket t WHERE t.queue_id = r.queue_id AND t.state = 'waiting')) "
								  "ORDER BY f.at NULLS FIRST, r.queue_id LIMIT $3", TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID);
	static QmsPlan next = QMS_PLAN_NOARGS(
										  "SELECT pg_catalog.min(at) FROM qms_internal.release_flow WHERE waiting > 0 OR inside > 0");
	static QmsPlan any = QMS_PLAN_NOARGS("SELECT 1 FROM qms_internal.release_queue LIMIT 1");
	QmsParams	params = {0};
	QmsParams	none = {0};
	TimestampTz now = run->call->now;
	uint64		n;
	uint64		i;

	if (now >= looked_at && now - looked_at < LOOK_EVERY)
	{
		if (qms_spi_run(&any, &none) > 0)
			qms_task_next(run, looked_at + LOOK_EVERY);
		return;
	}
	looked_at = now;
	qms_param_time(&params, now - LEARN_EVERY);
	qms_param_time(&params, now);
	qms_param_int32(&params, qms_task_limit(run));
	n = qms_spi_run(&due, &params);
	for (i = 0; i < n; i++)
		qms_task_add(run, qms_spi_int64(i, 0));
	qms_spi_run(&next, &none);
	if (!qms_spi_isnull(0, 0))
		qms_task_next(run, Max(qms_spi_time(0, 0), now - LEARN_EVERY + LOOK_EVERY) + LEARN_EVERY);
}

/* A room that lets nobody in adds up nothing by itself, and many may leave its line. */
static void
add_up(QmsTaskRun *run, const QmsQueue *queue)
{
	QmsGate    *gate = qms_gate_lock(qms_release_gate_of(queue), queue->organization_id, run->call->now, false);

	if (gate == NULL)
		return;
	qms_gate_fold(gate);
	qms_gate_store(gate);
}

void
qms_run_flow(QmsTaskRun *run, int64 queue_id)
{
	QmsQueue   *queue = qms_config_queue(queue_id);

	if (queue == NULL || !queue->is_release)
		return;
	add_up(run, queue);
	/* It may have been read anew. */
	queue = qms_config_queue(queue_id);
	if (queue != NULL && qms_flow_learn(queue, run->call->now))
		qms_task_next(run, run->call->now + LEARN_EVERY);
}
