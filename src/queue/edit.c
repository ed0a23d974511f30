/*
 * edit.c
 *		update_ticket and get_ticket.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"

static const int shared_arguments[][2] = {{4, T_language}, {7, T_notes}};

QMS_FUNCTION(get_ticket, QMS_ACT_LOOK, QMS_SETOF)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	bool		ended;
	QmsTicket  *ticket = qms_ticket_read(ticket_id, &ended);

	if (ticket == NULL || (call->who->organization_id != 0 &&
						   call->who->organization_id != qms_row_int64(ticket, T_organization_id)))
		return qms_answer_none(call);
	qms_ticket_gate(call, ticket);
	return qms_ticket_answer(call, ticket);
}

/* Class, priority and service: they move the ticket by the difference of credits. */
static void
change_credit(QmsCall *call, QmsTicket *ticket, QmsQueue *queue)
{
	int64		before = qms_ticket_credit(ticket, queue);
	int64		service_id = qms_arg_id_or_0(call, 3, "service_id");
	int32		priority = qms_arg_int32(call, 2, qms_row_int32(ticket, T_priority));

	if (!qms_arg_isnull(call, 1))
	{
		char	   *name = qms_arg_text(call, 1, "customer_class");
		QmsClass   *class = qms_config_class(queue->organization_id, name);

		if (class == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_QMS_NOT_FOUND),
					 errmsg("customer class \"%s\" does not exist", name),
					 errdetail("Classes belong to an organization; upper and lower case differ."),
					 errhint("The view qms.customer_classes lists the classes of the organization.")));
		qms_row_set_id(ticket, T_customer_class_id, class->customer_class_id);
	}
	if (priority < 0 || priority > 10)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("priority must be from 0 to 10, not %d", priority),
				 errdetail("Each step is worth priority_step of the queue."),
				 errhint("0 is the usual priority.")));
	qms_row_set_int32(ticket, T_priority, priority);
	if (service_id != 0)
		qms_ticket_set_service(ticket, queue, service_id, "Transfer the ticket to a queue that does.");
	qms_ticket_set_key(ticket, qms_row_int64(ticket, T_sort_key) + before - qms_ticket_credit(ticket, queue));
}

QMS_FUNCTION(update_ticket, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	int64		ticket_id = qms_arg_id(call, 0, "ticket_id");
	Jsonb	   *contact = qms_arg_jsonb(call, 5, "contact");
	Jsonb	   *metadata = qms_arg_jsonb(call, 6, "metadata");
	QmsTicket  *ticket = qms_ticket_lock(call, ticket_id, true);
	QmsQueue   *queue = qms_config_queue(qms_row_int64(ticket, T_queue_id));
	QmsJson		json;
	size_t		i;

	if (queue != NULL)
		change_credit(call, ticket, queue);
	for (i = 0; i < lengthof(shared_arguments); i++)
	{
		char	   *value = qms_arg_text_or_null(call, shared_arguments[i][0]);

		if (value != NULL)
			qms_row_set_text(ticket, shared_arguments[i][1], value);
	}
	if (contact != NULL)
		qms_ticket_set_contact(ticket, contact);
	if (metadata != NULL)
		qms_row_set_pointer(ticket, T_metadata, metadata);
	if (!qms_arg_isnull(call, 8))
		qms_ticket_set_customer(call, ticket, qms_arg_id(call, 8, "customer_id"), true);
	qms_ticket_store(ticket);
	qms_json_begin(&json);
	qms_ticket_order_json(&json, ticket);
	qms_ticket_event(call, ticket, "ticket.updated", qms_json_end(&json), 0);
	return qms_ticket_answer(call, ticket);
}
