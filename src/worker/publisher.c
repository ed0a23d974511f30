/*
 * publisher.c
 *		Gives newly committed events their positions, in order, and rings one
 *		doorbell per batch.
 *
 * Each event row has the transaction id that wrote it.  In one statement the
 * publisher takes a snapshot and reads the events that are visible in it and
 * were not in the previous one: those of the transactions that were running
 * then (xip), and of all from its xmax on.  Never a range from the oldest
 * transaction: one that is open for hours holds nothing back and costs one look
 * at an index.  Events of one ticket have ids in the order of its changes,
 * because they are drawn under the ticket's lock; so the order is that of
 * event_id within a batch, and that of commits between batches.
 *
 * Progress is stored with the positions in the same transaction: the previous
 * snapshot, and while a large batch is cut up the snapshot it goes to and the
 * last event of it.  synchronous_commit is off: a crash may lose the last
 * positions, and then the epoch is a new one.
 *
 * Mostly it is one event, nothing was running at the previous snapshot, and that
 * is the one we have stored ourselves: then a shorter way finds the same.
 */
#include "worker/worker.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/xid8.h"

#define BATCH 1000
/* Nothing should be missed between doorbells; look all the same, rarely. */
#define SAFETY_LOOK_MS 600000
/*
 * After a batch the publisher gathers commits for some times as long as the batch
 * took: it takes a fifth of a core at most, and writers need not wake it.  The
 * first event after a quiet moment goes out at once.
 */
#define PAUSE_FACTOR 4
#define LONGEST_PAUSE_MS 10

static bool epoch_is_settled = false;
static int64 *pending = NULL;	/* ids still to be published, up to the target */
static int	npending = 0;
static int	next_pending = 0;
static char *target = NULL;		/* text of the snapshot they go to */

/* The progress as we have stored it; the turn is 0 when it has to be read. */
static int64 stored_turn = 0;
static int64 stored_floor;		/* nothing up to this event is published */
static uint64 stored_xmax;		/* of the snapshot; 0 when transactions were running in it */

/* The one event that is to be published, if it is one: what its position says. */
#define ONE_COLUMNS 7
static bool is_one = false;
static Datum one[ONE_COLUMNS];
static bool one_nulls[ONE_COLUMNS];

static pg_attribute_noreturn() void
state_is_missing(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_NOT_ADOPTED),
			 errmsg("the state of the publisher is missing"),
			 errhint("Call qms.adopt_database().")));
}

/*
 * Which epoch?  The stored one goes on if this is the same run of the server (a
 * publisher that was restarted), or if the last run ended cleanly on the same
 * timeline.  After a crash, a promotion or a recovery to a point in time it is a
 * new one: positions of the old one may have been lost and given again.  It is
 * settled when the transaction has committed, not before.
 */
static void
settle_epoch(void)
{
	static QmsPlan read = QMS_PLAN_NOARGS(
										  "SELECT epoch, run_id, timeline, clean FROM qms_internal.publisher FOR UPDATE");
	static QmsPlan write = QMS_PLAN(
									"UPDATE qms_internal.publisher SET epoch = $1, run_id = $2, timeline = $3, clean = false",
									TEXTOID, INT8OID, INT4OID);
	QmsParams	params = {0};
	int64		run_id = (int64) qms_worker_shared->run_id;
	int			timeline = (int) GetWALInsertionTimeLine();
	char	   *stored;
	bool		same;

	if (qms_spi_run(&read, NULL) == 0)
		state_is_missing();
	stored = qms_spi_text(0, 0);
	same = qms_spi_int64(0, 1) == run_id || (qms_spi_bool(0, 3) && qms_spi_int32(0, 2) == timeline);
	if (!same)
		stored = qms_random_hex(QMS_EPOCH_SIZE);
	qms_param_text(&params, stored);
	qms_param_int64(&params, run_id);
	qms_param_int32(&params, timeline);
	qms_spi_run(&write, &params);
	qms_published_note(stored, 0);

	/*
	 * That the last end is a clean one no more must be on disk before a position
	 * is shown: else a crash takes back both, and gives the position again under
	 * the same epoch.
	 */
	ForceSyncCommit();
}

void
qms_publisher_start(void)
{
	/* Positions are not worth a flush each. */
	SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_OVERRIDE);
	/* What is new is at the end of a table, whatever the statistics say of how much that is. */
	SetConfigOption("enable_seqscan", "off", PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("jit", "off", PGC_USERSET, PGC_S_OVERRIDE);
	if (!qms_doorbell_attach())
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many databases have the extension qms"),
				 errdetail("At most %d are served by one server.", QMS_MAX_DATABASES)));
}

/* The last thing before a clean end: the epoch may go on. */
void
qms_publisher_stop(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS("UPDATE qms_internal.publisher SET clean = true");

	if (!epoch_is_settled)
		return;
	SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_OVERRIDE);
	/* A shutdown waits for us.  Who cannot write it down begins another epoch, no more. */
	SetConfigOption("lock_timeout", "1s", PGC_SUSET, PGC_S_OVERRIDE);
	qms_worker_begin();
	if (qms_worker_extension_is_here())
		qms_spi_run(&plan, NULL);
	qms_worker_commit();
}

static void
forget_pending(void)
{
	if (pending != NULL)
		pfree(pending);
	if (target != NULL)
		pfree(target);
	pending = NULL;
	target = NULL;
	npending = next_pending = 0;
	is_one = false;
}

/* "xmin:xmax:xip,xip" */
static uint64
quiet_xmax(const char *snapshot)
{
	const char *xmax = strchr(snapshot, ':') + 1;
	const char *xip = strchr(xmax, ':') + 1;

	return *xip == '\0' ? strtou64(xmax, NULL, 10) : 0;
}

/*
 * The short way: nothing was running at the previous snapshot, so what is new has
 * later transaction ids.  False if that is not known, or if there is more than
 * one event.  That no row is found is an answer too.
 */
static bool
find_one(void)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT e.event_id, e.at, e.organization_id, e.branch_id, e.queue_id, e.application_id, e.visit_id, "
								   "(SELECT pg_catalog.pg_current_snapshot()::text) FROM qms.event e "
								   "WHERE e.xid >= $1 AND e.event_id + 0 > $2 LIMIT 2", XID8OID, INT8OID);
	QmsParams	params = {0};
	MemoryContext context;
	uint64		n;
	int			i;

	if (stored_turn == 0 || stored_xmax == 0)
		return false;
	forget_pending();
	qms_param_datum(&params, FullTransactionIdGetDatum(FullTransactionIdFromU64(stored_xmax)));
	qms_param_int64(&params, stored_floor);
	n = qms_spi_run(&plan, &params);
	if (n != 1)
		return n == 0;
	/* All of them are kept by value. */
	for (i = 0; i < ONE_COLUMNS; i++)
		one[i] = qms_spi_datum(0, i, &one_nulls[i]);
	target = MemoryContextStrdup(TopMemoryContext, qms_spi_text(0, ONE_COLUMNS));
	context = MemoryContextSwitchTo(TopMemoryContext);
	pending = palloc(sizeof(int64));
	MemoryContextSwitchTo(context);
	pending[0] = DatumGetInt64(one[0]);
	npending = 1;
	is_one = true;
	return true;
}

/*
 * Ids of the events to publish, in order, into memory.  If a batch was cut up by
 * the end of a publisher, its rest: what its target sees beyond the last event.
 * Else what the snapshot of this statement sees and the previous one did not;
 * it becomes the target.  Of a transaction that is still open nothing is looked
 * at, however many events it has written.
 *
 * event_id + 0: by the index of xid, always.  With some statistics the planner
 * would go by event_id instead, over all events there are.
 */
static void
find_events(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "WITH s AS MATERIALIZED (SELECT turn, snapshot, coalesce(target, pg_catalog.pg_current_snapshot()) AS target, "
										  "  target IS NOT NULL AS is_cut, last_event_id "
										  "  FROM qms_internal.publisher_progress ORDER BY turn DESC LIMIT 1), "
										  "p AS MATERIALIZED (SELECT s.turn, f.floor_event_id, s.snapshot, s.target, s.is_cut, greatest(s.last_event_id, f.floor_event_id) AS after, "
										  "  ARRAY(SELECT x FROM pg_catalog.pg_snapshot_xip(s.snapshot) x "
										  "    WHERE pg_catalog.pg_visible_in_snapshot(x, s.target)) AS xip, "
										  "  pg_catalog.pg_snapshot_xmax(s.snapshot) AS xmax FROM s, qms_internal.publisher f), "
										  "found AS (SELECT e.event_id FROM p JOIN qms.event e ON e.xid = ANY (p.xip) "
										  "  WHERE e.event_id + 0 > p.after AND pg_catalog.pg_visible_in_snapshot(e.xid, p.target) "
										  "  UNION ALL SELECT e.event_id FROM p JOIN qms.event e ON e.xid >= p.xmax "
										  "  WHERE e.event_id + 0 > p.after AND pg_catalog.pg_visible_in_snapshot(e.xid, p.target)) "
										  "SELECT p.target::text, (SELECT pg_catalog.array_agg(f.event_id ORDER BY f.event_id) FROM found f), "
										  "  p.is_cut, p.turn, p.floor_event_id, p.snapshot::text FROM p");
	Datum		ids;
	MemoryContext context;
	bool		isnull;

	forget_pending();
	if (qms_spi_run(&plan, NULL) == 0)
		state_is_missing();
	stored_turn = qms_spi_int64(0, 3);
	stored_floor = qms_spi_int64(0, 4);
	stored_xmax = qms_spi_bool(0, 2) ? 0 : quiet_xmax(qms_spi_text(0, 5));
	ids = qms_spi_datum(0, 1, &isnull);
	/* Nothing new is not worth a write, but the end of a cut batch is. */
	if (isnull && !qms_spi_bool(0, 2))
		return;
	target = MemoryContextStrdup(TopMemoryContext, qms_spi_text(0, 0));
	if (isnull)
		return;
	context = MemoryContextSwitchTo(TopMemoryContext);
	pending = qms_array_read(ids, &npending);
	MemoryContextSwitchTo(context);
}

/* How far we are, with the positions: at the target, or within it. */
static int64
store_progress(int n, char **epoch)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH old AS (DELETE FROM qms_internal.publisher_progress WHERE turn = $5 RETURNING *) "
								   "INSERT INTO qms_internal.publisher_progress (turn, snapshot, target, last_event_id, last_position) "
								   "SELECT turn + 1, CASE WHEN $4 THEN $1::pg_catalog.pg_snapshot ELSE snapshot END, "
								   "  CASE WHEN $4 THEN NULL ELSE $1::pg_catalog.pg_snapshot END, "
								   "  CASE WHEN $4 THEN 0 ELSE $2 END, last_position + $3 FROM old "
								   "RETURNING last_position - $3, (SELECT epoch FROM qms_internal.publisher)",
								   TEXTOID, INT8OID, INT8OID, BOOLOID, INT8OID);
	QmsParams	params = {0};
	bool		complete = next_pending + n == npending;

	qms_param_text(&params, target);
	qms_param_int64(&params, n == 0 ? 0 : pending[next_pending + n - 1]);
	qms_param_int64(&params, n);
	qms_param_bool(&params, complete);
	qms_param_int64(&params, stored_turn);
	if (qms_spi_run(&plan, &params) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the progress of the publisher was changed by somebody else"),
				 errhint("It is read again.")));
	*epoch = qms_spi_text(0, 1);
	return qms_spi_int64(0, 0);
}

/* The position of a single event. */
static void
insert_one(int64 position, TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.event_position "
								   "(position, published_at, event_id, at, organization_id, branch_id, queue_id, application_id, visit_id) "
								   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
								   INT8OID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};
	int			i;

	qms_param_int64(&params, position);
	qms_param_time(&params, now);
	for (i = 0; i < ONE_COLUMNS; i++)
	{
		if (one_nulls[i])
			qms_param_null(&params);
		else
			qms_param_datum(&params, one[i]);
	}
	qms_spi_run(&plan, &params);
}

/* Positions of the next ones of several. */
static void
insert_many(int64 base, int n, TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.event_position "
								   "(position, event_id, at, published_at, organization_id, branch_id, queue_id, application_id, visit_id) "
								   "SELECT $2 + u.n, e.event_id, e.at, $3, e.organization_id, e.branch_id, e.queue_id, e.application_id, e.visit_id "
								   "FROM pg_catalog.unnest($1) WITH ORDINALITY u(id, n) JOIN qms.event e ON e.event_id = u.id",
								   INT8ARRAYOID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_pointer(&params, qms_array_make(pending + next_pending, n, INT8OID));
	qms_param_int64(&params, base);
	qms_param_time(&params, now);
	qms_spi_run(&plan, &params);
}

/* Positions of the next batch, and one doorbell for it. */
static void
publish_batch(void)
{
	int			n = Min(npending - next_pending, BATCH);
	TimestampTz now = qms_clock_now();
	char	   *epoch;
	int64		base;

	/* Before the parent is touched. */
	qms_partition_ensure(QMS_PART_POSITION, now);
	base = store_progress(n, &epoch);
	if (n == 0)
		return;
	if (is_one)
		insert_one(base + 1, now);
	else
		insert_many(base, n, now);
	qms_published_note(epoch, base + n);
	Async_Notify("qms", psprintf("{\"epoch\": \"%s\", \"position\": %lld}", epoch, (long long) (base + n)));
}

/* The batch is committed: what remains, and what the status view shows. */
static void
note_batch(void)
{
	int			n = Min(npending - next_pending, BATCH);

	next_pending += n;
	qms_worker_mine()->done += n;
	stored_turn++;
	stored_xmax = next_pending >= npending ? quiet_xmax(target) : 0;
	if (next_pending >= npending)
		forget_pending();
}

/* For the status: since when something has been waiting for its position. */
static void
note_waiting_since(TimestampTz since)
{
	QmsWorkerSlot *slot = qms_worker_mine();

	/* What was committed before we began nobody rang for here. */
	if (!epoch_is_settled)
		since = slot->started_at;
	/* What has failed before has waited for longer. */
	if (slot->waiting_since == 0)
		slot->waiting_since = since;
}

/* Until when to gather, after a batch that was begun at this moment. */
static TimestampTz
pause_after(TimestampTz begun)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		took = Max(now - begun, 0);

	qms_doorbell_pause();
	return now + Max(Min(took * PAUSE_FACTOR, LONGEST_PAUSE_MS * 1000), 1000);
}

TimestampTz
qms_publisher_turn(void)
{
	static bool paused = false;
	static TimestampTz heard_at = 0;	/* the first ring since the last look; 0: none */
	TimestampTz begun = GetCurrentTimestamp();
	TimestampTz wake = TimestampTzPlusMilliseconds(begun, SAFETY_LOOK_MS);
	bool		looks = target == NULL;
	TimestampTz rung_at;

	if (paused && qms_doorbell_is_quiet())
	{
		paused = false;
		return wake;
	}
	paused = false;
	/* Before the snapshot: whoever rings afterwards is not missed. */
	rung_at = qms_doorbell_heard();
	if (heard_at == 0)
		heard_at = rung_at;
	if (looks)
	{
		note_waiting_since(heard_at);
		heard_at = 0;
	}
	PG_TRY();
	{
		qms_worker_begin();
		if (!qms_worker_extension_is_here())
		{
			qms_worker_commit();
			qms_worker_leave();
		}
		if (!epoch_is_settled)
			settle_epoch();
		if (target == NULL && !find_one())
			find_events();
		if (target != NULL)
			publish_batch();
		qms_worker_commit();
		epoch_is_settled = true;
	}
	PG_CATCH();
	{
		/* What was in memory may not fit what is stored: read it again next time. */
		forget_pending();
		stored_turn = 0;
		/* The next look comes when the pause after a failure is over; no commit ends it. */
		qms_doorbell_put_off();
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (target == NULL)
	{
		qms_worker_mine()->waiting_since = 0;
		return wake;
	}
	note_batch();
	if (pending == NULL)
		qms_worker_mine()->waiting_since = heard_at;
	/* Who rang while a cut batch was being published has been heard, but not looked for yet. */
	if (pending != NULL || !looks)
		return 0;
	paused = true;
	return pause_after(begun);
}
