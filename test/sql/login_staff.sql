-- Staff come in with a password, go on with a refresh token, and leave.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
CREATE SCHEMA login_staff;
GRANT USAGE ON SCHEMA login_staff TO PUBLIC;
SET search_path = login_staff;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET qms.mock_now = '2030-01-07 09:00+00';
SET qms.password_cost = 4;
CREATE ROLE login_web LOGIN NOINHERIT;
GRANT qms_authenticator, qms_customer, qms_servicer, qms_reception, qms_admin, qms_display TO login_web;
SELECT organization_id AS one FROM qms.create_organization('One') \gset
SELECT branch_id AS north FROM qms.create_branch(:one, 'North') \gset
SELECT staff_id AS ada FROM qms.create_staff(:one, 'ada', role => 'admin') \gset
SELECT staff_id AS bob FROM qms.create_staff(:one, 'bob') \gset
SELECT staff_id AS nell FROM qms.create_staff(:one, 'nell', role => 'admin', branch_ids => ARRAY[:north]) \gset

-- Everything an answer says but the tokens.
CREATE FUNCTION said(a qms.login_answer) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', CASE WHEN a.error IS NULL THEN (SELECT username FROM qms.staff s WHERE s.staff_id = a.staff_id) || ' is in as ' || a.role || ' until ' || a.expires_at END,
		length(a.refresh_token), a.error, 'after ' || a.retry_after || ' s') $$;
CREATE TABLE kept (name text PRIMARY KEY, access text, refresh text);
CREATE FUNCTION keep(name text, a qms.login_answer) RETURNS text LANGUAGE sql AS $$
	INSERT INTO kept VALUES (name, a.access_token, a.refresh_token) ON CONFLICT ON CONSTRAINT kept_pkey DO UPDATE SET access = excluded.access, refresh = excluded.refresh;
	SELECT said(a) $$;
-- What happened since the last look.
CREATE SEQUENCE seen;
CREATE FUNCTION news() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	last bigint := (SELECT last_value FROM seen);
BEGIN
	RETURN QUERY SELECT concat_ws(' ', e.kind, 'by', e.actor_kind, s.username, e.data - 'login_session_id' - 'staff_id' - 'secret_delivery_id',
			'about ' || (SELECT username FROM qms.staff a WHERE a.staff_id = (e.data->>'staff_id')::bigint))
		FROM qms.event e LEFT JOIN qms.staff s ON s.staff_id = e.actor_id WHERE e.event_id > last AND e.kind ~ '^(staff\.[^cu]|otp)' ORDER BY e.event_id;
	PERFORM setval('seen', max(event_id)) FROM qms.event;
END $$;
-- A request as PostgREST makes it, by an access token.
CREATE FUNCTION be(name text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	claims jsonb := (SELECT claims FROM kept k, qms_internal.jwt_check('jwt', k.access) WHERE k.name = be.name);
BEGIN
	PERFORM set_config('request.jwt.claims', coalesce(claims::text, ''), false);
	RETURN coalesce(claims->>'role', 'no token');
END $$;
CREATE FUNCTION who() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	p record;
	why text;
BEGIN
	SELECT * INTO p FROM qms.current_principal();
	RETURN concat_ws(' ', p.kind, p.role, 'by', p.via);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
	RETURN sqlstate || ' ' || why;
END $$;
SELECT setval('seen', max(event_id)) > 0 AS seen FROM qms.event;

-- passwords that are not allowed
\set VERBOSITY default
SELECT qms.set_password(:ada, 'elevenchars');
SELECT qms.set_password(:ada, repeat('correct horse ', 6));
SELECT qms.set_password(:ada, 'The name is Ada, truly');
SELECT qms.set_password(:ada, 'abababababababab');
SELECT qms.set_password(:ada, 'Passwort!!2029');
SELECT qms.set_password(:ada, '123qwertyuiop789');
SELECT qms.set_password(:ada, '1980-01-31 12:30');
\set VERBOSITY terse
SELECT qms.set_password(:ada, '1980-01-31 12:30 5 7 9');
SELECT qms.set_password(:ada, NULL);
SELECT qms.set_password(:ada, '');
SELECT qms.set_password(NULL, 'correct horse battery');
SELECT qms.set_password(999999, 'correct horse battery');
SET qms.password_min_length = 20;
SELECT qms.set_password(:ada, 'nineteen characters');
RESET qms.password_min_length;
SELECT qms.set_password(:ada, 'correct horse battery'), qms.set_password(:bob, 'übergroße Gänsefüße'), qms.set_password(:nell, 'correct horse battery');
SELECT substr(hash, 1, 7) AS kind, length(hash), cost FROM qms_internal.staff_password WHERE staff_id = :ada;
SELECT news();

-- in, and not in
SELECT keep('ada', qms.login('ada', 'correct horse battery'));
SELECT said(qms.login('ada', 'correct horse batterx'));
SELECT said(qms.login('ada', 'correct horse battery', 'one'));
SELECT said(qms.login('ada', 'correct horse battery', 'two'));
SELECT said(qms.login('Ada', 'correct horse battery'));
SELECT said(qms.login('nobody', 'correct horse battery'));
SELECT qms.login('ada', '');
SELECT qms.login(NULL, 'correct horse battery');
SELECT qms.login('ada', repeat('x', 5000));
-- the same letters from another keyboard; and nothing is cut off
SELECT said(qms.login('bob', U&'\00fcbergro\00dfe G\00e4nsef\00fc\00dfe')), said(qms.login('bob', U&'u\0308bergro\00dfe Ga\0308nsefu\0308\00dfe'));
SELECT qms.set_password(:bob, repeat('0123456789 abcdef', 4) || 'WXYZ');
SELECT said(qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ')), said(qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ and more'));
SELECT news();
-- what the token says
SELECT claims - 'sub' - 'jti' - 'session_id' - 'organization_id' AS claims, claims->>'sub' = 'staff:' || :ada AS sub, (claims->>'organization_id')::bigint = :one AS organization,
	length(claims->>'jti') AS jti, (claims->>'session_id')::bigint = (SELECT min(login_session_id) FROM qms_internal.login_session) AS session, why
	FROM kept, qms_internal.jwt_check('jwt', access) WHERE name = 'ada';
SET SESSION AUTHORIZATION login_web;
SELECT be('ada');
SET ROLE qms_admin;
SELECT who();
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;

-- what PostgREST answers
BEGIN;
SELECT said(qms.login('ada', 'no')), current_setting('response.status') AS status, current_setting('response.headers', true) AS headers;
ROLLBACK;

-- Names that do not exist, accounts without a password and wrong passwords cost the same work.
CREATE FUNCTION work(username text, password text, slug text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before bigint := qms_internal.password_work();
	answer qms.login_answer;
BEGIN
	answer := qms.login(username, password, slug);
	RETURN coalesce(answer.error, 'in') || ' ' || qms_internal.password_work() - before;
END $$;
SELECT staff_id AS cleo FROM qms.create_staff(:one, 'cleo') \gset
SELECT work('bob', 'wrong'), work('nobody at all', 'wrong'), work('cleo', 'wrong'), work('bob', 'wrong', 'no such organization');
-- also when hashes have different costs; a good login makes its hash as strong as new ones
SET qms.password_cost = 6;
SELECT qms.set_password(:cleo, 'correct horse battery');
SET qms.password_cost = 5;
SELECT work('ada', 'wrong'), work('nobody', 'wrong'), work('cleo', 'wrong'), work('bob', 'wrong', 'no such organization');
SELECT work('ada', 'correct horse battery') AS stronger, work('cleo', 'correct horse battery') AS not_weaker;
SELECT username, cost FROM qms_internal.staff_password JOIN qms.staff USING (staff_id) ORDER BY 1;
SET qms.password_cost = 4;
DELETE FROM qms_internal.login_attempt;

-- From the fifth failure on it is locked, longer and longer; for names that do not exist too.
CREATE FUNCTION fail(username text, n int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	a qms.login_answer;
BEGIN
	FOR i IN 1..n LOOP
		a := qms.login(username, 'wrong');
		RETURN NEXT concat_ws(' ', a.error, a.retry_after);
	END LOOP;
END $$;
SELECT fail('bob', 7) AS bob, fail('phantom', 7) AS phantom;
SELECT said(qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ')) AS right_but_locked;
SET qms.mock_now = '2030-01-07 09:00:29.5+00';
SELECT said(qms.login('bob', 'wrong'));
SET qms.mock_now = '2030-01-07 09:00:30+00';
SELECT fail('bob', 2) AS bob, fail('phantom', 2) AS phantom;
SET qms.mock_now = '2030-01-07 09:02+00';
SELECT fail('bob', 2);
SET qms.mock_now = '2030-01-07 09:05+00';
SELECT fail('bob', 2);
SET qms.mock_now = '2030-01-07 09:10+00';
SELECT fail('bob', 2);
SET qms.mock_now = '2030-01-07 09:20+00';
SELECT fail('bob', 2);
SET qms.mock_now = '2030-01-07 09:40+00';
SELECT fail('bob', 2) AS at_most_a_quarter_of_an_hour;
SET qms.mock_now = '2030-01-07 10:00+00';
SELECT said(qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ')) AS in_at_last;
SELECT fail('bob', 5) AS counted_from_the_beginning;
SET qms.mock_now = '2030-01-08 10:00:31+00';
SELECT fail('bob', 5) AS forgotten_after_a_day;
SELECT news();
-- an administrator lifts it
SELECT said(qms.login('bob', 'wrong')), username FROM qms.enable_staff(:bob);
SET qms.mock_now = '2030-01-08 10:01+00';
SELECT setval('seen', max(event_id)) > 0 AS seen FROM qms.event;

-- the refresh token is good once
SELECT keep('ada', qms.login('ada', 'correct horse battery'));
SELECT keep('next', qms.refresh(refresh)) FROM kept WHERE name = 'ada';
SELECT count(DISTINCT access), count(DISTINCT refresh) FROM kept WHERE name IN ('ada', 'next');
SELECT keep('next', qms.refresh(refresh)) FROM kept WHERE name = 'next';
SELECT news();
SET SESSION AUTHORIZATION login_web;
SELECT be('next');
SET ROLE qms_admin;
SELECT who();
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;
-- one that comes again has been copied: the whole login ends
SELECT said(qms.refresh(refresh)) FROM kept WHERE name = 'ada';
SELECT said(qms.refresh(refresh)) FROM kept WHERE name = 'next';
SELECT said(qms.refresh(refresh)) AS ended FROM kept WHERE name = 'ada';
SELECT news();
SELECT revoke_reason FROM qms_internal.login_session ORDER BY login_session_id DESC LIMIT 1;
SET SESSION AUTHORIZATION login_web;
SELECT be('next');
SET ROLE qms_admin;
SELECT who();
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;
-- tokens that are none
SELECT said(qms.refresh('x')), said(qms.refresh(repeat('A', 43))), said(qms.refresh(repeat('A', 44))), said(qms.refresh(repeat('B', 43))), said(qms.refresh(repeat('A', 4000)));
SELECT qms.refresh(NULL);
SELECT qms.refresh('');
-- they expire
SELECT keep('ada', qms.login('ada', 'correct horse battery'));
SET qms.mock_now = '2030-01-15 10:00:59+00';
SELECT keep('next', qms.refresh(refresh)) FROM kept WHERE name = 'ada';
SET qms.mock_now = '2030-01-22 10:00:59+00';
SELECT said(qms.refresh(refresh)) FROM kept WHERE name = 'next';
SELECT count(*) FROM qms_internal.refresh_token t JOIN qms_internal.login_session s USING (login_session_id) WHERE s.expires_at > '2030-01-20';
-- their life is a setting
SET qms.access_token_life = '10 min';
SET qms.refresh_token_life = '1 h';
SELECT keep('ada', qms.login('ada', 'correct horse battery'));
SET qms.mock_now = '2030-01-22 11:01+00';
SELECT said(qms.refresh(refresh)) FROM kept WHERE name = 'ada';
RESET qms.access_token_life;
RESET qms.refresh_token_life;

-- logout
SELECT keep('ada', qms.login('ada', 'correct horse battery')), keep('ada2', qms.login('ada', 'correct horse battery')), keep('ada3', qms.login('ada', 'correct horse battery'));
SELECT setval('seen', max(event_id)) > 0 AS seen FROM qms.event;
SELECT qms.logout(refresh), qms.logout(refresh) AS again FROM kept WHERE name = 'ada';
SELECT said(qms.refresh(refresh)) FROM kept WHERE name = 'ada';
SELECT qms.logout('nonsense'), qms.logout(repeat('A', 43));
SELECT qms.logout();
SET SESSION AUTHORIZATION login_web;
SELECT be('ada2');
SET ROLE qms_admin;
SELECT qms.logout();
SELECT who();
RESET ROLE;
SELECT be('ada3');
SET ROLE qms_admin;
SELECT who();
SELECT qms.logout(everywhere => true);
SELECT who();
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;
SELECT keep('bob', qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ')), said(qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ'));
SELECT qms.logout(refresh, true) AS both FROM kept WHERE name = 'bob';
SELECT news();

-- one's own password
SELECT qms.change_password('correct horse battery', 'another horse battery');
SELECT keep('ada', qms.login('ada', 'correct horse battery')), keep('ada2', qms.login('ada', 'correct horse battery'));
SELECT setval('seen', max(event_id)) > 0 AS seen FROM qms.event;
SET SESSION AUTHORIZATION login_web;
SELECT be('ada');
SET ROLE qms_admin;
SELECT error, retry_after, staff_id IS NULL AS none FROM qms.change_password('wrong', 'another horse battery');
SELECT qms.change_password('correct horse battery', 'correct horse battery');
SELECT qms.change_password('correct horse battery', 'short');
SELECT error, staff_id = :ada AS ada FROM qms.change_password('correct horse battery', 'another horse battery');
SELECT who();
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;
SELECT said(qms.refresh(refresh)) FROM kept WHERE name IN ('ada', 'ada2');
SELECT said(qms.login('ada', 'correct horse battery')), said(qms.login('ada', 'another horse battery'));
SELECT news();
SET SESSION AUTHORIZATION login_web;
SET ROLE qms_customer;
SELECT qms.change_password('a', 'b');
RESET SESSION AUTHORIZATION;

-- disabled, enabled, deleted
SELECT keep('bob', qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ'));
SELECT setval('seen', max(event_id)) > 0 AS seen FROM qms.event;
SELECT username, disabled_at FROM qms.disable_staff(:bob);
SET qms.mock_now = '2030-01-22 11:02+00';
SELECT username, disabled_at FROM qms.disable_staff(:bob);
SELECT said(qms.login('bob', 'wrong')), said(qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ'));
SELECT said(qms.refresh(refresh)) FROM kept WHERE name = 'bob';
SET SESSION AUTHORIZATION login_web;
SELECT be('bob');
SET ROLE qms_servicer;
SELECT who();
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;
SELECT username, disabled_at FROM qms.enable_staff(:bob);
SELECT keep('bob', qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ'));
SELECT username FROM qms.delete_staff(:bob);
SELECT said(qms.refresh(refresh)) FROM kept WHERE name = 'bob';
SELECT said(qms.login('bob', repeat('0123456789 abcdef', 4) || 'WXYZ'));
SELECT news();
SELECT qms.set_password(:bob, 'correct horse battery');
SELECT qms.disable_staff(:bob);

-- a forgotten password
SELECT * FROM qms.request_password_reset('ada');
SELECT * FROM qms.request_password_reset('nobody');
SELECT * FROM qms.request_password_reset('ada', 'no such organization');
SELECT news();
BEGIN;
SELECT t.kind, recipient, length(secret), t.expires_at FROM qms_internal.secret_delivery d, qms.take_secret(d.secret_delivery_id) t;
ROLLBACK;
SELECT keep('ada', qms.login('ada', 'another horse battery'));
SELECT t.secret FROM qms_internal.secret_delivery d, qms.take_secret(d.secret_delivery_id) t ORDER BY d.secret_delivery_id \gset
SELECT count(*) FROM qms_internal.secret_delivery;
SELECT * FROM qms.reset_password('nonsense', 'third horse battery');
SELECT qms.reset_password(:'secret', 'short');
SELECT error, staff_id = :ada AS ada FROM qms.reset_password(:'secret', 'third horse battery');
SELECT * FROM qms.reset_password(:'secret', 'third horse battery');
SELECT said(qms.refresh(refresh)) FROM kept WHERE name = 'ada';
SELECT said(qms.login('ada', 'third horse battery'));
SELECT news();
-- at most one a minute, good for half an hour, and the next one takes its place
SELECT expires_at FROM qms.request_password_reset('ada');
SELECT expires_at FROM qms.request_password_reset('ada');
SELECT count(*) FROM qms_internal.secret_delivery;
SELECT t.secret FROM qms_internal.secret_delivery d, qms.take_secret(d.secret_delivery_id) t ORDER BY d.secret_delivery_id \gset
SET qms.mock_now = '2030-01-22 11:03+00';
SELECT expires_at FROM qms.request_password_reset('ada');
SELECT error FROM qms.reset_password(:'secret', 'fourth horse battery');
SELECT t.secret FROM qms_internal.secret_delivery d, qms.take_secret(d.secret_delivery_id) t ORDER BY d.secret_delivery_id \gset
SET qms.mock_now = '2030-01-22 11:33+00';
SELECT error FROM qms.reset_password(:'secret', 'fourth horse battery');
-- an expired one cannot be taken
SELECT expires_at FROM qms.request_password_reset('ada');
SELECT max(secret_delivery_id) AS late FROM qms_internal.secret_delivery \gset
SET qms.mock_now = '2030-01-22 12:03+00';
SELECT count(*) FROM qms.take_secret(:late);

-- who may
SELECT keep('nell', qms.login('nell', 'correct horse battery')), keep('ada', qms.login('ada', 'third horse battery'));
SELECT organization_id AS two FROM qms.create_organization('Two') \gset
SELECT staff_id AS otto FROM qms.create_staff(:two, 'otto', role => 'admin') \gset
SELECT qms.set_password(:otto, 'correct horse battery');
SELECT keep('otto', qms.login('otto', 'correct horse battery', 'two'));
SET SESSION AUTHORIZATION login_web;
SELECT be('nell');
SET ROLE qms_admin;
SELECT qms.set_password(:ada, 'correct horse battery');
SELECT qms.disable_staff(:ada);
RESET ROLE;
SELECT be('otto');
SET ROLE qms_admin;
SELECT qms.set_password(:ada, 'correct horse battery');
SELECT qms.disable_staff(:ada);
SELECT qms.disable_staff(:otto);
SELECT qms.rotate_signing_key('jwt');
SELECT * FROM qms.signing_keys();
SELECT * FROM qms.take_secret(1);
SELECT * FROM qms_internal.jwt_sign('jwt', '{}');
SELECT * FROM qms_internal.signing_key;
SELECT * FROM qms_internal.staff_password;
RESET ROLE;
SELECT be('none');
SET ROLE qms_customer;
-- of several organizations one must be named, by who belongs to none
SELECT error FROM qms.login('ada', 'third horse battery');
SELECT error, role FROM qms.login('ada', 'third horse battery', 'one');
SELECT error, role FROM qms.login('otto', 'correct horse battery', 'one');
SELECT qms.set_password(:ada, 'correct horse battery');
SELECT * FROM qms.take_secret(1);
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;

-- The limits count also what is rolled back; who acts directly is not limited.
SET SESSION AUTHORIZATION login_web;
SET ROLE qms_customer;
SELECT error, retry_after FROM qms.login('otto', 'wrong', 'two');
BEGIN;
SELECT a.error, a.retry_after FROM generate_series(1, 3) n, qms.login('otto', 'wrong' || n, 'two') a;
ROLLBACK;
SELECT error, retry_after FROM qms.login('otto', 'wrong', 'two');
SELECT error, retry_after FROM qms.login('otto', 'wrong', 'two');
SELECT error, retry_after FROM qms.login('phantom', 'wrong', 'two');
RESET SESSION AUTHORIZATION;
SELECT count(*), max(failures) AS failures FROM qms_internal.login_attempt WHERE organization_id = :two;
SELECT error FROM qms.login('otto', 'correct horse battery', 'two');

-- Ended even in a transaction that began before the login.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM qms.staff;
SELECT keep('ada', qms.login('ada', 'third horse battery', 'one'));
SELECT qms.set_password(:ada, 'fifth horse battery');
COMMIT;
SELECT said(qms.refresh(refresh)) FROM kept WHERE name = 'ada';
-- a request that is repeated
SELECT username FROM qms.disable_staff(:ada, '00000000-0000-0000-0000-000000000001');
SELECT username FROM qms.enable_staff(:ada);
SELECT username, disabled_at IS NULL AS "as it was answered then" FROM qms.disable_staff(:ada, '00000000-0000-0000-0000-000000000001');
SELECT disabled_at IS NULL AS enabled FROM qms.staff WHERE staff_id = :ada;

RESET search_path;
DROP SCHEMA login_staff CASCADE;
DROP ROLE login_web;
