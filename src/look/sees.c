/*
 * sees.c
 *		Which rows of the list views the caller sees.
 *
 * These are called for each row, so they do not pass the gate; who calls is
 * remembered by the backend, and only finding it out anew needs SPI.  So they
 * are no SECURITY DEFINER functions with a search_path of their own, which would
 * be most of what a row costs: the look-up itself becomes the owner and sets the
 * path.  They answer false to somebody without a principal, never an error: a
 * view is then empty.
 */
#include "look/look.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"

#define PERSONNEL (1 << QMS_SUPERUSER | 1 << QMS_ADMIN | 1 << QMS_STAFF | 1 << QMS_APPLICATION)
#define ADMINS (1 << QMS_SUPERUSER | 1 << QMS_ADMIN)

/* As the owner, with nothing of the caller's in the way; an error restores both with its transaction. */
static const QmsPrincipal *
find_principal(void)
{
	const QmsPrincipal *who;
	Oid			user;
	int			context;
	int			nesting;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(get_role_oid("qms_owner", false), context | SECURITY_LOCAL_USERID_CHANGE);
	nesting = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	qms_spi_begin();
	who = qms_principal_current();
	qms_spi_end();
	AtEOXact_GUC(true, nesting);
	SetUserIdAndSecContext(user, context);
	return who;
}

static const QmsPrincipal *
current_principal(void)
{
	(void) qms_installation_check();
	return qms_principal_is_known() ? qms_principal_current() : find_principal();
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

PG_FUNCTION_INFO_V1(qms_sees_queue);

/* organization, branch, application, queue: within the limits of staff and applications too. */
Datum
qms_sees_queue(PG_FUNCTION_ARGS)
{
	QmsCall		call = {0};
	QmsObject	object = {0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(3))
		PG_RETURN_BOOL(false);
	call.who = current_principal();
	if (call.who->kind == QMS_NOBODY || (PERSONNEL & 1 << call.who->kind) == 0)
		PG_RETURN_BOOL(false);
	call.reach = call.who->kind == QMS_APPLICATION || call.who->column == QMS_ROLE_APP_ADMIN ?
		QMS_REACH_OWN : QMS_REACH_YES;
	object.organization_id = PG_GETARG_INT64(0);
	object.branch_id = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	object.application_id = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2);
	object.queue_id = PG_GETARG_INT64(3);
	PG_RETURN_BOOL(qms_gate_sees_object(&call, &object));
}

PG_FUNCTION_INFO_V1(qms_sees_application);

/* organization, application: those who administer it. */
Datum
qms_sees_application(PG_FUNCTION_ARGS)
{
	QmsCall		call = {0};
	QmsObject	object = {0};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	call.who = current_principal();
	if (call.who->kind == QMS_NOBODY ||
		((ADMINS & 1 << call.who->kind) == 0 && call.who->column != QMS_ROLE_APP_ADMIN))
		PG_RETURN_BOOL(false);
	call.reach = call.who->column == QMS_ROLE_APP_ADMIN ? QMS_REACH_OWN : QMS_REACH_YES;
	object.organization_id = PG_GETARG_INT64(0);
	object.application_id = PG_GETARG_INT64(1);
	PG_RETURN_BOOL(call.who->nbranches == 0 && qms_gate_sees_object(&call, &object));
}
