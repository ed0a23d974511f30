-- A prefix that goes from one queue to another while tickets of the first are open: their numbers
-- are skipped.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SELECT organization_id AS o FROM qms.create_organization('One') \gset
SELECT branch_id AS b FROM qms.create_branch(:o, 'Main') \gset
SELECT queue_id AS q1 FROM qms.create_queue('First', :b) \gset
SELECT queue_id AS q2 FROM qms.create_queue('Second', :b) \gset
SELECT number FROM qms.join_queue(:q1);
SELECT number FROM qms.join_queue(:q1);
SELECT prefix FROM qms.update_queue(:q1, prefix => 'Z');
SELECT number FROM qms.join_queue(:q2);
SELECT prefix FROM qms.update_queue(:q2, prefix => 'A');
SELECT number FROM qms.join_queue(:q2);
SELECT number FROM qms.join_queue(:q1);
-- the queue is gone, its ticket is in another one, and a new queue gets the prefix
SELECT queue_id AS q3 FROM qms.create_queue('Third', :b, prefix => 'C') \gset
SELECT ticket_id AS t FROM qms.join_queue(:q3) \gset
SELECT number FROM qms.transfer_ticket(:t, :q1);
SELECT name FROM qms.delete_queue(:q3);
SELECT queue_id AS q4 FROM qms.create_queue('Fourth', :b, prefix => 'C') \gset
SELECT number FROM qms.join_queue(:q4);
