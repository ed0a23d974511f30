/*
 * sees.c
 *		Which rows of the list views the caller sees.
 *
 * These are called for each row, so they do not pass the gate; who calls is
 * remembered by the backend, and only finding it out anew needs SPI.  They
 * answer false to somebody without a principal, never an error: a view is then
 * empty.
 */
#include "look/look.h"

#define PERSONNEL (1 << QMS_SUPERUSER | 1 << QMS_ADMIN | 1 << QMS_STAFF | 1 << QMS_APPLICATION)
#define ADMINS (1 << QMS_SUPERUSER | 1 << QMS_ADMIN)

static const QmsPrincipal *
current_principal(void)
{
	const QmsPrincipal *who;

	(void) qms_installation_check();
	if (qms_principal_is_known())
		return qms_principal_current();
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not connect to SPI")));
	who = qms_principal_current();
	SPI_finish();
	return who;
}

/* Is the caller of one of these kinds, and does he see organization and branch (null: all branches)? */
static bool
sees(FunctionCallInfo fcinfo, int kinds)
{
	QmsCall		call = {0};

	if (PG_ARGISNULL(0))
		return false;
	call.who = current_principal();
	return call.who->kind != QMS_NOBODY && (kinds & 1 << call.who->kind) != 0 &&
		qms_gate_sees_branch(&call, PG_GETARG_INT64(0), PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1));
}

PG_FUNCTION_INFO_V1(qms_sees);

Datum
qms_sees(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(sees(fcinfo, ~0));
}

PG_FUNCTION_INFO_V1(qms_staff_sees);

Datum
qms_staff_sees(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(sees(fcinfo, PERSONNEL));
}

PG_FUNCTION_INFO_V1(qms_admin_sees);

Datum
qms_admin_sees(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(sees(fcinfo, ADMINS));
}
