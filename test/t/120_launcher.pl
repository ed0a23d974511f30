# The launcher and its workers: they come with CREATE EXTENSION and go with DROP EXTENSION, both at
# commit; commands that need a database for themselves get it; who is terminated comes back; a
# standby has none until it is promoted.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;
use Time::HiRes qw(time);

my $node = Qms::node('launcher', { init => [ allows_streaming => 1 ], extension => 0 },
	'qms.workers = on', 'max_worker_processes = 20', "log_min_messages = info");
my $ask = sub { return $node->safe_psql($_[1] // 'postgres', $_[0]) };

# Workers of a database, as the server shows them.
sub workers
{
	my ($database, $of) = @_;
	return ($of // $node)->safe_psql('postgres', qq{
		SELECT string_agg(backend_type, ' ' ORDER BY backend_type) FROM pg_stat_activity
		WHERE backend_type IN ('qms publisher', 'qms scheduler') AND datname = '$database'});
}

my $both = 'qms publisher qms scheduler';

sub come
{
	my ($database, $test, $of) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Qms::poll(sub { workers($database, $of) eq $both }), $test);
}

sub gone
{
	my ($database, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Qms::poll(sub { workers($database) eq '' }), $test);
}

# Runs within seconds: the time that a command may take on a busy machine.
sub quick
{
	my ($sql, $test, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $begin = time();
	my ($rc, $out, $err) = $node->psql($database // 'postgres', $sql, timeout => $Qms::timeout);
	is($rc, 0, $test) or diag($err);
	cmp_ok(time() - $begin, '<', 15, "$test: within seconds");
	return;
}

sub fails
{
	my ($sql, $like, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, timeout => $Qms::timeout);
	return like($err, $like, $test);
}

# ---- the extension is made and dropped, at commit ----

ok(Qms::poll(sub { $ask->(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'qms launcher' AND datname IS NULL}) eq '1' }),
	'the launcher runs, in no database');
$ask->('CREATE DATABASE one');
$ask->('BEGIN; CREATE EXTENSION qms; ROLLBACK', 'one');
is(workers('one'), '', 'no workers after a rollback of CREATE EXTENSION');
$ask->('CREATE EXTENSION qms', 'one');
come('one', 'workers come after CREATE EXTENSION');
is($ask->(q{SELECT count(DISTINCT pid), bool_and(state = 'active') FROM qms.worker_status WHERE database = 'one' OR worker = 'launcher'}, 'one'),
	'3|t', 'and the status shows them');
$ask->('BEGIN; DROP EXTENSION qms; ROLLBACK', 'one');
come('one', 'workers are there again after a rollback of DROP EXTENSION');
$ask->('BEGIN; SAVEPOINT s; DROP EXTENSION qms; ROLLBACK TO s; COMMIT', 'one');
come('one', 'and after a rollback to a savepoint');
$ask->('DROP EXTENSION qms', 'one');
gone('one', 'workers go with DROP EXTENSION');
$ask->('DROP EXTENSION IF EXISTS qms; CREATE EXTENSION qms; DROP EXTENSION qms; CREATE EXTENSION qms', 'one');
come('one', 'made, dropped and made again');
$ask->('BEGIN; DROP EXTENSION qms; CREATE EXTENSION qms; COMMIT', 'one');
come('one', 'in one transaction');
$ask->(q{DROP EXTENSION qms}, 'one');
gone('one', 'gone again');
$ask->(q{BEGIN; CREATE EXTENSION qms; PREPARE TRANSACTION 'made'}, 'one');
is(workers('one'), '', 'none for an extension that is prepared');
$ask->(q{COMMIT PREPARED 'made'}, 'one');
come('one', 'they come with COMMIT PREPARED');

# ---- commands that need the database without others ----

$ask->(q{SELECT qms.create_organization('o')}, 'one');
come('one', 'workers of a database in use');
quick('ALTER DATABASE one RENAME TO two', 'RENAME');
come('two', 'workers after RENAME');
quick('BEGIN; ALTER DATABASE two RENAME TO three; ROLLBACK', 'RENAME rolled back');
come('two', 'workers after it');
my $folder = PostgreSQL::Test::Utils::tempdir();
$ask->("CREATE TABLESPACE room LOCATION '$folder'");
quick('ALTER DATABASE two SET TABLESPACE room', 'SET TABLESPACE');
come('two', 'workers after SET TABLESPACE');
quick('CREATE DATABASE copy TEMPLATE two', 'CREATE DATABASE TEMPLATE');
come('two', 'workers after CREATE DATABASE TEMPLATE');
ok(Qms::poll(sub { $ask->(q{SELECT state || ' ' || dormant_reason FROM qms.worker_status WHERE database = 'copy' AND worker = 'publisher'}, 'two')
		eq 'dormant It is a copy of another database of this server.' }), 'the copy is dormant and says why');
is(workers('copy'), '', 'and has no workers');
quick('DROP DATABASE copy', 'DROP DATABASE of the dormant one');
quick('ALTER DATABASE two SET TABLESPACE pg_default', 'SET TABLESPACE back');
$ask->('DROP TABLESPACE room');
come('two', 'workers after it');

# They fail for other reasons, ten times in a loop: the workers are there again at once.
$ask->('CREATE DATABASE taken');
fails("SELECT 1; CREATE DATABASE taken TEMPLATE two", qr/already exists/, 'CREATE DATABASE fails') for 1 .. 10;
fails("ALTER DATABASE two RENAME TO taken", qr/already exists/, 'RENAME fails') for 1 .. 3;
my $begin = time();
come('two', 'workers after commands that failed');
cmp_ok(time() - $begin, '<', 10, 'soon, not after a long wait for having failed so often');
is($ask->(q{SELECT max(failures) FROM qms.worker_status WHERE database = 'two'}, 'two'), '0', 'no failure is counted');

# Who may not do it does not stop them either.
$ask->('CREATE ROLE nobody LOGIN; CREATE ROLE maker LOGIN CREATEDB');
my $pids = q{SELECT string_agg(pid::text, ' ' ORDER BY worker) FROM qms.worker_status WHERE database = 'two'};
my $before = $ask->($pids, 'two');
fails("SET SESSION AUTHORIZATION nobody; DROP DATABASE two", qr/must be owner/, 'DROP DATABASE by somebody');
fails("SET SESSION AUTHORIZATION nobody; ALTER DATABASE two RENAME TO x", qr/must be owner/, 'RENAME by somebody');
fails("SET SESSION AUTHORIZATION maker; CREATE DATABASE x TEMPLATE two", qr/permission denied/, 'TEMPLATE by somebody');
$node->psql('two', 'SET SESSION AUTHORIZATION nobody; DROP EXTENSION qms');
is($ask->($pids, 'two'), $before, 'the workers have not noticed');

foreach my $n (1 .. 5)
{
	my ($rc, $out, $err) = $node->psql('postgres', "CREATE DATABASE copy TEMPLATE two;", timeout => $Qms::timeout);
	my ($rc2, $out2, $err2) = $node->psql('postgres', "DROP DATABASE copy", timeout => $Qms::timeout);
	ok($rc == 0 && $rc2 == 0, "copied and dropped, $n") or diag("$err$err2");
}
$ask->('CREATE DATABASE away');
foreach my $n (1 .. 5)
{
	$ask->('CREATE EXTENSION qms', 'away');
	come('away', "workers of away, $n") if $n % 2;
	my ($rc, $out, $err) = $node->psql('postgres', "DROP DATABASE away", timeout => $Qms::timeout);
	is($rc, 0, "dropped with its workers, $n") or diag($err);
	$ask->('CREATE DATABASE away');
}
come('two', 'and the workers of the first one are there');
ok(Qms::poll(sub { $ask->(q{SELECT count(*) FROM qms.worker_status WHERE database IS NULL AND worker <> 'launcher'}, 'two') eq '0' }),
	'nothing is left of the dropped ones');

# ---- excluded databases ----

$ask->(q{ALTER SYSTEM SET qms.excluded_databases = 'two, away'});
$node->reload;
gone('two', 'workers leave an excluded database');
$ask->('CREATE EXTENSION qms', 'away');
is($ask->('DROP EXTENSION qms; CREATE EXTENSION qms; SELECT 1', 'away'), '1', 'the extension in an excluded database');
$ask->('ALTER SYSTEM RESET qms.excluded_databases');
$node->reload;
come('two', 'and come back when it is not any more');
come('away', 'and to the other one');
$ask->('DROP DATABASE away');

# ---- who is terminated comes back ----

foreach my $kind ('qms publisher', 'qms scheduler', 'qms launcher')
{
	my $pid = $ask->(qq{SELECT pid FROM pg_stat_activity WHERE backend_type = '$kind'});
	is($ask->("SELECT pg_terminate_backend($pid)"), 't', "$kind is terminated");
	ok(Qms::poll(sub { $ask->(qq{SELECT count(*) FROM pg_stat_activity WHERE backend_type = '$kind' AND pid <> $pid}) eq '1' }),
		"$kind comes back");
}
come('two', 'all are there');

# ---- a standby ----

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^qms'}), '0', 'nothing runs on a standby');
my $epoch = $standby->safe_psql('two', 'SELECT epoch FROM qms_internal.publisher');
$node->stop('immediate');
$standby->promote;
come('two', 'all run after promotion', $standby);
ok(Qms::poll(sub { $standby->safe_psql('two', 'SELECT epoch FROM qms_internal.publisher') ne $epoch }), 'with a new epoch');
$standby->stop;

foreach my $log ($node->logfile, $standby->logfile)
{
	unlike(slurp_file($log), qr/PANIC|TRAP:|terminated by signal|deadlock detected/, 'a quiet log');
}
done_testing();
