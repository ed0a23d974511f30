/*
 * bucket.c
 *		How many wait before a key, when they are too many to count one by one.
 *
 * Shared memory holds, per queue, the number of people waiting in each stretch
 * of 134 seconds of sort_key.  The row trigger notes every coming and going;
 * a commit adds what its transaction noted.  The first one who needs the
 * figures after a server start counts the queue once.  A place inside a stretch
 * is interpolated between the first and the last one who wait in it: many may
 * come in one second.  These are estimates: a count that is under way while others
 * commit can be off by those, and keys older than 76 hours wrap around.
 */
#include "queue/queue.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#define BUCKET_BITS 27			/* 2^27 microseconds */
#define STRETCH (INT64CONST(1) << BUCKET_BITS)
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
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	/* A prepared transaction is counted when it is prepared: nothing more is heard of it here. */
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		apply_changes();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE || event == XACT_EVENT_ABORT)
		changes = NIL;			/* the list goes with its memory context */
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

/* The counting failed, or was ended by the administrator: somebody else may. */
static void
give_counting_up(int code pg_attribute_unused(), Datum arg)
{
	QmsBuckets *buckets = (QmsBuckets *) DatumGetPointer(arg);

	pg_atomic_write_u32(&buckets->state, NOT_COUNTED);
}

/*
 * Count the queue.  One backend does it; to others nothing is known meanwhile.
 */
static void
count_queue(int64 queue_id, QmsBuckets *buckets)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT sort_key >> 27, pg_catalog.count(*) FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' GROUP BY 1", INT8OID);
	QmsParams	params = {0};
	uint32		expected = NOT_COUNTED;
	ListCell   *cell;
	uint64		n;
	uint64		i;

	if (!pg_atomic_compare_exchange_u32(&buckets->state, &expected, COUNTING))
		return;
	for (i = 0; i < QMS_BUCKETS; i++)
		pg_atomic_write_u32(&buckets->cells[i], 0);
	PG_ENSURE_ERROR_CLEANUP(give_counting_up, PointerGetDatum(buckets));
	{
		qms_param_int64(&params, queue_id);
		n = qms_spi_look(&plan, &params);
		for (i = 0; i < n; i++)
			pg_atomic_fetch_add_u32(CELL(buckets, qms_spi_int64(i, 0)), (int32) qms_spi_int64(i, 1));
	}
	PG_END_ENSURE_ERROR_CLEANUP(give_counting_up, PointerGetDatum(buckets));
	/* What we have changed ourselves was counted, and comes once more when we commit. */
	foreach(cell, changes)
	{
		Change	   *change = lfirst(cell);

		if (change->buckets == buckets)
			pg_atomic_fetch_sub_u32(CELL(buckets, BUCKET_OF(change->sort_key)), change->change);
	}
	pg_atomic_write_u32(&buckets->state, COUNTED);
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
	int64		begins = BUCKET_OF(sort_key) << BUCKET_BITS;
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
	int32		inside;

	if (buckets == NULL)
		return -1;
	if (count && pg_atomic_read_u32(&buckets->state) == NOT_COUNTED)
		count_queue(queue_id, buckets);
	if (pg_atomic_read_u32(&buckets->state) != COUNTED)
		return -1;
	for (index = top - QMS_BUCKETS + 1; index < mine; index++)
		sum += (int32) pg_atomic_read_u32(CELL(buckets, index));
	inside = (int32) pg_atomic_read_u32(CELL(buckets, mine));
	/* Whoever comes now, or later than anybody, is behind all of them. */
	if (sort_key < now && inside > 0)
		inside = (int32) (inside * share_before(queue_id, sort_key));
	sum += inside;
	return Max(sum, 0);
}
