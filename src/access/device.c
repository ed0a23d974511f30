/*
 * device.c
 *		Devices of a branch: displays, kiosks, speakers.
 *
 * An administrator makes a device and reads a short code off the answer; the
 * device shows a page where somebody types it, and gets its key for it, once.
 * A code lives ten minutes and bears five wrong tries.  Its first half finds the
 * device, the second half (20 bits) is what has to be known; tries are counted
 * with the device, where they hold when this transaction commits, and by the
 * limiter, where they hold whatever it does.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define CODE_LIFE (10 * USECS_PER_MINUTE)
#define CODE_TRIES 5

/* What create and renew answer. */
#define ISSUED_COLUMNS(d) \
	d ".device_id, " d ".organization_id, " d ".branch_id, " d ".kind, " d ".name, NULL::pg_catalog.text, $2, " d ".created_at"

static int64
organization_of_branch(int64 branch_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.organization_id FROM qms.branch b "
								   "JOIN qms.organization o ON o.organization_id = b.organization_id AND o.deleted_at IS NULL "
								   "WHERE b.branch_id = $1 AND b.deleted_at IS NULL", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, branch_id);
	if (qms_spi_look(&plan, &params) == 0)
		qms_not_found("branch", branch_id);
	return qms_spi_int64(0, 0);
}

/* A new code for a device; answers it as it is shown. */
static char *
make_code(QmsCall *call, int64 device_id, int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.device_secret (device_id, organization_id, code_prefix, code_kid, code_hash, "
								   "code_expires_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (device_id) DO UPDATE SET "
								   "code_prefix = $3, code_kid = $4, code_hash = $5, code_expires_at = $6, code_attempts = 0",
								   INT8OID, INT8OID, TEXTOID, INT4OID, BYTEAOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsSecret	secret = {0};
	char		code[QMS_CODE_SIZE];
	char		prefix[QMS_PREFIX_LENGTH + 1];
	uint8		hash[QMS_HMAC_SIZE];
	int			kid = 0;

	qms_secret_make(call, QMS_PAIRING_CODE, &secret);
	if (!qms_code_normalize(secret.text, code, prefix) || !qms_code_hash(&kid, code, device_id, hash))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not make a pairing code")));
	qms_param_int64(&params, device_id);
	qms_param_int64(&params, organization_id);
	qms_param_text(&params, prefix);
	qms_param_int32(&params, kid);
	qms_param_pointer(&params, qms_access_bytes(hash));
	qms_param_time(&params, call->now + CODE_LIFE);
	qms_spi_run(&plan, &params);
	return secret.text;
}

static void
gate_branch(QmsCall *call, int64 organization_id, int64 branch_id, const char *what, int64 id)
{
	QmsObject	object = {.what = what, .id = id, .organization_id = organization_id, .branch_id = branch_id};

	qms_gate_administers(call, &object);
}

static void
write_event(QmsCall *call, const char *kind, const QmsDevice *device, const Jsonb *values)
{
	QmsObject	object = {.what = "device", .id = device->device_id, .organization_id = device->organization_id,
	.branch_id = device->branch_id};

	qms_access_event(call, kind, &object, "device_id", values);
}

static void
check_kind(const char *kind)
{
	if (strcmp(kind, "display") != 0 && strcmp(kind, "kiosk") != 0 && strcmp(kind, "speaker") != 0)
		qms_arg_choice_error("kind of device", kind, "display, kiosk and speaker");
}

static void
check_name(const char *name, int64 branch_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.device d WHERE d.branch_id = $1 AND d.name = $2 AND d.revoked_at IS NULL",
								   INT8OID, TEXTOID);
	QmsParams	params = {0};

	qms_param_int64(&params, branch_id);
	qms_param_text(&params, name);
	if (qms_spi_look(&plan, &params) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("name \"%s\" is already in use", name),
				 errdetail("Another device of the branch has this name."),
				 errhint("Choose another name, or pair that device anew with qms.renew_pairing_code().")));
}

QMS_FUNCTION(create_device, QMS_ACT_SETUP, QMS_MUTATES)
{
	static QmsPlan insert = QMS_PLAN(
									 "INSERT INTO qms.device (organization_id, branch_id, kind, name, created_at, updated_at) "
									 "VALUES ($1, $2, $3, $4, $5, $5) RETURNING device_id",
									 INT8OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	static QmsPlan read = QMS_PLAN(
								   "SELECT " ISSUED_COLUMNS("d") " FROM qms.device d WHERE d.device_id = $1", INT8OID, TIMESTAMPTZOID);
	int64		branch_id = qms_arg_id(call, 0, "branch_id");
	int64		organization_id = organization_of_branch(branch_id);
	QmsParams	params = {0};
	QmsParams	made = {0};
	QmsJson		json;
	QmsDevice	device = {.organization_id = organization_id, .branch_id = branch_id};
	char	   *kind;
	char	   *name;
	char	   *code;

	gate_branch(call, organization_id, branch_id, "branch", branch_id);
	kind = qms_arg_text(call, 1, "kind");
	check_kind(kind);
	name = qms_arg_clean_name(qms_arg_text(call, 2, "name"), "name");
	qms_lock(QMS_LOCK_SETUP, organization_id, true);
	(void) organization_of_branch(branch_id);
	check_name(name, branch_id);
	qms_param_int64(&params, organization_id);
	qms_param_int64(&params, branch_id);
	qms_param_text(&params, kind);
	qms_param_text(&params, name);
	qms_param_time(&params, call->now);
	qms_spi_run(&insert, &params);
	device.device_id = qms_spi_int64(0, 0);
	code = make_code(call, device.device_id, organization_id);
	qms_json_begin(&json);
	qms_json_text(&json, "kind", kind);
	qms_json_text(&json, "name", name);
	write_event(call, "device.created", &device, qms_json_end(&json));
	qms_param_int64(&made, device.device_id);
	qms_param_time(&made, call->now + CODE_LIFE);
	qms_spi_look(&read, &made);
	return qms_access_answer(call, "pairing_code", code);
}

/* A device that the caller administers, as it is under the lock of set-up. */
static void
lock_device(QmsCall *call, int64 device_id, bool revoked_too, QmsDevice *device, bool *revoked)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT d.organization_id, d.branch_id, d.revoked_at IS NOT NULL FROM qms.device d "
								   "JOIN qms.branch b ON b.branch_id = d.branch_id AND b.deleted_at IS NULL "
								   "JOIN qms.organization o ON o.organization_id = d.organization_id AND o.deleted_at IS NULL "
								   "WHERE d.device_id = $1", INT8OID);
	QmsParams	params = {0};
	int			round;

	qms_param_int64(&params, device_id);
	for (round = 0; round < 2; round++)
	{
		if (qms_spi_look(&plan, &params) == 0)
			qms_not_found("device", device_id);
		device->device_id = device_id;
		device->organization_id = qms_spi_int64(0, 0);
		device->branch_id = qms_spi_int64(0, 1);
		*revoked = qms_spi_bool(0, 2);
		gate_branch(call, device->organization_id, device->branch_id, "device", device_id);
		if (round == 0)
			qms_lock(QMS_LOCK_SETUP, device->organization_id, true);
	}
	if (*revoked && !revoked_too)
		qms_not_found("device", device_id);
}

QMS_FUNCTION(renew_pairing_code, QMS_ACT_SETUP, QMS_MUTATES)
{
	static QmsPlan read = QMS_PLAN(
								   "SELECT " ISSUED_COLUMNS("d") " FROM qms.device d WHERE d.device_id = $1", INT8OID, TIMESTAMPTZOID);
	int64		device_id = qms_arg_id(call, 0, "device_id");
	QmsDevice	device = {0};
	QmsParams	params = {0};
	bool		revoked;
	char	   *code;

	lock_device(call, device_id, false, &device, &revoked);
	code = make_code(call, device_id, device.organization_id);
	write_event(call, "device.code_renewed", &device, NULL);
	qms_param_int64(&params, device_id);
	qms_param_time(&params, call->now + CODE_LIFE);
	qms_spi_look(&read, &params);
	return qms_access_answer(call, "pairing_code", code);
}

QMS_FUNCTION(revoke_device, QMS_ACT_SETUP, QMS_MUTATES)
{
	static QmsPlan clear = QMS_PLAN("DELETE FROM qms_internal.device_secret WHERE device_id = $1", INT8OID);
	static QmsPlan revoke = QMS_PLAN(
									 "UPDATE qms.device d SET revoked_at = coalesce(d.revoked_at, $2), "
									 "updated_at = CASE WHEN d.revoked_at IS NULL THEN $2 ELSE d.updated_at END "
									 "WHERE d.device_id = $1 RETURNING d.*", INT8OID, TIMESTAMPTZOID);
	int64		device_id = qms_arg_id(call, 0, "device_id");
	QmsDevice	device = {0};
	QmsParams	params = {0};
	bool		revoked;
	Datum		answer;

	lock_device(call, device_id, true, &device, &revoked);
	qms_param_int64(&params, device_id);
	qms_spi_run(&clear, &params);
	qms_param_time(&params, call->now);
	qms_spi_run(&revoke, &params);
	answer = qms_access_answer(call, NULL, NULL);
	if (!revoked)
		write_event(call, "device.revoked", &device, NULL);
	return answer;
}

/* ---- pairing ---- */

/* A device whose code begins like the one that was typed. */
typedef struct Candidate
{
	QmsDevice	device;
	int			kid;
	int32		attempts;
	Datum		hash;
} Candidate;

/* Those of the present result, copied: what hashes a code may run statements. */
static Candidate *
read_candidates(uint64 n)
{
	Candidate  *candidates = palloc(sizeof(Candidate) * Max(n, 1));
	uint64		i;

	for (i = 0; i < n; i++)
	{
		bool		isnull;

		candidates[i].device.device_id = qms_spi_int64(i, 0);
		candidates[i].device.organization_id = qms_spi_int64(i, 1);
		candidates[i].device.branch_id = qms_spi_int64(i, 2);
		candidates[i].device.kind = qms_spi_text(i, 3);
		candidates[i].kid = qms_spi_int32(i, 4);
		candidates[i].hash = PointerGetDatum(DatumGetByteaPCopy(qms_spi_datum(i, 5, &isnull)));
		candidates[i].attempts = qms_spi_int32(i, 6);
	}
	return candidates;
}

/*
 * The device that a code belongs to; false if there is none.  Every device of
 * that first half whose code it is not has had a wrong try.
 */
static bool
find_by_code(QmsCall *call, const char *code, const char *prefix, QmsDevice *device)
{
	static QmsPlan find = QMS_PLAN(
								   "SELECT s.device_id, s.organization_id, d.branch_id, d.kind, s.code_kid, s.code_hash, s.code_attempts "
								   "FROM qms_internal.device_secret s "
								   "JOIN qms.device d ON d.device_id = s.device_id AND d.revoked_at IS NULL "
								   "JOIN qms.branch b ON b.branch_id = d.branch_id AND b.deleted_at IS NULL "
								   "JOIN qms.organization o ON o.organization_id = d.organization_id AND o.deleted_at IS NULL "
								   "WHERE s.code_prefix = $1 AND s.code_expires_at > $2 ORDER BY s.device_id FOR NO KEY UPDATE OF s",
								   TEXTOID, TIMESTAMPTZOID);
	static QmsPlan count = QMS_PLAN(
									"UPDATE qms_internal.device_secret SET code_attempts = code_attempts + 1 "
									"WHERE code_prefix = $1 AND code_expires_at > $2", TEXTOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	Candidate  *candidates;
	uint64		n;
	uint64		i;

	qms_param_text(&params, prefix);
	qms_param_time(&params, call->now);
	n = qms_spi_run(&find, &params);
	candidates = read_candidates(n);
	for (i = 0; i < n; i++)
	{
		Candidate  *candidate = &candidates[i];
		uint8		hash[QMS_HMAC_SIZE];

		if (candidate->attempts < CODE_TRIES &&
			qms_code_hash(&candidate->kid, code, candidate->device.device_id, hash) &&
			qms_access_same(candidate->hash, hash))
		{
			*device = candidate->device;
			return true;
		}
	}
	if (n > 0)
		qms_spi_run(&count, &params);
	return false;
}

/* Too many codes from this address, or for this first half, whatever becomes of the transaction. */
static void
check_limits(const char *prefix)
{
	int64		retry_after;

	if (!qms_limit_take_address(QMS_LIMIT_PAIR, 0, &retry_after) ||
		(*prefix && !qms_limit_take(QMS_LIMIT_PAIR, 0, psprintf("code:%s", prefix), &retry_after)))
		qms_limit_refuse(QMS_LIMIT_PAIR, retry_after);
}

/* Not an error, whose rollback would take the count of tries back. */
static Datum
answer_no_device(QmsCall *call)
{
	TupleDesc	desc = qms_answer_desc(call);
	Datum	   *values = palloc0(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	int			error = qms_answer_column(call, "error");

	memset(nulls, true, sizeof(bool) * desc->natts);
	values[error] = CStringGetTextDatum("invalid_code");
	nulls[error] = false;
	qms_http_status(401);
	return qms_answer_tuple(call, values, nulls);
}

/* Give the device its key; the code has done its duty. */
static void
store_pairing(const QmsDevice *device, const QmsSecret *secret, TimestampTz now)
{
	static QmsPlan keep = QMS_PLAN(
								   "UPDATE qms_internal.device_secret SET prefix = $2, key_hash = $3, code_prefix = NULL, code_kid = NULL, "
								   "code_hash = NULL, code_expires_at = NULL, code_attempts = 0 WHERE device_id = $1",
								   INT8OID, TEXTOID, BYTEAOID);
	static QmsPlan mark = QMS_PLAN(
								   "UPDATE qms.device d SET prefix = $2, paired_at = $3, updated_at = $3 WHERE d.device_id = $1 "
								   "RETURNING d.device_id, d.organization_id, d.branch_id, d.kind, d.name, "
								   "NULL::pg_catalog.text, NULL::pg_catalog.text",
								   INT8OID, TEXTOID, TIMESTAMPTZOID);
	QmsParams	key = {0};
	QmsParams	params = {0};

	qms_param_int64(&key, device->device_id);
	qms_param_text(&key, secret->prefix);
	qms_param_pointer(&key, qms_access_bytes(secret->hash));
	qms_spi_run(&keep, &key);
	qms_param_int64(&params, device->device_id);
	qms_param_text(&params, secret->prefix);
	qms_param_time(&params, now);
	qms_spi_run(&mark, &params);
}

QMS_FUNCTION(pair_device, QMS_ACT_SIGN_IN, QMS_MUTATES)
{
	char		code[QMS_CODE_SIZE];
	char		prefix[QMS_PREFIX_LENGTH + 1] = "";
	bool		formed = qms_code_normalize(qms_arg_text(call, 0, "code"), code, prefix);
	QmsDevice	device = {0};
	QmsSecret	secret = {0};
	QmsJson		json;
	Datum		answer;

	check_limits(prefix);
	if (!formed || !find_by_code(call, code, prefix, &device))
		return answer_no_device(call);
	call->answer_organization = device.organization_id;
	qms_secret_make(call, QMS_DEVICE_KEY, &secret);
	store_pairing(&device, &secret, call->now);
	answer = qms_access_answer(call, "key", secret.text);
	qms_json_begin(&json);
	qms_json_text(&json, "prefix", secret.prefix);
	write_event(call, "device.paired", &device, qms_json_end(&json));
	return answer;
}

/* Whose key is this?  As with API keys. */
void
qms_device_authenticate(const char *text, TimestampTz now, QmsDevice *device)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT d.device_id, d.organization_id, d.branch_id, d.kind, s.key_hash FROM qms_internal.device_secret s "
								   "JOIN qms.device d ON d.device_id = s.device_id AND d.revoked_at IS NULL "
								   "JOIN qms.branch b ON b.branch_id = d.branch_id AND b.deleted_at IS NULL "
								   "JOIN qms.organization o ON o.organization_id = d.organization_id AND o.deleted_at IS NULL "
								   "WHERE s.prefix = $1", TEXTOID);
	static const uint8 nobody[QMS_HMAC_SIZE] = {0};
	char		prefix[QMS_PREFIX_LENGTH + 1] = "";
	uint8		hash[QMS_HMAC_SIZE];
	QmsParams	params = {0};
	bool		formed = qms_secret_prefix(QMS_DEVICE_KEY, text, prefix);
	bool		found;
	bool		isnull;
	Datum		stored = PointerGetDatum(qms_access_bytes(nobody));

	qms_secret_hash(text, hash);
	qms_param_text(&params, prefix);
	found = qms_spi_look(&plan, &params) > 0;
	if (found)
		stored = qms_spi_datum(0, 4, &isnull);
	if (!qms_access_same(stored, hash) || !found || !formed)
		qms_access_refuse("device key");
	device->device_id = qms_spi_int64(0, 0);
	device->organization_id = qms_spi_int64(0, 1);
	device->branch_id = qms_spi_int64(0, 2);
	device->kind = qms_spi_text(0, 3);
	qms_seen_note(QMS_SEEN_DEVICE, device->device_id, device->organization_id, now);
}
