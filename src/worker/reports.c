/*
 * reports.c
 *		Task of the scheduler: the reports that schedules ask for.
 */
#include "report/report.h"
#include "worker/tasks.h"

#include "catalog/pg_type.h"

void
qms_plan_reports(QmsTaskRun *run)
{
	static QmsPlan due = QMS_PLAN(
								  "SELECT s.report_schedule_id FROM qms.report_schedule s JOIN qms.organization o "
								  "ON o.organization_id = s.organization_id WHERE s.deleted_at IS NULL AND o.deleted_at IS NULL "
								  "AND s.next_due_at <= $1 ORDER BY s.next_due_at LIMIT $2", TIMESTAMPTZOID, INT4OID);
	static QmsPlan next = QMS_PLAN(
								   "SELECT s.next_due_at FROM qms.report_schedule s JOIN qms.organization o "
								   "ON o.organization_id = s.organization_id WHERE s.deleted_at IS NULL AND o.deleted_at IS NULL "
								   "AND s.next_due_at > $1 ORDER BY s.next_due_at LIMIT 1", TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsParams	now = {0};
	uint64		n;
	uint64		i;

	qms_param_time(&params, run->call->now);
	qms_param_int32(&params, qms_task_limit(run));
	n = qms_spi_run(&due, &params);
	for (i = 0; i < n; i++)
		qms_task_add(run, qms_spi_int64(i, 0));
	qms_param_time(&now, run->call->now);
	if (qms_spi_run(&next, &now) > 0)
		qms_task_next(run, qms_spi_time(0, 0));
}

/* One report in a transaction, so that a large one holds no other up. */
void
qms_run_report(QmsTaskRun *run, int64 report_schedule_id)
{
	TimestampTz next;

	qms_partition_ensure(QMS_PART_EVENT, run->call->now);
	next = qms_report_make_due(run->call, report_schedule_id);
	if (next != QMS_NO_TIME)
		qms_task_next(run, next);
}
