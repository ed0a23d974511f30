/*
 * read.c
 *		Reads what is stored: hours, days, and sums over any span of time.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#define CHUNK 500

#define ROWS_OF(of) \
	"SELECT starts_at, ends_at, local_date, coalesce(local_hour, -1), target, %s FROM qms.analytics_snapshot " \
	"WHERE " of " AND period = $2 AND starts_at >= $3 AND starts_at < $4 " \
	"AND customer_class IS NOT DISTINCT FROM $5 ORDER BY starts_at LIMIT $6"
#define OF_ORGANIZATION "organization_id = $1 AND branch_id IS NULL AND queue_id IS NULL"
#define OF_BRANCH "branch_id = $1 AND branch_id IS NOT NULL AND queue_id IS NULL"
#define OF_QUEUE "queue_id = $1 AND queue_id IS NOT NULL"

/* A span of time without end is one that holds everything there can be. */
static void
make_finite(TimestampTz *since, TimestampTz *before)
{
	if (*since == QMS_NO_TIME || TIMESTAMP_NOT_FINITE(*since))
		*since = 0;
	if (*before == QMS_NO_TIME || TIMESTAMP_NOT_FINITE(*before))
		*before = qms_clock_now() + USECS_PER_DAY;
}

/* Some rows from "since" on; answers how many. */
static uint64
read_chunk(QmsStatsScope scope, QmsStatsPeriod period, TimestampTz since, TimestampTz before, const char *customer_class)
{
	static QmsPlan plans[] = {
		[QMS_OF_ORGANIZATION] = QMS_PLAN(NULL, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, INT8OID),
		[QMS_OF_BRANCH] = QMS_PLAN(NULL, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, INT8OID),
		[QMS_OF_QUEUE] = QMS_PLAN(NULL, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, INT8OID)
	};
	static const char *const texts[] = {ROWS_OF(OF_ORGANIZATION), ROWS_OF(OF_BRANCH), ROWS_OF(OF_QUEUE)};
	QmsPlan    *plan = &plans[scope.of];
	QmsParams	params = {0};

	if (plan->sql == NULL)
		plan->sql = MemoryContextStrdup(TopMemoryContext, psprintf(texts[scope.of], qms_snapshot_columns()));
	qms_param_int64(&params, scope.id);
	qms_param_text(&params, period == QMS_STATS_HOUR ? "hour" : "day");
	qms_param_time(&params, since);
	qms_param_time(&params, before);
	qms_param_text(&params, customer_class);
	qms_param_int64(&params, CHUNK);
	return qms_spi_run(plan, &params);
}

static void
fetch_row(int r, QmsStatsRow *row)
{
	bool		isnull;
	Datum		value;

	row->starts_at = qms_spi_time(r, 0);
	row->ends_at = qms_spi_time(r, 1);
	row->local_date = DatumGetDateADT(qms_spi_datum(r, 2, &isnull));
	row->local_hour = qms_spi_int32(r, 3);
	row->weekday = j2day(row->local_date + POSTGRES_EPOCH_JDATE);
	row->weekday = row->weekday == 0 ? 7 : row->weekday;
	value = qms_spi_datum(r, 4, &isnull);
	row->target = isnull ? 0 : qms_interval_usec(DatumGetIntervalP(value), NULL);
}

/* Each hour or day that begins within [since, before), in order of time; the callback may use SPI. */
void
qms_stats_each(QmsStatsScope scope, QmsStatsPeriod period, TimestampTz since, TimestampTz before,
			   const char *customer_class, QmsStatsCallback callback, void *arg)
{
	QmsStats   *stats = palloc(sizeof(QmsStats));
	QmsStatsRow row;
	uint64		n;
	uint64		i;

	make_finite(&since, &before);
	do
	{
		SPITupleTable *rows;

		n = read_chunk(scope, period, since, before, customer_class);
		rows = qms_spi_result();
		for (i = 0; i < n; i++)
		{
			fetch_row(i, &row);
			qms_snapshot_read(i, 5, stats);
			row.stats = stats;
			callback(&row, arg);
			qms_spi_return_to(rows);
		}
		if (n > 0)
			since = row.starts_at + 1;
		SPI_freetuptable(rows);
		qms_spi_return_to(NULL);
	} while (n == CHUNK);
	pfree(stats);
}

/* ---- sums ---- */

/* The whole local days within a span of time; false: there is none. */
static bool
whole_days(pg_tz *zone, TimestampTz since, TimestampTz before, TimestampTz *from, TimestampTz *to)
{
	QmsLocalHour hour;

	qms_local_hour(since, zone, &hour);
	*from = qms_local_midnight(hour.date, zone);
	if (*from < since)
		*from = qms_local_midnight(hour.date + 1, zone);
	qms_local_hour(before, zone, &hour);
	*to = qms_local_midnight(hour.date, zone);
	return *from < *to;
}

static void
add_row(const QmsStatsRow *row, void *arg)
{
	qms_stats_merge(arg, row->stats);
}

void
qms_stats_sum(QmsStatsScope scope, TimestampTz since, TimestampTz before, const char *customer_class, QmsStats *out)
{
	TimestampTz from;
	TimestampTz to;

	make_finite(&since, &before);
	memset(out, 0, sizeof(*out));
	out->computed_at = QMS_NO_TIME;
	if (since >= before)
		return;
	if (!whole_days(qms_local_zone_of(scope.of, scope.id), since, before, &from, &to))
		from = to = before;
	qms_stats_each(scope, QMS_STATS_HOUR, since, from, customer_class, add_row, out);
	if (from < to)
		qms_stats_each(scope, QMS_STATS_DAY, from, to, customer_class, add_row, out);
	if (to < before)
		qms_stats_each(scope, QMS_STATS_HOUR, to, before, customer_class, add_row, out);
}

/* The classes that occur: names, in order; answers how many. */
int
qms_stats_classes(QmsStatsScope scope, TimestampTz since, TimestampTz before, char ***names)
{
#define CLASSES_OF(of) \
	"SELECT DISTINCT customer_class FROM qms.analytics_snapshot WHERE " of " AND period = 'day' " \
	"AND starts_at >= $2 AND starts_at < $3 AND customer_class IS NOT NULL ORDER BY 1"
	static QmsPlan plans[] = {
		[QMS_OF_ORGANIZATION] = QMS_PLAN(CLASSES_OF(OF_ORGANIZATION), INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID),
		[QMS_OF_BRANCH] = QMS_PLAN(CLASSES_OF(OF_BRANCH), INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID),
		[QMS_OF_QUEUE] = QMS_PLAN(CLASSES_OF(OF_QUEUE), INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID)
	};
	QmsParams	params = {0};
	int			n;
	int			i;

	make_finite(&since, &before);
	qms_param_int64(&params, scope.id);
	/* The day that "since" lies in, too. */
	qms_param_time(&params, since - USECS_PER_DAY - USECS_PER_HOUR);
	qms_param_time(&params, before);
	n = (int) qms_spi_run(&plans[scope.of], &params);
	*names = palloc(sizeof(char *) * Max(n, 1));
	for (i = 0; i < n; i++)
		(*names)[i] = qms_spi_text(i, 0);
	return n;
}

/* ---- staff ---- */

static int64
fetch_interval(int r, int c)
{
	bool		isnull;
	Datum		value = qms_spi_datum(r, c, &isnull);

	return isnull ? 0 : qms_interval_usec(DatumGetIntervalP(value), NULL);
}

static void
fetch_staff(int r, QmsStaffStats *row)
{
	bool		isnull;
	Datum		value;

	memset(row, 0, sizeof(*row));
	row->staff_id = qms_spi_int64(r, 0);
	row->display_name = qms_spi_text(r, 1);
	row->days = qms_spi_int32(r, 2);
	row->called = qms_spi_int64(r, 3);
	row->served = qms_spi_int64(r, 4);
	row->no_show = qms_spi_int64(r, 5);
	row->transferred = qms_spi_int64(r, 6);
	row->requeued = qms_spi_int64(r, 7);
	row->service.count = qms_spi_int64(r, 8);
	row->service.sum = fetch_interval(r, 9);
	value = qms_spi_datum(r, 10, &isnull);
	row->service.squares = isnull ? 0 : DatumGetFloat8(value);
	row->service.max = fetch_interval(r, 11);
	value = qms_spi_datum(r, 12, &isnull);
	if (!isnull)
		qms_sketch_unpack((struct varlena *) DatumGetPointer(value), &row->service.sketch);
	row->idle = fetch_interval(r, 13);
	row->walking = fetch_interval(r, 14);
	row->serving = fetch_interval(r, 15);
	row->paused = fetch_interval(r, 16);
	row->pauses = qms_spi_jsonb(r, 17);
}

/* Whole days from their rows, hours at the edges. */
#define OF_SPAN(x) \
	x ".branch_id = $1 AND (" x ".period = 'day' AND " x ".starts_at >= $4 AND " x ".starts_at < $5 " \
	"OR " x ".period = 'hour' AND " x ".starts_at >= $2 AND " x ".starts_at < $3 AND NOT (" x ".starts_at >= $4 AND " x ".starts_at < $5))"

void
qms_staff_each(int64 branch_id, TimestampTz since, TimestampTz before, QmsStaffCallback callback, void *arg)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT h.staff_id, coalesce(t.display_name, t.username), pg_catalog.count(DISTINCT h.local_date)::pg_catalog.int4, "
								   "pg_catalog.sum(h.called)::pg_catalog.int8, pg_catalog.sum(h.served)::pg_catalog.int8, "
								   "pg_catalog.sum(h.no_show)::pg_catalog.int8, pg_catalog.sum(h.transferred)::pg_catalog.int8, "
								   "pg_catalog.sum(h.requeued)::pg_catalog.int8, pg_catalog.sum(h.service_count)::pg_catalog.int8, "
								   "pg_catalog.sum(h.service_sum), pg_catalog.sum(h.service_squares), pg_catalog.max(h.service_max), "
								   "qms.sketch_merge(h.service_sketch), pg_catalog.sum(h.idle), pg_catalog.sum(h.walking), "
								   "pg_catalog.sum(h.serving), pg_catalog.sum(h.paused), "
								   "(SELECT coalesce(pg_catalog.jsonb_object_agg(p.reason, p.seconds), '{}') FROM (SELECT e.key AS reason, "
								   "pg_catalog.sum(e.value::pg_catalog.numeric) AS seconds FROM qms.staff_snapshot s, pg_catalog.jsonb_each_text(s.pauses) e "
								   "WHERE " OF_SPAN("s") " AND s.staff_id IS NOT DISTINCT FROM h.staff_id GROUP BY 1) p) "
								   "FROM qms.staff_snapshot h LEFT JOIN qms.staff t ON t.staff_id = h.staff_id "
								   "WHERE " OF_SPAN("h") " GROUP BY h.staff_id, t.display_name, t.username ORDER BY h.staff_id",
								   INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsStaffStats *row = palloc(sizeof(QmsStaffStats));
	QmsParams	params = {0};
	SPITupleTable *rows;
	TimestampTz from;
	TimestampTz to;
	uint64		n;
	uint64		i;

	make_finite(&since, &before);
	if (!whole_days(qms_local_zone_of(QMS_OF_BRANCH, branch_id), since, before, &from, &to))
		from = to = since;
	qms_param_int64(&params, branch_id);
	qms_param_time(&params, since);
	qms_param_time(&params, before);
	qms_param_time(&params, from);
	qms_param_time(&params, to);
	n = qms_spi_run(&plan, &params);
	rows = qms_spi_result();
	for (i = 0; i < n; i++)
	{
		fetch_staff(i, row);
		callback(row, arg);
		qms_spi_return_to(rows);
	}
	pfree(row);
}

/* Everything before it is in the snapshots; QMS_NO_TIME: nobody has looked yet. */
TimestampTz
qms_stats_computed_until(void)
{
	static QmsPlan plan = QMS_PLAN_NOARGS(
										  "SELECT coalesce((SELECT starts_at FROM qms_internal.stats_due WHERE level = 'hour' ORDER BY starts_at LIMIT 1), "
										  "(SELECT pg_catalog.max(starts_at) + interval '15 min' FROM qms_internal.stats_slot))");

	return qms_spi_run(&plan, NULL) > 0 ? qms_spi_time(0, 0) : QMS_NO_TIME;
}
