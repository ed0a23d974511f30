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
COMMENT ON FUNCTION qms.rotate_signing_key IS 'Makes a new key for a purpose. It signs from active_from on (null: now); what older keys signed is accepted for overlap after that. purpose: jwt, ticket_token or login. algorithm: for jwt HS256, RS256 or ES256; null: that of the present key. overlap: null is what the purpose needs: for jwt the life of an access token and an hour, for the others no end; 0 ends the older keys at once, and every token they made. Others that check the tokens (PostgREST) must know the new key before active_from: see qms.jwks().
Callers: superusers and members of qms_super_admin. Errors: 22023 unknown purpose or algorithm, or a negative overlap, 55000 when keys come from qms.signing_key_file.';

CREATE FUNCTION qms.signing_keys()
RETURNS SETOF qms.signing_key_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_signing_keys';
COMMENT ON FUNCTION qms.signing_keys IS 'The keys that tokens are made and checked with, expired ones too, without the keys themselves. Callers: superusers and members of qms_super_admin. Errors: F0000 when qms.signing_key_file cannot be read.';

CREATE FUNCTION qms.jwks(purpose text DEFAULT 'jwt')
RETURNS jsonb LANGUAGE c STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_jwks';
COMMENT ON FUNCTION qms.jwks IS 'The public keys of a purpose as a JSON Web Key Set (RFC 7517), so that others can check our tokens; also those that do not sign yet. Keys of HS256 are secret and never in it. Callers: everybody. Errors: F0000 when qms.signing_key_file cannot be read.';

CREATE FUNCTION qms_internal.jwt_sign(purpose text, claims jsonb)
RETURNS text LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_jwt_sign_claims';
COMMENT ON FUNCTION qms_internal.jwt_sign IS 'Signs claims as they are. For tests and repairs. Callers: superusers. Errors: QM309 too large, 22023 unknown purpose.';

CREATE FUNCTION qms_internal.jwt_check(purpose text, token text, OUT claims jsonb, OUT why text)
LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_jwt_check_token';
COMMENT ON FUNCTION qms_internal.jwt_check IS 'The claims of a token that is good now, else why it is not. For tests and to find out what is wrong. Callers: superusers.';
