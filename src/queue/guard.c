/*
 * guard.c
 *		The trigger on qms.ticket: whoever writes, the transition table holds.
 *
 * A pure function of OLD and NEW.  A row may be put in with any open state
 * (restore, undo).  It may be deleted only by the mover of ticket.c, which says
 * beforehand which ticket ends in which state; a plain DELETE or TRUNCATE is
 * refused, a superuser's too.  Replication apply, and whoever disables
 * triggers, are outside the promise.
 */
#include "queue/queue.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/rel.h"

/* What the mover is about to delete, and in which (sub)transaction: an error undoes it. */
static int64 declared_ticket = 0;
static QmsState declared_final = QMS_STATES;
static LocalTransactionId declared_in = InvalidLocalTransactionId;
static SubTransactionId declared_below = InvalidSubTransactionId;

/* The next DELETE is of this ticket, which ends so. */
void
qms_guard_declare_end(int64 ticket_id, QmsState final)
{
	declared_ticket = ticket_id;
	declared_final = final;
	declared_in = MyProc->lxid;
	declared_below = GetCurrentSubTransactionId();
}

static Datum
column(TriggerData *trigger, HeapTuple tuple, const char *name)
{
	int			attnum = SPI_fnumber(trigger->tg_relation->rd_att, name);
	bool		isnull;
	Datum		value;

	value = heap_getattr(tuple, attnum, trigger->tg_relation->rd_att, &isnull);
	return isnull ? (Datum) 0 : value;
}

static QmsState
state_of(TriggerData *trigger, HeapTuple tuple)
{
	return qms_state_by_name(TextDatumGetCString(column(trigger, tuple, "state")));
}

static pg_attribute_noreturn() void
refuse_delete(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_DIRECT_CHANGE),
			 errmsg("tickets cannot be removed by %s", what),
			 errdetail("A ticket that ends moves to qms.ticket_history with its final state."),
			 errhint("Call qms.cancel_ticket(), or another function that ends a ticket.")));
}

static void
check_delete(TriggerData *trigger)
{
	HeapTuple	old = trigger->tg_trigtuple;
	int64		ticket_id = DatumGetInt64(column(trigger, old, "ticket_id"));
	QmsState	final = declared_final;

	if (ticket_id != declared_ticket || declared_in != MyProc->lxid ||
		declared_below != GetCurrentSubTransactionId())
		refuse_delete("DELETE");
	/* Once only, also when what follows fails. */
	qms_guard_declare_end(0, QMS_STATES);
	qms_state_check(state_of(trigger, old), final, ticket_id);
}

/*
 * Somebody comes into the line, leaves it, or moves in it: the remembered
 * beginning must not hide him, and the counts are others.
 */
static void
note_waiting(TriggerData *trigger, HeapTuple old, HeapTuple new)
{
	bool		was = old != NULL && state_of(trigger, old) == QMS_WAITING;
	bool		is = new != NULL && state_of(trigger, new) == QMS_WAITING;
	int64		old_queue = was ? DatumGetInt64(column(trigger, old, "queue_id")) : 0;
	int64		new_queue = is ? DatumGetInt64(column(trigger, new, "queue_id")) : 0;
	int64		old_key = was ? DatumGetInt64(column(trigger, old, "sort_key")) : 0;
	int64		new_key = is ? DatumGetInt64(column(trigger, new, "sort_key")) : 0;

	if (was == is && old_queue == new_queue && old_key == new_key)
		return;
	if (was)
		qms_bucket_note(old_queue, old_key, -1);
	if (is)
	{
		qms_bucket_note(new_queue, new_key, 1);
		qms_bound_register(new_queue, new_key);
	}
}

PG_FUNCTION_INFO_V1(qms_guard_ticket);

Datum
qms_guard_ticket(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple	new;
	QmsState	to;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("guard_ticket() must be called as a trigger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		refuse_delete("TRUNCATE");
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		check_delete(trigger);
		note_waiting(trigger, trigger->tg_trigtuple, NULL);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	new = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
	to = state_of(trigger, new);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		int64		ticket_id = DatumGetInt64(column(trigger, new, "ticket_id"));

		if (ticket_id != DatumGetInt64(column(trigger, trigger->tg_trigtuple, "ticket_id")))
			refuse_delete("changing its id");
		qms_state_check(state_of(trigger, trigger->tg_trigtuple), to, ticket_id);
	}
	note_waiting(trigger, TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_trigtuple : NULL, new);
	return PointerGetDatum(new);
}
