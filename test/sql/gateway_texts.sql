-- What the gateway is given: events in the forms that different people may see, and what channels show.
SET client_min_messages = warning;
-- alone in its database, so that ids are known
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SET qms.mock_now = '2030-01-07 09:00+00';
\set VERBOSITY sqlstate
\pset format unaligned
\pset tuples_only on
SELECT * FROM qms_internal.gateway_events(0);
SELECT last_position, pruned_position, version = (SELECT extversion FROM pg_extension WHERE extname = 'qms'), database = current_database() FROM qms_internal.gateway_hello();
SELECT channel, kind, position, body::jsonb - 'epoch' FROM qms_internal.gateway_channels('{display:1,queue:1,visit:1,staff:1,admin:1,application:1,system:1}');
\set ECHO none
\i test/fixtures/published.sql
\set ECHO all

-- One branch with two zones: counter 1 is in the first, 2 in the second, 3 in none; queue 3 is not for everybody.
SELECT organization_id FROM qms.create_organization('City', 'city', 'Europe/Berlin', names => '{"de": "Stadt"}');
SELECT branch_id FROM qms.create_branch(1, 'Town "Hall"', slug => 'hall', names => '{"de": "Rathaus"}');
UPDATE qms.branch SET settings = '{"languages": ["en", "de"], "secret": 1}';
SELECT zone_id FROM qms.create_zone(1, 'East') UNION ALL SELECT zone_id FROM qms.create_zone(1, 'West');
SELECT queue_id FROM qms.create_queue('Passports', 1, prefix => 'A', names => '{"de": "Pässe"}', settings => '{"undo_window": "1 h"}') UNION ALL SELECT queue_id FROM qms.create_queue('Cars', 1, prefix => 'B')
	UNION ALL SELECT queue_id FROM qms.create_queue('Inner', 1, prefix => 'C', settings => '{"public": false}');
SELECT counter_id FROM qms.create_counter(1, 'One', '{1,2,3}', 1, names => '{"de": "Eins"}') UNION ALL SELECT counter_id FROM qms.create_counter(1, 'Two', '{1,2,3}', 2) UNION ALL SELECT counter_id FROM qms.create_counter(1, 'Three', '{1,2,3}');
SELECT application_id FROM qms.create_application(1, 'Shop');
SELECT queue_id FROM qms.create_queue('Room', application_id => 1, kind => 'release');
SELECT staff_id FROM qms.create_staff(1, 'ada', 'Ada');
SELECT published() AS start \gset
SELECT number FROM generate_series(1, 4) n, LATERAL qms.join_queue(1 + 0 * n, metadata => '{"secret": 1}', contact => '{"sms": "+49 30 1"}');
SELECT visit_id AS personal, token FROM qms.join_queue(2) \gset
SELECT state FROM qms.join_queue(3) UNION ALL SELECT state FROM qms.join_queue(4);
SELECT status FROM qms.open_counter(1, 1) UNION ALL SELECT status FROM qms.open_counter(2) UNION ALL SELECT status FROM qms.open_counter(3);
SELECT number FROM qms.call_ticket(1, 1);
SELECT number FROM qms.call_ticket(3, :personal);
SELECT state FROM qms.transfer_ticket(2, 2, note => 'do not tell him') UNION ALL SELECT state FROM qms.cancel_ticket(6, 'nor this');
SELECT status FROM qms.pause_queue(2);
INSERT INTO qms.event (organization_id, branch_id, at, kind, actor_kind, actor_role, data) VALUES (1, 1, '2030-01-07 09:00:00.123456+00', 'alert.raised', 'system', 'test', '{"secret": 1}'), (1, NULL, '2030-01-07 09:00+00', 'notice.posted', 'system', 'test', '{"secret": 1}');
SELECT display_name FROM qms.update_staff(1, display_name => 'Ada L.');
SELECT published() AS last \gset

-- routes
SELECT position, organization_id, branch_id, zone_id, queue_id, application_id, visit_id, is_system, recheck, full_text::jsonb->>'kind', public_text IS NOT NULL AS pub, system_text IS NOT NULL AS sys, visit_text IS NOT NULL AS vis, other_queue_id, resnapshot
FROM qms_internal.gateway_events(:start);
SELECT string_agg(DISTINCT full_text::jsonb->>'kind', ' ') FROM qms_internal.gateway_events(0) WHERE resnapshot;
-- the moment, to the microsecond
SELECT count(*) = max(position) - :start, bool_and(at_us = extract(epoch FROM (full_text::jsonb->>'at')::timestamptz) * 1000000), min(at_us), max(at_us) FROM qms_internal.gateway_events(:start);
-- texts
SELECT replace(full_text, format('"role":"%s"', session_user), '"role":"root"') AS full_text FROM qms_internal.gateway_events(:start, 'first', 1000) WHERE position IN (:start + 1, :start + 13);
SELECT public_text FROM qms_internal.gateway_events(:start, 'first', 1000) WHERE public_text IS NOT NULL;
SELECT system_text FROM qms_internal.gateway_events(:start) WHERE is_system;
SELECT visit_text FROM qms_internal.gateway_events(:start) WHERE visit_id = :personal OR full_text ~ 'tell him|nor this' OR application_id IS NOT NULL;
-- nothing in them that is not for everybody, whatever the event; and the same on one line
SELECT count(*) FROM qms_internal.gateway_events(0) WHERE concat(public_text, system_text, visit_text) ~ 'secret|"actor|"organization_id|note"|reason|Ada|tell him|nor this' OR full_text ~ E'[\n\r]';
SELECT DISTINCT k FROM qms_internal.gateway_events(0, max_rows => 10000), jsonb_object_keys(public_text::jsonb) k ORDER BY 1;
SELECT DISTINCT k FROM qms_internal.gateway_events(0, max_rows => 10000), jsonb_object_keys(visit_text::jsonb) k ORDER BY 1;
SELECT DISTINCT k FROM qms_internal.gateway_events(0, max_rows => 10000), jsonb_object_keys(full_text::jsonb) k ORDER BY 1;
-- figures for those that are watched: a branch, a waiting room; of both queues for a transfer
SELECT public_text::jsonb->>'kind', public_text::jsonb->>'queue_id', public_text::jsonb->'data' FROM qms_internal.gateway_events(:start, 'first', 1000, '{7,1}') WHERE public_text IS NOT NULL;
SELECT public_text::jsonb->>'queue_id', public_text::jsonb->'data' FROM qms_internal.gateway_events(:start, 'first', 1000, '{-4,NULL}') WHERE public_text::jsonb ? 'data';
SELECT DISTINCT public_text::jsonb->>'queue_id' FROM qms_internal.gateway_events(0, NULL, 1000, '{-1,-3,2,-9}') WHERE public_text::jsonb ? 'data';
SELECT public_text::jsonb->>'kind', public_text::jsonb->'data' FROM qms_internal.gateway_events(:start, 'first', 1000, '{-1}') WHERE other_queue_id = 1;
-- snapshots
SELECT channel, kind, position - :last, body FROM qms_internal.gateway_channels(ARRAY['display:1', 'display:1:1', 'display:1:2', 'queue:1', 'queue:2', 'queue:3', 'queue:4', 'visit:' || :personal, 'visit:2', 'visit:6', 'admin:1', 'application:1', 'system:1'], 0) WHERE kind = 'snapshot';
SELECT jsonb_pretty(body::jsonb) FROM qms_internal.gateway_channels('{staff:1}', 0) WHERE kind = 'snapshot';
SELECT channel, string_agg(kind, ' '), min(body) FILTER (WHERE kind = 'snapshot') FROM qms_internal.gateway_channels('{display:9,display:1:9,queue:9,visit:999,staff:9,admin:9,application:9,system:9,NULL}') GROUP BY channel ORDER BY 1;
SELECT count(*) FROM qms_internal.gateway_channels('{}');
SELECT count(*) FROM qms_internal.gateway_channels(NULL);
SELECT * FROM qms_internal.gateway_channels('{display:city/hall}');
SELECT * FROM qms_internal.gateway_channels('{display}');
SELECT * FROM qms_internal.gateway_channels('{display:1}', -1);
SELECT * FROM qms_internal.gateway_channels('{display:1}', 10001);
-- the last events of each, in order, and from where they are complete
SELECT channel, kind, position - :start, body::jsonb->>'kind', body::jsonb->>'number' FROM qms_internal.gateway_channels(ARRAY['display:1:2', 'queue:1', 'visit:2', 'application:1', 'system:1'], 3) WHERE kind <> 'snapshot';
SELECT channel, position - :start FROM qms_internal.gateway_channels('{display:1,staff:1,admin:1}', 0) WHERE kind = 'from';
SELECT channel, count(*) FILTER (WHERE kind = 'event'), min(position) FILTER (WHERE kind = 'from') FROM qms_internal.gateway_channels('{display:1,display:1:1,queue:1,queue:3,visit:2,staff:1,admin:1,application:1,system:1}', 1000) GROUP BY 1 ORDER BY 1;
-- bodies are the texts of the events, without figures
SELECT count(*), bool_and(c.body = CASE WHEN channel ~ '^(display|queue)' THEN public_text WHEN channel ~ '^visit' THEN visit_text WHEN channel ~ '^system' THEN system_text ELSE full_text END)
FROM qms_internal.gateway_channels('{display:1,display:1:1,queue:1,visit:2,staff:1,admin:1,application:1,system:1}', 1000) c JOIN qms_internal.gateway_events(0) e USING (position) WHERE kind = 'event';

-- a call that is taken back was none; opening hours close a queue whatever its status
SELECT state FROM qms.undo(1) UNION ALL SELECT status FROM qms.close_counter(2) UNION ALL SELECT state FROM qms.transfer_ticket(3, 3);
INSERT INTO qms_internal.queue_hours VALUES (1, 1, false, now());
SELECT published() - :last;
SELECT full_text::jsonb->>'kind', public_text IS NOT NULL, other_queue_id, resnapshot FROM qms_internal.gateway_events(:last);
SELECT body::jsonb->'now_serving' AS serving, body::jsonb->'last_called' AS last, jsonb_path_query_array(body::jsonb, '$.queues[*].status') AS status, jsonb_path_query_array(body::jsonb, '$.counters[*].status') AS counters FROM qms_internal.gateway_channels('{display:1}', 0) WHERE kind = 'snapshot';
SELECT body::jsonb->'status', body::jsonb->'serving' FROM qms_internal.gateway_channels('{queue:1}', 0) WHERE kind = 'snapshot';
SELECT DISTINCT public_text::jsonb->'data'->'status' FROM qms_internal.gateway_events(:start, 'first', 1000, '{1}') WHERE queue_id = 1;

-- where one cannot go on, and what cannot be asked
SELECT * FROM qms_internal.gateway_events(0, 'second');
SELECT * FROM qms_internal.gateway_events(0, 'first', 0);
SELECT * FROM qms_internal.gateway_events(0, 'first', 10001);
SELECT count(*) FROM qms_internal.gateway_events(1000000, 'first');
SELECT position FROM qms_internal.gateway_events(NULL, NULL, 2);
UPDATE qms_internal.publisher SET pruned_position = :start;
SELECT * FROM qms_internal.gateway_events(:start - 1);
SELECT position - :start FROM qms_internal.gateway_events(:start, max_rows => 1);
SELECT channel, kind, position - :start FROM qms_internal.gateway_channels('{visit:2,display:1:2}', 1000);
-- a queue that is not for everybody any more
UPDATE qms.queue SET settings = '{"public": false}' WHERE queue_id = 1;
SELECT count(public_text) FROM qms_internal.gateway_events(:start) WHERE queue_id = 1;
SELECT body FROM qms_internal.gateway_channels('{queue:1}', 9) WHERE kind <> 'from';
SELECT body::jsonb->'queues', body::jsonb->'now_serving' FROM qms_internal.gateway_channels('{display:1}', 0) WHERE body ~ '"queue_id":1\M';

-- for the gateway only, even if somebody was given more
CREATE ROLE gateway_test LOGIN;
GRANT qms_gateway TO gateway_test;
CREATE ROLE gateway_thief LOGIN IN ROLE qms_admin, qms_app, qms_authenticator;
SET SESSION AUTHORIZATION gateway_test;
SELECT count(*) FROM qms_internal.gateway_hello();
SELECT count(*) > 0 FROM qms_internal.gateway_events(:start);
SELECT count(*) FROM qms_internal.gateway_channels('{admin:1}', 0);
SELECT code FROM qms_internal.gateway_check('[{"do": "connect"}]');
SELECT * FROM qms_internal.jwt_sign('jwt', '{}');
SELECT * FROM qms_internal.event_position;
SET ROLE qms_customer;
SELECT * FROM qms_internal.gateway_hello();
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION gateway_thief;
SELECT * FROM qms_internal.gateway_hello();
RESET SESSION AUTHORIZATION;
GRANT USAGE ON SCHEMA qms_internal TO gateway_thief;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA qms_internal TO gateway_thief;
SET SESSION AUTHORIZATION gateway_thief;
SELECT * FROM qms_internal.gateway_hello();
SELECT * FROM qms_internal.gateway_events(0);
SELECT * FROM qms_internal.gateway_channels('{admin:1}');
SELECT * FROM qms_internal.gateway_check('[]');
RESET SESSION AUTHORIZATION;
DROP OWNED BY gateway_thief;
DROP ROLE gateway_thief, gateway_test;

-- a copy of another database
UPDATE qms_internal.instance SET database_oid = 1;
SELECT * FROM qms_internal.gateway_hello();
SELECT * FROM qms_internal.gateway_events(:start);
SELECT * FROM qms_internal.gateway_channels('{admin:1}');
-- as it was
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
