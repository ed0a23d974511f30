/*
 * jwt.c
 *		JSON Web Tokens (RFC 7515, 7518, 7519), made and checked; with strict.c
 *		for what is read in them.
 *
 * The key's row, found by the purpose of the check and the token's kid, says
 * which algorithm it is used with.  The token's own alg must agree with it and
 * decides nothing.  HS256, RS256 and ES256, on OpenSSL's EVP; "none" is no
 * algorithm of any key.  Only what we make is accepted: a header of alg, typ and
 * kid and nothing else, each name once, at every depth.
 */
#include "auth/auth.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

const char	qms_jwt_expired[] = "it has expired";

#define LEEWAY 30				/* seconds between two clocks */
#define COORDINATE_SIZE 32
#define MAX_SIGNATURE_SIZE 1024 /* RSA of 8192 bits */

/* ---- signatures ---- */

/* r and s, 32 bytes each, to what OpenSSL reads; the length, or -1. */
static int
raw_to_der(const uint8 *raw, unsigned char **der)
{
	ECDSA_SIG  *sig = ECDSA_SIG_new();
	BIGNUM	   *r = BN_bin2bn(raw, COORDINATE_SIZE, NULL);
	BIGNUM	   *s = BN_bin2bn(raw + COORDINATE_SIZE, COORDINATE_SIZE, NULL);
	int			length = -1;

	if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1)
	{
		r = s = NULL;			/* they are sig's now */
		length = i2d_ECDSA_SIG(sig, der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return length;
}

/* ... and back; false if it is no signature. */
static bool
der_to_raw(const unsigned char *der, size_t length, uint8 *raw)
{
	ECDSA_SIG  *sig = d2i_ECDSA_SIG(NULL, &der, (long) length);
	const BIGNUM *r;
	const BIGNUM *s;
	bool		ok = false;

	if (sig != NULL)
	{
		ECDSA_SIG_get0(sig, &r, &s);
		ok = BN_bn2binpad(r, raw, COORDINATE_SIZE) == COORDINATE_SIZE &&
			BN_bn2binpad(s, raw + COORDINATE_SIZE, COORDINATE_SIZE) == COORDINATE_SIZE;
	}
	ECDSA_SIG_free(sig);
	return ok;
}

/* HMAC-SHA256 of a text; 32 bytes. */
static bool
hmac(const QmsSigningKey *key, const char *text, size_t length, uint8 *out)
{
	unsigned int size = 0;

	return HMAC(EVP_sha256(), key->secret, key->size, (const unsigned char *) text, length, out, &size) != NULL &&
		size == QMS_SYMMETRIC_KEY_SIZE;
}

/* Sign a text: the length of the signature, or 0. */
static size_t
sign_text(const QmsSigningKey *key, const char *text, size_t length, uint8 *signature)
{
	EVP_PKEY   *pkey;
	EVP_MD_CTX *ctx;
	unsigned char made[MAX_SIGNATURE_SIZE];
	size_t		size = sizeof(made);
	bool		ok;

	if (key->algorithm == QMS_KEY_HS256)
		return hmac(key, text, length, signature) ? QMS_SYMMETRIC_KEY_SIZE : 0;
	pkey = qms_signing_key_pkey(key);
	ctx = EVP_MD_CTX_new();
	ok = pkey != NULL && ctx != NULL && EVP_PKEY_size(pkey) <= (int) sizeof(made) &&
		EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
		EVP_DigestSign(ctx, made, &size, (const unsigned char *) text, length) == 1;
	EVP_MD_CTX_free(ctx);
	if (ok && key->algorithm == QMS_KEY_ES256)
	{
		ok = der_to_raw(made, size, signature);
		size = 2 * COORDINATE_SIZE;
	}
	else if (ok)
		memcpy(signature, made, size);
	ERR_clear_error();
	return ok ? size : 0;
}

static bool
check_signature(const QmsSigningKey *key, const char *text, size_t length, const uint8 *signature, int size)
{
	uint8		expected[EVP_MAX_MD_SIZE];
	EVP_PKEY   *pkey;
	EVP_MD_CTX *ctx;
	unsigned char *der = NULL;
	bool		ok;

	if (key->algorithm == QMS_KEY_HS256)
		return size == QMS_SYMMETRIC_KEY_SIZE && hmac(key, text, length, expected) &&
			CRYPTO_memcmp(expected, signature, size) == 0;
	pkey = qms_signing_key_pkey(key);
	if (pkey == NULL || size != (key->algorithm == QMS_KEY_ES256 ? 2 * COORDINATE_SIZE : EVP_PKEY_size(pkey)))
		return false;
	if (key->algorithm == QMS_KEY_ES256)
		size = raw_to_der(signature, &der);
	ctx = EVP_MD_CTX_new();
	ok = size > 0 && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
		EVP_DigestVerify(ctx, der ? der : signature, size, (const unsigned char *) text, length) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	ERR_clear_error();
	return ok;
}

/* ---- making ---- */

static bool
is_jwt_algorithm(QmsKeyAlgorithm algorithm)
{
	return algorithm == QMS_KEY_HS256 || algorithm == QMS_KEY_RS256 || algorithm == QMS_KEY_ES256;
}

/* A token of these claims, signed with that key, which the header calls so. */
char *
qms_jwt_sign_with(const QmsSigningKey *key, const char *kid, const Jsonb *claims)
{
	Jsonb	   *readable = unconstify(Jsonb *, claims);
	char	   *header;
	char	   *payload = JsonbToCString(NULL, &readable->root, VARSIZE(readable));
	char	   *signed_text;
	uint8		signature[MAX_SIGNATURE_SIZE];
	size_t		size = 0;

	header = psprintf("{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\"}", qms_key_algorithm_name(key->algorithm), kid);
	payload = pg_server_to_any(payload, strlen(payload), PG_UTF8);
	signed_text = psprintf("%s.%s", qms_base64url_encode((uint8 *) header, strlen(header)),
						   qms_base64url_encode((uint8 *) payload, strlen(payload)));
	if (is_jwt_algorithm(key->algorithm))
		size = sign_text(key, signed_text, strlen(signed_text), signature);
	if (size == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not sign a token with key %s of \"%s\"", kid, key->purpose),
				 errhint("Check the key in the tables of schema qms_internal, or in the file that qms.signing_key_file names.")));
	if (strlen(signed_text) + 1 + (size * 4 + 2) / 3 > QMS_JWT_MAX_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_TOO_LARGE),
				 errmsg("the claims of a token are too large"),
				 errdetail("A token may have %d characters.", QMS_JWT_MAX_SIZE),
				 errhint("Keep what is large in a table, and put its id into the claims.")));
	return psprintf("%s.%s", signed_text, qms_base64url_encode(signature, size));
}

/*
 * A token of these claims, signed with the present key of a purpose, which is
 * made if there is none.  Needs SPI.
 */
char *
qms_jwt_sign(const char *purpose, Jsonb *claims)
{
	const QmsSigningKey *key = qms_signing_key_current(purpose);

	return qms_jwt_sign_with(key, psprintf("%d", key->kid), claims);
}

/* ---- checking ---- */

/* The three parts of a token. */
typedef struct Parts
{
	const char *header;
	int			header_length;
	const char *payload;
	int			payload_length;
	const char *signature;
	int			signature_length;
} Parts;

static bool
split(const char *token, Parts *parts)
{
	const char *first = strchr(token, '.');
	const char *second = first ? strchr(first + 1, '.') : NULL;

	if (second == NULL || strchr(second + 1, '.') != NULL)
		return false;
	parts->header = token;
	parts->header_length = first - token;
	parts->payload = first + 1;
	parts->payload_length = second - first - 1;
	parts->signature = second + 1;
	parts->signature_length = strlen(second + 1);
	return parts->header_length > 0 && parts->payload_length > 0 && parts->signature_length > 0;
}

static Jsonb *
read_part(const char *text, int length, const char **why)
{
	int			size;
	uint8	   *bytes = qms_base64url_decode(text, length, &size);

	if (bytes == NULL)
	{
		*why = "it is not base64url without padding";
		return NULL;
	}
	return qms_strict_json((char *) bytes, size, why);
}

/* The key of a purpose that a kid names, as we write it; NULL if there is none that counts. */
static const QmsSigningKey *
find_of_purpose(void *purpose, const char *kid)
{
	size_t		length = strlen(kid);

	if (length < 1 || length > 5 || kid[0] == '0' || strspn(kid, "0123456789") != length)
		return NULL;
	return qms_signing_key_find(purpose, atoi(kid));
}

/* The key that the header names; NULL, and what is wrong, if the header is not one of ours. */
static const QmsSigningKey *
key_of_header(const Jsonb *header, QmsJwtFind find, void *arg, QmsJwtFault *fault, const char **why)
{
	char	   *alg = qms_jsonb_text(header, "alg");
	char	   *typ = qms_jsonb_text(header, "typ");
	char	   *kid = qms_jsonb_text(header, "kid");
	const QmsSigningKey *key;

	*fault = QMS_JWT_MALFORMED;
	*why = NULL;
	if (qms_jsonb_has(header, "crit"))
		*why = "its header has a critical extension";
	else if (JB_ROOT_COUNT(header) != 3 || alg == NULL || typ == NULL || !qms_jsonb_has(header, "kid"))
		*why = "its header is not alg, typ and kid";
	else if (strcmp(typ, "JWT") != 0)
		*why = "its typ is not JWT";
	if (*why != NULL)
		return NULL;
	*fault = QMS_JWT_UNKNOWN_KEY;
	key = kid == NULL ? NULL : find(arg, kid);
	if (key == NULL)
		*why = "its key is not known, or has expired";
	else if (!is_jwt_algorithm(key->algorithm) || strcmp(alg, qms_key_algorithm_name(key->algorithm)) != 0)
	{
		*fault = QMS_JWT_BAD_SIGNATURE;
		*why = "its algorithm is not that of its key";
	}
	else if (key->active_from > qms_clock_now() + LEEWAY * USECS_PER_SEC)
		*why = "its key does not sign yet";
	return *why == NULL ? key : NULL;
}

/* A moment among the claims, in seconds since 1970; false if it is something else than a number. */
static bool
read_moment(const Jsonb *claims, const char *name, int64 if_missing, int64 *seconds)
{
	*seconds = if_missing;
	return !qms_jsonb_has(claims, name) || qms_jsonb_int64(claims, name, seconds);
}

/* Do the claims hold now?  NULL if so, else why not. */
static const char *
fault_of_claims(const Jsonb *claims)
{
	int64		now = qms_unix_seconds(qms_clock_now());
	int64		exp;
	int64		nbf;
	int64		iat;

	if (!read_moment(claims, "exp", 0, &exp) || !read_moment(claims, "nbf", now, &nbf) ||
		!read_moment(claims, "iat", now, &iat))
		return "exp, nbf or iat is not a number";
	if (!qms_jsonb_has(claims, "exp"))
		return "it does not say when it expires";
	if (qms_jsonb_has(claims, "aud"))
		return "it is for another audience";
	if (exp <= now - LEEWAY)
		return qms_jwt_expired;
	if (nbf > now + LEEWAY || iat > now + LEEWAY)
		return "it is not valid yet";
	return NULL;
}

/*
 * The claims of a token that was signed with a key that "find" knows, whatever
 * they say of time and audience; else NULL, and what is wrong with it.  Whatever
 * the token is, there is no error.  Needs SPI.
 */
Jsonb *
qms_jwt_read(const char *token, QmsJwtFind find, void *arg, QmsJwtFault *fault, const char **why)
{
	Parts		parts;
	Jsonb	   *header;
	const QmsSigningKey *key;
	uint8	   *signature;
	int			size;

	*fault = QMS_JWT_MALFORMED;
	if (strlen(token) > QMS_JWT_MAX_SIZE)
	{
		*why = "it is too large";
		return NULL;
	}
	if (!split(token, &parts))
	{
		*why = "it does not have three parts";
		return NULL;
	}
	header = read_part(parts.header, parts.header_length, why);
	key = header ? key_of_header(header, find, arg, fault, why) : NULL;
	if (key == NULL)
		return NULL;
	signature = qms_base64url_decode(parts.signature, parts.signature_length, &size);
	if (signature == NULL ||
		!check_signature(key, token, parts.signature - token - 1, signature, size))
	{
		*fault = QMS_JWT_BAD_SIGNATURE;
		*why = "its signature is wrong";
		return NULL;
	}
	*fault = QMS_JWT_MALFORMED;
	return read_part(parts.payload, parts.payload_length, why);
}

/*
 * The claims of a token that was signed with a key of that purpose and is valid
 * now; else NULL, and why, which is for logs and tests and not for who gave it.
 * Whatever the token is, there is no error.  Needs SPI.
 */
Jsonb *
qms_jwt_verify(const char *purpose, const char *token, const char **why)
{
	QmsJwtFault fault;
	Jsonb	   *claims = qms_jwt_read(token, find_of_purpose, unconstify(char *, purpose), &fault, why);

	if (claims != NULL)
		*why = fault_of_claims(claims);
	return claims != NULL && *why == NULL ? claims : NULL;
}
