/*
 * pick.c
 *		Finds and locks the ticket that a counter calls next.
 *
 * The pick is the first row of index ticket_waiting that this counter may call,
 * locked FOR NO KEY UPDATE SKIP LOCKED (scan.c): two counters never wait for one
 * another and never get the same row.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/wait_event.h"

/* How long the head of the line is waited for while its customer changes it. */
#define HEAD_WAIT_MS 100
#define LOOKS_AHEAD 20

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

/* The first one that this counter may call, as the scan saw the line, if he stands before the one found; else 0. */
static int64
who_stood_ahead(const QmsFound *found)
{
	int64		ahead = found->head.ticket_id;

	if (ahead != 0 && found->ticket != NULL &&
		(ahead == qms_row_int64(found->ticket, T_ticket_id) ||
		 found->head.sort_key > qms_row_int64(found->ticket, T_sort_key)))
		return 0;
	return ahead;
}

/*
 * Once more, after something has changed: a better one is taken, and the row
 * locked before stays ours until the end.  Behind the one who was ahead there
 * may have been others whom another calls.
 */
static void
take_again(QmsPicker *picker, const QmsSource *source, QmsFound *found)
{
	QmsFound		again;

	qms_scan_source(picker, source, true, &again);
	if (again.ticket != NULL &&
		(found->ticket == NULL ||
		 qms_row_int64(again.ticket, T_sort_key) <= qms_row_int64(found->ticket, T_sort_key)))
		found->ticket = again.ticket;
	found->head = again.head;
}

/*
 * Who stands ahead of the one found; 0: nobody.  One who has been called since
 * the scan stands there no more, but perhaps somebody behind him does, so the
 * line is looked at again.  That somebody goes each time is unlikely soon.
 */
static int64
who_is_ahead(QmsPicker *picker, const QmsSource *source, QmsFound *found)
{
	int			round;

	for (round = 0; round < LOOKS_AHEAD; round++)
	{
		int64		ahead = who_stood_ahead(found);

		if (ahead == 0 || qms_ticket_is_waiting(ahead))
			return ahead;
		take_again(picker, source, found);
	}
	return 0;
}

/* Take from a source; if the head of the line is busy with itself, give it a moment. */
static void
take_from(QmsPicker *picker, const QmsSource *source, QmsFound *found, QmsPick *pick)
{
	int			round;

	/* A row that moved in the line between snapshot and lock is no longer the first: look again. */
	for (round = 0; round < 3; round++)
	{
		qms_scan_source(picker, source, true, found);
		if (found->ticket == NULL || found->first_id != qms_row_int64(found->ticket, T_ticket_id) ||
			found->first_key == qms_row_int64(found->ticket, T_sort_key))
			break;
	}
	/* Somebody may stand before: one whom another calls, or busy. */
	pick->passed = who_is_ahead(picker, source, found);
	if (pick->passed != 0 && wait_for_head(pick->passed, &pick->passed_in_change))
	{
		take_again(picker, source, found);
		pick->passed = who_is_ahead(picker, source, found);
	}
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
skip_visit(QmsPicker *picker, const QmsTicket *ticket)
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
take_claimed(QmsPicker *picker, const QmsSource *source, QmsPick *pick)
{
	QmsFound		found;
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
look_at_heads(QmsPicker *picker, QmsHead *heads)
{
	const QmsProfile *profile = picker->profile;
	int			n = 0;
	int			i;

	for (i = 0; i < profile->nsources; i++)
	{
		QmsFound		found;

		qms_scan_source(picker, &profile->sources[i], false, &found);
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
pick_of_many(QmsPicker *picker, QmsPick *pick)
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
	QmsPicker		picker = {call, session, profile, NULL, 0};

	memset(pick, 0, sizeof(*pick));
	if (profile->nsources == 1)
	{
		/* Every policy is the order of the line then. */
		pick->ticket = take_claimed(&picker, &profile->sources[0], pick);
		return;
	}
	pick_of_many(&picker, pick);
}
