/*
 * staffing.c
 *		How many counters an hour needs, so that a share of the people waits no
 *		longer than a target.
 *
 * Each hour is taken by itself as if it lasted: Poisson arrivals, exponential
 * services, one line for all counters; Erlang C, or Erlang A where people have
 * been seen to leave.  What queues up in one hour and is still there in the next
 * one is not seen, so after an hour with too few counters the next one needs
 * more than is said here.
 */
#include "predict/predict.h"
#include "report/report.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"

#define MOST_COUNTERS	1000
#define MOST_DAYS		92
#define LEFT_ENOUGH		10		/* people who left, for their patience to be known */

/* What the last weeks say of people and counters; seconds. */
typedef struct Habits
{
	double		service;		/* that one keeps a counter busy, the way there included; 0: not known */
	double		leave_rate;		/* of each who waits, a second; 0: nobody leaves */
} Habits;

typedef struct Walking
{
	int64		called;
	int64		usec;
} Walking;

static void
add_walking(const QmsStaffStats *row, void *arg)
{
	Walking    *walking = arg;

	walking->called += row->called;
	walking->usec += row->walking;
}

/* What the services of a queue are said to take; 0: nothing is said. */
static double
expected_service(int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT extract(epoch FROM pg_catalog.avg(s.expected_duration))::pg_catalog.float8 FROM qms.service_offer f "
								   "JOIN qms.service s ON s.service_id = f.service_id WHERE f.queue_id = $1 AND f.deleted_at IS NULL AND s.deleted_at IS NULL",
								   INT8OID);
	QmsParams	params = {0};
	Datum		value;
	bool		isnull;

	qms_param_int64(&params, queue_id);
	if (qms_spi_run(&plan, &params) == 0)
		return 0;
	value = qms_spi_datum(0, 0, &isnull);
	return isnull ? 0 : DatumGetFloat8(value);
}

static void
read_habits(const QmsReportScope *scope, TimestampTz since, TimestampTz before, Habits *habits)
{
	QmsStats   *stats = palloc(sizeof(QmsStats));
	Walking		walking = {0};
	double		waited;

	memset(habits, 0, sizeof(*habits));
	qms_stats_sum(scope->of, since, before, NULL, stats);
	if (stats->service.count > 0)
		habits->service = (double) qms_times_mean(&stats->service) / USECS_PER_SEC;
	else if (scope->queue_id != 0)
		habits->service = expected_service(scope->queue_id);
	if (scope->branch_id != 0 && stats->service.count > 0)
		qms_staff_each(scope->branch_id, since, before, add_walking, &walking);
	if (walking.called > 0)
		habits->service += (double) walking.usec / walking.called / USECS_PER_SEC;
	/* Of exponential patience that is cut short by being called. */
	waited = (double) (stats->wait.sum + stats->abandoned.sum) / USECS_PER_SEC;
	if (stats->abandoned.count >= LEFT_ENOUGH && waited > 0)
		habits->leave_rate = stats->abandoned.count / waited;
	pfree(stats);
}

/* What was counted in the hours that are over. */
typedef struct Counted
{
	int			n;
	int			size;
	TimestampTz *starts;
	double	   *arrivals;
} Counted;

static void
count(const QmsStatsRow *row, void *arg)
{
	Counted    *counted = arg;

	if (counted->n == counted->size)
	{
		counted->size *= 2;
		counted->starts = repalloc(counted->starts, sizeof(TimestampTz) * counted->size);
		counted->arrivals = repalloc(counted->arrivals, sizeof(double) * counted->size);
	}
	counted->starts[counted->n] = row->starts_at;
	counted->arrivals[counted->n++] = qms_stats_arrivals(row->stats);
}

static double
counted_in(const Counted *counted, const QmsReportHour *hour)
{
	double		sum = 0;
	int			i;

	for (i = 0; i < counted->n; i++)
	{
		if (counted->starts[i] >= hour->starts_at && counted->starts[i] < hour->ends_at)
			sum += counted->arrivals[i];
	}
	return sum;
}

typedef struct Advice
{
	QmsCall    *call;
	const QmsReportScope *scope;
	QmsArrivals arrivals;
	Counted		counted;
	Habits		habits;
	double		target;			/* seconds */
	double		share;
} Advice;

static Datum
seconds(double value)
{
	return IntervalPGetDatum(qms_interval_make((int64) rint(value * USECS_PER_SEC)));
}

static void
answer_hour(Advice *advice, const QmsReportHour *hour, double mean, double high, bool is_forecast)
{
	const Habits *habits = &advice->habits;
	double		length = (double) (hour->ends_at - hour->starts_at) / USECS_PER_SEC;
	QmsErlang	line;
	Datum		values[15] = {0};
	bool		nulls[15] = {false};
	int			counters = qms_erlang_counters(mean / length, habits->service, habits->leave_rate, advice->target,
											   advice->share, MOST_COUNTERS);

	qms_erlang(counters, mean / length, habits->service, habits->leave_rate, advice->target, &line);
	values[0] = TimestampTzGetDatum(hour->starts_at);
	values[1] = TimestampTzGetDatum(hour->ends_at);
	values[2] = DateADTGetDatum(hour->day - POSTGRES_EPOCH_JDATE);
	values[3] = Int32GetDatum(hour->weekday);
	values[4] = Int32GetDatum(hour->hour);
	values[5] = BoolGetDatum(is_forecast);
	values[6] = Float8GetDatum(mean);
	values[7] = seconds(habits->service);
	nulls[8] = habits->leave_rate <= 0;
	if (!nulls[8])
		values[8] = seconds(1 / habits->leave_rate);
	values[9] = Int32GetDatum(counters);
	values[10] = Int32GetDatum(qms_erlang_counters(high / length, habits->service, habits->leave_rate, advice->target,
												   advice->share, MOST_COUNTERS));
	/* 0: more than MOST_COUNTERS; then there is nothing to be said of the line. */
	nulls[9] = counters == 0;
	nulls[10] = DatumGetInt32(values[10]) == 0;
	nulls[11] = nulls[12] = nulls[13] = nulls[14] = counters == 0 || isinf(line.wait);
	if (!nulls[11])
	{
		values[11] = Float8GetDatum(line.within);
		values[12] = seconds(line.wait);
		values[13] = Float8GetDatum(line.left);
		values[14] = Float8GetDatum(mean / length * habits->service * (1 - line.left) / counters);
	}
	qms_answer_row(advice->call, values, nulls);
}

/* Hours before today are counted, the others forecast; those without anybody are left out. */
static void
advise(Advice *advice, TimestampTz since, TimestampTz before)
{
	QmsReportHour hour;
	TimestampTz at;

	for (at = since; at < before; at = hour.ends_at)
	{
		bool		is_forecast = at >= advice->arrivals.before;
		double		low;
		double		high;
		double		mean;

		CHECK_FOR_INTERRUPTS();
		qms_report_hour(at, advice->scope->zone, &hour);
		if (!is_forecast)
			mean = high = counted_in(&advice->counted, &hour);
		else if (advice->arrivals.known && !qms_arrivals_is_closed(&advice->arrivals, &hour))
			mean = qms_arrivals_expected(&advice->arrivals, &hour, &low, &high);
		else
			continue;
		if (mean > 0)
			answer_hour(advice, &hour, mean, Max(high, mean), is_forecast);
	}
}

static pg_attribute_noreturn() void
bad_argument(const char *name, const char *rule, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s %s", name, rule),
			 errhint("%s", hint)));
}

/* Arguments from 3: target_wait, target_share. */
static void
read_target(QmsCall *call, Advice *advice)
{
	FunctionCallInfo fcinfo = call->fcinfo;

	advice->target = PG_ARGISNULL(3) ? 600 : (double) qms_interval_usec(PG_GETARG_INTERVAL_P(3), "target_wait") / USECS_PER_SEC;
	advice->share = PG_ARGISNULL(4) ? 0.8 : PG_GETARG_FLOAT8(4);
	if (advice->target < 0)
		bad_argument("target_wait", "must not be negative", "Give an interval such as '10 min'.");
	if (!(advice->share > 0 && advice->share < 1))
		bad_argument("target_share", "must lie between 0 and 1", "Give a share such as 0.8, for eight people of ten.");
}

QMS_FUNCTION(staffing_advice, QMS_ACT_LOOK, QMS_SETOF)
{
	Advice	   *advice = palloc0(sizeof(Advice));
	char	   *text = qms_arg_text_or_null(call, 0);
	TimestampTz since = qms_arg_time(call, 1);
	TimestampTz before = qms_arg_time(call, 2);
	QmsReportScope scope;
	QmsReportHour first;

	read_target(call, advice);
	qms_report_scope_of_call(call, text, &scope);
	advice->call = call;
	advice->scope = &scope;
	qms_arrivals_fit(&scope, call->now, &advice->arrivals);
	if (since == QMS_NO_TIME)
		since = advice->arrivals.before;
	if (before == QMS_NO_TIME)
		before = qms_report_midnight(qms_report_day(since, scope.zone) + 7, scope.zone);
	if (before < since || since < before - MOST_DAYS * USECS_PER_DAY)
		bad_argument("before", "must lie after since, by at most 92 days", "Ask for a shorter time, several times.");
	read_habits(&scope, advice->arrivals.since, advice->arrivals.before, &advice->habits);
	if (advice->habits.service <= 0)
		return qms_answer_none(call);
	qms_report_hour(since, scope.zone, &first);
	since = first.starts_at;
	advice->counted.size = 64;
	advice->counted.starts = palloc(sizeof(TimestampTz) * advice->counted.size);
	advice->counted.arrivals = palloc(sizeof(double) * advice->counted.size);
	if (since < advice->arrivals.before)
		qms_stats_each(scope.of, QMS_STATS_HOUR, since, Min(before, advice->arrivals.before), NULL, count,
					   &advice->counted);
	advise(advice, since, before);
	return qms_answer_none(call);
}
