/*
 * finish.c
 *		How access ends before its time: finish_visit by whoever has the token,
 *		revoke_access by those who look after the queue.
 */
#include "entry/entry.h"

#include "utils/builtins.h"

/* One error for every reason, so that nobody learns which tokens there are. */
static pg_attribute_noreturn() void
refuse_token(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_INVALID_TOKEN),
			 errmsg("access token is not valid"),
			 errdetail("No visit belongs to this token, or its key has expired."),
			 errhint("Use the token that claim_access answered.")));
}

enum
{
	F_ticket_id, F_queue_id, F_state, F_started_at, F_ended_at, F_COLUMNS
};

static Datum
answer(QmsCall *call, const QmsTicket *past)
{
	static const int same[F_COLUMNS] = {T_ticket_id, T_queue_id, T_state, T_started_at, T_ended_at};
	Datum		values[F_COLUMNS];
	bool		nulls[F_COLUMNS];
	int			i;

	for (i = 0; i < F_COLUMNS; i++)
	{
		nulls[i] = qms_row_isnull(past, same[i]);
		values[i] = past->values[same[i]];
	}
	return qms_answer_tuple(call, values, nulls);
}

/* It is not open any more: finished before is as well as finished now. */
static Datum
answer_past(QmsCall *call, int64 ticket_id)
{
	bool		ended;
	QmsTicket  *past = qms_ticket_read(ticket_id, &ended);

	if (past == NULL)
		refuse_token();
	if (ended && qms_ticket_state(past) == QMS_COMPLETED)
		return answer(call, past);
	ereport(ERROR,
			(errcode(ERRCODE_QMS_ALREADY_ENDED),
			 errmsg("the visit has already ended"),
			 errdetail("Its ticket is %s.", qms_row_text(past, T_state)),
			 errhint("Join the queue again.")));
}

/*
 * Whoever has the token may say that he is done.  A token that has expired still
 * does that, as long as nobody has ended the visit.  Lock: the ticket's row.
 */
QMS_FUNCTION(finish_visit, QMS_ACT_TOKEN, QMS_MUTATES)
{
	QmsAccessToken token;
	QmsAccessToken kept;
	QmsTicket  *ticket;

	if (qms_access_token_open(call, qms_access_token_argument(call, 0), &token) != NULL ||
		!qms_access_token_read(token.ticket_id, &kept) || kept.organization_id != token.organization_id ||
		memcmp(kept.nonce, token.nonce, QMS_ACCESS_NONCE_SIZE) != 0)
		refuse_token();
	call->answer_organization = token.organization_id;
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, token.ticket_id);
	if (ticket == NULL)
		return answer_past(call, token.ticket_id);
	/* It was put back into its queue: this token is not that of what it does now. */
	if (qms_ticket_state(ticket) != QMS_ADMITTED)
		refuse_token();
	qms_finish(call, ticket, QMS_COMPLETED, NULL, NULL, true);
	return answer(call, ticket);
}

/*
 * Who was let in is in no longer, and who could come in can not.  Locks: as every
 * change of a ticket at the desk, then the token's row.
 */
QMS_FUNCTION(revoke_access, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	char	   *reason = qms_arg_text_or_null(call, 1);
	QmsTicket  *ticket = qms_ticket_lock(call, ticket_id, true);
	QmsState	state = qms_ticket_state(ticket);

	if (state != QMS_RELEASED && state != QMS_ADMITTED)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
				 errmsg("ticket %lld has no access to be revoked: it is %s", (long long) ticket_id, qms_state_name(state)),
				 errdetail("Only who has been released or admitted has."),
				 errhint("End other tickets with qms.cancel_ticket().")));
	if (state == QMS_ADMITTED)
		qms_access_token_revoke(ticket_id, call->now);
	qms_finish(call, ticket, state == QMS_ADMITTED ? QMS_REVOKED : QMS_CANCELLED, NULL, reason, true);
	return qms_ticket_answer(call, ticket);
}
