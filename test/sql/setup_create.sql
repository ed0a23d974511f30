-- set-up: every create function once, by named arguments and with its defaults
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
\x on
select * from qms.create_organization(name => '  Stadt Köln ', slug => 'koeln', time_zone => 'Europe/Berlin', settings => '{"a": 1}', names => '{"en": "City of Cologne"}');
select * from qms.create_branch(organization_id => 1, name => 'Bürgeramt Süd', time_zone => 'Europe/Paris', slug => 'sued', names => '{"pt-BR": "Sul", "zh-Hant-TW": "南"}', networks => '{192.0.2.0/24}', settings => '{}');
select * from qms.create_zone(branch_id => 1, name => 'Halle', names => '{}');
select * from qms.create_service(organization_id => 1, name => 'Pässe', expected_duration => '10 min', code => 'PASS', credit => '5 min', requires_skill => '{passport}', slug => 'passports', names => '{}');
select * from qms.create_queue(name => 'Pässe', branch_id => 1, application_id => null, kind => 'counter', prefix => 'p', settings => '{"max_number": 99, "recall_gap": "90 s", "wrap": null}', slug => 'q', names => '{}', release_pool_id => null);
select * from qms.offer_service(branch_id => 1, service_id => 1, queue_id => 1, requires_skill => '{french}', is_default => true);
select * from qms.create_application(organization_id => 1, name => 'Shop', allowed_origins => '{https://shop.example:8443}', settings => '{}', names => '{}');
select * from qms.create_release_pool(application_id => 1, rate => '30/min', max_active => 100);
select * from qms.create_queue(name => 'Tickets', application_id => 1, kind => 'release', settings => '{"opens_at": "2030-01-31 10:00+01", "token_life": 600}', release_pool_id => 1);
select * from qms.create_counter(branch_id => 1, name => 'Schalter 1', queue_ids => '{1}', zone_id => 1, slug => 's1', names => '{}');
select * from qms.create_customer_class(organization_id => 1, name => 'vip', credit => '10 min', self_service => false, names => '{}');
select * from qms.create_counter_profile(branch_id => 1, name => 'mixed', policy => 'ratio', sources => '[{"queue_id": 1, "weight": 2.5}]', blind => true, auto_call => true);
select * from qms.create_staff(organization_id => 1, username => 'anna', display_name => 'Anna B.', role => 'reception', skills => '{passport,french}', branch_ids => '{1}', permissions => '{"grant": ["ticket.cancel:self"]}');
select * from qms.set_opening_hours(hours => '{"mon": [["13:00", "18:00"], ["08:00", "12:00"]]}', branch_id => 1, queue_id => null);
select * from qms.add_closure(branch_id => 1, during => '[2030-12-24 12:00, 2030-12-27 00:00)', reason => 'Weihnachten');
\x off
-- defaults
select name, slug, time_zone, settings, names from qms.create_organization('Second');
select name, slug, time_zone, networks, settings from qms.create_branch(1, 'Nord');
select code, expected_duration, credit, requires_skill, slug from qms.create_service(1, 'Ausweis');
select is_default, requires_skill from qms.offer_service(1, 2, 1);
select allowed_origins, settings from qms.create_application(1, 'Other');
select rate, max_active from qms.create_release_pool(1, '5/s', null);
select kind, prefix, status, settings, by_class from qms.create_queue('Ausweise', 1);
select kind, prefix, status, settings from qms.create_queue('Room', application_id => 1, kind => 'release');
select queue_ids, zone_id, slug from qms.create_counter(1, 'Schalter 1', '{}');
select policy, sources, blind, auto_call from qms.create_counter_profile(1, 'plain');
select credit, self_service from qms.create_customer_class(1, 'late', '-00:05');
select username, display_name, role, skills, branch_ids, permissions from qms.create_staff(1, 'bert');
-- null where a default stands is the default as well
select settings, names from qms.create_organization('Third', settings => null, names => null);
select queue_ids from qms.create_counter(1, 'X', '{1}', names => null);
-- each organization has its regular class; the first one marked the database; one key for tokens
select organization_id, name, credit, self_service from qms.customer_class where name = 'regular' order by 1;
select system_identifier = (select system_identifier from pg_control_system()) as this_cluster,
    database_oid = (select oid from pg_database where datname = current_database()) as this_database from qms_internal.instance;
select purpose, count(*) from qms_internal.signing_key where purpose in ('ticket_token', 'seal', 'seal_index') group by purpose order by purpose;

-- slugs
select slug from unnest(array['Ämter & Öffentlichkeit', 'Crème brûlée!', 'L''été', 'Łódź', 'مكتب', '***', 'A  --  B', 'ß', 'Straße 7/8']) with ordinality n(name, i),
    lateral (select slug from qms.create_service(1, n.name)) s order by i;
select slug from generate_series(1, 3) i, lateral (select slug from qms.create_queue('Same' || left(i::text, 0), 2)) s;
select slug = 'x-' || repeat('a', 48) as cut from qms.create_service(1, 'x ' || repeat('a', 150));
-- prefixes: the next free one of the branch
select string_agg(prefix, ' ' order by i) from generate_series(1, 25) i, lateral (select prefix from qms.create_queue('Q' || i, 2)) q;
select prefix from qms.create_queue('Q', 2, prefix => '');
select prefix from qms.create_queue('Q', 2, prefix => 'vip');
select prefix from qms.create_queue('Q', 1);

-- one event for each
select kind, count(*) from qms.event group by 1 order by 1;
select kind, organization_id, branch_id, queue_id, counter_id, actor_kind, at, data from qms.event where kind in ('queue.created', 'counter.created', 'branch.updated', 'closure.created') order by event_id limit 6;

-- request_id: one effect, one answer; other arguments are refused
select queue_id, prefix, slug from qms.create_queue('Once', 2, request_id => '00000000-0000-0000-0000-000000000001');
select queue_id, prefix, slug from qms.create_queue('Once', 2, request_id => '00000000-0000-0000-0000-000000000001');
select * from pg_temp.try($$select * from qms.create_queue('Twice', 2, request_id => '00000000-0000-0000-0000-000000000001')$$);
select count(*) from qms.queue where name = 'Once';
select organization_id from qms.create_organization('Once', request_id => '00000000-0000-0000-0000-000000000002');
select organization_id from qms.create_organization('Once', request_id => '00000000-0000-0000-0000-000000000002');
select * from qms.set_opening_hours('{"mon": [["08:00", "12:00"], ["13:00", "18:00"]]}', 2, request_id => '00000000-0000-0000-0000-000000000003');
select * from qms.set_opening_hours('{"mon": [["08:00", "12:00"], ["13:00", "18:00"]]}', 2, request_id => '00000000-0000-0000-0000-000000000003');
select qms.set_opening_hours('{"tue": [["08:00", "12:00"], ["13:00", "18:00"]]}', 2, request_id => '00000000-0000-0000-0000-000000000004');
select count(*) from qms.set_opening_hours(null, 2, request_id => '00000000-0000-0000-0000-000000000005');
select count(*) from qms.set_opening_hours(null, 2, request_id => '00000000-0000-0000-0000-000000000005');
