/*
 * ticket.c
 *		Rows of tickets: found, locked, stored, moved to history; their events
 *		and how they are answered.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define QMS_COLUMN_NAME(c) #c,

static const char *const ticket_columns[] = {
	QMS_TICKET_COLUMNS(QMS_COLUMN_NAME) QMS_HISTORY_COLUMNS(QMS_COLUMN_NAME)
};
static const char *const leg_columns[] = {QMS_LEG_COLUMNS(QMS_COLUMN_NAME)};

QmsTable	qms_ticket_table = {
	.schema = QMS_SCHEMA, .name = "ticket", .ncols = T_COLUMNS, .columns = ticket_columns, .nkey = 2
};
QmsTable	qms_history_table = {
	.schema = QMS_SCHEMA, .name = "ticket_history", .ncols = T_ALL_COLUMNS, .columns = ticket_columns,
	.nkey = 2
};
QmsTable	qms_leg_table = {
	.schema = QMS_SCHEMA, .name = "ticket_leg", .ncols = L_COLUMNS, .columns = leg_columns, .nkey = 2
};

QmsTicket *
qms_ticket_new(void)
{
	return qms_row_new(&qms_ticket_table);
}

/*
 * A ticket, open or past, in the columns of history; NULL if there is none.  One
 * statement, so that a ticket that ends meanwhile is seen once, and as of now,
 * also for whoever comes from a lock in REPEATABLE READ.  The caller
 * still has to check whose it is.
 */
QmsTicket *
qms_ticket_read(int64 ticket_id, bool *ended)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID);
	QmsParams	params = {0};
	QmsTicket  *ticket;

	if (plan.sql == NULL)
		plan.sql = MemoryContextStrdup(TopMemoryContext,
									   psprintf("(SELECT %s, NULL::timestamptz, NULL::text, NULL::text, NULL::text FROM qms.ticket t WHERE t.ticket_id = $1) "
												"UNION ALL (SELECT %s FROM qms.ticket_history t WHERE t.ticket_id = $1 "
												"ORDER BY t.ended_at DESC LIMIT 1) LIMIT 1",
												qms_table_select_list(&qms_ticket_table),
												qms_table_select_list(&qms_history_table)));
	qms_param_int64(&params, ticket_id);
	if (qms_spi_look(&plan, &params) == 0)
		return NULL;
	ticket = qms_row_fetch(&qms_history_table, 0, 0);
	*ended = !qms_row_isnull(ticket, T_ended_at);
	return ticket;
}

/* May the caller do this with that ticket? */
void
qms_ticket_gate(QmsCall *call, const QmsTicket *ticket)
{
	QmsObject	object = {
		.what = "ticket", .id = qms_row_int64(ticket, T_ticket_id),
		.organization_id = qms_row_int64(ticket, T_organization_id),
		.branch_id = qms_row_int64(ticket, T_branch_id),
		.application_id = qms_row_int64(ticket, T_application_id),
		.queue_id = qms_row_int64(ticket, T_queue_id), .staff_id = qms_row_int64(ticket, T_staff_id)
	};

	qms_gate_object(call, &object);
}

static pg_attribute_noreturn() void
already_ended(const QmsTicket *past)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_ALREADY_ENDED),
			 errmsg("ticket %lld has already ended", (long long) qms_row_int64(past, T_ticket_id)),
			 errdetail("It is %s.", qms_row_text(past, T_state)),
			 errhint("Use qms.reinstate_ticket() to put it back into its queue.")));
}

/*
 * Refuse before anything is locked: nobody waits for a row that is not for him,
 * or learns from waiting that it is there.  Locks the visit of a ticket that is
 * one of several.  Of tickets that are not open: nothing, they are not locked.
 */
static void
gate_and_lock_visit(QmsCall *call, int64 ticket_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT organization_id, branch_id, application_id, queue_id, staff_id, "
								   "CASE WHEN shared_visit THEN visit_id END FROM qms.ticket WHERE ticket_id = $1", INT8OID);
	QmsParams	params = {0};
	QmsObject	object = {.what = "ticket", .id = ticket_id};
	int64		visit_id;

	qms_param_int64(&params, ticket_id);
	if (qms_spi_look(&plan, &params) == 0)
		return;
	object.organization_id = qms_spi_int64(0, 0);
	object.branch_id = qms_spi_int64(0, 1);
	object.application_id = qms_spi_int64(0, 2);
	object.queue_id = qms_spi_int64(0, 3);
	object.staff_id = qms_spi_int64(0, 4);
	visit_id = qms_spi_int64(0, 5);
	qms_gate_object(call, &object);
	if (visit_id != 0)
		qms_lock(QMS_LOCK_VISIT, visit_id, true);
}

/*
 * Lock an open ticket for a change.
 *
 * The row is locked FOR NO KEY UPDATE to the end of the transaction: two
 * changes of a ticket run one after the other, and a call that picks with SKIP
 * LOCKED passes by.  With announce the ticket's own lock is taken first: that
 * tells a picker that the head of the line is busy with its own change, which
 * is short, rather than being called by somebody else.  If the ticket is one of
 * several of a visit, the visit is locked before it (see visit.c).
 */
QmsTicket *
qms_ticket_lock(QmsCall *call, int64 ticket_id, bool announce)
{
	static QmsPlan plan = QMS_PLAN("SELECT t FROM qms.ticket t WHERE t.ticket_id = $1 FOR NO KEY UPDATE", INT8OID);
	QmsParams	params = {0};
	QmsTicket  *ticket;

	gate_and_lock_visit(call, ticket_id);
	if (announce)
		qms_lock(QMS_LOCK_TICKET, ticket_id, true);
	qms_param_int64(&params, ticket_id);
	if (qms_spi_run(&plan, &params) == 0)
	{
		bool		ended;

		ticket = qms_ticket_read(ticket_id, &ended);
		if (ticket == NULL)
			qms_not_found("ticket", ticket_id);
		qms_ticket_gate(call, ticket);
		if (!ended)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("ticket %lld changed while it was worked on", (long long) ticket_id),
					 errhint("Try the call again.")));
		already_ended(ticket);
	}
	ticket = qms_row_fetch_whole(&qms_ticket_table, 0, 0);
	qms_ticket_gate(call, ticket);
	return ticket;
}

/* Lock a ticket of a visit in passing; NULL if it is not open (in that condition) any more. */
QmsTicket *
qms_ticket_lock_if(QmsTicketCondition condition, int64 ticket_id)
{
	static QmsPlan plans[] = {
		[QMS_IF_OPEN] = QMS_PLAN("SELECT t FROM qms.ticket t WHERE t.ticket_id = $1 FOR NO KEY UPDATE", INT8OID),
		[QMS_IF_WAITING] = QMS_PLAN("SELECT t FROM qms.ticket t WHERE t.ticket_id = $1 AND t.state = 'waiting' FOR NO KEY UPDATE", INT8OID),
		[QMS_IF_HELD_FOR_OTHER] = QMS_PLAN("SELECT t FROM qms.ticket t WHERE t.ticket_id = $1 AND t.hold_kind = 'other_ticket' FOR NO KEY UPDATE", INT8OID)
	};
	QmsParams	params = {0};

	qms_param_int64(&params, ticket_id);
	return qms_spi_run(&plans[condition], &params) == 0 ? NULL : qms_row_fetch_whole(&qms_ticket_table, 0, 0);
}

/* Does it still wait, for all that is committed by now? */
bool
qms_ticket_is_waiting(int64 ticket_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT 1 FROM qms.ticket WHERE ticket_id = $1 AND state = 'waiting'", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, ticket_id);
	return qms_spi_run(&plan, &params) > 0;
}

QmsState
qms_ticket_state(const QmsTicket *ticket)
{
	return qms_state_by_name(qms_row_text(ticket, T_state));
}

void
qms_ticket_set_state(QmsTicket *ticket, QmsState state)
{
	qms_state_check(qms_ticket_state(ticket), state, qms_row_int64(ticket, T_ticket_id));
	qms_row_set_text(ticket, T_state, qms_state_name(state));
}

/* What the ticket is for; the queue must offer it. */
void
qms_ticket_set_service(QmsTicket *ticket, const QmsQueue *queue, int64 service_id, const char *hint)
{
	QmsOffer   *offer = qms_config_offer(queue->queue_id, service_id);

	if (offer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_SERVICE_NOT_OFFERED),
				 errmsg("queue %lld does not offer service %lld", (long long) queue->queue_id,
						(long long) service_id),
				 errdetail("The queue has other services, or the service does not exist."),
				 errhint("%s", hint)));
	qms_row_set_id(ticket, T_service_id, service_id);
	qms_row_set_pointer(ticket, T_requires_skill, offer->requires_skill);
}

/* Write the row back; each change has its version, and one event that names it. */
void
qms_ticket_store(QmsTicket *ticket)
{
	qms_row_set_int32(ticket, T_version, qms_row_int32(ticket, T_version) + 1);
	qms_row_update(ticket);
}

/* Nobody calls it any more. */
void
qms_ticket_clear_call(QmsTicket *ticket)
{
	qms_row_set_null(ticket, T_counter_id);
	qms_row_set_null(ticket, T_staff_id);
	qms_row_set_null(ticket, T_staff_session_id);
	qms_row_set_null(ticket, T_counter_free_since);
	qms_row_set_null(ticket, T_called_at);
	qms_row_set_null(ticket, T_started_at);
	qms_row_set_null(ticket, T_last_recall_at);
	qms_row_set_int32(ticket, T_recalls, 0);
}

void
qms_ticket_clear_hold(QmsTicket *ticket)
{
	qms_row_set_null(ticket, T_hold_kind);
	qms_row_set_null(ticket, T_hold_reason);
	qms_row_set_null(ticket, T_held_at);
	qms_row_set_null(ticket, T_resume_at);
	qms_row_set_null(ticket, T_resume_to);
}

/* What class, service and priority are worth in this queue, in microseconds. */
int64
qms_ticket_credit(const QmsTicket *ticket, const QmsQueue *queue)
{
	QmsClass   *class = qms_config_class_by_id(qms_row_int64(ticket, T_customer_class_id));
	QmsOffer   *offer = NULL;
	int64		service_id = qms_row_int64(ticket, T_service_id);

	if (service_id != 0)
		offer = qms_config_offer(queue->queue_id, service_id);
	return (class ? class->credit : 0) + (offer ? offer->credit : 0) +
		qms_row_int32(ticket, T_priority) * queue->settings.priority_step;
}

/* A place in the order; credit is what lies between arrival and key. */
void
qms_ticket_set_key(QmsTicket *ticket, int64 sort_key)
{
	qms_row_set_int64(ticket, T_sort_key, sort_key);
	qms_row_set_interval(ticket, T_credit, qms_row_time(ticket, T_effective_arrival) - sort_key);
}

/* The finished leg of a ticket that goes to another queue. */
void
qms_ticket_write_leg(QmsCall *call, const QmsTicket *ticket, const char *note)
{
	static const struct
	{
		int			leg;
		int			ticket;
	}			same[] = {
		{L_ticket_id, T_ticket_id}, {L_organization_id, T_organization_id}, {L_leg, T_leg},
		{L_visit_id, T_visit_id}, {L_branch_id, T_branch_id}, {L_queue_id, T_queue_id},
		{L_service_id, T_service_id}, {L_customer_class_id, T_customer_class_id}, {L_number, T_number},
		{L_simulated, T_simulated}, {L_entered_at, T_entered_at}, {L_called_at, T_called_at},
		{L_started_at, T_started_at}, {L_counter_id, T_counter_id}, {L_staff_id, T_staff_id},
		{L_staff_session_id, T_staff_session_id}, {L_counter_free_since, T_counter_free_since}, {L_sort_key, T_sort_key},
		{L_quoted_p10, T_quoted_p10}, {L_quoted_p50, T_quoted_p50}, {L_quoted_p90, T_quoted_p90},
		{L_quoted_n, T_quoted_n}, {L_quoted_s, T_quoted_s}
	};
	QmsRow	   *leg;
	size_t		i;

	leg = qms_row_new(&qms_leg_table);
	for (i = 0; i < lengthof(same); i++)
		qms_row_copy_value(leg, same[i].leg, ticket, same[i].ticket);
	qms_row_set_time(leg, L_left_at, call->now);
	qms_row_set_text(leg, L_note, note);
	qms_row_insert(leg);
	qms_doorbell_note_timer(qms_outlook_next_turn(call->now));
}

/* The statement that moves a ticket: what it was is deleted, what it ends as is inserted. */
static void
prepare_move(void)
{
	StringInfoData sql;
	int			i;

	if (qms_history_table.insert.sql != NULL)
		return;
	initStringInfo(&sql);
	appendStringInfoString(&sql, "WITH gone AS (DELETE FROM qms.ticket WHERE ticket_id = $1 AND organization_id = $2) "
						   "INSERT INTO qms.ticket_history (");
	for (i = 0; i < T_ALL_COLUMNS; i++)
		appendStringInfo(&sql, "%s%s", i ? ", " : "", ticket_columns[i]);
	appendStringInfoString(&sql, ") VALUES (");
	for (i = 0; i < T_ALL_COLUMNS; i++)
		appendStringInfo(&sql, "%s$%d", i ? ", " : "", i + 1);
	appendStringInfoChar(&sql, ')');
	qms_history_table.insert.sql = MemoryContextStrdup(TopMemoryContext, sql.data);
}

/*
 * End a locked ticket: it moves to history in this transaction.  The row given
 * becomes the row of history, so the caller can go on to write its event.
 */
void
qms_ticket_end(QmsCall *call, QmsTicket *ticket, QmsState final, const char *outcome, const char *reason)
{
	QmsState	from = qms_ticket_state(ticket);
	int64		ticket_id = qms_row_int64(ticket, T_ticket_id);
	QmsTicket  *past;

	qms_state_check(from, final, ticket_id);
	prepare_move();
	past = qms_row_new(&qms_history_table);
	memcpy(past->values, ticket->values, sizeof(Datum) * T_COLUMNS);
	memcpy(past->nulls, ticket->nulls, T_COLUMNS);
	qms_row_set_text(past, T_state, qms_state_name(final));
	qms_row_set_int32(past, T_version, qms_row_int32(ticket, T_version) + 1);
	qms_row_set_time(past, T_ended_at, call->now);
	qms_row_set_text(past, T_ended_from, qms_state_name(from));
	qms_row_set_text(past, T_outcome, outcome);
	qms_row_set_text(past, T_end_reason, reason);
	qms_guard_declare_end(ticket_id, final);
	qms_row_insert(past);
	qms_inside_note_left(ticket, from);
	/* The scheduler learns of it; of waiting rooms it learns otherwise. */
	if (!qms_row_isnull(ticket, T_branch_id))
		qms_doorbell_note_timer(qms_outlook_next_turn(call->now));
	*ticket = *past;
}

/* What decides the order, for events that change it. */
void
qms_ticket_order_json(QmsJson *json, const QmsTicket *ticket)
{
	qms_json_int64(json, "sort_key", qms_row_int64(ticket, T_sort_key));
	qms_json_time(json, "effective_arrival", qms_row_time(ticket, T_effective_arrival));
	qms_json_id(json, "customer_class_id", qms_row_int64(ticket, T_customer_class_id));
	qms_json_id(json, "service_id", qms_row_int64(ticket, T_service_id));
	qms_json_int64(json, "priority", qms_row_int32(ticket, T_priority));
}

/*
 * When a called customer counts as not come; DT_NOEND: never, or he is not
 * called.
 */
TimestampTz
qms_ticket_no_show_due(const QmsTicket *ticket)
{
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));
	TimestampTz since = qms_row_time(ticket, T_last_recall_at);

	if (qms_ticket_state(ticket) != QMS_CALLED || queue == NULL || queue->settings.no_show_after == 0)
		return DT_NOEND;
	if (since == QMS_NO_TIME)
		since = qms_row_time(ticket, T_called_at);
	return since + queue->settings.no_show_after;
}

/* What the scheduler has to know of the ticket as it is now. */
static void
note_work(const QmsTicket *ticket)
{
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));
	TimestampTz resume_at = qms_row_time(ticket, T_resume_at);
	TimestampTz due_at = qms_row_time(ticket, T_due_at);
	TimestampTz no_show = qms_ticket_no_show_due(ticket);

	if (queue != NULL && queue->is_release && qms_slot(queue->queue_id) == NULL)
		qms_doorbell_note_work(QMS_WAKE_ROOM);
	if (due_at != QMS_NO_TIME)
		qms_doorbell_note_timer(due_at);
	if (resume_at != QMS_NO_TIME)
		qms_doorbell_note_timer(resume_at);
	if (no_show != DT_NOEND)
		qms_doorbell_note_timer(no_show);
	/* Somebody waits, or a counter is free. */
	if (queue == NULL || queue->calls_itself)
		qms_doorbell_note_work(QMS_WAKE_CALLS);
}

/* One event of a ticket, with the values it has now. */
int64
qms_ticket_event(QmsCall *call, const QmsTicket *ticket, const char *kind, const Jsonb *data, int64 event_id)
{
	QmsEvent	event = {0};

	event.event_id = event_id;
	event.kind = kind;
	event.organization_id = qms_row_int64(ticket, T_organization_id);
	event.branch_id = qms_row_int64(ticket, T_branch_id);
	event.application_id = qms_row_int64(ticket, T_application_id);
	event.queue_id = qms_row_int64(ticket, T_queue_id);
	event.visit_id = qms_row_int64(ticket, T_visit_id);
	event.ticket_id = qms_row_int64(ticket, T_ticket_id);
	event.number = qms_row_pointer(ticket, T_number);
	event.state = qms_row_text(ticket, T_state);
	event.version = qms_row_int32(ticket, T_version);
	event.counter_id = qms_row_int64(ticket, T_counter_id);
	event.staff_id = qms_row_int64(ticket, T_staff_id);
	event.data = data;
	note_work(ticket);
	return qms_event_write(call, &event);
}
