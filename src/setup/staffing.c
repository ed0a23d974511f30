/*
 * staffing.c
 *		Plans of how many counters work for a queue in the course of a week.
 */
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/numeric.h"

#define MAX_SPANS 7 * 24
#define MOST_COUNTERS 1000

typedef struct Span
{
	int			weekday;		/* 1 is Monday */
	int64		begins;			/* microseconds after midnight */
	int64		ends;
	int32		counters;
} Span;

typedef struct WeekPlan
{
	int			n;
	Span		spans[MAX_SPANS];
} WeekPlan;

static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static pg_attribute_noreturn() void
bad_plan(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_INVALID_HOURS),
			 errmsg("invalid staffing plan: %s", message),
			 errdetail("A plan is an object of days mon to sun, each an array of spans, such as {\"mon\": [[\"08:00\", \"10:00\", 2], [\"10:00\", \"12:00\", 4]]}."),
			 errhint("%s", hint)));
}

static int64
read_time(const JsonbContainer *span, int i, const char *day)
{
	JsonbValue *v = getIthJsonbValueFromContainer(unconstify(JsonbContainer *, span), i);
	int64		time = -1;

	if (v->type == jbvString)
		time = qms_time_of_day(pnstrdup(v->val.string.val, v->val.string.len));
	if (time < 0)
		bad_plan(psprintf("\"%s\" has something that is no time", day),
				 "Write times as \"08:00\" or \"08:00:00\", and midnight at the end of a day as \"24:00\".");
	return time;
}

static int32
read_counters(const JsonbContainer *span, const char *day)
{
	JsonbValue *v = getIthJsonbValueFromContainer(unconstify(JsonbContainer *, span), 2);
	double		counters = -1;

	if (v->type == jbvNumeric)
		counters = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(v->val.numeric)));
	if (!(counters >= 0 && counters <= MOST_COUNTERS) || counters != (int32) counters)
		bad_plan(psprintf("\"%s\" has something that is no number of counters", day),
				 "Write a whole number from 0 to 1000.");
	return (int32) counters;
}

static void
read_span(WeekPlan *plan, int day, const JsonbValue *v)
{
	const JsonbContainer *container = v->type == jbvBinary ? v->val.binary.data : NULL;
	Span	   *span = &plan->spans[plan->n];
	int			i;

	if (container == NULL || !JsonContainerIsArray(container) || JsonContainerSize(container) != 3)
		bad_plan(psprintf("\"%s\" is not an array of spans", days[day]), "Write a span as [\"08:00\", \"12:00\", 2].");
	if (plan->n == MAX_SPANS)
		bad_plan("it has too many spans", "Give at most 168 in all.");
	span->weekday = day + 1;
	span->begins = read_time(container, 0, days[day]);
	span->ends = read_time(container, 1, days[day]);
	span->counters = read_counters(container, days[day]);
	if (span->begins >= span->ends)
		bad_plan(psprintf("on \"%s\" a span ends before it begins", days[day]),
				 "Past midnight, write the rest under the next day.");
	for (i = 0; i < plan->n; i++)
	{
		const Span *other = &plan->spans[i];

		if (other->weekday == span->weekday && other->begins < span->ends && span->begins < other->ends)
			bad_plan(psprintf("two spans of \"%s\" overlap", days[day]), "Give each moment one number of counters.");
	}
	plan->n++;
}

static void
read_day(WeekPlan *plan, const char *key, const JsonbValue *v)
{
	int			day;
	int			nspans;
	int			i;

	for (day = 0; day < 7 && strcmp(days[day], key) != 0; day++)
		;
	if (day == 7)
		bad_plan(psprintf("there is no day \"%s\"", key), "Days are mon, tue, wed, thu, fri, sat and sun.");
	if (v->type == jbvNull)
		return;
	if (v->type != jbvBinary || !JsonContainerIsArray(v->val.binary.data))
		bad_plan(psprintf("\"%s\" is not an array of spans", days[day]), "Write a day as [[\"08:00\", \"12:00\", 2]].");
	nspans = JsonContainerSize(v->val.binary.data);
	for (i = 0; i < nspans; i++)
		read_span(plan, day, getIthJsonbValueFromContainer(v->val.binary.data, i));
}

static void
read_plan(const Jsonb *json, WeekPlan *plan)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	JsonbValue	scalar;
	char	   *key = NULL;

	plan->n = 0;
	if (json == NULL || (JsonbExtractScalar(unconstify(JsonbContainer *, &json->root), &scalar) && scalar.type == jbvNull))
		return;
	if (!JB_ROOT_IS_OBJECT(json))
		bad_plan("it is not an object", "Give null to remove it.");
	it = JsonbIteratorInit(unconstify(JsonbContainer *, &json->root));
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
			read_day(plan, key, &v);
	}
}

/* Organization and branch of the queue, after the gate. */
static void
find_queue(QmsCall *call, int64 queue_id, int64 *organization_id, int64 *branch_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.organization_id, q.branch_id FROM qms.queue q "
								   "WHERE q.queue_id = $1 AND q.deleted_at IS NULL", INT8OID);

	*organization_id = qms_setup_organization_of(&plan, "queue", queue_id);
	*branch_id = qms_spi_int64(0, 1);
	qms_setup_gate(call, *organization_id, *branch_id, 0, "queue", queue_id);
	if (*branch_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_WRONG_QUEUE_KIND),
				 errmsg("queue %lld is a waiting room", (long long) queue_id),
				 errdetail("No counters work for it."),
				 errhint("Set its rate with qms.set_release_rate().")));
}

/* The plan there is, as one would give it: {"staffing_plan": {...}}. */
static Jsonb *
plan_before(int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.jsonb_build_object('staffing_plan', coalesce(pg_catalog.jsonb_object_agg("
								   "('{mon,tue,wed,thu,fri,sat,sun}'::pg_catalog.text[])[d.weekday], d.spans), '{}')) FROM ("
								   "SELECT weekday, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(pg_catalog.to_char(begins, 'HH24:MI'), "
								   "pg_catalog.to_char(ends, 'HH24:MI'), counters) ORDER BY begins) AS spans FROM qms.staffing_plan "
								   "WHERE queue_id = $1 GROUP BY weekday) d", INT8OID);
	QmsParams	params = {0};
	bool		isnull;

	qms_param_int64(&params, queue_id);
	qms_spi_run(&plan, &params);
	return DatumGetJsonbPCopy(qms_spi_datum(0, 0, &isnull));
}

/* Write one row and answer it. */
static void
write_span(QmsCall *call, int64 organization_id, int64 branch_id, int64 queue_id, const Span *span)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.staffing_plan (organization_id, branch_id, queue_id, weekday, begins, ends, counters) "
								   "VALUES ($1, $2, $3, $4, $5, $6, $7) "
								   "RETURNING staffing_plan_id, organization_id, branch_id, queue_id, weekday, begins, ends, counters",
								   INT8OID, INT8OID, INT8OID, INT4OID, TIMEOID, TIMEOID, INT4OID);
	QmsParams	params = {0};
	Datum		values[8];
	bool		nulls[8];
	size_t		i;

	qms_param_int64(&params, organization_id);
	qms_param_id(&params, branch_id);
	qms_param_int64(&params, queue_id);
	qms_param_int32(&params, span->weekday);
	qms_param_datum(&params, TimeADTGetDatum(span->begins));
	qms_param_datum(&params, TimeADTGetDatum(span->ends));
	qms_param_int32(&params, span->counters);
	qms_spi_run(&plan, &params);
	for (i = 0; i < lengthof(values); i++)
		values[i] = qms_spi_datum(0, i, &nulls[i]);
	qms_answer_row(call, values, nulls);
}

/* Lock: that of all set-up of the organization, see thing.c. */
QMS_FUNCTION(set_staffing_plan, QMS_ACT_SETUP, QMS_MUTATES | QMS_SETOF)
{
	static QmsPlan remove = QMS_PLAN("DELETE FROM qms.staffing_plan WHERE queue_id = $1", INT8OID);
	FunctionCallInfo fcinfo = call->fcinfo;
	int64		queue_id = qms_arg_id(call, 0, "queue_id");
	Jsonb	   *json = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	WeekPlan	   *plan = palloc(sizeof(WeekPlan));
	QmsParams	params = {0};
	int64		organization_id;
	int64		branch_id;
	Jsonb	   *before;
	QmsJson		data;
	int			i;

	find_queue(call, queue_id, &organization_id, &branch_id);
	qms_lock(QMS_LOCK_SETUP, organization_id, true);
	find_queue(call, queue_id, &organization_id, &branch_id);
	read_plan(json, plan);
	before = plan_before(queue_id);
	qms_param_int64(&params, queue_id);
	qms_spi_run(&remove, &params);
	for (i = 0; i < plan->n; i++)
		write_span(call, organization_id, branch_id, queue_id, &plan->spans[i]);
	qms_json_begin(&data);
	if (plan->n > 0)
		qms_json_jsonb(&data, "staffing_plan", json);
	else
	{
		qms_json_begin_object(&data, "staffing_plan");
		qms_json_end_object(&data);
	}
	qms_event_change(call, "queue", "updated", organization_id, branch_id, queue_id, before, qms_json_end(&data));
	return qms_answer_none(call);
}
