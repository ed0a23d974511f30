-- The event log as an audit trail: who and from where, what was before, written once, exported in pages.
\set base 340000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

-- from where
SET application_name = 'the desk';
SELECT number FROM qms.join_queue(queue_id => :qa);
SELECT actor_kind, actor_role = session_role AS same_role, session_role = session_user AS login, application_name, address, user_agent, api_key_id FROM qms.event WHERE organization_id = :org AND kind = 'ticket.joined';
SET application_name = '';
SELECT number FROM qms.join_queue(queue_id => :qa);
SELECT application_name IS NULL AS unsaid FROM qms.event WHERE organization_id = :org ORDER BY event_id DESC LIMIT 1;
-- headers count in sessions of PostgREST and the gateway only, whoever sets them; the agent is cut
CREATE ROLE seal_web LOGIN IN ROLE qms_authenticator, qms_customer;
CREATE ROLE seal_plain LOGIN IN ROLE qms_customer;
SELECT kind FROM qms.bind_role('seal_plain', :org, kind => 'customer');
SET request.headers = '{"accept": {"user-agent": "inner"}, "user-agent": "Firefox \"1\" ü", "host": "x"}';
SELECT number FROM qms.join_queue(queue_id => :qa);
SET SESSION AUTHORIZATION seal_plain;
SELECT number FROM qms.join_queue(queue_id => :qa);
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION seal_web;
SET ROLE qms_customer;
SELECT number FROM qms.join_queue(queue_id => :qa);
SELECT set_config('request.headers', jsonb_build_object('user-agent', repeat('ü', 150))::text, false) \gset ignored_
SELECT number FROM qms.join_queue(queue_id => :qa);
SET request.headers = '{"user-agent": 5}';
SELECT number FROM qms.join_queue(queue_id => :qa);
SET request.headers = 'no json';
SELECT number FROM qms.join_queue(queue_id => :qa);
SET request.headers = '';
SELECT number FROM qms.join_queue(queue_id => :qa);
-- the address that the gateway says
SET qms.client_address = '203.0.113.7';
SELECT number FROM qms.join_queue(queue_id => :qa);
SET qms.client_address = 'nonsense';
SELECT number FROM qms.join_queue(queue_id => :qa);
RESET qms.client_address;
SELECT number FROM qms.join_queue(queue_id => :qa);
RESET SESSION AUTHORIZATION;
SET qms.client_address = '203.0.113.8';
SET SESSION AUTHORIZATION seal_plain;
SELECT number FROM qms.join_queue(queue_id => :qa);
RESET SESSION AUTHORIZATION;
RESET qms.client_address;
SELECT actor_kind, CASE session_role WHEN session_user THEN 'mine' ELSE session_role END AS session_role, address, octet_length(user_agent) AS bytes, left(user_agent, 20) AS user_agent FROM qms.event WHERE organization_id = :org AND kind = 'ticket.joined' ORDER BY event_id OFFSET 2;

-- what was before
SELECT name, settings FROM qms.update_branch(:library, name => 'Books', networks => '{10.0.0.0/8}', time_zone => 'Europe/Paris');
SELECT settings FROM qms.update_queue(:qa, settings => '{"max_waiting": 100, "recall_limit": 2}');
SELECT settings FROM qms.update_queue(:qa, settings => '{"max_waiting": 50, "recall_limit": null}', name => 'Passports');
SELECT requires_skill FROM qms.update_service(:passports, requires_skill => '{german}', credit => '5 min', expected_duration => '0');
SELECT count(*) FROM qms.set_opening_hours('{"mon": [["08:00", "12:00"], ["13:00", "24:00"]]}', :hall);
SELECT count(*) FROM qms.set_opening_hours(NULL, :hall);
SELECT count(qms.delete_counter(:c3));
SELECT kind, data->'before' AS before, data->'values' AS values FROM qms.event WHERE organization_id = :org AND kind ~ '(updated|deleted)$' AND kind !~ '^ticket' ORDER BY event_id;

-- written once: nobody changes or removes a row, not the owner, not a superuser, not in a partition
CREATE FUNCTION test.tries(statement text, who name DEFAULT 'postgres') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF who <> 'postgres' THEN
		PERFORM set_config('role', who, true);
	END IF;
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;
SELECT format('qms_internal.event_%s', to_char(current_setting('qms.mock_now')::timestamptz, 'YYYY_MM')) AS partition \gset
SELECT who, statement, test.tries(statement, who) FROM unnest('{postgres,qms_owner}'::name[]) who, unnest(ARRAY['UPDATE qms.event SET data = NULL', 'DELETE FROM qms.event', 'TRUNCATE qms.event',
	'UPDATE partition SET kind = ''x''', 'DELETE FROM partition', 'TRUNCATE partition', 'UPDATE qms.event SET at = at + interval ''1 year'' WHERE false', 'UPDATE qms.event SET at = at + interval ''1 year''',
	'MERGE INTO partition e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE']) s, LATERAL (SELECT replace(s, 'partition', :'partition') AS statement) t;
SELECT test.tries('DELETE FROM qms.event', 'qms_admin'), test.tries('INSERT INTO qms.event SELECT * FROM qms.event', 'qms_admin'), test.tries('TRUNCATE qms.event', 'qms_super_admin');
-- also in a partition that is made now
SET qms.mock_now = '2027-09-15 09:00+02';
SELECT number IS NOT NULL AS joined FROM qms.join_queue(queue_id => :qa);
SELECT test.tries('DELETE FROM qms_internal.event_2027_09'), test.tries('TRUNCATE qms_internal.event_2027_09'), test.tries('UPDATE qms_internal.event_2027_09 SET at = at');
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'qms_internal.event_2027_09'::regclass ORDER BY 1;
SET qms.mock_now = '2026-03-02 12:00+01';

-- taken in pages, each of them an event
SELECT count(*) AS n, min(event_id) AS first, max(event_id) AS last FROM qms.event WHERE organization_id = :org AND at < '2026-03-03' \gset
SELECT count(*) = :n AS all, bool_and(organization_id = :org) AS ours, min(event_id) = :first AS from_first FROM qms.export_audit(:org);
CREATE TEMP TABLE page AS SELECT * FROM qms.export_audit(:org, before => '2026-03-02 10:00+01', max_rows => 5);
SELECT max(event_id) AS last FROM page \gset
INSERT INTO page SELECT * FROM qms.export_audit(:org, before => '2026-03-02 10:00+01', after_event_id => :last, max_rows => 100000);
SELECT count(*) = (SELECT count(*) FROM qms.event WHERE organization_id = :org AND at < '2026-03-02 10:00+01') AS all, count(DISTINCT event_id) = count(*) AS once FROM page;
SELECT count(*) FROM qms.export_audit(:org, since => '2026-03-02 10:00+01', before => '2026-03-02 11:00+01');
SELECT kind, count(*) FROM qms.export_audit(:org, kinds => '{ticket.joined,queue.updated}') GROUP BY kind ORDER BY kind;
SELECT count(*) FROM qms.export_audit(:org, kinds => '{}');
SELECT kind, actor_role = session_role AS who, data - 'rows' - 'after_event_id' AS data FROM qms.export_audit(:org, kinds => '{audit.exported}', before => '2026-03-02 13:00+01') ORDER BY event_id;
SELECT qms.export_audit(:org, max_rows => 0);
SELECT qms.export_audit(:org, max_rows => 100001);
SELECT qms.export_audit(:org, kinds => '{ticket.joined,NULL}');
SELECT qms.export_audit(999999);
-- all organizations: superusers only
SELECT count(DISTINCT organization_id) > 1 OR count(*) > 0 AS some FROM qms.export_audit(NULL);
SELECT staff_id AS boss FROM qms.create_staff(:org, 'boss', role => 'admin') \gset
SELECT staff_id AS local FROM qms.create_staff(:org, 'local', role => 'admin', branch_ids => ARRAY[:hall]) \gset
CREATE ROLE seala_boss IN ROLE qms_admin; CREATE ROLE seala_local IN ROLE qms_admin; CREATE ROLE seala_clerk IN ROLE qms_reception;
SELECT kind FROM qms.bind_role('seala_boss', :org, staff_id => :boss);
SELECT kind FROM qms.bind_role('seala_local', :org, staff_id => :local);
SELECT kind FROM qms.bind_role('seala_clerk', :org, staff_id => :ada);
SELECT organization_id AS other FROM qms.create_organization('Other ' || :base) \gset
SET ROLE seala_boss;
SELECT count(*) > 10 AS some FROM qms.export_audit(:org);
SELECT qms.export_audit(NULL);
SELECT qms.export_audit(:other);
SET ROLE seala_local;
SELECT qms.export_audit(:org);
SET ROLE seala_clerk;
SELECT qms.export_audit(:org);
RESET ROLE;
-- who took it cannot be taken back
SELECT actor_kind, actor_id = :boss AS boss FROM qms.event WHERE organization_id = :org AND kind = 'audit.exported' ORDER BY event_id DESC LIMIT 1;
BEGIN READ ONLY;
SELECT qms.export_audit(:org);
ROLLBACK;

DROP OWNED BY seal_web, seal_plain, seala_boss, seala_local, seala_clerk;
DROP ROLE seal_web, seal_plain, seala_boss, seala_local, seala_clerk;
