/*
 * gate.c
 *		A rate and those who share it: a release queue alone, or the queues of a
 *		release pool.
 *
 * Lock: whoever lets somebody in, or changes how fast, holds the row of the gate
 * in qms_internal.release_gate FOR NO KEY UPDATE to the end of his transaction.
 * It comes after all locks of lock.c; of tickets its holder takes only those that
 * are free (SKIP LOCKED), so he waits for nobody.  A queue changes its pool under
 * the locks of both gates.
 */
#include "release/release.h"

#include "catalog/pg_type.h"
#include "utils/inval.h"

#define GATE_COLUMNS \
	"g.organization_id, g.segment_at, g.segment_base, g.segment_rest, g.speed, g.released, g.load_factor, g.load_at, " \
	"g.no_show, g.missed, g.due, g.recent, g.recent_at, g.pass"

/* The most that those who do not come may add: ten are let in for one who comes. */
#define MOST_NO_SHOWS 900

/* For so long the gate may have been waited for. */
#define LONGEST_WAIT (10 * USECS_PER_SEC)

void
qms_gate_make(int64 gate, int64 organization_id, TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.release_gate (gate, organization_id, segment_at) "
								   "VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, gate);
	qms_param_int64(&params, organization_id);
	qms_param_time(&params, now);
	qms_spi_run(&plan, &params);
}

void
qms_gate_make_queue(int64 queue_id, int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.release_queue (queue_id, organization_id) "
								   "VALUES ($1, $2) ON CONFLICT DO NOTHING", INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, organization_id);
	qms_spi_run(&plan, &params);
}

static void
read_recent(QmsGate *gate, int column)
{
	bool		isnull;
	Datum		value = qms_spi_datum(0, column, &isnull);
	int			n;
	int64	   *recent = qms_array_read(value, &n);

	gate->nrecent = Min(n, QMS_RECENT);
	memcpy(gate->recent, recent, sizeof(int64) * gate->nrecent);
}

/* The row of the present result. */
static QmsGate *
fetch_gate(int64 id)
{
	QmsGate    *gate = palloc0(sizeof(QmsGate));

	gate->gate = id;
	gate->organization_id = qms_spi_int64(0, 0);
	gate->segment.at = qms_spi_time(0, 1);
	gate->segment.base = qms_spi_int64(0, 2);
	gate->segment.rest = qms_spi_int64(0, 3);
	gate->segment.speed = qms_spi_int64(0, 4);
	gate->released = qms_spi_int64(0, 5);
	gate->load_factor = qms_spi_int32(0, 6);
	gate->load_at = qms_spi_time(0, 7);
	gate->no_show = qms_spi_int32(0, 8);
	gate->missed = qms_spi_int64(0, 9);
	gate->due = qms_spi_int64(0, 10);
	read_recent(gate, 11);
	gate->recent_at = qms_spi_time(0, 12);
	gate->pass = qms_spi_int64(0, 13);
	return gate;
}

/*
 * From when on the queue lets people in, as things are: nobody before it opens,
 * or before the draw of its lottery is complete.
 */
static TimestampTz
starts_at(const QmsQueue *queue, TimestampTz stopped_at)
{
	TimestampTz from = queue->settings.opens_at;

	if (queue->status == 'p' || stopped_at != QMS_NO_TIME)
		return DT_NOEND;
	if (from != QMS_NO_TIME && queue->settings.lottery)
	{
		TimestampTz drawn = qms_lottery_drawn(queue);

		from = drawn == QMS_NO_TIME ? DT_NOEND : Max(from, drawn);
	}
	return from;
}

/* The queues that share the gate, in the order of their ids. */
static void
read_queues(QmsGate *gate)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT r.queue_id, r.inside, r.pass, r.released, r.claimed, r.missed, r.ended, r.abandoned, r.stopped_at "
								   "FROM qms_internal.release_queue r WHERE r.queue_id = $1 AND $2 > 0 UNION ALL "
								   "SELECT r.queue_id, r.inside, r.pass, r.released, r.claimed, r.missed, r.ended, r.abandoned, r.stopped_at "
								   "FROM qms.queue q JOIN qms_internal.release_queue r ON r.queue_id = q.queue_id "
								   "WHERE q.organization_id = $2 AND q.release_pool_id = - $1 AND q.deleted_at IS NULL "
								   "ORDER BY 1", INT8OID, INT8OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;
	int			kept = 0;

	qms_param_int64(&params, gate->gate);
	qms_param_int64(&params, gate->organization_id);
	n = qms_spi_look(&plan, &params);
	gate->queues = palloc0(sizeof(QmsGateQueue) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		QmsGateQueue *q = &gate->queues[i];

		q->queue_id = qms_spi_int64(i, 0);
		q->inside = qms_spi_int64(i, 1);
		q->pass = qms_spi_int64(i, 2);
		q->released = qms_spi_int64(i, 3);
		q->claimed = qms_spi_int64(i, 4);
		q->missed = qms_spi_int64(i, 5);
		q->ended = qms_spi_int64(i, 6);
		q->abandoned = qms_spi_int64(i, 7);
		q->stopped_at = qms_spi_time(i, 8);
	}
	for (i = 0; i < n; i++)
	{
		QmsQueue   *queue = qms_config_queue(gate->queues[i].queue_id);

		/* Deleted, or in another pool by now. */
		if (queue == NULL || !queue->is_release || qms_release_gate_of(queue) != gate->gate)
			continue;
		gate->queues[kept] = gate->queues[i];
		gate->queues[kept].queue = queue;
		gate->queues[kept].starts_at = starts_at(queue, gate->queues[i].stopped_at);
		kept++;
	}
	gate->nqueues = kept;
}

/*
 * Lock a gate; NULL if it is not free and we are not to wait.  Afterwards the
 * configuration is as new as the lock.
 */
QmsGate *
qms_gate_lock(int64 id, int64 organization_id, TimestampTz now, bool wait)
{
	static QmsPlan plans[] = {
		QMS_PLAN("SELECT " GATE_COLUMNS " FROM qms_internal.release_gate g WHERE g.gate = $1 FOR NO KEY UPDATE SKIP LOCKED", INT8OID),
		QMS_PLAN("SELECT " GATE_COLUMNS " FROM qms_internal.release_gate g WHERE g.gate = $1 FOR NO KEY UPDATE", INT8OID)
	};
	QmsParams	params = {0};
	QmsGate    *gate;

	qms_param_int64(&params, id);
	if (qms_spi_run(&plans[wait], &params) == 0)
	{
		static QmsPlan there = QMS_PLAN("SELECT 1 FROM qms_internal.release_gate WHERE gate = $1", INT8OID);

		if (qms_spi_look(&there, &params) > 0 && !wait)
			return NULL;
		qms_gate_make(id, organization_id, now);
		if (id > 0)
			qms_gate_make_queue(id, organization_id);
		if (qms_spi_run_now(&plans[wait], &params) == 0)
			return NULL;
	}
	gate = fetch_gate(id);
	AcceptInvalidationMessages();
	qms_config_refresh();
	read_queues(gate);
	return gate;
}

/* A gate as it is, not locked; NULL if it has no row yet. */
QmsGate *
qms_gate_read(int64 id, int64 organization_id pg_attribute_unused())
{
	static QmsPlan plan = QMS_PLAN("SELECT " GATE_COLUMNS " FROM qms_internal.release_gate g WHERE g.gate = $1", INT8OID);
	QmsParams	params = {0};
	QmsGate    *gate;

	qms_param_int64(&params, id);
	if (qms_spi_look(&plan, &params) == 0)
		return NULL;
	gate = fetch_gate(id);
	read_queues(gate);
	return gate;
}

QmsGateQueue *
qms_gate_queue_of(QmsGate *gate, int64 queue_id)
{
	int			i;

	for (i = 0; i < gate->nqueues; i++)
	{
		if (gate->queues[i].queue_id == queue_id)
			return &gate->queues[i];
	}
	return NULL;
}

/* Add up what has changed; the gate is locked, the snapshot is taken now. */
void
qms_gate_fold(QmsGate *gate)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH gone AS (DELETE FROM qms_internal.release_delta WHERE queue_id = ANY ($1) "
								   "RETURNING queue_id, inside, claimed, missed, ended, abandoned) "
								   "SELECT queue_id, pg_catalog.sum(inside), pg_catalog.sum(claimed), pg_catalog.sum(missed), "
								   "pg_catalog.sum(ended), pg_catalog.sum(abandoned) FROM gone GROUP BY queue_id", INT8ARRAYOID);
	int64	   *ids = palloc(sizeof(int64) * Max(gate->nqueues, 1));
	QmsParams	params = {0};
	uint64		n;
	uint64		i;
	int			j;

	for (j = 0; j < gate->nqueues; j++)
		ids[j] = gate->queues[j].queue_id;
	qms_param_pointer(&params, qms_array_make(ids, gate->nqueues, INT8OID));
	n = qms_spi_run_now(&plan, &params);
	for (i = 0; i < n; i++)
	{
		QmsGateQueue *q = qms_gate_queue_of(gate, qms_spi_int64(i, 0));

		q->inside += qms_spi_int64(i, 1);
		q->claimed += qms_spi_int64(i, 2);
		q->missed += qms_spi_int64(i, 3);
		q->ended += qms_spi_int64(i, 4);
		q->abandoned += qms_spi_int64(i, 5);
		q->dirty = true;
		gate->missed += qms_spi_int64(i, 3);
		gate->dirty = true;
	}
}

/* ---- those who do not come ---- */

/* The longest that somebody who was let in may take to come. */
static int64
longest_window(const QmsGate *gate)
{
	int64		longest = USECS_PER_SEC;
	int			i;

	for (i = 0; i < gate->nqueues; i++)
		longest = Max(longest, gate->queues[i].queue->settings.claim_window);
	return longest;
}

/* Remember how many have been let in by now, each time that a part of the window has passed. */
static void
remember_recent(QmsGate *gate, TimestampTz now)
{
	int64		step = longest_window(gate) / (QMS_RECENT - 1);
	int64		steps;
	int64		i;

	if (gate->recent_at == QMS_NO_TIME || gate->recent_at > now)
		steps = 1;
	else
		steps = (now - gate->recent_at) / step;
	if (steps <= 0)
		return;
	gate->recent_at = gate->recent_at == QMS_NO_TIME || gate->recent_at > now ? now : gate->recent_at + steps * step;
	for (i = 0; i < Min(steps, QMS_RECENT); i++)
	{
		memmove(&gate->recent[1], &gate->recent[0], sizeof(int64) * (QMS_RECENT - 1));
		gate->recent[0] = gate->due;
		gate->nrecent = Min(gate->nrecent + 1, QMS_RECENT);
	}
	gate->dirty = true;
}

/* How many were let in so long ago that they have come, or never will. */
static int64
decided(const QmsGate *gate, TimestampTz now)
{
	int64		step = longest_window(gate) / (QMS_RECENT - 1);
	int64		since = Max(now - gate->recent_at, 0);

	if (gate->nrecent < QMS_RECENT)
		return 0;
	/* Between the two moments that the beginning of the window lies between. */
	return gate->recent[QMS_RECENT - 1] +
		(int64) ((double) (gate->recent[QMS_RECENT - 2] - gate->recent[QMS_RECENT - 1]) * Min(since, step) / step);
}

/*
 * The share of no-shows, in thousandths: (a + missed) / (a + b + decided) with
 * a = 1 and b = 9, so one in ten until more is known.  0 where it does not count.
 */
static int
no_show_share(const QmsGate *gate, TimestampTz now)
{
	int			i;

	for (i = 0; i < gate->nqueues; i++)
	{
		if (!gate->queues[i].queue->settings.no_show_compensation)
			return 0;
	}
	return (int) Min(1000 * (1 + gate->missed) / (10 + Max(decided(gate, now), gate->missed)), MOST_NO_SHOWS);
}

/* ---- the speed ---- */

/*
 * The moment that counts.  Somebody who has waited for the gate is late by that:
 * for him it is what it was for those before him.  If it is much earlier, the
 * clock has gone back: from here on it goes on.
 */
static TimestampTz
follow_clock(QmsGate *gate, TimestampTz now)
{
	QmsSegment *segment = &gate->segment;

	if (segment->at > now && segment->at - now <= LONGEST_WAIT)
		now = segment->at;
	if (segment->at <= now && qms_segment_count(segment, now + LONGEST_WAIT) >= gate->released)
		return now;
	segment->at = now;
	segment->base = Max(segment->base, gate->released);
	segment->rest = 0;
	gate->dirty = true;
	return now;
}

/*
 * Let the segment follow what holds at this moment: the rate, the load, no-shows,
 * and whether anybody is let in at all.  A start that was set beforehand counts
 * from that moment, however late we come.
 */
void
qms_gate_follow(QmsGate *gate, TimestampTz now)
{
	QmsSegment *segment = &gate->segment;
	TimestampTz from = DT_NOEND;
	int64		speed = 0;
	int			i;

	now = follow_clock(gate, now);
	remember_recent(gate, now);
	gate->no_show = no_show_share(gate, now);
	for (i = 0; i < gate->nqueues; i++)
	{
		if (gate->queues[i].starts_at > now)
			continue;
		from = Min(from, gate->queues[i].starts_at);
		speed = qms_release_speed(gate->queues[i].queue, gate->load_factor, gate->no_show);
	}
	if (segment->speed > 0)
		gate->dirty = qms_segment_cap(segment, now, gate->released) || gate->dirty;
	if (speed == segment->speed)
		return;
	qms_segment_change(segment, segment->speed == 0 && from > segment->at && from < now ? from : now, speed);
	if (speed > 0)
		(void) qms_segment_cap(segment, now, gate->released);
	gate->dirty = true;
}

/* ---- written back ---- */

static void
store_queue(const QmsGateQueue *q)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.release_queue SET inside = $2, pass = $3, released = $4, claimed = $5, missed = $6, "
								   "ended = $7, abandoned = $8 WHERE queue_id = $1",
								   INT8OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, q->queue_id);
	qms_param_int32(&params, (int32) q->inside);
	qms_param_int64(&params, q->pass);
	qms_param_int64(&params, q->released);
	qms_param_int64(&params, q->claimed);
	qms_param_int64(&params, q->missed);
	qms_param_int64(&params, q->ended);
	qms_param_int64(&params, q->abandoned);
	qms_spi_run_now(&plan, &params);
}

/* Write what has changed. */
void
qms_gate_store(QmsGate *gate)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.release_gate SET segment_at = $2, segment_base = $3, segment_rest = $4, speed = $5, "
								   "released = $6, load_factor = $7, load_at = $8, no_show = $9, missed = $10, due = $11, recent = $12, "
								   "recent_at = $13, pass = $14 WHERE gate = $1",
								   INT8OID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID, INT4OID, TIMESTAMPTZOID, INT4OID,
								   INT8OID, INT8OID, INT8ARRAYOID, TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};
	int			i;

	for (i = 0; i < gate->nqueues; i++)
	{
		if (gate->queues[i].dirty)
			store_queue(&gate->queues[i]);
		gate->queues[i].dirty = false;
	}
	if (!gate->dirty)
		return;
	gate->dirty = false;
	qms_param_int64(&params, gate->gate);
	qms_param_time(&params, gate->segment.at);
	qms_param_int64(&params, gate->segment.base);
	qms_param_int64(&params, gate->segment.rest);
	qms_param_int64(&params, gate->segment.speed);
	qms_param_int64(&params, gate->released);
	qms_param_int32(&params, gate->load_factor);
	qms_param_time(&params, gate->load_at);
	qms_param_int32(&params, gate->no_show);
	qms_param_int64(&params, gate->missed);
	qms_param_int64(&params, gate->due);
	qms_param_pointer(&params, qms_array_make(gate->recent, gate->nrecent, INT8OID));
	qms_param_time(&params, gate->recent_at);
	qms_param_int64(&params, gate->pass);
	qms_spi_run_now(&plan, &params);
}
