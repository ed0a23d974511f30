/*
 * bucket.c
 *		How many wait before a key, when they are too many to count one by one.
 *
 * Shared memory holds, per queue, the number of people waiting in each stretch
 * of 134 seconds of sort_key.  The row trigger notes every coming and going;
 * a commit adds what its transaction noted.  The first one who needs the
 * figures after a server start counts the queue once.  A place inside a stretch
 * is interpolated.  These are estimates: a count that is under way while others
 * commit can be off by those, and keys older than 76 hours wrap around.
 */
#include "queue/queue.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/memutils.h"

#define BUCKET_BITS 27			/* 2^27 microseconds */
#define BUCKET_OF(key) ((key) >> BUCKET_BITS)
#define CELL(buckets, index) (&(buckets)->cells[(uint64) (index) % QMS_BUCKETS])

enum
{
	NOT_COUNTED, COUNTING, COUNTED
};

typedef struct Change
{
	QmsBuckets *buckets;
	int64		sort_key;
	int			change;
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

		if (pg_atomic_read_u32(&change->buckets->state) != NOT_COUNTED)
			pg_atomic_fetch_add_u32(CELL(change->buckets, BUCKET_OF(change->sort_key)), change->change);
	}
}

static void
end_transaction(XactEvent event, void *arg)
{
	/* A prepared transaction is counted when it is prepared: nothing more is heard of it here. */
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		apply_changes();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE || event == XACT_EVENT_ABORT)
		changes = NIL;			/* the list goes with its memory context */
}

/* A savepoint that is rolled back takes its changes with it. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
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
	QmsBuckets *buckets = qms_bound_buckets(queue_id);
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
	change->subxact = GetCurrentSubTransactionId();
	changes = lappend(changes, change);
	MemoryContextSwitchTo(old);
}

/*
 * Count the queue.  One backend does it; others answer from what is there so
 * far.  If it fails, the state stays "counting" only until the next one tries.
 */
static void
count_queue(int64 queue_id, QmsBuckets *buckets)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT sort_key >> 27, pg_catalog.count(*) FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' GROUP BY 1", INT8OID);
	QmsParams	params = {0};
	uint32		expected = NOT_COUNTED;
	uint64		n;
	uint64		i;

	if (!pg_atomic_compare_exchange_u32(&buckets->state, &expected, COUNTING))
		return;
	for (i = 0; i < QMS_BUCKETS; i++)
		pg_atomic_write_u32(&buckets->cells[i], 0);
	PG_TRY();
	{
		qms_param_int64(&params, queue_id);
		n = qms_spi_look(&plan, &params);
		for (i = 0; i < n; i++)
			pg_atomic_fetch_add_u32(CELL(buckets, qms_spi_int64(i, 0)), (int32) qms_spi_int64(i, 1));
	}
	PG_CATCH();
	{
		pg_atomic_write_u32(&buckets->state, NOT_COUNTED);
		PG_RE_THROW();
	}
	PG_END_TRY();
	pg_atomic_write_u32(&buckets->state, COUNTED);
}

/*
 * About how many wait before a key; -1 if nothing is known.  With count, the
 * queue is counted if it has not been.
 */
int64
qms_bucket_ahead(int64 queue_id, int64 sort_key, TimestampTz now, bool count)
{
	QmsBuckets *buckets = qms_bound_buckets(queue_id);
	int64		mine = BUCKET_OF(sort_key);
	int64		top = Max(BUCKET_OF(now), mine);
	int64		sum = 0;
	int64		index;
	int64		width = INT64CONST(1) << BUCKET_BITS;
	double		share;

	if (buckets == NULL)
		return -1;
	if (count && pg_atomic_read_u32(&buckets->state) == NOT_COUNTED)
		count_queue(queue_id, buckets);
	if (pg_atomic_read_u32(&buckets->state) != COUNTED)
		return -1;
	for (index = top - QMS_BUCKETS + 1; index < mine; index++)
		sum += (int32) pg_atomic_read_u32(CELL(buckets, index));
	/* Of the present stretch only the part that has passed has anybody in it. */
	share = (double) (sort_key & (width - 1)) / (mine == BUCKET_OF(now) ? (now & (width - 1)) + 1 : width);
	sum += (int64) (Min(share, 1.0) * (int32) pg_atomic_read_u32(CELL(buckets, mine)));
	return Max(sum, 0);
}
