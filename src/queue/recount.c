/*
 * recount.c
 *		Counts those who wait in a queue, for bucket.c: for the first time, and again
 *		to set right what has become wrong.
 *
 * The figures in shared memory go on changing meanwhile, so the difference to a
 * count is added, never the count itself put there.  The difference is right if
 * figures and snapshot show the same transactions.  A commit announces itself
 * before it can be seen ("moving") and is withdrawn after it has been applied
 * ("moved"); if nobody was on the way while both were taken, they do.  Else both
 * are taken again, a few times.  If somebody always is, the difference may be wrong
 * by those who were: then smaller ones are left alone, so counting never makes
 * figures worse, and larger ones are corrected to within that.
 *
 * A transaction that is prepared is in the figures and in no snapshot.  As long
 * as one is there that may have changed the queue, it is left alone, but not for
 * ever: where there always is one, every MAX_SKIPS'th count is made all the same.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "storage/ipc.h"
#include "utils/snapmgr.h"

#define TRIES		5
#define MAX_SKIPS	10

typedef struct Count
{
	int32		figures[QMS_BUCKETS];
	int32		counted[QMS_BUCKETS];
	Snapshot	snapshot;
	uint32		on_the_way;		/* people that the two may disagree about */
} Count;

/* Take figures and snapshot, of the same moment if possible. */
static void
take_both(QmsBuckets *buckets, Count *count, int tries)
{
	for (;;)
	{
		uint32		moved = pg_atomic_read_u32(&buckets->moved);
		uint32		moving;
		int			i;

		pg_memory_barrier();
		moving = pg_atomic_read_u32(&buckets->moving);
		pg_memory_barrier();
		for (i = 0; i < QMS_BUCKETS; i++)
			count->figures[i] = (int32) pg_atomic_read_u32(&buckets->cells[i]);
		pg_memory_barrier();
		count->snapshot = RegisterSnapshot(GetLatestSnapshot());
		pg_memory_barrier();
		/* Whoever is withdrawn in between has been applied: "moved" is read last. */
		moving += pg_atomic_read_u32(&buckets->moving);
		pg_memory_barrier();
		count->on_the_way = moving + (pg_atomic_read_u32(&buckets->moved) - moved);
		if (count->on_the_way == 0 || --tries <= 0)
			return;
		UnregisterSnapshot(count->snapshot);
		pg_usleep(1000);
	}
}

/* Add the differences, if they are more than may be somebody on the way. */
static void
add_differences(int64 queue_id, QmsBuckets *buckets, const Count *count, bool first)
{
	uint32		wrong = 0;
	int			i;

	for (i = 0; i < QMS_BUCKETS; i++)
		wrong += Abs(count->counted[i] - count->figures[i]);
	if (!first && wrong <= count->on_the_way)
		return;
	for (i = 0; i < QMS_BUCKETS; i++)
	{
		if (count->counted[i] != count->figures[i])
			pg_atomic_fetch_add_u32(&buckets->cells[i], count->counted[i] - count->figures[i]);
	}
	if (!first)
		ereport(DEBUG1,
				(errmsg_internal("counts of queue %lld were wrong by %u people", (long long) queue_id, wrong)));
}

/*
 * Count a queue, first or again.  The lowest key must be known before the
 * snapshot is taken.  If a transaction has been prepared since this moment was
 * read, the figures may have it already: another time.
 */
static void
count_and_add(int64 queue_id, QmsBuckets *buckets, int tries, bool first, uint64 prepared_at)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT sort_key >> 27, pg_catalog.count(*) FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' AND sort_key >= $2 GROUP BY 1", INT8OID, INT8OID);
	Count	   *count = palloc0(sizeof(Count));
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, qms_bound_lowest(queue_id));
	take_both(buckets, count, tries);
	n = qms_spi_look_at(&plan, &params, count->snapshot);
	for (i = 0; i < n; i++)
		count->counted[(uint64) qms_spi_int64(i, 0) % QMS_BUCKETS] += (int32) qms_spi_int64(i, 1);
	UnregisterSnapshot(count->snapshot);
	qms_bucket_take_mine(buckets, count->counted);
	if (pg_atomic_read_u64(&buckets->prepared_at) == prepared_at)
		add_differences(queue_id, buckets, count, first);
	pfree(count);
}

/* The counting failed, or was ended by the administrator: somebody else may. */
static void
give_counting_up(int code pg_attribute_unused(), Datum arg)
{
	QmsBuckets *buckets = (QmsBuckets *) DatumGetPointer(arg);

	pg_atomic_write_u32(&buckets->state, QMS_NOT_COUNTED);
}

/*
 * Count a queue for the first time.  One backend does it; to others nothing is
 * known meanwhile.  Whoever commits from here on is applied.
 */
void
qms_bucket_count(int64 queue_id, QmsBuckets *buckets, TimestampTz now)
{
	uint32		expected = QMS_NOT_COUNTED;

	if (!pg_atomic_compare_exchange_u32(&buckets->state, &expected, QMS_COUNTING))
		return;
	PG_ENSURE_ERROR_CLEANUP(give_counting_up, PointerGetDatum(buckets));
	{
		count_and_add(queue_id, buckets, 1, true, pg_atomic_read_u64(&buckets->prepared_at));
	}
	PG_END_ENSURE_ERROR_CLEANUP(give_counting_up, PointerGetDatum(buckets));
	pg_atomic_write_u64(&buckets->looked_at, (uint64) now);
	pg_atomic_write_u32(&buckets->state, QMS_COUNTED);
	/* The scheduler counts it again from time to time. */
	qms_slot_note_counted();
	qms_doorbell_poke_scheduler();
}

/* Is a transaction there that was prepared up to a moment? */
static bool
some_are_prepared(TimestampTz until)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() "
								   "AND prepared <= $1 LIMIT 1", TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_time(&params, until);
	return qms_spi_run(&plan, &params) > 0;
}

/* Count a queue again and correct its figures; by the scheduler. */
void
qms_bucket_recount(int64 queue_id, TimestampTz now)
{
	QmsBuckets *buckets = qms_slot_buckets(queue_id);
	uint64		prepared_at;
	uint32		counted;
	uint32		doubts;

	if (buckets == NULL || pg_atomic_read_u32(&buckets->state) != QMS_COUNTED)
		return;
	qms_slot_news(&counted, &doubts);
	pg_atomic_write_u32(&buckets->doubts, doubts);
	pg_atomic_write_u64(&buckets->looked_at, (uint64) now);
	prepared_at = pg_atomic_read_u64(&buckets->prepared_at);
	if (prepared_at != 0 && some_are_prepared((TimestampTz) prepared_at))
	{
		if (pg_atomic_fetch_add_u32(&buckets->skips, 1) + 1 < MAX_SKIPS)
			return;
	}
	else if (pg_atomic_compare_exchange_u64(&buckets->prepared_at, &prepared_at, 0))
		prepared_at = 0;
	else
		return;					/* one more, just now */
	pg_atomic_write_u32(&buckets->skips, 0);
	count_and_add(queue_id, buckets, TRIES, false, prepared_at);
}
