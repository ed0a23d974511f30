/*
 * functions.c
 *		What people ask of the statistics: queue_stats, analytics, peak_hours,
 *		staff_performance.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define DEFAULT_SPAN (30 * USECS_PER_DAY)

/* A row to be answered, filled column by column. */
typedef struct Filling
{
	Datum		values[64];
	bool		nulls[64];
	int			n;
} Filling;

static void
put(Filling *filling, Datum value, bool isnull)
{
	Assert(filling->n < (int) lengthof(filling->values));
	filling->values[filling->n] = value;
	filling->nulls[filling->n++] = isnull;
}

static void
put_id(Filling *filling, int64 id)
{
	put(filling, Int64GetDatum(id), id == 0);
}

static void
put_int64(Filling *filling, int64 value)
{
	put(filling, Int64GetDatum(value), false);
}

static void
put_time(Filling *filling, TimestampTz value)
{
	put(filling, TimestampTzGetDatum(value), value == QMS_NO_TIME);
}

static void
put_text(Filling *filling, const char *value)
{
	put(filling, value != NULL ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

/* Microseconds; negative: null. */
static void
put_duration(Filling *filling, int64 usec)
{
	put(filling, PointerGetDatum(qms_interval_make(Max(usec, 0))), usec < 0);
}

/* Negative: null. */
static void
put_share(Filling *filling, double share)
{
	put(filling, Float8GetDatum(share), share < 0);
}

static void
put_times(Filling *filling, const QmsTimes *times)
{
	put_int64(filling, times->count);
	put_duration(filling, qms_times_mean(times));
	put_duration(filling, qms_times_quantile(times, 0.5));
	put_duration(filling, qms_times_quantile(times, 0.9));
	put_duration(filling, qms_times_quantile(times, 0.95));
	put_duration(filling, times->count == 0 ? -1 : times->max);
}

/* Of those whose wait has ended, who did not wait for the end. */
static double
abandonment(const QmsStats *stats)
{
	int64		all = stats->n[QMS_N_ABANDONED] + stats->wait.count;

	return all == 0 ? -1 : (double) stats->n[QMS_N_ABANDONED] / all;
}

/* The scope's ids. */
typedef struct Place
{
	QmsStatsScope scope;
	int64		organization_id;
	int64		branch_id;
	int64		queue_id;
	pg_tz	   *zone;
} Place;

/* The columns of qms.period_stats. */
static void
fill_stats(Filling *filling, const Place *place, const char *customer_class, const QmsStatsRow *row)
{
	const QmsStats *stats = row->stats;
	int			i;

	filling->n = 0;
	put_id(filling, place->organization_id);
	put_id(filling, place->branch_id);
	put_id(filling, place->queue_id);
	put_text(filling, customer_class);
	put_time(filling, row->starts_at);
	put_time(filling, row->ends_at);
	put(filling, DateADTGetDatum(row->local_date), row->weekday == 0);
	put(filling, Int32GetDatum(row->local_hour), row->local_hour < 0);
	put_int64(filling, qms_stats_arrivals(stats));
	for (i = 0; i < QMS_STATS_COUNTS; i++)
	{
		if (i != QMS_N_WITHIN_TARGET)
			put_int64(filling, stats->n[i]);
	}
	put_share(filling, abandonment(stats));
	put_times(filling, &stats->wait);
	put_share(filling, qms_stats_within_target(stats));
	put_duration(filling, row->target > 0 ? row->target : -1);
	put_times(filling, &stats->service);
	put_duration(filling, qms_times_mean(&stats->abandoned));
	put_time(filling, stats->computed_at == 0 ? QMS_NO_TIME : stats->computed_at);
}

/* ---- arguments ---- */

/* since and before, of arguments n and n + 1: the last 30 days if nothing is said. */
static void
read_span(QmsCall *call, int n, TimestampTz *since, TimestampTz *before)
{
	*since = qms_arg_time(call, n);
	*before = qms_arg_time(call, n + 1);
	if (*before == QMS_NO_TIME)
		*before = call->now + USECS_PER_MINUTE;
	if (*since == QMS_NO_TIME)
		*since = *before - DEFAULT_SPAN;
	if (*since > *before)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("since must not be after before"),
				 errhint("since is the beginning, before the end; what begins at the end does not count.")));
}

/* Find what a scope names, and may the caller see it? */
static void
find_place(QmsCall *call, Place *place)
{
	static QmsPlan plans[] = {
		[QMS_OF_ORGANIZATION] = QMS_PLAN(
										 "SELECT organization_id, 0::pg_catalog.int8, 0::pg_catalog.int8 FROM qms.organization WHERE organization_id = $1", INT8OID),
		[QMS_OF_BRANCH] = QMS_PLAN(
								   "SELECT organization_id, branch_id, 0::pg_catalog.int8 FROM qms.branch WHERE branch_id = $1", INT8OID),
		[QMS_OF_QUEUE] = QMS_PLAN(
								  "SELECT organization_id, branch_id, application_id FROM qms.queue WHERE queue_id = $1", INT8OID)
	};
	static const char *const names[] = {"organization", "branch", "queue"};
	QmsObject	object = {.what = names[place->scope.of], .id = place->scope.id};
	QmsParams	params = {0};

	qms_param_int64(&params, place->scope.id);
	if (qms_spi_look(&plans[place->scope.of], &params) == 0)
		qms_not_found(object.what, object.id);
	object.organization_id = place->organization_id = qms_spi_int64(0, 0);
	object.branch_id = place->branch_id = qms_spi_int64(0, 1);
	object.application_id = qms_spi_int64(0, 2);
	object.queue_id = place->queue_id = place->scope.of == QMS_OF_QUEUE ? place->scope.id : 0;
	if (place->scope.of == QMS_OF_ORGANIZATION)
		qms_gate_administers(call, &object);
	else
		qms_gate_object(call, &object);
	place->zone = qms_local_zone_of(place->scope.of, place->scope.id);
}

static void
read_scope(QmsCall *call, int n, Place *place)
{
	char	   *text = qms_arg_text(call, n, "scope");

	if (!qms_stats_scope_parse(text, &place->scope))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid scope \"%s\"", text),
				 errdetail("A scope is organization:<id>, branch:<id> or queue:<id>."),
				 errhint("Write it like branch:3.")));
	find_place(call, place);
}

/* ---- sums ---- */

/* The target of a queue today; 0 of what has several. */
static int64
target_of(const Place *place)
{
	QmsQueue   *queue = place->queue_id != 0 ? qms_config_queue(place->queue_id) : NULL;

	return queue != NULL ? queue->settings.wait_target : 0;
}

static void
answer_sum(QmsCall *call, const Place *place, TimestampTz since, TimestampTz before, const char *customer_class)
{
	QmsStats   *stats = palloc(sizeof(QmsStats));
	QmsStatsRow row = {since, before, 0, -1, 0, target_of(place), stats};
	Filling		filling;

	qms_stats_sum(place->scope, since, before, customer_class, stats);
	fill_stats(&filling, place, customer_class, &row);
	qms_answer_row(call, filling.values, filling.nulls);
}

QMS_FUNCTION(queue_stats, QMS_ACT_LOOK, QMS_SETOF)
{
	Place		place = {.scope = {QMS_OF_QUEUE, qms_arg_id(call, 0, "queue_id")}};
	TimestampTz since;
	TimestampTz before;
	char	  **names;
	int			n;
	int			i;

	find_place(call, &place);
	read_span(call, 1, &since, &before);
	answer_sum(call, &place, since, before, NULL);
	n = qms_stats_classes(place.scope, since, before, &names);
	for (i = 0; i < n; i++)
		answer_sum(call, &place, since, before, names[i]);
	return qms_answer_none(call);
}

/* ---- hours and days ---- */

typedef struct Answering
{
	QmsCall    *call;
	const Place *place;
	const char *customer_class;
} Answering;

static void
answer_period(const QmsStatsRow *row, void *arg)
{
	Answering  *answering = arg;
	Filling		filling;

	fill_stats(&filling, answering->place, answering->customer_class, row);
	qms_answer_row(answering->call, filling.values, filling.nulls);
}

QMS_FUNCTION(analytics, QMS_ACT_LOOK, QMS_SETOF)
{
	Place		place;
	Answering	answering = {call, &place, qms_arg_text_or_null(call, 4)};
	char	   *period = qms_arg_isnull(call, 3) ? "day" : qms_arg_text(call, 3, "period");
	TimestampTz since;
	TimestampTz before;

	read_scope(call, 0, &place);
	read_span(call, 1, &since, &before);
	if (strcmp(period, "total") == 0)
		answer_sum(call, &place, since, before, answering.customer_class);
	else if (strcmp(period, "day") == 0)
		qms_stats_each(place.scope, QMS_STATS_DAY, since, before, answering.customer_class, answer_period, &answering);
	else if (strcmp(period, "hour") == 0)
		qms_stats_each(place.scope, QMS_STATS_HOUR, since, before, answering.customer_class, answer_period, &answering);
	else
		qms_arg_choice_error("period", period, "hour, day and total");
	return qms_answer_none(call);
}

/* ---- peak hours ---- */

#define WEEK (7 * 24)

typedef struct Peaks
{
	QmsStats   *hours[WEEK];	/* NULL: nothing happened there */
	int			days[7];		/* how often each weekday is in the span */
} Peaks;

static void
add_peak(const QmsStatsRow *row, void *arg)
{
	Peaks	   *peaks = arg;
	QmsStats  **hour = &peaks->hours[(row->weekday - 1) * 24 + row->local_hour];

	if (*hour == NULL)
		*hour = palloc0(sizeof(QmsStats));
	qms_stats_merge(*hour, row->stats);
}

/* Days that have something of that weekday: closed days would make a peak look smaller than it is. */
static void
add_day(const QmsStatsRow *row, void *arg)
{
	((Peaks *) arg)->days[row->weekday - 1]++;
}

static double
mean_arrivals(const Peaks *peaks, int hour)
{
	return (double) qms_stats_arrivals(peaks->hours[hour]) / Max(peaks->days[hour / 24], 1);
}

/* Busiest first; equal ones in the order of the week. */
static int
by_arrivals(const void *a, const void *b, void *arg)
{
	int			x = *(const int *) a;
	int			y = *(const int *) b;
	double		difference = mean_arrivals(arg, y) - mean_arrivals(arg, x);

	return difference > 0 ? 1 : difference < 0 ? -1 : x - y;
}

QMS_FUNCTION(peak_hours, QMS_ACT_LOOK, QMS_SETOF)
{
	Peaks		peaks = {0};
	Place		place;
	TimestampTz since;
	TimestampTz before;
	QmsLocalHour first;
	int			order[WEEK];
	int			n = 0;
	int			i;

	read_scope(call, 0, &place);
	read_span(call, 1, &since, &before);
	qms_stats_each(place.scope, QMS_STATS_HOUR, since, before, NULL, add_peak, &peaks);
	qms_local_hour(since, place.zone, &first);
	qms_stats_each(place.scope, QMS_STATS_DAY, qms_local_midnight(first.date, place.zone), before, NULL, add_day, &peaks);
	for (i = 0; i < WEEK; i++)
	{
		if (peaks.hours[i] != NULL)
			order[n++] = i;
	}
	qsort_arg(order, n, sizeof(int), by_arrivals, &peaks);
	for (i = 0; i < n; i++)
	{
		const QmsStats *stats = peaks.hours[order[i]];
		Filling		filling;

		filling.n = 0;
		put(&filling, Int32GetDatum(i + 1), false);
		put(&filling, Int32GetDatum(order[i] / 24 + 1), false);
		put(&filling, Int32GetDatum(order[i] % 24), false);
		put(&filling, Int32GetDatum(Max(peaks.days[order[i] / 24], 1)), false);
		put_int64(&filling, qms_stats_arrivals(stats));
		put_share(&filling, mean_arrivals(&peaks, order[i]));
		put_duration(&filling, qms_times_mean(&stats->wait));
		put_duration(&filling, qms_times_quantile(&stats->wait, 0.9));
		put_share(&filling, qms_stats_within_target(stats));
		qms_answer_row(call, filling.values, filling.nulls);
	}
	return qms_answer_none(call);
}

/* ---- staff ---- */

static void
answer_staff(const QmsStaffStats *row, void *arg)
{
	Filling		filling;

	filling.n = 0;
	put_id(&filling, row->staff_id);
	put_text(&filling, row->display_name);
	put(&filling, Int32GetDatum(row->days), false);
	put_int64(&filling, row->called);
	put_int64(&filling, row->served);
	put_int64(&filling, row->no_show);
	put_int64(&filling, row->transferred);
	put_int64(&filling, row->requeued);
	put_duration(&filling, qms_times_mean(&row->service));
	put_duration(&filling, qms_times_quantile(&row->service, 0.5));
	put_duration(&filling, qms_times_quantile(&row->service, 0.9));
	put_duration(&filling, row->service.count == 0 ? -1 : row->service.max);
	put_duration(&filling, row->idle);
	put_duration(&filling, row->walking);
	put_duration(&filling, row->serving);
	put_duration(&filling, row->paused);
	put(&filling, JsonbPGetDatum(row->pauses), row->pauses == NULL);
	qms_answer_row(arg, filling.values, filling.nulls);
}

QMS_FUNCTION(staff_performance, QMS_ACT_LOOK, QMS_SETOF)
{
	Place		place = {.scope = {QMS_OF_BRANCH, qms_arg_id(call, 0, "branch_id")}};
	TimestampTz since;
	TimestampTz before;

	find_place(call, &place);
	read_span(call, 1, &since, &before);
	qms_staff_each(place.branch_id, since, before, answer_staff, call);
	return qms_answer_none(call);
}
