/*
 * drawing.c
 *		Task of the scheduler that makes the draws of waiting rooms when they open.
 *
 * One step of a draw at a turn, so that other work comes in between.
 */
#include "room/room.h"
#include "worker/tasks.h"

#include "catalog/pg_type.h"

#define BUSY_PAUSE USECS_PER_SEC

static void
plan_draw(QmsTaskRun *run, QmsQueue *queue, void *arg)
{
	const bool *begun = arg;

	if (*begun)
		qms_task_add(run, queue->queue_id);
	else if (!queue->settings.lottery || queue->settings.opens_at == QMS_NO_TIME)
		return;
	else if (queue->settings.opens_at <= run->call->now)
		qms_task_add(run, queue->queue_id);
	else
		qms_task_next(run, queue->settings.opens_at);
}

/* Draws that have begun, and those whose time has come. */
void
qms_plan_draws(QmsTaskRun *run)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT queue_id, closed_at IS NOT NULL FROM qms_internal.lottery WHERE drawn_at IS NULL "
								   "AND $1 > 0 ORDER BY queue_id", INT4OID);
	QmsParams	params = {0};
	int64	   *queue_ids;
	bool	   *begun;
	uint64		n;
	uint64		i;

	qms_param_int32(&params, 1);
	n = qms_spi_run(&plan, &params);
	queue_ids = palloc(sizeof(int64) * Max(n, 1));
	begun = palloc(sizeof(bool) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		queue_ids[i] = qms_spi_int64(i, 0);
		begun[i] = qms_spi_bool(i, 1);
	}
	for (i = 0; i < n && !run->more; i++)
		(void) qms_task_with_queue(run, queue_ids[i], plan_draw, &begun[i]);
}

void
qms_run_draw(QmsTaskRun *run, int64 queue_id)
{
	switch (qms_draw_step(run->call, queue_id))
	{
		case QMS_DRAW_MORE:
			qms_task_next(run, run->call->now);
			break;
		case QMS_DRAW_BUSY:
			ereport(LOG,
					(errmsg("qms scheduler: the draw of queue %lld waits for a transaction that does not end",
							(long long) queue_id),
					 errdetail("It has somebody join the queue, or has changed a ticket in it. Nobody is let in meanwhile."),
					 errhint("Look for sessions that are idle in a transaction, and for prepared transactions.")));
			qms_task_next(run, run->call->now + BUSY_PAUSE);
			break;
		case QMS_DRAW_NOTHING:
		case QMS_DRAW_DONE:
			break;
	}
}
