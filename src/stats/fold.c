/*
 * fold.c
 *		What the events of one ticket mean for the queues that it was in.
 *
 * Pure arithmetic.  What has been undone did not happen: its event, and the
 * recalls of a call that was undone, are left out, and everything behind it
 * counts from what was before.  Between an event and its undo the ticket has no
 * others, so nothing else depends on it.
 *
 * Each fact belongs to the moment of its event, and depends on events before it
 * only.  Two things look ahead: whether an event is undone, and whether the
 * service began with the call, which is known when it ends.
 */
#include "stats/fold.h"

static const char *const kind_names[] = {
	[QMS_E_OTHER] = "",
	[QMS_E_JOINED] = "ticket.joined",
	[QMS_E_CALLED] = "ticket.called",
	[QMS_E_RECALLED] = "ticket.recalled",
	[QMS_E_SERVING] = "ticket.serving",
	[QMS_E_COMPLETED] = "ticket.completed",
	[QMS_E_NO_SHOW] = "ticket.no_show",
	[QMS_E_CANCELLED] = "ticket.cancelled",
	[QMS_E_EXPIRED] = "ticket.expired",
	[QMS_E_REVOKED] = "ticket.revoked",
	[QMS_E_HELD] = "ticket.held",
	[QMS_E_RESUMED] = "ticket.resumed",
	[QMS_E_REQUEUED] = "ticket.requeued",
	[QMS_E_DEFERRED] = "ticket.deferred",
	[QMS_E_TRANSFERRED] = "ticket.transferred",
	[QMS_E_RELEASED] = "ticket.released",
	[QMS_E_ADMITTED] = "ticket.admitted",
	[QMS_E_UNDONE] = "ticket.undone",
	[QMS_E_COUNTER_OPENED] = "counter.opened",
	[QMS_E_COUNTER_PAUSED] = "counter.paused",
	[QMS_E_COUNTER_RESUMED] = "counter.resumed",
	[QMS_E_COUNTER_CLOSED] = "counter.closed"
};

QmsEventKind
qms_event_kind(const char *kind)
{
	size_t		i;

	if (strcmp(kind, "ticket.arrived") == 0)
		return QMS_E_RESUMED;
	for (i = 1; i < lengthof(kind_names); i++)
	{
		if (strcmp(kind_names[i], kind) == 0)
			return (QmsEventKind) i;
	}
	return QMS_E_OTHER;
}

/* The ticket between two events. */
typedef struct Fold
{
	const QmsTicketEvent *event;	/* the one that is looked at */
	QmsFactCallback callback;
	void	   *arg;
	int64		customer_class_id;
	bool		in_line;		/* waits or is on hold, and has not been called in vain meanwhile */
	bool		knows_entry;	/* its coming into line is in the log */
	int64		waited;			/* in line, before waiting_since */
	TimestampTz waiting_since;	/* QMS_NO_TIME: it does not wait now */
	TimestampTz called_at;
	TimestampTz started_at;
} Fold;

/* Mark what was undone, and calls with which the service began. */
static void
look_ahead(QmsTicketEvent *events, int n)
{
	int			call = -1;
	int			i;
	int			j;

	for (i = 0; i < n; i++)
	{
		if (events[i].kind != QMS_E_UNDONE)
			continue;
		for (j = i - 1; j >= 0 && events[j].event_id != events[i].undone_event_id; j--)
			;
		if (j < 0)
			continue;
		events[j].undone = true;
		if (events[j].kind != QMS_E_CALLED)
			continue;
		/* Recalls go with their call. */
		for (j++; j < i; j++)
			events[j].undone = events[j].undone || events[j].kind == QMS_E_RECALLED;
	}
	for (i = 0; i < n; i++)
	{
		if (events[i].undone)
			continue;
		if (events[i].kind == QMS_E_SERVING && events[i].implied && call >= 0)
			events[call].serves_at_once = true;
		if (events[i].kind == QMS_E_CALLED)
			call = i;
		else if (events[i].kind != QMS_E_RECALLED && events[i].kind != QMS_E_UNDONE && events[i].kind != QMS_E_OTHER)
			call = -1;
	}
}

static void
tell(const Fold *fold, int64 queue_id, QmsStatsCount count, int64 waited, int64 served, int64 abandoned)
{
	QmsFact		fact = {fold->event, queue_id, fold->customer_class_id, count, waited, served, abandoned};

	fold->callback(&fact, fold->arg);
}

static void
count(const Fold *fold, QmsStatsCount which)
{
	tell(fold, fold->event->queue_id, which, -1, -1, -1);
}

/* It comes into a line, as new as anybody. */
static void
enter_line(Fold *fold)
{
	fold->in_line = true;
	fold->knows_entry = true;
	fold->waited = 0;
	fold->waiting_since = fold->event->state == 'w' ? fold->event->at : QMS_NO_TIME;
	fold->called_at = fold->started_at = QMS_NO_TIME;
}

/* It does not wait any more, for now or for good; answers how long it has, -1 if nobody knows. */
static int64
stop_waiting(Fold *fold)
{
	if (fold->waiting_since != QMS_NO_TIME)
		fold->waited += Max(fold->event->at - fold->waiting_since, 0);
	fold->waiting_since = QMS_NO_TIME;
	return fold->in_line && fold->knows_entry ? fold->waited : -1;
}

/* It leaves the line to be served. */
static int64
leave_line(Fold *fold)
{
	int64		waited = stop_waiting(fold);

	fold->in_line = false;
	return waited;
}

static void
fold_joined(Fold *fold)
{
	count(fold, QMS_N_JOINED);
	if (fold->event->begins_visit)
		count(fold, QMS_N_VISITS);
	enter_line(fold);
	if (fold->event->walk_up)
	{
		count(fold, QMS_N_WALK_UPS);
		fold->in_line = false;
	}
}

/* From a counter or from the line into another one; whoever was not called there has not finished a wait. */
static void
fold_transferred(Fold *fold)
{
	if (fold->event->from_queue_id != 0)
		tell(fold, fold->event->from_queue_id, QMS_N_TRANSFERRED_OUT, -1, -1, -1);
	count(fold, QMS_N_TRANSFERRED_IN);
	enter_line(fold);
}

static void
fold_resumed(Fold *fold)
{
	if (fold->event->reinstated)
	{
		count(fold, QMS_N_REINSTATED);
		enter_line(fold);
	}
	else if (!fold->in_line)
		enter_line(fold);
	else if (fold->waiting_since == QMS_NO_TIME && fold->event->state == 'w')
		fold->waiting_since = fold->event->at;
}

static void
fold_held(Fold *fold)
{
	if (!fold->event->for_other)
		count(fold, QMS_N_HELD);
	(void) stop_waiting(fold);
	fold->called_at = fold->started_at = QMS_NO_TIME;
}

static void
fold_serving(Fold *fold)
{
	count(fold, QMS_N_STARTED);
	(void) leave_line(fold);
	fold->started_at = fold->event->implied && fold->called_at != QMS_NO_TIME ? fold->called_at : fold->event->at;
}

static void
fold_completed(Fold *fold, QmsTicketEvent *event)
{
	TimestampTz from = fold->started_at != QMS_NO_TIME ? fold->started_at : fold->called_at;

	event->served_usec = from == QMS_NO_TIME ? -1 : Max(event->at - from, 0);
	tell(fold, event->queue_id, QMS_N_COMPLETED, -1, event->served_usec, -1);
	(void) leave_line(fold);
}

/* It ends otherwise; whoever was still in line has gone without having been called. */
static void
fold_gone(Fold *fold, QmsStatsCount which)
{
	bool		abandons = fold->in_line && (which == QMS_N_CANCELLED || which == QMS_N_EXPIRED);
	int64		waited = leave_line(fold);

	count(fold, which);
	if (abandons)
		tell(fold, fold->event->queue_id, QMS_N_ABANDONED, -1, -1, waited);
}

/* The undone event itself is left out; a ticket that was called from hold is on hold again. */
static void
fold_undone(Fold *fold)
{
	if (fold->event->state == 'o')
		(void) stop_waiting(fold);
}

static void
fold_event(Fold *fold, QmsTicketEvent *event)
{
	switch (event->kind)
	{
		case QMS_E_JOINED:
			fold_joined(fold);
			break;
		case QMS_E_CALLED:
			tell(fold, event->queue_id, QMS_N_CALLED, leave_line(fold), -1, -1);
			fold->called_at = event->at;
			break;
		case QMS_E_RECALLED:
			count(fold, QMS_N_RECALLED);
			break;
		case QMS_E_SERVING:
			fold_serving(fold);
			break;
		case QMS_E_COMPLETED:
			fold_completed(fold, event);
			break;
		case QMS_E_NO_SHOW:
			fold_gone(fold, QMS_N_NO_SHOW);
			break;
		case QMS_E_CANCELLED:
			fold_gone(fold, QMS_N_CANCELLED);
			break;
		case QMS_E_EXPIRED:
			fold_gone(fold, QMS_N_EXPIRED);
			break;
		case QMS_E_REVOKED:
			fold_gone(fold, QMS_N_REVOKED);
			break;
		case QMS_E_HELD:
			fold_held(fold);
			break;
		case QMS_E_RESUMED:
			fold_resumed(fold);
			break;
		case QMS_E_REQUEUED:
			count(fold, QMS_N_REQUEUED);
			enter_line(fold);
			break;
		case QMS_E_DEFERRED:
			count(fold, QMS_N_DEFERRED);
			if (event->state == 'o')
				(void) stop_waiting(fold);
			break;
		case QMS_E_TRANSFERRED:
			fold_transferred(fold);
			break;
		case QMS_E_RELEASED:
			tell(fold, event->queue_id, QMS_N_RELEASED, leave_line(fold), -1, -1);
			break;
		case QMS_E_ADMITTED:
			count(fold, QMS_N_ADMITTED);
			fold->started_at = event->at;
			break;
		case QMS_E_UNDONE:
			fold_undone(fold);
			break;
		default:
			break;
	}
}

/* The events of one ticket, in order of event_id: what each of them means. */
void
qms_fold_ticket(QmsTicketEvent *events, int n, QmsFactCallback callback, void *arg)
{
	Fold		fold = {0};
	int			i;

	fold.callback = callback;
	fold.arg = arg;
	fold.waiting_since = fold.called_at = fold.started_at = QMS_NO_TIME;
	/* A log that begins in the middle of a ticket: who is called has come before. */
	fold.in_line = n > 0 && events[0].kind != QMS_E_SERVING && events[0].kind != QMS_E_COMPLETED;
	look_ahead(events, n);
	for (i = 0; i < n; i++)
	{
		events[i].served_usec = -1;
		if (events[i].undone)
			continue;
		fold.event = &events[i];
		if (events[i].customer_class_id != 0)
			fold.customer_class_id = events[i].customer_class_id;
		fold_event(&fold, &events[i]);
	}
}
