-- request_id: one effect, the same answer.
\set base 240000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT count(qms.open_counter(:c1));
-- a join, twice: one ticket, the same token, which is not stored
SELECT ticket_id, visit_id, number, state, position, people_ahead, joined_at, wait_p50, token FROM qms.join_queue(queue_id => :qa, metadata => '{"a": 1}', request_id => '00000000-0000-4000-8000-000000000001') \gset a_
SET qms.mock_now = '2026-03-02 09:30+01';
SELECT ticket_id, visit_id, number, state, position, people_ahead, joined_at, wait_p50, token FROM qms.join_queue(queue_id => :qa, metadata => '{"a": 1}', request_id => '00000000-0000-4000-8000-000000000001') \gset b_
SELECT :a_ticket_id = :b_ticket_id AS same_ticket, :a_visit_id = :b_visit_id AS same_visit, :'a_token' = :'b_token' AS same_token, :'a_joined_at' = :'b_joined_at' AS same_time, :'a_wait_p50' = :'b_wait_p50' AS same_wait, :'b_number' AS number, :'b_state' AS state, :b_position AS position;
SELECT count(*) FROM qms.ticket WHERE organization_id = :org;
SELECT function, principal ~ '^superuser:' AS superuser, created_at, cardinality(answer) AS columns, array_position(answer, :'a_token') IS NULL AS no_token FROM qms_internal.request WHERE organization_id = :org;
-- nowhere is a token kept
SELECT count(*) FROM qms.event WHERE organization_id = :org AND data::text ~ :'a_token';
SELECT count(*) FROM qms_internal.request r WHERE r::text ~ :'a_token';
SELECT count(*) FROM qms.ticket t WHERE t::text ~ :'a_token';
-- also when the ticket has gone on: the answer is that of then
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.complete_service(:c1);
SELECT number, state, token::text = :'a_token' AS same_token FROM qms.join_queue(queue_id => :qa, metadata => '{"a": 1}', request_id => '00000000-0000-4000-8000-000000000001');
-- other arguments; a null is not a default; the same id for another function
SELECT qms.join_queue(queue_id => :qa, metadata => '{"a": 2}', request_id => '00000000-0000-4000-8000-000000000001');
SELECT qms.join_queue(queue_id => :qb, metadata => '{"a": 1}', request_id => '00000000-0000-4000-8000-000000000001');
SELECT qms.join_queue(queue_id => :qa, metadata => '{"a": 1}', language => 'de', request_id => '00000000-0000-4000-8000-000000000001');
SELECT number FROM qms.join_queue(queue_id => :qa, metadata => '{ "a":1 }', priority => 0, request_id => '00000000-0000-4000-8000-000000000001');
SELECT number FROM qms.serve_walk_up(:c1, :passports, '00000000-0000-4000-8000-000000000001');
SELECT number FROM qms.serve_walk_up(:c1, :passports, '00000000-0000-4000-8000-000000000001');
SELECT state, outcome FROM qms.complete_service(:c1, 'done', request_id => '00000000-0000-4000-8000-000000000002');
SELECT state, outcome FROM qms.complete_service(:c1, 'done', request_id => '00000000-0000-4000-8000-000000000002');
-- a call that found nobody: no row again, although somebody has come
SELECT count(*) FROM qms.call_next(:c1, request_id => '00000000-0000-4000-8000-000000000003');
SELECT test.join(:qa), test.join(:qa);
SELECT count(*) FROM qms.call_next(:c1, request_id => '00000000-0000-4000-8000-000000000003');
SELECT number, state FROM qms.call_next(:c1, request_id => '00000000-0000-4000-8000-000000000004');
SELECT number, state FROM qms.call_next(:c1, request_id => '00000000-0000-4000-8000-000000000004');
SELECT number, state FROM qms.call_next(:c1, 'completed', request_id => '00000000-0000-4000-8000-000000000005');
SELECT number, state FROM qms.call_next(:c1, 'completed', request_id => '00000000-0000-4000-8000-000000000005');
SELECT tickets_called, tickets_served, current_number FROM qms.counter_status(:c1);
SELECT qms.call_next(:c1, request_id => '00000000-0000-4000-8000-000000000005');
-- what failed may be asked again: nothing is kept of it
SELECT qms.pause_counter(:c2, 'x', request_id => '00000000-0000-4000-8000-000000000006');
SELECT count(qms.open_counter(:c2));
SELECT status FROM qms.pause_counter(:c2, 'x', request_id => '00000000-0000-4000-8000-000000000006');
SELECT status FROM qms.pause_counter(:c2, 'x', request_id => '00000000-0000-4000-8000-000000000006');
BEGIN;
SELECT number FROM qms.join_queue(queue_id => :qb, request_id => '00000000-0000-4000-8000-000000000007');
ROLLBACK;
SELECT number FROM qms.join_queue(queue_id => :qb, request_id => '00000000-0000-4000-8000-000000000007');
-- twice in one transaction, and as somebody else
BEGIN;
SELECT number FROM qms.join_queue(queue_id => :qb, request_id => '00000000-0000-4000-8000-000000000008');
SELECT number FROM qms.join_queue(queue_id => :qb, request_id => '00000000-0000-4000-8000-000000000008');
COMMIT;
CREATE ROLE ticket_request_desk;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA qms TO ticket_request_desk;
SELECT kind FROM qms.bind_role('ticket_request_desk', :org, 'admin');
SET ROLE ticket_request_desk;
SELECT number FROM qms.join_queue(queue_id => :qb, request_id => '00000000-0000-4000-8000-000000000008');
RESET ROLE;
DROP OWNED BY ticket_request_desk;
DROP ROLE ticket_request_desk;
-- every mutating function ends with request_id, and the others have none
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'qms' AND 'request_id' = ANY (p.proargnames)
	AND (p.proargnames[p.pronargs] <> 'request_id' OR p.proargtypes[p.pronargs - 1] <> 'uuid'::regtype OR pg_get_expr(p.proargdefaults, 0) !~ 'NULL::uuid$') ORDER BY 1;
-- the events of a request carry its id
SELECT kind, count(*) FROM qms.event WHERE organization_id = :org AND request_id IS NOT NULL GROUP BY kind ORDER BY kind;
-- a fold of the events gives the tickets of now (test.broken): nothing was done twice
SELECT number, state, version FROM qms.ticket WHERE organization_id = :org ORDER BY ticket_id;

SELECT * FROM test.broken();
