/*
 * erlang.c
 *		Erlang B, C (M/M/s) and A (M/M/s+M: people go after a patience that is
 *		exponential).
 *
 * Erlang A.  With all s counters busy and k waiting, the next to be served comes
 * at the rate s mu + k theta.  With x(k) the weight of that state relative to
 * that of k = 0, x(k) = product over j = 1..k of lambda / (s mu + j theta), and
 * the weight of all states with at most s present is 1 / B, Erlang B.  Who finds
 * k waiting has a potential wait V that is a sum of exponential times with rates
 * s mu + i theta, i = 0..k; exp(-theta V) has the distribution Beta(s mu /
 * theta, k + 1), which gives the share of those served within a time exactly.
 */
#include "predict/predict.h"

#include <math.h>

#define MOST_TERMS	1000000
#define SMALL		1e-13
#define LARGE		1e200

/* Share who find all counters busy where nobody waits; load: arrivals times service time. */
double
qms_erlang_b(int counters, double load)
{
	double		b = 1;
	int			j;

	for (j = 1; j <= counters; j++)
		b = load * b / (j + load * b);
	return b;
}

/* Share who have to wait where nobody goes; 1 if the line only grows. */
double
qms_erlang_c(int counters, double load)
{
	double		b = qms_erlang_b(counters, load);
	double		rho = load / counters;

	return rho >= 1 ? 1 : b / (1 - rho * (1 - b));
}

/* What is summed over the number k of those who wait, relative to the weight of k = 0. */
typedef struct Sums
{
	double		states;			/* x(k) */
	double		waiting;		/* k x(k) */
	double		potential;		/* x(k) E[V | k] */
	double		served;			/* x(k) P(served within the target | k) */
	double		scale;			/* by which all of them have been divided, the weight of k = 0 as well */
} Sums;

/* Erlang A; target < 0: the share within it is not asked for. */
static void
add_states(const QmsErlang *erlang, double target, Sums *sums)
{
	double		mu = erlang->counters / erlang->service;
	double		theta = 1 / erlang->patience;
	double		a = mu / theta;
	double		u = exp(-theta * Max(target, 0));
	double		x = 1;
	double		potential = 0;
	double		term = pow(u, a + 1);	/* of I_u(a + 1, k + 1) */
	double		beta = 0;
	int			k;

	memset(sums, 0, sizeof(*sums));
	sums->scale = 1;
	for (k = 0; k < MOST_TERMS; k++)
	{
		if (k > 0)
		{
			x *= erlang->rate / (mu + k * theta);
			term *= (1 - u) * (a + k) / k;
		}
		potential += 1 / (mu + k * theta);
		beta += term;
		sums->states += x;
		sums->waiting += k * x;
		sums->potential += x * potential;
		if (target >= 0)
			sums->served += x * a / (a + k + 1) * Max(1 - beta, 0);
		if (x > LARGE)
		{
			sums->states /= LARGE;
			sums->waiting /= LARGE;
			sums->potential /= LARGE;
			sums->served /= LARGE;
			sums->scale *= LARGE;
			x /= LARGE;
		}
		if (erlang->rate < mu + k * theta && k * x < SMALL * sums->states)
			break;
	}
}

/* The weight of all states, in the unit of the sums. */
static double
all_states(const QmsErlang *erlang, const Sums *sums)
{
	double		b = qms_erlang_b(erlang->counters, erlang->rate * erlang->service);

	return (b > 0 ? (1 / b - 1) / sums->scale : INFINITY) + sums->states;
}

/* Patience without end, or so long that it makes no difference. */
static bool
is_patient(const QmsErlang *erlang)
{
	return !(erlang->patience > 0) || erlang->patience > 1e6 * erlang->service;
}

void
qms_erlang_line(const QmsErlang *erlang, QmsErlangLine *line)
{
	double		load = erlang->rate * erlang->service;
	double		rho = load / erlang->counters;
	Sums		sums;
	double		all;

	memset(line, 0, sizeof(*line));
	if (load <= 0)
		return;
	if (is_patient(erlang))
	{
		line->delayed = qms_erlang_c(erlang->counters, load);
		line->delayed_wait = rho >= 1 ? INFINITY : erlang->service / (erlang->counters * (1 - rho));
		line->mean_wait = rho >= 1 ? INFINITY : line->delayed * line->delayed_wait;
		line->occupancy = Min(rho, 1);
		return;
	}
	add_states(erlang, -1, &sums);
	all = all_states(erlang, &sums);
	line->delayed = sums.states / all;
	line->mean_wait = sums.waiting / all / erlang->rate;
	line->delayed_wait = sums.potential / sums.states;
	line->abandoned = line->mean_wait / erlang->patience;
	line->occupancy = rho * (1 - line->abandoned);
}

/*
 * The share of all who are served after a wait of at most target.  Who goes
 * before is not served, however short his wait was.
 */
double
qms_erlang_within(const QmsErlang *erlang, double target)
{
	double		load = erlang->rate * erlang->service;
	Sums		sums;
	double		all;

	if (load <= 0)
		return 1;
	if (is_patient(erlang))
	{
		if (load >= erlang->counters)
			return 0;
		return 1 - qms_erlang_c(erlang->counters, load) *
			exp(-(erlang->counters - load) * Max(target, 0) / erlang->service);
	}
	add_states(erlang, Max(target, 0), &sums);
	all = all_states(erlang, &sums);
	return 1 - (sums.states - sums.served) / all;
}

/* The least number of counters with which that share is reached, at most most. */
int
qms_erlang_counters(const QmsErlang *erlang, double target, double share, int most)
{
	QmsErlang	try = *erlang;
	int			low = 0;
	int			high = 1;

	if (!(erlang->rate * erlang->service > 0))
		return 0;
	/* It grows with the counters: double, then halve. */
	for (try.counters = high; high < most && qms_erlang_within(&try, target) < share; try.counters = high)
	{
		low = high;
		high = Min(2 * high, most);
	}
	while (high - low > 1)
	{
		try.counters = low + (high - low) / 2;
		if (qms_erlang_within(&try, target) < share)
			low = try.counters;
		else
			high = try.counters;
	}
	return high;
}
