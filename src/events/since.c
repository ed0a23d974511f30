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

typedef enum ChannelKind
{
	CH_DISPLAY, CH_QUEUE, CH_VISIT, CH_STAFF, CH_ADMIN, CH_APPLICATION, CH_SYSTEM, CH_KINDS
} ChannelKind;

typedef struct Channel
{
	ChannelKind kind;
	int64		id;
	int64		zone_id;		/* of a display, 0: all */
} Channel;

static const struct
{
	const char *name;
	const char *column;			/* of event_position */
	bool		is_public;
}			channel_kinds[CH_KINDS] = {
	[CH_DISPLAY] = {"display", "branch_id", true},
	[CH_QUEUE] = {"queue", "queue_id", true},
	[CH_VISIT] = {"visit", "visit_id", false},
	[CH_STAFF] = {"staff", "branch_id", false},
	[CH_ADMIN] = {"admin", "organization_id", false},
	[CH_APPLICATION] = {"application", "application_id", false},
	[CH_SYSTEM] = {"system", "organization_id", true}
};

typedef struct StreamState
{
	char	   *epoch;
	int64		last_position;
	int64		pruned_position;
} StreamState;

static pg_attribute_noreturn() void
bad_channel(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("channel \"%s\" is not known", text),
			 errdetail("Channels are display:<branch>, display:<branch>:<zone>, queue:<queue>, visit:<visit>, staff:<branch>, admin:<organization>, application:<application> and system:<organization>."),
			 errhint("The ids are numbers, as in display:3.")));
}

/* A positive number that ends at end or at a colon; moves on behind it. */
static int64
read_id(const char **at)
{
	int64		id = 0;

	while (**at >= '0' && **at <= '9' && id < PG_INT64_MAX / 20)
		id = id * 10 + *(*at)++ - '0';
	return id;
}

static void
parse_channel(const char *text, Channel *channel)
{
	const char *at = strchr(text, ':');

	memset(channel, 0, sizeof(*channel));
	if (at == NULL)
		bad_channel(text);
	for (channel->kind = 0; channel->kind < CH_KINDS; channel->kind++)
	{
		const char *name = channel_kinds[channel->kind].name;

		if (strlen(name) == (size_t) (at - text) && strncmp(name, text, at - text) == 0)
			break;
	}
	at++;
	channel->id = read_id(&at);
	if (channel->kind == CH_DISPLAY && *at == ':')
	{
		at++;
		channel->zone_id = read_id(&at);
		if (channel->zone_id == 0)
			bad_channel(text);
	}
	if (channel->kind == CH_KINDS || channel->id == 0 || *at != '\0')
		bad_channel(text);
}

/* Organization and branch of what a channel is about; not found if there is no such thing. */
static void
owner_of(const Channel *channel, int64 *organization_id, int64 *branch_id)
{
	static QmsPlan plans[CH_KINDS] = {
		[CH_DISPLAY] = QMS_PLAN("SELECT organization_id, branch_id FROM qms.branch WHERE branch_id = $1", INT8OID),
		[CH_QUEUE] = QMS_PLAN("SELECT organization_id, branch_id FROM qms.queue WHERE queue_id = $1", INT8OID),
		[CH_VISIT] = QMS_PLAN("(SELECT organization_id, branch_id FROM qms.ticket WHERE ticket_id = $1) UNION ALL "
							  "(SELECT organization_id, branch_id FROM qms.ticket_history WHERE ticket_id = $1 LIMIT 1) LIMIT 1", INT8OID),
		[CH_STAFF] = QMS_PLAN("SELECT organization_id, branch_id FROM qms.branch WHERE branch_id = $1", INT8OID),
		[CH_ADMIN] = QMS_PLAN("SELECT organization_id, NULL::int8 FROM qms.organization WHERE organization_id = $1", INT8OID),
		[CH_APPLICATION] = QMS_PLAN("SELECT organization_id, NULL::int8 FROM qms.application WHERE application_id = $1", INT8OID),
		[CH_SYSTEM] = QMS_PLAN("SELECT organization_id, NULL::int8 FROM qms.organization WHERE organization_id = $1", INT8OID)
	};
	QmsParams	params = {0};

	qms_param_int64(&params, channel->id);
	if (qms_spi_run(&plans[channel->kind], &params) == 0)
		qms_not_found(channel_kinds[channel->kind].name, channel->id);
	*organization_id = qms_spi_int64(0, 0);
	*branch_id = qms_spi_int64(0, 1);
}

/* What is about the whole organization is not for the administrator of some of its branches. */
static bool
administers_all(const QmsPrincipal *who)
{
	return who->kind == QMS_SUPERUSER || (who->kind == QMS_ADMIN && who->nbranches == 0);
}

static pg_attribute_noreturn() void
refuse_channel(QmsCall *call, const Channel *channel)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for channel %s:%lld", channel_kinds[channel->kind].name, (long long) channel->id),
			 errdetail("A principal of kind \"%s\" may not read it.", call->who->kind_name),
			 errhint("display, queue and system channels are public.")));
}

/* May the caller read this channel? */
static void
check_channel(QmsCall *call, const Channel *channel)
{
	const char *name = channel_kinds[channel->kind].name;
	int64		organization_id;
	int64		branch_id;
	bool		allowed = qms_gate_is_staff(call);

	/* Before it is looked for: whoever may read none of this kind does not learn which there are. */
	if (!channel_kinds[channel->kind].is_public && !allowed)
		refuse_channel(call, channel);
	owner_of(channel, &organization_id, &branch_id);
	qms_gate_branch(call, organization_id, branch_id, name, channel->id);
	if (channel->kind == CH_ADMIN)
		allowed = administers_all(call->who);
	/* An application sees its own waiting rooms, not those of another one. */
	if (channel->kind == CH_APPLICATION && call->who->kind == QMS_APPLICATION)
		allowed = call->who->id == channel->id;
	if (channel->kind == CH_QUEUE && !allowed)
	{
		QmsQueue   *queue = qms_config_queue(channel->id);

		if (queue == NULL || !queue->settings.is_public)
			qms_not_found(name, channel->id);
	}
	if (!channel_kinds[channel->kind].is_public && !allowed)
		refuse_channel(call, channel);
}

static void
read_state(StreamState *state)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT p.epoch, r.last_position, p.pruned_position FROM qms_internal.publisher p, "
										  "LATERAL (SELECT last_position FROM qms_internal.publisher_progress ORDER BY turn DESC LIMIT 1) r");

	if (qms_spi_run(&plan, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_ADOPTED),
				 errmsg("the stream of this database has not begun"),
				 errhint("Call qms.adopt_database().")));
	state->epoch = qms_spi_text(0, 0);
	state->last_position = qms_spi_int64(0, 1);
	state->pruned_position = qms_spi_int64(0, 2);
}

/* Can somebody who has read up to a position of an epoch go on from there? */
static void
check_position(const StreamState *state, const char *epoch, int64 position)
{
	if (epoch != NULL && strcmp(epoch, state->epoch) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_FOREIGN_EPOCH),
				 errmsg("the stream has another epoch now"),
				 errdetail("It is \"%s\", not \"%s\": events may have been lost or published again.",
						   state->epoch, epoch),
				 errhint("Read the state itself anew, then go on from the last position of the new epoch, %lld.",
						 (long long) state->last_position)));
	if (position < state->pruned_position)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_POSITION_PRUNED),
				 errmsg("position %lld is not kept any more", (long long) position),
				 errdetail("Positions up to %lld have been dropped.", (long long) state->pruned_position),
				 errhint("Read the state itself anew, then go on from position %lld.",
						 (long long) state->last_position)));
}

#define STREAM_SELECT \
	"SELECT $4::text, p.position, e.event_id, e.at, e.kind, e.organization_id, e.branch_id, e.queue_id, e.application_id, " \
	"e.visit_id, e.ticket_id, e.number, e.state, e.version, e.counter_id, c.name, c.zone_id, e.actor_kind, e.actor_id, " \
	"e.actor_role, e.request_id, e.data " \
	"FROM qms_internal.event_position p JOIN qms.event e ON e.event_id = p.event_id AND e.at = p.at " \
	"LEFT JOIN qms.counter c ON c.counter_id = e.counter_id LEFT JOIN qms.queue q ON q.queue_id = e.queue_id "
#define STREAM_ORDER " AND p.position > $2 ORDER BY p.position LIMIT $3"
#define SHOWN_PUBLICLY \
	" AND (e.ticket_id IS NOT NULL OR e.kind IN ('counter.opened', 'counter.paused', 'counter.resumed', 'counter.closed', " \
	"'queue.opened', 'queue.paused', 'queue.closed', 'queue.rate_changed', 'notice.posted')) " \
	"AND q.settings -> 'public' IS DISTINCT FROM 'false'"
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
	static QmsPlan plans[CH_KINDS] = {
		[CH_DISPLAY] = QMS_PLAN(STREAM_SELECT "WHERE p.branch_id = $1" SHOWN_PUBLICLY STREAM_ORDER, STREAM_ARGS),
		[CH_QUEUE] = QMS_PLAN(STREAM_SELECT "WHERE p.queue_id = $1" SHOWN_PUBLICLY STREAM_ORDER, STREAM_ARGS),
		[CH_VISIT] = QMS_PLAN(STREAM_SELECT "WHERE p.visit_id = $1" STREAM_ORDER, STREAM_ARGS),
		[CH_STAFF] = QMS_PLAN(STREAM_SELECT "WHERE p.branch_id = $1" STREAM_ORDER, STREAM_ARGS),
		[CH_ADMIN] = QMS_PLAN(STREAM_SELECT "WHERE p.organization_id = $1" STREAM_ORDER, STREAM_ARGS),
		[CH_APPLICATION] = QMS_PLAN(STREAM_SELECT "WHERE p.application_id = $1" STREAM_ORDER, STREAM_ARGS),
		[CH_SYSTEM] = QMS_PLAN(STREAM_SELECT "WHERE p.organization_id = $1 AND e.kind IN ('notice.posted', 'alert.raised')" STREAM_ORDER, STREAM_ARGS)
	};
	static QmsPlan zone = QMS_PLAN(STREAM_SELECT "WHERE p.branch_id = $1" SHOWN_PUBLICLY
								   " AND (e.counter_id IS NULL OR c.zone_id = $5)" STREAM_ORDER, STREAM_ARGS, INT8OID);
	char	   *text = qms_arg_text(call, 0, "channel");
	int64		after = qms_arg_isnull(call, 1) ? 0 : DatumGetInt64(call->fcinfo->args[1].value);
	int64		rows = rows_wanted(call, 2);
	QmsParams	params = {0};
	Channel		channel;
	StreamState state;

	parse_channel(text, &channel);
	check_channel(call, &channel);
	read_state(&state);
	check_position(&state, qms_arg_text_or_null(call, 3), after);
	qms_param_int64(&params, channel.id);
	qms_param_int64(&params, after);
	qms_param_int64(&params, rows);
	qms_param_text(&params, state.epoch);
	if (channel.zone_id != 0)
		qms_param_int64(&params, channel.zone_id);
	return answer_events(call, qms_spi_run(channel.zone_id ? &zone : &plans[channel.kind], &params),
						 channel_kinds[channel.kind].is_public);
}

QMS_FUNCTION(stream_position, QMS_ACT_PUBLIC, 0)
{
	StreamState state;
	Datum		values[3];
	bool		nulls[3] = {false};

	read_state(&state);
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
	if (!administers_all(call->who))
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
	StreamState state;
	Datum		values[8];
	bool		nulls[8];
	int			i;

	check_consumers(call);
	if (organization_id == 0)
		organization_id = call->who->organization_id;
	if (organization_id != 0)
		qms_gate_organization(call, organization_id, "organization", organization_id);
	read_state(&state);
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
	StreamState state;

	find_consumer(call, name, &consumer);
	read_state(&state);
	check_position(&state, consumer.epoch, consumer.position);
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
	StreamState state;

	find_consumer(call, name, &consumer);
	read_state(&state);
	if (to_end && (strcmp(consumer.epoch, state.epoch) != 0 || consumer.position < state.pruned_position))
		up_to = state.last_position;
	else
	{
		check_position(&state, consumer.epoch, state.last_position);
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
