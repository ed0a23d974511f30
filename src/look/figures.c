/*
 * figures.c
 *		What displays show of a queue beside its name: how many wait and how long,
 *		as the gateway puts it into public events and snapshots.
 *
 * Figures are as of now, never older than the moment that the rest is read in;
 * with the next event of the queue they come again.
 */
#include "look/look.h"

#include "catalog/pg_type.h"

/*
 * Write the figures into an object that has been begun; nothing if there is no
 * such queue.  status: as that moment sees it, or NULL.
 */
void
qms_figures_write(StringInfo out, int64 queue_id, const char *status, TimestampTz now)
{
	QmsQueue   *queue = qms_config_queue(queue_id);
	QmsPlace	place;
	QmsCounters counters;

	if (queue == NULL)
		return;
	qms_place_of(queue, PG_INT64_MAX, PG_INT64_MAX, now, &place);
	qms_write_int64(out, "waiting", place.people_ahead);
	qms_write_bool(out, "waiting_exact", place.exact);
	if (place.p50 != NULL)
		qms_write_duration(out, "wait_p50", qms_interval_usec(place.p50, NULL));
	qms_write_text(out, "status", status);
	if (!qms_flow_counters(queue, now, &counters))
		return;
	qms_write_int64(out, "released", counters.released);
	qms_write_int64(out, "abandoned", counters.abandoned);
	qms_write_float8(out, "rate", counters.rate);
	qms_write_time(out, "counted_at", now);
}

/*
 * The other queue whose line an event has changed, if it is everybody's: where a
 * ticket came from, or was taken back from.  Its status goes to *status; 0 if
 * there is none.
 */
int64
qms_feed_other_queue(const QmsFeedEvent *event, const QmsMoment *moment, char **status)
{
	static QmsPlan undone = QMS_PLAN("SELECT queue_id FROM qms.event WHERE event_id = $1 AND kind = 'ticket.transferred'", INT8OID);
	static QmsPlan plan = QMS_PLAN(
								   "SELECT " QMS_QUEUE_STATUS " FROM qms.queue q " QMS_QUEUE_HOURS
								   "WHERE q.queue_id = $1 AND q.deleted_at IS NULL AND q.settings -> 'public' IS DISTINCT FROM 'false'",
								   INT8OID);
	int64		event_id = qms_feed_undone_transfer(event);
	int64		queue_id = qms_feed_from_queue(event);
	QmsParams	params = {0};

	if (event_id != 0)
	{
		qms_param_int64(&params, event_id);
		if (qms_spi_look_at(&undone, &params, moment->snapshot) > 0)
			queue_id = qms_spi_int64(0, 0);
		params.n = 0;
	}
	if (queue_id == 0 || queue_id == event->queue_id)
		return 0;
	qms_param_int64(&params, queue_id);
	if (qms_spi_look_at(&plan, &params, moment->snapshot) == 0)
		return 0;
	*status = qms_spi_text(0, 0);
	return queue_id;
}

/*
 * The figures that go with an event: of its queue, an object that has been begun,
 * and of the other one that it has changed, if there is one.
 */
char *
qms_figures_of_event(const char *figures, int64 other, const char *status, TimestampTz now)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, figures);
	if (other != 0)
	{
		qms_write_begin(&out, "queues", '[');
		qms_write_begin(&out, NULL, '{');
		qms_write_id(&out, "queue_id", other);
		qms_figures_write(&out, other, status, now);
		qms_write_end(&out, '}');
		qms_write_end(&out, ']');
	}
	qms_write_end(&out, '}');
	return out.data;
}
