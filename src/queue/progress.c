/*
 * progress.c
 *		How a customer sees his ticket: ticket_status, visit_status, heartbeat.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

/* The values of qms.ticket_progress; place may be NULL when the ticket does not wait. */
void
qms_progress_fill(const QmsTicket *ticket, const QmsPlace *place, bool with_token,
				  Datum *values, bool *nulls)
{
	static const struct
	{
		int			answer;
		int			ticket;
	}			same[] = {
		{0, T_ticket_id}, {1, T_visit_id}, {2, T_queue_id}, {3, T_service_id}, {4, T_number},
		{6, T_state}, {13, T_joined_at}, {15, T_called_at}, {16, T_ended_at}
	};
	int64		counter_id = qms_row_int64(ticket, T_counter_id);
	QmsCounter *counter = counter_id ? qms_config_counter(counter_id) : NULL;
	size_t		i;

	memset(nulls, true, sizeof(bool) * QMS_PROGRESS_COLUMNS);
	for (i = 0; i < lengthof(same); i++)
	{
		int			from = same[i].ticket;

		nulls[same[i].answer] = from >= ticket->table->ncols || qms_row_isnull(ticket, from);
		if (!nulls[same[i].answer])
			values[same[i].answer] = ticket->values[from];
	}
	if (with_token)
	{
		QmsTicketToken *token = palloc(sizeof(QmsTicketToken));

		qms_token_make(token, qms_row_int64(ticket, T_organization_id),
					   qms_row_int64(ticket, T_visit_id), qms_row_int64(ticket, T_token_nonce));
		values[5] = PointerGetDatum(token);
		nulls[5] = false;
	}
	if (place != NULL)
	{
		bool		waits = qms_ticket_state(ticket) == QMS_WAITING;

		values[7] = Int64GetDatum(place->people_ahead + 1);
		values[8] = Int64GetDatum(place->people_ahead);
		values[9] = BoolGetDatum(place->exact);
		values[10] = PointerGetDatum(place->p10);
		values[11] = PointerGetDatum(place->p50);
		values[12] = PointerGetDatum(place->p90);
		for (i = 7; i <= 12; i++)
			nulls[i] = !waits || (i <= 9 && place->undrawn) || (i >= 10 && place->p50 == NULL);
	}
	if (counter != NULL)
	{
		values[14] = CStringGetTextDatum(counter->name);
		nulls[14] = false;
	}
}

/* Where a ticket stands now, as the row of the function or one of its set. */
Datum
qms_progress_answer(QmsCall *call, const QmsTicket *ticket)
{
	Datum		values[QMS_PROGRESS_COLUMNS];
	bool		nulls[QMS_PROGRESS_COLUMNS];
	QmsPlace	place;
	QmsQueue   *queue = NULL;

	if (qms_ticket_state(ticket) == QMS_WAITING)
		queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));
	if (queue != NULL)
		qms_place_of(queue, qms_row_int64(ticket, T_sort_key), qms_row_int64(ticket, T_ticket_id),
					 call->now, &place);
	qms_progress_fill(ticket, queue ? &place : NULL, true, values, nulls);
	if ((call->function->flags & QMS_SETOF) == 0)
		return qms_answer_tuple(call, values, nulls);
	qms_answer_row(call, values, nulls);
	return qms_answer_none(call);
}

/* Is it the token of this ticket's visit, and may the caller use it? */
static void
check_token(QmsCall *call, const QmsTicketToken *token, const QmsTicket *ticket)
{
	int64		organization_id;
	int64		visit_id;
	int			kid;
	const uint8 *secret;

	qms_types_token_unpack(token, &organization_id, &visit_id, &kid, &secret);
	if (organization_id != qms_row_int64(ticket, T_organization_id) ||
		(call->who->organization_id != 0 && call->who->organization_id != organization_id) ||
		!qms_token_check(token, qms_row_int64(ticket, T_token_nonce)))
		qms_token_refuse();
	call->answer_organization = organization_id;
}

static QmsTicketToken *
token_argument(QmsCall *call)
{
	FunctionCallInfo fcinfo = call->fcinfo;

	if (PG_ARGISNULL(0))
		qms_token_refuse();
	return PG_GETARG_TICKET_TOKEN(0);
}

static int64
visit_of(const QmsTicketToken *token)
{
	int64		organization_id;
	int64		visit_id;
	int			kid;
	const uint8 *secret;

	qms_types_token_unpack(token, &organization_id, &visit_id, &kid, &secret);
	return visit_id;
}

/*
 * Tickets of a visit, live and past under one snapshot, in the columns of
 * history.  The first ticket is found by its own id, further ones by an index
 * that holds only them.
 */
#define VISIT_LIVE \
	"SELECT %s, NULL::timestamptz AS ended_at, NULL::text AS ended_from, NULL::text AS outcome, NULL::text AS end_reason FROM (" \
	"SELECT * FROM qms.ticket WHERE ticket_id = $1 UNION ALL " \
	"SELECT * FROM qms.ticket WHERE visit_id = $1 AND visit_id <> ticket_id) t"

static char *
visit_sql(const char *format)
{
	return MemoryContextStrdup(TopMemoryContext,
							   psprintf(format, qms_table_select_list(&qms_ticket_table),
										qms_table_select_list(&qms_history_table)));
}

#define VISIT_MAIN \
	VISIT_LIVE " ORDER BY t.state IN ('called', 'serving') DESC, t.state = 'waiting' DESC, t.sort_key, t.ticket_id LIMIT 1"

/*
 * The ticket of a visit that matters most now; NULL if there is none.  Mostly it
 * is a live one, found without opening the partitions of history.  If it is not,
 * it may have been undone since: live and past are read under one snapshot then.
 */
static QmsTicket *
main_ticket(int64 visit_id)
{
	static QmsPlan live = QMS_PLAN(NULL, INT8OID);
	static QmsPlan both = QMS_PLAN(NULL, INT8OID);
	QmsParams	params = {0};

	if (live.sql == NULL)
		live.sql = visit_sql(VISIT_MAIN);
	if (both.sql == NULL)
		both.sql = visit_sql("(" VISIT_MAIN ") UNION ALL "
							 "(SELECT %s FROM qms.ticket_history t WHERE t.visit_id = $1 "
							 "ORDER BY t.ended_at DESC, t.ticket_id DESC LIMIT 1) LIMIT 1");
	qms_param_int64(&params, visit_id);
	if (qms_spi_run(&live, &params) == 0 && qms_spi_run(&both, &params) == 0)
		return NULL;
	return qms_row_fetch(&qms_history_table, 0, 0);
}

QMS_FUNCTION(ticket_status, QMS_ACT_TOKEN, 0)
{
	QmsTicketToken *token = token_argument(call);
	QmsTicket  *ticket = main_ticket(visit_of(token));

	if (ticket == NULL)
		qms_token_refuse();
	check_token(call, token, ticket);
	return qms_progress_answer(call, ticket);
}

QMS_FUNCTION(visit_status, QMS_ACT_TOKEN, QMS_SETOF)
{
	static QmsPlan plan = QMS_PLAN(NULL, INT8OID);
	QmsTicketToken *token = token_argument(call);
	QmsParams	params = {0};
	QmsTicket **tickets;
	uint64		n;
	uint64		i;

	if (plan.sql == NULL)
		plan.sql = visit_sql("SELECT * FROM (" VISIT_LIVE " UNION ALL "
							 "SELECT %s FROM qms.ticket_history t WHERE t.visit_id = $1) v "
							 "ORDER BY v.joined_at, v.ticket_id");
	qms_param_int64(&params, visit_of(token));
	n = qms_spi_run(&plan, &params);
	if (n == 0)
		qms_token_refuse();
	tickets = palloc(sizeof(QmsTicket *) * n);
	for (i = 0; i < n; i++)
		tickets[i] = qms_row_fetch(&qms_history_table, i, 0);
	check_token(call, token, tickets[0]);
	for (i = 0; i < n; i++)
		qms_progress_answer(call, tickets[i]);
	return qms_answer_none(call);
}

/* Write it to a narrow table, at most every ten seconds: qms.ticket is not touched. */
static void
write_heartbeat(const QmsTicket *ticket, TimestampTz at)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.ticket_seen AS s (ticket_id, organization_id, seen_at) VALUES ($1, $2, $3) "
								   "ON CONFLICT (ticket_id, organization_id) DO UPDATE SET seen_at = $3 "
								   "WHERE s.seen_at < $3 - '10 seconds'::pg_catalog.interval",
								   INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, qms_row_int64(ticket, T_ticket_id));
	qms_param_int64(&params, qms_row_int64(ticket, T_organization_id));
	qms_param_time(&params, at);
	qms_spi_run(&plan, &params);
}

/*
 * The holder of the token is there.  Noted in shared memory, from where the
 * scheduler writes it with others; written here if that is not possible.
 */
QMS_FUNCTION(heartbeat, QMS_ACT_TOKEN, 0)
{
	QmsTicketToken *token = token_argument(call);
	QmsTicket  *ticket = main_ticket(visit_of(token));

	if (ticket == NULL)
		qms_token_refuse();
	check_token(call, token, ticket);
	/* Refused there whether it would have been noted or written. */
	PreventCommandIfReadOnly("qms.heartbeat()");
	if (qms_row_isnull(ticket, T_ended_at) &&
		!qms_heartbeat_note(qms_row_int64(ticket, T_ticket_id), call->now))
		write_heartbeat(ticket, call->now);
	return TimestampTzGetDatum(call->now);
}
