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

/* What the trigger looks at of a row. */
typedef struct Looked
{
	int64		ticket_id;
	int64		queue_id;
	int64		sort_key;
	QmsState	state;
} Looked;

/* Read it; where the columns are is looked up once. */
static Looked
look_at(TriggerData *trigger, HeapTuple tuple)
{
	static const char *const names[] = {"ticket_id", "queue_id", "sort_key", "state"};
	static Oid	relid = InvalidOid;
	static AttrNumber columns[lengthof(names)];
	TupleDesc	desc = trigger->tg_relation->rd_att;
	Datum		values[lengthof(names)];
	Looked		looked;
	text	   *state;
	char		buffer[NAMEDATALEN];
	bool		isnull;
	size_t		i;

	if (relid != RelationGetRelid(trigger->tg_relation))
	{
		for (i = 0; i < lengthof(names); i++)
			columns[i] = SPI_fnumber(desc, names[i]);
		relid = RelationGetRelid(trigger->tg_relation);
	}
	for (i = 0; i < lengthof(names); i++)
	{
		values[i] = heap_getattr(tuple, columns[i], desc, &isnull);
		if (isnull)
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("%s of a ticket must not be null", names[i])));
	}
	looked.ticket_id = DatumGetInt64(values[0]);
	looked.queue_id = DatumGetInt64(values[1]);
	looked.sort_key = DatumGetInt64(values[2]);
	state = DatumGetTextPP(values[3]);
	text_to_cstring_buffer(state, buffer, sizeof(buffer));
	looked.state = qms_state_by_name(buffer);
	return looked;
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
check_delete(const Looked *old)
{
	QmsState	final = declared_final;

	if (old->ticket_id != declared_ticket || declared_in != MyProc->lxid ||
		declared_below != GetCurrentSubTransactionId())
		refuse_delete("DELETE");
	/* Once only, also when what follows fails. */
	qms_guard_declare_end(0, QMS_STATES);
	qms_state_check(old->state, final, old->ticket_id);
}

/*
 * Somebody comes into the line, leaves it, or moves in it: the remembered
 * beginning must not hide him, and the counts are others.
 */
static void
note_waiting(const Looked *old, const Looked *new)
{
	bool		was = old != NULL && old->state == QMS_WAITING;
	bool		is = new != NULL && new->state == QMS_WAITING;

	if (was == is && (!was || (old->queue_id == new->queue_id && old->sort_key == new->sort_key)))
		return;
	if (was)
	{
		qms_bucket_note(old->queue_id, old->sort_key, -1);
		qms_roll_note(old->queue_id, old->ticket_id, old->sort_key, -1);
		qms_bound_left();
	}
	if (is)
	{
		qms_bucket_note(new->queue_id, new->sort_key, 1);
		qms_roll_note(new->queue_id, new->ticket_id, new->sort_key, 1);
		qms_bound_register(new->queue_id, new->sort_key);
		qms_inside_note_line(new->queue_id);
	}
}

/* ... and its room. */
static void
note_room(const Looked *old, const Looked *new)
{
	bool		was = old != NULL && qms_state_is_in_room(old->state);
	bool		is = new != NULL && qms_state_is_in_room(new->state);

	if (was == is && (!was || old->queue_id == new->queue_id))
		return;
	if (was)
		qms_room_note(old->queue_id, -1);
	if (is)
		qms_room_note(new->queue_id, 1);
}

static void
note(const Looked *old, const Looked *new)
{
	note_waiting(old, new);
	note_room(old, new);
}

PG_FUNCTION_INFO_V1(qms_guard_ticket);

Datum
qms_guard_ticket(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Looked		old;
	Looked		new;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("guard_ticket() must be called as a trigger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		refuse_delete("TRUNCATE");
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		new = look_at(trigger, trigger->tg_trigtuple);
		note(NULL, &new);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	old = look_at(trigger, trigger->tg_trigtuple);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		check_delete(&old);
		note(&old, NULL);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	new = look_at(trigger, trigger->tg_newtuple);
	if (new.ticket_id != old.ticket_id)
		refuse_delete("changing its id");
	/* A word that is no state at all is for the table's own check. */
	if (new.state != QMS_STATES)
		qms_state_check(old.state, new.state, new.ticket_id);
	note(&old, &new);
	return PointerGetDatum(trigger->tg_newtuple);
}
