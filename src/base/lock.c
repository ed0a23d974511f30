/*
 * lock.c
 *		Heavyweight locks of our own, held to the end of the transaction.
 *
 * They live in the advisory lock space under class numbers that SQL's
 * pg_advisory_lock family cannot reach (it uses 1 and 2), so users cannot
 * collide with them.
 *
 * Order, to be kept by everyone: partition, request, setup, queue, subject, room,
 * visit, ticket; then row locks: ticket row, other tickets of the visit,
 * staff_session row, queue_number row.
 */
#include "base/base.h"

#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/inval.h"

static LOCKTAG
make_tag(QmsLockClass class, int64 id)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (id >> 32), (uint32) id, class);
	return tag;
}

/*
 * Take a lock; catalog and configuration caches are then as new as the lock,
 * because whoever had it sent his invalidations before he let go.
 */
void
qms_lock(QmsLockClass class, int64 id, bool exclusive)
{
	LOCKTAG		tag = make_tag(class, id);

	(void) LockAcquire(&tag, exclusive ? ExclusiveLock : ShareLock, false, false);
	AcceptInvalidationMessages();
}

/* Let go of it before the end of the transaction. */
void
qms_unlock(QmsLockClass class, int64 id, bool exclusive)
{
	LOCKTAG		tag = make_tag(class, id);

	(void) LockRelease(&tag, exclusive ? ExclusiveLock : ShareLock, false);
}

bool
qms_lock_if_free(QmsLockClass class, int64 id, bool exclusive)
{
	LOCKTAG		tag = make_tag(class, id);

	return LockAcquire(&tag, exclusive ? ExclusiveLock : ShareLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* Is somebody else at work under this lock?  Nothing is held afterwards. */
bool
qms_lock_is_held_by_other(QmsLockClass class, int64 id)
{
	LOCKTAG		tag = make_tag(class, id);

	if (LockAcquire(&tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, false);
	return false;
}
