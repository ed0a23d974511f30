/*
 * draw.c
 *		The draw: who was there at opens_at is put into a random order.
 *
 * In steps, each a transaction of its own, so that a draw of many people stops
 * neither joins nor other work, and goes on after a crash where it was.
 *
 *	close	Under the exclusive lock of the queue, which joins hold shared to the
 *			end of their transactions: whoever came before opens_at has committed,
 *			and whoever joins from now on gets opens_at or later (queue/lottery.c).
 *	list	Everybody who waits or is on hold and came before opens_at, as of one
 *			snapshot.  Nobody can be added to them any more; the hash of the list
 *			and the seed, promised before, give the order:
 *				key = sha256(seed || list_hash || ticket_id), the ticket's id and
 *				those of the list as 8 bytes, big endian.
 *	place	The n-th by key gets an effective_arrival as many microseconds before
 *			opens_at as there are from him to the end of the list, and his credit
 *			counts from there.  So much people at a time.
 *	tell	With the last of them the seed is told, and letting in begins.
 *
 * Whoever leaves meanwhile leaves a gap.  Events of single tickets are not
 * written: queue.lottery_drawn and the entries say where everybody is.
 */
#include "room/room.h"

#include "catalog/pg_type.h"
#include "utils/guc.h"

#define PLACES_AT_ONCE 1000

/* How long joins, and other work, may be kept waiting for somebody who does not commit. */
#define PATIENCE "200ms"

typedef struct Draw
{
	int64		queue_id;
	int64		organization_id;
	TimestampTz opens_at;		/* QMS_NO_TIME: the list is not closed */
	int64		entries;		/* -1: there is no list */
	int64		placed;
} Draw;

/* The draw of a queue, locked; false if there is none, or it is complete. */
static bool
lock_draw(Draw *draw)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT organization_id, opens_at, coalesce(entries, -1), placed FROM qms_internal.lottery "
								   "WHERE queue_id = $1 AND drawn_at IS NULL FOR NO KEY UPDATE", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, draw->queue_id);
	if (qms_spi_run(&plan, &params) == 0)
		return false;
	draw->organization_id = qms_spi_int64(0, 0);
	draw->opens_at = qms_spi_time(0, 1);
	draw->entries = qms_spi_int32(0, 2);
	draw->placed = qms_spi_int32(0, 3);
	return true;
}

/* Is the list closed, or the draw complete? */
static bool
is_closed(int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms_internal.lottery WHERE queue_id = $1 AND closed_at IS NOT NULL", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	return qms_spi_look(&plan, &params) > 0;
}

typedef struct Patience
{
	void		(*function) (Draw *draw);
	Draw	   *draw;
} Patience;

static void
with_timeout(void *arg)
{
	Patience   *patience = arg;
	int			nestlevel = NewGUCNestLevel();

	(void) set_config_option("lock_timeout", PATIENCE, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	patience->function(patience->draw);
	AtEOXact_GUC(true, nestlevel);
}

/*
 * Do what may have to wait for others, but not for long: who waits behind us for
 * the queue waits too, and so does all other work of the scheduler.  False if it
 * was not done for that.
 */
static bool
try_for_a_moment(void (*function) (Draw *draw), Draw *draw)
{
	Patience	patience = {function, draw};
	ErrorData  *error = qms_try(with_timeout, &patience);

	if (error == NULL)
		return true;
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
		ReThrowError(error);
	FreeErrorData(error);
	return false;
}

static void
lock_queue(Draw *draw)
{
	qms_lock(QMS_LOCK_QUEUE, draw->queue_id, true);
}

/* The moment has come: nobody can be added to those who take part. */
static QmsDrawStep
close_list(QmsCall *call, const Draw *draw)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.lottery SET opens_at = $2, closed_at = $3 "
								   "WHERE queue_id = $1 AND closed_at IS NULL", INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsQueue   *queue;

	qms_config_refresh();
	queue = qms_config_queue(draw->queue_id);
	if (queue == NULL || !queue->settings.lottery || queue->settings.opens_at == QMS_NO_TIME ||
		queue->settings.opens_at > call->now)
		return QMS_DRAW_NOTHING;
	qms_param_int64(&params, draw->queue_id);
	qms_param_time(&params, queue->settings.opens_at);
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
	return QMS_DRAW_MORE;
}

/* Who takes part, and in which order: one statement, so one snapshot. */
static void
make_list(Draw *draw)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH list AS MATERIALIZED (SELECT ticket_id, credit FROM qms.ticket WHERE queue_id = $1 "
								   " AND state IN ('waiting', 'on_hold') AND effective_arrival < $3), "
								   "hash AS MATERIALIZED (SELECT pg_catalog.count(*)::pg_catalog.int4 AS entries, "
								   " pg_catalog.sha256(coalesce(pg_catalog.string_agg(pg_catalog.int8send(ticket_id), ''::pg_catalog.bytea "
								   " ORDER BY ticket_id), ''::pg_catalog.bytea)) AS list_hash FROM list), "
								   "entries AS (INSERT INTO qms_internal.lottery_entry (queue_id, organization_id, rank, ticket_id, credit) "
								   " SELECT $1, $2, pg_catalog.row_number() OVER (ORDER BY "
								   "  pg_catalog.sha256(s.seed || hash.list_hash || pg_catalog.int8send(list.ticket_id)), list.ticket_id), "
								   "  list.ticket_id, list.credit FROM list, hash, qms_internal.lottery_seed s WHERE s.queue_id = $1) "
								   "UPDATE qms_internal.lottery l SET entries = hash.entries, list_hash = hash.list_hash "
								   "FROM hash WHERE l.queue_id = $1 RETURNING l.entries", INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, draw->queue_id);
	qms_param_int64(&params, draw->organization_id);
	qms_param_time(&params, draw->opens_at);
	qms_spi_run(&plan, &params);
	draw->entries = qms_spi_int32(0, 0);
}

/*
 * Give the next ones their places.  A place that somebody has let others pass by
 * is part of his credit.
 */
static void
place_some(Draw *draw)
{
	static QmsPlan place = QMS_PLAN(
									"UPDATE qms.ticket t SET effective_arrival = $2 - ($5 - e.rank + 1) * '1 microsecond'::pg_catalog.interval, "
									"sort_key = $6 - ($5 - e.rank + 1) - (pg_catalog.extract('epoch', t.credit) * 1000000)::pg_catalog.int8 "
									"FROM qms_internal.lottery_entry e WHERE e.queue_id = $1 AND e.rank > $3 AND e.rank <= $4 "
									"AND t.ticket_id = e.ticket_id AND t.organization_id = e.organization_id AND t.queue_id = $1 "
									"AND t.state IN ('waiting', 'on_hold')",
									INT8OID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID);
	static QmsPlan note = QMS_PLAN(
								   "UPDATE qms_internal.lottery SET placed = $2 WHERE queue_id = $1", INT8OID, INT8OID);
	int64		until = Min(draw->placed + PLACES_AT_ONCE, draw->entries);
	QmsParams	params = {0};
	QmsParams	done = {0};

	qms_param_int64(&params, draw->queue_id);
	qms_param_time(&params, draw->opens_at);
	qms_param_int64(&params, draw->placed);
	qms_param_int64(&params, until);
	qms_param_int64(&params, draw->entries);
	qms_param_int64(&params, draw->opens_at);
	qms_spi_run(&place, &params);
	qms_param_int64(&done, draw->queue_id);
	qms_param_int64(&done, until);
	qms_spi_run(&note, &done);
	draw->placed = until;
}

/* Everybody has his place: tell the seed. */
static void
tell(QmsCall *call, const Draw *draw)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH s AS (DELETE FROM qms_internal.lottery_seed WHERE queue_id = $1 RETURNING seed) "
								   "UPDATE qms_internal.lottery l SET seed = s.seed, drawn_at = $2 FROM s WHERE l.queue_id = $1 "
								   "RETURNING pg_catalog.encode(l.commitment, 'hex'), pg_catalog.encode(l.seed, 'hex'), "
								   "pg_catalog.encode(l.list_hash, 'hex')", INT8OID, TIMESTAMPTZOID);
	QmsQueue   *queue = qms_config_queue(draw->queue_id);
	QmsParams	params = {0};
	QmsEvent	event = {0};
	QmsJson		json;

	qms_param_int64(&params, draw->queue_id);
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
	qms_json_begin(&json);
	qms_json_text(&json, "commitment", qms_spi_text(0, 0));
	qms_json_text(&json, "seed", qms_spi_text(0, 1));
	qms_json_text(&json, "list_hash", qms_spi_text(0, 2));
	qms_json_int64(&json, "entries", draw->entries);
	qms_json_time(&json, "opens_at", draw->opens_at);
	event.kind = "queue.lottery_drawn";
	event.organization_id = draw->organization_id;
	event.queue_id = draw->queue_id;
	event.branch_id = queue ? queue->branch_id : 0;
	event.application_id = queue ? queue->application_id : 0;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

/* The next step of the draw of a queue. */
QmsDrawStep
qms_draw_step(QmsCall *call, int64 queue_id)
{
	Draw		draw = {.queue_id = queue_id};

	/* The lock of the queue comes before that of a row. */
	if (!is_closed(queue_id))
	{
		if (!try_for_a_moment(lock_queue, &draw))
			return QMS_DRAW_BUSY;
		return lock_draw(&draw) ? close_list(call, &draw) : QMS_DRAW_NOTHING;
	}
	if (!lock_draw(&draw))
		return QMS_DRAW_NOTHING;
	if (draw.entries < 0)
	{
		make_list(&draw);
		if (draw.entries > 0)
			return QMS_DRAW_MORE;
	}
	else if (!try_for_a_moment(place_some, &draw))
		return QMS_DRAW_BUSY;
	if (draw.placed < draw.entries)
		return QMS_DRAW_MORE;
	tell(call, &draw);
	return QMS_DRAW_DONE;
}
