/*
 * upkeep.c
 *		Tasks of the scheduler that nobody sees: partitions ahead, retention,
 *		answers that nobody asks for again.
 */
#include "access/access.h"
#include "stats/stats.h"
#include "worker/tasks.h"
#include "worker/worker.h"

#include "catalog/pg_type.h"
#include "utils/guc.h"

#define REQUEST_LIFE (48 * USECS_PER_HOUR)
#define POSITION_WINDOW USECS_PER_DAY

/* ---- partitions ahead ---- */

void
qms_plan_partitions(QmsTaskRun *run)
{
	qms_task_add(run, 1);
	run->next = qms_partition_next(QMS_PART_POSITION, run->call->now);
}

/* Months for three months ahead, days for two days; one lock wait holds nobody up. */
void
qms_run_partitions(QmsTaskRun *run, int64 item pg_attribute_unused())
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

void
qms_plan_retention(QmsTaskRun *run)
{
	int			i;

	for (i = 0; i <= QMS_PART_POSITION; i++)
		qms_task_add(run, i + 1);
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
										  "coalesce((SELECT position - 1 FROM qms_internal.event_position ORDER BY position LIMIT 1), "
										  "(SELECT last_position FROM qms_internal.publisher_progress ORDER BY turn DESC LIMIT 1)))");

	qms_spi_run(&plan, NULL);
}

void
qms_run_retention(QmsTaskRun *run, int64 item)
{
	int64		months = qms_history_retention_months();
	QmsPartitioned which = (QmsPartitioned) (item - 1);
	TimestampTz now = run->call->now;

	/* Whoever comes while we wait for the parent stands behind us: not for long. */
	(void) set_config_option("lock_timeout", "100ms", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	if (which == QMS_PART_POSITION)
	{
		if (!qms_partition_drop_one(which, positions_needed_from(now)))
			return;
		note_pruned();
	}
	else if (months == 0 || (which == QMS_PART_EVENT && qms_stats_need(now - months * 31 * USECS_PER_DAY)) ||
			 !qms_partition_drop_one(which, now - months * 31 * USECS_PER_DAY))
		return;
	else if (which == QMS_PART_EVENT)
		qms_stats_forget_before(qms_partition_oldest(which));
	/* One a transaction; there may be another. */
	qms_task_next(run, now);
}

/* ---- answers of requests that nobody repeats any more ---- */

void
qms_plan_requests(QmsTaskRun *run)
{
	qms_task_add(run, 1);
	run->next = run->call->now + USECS_PER_HOUR;
}

void
qms_run_requests(QmsTaskRun *run, int64 item pg_attribute_unused())
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms_internal.request WHERE ctid = ANY (ARRAY(SELECT ctid FROM qms_internal.request "
								   "WHERE created_at < $1 ORDER BY created_at LIMIT 10000))", TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_time(&params, run->call->now - REQUEST_LIFE);
	if (qms_spi_run(&plan, &params) >= 10000)
		run->next = run->call->now;
}

/* ---- access tokens that have expired: whoever shows one is told so by the token itself ---- */

void
qms_plan_access_tokens(QmsTaskRun *run)
{
	qms_task_add(run, 1);
	run->next = run->call->now + USECS_PER_HOUR;
}

void
qms_run_access_tokens(QmsTaskRun *run, int64 item pg_attribute_unused())
{
	/* Not that of a ticket that is still in: what it was let in with can be asked for until it ends. */
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms_internal.access_token WHERE ctid = ANY (ARRAY(SELECT ctid FROM qms_internal.access_token a "
								   "WHERE expires_at < $1 AND NOT EXISTS (SELECT 1 FROM qms.ticket t WHERE t.ticket_id = a.ticket_id) "
								   "ORDER BY expires_at LIMIT 10000))", TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_time(&params, run->call->now - USECS_PER_HOUR);
	if (qms_spi_run(&plan, &params) >= 10000)
		run->next = run->call->now;
}

/* ---- keys and devices that have shown themselves ---- */

void
qms_plan_last_seen(QmsTaskRun *run)
{
	TimestampTz due = qms_seen_due();

	if (due <= run->call->now)
		qms_task_add(run, 1);
	else if (due != DT_NOEND)
		qms_task_next(run, due);
}

void
qms_run_last_seen(QmsTaskRun *run pg_attribute_unused(), int64 item pg_attribute_unused())
{
	qms_seen_write();
}
