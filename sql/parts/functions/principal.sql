/* Who is calling. */
CREATE TYPE qms.principal AS (
	kind text,
	id bigint,
	organization_id bigint,
	role text,
	via text,
	branch_ids bigint[],
	queue_ids bigint[],
	application_ids bigint[],
	expires_at timestamptz,
	session_user_name text
);
COMMENT ON TYPE qms.principal IS 'Who calls, as the gate sees it.';
COMMENT ON COLUMN qms.principal.kind IS 'superuser, admin, staff, application, kiosk, display or customer.';
COMMENT ON COLUMN qms.principal.id IS 'Staff member, application, device or customer; null: none in particular.';
COMMENT ON COLUMN qms.principal.organization_id IS 'Organization; null: every one (superuser), or none (an anonymous visitor).';
COMMENT ON COLUMN qms.principal.role IS 'The column of qms.permission that counts.';
COMMENT ON COLUMN qms.principal.via IS 'How it was found: superuser, act_as, claims (of a token, in sessions of qms_authenticator) or binding (of the database role).';
COMMENT ON COLUMN qms.principal.branch_ids IS 'Branches that he is limited to; empty: all.';
COMMENT ON COLUMN qms.principal.queue_ids IS 'Queues that he, or the key of the application, is limited to; empty: all.';
COMMENT ON COLUMN qms.principal.application_ids IS 'Applications that an app_admin is limited to; empty: all.';
COMMENT ON COLUMN qms.principal.expires_at IS 'When the token expires; null: never.';
COMMENT ON COLUMN qms.principal.session_user_name IS 'Login of the session.';

CREATE FUNCTION qms.current_principal() RETURNS qms.principal
LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_current_principal';
COMMENT ON FUNCTION qms.current_principal IS 'Who the caller is. Callers: everybody with a principal. Errors: QM201 without one; its detail says why.';

CREATE FUNCTION qms.act_as(staff_id bigint DEFAULT NULL, application_id bigint DEFAULT NULL) RETURNS qms.principal
LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_act_as';
COMMENT ON FUNCTION qms.act_as IS 'From now on this session acts as that staff member or application, with his rights and no more; without arguments as itself again. Ends with the session, and is taken back if its transaction rolls back. Written to the event log (principal.acted_as). Callers: superusers and members of qms_super_admin. Errors: QM101, 22023 both given, 42501.';
