/*
 * silence.c
 *		Tasks of the scheduler around heartbeats: what has been noted in shared
 *		memory is written, and who has not been heard of loses the place.
 *
 * Silence is counted from the last heartbeat, written or only noted, but never
 * from before the person came into the line, this scheduler began, or the server
 * stood still for long: heartbeats of before may have been lost, or could not
 * be sent.
 */
#include "worker/tasks.h"
#include "worker/worker.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/guc.h"

/* ---- heartbeats are written ---- */

#define FLUSH_ROWS 1000			/* in one transaction */
#define FLUSH_EVERY (10 * USECS_PER_SEC)

static TimestampTz flush_at = DT_NOEND;

/* What the running transaction has written. */
static int64 written_ids[FLUSH_ROWS];
static TimestampTz written_at[FLUSH_ROWS];
static int	nwritten = 0;
static int	next_bucket = 0;	/* to go on with */

/* Some time after the first one, so that others are written with it; never if there is none. */
TimestampTz
qms_peek_heartbeats(TimestampTz now)
{
	if (!qms_doorbell_has_beats())
		flush_at = DT_NOEND;
	else if (flush_at == DT_NOEND || flush_at > now + FLUSH_EVERY)
		flush_at = now + FLUSH_EVERY;
	return flush_at;
}

void
qms_plan_heartbeats(QmsTaskRun *run)
{
	qms_task_add(run, 1);
}

/* What has been written is noted no longer; after a rollback it is, and all begins anew. */
static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_COMMIT)
		qms_heartbeat_written(written_ids, written_at, nwritten);
	else if (event == XACT_EVENT_ABORT && nwritten > 0)
		next_bucket = 0;
	else if (event != XACT_EVENT_ABORT)
		return;
	nwritten = 0;
}

/*
 * A batch in one statement.  Tickets that have ended meanwhile need no row.
 *
 * Locks: rows of ticket_seen, in the order of their ids.  Somebody who wrote his
 * heartbeat himself and keeps his transaction open must not hold up the timers:
 * soon given up and tried again later, when nothing has been lost.
 */
void
qms_run_heartbeats(QmsTaskRun *run, int64 item pg_attribute_unused())
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.ticket_seen AS s (ticket_id, organization_id, seen_at) "
								   "SELECT t.ticket_id, t.organization_id, b.seen_at "
								   "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) b (ticket_id, seen_at) "
								   "JOIN qms.ticket t ON t.ticket_id = b.ticket_id ORDER BY t.ticket_id "
								   "ON CONFLICT (ticket_id, organization_id) DO UPDATE SET seen_at = excluded.seen_at "
								   "WHERE s.seen_at < excluded.seen_at", INT8ARRAYOID, TIMESTAMPTZARRAYOID);
	static bool registered = false;
	QmsParams	params = {0};

	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		registered = true;
	}
	(void) set_config_option("lock_timeout", "200ms", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	/* Before looking: whoever is noted afterwards rings again. */
	if (next_bucket == 0)
	{
		qms_doorbell_answer_beats();
		flush_at = DT_NOEND;
	}
	nwritten = qms_heartbeat_copy(&next_bucket, written_ids, written_at, FLUSH_ROWS);
	if (next_bucket != 0)
		qms_task_next(run, run->call->now);
	if (nwritten == 0)
		return;
	qms_param_pointer(&params, qms_array_make(written_ids, nwritten, INT8OID));
	qms_param_pointer(&params, qms_array_make(written_at, nwritten, TIMESTAMPTZOID));
	qms_spi_run(&plan, &params);
}

/* ---- waiters who have not been heard of ---- */

#define SILENT_ROWS 1000		/* of heartbeats, looked at in one turn */
#define SILENT_LOOK (30 * USECS_PER_SEC)
#define SILENT_PAUSE (5 * USECS_PER_SEC)

typedef struct Silent
{
	int64		ticket_id;
	int64		queue_id;		/* 0: the ticket is no longer open */
	TimestampTz seen_at;
	bool		in_line;		/* waits or is on hold */
} Silent;

/* Since when we would have heard of whoever is there. */
static TimestampTz listening_since = QMS_NO_TIME;

/* Nobody could be heard of for a while: all silence begins now. */
void
qms_silence_forgive(TimestampTz now)
{
	listening_since = now;
}

/* The moment that silence is counted from. */
static TimestampTz
silent_since(int64 ticket_id, TimestampTz written)
{
	TimestampTz heard = Max(written, qms_heartbeat_noted(ticket_id));

	return Max(heard, listening_since);
}

static void
plan_one_silent(QmsTaskRun *run, QmsQueue *queue, void *arg)
{
	const Silent *silent = arg;
	int64		timeout = queue->settings.heartbeat_timeout;
	TimestampTz due;

	if (timeout == 0 || !silent->in_line)
		return;
	due = silent_since(silent->ticket_id, silent->seen_at) + timeout;
	if (due <= run->call->now)
		qms_task_add(run, silent->ticket_id);
	else
		qms_task_next(run, due);
}

/*
 * How often to look.  A heartbeat does not bring this task forward, so where
 * heartbeats count the scheduler looks every now and then; elsewhere rarely, to
 * tidy up.
 */
static TimestampTz
next_silent_look(TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT 1 FROM qms.queue WHERE deleted_at IS NULL AND settings ? 'heartbeat_timeout' LIMIT 1");

	return now + (qms_spi_run(&plan, NULL) > 0 ? SILENT_LOOK : USECS_PER_HOUR);
}

/* The next rows, by ticket; *n of them. */
static Silent *
read_rows(int64 after, uint64 *n)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.ticket_id, t.queue_id, greatest(s.seen_at, t.entered_at), t.state IN ('waiting', 'on_hold') "
								   "FROM qms_internal.ticket_seen s LEFT JOIN qms.ticket t ON t.ticket_id = s.ticket_id "
								   "WHERE s.ticket_id > $1 ORDER BY s.ticket_id LIMIT $2", INT8OID, INT4OID);
	QmsParams	params = {0};
	Silent	   *silent;
	uint64		i;

	qms_param_int64(&params, after);
	qms_param_int32(&params, SILENT_ROWS);
	*n = qms_spi_run(&plan, &params);
	silent = palloc(sizeof(Silent) * Max(*n, 1));
	for (i = 0; i < *n; i++)
	{
		silent[i].ticket_id = qms_spi_int64(i, 0);
		silent[i].queue_id = qms_spi_int64(i, 1);
		silent[i].seen_at = qms_spi_time(i, 2);
		silent[i].in_line = qms_spi_bool(i, 3);
	}
	return silent;
}

/*
 * The rows are gone through by ticket, some at a time, in turns that follow one
 * another: those that have long to live, or for ever, hide nobody.
 */
void
qms_plan_silent(QmsTaskRun *run)
{
	static int64 looked_up_to = 0;
	static TimestampTz next = DT_NOEND;	/* of the rows looked at before */
	Silent	   *silent;
	uint64		n;
	uint64		i;

	/* The clock may have gone back. */
	if (listening_since == QMS_NO_TIME || listening_since > run->call->now)
		listening_since = run->call->now;
	silent = read_rows(looked_up_to, &n);
	for (i = 0; i < n && !run->more; i++)
	{
		if (silent[i].queue_id == 0)
			qms_task_add(run, silent[i].ticket_id);
		else
			(void) qms_task_with_queue(run, silent[i].queue_id, plan_one_silent, &silent[i]);
		if (!run->more)
			looked_up_to = silent[i].ticket_id;
	}
	if (run->more || n == SILENT_ROWS)
	{
		next = Min(next, run->next);
		run->next = run->call->now;
		run->more = false;
		return;
	}
	/* The end: not at once again, or each heartbeat of many would be a round through all. */
	run->next = Max(Min(next, run->next), run->call->now + SILENT_PAUSE);
	qms_task_next(run, next_silent_look(run->call->now));
	looked_up_to = 0;
	next = DT_NOEND;
}

/* Heard of meanwhile?  The ticket is locked. */
static bool
is_silent(QmsTaskRun *run, const QmsTicket *ticket)
{
	static QmsPlan seen = QMS_PLAN("SELECT seen_at FROM qms_internal.ticket_seen WHERE ticket_id = $1", INT8OID);
	int64		ticket_id = qms_row_int64(ticket, T_ticket_id);
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));
	QmsParams	params = {0};
	TimestampTz since;

	qms_param_int64(&params, ticket_id);
	if (queue == NULL || queue->settings.heartbeat_timeout == 0 || qms_spi_run(&seen, &params) == 0)
		return false;
	since = silent_since(ticket_id, Max(qms_spi_time(0, 0), qms_row_time(ticket, T_entered_at)));
	return since + queue->settings.heartbeat_timeout <= run->call->now;
}

void
qms_run_silent(QmsTaskRun *run, int64 ticket_id)
{
	static QmsPlan forget = QMS_PLAN("DELETE FROM qms_internal.ticket_seen WHERE ticket_id = $1", INT8OID);
	QmsParams	params = {0};
	QmsTicket  *ticket;
	QmsState	state;

	qms_visit_lock_of(ticket_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	if (ticket != NULL)
	{
		state = qms_ticket_state(ticket);
		if ((state != QMS_WAITING && state != QMS_ON_HOLD) || !is_silent(run, ticket))
			return;
		qms_finish(run->call, ticket, QMS_EXPIRED, NULL, "not heard of", true);
	}
	qms_param_int64(&params, ticket_id);
	qms_spi_run(&forget, &params);
}
