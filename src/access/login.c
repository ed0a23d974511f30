/*
 * login.c
 *		Staff come in with a password, and get an access token and a refresh token.
 *
 * Who does not get in is answered a row that says why, and no error: an error
 * would undo what is counted.  A name that does not exist, one that has no
 * password and a wrong password take the same steps and are answered the same.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* ---- tokens ---- */

/* The access token of a login. */
static void
make_access_token(QmsCall *call, const QmsPerson *person, int64 login_session_id, QmsLogin *login)
{
	QmsToken	token = {
		.role = psprintf("qms_%s", person->role),
		.subject = psprintf("staff:%lld", (long long) person->staff_id),
		.organization_id = person->organization_id,
		.session_id = login_session_id
	};

	login->access_token = qms_token_of_login(call, &token);
	login->expires_at = token.expires_at;
	login->staff_id = person->staff_id;
	login->organization_id = person->organization_id;
	login->role = person->role;
}

/* The next refresh token of a login. */
static void
make_refresh_token(QmsCall *call, const QmsPerson *person, int64 login_session_id, QmsLogin *login)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.refresh_token (organization_id, login_session_id, token_hash, created_at, expires_at) "
								   "VALUES ($1, $2, $3, $4, $5)", INT8OID, INT8OID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	login->refresh_token = qms_opaque_new();
	qms_param_int64(&params, person->organization_id);
	qms_param_int64(&params, login_session_id);
	qms_param_pointer(&params, qms_opaque_hash(login->refresh_token));
	qms_param_time(&params, call->now);
	qms_param_time(&params, call->now + qms_refresh_token_life() * USECS_PER_SEC);
	qms_spi_run(&plan, &params);
}

/* Both tokens, of a login or of its continuation. */
void
qms_login_tokens(QmsCall *call, const QmsPerson *person, int64 login_session_id, QmsLogin *login)
{
	make_access_token(call, person, login_session_id, login);
	make_refresh_token(call, person, login_session_id, login);
}

/* The row that a login answers. */
Datum
qms_login_answer(QmsCall *call, const QmsLogin *login)
{
	Datum		values[8] = {0};
	bool		nulls[8];
	int			i;

	for (i = 0; i < 8; i++)
		nulls[i] = login->error != NULL;
	if (login->error == NULL)
	{
		values[0] = CStringGetTextDatum(login->access_token);
		values[1] = CStringGetTextDatum(login->refresh_token);
		values[2] = TimestampTzGetDatum(login->expires_at);
		values[3] = Int64GetDatum(login->staff_id);
		values[4] = Int64GetDatum(login->organization_id);
		values[5] = CStringGetTextDatum(login->role);
		nulls[6] = nulls[7] = true;
	}
	else
	{
		qms_sign_in_status(login->error, login->retry_after);
		values[6] = CStringGetTextDatum(login->error);
		nulls[6] = false;
		values[7] = Int32GetDatum(login->retry_after);
		nulls[7] = login->retry_after == 0;
	}
	return qms_answer_tuple(call, values, nulls);
}

/* ---- passwords ---- */

/*
 * Is the account still as it was when the password was checked?
 *
 * Lock: shared on the rows of staff member and password.  Whoever sets another
 * password, disables or deletes the account waits for this login to commit, and
 * then finds its session to be ended.
 */
static bool
is_still_so(const QmsPerson *person)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.staff s JOIN qms_internal.staff_password p ON p.staff_id = s.staff_id "
								   "WHERE s.staff_id = $1 AND p.hash = $2 AND s.deleted_at IS NULL AND s.disabled_at IS NULL "
								   "FOR SHARE OF s, p", INT8OID, TEXTOID);
	QmsParams	params = {0};

	qms_param_int64(&params, person->staff_id);
	qms_param_text(&params, person->hash);
	return qms_spi_run_now(&plan, &params) > 0;
}

/* A password that was hashed at less cost than is set now, and is known now, gets a hash of that. */
static void
strengthen(const QmsPerson *person, const char *password)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.staff_password SET hash = $2, cost = $3 WHERE staff_id = $1",
								   INT8OID, TEXTOID, INT2OID);
	QmsParams	params = {0};
	int			cost;
	char	   *hash;

	if (!qms_bcrypt_is_weak(person->hash))
		return;
	hash = qms_bcrypt(password, &cost);
	qms_param_int64(&params, person->staff_id);
	qms_param_text(&params, hash);
	qms_param_datum(&params, Int16GetDatum((int16) cost));
	qms_spi_run_now(&plan, &params);
}

/*
 * Somebody says that he is that person.  NULL if he is, and the account may be
 * used; else what to answer.  Failures are counted.
 */
const char *
qms_password_try(QmsCall *call, int64 organization_id, const char *username, const char *password,
				 QmsPerson *person, int32 *retry_after)
{
	QmsAttempt	attempt;
	bool		known;

	if (!qms_attempt_begin(call, organization_id, username, &attempt, retry_after))
		return QMS_TOO_MANY_ATTEMPTS;
	known = qms_person_by_name(organization_id, username, person);
	if (!qms_bcrypt_check(known ? person->hash : NULL, password))
	{
		qms_attempt_failed(call, &attempt, known ? person : NULL, "credentials");
		return QMS_INVALID_CREDENTIALS;
	}
	/* Only who knows the password is told this. */
	if (person->disabled)
	{
		qms_attempt_failed(call, &attempt, person, "disabled");
		return QMS_ACCOUNT_DISABLED;
	}
	if (!is_still_so(person))
		return QMS_INVALID_CREDENTIALS;
	strengthen(person, password);
	if (attempt.failures > 0)
		qms_attempt_forget(organization_id, username);
	return NULL;
}

static int64
start_session(QmsCall *call, const QmsPerson *person)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.login_session (organization_id, staff_id, created_at, refreshed_at, expires_at, address) "
								   "VALUES ($1, $2, $3, $3, $4, $5) RETURNING login_session_id",
								   INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID);
	QmsParams	params = {0};

	qms_param_int64(&params, person->organization_id);
	qms_param_int64(&params, person->staff_id);
	qms_param_time(&params, call->now);
	qms_param_time(&params, call->now + qms_refresh_token_life() * USECS_PER_SEC);
	qms_param_text(&params, qms_sign_in_address());
	qms_spi_run(&plan, &params);
	return qms_spi_int64(0, 0);
}

QMS_FUNCTION(login, QMS_ACT_SIGN_IN, 0)
{
	char	   *username = qms_arg_text(call, 0, "username");
	char	   *password = qms_arg_text(call, 1, "password");
	int64		organization_id = qms_sign_in_organization(call, qms_arg_text_or_null(call, 2));
	QmsLogin	login = {0};
	QmsPerson	person;
	QmsJson		json;
	int64		login_session_id;

	qms_partition_ensure(QMS_PART_EVENT, call->now);
	login.error = qms_password_try(call, organization_id, username, password, &person, &login.retry_after);
	if (login.error != NULL)
		return qms_login_answer(call, &login);
	login_session_id = start_session(call, &person);
	qms_login_tokens(call, &person, login_session_id, &login);
	qms_json_begin(&json);
	qms_json_int64(&json, "staff_id", person.staff_id);
	qms_json_int64(&json, "login_session_id", login_session_id);
	qms_json_time(&json, "expires_at", login.expires_at);
	qms_person_event(call, "logged_in", person.organization_id, &person, &json);
	return qms_login_answer(call, &login);
}
