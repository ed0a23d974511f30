/*
 * key_kind.c
 *		What kinds of keys there are: algorithms, purposes, what a key must be
 *		like, and how a new one is made.
 */
#include "auth/auth.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "lib/stringinfo.h"

#define MIN_RSA_BITS 2048
#define NEW_RSA_BITS 3072

static const char *const algorithm_names[QMS_KEY_ALGORITHMS] = {
	[QMS_KEY_HMAC] = "HMAC-SHA256", [QMS_KEY_AES] = "AES-256-GCM",
	[QMS_KEY_HS256] = "HS256", [QMS_KEY_RS256] = "RS256", [QMS_KEY_ES256] = "ES256"
};

#define BIT(algorithm) (1 << (algorithm))

/* What keys are for.  The first key of a purpose is made when it is needed. */
static const QmsKeyPurpose purposes[] = {
	{"ticket_token", BIT(QMS_KEY_HMAC), QMS_KEY_HMAC},
	{"login", BIT(QMS_KEY_HMAC), QMS_KEY_HMAC},
	{"jwt", BIT(QMS_KEY_HS256) | BIT(QMS_KEY_RS256) | BIT(QMS_KEY_ES256), QMS_KEY_HS256}
};

/* SubjectPublicKeyInfo of P-256, up to the coordinates. */
static const uint8 p256_prefix[] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
	0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04
};

const char *
qms_key_algorithm_name(QmsKeyAlgorithm algorithm)
{
	return algorithm_names[algorithm];
}

bool
qms_key_algorithm_by_name(const char *name, QmsKeyAlgorithm *algorithm)
{
	int			i;

	for (i = 0; i < QMS_KEY_ALGORITHMS; i++)
	{
		if (strcmp(algorithm_names[i], name) == 0)
		{
			*algorithm = (QmsKeyAlgorithm) i;
			return true;
		}
	}
	return false;
}

/* The purpose of that name; NULL if there is none. */
const QmsKeyPurpose *
qms_key_purpose(const char *name)
{
	size_t		i;

	for (i = 0; i < lengthof(purposes); i++)
	{
		if (strcmp(purposes[i].name, name) == 0)
			return &purposes[i];
	}
	return NULL;
}

/* For messages. */
char *
qms_key_purpose_names(void)
{
	StringInfoData names;
	size_t		i;

	initStringInfo(&names);
	for (i = 0; i < lengthof(purposes); i++)
		appendStringInfo(&names, "%s%s", i == 0 ? "" : i == lengthof(purposes) - 1 ? " and " : ", ", purposes[i].name);
	return names.data;
}

bool
qms_key_is_symmetric(QmsKeyAlgorithm algorithm)
{
	return algorithm != QMS_KEY_RS256 && algorithm != QMS_KEY_ES256;
}

/* Has the secret a size that a symmetric algorithm can work with? */
bool
qms_key_size_fits(QmsKeyAlgorithm algorithm, int size)
{
	return algorithm == QMS_KEY_HS256 ? size >= QMS_SYMMETRIC_KEY_SIZE : size == QMS_SYMMETRIC_KEY_SIZE;
}

bool
qms_key_purpose_allows(const QmsKeyPurpose *purpose, QmsKeyAlgorithm algorithm)
{
	return (purpose->algorithms & BIT(algorithm)) != 0;
}

/* Is it of the kind, curve and size that the algorithm needs? */
bool
qms_key_pkey_fits(struct evp_pkey_st *pkey, QmsKeyAlgorithm algorithm)
{
	uint8		point[QMS_P256_POINT_SIZE];

	if (algorithm == QMS_KEY_RS256)
		return EVP_PKEY_base_id(pkey) == EVP_PKEY_RSA && EVP_PKEY_bits(pkey) >= MIN_RSA_BITS;
	return qms_key_p256_point(pkey, point);
}

/* The point of a P-256 key, x and then y; false if it is another kind of key. */
bool
qms_key_p256_point(struct evp_pkey_st *pkey, uint8 point[QMS_P256_POINT_SIZE])
{
	uint8		der[sizeof(p256_prefix) + QMS_P256_POINT_SIZE];
	uint8	   *end = der;

	if (EVP_PKEY_base_id(pkey) != EVP_PKEY_EC || i2d_PUBKEY(pkey, NULL) != (int) sizeof(der) ||
		i2d_PUBKEY(pkey, &end) != (int) sizeof(der) || memcmp(der, p256_prefix, sizeof(p256_prefix)) != 0)
	{
		ERR_clear_error();
		return false;
	}
	memcpy(point, der + sizeof(p256_prefix), QMS_P256_POINT_SIZE);
	return true;
}

static pg_attribute_noreturn() void
no_random(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("could not generate a random key")));
}

/* A new private key as PKCS #8; NULL when OpenSSL has none for us. */
static PKCS8_PRIV_KEY_INFO *
generate_pkey(QmsKeyAlgorithm algorithm)
{
	bool		is_rsa = algorithm == QMS_KEY_RS256;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(is_rsa ? EVP_PKEY_RSA : EVP_PKEY_EC, NULL);
	EVP_PKEY   *pkey = NULL;
	PKCS8_PRIV_KEY_INFO *info = NULL;

	if (ctx != NULL && EVP_PKEY_keygen_init(ctx) > 0 &&
		(is_rsa ? EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, NEW_RSA_BITS) :
		 EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1)) > 0 &&
		EVP_PKEY_keygen(ctx, &pkey) > 0)
		info = EVP_PKEY2PKCS8(pkey);
	EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return info;
}

/* What a new key's row holds: random bytes, or a private key in DER. */
bytea *
qms_key_new_secret(QmsKeyAlgorithm algorithm)
{
	bytea	   *secret;
	PKCS8_PRIV_KEY_INFO *info;
	unsigned char *der = NULL;
	int			size = QMS_SYMMETRIC_KEY_SIZE;

	if (!qms_key_is_symmetric(algorithm))
	{
		info = generate_pkey(algorithm);
		size = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
		PKCS8_PRIV_KEY_INFO_free(info);
		if (size <= 0)
			no_random();
	}
	secret = palloc(VARHDRSZ + size);
	SET_VARSIZE(secret, VARHDRSZ + size);
	if (der == NULL)
		qms_random(VARDATA(secret), size);
	else
	{
		memcpy(VARDATA(secret), der, size);
		OPENSSL_clear_free(der, size);
	}
	return secret;
}
