-- before the draw nobody has a place: what is told is where the lottery may put him
\set ON_ERROR_STOP on
set client_min_messages = warning;
set intervalstyle = postgres;
set timezone = 'UTC';
set qms.mock_now = '2030-01-07 09:00+00';
select organization_id as org from qms.create_organization('Draw') \gset
select application_id as app from qms.create_application(:org, 'Draw shop') \gset
select queue_id as room from qms.create_queue('Drawn', application_id => :app, kind => 'release',
    settings => '{"rate": "1/s", "no_show_compensation": false, "lottery": true, "opens_at": "2030-01-07 10:00+00"}') \gset
select count(*), count(j.position) as with_a_place, count(j.wait_p50) as with_a_wait from generate_series(1, 100) i, lateral qms.join_queue(:room + 0 * i) j;
-- the first and the last who came are told the same: an hour, and the first tenth, the middle and the last tenth of the line
create temp table last as select j.* from qms.join_queue(:room) j;
select position, people_ahead, position_exact, wait_p10, wait_p50, wait_p90 from last;
select s.state, s.position, s.people_ahead, s.wait_p10, s.wait_p50, s.wait_p90 from last, lateral qms.ticket_status(last.token) s;
-- the room itself is no secret
select waiting, waiting_exact, released, rate, wait_p50 from qms.queue_status(:room);
