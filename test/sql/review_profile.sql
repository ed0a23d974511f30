-- A profile without sources serves the queues of each counter that is opened with it.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SELECT organization_id AS o FROM qms.create_organization('One') \gset
SELECT branch_id AS b FROM qms.create_branch(:o, 'Main') \gset
SELECT queue_id AS q1 FROM qms.create_queue('First', :b) \gset
SELECT queue_id AS q2 FROM qms.create_queue('Second', :b) \gset
SELECT counter_id AS c1 FROM qms.create_counter(:b, '1', ARRAY[:q1]::bigint[]) \gset
SELECT counter_id AS c2 FROM qms.create_counter(:b, '2', ARRAY[:q2]::bigint[]) \gset
SELECT counter_profile_id AS p FROM qms.create_counter_profile(:b, 'All') \gset
SELECT status FROM qms.open_counter(:c1, profile_id => :p);
SELECT status FROM qms.open_counter(:c2, profile_id => :p);
SELECT number FROM qms.join_queue(:q1);
SELECT number FROM qms.join_queue(:q2);
SELECT number FROM qms.waiting_list(:c1);
SELECT number FROM qms.waiting_list(:c2);
SELECT number FROM qms.call_next(:c2);
SELECT number FROM qms.call_next(:c1);
