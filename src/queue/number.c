/*
 * number.c
 *		Numbers, and moments of arrival that grow strictly in each queue.
 *
 * The queue's row in qms_internal.queue_number is updated by each join and so
 * locked until the join commits: numbers of a queue and service day are
 * consecutive in what was committed, because a number that rolls back is given
 * to the next one.  That bounds one counter queue by one commit per flush; it
 * is the price of no gaps.
 *
 * At the first join of a new service day numbering starts again at 1; with
 * live_past_midnight only if nobody holds a number of the queue any more.  A
 * number that is still live in the branch (left over from yesterday, or after
 * wrapping around) is skipped.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "utils/date.h"
#include "utils/timestamp.h"

typedef struct NumberRow
{
	int32		last_number;
	TimestampTz last_arrival;
	DateADT		service_day;
	bool		skip_live;
} NumberRow;

static int
number_width(const QmsQueue *queue)
{
	int			width = 3;
	int			limit = 999;

	while (limit < queue->settings.max_number)
	{
		limit = limit * 10 + 9;
		width++;
	}
	return width;
}

static QmsTicketNumber *
make_number(const QmsQueue *queue, int32 number)
{
	QmsTicketNumber *made = palloc0(sizeof(QmsTicketNumber));

	qms_types_number_make(made, queue->prefix, number, number_width(queue));
	return made;
}

/* Does a live ticket of the branch hold a number of this queue from first to last? */
static bool
is_live(const QmsQueue *queue, int32 first, int32 last)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.ticket WHERE branch_id = $1 AND number IS NOT NULL "
								   "AND number OPERATOR(qms.>=) $2 AND number OPERATOR(qms.<=) $3 LIMIT 1",
								   INT8OID, QMS_NUMBER_TYPE, QMS_NUMBER_TYPE);
	QmsParams	params = {0};

	qms_param_int64(&params, queue->branch_id);
	qms_param_pointer(&params, make_number(queue, first));
	qms_param_pointer(&params, make_number(queue, last));
	return qms_spi_look(&plan, &params) > 0;
}

/* The usual case, in one statement: the next number of the same day. */
static bool
advance(const QmsQueue *queue, DateADT today, TimestampTz now, NumberRow *row)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.queue_number SET last_number = last_number + 1, "
								   "last_arrival = greatest(last_arrival + '1 microsecond'::pg_catalog.interval, $4) "
								   "WHERE queue_id = $1 AND organization_id = $2 AND service_day >= $3 "
								   "RETURNING last_number, last_arrival, service_day, skip_live",
								   INT8OID, INT8OID, DATEOID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	bool		isnull;

	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	qms_param_datum(&params, DateADTGetDatum(today));
	qms_param_time(&params, now);
	if (qms_spi_run(&plan, &params) == 0)
		return false;
	row->last_number = qms_spi_int32(0, 0);
	row->last_arrival = qms_spi_time(0, 1);
	row->service_day = DatumGetDateADT(qms_spi_datum(0, 2, &isnull));
	row->skip_live = qms_spi_bool(0, 3);
	return true;
}

/* Begin a service day, or the queue's very first one. */
static void
begin_day(const QmsQueue *queue, DateADT today)
{
	static QmsPlan insert = QMS_PLAN(
									 "INSERT INTO qms_internal.queue_number (queue_id, organization_id, service_day, last_number, last_arrival, skip_live) "
									 "VALUES ($1, $2, $3, 0, '-infinity', $4) ON CONFLICT DO NOTHING",
									 INT8OID, INT8OID, DATEOID, BOOLOID);
	static QmsPlan lock = QMS_PLAN(
								   "SELECT service_day FROM qms_internal.queue_number "
								   "WHERE queue_id = $1 AND organization_id = $2 FOR NO KEY UPDATE", INT8OID, INT8OID);
	static QmsPlan update = QMS_PLAN(
									 "UPDATE qms_internal.queue_number SET service_day = $3, "
									 "last_number = CASE WHEN $4 THEN 0 ELSE last_number END, skip_live = $5 "
									 "WHERE queue_id = $1 AND organization_id = $2 AND service_day < $3",
									 INT8OID, INT8OID, DATEOID, BOOLOID, BOOLOID);
	QmsParams	params = {0};
	bool		isnull;
	bool		first;
	bool		live;

	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	/* Whoever comes second waits here and then finds the day begun. */
	if (qms_spi_run(&lock, &params) > 0 && DatumGetDateADT(qms_spi_datum(0, 0, &isnull)) >= today)
		return;
	first = SPI_processed == 0;
	qms_param_datum(&params, DateADTGetDatum(today));
	/* A new queue may have the prefix of one that is gone. */
	live = is_live(queue, 1, QMS_NUMBER_MAX);
	if (first)
	{
		qms_param_bool(&params, live);
		qms_spi_run(&insert, &params);
		return;
	}
	qms_param_bool(&params, !(live && queue->settings.live_past_midnight));
	qms_param_bool(&params, live);
	qms_spi_run(&update, &params);
}

static pg_attribute_noreturn() void
exhausted(const QmsQueue *queue)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_NUMBERS_EXHAUSTED),
			 errmsg("queue %lld has no number left", (long long) queue->queue_id),
			 errdetail("Its numbers go up to %d (max_number).", queue->settings.max_number),
			 errhint("Raise max_number, or set wrap to start again at 1 behind those still in use.")));
}

static void
set_number(const QmsQueue *queue, int32 number, bool skip_live)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.queue_number SET last_number = $3, skip_live = $4 "
								   "WHERE queue_id = $1 AND organization_id = $2",
								   INT8OID, INT8OID, INT4OID, BOOLOID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	qms_param_int32(&params, number);
	qms_param_bool(&params, skip_live);
	qms_spi_run(&plan, &params);
}

/* The number that may be given: not above the limit, not in use. */
static int32
usable_number(const QmsQueue *queue, const NumberRow *row)
{
	int32		max = queue->settings.max_number;
	int32		number = row->last_number;
	bool		skip = row->skip_live;
	int32		tried;

	for (tried = 0; tried <= max; tried++)
	{
		if (number > max)
		{
			if (!queue->settings.wrap)
				exhausted(queue);
			number = 1;
			skip = true;
		}
		if (!skip || !is_live(queue, number, number))
		{
			if (number != row->last_number)
				set_number(queue, number, skip);
			return number;
		}
		number++;
	}
	exhausted(queue);
}

/*
 * A ticket of an earlier service day is live again with its number: those who
 * come must be given others.
 */
void
qms_number_mark_live(QmsCall *call, const QmsTicket *ticket)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.queue_number n SET skip_live = true FROM qms.queue q "
								   "WHERE q.branch_id = $1 AND q.kind = 'counter' AND q.prefix = qms.prefix($2) "
								   "AND n.queue_id = q.queue_id AND n.organization_id = q.organization_id AND NOT n.skip_live",
								   INT8OID, QMS_NUMBER_TYPE);
	QmsParams	params = {0};
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));

	if (queue == NULL || qms_row_isnull(ticket, T_number) ||
		DatumGetDateADT(ticket->values[T_service_day]) >= qms_service_day(queue, call->now))
		return;
	qms_param_int64(&params, qms_row_int64(ticket, T_branch_id));
	qms_param_pointer(&params, qms_row_pointer(ticket, T_number));
	qms_spi_run(&plan, &params);
}

static bool
is_taken(const QmsTicket *ticket)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.ticket WHERE branch_id = $1 AND number IS NOT NULL AND number OPERATOR(qms.=) $2",
								   INT8OID, QMS_NUMBER_TYPE);
	QmsParams	params = {0};

	qms_param_int64(&params, qms_row_int64(ticket, T_branch_id));
	qms_param_pointer(&params, qms_row_pointer(ticket, T_number));
	return qms_spi_look(&plan, &params) > 0;
}

/*
 * May a ticket that comes back have the number it had?  False if a live ticket
 * of the branch shows it now.
 *
 * Lock: if it may, the row of the queue that gives such numbers, so that nobody
 * is given this one meanwhile.  Not before the first look: whoever is refused
 * takes another number, perhaps of another queue.
 */
bool
qms_number_keep(const QmsTicket *ticket)
{
	static QmsPlan lock = QMS_PLAN(
								   "SELECT 1 FROM qms_internal.queue_number n JOIN qms.queue q "
								   "ON q.queue_id = n.queue_id AND q.organization_id = n.organization_id "
								   "WHERE q.branch_id = $1 AND q.kind = 'counter' AND q.prefix = qms.prefix($2) "
								   "ORDER BY n.queue_id FOR NO KEY UPDATE OF n", INT8OID, QMS_NUMBER_TYPE);
	QmsParams	params = {0};

	if (qms_row_isnull(ticket, T_number))
		return true;
	if (is_taken(ticket))
		return false;
	qms_param_int64(&params, qms_row_int64(ticket, T_branch_id));
	qms_param_pointer(&params, qms_row_pointer(ticket, T_number));
	qms_spi_run(&lock, &params);
	if (is_taken(ticket))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the number of ticket %lld was given to another one just now",
						(long long) qms_row_int64(ticket, T_ticket_id)),
				 errhint("Try the call again.")));
	return true;
}

/*
 * Give a ticket its number, service day and arrival.
 *
 * Lock: the queue's row, to the end of the transaction.  Taken after the
 * queue's own lock and any ticket rows, and nothing is locked afterwards.
 */
void
qms_number_take(QmsCall *call, QmsQueue *queue, QmsTicket *ticket)
{
	DateADT		today = qms_service_day(queue, call->now);
	NumberRow	row;
	int			round;

	for (round = 0; !advance(queue, today, call->now, &row); round++)
	{
		if (round > 10)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not begin a service day of queue %lld", (long long) queue->queue_id),
					 errhint("Try the call again.")));
		begin_day(queue, today);
	}
	qms_row_set_pointer(ticket, T_number, make_number(queue, usable_number(queue, &row)));
	qms_row_set_datum(ticket, T_service_day, DateADTGetDatum(row.service_day));
	qms_row_set_time(ticket, T_effective_arrival, row.last_arrival);
}
