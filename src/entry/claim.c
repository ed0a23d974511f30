/*
 * claim.c
 *		claim_access: who has been let in takes his access token.
 */
#include "entry/entry.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* What has to be known of a ticket before it is locked. */
typedef struct Found
{
	int64		ticket_id;
	int64		organization_id;
	int64		queue_id;
	int64		sort_key;
	int64		nonce;			/* of the visit's token */
	QmsState	state;
} Found;

#define FOUND_COLUMNS "ticket_id, organization_id, queue_id, sort_key, token_nonce, state, shared_visit"

/*
 * The ticket of a visit to be claimed: one that has been released, else one that
 * was claimed before, else the next in the line of a waiting room, which has no
 * number.  False if none is open.  Mostly the visit is one ticket.
 */
static bool
find_ticket(int64 visit_id, Found *found)
{
	static QmsPlan one = QMS_PLAN("SELECT " FOUND_COLUMNS " FROM qms.ticket WHERE ticket_id = $1", INT8OID);
	static QmsPlan several = QMS_PLAN(
									  "SELECT " FOUND_COLUMNS " FROM (SELECT * FROM qms.ticket WHERE ticket_id = $1 UNION ALL "
									  "SELECT * FROM qms.ticket WHERE visit_id = $1 AND visit_id <> ticket_id) t "
									  "ORDER BY state = 'released' DESC, state = 'admitted' DESC, number IS NOT NULL, sort_key, ticket_id LIMIT 1", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, visit_id);
	if ((qms_spi_look(&one, &params) == 0 || qms_spi_bool(0, 6)) && qms_spi_look(&several, &params) == 0)
		return false;
	found->ticket_id = qms_spi_int64(0, 0);
	found->organization_id = qms_spi_int64(0, 1);
	found->queue_id = qms_spi_int64(0, 2);
	found->sort_key = qms_spi_int64(0, 3);
	found->nonce = qms_spi_int64(0, 4);
	found->state = qms_state_by_name(qms_spi_text(0, 5));
	return true;
}

static pg_attribute_noreturn() void
has_ended(const char *how)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_ACCESS_ENDED),
			 errmsg("the right to enter has ended"),
			 errdetail("%s", how),
			 errhint("Join the queue again.")));
}

/* The token is that of a visit of which nothing is open: how did it end? */
static pg_attribute_noreturn() void
refuse_ended(QmsCall *call, const QmsTicketToken *token)
{
	int64		nonce;
	bool		ended;
	QmsTicket  *ticket = qms_ticket_read(qms_visit_of_token(call, token, &nonce), &ended);

	if (ticket == NULL || !ended)
		has_ended("None of the visit's tickets is open.");
	has_ended(psprintf("The ticket is %s.", qms_row_text(ticket, T_state)));
}

static pg_attribute_noreturn() void
refuse_early(QmsCall *call, const Found *found, QmsQueue *queue)
{
	QmsPlace	place;

	if (found->state != QMS_WAITING)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_RELEASED),
				 errmsg("the ticket has not been let in yet"),
				 errdetail("It is %s.", qms_state_name(found->state)),
				 errhint("Look at it with qms.ticket_status().")));
	qms_place_of(queue, found->sort_key, found->ticket_id, call->now, &place);
	ereport(ERROR,
			(errcode(ERRCODE_QMS_NOT_RELEASED),
			 errmsg("the ticket has not been let in yet"),
			 errdetail("Its position is %s%lld.", place.exact ? "" : "about ", (long long) place.people_ahead + 1),
			 errhint("Wait until qms.ticket_status() says that it is released.")));
}

/* Check the visit token, and find the ticket that it can claim, not locked yet. */
static void
find_by_token(QmsCall *call, Found *found)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	QmsTicketToken *token;
	int64		organization_id;
	int64		visit_id;
	int			kid;
	const uint8 *secret;

	if (PG_ARGISNULL(0))
		qms_token_refuse();
	token = PG_GETARG_TICKET_TOKEN(0);
	qms_types_token_unpack(token, &organization_id, &visit_id, &kid, &secret);
	if (!find_ticket(visit_id, found))
		refuse_ended(call, token);
	if (organization_id != found->organization_id ||
		(call->who->organization_id != 0 && call->who->organization_id != organization_id) ||
		!qms_token_check(token, found->nonce))
		qms_token_refuse();
	call->answer_organization = organization_id;
}

/* The queue, if people can come in through it now. */
static QmsQueue *
waiting_room(int64 queue_id)
{
	QmsQueue   *queue = qms_config_queue(queue_id);

	if (queue == NULL)
		qms_not_found("queue", queue_id);
	if (!queue->is_release)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_WRONG_QUEUE_KIND),
				 errmsg("queue %lld is no waiting room", (long long) queue_id),
				 errdetail("Its tickets are called to a counter."),
				 errhint("Look at the ticket with qms.ticket_status().")));
	return queue;
}

/* released becomes admitted; what it is let in with from now on. */
static void
admit(QmsCall *call, QmsTicket *ticket, const QmsQueue *queue, QmsAccessToken *token)
{
	QmsJson		json;

	if (qms_row_time(ticket, T_due_at) != QMS_NO_TIME && qms_row_time(ticket, T_due_at) <= call->now)
		has_ended("It was not claimed in time.");
	memset(token, 0, sizeof(*token));
	token->ticket_id = qms_row_int64(ticket, T_ticket_id);
	token->organization_id = qms_row_int64(ticket, T_organization_id);
	token->queue_id = qms_row_int64(ticket, T_queue_id);
	qms_random(token->nonce, QMS_ACCESS_NONCE_SIZE);
	/* Tokens count in seconds: it is good for as long as it should be, and less than one more. */
	token->issued_at = qms_unix_moment(qms_unix_seconds(call->now));
	token->expires_at = qms_unix_moment(qms_unix_seconds(call->now + queue->settings.token_life + USECS_PER_SEC - 1));
	qms_ticket_set_state(ticket, QMS_ADMITTED);
	qms_row_set_time(ticket, T_started_at, call->now);
	qms_row_set_time(ticket, T_due_at, token->expires_at);
	qms_ticket_store(ticket);
	qms_inside_note_claimed(ticket);
	qms_access_token_store(token);
	qms_json_begin(&json);
	qms_json_time(&json, "expires_at", token->expires_at);
	qms_ticket_event(call, ticket, "ticket.admitted", qms_json_end(&json), 0);
}

/* It was claimed before: what it was let in with, as long as that can be used. */
static void
find_again(QmsCall *call, const QmsTicket *ticket, const QmsQueue *queue, QmsAccessToken *token)
{
	if (!qms_access_token_read(qms_row_int64(ticket, T_ticket_id), token) || token->revoked_at != QMS_NO_TIME)
		has_ended("The access was revoked.");
	if (token->expires_at <= call->now)
		has_ended("The access has expired.");
	if (token->used_at != QMS_NO_TIME && queue->settings.single_use)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_ACCESS_USED),
				 errmsg("the access token has been used"),
				 errdetail("It lets in once, and has done so."),
				 errhint("Whoever was let in stays in; the place ends with qms.finish_visit() or when the token expires.")));
}

/* Nobody comes in, until it is opened: asked when the ticket is locked. */
static void
check_not_stopped(const QmsQueue *queue)
{
	if (qms_release_is_stopped(queue->queue_id))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_QUEUE_STOPPED),
				 errmsg("queue %lld is stopped", (long long) queue->queue_id),
				 errdetail("Nobody can come in until it is opened again."),
				 errhint("Try again later; staff open it with qms.open_queue().")));
}

#define GRANT_COLUMNS 4

static Datum
answer(QmsCall *call, const QmsAccessToken *token, const char *text)
{
	Datum		values[GRANT_COLUMNS];
	bool		nulls[GRANT_COLUMNS] = {0};

	values[0] = CStringGetTextDatum(text);
	values[1] = TimestampTzGetDatum(token->expires_at);
	values[2] = Int64GetDatum(token->ticket_id);
	values[3] = Int64GetDatum(token->queue_id);
	return qms_answer_tuple(call, values, nulls);
}

/*
 * Lock: the ticket's row.  Whoever claims twice, or while it expires, is
 * cancelled or revoked, comes before or behind that.
 */
QMS_FUNCTION(claim_access, QMS_ACT_TOKEN, QMS_MUTATES)
{
	Found		found;
	QmsQueue   *queue;
	QmsTicket  *ticket;
	const QmsSigningKey *key;
	QmsAccessToken token;

	find_by_token(call, &found);
	queue = waiting_room(found.queue_id);
	if (found.state != QMS_RELEASED && found.state != QMS_ADMITTED)
		refuse_early(call, &found, queue);
	/* A first key is made before anything is locked that others wait for. */
	(void) qms_access_key_current(call, queue->organization_id);
	ticket = qms_ticket_lock_if(QMS_IF_OPEN, found.ticket_id);
	if (ticket == NULL)
		has_ended("It ended just now.");
	found.state = qms_ticket_state(ticket);
	check_not_stopped(queue);
	if (found.state == QMS_RELEASED)
		admit(call, ticket, queue, &token);
	else if (found.state == QMS_ADMITTED)
		find_again(call, ticket, queue, &token);
	else
		refuse_early(call, &found, queue);
	token.subject = qms_access_token_subject(ticket);
	key = qms_access_key_current(call, token.organization_id);
	return answer(call, &token, qms_access_token_sign(key, qms_access_keys_of(token.organization_id), &token));
}

/* The token of an answer that is given again; NULL if it can be used no more. */
char *
qms_claim_again(QmsCall *call, int64 ticket_id, TimestampTz expires_at)
{
	QmsAccessToken token;
	bool		ended;
	QmsTicket  *ticket = qms_ticket_read(ticket_id, &ended);
	QmsQueue   *queue = ticket && !ended ? qms_config_queue(qms_row_int64(ticket, T_queue_id)) : NULL;

	if (queue == NULL || qms_ticket_state(ticket) != QMS_ADMITTED || !qms_access_token_read(ticket_id, &token) ||
		token.expires_at != expires_at || expires_at <= call->now || token.revoked_at != QMS_NO_TIME ||
		(token.used_at != QMS_NO_TIME && queue->settings.single_use))
		return NULL;
	token.subject = qms_access_token_subject(ticket);
	return qms_access_token_sign(qms_access_key_current(call, token.organization_id),
								 qms_access_keys_of(token.organization_id), &token);
}
