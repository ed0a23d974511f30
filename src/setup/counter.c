/*
 * counter.c
 *		Counters, and profiles that say what a counter calls in which order.
 */
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#define MAX_SOURCES 100
#define MAX_WEIGHT	1000.0

/* ---- counter ---- */

static QmsField counter_fields[] = {
	QMS_FIELD("counter_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("branch_id", QMS_F_HELD),
	QMS_FIELD("zone_id", QMS_F_OTHER),
	QMS_FIELD("name", QMS_F_NAME),
	QMS_FIELD_UNIQUE("slug", QMS_F_SLUG, QMS_IN_BRANCH),
	QMS_FIELD("names", QMS_F_NAMES),
	QMS_FIELD("queue_ids", QMS_F_OTHER),
	QMS_FIELDS_AT_END
};

static QmsUse counter_uses[] = {
	{QMS_PLAN("SELECT coalesce(m.display_name, s.staff_session_id::pg_catalog.text) FROM qms.staff_session s "
			  "LEFT JOIN qms.staff m ON m.staff_id = s.staff_id "
			  "WHERE s.counter_id = $1 AND s.closed_at IS NULL LIMIT 1", INT8OID),
	"The session of", "is still open at it.", "Close it with qms.close_counter() first."}
};

static void
set_zone(QmsSetup *setup)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT z.organization_id, z.branch_id FROM qms.zone z "
								   "WHERE z.zone_id = $1 AND z.deleted_at IS NULL", INT8OID);
	int			n = qms_setup_argument(setup, "zone_id");
	int64		zone_id;

	if (qms_arg_isnull(setup->call, n))
		return;
	zone_id = qms_setup_id_or_0(setup, n);
	if (zone_id != 0)
	{
		if (qms_setup_organization_of(&plan, "zone", zone_id) != setup->organization_id)
			qms_not_found("zone", zone_id);
		if (qms_spi_int64(0, 1) != setup->branch_id)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("zone %lld belongs to another branch", (long long) zone_id),
					 errhint("Give a zone of the same branch.")));
	}
	qms_row_set_id(setup->row, qms_setup_column(setup, "zone_id"), zone_id);
}

static void
check_counter(QmsSetup *setup)
{
	int			n = qms_setup_argument(setup, "queue_ids");
	int			column = qms_setup_column(setup, "queue_ids");

	set_zone(setup);
	if (!qms_arg_isnull(setup->call, n))
	{
		Datum		value = setup->call->fcinfo->args[n].value;
		int			nqueues;
		int64	   *queues = qms_setup_ids(value, "queue_ids", &nqueues);
		int			i;

		for (i = 0; i < nqueues; i++)
			qms_setup_counter_queue(setup, queues[i]);
		qms_row_set_datum(setup->row, column, value);
	}
	else if (setup->creating)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument queue_ids of qms.create_counter must not be null"),
				 errhint("Give the queues that the counter serves, or '{}' for none yet.")));
}

static QmsThing counter = {
	.name = "counter", .noun = "counter", .owner = QMS_OWNER_BRANCH,
	QMS_FIELDS(counter_fields), QMS_USES(counter_uses), .check = check_counter
};

QMS_FUNCTION(create_counter, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &counter);
}

QMS_FUNCTION(update_counter, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &counter);
}

QMS_FUNCTION(delete_counter, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &counter);
}

/* ---- counter_profile ---- */

static QmsField counter_profile_fields[] = {
	QMS_FIELD("counter_profile_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("branch_id", QMS_F_HELD),
	QMS_FIELD_UNIQUE("name", QMS_F_NAME, QMS_IN_BRANCH),
	QMS_FIELD("policy", QMS_F_OTHER),
	QMS_FIELD("sources", QMS_F_OTHER),
	QMS_FIELD("blind", QMS_F_BOOL),
	QMS_FIELD("auto_call", QMS_F_BOOL),
	QMS_FIELDS_AT_END
};

static QmsUse counter_profile_uses[] = {
	{QMS_PLAN("SELECT c.name FROM qms.staff_session s JOIN qms.counter c ON c.counter_id = s.counter_id "
			  "WHERE s.counter_profile_id = $1 AND s.closed_at IS NULL LIMIT 1", INT8OID),
	"Counter", "is open with it.", "Close the counter with qms.close_counter() first."}
};

static pg_attribute_noreturn() void
bad_source(int number, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("source %d of the profile is not valid", number),
			 errdetail("%s", detail),
			 errhint("Write sources as [{\"queue_id\": 1, \"customer_class\": \"regular\", \"weight\": 2}, ...]; customer_class and weight may be left out.")));
}

/* One value of a source. */
static void
read_source_key(QmsSetup *setup, int number, const char *key, const JsonbValue *v, QmsSource *source)
{
	if (strcmp(key, "queue_id") == 0)
	{
		double		id = v->type == jbvNumeric ?
		DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v->val.numeric))) : 0;

		if (id < 1 || id > 9007199254740992.0 || id != floor(id))
			bad_source(number, "queue_id must be the id of a queue.");
		source->queue_id = (int64) id;
	}
	else if (strcmp(key, "customer_class") == 0)
	{
		QmsClass   *class;

		if (v->type != jbvString)
			bad_source(number, "customer_class must be the name of a class.");
		class = qms_config_class(setup->organization_id, pnstrdup(v->val.string.val, v->val.string.len));
		if (class == NULL)
			bad_source(number, psprintf("The organization has no customer class \"%s\".",
										pnstrdup(v->val.string.val, v->val.string.len)));
		source->customer_class_id = class->customer_class_id;
	}
	else if (strcmp(key, "weight") == 0)
	{
		source->weight = v->type == jbvNumeric ?
			DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v->val.numeric))) : 0;
		if (!(source->weight > 0 && source->weight <= MAX_WEIGHT))
			bad_source(number, "weight must be a number above 0 and not above 1000.");
	}
	else
		bad_source(number, psprintf("It has an unknown key \"%s\".", key));
}

static void
read_source(QmsSetup *setup, int number, const JsonbContainer *object, QmsSource *source)
{
	JsonbIterator *it = JsonbIteratorInit(unconstify(JsonbContainer *, object));
	JsonbIteratorToken token;
	JsonbValue	v;
	char	   *key = NULL;

	source->weight = 1.0;
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
			read_source_key(setup, number, key, &v, source);
	}
	if (source->queue_id == 0)
		bad_source(number, "It names no queue_id.");
	qms_setup_counter_queue(setup, source->queue_id);
}

/* Read and check the sources of a profile; NULL and 0 when it has none of its own. */
static QmsSource *
read_sources(QmsSetup *setup, const Jsonb *json, int *n)
{
	QmsSource  *sources;
	int			i;
	int			j;

	*n = 0;
	if (json == NULL)
		return NULL;
	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json) || JB_ROOT_COUNT(json) == 0 ||
		JB_ROOT_COUNT(json) > MAX_SOURCES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sources must be a JSON array of 1 to %d objects", MAX_SOURCES),
				 errhint("Write it as [{\"queue_id\": 1, \"weight\": 2}, ...], or leave it out to serve the queues of the counter.")));
	sources = palloc0(sizeof(QmsSource) * JB_ROOT_COUNT(json));
	*n = JB_ROOT_COUNT(json);
	for (i = 0; i < *n; i++)
	{
		JsonbValue *v = getIthJsonbValueFromContainer(unconstify(JsonbContainer *, &json->root), i);

		if (v->type != jbvBinary || !JsonContainerIsObject(v->val.binary.data))
			bad_source(i + 1, "It must be a JSON object.");
		read_source(setup, i + 1, v->val.binary.data, &sources[i]);
		for (j = 0; j < i; j++)
		{
			if (sources[j].queue_id == sources[i].queue_id &&
				sources[j].customer_class_id == sources[i].customer_class_id)
				bad_source(i + 1, psprintf("It repeats source %d.", j + 1));
		}
	}
	return sources;
}

static void
check_counter_profile(QmsSetup *setup)
{
	QmsCall    *call = setup->call;
	int			policy = qms_setup_column(setup, "policy");
	int			column = qms_setup_column(setup, "sources");
	int			n = qms_setup_argument(setup, "sources");
	char	   *value = qms_arg_text_or_null(call, qms_setup_argument(setup, "policy"));
	int			nsources;

	if (value == NULL && setup->creating)
		value = "fifo";
	if (value != NULL)
	{
		if (qms_policy_by_name(value) == QMS_POLICIES)
			qms_arg_choice_error("policy", value, "fifo, strict, ratio and weighted");
		qms_row_set_text(setup->row, policy, value);
	}
	if (!qms_arg_isnull(call, n))
	{
		Jsonb	   *json = DatumGetJsonbP(call->fcinfo->args[n].value);
		JsonbValue	scalar;

		/* JSON null removes them: the queues of the counter then. */
		if (JsonbExtractScalar(&json->root, &scalar) && scalar.type == jbvNull)
			json = NULL;
		(void) read_sources(setup, json, &nsources);
		qms_row_set_pointer(setup->row, column, json);
	}
	if (qms_row_isnull(setup->row, column) && strcmp(qms_row_text(setup->row, policy), "weighted") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the policy weighted needs sources"),
				 errdetail("It multiplies the waiting time of each source by its weight."),
				 errhint("Give sources => '[{\"queue_id\": 1, \"customer_class\": \"regular\", \"weight\": 2}]'.")));
}

/*
 * From now on the heads of this queue are looked up by class: its tickets go
 * into the index for that.  Lock: the queue, exclusive, against joins that do
 * not know yet; they read by_class under the shared one.
 */
static void
set_by_class(int64 queue_id)
{
	static QmsPlan mark = QMS_PLAN(
								   "UPDATE qms.queue SET by_class = true WHERE queue_id = $1 AND NOT by_class", INT8OID);
	static QmsPlan tickets = QMS_PLAN(
									  "UPDATE qms.ticket SET by_class = true WHERE queue_id = $1 AND NOT by_class", INT8OID);
	QmsParams	params = {0};

	qms_lock(QMS_LOCK_QUEUE, queue_id, true);
	qms_param_int64(&params, queue_id);
	if (qms_spi_run(&mark, &params) > 0)
		qms_spi_run(&tickets, &params);
}

static int
compare_sources(const void *a, const void *b)
{
	int64		left = ((const QmsSource *) a)->queue_id;
	int64		right = ((const QmsSource *) b)->queue_id;

	return (left > right) - (left < right);
}

/* Queues in the order of their ids, so that two profiles never wait for each other. */
static void
counter_profile_written(QmsSetup *setup)
{
	char	   *policy = qms_row_text(setup->row, qms_setup_column(setup, "policy"));
	bool		by_class = strcmp(policy, "weighted") == 0;
	QmsSource  *sources;
	int			n;
	int			i;

	sources = read_sources(setup, qms_setup_jsonb(setup->row, qms_setup_column(setup, "sources")), &n);
	for (i = 0; i < n; i++)
		by_class = by_class || sources[i].customer_class_id != 0;
	if (!by_class)
		return;
	qsort(sources, n, sizeof(QmsSource), compare_sources);
	for (i = 0; i < n; i++)
	{
		if (i == 0 || sources[i].queue_id != sources[i - 1].queue_id)
			set_by_class(sources[i].queue_id);
	}
}

static QmsThing counter_profile = {
	.name = "counter_profile", .noun = "counter profile", .owner = QMS_OWNER_BRANCH,
	QMS_FIELDS(counter_profile_fields), QMS_USES(counter_profile_uses),
	.check = check_counter_profile, .written = counter_profile_written
};

QMS_FUNCTION(create_counter_profile, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &counter_profile);
}

QMS_FUNCTION(update_counter_profile, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &counter_profile);
}

QMS_FUNCTION(delete_counter_profile, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &counter_profile);
}
