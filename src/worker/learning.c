/*
 * learning.c
 *		Task of the scheduler: learns how long people wait (predict/learn.c).
 *
 * Whoever ends a ticket at a counter notes the next turn as a timer, so while
 * nothing happens nothing is looked at.  A turn reads the queues in which somebody
 * has ended since they were learned from.
 */
#include "worker/tasks.h"
#include "worker/worker.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/array.h"

/*
 * Queues with something new; $1: up to when, $2: how many.  Since when, as learn.c
 * has it: the clock may have been set back.
 */
#define SINCE \
	"CASE WHEN w.until <= $1 + '1 hour'::pg_catalog.interval THEN w.until WHEN w.until IS NULL THEN $1 - '30 days'::pg_catalog.interval " \
	"ELSE $1 - '1 hour'::pg_catalog.interval END"
#define NEWS(until) \
	"FROM qms.queue q LEFT JOIN qms_internal.wait_model w ON w.queue_id = q.queue_id " \
	"WHERE q.kind = 'counter' AND q.deleted_at IS NULL AND (EXISTS (SELECT 1 FROM qms.ticket_history h WHERE h.queue_id = q.queue_id " \
	"AND h.ended_at > " SINCE " " until("h.ended_at") ") OR " \
	"EXISTS (SELECT 1 FROM qms.ticket_leg l WHERE l.queue_id = q.queue_id AND l.left_at > " SINCE " " until("l.left_at") "))"
#define UNTIL_NOW(at) "AND " at " <= $1"
#define AT_ANY_TIME(at)

void
qms_plan_learning(QmsTaskRun *run)
{
	static QmsPlan due = QMS_PLAN("SELECT q.queue_id " NEWS(UNTIL_NOW) " ORDER BY w.until NULLS FIRST, q.queue_id LIMIT $2",
								  TIMESTAMPTZOID, INT4OID);
	static QmsPlan soon = QMS_PLAN("SELECT 1 " NEWS(AT_ANY_TIME) " LIMIT 1", TIMESTAMPTZOID);
	static TimestampTz turned_at = QMS_NO_TIME;
	static TimestampTz next_turn = DT_NOEND;
	TimestampTz now = run->call->now;
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	/* One look a turn; woken in between for something else, the next is known, or looked for. */
	if (turned_at != QMS_NO_TIME && now >= turned_at && now / QMS_LEARN_EVERY == turned_at / QMS_LEARN_EVERY)
	{
		if (next_turn == DT_NOEND)
		{
			qms_param_time(&params, now);
			if (qms_spi_run(&soon, &params) > 0)
				next_turn = (now / QMS_LEARN_EVERY + 1) * QMS_LEARN_EVERY;
		}
		if (next_turn != DT_NOEND)
			qms_task_next(run, next_turn);
		return;
	}
	qms_param_time(&params, now - QMS_LEARN_LAG);
	qms_param_int32(&params, qms_task_limit(run));
	n = qms_spi_run(&due, &params);
	for (i = 0; i < n; i++)
		qms_task_add(run, qms_spi_int64(i, 0));
	params.n = 0;
	qms_param_time(&params, now);
	next_turn = n > 0 || qms_spi_run(&soon, &params) > 0 ? (now / QMS_LEARN_EVERY + 1) * QMS_LEARN_EVERY : DT_NOEND;
	if (next_turn != DT_NOEND)
		qms_task_next(run, next_turn);
	/* A full batch is gone on with at once. */
	turned_at = n < (uint64) qms_task_limit(run) ? now : QMS_NO_TIME;
}

void
qms_run_learning(QmsTaskRun *run, int64 queue_id)
{
	QmsQueue   *queue = qms_config_queue(queue_id);

	if (queue != NULL && !queue->is_release && qms_wait_learn(queue, run->call->now))
		qms_task_next(run, run->call->now);
}

PG_FUNCTION_INFO_V1(qms_learn_waits_by_hand);

Datum
qms_learn_waits_by_hand(PG_FUNCTION_ARGS)
{
	QmsQueue   *queue;
	QmsCall    *call;
	bool		more = false;

	qms_spi_begin();
	call = qms_worker_call();
	qms_config_refresh();
	queue = qms_config_queue(PG_GETARG_INT64(0));
	if (queue != NULL && !queue->is_release)
		more = qms_wait_learn(queue, call->now);
	qms_spi_end();
	PG_RETURN_BOOL(more);
}

PG_FUNCTION_INFO_V1(qms_wait_figures_by_hand);

/* The figures behind so many people, and what they cost. */
Datum
qms_wait_figures_by_hand(PG_FUNCTION_ARGS)
{
	int64		queue_id = PG_GETARG_INT64(0);
	int			times = Max(PG_GETARG_INT32(2), 1);
	Datum		values[4];
	QmsQueue   *queue;
	QmsWait		wait = {0};
	instr_time	begun;
	instr_time	took;
	int			i;

	qms_spi_begin();
	qms_config_refresh();
	queue = qms_config_queue(queue_id);
	if (queue == NULL || queue->is_release)
		qms_not_found("queue", queue_id);
	INSTR_TIME_SET_CURRENT(begun);
	for (i = 0; i < times; i++)
	{
		double		ahead = (double) PG_GETARG_INT64(1);
		double		counters;

		CHECK_FOR_INTERRUPTS();
		qms_wait_in_line(queue, PG_INT64_MAX, qms_clock_now(), &ahead, &counters, &wait);
	}
	INSTR_TIME_SET_CURRENT(took);
	INSTR_TIME_SUBTRACT(took, begun);
	qms_spi_end();
	values[0] = Float8GetDatum(wait.p10);
	values[1] = Float8GetDatum(wait.p50);
	values[2] = Float8GetDatum(wait.p90);
	values[3] = Float8GetDatum(INSTR_TIME_GET_DOUBLE(took) * 1e6 / times);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 4, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
