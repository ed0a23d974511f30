/*
 * The groups.  Made by a C function if they are missing; a planted role with
 * more than a group needs stops the installation.
 */
CREATE FUNCTION qms_internal.make_roles() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'qms_make_roles';
COMMENT ON FUNCTION qms_internal.make_roles() IS 'Makes the NOLOGIN roles of qms if they are missing. Errors: QM202 when a role of that name can log in or has rights of its own.';
SELECT qms_internal.make_roles();
