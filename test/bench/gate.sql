/*
 * What the gate costs, and row-level security; prints the lines of two tables.
 * Everything is timed inside the server, in one session and one transaction a
 * round, so nothing of it is waiting for a disk or a client: the shares of the
 * gate are the largest there can be.
 */
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
SELECT org, branch, q0, c0 FROM bench.ids \gset
SELECT staff_id AS clerk FROM qms.create_staff(:org, 'clerk') \gset
SELECT staff_id AS boss FROM qms.create_staff(:org, 'boss', role => 'admin') \gset
CREATE ROLE bench_clerk LOGIN;
GRANT qms_servicer TO bench_clerk;
CREATE ROLE bench_admin LOGIN;
GRANT qms_admin TO bench_admin;
CREATE ROLE bench_gate LOGIN NOINHERIT;
GRANT qms_authenticator, qms_servicer, qms_admin TO bench_gate;
SELECT count(b) FROM qms.bind_role('bench_clerk', :org, staff_id => :clerk) b, qms.bind_role('bench_admin', :org, staff_id => :boss) c \gset
-- The limits have a measurement of their own.
SELECT FROM qms.update_organization(:org, settings => '{"limit_staff": "off"}');
GRANT USAGE ON SCHEMA bench TO PUBLIC;

-- The same as a function of qms, but for qms: rights of the owner, its search_path, a C function that does nothing.
CREATE FUNCTION bench.empty() RETURNS int LANGUAGE internal VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'pg_backend_pid';

-- Microseconds of each of n, the best of nine rounds after one to warm up; what a round does is undone.
CREATE FUNCTION bench.took(statement text, n int) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
	took double precision[] := '{}';
BEGIN
	FOR i IN 0 .. 9 LOOP
		BEGIN
			began := clock_timestamp();
			EXECUTE statement;
			IF i > 0 THEN
				took := took || extract(epoch FROM clock_timestamp() - began)::double precision * 1e6 / n;
			END IF;
			RAISE SQLSTATE '00001';
		EXCEPTION WHEN SQLSTATE '00001' THEN NULL;
		END;
	END LOOP;
	RETURN (SELECT min(t) FROM unnest(took) t);
END $$;

-- One line: who he is in this session, the gate, the calls.
CREATE FUNCTION bench.line(who text, c0 bigint, q0 bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	empty double precision := bench.took('SELECT count(bench.empty()) FROM generate_series(1, 20000)', 20000);
	gate double precision := bench.took('SELECT count(qms.current_principal()) FROM generate_series(1, 20000)', 20000) - empty;
	call double precision := bench.took(format('SELECT count(*) FROM generate_series(%s, %s) c, LATERAL qms.call_next(c) t', c0, c0 + 799), 800) - empty;
	joined double precision := bench.took(format('SELECT count(*) FROM generate_series(0, 799) i, LATERAL qms.join_queue(%s + i %% 25) t', q0), 800) - empty;
BEGIN
	RETURN format('| %s | %s | %s | %s | %s | %s %% | %s %% |', who, round(empty::numeric, 2), round(gate::numeric, 2), round(call::numeric), round(joined::numeric),
		round((100 * gate / call)::numeric, 1), round((100 * gate / joined)::numeric, 1));
END $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA bench TO PUBLIC;
SELECT format('{"role": "qms_servicer", "sub": "staff:%s", "organization_id": %s}', :clerk, :org) AS clerk_claims,
	format('{"role": "qms_servicer", "sub": "staff:%s", "organization_id": %s}', :boss, :org) AS boss_claims \gset

\echo
\echo 'The gate: us of an empty C function, what the gate and its small answer take beyond that, call_next and join_queue (100,000 waiting, no commit)'
\echo
\echo '| session | empty function | gate | call_next | join_queue | gate of call_next | gate of join_queue |'
\echo '|---|---|---|---|---|---|---|'
SELECT bench.line('superuser', :c0, :q0);
SET SESSION AUTHORIZATION bench_clerk;
SELECT bench.line('clerk, by binding', :c0, :q0);
SET SESSION AUTHORIZATION bench_gate;
SET ROLE qms_servicer;
SET request.jwt.claims = :'clerk_claims';
SELECT bench.line('clerk, by claims', :c0, :q0);
-- Each call of another one than the call before, as in a session of PostgREST.
SELECT bench.took(format('SELECT count(s), count(p) FROM (SELECT set_config(%L, CASE i %% 2 WHEN 0 THEN %L ELSE %L END, true) AS s, qms.current_principal() AS p FROM generate_series(1, 2000) i OFFSET 0) x',
	'request.jwt.claims', :'clerk_claims', :'boss_claims'), 2000) - bench.took(format('SELECT count(s), count(p) FROM (SELECT set_config(%L, CASE i %% 2 WHEN 0 THEN %L ELSE %L END, true) AS s, bench.empty() AS p FROM generate_series(1, 2000) i OFFSET 0) x',
	'bench.claims', :'clerk_claims', :'boss_claims'), 2000) AS anew \gset
SELECT format('| another caller each time, by claims | | %s | | | | |', round(:anew::numeric, 1));
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;

-- Forty more organizations, each with a branch and 25 queues; a hundred thousand events are there from the line.
SELECT count(*) FROM (SELECT organization_id FROM generate_series(1, 40) i, LATERAL qms.create_organization('City ' || i) OFFSET 0) o,
	LATERAL (SELECT branch_id FROM qms.create_branch(o.organization_id, 'Main') OFFSET 0) b,
	LATERAL (SELECT count(queue_id) FROM generate_series(0, 24) i, LATERAL qms.create_queue('Queue ' || i, branch_id => b.branch_id, prefix => 'B' || chr(65 + i)) OFFSET 0) q \gset
INSERT INTO qms.event (event_id, xid, at, kind, organization_id, actor_kind, actor_role, data)
SELECT 900000000 + i, pg_current_xact_id(), now(), 'bench', CASE WHEN i % 10 = 0 THEN :org ELSE 1000000 + i % 40 END, 'system', 'bench', '{}' FROM generate_series(1, 100000) i;
GRANT SELECT ON qms.ticket TO qms_admin;
ANALYZE;
CREATE TABLE bench.seen (what text, rows bigint, by_hand double precision, guarded double precision);
GRANT ALL ON bench.seen TO PUBLIC;
CREATE FUNCTION bench.look(name text, relation text, hand text, org bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', relation) INTO n;
	INSERT INTO bench.seen VALUES (name, n, NULL, bench.took(format('SELECT count(*) FROM (SELECT * FROM %s OFFSET 0) x', relation), 1));
END $$;
CREATE TEMP TABLE looks (name text, relation text, hand text);
INSERT INTO looks VALUES
	('view queues', 'qms.queues', 'SELECT q.* FROM qms.queue q LEFT JOIN qms.branch b ON b.branch_id = q.branch_id LEFT JOIN qms.application a ON a.application_id = q.application_id WHERE q.deleted_at IS NULL AND b.deleted_at IS NULL AND a.deleted_at IS NULL'),
	('view counters', 'qms.counters', 'SELECT c.*, s.staff_session_id FROM qms.counter c JOIN qms.branch b ON b.branch_id = c.branch_id LEFT JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL WHERE c.deleted_at IS NULL AND b.deleted_at IS NULL'),
	('table queue', 'qms.queue', 'SELECT q.* FROM qms.queue q'),
	('table ticket', 'qms.ticket', 'SELECT q.* FROM qms.ticket q'),
	('table event', 'qms.event', 'SELECT q.* FROM qms.event q');
GRANT SELECT ON looks TO PUBLIC;
SET SESSION AUTHORIZATION bench_admin;
SELECT count(*) FROM (SELECT bench.look(name, relation, hand, :org) FROM looks OFFSET 0) x \gset unused_
RESET SESSION AUTHORIZATION;
-- By hand, as the owner: all rows, and those of the organization by a condition.
SELECT bench.took(format('SELECT count(*) FROM (%s OFFSET 0) x', hand), 1) AS whole, bench.took(format('SELECT count(*) FROM (%s %s %s.organization_id = %s OFFSET 0) x', hand,
	CASE WHEN hand ~ 'WHERE' THEN 'AND' ELSE 'WHERE' END, CASE WHEN hand ~ '^SELECT c' THEN 'c' ELSE 'q' END, :org), 1) AS own, looks.*, s.rows, s.guarded,
	(xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM (%s) x', hand), false, true, '')))[1]::text::bigint AS everything
INTO TEMP shown FROM looks JOIN bench.seen s ON s.what = looks.name;
\echo
\echo 'Row-level security and list views, 41 organizations, as the administrator of one; by hand: the same rows by a condition, as the owner (best of nine)'
\echo
\echo '| read | rows there | rows seen | by hand, ms | guarded, ms | guarded / by hand | guarded / all rows by hand |'
\echo '|---|---|---|---|---|---|---|'
SELECT format('| %s | %s | %s | %s | %s | %s | %s |', name, everything, rows, round((own / 1000)::numeric, 2), round((guarded / 1000)::numeric, 2), round((guarded / own)::numeric, 2), round((guarded / whole)::numeric, 2)) FROM shown ORDER BY name DESC;
