/*
 * scan.c
 *		Walks along the line of a queue for a counter that calls.
 *
 * The scan starts at the remembered beginning of the line (bound.c) and, if that
 * finds nobody, once more without it.
 */
#include "queue/queue.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

/* The scan that is running, for qms_internal.may_call(). */
static const QmsPicker *picking = NULL;
static QmsFound *seen = NULL;

/*
 * The statement of a scan: $1 queue, $2 key to begin at (or to be at), $3
 * class.  One walk along the index finds the first one who waits, the first
 * one who may be called here and, with TAKE, the first of these who is free:
 * may_call() is asked for each row on the way, before it is locked.
 */
#define SCAN(what, line, key, lock) \
	"SELECT " what " FROM qms.ticket t WHERE t.queue_id = $1 AND t.state = 'waiting' AND t.sort_key " key " $2 " line \
	"AND qms_internal.may_call(t.sort_key, t.ticket_id, t.visit_id, t.customer_class_id, t.effective_arrival, " \
	"t.wanted_counter_id, t.wanted_staff_id, t.wanted_until, t.requires_skill) " \
	"ORDER BY t.sort_key, t.ticket_id LIMIT 1" lock
#define TAKE(line, key) SCAN("t", line, key, " FOR NO KEY UPDATE SKIP LOCKED")
#define PEEK(line, key) SCAN("1", line, key, "")
#define ONE_CLASS "AND t.by_class AND t.customer_class_id = $3 "

/* By: only looking or taking; of all classes or of one; from a key on or at it. */
static QmsPlan plans[2][2][2] = {
	{
		{QMS_PLAN(PEEK("", ">="), INT8OID, INT8OID), QMS_PLAN(PEEK("", "="), INT8OID, INT8OID)},
		{QMS_PLAN(PEEK(ONE_CLASS, ">="), INT8OID, INT8OID, INT8OID), QMS_PLAN(PEEK(ONE_CLASS, "="), INT8OID, INT8OID, INT8OID)}
	},
	{
		{QMS_PLAN(TAKE("", ">="), INT8OID, INT8OID), QMS_PLAN(TAKE("", "="), INT8OID, INT8OID)},
		{QMS_PLAN(TAKE(ONE_CLASS, ">="), INT8OID, INT8OID, INT8OID), QMS_PLAN(TAKE(ONE_CLASS, "="), INT8OID, INT8OID, INT8OID)}
	}
};

/* Is a counter, or a staff member's one, open in the snapshot of the scan? */
static bool
is_open(bool staff, int64 id)
{
	static QmsPlan by_counter = QMS_PLAN(
										 "SELECT 1 FROM qms.staff_session WHERE counter_id = $1 AND closed_at IS NULL", INT8OID);
	static QmsPlan by_staff = QMS_PLAN(
									   "SELECT 1 FROM qms.staff_session WHERE staff_id = $1 AND closed_at IS NULL", INT8OID);
	QmsParams	params = {0};
	bool		open;

	qms_spi_begin();
	qms_param_int64(&params, id);
	open = qms_spi_look_at(staff ? &by_staff : &by_counter, &params, GetActiveSnapshot()) > 0;
	qms_spi_end();
	return open;
}

/* Somebody who wants a counter or clerk is left to it until wanted_until, and only while it is open. */
static bool
wants_another(FunctionCallInfo fcinfo, int argument, int64 here, bool staff)
{
	if (PG_ARGISNULL(argument) || PG_GETARG_INT64(argument) == here)
		return false;
	if (!PG_ARGISNULL(7) && PG_GETARG_TIMESTAMPTZ(7) <= picking->call->now)
		return false;
	return is_open(staff, PG_GETARG_INT64(argument));
}

static bool
lacks_skill(FunctionCallInfo fcinfo)
{
	return !PG_ARGISNULL(8) &&
		!DatumGetBool(OidFunctionCall2Coll(F_ARRAYCONTAINED, C_COLLATION_OID, PG_GETARG_DATUM(8),
										   PointerGetDatum(qms_row_pointer(picking->session, S_skills))));
}

PG_FUNCTION_INFO_V1(qms_may_call);

/* Asked for each row of a scan, in the order of the line: what is it, and may the counter call it? */
Datum
qms_may_call(PG_FUNCTION_ARGS)
{
	QmsHead    *head;
	int			i;

	if (picking == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("may_call() must be called by a pick")));
	if (!seen->waiting)
	{
		seen->waiting = true;
		seen->first_key = PG_GETARG_INT64(0);
		seen->first_id = PG_GETARG_INT64(1);
	}
	if (wants_another(fcinfo, 5, qms_row_int64(picking->session, S_counter_id), false) ||
		wants_another(fcinfo, 6, qms_row_int64(picking->session, S_staff_id), true) ||
		lacks_skill(fcinfo))
		PG_RETURN_BOOL(false);
	for (i = 0; i < picking->nskipped; i++)
	{
		if (picking->skipped[i] == PG_GETARG_INT64(2))
			PG_RETURN_BOOL(false);
	}
	head = &seen->head;
	if (head->ticket_id == 0)
	{
		head->sort_key = PG_GETARG_INT64(0);
		head->ticket_id = PG_GETARG_INT64(1);
		head->customer_class_id = PG_GETARG_INT64(3);
		head->effective_arrival = PG_GETARG_TIMESTAMPTZ(4);
	}
	PG_RETURN_BOOL(true);
}

/* Look at, or take from, the line at a key or from it on. */
static void
scan(QmsPicker *picker, const QmsSource *source, int64 key, bool only_there, bool take, QmsFound *found)
{
	bool		by_class = source->customer_class_id != 0;
	QmsPlan    *plan = &plans[take][by_class][only_there];
	QmsParams	params;
	uint64		n = 0;

	params.n = 0;
	qms_param_int64(&params, source->queue_id);
	qms_param_int64(&params, key);
	if (by_class)
		qms_param_int64(&params, source->customer_class_id);
	memset(found, 0, sizeof(*found));
	picking = picker;
	seen = found;
	PG_TRY();
	{
		n = qms_spi_run(plan, &params);
	}
	PG_FINALLY();
	{
		picking = NULL;
		seen = NULL;
	}
	PG_END_TRY();
	found->head.queue_id = source->queue_id;
	found->head.weight = source->weight;
	if (take && n > 0)
		found->ticket = qms_row_fetch_whole(&qms_ticket_table, 0, 0);
}

static bool
is_nobody(const QmsFound *found, bool take)
{
	return take ? found->ticket == NULL : found->head.ticket_id == 0;
}

/* Whoever an earlier look at the same source saw stands before. */
static void
join_looks(QmsFound *found, const QmsFound *earlier)
{
	if (earlier->waiting)
	{
		found->waiting = true;
		found->first_key = earlier->first_key;
		found->first_id = earlier->first_id;
	}
	if (earlier->head.ticket_id != 0)
		found->head = earlier->head;
}

static int
compare_keys(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/*
 * The first one of a source that this counter may call: at the exceptions
 * before the beginning of the line, from the beginning on, and if that was
 * wrong, anywhere.  What was seen on the way moves the beginning.
 */
void
qms_scan_source(QmsPicker *picker, const QmsSource *source, bool take, QmsFound *found)
{
	QmsBound	bound;
	int64		still[QMS_MAX_EXCEPTIONS];
	int			nstill = 0;
	int			i;
	QmsFound		earlier = {0};

	qms_bound_read(source->queue_id, &bound);
	qsort(bound.exceptions, bound.nexceptions, sizeof(int64), compare_keys);
	for (i = 0; i < bound.nexceptions; i++)
	{
		scan(picker, source, bound.exceptions[i], true, take, found);
		/* Of one class we see too little to say that nobody waits. */
		if (found->waiting || source->customer_class_id != 0)
			still[nstill++] = bound.exceptions[i];
		join_looks(found, &earlier);
		if (!is_nobody(found, take))
		{
			/* Those behind were not looked at; those before are done. */
			while (++i < bound.nexceptions)
				still[nstill++] = bound.exceptions[i];
			qms_bound_raise(source->queue_id, &bound, bound.from, still, nstill);
			return;
		}
		earlier = *found;
	}
	scan(picker, source, bound.from, false, take, found);
	if (source->customer_class_id == 0)
		qms_bound_raise(source->queue_id, &bound, found->waiting ? found->first_key : PG_INT64_MAX,
						still, nstill);
	join_looks(found, &earlier);
	if (!is_nobody(found, take) || bound.from == PG_INT64_MIN)
		return;
	scan(picker, source, PG_INT64_MIN, false, take, found);
	if (found->waiting)
		qms_bound_lower(source->queue_id, &bound, found->first_key);
}
