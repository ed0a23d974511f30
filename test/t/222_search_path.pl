# Objects that a hostile user can make, named as ours and as PostgreSQL's, stand first in the way of
# every function that runs with its owner's rights, and of the workers: none of them is ever used.
# And a look at the sources: every name in a statement has its schema.
use strict;
use warnings;

use lib 'test/lib';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

# names in the sources
my @sources = (split(/\n/, `find src -name '*.c' -o -name '*.h' | grep -v '^src/gateway/' | sort`), map { "sql/parts/$_" } grep { /\.sql$/ } map { s/\s*(?:#.*)?$//r } split /\n/, slurp_file('sql/parts/ORDER'));
my $found = `perl test/lib/check_names.pl @sources`;
is($found, '', 'every table and function in a statement has its schema');
my $samples = "$ENV{TMPDIR}/samples";
my %bad = (
	'SELECT x FROM ticket' => 'table ticket', 'SELECT x FROM qms.ticket t JOIN organization o ON true' => 'table organization', 'UPDATE staff SET x = 1' => 'table staff', 'INSERT INTO event (x) VALUES ($1)' => 'table event',
	'DELETE FROM qms.ticket USING queue' => 'table queue', 'SELECT 1 FROM qms.a, hidden WHERE true' => 'table hidden', 'SELECT count(*) FROM qms.ticket' => 'function count', 'SELECT 1 FROM qms.x WHERE lower(y) = $1' => 'function lower',
	'SELECT $1::mytype FROM qms.x' => 'type mytype', 'SELECT 1 FROM qms.ticket WHERE number = $1' => 'operator');
my $n = 0;
foreach my $sql (sort keys %bad)
{
	append_to_file("$samples$n.c", qq{static QmsPlan p = QMS_PLAN("$sql");\n});
	like(`perl test/lib/check_names.pl $samples$n.c`, qr/:1: \Q$bad{$sql}\E/, "the check sees $bad{$sql}");
	$n++;
}
append_to_file("$samples.c", 'static QmsPlan p = QMS_PLAN("WITH old AS (SELECT 1 FROM qms.ticket) SELECT coalesce(x, 0) FROM old WHERE extract(epoch FROM y) > 0 AND a IS DISTINCT FROM b FOR NO KEY UPDATE");' . "\n");
is(`perl test/lib/check_names.pl $samples.c`, '', 'and leaves grammar alone');

# pgspot, if it is there or can be had
my $pgspot = `command -v pgspot 2>/dev/null` =~ s/\n//r;
if ($pgspot eq '')
{
	my $folder = "$ENV{TMPDIR}/pgspot";
	system("timeout 90 /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --no-input --target $folder pgspot==0.9.4 >$folder.log 2>&1");
	$pgspot = "env PYTHONPATH=$folder /usr/bin/python3 $folder/bin/pgspot" if -e "$folder/bin/pgspot";
}
SKIP:
{
	skip 'pgspot is not installed and PyPI does not answer', 1 if $pgspot eq '';
	# CREATE EXTENSION runs the script with the schema of the control file as search_path.
	like(slurp_file('qms.control'), qr/^schema = pg_catalog$/m, 'the install script runs in pg_catalog');
	(my $script = join '', map { slurp_file($_) } grep { /\.sql$/ } @sources) =~ s/^\\.*$//mg;
	append_to_file("$samples.sql", "SET search_path = pg_catalog, pg_temp;\n$script");
	like(`$pgspot $samples.sql 2>&1`, qr/^\s*Errors: 0 Warnings: 0 Unknown: 0/m, 'pgspot has nothing to say');
}

my $node = Qms::node('search_path', 'qms.workers = on');

sub ask { return $node->safe_psql('postgres', $_[0]) }

# what is in the catalog
is(ask(q{SELECT oid::regprocedure FROM pg_proc WHERE pronamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND prosecdef
	AND (prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') OR proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp'] OR proowner <> 'qms_owner'::regrole OR proacl IS NULL OR array_to_string(proacl, ' ') ~ '(^| )=')}), '',
	'functions with rights of the owner: in C, with a pinned search_path, not for PUBLIC');
is(ask(q{SELECT p.oid::regprocedure, a.grantee::regrole FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE p.pronamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace)
	AND NOT p.prosecdef AND p.provolatile <> 'i' AND p.proname !~ '^(sees|staff_sees|admin_sees|sees_queue|sees_application|pre_request)$' AND a.grantee <> p.proowner}), '',
	'what has no rights of the owner and is more than arithmetic is for nobody else, but for row-level security, which becomes the owner where it looks something up, and what PostgREST calls');
is(ask(q{SELECT oid::regclass FROM pg_class WHERE relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND relkind = 'v' AND (relowner <> 'qms_owner'::regrole OR NOT coalesce(reloptions, '{}') && '{security_barrier=true,security_invoker=true}')}), '',
	'views are barriers and belong to qms_owner');
is(ask(q{SELECT rolname FROM pg_roles WHERE rolname ~ '^qms_' AND (rolsuper OR rolcanlogin OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)}), '', 'no role of qms can log in or has rights of its own');

# the world, and what the hostile user puts into it
$node->safe_psql('postgres', "\\i test/fixtures/$_") foreach 'two_cities.sql', 'examples.sql';
my %named = map { $_ => 1 } map { slurp_file($_) =~ /pg_catalog\.(\w+)\s*\(/g } @sources;
$named{$_} = 1 foreach qw(now coalesce lower upper count max min sum array_agg string_agg format btrim to_jsonb int8 text hashtext nextval set_config current_setting);
my $functions = join ',', sort keys %named;
ask(<<"END");
CREATE SCHEMA evil AUTHORIZATION attack_clerk;
GRANT CREATE ON SCHEMA public TO attack_clerk;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
SET SESSION AUTHORIZATION attack_clerk;
DO \$\$
DECLARE
	p record;
	o record;
	s text;
	made int := 0;
	body constant text := 'BEGIN RAISE EXCEPTION ''hijacked as %'', current_user; END';
BEGIN
	FOREACH s IN ARRAY '{evil,public}'::text[] LOOP
		-- functions that we use, with the same arguments
		FOR p IN SELECT proname, pg_get_function_identity_arguments(oid) AS arguments, format_type(prorettype, NULL) AS result FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY ('{$functions}'::name[]) AND prokind <> 'p' LOOP
			BEGIN
				EXECUTE format('CREATE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', s, p.proname, p.arguments, p.result, body);
				made := made + 1;
			EXCEPTION WHEN OTHERS THEN NULL; END;
		END LOOP;
		-- our functions, callable with anything
		FOR p IN SELECT proname, pg_get_function_identity_arguments(oid) AS arguments FROM pg_proc WHERE pronamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) LOOP
			BEGIN
				EXECUTE format('CREATE FUNCTION %I.%I(%s) RETURNS bool LANGUAGE plpgsql AS %L', s, p.proname, p.arguments, body);
			EXCEPTION WHEN OTHERS THEN NULL; END;
		END LOOP;
		-- operators of all types that we have
		FOR o IN SELECT oprname, format_type(oprleft, NULL) AS l, format_type(oprright, NULL) AS r FROM pg_operator WHERE oprnamespace IN ('pg_catalog'::regnamespace, 'qms'::regnamespace) AND oprkind = 'b'
			AND oprleft::regtype::text ~ '^(bigint|integer|smallint|text|name|boolean|jsonb|uuid|oid|timestamp with time zone|interval|date|time.*|tstzrange|double precision|numeric|any.*|bigint\\[\\]|text\\[\\]|qms\\..*|xid8|cidr|inet)\$'
			UNION SELECT op, t, t FROM unnest('{=,<>,<,>,<=,>=,+,-,||,\@>}'::text[]) op, unnest('{anyelement,anyarray,anycompatible,bigint[],text[],cidr[]}'::text[]) t
			UNION SELECT op, 'bigint', 'integer' FROM unnest('{=,<,>}'::text[]) op LOOP
			BEGIN
				EXECUTE format('CREATE FUNCTION %I.%I(%s, %s) RETURNS bool LANGUAGE plpgsql AS %L', s, 'op' || made, o.l, o.r, body);
				EXECUTE format('CREATE OPERATOR %I.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %I.%I)', s, o.oprname, o.l, o.r, s, 'op' || made);
				made := made + 1;
			EXCEPTION WHEN OTHERS THEN NULL; END;
		END LOOP;
		-- tables and types
		FOR p IN SELECT DISTINCT relname FROM pg_class WHERE relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND relkind IN ('r', 'p', 'v', 'c') OR relname IN ('pg_class', 'pg_proc', 'pg_roles', 'pg_namespace', 'pg_database', 'pg_timezone_names') LOOP
			BEGIN EXECUTE format('CREATE TABLE %I.%I (evil int)', s, p.relname); EXCEPTION WHEN OTHERS THEN NULL; END;
		END LOOP;
		FOR p IN SELECT t AS name FROM unnest('{text,int8,bigint,jsonb,timestamptz,uuid,interval,bool,regclass,oid,name,ticket_number,ticket_token,release_rate}'::text[]) t LOOP
			BEGIN EXECUTE format('CREATE DOMAIN %I.%I AS pg_catalog.text CHECK (false)', s, p.name); EXCEPTION WHEN OTHERS THEN NULL; END;
		END LOOP;
	END LOOP;
	IF made < 500 THEN RAISE EXCEPTION 'only % were made', made; END IF;
END \$\$;
END

# It would work: a function that pins nothing falls for it, in each of the ways that are tried below.
ask(q{CREATE FUNCTION attack.victim() RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN RETURN pg_catalog.format('%s', (SELECT 1 WHERE 1::pg_catalog.int8 = 1::pg_catalog.int8)); END $$});
foreach my $path ('evil, public, pg_temp, pg_catalog', 'pg_temp, evil, public, qms, pg_catalog')
{
	my ($rc, $out, $err) = $node->psql('postgres', "SET search_path = $path; SELECT attack.victim()");
	like($err, qr/hijacked as/, "a careless function is hijacked by search_path = $path");
}

# In one session: the temporary ones, and every function by those who pass its gate.
my $tried = ask(<<'END');
DO $$
DECLARE
	p record;
BEGIN
	FOR p IN SELECT DISTINCT relname FROM pg_class WHERE relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND relkind IN ('r', 'p', 'v', 'c') OR relname IN ('pg_class', 'pg_proc', 'pg_roles', 'pg_namespace', 'pg_database', 'pg_timezone_names') LOOP
		BEGIN EXECUTE format('CREATE TABLE pg_temp.%I (evil int)', p.relname); EXCEPTION WHEN OTHERS THEN NULL; END;
	END LOOP;
	FOR p IN SELECT t AS name FROM unnest('{text,int8,bigint,jsonb,timestamptz,uuid,interval,bool,regclass,oid,name,ticket_number,ticket_token,release_rate}'::text[]) t LOOP
		BEGIN EXECUTE format('CREATE DOMAIN pg_temp.%I AS pg_catalog.text CHECK (false)', p.name); EXCEPTION WHEN OTHERS THEN NULL; END;
	END LOOP;
END $$;
SET search_path = pg_catalog, pg_temp;
CREATE TABLE attack.tried AS SELECT DISTINCT v.function, attack.fill(v.arguments, 'own') AS call, w.name AS who, s.path, NULL::attack.outcome AS plain, NULL::attack.outcome AS hostile
FROM attack.variant v, (VALUES ('super_admin'), ('admin'), ('servicer'), ('anonymous'), ('application')) w (name), (VALUES ('evil, public, pg_temp, pg_catalog'), ('pg_temp, evil, public, qms, pg_catalog'), ('public')) s (path);
UPDATE attack.tried SET plain = attack.try(who, function || '(' || call || ')');
UPDATE attack.tried SET hostile = attack.try(who, function || '(' || call || ')', format('SET LOCAL search_path = %s', path));
SELECT count(*) FROM attack.tried;
END
cmp_ok($tried, '>', 1500, "$tried calls");
is(ask(q{SELECT function, who, path, (plain).state, (hostile).state, (hostile).message FROM attack.tried WHERE ((plain).state, (plain).message) IS DISTINCT FROM ((hostile).state, (hostile).message) AND (plain).message !~ '\d{4}-\d\d-\d\d|ticket \d+' LIMIT 10}), '',
	'every function does the same, whatever stands in the search_path');
is(ask(q{SELECT function FROM attack.example WHERE about NOT IN ('bad key', 'superuser') AND function <> 'pair_device' AND function NOT IN (SELECT function FROM attack.tried WHERE (hostile).state IN ('ok', 'none')) ORDER BY 1}), '', 'and each was carried out by somebody');
my $views = q{SELECT pg_catalog.string_agg(n, ' ') FROM (SELECT pg_catalog.format('%s %s', c.oid::pg_catalog.regclass, pg_catalog.length(pg_catalog.query_to_xml(pg_catalog.format('SELECT * FROM %I.%I', n.nspname, c.relname), true, true, '')::pg_catalog.text)) AS n
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace WHERE n.nspname OPERATOR(pg_catalog.=) 'qms' AND c.relkind OPERATOR(pg_catalog.=) ANY ('{v,r,p}'::pg_catalog."char"[]) AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AND c.relname OPERATOR(pg_catalog.<>) 'worker_status' ORDER BY c.oid) x};
is(ask("SELECT attack.be('admin'); SET SESSION AUTHORIZATION attack_admin; SET search_path = evil, public, pg_catalog; $views"), ask("SET SESSION AUTHORIZATION attack_admin; SET search_path = pg_catalog; $views") =~ s/^/\n/r, 'and so do views and row-level security');

is(ask("SET SESSION AUTHORIZATION attack_admin; SET search_path = evil, public, pg_catalog; SELECT 'queues' FROM qms.queues LIMIT 1; SELECT current_user, pg_catalog.current_setting('search_path')"), "queues\nattack_admin|evil, public, pg_catalog",
	'who has looked through a view is himself afterwards, with his own search_path');

# The workers, in a database whose owner sends them there.
my $said = length slurp_file($node->logfile);
ask('ALTER DATABASE postgres SET search_path = evil, public, pg_catalog');
$node->restart;
my $told = q{SELECT count(*) OPERATOR(pg_catalog.=) (SELECT count(*) FROM qms.event) FROM qms_internal.event_position};
ask(q{SET search_path = pg_catalog; SELECT FROM qms.hold_ticket(attack.id('own', 'second_ticket'), 'x', resume_at => pg_catalog.clock_timestamp() + '50 ms')});
ok(Qms::poll(sub { ask('SET search_path = pg_catalog; ' . q{SELECT state FROM qms.get_ticket(attack.id('own', 'second_ticket'))}) eq 'waiting' }), 'the scheduler works');
ok(Qms::poll(sub { ask("SET search_path = pg_catalog; $told") eq 't' }), 'the publisher works');
ok(substr(slurp_file($node->logfile), $said) !~ /ERROR:  hijacked/, 'no worker was hijacked');

# Who is there first does not become part of the extension.
my $other = ask(q{SET search_path = pg_catalog; CREATE DATABASE planted OWNER attack_clerk});
my ($rc, $out, $err) = $node->psql('planted', 'SET SESSION AUTHORIZATION attack_clerk; CREATE SCHEMA qms; CREATE FUNCTION qms.join_queue(bigint) RETURNS int LANGUAGE sql AS $$SELECT 1$$; RESET SESSION AUTHORIZATION; CREATE EXTENSION qms');
like($err, qr/schema "qms" already exists/, 'a schema that somebody planted stops the installation');

done_testing();
