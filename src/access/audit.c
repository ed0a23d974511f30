/*
 * audit.c
 *		The event log as an audit trail: refusals come into it, and auditors take
 *		it out, page by page.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#define MAX_ROWS 100000

/* ---- refusals ---- */

/* The address as inet; NULL for a unix-domain socket. */
static const void *
address_of(const QmsRefusal *refusal)
{
	if (*refusal->address == '\0')
		return NULL;
	return DatumGetPointer(DirectFunctionCall1(inet_in, CStringGetDatum(refusal->address)));
}

/* Write one refusal, as done by whoever was refused. */
static void
write_refusal(QmsCall *call, const QmsRefusal *refusal)
{
	QmsPrincipal who = {.kind_name = refusal->kind_name, .role = refusal->role, .id = refusal->id,
	.api_key_id = refusal->api_key_id};
	QmsCall		refused = *call;
	QmsActor	actor = {0};
	QmsEvent	event = {0};
	QmsJson		json;

	actor.address = address_of(refusal);
	actor.session_role = *refusal->session_role ? cstring_to_text(refusal->session_role) : NULL;
	actor.application_name = *refusal->application_name ? cstring_to_text(refusal->application_name) : NULL;
	refused.who = &who;
	refused.actor = &actor;
	event.kind = "access.refused";
	event.organization_id = refusal->organization_id;
	qms_json_begin(&json);
	qms_json_text(&json, "function", refusal->function);
	qms_json_text(&json, "sqlstate", unpack_sql_state(refusal->sqlstate));
	qms_json_int64(&json, "count", refusal->count);
	qms_json_time(&json, "first_at", refusal->first_at);
	qms_json_time(&json, "last_at", refusal->last_at);
	event.data = qms_json_end(&json);
	qms_event_write(&refused, &event);
}

/* Write what has been counted long enough; answers when to come back. */
TimestampTz
qms_audit_refusals(QmsCall *call)
{
	QmsRefusal	refusal;
	TimestampTz due;

	while (qms_refusal_next(call->now, &refusal, &due))
	{
		write_refusal(call, &refusal);
		qms_refusal_written(&refusal);
	}
	return due;
}

/* ---- export ---- */

/* An administrator of all of the organization; for a superuser also all organizations (0). */
static void
check_auditor(QmsCall *call, int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT 1 FROM qms.organization WHERE organization_id = $1", INT8OID);
	QmsParams	params = {0};

	if (organization_id == 0 && call->who->kind == QMS_SUPERUSER)
		return;
	if (organization_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("organization_id must not be null"),
				 errdetail("Only superusers export the events of all organizations."),
				 errhint("Give organization_id => that of your own organization.")));
	qms_gate_organization(call, organization_id, "organization", organization_id);
	qms_param_int64(&params, organization_id);
	if (qms_spi_look(&plan, &params) == 0)
		qms_not_found("organization", organization_id);
	if (call->who->nbranches > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for organization %lld", (long long) organization_id),
				 errdetail("The caller administers some of its branches; the audit trail is of all of it."),
				 errhint("Ask an administrator of the whole organization.")));
}

/* text[] of kinds without nulls, or NULL for all; for the event as well. */
static const void *
kinds_argument(QmsCall *call, int n, QmsJson *json)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			i;

	if (PG_ARGISNULL(n))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	qms_json_begin_array(json, "kinds");
	for (i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("kinds must not contain nulls"),
					 errhint("Give null instead of an array for all kinds.")));
		qms_json_element_text(json, TextDatumGetCString(elements[i]));
	}
	qms_json_end_array(json);
	return PG_GETARG_ARRAYTYPE_P(n);
}

#define EXPORTED \
	"event_id, at, kind, organization_id, branch_id, application_id, queue_id, visit_id, ticket_id, number, state, " \
	"version, counter_id, staff_id, actor_kind, actor_id, actor_role, session_role, api_key_id, address, " \
	"application_name, user_agent, request_id, data"
#define EXPORTED_COLUMNS 24

/* Rows of qms.audit_event. */
static uint64
answer_page(QmsCall *call, QmsPlan *plan, QmsParams *params)
{
	uint64		n = qms_spi_run(plan, params);
	uint64		i;
	int			c;

	for (i = 0; i < n; i++)
	{
		Datum		values[EXPORTED_COLUMNS];
		bool		nulls[EXPORTED_COLUMNS];

		for (c = 0; c < EXPORTED_COLUMNS; c++)
			values[c] = qms_spi_datum(i, c, &nulls[c]);
		qms_answer_row(call, values, nulls);
	}
	return n;
}

/* The audit trail says as well who took what of it: the event is written with the page. */
QMS_FUNCTION(export_audit, QMS_ACT_AUDIT, QMS_SETOF)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT " EXPORTED " FROM qms.event WHERE event_id > $5 AND at >= coalesce($2, '-infinity') AND at < $3 "
								   "AND ($1 IS NULL OR organization_id = $1) AND ($4 IS NULL OR kind = ANY ($4)) "
								   "ORDER BY event_id LIMIT $6", INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTARRAYOID, INT8OID, INT8OID);
	QmsParams	params = {0};
	QmsEvent	event = {0};
	QmsJson		json;
	int64		organization_id = qms_arg_id_or_0(call, 0, "organization_id");
	TimestampTz since = qms_arg_time(call, 1);
	TimestampTz before = qms_arg_isnull(call, 2) ? call->now : qms_arg_time(call, 2);
	int64		after_event_id = qms_arg_isnull(call, 4) ? 0 : DatumGetInt64(call->fcinfo->args[4].value);
	int32		max_rows = qms_arg_int32(call, 5, 10000);

	if (max_rows < 1 || max_rows > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be between 1 and %d, not %d", MAX_ROWS, max_rows),
				 errhint("Give max_rows => a number in that range, or leave it out for 10000.")));
	qms_partition_ensure(QMS_PART_EVENT, call->now);
	check_auditor(call, organization_id);
	qms_json_begin(&json);
	qms_json_time(&json, "since", since);
	qms_json_time(&json, "before", before);
	qms_param_id(&params, organization_id);
	qms_param_time(&params, since);
	qms_param_time(&params, before);
	qms_param_pointer(&params, kinds_argument(call, 3, &json));
	qms_param_int64(&params, after_event_id);
	qms_param_int64(&params, max_rows);
	qms_json_int64(&json, "after_event_id", after_event_id);
	qms_json_int64(&json, "rows", answer_page(call, &plan, &params));
	event.kind = "audit.exported";
	event.organization_id = organization_id;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
	return qms_answer_none(call);
}
