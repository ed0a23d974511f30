/*
 * place.c
 *		Where somebody stands in the line, and how long he may have to wait.
 *
 * People ahead are told exactly up to 1,000: from what this backend remembers of
 * the line (roll.c), else counted one by one from the remembered beginning of
 * the line.  Beyond that they come from counts per bucket of sort_key
 * (bucket.c), and the answer says that it is not exact.
 *
 * Wait figures of a waiting room: eta.c, from how it flows (flow.c).  Where a
 * lottery will put everybody into a random order, nobody has a place before the
 * draw, and the figures are those of the first tenth, the middle and the last
 * tenth of all who wait.
 *
 * Of a counter queue: wait.c.
 */
#include "queue/queue.h"

#include <math.h>

#include "catalog/pg_type.h"

#define COUNT_LIMIT 1000

/* Waiting ahead of a place, counted up to a limit. */
static int64
count_ahead(int64 queue_id, int64 from, int64 sort_key, int64 ticket_id, int64 limit)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' AND sort_key >= $2 "
								   "AND (sort_key, ticket_id) < ($3, $4) ORDER BY sort_key, ticket_id LIMIT $5) a",
								   INT8OID, INT8OID, INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, from);
	qms_param_int64(&params, sort_key);
	qms_param_int64(&params, ticket_id);
	qms_param_int64(&params, limit);
	qms_spi_run(&plan, &params);
	return qms_spi_int64(0, 0);
}

/* The places before the remembered beginning, few and known one by one. */
static int64
count_exceptions(int64 queue_id, const QmsBound *bound, int64 sort_key, int64 ticket_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.count(*) FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' AND sort_key = $2 "
								   "AND (sort_key, ticket_id) < ($3, $4)", INT8OID, INT8OID, INT8OID, INT8OID);
	int64		n = 0;
	int			i;

	for (i = 0; i < bound->nexceptions; i++)
	{
		QmsParams	params = {0};

		if (bound->exceptions[i] > sort_key)
			continue;
		qms_param_int64(&params, queue_id);
		qms_param_int64(&params, bound->exceptions[i]);
		qms_param_int64(&params, sort_key);
		qms_param_int64(&params, ticket_id);
		qms_spi_run(&plan, &params);
		n += qms_spi_int64(0, 0);
	}
	return n;
}

/* Seconds are precise enough, and ten years long enough. */
static Interval *
rounded(double usec)
{
	return qms_interval_make((int64) (rint(Min(usec, 3.2e14) / USECS_PER_SEC) * USECS_PER_SEC));
}

/* People ahead of a place. */
void
qms_place_count(QmsQueue *queue, int64 sort_key, int64 ticket_id, TimestampTz now, QmsPlace *place)
{
	int64		estimate = qms_bucket_ahead(queue->queue_id, sort_key, now, false);
	QmsBound	bound;

	/* When there are clearly more than are counted, counting them would be in vain. */
	if (estimate <= 2 * COUNT_LIMIT)
	{
		if (qms_roll_ahead(queue->queue_id, sort_key, ticket_id, now, &place->people_ahead))
		{
			place->exact = place->people_ahead <= COUNT_LIMIT;
			return;
		}
		qms_bound_read(queue->queue_id, &bound);
		place->people_ahead = count_exceptions(queue->queue_id, &bound, sort_key, ticket_id) +
			count_ahead(queue->queue_id, bound.from, sort_key, ticket_id, COUNT_LIMIT + 1);
		place->exact = place->people_ahead <= COUNT_LIMIT;
		if (place->exact)
			return;
		estimate = qms_bucket_ahead(queue->queue_id, sort_key, now, true);
		if (estimate < 0)
		{
			/* No shared memory, or somebody else is counting: count all of them. */
			place->people_ahead = count_ahead(queue->queue_id, PG_INT64_MIN, sort_key, ticket_id,
											  PG_INT64_MAX);
			place->exact = true;
			return;
		}
	}
	place->exact = false;
	place->people_ahead = Max(estimate, COUNT_LIMIT + 1);
}

/* The wait in a waiting room; none if nobody is let in as things are. */
static void
wait_in_room(QmsQueue *queue, TimestampTz now, QmsPlace *place)
{
	double		wait[3];
	QmsFlow		flow;
	bool		drawn;

	qms_flow_of(queue, place->people_ahead, now, &flow, &drawn);
	place->undrawn = !drawn;
	if (!drawn)
	{
		QmsPlace	all = {0};
		double		other[3];

		qms_place_count(queue, PG_INT64_MAX, PG_INT64_MAX, now, &all);
		flow.n = 0.1 * all.people_ahead;
		if (!qms_eta(&flow, wait))
			return;
		wait[0] = wait[1];
		flow.n = 0.9 * all.people_ahead;
		(void) qms_eta(&flow, other);
		wait[2] = other[1];
		flow.n = 0.5 * all.people_ahead;
		(void) qms_eta(&flow, other);
		wait[1] = other[1];
	}
	else if (!qms_eta(&flow, wait))
		return;
	place->p10 = rounded(wait[0] * USECS_PER_SEC);
	place->p50 = rounded(wait[1] * USECS_PER_SEC);
	place->p90 = rounded(wait[2] * USECS_PER_SEC);
}

/* Place and wait figures of a ticket that waits, or would wait, at that key. */
void
qms_place_of(QmsQueue *queue, int64 sort_key, int64 ticket_id, TimestampTz now, QmsPlace *place)
{
	double		ahead;
	QmsWait		wait;

	memset(place, 0, sizeof(*place));
	qms_place_count(queue, sort_key, ticket_id, now, place);
	place->n = (int) Min(place->people_ahead, PG_INT32_MAX);
	if (queue->is_release)
	{
		place->s = 1;
		wait_in_room(queue, now, place);
		return;
	}
	ahead = (double) place->people_ahead;
	qms_wait_in_line(queue, sort_key, now, &ahead, &place->s, &wait);
	place->n = (int) Min(ahead, PG_INT32_MAX);
	place->p10 = rounded(wait.p10 * USECS_PER_SEC);
	place->p50 = rounded(wait.p50 * USECS_PER_SEC);
	/* Nothing at all is told only where a counter is free: learning goes by that. */
	place->p90 = rounded((wait.mean > 0 ? Max(wait.p90, 1) : 0) * USECS_PER_SEC);
}

/* What the customer is told, kept on the leg to be compared with what came. */
void
qms_place_quote(QmsTicket *ticket, const QmsPlace *place)
{
	qms_row_set_pointer(ticket, T_quoted_p10, place->p10);
	qms_row_set_pointer(ticket, T_quoted_p50, place->p50);
	qms_row_set_pointer(ticket, T_quoted_p90, place->p90);
	qms_row_set_int32(ticket, T_quoted_n, place->n);
	qms_row_set_datum(ticket, T_quoted_s, Float8GetDatum(place->s));
}
