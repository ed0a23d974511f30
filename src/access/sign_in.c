/*
 * sign_in.c
 *		What logins, passwords and one-time codes share: the organization that is
 *		meant, secrets and their hashes, limits, the status in HTTP.
 */
#include "access/access.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define OPAQUE_SIZE 32
#define HASH_SIZE 32
#define HTTP_UNAUTHORIZED 401
#define HTTP_FORBIDDEN 403
#define HTTP_TOO_MANY 429

static int	access_token_life = SECS_PER_DAY;
static int	refresh_token_life = 7 * SECS_PER_DAY;

void
qms_sign_in_init(void)
{
	DefineCustomIntVariable("qms.access_token_life",
							"How long an access token of a login is valid.", NULL,
							&access_token_life, SECS_PER_DAY, SECS_PER_MINUTE, 7 * SECS_PER_DAY,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("qms.refresh_token_life",
							"How long a login lasts that is not refreshed.", NULL,
							&refresh_token_life, 7 * SECS_PER_DAY, SECS_PER_MINUTE, 366 * SECS_PER_DAY,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	qms_bcrypt_define_settings();
	qms_password_define_settings();
}

int
qms_access_token_life(void)
{
	return access_token_life;
}

int
qms_refresh_token_life(void)
{
	return refresh_token_life;
}

/*
 * The organization that somebody signs in to; 0 if there is none of that slug,
 * and the caller goes on as if there were: nobody learns which exist.  Without a
 * slug it is the caller's own, or the only one of the database.
 */
int64
qms_sign_in_organization(QmsCall *call, const char *slug)
{
	static QmsPlan by_slug = QMS_PLAN(
									  "SELECT organization_id FROM qms.organization WHERE slug = $1 AND deleted_at IS NULL", TEXTOID);
	static QmsPlan all = QMS_PLAN_NOARGS(
										 "SELECT organization_id FROM qms.organization WHERE deleted_at IS NULL LIMIT 2");
	int64		own = call->who->organization_id;
	QmsParams	params = {0};
	uint64		n;

	if (slug != NULL)
	{
		int64		found;

		qms_param_text(&params, slug);
		found = qms_spi_look(&by_slug, &params) > 0 ? qms_spi_int64(0, 0) : 0;
		/* Whoever belongs to one signs in there; others are not there for him. */
		return own == 0 || own == found ? found : 0;
	}
	if (own != 0)
		return own;
	n = qms_spi_look(&all, NULL);
	if (n > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("organization_slug must be given"),
				 errdetail("The database has several organizations, and the caller belongs to none."),
				 errhint("Give organization_slug => the slug of the organization.")));
	return n == 1 ? qms_spi_int64(0, 0) : 0;
}

/*
 * For PostgREST: the status of an answer that says no.  The answer is no error,
 * because an error would undo what is counted.
 */
void
qms_sign_in_status(const char *error, int32 retry_after)
{
	int			status = HTTP_UNAUTHORIZED;

	if (strcmp(error, QMS_TOO_MANY_ATTEMPTS) == 0)
		status = HTTP_TOO_MANY;
	else if (strcmp(error, QMS_ACCOUNT_DISABLED) == 0)
		status = HTTP_FORBIDDEN;
	(void) set_config_option("response.status", psprintf("%d", status), PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	if (retry_after > 0)
		(void) set_config_option("response.headers", psprintf("[{\"Retry-After\": \"%d\"}]", retry_after),
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * The limits of how often somebody may try, from an address and as somebody
 * (NULL: nobody in particular).  Taken first, because what is taken there stays
 * taken, also when the caller rolls back.  Who acts directly is not limited.
 */
bool
qms_sign_in_limited(QmsSignInKind kind, int64 organization_id, const bytea *who, int32 *retry_after)
{
	QmsLimitKind limit = kind == QMS_BY_PASSWORD ? QMS_LIMIT_LOGIN : QMS_LIMIT_OTP;
	int64		usec;
	char	   *key;

	*retry_after = 0;
	if (qms_principal_current()->kind == QMS_SUPERUSER)
		return false;
	if (qms_limit_take_address(limit, organization_id, &usec))
	{
		if (who == NULL)
			return false;
		key = palloc0(2 * VARSIZE_ANY_EXHDR(who) + 1);
		hex_encode(VARDATA_ANY(who), VARSIZE_ANY_EXHDR(who), key);
		if (qms_limit_take(limit, organization_id, psprintf("who:%s", key), &usec))
			return false;
	}
	*retry_after = (int32) Min((usec + USECS_PER_SEC - 1) / USECS_PER_SEC, PG_INT32_MAX);
	return true;
}

/* A row of a value, or why there is none, and when to come again. */
Datum
qms_sign_in_answer(QmsCall *call, Datum value, const char *error, int32 retry_after)
{
	Datum		values[3] = {0};
	bool		nulls[3];

	nulls[0] = error != NULL;
	nulls[1] = error == NULL;
	nulls[2] = error == NULL || retry_after == 0;
	if (error != NULL)
	{
		qms_sign_in_status(error, retry_after);
		values[1] = CStringGetTextDatum(error);
		values[2] = Int32GetDatum(retry_after);
	}
	else
		values[0] = value;
	return qms_answer_tuple(call, values, nulls);
}

/* The address of who signs in; NULL: not known. */
const char *
qms_sign_in_address(void)
{
	return qms_client_address();
}

/* Whole seconds, at least 1 while it is not there. */
int32
qms_seconds_until(TimestampTz until, TimestampTz now)
{
	if (until == QMS_NO_TIME || until <= now)
		return 0;
	return (int32) Min((until - now + USECS_PER_SEC - 1) / USECS_PER_SEC, PG_INT32_MAX);
}

/* ---- secrets ---- */

/* A secret that says nothing: 256 random bits, as 43 characters. */
char *
qms_opaque_new(void)
{
	uint8		bytes[OPAQUE_SIZE];

	qms_random(bytes, sizeof(bytes));
	return qms_base64url_encode(bytes, sizeof(bytes));
}

static bytea *
new_hash(void)
{
	bytea	   *hash = palloc0(VARHDRSZ + HASH_SIZE);

	SET_VARSIZE(hash, VARHDRSZ + HASH_SIZE);
	return hash;
}

static pg_attribute_noreturn() void
no_hash(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("could not compute a hash")));
}

/*
 * What is stored of such a secret: its SHA-256.  256 random bits cannot be
 * guessed, so nothing slower is needed, and the database may look for it by
 * index: how far a comparison went tells nothing about the secret.
 * NULL for a text that is none.
 */
bytea *
qms_opaque_hash(const char *token)
{
	bytea	   *hash;
	int			size;
	unsigned int length = 0;
	uint8	   *bytes = strlen(token) > OPAQUE_SIZE * 2 ? NULL : qms_base64url_decode(token, strlen(token), &size);

	if (bytes == NULL || size != OPAQUE_SIZE)
		return NULL;
	hash = new_hash();
	if (EVP_Digest(bytes, size, (unsigned char *) VARDATA(hash), &length, EVP_sha256(), NULL) != 1 || length != HASH_SIZE)
		no_hash();
	return hash;
}

/*
 * HMAC-SHA256, with a key of the server, of what few bits are in: user names,
 * contacts, codes.  Lengths stand before the texts, so that no two of them read
 * the same.
 */
bytea *
qms_keyed_hash(const QmsSigningKey *key, const char *what, int64 organization_id, const char *text, const char *more)
{
	bytea	   *hash = new_hash();
	unsigned int length = 0;
	char	   *message = psprintf("%s:%lld:%zu:%s:%s", what, (long long) organization_id, strlen(text), text, more);

	if (HMAC(EVP_sha256(), key->secret, key->size, (const unsigned char *) message, strlen(message),
			 (unsigned char *) VARDATA(hash), &length) == NULL || length != HASH_SIZE)
		no_hash();
	return hash;
}

/* In constant time. */
bool
qms_hash_equal(const bytea *a, const bytea *b)
{
	return VARSIZE_ANY_EXHDR(a) == HASH_SIZE && VARSIZE_ANY_EXHDR(b) == HASH_SIZE &&
		CRYPTO_memcmp(VARDATA_ANY(a), VARDATA_ANY(b), HASH_SIZE) == 0;
}
