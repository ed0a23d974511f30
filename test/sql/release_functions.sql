-- Waiting rooms: what their functions answer and refuse.
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/room.sql'
\set ECHO none
\set QUIET on
\i :fixture
\set ECHO all
\set QUIET off
CREATE FUNCTION room.state(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE statement INTO answer;
	RETURN coalesce(answer, 'none');
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ': ' || regexp_replace(sqlerrm, '\d+', 'N', 'g');
END $$;
SET qms.mock_now = '2030-01-07 09:00+00';
SELECT count(room.make('hall', '{"rate": "60/min", "max_active": 4}'));
SELECT room.fill('hall', 10);

-- by hand, never over max_active
SELECT dense_rank() OVER (ORDER BY ticket_id) AS place, visit_id = ticket_id AS own_visit, released_at, claim_until FROM qms.release_next(room.id('hall'));
SELECT count(*) FROM qms.release_next(room.id('hall'), count => 2);
SELECT count(*) FROM qms.release_next(room.id('hall'), 10);
SELECT count(*) FROM qms.release_next(room.id('hall'), 10);
SELECT state, version, calls, count(*) FROM qms.ticket WHERE queue_id = room.id('hall') GROUP BY 1, 2, 3 ORDER BY 1;
SELECT kind, state, version, data, actor_kind, count(*) FROM qms.event WHERE queue_id = room.id('hall') AND kind = 'ticket.released' GROUP BY 1, 2, 3, 4, 5;
SELECT state, rate, effective_rate, inside, max_active, released, waiting, next_release_at FROM qms.release_status(room.id('hall'));
-- a place is free as soon as somebody goes, claimed or not
SELECT room.go('hall', 'released');
SELECT count(*) FROM qms.release_next(room.id('hall'), 10);
SELECT room.come(min(ticket_id)) FROM qms.ticket WHERE queue_id = room.id('hall') AND state = 'released';
SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE queue_id = room.id('hall') AND state = 'admitted';
SELECT inside, released, claimed, missed, ended FROM qms.release_status(room.id('hall'));
TABLE room.broken;
-- the same request, one effect
SELECT count(*) FROM qms.release_next(room.id('hall'), 1, request_id => '00000000-0000-0000-0000-000000000001');
SELECT inside FROM qms.release_status(room.id('hall'));

-- rates
SELECT state, rate, effective_rate FROM qms.set_release_rate(room.id('hall'), '1.5/min');
SELECT settings ->> 'rate' FROM qms.queue WHERE queue_id = room.id('hall');
SELECT state, rate, effective_rate FROM qms.set_release_rate(room.id('hall'), NULL);
SELECT settings ? 'rate' FROM qms.queue WHERE queue_id = room.id('hall');
SELECT kind, data FROM qms.event WHERE queue_id = room.id('hall') AND kind = 'queue.rate_changed' ORDER BY event_id;
SELECT rate, no_show, effective_rate FROM qms.update_queue(room.id('hall'), settings => '{"rate": "90/min", "no_show_compensation": true}') q, qms.release_status(q.queue_id);

-- paused: by hand only; stopped: not even so
SELECT count(qms.update_queue(room.id('hall'), settings => '{"max_active": 0}'));
SELECT status FROM qms.pause_queue(room.id('hall'));
SELECT state, effective_rate, next_release_at FROM qms.release_status(room.id('hall'));
SELECT count(*) FROM qms.release_next(room.id('hall'));
SELECT state, stopped_at FROM qms.stop_queue(room.id('hall'), 'fire');
SELECT room.state($$SELECT ticket_id FROM qms.release_next(room.id('hall'))$$);
SELECT kind, data FROM qms.event WHERE queue_id = room.id('hall') AND kind = 'queue.stopped';
SET qms.mock_now = '2030-01-07 09:01+00';
SELECT status FROM qms.open_queue(room.id('hall'));
SELECT state, stopped_at FROM qms.release_status(room.id('hall'));
SELECT DISTINCT due_at FROM qms.ticket WHERE queue_id = room.id('hall') AND state = 'released';
-- closed: those who wait are let in
SELECT status FROM qms.close_queue(room.id('hall'));
SELECT state FROM qms.release_status(room.id('hall'));
SELECT status FROM qms.close_queue(room.id('hall'), 'expire');
SELECT state, count(*) FROM qms.ticket WHERE queue_id = room.id('hall') GROUP BY 1;
TABLE room.broken;

-- reported load
SELECT count(room.make('busy', '{"rate": "100/min", "adapt_min": 85}'));
SELECT load_factor, effective_rate FROM qms.report_load(room.id('busy'), 1.01);
SELECT load_factor, effective_rate FROM qms.report_load(room.id('busy'), 1.01);
SET qms.mock_now = '2030-01-07 09:01:01+00';
SELECT load_factor, effective_rate FROM qms.report_load(room.id('busy'), 2);
SET qms.mock_now = '2030-01-07 09:01:02+00';
SELECT load_factor, effective_rate FROM qms.report_load(room.id('busy'), 1);
SELECT load_factor, effective_rate FROM qms.report_load(room.id('busy'), 0);

-- refused
SELECT b.branch_id AS branch FROM qms.create_branch(room.id('organization'), 'Hall') b \gset
SELECT q.queue_id AS counter_queue FROM qms.create_queue('counter', :branch) q \gset
SELECT f, room.state(format(f, :counter_queue)) FROM unnest('{"SELECT qms.release_status(%s)","SELECT qms.release_next(%s)","SELECT qms.stop_queue(%s)","SELECT qms.report_load(%s, 1)","SELECT qms.set_release_rate(%s, ''1/s'')"}'::text[]) f;
SELECT f, room.state(format(f, 99999999)) FROM unnest('{"SELECT qms.release_status(%s)","SELECT qms.release_next(%s)","SELECT qms.stop_queue(%s)","SELECT qms.report_load(%s, 1)","SELECT qms.set_release_rate(%s, ''1/s'')"}'::text[]) f;
SELECT v, room.state(format('SELECT qms.release_next(room.id(''busy''), %s)', v)) FROM unnest('{0,-1,1001}'::int[]) v;
SELECT v, room.state(format('SELECT qms.report_load(room.id(''busy''), %L)', v)) FROM unnest('{-1,NaN,Infinity,NULL}'::float8[]) v;
SELECT room.state('SELECT qms.release_status(NULL)');
SELECT v, room.state(format('SELECT qms.update_queue(room.id(''busy''), settings => %L)', v)) FROM unnest('{"{\"weight\": 0}","{\"adapt_min\": 0}","{\"no_show_compensation\": 1}","{\"rate\": \"0/s\"}"}'::text[]) v;

-- pools
SELECT count(room.pool('pool', '60/min', 3)), count(room.make('a', '{"weight": 3}', 'pool')), count(room.make('b', '{}', 'pool'));
SELECT room.fill('a', 5), room.fill('b', 5);
SELECT count(*) FROM qms.release_next(room.id('a'), 2);
SELECT count(*) FROM qms.release_next(room.id('b'), 5);
SELECT count(*) FROM qms.release_next(room.id('a'), 5);
SELECT state, rate, effective_rate, inside, max_active, pool_inside, pool_max_active FROM qms.release_status(room.id('a'));
SELECT room.state($$SELECT qms.set_release_rate(room.id('a'), '1/s')$$);
SELECT room.state($$SELECT qms.update_queue(room.id('a'), settings => '{"rate": "1/s"}')$$);
SELECT room.state($$SELECT qms.create_queue('c', application_id => room.id('application'), kind => 'release', release_pool_id => room.id('pool'), settings => '{"rate": "1/s"}')$$);
SELECT count(qms.update_release_pool(room.id('pool'), rate => '2/s'));
SELECT rate, effective_rate FROM qms.release_status(room.id('b'));
SELECT count(qms.update_queue(room.id('b'), release_pool_id => 0, settings => '{"rate": "3/s"}'));
SELECT release_pool_id, rate, effective_rate, inside, pool_inside FROM qms.release_status(room.id('b'));
TABLE room.broken;
SET client_min_messages = warning;
DROP SCHEMA room CASCADE;
