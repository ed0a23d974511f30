/*
 * write.c
 *		Writes an hour that has been read: rows of queues, branch and staff, what
 *		was open at its end, and what follows from it.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

/* A unit's part of the hour. */
typedef struct UnitHour
{
	QmsWindow  *window;
	QmsUnit    *unit;
	QmsLocalHour local;
	TimestampTz now;
	QmsCell   **cells;			/* of the unit: by queue and name of class */
	int			ncells;
} UnitHour;

static int
by_place(const void *a, const void *b)
{
	const QmsCell *x = *(const QmsCell *const *) a;
	const QmsCell *y = *(const QmsCell *const *) b;
	int			result = memcmp(&x->queue->unit, &y->queue->unit, sizeof(QmsUnitKey));

	if (result == 0)
		result = x->key.queue_id < y->key.queue_id ? -1 : x->key.queue_id > y->key.queue_id;
	return result != 0 ? result : strcmp(x->class_name, y->class_name);
}

static int
by_class(const void *a, const void *b)
{
	return strcmp((*(const QmsCell *const *) a)->class_name, (*(const QmsCell *const *) b)->class_name);
}

/* What is there of this hour goes. */
static void
clear_rows(const UnitHour *part)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms.analytics_snapshot WHERE organization_id = $1 AND period = 'hour' AND starts_at = $3 "
								   "AND branch_id IS NOT DISTINCT FROM $2 AND ($2 IS NOT NULL OR queue_id IS NOT NULL)",
								   INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, part->unit->key.organization_id);
	qms_param_id(&params, part->unit->key.branch_id);
	qms_param_time(&params, part->local.starts_at);
	qms_spi_run(&plan, &params);
}

static void
insert(const UnitHour *part, int64 queue_id, const char *class_name, int64 target, const QmsStats *stats)
{
	QmsSnapshotKey key = {part->unit->key.organization_id, part->unit->key.branch_id, queue_id, class_name};

	qms_snapshot_insert(&key, QMS_STATS_HOUR, &part->local, target, stats, part->now);
}

/* Rows of some cells, sorted: one for each name of a class, and one for all. */
static void
write_cells(const UnitHour *part, QmsCell **cells, int n, int64 queue_id)
{
	QmsStats   *all = palloc0(sizeof(QmsStats));
	QmsStats   *one = palloc0(sizeof(QmsStats));
	int64		target = n > 0 ? cells[0]->queue->target : 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (cells[i]->queue->target != target)
			target = 0;
	}
	for (i = 0; i < n; i++)
	{
		qms_stats_merge(one, cells[i]->stats);
		if (i + 1 < n && strcmp(cells[i]->class_name, cells[i + 1]->class_name) == 0)
			continue;
		insert(part, queue_id, cells[i]->class_name, target, one);
		qms_stats_merge(all, one);
		memset(one, 0, sizeof(*one));
	}
	if (n > 0)
		insert(part, queue_id, NULL, target, all);
	pfree(all);
	pfree(one);
}

static void
write_figures(const UnitHour *part)
{
	QmsCell   **sorted;
	int			first = 0;
	int			i;

	for (i = 1; i <= part->ncells; i++)
	{
		if (i < part->ncells && part->cells[i]->key.queue_id == part->cells[first]->key.queue_id)
			continue;
		write_cells(part, part->cells + first, i - first, part->cells[first]->key.queue_id);
		first = i;
	}
	if (part->unit->key.branch_id == 0 || part->ncells == 0)
		return;
	sorted = palloc(sizeof(QmsCell *) * part->ncells);
	memcpy(sorted, part->cells, sizeof(QmsCell *) * part->ncells);
	qsort(sorted, part->ncells, sizeof(QmsCell *), by_class);
	write_cells(part, sorted, part->ncells, 0);
}

static void
mark(const UnitHour *part, const char *level, int64 branch_id, TimestampTz starts_at)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.stats_due (level, organization_id, branch_id, starts_at, mark) "
								   "VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING", TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_text(&params, level);
	qms_param_int64(&params, part->unit->key.organization_id);
	qms_param_int64(&params, branch_id);
	qms_param_time(&params, starts_at);
	qms_spi_run(&plan, &params);
}

/* What is open at the end of a past hour; if it is another than before, the next hour is due. */
static void
write_carry(const UnitHour *part)
{
	static QmsPlan plan = QMS_PLAN(
								   "WITH old AS MATERIALIZED (SELECT carry FROM qms_internal.stats_hour "
								   "WHERE organization_id = $1 AND branch_id = $2 AND starts_at = $3) "
								   "INSERT INTO qms_internal.stats_hour (organization_id, branch_id, starts_at, ends_at, is_final, computed_at, carry) "
								   "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (organization_id, branch_id, starts_at) DO UPDATE SET "
								   "ends_at = excluded.ends_at, is_final = excluded.is_final, computed_at = excluded.computed_at, carry = excluded.carry "
								   "RETURNING coalesce((SELECT carry FROM old), '{\"counters\": []}') IS DISTINCT FROM carry",
								   INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID, TIMESTAMPTZOID, JSONBOID);
	bool		is_final = part->local.ends_at <= part->now;
	QmsParams	params = {0};

	qms_param_int64(&params, part->unit->key.organization_id);
	qms_param_int64(&params, part->unit->key.branch_id);
	qms_param_time(&params, part->local.starts_at);
	qms_param_time(&params, part->local.ends_at);
	qms_param_bool(&params, is_final);
	qms_param_time(&params, part->now);
	qms_param_pointer(&params, is_final ? qms_staff_hour_open(part->window->staff, &part->unit->key) : NULL);
	qms_spi_run(&plan, &params);
	if (is_final && qms_spi_bool(0, 0))
		mark(part, "hour", part->unit->key.branch_id, part->local.ends_at);
}

static void
clear_due(const UnitHour *part)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms_internal.stats_due WHERE level = 'hour' AND organization_id = $1 AND branch_id = $2 "
								   "AND starts_at > $3 - interval '15 min' AND starts_at < $4 AND mark <= $5",
								   INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, part->unit->key.organization_id);
	qms_param_int64(&params, part->unit->key.branch_id);
	qms_param_time(&params, part->local.starts_at);
	qms_param_time(&params, part->local.ends_at);
	qms_param_int64(&params, part->window->mark);
	qms_spi_run(&plan, &params);
}

/* In a subtransaction. */
static void
write_unit(void *arg)
{
	UnitHour   *part = arg;
	QmsLocalHour organization;

	clear_due(part);
	clear_rows(part);
	write_figures(part);
	if (part->unit->key.branch_id != 0)
		qms_staff_hour_write(part->window->staff, part->unit, &part->local, part->now);
	write_carry(part);
	mark(part, "day", part->unit->key.branch_id, qms_local_midnight(part->local.date, part->unit->zone));
	qms_local_hour(part->local.starts_at, part->unit->organization_zone, &organization);
	mark(part, "organization", 0, organization.starts_at);
}

/* Leave it alone for a while: one hour that cannot be made must not stop the others. */
static void
postpone(const QmsWindow *window, const QmsUnitKey *unit, TimestampTz until)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.stats_due SET not_before = $5 WHERE level = 'hour' AND organization_id = $1 "
								   "AND branch_id = $2 AND starts_at > $3 - interval '15 min' AND starts_at < $4",
								   INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, unit->organization_id);
	qms_param_int64(&params, unit->branch_id);
	qms_param_time(&params, window->starts_at);
	qms_param_time(&params, window->ends_at);
	qms_param_time(&params, until);
	qms_spi_run(&plan, &params);
}

void
qms_window_postpone(const QmsWindow *window, TimestampTz until)
{
	HASH_SEQ_STATUS scan;
	QmsUnit    *unit;

	hash_seq_init(&scan, window->units);
	while ((unit = hash_seq_search(&scan)) != NULL)
		postpone(window, &unit->key, until);
}

/* The cells of one unit, of all that are sorted. */
static void
find_cells(UnitHour *part, QmsCell **cells, int n)
{
	int			i;

	for (i = 0; i < n && memcmp(&cells[i]->queue->unit, &part->unit->key, sizeof(QmsUnitKey)) != 0; i++)
		;
	part->cells = cells + i;
	for (part->ncells = 0; i < n && memcmp(&cells[i]->queue->unit, &part->unit->key, sizeof(QmsUnitKey)) == 0; i++)
		part->ncells++;
}

/* Write all of it; a unit that fails is reported and tried again later. */
void
qms_window_write(QmsWindow *window, TimestampTz now)
{
	QmsCell   **cells = palloc(sizeof(QmsCell *) * Max(hash_get_num_entries(window->cells), 1));
	HASH_SEQ_STATUS scan;
	QmsCell    *cell;
	QmsUnit    *unit;
	ErrorData  *error;
	int			n = 0;

	qms_staff_hour_end(window->staff, Min(now, window->ends_at));
	hash_seq_init(&scan, window->cells);
	while ((cell = hash_seq_search(&scan)) != NULL)
		cells[n++] = cell;
	qsort(cells, n, sizeof(QmsCell *), by_place);
	hash_seq_init(&scan, window->units);
	while ((unit = hash_seq_search(&scan)) != NULL)
	{
		UnitHour	part = {window, unit, unit->hour, now, NULL, 0};

		find_cells(&part, cells, n);
		error = qms_try(write_unit, &part);
		if (error == NULL)
			continue;
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("qms: the snapshot of an hour of branch %lld failed: %s", (long long) unit->key.branch_id, error->message),
				 errhint("It is tried again later; other work goes on.")));
		FreeErrorData(error);
		postpone(window, &unit->key, now + 5 * USECS_PER_MINUTE);
	}
}
