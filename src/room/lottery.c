/*
 * lottery.c
 *		The promise of a draw, and what everybody may know of it.
 *
 * With the settings lottery and opens_at a queue gets 32 random bytes, the seed,
 * and their hash is told at once (queue.lottery_committed, qms.lottery_draw).
 * That happens once in the life of a queue: taking the lottery out and putting it
 * in again, or another opens_at, brings no other seed, so nobody can roll until
 * he likes the outcome.  Once the list is closed neither can be changed.
 */
#include "room/room.h"

#include "catalog/pg_type.h"

#define SEED_SIZE 32
#define MAX_ROWS 10000

typedef enum DrawState
{
	NO_DRAW,
	COMMITTED,
	BEGUN
} DrawState;

static DrawState
draw_state(int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT closed_at IS NOT NULL FROM qms_internal.lottery WHERE queue_id = $1", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	if (qms_spi_look(&plan, &params) == 0)
		return NO_DRAW;
	return qms_spi_bool(0, 0) ? BEGUN : COMMITTED;
}

static pg_attribute_noreturn() void
refuse_setting(const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_INVALID_SETTING),
			 errmsg("%s", message), errdetail("%s", detail), errhint("%s", hint)));
}

/*
 * Are these settings fine for the draw of the queue?
 *
 * Lock: exclusive on the queue where they are other ones, to the end of the
 * transaction: the list is closed by the old ones, or not before ours.
 */
void
qms_lottery_check(int64 queue_id, const QmsQueueSettings *was, const QmsQueueSettings *will_be, TimestampTz now)
{
	bool		same = was != NULL && was->lottery == will_be->lottery && was->opens_at == will_be->opens_at;

	if (same || (!will_be->lottery && (was == NULL || !was->lottery)))
		return;
	if (was != NULL)
	{
		qms_lock(QMS_LOCK_QUEUE, queue_id, true);
		if (draw_state(queue_id) == BEGUN)
			ereport(ERROR,
					(errcode(ERRCODE_QMS_LOTTERY_BEGUN),
					 errmsg("the lottery of queue %lld has begun", (long long) queue_id),
					 errdetail("From opens_at on the settings lottery and opens_at of a queue with a lottery stay as they are."),
					 errhint("Create another queue for another opening.")));
	}
	if (!will_be->lottery)
		return;
	if (will_be->opens_at == QMS_NO_TIME)
		refuse_setting("a lottery needs the setting opens_at",
					   "Those who are there at opens_at are put into a random order.",
					   "Set opens_at as well, or leave lottery out.");
	if (will_be->opens_at <= now)
		refuse_setting("opens_at of a queue with a lottery must be in the future",
					   "The draw needs a time before it in which people come.",
					   "Set a later opens_at, or leave lottery out.");
}

/*
 * The queue has these settings now: make a seed and promise it, unless that has
 * been done.  "about" has the ids of the event.
 */
void
qms_lottery_commit(QmsCall *call, int64 queue_id, const QmsEvent *about, const QmsQueueSettings *settings)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH s AS (INSERT INTO qms_internal.lottery_seed (queue_id, organization_id, seed) "
								   "VALUES ($1, $2, $4) RETURNING seed) "
								   "INSERT INTO qms_internal.lottery (queue_id, organization_id, committed_at, commitment) "
								   "SELECT $1, $2, $3, pg_catalog.sha256(s.seed) FROM s "
								   "RETURNING pg_catalog.encode(commitment, 'hex')", INT8OID, INT8OID, TIMESTAMPTZOID, BYTEAOID);
	bytea	   *seed = palloc(VARHDRSZ + SEED_SIZE);
	QmsEvent	event = *about;
	QmsParams	params = {0};
	QmsJson		json;

	if (!settings->lottery || draw_state(queue_id) != NO_DRAW)
		return;
	SET_VARSIZE(seed, VARHDRSZ + SEED_SIZE);
	qms_random(VARDATA(seed), SEED_SIZE);
	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, about->organization_id);
	qms_param_time(&params, call->now);
	qms_param_pointer(&params, seed);
	qms_spi_run(&plan, &params);
	qms_json_begin(&json);
	qms_json_text(&json, "commitment", qms_spi_text(0, 0));
	qms_json_time(&json, "opens_at", settings->opens_at);
	event.kind = "queue.lottery_committed";
	event.queue_id = queue_id;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

/* The queue, as far as the caller may know of it. */
static QmsQueue *
find_queue(QmsCall *call, int64 queue_id)
{
	QmsQueue   *queue = qms_config_queue(queue_id);

	if (queue == NULL)
		qms_not_found("queue", queue_id);
	qms_gate_queue(call, queue);
	if (!queue->settings.is_public && !qms_gate_sees_hidden(call))
		qms_not_found("queue", queue_id);
	return queue;
}

/* Answer the rows of the present result. */
Datum
qms_room_answer(QmsCall *call, uint64 nrows, int ncolumns)
{
	Datum	   *values = palloc(sizeof(Datum) * ncolumns);
	bool	   *nulls = palloc(sizeof(bool) * ncolumns);
	uint64		r;
	int			i;

	for (r = 0; r < nrows; r++)
	{
		for (i = 0; i < ncolumns; i++)
			values[i] = qms_spi_datum((int) r, i, &nulls[i]);
		qms_answer_row(call, values, nulls);
	}
	return qms_answer_none(call);
}

QMS_FUNCTION(lottery_draw, QMS_ACT_PUBLIC, QMS_SETOF)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT queue_id, commitment, committed_at, coalesce(opens_at, $2), closed_at, entries, list_hash, "
								   "seed, drawn_at FROM qms_internal.lottery WHERE queue_id = $1", INT8OID, TIMESTAMPTZOID);
	QmsQueue   *queue = find_queue(call, qms_arg_id(call, 0, "queue_id"));
	QmsParams	params = {0};

	qms_param_int64(&params, queue->queue_id);
	qms_param_time(&params, queue->settings.opens_at);
	return qms_room_answer(call, qms_spi_run(&plan, &params), 9);
}

/* Nothing before the draw is complete: the order is told together with the seed. */
QMS_FUNCTION(lottery_entries, QMS_ACT_PUBLIC, QMS_SETOF)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT e.rank, e.ticket_id, e.credit FROM qms_internal.lottery l "
								   "JOIN qms_internal.lottery_entry e ON e.queue_id = l.queue_id "
								   "WHERE l.queue_id = $1 AND l.drawn_at IS NOT NULL AND e.rank > $2 ORDER BY e.rank LIMIT $3",
								   INT8OID, INT4OID, INT4OID);
	QmsQueue   *queue = find_queue(call, qms_arg_id(call, 0, "queue_id"));
	int32		max_rows = qms_arg_int32(call, 2, 1000);
	QmsParams	params = {0};

	if (max_rows < 1 || max_rows > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be between 1 and %d, not %d", MAX_ROWS, max_rows),
				 errdetail("It limits the rows of one answer."),
				 errhint("Ask again with the last rank as after_rank.")));
	qms_param_int64(&params, queue->queue_id);
	qms_param_int32(&params, qms_arg_int32(call, 1, 0));
	qms_param_int32(&params, max_rows);
	return qms_room_answer(call, qms_spi_run(&plan, &params), 3);
}
