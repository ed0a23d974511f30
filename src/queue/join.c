/*
 * join.c
 *		join_queue, and how a new ticket is made.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

typedef struct JoinRequest
{
	int64		queue_id;
	int64		service_id;
	const char *class_name;
	Jsonb	   *contact;
	const char *language;
	Jsonb	   *metadata;
	int32		priority;
	const char *subject;
	int64		visit_id;		/* of a further ticket, else 0 */
	int64		visit_organization_id;
	int64		nonce;
	bool		walk_up;		/* to be served at once */
} JoinRequest;

enum
{
	A_queue_id, A_service_id, A_branch_id, A_customer_class, A_contact, A_language, A_metadata,
	A_priority, A_subject, A_challenge, A_visit_token
};

/* Which queue is meant: named, or the one that offers a service in a branch. */
static int64
find_queue(QmsCall *call, int64 service_id)
{
	int64		queue_id = qms_arg_id_or_0(call, A_queue_id, "queue_id");
	int64		branch_id = qms_arg_id_or_0(call, A_branch_id, "branch_id");
	QmsQueue   *queue;

	if (queue_id != 0)
		return queue_id;
	if (branch_id == 0 || service_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("join_queue needs a queue, or a branch and a service"),
				 errdetail("A branch and a service together lead to the queue that offers the service there."),
				 errhint("Give queue_id, or branch_id and service_id.")));
	queue_id = qms_config_default_queue(branch_id, service_id);
	queue = queue_id ? qms_config_queue(queue_id) : NULL;
	/* A branch of another organization is as if it were not there, and so is a queue that is not public. */
	if (queue == NULL || (call->who->organization_id != 0 &&
						  call->who->organization_id != queue->organization_id) ||
		(!queue->settings.is_public && !qms_gate_sees_hidden(call)))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_SERVICE_NOT_OFFERED),
				 errmsg("branch %lld does not offer service %lld", (long long) branch_id,
						(long long) service_id),
				 errdetail("No queue of the branch offers it, or one of the two does not exist."),
				 errhint("Offer it with qms.offer_service().")));
	return queue_id;
}

static QmsClass *
find_class(QmsCall *call, const QmsQueue *queue, const JoinRequest *request)
{
	QmsClass   *class = qms_config_class(queue->organization_id, request->class_name);

	if (class == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_FOUND),
				 errmsg("customer class \"%s\" does not exist", request->class_name),
				 errdetail("Classes belong to an organization; upper and lower case differ."),
				 errhint("The view qms.customer_classes lists the classes of the organization.")));
	if (qms_gate_is_staff(call))
		return class;
	if (!class->self_service)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_CLASS_NOT_ALLOWED),
				 errmsg("nobody can give himself the customer class \"%s\"", class->name),
				 errdetail("It is not a self-service class."),
				 errhint("Ask at the reception.")));
	if (request->priority != 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_CLASS_NOT_ALLOWED),
				 errmsg("nobody can give himself a priority"),
				 errdetail("Only staff and applications may give a priority other than 0."),
				 errhint("Leave priority out.")));
	return class;
}

/* The skills and credit of the service; none is fine for a queue without services. */
static void
set_service(QmsTicket *ticket, const QmsQueue *queue, int64 service_id)
{
	if (service_id == 0)
		service_id = qms_config_only_service(queue->queue_id);
	if (service_id != 0)
		qms_ticket_set_service(ticket, queue, service_id, "Offer it with qms.offer_service(), or join the queue that does.");
}

/*
 * Nobody over the limit.  Joins of a counter queue hold its number row when
 * they come here, so they count one after the other, each in a new snapshot.
 */
static void
check_room(const QmsQueue *queue)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT pg_catalog.count(*) FROM (SELECT 1 FROM qms.ticket "
								   "WHERE queue_id = $1 AND state = 'waiting' LIMIT $2) w", INT8OID, INT8OID);
	QmsParams	params = {0};

	if (queue->settings.max_waiting == 0)
		return;
	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->settings.max_waiting);
	qms_spi_look(&plan, &params);
	if (qms_spi_int64(0, 0) >= queue->settings.max_waiting)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_QUEUE_FULL),
				 errmsg("queue %lld is full", (long long) queue->queue_id),
				 errdetail("%d are waiting, as many as max_waiting allows.", queue->settings.max_waiting),
				 errhint("%s", queue->settings.overflow_hint ? queue->settings.overflow_hint :
						 "Try again later.")));
}

/* Everything of a new ticket but its state. */
static QmsTicket *
fill_ticket(QmsCall *call, QmsQueue *queue, const JoinRequest *request)
{
	QmsClass   *class = find_class(call, queue, request);
	QmsTicket  *ticket = qms_ticket_new();
	int64		ticket_id;

	qms_row_set_id(ticket, T_organization_id, queue->organization_id);
	qms_row_set_id(ticket, T_branch_id, queue->branch_id);
	qms_row_set_id(ticket, T_application_id, queue->application_id);
	qms_row_set_id(ticket, T_queue_id, queue->queue_id);
	qms_row_set_id(ticket, T_customer_class_id, class->customer_class_id);
	set_service(ticket, queue, request->service_id);
	qms_row_set_int32(ticket, T_priority, request->priority);
	qms_row_set_time(ticket, T_joined_at, call->now);
	qms_row_set_time(ticket, T_entered_at, call->now);
	qms_row_set_text(ticket, T_subject, request->subject);
	qms_row_set_text(ticket, T_language, request->language);
	qms_row_set_pointer(ticket, T_metadata, request->metadata);
	qms_row_set_int32(ticket, T_version, 1);
	qms_row_set_int32(ticket, T_leg, 1);
	qms_row_set_int32(ticket, T_calls, 0);
	qms_row_set_int32(ticket, T_recalls, 0);
	qms_row_set_int32(ticket, T_defers, 0);
	qms_row_set_bool(ticket, T_by_class, queue->by_class);
	qms_row_set_bool(ticket, T_shared_visit, request->visit_id != 0);
	qms_row_set_bool(ticket, T_simulated, queue->settings.simulated);

	/* From here on the number's row is locked: nothing slow, nothing else to lock. */
	if (queue->is_release)
		qms_row_set_time(ticket, T_effective_arrival, qms_lottery_arrival(queue, call->now));
	else
		qms_number_take(call, queue, ticket);
	if (queue->is_release)
		qms_room_enter(queue, call->now);
	else if (!request->walk_up)
		check_room(queue);
	ticket_id = qms_sequence_next("ticket_ticket_id_seq");
	qms_row_set_id(ticket, T_ticket_id, ticket_id);
	qms_row_set_id(ticket, T_visit_id, request->visit_id ? request->visit_id : ticket_id);
	qms_ticket_set_contact(ticket, request->contact);
	if (call->who->kind == QMS_CUSTOMER && call->who->id != 0)
		qms_ticket_set_customer(call, ticket, call->who->id, false);
	qms_row_set_int64(ticket, T_token_nonce, request->visit_id ? request->nonce : qms_token_new_nonce());
	qms_ticket_set_key(ticket, qms_row_time(ticket, T_effective_arrival) - qms_ticket_credit(ticket, queue));
	return ticket;
}

/* A ticket for somebody who stands at the counter: put into the queue to be served at once. */
QmsTicket *
qms_join_walk_up(QmsCall *call, int64 queue_id, int64 service_id)
{
	JoinRequest request = {0};
	QmsQueue   *queue;
	QmsTicket  *ticket;
	QmsPlace	place;
	QmsJson		json;

	request.queue_id = queue_id;
	request.service_id = service_id;
	request.class_name = "regular";
	request.walk_up = true;
	queue = qms_line_enter(call, queue_id, true);
	ticket = fill_ticket(call, queue, &request);
	qms_row_set_text(ticket, T_state, qms_state_name(QMS_WAITING));
	qms_row_set_pointer(ticket, T_metadata, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"))));
	memset(&place, 0, sizeof(place));
	qms_row_insert(ticket);
	qms_json_begin(&json);
	qms_ticket_order_json(&json, ticket);
	qms_json_bool(&json, "walk_up", true);
	qms_ticket_event(call, ticket, "ticket.joined", qms_json_end(&json), 0);
	return ticket;
}

/* Write the visit of several tickets, and mark those there are. */
static void
share_visit(QmsCall *call, const QmsQueue *queue, const JoinRequest *request)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.visit (visit_id, organization_id, branch_id, contact, language, token_nonce, created_at) "
								   "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
								   INT8OID, INT8OID, INT8OID, JSONBOID, TEXTOID, INT8OID, TIMESTAMPTZOID);
	QmsSealPlace place = {queue->organization_id, "visit", "contact", request->visit_id};
	QmsParams	params = {0};
	int64	   *ids;
	int			n;
	int			i;

	qms_param_int64(&params, request->visit_id);
	qms_param_int64(&params, queue->organization_id);
	qms_param_id(&params, queue->branch_id);
	qms_param_pointer(&params, qms_contact_seal(&place, request->contact));
	qms_param_text(&params, request->language);
	qms_param_int64(&params, request->nonce);
	qms_param_time(&params, call->now);
	qms_spi_run(&plan, &params);
	ids = qms_visit_open_tickets(request->visit_id, &n);
	for (i = 0; i < n; i++)
	{
		QmsTicket  *other = qms_ticket_lock_if(QMS_IF_OPEN, ids[i]);
		QmsJson		json;

		if (other == NULL || qms_row_bool(other, T_shared_visit))
			continue;
		qms_row_set_bool(other, T_shared_visit, true);
		qms_ticket_store(other);
		qms_json_begin(&json);
		qms_json_bool(&json, "shared_visit", true);
		qms_ticket_event(call, other, "ticket.updated", qms_json_end(&json), 0);
	}
}

/* Is another ticket of the visit at a counter?  The visit is locked. */
static bool
is_called_elsewhere(int64 visit_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.ticket WHERE ticket_id = $1 AND state IN ('called', 'serving') "
								   "UNION ALL SELECT 1 FROM qms.ticket WHERE visit_id = $1 AND visit_id <> ticket_id "
								   "AND state IN ('called', 'serving')", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, visit_id);
	return qms_spi_look(&plan, &params) > 0;
}

/*
 * The state to begin with.  Somebody from afar in a queue that calls only those
 * who are there waits on hold until he has arrived; somebody who is at a
 * counter with another ticket, until he is done there.
 */
static void
set_first_state(QmsCall *call, QmsTicket *ticket, const QmsQueue *queue, const JoinRequest *request)
{
	const char *hold_kind = NULL;

	if (request->visit_id != 0 && is_called_elsewhere(request->visit_id))
		hold_kind = "other_ticket";
	else if (queue->settings.requires_arrival && call->who->kind == QMS_CUSTOMER)
		hold_kind = "not_arrived";
	qms_row_set_text(ticket, T_state, qms_state_name(hold_kind ? QMS_ON_HOLD : QMS_WAITING));
	qms_row_set_text(ticket, T_hold_kind, hold_kind);
	if (hold_kind)
		qms_row_set_time(ticket, T_held_at, call->now);
}

/* qms.joined_ticket: the first columns of qms.ticket_progress */
static Datum
answer_join(QmsCall *call, const QmsTicket *ticket, const QmsPlace *place, bool with_token)
{
	Datum		values[QMS_PROGRESS_COLUMNS];
	bool		nulls[QMS_PROGRESS_COLUMNS];

	qms_progress_fill(ticket, place, with_token, values, nulls);
	return qms_answer_tuple(call, values, nulls);
}

/* The live place that a subject has in the queue, or NULL. */
static QmsTicket *
place_of_subject(const JoinRequest *request)
{
	int64		ticket_id = qms_line_subject(request->queue_id, request->subject);
	bool		ended;
	QmsTicket  *ticket = ticket_id ? qms_ticket_read(ticket_id, &ended) : NULL;

	/* It may have ended since. */
	return ticket != NULL && !ended ? ticket : NULL;
}

/*
 * The subject has a place already: the same answer again.  Its token goes only
 * to staff and applications: anybody could name somebody else's subject.
 */
static Datum
answer_existing(QmsCall *call, QmsQueue *queue, const QmsTicket *ticket)
{
	QmsPlace	place;

	qms_place_of(queue, qms_row_int64(ticket, T_sort_key), qms_row_int64(ticket, T_ticket_id),
				 call->now, &place);
	return answer_join(call, ticket, &place, qms_gate_is_staff(call));
}

/* Arguments that need no look at the database. */
static void
read_request(QmsCall *call, JoinRequest *request)
{
	char	   *token_text = qms_arg_text_or_null(call, A_visit_token);

	request->service_id = qms_arg_id_or_0(call, A_service_id, "service_id");
	request->class_name = qms_arg_isnull(call, A_customer_class) ? "regular" :
		qms_arg_text(call, A_customer_class, "customer_class");
	request->contact = qms_arg_jsonb(call, A_contact, "contact");
	request->language = qms_arg_text_or_null(call, A_language);
	request->metadata = qms_arg_jsonb(call, A_metadata, "metadata");
	if (request->metadata == NULL)
		request->metadata = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	request->priority = qms_arg_int32(call, A_priority, 0);
	if (request->priority < 0 || request->priority > 10)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("priority must be from 0 to 10, not %d", request->priority),
				 errdetail("Each step is worth priority_step of the queue."),
				 errhint("0 is the usual priority.")));
	request->subject = qms_arg_text_or_null(call, A_subject);
	if (token_text != NULL)
	{
		QmsTicketToken token;

		if (!qms_types_token_parse(token_text, &token))
			qms_token_refuse();
		request->visit_id = qms_visit_of_token(call, &token, &request->nonce);
		request->visit_organization_id = call->answer_organization;
	}
	request->queue_id = find_queue(call, request->service_id);
}

/* Not too often, by the limits of the organization and of the queue. */
static void
check_rates(QmsCall *call, const QmsQueue *queue, const char *subject)
{
	qms_limit_join(call, queue->organization_id, subject);
	qms_limit_queue(call, queue, subject);
}

/*
 * The challenge of a queue that has one, before anything is locked: it is a
 * function of others and may be slow.  It is asked no oftener than one may join.
 * What else is wrong with the queue is found out afterwards.
 */
static bool
check_challenge(QmsCall *call, const JoinRequest *request)
{
	QmsQueue   *queue = qms_config_queue(request->queue_id);

	if (queue == NULL || queue->settings.challenge == NULL ||
		(!queue->settings.is_public && !qms_gate_sees_hidden(call)))
		return false;
	qms_gate_queue(call, queue);
	check_rates(call, queue, request->subject);
	qms_challenge_check(call, queue, qms_arg_text_or_null(call, A_challenge), request->subject);
	return true;
}

QMS_FUNCTION(join_queue, QMS_ACT_JOIN, QMS_MUTATES)
{
	JoinRequest request = {0};
	QmsQueue   *queue;
	QmsTicket  *ticket;
	QmsPlace	place;
	QmsJson		json;
	QmsTicket  *existing;
	bool		challenged;

	read_request(call, &request);
	challenged = check_challenge(call, &request);
	queue = qms_line_enter(call, request.queue_id, true);
	if (request.visit_id != 0 && request.visit_organization_id != queue->organization_id)
		qms_token_refuse();
	if (queue->settings.subject_required && request.subject == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_SUBJECT_REQUIRED),
				 errmsg("queue %lld needs a subject", (long long) queue->queue_id),
				 errdetail("Its setting subject_required gives each subject one place."),
				 errhint("Give subject => a text that names the person.")));
	if (!challenged)
		check_rates(call, queue, request.subject);
	existing = place_of_subject(&request);
	if (existing != NULL)
		return answer_existing(call, queue, existing);
	qms_invitation_check(queue, request.subject, call->now);
	qms_limit_create(call, queue->organization_id, request.subject);
	if (request.visit_id != 0)
	{
		qms_lock(QMS_LOCK_VISIT, request.visit_id, true);
		share_visit(call, queue, &request);
	}
	ticket = fill_ticket(call, queue, &request);
	set_first_state(call, ticket, queue, &request);
	qms_place_of(queue, qms_row_int64(ticket, T_sort_key), qms_row_int64(ticket, T_ticket_id),
				 call->now, &place);
	qms_place_quote(ticket, &place);
	qms_row_insert(ticket);
	qms_json_begin(&json);
	qms_ticket_order_json(&json, ticket);
	qms_json_text(&json, "hold_kind", qms_row_text(ticket, T_hold_kind));
	qms_ticket_event(call, ticket, "ticket.joined", qms_json_end(&json), 0);
	return answer_join(call, ticket, &place, true);
}
