/*
 * session.c
 *		Staff sessions: who works at a counter, and on which ticket.
 *
 * The row of a session is changed by statements that name what they expect and
 * change only their own columns, never written back whole: a pause and a call
 * at the same moment both count or one of them is refused.  Everybody locks a
 * ticket before the session it is called at, so there are no deadlocks.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#define QMS_COLUMN_NAME(c) #c,

static const char *const session_columns[] = {QMS_SESSION_COLUMNS(QMS_COLUMN_NAME)};

QmsTable	qms_session_table = {
	.schema = QMS_SCHEMA, .name = "staff_session", .ncols = S_COLUMNS, .columns = session_columns,
	.nkey = 2
};

/* A counter that the caller may work at. */
QmsCounter *
qms_counter_needed(QmsCall *call, int64 counter_id)
{
	QmsCounter *counter = qms_config_counter(counter_id);
	QmsObject	object = {.what = "counter", .id = counter_id};

	if (counter == NULL)
		qms_not_found("counter", counter_id);
	object.organization_id = counter->organization_id;
	object.branch_id = counter->branch_id;
	if (call->reach == QMS_REACH_OWN)
	{
		QmsSession *session = qms_session_read(counter_id);

		/* A closed counter is anybody's who may open one. */
		object.staff_id = session ? qms_row_int64(session, S_staff_id) : call->who->id;
	}
	qms_gate_object(call, &object);
	return counter;
}

/*
 * Run a statement on the open session of a counter: first on the row at the
 * remembered place, then, if that is not it, on the one found through an index.
 * "there" is the statement with one more argument, the place; both answer the
 * row's place first.
 */
static uint64
run_on_session(QmsPlan *plan, QmsPlan *there, QmsParams *params, int64 counter_id)
{
	ItemPointerData place;
	uint64		n = 0;
	bool		isnull;

	if (qms_session_hint(counter_id, &place))
	{
		qms_param_pointer(params, &place);
		n = qms_spi_run(there, params);
		params->n--;
	}
	if (n == 0)
		n = qms_spi_run(plan, params);
	if (n > 0)
		qms_session_hint_remember(counter_id, (ItemPointer) DatumGetPointer(qms_spi_datum(0, 0, &isnull)));
	return n;
}

/* The open session of a counter, NULL if it is closed. */
QmsSession *
qms_session_read(int64 counter_id)
{
#define READ "SELECT t.ctid, t FROM qms.staff_session t WHERE t.counter_id = $1 AND t.closed_at IS NULL"
	static QmsPlan plan = QMS_PLAN(READ, INT8OID);
	static QmsPlan there = QMS_PLAN(READ " AND t.ctid = $2", INT8OID, TIDOID);
	QmsParams	params = {0};

	qms_param_int64(&params, counter_id);
	return run_on_session(&plan, &there, &params, counter_id) == 0 ? NULL :
		qms_row_fetch_whole(&qms_session_table, 0, 1);
}

QmsSession *
qms_session_needed(int64 counter_id)
{
	QmsSession *session = qms_session_read(counter_id);

	if (session == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_COUNTER_NOT_OPEN),
				 errmsg("counter %lld is not open", (long long) counter_id),
				 errdetail("Nobody works there: it has no open session."),
				 errhint("Open it with qms.open_counter().")));
	return session;
}

/* The session's profile; a counter without one serves all its queues, fifo. */
QmsProfile *
qms_session_profile(const QmsSession *session, const QmsCounter *counter)
{
	int64		profile_id = session ? qms_row_int64(session, S_counter_profile_id) : 0;
	QmsProfile *profile = profile_id ? qms_config_profile(profile_id) : NULL;
	QmsProfile *copy;

	if (profile == NULL)
		return unconstify(QmsProfile *, &counter->profile);
	if (profile->nsources > 0)
		return profile;
	/* The remembered one is of all counters that work by it. */
	copy = palloc(sizeof(QmsProfile));
	*copy = *profile;
	copy->nsources = counter->profile.nsources;
	copy->sources = counter->profile.sources;
	return copy;
}

void
qms_session_check_may_call(const QmsSession *session)
{
	long long	counter_id = qms_row_int64(session, S_counter_id);

	if (!qms_row_isnull(session, S_paused_at))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_COUNTER_PAUSED),
				 errmsg("counter %lld is paused", counter_id),
				 errdetail("Reason: %s.", qms_row_text(session, S_pause_reason)),
				 errhint("Continue with qms.resume_counter().")));
}

static pg_attribute_noreturn() void
busy(int64 counter_id, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_COUNTER_BUSY),
			 errmsg("counter %lld has an open call", (long long) counter_id),
			 errdetail("%s", detail),
			 errhint("End it with qms.complete_service() or qms.mark_no_show(), or give finish_current.")));
}

/* Why did qms_session_take find no session to take? */
static pg_attribute_noreturn() void
explain_refusal(int64 counter_id)
{
	QmsSession *session = qms_session_needed(counter_id);

	qms_session_check_may_call(session);
	busy(counter_id, psprintf("Ticket %lld is at the counter.",
							  (long long) qms_row_int64(session, S_current_ticket_id)));
}

/*
 * Lock a session before the ticket that it is going to take exists, so that its
 * number is taken after it: the order is ticket, session, number.
 */
void
qms_session_lock(const QmsSession *session)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.staff_session WHERE staff_session_id = $1 FOR NO KEY UPDATE", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, qms_row_int64(session, S_staff_session_id));
	qms_spi_run(&plan, &params);
}

/*
 * The counter takes a ticket, which is locked.  finished_ticket_id is the one it
 * has ended in this call (0: it had none); served_usec >= 0: it was served so
 * long.
 *
 * Lock: the session's row.  Two calls at one counter each pick a ticket, then
 * meet here; the second sees that the counter is taken and is refused, and its
 * ticket is free again when it rolls back.
 *
 * Answers the id of the event to be written.  It is drawn by the UPDATE, which
 * draws again if it had to wait for the row, so the events of a counter are in
 * the order of what happened there.
 */
int64
qms_session_take(QmsCall *call, QmsSession *session, int64 ticket_id, int64 finished_ticket_id,
				 int64 served_usec, const float8 *passes, int npasses)
{
#define TAKE(place) \
	"UPDATE qms.staff_session SET current_ticket_id = $3, idle_since = NULL, " \
	"tickets_called = tickets_called + 1, tickets_served = tickets_served + $5, " \
	"service_time = service_time + $6, passes = coalesce($7, passes), " \
	"undo_event_id = pg_catalog.nextval('qms.event_event_id_seq'::pg_catalog.regclass), undo_at = $8 " \
	"WHERE staff_session_id = $1 AND organization_id = $2 AND closed_at IS NULL AND paused_at IS NULL " \
	"AND current_ticket_id IS NOT DISTINCT FROM $4 " place "RETURNING ctid, undo_event_id"
	static QmsPlan plan = QMS_PLAN(TAKE(""), INT8OID, INT8OID, INT8OID, INT8OID, INT4OID, INTERVALOID,
								   FLOAT8ARRAYOID, TIMESTAMPTZOID);
	static QmsPlan there = QMS_PLAN(TAKE("AND ctid = $9 "), INT8OID, INT8OID, INT8OID, INT8OID, INT4OID,
									INTERVALOID, FLOAT8ARRAYOID, TIMESTAMPTZOID, TIDOID);
	QmsParams	params = {0};
	Datum	   *elements;
	int			i;

	qms_param_int64(&params, qms_row_int64(session, S_staff_session_id));
	qms_param_int64(&params, qms_row_int64(session, S_organization_id));
	qms_param_int64(&params, ticket_id);
	qms_param_id(&params, finished_ticket_id);
	qms_param_int32(&params, served_usec >= 0 ? 1 : 0);
	qms_param_pointer(&params, qms_interval_make(Max(served_usec, 0)));
	if (passes == NULL)
		qms_param_null(&params);
	else
	{
		elements = palloc(sizeof(Datum) * npasses);
		for (i = 0; i < npasses; i++)
			elements[i] = Float8GetDatum(passes[i]);
		qms_param_pointer(&params, construct_array(elements, npasses, FLOAT8OID, 8, FLOAT8PASSBYVAL,
												   TYPALIGN_DOUBLE));
	}
	qms_param_time(&params, call->now);
	if (run_on_session(&plan, &there, &params, qms_row_int64(session, S_counter_id)) != 1)
		explain_refusal(qms_row_int64(session, S_counter_id));
	return qms_spi_int64(0, 1);
}

/*
 * Is this the doing of the counter's own people?  What a customer or another
 * clerk did to the ticket is not for the counter to take back.
 */
static bool
is_own_action(const QmsCall *call, const QmsTicket *ticket)
{
	if (call->function->action == QMS_ACT_TOKEN)
		return false;
	return call->who->kind != QMS_STAFF || call->who->id == qms_row_int64(ticket, T_staff_id);
}

/* The ticket leaves the counter that it is called at; the counter is idle. */
void
qms_session_let_go(QmsCall *call, const QmsTicket *ticket, int64 served_usec, int64 event_id)
{
#define LET_GO(place) \
	"UPDATE qms.staff_session SET current_ticket_id = NULL, idle_since = $3, " \
	"tickets_served = tickets_served + $4, service_time = service_time + $5, undo_event_id = $6, undo_at = $3 " \
	"WHERE staff_session_id = $1 AND current_ticket_id = $2 " place "RETURNING ctid"
	static QmsPlan plan = QMS_PLAN(LET_GO(""), INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID, INTERVALOID, INT8OID);
	static QmsPlan there = QMS_PLAN(LET_GO("AND ctid = $7 "), INT8OID, INT8OID, TIMESTAMPTZOID, INT4OID,
									INTERVALOID, INT8OID, TIDOID);
	QmsParams	params = {0};

	qms_param_int64(&params, qms_row_int64(ticket, T_staff_session_id));
	qms_param_int64(&params, qms_row_int64(ticket, T_ticket_id));
	qms_param_time(&params, call->now);
	qms_param_int32(&params, served_usec >= 0 ? 1 : 0);
	qms_param_pointer(&params, qms_interval_make(Max(served_usec, 0)));
	qms_param_id(&params, is_own_action(call, ticket) ? event_id : 0);
	run_on_session(&plan, &there, &params, qms_row_int64(ticket, T_counter_id));
}

/* What the counter did last with this ticket, for undo. */
void
qms_session_remember(QmsCall *call, const QmsTicket *ticket, int64 event_id)
{
#define REMEMBER(place) \
	"UPDATE qms.staff_session SET undo_event_id = $2, undo_at = $3 WHERE staff_session_id = $1 " place "RETURNING ctid"
	static QmsPlan plan = QMS_PLAN(REMEMBER(""), INT8OID, INT8OID, TIMESTAMPTZOID);
	static QmsPlan there = QMS_PLAN(REMEMBER("AND ctid = $4 "), INT8OID, INT8OID, TIMESTAMPTZOID, TIDOID);
	QmsParams	params = {0};

	qms_param_int64(&params, qms_row_int64(ticket, T_staff_session_id));
	qms_param_id(&params, event_id);
	qms_param_time(&params, call->now);
	run_on_session(&plan, &there, &params, qms_row_int64(ticket, T_counter_id));
}

/*
 * The ticket at a counter, locked; NULL if it has none and needs none.  Between
 * the look at the session and the lock the ticket may have gone elsewhere; then
 * the counter has none.
 */
QmsTicket *
qms_session_current_ticket(QmsCall *call, int64 counter_id, bool needed)
{
	QmsSession *session = qms_session_needed(counter_id);
	int64		ticket_id = qms_row_int64(session, S_current_ticket_id);
	QmsTicket  *ticket = NULL;

	if (ticket_id != 0)
	{
		ticket = qms_ticket_lock(call, ticket_id, false);
		if (qms_row_int64(ticket, T_counter_id) != counter_id)
			ticket = NULL;
	}
	if (ticket == NULL && needed)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NO_CURRENT_TICKET),
				 errmsg("counter %lld has no ticket", (long long) counter_id),
				 errdetail("Nobody is called to it or served there."),
				 errhint("Call one with qms.call_next().")));
	return ticket;
}
