# Library and extension of different versions, in either direction, and an extension that has lost
# parts: people go on working, the workers of that database leave, a log line with a hint and
# worker_status say why, other databases do not notice, and when it is mended all goes on.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

my ($programs, $extensions) = Qms::installation() or plan skip_all => 'this PostgreSQL cannot be moved';
my ($version) = slurp_file("$extensions/qms.control") =~ /^default_version = '(.*)'/m;

# A version before this one, and one after it.
append_to_file("$extensions/qms--0.0.1.sql", slurp_file("$extensions/qms--$version.sql"));
append_to_file("$extensions/qms--0.0.1--$version.sql", 'CREATE FUNCTION qms.since_then() RETURNS int LANGUAGE sql AS $$SELECT 1$$;');
append_to_file("$extensions/qms--$version--99.0.sql", "CREATE TABLE qms.later (later int); ALTER TABLE qms.ticket ADD later int;");
append_to_file("$extensions/qms--99.0--$version.sql", "DROP TABLE qms.later; ALTER TABLE qms.ticket DROP later;");

my $node = Qms::node('versions', { install_path => $programs }, 'qms.workers = on', 'max_worker_processes = 20', q{qms.mock_now = '2030-05-06 10:00+00'});
my $ask = sub { return $node->safe_psql($_[1] // 'postgres', $_[0]) };
is(index($extensions, $ask->(q{SELECT setting FROM pg_config WHERE name = 'SHAREDIR'})), 0, 'a server with extensions of its own');

# What the status says of a database; asked for elsewhere.
sub status
{
	my ($database, $what) = @_;
	return $ask->("SELECT string_agg(DISTINCT $what, ', ') FROM qms.worker_status WHERE database = '$database' AND worker <> 'probe'");
}

sub published
{
	my ($database, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($node->poll_query_until($database, q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)}), $test);
}

sub workers
{
	my ($database) = @_;
	return $ask->("SELECT count(*) FROM pg_stat_activity WHERE datname = '$database' AND backend_type ~ '^qms (pub|sch)'");
}

# Since the last time: the state, the reason, one line of the log with its hint, no workers.
my $read = 0;
sub unusable
{
	my ($database, $reason, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(Qms::poll(sub { status($database, q{state || ': ' || dormant_reason}) eq "unusable: $reason" }), "$test: the status says so")
		or diag(status($database, q{concat_ws(' ', state, dormant_reason, last_error)}));
	ok(Qms::poll(sub { workers($database) eq '0' }), "$test: no workers");
	my @lines = substr(slurp_file($node->logfile), $read) =~ /(WARNING:  qms does no background work in database "$database"\n.*DETAIL:  \Q$reason\E\n.*HINT:  Run ALTER EXTENSION qms UPDATE)/g;
	is(scalar(@lines), 1, "$test: the log says so, once, and what to do");
	$read = -s $node->logfile;
	return;
}

sub active
{
	my ($database, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(Qms::poll(sub { status($database, 'state') eq 'active' && workers($database) eq '2' }), "$test: workers come");
	published($database, "$test: and publish");
	is(status($database, q{coalesce(dormant_reason, '-')}), '-', "$test: no reason is left in the status");
	return;
}

$ask->("CREATE DATABASE $_") foreach qw(older newer);
$ask->('CREATE EXTENSION qms', 'newer');
foreach my $database (qw(postgres newer))
{
	$ask->(slurp_file('test/specs/world.sql'), $database);
	$ask->('SELECT iso.world(2)', $database);
	active($database, "$database, at first");
}

# ---- the library is newer: the server has been upgraded, the extension not yet ----

my ($rc, $out, $err) = $node->psql('older', "CREATE EXTENSION qms VERSION '0.0.1'");
is($rc, 0, 'an older extension') or diag($err);
$ask->(slurp_file('test/specs/world.sql'), 'older');
unusable('older', "The extension is of version 0.0.1, the library of version $version.", 'the library is newer');
($rc, $out, $err) = $node->psql('older', q{SELECT iso.world(2); SELECT iso.call('one')});
is($out, "\nA001", 'people go on working');
is(scalar(() = $err =~ /WARNING:  qms is half upgraded in this database\nDETAIL:  The extension is of version 0\.0\.1, the library of version \Q$version\E\.\nHINT:  .*ALTER EXTENSION qms UPDATE/g), 1,
	'each session is told once') or diag($err);
is($ask->('SELECT count(*) FROM qms_internal.event_position', 'older'), '0', 'nothing is published');
$read = -s $node->logfile;
$node->restart;
unusable('older', "The extension is of version 0.0.1, the library of version $version.", 'after a restart');
active('postgres', 'after a restart others');
$ask->('ALTER EXTENSION qms UPDATE', 'older');
active('older', 'the library is newer, updated');
is($ask->(q{SELECT iso.call('one', 'completed')}, 'older'), 'A002', 'calls go on');
($rc, $out, $err) = $node->psql('older', q{SELECT iso.join()});
is($err, '', 'and nobody is told anything');

# ---- the extension is newer: it was updated before the server was restarted ----

my $others = q{SELECT string_agg(pid::text, ' ' ORDER BY worker) FROM qms.worker_status WHERE database = 'postgres'};
my $pids = $ask->($others);
my $epoch = $ask->('SELECT epoch FROM qms.stream_position()', 'newer');
active('newer', 'newer, after a restart');
my $session = Session->new($node, 'dbname=newer');
is($session->ask('SELECT iso.join()'), 'A003', 'a session of before');
$ask->(q{BEGIN; ALTER EXTENSION qms UPDATE TO '99.0'; ROLLBACK}, 'newer');
active('newer', 'an update that is rolled back');
$ask->(q{ALTER EXTENSION qms UPDATE TO '99.0'}, 'newer');
unusable('newer', "The extension is of version 99.0, the library of version $version.", 'the extension is newer');
my $positions = $ask->('SELECT count(*) FROM qms_internal.event_position', 'newer');
is($session->ask('SELECT iso.join()'), 'A004', 'that session goes on');
is($ask->(q{SELECT iso.call('one')}, 'newer'), 'A001', 'new ones too');
is($ask->('SELECT count(*) FROM qms_internal.event_position', 'newer'), $positions, 'nothing is published');
$ask->(q{ALTER EXTENSION qms UPDATE TO '} . $version . q{'}, 'newer');
active('newer', 'back again');
is($ask->('SELECT epoch FROM qms.stream_position()', 'newer'), $epoch, 'in the same epoch');

# ---- by hand, without any command that we could hear of: at the next turn ----

$ask->(q{UPDATE pg_extension SET extversion = '0.0' WHERE extname = 'qms'}, 'newer');
is($session->ask('SELECT iso.join()'), 'A005', 'a commit wakes the workers');
unusable('newer', "The extension is of version 0.0, the library of version $version.", 'changed by hand');
$ask->(qq{UPDATE pg_extension SET extversion = '$version' WHERE extname = 'qms'; ALTER EXTENSION qms UPDATE}, 'newer');
active('newer', 'mended by hand');

# ---- a schema is away ----

$ask->('ALTER SCHEMA qms_internal RENAME TO away', 'newer');
($rc, $out, $err) = $node->psql('newer', q{SELECT iso.join()});
like($err, qr/ERROR:  schema "qms_internal" does not exist|ERROR:  relation "qms_internal\.\w+" does not exist/, 'functions say what is missing');
$ask->(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'newer' AND backend_type = 'qms scheduler'});
unusable('newer', 'The extension has lost its schemas.', 'a schema is away');
$ask->('ALTER SCHEMA away RENAME TO qms_internal; ALTER EXTENSION qms UPDATE', 'newer');
active('newer', 'back again');
$session->end;

is($ask->($others), $pids, 'the workers of the other database have not noticed anything');

# ---- a table is away when somebody begins: afterwards he must not miss what changes ----

my $clock = Clock->new($node);
$ask->(q{SELECT iso.call('one'); ALTER TABLE qms.service RENAME TO away});
$session = Session->new($node);
$session->ask('SELECT iso.join()');
like($session->errors, qr/ERROR:  relation "qms.service" does not exist\n.*DETAIL:  The extension qms is not completely installed.*\n.*HINT:  .*ALTER EXTENSION qms UPDATE/, 'a table is away: what to do');
$ask->(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres' AND backend_type = 'qms scheduler'});
ok(Qms::poll(sub { $ask->(q{SELECT last_error ~ 'qms.service' FROM qms.worker_status WHERE database = 'postgres' AND worker = 'scheduler'}) eq 't' }), 'the scheduler fails, visibly');
$ask->('ALTER TABLE qms.away RENAME TO service');
is($session->ask('SELECT iso.join()'), 'A003', 'it is back: the session goes on');
Qms::wait_for($node, q{SELECT failures = 0 FROM qms.worker_status WHERE database = 'postgres' AND worker = 'scheduler'}, 'so does the scheduler');
$ask->(q{SELECT qms.update_queue(iso.id('q'), settings => '{"no_show_after": "1 min"}')});
$ask->(q{SELECT qms.close_queue(iso.id('r'))});
is($session->ask(q{SELECT iso.try('SELECT iso.join(''r'')')}), 'QM301', 'the session sees what others change');
$clock->at('2030-05-06 10:02+00');
is($ask->(q{SELECT state FROM iso.tickets WHERE number = 'A001'}), 'no_show', 'the scheduler too');
$session->end;

# A long message in another language is cut between characters, whatever its beginning.
$ask->(q{CREATE FUNCTION iso.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE '%', repeat('x', qms.number(NEW.number) - 1) || repeat('ü', 200); END $$;
	CREATE TRIGGER refuse BEFORE UPDATE ON qms.ticket FOR EACH ROW WHEN (NEW.state = 'waiting') EXECUTE FUNCTION iso.refuse()});
foreach my $n (2, 3)
{
	$ask->(qq{SELECT qms.hold_ticket(iso.id('A00$n'), resume_at => '2030-05-06 10:0$n:30+00')});
	$clock->at("2030-05-06 10:0$n:40+00");
	like($ask->(q{SET client_encoding = 'LATIN1'; SELECT last_error FROM qms.worker_status WHERE database = 'postgres' AND worker = 'scheduler'}),
		$n == 2 ? qr/^hold for \d+: x\xfc{50,}$/ : qr/^hold for \d+: xx\xfc{50,}$/, "an error in another language is readable, $n");
}
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
