-- A deleted class is still that of its tickets, and of no new one.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SELECT organization_id AS o FROM qms.create_organization('One') \gset
SELECT branch_id AS b FROM qms.create_branch(:o, 'Main') \gset
SELECT queue_id AS q FROM qms.create_queue('Q', :b) \gset
SELECT customer_class_id AS k FROM qms.create_customer_class(:o, 'vip', '1 hour') \gset
SELECT ticket_id AS t FROM qms.join_queue(:q, customer_class => 'vip') \gset
SELECT name FROM qms.delete_customer_class(:k);
SELECT customer_class FROM qms.get_ticket(:t);
SELECT number FROM qms.join_queue(:q, customer_class => 'vip');
SELECT number FROM qms.update_ticket((SELECT ticket_id FROM qms.join_queue(:q)), customer_class => 'vip');
-- another one of that name is another one
SELECT credit FROM qms.create_customer_class(:o, 'vip', '2 hours');
SELECT customer_class FROM qms.get_ticket(:t);
SELECT number FROM qms.join_queue(:q, customer_class => 'vip');
SELECT credit FROM qms.ticket ORDER BY ticket_id;
