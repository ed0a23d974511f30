/*
 * metrics.c
 *		qms.metrics(): everything that is measured, as Prometheus text.
 *
 * Who belongs to an organization sees the queues of his organization and
 * branches.  What is of the whole database (times of calls, gateways) is for
 * those who act directly, and for the gateway.
 *
 * Labels are bounded: organization, branch, application and queue by their
 * slugs, groups of functions, workers; nothing of tickets or people.
 */
#include "metrics/metrics.h"

#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

void		(*qms_metrics_of_workers) (QmsExposition *x, bool gateways) = NULL;
int64		(*qms_metrics_worker_lag) (void) = NULL;

/* What is to be written, gathered first. */
typedef struct Metrics
{
	QmsCall    *call;
	QmsExposition x;
	bool		all;			/* of the whole database */
	bool		gateways;
	QmsGauges  *queues;
	int			nqueues;
	QmsQueueCounters *counters; /* NULL: no shared memory */
	int			ncounters;
	TimestampTz since;
	int64		lost;
} Metrics;

/* ---- gauges of queues ---- */

typedef enum GaugeOf
{
	OF_ALL, OF_COUNTER_QUEUES, OF_ROOMS
} GaugeOf;

typedef enum Gauge
{
	G_WAITING, G_ON_HOLD, G_INSIDE, G_HEAD_WAIT, G_OPEN, G_COUNTERS, G_PAUSED, G_MEAN_WAIT, G_P90_WAIT, G_COMPLETION, GAUGES
} Gauge;

static const struct
{
	const char *name;
	GaugeOf		of;
	const char *help;
}			gauges[GAUGES] = {
	[G_WAITING] = {"qms_queue_size", OF_ALL, "People waiting in the queue; beyond 1000 at most one second old."},
	[G_ON_HOLD] = {"qms_queue_on_hold", OF_ALL, "People of the queue who are on hold."},
	[G_INSIDE] = {"qms_queue_inside", OF_ROOMS, "People released or admitted and not gone yet."},
	[G_HEAD_WAIT] = {"qms_queue_head_wait_seconds", OF_ALL, "How long the first in line has been in the queue; 0: nobody waits."},
	[G_OPEN] = {"qms_queue_open", OF_ALL, "1: open; 0: paused or closed by somebody. Opening hours are not looked at."},
	[G_COUNTERS] = {"qms_queue_open_counters", OF_COUNTER_QUEUES, "Open counters that take from the queue, paused ones included."},
	[G_PAUSED] = {"qms_queue_paused_counters", OF_COUNTER_QUEUES, "Those of them that are paused."},
	[G_MEAN_WAIT] = {"qms_average_wait_time", OF_COUNTER_QUEUES, "Mean wait in seconds, from entering the queue to the last call, of those called in the last hour; absent: nobody was."},
	[G_P90_WAIT] = {"qms_wait_time_p90_seconds", OF_COUNTER_QUEUES, "90th percentile of the same waits."},
	[G_COMPLETION] = {"qms_service_completion_rate", OF_COUNTER_QUEUES, "Share of the tickets ended in the last hour that were completed, 0 to 1; absent: none ended."}
};

static void
put_queue_labels(Metrics *m, const QmsGauges *q)
{
	qms_exposition_label(&m->x, "organization", q->organization);
	qms_exposition_label(&m->x, "branch", q->branch);
	qms_exposition_label(&m->x, "application", q->application);
	qms_exposition_label(&m->x, "queue", q->queue);
}

/* The value of a gauge; below 0: there is none. */
static double
gauge_of(const Metrics *m, const QmsGauges *q, Gauge gauge)
{
	switch (gauge)
	{
		case G_WAITING:
			return (double) q->waiting;
		case G_ON_HOLD:
			return (double) q->on_hold;
		case G_INSIDE:
			return (double) q->inside;
		case G_HEAD_WAIT:
			return q->head_since == QMS_NO_TIME ? 0 : Max(m->call->now - q->head_since, 0) / 1e6;
		case G_OPEN:
			return q->is_open ? 1 : 0;
		case G_COUNTERS:
			return q->open_counters;
		case G_PAUSED:
			return q->paused_counters;
		case G_MEAN_WAIT:
			return q->called > 0 ? q->mean_wait : -1;
		case G_P90_WAIT:
			return q->called > 0 ? q->p90_wait : -1;
		case G_COMPLETION:
			return q->ended > 0 ? (double) q->completed / (double) q->ended : -1;
		default:
			return -1;
	}
}

static void
put_gauge(Metrics *m, Gauge gauge)
{
	int			i;

	qms_exposition_family(&m->x, gauges[gauge].name, "gauge", gauges[gauge].help);
	for (i = 0; i < m->nqueues; i++)
	{
		const QmsGauges *q = &m->queues[i];
		double		value = gauge_of(m, q, gauge);

		if (value < 0 || gauges[gauge].of == (q->is_release ? OF_COUNTER_QUEUES : OF_ROOMS))
			continue;
		qms_exposition_sample(&m->x, "");
		put_queue_labels(m, q);
		qms_exposition_float8(&m->x, value);
	}
}

/* Waiting people by kind of queue, of each organization and branch: queues come in any order. */
static void
put_lengths(Metrics *m)
{
	bool	   *done = palloc0(sizeof(bool) * Max(m->nqueues, 1));
	int			i;
	int			j;

	qms_exposition_family(&m->x, "qms_queue_length_by_type", "gauge",
						  "People waiting, by kind of queue: counter (called to counters) or release (waiting rooms).");
	for (i = 0; i < m->nqueues; i++)
	{
		const QmsGauges *q = &m->queues[i];
		int64		sum = 0;

		if (done[i])
			continue;
		for (j = i; j < m->nqueues; j++)
		{
			const QmsGauges *other = &m->queues[j];

			if (done[j] || other->organization_id != q->organization_id || other->branch_id != q->branch_id ||
				other->application_id != q->application_id || other->is_release != q->is_release)
				continue;
			done[j] = true;
			sum += other->waiting;
		}
		qms_exposition_sample(&m->x, "");
		qms_exposition_label(&m->x, "organization", q->organization);
		qms_exposition_label(&m->x, "branch", q->branch);
		qms_exposition_label(&m->x, "application", q->application);
		qms_exposition_label(&m->x, "type", q->is_release ? "release" : "counter");
		qms_exposition_int64(&m->x, sum);
	}
}

/* ---- counters of queues ---- */

/* One family each; what does not happen in a kind of queue is left out there. */
static const struct
{
	QmsCounted	which;
	GaugeOf		of;
	const char *help;
}			counted[] = {
	{QMS_COUNT_JOINED, OF_ALL, "Tickets that joined the queue."},
	{QMS_COUNT_CALLED, OF_COUNTER_QUEUES, "Calls to a counter."},
	{QMS_COUNT_RECALLED, OF_COUNTER_QUEUES, "Calls repeated."},
	{QMS_COUNT_SERVING, OF_COUNTER_QUEUES, "Services begun."},
	{QMS_COUNT_COMPLETED, OF_ALL, "Tickets completed."},
	{QMS_COUNT_NO_SHOW, OF_COUNTER_QUEUES, "Tickets whose person did not come when called."},
	{QMS_COUNT_HELD, OF_ALL, "Tickets put on hold."},
	{QMS_COUNT_REQUEUED, OF_COUNTER_QUEUES, "Tickets put back from a counter into the line."},
	{QMS_COUNT_TRANSFERRED, OF_COUNTER_QUEUES, "Tickets that came to the queue by a transfer."},
	{QMS_COUNT_CANCELLED, OF_ALL, "Tickets cancelled by staff, or left by their person."},
	{QMS_COUNT_RELEASED, OF_ALL, "Tickets released from a waiting room."},
	{QMS_COUNT_ADMITTED, OF_ROOMS, "Released tickets whose person came in."},
	{QMS_COUNT_EXPIRED, OF_ALL, "Tickets that expired: closing time, a silent waiter, a place not claimed, a visit over time."},
	{QMS_COUNT_REVOKED, OF_ROOMS, "Tickets whose access was revoked."},
	{QMS_COUNT_UNDONE, OF_ALL, "Steps taken back by undo; what they had counted stays counted."}
};

static int64
counter_of(const Metrics *m, int64 queue_id, QmsCounted which)
{
	int			low = 0;
	int			high = m->ncounters;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (m->counters[middle].queue_id < queue_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->ncounters && m->counters[low].queue_id == queue_id ? m->counters[low].counts[which] : 0;
}

static void
put_counters(Metrics *m)
{
	size_t		k;
	int			i;

	for (k = 0; k < lengthof(counted); k++)
	{
		qms_exposition_family(&m->x, psprintf("qms_queue_users_%s_total", qms_counters_name(counted[k].which)),
							  "counter", counted[k].help);
		for (i = 0; m->counters != NULL && i < m->nqueues; i++)
		{
			const QmsGauges *q = &m->queues[i];
			int64		value = counter_of(m, q->queue_id, counted[k].which);

			if (value == 0 && counted[k].of == (q->is_release ? OF_COUNTER_QUEUES : OF_ROOMS))
				continue;
			qms_exposition_sample(&m->x, "");
			put_queue_labels(m, q);
			qms_exposition_int64(&m->x, value);
		}
	}
}

/* ---- of organizations ---- */

/* Slugs of those that the caller sees, into this memory. */
static char **
list_organizations(Metrics *m, int *n)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT o.organization_id, o.slug FROM qms.organization o WHERE o.deleted_at IS NULL ORDER BY 1");
	uint64		rows = qms_spi_run(&plan, NULL);
	char	  **slugs = palloc(sizeof(char *) * Max(rows, 1));
	uint64		i;

	*n = 0;
	for (i = 0; i < rows; i++)
	{
		if (m->all || qms_gate_sees_branch(m->call, qms_spi_int64(i, 0), 0))
			slugs[(*n)++] = qms_spi_text(i, 1);
	}
	return slugs;
}

static void
put_zeros(Metrics *m, const char *name, const char *help, char **slugs, int n)
{
	int			i;

	qms_exposition_family(&m->x, name, "counter", help);
	for (i = 0; i < n; i++)
	{
		qms_exposition_sample(&m->x, "");
		qms_exposition_label(&m->x, "organization", slugs[i]);
		qms_exposition_int64(&m->x, 0);
	}
}

/* Nothing is called back yet: names and zeros, so that dashboards and rules are complete. */
static void
put_callbacks(Metrics *m)
{
	int			n;
	char	  **slugs = list_organizations(m, &n);

	put_zeros(m, "qms_callback_success_total", "Callbacks delivered (none are sent yet).", slugs, n);
	put_zeros(m, "qms_callback_failure_total", "Callbacks given up (none are sent yet).", slugs, n);
	qms_exposition_family(&m->x, "qms_callback_duration_seconds", "histogram", "Time of callbacks (none are sent yet).");
	if (!m->all)
		return;
	qms_exposition_sample(&m->x, "_bucket");
	qms_exposition_label(&m->x, "le", "+Inf");
	qms_exposition_int64(&m->x, 0);
	qms_exposition_sample(&m->x, "_sum");
	qms_exposition_int64(&m->x, 0);
	qms_exposition_sample(&m->x, "_count");
	qms_exposition_int64(&m->x, 0);
}

/* ---- of the database ---- */

static void
put_calls(Metrics *m)
{
	QmsTiming	timing;
	int			group;
	int			i;

	qms_exposition_family(&m->x, "qms_api_response_time", "histogram",
						  "Time of calls of SQL functions in seconds, by group of functions; of failed and rolled back ones too.");
	for (group = 0; m->all && group < QMS_ACT_MANY; group++)
	{
		uint64		sum = 0;

		if (!qms_timing_read(group, &timing))
			break;
		for (i = 0; i <= QMS_TIMING_BUCKETS; i++)
		{
			sum += timing.buckets[i];
			qms_exposition_sample(&m->x, "_bucket");
			qms_exposition_label(&m->x, "group", qms_timing_group_name(group));
			qms_exposition_label(&m->x, "le", i < QMS_TIMING_BUCKETS ? psprintf("%g", qms_timing_bounds[i]) : "+Inf");
			qms_exposition_int64(&m->x, sum);
		}
		qms_exposition_sample(&m->x, "_sum");
		qms_exposition_label(&m->x, "group", qms_timing_group_name(group));
		qms_exposition_float8(&m->x, timing.seconds);
		qms_exposition_sample(&m->x, "_count");
		qms_exposition_label(&m->x, "group", qms_timing_group_name(group));
		qms_exposition_int64(&m->x, timing.calls);
	}
	qms_exposition_family(&m->x, "qms_api_errors_total", "counter",
						  "Calls that ended with an error: refused (the caller may not, or it cannot be done) or failed (the server's fault, or cancelled).");
	for (group = 0; m->all && group < QMS_ACT_MANY && qms_timing_read(group, &timing); group++)
	{
		for (i = 0; i < 2; i++)
		{
			qms_exposition_sample(&m->x, "");
			qms_exposition_label(&m->x, "group", qms_timing_group_name(group));
			qms_exposition_label(&m->x, "outcome", i == 0 ? "refused" : "failed");
			qms_exposition_int64(&m->x, i == 0 ? timing.refused : timing.failed);
		}
	}
}

static void
put_one(Metrics *m, const char *name, const char *type, const char *help, int64 value)
{
	qms_exposition_family(&m->x, name, type, help);
	qms_exposition_sample(&m->x, "");
	qms_exposition_int64(&m->x, value);
}

static void
put_database(Metrics *m)
{
	qms_exposition_family(&m->x, "qms_build_info", "gauge", "The version of qms, as a label.");
	qms_exposition_sample(&m->x, "");
	qms_exposition_label(&m->x, "version", QMS_VERSION);
	qms_exposition_int64(&m->x, 1);
	put_one(m, "qms_shared_memory", "gauge", "1: counters are kept; 0: qms is not in shared_preload_libraries, and only tables are read.",
			m->counters != NULL ? 1 : 0);
	qms_exposition_family(&m->x, "qms_counters_start_time_seconds", "gauge", "Since when counters count, in seconds since 1970: the start of the server.");
	if (m->counters != NULL)
	{
		qms_exposition_sample(&m->x, "");
		qms_exposition_time(&m->x, m->since);
	}
	qms_exposition_family(&m->x, "qms_events_published_total", "counter", "Events published, of all kinds.");
	if (m->all && m->counters != NULL)
	{
		qms_exposition_sample(&m->x, "");
		qms_exposition_int64(&m->x, counter_of(m, 0, QMS_COUNT_ALL));
	}
	qms_exposition_family(&m->x, "qms_events_uncounted_total", "counter",
						  "Events of queues beyond qms.queue_slots, in all databases: their counters stand still.");
	if (m->all && m->counters != NULL)
	{
		qms_exposition_sample(&m->x, "");
		qms_exposition_int64(&m->x, m->lost);
	}
}

/* ---- all of it ---- */

static void
gather(Metrics *m)
{
	QmsGaugesScope scope = {0, 0, 0, QMS_GAUGES_WINDOW};
	int			kept = 0;
	int			i;

	if (!m->all)
		scope.organization_id = m->call->who->organization_id;
	m->queues = qms_gauges_read(&scope, m->call->now, &m->nqueues);
	for (i = 0; i < m->nqueues; i++)
	{
		const QmsGauges *q = &m->queues[i];
		QmsObject	object = {"queue", q->queue_id, q->organization_id, q->branch_id, q->application_id, q->queue_id, 0};

		if (m->all || qms_gate_sees_object(m->call, &object))
			m->queues[kept++] = *q;
	}
	m->nqueues = kept;
	m->counters = qms_counters_read(&m->ncounters, &m->since, &m->lost);
}

static char *
write_all(Metrics *m)
{
	int			i;

	initStringInfo(&m->x.out);
	gather(m);
	put_database(m);
	for (i = 0; i < GAUGES; i++)
		put_gauge(m, i);
	put_lengths(m);
	put_counters(m);
	put_callbacks(m);
	put_calls(m);
	if (qms_metrics_of_workers != NULL)
		qms_metrics_of_workers(&m->x, m->gateways);
	return m->x.out.data;
}

/* Text that outlives SPI. */
static Datum
answer(QmsCall *call, const char *text)
{
	MemoryContext old = MemoryContextSwitchTo(call->result_context);
	Datum		result = CStringGetTextDatum(text);

	MemoryContextSwitchTo(old);
	return result;
}

QMS_FUNCTION(metrics, QMS_ACT_LOOK, 0)
{
	Metrics		m = {.call = call};

	m.all = m.gateways = call->who->kind == QMS_SUPERUSER;
	return answer(call, write_all(&m));
}

/* Whoever has EXECUTE must be of the gateway all the same. */
static void
require_gateway(void)
{
	Oid			group = get_role_oid("qms_gateway", true);

	if (!OidIsValid(group) || !is_member_of_role(GetOuterUserId(), group))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function gateway_metrics"),
				 errdetail("It is for the gateway, which puts it into its /metrics."),
				 errhint("Call qms.metrics().")));
}

PG_FUNCTION_INFO_V1(qms_gateway_metrics);

/* For the gateway: all of the database, with its name as a label, without what gateways count. */
Datum
qms_gateway_metrics(PG_FUNCTION_ARGS)
{
	static const QmsFunction function = {.name = "gateway_metrics"};
	QmsCall		call = {0};
	Metrics		m = {.call = &call, .all = true};
	Datum		result;

	require_gateway();
	call.fcinfo = fcinfo;
	call.function = &function;
	call.result_context = CurrentMemoryContext;
	qms_spi_begin();
	qms_gate_refresh();
	qms_timing_prepare();
	call.now = qms_clock_now();
	m.x.database = get_database_name(MyDatabaseId);
	result = answer(&call, write_all(&m));
	qms_spi_end();
	return result;
}
