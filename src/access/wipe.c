/*
 * wipe.c
 *		Personal data that goes: of tickets, visits, stored answers.
 *
 * What counts stays: queue, service, class, number, state, counter, clerk, every
 * moment, quotes and outcome.  What says who it was goes: contact, subject,
 * customer, notes, metadata, and the reasons that people gave in words.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static uint64
run_with_ids(QmsPlan *plan, Datum ids)
{
	QmsParams	params = {0};

	qms_param_datum(&params, ids);
	return qms_spi_run(plan, &params);
}

static bool
has_personal_data(const QmsTicket *ticket)
{
	static const int columns[] = {T_contact, T_subject, T_customer_id, T_notes, T_hold_reason};
	size_t		i;

	for (i = 0; i < lengthof(columns); i++)
	{
		if (!qms_row_isnull(ticket, columns[i]))
			return true;
	}
	return JB_ROOT_COUNT(DatumGetJsonbP(ticket->values[T_metadata])) > 0;
}

/* An open ticket keeps its place; its holder keeps his token. */
static bool
wipe_open_ticket(QmsCall *call, int64 ticket_id)
{
	QmsTicket  *ticket;
	QmsJson		json;

	qms_visit_lock_of(ticket_id);
	qms_lock(QMS_LOCK_TICKET, ticket_id, true);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, ticket_id);
	if (ticket == NULL || !has_personal_data(ticket))
		return false;
	qms_row_set_null(ticket, T_contact);
	qms_row_set_null(ticket, T_subject);
	qms_row_set_null(ticket, T_customer_id);
	qms_row_set_null(ticket, T_notes);
	qms_row_set_null(ticket, T_hold_reason);
	qms_json_begin(&json);
	qms_row_set_pointer(ticket, T_metadata, qms_json_end(&json));
	qms_ticket_store(ticket);
	qms_json_begin(&json);
	qms_ticket_order_json(&json, ticket);
	qms_ticket_event(call, ticket, "ticket.updated", qms_json_end(&json), 0);
	return true;
}

static uint64
wipe_open_tickets(QmsCall *call, Datum ids)
{
	static QmsPlan plan = QMS_PLAN("SELECT ticket_id FROM qms.ticket WHERE ticket_id = ANY ($1) ORDER BY ticket_id", INT8ARRAYOID);
	uint64		n = run_with_ids(&plan, ids);
	int64	   *open = palloc(sizeof(int64) * Max(n, 1));
	uint64		wiped = 0;
	uint64		i;

	for (i = 0; i < n; i++)
		open[i] = qms_spi_int64(i, 0);
	for (i = 0; i < n; i++)
		wiped += wipe_open_ticket(call, open[i]);
	return wiped;
}

/* A reason of the scheduler counts; one that somebody gave, who cancelled, is in his own words. */
static uint64
wipe_past_tickets(Datum ids)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.ticket_history SET contact = NULL, subject = NULL, customer_id = NULL, notes = NULL, "
								   "metadata = '{}', hold_reason = NULL, end_reason = CASE WHEN state <> 'cancelled' THEN end_reason END "
								   "WHERE ticket_id = ANY ($1) AND (pg_catalog.num_nonnulls(contact, subject, customer_id, notes, hold_reason) > 0 "
								   "OR metadata <> '{}' OR (end_reason IS NOT NULL AND state = 'cancelled'))", INT8ARRAYOID);

	return run_with_ids(&plan, ids);
}

/* A visit that has an open ticket left keeps its contact for that one. */
static uint64
wipe_visits(Datum ids)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.visit v SET contact = NULL, customer_id = NULL, metadata = '{}' WHERE v.visit_id IN ("
								   "SELECT t.visit_id FROM qms.ticket_history t WHERE t.ticket_id = ANY ($1) UNION "
								   "SELECT t.visit_id FROM qms.ticket t WHERE t.ticket_id = ANY ($1)) "
								   "AND (pg_catalog.num_nonnulls(v.contact, v.customer_id) > 0 OR v.metadata <> '{}') "
								   "AND NOT EXISTS (SELECT 1 FROM qms.ticket o WHERE (o.ticket_id = v.visit_id OR "
								   "(o.visit_id = v.visit_id AND o.visit_id <> o.ticket_id)) AND o.contact IS NOT NULL)", INT8ARRAYOID);

	return run_with_ids(&plan, ids);
}

static void
wipe_legs(Datum ids)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.ticket_leg SET note = NULL WHERE ticket_id = ANY ($1) AND note IS NOT NULL", INT8ARRAYOID);

	run_with_ids(&plan, ids);
}

static void
forget_links(Datum ids)
{
	static QmsPlan plan = QMS_PLAN("DELETE FROM qms_internal.customer_ticket WHERE ticket_id = ANY ($1)", INT8ARRAYOID);

	run_with_ids(&plan, ids);
}

/*
 * The statement that takes the personal columns of a type out of stored answers:
 * an answer is the columns one behind the other, one of them the id.
 */
static const char *
answers_statement(const char *type, const char *id, const char *const *columns, int ncolumns)
{
	Oid			relid = qms_relation_oid(QMS_SCHEMA, type);
	StringInfoData sql;
	int			i;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "UPDATE qms_internal.request SET ");
	for (i = 0; i < ncolumns; i++)
		appendStringInfo(&sql, "%sanswer[%d] = NULL", i ? ", " : "", get_attnum(relid, columns[i]));
	appendStringInfo(&sql, " WHERE answer[%d] = ANY ($1::pg_catalog.text[]) AND function IN (SELECT p.proname FROM pg_catalog.pg_proc p "
					 "WHERE p.pronamespace = 'qms'::pg_catalog.regnamespace AND p.prorettype = 'qms.%s'::pg_catalog.regtype)", get_attnum(relid, id), type);
	return MemoryContextStrdup(TopMemoryContext, sql.data);
}

/* Stored answers of repeatable calls, kept for two days, that name one of these tickets. */
static uint64
wipe_answers(Datum ids)
{
	static const char *const columns[] = {"customer_id", "hold_reason", "subject", "contact", "metadata", "notes", "end_reason"};
	static const char *const checked[] = {"subject"};
	static QmsPlan plan = QMS_PLAN(NULL, INT8ARRAYOID);
	static QmsPlan check = QMS_PLAN(NULL, INT8ARRAYOID);

	if (plan.sql == NULL)
		plan.sql = answers_statement("ticket_details", "ticket_id", columns, lengthof(columns));
	if (check.sql == NULL)
		check.sql = answers_statement("access_check", "ticket_id", checked, lengthof(checked));
	return run_with_ids(&plan, ids) + run_with_ids(&check, ids);
}

/* ... and this customer. */
uint64
qms_wipe_customer_answers(int64 customer_id)
{
	static const char *const columns[] = {"name", "contact", "language", "external_subject", "metadata"};
	static QmsPlan plan = QMS_PLAN(NULL, INT8ARRAYOID);

	if (plan.sql == NULL)
		plan.sql = answers_statement("customer_details", "customer_id", columns, lengthof(columns));
	return run_with_ids(&plan, PointerGetDatum(qms_array_make(&customer_id, 1, INT8OID)));
}

/*
 * Wipe these tickets, open or past, and what hangs on them.  Stored answers only
 * if they may still be there: they are gone after two days anyway.
 *
 * Locks: of open tickets as for any change of theirs; then rows.
 */
void
qms_wipe_tickets(QmsCall *call, const int64 *ticket_ids, int n, bool answers, QmsWiped *wiped)
{
	Datum		ids = PointerGetDatum(qms_array_make(ticket_ids, n, INT8OID));

	if (answers)
		wiped->tickets += wipe_open_tickets(call, ids);
	wiped->tickets += wipe_past_tickets(ids);
	wipe_legs(ids);
	wiped->visits += wipe_visits(ids);
	forget_links(ids);
	if (answers)
		wiped->answers += wipe_answers(ids);
}
