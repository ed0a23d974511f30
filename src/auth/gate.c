/*
 * gate.c
 *		What every SQL-callable function passes first, and the checks of what
 *		the call is about that its body makes once it knows the object.
 */
#include "auth/timing.h"
#include "config/config.h"

#include "miscadmin.h"
#include "utils/acl.h"

#define BIT(kind) (1 << (kind))
#define PERSONNEL (BIT(QMS_SUPERUSER) | BIT(QMS_ADMIN) | BIT(QMS_STAFF) | BIT(QMS_APPLICATION))

/* For messages: what functions of a kind do. */
static const char *const deeds[QMS_ACT_MANY] = {
	[QMS_ACT_INSTALL] = "manage organizations",
	[QMS_ACT_SETUP] = "change the configuration",
	[QMS_ACT_JOIN] = "join a queue",
	[QMS_ACT_TOKEN] = "use a ticket token",
	[QMS_ACT_RECEPTION] = "change tickets",
	[QMS_ACT_COUNTER] = "work at a counter",
	[QMS_ACT_LOOK] = "see the tickets of a branch",
	[QMS_ACT_PERSONAL] = "see and change customers",
	[QMS_ACT_AUDIT] = "look after the event log and personal data",
	[QMS_ACT_PUBLIC] = "see the public state",
	[QMS_ACT_SIGN_IN] = "sign in",
	[QMS_ACT_ENTRY] = "let people in"
};

static pg_attribute_noreturn() void
refuse_nobody(const QmsPrincipal *who)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_NO_PRINCIPAL),
			 errmsg("role \"%s\" does not belong to any organization",
					GetUserNameFromId(GetOuterUserId(), false)),
			 errdetail("%s", who->refusal ? who->refusal : "No role binding exists for the role of this session."),
			 who->refusal ? errhint("Log in again, or ask an administrator of the organization.") :
			 errhint("An administrator can bind the role with qms.bind_role().")));
}

static void
check_right(QmsCall *call, QmsFunction *function)
{
	const QmsPrincipal *who = call->who;

	if (who->kind == QMS_NOBODY || who->reach == NULL)
		refuse_nobody(who);
	call->reach = qms_rights_reach(who, function);
	if (call->reach <= QMS_REACH_GRANT)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", function->name),
				 errdetail("A principal of kind \"%s\" with the role \"%s\" may not %s.",
						   who->kind_name, who->role, deeds[function->action]),
				 errhint("Ask an administrator of the organization for another role.")));
}

/* Who calls, whether he may, and the body. */
static Datum
pass(QmsCall *call, QmsFunction *function)
{
	Datum		result;

	call->who = function->flags & QMS_AS_HIMSELF ? qms_principal_himself() : qms_principal_current();
	check_right(call, function);
	call->now = qms_clock_now();
	if (function->flags & (QMS_MUTATES | QMS_AS_HIMSELF))
	{
		/* Before any row is locked: whoever makes a partition may have to be waited for. */
		qms_partition_ensure(QMS_PART_EVENT, call->now);
		qms_partition_ensure(QMS_PART_HISTORY, call->now);
		qms_partition_ensure(QMS_PART_LEG, call->now);
	}
	if (!qms_request_replay(call, &result))
	{
		result = function->body(call);
		qms_request_store(call);
	}
	return result;
}

/* 42501, and what says that nobody is calling. */
static bool
is_refusal(int sqlstate)
{
	return sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE || sqlstate == ERRCODE_QMS_NO_PRINCIPAL;
}

/* Whatever is remembered is as new as this call; SPI is connected. */
void
qms_gate_refresh(void)
{
	(void) qms_installation_check();
	qms_rights_refresh();
	qms_config_refresh();
}

/* Through the gate, and back. */
static Datum
enter(FunctionCallInfo fcinfo, QmsFunction *function)
{
	QmsCall		call = {0};
	Datum		result = (Datum) 0;
	instr_time	begun;

	INSTR_TIME_SET_CURRENT(begun);
	call.fcinfo = fcinfo;
	call.function = function;
	call.result_context = CurrentMemoryContext;
	if (function->flags & QMS_SETOF)
		InitMaterializedSRF(fcinfo, 0);
	qms_spi_begin();
	qms_gate_refresh();
	qms_timing_prepare();
	PG_TRY();
	{
		result = pass(&call, function);
	}
	PG_CATCH();
	{
		if (is_refusal(geterrcode()))
			qms_refusal_note(function->name, call.who, geterrcode());
		qms_timing_note(function->action, begun, geterrcode());
		PG_RE_THROW();
	}
	PG_END_TRY();
	qms_spi_end();
	qms_timing_note(function->action, begun, 0);
	return result;
}

/* The statement that asks for rows is done; not called if it failed. */
static void
stop_rows(Datum rows)
{
	((QmsRows *) DatumGetPointer(rows))->stop((QmsRows *) DatumGetPointer(rows));
}

/* The rows of a QMS_STREAMS function: the gate is passed when the first one is asked for. */
static Datum
stream(FunctionCallInfo fcinfo, QmsFunction *function)
{
	FuncCallContext *context;
	QmsRows    *rows;
	Datum		value;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		context->user_fctx = DatumGetPointer(enter(fcinfo, function));
		MemoryContextSwitchTo(old);
		RegisterExprContextCallback(((ReturnSetInfo *) fcinfo->resultinfo)->econtext, stop_rows,
									PointerGetDatum(context->user_fctx));
	}
	context = SRF_PERCALL_SETUP();
	rows = context->user_fctx;
	if (rows->next(rows, &value))
		SRF_RETURN_NEXT(context, value);
	UnregisterExprContextCallback(((ReturnSetInfo *) fcinfo->resultinfo)->econtext, stop_rows, PointerGetDatum(rows));
	SRF_RETURN_DONE(context);
}

/* The entry of every function. */
Datum
qms_gate_call(FunctionCallInfo fcinfo, QmsFunction *function)
{
	if (function->flags & QMS_STREAMS)
		return stream(fcinfo, function);
	return enter(fcinfo, function);
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

static bool
is_among(int64 id, const int64 *ids, int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		if (ids[i] == id)
			return true;
	}
	return false;
}

/* A queue of the counter at which the caller works. */
static bool
is_at_his_counter(const QmsPrincipal *who, int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.staff_session s JOIN qms.counter c ON c.counter_id = s.counter_id "
								   "WHERE s.staff_id = $1 AND s.closed_at IS NULL AND $2 = ANY (c.queue_ids)", INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, who->id);
	qms_param_int64(&params, queue_id);
	return qms_spi_look(&plan, &params) > 0;
}

/* Within the organization: what the object is outside of; NULL if it is within the caller's right. */
static const char *
outside_of(const QmsCall *call, const QmsObject *object)
{
	const QmsPrincipal *who = call->who;

	if (who->nbranches > 0 && object->branch_id != 0 && !is_among(object->branch_id, who->branch_ids, who->nbranches))
		return "a branch outside of those";
	if (who->column == QMS_ROLE_APP_ADMIN && object->application_id == 0 && call->reach == QMS_REACH_OWN)
		return "something that is no application";
	if (who->napplications > 0 && object->application_id != 0 &&
		!is_among(object->application_id, who->application_ids, who->napplications))
		return "an application outside of those";
	if (call->reach == QMS_REACH_PUBLIC || call->reach == QMS_REACH_ALL)
		return NULL;
	if (who->nqueues > 0 && object->queue_id != 0 && !is_among(object->queue_id, who->queue_ids, who->nqueues))
		return "a queue outside of those";
	if (call->reach == QMS_REACH_LIMITED && object->queue_id != 0 && who->nqueues == 0 &&
		!is_at_his_counter(who, object->queue_id))
		return "a queue outside of those";
	if (call->reach == QMS_REACH_OWN && who->kind == QMS_APPLICATION && object->application_id != who->id &&
		who->nqueues == 0)
		return "a queue outside of those";
	if (call->reach == QMS_REACH_OWN && who->kind == QMS_STAFF && who->column != QMS_ROLE_APP_ADMIN &&
		object->staff_id != who->id)
		return "somebody else than the counter";
	return NULL;
}

/* Somebody without an organization, who sees what is public of each. */
bool
qms_gate_is_anonymous(const QmsCall *call)
{
	return call->who->organization_id == 0 && call->reach == QMS_REACH_PUBLIC;
}

/*
 * May the caller do this with that object?  Of another organization: it is as if
 * it were not there.  Where it is denied, "outside" says why.
 */
QmsVerdict
qms_gate_verdict(const QmsCall *call, const QmsObject *object, const char **outside)
{
	const QmsPrincipal *who = call->who;

	*outside = NULL;
	if (who->kind == QMS_SUPERUSER || qms_gate_is_anonymous(call))
		return QMS_ALLOWED;
	if (who->organization_id == 0 || who->organization_id != object->organization_id)
		return QMS_UNKNOWN;
	*outside = outside_of(call, object);
	return *outside == NULL ? QMS_ALLOWED : QMS_DENIED;
}

/* ... as an error. */
void
qms_gate_object(QmsCall *call, const QmsObject *object)
{
	const char *outside;
	QmsVerdict	verdict = qms_gate_verdict(call, object, &outside);

	call->answer_organization = object->organization_id;
	if (verdict == QMS_UNKNOWN)
		qms_not_found(object->what, object->id);
	if (verdict == QMS_DENIED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for %s %lld", object->what, (long long) object->id),
				 errdetail("It belongs to %s of the caller.", outside),
				 errhint("Ask an administrator of the organization for it.")));
}

/*
 * May the caller administer this?  What belongs to no branch is for those who
 * administer all of the organization: an administrator of one branch could
 * otherwise make himself one of all.
 */
void
qms_gate_administers(QmsCall *call, const QmsObject *object)
{
	qms_gate_object(call, object);
	if (object->branch_id == 0 && call->who->nbranches > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for %s %lld", object->what, (long long) object->id),
				 errdetail("The caller administers some branches of the organization; this belongs to all of it."),
				 errhint("Ask an administrator of the whole organization.")));
}

/* The thing asked for must be of the caller's organization. */
void
qms_gate_organization(QmsCall *call, int64 organization_id, const char *what, int64 id)
{
	const QmsPrincipal *who = call->who;

	call->answer_organization = organization_id;
	if (who->kind == QMS_SUPERUSER || qms_gate_is_anonymous(call))
		return;
	if (who->organization_id == 0 || who->organization_id != organization_id)
		qms_not_found(what, id);
}

/* ... and of a branch that he may work in; branch 0 is none. */
void
qms_gate_branch(QmsCall *call, int64 organization_id, int64 branch_id, const char *what, int64 id)
{
	QmsObject	object = {.what = what, .id = id, .organization_id = organization_id, .branch_id = branch_id};

	qms_gate_object(call, &object);
}

void
qms_gate_queue(QmsCall *call, const QmsQueue *queue)
{
	QmsObject	object = {"queue", queue->queue_id, queue->organization_id, queue->branch_id,
	queue->application_id, queue->queue_id, 0};

	qms_gate_object(call, &object);
}

/* For rows: no error. */
bool
qms_gate_sees_object(const QmsCall *call, const QmsObject *object)
{
	const QmsPrincipal *who = call->who;

	return who->kind == QMS_SUPERUSER ||
		(who->organization_id != 0 && who->organization_id == object->organization_id &&
		 outside_of(call, object) == NULL);
}

/* ... and as far as the list views go. */
bool
qms_gate_sees_branch(QmsCall *call, int64 organization_id, int64 branch_id)
{
	const QmsPrincipal *who = call->who;

	if (who->kind == QMS_SUPERUSER)
		return true;
	if (who->organization_id == 0 || who->organization_id != organization_id)
		return false;
	return who->nbranches == 0 || branch_id == 0 || is_among(branch_id, who->branch_ids, who->nbranches);
}

/* Somebody who acts for others: may give classes and priorities. */
bool
qms_gate_is_staff(const QmsCall *call)
{
	return (PERSONNEL & BIT(call->who->kind)) != 0;
}

/* May he know of queues that are not public?  A kiosk stands where people come in. */
bool
qms_gate_sees_hidden(const QmsCall *call)
{
	return qms_gate_is_staff(call) || call->who->kind == QMS_KIOSK;
}
