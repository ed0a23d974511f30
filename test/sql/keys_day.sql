-- A day of a city hall: ten counters, two kiosks, three hundred phones, all behind one address.  Nobody meets a limit
-- when that address is one of the branch's networks; and somebody does when it is not.
\set SHOW_CONTEXT never
set client_min_messages = warning;
drop extension qms cascade;
create extension qms;
set timezone = 'UTC';
set datestyle = 'ISO';
create schema keys_day;
grant usage on schema keys_day to public;
set search_path = keys_day;
set qms.mock_now = '2030-01-07 08:00+00';
select organization_id from qms.create_organization('City');
select branch_id from qms.create_branch(1, 'Hall', networks => '{192.0.2.10/32}');
select count(*) from generate_series(1, 5) n, qms.create_queue('Queue ' || n, 1, settings => '{"max_number": 9999}');
select count(*) from generate_series(1, 10) n, qms.create_counter(1, 'Counter ' || n, array[(n + 1) / 2]);
select count(*) from generate_series(1, 10) n, qms.create_staff(1, 'clerk' || n);
select count(*) from generate_series(1, 2) n, qms.create_device(1, 'kiosk', 'Kiosk ' || n);
create role keys_web login;
grant qms_authenticator, qms_customer, qms_kiosk, qms_servicer to keys_web;

create table day_of (joined int default 0, served int default 0, looked int default 0, refused int default 0, state text default '');
insert into day_of default values;
create table phone (n int primary key, token qms.ticket_token, comes int, again int);
-- one request of PostgREST, from the one address
create function request(active text, sub text) returns void language sql as $$
    select set_config('role', 'none', false), set_config('qms.client_address', '192.0.2.10', false), set_config('request.jwt.claims',
        case when sub is null then '' else jsonb_build_object('role', active, 'sub', sub, 'organization_id', 1)::text end, false);
    select set_config('role', active, false) $$;
create function attempt(what text, statement text) returns text language plpgsql as $$
declare
    answer text;
begin
    execute statement into answer;
    execute format('update day_of set %1$I = %1$I + 1', what);
    return answer;
exception when sqlstate 'QM220' then
    update day_of set refused = refused + 1, state = sqlstate;
    return null;
end $$;
grant all on day_of, phone to public;
create function day(minutes int) returns setof day_of language plpgsql as $$
declare
    minute int; i int; p phone; counter int; got text;
begin
    update day_of set joined = 0, served = 0, looked = 0, refused = 0, state = '';
    truncate phone;
    -- Half of the phones are there when the doors open, half give no subject, and a third joins a second time in the afternoon.
    insert into phone select n, null, case when n % 2 = 0 then n / 20 else 15 + n end, case when n % 3 = 0 then 360 + n / 10 end from generate_series(1, 300) n;
    set session authorization keys_web;
    for counter in 1..10 loop
        perform request('qms_servicer', 'staff:' || counter);
        perform attempt('served', format('select state from (select %s as x) y, lateral (select status as state from qms.open_counter(y.x::bigint, %s)) z', counter, counter));
    end loop;
    for minute in 0..minutes - 1 loop
        reset session authorization;
        perform set_config('qms.mock_now', (timestamptz '2030-01-07 08:00+00' + make_interval(mins => minute))::text, false);
        set session authorization keys_web;
        -- the phones
        perform request('qms_customer', null);
        for p in select * from phone where comes = minute or again = minute order by n loop
            got := attempt('joined', format('select token from qms.join_queue(%s, subject => %L)', p.n % 5 + 1, case when p.n % 4 < 2 then 'phone ' || p.n end));
            update phone set token = got::qms.ticket_token where n = p.n;
        end loop;
        for p in select * from phone where token is not null and (n + minute) % 200 = 0 loop
            perform attempt('looked', format('select state from qms.ticket_status(%L)', p.token));
        end loop;
        -- the kiosks: a rush of ten tickets a minute each in the first half hour, then one every two minutes
        for i in 1..case when minute < 30 then 10 when minute % 2 = 0 then 1 else 0 end loop
            perform request('qms_kiosk', 'device:1');
            perform attempt('joined', format('select number from qms.join_queue(%s)', (minute + i) % 5 + 1));
            perform request('qms_kiosk', 'device:2');
            perform attempt('joined', format('select number from qms.join_queue(%s)', (minute + i) % 5 + 1));
        end loop;
        -- the counters: a ticket every six minutes each
        for counter in 1..10 loop
            continue when (minute + counter) % 6 <> 0;
            perform request('qms_servicer', 'staff:' || counter);
            perform attempt('served', format('select number from qms.call_next(%s, %s)', counter, case when minute < 6 then 'null' else '''completed''' end));
        end loop;
    end loop;
    for counter in 1..10 loop
        perform request('qms_servicer', 'staff:' || counter);
        perform attempt('served', format('select state from qms.complete_service(%s)', counter));
        perform attempt('served', format('select status from qms.close_counter(%s)', counter));
    end loop;
    perform set_config('role', 'none', false);
    reset session authorization;
    return query select * from day_of;
end $$;
select joined, served, looked > 500 as looked_often, refused, state from day(600);
select state, count(*) from (select state from qms.ticket union all select state from qms.ticket_history) t group by state order by state;
-- another morning, and nobody has told that the address is the hall's: only phones without a subject are counted by it
select networks from qms.update_branch(1, networks => '{}');
select joined, refused, state from day(15);
drop owned by keys_web;
drop role keys_web;
set search_path to default;
drop schema keys_day cascade;
