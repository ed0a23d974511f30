/*
 * rotate.c
 *		What an administrator of an organization does with the keys of access
 *		tokens, the public ones for everybody, and what an answer that is given
 *		again says of secrets.
 */
#include "entry/entry.h"

#include "utils/builtins.h"

#define MAX_OVERLAP (3660 * USECS_PER_DAY)

/* HS256, RS256 or ES256, by name; that of the key that signs now for NULL. */
static QmsKeyAlgorithm
choose_algorithm(const QmsAccessKeys *keys, const char *name, TimestampTz now)
{
	const QmsSigningKey *present = qms_access_key_signing(keys, now);
	QmsKeyAlgorithm algorithm = present ? present->algorithm : QMS_KEY_HS256;

	if (name != NULL && (!qms_key_algorithm_by_name(name, &algorithm) ||
						 (algorithm != QMS_KEY_HS256 && algorithm != QMS_KEY_RS256 && algorithm != QMS_KEY_ES256)))
		qms_arg_choice_error("algorithm", name, "HS256, RS256 and ES256");
	return algorithm;
}

/* How long what older keys signed is accepted after the new key has begun to sign. */
static int64
overlap_argument(QmsCall *call, int n)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	int64		overlap = PG_ARGISNULL(n) ? 0 : qms_interval_usec(PG_GETARG_INTERVAL_P(n), "overlap");

	if (overlap < 0 || overlap > MAX_OVERLAP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("overlap must be between 0 and 3660 days"),
				 errdetail("For so long what the older keys signed is accepted after the new key has begun to sign."),
				 errhint("Give 0 to end the older keys at once.")));
	return overlap;
}

/* The whole organization, for those who administer all of it. */
static void
check_organization(QmsCall *call, int64 organization_id)
{
	QmsObject	object = {.what = "organization", .id = organization_id, .organization_id = organization_id};

	qms_gate_administers(call, &object);
	if (qms_access_keys_of(organization_id)->slug == NULL)
		qms_not_found("organization", organization_id);
}

enum
{
	K_kid, K_algorithm, K_active_from, K_expires_at, K_signs, K_public_key, K_COLUMNS,
	K_secret = K_COLUMNS, K_previous_expire_at, K_ISSUED_COLUMNS
};

static void
set_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
fill_row(const QmsAccessKeys *keys, const QmsSigningKey *key, TimestampTz now, Datum *values, bool *nulls)
{
	set_text(values, nulls, K_kid, qms_access_kid(keys->organization_id, key));
	set_text(values, nulls, K_algorithm, qms_key_algorithm_name(key->algorithm));
	nulls[K_active_from] = key->active_from == QMS_NO_TIME;
	values[K_active_from] = TimestampTzGetDatum(key->active_from);
	nulls[K_expires_at] = key->expires_at == QMS_NO_TIME;
	values[K_expires_at] = TimestampTzGetDatum(key->expires_at);
	nulls[K_signs] = false;
	values[K_signs] = BoolGetDatum(qms_access_key_signing(keys, now) == key);
	set_text(values, nulls, K_public_key, qms_jwk_pem(key));
}

/* Lock: set-up of the organization, exclusive: two rotations at once would give the same number. */
QMS_FUNCTION(rotate_access_key, QMS_ACT_SETUP, QMS_MUTATES)
{
	int64		organization_id = qms_arg_id(call, 0, "organization_id");
	char	   *algorithm_name = qms_arg_text_or_null(call, 1);
	int64		overlap = overlap_argument(call, 2);
	TimestampTz active_from = qms_arg_time(call, 3);
	TimestampTz end;
	const QmsAccessKeys *keys;
	const QmsSigningKey *key;
	QmsKeyAlgorithm algorithm;
	Datum		values[K_ISSUED_COLUMNS];
	bool		nulls[K_ISSUED_COLUMNS];
	int			number;

	check_organization(call, organization_id);
	qms_lock(QMS_LOCK_SETUP, organization_id, true);
	algorithm = choose_algorithm(qms_access_keys_of(organization_id), algorithm_name, call->now);
	if (active_from == QMS_NO_TIME || active_from < call->now)
		active_from = call->now;
	end = active_from + overlap;
	number = qms_access_key_make(call, organization_id, algorithm, active_from, "rotated", end);
	keys = qms_access_keys_of(organization_id);
	key = qms_access_key_named(organization_id, number, call->now);
	if (key == NULL)
		qms_not_found("organization", organization_id);
	fill_row(keys, key, call->now, values, nulls);
	set_text(values, nulls, K_secret, qms_access_key_secret(key));
	nulls[K_previous_expire_at] = number == 1;
	values[K_previous_expire_at] = TimestampTzGetDatum(end);
	return qms_answer_tuple(call, values, nulls);
}

QMS_FUNCTION(access_keys, QMS_ACT_SETUP, QMS_SETOF)
{
	int64		organization_id = qms_arg_id(call, 0, "organization_id");
	const QmsAccessKeys *keys;
	int			i;

	check_organization(call, organization_id);
	keys = qms_access_keys_of(organization_id);
	for (i = 0; i < keys->n; i++)
	{
		Datum		values[K_COLUMNS];
		bool		nulls[K_COLUMNS];

		fill_row(keys, &keys->keys[i], call->now, values, nulls);
		qms_answer_row(call, values, nulls);
	}
	return qms_answer_none(call);
}

/* The organization of that name in URLs; 0 if there is none. */
static int64
organization_of_slug(const char *slug)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT organization_id FROM qms.organization WHERE slug = $1 AND deleted_at IS NULL", TEXTOID);
	QmsParams	params = {0};

	qms_param_text(&params, slug);
	return qms_spi_look(&plan, &params) == 0 ? 0 : qms_spi_int64(0, 0);
}

static pg_attribute_noreturn() void
no_organization(const char *slug)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_NOT_FOUND),
			 errmsg("organization \"%s\" does not exist", slug),
			 errdetail("It was never there, has been deleted, or is not that of the caller."),
			 errhint("Look for its slug in qms.organizations.")));
}

QMS_FUNCTION(access_jwks, QMS_ACT_PUBLIC, 0)
{
	char	   *slug = qms_arg_text(call, 0, "organization_slug");
	int64		organization_id = organization_of_slug(slug);
	const QmsAccessKeys *keys;
	MemoryContext old;
	QmsJson		json;
	Jsonb	   *set;
	int			i;

	if (organization_id == 0 ||
		(call->who->kind != QMS_SUPERUSER && call->who->organization_id != 0 && call->who->organization_id != organization_id))
		no_organization(slug);
	keys = qms_access_keys_of(organization_id);
	qms_json_begin(&json);
	qms_json_begin_array(&json, "keys");
	for (i = 0; i < keys->n; i++)
	{
		if (qms_signing_key_is_live(&keys->keys[i], call->now))
			qms_jwk_put(&json, &keys->keys[i], qms_access_kid(organization_id, &keys->keys[i]));
	}
	qms_json_end_array(&json);
	set = qms_json_end(&json);
	old = MemoryContextSwitchTo(call->result_context);
	set = (Jsonb *) PG_DETOAST_DATUM_COPY(JsonbPGetDatum(set));
	MemoryContextSwitchTo(old);
	PG_RETURN_JSONB_P(set);
}

/* ---- answers that are given again ---- */

/* What was in that column of an answer, which is not kept; NULL if it is there no more. */
static char *
make_again(QmsCall *call, const char *column, const Datum *values, const bool *nulls)
{
	int			kid_column = qms_answer_column(call, "kid");
	int			ticket = qms_answer_column(call, "ticket_id");
	int			expires = qms_answer_column(call, "expires_at");
	const QmsSigningKey *key;
	int64		organization_id;
	int			number;

	if (strcmp(column, "access_token") == 0)
		return ticket < 0 || expires < 0 || nulls[ticket] || nulls[expires] ? NULL :
			qms_claim_again(call, DatumGetInt64(values[ticket]), DatumGetTimestampTz(values[expires]));
	if (kid_column < 0 || nulls[kid_column] ||
		!qms_access_kid_parse(TextDatumGetCString(values[kid_column]), &organization_id, &number))
		return NULL;
	key = qms_access_key_named(organization_id, number, call->now);
	return key ? qms_access_key_secret(key) : NULL;
}

void
qms_entry_init(void)
{
	qms_request_make_again = make_again;
}
