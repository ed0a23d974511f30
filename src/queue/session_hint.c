/*
 * session_hint.c
 *		Where the row of a counter's open session lies: a hint in shared memory.
 *
 * Each call makes a new version of the session's row.  While somebody's old
 * snapshot keeps VACUUM from removing the former ones, a look through the index
 * meets every one of them; a look at the remembered place meets one.  The
 * statement that goes there asks for counter, state and visibility as any other
 * does, so a wrong hint finds no row and costs the look through the index.
 *
 * One atomic word a slot, no lock: the place in 48 bits, and 16 bits of the
 * counter's hash, so that two counters of one slot seldom follow each other's.
 */
#include "queue/queue.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/atomics.h"

#define HINTS 8192

static pg_atomic_uint64 *hints = NULL;

static Size
memory_size(void)
{
	return sizeof(pg_atomic_uint64) * HINTS;
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks pg_attribute_unused())
{
	int			i;

	hints = memory;
	for (i = 0; i < HINTS && !found; i++)
		pg_atomic_init_u64(&hints[i], 0);
}

void
qms_session_hint_init(void)
{
	static const QmsMemory part = {"qms session hints", memory_size, NULL, 0, start_memory};

	qms_memory_register(&part);
}

static uint64
hash_of(int64 counter_id)
{
	int64		key[] = {counter_id, MyDatabaseId};

	return hash_bytes_extended((const unsigned char *) key, sizeof(key), 0);
}

/* Where the row was last seen; false if nobody knows. */
bool
qms_session_hint(int64 counter_id, ItemPointer place)
{
	uint64		hash = hash_of(counter_id);
	uint64		word = hints ? pg_atomic_read_u64(&hints[hash % HINTS]) : 0;

	if (word == 0 || word >> 48 != hash >> 48)
		return false;
	ItemPointerSet(place, (BlockNumber) (word >> 16), (OffsetNumber) word);
	return true;
}

void
qms_session_hint_remember(int64 counter_id, const ItemPointerData *place)
{
	uint64		hash = hash_of(counter_id);

	if (hints != NULL)
		pg_atomic_write_u64(&hints[hash % HINTS],
							(hash >> 48) << 48 | (uint64) ItemPointerGetBlockNumber(place) << 16 |
							ItemPointerGetOffsetNumber(place));
}
