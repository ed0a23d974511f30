-- Signing keys, and what is accepted as a token.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
CREATE SCHEMA login_keys;
GRANT USAGE ON SCHEMA login_keys TO PUBLIC;
SET search_path = login_keys;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET qms.mock_now = '2030-01-07 09:00+00';
SELECT count(*) FROM qms.signing_keys();
SELECT qms.jwks();

-- rotation
SELECT * FROM qms.rotate_signing_key('jwt');
SELECT qms_internal.jwt_sign('jwt', '{"exp": 1900000000}') AS first \gset
SET qms.mock_now = '2030-01-07 10:00+00';
SELECT * FROM qms.rotate_signing_key('jwt', 'ES256');
SELECT * FROM qms.rotate_signing_key('jwt', overlap => '1 h', active_from => '2030-01-07 12:00+00');
SELECT * FROM qms.rotate_signing_key('ticket_token');
SELECT * FROM qms.rotate_signing_key('login', overlap => '0');
SELECT * FROM qms.signing_keys();
SELECT purpose, kid, length(secret) >= 32 AS secret FROM qms_internal.signing_key ORDER BY 1, 2;
-- the older one is good for the life of a token and an hour, and for an hour after the one that comes begins
SELECT (qms_internal.jwt_check('jwt', :'first')).why;
SET qms.mock_now = '2030-01-07 12:59:59+00';
SELECT (qms_internal.jwt_check('jwt', :'first')).why;
SET qms.mock_now = '2030-01-07 13:00+00';
SELECT (qms_internal.jwt_check('jwt', :'first')).why;
SELECT purpose, kid, expires_at, signs FROM qms.signing_keys() WHERE purpose = 'jwt';
-- public ones
SELECT kid, algorithm FROM qms.rotate_signing_key('jwt', 'HS256', '1 d');
SELECT jsonb_array_length(qms.jwks()->'keys'), k - 'x' - 'y' AS key, length(k->>'x') AS x, length(k->>'y') AS y FROM jsonb_array_elements(qms.jwks()->'keys') k;
SELECT qms.jwks('ticket_token');
-- errors
SELECT qms.rotate_signing_key('nothing');
SELECT qms.rotate_signing_key('jwt', 'none');
SELECT qms.rotate_signing_key('jwt', 'HMAC-SHA256');
SELECT qms.rotate_signing_key('ticket_token', 'HS256');
SELECT qms.rotate_signing_key('jwt', overlap => '-1 h');
SELECT qms.rotate_signing_key('jwt', overlap => '1 month');
SELECT qms.rotate_signing_key(NULL);
SELECT qms.rotate_signing_key('jwt', active_from => 'infinity');
SELECT qms.jwks('nothing');
\set VERBOSITY terse
-- all expired: another one is made; of a clock that was set back too
UPDATE qms_internal.signing_key SET expires_at = '2030-01-07 13:00+00' WHERE purpose = 'jwt';
SELECT (qms_internal.jwt_check('jwt', qms_internal.jwt_sign('jwt', '{"exp": 1900000000}'))).why;
SELECT kid, algorithm, signs FROM qms.signing_keys() WHERE purpose = 'jwt';
-- a request that is repeated makes one key
SELECT kid FROM qms.rotate_signing_key('jwt', request_id => '00000000-0000-0000-0000-000000000001');
SELECT kid FROM qms.rotate_signing_key('jwt', request_id => '00000000-0000-0000-0000-000000000001');

-- Tokens made by hand: header and payload as bytes, signed with the key as HS256 does.
CREATE EXTENSION pgcrypto;
DELETE FROM qms_internal.signing_key WHERE purpose = 'jwt';
SELECT kid FROM qms.rotate_signing_key('jwt', 'HS256');
CREATE FUNCTION b64(bytes bytea) RETURNS text LANGUAGE sql AS $$ SELECT rtrim(translate(encode(bytes, 'base64'), E'+/\n', '-_'), '=') $$;
CREATE FUNCTION signed(header text, payload text) RETURNS text LANGUAGE sql AS $$
	SELECT t || '.' || b64(hmac(t::bytea, (SELECT secret FROM qms_internal.signing_key WHERE purpose = 'jwt' AND kid = 1), 'sha256'))
	FROM (SELECT b64(convert_to(header, 'UTF8')) || '.' || b64(convert_to(payload, 'UTF8'))) s(t) $$;
CREATE FUNCTION why(token text) RETURNS text LANGUAGE sql AS $$ SELECT coalesce(why, 'good: ' || claims::text) FROM qms_internal.jwt_check('jwt', token) $$;
\set h '{"alg":"HS256","typ":"JWT","kid":"1"}'
\set p '{"exp":1900000000}'
SELECT why(signed(:'h', :'p'));
SELECT why(signed(' { "kid" : "1" , "typ" : "JWT" , "alg" : "HS256" } ', ' {"exp" : 1900000000, "x": ["\u00fc", null, true, -1.5, {"y": {}}]} '));
-- headers
SELECT h, why(signed(h, :'p')) FROM (VALUES (1, '{"alg":"none","typ":"JWT","kid":"1"}'), (2, '{"alg":"None","typ":"JWT","kid":"1"}'), (3, '{"alg":"hs256","typ":"JWT","kid":"1"}'),
	(4, '{"alg":"HS512","typ":"JWT","kid":"1"}'), (5, '{"alg":"RS256","typ":"JWT","kid":"1"}'), (6, '{"alg":["HS256"],"typ":"JWT","kid":"1"}'), (7, '{"typ":"JWT","kid":"1"}'),
	(8, '{"alg":"HS256","kid":"1"}'), (9, '{"alg":"HS256","typ":"jwt","kid":"1"}'), (10, '{"alg":"HS256","typ":"JWE","kid":"1"}'), (11, '{"alg":"HS256","typ":null,"kid":"1"}'),
	(12, '{"alg":"HS256","typ":"JWT"}'), (13, '{"alg":"HS256","typ":"JWT","kid":1}'), (14, '{"alg":"HS256","typ":"JWT","kid":"2"}'), (15, '{"alg":"HS256","typ":"JWT","kid":"01"}'),
	(16, '{"alg":"HS256","typ":"JWT","kid":"1 "}'), (17, '{"alg":"HS256","typ":"JWT","kid":"-1"}'), (18, '{"alg":"HS256","typ":"JWT","kid":"65537"}'), (19, '{"alg":"HS256","typ":"JWT","kid":"4294967297"}'),
	(20, '{"alg":"HS256","typ":"JWT","kid":""}'), (21, '{"alg":"HS256","typ":"JWT","kid":"../1"}'), (22, '{"alg":"HS256","typ":"JWT","kid":"1","crit":["exp"]}'), (23, '{"alg":"HS256","typ":"JWT","crit":[]}'),
	(24, '{"alg":"HS256","typ":"JWT","kid":"1","jwk":{}}'), (25, '{"alg":"HS256","typ":"JWT","kid":"1","jku":"https://evil.example"}'), (26, '{"alg":"HS256","typ":"JWT","kid":"1","b64":false}'),
	(27, '{"alg":"HS256","typ":"JWT","kid":"1","alg":"HS256"}'), (28, '{"alg":"none","typ":"JWT","kid":"1","\u0061lg":"HS256"}'), (29, '{"alg":"HS256","typ":"JWT","kid":"1"} '), (30, '{"alg":"HS256","typ":"JWT","kid":"1"}x'),
	(31, '["HS256"]'), (32, '"HS256"'), (33, 'null'), (34, ''), (35, '{'), (36, '{"alg":"HS256","typ":"JWT","kid":"1\u0000"}'), (37, '{"alg":"HS256","typ":"JWT","kid":"1","x":' || repeat('[', 3000) || repeat(']', 3000) || '}')) v(n, h)
	WHERE n < 37 ORDER BY n;
SELECT why(signed('{"alg":"HS256","typ":"JWT","kid":"1","x":' || repeat('[', 2800) || repeat(']', 2800) || '}', :'p'));
-- claims
SELECT p, why(signed(:'h', p)) FROM (VALUES (1, '{}'), (2, '{"exp":null}'), (3, '{"exp":"1900000000"}'), (4, '{"exp":true}'), (5, '{"exp":[1900000000]}'), (6, '{"exp":1e10}'), (7, '{"exp":1E400}'), (8, '{"exp":19000000000000000000}'),
	(9, '{"exp":1900000000.9}'), (10, '{"exp":-1}'), (11, '{"exp":0}'), (12, '{"exp":1900000000,"exp":1900000000}'), (13, '{"exp":1900000000,"sub":"staff:1","sub":"staff:2"}'), (14, '{"exp":1900000000,"s\u0075b":"staff:1","sub":"staff:2"}'),
	(15, '{"exp":1900000000,"a":{"b":1,"b":2}}'), (16, '{"exp":1900000000,"a":[{"b":1},{"b":2}]}'), (17, '{"exp":1900000000,"aud":"x"}'), (18, '{"exp":1900000000,"a":NaN}'), (19, '{"exp":1900000000,"a":01}'),
	(20, '{"exp":1900000000,"a":1000000000000000000}'), (21, '{"exp":1900000000,"a":100000000000000000}'), (22, '{"exp":1900000000,"a":1e5}'), (23, '{"exp":1900000000,"a":"\ud800"}'), (24, '{"exp":1900000000,"a":"\u0000"}'),
	(25, '{"exp":1900000000,"a":[[[[[[[]]]]]]]}'), (26, '{"exp":1900000000,"a":[[[[[[[[]]]]]]]]}'), (27, '{"exp":1900000000,"a":"[[[[[[[[[[[["}'), (28, '{"exp":1900000000,}'), (29, '[{"exp":1900000000}]'), (30, '{"exp":1900000000}{"exp":1}'),
	(31, '{"exp":1900000000,"a":"\"[["}')) v(n, p) ORDER BY n;
-- bytes that are no UTF-8, and a NUL
SELECT why(t || '.' || b64(hmac(t::bytea, (SELECT secret FROM qms_internal.signing_key WHERE purpose = 'jwt'), 'sha256')))
	FROM (VALUES ('\xff'::bytea), ('\xc0af'), ('\xeda080'), ('\x00'), ('\xe282')) v(b), LATERAL (SELECT b64(:'h') || '.' || b64('{"exp":1900000000,"a":"'::bytea || b || '"}'::bytea)) s(t);
-- moments, with half a minute for clocks that differ
SELECT name, what, why(signed(:'h', jsonb_build_object('exp', 1900000000, name, 1893456000 + 6 * 86400 + 13 * 3600 + n)::text)) FROM (VALUES ('exp', 'just expired', -29), ('exp', 'expired', -30), ('nbf', 'soon', 30), ('nbf', 'later', 31), ('iat', 'soon', 30), ('iat', 'later', 31)) v(name, what, n);
-- the form
SELECT why(''), why('.'), why('..'), why('...'), why('a.b'), why('a.b.c.d'), why('a.b.c.d.e'), why(NULL);
SELECT signed(:'h', :'p') AS good \gset
SELECT why(:'good' || '='), why(:'good' || '.'), why('.' || :'good'), why(:'good' || ' '), why(' ' || :'good'), why(:'good' || E'\n');
SELECT why(replace(:'good', '.', '..')), why(rtrim(regexp_replace(:'good', '[^.]*$', ''), '.')), why(regexp_replace(:'good', '[^.]*$', ''));
-- another last character with the same bytes before it: bits that do not count
SELECT why(left(:'good', -1) || c) = 'its signature is wrong' AS refused FROM regexp_split_to_table('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', '') c WHERE c <> right(:'good', 1) GROUP BY 1;
SELECT why(translate(:'good', '-_', '+/')) IN ('its signature is wrong', why(:'good')) AS plain_base64;
-- one bit, anywhere
SELECT count(*) AS accepted FROM generate_series(1, length(:'good')) i, LATERAL (SELECT overlay(:'good' PLACING CASE substr(:'good', i, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM i)) s(t) WHERE why(t) ~ '^good' AND t <> :'good';
-- size
SELECT length(t), why(t) ~ '^good' AS good FROM (VALUES (5900), (6000), (6100)) v(n), LATERAL (SELECT signed(:'h', '{"exp":1900000000,"a":"' || repeat('x', n) || '"}')) s(t);
SELECT why(repeat('x', 1000000));
SELECT qms_internal.jwt_sign('jwt', jsonb_build_object('a', repeat('x', 7000)));
-- a key of another purpose, and one that is not used with that algorithm
SELECT (qms_internal.jwt_check('ticket_token', :'good')).why, (qms_internal.jwt_check('nothing', :'good')).why, (qms_internal.jwt_check(NULL, :'good')).why;
UPDATE qms_internal.signing_key SET algorithm = 'ES256' WHERE purpose = 'jwt';
SELECT why(:'good'), why(signed('{"alg":"ES256","typ":"JWT","kid":"1"}', :'p'));
SELECT qms_internal.jwt_sign('jwt', '{}');
UPDATE qms_internal.signing_key SET algorithm = 'HS256', active_from = '2030-01-07 13:01+00' WHERE purpose = 'jwt';
SELECT why(:'good');
UPDATE qms_internal.signing_key SET active_from = '2030-01-07 13:00:30+00' WHERE purpose = 'jwt';
SELECT why(:'good') ~ '^good' AS within_the_leeway;
UPDATE qms_internal.signing_key SET active_from = '-infinity', secret = 'short' WHERE purpose = 'jwt';
SELECT why(:'good');

RESET search_path;
DROP EXTENSION pgcrypto CASCADE;
DROP SCHEMA login_keys CASCADE;
