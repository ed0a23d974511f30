/*
 * token.c
 *		Ticket tokens: made and checked with a key of the server.
 *
 * The secret is HMAC-SHA256(key, organization, visit, nonce), cut to 128 bits.
 * The nonce is stored with the ticket, the token is not, so a repeated request
 * answers the same token and a dump of the tickets alone gives none away.
 * RFC 2104; truncation as in RFC 2104 section 5.
 */
#include "auth/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define KEY_SIZE 32
#define MAX_KEYS 16

typedef struct TokenKey
{
	int			kid;
	TimestampTz active_from;
	TimestampTz expires_at;
	uint8		secret[KEY_SIZE];
} TokenKey;

static TokenKey keys[MAX_KEYS];
static int	nkeys = 0;
static uint64 keys_generation = 0;	/* of the configuration they were read in */

static void
read_keys(void)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT kid, secret, expires_at, active_from FROM qms_internal.signing_key "
								   "WHERE purpose = 'ticket_token' AND (expires_at IS NULL OR expires_at > $1) "
								   "ORDER BY active_from DESC, kid DESC LIMIT 16",
								   TIMESTAMPTZOID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_time(&params, qms_clock_now());
	/* As of now also in REPEATABLE READ: what is found is remembered beyond this transaction. */
	n = qms_spi_look(&plan, &params);
	nkeys = 0;
	for (i = 0; i < n; i++)
	{
		TokenKey   *key = &keys[nkeys];
		bool		isnull;
		bytea	   *secret = DatumGetByteaPP(qms_spi_datum(i, 1, &isnull));

		if (VARSIZE_ANY_EXHDR(secret) != KEY_SIZE)
			continue;
		key->kid = qms_spi_int32(i, 0);
		memcpy(key->secret, VARDATA_ANY(secret), KEY_SIZE);
		key->expires_at = qms_spi_time(i, 2);
		key->active_from = qms_spi_time(i, 3);
		nkeys++;
	}
	keys_generation = qms_inval_generation();
}

/* The key of that id, or the signing one for id 0; NULL if there is none that has not expired. */
static const TokenKey *
find_key(int kid)
{
	TimestampTz now = qms_clock_now();
	int			i;

	if (keys_generation != qms_inval_generation())
		read_keys();
	for (i = 0; i < nkeys; i++)
	{
		if (keys[i].expires_at != QMS_NO_TIME && keys[i].expires_at <= now)
			continue;
		/* The newest that is active already signs; the list begins with the newest. */
		if (kid == 0 ? keys[i].active_from <= now : keys[i].kid == kid)
			return &keys[i];
	}
	return NULL;
}

/*
 * Make the first key, when the first organization is set up, or another one when
 * all have expired.  It has been active ever since: a clock that steps back must not leave us without a key.
 *
 * Lock: set-up, exclusive, so that two sessions do not both make key 1.
 */
void
qms_token_ensure_key(void)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.signing_key (purpose, kid, algorithm, secret, active_from) "
								   "SELECT 'ticket_token', coalesce(pg_catalog.max(kid), 0) + 1, 'HMAC-SHA256', $1, '-infinity' "
								   "FROM qms_internal.signing_key WHERE purpose = 'ticket_token'", BYTEAOID);
	QmsParams	params = {0};
	bytea	   *secret;

	qms_lock(QMS_LOCK_SETUP, 0, true);
	read_keys();
	if (find_key(0) != NULL)
		return;
	secret = palloc(VARHDRSZ + KEY_SIZE);
	SET_VARSIZE(secret, VARHDRSZ + KEY_SIZE);
	if (!pg_strong_random(VARDATA(secret), KEY_SIZE))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random key")));
	qms_param_pointer(&params, secret);
	qms_spi_run(&plan, &params);
	read_keys();
}

static void
compute_secret(const TokenKey *key, int64 organization_id, int64 visit_id, int64 nonce, uint8 *out)
{
	uint64		message[3];
	uint8		digest[EVP_MAX_MD_SIZE];
	unsigned int size = sizeof(digest);

	message[0] = pg_hton64((uint64) organization_id);
	message[1] = pg_hton64((uint64) visit_id);
	message[2] = pg_hton64((uint64) nonce);
	if (HMAC(EVP_sha256(), key->secret, KEY_SIZE, (const unsigned char *) message, sizeof(message),
			 digest, &size) == NULL || size < QMS_TOKEN_SECRET_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a ticket token")));
	memcpy(out, digest, QMS_TOKEN_SECRET_SIZE);
}

/*
 * HMAC-SHA256 of a message that is no ticket's: those are 24 bytes, of which the
 * first is 0, and messages are texts.
 */
bool
qms_token_hmac(int *kid, const void *message, size_t size, uint8 *digest)
{
	const TokenKey *key = find_key(*kid);
	unsigned int length = 0;

	if (key == NULL)
		return false;
	*kid = key->kid;
	if (HMAC(EVP_sha256(), key->secret, KEY_SIZE, message, size, digest, &length) == NULL || length != QMS_HMAC_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a hash")));
	return true;
}

int64
qms_token_new_nonce(void)
{
	int64		nonce;

	if (!pg_strong_random(&nonce, sizeof(nonce)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random number")));
	return nonce;
}

void
qms_token_make(QmsTicketToken *token, int64 organization_id, int64 visit_id, int64 nonce)
{
	const TokenKey *key = find_key(0);
	uint8		secret[QMS_TOKEN_SECRET_SIZE];

	if (key == NULL)
	{
		qms_token_ensure_key();
		key = find_key(0);
	}
	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("there is no key to make ticket tokens with"),
				 errhint("Check active_from and expires_at in qms_internal.signing_key.")));
	compute_secret(key, organization_id, visit_id, nonce, secret);
	qms_types_token_pack(token, organization_id, visit_id, key->kid, secret);
}

/* Is this the token of that visit?  In constant time. */
bool
qms_token_check(const QmsTicketToken *token, int64 nonce)
{
	int64		organization_id;
	int64		visit_id;
	int			kid;
	const uint8 *given;
	uint8		secret[QMS_TOKEN_SECRET_SIZE];
	const TokenKey *key;

	qms_types_token_unpack(token, &organization_id, &visit_id, &kid, &given);
	key = find_key(kid);
	if (key == NULL)
		return false;
	compute_secret(key, organization_id, visit_id, nonce, secret);
	return CRYPTO_memcmp(secret, given, sizeof(secret)) == 0;
}

/* One error for every reason, so that nobody learns which visits exist. */
void
qms_token_refuse(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_INVALID_TOKEN),
			 errmsg("ticket token is not valid"),
			 errdetail("No ticket belongs to this token, or its key has expired."),
			 errhint("Use the token that join_queue answered.")));
}

/*
 * The nonce of a visit: of its first ticket, which has the visit's id, live or
 * past.  Mostly it is live; if not, one statement looks everywhere, or a ticket
 * that comes back from the past meanwhile would be in neither place.
 */
bool
qms_token_nonce_of_visit(int64 visit_id, int64 *nonce)
{
	static QmsPlan live = QMS_PLAN("SELECT token_nonce FROM qms.ticket WHERE ticket_id = $1", INT8OID);
	static QmsPlan anywhere = QMS_PLAN(
									   "SELECT token_nonce FROM qms.ticket WHERE ticket_id = $1 UNION ALL "
									   "SELECT token_nonce FROM qms.ticket_history WHERE ticket_id = $1 UNION ALL "
									   "SELECT token_nonce FROM qms.visit WHERE visit_id = $1 LIMIT 1", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, visit_id);
	/* A repeated request may be answered by what was committed after our transaction began. */
	if (qms_spi_look(&live, &params) == 0 && qms_spi_look(&anywhere, &params) == 0)
		return false;
	*nonce = qms_spi_int64(0, 0);
	return true;
}
