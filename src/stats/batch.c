/*
 * batch.c
 *		Reads the events of an hour, some thousand at a time.
 */
#include "stats/fold.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#define BATCH 2000
/* Events of a ticket that matter for an hour: not older, not later. */
#define LOOK_BACK (62 * USECS_PER_DAY)
#define LOOK_AHEAD (2 * USECS_PER_DAY)

/* An event of the batch. */
typedef struct Event
{
	int64		event_id;
	int64		from_queue_id;
	bool		undone;
	QmsCounterEvent counter;
} Event;

typedef struct Batch
{
	QmsWindow  *window;
	Event	   *events;			/* in order of event_id */
	int			n;
} Batch;

static int
by_event_id(const void *a, const void *b)
{
	int64		x = ((const Event *) a)->event_id;
	int64		y = ((const Event *) b)->event_id;

	return x < y ? -1 : x > y;
}

static Event *
find_event(const Batch *batch, int64 event_id)
{
	Event		key;

	key.event_id = event_id;
	return bsearch(&key, batch->events, batch->n, sizeof(Event), by_event_id);
}

/* Is the event one of a unit that the hour is due for, or does its ticket leave a queue of one? */
static bool
matters(QmsWindow *window, const Event *event)
{
	if (qms_window_is_due(window, &event->counter.unit, event->counter.at))
		return true;
	return event->from_queue_id != 0 &&
		qms_window_is_due(window, &qms_window_queue(window, event->from_queue_id)->unit, event->counter.at);
}

static void
fetch_event(int r, Event *event)
{
	QmsCounterEvent *counter = &event->counter;

	memset(event, 0, sizeof(*event));
	event->event_id = qms_spi_int64(r, 0);
	counter->at = qms_spi_time(r, 1);
	counter->kind = qms_event_kind(qms_spi_text(r, 2));
	counter->unit.organization_id = qms_spi_int64(r, 3);
	counter->unit.branch_id = qms_spi_int64(r, 4);
	counter->ticket_id = qms_spi_int64(r, 5);
	counter->counter_id = qms_spi_int64(r, 6);
	counter->staff_id = qms_spi_int64(r, 7);
	counter->from_counter_id = qms_spi_int64(r, 8);
	event->from_queue_id = qms_spi_int64(r, 9);
	counter->reason = qms_spi_text(r, 10);
	counter->served_usec = -1;
}

/* The next events of the hour; answers how many rows were read. */
static uint64
read_events(Batch *batch)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT e.event_id, e.at, e.kind, e.organization_id, coalesce(e.branch_id, 0), e.ticket_id, e.counter_id, "
								   "e.staff_id, (e.data ->> 'from_counter_id')::pg_catalog.int8, (e.data ->> 'from_queue_id')::pg_catalog.int8, "
								   "CASE WHEN e.kind = 'counter.paused' THEN e.data ->> 'reason' END FROM qms.event e "
								   "WHERE e.event_id > $1 AND e.event_id <= $2 AND e.at >= $3 AND e.at < $4 "
								   "AND (e.ticket_id IS NOT NULL OR e.kind >= 'counter.' AND e.kind < 'counter/') ORDER BY e.event_id LIMIT $5",
								   INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID);
	QmsWindow  *window = batch->window;
	QmsParams	params = {0};
	SPITupleTable *result;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, window->after);
	qms_param_int64(&params, window->last);
	qms_param_time(&params, window->starts_at);
	qms_param_time(&params, window->ends_at);
	qms_param_int64(&params, BATCH);
	n = qms_spi_run(&plan, &params);
	result = qms_spi_result();
	batch->events = palloc(sizeof(Event) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		fetch_event(i, &batch->events[batch->n]);
		window->after = batch->events[batch->n].event_id;
		/* A queue may have to be looked up. */
		if (matters(window, &batch->events[batch->n]))
			batch->n++;
		qms_spi_return_to(result);
	}
	return n;
}

/* ---- tickets ---- */

/* One fact of a ticket, if its event is in the batch and the hour of its queue is due. */
static void
add_fact(const QmsFact *fact, void *arg)
{
	Batch	   *batch = arg;
	QmsWindow  *window = batch->window;
	QmsCellKey	key = {fact->queue_id, fact->customer_class_id};
	QmsWindowQueue *queue;
	QmsCell    *cell;
	bool		found;

	if (find_event(batch, fact->event->event_id) == NULL)
		return;
	queue = qms_window_queue(window, fact->queue_id);
	if (queue->simulated || !qms_window_is_due(window, &queue->unit, fact->event->at))
		return;
	cell = hash_search(window->cells, &key, HASH_ENTER, &found);
	if (!found)
	{
		cell->queue = queue;
		cell->class_name = qms_window_class(window, fact->customer_class_id);
		cell->stats = MemoryContextAllocZero(window->context, sizeof(QmsStats));
	}
	cell->stats->n[fact->count]++;
	if (fact->waited >= 0)
	{
		qms_times_add(&cell->stats->wait, fact->waited);
		if (fact->waited <= queue->target)
			cell->stats->n[QMS_N_WITHIN_TARGET]++;
	}
	if (fact->served >= 0)
		qms_times_add(&cell->stats->service, fact->served);
	if (fact->abandoned >= 0)
		qms_times_add(&cell->stats->abandoned, fact->abandoned);
}

static void
fetch_ticket_event(int r, QmsTicketEvent *event)
{
	char	   *state = qms_spi_text(r, 4);

	memset(event, 0, sizeof(*event));
	event->event_id = qms_spi_int64(r, 1);
	event->at = qms_spi_time(r, 2);
	event->kind = qms_event_kind(qms_spi_text(r, 3));
	event->state = state != NULL ? state[0] : '\0';
	event->queue_id = qms_spi_int64(r, 5);
	event->begins_visit = qms_spi_bool(r, 6);
	event->customer_class_id = qms_spi_int64(r, 7);
	event->from_queue_id = qms_spi_int64(r, 8);
	event->undone_event_id = qms_spi_int64(r, 9);
	event->walk_up = qms_spi_bool(r, 10);
	event->implied = qms_spi_bool(r, 11);
	event->reinstated = qms_spi_bool(r, 12);
	event->for_other = qms_spi_bool(r, 13);
}

/* The events of one ticket: its facts, and what the counters have to know. */
static void
take_ticket(Batch *batch, QmsTicketEvent *events, int n)
{
	int			i;

	qms_fold_ticket(events, n, add_fact, batch);
	for (i = 0; i < n; i++)
	{
		Event	   *event = find_event(batch, events[i].event_id);

		if (event == NULL)
			continue;
		event->undone = events[i].undone;
		event->counter.serves_at_once = events[i].serves_at_once;
		event->counter.served_usec = events[i].served_usec;
	}
}

static int
by_value(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* The tickets of the batch, each once. */
static ArrayType *
tickets_of(const Batch *batch)
{
	int64	   *ids = palloc(sizeof(int64) * Max(batch->n, 1));
	int			n = 0;
	int			kept = 0;
	int			i;

	for (i = 0; i < batch->n; i++)
	{
		if (batch->events[i].counter.ticket_id != 0)
			ids[n++] = batch->events[i].counter.ticket_id;
	}
	qsort(ids, n, sizeof(int64), by_value);
	for (i = 0; i < n; i++)
	{
		if (i == 0 || ids[i] != ids[kept - 1])
			ids[kept++] = ids[i];
	}
	return qms_array_make(ids, kept, INT8OID);
}

static void
read_tickets(Batch *batch)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT e.ticket_id, e.event_id, e.at, e.kind, e.state, e.queue_id, e.visit_id = e.ticket_id, "
								   "(e.data ->> 'customer_class_id')::pg_catalog.int8, (e.data ->> 'from_queue_id')::pg_catalog.int8, "
								   "(e.data ->> 'undone_event_id')::pg_catalog.int8, e.data ? 'walk_up', e.data ? 'implied', e.data ? 'reinstated', "
								   "e.data ->> 'hold_kind' = 'other_ticket' FROM qms.event e "
								   "WHERE e.ticket_id = ANY ($1) AND e.at >= $2 AND e.at < $3 ORDER BY e.ticket_id, e.event_id",
								   INT8ARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	QmsTicketEvent *events;
	SPITupleTable *result;
	uint64		n;
	uint64		i;
	uint64		first = 0;

	qms_param_pointer(&params, tickets_of(batch));
	qms_param_time(&params, batch->window->starts_at - LOOK_BACK);
	qms_param_time(&params, batch->window->ends_at + LOOK_AHEAD);
	n = qms_spi_run(&plan, &params);
	result = qms_spi_result();
	events = palloc(sizeof(QmsTicketEvent) * Max(n, 1));
	for (i = 0; i < n; i++)
		fetch_ticket_event(i, &events[i]);
	for (i = 1; i <= n; i++)
	{
		/* Facts look things up. */
		qms_spi_return_to(result);
		if (i < n && qms_spi_int64(i, 0) == qms_spi_int64(first, 0))
			continue;
		take_ticket(batch, &events[first], i - first);
		first = i;
	}
}

/*
 * Read on, in the caller's SPI connection.  False: there was no more.  What was
 * read is in the window's own memory; the rest goes with the connection.
 */
bool
qms_window_step(QmsWindow *window)
{
	Batch		batch = {window, NULL, 0};
	uint64		n = read_events(&batch);
	int			i;

	if (batch.n > 0)
		read_tickets(&batch);
	for (i = 0; i < batch.n; i++)
	{
		const Event *event = &batch.events[i];

		if (!event->undone && qms_window_is_due(window, &event->counter.unit, event->counter.at))
			qms_staff_hour_event(window->staff, &event->counter);
		else if (!event->undone && event->counter.from_counter_id != 0)
			qms_staff_hour_event(window->staff, &event->counter);
	}
	return n == BATCH;
}
