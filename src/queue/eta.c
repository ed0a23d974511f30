/*
 * eta.c
 *		When somebody in a waiting room will be let in: a pure function.
 *
 * n people are alive ahead, r are released a second and each who waits leaves
 * at rate theta.  n'(t) = -r - theta n, so the place comes up at
 *
 *		W = ln(1 + n theta / r) / theta		(n / r without leaving)
 *
 * r is the rate of releases, so it has the compensation for those who never come
 * in it: the rate of people who arrive over (1 - p).  A room that is not open yet
 * lets nobody in until then, but people leave; a cap on who may be inside lets in
 * at r until the room inside is used up, and then one for each who goes.  The
 * three phases follow one another on the same line, so each starts with what the
 * one before has left of n.
 *
 * Interval: of those ahead a part q leaves, n q (1 - q) is the variance of how
 * many; those let in for one who goes come as irregularly as people go, so their
 * variance is their number; and a place on S(t) is uniform within one release.
 * How uncertain the leave rate is, shows in the times with it lower and higher;
 * the rate of releases is as uncertain as the share of those who never come.
 * All variances are added, and 1.2816 standard deviations each way leave a tenth
 * on each side.
 */
#include "queue/queue.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

#define Z_OF_P90	1.2815515655446004
#define ALMOST_NONE 1e-12

/* Seconds until a line of n has gone, with so many released a second and so many leaving. */
static double
time_to_clear(double n, double rate, double theta)
{
	if (n <= 0)
		return 0;
	if (theta * n < ALMOST_NONE * rate)
		return n / rate;
	return log1p(n * theta / rate) / theta;
}

/* What is left of a line of n after some time. */
static double
left_after(double n, double rate, double theta, double seconds)
{
	double		rest;

	if (theta < ALMOST_NONE)
		return n - rate * seconds;
	rest = exp(-theta * seconds);
	return n * rest + rate / theta * expm1(-theta * seconds);
}

/* Seconds until max_inside are inside; inside goes towards rate x visit. */
static double
time_to_fill(const QmsFlow *flow)
{
	double		limit = flow->rate * flow->visit;

	if (flow->max_inside <= 0 || flow->visit <= 0 || limit <= flow->max_inside)
		return INFINITY;
	if (flow->inside >= flow->max_inside)
		return 0;
	return flow->visit * log((limit - flow->inside) / (limit - flow->max_inside));
}

typedef struct Course
{
	double		wait;			/* seconds */
	double		released;		/* people, until then */
	double		capped;			/* of them for somebody who went */
	double		rate;			/* of releases, then */
} Course;

/* How it goes with a leave rate. */
static Course
course_with(const QmsFlow *flow, double theta)
{
	double		closed = Max(flow->opens_in, 0);
	double		n = left_after(flow->n, 0, theta, closed);
	double		fills = time_to_fill(flow);
	double		wait = time_to_clear(n, flow->rate, theta);
	Course		course = {closed + wait, flow->rate * wait, 0, flow->rate};

	if (wait <= fills)
		return course;
	n = left_after(n, flow->rate, theta, fills);
	course.rate = flow->max_inside / flow->visit;
	wait = time_to_clear(n, course.rate, theta);
	course.wait = closed + fills + wait;
	course.capped = course.rate * wait;
	course.released = flow->rate * fills + course.capped;
	return course;
}

/*
 * Seconds that one in ten, half and nine in ten wait less; false if it cannot be
 * told, because nobody is being let in.
 */
bool
qms_eta(const QmsFlow *flow, double wait[3])
{
	Course		course;
	double		sooner;
	double		later;
	double		q;
	double		drift;
	double		variance;

	if (!(flow->rate > 0))
		return false;
	course = course_with(flow, flow->theta);
	later = course_with(flow, Max(flow->theta - Z_OF_P90 * flow->theta_sd, 0)).wait - course.wait;
	sooner = course_with(flow, flow->theta + Z_OF_P90 * flow->theta_sd).wait - course.wait;
	q = flow->n > 0 ? Min(Max(1 - course.released / flow->n, 0), 1) : 0;
	drift = (course.wait - Max(flow->opens_in, 0)) * flow->rate_sd;
	variance = (flow->n * q * (1 - q) + course.capped + 1.0 / 12) / (course.rate * course.rate) + drift * drift;
	variance *= Z_OF_P90 * Z_OF_P90;
	wait[0] = Max(course.wait - sqrt(variance + sooner * sooner), Max(flow->opens_in, 0));
	wait[1] = course.wait;
	wait[2] = course.wait + sqrt(variance + later * later);
	return true;
}

/* For tests: the same from SQL. */
PG_FUNCTION_INFO_V1(qms_release_wait);

Datum
qms_release_wait(PG_FUNCTION_ARGS)
{
	QmsFlow		flow = {
		.n = PG_GETARG_FLOAT8(0), .rate = PG_GETARG_FLOAT8(1), .theta = PG_GETARG_FLOAT8(2),
		.theta_sd = PG_GETARG_FLOAT8(3), .opens_in = PG_GETARG_FLOAT8(4), .max_inside = PG_GETARG_FLOAT8(5),
		.inside = PG_GETARG_FLOAT8(6), .visit = PG_GETARG_FLOAT8(7), .rate_sd = PG_GETARG_FLOAT8(8)
	};
	double		wait[3];
	Datum		values[3];
	int			i;

	if (!qms_eta(&flow, wait))
		PG_RETURN_NULL();
	for (i = 0; i < 3; i++)
		values[i] = Float8GetDatum(wait[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 3, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
