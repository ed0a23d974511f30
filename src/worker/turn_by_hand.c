/*
 * turn_by_hand.c
 *		A turn of a waiting room, or a step of its draw, in the caller's transaction,
 *		for tests and benches: what the scheduler does for it, at the moment that the
 *		clock says.
 */
#include "release/release.h"
#include "room/room.h"
#include "worker/tasks.h"
#include "worker/worker.h"

#include "utils/builtins.h"
#include "utils/guc.h"

typedef struct ByHand
{
	int64		queue_id;
	bool		learn;
	TimestampTz next;
} ByHand;

/* Rights and accesses that have run out. */
static void
end_due(QmsCall *call, int64 queue_id)
{
	QmsTaskRun	run = {.call = call};

	do
	{
		run.next = DT_NOEND;
		qms_run_ends(&run, queue_id);
	} while (run.next <= call->now);
}

static void
turn(ByHand *by_hand)
{
	QmsCall    *call = qms_worker_call();
	QmsQueue   *queue;
	TimestampTz claim_due = DT_NOEND;

	qms_config_refresh();
	queue = qms_config_queue(by_hand->queue_id);
	if (queue == NULL || !queue->is_release)
		return;
	end_due(call, queue->queue_id);
	by_hand->next = qms_release_turn(call, qms_release_gate_of(queue), queue->organization_id, &claim_due);
	if (by_hand->learn)
		(void) qms_flow_learn(queue, call->now);
}

/* When the next turn is due; null: when somebody comes or goes. */
PG_FUNCTION_INFO_V1(qms_release_turn_by_hand);

Datum
qms_release_turn_by_hand(PG_FUNCTION_ARGS)
{
	ByHand		by_hand = {PG_GETARG_INT64(0), PG_GETARG_BOOL(1), DT_NOEND};

	qms_spi_begin();
	turn(&by_hand);
	qms_spi_end();
	if (by_hand.next == DT_NOEND)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(by_hand.next);
}

static const char *const draw_steps[] = {
	[QMS_DRAW_NOTHING] = "nothing",
	[QMS_DRAW_MORE] = "more",
	[QMS_DRAW_BUSY] = "busy",
	[QMS_DRAW_DONE] = "done"
};

/* What the step did: more, done, busy or nothing. */
PG_FUNCTION_INFO_V1(qms_draw_step_by_hand);

Datum
qms_draw_step_by_hand(PG_FUNCTION_ARGS)
{
	QmsDrawStep step;

	qms_spi_begin();
	qms_config_refresh();
	step = qms_draw_step(qms_worker_call(), PG_GETARG_INT64(0));
	qms_spi_end();
	PG_RETURN_TEXT_P(cstring_to_text(draw_steps[step]));
}
