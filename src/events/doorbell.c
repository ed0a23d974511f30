/*
 * doorbell.c
 *		Tells the publisher of a database that events have been committed, and
 *		its scheduler that something is due earlier than it knows.
 *
 * At most one SetLatch for each of the two per transaction, at its commit,
 * through shared memory: no lock is taken and nothing is flushed.  Nobody wakes a
 * publisher that has been rung already or looks by itself in a moment, nor a
 * scheduler that wakes up early enough.  COMMIT PREPARED rings from hooks.c,
 * because the events were written by another session.
 */
#include "events/events.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

typedef struct Doorbell
{
	pg_atomic_uint32 database;	/* InvalidOid: free */
	pg_atomic_uint32 procno;	/* of the publisher, plus 1; 0: nobody at home */
	pg_atomic_uint64 rung;		/* when it was rung first and has not been heard, or one of those below */
	pg_atomic_uint32 scheduler; /* its procno plus 1; 0: nobody at home */
	pg_atomic_uint32 wanted;	/* QMS_WAKE_ bits since the scheduler's last look */
	pg_atomic_uint32 beats;		/* heartbeats have been noted that it has not written yet */
	pg_atomic_uint64 due;		/* a TimestampTz: timers before it must wake the scheduler */
} Doorbell;

/* Values of "rung" that are no moments. */
#define QUIET	UINT64CONST(0)
#define PAUSING UINT64CONST(1)	/* the publisher looks again in a moment: no need to wake it */

typedef struct DoorbellShared
{
	slock_t		claiming;
	Doorbell	bells[QMS_MAX_DATABASES];
} DoorbellShared;

static DoorbellShared *shared = NULL;
static Doorbell *doorbells = NULL;
static bool wrote_events = false;
static uint32 wanted = 0;		/* by this transaction */
static TimestampTz earliest = DT_NOEND; /* timer that it brings */
static bool committed = false;	/* and what is wanted has yet to be told */

/* Bells of queues that this transaction may have to ring: who hears is seen when it has committed. */
typedef struct QueueBell
{
	pg_atomic_uint32 *bell;
	uint32		bits;
} QueueBell;

static QueueBell *queue_bells = NULL;
static int	nqueue_bells = 0;
static int	max_queue_bells = 0;

static Size
memory_size(void)
{
	return sizeof(DoorbellShared);
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks pg_attribute_unused())
{
	int			i;

	shared = memory;
	doorbells = shared->bells;
	if (found)
		return;
	SpinLockInit(&shared->claiming);
	for (i = 0; i < QMS_MAX_DATABASES; i++)
	{
		pg_atomic_init_u32(&doorbells[i].database, InvalidOid);
		pg_atomic_init_u32(&doorbells[i].procno, 0);
		pg_atomic_init_u64(&doorbells[i].rung, QUIET);
		pg_atomic_init_u32(&doorbells[i].scheduler, 0);
		pg_atomic_init_u32(&doorbells[i].wanted, 0);
		pg_atomic_init_u32(&doorbells[i].beats, 0);
		pg_atomic_init_u64(&doorbells[i].due, 0);
	}
}

void
qms_doorbell_init(void)
{
	static const QmsMemory part = {"qms doorbells", memory_size, NULL, 0, start_memory};

	qms_memory_register(&part);
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

/* Which of the doorbells is this database's; negative: it has none. */
int
qms_doorbell_place(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	return bell == NULL ? -1 : (int) (bell - doorbells);
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
		pg_atomic_write_u64(&bell->rung, QUIET);
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

/*
 * The publisher looks now: whoever commits from here on rings.  Answers when it
 * was rung first since the last look; 0: not at all.
 */
TimestampTz
qms_doorbell_heard(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);
	/* A full barrier, before the snapshot of the look. */
	uint64		was = bell ? pg_atomic_exchange_u64(&bell->rung, QUIET) : QUIET;

	return was == PAUSING ? 0 : (TimestampTz) was;
}

/* For the status: the same, of any database, and it stays rung. */
TimestampTz
qms_doorbell_rung_at(Oid database)
{
	Doorbell   *bell = find_doorbell(database);
	uint64		is = bell ? pg_atomic_read_u64(&bell->rung) : QUIET;

	return is == PAUSING ? 0 : (TimestampTz) is;
}

/* The publisher will look again in a moment, by itself: until then nobody wakes it. */
void
qms_doorbell_pause(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);
	uint64		quiet = QUIET;

	if (bell != NULL)
		(void) pg_atomic_compare_exchange_u64(&bell->rung, &quiet, PAUSING);
}

/* The moment is over.  Did nobody ring?  Then there is nothing to look for. */
bool
qms_doorbell_is_quiet(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);
	uint64		pausing = PAUSING;

	return bell != NULL && pg_atomic_compare_exchange_u64(&bell->rung, &pausing, QUIET);
}

/* From now on it is rung, if it was not; answers what it was. */
static uint64
set_rung(Doorbell *bell)
{
	uint64		now = (uint64) GetCurrentTimestamp();
	uint64		was = QUIET;

	/* A full barrier each time: our commit is visible before we see that others have rung. */
	while (!pg_atomic_compare_exchange_u64(&bell->rung, &was, now) && (was == QUIET || was == PAUSING))
		;
	return was;
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
	/* Somebody rang before and has not been heard yet, or will be: ours is found too. */
	if (set_rung(bell) != QUIET)
		return;
	procno = pg_atomic_read_u32(&bell->procno);
	if (procno != 0)
		SetLatch(&ProcGlobal->allProcs[procno - 1].procLatch);
}

/*
 * The scheduler begins a turn; answers what it was woken for.  Until it says when
 * its next timer is due, every timer wakes it: whoever commits after the snapshots
 * of this turn is not missed.
 */
uint32
qms_doorbell_listen(void)
{
	Doorbell   *bell = claim_doorbell();

	if (bell == NULL)
		return QMS_WAKE_ALL;
	pg_atomic_write_u32(&bell->scheduler, MyProc->pgprocno + 1);
	pg_atomic_write_u64(&bell->due, (uint64) DT_NOEND);
	return pg_atomic_exchange_u32(&bell->wanted, 0);
}

/* Its turn is over: timers from this moment on need not wake it. */
void
qms_doorbell_set_due(TimestampTz due)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	if (bell != NULL)
		pg_atomic_write_u64(&bell->due, (uint64) due);
}

void
qms_doorbell_stop_listening(void)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	if (bell != NULL)
		pg_atomic_write_u32(&bell->scheduler, 0);
}

static void
set_scheduler_latch(Doorbell *bell)
{
	uint32		procno = bell ? pg_atomic_read_u32(&bell->scheduler) : 0;

	if (procno != 0)
		SetLatch(&ProcGlobal->allProcs[procno - 1].procLatch);
}

/* Wake the scheduler now, for these tasks or because of a timer. */
void
qms_doorbell_wake_scheduler(uint32 bits, TimestampTz due)
{
	Doorbell   *bell = find_doorbell(MyDatabaseId);

	if (bell == NULL)
		return;
	/* Our commit is visible; now read what the scheduler wrote before its snapshot. */
	pg_memory_barrier();
	if (due < (TimestampTz) pg_atomic_read_u64(&bell->due))
		bits |= QMS_WAKE_TIMERS;
	/* What others want already, they have woken it for. */
	if (bits == 0 || (pg_atomic_fetch_or_u32(&bell->wanted, bits) & bits) == bits)
		return;
	set_scheduler_latch(bell);
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
		set_scheduler_latch(bell);
}

/* It is to look at what it can see in shared memory, and for nothing else. */
void
qms_doorbell_poke_scheduler(void)
{
	set_scheduler_latch(find_doorbell(MyDatabaseId));
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
forget_transaction(void)
{
	wrote_events = false;
	committed = false;
	wanted = 0;
	earliest = DT_NOEND;
	nqueue_bells = 0;
}

/* What is visible now and was not when somebody began to listen is told him; once until he has heard. */
static void
ring_queue_bells(void)
{
	bool		rung = false;
	int			i;

	/* Our commit is visible; now read what the scheduler wrote before its last look. */
	pg_memory_barrier();
	for (i = 0; i < nqueue_bells; i++)
	{
		pg_atomic_uint32 *bell = queue_bells[i].bell;

		if ((pg_atomic_read_u32(bell) & queue_bells[i].bits) != 0 &&
			(pg_atomic_fetch_or_u32(bell, QMS_BELL_RUNG) & QMS_BELL_RUNG) == 0)
			rung = true;
	}
	if (rung)
		set_scheduler_latch(find_doorbell(MyDatabaseId));
}

static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_COMMIT)
	{
		if (wrote_events)
			qms_doorbell_ring();
		committed = true;
	}
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		forget_transaction();
}

/*
 * The scheduler is woken when this transaction is over in every respect: the
 * invalidations have been sent, or it would plan with the old configuration and
 * sleep on; the locks are released, or it would have to wait for us.
 */
static void
end_locks(ResourceReleasePhase phase, bool isCommit pg_attribute_unused(), bool isTopLevel,
		  void *arg pg_attribute_unused())
{
	if (!committed || phase != RESOURCE_RELEASE_AFTER_LOCKS || !isTopLevel)
		return;
	if (wanted != 0 || earliest != DT_NOEND)
		qms_doorbell_wake_scheduler(wanted, earliest);
	if (nqueue_bells > 0)
		ring_queue_bells();
	forget_transaction();
}

/* Hear of the end of this transaction; false where there are no workers. */
static bool
is_registered(void)
{
	static bool registered = false;

	if (doorbells == NULL)
		return false;
	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		RegisterResourceReleaseCallback(end_locks, NULL);
	}
	registered = true;
	return true;
}

/* This transaction writes events; if a savepoint takes them back the bell rings for nothing. */
void
qms_doorbell_note(void)
{
	wrote_events = is_registered();
}

/* It brings work for these tasks of the scheduler, */
void
qms_doorbell_note_work(uint32 bits)
{
	if (is_registered())
		wanted |= bits;
}

/* ... or a timer that is due at this moment of qms_clock_now(). */
void
qms_doorbell_note_timer(TimestampTz due)
{
	if (is_registered())
		earliest = Min(earliest, due);
}

/* ... or somebody who comes into the line of a queue, or leaves a full one. */
void
qms_doorbell_note_bell(pg_atomic_uint32 *bell, uint32 bit)
{
	int			i;

	if (!is_registered())
		return;
	for (i = nqueue_bells - 1; i >= 0 && queue_bells[i].bell != bell; i--)
		;
	if (i >= 0)
	{
		queue_bells[i].bits |= bit;
		return;
	}
	if (nqueue_bells == max_queue_bells)
	{
		int			room = Max(16, 2 * max_queue_bells);
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		queue_bells = queue_bells ? repalloc(queue_bells, sizeof(QueueBell) * room) : palloc(sizeof(QueueBell) * room);
		max_queue_bells = room;
		MemoryContextSwitchTo(old);
	}
	queue_bells[nqueue_bells].bell = bell;
	queue_bells[nqueue_bells++].bits = bit;
}
