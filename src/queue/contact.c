/*
 * contact.c
 *		The contact of a ticket: sealed when it is written, shown to those who
 *		need it.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* A ticket keeps its contact when it moves to history and back: the table is the same to the seal. */
static QmsSealPlace
place_of(const QmsTicket *ticket)
{
	QmsSealPlace place = {qms_row_int64(ticket, T_organization_id), "ticket", "contact",
	qms_row_int64(ticket, T_ticket_id)};

	return place;
}

/* Needs the ticket's id and organization. */
void
qms_ticket_set_contact(QmsTicket *ticket, const Jsonb *contact)
{
	QmsSealPlace place = place_of(ticket);

	qms_row_set_pointer(ticket, T_contact, qms_contact_seal(&place, contact));
}

/*
 * May the caller see contacts of tickets at all, beside those of people he is
 * just serving?  Whoever may look up customers may: a clerk can be granted it, or
 * denied, as any other right.
 */
bool
qms_ticket_sees_contacts(QmsCall *call)
{
	static QmsFunction find = {"find_customers", QMS_ACT_PERSONAL, 0, NULL, 0, 0};

	return call->who->kind == QMS_SUPERUSER || qms_rights_reach(call->who, &find) >= QMS_REACH_YES;
}

/* Who serves somebody sees how to reach him; an application, the people of its own queues. */
static bool
sees_contact(QmsCall *call, const QmsTicket *ticket)
{
	QmsState	state = qms_ticket_state(ticket);

	if (qms_ticket_sees_contacts(call))
		return true;
	if (call->who->kind == QMS_STAFF && call->who->column == QMS_ROLE_SERVICER)
		return (state == QMS_CALLED || state == QMS_SERVING) && qms_row_int64(ticket, T_staff_id) == call->who->id;
	return call->who->kind == QMS_APPLICATION && qms_row_int64(ticket, T_application_id) == call->who->id;
}

/*
 * The contact for an answer: null for whoever need not see it.  What does not
 * open is an error for whoever asks for it (raise), and a warning where it is only
 * part of something else: a customer is called also when his number cannot be read.
 */
void
qms_ticket_show_contact(QmsCall *call, const QmsTicket *ticket, bool raise, Datum *value, bool *isnull)
{
	Jsonb	   *shown = NULL;

	if (!qms_row_isnull(ticket, T_contact) && sees_contact(call, ticket))
	{
		QmsSealPlace place = place_of(ticket);

		shown = qms_contact_open(&place, DatumGetJsonbP(ticket->values[T_contact]), raise);
	}
	*isnull = shown == NULL;
	*value = PointerGetDatum(shown);
}

/*
 * The ticket is that of a known customer.  The link is kept beside the ticket: it
 * tells all tickets of a customer without an index on the history of everybody.
 */
void
qms_ticket_set_customer(QmsCall *call, QmsTicket *ticket, int64 customer_id, bool needed)
{
	static QmsPlan look = QMS_PLAN(
								   "SELECT 1 FROM qms.customer WHERE customer_id = $1 AND organization_id = $2 AND deleted_at IS NULL",
								   INT8OID, INT8OID);
	static QmsPlan link = QMS_PLAN(
								   "INSERT INTO qms_internal.customer_ticket (customer_id, organization_id, ticket_id, linked_at) "
								   "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, customer_id);
	qms_param_int64(&params, qms_row_int64(ticket, T_organization_id));
	if (qms_spi_look(&look, &params) == 0)
	{
		if (needed)
			qms_not_found("customer", customer_id);
		return;
	}
	qms_row_set_id(ticket, T_customer_id, customer_id);
	qms_param_int64(&params, qms_row_int64(ticket, T_ticket_id));
	qms_param_time(&params, call->now);
	qms_spi_run(&link, &params);
}

/*
 * For the search: has the contact of this ticket that piece of text in it?  Run by
 * statements of ours, inside of SPI.
 */
PG_FUNCTION_INFO_V1(qms_contact_matches);

Datum
qms_contact_matches(PG_FUNCTION_ARGS)
{
	QmsSealPlace place = {PG_GETARG_INT64(1), "ticket", "contact", PG_GETARG_INT64(2)};
	Jsonb	   *stored = PG_GETARG_JSONB_P(0);
	QmsPiece   *piece = fcinfo->flinfo->fn_extra;
	Jsonb	   *contact;
	bool		result;

	/* The text is a parameter of the statement: the same for all its rows. */
	if (piece == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		piece = palloc(sizeof(QmsPiece));
		qms_piece_make(piece, text_to_cstring(PG_GETARG_TEXT_PP(3)));
		fcinfo->flinfo->fn_extra = piece;
		MemoryContextSwitchTo(old);
	}
	/* Keys may have to be read anew. */
	qms_spi_begin();
	contact = qms_contact_open(&place, stored, false);
	result = contact != NULL && qms_piece_in_contact(piece, contact);
	qms_spi_end();
	PG_RETURN_BOOL(result);
}
