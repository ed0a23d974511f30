-- what people in a waiting room are told: place, wait, and counters to tell the place from
\set ON_ERROR_STOP on
set client_min_messages = warning;
set intervalstyle = postgres;
set timezone = 'UTC';
set extra_float_digits = 0;
set qms.mock_now = '2030-01-07 09:00+00';
select setseed(0.42);
select organization_id as org from qms.create_organization('Eta') \gset
select application_id as app from qms.create_application(:org, 'Eta shop') \gset
create function pg_temp.room(application_id bigint, name text, settings jsonb, pool bigint default null) returns bigint language sql as $$
    select u.queue_id from qms.create_queue(name, application_id => $1, kind => 'release', settings => $3) q,
        lateral qms.update_queue(q.queue_id, release_pool_id => $4) u
$$;
create function pg_temp.come(queue_id bigint, n int) returns setof qms.joined_ticket language sql as $$
    select j.* from generate_series(1, n) i, lateral qms.join_queue(queue_id + 0 * i) j
$$;
create function pg_temp.clock(seconds float8) returns void language sql as $$
    select set_config('qms.mock_now', (timestamptz '2030-01-07 09:00+00' + seconds * interval '1 s')::text, false)
$$;
-- the scheduler's turns from one moment to another, at each moment that is due
create function pg_temp.run(queue_id bigint, since float8, until float8) returns int language plpgsql as $$
declare
    at float8 := since; next timestamptz; n int := 0;
begin
    while at <= until loop
        perform pg_temp.clock(at);
        next := qms_internal.release_turn(queue_id, n = 0 or at = until);
        n := n + 1;
        exit when at = until;
        at := least(coalesce(extract(epoch from next - timestamptz '2030-01-07 09:00+00'), until), until);
    end loop;
    return n;
end $$;

-- no rate: nobody knows; a rate: n / r, to the second
select pg_temp.room(:app, 'manual', '{}') as manual, pg_temp.room(:app, 'steady', '{"rate": "30/min", "no_show_compensation": false}') as steady \gset
select position, people_ahead, position_exact, wait_p10, wait_p50, wait_p90 from pg_temp.come(:manual, 2);
select position, people_ahead, position_exact, wait_p10, wait_p50, wait_p90 from pg_temp.come(:steady, 120) where position in (1, 60, 120);
select waiting, wait_p10, wait_p50, wait_p90, open_counters, released, abandoned, rate, counted_at from qms.queue_status(:steady);
select waiting, wait_p50, released, rate from qms.queue_status(:manual);
-- what was quoted is kept
select quoted_p50, quoted_n from qms.ticket where queue_id = :steady order by sort_key, ticket_id offset 119;
select quoted_p50, quoted_n from qms.ticket where queue_id = :manual order by sort_key, ticket_id limit 1;

-- it moves: a minute later thirty have been let in
select pg_temp.run(:steady, 0, 60) > 25 as turns;
select released, abandoned, waiting, wait_p50, rate from qms.queue_status(:steady);
-- paused: nobody is let in; as before when it opens
select status from qms.pause_queue(:steady);
select wait_p10, wait_p50, wait_p90, rate from qms.queue_status(:steady);
select status from qms.open_queue(:steady);
select wait_p50, rate from qms.queue_status(:steady);

-- those who leave are counted, and how fast they leave is learned: in 10 minutes 120 people a minute come, and a tenth of those who wait leaves each minute
select pg_temp.room(:app, 'leaving', '{"rate": "20/min", "no_show_compensation": false}') as leaving \gset
do $$
declare
    q bigint := (select queue_id from qms.queue where name = 'leaving'); t text; minute int;
begin
    for minute in 0 .. 59 loop
        perform pg_temp.clock(100 + minute * 10);
        perform pg_temp.come(q, 20);
        for t in select s.ticket_id from qms.ticket s where s.queue_id = q and s.state = 'waiting' and random() < 1 - exp(-10 / 600.0) loop
            perform qms.cancel_ticket(t::bigint, 'gone');
        end loop;
        commit;
        perform pg_temp.run(q, 100 + minute * 10, 110 + minute * 10);
        commit;
    end loop;
end $$;
select abs(left_people / (waiting_seconds + 3600) * 600 - 1) < 0.15 as leave_rate_learned, left_people > 300 as many,
    abandoned = (select count(*) from qms.ticket_history where queue_id = :leaving) as all_counted
from qms_internal.release_flow where queue_id = :leaving;
select abandoned = (select count(*) from qms.ticket_history where queue_id = :leaving) as abandoned,
    released = (select count(*) from qms.ticket where queue_id = :leaving and state = 'released') as released,
    wait_p50 < waiting / (20 / 60.0) * interval '1 s' * 0.7 as sooner_than_without_leaving, wait_p10 < wait_p50 and wait_p50 < wait_p90 as in_order
from qms.queue_status(:leaving);

-- a full room: one in for each who goes, so what counts is how long people stay
select pg_temp.clock(1000);
select pg_temp.room(:app, 'full', '{"rate": "10/s", "max_active": 10, "token_life": "100 s", "claim_window": "100 s", "no_show_compensation": false}') as full_room \gset
select count(*) from pg_temp.come(:full_room, 50);
select pg_temp.run(:full_room, 1000, 1002) > 0 as turns;
select released, waiting, rate, wait_p50 from qms.queue_status(:full_room);

-- a pool: by weight among those that have people waiting
select release_pool_id as pool from qms.create_release_pool(:app, '60/min', 1000) \gset
select pg_temp.room(:app, 'one share', '{"no_show_compensation": false}', :pool) as one, pg_temp.room(:app, 'three shares', '{"weight": 3, "no_show_compensation": false}', :pool) as three \gset
select position, wait_p50 from pg_temp.come(:one, 30) where position = 30;
select position, wait_p50 from pg_temp.come(:three, 30) where position = 30;
select pg_temp.run(:one, 1002, 1003) > 0 as turns;
select (qms.queue_status(:one)).rate as one, (qms.queue_status(:three)).rate as three;

-- not open yet: the wait is until then at least
select pg_temp.room(:app, 'later', '{"rate": "1/s", "opens_at": "2030-01-07 10:00+00", "no_show_compensation": false}') as later \gset
select position, wait_p10, wait_p50, wait_p90 from pg_temp.come(:later, 60) where position in (1, 60);
select status, wait_p50, rate from qms.queue_status(:later);

-- counters: whoever knows his place and two readings tells his place now (contrib-docs/waiting-rooms.md)
select pg_temp.room(:app, 'own place', '{"rate": "2/s", "no_show_compensation": false}') as own \gset
create temp table told (ticket_id bigint, place bigint, released bigint, abandoned bigint, waiting bigint);
create temp table reading (at int, ticket_id bigint, place float8, least float8, most float8, true_place bigint);
do $$
declare
    q bigint := (select queue_id from qms.queue where name = 'own place'); step int; t bigint; s qms.queue_state;
begin
    perform pg_temp.clock(2000);
    insert into told select j.ticket_id, j.position, 0, 0, 400 from pg_temp.come(q, 400) j;
    s := qms.queue_status(q);
    update told set released = s.released, abandoned = s.abandoned, waiting = s.waiting;
    for step in 0 .. 11 loop
        for t in select w.ticket_id from qms.ticket w where w.queue_id = q and w.state = 'waiting' and step > 0 and random() < 0.02 loop
            perform qms.cancel_ticket(t, 'gone');
        end loop;
        perform pg_temp.come(q, 5);
        perform pg_temp.run(q, 2000 + step * 10, 2010 + step * 10);
        s := qms.queue_status(q);
        insert into reading select step, d.ticket_id,
            (d.place - (s.released - d.released) - k.k * d.place / 2) / (1 + k.k / 2),
            d.place - (s.released - d.released) - (s.abandoned - d.abandoned), d.place - (s.released - d.released), w.place
        from told d, lateral (select (s.abandoned - d.abandoned) / ((d.waiting + s.waiting) / 2.0) as k) k,
            (select w.ticket_id, row_number() over (order by w.sort_key, w.ticket_id) as place
             from qms.ticket w where w.queue_id = q and w.state = 'waiting') w
        where w.ticket_id = d.ticket_id;
    end loop;
end $$;
select count(*) > 1500 as readings, bool_and(true_place between least and most) as always_within,
    max(abs(place - true_place)) < 12 as never_far_off, avg(place - true_place) between -3 and 3 as no_bias, bool_or(place <> true_place) as an_estimate
from reading;
-- nobody had left: exact
select count(*) > 300 as readings, bool_and(least = true_place and most = true_place and place = true_place) as exact from reading where at = 0;
select abandoned > 50 as some_left, released > 200 as some_let_in from qms.queue_status(:own);
