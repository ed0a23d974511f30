/*
 * line.c
 *		Places in a line: by credit, first, last, or behind some people.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"

QmsPlaceWord
qms_place_word(const char *word)
{
	if (strcmp(word, "credit") == 0)
		return QMS_PLACE_CREDIT;
	if (strcmp(word, "first") == 0)
		return QMS_PLACE_FIRST;
	if (strcmp(word, "last") != 0)
		qms_arg_choice_error("place", word, "credit, first and last");
	return QMS_PLACE_LAST;
}

/* The key at one end of the line; false if nobody waits. */
static bool
end_of_line(QmsPlan *plan, int64 queue_id, int64 *key)
{
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	if (qms_spi_run(plan, &params) == 0)
		return false;
	*key = qms_spi_int64(0, 0);
	return true;
}

/* The sort_key of a ticket that comes into a queue at a place. */
int64
qms_line_key(const QmsTicket *ticket, const QmsQueue *queue, QmsPlaceWord place, TimestampTz now)
{
	static QmsPlan first = QMS_PLAN(
									"SELECT sort_key FROM qms.ticket WHERE queue_id = $1 AND state = 'waiting' "
									"ORDER BY sort_key, ticket_id LIMIT 1", INT8OID);
	static QmsPlan last = QMS_PLAN(
								   "SELECT sort_key FROM qms.ticket WHERE queue_id = $1 AND state = 'waiting' "
								   "ORDER BY sort_key DESC, ticket_id DESC LIMIT 1", INT8OID);
	int64		key = qms_row_time(ticket, T_effective_arrival) - qms_ticket_credit(ticket, queue);
	int64		end;

	if (place == QMS_PLACE_FIRST && end_of_line(&first, queue->queue_id, &end))
		key = Min(key, end - 1);
	else if (place == QMS_PLACE_LAST)
	{
		key = now;
		if (end_of_line(&last, queue->queue_id, &end))
			key = Max(key, end + 1);
	}
	return key;
}

/* The key right behind the n-th person after a place; the same key if nobody is behind. */
int64
qms_line_key_behind(int64 queue_id, int64 sort_key, int64 ticket_id, int64 places)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.max(b.sort_key) FROM (SELECT sort_key FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' AND (sort_key, ticket_id) > ($2, $3) "
								   "ORDER BY sort_key, ticket_id LIMIT $4) b", INT8OID, INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, sort_key);
	qms_param_int64(&params, ticket_id);
	qms_param_int64(&params, places);
	qms_spi_run(&plan, &params);
	return qms_spi_isnull(0, 0) ? sort_key : qms_spi_int64(0, 0) + 1;
}

/*
 * One live place per subject and queue: the ticket that has it, or 0.
 *
 * Lock: subject and queue, exclusive, so that two who bring one subject into a
 * queue run one after the other and the second finds the first.
 */
int64
qms_line_subject(int64 queue_id, const char *subject)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT ticket_id FROM qms.ticket WHERE queue_id = $1 AND subject = $2",
								   INT8OID, TEXTOID);
	QmsParams	params = {0};

	if (subject == NULL)
		return 0;
	qms_lock(QMS_LOCK_SUBJECT,
			 (int64) hash_bytes_extended((const unsigned char *) subject, strlen(subject), queue_id), true);
	qms_param_int64(&params, queue_id);
	qms_param_text(&params, subject);
	return qms_spi_look(&plan, &params) > 0 ? qms_spi_int64(0, 0) : 0;
}

/* Errors of a queue that takes nobody now. */
static void
check_open(QmsQueue *queue)
{
	if (queue->status == 'c')
		ereport(ERROR,
				(errcode(ERRCODE_QMS_QUEUE_CLOSED),
				 errmsg("queue %lld is closed", (long long) queue->queue_id),
				 errdetail("It takes no new tickets."),
				 errhint("Staff open it with qms.open_queue().")));
	if (queue->status == 'p')
		ereport(ERROR,
				(errcode(ERRCODE_QMS_QUEUE_PAUSED),
				 errmsg("queue %lld is paused", (long long) queue->queue_id),
				 errdetail("It takes no new tickets for the moment."),
				 errhint("Try again later; staff continue it with qms.open_queue().")));
}

/*
 * The queue that a ticket comes into, locked against being closed, with its
 * settings as of then.  From outside (a join) the branches of the caller and
 * the opening hours count; staff may let somebody in after the doors closed.
 *
 * Lock: shared on the queue.  open, pause and close_queue take it exclusive: a
 * join that came first commits first and is seen by them, one that came later
 * waits and finds the queue closed.  Joiners do not wait for one another here.
 */
QmsQueue *
qms_line_enter(QmsCall *call, int64 queue_id, bool from_outside)
{
	QmsQueue   *queue = qms_config_queue(queue_id);

	/* One that is not public is not there for customers and displays. */
	if (queue == NULL || (from_outside && !queue->settings.is_public && !qms_gate_sees_hidden(call)))
		qms_not_found("queue", queue_id);
	/* First, so that nobody waits for a lock of others. */
	if (from_outside)
		qms_gate_queue(call, queue);
	else
		qms_gate_organization(call, queue->organization_id, "queue", queue_id);
	qms_lock(QMS_LOCK_QUEUE, queue_id, false);
	qms_config_refresh();
	queue = qms_config_queue(queue_id);
	if (queue == NULL)
		qms_not_found("queue", queue_id);
	check_open(queue);
	if (from_outside && !qms_gate_is_staff(call))
		qms_hours_check_open(queue, call->now);
	return queue;
}
