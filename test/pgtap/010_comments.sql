-- What holds for every object of the extension, read from the catalog: comments, names, owners, grants.
BEGIN;
SELECT plan(23);

-- The members of the extension.
CREATE TEMP TABLE member AS
SELECT d.classid, d.objid, pg_catalog.pg_describe_object(d.classid, d.objid, 0) AS name
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'qms';
CREATE TEMP VIEW member_function AS
SELECT p.*, p.oid::regprocedure::text AS name FROM member m JOIN pg_catalog.pg_proc p ON p.oid = m.objid WHERE m.classid = 'pg_catalog.pg_proc'::regclass;
CREATE TEMP VIEW member_relation AS
SELECT c.*, c.oid::regclass::text AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('qms', 'qms_internal');
CREATE TEMP VIEW public_function AS
SELECT f.*, f.pronamespace::regnamespace::text AS schema FROM member_function f WHERE f.pronamespace = 'qms'::regnamespace;
CREATE TEMP VIEW argument AS
SELECT f.oid, f.name, a.n, f.proargnames[a.n] AS argument FROM public_function f, generate_series(1, f.pronargs) a(n);

SELECT cmp_ok((SELECT count(*)::int FROM member WHERE classid = 'pg_catalog.pg_proc'::regclass), '>', 40, 'the catalog was read');

-- comments
SELECT is_empty($$ SELECT name FROM member WHERE pg_catalog.obj_description(objid, classid::regclass::name) IS NULL
	AND classid::regclass::text NOT IN ('pg_cast') AND name !~ '^sequence' AND NOT (classid = 'pg_catalog.pg_type'::regclass AND name ~ '\[\]$') ORDER BY 1 $$,
	'every function, type, table, view, operator and schema has a comment');
SELECT is_empty($$ SELECT name, a.attname FROM member_relation c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'c') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND pg_catalog.col_description(c.oid, a.attnum) IS NULL ORDER BY 1, a.attnum $$,
	'every column of tables, views and result types has a comment');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_catalog.pg_class c JOIN pg_catalog.pg_type t ON t.typrelid = c.oid
	WHERE c.relkind = 'c' AND c.relnamespace = 'qms'::regnamespace AND pg_catalog.obj_description(t.oid, 'pg_type') IS NULL $$,
	'every result type has a comment');
SELECT is_empty($$ SELECT c.oid::regclass FROM member_relation c WHERE c.relkind = 'i' AND pg_catalog.obj_description(c.oid, 'pg_class') IS NULL
	AND EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indexrelid = c.oid AND i.indrelid IN ('qms.ticket'::regclass, 'qms.staff_session'::regclass) AND NOT i.indisprimary) $$,
	'every index of the tables that change most says what it is for');
SELECT is_empty($$ SELECT name FROM member WHERE pg_catalog.obj_description(objid, classid::regclass::name) ~ '(^\s|\s$|^$|TODO|FIXME)' $$,
	'no comment is empty, unfinished or padded');
SELECT is_empty($$ SELECT f.name FROM public_function f WHERE f.provolatile <> 'i' AND pg_catalog.obj_description(f.oid, 'pg_proc') !~ '[.)]$' $$,
	'comments of functions are sentences');

-- names
SELECT is_empty($$ SELECT name, n FROM argument WHERE coalesce(argument, '') = '' $$,
	'every argument of a public function has a name');
SELECT is_empty($$ SELECT name, argument FROM argument WHERE pg_catalog.quote_ident(argument) <> argument $$,
	'no argument needs quotes');
SELECT is_empty($$ SELECT name, argument FROM argument JOIN pg_catalog.pg_get_keywords() k ON k.word = argument WHERE k.catcode IN ('R', 'C') $$,
	'every argument can be written as name => value');
SELECT is_empty($$ SELECT proname FROM public_function WHERE provolatile <> 'i' GROUP BY proname HAVING count(*) > 1 $$,
	'no public function is overloaded');
SELECT is_empty($$ SELECT f.name FROM public_function f WHERE 'request_id' = ANY (f.proargnames[1:f.pronargs]) AND (f.proargnames[f.pronargs] <> 'request_id' OR f.proargtypes[f.pronargs - 1] <> 'uuid'::regtype) $$,
	'request_id is the last argument, a uuid');
SELECT is_empty($$ SELECT f.name FROM public_function f WHERE f.provolatile <> 'i' AND (f.proisstrict OR f.prokind <> 'f' OR f.provariadic <> 0) $$,
	'no gated function is strict or variadic: the gate comes first, whatever the arguments');

-- how functions run
SELECT is_empty($$ SELECT name FROM member_function WHERE prosecdef AND coalesce(proconfig::text, '') !~ 'search_path=pg_catalog, ?pg_temp' $$,
	'every SECURITY DEFINER function pins its search_path');
SELECT is_empty($$ SELECT f.name, l.lanname FROM member_function f JOIN pg_catalog.pg_language l ON l.oid = f.prolang WHERE l.lanname NOT IN ('c', 'internal') $$,
	'every function is C: none in PL/pgSQL or SQL');
SELECT is_empty($$ SELECT name FROM member_relation WHERE relkind = 'v' AND NOT coalesce(reloptions, '{}') && ARRAY['security_barrier=true', 'security_barrier=on'] $$,
	'every view is a security barrier');

-- owners and grants
SELECT is_empty($$ SELECT name FROM member_relation WHERE relowner <> 'qms_owner'::regrole UNION ALL SELECT name FROM member_function WHERE proowner <> 'qms_owner'::regrole
	UNION ALL SELECT t.oid::regtype::text FROM pg_catalog.pg_type t WHERE t.typnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND t.typowner <> 'qms_owner'::regrole
	UNION ALL SELECT o.oid::regoperator::text FROM pg_catalog.pg_operator o WHERE o.oprnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND o.oprowner <> 'qms_owner'::regrole $$,
	'everything belongs to qms_owner');
SELECT is_empty($$ SELECT f.name FROM member_function f, LATERAL pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) a WHERE a.grantee = 0 $$,
	'PUBLIC may execute nothing');
SELECT is_empty($$ SELECT c.name, a.privilege_type FROM member_relation c, LATERAL pg_catalog.aclexplode(c.relacl) a WHERE a.grantee = 0
	UNION ALL SELECT c.name || '.' || t.attname, a.privilege_type FROM member_relation c JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid, LATERAL pg_catalog.aclexplode(t.attacl) a WHERE a.grantee = 0 $$,
	'PUBLIC has no right on any table, view or sequence');
SELECT is_empty($$ SELECT c.name, a.grantee::regrole, a.privilege_type FROM member_relation c, LATERAL pg_catalog.aclexplode(c.relacl) a
	WHERE a.grantee <> c.relowner AND a.privilege_type <> 'SELECT' AND c.relkind <> 'S' $$,
	'nobody but the owner may change a row directly');

-- tables
SELECT is_empty($$ SELECT k.conrelid::regclass, k.conname FROM pg_catalog.pg_constraint k WHERE k.contype = 'f'
	AND (k.conrelid::regclass::text ~ '(ticket|ticket_history|ticket_leg|event|visit|staff_session|queue_number|request|ticket_seen)$'
		OR k.confrelid::regclass::text ~ '(ticket|ticket_history|ticket_leg|event|visit|staff_session|queue_number|request|ticket_seen)$') $$,
	'hot tables have no foreign keys');
SELECT is_empty($$ SELECT c.name, i.indexrelid::regclass::text FROM member_relation c JOIN pg_catalog.pg_index i ON i.indrelid = c.oid WHERE c.relkind = 'p'
	UNION ALL SELECT c.name, k.conname FROM member_relation c JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid WHERE c.relkind = 'p' AND k.contype NOT IN ('c', 'n') $$,
	'parents of partitions have no index, and no constraint but NOT NULL and CHECK');
SELECT set_eq($$ SELECT name FROM member_relation WHERE relkind = 'p' $$, ARRAY['qms.ticket_history', 'qms.ticket_leg', 'qms.event', 'qms_internal.event_position'],
	'the tables that are partitioned');

SELECT * FROM finish();
ROLLBACK;
