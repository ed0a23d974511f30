/*
 * explain.c
 *		explain_call: why a ticket was called when it was, from the log.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* In the order of qms.call_explanation. */
enum
{
	E_called_at, E_counter_id, E_policy, E_queue_id, E_ticket_id, E_number, E_customer_class,
	E_effective_arrival, E_credit, E_sort_key, E_weight, E_score, E_chosen, E_reason, E_COLUMNS
};

typedef struct CallEvent
{
	TimestampTz at;
	int64		counter_id;
	int64		queue_id;
	int64		ticket_id;
	const char *policy;
	int64		sort_key;
	int64		passed;
	bool		passed_in_change;
	Jsonb	   *heads;
} CallEvent;

/* One head, completed with what is known of its ticket now. */
static void
answer_head(QmsCall *call, const CallEvent *event, int64 ticket_id, int64 queue_id, int64 class_id,
			int64 sort_key, double weight, double score, const char *reason)
{
	Datum		values[E_COLUMNS] = {0};
	bool		nulls[E_COLUMNS] = {false};
	bool		ended;
	QmsTicket  *ticket = qms_ticket_read(ticket_id, &ended);
	QmsClass   *class;

	if (class_id == 0 && ticket != NULL)
		class_id = qms_row_int64(ticket, T_customer_class_id);
	class = class_id ? qms_config_class_by_id(class_id) : NULL;
	values[E_called_at] = TimestampTzGetDatum(event->at);
	values[E_counter_id] = Int64GetDatum(event->counter_id);
	values[E_policy] = CStringGetTextDatum(event->policy);
	values[E_queue_id] = Int64GetDatum(queue_id);
	values[E_ticket_id] = Int64GetDatum(ticket_id);
	nulls[E_number] = ticket == NULL || qms_row_isnull(ticket, T_number);
	if (!nulls[E_number])
		values[E_number] = ticket->values[T_number];
	nulls[E_customer_class] = class == NULL;
	if (class != NULL)
		values[E_customer_class] = CStringGetTextDatum(class->name);
	nulls[E_effective_arrival] = nulls[E_credit] = ticket == NULL;
	if (ticket != NULL)
	{
		TimestampTz arrival = qms_row_time(ticket, T_effective_arrival);

		values[E_effective_arrival] = TimestampTzGetDatum(arrival);
		values[E_credit] = PointerGetDatum(qms_interval_make(arrival - sort_key));
	}
	values[E_sort_key] = Int64GetDatum(sort_key);
	values[E_weight] = Float8GetDatum(weight);
	values[E_score] = Float8GetDatum(score);
	values[E_chosen] = BoolGetDatum(ticket_id == event->ticket_id);
	values[E_reason] = CStringGetTextDatum(reason);
	qms_answer_row(call, values, nulls);
}

static double
json_float8(const Jsonb *object, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *v = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &object->root), key,
												 strlen(key), &buffer);

	if (v == NULL || v->type != jbvNumeric)
		return 0;
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(v->val.numeric)));
}

static const char *
reason_of(const CallEvent *event, bool chosen)
{
	if (strcmp(event->policy, "chosen") == 0)
		return "A clerk chose this ticket out of turn.";
	if (strcmp(event->policy, "walk_up") == 0)
		return "The customer stood at the counter without a ticket.";
	if (event->heads == NULL)
		return "It was the first in line that this counter may call.";
	if (strcmp(event->policy, "fifo") == 0)
		return chosen ? "It had the smallest sort_key." : "Another one had a smaller sort_key.";
	if (strcmp(event->policy, "strict") == 0)
		return chosen ? "Its source is the first that had anybody." : "Another source comes first.";
	if (strcmp(event->policy, "ratio") == 0)
		return chosen ? "Its source had the least pass." : "Another source had a smaller pass.";
	return chosen ? "Its weight times its waiting time was the largest." :
		"Weight times waiting time of another one was larger.";
}

static void
answer_heads(QmsCall *call, const CallEvent *event)
{
	JsonbIterator *it = JsonbIteratorInit(&event->heads->root);
	JsonbIteratorToken token;
	JsonbValue	v;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		Jsonb	   *head;
		int64		ticket_id = 0;
		int64		queue_id = 0;
		int64		class_id = 0;
		int64		sort_key = 0;

		if (token != WJB_ELEM)
			continue;
		head = JsonbValueToJsonb(&v);
		(void) qms_jsonb_int64(head, "ticket_id", &ticket_id);
		(void) qms_jsonb_int64(head, "queue_id", &queue_id);
		(void) qms_jsonb_int64(head, "customer_class_id", &class_id);
		(void) qms_jsonb_int64(head, "sort_key", &sort_key);
		answer_head(call, event, ticket_id, queue_id, class_id, sort_key, json_float8(head, "weight"),
					json_float8(head, "score"), reason_of(event, ticket_id == event->ticket_id));
	}
}

/* The last call of a ticket; false if it was never called. */
static bool
read_call(int64 ticket_id, CallEvent *event)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT at, counter_id, queue_id, data FROM qms.event WHERE ticket_id = $1 "
								   "AND kind IN ('ticket.called', 'ticket.serving') AND data ? 'policy' "
								   "ORDER BY event_id DESC LIMIT 1", INT8OID);
	QmsParams	params = {0};
	Jsonb	   *data;
	char	   *passed_while;
	bool		isnull;

	memset(event, 0, sizeof(*event));
	qms_param_int64(&params, ticket_id);
	if (qms_spi_run(&plan, &params) == 0)
		return false;
	event->ticket_id = ticket_id;
	event->at = qms_spi_time(0, 0);
	event->counter_id = qms_spi_int64(0, 1);
	event->queue_id = qms_spi_int64(0, 2);
	data = DatumGetJsonbPCopy(qms_spi_datum(0, 3, &isnull));
	event->policy = qms_jsonb_text(data, "policy");
	(void) qms_jsonb_int64(data, "sort_key", &event->sort_key);
	(void) qms_jsonb_int64(data, "passed_ticket_id", &event->passed);
	passed_while = qms_jsonb_text(data, "passed_while");
	event->passed_in_change = passed_while != NULL && strcmp(passed_while, "changed") == 0;
	event->heads = qms_jsonb_object(data, "heads");
	return true;
}

QMS_FUNCTION(explain_call, QMS_ACT_LOOK, QMS_SETOF)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	bool		ended;
	QmsTicket  *ticket = qms_ticket_read(ticket_id, &ended);
	CallEvent	event;

	if (ticket == NULL)
		qms_not_found("ticket", ticket_id);
	qms_ticket_gate(call, ticket);
	if (!read_call(ticket_id, &event))
		return qms_answer_none(call);
	if (event.heads != NULL)
		answer_heads(call, &event);
	else
		answer_head(call, &event, ticket_id, event.queue_id, 0, event.sort_key, 1.0,
					(double) event.sort_key, reason_of(&event, true));
	if (event.passed != 0)
		answer_head(call, &event, event.passed, event.queue_id, 0, 0, 1.0, 0,
					event.passed_in_change ? "It stood before, but its customer or a desk was just changing it or another ticket of its visit." :
					"It stood before, but another counter was just calling it or another ticket of its visit.");
	return qms_answer_none(call);
}
