-- Every SQL-callable function passes the gate first.  The list is read from the catalog, so a new
-- function that forgets the gate fails here.
BEGIN;
CREATE ROLE gate_nobody;
GRANT USAGE ON SCHEMA qms TO gate_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA qms TO gate_nobody;

-- All functions of schema qms but the helpers of the types, called with nulls only.
CREATE TEMP TABLE gated AS
SELECT p.oid, p.proname, pg_catalog.format('SELECT * FROM qms.%I(%s)', p.proname,
	(SELECT pg_catalog.string_agg(pg_catalog.format('%s => NULL::%s', p.proargnames[a.n], p.proargtypes[a.n - 1]::regtype), ', ' ORDER BY a.n) FROM generate_series(1, p.pronargs) a(n))) AS call
FROM pg_catalog.pg_proc p
WHERE p.pronamespace = 'qms'::regnamespace AND p.provolatile <> 'i' AND p.proname <> 'pre_request'; -- which says who calls, and does nothing for others

-- The SQLSTATE that a call ends with as somebody.
CREATE FUNCTION pg_temp.state_of(call text, as_role text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM set_config('role', as_role, true);
		EXECUTE call;
		RAISE 'no error' USING ERRCODE = '00000';
	EXCEPTION WHEN OTHERS THEN
		RETURN sqlstate;
	END;
END $$;

SELECT plan((SELECT count(*)::int * 2 + 5 FROM gated));
SELECT cmp_ok((SELECT count(*)::int FROM gated), '>', 4, 'the catalog was read');
SELECT is(pg_temp.state_of(call, 'gate_nobody'), 'QM201', proname || ' asks who calls, before anything else') FROM gated ORDER BY proname;

-- An organization that has been deleted, and a binding that has, are none.
INSERT INTO qms.organization (organization_id, name, slug) VALUES (1, 'City', 'city');
INSERT INTO qms.role_binding (role_name, organization_id, kind) VALUES ('gate_nobody', 1, 'display');
SELECT isnt(pg_temp.state_of(call, 'gate_nobody'), 'QM201', proname || ' knows a role that is bound') FROM gated ORDER BY proname;
SELECT is(pg_temp.state_of('SELECT * FROM qms.waiting_list(queue_id => 1)', 'gate_nobody'), '42501', 'a display may not see who waits');
SELECT is(pg_temp.state_of('SELECT * FROM qms.queue_status(1)', 'gate_nobody'), 'QM101', 'but may ask for a queue');
UPDATE qms.organization SET deleted_at = now();
SELECT is(pg_temp.state_of('SELECT * FROM qms.queue_status(1)', 'gate_nobody'), 'QM201', 'a deleted organization has no principals');
UPDATE qms.organization SET deleted_at = NULL;
UPDATE qms.role_binding SET deleted_at = now();
SELECT is(pg_temp.state_of('SELECT * FROM qms.queue_status(1)', 'gate_nobody'), 'QM201', 'a deleted binding binds nobody');

SELECT * FROM finish();
ROLLBACK;
