-- What gateways elsewhere say of themselves: kept for five minutes, one row each, at most 64.
\set VERBOSITY terse
SET qms.mock_now = '2030-01-07 09:00+00';
CREATE ROLE report_gateway LOGIN IN ROLE qms_gateway;
CREATE ROLE report_admin LOGIN IN ROLE qms_admin;
CREATE ROLE report_kiosk LOGIN IN ROLE qms_kiosk;
CREATE VIEW rows AS SELECT name, host, pid, state, reason, listen, since, restarts, last_error, connections, subscriptions, messages, bytes, lag, drops, reported_at, databases FROM qms.gateway_status;

-- the one of this server
SELECT name, host, pid, state, reason, listen, since, restarts, connections, databases FROM qms.gateway_status;

SET SESSION AUTHORIZATION report_gateway;
SELECT qms_internal.gateway_report('hall:8080', '{"pid": 4711, "listen": "0.0.0.0:8080", "connections": 12, "subscriptions": 30, "messages": 5000000000, "bytes": 70, "lag_ms": 1.5, "drops": 2,
	"last_error": "could not connect", "databases": [{"name": "town", "connected": true, "position": 9, "error": null}], "version": "x"}');
SELECT qms_internal.gateway_report('empty', '{}');
SELECT qms_internal.gateway_report('local', '{"connections": 99}');
-- refused
SELECT qms_internal.gateway_report(NULL, '{}');
SELECT qms_internal.gateway_report('a', NULL);
SELECT qms_internal.gateway_report('', '{}');
SELECT qms_internal.gateway_report(repeat('a', 64), '{}');
SELECT qms_internal.gateway_report('a', '[]');
SELECT qms_internal.gateway_report('a', jsonb_build_object('x', repeat('a', 70000)));
SELECT qms_internal.gateway_report('a', '{"connections": 1e30}');
-- strange, and taken
SELECT qms_internal.gateway_report('strange ä', jsonb_build_object('pid', -1, 'listen', repeat('ä', 300), 'connections', 'many', 'lag_ms', 1e300, 'last_error', repeat('ü', 300), 'databases', '{}'::jsonb));
SELECT qms_internal.gateway_report('long', jsonb_build_object('databases', (SELECT jsonb_agg(jsonb_build_object('name', 'd' || n)) FROM generate_series(1, 200) n)));
SELECT name FROM qms.gateway_status;
RESET SESSION AUTHORIZATION;
SET qms.mock_now = '2030-01-07 09:02+00';
SELECT * FROM rows WHERE name IN ('hall:8080', 'empty') ORDER BY name;
SELECT name, pid, length(listen), length(last_error), connections, lag, databases FROM qms.gateway_status WHERE name ~ '^(strange|long)' ORDER BY name;

-- administrators: neither figures nor errors nor names of databases
SET SESSION AUTHORIZATION report_admin;
SELECT name, state, listen, last_error, connections, lag, databases FROM qms.gateway_status WHERE name IN ('hall:8080', 'local') ORDER BY name;
SELECT qms_internal.gateway_report('a', '{}');
SET SESSION AUTHORIZATION report_kiosk;
SELECT * FROM qms.gateway_status;
SELECT qms_internal.gateway_report('a', '{}');
RESET SESSION AUTHORIZATION;

-- again: the same row; who is silent for five minutes is forgotten
SET qms.mock_now = '2030-01-07 09:04+00';
SELECT qms_internal.gateway_report('hall:8080', '{"connections": 13}');
SET qms.mock_now = '2030-01-07 09:05:01+00';
SELECT name, since, connections, reported_at FROM rows WHERE name <> 'local' ORDER BY name;
SET qms.mock_now = '2030-01-07 09:10+00';
SELECT qms_internal.gateway_report('hall:8080', '{"connections": 14}');
SELECT name, since, connections, reported_at FROM rows WHERE name <> 'local' ORDER BY name;

-- no more than 64: who has been silent for longest goes
SET qms.mock_now = '2030-01-07 09:11+00';
SELECT count(qms_internal.gateway_report('g' || n, '{}')) FROM generate_series(1, 100) n;
SELECT count(*), min(substr(name, 2)::int), max(substr(name, 2)::int) FROM qms.gateway_status WHERE name ~ '^g[0-9]+$';
SELECT count(*) FROM qms.gateway_status WHERE name = 'hall:8080';
SET qms.mock_now = '2030-01-07 09:17+00';
SELECT name FROM qms.gateway_status;

DROP VIEW rows;
RESET qms.mock_now;
DROP ROLE report_gateway, report_admin, report_kiosk;
