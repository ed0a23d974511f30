-- Advice to a visitor: what it would be now, elsewhere, later.  What is predicted is a matter of other tests.
\set base 510000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

-- an hour in which ten people were called after so many minutes, on each of the last eight weeks
CREATE FUNCTION test.waits(queue bigint, weekday int, hour int, minutes int, people int DEFAULT 10) RETURNS void LANGUAGE sql AS $$
	INSERT INTO qms.analytics_snapshot (organization_id, branch_id, queue_id, period, starts_at, ends_at, local_date, local_hour, joined, called, wait_count, wait_sum, wait_max, wait_sketch, computed_at)
	SELECT q.organization_id, q.branch_id, q.queue_id, 'hour', s, s + interval '1 hour', s::date, hour, people, people, people, people * minutes * interval '1 min', minutes * interval '1 min',
		qms.make_wait_sketch(array_fill(minutes * interval '1 min', ARRAY[people])), s
	FROM qms.queue q, generate_series(0, 7) w, LATERAL (SELECT (date '2026-03-01' + weekday - 7 * (w + 1))::timestamp + hour * interval '1 hour') l (s0), LATERAL (SELECT s0 AT TIME ZONE 'Europe/Berlin') x (s) WHERE q.queue_id = queue $$;
SELECT status FROM qms.open_counter(:c1, staff_id => :ada);
SELECT status FROM qms.open_counter(:l1, staff_id => :ben);
SELECT count(*) FROM qms.set_opening_hours('{"mon": [["08:00", "16:00"]], "tue": [["08:00", "12:00"]]}', :hall);
-- nobody waits: nothing is better
SELECT option, branch_name, starts_at, wait_p50 < '1 min' AS short, saves FROM qms.visit_advice(:qa);
-- twelve people, and what is known of Mondays and Tuesdays; Tuesday afternoon it is closed, on Monday at 14:00 it was no better
SELECT count(test.join(:qa)) FROM generate_series(1, 12);
SELECT test.waits(:qa, 1, 10, 20), test.waits(:qa, 1, 14, 300), test.waits(:qa, 1, 15, 4), test.waits(:qa, 2, 8, 9), test.waits(:qa, 2, 11, 2), test.waits(:qa, 2, 13, 1), test.waits(:qa, 2, 9, 1, 0) \g /dev/null
SELECT option, branch_name, branch_id = :hall AS here, starts_at, ends_at, CASE option WHEN 'later' THEN date_trunc('minute', wait_p50 + interval '5 s') END AS wait_p50, saves > '1 min' AS saves, wait_p90 >= wait_p50 AS p90
FROM qms.visit_advice(branch_id => :hall, service_id => :passports, max_rows => 10);
SELECT option, starts_at FROM qms.visit_advice(:qa, :passports, days => 1);
SELECT option FROM qms.visit_advice(:qa, :passports, days => 0);
SELECT option FROM qms.visit_advice(:qa, :passports, max_rows => 1);
SELECT option FROM qms.visit_advice(:qa, :passports, max_rows => 0);
-- the names of the branch, for a page
SELECT names FROM qms.update_branch(:library, names => '{"de": "Bücherei"}');
SELECT branch_names FROM qms.visit_advice(:qa, :passports, days => 0) WHERE option = 'elsewhere';
-- the other one is closed: not spoken of; this one is: what is left
SELECT status FROM qms.pause_queue(:ql);
SELECT option FROM qms.visit_advice(:qa, :passports, days => 0);
SELECT status FROM qms.open_queue(:ql);
SELECT status FROM qms.pause_queue(:qa);
SELECT option, branch_name, starts_at, saves FROM qms.visit_advice(:qa, :passports) ORDER BY starts_at NULLS FIRST;
SELECT status FROM qms.open_queue(:qa);
-- what cannot be
SELECT qms.visit_advice();
SELECT qms.visit_advice(branch_id => :hall);
SELECT qms.visit_advice(branch_id => :library, service_id => :cars);
SELECT qms.visit_advice(999999999);
SELECT qms.visit_advice(:qa, days => 15);
SELECT qms.visit_advice(:qa, max_rows => -1);
-- everybody may, of queues that are public
SELECT queue_id AS hidden FROM qms.create_queue('Hidden', :hall, settings => '{"public": false}') \gset
SELECT organization_id AS other FROM qms.create_organization('Elsewhere 560') \gset
CREATE ROLE report_web LOGIN IN ROLE qms_customer;
CREATE ROLE report_stranger LOGIN IN ROLE qms_customer;
SELECT kind FROM qms.bind_role('report_web', :org, kind => 'customer');
SELECT kind FROM qms.bind_role('report_stranger', :other, kind => 'customer');
SET SESSION AUTHORIZATION report_web;
SELECT option FROM qms.visit_advice(:qa, :passports, days => 0);
SELECT qms.visit_advice(:hidden);
SET SESSION AUTHORIZATION report_stranger;
SELECT qms.visit_advice(:qa);
RESET SESSION AUTHORIZATION;
SELECT qms.update_queue(:ql, settings => '{"public": false}') \g /dev/null
SET SESSION AUTHORIZATION report_web;
SELECT option FROM qms.visit_advice(:qa, :passports, days => 0);
RESET SESSION AUTHORIZATION;
DROP ROLE report_web, report_stranger;
