/*
 * channels.c
 *		What the gateway asks when channels begin to be watched: what each shows,
 *		and the last events of each, all in one moment.
 *
 * The events are read from the end, and of a channel that shows few of what
 * happens in its branch or organization only so many are looked at: "from" says
 * after which position they are complete.
 */
#include "look/look.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define MAX_ROWS 10000
#define MAX_CHANNELS 10000
/* Of a channel that does not show everything, so many times as many events are looked at. */
#define LOOK_FACTOR 4
#define LOOK_AT_LEAST 100

/* In the order of qms_internal.gateway_channels. */
enum
{
	A_channel, A_kind, A_position, A_epoch, A_body, A_COLUMNS
};

typedef struct Look
{
	QmsCall    *call;
	QmsMoment	moment;
	int64		max_rows;
} Look;

static void
answer(Look *look, const char *name, const char *kind, int64 position, StringInfo body)
{
	Datum		values[A_COLUMNS] = {0};
	bool		nulls[A_COLUMNS] = {false};

	values[A_channel] = CStringGetTextDatum(name);
	values[A_kind] = CStringGetTextDatum(kind);
	values[A_position] = Int64GetDatum(position);
	values[A_epoch] = CStringGetTextDatum(look->moment.stream.epoch);
	nulls[A_body] = body == NULL;
	if (body != NULL)
		values[A_body] = qms_write_datum(body);
	qms_answer_row(look->call, values, nulls);
}

/* Does this event go to that channel? */
static bool
is_of(const QmsFeedEvent *event, const QmsChannel *channel)
{
	if (event->kind == NULL)
		return false;
	switch (channel->kind)
	{
		case QMS_CHANNEL_DISPLAY:
			return event->is_public &&
				(channel->zone_id == 0 || event->counter_id == 0 || event->zone_id == channel->zone_id);
		case QMS_CHANNEL_QUEUE:
			return event->is_public;
		case QMS_CHANNEL_SYSTEM:
			return event->is_system;
		default:
			return true;
	}
}

static void
write_event(StringInfo out, const QmsFeedEvent *event, const QmsChannel *channel, const char *epoch)
{
	if (qms_channel_is_public(channel->kind))
		qms_feed_public(out, event, epoch, NULL);
	else if (channel->kind == QMS_CHANNEL_VISIT)
		qms_feed_of_visit(out, event, epoch);
	else
		qms_feed_full(out, event, epoch);
}

/* The newest events that are where the channel is, the newest first. */
static uint64
look_back(const QmsChannel *channel, int64 most, const QmsMoment *moment)
{
#define NEWEST(of) \
	"SELECT " QMS_FEED_COLUMNS "FROM (SELECT position, event_id, at FROM qms_internal.event_position " \
	"WHERE " of " = $1 ORDER BY position DESC LIMIT $2) p " QMS_FEED_JOINS "ORDER BY p.position DESC"
	static QmsPlan plans[QMS_CHANNEL_KINDS] = {
		[QMS_CHANNEL_DISPLAY] = QMS_PLAN(NEWEST("branch_id"), INT8OID, INT8OID),
		[QMS_CHANNEL_QUEUE] = QMS_PLAN(NEWEST("queue_id"), INT8OID, INT8OID),
		[QMS_CHANNEL_VISIT] = QMS_PLAN(NEWEST("visit_id"), INT8OID, INT8OID),
		[QMS_CHANNEL_STAFF] = QMS_PLAN(NEWEST("branch_id"), INT8OID, INT8OID),
		[QMS_CHANNEL_ADMIN] = QMS_PLAN(NEWEST("organization_id"), INT8OID, INT8OID),
		[QMS_CHANNEL_APPLICATION] = QMS_PLAN(NEWEST("application_id"), INT8OID, INT8OID),
		[QMS_CHANNEL_SYSTEM] = QMS_PLAN(NEWEST("organization_id"), INT8OID, INT8OID)
	};
	QmsParams	params = {0};

	qms_param_int64(&params, channel->id);
	qms_param_int64(&params, most);
	return qms_spi_look_at(&plans[channel->kind], &params, moment->snapshot);
}

/* Events of a channel, the newest first, and from where on there are no others. */
typedef struct Found
{
	QmsFeedEvent *events;
	int64		nevents;
	int64		from;
	bool		is_enough;
} Found;

/*
 * Look at so many events for the last max_rows of the channel.  One more is
 * looked for: if there is one, whoever has seen that one misses nothing.
 */
static void
find_events(Look *look, const QmsChannel *channel, int64 most, Found *found)
{
	int64		n = (int64) look_back(channel, most, &look->moment);
	SPITupleTable *rows = qms_spi_result();
	int64		i;

	found->nevents = 0;
	found->from = look->moment.stream.pruned_position;
	found->is_enough = n < most;
	for (i = 0; i < n; i++)
	{
		QmsFeedEvent *event = &found->events[found->nevents];

		qms_feed_fetch(rows, i, event);
		found->is_enough = found->is_enough || (is_of(event, channel) && found->nevents == look->max_rows);
		if (i == most - 1 || (is_of(event, channel) && found->nevents == look->max_rows))
		{
			found->from = Max(found->from, event->position);
			break;
		}
		if (is_of(event, channel))
			found->nevents++;
	}
}

/* "from", and after it the last max_rows events, in order. */
static void
answer_events(Look *look, const QmsChannel *channel, const char *name)
{
	bool		all = channel->kind != QMS_CHANNEL_SYSTEM && !qms_channel_is_public(channel->kind);
	int64		wanted = look->max_rows + 1;
	Found		found = {.events = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(QmsFeedEvent) * wanted)};
	StringInfoData out;
	int64		i;

	/* Mostly nearly all of them are public. */
	find_events(look, channel, all ? wanted : wanted + wanted / 8 + 8, &found);
	if (!found.is_enough && !all)
		find_events(look, channel, wanted * LOOK_FACTOR + LOOK_AT_LEAST, &found);
	answer(look, name, "from", found.from, NULL);
	initStringInfo(&out);
	for (i = found.nevents - 1; i >= 0; i--)
	{
		/* The position of a pruned one may still be there for a while. */
		if (found.events[i].position <= found.from)
			continue;
		resetStringInfo(&out);
		write_event(&out, &found.events[i], channel, look->moment.stream.epoch);
		answer(look, name, "event", found.events[i].position, &out);
	}
}

/* One channel.  What it takes in memory goes with its SPI: there may be very many. */
static void
answer_channel(Look *look, const char *name)
{
	QmsChannel	channel;
	StringInfoData out;

	if (!qms_channel_parse(name, &channel))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("channel \"%s\" is not known", name),
				 errhint("Give names as gateway_check answers them.")));
	CHECK_FOR_INTERRUPTS();
	qms_spi_begin();
	initStringInfo(&out);
	qms_snapshot_write(&out, &channel, &look->moment);
	answer(look, name, "snapshot", look->moment.stream.last_position, &out);
	answer_events(look, &channel, name);
	qms_spi_end();
}

PG_FUNCTION_INFO_V1(qms_gateway_channels);

/* For each channel its snapshot, from where its events are complete, and the events. */
Datum
qms_gateway_channels(PG_FUNCTION_ARGS)
{
	static const QmsFunction function = {.name = "gateway_channels", .flags = QMS_SETOF};
	QmsCall		call;
	Look		look = {.call = &call};
	Datum	   *elements;
	bool	   *nulls;
	int			n = 0;
	int			i;

	qms_feed_begin(&call, fcinfo, &function);
	look.max_rows = qms_arg_int32(&call, 1, 100);
	if (look.max_rows < 0 || look.max_rows > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be from 0 to %d, not %lld", MAX_ROWS, (long long) look.max_rows)));
	if (!PG_ARGISNULL(0))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	if (n > MAX_CHANNELS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("at most %d channels can be asked for at once, not %d", MAX_CHANNELS, n)));
	qms_moment_take(&look.moment, &call);
	for (i = 0; i < n; i++)
	{
		if (!nulls[i])
			answer_channel(&look, TextDatumGetCString(elements[i]));
	}
	qms_moment_release(&look.moment);
	return qms_feed_end(&call);
}
