-- Who comes into a waiting room: invitations, the challenge hook, rates, and a limiter for others.
\set VERBOSITY default
SET client_min_messages = warning;
SET qms.mock_now = '2030-01-07 09:00+00';
SET timezone = 'UTC';
SELECT organization_id AS org FROM qms.create_organization('Door') \gset
SELECT application_id AS app FROM qms.create_application(:org, 'Shop') \gset
SELECT queue_id AS q FROM qms.create_queue('Sale', application_id => :app, kind => 'release') \gset
CREATE SCHEMA door;
GRANT USAGE ON SCHEMA door TO PUBLIC;
CREATE FUNCTION door.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'fine';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN regexp_replace(format('%s: %s | %s | %s', sqlstate, message, detail, hint), '(queue|Queue) \d+', '\1 N');
END $$;
CREATE FUNCTION door.join(queue bigint, subject text DEFAULT NULL, challenge text DEFAULT NULL) RETURNS text LANGUAGE sql
AS $$ SELECT door.try(format('SELECT qms.join_queue(%s, subject => %L, challenge => %L)', queue, subject, challenge)) $$;
CREATE ROLE door_web LOGIN IN ROLE qms_customer;
CREATE ROLE door_clerk LOGIN IN ROLE qms_reception;
CREATE ROLE door_app LOGIN IN ROLE qms_app;
CREATE ROLE door_super LOGIN IN ROLE qms_super_admin;
SELECT FROM qms.bind_role('door_web', :org, kind => 'customer');
SELECT FROM qms.bind_role('door_clerk', :org, staff_id => (SELECT staff_id FROM qms.create_staff(:org, 'clerk', role => 'reception')));
SELECT FROM qms.bind_role('door_app', :org, application_id => :app);

-- invitations
SELECT settings FROM qms.update_queue(:q, settings => '{"invite_only": true}');
SELECT door.join(:q), door.join(:q, 'ann');
SELECT subjects FROM qms.invite(:q, '{ann,bob,ann,cy}');
SELECT subjects FROM qms.invite(:q, '{bob}', '2030-01-07 10:00+00');
SELECT * FROM qms.invitations(:q);
SELECT door.join(:q, 'ann'), door.join(:q, 'bob'), door.join(:q, 'Ann'), door.join(:q, '');
SELECT subjects FROM qms.withdraw_invitation(:q, '{ann,nobody}');
-- whoever is there stays, and is told the same again; not when he has left
SELECT door.join(:q, 'ann');
SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE queue_id = :q AND subject = 'ann';
SELECT door.join(:q, 'ann');
SET qms.mock_now = '2030-01-07 10:00+00';
SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE queue_id = :q AND subject = 'bob';
SELECT door.join(:q, 'bob'), door.join(:q, 'cy');
SELECT subject, is_there FROM qms.invitations(:q, max_rows => 1);
SELECT subject FROM qms.invitations(:q, after_subject => 'cy');
-- one that has expired is gone when others come
SELECT subjects FROM qms.invite(:q, '{dee}', request_id => '00000000-0000-0000-0000-0000000d0001');
SELECT subjects FROM qms.invite(:q, '{dee}', request_id => '00000000-0000-0000-0000-0000000d0001');
SELECT subject FROM qms_internal.invitation WHERE queue_id = :q ORDER BY subject;
SELECT door.try(format('SELECT qms.invite(%s, %L, %L)', :q, s, e)) FROM (VALUES ('{}'), (NULL), ('{a,NULL}'), ('{""}')) v (s), (VALUES (NULL::timestamptz)) w (e);
SELECT door.try(format('SELECT qms.invite(%s, ARRAY[repeat(''x'', 1001)])', :q)), door.try(format('SELECT qms.invite(%s, ''{a}'', ''2030-01-07 10:00+00'')', :q)), door.try('SELECT qms.invite(0, ''{a}'')'), door.try(format('SELECT qms.invitations(%s, max_rows => 0)', :q));
SELECT kind, data FROM qms.event WHERE queue_id = :q AND kind ~ 'invited' ORDER BY event_id;
SET SESSION AUTHORIZATION door_web;
SELECT door.try(format('SELECT qms.invite(%s, ''{a}'')', :q)) ~ '^42501' AS customer;
SET SESSION AUTHORIZATION door_clerk;
SELECT door.try(format('SELECT qms.invite(%s, ''{a}'')', :q)) AS clerk, door.join(:q) ~ '^QM311' AS not_he_either;
SET SESSION AUTHORIZATION door_app;
SELECT door.try(format('SELECT qms.invite(%s, ''{b}'')', :q)) AS application;
RESET SESSION AUTHORIZATION;
SELECT FROM qms.update_queue(:q, settings => '{"invite_only": null}');

-- a hook
CREATE TABLE door.asked (who name, challenge text, subject text);
GRANT INSERT ON door.asked TO door_web;
CREATE FUNCTION door.check(queue_id bigint, challenge text, subject text, address inet) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO door.asked VALUES (current_user, challenge, subject);
	RETURN CASE challenge WHEN 'error' THEN (1 / (subject IS NULL)::int = 0) WHEN 'null' THEN NULL WHEN 'role' THEN set_config('role', 'none', true) = '' ELSE challenge = 'open sesame' END;
END $$;
CREATE FUNCTION door.wrong(queue_id bigint, challenge text, subject text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION door.wrong_answer(queue_id bigint, challenge text, subject text, address inet) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION door.set_of(queue_id bigint, challenge text, subject text, address inet) RETURNS SETOF boolean LANGUAGE sql AS 'SELECT true';
SELECT * FROM qms.register_hook('sesame', 'door.check(bigint, text, text, inet)');
SELECT door.try(format('SELECT qms.register_hook(''x'', %L)', f)) FROM unnest(ARRAY[NULL, 'door.wrong(bigint,text,text)', 'door.wrong_answer(bigint,text,text,inet)', 'door.set_of(bigint,text,text,inet)', 'pg_catalog.now()']) f;
SELECT name, function FROM qms.hooks;
SELECT door.try(format('SELECT qms.update_queue(%s, settings => ''{"challenge": "barley"}'')', :q));
SELECT settings FROM qms.update_queue(:q, settings => '{"challenge": "sesame"}');
SELECT door.try('SELECT qms.delete_hook(''sesame'')'), door.try('SELECT qms.delete_hook(''barley'')');
SET SESSION AUTHORIZATION door_web;
SELECT door.join(:q), door.join(:q, challenge => 'open barley'), door.join(:q, challenge => 'null'), door.join(:q, 'zed', 'error'), door.join(:q, challenge => 'role') ~ '^QM312' AS cannot_become_others;
SELECT door.join(:q, 'zed', 'open sesame'), current_user, current_setting('role');
RESET SESSION AUTHORIZATION;
SELECT * FROM door.asked;
-- with the caller's rights: the application has none on that table
SET SESSION AUTHORIZATION door_app;
SELECT door.join(:q, 'ape', 'open sesame') ~ '^QM312' AS application;
-- whoever has people before him is not asked
SET SESSION AUTHORIZATION door_clerk;
SELECT door.join(:q);
-- no superuser of the server, no hook
SET SESSION AUTHORIZATION door_super;
SELECT door.try('SELECT qms.register_hook(''x'', ''door.check(bigint,text,text,inet)'')'), door.try('SELECT qms.delete_hook(''sesame'')') ~ '^42501' AS nor_delete;
RESET SESSION AUTHORIZATION;
-- gone, or another one: nobody comes in
ALTER FUNCTION door.check RENAME TO other;
SET SESSION AUTHORIZATION door_web;
SELECT door.join(:q, 'yan', 'open sesame') ~ '^QM312' AS gone;
RESET SESSION AUTHORIZATION;
SELECT * FROM qms.register_hook('sesame', 'door.other(bigint, text, text, inet)');
REVOKE EXECUTE ON FUNCTION door.other FROM PUBLIC;
SET SESSION AUTHORIZATION door_web;
SELECT door.join(:q, 'yan', 'open sesame') ~ '^QM312' AS not_for_him;
RESET SESSION AUTHORIZATION;
GRANT EXECUTE ON FUNCTION door.other TO door_web;
SET SESSION AUTHORIZATION door_web;
SELECT door.join(:q, 'yan', 'open sesame');
RESET SESSION AUTHORIZATION;
SELECT FROM qms.update_queue(:q, settings => '{"challenge": null}');
SELECT * FROM qms.delete_hook('sesame');

-- rates of the queue, beside those of the organization
SELECT door.try(format('SELECT qms.update_queue(%s, settings => ''{"join_subject": "often"}'')', :q));
SELECT settings FROM qms.update_queue(:q, settings => '{"join_subject": "2/min", "join_address": "3/min"}');
CREATE ROLE door_gate LOGIN NOINHERIT IN ROLE qms_authenticator, qms_customer;
SET request.jwt.claims = '';
SET SESSION AUTHORIZATION door_gate;
SET ROLE qms_customer;
SET qms.client_address = '203.0.113.7';
SELECT door.join(:q, 'xen'), door.join(:q, 'xen'), door.join(:q, 'xen');
SELECT door.join(:q), door.join(:q);
SET qms.client_address = '203.0.113.8';
SELECT door.join(:q), door.join(:q, 'xen') ~ '^QM220' AS still;
RESET qms.client_address;
RESET ROLE;
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;

-- a limiter for others
SET SESSION AUTHORIZATION door_app;
SELECT l.* FROM generate_series(1, 4) n, LATERAL qms.take_limit('checkout:anna', CASE WHEN n > 0 THEN '3/h' END) l;
SELECT * FROM qms.take_limit('checkout:bob', '3/h');
SELECT * FROM qms.take_limit('checkout:anna', 'off');
BEGIN;
SELECT allowed FROM qms.take_limit('roll', '1/d');
ROLLBACK;
SELECT allowed FROM qms.take_limit('roll', '1/d');
SELECT door.try(format('SELECT qms.take_limit(%L, %L)', b, a)) FROM (VALUES ('x', '3'), ('x', '0/h'), ('', '1/h'), (repeat('x', 201), '1/h'), (NULL, '1/h')) v (b, a);
SET SESSION AUTHORIZATION door_web;
SELECT door.try('SELECT qms.take_limit(''x'', ''1/h'')') ~ '^42501' AS not_for_customers;
RESET SESSION AUTHORIZATION;
-- of another organization: another bucket
SELECT * FROM qms.take_limit('checkout:anna', '3/h');
-- a queue that is deleted invites nobody
SELECT count(qms.cancel_ticket(ticket_id)) > 0 AS emptied FROM qms.ticket WHERE queue_id = :q;
SELECT FROM qms.delete_queue(:q);
SELECT count(*) AS invited FROM qms_internal.invitation WHERE queue_id = :q;
DROP SCHEMA door CASCADE;
