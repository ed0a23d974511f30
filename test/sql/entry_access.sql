-- Letting people in: claim, verify, finish, revoke; who may; keys of an organization
\set SHOW_CONTEXT never
\set schema entry_access
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/try.sql'
\i :fixture
-- What a token says, without looking at its signature.
create function says(token text, part int) returns jsonb language sql as $$
    select convert_from(decode(rpad(t, (length(t) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb from translate(split_part(token, '.', part), '-_', '+/') t $$;
select organization_id from qms.create_organization('One');
select organization_id from qms.create_organization('Two');
select application_id from qms.create_application(1, 'Shop');
select application_id from qms.create_application(1, 'Fair');
select branch_id from qms.create_branch(1, 'Main');
select queue_id from qms.create_queue('Room', application_id => 1, kind => 'release', settings => '{"token_life": "90.5 s", "claim_window": "2 min"}');
select queue_id from qms.create_queue('Desk', 1);
select queue_id from qms.create_queue('Open', 1, kind => 'release', settings => '{"single_use": false}');
select staff_id from qms.create_staff(1, 'anna', role => 'admin');
select staff_id from qms.create_staff(1, 'rose', role => 'reception', branch_ids => '{1}');
select staff_id from qms.create_staff(1, 'carl', role => 'caller', branch_ids => '{1}', permissions => '{"grant": ["access.verify"]}');
select staff_id from qms.create_staff(1, 'bea', role => 'admin', branch_ids => '{1}');
create role entry_web login noinherit;
grant qms_authenticator, qms_customer, qms_app, qms_admin, qms_reception, qms_caller to entry_web;
create function be(role text, sub text, organization bigint default 1) returns void language sql as $$
    select set_config('request.jwt.claims', jsonb_strip_nulls(jsonb_build_object('role', role, 'sub', sub, 'organization_id', organization))::text, true), set_config('session_authorization', 'entry_web', true), set_config('role', role, true) $$;
\set shop 'begin; select be(''qms_app'', ''application:1'') \\gset unused_'

-- before his turn
select ticket_id, token as anna from qms.join_queue(1, subject => 'anna') \gset
select ticket_id as bert_ticket, token as bert from qms.join_queue(1) \gset
select * from try(format('select * from qms.claim_access(%L)', :'anna'));
select * from try(format('select * from qms.claim_access(%L)', :'bert'));
select * from try('select * from qms.claim_access(null)');
select * from try(format('select * from qms.claim_access(%L)', translate(:'anna', 'abcdefghijklmnopqrstuvwxyz0123456789', 'bcdefghijklmnopqrstuvwxyz0123456789a')));

-- let in: a token, and the same again until it is used
select ticket_id, visit_id, claim_until from qms.release_next(1, 2);
select split_part(access_token, '.', 1) <> '' as is_a_token, expires_at, ticket_id, queue_id, access_token as access from qms.claim_access(:'anna') \gset
select :'is_a_token' as is_a_token, :'expires_at' as expires_at, :ticket_id as ticket_id, :queue_id as queue_id;
select says(:'access', 1), says(:'access', 2) - 'jti' as says, says(:'access', 2) ->> 'jti' ~ '^1\.[0-9a-f]{32}$' as has_an_id;
set qms.mock_now = '2030-01-07 09:00:59+00';
select access_token = :'access' as the_same, expires_at from qms.claim_access(:'anna');
select state, position, called_at from qms.ticket_status(:'anna');
select state, started_at, due_at, version from qms.ticket where ticket_id = 1;

-- who comes in
select valid, reason, subject from qms.verify_access(:'access', 'bert');
:shop
select * from qms.verify_access(:'access', 'anna', 1);
select * from qms.verify_access(:'access', 'anna', 1);
rollback;
select valid from qms.verify_access(:'access');
select * from try(format('select * from qms.claim_access(%L)', :'anna'));

-- who may ask: administrators, applications for their own, staff with a grant; nobody else
begin; select be('qms_admin', 'staff:1') \gset unused_
select valid, reason, says from (select sqlstate, says from try(format('select * from qms.verify_access(%L)', :'access')) where sqlstate <> '') t left join lateral (select valid, reason from qms.verify_access(:'access') where t.sqlstate = '00000') v on true;
rollback;
begin; select be('qms_app', 'application:1') \gset unused_
select valid, reason, says from (select sqlstate, says from try(format('select * from qms.verify_access(%L)', :'access')) where sqlstate <> '') t left join lateral (select valid, reason from qms.verify_access(:'access') where t.sqlstate = '00000') v on true;
rollback;
begin; select be('qms_app', 'application:2') \gset unused_
select valid, reason, says from (select sqlstate, says from try(format('select * from qms.verify_access(%L)', :'access')) where sqlstate <> '') t left join lateral (select valid, reason from qms.verify_access(:'access') where t.sqlstate = '00000') v on true;
rollback;
begin; select be('qms_reception', 'staff:2') \gset unused_
select valid, reason, says from (select sqlstate, says from try(format('select * from qms.verify_access(%L)', :'access')) where sqlstate <> '') t left join lateral (select valid, reason from qms.verify_access(:'access') where t.sqlstate = '00000') v on true;
rollback;
begin; select be('qms_caller', 'staff:3') \gset unused_
select valid, reason, says from (select sqlstate, says from try(format('select * from qms.verify_access(%L)', :'access')) where sqlstate <> '') t left join lateral (select valid, reason from qms.verify_access(:'access') where t.sqlstate = '00000') v on true;
rollback;
begin; select be('qms_customer', null) \gset unused_
select valid, reason, says from (select sqlstate, says from try(format('select * from qms.verify_access(%L)', :'access')) where sqlstate <> '') t left join lateral (select valid, reason from qms.verify_access(:'access') where t.sqlstate = '00000') v on true;
rollback;

-- not claimed in time; the scheduler need not have come yet
set qms.mock_now = '2030-01-07 09:02+00';
select * from try(format('select * from qms.claim_access(%L)', :'bert'));
set qms.mock_now = '2030-01-07 09:01:59.999999+00';
select expires_at, access_token as bert_access from qms.claim_access(:'bert') \gset
select :'expires_at' as expires_at, says(:'bert_access', 2) ->> 'sub' as sub;
-- expired, to the microsecond
set qms.mock_now = '2030-01-07 09:03:31+00';
select valid, reason from qms.verify_access(:'bert_access');
select * from try(format('select * from qms.claim_access(%L)', :'bert'));
set qms.mock_now = '2030-01-07 09:03:30.499999+00';
select valid, reason from qms.verify_access(:'bert_access', 'ticket:2');

-- finished: the place is free at once, and finishing again is no other thing
select inside, released, claimed from qms.release_status(1);
select * from qms.finish_visit(:'access');
set qms.mock_now = '2030-01-07 09:05+00';
select * from qms.finish_visit(:'access');
select valid, reason from qms.verify_access(:'access');
select * from try(format('select * from qms.claim_access(%L)', :'anna'));
-- by one whose token has expired, as long as nobody has ended the visit
select state, ended_at from qms.finish_visit(:'bert_access');
select inside, released, claimed from qms.release_status(1);
select says from (values (null), (''), (:'anna'), (:'access' || 'x'), (split_part(:'access', '.', 1) || '.' || split_part(:'bert_access', '.', 2) || '.' || split_part(:'access', '.', 3))) v(x), try(format('select * from qms.finish_visit(%L)', x)) t where sqlstate <> '';

-- taken back: of one who is in, of one who could come in; not of one who waits
select ticket_id as t, token as zoe from qms.join_queue(1, subject => 'zoe') \gset
select * from try(format('select * from qms.revoke_access(%s)', :t));
select count(*) from qms.release_next(1);
select access_token as zoe_access from qms.claim_access(:'zoe') \gset
select ticket_id, state, ended_at, end_reason from qms.revoke_access(:t, 'a robot');
select valid, reason from qms.verify_access(:'zoe_access', 'zoe');
select * from try(format('select * from qms.finish_visit(%L)', :'zoe_access'));
select * from try(format('select * from qms.revoke_access(%s)', :t));
select ticket_id as t, token as yan from qms.join_queue(1, subject => 'yan') \gset
select count(*) from qms.release_next(1);
select state, end_reason from qms.revoke_access(:t, 'a robot');
select * from try(format('select * from qms.claim_access(%L)', :'yan'));
select kind, state, data from qms.event where ticket_id >= 3 and kind not in ('ticket.joined', 'ticket.released') order by event_id;

-- a queue that is stopped, until it is opened again
select ticket_id as t, token as xia from qms.join_queue(3) \gset
select ticket_id as u, token as will from qms.join_queue(3) \gset
select count(*) from qms.release_next(3, 2);
select access_token as xia_access from qms.claim_access(:'xia') \gset
select count(*) from qms.stop_queue(3, 'fire');
select valid, reason from qms.verify_access(:'xia_access');
select * from try(format('select * from qms.claim_access(%L)', :'will'));
select status from qms.open_queue(3);
-- as often as it is shown, if single_use is off
select valid, reason from generate_series(1, 3), qms.verify_access(:'xia_access');
select access_token = :'xia_access' as the_same from qms.claim_access(:'xia');
select settings from qms.update_queue(3, settings => '{"single_use": true}');
select valid, reason from qms.verify_access(:'xia_access');
select state from qms.finish_visit(:'xia_access');

-- several tickets of a visit: the one that was let in
select token as vic from qms.join_queue(2) \gset
select * from try(format('select * from qms.claim_access(%L)', :'vic'));
select token as vic from qms.join_queue(1, visit_token => :'vic') \gset
select * from try(format('select * from qms.claim_access(%L)', :'vic'));
select count(*) from qms.release_next(1);
select queue_id, access_token as vic_access from qms.claim_access(:'vic') \gset
select :queue_id as queue_id;
select state from qms.finish_visit(:'vic_access');
select queue_id, state from qms.visit_status(:'vic') order by ticket_id;

-- what is wiped of a ticket is wiped of the answers of checks
select ticket_id as t, token as uma from qms.join_queue(1, subject => 'uma') \gset
select count(*) from qms.release_next(1);
select access_token as uma_access from qms.claim_access(:'uma') \gset
select valid, subject from qms.verify_access(:'uma_access', 'uma', request_id => '00000000-0000-0000-0000-000000000001');
select answers from qms.anonymize_visit(:t);
select valid, subject from qms.verify_access(:'uma_access', 'uma', request_id => '00000000-0000-0000-0000-000000000001');

-- keys: made when needed, rotated by who administers all of the organization, shown once
select kid, algorithm, active_from, expires_at, signs, public_key from qms.access_keys(1);
select kid, algorithm, active_from, expires_at, signs, public_key, length(secret), previous_expire_at from qms.rotate_access_key(1);
select kid, algorithm, active_from, expires_at, signs, public_key ~ '^-----BEGIN PUBLIC KEY-----' as pem, secret, previous_expire_at from qms.rotate_access_key(1, 'ES256', '1 hour', '2030-01-07 10:00+00');
select kid, algorithm, active_from, expires_at, signs from qms.access_keys(1);
select key ->> 'kid' as kid, key ->> 'alg' as alg from jsonb_array_elements(qms.access_jwks('one') -> 'keys') key;
select qms.access_jwks('two');
select * from qms.access_keys(2);
select * from try($$select * from qms.rotate_access_key(1, 'HS512')$$);
select * from try($$select * from qms.rotate_access_key(1, 'none')$$);
select * from try($$select * from qms.rotate_access_key(1, overlap => '-1 s')$$);
select * from try($$select * from qms.rotate_access_key(1, overlap => '1 month')$$);
select * from try($$select * from qms.rotate_access_key(99)$$);
select * from try($$select * from qms.access_jwks('nobody')$$);
begin; select be('qms_admin', 'staff:4') \gset unused_
select * from try($$select * from qms.rotate_access_key(1)$$);
rollback;
begin; select be('qms_admin', 'staff:1') \gset unused_
select * from try($$select * from qms.access_keys(2)$$);
select * from try($$select * from qms.access_jwks('two')$$);
select kid from qms.rotate_access_key(1, overlap => '0');
select kid, signs, expires_at from qms.access_keys(1);
rollback;
begin; select be('qms_customer', null) \gset unused_
select count(*) from jsonb_array_elements(qms.access_jwks('one') -> 'keys');
select * from try($$select * from qms.access_keys(1)$$);
rollback;
select kind, actor_kind, data from qms.event where kind like 'access_key.%' order by event_id;
drop role entry_web;
drop schema entry_access cascade;
