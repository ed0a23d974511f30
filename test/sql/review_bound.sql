-- Whoever is called, cancelled or held in a transaction that rolls back is again where he was, in
-- front, also when the same transaction has looked at the line afterwards.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SELECT organization_id AS o FROM qms.create_organization('One') \gset
SELECT branch_id AS b FROM qms.create_branch(:o, 'Main') \gset
SELECT queue_id AS q FROM qms.create_queue('Q', :b) \gset
SELECT counter_id AS c FROM qms.create_counter(:b, 'C', ARRAY[:q]::bigint[]) \gset
SELECT status FROM qms.open_counter(:c);
SELECT j.number FROM generate_series(1, 7) g, LATERAL qms.join_queue(:q, metadata => jsonb_build_object('g', g)) j;
BEGIN;
SELECT number FROM qms.call_next(:c);
SELECT number FROM qms.call_next(:c, 'completed');
SELECT number FROM qms.call_next(:c, 'completed');
ROLLBACK;
SELECT number FROM qms.call_next(:c);
-- the same with a savepoint, and with others than calls
SELECT state FROM qms.complete_service(:c);
BEGIN;
SAVEPOINT before;
SELECT state FROM qms.cancel_ticket((SELECT ticket_id FROM qms.ticket WHERE number::text = 'A002'));
SELECT state FROM qms.hold_ticket((SELECT ticket_id FROM qms.ticket WHERE number::text = 'A003'));
SELECT number FROM qms.call_next(:c);
SELECT number FROM qms.call_next(:c, 'completed');
ROLLBACK TO before;
COMMIT;
SELECT number FROM qms.call_next(:c);
SELECT number FROM qms.call_next(:c, 'completed');
SELECT number FROM qms.call_next(:c, 'completed');
SELECT number FROM qms.call_next(:c, 'completed');
-- nobody is passed by who comes later
SELECT number FROM qms.join_queue(:q);
SELECT number FROM qms.call_next(:c, 'completed');
SELECT number FROM qms.call_next(:c, 'completed');
SELECT number FROM qms.call_next(:c, 'completed');
SELECT number FROM qms.call_next(:c, 'completed');
