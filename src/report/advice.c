/*
 * advice.c
 *		A better time or branch, for somebody who is about to join.
 *
 * Now and elsewhere are predictions, as a join would be quoted.  Later is what
 * people waited in that hour of that weekday in the last eight weeks: who knows
 * how many counters will be open can do no better, and nobody knows.
 */
#include "report/report.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define WEEKS		8
#define ENOUGH		8			/* waits of an hour, for it to be spoken of */
#define MOST_DAYS	14
#define MOST_ROWS	20

typedef struct Option
{
	const char *option;
	int64		queue_id;
	int64		branch_id;
	TimestampTz starts_at;		/* QMS_NO_TIME: now */
	TimestampTz ends_at;
	int64		p50;			/* microseconds */
	int64		p90;
} Option;

typedef struct Advice
{
	QmsCall    *call;
	int64		queue_id;
	int64		branch_id;
	int64		organization_id;
	pg_tz	   *zone;
	bool		is_open;
	Option		now;
	int			n;
	Option	   *options;
	int			size;
} Advice;

static void
add(Advice *advice, const Option *option)
{
	if (advice->n == advice->size)
	{
		advice->size = Max(advice->size * 2, 16);
		advice->options = advice->options == NULL ? palloc(sizeof(Option) * advice->size) :
			repalloc(advice->options, sizeof(Option) * advice->size);
	}
	advice->options[advice->n++] = *option;
}

/* What somebody who joins now would be quoted; false: he cannot join, or nobody can say. */
static bool
predict(QmsCall *call, int64 queue_id, Option *option)
{
	QmsQueue   *queue = qms_config_queue(queue_id);
	QmsPlace	place;
	TimestampTz closes_at;
	TimestampTz next_open;

	if (queue == NULL || queue->status != 'o' || !qms_hours_is_open(queue, call->now, &closes_at, &next_open))
		return false;
	memset(option, 0, sizeof(*option));
	option->queue_id = queue_id;
	option->branch_id = queue->branch_id;
	option->starts_at = option->ends_at = QMS_NO_TIME;
	qms_place_of(queue, PG_INT64_MAX, PG_INT64_MAX, call->now, &place);
	if (place.p50 == NULL || place.p90 == NULL)
		return false;
	option->p50 = qms_interval_usec(place.p50, "wait");
	option->p90 = qms_interval_usec(place.p90, "wait");
	return true;
}

/* ---- elsewhere ---- */

/* May he know of it? */
static bool
is_for(QmsCall *call, int64 queue_id)
{
	QmsQueue   *queue = qms_config_queue(queue_id);
	QmsObject	object = {0};

	if (queue == NULL || (!queue->settings.is_public && !qms_gate_sees_hidden(call)))
		return false;
	object.what = "queue";
	object.id = object.queue_id = queue_id;
	object.organization_id = queue->organization_id;
	object.branch_id = queue->branch_id;
	return qms_gate_is_anonymous(call) || qms_gate_sees_object(call, &object);
}

/* The same service in other branches, where people come to first. */
static void
look_elsewhere(Advice *advice, int64 service_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT f.queue_id FROM qms.service_offer f JOIN qms.branch b ON b.branch_id = f.branch_id "
								   "WHERE f.service_id = $1 AND f.branch_id <> $2 AND f.organization_id = $3 AND f.is_default AND f.deleted_at IS NULL AND b.deleted_at IS NULL "
								   "ORDER BY f.queue_id LIMIT 100", INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};
	int64	   *ids;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, service_id);
	qms_param_int64(&params, advice->branch_id);
	qms_param_int64(&params, advice->organization_id);
	n = qms_spi_run(&plan, &params);
	ids = palloc(sizeof(int64) * Max(n, 1));
	for (i = 0; i < n; i++)
		ids[i] = qms_spi_int64(i, 0);
	for (i = 0; i < n; i++)
	{
		Option		option;

		if (!is_for(advice->call, ids[i]) || !predict(advice->call, ids[i], &option))
			continue;
		option.option = "elsewhere";
		if (!advice->is_open || option.p50 < advice->now.p50)
			add(advice, &option);
	}
}

/* ---- later ---- */

static void
add_hour(const QmsStatsRow *row, void *arg)
{
	QmsTimes  **hour = &((QmsTimes **) arg)[(row->weekday - 1) * 24 + row->local_hour];

	if (*hour == NULL)
		*hour = palloc0(sizeof(QmsTimes));
	qms_times_merge(*hour, &row->stats->wait);
}

/* Hours to come in which it is open and people have waited less. */
static void
look_later(Advice *advice, int32 days)
{
	QmsStatsScope of = {QMS_OF_QUEUE, advice->queue_id};
	QmsTimes   *hours[7 * 24] = {NULL};
	TimestampTz now = advice->call->now;
	int			today = qms_report_day(now, advice->zone);
	TimestampTz end = qms_report_midnight(today + days, advice->zone);
	QmsReportHour hour;
	TimestampTz closes_at;
	TimestampTz next_open;

	qms_stats_each(of, QMS_STATS_HOUR, qms_report_midnight(today - WEEKS * 7, advice->zone), now, NULL, add_hour, hours);
	/* From the next full hour on. */
	for (qms_report_hour(now, advice->zone, &hour); hour.ends_at < end;)
	{
		QmsTimes   *times;
		Option		option = {"later", advice->queue_id, advice->branch_id, 0, 0, 0, 0};

		qms_report_hour(hour.ends_at, advice->zone, &hour);
		times = hours[(hour.weekday - 1) * 24 + hour.hour];
		if (times == NULL || times->count < ENOUGH ||
			!qms_hours_is_open(qms_config_queue(advice->queue_id), hour.starts_at, &closes_at, &next_open))
			continue;
		option.starts_at = hour.starts_at;
		option.ends_at = hour.ends_at;
		option.p50 = qms_times_quantile(times, 0.5);
		option.p90 = qms_times_quantile(times, 0.9);
		if (!advice->is_open || option.p50 < advice->now.p50)
			add(advice, &option);
	}
}

/* ---- the call ---- */

/* The least wait first, then the earliest. */
static int
compare(const void *a, const void *b)
{
	const Option *x = a;
	const Option *y = b;

	if (x->p50 != y->p50)
		return x->p50 < y->p50 ? -1 : 1;
	if (x->starts_at != y->starts_at)
		return x->starts_at < y->starts_at ? -1 : 1;
	return x->queue_id < y->queue_id ? -1 : x->queue_id > y->queue_id;
}

static void
answer(Advice *advice, const Option *option)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.name, b.names FROM qms.branch b WHERE b.branch_id = $1", INT8OID);
	QmsParams	params = {0};
	Datum		values[10] = {0};
	bool		nulls[10] = {false};

	values[0] = CStringGetTextDatum(option->option);
	values[1] = Int64GetDatum(option->queue_id);
	values[2] = Int64GetDatum(option->branch_id);
	nulls[2] = nulls[3] = nulls[4] = true;
	qms_param_int64(&params, option->branch_id);
	if (option->branch_id != 0 && qms_spi_run(&plan, &params) > 0)
	{
		nulls[2] = false;
		values[3] = qms_spi_datum(0, 0, &nulls[3]);
		values[4] = qms_spi_datum(0, 1, &nulls[4]);
	}
	values[5] = TimestampTzGetDatum(option->starts_at);
	values[6] = TimestampTzGetDatum(option->ends_at);
	nulls[5] = nulls[6] = option->starts_at == QMS_NO_TIME;
	values[7] = IntervalPGetDatum(qms_interval_make(option->p50));
	values[8] = IntervalPGetDatum(qms_interval_make(option->p90));
	nulls[9] = !advice->is_open;
	if (!nulls[9])
		values[9] = IntervalPGetDatum(qms_interval_make(advice->now.p50 - option->p50));
	qms_answer_row(advice->call, values, nulls);
}

/* Where people come to first.  What belongs to others is as if it were not there. */
static int64
default_queue(QmsCall *call, int64 branch_id, int64 service_id)
{
	int64		queue_id = qms_config_default_queue(branch_id, service_id);
	QmsQueue   *queue = queue_id != 0 ? qms_config_queue(queue_id) : NULL;

	if (queue == NULL || (call->who->organization_id != 0 && call->who->organization_id != queue->organization_id) ||
		(!queue->settings.is_public && !qms_gate_sees_hidden(call)))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_SERVICE_NOT_OFFERED),
				 errmsg("branch %lld does not offer service %lld", (long long) branch_id, (long long) service_id),
				 errdetail("No queue of the branch offers it, or one of the two does not exist."),
				 errhint("Offer it with qms.offer_service().")));
	return queue_id;
}

/* The queue, or that of branch and service. */
static QmsQueue *
find_queue(QmsCall *call, int64 *service_id)
{
	int64		queue_id = qms_arg_id_or_0(call, 0, "queue_id");
	int64		branch_id = qms_arg_id_or_0(call, 2, "branch_id");
	QmsQueue   *queue;

	*service_id = qms_arg_id_or_0(call, 1, "service_id");
	if (queue_id == 0 && (*service_id == 0 || branch_id == 0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a queue is needed, or a branch and a service"),
				 errhint("Give queue_id, or branch_id and service_id.")));
	if (queue_id == 0)
		queue_id = default_queue(call, branch_id, *service_id);
	queue = qms_config_queue(queue_id);
	if (queue == NULL)
		qms_not_found("queue", queue_id);
	qms_gate_queue(call, queue);
	if (!queue->settings.is_public && !qms_gate_sees_hidden(call))
		qms_not_found("queue", queue_id);
	if (*service_id == 0)
		*service_id = qms_config_only_service(queue_id);
	return queue;
}

static int32
in_range(QmsCall *call, int n, const char *name, int32 otherwise, int32 most)
{
	int32		value = qms_arg_int32(call, n, otherwise);

	if (value < 0 || value > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 0 and %d, not %d", name, most, value),
				 errhint("Give %s => a number in that range, or leave it out for %d.", name, otherwise)));
	return value;
}

QMS_FUNCTION(visit_advice, QMS_ACT_PUBLIC, QMS_SETOF)
{
	Advice		advice = {0};
	int32		days = in_range(call, 3, "days", 3, MOST_DAYS);
	int32		rows = in_range(call, 4, "max_rows", 5, MOST_ROWS);
	int64		service_id;
	QmsQueue   *queue = find_queue(call, &service_id);
	int			i;

	advice.call = call;
	advice.queue_id = queue->queue_id;
	advice.branch_id = queue->branch_id;
	advice.organization_id = queue->organization_id;
	advice.zone = queue->zone;
	advice.is_open = predict(call, advice.queue_id, &advice.now);
	if (advice.is_open)
	{
		advice.now.option = "now";
		answer(&advice, &advice.now);
	}
	if (service_id != 0)
		look_elsewhere(&advice, service_id);
	if (days > 0)
		look_later(&advice, days);
	if (advice.n > 1)
		qsort(advice.options, advice.n, sizeof(Option), compare);
	for (i = 0; i < Min(advice.n, rows); i++)
		answer(&advice, &advice.options[i]);
	return qms_answer_none(call);
}
