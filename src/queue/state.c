/*
 * state.c
 *		The states of a ticket and the one table of transitions.
 *
 * contrib-docs/states.md has the diagram; a test compares it with this table.
 */
#include "queue/queue.h"

#include "utils/builtins.h"

#define TO(state) (1 << (state))
#define ENDS_BY_CANCEL TO(QMS_CANCELLED)

typedef struct StateRow
{
	const char *name;
	int			next;			/* bits of the states that may follow */
} StateRow;

/*
 * waiting -> waiting is a change of place (defer, transfer); on_hold -> waiting
 * a resume or a transfer.  A finished state has no successor: undo and
 * reinstate put the ticket in again.
 */
static const StateRow states[QMS_STATES] = {
	[QMS_BOOKED] = {"booked", TO(QMS_WAITING) | TO(QMS_NO_SHOW) | ENDS_BY_CANCEL},
	[QMS_WAITING] = {"waiting", TO(QMS_CALLED) | TO(QMS_SERVING) | TO(QMS_ON_HOLD) | TO(QMS_RELEASED) |
	TO(QMS_EXPIRED) | ENDS_BY_CANCEL},
	[QMS_CALLED] = {"called", TO(QMS_SERVING) | TO(QMS_WAITING) | TO(QMS_ON_HOLD) | TO(QMS_NO_SHOW) |
	ENDS_BY_CANCEL},
	[QMS_SERVING] = {"serving", TO(QMS_COMPLETED) | TO(QMS_ON_HOLD) | TO(QMS_WAITING) | ENDS_BY_CANCEL},
	[QMS_ON_HOLD] = {"on_hold", TO(QMS_WAITING) | TO(QMS_EXPIRED) | ENDS_BY_CANCEL},
	[QMS_RELEASED] = {"released", TO(QMS_ADMITTED) | TO(QMS_EXPIRED) | ENDS_BY_CANCEL},
	[QMS_ADMITTED] = {"admitted", TO(QMS_COMPLETED) | TO(QMS_EXPIRED) | TO(QMS_REVOKED) | ENDS_BY_CANCEL},
	[QMS_COMPLETED] = {"completed", 0},
	[QMS_NO_SHOW] = {"no_show", 0},
	[QMS_CANCELLED] = {"cancelled", 0},
	[QMS_EXPIRED] = {"expired", 0},
	[QMS_REVOKED] = {"revoked", 0}
};

const char *
qms_state_name(QmsState state)
{
	return states[state].name;
}

/* QMS_STATES for a name that is none. */
QmsState
qms_state_by_name(const char *name)
{
	QmsState	state;

	for (state = 0; state < QMS_STATES; state++)
	{
		if (strcmp(states[state].name, name) == 0)
			break;
	}
	return state;
}

bool
qms_state_is_open(QmsState state)
{
	return state < QMS_COMPLETED;
}

/* Does such a ticket take a place of max_waiting in a waiting room?  It may be on hold and come back. */
bool
qms_state_is_in_room(QmsState state)
{
	return state == QMS_WAITING || state == QMS_ON_HOLD;
}

/* A row that keeps its state may change otherwise. */
bool
qms_state_may_become(QmsState from, QmsState to)
{
	return from == to || (states[from].next & TO(to)) != 0;
}

void
qms_state_check(QmsState from, QmsState to, int64 ticket_id)
{
	if (qms_state_may_become(from, to))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_QMS_ILLEGAL_TRANSITION),
			 errmsg("ticket %lld cannot become %s: it is %s", (long long) ticket_id,
					qms_state_name(to), qms_state_name(from)),
			 errdetail("The states of a ticket follow the table of contrib-docs/states.md."),
			 errhint("Look at the ticket with qms.get_ticket(), then use the function that fits its state.")));
}

static bool
is_hold_kind(const char *word)
{
	static const char *const kinds[] = {"staff", "parked", "deferred", "away", "not_arrived", "other_ticket", "offline"};
	size_t		i;

	for (i = 0; i < lengthof(kinds) && strcmp(kinds[i], word) != 0; i++)
		;
	return i < lengthof(kinds);
}

/* The check of qms.ticket: state, hold_kind, counter_id. */
PG_FUNCTION_INFO_V1(qms_ticket_is_sound);

Datum
qms_ticket_is_sound(PG_FUNCTION_ARGS)
{
	bool		held = !PG_ARGISNULL(1);
	char		word[16];
	QmsState	state;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	text_to_cstring_buffer(PG_GETARG_TEXT_PP(0), word, sizeof(word));
	state = qms_state_by_name(word);
	if (!qms_state_is_open(state) || held != (state == QMS_ON_HOLD) ||
		PG_ARGISNULL(2) == (state == QMS_CALLED || state == QMS_SERVING))
		PG_RETURN_BOOL(false);
	if (held)
		text_to_cstring_buffer(PG_GETARG_TEXT_PP(1), word, sizeof(word));
	PG_RETURN_BOOL(!held || is_hold_kind(word));
}
