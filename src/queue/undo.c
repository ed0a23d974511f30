/*
 * undo.c
 *		undo: takes back the last action of a counter.
 *
 * The session remembers the event of its last action.  Undo is refused when the
 * ticket has changed since (its version is not the event's), when the counter
 * has another open call, or when the window has passed.  What happened stays in
 * the log; ticket.undone names it.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"

typedef struct UndoneEvent
{
	int64		event_id;
	char	   *kind;
	int64		ticket_id;
	int32		version;
	Jsonb	   *data;
	int64		follows;		/* event that the same call wrote before, or 0 */
} UndoneEvent;

static pg_attribute_noreturn() void
nothing(int64 counter_id, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_NOTHING_TO_UNDO),
			 errmsg("counter %lld has nothing to undo", (long long) counter_id),
			 errdetail("%s", detail),
			 errhint("Correct it by hand, for instance with qms.reinstate_ticket() or qms.transfer_ticket().")));
}

static void
read_event(const QmsSession *session, UndoneEvent *event)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT kind, ticket_id, version, data FROM qms.event "
								   "WHERE event_id = $1 AND organization_id = $2", INT8OID, INT8OID);
	QmsParams	params = {0};
	bool		isnull;
	Datum		data;

	memset(event, 0, sizeof(*event));
	event->event_id = qms_row_int64(session, S_undo_event_id);
	if (event->event_id == 0)
		nothing(qms_row_int64(session, S_counter_id), "Its last action cannot be taken back.");
	qms_param_int64(&params, event->event_id);
	qms_param_int64(&params, qms_row_int64(session, S_organization_id));
	if (qms_spi_run(&plan, &params) == 0)
		nothing(qms_row_int64(session, S_counter_id), "The event of its last action is gone.");
	event->kind = qms_spi_text(0, 0);
	event->ticket_id = qms_spi_int64(0, 1);
	event->version = qms_spi_int32(0, 2);
	data = qms_spi_datum(0, 3, &isnull);
	event->data = isnull ? NULL : DatumGetJsonbPCopy(data);
	(void) qms_jsonb_int64(event->data, "follows_event_id", &event->follows);
}

static void
check_window(QmsCall *call, const QmsSession *session, const QmsTicket *ticket)
{
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));

	if (queue != NULL && (queue->settings.undo_window == 0 ||
						  call->now - qms_row_time(session, S_undo_at) > queue->settings.undo_window))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_UNDO_EXPIRED),
				 errmsg("it is too late to undo the last action of counter %lld",
						(long long) qms_row_int64(session, S_counter_id)),
				 errdetail("undo_window of the queue has passed, or is 0."),
				 errhint("Correct it by hand, for instance with qms.reinstate_ticket() or qms.transfer_ticket().")));
}

static void
check_version(const QmsSession *session, const UndoneEvent *event, int32 version)
{
	if (version != event->version)
		nothing(qms_row_int64(session, S_counter_id),
				psprintf("Ticket %lld has changed since.", (long long) event->ticket_id));
}

/* The counter has its ticket back, or lost it; false if it does not fit any more. */
static bool
adjust_session(QmsCall *call, const QmsSession *session, int64 expected, int64 current, int called,
			   int served, int64 served_usec, int64 follows)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.staff_session SET current_ticket_id = $3, "
								   "idle_since = CASE WHEN $3 IS NULL THEN $7 END, tickets_called = tickets_called + $4, "
								   "tickets_served = tickets_served + $5, service_time = service_time + $6, undo_event_id = $8 "
								   "WHERE staff_session_id = $1 AND closed_at IS NULL AND current_ticket_id IS NOT DISTINCT FROM $2",
								   INT8OID, INT8OID, INT8OID, INT4OID, INT4OID, INTERVALOID, TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, qms_row_int64(session, S_staff_session_id));
	qms_param_id(&params, expected);
	qms_param_id(&params, current);
	qms_param_int32(&params, called);
	qms_param_int32(&params, served);
	qms_param_pointer(&params, qms_interval_make(served_usec));
	qms_param_time(&params, call->now);
	qms_param_id(&params, follows);
	return qms_spi_run(&plan, &params) == 1;
}

static void
need_adjusted(const QmsSession *session, bool adjusted)
{
	if (!adjusted)
		nothing(qms_row_int64(session, S_counter_id), "The counter has another open call.");
}

/*
 * Bring the state of a live row to what it was, by legal steps: each UPDATE is
 * checked by the transition table like any other.
 */
static void
walk_state(QmsTicket *ticket, QmsState target)
{
	QmsState	now = qms_ticket_state(ticket);
	QmsTicket  *step;

	if (now == target)
		return;
	if (!qms_state_may_become(now, target))
	{
		step = qms_row_copy(ticket);
		qms_ticket_clear_hold(step);
		qms_row_set_null(step, T_counter_id);
		qms_row_set_text(step, T_state, qms_state_name(QMS_WAITING));
		qms_row_supersede(ticket, step);
		qms_row_update(step);
	}
}

/* A call or a start: the ticket waits again, or is called again. */
static QmsTicket *
undo_call(QmsCall *call, QmsSession *session, const UndoneEvent *event)
{
	QmsTicket  *ticket = qms_ticket_lock(call, event->ticket_id, true);
	bool		start = qms_jsonb_text(event->data, "policy") == NULL;

	check_window(call, session, ticket);
	/* Recalls belong to the call: each has made a version. */
	check_version(session, event,
				  qms_row_int32(ticket, T_version) - (start ? 0 : qms_row_int32(ticket, T_recalls)));
	if (start)
	{
		walk_state(ticket, QMS_CALLED);
		qms_row_set_text(ticket, T_state, qms_state_name(QMS_CALLED));
		qms_row_set_null(ticket, T_started_at);
		need_adjusted(session, adjust_session(call, session, event->ticket_id, event->ticket_id, 0, 0, 0, 0));
	}
	else
	{
		qms_ticket_set_state(ticket, QMS_WAITING);
		qms_ticket_clear_call(ticket);
		qms_row_set_int32(ticket, T_calls, Max(qms_row_int32(ticket, T_calls) - 1, 0));
		qms_change_revert(ticket, event->data);
		need_adjusted(session, adjust_session(call, session, event->ticket_id, 0, -1, 0, 0, event->follows));
	}
	qms_ticket_store(ticket);
	if (!start)
		qms_visit_resume_others(call, ticket);
	return ticket;
}

/*
 * The queue that the ticket comes back to may be gone, and a subject has one
 * live place in it; perhaps it came again meanwhile.
 *
 * Locks: shared on the queue, against being deleted or going by class; then the
 * subject.  Before ticket locks.
 */
static void
need_place(const QmsSession *session, const QmsTicket *ticket, int64 own_ticket_id)
{
	int64		queue_id = qms_row_int64(ticket, T_queue_id);
	int64		there;

	qms_lock(QMS_LOCK_QUEUE, queue_id, false);
	qms_config_refresh();
	if (qms_config_queue(queue_id) == NULL)
		nothing(qms_row_int64(session, S_counter_id), "Its queue has been deleted.");
	there = qms_line_subject(queue_id, qms_row_text(ticket, T_subject));
	if (there != 0 && there != own_ticket_id)
		nothing(qms_row_int64(session, S_counter_id), "Its subject has another place in the queue.");
}

/* The number that comes back with the ticket may have been given again. */
static void
need_number(const QmsSession *session, const QmsTicket *ticket)
{
	if (!qms_number_keep(ticket))
		nothing(qms_row_int64(session, S_counter_id), "Its number has been given to another ticket.");
}

/* A counter profile may have begun to take by class from its queue meanwhile. */
static void
follow_queue(QmsTicket *ticket)
{
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));

	if (queue != NULL)
		qms_row_set_bool(ticket, T_by_class, queue->by_class);
}

/* The ticket as it was before the event. */
static QmsTicket *
as_it_was(const QmsTicket *ticket, const UndoneEvent *event)
{
	QmsTicket  *before = qms_row_copy(ticket);

	qms_change_revert(before, event->data);
	follow_queue(before);
	return before;
}

/* An end: the row comes back from history, with the state it ended from. */
static QmsTicket *
undo_end(QmsCall *call, QmsSession *session, const UndoneEvent *event)
{
	bool		ended;
	QmsTicket  *past = qms_ticket_read(event->ticket_id, &ended);
	QmsTicket  *ticket;
	int64		served;

	if (past == NULL || !ended)
		nothing(qms_row_int64(session, S_counter_id), "Its last ticket is open again.");
	check_window(call, session, past);
	check_version(session, event, qms_row_int32(past, T_version));
	served = qms_served_usec(past, qms_ticket_state(past), qms_row_time(past, T_ended_at));
	need_place(session, past, 0);
	ticket = qms_transfer_take_back(call, event->ticket_id);
	if (!qms_visit_claim(ticket))
		nothing(qms_row_int64(session, S_counter_id), "The customer is called for another ticket.");
	need_adjusted(session, adjust_session(call, session, 0, event->ticket_id, 0, served >= 0 ? -1 : 0,
										  -Max(served, 0), 0));
	follow_queue(ticket);
	qms_row_copy_value(ticket, T_state, past, T_ended_from);
	qms_row_set_int32(ticket, T_version, qms_row_int32(ticket, T_version) + 1);
	need_number(session, ticket);
	qms_row_insert(ticket);
	qms_visit_pause_others(call, ticket);
	qms_number_mark_live(call, ticket);
	return ticket;
}

/* A hold, requeue or transfer: the ticket is at the counter again. */
static QmsTicket *
undo_departure(QmsCall *call, QmsSession *session, const UndoneEvent *event)
{
	static QmsPlan leg = QMS_PLAN("DELETE FROM qms.ticket_leg WHERE ticket_id = $1 AND leg = $2",
								  INT8OID, INT4OID);
	QmsTicket  *ticket;
	QmsTicket  *before;
	QmsParams	params = {0};
	bool		ended;

	ticket = qms_ticket_read(event->ticket_id, &ended);
	if (ticket == NULL || ended)
		nothing(qms_row_int64(session, S_counter_id), "Its last ticket has ended.");
	need_place(session, as_it_was(ticket, event), event->ticket_id);
	ticket = qms_ticket_lock(call, event->ticket_id, true);
	check_version(session, event, qms_row_int32(ticket, T_version));
	before = as_it_was(ticket, event);
	check_window(call, session, before);
	if (!qms_visit_claim(ticket))
		nothing(qms_row_int64(session, S_counter_id), "The customer is called for another ticket.");
	need_adjusted(session, adjust_session(call, session, 0, event->ticket_id, 0, 0, 0, 0));
	if (qms_row_int32(before, T_leg) != qms_row_int32(ticket, T_leg))
	{
		qms_param_int64(&params, event->ticket_id);
		qms_param_int32(&params, qms_row_int32(before, T_leg));
		qms_spi_run(&leg, &params);
	}
	walk_state(ticket, qms_ticket_state(before));
	if (qms_row_int64(before, T_branch_id) != qms_row_int64(ticket, T_branch_id))
		need_number(session, before);
	qms_ticket_store(before);
	qms_visit_pause_others(call, before);
	return before;
}

typedef QmsTicket *(*Undo) (QmsCall *call, QmsSession *session, const UndoneEvent *event);

static const struct
{
	const char *kind;
	Undo		undo;
}			undos[] = {
	{"ticket.called", undo_call},
	{"ticket.serving", undo_call},
	{"ticket.completed", undo_end},
	{"ticket.no_show", undo_end},
	{"ticket.cancelled", undo_end},
	{"ticket.held", undo_departure},
	{"ticket.requeued", undo_departure},
	{"ticket.transferred", undo_departure}
};

QMS_FUNCTION(undo, QMS_ACT_COUNTER, QMS_MUTATES)
{
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	QmsSession *session = qms_session_needed(counter->counter_id);
	QmsTicket  *ticket = NULL;
	UndoneEvent event;
	QmsJson		json;
	size_t		i;

	read_event(session, &event);
	for (i = 0; i < lengthof(undos) && ticket == NULL; i++)
	{
		if (strcmp(undos[i].kind, event.kind) == 0)
			ticket = undos[i].undo(call, session, &event);
	}
	if (ticket == NULL)
		nothing(counter->counter_id, "Its last action cannot be taken back.");
	qms_json_begin(&json);
	qms_ticket_order_json(&json, ticket);
	qms_json_int64(&json, "undone_event_id", event.event_id);
	qms_json_text(&json, "undone_kind", event.kind);
	qms_ticket_event(call, ticket, "ticket.undone", qms_json_end(&json), 0);
	return qms_ticket_answer(call, ticket);
}
