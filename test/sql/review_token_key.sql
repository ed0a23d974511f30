-- A key that has expired signs no more; another one is made, and only tokens of the old one are refused.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SET qms.mock_now = '2031-01-01 10:00+00';
SELECT organization_id AS o FROM qms.create_organization('One') \gset
SELECT branch_id AS b FROM qms.create_branch(:o, 'Main') \gset
SELECT queue_id AS q FROM qms.create_queue('Q', :b) \gset
UPDATE qms_internal.signing_key SET expires_at = '2031-01-01 11:00+00' WHERE purpose = 'ticket_token';
SELECT token AS old FROM qms.join_queue(:q) \gset
SELECT state FROM qms.ticket_status(:'old');
SET qms.mock_now = '2031-01-01 12:00+00';
SELECT token AS new FROM qms.join_queue(:q) \gset
SELECT state FROM qms.ticket_status(:'new');
SELECT state FROM qms.ticket_status(:'old');
SELECT kid, expires_at IS NULL AS lasts FROM qms_internal.signing_key WHERE purpose = 'ticket_token' ORDER BY kid;
-- in a session that never saw the old one
\c -
SET qms.mock_now = '2031-01-01 12:00+00';
SELECT state FROM qms.ticket_status(:'new');
