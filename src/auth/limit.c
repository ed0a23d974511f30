/*
 * limit.c
 *		Rate limits: how often somebody may do something.
 *
 * A bucket is one moment: when it will be full again.  Each taking moves that
 * moment by window / count, and is refused if it would then lie further ahead
 * than the window.  That is a token bucket of count tokens that refills in one
 * window, in eight bytes and without a timer; a bucket that is full again says
 * nothing that one that is not there does not say, so it may be forgotten.
 *
 * In shared memory: a table of sets of eight buckets.  A key belongs to one set,
 * and has a bucket in it while it is not full.  Each set has a spinlock, held to
 * look at eight pairs of numbers and to write one: callers meet only where their
 * keys hash to the same set, for some nanoseconds; there is no lock of the whole,
 * and no size to grow.  If all eight are in use, the one that is soonest full
 * again gives way.  To drive out the bucket of a guesser, who is about a window
 * away from a full one, others would need eight such buckets in his set, and
 * nobody knows which set that is: hashes depend on a random number of this start.
 * What is taken stays taken, whether the transaction commits or not.
 *
 * Without shared_preload_libraries the buckets are rows of an unlogged table.
 * Then a rollback gives back what was taken, so callers who count failures must
 * answer them instead of raising errors.  Rows of logins and codes are waited
 * for, so that guesses at the same time count; of joins they are not: whoever
 * finds the row locked passes uncounted rather than wait for a commit.
 *
 * All moments are of qms_clock_now().  A clock that was set back makes the buckets
 * of the future full.
 */
#include "auth/auth.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/spin.h"
#include "utils/guc.h"

/* Kinds of buckets beside those of config.h. */
#define OUTSIDE		QMS_LIMIT_KINDS
#define OF_QUEUE	(QMS_LIMIT_KINDS + 1)

#define WAYS 8
#define BUCKET_SIZE 16

typedef struct Bucket
{
	uint64		key;			/* hash; 0: free */
	TimestampTz full_at;
} Bucket;

typedef struct BucketSet
{
	slock_t		mutex;
	Bucket		ways[WAYS];
} BucketSet;

typedef struct LimitShared
{
	uint64		seed;
	BucketSet	sets[FLEXIBLE_ARRAY_MEMBER];
} LimitShared;

static int	buckets = 65536;
static LimitShared *shared = NULL;

static int
number_of_sets(void)
{
	return buckets / WAYS;
}

static Size
shared_size(void)
{
	return add_size(offsetof(LimitShared, sets), mul_size(sizeof(BucketSet), number_of_sets()));
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks pg_attribute_unused())
{
	int			i;

	shared = memory;
	if (found)
		return;
	memset(shared, 0, shared_size());
	qms_random(&shared->seed, sizeof(shared->seed));
	for (i = 0; i < number_of_sets(); i++)
		SpinLockInit(&shared->sets[i].mutex);
}

void
qms_limit_init(void)
{
	static const QmsMemory part = {"qms limits", shared_size, NULL, 0, start_memory};

	if (!process_shared_preload_libraries_in_progress)
		return;
	DefineCustomIntVariable("qms.limit_buckets",
							"Number of callers of the server whose rate is remembered at a time.",
							"17 bytes each. Beyond that the least busy ones are forgotten.",
							&buckets, 65536, 1024, 16777216, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	qms_memory_register(&part);
}

/* Take one from a bucket, if there is one. */
static bool
take(TimestampTz *full_at, TimestampTz now, const QmsLimit *limit, int64 *retry_after_usec)
{
	int64		each = limit->window / limit->count;
	TimestampTz from = *full_at;

	if (from < now || from > now + limit->window)
		from = now;
	if (from + each > now + limit->window)
	{
		*retry_after_usec = from + each - (now + limit->window);
		return false;
	}
	*full_at = from + each;
	return true;
}

/* ---- in shared memory ---- */

static bool
take_shared(uint64 key, TimestampTz now, const QmsLimit *limit, int64 *retry_after_usec)
{
	BucketSet  *set = &shared->sets[(key >> 32) % number_of_sets()];
	Bucket	   *bucket = NULL;
	bool		good;
	int			i;

	SpinLockAcquire(&set->mutex);
	for (i = 0; i < WAYS && bucket == NULL; i++)
	{
		if (set->ways[i].key == key)
			bucket = &set->ways[i];
	}
	if (bucket == NULL)
	{
		bucket = &set->ways[0];
		for (i = 1; i < WAYS; i++)
		{
			if (set->ways[i].full_at < bucket->full_at)
				bucket = &set->ways[i];
		}
		bucket->key = key;
		bucket->full_at = 0;
	}
	good = take(&bucket->full_at, now, limit, retry_after_usec);
	SpinLockRelease(&set->mutex);
	return good;
}

/* The schema's OID tells organizations of an extension that was made anew from those before. */
static uint64
hash_key(int kind, int64 organization_id, const char *key)
{
	int64		head[] = {MyDatabaseId, get_namespace_oid(QMS_SCHEMA, false), kind, organization_id};
	uint64		hash = hash_bytes_extended((const unsigned char *) head, sizeof(head), shared->seed);

	hash = hash_bytes_extended((const unsigned char *) key, strlen(key), hash);
	return hash != 0 ? hash : 1;
}

/* ---- in a table ---- */

/* The name of a bucket: nobody can tell from it whose it is, or make another key of that name. */
static bytea *
bucket_name(int kind, int64 organization_id, const char *key)
{
	char	   *text = psprintf("limit %d %lld %s", kind, (long long) organization_id, key);
	uint8		digest[QMS_HMAC_SIZE];
	bytea	   *name = palloc(VARHDRSZ + BUCKET_SIZE);
	int			kid = 0;

	if (!qms_token_hmac(&kid, text, strlen(text), digest))
		qms_secret_hash(text, digest);
	SET_VARSIZE(name, VARHDRSZ + BUCKET_SIZE);
	memcpy(VARDATA(name), digest, BUCKET_SIZE);
	return name;
}

/* Rows that say nothing any more go when new ones come. */
static void
add_row(bytea *name, TimestampTz now)
{
	static QmsPlan insert = QMS_PLAN(
									 "INSERT INTO qms_internal.limit_bucket (bucket, full_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
									 BYTEAOID, TIMESTAMPTZOID);
	static QmsPlan tidy = QMS_PLAN(
								   "DELETE FROM qms_internal.limit_bucket WHERE bucket = ANY (ARRAY("
								   "SELECT bucket FROM qms_internal.limit_bucket WHERE full_at < $1 ORDER BY full_at LIMIT 4 "
								   "FOR UPDATE SKIP LOCKED))", TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsParams	since = {0};

	qms_param_time(&since, now);
	qms_spi_run(&tidy, &since);
	qms_param_pointer(&params, name);
	qms_param_time(&params, now);
	qms_spi_run(&insert, &params);
}

static bool
take_row(bytea *name, bool wait, TimestampTz now, const QmsLimit *limit, int64 *retry_after_usec)
{
	static QmsPlan waiting = QMS_PLAN(
									  "SELECT full_at FROM qms_internal.limit_bucket WHERE bucket = $1 FOR UPDATE", BYTEAOID);
	static QmsPlan passing = QMS_PLAN(
									  "SELECT full_at FROM qms_internal.limit_bucket WHERE bucket = $1 FOR UPDATE SKIP LOCKED", BYTEAOID);
	static QmsPlan exists = QMS_PLAN("SELECT 1 FROM qms_internal.limit_bucket WHERE bucket = $1", BYTEAOID);
	static QmsPlan update = QMS_PLAN(
									 "UPDATE qms_internal.limit_bucket SET full_at = $2 WHERE bucket = $1", BYTEAOID, TIMESTAMPTZOID);
	QmsPlan    *lock = wait ? &waiting : &passing;
	QmsParams	params = {0};
	TimestampTz full_at;

	qms_param_pointer(&params, name);
	if (qms_spi_run(lock, &params) == 0)
	{
		if (!wait && qms_spi_look(&exists, &params) > 0)
			return true;
		add_row(name, now);
		if (qms_spi_run(lock, &params) == 0)
			return true;
	}
	full_at = qms_spi_time(0, 0);
	if (!take(&full_at, now, limit, retry_after_usec))
		return false;
	qms_param_time(&params, full_at);
	qms_spi_run(&update, &params);
	return true;
}

/* ---- what others use ---- */

/*
 * Take one from the bucket of a kind and key, by a limit that is given.  Without shared memory
 * whoever finds the row locked passes uncounted, unless he waits for it.
 */
static bool
take_named(int kind, bool wait, int64 organization_id, const char *key, const QmsLimit *limit, int64 *retry_after_usec)
{
	TimestampTz now = qms_clock_now();

	*retry_after_usec = 0;
	if (limit->count == 0)
		return true;
	if (shared != NULL)
		return take_shared(hash_key(kind, organization_id, key), now, limit, retry_after_usec);
	if (XactReadOnly || RecoveryInProgress())
		return true;
	return take_row(bucket_name(kind, organization_id, key), wait, now, limit, retry_after_usec);
}

/* For those outside: buckets of one organization are not those of another, nor any of ours. */
bool
qms_limit_take_of(int64 organization_id, const char *bucket, const QmsLimit *limit, int64 *retry_after_usec)
{
	return take_named(OUTSIDE, true, organization_id, bucket, limit, retry_after_usec);
}

/*
 * Take one from the bucket of a key, such as "user:anna"; false if there is
 * none, with the time until there is.  Which limit holds is a setting of the
 * organization, the default for organization 0.  Needs SPI.
 */
bool
qms_limit_take(QmsLimitKind kind, int64 organization_id, const char *key, int64 *retry_after_usec)
{
	return take_named(kind, kind == QMS_LIMIT_LOGIN || kind == QMS_LIMIT_OTP || kind == QMS_LIMIT_PAIR, organization_id, key,
					  &qms_config_organization(organization_id)->limits[kind], retry_after_usec);
}

/* Is that address in one of the organization's branches?  Many people share it there. */
static bool
is_in_branch(int64 organization_id, const QmsNetwork *address)
{
	const QmsOrganization *organization = qms_config_organization(organization_id);
	int			i;

	for (i = 0; i < organization->nnetworks; i++)
	{
		if (qms_network_contains(&organization->networks[i], address))
			return true;
	}
	return false;
}

/*
 * ... from the bucket of the caller's address.  There is none for an address that
 * nobody knows, for networks of the organization's branches, and for those who
 * work with a device of a branch.
 */
bool
qms_limit_take_address(QmsLimitKind kind, int64 organization_id, int64 *retry_after_usec)
{
	QmsNetwork	address;

	*retry_after_usec = 0;
	if (!qms_client_network(&address) || is_in_branch(organization_id, &address))
		return true;
	return qms_limit_take(kind, organization_id, psprintf("address:%s", qms_client_key(&address)),
						  retry_after_usec);
}

/* Too often. */
void
qms_limit_refuse(QmsLimitKind kind, int64 retry_after_usec)
{
	static const char *const what[QMS_LIMIT_KINDS] = {
		[QMS_LIMIT_LOGIN] = "login", [QMS_LIMIT_OTP] = "passcode", [QMS_LIMIT_PAIR] = "pairing",
		[QMS_LIMIT_JOIN_SUBJECT] = "join", [QMS_LIMIT_JOIN_ADDRESS] = "join", [QMS_LIMIT_CREATE] = "ticket",
		[QMS_LIMIT_STAFF] = "join", [QMS_LIMIT_APPLICATION] = "join", [QMS_LIMIT_DEVICE] = "join"
	};
	int64		seconds = Max(1, (retry_after_usec + USECS_PER_SEC - 1) / USECS_PER_SEC);
	QmsHttpError error = {0};

	error.status = 429;
	error.sqlstate = ERRCODE_QMS_TOO_MANY;
	error.message = psprintf("too many %s requests", what[kind]);
	error.detail = "More came from this caller than the limits of the organization allow.";
	error.hint = psprintf("Try again in %lld s.", (long long) seconds);
	error.retry_after = seconds;
	qms_http_error(&error);
}

static void
check(QmsLimitKind kind, int64 organization_id, const char *key)
{
	int64		retry_after;

	if (!qms_limit_take(kind, organization_id, key, &retry_after))
		qms_limit_refuse(kind, retry_after);
}

static void
check_address(QmsLimitKind kind, int64 organization_id)
{
	int64		retry_after;

	if (!qms_limit_take_address(kind, organization_id, &retry_after))
		qms_limit_refuse(kind, retry_after);
}

/* Somebody known by himself: "staff:12"; one of several who share a role is the role. */
static void
check_principal(QmsLimitKind kind, int64 organization_id, const QmsPrincipal *who)
{
	check(kind, organization_id, who->id != 0 ? psprintf("%s:%lld", who->kind_name, (long long) who->id) :
		  psprintf("%s:%s", who->kind_name, who->role));
}

/* May the caller join a queue of this organization now? */
void
qms_limit_join(QmsCall *call, int64 organization_id, const char *subject)
{
	switch (call->who->kind)
	{
		case QMS_ADMIN:
		case QMS_STAFF:
			check_principal(QMS_LIMIT_STAFF, organization_id, call->who);
			break;
		case QMS_APPLICATION:
			check_principal(QMS_LIMIT_APPLICATION, organization_id, call->who);
			break;
		case QMS_KIOSK:
		case QMS_DISPLAY:
			check_principal(QMS_LIMIT_DEVICE, organization_id, call->who);
			break;
		case QMS_CUSTOMER:
			if (subject != NULL)
				check(QMS_LIMIT_JOIN_SUBJECT, organization_id, psprintf("subject:%s", subject));
			check_address(QMS_LIMIT_JOIN_ADDRESS, organization_id);
			break;
		default:
			break;
	}
}

/* ... this one, as its own settings have it? */
void
qms_limit_queue(QmsCall *call, const QmsQueue *queue, const char *subject)
{
	const char *key = psprintf("queue %lld", (long long) queue->queue_id);
	QmsNetwork	address;
	int64		retry_after;

	if (call->who->kind != QMS_CUSTOMER)
		return;
	if (subject != NULL && !take_named(OF_QUEUE, false, queue->organization_id, psprintf("%s subject:%s", key, subject),
										&queue->settings.join_subject, &retry_after))
		qms_limit_refuse(QMS_LIMIT_JOIN_SUBJECT, retry_after);
	if (qms_client_network(&address) && !is_in_branch(queue->organization_id, &address) &&
		!take_named(OF_QUEUE, false, queue->organization_id, psprintf("%s address:%s", key, qms_client_key(&address)),
					&queue->settings.join_address, &retry_after))
		qms_limit_refuse(QMS_LIMIT_JOIN_ADDRESS, retry_after);
}

/* ... and make a new ticket there? */
void
qms_limit_create(QmsCall *call, int64 organization_id, const char *subject)
{
	if (call->who->kind != QMS_CUSTOMER)
		return;
	if (subject != NULL)
		check(QMS_LIMIT_CREATE, organization_id, psprintf("subject:%s", subject));
	else
		check_address(QMS_LIMIT_CREATE, organization_id);
}
