/*
 * alert.c
 *		Looks at alert rules and writes alert.raised and alert.recovered.
 *
 * A value above the threshold makes an alert pending; when it has been so for
 * hold_for without a break it is raised, told again after each repeat_every, and
 * recovered when the value is at or below recover_at.  In between nothing
 * changes, so a value that moves about the threshold does not chatter.  The state
 * of each rule and queue is a row, written only when it changes; so a restart of
 * the server forgets no hold-off and tells nothing twice.
 *
 * The scheduler calls this with one rule at a time, each in a transaction.
 */
#include "metrics/metrics.h"

#include "catalog/pg_type.h"
#include "utils/guc.h"

typedef struct Rule
{
	int64		alert_rule_id;
	int64		organization_id;
	int64		branch_id;
	int64		queue_id;
	char	   *name;
	QmsAlertMetric metric;
	double		threshold;
	double		recover_at;
	int64		hold_for;
	int64		repeat_every;	/* 0: not */
	int64		measured_over;
	bool		is_live;
} Rule;

typedef enum State
{
	OK, PENDING, RAISED, STATES
} State;

static const char *const state_names[STATES] = {"ok", "pending", "raised"};

/* One rule on one queue, or on none. */
typedef struct Alert
{
	int64		queue_id;
	int64		branch_id;
	int64		application_id; /* of the queue; 0: none, or the queue is gone */
	double		value;
	bool		seen;			/* the queue is still there */
	State		state;
	TimestampTz since;
	TimestampTz raised_at;
	TimestampTz notified_at;
	int			notices;
	TimestampTz recovered_at;
} Alert;

static int	interval = 15;

void
qms_alert_define_settings(void)
{
	DefineCustomIntVariable("qms.alert_interval",
							"How often the scheduler looks at alert rules.",
							"0 turns it off.",
							&interval, 15, 0, 3600, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
}

/* Microseconds; 0: never. */
int64
qms_alert_interval(void)
{
	return interval * USECS_PER_SEC;
}

/* ---- reading ---- */

static bool
read_rule(int64 alert_rule_id, Rule *rule)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT r.organization_id, r.branch_id, r.queue_id, r.name, r.metric, r.threshold, r.recover_at, "
								   "(extract(epoch FROM r.hold_for) * 1000000)::pg_catalog.int8, (extract(epoch FROM r.repeat_every) * 1000000)::pg_catalog.int8, "
								   "(extract(epoch FROM r.measured_over) * 1000000)::pg_catalog.int8, "
								   "r.enabled AND r.deleted_at IS NULL AND o.deleted_at IS NULL "
								   "FROM qms.alert_rule r JOIN qms.organization o ON o.organization_id = r.organization_id WHERE r.alert_rule_id = $1", INT8OID);
	QmsParams	params = {0};
	bool		isnull;

	memset(rule, 0, sizeof(*rule));
	qms_param_int64(&params, alert_rule_id);
	if (qms_spi_run(&plan, &params) == 0)
		return false;
	rule->alert_rule_id = alert_rule_id;
	rule->organization_id = qms_spi_int64(0, 0);
	rule->branch_id = qms_spi_int64(0, 1);
	rule->queue_id = qms_spi_int64(0, 2);
	rule->name = qms_spi_text(0, 3);
	rule->threshold = DatumGetFloat8(qms_spi_datum(0, 5, &isnull));
	rule->recover_at = DatumGetFloat8(qms_spi_datum(0, 6, &isnull));
	rule->hold_for = qms_spi_int64(0, 7);
	rule->repeat_every = qms_spi_int64(0, 8);
	rule->measured_over = qms_spi_int64(0, 9);
	rule->is_live = qms_spi_bool(0, 10);
	return qms_alert_metric_by_name(qms_spi_text(0, 4), &rule->metric);
}

static State
state_by_name(const char *name)
{
	return strcmp(name, "raised") == 0 ? RAISED : strcmp(name, "pending") == 0 ? PENDING : OK;
}

/* How the rule stands so far. */
static Alert *
read_alerts(const Rule *rule, int *n)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.queue_id, s.branch_id, s.state, s.since, s.raised_at, s.notified_at, s.notices, s.recovered_at, s.value "
								   "FROM qms_internal.alert_state s WHERE s.alert_rule_id = $1 ORDER BY s.queue_id FOR UPDATE", INT8OID);
	QmsParams	params = {0};
	Alert	   *alerts;
	bool		isnull;
	int			i;

	qms_param_int64(&params, rule->alert_rule_id);
	*n = qms_spi_run(&plan, &params);
	alerts = palloc0(sizeof(Alert) * Max(*n, 1));
	for (i = 0; i < *n; i++)
	{
		alerts[i].queue_id = qms_spi_int64(i, 0);
		alerts[i].branch_id = qms_spi_int64(i, 1);
		alerts[i].state = state_by_name(qms_spi_text(i, 2));
		alerts[i].since = qms_spi_time(i, 3);
		alerts[i].raised_at = qms_spi_time(i, 4);
		alerts[i].notified_at = qms_spi_time(i, 5);
		alerts[i].notices = qms_spi_int32(i, 6);
		alerts[i].recovered_at = qms_spi_time(i, 7);
		alerts[i].value = DatumGetFloat8(qms_spi_datum(i, 8, &isnull));
	}
	return alerts;
}

static Alert *
find_alert(Alert *alerts, int n, int64 queue_id)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (alerts[middle].queue_id < queue_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && alerts[low].queue_id == queue_id ? &alerts[low] : NULL;
}

/* ---- values ---- */

/* Of those who were called; if nobody was, the wait so far of the first in line. */
static double
wait_of(const QmsGauges *q, double of_called, TimestampTz now)
{
	if (q->called > 0)
		return of_called;
	return q->head_since == QMS_NO_TIME ? 0 : Max(now - q->head_since, 0) / 1e6;
}

static double
value_of_queue(const Rule *rule, const QmsGauges *q, TimestampTz now)
{
	switch (rule->metric)
	{
		case QMS_ALERT_QUEUE_LENGTH:
			return (double) q->waiting;
		case QMS_ALERT_MEAN_WAIT:
			return q->is_release ? 0 : wait_of(q, q->mean_wait, now);
		case QMS_ALERT_P90_WAIT:
			return q->is_release ? 0 : wait_of(q, q->p90_wait, now);
		case QMS_ALERT_NOBODY_SERVING:
			return q->is_release || q->open_counters > q->paused_counters ? 0 : (double) q->waiting;
		default:
			return 0;
	}
}

static double
value_of_database(const Rule *rule, TimestampTz now)
{
	switch (rule->metric)
	{
		case QMS_ALERT_API_ERRORS:
			return qms_alert_api_errors(now, rule->measured_over);
		case QMS_ALERT_WORKER_LAG:
			return qms_metrics_worker_lag == NULL ? 0 : Max(qms_metrics_worker_lag(), 0) / 1e6;
		default:
			return 0;
	}
}

/* ---- writing ---- */

static void
store(const Rule *rule, Alert *alert)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.alert_state (alert_rule_id, queue_id, organization_id, branch_id, state, value, since, raised_at, "
								   "notified_at, notices, recovered_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
								   "ON CONFLICT (alert_rule_id, queue_id, organization_id) DO UPDATE SET branch_id = excluded.branch_id, state = excluded.state, "
								   "value = excluded.value, since = excluded.since, raised_at = excluded.raised_at, notified_at = excluded.notified_at, "
								   "notices = excluded.notices, recovered_at = excluded.recovered_at",
								   INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID, FLOAT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID,
								   TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, rule->alert_rule_id);
	qms_param_int64(&params, alert->queue_id);
	qms_param_int64(&params, rule->organization_id);
	qms_param_id(&params, alert->branch_id);
	qms_param_text(&params, state_names[alert->state]);
	qms_param_datum(&params, Float8GetDatum(alert->value));
	qms_param_time(&params, alert->since);
	qms_param_time(&params, alert->raised_at);
	qms_param_time(&params, alert->notified_at);
	qms_param_int32(&params, alert->notices);
	qms_param_time(&params, alert->recovered_at);
	qms_spi_run(&plan, &params);
}

/* alert.raised, or alert.recovered with a reason. */
static void
write_event(QmsCall *call, const Rule *rule, const Alert *alert, const char *reason)
{
	QmsEvent	event = {0};
	QmsJson		json;

	event.kind = reason == NULL ? "alert.raised" : "alert.recovered";
	event.organization_id = rule->organization_id;
	event.branch_id = alert->branch_id;
	event.application_id = alert->application_id;
	event.queue_id = alert->queue_id;
	qms_json_begin(&json);
	qms_json_int64(&json, "alert_rule_id", rule->alert_rule_id);
	qms_json_text(&json, "name", rule->name);
	qms_json_text(&json, "metric", qms_alert_metrics[rule->metric].name);
	qms_json_text(&json, "unit", qms_alert_metrics[rule->metric].unit);
	qms_json_float8(&json, "value", alert->value);
	qms_json_float8(&json, "threshold", rule->threshold);
	qms_json_float8(&json, "recover_at", rule->recover_at);
	qms_json_time(&json, "since", alert->since);
	if (reason == NULL)
		qms_json_int64(&json, "notice", alert->notices);
	else
	{
		qms_json_time(&json, "raised_at", alert->raised_at);
		qms_json_text(&json, "reason", reason);
	}
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

/* Tell it, for the first time or again. */
static void
tell(QmsCall *call, const Rule *rule, Alert *alert)
{
	alert->notified_at = call->now;
	alert->notices++;
	write_event(call, rule, alert, NULL);
	store(rule, alert);
}

static void
raise_alert(QmsCall *call, const Rule *rule, Alert *alert)
{
	alert->state = RAISED;
	alert->raised_at = call->now;
	alert->notices = 0;
	tell(call, rule, alert);
}

/* It is over: with an event if it was raised, without a word if it was only pending. */
static void
end_alert(QmsCall *call, const Rule *rule, Alert *alert, const char *reason)
{
	if (alert->state == RAISED)
	{
		write_event(call, rule, alert, reason);
		alert->recovered_at = call->now;
	}
	alert->state = OK;
	alert->since = QMS_NO_TIME;
	store(rule, alert);
}

static void
earliest(TimestampTz *next, TimestampTz at)
{
	*next = Min(*next, at);
}

/* What the value of now makes of it. */
static void
judge(QmsCall *call, const Rule *rule, Alert *alert, double value, TimestampTz *next)
{
	alert->value = value;
	alert->seen = true;
	switch (alert->state)
	{
		case RAISED:
			if (value <= rule->recover_at)
				end_alert(call, rule, alert, "recovered");
			/* A clock that was set back: from here on. */
			else if (alert->notified_at > call->now || (rule->repeat_every > 0 && call->now - alert->notified_at >= rule->repeat_every))
				tell(call, rule, alert);
			break;
		case PENDING:
			if (value <= rule->threshold)
				end_alert(call, rule, alert, NULL);
			else if (alert->since > call->now)
			{
				alert->since = call->now;
				store(rule, alert);
			}
			else if (call->now - alert->since >= rule->hold_for)
				raise_alert(call, rule, alert);
			break;
		default:
			if (value <= rule->threshold)
				return;
			alert->since = call->now;
			alert->state = PENDING;
			if (rule->hold_for <= 0)
				raise_alert(call, rule, alert);
			else
				store(rule, alert);
			break;
	}
	if (alert->state == PENDING)
		earliest(next, alert->since + rule->hold_for);
	if (alert->state == RAISED && rule->repeat_every > 0)
		earliest(next, alert->notified_at + rule->repeat_every);
}

static void
judge_queues(QmsCall *call, const Rule *rule, Alert *alerts, int n, TimestampTz *next)
{
	QmsGaugesScope scope = {rule->organization_id, rule->branch_id, rule->queue_id, 0};
	QmsGauges  *queues;
	int			nqueues;
	int			i;

	if (rule->metric == QMS_ALERT_MEAN_WAIT || rule->metric == QMS_ALERT_P90_WAIT)
		scope.window = rule->measured_over;
	queues = qms_gauges_read(&scope, call->now, &nqueues);
	for (i = 0; i < nqueues; i++)
	{
		Alert		fresh = {.queue_id = queues[i].queue_id, .since = QMS_NO_TIME, .raised_at = QMS_NO_TIME,
		.notified_at = QMS_NO_TIME, .recovered_at = QMS_NO_TIME};
		Alert	   *alert = find_alert(alerts, n, queues[i].queue_id);

		if (alert == NULL)
			alert = &fresh;
		alert->branch_id = queues[i].branch_id;
		alert->application_id = queues[i].application_id;
		judge(call, rule, alert, value_of_queue(rule, &queues[i], call->now), next);
	}
}

/*
 * Look at one rule.  Answers when it wants to be looked at again at the latest,
 * beside the usual interval; DT_NOEND: never by itself.
 */
TimestampTz
qms_alert_evaluate(QmsCall *call, int64 alert_rule_id)
{
	TimestampTz next = DT_NOEND;
	Rule		rule;
	Alert	   *alerts;
	int			n;
	int			i;

	if (!read_rule(alert_rule_id, &rule))
		return next;
	alerts = read_alerts(&rule, &n);
	if (rule.is_live && qms_alert_metrics[rule.metric].of_queue)
		judge_queues(call, &rule, alerts, n, &next);
	else if (rule.is_live)
	{
		Alert		fresh = {.since = QMS_NO_TIME, .raised_at = QMS_NO_TIME, .notified_at = QMS_NO_TIME, .recovered_at = QMS_NO_TIME};

		judge(call, &rule, n > 0 ? &alerts[0] : &fresh, value_of_database(&rule, call->now), &next);
	}
	for (i = 0; i < n; i++)
	{
		if (!alerts[i].seen && alerts[i].state != OK)
			end_alert(call, &rule, &alerts[i], rule.is_live ? "queue_gone" : "rule_off");
	}
	return next;
}
