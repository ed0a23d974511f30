/*
 * lifecycle.c
 *		open_queue, pause_queue, close_queue.
 */
#include "queue/queue.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"

/* A queue that the caller may work with. */
static QmsQueue *
find_queue(QmsCall *call, int64 queue_id)
{
	QmsQueue   *queue = qms_config_queue(queue_id);

	if (queue == NULL)
		qms_not_found("queue", queue_id);
	qms_gate_queue(call, queue);
	return queue;
}

/*
 * Set the status of a queue; answers its id.
 *
 * Lock: exclusive on the queue.  Joins hold it shared to the end of their
 * transaction: those that came first have committed when we get it, later ones
 * find the new status.
 */
static int64
set_status(QmsCall *call, const char *status, const char *event_kind)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.queue SET status = $2, updated_at = $3 WHERE queue_id = $1", INT8OID, TEXTOID,
								   TIMESTAMPTZOID);
	static QmsPlan hours = QMS_PLAN(
									"UPDATE qms_internal.queue_hours SET is_open = true, changed_at = $3 "
									"WHERE queue_id = $1 AND NOT is_open AND $2 <> 'closed'", INT8OID, TEXTOID, TIMESTAMPTZOID);
	int64		queue_id = qms_arg_id(call, 0, "queue_id");
	QmsParams	params = {0};
	QmsEvent	event = {0};
	QmsQueue   *queue;

	/* Nobody waits for, and holds up, a queue that is not his. */
	(void) find_queue(call, queue_id);
	qms_lock(QMS_LOCK_QUEUE, queue_id, true);
	qms_config_refresh();
	queue = find_queue(call, queue_id);
	qms_param_int64(&params, queue_id);
	qms_param_text(&params, status);
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
	/* Taken for open from here on: if its hours say otherwise, so does the scheduler. */
	qms_spi_run(&hours, &params);
	event.kind = event_kind;
	event.organization_id = queue->organization_id;
	event.branch_id = queue->branch_id;
	event.application_id = queue->application_id;
	event.queue_id = queue_id;
	event.state = status;
	qms_event_write(call, &event);
	if (queue->is_release && qms_queue_status_hook != NULL)
		qms_queue_status_hook(call, queue_id, *status);
	return queue_id;
}

/* The row of the queue, as the function's answer. */
static Datum
answer_queue(QmsCall *call, int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT * FROM qms.queue WHERE queue_id = $1", INT8OID);
	QmsParams	params = {0};
	TupleDesc	desc = qms_answer_desc(call);
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	qms_param_int64(&params, queue_id);
	qms_spi_run(&plan, &params);
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, nulls);
	return qms_answer_tuple(call, values, nulls);
}

/* One ticket, if it still waits or is on hold in that queue. */
static void
expire_one(QmsCall *call, int64 queue_id, int64 ticket_id)
{
	QmsTicket  *ticket;
	QmsState	state;

	qms_visit_lock_of(ticket_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	/* Called or gone meanwhile: it is somebody's business already. */
	if (ticket == NULL || qms_row_int64(ticket, T_queue_id) != queue_id)
		return;
	state = qms_ticket_state(ticket);
	if (state == QMS_WAITING || state == QMS_ON_HOLD)
		qms_finish(call, ticket, QMS_EXPIRED, NULL, "queue closed", true);
}

/*
 * Everybody who waits or is on hold in a closed queue goes home.  Visits in the
 * order of their ids, so that two queues in which the same people wait can be
 * closed at once.
 */
static void
expire_waiting(QmsCall *call, int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT ticket_id FROM qms.ticket WHERE queue_id = $1 AND state IN ('waiting', 'on_hold') "
								   "ORDER BY visit_id, ticket_id", INT8OID);
	QmsParams	params = {0};
	int64	   *ids;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, queue_id);
	n = qms_spi_run(&plan, &params);
	ids = palloc(sizeof(int64) * Max(n, 1));
	for (i = 0; i < n; i++)
		ids[i] = qms_spi_int64(i, 0);
	for (i = 0; i < n; i++)
	{
		/* What each leaves in memory goes with its SPI: there may be very many. */
		qms_spi_begin();
		expire_one(call, queue_id, ids[i]);
		qms_spi_end();
	}
}

QMS_FUNCTION(open_queue, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	return answer_queue(call, set_status(call, "open", "queue.opened"));
}

QMS_FUNCTION(pause_queue, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	return answer_queue(call, set_status(call, "paused", "queue.paused"));
}

QMS_FUNCTION(close_queue, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	char	   *waiting = qms_arg_isnull(call, 1) ? "serve" : qms_arg_text(call, 1, "waiting");
	bool		expire = strcmp(waiting, "expire") == 0;
	int64		queue_id;

	if (!expire && strcmp(waiting, "serve") != 0)
		qms_arg_choice_error("waiting", waiting, "serve and expire");
	queue_id = set_status(call, "closed", "queue.closed");
	if (expire)
		expire_waiting(call, queue_id);
	return answer_queue(call, queue_id);
}
