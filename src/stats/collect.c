/*
 * collect.c
 *		Looks through what is new in the log, and notes which hours have to be
 *		made, or made anew.
 *
 * New is what the publisher would call new: events whose transactions were not
 * seen to be committed at the last look, by the index of xid.  So an event that
 * commits late is found whenever that is, and makes its hour due again.  An undo
 * makes the hour of what it undoes due, too.  A large number of new events is
 * taken in batches, by transaction.
 *
 * The same pass notes in which range of event_id the events of each quarter of
 * an hour are, so that an hour can be read without an index of its own.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"

#define BATCH 10000

int			qms_statistics_interval = 300;

#define SLOT_OF(at) "pg_catalog.date_bin('15 min', " at ", '2000-01-01 00:00:00+00')"

/* The columns of an event that are looked at, as "new". */
#define NEW_COLUMNS "e.event_id, e.xid, e.at, e.kind, e.organization_id, coalesce(e.branch_id, 0) AS branch_id, e.ticket_id, e.data"
#define IS_COUNTED(e) "(" e ".kind >= 'ticket.' AND " e ".kind < 'ticket/' OR " e ".kind >= 'counter.' AND " e ".kind < 'counter/')"

/*
 * What new events change: the slots they are in, and what is due for it.  A
 * transfer between branches counts in both; an undo where it was undone; a service
 * that nobody began, where its call was.  $1: turn.
 */
#define NOTE_NEW \
	"slots AS (INSERT INTO qms_internal.stats_slot AS s (starts_at, first_event_id, last_event_id, events) " \
	"  SELECT " SLOT_OF("n.at") ", pg_catalog.min(n.event_id), pg_catalog.max(n.event_id), pg_catalog.count(*) " \
	"  FROM new n WHERE " IS_COUNTED("n") " GROUP BY 1 ON CONFLICT (starts_at) DO UPDATE SET " \
	"  first_event_id = least(s.first_event_id, excluded.first_event_id), " \
	"  last_event_id = greatest(s.last_event_id, excluded.last_event_id), events = s.events + excluded.events), " \
	"touched AS (SELECT n.organization_id, n.branch_id, " SLOT_OF("n.at") " AS starts_at FROM new n WHERE " IS_COUNTED("n") " " \
	"  UNION SELECT q.organization_id, coalesce(q.branch_id, 0), " SLOT_OF("n.at") " FROM new n " \
	"    JOIN qms.queue q ON q.queue_id = (n.data ->> 'from_queue_id')::pg_catalog.int8 WHERE n.kind = 'ticket.transferred' " \
	"  UNION SELECT u.organization_id, b.branch_id, " SLOT_OF("u.at") " FROM new n " \
	"    JOIN qms.event u ON u.event_id = (n.data ->> 'undone_event_id')::pg_catalog.int8, " \
	"    LATERAL (VALUES (coalesce(u.branch_id, 0)), (n.branch_id)) b (branch_id) WHERE n.kind = 'ticket.undone' " \
	"  UNION SELECT n.organization_id, n.branch_id, " SLOT_OF("c.at") " FROM new n, LATERAL (SELECT e.at FROM qms.event e " \
	"    WHERE e.ticket_id = n.ticket_id AND e.kind = 'ticket.called' AND e.event_id < n.event_id " \
	"    AND e.at > n.at - interval '2 days' ORDER BY e.event_id DESC LIMIT 1) c " \
	"    WHERE n.kind = 'ticket.serving' AND n.data ? 'implied'), " \
	"due AS (INSERT INTO qms_internal.stats_due AS d (level, organization_id, branch_id, starts_at, mark) " \
	"  SELECT 'hour', t.organization_id, t.branch_id, t.starts_at, $1 FROM touched t " \
	"  ON CONFLICT (level, starts_at, organization_id, branch_id) DO UPDATE SET mark = greatest(d.mark, excluded.mark)) "

typedef struct Progress
{
	int64		turn;
	char	   *snapshot;
	char	   *target;
	bool		begins;			/* the target is a new one */
	int64		last_xid;
	int64		floor;			/* events up to here are from another cluster */
	int64		scanned;		/* ... and up to here have been looked through */
} Progress;

static bool
read_progress(Progress *progress)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT turn + 1, snapshot::text, coalesce(target, pg_catalog.pg_current_snapshot())::text, target IS NULL, "
										  "coalesce(last_xid::text::pg_catalog.int8, 0), floor_event_id, scanned_event_id "
										  "FROM qms_internal.stats_progress FOR UPDATE");

	if (qms_spi_run(&plan, NULL) == 0)
		return false;
	progress->turn = qms_spi_int64(0, 0);
	progress->snapshot = qms_spi_text(0, 1);
	progress->target = qms_spi_text(0, 2);
	progress->begins = qms_spi_bool(0, 3);
	progress->last_xid = qms_spi_int64(0, 4);
	progress->floor = qms_spi_int64(0, 5);
	progress->scanned = qms_spi_int64(0, 6);
	return true;
}

/* How far it is now. */
static void
write_progress(const Progress *progress, bool complete)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.stats_progress SET turn = $1, snapshot = CASE WHEN $4 THEN $2::pg_catalog.pg_snapshot ELSE snapshot END, "
								   "target = CASE WHEN $4 THEN NULL ELSE $2::pg_catalog.pg_snapshot END, "
								   "last_xid = CASE WHEN $4 THEN NULL ELSE $3::text::pg_catalog.xid8 END, scanned_event_id = $5",
								   INT8OID, TEXTOID, INT8OID, BOOLOID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, progress->turn);
	qms_param_text(&params, progress->target);
	qms_param_int64(&params, progress->last_xid);
	qms_param_bool(&params, complete);
	qms_param_int64(&params, progress->scanned);
	qms_spi_run(&plan, &params);
}

/* After a restore: the next of the events that came with it, in order of event_id. */
static bool
scan(Progress *progress)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH new AS MATERIALIZED (SELECT " NEW_COLUMNS " FROM qms.event e WHERE e.event_id > $2 AND e.event_id <= $3 "
								   "ORDER BY e.event_id LIMIT $4), " NOTE_NEW "SELECT pg_catalog.count(*), pg_catalog.max(event_id) FROM new",
								   INT8OID, INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};
	bool		more;

	qms_param_int64(&params, progress->turn);
	qms_param_int64(&params, progress->scanned);
	qms_param_int64(&params, progress->floor);
	qms_param_int64(&params, BATCH);
	qms_spi_run(&plan, &params);
	more = qms_spi_int64(0, 0) == BATCH;
	progress->scanned = more ? qms_spi_int64(0, 1) : progress->floor;
	/* What is new since the restore comes next, from the stored snapshot on. */
	progress->target = progress->snapshot;
	write_progress(progress, true);
	return true;
}

/* Those of transactions that were open at the last look, and have committed. */
static void
look_at_late(const Progress *progress)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH new AS MATERIALIZED (SELECT " NEW_COLUMNS " FROM qms.event e WHERE e.xid = ANY (ARRAY("
								   "SELECT x FROM pg_catalog.pg_snapshot_xip($2::pg_catalog.pg_snapshot) x "
								   "WHERE pg_catalog.pg_visible_in_snapshot(x, $3::pg_catalog.pg_snapshot))) AND e.event_id + 0 > $4), "
								   NOTE_NEW "SELECT pg_catalog.count(*) FROM new", INT8OID, TEXTOID, TEXTOID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, progress->turn);
	qms_param_text(&params, progress->snapshot);
	qms_param_text(&params, progress->target);
	qms_param_int64(&params, progress->floor);
	qms_spi_run(&plan, &params);
}

/* Those of later ones, some transactions at a time. */
static bool
look_at_new(Progress *progress)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH read AS MATERIALIZED (SELECT " NEW_COLUMNS ", "
								   "pg_catalog.pg_visible_in_snapshot(e.xid, $2::pg_catalog.pg_snapshot) AND e.event_id > $4 AS is_visible "
								   "FROM qms.event e WHERE e.xid > greatest($3::text::pg_catalog.xid8, "
								   "(pg_catalog.pg_snapshot_xmax($6::pg_catalog.pg_snapshot)::text::pg_catalog.int8 - 1)::text::pg_catalog.xid8) "
								   "AND e.xid < pg_catalog.pg_snapshot_xmax($2::pg_catalog.pg_snapshot) ORDER BY e.xid "
								   "FETCH FIRST $5 ROWS WITH TIES), "
								   "new AS MATERIALIZED (SELECT * FROM read WHERE is_visible), "
								   NOTE_NEW "SELECT pg_catalog.count(*), pg_catalog.max(xid::text::pg_catalog.int8) FROM read",
								   INT8OID, TEXTOID, INT8OID, INT8OID, INT8OID, TEXTOID);
	QmsParams	params = {0};
	bool		more;

	qms_param_int64(&params, progress->turn);
	qms_param_text(&params, progress->target);
	qms_param_int64(&params, progress->last_xid);
	qms_param_int64(&params, progress->floor);
	qms_param_int64(&params, BATCH);
	qms_param_text(&params, progress->snapshot);
	qms_spi_run(&plan, &params);
	more = qms_spi_int64(0, 0) >= BATCH;
	if (more)
		progress->last_xid = qms_spi_int64(0, 1);
	return more;
}

/*
 * One batch of what is new; true: there is more.  In a transaction that writes no
 * events of its own.
 */
bool
qms_stats_collect(void)
{
	Progress	progress;
	bool		more;

	if (!read_progress(&progress))
		return false;
	if (progress.scanned < progress.floor)
		return scan(&progress);
	if (progress.begins)
		look_at_late(&progress);
	more = look_at_new(&progress);
	write_progress(&progress, !more);
	return more;
}

/*
 * Hours that have ended since they were made in the midst of it are made once
 * more; what the log is not whole for any more stays as it is.
 */
void
qms_stats_mark_ended(TimestampTz now)
{
	static QmsPlan unsound = QMS_PLAN("DELETE FROM qms_internal.stats_due WHERE level = 'hour' AND starts_at <= $1 - interval '1 hour'", TIMESTAMPTZOID);
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.stats_due (level, organization_id, branch_id, starts_at, mark) "
								   "SELECT 'hour', organization_id, branch_id, starts_at, 0 FROM qms_internal.stats_hour "
								   "WHERE NOT is_final AND ends_at <= $1 ON CONFLICT DO NOTHING", TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsParams	floor = {0};

	qms_param_time(&params, now);
	qms_spi_run(&plan, &params);
	qms_param_time(&floor, qms_stats_floor());
	qms_spi_run(&unsound, &floor);
}

/* Is something due?  Not before all that is new has been looked at: an hour would be made again and again. */
bool
qms_stats_is_due(TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms_internal.stats_due WHERE (not_before IS NULL OR not_before <= $1) AND NOT EXISTS ("
								   "SELECT 1 FROM qms_internal.stats_progress WHERE target IS NOT NULL OR scanned_event_id < floor_event_id) LIMIT 1",
								   TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_time(&params, now);
	return qms_spi_run(&plan, &params) > 0;
}

/* ---- the log itself ---- */

/*
 * Is something of the log before that moment not in the snapshots yet?  Then its
 * partition stays a little longer.
 */
bool
qms_stats_need(TimestampTz before)
{
	static QmsPlan due = QMS_PLAN("SELECT 1 FROM qms_internal.stats_due WHERE starts_at < $1 LIMIT 1", TIMESTAMPTZOID);
	static QmsPlan progress = QMS_PLAN_NOARGS(
											  "SELECT target IS NOT NULL OR scanned_event_id < floor_event_id OR turn = 1 FROM qms_internal.stats_progress");
	QmsParams	params = {0};

	if (qms_statistics_interval == 0)
		return false;
	qms_param_time(&params, before);
	return qms_spi_run(&due, &params) > 0 || (qms_spi_run(&progress, NULL) > 0 && qms_spi_bool(0, 0));
}

/* What is older has been dropped from the log: snapshots stay, and nothing can be made anew. */
void
qms_stats_forget_before(TimestampTz oldest)
{
	static QmsPlan plans[] = {
		QMS_PLAN("DELETE FROM qms_internal.stats_slot WHERE starts_at < $1", TIMESTAMPTZOID),
		QMS_PLAN("DELETE FROM qms_internal.stats_due WHERE starts_at < $1", TIMESTAMPTZOID),
		QMS_PLAN("DELETE FROM qms_internal.stats_hour WHERE starts_at < $1 - interval '1 hour'", TIMESTAMPTZOID)
	};
	size_t		i;

	for (i = 0; i < lengthof(plans); i++)
	{
		QmsParams	params = {0};

		qms_param_time(&params, oldest);
		qms_spi_run(&plans[i], &params);
	}
}

/*
 * Adopted after a restore: what is in the log now is looked through by event_id,
 * because its transaction ids are those of another cluster.
 */
void
qms_stats_adopt(void)
{
	static QmsPlan plans[] = {
		QMS_PLAN_NOARGS("DELETE FROM qms_internal.stats_progress"),
		QMS_PLAN_NOARGS("DELETE FROM qms_internal.stats_slot"),
		QMS_PLAN_NOARGS("DELETE FROM qms_internal.stats_due"),
		QMS_PLAN_NOARGS("DELETE FROM qms_internal.stats_hour"),
		QMS_PLAN_NOARGS("INSERT INTO qms_internal.stats_progress (turn, snapshot, floor_event_id) VALUES (1, pg_catalog.pg_current_snapshot(), "
						"(SELECT coalesce(pg_catalog.max(event_id), 0) FROM qms.event))")
	};
	size_t		i;

	for (i = 0; i < lengthof(plans); i++)
		qms_spi_run(&plans[i], NULL);
}

/* ---- by hand ---- */

/*
 * Before this moment the log is not whole any more, so nothing is made of it.
 * Where a partition was dropped, the first day of the next one is left alone: its
 * tickets may have come the day before.
 */
TimestampTz
qms_stats_floor(void)
{
	static QmsPlan plan = QMS_PLAN("SELECT 1 FROM qms.organization o, LATERAL (SELECT 1 FROM qms.analytics_snapshot s "
								   "WHERE s.organization_id = o.organization_id AND s.period = 'hour' AND s.starts_at < $1 - interval '1 hour' LIMIT 1) s LIMIT 1",
								   TIMESTAMPTZOID);
	TimestampTz oldest = qms_partition_oldest(QMS_PART_EVENT);
	QmsParams	params = {0};

	if (oldest == DT_NOEND)
		return DT_NOEND;
	qms_param_time(&params, oldest);
	return qms_spi_run(&plan, &params) > 0 ? oldest + USECS_PER_DAY : oldest;
}

/* Everything of a span of time is due, of one organization or all (0); where the log is not whole, nothing. */
void
qms_stats_mark_range(TimestampTz since, TimestampTz before, int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH slots AS (INSERT INTO qms_internal.stats_slot AS s (starts_at, first_event_id, last_event_id, events) "
								   "SELECT " SLOT_OF("e.at") ", pg_catalog.min(e.event_id), pg_catalog.max(e.event_id), pg_catalog.count(*) "
								   "FROM qms.event e WHERE e.at >= $1 AND e.at < $2 AND " IS_COUNTED("e") " GROUP BY 1 "
								   "ON CONFLICT (starts_at) DO UPDATE SET first_event_id = least(s.first_event_id, excluded.first_event_id), "
								   "last_event_id = greatest(s.last_event_id, excluded.last_event_id), events = greatest(s.events, excluded.events)) "
								   "INSERT INTO qms_internal.stats_due AS d (level, organization_id, branch_id, starts_at, mark) "
								   "SELECT 'hour', t.organization_id, t.branch_id, t.starts_at, 0 FROM ("
								   "SELECT e.organization_id, coalesce(e.branch_id, 0) AS branch_id, " SLOT_OF("e.at") " AS starts_at "
								   "FROM qms.event e WHERE e.at >= $1 AND e.at < $2 AND ($3 IS NULL OR e.organization_id = $3) AND " IS_COUNTED("e") " "
								   "UNION SELECT h.organization_id, h.branch_id, " SLOT_OF("h.starts_at") " FROM qms_internal.stats_hour h "
								   "WHERE h.starts_at >= $1 AND h.starts_at < $2 AND ($3 IS NULL OR h.organization_id = $3)) t "
								   "ON CONFLICT (level, starts_at, organization_id, branch_id) DO UPDATE SET not_before = NULL",
								   TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};
	TimestampTz from = qms_stats_floor();

	if (from == DT_NOEND || before <= from)
		return;
	qms_param_time(&params, Max(since, from));
	qms_param_time(&params, before);
	qms_param_id(&params, organization_id);
	qms_spi_run(&plan, &params);
}
