/*
 * store.c
 *		Rows of qms.analytics_snapshot: written, and read back to be added up.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "utils/date.h"
#include "utils/memutils.h"


static const Oid own_types[] = {
	INT8OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, DATEOID, INT4OID, TEXTOID, INTERVALOID, TIMESTAMPTZOID
};

/* What is kept of each kind of duration; sketches last. */
static const char *const times_names[] = {"wait", "service", "abandoned_wait"};
static const char *const parts[] = {"count", "sum", "squares", "max", "sketch"};
static const Oid part_types[] = {INT8OID, INTERVALOID, FLOAT8OID, INTERVALOID, QMS_SKETCH_TYPE};

#define FIGURES (QMS_STATS_COUNTS + (int) (lengthof(times_names) * lengthof(parts)))

/* The figures' columns, in the order in which they are read and written, then computed_at. */
const char *
qms_snapshot_columns(void)
{
	static char *list = NULL;
	StringInfoData text;
	size_t		i;
	size_t		j;

	if (list != NULL)
		return list;
	initStringInfo(&text);
	for (i = 0; i < QMS_STATS_COUNTS; i++)
		appendStringInfo(&text, "%s, ", qms_stats_count_name((QmsStatsCount) i));
	for (i = 0; i < lengthof(times_names); i++)
	{
		for (j = 0; j < lengthof(parts); j++)
			appendStringInfo(&text, "%s_%s, ", times_names[i], parts[j]);
	}
	appendStringInfoString(&text, "computed_at");
	list = MemoryContextStrdup(TopMemoryContext, text.data);
	return list;
}

static QmsTimes *
times_of(QmsStats *stats, int which)
{
	return which == 0 ? &stats->wait : which == 1 ? &stats->service : &stats->abandoned;
}

static void
read_times(int r, int column, QmsTimes *times)
{
	bool		isnull;
	Datum		value;

	times->count = qms_spi_int64(r, column);
	value = qms_spi_datum(r, column + 1, &isnull);
	times->sum = isnull ? 0 : qms_interval_usec(DatumGetIntervalP(value), NULL);
	value = qms_spi_datum(r, column + 2, &isnull);
	times->squares = isnull ? 0 : DatumGetFloat8(value);
	value = qms_spi_datum(r, column + 3, &isnull);
	times->max = isnull ? 0 : qms_interval_usec(DatumGetIntervalP(value), NULL);
	value = qms_spi_datum(r, column + 4, &isnull);
	if (isnull || times->count == 0)
		memset(&times->sketch, 0, sizeof(times->sketch));
	else
		qms_sketch_unpack((struct varlena *) DatumGetPointer(value), &times->sketch);
}

/* The figures of row r of the last result, whose columns begin at "column". */
void
qms_snapshot_read(int r, int column, QmsStats *stats)
{
	int			i;

	for (i = 0; i < QMS_STATS_COUNTS; i++)
		stats->n[i] = qms_spi_int64(r, column + i);
	column += QMS_STATS_COUNTS;
	for (i = 0; i < (int) lengthof(times_names); i++, column += lengthof(parts))
		read_times(r, column, times_of(stats, i));
	stats->computed_at = qms_spi_time(r, column);
}

static QmsPlan *
insert_plan(void)
{
	static QmsPlan plan = {0};
	StringInfoData sql;
	int			i;

	if (plan.sql != NULL)
		return &plan;
	initStringInfo(&sql);
	/* computed_at is among the figures' columns, at their end. */
	appendStringInfo(&sql, "INSERT INTO qms.analytics_snapshot (organization_id, branch_id, queue_id, period, starts_at, ends_at, "
					 "local_date, local_hour, customer_class, target, %s) VALUES (", qms_snapshot_columns());
	plan.nargs = (int) lengthof(own_types) + FIGURES;
	for (i = 0; i < plan.nargs; i++)
		appendStringInfo(&sql, "%s$%d", i ? ", " : "", i + 1);
	appendStringInfoChar(&sql, ')');
	for (i = 0; i < (int) lengthof(own_types) - 1; i++)
		plan.argtypes[i] = own_types[i];
	for (i = 0; i < FIGURES; i++)
		plan.argtypes[lengthof(own_types) - 1 + i] = i < QMS_STATS_COUNTS ? INT8OID :
			part_types[(i - QMS_STATS_COUNTS) % lengthof(parts)];
	plan.argtypes[plan.nargs - 1] = TIMESTAMPTZOID;
	plan.sql = MemoryContextStrdup(TopMemoryContext, sql.data);
	return &plan;
}

/* Write one row; target 0: null. */
void
qms_snapshot_insert(const QmsSnapshotKey *key, QmsStatsPeriod period, const QmsLocalHour *local, int64 target,
					const QmsStats *stats, TimestampTz computed_at)
{
	QmsParams	params = {0};
	int			i;

	qms_param_int64(&params, key->organization_id);
	qms_param_id(&params, key->branch_id);
	qms_param_id(&params, key->queue_id);
	qms_param_text(&params, period == QMS_STATS_HOUR ? "hour" : "day");
	qms_param_time(&params, local->starts_at);
	qms_param_time(&params, local->ends_at);
	qms_param_datum(&params, DateADTGetDatum(local->date));
	if (period == QMS_STATS_HOUR)
		qms_param_int32(&params, local->hour);
	else
		qms_param_null(&params);
	qms_param_text(&params, key->customer_class);
	qms_param_pointer(&params, target > 0 ? qms_interval_make(target) : NULL);
	for (i = 0; i < QMS_STATS_COUNTS; i++)
		qms_param_int64(&params, stats->n[i]);
	for (i = 0; i < (int) lengthof(times_names); i++)
	{
		const QmsTimes *times = times_of(unconstify(QmsStats *, stats), i);

		qms_param_int64(&params, times->count);
		qms_param_pointer(&params, qms_interval_make(times->sum));
		qms_param_datum(&params, Float8GetDatum(times->squares));
		qms_param_pointer(&params, qms_interval_make(times->max));
		qms_param_pointer(&params, qms_sketch_pack(&times->sketch));
	}
	qms_param_time(&params, computed_at);
	qms_spi_run(insert_plan(), &params);
}
