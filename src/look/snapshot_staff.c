/*
 * snapshot_staff.c
 *		... and what is not everybody's: a branch as its staff watch it, and a visit
 *		as the person follows it.
 */
#include "look/look.h"

#include "catalog/pg_type.h"

/* Columns of the statement of branch_status, as of qms.branch_queue. */
enum
{
	B_queue_id, B_name, B_names, B_kind, B_status, B_waiting, B_waiting_exact, B_on_hold, B_called, B_serving,
	B_longest_wait, B_open_counters, B_paused_counters, B_served_today
};

static void
write_queue_of_staff(StringInfo out, int r, const QmsMoment *moment)
{
	int64		queue_id = qms_spi_int64(r, B_queue_id);
	int64		waiting = qms_spi_int64(r, B_waiting);
	bool		isnull;
	Datum		longest = qms_spi_datum(r, B_longest_wait, &isnull);

	qms_write_begin(out, NULL, '{');
	qms_write_id(out, "queue_id", queue_id);
	qms_write_text(out, "name", qms_spi_text(r, B_name));
	qms_write_jsonb(out, "names", qms_spi_jsonb(r, B_names));
	qms_write_text(out, "kind", qms_spi_text(r, B_kind));
	qms_write_text(out, "status", qms_spi_text(r, B_status));
	qms_write_int64(out, "on_hold", qms_spi_int64(r, B_on_hold));
	qms_write_int64(out, "called", qms_spi_int64(r, B_called));
	qms_write_int64(out, "serving", qms_spi_int64(r, B_serving));
	if (!isnull)
		qms_write_duration(out, "longest_wait", qms_interval_usec(DatumGetIntervalP(longest), NULL));
	qms_write_int64(out, "open_counters", qms_spi_int32(r, B_open_counters));
	qms_write_int64(out, "paused_counters", qms_spi_int32(r, B_paused_counters));
	qms_write_int64(out, "served_today", qms_spi_int64(r, B_served_today));
	if (waiting <= QMS_LOOK_COUNTED)
	{
		qms_write_int64(out, "waiting", waiting);
		qms_write_bool(out, "waiting_exact", true);
	}
	else
	{
		SPITupleTable *rows = qms_spi_result();

		qms_figures_write(out, queue_id, NULL, moment->now);
		qms_spi_return_to(rows);
	}
	qms_write_end(out, '}');
}

static void
write_queues(StringInfo out, int64 branch_id, TimestampTz midnight, const QmsMoment *moment)
{
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, branch_id);
	qms_param_time(&params, moment->now);
	qms_param_time(&params, midnight);
	qms_param_int64(&params, QMS_LOOK_COUNTED + 1);
	n = qms_spi_look_at(&qms_look_queues_of_branch, &params, moment->snapshot);
	qms_write_begin(out, "queues", '[');
	for (i = 0; i < n; i++)
		write_queue_of_staff(out, i, moment);
	qms_write_end(out, ']');
}

/* In the order of the statement below. */
enum
{
	C_counter_id, C_name, C_names, C_zone_id, C_staff_session_id, C_staff_id, C_staff_name, C_counter_profile_id,
	C_opened_at, C_paused_at, C_pause_reason, C_idle_since, C_tickets_called, C_tickets_served, C_ticket_id,
	C_visit_id, C_queue_id, C_service_id, C_number, C_state, C_version, C_called_at, C_started_at, C_recalls
};

static void
write_current_ticket(StringInfo out, int r)
{
	qms_write_begin(out, "current_ticket", '{');
	qms_write_id(out, "ticket_id", qms_spi_int64(r, C_ticket_id));
	qms_write_id(out, "visit_id", qms_spi_int64(r, C_visit_id));
	qms_write_id(out, "queue_id", qms_spi_int64(r, C_queue_id));
	qms_write_id(out, "service_id", qms_spi_int64(r, C_service_id));
	qms_write_text(out, "number", qms_snapshot_number(r, C_number));
	qms_write_text(out, "state", qms_spi_text(r, C_state));
	qms_write_int64(out, "version", qms_spi_int32(r, C_version));
	qms_write_time(out, "called_at", qms_spi_time(r, C_called_at));
	qms_write_time(out, "started_at", qms_spi_time(r, C_started_at));
	qms_write_int64(out, "recalls", qms_spi_int32(r, C_recalls));
	qms_write_end(out, '}');
}

static void
write_counter(StringInfo out, int r)
{
	bool		is_open = !qms_spi_isnull(r, C_staff_session_id);
	bool		has_ticket = !qms_spi_isnull(r, C_ticket_id);

	qms_write_begin(out, NULL, '{');
	qms_write_id(out, "counter_id", qms_spi_int64(r, C_counter_id));
	qms_write_text(out, "name", qms_spi_text(r, C_name));
	qms_write_jsonb(out, "names", qms_spi_jsonb(r, C_names));
	qms_write_id(out, "zone_id", qms_spi_int64(r, C_zone_id));
	/* As counter_status has it. */
	qms_write_text(out, "status", !is_open ? "closed" : has_ticket ? qms_spi_text(r, C_state) :
				   qms_spi_isnull(r, C_paused_at) ? "idle" : "paused");
	if (is_open)
	{
		qms_write_id(out, "staff_session_id", qms_spi_int64(r, C_staff_session_id));
		qms_write_id(out, "staff_id", qms_spi_int64(r, C_staff_id));
		qms_write_text(out, "staff_name", qms_spi_text(r, C_staff_name));
		qms_write_id(out, "counter_profile_id", qms_spi_int64(r, C_counter_profile_id));
		qms_write_time(out, "opened_at", qms_spi_time(r, C_opened_at));
		qms_write_time(out, "paused_at", qms_spi_time(r, C_paused_at));
		qms_write_text(out, "pause_reason", qms_spi_text(r, C_pause_reason));
		qms_write_time(out, "idle_since", qms_spi_time(r, C_idle_since));
		qms_write_int64(out, "tickets_called", qms_spi_int32(r, C_tickets_called));
		qms_write_int64(out, "tickets_served", qms_spi_int32(r, C_tickets_served));
	}
	if (has_ticket)
		write_current_ticket(out, r);
	qms_write_end(out, '}');
}

static void
write_counters(StringInfo out, int64 branch_id, const QmsMoment *moment)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT c.counter_id, c.name, c.names, c.zone_id, s.staff_session_id, s.staff_id, f.display_name, "
								   "s.counter_profile_id, s.opened_at, s.paused_at, s.pause_reason, s.idle_since, s.tickets_called, s.tickets_served, "
								   "t.ticket_id, t.visit_id, t.queue_id, t.service_id, t.number, t.state, t.version, t.called_at, t.started_at, t.recalls "
								   "FROM qms.counter c LEFT JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL "
								   "LEFT JOIN qms.staff f ON f.staff_id = s.staff_id "
								   "LEFT JOIN qms.ticket t ON t.ticket_id = s.current_ticket_id AND t.state IN ('called', 'serving') "
								   "WHERE c.branch_id = $1 AND c.deleted_at IS NULL ORDER BY c.name, c.counter_id", INT8OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, branch_id);
	n = qms_spi_look_at(&plan, &params, moment->snapshot);
	qms_write_begin(out, "counters", '[');
	for (i = 0; i < n; i++)
		write_counter(out, i);
	qms_write_end(out, ']');
}

/* A branch: its queues as branch_status answers them, its counters and who is at them. */
void
qms_snapshot_staff(StringInfo out, int64 branch_id, const QmsMoment *moment)
{
	TimestampTz midnight;

	if (!qms_snapshot_branch(out, branch_id, moment, &midnight))
		return;
	write_queues(out, branch_id, midnight, moment);
	write_counters(out, branch_id, moment);
}

/* ---- visits ---- */

/* In the order of the statement below. */
enum
{
	V_ticket_id, V_queue_id, V_queue_name, V_queue_names, V_service_id, V_number, V_state, V_version, V_sort_key,
	V_joined_at, V_counter_id, V_counter_name, V_counter_names, V_zone_id, V_called_at, V_started_at, V_ended_at,
	V_recalls, V_hold_kind, V_resume_at
};

/* Where it stands in the line, as visit_status tells it. */
static void
write_place(StringInfo out, int64 queue_id, int64 sort_key, int64 ticket_id, const QmsMoment *moment)
{
	QmsQueue   *queue = qms_config_queue(queue_id);
	QmsPlace	place;

	if (queue == NULL)
		return;
	qms_place_of(queue, sort_key, ticket_id, moment->now, &place);
	if (!place.undrawn)
	{
		qms_write_int64(out, "position", place.people_ahead + 1);
		qms_write_int64(out, "people_ahead", place.people_ahead);
		qms_write_bool(out, "position_exact", place.exact);
	}
	if (place.p50 == NULL)
		return;
	qms_write_duration(out, "wait_p10", qms_interval_usec(place.p10, NULL));
	qms_write_duration(out, "wait_p50", qms_interval_usec(place.p50, NULL));
	qms_write_duration(out, "wait_p90", qms_interval_usec(place.p90, NULL));
}

static void
write_ticket(StringInfo out, int r, const QmsMoment *moment)
{
	SPITupleTable *rows = qms_spi_result();
	char	   *state = qms_spi_text(r, V_state);

	qms_write_begin(out, NULL, '{');
	qms_write_id(out, "ticket_id", qms_spi_int64(r, V_ticket_id));
	qms_write_id(out, "queue_id", qms_spi_int64(r, V_queue_id));
	qms_write_text(out, "queue_name", qms_spi_text(r, V_queue_name));
	qms_write_jsonb(out, "queue_names", qms_spi_jsonb(r, V_queue_names));
	qms_write_id(out, "service_id", qms_spi_int64(r, V_service_id));
	qms_write_text(out, "number", qms_snapshot_number(r, V_number));
	qms_write_text(out, "state", state);
	qms_write_int64(out, "version", qms_spi_int32(r, V_version));
	qms_write_text(out, "hold_kind", qms_spi_text(r, V_hold_kind));
	qms_write_time(out, "resume_at", qms_spi_time(r, V_resume_at));
	qms_write_time(out, "joined_at", qms_spi_time(r, V_joined_at));
	qms_write_id(out, "counter_id", qms_spi_int64(r, V_counter_id));
	qms_write_text(out, "counter_name", qms_spi_text(r, V_counter_name));
	qms_write_jsonb(out, "counter_names", qms_spi_jsonb(r, V_counter_names));
	qms_write_id(out, "zone_id", qms_spi_int64(r, V_zone_id));
	qms_write_time(out, "called_at", qms_spi_time(r, V_called_at));
	qms_write_time(out, "started_at", qms_spi_time(r, V_started_at));
	qms_write_time(out, "ended_at", qms_spi_time(r, V_ended_at));
	qms_write_int64(out, "recalls", qms_spi_int32(r, V_recalls));
	if (strcmp(state, "waiting") == 0)
	{
		write_place(out, qms_spi_int64(r, V_queue_id), qms_spi_int64(r, V_sort_key), qms_spi_int64(r, V_ticket_id), moment);
		qms_spi_return_to(rows);
	}
	qms_write_end(out, '}');
}

/* All tickets of a visit, live and past, in the order of joining. */
void
qms_snapshot_visit(StringInfo out, int64 visit_id, const QmsMoment *moment)
{
#define OF_TICKET(from, ended) \
	"SELECT ticket_id, queue_id, service_id, number, state, version, sort_key, joined_at, counter_id, called_at, started_at, " \
	ended " AS ended_at, recalls, hold_kind, resume_at FROM " from " "
#define NOT_ENDED "NULL::timestamptz"
	static QmsPlan plan = QMS_PLAN(
								   "SELECT t.ticket_id, t.queue_id, q.name, q.names, t.service_id, t.number, t.state, t.version, t.sort_key, t.joined_at, "
								   "t.counter_id, c.name, c.names, c.zone_id, t.called_at, t.started_at, t.ended_at, t.recalls, t.hold_kind, t.resume_at FROM ("
								   OF_TICKET("qms.ticket", NOT_ENDED) "WHERE ticket_id = $1 UNION ALL "
								   OF_TICKET("qms.ticket", NOT_ENDED) "WHERE visit_id = $1 AND visit_id <> ticket_id UNION ALL "
								   OF_TICKET("qms.ticket_history", "ended_at") "WHERE visit_id = $1) t "
								   "LEFT JOIN qms.queue q ON q.queue_id = t.queue_id LEFT JOIN qms.counter c ON c.counter_id = t.counter_id "
								   "ORDER BY t.joined_at, t.ticket_id", INT8OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, visit_id);
	n = qms_spi_look_at(&plan, &params, moment->snapshot);
	qms_write_id(out, "visit_id", visit_id);
	qms_write_begin(out, "tickets", '[');
	for (i = 0; i < n; i++)
		write_ticket(out, i, moment);
	qms_write_end(out, ']');
}
