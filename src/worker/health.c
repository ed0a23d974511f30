/*
 * health.c
 *		How the workers and the gateways are, for qms.metrics() and alert rules.
 */
#include "worker/gateway.h"
#include "metrics/metrics.h"

#include "access/xlog.h"
#include "miscadmin.h"

static const QmsWorkerKind kinds[] = {QMS_PUBLISHER, QMS_SCHEDULER};

/* The slot of this database, copied; false: there is none. */
static bool
read_slot(QmsDatabaseSlot *copy)
{
	QmsDatabaseSlot *slot;

	if (qms_worker_shared == NULL)
		return false;
	LWLockAcquire(qms_worker_shared->lock, LW_SHARED);
	slot = qms_worker_database(MyDatabaseId, false);
	if (slot != NULL)
		*copy = *slot;
	LWLockRelease(qms_worker_shared->lock);
	return slot != NULL;
}

/* The farther behind of the two, in microseconds; -1: not known. */
static int64
worker_lag(void)
{
	QmsDatabaseSlot *slot = palloc(sizeof(QmsDatabaseSlot));

	if (!read_slot(slot))
		return -1;
	return Max(qms_worker_lag(slot, QMS_PUBLISHER), qms_worker_lag(slot, QMS_SCHEDULER));
}

typedef enum WorkerFigure
{
	W_UP, W_LAG, W_WORK, W_FAILURES, W_LAST_RUN, W_FIGURES
} WorkerFigure;

static const struct
{
	const char *name;
	const char *type;
	const char *help;
}			figures[W_FIGURES] = {
	[W_UP] = {"qms_worker_up", "gauge", "1: the worker of this database runs."},
	[W_LAG] = {"qms_worker_lag_seconds", "gauge", "publisher: age of the oldest commit that is not published; scheduler: delay of what is due for longest."},
	[W_WORK] = {"qms_worker_work_total", "counter", "Events published, or items of work done, since the worker started."},
	[W_FAILURES] = {"qms_worker_failures", "gauge", "Failures in a row; each makes it rest longer."},
	[W_LAST_RUN] = {"qms_worker_last_run_timestamp_seconds", "gauge", "When it began to work last, in seconds since 1970."}
};

static void
put_worker(QmsExposition *x, const QmsDatabaseSlot *slot, QmsWorkerKind kind, WorkerFigure figure)
{
	const QmsWorkerSlot *worker = &slot->workers[kind];
	int64		lag = qms_worker_lag(slot, kind);

	if ((figure == W_LAG && lag < 0) || (figure == W_LAST_RUN && worker->last_run_at == 0))
		return;
	qms_exposition_sample(x, "");
	qms_exposition_label(x, "worker", qms_worker_kind_name(kind));
	if (figure == W_UP)
		qms_exposition_int64(x, worker->pid > 0 ? 1 : 0);
	else if (figure == W_LAG)
		qms_exposition_float8(x, lag / 1e6);
	else if (figure == W_WORK)
		qms_exposition_int64(x, worker->done);
	else if (figure == W_FAILURES)
		qms_exposition_int64(x, worker->failures);
	else
		qms_exposition_time(x, worker->last_run_at);
}

static void
put_workers(QmsExposition *x)
{
	QmsDatabaseSlot *slot = palloc(sizeof(QmsDatabaseSlot));
	bool		known = read_slot(slot);
	int			i;
	size_t		k;

	for (i = 0; i < W_FIGURES; i++)
	{
		qms_exposition_family(x, figures[i].name, figures[i].type, figures[i].help);
		for (k = 0; known && k < lengthof(kinds); k++)
			put_worker(x, slot, kinds[k], i);
	}
}

/* ---- gateways ---- */

typedef struct Gateway
{
	const char *name;
	QmsGatewayFigures figures;
} Gateway;

/* The one here and those that report to this database; only what has been said lately. */
static int
list_gateways(Gateway *list, TimestampTz now)
{
	QmsGatewayShared *copy = palloc(sizeof(QmsGatewayShared));
	int			n = 0;
	int			i;

	if (qms_gateway_shared == NULL)
		return 0;
	LWLockAcquire(qms_gateway_shared->lock, LW_SHARED);
	memcpy(copy, qms_gateway_shared, sizeof(QmsGatewayShared));
	LWLockRelease(qms_gateway_shared->lock);
	explicit_bzero(copy->password, sizeof(copy->password));
	explicit_bzero(copy->verifier, sizeof(copy->verifier));
	if (copy->program != 0 && copy->figures.at != 0)
		list[n++] = (Gateway) {"local", copy->figures};
	for (i = 0; i < QMS_GATEWAY_REPORTS; i++)
	{
		const QmsGatewayReport *report = &copy->reports[i];

		if (report->database == MyDatabaseId && !qms_gateway_is_forgotten(report, now))
			list[n++] = (Gateway) {report->name, report->figures};
	}
	return n;
}

static const struct
{
	const char *name;
	const char *type;
	const char *help;
}			gateway_figures[] = {
	{"qms_websocket_connections", "gauge", "Clients connected to a gateway."},
	{"qms_gateway_reported_subscriptions", "gauge", "Their subscriptions."},
	{"qms_gateway_reported_messages_total", "counter", "Messages sent since the gateway started."},
	{"qms_gateway_reported_bytes_total", "counter", "Bytes sent since the gateway started."},
	{"qms_gateway_reported_drops_total", "counter", "Clients disconnected because they did not read fast enough."},
	{"qms_gateway_reported_lag_seconds", "gauge", "From the doorbell of the database to the last client, for the last events."}
};

static void
put_gateway(QmsExposition *x, const Gateway *gateway, int figure)
{
	const QmsGatewayFigures *f = &gateway->figures;
	const int64 values[] = {f->connections, f->subscriptions, f->messages, f->bytes, f->drops};

	if (figure == lengthof(values) && f->lag_ms < 0)
		return;
	qms_exposition_sample(x, "");
	qms_exposition_label(x, "gateway", gateway->name);
	if (figure == lengthof(values))
		qms_exposition_float8(x, f->lag_ms / 1000);
	else
		qms_exposition_int64(x, values[figure]);
}

static void
put_gateways(QmsExposition *x)
{
	Gateway    *list = palloc(sizeof(Gateway) * (QMS_GATEWAY_REPORTS + 1));
	int			n = list_gateways(list, qms_clock_now());
	size_t		k;
	int			i;

	for (k = 0; k < lengthof(gateway_figures); k++)
	{
		qms_exposition_family(x, gateway_figures[k].name, gateway_figures[k].type, gateway_figures[k].help);
		for (i = 0; i < n; i++)
			put_gateway(x, &list[i], (int) k);
	}
}

static void
put_health(QmsExposition *x, bool gateways)
{
	put_workers(x);
	if (gateways)
		put_gateways(x);
}

void
qms_health_init(void)
{
	qms_metrics_of_workers = put_health;
	qms_metrics_worker_lag = worker_lag;
}
