/*
 * api_key.c
 *		API keys of applications: made, rotated, revoked, and recognized.
 *
 * A key is for one application, and may be narrowed to some queues and some
 * functions; the gate reads that when it makes the principal.  What is checked
 * when a key is shown is the hash of the whole, found by its first part.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#define MAX_SCOPE 100
#define MAX_OVERLAP (90 * USECS_PER_DAY)

/* What create and rotate answer, then what the event says. */
#define ISSUED_COLUMNS \
	"k.api_key_id, k.organization_id, k.application_id, k.name, k.prefix, NULL::pg_catalog.text, k.queue_ids, k.functions, " \
	"k.expires_at, k.previous_expires_at, k.created_at, " \
	"pg_catalog.to_jsonb(k.queue_ids), pg_catalog.to_jsonb(k.functions), k.previous_prefix"

enum
{
	I_api_key_id, I_organization_id, I_application_id, I_name, I_prefix, I_key, I_queue_ids, I_functions,
	I_expires_at, I_previous_expires_at, I_created_at, I_queue_json, I_function_json, I_previous_prefix
};

/* The organization of a live application. */
static int64
organization_of(int64 application_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT a.organization_id FROM qms.application a "
								   "JOIN qms.organization o ON o.organization_id = a.organization_id AND o.deleted_at IS NULL "
								   "WHERE a.application_id = $1 AND a.deleted_at IS NULL", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, application_id);
	if (qms_spi_look(&plan, &params) == 0)
		qms_not_found("application", application_id);
	return qms_spi_int64(0, 0);
}

/* An application or a key of it, for the gate and for events. */
static QmsObject
object_of(const char *what, int64 id, int64 organization_id, int64 application_id)
{
	QmsObject	object = {.what = what, .id = id, .organization_id = organization_id,
	.application_id = application_id};

	return object;
}

static void
write_event(QmsCall *call, const char *kind, const QmsObject *key, const Jsonb *values)
{
	qms_access_event(call, kind, key, "api_key_id", values);
}

/* An array that limits what a key is for: null is no limit, and an empty one would be nothing at all. */
static bool
scope_given(QmsCall *call, int n, const char *name)
{
	ArrayType  *array;

	if (qms_arg_isnull(call, n))
		return false;
	array = DatumGetArrayTypeP(call->fcinfo->args[n].value);
	if (ARR_NDIM(array) != 1 || array_contains_nulls(array) || ARR_DIMS(array)[0] > MAX_SCOPE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be an array of 1 to %d elements without nulls", name, MAX_SCOPE),
				 errdetail("Null means no limit; with an empty array the key could do nothing."),
				 errhint("Leave it out, or name what the key is for.")));
	return true;
}

/*
 * Queues that the caller may hand on: of the organization, and for somebody who
 * administers applications only, of those.
 */
static void
check_queues(QmsCall *call, int n, int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT i, q.queue_id IS NOT NULL, q.branch_id, q.application_id FROM pg_catalog.unnest($1) i "
								   "LEFT JOIN qms.queue q ON q.queue_id = i AND q.organization_id = $2 AND q.deleted_at IS NULL",
								   INT8ARRAYOID, INT8OID);
	QmsParams	params = {0};
	uint64		rows;
	uint64		i;

	if (!scope_given(call, n, "queue_ids"))
		return;
	qms_param_datum(&params, call->fcinfo->args[n].value);
	qms_param_int64(&params, organization_id);
	rows = qms_spi_look(&plan, &params);
	for (i = 0; i < rows; i++)
	{
		QmsObject	object = {.what = "queue", .id = qms_spi_int64(i, 0), .organization_id = organization_id,
		.branch_id = qms_spi_int64(i, 2), .application_id = qms_spi_int64(i, 3), .queue_id = qms_spi_int64(i, 0)};

		if (!qms_spi_bool(i, 1))
			qms_not_found("queue", object.id);
		qms_gate_object(call, &object);
	}
}

/* Functions that applications may call at all. */
static void
check_functions(QmsCall *call, int n)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT f FROM pg_catalog.unnest($1) f WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_proc p "
								   "JOIN pg_catalog.pg_namespace s ON s.oid = p.pronamespace "
								   "WHERE s.nspname = 'qms' AND p.proname = f AND p.provolatile = 'v' "
								   "AND pg_catalog.has_function_privilege('qms_app', p.oid, 'EXECUTE')) LIMIT 1", TEXTARRAYOID);
	QmsParams	params = {0};

	if (!scope_given(call, n, "functions"))
		return;
	qms_param_datum(&params, call->fcinfo->args[n].value);
	if (qms_spi_look(&plan, &params) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no application can call a function \"%s\"", qms_spi_text(0, 0)),
				 errdetail("It does not exist in schema qms, or qms_app has no right to execute it."),
				 errhint("Write names without schema and arguments, such as '{join_queue,ticket_status}'.")));
}

/* now + argument n; QMS_NO_TIME if that is null. */
static TimestampTz
moment_ahead(QmsCall *call, int n, const char *name)
{
	TimestampTz moment;

	if (qms_arg_isnull(call, n))
		return QMS_NO_TIME;
	moment = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(call->now),
													 call->fcinfo->args[n].value));
	if (moment <= call->now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be positive", name),
				 errdetail("A key that has expired already is of no use."),
				 errhint("Give an interval such as '1 year', or leave it out for a key that does not expire.")));
	return moment;
}

static void
check_name(const char *name, int64 application_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.api_key k WHERE k.application_id = $1 AND k.name = $2 AND k.revoked_at IS NULL",
								   INT8OID, TEXTOID);
	QmsParams	params = {0};

	qms_param_int64(&params, application_id);
	qms_param_text(&params, name);
	if (qms_spi_look(&plan, &params) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("name \"%s\" is already in use", name),
				 errdetail("Another key of the application has this name."),
				 errhint("Choose another name, or change its key with qms.rotate_api_key().")));
}

/* The hash of a key that has just been made. */
static void
store_secret(const QmsObject *key, const QmsSecret *secret, TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.api_key_secret (api_key_id, organization_id, prefix, key_hash, created_at) "
								   "VALUES ($1, $2, $3, $4, $5)", INT8OID, INT8OID, TEXTOID, BYTEAOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, key->id);
	qms_param_int64(&params, key->organization_id);
	qms_param_text(&params, secret->prefix);
	qms_param_pointer(&params, qms_access_bytes(secret->hash));
	qms_param_time(&params, now);
	qms_spi_run(&plan, &params);
}

static Jsonb *
json_column(int column)
{
	bool		isnull;
	Datum		value = qms_spi_datum(0, column, &isnull);

	return isnull ? NULL : DatumGetJsonbP(value);
}

/* What the event says of the row in the present result. */
static Jsonb *
values_of_row(bool rotated)
{
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_int64(&json, "application_id", qms_spi_int64(0, I_application_id));
	qms_json_text(&json, "name", qms_spi_text(0, I_name));
	qms_json_text(&json, "prefix", qms_spi_text(0, I_prefix));
	qms_json_jsonb(&json, "queue_ids", json_column(I_queue_json));
	qms_json_jsonb(&json, "functions", json_column(I_function_json));
	qms_json_time(&json, "expires_at", qms_spi_time(0, I_expires_at));
	if (rotated)
	{
		qms_json_text(&json, "previous_prefix", qms_spi_text(0, I_previous_prefix));
		qms_json_time(&json, "previous_expires_at", qms_spi_time(0, I_previous_expires_at));
	}
	return qms_json_end(&json);
}

QMS_FUNCTION(create_api_key, QMS_ACT_SETUP, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.api_key AS k (organization_id, application_id, name, prefix, queue_ids, functions, "
								   "expires_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) "
								   "RETURNING " ISSUED_COLUMNS,
								   INT8OID, INT8OID, TEXTOID, TEXTOID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	enum
	{
		A_application_id, A_name, A_queue_ids, A_functions, A_expires_in
	};
	FunctionCallInfo fcinfo = call->fcinfo;
	int64		application_id = qms_arg_id(call, A_application_id, "application_id");
	int64		organization_id = organization_of(application_id);
	QmsObject	object = object_of("application", application_id, organization_id, application_id);
	QmsParams	params = {0};
	QmsSecret	secret = {0};
	char	   *name;
	Datum		answer;
	Jsonb	   *values;

	qms_gate_administers(call, &object);
	name = qms_arg_clean_name(qms_arg_text(call, A_name, "name"), "name");
	qms_lock(QMS_LOCK_SETUP, organization_id, true);
	(void) organization_of(application_id);
	check_name(name, application_id);
	check_queues(call, A_queue_ids, organization_id);
	check_functions(call, A_functions);
	qms_secret_make(call, QMS_API_KEY, &secret);
	qms_param_int64(&params, organization_id);
	qms_param_int64(&params, application_id);
	qms_param_text(&params, name);
	qms_param_text(&params, secret.prefix);
	qms_param_pointer(&params, PG_ARGISNULL(A_queue_ids) ? NULL : PG_GETARG_POINTER(A_queue_ids));
	qms_param_pointer(&params, PG_ARGISNULL(A_functions) ? NULL : PG_GETARG_POINTER(A_functions));
	qms_param_time(&params, moment_ahead(call, A_expires_in, "expires_in"));
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
	answer = qms_access_answer(call, "key", secret.text);
	object.id = qms_spi_int64(0, I_api_key_id);
	values = values_of_row(false);
	store_secret(&object, &secret, call->now);
	write_event(call, "api_key.created", &object, values);
	return answer;
}

/* A key that the caller administers, as it is under the lock of set-up. */
static QmsObject
lock_key(QmsCall *call, int64 api_key_id, bool *revoked, TimestampTz *expires_at)
{
	static QmsPlan peek = QMS_PLAN(
								   "SELECT k.organization_id, k.application_id FROM qms.api_key k "
								   "JOIN qms.organization o ON o.organization_id = k.organization_id AND o.deleted_at IS NULL "
								   "WHERE k.api_key_id = $1", INT8OID);
	static QmsPlan lock = QMS_PLAN(
								   "SELECT k.revoked_at IS NOT NULL, k.expires_at FROM qms.api_key k WHERE k.api_key_id = $1 "
								   "FOR NO KEY UPDATE", INT8OID);
	QmsParams	params = {0};
	QmsObject	object;

	qms_param_int64(&params, api_key_id);
	if (qms_spi_look(&peek, &params) == 0)
		qms_not_found("API key", api_key_id);
	object = object_of("API key", api_key_id, qms_spi_int64(0, 0), qms_spi_int64(0, 1));
	qms_gate_administers(call, &object);
	qms_lock(QMS_LOCK_SETUP, object.organization_id, true);
	if (qms_spi_run(&lock, &params) == 0)
		qms_not_found("API key", api_key_id);
	*revoked = qms_spi_bool(0, 0);
	*expires_at = qms_spi_time(0, 1);
	return object;
}

/* Let the keys that there are in for some time yet; those whose time is over go. */
static void
end_secrets(int64 api_key_id, TimestampTz at, TimestampTz now)
{
	static QmsPlan limit = QMS_PLAN(
									"UPDATE qms_internal.api_key_secret SET expires_at = least(expires_at, $2) WHERE api_key_id = $1",
									INT8OID, TIMESTAMPTZOID);
	static QmsPlan clear = QMS_PLAN(
									"DELETE FROM qms_internal.api_key_secret WHERE api_key_id = $1 AND expires_at <= $2",
									INT8OID, TIMESTAMPTZOID);
	QmsParams	until = {0};
	QmsParams	over = {0};

	qms_param_int64(&until, api_key_id);
	qms_param_time(&until, at);
	qms_spi_run(&limit, &until);
	qms_param_int64(&over, api_key_id);
	qms_param_time(&over, now);
	qms_spi_run(&clear, &over);
}

/* How long the old key is let in. */
static int64
overlap_of(QmsCall *call, int n)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	int64		overlap = PG_ARGISNULL(n) ? 0 : qms_interval_usec(PG_GETARG_INTERVAL_P(n), "overlap");

	if (overlap < 0 || overlap > MAX_OVERLAP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("overlap must be from 0 to 90 days"),
				 errdetail("For that long the old key works beside the new one."),
				 errhint("Give 0 when the old key has become known to others.")));
	return overlap;
}

QMS_FUNCTION(rotate_api_key, QMS_ACT_SETUP, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.api_key k SET prefix = $2, "
								   "previous_prefix = CASE WHEN $3 > $5 THEN k.prefix END, "
								   "previous_expires_at = CASE WHEN $3 > $5 THEN $3 END, "
								   "expires_at = coalesce($4, k.expires_at), updated_at = $5 WHERE k.api_key_id = $1 "
								   "RETURNING " ISSUED_COLUMNS,
								   INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	enum
	{
		A_api_key_id, A_overlap, A_expires_in
	};
	int64		api_key_id = qms_arg_id(call, A_api_key_id, "api_key_id");
	TimestampTz until = call->now + overlap_of(call, A_overlap);
	TimestampTz anew = moment_ahead(call, A_expires_in, "expires_in");
	QmsParams	params = {0};
	QmsSecret	secret = {0};
	bool		revoked;
	TimestampTz expires_at;
	QmsObject	object = lock_key(call, api_key_id, &revoked, &expires_at);
	Datum		answer;
	Jsonb	   *values;

	if (revoked)
		qms_not_found("API key", api_key_id);
	if (anew == QMS_NO_TIME && expires_at != QMS_NO_TIME && expires_at <= call->now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("API key %lld has expired", (long long) api_key_id),
				 errdetail("A new key would expire with it."),
				 errhint("Give expires_in.")));
	qms_secret_make(call, QMS_API_KEY, &secret);
	end_secrets(api_key_id, until, call->now);
	qms_param_int64(&params, api_key_id);
	qms_param_text(&params, secret.prefix);
	qms_param_time(&params, until);
	qms_param_time(&params, anew);
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
	answer = qms_access_answer(call, "key", secret.text);
	values = values_of_row(true);
	store_secret(&object, &secret, call->now);
	write_event(call, "api_key.rotated", &object, values);
	return answer;
}

QMS_FUNCTION(revoke_api_key, QMS_ACT_SETUP, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.api_key k SET revoked_at = coalesce(k.revoked_at, $2), "
								   "updated_at = CASE WHEN k.revoked_at IS NULL THEN $2 ELSE k.updated_at END, "
								   "previous_prefix = NULL, previous_expires_at = NULL WHERE k.api_key_id = $1 RETURNING k.*",
								   INT8OID, TIMESTAMPTZOID);
	int64		api_key_id = qms_arg_id(call, 0, "api_key_id");
	QmsParams	params = {0};
	bool		revoked;
	TimestampTz expires_at;
	QmsObject	object = lock_key(call, api_key_id, &revoked, &expires_at);
	Datum		answer;

	qms_param_int64(&params, api_key_id);
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
	answer = qms_access_answer(call, NULL, NULL);
	/* Of what is revoked nothing is kept: then it is no other than one that never was. */
	end_secrets(api_key_id, call->now, call->now);
	if (!revoked)
		write_event(call, "api_key.revoked", &object, NULL);
	return answer;
}

/*
 * Whose key is this?  Unknown, expired and revoked ones take the same way to the
 * same error.
 */
void
qms_api_key_authenticate(const char *text, TimestampTz now, QmsApiKey *key)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT k.api_key_id, k.organization_id, k.application_id, a.name, k.name, k.queue_ids, k.functions, "
								   "least(k.expires_at, s.expires_at), s.key_hash FROM qms_internal.api_key_secret s "
								   "JOIN qms.api_key k ON k.api_key_id = s.api_key_id AND k.revoked_at IS NULL "
								   "JOIN qms.application a ON a.application_id = k.application_id AND a.deleted_at IS NULL "
								   "JOIN qms.organization o ON o.organization_id = k.organization_id AND o.deleted_at IS NULL "
								   "WHERE s.prefix = $1 AND (s.expires_at IS NULL OR s.expires_at > $2) "
								   "AND (k.expires_at IS NULL OR k.expires_at > $2)", TEXTOID, TIMESTAMPTZOID);
	static const uint8 nobody[QMS_HMAC_SIZE] = {0};
	char		prefix[QMS_PREFIX_LENGTH + 1] = "";
	uint8		hash[QMS_HMAC_SIZE];
	QmsParams	params = {0};
	bool		formed = qms_secret_prefix(QMS_API_KEY, text, prefix);
	bool		found;
	bool		isnull;
	Datum		stored = PointerGetDatum(qms_access_bytes(nobody));

	qms_secret_hash(text, hash);
	qms_param_text(&params, prefix);
	qms_param_time(&params, now);
	/* As of this moment, whatever the snapshot of the transaction: a revocation counts at once. */
	found = qms_spi_look(&plan, &params) > 0;
	if (found)
		stored = qms_spi_datum(0, 8, &isnull);
	if (!qms_access_same(stored, hash) || !found || !formed)
		qms_access_refuse("API key");
	key->api_key_id = qms_spi_int64(0, 0);
	key->organization_id = qms_spi_int64(0, 1);
	key->application_id = qms_spi_int64(0, 2);
	key->expires_at = qms_spi_time(0, 7);
}

QMS_FUNCTION(authenticate_api_key, QMS_ACT_SIGN_IN, 0)
{
	QmsApiKey	key = {0};
	Datum		answer;

	qms_api_key_authenticate(qms_arg_text(call, 0, "key"), call->now, &key);
	answer = qms_access_answer(call, NULL, NULL);
	qms_seen_note(QMS_SEEN_API_KEY, key.api_key_id, key.organization_id, call->now);
	return answer;
}
