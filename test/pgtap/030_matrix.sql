-- Who may do what, cell by cell: every function with valid arguments as every role, on what is of
-- his own branch, of another branch, of another organization.  What must come out is read from
-- qms.permission.  Every call is undone.
BEGIN;
SET LOCAL qms.mock_now = '2030-01-07 09:00+00';
\ir ../fixtures/two_cities.sql
\ir ../fixtures/examples.sql

SELECT plan((SELECT (12 + 17 + 3 + 2 * 18 + count(*) * (SELECT count(*) FROM attack.principal WHERE name <> 'admin of two') + 2 * count(*))::int FROM qms.permission));

-- nothing is missing
CREATE TEMP VIEW called AS
SELECT p.oid, p.proname::text COLLATE "C" AS name, p.proacl, p.proowner FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'qms'::regnamespace AND p.provolatile <> 'i' AND p.proname <> 'pre_request'; -- which only says who calls
SELECT set_eq('SELECT name FROM called', 'SELECT function FROM qms.permission', 'every function is in qms.permission, and nothing else is');
SELECT set_eq('SELECT name FROM called', 'SELECT function FROM attack.example', 'every function has arguments in test/fixtures/examples.sql, and nothing else has');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND NOT c.relispartition AND NOT c.relrowsecurity
	AND c.oid::regclass::text NOT IN ('qms.permission', 'qms_internal.instance', 'qms_internal.publisher', 'qms_internal.publisher_progress') $$,
	'every table but the few without anybody''s data has row-level security');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'qms'::regnamespace AND c.relrowsecurity AND
	(SELECT count(*) FROM pg_catalog.pg_policy y WHERE y.polrelid = c.oid AND y.polcmd = 'r') <> 1 $$,
	'... with one policy, for SELECT');
SELECT is_empty($$ SELECT y.polrelid::regclass, y.polcmd FROM pg_catalog.pg_policy y JOIN pg_catalog.pg_class c ON c.oid = y.polrelid
	WHERE c.relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND (y.polcmd <> 'r' OR NOT y.polpermissive OR y.polroles <> '{0}' OR pg_get_expr(y.polqual, y.polrelid) !~ '^qms_internal\.\w*sees\w*\(organization_id, ') $$,
	'... and every policy asks the gate about the organization of the row');
SELECT is_empty($$ SELECT c.oid::regclass, a.grantee::regrole, a.privilege_type FROM pg_catalog.pg_class c, LATERAL pg_catalog.aclexplode(c.relacl) a
	WHERE c.relnamespace = 'qms_internal'::regnamespace AND c.relkind <> 'S' AND a.grantee <> c.relowner $$, 'nobody has been given anything of qms_internal''s tables');
-- The groups of the columns; the gateway reads events and asks who is calling for its clients.
CREATE TEMP VIEW may AS
SELECT function, CASE role WHEN 'application' THEN 'qms_app' ELSE 'qms_' || role END AS grantee FROM qms.permission p, LATERAL jsonb_each_text(to_jsonb(p) - '{function,action}'::text[]) c (role, reach) WHERE reach <> 'no'
UNION ALL SELECT unnest('{events_since,stream_position}'::text[]), 'qms_gateway';
SELECT set_eq($$ SELECT f.name, a.grantee::regrole::text FROM called f, LATERAL pg_catalog.aclexplode(f.proacl) a WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> f.proowner $$,
	'SELECT function, grantee FROM may', 'EXECUTE is granted as the table says, and to nobody else');
SELECT is_empty($$ SELECT f.name FROM called f, LATERAL pg_catalog.aclexplode(f.proacl) a WHERE a.is_grantable AND a.grantee <> f.proowner $$, 'nobody may pass EXECUTE on');
SELECT is_empty($$ SELECT p.oid::regprocedure, a.grantee::regrole FROM pg_catalog.pg_proc p, LATERAL pg_catalog.aclexplode(p.proacl) a WHERE p.pronamespace = 'qms_internal'::regnamespace AND a.grantee <> p.proowner
	AND p.proname !~ '^(ticket_number|ticket_token|release_rate|wait_sketch)_(in|out|eq|ne|lt|le|gt|ge|cmp|hash)$|sees|^sees_queue$|^worker_status$|^gateway_' $$, 'of qms_internal others may execute what types, row-level security, the views of workers and gateways and the gateway need, and nothing else');
SELECT set_eq($$ SELECT p.proname FROM pg_catalog.pg_proc p, LATERAL pg_catalog.aclexplode(p.proacl) a WHERE p.pronamespace = 'qms_internal'::regnamespace AND p.prosecdef AND a.grantee <> p.proowner $$, ARRAY['worker_status', 'gateway_status', 'gateway_hello', 'gateway_events', 'gateway_check', 'gateway_channels', 'gateway_metrics', 'gateway_report'], '... and with the rights of the owner only the views of workers and gateways and the gateway');
SELECT set_eq($$ SELECT DISTINCT a.grantee::regrole::text FROM pg_catalog.pg_proc p, LATERAL pg_catalog.aclexplode(p.proacl) a WHERE p.pronamespace = 'qms_internal'::regnamespace AND p.proname ~ '^gateway_' AND p.proname <> 'gateway_status' AND a.grantee <> p.proowner $$, ARRAY['qms_gateway'], '... what is for the gateway is for nobody else');
SELECT set_eq('SELECT DISTINCT role FROM attack.principal', $$ SELECT attname::text FROM pg_catalog.pg_attribute WHERE attrelid = 'qms.permission'::regclass AND attnum > 2 $$,
	'somebody of every column of the table is there to try');

-- each principal is whom he is meant to be
SELECT is((attack.try(name, 'current_principal()')).answer::jsonb -> 0 ->> 'role', role, name || ' is a ' || role) FROM attack.principal WHERE name <> 'admin of two' ORDER BY name;

-- What is to come out: of a right, about something, in a place.
CREATE FUNCTION attack.verdict(reach text, about text, place text, who attack.principal) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN reach IN ('no', 'grant') THEN '42501'
		WHEN about = 'himself' THEN CASE WHEN who.claims ->> 'sub' ~ '^staff:' THEN 'ok' ELSE '42501' END
		WHEN about = 'superuser' THEN '42501'
		WHEN reach = 'all' OR about IN ('nothing', 'sign in') OR who.anonymous THEN 'ok'
		WHEN about = 'stream' AND who.limited THEN '42501'
		WHEN place = 'foreign' THEN CASE about WHEN 'token' THEN 'QM501' WHEN 'ticket' THEN 'none' ELSE 'QM101' END
		WHEN about = 'token' THEN 'ok'
		-- What belongs to no branch is not for somebody of some branches.
		WHEN about IN ('organization', 'application', 'all applications') AND who.limited THEN '42501'
		WHEN place = 'own' THEN 'ok'
		WHEN about = 'slugs' AND who.limited THEN 'QM101'
		WHEN about IN ('branch', 'ticket') AND who.limited THEN '42501'
		WHEN about IN ('application', 'ticket') AND reach = 'own' THEN '42501'
		ELSE 'ok' END $$;

-- A cell: the state in each of the three places, got and wanted.
CREATE FUNCTION attack.cell(who attack.principal, e attack.example, reach text, before text, got OUT text, wanted OUT text) LANGUAGE plpgsql AS $$
DECLARE
	-- Who has waiting rooms only has his rights there.
	in_room boolean := reach = 'own' AND who.role IN ('application', 'app_admin') AND e.in_room IS NOT NULL;
	about text := CASE WHEN in_room AND e.about = 'branch' THEN 'application' ELSE e.about END;
	place text;
	state text;
	verdict text;
BEGIN
	FOREACH place IN ARRAY '{own,other,foreign}'::text[] LOOP
		state := (attack.try(who.name, format('%s(%s)', e.function, attack.fill(CASE WHEN in_room THEN e.in_room ELSE e.arguments END, place)), before)).state;
		verdict := attack.verdict(reach, about, place, who);
		IF verdict = 'ok' AND in_room THEN
			verdict := coalesce(e.room_state, 'ok');
		END IF;
		-- A key that names queues is for no other.
		IF who.name = 'keyed application' AND e.function IN ('queue_status', 'visit_advice', 'lottery_draw', 'lottery_entries') AND place = 'other' THEN
			verdict := '42501';
		END IF;
		-- Nobody was called, nothing has been published: right nevertheless.
		IF state = 'none' AND e.function IN ('explain_call', 'events_since', 'consumer_read', 'take_secret', 'export_audit', 'forecast_arrivals', 'staffing_advice',
			'peak_hours', 'staff_performance', 'callback_errors') THEN
			state := 'ok';
		END IF;
		-- So many wrong codes meet the limit, as they should.
		IF state = 'QM220' AND e.function = 'pair_device' THEN
			state := 'ok';
		END IF;
		got := concat_ws(', ', got, place || ' ' || state);
		wanted := concat_ws(', ', wanted, place || ' ' || verdict);
	END LOOP;
END $$;
CREATE FUNCTION attack.reach(permitted qms.permission, role text) RETURNS text LANGUAGE sql AS 'SELECT to_jsonb(permitted) ->> role';

SELECT is(c.got, c.wanted, format('%s as %s: %s', e.function, w.name, attack.reach(p, w.role)))
FROM qms.permission p JOIN attack.example e USING (function), attack.principal w, LATERAL attack.cell(w, e, attack.reach(p, w.role), NULL) c
WHERE w.name <> 'admin of two' ORDER BY e.function, w.name;

-- "grant": with a grant of his own it is as yes, and a denial takes away what the role gives; but "no" stays no.
CREATE FUNCTION attack.permit(who text, permissions jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT format('UPDATE qms.staff SET permissions = %L WHERE username = %L', permissions, who) $$;
SELECT is(c.got, c.wanted, format('%s as caller who was granted it: %s', e.function, p.caller))
FROM qms.permission p JOIN attack.example e USING (function), attack.principal w,
	LATERAL attack.cell(w, e, replace(p.caller, 'grant', 'yes'), attack.permit(w.name, jsonb_build_object('grant', ARRAY[p.action]))) c
WHERE w.name = 'caller' ORDER BY e.function;
SELECT is(c.got, c.wanted, format('%s as servicer who was denied it', e.function))
FROM qms.permission p JOIN attack.example e USING (function), attack.principal w,
	LATERAL attack.cell(w, e, 'no', attack.permit(w.name, jsonb_build_object('deny', ARRAY[p.action], 'grant', ARRAY[p.action]))) c
WHERE w.name = 'servicer' ORDER BY e.function;

-- ":self" is the ticket at his own counter, ":limited" the queues of the counter that he works at.
CREATE FUNCTION attack.at_his_counter(permission text) RETURNS text LANGUAGE sql AS $$
	SELECT attack.permit('caller', jsonb_build_object('grant', ARRAY[permission])) || attack.fill(format('; SELECT qms.open_counter({closed_counter}, staff_id => %s), qms.call_ticket({closed_counter}, {second_ticket})',
		(SELECT staff_id FROM qms.staff WHERE username = 'caller')), 'own') $$;
CREATE FUNCTION attack.in_turn(permission text, function text, VARIADIC things text[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg((attack.try('caller', format('%s(%s%s)', function, attack.of('own', t), CASE function WHEN 'transfer_ticket' THEN ', ' || attack.of('own', 'spare_queue') END), attack.at_his_counter(permission))).state, ' ' ORDER BY n)
	FROM unnest(things) WITH ORDINALITY u (t, n) $$;
CREATE FUNCTION attack.in_turn_of(who text, function text, VARIADIC things text[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg((attack.try(who, format('%s(%s)', function, attack.of('own', t)))).state, ' ' ORDER BY n) FROM unnest(things) WITH ORDINALITY u (t, n) $$;
SELECT is(attack.in_turn(p.action || g.suffix, function, 'second_ticket', 'called_ticket', 'ticket'),
	replace(CASE g.suffix WHEN ':self' THEN 'ok 42501 42501' ELSE 'ok ok 42501' END, 'ok', coalesce(f.passed, 'ok')), function || ' with ' || g.suffix || ': his customer, one of his queue, another one')
FROM (VALUES ('cancel_ticket', NULL), ('hold_ticket', NULL), ('requeue_ticket', NULL), ('transfer_ticket', NULL), ('update_ticket', NULL), ('resume_ticket', 'QM401'), ('reinstate_ticket', 'QM401')) f (function, passed)
	JOIN qms.permission p USING (function), (VALUES (':self'), (':limited')) g (suffix) ORDER BY function, g.suffix;
SELECT is(attack.in_turn(p.action || ':limited', function, 'second_queue', 'queue'), 'ok 42501', function || ' with :limited: a queue of his counter, another one')
FROM qms.permission p WHERE function IN ('open_queue', 'pause_queue', 'close_queue') ORDER BY function;

-- A key that names queues is for those, a branch's too, and for no other.
SELECT is(attack.in_turn_of('keyed application', function, 'ticket', 'called_ticket', 'room_ticket'), want, function || ' by a key: a ticket of a queue that it names, of another one, of its waiting room')
FROM (VALUES ('get_ticket', 'ok 42501 ok'), ('cancel_ticket', 'ok 42501 ok'), ('hold_ticket', 'ok 42501 ok')) f (function, want);

-- The gate refuses by itself what EXECUTE has refused so far.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA qms TO PUBLIC;
SELECT is((SELECT string_agg(e.function || ' ' || t.state, ', ') FROM qms.permission p JOIN attack.example e USING (function), LATERAL attack.try(w.name, format('%s(%s)', e.function, attack.fill(e.arguments, 'own'))) t
	WHERE attack.reach(p, w.role) IN ('no', 'grant') AND t.state <> '42501'), NULL, w.name || ' meets the gate where EXECUTE would let him')
FROM attack.principal w WHERE w.name <> 'admin of two' ORDER BY w.name;

SELECT * FROM finish();
ROLLBACK;
