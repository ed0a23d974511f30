/*
 * wait.c
 *		The wait in a counter queue, as place.c tells it: what is expected of the
 *		queue (src/predict), and the counters that work for it now.
 *
 * A counter that serves several queues counts with the share that this queue has of
 * it.  By order of arrival ("fifo"), all who stand in its lines before this place
 * are one line: the share is this queue's part of the work in it.  "weighted": the
 * same, with the work of the others times their weight over ours.  "strict": those
 * sources that come first take all of it that they have work for.  "ratio": our
 * weight among the weights of those who have anybody.  The work of a line is that
 * of those who wait in it, over all the counters that serve it.
 */
#include "queue/queue.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

/* A shared counter is never quite another's. */
#define LEAST_SHARE 0.02

typedef struct Asking
{
	QmsQueue   *queue;
	int64		sort_key;
	TimestampTz now;
	double		ahead;
	double		work;			/* seconds for each counter of the queue, with one's own */
	double		others;			/* people of other lines who come before */
} Asking;

/* The work of another line before this place, for each of its counters; all of it if it comes first whenever it has anybody. */
static double
work_of(Asking *asking, int64 queue_id, bool all, double *people)
{
	QmsQueue   *other = qms_config_queue(queue_id);
	int64		key = all ? PG_INT64_MAX : asking->sort_key;
	int64		about;

	*people = 0;
	if (other == NULL || other->is_release)
		return 0;
	about = qms_bucket_about(queue_id, key, asking->now);
	if (about < 0)
	{
		QmsPlace	place = {0};

		/* No shared memory. */
		qms_place_count(other, key, PG_INT64_MAX, asking->now, &place);
		about = place.people_ahead;
	}
	if (about == 0)
		return 0;
	*people = (double) about;
	return *people * qms_outlook_of(other, asking->now)->model.service / Max(qms_config_open_counters(other), 1);
}

static double
weight_of(const QmsDesk *desk, int64 queue_id)
{
	double		weight = 0;
	int			i;

	for (i = 0; i < desk->nsources; i++)
	{
		if (desk->sources[i].queue_id == queue_id)
			weight += desk->sources[i].weight;
	}
	return weight > 0 ? weight : 1;
}

/* Has this source been looked at as an earlier one, of another class? */
static bool
is_repeated(const QmsDesk *desk, int source)
{
	int			i;

	for (i = 0; i < source; i++)
	{
		if (desk->sources[i].queue_id == desk->sources[source].queue_id)
			return true;
	}
	return false;
}

/* The part of a counter of this desk that works for the queue. */
static double
share_of(Asking *asking, const QmsDesk *desk)
{
	int64		queue_id = asking->queue->queue_id;
	double		own_weight = weight_of(desk, queue_id);
	double		own = desk->policy == QMS_RATIO ? own_weight : asking->work;
	double		others = 0;
	bool		before = true;	/* strict: the source comes before ours */
	int			i;

	for (i = 0; i < desk->nsources; i++)
	{
		int64		other_id = desk->sources[i].queue_id;
		double		people;
		double		work;

		if (other_id == queue_id)
			before = false;
		if (other_id == queue_id || is_repeated(desk, i) || (desk->policy == QMS_STRICT && !before))
			continue;
		work = work_of(asking, other_id, desk->policy != QMS_FIFO, &people);
		if (people <= 0)
			continue;
		asking->others += people;
		if (desk->policy == QMS_RATIO)
			others += weight_of(desk, other_id);
		else if (desk->policy == QMS_WEIGHTED)
			others += work * weight_of(desk, other_id) / own_weight;
		else
			others += work;
	}
	return Max(own / (own + others), LEAST_SHARE);
}

/* How many of these counters could call somebody at once. */
static int
free_counters(const QmsDesks *desks)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.count(*) FROM qms.staff_session s WHERE s.counter_id = ANY ($1) "
								   "AND s.closed_at IS NULL AND s.paused_at IS NULL AND s.current_ticket_id IS NULL", INT8ARRAYOID);
	QmsParams	params = {0};

	qms_param_pointer(&params, qms_array_make(desks->counter_ids, desks->ncounters, INT8OID));
	qms_spi_run(&plan, &params);
	return (int) qms_spi_int64(0, 0);
}

/*
 * The wait behind so many people of the queue.  Sets ahead: people, with those
 * booked who come in between; and counters, what the figures were made from.
 */
void
qms_wait_in_line(QmsQueue *queue, int64 sort_key, TimestampTz now, double *ahead, double *counters, QmsWait *wait)
{
	const QmsDesks *desks = qms_config_desks(queue);
	const QmsOutlook *outlook = qms_outlook_of(queue, now);
	Asking		asking = {.queue = queue, .sort_key = sort_key, .now = now, .ahead = *ahead};
	QmsAsked	asked = {.ahead = *ahead, .sort_key = sort_key, .now = now};
	int			i;

	asking.work = (*ahead + 1) * outlook->model.service / Max(desks->ncounters, 1);
	for (i = 0; i < desks->ndesks; i++)
	{
		const QmsDesk *desk = &desks->desks[i];

		asked.counters += desk->counters * (desk->nsources > 1 ? share_of(&asking, desk) : 1);
	}
	/* The outlooks of others may have moved it. */
	outlook = qms_outlook_of(queue, now);
	*counters = asked.counters;
	if (*ahead + asking.others < desks->ncounters && *ahead + asking.others < free_counters(desks))
		qms_wait_none(wait);
	else
		*ahead = qms_outlook_wait(outlook, queue, &asked, wait);
}
