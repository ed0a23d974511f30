/*
 * call.c
 *		Calling: call_next, call_ticket, recall_ticket, start_service,
 *		serve_walk_up.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"

/* What a counter ends in the same call, before it takes another ticket. */
typedef struct Finished
{
	int64		ticket_id;		/* 0: nothing */
	QmsTicket  *ticket;			/* its row of history */
	int64		served_usec;	/* < 0: it was not served */
	int64		event_id;
} Finished;

static pg_attribute_noreturn() void
counter_busy(const QmsSession *session)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_COUNTER_BUSY),
			 errmsg("counter %lld has an open call", (long long) qms_row_int64(session, S_counter_id)),
			 errdetail("Ticket %lld is at the counter.",
					   (long long) qms_row_int64(session, S_current_ticket_id)),
			 errhint("End it with qms.complete_service() or qms.mark_no_show(), or give finish_current.")));
}

/*
 * Give a locked ticket to the counter: called, or serving at once.
 *
 * Locks: ticket (held), the other tickets of its visit, then the session's row in
 * qms_session_take.
 */
static void
put_at_counter(QmsCall *call, QmsTicket *ticket, QmsSession *session, const QmsPick *pick,
			   const Finished *finished, const Jsonb *data)
{
	bool		serving = qms_ticket_state(ticket) == QMS_SERVING;
	int64		event_id;

	qms_visit_lock_others(ticket);
	event_id = qms_session_take(call, session, qms_row_int64(ticket, T_ticket_id), finished->ticket_id,
								finished->served_usec, pick->passes, pick->npasses);
	qms_row_copy_value(ticket, T_counter_id, session, S_counter_id);
	qms_row_copy_value(ticket, T_staff_id, session, S_staff_id);
	qms_row_copy_value(ticket, T_staff_session_id, session, S_staff_session_id);
	/* One that ends a ticket in this call has been free from now on. */
	qms_row_set_time(ticket, T_counter_free_since,
					 finished->ticket_id != 0 ? call->now : qms_row_time(session, S_idle_since));
	qms_row_set_time(ticket, T_called_at, call->now);
	qms_row_set_time(ticket, T_started_at, serving ? call->now : QMS_NO_TIME);
	qms_row_set_int32(ticket, T_calls, qms_row_int32(ticket, T_calls) + 1);
	qms_row_set_int32(ticket, T_recalls, 0);
	qms_row_set_null(ticket, T_last_recall_at);
	qms_ticket_store(ticket);
	qms_ticket_event(call, ticket, serving ? "ticket.serving" : "ticket.called", data, event_id);
	qms_visit_pause_others(call, ticket);
}

/* Why this ticket: what qms.explain_call() answers later. */
static Jsonb *
explanation(const QmsTicket *ticket, const QmsProfile *profile, const QmsPick *pick, const Finished *finished)
{
	QmsJson		json;
	int			i;

	qms_json_begin(&json);
	qms_json_text(&json, "policy", qms_policy_name(profile->policy));
	qms_json_int64(&json, "sort_key", qms_row_int64(ticket, T_sort_key));
	qms_json_id(&json, "passed_ticket_id", pick->passed);
	if (pick->passed != 0)
		qms_json_text(&json, "passed_while", pick->passed_in_change ? "changed" : "called");
	qms_json_id(&json, "follows_event_id", finished->event_id);
	if (pick->nheads > 1)
	{
		qms_json_begin_array(&json, "heads");
		for (i = 0; i < pick->nheads; i++)
		{
			const QmsHead *head = &pick->heads[i];

			qms_json_begin_object(&json, NULL);
			qms_json_int64(&json, "queue_id", head->queue_id);
			qms_json_int64(&json, "ticket_id", head->ticket_id);
			qms_json_int64(&json, "customer_class_id", head->customer_class_id);
			qms_json_int64(&json, "sort_key", head->sort_key);
			qms_json_time(&json, "effective_arrival", head->effective_arrival);
			qms_json_float8(&json, "weight", head->weight);
			qms_json_float8(&json, "score", head->score);
			qms_json_end_object(&json);
		}
		qms_json_end_array(&json);
	}
	return qms_json_end(&json);
}

/* End the current ticket as finish_current says; what it was, for the session. */
static void
finish_current(QmsCall *call, const QmsSession *session, const char *word, Finished *finished)
{
	int64		counter_id = qms_row_int64(session, S_counter_id);
	const char *outcome;
	const char *reason;
	QmsState	final = qms_finish_word(word, &outcome, &reason);

	finished->ticket = qms_session_current_ticket(call, counter_id, false);
	if (finished->ticket == NULL)
		return;
	finished->ticket_id = qms_row_int64(finished->ticket, T_ticket_id);
	finished->served_usec = qms_served_usec(finished->ticket, final, call->now);
	finished->event_id = qms_finish(call, finished->ticket, final, outcome, reason, false);
}

/*
 * The next ticket of a counter, called; NULL if nobody waits.  word: how its
 * present ticket ends, or NULL.
 */
QmsTicket *
qms_call_next_ticket(QmsCall *call, const QmsCounter *counter, const char *word)
{
	QmsSession *session = qms_session_needed(counter->counter_id);
	QmsProfile *profile = qms_session_profile(session, counter);
	Finished	finished = {0, NULL, -1, 0};
	QmsPick		pick;

	qms_session_check_may_call(session);
	if (word != NULL)
		finish_current(call, session, word, &finished);
	else if (!qms_row_isnull(session, S_current_ticket_id))
		counter_busy(session);
	qms_pick(call, session, profile, &pick);
	if (pick.ticket == NULL)
	{
		if (finished.ticket != NULL)
			qms_session_let_go(call, finished.ticket, finished.served_usec, finished.event_id);
		return NULL;
	}
	qms_ticket_set_state(pick.ticket, QMS_CALLED);
	put_at_counter(call, pick.ticket, session, &pick, &finished,
				   explanation(pick.ticket, profile, &pick, &finished));
	return pick.ticket;
}

QMS_FUNCTION(call_next, QMS_ACT_COUNTER, QMS_MUTATES | QMS_SETOF)
{
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	QmsTicket  *ticket = qms_call_next_ticket(call, counter, qms_arg_text_or_null(call, 1));

	return ticket == NULL ? qms_answer_none(call) : qms_ticket_answer(call, ticket);
}

static bool
serves_queue(const QmsProfile *profile, int64 queue_id)
{
	int			i;

	for (i = 0; i < profile->nsources; i++)
	{
		if (profile->sources[i].queue_id == queue_id)
			return true;
	}
	return false;
}

/* May this counter call that ticket out of turn? */
static void
check_may_choose(const QmsCounter *counter, const QmsProfile *profile, QmsTicket *ticket)
{
	long long	ticket_id = qms_row_int64(ticket, T_ticket_id);
	QmsState	state = qms_ticket_state(ticket);

	if (profile->blind)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_BLIND_CALL),
				 errmsg("counter %lld may not choose whom it calls", (long long) counter->counter_id),
				 errdetail("Its profile is blind."),
				 errhint("Use qms.call_next().")));
	if (!serves_queue(profile, qms_row_int64(ticket, T_queue_id)))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_ELIGIBLE),
				 errmsg("counter %lld does not serve the queue of ticket %lld",
						(long long) counter->counter_id, ticket_id),
				 errdetail("The queue is none of the counter's sources."),
				 errhint("Transfer the ticket to a queue of the counter.")));
	if (state != QMS_WAITING && state != QMS_ON_HOLD)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
				 errmsg("ticket %lld cannot be called: it is %s", ticket_id, qms_state_name(state)),
				 errdetail("Only tickets that wait or are on hold can be called."),
				 errhint("Look at the ticket with qms.get_ticket(), then use the function that fits its state.")));
	if (!qms_visit_claim(ticket))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_ELIGIBLE),
				 errmsg("the customer of ticket %lld is called for another ticket", ticket_id),
				 errdetail("One person is called to one counter at a time."),
				 errhint("Wait until that one is done.")));
}

/* Bring a ticket on hold back into the line before it is called; undo puts it on hold again. */
static void
end_hold(QmsCall *call, QmsTicket *ticket, QmsJson *json)
{
	QmsTicket  *before = qms_row_copy(ticket);

	if (qms_ticket_state(ticket) != QMS_ON_HOLD)
		return;
	qms_ticket_set_state(ticket, QMS_WAITING);
	qms_ticket_clear_hold(ticket);
	qms_ticket_store(ticket);
	qms_ticket_event(call, ticket, "ticket.resumed", NULL, 0);
	qms_change_json(json, before, ticket);
}

QMS_FUNCTION(call_ticket, QMS_ACT_COUNTER, QMS_MUTATES)
{
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	int64		ticket_id = qms_arg_id(call, 1, "ticket_id");
	QmsSession *session = qms_session_needed(counter->counter_id);
	QmsProfile *profile = qms_session_profile(session, counter);
	Finished	finished = {0, NULL, -1, 0};
	QmsPick		pick = {0};
	QmsTicket  *ticket;
	QmsJson		json;

	qms_session_check_may_call(session);
	if (!qms_row_isnull(session, S_current_ticket_id))
		counter_busy(session);
	ticket = qms_ticket_lock(call, ticket_id, false);
	check_may_choose(counter, profile, ticket);
	qms_json_begin(&json);
	qms_json_text(&json, "policy", "chosen");
	qms_json_int64(&json, "sort_key", qms_row_int64(ticket, T_sort_key));
	end_hold(call, ticket, &json);
	qms_ticket_set_state(ticket, QMS_CALLED);
	put_at_counter(call, ticket, session, &pick, &finished, qms_json_end(&json));
	return qms_ticket_answer(call, ticket);
}

/* The current ticket, which must be called and not yet served. */
static QmsTicket *
called_ticket(QmsCall *call, QmsState next)
{
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	QmsTicket  *ticket = qms_session_current_ticket(call, counter->counter_id, true);
	QmsState	state = qms_ticket_state(ticket);

	if (state != QMS_CALLED)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
				 errmsg("ticket %lld cannot become %s: it is %s",
						(long long) qms_row_int64(ticket, T_ticket_id), qms_state_name(next),
						qms_state_name(state)),
				 errdetail("That needs a ticket that is called and not yet served."),
				 errhint("End the service with qms.complete_service().")));
	return ticket;
}

QMS_FUNCTION(recall_ticket, QMS_ACT_COUNTER, QMS_MUTATES)
{
	QmsTicket  *ticket = called_ticket(call, QMS_CALLED);
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));
	int32		recalls = qms_row_int32(ticket, T_recalls);
	TimestampTz last = qms_row_time(ticket, T_last_recall_at);
	QmsJson		json;

	if (last == QMS_NO_TIME)
		last = qms_row_time(ticket, T_called_at);
	if (queue != NULL && recalls >= queue->settings.recall_limit)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_RECALL_LIMIT),
				 errmsg("ticket %lld has been recalled often enough",
						(long long) qms_row_int64(ticket, T_ticket_id)),
				 errdetail("recall_limit of the queue is %d.", queue->settings.recall_limit),
				 errhint("Use qms.mark_no_show() or qms.requeue_ticket().")));
	if (queue != NULL && call->now - last < queue->settings.recall_gap)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_RECALL_TOO_SOON),
				 errmsg("ticket %lld was called a moment ago",
						(long long) qms_row_int64(ticket, T_ticket_id)),
				 errdetail("recall_gap of the queue has not passed."),
				 errhint("Try again a little later.")));
	qms_row_set_int32(ticket, T_recalls, recalls + 1);
	qms_row_set_time(ticket, T_last_recall_at, call->now);
	qms_ticket_store(ticket);
	qms_json_begin(&json);
	qms_json_int64(&json, "recalls", recalls + 1);
	qms_ticket_event(call, ticket, "ticket.recalled", qms_json_end(&json), 0);
	return qms_ticket_answer(call, ticket);
}

QMS_FUNCTION(start_service, QMS_ACT_COUNTER, QMS_MUTATES)
{
	QmsTicket  *ticket = called_ticket(call, QMS_SERVING);
	int64		event_id;

	qms_ticket_set_state(ticket, QMS_SERVING);
	qms_row_set_time(ticket, T_started_at, call->now);
	qms_ticket_store(ticket);
	event_id = qms_ticket_event(call, ticket, "ticket.serving", NULL, 0);
	qms_session_remember(call, ticket, event_id);
	return qms_ticket_answer(call, ticket);
}

QMS_FUNCTION(serve_walk_up, QMS_ACT_COUNTER, QMS_MUTATES)
{
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	int64		service_id = qms_arg_id(call, 1, "service_id");
	QmsSession *session = qms_session_needed(counter->counter_id);
	int64		queue_id = qms_config_default_queue(counter->branch_id, service_id);
	Finished	finished = {0, NULL, -1, 0};
	QmsPick		pick = {0};
	QmsTicket  *ticket;
	QmsJson		json;

	qms_session_check_may_call(session);
	if (!qms_row_isnull(session, S_current_ticket_id))
		counter_busy(session);
	if (queue_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_SERVICE_NOT_OFFERED),
				 errmsg("the branch of counter %lld does not offer service %lld",
						(long long) counter->counter_id, (long long) service_id),
				 errdetail("No queue of the branch offers it, or it does not exist."),
				 errhint("Offer it with qms.offer_service().")));
	/* The queue's lock comes before row locks. */
	qms_lock(QMS_LOCK_QUEUE, queue_id, false);
	qms_session_lock(session);
	ticket = qms_join_walk_up(call, queue_id, service_id);
	qms_ticket_set_state(ticket, QMS_SERVING);
	qms_json_begin(&json);
	qms_json_text(&json, "policy", "walk_up");
	qms_json_int64(&json, "sort_key", qms_row_int64(ticket, T_sort_key));
	put_at_counter(call, ticket, session, &pick, &finished, qms_json_end(&json));
	return qms_ticket_answer(call, ticket);
}
