/*
 * cache.c
 *		The configuration, remembered per backend and read again after any
 *		change (see inval.c in base).
 *
 * Rows are read with a new snapshot even inside REPEATABLE READ: whether a
 * queue is open is decided by its lock, not by when the transaction began.
 */
#include "config/config.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

typedef struct PairKey
{
	int64		a;
	int64		b;
} PairKey;

typedef struct OfferEntry
{
	PairKey		key;			/* queue, service */
	QmsOffer	offer;
	bool		found;
} OfferEntry;

typedef struct DefaultEntry
{
	PairKey		key;			/* branch, service; or queue, 0 */
	int64		id;
} DefaultEntry;

static MemoryContext context = NULL;
static uint64 context_generation = 0;
static HTAB *queues;
static HTAB *counters;
static HTAB *profiles;
static HTAB *offers;
static HTAB *defaults;
static HTAB *organizations;
static List *classes;

static HTAB *
make_table(const char *name, Size keysize, Size entrysize)
{
	HASHCTL		ctl = {0};

	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hcxt = context;
	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

MemoryContext
qms_config_context(void)
{
	return context;
}

/* For organization.c. */
HTAB *
qms_config_organizations(void)
{
	return organizations;
}

/* Drop what is out of date.  Pointers got before are not valid afterwards. */
void
qms_config_refresh(void)
{
	if (context_generation == qms_inval_generation())
		return;
	context_generation = 0;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "qms configuration", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(context);
	queues = make_table("qms queues", sizeof(int64), sizeof(QmsQueue));
	counters = make_table("qms counters", sizeof(int64), sizeof(QmsCounter));
	profiles = make_table("qms profiles", sizeof(int64), sizeof(QmsProfile));
	offers = make_table("qms offers", sizeof(PairKey), sizeof(OfferEntry));
	defaults = make_table("qms defaults", sizeof(PairKey), sizeof(DefaultEntry));
	organizations = make_table("qms organizations", sizeof(int64), sizeof(QmsOrganization));
	classes = NIL;
	context_generation = qms_inval_generation();
}

/* A text of the current result, in the cache's context. */
static char *
keep_text(int column)
{
	char	   *value = qms_spi_text(0, column);

	return value ? MemoryContextStrdup(context, value) : NULL;
}

/* An entry that could not be completed must not stay. */
static void *
look_up(HTAB *table, const void *key, bool *found)
{
	return hash_search(table, key, HASH_FIND, found);
}

QmsQueue *
qms_config_queue(int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.organization_id, q.branch_id, q.application_id, q.kind = 'release', q.status, "
								   "q.prefix, q.name, q.by_class, coalesce(b.time_zone, o.time_zone), q.settings, "
								   "EXISTS (SELECT 1 FROM qms.counter_profile p WHERE p.branch_id = q.branch_id AND p.auto_call "
								   " AND p.deleted_at IS NULL), "
								   "q.release_pool_id, l.rate, l.max_active "
								   "FROM qms.queue q JOIN qms.organization o ON o.organization_id = q.organization_id "
								   "LEFT JOIN qms.branch b ON b.branch_id = q.branch_id "
								   "LEFT JOIN qms.application a ON a.application_id = q.application_id "
								   "LEFT JOIN qms.release_pool l ON l.release_pool_id = q.release_pool_id "
								   "WHERE q.queue_id = $1 AND q.deleted_at IS NULL AND o.deleted_at IS NULL "
								   "AND b.deleted_at IS NULL AND a.deleted_at IS NULL", INT8OID);
	QmsParams	params = {0};
	QmsQueue	read = {0};
	QmsQueue   *entry;
	bool		found;
	bool		isnull;
	MemoryContext old;

	entry = look_up(queues, &queue_id, &found);
	if (found)
		return entry;
	qms_param_int64(&params, queue_id);
	if (qms_spi_look(&plan, &params) == 0)
		return NULL;
	read.queue_id = queue_id;
	read.organization_id = qms_spi_int64(0, 0);
	read.branch_id = qms_spi_int64(0, 1);
	read.application_id = qms_spi_int64(0, 2);
	read.is_release = qms_spi_bool(0, 3);
	read.status = *qms_spi_text(0, 4);
	if (!qms_spi_isnull(0, 5))
		strlcpy(read.prefix, qms_spi_text(0, 5), sizeof(read.prefix));
	read.name = keep_text(6);
	read.by_class = qms_spi_bool(0, 7);
	read.zone = qms_zone_by_name(qms_spi_text(0, 8));
	old = MemoryContextSwitchTo(context);
	qms_settings_parse(DatumGetJsonbP(qms_spi_datum(0, 9, &isnull)), read.is_release, &read.settings);
	MemoryContextSwitchTo(old);
	read.calls_itself = qms_spi_bool(0, 10);
	qms_config_read_pool(&read, 11);
	entry = hash_search(queues, &queue_id, HASH_ENTER, &found);
	*entry = read;
	return entry;
}

/* Sources of a profile from its JSON; the set-up functions have checked them. */
static void
parse_sources(Jsonb *json, QmsProfile *profile)
{
	JsonbIterator *it = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	v;
	int			n = JB_ROOT_COUNT(json);

	profile->sources = MemoryContextAllocZero(context, sizeof(QmsSource) * Max(n, 1));
	profile->nsources = 0;
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		QmsSource  *source;
		Jsonb	   *object;
		JsonbValue	buffer;
		JsonbValue *weight;
		char	   *class_name;

		if (token != WJB_ELEM || profile->nsources >= n)
			continue;
		object = JsonbValueToJsonb(&v);
		source = &profile->sources[profile->nsources];
		if (!qms_jsonb_int64(object, "queue_id", &source->queue_id))
			continue;
		weight = getKeyJsonValueFromContainer(&object->root, "weight", 6, &buffer);
		source->weight = weight && weight->type == jbvNumeric ?
			DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(weight->val.numeric))) : 1.0;
		class_name = qms_jsonb_text(object, "customer_class");
		if (class_name != NULL)
		{
			QmsClass   *class = qms_config_class(profile->organization_id, class_name);

			if (class == NULL)
				continue;
			source->customer_class_id = class->customer_class_id;
		}
		profile->nsources++;
	}
}

QmsPolicy
qms_policy_by_name(const char *name)
{
	QmsPolicy	policy;

	for (policy = 0; policy < QMS_POLICIES; policy++)
	{
		if (strcmp(qms_policy_name(policy), name) == 0)
			return policy;
	}
	return QMS_POLICIES;
}

const char *
qms_policy_name(QmsPolicy policy)
{
	static const char *const names[QMS_POLICIES] = {"fifo", "strict", "ratio", "weighted"};

	return names[policy];
}

QmsProfile *
qms_config_profile(int64 counter_profile_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT organization_id, branch_id, policy, blind, auto_call, sources "
								   "FROM qms.counter_profile WHERE counter_profile_id = $1 AND deleted_at IS NULL",
								   INT8OID);
	QmsParams	params = {0};
	QmsProfile	read = {0};
	QmsProfile *entry;
	Jsonb	   *sources = NULL;
	bool		found;
	bool		isnull;

	entry = look_up(profiles, &counter_profile_id, &found);
	if (found)
		return entry;
	qms_param_int64(&params, counter_profile_id);
	if (qms_spi_look(&plan, &params) == 0)
		return NULL;
	read.counter_profile_id = counter_profile_id;
	read.organization_id = qms_spi_int64(0, 0);
	read.branch_id = qms_spi_int64(0, 1);
	read.policy = qms_policy_by_name(qms_spi_text(0, 2));
	read.blind = qms_spi_bool(0, 3);
	read.auto_call = qms_spi_bool(0, 4);
	if (!qms_spi_isnull(0, 5))
		sources = DatumGetJsonbPCopy(qms_spi_datum(0, 5, &isnull));
	/* No sources: those of the counter, whose profile is asked for then. */
	if (sources != NULL)
		parse_sources(sources, &read);
	entry = hash_search(profiles, &counter_profile_id, HASH_ENTER, &found);
	*entry = read;
	return entry;
}

QmsCounter *
qms_config_counter(int64 counter_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT c.organization_id, c.branch_id, c.zone_id, c.name, c.queue_ids "
								   "FROM qms.counter c JOIN qms.branch b ON b.branch_id = c.branch_id "
								   "JOIN qms.organization o ON o.organization_id = c.organization_id "
								   "WHERE c.counter_id = $1 AND c.deleted_at IS NULL AND b.deleted_at IS NULL "
								   "AND o.deleted_at IS NULL", INT8OID);
	QmsParams	params = {0};
	QmsCounter	read = {0};
	QmsCounter *entry;
	bool		found;
	bool		isnull;
	int64	   *queue_ids;
	int			n;
	int			i;

	entry = look_up(counters, &counter_id, &found);
	if (found)
		return entry;
	qms_param_int64(&params, counter_id);
	if (qms_spi_look(&plan, &params) == 0)
		return NULL;
	read.counter_id = counter_id;
	read.organization_id = qms_spi_int64(0, 0);
	read.branch_id = qms_spi_int64(0, 1);
	read.zone_id = qms_spi_int64(0, 2);
	read.name = keep_text(3);
	queue_ids = qms_array_read(qms_spi_datum(0, 4, &isnull), &n);
	read.profile.organization_id = read.organization_id;
	read.profile.branch_id = read.branch_id;
	read.profile.policy = QMS_FIFO;
	read.profile.nsources = n;
	read.profile.sources = MemoryContextAllocZero(context, sizeof(QmsSource) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		read.profile.sources[i].queue_id = queue_ids[i];
		read.profile.sources[i].weight = 1.0;
	}
	entry = hash_search(counters, &counter_id, HASH_ENTER, &found);
	*entry = read;
	return entry;
}

/* Read one class into the list of those known. */
static QmsClass *
keep_class(void)
{
	QmsClass   *class = MemoryContextAllocZero(context, sizeof(QmsClass));
	MemoryContext old;
	bool		isnull;

	class->customer_class_id = qms_spi_int64(0, 0);
	class->organization_id = qms_spi_int64(0, 1);
	class->name = keep_text(2);
	class->credit = qms_interval_usec(DatumGetIntervalP(qms_spi_datum(0, 3, &isnull)), NULL);
	class->self_service = qms_spi_bool(0, 4);
	class->deleted = qms_spi_bool(0, 5);
	old = MemoryContextSwitchTo(context);
	classes = lappend(classes, class);
	MemoryContextSwitchTo(old);
	return class;
}

QmsClass *
qms_config_class(int64 organization_id, const char *name)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT customer_class_id, organization_id, name, credit, self_service, deleted_at IS NOT NULL "
								   "FROM qms.customer_class WHERE organization_id = $1 AND name = $2 AND deleted_at IS NULL",
								   INT8OID, TEXTOID);
	QmsParams	params = {0};
	ListCell   *cell;

	foreach(cell, classes)
	{
		QmsClass   *class = lfirst(cell);

		if (class->organization_id == organization_id && !class->deleted && strcmp(class->name, name) == 0)
			return class;
	}
	qms_param_int64(&params, organization_id);
	qms_param_text(&params, name);
	return qms_spi_look(&plan, &params) == 0 ? NULL : keep_class();
}

/* Of a deleted class too: tickets keep theirs. */
QmsClass *
qms_config_class_by_id(int64 customer_class_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT customer_class_id, organization_id, name, credit, self_service, deleted_at IS NOT NULL "
								   "FROM qms.customer_class WHERE customer_class_id = $1", INT8OID);
	QmsParams	params = {0};
	ListCell   *cell;

	foreach(cell, classes)
	{
		QmsClass   *class = lfirst(cell);

		if (class->customer_class_id == customer_class_id)
			return class;
	}
	qms_param_int64(&params, customer_class_id);
	return qms_spi_look(&plan, &params) == 0 ? NULL : keep_class();
}

/* How a queue offers a service; NULL if it does not. */
QmsOffer *
qms_config_offer(int64 queue_id, int64 service_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.credit, s.expected_duration, "
								   "(SELECT pg_catalog.array_agg(DISTINCT k) FROM pg_catalog.unnest(s.requires_skill || f.requires_skill) k) "
								   "FROM qms.service_offer f JOIN qms.service s ON s.service_id = f.service_id "
								   "WHERE f.queue_id = $1 AND f.service_id = $2 AND f.deleted_at IS NULL AND s.deleted_at IS NULL",
								   INT8OID, INT8OID);
	QmsParams	params = {0};
	PairKey		key = {queue_id, service_id};
	OfferEntry *entry;
	OfferEntry	read;
	Datum		value;
	bool		found;
	bool		isnull;

	entry = look_up(offers, &key, &found);
	if (found)
		return entry->found ? &entry->offer : NULL;
	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, service_id);
	memset(&read, 0, sizeof(read));
	read.key = key;
	read.offer.queue_id = queue_id;
	read.offer.service_id = service_id;
	if (qms_spi_look(&plan, &params) > 0)
	{
		read.found = true;
		read.offer.credit = qms_interval_usec(DatumGetIntervalP(qms_spi_datum(0, 0, &isnull)), NULL);
		value = qms_spi_datum(0, 1, &isnull);
		read.offer.expected_duration = isnull ? 0 : qms_interval_usec(DatumGetIntervalP(value), NULL);
		value = qms_spi_datum(0, 2, &isnull);
		if (!isnull)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			read.offer.requires_skill = DatumGetArrayTypePCopy(value);
			MemoryContextSwitchTo(old);
		}
	}
	entry = hash_search(offers, &key, HASH_ENTER, &found);
	*entry = read;
	return entry->found ? &entry->offer : NULL;
}

/* An id that a statement of two parameters answers, remembered; 0 if none. */
static int64
remembered_id(QmsPlan *plan, int64 a, int64 b)
{
	QmsParams	params = {0};
	PairKey		key = {a, b};
	DefaultEntry *entry;
	int64		id = 0;
	bool		found;

	entry = look_up(defaults, &key, &found);
	if (found)
		return entry->id;
	qms_param_int64(&params, a);
	if (plan->nargs == 2)
		qms_param_int64(&params, b);
	if (qms_spi_look(plan, &params) > 0)
		id = qms_spi_int64(0, 0);
	entry = hash_search(defaults, &key, HASH_ENTER, &found);
	entry->id = id;
	return id;
}

/* The queue for a service in a branch. */
int64
qms_config_default_queue(int64 branch_id, int64 service_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT f.queue_id FROM qms.service_offer f "
								   "JOIN qms.queue q ON q.queue_id = f.queue_id AND q.deleted_at IS NULL "
								   "WHERE f.branch_id = $1 AND f.service_id = $2 AND f.deleted_at IS NULL "
								   "ORDER BY f.is_default DESC, f.service_offer_id LIMIT 1", INT8OID, INT8OID);

	return remembered_id(&plan, branch_id, service_id);
}

/* The service of a queue that offers a single one; else 0. */
int64
qms_config_only_service(int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.min(f.service_id) FROM qms.service_offer f "
								   "JOIN qms.service s ON s.service_id = f.service_id AND s.deleted_at IS NULL "
								   "WHERE f.queue_id = $1 AND f.deleted_at IS NULL HAVING pg_catalog.count(*) = 1", INT8OID);

	return remembered_id(&plan, queue_id, 0);
}
