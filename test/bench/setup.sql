/*
 * A branch with 25 counter queues, a release queue and 800 counters with open
 * sessions, through the functions of qms; and in schema bench copies of the hot
 * tables, with the same columns, constraints, indexes and storage settings, for
 * the statements written by hand.
 */
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION qms;
SELECT setseed(0.42);

SELECT organization_id AS org FROM qms.create_organization('Bench') \gset
SELECT branch_id AS branch FROM qms.create_branch(:org, 'Main') \gset
SELECT application_id AS application FROM qms.create_application(:org, 'Shop') \gset
SELECT min(q.queue_id) AS q0
FROM generate_series(0, 24) i,
	LATERAL qms.create_queue('Queue ' || i, branch_id => :branch, prefix => 'B' || chr(65 + i),
		settings => '{"max_number": 999999, "recall_limit": 3}') q \gset
SELECT queue_id AS release_queue
FROM qms.create_queue('Sale', application_id => :application, kind => 'release') \gset
-- Eight counters a client, all of one queue; four clients a queue.
SELECT min(c.counter_id) AS c0
FROM generate_series(0, 799) i,
	LATERAL qms.create_counter(:branch, 'Counter ' || i, ARRAY[:q0 + i / 32]) c \gset
SELECT count(*) FROM generate_series(:c0, :c0 + 799) c, LATERAL qms.open_counter(c) \gset
-- The first join and call make the partitions of this month.
SELECT ticket_id FROM qms.join_queue(:q0) \gset
SELECT ticket_id FROM qms.call_next(:c0) \gset
SELECT ticket_id FROM qms.complete_service(:c0) \gset

SELECT to_regclass('qms_internal.event_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')) AS event_partition,
	customer_class_id AS class
FROM qms.customer_class WHERE organization_id = :org AND name = 'regular' \gset

CREATE SCHEMA bench;
CREATE TABLE bench.ticket (LIKE qms.ticket INCLUDING ALL);
CREATE TABLE bench.staff_session (LIKE qms.staff_session INCLUDING ALL);
CREATE TABLE bench.queue_number (LIKE qms_internal.queue_number INCLUDING ALL);
CREATE TABLE bench.request (LIKE qms_internal.request INCLUDING ALL);
CREATE TABLE bench.event (LIKE qms.event INCLUDING ALL) PARTITION BY RANGE (at);
CREATE TABLE bench.event_now (LIKE :event_partition INCLUDING ALL);
ALTER TABLE bench.event ATTACH PARTITION bench.event_now FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
-- LIKE leaves storage settings out.
SELECT format('ALTER TABLE bench.%I SET (%s)', c.relname, array_to_string(c.reloptions, ', '))
FROM pg_class c
WHERE c.relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND c.relkind = 'r'
	AND c.relname IN ('ticket', 'staff_session', 'queue_number', 'request') AND c.reloptions IS NOT NULL \gexec
INSERT INTO bench.staff_session SELECT * FROM qms.staff_session;
CREATE TABLE bench.ids AS
SELECT :org::bigint AS org, :branch::bigint AS branch, :q0::bigint AS q0, :c0::bigint AS c0, :class::bigint AS class,
	:release_queue::bigint AS release_queue, :application::bigint AS application;
CREATE TABLE bench.token (i int PRIMARY KEY, token qms.ticket_token);
