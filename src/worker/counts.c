/*
 * counts.c
 *		Task of the scheduler: counts again who waits in queues whose people are
 *		counted by stretches of the line (queue/recount.c).
 *
 * Each such queue is counted every COUNT_EVERY, and soon after a prepared
 * transaction has been rolled back that may have changed it.  One queue at a
 * time, and then nothing for PAUSE_FACTOR times as long as that took: a line of a
 * million people costs a hundredth of the scheduler's time, as one of a thousand.
 */
#include "worker/tasks.h"

#define COUNT_EVERY (5 * USECS_PER_MINUTE)
#define PAUSE_FACTOR 100

/* The queue whose turn it is, and when. */
typedef struct Turn
{
	TimestampTz now;
	uint32		doubts;
	int64		queue_id;
	TimestampTz due;
} Turn;

static TimestampTz pause_until = QMS_NO_TIME;

static void
consider(int64 queue_id, QmsBuckets *buckets, void *arg)
{
	Turn	   *turn = arg;
	TimestampTz due = Min((TimestampTz) pg_atomic_read_u64(&buckets->looked_at), turn->now) + COUNT_EVERY;

	if (pg_atomic_read_u32(&buckets->state) != QMS_COUNTED)
		return;
	/* A transaction has been rolled back since the last look that may have been one of those prepared here. */
	if (pg_atomic_read_u64(&buckets->prepared_at) != 0 && pg_atomic_read_u32(&buckets->doubts) != turn->doubts)
		due = Min(due, turn->now);
	if (due < turn->due)
	{
		turn->due = due;
		turn->queue_id = queue_id;
	}
}

static Turn
find_turn(TimestampTz now)
{
	Turn		turn = {now, 0, 0, DT_NOEND};
	uint32		counted;

	qms_slot_news(&counted, &turn.doubts);
	qms_slot_each_buckets(consider, &turn);
	/* The clock may have gone back. */
	pause_until = Min(pause_until, now + COUNT_EVERY);
	if (turn.due != DT_NOEND)
		turn.due = Max(turn.due, pause_until);
	return turn;
}

/* Looked up again only when a queue has been counted for the first time, or something may be wrong. */
TimestampTz
qms_peek_counts(TimestampTz now)
{
	static uint32 known_counted = 0;
	static uint32 known_doubts = 0;
	uint32		counted;
	uint32		doubts;

	qms_slot_news(&counted, &doubts);
	if (counted == known_counted && doubts == known_doubts)
		return DT_NOEND;
	known_counted = counted;
	known_doubts = doubts;
	return find_turn(now).due;
}

void
qms_plan_counts(QmsTaskRun *run)
{
	Turn		turn = find_turn(run->call->now);

	if (turn.due <= run->call->now)
		qms_task_add(run, turn.queue_id);
	run->next = turn.due;
}

void
qms_run_counts(QmsTaskRun *run, int64 queue_id)
{
	TimestampTz begun = GetCurrentTimestamp();

	qms_bucket_recount(queue_id, run->call->now);
	pause_until = run->call->now + PAUSE_FACTOR * Max(GetCurrentTimestamp() - begun, 0);
	/* The next one. */
	run->next = find_turn(run->call->now).due;
}
