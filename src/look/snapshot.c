/*
 * snapshot.c
 *		What a channel shows at one moment, as JSON: displays and queues, with what
 *		is everybody's and nothing else.
 *
 * Everything is read in the moment's snapshot; only the figures of a queue may
 * be newer.  The events that follow the snapshot's position lead from it to what
 * comes later.
 */
#include "look/look.h"

#include "catalog/pg_type.h"

/* Screens show ten at most: when calls are taken back, the others come from these. */
#define LAST_CALLED 20
/* So many events of a branch are looked at for them: first, and at most. */
#define LOOKED_AT_FIRST 80
#define LOOKED_AT 500
#define MAX_SERVING 20
#define PUBLIC_QUEUE "q.deleted_at IS NULL AND q.settings -> 'public' IS DISTINCT FROM 'false'"

/* A row that has a number in column c; NULL if it has none. */
char *
qms_snapshot_number(int r, int c)
{
	bool		isnull;
	Datum		value = qms_spi_datum(r, c, &isnull);

	return isnull ? NULL : qms_types_number_text((QmsTicketNumber *) DatumGetPointer(value));
}

/* The branch itself, as "branch", and when its day began; false if it is not there. */
bool
qms_snapshot_branch(StringInfo out, int64 branch_id, const QmsMoment *moment, TimestampTz *midnight)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.slug, b.name, b.names, o.slug, o.name, o.names, coalesce(b.time_zone, o.time_zone), "
								   "CASE WHEN pg_catalog.jsonb_typeof(b.settings -> 'languages') = 'array' THEN b.settings -> 'languages' END, "
								   "pg_catalog.date_trunc('day', $2, coalesce(b.time_zone, o.time_zone)) "
								   "FROM qms.branch b JOIN qms.organization o ON o.organization_id = b.organization_id "
								   "WHERE b.branch_id = $1 AND b.deleted_at IS NULL AND o.deleted_at IS NULL",
								   INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, branch_id);
	qms_param_time(&params, moment->now);
	if (qms_spi_look_at(&plan, &params, moment->snapshot) == 0)
		return false;
	qms_write_begin(out, "branch", '{');
	qms_write_id(out, "branch_id", branch_id);
	qms_write_text(out, "slug", qms_spi_text(0, 0));
	qms_write_text(out, "name", qms_spi_text(0, 1));
	qms_write_jsonb(out, "names", qms_spi_jsonb(0, 2));
	qms_write_text(out, "organization_slug", qms_spi_text(0, 3));
	qms_write_text(out, "organization_name", qms_spi_text(0, 4));
	qms_write_jsonb(out, "organization_names", qms_spi_jsonb(0, 5));
	qms_write_text(out, "time_zone", qms_spi_text(0, 6));
	qms_write_jsonb(out, "languages", qms_spi_jsonb(0, 7));
	qms_write_end(out, '}');
	*midnight = qms_spi_time(0, 8);
	return true;
}

/* A thing that people know by its name: id, name and names from column c on; not ended. */
static void
begin_named(StringInfo out, const char *id, int r, int c)
{
	qms_write_begin(out, NULL, '{');
	qms_write_id(out, id, qms_spi_int64(r, c));
	qms_write_text(out, "name", qms_spi_text(r, c + 1));
	qms_write_jsonb(out, "names", qms_spi_jsonb(r, c + 2));
}

static void
write_zones(StringInfo out, const QmsChannel *channel, const QmsMoment *moment)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT zone_id, name, names FROM qms.zone WHERE branch_id = $1 AND ($2 IS NULL OR zone_id = $2) "
								   "AND deleted_at IS NULL ORDER BY name, zone_id", INT8OID, INT8OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, channel->id);
	qms_param_id(&params, channel->zone_id);
	n = qms_spi_look_at(&plan, &params, moment->snapshot);
	qms_write_begin(out, "zones", '[');
	for (i = 0; i < n; i++)
	{
		begin_named(out, "zone_id", i, 0);
		qms_write_end(out, '}');
	}
	qms_write_end(out, ']');
}

/* Who is called to a counter or served there, the last called first; and all counters, by name. */
static void
write_counters(StringInfo out, const QmsChannel *channel, const QmsMoment *moment)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT c.counter_id, c.name, c.names, c.zone_id, t.number, t.queue_id, t.state, t.called_at, t.recalls, "
								   "CASE WHEN s.staff_session_id IS NULL THEN 'closed' WHEN s.paused_at IS NULL THEN 'open' ELSE 'paused' END "
								   "FROM qms.counter c LEFT JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL "
								   "LEFT JOIN (qms.ticket t JOIN qms.queue q ON q.queue_id = t.queue_id AND " PUBLIC_QUEUE ") "
								   "ON t.ticket_id = s.current_ticket_id AND t.state IN ('called', 'serving') "
								   "WHERE c.branch_id = $1 AND ($2 IS NULL OR c.zone_id = $2) AND c.deleted_at IS NULL "
								   "ORDER BY coalesce(t.called_at, t.started_at) DESC NULLS LAST, c.name, c.counter_id", INT8OID, INT8OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, channel->id);
	qms_param_id(&params, channel->zone_id);
	n = qms_spi_look_at(&plan, &params, moment->snapshot);
	qms_write_begin(out, "now_serving", '[');
	for (i = 0; i < n && !qms_spi_isnull(i, 6); i++)
	{
		qms_write_begin(out, NULL, '{');
		qms_write_text(out, "number", qms_snapshot_number(i, 4));
		qms_write_id(out, "counter_id", qms_spi_int64(i, 0));
		qms_write_text(out, "counter_name", qms_spi_text(i, 1));
		qms_write_id(out, "zone_id", qms_spi_int64(i, 3));
		qms_write_id(out, "queue_id", qms_spi_int64(i, 5));
		qms_write_text(out, "state", qms_spi_text(i, 6));
		qms_write_time(out, "called_at", qms_spi_time(i, 7));
		qms_write_int64(out, "recalls", qms_spi_int32(i, 8));
		qms_write_end(out, '}');
	}
	qms_write_end(out, ']');
	qms_write_begin(out, "counters", '[');
	for (i = 0; i < n; i++)
	{
		begin_named(out, "counter_id", i, 0);
		qms_write_id(out, "zone_id", qms_spi_int64(i, 3));
		qms_write_text(out, "status", qms_spi_text(i, 9));
		qms_write_end(out, '}');
	}
	qms_write_end(out, ']');
}

static bool
was_met(int64 id, int64 *ids, int *n)
{
	int			i;

	for (i = 0; i < *n; i++)
	{
		if (ids[i] == id)
			return true;
	}
	ids[(*n)++] = id;
	return false;
}

/* Of so many events the calls, the newest first: into an array that has been begun.  How many there are. */
static int
write_calls(StringInfo out, const QmsChannel *channel, int64 most, const QmsMoment *moment)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT e.kind, e.state, e.ticket_id, e.number, e.at, e.queue_id, e.counter_id, c.name, c.zone_id FROM ("
								   "SELECT position, event_id, at FROM qms_internal.event_position WHERE branch_id = $1 "
								   "ORDER BY position DESC LIMIT $2) p "
								   "JOIN qms.event e ON e.event_id = p.event_id AND e.at = p.at "
								   "LEFT JOIN qms.counter c ON c.counter_id = e.counter_id "
								   "LEFT JOIN qms.queue q ON q.queue_id = e.queue_id "
								   "WHERE e.kind IN ('ticket.called', 'ticket.requeued', 'ticket.undone') AND " QMS_IS_SHOWN_PUBLICLY " "
								   "ORDER BY p.position DESC", INT8OID, INT8OID);
	int64		met[LOOKED_AT];
	int			nmet = 0;
	int			written = 0;
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, channel->id);
	qms_param_int64(&params, most);
	n = qms_spi_look_at(&plan, &params, moment->snapshot);
	for (i = 0; i < n && written < LAST_CALLED; i++)
	{
		bool		called = strcmp(qms_spi_text(i, 0), "ticket.called") == 0;

		/* What was undone may be something else than the call: then it is still at the counter, or has ended. */
		if (!called && strcmp(qms_spi_text(i, 1), "waiting") != 0)
			continue;
		if (was_met(qms_spi_int64(i, 2), met, &nmet) || !called ||
			(channel->zone_id != 0 && qms_spi_int64(i, 8) != channel->zone_id))
			continue;
		qms_write_begin(out, NULL, '{');
		qms_write_text(out, "number", qms_snapshot_number(i, 3));
		qms_write_id(out, "counter_id", qms_spi_int64(i, 6));
		qms_write_text(out, "counter_name", qms_spi_text(i, 7));
		qms_write_id(out, "zone_id", qms_spi_int64(i, 8));
		qms_write_id(out, "queue_id", qms_spi_int64(i, 5));
		qms_write_time(out, "called_at", qms_spi_time(i, 4));
		qms_write_end(out, '}');
		written++;
	}
	return written;
}

/* Tickets that were called last, each once; one whose call was taken back was not. */
static void
write_last_called(StringInfo out, const QmsChannel *channel, const QmsMoment *moment)
{
	int			begun;

	qms_write_begin(out, "last_called", '[');
	begun = out->len;
	if (write_calls(out, channel, LOOKED_AT_FIRST, moment) < LAST_CALLED)
	{
		out->len = begun;
		out->data[begun] = '\0';
		(void) write_calls(out, channel, LOOKED_AT, moment);
	}
	qms_write_end(out, ']');
}

static void
write_queues(StringInfo out, const QmsChannel *channel, const QmsMoment *moment)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.queue_id, q.slug, q.name, q.names, q.prefix, " QMS_QUEUE_STATUS " FROM qms.queue q " QMS_QUEUE_HOURS
								   "WHERE q.branch_id = $1 AND " PUBLIC_QUEUE " ORDER BY q.name, q.queue_id", INT8OID);
	QmsParams	params = {0};
	SPITupleTable *rows;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, channel->id);
	n = qms_spi_look_at(&plan, &params, moment->snapshot);
	rows = qms_spi_result();
	qms_write_begin(out, "queues", '[');
	for (i = 0; i < n; i++)
	{
		int64		queue_id = qms_spi_int64(i, 0);

		qms_write_begin(out, NULL, '{');
		qms_write_id(out, "queue_id", queue_id);
		qms_write_text(out, "slug", qms_spi_text(i, 1));
		qms_write_text(out, "name", qms_spi_text(i, 2));
		qms_write_jsonb(out, "names", qms_spi_jsonb(i, 3));
		qms_write_text(out, "prefix", qms_spi_text(i, 4));
		qms_figures_write(out, queue_id, qms_spi_text(i, 5), moment->now);
		qms_spi_return_to(rows);
		qms_write_end(out, '}');
	}
	qms_write_end(out, ']');
}

static void
write_display(StringInfo out, const QmsChannel *channel, const QmsMoment *moment)
{
	TimestampTz midnight;

	if (!qms_snapshot_branch(out, channel->id, moment, &midnight))
		return;
	write_zones(out, channel, moment);
	write_counters(out, channel, moment);
	write_last_called(out, channel, moment);
	write_queues(out, channel, moment);
	qms_write_begin(out, "notices", '[');
	qms_write_end(out, ']');
}

/* Numbers at counters of the queue's branch, the last called first. */
static void
write_serving(StringInfo out, int64 queue_id, int64 branch_id, const QmsMoment *moment)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT t.number FROM qms.counter c "
								   "JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL "
								   "JOIN qms.ticket t ON t.ticket_id = s.current_ticket_id AND t.state IN ('called', 'serving') "
								   "WHERE c.branch_id = $2 AND c.deleted_at IS NULL AND t.queue_id = $1 AND t.number IS NOT NULL "
								   "ORDER BY t.called_at DESC NULLS LAST, t.ticket_id DESC LIMIT $3", INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, branch_id);
	qms_param_int64(&params, MAX_SERVING);
	n = qms_spi_look_at(&plan, &params, moment->snapshot);
	qms_write_begin(out, "serving", '[');
	for (i = 0; i < n; i++)
		qms_write_text(out, NULL, qms_snapshot_number(i, 0));
	qms_write_end(out, ']');
}

static void
write_queue(StringInfo out, int64 queue_id, const QmsMoment *moment)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.name, q.names, q.kind, q.prefix, q.branch_id, " QMS_QUEUE_STATUS " FROM qms.queue q " QMS_QUEUE_HOURS
								   "WHERE q.queue_id = $1 AND " PUBLIC_QUEUE, INT8OID);
	QmsParams	params = {0};
	int64		branch_id;
	char	   *status;

	qms_param_int64(&params, queue_id);
	if (qms_spi_look_at(&plan, &params, moment->snapshot) == 0)
		return;
	branch_id = qms_spi_int64(0, 4);
	status = qms_spi_text(0, 5);
	qms_write_id(out, "queue_id", queue_id);
	qms_write_text(out, "name", qms_spi_text(0, 0));
	qms_write_jsonb(out, "names", qms_spi_jsonb(0, 1));
	qms_write_text(out, "kind_of_queue", qms_spi_text(0, 2));
	qms_write_text(out, "prefix", qms_spi_text(0, 3));
	qms_figures_write(out, queue_id, status, moment->now);
	write_serving(out, queue_id, branch_id, moment);
}

/*
 * What a channel shows.  Of a thing that is not there (any more), or not for
 * everybody, nothing but where the stream is.
 */
void
qms_snapshot_write(StringInfo out, const QmsChannel *channel, const QmsMoment *moment)
{
	qms_write_begin(out, NULL, '{');
	qms_write_int64(out, "v", 1);
	qms_write_text(out, "kind", "snapshot");
	qms_write_int64(out, "position", moment->stream.last_position);
	qms_write_text(out, "epoch", moment->stream.epoch);
	switch (channel->kind)
	{
		case QMS_CHANNEL_DISPLAY:
			write_display(out, channel, moment);
			break;
		case QMS_CHANNEL_QUEUE:
			write_queue(out, channel->id, moment);
			break;
		case QMS_CHANNEL_VISIT:
			qms_snapshot_visit(out, channel->id, moment);
			break;
		case QMS_CHANNEL_STAFF:
			qms_snapshot_staff(out, channel->id, moment);
			break;
		default:
			break;
	}
	qms_write_end(out, '}');
}
