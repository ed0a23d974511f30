/*
 * event.c
 *		Writes event rows.
 *
 * A row is written while the lock on what it describes is held, so events of
 * one thing are in the order of its changes.  Nothing here notifies anybody:
 * NOTIFY would serialize all writers over the flush of their commits.
 */
#include "events/events.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/*
 * An event's id, for those who have to name it before it is written.  Taken
 * while the lock on what the event describes is held.
 */
int64
qms_event_next_id(void)
{
	return qms_sequence_next("event_event_id_seq");
}

int64
qms_event_write(QmsCall *call, const QmsEvent *event)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.event (event_id, organization_id, at, kind, branch_id, application_id, queue_id, "
								   "visit_id, ticket_id, number, state, version, counter_id, staff_id, actor_kind, actor_id, "
								   "actor_role, session_role, api_key_id, address, application_name, user_agent, request_id, data) "
								   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, "
								   "$21, $22, $23, $24)",
								   INT8OID, INT8OID, TIMESTAMPTZOID, TEXTOID, INT8OID, INT8OID, INT8OID,
								   INT8OID, INT8OID, QMS_NUMBER_TYPE, TEXTOID, INT4OID, INT8OID, INT8OID, TEXTOID, INT8OID,
								   TEXTOID, TEXTOID, INT8OID, INETOID, TEXTOID, TEXTOID, UUIDOID, JSONBOID);
	QmsParams	params = {0};
	QmsActor	actor;
	int64		event_id;

	if (call->actor != NULL)
		actor = *call->actor;
	else
		qms_actor_read(&actor);
	event_id = event->event_id != 0 ? event->event_id : qms_event_next_id();
	qms_param_int64(&params, event_id);
	qms_param_int64(&params, event->organization_id);
	qms_param_time(&params, call->now);
	qms_param_text(&params, event->kind);
	qms_param_id(&params, event->branch_id);
	qms_param_id(&params, event->application_id);
	qms_param_id(&params, event->queue_id);
	qms_param_id(&params, event->visit_id);
	qms_param_id(&params, event->ticket_id);
	qms_param_pointer(&params, event->number);
	qms_param_text(&params, event->state);
	if (event->version == 0)
		qms_param_null(&params);
	else
		qms_param_int32(&params, event->version);
	qms_param_id(&params, event->counter_id);
	qms_param_id(&params, event->staff_id);
	qms_param_text(&params, call->who->kind_name);
	qms_param_id(&params, call->who->id);
	qms_param_text(&params, call->who->role);
	qms_param_pointer(&params, actor.session_role);
	qms_param_id(&params, call->who->api_key_id);
	qms_param_pointer(&params, actor.address);
	qms_param_pointer(&params, actor.application_name);
	qms_param_pointer(&params, actor.user_agent);
	qms_param_pointer(&params, call->has_request ? &call->request_id : NULL);
	qms_param_pointer(&params, event->data);
	qms_spi_run(&plan, &params);
	qms_doorbell_note();
	/* Of tickets it is known what they bring (qms_ticket_event); the rest is rare. */
	if (event->ticket_id == 0)
		qms_doorbell_note_work(QMS_WAKE_ALL);
	return event_id;
}

/*
 * A change of configuration: what is new, and what it was before of all that is
 * not the same any more.
 */
int64
qms_event_change(QmsCall *call, const char *thing, const char *verb, int64 organization_id, int64 branch_id,
				 int64 thing_id, const Jsonb *before, const Jsonb *values)
{
	QmsEvent	event = {0};
	QmsJson		json;

	event.kind = psprintf("%s.%s", thing, verb);
	event.organization_id = organization_id;
	event.branch_id = branch_id;
	if (strcmp(thing, "queue") == 0)
		event.queue_id = thing_id;
	else if (strcmp(thing, "counter") == 0)
		event.counter_id = thing_id;
	qms_json_begin(&json);
	qms_json_int64(&json, psprintf("%s_id", thing), thing_id);
	qms_json_jsonb(&json, "before", before);
	qms_json_jsonb(&json, "values", values);
	event.data = qms_json_end(&json);
	return qms_event_write(call, &event);
}

int64
qms_event_configuration(QmsCall *call, const char *thing, const char *verb, int64 organization_id,
						int64 branch_id, int64 thing_id, const Jsonb *values)
{
	return qms_event_change(call, thing, verb, organization_id, branch_id, thing_id, NULL, values);
}
