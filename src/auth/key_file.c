/*
 * key_file.c
 *		Signing keys from a file of the server, so that no dump carries them.
 *
 * {"keys": [{"purpose": "jwt", "kid": 1, "algorithm": "ES256",
 *	"private_key": "-----BEGIN PRIVATE KEY-----..."},
 *	{"purpose": "ticket_token", "kid": 1, "algorithm": "HMAC-SHA256",
 *	"secret": "...base64..."}]}, with "active_from" and "expires_at" where they
 * matter.  Why a file is refused goes to the server's log only: a client need
 * not know where it is.
 */
#include "auth/auth.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define MAX_FILE_SIZE (64 * 1024)
#define MAX_KEYS 256

static char *file_name = NULL;
static uint64 file_generation = 1;	/* of the configuration */
static uint64 read_generation = 0;

/* Called at every reload that finds the setting in a file, whether or not it is another one. */
static void
assign_file_name(const char *newval pg_attribute_unused(), void *extra pg_attribute_unused())
{
	file_generation++;
}

void
qms_key_file_define_setting(void)
{
	DefineCustomStringVariable("qms.signing_key_file",
							   "File with the keys that tokens are made and checked with; empty: the table of keys.",
							   "It belongs to the server's user, or to root, and nobody else may read it.",
							   &file_name, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, assign_file_name, NULL);
}

bool
qms_key_file_is_set(void)
{
	return file_name != NULL && *file_name != '\0';
}

bool
qms_key_file_has_changed(void)
{
	return read_generation != file_generation;
}

void
qms_key_file_refuse(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("the signing keys cannot be read"),
			 errdetail("The file that qms.signing_key_file names is not there, or not as it must be."),
			 errdetail_log("File \"%s\": %s.", file_name, why),
			 errhint("An administrator of the server finds the reason in its log.")));
}

/* As for the server's TLS key: nobody else may read it, unless it is root's and his group may. */
static void
check_file(FILE *file)
{
	struct stat st;

	if (fstat(fileno(file), &st) != 0)
		qms_key_file_refuse(strerror(errno));
	if (!S_ISREG(st.st_mode))
		qms_key_file_refuse("it is not a plain file");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		qms_key_file_refuse("it belongs neither to the user of the server nor to root");
	if (st.st_mode & (st.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO))
		qms_key_file_refuse("others may read or write it (chmod 0600, or 0640 if root owns it)");
	if (st.st_size > MAX_FILE_SIZE)
		qms_key_file_refuse("it is larger than 64 kB");
}

static char *
read_text(int *length)
{
	char	   *text = palloc(MAX_FILE_SIZE + 1);
	FILE	   *file = AllocateFile(file_name, PG_BINARY_R);

	if (file == NULL)
		qms_key_file_refuse(strerror(errno));
	check_file(file);
	*length = fread(text, 1, MAX_FILE_SIZE + 1, file);
	if (ferror(file) || *length > MAX_FILE_SIZE)
		qms_key_file_refuse("it could not be read");
	FreeFile(file);
	return text;
}

/* A private key with a passphrase is none for us: nobody is there to type it. */
static int
no_passphrase(char *buffer pg_attribute_unused(), int size pg_attribute_unused(),
			  int writing pg_attribute_unused(), void *arg pg_attribute_unused())
{
	return -1;
}

/* PEM to DER; false if it is none. */
static bool
read_pem(const char *pem, QmsSigningKey *key)
{
	BIO		   *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY   *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	unsigned char *der = NULL;
	int			size = pkey ? i2d_PrivateKey(pkey, &der) : -1;

	EVP_PKEY_free(pkey);
	BIO_free(bio);
	ERR_clear_error();
	if (size <= 0)
		return false;
	key->secret = palloc_extended(size, MCXT_ALLOC_NO_OOM);
	if (key->secret != NULL)
		memcpy(key->secret, der, size);
	key->size = size;
	OPENSSL_clear_free(der, size);
	return key->secret != NULL;
}

/* Base64, in lines or not. */
static bool
read_base64(char *text, QmsSigningKey *key)
{
	int			length = 0;
	int			room;
	char	   *c;

	for (c = text; *c != '\0'; c++)
	{
		if (*c != '\n' && *c != '\r')
			text[length++] = *c;
	}
	room = pg_b64_dec_len(length);
	key->secret = palloc(room + 1);
	key->size = pg_b64_decode(text, length, (char *) key->secret, room);
	return key->size >= 0;
}

static TimestampTz
read_time(const Jsonb *entry, const char *name, TimestampTz if_missing)
{
	JsonbValue	buffer;
	JsonbValue *v = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &entry->root), name, strlen(name), &buffer);

	if (v == NULL || v->type == jbvNull)
		return if_missing;
	if (v->type != jbvString)
		qms_key_file_refuse(psprintf("%s is not a text", name));
	return qms_jsonb_time(entry, name);
}

/* Only what we know: a misspelled expires_at must not make a key that lasts. */
static void
check_members(const Jsonb *entry)
{
	static const char *const members[] = {"purpose", "kid", "algorithm", "secret", "private_key", "active_from", "expires_at"};
	JsonbIterator *it = JsonbIteratorInit(unconstify(JsonbContainer *, &entry->root));
	JsonbIteratorToken token;
	JsonbValue	v;
	size_t		i;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		for (i = 0; i < lengthof(members); i++)
		{
			if (v.val.string.len == (int) strlen(members[i]) &&
				memcmp(v.val.string.val, members[i], v.val.string.len) == 0)
				break;
		}
		if (i == lengthof(members))
			qms_key_file_refuse(psprintf("a key has the unknown member \"%s\"", pnstrdup(v.val.string.val, v.val.string.len)));
	}
}

static void
read_key(const Jsonb *entry, QmsSigningKey *key)
{
	char	   *algorithm;
	char	   *secret;
	char	   *pem;
	int64		kid;

	check_members(entry);
	key->purpose = qms_jsonb_text(entry, "purpose");
	algorithm = qms_jsonb_text(entry, "algorithm");
	secret = qms_jsonb_text(entry, "secret");
	pem = qms_jsonb_text(entry, "private_key");
	if (key->purpose == NULL || algorithm == NULL || !qms_jsonb_int64(entry, "kid", &kid))
		qms_key_file_refuse("a key lacks purpose, kid or algorithm");
	if (kid < 1 || kid > QMS_MAX_KID)
		qms_key_file_refuse("a kid is not between 1 and 65535");
	key->kid = (int) kid;
	if (!qms_key_algorithm_by_name(algorithm, &key->algorithm))
		qms_key_file_refuse(psprintf("the algorithm \"%s\" is not known", algorithm));
	if ((secret == NULL) == (pem == NULL))
		qms_key_file_refuse("a key must have either secret or private_key");
	if (secret != NULL ? !read_base64(secret, key) : !read_pem(pem, key))
		qms_key_file_refuse(psprintf("key %d of \"%s\" is not readable", key->kid, key->purpose));
	key->active_from = read_time(entry, "active_from", DT_NOBEGIN);
	key->expires_at = read_time(entry, "expires_at", QMS_NO_TIME);
}

/* The keys of the file, allocated here; an error says why there are none. */
QmsSigningKey *
qms_key_file_read(int *n)
{
	uint64		generation = file_generation;
	const char *why = NULL;
	int			length;
	char	   *text = read_text(&length);
	Jsonb	   *json = qms_strict_json(text, length, &why);
	Jsonb	   *list;
	QmsSigningKey *keys;
	int			modes;
	int			i;

	OPENSSL_cleanse(text, length);
	if (json == NULL)
		qms_key_file_refuse(why);
	list = qms_jsonb_object(json, "keys");
	if (list == NULL || !JB_ROOT_IS_ARRAY(list) || JB_ROOT_COUNT(list) > MAX_KEYS)
		qms_key_file_refuse("it is not an object with a list of at most 256 keys");
	*n = JB_ROOT_COUNT(list);
	keys = palloc0(sizeof(QmsSigningKey) * Max(*n, 1));
	/* Moments read the same whoever asks. */
	modes = qms_text_modes_begin();
	for (i = 0; i < *n; i++)
	{
		JsonbValue *v = getIthJsonbValueFromContainer(&list->root, i);

		if (v->type != jbvBinary || !JsonContainerIsObject(v->val.binary.data))
			qms_key_file_refuse("a key is not an object");
		read_key(JsonbValueToJsonb(v), &keys[i]);
	}
	qms_text_modes_end(modes);
	read_generation = generation;
	return keys;
}
