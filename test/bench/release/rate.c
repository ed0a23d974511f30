/*
 * rate.c
 *		B7: how exactly people are let in over one simulated hour, by the code that
 *		the scheduler runs (src/release/segment.c), beside a rule that is common.
 *
 *	rate		each wake-up lets in S - released people and sleeps until S grows
 *				again, or 10 ms; it comes up to a tenth of that time late, and never less
 *				than 1 ms.
 *	floor		one tick a second, up to a tenth early or late, lets in
 *				floor(rate x 1 s) people.
 *
 * Half an hour in, the rate is doubled for 10 minutes; then nobody is woken for
 * 60 s.  What is lost by that outage, all but b = max(1, 2 r 1 s) people, is not
 * counted as an error of S.  Everything is drawn from one seed.
 */
#include "postgres.h"

#include "release/release.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The server's own are not here. */
#undef printf
#undef fprintf

#define HOUR (3600 * USECS_PER_SEC)
#define ONE_A_MINUTE (QMS_RATE_SCALE * 1440)
#define FASTER_FROM (1800 * USECS_PER_SEC)
#define FASTER_TO (2400 * USECS_PER_SEC)
#define OUTAGE_FROM (3000 * USECS_PER_SEC)
#define OUTAGE_TO (3060 * USECS_PER_SEC)
#define LEAST_PAUSE (USECS_PER_SEC / 100)
#define LEAST_LATE (USECS_PER_SEC / 1000)

typedef struct Course
{
	double	   *seconds;		/* people let in, second by second */
	double		largest;		/* deviation of those let in from S */
	bool		over;			/* it was more than 1 + rate x how late the wake-up was, once */
	int64		released;
	int64		lost;			/* by the outage */
} Course;

static uint64 seed;

/* From 0 to 1; xorshift64*. */
static double
random_part(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (double) ((seed * UINT64CONST(2685821657736338717)) >> 11) / 9007199254740992.0;
}

static int64
speed_at(int64 speed, int64 at)
{
	return at >= FASTER_FROM && at < FASTER_TO ? 2 * speed : speed;
}

/* How many ought to have been let in, without an outage. */
static double
ideal(int64 speed, int64 at)
{
	double		seconds = (at + Max(Min(at, FASTER_TO) - FASTER_FROM, 0)) / (double) USECS_PER_SEC;

	return seconds * speed / ONE_A_MINUTE / 60;
}

static void
note(Course *course, int64 at, int64 n)
{
	if (at < HOUR)
		course->seconds[at / USECS_PER_SEC] += n;
	course->released += n;
}

/* As src/release/turn.c does it. */
static void
by_segment(Course *course, int64 speed)
{
	QmsSegment	segment = {0, 0, 0, speed};
	int64		now = 0;
	int64		wanted = 0;		/* when the wake-up was due */
	bool		was_out = false;

	while (now < HOUR)
	{
		int64		count;
		int64		due;
		double		lag = (double) (now - wanted) * speed_at(speed, now) / ONE_A_MINUTE / 60 / USECS_PER_SEC;
		double		behind;

		/* Whoever changes the rate does it at that moment, and the scheduler is woken for it. */
		if (segment.speed != speed_at(speed, now))
			qms_segment_change(&segment, now >= FASTER_TO ? FASTER_TO : FASTER_FROM, speed_at(speed, now));
		count = qms_segment_count(&segment, now);
		(void) qms_segment_cap(&segment, now, course->released);
		course->lost += count - qms_segment_count(&segment, now);
		count = qms_segment_count(&segment, now);
		behind = (double) (count - course->released);
		if (!was_out)
		{
			course->largest = Max(course->largest, behind);
			course->over = course->over || behind > 1 + lag + (double) LEAST_PAUSE * speed_at(speed, now) / ONE_A_MINUTE / 60 / USECS_PER_SEC;
		}
		note(course, now, count - course->released);
		due = qms_segment_due(&segment, course->released + 1);
		wanted = Max(due, now + LEAST_PAUSE);
		if (now < FASTER_FROM)
			wanted = Min(wanted, FASTER_FROM);
		else if (now < FASTER_TO)
			wanted = Min(wanted, FASTER_TO);
		due = wanted + LEAST_LATE + (int64) (0.1 * random_part() * (wanted - now));
		was_out = due >= OUTAGE_FROM && due < OUTAGE_TO;
		now = was_out ? OUTAGE_TO : due;
	}
}

static void
by_floor(Course *course, int64 speed)
{
	int64		tick = 0;

	for (tick = 0; tick < 3600; tick++)
	{
		int64		now = (int64) ((tick + 1 + 0.2 * (random_part() - 0.5)) * USECS_PER_SEC);
		int64		n = speed_at(speed, now) / ONE_A_MINUTE / 60;

		if (now >= HOUR || (now >= OUTAGE_FROM && now < OUTAGE_TO))
			continue;
		note(course, now, n);
		if (now < OUTAGE_FROM)
			course->largest = Max(course->largest, fabs(ideal(speed, now) - course->released));
	}
}

/* Coefficient of variation of the numbers in stretches of so many seconds, of the half hour at one rate. */
static double
variation(const Course *course, int stretch)
{
	double		sum = 0;
	double		squares = 0;
	int			n = 0;
	int			i;
	int			j;

	for (i = 60; i + stretch <= 1800; i += stretch)
	{
		double		people = 0;

		for (j = 0; j < stretch; j++)
			people += course->seconds[i + j];
		sum += people;
		squares += people * people;
		n++;
	}
	return sum > 0 ? sqrt(Max(squares / n - sum / n * (sum / n), 0)) / (sum / n) : 0;
}

/* The most people in any window of so many seconds, less what the rate brings in it. */
static double
excess(const Course *course, int64 speed, int window)
{
	double		most = -1e18;
	double		people = 0;
	int			i;

	for (i = 0; i < 3600; i++)
	{
		people += course->seconds[i] - (i >= window ? course->seconds[i - window] : 0);
		if (i + 1 >= window)
			most = Max(most, people - (ideal(speed, (i + 1) * USECS_PER_SEC) - ideal(speed, (i + 1 - window) * USECS_PER_SEC)));
	}
	return most;
}

static void
report(const char *rule, int64 per_minute, void (*run) (Course *course, int64 speed), bool exact)
{
	Course		course = {calloc(3601, sizeof(double)), 0, false, 0, 0};
	int64		speed = per_minute * ONE_A_MINUTE;
	double		wanted = ideal(speed, HOUR);
	double		burst = Max(1, 2.0 * per_minute / 60);
	double		due;
	double		worst = 0;
	int			window;

	seed = 42;
	run(&course, speed);
	/* An outage of 60 s costs 60 s less what is saved up; of the other rule, all. */
	due = exact ? wanted - course.lost : wanted - 60.0 * per_minute / 60;
	for (window = 1; window <= 60; window++)
		worst = Max(worst, excess(&course, speed, window));
	printf("| %s | %lld | %.0f | %lld | %+.2f | %+.4f %% | %.2f | %s | %.3f | %.4f | %.1f | %.0f |\n", rule, (long long) per_minute, due,
		   (long long) course.released, course.released - due, 100 * (course.released - due) / due, course.largest,
		   exact ? (course.over ? "NO" : "yes") : "-", variation(&course, 1), variation(&course, 60), worst, burst);
	if (exact && (course.over || fabs(course.released - due) > 1 || worst > burst + 1))
	{
		fprintf(stderr, "rate.c: %lld/min is not within its bounds\n", (long long) per_minute);
		exit(1);
	}
	free(course.seconds);
}

int
main(void)
{
	static const int rates[] = {7, 100, 600, 6000, 60000};
	size_t		i;

	for (i = 0; i < lengthof(rates); i++)
	{
		report("S(t)", rates[i], by_segment, true);
		report("floor a tick", rates[i], by_floor, false);
	}
	return 0;
}
