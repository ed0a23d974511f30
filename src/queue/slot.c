/*
 * slot.c
 *		What shared memory holds of a queue: where its line begins (bound.c), how
 *		many wait in each stretch of it (bucket.c), who came and left lately
 *		(roll.c), and how many places of its room are taken (room.c).
 *
 * Locks: one LWLock for the table of queues, whose entries are never removed; so
 * a backend that has found one keeps its address.  What is in an entry has locks
 * of its own.  Without shared_preload_libraries there is no table.
 */
#include "queue/queue.h"

#include "access/transam.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/hsearch.h"

/* Of all queues of the server. */
typedef struct SlotShared
{
	uint64		first_xid;		/* transactions before it may have registered nothing; 0: not known yet */
	pg_atomic_uint32 counted;	/* how often the people of a queue were counted for the first time */
	pg_atomic_uint32 doubts;	/* how often counts may have become wrong */
} SlotShared;

static int	queue_slots = 1024;
static HTAB *slots = NULL;
static SlotShared *shared = NULL;
static LWLock *slots_lock = NULL;

static Size
memory_size(void)
{
	return sizeof(SlotShared);
}

static Size
table_size(void)
{
	return hash_estimate_size(queue_slots, sizeof(QmsSlot));
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(QmsSlotKey);
	ctl.entrysize = sizeof(QmsSlot);
	slots = ShmemInitHash("qms bounds", queue_slots, queue_slots, &ctl, HASH_ELEM | HASH_BLOBS);
	shared = memory;
	if (!found)
	{
		shared->first_xid = 0;
		pg_atomic_init_u32(&shared->counted, 0);
		pg_atomic_init_u32(&shared->doubts, 0);
	}
	slots_lock = &locks->lock;
}

void
qms_slot_init(void)
{
	static const QmsMemory part = {"qms queues", memory_size, table_size, 1, start_memory};

	if (!process_shared_preload_libraries_in_progress)
		return;
	DefineCustomIntVariable("qms.queue_slots",
							"Number of queues of the server whose line's beginning is remembered.",
							"Queues beyond that work, but calls slow down while an old transaction keeps dead rows. 0 turns it off.",
							&queue_slots, 1024, 0, 1000000, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	if (queue_slots > 0)
		qms_memory_register(&part);
}

/* The next transaction, as a number that never wraps around. */
uint64
qms_slot_next_xid(void)
{
	return U64FromFullTransactionId(ReadNextFullTransactionId());
}

/* A new one; the caller has the lock of the table. */
static void
init_slot(QmsSlot *slot)
{
	int			i;

	SpinLockInit(&slot->mutex);
	slot->from = PG_INT64_MIN;
	slot->serial = 0;
	slot->purged = 0;
	slot->frozen_until = shared->first_xid;
	slot->nentries = 0;
	pg_atomic_init_u32(&slot->interest, 0);
	pg_atomic_init_u32(&slot->buckets.state, 0);
	pg_atomic_init_u32(&slot->buckets.moving, 0);
	pg_atomic_init_u32(&slot->buckets.moved, 0);
	pg_atomic_init_u32(&slot->buckets.doubts, 0);
	pg_atomic_init_u32(&slot->buckets.skips, 0);
	pg_atomic_init_u64(&slot->buckets.prepared_at, 0);
	pg_atomic_init_u64(&slot->buckets.looked_at, 0);
	for (i = 0; i < QMS_BUCKETS; i++)
		pg_atomic_init_u32(&slot->buckets.cells[i], 0);
	MemSet(&slot->room, 0, sizeof(QmsRoom));
	SpinLockInit(&slot->room.mutex);
	MemSet(&slot->log, 0, sizeof(QmsLog));
	SpinLockInit(&slot->log.mutex);
}

/*
 * The slot of a queue; NULL if there is no memory for it, and on a standby: it
 * does not hear who comes into a line.
 */
QmsSlot *
qms_slot(int64 queue_id)
{
	static HTAB *known = NULL;
	QmsSlotKey	key = {queue_id, MyDatabaseId, 0};
	QmsSlot  *slot;
	bool		found;
	struct
	{
		int64		queue_id;
		QmsSlot  *slot;
	}		   *local;

	if (slots == NULL || RecoveryInProgress())
		return NULL;
	if (known == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(int64);
		ctl.entrysize = sizeof(*local);
		known = hash_create("qms known bounds", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	local = hash_search(known, &queue_id, HASH_FIND, &found);
	if (found)
		return local->slot;
	LWLockAcquire(slots_lock, LW_EXCLUSIVE);
	if (shared->first_xid == 0)
		shared->first_xid = qms_slot_next_xid();
	slot = hash_search(slots, &key, HASH_ENTER_NULL, &found);
	if (slot != NULL && !found)
		init_slot(slot);
	LWLockRelease(slots_lock);
	if (slot != NULL)
	{
		local = hash_search(known, &queue_id, HASH_ENTER, &found);
		local->slot = slot;
	}
	return slot;
}

/*
 * Forget all queues of this database, when the extension is made: ids begin
 * anew.  Nobody can be using them, there are no tables yet.
 */
void
qms_slot_forget_database(void)
{
	HASH_SEQ_STATUS status;
	QmsSlot  *slot;
	uint64		next;

	if (slots == NULL)
		return;
	next = qms_slot_next_xid();
	LWLockAcquire(slots_lock, LW_EXCLUSIVE);
	hash_seq_init(&status, slots);
	while ((slot = hash_seq_search(&status)) != NULL)
	{
		if (slot->key.database != MyDatabaseId)
			continue;
		SpinLockAcquire(&slot->mutex);
		slot->from = PG_INT64_MIN;
		slot->purged = ++slot->serial;
		slot->frozen_until = next;	/* what is here now is back if we roll back */
		slot->nentries = 0;
		SpinLockRelease(&slot->mutex);
		pg_atomic_write_u32(&slot->interest, 0);
		pg_atomic_write_u32(&slot->buckets.state, 0);
		pg_atomic_write_u64(&slot->buckets.prepared_at, 0);
		SpinLockAcquire(&slot->room.mutex);
		slot->room.known = false;
		SpinLockRelease(&slot->room.mutex);
	}
	LWLockRelease(slots_lock);
}

QmsBuckets *
qms_slot_buckets(int64 queue_id)
{
	QmsSlot  *slot = qms_slot(queue_id);

	return slot ? &slot->buckets : NULL;
}

QmsRoom *
qms_slot_room(int64 queue_id)
{
	QmsSlot    *slot = qms_slot(queue_id);

	return slot ? &slot->room : NULL;
}

QmsLog *
qms_slot_log(int64 queue_id)
{
	QmsSlot  *slot = qms_slot(queue_id);

	return slot ? &slot->log : NULL;
}

/* A look at the buckets of each queue of this database. */
void
qms_slot_each_buckets(void (*function) (int64 queue_id, QmsBuckets *buckets, void *arg), void *arg)
{
	HASH_SEQ_STATUS status;
	QmsSlot    *slot;

	if (slots == NULL)
		return;
	LWLockAcquire(slots_lock, LW_SHARED);
	hash_seq_init(&status, slots);
	while ((slot = hash_seq_search(&status)) != NULL)
	{
		if (slot->key.database == MyDatabaseId)
			function(slot->key.queue_id, &slot->buckets, arg);
	}
	LWLockRelease(slots_lock);
}

/* Numbers that change when a queue has been counted for the first time, and when counts may be wrong. */
void
qms_slot_news(uint32 *counted, uint32 *doubts)
{
	*counted = shared ? pg_atomic_read_u32(&shared->counted) : 0;
	*doubts = shared ? pg_atomic_read_u32(&shared->doubts) : 0;
}

void
qms_slot_note_counted(void)
{
	pg_atomic_fetch_add_u32(&shared->counted, 1);
}

void
qms_slot_note_doubt(void)
{
	if (shared != NULL)
		pg_atomic_fetch_add_u32(&shared->doubts, 1);
}
