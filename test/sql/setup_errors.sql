-- set-up: what is refused, with SQLSTATE, detail and hint
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
select organization_id from qms.create_organization('One');
select organization_id from qms.create_organization('Two');
select branch_id from qms.create_branch(1, 'One');
select branch_id from qms.create_branch(2, 'Two');
select branch_id from qms.create_branch(1, 'One-B');
select queue_id from qms.create_queue('A', 1);
select queue_id from qms.create_queue('B', 2);
select queue_id from qms.create_queue('C', 3);
select application_id from qms.create_application(1, 'App');
select application_id from qms.create_application(1, 'App B');
select queue_id from qms.create_queue('R', application_id => 1, kind => 'release');
select zone_id from qms.create_zone(1, 'Z');
select zone_id from qms.create_zone(3, 'Z');
select service_id from qms.create_service(1, 'S', code => 'S');
select service_id from qms.create_service(2, 'S');
select release_pool_id from qms.create_release_pool(2, '1/s', 1);
select service_offer_id from qms.offer_service(1, 1, 1);
select staff_id from qms.create_staff(1, 'anna');

-- names and slugs
select * from pg_temp.try('select * from qms.create_organization(null)');
select * from pg_temp.try($$select * from qms.create_organization('')$$);
select * from pg_temp.try($$select * from qms.create_organization('   ')$$);
select * from pg_temp.try($$select * from qms.create_branch(1, repeat('é', 201))$$);
select * from pg_temp.try($$select * from qms.create_branch(1, E'a\nb')$$);
select * from pg_temp.try($$select * from qms.create_organization('x', slug => 'X')$$);
select * from pg_temp.try($$select * from qms.create_organization('x', slug => 'a--b')$$);
select * from pg_temp.try($$select * from qms.create_organization('x', slug => 'one')$$);
select * from pg_temp.try($$select * from qms.create_branch(1, 'x', slug => 'one')$$);
select * from pg_temp.try($$select * from qms.create_organization('x', names => '{"deutsch-": "x"}')$$);
select * from pg_temp.try($$select * from qms.create_organization('x', names => '{"de": 1}')$$);
select * from pg_temp.try($$select * from qms.create_organization('x', names => '["de"]')$$);
select * from pg_temp.try($$select * from qms.create_zone(1, 'Z')$$);
select * from pg_temp.try($$select * from qms.create_service(1, 'T', code => 'S')$$);
select * from pg_temp.try($$select * from qms.create_application(1, 'App')$$);
select * from pg_temp.try($$select * from qms.create_customer_class(1, 'regular')$$);
select * from pg_temp.try($$select * from qms.create_staff(1, 'anna')$$);
select * from pg_temp.try($$select * from qms.create_organization('x', settings => jsonb_build_object('a', repeat('x', 20000)))$$);
-- time zones and intervals
select * from pg_temp.try($$select * from qms.create_organization('x', time_zone => 'Europe/Bonn')$$);
select * from pg_temp.try($$select * from qms.create_branch(1, 'x', time_zone => 'nowhere')$$);
select * from pg_temp.try($$select * from qms.create_service(1, 'x', expected_duration => '1 month')$$);
select * from pg_temp.try($$select * from qms.create_service(1, 'x', expected_duration => '-1 min')$$);
select * from pg_temp.try($$select * from qms.create_customer_class(1, 'x', '400 days')$$);
-- arrays
select * from pg_temp.try($$select * from qms.create_service(1, 'x', requires_skill => '{a,null}')$$);
select * from pg_temp.try($$select * from qms.create_service(1, 'x', requires_skill => '{" a"}')$$);
select * from pg_temp.try($$select * from qms.create_service(1, 'x', requires_skill => '{{a},{b}}')$$);
select * from pg_temp.try($$select * from qms.create_application(1, 'x', '{shop.example}')$$);
select * from pg_temp.try($$select * from qms.create_application(1, 'x', '{https://shop.example/}')$$);
select * from pg_temp.try($$select * from qms.create_branch(1, 'x', networks => '{null}')$$);
select * from pg_temp.try($$select * from qms.create_release_pool(1, '1/s', -1)$$);
-- queues
select * from pg_temp.try($$select * from qms.create_queue('x')$$);
select * from pg_temp.try($$select * from qms.create_queue('x', 1, 1)$$);
select * from pg_temp.try($$select * from qms.create_queue('x', application_id => 1)$$);
select * from pg_temp.try($$select * from qms.create_queue('x', 1, kind => 'lounge')$$);
select * from pg_temp.try($$select * from qms.create_queue('x', 1, prefix => 'A')$$);
select * from pg_temp.try($$select * from qms.create_queue('x', 1, prefix => 'ABCDEF')$$);
select * from pg_temp.try($$select * from qms.create_queue('x', 1, prefix => 'A1')$$);
select * from pg_temp.try($$select * from qms.create_queue('x', 1, kind => 'release', prefix => 'X')$$);
select * from pg_temp.try($$select * from qms.create_queue('x', application_id => 1, kind => 'release', release_pool_id => 1)$$);
select * from pg_temp.try($$select * from qms.create_queue('x', 1, release_pool_id => -1)$$);
-- counters and profiles
select * from pg_temp.try($$select * from qms.create_counter(1, 'x', null)$$);
select * from pg_temp.try($$select * from qms.create_counter(1, 'x', '{1,1}')$$);
select * from pg_temp.try($$select * from qms.create_counter(1, 'x', '{2}')$$);
select * from pg_temp.try($$select * from qms.create_counter(1, 'x', '{3}')$$);
select * from pg_temp.try($$select * from qms.create_counter(1, 'x', '{4}')$$);
select * from pg_temp.try($$select * from qms.create_counter(1, 'x', '{1}', zone_id => 2)$$);
select * from pg_temp.try($$select * from qms.create_counter_profile(1, 'x', 'random')$$);
select * from pg_temp.try($$select * from qms.create_counter_profile(1, 'x', 'weighted')$$);
select s, t.* from unnest(array['{}', '[]', '"x"', '[1]', '[{}]', '[{"queue_id": "1"}]', '[{"queue_id": 1.5}]', '[{"queue_id": 2}]', '[{"queue_id": 3}]', '[{"queue_id": 4}]',
    '[{"queue_id": 1, "customer_class": "x"}]', '[{"queue_id": 1, "weight": 0}]', '[{"queue_id": 1, "weight": 1001}]', '[{"queue_id": 1, "weight": "2"}]',
    '[{"queue_id": 1}, {"queue_id": 1, "weight": 2}]', '[{"queue_id": 1, "class": "x"}]']) s,
    lateral pg_temp.try(format('select * from qms.create_counter_profile(1, ''x'', ''ratio'', %L)', s)) t where t.says not like 'hint%';
-- offers
select * from pg_temp.try('select * from qms.offer_service(1, 1, 1)');
select * from pg_temp.try('select * from qms.offer_service(1, 2, 1)');
select * from pg_temp.try('select * from qms.offer_service(1, 1, 3)');
select * from pg_temp.try('select * from qms.offer_service(1, null, 1)');
-- staff
select * from pg_temp.try($$select * from qms.create_staff(1, 'x', role => 'boss')$$);
select * from pg_temp.try($$select * from qms.create_staff(1, 'x', branch_ids => '{2}')$$);
select * from pg_temp.try($$select * from qms.create_staff(1, 'x', branch_ids => '{1,1}')$$);
-- what is not there
select * from pg_temp.try($$select * from qms.create_branch(99, 'x')$$);
select * from pg_temp.try($$select * from qms.create_branch(0, 'x')$$);
select * from pg_temp.try($$select * from qms.create_zone(null, 'x')$$);
select * from pg_temp.try($$select * from qms.update_queue(99, 'x')$$);
select * from pg_temp.try($$select * from qms.delete_counter(99)$$);
-- hours and closures
select h, t.* from unnest(array['[]', '1', '{"monday": []}', '{"mon": "08:00"}', '{"mon": ["08:00", "12:00"]}', '{"mon": [["08:00"]]}', '{"mon": [["8:00", "12:00"]]}', '{"mon": [["08:00", "25:00"]]}',
    '{"mon": [["08:00", "24:01"]]}', '{"mon": [["12:00", "08:00"]]}', '{"mon": [["08:00", "08:00"]]}', '{"mon": [["08:00", "12:00"], ["11:00", "13:00"]]}', '{"mon": []}', '{"mon": [[8, 12]]}']) h,
    lateral pg_temp.try(format('select * from qms.set_opening_hours(%L, 1)', h)) t where t.says not like 'detail%';
select * from pg_temp.try($$select * from qms.set_opening_hours('{"mon": [["08:00", "12:00"]]}')$$);
select * from pg_temp.try($$select * from qms.set_opening_hours('{"mon": [["08:00", "12:00"]]}', 1, 1)$$);
select * from pg_temp.try($$select * from qms.set_opening_hours(null, 99)$$);
select * from pg_temp.try($$select * from qms.add_closure(1, 'empty', 'x')$$);
select * from pg_temp.try($$select * from qms.add_closure(1, null, 'x')$$);
select * from pg_temp.try($$select * from qms.add_closure(1, '[2030-01-01, 2030-01-02)', '')$$);
select * from pg_temp.try($$select * from qms.add_closure(99, '[2030-01-01, 2030-01-02)', 'x')$$);
