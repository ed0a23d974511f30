/*
 * pick.c
 *		Finds and locks the ticket that a counter calls next.
 *
 * The pick is the first row of index ticket_waiting that this counter may call,
 * locked FOR NO KEY UPDATE SKIP LOCKED: two counters never wait for one
 * another and never get the same row.  The scan starts at the remembered
 * beginning of the line (bound.c) and, if that finds nobody, once more without
 * it.
 */
#include "queue/queue.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

/* How long the head of the line is waited for while its customer changes it. */
#define HEAD_WAIT_MS 100

typedef struct Picker
{
	QmsCall    *call;
	const QmsSession *session;
	const QmsProfile *profile;
	int64	   *skipped;		/* people who are being called elsewhere */
	int			nskipped;
} Picker;

/* What a look at one source found. */
typedef struct Found
{
	bool		waiting;		/* somebody waits there, whoever may call him */
	int64		first_key;		/* of the first one that waits */
	int64		first_id;
	QmsHead		head;			/* the first one that this counter may call, locked or not; ticket_id 0: none */
	QmsTicket  *ticket;			/* the one that was taken, locked; or NULL */
} Found;

/* The scan that is running, for qms_internal.may_call(). */
static const Picker *picking = NULL;
static Found *seen = NULL;

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
scan(Picker *picker, const QmsSource *source, int64 key, bool only_there, bool take, Found *found)
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
is_nobody(const Found *found, bool take)
{
	return take ? found->ticket == NULL : found->head.ticket_id == 0;
}

/* Whoever an earlier look at the same source saw stands before. */
static void
join_looks(Found *found, const Found *earlier)
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
static void
search(Picker *picker, const QmsSource *source, bool take, Found *found)
{
	QmsBound	bound;
	int64		still[QMS_MAX_EXCEPTIONS];
	int			nstill = 0;
	int			i;
	Found		earlier = {0};

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

/* Wait, within reason, until nobody else holds a lock. */
static bool
wait_until_free(QmsLockClass class, int64 id)
{
	int			waited;

	for (waited = 0; waited < HEAD_WAIT_MS; waited += 2)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 2, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (!qms_lock_is_held_by_other(class, id))
			return true;
	}
	return false;
}

/*
 * Is the ticket that stands before ours locked by a change of its own, which is
 * short, rather than being called?  Then wait for it, within reason.  True if
 * it is worth another look; "changing" says which of the two it was.
 */
static bool
wait_for_head(int64 ticket_id, bool *changing)
{
	*changing = qms_lock_is_held_by_other(QMS_LOCK_TICKET, ticket_id);
	return *changing && wait_until_free(QMS_LOCK_TICKET, ticket_id);
}

/*
 * The first one that this counter may call, if he stands before the one found;
 * else 0.  Who has been called meanwhile stands there no more.
 */
static int64
who_is_ahead(const Found *found)
{
	int64		ahead = found->head.ticket_id;

	if (ahead == 0)
		return 0;
	if (found->ticket != NULL &&
		(ahead == qms_row_int64(found->ticket, T_ticket_id) ||
		 found->head.sort_key > qms_row_int64(found->ticket, T_sort_key)))
		return 0;
	return qms_ticket_is_waiting(ahead) ? ahead : 0;
}

/* Take from a source; if the head of the line is busy with itself, give it a moment. */
static void
take_from(Picker *picker, const QmsSource *source, Found *found, QmsPick *pick)
{
	int64		ahead;
	int			round;

	pick->passed = 0;
	/* A row that moved in the line between snapshot and lock is no longer the first: look again. */
	for (round = 0; round < 3; round++)
	{
		search(picker, source, true, found);
		if (found->ticket == NULL || found->first_id != qms_row_int64(found->ticket, T_ticket_id) ||
			found->first_key == qms_row_int64(found->ticket, T_sort_key))
			break;
	}
	/* Somebody may stand before: one whom another calls, or busy. */
	ahead = who_is_ahead(found);
	if (ahead == 0)
		return;
	if (wait_for_head(ahead, &pick->passed_in_change))
	{
		Found		again;

		/* The row locked before stays ours until the end; the better one is taken now. */
		search(picker, source, true, &again);
		if (again.ticket != NULL &&
			(found->ticket == NULL ||
			 qms_row_int64(again.ticket, T_sort_key) <= qms_row_int64(found->ticket, T_sort_key)))
			found->ticket = again.ticket;
		/* Behind the one who was busy there may have been others whom another calls. */
		found->head = again.head;
		ahead = who_is_ahead(found);
	}
	pick->passed = ahead;
}

static QmsHead
head_of(const QmsTicket *ticket, const QmsSource *source, int index)
{
	QmsHead		head = {0};

	head.source = index;
	head.queue_id = source->queue_id;
	head.weight = source->weight;
	head.ticket_id = qms_row_int64(ticket, T_ticket_id);
	head.sort_key = qms_row_int64(ticket, T_sort_key);
	head.customer_class_id = qms_row_int64(ticket, T_customer_class_id);
	head.effective_arrival = qms_row_time(ticket, T_effective_arrival);
	return head;
}

/* A person who is being called elsewhere is left out from now on. */
static void
skip_visit(Picker *picker, const QmsTicket *ticket)
{
	picker->skipped = picker->skipped ?
		repalloc(picker->skipped, sizeof(int64) * (picker->nskipped + 1)) : palloc(sizeof(int64));
	picker->skipped[picker->nskipped++] = qms_row_int64(ticket, T_visit_id);
}

/*
 * Claim the person of a ticket that is locked for us.  While another ticket of
 * his is being changed, which is short, he is waited for, within reason, as the
 * head of a line is.
 */
static bool
claim(QmsTicket *ticket, bool *changing)
{
	*changing = false;
	if (qms_visit_claim(ticket))
		return true;
	*changing = qms_visit_is_changing(ticket);
	return *changing && wait_until_free(QMS_LOCK_VISIT, qms_row_int64(ticket, T_visit_id)) && qms_visit_claim(ticket);
}

/*
 * Take from one source until somebody is found who can be claimed, or nobody.
 * The first one who could not be is said to have been passed over.
 */
static QmsTicket *
take_claimed(Picker *picker, const QmsSource *source, QmsPick *pick)
{
	Found		found;
	QmsTicket  *first = NULL;
	bool		first_changing = false;
	bool		changing;

	for (;;)
	{
		take_from(picker, source, &found, pick);
		if (found.ticket == NULL || claim(found.ticket, &changing))
			break;
		if (first == NULL)
			first_changing = changing;
		first = first ? first : found.ticket;
		skip_visit(picker, found.ticket);
	}
	if (first != NULL && (pick->passed == 0 || qms_row_int64(first, T_sort_key) < found.head.sort_key))
	{
		pick->passed = qms_row_int64(first, T_ticket_id);
		pick->passed_in_change = first_changing;
	}
	return found.ticket;
}

/* The passes of the session, if they fit the profile as it is now. */
static float8 *
read_passes(const QmsSession *session, int nsources)
{
	float8	   *passes = palloc(sizeof(float8) * Max(nsources, 1));
	ArrayType  *stored = qms_row_pointer(session, S_passes);
	Datum	   *elements;
	bool	   *nulls;
	int			n = 0;
	int			i;

	for (i = 0; i < nsources; i++)
		passes[i] = -1;
	if (stored == NULL)
		return passes;
	deconstruct_array(DatumGetArrayTypeP(PointerGetDatum(stored)), FLOAT8OID, 8, FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements, &nulls, &n);
	for (i = 0; i < n && n == nsources; i++)
		passes[i] = DatumGetFloat8(elements[i]);
	return passes;
}

/* The heads of all sources, looked at without locks. */
static int
look_at_heads(Picker *picker, QmsHead *heads)
{
	const QmsProfile *profile = picker->profile;
	int			n = 0;
	int			i;

	for (i = 0; i < profile->nsources; i++)
	{
		Found		found;

		search(picker, &profile->sources[i], false, &found);
		if (found.head.ticket_id == 0)
			continue;
		heads[n] = found.head;
		heads[n].source = i;
		n++;
	}
	return n;
}

/*
 * Several sources: compare their heads, then lock the one chosen.  If that one
 * has gone meanwhile, its source has another head, and the choice is made
 * again; a head that is locked and still the best is the one.
 */
static void
pick_of_many(Picker *picker, QmsPick *pick)
{
	const QmsProfile *profile = picker->profile;
	QmsHead    *heads = palloc(sizeof(QmsHead) * Max(profile->nsources, 1));
	int			n = look_at_heads(picker, heads);

	pick->heads = heads;
	if (profile->policy == QMS_RATIO)
	{
		pick->npasses = profile->nsources;
		pick->passes = read_passes(picker->session, profile->nsources);
		qms_policy_join_passes(heads, n, pick->passes, pick->npasses);
	}
	while (n > 0)
	{
		int			best = qms_policy_choose(profile->policy, heads, n, picker->call->now, pick->passes);
		int			index = heads[best].source;
		QmsTicket  *ticket = heads[best].locked;
		double		score = heads[best].score;

		if (ticket == NULL)
		{
			int64		expected = heads[best].ticket_id;

			ticket = take_claimed(picker, &profile->sources[index], pick);
			if (ticket == NULL)
			{
				memmove(&heads[best], &heads[best + 1], sizeof(QmsHead) * (n - best - 1));
				n--;
				continue;
			}
			heads[best] = head_of(ticket, &profile->sources[index], index);
			heads[best].locked = ticket;
			heads[best].score = score;
			heads[best].passed = pick->passed;
			heads[best].passed_in_change = pick->passed_in_change;
			if (heads[best].ticket_id != expected)
				continue;
		}
		pick->ticket = ticket;
		pick->chosen = &heads[best];
		/* Other sources may have been tried since. */
		pick->passed = heads[best].passed;
		pick->passed_in_change = heads[best].passed_in_change;
		break;
	}
	pick->nheads = n;
	if (pick->passes != NULL && pick->chosen != NULL)
		qms_policy_charge(pick->chosen, pick->passes);
}

/* Whom does the counter of this session call next?  His row is locked. */
void
qms_pick(QmsCall *call, const QmsSession *session, const QmsProfile *profile, QmsPick *pick)
{
	Picker		picker = {call, session, profile, NULL, 0};

	memset(pick, 0, sizeof(*pick));
	if (profile->nsources == 1)
	{
		/* Every policy is the order of the line then. */
		pick->ticket = take_claimed(&picker, &profile->sources[0], pick);
		return;
	}
	pick_of_many(&picker, pick);
}
