/*
 * published.c
 *		How far the publisher of a database has come, for those who wait for more
 *		in their sessions: the gateway's reader.
 *
 * The doorbell of NOTIFY is for everybody, and comes last of all: the listening
 * session is woken, tells its client, which asks, which wakes the session again.
 * Whoever waits here is woken by the commit that published, and answers with the
 * events at once.
 *
 * Nobody is promised anything: who waits looks for himself after a while.
 */
#include "events/events.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"

/* Of libpq/libpq.h, which asks for Kerberos' headers: nothing of them is needed here. */
extern PGDLLIMPORT WaitEventSet *FeBeWaitSet;

#define FeBeWaitSetSocketPos 0
#define FeBeWaitSetNEvents 3

typedef struct Published
{
	pg_atomic_uint32 database;	/* whose figures these are */
	pg_atomic_uint64 position;	/* the last one that is committed */
	pg_atomic_uint64 epoch;		/* a hash of its text */
	ConditionVariable more;
} Published;

static Published *shared = NULL;

/* What the running transaction publishes. */
static bool tells = false;
static int64 last_position;
static uint64 last_epoch;

static Size
memory_size(void)
{
	return sizeof(Published) * QMS_MAX_DATABASES;
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks pg_attribute_unused())
{
	int			i;

	shared = memory;
	for (i = 0; i < QMS_MAX_DATABASES && !found; i++)
	{
		pg_atomic_init_u32(&shared[i].database, InvalidOid);
		pg_atomic_init_u64(&shared[i].position, 0);
		pg_atomic_init_u64(&shared[i].epoch, 0);
		ConditionVariableInit(&shared[i].more);
	}
}

void
qms_published_init(void)
{
	static const QmsMemory part = {"qms published", memory_size, NULL, 0, start_memory};

	qms_memory_register(&part);
}

/* The place of this database: that of its doorbell. */
static Published *
mine(void)
{
	int			place = qms_doorbell_place();

	return shared == NULL || place < 0 ? NULL : &shared[place];
}

static uint64
hash_of(const char *epoch)
{
	return hash_bytes_extended((const unsigned char *) epoch, strlen(epoch), 0);
}

/* Visible now: whoever waits may read it, while the rest of our commit goes on. */
static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	Published  *published;

	if (!tells || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	tells = false;
	published = mine();
	if (event != XACT_EVENT_COMMIT || published == NULL)
		return;
	pg_atomic_write_u64(&published->position, (uint64) last_position);
	pg_atomic_write_u64(&published->epoch, last_epoch);
	pg_atomic_write_u32(&published->database, MyDatabaseId);
	pg_memory_barrier();
	ConditionVariableBroadcast(&published->more);
}

/* The publisher has come so far, or an epoch begins there, if the transaction commits. */
void
qms_published_note(const char *epoch, int64 position)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(end_transaction, NULL);
	registered = true;
	tells = true;
	last_position = position;
	last_epoch = hash_of(epoch);
}

/* Is there anything after a position; and is the epoch the same? */
static bool
is_news(Published *published, uint64 epoch, int64 after, bool *same_epoch)
{
	if (published == NULL || pg_atomic_read_u32(&published->database) != MyDatabaseId)
		return false;
	*same_epoch = pg_atomic_read_u64(&published->epoch) == epoch;
	return !*same_epoch || (int64) pg_atomic_read_u64(&published->position) > after;
}

/* Until the latch is set or a moment has come; false if the client has gone. */
static bool
sleep_until(TimestampTz end)
{
	long		ms = Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end), 1);
	bool		there = true;
	WaitEvent	events[FeBeWaitSetNEvents];
	int			n;
	int			i;

	/* Nobody is at the other end of a background worker. */
	if (FeBeWaitSet == NULL)
	{
		if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION) & WL_LATCH_SET)
			ResetLatch(MyLatch);
		return true;
	}
	/* Whoever reads or writes next says what he waits for again. */
	ModifyWaitEvent(FeBeWaitSet, FeBeWaitSetSocketPos, WaitEventSetCanReportClosed() ? WL_SOCKET_CLOSED : 0, NULL);
	n = WaitEventSetWait(FeBeWaitSet, ms, events, lengthof(events), PG_WAIT_EXTENSION);
	for (i = 0; i < n; i++)
	{
		if (events[i].events & WL_POSTMASTER_DEATH)
			proc_exit(1);
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		if (events[i].events & WL_SOCKET_CLOSED)
			there = false;
	}
	return there;
}

/*
 * Wait until something may have been published after a position of an epoch, or
 * that is not the epoch any more; for so many milliseconds at most, and no longer
 * than the client is there.  Real time: somebody sits at the other end.  Called
 * before anything is read: no lock is held, and whoever looks afterwards must
 * take a new snapshot.  True if the publisher has come further in that epoch.
 */
bool
qms_published_wait(const char *epoch, int64 after, int milliseconds)
{
	Published  *published = mine();
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
	uint64		hash = hash_of(epoch);
	bool		there = true;
	bool		news = false;
	bool		same_epoch = false;

	while (!news && there && GetCurrentTimestamp() < end)
	{
		if (published != NULL)
			ConditionVariablePrepareToSleep(&published->more);
		news = is_news(published, hash, after, &same_epoch);
		if (!news)
			there = sleep_until(end);
		ConditionVariableCancelSleep();
		CHECK_FOR_INTERRUPTS();
	}
	return news && same_epoch;
}
