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

/* What older keys signed counts until then, if it did so long. */
static void
expire_older(const char *purpose, int kid, TimestampTz at)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.signing_key SET expires_at = $3 WHERE purpose = $1 AND kid <> $2 "
								   "AND (expires_at IS NULL OR expires_at > $3)", TEXTOID, INT4OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_text(&params, purpose);
	qms_param_int32(&params, kid);
	qms_param_time(&params, at);
	qms_spi_run_now(&plan, &params);
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
	QmsKeyAlgorithm algorithm;
	Datum		values[KEY_COLUMNS];
	bool		nulls[KEY_COLUMNS];
	int			kid;

	qms_signing_key_check_table();
	qms_lock(QMS_LOCK_SETUP, 0, true);
	algorithm = choose_algorithm(purpose, algorithm_name);
	if (active_from == QMS_NO_TIME)
		active_from = call->now;
	kid = qms_signing_key_make(purpose->name, algorithm, active_from);
	if (overlap >= 0)
		expire_older(purpose->name, kid, Max(active_from, call->now) + overlap);
	/* There is no organization to write an event for. */
	ereport(LOG,
			(errmsg("qms: role \"%s\" made signing key %d for \"%s\", %s",
					call->who->role, kid, purpose->name, qms_key_algorithm_name(algorithm))));
	fill_row(qms_signing_key_find(purpose->name, kid), values, nulls);
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
