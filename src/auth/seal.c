/*
 * seal.c
 *		Personal data sealed with AES-256-GCM.
 *
 * A sealed text is "1.KEY.VALUE": the version of this form, the key's name, and
 * in base64 the nonce (96 random bits), the ciphertext and the tag (128 bits).
 * What it belongs to (organization, table, column, row) is authenticated with
 * it, so a value copied to another row does not open, and neither does one that
 * was changed.  It is opened whole or not at all.
 */
#include "auth/auth.h"

#include <openssl/evp.h>

#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#define NONCE_SIZE	12
#define TAG_SIZE	16
#define OVERHEAD	(NONCE_SIZE + TAG_SIZE)
#define VERSION		1
#define HEADER_SIZE 4			/* of the binary form: version, source, kid */

/* Why a value does not open. */
typedef enum Fault
{
	FAULT_NONE,
	FAULT_FORM,
	FAULT_KEY,
	FAULT_TAG
} Fault;

/* One context for each direction, kept: making one costs more than using it. */
static EVP_CIPHER_CTX *
cipher(bool seal)
{
	static EVP_CIPHER_CTX *contexts[2] = {NULL, NULL};
	EVP_CIPHER_CTX *context = contexts[seal];

	if (context != NULL)
		return context;
	context = EVP_CIPHER_CTX_new();
	if (context == NULL || EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, NULL, NULL, seal) != 1)
	{
		EVP_CIPHER_CTX_free(context);
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("AES-256-GCM is not available")));
	}
	contexts[seal] = context;
	return context;
}

static pg_attribute_noreturn() void
cipher_failed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("could not seal a value")));
}

/* Seal n bytes; "out" has room for OVERHEAD more. */
static void
seal_bytes(const QmsSealKey *key, const char *aad, const char *clear, int n, uint8 *out)
{
	EVP_CIPHER_CTX *context = cipher(true);
	int			done;

	qms_random(out, NONCE_SIZE);
	if (EVP_EncryptInit_ex(context, NULL, NULL, key->secret, out) != 1 ||
		EVP_EncryptUpdate(context, NULL, &done, (const uint8 *) aad, strlen(aad)) != 1 ||
		EVP_EncryptUpdate(context, out + NONCE_SIZE, &done, (const uint8 *) clear, n) != 1 || done != n ||
		EVP_EncryptFinal_ex(context, out + NONCE_SIZE + n, &done) != 1 ||
		EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, out + NONCE_SIZE + n) != 1)
		cipher_failed();
}

/* Open; NULL if the tag does not fit. */
static char *
open_bytes(const QmsSealKey *key, const char *aad, const uint8 *sealed, int size)
{
	EVP_CIPHER_CTX *context = cipher(false);
	int			n = size - OVERHEAD;
	char	   *clear = palloc(n + 1);
	int			done;

	if (EVP_DecryptInit_ex(context, NULL, NULL, key->secret, sealed) == 1 &&
		EVP_DecryptUpdate(context, NULL, &done, (const uint8 *) aad, strlen(aad)) == 1 &&
		EVP_DecryptUpdate(context, (uint8 *) clear, &done, sealed + NONCE_SIZE, n) == 1 &&
		EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, unconstify(uint8 *, sealed) + NONCE_SIZE + n) == 1 &&
		EVP_DecryptFinal_ex(context, (uint8 *) clear + n, &done) == 1)
	{
		clear[n] = '\0';
		return clear;
	}
	/* What was decrypted without being authentic is nobody's to see. */
	explicit_bzero(clear, n);
	pfree(clear);
	return NULL;
}

/* What is authenticated with a value.  Tables and columns are words of ours, without colons. */
static char *
aad_of(const QmsSealPlace *place)
{
	return psprintf("qms:%d:%lld:%s:%s:%lld", VERSION, (long long) place->organization_id, place->table,
					place->column, (long long) place->id);
}

static const QmsSealKey *
key_needed(void)
{
	const QmsSealKey *key = qms_seal_key_current(QMS_SEAL_DATA);

	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NO_SEAL_KEY),
				 errmsg("there is no key to seal personal data with"),
				 errdetail("Nothing personal is stored in clear instead."),
				 errhint("Call qms.rotate_seal_key(), or put one into the file of qms.seal_key_file.")));
	return key;
}

static void
report_fault(Fault fault, const QmsSealPlace *place, bool raise)
{
	int			level = raise ? ERROR : WARNING;

	if (fault == FAULT_KEY)
		ereport(level,
				(errcode(ERRCODE_QMS_NO_SEAL_KEY),
				 errmsg("the key of %s.%s of %s %lld is missing", place->table, place->column, place->table,
						(long long) place->id),
				 errdetail("The key that it was sealed with is neither in qms_internal.signing_key nor in the file of qms.seal_key_file."),
				 errhint("Bring the key back; without it the value cannot be read by anybody.")));
	else
		ereport(level,
				(errcode(ERRCODE_QMS_SEAL_BROKEN),
				 errmsg("%s.%s of %s %lld is damaged", place->table, place->column, place->table,
						(long long) place->id),
				 errdetail("It is not what was sealed for this row: it was changed, cut, or copied from elsewhere."),
				 errhint("Restore the row from a backup, or enter the value again.")));
}

/* "1.t3.": where the value begins, or NULL. */
static const char *
parse_head(const char *sealed, char *source, int *kid)
{
	const char *p = sealed;

	if (p[0] != '0' + VERSION || p[1] != '.' || (p[2] != 't' && p[2] != 'f'))
		return NULL;
	*source = p[2];
	*kid = 0;
	for (p += 3; *p >= '0' && *p <= '9' && *kid <= PG_UINT16_MAX; p++)
		*kid = *kid * 10 + *p - '0';
	return *p == '.' && *kid > 0 && *kid <= PG_UINT16_MAX ? p + 1 : NULL;
}

/* Seal a text for its place. */
char *
qms_seal_text(const QmsSealPlace *place, const char *clear)
{
	const QmsSealKey *key = key_needed();
	int			n = strlen(clear);
	uint8	   *bytes = palloc(n + OVERHEAD);
	int			room = pg_b64_enc_len(n + OVERHEAD);
	char	   *sealed = palloc(16 + room);
	int			head = sprintf(sealed, "%d.%c%d.", VERSION, key->source, key->kid);
	int			size;

	seal_bytes(key, aad_of(place), clear, n, bytes);
	size = pg_b64_encode((char *) bytes, n + OVERHEAD, sealed + head, room);
	if (size < 0)
		cipher_failed();
	sealed[head + size] = '\0';
	pfree(bytes);
	return sealed;
}

/*
 * Open it.  What does not open is an error or, for whoever cannot stop for it, a
 * warning and NULL.
 */
char *
qms_seal_open_text(const QmsSealPlace *place, const char *sealed, bool raise)
{
	Fault		fault = FAULT_FORM;
	char		source;
	int			kid;
	const char *value = parse_head(sealed, &source, &kid);
	const QmsSealKey *key = NULL;
	uint8	   *bytes = NULL;
	char	   *clear = NULL;
	int			size = -1;

	if (value != NULL)
	{
		int			room = pg_b64_dec_len(strlen(value));

		bytes = palloc(room);
		size = pg_b64_decode(value, strlen(value), (char *) bytes, room);
	}
	if (size >= OVERHEAD)
	{
		key = qms_seal_key_named(QMS_SEAL_DATA, source, kid);
		fault = key == NULL ? FAULT_KEY : FAULT_TAG;
	}
	if (key != NULL)
		clear = open_bytes(key, aad_of(place), bytes, size);
	if (clear == NULL)
		report_fault(fault, place, raise);
	return clear;
}

/* Has a value the form of a sealed one? */
bool
qms_seal_is_text(const char *value)
{
	char		source;
	int			kid;

	return parse_head(value, &source, &kid) != NULL;
}

/* Was it sealed with the key that new values use? */
bool
qms_seal_is_current(const char *sealed)
{
	const QmsSealKey *key = key_needed();
	char		source;
	int			kid;

	return parse_head(sealed, &source, &kid) != NULL && source == key->source && kid == key->kid;
}

/*
 * The same for values that are no column of a row, kept as bytes: version,
 * source, kid, then nonce, ciphertext and tag.
 */
bytea *
qms_seal(int64 organization_id, const char *purpose, const char *text)
{
	QmsSealPlace place = {organization_id, "", purpose, 0};
	const QmsSealKey *key = key_needed();
	int			n = strlen(text);
	bytea	   *sealed = palloc(VARHDRSZ + HEADER_SIZE + n + OVERHEAD);
	uint8	   *out = (uint8 *) VARDATA(sealed);

	SET_VARSIZE(sealed, VARHDRSZ + HEADER_SIZE + n + OVERHEAD);
	out[0] = VERSION;
	out[1] = key->source;
	out[2] = key->kid >> 8;
	out[3] = key->kid & 0xff;
	seal_bytes(key, aad_of(&place), text, n, out + HEADER_SIZE);
	return sealed;
}

char *
qms_unseal(int64 organization_id, const char *purpose, const bytea *sealed)
{
	QmsSealPlace place = {organization_id, "", purpose, 0};
	const uint8 *in = (const uint8 *) VARDATA_ANY(sealed);
	int			size = VARSIZE_ANY_EXHDR(sealed);
	const QmsSealKey *key = NULL;
	char	   *clear = NULL;
	Fault		fault = FAULT_FORM;

	if (size >= HEADER_SIZE + OVERHEAD && in[0] == VERSION)
	{
		key = qms_seal_key_named(QMS_SEAL_DATA, in[1], in[2] << 8 | in[3]);
		fault = key == NULL ? FAULT_KEY : FAULT_TAG;
	}
	if (key != NULL)
		clear = open_bytes(key, aad_of(&place), in + HEADER_SIZE, size - HEADER_SIZE);
	if (clear == NULL)
		report_fault(fault, &place, true);
	return clear;
}
