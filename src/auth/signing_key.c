/*
 * signing_key.c
 *		The keys that tokens are made and checked with: by purpose and key id,
 *		from the table qms_internal.signing_key, or from a file named by a
 *		setting, so that no dump carries them.
 *
 * A key's row says by which algorithm it is used; nothing else does.  Each
 * backend remembers the keys until the table changes, or, with a file, until
 * the configuration is reloaded.
 */
#include "auth/auth.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "catalog/pg_type.h"
#include "utils/guc.h"
#include "utils/memutils.h"

static MemoryContext key_context = NULL;
static QmsSigningKey *keys = NULL;	/* those of a purpose together, the newest first */
static int	nkeys = 0;
static bool loaded = false;
static bool loaded_from_file = false;
static uint64 loaded_generation = 0;

/* ---- the private keys of RS256 and ES256 ---- */

static void
free_pkey(void *pkey)
{
	EVP_PKEY_free(pkey);
}

static void
wipe_secret(void *arg)
{
	QmsSigningKey *key = arg;

	OPENSSL_cleanse(key->secret, key->size);
}

/* The key as OpenSSL wants it, made on first use; NULL if it is none of its algorithm. */
struct evp_pkey_st *
qms_signing_key_pkey(const QmsSigningKey *key)
{
	QmsSigningKey *remembered = unconstify(QmsSigningKey *, key);
	const unsigned char *der = key->secret;
	MemoryContextCallback *callback;
	EVP_PKEY   *pkey;

	if (key->pkey != NULL)
		return key->pkey;
	/* Before there is something that only it would free. */
	callback = MemoryContextAllocZero(key->context, sizeof(MemoryContextCallback));
	pkey = d2i_AutoPrivateKey(NULL, &der, key->size);
	if (pkey != NULL && !qms_key_pkey_fits(pkey, key->algorithm))
	{
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	ERR_clear_error();
	if (pkey == NULL)
		return NULL;
	callback->func = free_pkey;
	callback->arg = pkey;
	MemoryContextRegisterResetCallback(key->context, callback);
	remembered->pkey = pkey;
	return pkey;
}

/* A key that is not fit for its algorithm: what to say about it. */
const char *
qms_signing_key_fault(const QmsSigningKey *key)
{
	const QmsKeyPurpose *purpose = qms_key_purpose(key->purpose);

	if (purpose != NULL && !qms_key_purpose_allows(purpose, key->algorithm))
		return "its algorithm is not one for its purpose";
	if (key->kid < 1 || key->kid > QMS_MAX_KID)
		return "its kid is not between 1 and 65535";
	if (qms_key_is_symmetric(key->algorithm) ? !qms_key_size_fits(key->algorithm, key->size) :
		qms_signing_key_pkey(key) == NULL)
		return "its secret does not fit its algorithm";
	return NULL;
}

/* ---- reading ---- */

/* Room for n keys, in place of those that were remembered. */
static void
start_over(int n)
{
	loaded = false;
	keys = NULL;
	nkeys = 0;
	if (key_context == NULL)
		key_context = AllocSetContextCreate(TopMemoryContext, "qms signing keys", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(key_context);
	keys = MemoryContextAllocZero(key_context, sizeof(QmsSigningKey) * Max(n, 1));
}

/* Put a key into its place in memory, with copies of what it points to; the secret is wiped when that goes. */
void
qms_signing_key_keep(MemoryContext context, QmsSigningKey *key, const QmsSigningKey *found)
{
	MemoryContextCallback *callback = MemoryContextAllocZero(context, sizeof(MemoryContextCallback));

	*key = *found;
	key->pkey = NULL;
	key->context = context;
	key->purpose = MemoryContextStrdup(context, found->purpose);
	key->secret = MemoryContextAlloc(context, Max(found->size, 1));
	memcpy(key->secret, found->secret, found->size);
	callback->func = wipe_secret;
	callback->arg = key;
	MemoryContextRegisterResetCallback(context, callback);
}

/* ... into the next place; it counts once nkeys does. */
static QmsSigningKey *
keep(const QmsSigningKey *found)
{
	QmsSigningKey *key = &keys[nkeys];

	qms_signing_key_keep(key_context, key, found);
	return key;
}

static void
read_table(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT purpose, kid, algorithm, secret, active_from, expires_at FROM qms_internal.signing_key "
										  "ORDER BY purpose, active_from DESC, kid DESC");
	uint64		n;
	uint64		i;

	/* As of now also in REPEATABLE READ: what is found is remembered beyond this transaction. */
	n = qms_spi_look(&plan, NULL);
	start_over(n);
	for (i = 0; i < n; i++)
	{
		QmsSigningKey found = {0};
		bool		isnull;
		bytea	   *secret = DatumGetByteaPP(qms_spi_datum(i, 3, &isnull));

		found.purpose = qms_spi_text(i, 0);
		found.kid = qms_spi_int32(i, 1);
		found.secret = (uint8 *) VARDATA_ANY(secret);
		found.size = VARSIZE_ANY_EXHDR(secret);
		found.active_from = qms_spi_time(i, 4);
		found.expires_at = qms_spi_time(i, 5);
		/* Keys of other versions and other algorithms are none of ours. */
		if (qms_key_algorithm_by_name(qms_spi_text(i, 2), &found.algorithm) &&
			(!qms_key_is_symmetric(found.algorithm) || qms_key_size_fits(found.algorithm, found.size)))
		{
			(void) keep(&found);
			nkeys++;
		}
	}
	loaded_generation = qms_inval_generation();
	loaded_from_file = false;
	loaded = true;
}

static int
newest_first(const void *a, const void *b)
{
	const QmsSigningKey *one = a;
	const QmsSigningKey *other = b;
	int			order = strcmp(one->purpose, other->purpose);

	if (order != 0)
		return order;
	if (one->active_from != other->active_from)
		return one->active_from < other->active_from ? 1 : -1;
	return other->kid - one->kid;
}

static void
read_file(void)
{
	int			n;
	QmsSigningKey *found = qms_key_file_read(&n);
	int			i;

	qsort(found, n, sizeof(QmsSigningKey), newest_first);
	start_over(n);
	for (i = 0; i < n; i++)
	{
		const char *fault = qms_signing_key_fault(keep(&found[i]));

		if (fault != NULL)
			qms_key_file_refuse(psprintf("key %d of \"%s\": %s", found[i].kid, found[i].purpose, fault));
		if (i > 0 && strcmp(found[i].purpose, found[i - 1].purpose) == 0 && found[i].kid == found[i - 1].kid)
			qms_key_file_refuse(psprintf("key %d of \"%s\" is there twice", found[i].kid, found[i].purpose));
		OPENSSL_cleanse(found[i].secret, found[i].size);
		nkeys++;
	}
	loaded_from_file = true;
	loaded = true;
}

/* Read the keys anew if what is remembered may be out of date. */
static void
refresh(void)
{
	if (qms_key_file_is_set())
	{
		if (qms_key_file_has_changed() || !loaded || !loaded_from_file)
			read_file();
	}
	else if (!loaded || loaded_from_file || loaded_generation != qms_inval_generation())
		read_table();
}

/* Every key there is, one by one from 0; NULL behind the last. */
const QmsSigningKey *
qms_signing_key_at(int n)
{
	if (n == 0)
		refresh();
	return n < nkeys ? &keys[n] : NULL;
}

bool
qms_signing_key_is_live(const QmsSigningKey *key, TimestampTz now)
{
	return key->expires_at == QMS_NO_TIME || key->expires_at > now;
}

static const QmsSigningKey *
look_up(const char *purpose, int kid)
{
	TimestampTz now = qms_clock_now();
	int			i;

	for (i = 0; i < nkeys; i++)
	{
		const QmsSigningKey *key = &keys[i];

		if (strcmp(key->purpose, purpose) != 0 || !qms_signing_key_is_live(key, now))
			continue;
		/* The newest that is active already signs; the newest come first. */
		if (kid == 0 ? key->active_from <= now : key->kid == kid)
			return key;
	}
	return NULL;
}

/*
 * The key of that id, or, for id 0, the one that signs now; NULL if there is
 * none that has not expired.  Valid until the next call of anything here.
 */
const QmsSigningKey *
qms_signing_key_find(const char *purpose, int kid)
{
	refresh();
	return look_up(purpose, kid);
}

/* Is this, of qms_signing_key_at(), the key that signs now? */
bool
qms_signing_key_signs(const QmsSigningKey *key)
{
	return look_up(key->purpose, 0) == key;
}

/* ---- making ---- */

/* Where keys come from a file, the file is where they are made. */
void
qms_signing_key_check_table(void)
{
	if (!qms_key_file_is_set())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the signing keys come from a file"),
			 errdetail("qms.signing_key_file is set, so the table of keys is not looked at."),
			 errhint("Add the key to the file, then reload the configuration with pg_reload_conf().")));
}

/*
 * Make a key, and answer its id.  Lock: set-up of organization 0, exclusive,
 * taken by the caller: two sessions must not both make the same id.
 */
int
qms_signing_key_make(const char *purpose, QmsKeyAlgorithm algorithm, TimestampTz active_from)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.signing_key (purpose, kid, algorithm, secret, created_at, active_from) "
								   "SELECT $1, coalesce(pg_catalog.max(kid), 0) + 1, $2, $3, $4, coalesce($5, '-infinity') "
								   "FROM qms_internal.signing_key WHERE purpose = $1 RETURNING kid",
								   TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	bytea	   *secret = qms_key_new_secret(algorithm);

	qms_param_text(&params, purpose);
	qms_param_text(&params, qms_key_algorithm_name(algorithm));
	qms_param_pointer(&params, secret);
	qms_param_time(&params, qms_clock_now());
	qms_param_time(&params, active_from);
	qms_spi_run(&plan, &params);
	OPENSSL_cleanse(VARDATA(secret), VARSIZE(secret) - VARHDRSZ);
	loaded = false;
	return qms_spi_int32(0, 0);
}

/*
 * Make the first key of a purpose, or another one when all have expired.  It has
 * been active ever since: a clock that steps back must not leave us without a key.
 */
void
qms_signing_key_ensure(const char *purpose)
{
	const QmsKeyPurpose *known = qms_key_purpose(purpose);

	if (qms_key_file_is_set() || known == NULL)
	{
		if (qms_signing_key_find(purpose, 0) == NULL)
			ereport(ERROR,
					(errcode(known ? ERRCODE_CONFIG_FILE_ERROR : ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("there is no signing key for \"%s\"", purpose),
					 errdetail("None that has not expired is active, and none is made by itself."),
					 errhint("An administrator of the server adds one to the file that qms.signing_key_file names.")));
		return;
	}
	qms_lock(QMS_LOCK_SETUP, 0, true);
	loaded = false;
	if (qms_signing_key_find(purpose, 0) == NULL)
		(void) qms_signing_key_make(purpose, known->first, QMS_NO_TIME);
}

/* The key that signs now; made if there is none yet. */
const QmsSigningKey *
qms_signing_key_current(const char *purpose)
{
	const QmsSigningKey *key = qms_signing_key_find(purpose, 0);

	if (key == NULL)
	{
		qms_signing_key_ensure(purpose);
		key = qms_signing_key_find(purpose, 0);
	}
	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("there is no signing key for \"%s\"", purpose),
				 errhint("Check active_from and expires_at in qms_internal.signing_key.")));
	return key;
}
