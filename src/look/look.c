/*
 * look.c
 *		What the functions of this folder share.
 */
#include "look/look.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* The argument max_rows; 100 if null. */
int32
qms_look_max_rows(QmsCall *call, int n)
{
	int32		max_rows = qms_arg_int32(call, n, 100);

	if (max_rows < 1 || max_rows > QMS_LOOK_MOST_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be between 1 and %d, not %d", QMS_LOOK_MOST_ROWS, max_rows),
				 errhint("Give max_rows => a number in that range, or leave it out for 100.")));
	return max_rows;
}

/* A branch that the caller may see, and when its day began. */
void
qms_look_branch(QmsCall *call, int64 branch_id, QmsLookBranch *branch)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.organization_id, pg_catalog.date_trunc('day', $2, coalesce(b.time_zone, o.time_zone)) "
								   "FROM qms.branch b JOIN qms.organization o ON o.organization_id = b.organization_id "
								   "WHERE b.branch_id = $1 AND b.deleted_at IS NULL AND o.deleted_at IS NULL",
								   INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, branch_id);
	qms_param_time(&params, call->now);
	if (qms_spi_run(&plan, &params) == 0)
		qms_not_found("branch", branch_id);
	branch->organization_id = qms_spi_int64(0, 0);
	branch->midnight = qms_spi_time(0, 1);
	qms_gate_branch(call, branch->organization_id, branch_id, "branch", branch_id);
}

/* Does the caller work at a counter under a blind profile now? */
bool
qms_look_is_blind(QmsCall *call)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT p.blind FROM qms.staff_session s "
								   "JOIN qms.counter_profile p ON p.counter_profile_id = s.counter_profile_id "
								   "WHERE s.staff_id = $1 AND s.closed_at IS NULL AND p.deleted_at IS NULL", INT8OID);
	QmsParams	params = {0};

	if (call->who->kind != QMS_STAFF)
		return false;
	qms_param_int64(&params, call->who->id);
	return qms_spi_run(&plan, &params) > 0 && qms_spi_bool(0, 0);
}

/* Row r of the last result, whose columns are those of the answer, as arrays to change and answer. */
void
qms_look_fetch(QmsCall *call, int r, Datum **values, bool **nulls)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;

	if (desc->natts != qms_answer_desc(call)->natts)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("the result type of qms.%s has %d columns, not %d", call->function->name,
						qms_answer_desc(call)->natts, desc->natts),
				 errhint("Run ALTER EXTENSION qms UPDATE.")));
	*values = palloc(sizeof(Datum) * desc->natts);
	*nulls = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(SPI_tuptable->vals[r], desc, *values, *nulls);
}

void
qms_look_set_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	if (text != NULL)
		values[column] = CStringGetTextDatum(text);
}
