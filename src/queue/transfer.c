/*
 * transfer.c
 *		transfer_ticket and reinstate_ticket: tickets that come into a queue
 *		from elsewhere than the door.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"

/* The service it shall have there: the one given, else its own if offered, else the queue's only one. */
static int64
service_there(const QmsTicket *ticket, const QmsQueue *queue, int64 service_id)
{
	int64		own = qms_row_int64(ticket, T_service_id);

	if (service_id != 0)
	{
		if (qms_config_offer(queue->queue_id, service_id) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_QMS_SERVICE_NOT_OFFERED),
					 errmsg("queue %lld does not offer service %lld", (long long) queue->queue_id,
							(long long) service_id),
					 errdetail("The queue has other services, or the service does not exist."),
					 errhint("Leave service_id out, or offer it with qms.offer_service().")));
		return service_id;
	}
	if (own != 0 && qms_config_offer(queue->queue_id, own) != NULL)
		return own;
	return qms_config_only_service(queue->queue_id);
}

/* Put a ticket into a queue: a new leg begins, nobody has called it yet. */
static void
begin_leg(QmsCall *call, QmsTicket *ticket, const QmsQueue *queue, int64 service_id)
{
	QmsOffer   *offer = service_id ? qms_config_offer(queue->queue_id, service_id) : NULL;

	qms_row_set_text(ticket, T_state, qms_state_name(QMS_WAITING));
	qms_ticket_clear_call(ticket);
	qms_ticket_clear_hold(ticket);
	qms_row_set_id(ticket, T_queue_id, queue->queue_id);
	qms_row_set_id(ticket, T_branch_id, queue->branch_id);
	qms_row_set_id(ticket, T_service_id, service_id);
	qms_row_set_pointer(ticket, T_requires_skill, offer ? offer->requires_skill : NULL);
	qms_row_set_bool(ticket, T_by_class, queue->by_class);
	qms_row_set_int32(ticket, T_leg, qms_row_int32(ticket, T_leg) + 1);
	qms_row_set_time(ticket, T_entered_at, call->now);
	qms_row_set_null(ticket, T_wanted_counter_id);
	qms_row_set_null(ticket, T_wanted_staff_id);
	qms_row_set_null(ticket, T_wanted_until);
}

/* A new number of the queue; the old one is kept beside it, and so is the arrival. */
static void
renumber(QmsCall *call, QmsTicket *ticket, QmsQueue *queue)
{
	TimestampTz arrival = qms_row_time(ticket, T_effective_arrival);

	qms_row_copy_value(ticket, T_previous_number, ticket, T_number);
	qms_number_take(call, queue, ticket);
	qms_row_set_time(ticket, T_effective_arrival, arrival);
}

/* The place in the line, and what is told about it. */
static void
take_place(QmsCall *call, QmsTicket *ticket, QmsQueue *queue, const char *word)
{
	QmsPlace	place;
	int64		key = qms_line_key(ticket, queue, qms_place_word(word), call->now);

	qms_ticket_set_key(ticket, key);
	qms_place_of(queue, key, qms_row_int64(ticket, T_ticket_id), call->now, &place);
	qms_place_quote(ticket, &place);
}

/* A counter or clerk who is wanted must be of the branch. */
static void
set_wanted(QmsCall *call, QmsTicket *ticket, const QmsQueue *queue, int64 counter_id, int64 staff_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.staff WHERE staff_id = $1 AND organization_id = $2 AND deleted_at IS NULL",
								   INT8OID, INT8OID);
	QmsParams	params = {0};

	if (counter_id != 0)
	{
		QmsCounter *counter = qms_config_counter(counter_id);

		if (counter == NULL || counter->branch_id != queue->branch_id)
			qms_not_found("counter", counter_id);
		qms_row_set_id(ticket, T_wanted_counter_id, counter_id);
	}
	if (staff_id != 0)
	{
		qms_param_int64(&params, staff_id);
		qms_param_int64(&params, queue->organization_id);
		if (qms_spi_run(&plan, &params) == 0)
			qms_not_found("staff", staff_id);
		qms_row_set_id(ticket, T_wanted_staff_id, staff_id);
	}
	if (counter_id != 0 || staff_id != 0)
		qms_row_set_time(ticket, T_wanted_until, call->now + queue->settings.wanted_fallback);
}

static pg_attribute_noreturn() void
subject_is_there(int64 ticket_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_NOT_ELIGIBLE),
			 errmsg("the subject of ticket %lld has another live place in the queue", (long long) ticket_id),
			 errdetail("A subject has one live place in a queue."),
			 errhint("Cancel that one first.")));
}

/* One live place per subject: in a queue that a ticket is not in yet. */
static void
check_subject(QmsCall *call, int64 ticket_id, int64 queue_id)
{
	bool		ended;
	QmsTicket  *ticket = qms_ticket_read(ticket_id, &ended);
	int64		there;

	if (ticket == NULL || ended || qms_row_int64(ticket, T_queue_id) == queue_id)
		return;
	/* Or the answer would tell the subjects of other organizations. */
	qms_ticket_gate(call, ticket);
	there = qms_line_subject(queue_id, qms_row_text(ticket, T_subject));
	if (there != 0 && there != ticket_id)
		subject_is_there(ticket_id);
}

static QmsQueue *
counter_queue(QmsCall *call, int64 queue_id)
{
	QmsQueue   *queue = qms_line_enter(call, queue_id, false);

	if (queue->is_release)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_WRONG_QUEUE_KIND),
				 errmsg("queue %lld is a waiting room", (long long) queue_id),
				 errdetail("Tickets of counters cannot go there."),
				 errhint("Choose a queue of kind counter.")));
	return queue;
}

/*
 * Locks, in this order: the queue it goes to (shared), the subject there, the
 * ticket, the session
 * it leaves, and between branches the number row of the new queue.
 */
QMS_FUNCTION(transfer_ticket, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	int64		queue_id = qms_arg_id(call, 1, "queue_id");
	char	   *place = qms_arg_isnull(call, 2) ? "credit" : qms_arg_text(call, 2, "place");
	int64		counter_id = qms_arg_id_or_0(call, 3, "counter_id");
	int64		staff_id = qms_arg_id_or_0(call, 4, "staff_id");
	char	   *note = qms_arg_text_or_null(call, 5);
	int64		service_id = qms_arg_id_or_0(call, 6, "service_id");
	QmsQueue   *queue = counter_queue(call, queue_id);
	QmsTicket  *ticket;
	QmsTicket  *before;
	int64		event_id;
	QmsJson		json;

	(void) qms_place_word(place);
	check_subject(call, ticket_id, queue_id);
	ticket = qms_ticket_lock(call, ticket_id, true);
	before = qms_row_copy(ticket);
	event_id = qms_event_next_id();
	if (qms_row_int64(ticket, T_organization_id) != queue->organization_id)
		qms_not_found("queue", queue_id);
	qms_state_check(qms_ticket_state(ticket), QMS_WAITING, ticket_id);
	qms_ticket_write_leg(call, ticket, note);
	begin_leg(call, ticket, queue, service_there(ticket, queue, service_id));
	set_wanted(call, ticket, queue, counter_id, staff_id);
	qms_hold_leave_counter(call, before, event_id);
	if (qms_row_int64(before, T_branch_id) != queue->branch_id)
		renumber(call, ticket, queue);
	take_place(call, ticket, queue, place);
	qms_ticket_store(ticket);
	qms_json_begin(&json);
	qms_ticket_order_json(&json, ticket);
	qms_json_text(&json, "place", place);
	qms_json_text(&json, "note", note);
	qms_json_int64(&json, "leg", qms_row_int32(ticket, T_leg));
	qms_json_int64(&json, "from_queue_id", qms_row_int64(before, T_queue_id));
	qms_json_id(&json, "from_counter_id", qms_row_int64(before, T_counter_id));
	qms_json_id(&json, "wanted_counter_id", counter_id);
	qms_json_id(&json, "wanted_staff_id", staff_id);
	qms_change_json(&json, before, ticket);
	qms_ticket_event(call, ticket, "ticket.transferred", qms_json_end(&json), event_id);
	return qms_ticket_answer(call, ticket);
}

/*
 * Take the row of a ticket out of history, to put it in again.
 *
 * Locks: the visit's and the ticket's own, exclusive, held: two who bring it back
 * run one after the other, and the second finds it open; a further ticket of the
 * visit is either known here or finds this one.
 */
QmsTicket *
qms_transfer_take_back(QmsCall *call, int64 ticket_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms.ticket_history WHERE ticket_id = $1 AND ended_at = $2",
								   INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	bool		ended;
	QmsTicket  *past;
	QmsTicket  *ticket;

	past = qms_ticket_read(ticket_id, &ended);
	if (past != NULL)
		qms_lock(QMS_LOCK_VISIT, qms_row_int64(past, T_visit_id), true);
	qms_lock(QMS_LOCK_TICKET, ticket_id, true);
	past = qms_ticket_read(ticket_id, &ended);
	if (past == NULL)
		qms_not_found("ticket", ticket_id);
	qms_ticket_gate(call, past);
	if (!ended)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
				 errmsg("ticket %lld has not ended: it is %s", (long long) ticket_id,
						qms_row_text(past, T_state)),
				 errdetail("It is not in qms.ticket_history."),
				 errhint("Only a ticket that has ended can be reinstated.")));
	qms_param_int64(&params, ticket_id);
	qms_param_time(&params, qms_row_time(past, T_ended_at));
	if (qms_spi_run(&plan, &params) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("ticket %lld changed while it was worked on", (long long) ticket_id),
				 errhint("Try the call again.")));
	ticket = qms_ticket_new();
	memcpy(ticket->values, past->values, sizeof(Datum) * T_COLUMNS);
	memcpy(ticket->nulls, past->nulls, T_COLUMNS);
	/* It may have ended before the visit came to have several tickets. */
	if (qms_visit_is_shared(qms_row_int64(ticket, T_visit_id)))
		qms_row_set_bool(ticket, T_shared_visit, true);
	return ticket;
}

QMS_FUNCTION(reinstate_ticket, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	char	   *place = qms_arg_isnull(call, 1) ? "credit" : qms_arg_text(call, 1, "place");
	bool		ended;
	QmsTicket  *past;
	QmsTicket  *ticket;
	QmsQueue   *queue;
	const char *was;
	QmsJson		json;

	(void) qms_place_word(place);
	/* The queue's lock comes before the ticket's. */
	past = qms_ticket_read(ticket_id, &ended);
	if (past == NULL)
		qms_not_found("ticket", ticket_id);
	qms_ticket_gate(call, past);
	queue = counter_queue(call, qms_row_int64(past, T_queue_id));
	if (qms_line_subject(queue->queue_id, qms_row_text(past, T_subject)) != 0)
		subject_is_there(ticket_id);
	was = qms_row_text(past, T_state);
	ticket = qms_transfer_take_back(call, ticket_id);
	qms_ticket_write_leg(call, ticket, NULL);
	begin_leg(call, ticket, queue, service_there(ticket, queue, 0));
	if (!qms_number_keep(ticket))
		renumber(call, ticket, queue);
	else
		qms_number_mark_live(call, ticket);
	take_place(call, ticket, queue, place);
	qms_row_set_int32(ticket, T_version, qms_row_int32(ticket, T_version) + 1);
	qms_row_insert(ticket);
	qms_json_begin(&json);
	qms_ticket_order_json(&json, ticket);
	qms_json_text(&json, "place", place);
	qms_json_text(&json, "from", was);
	qms_json_int64(&json, "leg", qms_row_int32(ticket, T_leg));
	qms_json_bool(&json, "reinstated", true);
	qms_ticket_event(call, ticket, "ticket.resumed", qms_json_end(&json), 0);
	return qms_ticket_answer(call, ticket);
}
