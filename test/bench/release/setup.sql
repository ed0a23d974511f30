/*
 * What the benches of waiting rooms share: an organization, and what drives a
 * waiting room on the mock clock.  Each step is a transaction of its own.
 */
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
CREATE EXTENSION qms;
CREATE SCHEMA bench;
SELECT organization_id AS org FROM qms.create_organization('Bench') \gset
SELECT application_id AS app FROM qms.create_application(:org, 'Shop') \gset
CREATE TABLE bench.ids AS SELECT :org::bigint AS org, :app::bigint AS app;

-- Seconds of the simulated hour.
CREATE FUNCTION bench.moment(seconds float8) RETURNS timestamptz IMMUTABLE LANGUAGE sql
AS $$ SELECT timestamptz '2030-01-07 09:00+00' + seconds * interval '1 s' $$;
CREATE FUNCTION bench.clock(seconds float8) RETURNS void LANGUAGE sql
AS $$ SELECT set_config('qms.mock_now', bench.moment(seconds)::text, false) $$;
CREATE FUNCTION bench.room(name text, settings jsonb) RETURNS bigint LANGUAGE sql
AS $$ SELECT q.queue_id FROM bench.ids, LATERAL qms.create_queue(name, application_id => app, kind => 'release', settings => $2) q $$;

/* ---- B7: the true path ---- */
CREATE TABLE bench.course (per_minute int, at float8, late float8, released int, PRIMARY KEY (per_minute, at));

-- Turns at their moments, each up to a tenth of the time slept late, and 1 ms; rate doubled from 1800 to 2400 s, nobody awake from 3000 to 3060 s.
CREATE PROCEDURE bench.rate(per_minute int, until float8, INOUT took float8 DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
	q bigint; now float8 := 0; due float8 := 0; wanted float8; next timestamptz; released bigint := 0; total bigint;
	changes float8[] := '{1800, 2400}'; begun timestamptz := clock_timestamp(); people int := per_minute * (until + 600) / 60 + 100; i int;
BEGIN
	PERFORM setseed(0.42), bench.clock(0);
	q := bench.room('B7 ' || per_minute, '{"no_show_compensation": false, "claim_window": "30 days"}');
	FOR i IN 1 .. people / 1000 + 1 LOOP
		PERFORM j.ticket_id FROM generate_series(1, least(1000, people - (i - 1) * 1000)) g, LATERAL qms.join_queue(q + 0 * g) j;
		COMMIT;
	END LOOP;
	PERFORM qms.set_release_rate(q, (per_minute || '/min')::qms.release_rate);
	WHILE now < until LOOP
		PERFORM bench.clock(now);
		IF now >= changes[1] THEN
			PERFORM bench.clock(changes[1]);
			PERFORM qms.set_release_rate(q, (per_minute * CASE changes[1] WHEN 1800 THEN 2 ELSE 1 END || '/min')::qms.release_rate);
			changes := changes[2:];
			PERFORM bench.clock(now);
		END IF;
		next := qms_internal.release_turn(q);
		total := (SELECT r.released FROM qms_internal.release_queue r WHERE r.queue_id = q);
		IF total > released THEN
			INSERT INTO bench.course VALUES (per_minute, now, now - due, total - released);
			released := total;
		END IF;
		COMMIT;
		due := least(extract(epoch FROM next - bench.moment(0)), until, coalesce(changes[1], until));
		due := greatest(due, now + 0.01);
		now := due + 0.001 + 0.1 * random() * (due - now);
		IF now >= 3000 AND now < 3060 THEN
			due := 3060;
			now := 3060;
		END IF;
	END LOOP;
	took := extract(epoch FROM clock_timestamp() - begun);
END $$;

CREATE FUNCTION bench.ideal(per_minute int, at float8) RETURNS float8 IMMUTABLE LANGUAGE sql
AS $$ SELECT per_minute / 60.0 * (at + greatest(least(at, 2400) - 1800, 0)) $$;

-- How it went; an outage costs 60 s of the rate, less what may be saved up.
CREATE FUNCTION bench.rate_report(per_minute int, until float8) RETURNS text LANGUAGE sql AS $$
	WITH c AS (
		SELECT at, late, released, sum(released) OVER (ORDER BY at) AS total, sum(released) OVER (ORDER BY at) - released AS before
		FROM bench.course WHERE per_minute = $1 AND at < until
	), d AS (
		SELECT max(floor(bench.ideal($1, at) + 1e-6) - before) FILTER (WHERE at < 3000) AS largest,
			bool_and(floor(bench.ideal($1, at) + 1e-6) - before <= 1 + (late + 0.01) * 2 * $1 / 60.0) FILTER (WHERE at < 3000) AS within,
			max(total) AS released
		FROM c
	), lost AS (
		SELECT CASE WHEN until > 3060 THEN 60 * $1 / 60.0 - greatest(1, 2 * $1 / 60.0) ELSE 0 END AS people
	), s AS (
		SELECT g AS second, coalesce(sum(released), 0) AS n FROM generate_series(0, until::int - 1) g LEFT JOIN c ON c.at >= g AND c.at < g + 1 GROUP BY g
	), cv AS (
		SELECT stddev_pop(n) / avg(n) AS a_second, (SELECT stddev_pop(m) / avg(m) FROM (SELECT sum(n) AS m FROM s
			WHERE second >= 60 AND second < least(1800, floor(until / 60) * 60) GROUP BY second / 60) x) AS a_minute
		FROM s WHERE second >= 60 AND second < 1800
	), w AS (
		SELECT max(m - bench.ideal($1, second + 1) + bench.ideal($1, greatest(second - 9, 0))) AS excess
		FROM (SELECT second, sum(n) OVER (ORDER BY second ROWS 9 PRECEDING) AS m FROM s) x
	)
	SELECT format('| S(t), SQL | %s | %s | %s | %s | %s %% | %s | %s | %s | %s | %s | %s |', $1, round((bench.ideal($1, until) - lost.people)::numeric), d.released,
		round((d.released - bench.ideal($1, until) + lost.people)::numeric, 2),
		round((100 * (d.released - bench.ideal($1, until) + lost.people) / bench.ideal($1, until))::numeric, 4), round(d.largest::numeric, 2),
		CASE WHEN within THEN 'yes' ELSE 'NO' END, round(a_second::numeric, 3), round(a_minute::numeric, 4), round(excess::numeric, 1),
		round(greatest(1, 2 * $1 / 60.0)))
	FROM d, lost, cv, w
$$;

/* ---- B8: people who leave, and people who do not come ---- */
CREATE TABLE bench.person (event int, ticket_id bigint PRIMARY KEY, token qms.ticket_token, rank int, joined_at float8, told float8, told_p10 float8,
	told_p90 float8, leaves_at float8, comes boolean, left_at float8, released_at float8);
CREATE INDEX ON bench.person (event, leaves_at) WHERE left_at IS NULL AND released_at IS NULL;
CREATE INDEX ON bench.person (event, released_at);
CREATE TABLE bench.day (event int, drained float8, released bigint, arrivals bigint, took float8);

-- The claim window of the queue is 60 s.  One event: everybody comes within the 20 s before it opens; then a turn of the scheduler each half second.
CREATE PROCEDURE bench.event(this int, q bigint, begins float8, people int) LANGUAGE plpgsql AS $$
DECLARE
	now float8 := begins; at float8; t bigint; token qms.ticket_token; steps int := 0; begun timestamptz := clock_timestamp(); i int;
BEGIN
	PERFORM setseed(0.1 * this), bench.clock(begins - 20);
	PERFORM qms.update_queue(q, settings => jsonb_build_object('opens_at', bench.moment(begins)));
	FOR i IN 1 .. people LOOP
		at := begins - 20 + 20.0 * i / people;
		PERFORM bench.clock(at);
		INSERT INTO bench.person
		SELECT this, j.ticket_id, j.token, i, at, extract(epoch FROM j.wait_p50), extract(epoch FROM j.wait_p10), extract(epoch FROM j.wait_p90),
			begins - 3600 * ln(1 - random()), random() < 0.85
		FROM qms.join_queue(q) j;
		IF i % 20 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
	LOOP
		PERFORM bench.clock(now);
		FOR t IN SELECT p.ticket_id FROM bench.person p WHERE p.event = this AND p.leaves_at <= now AND p.left_at IS NULL AND p.released_at IS NULL LOOP
			PERFORM qms.cancel_ticket(t, 'left');
			UPDATE bench.person p SET left_at = now WHERE p.ticket_id = t;
		END LOOP;
		PERFORM qms_internal.release_turn(q, steps % 20 = 0);
		UPDATE bench.person p SET released_at = now FROM qms.ticket k
		WHERE k.due_at = bench.moment(now) + interval '60 s' AND k.queue_id = q AND k.state = 'released' AND p.ticket_id = k.ticket_id;
		FOR token IN SELECT p.token FROM bench.person p WHERE p.event = this AND p.released_at = now AND p.comes LOOP
			PERFORM qms.claim_access(token);
		END LOOP;
		COMMIT;
		steps := steps + 1;
		EXIT WHEN NOT EXISTS (SELECT 1 FROM qms.ticket k WHERE k.queue_id = q AND k.state = 'waiting');
		now := now + 0.5;
	END LOOP;
	INSERT INTO bench.day SELECT this, now - begins, count(*), count(*) FILTER (WHERE p.comes), extract(epoch FROM clock_timestamp() - begun)
		FROM bench.person p WHERE p.event = this AND p.released_at IS NOT NULL;
END $$;

-- What people at a tenth, two tenths... of the line were told, and when they were let in.
CREATE FUNCTION bench.told(this int) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('| %s | %s | %s | %s | %s %% | %s-%s | %s |', this, rank, round(told), round((released_at - joined_at)::numeric, 1),
		to_char(100 * (told / (released_at - joined_at) - 1), 'SG990.0'), told_p10, told_p90,
		CASE WHEN released_at - joined_at BETWEEN told_p10 - 1 AND told_p90 + 1 THEN 'yes' ELSE 'no' END)
	FROM (SELECT DISTINCT ON (g) p.* FROM generate_series(1, 10) g, bench.person p
		WHERE p.event = this AND p.released_at IS NOT NULL AND p.rank <= (SELECT max(rank) FROM bench.person WHERE event = this) * g / 10 ORDER BY g, p.rank DESC) x
	ORDER BY rank
$$;
