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

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/array.h"
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
	QmsTicket  *ticket;			/* locked, or NULL */
	QmsHead		head;			/* only looked at; ticket_id 0: none */
} Found;

/*
 * $1 queue, $2..$3 keys from (incl.) and to (excl.), $4 class, $5 counter,
 * $6 staff, $7 skills, $8 now, $9 skipped visits.  A wanted counter or clerk is
 * waited for until wanted_until, and only while it is open.
 */
#define LINE(more) \
	"FROM qms.ticket t WHERE t.queue_id = $1 AND t.state = 'waiting' " more \
	"AND t.sort_key >= $2 AND t.sort_key < $3 "
#define MAY_CALL \
	"AND (t.wanted_counter_id IS NULL OR t.wanted_counter_id = $5 OR t.wanted_until <= $8 OR NOT EXISTS (" \
	" SELECT FROM qms.staff_session w WHERE w.counter_id = t.wanted_counter_id AND w.closed_at IS NULL)) " \
	"AND (t.wanted_staff_id IS NULL OR t.wanted_staff_id = $6 OR t.wanted_until <= $8 OR NOT EXISTS (" \
	" SELECT FROM qms.staff_session w WHERE w.staff_id = t.wanted_staff_id AND w.closed_at IS NULL)) " \
	"AND (t.requires_skill IS NULL OR t.requires_skill <@ $7) " \
	"AND t.visit_id <> ALL ($9) "
#define ORDERED "ORDER BY t.sort_key, t.ticket_id LIMIT 1"
#define ANY_CLASS "AND ($4::int8 IS NULL OR true) "
#define ONE_CLASS "AND t.by_class AND t.customer_class_id = $4 "
#define ARGUMENTS INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTARRAYOID, TIMESTAMPTZOID, INT8ARRAYOID

/* One row always: the first who waits, and the one who is taken, as whole row. */
#define TAKE(line) \
	"SELECT h.sort_key, h.ticket_id, k.taken FROM (VALUES (1)) one " \
	"LEFT JOIN LATERAL (SELECT t.sort_key, t.ticket_id " line ORDERED ") h ON true " \
	"LEFT JOIN LATERAL (SELECT t AS taken " line MAY_CALL ORDERED " FOR NO KEY UPDATE SKIP LOCKED) k ON true"
#define PEEK(line) \
	"SELECT h.sort_key, h.ticket_id, p.ticket_id, p.sort_key, p.customer_class_id, p.effective_arrival " \
	"FROM (VALUES (1)) one " \
	"LEFT JOIN LATERAL (SELECT t.sort_key, t.ticket_id " line ORDERED ") h ON true " \
	"LEFT JOIN LATERAL (SELECT t.ticket_id, t.sort_key, t.customer_class_id, t.effective_arrival " \
	line MAY_CALL ORDERED ") p ON true"

static QmsPlan take_any = QMS_PLAN(TAKE(LINE(ANY_CLASS)), ARGUMENTS);
static QmsPlan take_class = QMS_PLAN(TAKE(LINE(ONE_CLASS)), ARGUMENTS);
static QmsPlan peek_any = QMS_PLAN(PEEK(LINE(ANY_CLASS)), ARGUMENTS);
static QmsPlan peek_class = QMS_PLAN(PEEK(LINE(ONE_CLASS)), ARGUMENTS);

static ArrayType *
id_array(const int64 *ids, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));
	int			i;

	for (i = 0; i < n; i++)
		elements[i] = Int64GetDatum(ids[i]);
	return construct_array(elements, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

/* Look at, or take from, one stretch of the line. */
static void
scan(Picker *picker, const QmsSource *source, int64 from, int64 to, bool take, Found *found)
{
	QmsParams	params = {0};
	QmsPlan    *plan;
	bool		by_class = source->customer_class_id != 0;

	if (take)
		plan = by_class ? &take_class : &take_any;
	else
		plan = by_class ? &peek_class : &peek_any;
	qms_param_int64(&params, source->queue_id);
	qms_param_int64(&params, from);
	qms_param_int64(&params, to);
	qms_param_id(&params, source->customer_class_id);
	qms_param_int64(&params, qms_row_int64(picker->session, S_counter_id));
	qms_param_id(&params, qms_row_int64(picker->session, S_staff_id));
	qms_param_pointer(&params, qms_row_pointer(picker->session, S_skills));
	qms_param_time(&params, picker->call->now);
	qms_param_pointer(&params, id_array(picker->skipped, picker->nskipped));
	qms_spi_run(plan, &params);

	memset(found, 0, sizeof(*found));
	found->waiting = !qms_spi_isnull(0, 0);
	found->first_key = qms_spi_int64(0, 0);
	found->first_id = qms_spi_int64(0, 1);
	if (qms_spi_isnull(0, 2))
		return;
	if (take)
		found->ticket = qms_row_fetch_whole(&qms_ticket_table, 0, 2);
	else
	{
		found->head.queue_id = source->queue_id;
		found->head.weight = source->weight;
		found->head.ticket_id = qms_spi_int64(0, 2);
		found->head.sort_key = qms_spi_int64(0, 3);
		found->head.customer_class_id = qms_spi_int64(0, 4);
		found->head.effective_arrival = qms_spi_time(0, 5);
	}
}

static bool
is_nobody(const Found *found)
{
	return found->ticket == NULL && found->head.ticket_id == 0;
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
	Found		first = {0};

	qms_bound_read(source->queue_id, &bound);
	qsort(bound.exceptions, bound.nexceptions, sizeof(int64), compare_keys);
	for (i = 0; i < bound.nexceptions; i++)
	{
		scan(picker, source, bound.exceptions[i], bound.exceptions[i] + 1, take, found);
		/* Of one class we see too little to say that nobody waits. */
		if (found->waiting || source->customer_class_id != 0)
			still[nstill++] = bound.exceptions[i];
		if (!first.waiting && found->waiting)
			first = *found;
		if (!is_nobody(found))
		{
			/* Those behind were not looked at; those before are done. */
			while (++i < bound.nexceptions)
				still[nstill++] = bound.exceptions[i];
			qms_bound_raise(source->queue_id, &bound, bound.from, still, nstill);
			return;
		}
	}
	scan(picker, source, bound.from, PG_INT64_MAX, take, found);
	if (source->customer_class_id == 0)
		qms_bound_raise(source->queue_id, &bound, found->waiting ? found->first_key : PG_INT64_MAX,
						still, nstill);
	if (first.waiting)
	{
		found->first_key = first.first_key;
		found->first_id = first.first_id;
	}
	if (is_nobody(found) && bound.from != PG_INT64_MIN)
		scan(picker, source, PG_INT64_MIN, PG_INT64_MAX, take, found);
}

/*
 * Is the ticket that stands before ours locked by a change of its own, which is
 * short, rather than being called?  Then wait for it, within reason.  True if
 * it is worth another look; "changing" says which of the two it was.
 */
static bool
wait_for_head(int64 ticket_id, bool *changing)
{
	int			waited;

	*changing = qms_lock_is_held_by_other(QMS_LOCK_TICKET, ticket_id);
	if (!*changing)
		return false;
	for (waited = 0; waited < HEAD_WAIT_MS; waited += 2)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 2, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (!qms_lock_is_held_by_other(QMS_LOCK_TICKET, ticket_id))
			return true;
	}
	return false;
}

/* The first one that this counter may call, if he stands before the one found; else 0. */
static int64
who_is_ahead(Picker *picker, const QmsSource *source, const Found *found)
{
	Found		peeked;

	search(picker, source, false, &peeked);
	if (peeked.head.ticket_id == 0 || found->ticket == NULL)
		return peeked.head.ticket_id;
	if (peeked.head.ticket_id == qms_row_int64(found->ticket, T_ticket_id) ||
		peeked.head.sort_key > qms_row_int64(found->ticket, T_sort_key))
		return 0;
	return peeked.head.ticket_id;
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
	if (found->ticket != NULL && found->first_id == qms_row_int64(found->ticket, T_ticket_id))
		return;
	if (!found->waiting)
		return;
	/* Somebody stands before: whom this counter may not call, whom another calls, or busy. */
	ahead = who_is_ahead(picker, source, found);
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
			*found = again;
		/* Behind the one who was busy there may have been others whom another calls. */
		ahead = who_is_ahead(picker, source, found);
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

/* Take from one source until somebody is found who can be claimed, or nobody. */
static QmsTicket *
take_claimed(Picker *picker, const QmsSource *source, QmsPick *pick)
{
	Found		found;

	for (;;)
	{
		take_from(picker, source, &found, pick);
		if (found.ticket == NULL || qms_visit_claim(picker->call, found.ticket))
			return found.ticket;
		skip_visit(picker, found.ticket);
	}
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
