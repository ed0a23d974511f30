/*
 * internal.c
 *		For tests and for repairs: tokens made and checked by hand.  Nobody but
 *		the owner and superusers may execute these; they do not pass the gate.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* What a body would be given by the gate, without a principal. */
static void
begin(QmsCall *call, FunctionCallInfo fcinfo)
{
	static const QmsFunction function = {.name = "internal"};

	memset(call, 0, sizeof(*call));
	call->function = &function;
	(void) qms_installation_check();
	call->fcinfo = fcinfo;
	call->result_context = CurrentMemoryContext;
	call->now = qms_clock_now();
	qms_spi_begin();
}

/* The purpose, a text; an unknown one has no keys. */
static char *
purpose_of(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
}

PG_FUNCTION_INFO_V1(qms_internal_jwt_sign);

Datum
qms_internal_jwt_sign(PG_FUNCTION_ARGS)
{
	QmsCall		call;
	char	   *token;
	MemoryContext old;
	Datum		result;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	begin(&call, fcinfo);
	token = qms_jwt_sign(purpose_of(fcinfo), PG_GETARG_JSONB_P(1));
	old = MemoryContextSwitchTo(call.result_context);
	result = CStringGetTextDatum(token);
	MemoryContextSwitchTo(old);
	qms_spi_end();
	return result;
}

PG_FUNCTION_INFO_V1(qms_internal_jwt_check);

/* The claims, or why there are none: one row of two columns. */
Datum
qms_internal_jwt_check(PG_FUNCTION_ARGS)
{
	QmsCall		call;
	const char *why = "it is null";
	Jsonb	   *claims = NULL;
	Datum		values[2] = {0};
	bool		nulls[2];
	Datum		result;

	begin(&call, fcinfo);
	if (!PG_ARGISNULL(1))
		claims = qms_jwt_verify(purpose_of(fcinfo), text_to_cstring(PG_GETARG_TEXT_PP(1)), &why);
	nulls[0] = claims == NULL;
	nulls[1] = claims != NULL;
	if (claims != NULL)
		values[0] = JsonbPGetDatum(claims);
	else
		values[1] = CStringGetTextDatum(why);
	result = qms_answer_tuple(&call, values, nulls);
	qms_spi_end();
	return result;
}

PG_FUNCTION_INFO_V1(qms_internal_password_work);

/* For tests, which must not measure time. */
Datum
qms_internal_password_work(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_INT64(qms_bcrypt_work());
}
