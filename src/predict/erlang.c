/*
 * erlang.c
 *		Formulas of waiting lines with s counters: pure functions.
 *
 * Load a = rate x service; service and target in seconds, rate and leave rate a second.
 *
 * Erlang B: B_0 = 1, B_j = a B_{j-1} / (j + a B_{j-1}).  Erlang C, who has to wait:
 * C = B_s / (1 - rho (1 - B_s)), rho = a / s; P(W > t) = C exp(-(s mu - lambda) t).
 *
 * Erlang A, where each who waits leaves at rate theta: with n people in the
 * building p_n = p_{n-1} lambda / (min(n, s) mu + max(n - s, 0) theta).  Behind i
 * others the wait is a sum of exponential times with rates s mu + j theta, j = 0..i;
 * exp(-theta W) is then Beta(s mu / theta, i + 1), so P(W > t) is the incomplete
 * beta function at exp(-theta t).
 */
#include "predict/predict.h"

#include <math.h>

#define ALMOST_NONE 1e-12
#define MOST_PEOPLE 1000000
#define MOST_TERMS 10000

double
qms_erlang_b(int counters, double load)
{
	double		blocked = 1;
	int			j;

	for (j = 1; j <= counters; j++)
		blocked = load * blocked / (j + load * blocked);
	return blocked;
}

/* The part of all that has to wait; 1: the line grows without end. */
double
qms_erlang_c(int counters, double load)
{
	double		blocked;

	if (load <= 0)
		return 0;
	if (counters <= 0 || load >= counters)
		return 1;
	blocked = qms_erlang_b(counters, load);
	return blocked / (1 - load / counters * (1 - blocked));
}

/* The incomplete beta function by its continued fraction (modified Lentz). */
static double
beta_fraction(double x, double a, double b)
{
	double		c = 1;
	double		d = 1 - (a + b) * x / (a + 1);
	double		f;
	int			i;

	d = 1 / (fabs(d) < ALMOST_NONE ? ALMOST_NONE : d);
	f = d;
	for (i = 1; i < MOST_TERMS; i++)
	{
		double		even = i * (b - i) * x / ((a + 2 * i - 1) * (a + 2 * i));
		double		odd = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1));
		double		terms[2] = {even, odd};
		double		step = 1;
		int			t;

		for (t = 0; t < 2; t++)
		{
			d = 1 + terms[t] * d;
			c = 1 + terms[t] / c;
			d = 1 / (fabs(d) < ALMOST_NONE ? ALMOST_NONE : d);
			c = fabs(c) < ALMOST_NONE ? ALMOST_NONE : c;
			step = c * d;
			f *= step;
		}
		if (fabs(step - 1) < 1e-13)
			break;
	}
	return f;
}

static double
incomplete_beta(double x, double a, double b)
{
	double		front;

	if (x <= 0)
		return 0;
	if (x >= 1)
		return 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(x, a, b) / a;
	return 1 - front * beta_fraction(1 - x, b, a) / b;
}

/* Nobody leaves: Erlang C. */
static void
line_without_leaving(int counters, double rate, double service, double target, QmsErlang *answer)
{
	double		load = rate * service;
	double		slack = counters / service - rate;

	answer->delayed = qms_erlang_c(counters, load);
	if (slack <= 0)
	{
		answer->wait = INFINITY;
		answer->within = 0;
		return;
	}
	answer->wait = answer->delayed / slack;
	answer->within = 1 - answer->delayed * exp(-slack * target);
}

/* Erlang A; p of whoever sees all counters busy and i waiting, relative to i = 0. */
static void
line_with_leaving(int counters, double rate, double service, double leave_rate, double target, QmsErlang *answer)
{
	double		all = counters / service;
	double		blocked = qms_erlang_b(counters, rate * service);
	double		below = (1 - blocked) / blocked;	/* of less than s people, relative to s people */
	double		p = 1;
	double		sum = 0;
	double		late = 0;
	double		people = 0;
	int			i;

	for (i = 0; i < MOST_PEOPLE; i++)
	{
		sum += p;
		people += p * i;
		late += p * incomplete_beta(exp(-leave_rate * target), all / leave_rate, i + 1);
		p *= rate / (all + (i + 1) * leave_rate);
		if (p < ALMOST_NONE * (sum + below) && rate < all + (i + 1) * leave_rate)
			break;
	}
	answer->delayed = sum / (sum + below);
	answer->within = 1 - late / (sum + below);
	/* Little's law, for all who come: those who wait leave at that rate each. */
	answer->wait = people / (sum + below) / rate;
	answer->left = leave_rate * people / (sum + below) / rate;
}

/* How it goes with so many counters. */
void
qms_erlang(int counters, double rate, double service, double leave_rate, double target, QmsErlang *answer)
{
	memset(answer, 0, sizeof(*answer));
	if (!(rate > 0) || !(service > 0))
	{
		answer->within = 1;
		return;
	}
	if (counters <= 0)
	{
		answer->delayed = 1;
		answer->wait = leave_rate > 0 ? 1 / leave_rate : INFINITY;
		answer->left = leave_rate > 0 ? 1 : 0;
		return;
	}
	if (leave_rate * service < 1e-6)
		line_without_leaving(counters, rate, service, target, answer);
	else
		line_with_leaving(counters, rate, service, leave_rate, target, answer);
}

/* The fewest counters with which that share waits no longer than the target; 0: more than the limit. */
int
qms_erlang_counters(double rate, double service, double leave_rate, double target, double share, int limit)
{
	int			counters;

	if (!(rate > 0))
		return 0;
	for (counters = 1; counters <= limit; counters++)
	{
		QmsErlang	answer;

		qms_erlang(counters, rate, service, leave_rate, target, &answer);
		if (answer.within >= share)
			return counters;
	}
	return 0;
}
