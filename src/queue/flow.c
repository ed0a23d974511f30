/*
 * flow.c
 *		How a waiting room flows: how fast it lets in, how many leave the line, how
 *		long people stay inside.  What eta.c makes the wait of.
 *
 * The rate is that of the gate.  Two things are learned, each from what has been
 * seen of the queue, by a task of the scheduler while anybody waits or is inside:
 *
 *		leave rate = left / (time x waiting + one hour)
 *		visit      = (time x inside + token_life) / (gone from inside + 1)
 *
 * The share p of those who never come, which the rate makes up for, is known to
 * sqrt(p (1 - p) / n) of n people; with p = (1 + missed) / n, the rate is uncertain
 * by p / sqrt((1 - p) (1 + missed)) of itself.
 *
 * The constants are as if one person had waited for an hour without leaving, and
 * one visit had lasted as long as its token: they count until more has been seen.
 * All four sums fade with a time constant of 30 minutes in which anybody waited,
 * or was inside; a night in which nobody did forgets nothing, and what happened in a
 * minute or more without a look is left out.
 */
#include "queue/queue.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/memutils.h"

#define MEMORY (30 * SECS_PER_MINUTE)
#define UNSEEN_WAIT SECS_PER_HOUR

/* Nobody can tell what has been while nobody looked for so many seconds. */
#define LONGEST_GAP 60

/* Behind so many people the figures may be as old as this. */
#define FEW_AHEAD 100
#define FIGURES_LAST USECS_PER_SEC

/* A person a second, as a speed. */
#define ONE_A_SECOND (86400.0 * QMS_RATE_SCALE)

typedef struct Remembered
{
	int64		queue_id;		/* hash key */
	uint64		generation;		/* of the configuration */
	TimestampTz at;
	QmsFlow		flow;
} Remembered;

static HTAB *remembered = NULL;

/* The sums of a queue; one without a row has none. */
static void
read_learned(int64 queue_id, QmsLearned *learned)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT at, waiting, inside, abandoned, gone, waiting_seconds, left_people, inside_seconds, gone_people "
								   "FROM qms_internal.release_flow WHERE queue_id = $1", INT8OID);
	QmsParams	params = {0};
	int			i;

	memset(learned, 0, sizeof(*learned));
	learned->at = QMS_NO_TIME;
	qms_param_int64(&params, queue_id);
	if (qms_spi_look(&plan, &params) == 0)
		return;
	learned->at = qms_spi_time(0, 0);
	learned->waiting = qms_spi_int64(0, 1);
	learned->inside = qms_spi_int64(0, 2);
	learned->abandoned = qms_spi_int64(0, 3);
	learned->gone = qms_spi_int64(0, 4);
	for (i = 0; i < QMS_LEARNED_SUMS; i++)
	{
		bool		isnull;

		learned->sums[i] = DatumGetFloat8(qms_spi_datum(0, 5 + i, &isnull));
	}
}

/* What a room allows inside, as far as this queue may use it. */
static void
set_limit(const QmsQueue *queue, const QmsReleaseFigures *figures, QmsFlow *flow)
{
	double		speed = (double) qms_release_speed(queue, figures->load_factor, figures->no_show);
	double		share = speed > 0 ? figures->speed / speed : 1;

	flow->max_inside = queue->settings.max_active;
	flow->inside = figures->inside;
	if (queue->pool_max_active > 0 && (flow->max_inside <= 0 || queue->pool_max_active * share < flow->max_inside))
	{
		flow->max_inside = queue->pool_max_active * share;
		flow->inside = figures->pool_inside * share;
	}
}

/* All but the place and when the room opens. */
static void
make_flow(const QmsQueue *queue, const QmsReleaseFigures *figures, const QmsLearned *learned, QmsFlow *flow)
{
	double		waited = learned->sums[QMS_WAITED] + UNSEEN_WAIT;

	memset(flow, 0, sizeof(*flow));
	if (queue->status != 'p' && figures->stopped_at == QMS_NO_TIME)
		flow->rate = figures->speed / ONE_A_SECOND;
	flow->rate_sd = figures->no_show / sqrt((1000.0 - figures->no_show) * 1000 * (1 + figures->missed));
	flow->theta = learned->sums[QMS_LEFT] / waited;
	flow->theta_sd = sqrt(Max(learned->sums[QMS_LEFT], 1)) / waited;
	flow->visit = (learned->sums[QMS_STAYED] + (double) queue->settings.token_life / USECS_PER_SEC) /
		(learned->sums[QMS_WENT] + 1);
	set_limit(queue, figures, flow);
}

static Remembered *
remember(int64 queue_id, bool *found)
{
	if (remembered == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(int64), .entrysize = sizeof(Remembered), .hcxt = TopMemoryContext};

		remembered = hash_create("qms waiting rooms", 32, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return hash_search(remembered, &queue_id, HASH_ENTER, found);
}

/* Seconds until anybody is let in; 0: now.  drawn: is the order of the line known? */
static double
opens_in(const QmsQueue *queue, TimestampTz now, bool *drawn)
{
	TimestampTz opens_at = queue->settings.opens_at;

	*drawn = true;
	if (opens_at == QMS_NO_TIME)
		return 0;
	if (queue->settings.lottery)
		*drawn = qms_lottery_drawn(queue) != QMS_NO_TIME;
	return opens_at > now ? (double) (opens_at - now) / USECS_PER_SEC : 0;
}

/*
 * How the room flows for somebody behind so many people; of many, as it did within
 * the last second: then nobody who joins a large room looks twice at it.
 */
void
qms_flow_of(const QmsQueue *queue, int64 people_ahead, TimestampTz now, QmsFlow *flow, bool *drawn)
{
	bool		found;
	Remembered *memory = remember(queue->queue_id, &found);

	if (!found || memory->generation != qms_inval_generation() || people_ahead < FEW_AHEAD ||
		now < memory->at || now - memory->at >= FIGURES_LAST)
	{
		QmsReleaseFigures figures;
		QmsLearned	learned;

		memory->at = DT_NOEND;
		(void) qms_release_figures(queue, &figures);
		read_learned(queue->queue_id, &learned);
		make_flow(queue, &figures, &learned, &memory->flow);
		memory->generation = qms_inval_generation();
		memory->at = now;
	}
	*flow = memory->flow;
	/* A place comes up, on average, half a release after the one before it. */
	flow->n = people_ahead + 0.5;
	flow->opens_in = opens_in(queue, now, drawn);
}

/* What everybody may know of a release queue, and from two readings tell his own place; false: it is none. */
bool
qms_flow_counters(const QmsQueue *queue, TimestampTz now, QmsCounters *counters)
{
	QmsReleaseFigures figures;
	QmsLearned	learned;
	QmsFlow		flow;
	bool		drawn;

	if (!qms_release_figures(queue, &figures))
		return false;
	read_learned(queue->queue_id, &learned);
	make_flow(queue, &figures, &learned, &flow);
	counters->released = figures.released;
	counters->abandoned = figures.abandoned;
	counters->rate = opens_in(queue, now, &drawn) > 0 || !drawn ? 0 : flow.rate;
	if (flow.max_inside > 0 && flow.inside >= flow.max_inside)
		counters->rate = Min(counters->rate, flow.max_inside / flow.visit);
	return true;
}

static void
store_learned(const QmsQueue *queue, const QmsLearned *learned)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.release_flow AS f (queue_id, organization_id, at, waiting, inside, abandoned, gone, "
								   "waiting_seconds, left_people, inside_seconds, gone_people) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
								   "ON CONFLICT (queue_id, organization_id) DO UPDATE SET at = $3, waiting = $4, inside = $5, abandoned = $6, "
								   "gone = $7, waiting_seconds = $8, left_people = $9, inside_seconds = $10, gone_people = $11",
								   INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID,
								   FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID);
	QmsParams	params = {0};
	int			i;

	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	qms_param_time(&params, learned->at);
	qms_param_int64(&params, learned->waiting);
	qms_param_int64(&params, learned->inside);
	qms_param_int64(&params, learned->abandoned);
	qms_param_int64(&params, learned->gone);
	for (i = 0; i < QMS_LEARNED_SUMS; i++)
		qms_param_datum(&params, Float8GetDatum(learned->sums[i]));
	qms_spi_run(&plan, &params);
}

/* Two of the sums: people times seconds, and those who went; both fade while there is anybody. */
static void
add_up(double *stayed, double *went, double people, double seconds, int64 gone)
{
	double		fades = people > 0 ? exp(-seconds / MEMORY) : 1;

	*stayed = *stayed * fades + people * seconds;
	*went = *went * fades + Max(gone, 0);
}

/* Learn from what has happened since the last time; true: there is somebody, so there will be more to learn. */
bool
qms_flow_learn(QmsQueue *queue, TimestampTz now)
{
	QmsReleaseFigures figures;
	QmsLearned	last;
	QmsLearned	next;
	double		seconds;

	if (!qms_release_figures(queue, &figures))
		return false;
	read_learned(queue->queue_id, &last);
	seconds = last.at == QMS_NO_TIME ? -1 : (double) (now - last.at) / USECS_PER_SEC;
	next = last;
	next.at = now;
	next.waiting = Max(qms_bucket_ahead(queue->queue_id, PG_INT64_MAX, now, true), 0);
	next.inside = figures.inside;
	next.abandoned = figures.abandoned;
	next.gone = figures.released - figures.inside;
	if (seconds >= 0 && seconds <= LONGEST_GAP)
	{
		add_up(&next.sums[QMS_WAITED], &next.sums[QMS_LEFT], (last.waiting + next.waiting) / 2.0, seconds,
			   next.abandoned - last.abandoned);
		add_up(&next.sums[QMS_STAYED], &next.sums[QMS_WENT], (last.inside + next.inside) / 2.0, seconds,
			   next.gone - last.gone);
	}
	if (next.waiting > 0 || next.inside > 0 || last.waiting > 0 || last.inside > 0 || last.at == QMS_NO_TIME)
		store_learned(queue, &next);
	return next.waiting > 0 || next.inside > 0;
}
