/*
 * envelope.c
 *		Events as JSON, as the gateway sends them on: all of it for staff, what is
 *		everybody's for public channels, and for the person himself what concerns
 *		him.
 */
#include "look/look.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* In the order of QMS_FEED_COLUMNS. */
enum
{
	F_position, F_event_id, F_at, F_kind, F_organization_id, F_branch_id, F_queue_id, F_application_id,
	F_visit_id, F_ticket_id, F_number, F_state, F_version, F_counter_id, F_counter_name, F_zone_id,
	F_actor_kind, F_actor_id, F_actor_role, F_data, F_is_public, F_is_system, F_queue_status, F_COLUMNS
};

StaticAssertDecl(F_COLUMNS == QMS_FEED_WIDTH, "QMS_FEED_COLUMNS has one column for each F_...");

static int64
id_of(const QmsFeedEvent *event, int column)
{
	return event->nulls[column] ? 0 : DatumGetInt64(event->values[column]);
}

static char *
text_of(const QmsFeedEvent *event, int column)
{
	return event->nulls[column] ? NULL : TextDatumGetCString(event->values[column]);
}

/* Row r of such a result; what it points to is the result's, and the present context's. */
void
qms_feed_fetch(SPITupleTable *rows, uint64 r, QmsFeedEvent *event)
{
	Assert(rows->tupdesc->natts == F_COLUMNS);
	heap_deform_tuple(rows->vals[r], rows->tupdesc, event->values, event->nulls);
	event->position = id_of(event, F_position);
	event->kind = text_of(event, F_kind);
	event->is_public = event->kind != NULL && !event->nulls[F_is_public] && DatumGetBool(event->values[F_is_public]);
	event->is_system = !event->nulls[F_is_system] && DatumGetBool(event->values[F_is_system]);
	event->organization_id = id_of(event, F_organization_id);
	event->branch_id = id_of(event, F_branch_id);
	event->queue_id = id_of(event, F_queue_id);
	event->application_id = id_of(event, F_application_id);
	event->visit_id = id_of(event, F_visit_id);
	event->counter_id = id_of(event, F_counter_id);
	event->zone_id = id_of(event, F_zone_id);
	event->at = event->nulls[F_at] ? QMS_NO_TIME : DatumGetTimestampTz(event->values[F_at]);
	event->queue_status = text_of(event, F_queue_status);
}

static void
write_place(StringInfo out, const QmsFeedEvent *event, const char *epoch)
{
	qms_write_begin(out, NULL, '{');
	qms_write_int64(out, "v", 1);
	qms_write_int64(out, "position", event->position);
	qms_write_text(out, "epoch", epoch);
}

static void
write_time_and_kind(StringInfo out, const QmsFeedEvent *event)
{
	qms_write_time(out, "at", event->at);
	qms_write_text(out, "kind", event->kind);
}

/* Number and state: of a ticket, or the state of a counter or queue. */
static void
write_state(StringInfo out, const QmsFeedEvent *event)
{
	if (!event->nulls[F_number])
		qms_write_text(out, "number",
					   qms_types_number_text((QmsTicketNumber *) DatumGetPointer(event->values[F_number])));
	qms_write_text(out, "state", text_of(event, F_state));
}

static void
write_counter(StringInfo out, const QmsFeedEvent *event)
{
	qms_write_id(out, "counter_id", event->counter_id);
	qms_write_text(out, "counter_name", text_of(event, F_counter_name));
	qms_write_id(out, "zone_id", event->zone_id);
}

/* What it is about, where nothing of it is secret from the reader. */
static void
write_subject(StringInfo out, const QmsFeedEvent *event)
{
	qms_write_id(out, "branch_id", event->branch_id);
	qms_write_id(out, "queue_id", event->queue_id);
	qms_write_id(out, "application_id", event->application_id);
	qms_write_id(out, "visit_id", event->visit_id);
	qms_write_id(out, "ticket_id", id_of(event, F_ticket_id));
	write_state(out, event);
	if (!event->nulls[F_version])
		qms_write_int64(out, "version", DatumGetInt32(event->values[F_version]));
	write_counter(out, event);
}

static Jsonb *
data_of(const QmsFeedEvent *event)
{
	return event->nulls[F_data] ? NULL : DatumGetJsonbP(event->values[F_data]);
}

/* For staff, administrators and applications. */
void
qms_feed_full(StringInfo out, const QmsFeedEvent *event, const char *epoch)
{
	write_place(out, event, epoch);
	qms_write_int64(out, "id", id_of(event, F_event_id));
	write_time_and_kind(out, event);
	qms_write_int64(out, "organization_id", event->organization_id);
	write_subject(out, event);
	qms_write_begin(out, "actor", '{');
	qms_write_text(out, "kind", text_of(event, F_actor_kind));
	qms_write_id(out, "id", id_of(event, F_actor_id));
	qms_write_text(out, "role", text_of(event, F_actor_role));
	qms_write_end(out, '}');
	qms_write_jsonb(out, "data", data_of(event));
	qms_write_end(out, '}');
}

/*
 * For everybody: what since.c does not hide, and figures of the queue, an object
 * as text, or NULL.
 */
void
qms_feed_public(StringInfo out, const QmsFeedEvent *event, const char *epoch, const char *figures)
{
	write_place(out, event, epoch);
	write_time_and_kind(out, event);
	qms_write_id(out, "queue_id", event->queue_id);
	write_state(out, event);
	write_counter(out, event);
	qms_write_raw(out, "data", figures);
	qms_write_end(out, '}');
}

/* What of an event's data is for the person whom it is about, and says nothing of others. */
static const char *const personal_data[] = {
	"hold_kind", "resume_at", "until", "places", "recalls", "service_id", "leg", "from", "outcome", "undone_kind",
	"walk_up", "reinstated", "priority"
};

static void
write_personal_data(StringInfo out, const Jsonb *data)
{
	bool		begun = false;
	size_t		i;

	for (i = 0; data != NULL && JB_ROOT_IS_OBJECT(data) && i < lengthof(personal_data); i++)
	{
		JsonbValue	buffer;
		JsonbValue *v = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &data->root), personal_data[i],
													 strlen(personal_data[i]), &buffer);

		if (v == NULL || (v->type != jbvString && v->type != jbvNumeric && v->type != jbvBool))
			continue;
		if (!begun)
			qms_write_begin(out, "data", '{');
		begun = true;
		if (v->type == jbvString)
			qms_write_text(out, personal_data[i], pnstrdup(v->val.string.val, v->val.string.len));
		else if (v->type == jbvBool)
			qms_write_bool(out, personal_data[i], v->val.boolean);
		else
			qms_write_raw(out, personal_data[i],
						  DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric))));
	}
	if (begun)
		qms_write_end(out, '}');
}

/* For the person: neither who did it, nor notes, nor other people's tickets. */
void
qms_feed_of_visit(StringInfo out, const QmsFeedEvent *event, const char *epoch)
{
	write_place(out, event, epoch);
	qms_write_int64(out, "id", id_of(event, F_event_id));
	write_time_and_kind(out, event);
	write_subject(out, event);
	write_personal_data(out, data_of(event));
	qms_write_end(out, '}');
}

/* The queue that a ticket came from, if it was sent to another one; else 0. */
int64
qms_feed_from_queue(const QmsFeedEvent *event)
{
	int64		queue_id = 0;

	if (strcmp(event->kind, "ticket.transferred") == 0)
		(void) qms_jsonb_int64(data_of(event), "from_queue_id", &queue_id);
	return queue_id;
}

/* The transfer that this event takes back: its event_id; else 0. */
int64
qms_feed_undone_transfer(const QmsFeedEvent *event)
{
	int64		event_id = 0;
	char	   *undone;

	if (strcmp(event->kind, "ticket.undone") != 0)
		return 0;
	undone = qms_jsonb_text(data_of(event), "undone_kind");
	if (undone != NULL && strcmp(undone, "ticket.transferred") == 0)
		(void) qms_jsonb_int64(data_of(event), "undone_event_id", &event_id);
	return event_id;
}

/* Have tokens ended with the keys that signed them?  Those of logins open no channel. */
static bool
has_ended_tokens(const Jsonb *data)
{
	char	   *purpose = data ? qms_jsonb_text(data, "purpose") : NULL;
	bool		at_once = false;

	return purpose != NULL && strcmp(purpose, "login") != 0 &&
		qms_jsonb_bool(data, "at_once", &at_once) && at_once;
}

/*
 * May somebody's right to read a channel be another one now?  Not by what only
 * begins, such as a login or a new key.
 */
bool
qms_feed_changes_rights(const QmsFeedEvent *event)
{
	const char *kind = event->kind;
	static const char *const things[] = {
		"staff.", "role_binding.", "api_key.", "device.", "customer.", "organization.", "application.", "branch.",
		"queue.updated", "queue.deleted", "zone.deleted", "visit.anonymized"
	};
	static const char *const harmless[] = {
		"staff.logged_in", "staff.login_failed", "staff.password_reset_requested", "staff.created",
		"api_key.created", "device.created", "device.code_renewed", "device.paired", "customer.created",
		"customer.updated", "organization.created", "application.created", "branch.created"
	};
	size_t		i;

	for (i = 0; i < lengthof(harmless); i++)
	{
		if (strcmp(kind, harmless[i]) == 0)
			return false;
	}
	for (i = 0; i < lengthof(things); i++)
	{
		if (strncmp(kind, things[i], strlen(things[i])) == 0)
			return true;
	}
	return strcmp(kind, "signing_key.rotated") == 0 && has_ended_tokens(data_of(event));
}

/*
 * Has something changed that displays show and their events do not tell: names
 * and settings, or somebody who was sent on to a queue that is not everybody's?
 */
bool
qms_feed_changes_what_is_shown(const QmsFeedEvent *event)
{
	static const char *const things[] = {"organization.", "branch.", "zone.", "queue.", "counter."};
	static const char *const verbs[] = {"created", "updated", "deleted"};
	const char *verb = strchr(event->kind, '.');
	size_t		i;
	size_t		j;

	if (strncmp(event->kind, "ticket.", 7) == 0)
		return !event->is_public && (qms_feed_from_queue(event) != 0 || qms_feed_undone_transfer(event) != 0);
	for (i = 0; verb != NULL && i < lengthof(things); i++)
	{
		for (j = 0; strncmp(event->kind, things[i], strlen(things[i])) == 0 && j < lengthof(verbs); j++)
		{
			if (strcmp(verb + 1, verbs[j]) == 0)
				return true;
		}
	}
	return false;
}
