/*
 * finish.c
 *		How tickets at a counter end: complete_service, mark_no_show, and
 *		cancel_ticket for any open one.
 */
#include "queue/queue.h"

static const char *
event_of(QmsState final)
{
	return psprintf("ticket.%s", qms_state_name(final));
}

/* completed, no_show or left, as finish_current says it. */
QmsState
qms_finish_word(const char *word, const char **outcome, const char **reason)
{
	*outcome = NULL;
	*reason = NULL;
	if (strcmp(word, "completed") == 0)
		return QMS_COMPLETED;
	if (strcmp(word, "no_show") == 0)
		return QMS_NO_SHOW;
	if (strcmp(word, "left") != 0)
		qms_arg_choice_error("finish_current", word, "completed, no_show and left");
	*outcome = "left";
	return QMS_CANCELLED;
}

/* How long a ticket that ends so was served; -1 if it was not, or is simulated and counts in no statistic. */
int64
qms_served_usec(const QmsTicket *ticket, QmsState final, TimestampTz now)
{
	TimestampTz from = qms_row_time(ticket, T_started_at);

	if (final != QMS_COMPLETED || qms_row_bool(ticket, T_simulated))
		return -1;
	if (from == QMS_NO_TIME)
		from = qms_row_time(ticket, T_called_at);
	return Max(now - from, 0);
}

/* Nobody pressed "start": the service began with the call. */
static void
start_implied(QmsCall *call, QmsTicket *ticket)
{
	QmsJson		json;

	qms_ticket_set_state(ticket, QMS_SERVING);
	qms_row_copy_value(ticket, T_started_at, ticket, T_called_at);
	qms_ticket_store(ticket);
	qms_json_begin(&json);
	qms_json_bool(&json, "implied", true);
	qms_ticket_event(call, ticket, "ticket.serving", qms_json_end(&json), 0);
}

/*
 * End a locked ticket, wherever it is; answers the id of its last event.  With
 * let_go, the counter it is called at becomes idle.
 */
int64
qms_finish(QmsCall *call, QmsTicket *ticket, QmsState final, const char *outcome, const char *reason,
		   bool let_go)
{
	QmsState	from = qms_ticket_state(ticket);
	int64		served;
	int64		event_id;
	QmsJson		json;

	qms_state_check(final == QMS_COMPLETED && from == QMS_CALLED ? QMS_SERVING : from, final,
					qms_row_int64(ticket, T_ticket_id));
	if (final == QMS_COMPLETED && from == QMS_CALLED)
		start_implied(call, ticket);
	served = qms_served_usec(ticket, final, call->now);
	qms_ticket_end(call, ticket, final, outcome, reason);
	qms_json_begin(&json);
	qms_json_text(&json, "from", qms_state_name(from));
	qms_json_text(&json, "outcome", outcome);
	qms_json_text(&json, "reason", reason);
	if (served >= 0)
		qms_json_float8(&json, "served_seconds", (double) served / USECS_PER_SEC);
	event_id = qms_ticket_event(call, ticket, event_of(final), qms_json_end(&json), 0);
	if (let_go && !qms_row_isnull(ticket, T_staff_session_id))
		qms_session_let_go(call, ticket, served, event_id);
	/* Its others were on hold only while it was at a counter. */
	if (from == QMS_CALLED || from == QMS_SERVING)
		qms_visit_resume_others(call, ticket);
	return event_id;
}

QMS_FUNCTION(complete_service, QMS_ACT_COUNTER, QMS_MUTATES)
{
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	char	   *outcome = qms_arg_text_or_null(call, 1);
	char	   *notes = qms_arg_text_or_null(call, 2);
	QmsTicket  *ticket = qms_session_current_ticket(call, counter->counter_id, true);

	if (notes != NULL)
		qms_row_set_text(ticket, T_notes, notes);
	qms_finish(call, ticket, QMS_COMPLETED, outcome, NULL, true);
	return qms_ticket_answer(call, ticket);
}

QMS_FUNCTION(mark_no_show, QMS_ACT_COUNTER, QMS_MUTATES)
{
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	QmsTicket  *ticket = qms_session_current_ticket(call, counter->counter_id, true);

	qms_finish(call, ticket, QMS_NO_SHOW, NULL, NULL, true);
	return qms_ticket_answer(call, ticket);
}

QMS_FUNCTION(cancel_ticket, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	char	   *reason = qms_arg_text_or_null(call, 1);
	QmsTicket  *ticket = qms_ticket_lock(call, ticket_id, true);

	qms_finish(call, ticket, QMS_CANCELLED, NULL, reason, true);
	return qms_ticket_answer(call, ticket);
}
