-- API keys: shown once, narrowed, rotated, revoked; and what they open
\set SHOW_CONTEXT never
\set schema keys_api
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/try.sql'
\i :fixture
select organization_id from qms.create_organization('One');
select organization_id from qms.create_organization('Two');
select application_id from qms.create_application(1, 'Shop');
select application_id from qms.create_application(1, 'Fair');
select application_id from qms.create_application(2, 'Other');
select branch_id from qms.create_branch(1, 'Main');
select branch_id from qms.create_branch(2, 'Far');
select queue_id from qms.create_queue('A', 1);
select queue_id from qms.create_queue('B', 1);
select queue_id from qms.create_queue('F', 2);
select queue_id from qms.create_queue('Room', application_id => 1, kind => 'release');
select queue_id from qms.create_queue('Fair room', application_id => 2, kind => 'release');
select staff_id from qms.create_staff(1, 'anna', role => 'admin');
select staff_id from qms.create_staff(1, 'bea', role => 'admin', branch_ids => '{1}');
select staff_id from qms.create_staff(1, 'abby', role => 'app_admin', application_ids => '{1}');
select staff_id from qms.create_staff(2, 'otto', role => 'admin');
create role keys_web login noinherit;
grant qms_authenticator, qms_customer, qms_app, qms_admin, qms_app_admin to keys_web;
create role keys_plain login;
grant qms_customer to keys_plain;

-- made, and shown once
\x on
select api_key_id, organization_id, application_id, name, queue_ids, functions, expires_at, previous_expires_at, created_at,
    key ~ '^qms_[2-9A-HJ-NP-Z]{8}_[A-Za-z0-9_-]{43}$' as is_a_key, key like 'qms\_' || prefix || '\_%' as begins_with_prefix
from qms.create_api_key(application_id => 1, name => 'web', queue_ids => '{1,4}', functions => '{join_queue,ticket_status,current_principal}', expires_in => '1 year 1 month', request_id => '00000000-0000-0000-0000-000000000001');
\x off
select key as web from qms.create_api_key(1, 'web', '{1,4}', '{join_queue,ticket_status,current_principal}', '1 year 1 month', '00000000-0000-0000-0000-000000000001') \gset
select key as whole from qms.create_api_key(1, 'whole', request_id => '00000000-0000-0000-0000-000000000002') \gset
select key = :'whole' as same_again, api_key_id from qms.create_api_key(1, 'whole', request_id => '00000000-0000-0000-0000-000000000002');
-- neither the key nor its second half is anywhere, and the hash is that of the whole
select count(*) as keys, bool_and(length(key_hash) = 32) as hashed from qms_internal.api_key_secret;
select key_hash = sha256(convert_to(:'web', 'UTF8')) as is_sha256 from qms_internal.api_key_secret where prefix = split_part(:'web', '_', 2);
create function leaks(secret text) returns text language plpgsql as $$
declare
    t regclass; n int; found text = 'nowhere';
begin
    for t in select c.oid::regclass from pg_class c where c.relkind = 'r' and c.relnamespace in ('qms'::regnamespace, 'qms_internal'::regnamespace) loop
        execute format('select count(*) from %s x where strpos(x::text, $1) > 0', t) into n using secret;
        if n > 0 then found := t::text; end if;
    end loop;
    return found;
end $$;
select leaks(:'web') as whole, leaks(right(:'web', 43)) as secret;
-- the seed is in the stored answer only, and only where there was a request_id
select function, answer[6] ~ '^0:1:[0-9a-f]{64}$' as has_seed from qms_internal.request order by created_at, request_id;
-- when the key of the server has gone there is nothing to make it from
begin;
update qms_internal.signing_key set kid = 9 where purpose = 'ticket_token';
select key is null as gone, prefix is not null as known from qms.create_api_key(1, 'whole', request_id => '00000000-0000-0000-0000-000000000002');
rollback;

-- what cannot be
select * from try($$select * from qms.create_api_key(1, 'web')$$);
select * from try($$select * from qms.create_api_key(1, '')$$);
select * from try($$select * from qms.create_api_key(1, '  ')$$);
select * from try($$select * from qms.create_api_key(1, E'a\nb')$$);
select * from try($$select * from qms.create_api_key(1, 'x', '{}')$$);
select * from try($$select * from qms.create_api_key(1, 'x', '{1,null}')$$);
select * from try($$select * from qms.create_api_key(1, 'x', '{3}')$$);
select * from try($$select * from qms.create_api_key(1, 'x', '{99}')$$);
select * from try($$select * from qms.create_api_key(1, 'x', functions => '{join_queue,create_branch}')$$);
select * from try($$select * from qms.create_api_key(1, 'x', functions => '{"join_queue; drop table qms.ticket"}')$$);
select * from try($$select * from qms.create_api_key(1, 'x', functions => '{}')$$);
select * from try($$select * from qms.create_api_key(1, 'x', expires_in => '0')$$);
select * from try($$select * from qms.create_api_key(1, 'x', expires_in => '-1 day')$$);
select * from try($$select * from qms.create_api_key(99, 'x')$$);
select * from try($$select * from qms.create_api_key(null, 'x')$$);

-- whose key is it
select * from qms.authenticate_api_key(:'web');
-- one error for all others
select * from try($$select * from qms.authenticate_api_key('')$$);
select * from try($$select * from qms.authenticate_api_key('nonsense')$$);
select distinct sqlstate, says from (values
    (:'web' || 'x'), (left(:'web', -1)), (left(:'web', -1) || case when right(:'web', 1) = 'A' then 'B' else 'A' end), (upper(:'web')),
    ('qmd' || substr(:'web', 4)), ('qms_22222222_' || right(:'web', 43)), (overlay(:'web' placing '-' from 13)), (' ' || :'web'), (repeat('qms_', 1000))) k (key),
    try(format('select * from qms.authenticate_api_key(%L)', key)) where says !~ '^detail|^hint';

-- a token for it
select token_type, expires_in, expires_at, role, subject, organization_id from qms.exchange_api_key(:'web');
select access_token as jwt from qms.exchange_api_key(:'web') \gset
create function claims(token text) returns jsonb language sql as $$
    select convert_from(decode(rpad(translate(split_part(token, '.', 2), '-_', '+/'), (length(split_part(token, '.', 2)) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb $$;
select claims(:'jwt') - 'jti' as claims, length(claims(:'jwt') ->> 'jti') as jti;
select organization_id from qms.update_organization(1, settings => '{"api_token_life": "1 min"}');
select expires_in from qms.exchange_api_key(:'web');
select * from try($$select * from qms.update_organization(1, settings => '{"api_token_life": "1 s"}')$$);
select * from try($$select * from qms.update_organization(1, settings => '{"api_tokenlife": "1 min"}')$$);

-- as a request of PostgREST: the header, then whatever the key is for
create function request(header text, claims text default '') returns text language plpgsql as $$
begin
    perform set_config('request.headers', header, true);
    perform set_config('request.jwt.claims', claims, true);
    perform set_config('role', 'qms_customer', true);
    perform qms.pre_request();
    return current_user || ' ' || (select concat_ws(' ', kind, id, role, queue_ids) from qms.current_principal());
end $$;
create function header(key text) returns text language sql as $$ select json_build_object('accept', '*/*', 'x-api-key', key)::text $$;
set session authorization keys_web;
begin; select request(header(:'web')), current_setting('request.jwt.claims')::jsonb - 'jti' as claims; commit;
select current_user, coalesce(current_setting('request.jwt.claims', true), '') as claims;
begin; select request(header(:'whole')); commit;
begin; select request('{"accept": "*/*"}'); commit;
begin; select request('{"x-api-key": ""}'); commit;
begin; select request(''); commit;
begin; select request('[]'); commit;
select * from try(format('select request(header(%L))', :'web' || 'x'));
select * from try(format('select request(header(%L), %L)', :'web', '{"role": "qms_customer", "sub": "staff:1", "organization_id": 1}'));
begin; select request(header(:'web'), '{"role": "qms_customer"}'); commit;
-- the queues of the key: A of the branch and the waiting room, not B
begin;
select request(header(:'web'));
select * from try('select * from qms.join_queue(1)');
select * from try('select * from qms.join_queue(2)');
select * from try('select * from qms.join_queue(4)');
select * from try('select * from qms.join_queue(5)');
select * from try('select * from qms.join_queue(3)');
-- and its functions
select sqlstate, says from try('select * from qms.queue_status(1)') where says !~ '^hint';
select sqlstate, says from try('select * from qms.create_branch(1, $$x$$)') where says !~ '^detail|^hint';
rollback;
-- a key without scopes: all of the application's own, nothing of a branch
begin;
select request(header(:'whole'));
select * from try('select * from qms.join_queue(4)');
select sqlstate, says from try('select * from qms.join_queue(1)') where says !~ '^hint';
select * from try('select * from qms.queue_status(4)');
rollback;
reset session authorization;
-- in a session that does not speak for others the header is nothing
set session authorization keys_plain;
begin;
select set_config('request.headers', header(:'web'), true) is not null as said;
select qms.pre_request();
select current_user;
rollback;
reset session authorization;
-- nor inside a function that runs as somebody else
create function definer() returns void language sql security definer as 'select qms.pre_request()';
begin;
set local session authorization keys_web;
select set_config('request.headers', header(:'web'), true) is not null as said;
select * from try('select definer()');
rollback;
-- a login that may not become qms_app is told so
revoke qms_app from keys_web;
set session authorization keys_web;
select * from try(format('select request(header(%L))', :'web'));
reset session authorization;
grant qms_app to keys_web;

-- rotated: the old key for a while yet
\x on
select api_key_id, name, queue_ids, functions, expires_at, previous_expires_at, created_at from qms.rotate_api_key(api_key_id => 1, overlap => '2 days', expires_in => null, request_id => '00000000-0000-0000-0000-000000000003');
select key as web2 from qms.rotate_api_key(1, '2 days', null, '00000000-0000-0000-0000-000000000003') \gset
select application_name, name, prefix = split_part(:'web2', '_', 2) as new, previous_prefix = split_part(:'web', '_', 2) as old, previous_expires_at, revoked_at, last_used_at, updated_at from qms.api_keys where api_key_id = 1;
\x off
select a.api_key_id as old, a.expires_at, b.api_key_id as new, b.expires_at from qms.authenticate_api_key(:'web') a, qms.authenticate_api_key(:'web2') b;
set qms.mock_now = '2030-01-09 09:00+00';
select sqlstate from try(format('select * from qms.authenticate_api_key(%L)', :'web')) limit 1;
select api_key_id from qms.authenticate_api_key(:'web2');
-- once more, at once: none before it is let in
select key as web3, previous_expires_at from qms.rotate_api_key(1, '0') \gset
select sqlstate from try(format('select * from qms.authenticate_api_key(%L)', :'web2')) limit 1;
select count(*) as secrets from qms_internal.api_key_secret where api_key_id = 1;
select sqlstate, says from try($$select * from qms.rotate_api_key(1, '91 days')$$);
select sqlstate, says from try($$select * from qms.rotate_api_key(1, '-1 s')$$);
-- expired, and good again with a new expiry
set qms.mock_now = '2031-02-07 09:00+00';
select sqlstate from try(format('select * from qms.authenticate_api_key(%L)', :'web3')) limit 1;
select sqlstate, says from try($$select * from qms.rotate_api_key(1)$$);
select key as web4, expires_at from qms.rotate_api_key(1, '1 h', '1 week') \gset
select a.expires_at as old, b.expires_at as new from qms.authenticate_api_key(:'web3') a, qms.authenticate_api_key(:'web4') b;
-- a token never lives longer than its key
set qms.mock_now = '2031-02-14 08:59:30+00';
select expires_in from qms.exchange_api_key(:'web4');

-- revoked: also for whoever is at work with it
set qms.mock_now = '2031-02-08 09:00+00';
select claims(access_token)::text as token from qms.exchange_api_key(:'web4') \gset
set session authorization keys_web;
begin; select set_config('request.jwt.claims', :'token', false) is not null as token; set local role qms_app; select kind, id from qms.current_principal(); commit;
reset session authorization;
select api_key_id, revoked_at, previous_prefix from qms.revoke_api_key(1);
select api_key_id, revoked_at from qms.revoke_api_key(1);
set session authorization keys_web;
begin; set local role qms_app; select * from try('select * from qms.current_principal()'); commit;
select set_config('request.jwt.claims', '', false);
reset session authorization;
select sqlstate, says from try(format('select * from qms.authenticate_api_key(%L)', :'web4'));
select sqlstate, says from try($$select * from qms.rotate_api_key(1)$$) limit 1;
select count(*) as secrets from qms_internal.api_key_secret where api_key_id = 1;
-- its name is free again
select api_key_id from qms.create_api_key(1, 'web');

-- who may: administrators of the organization, and of the application for its own queues
create function be(active text, sub text, org bigint) returns text language plpgsql as $$
begin
    perform set_config('role', 'none', false);
    perform set_config('request.jwt.claims', jsonb_build_object('role', active, 'sub', sub, 'organization_id', org)::text, false);
    perform set_config('role', active, false);
    return active;
end $$;
set session authorization keys_web;
select be('qms_admin', 'staff:1', 1);
select name from qms.create_api_key(1, 'by anna', '{1}');
select count(*) as seen from qms.api_keys;
select count(*) as rows from qms.api_key;
select sqlstate, says from try($$select * from qms.create_api_key(3, 'x')$$) limit 1;
select be('qms_admin', 'staff:2', 1);
select sqlstate, says from try($$select * from qms.create_api_key(1, 'by bea')$$) limit 1;
select count(*) as seen from qms.api_keys;
select be('qms_app_admin', 'staff:3', 1);
select name from qms.create_api_key(1, 'by abby', '{4}');
select sqlstate, says from try($$select * from qms.create_api_key(1, 'x', '{1}')$$) limit 1;
select sqlstate, says from try($$select * from qms.create_api_key(1, 'x', '{5}')$$) limit 1;
select sqlstate, says from try($$select * from qms.create_api_key(2, 'x')$$) limit 1;
select count(*) as seen from qms.api_keys;
select be('qms_admin', 'staff:4', 2);
select sqlstate, says from try($$select * from qms.rotate_api_key(2)$$) limit 1;
select sqlstate, says from try($$select * from qms.revoke_api_key(2)$$) limit 1;
select count(*) as seen from qms.api_keys;
select be('qms_app', 'application:1', 1);
select sqlstate, says from try($$select * from qms.create_api_key(1, 'x')$$) limit 1;
select sqlstate from try($$select * from qms_internal.api_key_claims('x')$$) limit 1;
select sqlstate from try($$select * from qms_internal.api_key_secret$$) limit 1;
select set_config('role', 'none', false), set_config('request.jwt.claims', '', false);
reset session authorization;

-- an application that is deleted has no keys
select api_key_id as fair, key as fair_key from qms.create_api_key(2, 'fair') \gset
select queue_id from qms.delete_queue(5);
select application_id from qms.delete_application(2);
select sqlstate from try(format('select * from qms.authenticate_api_key(%L)', :'fair_key')) limit 1;
select count(*) as listed from qms.api_keys where application_id = 2;

-- used last: written down where no scheduler does it, once a minute
select seen_at from qms_internal.last_seen where kind = 'api_key' and id = 2;
select api_key_id from qms.authenticate_api_key(:'whole');
select last_used_at from qms.api_keys where api_key_id = 2;
set qms.mock_now = '2031-02-08 09:00:59+00';
select api_key_id from qms.authenticate_api_key(:'whole');
select last_used_at from qms.api_keys where api_key_id = 2;
set qms.mock_now = '2031-02-08 09:01:01+00';
select api_key_id from qms.authenticate_api_key(:'whole');
select last_used_at from qms.api_keys where api_key_id = 2;
begin read only;
set local qms.mock_now = '2031-02-08 10:00+00';
select api_key_id from qms.authenticate_api_key(:'whole');
commit;

-- the log
select kind, application_id, actor_kind, actor_id, jsonb_pretty(data #- '{values,prefix}' #- '{values,previous_prefix}') from qms.event where kind ~ 'api_key' order by event_id limit 4;
select kind, count(*) from qms.event where kind ~ 'api_key' group by kind order by kind;
drop owned by keys_web, keys_plain;
drop role keys_web, keys_plain;
set search_path to default;
drop schema keys_api cascade;
