/*
 * queue.c
 *		A queue as everybody may see it.
 */
#include "look/look.h"

#include "catalog/pg_type.h"

/* Columns of qms.queue_state that are completed in C. */
enum
{
	Q_waiting = 10, Q_waiting_exact, Q_wait_p10, Q_wait_p50, Q_wait_p90, Q_open_counters, Q_is_open, Q_opening_hours,
	Q_released, Q_abandoned, Q_rate, Q_counted_at
};

/* $1 queue, $2 now; l is its local time. */
#define OF_QUEUE "h.queue_id = q.queue_id"
#define OF_BRANCH "h.branch_id = q.branch_id"
#define SERVING \
	"(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('number', n.number, 'state', n.state, " \
	"'counter_id', n.counter_id, 'counter_name', n.name, 'zone_id', n.zone_id, 'called_at', " QMS_LOOK_TIME("n.called_at") ") " \
	"ORDER BY n.called_at DESC, n.ticket_id DESC), '[]') FROM (SELECT t.number::text AS number, t.state, t.counter_id, c.name, " \
	"c.zone_id, t.called_at, t.ticket_id FROM qms.counter c " \
	"JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL " \
	"JOIN qms.ticket t ON t.ticket_id = s.current_ticket_id AND t.state IN ('called', 'serving') " \
	"WHERE c.branch_id = q.branch_id AND c.deleted_at IS NULL AND t.queue_id = q.queue_id ORDER BY t.called_at DESC, t.ticket_id DESC LIMIT 20) n)"

/* What a waiter tells his own place from, later on. */
static void
set_counters(QmsCall *call, const QmsQueue *queue, Datum *values, bool *nulls)
{
	QmsCounters counters;

	if (!qms_flow_counters(queue, call->now, &counters))
		return;
	values[Q_released] = Int64GetDatum(counters.released);
	values[Q_abandoned] = Int64GetDatum(counters.abandoned);
	values[Q_rate] = Float8GetDatum(counters.rate);
	values[Q_counted_at] = TimestampTzGetDatum(call->now);
	nulls[Q_released] = nulls[Q_abandoned] = nulls[Q_rate] = nulls[Q_counted_at] = false;
}

static void
set_wait(Datum *values, bool *nulls, int column, Interval *wait)
{
	nulls[column] = wait == NULL;
	values[column] = PointerGetDatum(wait);
}

/*
 * What somebody who joins now would find: the place behind everybody.  That he
 * would be told an estimate beyond 1,000 is as good for those who only look.
 */
static void
complete(QmsCall *call, QmsQueue *queue, Datum *values, bool *nulls)
{
	QmsPlace	place;
	TimestampTz closes_at;
	TimestampTz next_open;

	qms_place_of(queue, PG_INT64_MAX, PG_INT64_MAX, call->now, &place);
	values[Q_waiting] = Int64GetDatum(place.people_ahead);
	values[Q_waiting_exact] = BoolGetDatum(place.exact);
	set_wait(values, nulls, Q_wait_p10, place.p10);
	set_wait(values, nulls, Q_wait_p50, place.p50);
	set_wait(values, nulls, Q_wait_p90, place.p90);
	nulls[Q_waiting] = nulls[Q_waiting_exact] = nulls[Q_open_counters] = false;
	values[Q_open_counters] = Int32GetDatum(queue->is_release ? 0 : qms_config_open_counters(queue));
	nulls[Q_open_counters] = queue->is_release;
	values[Q_is_open] = BoolGetDatum(qms_hours_is_open(queue, call->now, &closes_at, &next_open));
	nulls[Q_is_open] = false;
	set_counters(call, queue, values, nulls);
}

QMS_FUNCTION(queue_status, QMS_ACT_PUBLIC, 0)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.queue_id, q.organization_id, q.branch_id, q.application_id, q.name, q.names, q.kind, "
								   "q.prefix, q.status, " SERVING ", NULL::bigint, NULL::boolean, NULL::interval, NULL::interval, "
								   "NULL::interval, NULL::int, NULL::boolean, "
								   "CASE WHEN " QMS_LOOK_HAS_HOURS(OF_QUEUE) " THEN " QMS_LOOK_OPEN_SPANS(OF_QUEUE, "l.now") " "
								   "WHEN " QMS_LOOK_HAS_HOURS(OF_BRANCH) " THEN " QMS_LOOK_OPEN_SPANS(OF_BRANCH, "l.now") " END, "
								   "NULL::bigint, NULL::bigint, NULL::float8, NULL::timestamptz "
								   "FROM qms.queue q JOIN qms.organization o ON o.organization_id = q.organization_id "
								   "LEFT JOIN qms.branch b ON b.branch_id = q.branch_id, "
								   "LATERAL (SELECT $2 AT TIME ZONE coalesce(b.time_zone, o.time_zone) AS now) l "
								   "WHERE q.queue_id = $1", INT8OID, TIMESTAMPTZOID);
	int64		queue_id = qms_arg_id(call, 0, "queue_id");
	QmsQueue   *queue = qms_config_queue(queue_id);
	QmsParams	params = {0};
	Datum	   *values;
	bool	   *nulls;

	if (queue == NULL)
		qms_not_found("queue", queue_id);
	qms_gate_queue(call, queue);
	if (!queue->settings.is_public && !qms_gate_sees_hidden(call))
		qms_not_found("queue", queue_id);
	qms_param_int64(&params, queue_id);
	qms_param_time(&params, call->now);
	if (qms_spi_run(&plan, &params) == 0)
		qms_not_found("queue", queue_id);
	qms_look_fetch(call, 0, &values, &nulls);
	complete(call, queue, values, nulls);
	return qms_answer_tuple(call, values, nulls);
}
