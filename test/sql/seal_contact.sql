-- Contacts: stored sealed, shown to those who need them, found however they are written.
\set base 310000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT staff_id AS eve FROM qms.create_staff(:org, 'eve', role => 'reception') \gset
SELECT staff_id AS carl FROM qms.create_staff(:org, 'carl', role => 'caller') \gset
SELECT staff_id AS dora FROM qms.create_staff(:org, 'dora', role => 'servicer', permissions => '{"grant": ["customer.find"]}') \gset
SELECT staff_id AS erik FROM qms.create_staff(:org, 'erik', role => 'reception', permissions => '{"deny": ["customer.*"]}') \gset
SELECT application_id AS shop FROM qms.create_application(:org, 'Shop') \gset
SELECT queue_id AS sale FROM qms.create_queue('Sale', application_id => :shop, kind => 'release') \gset
CREATE ROLE seal_reception IN ROLE qms_reception; CREATE ROLE seal_servicer IN ROLE qms_servicer; CREATE ROLE seal_caller IN ROLE qms_caller;
CREATE ROLE seal_granted IN ROLE qms_servicer; CREATE ROLE seal_denied IN ROLE qms_reception; CREATE ROLE seal_shop IN ROLE qms_app; CREATE ROLE seal_admin IN ROLE qms_admin;
SELECT kind FROM qms.bind_role('seal_reception', :org, staff_id => :eve);
SELECT kind FROM qms.bind_role('seal_servicer', :org, staff_id => :ada);
SELECT kind FROM qms.bind_role('seal_caller', :org, staff_id => :carl);
SELECT kind FROM qms.bind_role('seal_granted', :org, staff_id => :dora);
SELECT kind FROM qms.bind_role('seal_denied', :org, staff_id => :erik);
SELECT kind FROM qms.bind_role('seal_shop', :org, application_id => :shop);
SELECT kind FROM qms.bind_role('seal_admin', :org, kind => 'admin');

SELECT ticket_id AS t, visit_id AS v, token FROM qms.join_queue(queue_id => :qa, contact => '{"phone": "+49 170 / 555-1234", "mail": "Eva@Example.org"}', request_id => '00000000-0000-4000-8000-000000000031') \gset
SELECT ticket_id AS s FROM qms.join_queue(queue_id => :sale, contact => '{"phone": "+49 30 9"}') \gset
SELECT jsonb_object_keys(contact) AS key, contact->>'sealed' ~ '^1\.t\d+\.[A-Za-z0-9+/]{40,}=*$' AS sealed, jsonb_array_length(contact->'find') AS find FROM qms.ticket WHERE ticket_id = :t;
SELECT count(*) FROM qms.ticket t WHERE t::text ~* '5551234|555-1234|example';
-- the same contact twice: nothing is the same but what it is found by
SELECT ticket_id AS u FROM qms.join_queue(queue_id => :qa, contact => '{"phone": "0049 170 5551234", "mail": "eva@example.org "}') \gset
SELECT a.contact->'sealed' = b.contact->'sealed' AS same_seal, a.contact->'find' = b.contact->'find' AS same_find FROM qms.ticket a, qms.ticket b WHERE a.ticket_id = :t AND b.ticket_id = :u;
-- in another organization the same number is found by another key
SELECT o.organization_id AS other FROM qms.create_organization('Other ' || :base) o \gset
SELECT queue_id AS oq FROM qms.create_branch(:other, 'B') b, qms.create_queue('Q', b.branch_id) \gset
SELECT ticket_id AS x FROM qms.join_queue(queue_id => :oq, contact => '{"phone": "+49 170 5551234"}') \gset
SELECT a.contact->'find' ?| ARRAY(SELECT jsonb_array_elements_text(b.contact->'find')) AS same_find FROM qms.ticket a, qms.ticket b WHERE a.ticket_id = :t AND b.ticket_id = :x;

-- who sees it
CREATE FUNCTION test.sees(who name, ticket bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	PERFORM set_config('role', who, true);
	SELECT coalesce(contact::text, '-') INTO answer FROM qms.get_ticket(ticket);
	RETURN coalesce(answer, 'no row');
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;
GRANT EXECUTE ON FUNCTION test.sees TO PUBLIC;
SELECT who, test.sees(who, :t) AS counter_ticket, test.sees(who, :s) AS shop_ticket
FROM unnest('{seal_admin,seal_reception,seal_granted,seal_denied,seal_servicer,seal_caller,seal_shop}'::name[]) who;
RESET ROLE;
SET ROLE seal_servicer;
SELECT number, contact FROM qms.waiting_list(queue_id => :qa) ORDER BY place;
SELECT status FROM qms.open_counter(:c1);
SELECT number, contact FROM qms.call_next(:c1);
SELECT contact FROM qms.start_service(:c1);
SELECT contact FROM qms.get_ticket(:t);
SELECT contact FROM qms.get_ticket(:u);
-- what he cannot see he cannot find, also while he serves it
SELECT count(*) FROM qms.find_tickets(:hall, '5551234');
SELECT count(*) FROM qms.find_tickets(:hall, 'eva@example.org');
SELECT state, contact FROM qms.complete_service(:c1);
SELECT contact FROM qms.get_ticket(:t);
RESET ROLE;
SET ROLE seal_caller;
SELECT status FROM qms.open_counter(:c2);
SELECT number, contact FROM qms.call_next(:c2);
RESET ROLE;
SELECT state, contact FROM qms.complete_service(:c2);
-- in history it is the same value, and opens there
SELECT test.sees('seal_reception', :t), test.sees('seal_servicer', :t);
SELECT h.contact->>'sealed' ~ '^1\.t' AS sealed FROM qms.ticket_history h WHERE ticket_id = :t;

-- found by reception: exactly, however it is written, and by pieces
SET ROLE seal_reception;
SELECT query, (SELECT count(*) FROM qms.find_tickets(:hall, query)) FROM unnest(ARRAY['+49 170 5551234', '0049-170-5551234', '0170 5551234', '555-1234', '5551', 'EVA@example.ORG', 'eva@', 'example', '9999999', '170', 'xyz']) query;
RESET ROLE;

-- the person himself, by his token
SET ROLE seal_servicer;
SELECT * FROM qms.personal_data(:'token');
RESET ROLE;
SELECT state, subject, contact, metadata, ended_at IS NULL AS open FROM qms.personal_data(:'token');
SELECT * FROM qms.personal_data(NULL);

-- changed, and with a second ticket of the visit
SELECT state FROM qms.reinstate_ticket(:u);
SELECT contact FROM qms.update_ticket(:u, contact => '{"phone": 12345678}');
SELECT ticket_id AS w, token FROM qms.join_queue(queue_id => :qb, contact => '{"phone": "1"}') \gset
SELECT number FROM qms.join_queue(queue_id => :qa, contact => '{"phone": "2222222"}', visit_token => :'token');
SELECT contact->>'sealed' ~ '^1\.t' AS sealed FROM qms.visit WHERE visit_id = :w;
SELECT contact FROM qms.personal_data(:'token');
-- back from the past, by reinstatement and by undo
SELECT contact FROM qms.reinstate_ticket(:t);
SELECT number, contact FROM qms.call_ticket(:c1, :t);
SELECT state, contact FROM qms.complete_service(:c1);
SELECT state, contact FROM qms.undo(:c1);
-- words of our own are refused, and so is what is no object
SELECT qms.join_queue(queue_id => :qa, contact => '{"sealed": "1.t1.AAAA"}');
SELECT qms.update_ticket(:u, contact => '{"sealed": null}');
SELECT contact FROM qms.update_ticket(:u, contact => '{}');

-- stored answers of repeated requests are sealed as well, and open again
SELECT contact FROM qms.update_ticket(:u, contact => '{"phone": "777 888 999"}', request_id => '00000000-0000-4000-8000-000000000032');
SELECT contact FROM qms.update_ticket(:u, contact => '{"phone": "777 888 999"}', request_id => '00000000-0000-4000-8000-000000000032');
SELECT count(*) AS requests, count(*) FILTER (WHERE r::text ~ '777|5551234') AS in_clear FROM qms_internal.request r WHERE organization_id = :org;
-- and no event has any of it
SELECT count(*) > 10 AS events, count(*) FILTER (WHERE e::text ~* '5551234|555-1234|777 888|example\.org') AS in_clear FROM qms.event e WHERE organization_id = :org;

-- copied, cut, changed, of another row: an error for whoever asks for it, a warning elsewhere, never garbage
SET client_min_messages = warning;
UPDATE qms.ticket a SET contact = b.contact FROM qms.ticket b WHERE a.ticket_id = :w AND b.ticket_id = :u;
SELECT contact FROM qms.get_ticket(:w);
SELECT count(*), count(contact) FROM qms.waiting_list(queue_id => :qb);
UPDATE qms.ticket SET contact = jsonb_build_object('sealed', left(contact->>'sealed', -5)) WHERE ticket_id = :w;
SELECT contact FROM qms.get_ticket(:w);
UPDATE qms.ticket SET contact = '{"sealed": "1.t1."}' WHERE ticket_id = :w;
SELECT contact FROM qms.get_ticket(:w);
UPDATE qms.ticket SET contact = '{"sealed": "something"}' WHERE ticket_id = :w;
SELECT contact FROM qms.get_ticket(:w);
UPDATE qms.ticket SET contact = '{"sealed": "1.t60000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}' WHERE ticket_id = :w;
SELECT contact FROM qms.get_ticket(:w);
UPDATE qms.ticket SET contact = '{"sealed": "2.t1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}' WHERE ticket_id = :w;
SELECT contact FROM qms.get_ticket(:w);
-- a call does not stop for it
SELECT status FROM qms.open_counter(:c3);
SELECT number, contact FROM qms.call_next(:c3);
SET client_min_messages = error;
-- what is stored in clear, by whoever wrote it there, can be read
UPDATE qms.ticket SET contact = '{"phone": "4"}' WHERE ticket_id = :w;
SELECT contact FROM qms.get_ticket(:w);

DROP OWNED BY seal_reception, seal_servicer, seal_caller, seal_granted, seal_denied, seal_shop, seal_admin;
DROP ROLE seal_reception, seal_servicer, seal_caller, seal_granted, seal_denied, seal_shop, seal_admin;
SELECT * FROM test.broken();
