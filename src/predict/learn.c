/*
 * learn.c
 *		The sums of a queue follow what has happened: a task of the scheduler reads
 *		those who have been called, or have left, since its last turn.
 *
 * Only rows that are committed are read, so a call that is rolled back teaches
 * nothing; nobody who serves writes anything for this.  Each turn learns what ended
 * up to QMS_LEARN_LAG ago; a transaction that takes longer to commit is missed here,
 * and in no statistic.  What is undone afterwards stays learned.
 *
 * A counter is somebody's from when it could have taken him: when it was free and
 * he had come; but not longer than LONGEST_PAUSE before his call, for then nobody sat
 * there.
 */
#include "predict/predict.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

#define BATCH "1000"
#define LONGEST_PAUSE "10 minutes"

/* A queue of which nothing is known yet learns from what is not older than this. */
#define FIRST_LOOK (30 * USECS_PER_DAY)	/* as in worker/learning.c */

#define MOST_SERVICES 64

typedef struct ServiceSum
{
	int64		service_id;
	double		busy;
	int			calls;
} ServiceSum;

typedef struct Learning
{
	QmsQueue   *queue;
	QmsWaitSums sums;
	double		prior;
	double		prior_weight;
	int			nservices;
	ServiceSum	services[MOST_SERVICES];
} Learning;

#define BUSY_FROM(t) \
	"greatest(" t ".entered_at, coalesce(" t ".counter_free_since, " t ".called_at), " t ".called_at - '" LONGEST_PAUSE "'::pg_catalog.interval)"

#define QUOTED "t.quoted_p10, t.quoted_p50, t.quoted_p90"

enum
{
	E_ended_at, E_entered_at, E_called_at, E_busy_from, E_left, E_usable, E_effective_arrival, E_sort_key, E_quoted_n, E_quoted_s,
	E_service_id, E_simulated, E_quoted_p10, E_quoted_p50, E_quoted_p90
};

/* Those who have gone from the line or a counter, in the order in which they did. */
static uint64
read_legs(int64 queue_id, TimestampTz since, TimestampTz until)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT t.ended_at, t.entered_at, t.called_at, " BUSY_FROM("t") ", "
								   "t.state = 'cancelled' AND t.ended_from = 'waiting', "
								   "t.quoted_p90 > '0' AND t.calls <= 1 AND t.defers = 0 AND t.wanted_until IS NULL, "
								   "t.effective_arrival, CASE WHEN t.defers = 0 THEN t.sort_key END, t.quoted_n, t.quoted_s, t.service_id, t.simulated, " QUOTED ", t.ticket_id "
								   "FROM qms.ticket_history t WHERE t.queue_id = $1 AND t.ended_at > $2 AND t.ended_at <= $3 "
								   "AND t.ended_from NOT IN ('on_hold', 'booked') "
								   "UNION ALL "
								   "SELECT t.left_at, t.entered_at, t.called_at, " BUSY_FROM("t") ", false, "
								   "t.quoted_p90 > '0', NULL, t.sort_key, t.quoted_n, t.quoted_s, t.service_id, t.simulated, " QUOTED ", t.ticket_id "
								   "FROM qms.ticket_leg t WHERE t.queue_id = $1 AND t.left_at > $2 AND t.left_at <= $3 "
								   "AND t.called_at IS NOT NULL "
								   "ORDER BY 1 FETCH FIRST " BATCH " ROWS WITH TIES", INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	qms_param_time(&params, since);
	qms_param_time(&params, until);
	return qms_spi_run(&plan, &params);
}

static void
add_service(Learning *learning, int64 service_id, double seconds)
{
	int			i;

	if (service_id == 0)
		return;
	for (i = 0; i < learning->nservices && learning->services[i].service_id != service_id; i++)
		;
	if (i == MOST_SERVICES)
		return;
	if (i == learning->nservices)
	{
		memset(&learning->services[i], 0, sizeof(ServiceSum));
		learning->services[i].service_id = service_id;
		learning->nservices++;
	}
	learning->services[i].busy += seconds;
	learning->services[i].calls++;
}

/* In seconds; 0: nothing was. */
static double
quoted(int r, int column)
{
	bool		isnull;
	Datum		value = qms_spi_datum(r, column, &isnull);

	return isnull ? 0 : (double) qms_interval_usec(DatumGetIntervalP(value), NULL) / USECS_PER_SEC;
}

/* One row of the result. */
static void
add_leg(Learning *learning, int r)
{
	QmsWaitSums *sums = &learning->sums;
	TimestampTz arrival = qms_spi_time(r, E_effective_arrival);
	QmsWaitLeg	leg = {
		.entered_at = qms_spi_time(r, E_entered_at), .called_at = qms_spi_time(r, E_called_at),
		.busy_from = qms_spi_time(r, E_busy_from), .ended_at = qms_spi_time(r, E_ended_at),
		.left = qms_spi_bool(r, E_left), .ahead = qms_spi_int32(r, E_quoted_n)
	};
	QmsWaitModel model;
	QmsWaitCase where;
	bool		isnull;
	int			i;

	leg.told = qms_wait_mean_of(quoted(r, E_quoted_p10), quoted(r, E_quoted_p50), quoted(r, E_quoted_p90));
	leg.counters = DatumGetFloat8(qms_spi_datum(r, E_quoted_s, &isnull));
	leg.usable = !isnull && leg.counters > 0 && !qms_spi_isnull(r, E_quoted_n) && qms_spi_bool(r, E_usable);
	if (!qms_spi_isnull(r, E_sort_key))
		leg.credit = (arrival == QMS_NO_TIME ? leg.entered_at : arrival) - qms_spi_int64(r, E_sort_key);
	leg.credit = (int64) rint((double) leg.credit / USECS_PER_SEC) * USECS_PER_SEC;
	qms_sums_model(sums, learning->prior, learning->prior_weight, &model);
	where.ahead = leg.ahead;
	qms_sums_pieces(sums, &leg, &where);
	for (i = 0; i < model.nlevels; i++)
		where.passed[i] = (double) (model.credits[i] - leg.credit) / USECS_PER_SEC;
	qms_sums_add(sums, &model, &leg, &where);
	if (leg.called_at != QMS_NO_TIME && !qms_spi_bool(r, E_simulated))
		add_service(learning, qms_spi_int64(r, E_service_id), (double) (leg.ended_at - leg.busy_from) / USECS_PER_SEC);
}

/* Seconds that those had been at a counter who were there at a moment; now, or have ended since. */
static double
open_calls_at(const QmsQueue *queue, TimestampTz at)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT " BUSY_FROM("t") " FROM qms.counter c "
								   "JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL "
								   "JOIN qms.ticket t ON t.ticket_id = s.current_ticket_id "
								   "WHERE c.branch_id = $2 AND t.queue_id = $1 AND t.called_at <= $3 "
								   "UNION ALL SELECT " BUSY_FROM("t") " FROM qms.ticket_history t "
								   "WHERE t.queue_id = $1 AND t.ended_at > $3 AND t.called_at <= $3 "
								   "UNION ALL SELECT " BUSY_FROM("t") " FROM qms.ticket_leg t "
								   "WHERE t.queue_id = $1 AND t.left_at > $3 AND t.called_at <= $3",
								   INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	double		seconds = 0;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->branch_id);
	qms_param_time(&params, at);
	n = qms_spi_run(&plan, &params);
	for (i = 0; i < n; i++)
		seconds += (double) (at - qms_spi_time(i, 0)) / USECS_PER_SEC;
	return seconds;
}

static ArrayType *
make_array(const void *values, int n, Oid type)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));
	int			i;

	for (i = 0; i < n; i++)
		elements[i] = type == FLOAT8OID ? Float8GetDatum(((const double *) values)[i]) : Int64GetDatum(((const int64 *) values)[i]);
	return construct_array(elements, n, type, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

static void
store_sums(const QmsQueue *queue, const QmsWaitSums *sums)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.wait_model AS w (queue_id, organization_id, until, came_at, sums, credits, levels, "
								   "staff_at, staff) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
								   "ON CONFLICT (queue_id, organization_id) DO UPDATE SET until = $3, came_at = $4, sums = $5, credits = $6, "
								   "levels = $7, staff_at = $8, staff = $9",
								   INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, FLOAT8ARRAYOID, INT8ARRAYOID, FLOAT8ARRAYOID,
								   TIMESTAMPTZARRAYOID, FLOAT8ARRAYOID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	qms_param_time(&params, sums->until);
	qms_param_time(&params, sums->came_at);
	qms_param_pointer(&params, make_array(sums, QMS_WAIT_SUMS, FLOAT8OID));
	qms_param_pointer(&params, make_array(sums->credits, sums->nlevels, INT8OID));
	qms_param_pointer(&params, make_array(sums->levels, sums->nlevels, FLOAT8OID));
	qms_param_pointer(&params, make_array(sums->staff_at, sums->nstaff, TIMESTAMPTZOID));
	qms_param_pointer(&params, make_array(sums->staff, sums->nstaff, FLOAT8OID));
	qms_spi_run(&plan, &params);
}

/* What services take, wherever they are offered: what a new queue supposes. */
static void
store_services(const Learning *learning)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.service_time AS t (service_id, organization_id, busy, calls) VALUES ($1, $2, $3, $4) "
								   "ON CONFLICT (service_id, organization_id) DO UPDATE SET "
								   "busy = t.busy * pg_catalog.power(0.999, $4) + $3, calls = t.calls * pg_catalog.power(0.999, $4) + $4",
								   INT8OID, INT8OID, FLOAT8OID, FLOAT8OID);
	int			i;

	for (i = 0; i < learning->nservices; i++)
	{
		QmsParams	params = {0};

		qms_param_int64(&params, learning->services[i].service_id);
		qms_param_int64(&params, learning->queue->organization_id);
		qms_param_datum(&params, Float8GetDatum(learning->services[i].busy));
		qms_param_datum(&params, Float8GetDatum(learning->services[i].calls));
		qms_spi_run(&plan, &params);
	}
}

/* Learn what there is; true: there is more, for another transaction. */
bool
qms_wait_learn(QmsQueue *queue, TimestampTz now)
{
	Learning   *learning = palloc0(sizeof(Learning));
	QmsWaitSums *sums = &learning->sums;
	TimestampTz until = now - QMS_LEARN_LAG;
	int			counters = qms_config_open_counters(queue);
	uint64		n;
	uint64		i;
	bool		more;

	learning->queue = queue;
	(void) qms_sums_read(queue->queue_id, true, sums, &learning->prior, &learning->prior_weight);
	if (sums->until == QMS_NO_TIME)
		sums->until = now - FIRST_LOOK;
	/* The clock has been set back. */
	if (sums->until > until + USECS_PER_HOUR)
		sums->until = until - USECS_PER_HOUR;
	if (sums->until >= until)
		return false;
	qms_sums_staff(sums, now, counters);
	n = read_legs(queue->queue_id, sums->until, until);
	more = n >= strtoul(BATCH, NULL, 10);
	for (i = 0; i < n; i++)
		add_leg(learning, (int) i);
	if (more)
		until = qms_spi_time((int) n - 1, E_ended_at);
	/* While it catches up with the past, nobody is at a counter. */
	qms_sums_close(sums, until, more ? sums->open_calls : open_calls_at(queue, until));
	store_sums(queue, sums);
	store_services(learning);
	pfree(learning);
	return more;
}
