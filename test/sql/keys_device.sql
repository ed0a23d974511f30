-- devices: paired by a code, known by a key
\set SHOW_CONTEXT never
\set schema keys_device
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/try.sql'
\i :fixture
select organization_id from qms.create_organization('One');
select organization_id from qms.create_organization('Two');
select branch_id from qms.create_branch(1, 'North');
select branch_id from qms.create_branch(1, 'South');
select branch_id from qms.create_branch(2, 'Far');
select queue_id from qms.create_queue('N', 1);
select queue_id from qms.create_queue('S', 2);
select staff_id from qms.create_staff(1, 'nora', role => 'admin', branch_ids => '{1}');
select staff_id from qms.create_staff(1, 'rita', role => 'reception');
create role keys_web login noinherit;
grant qms_authenticator, qms_customer, qms_kiosk, qms_display, qms_admin, qms_reception to keys_web;
create function be(active text, sub text default null, org bigint default null) returns text language plpgsql as $$
begin
    perform set_config('role', 'none', false);
    perform set_config('request.jwt.claims', coalesce(jsonb_build_object('role', active, 'sub', sub, 'organization_id', org)::text, ''), false);
    perform set_config('role', active, false);
    return active;
end $$;
create function be_anybody() returns void language sql as $$ select set_config('role', 'none', false), set_config('request.jwt.claims', '', false); select set_config('role', 'qms_customer', false) $$;

-- made
\x on
select device_id, organization_id, branch_id, kind, name, pairing_code ~ '^[2-9A-HJ-NP-Z]{4}-[2-9A-HJ-NP-Z]{4}$' as is_a_code, pairing_expires_at, created_at
from qms.create_device(branch_id => 1, kind => 'kiosk', name => 'Door', request_id => '00000000-0000-0000-0000-000000000001');
select pairing_code as code from qms.create_device(1, 'kiosk', 'Door', '00000000-0000-0000-0000-000000000001') \gset
\x off
select pairing_code = :'code' as same_again from qms.create_device(1, 'kiosk', 'Door', '00000000-0000-0000-0000-000000000001');
select device_id, kind, prefix, paired_at, pairing_expires_at, last_seen_at, revoked_at from qms.devices;
select count(*) from qms_internal.device_secret s where strpos(s::text, replace(:'code', '-', '')) > 0;
select * from try($$select * from qms.create_device(1, 'kiosk', 'Door')$$);
select * from try($$select * from qms.create_device(1, 'toaster', 'Toaster')$$);
select sqlstate, says from try($$select * from qms.create_device(1, 'display', '')$$) limit 1;
select sqlstate, says from try($$select * from qms.create_device(99, 'display', 'x')$$) limit 1;
select sqlstate, says from try($$select * from qms.create_device(1, null, 'x')$$) limit 1;

-- paired by somebody without a name; dashes, spaces and small letters do not matter
set session authorization keys_web;
select be_anybody();
select * from qms.pair_device('AAAA-AAAA');
select * from qms.pair_device('0000-0000');
select * from qms.pair_device('x');
select sqlstate, says from try($$select * from qms.pair_device('')$$) limit 1;
select key as door, device_id, organization_id, branch_id, kind, name, error from qms.pair_device(' ' || lower(replace(:'code', '-', ' - ')), '00000000-0000-0000-0000-000000000002') \gset
\echo :device_id :organization_id :branch_id :kind :name :error
select :'door' ~ '^qmd_[2-9A-HJ-NP-Z]{8}_[A-Za-z0-9_-]{43}$' as is_a_key;
-- the code is used up; the same request answers the same
select error from qms.pair_device(:'code');
select key = :'door' as same_again from qms.pair_device(' ' || lower(replace(:'code', '-', ' - ')), '00000000-0000-0000-0000-000000000002');

-- a token for the key
select token_type, expires_in, role, subject, organization_id from qms.exchange_device_key(:'door');
select distinct sqlstate, says from (values ('x'), (:'door' || 'x'), ('qms' || substr(:'door', 4)), ('qmd_22222222_' || right(:'door', 43))) k (key),
    try(format('select * from qms.exchange_device_key(%L)', key)) where says !~ '^detail|^hint';
select sqlstate, says from try(format('select * from qms.authenticate_api_key(%L)', :'door')) limit 1;
-- what it may: tickets of its branch
select be('qms_kiosk', 'device:1', 1);
select kind, id, organization_id, branch_ids from qms.current_principal();
select number from qms.join_queue(1);
select sqlstate, says from try('select * from qms.join_queue(2)') limit 1;
select sqlstate, says from try('select * from qms.waiting_list(queue_id => 1)') limit 1;
select sqlstate, says from try($$select * from qms.create_device(1, 'kiosk', 'x')$$) limit 1;
select sqlstate from try('select * from qms.devices') limit 1;
select be_anybody();
reset session authorization;
select prefix = split_part(:'door', '_', 2) as prefix, paired_at, pairing_expires_at, last_seen_at from qms.devices where device_id = 1;

-- five wrong tries, of whoever knows the first half
select pairing_code as code from qms.create_device(1, 'display', 'Wall') \gset
set session authorization keys_web;
select be_anybody();
select error from generate_series(1, 4) n, qms.pair_device(left(:'code', 4) || case when right(:'code', 4) = 'AAAA' then 'BBBB' else 'AAAA' end || repeat(' ', n));
reset session authorization;
select code_attempts from qms_internal.device_secret where device_id = 2;
-- the fifth is the last; a right one after it is of no use
begin;
select error is null as paired from qms.pair_device(:'code');
rollback;
select error from qms.pair_device(left(:'code', 4) || case when right(:'code', 4) = 'AAAA' then 'BBBB' else 'AAAA' end);
select error from qms.pair_device(:'code');
-- and tries that are rolled back count too, where there is shared memory
do $$ begin for i in 1..9 loop begin perform qms.pair_device((select code_prefix || 'AAAA' from qms_internal.device_secret where device_id = 2)); raise exception 'x'; exception when raise_exception or sqlstate 'QM220' then null; end; end loop; end $$;
select * from try($$select * from qms.pair_device((select code_prefix || 'AAAA' from qms_internal.device_secret where device_id = 2))$$);

-- another code; ten minutes and no longer
set qms.mock_now = '2030-01-07 10:00+00';
select device_id, kind, name, pairing_expires_at from qms.renew_pairing_code(2);
select pairing_code as code from qms.renew_pairing_code(2) \gset
set qms.mock_now = '2030-01-07 10:10:00+00';
select error from qms.pair_device(:'code');
select pairing_code as code from qms.renew_pairing_code(2) \gset
set qms.mock_now = '2030-01-07 10:19:59+00';
select key as wall, kind from qms.pair_device(:'code') \gset
select role, subject from qms.exchange_device_key(:'wall');
-- another machine takes its place: the old key goes when the new one comes
select pairing_code as code from qms.renew_pairing_code(2) \gset
select subject from qms.exchange_device_key(:'wall');
select key as wall2 from qms.pair_device(:'code') \gset
select sqlstate, says from try(format('select * from qms.exchange_device_key(%L)', :'wall')) limit 1;
select subject from qms.exchange_device_key(:'wall2');
-- how long its token is good for
select organization_id from qms.update_organization(1, settings => '{"device_token_life": "12 h"}');
select expires_in from qms.exchange_device_key(:'wall2');
-- a speaker reads what a display reads
select pairing_code as code from qms.create_device(1, 'speaker', 'Voice') \gset
select key as voice from qms.pair_device(:'code') \gset
select role, subject from qms.exchange_device_key(:'voice');

-- who may: administrators of the branch
set session authorization keys_web;
select be('qms_admin', 'staff:1', 1);
select kind, name from qms.create_device(1, 'kiosk', 'Nora''s');
select sqlstate, says from try($$select * from qms.create_device(2, 'kiosk', 'x')$$) limit 1;
select sqlstate, says from try($$select * from qms.create_device(3, 'kiosk', 'x')$$) limit 1;
select count(*) as seen from qms.devices;
select count(*) as rows from qms.device;
select be('qms_reception', 'staff:2', 1);
select sqlstate, says from try($$select * from qms.create_device(1, 'kiosk', 'x')$$) limit 1;
select count(*) as seen from qms.devices;
select be('qms_display', 'device:2', 1);
select kind, id, branch_ids from qms.current_principal();
select sqlstate, says from try('select * from qms.join_queue(1)') limit 1;
reset session authorization;

-- revoked: its key, its code, its tokens
select device_id, revoked_at from qms.revoke_device(2);
set qms.mock_now = '2030-01-07 10:30+00';
select device_id, revoked_at from qms.revoke_device(2);
set session authorization keys_web;
select * from try('select * from qms.current_principal()');
reset session authorization;
select sqlstate, says from try(format('select * from qms.exchange_device_key(%L)', :'wall2')) limit 1;
select sqlstate, says from try('select * from qms.renew_pairing_code(2)') limit 1;
select count(*) as secrets from qms_internal.device_secret where device_id = 2;
select sqlstate, says from try('select * from qms.revoke_device(99)') limit 1;
-- a device of a branch that is deleted is none
select state from qms.cancel_ticket(1);
select queue_id from qms.delete_queue(1);
select branch_id from qms.delete_branch(1);
select sqlstate, says from try(format('select * from qms.exchange_device_key(%L)', :'door')) limit 1;
select kind, branch_id, actor_kind, jsonb_strip_nulls(data #- '{values,prefix}') from qms.event where kind ~ 'device' order by event_id;
drop owned by keys_web;
drop role keys_web;
set search_path to default;
drop schema keys_device cascade;
