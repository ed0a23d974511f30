-- The event log is guarded in every partition; nobody but the owner reaches keys and links; every
-- column that may hold a contact is known to what seals and wipes.
BEGIN;
-- Partitions of several months.
SET LOCAL qms.mock_now = '2030-01-31 12:00+00';
SELECT count(*) AS made FROM qms.create_organization('City') o, LATERAL qms.create_branch(o.organization_id, 'Hall') b \gset
SET LOCAL qms.mock_now = '2030-03-31 12:00+00';
SELECT count(*) AS made FROM qms.create_organization('Town') \gset
CREATE TEMP TABLE guarded AS
SELECT i.inhrelid AS oid, i.inhrelid::regclass::text AS name FROM pg_catalog.pg_inherits i WHERE i.inhparent = 'qms.event'::regclass
UNION ALL SELECT 'qms.event'::regclass::oid, 'qms.event';

CREATE TEMP TABLE secret AS
SELECT c.oid, c.oid::regclass::text AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND (n.nspname = 'qms_internal' OR (n.nspname, c.relname) IN (('qms', 'customer'), ('qms', 'visit'), ('qms', 'ticket'), ('qms', 'ticket_history'), ('qms', 'ticket_leg')));

SELECT plan((SELECT count(*)::int * 2 FROM guarded) + (SELECT count(*)::int FROM secret) + 7);
SELECT cmp_ok((SELECT count(*)::int FROM guarded), '>', 2, 'there are partitions');
SELECT ok(EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = g.oid AND t.tgfoid = 'qms_internal.guard_event'::regproc AND t.tgenabled = 'O'
	-- before, for each row, of DELETE and UPDATE
	AND t.tgtype & 27 = 27), name || ': no row is changed or removed') FROM guarded g ORDER BY name;
SELECT ok(EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = g.oid AND t.tgfoid = 'qms_internal.guard_event'::regproc AND t.tgenabled = 'O'
	-- before, of TRUNCATE
	AND t.tgtype & 34 = 34), name || ': is not emptied') FROM guarded g ORDER BY name;
SELECT is((SELECT string_agg(a.grantee::regrole::text || ' ' || a.privilege_type, ', ') FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
	WHERE c.oid = s.oid AND a.grantee <> c.relowner), NULL, name || ' is nobody''s but the owner''s') FROM secret s ORDER BY name;

SELECT is((SELECT string_agg(DISTINCT grantee::regrole::text, ', ') FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
	WHERE c.oid = 'qms.event'::regclass AND a.privilege_type <> 'SELECT' AND a.grantee <> c.relowner), NULL, 'nobody but the owner writes events');
-- A column that may hold how to reach somebody, or who he is, must be sealed and wiped: here are those that are.
SELECT is((SELECT string_agg(n.nspname || '.' || c.relname || '.' || a.attname, ' ' ORDER BY n.nspname, c.relname, a.attname) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname IN ('qms', 'qms_internal') AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND a.attname ~ '(contact|phone|mail|recipient|destination)'
	-- but keyed hashes, and ids
	AND a.attname !~ '_(hash|id)$'),
	'qms.customer.contact qms.ticket.contact qms.ticket_history.contact qms.visit.contact', 'no other column holds a contact');
SELECT is((SELECT string_agg(function::text, ' ' ORDER BY function) FROM qms.permission WHERE 'yes' = ANY (ARRAY[caller, servicer, display, kiosk, application, app_admin]) AND action ~ '^(customer|audit|seal)\.'), NULL,
	'customers, keys and the audit trail are for administrators and reception by themselves');
SELECT is((SELECT count(*)::int FROM pg_catalog.pg_settings WHERE name = 'qms.seal_key_file' AND context = 'sighup'), 1, 'the file of keys is set in the configuration only');
SELECT throws_ok('SET qms.seal_key_file = ''/tmp/mine''', '55P02', NULL, 'not in a session');
SELECT throws_ok('SET qms.seal_personal_data = off', '55P02', NULL, 'nor can a session leave its values in clear');

SELECT * FROM finish();
ROLLBACK;
