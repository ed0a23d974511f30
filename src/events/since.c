/*
 * since.c
 *		Reading the stream: events_since, and consumers that keep their place.
 *
 * NOTIFY is only a doorbell; who may read what is decided here.
 */
#include "events/events.h"

#include "catalog/pg_type.h"
#include "config/config.h"
#include "utils/builtins.h"

#define MAX_ROWS 10000

/* In the order of qms.published_event. */
enum
{
	P_epoch, P_position, P_event_id, P_at, P_kind, P_organization_id, P_branch_id, P_queue_id,
	P_application_id, P_visit_id, P_ticket_id, P_number, P_state, P_version, P_counter_id,
	P_counter_name, P_zone_id, P_actor_kind, P_actor_id, P_actor_role, P_request_id, P_data, P_COLUMNS
};

static pg_attribute_noreturn() void
bad_channel(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("channel \"%s\" is not known", text),
			 errdetail("Channels are display:<branch>, display:<branch>:<zone>, queue:<queue>, visit:<visit>, staff:<branch>, admin:<organization>, application:<application> and system:<organization>."),
			 errhint("The ids are numbers, as in display:3.")));
}

static pg_attribute_noreturn() void
refuse_channel(QmsCall *call, const QmsChannel *channel, const char *outside)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 outside != NULL ?
			 errmsg("permission denied for %s %lld", qms_channel_kind_name(channel->kind), (long long) channel->id) :
			 errmsg("permission denied for channel %s", qms_channel_name(channel)),
			 outside != NULL ? errdetail("It belongs to %s of the caller.", outside) :
			 errdetail("A principal of kind \"%s\" may not read it.", call->who->kind_name),
			 outside != NULL ? errhint("Ask an administrator of the organization for it.") :
			 errhint("display, queue and system channels are public.")));
}

/* May the caller read this channel? */
static void
check_channel(QmsCall *call, const QmsChannel *channel)
{
	QmsChannelOwner owner;
	const char *outside;

	if (!qms_channel_is_for(call, channel))
		refuse_channel(call, channel, NULL);
	qms_channel_owner(channel, &owner);
	call->answer_organization = owner.organization_id;
	switch (qms_channel_verdict(call, channel, &owner, &outside))
	{
		case QMS_ALLOWED:
			break;
		case QMS_UNKNOWN:
			qms_not_found(qms_channel_kind_name(channel->kind), channel->id);
		case QMS_DENIED:
			refuse_channel(call, channel, outside);
	}
}

#define STREAM_SELECT \
	"SELECT $4::text, p.position, e.event_id, e.at, e.kind, e.organization_id, e.branch_id, e.queue_id, e.application_id, " \
	"e.visit_id, e.ticket_id, e.number, e.state, e.version, e.counter_id, c.name, c.zone_id, e.actor_kind, e.actor_id, " \
	"e.actor_role, e.request_id, e.data " \
	"FROM qms_internal.event_position p JOIN qms.event e ON e.event_id = p.event_id AND e.at = p.at " \
	"LEFT JOIN qms.counter c ON c.counter_id = e.counter_id LEFT JOIN qms.queue q ON q.queue_id = e.queue_id "
#define STREAM_ORDER " AND p.position > $2 ORDER BY p.position LIMIT $3"
#define SHOWN_PUBLICLY " AND " QMS_IS_SHOWN_PUBLICLY
#define STREAM_ARGS INT8OID, INT8OID, INT8OID, TEXTOID

/* On public channels only what everybody may know. */
static bool
is_hidden(int column)
{
	switch (column)
	{
		case P_organization_id:
		case P_branch_id:
		case P_application_id:
		case P_visit_id:
		case P_ticket_id:
		case P_version:
		case P_event_id:
		case P_actor_kind:
		case P_actor_id:
		case P_actor_role:
		case P_request_id:
		case P_data:
			return true;
		default:
			return false;
	}
}

static Datum
answer_events(QmsCall *call, uint64 n, bool only_public)
{
	uint64		i;
	int			c;

	for (i = 0; i < n; i++)
	{
		Datum		values[P_COLUMNS];
		bool		nulls[P_COLUMNS];

		for (c = 0; c < P_COLUMNS; c++)
		{
			values[c] = qms_spi_datum(i, c, &nulls[c]);
			nulls[c] = nulls[c] || (only_public && is_hidden(c));
		}
		qms_answer_row(call, values, nulls);
	}
	return qms_answer_none(call);
}

static int64
rows_wanted(QmsCall *call, int n)
{
	int32		rows = qms_arg_int32(call, n, 1000);

	if (rows < 1 || rows > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be from 1 to %d, not %d", MAX_ROWS, rows),
				 errhint("Read in several steps.")));
	return rows;
}

QMS_FUNCTION(events_since, QMS_ACT_PUBLIC, QMS_SETOF)
{
	static QmsPlan plans[QMS_CHANNEL_KINDS] = {
		[QMS_CHANNEL_DISPLAY] = QMS_PLAN(STREAM_SELECT "WHERE p.branch_id = $1" SHOWN_PUBLICLY STREAM_ORDER, STREAM_ARGS),
		[QMS_CHANNEL_QUEUE] = QMS_PLAN(STREAM_SELECT "WHERE p.queue_id = $1" SHOWN_PUBLICLY STREAM_ORDER, STREAM_ARGS),
		[QMS_CHANNEL_VISIT] = QMS_PLAN(STREAM_SELECT "WHERE p.visit_id = $1" STREAM_ORDER, STREAM_ARGS),
		[QMS_CHANNEL_STAFF] = QMS_PLAN(STREAM_SELECT "WHERE p.branch_id = $1" STREAM_ORDER, STREAM_ARGS),
		[QMS_CHANNEL_ADMIN] = QMS_PLAN(STREAM_SELECT "WHERE p.organization_id = $1" STREAM_ORDER, STREAM_ARGS),
		[QMS_CHANNEL_APPLICATION] = QMS_PLAN(STREAM_SELECT "WHERE p.application_id = $1" STREAM_ORDER, STREAM_ARGS),
		[QMS_CHANNEL_SYSTEM] = QMS_PLAN(STREAM_SELECT "WHERE p.organization_id = $1 AND " QMS_IS_SYSTEM STREAM_ORDER, STREAM_ARGS)
	};
	static QmsPlan zone = QMS_PLAN(STREAM_SELECT "WHERE p.branch_id = $1" SHOWN_PUBLICLY
								   " AND (e.counter_id IS NULL OR c.zone_id = $5)" STREAM_ORDER, STREAM_ARGS, INT8OID);
	char	   *text = qms_arg_text(call, 0, "channel");
	int64		after = qms_arg_isnull(call, 1) ? 0 : DatumGetInt64(call->fcinfo->args[1].value);
	int64		rows = rows_wanted(call, 2);
	QmsParams	params = {0};
	QmsChannel	channel;
	QmsStream	state;

	if (!qms_channel_parse(text, &channel))
		bad_channel(text);
	check_channel(call, &channel);
	qms_stream_needed(&state, NULL);
	qms_stream_check(&state, qms_arg_text_or_null(call, 3), after);
	qms_param_int64(&params, channel.id);
	qms_param_int64(&params, after);
	qms_param_int64(&params, rows);
	qms_param_text(&params, state.epoch);
	if (channel.zone_id != 0)
		qms_param_int64(&params, channel.zone_id);
	return answer_events(call, qms_spi_run(channel.zone_id ? &zone : &plans[channel.kind], &params),
						 qms_channel_is_public(channel.kind));
}

QMS_FUNCTION(stream_position, QMS_ACT_PUBLIC, 0)
{
	QmsStream	state;
	Datum		values[3];
	bool		nulls[3] = {false};

	qms_stream_needed(&state, NULL);
	values[0] = CStringGetTextDatum(state.epoch);
	values[1] = Int64GetDatum(state.last_position);
	values[2] = Int64GetDatum(state.pruned_position);
	return qms_answer_tuple(call, values, nulls);
}

/* ---- durable consumers ---- */

typedef struct Consumer
{
	int64		id;
	int64		organization_id;	/* 0: all (superuser) */
	int64		position;
	char	   *epoch;
} Consumer;

/* A consumer reads all events of an organization. */
static void
check_consumers(QmsCall *call)
{
	if (!qms_channel_administers_all(call->who))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for consumers"),
				 errdetail("A consumer reads the events of the whole organization; the caller administers some of its branches."),
				 errhint("Read staff:<branch> with qms.events_since().")));
}

/*
 * A consumer of the caller's organization; for a superuser the one of all
 * organizations, or the only one of that name.
 *
 * Lock: its row, so that two readers of one name advance one after the other.
 */
static void
find_consumer(QmsCall *call, const char *name, Consumer *consumer)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT event_consumer_id, organization_id, position, epoch FROM qms.event_consumer "
								   "WHERE name = $1 AND ($2 IS NULL OR organization_id = $2) "
								   "ORDER BY organization_id NULLS FIRST FOR NO KEY UPDATE", TEXTOID, INT8OID);
	QmsParams	params = {0};
	uint64		n;

	check_consumers(call);
	qms_param_text(&params, name);
	qms_param_id(&params, call->who->organization_id);
	n = qms_spi_run(&plan, &params);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_FOUND),
				 errmsg("consumer \"%s\" does not exist", name),
				 errhint("Make it with qms.create_consumer().")));
	if (n > 1 && !qms_spi_isnull(0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%llu organizations have a consumer \"%s\"", (unsigned long long) n, name),
				 errhint("Act as an administrator of the one that you mean, with qms.act_as().")));
	consumer->id = qms_spi_int64(0, 0);
	consumer->organization_id = qms_spi_int64(0, 1);
	consumer->position = qms_spi_int64(0, 2);
	consumer->epoch = qms_spi_text(0, 3);
}

QMS_FUNCTION(create_consumer, QMS_ACT_SETUP, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.event_consumer (organization_id, name, position, epoch) VALUES ($1, $2, $3, $4) "
								   "ON CONFLICT DO NOTHING RETURNING event_consumer_id, organization_id, name, position, epoch, enabled, created_at, updated_at",
								   INT8OID, TEXTOID, INT8OID, TEXTOID);
	char	   *name = qms_arg_text(call, 0, "name");
	int64		organization_id = qms_arg_id_or_0(call, 1, "organization_id");
	bool		oldest = qms_arg_bool(call, 2, false);
	QmsParams	params = {0};
	QmsStream	state;
	Datum		values[8];
	bool		nulls[8];
	int			i;

	check_consumers(call);
	if (organization_id == 0)
		organization_id = call->who->organization_id;
	if (organization_id != 0)
		qms_gate_organization(call, organization_id, "organization", organization_id);
	qms_stream_needed(&state, NULL);
	qms_param_id(&params, organization_id);
	qms_param_text(&params, name);
	qms_param_int64(&params, oldest ? state.pruned_position : state.last_position);
	qms_param_text(&params, state.epoch);
	if (qms_spi_run(&plan, &params) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("consumer \"%s\" exists already", name),
				 errhint("Choose another name; names are unique in the organization.")));
	for (i = 0; i < 8; i++)
		values[i] = qms_spi_datum(0, i, &nulls[i]);
	return qms_answer_tuple(call, values, nulls);
}

QMS_FUNCTION(delete_consumer, QMS_ACT_SETUP, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN("DELETE FROM qms.event_consumer WHERE event_consumer_id = $1", INT8OID);
	char	   *name = qms_arg_text(call, 0, "name");
	QmsParams	params = {0};
	Consumer	consumer;

	find_consumer(call, name, &consumer);
	qms_param_int64(&params, consumer.id);
	qms_spi_run(&plan, &params);
	return (Datum) 0;
}

QMS_FUNCTION(consumer_read, QMS_ACT_SETUP, QMS_SETOF)
{
	static QmsPlan own = QMS_PLAN(STREAM_SELECT "WHERE p.organization_id = $1" STREAM_ORDER, STREAM_ARGS);
	static QmsPlan all = QMS_PLAN(STREAM_SELECT "WHERE ($1::int8 IS NULL)" STREAM_ORDER, STREAM_ARGS);
	char	   *name = qms_arg_text(call, 0, "name");
	int64		rows = rows_wanted(call, 1);
	QmsParams	params = {0};
	Consumer	consumer;
	QmsStream	state;

	find_consumer(call, name, &consumer);
	qms_stream_needed(&state, NULL);
	qms_stream_check(&state, consumer.epoch, consumer.position);
	qms_param_id(&params, consumer.organization_id);
	qms_param_int64(&params, consumer.position);
	qms_param_int64(&params, rows);
	qms_param_text(&params, state.epoch);
	return answer_events(call, qms_spi_run(consumer.organization_id ? &own : &all, &params), false);
}

/*
 * up_to null: to the end of the present epoch, for a consumer that cannot go on
 * where it is, after the state was read anew.  One that can stays where it is: so
 * the greatest position of a batch that was empty loses nothing.
 */
QMS_FUNCTION(consumer_advance, QMS_ACT_SETUP, 0)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.event_consumer SET position = $2, epoch = $3, updated_at = $4 WHERE event_consumer_id = $1",
								   INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID);
	char	   *name = qms_arg_text(call, 0, "name");
	bool		to_end = qms_arg_isnull(call, 1);
	int64		up_to = to_end ? 0 : DatumGetInt64(call->fcinfo->args[1].value);
	QmsParams	params = {0};
	Consumer	consumer;
	QmsStream	state;

	find_consumer(call, name, &consumer);
	qms_stream_needed(&state, NULL);
	if (to_end && (strcmp(consumer.epoch, state.epoch) != 0 || consumer.position < state.pruned_position))
		up_to = state.last_position;
	else
	{
		qms_stream_check(&state, consumer.epoch, state.last_position);
		up_to = Max(up_to, consumer.position);
	}
	if (up_to > state.last_position)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("position %lld has not been published", (long long) up_to),
				 errdetail("The last one is %lld.", (long long) state.last_position),
				 errhint("Advance to the position of the last event that was worked on.")));
	qms_param_int64(&params, consumer.id);
	qms_param_int64(&params, up_to);
	qms_param_text(&params, state.epoch);
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
	return Int64GetDatum(up_to);
}
