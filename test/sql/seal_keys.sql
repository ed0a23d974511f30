-- Keys of personal data: rotation, sealing anew, keys that are gone.  Alone in its database: keys are of all of it.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SET qms.mock_now = '2031-01-01 10:00+00';
SELECT organization_id AS o FROM qms.create_organization('One') \gset
SELECT branch_id AS b FROM qms.create_branch(:o, 'Main') \gset
SELECT queue_id AS q FROM qms.create_queue('Q', :b) \gset
SELECT counter_id AS c FROM qms.create_counter(:b, '1', ARRAY[:q]) \gset
SELECT purpose, kid, algorithm, length(secret) AS bytes, active_from, expires_at FROM qms_internal.signing_key WHERE purpose ~ 'seal' ORDER BY purpose;
-- what is sealed with which key
CREATE VIEW sealed AS
	SELECT 'ticket' AS what, substring(contact->>'sealed' FROM '^1\.(\w+)\.') AS key, substring(contact->'find'->>0 FROM '^\w+') AS find, count(*) FROM qms.ticket WHERE contact IS NOT NULL GROUP BY 2, 3
	UNION ALL SELECT 'history', substring(contact->>'sealed' FROM '^1\.(\w+)\.'), substring(contact->'find'->>0 FROM '^\w+'), count(*) FROM qms.ticket_history WHERE contact IS NOT NULL GROUP BY 2, 3
	UNION ALL SELECT 'visit', substring(contact->>'sealed' FROM '^1\.(\w+)\.'), substring(contact->'find'->>0 FROM '^\w+'), count(*) FROM qms.visit WHERE contact IS NOT NULL GROUP BY 2, 3
	UNION ALL SELECT 'customer', substring(name FROM '^1\.(\w+)\.'), substring(find[1] FROM '^\w+'), count(*) FROM qms.customer GROUP BY 2, 3;
SELECT count(*) FROM generate_series(1, 30) n, LATERAL qms.join_queue(queue_id => :q, contact => jsonb_build_object('phone', '+49 170 ' || 5551000 + n));
SELECT count(*) FROM generate_series(1, 5) n, LATERAL qms.join_queue(queue_id => :q);
SELECT count(qms.open_counter(:c));
SELECT count(*) FROM generate_series(1, 10) n, LATERAL qms.call_next(:c, CASE WHEN n > 0 THEN 'completed' END);
SELECT token FROM qms.join_queue(queue_id => :q, contact => '{"phone": "1 234 567"}') \gset
SELECT number FROM qms.join_queue(queue_id => :q, contact => '{"phone": "1 234 567"}', visit_token => :'token');
SELECT count(*) FROM generate_series(1, 20) n, LATERAL qms.create_customer(:o, 'Person ' || n, jsonb_build_object('phone', '+49 171 ' || 5552000 + n));
SELECT * FROM sealed ORDER BY 1, 2, 3;
CREATE TEMP TABLE clear AS SELECT n.ticket_id, n.contact FROM qms.find_tickets(:b, max_rows => 1000) n;
CREATE TEMP TABLE people AS SELECT customer_id, name, contact FROM qms.find_customers(:o);
-- nothing to do yet
SELECT * FROM qms.reseal();

-- a new key: new values use it, old ones open, both are found
SELECT qms.rotate_seal_key();
SELECT qms.rotate_seal_key('seal_index');
SELECT qms.rotate_seal_key('ticket_token');
SELECT number FROM qms.join_queue(queue_id => :q, contact => '{"phone": "+49 170 5551001"}');
SELECT count(*) FROM qms.find_tickets(:b, '+49 170 5551001');
SELECT name FROM qms.find_customers(:o, '+49 171 5552007');
SELECT count(*) FROM clear JOIN qms.find_tickets(:b, max_rows => 1000) USING (ticket_id, contact) WHERE contact IS NOT NULL;
SELECT * FROM sealed ORDER BY 1, 2, 3;
-- anew, in batches; versions and events of tickets stay
CREATE TEMP TABLE versions AS SELECT ticket_id, version FROM qms.ticket;
SELECT * FROM qms.reseal(7);
SELECT * FROM sealed WHERE what = 'ticket' ORDER BY 1, 2, 3;
DO $$ BEGIN FOR i IN 1..50 LOOP EXIT WHEN (SELECT done FROM qms.reseal(7)); END LOOP; END $$;
SELECT * FROM qms.reseal(7);
SELECT * FROM sealed ORDER BY 1, 2, 3;
SELECT count(*) FROM clear JOIN qms.find_tickets(:b, max_rows => 1000) USING (ticket_id, contact) WHERE contact IS NOT NULL;
SELECT count(*) FROM people JOIN qms.find_customers(:o) USING (customer_id, name, contact);
SELECT name FROM qms.find_customers(:o, '+49 171 5552007');
SELECT count(*) FROM versions JOIN qms.ticket USING (ticket_id, version);
SELECT organization_id, kind, data FROM qms.event WHERE kind ~ 'seal' ORDER BY event_id;
SELECT qms.reseal(0);

-- the old key is not needed any more
DELETE FROM qms_internal.signing_key WHERE purpose IN ('seal', 'seal_index') AND kid = 1;
SELECT count(*) FROM people JOIN qms.find_customers(:o) USING (customer_id, name, contact);
-- a key that is still needed: errors that say so, calls go on
SELECT secret AS lost FROM qms_internal.signing_key WHERE purpose = 'seal' AND kid = 2 \gset
SELECT qms.rotate_seal_key();
DELETE FROM qms_internal.signing_key WHERE purpose = 'seal' AND kid = 2;
\set VERBOSITY terse
SELECT qms.get_customer(1);
SELECT contact IS NULL AS unread FROM qms.call_next(:c, 'completed');
SELECT resealed, failed FROM qms.reseal(2);
-- a key of the same number is not the same key
INSERT INTO qms_internal.signing_key (purpose, kid, algorithm, secret) VALUES ('seal', 2, 'AES-256-GCM', decode(repeat('00', 32), 'hex'));
SELECT qms.get_customer(1);
UPDATE qms_internal.signing_key SET secret = :'lost' WHERE purpose = 'seal' AND kid = 2;
SELECT name FROM qms.get_customer(1);
-- what could not be sealed anew is, once the key is back
DO $$ BEGIN FOR i IN 1..50 LOOP EXIT WHEN (SELECT done FROM qms.reseal()); END LOOP; END $$;
SELECT failed > 0 AS failed, done FROM qms.reseal();
DO $$ BEGIN FOR i IN 1..50 LOOP EXIT WHEN (SELECT done FROM qms.reseal()); END LOOP; END $$;
SELECT * FROM sealed ORDER BY 1, 2, 3;
-- no key at all: nothing personal is taken, everything else is; what was sealed opens as long as the key is there
\set VERBOSITY sqlstate
UPDATE qms_internal.signing_key SET expires_at = '2031-01-01 11:00+00' WHERE purpose = 'seal';
SET qms.mock_now = '2031-01-01 12:00+00';
SELECT qms.join_queue(queue_id => :q, contact => '{"phone": "1"}');
SELECT qms.create_customer(:o, 'x');
SELECT name FROM qms.get_customer(1);
SELECT number IS NOT NULL AS joined FROM qms.join_queue(queue_id => :q);
SELECT * FROM qms.reseal();
SELECT qms.rotate_seal_key();
SELECT number IS NOT NULL AS joined FROM qms.join_queue(queue_id => :q, contact => '{"phone": "1"}');
DROP VIEW sealed;
