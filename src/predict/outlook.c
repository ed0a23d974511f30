/*
 * outlook.c
 *		What is expected of a queue: what is learned of it, who is booked, how many
 *		counters are planned.  Remembered per backend.
 *
 * What is learned changes when the scheduler has had a turn (learn.c), every
 * QMS_LEARN_EVERY by the clock; so it is read again when the next such stretch of
 * time has begun, and at most once in it.
 */
#include "predict/predict.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/memutils.h"

/* A service about which nothing is said. */
#define DEFAULT_SERVICE 300.0

/* What an expected duration weighs, in people; and the default. */
#define EXPECTED_WEIGHT "20"
#define DEFAULT_WEIGHT "2"

/* Who has been booked and does not come within this is not waited for. */
#define BOOKED_LATE (30 * USECS_PER_MINUTE)

static HTAB *remembered = NULL;

/* Values of an array of the last result; as many as there are, up to most. */
static int
read_array(int column, Oid type, int most, void *values)
{
	Datum	   *elements;
	bool	   *nulls;
	bool		isnull;
	Datum		array = qms_spi_datum(0, column, &isnull);
	int			n;
	int			i;

	if (isnull)
		return 0;
	deconstruct_array(DatumGetArrayTypeP(array), type, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, &n);
	n = Min(n, most);
	for (i = 0; i < n; i++)
	{
		if (type == FLOAT8OID)
			((double *) values)[i] = DatumGetFloat8(elements[i]);
		else
			((int64 *) values)[i] = DatumGetInt64(elements[i]);
	}
	return n;
}

static bool
are_finite(const QmsWaitSums *sums)
{
	const double *values = (const double *) sums;
	int			i;

	for (i = 0; i < QMS_WAIT_SUMS; i++)
	{
		if (!isfinite(values[i]))
			return false;
	}
	return sums->weight > 0 && sums->error_weight > 0;
}

/*
 * The sums of a queue, as new if there are none, and how long a service should
 * take: the mean of what its services have taken everywhere, or are expected to;
 * one of which nothing is known tells nothing.
 * lock: until the transaction ends.  False: there are none.
 */
bool
qms_sums_read(int64 queue_id, bool lock, QmsWaitSums *sums, double *prior, double *prior_weight)
{
	static QmsPlan hold = QMS_PLAN("SELECT 1 FROM qms_internal.wait_model WHERE queue_id = $1 FOR UPDATE", INT8OID);
	static QmsPlan plan = QMS_PLAN(
								   "SELECT p.mean, p.known, w.until, w.came_at, w.sums, w.credits, w.levels, w.staff_at, w.staff FROM ("
								   "SELECT pg_catalog.avg((coalesce(t.busy, 0) + coalesce(extract(epoch FROM s.expected_duration), 300) * k.k) / "
								   "(coalesce(t.calls, 0) + k.k)) FILTER (WHERE k.known) AS mean, pg_catalog.bool_or(k.known) AS known "
								   "FROM qms.service_offer f JOIN qms.service s ON s.service_id = f.service_id AND s.deleted_at IS NULL "
								   "LEFT JOIN qms_internal.service_time t ON t.service_id = s.service_id, "
								   "LATERAL (SELECT CASE WHEN s.expected_duration IS NULL THEN " DEFAULT_WEIGHT " ELSE " EXPECTED_WEIGHT " END::pg_catalog.float8 AS k, "
								   "s.expected_duration IS NOT NULL OR t.calls > 0 AS known) k "
								   "WHERE f.queue_id = $1 AND f.deleted_at IS NULL) p "
								   "LEFT JOIN qms_internal.wait_model w ON w.queue_id = $1", INT8OID);
	QmsParams	params = {0};
	bool		isnull;

	qms_sums_start(sums);
	qms_param_int64(&params, queue_id);
	if (lock)
		qms_spi_run(&hold, &params);
	qms_spi_look(&plan, &params);
	*prior = DatumGetFloat8(qms_spi_datum(0, 0, &isnull));
	if (isnull || !(*prior > 0))
		*prior = DEFAULT_SERVICE;
	*prior_weight = strtod(qms_spi_bool(0, 1) ? EXPECTED_WEIGHT : DEFAULT_WEIGHT, NULL);
	/* Sums of another version, or spoilt by a mistake, are as good as none. */
	if (read_array(4, FLOAT8OID, QMS_WAIT_SUMS, sums) != QMS_WAIT_SUMS || !are_finite(sums))
	{
		qms_sums_start(sums);
		return false;
	}
	sums->until = qms_spi_time(0, 2);
	sums->came_at = qms_spi_time(0, 3);
	sums->nlevels = read_array(5, INT8OID, QMS_WAIT_LEVELS, sums->credits);
	sums->nlevels = Min(sums->nlevels, read_array(6, FLOAT8OID, QMS_WAIT_LEVELS, sums->levels));
	sums->nstaff = read_array(7, TIMESTAMPTZOID, QMS_WAIT_STAFF, sums->staff_at);
	sums->nstaff = Min(sums->nstaff, read_array(8, FLOAT8OID, QMS_WAIT_STAFF, sums->staff));
	return true;
}

static void
read_booked(int64 queue_id, TimestampTz now, QmsOutlook *outlook)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT sort_key, effective_arrival FROM qms.ticket WHERE queue_id = $1 AND state = 'booked' "
								   "AND effective_arrival > $2 ORDER BY sort_key LIMIT $3", INT8OID, TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};
	int			i;

	qms_param_int64(&params, queue_id);
	qms_param_time(&params, now - BOOKED_LATE);
	qms_param_int64(&params, QMS_WAIT_BOOKED);
	outlook->nbooked = (int) qms_spi_look(&plan, &params);
	for (i = 0; i < outlook->nbooked; i++)
	{
		outlook->booked_keys[i] = qms_spi_int64(i, 0);
		outlook->booked_at[i] = qms_spi_time(i, 1);
	}
}

/* Valid until it is asked for again. */
const QmsOutlook *
qms_outlook_of(const QmsQueue *queue, TimestampTz now)
{
	int64		queue_id = queue->queue_id;
	QmsWaitSums sums;
	QmsOutlook *outlook;
	double		prior;
	double		prior_weight;
	bool		found;

	if (remembered == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(int64), .entrysize = sizeof(QmsOutlook), .hcxt = TopMemoryContext};

		remembered = hash_create("qms outlooks", 32, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	outlook = hash_search(remembered, &queue_id, HASH_ENTER, &found);
	if (found && outlook->generation == qms_inval_generation() && outlook->turn == now / QMS_LEARN_EVERY)
		return outlook;
	outlook->generation = 0;
	(void) qms_sums_read(queue_id, false, &sums, &prior, &prior_weight);
	qms_sums_model(&sums, prior, prior_weight, &outlook->model);
	outlook->usual = qms_sums_usual(&sums);
	read_booked(queue_id, now, outlook);
	outlook->turn = now / QMS_LEARN_EVERY;
	outlook->generation = qms_inval_generation();
	return outlook;
}

/* The first turn of the scheduler that learns of what happens at a moment. */
TimestampTz
qms_outlook_next_turn(TimestampTz at)
{
	return (at + QMS_LEARN_LAG + QMS_LEARN_EVERY - 1) / QMS_LEARN_EVERY * QMS_LEARN_EVERY;
}

/* Counters from now on: those there are until the plan says another number. */
static void
set_pieces(const QmsStaffing *staffing, const QmsAsked *asked, double usual, QmsWaitCase *where)
{
	double		last = 0;
	int			i;

	where->npieces = 0;
	for (i = 0; i < staffing->n; i++)
	{
		int			planned = staffing->segments[i].planned;
		double		counters = planned;

		if (staffing->segments[i].until <= asked->now)
			continue;
		if (asked->counters > 0 && (i == 0 || planned == QMS_NOT_PLANNED || planned == staffing->segments[0].planned))
			counters = asked->counters;
		else if (planned == QMS_NOT_PLANNED)
			counters = usual;
		else if (planned == QMS_NOT_OPEN)
			counters = 0;
		where->pieces[where->npieces].until = (double) (staffing->segments[i].until - asked->now) / USECS_PER_SEC;
		where->pieces[where->npieces++].counters = counters;
		if (counters > 0)
			last = counters;
	}
	/* Who is there tomorrow nobody knows: as many as at last. */
	where->pieces[where->npieces].until = INFINITY;
	where->pieces[where->npieces++].counters = last > 0 ? last : asked->counters > 0 ? asked->counters : usual;
}

/*
 * How long it takes behind so many people; answers how many they are, with those
 * who are booked and come in between.
 */
double
qms_outlook_wait(const QmsOutlook *outlook, QmsQueue *queue, const QmsAsked *asked, QmsWait *wait)
{
	/* Behind everybody: as somebody without any credit who comes now. */
	int64		key = asked->sort_key == PG_INT64_MAX ? asked->now : asked->sort_key;
	QmsWaitCase where;
	int			i;

	where.ahead = asked->ahead;
	set_pieces(qms_config_staffing(queue, asked->now), asked, outlook->usual, &where);
	qms_sums_passed(&outlook->model, key, asked->now, &where);
	qms_wait_forecast(&outlook->model, &where, wait);
	for (i = 0; i < outlook->nbooked && outlook->booked_keys[i] < key; i++)
	{
		if (outlook->booked_at[i] - asked->now > wait->mean * USECS_PER_SEC)
			continue;
		where.ahead += 1;
		qms_wait_forecast(&outlook->model, &where, wait);
	}
	return where.ahead;
}

PG_FUNCTION_INFO_V1(qms_wait_forecast_by_hand);

/* For tests: the formula from SQL. */
Datum
qms_wait_forecast_by_hand(PG_FUNCTION_ARGS)
{
	QmsWaitModel model = {
		.service = PG_GETARG_FLOAT8(2), .intercept = PG_GETARG_FLOAT8(3), .fixed = PG_GETARG_FLOAT8(4),
		.each = PG_GETARG_FLOAT8(5), .doubt = PG_GETARG_FLOAT8(6), .leave_rate = PG_GETARG_FLOAT8(7)
	};
	QmsWaitCase where = {.ahead = PG_GETARG_FLOAT8(0)};
	QmsWait		wait;
	double		lists[4][QMS_WAIT_PIECES];
	Datum		values[5];
	int			n[4];
	int			i;
	int			j;

	for (i = 0; i < 4; i++)
	{
		Datum	   *elements;
		bool	   *nulls;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(8 + i), FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, &n[i]);
		n[i] = Min(n[i], i < 2 ? QMS_WAIT_LEVELS : QMS_WAIT_PIECES - 1);
		for (j = 0; j < n[i]; j++)
			lists[i][j] = DatumGetFloat8(elements[j]);
	}
	model.nlevels = Min(n[0], n[1]);
	where.npieces = Min(n[2], n[3]);
	for (i = 0; i < model.nlevels; i++)
	{
		where.passed[i] = lists[0][i];
		model.rates[i] = lists[1][i];
	}
	for (i = 0; i < where.npieces; i++)
	{
		where.pieces[i].until = lists[2][i];
		where.pieces[i].counters = lists[3][i];
	}
	where.pieces[where.npieces].until = INFINITY;
	where.pieces[where.npieces++].counters = PG_GETARG_FLOAT8(1);
	qms_wait_forecast(&model, &where, &wait);
	values[0] = Float8GetDatum(wait.mean);
	values[1] = Float8GetDatum(sqrt(wait.variance));
	values[2] = Float8GetDatum(wait.p10);
	values[3] = Float8GetDatum(wait.p50);
	values[4] = Float8GetDatum(wait.p90);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 5, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
