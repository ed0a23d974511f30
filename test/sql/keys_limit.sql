-- rate limits: who is counted by what, and where people are
\set SHOW_CONTEXT never
\set schema keys_limit
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/try.sql'
\i :fixture
-- how many of so many calls are let through
create function passes(n int, statement text) returns text language plpgsql as $$
declare
    passed int = 0; state text = '';
begin
    for i in 1..n loop
        begin
            execute replace(statement, '%', i::text);
            passed := passed + 1;
        exception when others then
            state := ' then ' || sqlstate || ' ' || sqlerrm;
        end;
    end loop;
    return passed || ' of ' || n || state;
end $$;
create function at_address(address text) returns text language sql as $$ select set_config('qms.client_address', address, false) $$;
select organization_id from qms.create_organization('One', settings => '{"limit_join_subject": "3/h", "limit_join_address": "5 / 10 min", "limit_create": "off", "colour": "blue"}');
select organization_id from qms.create_organization('Two');
select branch_id from qms.create_branch(1, 'Main', networks => '{192.0.2.0/24, 2001:db8:1::/48}');
select branch_id from qms.create_branch(2, 'Far');
select queue_id from qms.create_queue('A', 1);
select queue_id from qms.create_queue('F', 2);
select staff_id from qms.create_staff(1, 'rita', role => 'reception');
select application_id from qms.create_application(1, 'Shop');
select device_id from qms.create_device(1, 'kiosk', 'Door');
create role keys_web login;
grant qms_authenticator, qms_customer, qms_kiosk, qms_reception, qms_app to keys_web;
create role keys_plain login;
grant qms_customer to keys_plain;
select kind from qms.bind_role('keys_plain', 1, 'customer');
create function be(active text, sub text default null, org bigint default null) returns text language plpgsql as $$
begin
    perform set_config('role', 'none', false);
    perform set_config('request.jwt.claims', case when sub is null then '' else jsonb_build_object('role', active, 'sub', sub, 'organization_id', org)::text end, false);
    perform set_config('role', active, false);
    return active;
end $$;

-- settings
select key, kind, default_value, applies_to from qms.organization_setting_keys() where key ~ 'limit';
select sqlstate, says from unnest('{3,0/h,-1/h,3/,/h,3/0 s,3/2 mon,3/40 days,1000001/h,3/h/h,3 h,x,1e3/h,3/never}'::text[]) v,
    try(format('select * from qms.update_organization(1, settings => %L)', jsonb_build_object('limit_staff', v))) where says !~ '^detail|^hint';
select * from try($$select * from qms.update_organization(1, settings => '{"limit_staff": 3}')$$);
select * from try($$select * from qms.update_organization(1, settings => '{"limit_stuff": "3/h"}')$$);
select settings from qms.update_organization(1, settings => '{"limit_staff": "4/2 min", "limit_application": "7/min", "limit_device": "2/s", "colour": null}');

-- a customer, by subject: three at once, then one every twenty minutes
set session authorization keys_web;
select be('qms_customer');
select at_address('');
select passes(5, $$select * from qms.join_queue(1, subject => 'ann')$$);
select * from try($$select * from qms.join_queue(1, subject => 'ann')$$);
select passes(1, $$select * from qms.join_queue(1, subject => 'bob')$$);
select passes(30, $$select * from qms.join_queue(1)$$);
reset session authorization;
set qms.mock_now = '2030-01-07 09:19:59+00';
set session authorization keys_web;
select sqlstate, says from try($$select * from qms.join_queue(1, subject => 'ann')$$);
reset session authorization;
set qms.mock_now = '2030-01-07 09:20:00+00';
set session authorization keys_web;
select passes(2, $$select * from qms.join_queue(1, subject => 'ann')$$);
reset session authorization;
-- a limit is of one organization
set session authorization keys_web;
select passes(4, $$select * from qms.join_queue(2, subject => 'ann')$$);
reset session authorization;
set qms.mock_now = '2030-01-07 11:00:00+00';
set session authorization keys_web;
select passes(5, $$select * from qms.join_queue(1, subject => 'ann')$$);

-- by address; the same network of an IPv6 address is one, and ::ffff: is IPv4
select at_address('198.51.100.7');
select passes(7, $$select * from qms.join_queue(1, subject => 's%')$$);
select at_address('::ffff:198.51.100.7');
select passes(1, $$select * from qms.join_queue(1)$$);
select at_address('198.51.100.8');
select passes(7, $$select * from qms.join_queue(1)$$);
select at_address('2001:db8:2:3::1');
select passes(3, $$select * from qms.join_queue(1)$$);
select at_address('2001:db8:2:3:ffff::2');
select passes(4, $$select * from qms.join_queue(1)$$);
select at_address('2001:db8:2:4::1');
select passes(1, $$select * from qms.join_queue(1)$$);
-- nobody is counted by an address within a branch, by a nonsensical one, or by none
select at_address('192.0.2.200');
select passes(30, $$select * from qms.join_queue(1)$$);
select at_address('2001:db8:1:7::1');
select passes(30, $$select * from qms.join_queue(1)$$);
select at_address('nowhere');
select passes(30, $$select * from qms.join_queue(1)$$);
-- but that branch is not of the other organization
select at_address('192.0.2.200');
select passes(30, $$select * from qms.join_queue(2)$$);
-- what is taken stays taken
select at_address('198.51.100.9');
begin;
select passes(5, $$select * from qms.join_queue(1)$$);
rollback;
select passes(1, $$select * from qms.join_queue(1)$$);
-- a repeated request is answered, not counted
select at_address('198.51.100.10');
select count(*) from (select number from generate_series(1, 9) n, qms.join_queue(1, request_id => ('00000000-0000-0000-0000-000000000001')::uuid, language => left('de', n + 2))) x;
select passes(5, $$select * from qms.join_queue(1)$$);
reset session authorization;

-- new tickets, by subject or else by address
select organization_id from qms.update_organization(1, settings => '{"limit_create": "2/15 min", "limit_join_subject": null, "limit_join_address": null}');
set session authorization keys_web;
select at_address('198.51.100.11');
select passes(9, $$select * from qms.join_queue(1, subject => 'cat')$$);
select passes(9, $$select * from qms.join_queue(1)$$);
select passes(1, $$select * from qms.join_queue(1, subject => 'dog')$$);
select at_address('');

-- those who are known are counted by themselves, wherever they are
select be('qms_reception', 'staff:1', 1);
select at_address('198.51.100.12');
select passes(6, $$select * from qms.join_queue(1, subject => 'x%')$$);
select be('qms_kiosk', 'device:1', 1);
select passes(4, $$select * from qms.join_queue(1)$$);
reset session authorization;
select key as key from qms.create_api_key(1, 'web', '{1}') \gset
create function request(key text) returns text language plpgsql as $$
begin
    perform set_config('role', 'none', true), set_config('request.jwt.claims', '', true);
    perform set_config('role', 'qms_customer', true), set_config('request.headers', json_build_object('x-api-key', key)::text, true);
    perform qms.pre_request();
    return current_user;
end $$;
set session authorization keys_web;
begin;
select request(:'key');
select passes(9, $$select * from qms.join_queue(1, priority => 3)$$);
commit;
reset session authorization;
-- who acts directly is not
select passes(20, $$select * from qms.join_queue(1)$$);

-- where people are
select set_config('request.headers', '{"x-forwarded-for": "203.0.113.9"}', false);
select at_address('203.0.113.1');
select qms.my_address() as superuser;
set session authorization keys_plain;
select qms.my_address() as plain;
reset session authorization;
set session authorization keys_web;
select be('qms_customer');
select qms.my_address() as said_by_gateway;
select at_address('');
select qms.my_address() as no_trusted_proxy;
reset session authorization;
set qms.trusted_proxies = '10.0.0.0/8';
set session authorization keys_web;
select qms.my_address() as connection_is_not_trusted;
reset session authorization;
set qms.trusted_proxies = 'local, 10.0.0.0/8, 2001:db8:ffff::/48';
create function forwarded(list text) returns inet language sql as $$
    select set_config('request.headers', json_build_object('x-forwarded-for', list)::text, true); select qms.my_address() $$;
set session authorization keys_web;
select list, forwarded(list) from unnest(array['203.0.113.9', 'spoofed, 203.0.113.9', '1.2.3.4, 203.0.113.9 , 10.1.2.3,10.0.0.1', '203.0.113.9:51234', '2001:db8::7', '[2001:db8::7]:443, 10.0.0.1',
    '1.2.3.4, 2001:db8::7, 2001:db8:ffff::1', '::ffff:203.0.113.9', 'fe80::1%eth0', '10.0.0.1, 10.0.0.2', '203.0.113.9, unknown, 10.0.0.1', '203.0.113.9,', '', ',', '203.0.113.0/24', 'x', '999.1.1.1', repeat('1', 100)]) list;
select forwarded(null) as no_header;
select set_config('request.headers', '', false), qms.my_address() as no_headers;
select * from try($$set qms.trusted_proxies = '0.0.0.0/0'$$);
reset session authorization;
-- what cannot be set
select sqlstate, says from unnest(array['10.0.0.0/33', 'localhost', '10.0.0.0/8 11.0.0.0/8', '"']) v, try(format('set qms.trusted_proxies = %L', v)) where says !~ '^hint';
reset qms.trusted_proxies;

-- PostgREST gets a status and a header of it
select settings ->> 'limit_join_subject' as limit from qms.update_organization(1, settings => '{"limit_join_subject": "2/h"}');
set session authorization keys_web;
select be('qms_customer');
select set_config('request.method', 'POST', false);
select passes(2, $$select * from qms.join_queue(1, subject => 'eve')$$);
select sqlstate, says::jsonb from try($$select * from qms.join_queue(1, subject => 'eve')$$) where sqlstate <> '';
select replace(says, 'detail: ', '')::jsonb as head from try($$select * from qms.join_queue(1, subject => 'eve')$$) where says ~ '^detail';
select sqlstate, says::jsonb from try($$select * from qms.exchange_api_key('x')$$) where sqlstate <> '';
select replace(says, 'detail: ', '')::jsonb as head from try($$select * from qms.exchange_api_key('x')$$) where says ~ '^detail';
begin;
select error, current_setting('response.status') as status from qms.pair_device('AAAA-AAAA');
commit;
-- in a session that is not PostgREST's it is the error itself
reset session authorization;
select sqlstate from try($$select * from qms.exchange_api_key('x')$$) limit 1;
select set_config('request.method', '', false);

-- a clock that is set back makes no bucket of the future count
set qms.mock_now = '2029-01-07 09:00+00';
set session authorization keys_web;
select passes(2, $$select * from qms.join_queue(1, subject => 'eve')$$);
reset session authorization;
drop owned by keys_web, keys_plain;
drop role keys_web, keys_plain;
set search_path to default;
drop schema keys_limit cascade;
