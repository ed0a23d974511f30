/*
 * gate.c
 *		What every SQL-callable function passes first, and the checks of
 *		organization and branch that its body makes once it knows the object.
 */
#include "auth/auth.h"
#include "config/config.h"

#include "miscadmin.h"
#include "utils/acl.h"

#define BIT(kind) (1 << (kind))
#define EVERYBODY (~BIT(QMS_NOBODY))
#define PERSONNEL (BIT(QMS_SUPERUSER) | BIT(QMS_ADMIN) | BIT(QMS_STAFF) | BIT(QMS_APPLICATION))

/* Who may do what kind of thing at all. */
static const struct
{
	int			kinds;
	const char *what;
}			rights[QMS_ACT_MANY] = {
	[QMS_ACT_INSTALL] = {BIT(QMS_SUPERUSER), "manage organizations"},
	[QMS_ACT_SETUP] = {BIT(QMS_SUPERUSER) | BIT(QMS_ADMIN), "change the configuration"},
	[QMS_ACT_JOIN] = {EVERYBODY & ~BIT(QMS_DISPLAY), "join a queue"},
	[QMS_ACT_TOKEN] = {EVERYBODY & ~BIT(QMS_DISPLAY), "use a ticket token"},
	[QMS_ACT_RECEPTION] = {PERSONNEL, "change tickets"},
	[QMS_ACT_COUNTER] = {BIT(QMS_SUPERUSER) | BIT(QMS_ADMIN) | BIT(QMS_STAFF), "work at a counter"},
	[QMS_ACT_LOOK] = {PERSONNEL, "see the tickets of a branch"},
	[QMS_ACT_PUBLIC] = {EVERYBODY, "see the public state"},
	[QMS_ACT_SIGN_IN] = {EVERYBODY, "sign in"}
};

/* Staff roles that may not do something that staff in general may. */
static bool
staff_role_lacks(const QmsPrincipal *who, QmsAction action)
{
	return who->kind == QMS_STAFF && action == QMS_ACT_RECEPTION && strcmp(who->role, "caller") == 0;
}

static void
check_right(const QmsPrincipal *who, const QmsFunction *function)
{
	if (who->kind == QMS_NOBODY)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NO_PRINCIPAL),
				 errmsg("role \"%s\" does not belong to any organization",
						GetUserNameFromId(GetOuterUserId(), false)),
				 errdetail("No role binding exists for the role of this session."),
				 errhint("An administrator can bind the role with qms.bind_role().")));
	if ((rights[function->action].kinds & BIT(who->kind)) == 0 ||
		staff_role_lacks(who, function->action))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", function->name),
				 errdetail("A principal of kind \"%s\" with the role \"%s\" may not %s.",
						   who->kind_name, who->role, rights[function->action].what),
				 errhint("Ask an administrator of the organization for another role.")));
}

/* Whatever is remembered is as new as this call; SPI is connected. */
void
qms_gate_refresh(void)
{
	if (qms_spi_check_installation())
	{
		qms_partition_forget();
		qms_inval_watch();
	}
	qms_config_refresh();
}

/* The entry of every function. */
Datum
qms_gate_call(FunctionCallInfo fcinfo, const QmsFunction *function)
{
	QmsCall		call = {0};
	Datum		result;

	call.fcinfo = fcinfo;
	call.function = function;
	call.result_context = CurrentMemoryContext;
	if (function->flags & QMS_SETOF)
		InitMaterializedSRF(fcinfo, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not connect to SPI")));
	qms_gate_refresh();
	call.who = qms_principal_current();
	check_right(call.who, function);
	call.now = qms_clock_now();
	if (function->flags & QMS_MUTATES)
	{
		/* Before any row is locked: whoever makes a partition may have to be waited for. */
		qms_partition_ensure(QMS_PART_EVENT, call.now);
		qms_partition_ensure(QMS_PART_HISTORY, call.now);
		qms_partition_ensure(QMS_PART_LEG, call.now);
	}
	if (!qms_request_replay(&call, &result))
	{
		result = function->body(&call);
		qms_request_store(&call);
	}
	if (SPI_finish() != SPI_OK_FINISH)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not finish SPI")));
	return result;
}

/* The one error for what is not there and for what belongs to others: nobody learns which. */
void
qms_not_found(const char *what, int64 id)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_NOT_FOUND),
			 errmsg("%s %lld does not exist", what, (long long) id),
			 errdetail("It was never there, has been deleted, or belongs to another organization."),
			 errhint("Check the id, and the organization of the role that asks.")));
}

/* The thing asked for must be of the caller's organization. */
void
qms_gate_organization(QmsCall *call, int64 organization_id, const char *what, int64 id)
{
	if (call->who->organization_id != 0 && call->who->organization_id != organization_id)
		qms_not_found(what, id);
	if (call->who->kind != QMS_SUPERUSER && call->who->organization_id == 0)
		qms_not_found(what, id);
	call->answer_organization = organization_id;
}

bool
qms_gate_sees_branch(QmsCall *call, int64 organization_id, int64 branch_id)
{
	const QmsPrincipal *who = call->who;
	int			i;

	if (who->kind == QMS_SUPERUSER)
		return true;
	if (who->organization_id != organization_id)
		return false;
	if (who->nbranches == 0 || branch_id == 0)
		return true;
	for (i = 0; i < who->nbranches; i++)
	{
		if (who->branch_ids[i] == branch_id)
			return true;
	}
	return false;
}

/* ... and of a branch that he may work in; branch 0 is none. */
void
qms_gate_branch(QmsCall *call, int64 organization_id, int64 branch_id, const char *what, int64 id)
{
	qms_gate_organization(call, organization_id, what, id);
	if (!qms_gate_sees_branch(call, organization_id, branch_id))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for %s %lld", what, (long long) id),
				 errdetail("It belongs to a branch outside of those of the caller."),
				 errhint("Ask an administrator of the organization for the branch.")));
}

/* Somebody who acts for others: may give classes and priorities. */
bool
qms_gate_is_staff(QmsCall *call)
{
	return (PERSONNEL & BIT(call->who->kind)) != 0;
}
