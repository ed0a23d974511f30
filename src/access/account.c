/*
 * account.c
 *		Accounts of staff: disabled and enabled by administrators, passwords
 *		changed by their owners, or set anew by a token that was sent to them.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define RESET_LIFE (30 * USECS_PER_MINUTE)

/* ---- disabled and enabled ---- */

/* The row of the present result, which has the columns of the answer. */
static Datum
answer_staff(QmsCall *call)
{
	TupleDesc	desc = qms_answer_desc(call);
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	int			i;

	for (i = 0; i < desc->natts; i++)
		values[i] = qms_spi_datum(0, i, &nulls[i]);
	return qms_answer_tuple(call, values, nulls);
}

static void
account_event(QmsCall *call, const char *verb, const QmsPerson *person, int sessions)
{
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_int64(&json, "staff_id", person->staff_id);
	if (strcmp(verb, "disabled") == 0)
		qms_json_int64(&json, "sessions", sessions);
	qms_person_event(call, verb, person->organization_id, NULL, &json);
}

/*
 * Lock: set-up of the organization, exclusive, as for every change of staff;
 * then the row.  A login under way has that shared, so its session is there to
 * be ended when we have got it.
 */
static Datum
switch_account(QmsCall *call, bool disable)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.staff SET disabled_at = CASE WHEN $2 THEN coalesce(disabled_at, $3) END, updated_at = $3 "
								   "WHERE staff_id = $1 AND deleted_at IS NULL RETURNING *", INT8OID, BOOLOID, TIMESTAMPTZOID);
	static QmsPlan again = QMS_PLAN("SELECT * FROM qms.staff WHERE staff_id = $1", INT8OID);
	int64		staff_id = qms_arg_id(call, 0, "staff_id");
	QmsPerson	person;
	QmsParams	params = {0};
	QmsParams	which = {0};
	int			sessions = 0;

	qms_person_gate(call, staff_id, &person);
	if (disable && call->who->id == staff_id && (call->who->kind == QMS_STAFF || call->who->kind == QMS_ADMIN))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("nobody disables his own account"),
				 errdetail("He could not enable it again."),
				 errhint("Ask another administrator.")));
	qms_lock(QMS_LOCK_SETUP, person.organization_id, true);
	qms_param_int64(&params, staff_id);
	qms_param_bool(&params, disable);
	qms_param_time(&params, call->now);
	if (qms_spi_run_now(&plan, &params) == 0)
		qms_not_found("staff member", staff_id);
	if (disable)
		sessions = qms_session_revoke_staff(staff_id, call->now, "disabled");
	else
		qms_attempt_forget(person.organization_id, person.username);
	account_event(call, disable ? "disabled" : "enabled", &person, sessions);
	qms_param_int64(&which, staff_id);
	qms_spi_look(&again, &which);
	return answer_staff(call);
}

QMS_FUNCTION(disable_staff, QMS_ACT_SETUP, QMS_MUTATES)
{
	return switch_account(call, true);
}

QMS_FUNCTION(enable_staff, QMS_ACT_SETUP, QMS_MUTATES)
{
	return switch_account(call, false);
}

/* ---- one's own password ---- */

static Datum
answer_password(QmsCall *call, int64 staff_id, const char *error, int32 retry_after)
{
	return qms_sign_in_answer(call, Int64GetDatum(staff_id), error, retry_after);
}

QMS_FUNCTION(change_password, QMS_ACT_SIGN_IN, 0)
{
	char	   *old_password = qms_arg_text(call, 0, "old_password");
	char	   *new_password = qms_arg_text(call, 1, "new_password");
	const QmsPrincipal *who = call->who;
	QmsPerson	person;
	const char *error;
	int32		retry_after;

	if ((who->kind != QMS_STAFF && who->kind != QMS_ADMIN) || who->id == 0 || !qms_person_find(who->id, &person))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only staff have passwords"),
				 errdetail("The caller is not a staff member."),
				 errhint("Administrators set the passwords of others with qms.set_password().")));
	qms_partition_ensure(QMS_PART_EVENT, call->now);
	error = qms_password_try(call, person.organization_id, person.username, old_password, &person, &retry_after);
	if (error != NULL)
		return answer_password(call, 0, error, retry_after);
	qms_password_check_rules(new_password, person.username);
	if (strcmp(old_password, new_password) == 0)
		qms_password_refuse("It must not be the present one.");
	qms_password_change(call, &person, new_password, "self");
	return answer_password(call, person.staff_id, NULL, 0);
}

/* ---- a forgotten one ---- */

/* Make a token for somebody, and hand it to whoever delivers. */
static void
send_reset_token(QmsCall *call, const QmsPerson *person, TimestampTz expires_at)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.password_reset (staff_id, organization_id, token_hash, created_at, expires_at) "
								   "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (staff_id) DO UPDATE SET "
								   "token_hash = excluded.token_hash, created_at = excluded.created_at, expires_at = excluded.expires_at "
								   "WHERE password_reset.created_at <= excluded.created_at - INTERVAL '1 minute'",
								   INT8OID, INT8OID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	char	   *token = qms_opaque_new();
	QmsParams	params = {0};
	QmsJson		json;

	qms_param_int64(&params, person->staff_id);
	qms_param_int64(&params, person->organization_id);
	qms_param_pointer(&params, qms_opaque_hash(token));
	qms_param_time(&params, call->now);
	qms_param_time(&params, expires_at);
	/* The last one is on its way. */
	if (qms_spi_run_now(&plan, &params) == 0)
		return;
	qms_json_begin(&json);
	qms_json_int64(&json, "staff_id", person->staff_id);
	qms_json_int64(&json, "secret_delivery_id",
				   qms_secret_deliver(call, person->organization_id, "password_reset", person->username, token, expires_at));
	qms_json_time(&json, "expires_at", expires_at);
	qms_person_event(call, "password_reset_requested", person->organization_id, NULL, &json);
}

QMS_FUNCTION(request_password_reset, QMS_ACT_SIGN_IN, 0)
{
	char	   *username = qms_arg_text(call, 0, "username");
	int64		organization_id = qms_sign_in_organization(call, qms_arg_text_or_null(call, 1));
	TimestampTz expires_at = call->now + RESET_LIFE;
	QmsPerson	person;
	int32		retry_after;
	bytea	   *hash = qms_keyed_hash(qms_signing_key_current("login"), "reset", organization_id, username, "");

	qms_partition_ensure(QMS_PART_EVENT, call->now);
	if (qms_sign_in_limited(QMS_BY_CODE, organization_id, hash, &retry_after))
		return qms_requested_answer(call, QMS_NO_TIME, QMS_TOO_MANY_ATTEMPTS, retry_after);
	if (qms_person_by_name(organization_id, username, &person) && !person.disabled)
		send_reset_token(call, &person, expires_at);
	/* Whoever it was, and whether or not there is such a person. */
	return qms_requested_answer(call, expires_at, NULL, 0);
}

/* Whose token is it?  Locked: it is good once. */
static bool
find_reset(QmsCall *call, const char *token, QmsPerson *person)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT staff_id FROM qms_internal.password_reset WHERE token_hash = $1 AND expires_at > $2 FOR UPDATE",
								   BYTEAOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	bytea	   *hash = qms_opaque_hash(token);

	if (hash == NULL)
		return false;
	qms_param_pointer(&params, hash);
	qms_param_time(&params, call->now);
	return qms_spi_run_now(&plan, &params) > 0 && qms_person_find(qms_spi_int64(0, 0), person) && !person->disabled;
}

QMS_FUNCTION(reset_password, QMS_ACT_SIGN_IN, 0)
{
	char	   *token = qms_arg_text(call, 0, "token");
	char	   *new_password = qms_arg_text(call, 1, "new_password");
	QmsPerson	person;
	int32		retry_after;

	qms_partition_ensure(QMS_PART_EVENT, call->now);
	if (qms_sign_in_limited(QMS_BY_CODE, 0, NULL, &retry_after))
		return answer_password(call, 0, QMS_TOO_MANY_ATTEMPTS, retry_after);
	if (!find_reset(call, token, &person))
		return answer_password(call, 0, QMS_INVALID_TOKEN, 0);
	qms_password_check_rules(new_password, person.username);
	qms_password_change(call, &person, new_password, "reset");
	return answer_password(call, person.staff_id, NULL, 0);
}
