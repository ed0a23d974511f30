/* Logins, passwords, one-time codes, and the keys behind their tokens. */

/* A login that has ended must reach whoever remembers its principal; one that begins need not. */
CREATE TRIGGER configuration_changed AFTER UPDATE OF revoked_at OR DELETE OR TRUNCATE ON qms_internal.login_session FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();

CREATE TYPE qms.signing_key_state AS (
	purpose text,
	kid int,
	algorithm text,
	active_from timestamptz,
	expires_at timestamptz,
	signs boolean,
	source text
);
COMMENT ON TYPE qms.signing_key_state IS 'A key that tokens are made and checked with, without the key itself.';
COMMENT ON COLUMN qms.signing_key_state.purpose IS 'What it is for: jwt (access tokens), ticket_token, login (hashes of codes and contacts).';
COMMENT ON COLUMN qms.signing_key_state.kid IS 'Key id, unique per purpose; the kid of a token.';
COMMENT ON COLUMN qms.signing_key_state.algorithm IS 'HS256, RS256 or ES256 for jwt; HMAC-SHA256 for the others.';
COMMENT ON COLUMN qms.signing_key_state.active_from IS 'From when it signs, until a newer one does; null: ever since.';
COMMENT ON COLUMN qms.signing_key_state.expires_at IS 'Until when what it signed is accepted; null: no end.';
COMMENT ON COLUMN qms.signing_key_state.signs IS 'It is the one that signs now.';
COMMENT ON COLUMN qms.signing_key_state.source IS 'table (qms_internal.signing_key) or file (qms.signing_key_file).';

CREATE FUNCTION qms.rotate_signing_key(purpose text, algorithm text DEFAULT NULL, overlap interval DEFAULT NULL,
	active_from timestamptz DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.signing_key_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_rotate_signing_key';
COMMENT ON FUNCTION qms.rotate_signing_key IS 'Makes a new key for a purpose. It signs from active_from on (null: now); what older keys signed is accepted for overlap after that. purpose: jwt, ticket_token or login. algorithm: for jwt HS256, RS256 or ES256; null: that of the present key. overlap: null is what the purpose needs: for jwt the life of an access token and an hour, for the others no end; 0 ends the older keys at once, and every token they made. Others that check the tokens (PostgREST) must know the new key before active_from: see qms.jwks(). Event: signing_key.rotated, in each organization.
Callers: superusers and members of qms_super_admin. Errors: 22023 unknown purpose or algorithm, or a negative overlap, 55000 when keys come from qms.signing_key_file.';

CREATE FUNCTION qms.signing_keys()
RETURNS SETOF qms.signing_key_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_signing_keys';
COMMENT ON FUNCTION qms.signing_keys IS 'The keys that tokens are made and checked with, expired ones too, without the keys themselves. Those that seal personal data are not among them: see rotate_seal_key. Callers: superusers and members of qms_super_admin. Errors: F0000 when qms.signing_key_file cannot be read.';

CREATE FUNCTION qms.jwks(purpose text DEFAULT 'jwt')
RETURNS jsonb LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_jwks';
COMMENT ON FUNCTION qms.jwks IS 'The public keys of a purpose as a JSON Web Key Set (RFC 7517), so that others can check our tokens; also those that do not sign yet. Keys of HS256 are secret and never in it. Callers: everybody. Errors: F0000 when qms.signing_key_file cannot be read.';

CREATE FUNCTION qms_internal.jwt_sign(purpose text, claims jsonb)
RETURNS text LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_internal_jwt_sign';
COMMENT ON FUNCTION qms_internal.jwt_sign IS 'Signs claims as they are. For tests and repairs. Callers: superusers. Errors: QM309 too large, 22023 unknown purpose.';

CREATE FUNCTION qms_internal.jwt_check(purpose text, token text, OUT claims jsonb, OUT why text)
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_internal_jwt_check';
COMMENT ON FUNCTION qms_internal.jwt_check IS 'The claims of a token that is good now, else why it is not. For tests and to find out what is wrong. Callers: superusers.';

CREATE FUNCTION qms_internal.password_work()
RETURNS bigint LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'qms_internal_password_work';
COMMENT ON FUNCTION qms_internal.password_work IS 'Work that this session has done on passwords: a sum of 2 to the power of the cost. For tests, which must not measure time.';

/* ---- what the functions answer ---- */

CREATE TYPE qms.login_answer AS (
	access_token text,
	refresh_token text,
	expires_at timestamptz,
	staff_id bigint,
	organization_id bigint,
	role text,
	error text,
	retry_after int
);
COMMENT ON TYPE qms.login_answer IS 'Tokens of a login, or why there are none: then error is set, and everything before it is null.';
COMMENT ON COLUMN qms.login_answer.access_token IS 'JSON Web Token for PostgREST and the gateway: who it is (sub), as which database role (role), until when (exp).';
COMMENT ON COLUMN qms.login_answer.refresh_token IS '43 characters, good once: qms.refresh() gives new tokens for it.';
COMMENT ON COLUMN qms.login_answer.expires_at IS 'When the access token expires.';
COMMENT ON COLUMN qms.login_answer.staff_id IS 'Who it is.';
COMMENT ON COLUMN qms.login_answer.organization_id IS 'Organization of the staff member.';
COMMENT ON COLUMN qms.login_answer.role IS 'Role of the staff member: admin, app_admin, reception, caller or servicer.';
COMMENT ON COLUMN qms.login_answer.error IS 'invalid_credentials, too_many_attempts, account_disabled; of refresh invalid_token or token_reused; null: none.';
COMMENT ON COLUMN qms.login_answer.retry_after IS 'Seconds after which to try again; null: not said.';

CREATE TYPE qms.password_answer AS (
	staff_id bigint,
	error text,
	retry_after int
);
COMMENT ON TYPE qms.password_answer IS 'Whose password was changed, or why none was.';
COMMENT ON COLUMN qms.password_answer.staff_id IS 'Whose; null: nobody''s.';
COMMENT ON COLUMN qms.password_answer.error IS 'invalid_credentials, invalid_token, too_many_attempts or account_disabled; null: none.';
COMMENT ON COLUMN qms.password_answer.retry_after IS 'Seconds after which to try again; null: not said.';

CREATE TYPE qms.secret_request AS (
	expires_at timestamptz,
	error text,
	retry_after int
);
COMMENT ON TYPE qms.secret_request IS 'What somebody is answered who asked for a code or a token to be sent.';
COMMENT ON COLUMN qms.secret_request.expires_at IS 'Until when it is good, if there is one; null: none was sent.';
COMMENT ON COLUMN qms.secret_request.error IS 'too_many_attempts; null: none.';
COMMENT ON COLUMN qms.secret_request.retry_after IS 'Seconds after which to ask again; null: not said.';

CREATE TYPE qms.customer_login AS (
	access_token text,
	expires_at timestamptz,
	customer_id bigint,
	organization_id bigint,
	error text,
	retry_after int
);
COMMENT ON TYPE qms.customer_login IS 'The token of a customer who has proved a contact, or why there is none.';
COMMENT ON COLUMN qms.customer_login.access_token IS 'JSON Web Token for PostgREST and the gateway.';
COMMENT ON COLUMN qms.customer_login.expires_at IS 'When it expires.';
COMMENT ON COLUMN qms.customer_login.customer_id IS 'Who it is: the same one whenever the contact is proved again.';
COMMENT ON COLUMN qms.customer_login.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.customer_login.error IS 'invalid_code or too_many_attempts; null: none.';
COMMENT ON COLUMN qms.customer_login.retry_after IS 'Seconds after which to try again; null: not said.';

CREATE TYPE qms.secret_message AS (
	organization_id bigint,
	kind text,
	recipient text,
	secret text,
	expires_at timestamptz
);
COMMENT ON TYPE qms.secret_message IS 'A code or token to be brought to its owner.';
COMMENT ON COLUMN qms.secret_message.organization_id IS 'Organization that sends it.';
COMMENT ON COLUMN qms.secret_message.kind IS 'otp or password_reset.';
COMMENT ON COLUMN qms.secret_message.recipient IS 'Phone number or e-mail address; for password_reset the user name.';
COMMENT ON COLUMN qms.secret_message.secret IS 'The code of six digits, or the token.';
COMMENT ON COLUMN qms.secret_message.expires_at IS 'When it is of no use any more.';

/* ---- logins ---- */

CREATE FUNCTION qms.login(username text, password text, organization_slug text DEFAULT NULL)
RETURNS qms.login_answer LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_login';
COMMENT ON FUNCTION qms.login IS 'A staff member comes in with a password: an access token (qms.access_token_life, 24 h) and a refresh token (qms.refresh_token_life, 7 days). Who does not get in is answered a row with error, not an error, because failures are counted; PostgREST gets the status 401, 403 or 429 and Retry-After. From the fifth failure in a row on the name is locked for half a minute, then twice as long each time, up to a quarter of an hour, whether or not there is such a person. account_disabled is told only to who knows the password.
organization_slug: null is the organization of the caller, or the only one. It takes no request_id, because an answer with tokens is not to be kept.
Callers: everybody. Errors: 22004 or 22023 without name or password, 22023 when there are several organizations and none is named, 58P01 when the library of pgcrypto is not installed.';

CREATE FUNCTION qms.refresh(refresh_token text)
RETURNS qms.login_answer LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_refresh';
COMMENT ON FUNCTION qms.refresh IS 'New tokens for a refresh token, which is good once: keep the new one before you use it, and do not refresh in two places at once. One that comes a second time has been copied: the login ends, its access tokens too, and the answer is token_reused. invalid_token: it is none of ours, it has expired, or its login has ended. Callers: everybody. Errors: 22004 or 22023 without a token.';

CREATE FUNCTION qms.logout(refresh_token text DEFAULT NULL, everywhere boolean DEFAULT false)
RETURNS int LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_logout';
COMMENT ON FUNCTION qms.logout IS 'Ends the login of a refresh token, or without one that of the caller, with its access tokens; everywhere: every login of that person. Answers how many were ended; 0 for a token that is not known. Callers: everybody. Errors: 22023 without a token from somebody who is not here by a login.';

/* ---- passwords ---- */

CREATE FUNCTION qms.set_password(staff_id bigint, password text)
RETURNS void LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_set_password';
COMMENT ON FUNCTION qms.set_password IS 'Sets the password of a staff member, ends his logins and lifts a lock. A password has at least qms.password_min_length (12) characters, 5 different ones, at most 72 bytes, letters or 20 characters, does not contain the user name and is none of those that are tried first. It is kept as bcrypt of cost qms.password_cost (12). It takes no request_id: a hash of its arguments would be one of the password.
Callers: superusers and whoever administers the whole organization. Errors: QM101, QM502 password not allowed, 42501, 58P01 when the library of pgcrypto is not installed.';

CREATE FUNCTION qms.change_password(old_password text, new_password text)
RETURNS qms.password_answer LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_change_password';
COMMENT ON FUNCTION qms.change_password IS 'The caller changes his own password; all his logins end, this one too. A wrong old password is answered invalid_credentials and counts as a failed login. Callers: staff. Errors: QM502 password not allowed, 42501 for who is not staff.';

CREATE FUNCTION qms.request_password_reset(username text, organization_slug text DEFAULT NULL)
RETURNS qms.secret_request LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_request_password_reset';
COMMENT ON FUNCTION qms.request_password_reset IS 'Makes a token to set a new password with, good once and for half an hour, and an event staff.password_reset_requested for whoever delivers it (see qms.take_secret). The answer is the same whether or not there is such a person. At most one a minute for a person. Callers: everybody. Errors: 22004 or 22023 without a name, 22023 when there are several organizations and none is named.';

CREATE FUNCTION qms.reset_password(token text, new_password text)
RETURNS qms.password_answer LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_reset_password';
COMMENT ON FUNCTION qms.reset_password IS 'Sets a new password with the token that request_password_reset sent; all logins of that person end. invalid_token: it is none, has been used or has expired. A password that is not allowed leaves the token good. Callers: everybody. Errors: QM502 password not allowed.';

CREATE FUNCTION qms.disable_staff(staff_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.staff LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_disable_staff';
COMMENT ON FUNCTION qms.disable_staff IS 'Disables an account: its logins end, and it may neither log in nor act. A counter that is open stays open. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023 for one''s own account, 42501.';

CREATE FUNCTION qms.enable_staff(staff_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.staff LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_enable_staff';
COMMENT ON FUNCTION qms.enable_staff IS 'Enables a disabled account again, and lifts a lock after failed logins. Callers: superusers and whoever administers the whole organization. Errors: QM101, 42501.';

/* ---- one-time codes ---- */

CREATE FUNCTION qms.request_otp(contact text, organization_slug text DEFAULT NULL)
RETURNS qms.secret_request LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_request_otp';
COMMENT ON FUNCTION qms.request_otp IS 'Makes a code of six digits for a phone number or e-mail address, good for five minutes and five attempts, and an event otp.requested for whoever delivers it (see qms.take_secret). A contact has one live code: the newest. Who asks again without using one waits a minute, then two, four, up to an hour. Callers: everybody. Errors: QM101 unknown organization, 22023 when the contact is not readable as either, or several organizations are there and none is named.';

CREATE FUNCTION qms.verify_otp(contact text, code text, organization_slug text DEFAULT NULL)
RETURNS qms.customer_login LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_verify_otp';
COMMENT ON FUNCTION qms.verify_otp IS 'A customer proves with a code that a contact is his, and gets an access token. The same contact is the same customer. invalid_code: it is wrong, used, has expired, or was guessed at five times; ask for a new one. Callers: everybody. Errors: QM101 unknown organization, 22023 as for request_otp.';

CREATE FUNCTION qms.take_secret(secret_delivery_id bigint)
RETURNS SETOF qms.secret_message LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_take_secret';
COMMENT ON FUNCTION qms.take_secret IS 'For whoever delivers codes and reset tokens: reads one, named by the event, and removes it; no row when it was taken before or has expired. With a rollback it is there again. Callers: superusers and members of qms_super_admin. Errors: 22004.';
