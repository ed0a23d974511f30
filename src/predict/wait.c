/*
 * wait.c
 *		The wait behind so many people: a pure function ("QL+").
 *
 * k = people ahead + intercept.  While s counters are open, each busy for m
 * seconds with one person, k falls by s / m a second; each who waits leaves at
 * rate theta; and those who come with credits that let them pass add Lambda a
 * second, as long as they would.  So
 *
 *		k' = -(s / m - Lambda) - theta k
 *
 * with s and Lambda constant from one moment to the next (a plan of staff; the
 * end of a credit), and the wait W is when k reaches 0.  With s constant and
 * nothing else it is (n + c0) m / s; with leaving, ln(1 + k theta m / s) / theta.
 *
 * The variance of k grows with each who is served, leaves or comes: dV = s / m +
 * theta k + Lambda, fading with exp(-2 theta t).  At the end it is divided by the
 * square of the pace, (s / m - Lambda)^2.  Learned are how much of that there is
 * in truth for each who is ahead ("each"; 1: exponential service, 0: all take the
 * same time), and the part that is there behind nobody ("fixed").  That m itself
 * is only known so well counts with the wait: doubt x W^2.
 *
 * Interval: a gamma distribution with that mean and variance, its quantiles by
 * Wilson and Hilferty, W (1 - 1/(9 kappa) + z / (3 sqrt kappa))^3, kappa = W^2 / V.
 */
#include "predict/predict.h"

#include <math.h>

#define Z_OF_P90	1.2815515655446004
#define LEAST_PEOPLE 0.05
#define LEAST_VARIANCE 0.05
#define ALMOST_NONE 1e-9

typedef struct Course
{
	double		at;				/* seconds from now */
	double		k;
	double		noise;			/* variance of k so far */
} Course;

/* (1 - exp(-rate x seconds)) / rate */
static double
faded_time(double rate, double seconds)
{
	return rate * seconds < ALMOST_NONE ? seconds : -expm1(-rate * seconds) / rate;
}

/* Go on for some seconds at a constant pace; flow: people who are served or come, a second. */
static void
advance(Course *course, double theta, double pace, double flow, double seconds)
{
	double		fade = exp(-theta * seconds);
	double		once = faded_time(theta, seconds);
	double		twice = faded_time(2 * theta, seconds);

	/* Those who leave: theta times the integral of k(u) exp(-2 theta (seconds - u)). */
	course->noise = course->noise * fade * fade + flow * twice +
		theta * course->k * fade * once + pace * (fade * once - twice);
	course->k = course->k * fade - pace * once;
	course->at += seconds;
}

/* Counters and overtakers as they are at a moment, and until when. */
static void
conditions_at(const QmsWaitModel *model, const QmsWaitCase *where, double at, double *counters, double *passing, double *until)
{
	int			i;

	for (i = 0; i < where->npieces - 1 && where->pieces[i].until <= at; i++)
		;
	*counters = where->pieces[i].counters;
	*until = where->pieces[i].until;
	*passing = 0;
	for (i = 0; i < model->nlevels; i++)
	{
		if (where->passed[i] <= at)
			continue;
		*passing += model->rates[i];
		*until = Min(*until, where->passed[i]);
	}
}

static double
time_to_zero(double k, double theta, double pace)
{
	if (pace <= 0)
		return INFINITY;
	if (theta * k < ALMOST_NONE * pace)
		return k / pace;
	return log1p(theta * k / pace) / theta;
}

static void
set_quantiles(QmsWait *wait)
{
	double		shape = wait->mean * wait->mean / wait->variance;
	double		z[3] = {-Z_OF_P90, 0, Z_OF_P90};
	double	   *to[3] = {&wait->p10, &wait->p50, &wait->p90};
	int			i;

	for (i = 0; i < 3; i++)
	{
		double		root = 1.0 - 1.0 / (9.0 * shape) + z[i] / (3.0 * sqrt(shape));

		*to[i] = root > 0 ? wait->mean * root * root * root : 0;
	}
}

/* A counter is free. */
void
qms_wait_none(QmsWait *wait)
{
	memset(wait, 0, sizeof(*wait));
}

void
qms_wait_forecast(const QmsWaitModel *model, const QmsWaitCase *where, QmsWait *wait)
{
	double		theta = model->leave_rate;
	double		k = Max(where->ahead + model->intercept, LEAST_PEOPLE);
	Course		course = {0, k, 0};
	double		pace;

	for (;;)
	{
		double		counters;
		double		passing;
		double		until;
		double		left;

		conditions_at(model, where, course.at, &counters, &passing, &until);
		pace = counters / model->service - passing;
		left = time_to_zero(course.k, theta, pace);
		if (course.at + left <= until)
		{
			advance(&course, theta, pace, counters / model->service + passing, left);
			break;
		}
		advance(&course, theta, pace, counters / model->service + passing, until - course.at);
		course.at = until;
	}
	wait->mean = course.at;
	wait->pace = pace;
	wait->gain = exp(-theta * course.at) / pace;
	wait->noise = Max(course.noise, 0) * where->ahead / k;
	wait->variance = Max(model->fixed + model->each * wait->noise, LEAST_VARIANCE) / (pace * pace) +
		model->doubt * wait->mean * wait->mean;
	set_quantiles(wait);
}

/* The mean of a gamma distribution, of its quantiles as they are made here. */
double
qms_wait_mean_of(double p10, double p50, double p90)
{
	double		a = cbrt(p50);
	double		b = (cbrt(p90) - cbrt(p10)) / (2 * Z_OF_P90);
	double		root;

	/* Cut off at zero: the upper half tells it. */
	if (p10 <= 0)
		b = (cbrt(p90) - a) / Z_OF_P90;
	root = (a + sqrt(a * a + 4 * b * b)) / 2;
	return root * root * root;
}
