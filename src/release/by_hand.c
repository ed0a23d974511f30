/*
 * by_hand.c
 *		release_next: somebody lets people in, beside the rate.
 */
#include "release/release.h"

/* Nobody is let in by hand either while the queue is stopped, or before it opens. */
static void
check_may_release(QmsCall *call, const QmsGateQueue *q)
{
	TimestampTz opens_at = q->queue->settings.opens_at;

	if (q->stopped_at != QMS_NO_TIME)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_QUEUE_STOPPED),
				 errmsg("queue %lld is stopped", (long long) q->queue_id),
				 errdetail("Nobody is let in, comes in or is found to be in."),
				 errhint("Go on with qms.open_queue().")));
	if (q->starts_at > call->now && q->queue->status != 'p')
		ereport(ERROR,
				(errcode(ERRCODE_QMS_OUTSIDE_HOURS),
				 errmsg("queue %lld lets nobody in yet", (long long) q->queue_id),
				 opens_at > call->now ? errdetail("It opens at a moment of its own, its setting opens_at.") :
				 errdetail("The draw of its lottery is not complete."),
				 errhint("Wait for it, or change opens_at with qms.update_queue().")));
	if (q->queue->status == 'p' && opens_at != QMS_NO_TIME && opens_at > call->now)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_OUTSIDE_HOURS),
				 errmsg("queue %lld lets nobody in yet", (long long) q->queue_id),
				 errdetail("It opens at a moment of its own, its setting opens_at."),
				 errhint("Wait for it, or change opens_at with qms.update_queue().")));
}

static void
answer_row(QmsCall *call, const QmsGateQueue *q, int64 ticket_id)
{
	bool		ended;
	QmsTicket  *ticket = qms_ticket_read(ticket_id, &ended);
	Datum		values[6];
	bool		nulls[6] = {0};

	values[0] = Int64GetDatum(ticket_id);
	values[1] = Int64GetDatum(qms_row_int64(ticket, T_visit_id));
	values[2] = Int64GetDatum(q->queue_id);
	nulls[3] = qms_row_isnull(ticket, T_subject);
	values[3] = ticket->values[T_subject];
	values[4] = TimestampTzGetDatum(qms_row_time(ticket, T_called_at));
	values[5] = TimestampTzGetDatum(qms_row_time(ticket, T_due_at));
	qms_answer_row(call, values, nulls);
}

QMS_FUNCTION(release_next, QMS_ACT_RECEPTION, QMS_MUTATES | QMS_SETOF)
{
	int64		queue_id = qms_arg_id(call, 0, "queue_id");
	int32		count = qms_arg_int32(call, 1, 1);
	QmsQueue   *queue = qms_release_queue(call, queue_id);
	int64		ids[QMS_RELEASE_BATCH];
	QmsGate    *gate;
	QmsGateQueue *q;
	int			n = 0;
	int			i;

	if (count < 1 || count > QMS_RELEASE_BATCH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("count must be from 1 to %d, not %d", QMS_RELEASE_BATCH, count),
				 errdetail("So many people are let in at once."),
				 errhint("Call the function again for more.")));
	gate = qms_gate_lock(qms_release_gate_of(queue), queue->organization_id, call->now, true);
	q = gate == NULL ? NULL : qms_gate_queue_of(gate, queue_id);
	if (q == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("queue %lld changed while it was worked on", (long long) queue_id),
				 errhint("Try the call again.")));
	check_may_release(call, q);
	qms_gate_fold(gate);
	count = (int32) Min(count, Min(qms_admit_room(q), qms_admit_pool_room(gate)));
	if (count > 0 && qms_admit_look(q, 1) > 0)
		n = qms_admit(call, gate, q, count, ids);
	if (n > 0)
		qms_doorbell_note_timer(call->now + q->queue->settings.claim_window);
	qms_gate_store(gate);
	for (i = 0; i < n; i++)
		answer_row(call, q, ids[i]);
	return qms_answer_none(call);
}
