/*
 * quality.c
 *		How well what people were told agrees with how long they waited.
 */
#include "look/look.h"

#include "catalog/pg_type.h"

#define DEFAULT_SPAN (7 * USECS_PER_DAY)

enum
{
	W_queue_id, W_since, W_before, W_waits, W_learned_service = 15, W_learned_leave_rate, W_learned_from, W_COLUMNS
};

/* $1 queue, $2 since, $3 before, $4 with those that are simulated. */
#define TOLD \
	"SELECT extract(epoch FROM x.called_at - x.entered_at)::pg_catalog.float8 AS waited, " \
	"extract(epoch FROM x.quoted_p10)::pg_catalog.float8 AS p10, extract(epoch FROM x.quoted_p90)::pg_catalog.float8 AS p90, " \
	"qms_internal.wait_mean(x.quoted_p10, x.quoted_p50, x.quoted_p90) AS told FROM (" \
	"SELECT entered_at, called_at, quoted_p10, quoted_p50, quoted_p90, simulated FROM qms.ticket_history " \
	"WHERE queue_id = $1 AND ended_at >= $2 AND called_at >= $2 AND called_at < $3 UNION ALL " \
	"SELECT entered_at, called_at, quoted_p10, quoted_p50, quoted_p90, simulated FROM qms.ticket_leg " \
	"WHERE queue_id = $1 AND left_at >= $2 AND called_at >= $2 AND called_at < $3) x " \
	"WHERE x.quoted_p50 IS NOT NULL AND ($4 OR NOT x.simulated)"

/* Seconds as an interval. */
#define INTERVAL(seconds) "pg_catalog.make_interval(secs => pg_catalog.round((" seconds ")::pg_catalog.numeric, 3)::pg_catalog.float8)"

static void
measure(const QmsQueue *queue, TimestampTz since, TimestampTz before)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT $1, $2, $3, q.waits, " INTERVAL("q.waited") ", " INTERVAL("q.told") ", q.told / nullif(q.waited, 0) - 1, "
								   INTERVAL("q.absolute") ", q.ase, pg_catalog.sqrt(q.ase) / nullif(q.waited, 0), "
								   "1 - q.sooner - q.later, q.sooner, q.later, q.at_once, " INTERVAL("q.at_once_waited") " FROM ("
								   "SELECT pg_catalog.count(*) FILTER (WHERE p90 > 0) AS waits, "
								   "pg_catalog.avg(waited) FILTER (WHERE p90 > 0) AS waited, pg_catalog.avg(told) FILTER (WHERE p90 > 0) AS told, "
								   "pg_catalog.avg(pg_catalog.abs(told - waited)) FILTER (WHERE p90 > 0) AS absolute, "
								   "pg_catalog.avg((told - waited) * (told - waited)) FILTER (WHERE p90 > 0) AS ase, "
								   "pg_catalog.avg((waited < p10 - 0.5)::pg_catalog.int4::pg_catalog.float8) FILTER (WHERE p90 > 0) AS sooner, "
								   "pg_catalog.avg((waited > p90 + 0.5)::pg_catalog.int4::pg_catalog.float8) FILTER (WHERE p90 > 0) AS later, "
								   "pg_catalog.count(*) FILTER (WHERE p90 <= 0) AS at_once, "
								   "pg_catalog.avg(waited) FILTER (WHERE p90 <= 0) AS at_once_waited FROM (" TOLD ") t) q",
								   INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue->queue_id);
	qms_param_time(&params, since);
	qms_param_time(&params, before);
	qms_param_bool(&params, queue->settings.simulated);
	qms_spi_run(&plan, &params);
}

/* What is learned, for whoever asks why. */
static void
set_learned(const QmsQueue *queue, Datum *values, bool *nulls)
{
	QmsWaitSums sums;
	QmsWaitModel model;
	double		prior;
	double		prior_weight;

	(void) qms_sums_read(queue->queue_id, false, &sums, &prior, &prior_weight);
	qms_sums_model(&sums, prior, prior_weight, &model);
	values[W_learned_service] = IntervalPGetDatum(qms_interval_make((int64) (model.service * 1000) * 1000));
	values[W_learned_leave_rate] = Float8GetDatum(model.leave_rate * SECS_PER_HOUR);
	values[W_learned_from] = Float8GetDatum(sums.calls);
	nulls[W_learned_service] = nulls[W_learned_leave_rate] = nulls[W_learned_from] = false;
}

QMS_FUNCTION(prediction_quality, QMS_ACT_LOOK, 0)
{
	int64		queue_id = qms_arg_id(call, 0, "queue_id");
	TimestampTz since = qms_arg_time(call, 1);
	TimestampTz before = qms_arg_time(call, 2);
	QmsQueue   *queue = qms_config_queue(queue_id);
	Datum		values[W_COLUMNS];
	bool		nulls[W_COLUMNS];
	int			i;

	if (queue == NULL)
		qms_not_found("queue", queue_id);
	qms_gate_queue(call, queue);
	if (queue->is_release)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_WRONG_QUEUE_KIND),
				 errmsg("queue %lld is a waiting room", (long long) queue_id),
				 errdetail("What people of counter queues were told is kept and compared."),
				 errhint("Look at qms.release_status().")));
	if (before == QMS_NO_TIME)
		before = call->now;
	if (since == QMS_NO_TIME)
		since = before - DEFAULT_SPAN;
	measure(queue, since, before);
	for (i = 0; i < W_learned_service; i++)
	{
		values[i] = qms_spi_datum(0, i, &nulls[i]);
		/* It is read again below, into the same place. */
		if (!nulls[i] && qms_spi_result()->tupdesc->attrs[i].atttypid == INTERVALOID)
			values[i] = IntervalPGetDatum(memcpy(palloc(sizeof(Interval)), DatumGetIntervalP(values[i]), sizeof(Interval)));
	}
	set_learned(queue, values, nulls);
	return qms_answer_tuple(call, values, nulls);
}

PG_FUNCTION_INFO_V1(qms_wait_mean);

/* Three quantiles, as they were told: the mean, in seconds. */
Datum
qms_wait_mean(PG_FUNCTION_ARGS)
{
	double		seconds[3];
	int			i;

	for (i = 0; i < 3; i++)
		seconds[i] = (double) qms_interval_usec(PG_GETARG_INTERVAL_P(i), NULL) / USECS_PER_SEC;
	PG_RETURN_FLOAT8(qms_wait_mean_of(seconds[0], seconds[1], seconds[2]));
}
