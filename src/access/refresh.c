/*
 * refresh.c
 *		A login goes on, or ends.
 *
 * A refresh token is good once.  When one comes a second time, two have it: the
 * login ends, and whoever of them is its owner logs in again.
 */
#include "access/access.h"

#include "catalog/pg_type.h"

typedef struct Refresh
{
	int64		refresh_token_id;
	int64		login_session_id;
	int64		staff_id;
	bool		used;
	bool		live;			/* not expired, and the login has not ended */
} Refresh;

/*
 * Find a refresh token, and lock it with its login: of two who come with the
 * same one at the same time, the second finds it used.
 */
static bool
find_token(QmsCall *call, const char *token, Refresh *found)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT t.refresh_token_id, s.login_session_id, s.staff_id, t.used_at, t.expires_at, s.revoked_at "
								   "FROM qms_internal.refresh_token t "
								   "JOIN qms_internal.login_session s ON s.login_session_id = t.login_session_id "
								   "WHERE t.token_hash = $1 FOR UPDATE OF s, t", BYTEAOID);
	QmsParams	params = {0};
	bytea	   *hash = qms_opaque_hash(token);

	if (hash == NULL)
		return false;
	qms_param_pointer(&params, hash);
	if (qms_spi_run_now(&plan, &params) == 0)
		return false;
	found->refresh_token_id = qms_spi_int64(0, 0);
	found->login_session_id = qms_spi_int64(0, 1);
	found->staff_id = qms_spi_int64(0, 2);
	found->used = !qms_spi_isnull(0, 3);
	found->live = qms_spi_time(0, 4) > call->now && qms_spi_isnull(0, 5);
	return true;
}

/* It is used; those that have expired meanwhile are of no use as a trap either. */
static void
use_up(QmsCall *call, const Refresh *token)
{
	static QmsPlan use = QMS_PLAN(
								  "UPDATE qms_internal.refresh_token SET used_at = $2 WHERE refresh_token_id = $1", INT8OID, TIMESTAMPTZOID);
	static QmsPlan sweep = QMS_PLAN(
									"DELETE FROM qms_internal.refresh_token WHERE login_session_id = $1 AND expires_at <= $2",
									INT8OID, TIMESTAMPTZOID);
	static QmsPlan extend = QMS_PLAN(
									 "UPDATE qms_internal.login_session SET refreshed_at = $2, expires_at = $3 WHERE login_session_id = $1",
									 INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsParams	session = {0};
	QmsParams	longer = {0};

	qms_param_int64(&params, token->refresh_token_id);
	qms_param_time(&params, call->now);
	qms_spi_run_now(&use, &params);
	qms_param_int64(&session, token->login_session_id);
	qms_param_time(&session, call->now);
	qms_spi_run_now(&sweep, &session);
	qms_param_int64(&longer, token->login_session_id);
	qms_param_time(&longer, call->now);
	qms_param_time(&longer, call->now + qms_refresh_token_life() * USECS_PER_SEC);
	qms_spi_run_now(&extend, &longer);
}

static void
ended_event(QmsCall *call, const char *verb, const QmsPerson *actor, const QmsPerson *person,
			int64 login_session_id, int sessions)
{
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_int64(&json, "staff_id", person->staff_id);
	qms_json_id(&json, "login_session_id", login_session_id);
	qms_json_int64(&json, "sessions", sessions);
	qms_person_event(call, verb, person->organization_id, actor, &json);
}

/* Why a token does not get its owner on; NULL if it does. */
static const char *
fault_of(QmsCall *call, const Refresh *token, const QmsPerson *person)
{
	if (!token->live)
		return QMS_INVALID_TOKEN;
	if (token->used)
	{
		(void) qms_session_revoke(token->login_session_id, call->now, "reuse");
		ended_event(call, "refresh_reused", NULL, person, token->login_session_id, 1);
		return QMS_TOKEN_REUSED;
	}
	return person->disabled ? QMS_INVALID_TOKEN : NULL;
}

QMS_FUNCTION(refresh, QMS_ACT_SIGN_IN, 0)
{
	char	   *text = qms_arg_text(call, 0, "refresh_token");
	QmsLogin	login = {0};
	QmsPerson	person;
	Refresh		token;

	qms_partition_ensure(QMS_PART_EVENT, call->now);
	if (!find_token(call, text, &token) || !qms_person_find(token.staff_id, &person))
		login.error = QMS_INVALID_TOKEN;
	else
		login.error = fault_of(call, &token, &person);
	if (login.error == NULL)
	{
		use_up(call, &token);
		qms_login_tokens(call, &person, token.login_session_id, &login);
	}
	return qms_login_answer(call, &login);
}

/* ---- logout ---- */

/* End one login (everywhere false) or all of a person's; answers how many had not ended. */
static int
end_logins(QmsCall *call, int64 staff_id, int64 login_session_id, bool everywhere)
{
	QmsPerson	person;
	int			sessions;

	sessions = everywhere ? qms_session_revoke_staff(staff_id, call->now, "logout") :
		qms_session_revoke(login_session_id, call->now, "logout");
	if (sessions > 0 && qms_person_find(staff_id, &person))
		ended_event(call, "logged_out", &person, &person, everywhere ? 0 : login_session_id, sessions);
	return sessions;
}

QMS_FUNCTION(logout, QMS_ACT_SIGN_IN, 0)
{
	char	   *text = qms_arg_text_or_null(call, 0);
	bool		everywhere = qms_arg_bool(call, 1, false);
	const QmsPrincipal *who = call->who;
	Refresh		token;

	qms_partition_ensure(QMS_PART_EVENT, call->now);
	if (text != NULL)
	{
		/* Any token of the login will do, also one that was used: it can only end it. */
		if (!find_token(call, text, &token))
			PG_RETURN_INT32(0);
		PG_RETURN_INT32(end_logins(call, token.staff_id, token.login_session_id, everywhere));
	}
	if ((who->kind != QMS_STAFF && who->kind != QMS_ADMIN) || who->id == 0 || (!everywhere && who->session_id == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("refresh_token must be given"),
				 errdetail("The caller is not here by a login."),
				 errhint("Give refresh_token => the token that login or refresh answered last.")));
	PG_RETURN_INT32(end_logins(call, who->id, who->session_id, everywhere));
}
