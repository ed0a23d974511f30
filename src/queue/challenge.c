/*
 * challenge.c
 *		Has whoever wants to join solved the challenge of the queue?  A function of
 *		the installation says so: the hook that the setting challenge names.
 *
 * It runs as the caller, never as the owner of qms, in a subtransaction and before
 * anything is locked: nobody waits for it.  Whatever goes wrong with it (it is not
 * registered any more, the function is gone, may not be called, raises an error,
 * answers null) means that nobody joins.  What it writes stays if the join does.
 *
 * Superusers, administrators and staff are not asked: somebody stands before them.
 */
#include "queue/queue.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

#define HOOK_ARGS 4

typedef struct Hook
{
	const char *signature;
	Datum		values[HOOK_ARGS];
	bool		nulls[HOOK_ARGS];
	bool		accepted;
} Hook;

/* Can this function be a hook?  It takes what we give it and answers one boolean. */
bool
qms_hook_fits(Oid function, bool *strict)
{
	static const Oid types[HOOK_ARGS] = {INT8OID, TEXTOID, TEXTOID, INETOID};
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc proc;
	bool		fits;

	if (!HeapTupleIsValid(tuple))
		return false;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	*strict = proc->proisstrict;
	fits = proc->prokind == PROKIND_FUNCTION && !proc->proretset && proc->prorettype == BOOLOID &&
		proc->pronargs == HOOK_ARGS && memcmp(proc->proargtypes.values, types, sizeof(types)) == 0;
	ReleaseSysCache(tuple);
	return fits;
}

/* The signature of a hook, "schema.function(bigint,text,text,inet)"; NULL: there is none of that name. */
char *
qms_hook_signature(const char *name)
{
	static QmsPlan plan = QMS_PLAN("SELECT function FROM qms_internal.hook WHERE name = $1", TEXTOID);
	QmsParams	params = {0};

	qms_param_text(&params, name);
	return qms_spi_look(&plan, &params) > 0 ? qms_spi_text(0, 0) : NULL;
}

/* The function of a hook, for the current user; else an error. */
static Oid
find_function(const char *signature, bool *strict)
{
	Oid			function = DatumGetObjectId(DirectFunctionCall1(regprocedurein, CStringGetDatum(signature)));

	if (!qms_hook_fits(function, strict))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("%s does not answer boolean any more", signature)));
	if (pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", signature)));
	return function;
}

/* What it says to the arguments. */
static bool
call_function(Hook *hook)
{
	LOCAL_FCINFO(fcinfo, HOOK_ARGS);
	FmgrInfo	flinfo;
	bool		strict;
	Oid			function = find_function(hook->signature, &strict);
	Datum		answer;
	int			i;

	fmgr_info(function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, HOOK_ARGS, DEFAULT_COLLATION_OID, NULL, NULL);
	for (i = 0; i < HOOK_ARGS; i++)
	{
		if (strict && hook->nulls[i])
			return false;
		fcinfo->args[i].value = hook->values[i];
		fcinfo->args[i].isnull = hook->nulls[i];
	}
	answer = FunctionCallInvoke(fcinfo);
	return !fcinfo->isnull && DatumGetBool(answer);
}

/* Ask with the rights of the caller.  An error takes them away again, with the subtransaction. */
static void
ask(void *arg)
{
	Hook	   *hook = arg;
	Oid			user;
	int			context;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(GetOuterUserId(), context | SECURITY_LOCAL_USERID_CHANGE);
	hook->accepted = call_function(hook);
	SetUserIdAndSecContext(user, context);
}

static void
set_text(Hook *hook, int n, const char *value)
{
	hook->nulls[n] = value == NULL;
	if (value != NULL)
		hook->values[n] = CStringGetTextDatum(value);
}

static void
set_address(Hook *hook, int n)
{
	QmsNetwork	address;
	inet	   *value;

	hook->nulls[n] = !qms_client_network(&address);
	if (hook->nulls[n])
		return;
	value = palloc0(sizeof(inet));
	qms_network_to_inet(&address, value);
	hook->values[n] = InetPGetDatum(value);
}

/* It cannot be asked, or has failed: for the log, not for those at the door. */
static void
complain(int64 queue_id, const char *name, const char *why)
{
	ereport(LOG,
			(errmsg("qms: somebody cannot join queue %lld: the hook of its challenge failed", (long long) queue_id),
			 errdetail("Hook \"%s\": %s", name, why),
			 errhint("See qms.hooks; the setting challenge of the queue names another hook or none."),
			 errhidestmt(true), errhidecontext(true)));
}

static bool
is_accepted(int64 queue_id, const char *name, const char *challenge, const char *subject)
{
	Hook		hook = {.signature = qms_hook_signature(name)};
	ErrorData  *error;

	if (hook.signature == NULL)
	{
		complain(queue_id, name, "It is not registered.");
		return false;
	}
	hook.values[0] = Int64GetDatum(queue_id);
	set_text(&hook, 1, challenge);
	set_text(&hook, 2, subject);
	set_address(&hook, 3);
	error = qms_try(ask, &hook);
	if (error == NULL)
		return hook.accepted;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	complain(queue_id, name, error->message);
	FreeErrorData(error);
	return false;
}

/* May this caller come as far as the door of the queue?  Error: QM312. */
void
qms_challenge_check(QmsCall *call, const QmsQueue *queue, const char *challenge, const char *subject)
{
	/* Copies: the hook may call functions of ours, and what is remembered of the queue goes. */
	int64		queue_id = queue->queue_id;
	char	   *name;

	if (queue->settings.challenge == NULL || call->who->kind == QMS_SUPERUSER || call->who->kind == QMS_ADMIN ||
		call->who->kind == QMS_STAFF)
		return;
	name = pstrdup(queue->settings.challenge);
	if (is_accepted(queue_id, name, challenge, subject))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_QMS_CHALLENGE_FAILED),
			 errmsg("queue %lld wants a challenge to be solved first", (long long) queue_id),
			 challenge ? errdetail("What was given as challenge was not accepted.") : errdetail("No challenge was given."),
			 errhint("Solve the challenge of the page that leads to the queue, and give the answer as challenge.")));
}
