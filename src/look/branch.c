/*
 * branch.c
 *		A branch as everybody may see it, and as its staff watch it.
 */
#include "look/look.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* Columns of qms.branch_queue that are completed in C. */
#define LINE_QUEUE_ID		0
#define LINE_WAITING		5
#define LINE_WAITING_EXACT	6

/*
 * The branch of two slugs; the same error for one that is not there and for one
 * that the caller may not see.
 */
static int64
branch_of_slugs(QmsCall *call, const char *organization, const char *branch)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.organization_id, b.branch_id FROM qms.organization o "
								   "JOIN qms.branch b ON b.organization_id = o.organization_id "
								   "WHERE o.slug = $1 AND b.slug = $2 AND o.deleted_at IS NULL AND b.deleted_at IS NULL",
								   TEXTOID, TEXTOID);
	QmsParams	params = {0};

	qms_param_text(&params, organization);
	qms_param_text(&params, branch);
	if (qms_spi_run(&plan, &params) == 0 ||
		!(qms_gate_sees_branch(call, qms_spi_int64(0, 0), qms_spi_int64(0, 1)) || qms_gate_is_anonymous(call)))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_FOUND),
				 errmsg("branch \"%s\" of organization \"%s\" does not exist", branch, organization),
				 errdetail("It was never there, has been deleted, or belongs to another organization."),
				 errhint("Check the two slugs, and the organization of the role that asks.")));
	return qms_spi_int64(0, 1);
}

/* $1 branch, $2 now, $3 sees hidden queues; l is the branch's local time. */
#define OF_BRANCH "h.branch_id = b.branch_id"
#define OF_QUEUE "h.queue_id = q.queue_id"
#define SHOWN "q.deleted_at IS NULL AND ($3 OR q.settings -> 'public' IS DISTINCT FROM 'false')"
#define CLOSURES \
	"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"'from', " QMS_LOOK_TIME("pg_catalog.lower(c.during)") ", 'until', " QMS_LOOK_TIME("pg_catalog.upper(c.during)") ", 'reason', c.reason) " \
	"ORDER BY c.during), '[]') FROM qms.closure c WHERE c.branch_id = b.branch_id AND c.deleted_at IS NULL " \
	"AND c.during && pg_catalog.tstzrange(l.midnight AT TIME ZONE l.zone, (l.midnight + '1 day'::interval) AT TIME ZONE l.zone))"
#define ZONES \
	"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"'zone_id', z.zone_id, 'name', z.name, 'names', z.names) ORDER BY z.name, z.zone_id), '[]') " \
	"FROM qms.zone z WHERE z.branch_id = b.branch_id AND z.deleted_at IS NULL)"
#define SERVICES \
	"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"'service_id', s.service_id, 'slug', s.slug, 'name', s.name, 'names', s.names, 'code', s.code, " \
	"'expected_seconds', extract(epoch FROM s.expected_duration)::float8, 'queue_id', q.queue_id, 'is_default', f.is_default) " \
	"ORDER BY s.name, s.service_id, f.is_default DESC, q.queue_id), '[]') " \
	"FROM qms.service_offer f JOIN qms.service s ON s.service_id = f.service_id AND s.deleted_at IS NULL " \
	"JOIN qms.queue q ON q.queue_id = f.queue_id WHERE f.branch_id = b.branch_id AND f.deleted_at IS NULL AND " SHOWN ")"
#define QUEUES \
	"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"'queue_id', q.queue_id, 'slug', q.slug, 'name', q.name, 'names', q.names, 'kind', q.kind, 'prefix', q.prefix, " \
	"'status', q.status, 'opening_hours', CASE WHEN " QMS_LOOK_HAS_HOURS(OF_QUEUE) " THEN " \
	QMS_LOOK_OPEN_SPANS(OF_QUEUE, "l.now") " END) ORDER BY q.name, q.queue_id), '[]') " \
	"FROM qms.queue q WHERE q.branch_id = b.branch_id AND " SHOWN ")"
#define COUNTERS \
	"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(" \
	"'counter_id', c.counter_id, 'slug', c.slug, 'name', c.name, 'names', c.names, 'zone_id', c.zone_id, " \
	"'status', CASE WHEN s.staff_session_id IS NULL THEN 'closed' WHEN s.paused_at IS NULL THEN 'open' ELSE 'paused' END) " \
	"ORDER BY c.name, c.counter_id), '[]') FROM qms.counter c " \
	"LEFT JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL " \
	"WHERE c.branch_id = b.branch_id AND c.deleted_at IS NULL)"
#define CLASSES \
	"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', k.name, 'names', k.names) " \
	"ORDER BY k.name), '[]') FROM qms.customer_class k " \
	"WHERE k.organization_id = b.organization_id AND k.deleted_at IS NULL AND k.self_service)"

QMS_FUNCTION(branch_info, QMS_ACT_PUBLIC, 0)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT o.organization_id, o.slug, o.name, o.names, b.branch_id, b.slug, b.name, b.names, "
								   "l.zone, l.now::date, "
								   "NOT " QMS_LOOK_IS_CLOSURE("b.branch_id", "$2") " AND (NOT " QMS_LOOK_HAS_HOURS(OF_BRANCH)
								   " OR " QMS_LOOK_OPEN_NOW(OF_BRANCH, "l.now") "), "
								   "CASE WHEN " QMS_LOOK_HAS_HOURS(OF_BRANCH) " THEN " QMS_LOOK_OPEN_SPANS(OF_BRANCH, "l.now") " END, "
								   CLOSURES ", " ZONES ", " SERVICES ", " QUEUES ", " COUNTERS ", " CLASSES " "
								   "FROM qms.branch b JOIN qms.organization o ON o.organization_id = b.organization_id, "
								   "LATERAL (SELECT coalesce(b.time_zone, o.time_zone) AS zone, "
								   "$2 AT TIME ZONE coalesce(b.time_zone, o.time_zone) AS now, "
								   "pg_catalog.date_trunc('day', $2 AT TIME ZONE coalesce(b.time_zone, o.time_zone)) AS midnight) l "
								   "WHERE b.branch_id = $1", INT8OID, TIMESTAMPTZOID, BOOLOID);
	char	   *organization = qms_arg_text(call, 0, "organization_slug");
	char	   *branch = qms_arg_text(call, 1, "branch_slug");
	QmsParams	params = {0};
	Datum	   *values;
	bool	   *nulls;

	qms_param_int64(&params, branch_of_slugs(call, organization, branch));
	qms_param_time(&params, call->now);
	qms_param_bool(&params, qms_gate_sees_hidden(call));
	qms_spi_run(&plan, &params);
	qms_look_fetch(call, 0, &values, &nulls);
	return qms_answer_tuple(call, values, nulls);
}

/* More wait than were counted: take the estimate that customers are told. */
static void
complete_line(QmsCall *call, Datum *values)
{
	QmsQueue   *queue = qms_config_queue(DatumGetInt64(values[LINE_QUEUE_ID]));
	QmsPlace	place;

	if (queue == NULL || DatumGetInt64(values[LINE_WAITING]) <= QMS_LOOK_COUNTED)
		return;
	qms_place_of(queue, PG_INT64_MAX, PG_INT64_MAX, call->now, &place);
	values[LINE_WAITING] = Int64GetDatum(Max(place.people_ahead, QMS_LOOK_COUNTED + 1));
	values[LINE_WAITING_EXACT] = BoolGetDatum(false);
}

/* $1 branch, $2 now, $3 beginning of today, $4 where counting ends. */
#define WAITING \
	"(SELECT pg_catalog.count(*) AS n, pg_catalog.min(w.entered_at) AS oldest FROM (SELECT t.entered_at FROM qms.ticket t " \
	"WHERE t.queue_id = q.queue_id AND t.state = 'waiting' ORDER BY t.sort_key, t.ticket_id LIMIT $4) w) w"
#define HELD \
	"(SELECT pg_catalog.count(*) FROM qms.ticket t WHERE t.queue_id = q.queue_id AND t.state = 'on_hold')"
#define AT_COUNTERS \
	"(SELECT pg_catalog.count(*) FILTER (WHERE t.state = 'called') AS called, " \
	"pg_catalog.count(*) FILTER (WHERE t.state = 'serving') AS serving FROM qms.counter c " \
	"JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL " \
	"JOIN qms.ticket t ON t.ticket_id = s.current_ticket_id AND t.state IN ('called', 'serving') " \
	"WHERE c.branch_id = $1 AND c.deleted_at IS NULL AND t.queue_id = q.queue_id) a"
#define AT_WORK \
	"(SELECT pg_catalog.count(*) FILTER (WHERE s.paused_at IS NULL) AS open, " \
	"pg_catalog.count(*) FILTER (WHERE s.paused_at IS NOT NULL) AS paused FROM qms.counter c " \
	"JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL " \
	"LEFT JOIN qms.counter_profile p ON p.counter_profile_id = s.counter_profile_id AND p.deleted_at IS NULL " \
	"WHERE c.branch_id = $1 AND c.deleted_at IS NULL AND CASE WHEN p.sources IS NULL THEN q.queue_id = ANY (c.queue_ids) " \
	"ELSE p.sources @> pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('queue_id', q.queue_id)) END) o"
#define SERVED \
	"(SELECT pg_catalog.count(*) FROM qms.ticket_history t WHERE t.queue_id = q.queue_id AND t.ended_at >= $3 " \
	"AND t.state = 'completed' AND NOT t.simulated)"

QmsPlan		qms_look_queues_of_branch = QMS_PLAN(
												 "SELECT q.queue_id, q.name, q.names, q.kind, q.status, w.n, true, " HELD ", a.called, a.serving, "
												 "$2 - w.oldest, o.open::int, o.paused::int, " SERVED " "
												 "FROM qms.queue q, LATERAL " WAITING ", LATERAL " AT_COUNTERS ", LATERAL " AT_WORK " "
												 "WHERE q.branch_id = $1 AND q.deleted_at IS NULL ORDER BY q.name, q.queue_id",
												 INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID);

QMS_FUNCTION(branch_status, QMS_ACT_LOOK, QMS_SETOF)
{
	int64		branch_id = qms_arg_id(call, 0, "branch_id");
	QmsLookBranch branch;
	QmsParams	params = {0};
	Datum	  **values;
	bool	  **nulls;
	uint64		n;
	uint64		i;

	qms_look_branch(call, branch_id, &branch);
	qms_param_int64(&params, branch_id);
	qms_param_time(&params, call->now);
	qms_param_time(&params, branch.midnight);
	qms_param_int64(&params, QMS_LOOK_COUNTED + 1);
	n = qms_spi_run(&qms_look_queues_of_branch, &params);
	values = palloc(sizeof(Datum *) * Max(n, 1));
	nulls = palloc(sizeof(bool *) * Max(n, 1));
	/* Completing looks up more, and so replaces the result. */
	for (i = 0; i < n; i++)
		qms_look_fetch(call, i, &values[i], &nulls[i]);
	for (i = 0; i < n; i++)
	{
		complete_line(call, values[i]);
		qms_answer_row(call, values[i], nulls[i]);
	}
	return qms_answer_none(call);
}
