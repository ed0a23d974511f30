/*
 * releasing.c
 *		Tasks of the scheduler around waiting rooms: people are let in when they
 *		are due, and what is not claimed, or runs out, ends.
 *
 * When each gate is due is remembered here, from turn to turn; a gate that was
 * changed, or whose bell was rung (queue/inside.c), is due at once.
 */
#include "worker/tasks.h"
#include "worker/worker.h"

#include "release/release.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/memutils.h"

/* Turns of one gate are at least so far apart, by the real clock. */
#define LEAST_PAUSE (10 * USECS_PER_SEC / 1000)

/* ---- the gates there are ---- */

typedef struct Room
{
	int64		gate;
	int64		organization_id;
	TimestampTz changed_at;		/* the newest change of what belongs to it */
	TimestampTz due;			/* DT_NOEND: when its bell is rung */
	TimestampTz not_before;		/* of the real clock */
	int			nqueues;
	int64	   *queue_ids;
} Room;

static MemoryContext rooms_context = NULL;
static Room *rooms = NULL;
static int	nrooms = 0;
static uint64 rooms_generation = 0;

/* The turn of the running transaction counts when that is committed. */
static int	running = -1;
static TimestampTz running_next = DT_NOEND;

/* When the first right that we gave runs out, for the task that ends it. */
static TimestampTz claim_due = DT_NOEND;

/* The extension was made anew, or the clock went back: all are due. */
void
qms_releasing_forget(void)
{
	nrooms = 0;
	rooms_generation = 0;
	running = -1;
	claim_due = DT_NOEND;
}

/* What was planned for a gate holds as long as nothing of it was changed. */
static void
keep_due(Room *new, const Room *old, int nold)
{
	int			i;

	for (i = 0; i < nold; i++)
	{
		if (old[i].gate != new->gate)
			continue;
		new->not_before = old[i].not_before;
		if (old[i].changed_at == new->changed_at && old[i].nqueues == new->nqueues)
			new->due = old[i].due;
		return;
	}
}

/* Read which gates there are, if the configuration is another one. */
static void
read_rooms(uint64 generation)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT coalesce(- q.release_pool_id, q.queue_id), q.organization_id, q.queue_id, "
										  "greatest(q.updated_at, p.updated_at) FROM qms.queue q LEFT JOIN qms.release_pool p "
										  "ON p.release_pool_id = q.release_pool_id "
										  "WHERE q.kind = 'release' AND q.deleted_at IS NULL ORDER BY 1, 3");
	MemoryContext context;
	Room	   *made;
	int			nmade = 0;
	uint64		n;
	uint64		i;

	if (rooms_generation == generation)
		return;
	n = qms_spi_run(&plan, NULL);
	context = AllocSetContextCreate(TopMemoryContext, "qms waiting rooms", ALLOCSET_DEFAULT_SIZES);
	made = MemoryContextAllocZero(context, sizeof(Room) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		Room	   *room = &made[nmade];

		if (nmade > 0 && made[nmade - 1].gate == qms_spi_int64(i, 0))
			room = &made[nmade - 1];
		else
		{
			nmade++;
			room->gate = qms_spi_int64(i, 0);
			room->organization_id = qms_spi_int64(i, 1);
			room->changed_at = DT_NOBEGIN;
			room->due = DT_NOBEGIN;
			room->queue_ids = MemoryContextAlloc(context, sizeof(int64) * n);
		}
		room->changed_at = Max(room->changed_at, qms_spi_time(i, 3));
		room->queue_ids[room->nqueues++] = qms_spi_int64(i, 2);
	}
	for (i = 0; i < (uint64) nmade; i++)
		keep_due(&made[i], rooms, nrooms);
	if (rooms_context != NULL)
		MemoryContextDelete(rooms_context);
	rooms_context = context;
	rooms = made;
	nrooms = nmade;
	rooms_generation = generation;
}

/* ---- people are let in ---- */

static bool
is_rung(const Room *room)
{
	int			i;

	for (i = 0; i < room->nqueues; i++)
	{
		if (qms_inside_is_rung(room->queue_ids[i], false))
			return true;
	}
	return false;
}

static bool
is_listened_for(const Room *room)
{
	int			i;

	for (i = 0; i < room->nqueues; i++)
	{
		if (qms_inside_is_listened_for(room->queue_ids[i]))
			return true;
	}
	return false;
}

/* When the room is due, by the clock; fast turns are kept apart by the real one. */
static TimestampTz
due_of(const Room *room, TimestampTz now, bool look)
{
	if (room->due > now && !look && !is_rung(room))
		return room->due;
	if (qms_clock_is_mocked())
		return now;
	return Max(now, room->not_before);
}

static TimestampTz
peek(TimestampTz now, bool pools)
{
	TimestampTz next = DT_NOEND;
	int			i;

	for (i = 0; i < nrooms; i++)
	{
		if ((rooms[i].gate < 0) == pools)
			next = Min(next, due_of(&rooms[i], now, false));
	}
	return next;
}

TimestampTz
qms_peek_release(TimestampTz now)
{
	return peek(now, false);
}

TimestampTz
qms_peek_release_pool(TimestampTz now)
{
	return peek(now, true);
}

static void
plan_rooms(QmsTaskRun *run, bool pools)
{
	int			i;

	read_rooms(run->generation);
	for (i = 0; i < nrooms; i++)
	{
		TimestampTz due;

		if ((rooms[i].gate < 0) != pools)
			continue;
		/* Somebody who cannot ring, such as COMMIT PREPARED, has something for one of them. */
		due = due_of(&rooms[i], run->call->now, (run->woken_for & QMS_WAKE_ROOM) != 0 && is_listened_for(&rooms[i]));
		if (due <= run->call->now)
			qms_task_add(run, Abs(rooms[i].gate));
		else
			qms_task_next(run, due);
	}
}

void
qms_plan_release(QmsTaskRun *run)
{
	plan_rooms(run, false);
}

void
qms_plan_release_pool(QmsTaskRun *run)
{
	plan_rooms(run, true);
}

static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	if (running >= 0 && event == XACT_EVENT_COMMIT)
		rooms[running].due = running_next;
	running = -1;
}

/* A turn of one gate. */
static void
run_gate(QmsTaskRun *run, int64 gate)
{
	static bool registered = false;
	TimestampTz next;
	int			room;
	int			i;

	for (room = 0; room < nrooms && rooms[room].gate != gate; room++)
		;
	if (room == nrooms)
		return;
	if (!registered)
		RegisterXactCallback(end_transaction, NULL);
	registered = true;
	/* Before looking: whoever commits afterwards rings again. */
	for (i = 0; i < rooms[room].nqueues; i++)
		qms_inside_answer(rooms[room].queue_ids[i]);
	rooms[room].due = run->call->now;
	rooms[room].not_before = GetCurrentTimestamp() + LEAST_PAUSE;
	next = qms_release_turn(run->call, gate, rooms[room].organization_id, &claim_due);
	qms_task_next(run, next);
	running = room;
	running_next = next;
}

void
qms_run_release(QmsTaskRun *run, int64 queue_id)
{
	run_gate(run, queue_id);
}

void
qms_run_release_pool(QmsTaskRun *run, int64 release_pool_id)
{
	run_gate(run, -release_pool_id);
}

/* ---- what runs out ---- */

#define END_ROWS 100			/* of one queue, in one transaction */
#define END_LOOK 1000			/* rows that a plan looks at */
#define END_QUEUES 8			/* in one batch */
#define END_BACK (10 * USECS_PER_MINUTE)	/* somebody may have been so long in committing */
#define END_ALL USECS_PER_MINUTE	/* how often to look at all there is */
#define END_BUSY USECS_PER_SEC

/* Right to enter of a stopped queue does not run out. */
#define ENDS \
	"t.due_at > $1 AND t.due_at <= $2 AND (t.state <> 'released' OR NOT EXISTS (SELECT 1 FROM qms_internal.release_queue r " \
	"WHERE r.queue_id = t.queue_id AND r.stopped_at IS NOT NULL))"

/* Nothing was due before, at the last look; and when everything was looked at. */
static TimestampTz ended_until = DT_NOBEGIN;
static TimestampTz all_looked_at = DT_NOBEGIN;

/* Those let in by the scheduler itself are not told by a doorbell. */
TimestampTz
qms_peek_ends(TimestampTz now pg_attribute_unused())
{
	return claim_due;
}

static TimestampTz
look_from(TimestampTz now)
{
	if (ended_until > now || all_looked_at > now || now - all_looked_at >= END_ALL)
	{
		all_looked_at = now;
		return DT_NOBEGIN;
	}
	return ended_until == DT_NOBEGIN ? DT_NOBEGIN : ended_until - END_BACK;
}

/* The queues of those that are due, the first ones; false if one has nothing but what rests. */
static bool
add_queues(QmsTaskRun *run, TimestampTz from, int64 *found, int *nfound)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT DISTINCT d.queue_id FROM (SELECT t.queue_id FROM qms.ticket t WHERE " ENDS
								   " AND t.queue_id <> ALL ($3) ORDER BY t.due_at LIMIT $4) d",
								   TIMESTAMPTZOID, TIMESTAMPTZOID, INT8ARRAYOID, INT4OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;
	int			before = run->nitems;

	qms_param_datum(&params, TimestampTzGetDatum(from));
	qms_param_time(&params, run->call->now);
	qms_param_pointer(&params, qms_array_make(found, *nfound, INT8OID));
	qms_param_int32(&params, END_LOOK);
	n = qms_spi_run(&plan, &params);
	for (i = 0; i < n && *nfound < END_QUEUES; i++)
	{
		found[(*nfound)++] = qms_spi_int64(i, 0);
		qms_task_add(run, qms_spi_int64(i, 0));
	}
	return n == 0 || run->nitems > before;
}

void
qms_plan_ends(QmsTaskRun *run)
{
	static QmsPlan next = QMS_PLAN("SELECT due_at FROM qms.ticket WHERE due_at IS NOT NULL AND due_at > $1 ORDER BY due_at LIMIT 1",
								   TIMESTAMPTZOID);
	TimestampTz from = look_from(run->call->now);
	int64		found[END_QUEUES];
	QmsParams	params = {0};
	int			nfound = 0;

	claim_due = DT_NOEND;
	/* Those that rest hide nobody. */
	while (!add_queues(run, from, found, &nfound) && nfound < END_QUEUES)
		;
	if (nfound == 0)
		ended_until = run->call->now;
	qms_param_time(&params, run->call->now);
	if (qms_spi_run(&next, &params) > 0)
		qms_task_next(run, qms_spi_time(0, 0));
}

/* A batch of one queue.  Whose row is locked is busy, and comes later. */
void
qms_run_ends(QmsTaskRun *run, int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT t FROM qms.ticket t WHERE " ENDS " AND t.queue_id = $3 ORDER BY t.due_at LIMIT $4 "
								   "FOR NO KEY UPDATE OF t SKIP LOCKED", TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT4OID);
	QmsParams	params = {0};
	QmsTicket **tickets;
	uint64		n;
	uint64		i;

	qms_param_datum(&params, TimestampTzGetDatum(DT_NOBEGIN));
	qms_param_time(&params, run->call->now);
	qms_param_int64(&params, queue_id);
	qms_param_int32(&params, END_ROWS);
	n = qms_spi_run(&plan, &params);
	tickets = palloc(sizeof(QmsTicket *) * Max(n, 1));
	for (i = 0; i < n; i++)
		tickets[i] = qms_row_fetch_whole(&qms_ticket_table, i, 0);
	for (i = 0; i < n; i++)
	{
		bool		came = qms_ticket_state(tickets[i]) == QMS_ADMITTED;

		/* What each leaves in memory goes with its SPI. */
		qms_spi_begin();
		qms_finish(run->call, tickets[i], QMS_EXPIRED, NULL, came ? "access expired" : "not claimed", true);
		qms_spi_end();
	}
	/* There may be more of them, or some that were locked. */
	qms_task_next(run, n > 0 ? run->call->now : run->call->now + END_BUSY);
}
