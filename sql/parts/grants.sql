/*
 * Owner, dump and grants, in one place and after everything else.
 */
CREATE FUNCTION qms_internal.take_ownership() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'qms_take_ownership';
COMMENT ON FUNCTION qms_internal.take_ownership() IS 'Gives every object of the extension to qms_owner and takes EXECUTE from PUBLIC; names what belongs to a dump. Called by the install script.';
SELECT qms_internal.take_ownership();
DROP FUNCTION qms_internal.take_ownership();

GRANT USAGE ON SCHEMA qms TO PUBLIC;
GRANT CREATE ON SCHEMA qms_internal TO qms_owner;

/* What everybody in an organization may call; the gate decides on each call. */
