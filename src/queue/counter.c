/*
 * counter.c
 *		Counters: open, pause, resume, close, status.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* In the order of qms.counter_state. */
enum
{
	C_counter_id, C_organization_id, C_branch_id, C_zone_id, C_name, C_status, C_staff_session_id,
	C_staff_id, C_counter_profile_id, C_policy, C_blind, C_opened_at, C_paused_at, C_pause_reason,
	C_closed_at, C_current_ticket_id, C_current_number, C_current_state, C_idle_since,
	C_tickets_called, C_tickets_served, C_service_time, C_pause_time, C_allowed_actions, C_hint,
	C_COLUMNS
};

static const struct
{
	int			answer;
	int			session;
}			same[] = {
	{C_staff_session_id, S_staff_session_id}, {C_staff_id, S_staff_id},
	{C_counter_profile_id, S_counter_profile_id}, {C_opened_at, S_opened_at},
	{C_paused_at, S_paused_at}, {C_pause_reason, S_pause_reason}, {C_closed_at, S_closed_at},
	{C_current_ticket_id, S_current_ticket_id}, {C_idle_since, S_idle_since},
	{C_tickets_called, S_tickets_called}, {C_tickets_served, S_tickets_served},
	{C_service_time, S_service_time}, {C_pause_time, S_pause_time}
};

/* What may be done at the counter now, as names of functions. */
static const char *const *
allowed_actions(const QmsSession *session, const char *ticket_state, size_t *n)
{
	static const char *const closed[] = {"open_counter"};
	static const char *const paused[] = {"resume_counter", "close_counter"};
	static const char *const idle[] = {"call_next", "serve_walk_up", "pause_counter", "close_counter",
	"call_ticket", "undo"};
	static const char *const called[] = {"recall_ticket", "start_service", "complete_service",
		"mark_no_show", "hold_ticket", "requeue_ticket", "transfer_ticket", "cancel_ticket", "undo",
	"call_next", "pause_counter"};
	static const char *const called_paused[] = {"recall_ticket", "start_service", "complete_service",
		"mark_no_show", "hold_ticket", "requeue_ticket", "transfer_ticket", "cancel_ticket", "undo",
	"resume_counter"};
	static const char *const serving[] = {"complete_service", "hold_ticket", "transfer_ticket",
	"cancel_ticket", "undo", "call_next", "pause_counter"};
	static const char *const serving_paused[] = {"complete_service", "hold_ticket", "transfer_ticket",
	"cancel_ticket", "undo", "resume_counter"};
	bool		is_paused;

	if (session == NULL || !qms_row_isnull(session, S_closed_at))
	{
		*n = lengthof(closed);
		return closed;
	}
	is_paused = !qms_row_isnull(session, S_paused_at);
	if (ticket_state != NULL && strcmp(ticket_state, "called") == 0)
	{
		*n = is_paused ? lengthof(called_paused) : lengthof(called);
		return is_paused ? called_paused : called;
	}
	if (ticket_state != NULL)
	{
		*n = is_paused ? lengthof(serving_paused) : lengthof(serving);
		return is_paused ? serving_paused : serving;
	}
	if (is_paused)
	{
		*n = lengthof(paused);
		return paused;
	}
	*n = lengthof(idle);
	return idle;
}

/* Why does nobody come?  NULL when that needs no words. */
static const char *
hint_for(const QmsSession *session, const QmsProfile *profile)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.count(*) FILTER (WHERE state = 'waiting'), "
								   "pg_catalog.count(*) FILTER (WHERE state = 'on_hold') FROM ("
								   "SELECT state FROM qms.ticket WHERE branch_id = $1 AND number IS NOT NULL "
								   "AND state IN ('waiting', 'on_hold') AND queue_id = ANY ($2) LIMIT 1000) t",
								   INT8OID, INT8ARRAYOID);
	QmsParams	params = {0};
	int64	   *queues;
	int			i;

	if (session == NULL || !qms_row_isnull(session, S_closed_at))
		return "The counter is closed.";
	if (!qms_row_isnull(session, S_paused_at))
		return "The counter is paused.";
	if (!qms_row_isnull(session, S_current_ticket_id))
		return NULL;
	if (profile->nsources == 0)
		return "The counter serves no queue.";
	queues = palloc(sizeof(int64) * profile->nsources);
	for (i = 0; i < profile->nsources; i++)
		queues[i] = profile->sources[i].queue_id;
	qms_param_int64(&params, qms_row_int64(session, S_branch_id));
	qms_param_pointer(&params, qms_array_make(queues, profile->nsources, INT8OID));
	qms_spi_run(&plan, &params);
	if (qms_spi_int64(0, 0) > 0)
		return "Somebody waits: qms.call_next() calls him, unless he wants another counter or clerk, or needs a skill.";
	if (qms_spi_int64(0, 1) > 0)
		return "Nobody waits; some tickets are on hold.";
	return "Nobody waits.";
}

static const char *
status_of(const QmsSession *session, const char *ticket_state)
{
	if (session == NULL || !qms_row_isnull(session, S_closed_at))
		return "closed";
	if (ticket_state != NULL)
		return ticket_state;
	return qms_row_isnull(session, S_paused_at) ? "idle" : "paused";
}

static void
fill_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	if (text != NULL)
		values[column] = CStringGetTextDatum(text);
}

/* The counter as it is; session NULL: closed. */
Datum
qms_counter_answer(QmsCall *call, QmsCounter *counter, QmsSession *session)
{
	QmsProfile *profile = qms_session_profile(session, counter);
	Datum		values[C_COLUMNS] = {0};
	bool		nulls[C_COLUMNS];
	const char *ticket_state = NULL;
	const char *const *actions;
	int			nactions = 0;
	Datum	   *elements;
	size_t		n;
	size_t		i;

	memset(nulls, true, sizeof(nulls));
	for (i = 0; session != NULL && i < lengthof(same); i++)
	{
		values[same[i].answer] = session->values[same[i].session];
		nulls[same[i].answer] = qms_row_isnull(session, same[i].session);
	}
	if (!nulls[C_current_ticket_id])
	{
		bool		ended;
		QmsTicket  *ticket = qms_ticket_read(DatumGetInt64(values[C_current_ticket_id]), &ended);

		if (ticket != NULL && !ended)
		{
			ticket_state = qms_row_text(ticket, T_state);
			values[C_current_number] = ticket->values[T_number];
			nulls[C_current_number] = qms_row_isnull(ticket, T_number);
		}
	}
	values[C_counter_id] = Int64GetDatum(counter->counter_id);
	values[C_organization_id] = Int64GetDatum(counter->organization_id);
	values[C_branch_id] = Int64GetDatum(counter->branch_id);
	values[C_zone_id] = Int64GetDatum(counter->zone_id);
	values[C_blind] = BoolGetDatum(profile->blind);
	nulls[C_counter_id] = nulls[C_organization_id] = nulls[C_branch_id] = nulls[C_blind] = false;
	nulls[C_zone_id] = counter->zone_id == 0;
	fill_text(values, nulls, C_name, counter->name);
	fill_text(values, nulls, C_status, status_of(session, ticket_state));
	fill_text(values, nulls, C_policy, qms_policy_name(profile->policy));
	fill_text(values, nulls, C_current_state, ticket_state);
	fill_text(values, nulls, C_hint, hint_for(session, profile));
	actions = allowed_actions(session, ticket_state, &n);
	elements = palloc(sizeof(Datum) * n);
	for (i = 0; i < n; i++)
	{
		if ((profile->blind && strcmp(actions[i], "call_ticket") == 0) ||
			(strcmp(actions[i], "undo") == 0 && qms_row_isnull(session, S_undo_event_id)))
			continue;
		elements[nactions++] = CStringGetTextDatum(actions[i]);
	}
	values[C_allowed_actions] = PointerGetDatum(construct_array(elements, nactions, TEXTOID, -1, false,
																TYPALIGN_INT));
	nulls[C_allowed_actions] = false;
	return qms_answer_tuple(call, values, nulls);
}

/* An event of a counter. */
static void
counter_event(QmsCall *call, const QmsCounter *counter, const QmsSession *session, const char *kind,
			  const char *state, const char *reason)
{
	QmsEvent	event = {0};
	QmsJson		json;

	event.kind = kind;
	event.organization_id = counter->organization_id;
	event.branch_id = counter->branch_id;
	event.counter_id = counter->counter_id;
	event.staff_id = qms_row_int64(session, S_staff_id);
	event.state = state;
	qms_json_begin(&json);
	qms_json_int64(&json, "staff_session_id", qms_row_int64(session, S_staff_session_id));
	qms_json_id(&json, "counter_profile_id", qms_row_int64(session, S_counter_profile_id));
	qms_json_text(&json, "reason", reason);
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
	qms_inval_sessions();
}

/* The skills of a staff member of the counter's organization and branch. */
static ArrayType *
skills_of_staff(const QmsCounter *counter, int64 staff_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT skills, pg_catalog.cardinality(branch_ids) = 0 OR $2 = ANY (branch_ids) FROM qms.staff "
								   "WHERE staff_id = $1 AND organization_id = $3 AND deleted_at IS NULL",
								   INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};
	bool		isnull;

	if (staff_id == 0)
		return construct_empty_array(TEXTOID);
	qms_param_int64(&params, staff_id);
	qms_param_int64(&params, counter->branch_id);
	qms_param_int64(&params, counter->organization_id);
	if (qms_spi_run(&plan, &params) == 0)
		qms_not_found("staff", staff_id);
	if (!qms_spi_bool(0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("staff %lld does not work in the branch of counter %lld", (long long) staff_id,
						(long long) counter->counter_id),
				 errhint("Add the branch with qms.update_staff().")));
	return DatumGetArrayTypePCopy(qms_spi_datum(0, 0, &isnull));
}

static void
check_profile(const QmsCounter *counter, int64 profile_id)
{
	QmsProfile *profile;

	if (profile_id == 0)
		return;
	profile = qms_config_profile(profile_id);
	if (profile == NULL || profile->branch_id != counter->branch_id)
		qms_not_found("counter profile", profile_id);
}

QMS_FUNCTION(open_counter, QMS_ACT_COUNTER, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.staff_session (organization_id, branch_id, counter_id, staff_id, counter_profile_id, "
								   "skills, opened_at, idle_since) VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING",
								   INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTARRAYOID, TIMESTAMPTZOID);
	int64		counter_id = qms_arg_id(call, 0, "counter_id");
	QmsCounter *counter = qms_counter_needed(call, counter_id);
	int64		staff_id = qms_arg_id_or_0(call, 1, "staff_id");
	int64		profile_id = qms_arg_id_or_0(call, 2, "profile_id");
	QmsParams	params = {0};
	QmsSession *session;

	if (staff_id == 0 && call->who->kind == QMS_STAFF)
		staff_id = call->who->id;
	/* Nobody works with somebody else's skills; a reception may open counters for others. */
	if (call->who->kind == QMS_STAFF && staff_id != call->who->id &&
		strcmp(call->who->role, "reception") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to open a counter for staff %lld", (long long) staff_id),
				 errdetail("Staff open counters for themselves; the roles reception and admin also for others."),
				 errhint("Leave staff_id out.")));
	/* Shared: nobody deletes the counter, profile or staff member meanwhile. */
	qms_lock(QMS_LOCK_SETUP, counter->organization_id, false);
	qms_config_refresh();
	counter = qms_counter_needed(call, counter_id);
	check_profile(counter, profile_id);
	qms_param_int64(&params, counter->organization_id);
	qms_param_int64(&params, counter->branch_id);
	qms_param_int64(&params, counter->counter_id);
	qms_param_id(&params, staff_id);
	qms_param_id(&params, profile_id);
	qms_param_pointer(&params, skills_of_staff(counter, staff_id));
	qms_param_time(&params, call->now);
	/* Two unique indexes of open sessions decide, also between two who open at once. */
	if (qms_spi_run(&plan, &params) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_COUNTER_TAKEN),
				 errmsg("counter %lld cannot be opened", (long long) counter->counter_id),
				 staff_id == 0 ? errdetail("It is open already.") :
				 errdetail("It is open already, or staff %lld works at another counter.",
						   (long long) staff_id),
				 errhint("Close the open session with qms.close_counter().")));
	session = qms_session_needed(counter->counter_id);
	counter_event(call, counter, session, "counter.opened", "idle", NULL);
	return qms_counter_answer(call, counter, session);
}

/* Run a change of the open session; false if it does not fit. */
static bool
change_session(QmsPlan *plan, QmsCall *call, int64 counter_id, const char *reason)
{
	QmsParams	params = {0};

	qms_param_int64(&params, counter_id);
	qms_param_time(&params, call->now);
	if (plan->nargs == 3)
		qms_param_text(&params, reason);
	return qms_spi_run(plan, &params) > 0;
}

QMS_FUNCTION(pause_counter, QMS_ACT_COUNTER, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.staff_session SET paused_at = $2, pause_reason = $3, idle_since = NULL "
								   "WHERE counter_id = $1 AND closed_at IS NULL AND paused_at IS NULL",
								   INT8OID, TIMESTAMPTZOID, TEXTOID);
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	char	   *reason = qms_arg_text(call, 1, "reason");
	QmsSession *session;

	if (!change_session(&plan, call, counter->counter_id, reason))
		qms_session_check_may_call(qms_session_needed(counter->counter_id));
	session = qms_session_needed(counter->counter_id);
	counter_event(call, counter, session, "counter.paused", "paused", reason);
	return qms_counter_answer(call, counter, session);
}

QMS_FUNCTION(resume_counter, QMS_ACT_COUNTER, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.staff_session SET pause_time = pause_time + ($2 - paused_at), paused_at = NULL, "
								   "pause_reason = NULL, idle_since = CASE WHEN current_ticket_id IS NULL THEN $2 END "
								   "WHERE counter_id = $1 AND closed_at IS NULL AND paused_at IS NOT NULL",
								   INT8OID, TIMESTAMPTZOID);
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	bool		changed = change_session(&plan, call, counter->counter_id, NULL);
	QmsSession *session = qms_session_needed(counter->counter_id);

	if (!changed)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_COUNTER_NOT_OPEN),
				 errmsg("counter %lld is not paused", (long long) counter->counter_id),
				 errdetail("There is no pause to end."),
				 errhint("It is open already: use qms.call_next().")));
	counter_event(call, counter, session, "counter.resumed", "idle", NULL);
	return qms_counter_answer(call, counter, session);
}

QMS_FUNCTION(close_counter, QMS_ACT_COUNTER, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.staff_session SET closed_at = $2, idle_since = NULL, "
								   "pause_time = pause_time + coalesce($2 - paused_at, '0'), undo_event_id = NULL "
								   "WHERE counter_id = $1 AND closed_at IS NULL AND current_ticket_id IS NULL "
								   "RETURNING pause_time",
								   INT8OID, TIMESTAMPTZOID);
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));
	QmsSession *session = qms_session_needed(counter->counter_id);
	bool		isnull;

	if (!change_session(&plan, call, counter->counter_id, NULL))
	{
		session = qms_session_needed(counter->counter_id);
		ereport(ERROR,
				(errcode(ERRCODE_QMS_COUNTER_BUSY),
				 errmsg("counter %lld has an open call", (long long) counter->counter_id),
				 errdetail("Ticket %lld is at the counter.",
						   (long long) qms_row_int64(session, S_current_ticket_id)),
				 errhint("End or transfer it first.")));
	}
	qms_row_set_datum(session, S_pause_time, qms_spi_datum(0, 0, &isnull));
	qms_row_set_null(session, S_idle_since);
	qms_row_set_time(session, S_closed_at, call->now);
	counter_event(call, counter, session, "counter.closed", "closed", NULL);
	return qms_counter_answer(call, counter, session);
}

QMS_FUNCTION(counter_status, QMS_ACT_LOOK, 0)
{
	QmsCounter *counter = qms_counter_needed(call, qms_arg_id(call, 0, "counter_id"));

	return qms_counter_answer(call, counter, qms_session_read(counter->counter_id));
}
