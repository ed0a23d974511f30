/*
 * closing.c
 *		Tasks of the scheduler at the end of a service day and after closing time:
 *		who is left over in the line goes home.
 *
 * Whoever is at a counter then is served; who is called is a matter of the
 * counter and of no_show_after.
 */
#include "worker/tasks.h"

#include "catalog/pg_type.h"

#define STEP (10 * USECS_PER_MINUTE)

/* A ticket that still waits, or is on hold, ends. */
static void
expire(QmsTaskRun *run, QmsTicket *ticket, const char *reason)
{
	QmsState	state = qms_ticket_state(ticket);

	if (state == QMS_WAITING || state == QMS_ON_HOLD)
		qms_finish(run->call, ticket, QMS_EXPIRED, NULL, reason, true);
}

/* ---- the end of a service day ---- */

/*
 * The moment, after "before" and up to "until", at which a service day begins,
 * found by halving: "before" is of an earlier day and "until" is not.  Where
 * clocks are set back over reset_time there are two.
 */
static TimestampTz
day_begin(const QmsQueue *queue, DateADT day, TimestampTz before, TimestampTz until)
{
	while (until - before > 1)
	{
		TimestampTz middle = before + (until - before) / 2;

		if (qms_service_day(queue, middle) < day)
			before = middle;
		else
			until = middle;
	}
	return until;
}

/*
 * Later than now in any case, or the task would be due for ever.  Small steps:
 * where reset_time comes twice, the first is looked for, as by who joins then.
 */
static TimestampTz
next_day_begin(const QmsQueue *queue, TimestampTz now)
{
	DateADT		today = qms_service_day(queue, now);
	TimestampTz later = now;

	while (qms_service_day(queue, later) <= today)
		later += STEP;
	return day_begin(queue, today + 1, Max(later - STEP, now), later);
}

static TimestampTz
this_day_begin(const QmsQueue *queue, TimestampTz now)
{
	return day_begin(queue, qms_service_day(queue, now), now - 3 * USECS_PER_DAY, now);
}

/* Those left over from days before.  Who was reinstated today came into the line today. */
static void
plan_day_end(QmsTaskRun *run, QmsQueue *queue, void *arg pg_attribute_unused())
{
	static QmsPlan left = QMS_PLAN(
								   "SELECT ticket_id FROM (SELECT ticket_id, service_day, entered_at FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' UNION ALL SELECT ticket_id, service_day, entered_at FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'on_hold') t WHERE service_day < $2 AND entered_at < $3 LIMIT $4",
								   INT8OID, DATEOID, TIMESTAMPTZOID, INT4OID);
	TimestampTz now = run->call->now;
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	if (queue->settings.live_past_midnight)
		return;
	qms_task_next(run, next_day_begin(queue, now));
	qms_param_int64(&params, queue->queue_id);
	qms_param_datum(&params, DateADTGetDatum(qms_service_day(queue, now)));
	qms_param_time(&params, this_day_begin(queue, now));
	qms_param_int32(&params, qms_task_limit(run));
	n = qms_spi_run(&left, &params);
	for (i = 0; i < n; i++)
		qms_task_add(run, qms_spi_int64(i, 0));
}

/* Have a function look at each of the queues that a statement names. */
static void
plan_queues(QmsTaskRun *run, QmsPlan *queues, void (*function) (QmsTaskRun *run, QmsQueue *queue, void *arg))
{
	uint64		n = qms_spi_run(queues, NULL);
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	uint64		i;

	for (i = 0; i < n; i++)
		ids[i] = qms_spi_int64(i, 0);
	for (i = 0; i < n && !run->more; i++)
		(void) qms_task_with_queue(run, ids[i], function, NULL);
}

void
qms_plan_day_ends(QmsTaskRun *run)
{
	static QmsPlan queues = QMS_PLAN_NOARGS(
											"SELECT queue_id FROM qms.queue WHERE kind = 'counter' AND deleted_at IS NULL ORDER BY queue_id");

	plan_queues(run, &queues, plan_day_end);
}

void
qms_run_day_end(QmsTaskRun *run, int64 ticket_id)
{
	QmsTicket  *ticket;

	qms_visit_lock_of(ticket_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	if (ticket != NULL)
		expire(run, ticket, "the day is over");
}

/* ---- closing time, where expire_after_closing says so ---- */

static TimestampTz
closing_due(QmsQueue *queue, TimestampTz entered_at)
{
	TimestampTz closing;

	if (queue == NULL || queue->settings.expire_after_closing < 0)
		return DT_NOEND;
	closing = qms_hours_closing(queue, entered_at);
	return closing == DT_NOEND ? DT_NOEND : closing + queue->settings.expire_after_closing;
}

/* Who came first is due first. */
static void
plan_closing(QmsTaskRun *run, QmsQueue *queue, void *arg pg_attribute_unused())
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT ticket_id, entered_at FROM (SELECT ticket_id, entered_at FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' UNION ALL SELECT ticket_id, entered_at FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'on_hold') t ORDER BY entered_at LIMIT $2", INT8OID, INT4OID);
	QmsParams	params = {0};
	SPITupleTable *table;
	uint64		n;
	uint64		i;

	/* Of those who come from now on. */
	qms_task_next(run, closing_due(queue, run->call->now));
	qms_param_int64(&params, queue->queue_id);
	qms_param_int32(&params, qms_task_limit(run));
	n = qms_spi_run(&plan, &params);
	table = SPI_tuptable;
	for (i = 0; i < n; i++)
	{
		TimestampTz due;

		SPI_tuptable = table;
		due = closing_due(queue, qms_spi_time(i, 1));
		if (due > run->call->now)
		{
			qms_task_next(run, due);
			break;
		}
		/* Hours may have been read in between, by a statement of their own. */
		SPI_tuptable = table;
		qms_task_add(run, qms_spi_int64(i, 0));
	}
}

void
qms_plan_closings(QmsTaskRun *run)
{
	static QmsPlan queues = QMS_PLAN_NOARGS(
											"SELECT queue_id FROM qms.queue WHERE deleted_at IS NULL AND settings ? 'expire_after_closing' "
											"ORDER BY queue_id");

	plan_queues(run, &queues, plan_closing);
}

void
qms_run_closing(QmsTaskRun *run, int64 ticket_id)
{
	QmsTicket  *ticket;

	qms_visit_lock_of(ticket_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	/* Gone to another queue meanwhile, or reinstated? */
	if (ticket != NULL &&
		closing_due(qms_config_queue(qms_row_int64(ticket, T_queue_id)), qms_row_time(ticket, T_entered_at)) <= run->call->now)
		expire(run, ticket, "closing time");
}
