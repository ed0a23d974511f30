/*
 * turn.c
 *		What the rate lets in by now, shared among the queues of a gate.
 *
 * A turn takes the gate, adds up who has left, lets S follow the clock and the
 * settings, and lets in S - released people, as far as they wait and fit.  Then it
 * says when the next one is due: at the moment at which S grows, at once if the
 * batch was full, or when somebody comes or goes.  That is told by flags in shared
 * memory (queue/inside.c), set before the last look: nobody is missed who commits
 * after it.
 */
#include "release/release.h"

/* A queue of weight w pays PASS / w for each person. */
#define PASS INT64CONST(1000000)

/* Turns of a fast rate are at least so far apart. */
#define LEAST_PAUSE (10 * USECS_PER_SEC / 1000)

/* Somebody is changing what we need; it is short. */
#define BUSY_PAUSE (20 * USECS_PER_SEC / 1000)

typedef struct Turn
{
	QmsCall    *call;
	QmsGate    *gate;
	int			quota;			/* people that S lets in, in this batch */
	int			released;		/* of them */
	bool		locked;			/* somebody was passed over whose row was locked */
	TimestampTz claim_due;		/* when the first of those let in has to have come */
} Turn;

static bool
may_release(const Turn *turn, const QmsGateQueue *q)
{
	return q->starts_at <= turn->call->now;
}

/* The queue with people and room that has had least. */
static QmsGateQueue *
choose(const Turn *turn)
{
	QmsGateQueue *best = NULL;
	int			i;

	for (i = 0; i < turn->gate->nqueues; i++)
	{
		QmsGateQueue *q = &turn->gate->queues[i];

		if (may_release(turn, q) && q->share < q->waiting && q->share < qms_admit_room(q) &&
			(best == NULL || q->pass < best->pass))
			best = q;
	}
	return best;
}

/*
 * Share the quota among the queues, one person after the other, by weight (stride
 * scheduling).  A queue in which nobody waited begins where the others are: it
 * lent its share, and gets nothing back for it.
 */
static void
share(Turn *turn)
{
	QmsGate    *gate = turn->gate;
	int64		left = Min(turn->quota, qms_admit_pool_room(gate));
	int64		least = PG_INT64_MAX;
	QmsGateQueue *q;
	int			i;

	for (i = 0; i < gate->nqueues; i++)
	{
		q = &gate->queues[i];
		q->share = 0;
		q->waiting = 0;
		if (left == 0 || !may_release(turn, q) || qms_admit_room(q) == 0)
			continue;
		(void) qms_admit_look(q, (int) left);
		q->pass = Max(q->pass, gate->pass);
	}
	while (left-- > 0 && (q = choose(turn)) != NULL)
	{
		q->share++;
		q->pass += PASS / Max(q->queue->settings.weight, 1);
		q->dirty = true;
	}
	for (i = 0; i < gate->nqueues; i++)
	{
		if (gate->queues[i].waiting > 0)
			least = Min(least, gate->queues[i].pass);
	}
	if (least == PG_INT64_MAX || least <= gate->pass || gate->gate > 0)
		return;
	gate->pass = least;
	gate->dirty = true;
}

/* Let them in. */
static void
let_in(Turn *turn)
{
	int			i;

	share(turn);
	for (i = 0; i < turn->gate->nqueues; i++)
	{
		QmsGateQueue *q = &turn->gate->queues[i];
		int			n;

		if (q->share == 0)
			continue;
		n = qms_admit(turn->call, turn->gate, q, q->share, NULL);
		turn->gate->released += n;
		turn->released += n;
		turn->locked = turn->locked || n < q->share;
		if (n > 0)
			turn->claim_due = Min(turn->claim_due, turn->call->now + q->queue->settings.claim_window);
	}
}

/* S is ahead of those let in: of each queue, who has to come or go before anybody can be. */
static void
wait_for_people(Turn *turn)
{
	QmsGate    *gate = turn->gate;
	bool		pool_is_full = qms_admit_pool_room(gate) == 0;
	int			i;

	for (i = 0; i < gate->nqueues; i++)
	{
		QmsGateQueue *q = &gate->queues[i];
		uint32		interest = 0;

		if (may_release(turn, q))
		{
			if (pool_is_full || qms_admit_room(q) == 0)
				interest |= QMS_INTEREST_ROOM;
			if (q->waiting == 0)
				interest |= QMS_INTEREST_LINE;
		}
		else if (q->starts_at == DT_NOEND)
			interest = QMS_INTEREST_DRAW;
		qms_inside_set_interest(q->queue_id, interest);
	}
}

static void
wait_for_nobody(Turn *turn)
{
	int			i;

	for (i = 0; i < turn->gate->nqueues; i++)
		qms_inside_set_interest(turn->gate->queues[i].queue_id,
								turn->gate->queues[i].starts_at == DT_NOEND ? QMS_INTEREST_DRAW : 0);
}

/* Another look, now that whoever comes or goes afterwards tells us: can somebody be let in after all? */
static bool
something_changed(Turn *turn)
{
	QmsGate    *gate = turn->gate;
	int			i;

	qms_gate_fold(gate);
	if (qms_admit_pool_room(gate) == 0)
		return false;
	for (i = 0; i < gate->nqueues; i++)
	{
		QmsGateQueue *q = &gate->queues[i];

		if (may_release(turn, q) && qms_admit_room(q) > 0 && qms_admit_look(q, 1) > 0)
			return true;
	}
	return false;
}

/* When the next turn of this gate is due, by the clock; DT_NOEND: when we are told. */
static TimestampTz
next_turn(Turn *turn)
{
	QmsGate    *gate = turn->gate;
	TimestampTz now = turn->call->now;
	TimestampTz next = DT_NOEND;
	int			i;

	for (i = 0; i < gate->nqueues; i++)
	{
		if (!may_release(turn, &gate->queues[i]))
			next = Min(next, gate->queues[i].starts_at);
	}
	if (qms_segment_count(&gate->segment, now) <= gate->released)
	{
		TimestampTz due = qms_segment_due(&gate->segment, gate->released + 1);

		wait_for_nobody(turn);
		return Min(next, due == PG_INT64_MAX ? DT_NOEND : Max(due, now + LEAST_PAUSE));
	}
	if (turn->released == QMS_RELEASE_BATCH)
		return now;
	wait_for_people(turn);
	if (something_changed(turn))
		return turn->locked && !qms_clock_is_mocked() ? Min(next, now + BUSY_PAUSE) : now;
	return next;
}

/*
 * One turn of a gate; answers when the next is due.  claim_due: lowered to the
 * moment at which the first of those let in has to have come.
 */
TimestampTz
qms_release_turn(QmsCall *call, int64 gate_id, int64 organization_id, TimestampTz *claim_due)
{
	Turn		turn = {.call = call, .claim_due = *claim_due};
	TimestampTz next;

	turn.gate = qms_gate_lock(gate_id, organization_id, call->now, false);
	if (turn.gate == NULL)
		return qms_clock_is_mocked() ? call->now : call->now + BUSY_PAUSE;
	qms_gate_fold(turn.gate);
	qms_gate_follow(turn.gate, call->now);
	turn.quota = (int) Min(qms_segment_count(&turn.gate->segment, call->now) - turn.gate->released, QMS_RELEASE_BATCH);
	if (turn.quota > 0)
		let_in(&turn);
	next = next_turn(&turn);
	qms_gate_store(turn.gate);
	*claim_due = turn.claim_due;
	return next;
}
