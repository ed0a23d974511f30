/*
 * answer.c
 *		Results of a call: one row, rows of a set, or none.
 */
#include "auth/auth.h"

#include "access/htup_details.h"
#include "utils/tuplestore.h"

/* The row type that the function is declared to answer. */
TupleDesc
qms_answer_desc(QmsCall *call)
{
	if (call->answer_desc == NULL)
	{
		if (call->function->flags & QMS_SETOF)
			call->answer_desc = ((ReturnSetInfo *) call->fcinfo->resultinfo)->setDesc;
		else
		{
			MemoryContext old = MemoryContextSwitchTo(call->result_context);

			if (get_call_result_type(call->fcinfo, NULL, &call->answer_desc) != TYPEFUNC_COMPOSITE)
				ereport(ERROR,
						(errcode(ERRCODE_INTERNAL_ERROR),
						 errmsg("qms.%s is not declared to answer a row", call->function->name)));
			call->answer_desc = BlessTupleDesc(call->answer_desc);
			MemoryContextSwitchTo(old);
		}
	}
	return call->answer_desc;
}

/* Number of a column of the answer, from 0; -1 if there is none of that name. */
int
qms_answer_column(QmsCall *call, const char *name)
{
	TupleDesc	desc = qms_answer_desc(call);
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return i;
	}
	return -1;
}

Datum
qms_answer_tuple(QmsCall *call, const Datum *values, const bool *nulls)
{
	TupleDesc	desc = qms_answer_desc(call);
	MemoryContext old = MemoryContextSwitchTo(call->result_context);
	Datum		result;

	call->answer = heap_form_tuple(desc, unconstify(Datum *, values), unconstify(bool *, nulls));
	/* A copy, if there are values out of line: it must live as long. */
	result = HeapTupleGetDatum(call->answer);
	MemoryContextSwitchTo(old);
	return result;
}

void
qms_answer_row(QmsCall *call, const Datum *values, const bool *nulls)
{
	ReturnSetInfo *set = (ReturnSetInfo *) call->fcinfo->resultinfo;

	call->answer = heap_form_tuple(set->setDesc, unconstify(Datum *, values), unconstify(bool *, nulls));
	tuplestore_puttuple(set->setResult, call->answer);
}

Datum
qms_answer_none(QmsCall *call)
{
	call->fcinfo->isnull = true;
	return (Datum) 0;
}
