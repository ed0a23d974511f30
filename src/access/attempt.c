/*
 * attempt.c
 *		Failed logins in a row, and the delay that they bring.
 *
 * Counted by the user name as it was typed, whether or not there is somebody of
 * that name: a lock must not tell who exists.  The name is kept as a keyed hash,
 * because people type passwords there by mistake.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define FREE_FAILURES 4			/* the next one brings a delay */
#define FIRST_DELAY (30 * USECS_PER_SEC)
#define LONGEST_DELAY (15 * USECS_PER_MINUTE)
#define FORGOTTEN_AFTER USECS_PER_DAY

static TimestampTz
locked_until(int failures, TimestampTz now)
{
	int64		delay = FIRST_DELAY;
	int			i;

	if (failures <= FREE_FAILURES)
		return QMS_NO_TIME;
	for (i = FREE_FAILURES + 1; i < failures && delay < LONGEST_DELAY; i++)
		delay *= 2;
	return now + Min(delay, LONGEST_DELAY);
}

static bytea *
hash_of(int64 organization_id, const char *username)
{
	return qms_keyed_hash(qms_signing_key_current("login"), "username", organization_id, username, "");
}

/*
 * May somebody try this name now?  If not, when.
 *
 * Lock: login, exclusive on the name, and not waited for: attempts at one name
 * do not run beside one another, or many would be made before the first one
 * counts; and they do not queue up either.
 */
bool
qms_attempt_begin(QmsCall *call, int64 organization_id, const char *username, QmsAttempt *attempt, int32 *retry_after)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT failures, failed_at, locked_until FROM qms_internal.login_attempt "
								   "WHERE username_hash = $1 AND organization_id = $2", BYTEAOID, INT8OID);
	QmsParams	params = {0};
	int64		lock;

	memset(attempt, 0, sizeof(*attempt));
	attempt->organization_id = organization_id;
	attempt->username_hash = hash_of(organization_id, username);
	attempt->locked_until = QMS_NO_TIME;
	if (qms_sign_in_limited(QMS_BY_PASSWORD, organization_id, attempt->username_hash, retry_after))
		return false;
	memcpy(&lock, VARDATA(attempt->username_hash), sizeof(lock));
	*retry_after = 1;
	if (!qms_lock_if_free(QMS_LOCK_LOGIN, lock, true))
		return false;
	qms_param_pointer(&params, attempt->username_hash);
	qms_param_int64(&params, organization_id);
	if (qms_spi_look(&plan, &params) > 0 && qms_spi_time(0, 1) > call->now - FORGOTTEN_AFTER)
	{
		attempt->failures = qms_spi_int32(0, 0);
		attempt->locked_until = qms_spi_time(0, 2);
	}
	*retry_after = qms_seconds_until(attempt->locked_until, call->now);
	return *retry_after == 0;
}

/* One more that failed, and the event of it.  person: NULL, there is nobody of that name. */
void
qms_attempt_failed(QmsCall *call, QmsAttempt *attempt, const QmsPerson *person, const char *reason)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.login_attempt (username_hash, organization_id, failures, failed_at, locked_until) "
								   "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (username_hash, organization_id) DO UPDATE SET "
								   "failures = excluded.failures, failed_at = excluded.failed_at, locked_until = excluded.locked_until",
								   BYTEAOID, INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsJson		json;

	attempt->failures++;
	attempt->locked_until = locked_until(attempt->failures, call->now);
	qms_param_pointer(&params, attempt->username_hash);
	qms_param_int64(&params, attempt->organization_id);
	qms_param_int32(&params, attempt->failures);
	qms_param_time(&params, call->now);
	qms_param_time(&params, attempt->locked_until);
	qms_spi_run_now(&plan, &params);
	/* Nobody's log could hold it otherwise. */
	if (attempt->organization_id == 0)
		return;
	qms_json_begin(&json);
	if (person != NULL)
		qms_json_int64(&json, "staff_id", person->staff_id);
	qms_json_text(&json, "reason", reason);
	qms_json_int64(&json, "failures", attempt->failures);
	qms_json_time(&json, "locked_until", attempt->locked_until);
	qms_person_event(call, "login_failed", attempt->organization_id, NULL, &json);
}

/* A good login, or a new password: count from the beginning. */
void
qms_attempt_forget(int64 organization_id, const char *username)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms_internal.login_attempt WHERE username_hash = $1 AND organization_id = $2",
								   BYTEAOID, INT8OID);
	QmsParams	params = {0};

	qms_param_pointer(&params, hash_of(organization_id, username));
	qms_param_int64(&params, organization_id);
	qms_spi_run_now(&plan, &params);
}
