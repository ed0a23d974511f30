/*
 * bucket.c
 *		How many wait before a key, when they are too many to count one by one.
 *
 * Shared memory holds, per queue, the number of people waiting in each stretch
 * of 134 seconds of sort_key.  The row trigger notes every coming and going;
 * a commit adds what its transaction noted.  The first one who needs the
 * figures after a server start counts the queue once, and the scheduler counts
 * it again from time to time (recount.c).  A place inside a stretch is
 * interpolated between the first and the last one who wait in it: many may come
 * in one second.  These are estimates: keys older than 76 hours wrap around.
 *
 * A prepared transaction adds when it is prepared, for nothing is heard of it
 * here afterwards: most of them commit.  If it is rolled back the figures are
 * wrong until they are counted again, which hooks.c asks for.
 */
#include "queue/queue.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#define STRETCH (INT64CONST(1) << QMS_BUCKET_BITS)
#define BUCKET_OF(key) ((key) >> QMS_BUCKET_BITS)
#define CELL_OF(index) ((uint64) (index) % QMS_BUCKETS)
#define CELL(buckets, index) (&(buckets)->cells[CELL_OF(index)])

typedef struct Change
{
	QmsBuckets *buckets;
	int64		sort_key;
	int			change;
	int			announced;		/* part of buckets->moving */
	SubTransactionId subxact;
} Change;

/* What the running transaction will add when it commits. */
static List *changes = NIL;

static void
apply_changes(void)
{
	ListCell   *cell;

	foreach(cell, changes)
	{
		Change	   *change = lfirst(cell);

		if (pg_atomic_read_u32(&change->buckets->state) != QMS_NOT_COUNTED)
			pg_atomic_fetch_add_u32(CELL(change->buckets, BUCKET_OF(change->sort_key)), change->change);
		pg_atomic_fetch_add_u32(&change->buckets->moved, Abs(change->change));
	}
}

/*
 * The transaction is about to become visible, and will have been applied some
 * time later: whoever counts meanwhile must know that the two may not agree.
 */
static void
announce_changes(void)
{
	ListCell   *cell;

	foreach(cell, changes)
	{
		Change	   *change = lfirst(cell);

		change->announced = Abs(change->change);
		pg_atomic_fetch_add_u32(&change->buckets->moving, change->announced);
	}
}

/* That is over, one way or the other. */
static void
withdraw_changes(void)
{
	ListCell   *cell;

	foreach(cell, changes)
	{
		Change	   *change = lfirst(cell);

		pg_atomic_fetch_sub_u32(&change->buckets->moving, change->announced);
	}
}

static void
note_prepared(void)
{
	ListCell   *cell;

	foreach(cell, changes)
	{
		Change	   *change = lfirst(cell);

		pg_atomic_write_u64(&change->buckets->prepared_at, (uint64) GetCurrentTimestamp());
	}
}

static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_PRE_COMMIT)
		announce_changes();
	if (event == XACT_EVENT_PREPARE)
		note_prepared();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		apply_changes();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE || event == XACT_EVENT_ABORT)
	{
		withdraw_changes();
		changes = NIL;			/* the list goes with its memory context */
	}
}

/* Take what the running transaction has changed out of counts by cell: it comes once more when it commits. */
void
qms_bucket_take_mine(const QmsBuckets *buckets, int32 *counts)
{
	ListCell   *cell;

	foreach(cell, changes)
	{
		Change	   *change = lfirst(cell);

		if (change->buckets == buckets)
			counts[CELL_OF(BUCKET_OF(change->sort_key))] -= change->change;
	}
}

/* A savepoint that is rolled back takes its changes with it. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
				   void *arg pg_attribute_unused())
{
	ListCell   *cell;

	foreach(cell, changes)
	{
		Change	   *change = lfirst(cell);

		if (change->subxact != mine)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			change->subxact = parent;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			change->change = 0;
	}
}

/* Somebody begins (+1) or stops (-1) to wait at a key, if this transaction commits. */
void
qms_bucket_note(int64 queue_id, int64 sort_key, int by)
{
	static bool registered = false;
	QmsBuckets *buckets = qms_slot_buckets(queue_id);
	MemoryContext old;
	Change	   *change;

	if (buckets == NULL)
		return;
	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		RegisterSubXactCallback(end_subtransaction, NULL);
		registered = true;
	}
	/* A bulk load notes the same stretch again and again. */
	change = changes != NIL ? llast(changes) : NULL;
	if (change != NULL && change->buckets == buckets && BUCKET_OF(change->sort_key) == BUCKET_OF(sort_key) &&
		change->subxact == GetCurrentSubTransactionId())
	{
		change->change += by;
		return;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	change = palloc(sizeof(Change));
	change->buckets = buckets;
	change->sort_key = sort_key;
	change->change = by;
	change->announced = 0;
	change->subxact = GetCurrentSubTransactionId();
	changes = lappend(changes, change);
	MemoryContextSwitchTo(old);
}

/* The part of those who wait in the stretch of a key that waits before it. */
static double
share_before(int64 queue_id, int64 sort_key)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT (SELECT sort_key FROM qms.ticket WHERE queue_id = $1 AND state = 'waiting' "
								   "AND sort_key >= $2 AND sort_key <= $3 ORDER BY sort_key, ticket_id LIMIT 1), "
								   "(SELECT sort_key FROM qms.ticket WHERE queue_id = $1 AND state = 'waiting' "
								   "AND sort_key >= $2 AND sort_key <= $3 ORDER BY sort_key DESC, ticket_id DESC LIMIT 1)",
								   INT8OID, INT8OID, INT8OID);
	int64		begins = BUCKET_OF(sort_key) << QMS_BUCKET_BITS;
	QmsParams	params = {0};
	QmsBound	bound;
	int64		first;
	int64		last;

	/* Nobody has to be looked for where the line has been called already. */
	qms_bound_read(queue_id, &bound);
	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, Max(begins, bound.from));
	qms_param_int64(&params, begins + STRETCH - 1);
	qms_spi_run(&plan, &params);
	first = qms_spi_int64(0, 0);
	last = qms_spi_int64(0, 1);
	if (qms_spi_isnull(0, 0) || sort_key <= first)
		return 0;
	return sort_key > last ? 1 : (double) (sort_key - first) / Max(last - first, 1);
}

/* Those in the stretches before that of a key, and those in it; false if nothing is known. */
static bool
look_at_stretches(int64 queue_id, int64 sort_key, TimestampTz now, bool count, int64 *before, int32 *inside)
{
	QmsBuckets *buckets = qms_slot_buckets(queue_id);
	int64		mine = BUCKET_OF(sort_key);
	int64		top = Max(BUCKET_OF(now), mine);
	int64		index;

	if (buckets == NULL)
		return false;
	if (count && pg_atomic_read_u32(&buckets->state) == QMS_NOT_COUNTED)
		qms_bucket_count(queue_id, buckets, now);
	if (pg_atomic_read_u32(&buckets->state) != QMS_COUNTED)
		return false;
	*before = 0;
	for (index = top - QMS_BUCKETS + 1; index < mine; index++)
		*before += (int32) pg_atomic_read_u32(CELL(buckets, index));
	*inside = (int32) pg_atomic_read_u32(CELL(buckets, mine));
	return true;
}

/*
 * About how many wait before a key; -1 if nothing is known.  With count, the
 * queue is counted if it has not been.
 */
int64
qms_bucket_ahead(int64 queue_id, int64 sort_key, TimestampTz now, bool count)
{
	int64		before;
	int32		inside;

	if (!look_at_stretches(queue_id, sort_key, now, count, &before, &inside))
		return -1;
	/* Whoever comes now, or later than anybody, is behind all of them. */
	if (sort_key < now && inside > 0)
		inside = (int32) (inside * share_before(queue_id, sort_key));
	return Max(before + inside, 0);
}

/* The same without a look at the table, as if those of one stretch had come evenly. */
int64
qms_bucket_about(int64 queue_id, int64 sort_key, TimestampTz now)
{
	int64		begins = BUCKET_OF(sort_key) << QMS_BUCKET_BITS;
	int64		before;
	int32		inside;

	if (!look_at_stretches(queue_id, sort_key, now, true, &before, &inside))
		return -1;
	if (sort_key < now && inside > 0)
		inside = (int32) rint(inside * (double) (sort_key - begins) / Min(STRETCH, now - begins));
	return Max(before + inside, 0);
}
