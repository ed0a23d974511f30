/*
 * visit.c
 *		Visits: what one person came for, with one token over several tickets.
 *
 * The visit of a simple join is its ticket: visit_id is the ticket's id, and no
 * row of qms.visit exists.  The row is written with the second ticket; from
 * then on each ticket of the visit is marked shared, and when one of them is
 * called the others are put on hold until it is done.
 *
 * Whoever changes a ticket of a shared visit may have to change its others, so
 * he locks the visit first, then tickets.  Only a picker has a ticket before he
 * knows of the visit; he takes the visit if it is free and another ticket if it
 * is not, and so never waits for it.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"

/*
 * The visit that a token names, after checking that it is its token.  Answers
 * the nonce as well, for further tickets.
 */
int64
qms_visit_of_token(QmsCall *call, const QmsTicketToken *token, int64 *nonce)
{
	int64		organization_id;
	int64		visit_id;
	int			kid;
	const uint8 *secret;

	qms_types_token_unpack(token, &organization_id, &visit_id, &kid, &secret);
	if (call->who->organization_id != 0 && call->who->organization_id != organization_id)
		qms_token_refuse();
	if (!qms_token_nonce_of_visit(visit_id, nonce) || !qms_token_check(token, *nonce))
		qms_token_refuse();
	call->answer_organization = organization_id;
	return visit_id;
}

/* Lock the visit of a ticket, if it is one of several. */
void
qms_visit_lock_of(int64 ticket_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT visit_id FROM qms.ticket WHERE ticket_id = $1 AND shared_visit",
								   INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, ticket_id);
	if (qms_spi_look(&plan, &params) > 0)
		qms_lock(QMS_LOCK_VISIT, qms_spi_int64(0, 0), true);
}

/* Has the visit come to have several tickets?  Its lock is held. */
bool
qms_visit_is_shared(int64 visit_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT 1 FROM qms.visit WHERE visit_id = $1", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, visit_id);
	return qms_spi_look(&plan, &params) > 0;
}

/* Ids of the open tickets of a visit, in the order of joining. */
int64 *
qms_visit_open_tickets(int64 visit_id, int *n)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT ticket_id FROM qms.ticket WHERE ticket_id = $1 "
								   "UNION ALL SELECT ticket_id FROM qms.ticket WHERE visit_id = $1 AND visit_id <> ticket_id "
								   "ORDER BY 1", INT8OID);
	QmsParams	params = {0};
	int64	   *ids;
	int			i;

	qms_param_int64(&params, visit_id);
	*n = (int) qms_spi_look(&plan, &params);
	ids = palloc(sizeof(int64) * Max(*n, 1));
	for (i = 0; i < *n; i++)
		ids[i] = qms_spi_int64(i, 0);
	return ids;
}

/* Is another ticket of the visit at a counter? */
static bool
other_is_called(const QmsTicket *ticket)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.ticket WHERE visit_id = $1 AND visit_id <> ticket_id AND ticket_id <> $2 "
								   "AND state IN ('called', 'serving') "
								   "UNION ALL SELECT 1 FROM qms.ticket WHERE ticket_id = $1 AND ticket_id <> $2 "
								   "AND state IN ('called', 'serving')", INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, qms_row_int64(ticket, T_visit_id));
	qms_param_int64(&params, qms_row_int64(ticket, T_ticket_id));
	return qms_spi_look(&plan, &params) > 0;
}

/*
 * A ticket of a shared visit is about to be called: claim the person.  False if
 * another counter is just calling him for another ticket, or has called him.
 *
 * Lock: the visit's, exclusive, and only if it is free.  Whoever does not get
 * it takes another ticket instead of waiting, so two counters that picked two
 * tickets of one person cannot wait for one another.
 */
bool
qms_visit_claim(QmsTicket *ticket)
{
	if (!qms_row_bool(ticket, T_shared_visit))
		return true;
	if (!qms_lock_if_free(QMS_LOCK_VISIT, qms_row_int64(ticket, T_visit_id), true))
		return false;
	return !other_is_called(ticket);
}

/* Ids of the other open tickets of a ticket's visit, in the order of joining. */
static int64 *
others_of(const QmsTicket *ticket, int *n)
{
	int64	   *ids;
	int			all;
	int			i;

	*n = 0;
	if (!qms_row_bool(ticket, T_shared_visit))
		return NULL;
	ids = qms_visit_open_tickets(qms_row_int64(ticket, T_visit_id), &all);
	for (i = 0; i < all; i++)
	{
		if (ids[i] != qms_row_int64(ticket, T_ticket_id))
			ids[(*n)++] = ids[i];
	}
	return ids;
}

/* Is another ticket of the visit being changed by its customer or a desk? */
bool
qms_visit_is_changing(const QmsTicket *ticket)
{
	int			n;
	int64	   *ids = others_of(ticket, &n);
	int			i;

	for (i = 0; i < n; i++)
	{
		if (qms_lock_is_held_by_other(QMS_LOCK_TICKET, ids[i]))
			return true;
	}
	return false;
}

/*
 * Lock the rows of the other tickets of a person who is about to be called; the
 * visit is claimed.
 *
 * Locks: their rows, before the session's.  A picker who got one of them, could
 * not claim the visit and took another ticket keeps the row to the end of his
 * transaction, and he may be at the same counter: the one that calls by itself
 * and its clerk.  He then waits for the session, so whoever has the session must
 * not wait for him.  Here he is waited for while we have no session yet.
 */
void
qms_visit_lock_others(const QmsTicket *ticket)
{
	int			n;
	int64	   *ids = others_of(ticket, &n);
	int			i;

	for (i = 0; i < n; i++)
		(void) qms_ticket_lock_if(QMS_IF_WAITING, ids[i]);
}

/*
 * The other tickets of a called person wait on hold; the visit is claimed.
 *
 * Locks: their rows, which qms_visit_lock_others has taken.  Somebody who holds
 * one of them and wants this visit does not wait for it (see qms_visit_claim),
 * and a change of such a ticket by its customer or a desk waits for nothing of
 * ours.
 */
void
qms_visit_pause_others(QmsCall *call, const QmsTicket *ticket)
{
	int			n;
	int64	   *ids = others_of(ticket, &n);
	int			i;

	for (i = 0; i < n; i++)
	{
		QmsTicket  *other = qms_ticket_lock_if(QMS_IF_WAITING, ids[i]);
		QmsJson		json;

		if (other == NULL)
			continue;
		qms_ticket_set_state(other, QMS_ON_HOLD);
		qms_row_set_text(other, T_hold_kind, "other_ticket");
		qms_row_set_time(other, T_held_at, call->now);
		qms_ticket_store(other);
		qms_json_begin(&json);
		qms_json_text(&json, "hold_kind", "other_ticket");
		qms_json_int64(&json, "other_ticket_id", qms_row_int64(ticket, T_ticket_id));
		qms_ticket_event(call, other, "ticket.held", qms_json_end(&json), 0);
	}
}

/* ... and go on waiting when the called one is done, and none of them is called. */
void
qms_visit_resume_others(QmsCall *call, const QmsTicket *ticket)
{
	int64	   *ids;
	int			n;
	int			i;

	if (!qms_row_bool(ticket, T_shared_visit) || other_is_called(ticket))
		return;
	ids = others_of(ticket, &n);
	for (i = 0; i < n; i++)
	{
		QmsTicket  *other = qms_ticket_lock_if(QMS_IF_HELD_FOR_OTHER, ids[i]);
		QmsJson		json;

		if (other == NULL)
			continue;
		qms_ticket_set_state(other, QMS_WAITING);
		qms_ticket_clear_hold(other);
		qms_ticket_store(other);
		qms_json_begin(&json);
		qms_json_int64(&json, "other_ticket_id", qms_row_int64(ticket, T_ticket_id));
		qms_ticket_event(call, other, "ticket.resumed", qms_json_end(&json), 0);
	}
}
