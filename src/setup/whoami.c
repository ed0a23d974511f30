/*
 * whoami.c
 *		current_principal and act_as.
 */
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"

enum
{
	P_kind, P_id, P_organization_id, P_role, P_via, P_branch_ids, P_queue_ids, P_application_ids,
	P_expires_at, P_session_user, P_COLUMNS
};

static Datum
answer(QmsCall *call, const QmsPrincipal *who)
{
	Datum		values[P_COLUMNS];
	bool		nulls[P_COLUMNS] = {false};

	values[P_kind] = CStringGetTextDatum(who->kind_name);
	values[P_id] = Int64GetDatum(who->id);
	nulls[P_id] = who->id == 0;
	values[P_organization_id] = Int64GetDatum(who->organization_id);
	nulls[P_organization_id] = who->organization_id == 0;
	values[P_role] = CStringGetTextDatum(qms_role_name(who->column));
	values[P_via] = CStringGetTextDatum(who->via);
	values[P_branch_ids] = PointerGetDatum(qms_array_make(who->branch_ids, who->nbranches, INT8OID));
	values[P_queue_ids] = PointerGetDatum(qms_array_make(who->queue_ids, who->nqueues, INT8OID));
	values[P_application_ids] = PointerGetDatum(qms_array_make(who->application_ids, who->napplications, INT8OID));
	values[P_expires_at] = TimestampTzGetDatum(who->until);
	nulls[P_expires_at] = who->until == DT_NOEND;
	values[P_session_user] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	return qms_answer_tuple(call, values, nulls);
}

QMS_FUNCTION(current_principal, QMS_ACT_PUBLIC, 0)
{
	return answer(call, call->who);
}

/* The organization of whom the session is to act as. */
static int64
organization_of(const char *what, int64 id)
{
	static QmsPlan staff = QMS_PLAN(
									"SELECT s.organization_id FROM qms.staff s WHERE s.staff_id = $1 AND s.deleted_at IS NULL", INT8OID);
	static QmsPlan application = QMS_PLAN(
										  "SELECT a.organization_id FROM qms.application a "
										  "WHERE a.application_id = $1 AND a.deleted_at IS NULL", INT8OID);

	return qms_setup_organization_of(strcmp(what, "application") == 0 ? &application : &staff, what, id);
}

QMS_FUNCTION(act_as, QMS_ACT_INSTALL, QMS_AS_HIMSELF)
{
	int64		staff_id = qms_arg_id_or_0(call, 0, "staff_id");
	int64		application_id = qms_arg_id_or_0(call, 1, "application_id");
	const char *what = staff_id != 0 ? "staff member" : "application";
	int64		id = staff_id != 0 ? staff_id : application_id;
	QmsEvent	event = {0};
	QmsJson		json;

	if (staff_id != 0 && application_id != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a session acts as one principal"),
				 errhint("Give staff_id or application_id, or neither to act as yourself again.")));
	if (id == 0)
	{
		qms_principal_act_as(QMS_NOBODY, 0);
		return answer(call, qms_principal_current());
	}
	event.kind = "principal.acted_as";
	event.organization_id = organization_of(what, id);
	event.staff_id = staff_id;
	qms_json_begin(&json);
	qms_json_id(&json, "staff_id", staff_id);
	qms_json_id(&json, "application_id", application_id);
	qms_json_text(&json, "session_user", GetUserNameFromId(GetSessionUserId(), false));
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
	qms_principal_act_as(staff_id != 0 ? QMS_STAFF : QMS_APPLICATION, id);
	return answer(call, qms_principal_current());
}
