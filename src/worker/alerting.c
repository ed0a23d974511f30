/*
 * alerting.c
 *		Task of the scheduler that looks at alert rules, each in a transaction of
 *		its own: one that fails does not stop the others.
 */
#include "metrics/metrics.h"
#include "worker/tasks.h"

#include "catalog/pg_type.h"

/* Rules that count, and those that do not any more but have raised something; more than a batch in several. */
void
qms_plan_alerts(QmsTaskRun *run)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT r.alert_rule_id FROM qms.alert_rule r JOIN qms.organization o ON o.organization_id = r.organization_id "
								   "WHERE r.alert_rule_id > $1 AND ((r.enabled AND r.deleted_at IS NULL AND o.deleted_at IS NULL) "
								   "OR EXISTS (SELECT 1 FROM qms_internal.alert_state s WHERE s.alert_rule_id = r.alert_rule_id AND s.state <> 'ok')) "
								   "ORDER BY r.alert_rule_id LIMIT $2", INT8OID, INT4OID);
	static int64 after = 0;		/* the last rule of the batch before */
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	if (qms_alert_interval() == 0)
		return;
	if (after == 0)
		qms_alert_sample(run->call->now);
	qms_param_int64(&params, after);
	qms_param_int32(&params, qms_task_limit(run));
	n = qms_spi_run(&plan, &params);
	for (i = 0; i < n; i++)
		qms_task_add(run, qms_spi_int64(i, 0));
	after = run->more ? run->items[run->nitems - 1] : 0;
	if (n > 0)
		qms_task_next(run, run->call->now + qms_alert_interval());
}

void
qms_run_alert(QmsTaskRun *run, int64 alert_rule_id)
{
	qms_task_next(run, qms_alert_evaluate(run->call, alert_rule_id));
}
