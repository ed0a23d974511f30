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

/* The first key, when the first organization is set up. */
void
qms_token_ensure_key(void)
{
	qms_signing_key_ensure("ticket_token");
}

static void
compute_secret(const QmsSigningKey *key, int64 organization_id, int64 visit_id, int64 nonce, uint8 *out)
{
	uint64		message[3];
	uint8		digest[EVP_MAX_MD_SIZE];
	unsigned int size = sizeof(digest);

	message[0] = pg_hton64((uint64) organization_id);
	message[1] = pg_hton64((uint64) visit_id);
	message[2] = pg_hton64((uint64) nonce);
	if (HMAC(EVP_sha256(), key->secret, key->size, (const unsigned char *) message, sizeof(message),
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
	const QmsSigningKey *key = qms_signing_key_find("ticket_token", *kid);
	unsigned int length = 0;

	if (key == NULL)
		return false;
	*kid = key->kid;
	if (HMAC(EVP_sha256(), key->secret, key->size, message, size, digest, &length) == NULL || length != QMS_HMAC_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a hash")));
	return true;
}

int64
qms_token_new_nonce(void)
{
	static int64 drawn[32];		/* each system call is dear */
	static size_t left = 0;
	int64		nonce;

	if (left == 0)
	{
		qms_random(drawn, sizeof(drawn));
		left = lengthof(drawn);
	}
	nonce = drawn[--left];
	drawn[left] = 0;
	return nonce;
}

void
qms_token_make(QmsTicketToken *token, int64 organization_id, int64 visit_id, int64 nonce)
{
	const QmsSigningKey *key = qms_signing_key_current("ticket_token");
	uint8		secret[QMS_TOKEN_SECRET_SIZE];

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
	const QmsSigningKey *key;

	qms_types_token_unpack(token, &organization_id, &visit_id, &kid, &given);
	key = qms_signing_key_find("ticket_token", kid);
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
