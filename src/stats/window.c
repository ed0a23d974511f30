/*
 * window.c
 *		One hour, of all branches that it is due for: read from the log in batches
 *		of events, then written.
 *
 * Only the events of the hour are read, by their event_id: stats_slot knows from
 * which to which.  Of each ticket among them all events are read, by the index of
 * ticket_id, because a call ends a wait that may have begun hours before.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

static void
add_unit(QmsWindow *window, int r)
{
	QmsUnitKey	key = {qms_spi_int64(r, 0), qms_spi_int64(r, 1)};
	pg_tz	   *organization_zone = qms_local_zone(qms_spi_text(r, 4));
	char	   *name = qms_spi_text(r, 3);
	pg_tz	   *zone = name != NULL ? qms_local_zone(name) : organization_zone;
	QmsLocalHour hour;
	QmsUnit    *unit;
	bool		found;

	qms_local_hour(qms_spi_time(r, 2), zone, &hour);
	if (hour.starts_at != window->starts_at)
		return;
	unit = hash_search(window->units, &key, HASH_ENTER, &found);
	unit->key = key;
	unit->zone = zone;
	unit->organization_zone = organization_zone;
	unit->hour = hour;
}

#define DUE_COLUMNS "SELECT d.organization_id, d.branch_id, d.starts_at, b.time_zone, o.time_zone " \
	"FROM qms_internal.stats_due d JOIN qms.organization o ON o.organization_id = d.organization_id " \
	"LEFT JOIN qms.branch b ON b.branch_id = d.branch_id "
#define DUE_NOW "d.level = 'hour' AND (d.not_before IS NULL OR d.not_before <= $1) AND ($2 IS NULL OR d.organization_id = $2) "

/* The first hour that is due; false: none is. */
static bool
find_hour(TimestampTz now, int64 organization_id, TimestampTz *starts_at)
{
	static QmsPlan plan = QMS_PLAN(DUE_COLUMNS "WHERE " DUE_NOW "ORDER BY d.starts_at LIMIT 1", TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};
	QmsLocalHour hour;
	char	   *name;

	qms_param_time(&params, now);
	qms_param_id(&params, organization_id);
	if (qms_spi_run(&plan, &params) == 0)
		return false;
	name = qms_spi_text(0, 3);
	qms_local_hour(qms_spi_time(0, 2), qms_local_zone(name != NULL ? name : qms_spi_text(0, 4)), &hour);
	*starts_at = hour.starts_at;
	return true;
}

static void
find_units(QmsWindow *window, TimestampTz now, int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(DUE_COLUMNS "WHERE " DUE_NOW "AND d.starts_at > $3 - interval '15 min' AND d.starts_at < $4",
								   TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	uint64		n;
	uint64		i;

	qms_param_time(&params, now);
	qms_param_id(&params, organization_id);
	qms_param_time(&params, window->starts_at);
	qms_param_time(&params, window->ends_at);
	n = qms_spi_run(&plan, &params);
	for (i = 0; i < n; i++)
		add_unit(window, i);
}

/* From which to which event the log is to be read. */
static void
find_events(QmsWindow *window)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.min(first_event_id), pg_catalog.max(last_event_id), "
								   "(SELECT turn FROM qms_internal.stats_progress) FROM qms_internal.stats_slot "
								   "WHERE starts_at > $1 - interval '15 min' AND starts_at < $2", TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_time(&params, window->starts_at);
	qms_param_time(&params, window->ends_at);
	qms_spi_run(&plan, &params);
	window->after = qms_spi_int64(0, 0) - 1;
	window->last = qms_spi_int64(0, 1);
	window->mark = qms_spi_int64(0, 2);
}

/* The counters that were open when the hour began. */
static void
carry_over(QmsWindow *window)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT carry FROM qms_internal.stats_hour WHERE organization_id = $1 AND branch_id = $2 AND starts_at = $3",
								   INT8OID, INT8OID, TIMESTAMPTZOID);
	HASH_SEQ_STATUS scan;
	QmsUnit    *unit;

	hash_seq_init(&scan, window->units);
	while ((unit = hash_seq_search(&scan)) != NULL)
	{
		QmsParams	params = {0};
		QmsLocalHour before;

		qms_local_hour(window->starts_at - 1, unit->zone, &before);
		qms_param_int64(&params, unit->key.organization_id);
		qms_param_int64(&params, unit->key.branch_id);
		qms_param_time(&params, before.starts_at);
		if (qms_spi_run(&plan, &params) > 0)
			qms_staff_hour_carry(window->staff, &unit->key, qms_spi_jsonb(0, 0));
	}
}

/* A table of one hour, that goes with its context. */
HTAB *
qms_window_table(MemoryContext context, const char *name, Size keysize, Size entrysize)
{
	HASHCTL		ctl = {0};

	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hcxt = context;
	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* The first hour that is due, for one organization or all (0), ready to be read; NULL: none is. */
QmsWindow *
qms_window_next(MemoryContext parent, TimestampTz now, int64 organization_id)
{
	MemoryContext context;
	QmsWindow  *window;
	TimestampTz starts_at;

	if (!find_hour(now, organization_id, &starts_at))
		return NULL;
	context = AllocSetContextCreate(CurrentMemoryContext, "qms hour", ALLOCSET_DEFAULT_SIZES);
	window = MemoryContextAllocZero(context, sizeof(QmsWindow));
	window->context = context;
	window->starts_at = starts_at;
	window->ends_at = starts_at + USECS_PER_HOUR;
	window->units = qms_window_table(context, "qms units", sizeof(QmsUnitKey), sizeof(QmsUnit));
	window->queues = qms_window_table(context, "qms queues of an hour", sizeof(int64), sizeof(QmsWindowQueue));
	window->classes = qms_window_table(context, "qms classes of an hour", sizeof(int64), sizeof(QmsWindowClass));
	window->cells = qms_window_table(context, "qms figures of an hour", sizeof(QmsCellKey), sizeof(QmsCell));
	window->staff = qms_staff_hour_begin(context, window->starts_at, window->ends_at);
	find_units(window, now, organization_id);
	find_events(window);
	carry_over(window);
	/* Nothing has failed: it may live on. */
	MemoryContextSetParent(context, parent);
	return window;
}

void
qms_window_free(QmsWindow *window)
{
	MemoryContextDelete(window->context);
}

/* ---- what a queue and a class are ---- */

static void
read_queue(void *arg)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT organization_id, coalesce(branch_id, 0), kind = 'release', settings FROM qms.queue WHERE queue_id = $1",
								   INT8OID);
	QmsWindowQueue *queue = arg;
	QmsQueueSettings settings = {0};
	QmsParams	params = {0};
	bool		isnull;

	qms_param_int64(&params, queue->queue_id);
	if (qms_spi_run(&plan, &params) > 0)
	{
		queue->unit.organization_id = qms_spi_int64(0, 0);
		queue->unit.branch_id = qms_spi_int64(0, 1);
		qms_settings_parse(DatumGetJsonbP(qms_spi_datum(0, 3, &isnull)), qms_spi_bool(0, 2), &settings);
		queue->simulated = settings.simulated;
		queue->target = settings.wait_target;
	}
}

/* A queue, deleted or not; of one that there never was, the unit is none. */
QmsWindowQueue *
qms_window_queue(QmsWindow *window, int64 queue_id)
{
	bool		found;
	QmsWindowQueue *queue = hash_search(window->queues, &queue_id, HASH_ENTER, &found);

	if (!found)
	{
		SPITupleTable *result = qms_spi_result();

		memset(queue, 0, sizeof(*queue));
		queue->queue_id = queue_id;
		queue->target = 10 * USECS_PER_MINUTE;
		/* Broken settings are the queue's own trouble: then the defaults count. */
		(void) qms_try(read_queue, queue);
		qms_spi_return_to(result);
	}
	return queue;
}

/* The name of a class, deleted or not. */
const char *
qms_window_class(QmsWindow *window, int64 customer_class_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT name FROM qms.customer_class WHERE customer_class_id = $1", INT8OID);
	bool		found;
	QmsWindowClass *class = hash_search(window->classes, &customer_class_id, HASH_ENTER, &found);

	if (!found)
	{
		SPITupleTable *result = qms_spi_result();
		QmsParams	params = {0};

		qms_param_int64(&params, customer_class_id);
		class->name = MemoryContextStrdup(window->context,
										  qms_spi_look(&plan, &params) > 0 ? qms_spi_text(0, 0) : "");
		qms_spi_return_to(result);
	}
	return class->name;
}

/* Is this hour due for that unit, and does the moment lie in it? */
bool
qms_window_is_due(QmsWindow *window, const QmsUnitKey *key, TimestampTz at)
{
	QmsUnit    *unit = hash_search(window->units, key, HASH_FIND, NULL);
	QmsLocalHour hour;

	if (unit == NULL)
		return false;
	qms_local_hour(at, unit->zone, &hour);
	return hour.starts_at == window->starts_at;
}
