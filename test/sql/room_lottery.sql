-- The lottery of a waiting room: what may be set when, and the law of the order.  The draw itself is
-- the scheduler's work: test/t/420_lottery.pl.
\set VERBOSITY terse
SET client_min_messages = warning;
SET qms.mock_now = '2030-01-07 09:00+00';
SET timezone = 'UTC';
SELECT organization_id AS org FROM qms.create_organization('Lottery') \gset
SELECT application_id AS app FROM qms.create_application(:org, 'Shop') \gset
CREATE SCHEMA draw;
CREATE FUNCTION draw.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'fine';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN regexp_replace(format('%s: %s | %s | %s', sqlstate, message, detail, hint), 'queue \d+', 'queue N');
END $$;
CREATE FUNCTION draw.set(queue bigint, settings text) RETURNS text LANGUAGE sql
AS $$ SELECT draw.try(format('SELECT qms.update_queue(%s, settings => %L)', queue, settings)) $$;

-- what a lottery needs
SELECT draw.try(format('SELECT qms.create_queue(''x'', application_id => %s, kind => ''release'', settings => %L)', :app, s)) FROM unnest(ARRAY[
	'{"lottery": true}', '{"lottery": true, "opens_at": "2030-01-07 08:00+00"}', '{"lottery": true, "opens_at": "2030-01-07 09:00+00"}']) s;
SELECT queue_id AS q FROM qms.create_queue('Sale', application_id => :app, kind => 'release', settings => '{"lottery": true, "opens_at": "2030-01-07 10:00+00"}') \gset
SELECT queue_id AS plain FROM qms.create_queue('Plain', application_id => :app, kind => 'release') \gset
SELECT octet_length(commitment) AS commitment, committed_at, opens_at, closed_at, entries, list_hash, seed, drawn_at FROM qms.lottery_draw(:q);
SELECT count(*) AS none FROM qms.lottery_draw(:plain);
SELECT count(*) AS none FROM qms.lottery_entries(:q);
SELECT commitment FROM qms.lottery_draw(:q) \gset
SELECT qms.lottery_draw(0), qms.lottery_entries(:q);
SELECT draw.try(format('SELECT qms.lottery_entries(%s, max_rows => %s)', :q, n)) FROM unnest('{0,10001}'::int[]) n;

-- before the draw: another moment, out and in again; the promise stays
SELECT draw.set(:q, '{"opens_at": "2030-01-07 11:00+00"}'), draw.set(:q, '{"opens_at": null}'), draw.set(:q, '{"opens_at": "2030-01-07 08:59+00"}');
SELECT draw.set(:q, '{"lottery": false}'), draw.set(:q, '{"opens_at": null}'), draw.set(:q, '{"lottery": true}');
SELECT draw.set(:q, '{"lottery": true, "opens_at": "2030-01-07 12:00+00"}'), draw.set(:q, '{"overflow_hint": "later"}');
SELECT commitment = :'commitment' AS same, opens_at FROM qms.lottery_draw(:q);
SELECT kind, count(*) FROM qms.event WHERE queue_id = :q AND kind LIKE 'queue.l%' GROUP BY kind;
SELECT draw.set(:plain, '{"lottery": true, "opens_at": "2030-01-07 12:00+00"}'), (SELECT commitment <> :'commitment' FROM qms.lottery_draw(:plain)) AS own_seed;

-- when it has begun and when it is over nothing of it changes, and the rest does
UPDATE qms_internal.lottery SET closed_at = now(), opens_at = '2030-01-07 12:00+00' WHERE queue_id = :q;
SELECT draw.set(:q, s) FROM unnest(ARRAY['{"opens_at": "2030-01-07 13:00+00"}', '{"lottery": false}', '{"opens_at": null}', '{"overflow_hint": "later still", "max_active": 5}', '{"lottery": true}']) s;

-- the table takes no other seed than the one promised, and none too early
SELECT draw.try(format('UPDATE qms_internal.lottery SET seed = sha256(''x''), drawn_at = now(), list_hash = sha256(''''), entries = 0 WHERE queue_id = %s', :q)) ~ '^23514' AS other_seed,
	draw.try(format('UPDATE qms_internal.lottery SET seed = (SELECT seed FROM qms_internal.lottery_seed s WHERE s.queue_id = %s) WHERE queue_id = %1$s', :q)) ~ '^23514' AS too_early,
	draw.try(format('UPDATE qms_internal.lottery SET seed = (SELECT seed FROM qms_internal.lottery_seed s WHERE s.queue_id = %s), drawn_at = now(), list_hash = sha256(''''), entries = 7, placed = 6 WHERE queue_id = %1$s', :q)) ~ '^23514' AS not_complete;

/*
 * The law of the order, over 30,000 draws of eight with fixed seeds: ascending by
 * sha256(seed || list_hash || ticket_id), which is what room/draw.c does and the verifier computes.
 * Chi-square of places against order of joining has 49 degrees of freedom: above 85.4 once in a
 * thousand; the correlation of 240,000 pairs stays within 0.0067 as often.  Adjacent places of one
 * draw are looked at too: who comes after whom, 56 pairs, 55 degrees of freedom: 93.2.
 */
CREATE TEMP TABLE drawn AS
WITH list AS (SELECT s, 1000 * s AS first, sha256(('seed ' || s)::bytea) AS seed,
		(SELECT sha256(string_agg(int8send(1000 * s + i), ''::bytea ORDER BY i)) FROM generate_series(1::bigint, 8) i) AS list_hash
	FROM generate_series(1::bigint, 30000) s)
SELECT s, i AS joined, row_number() OVER (PARTITION BY s ORDER BY sha256(seed || list_hash || int8send(first + i))) AS place
FROM list, generate_series(1::bigint, 8) i;
SELECT count(*) AS pairs, sum((n - 3750) ^ 2 / 3750.0) < 85.4 AS uniform FROM (SELECT count(*) AS n FROM drawn GROUP BY joined, place) c;
SELECT abs(corr(joined, place)) < 0.0067 AS independent FROM drawn;
SELECT count(*) AS pairs, sum((n - 3750) ^ 2 / 3750.0) < 93.2 AS no_neighbours FROM (SELECT count(*) AS n FROM (SELECT joined, lead(joined) OVER (PARTITION BY s ORDER BY place) AS next FROM drawn) p WHERE next IS NOT NULL GROUP BY joined, next) c;
-- whoever leaves or is put in before the list is closed changes all of it: nobody can choose
SELECT count(*) FILTER (WHERE a.place = b.place) BETWEEN 3400 AND 4100 AS another_draw FROM drawn a JOIN drawn b ON b.s = a.s % 30000 + 1 AND b.joined = a.joined WHERE a.joined = 1;
DROP SCHEMA draw CASCADE;
