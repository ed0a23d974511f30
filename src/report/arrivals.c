/*
 * arrivals.c
 *		Forecast of arrivals, from the statistics of the last weeks.
 *
 * Left out are hours in closures, days before the first arrival ever observed,
 * and days on which nobody came though the same weekday has people otherwise:
 * holidays that nobody has entered.
 */
#include "report/report.h"

#include "catalog/pg_type.h"

#define DAYS		(QMS_FORECAST_WEEKS * 7)
#define MAX_DAYS	92
#define LIVELY		5.0			/* arrivals a day from which a day with none is a holiday */

/* What was seen of each local day and hour. */
typedef struct Seen
{
	int			first_day;
	int			first_seen;		/* day with the first arrivals, from 0; DAYS: none */
	double		arrivals[DAYS][24];
} Seen;

static void
see(const QmsStatsRow *row, void *arg)
{
	Seen	   *seen = arg;
	int			day = row->local_date + POSTGRES_EPOCH_JDATE - seen->first_day;

	if (day < 0 || day >= DAYS || row->local_hour < 0 || row->local_hour > 23)
		return;
	seen->arrivals[day][row->local_hour] += qms_stats_arrivals(row->stats);
	if (qms_stats_arrivals(row->stats) > 0)
		seen->first_seen = Min(seen->first_seen, day);
}

/* Closures of the branch that touch what was observed, or the future. */
static void
read_closures(int64 branch_id, QmsArrivals *arrivals)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.lower(c.during), pg_catalog.upper(c.during) FROM qms.closure c "
								   "WHERE c.branch_id = $1 AND c.deleted_at IS NULL AND c.during && pg_catalog.tstzrange($2, NULL)",
								   INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	int			i;

	if (branch_id == 0)
		return;
	qms_param_int64(&params, branch_id);
	qms_param_time(&params, arrivals->since);
	arrivals->nclosures = (int) qms_spi_look(&plan, &params);
	arrivals->closures = palloc(sizeof(*arrivals->closures) * Max(arrivals->nclosures, 1));
	for (i = 0; i < arrivals->nclosures; i++)
	{
		arrivals->closures[i][0] = qms_spi_time(i, 0);
		arrivals->closures[i][1] = qms_spi_isnull(i, 1) ? DT_NOEND : qms_spi_time(i, 1);
	}
}

/* Is at least half of the hour in a closure? */
bool
qms_arrivals_is_closed(const QmsArrivals *arrivals, const QmsReportHour *hour)
{
	TimestampTz middle = hour->starts_at + (hour->ends_at - hour->starts_at) / 2;
	int			i;

	for (i = 0; i < arrivals->nclosures; i++)
	{
		if (arrivals->closures[i][0] <= middle && middle < arrivals->closures[i][1])
			return true;
	}
	return false;
}

static double
total_of(const Seen *seen, int day)
{
	double		total = 0;
	int			h;

	for (h = 0; h < 24; h++)
		total += seen->arrivals[day][h];
	return total;
}

/* Nobody came, though on the other days of that weekday people do. */
static bool
is_holiday(const Seen *seen, int day)
{
	double		others = 0;
	int			n = 0;
	int			d;

	if (total_of(seen, day) > 0)
		return false;
	for (d = day % 7; d < DAYS; d += 7)
	{
		double		total = d < seen->first_seen ? 0 : total_of(seen, d);

		others += total;
		n += total > 0;
	}
	return n > 0 && others / n >= LIVELY;
}

/* In how many hours of the day do its clocks show this one? */
static int
times_shown(const QmsArrivals *arrivals, int day, int hour, bool *closed)
{
	TimestampTz at = qms_report_midnight(day, arrivals->zone);
	TimestampTz end = qms_report_midnight(day + 1, arrivals->zone);
	QmsReportHour local;
	int			n = 0;

	*closed = false;
	for (; at < end; at = local.ends_at)
	{
		qms_report_hour(at, arrivals->zone, &local);
		if (local.hour != hour)
			continue;
		n++;
		*closed |= qms_arrivals_is_closed(arrivals, &local);
	}
	return n;
}

/* The observations that count. */
static int
choose(const Seen *seen, const QmsArrivals *arrivals, QmsForecastHour *hours)
{
	int			n = 0;
	int			day;
	int			h;
	int			i;

	for (day = seen->first_seen; day < DAYS; day++)
	{
		if (is_holiday(seen, day))
			continue;
		for (h = 0; h < 24; h++)
		{
			bool		closed;
			int			shown = times_shown(arrivals, seen->first_day + day, h, &closed);

			for (i = 0; i < shown && !closed; i++)
			{
				hours[n].week = (day + 0.5) / 7;
				hours[n].cell = (qms_local_weekday(seen->first_day + day) - 1) * 24 + h;
				hours[n].arrivals = seen->arrivals[day][h] / shown;
				n++;
			}
		}
	}
	return n;
}

/* From the eight weeks before today. */
void
qms_arrivals_fit(const QmsReportScope *scope, TimestampTz now, QmsArrivals *arrivals)
{
	Seen	   *seen = palloc0(sizeof(Seen));
	/* No day has more hours by the clocks than 25. */
	QmsForecastHour *hours = palloc(sizeof(QmsForecastHour) * DAYS * 25);

	memset(arrivals, 0, sizeof(*arrivals));
	arrivals->zone = scope->zone;
	arrivals->today = qms_report_day(now, scope->zone);
	arrivals->first_day = arrivals->today - DAYS;
	arrivals->since = qms_report_midnight(arrivals->first_day, scope->zone);
	arrivals->before = qms_report_midnight(arrivals->today, scope->zone);
	read_closures(scope->branch_id, arrivals);
	seen->first_day = arrivals->first_day;
	seen->first_seen = DAYS;
	qms_stats_each(scope->of, QMS_STATS_HOUR, arrivals->since, arrivals->before, NULL, see, seen);
	arrivals->known = seen->first_seen < DAYS;
	if (arrivals->known)
		qms_forecast_fit(hours, choose(seen, arrivals, hours), &arrivals->forecast);
	pfree(hours);
	pfree(seen);
}

/* How many come in an hour, and the range; closures do not count here. */
double
qms_arrivals_expected(const QmsArrivals *arrivals, const QmsReportHour *hour, double *low, double *high)
{
	double		week = (hour->day - arrivals->first_day + 0.5) / 7;
	int			cell = (hour->weekday - 1) * 24 + hour->hour;

	qms_forecast_range(&arrivals->forecast, week, cell, low, high);
	return qms_forecast_mean(&arrivals->forecast, week, cell);
}

/* One hour that is to come; hours in which nobody ever comes are not answered. */
static void
answer_hour(QmsCall *call, const QmsArrivals *arrivals, const QmsReportHour *hour)
{
	Datum		values[10];
	bool		nulls[10] = {false};
	bool		closed = qms_arrivals_is_closed(arrivals, hour);
	double		low;
	double		high;
	double		mean = qms_arrivals_expected(arrivals, hour, &low, &high);

	if (mean <= 0)
		return;
	values[0] = TimestampTzGetDatum(hour->starts_at);
	values[1] = TimestampTzGetDatum(hour->ends_at);
	values[2] = DateADTGetDatum(hour->day - POSTGRES_EPOCH_JDATE);
	values[3] = Int32GetDatum(hour->weekday);
	values[4] = Int32GetDatum(hour->hour);
	values[5] = Float8GetDatum(closed ? 0 : mean);
	values[6] = Float8GetDatum(closed ? 0 : low);
	values[7] = Float8GetDatum(closed ? 0 : high);
	values[8] = Int32GetDatum(arrivals->forecast.weeks[(hour->weekday - 1) * 24 + hour->hour]);
	values[9] = BoolGetDatum(closed);
	qms_answer_row(call, values, nulls);
}

QMS_FUNCTION(forecast_arrivals, QMS_ACT_LOOK, QMS_SETOF)
{
	char	   *text = qms_arg_text_or_null(call, 0);
	int32		days = qms_arg_int32(call, 1, 7);
	QmsReportScope scope;
	QmsArrivals arrivals;
	QmsReportHour hour;
	TimestampTz at;

	if (days < 1 || days > MAX_DAYS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("days must be between 1 and %d, not %d", MAX_DAYS, days),
				 errhint("Give days => a number in that range, or leave it out for 7.")));
	qms_report_scope_of_call(call, text, &scope);
	qms_arrivals_fit(&scope, call->now, &arrivals);
	if (!arrivals.known)
		return qms_answer_none(call);
	for (at = arrivals.before; at < qms_report_midnight(arrivals.today + days, scope.zone); at = hour.ends_at)
	{
		qms_report_hour(at, scope.zone, &hour);
		answer_hour(call, &arrivals, &hour);
	}
	return qms_answer_none(call);
}
