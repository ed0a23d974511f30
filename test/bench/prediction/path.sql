/*
 * One stream of drive.c, ticket by ticket, through join_queue, call_next and
 * complete_service on the mock clock; with a turn of learning whenever the
 * scheduler would have one.  STREAM=FILE psql -v counters=N -v name=NAME; and for
 * counters that are there in every second stretch only, planned for a week: -v always=N
 * -v stretch=MICROSECONDS
 */
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
SET timezone = 'UTC';
SET synchronous_commit = off;
SET qms.mock_now = '2030-01-07 00:00+00';
\if :{?always}
\else
\set always :counters
\set stretch 1000000000000000
\endif
CREATE SCHEMA IF NOT EXISTS bench;
CREATE TEMP TABLE stream (i int PRIMARY KEY, came bigint, start bigint, service bigint, ahead int, p10 int, p50 int, p90 int, gone bigint, credit int);
\copy stream FROM PROGRAM 'cat "$STREAM"' CSV
SELECT organization_id AS org FROM qms.create_organization(:'name') \gset
SELECT branch_id AS branch FROM qms.create_branch(:org, 'Hall', 'UTC') \gset
SELECT queue_id AS q FROM qms.create_queue('Line', :branch, settings => '{"max_number": 999999}') \gset
SELECT count(qms.create_customer_class(:org, 'credit ' || c, make_interval(secs => c))) AS classes FROM (SELECT DISTINCT credit AS c FROM stream WHERE credit <> 0) c \gset
SELECT array_agg(c.counter_id ORDER BY c.counter_id) AS counters FROM generate_series(1, :counters) n, LATERAL qms.create_counter(:branch, 'Desk ' || n, ARRAY[:q]) c \gset
SELECT count(qms.open_counter(c)) AS opened FROM unnest(:'counters'::bigint[]) c \gset
CREATE TEMP TABLE told (i int PRIMARY KEY, ticket_id bigint, token qms.ticket_token, ahead int, p10 int, p50 int, p90 int, called_at bigint, asked float8);
CREATE TEMP TABLE ids AS SELECT :q::bigint AS q, :'counters'::bigint[] AS counters, (:'counters'::bigint[])[:always + 1:] AS extra;
-- The plan of the week, if there is anything to plan.
CREATE TEMP TABLE span AS SELECT n * :stretch AS begins, CASE n % 2 WHEN 0 THEN array_length(:'counters'::bigint[], 1) ELSE :always END AS counters
	FROM generate_series(0, 604800000000 / :stretch) n WHERE (SELECT extra FROM ids) <> '{}';
SELECT count(*) AS planned FROM (SELECT jsonb_object_agg(day, spans) AS plan FROM (
	SELECT ('{mon,tue,wed,thu,fri,sat,sun}'::text[])[d + 1] AS day, jsonb_agg(jsonb_build_array(to_char('0'::interval + greatest(begins - d * 86400000000, 0) * interval '1 us', 'HH24:MI:SS'),
		CASE WHEN begins + :stretch >= (d + 1) * 86400000000 THEN '24:00' ELSE to_char('0'::interval + (begins + :stretch - d * 86400000000) * interval '1 us', 'HH24:MI:SS') END, counters)) AS spans
	FROM generate_series(0, 6) d JOIN span ON begins < (d + 1) * 86400000000 AND begins + :stretch > d * 86400000000 GROUP BY d) x) p, LATERAL qms.set_staffing_plan(:q, p.plan) \gset

-- -1, -2: counters go, and come back; 0: a turn; 1: done, or gone; 2: called; 3: comes; 4: called at once
CREATE TEMP TABLE course AS
SELECT DISTINCT (gone + 5000000 + 29999999) / 30000000 * 30000000 AS at, 0 AS what, NULL::int AS i FROM (SELECT start + service AS gone FROM stream WHERE gone >= start UNION ALL SELECT gone FROM stream WHERE gone < start) g
UNION ALL SELECT start + service, 1, i FROM stream WHERE gone >= start
UNION ALL SELECT gone, 5, i FROM stream WHERE gone < start
UNION ALL SELECT start, CASE WHEN start = came THEN 4 ELSE 2 END, i FROM stream WHERE gone >= start
UNION ALL SELECT came, 3, i FROM stream
UNION ALL SELECT begins, CASE WHEN counters = :always THEN -1 ELSE -2 END, NULL FROM span WHERE begins > 0;

CREATE PROCEDURE pg_temp.drive() LANGUAGE plpgsql AS $$
DECLARE
	line bigint := (SELECT q FROM ids); free bigint[] := (SELECT counters FROM ids); at_counter bigint[] := '{}'; c bigint; t bigint; step record;
	last bigint := (SELECT max(came) FROM stream); steps int := 0; extra bigint[] := (SELECT ids.extra FROM ids); away bigint[] := '{}';
BEGIN
	FOR step IN SELECT e.at, e.what, e.i, s.credit FROM course e LEFT JOIN stream s USING (i) ORDER BY e.at, e.what, e.i LOOP
		EXIT WHEN step.at > last;
		PERFORM set_config('qms.mock_now', (timestamptz '2030-01-07 00:00+00' + step.at * interval '1 microsecond')::text, false);
		CASE step.what
			WHEN -1 THEN
				-- Who is serving goes on.
				PERFORM qms.pause_counter(x, 'as planned') FROM unnest(extra) x;
				free := (SELECT coalesce(array_agg(f ORDER BY f), '{}') FROM unnest(free) f WHERE f <> ALL (extra));
				away := extra;
			WHEN -2 THEN
				PERFORM qms.resume_counter(x) FROM unnest(extra) x;
				free := (SELECT array_agg(f ORDER BY f) FROM (SELECT unnest(free) AS f UNION SELECT x FROM unnest(extra) x
					WHERE NOT EXISTS (SELECT 1 FROM qms.staff_session s WHERE s.counter_id = x AND s.closed_at IS NULL AND s.current_ticket_id IS NOT NULL)) f);
				away := '{}';
			WHEN 0 THEN PERFORM qms_internal.learn_waits(line);
			WHEN 1 THEN
				c := at_counter[step.i + 1];
				PERFORM qms.complete_service(c);
				IF c <> ALL (away) THEN
					free := (SELECT array_agg(f ORDER BY f) FROM unnest(free || c) f);
				END IF;
			WHEN 5 THEN PERFORM qms.leave_queue((SELECT d.token FROM told d WHERE d.i = step.i));
			WHEN 3 THEN
				INSERT INTO told SELECT step.i, j.ticket_id, j.token, j.people_ahead, extract(epoch FROM j.wait_p10), extract(epoch FROM j.wait_p50), extract(epoch FROM j.wait_p90)
				FROM qms.join_queue(line, customer_class => CASE step.credit WHEN 0 THEN 'regular' ELSE 'credit ' || step.credit END) j;
			ELSE
				c := free[1];
				free := free[2:];
				SELECT n.ticket_id INTO t FROM qms.call_next(c) n;
				UPDATE told SET called_at = step.at WHERE ticket_id = t;
				at_counter[step.i + 1] := c;
		END CASE;
		steps := steps + 1;
		IF steps % 50 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END $$;
SELECT clock_timestamp() AS begun \gset
CALL pg_temp.drive();
SELECT format('| %s | %s | %s | %s | %s | %s | %s |', :'name', count(*), count(*) FILTER (WHERE d.ahead = s.ahead), count(*) FILTER (WHERE (d.p10, d.p50, d.p90) = (s.p10, s.p50, s.p90)),
	max(greatest(abs(d.p10 - s.p10), abs(d.p50 - s.p50), abs(d.p90 - s.p90))), count(*) FILTER (WHERE d.called_at IS NULL OR d.called_at = s.start),
	round(extract(epoch FROM clock_timestamp() - :'begun'::timestamptz))) FROM told d JOIN stream s USING (i);
