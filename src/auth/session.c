/*
 * session.c
 *		The end of logins.  Every backend learns of it at commit: until then, and
 *		not longer, the access tokens of a login go on.
 */
#include "auth/auth.h"

#include "catalog/pg_type.h"

/*
 * End the logins that a plan finds.  Only if there are any: the change makes
 * every backend forget what it remembers, and who ends nothing must not.
 */
static int
end_sessions(QmsPlan *find, QmsPlan *end, int64 id, TimestampTz now, const char *reason)
{
	QmsParams	which = {0};
	QmsParams	params = {0};

	qms_param_int64(&which, id);
	if (qms_spi_look(find, &which) == 0)
		return 0;
	qms_param_int64(&params, id);
	qms_param_time(&params, now);
	qms_param_text(&params, reason);
	return (int) qms_spi_run_now(end, &params);
}

/* End every login of a staff member; answers how many there were. */
int
qms_session_revoke_staff(int64 staff_id, TimestampTz now, const char *reason)
{
	static QmsPlan find = QMS_PLAN(
								   "SELECT 1 FROM qms_internal.login_session WHERE staff_id = $1 AND revoked_at IS NULL LIMIT 1",
								   INT8OID);
	static QmsPlan end = QMS_PLAN(
								  "UPDATE qms_internal.login_session SET revoked_at = $2, revoke_reason = $3 "
								  "WHERE staff_id = $1 AND revoked_at IS NULL", INT8OID, TIMESTAMPTZOID, TEXTOID);

	return end_sessions(&find, &end, staff_id, now, reason);
}

/* End one login; answers whether it had not ended before. */
bool
qms_session_revoke(int64 login_session_id, TimestampTz now, const char *reason)
{
	static QmsPlan find = QMS_PLAN(
								   "SELECT 1 FROM qms_internal.login_session WHERE login_session_id = $1 AND revoked_at IS NULL",
								   INT8OID);
	static QmsPlan end = QMS_PLAN(
								  "UPDATE qms_internal.login_session SET revoked_at = $2, revoke_reason = $3 "
								  "WHERE login_session_id = $1 AND revoked_at IS NULL", INT8OID, TIMESTAMPTZOID, TEXTOID);

	return end_sessions(&find, &end, login_session_id, now, reason) > 0;
}
