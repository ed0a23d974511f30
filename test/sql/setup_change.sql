-- set-up: changing and deleting
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
select organization_id from qms.create_organization('One', time_zone => 'Europe/Berlin');
select branch_id from qms.create_branch(1, 'Main');
select zone_id from qms.create_zone(1, 'Hall');
select service_id from qms.create_service(1, 'Passports', '10 min', 'PASS');
select queue_id from qms.create_queue('A', 1);
select queue_id from qms.create_queue('B', 1);
select service_offer_id from qms.offer_service(1, 1, 1);
select service_offer_id from qms.offer_service(1, 1, 2);
select application_id from qms.create_application(1, 'Shop');
select release_pool_id from qms.create_release_pool(1, '30/min', 10);
select queue_id from qms.create_queue('R', application_id => 1, kind => 'release', release_pool_id => 1);
select counter_id from qms.create_counter(1, '1', '{1,2}', 1);
select customer_class_id from qms.create_customer_class(1, 'vip', '10 min');
select counter_profile_id from qms.create_counter_profile(1, 'P', 'ratio', '[{"queue_id": 2, "customer_class": "vip"}]');
select staff_id from qms.create_staff(1, 'anna');
select closure_id from qms.add_closure(1, '[2030-12-24, 2030-12-27)', 'x');

-- every update, by named arguments
set qms.mock_now = '2030-01-07 10:00+00';
\x on
select * from qms.update_organization(organization_id => 1, name => 'Uno', slug => 'uno', time_zone => 'UTC', settings => '{"a": 1}', names => '{"en": "One"}');
select * from qms.update_branch(branch_id => 1, name => 'B', time_zone => 'Asia/Tokyo', slug => 'b', names => '{"en": "B"}', networks => '{2001:db8::/32}', settings => '{"b": 2}');
select * from qms.update_zone(zone_id => 1, name => 'Z', names => '{"en": "Z"}');
select * from qms.update_service(service_id => 1, name => 'S', expected_duration => '5 min', code => 'S', credit => '1 min', requires_skill => '{x}', slug => 's', names => '{"en": "S"}');
select * from qms.update_service_offer(service_offer_id => 2, requires_skill => '{y}', is_default => true);
select * from qms.update_application(application_id => 1, name => 'A', allowed_origins => '{http://localhost:3000}', settings => '{"c": 3}', names => '{"en": "A"}');
select * from qms.update_release_pool(release_pool_id => 1, rate => '60/min', max_active => 20);
select * from qms.update_queue(queue_id => 1, name => 'Q', prefix => 'x', settings => '{"wrap": true}', slug => 'q', names => '{"en": "Q"}', release_pool_id => null);
select * from qms.update_counter(counter_id => 1, name => 'C', queue_ids => '{2}', zone_id => 0, slug => 'c', names => '{"en": "C"}');
select * from qms.update_counter_profile(counter_profile_id => 1, name => 'PP', policy => 'weighted', sources => '[{"queue_id": 2, "customer_class": "vip", "weight": 3}, {"queue_id": 2, "customer_class": "regular"}]', blind => true, auto_call => true);
select * from qms.update_customer_class(customer_class_id => 2, name => null, credit => '20 min', self_service => true, names => '{"en": "V"}');
select * from qms.update_staff(staff_id => 1, username => 'anna2', display_name => 'Anna', role => 'admin', skills => '{x}', branch_ids => '{1}', permissions => '{"deny": ["counter.undo"]}');
select * from qms.update_closure(closure_id => 1, during => '[2030-12-24, 2030-12-28)', reason => 'y');
\x off
-- the default offer has moved
select service_offer_id, is_default from qms.service_offer order by 1;
-- nothing given changes nothing but updated_at
select name, slug, time_zone, settings, names, created_at, updated_at from qms.update_organization(1);
-- what removes a value
select time_zone from qms.update_branch(1, time_zone => '');
select code, expected_duration from qms.update_service(1, code => '', expected_duration => '0');
select max_active from qms.update_release_pool(1, max_active => 0);
select policy, sources from qms.update_counter_profile(1, policy => 'strict', sources => 'null');
select settings from qms.update_organization(1, settings => '{"a": null, "b": [1]}');
select display_name from qms.update_staff(1, display_name => '');
select * from pg_temp.try($$select * from qms.update_organization(1, time_zone => '')$$);
-- a new name keeps the slug; a slug or prefix of another is refused
select name, slug from qms.update_branch(1, 'Renamed');
select * from pg_temp.try($$select * from qms.update_queue(2, slug => 'q')$$);
select * from pg_temp.try($$select * from qms.update_queue(2, prefix => 'X')$$);
select prefix, slug from qms.update_queue(1, prefix => 'X', slug => 'q');
select * from pg_temp.try($$select * from qms.update_queue(3, prefix => 'R')$$);
select * from pg_temp.try($$select * from qms.update_queue(1, release_pool_id => 1)$$);
select release_pool_id from qms.update_queue(3, release_pool_id => 0);
select release_pool_id from qms.update_queue(3, release_pool_id => 1);
-- classes: regular stays, and so does a name that a profile uses
select policy from qms.update_counter_profile(1, sources => '[{"queue_id": 2, "customer_class": "vip"}]');
select * from pg_temp.try($$select * from qms.update_customer_class(1, name => 'normal')$$);
select * from pg_temp.try($$select * from qms.update_customer_class(2, name => 'VIP')$$);
select * from pg_temp.try('select * from qms.delete_customer_class(1)');
select * from pg_temp.try('select * from qms.delete_customer_class(2)');
select names from qms.update_customer_class(1, names => '{"en": "Everybody"}');

-- a profile that looks at classes marks its queues and their tickets
create procedure pg_temp.ticket(queue bigint, state text, counter bigint default null, hold text default null) language sql as $$
    insert into qms.ticket (organization_id, branch_id, queue_id, customer_class_id, visit_id, state, effective_arrival, sort_key, joined_at, entered_at, token_nonce, counter_id, hold_kind, number)
    values (1, 1, queue, 1, 1, state, current_setting('qms.mock_now')::timestamptz, 0, current_setting('qms.mock_now')::timestamptz, current_setting('qms.mock_now')::timestamptz, 1, counter, hold, ('T' || (select count(*) + 1 from qms.ticket))::qms.ticket_number) $$;
select queue_id from qms.create_queue('C', 1);
call pg_temp.ticket(4, 'waiting');
call pg_temp.ticket(4, 'on_hold', null, 'staff');
call pg_temp.ticket(1, 'called', 1);
select queue_id, by_class from qms.queue order by 1;
select counter_profile_id from qms.create_counter_profile(1, 'plain', 'ratio', '[{"queue_id": 4}]');
select queue_id, by_class from qms.queue where queue_id = 4;
select counter_profile_id from qms.create_counter_profile(1, 'by class', 'strict', '[{"queue_id": 4, "customer_class": "vip"}, {"queue_id": 4}]');
select queue_id, by_class from qms.queue order by 1;
select ticket_id, queue_id, by_class from qms.ticket order by 1;

-- what is in use stays
insert into qms.staff_session (organization_id, branch_id, counter_id, staff_id, counter_profile_id, opened_at) values (1, 1, 1, 1, 1, current_setting('qms.mock_now')::timestamptz);
select counter_id, zone_id from qms.update_counter(1, zone_id => 1);
select f, t.* from unnest(array['delete_organization', 'delete_branch', 'delete_zone', 'delete_service', 'delete_application', 'delete_release_pool', 'delete_queue', 'delete_counter', 'delete_counter_profile', 'delete_staff']) f,
    lateral pg_temp.try(format('select * from qms.%I(1)', f)) t;
select * from pg_temp.try('select * from qms.delete_queue(2)');
select * from pg_temp.try('select * from qms.delete_queue(4)');

-- from the leaves to the root; the rows stay
set qms.mock_now = '2030-01-07 11:00+00';
update qms.staff_session set closed_at = now();
alter table qms.ticket disable trigger user;
truncate qms.ticket;
alter table qms.ticket enable trigger user;
select counter_id, deleted_at from qms.delete_counter(1);
select counter_profile_id, deleted_at from generate_series(1, 3) i, lateral qms.delete_counter_profile(i);
select service_offer_id, deleted_at from generate_series(1, 2) i, lateral qms.delete_service_offer(i);
select queue_id, status, deleted_at from generate_series(1, 4) i, lateral qms.delete_queue(i);
select service_id, deleted_at from qms.delete_service(1);
select zone_id, deleted_at from qms.delete_zone(1);
select staff_id, deleted_at from qms.delete_staff(1);
select customer_class_id, deleted_at from qms.delete_customer_class(2);
select release_pool_id, deleted_at from qms.delete_release_pool(1);
select application_id, deleted_at from qms.delete_application(1);
select closure_id, deleted_at from qms.delete_closure(1);
select branch_id, deleted_at from qms.delete_branch(1);
select organization_id, deleted_at from qms.delete_organization(1);
-- gone for every call
select f, t.sqlstate, t.says from unnest(array['organization', 'branch', 'zone', 'service', 'application', 'release_pool', 'queue', 'counter', 'counter_profile', 'customer_class', 'staff', 'closure', 'service_offer']) f,
    unnest(array['update', 'delete']) v, lateral pg_temp.try(format('select * from qms.%I(1)', v || '_' || f)) t where t.sqlstate <> '';
select * from pg_temp.try($$select * from qms.create_branch(1, 'x')$$);
-- and its names are free again
select slug from qms.create_organization('x', slug => 'uno');
select kind, count(*) from qms.event where kind like '%.updated' or kind like '%.deleted' group by 1 order by 1;
select kind, data from qms.event where kind in ('queue.updated', 'branch.updated', 'queue.deleted') order by event_id limit 6;
