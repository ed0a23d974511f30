/*
 * roll.c
 *		Exactly who waits in a queue, remembered by a backend while they are few.
 *
 * A place up to 1,000 is told exactly, and counting the rows before it would
 * cost a join more than all that it writes.  So a backend that is asked again
 * and again keeps the keys of a line of up to MAX_PEOPLE, and follows a log in
 * shared memory of who came into the line and who left it.
 *
 * The log: whoever makes a ticket wait or stop waiting (the row trigger sees
 * every writer) adds an entry with his transaction before the row is written.
 * Nothing is done at commit or rollback.
 *
 * The reader takes a snapshot first and reads the log then: whoever is visible
 * in the snapshot had written his entries before.  An entry of a transaction
 * that the snapshot shows as ended is applied if it committed and forgotten if
 * it did not; the others stay pending and are looked at again next time.  So
 * the roll is what a scan with that snapshot would find: savepoints, rollbacks,
 * PREPARE and commits in any order included.  The running transaction's own
 * entries stay pending and are added to each answer.
 *
 * A roll begins with a scan.  The log is read before its snapshot is taken and
 * again afterwards.  Entries overwritten before the first look are of
 * transactions that the snapshot shows as ended, unless they were still running
 * when overwritten: "lost_until" tells, and then nobody begins a roll until all
 * of those have ended.  Whoever falls behind the log by more than its size
 * begins anew.
 *
 * Outside of this: writers that disable triggers, and INSERT ... ON CONFLICT
 * directly on qms.ticket (the trigger fires, no row is written).  A roll lives
 * for ROLL_LIFE at most, so even such a mistake does not.
 */
#include "queue/queue.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "storage/procarray.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MAX_PEOPLE	2048
#define MAX_PENDING 64
#define MAX_ROLLS	64
#define ROLL_LIFE	USECS_PER_MINUTE
#define RETRY_AFTER USECS_PER_SEC

typedef struct Person
{
	int64		sort_key;
	int64		ticket_id;
} Person;

typedef struct Roll
{
	int64		queue_id;
	bool		known;
	Oid			relid;			/* of qms.ticket when it was read */
	TimestampTz asked_at;
	TimestampTz tried_at;
	TimestampTz read_at;
	uint64		next;			/* entries of the log before it are dealt with, or pending */
	int			npeople;
	Person	   *people;			/* in the order of the line */
	int			npending;
	QmsLogEntry pending[MAX_PENDING];	/* in the order of the log */
} Roll;

static MemoryContext context = NULL;
static HTAB *rolls = NULL;

/*
 * Somebody begins (+1) or stops (-1) to wait; to be called before his row is
 * written.
 *
 * Lock: the log's spinlock, for a few stores.  Whether the entry that has to go
 * is of a running transaction must be found out without it, so the place may
 * be another one afterwards and is looked at again.
 */
void
qms_roll_note(int64 queue_id, int64 ticket_id, int64 sort_key, int change)
{
	QmsLog	   *log = qms_slot_log(queue_id);
	QmsLogEntry entry = {sort_key, ticket_id, InvalidTransactionId, change};
	bool		done = false;

	if (log == NULL)
		return;
	entry.xid = GetCurrentTransactionId();
	while (!done)
	{
		TransactionId xid;
		uint64		serial;
		bool		running;

		SpinLockAcquire(&log->mutex);
		serial = log->next;
		xid = log->entries[serial % QMS_LOG_SIZE].xid;
		SpinLockRelease(&log->mutex);
		running = TransactionIdIsValid(xid) && TransactionIdIsInProgress(xid);
		SpinLockAcquire(&log->mutex);
		if (log->next == serial)
		{
			if (running && (!TransactionIdIsValid(log->lost_until) ||
							TransactionIdFollows(xid, log->lost_until)))
				log->lost_until = xid;
			log->entries[serial % QMS_LOG_SIZE] = entry;
			log->next++;
			done = true;
		}
		SpinLockRelease(&log->mutex);
	}
}

static int
compare(const Person *person, int64 sort_key, int64 ticket_id)
{
	if (person->sort_key != sort_key)
		return person->sort_key < sort_key ? -1 : 1;
	return person->ticket_id < ticket_id ? -1 : person->ticket_id > ticket_id;
}

/* How many stand before a place. */
static int
rank_of(const Roll *roll, int64 sort_key, int64 ticket_id)
{
	int			low = 0;
	int			high = roll->npeople;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (compare(&roll->people[middle], sort_key, ticket_id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Apply an entry of a committed transaction; false if it does not fit. */
static bool
apply(Roll *roll, const QmsLogEntry *entry)
{
	int			at = rank_of(roll, entry->sort_key, entry->ticket_id);
	bool		there;

	there = at < roll->npeople && compare(&roll->people[at], entry->sort_key, entry->ticket_id) == 0;
	if (there != (entry->change < 0))
		return false;
	if (entry->change < 0)
	{
		roll->npeople--;
		memmove(&roll->people[at], &roll->people[at + 1], sizeof(Person) * (roll->npeople - at));
		return true;
	}
	if (roll->npeople == MAX_PEOPLE)
		return false;
	memmove(&roll->people[at + 1], &roll->people[at], sizeof(Person) * (roll->npeople - at));
	roll->people[at].sort_key = entry->sort_key;
	roll->people[at].ticket_id = entry->ticket_id;
	roll->npeople++;
	return true;
}

/* Deal with entries: apply, forget, or keep them pending.  False if the roll is of no use any more. */
static bool
settle(Roll *roll, const QmsLogEntry *entries, int n, Snapshot snapshot)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		TransactionId xid = entries[i].xid;

		if (TransactionIdIsCurrentTransactionId(xid) || XidInMVCCSnapshot(xid, snapshot))
		{
			if (roll->npending == MAX_PENDING)
				return false;
			roll->pending[roll->npending++] = entries[i];
		}
		else if (TransactionIdDidCommit(xid) && !apply(roll, &entries[i]))
			return false;
	}
	return true;
}

/* The entries from a serial on; -1 if some of them are gone.  Serial becomes the next one. */
static int
read_log(QmsLog *log, uint64 *serial, QmsLogEntry *entries)
{
	int			n = 0;

	SpinLockAcquire(&log->mutex);
	if (log->next - *serial > QMS_LOG_SIZE)
		n = -1;
	else
	{
		while (*serial < log->next)
			entries[n++] = log->entries[(*serial)++ % QMS_LOG_SIZE];
	}
	SpinLockRelease(&log->mutex);
	return n;
}

static bool
catch_up(Roll *roll, QmsLog *log)
{
	Snapshot	snapshot = GetLatestSnapshot();
	QmsLogEntry entries[QMS_LOG_SIZE];
	QmsLogEntry pending[MAX_PENDING];
	int			npending = roll->npending;
	int			n = read_log(log, &roll->next, entries);

	memcpy(pending, roll->pending, sizeof(QmsLogEntry) * npending);
	roll->npending = 0;
	return n >= 0 && settle(roll, pending, npending, snapshot) && settle(roll, entries, n, snapshot);
}

/* May a transaction whose entries are lost still be running? */
static bool
has_lost_entries(QmsLog *log)
{
	TransactionId oldest = GetOldestActiveTransactionId();
	bool		lost;

	SpinLockAcquire(&log->mutex);
	if (TransactionIdIsValid(log->lost_until) && TransactionIdPrecedes(log->lost_until, oldest))
		log->lost_until = InvalidTransactionId;
	lost = TransactionIdIsValid(log->lost_until);
	SpinLockRelease(&log->mutex);
	return lost;
}

/*
 * Of the log when a roll begins, keep what the scan cannot see.  False if
 * something of our own is there: the scan would show it, but it may still be
 * rolled back.
 */
static bool
keep_running(Roll *roll, const QmsLogEntry *entries, int n, Snapshot snapshot)
{
	int			i;

	roll->npending = 0;
	for (i = 0; i < n; i++)
	{
		if (TransactionIdIsCurrentTransactionId(entries[i].xid))
			return false;
		if (!XidInMVCCSnapshot(entries[i].xid, snapshot))
			continue;
		if (roll->npending == MAX_PENDING)
			return false;
		roll->pending[roll->npending++] = entries[i];
	}
	return true;
}

/* Read the whole line; false if it is too long. */
static bool
read_line(Roll *roll, int64 from, Snapshot snapshot)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT sort_key, ticket_id FROM qms.ticket WHERE queue_id = $1 AND state = 'waiting' "
								   "AND sort_key >= $2 ORDER BY sort_key, ticket_id LIMIT $3", INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, roll->queue_id);
	qms_param_int64(&params, from);
	qms_param_int64(&params, MAX_PEOPLE + 1);
	n = qms_spi_look_at(&plan, &params, snapshot);
	if (n > MAX_PEOPLE)
		return false;
	if (roll->people == NULL)
		roll->people = MemoryContextAlloc(context, sizeof(Person) * MAX_PEOPLE);
	for (i = 0; i < n; i++)
	{
		roll->people[i].sort_key = qms_spi_int64(i, 0);
		roll->people[i].ticket_id = qms_spi_int64(i, 1);
	}
	roll->npeople = (int) n;
	return true;
}

/* Begin the roll.  The order of the steps is what makes it exact. */
static bool
begin_roll(Roll *roll, QmsLog *log, TimestampTz now)
{
	QmsLogEntry entries[2 * QMS_LOG_SIZE];
	Snapshot	snapshot;
	int64		from = qms_bound_lowest(roll->queue_id);
	int			before;
	int			after;

	roll->tried_at = roll->read_at = now;
	roll->relid = qms_ticket_table.relid;
	SpinLockAcquire(&log->mutex);
	roll->next = log->next > QMS_LOG_SIZE ? log->next - QMS_LOG_SIZE : 0;
	SpinLockRelease(&log->mutex);
	before = read_log(log, &roll->next, entries);
	if (before < 0 || has_lost_entries(log))
		return false;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	after = read_log(log, &roll->next, entries + before);
	roll->known = after >= 0 && keep_running(roll, entries, before + after, snapshot) &&
		read_line(roll, from, snapshot);
	UnregisterSnapshot(snapshot);
	return roll->known;
}

static Roll *
find_roll(int64 queue_id)
{
	HASHCTL		ctl = {0};
	Roll	   *roll;
	bool		found;

	if (rolls != NULL && hash_get_num_entries(rolls) >= MAX_ROLLS &&
		hash_search(rolls, &queue_id, HASH_FIND, NULL) == NULL)
	{
		/* So many queues in turn: remembering does not pay for a while. */
		MemoryContextReset(context);
		rolls = NULL;
	}
	if (rolls == NULL)
	{
		if (context == NULL)
			context = AllocSetContextCreate(TopMemoryContext, "qms rolls", ALLOCSET_DEFAULT_SIZES);
		ctl.keysize = sizeof(int64);
		ctl.entrysize = sizeof(Roll);
		ctl.hcxt = context;
		rolls = hash_create("qms rolls", MAX_ROLLS, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	roll = hash_search(rolls, &queue_id, HASH_ENTER, &found);
	if (!found)
	{
		memset(roll, 0, sizeof(Roll));
		roll->queue_id = queue_id;
		roll->asked_at = roll->tried_at = roll->read_at = QMS_NO_TIME;
	}
	return roll;
}

static bool
lies_within(TimestampTz at, TimestampTz now, int64 usec)
{
	return at != QMS_NO_TIME && at <= now && now - at < usec;
}

/*
 * How many wait before a place, exactly; false if that is not known here.  The
 * first question is never answered: for a single one counting is cheaper.
 */
bool
qms_roll_ahead(int64 queue_id, int64 sort_key, int64 ticket_id, TimestampTz now, int64 *ahead)
{
	QmsLog	   *log = qms_slot_log(queue_id);
	Roll	   *roll;
	bool		again;
	int			i;

	/* One snapshot for the whole transaction: what others did since is not for us. */
	if (log == NULL || IsolationUsesXactSnapshot() || RecoveryInProgress())
		return false;
	roll = find_roll(queue_id);
	again = lies_within(roll->asked_at, now, ROLL_LIFE);
	roll->asked_at = now;
	roll->known = roll->known && roll->relid == qms_ticket_table.relid &&
		lies_within(roll->read_at, now, ROLL_LIFE) && catch_up(roll, log);
	if (!roll->known &&
		(!again || lies_within(roll->tried_at, now, RETRY_AFTER) || !begin_roll(roll, log, now)))
		return false;
	*ahead = rank_of(roll, sort_key, ticket_id);
	for (i = 0; i < roll->npending; i++)
	{
		Person		person = {roll->pending[i].sort_key, roll->pending[i].ticket_id};

		if (TransactionIdIsCurrentTransactionId(roll->pending[i].xid) &&
			compare(&person, sort_key, ticket_id) < 0)
			*ahead += roll->pending[i].change;
	}
	return true;
}
