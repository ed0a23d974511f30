/*
 * Owner, dump and grants, in one place and after everything else.
 *
 * Every table with user data and every identity sequence is part of a dump;
 * qms_internal.instance is not: it tells a restored database from its origin.
 * Partitions are ordinary tables of the dump; their parents hold no data.
 */
SELECT pg_catalog.pg_extension_config_dump(c.oid, '')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('qms', 'qms_internal') AND c.relkind IN ('r', 'S') AND c.relname <> 'instance'
ORDER BY c.oid;

CREATE FUNCTION qms_internal.take_ownership() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'qms_take_ownership';
COMMENT ON FUNCTION qms_internal.take_ownership() IS 'Gives every object of the extension to qms_owner and takes EXECUTE from PUBLIC. Called by the install script.';
SELECT qms_internal.take_ownership();
DROP FUNCTION qms_internal.take_ownership();

GRANT USAGE ON SCHEMA qms TO PUBLIC;
GRANT CREATE ON SCHEMA qms_internal TO qms_owner;

/* What everybody in an organization may call; the gate decides on each call. */
