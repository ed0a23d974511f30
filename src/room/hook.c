/*
 * hook.c
 *		Functions of the installation that settings may name: register_hook,
 *		delete_hook.  How one is asked is in queue/challenge.c.
 *
 * Only a superuser of the server registers one, because it runs in the sessions of
 * all who join: whoever administers an organization could else have his own
 * function run with the rights of others.
 */
#include "room/room.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#define ARGUMENTS "(bigint, text, text, inet)"

static void
check_superuser(QmsCall *call)
{
	if (superuser_arg(GetOuterUserId()))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for function %s", call->function->name),
			 errdetail("A hook runs in the sessions of all who join, so only superusers of the server register them."),
			 errhint("Ask the administrator of the database.")));
}

/* "schema.function(bigint,text,text,inet)", with the schema in every session. */
static char *
signature_of(Oid function)
{
	return DatumGetCString(DirectFunctionCall1(regprocedureout, ObjectIdGetDatum(function)));
}

static Datum
answer_hook(QmsCall *call, const char *name, const char *signature)
{
	Datum		values[2] = {CStringGetTextDatum(name), CStringGetTextDatum(signature)};
	bool		nulls[2] = {false, false};

	return qms_answer_tuple(call, values, nulls);
}

QMS_FUNCTION(register_hook, QMS_ACT_INSTALL, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.hook (name, function, registered_at) VALUES ($1, $2, $3) "
								   "ON CONFLICT (name) DO UPDATE SET function = excluded.function, registered_at = excluded.registered_at",
								   TEXTOID, TEXTOID, TIMESTAMPTZOID);
	FunctionCallInfo fcinfo = call->fcinfo;
	char	   *name;
	char	   *signature = NULL;
	QmsParams	params = {0};
	bool		strict;

	check_superuser(call);
	name = qms_arg_clean_name(qms_arg_text(call, 0, "name"), "hook");
	if (!PG_ARGISNULL(1))
		signature = signature_of(PG_GETARG_OID(1));
	if (signature == NULL || strchr(signature, '.') == NULL || strncmp(signature, "pg_temp", 7) == 0 ||
		!qms_hook_fits(PG_GETARG_OID(1), &strict))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("%s cannot be a hook", signature ? signature : "no function"),
				 errdetail("A hook is a function with the arguments " ARGUMENTS " (queue_id, challenge, subject, address) that answers boolean."),
				 errhint("Create it in a schema of your own and name it with its arguments, as in 'app.check(bigint,text,text,inet)'.")));
	qms_param_text(&params, name);
	qms_param_text(&params, signature);
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
	ereport(LOG, (errmsg("qms: hook \"%s\" is function %s now", name, signature)));
	return answer_hook(call, name, signature);
}

QMS_FUNCTION(delete_hook, QMS_ACT_INSTALL, QMS_MUTATES)
{
	static QmsPlan used = QMS_PLAN(
								   "SELECT q.queue_id FROM qms.queue q WHERE q.deleted_at IS NULL AND q.settings ->> 'challenge' = $1 "
								   "ORDER BY q.queue_id LIMIT 1", TEXTOID);
	static QmsPlan plan = QMS_PLAN("DELETE FROM qms_internal.hook WHERE name = $1", TEXTOID);
	char	   *name;
	char	   *signature;
	QmsParams	params = {0};

	check_superuser(call);
	name = qms_arg_text(call, 0, "name");
	signature = qms_hook_signature(name);
	if (signature == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_FOUND),
				 errmsg("hook \"%s\" does not exist", name),
				 errdetail("It was never registered, or has been deleted."),
				 errhint("The view qms.hooks lists those there are.")));
	qms_param_text(&params, name);
	if (qms_spi_look(&used, &params) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_IN_USE),
				 errmsg("hook \"%s\" is in use", name),
				 errdetail("Queue %lld names it in its setting challenge.", (long long) qms_spi_int64(0, 0)),
				 errhint("Take the setting out with qms.update_queue() first.")));
	qms_spi_run(&plan, &params);
	ereport(LOG, (errmsg("qms: hook \"%s\" was deleted", name)));
	return answer_hook(call, name, signature);
}

/* A setting may name only what is there.  Error: QM702. */
void
qms_hook_check(const char *name)
{
	if (name == NULL || qms_hook_signature(name) != NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_QMS_INVALID_SETTING),
			 errmsg("hook \"%s\" does not exist", name),
			 errdetail("The setting challenge names a hook that a superuser has registered."),
			 errhint("The view qms.hooks lists those there are; qms.register_hook() makes one.")));
}
