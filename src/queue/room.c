/*
 * room.c
 *		Never more people in a waiting room than max_waiting, and no waiting for
 *		one another: places are reserved in shared memory.
 *
 * Who waits or is on hold is in the room.  "taken" is never less than the number
 * of those in it, whatever transaction looks: whoever joins takes a place before
 * his row is written and gives it back if his transaction rolls back; whoever
 * leaves gives his back when his commit can be seen.  The row trigger notes all
 * other comings and goings, so taken is right whoever writes.
 *
 * It may be too high: after a transaction was prepared, of whose end nothing is
 * heard here.  Then ("doubt") whoever would be refused has the room counted first
 * (room_count.c).  After a server start nothing is known, and the first one
 * counts.  A count does not keep others out; what they do meanwhile is added.
 *
 * Locks: a spinlock per queue for a few numbers.  QMS_LOCK_ROOM while a room is
 * counted for the first time.  Without shared memory it is held to the end of
 * the transaction, and each join counts.
 */
#include "queue/queue.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/memutils.h"

#include <math.h>

/* At least so long between two counts of a room, and so many times as long as the last one took. */
#define COUNT_PAUSE		(100 * 1000)
#define COUNT_SHARE		20

/* What the running transaction does to a room. */
typedef struct RoomChange
{
	QmsRoom    *room;
	int			came;			/* places that it has taken */
	int			reserved;		/* of them, for rows that are not written yet */
	int			left;			/* places that it gives back if it commits */
	int			moving;			/* announced, see below */
	SubTransactionId subxact;
} RoomChange;

static List *changes = NIL;

/* Places that were taken in vain. */
static void
give_back(RoomChange *change, int n)
{
	SpinLockAcquire(&change->room->mutex);
	change->room->taken -= n;
	change->room->coming -= change->came;
	change->room->moved += change->came;
	SpinLockRelease(&change->room->mutex);
}

/*
 * The transaction is about to become visible, and its numbers follow some time
 * later: whoever counts meanwhile must know that the two may not agree.
 */
static void
announce(RoomChange *change)
{
	change->moving = change->came + change->left;
	SpinLockAcquire(&change->room->mutex);
	change->room->moving += change->moving;
	change->room->leaving += change->left;
	SpinLockRelease(&change->room->mutex);
}

static void
settle(RoomChange *change, XactEvent event)
{
	QmsRoom    *room = change->room;

	SpinLockAcquire(&room->mutex);
	room->coming -= change->came;
	room->moved += change->came + change->left;
	room->moving -= change->moving;
	if (change->moving > 0)
		room->leaving -= change->left;
	if (event == XACT_EVENT_COMMIT)
		room->taken -= change->left + change->reserved;
	else if (event == XACT_EVENT_ABORT)
		room->taken -= change->came;
	else
		room->doubt = true;		/* prepared: whoever came is there if it commits, whoever left is not */
	SpinLockRelease(&room->mutex);
}

static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	ListCell   *cell;

	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_COMMIT && event != XACT_EVENT_PREPARE &&
		event != XACT_EVENT_ABORT)
		return;
	foreach(cell, changes)
	{
		if (event == XACT_EVENT_PRE_COMMIT)
			announce(lfirst(cell));
		else
			settle(lfirst(cell), event);
	}
	if (event != XACT_EVENT_PRE_COMMIT)
		changes = NIL;			/* the list goes with its memory context */
}

/* A savepoint that is rolled back takes its changes with it. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
				   void *arg pg_attribute_unused())
{
	ListCell   *cell;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(cell, changes)
	{
		RoomChange *change = lfirst(cell);

		if (change->subxact != mine)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
		{
			change->subxact = parent;
			continue;
		}
		give_back(change, change->came);
		change->came = change->reserved = change->left = 0;
	}
}

/* What this (sub)transaction has done to a room so far. */
static RoomChange *
change_of(QmsRoom *room)
{
	static bool registered = false;
	RoomChange *change = changes != NIL ? llast(changes) : NULL;
	MemoryContext old;

	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		RegisterSubXactCallback(end_subtransaction, NULL);
		registered = true;
	}
	if (change != NULL && change->room == room && change->subxact == GetCurrentSubTransactionId())
		return change;
	old = MemoryContextSwitchTo(TopTransactionContext);
	change = palloc0(sizeof(RoomChange));
	change->room = room;
	change->subxact = GetCurrentSubTransactionId();
	changes = lappend(changes, change);
	MemoryContextSwitchTo(old);
	return change;
}

/* How many more the running transaction sees in a room than others would without it. */
int64
qms_room_mine(const QmsRoom *room)
{
	int64		more = 0;
	ListCell   *cell;

	foreach(cell, changes)
	{
		RoomChange *change = lfirst(cell);

		if (change->room == room)
			more += change->came - change->reserved - change->left;
	}
	return more;
}

/* Somebody comes into the room of a queue (+1) or leaves it (-1), if this transaction commits; by the row trigger. */
void
qms_room_note(int64 queue_id, int by)
{
	QmsRoom    *room = qms_slot_room(queue_id);
	RoomChange *change;

	if (room == NULL)
		return;
	change = change_of(room);
	if (by < 0)
		change->left++;
	else if (change->reserved > 0)
		change->reserved--;
	else
	{
		change->came++;
		SpinLockAcquire(&room->mutex);
		room->taken++;
		room->coming++;
		room->came++;
		SpinLockRelease(&room->mutex);
	}
}

typedef enum Answer
{
	TAKEN,
	FULL,
	UNKNOWN
} Answer;

/* Take a place, if there is one. */
static Answer
take_place(QmsRoom *room, int64 limit, RoomChange *change)
{
	Answer		answer;

	SpinLockAcquire(&room->mutex);
	answer = !room->known ? UNKNOWN : room->taken >= limit ? FULL : TAKEN;
	if (answer == TAKEN)
	{
		room->taken++;
		room->coming++;
		room->came++;
	}
	SpinLockRelease(&room->mutex);
	if (answer == TAKEN)
	{
		change->came++;
		change->reserved++;
	}
	return answer;
}

/* Nobody knows how many are there: one counts, the others wait for him. */
static void
count_first(int64 queue_id, QmsRoom *room)
{
	bool		known;

	qms_lock(QMS_LOCK_ROOM, queue_id, true);
	SpinLockAcquire(&room->mutex);
	known = room->known;
	SpinLockRelease(&room->mutex);
	if (!known)
		qms_room_count(queue_id, room);
	qms_unlock(QMS_LOCK_ROOM, queue_id, true);
}

/* It seems to be full.  If that is in doubt, have it counted, but not all the time; false if it was not. */
static bool
count_again(int64 queue_id, QmsRoom *room)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz done;
	bool		wanted;

	SpinLockAcquire(&room->mutex);
	wanted = room->doubt && (now >= room->count_after || now < room->counted_at);
	if (wanted)
	{
		room->counted_at = now;
		room->count_after = now + COUNT_PAUSE;
	}
	SpinLockRelease(&room->mutex);
	if (!wanted)
		return false;
	qms_room_count(queue_id, room);
	done = GetCurrentTimestamp();
	SpinLockAcquire(&room->mutex);
	room->count_after = Max(room->count_after, done + COUNT_SHARE * (done - now));
	SpinLockRelease(&room->mutex);
	return true;
}

/* Without shared memory: one after the other. */
static bool
take_alone(int64 queue_id, int64 limit)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.count(*) FROM qms.ticket WHERE queue_id = $1 AND state IN ('waiting', 'on_hold')",
								   INT8OID);
	QmsParams	params = {0};

	qms_lock(QMS_LOCK_ROOM, queue_id, true);
	qms_param_int64(&params, queue_id);
	qms_spi_look(&plan, &params);
	return qms_spi_int64(0, 0) < limit;
}

/* When to come back, as far as anybody can say. */
static const char *
hint_of(const QmsQueue *queue, TimestampTz now)
{
	QmsFlow		flow;
	bool		drawn;
	double		wait;

	if (queue->settings.overflow_hint != NULL)
		return queue->settings.overflow_hint;
	qms_flow_of(queue, queue->settings.max_waiting, now, &flow, &drawn);
	if (flow.opens_in > 0)
		return psprintf("The doors open in %.0f s; places become free from then on.", ceil(flow.opens_in));
	if (!(flow.rate > 0))
		return "Try again later.";
	/* Until a hundredth of the room has become free: nobody gains by asking all the time. */
	wait = ceil(Max(queue->settings.max_waiting / 100.0, 1.0) / flow.rate);
	return psprintf("About %.3g people a minute are let in; try again in %.0f s.", flow.rate * SECS_PER_MINUTE,
					Min(Max(wait, 1), SECS_PER_HOUR));
}

/*
 * A place in the room of a queue for somebody who is about to join; the limit
 * of counter queues is in join.c.
 */
void
qms_room_enter(const QmsQueue *queue, TimestampTz now)
{
	QmsRoom    *room = qms_slot_room(queue->queue_id);
	int64		limit = queue->settings.max_waiting;
	Answer		answer;

	if (limit == 0)
		return;
	if (room == NULL)
		answer = take_alone(queue->queue_id, limit) ? TAKEN : FULL;
	else
	{
		RoomChange *change = change_of(room);

		answer = take_place(room, limit, change);
		while (answer == UNKNOWN)
		{
			count_first(queue->queue_id, room);
			answer = take_place(room, limit, change);
		}
		if (answer == FULL && count_again(queue->queue_id, room))
			answer = take_place(room, limit, change);
	}
	if (answer != TAKEN)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_QUEUE_FULL),
				 errmsg("queue %lld is full", (long long) queue->queue_id),
				 errdetail("%d are waiting, as many as max_waiting allows.", queue->settings.max_waiting),
				 errhint("%s", hint_of(queue, now))));
}
