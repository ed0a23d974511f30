/*
 * verify.c
 *		verify_access: may whoever has this token come in?
 *
 * The answer is a row that says so, or why not; whatever is wrong with the token
 * is no error, which a caller could take for something else than a refusal.
 */
#include "entry/entry.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define LEEWAY (30 * USECS_PER_SEC) /* of a clock that stepped back since the token was made */

enum
{
	V_valid, V_reason, V_ticket_id, V_queue_id, V_organization_id, V_subject, V_expires_at, V_COLUMNS
};

typedef struct Check
{
	QmsCall    *call;
	QmsAccessToken token;
	const char *subject;		/* who is there; NULL: not said */
	int64		queue_id;		/* what he comes for; 0: not said */
	QmsQueue   *queue;
	bool		is_ours;		/* the caller may know what it says */
} Check;

/* May the caller let people into this queue? */
static bool
is_his(Check *check)
{
	const QmsQueue *queue = check->queue;
	const char *outside;
	QmsObject	object = {"queue", queue->queue_id, queue->organization_id, queue->branch_id,
	queue->application_id, queue->queue_id, 0};

	return qms_gate_verdict(check->call, &object, &outside) == QMS_ALLOWED;
}

/* What can be said without looking at the ticket; NULL: nothing is wrong. */
static const char *
check_claims(Check *check)
{
	const QmsAccessToken *token = &check->token;
	TimestampTz now = check->call->now;

	check->queue = qms_config_queue(token->queue_id);
	if (check->queue == NULL || check->queue->organization_id != token->organization_id)
		return "queue_deleted";
	if (!is_his(check))
		return "denied";
	check->is_ours = true;
	if (check->queue_id != 0 && check->queue_id != token->queue_id)
		return "other_queue";
	if (check->subject != NULL && strcmp(check->subject, token->subject) != 0)
		return "other_subject";
	if (token->issued_at > now + LEEWAY)
		return "not_yet_valid";
	if (token->expires_at <= now)
		return "expired";
	return NULL;
}

static void
add_params(QmsParams *params, const Check *check)
{
	qms_param_int64(params, check->token.ticket_id);
	qms_param_int64(params, check->token.organization_id);
	qms_param_pointer(params, qms_bytes(check->token.nonce, QMS_ACCESS_NONCE_SIZE));
	qms_param_time(params, check->call->now);
	qms_param_int64(params, check->token.queue_id);
}

/*
 * Use it: true for the first of all who try, as long as the ticket is admitted.
 * Lock: the token's row, by the update; the second one finds it used.
 */
static bool
use(const Check *check)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.access_token a SET used_at = $4 FROM qms.ticket t "
								   "WHERE a.ticket_id = $1 AND a.organization_id = $2 AND a.nonce = $3 AND a.queue_id = $5 "
								   "AND a.used_at IS NULL AND a.revoked_at IS NULL AND a.expires_at > $4 "
								   "AND t.ticket_id = $1 AND t.organization_id = $2 AND t.queue_id = $5 AND t.state = 'admitted' "
								   "AND NOT EXISTS (SELECT 1 FROM qms_internal.release_queue r WHERE r.queue_id = $5 AND r.stopped_at IS NOT NULL) "
								   "RETURNING 1", INT8OID, INT8OID, BYTEAOID, TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};

	add_params(&params, check);
	return qms_spi_run_now(&plan, &params) == 1;
}

/* It could not be used: why? */
static const char *
look_why(const Check *check)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT a.nonce = $3 AND a.queue_id = $5, a.expires_at <= $4, a.revoked_at IS NOT NULL, "
								   "EXISTS (SELECT 1 FROM qms.ticket t WHERE t.ticket_id = $1 AND t.organization_id = $2 "
								   "AND t.queue_id = $5 AND t.state = 'admitted'), a.used_at IS NOT NULL, "
								   "EXISTS (SELECT 1 FROM qms_internal.release_queue r WHERE r.queue_id = $5 AND r.stopped_at IS NOT NULL) "
								   "FROM qms_internal.access_token a WHERE a.ticket_id = $1 AND a.organization_id = $2",
								   INT8OID, INT8OID, BYTEAOID, TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};

	add_params(&params, check);
	if (qms_spi_look(&plan, &params) == 0 || !qms_spi_bool(0, 0))
		return "unknown";
	if (qms_spi_bool(0, 1))
		return "expired";
	if (qms_spi_bool(0, 2))
		return "revoked";
	if (!qms_spi_bool(0, 3))
		return "ended";
	if (qms_spi_bool(0, 5))
		return "queue_stopped";
	if (qms_spi_bool(0, 4))
		return check->queue->settings.single_use ? "used" : NULL;
	/* It could be used by now: not by this call. */
	return "ended";
}

static const char *
verify(Check *check)
{
	const char *reason = check_claims(check);

	if (reason == NULL && !use(check))
		reason = look_why(check);
	return reason;
}

static Datum
answer(const Check *check, const char *reason)
{
	const QmsAccessToken *token = &check->token;
	Datum		values[V_COLUMNS];
	bool		nulls[V_COLUMNS] = {0};
	int			i;

	values[V_valid] = BoolGetDatum(reason == NULL);
	nulls[V_reason] = reason == NULL;
	if (reason != NULL)
		values[V_reason] = CStringGetTextDatum(reason);
	for (i = V_ticket_id; i < V_COLUMNS; i++)
		nulls[i] = !check->is_ours;
	if (check->is_ours)
	{
		values[V_ticket_id] = Int64GetDatum(token->ticket_id);
		values[V_queue_id] = Int64GetDatum(token->queue_id);
		values[V_organization_id] = Int64GetDatum(token->organization_id);
		values[V_subject] = CStringGetTextDatum(token->subject);
		values[V_expires_at] = TimestampTzGetDatum(token->expires_at);
	}
	return qms_answer_tuple(check->call, values, nulls);
}

/* An argument that may be anything; what is too long is nobody. */
static const char *
subject_argument(QmsCall *call, int n)
{
	FunctionCallInfo fcinfo = call->fcinfo;

	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

QMS_FUNCTION(verify_access, QMS_ACT_ENTRY, QMS_MUTATES)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	Check		check = {0};
	const char *reason;

	check.call = call;
	call->answer_organization = call->who->organization_id;
	check.subject = subject_argument(call, 1);
	check.queue_id = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2);
	reason = qms_access_token_open(call, qms_access_token_argument(call, 0), &check.token);
	if (reason == NULL)
		reason = verify(&check);
	if (check.is_ours)
		call->answer_organization = check.token.organization_id;
	return answer(&check, reason);
}
