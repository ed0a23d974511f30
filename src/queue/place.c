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
 * Of a counter queue: k = people ahead + 1, m the mean service time, s the open
 * counters; the wait is Gamma with mean k m / s and shape k (exact for
 * exponential service with all counters busy).  Quantiles by Wilson and
 * Hilferty, q = mean (1 - 1/(9 k) + z / (3 sqrt k))^3, z = -1.2816, 0, 1.2816.
 */
#include "queue/queue.h"

#include <math.h>

#include "catalog/pg_type.h"

#define COUNT_LIMIT 1000
#define Z_OF_P90	1.2815515655446004

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

static Interval *
quantile(double mean, double shape, double z)
{
	double		root = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * sqrt(shape));

	return rounded(root > 0 ? mean * root * root * root : 0);
}

/* People ahead of a place. */
static void
count_people(QmsQueue *queue, int64 sort_key, int64 ticket_id, TimestampTz now, QmsPlace *place)
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

/* Is a counter that takes from this queue free, so that the first in line is called at once? */
static bool
counter_is_free(const QmsQueue *queue)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.counter c JOIN qms.staff_session s ON s.counter_id = c.counter_id "
								   "LEFT JOIN qms.counter_profile p ON p.counter_profile_id = s.counter_profile_id AND p.deleted_at IS NULL "
								   "WHERE c.branch_id = $2 AND c.deleted_at IS NULL AND s.closed_at IS NULL AND s.paused_at IS NULL AND s.current_ticket_id IS NULL AND "
								   "CASE WHEN p.sources IS NULL THEN $1 = ANY (c.queue_ids) "
								   "ELSE p.sources @> pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('queue_id', $1)) END LIMIT 1",
								   INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->branch_id);
	return qms_spi_run(&plan, &params) > 0;
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

		count_people(queue, PG_INT64_MAX, PG_INT64_MAX, now, &all);
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
	double		shape;
	double		mean;

	memset(place, 0, sizeof(*place));
	count_people(queue, sort_key, ticket_id, now, place);
	place->n = (int) Min(place->people_ahead, PG_INT32_MAX);
	if (queue->is_release)
	{
		place->s = 1;
		wait_in_room(queue, now, place);
		return;
	}
	place->s = qms_config_open_counters(queue);
	shape = (double) place->people_ahead + 1.0;
	mean = shape * queue->mean_service / Max(place->s, 1);
	if (place->people_ahead == 0 && place->s > 0 && counter_is_free(queue))
		mean = 0;
	place->p10 = quantile(mean, shape, -Z_OF_P90);
	place->p50 = quantile(mean, shape, 0);
	place->p90 = quantile(mean, shape, Z_OF_P90);
}

/* What the customer is told, kept on the leg to be compared with what came. */
void
qms_place_quote(QmsTicket *ticket, const QmsPlace *place)
{
	qms_row_set_pointer(ticket, T_quoted_p10, place->p10);
	qms_row_set_pointer(ticket, T_quoted_p50, place->p50);
	qms_row_set_pointer(ticket, T_quoted_p90, place->p90);
	qms_row_set_int32(ticket, T_quoted_n, place->n);
	qms_row_set_int32(ticket, T_quoted_s, place->s);
}
