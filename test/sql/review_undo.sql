-- The queue that an undone ticket comes back to: it may take by class now, or be gone.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SELECT organization_id AS o FROM qms.create_organization('One') \gset
SELECT branch_id AS b FROM qms.create_branch(:o, 'Main') \gset
SELECT queue_id AS q FROM qms.create_queue('Q', :b) \gset
SELECT queue_id AS q2 FROM qms.create_queue('R', :b) \gset
SELECT counter_id AS c FROM qms.create_counter(:b, '1', ARRAY[:q]::bigint[]) \gset
SELECT counter_id AS c2 FROM qms.create_counter(:b, '2', ARRAY[:q]::bigint[]) \gset
SELECT status FROM qms.open_counter(:c);
SELECT status FROM qms.open_counter(:c2);
SELECT number FROM qms.join_queue(:q);
SELECT number FROM qms.join_queue(:q, metadata => '{"a": 1}');
SELECT number FROM qms.call_next(:c);
SELECT number FROM qms.call_next(:c2);
SELECT state FROM qms.mark_no_show(:c);
SELECT state FROM qms.transfer_ticket((SELECT current_ticket_id FROM qms.counter_status(:c2)), :q2);
SELECT counter_profile_id AS p FROM qms.create_counter_profile(:b, 'By class', 'strict', jsonb_build_array(jsonb_build_object('queue_id', :q, 'customer_class', 'regular'))) \gset
SELECT state FROM qms.undo(:c);
SELECT state FROM qms.undo(:c2);
SELECT state FROM qms.requeue_ticket((SELECT current_ticket_id FROM qms.counter_status(:c)));
SELECT state FROM qms.requeue_ticket((SELECT current_ticket_id FROM qms.counter_status(:c2)));
SELECT status FROM qms.close_counter(:c);
SELECT status FROM qms.open_counter(:c, profile_id => :p);
SELECT number FROM qms.call_next(:c);
SELECT number FROM qms.call_next(:c, 'completed');
-- gone
SELECT status FROM qms.close_counter(:c2);
SELECT name FROM qms.update_counter(:c2, queue_ids => ARRAY[:q2]::bigint[]);
SELECT status FROM qms.open_counter(:c2);
SELECT number FROM qms.join_queue(:q2);
SELECT number FROM qms.call_next(:c2);
SELECT state FROM qms.complete_service(:c2);
SELECT name FROM qms.update_counter(:c2, queue_ids => '{}');
SELECT name FROM qms.delete_queue(:q2);
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT state FROM qms.undo(:c2);
