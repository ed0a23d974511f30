/*
 * customer.c
 *		What a customer does with his own ticket: leave_queue, defer_ticket.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"

#define MAX_PLACES 1000

/*
 * The open tickets of the visit of the token, each locked.
 *
 * Locks: the visit, then each ticket's own and its row.  Somebody who just picks
 * one of them waits for none of these.
 */
static QmsTicket **
lock_visit(QmsCall *call, int *n)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	QmsTicket **tickets;
	int64		nonce;
	int64		visit_id;
	int64	   *ids;
	int			nids;
	int			i;

	if (PG_ARGISNULL(0))
		qms_token_refuse();
	visit_id = qms_visit_of_token(call, PG_GETARG_TICKET_TOKEN(0), &nonce);
	qms_lock(QMS_LOCK_VISIT, visit_id, true);
	ids = qms_visit_open_tickets(visit_id, &nids);
	tickets = palloc(sizeof(QmsTicket *) * Max(nids, 1));
	*n = 0;
	for (i = 0; i < nids; i++)
	{
		QmsTicket  *ticket;

		qms_lock(QMS_LOCK_TICKET, ids[i], true);
		ticket = qms_ticket_lock_if(QMS_IF_OPEN, ids[i]);
		if (ticket != NULL)
			tickets[(*n)++] = ticket;
	}
	if (*n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ALREADY_ENDED),
				 errmsg("the visit has already ended"),
				 errdetail("None of its tickets is open."),
				 errhint("Look at it with qms.visit_status().")));
	return tickets;
}

QMS_FUNCTION(leave_queue, QMS_ACT_TOKEN, QMS_MUTATES)
{
	char	   *reason = qms_arg_text_or_null(call, 1);
	int			n;
	QmsTicket **tickets = lock_visit(call, &n);
	QmsTicket  *left = NULL;
	QmsTicket  *called = NULL;
	int			i;

	for (i = 0; i < n; i++)
	{
		QmsState	state = qms_ticket_state(tickets[i]);

		if (state == QMS_SERVING)
			continue;
		left = tickets[i];
		if (state == QMS_CALLED)
			called = tickets[i];
		else
			qms_finish(call, tickets[i], QMS_CANCELLED, "left", reason, true);
	}
	/* The called one last: its end would bring back the others, which we have in hand. */
	if (called != NULL)
		qms_finish(call, called, QMS_CANCELLED, "left", reason, true);
	if (left == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
				 errmsg("ticket %lld is being served", (long long) qms_row_int64(tickets[0], T_ticket_id)),
				 errdetail("The counter ends the service."),
				 errhint("Tell the staff at the counter.")));
	return qms_progress_answer(call, left);
}

/* The waiting ticket of the visit, the first in line. */
static QmsTicket *
waiting_one(QmsTicket **tickets, int n)
{
	QmsTicket  *best = NULL;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (qms_ticket_state(tickets[i]) == QMS_WAITING &&
			(best == NULL || qms_row_int64(tickets[i], T_sort_key) < qms_row_int64(best, T_sort_key)))
			best = tickets[i];
	}
	if (best == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
				 errmsg("ticket %lld does not wait: it is %s",
						(long long) qms_row_int64(tickets[0], T_ticket_id),
						qms_row_text(tickets[0], T_state)),
				 errdetail("Only who waits can let others go first."),
				 errhint("Only a waiting ticket can be deferred.")));
	return best;
}

static void
check_limit(const QmsTicket *ticket)
{
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));

	if (queue != NULL && qms_row_int32(ticket, T_defers) >= queue->settings.defer_limit)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_DEFER_LIMIT),
				 errmsg("ticket %lld has been deferred often enough",
						(long long) qms_row_int64(ticket, T_ticket_id)),
				 errdetail("defer_limit of the queue is %d.", queue->settings.defer_limit),
				 errhint("Leave the queue and join again.")));
}

QMS_FUNCTION(defer_ticket, QMS_ACT_TOKEN, QMS_MUTATES)
{
	int32		places = qms_arg_int32(call, 1, 0);
	TimestampTz until = qms_arg_time(call, 2);
	QmsTicket **tickets;
	QmsTicket  *ticket;
	QmsJson		json;
	int			n;

	if ((places != 0) == (until != QMS_NO_TIME) || places < 0 || places > MAX_PLACES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("defer_ticket needs either places or until"),
				 errdetail("places is from 1 to %d.", MAX_PLACES),
				 errhint("Give one of the two.")));
	if (until != QMS_NO_TIME && until <= call->now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("until must be in the future"),
				 errdetail("It is when the ticket comes back by itself."),
				 errhint("Give places to let some people go first.")));
	tickets = lock_visit(call, &n);
	ticket = waiting_one(tickets, n);
	check_limit(ticket);
	if (until != QMS_NO_TIME)
	{
		qms_ticket_set_state(ticket, QMS_ON_HOLD);
		qms_row_set_text(ticket, T_hold_kind, "deferred");
		qms_row_set_time(ticket, T_held_at, call->now);
		qms_row_set_time(ticket, T_resume_at, until);
		qms_row_set_text(ticket, T_resume_to, "place");
	}
	else
	{
		int64		key = qms_line_key_behind(qms_row_int64(ticket, T_queue_id),
											  qms_row_int64(ticket, T_sort_key),
											  qms_row_int64(ticket, T_ticket_id), places);

		/* Nobody is behind: the place stays, and nothing is used up. */
		if (key == qms_row_int64(ticket, T_sort_key))
			return qms_progress_answer(call, ticket);
		qms_ticket_set_key(ticket, key);
	}
	qms_row_set_int32(ticket, T_defers, qms_row_int32(ticket, T_defers) + 1);
	qms_ticket_store(ticket);
	qms_json_begin(&json);
	qms_ticket_order_json(&json, ticket);
	if (places > 0)
		qms_json_int64(&json, "places", places);
	qms_json_time(&json, "until", until);
	qms_ticket_event(call, ticket, "ticket.deferred", qms_json_end(&json), 0);
	return qms_progress_answer(call, ticket);
}
