/*
 * summary.c
 *		summary: what goes on, and what today was like.  callback_errors.
 *		recompute_snapshots.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* Columns of qms.summary_row that come from the snapshots. */
enum
{
	S_today = 8, S_arrivals, S_completed, S_no_show, S_abandoned, S_wait_mean, S_wait_p90, S_within_target, S_service_mean,
	S_computed_at, S_SUMMARY_COLUMNS
};

/* What today was like so far, for an organization or a branch. */
static void
fill_today(QmsCall *call, QmsStatsScope scope, Datum *values, bool *nulls)
{
	QmsStats   *stats = palloc(sizeof(QmsStats));
	pg_tz	   *zone = qms_local_zone_of(scope.of, scope.id);
	QmsLocalHour hour;
	int			i;

	qms_local_hour(call->now, zone, &hour);
	qms_stats_sum(scope, qms_local_midnight(hour.date, zone), qms_local_midnight(hour.date + 1, zone), NULL, stats);
	for (i = S_today; i < S_SUMMARY_COLUMNS; i++)
		nulls[i] = false;
	values[S_today] = DateADTGetDatum(hour.date);
	values[S_arrivals] = Int64GetDatum(qms_stats_arrivals(stats));
	values[S_completed] = Int64GetDatum(stats->n[QMS_N_COMPLETED]);
	values[S_no_show] = Int64GetDatum(stats->n[QMS_N_NO_SHOW]);
	values[S_abandoned] = Int64GetDatum(stats->n[QMS_N_ABANDONED]);
	nulls[S_wait_mean] = nulls[S_wait_p90] = nulls[S_within_target] = stats->wait.count == 0;
	values[S_wait_mean] = PointerGetDatum(qms_interval_make(qms_times_mean(&stats->wait)));
	values[S_wait_p90] = PointerGetDatum(qms_interval_make(qms_times_quantile(&stats->wait, 0.9)));
	values[S_within_target] = Float8GetDatum(qms_stats_within_target(stats));
	nulls[S_service_mean] = stats->service.count == 0;
	values[S_service_mean] = PointerGetDatum(qms_interval_make(qms_times_mean(&stats->service)));
	nulls[S_computed_at] = stats->computed_at == QMS_NO_TIME || stats->computed_at == 0;
	values[S_computed_at] = TimestampTzGetDatum(stats->computed_at);
	pfree(stats);
}

QMS_FUNCTION(summary, QMS_ACT_LOOK, QMS_SETOF)
{
	/* Live numbers; the organization comes first, with branch_id null. */
	static QmsPlan plan = QMS_PLAN(
								   "WITH b AS MATERIALIZED (SELECT b.branch_id, b.name, "
								   "(SELECT pg_catalog.count(*) FROM qms.ticket t JOIN qms.queue q ON q.queue_id = t.queue_id "
								   " WHERE q.branch_id = b.branch_id AND t.state = 'waiting' AND NOT t.simulated) AS waiting, "
								   "s.at_counters, s.open_counters, s.paused_counters, "
								   "(SELECT pg_catalog.min(t.entered_at) FROM qms.ticket t JOIN qms.queue q ON q.queue_id = t.queue_id "
								   " WHERE q.branch_id = b.branch_id AND t.state = 'waiting' AND NOT t.simulated) AS oldest "
								   "FROM qms.branch b, LATERAL (SELECT pg_catalog.count(s.current_ticket_id) AS at_counters, pg_catalog.count(*) AS open_counters, "
								   " pg_catalog.count(s.paused_at) AS paused_counters FROM qms.counter c JOIN qms.staff_session s "
								   " ON s.counter_id = c.counter_id AND s.closed_at IS NULL WHERE c.branch_id = b.branch_id) s "
								   "WHERE b.organization_id = $1 AND b.deleted_at IS NULL) "
								   "SELECT $1, NULL::pg_catalog.int8, o.name, (SELECT coalesce(pg_catalog.sum(waiting), 0) FROM b)::pg_catalog.int8 "
								   "  + (SELECT pg_catalog.count(*) FROM qms.ticket t JOIN qms.queue q ON q.queue_id = t.queue_id "
								   "     WHERE q.organization_id = $1 AND q.branch_id IS NULL AND t.state = 'waiting' AND NOT t.simulated), "
								   "(SELECT coalesce(pg_catalog.sum(at_counters), 0) FROM b)::pg_catalog.int8, "
								   "(SELECT coalesce(pg_catalog.sum(open_counters), 0) FROM b)::pg_catalog.int8, "
								   "(SELECT coalesce(pg_catalog.sum(paused_counters), 0) FROM b)::pg_catalog.int8, "
								   "$2 - (SELECT pg_catalog.min(oldest) FROM b) FROM qms.organization o WHERE o.organization_id = $1 "
								   "UNION ALL (SELECT $1, branch_id, name, waiting, at_counters, open_counters, paused_counters, $2 - oldest "
								   "FROM b ORDER BY branch_id)", INT8OID, TIMESTAMPTZOID);
	QmsObject	object = {.what = "organization"};
	QmsParams	params = {0};
	SPITupleTable *rows;
	uint64		n;
	uint64		i;
	int			c;

	/* A superuser is in none. */
	object.id = qms_arg_isnull(call, 0) && call->who->organization_id != 0 ? call->who->organization_id :
		qms_arg_id(call, 0, "organization_id");
	object.organization_id = object.id;
	qms_gate_administers(call, &object);
	qms_param_int64(&params, object.id);
	qms_param_time(&params, call->now);
	n = qms_spi_run(&plan, &params);
	if (n == 0)
		qms_not_found("organization", object.id);
	rows = qms_spi_result();
	for (i = 0; i < n; i++)
	{
		QmsStatsScope scope = {i == 0 ? QMS_OF_ORGANIZATION : QMS_OF_BRANCH, 0};
		Datum		values[S_SUMMARY_COLUMNS];
		bool		nulls[S_SUMMARY_COLUMNS];

		for (c = 0; c < S_today; c++)
			values[c] = qms_spi_datum(i, c, &nulls[c]);
		scope.id = DatumGetInt64(values[i == 0 ? 0 : 1]);
		fill_today(call, scope, values, nulls);
		qms_answer_row(call, values, nulls);
		qms_spi_return_to(rows);
	}
	return qms_answer_none(call);
}

/* No callbacks are made yet, so none fails. */
QMS_FUNCTION(callback_errors, QMS_ACT_LOOK, QMS_SETOF)
{
	int64		organization_id = qms_arg_id_or_0(call, 0, "organization_id");
	QmsObject	object = {.what = "organization"};

	object.id = object.organization_id = organization_id != 0 ? organization_id : call->who->organization_id;
	(void) qms_look_max_rows(call, 3);
	if (object.id != 0)
		qms_gate_administers(call, &object);
	return qms_answer_none(call);
}

/* ---- by hand ---- */

/* One hour, or one day of what follows; each in an SPI connection of its own, so that nothing piles up. */
static bool
step(MemoryContext context, TimestampTz now, int64 organization_id, TimestampTz *done)
{
	QmsWindow  *window;
	bool		more = true;

	qms_spi_begin();
	window = qms_window_next(context, now, organization_id);
	qms_spi_end();
	if (window == NULL)
	{
		qms_spi_begin();
		more = qms_days_step(now, organization_id);
		qms_spi_end();
		return more;
	}
	while (more)
	{
		qms_spi_begin();
		more = qms_window_step(window);
		qms_spi_end();
		CHECK_FOR_INTERRUPTS();
	}
	qms_spi_begin();
	qms_window_write(window, now);
	qms_spi_end();
	*done = window->starts_at;
	qms_window_free(window);
	return true;
}

/*
 * Make snapshots anew from the log.  The workers are not needed for it; with them,
 * whoever comes second waits.
 *
 * Lock: of the snapshots.
 */
QMS_FUNCTION(recompute_snapshots, QMS_ACT_SETUP, 0)
{
	TimestampTz since = qms_arg_time(call, 0);
	TimestampTz before = qms_arg_time(call, 1);
	int64		organization_id = qms_arg_id_or_0(call, 2, "organization_id");
	QmsObject	object = {.what = "organization"};
	TimestampTz last = QMS_NO_TIME;
	TimestampTz told = QMS_NO_TIME;
	int64		hours = 0;

	object.id = object.organization_id = organization_id != 0 ? organization_id : call->who->organization_id;
	if (object.id != 0)
		qms_gate_administers(call, &object);
	qms_lock(QMS_LOCK_STATS, 0, true);
	qms_stats_mark_ended(call->now);
	qms_stats_mark_range(since, before == QMS_NO_TIME ? DT_NOEND : before, object.id);
	for (;;)
	{
		TimestampTz done = QMS_NO_TIME;

		if (!step(CurrentMemoryContext, call->now, object.id, &done))
			break;
		if (done == QMS_NO_TIME)
			continue;
		/* Or it would never end. */
		if (done == last)
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("the hour from %s does not become done", timestamptz_to_str(done))));
		last = done;
		hours++;
		if (told != QMS_NO_TIME && done - told < USECS_PER_DAY)
			continue;
		told = done;
		ereport(NOTICE,
				(errmsg("snapshots: the hours from %s on", timestamptz_to_str(done))));
	}
	return Int64GetDatum(hours);
}
