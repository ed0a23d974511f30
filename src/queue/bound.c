/*
 * bound.c
 *		Where the line of each queue begins: a hint in shared memory.
 *
 * The pick takes the first row of an index in which every ticket ever called
 * leaves a dead entry until VACUUM, and VACUUM can remove none that an old
 * snapshot might see.  So we remember a key below which nobody waits, and the
 * pick starts there.  It is a hint and never the truth; what must hold is
 *
 *	  every ticket that waits, or may wait once an open transaction commits,
 *	  has a key >= from, or its key is in the list of entries.
 *
 * Entering: whoever makes a ticket wait (the row trigger sees every writer:
 * joins, resumes, transfers, undo, direct SQL) registers key and top
 * transaction here before the row is written.  An entry below "from" is an
 * exception that picks probe by itself: a VIP costs one probe and does not
 * send the next pick over all the dead entries again.
 *
 * Raising: a picker first reads the entries and which of their transactions
 * are running, then takes its snapshot, then scans.  The first key that
 * waits in that snapshot becomes the new "from", but never above the key of an
 * entry that was running when he read or came afterwards.  A transaction that
 * had ended when he read is in his snapshot, so its entry has done its duty.
 * Nobody needs to hear of commits, rollbacks or PREPARE: a prepared transaction
 * counts as running, a called ticket whose call rolls back was waiting in every
 * snapshot that others took meanwhile.  It was not in those of its own
 * transaction, which therefore does not raise any more (qms_bound_left).
 *
 * Transactions that were prepared before the server started, or before a standby
 * was promoted, have registered nothing: no line is raised until they are done.
 *
 * Locks: a spinlock per queue for a few loads and stores.  Without
 * shared_preload_libraries there is no shared memory and no hint.
 */
#include "queue/queue.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/spin.h"

/* The last transaction of this backend that took somebody out of a line. */
static LocalTransactionId left_in = InvalidLocalTransactionId;

/* Is every transaction before this one done? */
static bool
all_done_before(uint64 xid)
{
	TransactionId oldest = GetOldestActiveTransactionId();
	uint64		next = qms_slot_next_xid();

	return next - (uint32) ((uint32) next - oldest) >= xid;
}

/*
 * Take the entry at i out; the caller has the spinlock.  A picker who looked
 * before it came does not see it any more, and perhaps not its ticket in his
 * snapshot: "purged" tells him that he must not raise.
 */
static void
drop_entry(QmsSlot *slot, int i)
{
	slot->purged = Max(slot->purged, slot->entries[i].serial);
	slot->entries[i] = slot->entries[--slot->nentries];
}

/*
 * Make room: entries at or above "from" whose transaction has ended are found
 * by every scan, so they may go.
 */
static void
purge(QmsSlot *slot)
{
	QmsBoundEntry	copy[QMS_MAX_EXCEPTIONS];
	bool		ended[QMS_MAX_EXCEPTIONS];
	int			n;
	int			i;
	int			j;

	SpinLockAcquire(&slot->mutex);
	n = slot->nentries;
	memcpy(copy, slot->entries, sizeof(QmsBoundEntry) * n);
	SpinLockRelease(&slot->mutex);
	for (i = 0; i < n; i++)
		ended[i] = !TransactionIdIsInProgress(copy[i].xid);
	SpinLockAcquire(&slot->mutex);
	for (i = 0; i < n; i++)
	{
		for (j = 0; ended[i] && j < slot->nentries; j++)
		{
			if (slot->entries[j].serial != copy[i].serial || copy[i].sort_key < slot->from)
				continue;
			drop_entry(slot, j);
			break;
		}
	}
	SpinLockRelease(&slot->mutex);
}

/* No room even so: fall back to scanning from the lowest key, until all of them are done. */
static void
give_up(QmsSlot *slot, int64 sort_key, uint64 next)
{
	int			i;

	slot->from = Min(slot->from, sort_key);
	slot->frozen_until = next;
	for (i = 0; i < slot->nentries; i++)
	{
		/* Perhaps one that began after "next" was read. */
		int32		newer = (int32) (slot->entries[i].xid - (uint32) next);

		slot->from = Min(slot->from, slot->entries[i].sort_key);
		if (newer >= 0)
			slot->frozen_until = Max(slot->frozen_until, next + newer + 1);
	}
	slot->nentries = 0;
	slot->purged = slot->serial;
}

/* A ticket is about to wait at sort_key; to be called before its row is written. */
void
qms_bound_register(int64 queue_id, int64 sort_key)
{
	QmsSlot  *slot = qms_slot(queue_id);
	TransactionId xid;
	uint64		next = 0;
	bool		full;
	int			round;

	if (slot == NULL)
		return;
	xid = GetTopTransactionId();
	for (round = 0; round < 2; round++)
	{
		SpinLockAcquire(&slot->mutex);
		slot->serial++;
		full = slot->nentries == QMS_MAX_EXCEPTIONS;
		if (!full)
		{
			QmsBoundEntry *entry = &slot->entries[slot->nentries++];

			entry->sort_key = sort_key;
			entry->xid = xid;
			entry->serial = slot->serial;
		}
		else if (round == 1)
			give_up(slot, sort_key, next);
		SpinLockRelease(&slot->mutex);
		if (!full)
			return;
		if (round == 0)
		{
			purge(slot);
			next = qms_slot_next_xid();
		}
	}
}

/*
 * The running transaction takes somebody out of a line.  If it rolls back, or
 * to a savepoint, he waits again, but its own snapshots do not show him: from
 * now on it must not raise.
 */
void
qms_bound_left(void)
{
	left_in = MyProc->lxid;
}

static bool
has_key(const int64 *keys, int n, int64 key)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (keys[i] == key)
			return true;
	}
	return false;
}

/*
 * What is known of the queue.  To be called before the snapshot of the scan is
 * taken; so it is of no use where one snapshot serves the whole transaction.
 */
void
qms_bound_read(int64 queue_id, QmsBound *bound)
{
	QmsSlot  *slot = qms_slot(queue_id);
	QmsBoundEntry	copy[QMS_MAX_EXCEPTIONS];
	uint64		frozen_until;
	int			n;
	int			i;

	bound->known = slot != NULL && !IsolationUsesXactSnapshot();
	bound->from = PG_INT64_MIN;
	bound->nexceptions = 0;
	if (!bound->known)
		return;
	SpinLockAcquire(&slot->mutex);
	bound->from = slot->from;
	bound->serial = slot->serial;
	frozen_until = slot->frozen_until;
	n = slot->nentries;
	memcpy(copy, slot->entries, sizeof(QmsBoundEntry) * n);
	SpinLockRelease(&slot->mutex);

	bound->may_raise = frozen_until == 0 || all_done_before(frozen_until);
	bound->limit = PG_INT64_MAX;
	for (i = 0; i < n; i++)
	{
		bool		running = TransactionIdIsInProgress(copy[i].xid);

		if (copy[i].sort_key < bound->from)
		{
			if (!has_key(bound->exceptions, bound->nexceptions, copy[i].sort_key))
				bound->exceptions[bound->nexceptions++] = copy[i].sort_key;
		}
		else if (running)
			bound->limit = Min(bound->limit, copy[i].sort_key);
		bound->running[i] = running;
		bound->serials[i] = copy[i].serial;
	}
	bound->nentries = n;
}

/*
 * Somebody waits before the beginning and is no exception: no trigger saw him
 * come (session_replication_role = replica).  Going back is always right.
 */
void
qms_bound_lower(int64 queue_id, const QmsBound *seen, int64 key)
{
	QmsSlot  *slot = seen->known && key < seen->from &&
		!has_key(seen->exceptions, seen->nexceptions, key) ? qms_slot(queue_id) : NULL;

	if (slot == NULL)
		return;
	SpinLockAcquire(&slot->mutex);
	slot->from = Min(slot->from, key);
	SpinLockRelease(&slot->mutex);
}

/* The lowest key that may be waiting; counts for snapshots taken afterwards. */
int64
qms_bound_lowest(int64 queue_id)
{
	QmsBound	bound;
	int64		from;
	int			i;

	qms_bound_read(queue_id, &bound);
	from = bound.from;
	for (i = 0; i < bound.nexceptions; i++)
		from = Min(from, bound.exceptions[i]);
	return from;
}

/* Had this entry's transaction ended when "seen" was read? */
static bool
had_ended(const QmsBound *seen, uint64 serial)
{
	int			i;

	for (i = 0; i < seen->nentries; i++)
	{
		if (seen->serials[i] == serial)
			return !seen->running[i];
	}
	return false;
}

/*
 * A scan with a snapshot taken after "seen" was read found first_waiting as the
 * lowest key from seen->from on (PG_INT64_MAX: nobody; seen->from: it did not
 * look), and of the exceptions those in still_waiting.
 */
void
qms_bound_raise(int64 queue_id, const QmsBound *seen, int64 first_waiting,
				const int64 *still_waiting, int nstill)
{
	QmsSlot  *slot = seen->known && seen->may_raise ? qms_slot(queue_id) : NULL;
	int64		to = Min(first_waiting, seen->limit);
	int			i;

	if (slot == NULL || left_in == MyProc->lxid || (to <= seen->from && seen->nentries == 0))
		return;
	SpinLockAcquire(&slot->mutex);
	if (slot->from == seen->from && slot->purged <= seen->serial)
	{
		slot->frozen_until = 0;
		for (i = slot->nentries - 1; i >= 0; i--)
		{
			QmsBoundEntry *entry = &slot->entries[i];

			if (!had_ended(seen, entry->serial))
			{
				if (entry->sort_key >= slot->from)
					to = Min(to, entry->sort_key);
			}
			else if (entry->sort_key >= slot->from || !has_key(still_waiting, nstill, entry->sort_key))
				drop_entry(slot, i);
		}
		if (to != PG_INT64_MAX && to > slot->from)
			slot->from = to;
	}
	SpinLockRelease(&slot->mutex);
}
