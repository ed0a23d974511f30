COMMENT ON TABLE qms_internal.access_key IS 'Keys that access tokens are signed with, of each organization its own. Whoever reads one can sign for that organization, though not make a token that qms.verify_access knows.';
COMMENT ON COLUMN qms_internal.access_key.access_key_id IS 'Id.';
COMMENT ON COLUMN qms_internal.access_key.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.access_key.kid IS 'Number of the key in the organization; a token calls it "<organization_id>.<kid>".';
COMMENT ON COLUMN qms_internal.access_key.algorithm IS 'HS256, RS256 or ES256; fixed by this row, never by a token.';
COMMENT ON COLUMN qms_internal.access_key.secret IS 'The key itself: 32 bytes, or a private key in DER.';
COMMENT ON COLUMN qms_internal.access_key.created_at IS 'When the row was made.';
COMMENT ON COLUMN qms_internal.access_key.active_from IS 'From when new tokens are signed with it.';
COMMENT ON COLUMN qms_internal.access_key.expires_at IS 'Until when its tokens are accepted; null: no end.';

COMMENT ON TABLE qms_internal.access_token IS 'Access tokens: one for each ticket that was claimed, and that its last one. Rows go an hour after their tokens have expired.';
COMMENT ON COLUMN qms_internal.access_token.ticket_id IS 'Ticket.';
COMMENT ON COLUMN qms_internal.access_token.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.access_token.queue_id IS 'Queue that the token lets into.';
COMMENT ON COLUMN qms_internal.access_token.nonce IS '16 random bytes, part of the token''s id (jti): who can sign cannot guess it.';
COMMENT ON COLUMN qms_internal.access_token.issued_at IS 'When it was claimed, to the second (iat).';
COMMENT ON COLUMN qms_internal.access_token.expires_at IS 'When it expires, to the second (exp).';
COMMENT ON COLUMN qms_internal.access_token.used_at IS 'When qms.verify_access first said yes to it; null: not yet.';
COMMENT ON COLUMN qms_internal.access_token.revoked_at IS 'When it was revoked; null: it was not.';
