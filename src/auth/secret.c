/*
 * secret.c
 *		Secrets that are shown once: keys and pairing codes.
 *
 * What is kept of a key is its first part, by which it is found, and the SHA-256
 * of the whole: it is 256 bits of chance, so no slow hash is needed.  A key is
 * made of a random seed by HMAC with a key of the server.  The seed is kept only
 * as part of the answer to a request_id (request.c), for the 48 hours in which
 * the answer can be asked for again; afterwards, and always when there was no
 * request_id, nothing that is stored leads back to the key.
 */
#include "auth/auth.h"

#include <openssl/evp.h>

#include "utils/builtins.h"

#define SEED_SIZE 32
#define CODE_LENGTH 8
#define CODE_GROUP 4

/* No letters or digits that people take for others; 32, so that five bits are one. */
static const char alphabet[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

StaticAssertDecl(sizeof(alphabet) == 33, "an alphabet of 32 letters");

static const char *const brands[] = {
	[QMS_API_KEY] = "qms", [QMS_DEVICE_KEY] = "qmd", [QMS_PAIRING_CODE] = "pair"
};

static void
hmac(int *kid, const char *purpose, const char *seed, uint8 *digest)
{
	char	   *message = psprintf("%s of %s", purpose, seed);

	if (!qms_token_hmac(kid, message, strlen(message), digest))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("there is no key of the server to make keys with"),
				 errhint("Check active_from and expires_at in qms_internal.signing_key.")));
}

/* n letters of five bits each. */
static void
letters(const uint8 *bytes, int n, char *out)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		int			bit = i * 5;
		int			pair = bytes[bit / 8] << 8 | bytes[bit / 8 + 1];

		out[i] = alphabet[pair >> (11 - bit % 8) & 31];
	}
	out[n] = '\0';
}

/* What a seed leads to: "<kind>:<key of the server>:<random>". */
static void
derive(QmsSecret *secret, QmsSecretKind kind, int kid)
{
	uint8		digest[QMS_HMAC_SIZE];
	char		text[CODE_LENGTH + 1];

	hmac(&kid, "prefix", secret->seed, digest);
	if (kind == QMS_PAIRING_CODE)
	{
		letters(digest, CODE_LENGTH, text);
		secret->text = psprintf("%.*s-%s", CODE_GROUP, text, text + CODE_GROUP);
		strlcpy(secret->prefix, text, CODE_GROUP + 1);
		return;
	}
	letters(digest, QMS_PREFIX_LENGTH, secret->prefix);
	hmac(&kid, "secret", secret->seed, digest);
	secret->text = psprintf("%s_%s_%s", brands[kind], secret->prefix, qms_base64url_encode(digest, QMS_HMAC_SIZE));
	qms_secret_hash(secret->text, secret->hash);
}

/* A new secret; its seed goes into the stored answer of this call, and nowhere else. */
void
qms_secret_make(QmsCall *call, QmsSecretKind kind, QmsSecret *secret)
{
	uint8		digest[QMS_HMAC_SIZE];
	int			kid = 0;

	/* Which key of the server signs now?  It is made if there is none. */
	(void) qms_signing_key_current("ticket_token");
	hmac(&kid, "", "", digest);
	secret->seed = psprintf("%d:%d:%s", kind, kid, qms_random_hex(SEED_SIZE));
	derive(secret, kind, kid);
	call->secret_seed = secret->seed;
}

/* The secret of a stored seed again; NULL if the key of the server has gone meanwhile. */
char *
qms_secret_again(const char *seed)
{
	QmsSecret	secret = {0};
	uint8		digest[QMS_HMAC_SIZE];
	int			kind;
	int			kid;

	if (sscanf(seed, "%d:%d:", &kind, &kid) != 2 || kind < 0 || kind >= QMS_SECRET_KINDS || kid < 1 ||
		!qms_token_hmac(&kid, "", 0, digest))
		return NULL;
	secret.seed = unconstify(char *, seed);
	derive(&secret, kind, kid);
	return secret.text;
}

/* SHA-256 of a key. */
void
qms_secret_hash(const char *text, uint8 *hash)
{
	unsigned int size = 0;

	if (EVP_Digest(text, strlen(text), hash, &size, EVP_sha256(), NULL) != 1 || size != QMS_HMAC_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a hash")));
}

/*
 * The first part of a key, by which it is found; false for what is no key of that
 * kind.  Its form is no secret, so here time may tell.
 */
bool
qms_secret_prefix(QmsSecretKind kind, const char *text, char *prefix)
{
	size_t		brand = strlen(brands[kind]);

	if (strlen(text) != brand + 1 + QMS_PREFIX_LENGTH + 1 + QMS_SECRET_TEXT ||
		strncmp(text, brands[kind], brand) != 0 || text[brand] != '_' ||
		text[brand + 1 + QMS_PREFIX_LENGTH] != '_' ||
		strspn(text + brand + 1, alphabet) < QMS_PREFIX_LENGTH)
		return false;
	strlcpy(prefix, text + brand + 1, QMS_PREFIX_LENGTH + 1);
	return true;
}

/*
 * A pairing code as people type it, without dashes and spaces and in capitals,
 * and its first half; false if it cannot be one.
 */
bool
qms_code_normalize(const char *text, char *code, char *prefix)
{
	int			n = 0;

	for (; *text; text++)
	{
		char		c = pg_toupper((unsigned char) *text);

		if (c == '-' || c == ' ')
			continue;
		if (n == CODE_LENGTH || strchr(alphabet, c) == NULL)
			return false;
		code[n++] = c;
	}
	code[n] = '\0';
	if (n != CODE_LENGTH)
		return false;
	strlcpy(prefix, code, CODE_GROUP + 1);
	return true;
}

/* What is kept of a code: 40 bits could be found by trying, so it takes a key of the server. */
bool
qms_code_hash(int *kid, const char *code, int64 device_id, uint8 *hash)
{
	char	   *message = psprintf("code of device %lld: %s", (long long) device_id, code);

	return qms_token_hmac(kid, message, strlen(message), hash);
}
