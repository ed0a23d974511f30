/*
 * admit.c
 *		People are let in: the first of the line, as many as there is room for.
 *
 * One statement takes them from the index of those who wait, in the order of
 * the line, changes their state and writes an event for each.  Somebody whose row
 * is locked, because he is leaving just now, is passed over; if he stays, he is
 * the first of the next batch.
 */
#include "release/release.h"

#include "catalog/pg_type.h"

/* Of a queue: who waits at a key, or first from it on. */
static int64
first_key(int64 queue_id, int64 key, bool only_there)
{
	static QmsPlan plans[] = {
		QMS_PLAN("SELECT sort_key FROM qms.ticket WHERE queue_id = $1 AND state = 'waiting' AND sort_key >= $2 "
				 "ORDER BY sort_key, ticket_id LIMIT 1", INT8OID, INT8OID),
		QMS_PLAN("SELECT sort_key FROM qms.ticket WHERE queue_id = $1 AND state = 'waiting' AND sort_key = $2 "
				 "ORDER BY sort_key, ticket_id LIMIT 1", INT8OID, INT8OID)
	};
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, key);
	return qms_spi_run(&plans[only_there], &params) > 0 ? qms_spi_int64(0, 0) : PG_INT64_MAX;
}

/*
 * The key at which the line begins; PG_INT64_MAX: nobody waits.  Starts where the
 * line was known to begin (bound.c) and, if that finds nobody, looks without it;
 * what is found moves the beginning.
 */
static int64
beginning_of_line(int64 queue_id)
{
	QmsBound	bound;
	int64		still[QMS_MAX_EXCEPTIONS];
	int64		before = PG_INT64_MAX;
	int64		from;
	int			nstill = 0;
	int			i;

	qms_bound_read(queue_id, &bound);
	for (i = 0; i < bound.nexceptions; i++)
	{
		if (first_key(queue_id, bound.exceptions[i], true) == PG_INT64_MAX)
			continue;
		still[nstill++] = bound.exceptions[i];
		before = Min(before, bound.exceptions[i]);
	}
	from = first_key(queue_id, bound.from, false);
	qms_bound_raise(queue_id, &bound, from, still, nstill);
	from = Min(from, before);
	if (from != PG_INT64_MAX || bound.from == PG_INT64_MIN)
		return from;
	from = first_key(queue_id, PG_INT64_MIN, false);
	if (from != PG_INT64_MAX)
		qms_bound_lower(queue_id, &bound, from);
	return from;
}

/* How many wait, as far as "most"; and where the line begins. */
int
qms_admit_look(QmsGateQueue *q, int most)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.count(*)::pg_catalog.int4 FROM (SELECT 1 FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' AND sort_key >= $2 LIMIT $3) w", INT8OID, INT8OID, INT4OID);
	QmsParams	params = {0};

	q->waiting = 0;
	q->first_key = beginning_of_line(q->queue_id);
	if (q->first_key == PG_INT64_MAX)
		return 0;
	q->waiting = 1;
	if (most > 1)
	{
		qms_param_int64(&params, q->queue_id);
		qms_param_int64(&params, q->first_key);
		qms_param_int32(&params, most);
		qms_spi_run(&plan, &params);
		q->waiting = qms_spi_int32(0, 0);
	}
	return (int) q->waiting;
}

/* How many more fit into the queue; the deltas have been added up. */
int64
qms_admit_room(const QmsGateQueue *q)
{
	if (q->queue->settings.max_active == 0)
		return PG_INT32_MAX;
	return Max(q->queue->settings.max_active - q->inside, 0);
}

/* How many more fit into all queues of the pool; of a queue without one it says nothing. */
int64
qms_admit_pool_room(const QmsGate *gate)
{
	int64		inside = 0;
	int32		most = gate->nqueues > 0 ? gate->queues[0].queue->pool_max_active : 0;
	int			i;

	if (most == 0)
		return PG_INT32_MAX;
	for (i = 0; i < gate->nqueues; i++)
		inside += gate->queues[i].inside;
	return Max(most - inside, 0);
}

/* Who does it, as every event says it. */
static void
add_actor(QmsParams *params, QmsCall *call)
{
	QmsActor	actor;

	if (call->actor != NULL)
		actor = *call->actor;
	else
		qms_actor_read(&actor);
	qms_param_text(params, call->who->kind_name);
	qms_param_id(params, call->who->id);
	qms_param_text(params, call->who->role);
	qms_param_pointer(params, actor.session_role);
	qms_param_id(params, call->who->api_key_id);
	qms_param_pointer(params, actor.address);
	qms_param_pointer(params, actor.application_name);
	qms_param_pointer(params, actor.user_agent);
	qms_param_pointer(params, call->has_request ? &call->request_id : NULL);
}

/*
 * Let the first "count" of the line in; answers how many, and who if ticket_ids
 * is not NULL.  The gate is locked, there is room for them, and the caller stores
 * the gate.
 */
int
qms_admit(QmsCall *call, QmsGate *gate, QmsGateQueue *q, int count, int64 *ticket_ids)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH first AS MATERIALIZED (SELECT ticket_id, organization_id FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' AND sort_key >= $2 "
								   "ORDER BY sort_key, ticket_id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED), "
								   "released AS (UPDATE qms.ticket t SET state = 'released', version = t.version + 1, called_at = $4, "
								   "due_at = $5 FROM first f "
								   "WHERE t.ticket_id = f.ticket_id AND t.organization_id = f.organization_id "
								   "RETURNING t.organization_id, t.branch_id, t.application_id, t.queue_id, t.visit_id, t.ticket_id, t.number, "
								   "t.state, t.version, t.sort_key), "
								   "said AS (INSERT INTO qms.event (organization_id, at, kind, branch_id, application_id, queue_id, "
								   "visit_id, ticket_id, number, state, version, data, actor_kind, actor_id, actor_role, session_role, "
								   "api_key_id, address, application_name, user_agent, request_id) "
								   "SELECT r.organization_id, $4, 'ticket.released', r.branch_id, r.application_id, r.queue_id, r.visit_id, "
								   "r.ticket_id, r.number, r.state, r.version, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 "
								   "FROM released r ORDER BY r.sort_key, r.ticket_id) "
								   "SELECT ticket_id FROM released ORDER BY sort_key, ticket_id",
								   INT8OID, INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID, TEXTOID, INT8OID, TEXTOID,
								   TEXTOID, INT8OID, INETOID, TEXTOID, TEXTOID, UUIDOID);
	TimestampTz until = call->now + q->queue->settings.claim_window;
	QmsParams	params = {0};
	QmsJson		json;
	int			n;
	int			i;

	qms_json_begin(&json);
	qms_json_time(&json, "claim_until", until);
	qms_param_int64(&params, q->queue_id);
	qms_param_int64(&params, q->first_key);
	qms_param_int32(&params, count);
	qms_param_time(&params, call->now);
	qms_param_time(&params, until);
	qms_param_pointer(&params, qms_json_end(&json));
	add_actor(&params, call);
	n = (int) qms_spi_run(&plan, &params);
	for (i = 0; i < n && ticket_ids != NULL; i++)
		ticket_ids[i] = qms_spi_int64(i, 0);
	if (n == 0)
		return 0;
	qms_doorbell_note();
	q->inside += n;
	q->released += n;
	q->waiting = Max(q->waiting - n, 0);
	q->dirty = true;
	gate->due += n;
	gate->dirty = true;
	return n;
}
