/*
 * privacy.c
 *		Tasks of the scheduler for the audit trail and for personal data: refusals
 *		into the event log, wiping what is too old, sealing anew after a change of
 *		keys.
 */
#include "access/access.h"
#include "worker/tasks.h"

#include "catalog/pg_type.h"

#define RESEAL_ROWS 200			/* in one transaction */
#define KEY_WAIT	(5 * USECS_PER_SEC)	/* for those who were at work when the keys changed */
#define KEY_LOOK	USECS_PER_HOUR	/* a file of keys tells nobody that it has changed */

/* ---- refusals ---- */

void
qms_plan_refusals(QmsTaskRun *run)
{
	QmsRefusal	refusal;
	TimestampTz due;

	if (qms_refusal_next(run->call->now, &refusal, &due))
		qms_task_add(run, 1);
	qms_task_next(run, due);
}

void
qms_run_refusals(QmsTaskRun *run, int64 item pg_attribute_unused())
{
	qms_partition_ensure(QMS_PART_EVENT, run->call->now);
	qms_task_next(run, qms_audit_refusals(run->call));
}

/* ---- what has been kept long enough ---- */

typedef struct Kept
{
	int64		organization_id;
	TimestampTz cutoff;			/* DT_NOBEGIN: keeps everything, or cannot be understood */
} Kept;

/* One that is broken must not stop the others. */
static TimestampTz
cutoff_of(QmsTaskRun *run, const Jsonb *settings)
{
	MemoryContext context = CurrentMemoryContext;
	volatile TimestampTz cutoff = DT_NOBEGIN;

	PG_TRY();
	{
		cutoff = qms_retention_cutoff(settings, run->call->now);
	}
	PG_CATCH();
	{
		/* Whoever set it was told (check of the settings), or knows what he does. */
		MemoryContextSwitchTo(context);
		if (geterrcode() != ERRCODE_QMS_INVALID_SETTING)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	return cutoff;
}

/* The organizations that set a time. */
static Kept *
organizations(QmsTaskRun *run, int *n)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT organization_id, settings FROM qms.organization WHERE settings ? 'personal_data_retention' "
										  "ORDER BY organization_id");
	uint64		found = qms_spi_run(&plan, NULL);
	Kept	   *kept = palloc(sizeof(Kept) * Max(found, 1));
	uint64		i;

	for (i = 0; i < found; i++)
	{
		bool		isnull;

		kept[i].organization_id = qms_spi_int64(i, 0);
		kept[i].cutoff = cutoff_of(run, DatumGetJsonbP(qms_spi_datum(i, 1, &isnull)));
	}
	*n = (int) found;
	return kept;
}

/* The queues with history that is too old, deleted ones as well. */
static void
add_queues(QmsTaskRun *run, const Kept *kept)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.queue_id FROM qms.queue q LEFT JOIN qms_internal.wiped w ON w.queue_id = q.queue_id "
								   "WHERE q.organization_id = $1 AND coalesce(w.wiped_until < $2, true) ORDER BY q.queue_id LIMIT $3",
								   INT8OID, TIMESTAMPTZOID, INT4OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, kept->organization_id);
	qms_param_time(&params, kept->cutoff);
	qms_param_int32(&params, qms_task_limit(run));
	n = qms_spi_run(&plan, &params);
	for (i = 0; i < n; i++)
		qms_task_add(run, qms_spi_int64(i, 0));
}

void
qms_plan_old_tickets(QmsTaskRun *run)
{
	int			n;
	Kept	   *kept = organizations(run, &n);
	int			i;

	for (i = 0; i < n && !run->more; i++)
	{
		if (kept[i].cutoff != DT_NOBEGIN)
			add_queues(run, &kept[i]);
	}
	if (n > 0)
		qms_task_next(run, run->call->now + USECS_PER_HOUR);
}

void
qms_run_old_tickets(QmsTaskRun *run, int64 queue_id)
{
	qms_partition_ensure(QMS_PART_EVENT, run->call->now);
	if (qms_retention_queue(run->call, queue_id))
		qms_task_next(run, run->call->now);
}

void
qms_plan_old_customers(QmsTaskRun *run)
{
	int			n;
	Kept	   *kept = organizations(run, &n);
	int			i;

	for (i = 0; i < n; i++)
	{
		if (kept[i].cutoff != DT_NOBEGIN)
			qms_task_add(run, kept[i].organization_id);
	}
	if (n > 0)
		qms_task_next(run, run->call->now + USECS_PER_DAY);
}

void
qms_run_old_customers(QmsTaskRun *run, int64 organization_id)
{
	qms_partition_ensure(QMS_PART_EVENT, run->call->now);
	if (qms_retention_customers(run->call, organization_id))
		qms_task_next(run, run->call->now);
}

/* ---- new keys ---- */

void
qms_plan_reseal(QmsTaskRun *run)
{
	QmsReseal	progress;

	if (qms_reseal_read(&progress))
		qms_task_add(run, 1);
	qms_task_next(run, run->call->now + KEY_LOOK);
}

void
qms_run_reseal(QmsTaskRun *run, int64 item pg_attribute_unused())
{
	QmsReseal	progress;

	qms_partition_ensure(QMS_PART_EVENT, run->call->now);
	if (qms_reseal_read(&progress) && qms_reseal_some(run->call, &progress, RESEAL_ROWS))
		qms_task_next(run, progress.waits ? run->call->now + KEY_WAIT : run->call->now);
}
