/*
 * forecast.c
 *		Arrivals by weekday and hour: seasonal mean with a linear trend.  Pure
 *		arithmetic.
 *
 * An observation is the number of arrivals in one local hour.  Expected is
 * level(week) x mean(weekday, hour).  The means are those of the weeks observed,
 * each week's numbers taken at its level; the level is a straight line through
 * the weeks' levels (arrivals of a week by what the means expect of the same
 * hours, so that a week with closed days counts right), by least squares
 * weighted by those expectations.  Both are found in turn, a few times.
 *
 * A slope that the noise could have made is not followed: it is taken times
 * max(0, 1 - 1/t^2), t being the slope by its standard error.  The range of 80 %
 * covers the noise of the counts (Poisson, times the dispersion observed) and
 * of mean and level.
 */
#include "report/report.h"

#include <math.h>

#define ROUNDS		4
#define Z			1.2816		/* of 80 %, both sides */
#define MIN_LEVEL	0.2
#define MAX_LEVEL	5.0

typedef struct Week
{
	double		seen;
	double		expected;
} Week;

static double
level_at(const QmsForecast *forecast, double week)
{
	double		level = forecast->level + forecast->slope * (week - forecast->middle);

	return Min(Max(level, MIN_LEVEL), MAX_LEVEL);
}

/* Mean of each weekday and hour, at level 1. */
static void
fit_means(const QmsForecastHour *hours, int n, QmsForecast *forecast)
{
	double		levels[QMS_FORECAST_CELLS] = {0};
	int			i;

	memset(forecast->mean, 0, sizeof(forecast->mean));
	memset(forecast->weeks, 0, sizeof(forecast->weeks));
	for (i = 0; i < n; i++)
	{
		forecast->mean[hours[i].cell] += hours[i].arrivals;
		levels[hours[i].cell] += level_at(forecast, hours[i].week);
		forecast->weeks[hours[i].cell]++;
	}
	for (i = 0; i < QMS_FORECAST_CELLS; i++)
	{
		if (levels[i] > 0)
			forecast->mean[i] /= levels[i];
	}
}

/* The line through the levels of the weeks. */
static void
fit_level(const QmsForecastHour *hours, int n, QmsForecast *forecast)
{
	Week		weeks[QMS_FORECAST_WEEKS] = {{0}};
	double		weight = 0;
	double		x = 0;
	double		y = 0;
	double		xx = 0;
	double		xy = 0;
	double		residual = 0;
	int			used = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		int			w = (int) hours[i].week;

		weeks[w].seen += hours[i].arrivals;
		weeks[w].expected += forecast->mean[hours[i].cell];
	}
	for (i = 0; i < QMS_FORECAST_WEEKS; i++)
	{
		used += weeks[i].expected > 0;
		weight += weeks[i].expected;
		x += weeks[i].expected * (i + 0.5);
		y += weeks[i].seen;
	}
	if (weight <= 0)
		return;
	forecast->middle = x / weight;
	forecast->level = y / weight;
	forecast->slope = 0;
	forecast->level_variance = forecast->slope_variance = 0;
	for (i = 0; i < QMS_FORECAST_WEEKS; i++)
	{
		double		distance = i + 0.5 - forecast->middle;

		xx += weeks[i].expected * distance * distance;
		xy += distance * (weeks[i].seen - weeks[i].expected * forecast->level);
	}
	if (used < QMS_FORECAST_TREND_WEEKS || xx <= 0)
		return;
	forecast->slope = xy / xx;
	for (i = 0; i < QMS_FORECAST_WEEKS; i++)
	{
		double		off = weeks[i].seen - weeks[i].expected * level_at(forecast, i + 0.5);

		if (weeks[i].expected > 0)
			residual += off * off / weeks[i].expected;
	}
	/* Arrivals are at least as noisy as Poisson's. */
	residual = Max(residual / (used - 2), 1);
	forecast->level_variance = residual / weight;
	forecast->slope_variance = residual / xx;
	forecast->slope *= Max(0, 1 - forecast->slope_variance / Max(forecast->slope * forecast->slope, 1e-12));
}

/* Variance by mean of the counts. */
static double
dispersion_of(const QmsForecastHour *hours, int n, const QmsForecast *forecast)
{
	double		sum = 0;
	int			free = 0;
	bool		seen[QMS_FORECAST_CELLS] = {false};
	int			i;

	for (i = 0; i < n; i++)
	{
		double		mean = level_at(forecast, hours[i].week) * forecast->mean[hours[i].cell];

		/* Where next to nobody comes, one visitor would be a great surprise. */
		if (mean < 0.25)
			continue;
		sum += (hours[i].arrivals - mean) * (hours[i].arrivals - mean) / mean;
		free += seen[hours[i].cell] ? 1 : 0;
		seen[hours[i].cell] = true;
	}
	return free > 2 ? Max(sum / (free - 2), 1) : 1;
}

/* Fit it to what was observed. */
void
qms_forecast_fit(const QmsForecastHour *hours, int n, QmsForecast *forecast)
{
	int			round;

	memset(forecast, 0, sizeof(*forecast));
	forecast->level = 1;
	for (round = 0; round < ROUNDS; round++)
	{
		fit_means(hours, n, forecast);
		fit_level(hours, n, forecast);
	}
	fit_means(hours, n, forecast);
	forecast->dispersion = dispersion_of(hours, n, forecast);
}

/* What is expected of an hour of that kind at a moment in weeks after the first one. */
double
qms_forecast_mean(const QmsForecast *forecast, double week, int cell)
{
	return level_at(forecast, week) * forecast->mean[cell];
}

/* Eight of ten hours are within: quantiles of a gamma distribution (Wilson and Hilferty). */
void
qms_forecast_range(const QmsForecast *forecast, double week, int cell, double *low, double *high)
{
	double		mean = qms_forecast_mean(forecast, week, cell);
	double		distance = week - forecast->middle;
	double		variance;
	double		spread;

	*low = *high = 0;
	if (mean <= 0)
		return;
	variance = forecast->dispersion * mean * (1 + level_at(forecast, week) / Max(forecast->weeks[cell], 1)) +
		forecast->mean[cell] * forecast->mean[cell] *
		(forecast->level_variance + forecast->slope_variance * distance * distance);
	spread = variance / (9 * mean * mean);
	*low = mean * pow(Max(1 - spread - Z * sqrt(spread), 0), 3);
	*high = mean * pow(Max(1 - spread + Z * sqrt(spread), 0), 3);
}
