/*
 * find.c
 *		Tickets of a branch by number, text or metadata, live and past.
 */
#include "look/look.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"

/*
 * What a ticket must be, in words of $1 branch, $2 most rows, $3 pattern, $4
 * metadata, $5 since, $6 before, $7 blind, $8 beginning of the past, $9 keys that a
 * contact is found by (null: not for this caller), $10 the text, $11 number.
 */
#define MATCHES \
	"t.branch_id = $1 AND ($3 IS NULL OR t.number::text ILIKE $3 OR t.previous_number::text ILIKE $3 " \
	"OR (NOT $7 AND (t.subject ILIKE $3 OR t.notes ILIKE $3 OR (t.contact IS NOT NULL AND $9 IS NOT NULL " \
	"AND (t.contact -> 'find' ?| $9 OR qms_internal.contact_matches(t.contact, t.organization_id, t.ticket_id, $10)))))) " \
	"AND ($4 IS NULL OR t.metadata @> $4) AND ($5 IS NULL OR t.joined_at >= $5) AND ($6 IS NULL OR t.joined_at < $6) "
#define NEWEST "ORDER BY t.joined_at DESC, t.ticket_id DESC LIMIT $2"

/*
 * Live tickets come by the index of (branch_id, number), past ones by that of
 * (queue_id, ended_at) of the partitions that may hold them; nobody can have
 * ended before he joined.  One statement, so that a ticket that ends meanwhile
 * is found once.
 */
static QmsPlan *
make_plan(QmsPlan *plan, const char *number)
{
	StringInfoData sql;

	if (plan->sql != NULL)
		return plan;
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s FROM (", qms_table_select_list(&qms_history_table));
	appendStringInfo(&sql, "(SELECT %s, NULL::timestamptz AS ended_at, NULL::text AS ended_from, NULL::text AS outcome, "
					 "NULL::text AS end_reason FROM qms.ticket t WHERE t.number IS NOT NULL AND %s AND " MATCHES NEWEST ")",
					 qms_table_select_list(&qms_ticket_table), number);
	appendStringInfo(&sql, " UNION ALL (SELECT %s FROM qms.queue q JOIN qms.ticket_history t ON t.queue_id = q.queue_id "
					 "AND t.ended_at >= $8 WHERE q.branch_id = $1 AND %s AND " MATCHES NEWEST ")",
					 qms_table_select_list(&qms_history_table), number);
	appendStringInfoString(&sql, ") t " NEWEST);
	plan->sql = MemoryContextStrdup(TopMemoryContext, sql.data);
	return plan;
}

/* A pattern for ILIKE that finds the text anywhere; NULL for no text. */
static char *
pattern_of(const char *text)
{
	StringInfoData pattern;

	if (text == NULL || *text == '\0')
		return NULL;
	initStringInfo(&pattern);
	appendStringInfoChar(&pattern, '%');
	for (; *text != '\0'; text++)
	{
		if (*text == '\\' || *text == '%' || *text == '_')
			appendStringInfoChar(&pattern, '\\');
		appendStringInfoChar(&pattern, *text);
	}
	appendStringInfoChar(&pattern, '%');
	return pattern.data;
}

/* Who may not see identities may not find out by searching for them either. */
static void
refuse_metadata(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_BLIND_CALL),
			 errmsg("tickets cannot be found by metadata under a blind profile"),
			 errhint("Find them by number.")));
}

static void
answer_found(QmsCall *call, const QmsTicket *ticket, bool blind)
{
	static const char *const identity[] = {"customer_id", "subject", "metadata", "notes"};
	int			ncolumns = qms_answer_desc(call)->natts;
	int			contact = qms_answer_column(call, "contact");
	Datum	   *values = palloc(sizeof(Datum) * ncolumns);
	bool	   *nulls = palloc(sizeof(bool) * ncolumns);
	size_t		i;

	qms_ticket_fill_answer(ticket, values, nulls);
	if (!blind)
		qms_ticket_show_contact(call, ticket, false, &values[contact], &nulls[contact]);
	for (i = 0; blind && i < lengthof(identity); i++)
		nulls[qms_answer_column(call, identity[i])] = true;
	qms_answer_row(call, values, nulls);
}

QMS_FUNCTION(find_tickets, QMS_ACT_LOOK, QMS_SETOF)
{
	static QmsPlan any_number = QMS_PLAN(NULL, INT8OID, INT8OID, TEXTOID, JSONBOID, TIMESTAMPTZOID,
										 TIMESTAMPTZOID, BOOLOID, TIMESTAMPTZOID, TEXTARRAYOID, TEXTOID);
	static QmsPlan by_number = QMS_PLAN(NULL, INT8OID, INT8OID, TEXTOID, JSONBOID, TIMESTAMPTZOID,
										TIMESTAMPTZOID, BOOLOID, TIMESTAMPTZOID, TEXTARRAYOID, TEXTOID, QMS_NUMBER_TYPE);
	int64		branch_id = qms_arg_id(call, 0, "branch_id");
	char	   *query = qms_arg_text_or_null(call, 1);
	char	   *pattern = pattern_of(query);
	bool		has_number = !qms_arg_isnull(call, 2);
	Jsonb	   *metadata = qms_arg_jsonb(call, 3, "metadata");
	TimestampTz since = qms_arg_time(call, 4);
	TimestampTz before = qms_arg_time(call, 5);
	int32		max_rows = qms_look_max_rows(call, 6);
	bool		blind = qms_look_is_blind(call);
	QmsLookBranch branch;
	QmsParams	params = {0};
	QmsPlan    *plan;
	QmsTicket **found;
	uint64		n;
	uint64		i;

	qms_look_branch(call, branch_id, &branch);
	if (blind && metadata != NULL)
		refuse_metadata();
	qms_param_int64(&params, branch_id);
	qms_param_int64(&params, max_rows);
	qms_param_text(&params, pattern);
	qms_param_pointer(&params, metadata);
	qms_param_time(&params, since);
	qms_param_time(&params, before);
	qms_param_bool(&params, blind);
	qms_param_time(&params, since == QMS_NO_TIME ? branch.midnight : since);
	if (pattern != NULL && qms_ticket_sees_contacts(call))
		qms_param_datum(&params, qms_contact_search(branch.organization_id, query, false));
	else
		qms_param_null(&params);
	qms_param_text(&params, query);
	if (has_number)
	{
		plan = make_plan(&by_number, "t.number OPERATOR(qms.=) $11");
		qms_param_datum(&params, call->fcinfo->args[2].value);
	}
	else
		plan = make_plan(&any_number, "true");
	n = qms_spi_run(plan, &params);
	found = palloc(sizeof(QmsTicket *) * Max(n, 1));
	/* Answering looks up names, and so replaces the result. */
	for (i = 0; i < n; i++)
		found[i] = qms_row_fetch(&qms_history_table, i, 0);
	for (i = 0; i < n; i++)
		answer_found(call, found[i], blind);
	return qms_answer_none(call);
}
