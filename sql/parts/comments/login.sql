/* Tables of logins. */
COMMENT ON TABLE qms_internal.staff_password IS 'Passwords of staff, as bcrypt hashes.';
COMMENT ON COLUMN qms_internal.staff_password.staff_id IS 'Whose.';
COMMENT ON COLUMN qms_internal.staff_password.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.staff_password.hash IS 'bcrypt, as pgcrypto writes it.';
COMMENT ON COLUMN qms_internal.staff_password.cost IS 'Cost of that hash: its work is 2 to the power of it.';
COMMENT ON COLUMN qms_internal.staff_password.changed_at IS 'When the password was set last.';

COMMENT ON TABLE qms_internal.login_attempt IS 'Failed logins since the last good one, by user name as typed, whether or not there is such a person. Never dumped; forgotten a day after the last failure.';
COMMENT ON COLUMN qms_internal.login_attempt.organization_id IS 'Organization named by the login; 0: none of that slug.';
COMMENT ON COLUMN qms_internal.login_attempt.username_hash IS 'HMAC of the user name: what people type there by mistake may be a password.';
COMMENT ON COLUMN qms_internal.login_attempt.failures IS 'How many in a row.';
COMMENT ON COLUMN qms_internal.login_attempt.failed_at IS 'The last one.';
COMMENT ON COLUMN qms_internal.login_attempt.locked_until IS 'No password is looked at before; null: not locked.';

COMMENT ON TABLE qms_internal.login_session IS 'Logins of staff: what session_id in an access token names. Its tokens count until it is revoked.';
COMMENT ON COLUMN qms_internal.login_session.login_session_id IS 'Id.';
COMMENT ON COLUMN qms_internal.login_session.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.login_session.staff_id IS 'Who logged in.';
COMMENT ON COLUMN qms_internal.login_session.created_at IS 'When.';
COMMENT ON COLUMN qms_internal.login_session.refreshed_at IS 'When its last tokens were made.';
COMMENT ON COLUMN qms_internal.login_session.expires_at IS 'When its last refresh token expires.';
COMMENT ON COLUMN qms_internal.login_session.revoked_at IS 'When it was ended; null: it was not.';
COMMENT ON COLUMN qms_internal.login_session.revoke_reason IS 'Why: logout, password, disabled, deleted, reuse; null: not ended.';
COMMENT ON COLUMN qms_internal.login_session.address IS 'Network address of the login; null: local or not known.';

COMMENT ON TABLE qms_internal.refresh_token IS 'Refresh tokens, by hash. Each is good once; used ones stay until they expire, so that a stolen copy is noticed.';
COMMENT ON COLUMN qms_internal.refresh_token.refresh_token_id IS 'Id.';
COMMENT ON COLUMN qms_internal.refresh_token.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.refresh_token.login_session_id IS 'Login that it continues.';
COMMENT ON COLUMN qms_internal.refresh_token.token_hash IS 'SHA-256 of the token, which is 256 random bits.';
COMMENT ON COLUMN qms_internal.refresh_token.created_at IS 'When it was made.';
COMMENT ON COLUMN qms_internal.refresh_token.expires_at IS 'Until when it is good.';
COMMENT ON COLUMN qms_internal.refresh_token.used_at IS 'When it was used; null: not yet.';

COMMENT ON TABLE qms_internal.password_reset IS 'One-time tokens to set a new password with, by hash. Never dumped.';
COMMENT ON COLUMN qms_internal.password_reset.staff_id IS 'Whose password.';
COMMENT ON COLUMN qms_internal.password_reset.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.password_reset.token_hash IS 'SHA-256 of the token, which is 256 random bits.';
COMMENT ON COLUMN qms_internal.password_reset.created_at IS 'When it was asked for.';
COMMENT ON COLUMN qms_internal.password_reset.expires_at IS 'Until when it is good.';

COMMENT ON TABLE qms_internal.one_time_code IS 'One-time passcodes of customers, by hash. Never dumped.';
COMMENT ON COLUMN qms_internal.one_time_code.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.one_time_code.contact_hash IS 'HMAC of the contact.';
COMMENT ON COLUMN qms_internal.one_time_code.code_hash IS 'HMAC of the code, with contact and moment; null: it has been used, or guessed at too often.';
COMMENT ON COLUMN qms_internal.one_time_code.requests IS 'Codes asked for since one was used.';
COMMENT ON COLUMN qms_internal.one_time_code.attempts IS 'Wrong codes given for this one.';
COMMENT ON COLUMN qms_internal.one_time_code.created_at IS 'When it was made.';
COMMENT ON COLUMN qms_internal.one_time_code.expires_at IS 'Until when it is good.';

COMMENT ON TABLE qms_internal.verified_contact IS 'Contacts that customers have proved to be theirs, by hash.';
COMMENT ON COLUMN qms_internal.verified_contact.verified_contact_id IS 'Id.';
COMMENT ON COLUMN qms_internal.verified_contact.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.verified_contact.customer_id IS 'Whose.';
COMMENT ON COLUMN qms_internal.verified_contact.contact_hash IS 'HMAC of the contact.';
COMMENT ON COLUMN qms_internal.verified_contact.verified_at IS 'When it was proved last.';

COMMENT ON TABLE qms_internal.secret_delivery IS 'Codes and reset tokens on their way to people: qms_internal.take_secret() reads one and removes it. Never dumped.';
COMMENT ON COLUMN qms_internal.secret_delivery.secret_delivery_id IS 'Id, named by the event.';
COMMENT ON COLUMN qms_internal.secret_delivery.organization_id IS 'Organization that the row belongs to.';
COMMENT ON COLUMN qms_internal.secret_delivery.kind IS 'otp or password_reset.';
COMMENT ON COLUMN qms_internal.secret_delivery.message IS 'Recipient and secret, sealed as personal data are.';
COMMENT ON COLUMN qms_internal.secret_delivery.created_at IS 'When it was made.';
COMMENT ON COLUMN qms_internal.secret_delivery.expires_at IS 'When it is of no use any more.';
