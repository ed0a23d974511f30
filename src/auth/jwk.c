/*
 * jwk.c
 *		The public half of a signing key, as a JSON Web Key (RFC 7517) and as PEM.
 */
#include "auth/auth.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* A tag, a length and what it has; the position behind it, or NULL. */
static const uint8 *
der_open(const uint8 *der, const uint8 *end, int tag, const uint8 **content, int *length)
{
	int			size;

	if (end - der < 2 || *der++ != tag)
		return NULL;
	size = *der++;
	if (size & 0x80)
	{
		int			bytes = size & 0x7f;

		if (bytes < 1 || bytes > 2 || end - der < bytes)
			return NULL;
		for (size = 0; bytes > 0; bytes--)
			size = size << 8 | *der++;
	}
	if (end - der < size)
		return NULL;
	*content = der;
	*length = size;
	return der + size;
}

/* An integer without the zero that only keeps it positive, as JSON Web Keys want it. */
static void
put_integer(QmsJson *json, const char *name, const uint8 *bytes, int length)
{
	while (length > 1 && *bytes == 0)
	{
		bytes++;
		length--;
	}
	qms_json_text(json, name, qms_base64url_encode(bytes, length));
}

/* n and e of an RSA key, from RSAPublicKey (RFC 8017). */
static bool
put_rsa(QmsJson *json, EVP_PKEY *pkey)
{
	unsigned char *allocated = NULL;
	int			size = i2d_PublicKey(pkey, &allocated);
	uint8	   *der;
	const uint8 *sequence;
	const uint8 *n;
	const uint8 *e;
	const uint8 *next;
	int			length;
	int			n_length;
	int			e_length;

	if (size <= 0)
		return false;
	/* OpenSSL's memory would be lost by an error in between. */
	der = palloc_extended(size, MCXT_ALLOC_NO_OOM);
	if (der != NULL)
		memcpy(der, allocated, size);
	OPENSSL_free(allocated);
	if (der == NULL || der_open(der, der + size, 0x30, &sequence, &length) == NULL)
		return false;
	next = der_open(sequence, sequence + length, 0x02, &n, &n_length);
	if (next == NULL || der_open(next, sequence + length, 0x02, &e, &e_length) == NULL)
		return false;
	put_integer(json, "n", n, n_length);
	put_integer(json, "e", e, e_length);
	return true;
}

/* One public key of a set, called so there; nothing for a secret one. */
void
qms_jwk_put(QmsJson *json, const QmsSigningKey *key, const char *kid)
{
	EVP_PKEY   *pkey = qms_key_is_symmetric(key->algorithm) ? NULL : qms_signing_key_pkey(key);
	uint8		point[QMS_P256_POINT_SIZE];
	bool		is_rsa = key->algorithm == QMS_KEY_RS256;

	if (pkey == NULL || (!is_rsa && !qms_key_p256_point(pkey, point)))
		return;
	qms_json_begin_object(json, NULL);
	qms_json_text(json, "kty", is_rsa ? "RSA" : "EC");
	qms_json_text(json, "use", "sig");
	qms_json_text(json, "alg", qms_key_algorithm_name(key->algorithm));
	qms_json_text(json, "kid", kid);
	if (is_rsa)
	{
		if (!put_rsa(json, pkey))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not read the public key of signing key %s", kid)));
	}
	else
	{
		qms_json_text(json, "crv", "P-256");
		qms_json_text(json, "x", qms_base64url_encode(point, QMS_P256_POINT_SIZE / 2));
		qms_json_text(json, "y", qms_base64url_encode(point + QMS_P256_POINT_SIZE / 2, QMS_P256_POINT_SIZE / 2));
	}
	qms_json_end_object(json);
}

/* The public key as PEM; NULL for a secret one. */
char *
qms_jwk_pem(const QmsSigningKey *key)
{
	EVP_PKEY   *pkey = qms_key_is_symmetric(key->algorithm) ? NULL : qms_signing_key_pkey(key);
	BIO		   *bio = pkey ? BIO_new(BIO_s_mem()) : NULL;
	char	   *pem = NULL;
	char	   *data;
	long		size;

	if (bio != NULL && PEM_write_bio_PUBKEY(bio, pkey) == 1 && (size = BIO_get_mem_data(bio, &data)) > 0)
	{
		/* OpenSSL's memory would be lost by an error in between. */
		pem = palloc_extended(size + 1, MCXT_ALLOC_NO_OOM);
		if (pem != NULL)
		{
			memcpy(pem, data, size);
			pem[size] = '\0';
		}
	}
	BIO_free(bio);
	ERR_clear_error();
	return pem;
}
