/*
 * hold.c
 *		hold_ticket, resume_ticket, requeue_ticket.
 *
 * effective_arrival and sort_key stay, so the place in the order is the old
 * one when the ticket waits again.
 */
#include "queue/queue.h"

static void
check_hold_kind(const char *kind)
{
	static const char *const kinds[] = {"staff", "parked", "deferred", "away", "not_arrived", "offline"};
	size_t		i;

	for (i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i], kind) == 0)
			return;
	}
	qms_arg_choice_error("hold_kind", kind, "staff, parked, deferred, away, not_arrived and offline");
}

/* Whom it wants is waited for no longer than wanted_fallback. */
static void
set_wanted_until(QmsCall *call, QmsTicket *ticket)
{
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));

	if (!qms_row_isnull(ticket, T_wanted_counter_id) || !qms_row_isnull(ticket, T_wanted_staff_id))
		qms_row_set_time(ticket, T_wanted_until,
						 call->now + (queue ? queue->settings.wanted_fallback : 0));
}

/* Who shall have it when it comes back: its counter, its clerk, or anybody. */
static void
set_wanted(QmsCall *call, QmsTicket *ticket, const QmsTicket *before, const char *resume_to)
{
	if (strcmp(resume_to, "counter") == 0)
		qms_row_copy_value(ticket, T_wanted_counter_id, before, T_counter_id);
	else if (strcmp(resume_to, "clerk") == 0)
		qms_row_copy_value(ticket, T_wanted_staff_id, before, T_staff_id);
	else if (strcmp(resume_to, "place") != 0)
		qms_arg_choice_error("resume_to", resume_to, "place, counter and clerk");
	/* Counts from its return again; but it can come back by being called, too. */
	set_wanted_until(call, ticket);
}

/* The counter that a ticket leaves without being done, and its person's other tickets. */
void
qms_hold_leave_counter(QmsCall *call, const QmsTicket *before, int64 event_id)
{
	if (qms_row_isnull(before, T_staff_session_id))
		return;
	qms_session_let_go(call, before, -1, event_id);
	qms_visit_resume_others(call, before);
}

QMS_FUNCTION(hold_ticket, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	char	   *reason = qms_arg_text_or_null(call, 1);
	char	   *kind = qms_arg_isnull(call, 2) ? "staff" : qms_arg_text(call, 2, "hold_kind");
	TimestampTz resume_at = qms_arg_time(call, 3);
	char	   *resume_to = qms_arg_isnull(call, 4) ? "place" : qms_arg_text(call, 4, "resume_to");
	QmsTicket  *ticket;
	QmsTicket  *before;
	QmsJson		json;
	int64		event_id;

	check_hold_kind(kind);
	if (resume_at != QMS_NO_TIME && resume_at <= call->now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("resume_at must be in the future"),
				 errdetail("It is when the ticket comes back by itself."),
				 errhint("Leave it out to hold the ticket until qms.resume_ticket().")));
	ticket = qms_ticket_lock(call, ticket_id, true);
	before = qms_row_copy(ticket);
	if (qms_ticket_state(ticket) == QMS_ON_HOLD)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
				 errmsg("ticket %lld is on hold already", (long long) ticket_id),
				 errdetail("Its hold_kind is %s.", qms_row_text(ticket, T_hold_kind)),
				 errhint("Resume it first, with qms.resume_ticket().")));
	qms_ticket_set_state(ticket, QMS_ON_HOLD);
	set_wanted(call, ticket, before, resume_to);
	qms_ticket_clear_call(ticket);
	qms_row_set_text(ticket, T_hold_kind, kind);
	qms_row_set_text(ticket, T_hold_reason, reason);
	qms_row_set_time(ticket, T_held_at, call->now);
	qms_row_set_time(ticket, T_resume_at, resume_at);
	qms_row_set_text(ticket, T_resume_to, resume_to);
	event_id = qms_event_next_id();
	qms_ticket_store(ticket);
	qms_json_begin(&json);
	qms_json_text(&json, "hold_kind", kind);
	qms_json_text(&json, "reason", reason);
	qms_json_time(&json, "resume_at", resume_at);
	qms_json_id(&json, "from_counter_id", qms_row_int64(before, T_counter_id));
	qms_change_json(&json, before, ticket);
	qms_ticket_event(call, ticket, "ticket.held", qms_json_end(&json), event_id);
	qms_hold_leave_counter(call, before, event_id);
	return qms_ticket_answer(call, ticket);
}

/*
 * A locked ticket on hold waits again.  False, and nothing done, if its person
 * is called for another ticket.
 */
bool
qms_hold_resume(QmsCall *call, QmsTicket *ticket)
{
	char	   *kind = qms_row_text(ticket, T_hold_kind);
	QmsJson		json;

	if (!qms_visit_claim(ticket))
		return false;
	qms_ticket_set_state(ticket, QMS_WAITING);
	qms_ticket_clear_hold(ticket);
	set_wanted_until(call, ticket);
	qms_ticket_store(ticket);
	qms_json_begin(&json);
	qms_json_text(&json, "hold_kind", kind);
	qms_ticket_event(call, ticket, strcmp(kind, "not_arrived") == 0 ? "ticket.arrived" : "ticket.resumed",
					 qms_json_end(&json), 0);
	return true;
}

QMS_FUNCTION(resume_ticket, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	QmsTicket  *ticket = qms_ticket_lock(call, ticket_id, true);

	if (qms_row_isnull(ticket, T_hold_kind))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
				 errmsg("ticket %lld is not on hold: it is %s", (long long) ticket_id,
						qms_row_text(ticket, T_state)),
				 errdetail("It has no hold to end."),
				 errhint("Only tickets on hold can be resumed.")));
	if (!qms_hold_resume(call, ticket))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_ELIGIBLE),
				 errmsg("the customer of ticket %lld is called for another ticket", (long long) ticket_id),
				 errdetail("One person is called to one counter at a time."),
				 errhint("It waits again by itself when that one is done.")));
	return qms_ticket_answer(call, ticket);
}

QMS_FUNCTION(requeue_ticket, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	QmsTicket  *ticket = qms_ticket_lock(call, ticket_id, true);
	QmsTicket  *before = qms_row_copy(ticket);
	QmsState	state = qms_ticket_state(ticket);
	QmsJson		json;
	int64		event_id;

	if (state != QMS_CALLED)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
				 errmsg("ticket %lld cannot be requeued: it is %s", (long long) ticket_id,
						qms_state_name(state)),
				 errdetail("Requeuing takes back a call that the customer did not follow."),
				 errhint("Only a called ticket can; use qms.hold_ticket() or qms.transfer_ticket().")));
	qms_ticket_set_state(ticket, QMS_WAITING);
	qms_ticket_clear_call(ticket);
	event_id = qms_event_next_id();
	qms_ticket_store(ticket);
	qms_json_begin(&json);
	qms_json_id(&json, "from_counter_id", qms_row_int64(before, T_counter_id));
	qms_change_json(&json, before, ticket);
	qms_ticket_event(call, ticket, "ticket.requeued", qms_json_end(&json), event_id);
	qms_hold_leave_counter(call, before, event_id);
	return qms_ticket_answer(call, ticket);
}
