-- Forgetting somebody: what counts stays as it is.
\set base 330000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

-- Everything that figures are made of, of this organization, as one row per table; and what the functions answer.
CREATE FUNCTION test.figures() RETURNS TABLE (what text, hash text) LANGUAGE sql AS $$
	WITH o AS (SELECT current_setting('test.org')::bigint AS id)
	SELECT 'history', md5(string_agg(row(ticket_id, branch_id, queue_id, service_id, customer_class_id, visit_id, number, service_day, state, leg, priority, credit, effective_arrival, sort_key,
		joined_at, entered_at, called_at, started_at, counter_id, staff_id, staff_session_id, calls, recalls, defers, quoted_p50, language, ended_at, ended_from, outcome)::text, ',' ORDER BY ticket_id)) FROM qms.ticket_history, o WHERE organization_id = o.id
	UNION ALL SELECT 'legs', md5(string_agg(row(ticket_id, leg, queue_id, service_id, entered_at, called_at, started_at, left_at, counter_id)::text, ',' ORDER BY ticket_id, leg)) FROM qms.ticket_leg, o WHERE organization_id = o.id
	UNION ALL SELECT 'open', md5(string_agg(row(ticket_id, queue_id, number, state, sort_key, credit, entered_at, counter_id)::text, ',' ORDER BY ticket_id)) FROM qms.ticket, o WHERE organization_id = o.id
	UNION ALL SELECT 'sessions', md5(string_agg(row(counter_id, tickets_called, tickets_served, service_time)::text, ',' ORDER BY counter_id)) FROM qms.staff_session, o WHERE organization_id = o.id
	UNION ALL SELECT 'status', md5(string_agg(s::text, ',' ORDER BY s.queue_id)) FROM qms.branch b, o, qms.branch_status(b.branch_id) s WHERE b.organization_id = o.id
	UNION ALL SELECT 'events', md5(string_agg(row(event_id, kind, queue_id, ticket_id, number, state, counter_id, at, data)::text, ',' ORDER BY event_id)) FROM qms.event, o WHERE organization_id = o.id AND kind NOT IN ('ticket.updated', 'customer.anonymized', 'visit.anonymized') $$;

SELECT customer_id AS eva FROM qms.create_customer(:org, 'Eva', '{"phone": "+49 170 5551234"}', 'de', 'E-1') \gset
SELECT customer_id AS bob FROM qms.create_customer(:org, 'Bob', '{"phone": "+49 170 5550000"}', external_subject => 'B-1') \gset
SELECT count(qms.open_counter(:c1));
-- Eva: one served (by subject), one transferred and served (linked), one cancelled in words, one open, one that is served now; Bob and somebody else beside her
SELECT ticket_id AS e1 FROM qms.join_queue(queue_id => :qa, subject => 'E-1', contact => '{"phone": "+49 170 5551234"}', metadata => '{"form": 7}', language => 'de', service_id => :passports) \gset
SELECT ticket_id AS b1 FROM qms.join_queue(queue_id => :qa, subject => 'B-1', contact => '{"phone": "+49 170 5550000"}', metadata => '{"form": 8}') \gset
SELECT ticket_id AS n1 FROM qms.join_queue(queue_id => :qa, contact => '{"phone": "+49 170 5559999"}') \gset
SET qms.mock_now = '2026-03-02 09:10+01';
SELECT number FROM qms.call_next(:c1);
SET qms.mock_now = '2026-03-02 09:15+01';
SELECT state FROM qms.complete_service(:c1, 'done', 'Eva was here', request_id => '00000000-0000-4000-8000-000000000041');
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.complete_service(:c1, 'done', 'Bob was here');
SELECT ticket_id AS e2, token FROM qms.join_queue(queue_id => :qa, service_id => :advice) \gset
SELECT customer_id = :eva AS eva, notes FROM qms.update_ticket(:e2, customer_id => :eva, notes => 'deaf', request_id => '00000000-0000-4000-8000-000000000042');
SELECT number, leg FROM qms.transfer_ticket(:e2, :qb, note => 'Eva has the form');
SELECT count(qms.call_ticket(:c1, :e2));
SELECT count(qms.complete_service(:c1));
SELECT ticket_id AS e3 FROM qms.join_queue(queue_id => :qb, subject => 'E-1') \gset
SELECT state, hold_reason FROM qms.hold_ticket(:e3, 'Eva is outside');
SELECT state, end_reason FROM qms.cancel_ticket(:e3, 'Eva phoned');
SELECT ticket_id AS e4, token AS e4_token FROM qms.join_queue(queue_id => :qa, subject => 'E-1', contact => '{"phone": "+49 170 5551234"}', metadata => '{"form": 9}') \gset
SELECT number FROM qms.join_queue(queue_id => :qb, visit_token => :'e4_token', contact => '{"phone": "+49 170 5551234"}');
CREATE TEMP TABLE before AS SELECT * FROM test.figures();

SELECT customer_id = :eva AS eva, visit_id, tickets, visits, answers FROM qms.anonymize_customer(:eva);
-- not one figure is another
SELECT b.what, b.hash = a.hash AS same FROM before b JOIN test.figures() a USING (what) ORDER BY what;
-- nothing of her is left, and all of the others
SELECT name, contact, find, language, external_subject, metadata, deleted_at IS NOT NULL AS deleted FROM qms.customer WHERE customer_id = :eva;
SELECT number, state, contact, subject, customer_id, notes, metadata, hold_reason, end_reason, outcome FROM qms.ticket_history WHERE ticket_id IN (:e1, :e2, :e3) ORDER BY ticket_id;
SELECT number, state, contact, subject, customer_id, metadata FROM qms.ticket WHERE ticket_id = :e4;
SELECT count(*) FROM qms.visit WHERE organization_id = :org AND (contact IS NOT NULL OR metadata <> '{}');
SELECT count(*) FROM qms.ticket_leg WHERE organization_id = :org AND note IS NOT NULL;
SELECT count(*) FROM qms_internal.customer_ticket WHERE customer_id = :eva;
SELECT count(*) FROM qms_internal.request r WHERE organization_id = :org AND r::text ~ 'Eva|deaf|E-1';
SELECT notes, subject, contact FROM qms.get_ticket(:b1);
SELECT contact FROM qms.get_ticket(:n1);
-- the second ticket of her visit was hers as well, though nothing of the customer was on it
SELECT count(*), count(contact) FROM qms.personal_data(:'e4_token');
-- somebody who is no known customer, by the visit
SELECT visit_id AS v FROM qms.ticket_history WHERE ticket_id = :b1 \gset
SELECT customer_id, visit_id = :v AS v, tickets, visits FROM qms.anonymize_visit(:v);
SELECT notes, subject, contact FROM qms.get_ticket(:b1);
SELECT b.what, b.hash = a.hash AS same FROM before b JOIN test.figures() a USING (what) ORDER BY what;
-- her place is still hers, and she is called
SELECT state FROM qms.ticket_status(:'e4_token');
-- a repeated request still has one effect, and answers what may be answered
SELECT state, notes, contact FROM qms.complete_service(:c1, 'done', 'Eva was here', request_id => '00000000-0000-4000-8000-000000000041');
SELECT notes, customer_id FROM qms.update_ticket(:e2, customer_id => :eva, notes => 'deaf', request_id => '00000000-0000-4000-8000-000000000042');
-- twice does no harm
SELECT tickets, visits, answers FROM qms.anonymize_customer(:eva);
SELECT tickets, visits, answers FROM qms.anonymize_visit(:v);
SELECT qms.anonymize_customer(999999999);
SELECT qms.anonymize_visit(999999999);
SELECT kind, data - 'customer_id' AS data FROM qms.event WHERE organization_id = :org AND kind ~ 'anonymized' ORDER BY event_id;

-- the setting, and what it takes
SELECT settings FROM qms.update_organization(:org, settings => '{"personal_data_retention": "90 days"}');
SELECT settings FROM qms.update_organization(:org, settings => '{"personal_data_retention": 864000}');
SELECT qms.update_organization(:org, settings => '{"personal_data_retention": "2 days"}');
SELECT qms.update_organization(:org, settings => '{"personal_data_retention": "1 month"}');
SELECT qms.update_organization(:org, settings => '{"personal_data_retention": true}');
SELECT qms.create_organization('x', settings => '{"personal_data_retention": "soon"}');
SELECT settings FROM qms.update_organization(:org, settings => '{"personal_data_retention": null}');
SELECT * FROM test.broken();
