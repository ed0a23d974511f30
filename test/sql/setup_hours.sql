-- opening hours and closures, as join_queue sees them, over the changes of the clocks
\set SHOW_CONTEXT never
set client_min_messages = warning;
-- ids begin with 1 again, whatever ran before
drop extension qms cascade;
create extension qms;
set timezone = 'UTC';
set qms.mock_now = '2030-01-07 09:00+00';
create function pg_temp.try(statement text) returns table (sqlstate text, says text)
language plpgsql as $$
declare
    code text; message text; detail text; hint text;
begin
    execute statement;
    return query values ('00000', 'accepted');
exception when others then
    get stacked diagnostics code = returned_sqlstate, message = message_text,
        detail = pg_exception_detail, hint = pg_exception_hint;
    return query values (code, message), ('', 'detail: ' || detail), ('', 'hint: ' || hint);
end $$;

-- joins at a moment, in the time zone of the branch, and takes the ticket back
create function pg_temp.at(moment timestamptz, queue bigint) returns text language plpgsql as $$
declare
    detail text; hint text;
begin
    perform set_config('qms.mock_now', moment::text, false);
    set local role setup_customer;
    begin
        perform from qms.join_queue(queue);
        raise 'undo' using errcode = 'XX999';
    exception when others then
        get stacked diagnostics detail = pg_exception_detail, hint = pg_exception_hint;
        reset role;
        return case sqlstate when 'XX999' then 'joins' else sqlstate || ': ' || detail || ' / ' || hint end;
    end;
end $$;
select organization_id from qms.create_organization('One', time_zone => 'Europe/Berlin');
select branch_id from qms.create_branch(1, 'Main');
select queue_id from qms.create_queue('Plain', 1);
select queue_id from qms.create_queue('Early', 1, settings => '{"join_from": "30 min", "last_ticket_before": "10 min"}');
select queue_id from qms.create_queue('Own', 1);
create role setup_customer;
grant execute on function qms.join_queue to setup_customer;
select kind from qms.bind_role('setup_customer', 1, 'customer');
set timezone = 'Europe/Berlin';
-- without hours it is always open
select pg_temp.at('2030-01-06 03:00', 1);
-- a Monday; a night from Saturday to Sunday; all of Friday
select weekday, opens, closes from qms.set_opening_hours('{"mon": [["08:00", "12:00"], ["13:00", "18:00"]], "fri": [["00:00", "24:00"]], "sat": [["20:00", "24:00"]], "sun": [["00:00", "04:00"]]}', 1);
select m, q, pg_temp.at(m::timestamptz, q) from unnest(array['2030-01-07 07:29:59', '2030-01-07 07:30', '2030-01-07 07:59:59', '2030-01-07 08:00', '2030-01-07 11:49:59', '2030-01-07 11:50', '2030-01-07 11:59:59', '2030-01-07 12:00', '2030-01-07 12:30', '2030-01-07 18:00',
    '2030-01-08 10:00', '2030-01-10 23:30', '2030-01-11 00:00', '2030-01-11 23:59', '2030-01-12 00:00', '2030-01-12 23:59', '2030-01-13 00:00', '2030-01-13 03:55', '2030-01-13 04:00']) m, generate_series(1, 2) q order by m, q;
-- a queue's own hours count before those of its branch
select weekday, opens, closes from qms.set_opening_hours('{"tue": [["09:00", "10:00"]]}', queue_id => 3);
select m, q, pg_temp.at(m::timestamptz, q) from unnest(array['2030-01-07 09:00', '2030-01-08 09:00']) m, unnest(array[1, 3]) q order by m, q;
select count(*) from qms.set_opening_hours('{}', queue_id => 3);
select pg_temp.at('2030-01-07 09:00', 3);
-- the clocks go forward: the night has an hour less, and ends when the clock says so
select m, pg_temp.at(m::timestamptz, 1) from unnest(array['2030-03-30 19:59+01', '2030-03-30 20:00+01', '2030-03-31 01:59+01', '2030-03-31 03:00+02', '2030-03-31 03:59+02', '2030-03-31 04:00+02']) m;
-- and back: an hour more, and both hours from two to three are open
select m, pg_temp.at(m::timestamptz, 1) from unnest(array['2030-10-27 02:30+02', '2030-10-27 02:30+01', '2030-10-27 03:59+01', '2030-10-27 04:00+01']) m;
-- eight o'clock is eight o'clock on the Mondays after
select m, pg_temp.at(m::timestamptz, 1) from unnest(array['2030-04-01 07:59', '2030-04-01 08:00', '2030-10-28 07:59', '2030-10-28 08:00']) m;
-- closures
select closure_id from qms.add_closure(1, '[2030-01-07 10:00, 2030-01-14 09:00)', 'Umbau');
select closure_id from qms.add_closure(1, '[2030-01-14 09:00, 2030-01-14 10:00)', 'Versammlung');
select m, q, pg_temp.at(m::timestamptz, q) from unnest(array['2030-01-07 09:00', '2030-01-07 09:50', '2030-01-07 10:00', '2030-01-11 12:00', '2030-01-14 08:30', '2030-01-14 09:29', '2030-01-14 09:30', '2030-01-14 10:00']) m, generate_series(1, 2) q order by m, q;
select closure_id from qms.delete_closure(1);
select pg_temp.at('2030-01-11 12:00', 1);
select closure_id from qms.add_closure(1, '[2030-06-01,)', 'Ende');
select m, pg_temp.at(m::timestamptz, 1) from unnest(array['2030-05-31 23:59', '2030-06-01 00:00', '2031-01-06 09:00']) m;
-- no hours: closures count all the same
select count(*) from qms.set_opening_hours(null, 1);
select m, q, pg_temp.at(m::timestamptz, q) from unnest(array['2030-05-31 23:55', '2030-06-01 00:00']) m, generate_series(1, 2) q order by m, q;
-- another time zone, at once
select time_zone from qms.update_branch(1, time_zone => 'Asia/Tokyo');
select count(*) from qms.set_opening_hours('{"mon": [["08:00", "09:00"]]}', 1);
select m, pg_temp.at(m::timestamptz, 1) from unnest(array['2030-01-07 07:59+09', '2030-01-07 08:00+09', '2030-01-07 08:00+01']) m;
select count(*) from qms.ticket;
-- staff let people in at any time
select queue_id from qms.join_queue(1);
drop owned by setup_customer;
drop role setup_customer;
