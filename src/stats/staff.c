/*
 * staff.c
 *		What counters and the staff at them do in an hour: how long they are idle,
 *		walk (from the call to the start), serve and pause, and whom they served.
 *
 * A counter is followed from event to event; each stretch of time goes to the
 * staff member who had opened it.  What is open at the end of an hour is carried
 * into the next, so an hour needs nothing but its own events and what was carried.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

typedef enum CounterPhase
{
	COUNTER_FREE,
	COUNTER_WALKING,
	COUNTER_SERVING
} CounterPhase;

typedef struct Counter
{
	int64		counter_id;		/* hash key */
	QmsUnitKey	unit;
	bool		is_open;
	int64		staff_id;		/* 0: opened without a name */
	CounterPhase phase;
	char	   *pause_reason;	/* NULL: not paused */
	TimestampTz since;			/* what is before has been counted */
} Counter;

typedef struct Pause
{
	char	   *reason;
	int64		usec;
	struct Pause *next;
} Pause;

typedef struct StaffKey
{
	QmsUnitKey	unit;
	int64		staff_id;
} StaffKey;

typedef struct Staff
{
	StaffKey	key;
	int64		called;
	int64		served;
	int64		no_show;
	int64		transferred;
	int64		requeued;
	QmsTimes	service;
	int64		idle;
	int64		walking;
	int64		serving;
	int64		paused;
	Pause	   *pauses;
} Staff;

struct QmsStaffHour
{
	MemoryContext context;
	TimestampTz starts_at;
	TimestampTz ends_at;
	HTAB	   *counters;
	HTAB	   *staff;
};

QmsStaffHour *
qms_staff_hour_begin(MemoryContext context, TimestampTz starts_at, TimestampTz ends_at)
{
	QmsStaffHour *hour = MemoryContextAllocZero(context, sizeof(QmsStaffHour));

	hour->context = context;
	hour->starts_at = starts_at;
	hour->ends_at = ends_at;
	hour->counters = qms_window_table(context, "qms counters of an hour", sizeof(int64), sizeof(Counter));
	hour->staff = qms_window_table(context, "qms staff of an hour", sizeof(StaffKey), sizeof(Staff));
	return hour;
}

static Staff *
staff_of(QmsStaffHour *hour, const QmsUnitKey *unit, int64 staff_id)
{
	StaffKey	key = {*unit, staff_id};
	bool		found;
	Staff	   *staff = hash_search(hour->staff, &key, HASH_ENTER, &found);

	if (!found)
	{
		memset(staff, 0, sizeof(Staff));
		staff->key = key;
	}
	return staff;
}

static Counter *
counter_of(QmsStaffHour *hour, int64 counter_id, const QmsUnitKey *unit, bool *found)
{
	Counter    *counter = hash_search(hour->counters, &counter_id, HASH_ENTER, found);

	if (!*found)
	{
		memset(counter, 0, sizeof(Counter));
		counter->counter_id = counter_id;
		counter->unit = *unit;
	}
	return counter;
}

static void
add_pause(QmsStaffHour *hour, Staff *staff, const char *reason, int64 usec)
{
	Pause	   *pause;

	for (pause = staff->pauses; pause != NULL && strcmp(pause->reason, reason) != 0; pause = pause->next)
		;
	if (pause == NULL)
	{
		pause = MemoryContextAllocZero(hour->context, sizeof(Pause));
		pause->reason = MemoryContextStrdup(hour->context, reason);
		pause->next = staff->pauses;
		staff->pauses = pause;
	}
	pause->usec += usec;
}

/* Count the time of a counter up to a moment, as what it was doing. */
static void
account(QmsStaffHour *hour, Counter *counter, TimestampTz until)
{
	int64		usec;
	Staff	   *staff;

	until = Min(Max(until, hour->starts_at), hour->ends_at);
	usec = until - counter->since;
	if (usec <= 0)
		return;
	counter->since = until;
	if (!counter->is_open)
		return;
	staff = staff_of(hour, &counter->unit, counter->staff_id);
	if (counter->phase == COUNTER_WALKING)
		staff->walking += usec;
	else if (counter->phase == COUNTER_SERVING)
		staff->serving += usec;
	else if (counter->pause_reason == NULL)
		staff->idle += usec;
	else
	{
		staff->paused += usec;
		add_pause(hour, staff, counter->pause_reason, usec);
	}
}

/* ---- events ---- */

static void
set_pause(QmsStaffHour *hour, Counter *counter, const char *reason)
{
	counter->pause_reason = reason != NULL ? MemoryContextStrdup(hour->context, reason) : NULL;
}

static void
open_counter(QmsStaffHour *hour, Counter *counter, const QmsCounterEvent *event)
{
	counter->is_open = true;
	counter->staff_id = event->staff_id;
	counter->phase = COUNTER_FREE;
	counter->since = Max(event->at, hour->starts_at);
	set_pause(hour, counter, NULL);
}

/* The ticket at a counter has gone; how it is counted for whoever sits there. */
static void
let_go(QmsStaffHour *hour, Counter *counter, const QmsCounterEvent *event)
{
	Staff	   *staff = staff_of(hour, &counter->unit, counter->staff_id);

	counter->phase = COUNTER_FREE;
	switch (event->kind)
	{
		case QMS_E_COMPLETED:
			staff->served++;
			if (event->served_usec >= 0)
				qms_times_add(&staff->service, event->served_usec);
			break;
		case QMS_E_NO_SHOW:
			staff->no_show++;
			break;
		case QMS_E_TRANSFERRED:
			staff->transferred++;
			break;
		case QMS_E_REQUEUED:
			staff->requeued++;
			break;
		default:
			break;
	}
}

static void
change_counter(QmsStaffHour *hour, Counter *counter, const QmsCounterEvent *event)
{
	switch (event->kind)
	{
		case QMS_E_COUNTER_OPENED:
			open_counter(hour, counter, event);
			break;
		case QMS_E_COUNTER_PAUSED:
			set_pause(hour, counter, event->reason != NULL ? event->reason : "");
			break;
		case QMS_E_COUNTER_RESUMED:
			set_pause(hour, counter, NULL);
			break;
		case QMS_E_COUNTER_CLOSED:
			counter->is_open = false;
			counter->phase = COUNTER_FREE;
			break;
		case QMS_E_CALLED:
			staff_of(hour, &counter->unit, counter->staff_id)->called++;
			counter->phase = event->serves_at_once ? COUNTER_SERVING : COUNTER_WALKING;
			break;
		case QMS_E_SERVING:
			counter->phase = COUNTER_SERVING;
			break;
		default:
			let_go(hour, counter, event);
			break;
	}
}

/* Something has happened at a counter; what was undone is not told. */
void
qms_staff_hour_event(QmsStaffHour *hour, const QmsCounterEvent *event)
{
	int64		counter_id = event->from_counter_id != 0 ? event->from_counter_id : event->counter_id;
	Counter    *counter;
	bool		found;

	if (counter_id == 0 || event->kind == QMS_E_RECALLED || event->kind == QMS_E_OTHER || event->kind == QMS_E_UNDONE)
		return;
	/* A ticket that comes from a counter of another branch. */
	if (event->from_counter_id != 0 && hash_search(hour->counters, &counter_id, HASH_FIND, NULL) == NULL)
		return;
	counter = counter_of(hour, counter_id, &event->unit, &found);
	/* A log that begins while it was open. */
	if (!counter->is_open && event->kind != QMS_E_COUNTER_OPENED && event->kind != QMS_E_COUNTER_CLOSED)
		open_counter(hour, counter, event);
	account(hour, counter, event->at);
	change_counter(hour, counter, event);
}

/* Count what is still open up to the end of the hour, or to the present. */
void
qms_staff_hour_end(QmsStaffHour *hour, TimestampTz until)
{
	HASH_SEQ_STATUS scan;
	Counter    *counter;

	hash_seq_init(&scan, hour->counters);
	while ((counter = hash_seq_search(&scan)) != NULL)
		account(hour, counter, until);
}

/* ---- from hour to hour ---- */

static int
by_id(const void *a, const void *b)
{
	int64		x = (*(Counter *const *) a)->counter_id;
	int64		y = (*(Counter *const *) b)->counter_id;

	return x < y ? -1 : x > y;
}

/* What is open at the end, for the next hour: in one form, so that a change shows. */
Jsonb *
qms_staff_hour_open(QmsStaffHour *hour, const QmsUnitKey *unit)
{
	Counter   **open = palloc(sizeof(Counter *) * Max(hash_get_num_entries(hour->counters), 1));
	HASH_SEQ_STATUS scan;
	Counter    *counter;
	QmsJson		json;
	int			n = 0;
	int			i;

	hash_seq_init(&scan, hour->counters);
	while ((counter = hash_seq_search(&scan)) != NULL)
	{
		if (counter->is_open && memcmp(&counter->unit, unit, sizeof(*unit)) == 0)
			open[n++] = counter;
	}
	qsort(open, n, sizeof(Counter *), by_id);
	qms_json_begin(&json);
	qms_json_begin_array(&json, "counters");
	for (i = 0; i < n; i++)
	{
		qms_json_begin_object(&json, NULL);
		qms_json_int64(&json, "counter_id", open[i]->counter_id);
		qms_json_id(&json, "staff_id", open[i]->staff_id);
		qms_json_int64(&json, "phase", open[i]->phase);
		qms_json_text(&json, "pause_reason", open[i]->pause_reason);
		qms_json_end_object(&json);
	}
	qms_json_end_array(&json);
	return qms_json_end(&json);
}

static void
carry_counter(QmsStaffHour *hour, const QmsUnitKey *unit, const Jsonb *open)
{
	Counter    *counter;
	int64		counter_id = 0;
	int64		phase = COUNTER_FREE;
	bool		found;

	if (!qms_jsonb_int64(open, "counter_id", &counter_id))
		return;
	counter = counter_of(hour, counter_id, unit, &found);
	counter->is_open = true;
	counter->since = hour->starts_at;
	(void) qms_jsonb_int64(open, "staff_id", &counter->staff_id);
	(void) qms_jsonb_int64(open, "phase", &phase);
	counter->phase = (CounterPhase) phase;
	set_pause(hour, counter, qms_jsonb_text(open, "pause_reason"));
}

/* What the hour before has left open; NULL: nothing. */
void
qms_staff_hour_carry(QmsStaffHour *hour, const QmsUnitKey *unit, const Jsonb *carry)
{
	JsonbValue	buffer;
	JsonbValue *list;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;

	if (carry == NULL)
		return;
	list = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &carry->root), "counters", 8, &buffer);
	if (list == NULL || list->type != jbvBinary)
		return;
	it = JsonbIteratorInit(list->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM && v.type == jbvBinary)
			carry_counter(hour, unit, JsonbValueToJsonb(&v));
	}
}

static Jsonb *
pauses_json(const Staff *staff)
{
	const Pause *pause;
	QmsJson		json;

	qms_json_begin(&json);
	for (pause = staff->pauses; pause != NULL; pause = pause->next)
		qms_json_float8(&json, pause->reason, (double) pause->usec / USECS_PER_SEC);
	return qms_json_end(&json);
}

static void
write_staff(const Staff *staff, const QmsLocalHour *local, TimestampTz computed_at)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.staff_snapshot (organization_id, branch_id, staff_id, period, starts_at, ends_at, local_date, "
								   "local_hour, called, served, no_show, transferred, requeued, service_count, service_sum, service_squares, "
								   "service_max, service_sketch, idle, walking, serving, paused, pauses, computed_at) "
								   "VALUES ($1, $2, $3, 'hour', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "
								   "$18, $19, $20, $21, $22, $23)",
								   INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, DATEOID, INT4OID, INT8OID, INT8OID,
								   INT8OID, INT8OID, INT8OID, INT8OID, INTERVALOID, FLOAT8OID, INTERVALOID, QMS_SKETCH_TYPE, INTERVALOID,
								   INTERVALOID, INTERVALOID, INTERVALOID, JSONBOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, staff->key.unit.organization_id);
	qms_param_id(&params, staff->key.unit.branch_id);
	qms_param_id(&params, staff->key.staff_id);
	qms_param_time(&params, local->starts_at);
	qms_param_time(&params, local->ends_at);
	qms_param_datum(&params, DateADTGetDatum(local->date));
	qms_param_int32(&params, local->hour);
	qms_param_int64(&params, staff->called);
	qms_param_int64(&params, staff->served);
	qms_param_int64(&params, staff->no_show);
	qms_param_int64(&params, staff->transferred);
	qms_param_int64(&params, staff->requeued);
	qms_param_int64(&params, staff->service.count);
	qms_param_pointer(&params, qms_interval_make(staff->service.sum));
	qms_param_datum(&params, Float8GetDatum(staff->service.squares));
	qms_param_pointer(&params, qms_interval_make(staff->service.max));
	qms_param_pointer(&params, qms_sketch_pack(&staff->service.sketch));
	qms_param_pointer(&params, qms_interval_make(staff->idle));
	qms_param_pointer(&params, qms_interval_make(staff->walking));
	qms_param_pointer(&params, qms_interval_make(staff->serving));
	qms_param_pointer(&params, qms_interval_make(staff->paused));
	qms_param_pointer(&params, pauses_json(staff));
	qms_param_time(&params, computed_at);
	qms_spi_run(&plan, &params);
}

/* The rows of this hour, in the place of those there are. */
void
qms_staff_hour_write(QmsStaffHour *hour, const QmsUnit *unit, const QmsLocalHour *local, TimestampTz computed_at)
{
	static QmsPlan clear = QMS_PLAN(
									"DELETE FROM qms.staff_snapshot WHERE organization_id = $1 AND branch_id IS NOT DISTINCT FROM $2 "
									"AND period = 'hour' AND starts_at = $3", INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	HASH_SEQ_STATUS scan;
	Staff	   *staff;

	qms_param_int64(&params, unit->key.organization_id);
	qms_param_id(&params, unit->key.branch_id);
	qms_param_time(&params, local->starts_at);
	qms_spi_run(&clear, &params);
	hash_seq_init(&scan, hour->staff);
	while ((staff = hash_seq_search(&scan)) != NULL)
	{
		if (memcmp(&staff->key.unit, &unit->key, sizeof(QmsUnitKey)) == 0)
			write_staff(staff, local, computed_at);
	}
}
