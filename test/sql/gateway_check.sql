-- Who may connect and subscribe, asked by the gateway for many people at once.
SET client_min_messages = warning;
-- alone in its database, so that ids are known
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SET qms.mock_now = '2030-01-07 09:00+00';	-- 1894006800
\set VERBOSITY sqlstate
\pset format unaligned
\pset tuples_only on
-- Two organizations; of the first two branches and two applications.
SELECT organization_id FROM qms.create_organization('One', 'one') UNION ALL SELECT organization_id FROM qms.create_organization('Two', 'two');
SELECT branch_id FROM qms.create_branch(1, 'North') UNION ALL SELECT branch_id FROM qms.create_branch(1, 'South') UNION ALL SELECT branch_id FROM qms.create_branch(2, 'Far');
SELECT zone_id FROM qms.create_zone(1, 'Hall') UNION ALL SELECT zone_id FROM qms.create_zone(3, 'Hall');
SELECT queue_id FROM qms.create_queue('A', 1) UNION ALL SELECT queue_id FROM qms.create_queue('H', 1, settings => '{"public": false}') UNION ALL SELECT queue_id FROM qms.create_queue('F', 3);
SELECT application_id FROM qms.create_application(1, 'Shop') UNION ALL SELECT application_id FROM qms.create_application(1, 'Fair') UNION ALL SELECT application_id FROM qms.create_application(2, 'Mall');
SELECT staff_id FROM qms.create_staff(1, 'anna', role => 'admin') UNION ALL SELECT staff_id FROM qms.create_staff(1, 'bea', role => 'admin', branch_ids => '{1}')
	UNION ALL SELECT staff_id FROM qms.create_staff(1, 'sam', branch_ids => '{1}') UNION ALL SELECT staff_id FROM qms.create_staff(1, 'abby', role => 'app_admin', application_ids => '{1}')
	UNION ALL SELECT staff_id FROM qms.create_staff(2, 'tom', role => 'admin') UNION ALL SELECT staff_id FROM qms.create_staff(1, 'dan', permissions => '{"deny": ["event.read"]}');
SELECT customer_id FROM qms.create_customer(1, 'Eve') UNION ALL SELECT customer_id FROM qms.create_customer(1, 'Gone');
SELECT device_id FROM qms.create_device(1, 'display', 'Wall') UNION ALL SELECT device_id FROM qms.create_device(1, 'kiosk', 'Door');
SELECT api_key_id FROM qms.create_api_key(1, 'all') UNION ALL SELECT api_key_id FROM qms.create_api_key(1, 'join only', functions => '{join_queue}') UNION ALL SELECT api_key_id FROM qms.create_api_key(1, 'short', expires_in => '10 min');
SELECT visit_id AS mine, token AS my_token FROM qms.join_queue(1) \gset
SELECT visit_id AS far, token AS far_token FROM qms.join_queue(3) \gset

CREATE TABLE token (name text PRIMARY KEY, token text);
-- A token as the login functions make it.
CREATE FUNCTION sign(role text, sub text, org bigint, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT qms_internal.jwt_sign('jwt', jsonb_strip_nulls(jsonb_build_object('role', role, 'sub', sub, 'organization_id', org, 'iat', 1894006000, 'exp', 1894010000)) || more) $$;
INSERT INTO token VALUES ('nobody', NULL), ('customer', sign('qms_customer', 'customer:1', 1)), ('visitor', sign('qms_customer', NULL, 1)), ('anna', sign('qms_admin', 'staff:1', 1)), ('bea', sign('qms_admin', 'staff:2', 1)),
	('sam', sign('qms_servicer', 'staff:3', 1)), ('abby', sign('qms_app_admin', 'staff:4', 1)), ('tom', sign('qms_admin', 'staff:5', 2)), ('dan', sign('qms_servicer', 'staff:6', 1)),
	('wall', sign('qms_display', 'device:1', 1)), ('door', sign('qms_kiosk', 'device:2', 1)), ('shop', sign('qms_app', 'application:1', 1, '{"api_key_id": 1}')),
	('key', sign('qms_app', 'application:1', 1, '{"api_key_id": 2}')), ('short', sign('qms_app', 'application:1', 1, '{"api_key_id": 3}'));

-- Connecting.
CREATE FUNCTION connect(token text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', code, message, CASE WHEN temporary THEN 'temporary' END, expires_at, 'organization ' || organization_id, subject, role, nullif(channels, '{}')) FROM qms_internal.gateway_check(jsonb_build_array(jsonb_build_object('n', 1, 'do', 'connect', 'token', token, 'address', '192.0.2.7'))) $$;
SELECT name, connect(token) FROM token ORDER BY name COLLATE "C";
SELECT what, connect(sign(role, sub, org, more)) FROM (VALUES
	('expired', 'qms_admin', 'staff:1', 1, '{"exp": 1894006000}'::jsonb), ('expired within the leeway', 'qms_admin', 'staff:1', 1, '{"exp": 1894006795}'), ('just not', 'qms_admin', 'staff:1', 1, '{"exp": 1894006801}'),
	('not yet', 'qms_admin', 'staff:1', 1, '{"nbf": 1894009000}'), ('a role that is none', 'qms_king', 'staff:1', 1, '{}'), ('no role', NULL, 'staff:1', 1, '{}'), ('no role and no name', NULL, NULL, 1, '{}'), ('a number as role', NULL, NULL, 1, '{"role": 7}'), ('a superuser', 'postgres', 'staff:1', 1, '{}'),
	('super admin', 'qms_super_admin', 'staff:1', 1, '{}'), ('owner', 'qms_owner', 'staff:1', 1, '{}'), ('above his own', 'qms_admin', 'staff:3', 1, '{}'), ('below his own', 'qms_servicer', 'staff:1', 1, '{}'),
	('of another organization', 'qms_admin', 'staff:1', 2, '{}'), ('nobody''s', 'qms_admin', 'staff:99', 1, '{}'), ('a subject that is none', 'qms_admin', 'king', 1, '{}'), ('a huge number', 'qms_admin', 'staff:1', 1, '{"exp": 1e300}'),
	('with channels', 'qms_servicer', 'staff:3', 1, '{"channels": ["staff:1", "staff:2", "admin:1", "display:one/north", "queue:2", "queue:3", "nonsense", 7, {"a": 1}, "display:01"]}'), ('with a channel', 'qms_servicer', 'staff:3', 1, '{"channels": "staff:1"}')) v (what, role, sub, org, more);
SELECT left(bad, 20), connect(bad) FROM unnest(ARRAY['', 'x', 'a.b.c', 'a.b', '..', repeat('x', 10000), (SELECT replace(token, '.', '') FROM token WHERE name = 'anna'), 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJzdGFmZjoxIn0.']) bad;
SELECT 'forged', connect(left(token, -5) || 'AAAAA') FROM token WHERE name = 'anna';

-- Subscribing: everybody to each kind of channel, of his own, of another part, of another organization, of nobody.
CREATE FUNCTION subscribe(token text, channel text, data jsonb DEFAULT NULL) RETURNS int LANGUAGE sql AS $$
	SELECT code FROM qms_internal.gateway_check(jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('n', 1, 'do', 'subscribe', 'token', token, 'channel', channel, 'data', data)))) $$;
CREATE TABLE channel AS SELECT * FROM unnest(ARRAY['display', 'display', 'display', 'display', 'zone', 'zone', 'zone', 'queue', 'queue', 'queue', 'queue', 'visit', 'visit', 'visit', 'staff', 'staff', 'staff', 'staff', 'admin', 'admin', 'admin', 'application', 'application', 'application', 'application', 'system', 'system', 'system'],
	ARRAY['own', 'other', 'foreign', 'never', 'own', 'foreign', 'never', 'own', 'hidden', 'foreign', 'never', 'own', 'foreign', 'never', 'own', 'other', 'foreign', 'never', 'own', 'foreign', 'never', 'own', 'other', 'foreign', 'never', 'own', 'foreign', 'never'],
	ARRAY['display:1', 'display:2', 'display:3', 'display:9', 'display:1:1', 'display:3:2', 'display:1:2', 'queue:1', 'queue:2', 'queue:3', 'queue:9', 'visit:' || :mine, 'visit:' || :far, 'visit:99', 'staff:1', 'staff:2', 'staff:3', 'staff:9', 'admin:1', 'admin:2', 'admin:9',
	'application:1', 'application:2', 'application:3', 'application:9', 'system:1', 'system:2', 'system:9']) WITH ORDINALITY c (kind, place, name, n);
SELECT kind, string_agg(place, ' ' ORDER BY n) FROM channel GROUP BY kind ORDER BY min(n);
SELECT name, string_agg(codes, ', ' ORDER BY at) FROM (SELECT t.name, min(n) AS at, kind || ' ' || string_agg(subscribe(token, c.name)::text, ' ' ORDER BY n) AS codes FROM token t, channel c GROUP BY 1, kind) x GROUP BY 1 ORDER BY name COLLATE "C";
-- what is foreign is answered as what never was
SELECT t.name, f.name FROM token t, channel f JOIN channel n USING (kind) WHERE f.place = 'foreign' AND n.place = 'never' AND t.name NOT IN ('tom', 'nobody') AND subscribe(t.token, f.name) <> subscribe(t.token, n.name);
-- the same verdicts as events_since has, for the same claims
CREATE ROLE gateway_web LOGIN NOINHERIT;
GRANT qms_authenticator, qms_customer, qms_display, qms_kiosk, qms_servicer, qms_caller, qms_reception, qms_admin, qms_app_admin, qms_app TO gateway_web;
CREATE FUNCTION since(token text, channel text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	claims jsonb := coalesce((qms_internal.jwt_check('jwt', token)).claims, '{"role": "qms_customer"}');
BEGIN
	PERFORM set_config('request.jwt.claims', CASE WHEN token IS NULL THEN '' ELSE claims::text END, true), set_config('session_authorization', 'gateway_web', true), set_config('role', claims->>'role', true);
	PERFORM qms.events_since(channel, 0);
	RAISE EXCEPTION USING ERRCODE = '00001';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE sqlstate WHEN '00001' THEN '0' WHEN 'QM101' THEN '102' WHEN '42501' THEN '103' ELSE sqlstate END;
END $$;
SELECT count(*), count(*) FILTER (WHERE since(token, c.name) = subscribe(token, c.name)::text) FROM token t, channel c;
-- visits: with the token; one that is not his opens nothing and tells nothing
SELECT name, subscribe(token, 'visit:' || :mine, jsonb_build_object('token', :'my_token')) AS own, subscribe(token, 'visit:' || :far, jsonb_build_object('token', :'far_token')) AS far,
	subscribe(token, 'visit:' || :far, jsonb_build_object('token', :'my_token')) AS wrong, subscribe(token, 'visit:99', jsonb_build_object('token', :'my_token')) AS never,
	subscribe(token, 'visit:' || :mine, jsonb_build_object('token', translate(:'my_token', 'ABCabc', 'BCAbca'))) AS forged, subscribe(token, 'staff:1', jsonb_build_object('token', :'my_token')) AS staff FROM token ORDER BY name COLLATE "C";
SELECT data, subscribe(NULL, 'visit:' || :mine, data) FROM unnest('{"7", "{}", "[]", "{\"token\": 7}", "{\"token\": \"\"}", "{\"token\": null}", "{\"token\": {}}", "\"token\""}'::jsonb[]) data;
-- names
SELECT left(name, 30), (SELECT concat_ws(' ', code, message, canonical) FROM qms_internal.gateway_check(jsonb_build_array(jsonb_build_object('do', 'subscribe', 'channel', name)))) FROM unnest(ARRAY['display:1', 'display:001', 'display:1:01', 'display:one/north', 'display:one/north:1', 'display:two/far', 'display:two/far:1',
	'display:one/far', 'display:one/', 'display:/north', 'display:/', 'display:one/north/x', 'display:one/north:', 'display:one/north:x', 'queue:one/a', 'display', 'display:', ':1', '', 'DISPLAY:1', 'display:1 ', 'display:0', 'display:-1', 'display:1:0', 'display:1:1:1', 'queue:1:1', 'display:99999999999999999999', 'nonsense:1',
	'display:Ünïcode/x', 'display:1' || E'\n', repeat('display:', 1000)]) name;

-- A batch: each request is answered, whatever the others are.
SELECT n, code, message, temporary, canonical FROM qms_internal.gateway_check('[{"n": 1, "do": "connect"}, 7, null, "x", [], {}, {"n": 2}, {"n": 3, "do": "fly"}, {"n": 4, "do": "subscribe"}, {"n": 5, "do": "subscribe", "channel": 7}, {"n": "6", "do": "connect"}, {"n": 1e30, "do": "connect"}, {"n": 7.4, "do": "connect"}, {"n": -8, "do": "connect", "token": 7}, {"n": 9, "do": "subscribe", "channel": "queue:1"}]');
SELECT count(*) FROM qms_internal.gateway_check('[]');
SELECT count(*) FROM qms_internal.gateway_check(NULL);
SELECT * FROM qms_internal.gateway_check('{}');
SELECT * FROM qms_internal.gateway_check('7');
-- one that meets an error takes no other along, and may be tried again
ALTER TABLE qms.zone RENAME COLUMN deleted_at TO gone_at;
SELECT n, code, message, temporary FROM qms_internal.gateway_check('[{"n": 1, "do": "subscribe", "channel": "queue:1"}, {"n": 2, "do": "subscribe", "channel": "display:1:1"}, {"n": 3, "do": "subscribe", "channel": "display:1:1"}, {"n": 4, "do": "subscribe", "channel": "system:1"}]');
ALTER TABLE qms.zone RENAME COLUMN gone_at TO deleted_at;
SELECT n, code, message, temporary FROM qms_internal.gateway_check('[{"n": 2, "do": "subscribe", "channel": "display:1:1"}]');
-- a thousand at once
SELECT count(*), count(DISTINCT n), sum(code) FROM qms_internal.gateway_check((SELECT jsonb_agg(jsonb_build_object('n', n, 'do', CASE n % 2 WHEN 0 THEN 'connect' ELSE 'subscribe' END, 'token', token, 'channel', 'queue:1')) FROM generate_series(1, 1000) n, LATERAL (SELECT token FROM token ORDER BY name OFFSET n % 8 LIMIT 1) t));

-- The session stays whom it was.
SELECT kind FROM qms.act_as(1);
SELECT (p).kind, (p).id, (p).via FROM (SELECT qms.current_principal() AS p, (SELECT count(*) FROM qms_internal.gateway_check(jsonb_build_array(jsonb_build_object('do', 'connect', 'token', (SELECT token FROM token WHERE name = 'tom'))))) AS n) x;
SELECT kind, id, via FROM qms.current_principal();
SELECT kind FROM qms.act_as();

-- Rights that end: the same question has another answer.
CREATE FUNCTION again(who text, channel text) RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', connect(token), subscribe(token, channel)) FROM token WHERE name = who $$;
UPDATE qms.staff SET disabled_at = now() WHERE staff_id = 3;
SELECT again('sam', 'staff:1');
UPDATE qms.staff SET disabled_at = NULL, branch_ids = '{2}' WHERE staff_id = 3;
SELECT again('sam', 'staff:1'), again('sam', 'staff:2');
SELECT connect(sign('qms_customer', 'customer:2', 1)), connect(sign('qms_customer', 'customer:9', 1));
SELECT count(qms.delete_customer(2));
SELECT connect(sign('qms_customer', 'customer:2', 1));
SELECT count(qms.delete_staff(1));
SELECT again('anna', 'admin:1');
SELECT count(qms.revoke_api_key(1));
SELECT again('shop', 'application:1');
SELECT count(qms.revoke_device(1));
SELECT again('wall', 'display:1');
SELECT again('short', 'application:1');
SET qms.mock_now = '2030-01-07 09:11+00';
SELECT again('short', 'application:1'), again('bea', 'staff:1');
SET qms.mock_now = '2030-01-07 10:00+00';
SELECT again('bea', 'staff:1'), again('nobody', 'display:1');
SET qms.mock_now = '2030-01-07 09:00+00';
SELECT name FROM qms.update_queue(1, settings => '{"public": false}');
SELECT again('nobody', 'queue:1'), again('bea', 'queue:1');
SELECT name FROM qms.update_queue(1, settings => '{"public": true}');
UPDATE qms.branch SET deleted_at = now() WHERE branch_id = 1;
SELECT again('nobody', 'display:1'), again('nobody', 'display:one/north'), again('nobody', 'queue:1'), again('customer', 'display:1');
UPDATE qms.branch SET deleted_at = NULL;
UPDATE qms.organization SET deleted_at = now() WHERE organization_id = 1;
SELECT again('nobody', 'display:1'), again('nobody', 'queue:1'), again('nobody', 'system:1'), again('customer', 'display:1'), again('bea', 'staff:1'), subscribe(NULL, 'visit:' || :mine, jsonb_build_object('token', :'my_token'));
UPDATE qms.organization SET deleted_at = NULL;
SELECT again('nobody', 'display:1');
DROP OWNED BY gateway_web;
DROP ROLE gateway_web;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
