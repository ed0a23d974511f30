/*
 * answer.c
 *		Tickets as the functions of counters and reception answer them:
 *		qms.ticket_details.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* In the order of the type. */
enum
{
	D_ticket_id, D_visit_id, D_queue_id, D_service_id, D_number, D_customer_class, D_language, D_state,
	D_called_at, D_waited, D_organization_id, D_branch_id, D_customer_id, D_previous_number, D_priority,
	D_joined_at, D_effective_arrival, D_entered_at, D_started_at, D_ended_at, D_counter_id,
	D_counter_name, D_staff_id, D_recalls, D_defers, D_leg, D_version, D_hold_kind, D_hold_reason,
	D_resume_at, D_wanted_counter_id, D_wanted_staff_id, D_subject, D_contact, D_metadata, D_notes,
	D_outcome, D_end_reason, D_COLUMNS
};

static const struct
{
	int			answer;
	int			ticket;
}			same[] = {
	{D_ticket_id, T_ticket_id}, {D_visit_id, T_visit_id}, {D_queue_id, T_queue_id},
	{D_service_id, T_service_id}, {D_number, T_number}, {D_language, T_language}, {D_state, T_state},
	{D_called_at, T_called_at}, {D_organization_id, T_organization_id}, {D_branch_id, T_branch_id},
	{D_customer_id, T_customer_id}, {D_previous_number, T_previous_number}, {D_priority, T_priority},
	{D_joined_at, T_joined_at}, {D_effective_arrival, T_effective_arrival},
	{D_entered_at, T_entered_at}, {D_started_at, T_started_at}, {D_ended_at, T_ended_at},
	{D_counter_id, T_counter_id}, {D_staff_id, T_staff_id}, {D_recalls, T_recalls},
	{D_defers, T_defers}, {D_leg, T_leg}, {D_version, T_version}, {D_hold_kind, T_hold_kind},
	{D_hold_reason, T_hold_reason}, {D_resume_at, T_resume_at},
	{D_wanted_counter_id, T_wanted_counter_id}, {D_wanted_staff_id, T_wanted_staff_id},
	{D_subject, T_subject}, {D_metadata, T_metadata}, {D_notes, T_notes},
	{D_outcome, T_outcome}, {D_end_reason, T_end_reason}
};

static void
fill_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	if (text != NULL)
		values[column] = PointerGetDatum(cstring_to_text(text));
}

/* The values of a ticket, live or past, as qms.ticket_details, but its contact; arrays of its size. */
void
qms_ticket_fill_answer(const QmsTicket *ticket, Datum *values, bool *nulls)
{
	QmsClass   *class = qms_config_class_by_id(qms_row_int64(ticket, T_customer_class_id));
	int64		counter_id = qms_row_int64(ticket, T_counter_id);
	QmsCounter *counter = counter_id ? qms_config_counter(counter_id) : NULL;
	TimestampTz called_at = qms_row_time(ticket, T_called_at);
	size_t		i;

	for (i = 0; i < lengthof(same); i++)
	{
		int			from = same[i].ticket;
		int			to = same[i].answer;

		/* A live ticket has none of the columns of history. */
		nulls[to] = from >= ticket->table->ncols || qms_row_isnull(ticket, from);
		values[to] = nulls[to] ? (Datum) 0 : ticket->values[from];
	}
	fill_text(values, nulls, D_customer_class, class ? class->name : NULL);
	fill_text(values, nulls, D_counter_name, counter ? counter->name : NULL);
	/* Who may see it has to be asked (contact.c). */
	nulls[D_contact] = true;
	nulls[D_waited] = called_at == QMS_NO_TIME;
	if (!nulls[D_waited])
		values[D_waited] = IntervalPGetDatum(qms_interval_make(called_at - qms_row_time(ticket, T_entered_at)));
}

/* Has the caller's organization a blind profile at all?  Remembered until a configuration changes. */
static bool
has_blind_profile(QmsCall *call)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.counter_profile WHERE organization_id = $1 AND blind AND deleted_at IS NULL LIMIT 1",
								   INT8OID);
	static uint64 generation = 0;
	static int64 organization_id = 0;
	static bool has = false;
	QmsParams	params = {0};

	if (generation != qms_inval_generation() || organization_id != call->who->organization_id)
	{
		generation = 0;
		qms_param_int64(&params, call->who->organization_id);
		has = qms_spi_run(&plan, &params) > 0;
		organization_id = call->who->organization_id;
		generation = qms_inval_generation();
	}
	return has;
}

/* What staff see of a person is hidden while they work under a blind profile. */
static bool
sees_only_numbers(QmsCall *call)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.staff_session s JOIN qms.counter_profile p "
								   "ON p.counter_profile_id = s.counter_profile_id AND p.blind AND p.deleted_at IS NULL "
								   "WHERE s.staff_id = $1 AND s.closed_at IS NULL", INT8OID);
	QmsParams	params = {0};

	if (call->who->kind != QMS_STAFF || !has_blind_profile(call))
		return false;
	qms_param_int64(&params, call->who->id);
	return qms_spi_run(&plan, &params) > 0;
}

/* Answer a ticket: as the row of the function, or as one of its set. */
Datum
qms_ticket_answer(QmsCall *call, const QmsTicket *ticket)
{
	static const int personal[] = {D_customer_id, D_subject, D_metadata, D_notes};
	Datum		values[D_COLUMNS];
	bool		nulls[D_COLUMNS];
	bool		hide = sees_only_numbers(call);
	size_t		i;

	qms_ticket_fill_answer(ticket, values, nulls);
	for (i = 0; hide && i < lengthof(personal); i++)
		nulls[personal[i]] = true;
	if (!hide)
		qms_ticket_show_contact(call, ticket, (call->function->flags & QMS_MUTATES) == 0,
								&values[D_contact], &nulls[D_contact]);
	if ((call->function->flags & QMS_SETOF) == 0)
		return qms_answer_tuple(call, values, nulls);
	qms_answer_row(call, values, nulls);
	return qms_answer_none(call);
}
