/* Letting people in: claiming, checking and ending access, and the keys for it. */

CREATE TYPE qms.access_grant AS (
	access_token text,
	expires_at timestamptz,
	ticket_id bigint,
	queue_id bigint
);
COMMENT ON TYPE qms.access_grant IS 'What somebody who has been let in comes in with.';
COMMENT ON COLUMN qms.access_grant.access_token IS 'JSON Web Token. Null: this repeats a request_id after the token has been used, has expired or was revoked.';
COMMENT ON COLUMN qms.access_grant.expires_at IS 'When it expires, to the second.';
COMMENT ON COLUMN qms.access_grant.ticket_id IS 'Ticket, which is admitted now.';
COMMENT ON COLUMN qms.access_grant.queue_id IS 'Queue that the token lets into.';

CREATE TYPE qms.access_check AS (
	valid boolean,
	reason text,
	ticket_id bigint,
	queue_id bigint,
	organization_id bigint,
	subject text,
	expires_at timestamptz
);
COMMENT ON TYPE qms.access_check IS 'Whether a token lets in.';
COMMENT ON COLUMN qms.access_check.valid IS 'True: let him in. Never null.';
COMMENT ON COLUMN qms.access_check.reason IS 'Why not: malformed, unknown_key, bad_signature, queue_deleted, denied (the queue is not the caller''s), other_queue, other_subject, not_yet_valid, expired, queue_stopped, unknown (it is none that was given, or the ticket has a newer one), revoked, ended (the visit is over) or used. Null: valid.';
COMMENT ON COLUMN qms.access_check.ticket_id IS 'Ticket; this and what follows is null when the signature is not right or the queue not the caller''s.';
COMMENT ON COLUMN qms.access_check.queue_id IS 'Queue that it lets into.';
COMMENT ON COLUMN qms.access_check.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.access_check.subject IS 'Whom it is bound to: the subject of the ticket, or ticket:<ticket_id>.';
COMMENT ON COLUMN qms.access_check.expires_at IS 'When it expires.';

CREATE TYPE qms.finished_visit AS (
	ticket_id bigint,
	queue_id bigint,
	state text,
	started_at timestamptz,
	ended_at timestamptz
);
COMMENT ON TYPE qms.finished_visit IS 'A visit that is over.';
COMMENT ON COLUMN qms.finished_visit.ticket_id IS 'Ticket.';
COMMENT ON COLUMN qms.finished_visit.queue_id IS 'Queue whose place is free.';
COMMENT ON COLUMN qms.finished_visit.state IS 'completed.';
COMMENT ON COLUMN qms.finished_visit.started_at IS 'When access was claimed.';
COMMENT ON COLUMN qms.finished_visit.ended_at IS 'When the visit was finished.';

CREATE TYPE qms.access_key_info AS (
	kid text,
	algorithm text,
	active_from timestamptz,
	expires_at timestamptz,
	signs boolean,
	public_key text
);
COMMENT ON TYPE qms.access_key_info IS 'A key that access tokens are signed with; not the key itself.';
COMMENT ON COLUMN qms.access_key_info.kid IS 'What tokens call it: "<organization_id>.<number>".';
COMMENT ON COLUMN qms.access_key_info.algorithm IS 'HS256, RS256 or ES256.';
COMMENT ON COLUMN qms.access_key_info.active_from IS 'From when new tokens are signed with it; null: ever since.';
COMMENT ON COLUMN qms.access_key_info.expires_at IS 'Until when what it signed is accepted; null: no end.';
COMMENT ON COLUMN qms.access_key_info.signs IS 'Whether it is the one that signs now.';
COMMENT ON COLUMN qms.access_key_info.public_key IS 'Public key as PEM; null for HS256.';

CREATE TYPE qms.issued_access_key AS (
	kid text,
	algorithm text,
	active_from timestamptz,
	expires_at timestamptz,
	signs boolean,
	public_key text,
	secret text,
	previous_expire_at timestamptz
);
COMMENT ON TYPE qms.issued_access_key IS 'A new key for access tokens.';
COMMENT ON COLUMN qms.issued_access_key.kid IS 'What tokens call it: "<organization_id>.<number>".';
COMMENT ON COLUMN qms.issued_access_key.algorithm IS 'HS256, RS256 or ES256.';
COMMENT ON COLUMN qms.issued_access_key.active_from IS 'From when new tokens are signed with it.';
COMMENT ON COLUMN qms.issued_access_key.expires_at IS 'Null: it has no end until the next rotation.';
COMMENT ON COLUMN qms.issued_access_key.signs IS 'Whether it signs already.';
COMMENT ON COLUMN qms.issued_access_key.public_key IS 'RS256 and ES256: the public key as PEM; qms.access_jwks has it too. Null for HS256.';
COMMENT ON COLUMN qms.issued_access_key.secret IS 'HS256: the 32 bytes of the key in base64url, for those who verify tokens themselves; shown this once. Whoever has it can also sign. Null for RS256 and ES256, whose private key is never shown.';
COMMENT ON COLUMN qms.issued_access_key.previous_expire_at IS 'Until when what older keys signed is accepted at most; null: it is the first key.';

CREATE FUNCTION qms.claim_access(token qms.ticket_token, request_id uuid DEFAULT NULL)
RETURNS qms.access_grant LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_claim_access';
COMMENT ON FUNCTION qms.claim_access IS 'Who has been let in takes his access token (JWT): released becomes admitted, until the visit is finished or the token expires after token_life of the queue. Claims: iss (slug of the organization), sub (subject of the ticket, else ticket:<ticket_id>), aud (queue:<queue_id>), org, queue, iat, nbf, exp, jti. Claiming again answers the same jti, iat and exp as long as the token has not been used. Signed with the key of the organization that signs now; the first one, HS256, is made when it is needed.
Callers: whoever has the visit''s token. Errors: QM501 for a token that is not valid, QM530 not let in yet (the detail says the position), QM531 not claimed in time, or the visit is over, QM532 the access token has been used, QM420 the queue is stopped, QM307 no waiting room.';

CREATE FUNCTION qms.verify_access(access_token text, subject text DEFAULT NULL, queue_id bigint DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.access_check LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_verify_access';
COMMENT ON FUNCTION qms.verify_access IS 'May whoever shows this access token come in? Checks signature, expiry, whether it was given, revoked or used, and whether the visit goes on. With single_use of the queue (the default) the first call of all is answered valid, every other one used. subject: who shows it, an empty text too; null: not compared. queue_id: what for; null: not compared, and queue_id of the answer must be looked at if the caller has several queues. Whatever is wrong with the token is a row with valid = false and a reason, never an error; an error (no rights, no connection) is a refusal too. A repeated request_id answers what was answered then: make a new one for each person who shows a token.
Callers: applications for their queues, administrators, staff who were granted access.verify. Errors: 42501.';

CREATE FUNCTION qms.finish_visit(access_token text, request_id uuid DEFAULT NULL)
RETURNS qms.finished_visit LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_finish_visit';
COMMENT ON FUNCTION qms.finish_visit IS 'The visit of an access token is over: the ticket is completed and its place free at once. Finishing again answers the same. A token that has expired finishes too, as long as the visit has not been ended. Callers: whoever has the access token. Errors: QM501 for a token that is not valid, QM402 when the visit ended in another way.';

CREATE FUNCTION qms.revoke_access(ticket_id bigint, reason text DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_revoke_access';
COMMENT ON FUNCTION qms.revoke_access IS 'Takes access back: an admitted ticket is revoked and its token good for nothing, a released one is cancelled; the place is free at once. Whoever verifies tokens with a library of his own hears of it only by the event ticket.revoked. Callers: as for cancel_ticket. Errors: QM101, QM401 when it is neither released nor admitted, QM402.';

CREATE FUNCTION qms.rotate_access_key(organization_id bigint, algorithm text DEFAULT NULL, overlap interval DEFAULT '1 day', active_from timestamptz DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.issued_access_key LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_rotate_access_key';
COMMENT ON FUNCTION qms.rotate_access_key IS 'Makes a new key for the access tokens of an organization. algorithm: HS256, RS256 or ES256; null: that of the present key, HS256 for the first. It signs from active_from on (null: now), so that those who verify tokens can be told of it before. What older keys signed is accepted for as long as overlap says (0 to 3660 days) after that. Callers: superusers and administrators of the whole organization. Errors: QM101, 22023.';

CREATE FUNCTION qms.access_keys(organization_id bigint)
RETURNS SETOF qms.access_key_info LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_access_keys';
COMMENT ON FUNCTION qms.access_keys IS 'The keys of the access tokens of an organization, the newest first; no secrets. Callers: superusers and administrators of the whole organization. Errors: QM101.';

CREATE FUNCTION qms.access_jwks(organization_slug text)
RETURNS jsonb LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_access_jwks';
COMMENT ON FUNCTION qms.access_jwks IS 'The public keys (RS256, ES256) that access tokens of an organization can be verified with, those not yet active too, as a JSON Web Key Set. HS256 keys are secret and not in it. Callers: everybody. Errors: QM101 of an organization that is not there, or not the caller''s.';
