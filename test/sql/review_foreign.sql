-- What an answer tells of another organization: nothing.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
INSERT INTO qms.organization (organization_id, name, slug) VALUES (1, 'One', 'one'), (2, 'Two', 'two');
INSERT INTO qms.branch (branch_id, organization_id, name, slug) VALUES (11, 1, 'Main', 'main'), (21, 2, 'Main', 'main');
INSERT INTO qms.customer_class (organization_id, name, self_service) VALUES (1, 'regular', true), (2, 'regular', true);
INSERT INTO qms.queue (queue_id, organization_id, branch_id, name, slug, prefix) VALUES (101, 1, 11, 'Q', 'q', 'A'), (201, 2, 21, 'Q', 'q', 'A');
INSERT INTO qms.service (service_id, organization_id, name, slug) VALUES (51, 1, 'S', 's'), (52, 2, 'S', 's');
INSERT INTO qms.service_offer (organization_id, branch_id, service_id, queue_id, is_default) VALUES (2, 21, 52, 201, true);
CREATE ROLE regress_one LOGIN IN ROLE qms_reception, qms_admin;
SELECT kind FROM qms.bind_role('regress_one', 1, kind => 'admin');
SELECT ticket_id AS foreign_ticket, token AS foreign_token FROM qms.join_queue(201, subject => 'P-1') \gset
SELECT ticket_id AS t, token FROM qms.join_queue(101, subject => 'P-1') \gset
-- a visit stays in its organization, for superusers too
SELECT number FROM qms.join_queue(101, visit_token => :'foreign_token');
SELECT number FROM qms.join_queue(201, visit_token => :'token');
SELECT count(*) FROM qms.visit;
SET SESSION AUTHORIZATION regress_one;
-- whether a service is offered there, and through which queue
SELECT number FROM qms.join_queue(branch_id => 21, service_id => 52);
SELECT number FROM qms.join_queue(branch_id => 21, service_id => 51);
SELECT number FROM qms.join_queue(branch_id => 99, service_id => 52);
-- whose subject a ticket has
SELECT number FROM qms.transfer_ticket(:foreign_ticket, 101);
SELECT number FROM qms.transfer_ticket(999999, 101);
RESET SESSION AUTHORIZATION;
SELECT qms.unbind_role('regress_one') IS NULL;
DROP OWNED BY regress_one;
DROP ROLE regress_one;
