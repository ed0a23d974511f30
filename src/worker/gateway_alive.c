/*
 * gateway_alive.c
 *		Does the program still do something?  One that is stopped, or does not
 *		come out of a loop, keeps its port and its clients and serves nobody.
 *
 * It is told to say every few seconds that it is alive, and whatever else it
 * says counts as well.  Its silence counts only while we listen: a machine that
 * was suspended, or a worker that was not let run, has heard nothing either, and
 * then the program has another full period.
 *
 * Moments are those of gateway.c: milliseconds of a clock that nobody sets.
 */
#include "worker/gateway.h"

#define LONGEST_INTERVAL_MS 10000
#define WORDS_PER_PERIOD 6		/* so many are missed before it is taken for dead */

static int64 looked_at = 0;		/* for what it says */
static int64 look_by = PG_INT64_MAX;	/* again, if nothing happens before */
static int64 heard_at = 0;		/* the last look that found something */

/* How often it is to say that it is alive, in milliseconds; 0: it need not. */
int
qms_alive_every(void)
{
	return Min(qms_gateway_hang_timeout() * 1000 / WORDS_PER_PERIOD, LONGEST_INTERVAL_MS);
}

/* It has a full period from now. */
void
qms_alive_begin(int64 now)
{
	heard_at = looked_at = now;
}

/* We are about to read what it has said; much later than we wanted to? */
void
qms_alive_look(int64 now)
{
	if (look_by != PG_INT64_MAX && now > look_by + qms_alive_every())
		heard_at = now;
	looked_at = now;
	look_by = PG_INT64_MAX;
}

/* There was something, whenever it has said it. */
void
qms_alive_hear(void)
{
	heard_at = looked_at;
}

/* We sleep until then, unless something happens. */
void
qms_alive_expect(int64 until, int64 now)
{
	look_by = until == PG_INT64_MAX ? until : Max(until, now);
}

/* When we should look again at the latest. */
int64
qms_alive_next_look(void)
{
	return qms_alive_every() == 0 ? PG_INT64_MAX : looked_at + qms_alive_every();
}

/* Nothing but silence, for the whole period. */
bool
qms_alive_is_silent(void)
{
	return qms_alive_every() != 0 && looked_at >= heard_at + qms_gateway_hang_timeout() * INT64CONST(1000);
}
