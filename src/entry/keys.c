/*
 * keys.c
 *		The keys that access tokens are signed with.  They belong to the
 *		organization: whoever lets people in with another library holds one of
 *		them, and must not be able to sign for anybody else.
 *
 * A key is called "<organization>.<number>" in a token's header, so that two
 * organizations never have two keys of one name.  Each backend remembers those
 * of an organization until the table changes.
 */
#include "entry/entry.h"

#include <openssl/crypto.h>

#include "catalog/pg_type.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define PURPOSE "access"
#define MAX_DIGITS 18			/* of an id */

static MemoryContext context = NULL;
static HTAB *organizations = NULL;
static uint64 context_generation = 0;

/* Drop what is out of date. */
static void
refresh(void)
{
	HASHCTL		control = {0};

	if (context != NULL && context_generation == qms_inval_generation())
		return;
	context_generation = 0;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "qms access keys", ALLOCSET_SMALL_SIZES);
	MemoryContextReset(context);
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(QmsAccessKeys);
	control.hcxt = context;
	organizations = hash_create("qms access keys", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	context_generation = qms_inval_generation();
}

/* A row of the present result; false if it is of another version than ours. */
static bool
read_key(int r, QmsSigningKey *key)
{
	QmsSigningKey found = {0};
	bool		isnull;
	bytea	   *secret = DatumGetByteaPP(qms_spi_datum(r, 3, &isnull));

	found.purpose = PURPOSE;
	found.kid = qms_spi_int32(r, 1);
	found.secret = (uint8 *) VARDATA_ANY(secret);
	found.size = VARSIZE_ANY_EXHDR(secret);
	found.active_from = qms_spi_time(r, 4);
	found.expires_at = qms_spi_time(r, 5);
	if (!qms_key_algorithm_by_name(qms_spi_text(r, 2), &found.algorithm) ||
		(qms_key_is_symmetric(found.algorithm) && !qms_key_size_fits(found.algorithm, found.size)))
		return false;
	qms_signing_key_keep(context, key, &found);
	return true;
}

/* All keys of an organization; none if it is not there. */
const QmsAccessKeys *
qms_access_keys_of(int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT o.slug, k.kid, k.algorithm, k.secret, k.active_from, k.expires_at FROM qms.organization o "
								   "LEFT JOIN qms_internal.access_key k ON k.organization_id = o.organization_id "
								   "WHERE o.organization_id = $1 AND o.deleted_at IS NULL ORDER BY k.kid DESC", INT8OID);
	QmsParams	params = {0};
	QmsAccessKeys read = {0};
	QmsAccessKeys *entry;
	uint64		n;
	uint64		i;

	refresh();
	entry = hash_search(organizations, &organization_id, HASH_FIND, NULL);
	if (entry != NULL)
		return entry;
	qms_param_int64(&params, organization_id);
	/* As of now also in REPEATABLE READ: what is found is remembered beyond this transaction. */
	n = qms_spi_look(&plan, &params);
	read.organization_id = organization_id;
	read.keys = MemoryContextAllocZero(context, sizeof(QmsSigningKey) * Max(n, 1));
	if (n > 0)
		read.slug = MemoryContextStrdup(context, qms_spi_text(0, 0));
	for (i = 0; i < n && !qms_spi_isnull(i, 1); i++)
	{
		if (read_key(i, &read.keys[read.n]))
			read.n++;
	}
	/* An entry that could not be completed must not stay. */
	entry = hash_search(organizations, &organization_id, HASH_ENTER, NULL);
	*entry = read;
	return entry;
}

char *
qms_access_kid(int64 organization_id, const QmsSigningKey *key)
{
	return psprintf("%lld.%d", (long long) organization_id, key->kid);
}

/* A number as we write it, without a zero before it; what is behind it, or NULL. */
static const char *
read_number(const char *text, size_t max_digits, int64 *number)
{
	size_t		digits = strspn(text, "0123456789");

	if (digits < 1 || digits > max_digits || text[0] == '0')
		return NULL;
	*number = strtoll(text, NULL, 10);
	return text + digits;
}

/* The organization and number that a kid names; false if it is none of ours. */
bool
qms_access_kid_parse(const char *kid, int64 *organization_id, int *number)
{
	const char *rest = read_number(kid, MAX_DIGITS, organization_id);
	int64		n;

	if (rest == NULL || *rest != '.')
		return false;
	rest = read_number(rest + 1, 5, &n);
	*number = rest != NULL ? (int) n : 0;
	return rest != NULL && *rest == '\0';
}

/* A key that what it signed is accepted of; NULL if there is none. */
const QmsSigningKey *
qms_access_key_named(int64 organization_id, int number, TimestampTz now)
{
	const QmsAccessKeys *all = qms_access_keys_of(organization_id);
	int			i;

	for (i = 0; i < all->n; i++)
	{
		if (all->keys[i].kid == number)
			return qms_signing_key_is_live(&all->keys[i], now) ? &all->keys[i] : NULL;
	}
	return NULL;
}

/*
 * The key that signs: of those that are active the one made last, whatever it was
 * made to follow.  NULL if there is none.
 */
const QmsSigningKey *
qms_access_key_signing(const QmsAccessKeys *all, TimestampTz now)
{
	int			i;

	for (i = 0; i < all->n; i++)
	{
		if (all->keys[i].active_from <= now && qms_signing_key_is_live(&all->keys[i], now))
			return &all->keys[i];
	}
	return NULL;
}

/* ---- making ---- */

/* What older keys signed counts until then, if it did so long. */
static void
expire_older(int64 organization_id, int number, TimestampTz at)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.access_key SET expires_at = $3 WHERE organization_id = $1 AND kid <> $2 "
								   "AND (expires_at IS NULL OR expires_at > $3)", INT8OID, INT4OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, organization_id);
	qms_param_int32(&params, number);
	qms_param_time(&params, at);
	qms_spi_run_now(&plan, &params);
}

/*
 * Make a key, and answer its number; older ones end at older_expire_at, if that
 * is a time.  Lock: set-up of the organization, exclusive, taken by the caller:
 * two sessions must not both make the same number.
 */
int
qms_access_key_make(QmsCall *call, int64 organization_id, QmsKeyAlgorithm algorithm, TimestampTz active_from,
					const char *verb, TimestampTz older_expire_at)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.access_key (organization_id, kid, algorithm, secret, created_at, active_from) "
								   "SELECT $1, coalesce(pg_catalog.max(kid), 0) + 1, $2, $3, $4, coalesce($5, '-infinity') "
								   "FROM qms_internal.access_key WHERE organization_id = $1 RETURNING kid, access_key_id",
								   INT8OID, TEXTOID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	bytea	   *secret = qms_key_new_secret(algorithm);
	QmsJson		json;
	int			number;
	int64		id;

	qms_param_int64(&params, organization_id);
	qms_param_text(&params, qms_key_algorithm_name(algorithm));
	qms_param_pointer(&params, secret);
	qms_param_time(&params, call->now);
	qms_param_time(&params, active_from);
	/* Numbers as of now: whoever made the last one held the lock before us. */
	qms_spi_run_now(&plan, &params);
	OPENSSL_cleanse(VARDATA(secret), VARSIZE(secret) - VARHDRSZ);
	number = qms_spi_int32(0, 0);
	id = qms_spi_int64(0, 1);
	if (older_expire_at != QMS_NO_TIME)
		expire_older(organization_id, number, older_expire_at);
	qms_json_begin(&json);
	qms_json_text(&json, "kid", psprintf("%lld.%d", (long long) organization_id, number));
	qms_json_text(&json, "algorithm", qms_key_algorithm_name(algorithm));
	qms_json_time(&json, "active_from", active_from);
	qms_json_time(&json, "older_expire_at", older_expire_at);
	qms_event_configuration(call, "access_key", verb, organization_id, 0, id, qms_json_end(&json));
	/* Our own rows are not invalidated before the next command. */
	CommandCounterIncrement();
	context_generation = 0;
	return number;
}

/*
 * The key that signs now; the first one is made when it is needed, and has been
 * active ever since: a clock that steps back must not leave us without a key.
 */
const QmsSigningKey *
qms_access_key_current(QmsCall *call, int64 organization_id)
{
	const QmsSigningKey *key = qms_access_key_signing(qms_access_keys_of(organization_id), call->now);

	if (key != NULL)
		return key;
	qms_lock(QMS_LOCK_SETUP, organization_id, true);
	context_generation = 0;
	key = qms_access_key_signing(qms_access_keys_of(organization_id), call->now);
	if (key != NULL)
		return key;
	(void) qms_access_key_make(call, organization_id, QMS_KEY_HS256, QMS_NO_TIME, "created", QMS_NO_TIME);
	key = qms_access_key_signing(qms_access_keys_of(organization_id), call->now);
	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("there is no key to sign access tokens of organization %lld with", (long long) organization_id),
				 errhint("Make one with qms.rotate_access_key().")));
	return key;
}

/* The bytes of an HS256 key in base64url, as JSON Web Keys have them ("k"). */
char *
qms_access_key_secret(const QmsSigningKey *key)
{
	return qms_key_is_symmetric(key->algorithm) ? qms_base64url_encode(key->secret, key->size) : NULL;
}
