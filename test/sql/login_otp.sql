-- A customer proves that a phone or an e-mail address is his.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
CREATE SCHEMA login_otp;
GRANT USAGE ON SCHEMA login_otp TO PUBLIC;
SET search_path = login_otp;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET qms.mock_now = '2030-01-07 09:00+00';
SELECT organization_id AS one FROM qms.create_organization('One') \gset
CREATE ROLE otp_web LOGIN NOINHERIT;
GRANT qms_authenticator, qms_customer TO otp_web;
-- The last code on its way, to this contact; taken.
CREATE FUNCTION code(contact text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE t.recipient WHEN contact THEN t.secret END FROM (SELECT max(secret_delivery_id) AS id FROM qms_internal.secret_delivery) d, qms.take_secret(d.id) t $$;
CREATE FUNCTION said(a qms.customer_login) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', 'customer ' || a.customer_id || ' until ' || a.expires_at, a.error, 'after ' || a.retry_after || ' s') $$;
-- Another code than this one.
CREATE FUNCTION wrong(code text) RETURNS text LANGUAGE sql AS $$ SELECT to_char((code::int + 1) % 1000000, 'FM000000') $$;

-- contacts
\set VERBOSITY default
SELECT * FROM qms.request_otp('ada');
\set VERBOSITY terse
SELECT * FROM qms.request_otp('ada@city');
SELECT * FROM qms.request_otp('ada@@city.example');
SELECT * FROM qms.request_otp('@city.example');
SELECT * FROM qms.request_otp('ada lovelace@city.example');
SELECT * FROM qms.request_otp(E'ada@city.example\nBcc: x@y.example');
SELECT * FROM qms.request_otp('ada@city.example.');
SELECT * FROM qms.request_otp('123456');
SELECT * FROM qms.request_otp('+1234567890123456');
SELECT * FROM qms.request_otp('+49 151 + 234567');
SELECT * FROM qms.request_otp('');
SELECT * FROM qms.request_otp(NULL);
SELECT * FROM qms.request_otp('+49 151 2345678', 'nowhere');
SELECT * FROM qms.request_otp(repeat('a', 300) || '@city.example');

-- a code
SELECT * FROM qms.request_otp(' +49 (151) 234-5678 ');
SELECT kind, position('+491512345678'::bytea in message) AS in_clear, created_at, expires_at FROM qms_internal.secret_delivery;
BEGIN;
SELECT t.kind, recipient, secret ~ '^\d{6}$' AS digits, t.expires_at, t.organization_id = :one AS one FROM qms_internal.secret_delivery d, qms.take_secret(d.secret_delivery_id) t;
ROLLBACK;
SELECT kind, data - 'secret_delivery_id' AS data, data ? 'secret_delivery_id' AS delivery, actor_kind FROM qms.event WHERE kind ~ 'otp' ORDER BY event_id;
-- the contact is kept nowhere but where it waits for delivery, and the code not even there once it is taken
SELECT code('+491512345678') AS code \gset
SELECT count(*) FROM qms_internal.secret_delivery;
SELECT count(*) FROM qms_internal.one_time_code c WHERE c::text ~ '2345678' OR c.code_hash::text ~ :'code';
SELECT count(*) FROM qms.event e WHERE e::text ~ '2345678' OR e.data::text ~ ('"' || :'code' || '"');
-- too early for another
SELECT * FROM qms.request_otp('0049 151 2345678', 'one');
-- wrong ones; the right one as people write it
SELECT said(qms.verify_otp('+491512345678', wrong(:'code'))), said(qms.verify_otp('+491512345678', ' ')), said(qms.verify_otp('+491512345678', 'abcdef')), said(qms.verify_otp('+491512345679', :'code'));
SELECT said(qms.verify_otp('+491512345678', wrong(:'code'))), said(qms.verify_otp('0049 151 2345678', substr(:'code', 1, 3) || ' ' || substr(:'code', 4), 'one'));
-- once
SELECT said(qms.verify_otp('+491512345678', :'code'));
SELECT kind, data, actor_kind FROM qms.event WHERE kind = 'otp.verified';
SELECT customer_id, name, contact ? 'sealed' AS sealed, external_subject FROM qms.customer;
SELECT customer_id, contact FROM qms.find_customers(:one, '0151 2345678');
SELECT customer_id, contact FROM qms.find_customers(:one, '+49 151 2345678');

-- what the token says, and who comes with it
SELECT (qms.request_otp('Ada@City.example')).expires_at;
SELECT code('ada@city.example') AS code \gset
SELECT * FROM qms.verify_otp('ADA@city.EXAMPLE', :'code') \gset
SELECT claims - 'jti' AS claims, why, :'expires_at' AS expires_at, :customer_id AS customer FROM qms_internal.jwt_check('jwt', :'access_token');
SELECT claims FROM qms_internal.jwt_check('jwt', :'access_token') \gset
SET SESSION AUTHORIZATION otp_web;
SELECT set_config('request.jwt.claims', :'claims', false) IS NOT NULL AS set;
SET ROLE qms_customer;
SELECT kind, id, role, via FROM qms.current_principal();
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;

-- five attempts, and not one more
SELECT expires_at FROM qms.request_otp('bob@city.example');
SELECT code('bob@city.example') AS code \gset
SELECT said(qms.verify_otp('bob@city.example', wrong(:'code'))) FROM generate_series(1, 4);
SELECT attempts, code_hash IS NOT NULL AS live FROM qms_internal.one_time_code ORDER BY created_at DESC, attempts DESC LIMIT 1;
SELECT said(qms.verify_otp('bob@city.example', wrong(:'code')));
SELECT said(qms.verify_otp('bob@city.example', :'code'));
-- a code of somebody else, of an earlier request, of another time
SET qms.mock_now = '2030-01-07 09:01+00';
SELECT expires_at FROM qms.request_otp('bob@city.example');
SELECT code('bob@city.example') AS code \gset
SELECT said(qms.verify_otp('eve@city.example', :'code'));
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SET qms.mock_now = '2030-01-07 09:03+00';
SELECT expires_at FROM qms.request_otp('bob@city.example');
SELECT said(qms.verify_otp('bob@city.example', :'code')) AS the_older_one;
SELECT code('bob@city.example') AS code \gset
SET qms.mock_now = '2030-01-07 09:08+00';
SELECT said(qms.verify_otp('bob@city.example', :'code')) AS late;
-- pauses double up to an hour, and are forgotten after a day
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SET qms.mock_now = '2030-01-07 09:16+00';
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SET qms.mock_now = '2030-01-07 09:32+00';
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SET qms.mock_now = '2030-01-07 10:04+00';
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SET qms.mock_now = '2030-01-08 10:04+00';
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SELECT code('bob@city.example') AS code \gset
SELECT said(qms.verify_otp('bob@city.example', :'code'));
-- a used one lets the next one be asked for at once
SELECT expires_at, error, retry_after FROM qms.request_otp('bob@city.example');
SELECT code('bob@city.example') AS code \gset
SELECT said(qms.verify_otp('bob@city.example', :'code')) AS the_same_customer;

-- the same contact is the same customer after a rotation of the key too
SELECT purpose, kid, expires_at IS NULL AS lasts FROM qms.rotate_signing_key('login');
SELECT expires_at FROM qms.request_otp('bob@city.example');
SELECT code('bob@city.example') AS code \gset
SELECT said(qms.verify_otp('bob@city.example', :'code')) AS the_same_customer;
SELECT count(*) FROM qms.customer;
-- one who is gone is not
SELECT customer_id FROM qms.delete_customer(3);
SELECT expires_at FROM qms.request_otp('bob@city.example');
SELECT code('bob@city.example') AS code \gset
SELECT said(qms.verify_otp('bob@city.example', :'code')) AS somebody_new;

-- nor is one who is to be forgotten
SELECT count(*) FROM qms_internal.verified_contact WHERE customer_id = 4;
SELECT customer_id FROM qms.anonymize_customer(4);
SELECT count(*) FROM qms_internal.verified_contact WHERE customer_id = 4;

-- several organizations: each has its own codes and customers
SELECT organization_id AS two FROM qms.create_organization('Two') \gset
SELECT * FROM qms.request_otp('bob@city.example');
SELECT error FROM qms.request_otp('bob@city.example', 'two');
SELECT code('bob@city.example') AS code \gset
SELECT said(qms.verify_otp('bob@city.example', :'code', 'one')), said(qms.verify_otp('bob@city.example', :'code', 'two'));
-- an anonymous visitor
SET SESSION AUTHORIZATION otp_web;
SET ROLE qms_customer;
SELECT error FROM qms.request_otp('cy@city.example', 'two');
SELECT qms.request_otp('cy@city.example');
SELECT error FROM qms.verify_otp('cy@city.example', 'abcdef', 'two');
RESET SESSION AUTHORIZATION;
SELECT actor_kind, actor_role FROM qms.event WHERE kind = 'otp.requested' ORDER BY event_id DESC LIMIT 1;

RESET search_path;
DROP SCHEMA login_otp CASCADE;
DROP ROLE otp_web;
