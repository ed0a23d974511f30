/*
 * An organization with ten branches of five queues and ten counters each, and a
 * month of tickets in the event log: :tickets of them, as the functions of qms
 * write them, in order of time.  Written directly: a million joins, calls, starts
 * and ends one after another would take an hour.
 */
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION qms;
SELECT setseed(0.42);
SELECT organization_id AS org FROM qms.create_organization('Bench', time_zone => 'Europe/Berlin') \gset
CREATE SCHEMA bench;
CREATE TABLE bench.branch AS SELECT i, b.branch_id FROM generate_series(0, 9) i, LATERAL qms.create_branch(:org, 'Branch ' || i) b;
CREATE TABLE bench.queue AS SELECT row_number() OVER () - 1 AS i, b.branch_id, q.queue_id
FROM bench.branch b, generate_series(1, 5) n, LATERAL qms.create_queue(b.i || '/' || n, branch_id => b.branch_id, settings => '{"max_number": 999999, "undo_window": "1 h"}') q;
CREATE TABLE bench.counter AS SELECT row_number() OVER () - 1 AS i, b.branch_id, c.counter_id
FROM bench.branch b, generate_series(1, 10) n, LATERAL qms.create_counter(b.branch_id, 'Counter ' || n, ARRAY(SELECT q.queue_id FROM bench.queue q WHERE q.branch_id = b.branch_id)) c;
SELECT customer_class_id AS regular FROM qms.customer_class WHERE organization_id = :org AND name = 'regular' \gset
SELECT customer_class_id AS vip FROM qms.create_customer_class(:org, 'vip', credit => '10 min') \gset
-- The month before this one; its partition is made by the first call in it.
SELECT date_trunc('month', now(), 'UTC') - interval '1 month' AS month \gset
SELECT set_config('qms.mock_now', :'month', false) \gset
SELECT qms.open_counter(counter_id) FROM bench.counter \g /dev/null
SET qms.mock_now = '';
-- Opening hours from 7 to 18 h, fewer people at the edges, more in the first days.
CREATE UNLOGGED TABLE bench.step AS
WITH t AS MATERIALIZED (
	SELECT n AS ticket, 10000000 + n AS ticket_id, n % 50 AS queue, n % 100 AS counter, CASE WHEN n % 10 = 0 THEN :vip ELSE :regular END AS class,
		timestamptz :'month' + floor(power(random(), 1.2) * 28) * interval '1 day' + (7 + 11 * (random() + random()) / 2) * interval '1 hour' AS joined,
		-ln(1 - random()) * interval '8 min' AS waited, random() * interval '1 min' AS walked, -ln(1 - random()) * interval '5 min' AS served, random() AS fate
	FROM generate_series(1, :tickets) n)
SELECT t.*, s.kind, s.at FROM t, LATERAL (VALUES ('joined', joined), ('called', CASE WHEN fate < 0.94 THEN joined + waited END), ('cancelled', CASE WHEN fate >= 0.94 THEN joined + waited END),
	('no_show', CASE WHEN fate < 0.05 THEN joined + waited + walked END), ('serving', CASE WHEN fate BETWEEN 0.05 AND 0.94 THEN joined + waited + walked END),
	('completed', CASE WHEN fate BETWEEN 0.05 AND 0.94 THEN joined + waited + walked + served END)) s (kind, at) WHERE s.at IS NOT NULL;
INSERT INTO qms.event (event_id, organization_id, at, kind, branch_id, queue_id, visit_id, ticket_id, state, version, counter_id, actor_kind, actor_role, data)
SELECT nextval('qms.event_event_id_seq'), :org, s.at, 'ticket.' || s.kind, q.branch_id, q.queue_id, s.ticket_id, s.ticket_id,
	CASE s.kind WHEN 'joined' THEN 'waiting' ELSE s.kind END, 1, CASE WHEN s.kind NOT IN ('joined', 'cancelled') THEN c.counter_id END, 'staff', 'servicer',
	CASE s.kind WHEN 'joined' THEN jsonb_build_object('sort_key', 1, 'effective_arrival', s.at, 'customer_class_id', s.class, 'priority', 0)
		WHEN 'called' THEN jsonb_build_object('policy', 'fifo', 'sort_key', 1)
		WHEN 'cancelled' THEN '{"from": "waiting"}' WHEN 'completed' THEN jsonb_build_object('from', 'serving', 'served_seconds', extract(epoch FROM s.served)) END
FROM (SELECT * FROM bench.step ORDER BY at) s JOIN bench.queue q ON q.i = s.queue JOIN bench.counter c ON c.i = s.counter ORDER BY s.at;
DROP TABLE bench.step;
SELECT set_config('qms.mock_now', (timestamptz :'month' + interval '28 days')::text, false) \gset
SELECT qms.close_counter(counter_id) FROM bench.counter \g /dev/null
VACUUM ANALYZE qms.event;
CHECKPOINT;
