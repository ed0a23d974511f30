/*
 * days.c
 *		Days of queues and branches, and hours and days of organizations: sums of
 *		the hours that are there.
 *
 * An organization has its own time zone; an hour or day of it has the hours of
 * its branches that begin in it.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

/* What is to be made: all of a day of a unit, or what is due of a day of an organization. */
typedef struct Due
{
	bool		is_organization;
	QmsUnitKey	unit;
	TimestampTz at;				/* as it is written down */
	pg_tz	   *zone;
	QmsLocalHour day;
	TimestampTz now;
} Due;

/* Rows of the last result, sorted by queue and class, and then always in one order, for the sums of squares: their sums. */
static void
write_sums(const Due *due, uint64 n, QmsStatsPeriod period, const QmsLocalHour *local)
{
	SPITupleTable *rows = qms_spi_result();
	QmsStats   *sum = palloc0(sizeof(QmsStats));
	QmsStats   *one = palloc(sizeof(QmsStats));
	QmsSnapshotKey key = {due->unit.organization_id, due->unit.branch_id, 0, NULL};
	int64		target = 0;
	uint64		i;

	for (i = 0; i < n; i++)
	{
		bool		isnull;
		int64		queue_id = qms_spi_int64(i, 0);
		char	   *class_name = qms_spi_text(i, 1);
		Datum		value = qms_spi_datum(i, 2, &isnull);
		int64		this = isnull ? 0 : qms_interval_usec(DatumGetIntervalP(value), NULL);

		if (i > 0 && (queue_id != key.queue_id || (class_name == NULL) != (key.customer_class == NULL) ||
					  (class_name != NULL && strcmp(class_name, key.customer_class) != 0)))
		{
			qms_snapshot_insert(&key, period, local, target, sum, due->now);
			qms_spi_return_to(rows);
			memset(sum, 0, sizeof(*sum));
		}
		target = sum->computed_at == 0 || target == this ? this : 0;
		key.queue_id = queue_id;
		key.customer_class = class_name;
		qms_snapshot_read(i, 3, one);
		qms_stats_merge(sum, one);
	}
	if (n > 0)
		qms_snapshot_insert(&key, period, local, target, sum, due->now);
	pfree(sum);
	pfree(one);
}

/* $1 organization, $2 branch (null: queues of applications), $3 to $4. */
static QmsPlan *
plan_of(QmsPlan *plan, const char *format)
{
	if (plan->sql == NULL)
		plan->sql = MemoryContextStrdup(TopMemoryContext, psprintf(format, qms_snapshot_columns()));
	return plan;
}

static void
unit_params(QmsParams *params, const Due *due, TimestampTz from, TimestampTz to)
{
	qms_param_int64(params, due->unit.organization_id);
	qms_param_id(params, due->unit.branch_id);
	qms_param_time(params, from);
	qms_param_time(params, to);
}

/* A day of the queues of a unit, and of its branch. */
static void
make_unit_day(const Due *due)
{
	static QmsPlan clear = QMS_PLAN(
									"DELETE FROM qms.analytics_snapshot WHERE organization_id = $1 AND period = 'day' AND starts_at >= $3 "
									"AND starts_at < $4 AND branch_id IS NOT DISTINCT FROM $2 AND ($2 IS NOT NULL OR queue_id IS NOT NULL)",
									INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	static QmsPlan hours = QMS_PLAN(NULL, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	clear_params = {0};
	QmsParams	params = {0};

	unit_params(&clear_params, due, due->day.starts_at, due->day.ends_at);
	qms_spi_run(&clear, &clear_params);
	unit_params(&params, due, due->day.starts_at, due->day.ends_at);
	write_sums(due, qms_spi_run(plan_of(&hours,
										"SELECT queue_id, customer_class, target, %s FROM qms.analytics_snapshot "
										"WHERE organization_id = $1 AND period = 'hour' AND starts_at >= $3 AND starts_at < $4 "
										"AND branch_id IS NOT DISTINCT FROM $2 AND ($2 IS NOT NULL OR queue_id IS NOT NULL) "
										"ORDER BY queue_id, customer_class, starts_at"), &params),
			   QMS_STATS_DAY, &due->day);
}

/* A day of the staff of a branch. */
static void
make_staff_day(const Due *due)
{
	static QmsPlan clear = QMS_PLAN(
									"DELETE FROM qms.staff_snapshot WHERE organization_id = $1 AND branch_id = $2 AND period = 'day' "
									"AND starts_at >= $3 AND starts_at < $4", INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	static QmsPlan make = QMS_PLAN(
								   "INSERT INTO qms.staff_snapshot (organization_id, branch_id, staff_id, period, starts_at, ends_at, local_date, "
								   "called, served, no_show, transferred, requeued, service_count, service_sum, service_squares, service_max, "
								   "service_sketch, idle, walking, serving, paused, pauses, computed_at) "
								   "SELECT $1, $2, h.staff_id, 'day', $3, $4, $5, pg_catalog.sum(h.called), pg_catalog.sum(h.served), "
								   "pg_catalog.sum(h.no_show), pg_catalog.sum(h.transferred), pg_catalog.sum(h.requeued), "
								   "pg_catalog.sum(h.service_count), pg_catalog.sum(h.service_sum), pg_catalog.sum(h.service_squares), "
								   "pg_catalog.max(h.service_max), qms.sketch_merge(h.service_sketch), pg_catalog.sum(h.idle), "
								   "pg_catalog.sum(h.walking), pg_catalog.sum(h.serving), pg_catalog.sum(h.paused), "
								   "(SELECT coalesce(pg_catalog.jsonb_object_agg(p.reason, p.seconds), '{}') FROM (SELECT e.key AS reason, "
								   "pg_catalog.sum(e.value::pg_catalog.numeric) AS seconds FROM qms.staff_snapshot s, pg_catalog.jsonb_each_text(s.pauses) e "
								   "WHERE s.organization_id = $1 AND s.branch_id = $2 AND s.period = 'hour' AND s.starts_at >= $3 AND s.starts_at < $4 "
								   "AND s.staff_id IS NOT DISTINCT FROM h.staff_id GROUP BY 1) p), $6 "
								   "FROM qms.staff_snapshot h WHERE h.organization_id = $1 AND h.branch_id = $2 AND h.period = 'hour' "
								   "AND h.starts_at >= $3 AND h.starts_at < $4 GROUP BY h.staff_id",
								   INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, DATEOID, TIMESTAMPTZOID);
	QmsParams	clear_params = {0};
	QmsParams	params = {0};

	unit_params(&clear_params, due, due->day.starts_at, due->day.ends_at);
	qms_spi_run(&clear, &clear_params);
	unit_params(&params, due, due->day.starts_at, due->day.ends_at);
	qms_param_datum(&params, DateADTGetDatum(due->day.date));
	qms_param_time(&params, due->now);
	qms_spi_run(&make, &params);
}

/* ---- organizations ---- */

#define OF_ORGANIZATION \
	"organization_id = $1 AND period = $2 AND starts_at >= $3 AND starts_at < $4 AND branch_id IS NULL AND queue_id IS NULL"

static void
organization_params(QmsParams *params, const Due *due, const char *period, TimestampTz from, TimestampTz to)
{
	qms_param_int64(params, due->unit.organization_id);
	qms_param_text(params, period);
	qms_param_time(params, from);
	qms_param_time(params, to);
}

static void
clear_organization(const Due *due, const char *period, TimestampTz from, TimestampTz to)
{
	static QmsPlan plan = QMS_PLAN("DELETE FROM qms.analytics_snapshot WHERE " OF_ORGANIZATION,
								   INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	organization_params(&params, due, period, from, to);
	qms_spi_run(&plan, &params);
}

/* One hour: of the branches, and of the queues that are in none. */
static void
make_organization_hour(const Due *due, TimestampTz starts_at)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsLocalHour hour;

	qms_local_hour(starts_at, due->zone, &hour);
	clear_organization(due, "hour", hour.starts_at, hour.ends_at);
	unit_params(&params, due, hour.starts_at, hour.ends_at);
	write_sums(due, qms_spi_run(plan_of(&plan,
										"SELECT $2, customer_class, target, %s FROM qms.analytics_snapshot "
										"WHERE organization_id = $1 AND period = 'hour' AND starts_at >= $3 AND starts_at < $4 "
										"AND (branch_id IS NULL) <> (queue_id IS NULL) ORDER BY customer_class, branch_id, queue_id, starts_at"), &params),
			   QMS_STATS_HOUR, &hour);
}

/* The hours of a day of an organization that are due, and the day. */
static void
make_organization_day(const Due *due)
{
	static QmsPlan marks = QMS_PLAN(
									"DELETE FROM qms_internal.stats_due WHERE level = 'organization' AND organization_id = $1 "
									"AND starts_at >= $2 AND starts_at < $3 RETURNING starts_at", INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	static QmsPlan hours = QMS_PLAN(NULL, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsParams	day_params = {0};
	SPITupleTable *rows;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, due->unit.organization_id);
	qms_param_time(&params, due->day.starts_at);
	qms_param_time(&params, due->day.ends_at);
	n = qms_spi_run(&marks, &params);
	rows = qms_spi_result();
	for (i = 0; i < n; i++)
	{
		make_organization_hour(due, qms_spi_time(i, 0));
		qms_spi_return_to(rows);
	}
	clear_organization(due, "day", due->day.starts_at, due->day.ends_at);
	organization_params(&day_params, due, "hour", due->day.starts_at, due->day.ends_at);
	write_sums(due, qms_spi_run(plan_of(&hours, "SELECT NULL::pg_catalog.int8, customer_class, target, %s FROM qms.analytics_snapshot WHERE "
										OF_ORGANIZATION " ORDER BY customer_class, starts_at"), &day_params),
			   QMS_STATS_DAY, &due->day);
}

/* ---- what is due ---- */

/* In a subtransaction. */
static void
make(void *arg)
{
	static QmsPlan done = QMS_PLAN(
								   "DELETE FROM qms_internal.stats_due WHERE level = 'day' AND organization_id = $1 AND branch_id = $2 AND starts_at = $3",
								   INT8OID, INT8OID, TIMESTAMPTZOID);
	Due		   *due = arg;
	QmsParams	params = {0};

	qms_local_hour(due->at, due->zone, &due->day);
	due->day.starts_at = qms_local_midnight(due->day.date, due->zone);
	due->day.ends_at = qms_local_midnight(due->day.date + 1, due->zone);
	if (due->is_organization)
	{
		make_organization_day(due);
		return;
	}
	qms_param_int64(&params, due->unit.organization_id);
	qms_param_int64(&params, due->unit.branch_id);
	qms_param_time(&params, due->at);
	qms_spi_run(&done, &params);
	make_unit_day(due);
	if (due->unit.branch_id != 0)
		make_staff_day(due);
}

static void
postpone(const Due *due)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.stats_due SET not_before = $4 WHERE level = $1 AND organization_id = $2 AND starts_at = $3",
								   TEXTOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_text(&params, due->is_organization ? "organization" : "day");
	qms_param_int64(&params, due->unit.organization_id);
	qms_param_time(&params, due->at);
	qms_param_time(&params, due->now + 5 * USECS_PER_MINUTE);
	qms_spi_run(&plan, &params);
}

/* The first day that is due; days of branches come before those of organizations. */
static bool
find_due(Due *due, TimestampTz now, int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT d.level = 'organization', d.organization_id, d.branch_id, d.starts_at, coalesce(b.time_zone, o.time_zone) "
								   "FROM qms_internal.stats_due d JOIN qms.organization o ON o.organization_id = d.organization_id "
								   "LEFT JOIN qms.branch b ON b.branch_id = d.branch_id WHERE d.level = $3 "
								   "AND (d.not_before IS NULL OR d.not_before <= $1) AND ($2 IS NULL OR d.organization_id = $2) "
								   "ORDER BY d.starts_at LIMIT 1", TIMESTAMPTZOID, INT8OID, TEXTOID);
	static const char *const levels[] = {"day", "organization"};
	size_t		i;

	for (i = 0; i < lengthof(levels); i++)
	{
		QmsParams	params = {0};

		qms_param_time(&params, now);
		qms_param_id(&params, organization_id);
		qms_param_text(&params, levels[i]);
		if (qms_spi_run(&plan, &params) == 0)
			continue;
		due->is_organization = qms_spi_bool(0, 0);
		due->unit.organization_id = qms_spi_int64(0, 1);
		due->unit.branch_id = qms_spi_int64(0, 2);
		due->at = qms_spi_time(0, 3);
		due->zone = qms_local_zone(qms_spi_text(0, 4));
		due->now = now;
		return true;
	}
	return false;
}

/* Make the next one, of one organization or all (0); false: none is due. */
bool
qms_days_step(TimestampTz now, int64 organization_id)
{
	ErrorData  *error;
	Due			due;

	if (!find_due(&due, now, organization_id))
		return false;
	error = qms_try(make, &due);
	if (error != NULL)
	{
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("qms: the snapshot of a day of organization %lld failed: %s", (long long) due.unit.organization_id, error->message),
				 errhint("It is tried again later; other work goes on.")));
		FreeErrorData(error);
		postpone(&due);
	}
	return true;
}
