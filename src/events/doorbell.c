/*
 * doorbell.c
 *		Tells the publisher of a database that events have been committed.
 *
 * One SetLatch per transaction that wrote events, at its commit, through shared
 * memory: no lock is taken and nothing is flushed.  COMMIT PREPARED rings from
 * hooks.c, because the events were written by another session.
 */
#include "events/events.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"

typedef struct Doorbell
{
	pg_atomic_uint32 database;	/* InvalidOid: free */
	pg_atomic_uint32 procno;	/* of the publisher, plus 1; 0: nobody at home */
	pg_atomic_uint64 rung_at;	/* when it was rung first and has not been heard; 0: it is quiet */
	pg_atomic_uint32 scheduler; /* its procno plus 1, while it wants to hear of every commit */
	pg_atomic_uint32 beats;		/* heartbeats have been noted that it has not seen yet */
} Doorbell;

typedef struct DoorbellShared
{
	slock_t		claiming;
	Doorbell	bells[QMS_MAX_DATABASES];
} DoorbellShared;

static DoorbellShared *shared = NULL;
static Doorbell *doorbells = NULL;
static bool wrote_events = false;

Size
qms_doorbell_size(void)
{
	return sizeof(DoorbellShared);
}

void
qms_doorbell_start(void)
{
	bool		found;
	int			i;

	shared = ShmemInitStruct("qms doorbells", qms_doorbell_size(), &found);
	doorbells = shared->bells;
	if (!found)
		SpinLockInit(&shared->claiming);
	for (i = 0; !found && i < QMS_MAX_DATABASES; i++)
	{
		pg_atomic_init_u32(&doorbells[i].database, InvalidOid);
		pg_atomic_init_u32(&doorbells[i].procno, 0);
		pg_atomic_init_u64(&doorbells[i].rung_at, 0);
		pg_atomic_init_u32(&doorbells[i].scheduler, 0);
		pg_atomic_init_u32(&doorbells[i].beats, 0);
	}
}

static Doorbell *
find_doorbell(Oid database)
{
	int			i;

	for (i = 0; doorbells != NULL && i < QMS_MAX_DATABASES; i++)
	{
		if (pg_atomic_read_u32(&doorbells[i].database) == database)
			return &doorbells[i];
	}
	return NULL;
}

/*
 * The doorbell of this database, taken if it has none: publisher and scheduler
 * may come in any order, and one may go and come again while the other stays.
 * So leaving only takes the name off, and a doorbell without names is free.
 */
static Doorbell *
claim_doorbell(void)
{
	Doorbell   *bell;
	int			i;

	if (doorbells == NULL)
		return NULL;
	SpinLockAcquire(&shared->claiming);
	bell = find_doorbell(MyDatabaseId);
	for (i = 0; bell == NULL && i < QMS_MAX_DATABASES; i++)
	{
		Doorbell   *candidate = &doorbells[i];

		if (pg_atomic_read_u32(&candidate->procno) != 0 || pg_atomic_read_u32(&candidate->scheduler) != 0)
			continue;
		bell = candidate;
		pg_atomic_write_u64(&bell->rung_at, 0);
		pg_atomic_write_u32(&bell->beats, 0);
		pg_atomic_write_u32(&bell->database, MyDatabaseId);
	}
	SpinLockRelease(&shared->claiming);
	return bell;
}

/* The publisher of this database is at home; false if there is no place left. */
bool
qms_doorbell_attach(void)
{
	Doorbell   *bell = claim_doorbell();

	if (bell == NULL)
		return false;
	pg_atomic_write_u32(&bell->procno, MyProc->pgprocno + 1);
	return true;
}

void
qms_doorbell_detach(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	if (bell != NULL)
		pg_atomic_write_u32(&bell->procno, 0);
}

/* Ring it, if it is quiet: false if it has been rung already and not been heard. */
static bool
set_rung(Doorbell *bell)
{
	uint64		quiet = 0;

	return pg_atomic_compare_exchange_u64(&bell->rung_at, &quiet, (uint64) GetCurrentTimestamp());
}

/*
 * When was it rung first since the last look?  0: not at all.  Asked by the
 * publisher, before its snapshot.
 */
TimestampTz
qms_doorbell_answer(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	return bell != NULL ? (TimestampTz) pg_atomic_exchange_u64(&bell->rung_at, 0) : 0;
}

/* For the status: since when has the publisher of a database not answered?  0: it has. */
TimestampTz
qms_doorbell_rung_at(Oid database)
{
	Doorbell   *bell = find_doorbell(database);

	return bell != NULL ? (TimestampTz) pg_atomic_read_u64(&bell->rung_at) : 0;
}

/*
 * The publisher has failed and will look again by itself: until then the bell
 * counts as rung, so nobody wakes it.
 */
void
qms_doorbell_put_off(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	if (bell != NULL)
		(void) set_rung(bell);
}

/*
 * Ring.  The transaction is visible already when its callbacks run, so the
 * publisher's next snapshot sees it.  A latch of a process that has gone is
 * somebody else's now, which wakes him for nothing.
 */
void
qms_doorbell_ring(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);
	uint32		procno;

	if (bell == NULL)
		return;
	/* Somebody rang before and has not been heard yet: he will find ours too. */
	if (!set_rung(bell))
		return;
	procno = pg_atomic_read_u32(&bell->procno);
	if (procno != 0)
		SetLatch(&ProcGlobal->allProcs[procno - 1].procLatch);
}

/*
 * The scheduler sleeps until its next due moment.  Commits that bring an earlier
 * one, or somebody for a counter that calls by itself, must wake it.
 */
bool
qms_doorbell_listen(void)
{
	Doorbell   *bell = claim_doorbell();

	if (bell != NULL)
		pg_atomic_write_u32(&bell->scheduler, MyProc->pgprocno + 1);
	return bell != NULL;
}

void
qms_doorbell_stop_listening(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	if (bell != NULL)
		pg_atomic_write_u32(&bell->scheduler, 0);
}

static void
wake_scheduler(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);
	uint32		procno = bell ? pg_atomic_read_u32(&bell->scheduler) : 0;

	if (procno != 0)
		SetLatch(&ProcGlobal->allProcs[procno - 1].procLatch);
}

/* Is there a scheduler that works in this database, not only one that is dormant or gone? */
bool
qms_doorbell_scheduler_is_home(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	return bell != NULL && pg_atomic_read_u32(&bell->scheduler) != 0;
}

/* A heartbeat has been noted: the first one wakes the scheduler, which waits for others then. */
void
qms_doorbell_beat(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	if (bell != NULL && pg_atomic_exchange_u32(&bell->beats, 1) == 0)
		wake_scheduler();
}

bool
qms_doorbell_has_beats(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	return bell != NULL && pg_atomic_read_u32(&bell->beats) != 0;
}

/* The scheduler is about to look at what has been noted. */
void
qms_doorbell_answer_beats(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	if (bell != NULL)
		pg_atomic_exchange_u32(&bell->beats, 0);
}

static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_COMMIT && wrote_events)
	{
		qms_doorbell_ring();
		wake_scheduler();
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		wrote_events = false;
}

/*
 * This transaction writes events.  If a savepoint takes them back the bell rings
 * for nothing.
 */
void
qms_doorbell_note(void)
{
	static bool registered = false;

	if (doorbells == NULL)
		return;
	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		registered = true;
	}
	wrote_events = true;
}
