# Everybody of organization one, and somebody without a name, calls every function with the ids of
# organization two, one at a time and all together, and reads every view and table: nothing of two is
# read or changed, and no word tells its things from things that never existed.
use strict;
use warnings;

use lib 'test/lib';
use Qms;
use Test::More;

my $node = Qms::node('tenants', 'qms.workers = on');

sub run_file { $node->safe_psql('postgres', "\\i test/fixtures/$_") foreach @_; return }
sub ask { return $node->safe_psql('postgres', $_[0]) }

sub none
{
	my ($sql, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(ask($sql), '', $test);
}

run_file('two_cities.sql', 'examples.sql');

# Everything of two in one figure; its own calls below change it, nobody else's.
ask(<<'END');
CREATE FUNCTION attack.state_of_two() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	t record;
	part text;
	whole text := '';
BEGIN
	FOR t IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id'
		WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND c.relname NOT IN ('event_position', 'ticket_seen', 'release_gate', 'release_flow', 'wait_model', 'service_time') ORDER BY 1 LOOP -- a heartbeat is noted at once, and stays when it is undone; a gate and what is learned of a room follow the time
		EXECUTE format('SELECT count(*) || md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), %L)) FROM %s t WHERE organization_id = %s%s', '', t.name, attack.of('foreign', 'organization'),
			CASE WHEN t.name::text = 'qms.event' THEN ' AND kind <> ''access.refused''' END) INTO part;
		whole := whole || ' ' || t.name || part;
	END LOOP;
	RETURN whole;
END $$;
-- Ways to attack: the arguments with one thing, or all things, of another place.
CREATE TABLE attack.attempt AS
WITH used AS (SELECT v.function, v.arguments, m.thing FROM attack.variant v, LATERAL (SELECT DISTINCT (regexp_matches(v.arguments, '\{([a-z_]+)\}', 'g'))[1] AS thing) m),
	places AS (SELECT unnest('{foreign,never}'::text[]) AS place)
SELECT function, arguments, thing, place, attack.fill(replace(arguments, '{' || thing || '}', attack.of(place, thing)), 'own') AS call FROM used, places
UNION ALL SELECT function, arguments, 'all', place, attack.fill(arguments, place) FROM attack.variant v, places WHERE arguments ~ '\{[a-z_]+\}';
-- A text in which the things of two and those that never were look the same.
CREATE FUNCTION attack.blur(said text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	t record;
BEGIN
	said := regexp_replace(said, '\m(50000\d{5}|9000\d{5})\M', '<id>', 'g');
	FOR t IN SELECT value FROM attack.thing WHERE place IN ('foreign', 'never') AND value !~ '^\d+$' ORDER BY length(value) DESC LOOP
		said := replace(said, t.value, '<name>');
	END LOOP;
	RETURN said;
END $$;
-- Does anything of two change when somebody makes all attempts at it, one after the other, and what succeeds stays?
CREATE FUNCTION attack.harms_two(who text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	me name := session_user;
	was text := attack.state_of_two();
	harm boolean;
	a record;
BEGIN
	FOR a IN SELECT DISTINCT function, call FROM attack.attempt WHERE place = 'foreign' ORDER BY function, call LOOP
		BEGIN
			PERFORM attack.be(who);
			EXECUTE format('SELECT * FROM qms.%s(%s)', a.function, a.call);
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
		PERFORM set_config('session_authorization', me, true);
	END LOOP;
	harm := attack.state_of_two() <> was;
	RAISE EXCEPTION USING ERRCODE = '00001';
EXCEPTION WHEN SQLSTATE '00001' THEN
	RETURN harm;
END $$;
END

Qms::wait_for($node, q{SELECT count(*) = (SELECT count(*) FROM qms.event) FROM qms_internal.event_position}, 'all events are published');
my $before = ask('SELECT attack.state_of_two()');
cmp_ok(ask('SELECT count(*) FROM attack.attempt'), '>', 200, 'there are attempts');

# Who works in organization one, or for it.  Names that are no ids may be the same in both.
my @people = split /\n/, ask(q{SELECT name FROM attack.principal WHERE name NOT IN ('super_admin', 'admin of two', 'anonymous') ORDER BY name});
my $differ = q{(f.state, attack.blur(f.message), attack.blur(f.detail), attack.blur(f.hint)) IS DISTINCT FROM (n.state, attack.blur(n.message), attack.blur(n.detail), attack.blur(n.hint))};
my $pairs = q{SELECT f.function, f.arguments, f.thing, f.state, n.state, f.message, n.message, f.detail, n.detail, f.hint, n.hint FROM attack.tried f JOIN attack.tried n USING (function, arguments, thing) WHERE f.place = 'foreign' AND n.place = 'never'};
my $leaks = sprintf q{SELECT function, call, answer FROM attack.tried WHERE answer ~ '\m50000\d{5}\M' OR answer ~ '"organization_id":(?! *(null|%s[,\}]))'}, ask(q{SELECT attack.of('own', 'organization')});
my $untimed = q{regexp_replace(f.answer, '"expires_at":"[^"]*"', '')};
my $tried = 0;
foreach my $who (@people)
{
	ask(qq{CREATE TABLE attack.tried AS SELECT a.*, (attack.try('$who', function || '(' || call || ')')).* FROM attack.attempt a});
	$tried += ask('SELECT count(*) FROM attack.tried');
	none("$pairs AND $differ", "$who: no word tells a thing of two from one that never existed");
	none(q{SELECT function, call, answer FROM attack.tried t WHERE place = 'foreign' AND state = 'ok' AND thing !~ 'name$|slug$|^consumer$|^subject$' AND function <> 'create_consumer'
		AND function NOT IN (SELECT function FROM attack.example WHERE about = 'sign in')}, "$who: nothing is answered or done about a thing of two");
	none("$pairs AND attack.blur($untimed) IS DISTINCT FROM attack.blur(" . $untimed =~ s/f\./n./r . q{) AND function IN (SELECT function FROM attack.example WHERE about = 'sign in')},
		"$who: names of two are answered as names that never existed");
	none($leaks, "$who: no answer holds anything of two");
	is(ask("SELECT attack.harms_two('$who')"), 'f', "$who: nothing of two changes");
	ask('DROP TABLE attack.tried');
}

# The same looks at an administrator of two do find something.
ask(q{CREATE TABLE attack.tried AS SELECT a.*, (attack.try('admin of two', function || '(' || call || ')')).* FROM attack.attempt a});
cmp_ok(scalar(() = ask($leaks) =~ /^\w+\|/mg), '>', 50, 'an administrator of two is answered');
cmp_ok(scalar(() = ask("$pairs AND $differ") =~ /^\w+\|/mg), '>', 50, '... differently for what is his and for what is not there');
is(ask("SELECT attack.harms_two('admin of two')"), 't', '... and changes it');
ask('DROP TABLE attack.tried');

# Somebody without a name sees what is public of two, and nothing else.
ask(q{CREATE TABLE attack.tried AS SELECT a.*, (attack.try('anonymous', function || '(' || call || ')')).* FROM attack.attempt a});
none("$pairs AND $differ AND f.state NOT IN ('ok', 'none') AND (function, thing) NOT IN (SELECT 'join_queue', t FROM unnest('{queue,second_queue,room,all}'::text[]) t)", 'anonymous: no word tells a thing of two that is not public from one that never existed');
is(ask(q{SELECT string_agg(DISTINCT function, ' ' ORDER BY function) FROM attack.tried WHERE place = 'foreign' AND state IN ('ok', 'none')}),
	ask(q{SELECT string_agg(function, ' ' ORDER BY function) FROM attack.example WHERE about NOT IN ('nothing', 'bad key') AND function IN (SELECT function FROM qms.permission WHERE customer IN ('public', 'own'))}),
	'anonymous: what is public, and what a token opens');
none(q{SELECT call, answer FROM attack.tried WHERE place = 'foreign' AND function = 'events_since' AND (answer ~ '"(event_id|organization_id|branch_id|visit_id|ticket_id|actor_id|data)": *[^n ]' OR call ~ 'visit|staff|admin|application|hidden')
	AND answer IS NOT NULL}, 'anonymous: of events only what is for everybody');
none(q{SELECT call, state FROM attack.tried WHERE place = 'foreign' AND state <> 'QM101' AND function IN ('queue_status', 'events_since', 'join_queue') AND thing = 'hidden_queue'}, 'anonymous: a queue that is not public is not there');
ask('DROP TABLE attack.tried');

# Each calls everything with his own things, and reads every view and table: nothing of two is in it.
ask(<<'END');
CREATE FUNCTION attack.read(who text, relation text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	PERFORM attack.be(who);
	EXECUTE format('SELECT count(*) FROM %s t WHERE (to_jsonb(t) ->> %L)::bigint <> %s OR to_jsonb(t)::text ~ %L', relation, 'organization_id', attack.of('own', 'organization'), '\m50000\d{5}\M') INTO n;
	RETURN n;
EXCEPTION WHEN insufficient_privilege THEN
	RETURN NULL;
END $$;
GRANT EXECUTE ON FUNCTION attack.of TO PUBLIC;
GRANT SELECT ON attack.thing TO PUBLIC;
END
foreach my $who (@people, 'anonymous')
{
	ask(qq{CREATE TABLE attack.tried AS SELECT function, call, (attack.try('$who', function || '(' || call || ')')).answer FROM (SELECT DISTINCT function, attack.fill(arguments, 'own') AS call FROM attack.variant) v});
	cmp_ok(ask('SELECT count(answer) FROM attack.tried'), '>', 5, "$who: calls are answered");
	none($leaks, "$who: nothing of two in what is his own");
	ask('DROP TABLE attack.tried');
	none(qq{SELECT c.oid::regclass FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v') AND c.relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND attack.read('$who', c.oid::regclass::text) > 0},
		"$who: nothing of two in any view or table");
}
# With the right to SELECT everything row-level security is what is left.
ask('GRANT SELECT ON ALL TABLES IN SCHEMA qms TO PUBLIC; GRANT USAGE ON SCHEMA qms_internal TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA qms_internal TO PUBLIC');
none(qq{SELECT w.name, c.oid::regclass FROM attack.principal w, pg_class c WHERE w.name NOT IN ('super_admin', 'admin of two') AND c.relkind IN ('r', 'p', 'v') AND c.relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace)
	AND NOT c.relispartition AND c.relname NOT IN ('instance', 'publisher', 'publisher_progress') AND attack.read(w.name, c.oid::regclass::text) > 0}, 'row-level security alone shows nothing of two');
is(ask(q{SELECT count(*) FROM attack.principal w, pg_class c WHERE w.name NOT IN ('super_admin', 'admin of two') AND c.relkind = 'r' AND c.relispartition AND attack.read(w.name, c.oid::regclass::text) > 0}), 0,
	'... nor does a partition by its own name');
ask('REVOKE SELECT ON ALL TABLES IN SCHEMA qms FROM PUBLIC; REVOKE ALL ON SCHEMA qms_internal FROM PUBLIC; REVOKE SELECT ON ALL TABLES IN SCHEMA qms_internal FROM PUBLIC');

is(ask('SELECT attack.state_of_two()'), $before, 'nothing of two has changed');
none(q{SELECT e.kind, e.actor_kind, e.actor_id, e.data FROM qms.event e WHERE e.organization_id = attack.id('foreign', 'organization') AND e.kind = 'access.refused'
	AND e.actor_id IS DISTINCT FROM (SELECT staff_id FROM qms.staff WHERE username = 'admin of two')}, 'its event log does not even hear of those who were refused elsewhere');

# A request_id of two is no key to its answer, nor known.
my $request = '00000000-0000-4000-8000-000000000001';
my $join = "join_queue(queue_id => " . ask(q{SELECT attack.of('foreign', 'queue')}) . ", subject => 'kim', request_id => '$request')";
is(ask(qq{SELECT attack.be('admin of two'); SELECT count(*) FROM qms.$join}) =~ s/^\n//r, '1', 'an administrator of two takes a ticket');
my $after = ask('SELECT attack.state_of_two()');
is(ask(qq{SELECT string_agg((attack.try(name, \$x\$$join\$x\$)).state, ' ') FROM attack.principal WHERE name IN ('admin', 'application', 'customer')}), 'QM101 QM101 QM101', 'its request_id opens nothing to others');
unlike(ask(qq{SELECT (attack.try('anonymous', \$x\$$join\$x\$)).answer}), qr/token": *"/, 'nor does the subject to a visitor');

# Somebody without a name gives himself no class, by no way.
ask(q{SELECT qms.create_customer_class(attack.id('own', 'organization'), 'vip', credit => '1 h')});
my @ways = ("queue_id => {queue}", "branch_id => {branch}, service_id => {service}", "queue_id => {queue}, visit_token => '{token}'", "queue_id => {room}", "queue_id => {queue}, subject => 'new'",
	"queue_id => {queue}, request_id => '00000000-0000-4000-8000-000000000002'");
foreach my $way (@ways)
{
	is(ask(sprintf q{SELECT string_agg(DISTINCT (attack.try(w, format('join_queue(%%s, %%s)', attack.fill($w$%s$w$, 'own'), c))).state, ' ') FROM unnest('{anonymous,anonymous of one,customer,kiosk}'::text[]) w, unnest('{customer_class => $$vip$$,priority => 1,"customer_class => $$vip$$, priority => 10"}'::text[]) c}, $way),
		'QM305', "no privileged class by $way");
}

is(ask('SELECT attack.state_of_two()'), $after, 'nothing of two has changed since');
note("$tried calls");

done_testing();
