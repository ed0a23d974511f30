/*
 * anonymize.c
 *		Forgetting a person at once: a known customer with all his tickets, or
 *		one visit of somebody who is not known.
 */
#include "access/access.h"

#include "catalog/pg_type.h"

/* The ids of the present result. */
static int64 *
result_ids(uint64 n)
{
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	uint64		i;

	for (i = 0; i < n; i++)
		ids[i] = qms_spi_int64(i, 0);
	return ids;
}

/* From some tickets ("mine") to all of their visits: a visit is of one person. */
#define OF_THEIR_VISITS \
	"visits AS (SELECT visit_id FROM mine JOIN qms.ticket USING (ticket_id) UNION " \
	"SELECT visit_id FROM mine JOIN qms.ticket_history USING (ticket_id)) " \
	"SELECT ticket_id FROM mine UNION " \
	"SELECT t.ticket_id FROM visits v JOIN qms.ticket t ON t.ticket_id = v.visit_id UNION " \
	"SELECT t.ticket_id FROM visits v JOIN qms.ticket t ON t.visit_id = v.visit_id AND t.visit_id <> t.ticket_id UNION " \
	"SELECT t.ticket_id FROM visits v JOIN qms.ticket_history t ON t.visit_id = v.visit_id"

/* All tickets of a customer: those linked with him, those of his subject, and of the same visits. */
static int64 *
tickets_of_customer(const QmsCustomer *customer, int *n)
{
	static QmsPlan linked = QMS_PLAN(
									 "WITH mine AS (SELECT ticket_id FROM qms_internal.customer_ticket WHERE customer_id = $1), "
									 OF_THEIR_VISITS, INT8OID);
	static QmsPlan named = QMS_PLAN(
									"WITH mine AS (SELECT ticket_id FROM qms_internal.customer_ticket WHERE customer_id = $1 UNION "
									"SELECT ticket_id FROM qms.ticket WHERE organization_id = $2 AND subject = $3 UNION "
									"SELECT ticket_id FROM qms.ticket_history WHERE organization_id = $2 AND subject = $3), "
									OF_THEIR_VISITS, INT8OID, INT8OID, TEXTOID);
	QmsParams	params = {0};
	uint64		found;

	qms_param_int64(&params, qms_row_int64(customer, C_customer_id));
	if (qms_row_isnull(customer, C_external_subject))
		found = qms_spi_look(&linked, &params);
	else
	{
		qms_param_int64(&params, qms_row_int64(customer, C_organization_id));
		qms_param_text(&params, qms_row_text(customer, C_external_subject));
		found = qms_spi_look(&named, &params);
	}
	*n = (int) found;
	return result_ids(found);
}

/* As qms.anonymization. */
static Datum
answer(QmsCall *call, int64 customer_id, int64 visit_id, const QmsWiped *wiped)
{
	Datum		values[5];
	bool		nulls[5] = {0};

	values[0] = Int64GetDatum(customer_id);
	values[1] = Int64GetDatum(visit_id);
	values[2] = Int64GetDatum(wiped->tickets);
	values[3] = Int64GetDatum(wiped->visits);
	values[4] = Int64GetDatum(wiped->answers);
	nulls[0] = customer_id == 0;
	nulls[1] = visit_id == 0;
	return qms_answer_tuple(call, values, nulls);
}

static void
count_json(QmsJson *json, const QmsWiped *wiped)
{
	qms_json_begin(json);
	qms_json_int64(json, "tickets", wiped->tickets);
	qms_json_int64(json, "visits", wiped->visits);
	qms_json_int64(json, "answers", wiped->answers);
}

/* Customers are of the whole organization: whoever looks after a part of it may not take them from the others. */
static QmsCustomer *
lock_customer(QmsCall *call, int64 customer_id)
{
	QmsCustomer *customer = qms_customer_lock_any(call, customer_id);
	QmsObject	object = {.what = "customer", .id = customer_id, .organization_id = qms_row_int64(customer, C_organization_id)};

	qms_gate_administers(call, &object);
	return customer;
}

QMS_FUNCTION(anonymize_customer, QMS_ACT_AUDIT, QMS_MUTATES)
{
	int64		customer_id = qms_arg_id(call, 0, "customer_id");
	QmsCustomer *customer = lock_customer(call, customer_id);
	QmsWiped	wiped = {0};
	QmsJson		json;
	int64	   *ids;
	int			n;

	ids = tickets_of_customer(customer, &n);
	qms_wipe_tickets(call, ids, n, true, &wiped);
	qms_customer_wipe(customer, call->now);
	qms_row_update(customer);
	wiped.answers += qms_wipe_customer_answers(customer_id);
	count_json(&json, &wiped);
	qms_customer_event(call, "anonymized", customer, &json);
	return answer(call, customer_id, 0, &wiped);
}

/* The tickets of a visit, open or past, each within the rights of the caller; fills in its organization. */
static int64 *
tickets_of_visit(QmsCall *call, int64 visit_id, int *n, int64 *organization_id)
{
#define WHOSE "ticket_id, organization_id, branch_id, application_id, queue_id"
	static QmsPlan plan = QMS_PLAN(
								   "SELECT " WHOSE " FROM qms.ticket WHERE ticket_id = $1 UNION "
								   "SELECT " WHOSE " FROM qms.ticket WHERE visit_id = $1 AND visit_id <> ticket_id UNION "
								   "SELECT " WHOSE " FROM qms.ticket_history WHERE visit_id = $1", INT8OID);
	QmsParams	params = {0};
	uint64		found;
	uint64		i;

	qms_param_int64(&params, visit_id);
	found = qms_spi_look(&plan, &params);
	if (found == 0)
		qms_not_found("visit", visit_id);
	for (i = 0; i < found; i++)
	{
		QmsObject	object = {.what = "visit", .id = visit_id};

		object.organization_id = qms_spi_int64(i, 1);
		object.branch_id = qms_spi_int64(i, 2);
		object.application_id = qms_spi_int64(i, 3);
		object.queue_id = qms_spi_int64(i, 4);
		qms_gate_object(call, &object);
	}
	*n = (int) found;
	*organization_id = qms_spi_int64(0, 1);
	return result_ids(found);
}

QMS_FUNCTION(anonymize_visit, QMS_ACT_AUDIT, QMS_MUTATES)
{
	int64		visit_id = qms_arg_id(call, 0, "visit_id");
	QmsWiped	wiped = {0};
	QmsEvent	event = {0};
	QmsJson		json;
	int64	   *ids;
	int			n;

	ids = tickets_of_visit(call, visit_id, &n, &event.organization_id);
	qms_wipe_tickets(call, ids, n, true, &wiped);
	count_json(&json, &wiped);
	event.kind = "visit.anonymized";
	event.visit_id = visit_id;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
	return answer(call, 0, visit_id, &wiped);
}
