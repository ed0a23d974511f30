/*
 * alert_rule.c
 *		Alert rules: what is measured, and from where on somebody is told.
 */
#include "metrics/metrics.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define MAX_RULES 200
#define LONGEST (366 * USECS_PER_DAY)
#define DEFAULT_WINDOW (30 * USECS_PER_MINUTE)
#define LONGEST_WINDOW USECS_PER_DAY

const QmsAlertMetricInfo qms_alert_metrics[QMS_ALERT_METRICS] = {
	[QMS_ALERT_QUEUE_LENGTH] = {"queue_length", "people", true, 1e9},
	[QMS_ALERT_MEAN_WAIT] = {"mean_wait", "seconds", true, 1e9},
	[QMS_ALERT_P90_WAIT] = {"p90_wait", "seconds", true, 1e9},
	[QMS_ALERT_NOBODY_SERVING] = {"nobody_serving", "people", true, 1e9},
	[QMS_ALERT_CALLBACK_FAILURES] = {"callback_failures", "share", false, 1},
	[QMS_ALERT_API_ERRORS] = {"api_errors", "share", false, 1},
	[QMS_ALERT_WORKER_LAG] = {"worker_lag", "seconds", false, 1e9}
};

bool
qms_alert_metric_by_name(const char *name, QmsAlertMetric *metric)
{
	int			i;

	for (i = 0; i < QMS_ALERT_METRICS; i++)
	{
		if (strcmp(qms_alert_metrics[i].name, name) == 0)
		{
			*metric = i;
			return true;
		}
	}
	return false;
}

static QmsField alert_rule_fields[] = {
	QMS_FIELD("alert_rule_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("branch_id", QMS_F_OTHER),
	QMS_FIELD("queue_id", QMS_F_OTHER),
	QMS_FIELD_UNIQUE("name", QMS_F_NAME, QMS_IN_ORGANIZATION),
	QMS_FIELD("metric", QMS_F_PLAIN),
	QMS_FIELD("threshold", QMS_F_PLAIN),
	QMS_FIELD("recover_at", QMS_F_OTHER),
	QMS_FIELD("hold_for", QMS_F_CREDIT),
	QMS_FIELD("repeat_every", QMS_F_DURATION),
	QMS_FIELD("measured_over", QMS_F_DURATION),
	QMS_FIELD("enabled", QMS_F_BOOL),
	QMS_FIELDS_AT_END
};

static double
float_of(const QmsRow *row, int column)
{
	return qms_row_isnull(row, column) ? -1 : DatumGetFloat8(row->values[column]);
}

/* The branch or queue that it is for must be of the organization. */
static void
check_scope(QmsSetup *setup)
{
	int64		branch_id = qms_arg_id_or_0(setup->call, qms_setup_argument(setup, "branch_id"), "branch_id");
	int64		queue_id = qms_arg_id_or_0(setup->call, qms_setup_argument(setup, "queue_id"), "queue_id");

	if (branch_id != 0 && qms_setup_branch(branch_id) != setup->organization_id)
		qms_not_found("branch", branch_id);
	if (queue_id != 0)
	{
		QmsQueue   *queue = qms_config_queue(queue_id);

		if (queue == NULL || queue->organization_id != setup->organization_id)
			qms_not_found("queue", queue_id);
		if (branch_id != 0 && queue->branch_id != branch_id)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("queue %lld does not belong to branch %lld", (long long) queue_id, (long long) branch_id),
					 errhint("Leave branch_id out.")));
		branch_id = queue->branch_id;
	}
	qms_row_set_id(setup->row, qms_setup_column(setup, "branch_id"), branch_id);
	qms_row_set_id(setup->row, qms_setup_column(setup, "queue_id"), queue_id);
	setup->branch_id = branch_id;
}

/* There is a limit: each rule is looked at four times a minute. */
static void
check_number(int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT pg_catalog.count(*) FROM qms.alert_rule r WHERE r.organization_id = $1 AND r.deleted_at IS NULL", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, organization_id);
	qms_spi_look(&plan, &params);
	if (qms_spi_int64(0, 0) >= MAX_RULES)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_TOO_LARGE),
				 errmsg("organization %lld has too many alert rules", (long long) organization_id),
				 errdetail("At most %d are kept.", MAX_RULES),
				 errhint("One rule without queue_id looks at every queue by itself.")));
}

static QmsAlertMetric
check_metric(QmsSetup *setup)
{
	char	   *name = qms_row_text(setup->row, qms_setup_column(setup, "metric"));
	QmsAlertMetric metric;

	if (!qms_alert_metric_by_name(name, &metric))
		qms_arg_choice_error("metric", name, "queue_length, mean_wait, p90_wait, nobody_serving, callback_failures, api_errors and worker_lag");
	if (!qms_alert_metrics[metric].of_queue && !qms_row_isnull(setup->row, qms_setup_column(setup, "branch_id")))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("metric %s is of no branch or queue", name),
				 errhint("Leave branch_id and queue_id out.")));
	return metric;
}

/* recover_at: as given, or the threshold, which it follows if it was the same. */
static void
check_levels(QmsSetup *setup, QmsAlertMetric metric)
{
	FunctionCallInfo fcinfo = setup->call->fcinfo;
	int			t = qms_setup_column(setup, "threshold");
	int			r = qms_setup_column(setup, "recover_at");
	int			n = qms_setup_argument(setup, "recover_at");
	double		threshold = float_of(setup->row, t);

	if (qms_setup_given(setup, "recover_at"))
		qms_row_set_datum(setup->row, r, Float8GetDatum(PG_GETARG_FLOAT8(n)));
	else if (setup->creating || float_of(setup->old, r) == float_of(setup->old, t))
		qms_row_set_datum(setup->row, r, Float8GetDatum(threshold));
	/* Written so that NaN is refused as well. */
	if (!(threshold >= 0 && threshold <= qms_alert_metrics[metric].most))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("threshold is out of range"),
				 errdetail("Of %s it is in %s, from 0 to %g.", qms_alert_metrics[metric].name,
						   qms_alert_metrics[metric].unit, qms_alert_metrics[metric].most)));
	if (!(float_of(setup->row, r) >= 0 && float_of(setup->row, r) <= threshold))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("recover_at is out of range"),
				 errdetail("It is between 0 and the threshold, %g.", threshold),
				 errhint("Give both, or leave recover_at out: then it is the threshold.")));
}

static void
check_times(QmsSetup *setup)
{
	int			hold_for = qms_setup_column(setup, "hold_for");
	int			window = qms_setup_column(setup, "measured_over");

	if (qms_row_interval(setup->row, hold_for) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("hold_for must not be negative"),
				 errhint("Give 0 to be told at once.")));
	if (qms_row_isnull(setup->row, window))
		qms_row_set_interval(setup->row, window, DEFAULT_WINDOW);
	if (qms_row_interval(setup->row, window) > LONGEST_WINDOW)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("measured_over is out of range"),
				 errdetail("It is one day at most."),
				 errhint("What happened over days is in the snapshots.")));
}

static void
check_alert_rule(QmsSetup *setup)
{
	if (setup->creating)
	{
		check_number(setup->organization_id);
		check_scope(setup);
	}
	check_levels(setup, check_metric(setup));
	check_times(setup);
}

static QmsThing alert_rule = {
	.name = "alert_rule", .noun = "alert rule", .owner = QMS_OWNER_ORGANIZATION,
	QMS_FIELDS(alert_rule_fields), .check = check_alert_rule
};

QMS_FUNCTION(create_alert_rule, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &alert_rule);
}

QMS_FUNCTION(update_alert_rule, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &alert_rule);
}

QMS_FUNCTION(delete_alert_rule, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &alert_rule);
}

/* ---- the usual ones ---- */

static const struct
{
	const char *name;
	QmsAlertMetric metric;
	double		threshold;
	double		recover_at;
	int			hold_minutes;
	int			repeat_minutes;
}			defaults[] = {
	{"Long line", QMS_ALERT_QUEUE_LENGTH, 50, 40, 5, 60},
	{"Long mean wait", QMS_ALERT_MEAN_WAIT, 1800, 1500, 5, 60},
	{"Nobody serving", QMS_ALERT_NOBODY_SERVING, 0, 0, 5, 30},
	{"Calls fail", QMS_ALERT_API_ERRORS, 0.05, 0.02, 5, 60},
	{"Callbacks fail", QMS_ALERT_CALLBACK_FAILURES, 0.05, 0.02, 5, 60},
	{"Worker behind", QMS_ALERT_WORKER_LAG, 60, 10, 1, 60}
};

static void
write_event(QmsCall *call, int64 organization_id, int64 alert_rule_id, size_t k)
{
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_text(&json, "name", defaults[k].name);
	qms_json_text(&json, "metric", qms_alert_metrics[defaults[k].metric].name);
	qms_json_float8(&json, "threshold", defaults[k].threshold);
	qms_json_float8(&json, "recover_at", defaults[k].recover_at);
	qms_json_text(&json, "hold_for", psprintf("PT%dM", defaults[k].hold_minutes));
	qms_json_text(&json, "repeat_every", defaults[k].repeat_minutes == 60 ? "PT1H" : psprintf("PT%dM", defaults[k].repeat_minutes));
	qms_json_text(&json, "measured_over", "PT30M");
	qms_json_bool(&json, "enabled", true);
	qms_event_configuration(call, "alert_rule", "created", organization_id, 0, alert_rule_id, qms_json_end(&json));
}

/* Write one of them unless there is one of its name, and answer it. */
static void
make_default(QmsCall *call, int64 organization_id, size_t k)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.alert_rule (organization_id, name, metric, threshold, recover_at, hold_for, repeat_every, created_at, updated_at) "
								   "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $8 WHERE NOT EXISTS (SELECT 1 FROM qms.alert_rule r "
								   "WHERE r.organization_id = $1 AND r.name = $2 AND r.deleted_at IS NULL) "
								   "RETURNING alert_rule_id, organization_id, branch_id, queue_id, name, metric, threshold, recover_at, hold_for, repeat_every, "
								   "measured_over, enabled, created_at, updated_at, deleted_at",
								   INT8OID, TEXTOID, TEXTOID, FLOAT8OID, FLOAT8OID, INTERVALOID, INTERVALOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	Datum		values[15];
	bool		nulls[15];
	size_t		i;

	qms_param_int64(&params, organization_id);
	qms_param_text(&params, defaults[k].name);
	qms_param_text(&params, qms_alert_metrics[defaults[k].metric].name);
	qms_param_datum(&params, Float8GetDatum(defaults[k].threshold));
	qms_param_datum(&params, Float8GetDatum(defaults[k].recover_at));
	qms_param_pointer(&params, qms_interval_make(defaults[k].hold_minutes * USECS_PER_MINUTE));
	qms_param_pointer(&params, qms_interval_make(defaults[k].repeat_minutes * USECS_PER_MINUTE));
	qms_param_time(&params, call->now);
	if (qms_spi_run(&plan, &params) == 0)
		return;
	for (i = 0; i < lengthof(values); i++)
		values[i] = qms_spi_datum(0, i, &nulls[i]);
	qms_answer_row(call, values, nulls);
	write_event(call, organization_id, DatumGetInt64(values[0]), k);
}

/* Lock: that of all set-up of the organization, see setup/thing.c. */
QMS_FUNCTION(create_default_alert_rules, QMS_ACT_SETUP, QMS_MUTATES | QMS_SETOF)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT o.organization_id FROM qms.organization o "
								   "WHERE o.organization_id = $1 AND o.deleted_at IS NULL", INT8OID);
	int64		organization_id = qms_arg_id(call, 0, "organization_id");
	size_t		k;

	(void) qms_setup_organization_of(&plan, "organization", organization_id);
	qms_setup_gate(call, organization_id, 0, 0, "organization", organization_id);
	qms_lock(QMS_LOCK_SETUP, organization_id, true);
	(void) qms_setup_organization_of(&plan, "organization", organization_id);
	check_number(organization_id);
	for (k = 0; k < lengthof(defaults); k++)
		make_default(call, organization_id, k);
	return qms_answer_none(call);
}
