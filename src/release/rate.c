/*
 * rate.c
 *		How fast people are let in: set by people, by what a queue is set up to be,
 *		and by the load that an application reports.
 *
 * Each change is made under the lock of the gate in the transaction that makes
 * it, so S turns exactly at that moment, whether the scheduler works or not.
 */
#include "release/release.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include <math.h>

/*
 * Additive increase, multiplicative decrease of the rate by reported load, at most
 * one step a second: above OVERLOADED it becomes nine tenths, below RELAXED it
 * gains a twentieth of the full rate, in between it stays.
 */
#define OVERLOADED		1.0
#define RELAXED			0.9
#define DECREASE_TENTHS 9
#define INCREASE		50		/* thousandths */
#define STEP_EVERY		USECS_PER_SEC

/* ---- what has been changed elsewhere ---- */

/* Now, whatever was ahead: a start that was set before counts no more. */
static void
follow_now(QmsGate *gate, TimestampTz now)
{
	if (gate->segment.speed == 0 && gate->segment.at < now)
	{
		gate->segment.at = now;
		gate->dirty = true;
	}
	qms_gate_follow(gate, now);
}

/*
 * A stop ends: whoever could not come meanwhile has as much time for it as he had.
 * Locks: the rows of those tickets, before the gate.  Nobody claims meanwhile: the
 * lock of the queue is held.
 */
static void
give_back_time(int64 queue_id, TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.ticket t SET due_at = t.due_at + ($2 - greatest(r.stopped_at, t.called_at)) "
								   "FROM qms_internal.release_queue r WHERE r.queue_id = $1 AND r.stopped_at < $2 "
								   "AND t.queue_id = $1 AND t.state = 'released'", INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	qms_param_time(&params, now);
	qms_spi_run_now(&plan, &params);
}

/* The status of a queue has been set.  To open it ends a stop. */
static void
status_was_set(QmsCall *call, int64 queue_id, char status)
{
	static QmsPlan go_on = QMS_PLAN(
									"UPDATE qms_internal.release_queue SET stopped_at = NULL, stop_reason = NULL "
									"WHERE queue_id = $1 AND stopped_at IS NOT NULL", INT8OID);
	QmsParams	params = {0};
	QmsQueue   *queue;
	QmsGate    *gate;

	qms_config_refresh();
	queue = qms_config_queue(queue_id);
	if (queue == NULL)
		return;
	if (status == 'o')
		give_back_time(queue_id, call->now);
	gate = qms_gate_lock(qms_release_gate_of(queue), queue->organization_id, call->now, true);
	if (gate == NULL)
		return;
	if (status == 'o')
	{
		qms_param_int64(&params, queue_id);
		if (qms_spi_run_now(&go_on, &params) > 0)
			gate = qms_gate_lock(gate->gate, gate->organization_id, call->now, true);
	}
	follow_now(gate, call->now);
	qms_gate_store(gate);
}

void
qms_release_init(void)
{
	qms_queue_status_hook = status_was_set;
}

/* A queue changes its pool: nobody is let in by the old one or the new one until this is committed. */
void
qms_release_lock_gates(QmsCall *call, int64 queue_id, int64 was_in, int64 now_in, int64 organization_id)
{
	int64		gates[2] = {was_in != 0 ? -was_in : queue_id, now_in != 0 ? -now_in : queue_id};
	int			i;

	/* In the order of their ids. */
	for (i = 0; i < 2; i++)
	{
		QmsGate    *gate = qms_gate_lock(i == 0 ? Min(gates[0], gates[1]) : Max(gates[0], gates[1]),
										 organization_id, call->now, true);

		if (gate != NULL)
			qms_gate_fold(gate);
		if (gate != NULL)
			qms_gate_store(gate);
	}
}

/* A release queue was created or changed. */
void
qms_release_queue_changed(QmsCall *call, int64 queue_id, int64 organization_id, int64 release_pool_id, bool created)
{
	QmsGate    *gate;

	if (created)
		qms_gate_make_queue(queue_id, organization_id);
	gate = qms_gate_lock(release_pool_id != 0 ? -release_pool_id : queue_id, organization_id, call->now, true);
	if (gate == NULL)
		return;
	follow_now(gate, call->now);
	qms_gate_store(gate);
}

void
qms_release_pool_changed(QmsCall *call, int64 release_pool_id, int64 organization_id,
						 bool created pg_attribute_unused())
{
	QmsGate    *gate = qms_gate_lock(-release_pool_id, organization_id, call->now, true);

	if (gate == NULL)
		return;
	follow_now(gate, call->now);
	qms_gate_store(gate);
}

/* ---- functions ---- */

/* A release queue that the caller may work with. */
QmsQueue *
qms_release_queue(QmsCall *call, int64 queue_id)
{
	QmsQueue   *queue = qms_config_queue(queue_id);

	if (queue == NULL)
		qms_not_found("queue", queue_id);
	qms_gate_queue(call, queue);
	if (!queue->is_release)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_WRONG_QUEUE_KIND),
				 errmsg("queue %lld is no release queue", (long long) queue_id),
				 errdetail("Its tickets are called by counters; nobody is let in by a rate."),
				 errhint("Give a queue of kind release.")));
	return queue;
}

/* The rate that a queue is set to, its own or its pool's, as text; NULL: none. */
static const char *
rate_text(const QmsQueue *queue)
{
	static QmsPlan plan = QMS_PLAN("SELECT rate FROM qms.release_pool WHERE release_pool_id = $1", INT8OID);
	QmsParams	params = {0};
	char	   *text;
	bool		isnull;

	if (queue->release_pool_id == 0)
		return queue->settings.rate;
	qms_param_int64(&params, queue->release_pool_id);
	if (qms_spi_look(&plan, &params) == 0)
		return NULL;
	text = palloc(QMS_RATE_TEXT_SIZE);
	qms_types_rate_print((QmsReleaseRate *) DatumGetPointer(qms_spi_datum(0, 0, &isnull)), text);
	return text;
}

/* The rate of a queue, or what the load leaves of it, is another one. */
static void
say_rate(QmsCall *call, const QmsGate *gate, const QmsQueue *queue)
{
	QmsEvent	event = {0};
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_text(&json, "rate", rate_text(queue));
	qms_json_float8(&json, "load_factor", gate->load_factor / 1000.0);
	qms_json_id(&json, "release_pool_id", queue->release_pool_id);
	event.kind = "queue.rate_changed";
	event.organization_id = queue->organization_id;
	event.branch_id = queue->branch_id;
	event.application_id = queue->application_id;
	event.queue_id = queue->queue_id;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

/*
 * Lock: that of the organization's set-up, as update_queue() takes it, so that
 * one does not write over what the other has written.
 */
QMS_FUNCTION(set_release_rate, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.queue SET settings = CASE WHEN $2 IS NULL THEN settings - 'rate' "
								   "ELSE pg_catalog.jsonb_set(settings, '{rate}', pg_catalog.to_jsonb($2)) END, updated_at = $3 "
								   "WHERE queue_id = $1 AND deleted_at IS NULL", INT8OID, TEXTOID, TIMESTAMPTZOID);
	int64		queue_id = qms_arg_id(call, 0, "queue_id");
	char		text[QMS_RATE_TEXT_SIZE];
	QmsQueue   *queue = qms_release_queue(call, queue_id);
	QmsParams	params = {0};
	QmsGate    *gate;

	qms_lock(QMS_LOCK_SETUP, queue->organization_id, true);
	qms_config_refresh();
	queue = qms_release_queue(call, queue_id);
	if (queue->release_pool_id != 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_INVALID_SETTING),
				 errmsg("queue %lld has no rate of its own", (long long) queue_id),
				 errdetail("It shares the rate of release pool %lld by its weight.", (long long) queue->release_pool_id),
				 errhint("Set the rate of the pool with qms.update_release_pool().")));
	qms_param_int64(&params, queue_id);
	if (qms_arg_isnull(call, 1))
		qms_param_null(&params);
	else
	{
		qms_types_rate_print((QmsReleaseRate *) DatumGetPointer(call->fcinfo->args[1].value), text);
		qms_param_text(&params, text);
	}
	qms_param_time(&params, call->now);
	qms_spi_run_now(&plan, &params);
	gate = qms_gate_lock(queue_id, queue->organization_id, call->now, true);
	follow_now(gate, call->now);
	qms_gate_store(gate);
	queue = qms_release_queue(call, queue_id);
	say_rate(call, gate, queue);
	return qms_release_answer(call, queue);
}

/* The factor after a report; the same if it says nothing. */
static int
next_factor(int factor, double load, int least)
{
	if (load > OVERLOADED)
		return Max(factor * DECREASE_TENTHS / 10, least);
	if (load < RELAXED)
		return Min(Max(factor, least) + INCREASE, 1000);
	return Max(factor, least);
}

QMS_FUNCTION(report_load, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	int64		queue_id = qms_arg_id(call, 0, "queue_id");
	double		load = qms_arg_isnull(call, 1) ? -1 : DatumGetFloat8(call->fcinfo->args[1].value);
	QmsQueue   *queue = qms_release_queue(call, queue_id);
	QmsGate    *gate;
	int			factor;
	int			i;

	if (!(load >= 0) || isinf(load))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("load must be a number from 0 on"),
				 errdetail("1 is as much as the application can bear; above it is overloaded."),
				 errhint("Give used capacity divided by capacity, such as 0.75.")));
	gate = qms_gate_lock(qms_release_gate_of(queue), queue->organization_id, call->now, true);
	queue = qms_release_queue(call, queue_id);
	factor = next_factor(gate->load_factor, load, queue->settings.adapt_min * 10);
	/* A clock that has gone back must not stop it. */
	if (factor != gate->load_factor &&
		(gate->load_at == QMS_NO_TIME || gate->load_at > call->now || call->now - gate->load_at >= STEP_EVERY))
	{
		gate->load_factor = factor;
		gate->load_at = call->now;
		gate->dirty = true;
		qms_gate_follow(gate, call->now);
		qms_gate_store(gate);
		for (i = 0; i < gate->nqueues; i++)
			say_rate(call, gate, gate->queues[i].queue);
	}
	return qms_release_answer(call, qms_release_queue(call, queue_id));
}

/* Emergency stop.  Lock: exclusive on the queue, as for its status: claims hold it shared. */
QMS_FUNCTION(stop_queue, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.release_queue SET stopped_at = coalesce(stopped_at, $2), stop_reason = $3 "
								   "WHERE queue_id = $1", INT8OID, TIMESTAMPTZOID, TEXTOID);
	int64		queue_id = qms_arg_id(call, 0, "queue_id");
	char	   *reason = qms_arg_text_or_null(call, 1);
	QmsQueue   *queue = qms_release_queue(call, queue_id);
	QmsEvent	event = {0};
	QmsParams	params = {0};
	QmsJson		json;
	QmsGate    *gate;

	qms_lock(QMS_LOCK_QUEUE, queue_id, true);
	qms_config_refresh();
	queue = qms_release_queue(call, queue_id);
	gate = qms_gate_lock(qms_release_gate_of(queue), queue->organization_id, call->now, true);
	qms_param_int64(&params, queue_id);
	qms_param_time(&params, call->now);
	qms_param_text(&params, reason);
	qms_spi_run_now(&plan, &params);
	/* Read again, with the stop. */
	gate = qms_gate_lock(gate->gate, gate->organization_id, call->now, true);
	follow_now(gate, call->now);
	qms_gate_store(gate);
	queue = qms_release_queue(call, queue_id);
	qms_json_begin(&json);
	qms_json_text(&json, "reason", reason);
	event.kind = "queue.stopped";
	event.organization_id = queue->organization_id;
	event.branch_id = queue->branch_id;
	event.application_id = queue->application_id;
	event.queue_id = queue_id;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
	return qms_release_answer(call, queue);
}
