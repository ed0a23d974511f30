/*
 * inside.c
 *		Who is inside a waiting room, and how fast it lets people in.
 *
 * Inside is whoever has been let in (released), has come (admitted) and has not
 * ended.  qms_internal.release_queue holds the number as of the last time that
 * somebody was let in, qms_internal.release_delta what has changed since.
 *
 * Whoever lowers the number appends a row and takes no lock: nobody waits in
 * order to leave.  Whoever raises it holds the lock of the gate (release/gate.c)
 * and adds the rows up in a snapshot taken under it: he may see too few that have
 * left, never too many, so a limit is never exceeded.
 */
#include "queue/queue.h"

#include "access/xact.h"
#include "catalog/pg_type.h"

void		(*qms_queue_status_hook) (QmsCall *call, int64 queue_id, char status) = NULL;

/*
 * The bells.  The scheduler says of each queue what it listens for, then looks for
 * the last time.  Whoever comes into a line, or makes room, asks after his commit
 * whether anybody listens: one of the two sees the other.
 */
static void
note_bell(int64 queue_id, uint32 bit)
{
	QmsSlot    *slot = qms_slot(queue_id);

	if (slot != NULL)
		qms_doorbell_note_bell(&slot->interest, bit);
}

/* Somebody begins to wait, whoever writes it: asked by the trigger, of every kind of queue. */
void
qms_inside_note_line(int64 queue_id)
{
	note_bell(queue_id, QMS_BELL_LINE);
}

/* Somebody has gone from inside; where there is no shared memory for the queue, all are looked at. */
void
qms_inside_note_room(int64 queue_id)
{
	note_bell(queue_id, QMS_BELL_ROOM);
	if (qms_slot(queue_id) == NULL)
		qms_doorbell_note_work(QMS_WAKE_ROOM);
}

/* What the scheduler listens for from now on; what was rung stays rung. */
void
qms_inside_set_interest(int64 queue_id, uint32 interest)
{
	QmsSlot    *slot = qms_slot(queue_id);

	if (slot == NULL)
		return;
	pg_atomic_fetch_or_u32(&slot->interest, interest);
	/* Full barriers, before the look that follows. */
	pg_atomic_fetch_and_u32(&slot->interest, interest | QMS_BELL_RUNG);
}

/* Has the bell of the queue been rung?  "otherwise": the answer of a queue that has none. */
bool
qms_inside_is_rung(int64 queue_id, bool otherwise)
{
	QmsSlot    *slot = qms_slot(queue_id);

	return slot == NULL ? otherwise : (pg_atomic_read_u32(&slot->interest) & QMS_BELL_RUNG) != 0;
}

/* Does anybody listen for this queue?  True also of one that has no bell. */
bool
qms_inside_is_listened_for(int64 queue_id)
{
	QmsSlot    *slot = qms_slot(queue_id);

	return slot == NULL || pg_atomic_read_u32(&slot->interest) != 0;
}

/* We look now: what was rung has been heard. */
void
qms_inside_answer(int64 queue_id)
{
	QmsSlot    *slot = qms_slot(queue_id);

	if (slot != NULL)
		pg_atomic_fetch_and_u32(&slot->interest, ~(uint32) QMS_BELL_RUNG);
}

static void
append(const QmsTicket *ticket, int inside, int claimed, int missed, int ended, int abandoned)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.release_delta (organization_id, queue_id, inside, claimed, missed, ended, abandoned) "
								   "VALUES ($1, $2, $3, $4, $5, $6, $7)",
								   INT8OID, INT8OID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID);
	QmsParams	params = {0};

	/* A row's id is above those of every transaction that had ended when this one began to write. */
	(void) GetTopTransactionId();
	qms_param_int64(&params, qms_row_int64(ticket, T_organization_id));
	qms_param_int64(&params, qms_row_int64(ticket, T_queue_id));
	qms_param_int32(&params, inside);
	qms_param_int32(&params, claimed);
	qms_param_int32(&params, missed);
	qms_param_int32(&params, ended);
	qms_param_int32(&params, abandoned);
	qms_spi_run(&plan, &params);
}

/*
 * A ticket ends, from this state: if it was inside, there is room for another; if
 * it was in the line of a waiting room, those who tell their own place hear of it.
 */
void
qms_inside_note_left(const QmsTicket *ticket, QmsState from)
{
	if (qms_row_isnull(ticket, T_number) && (from == QMS_WAITING || from == QMS_ON_HOLD))
		append(ticket, 0, 0, 0, 0, 1);
	if (from != QMS_RELEASED && from != QMS_ADMITTED)
		return;
	append(ticket, -1, 0, from == QMS_RELEASED, from == QMS_ADMITTED, 0);
	qms_inside_note_room(qms_row_int64(ticket, T_queue_id));
}

/* One who was let in has come: released becomes admitted. */
void
qms_inside_note_claimed(const QmsTicket *ticket)
{
	append(ticket, 0, 1, 0, 0, 0);
}

/* What shares the rate: a pool, as the negative of its id, or the queue alone. */
int64
qms_release_gate_of(const QmsQueue *queue)
{
	return queue->release_pool_id != 0 ? -queue->release_pool_id : queue->queue_id;
}

/*
 * The speed with what reported load leaves of it, and with so many more as do not
 * come.  Rounded down to the exact integer that speeds are.
 */
int64
qms_release_speed(const QmsQueue *queue, int load_factor, int no_show)
{
	return (int64) ((__int128) queue->rate_speed * load_factor / (1000 - no_show));
}

/* The part of a pool's speed that falls to one of its queues, as those are that have people waiting now. */
static int64
share_of_pool(const QmsQueue *queue, int64 speed)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.sum(coalesce((q.settings->>'weight')::pg_catalog.int8, 1))::pg_catalog.int8 "
								   "FROM qms.queue q WHERE q.organization_id = $1 AND q.release_pool_id = $2 AND q.deleted_at IS NULL "
								   "AND (q.queue_id = $3 OR EXISTS (SELECT 1 FROM qms.ticket t WHERE t.queue_id = q.queue_id AND t.state = 'waiting'))",
								   INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};
	int64		weights;

	if (queue->release_pool_id == 0)
		return speed;
	qms_param_int64(&params, queue->organization_id);
	qms_param_int64(&params, queue->release_pool_id);
	qms_param_int64(&params, queue->queue_id);
	qms_spi_look(&plan, &params);
	weights = Max(qms_spi_int64(0, 0), queue->settings.weight);
	return (int64) ((__int128) speed * queue->settings.weight / Max(weights, 1));
}

/* The figures of a release queue as they are committed now; false if it is none. */
bool
qms_release_figures(const QmsQueue *queue, QmsReleaseFigures *figures)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT g.speed, g.no_show, g.load_factor, (q.inside + d.inside)::pg_catalog.int8, q.released, (q.claimed + d.claimed)::pg_catalog.int8, "
								   "(q.missed + d.missed)::pg_catalog.int8, (q.ended + d.ended)::pg_catalog.int8, (q.abandoned + d.abandoned)::pg_catalog.int8, q.stopped_at "
								   "FROM qms_internal.release_queue q LEFT JOIN qms_internal.release_gate g ON g.gate = $2, "
								   "LATERAL (SELECT coalesce(pg_catalog.sum(e.inside), 0) AS inside, "
								   "coalesce(pg_catalog.sum(e.claimed), 0) AS claimed, coalesce(pg_catalog.sum(e.missed), 0) AS missed, "
								   "coalesce(pg_catalog.sum(e.ended), 0) AS ended, "
								   "coalesce(pg_catalog.sum(e.abandoned), 0) AS abandoned "
								   "FROM qms_internal.release_delta e WHERE e.queue_id = q.queue_id) d WHERE q.queue_id = $1",
								   INT8OID, INT8OID);
	static QmsPlan pool = QMS_PLAN(
								   "SELECT (coalesce(pg_catalog.sum(r.inside), 0) + coalesce(pg_catalog.sum((SELECT pg_catalog.sum(e.inside) "
								   "FROM qms_internal.release_delta e WHERE e.queue_id = q.queue_id)), 0))::pg_catalog.int8 "
								   "FROM qms.queue q JOIN qms_internal.release_queue r ON r.queue_id = q.queue_id "
								   "WHERE q.organization_id = $1 AND q.release_pool_id = $2 AND q.deleted_at IS NULL", INT8OID, INT8OID);
	QmsParams	params = {0};
	QmsParams	of_pool = {0};

	memset(figures, 0, sizeof(*figures));
	figures->load_factor = 1000;
	figures->stopped_at = QMS_NO_TIME;
	if (!queue->is_release)
		return false;
	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, qms_release_gate_of(queue));
	if (qms_spi_look(&plan, &params) > 0)
	{
		figures->gate_speed = qms_spi_int64(0, 0);
		figures->no_show = qms_spi_int32(0, 1);
		figures->load_factor = qms_spi_isnull(0, 2) ? 1000 : qms_spi_int32(0, 2);
		figures->inside = qms_spi_int64(0, 3);
		figures->released = qms_spi_int64(0, 4);
		figures->claimed = qms_spi_int64(0, 5);
		figures->missed = qms_spi_int64(0, 6);
		figures->ended = qms_spi_int64(0, 7);
		figures->abandoned = qms_spi_int64(0, 8);
		figures->stopped_at = qms_spi_time(0, 9);
	}
	figures->pool_inside = figures->inside;
	if (queue->release_pool_id != 0)
	{
		qms_param_int64(&of_pool, queue->organization_id);
		qms_param_int64(&of_pool, queue->release_pool_id);
		qms_spi_look(&pool, &of_pool);
		figures->pool_inside = qms_spi_int64(0, 0);
	}
	figures->speed = share_of_pool(queue, qms_release_speed(queue, figures->load_factor, figures->no_show));
	return true;
}

/* Has somebody stopped it?  Then nobody is let in, comes in, or is found to be in, until it is opened. */
bool
qms_release_is_stopped(int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms_internal.release_queue WHERE queue_id = $1 AND stopped_at IS NOT NULL", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	return qms_spi_look(&plan, &params) > 0;
}
