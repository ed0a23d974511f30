-- People ahead beyond 1,000: whoever comes in the transaction that counts the queue counts once.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SELECT organization_id AS o FROM qms.create_organization('One') \gset
SELECT branch_id AS b FROM qms.create_branch(:o, 'Main') \gset
SELECT queue_id AS q FROM qms.create_queue('Q', :b, settings => '{"max_number": 9999}') \gset
BEGIN;
CREATE TABLE joined AS SELECT g, j.token FROM generate_series(1, 3000) g, LATERAL qms.join_queue(:q, metadata => jsonb_build_object('g', g)) j;
COMMIT;
SELECT position_exact, abs(people_ahead - 3000) <= 100 AS about_right FROM qms.join_queue(:q);
BEGIN;
SELECT count(*) FROM generate_series(1, 1000) g, LATERAL qms.join_queue(:q, metadata => jsonb_build_object('g', g));
ROLLBACK;
SELECT position_exact, abs(people_ahead - 3001) <= 100 AS about_right FROM qms.join_queue(:q);
-- all of them came in a moment, and the one in the middle is told so
SELECT position_exact, abs(people_ahead - 1500) <= 500 AS about_right FROM qms.ticket_status((SELECT token FROM joined WHERE g = 1500));
SELECT abs(waiting - 3002) <= 100 AS about_right FROM qms.queue_status(:q);
DROP TABLE joined;
