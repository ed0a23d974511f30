-- Numbers: consecutive, by day, with limits; over both changes to and from summer time.
\set base 220000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

CREATE FUNCTION test.at(moment text, queue bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id bigint;
BEGIN
	PERFORM set_config('qms.mock_now', moment, false);
	SELECT ticket_id INTO id FROM qms.join_queue(queue_id => queue);
	RETURN (SELECT number::text || ' of ' || service_day FROM qms.ticket WHERE ticket_id = id);
END $$;
CREATE FUNCTION test.clear() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE organization_id = current_setting('test.org')::bigint $$;
-- consecutive in each queue, each with its prefix; what rolls back is given again
SELECT string_agg(test.join(q), ' ') FROM (VALUES (1, :qa), (2, :qb), (3, :qa), (4, :ql), (5, :qa), (6, :qb)) v (i, q);
BEGIN;
SELECT test.join(:qa);
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT test.join(:qa);
ROLLBACK TO s;
SELECT test.join(:qa);
COMMIT;
SELECT test.join(:qa);
SELECT last_number, service_day, skip_live FROM qms_internal.queue_number WHERE queue_id = :qa;
-- the next day begins at midnight, here and not in UTC
SELECT test.clear();
SELECT test.at('2026-03-02 23:59:59.999999+01', :qa);
SELECT test.at('2026-03-03 00:00:00+01', :qa);
SELECT test.at('2026-03-03 00:59:59+01', :qa);
SELECT test.at('2026-03-03 01:00:00+01', :qa);
-- a clock that steps back does not begin a day again
SELECT test.at('2026-03-02 23:00:00+01', :qa);
SELECT effective_arrival FROM qms.ticket WHERE queue_id = :qa ORDER BY sort_key DESC LIMIT 1;
-- numbers of yesterday that are live are gone round
SELECT test.at('2026-03-04 09:00:00+01', :qa), test.at('2026-03-04 09:00:00+01', :qa), test.at('2026-03-04 09:00:00+01', :qa);
SELECT test.line(:qa);
SELECT test.clear();
-- live_past_midnight: while one of yesterday is open the numbers go on
SELECT count(qms.update_queue(:qa, settings => '{"live_past_midnight": true}'));
SELECT test.at('2026-03-05 23:59+01', :qa);
SELECT test.at('2026-03-06 00:01+01', :qa);
SELECT test.clear();
SELECT test.at('2026-03-06 09:00+01', :qa);
SELECT test.clear();
SELECT test.at('2026-03-07 09:00+01', :qa);
SELECT count(qms.update_queue(:qa, settings => '{"live_past_midnight": null}'));
SELECT test.clear();
-- another reset time
SELECT count(qms.update_queue(:qa, settings => '{"reset_time": "04:00"}'));
SELECT test.at('2026-03-08 03:59:59+01', :qa);
SELECT test.clear();
SELECT test.at('2026-03-08 04:00:00+01', :qa);
SELECT test.clear();
SELECT test.at('2026-03-09 03:59:59+01', :qa);
SELECT test.clear();
-- to summer time, 2026-03-29 02:00+01 -> 03:00+02: midnight, 04:00, and a time that does not exist
SELECT test.at('2026-03-28 23:59+01', :qb), test.at('2026-03-29 00:00+01', :qb), test.at('2026-03-29 03:00+02', :qb), test.at('2026-03-29 23:59+02', :qb), test.at('2026-03-30 00:00+02', :qb);
SELECT test.clear();
SELECT test.at('2026-03-29 01:59:59+01', :qa), test.at('2026-03-29 03:00:00+02', :qa), test.at('2026-03-29 03:59:59+02', :qa);
SELECT test.clear();
SELECT test.at('2026-03-29 04:00:00+02', :qa);
SELECT test.clear();
SELECT count(qms.update_queue(:qb, settings => '{"reset_time": "02:30"}'));
SELECT test.at('2027-03-28 01:59:59+01', :qb);
SELECT test.clear();
SELECT test.at('2027-03-28 03:00:00+02', :qb);
SELECT test.clear();
SELECT test.at('2027-03-28 03:30:00+02', :qb);
SELECT test.clear();
SELECT test.at('2027-03-29 02:29:59+02', :qb);
SELECT test.clear();
SELECT test.at('2027-03-29 02:30:00+02', :qb);
SELECT test.clear();
-- from summer time, 2027-10-31 03:00+02 -> 02:00+01: 02:30 comes twice, the day begins once
SELECT test.at('2027-10-31 02:29:59+02', :qb);
SELECT test.clear();
SELECT test.at('2027-10-31 02:30:00+02', :qb);
SELECT test.clear();
SELECT test.at('2027-10-31 02:59:59+02', :qb);
SELECT test.clear();
SELECT test.at('2027-10-31 02:00:00+01', :qb);
SELECT test.clear();
SELECT test.at('2027-10-31 02:29:59+01', :qb);
SELECT test.clear();
SELECT test.at('2027-10-31 02:30:00+01', :qb);
SELECT test.clear();
SELECT test.at('2027-11-01 02:29:59+01', :qb);
SELECT test.clear();
SELECT test.at('2027-11-01 02:30:00+01', :qb);
SELECT test.clear();

SELECT * FROM test.broken();
