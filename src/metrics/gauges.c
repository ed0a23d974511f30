/*
 * gauges.c
 *		Figures of many queues at once, as of now: for metrics and alert rules.
 *
 * Three statements, however many queues there are.  How many wait is counted up
 * to a thousand for each; beyond, it comes from the counts in shared memory
 * (bucket.c), which are a second old at most.  Mean waits are of those who were
 * called within the window, by three index scans a queue; waiting rooms, where
 * nobody is called and millions may pass in an hour, have none.
 */
#include "metrics/metrics.h"

#include "catalog/pg_type.h"

#define COUNT_LIMIT 1000

static QmsGauges *
find_queue(QmsGauges *gauges, int n, int64 queue_id)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (gauges[middle].queue_id < queue_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && gauges[low].queue_id == queue_id ? &gauges[low] : NULL;
}

/* All who wait in a queue, of which more than a few do. */
static int64
count_many(int64 queue_id, int64 counted, TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN("SELECT pg_catalog.count(*) FROM qms.ticket t WHERE t.queue_id = $1 AND t.state = 'waiting'", INT8OID);
	int64		estimate = qms_bucket_ahead(queue_id, PG_INT64_MAX, now, true);
	QmsParams	params = {0};

	if (estimate >= 0)
		return Max(estimate, counted);
	qms_param_int64(&params, queue_id);
	qms_spi_run(&plan, &params);
	return qms_spi_int64(0, 0);
}

static void
read_queue(QmsGauges *f, int row)
{
	f->queue_id = qms_spi_int64(row, 0);
	f->organization_id = qms_spi_int64(row, 1);
	f->branch_id = qms_spi_int64(row, 2);
	f->application_id = qms_spi_int64(row, 3);
	f->organization = qms_spi_text(row, 4);
	f->branch = qms_spi_text(row, 5);
	f->application = qms_spi_text(row, 6);
	f->queue = qms_spi_text(row, 7);
	f->name = qms_spi_text(row, 8);
	f->is_release = qms_spi_bool(row, 9);
	f->is_open = qms_spi_bool(row, 10);
	f->waiting = qms_spi_int64(row, 11);
	f->head_since = qms_spi_time(row, 12);
	f->on_hold = qms_spi_int64(row, 13);
	f->inside = qms_spi_int64(row, 14);
}

/* The queues in the order of their ids, with who is in them. */
static QmsGauges *
read_queues(const QmsGaugesScope *scope, TimestampTz now, int *n)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.queue_id, q.organization_id, q.branch_id, q.application_id, o.slug, b.slug, a.name, q.slug, q.name, "
								   "q.kind = 'release', q.status = 'open', "
								   "(SELECT pg_catalog.count(*) FROM (SELECT 1 FROM qms.ticket t WHERE t.queue_id = q.queue_id "
								   "  AND t.state = 'waiting' LIMIT $4) w), "
								   "(SELECT t.entered_at FROM qms.ticket t WHERE t.queue_id = q.queue_id AND t.state = 'waiting' "
								   "  ORDER BY t.sort_key, t.ticket_id LIMIT 1), "
								   "(SELECT pg_catalog.count(*) FROM qms.ticket t WHERE t.queue_id = q.queue_id AND t.state = 'on_hold'), "
								   "(SELECT pg_catalog.count(*) FROM qms.ticket t WHERE q.kind = 'release' AND t.queue_id = q.queue_id "
								   "  AND t.state IN ('released', 'admitted')) "
								   "FROM qms.queue q JOIN qms.organization o ON o.organization_id = q.organization_id "
								   "LEFT JOIN qms.branch b ON b.branch_id = q.branch_id "
								   "LEFT JOIN qms.application a ON a.application_id = q.application_id "
								   "WHERE q.deleted_at IS NULL AND o.deleted_at IS NULL AND b.deleted_at IS NULL AND a.deleted_at IS NULL "
								   "AND ($1 = 0 OR q.organization_id = $1) AND ($2 = 0 OR q.branch_id = $2) AND ($3 = 0 OR q.queue_id = $3) "
								   "ORDER BY q.queue_id", INT8OID, INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};
	QmsGauges *gauges;
	int			i;

	qms_param_int64(&params, scope->organization_id);
	qms_param_int64(&params, scope->branch_id);
	qms_param_int64(&params, scope->queue_id);
	qms_param_int64(&params, COUNT_LIMIT + 1);
	*n = qms_spi_run(&plan, &params);
	gauges = palloc0(sizeof(QmsGauges) * Max(*n, 1));
	for (i = 0; i < *n; i++)
		read_queue(&gauges[i], i);
	for (i = 0; i < *n; i++)
	{
		if (gauges[i].waiting > COUNT_LIMIT)
			gauges[i].waiting = count_many(gauges[i].queue_id, gauges[i].waiting, now);
	}
	return gauges;
}

/* Counters that take from each: those of its own list, or of the sources of the profile. */
static void
read_counters(const QmsGaugesScope *scope, QmsGauges *gauges, int n)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT x.queue_id, pg_catalog.count(*), pg_catalog.count(s.paused_at) "
								   "FROM qms.staff_session s JOIN qms.counter c ON c.counter_id = s.counter_id "
								   "LEFT JOIN qms.counter_profile p ON p.counter_profile_id = s.counter_profile_id AND p.deleted_at IS NULL, "
								   "LATERAL (SELECT pg_catalog.unnest(c.queue_ids) AS queue_id WHERE p.sources IS NULL UNION "
								   "SELECT (e->>'queue_id')::pg_catalog.int8 FROM pg_catalog.jsonb_array_elements(p.sources) e) x "
								   "WHERE s.closed_at IS NULL AND c.deleted_at IS NULL AND ($1 = 0 OR s.organization_id = $1) "
								   "AND ($2 = 0 OR s.branch_id = $2) GROUP BY 1", INT8OID, INT8OID);
	QmsParams	params = {0};
	uint64		rows;
	uint64		i;

	qms_param_int64(&params, scope->organization_id);
	qms_param_int64(&params, scope->branch_id);
	rows = qms_spi_run(&plan, &params);
	for (i = 0; i < rows; i++)
	{
		QmsGauges *f = find_queue(gauges, n, qms_spi_int64(i, 0));

		if (f == NULL)
			continue;
		f->open_counters = (int) qms_spi_int64(i, 1);
		f->paused_counters = (int) qms_spi_int64(i, 2);
	}
}

/* Counter queues, as an array. */
static ArrayType *
counter_queues(const QmsGauges *gauges, int n)
{
	int64	   *ids = palloc(sizeof(int64) * Max(n, 1));
	int			many = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (!gauges[i].is_release)
			ids[many++] = gauges[i].queue_id;
	}
	return qms_array_make(ids, many, INT8OID);
}

/*
 * Waits of those who were called within the window: from when they entered the
 * queue to their last call.  They are in the past, in another queue by now, or
 * at the counter; who was called and waits again is counted with his next call.
 */
static void
read_waits(QmsGauges *gauges, int n, TimestampTz from)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT w.queue_id, pg_catalog.count(*), pg_catalog.avg(w.wait), "
								   "pg_catalog.percentile_cont(0.9) WITHIN GROUP (ORDER BY w.wait) FROM ("
								   "SELECT q.id AS queue_id, pg_catalog.date_part('epoch', h.called_at - h.entered_at) AS wait "
								   "FROM pg_catalog.unnest($1) q (id), LATERAL (SELECT t.called_at, t.entered_at FROM qms.ticket_history t "
								   "WHERE t.queue_id = q.id AND t.ended_at >= $2 AND t.called_at >= $2) h UNION ALL "
								   "SELECT q.id, pg_catalog.date_part('epoch', l.called_at - l.entered_at) "
								   "FROM pg_catalog.unnest($1) q (id), LATERAL (SELECT t.called_at, t.entered_at FROM qms.ticket_leg t "
								   "WHERE t.queue_id = q.id AND t.left_at >= $2 AND t.called_at >= $2) l UNION ALL "
								   "SELECT t.queue_id, pg_catalog.date_part('epoch', t.called_at - t.entered_at) "
								   "FROM qms.staff_session s JOIN qms.ticket t ON t.ticket_id = s.current_ticket_id "
								   "WHERE s.closed_at IS NULL AND t.queue_id = ANY ($1) AND t.called_at >= $2) w GROUP BY 1",
								   INT8ARRAYOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	uint64		rows;
	uint64		i;

	qms_param_pointer(&params, counter_queues(gauges, n));
	qms_param_time(&params, from);
	rows = qms_spi_run(&plan, &params);
	for (i = 0; i < rows; i++)
	{
		QmsGauges *f = find_queue(gauges, n, qms_spi_int64(i, 0));
		bool		isnull;

		if (f == NULL)
			continue;
		f->called = qms_spi_int64(i, 1);
		f->mean_wait = DatumGetFloat8(qms_spi_datum(i, 2, &isnull));
		f->p90_wait = DatumGetFloat8(qms_spi_datum(i, 3, &isnull));
	}
}

/* How those ended who ended within the window. */
static void
read_ends(QmsGauges *gauges, int n, TimestampTz from)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.id, e.ended, e.completed FROM pg_catalog.unnest($1) q (id), "
								   "LATERAL (SELECT pg_catalog.count(*) AS ended, pg_catalog.count(*) FILTER (WHERE t.state = 'completed') AS completed "
								   "FROM qms.ticket_history t WHERE t.queue_id = q.id AND t.ended_at >= $2) e",
								   INT8ARRAYOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	uint64		rows;
	uint64		i;

	qms_param_pointer(&params, counter_queues(gauges, n));
	qms_param_time(&params, from);
	rows = qms_spi_run(&plan, &params);
	for (i = 0; i < rows; i++)
	{
		QmsGauges *f = find_queue(gauges, n, qms_spi_int64(i, 0));

		if (f == NULL)
			continue;
		f->ended = qms_spi_int64(i, 1);
		f->completed = qms_spi_int64(i, 2);
	}
}

/* Live queues of the scope, in the order of their ids. */
QmsGauges *
qms_gauges_read(const QmsGaugesScope *scope, TimestampTz now, int *n)
{
	QmsGauges *gauges = read_queues(scope, now, n);

	if (*n == 0)
		return gauges;
	read_counters(scope, gauges, *n);
	if (scope->window > 0)
	{
		read_waits(gauges, *n, now - scope->window);
		read_ends(gauges, *n, now - scope->window);
	}
	return gauges;
}
