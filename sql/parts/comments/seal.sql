/* Comments on the audit trail and personal data. */
COMMENT ON COLUMN qms.customer.find IS 'Keyed hashes of name and addresses, to find by; nothing is to be read from them.';

COMMENT ON TABLE qms_internal.customer_ticket IS 'Which tickets, open or past, are those of a known customer.';
COMMENT ON COLUMN qms_internal.customer_ticket.customer_id IS 'Customer.';
COMMENT ON COLUMN qms_internal.customer_ticket.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.customer_ticket.ticket_id IS 'Ticket.';
COMMENT ON COLUMN qms_internal.customer_ticket.linked_at IS 'When it was said that it is his.';

COMMENT ON TABLE qms_internal.wiped IS 'How far the history of each queue has been wiped of personal data, where the organization sets personal_data_retention.';
COMMENT ON COLUMN qms_internal.wiped.queue_id IS 'Queue.';
COMMENT ON COLUMN qms_internal.wiped.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.wiped.wiped_until IS 'What ended before this moment has no personal data any more.';

COMMENT ON TABLE qms_internal.reseal IS 'How far what was sealed with older keys has been sealed anew. One row, or none.';
COMMENT ON COLUMN qms_internal.reseal.only_row IS 'True: there is at most one row.';
COMMENT ON COLUMN qms_internal.reseal.keys IS 'The keys that values are sealed with: for the data / to find by; off: sealing is off.';
COMMENT ON COLUMN qms_internal.reseal.horizon IS 'Transactions before this one may have sealed with older keys, and be running still.';
COMMENT ON COLUMN qms_internal.reseal.seen_at IS 'When the keys were seen first, by the real clock: a session may know an older file for a second.';
COMMENT ON COLUMN qms_internal.reseal.pass IS '1, or 2: all is walked through once more, because somebody was at work when the first pass began.';
COMMENT ON COLUMN qms_internal.reseal.settled IS 'True: nobody who could seal with older keys was at work any more when this pass began.';
COMMENT ON COLUMN qms_internal.reseal.stage IS 'Table that is walked through: 0 ticket, 1 visit, 2 customer, 3 ticket_history, 4 done.';
COMMENT ON COLUMN qms_internal.reseal.after_id IS 'Last row of it that was looked at.';
COMMENT ON COLUMN qms_internal.reseal.resealed IS 'How many values were sealed anew.';
COMMENT ON COLUMN qms_internal.reseal.failed IS 'How many did not open.';

COMMENT ON TYPE qms.audit_event IS 'An event with everything that is known of who did it and from where.';
COMMENT ON COLUMN qms.audit_event.event_id IS 'Id; pages are in its order.';
COMMENT ON COLUMN qms.audit_event.at IS 'When it happened.';
COMMENT ON COLUMN qms.audit_event.kind IS 'What happened, such as ticket.called.';
COMMENT ON COLUMN qms.audit_event.organization_id IS 'Organization; 0: of the whole installation.';
COMMENT ON COLUMN qms.audit_event.branch_id IS 'Branch, if any.';
COMMENT ON COLUMN qms.audit_event.application_id IS 'Application, if any.';
COMMENT ON COLUMN qms.audit_event.queue_id IS 'Queue, if any.';
COMMENT ON COLUMN qms.audit_event.visit_id IS 'Visit, if any.';
COMMENT ON COLUMN qms.audit_event.ticket_id IS 'Ticket, if any.';
COMMENT ON COLUMN qms.audit_event.number IS 'Number of the ticket.';
COMMENT ON COLUMN qms.audit_event.state IS 'State after the event.';
COMMENT ON COLUMN qms.audit_event.version IS 'Version of the ticket after the event.';
COMMENT ON COLUMN qms.audit_event.counter_id IS 'Counter, if any.';
COMMENT ON COLUMN qms.audit_event.staff_id IS 'Staff member concerned, if any.';
COMMENT ON COLUMN qms.audit_event.actor_kind IS 'Kind of principal who did it: superuser, admin, staff, application, kiosk, display, customer, nobody, or system.';
COMMENT ON COLUMN qms.audit_event.actor_id IS 'Staff member, application, device or customer who did it; null: has no id.';
COMMENT ON COLUMN qms.audit_event.actor_role IS 'Role of the principal.';
COMMENT ON COLUMN qms.audit_event.session_role IS 'Login of the database session; null: a worker.';
COMMENT ON COLUMN qms.audit_event.api_key_id IS 'API key that it came with; null: none.';
COMMENT ON COLUMN qms.audit_event.address IS 'Network address of the client; null: local or not known.';
COMMENT ON COLUMN qms.audit_event.application_name IS 'application_name of the database session, as it says itself.';
COMMENT ON COLUMN qms.audit_event.user_agent IS 'Program of the client, as the header of its request says.';
COMMENT ON COLUMN qms.audit_event.request_id IS 'request_id of the call, if any.';
COMMENT ON COLUMN qms.audit_event.data IS 'Further values, by kind; before and values for changes of configuration.';

COMMENT ON TYPE qms.customer_details IS 'A customer in clear.';
COMMENT ON COLUMN qms.customer_details.customer_id IS 'Customer.';
COMMENT ON COLUMN qms.customer_details.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.customer_details.name IS 'Name; null: not given.';
COMMENT ON COLUMN qms.customer_details.contact IS 'Ways to reach the person: {kind: address}; null: none.';
COMMENT ON COLUMN qms.customer_details.language IS 'Preferred language; null: not said.';
COMMENT ON COLUMN qms.customer_details.external_subject IS 'Id of the person in another system; null: none.';
COMMENT ON COLUMN qms.customer_details.metadata IS 'Whatever the organization keeps about the person.';
COMMENT ON COLUMN qms.customer_details.created_at IS 'When he became known.';
COMMENT ON COLUMN qms.customer_details.updated_at IS 'When something was changed last.';

COMMENT ON TYPE qms.anonymization IS 'What was forgotten.';
COMMENT ON COLUMN qms.anonymization.customer_id IS 'Customer; null: a visit was forgotten.';
COMMENT ON COLUMN qms.anonymization.visit_id IS 'Visit; null: a customer was forgotten.';
COMMENT ON COLUMN qms.anonymization.tickets IS 'Tickets that had personal data.';
COMMENT ON COLUMN qms.anonymization.visits IS 'Visits of several tickets that had.';
COMMENT ON COLUMN qms.anonymization.answers IS 'Stored answers of repeatable requests that named them.';

COMMENT ON TYPE qms.personal_ticket IS 'What is kept of a person with one of his tickets.';
COMMENT ON COLUMN qms.personal_ticket.ticket_id IS 'Ticket.';
COMMENT ON COLUMN qms.personal_ticket.number IS 'Its number.';
COMMENT ON COLUMN qms.personal_ticket.state IS 'Its state.';
COMMENT ON COLUMN qms.personal_ticket.joined_at IS 'When he joined.';
COMMENT ON COLUMN qms.personal_ticket.ended_at IS 'When it ended; null: it is open.';
COMMENT ON COLUMN qms.personal_ticket.language IS 'Language; null: not said.';
COMMENT ON COLUMN qms.personal_ticket.subject IS 'Subject; null: none.';
COMMENT ON COLUMN qms.personal_ticket.contact IS 'Contact; null: none.';
COMMENT ON COLUMN qms.personal_ticket.metadata IS 'Metadata.';

COMMENT ON TYPE qms.reseal_progress IS 'How far sealing anew is.';
COMMENT ON COLUMN qms.reseal_progress.keys IS 'Keys of now: for the data / to find by; off: sealing is off; null: there are none.';
COMMENT ON COLUMN qms.reseal_progress.table_name IS 'Table that comes next; null: done.';
COMMENT ON COLUMN qms.reseal_progress.resealed IS 'Values sealed anew since the keys changed.';
COMMENT ON COLUMN qms.reseal_progress.failed IS 'Values that did not open.';
COMMENT ON COLUMN qms.reseal_progress.done IS 'True: nothing is left with an older key, but stored answers of the last two days.';
