-- Keys and devices: what nobody may read, and a search_path that somebody has laid out.
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT plan(17);

-- Secrets: nobody but the owner, and nothing of them in what is shown.
SELECT is_empty($$ SELECT c.oid::regclass, a.grantee FROM pg_catalog.pg_class c, LATERAL pg_catalog.aclexplode(c.relacl) a
	WHERE c.oid IN ('qms_internal.api_key_secret'::regclass, 'qms_internal.device_secret'::regclass, 'qms_internal.limit_bucket'::regclass, 'qms_internal.last_seen'::regclass)
	AND a.grantee <> c.relowner $$, 'secrets, buckets and last uses are granted to nobody');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_catalog.pg_class c WHERE c.relname IN ('api_key', 'device', 'api_key_secret', 'device_secret', 'last_seen', 'limit_bucket') AND c.relkind = 'r' AND NOT c.relrowsecurity $$,
	'each of the tables has row-level security');
SELECT is_empty($$ SELECT attrelid::regclass, attname FROM pg_catalog.pg_attribute WHERE attrelid IN ('qms.api_keys'::regclass, 'qms.devices'::regclass, 'qms.api_key'::regclass, 'qms.device'::regclass)
	AND attnum > 0 AND attname ~ '(hash|secret|^key$|code|nonce|seed)' $$, 'lists show no hash, key or code');
SELECT is((SELECT relpersistence FROM pg_catalog.pg_class WHERE oid = 'qms_internal.limit_bucket'::regclass), 'u', 'buckets are unlogged');
SELECT is_empty($$ SELECT e.extconfig FROM pg_catalog.pg_extension e WHERE e.extname = 'qms' AND 'qms_internal.limit_bucket'::regclass = ANY (e.extconfig) $$, 'and in no dump');
SELECT ok('qms_internal.api_key_secret'::regclass = ANY (extconfig) AND 'qms.device'::regclass = ANY (extconfig), 'keys and devices are in each dump') FROM pg_catalog.pg_extension WHERE extname = 'qms';

-- How the functions run.
SELECT isnt_definer('qms', 'pre_request', '{}'::name[], 'pre_request runs as its caller: it sets the role');
SELECT is_definer('qms_internal', 'api_key_claims', ARRAY['text'], 'what reads the hashes does not');
SELECT is_empty($$ SELECT a.grantee::regrole FROM pg_catalog.pg_proc p, LATERAL pg_catalog.aclexplode(p.proacl) a WHERE p.oid = 'qms_internal.api_key_claims(text)'::regprocedure AND a.grantee <> p.proowner $$,
	'and nobody may execute it by himself');
SELECT set_eq($$ SELECT a.grantee::regrole::text FROM pg_catalog.pg_proc p, LATERAL pg_catalog.aclexplode(p.proacl) a WHERE p.oid = 'qms.pre_request()'::regprocedure AND a.grantee <> p.proowner $$,
	ARRAY['qms_super_admin', 'qms_admin', 'qms_app_admin', 'qms_reception', 'qms_caller', 'qms_servicer', 'qms_display', 'qms_kiosk', 'qms_customer', 'qms_app'],
	'pre_request is for every group that PostgREST acts as');

-- Operators and functions that say yes to everything, first in the search_path of the caller.
INSERT INTO qms.organization (organization_id, name, slug) VALUES (1, 'City', 'city');
INSERT INTO qms.application (application_id, organization_id, name) VALUES (1, 1, 'Shop');
CREATE TEMP TABLE made AS SELECT key FROM qms.create_api_key(1, 'web');
CREATE SCHEMA evil;
CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.yes(bytea, bytea) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);
CREATE OPERATOR evil.= (LEFTARG = bytea, RIGHTARG = bytea, FUNCTION = evil.yes);
CREATE FUNCTION evil.get_namespace_oid(text) RETURNS oid LANGUAGE sql AS 'SELECT 0::oid';
CREATE FUNCTION evil.api_key_claims(text) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"sub": "staff:1", "role": "qms_admin", "organization_id": 1}'::jsonb $$;
CREATE ROLE keys_web LOGIN;
GRANT qms_authenticator, qms_customer, qms_app TO keys_web;
GRANT USAGE ON SCHEMA evil TO keys_web;
GRANT SELECT ON made TO keys_web;

CREATE FUNCTION pg_temp.as_web(key text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	told text;
	path text := pg_catalog.current_setting('search_path');
BEGIN
	PERFORM pg_catalog.set_config('search_path', 'evil, pg_catalog, qms', true), pg_catalog.set_config('request.headers', pg_catalog.json_build_object('x-api-key', key)::text, true);
	PERFORM pg_catalog.set_config('request.jwt.claims', '', true), pg_catalog.set_config('role', 'qms_customer', true);
	PERFORM qms.pre_request();
	SELECT kind || ' ' || id INTO told FROM qms.current_principal();
	told := told || ' ' || current_user;
	PERFORM pg_catalog.set_config('role', 'none', true), pg_catalog.set_config('search_path', path, true);
	RETURN told;
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;
SET LOCAL SESSION AUTHORIZATION keys_web;
SELECT is(pg_temp.as_web((SELECT key FROM made)), 'application 1 qms_app', 'the key is the application, whatever the search_path');
SELECT is(pg_temp.as_web((SELECT overlay(key placing 'A' from 20) || 'x' FROM made)), 'QM520', 'and another one is refused');
SELECT is(pg_temp.as_web((SELECT left(key, 13) || repeat('A', 43) FROM made)), 'QM520', 'one of the same prefix too');
SELECT is(pg_temp.as_web(''' OR true --'), 'QM520', 'and what is no key at all');
SET LOCAL request.jwt.claims = '{"role": "qms_app", "sub": "application:1", "organization_id": 1, "api_key_id": 99}';
SELECT throws_ok('SELECT * FROM qms.current_principal()', 'QM201', NULL, 'claims of a key that is not there are nobody');
SET LOCAL request.jwt.claims = '';
RESET SESSION AUTHORIZATION;

-- Each limit has words, a default that can be read, and one place where it is described.
SELECT is_empty($$ SELECT key FROM qms.organization_setting_keys() WHERE description !~ '\.$' OR (default_value IS NULL AND key <> 'personal_data_retention') OR applies_to <> 'organization' $$, 'every setting of an organization is described');
SELECT is((SELECT count(*)::int FROM qms.organization_setting_keys() WHERE kind = 'limit' AND default_value !~ '^\d+/(\d+ )?(h|min)$'), 0, 'and every limit is a number and a time');

SELECT * FROM finish();
ROLLBACK;
