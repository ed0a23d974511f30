/*
 * signing_keys.c
 *		What an administrator of the server does with signing keys, and the
 *		public ones for everybody.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* Of an algorithm, by name; that of the key that signs now for NULL. */
static QmsKeyAlgorithm
choose_algorithm(const QmsKeyPurpose *purpose, const char *name)
{
	const QmsSigningKey *present = qms_signing_key_find(purpose->name, 0);
	QmsKeyAlgorithm algorithm = present ? present->algorithm : purpose->first;
	StringInfoData known;
	int			i;

	if (name == NULL || (qms_key_algorithm_by_name(name, &algorithm) && qms_key_purpose_allows(purpose, algorithm)))
		return algorithm;
	initStringInfo(&known);
	for (i = 0; i < QMS_KEY_ALGORITHMS; i++)
	{
		if (qms_key_purpose_allows(purpose, i))
			appendStringInfo(&known, "%s%s", known.len > 0 ? ", " : "", qms_key_algorithm_name(i));
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("keys for \"%s\" cannot have the algorithm \"%s\"", purpose->name, name),
			 errdetail("Known for it: %s.", known.data),
			 errhint("Leave algorithm out to keep that of the present key.")));
}

static const QmsKeyPurpose *
purpose_argument(QmsCall *call, int n)
{
	char	   *name = qms_arg_text(call, n, "purpose");
	const QmsKeyPurpose *purpose = qms_key_purpose(name);

	if (purpose == NULL)
		qms_arg_choice_error("purpose of signing keys", name, qms_key_purpose_names());
	return purpose;
}

/* How long older keys stay good after the new one signs, in microseconds; -1: for ever. */
static int64
overlap_argument(QmsCall *call, int n, const QmsKeyPurpose *purpose)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	int64		overlap;

	if (PG_ARGISNULL(n))
		return strcmp(purpose->name, "jwt") == 0 ? (int64) qms_access_token_life() * USECS_PER_SEC + USECS_PER_HOUR : -1;
	overlap = qms_interval_usec(PG_GETARG_INTERVAL_P(n), "overlap");
	if (overlap < 0 || overlap > 3660 * USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("overlap must be between 0 and 3660 days"),
				 errdetail("For so long what the older keys signed is accepted after the new key has begun to sign."),
				 errhint("Give 0 to end the older keys at once.")));
	return overlap;
}

/*
 * What older keys signed counts until then, if it did so long.  Says in the
 * event of which keys that is news; false if there is none.
 */
static bool
expire_older(const char *purpose, int kid, TimestampTz at, QmsJson *json)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH older AS (UPDATE qms_internal.signing_key SET expires_at = $3 WHERE purpose = $1 AND kid <> $2 "
								   "AND (expires_at IS NULL OR expires_at > $3) RETURNING kid) SELECT kid FROM older ORDER BY kid",
								   TEXTOID, INT4OID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_text(&params, purpose);
	qms_param_int32(&params, kid);
	qms_param_time(&params, at);
	n = qms_spi_run_now(&plan, &params);
	if (n == 0)
		return false;
	qms_json_begin_array(json, "older_kids");
	for (i = 0; i < n; i++)
		qms_json_element_int64(json, qms_spi_int32(i, 0));
	qms_json_end_array(json);
	qms_json_time(json, "older_expire_at", at);
	return true;
}

/* The keys are those of all organizations: each has it in its log. */
static void
write_events(QmsCall *call, const QmsSigningKey *key, QmsJson *json)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT organization_id FROM qms.organization WHERE deleted_at IS NULL ORDER BY organization_id");
	QmsEvent	event = {.kind = "signing_key.rotated"};
	int64	   *organizations;
	uint64		n;
	uint64		i;

	qms_json_text(json, "purpose", key->purpose);
	qms_json_int64(json, "kid", key->kid);
	qms_json_text(json, "algorithm", qms_key_algorithm_name(key->algorithm));
	qms_json_time(json, "active_from", key->active_from);
	event.data = qms_json_end(json);
	n = qms_spi_look(&plan, NULL);
	organizations = palloc(sizeof(int64) * Max(n, 1));
	for (i = 0; i < n; i++)
		organizations[i] = qms_spi_int64(i, 0);
	for (i = 0; i < n; i++)
	{
		event.organization_id = organizations[i];
		(void) qms_event_write(call, &event);
	}
}

#define KEY_COLUMNS 7

static void
fill_row(const QmsSigningKey *key, Datum *values, bool *nulls)
{
	memset(nulls, 0, sizeof(bool) * KEY_COLUMNS);
	values[0] = CStringGetTextDatum(key->purpose);
	values[1] = Int32GetDatum(key->kid);
	values[2] = CStringGetTextDatum(qms_key_algorithm_name(key->algorithm));
	values[3] = TimestampTzGetDatum(key->active_from);
	nulls[3] = key->active_from == QMS_NO_TIME;
	values[4] = TimestampTzGetDatum(key->expires_at);
	nulls[4] = key->expires_at == QMS_NO_TIME;
	values[5] = BoolGetDatum(qms_signing_key_signs(key));
	values[6] = CStringGetTextDatum(qms_key_file_is_set() ? "file" : "table");
}

/*
 * Lock: set-up of organization 0, exclusive: two rotations at once would give
 * the same key id.
 */
QMS_FUNCTION(rotate_signing_key, QMS_ACT_INSTALL, QMS_MUTATES)
{
	const QmsKeyPurpose *purpose = purpose_argument(call, 0);
	char	   *algorithm_name = qms_arg_text_or_null(call, 1);
	int64		overlap = overlap_argument(call, 2, purpose);
	TimestampTz active_from = qms_arg_time(call, 3);
	TimestampTz older_until;
	QmsKeyAlgorithm algorithm;
	const QmsSigningKey *key;
	bool		are_older_news;
	QmsJson		json;
	Datum		values[KEY_COLUMNS];
	bool		nulls[KEY_COLUMNS];
	int			kid;

	qms_signing_key_check_table();
	qms_lock(QMS_LOCK_SETUP, 0, true);
	algorithm = choose_algorithm(purpose, algorithm_name);
	if (active_from == QMS_NO_TIME)
		active_from = call->now;
	kid = qms_signing_key_make(purpose->name, algorithm, active_from);
	older_until = Max(active_from, call->now) + overlap;
	qms_json_begin(&json);
	are_older_news = overlap >= 0 && expire_older(purpose->name, kid, older_until, &json);
	qms_json_bool(&json, "at_once", are_older_news && older_until <= call->now);
	key = qms_signing_key_find(purpose->name, kid);
	write_events(call, key, &json);
	/* Also where there is no organization yet. */
	ereport(LOG,
			(errmsg("qms: role \"%s\" made signing key %d for \"%s\", %s",
					call->who->role, kid, purpose->name, qms_key_algorithm_name(algorithm))));
	fill_row(key, values, nulls);
	return qms_answer_tuple(call, values, nulls);
}

QMS_FUNCTION(signing_keys, QMS_ACT_INSTALL, QMS_SETOF)
{
	const QmsSigningKey *key;
	int			i;

	for (i = 0; (key = qms_signing_key_at(i)) != NULL; i++)
	{
		Datum		values[KEY_COLUMNS];
		bool		nulls[KEY_COLUMNS];

		/* Those that seal personal data have functions of their own. */
		if (qms_key_purpose(key->purpose) == NULL)
			continue;
		fill_row(key, values, nulls);
		qms_answer_row(call, values, nulls);
	}
	return qms_answer_none(call);
}

/* ---- public keys ---- */

QMS_FUNCTION(jwks, QMS_ACT_PUBLIC, 0)
{
	const QmsKeyPurpose *purpose = purpose_argument(call, 0);
	MemoryContext old;
	QmsJson		json;
	Jsonb	   *set;
	const QmsSigningKey *key;
	int			i;

	qms_json_begin(&json);
	qms_json_begin_array(&json, "keys");
	for (i = 0; (key = qms_signing_key_at(i)) != NULL; i++)
	{
		if (strcmp(key->purpose, purpose->name) == 0 && qms_signing_key_is_live(key, call->now))
			qms_jwk_put(&json, key, psprintf("%d", key->kid));
	}
	qms_json_end_array(&json);
	set = qms_json_end(&json);
	old = MemoryContextSwitchTo(call->result_context);
	set = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(set));
	MemoryContextSwitchTo(old);
	PG_RETURN_JSONB_P(set);
}
