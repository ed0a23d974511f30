-- Forecast of arrivals and staffing: on statistics that are made up here, against values computed elsewhere.
\set base 530000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

-- An hour of the statistics, of a queue and of its branch.
CREATE FUNCTION test.hour(queue bigint, starts timestamptz, arrivals int, services int DEFAULT 0, service interval DEFAULT '0', waited interval DEFAULT '0', gone int DEFAULT 0)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO qms.analytics_snapshot (organization_id, branch_id, queue_id, period, starts_at, ends_at, local_date, local_hour, joined, wait_count, wait_sum, wait_sketch,
		service_count, service_sum, service_sketch, abandoned, abandoned_wait_count, abandoned_wait_sum, abandoned_wait_sketch, computed_at)
	SELECT q.organization_id, q.branch_id, id, 'hour', starts, starts + interval '1 hour', (starts AT TIME ZONE 'Europe/Berlin')::date, extract(hour FROM starts AT TIME ZONE 'Europe/Berlin')::int,
		arrivals, services, waited, '{}', services, services * service, '{}', gone, gone, '0', '{}', starts
	FROM qms.queue q, LATERAL (VALUES (q.queue_id), (NULL)) v (id) WHERE q.queue_id = queue AND (services + arrivals + gone > 0) $$;
-- The days that these hours belong to.
CREATE FUNCTION test.days(queue bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO qms.analytics_snapshot (organization_id, branch_id, queue_id, period, starts_at, ends_at, local_date, joined, wait_count, wait_sum, service_count, service_sum, abandoned, abandoned_wait_count, computed_at)
	SELECT organization_id, branch_id, queue_id, 'day', local_date::timestamp AT TIME ZONE 'Europe/Berlin', (local_date + 1)::timestamp AT TIME ZONE 'Europe/Berlin', local_date,
		sum(joined), sum(wait_count), sum(wait_sum), sum(service_count), sum(service_sum), sum(abandoned), sum(abandoned_wait_count), min(computed_at)
	FROM qms.analytics_snapshot WHERE queue_id = queue AND period = 'hour' GROUP BY organization_id, branch_id, queue_id, local_date $$;
-- A Poisson number, by Knuth.
CREATE FUNCTION test.poisson(mean float8) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	p float8 := random();
	n int := 0;
BEGIN
	WHILE p > exp(-mean) LOOP
		p := p * random();
		n := n + 1;
	END LOOP;
	RETURN n;
END $$;
-- What the truth is: by weekday and hour, growing by 3 % of the first week each week.
CREATE FUNCTION test.truth(starts timestamp) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN extract(isodow FROM starts) < 6 AND extract(hour FROM starts) BETWEEN 8 AND 16 THEN
		(14 + 8 * sin((extract(hour FROM starts) - 8) / 3) + CASE extract(isodow FROM starts) WHEN 1 THEN 6 WHEN 5 THEN -5 ELSE 0 END)
		* (1 + 0.03 * ((starts::date - date '2026-01-05') / 7)) ELSE 0 END $$;

-- fourteen weeks, in which the clocks are put on, a day is closed, and another one is a holiday that nobody entered
SELECT setseed(0.5) \g /dev/null
CREATE TABLE test.seen AS
	SELECT l AS local, CASE WHEN l::date IN ('2026-03-17', '2026-03-05') THEN 0 ELSE test.poisson(test.truth(l)) END AS arrivals
	FROM generate_series(timestamp '2026-01-05', timestamp '2026-04-12 23:00', '1 hour') l WHERE test.truth(l) > 0 ORDER BY l;
SELECT count(test.hour(:qa, local AT TIME ZONE 'Europe/Berlin', arrivals)) > 600 AS made FROM test.seen;
SELECT reason FROM qms.add_closure(:hall, tstzrange('2026-03-17 00:00+01', '2026-03-18 00:00+01'), 'Staff outing');

-- hours to come
SET qms.mock_now = '2026-03-23 07:00+01';
SELECT local_date, weekday, local_hour, round(arrivals::numeric, 1) AS arrivals, round(low::numeric) AS low, round(high::numeric) AS high, weeks, closed
FROM qms.forecast_arrivals('queue:' || :qa) WHERE local_date IN ('2026-03-24', '2026-03-26') AND local_hour IN (8, 12, 16);
SELECT count(*) AS hours, count(DISTINCT local_date) AS days, min(starts_at) AS first, max(ends_at) AS last, bool_and(low <= arrivals AND arrivals <= high) AS in_range FROM qms.forecast_arrivals('queue:' || :qa, 14);
-- the branch has the same
SELECT count(*) AS other FROM (SELECT * FROM qms.forecast_arrivals('queue:' || :qa) EXCEPT SELECT * FROM qms.forecast_arrivals('branch:' || :hall)) x;
-- a closure to come
SELECT reason FROM qms.add_closure(:hall, tstzrange('2026-03-26 12:00+01', NULL), 'Renovation');
SELECT local_date, local_hour, round(arrivals::numeric, 1) AS arrivals, closed FROM qms.forecast_arrivals('queue:' || :qa, 4) WHERE local_date = '2026-03-26' AND local_hour BETWEEN 10 AND 13;
SELECT count(qms.delete_closure(closure_id)) AS deleted FROM qms.closures WHERE reason = 'Renovation' AND organization_id = :org;
-- nothing is known of it
SELECT count(*) AS nothing FROM qms.forecast_arrivals('queue:' || :ql);

-- Backtest: three weeks forecast on their Mondays, from what was known then.  Mean absolute error by mean arrivals, beside the mean of
-- eight weeks, the same hour of the last week, and the noise of Poisson numbers, which nobody can foresee (the truth itself as the forecast).
CREATE FUNCTION test.backtest(queue bigint, monday date, OUT forecast float8, OUT mean float8, OUT last_week float8, OUT noise float8, OUT bias float8, OUT within float8) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('qms.mock_now', (monday + time '07:00')::timestamp AT TIME ZONE 'Europe/Berlin' || '', false);
	SELECT sum(abs(f.arrivals - s.arrivals)) / sum(s.arrivals),
		sum(abs((SELECT avg(h.arrivals) FROM test.seen h WHERE h.local >= monday - 56 AND h.local < monday AND extract(isodow FROM h.local) = extract(isodow FROM s.local) AND h.local::time = s.local::time) - s.arrivals)) / sum(s.arrivals),
		sum(abs((SELECT h.arrivals FROM test.seen h WHERE h.local = s.local - interval '7 days') - s.arrivals)) / sum(s.arrivals)::float8,
		sum(abs(test.truth(s.local) - s.arrivals)) / sum(s.arrivals),
		sum(f.arrivals - test.truth(s.local)) / sum(test.truth(s.local)),
		avg((s.arrivals BETWEEN floor(f.low) AND ceil(f.high))::int)
	INTO forecast, mean, last_week, noise, bias, within
	FROM test.seen s JOIN qms.forecast_arrivals('queue:' || queue) f ON f.starts_at = s.local AT TIME ZONE 'Europe/Berlin' WHERE s.local >= monday AND s.local < monday + 7;
END $$;
CREATE TABLE test.tested AS SELECT m::date AS monday, b.* FROM unnest('{2026-03-23,2026-03-30,2026-04-06}'::date[]) m, LATERAL test.backtest(:qa, m::date) b;
SELECT round(avg(forecast)::numeric, 3) AS forecast, round(avg(mean)::numeric, 3) AS mean_of_8_weeks, round(avg(last_week)::numeric, 3) AS last_week, round(avg(noise)::numeric, 3) AS noise,
	round(avg(bias)::numeric, 3) AS bias, round(avg(within)::numeric, 2) AS within_range FROM test.tested;
SELECT avg(forecast) < avg(mean) AS better_than_the_mean, avg(forecast) < avg(last_week) AS better_than_last_week, avg(forecast) < 1.1 * avg(noise) AS near_the_noise,
	abs(avg(bias)) < 0.05 AS no_bias, avg(within) BETWEEN 0.75 AND 0.95 AS range_holds FROM test.tested;

-- Erlang C: 100 an hour, services of 300 s, nobody leaves.  Computed apart: with 10 counters .650612 of them wait 60 s at most, with 11 .824229;
-- 120 s: 10 .749652, 11 .896885; 300 s: 9 .609604, 10 .907902; mean waits 87.770 s with 10, 33.707 s with 11.
SET qms.mock_now = '2026-06-15 07:00+02';
SELECT test.hour(:qb, '2026-06-08 09:00+02', 100, 1000, '300 s', '20000 s'), test.days(:qb);
SELECT target, a.is_forecast, a.arrivals, a.service_time, a.patience, a.counters, round(a.within_target::numeric, 6) AS within_target, round(extract(epoch FROM a.mean_wait), 3) AS mean_wait, a.left_share, round(a.occupancy::numeric, 4) AS occupancy
FROM unnest('{60 s,120 s,300 s}'::interval[]) target, LATERAL qms.staffing_advice('queue:' || :qb, '2026-06-08', '2026-06-09', target) a ORDER BY target;
SELECT share, a.counters FROM unnest('{0.3,0.5,0.9,0.95,0.99}'::float8[]) share, LATERAL qms.staffing_advice('queue:' || :qb, '2026-06-08', '2026-06-09', '60 s', share) a ORDER BY share;
-- Erlang A: 144 an hour, services of 300 s, patience of 300 s, target 30 s.  Computed apart: .3561 with 10 counters, .7943 with 14, .8642 with 15; of all, .0335 leave then,
-- after a mean wait of 10.05 s, and counters are busy for .7732 of the time; with 10 counters .2136, 64.09 s, .9436.
SELECT test.hour(:ql, '2026-06-08 09:00+02', 144, 1000, '300 s', '30000 s', 100), test.days(:ql);
SELECT share, a.patience, a.counters, round(a.within_target::numeric, 4) AS within_target, round(extract(epoch FROM a.mean_wait), 2) AS mean_wait, round(a.left_share::numeric, 4) AS left_share, round(a.occupancy::numeric, 4) AS occupancy
FROM unnest('{0.35,0.75,0.8}'::float8[]) share, LATERAL qms.staffing_advice('queue:' || :ql, '2026-06-08', '2026-06-09', '30 s', share) a ORDER BY share;
-- hours to come need more if many come; none where nothing is known of services
SELECT count(*) > 0 AS some, bool_and(counters <= counters_if_busy) AS more, bool_or(counters < counters_if_busy) AS really, bool_and(is_forecast) AS forecast FROM qms.staffing_advice('queue:' || :qb);
SELECT queue_id AS qz FROM qms.create_queue('Nothing', :hall) \gset
SELECT count(*) AS nothing FROM qms.staffing_advice('queue:' || :qz);

-- what cannot be
SELECT qms.forecast_arrivals('queue:' || :qa, 0);
SELECT qms.forecast_arrivals('queue:' || :qa, 93);
SELECT qms.forecast_arrivals('queue:x');
SELECT qms.forecast_arrivals('queue:999999999');
SELECT qms.staffing_advice('queue:' || :qb, target_share => 0);
SELECT qms.staffing_advice('queue:' || :qb, target_share => 1);
SELECT qms.staffing_advice('queue:' || :qb, target_share => 'NaN');
SELECT qms.staffing_advice('queue:' || :qb, target_wait => '-1 s');
SELECT qms.staffing_advice('queue:' || :qb, target_wait => '1 month');
SELECT qms.staffing_advice('queue:' || :qb, '2026-06-09', '2026-06-08');
SELECT qms.staffing_advice('queue:' || :qb, '2026-01-01', '2026-06-08');
SELECT qms.staffing_advice(NULL);
-- no service was seen in these weeks: what the services are said to take
SET qms.mock_now = '2026-04-13 07:00+02';
SELECT DISTINCT service_time, patience FROM qms.staffing_advice('queue:' || :qa);
