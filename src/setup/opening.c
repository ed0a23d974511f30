/*
 * opening.c
 *		Opening hours of branches and queues, and closures of branches.
 */
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#define MAX_SPANS_A_DAY 24

typedef struct Span
{
	int64		opens;			/* microseconds after midnight */
	int64		closes;
} Span;

typedef struct Week
{
	Span		spans[7][MAX_SPANS_A_DAY];
	int			nspans[7];
	int			total;
} Week;

static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static pg_attribute_noreturn() void
bad_hours(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_INVALID_HOURS),
			 errmsg("invalid opening hours: %s", message),
			 errdetail("Hours are an object of days mon to sun, each an array of pairs of times, such as {\"mon\": [[\"08:00\", \"12:00\"], [\"13:00\", \"18:00\"]]}."),
			 errhint("%s", hint)));
}

static int64
read_time(const JsonbContainer *pair, int i, const char *day)
{
	JsonbValue *v = getIthJsonbValueFromContainer(unconstify(JsonbContainer *, pair), i);
	int64		time = -1;

	if (v->type == jbvString)
		time = qms_time_of_day(pnstrdup(v->val.string.val, v->val.string.len));
	if (time < 0)
		bad_hours(psprintf("\"%s\" has something that is no time", day),
				  "Write times as \"08:00\" or \"08:00:00\", and midnight at the end of a day as \"24:00\".");
	return time;
}

/* One pair, put among those of the day in the order of time. */
static void
read_span(Week *week, int day, const JsonbValue *v)
{
	Span	   *spans = week->spans[day];
	int			n = week->nspans[day];
	Span		span;

	if (v->type != jbvBinary || !JsonContainerIsArray(v->val.binary.data) ||
		JsonContainerSize(v->val.binary.data) != 2)
		bad_hours(psprintf("\"%s\" is not an array of pairs", days[day]),
				  "Write a day as [[\"08:00\", \"12:00\"], [\"13:00\", \"18:00\"]].");
	span.opens = read_time(v->val.binary.data, 0, days[day]);
	span.closes = read_time(v->val.binary.data, 1, days[day]);
	if (span.opens >= span.closes)
		bad_hours(psprintf("on \"%s\" it closes before it opens", days[day]),
				  "Past midnight, write the rest under the next day: \"fri\": [[\"20:00\", \"24:00\"]], \"sat\": [[\"00:00\", \"02:00\"]].");
	if (n == MAX_SPANS_A_DAY)
		bad_hours(psprintf("\"%s\" has too many pairs", days[day]), "Give at most 24 a day.");
	for (; n > 0 && spans[n - 1].opens > span.opens; n--)
		spans[n] = spans[n - 1];
	spans[n] = span;
	week->nspans[day]++;
	week->total++;
}

static void
read_day(Week *week, const char *key, const JsonbValue *v)
{
	int			day;
	int			npairs;
	int			i;

	for (day = 0; day < 7; day++)
	{
		if (strcmp(days[day], key) == 0)
			break;
	}
	if (day == 7)
		bad_hours(psprintf("there is no day \"%s\"", key), "Days are mon, tue, wed, thu, fri, sat and sun.");
	if (v->type == jbvNull)
		return;
	if (v->type != jbvBinary || !JsonContainerIsArray(v->val.binary.data))
		bad_hours(psprintf("\"%s\" is not an array of pairs", days[day]),
				  "Write a day as [[\"08:00\", \"12:00\"], [\"13:00\", \"18:00\"]].");
	npairs = JsonContainerSize(v->val.binary.data);
	for (i = 0; i < npairs; i++)
		read_span(week, day, getIthJsonbValueFromContainer(v->val.binary.data, i));
	for (i = 1; i < week->nspans[day]; i++)
	{
		if (week->spans[day][i].opens < week->spans[day][i - 1].closes)
			bad_hours(psprintf("two spans of \"%s\" overlap", days[day]), "Join them into one.");
	}
}

/* Read the argument; false when there is nothing in it. */
static bool
read_week(const Jsonb *json, Week *week)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	JsonbValue	scalar;
	char	   *key = NULL;

	memset(week, 0, sizeof(*week));
	if (json == NULL || (JsonbExtractScalar(unconstify(JsonbContainer *, &json->root), &scalar) && scalar.type == jbvNull))
		return false;
	if (!JB_ROOT_IS_OBJECT(json))
		bad_hours("they are not an object", "Give null to remove them: without hours it is always open.");
	if (JB_ROOT_COUNT(json) == 0)
		return false;
	it = JsonbIteratorInit(unconstify(JsonbContainer *, &json->root));
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE)
			read_day(week, key, &v);
	}
	if (week->total == 0)
		bad_hours("no day has any", "Close the queue instead, or give null to have it always open.");
	return true;
}

/* Of what the hours are to be: fills in organization and branch, after the gate. */
static void
find_target(QmsCall *call, int64 branch_id, int64 queue_id, int64 *organization_id, int64 *event_branch)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.organization_id, q.branch_id FROM qms.queue q "
								   "WHERE q.queue_id = $1 AND q.deleted_at IS NULL", INT8OID);

	if (branch_id != 0)
	{
		*organization_id = qms_setup_branch(branch_id);
		*event_branch = branch_id;
		qms_setup_gate(call, *organization_id, branch_id, 0, "branch", branch_id);
	}
	else
	{
		*organization_id = qms_setup_organization_of(&plan, "queue", queue_id);
		*event_branch = qms_spi_int64(0, 1);
		qms_setup_gate(call, *organization_id, *event_branch, 0, "queue", queue_id);
	}
}

/* The hours there are, as one would give them: {"opening_hours": {...}}. */
static Jsonb *
hours_before(int64 branch_id, int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.jsonb_build_object('opening_hours', coalesce(pg_catalog.jsonb_object_agg("
								   "('{mon,tue,wed,thu,fri,sat,sun}'::pg_catalog.text[])[d.weekday], d.spans), '{}')) FROM ("
								   "SELECT weekday, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(pg_catalog.to_char(opens, 'HH24:MI'), "
								   "pg_catalog.to_char(closes, 'HH24:MI')) ORDER BY opens) AS spans FROM qms.opening_hours "
								   "WHERE branch_id = $1 OR queue_id = $2 GROUP BY weekday) d", INT8OID, INT8OID);
	QmsParams	params = {0};
	bool		isnull;

	qms_param_id(&params, branch_id);
	qms_param_id(&params, queue_id);
	qms_spi_run(&plan, &params);
	return DatumGetJsonbP(qms_spi_datum(0, 0, &isnull));
}

static void
remove_hours(int64 branch_id, int64 queue_id)
{
	static QmsPlan of_branch = QMS_PLAN("DELETE FROM qms.opening_hours WHERE branch_id = $1", INT8OID);
	static QmsPlan of_queue = QMS_PLAN("DELETE FROM qms.opening_hours WHERE queue_id = $1", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, branch_id != 0 ? branch_id : queue_id);
	qms_spi_run(branch_id != 0 ? &of_branch : &of_queue, &params);
}

/* Write one row and answer it. */
static void
write_span(QmsCall *call, int64 organization_id, int64 branch_id, int64 queue_id, int weekday, const Span *span)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.opening_hours (organization_id, branch_id, queue_id, weekday, opens, closes) "
								   "VALUES ($1, $2, $3, $4, $5, $6) "
								   "RETURNING opening_hours_id, organization_id, branch_id, queue_id, weekday, opens, closes",
								   INT8OID, INT8OID, INT8OID, INT4OID, TIMEOID, TIMEOID);
	QmsParams	params = {0};
	Datum		values[7];
	bool		nulls[7];
	size_t		i;

	qms_param_int64(&params, organization_id);
	qms_param_id(&params, branch_id);
	qms_param_id(&params, queue_id);
	qms_param_int32(&params, weekday);
	qms_param_datum(&params, TimeADTGetDatum(span->opens));
	qms_param_datum(&params, TimeADTGetDatum(span->closes));
	qms_spi_run(&plan, &params);
	for (i = 0; i < lengthof(values); i++)
		values[i] = qms_spi_datum(0, i, &nulls[i]);
	qms_answer_row(call, values, nulls);
}

/* Lock: that of all set-up of the organization, see thing.c. */
QMS_FUNCTION(set_opening_hours, QMS_ACT_SETUP, QMS_MUTATES | QMS_SETOF)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	Jsonb	   *json = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	int64		branch_id = qms_arg_id_or_0(call, 1, "branch_id");
	int64		queue_id = qms_arg_id_or_0(call, 2, "queue_id");
	int64		organization_id;
	int64		event_branch;
	Week		week;
	Jsonb	   *before;
	QmsJson		data;
	int			day;
	int			i;

	if ((branch_id == 0) == (queue_id == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("opening hours are those of a branch or of a queue"),
				 errhint("Give exactly one of branch_id and queue_id.")));
	find_target(call, branch_id, queue_id, &organization_id, &event_branch);
	qms_lock(QMS_LOCK_SETUP, organization_id, true);
	find_target(call, branch_id, queue_id, &organization_id, &event_branch);
	(void) read_week(json, &week);
	before = hours_before(branch_id, queue_id);
	remove_hours(branch_id, queue_id);
	for (day = 0; day < 7; day++)
	{
		for (i = 0; i < week.nspans[day]; i++)
			write_span(call, organization_id, branch_id, queue_id, day + 1, &week.spans[day][i]);
	}
	qms_json_begin(&data);
	if (week.total > 0)
		qms_json_jsonb(&data, "opening_hours", json);
	else
	{
		qms_json_begin_object(&data, "opening_hours");
		qms_json_end_object(&data);
	}
	qms_event_change(call, branch_id != 0 ? "branch" : "queue", "updated", organization_id,
					 event_branch, branch_id != 0 ? branch_id : queue_id, before, qms_json_end(&data));
	return qms_answer_none(call);
}

/* ---- closure ---- */

static QmsField closure_fields[] = {
	QMS_FIELD("closure_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("branch_id", QMS_F_HELD),
	QMS_FIELD("during", QMS_F_PLAIN),
	QMS_FIELD("reason", QMS_F_NAME),
	QMS_FIELDS_AT_END
};

static void
check_closure(QmsSetup *setup)
{
	RangeType  *during = DatumGetRangeTypeP(setup->row->values[qms_setup_column(setup, "during")]);

	if (RangeIsEmpty(during))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("during must not be empty"),
				 errhint("Write it as '[2030-12-24 12:00, 2030-12-27 00:00)'.")));
}

static QmsThing closure = {
	.name = "closure", .noun = "closure", .owner = QMS_OWNER_BRANCH,
	QMS_FIELDS(closure_fields), .check = check_closure
};

QMS_FUNCTION(add_closure, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &closure);
}

QMS_FUNCTION(update_closure, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &closure);
}

QMS_FUNCTION(delete_closure, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &closure);
}
