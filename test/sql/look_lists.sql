-- What staff and the public look at: lists, searches, overviews.  Two organizations, by SQL.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
-- alone in its database, whatever ran before
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
SET qms.mock_now = '2026-03-02 10:00:00+00';	-- a Monday, 11:00 in Berlin

INSERT INTO qms.organization (organization_id, name, slug, time_zone) VALUES (1, 'City', 'city', 'Europe/Berlin'), (2, 'Other', 'other', 'UTC');
INSERT INTO qms.branch (branch_id, organization_id, name, slug, names, networks) VALUES
	(11, 1, 'Town Hall', 'hall', '{"de": "Rathaus"}', '{10.0.0.0/8}'), (12, 1, 'Library', 'library', '{}', '{}'), (21, 2, 'Desk', 'hall', '{}', '{}');
INSERT INTO qms.branch (branch_id, organization_id, name, slug, deleted_at) VALUES (13, 1, 'Old', 'old', now());
INSERT INTO qms.zone (zone_id, organization_id, branch_id, name) VALUES (111, 1, 11, 'Ground floor');
INSERT INTO qms.service (service_id, organization_id, name, slug, expected_duration) VALUES (101, 1, 'Passports', 'passports', '10 min'), (102, 1, 'Audit', 'audit', NULL);
INSERT INTO qms.queue (queue_id, organization_id, branch_id, name, slug, prefix, settings, by_class) VALUES
	(1001, 1, 11, 'Passports', 'passports', 'A', '{}', true), (1002, 1, 11, 'Cars', 'cars', 'B', '{}', false),
	(1003, 1, 11, 'Audit', 'audit', 'C', '{"public": false}', false), (1004, 1, 12, 'Books', 'books', 'A', '{}', false), (2001, 2, 21, 'Desk', 'desk', 'A', '{}', false);
INSERT INTO qms.service_offer (organization_id, branch_id, service_id, queue_id, is_default) VALUES (1, 11, 101, 1001, true), (1, 11, 102, 1003, true);
INSERT INTO qms.customer_class (customer_class_id, organization_id, name, self_service) VALUES (501, 1, 'regular', true), (502, 1, 'vip', false), (601, 2, 'regular', true);
INSERT INTO qms.counter (counter_id, organization_id, branch_id, zone_id, name, slug, queue_ids) VALUES
	(31, 1, 11, 111, 'Counter 1', '1', '{1001,1002}'), (32, 1, 11, NULL, 'Counter 2', '2', '{1001}'), (33, 1, 11, NULL, 'Counter 3', '3', '{1001}'), (41, 2, 21, NULL, 'Desk', '1', '{2001}');
INSERT INTO qms.counter_profile (counter_profile_id, organization_id, branch_id, name, blind, sources) VALUES
	(71, 1, 11, 'blind', true, NULL), (72, 1, 11, 'vip first', false, '[{"queue_id": 1001, "customer_class": "vip"}, {"queue_id": 1002}, {"queue_id": 1002, "customer_class": "vip"}]');
INSERT INTO qms.staff (staff_id, organization_id, username, display_name, role, branch_ids) VALUES
	(81, 1, 'ada', 'Ada', 'servicer', '{11}'), (82, 1, 'ben', 'Ben', 'servicer', '{}'), (83, 1, 'cy', 'Cy', 'servicer', '{12}'), (84, 1, 'dan', 'Dan', 'admin', '{}');
INSERT INTO qms.opening_hours (organization_id, branch_id, queue_id, weekday, opens, closes) VALUES
	(1, 11, NULL, 1, '08:00', '12:00'), (1, 11, NULL, 1, '13:00', '24:00'), (1, NULL, 1002, 1, '08:00', '10:30'), (1, NULL, 1003, 2, '08:00', '10:30');
INSERT INTO qms.closure (organization_id, branch_id, during, reason) VALUES
	(1, 11, '[2026-03-02 17:00+00, 2026-03-03 23:00+00)', 'Carnival'), (1, 11, '[2026-12-25 00:00+01, 2026-12-26 00:00+01)', 'Christmas');
INSERT INTO qms.staff_session (organization_id, branch_id, counter_id, staff_id, counter_profile_id, skills, opened_at, paused_at) VALUES
	(1, 11, 31, 81, NULL, '{english}', '2026-03-02 08:00+00', NULL), (1, 11, 32, 82, 71, '{}', '2026-03-02 08:00+00', NULL), (1, 11, 33, NULL, 72, '{}', '2026-03-02 08:00+00', '2026-03-02 09:00+00');

CREATE FUNCTION wait(id bigint, queue bigint, number qms.ticket_number, at text, class bigint DEFAULT 501, subject text DEFAULT NULL, contact jsonb DEFAULT NULL, notes text DEFAULT NULL, metadata jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	INSERT INTO qms.ticket (ticket_id, organization_id, branch_id, queue_id, customer_class_id, visit_id, number, service_day, state, effective_arrival, sort_key, joined_at, entered_at, by_class, token_nonce, subject, contact, notes, metadata)
	SELECT id, q.organization_id, q.branch_id, q.queue_id, class, id, number, '2026-03-02', 'waiting', m.at, extract(epoch FROM m.at - '2000-01-01 00:00+00') * 1000000, m.at, m.at, q.by_class, 1, subject, contact, notes, metadata
	FROM qms.queue q, LATERAL (SELECT ('2026-03-02 ' || $4 || '+00')::timestamptz AS at) m WHERE q.queue_id = queue $$;
SELECT wait(1, 1001, 'A001', '09:00', subject => 'P-100%'), wait(2, 1002, 'B001', '09:01', contact => '{"phone": "+49 170 5551234", "mail": "Eve@example.org"}'),
	wait(3, 1001, 'A002', '09:02', 502, notes => 'needs an Interpreter'), wait(4, 1002, 'B002', '09:03', metadata => '{"plate": "B-MX 1"}'), wait(5, 1001, 'A003', '09:04', subject => 'P-1000'),
	wait(6, 1003, 'C001', '09:05'), wait(7, 1004, 'A001', '09:06'), wait(8, 1001, 'A004', '09:07'), wait(9, 1001, 'A005', '09:08', 502), wait(10, 2001, 'A001', '09:09', 601);
UPDATE qms.ticket SET state = 'on_hold', hold_kind = 'parked', hold_reason = 'form' WHERE ticket_id = 8;
UPDATE qms.ticket SET state = 'called', called_at = '2026-03-02 09:30+00', counter_id = 31 WHERE ticket_id = 9;
UPDATE qms.staff_session SET current_ticket_id = 9 WHERE counter_id = 31;
UPDATE qms.ticket SET wanted_counter_id = 32, wanted_until = '2026-03-02 10:05+00' WHERE ticket_id = 3;
UPDATE qms.ticket SET requires_skill = '{english}' WHERE ticket_id = 5;
CREATE TABLE qms_internal.ticket_history_2026_02 PARTITION OF qms.ticket_history FOR VALUES FROM ('2026-02-01 00:00+00') TO ('2026-03-01 00:00+00');
CREATE TABLE qms_internal.ticket_history_2026_03 PARTITION OF qms.ticket_history FOR VALUES FROM ('2026-03-01 00:00+00') TO ('2026-04-01 00:00+00');
CREATE FUNCTION past(id bigint, queue bigint, number qms.ticket_number, joined text, ended text, state text DEFAULT 'completed', subject text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO qms.ticket_history (ticket_id, organization_id, branch_id, queue_id, customer_class_id, visit_id, number, service_day, state, version, leg, priority, credit, effective_arrival, sort_key, joined_at, entered_at, calls, recalls, defers, by_class, shared_visit, simulated, metadata, token_nonce, subject, ended_at, ended_from)
	SELECT id, q.organization_id, q.branch_id, q.queue_id, 501, id, number, joined::date, $6, 3, 1, 0, '0', joined::timestamptz, 0, joined::timestamptz, joined::timestamptz, 1, 0, 0, false, false, false, '{}', 1, $7, ended::timestamptz, 'serving'
	FROM qms.queue q WHERE q.queue_id = queue $$;
SELECT past(101, 1001, 'A001', '2026-02-27 09:00+00', '2026-02-27 09:20+00', subject => 'P-1000'), past(102, 1001, 'A010', '2026-03-01 23:30+00', '2026-03-02 00:10+00'), past(103, 1001, 'A011', '2026-03-01 22:30+00', '2026-03-01 22:50+00'), past(104, 1001, 'A012', '2026-03-02 08:30+00', '2026-03-02 08:40+00', 'no_show');

CREATE ROLE look_ada; CREATE ROLE look_ben; CREATE ROLE look_cy; CREATE ROLE look_dan; CREATE ROLE look_kiosk; CREATE ROLE look_web; CREATE ROLE look_other; CREATE ROLE look_nobody;
INSERT INTO qms.role_binding (role_name, organization_id, kind, staff_id, branch_ids) VALUES
	('look_ada', 1, 'staff', 81, '{}'), ('look_ben', 1, 'staff', 82, '{}'), ('look_cy', 1, 'staff', 83, '{}'), ('look_dan', 1, 'staff', 84, '{}'),
	('look_kiosk', 1, 'kiosk', NULL, '{11}'), ('look_web', 1, 'customer', NULL, '{}'), ('look_other', 2, 'admin', NULL, '{}');
GRANT USAGE ON SCHEMA qms TO PUBLIC;
GRANT EXECUTE ON FUNCTION qms.waiting_list, qms.find_tickets, qms.branch_info, qms.queue_status, qms.branch_status TO PUBLIC;
GRANT EXECUTE ON FUNCTION qms_internal.sees, qms_internal.staff_sees, qms_internal.admin_sees TO PUBLIC;
GRANT SELECT ON qms.organizations, qms.branches, qms.zones, qms.services, qms.service_offers, qms.applications, qms.release_pools, qms.queues, qms.customer_classes, qms.counters, qms.counter_profiles, qms.staff_members, qms.role_bindings, qms.opening_hours_list, qms.closures TO PUBLIC;

-- waiting_list
SET ROLE look_ada;
SELECT place, ticket_id, number, queue_name, customer_class, state, hold_reason, waited, may_call, subject, notes FROM qms.waiting_list(counter_id => 31);
SELECT place, ticket_id, number FROM qms.waiting_list(counter_id => 31, max_rows => 2);
SELECT place, ticket_id, number, may_call FROM qms.waiting_list(queue_id => 1001);
-- sources by class, no row twice
SELECT place, ticket_id, number, customer_class, may_call FROM qms.waiting_list(counter_id => 33);
-- a blind counter, whoever looks; a blind clerk, wherever he looks
SELECT * FROM qms.waiting_list(counter_id => 32);
SET ROLE look_ben;
SELECT ticket_id, number FROM qms.waiting_list(counter_id => 31);
SELECT ticket_id, number, subject FROM qms.waiting_list(queue_id => 1001);
SET ROLE look_dan;
SELECT ticket_id, number FROM qms.waiting_list(queue_id => 1003);
-- refusals
SELECT 1 FROM qms.waiting_list();
SELECT 1 FROM qms.waiting_list(31, 1001);
SELECT 1 FROM qms.waiting_list(31, max_rows => 0);
SELECT 1 FROM qms.waiting_list(99);
SELECT 1 FROM qms.waiting_list(41);
SELECT 1 FROM qms.waiting_list(queue_id => 2001);
SET ROLE look_cy;
SELECT 1 FROM qms.waiting_list(31);
SELECT ticket_id FROM qms.waiting_list(queue_id => 1004);
SET ROLE look_kiosk;
SELECT 1 FROM qms.waiting_list(31);
SET ROLE look_nobody;
SELECT 1 FROM qms.waiting_list(31);

-- find_tickets
SET ROLE look_ada;
SELECT ticket_id, number, state, ended_at FROM qms.find_tickets(11);
SELECT ticket_id FROM qms.find_tickets(11, max_rows => 3);
SELECT ticket_id FROM qms.find_tickets(11, 'a00');
SELECT ticket_id, counter_name FROM qms.find_tickets(11, number => 'A5');
-- a contact is for those who see contacts: not for a servicer
SELECT ticket_id FROM qms.find_tickets(11, '5551');
RESET ROLE;
SELECT ticket_id FROM qms.find_tickets(11, '5551');
SELECT ticket_id, contact FROM qms.find_tickets(11, 'eve@EXAMPLE');
SET ROLE look_ada;
SELECT ticket_id, notes FROM qms.find_tickets(11, 'interpreter');
SELECT ticket_id, subject FROM qms.find_tickets(11, 'p-100');
-- wildcards are text
SELECT ticket_id, subject FROM qms.find_tickets(11, '100%');
SELECT ticket_id FROM qms.find_tickets(11, 'P_1');
SELECT ticket_id FROM qms.find_tickets(11, '\');
SELECT ticket_id FROM qms.find_tickets(11, $$' OR true --$$);
SELECT ticket_id FROM qms.find_tickets(11, metadata => '{"plate": "B-MX 1"}');
SELECT ticket_id, state FROM qms.find_tickets(11, since => '2026-02-01 00:00+00', before => '2026-03-01 23:00+00');
SELECT ticket_id, state FROM qms.find_tickets(11, 'p-1000', since => '2026-02-01 00:00+00');
SELECT 1 FROM qms.find_tickets(12);
SELECT 1 FROM qms.find_tickets(21);
SELECT 1 FROM qms.find_tickets(11, metadata => '[]');
SET ROLE look_ben;
SELECT ticket_id, number, subject, metadata, notes FROM qms.find_tickets(11, 'a001');
SELECT ticket_id FROM qms.find_tickets(11, 'interpreter');
SELECT ticket_id FROM qms.find_tickets(11, metadata => '{"plate": "B-MX 1"}');

-- branch_info
SET ROLE look_web;
SELECT organization_slug, name, names, time_zone, local_date, is_open, opening_hours, closures, zones FROM qms.branch_info('city', 'hall');
SELECT jsonb_pretty(services) AS services, jsonb_pretty(queues) AS queues FROM qms.branch_info('city', 'hall');
SELECT jsonb_pretty(counters) AS counters, customer_classes FROM qms.branch_info('city', 'hall');
-- a kiosk offers what is not public as well
SET ROLE look_kiosk;
SELECT jsonb_array_length(queues), jsonb_array_length(services) FROM qms.branch_info('city', 'hall');
SELECT 1 FROM qms.branch_info('city', 'library');
SELECT 1 FROM qms.branch_info('other', 'hall');
SELECT 1 FROM qms.branch_info('city', 'old');
SET ROLE look_ada;
SELECT jsonb_array_length(queues), jsonb_array_length(services) FROM qms.branch_info('city', 'hall');
RESET ROLE;
SET qms.mock_now = '2026-03-02 11:30:00+00';
SELECT is_open FROM qms.branch_info('city', 'hall');
SET qms.mock_now = '2026-03-02 18:00:00+00';
SELECT b.is_open, q.is_open AS queue_open FROM qms.branch_info('city', 'hall') b, qms.queue_status(1001) q;
SET qms.mock_now = '2026-03-02 10:00:00+00';
SELECT is_open, opening_hours FROM qms.branch_info('other', 'hall');

-- queue_status
SET ROLE look_web;
SELECT name, status, serving, waiting, waiting_exact, open_counters, is_open, opening_hours, wait_p10 < wait_p50 AND wait_p50 < wait_p90 AS figures FROM qms.queue_status(1001);
SELECT name, waiting, serving, is_open, opening_hours FROM qms.queue_status(1002);
SELECT 1 FROM qms.queue_status(1003);
SELECT 1 FROM qms.queue_status(2001);
SET ROLE look_ada;
SELECT name, waiting, open_counters, is_open, opening_hours FROM qms.queue_status(1003);

-- branch_status
SELECT queue_id, name, waiting, waiting_exact, on_hold, called, serving, longest_wait, open_counters, paused_counters, served_today FROM qms.branch_status(11);
SELECT 1 FROM qms.branch_status(12);
SET ROLE look_web;
SELECT 1 FROM qms.branch_status(11);
RESET ROLE;
-- beyond what is counted
INSERT INTO qms.ticket (ticket_id, organization_id, branch_id, queue_id, customer_class_id, visit_id, number, state, effective_arrival, sort_key, joined_at, entered_at, token_nonce)
	SELECT 1000 + i, 1, 12, 1004, 501, 1000 + i, qms.make_ticket_number('A', i), 'waiting', t, extract(epoch FROM t - '2000-01-01 00:00+00') * 1000000, t, t, 1 FROM generate_series(2, 3000) i, LATERAL (SELECT '2026-03-02 09:30+00'::timestamptz + i * interval '1 ms' AS t) m;
SELECT waiting BETWEEN 1001 AND 4000 AS plausible, waiting_exact FROM qms.queue_status(1004);
SELECT waiting BETWEEN 1001 AND 4000 AS plausible, waiting_exact, longest_wait FROM qms.branch_status(12);
SELECT count(*), max(place), min(ticket_id) FROM qms.waiting_list(queue_id => 1004, max_rows => 1500);

-- list views: each as somebody who may see more or less of it
CREATE VIEW seen AS SELECT (SELECT count(*) FROM qms.organizations) AS organizations, (SELECT count(*) FROM qms.branches) AS branches, (SELECT count(*) FROM qms.zones) AS zones, (SELECT count(*) FROM qms.services) AS services, (SELECT count(*) FROM qms.service_offers) AS offers, (SELECT count(*) FROM qms.queues) AS queues, (SELECT count(*) FROM qms.customer_classes) AS classes, (SELECT count(*) FROM qms.counters) AS counters, (SELECT count(*) FROM qms.opening_hours_list) AS hours, (SELECT count(*) FROM qms.closures) AS closures, (SELECT count(*) FROM qms.counter_profiles) AS profiles, (SELECT count(*) FROM qms.staff_members) AS staff, (SELECT count(*) FROM qms.role_bindings) AS bindings;
ALTER VIEW seen SET (security_invoker = true);
GRANT SELECT ON seen TO PUBLIC;
SELECT * FROM seen;
SET ROLE look_dan; SELECT * FROM seen;
SET ROLE look_ben; SELECT * FROM seen;
SET ROLE look_ada; SELECT * FROM seen;
SET ROLE look_cy; SELECT * FROM seen;
SET ROLE look_kiosk; SELECT * FROM seen;
SELECT branch_id, networks, settings FROM qms.branches;
SET ROLE look_web; SELECT * FROM seen;
SET ROLE look_other; SELECT * FROM seen;
SET ROLE look_nobody; SELECT * FROM seen;
RESET ROLE;
SELECT counter_id, is_open, is_paused FROM qms.counters ORDER BY 1;
-- a binding that goes is gone at once, also inside the session that has used it
SET ROLE look_web; SELECT count(*) FROM qms.queues; RESET ROLE;
UPDATE qms.role_binding SET deleted_at = now() WHERE role_name = 'look_web';
SET ROLE look_web; SELECT count(*) FROM qms.queues; RESET ROLE;
-- nothing planted in the caller's search_path is called
CREATE SCHEMA planted;
GRANT USAGE ON SCHEMA planted TO PUBLIC;
CREATE FUNCTION planted.eq(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR planted.= (FUNCTION = planted.eq, LEFTARG = text, RIGHTARG = text);
SET search_path = planted, pg_catalog;
SET ROLE look_nobody; SELECT count(*) FROM qms.queues; RESET ROLE;
RESET search_path;
DROP OWNED BY look_ada, look_ben, look_cy, look_dan, look_kiosk, look_web, look_other, look_nobody;
DROP ROLE look_ada, look_ben, look_cy, look_dan, look_kiosk, look_web, look_other, look_nobody;
