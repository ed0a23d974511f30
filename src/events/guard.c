/*
 * guard.c
 *		The trigger on qms.event and its partitions: what has been written stays.
 *
 * Rows are put in and never changed nor removed, whoever asks: the owner and
 * superusers too.  Retention drops whole partitions, which no trigger sees.
 * Replication apply, and whoever disables triggers, are outside the promise.
 */
#include "events/events.h"

#include "commands/trigger.h"

PG_FUNCTION_INFO_V1(qms_guard_event);

Datum
qms_guard_event(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("guard_event() must be called as a trigger")));
	ereport(ERROR,
			(errcode(ERRCODE_QMS_DIRECT_CHANGE),
			 errmsg("events cannot be %s",
					TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? "changed" : "removed"),
			 errdetail("The event log is the audit trail: rows are written once."),
			 errhint("Old months are dropped as a whole, by qms.history_retention.")));
	return PointerGetDatum(NULL);
}
