# What a superuser may drop while workers run, and what is refused: schemas and members of the
# extension, what qms_owner owns, what the owner of the extension owns; databases, with and without
# force, and with a session in the way.  Workers leave or go on accordingly.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;
use Time::HiRes qw(time);

my $node = Qms::node('drops', { extension => 0 }, 'qms.workers = on', 'max_worker_processes = 20', 'deadlock_timeout = 100ms',
	q{qms.mock_now = '2030-05-06 10:00+00'});
my $ask = sub { return $node->safe_psql($_[1] // 'hall', $_[0]) };
my $pids = q{SELECT string_agg(pid::text, ' ' ORDER BY worker) FROM qms.worker_status WHERE database = 'hall'};
my $running = q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'hall' AND backend_type ~ '^qms (pub|sch)'};

# Both workers are there and publish what is new.
sub work
{
	my ($test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $begin = time();
	ok(Qms::poll(sub { $ask->($running, 'postgres') eq '2' }), "$test: workers are there");
	$ask->(q{SELECT 1 FROM qms.join_queue((SELECT min(queue_id) FROM qms.queue))});
	ok($node->poll_query_until('hall', 'SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)'), "$test: and work");
	cmp_ok(time() - $begin, '<', 15, "$test: within seconds");
	return;
}

sub gone
{
	my ($test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Qms::poll(sub { $ask->($running, 'postgres') eq '0' }), $test);
}

sub fails
{
	my ($sql, $like, $test, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($rc, $out, $err) = $node->psql($database // 'hall', $sql, timeout => $Qms::timeout);
	return like($err, $like, $test);
}

# Made by dba, who owns it then.
sub make
{
	$ask->(q{SET SESSION AUTHORIZATION dba; CREATE EXTENSION qms;
		SELECT organization_id FROM qms.create_organization('o');
		SELECT branch_id FROM qms.create_branch(1, 'b');
		SELECT queue_id FROM qms.create_queue('q', 1, settings => '{"max_number": 99999}')});
	return;
}

$ask->('CREATE DATABASE hall; ', 'postgres');
$ask->('CREATE ROLE dba LOGIN SUPERUSER', 'postgres');
make();
work('at first');

# ---- refused: nothing happens ----

my $before = $ask->($pids);
my $refused = qr/cannot drop .* because extension qms requires it\n.*HINT:  You can drop extension qms instead/;
fails($_, $refused, "$_ is refused") foreach 'DROP SCHEMA qms CASCADE', 'DROP SCHEMA qms_internal CASCADE', 'DROP OWNED BY qms_owner', 'DROP OWNED BY qms_owner CASCADE',
	'DROP TABLE qms.ticket CASCADE', 'DROP FUNCTION qms.join_queue CASCADE', 'BEGIN; DROP SCHEMA qms CASCADE';
fails('DROP ROLE qms_owner', qr/role "qms_owner" cannot be dropped because some objects depend on it/, 'DROP ROLE qms_owner is refused');
is($ask->($pids), $before, 'the workers have not noticed');
work('after all that');

# ---- dropped with what their owner owns: the extension goes, and it is not called DROP EXTENSION ----

is($ask->(q{BEGIN; DROP OWNED BY dba; SELECT count(*) FROM pg_extension WHERE extname = 'qms'; ROLLBACK}), '0', 'DROP OWNED BY the owner drops it');
work('rolled back');
$ask->(q{BEGIN; SAVEPOINT s; DROP OWNED BY dba; ROLLBACK TO s; COMMIT});
work('rolled back to a savepoint');
$ask->('DROP OWNED BY dba');
gone('committed: the workers leave');
is($ask->(q{SELECT count(*) FROM pg_extension WHERE extname = 'qms'}), '0', 'and it is gone');
make();
work('made again');

# It takes its locks one by one and has to wait for somebody who reads: no worker may be in the middle.
my $reader = Session->new($node, 'dbname=hall');
my $dropper = Session->new($node, 'dbname=hall');
foreach my $n (1 .. 2)
{
	$reader->ask('BEGIN; SELECT 1 FROM qms.event UNION ALL SELECT 1 FROM qms_internal.event_position UNION ALL SELECT 1 FROM qms.ticket LIMIT 1');
	$dropper->tell('BEGIN; DROP OWNED BY dba; ROLLBACK');
	ok(Qms::poll(sub { $ask->(q{SELECT count(*) FROM pg_stat_activity WHERE query ~ 'DROP OWNED' AND wait_event_type = 'Lock'}, 'postgres') eq '1' }), "it waits for a reader, $n");
	is($ask->($running, 'postgres'), '0', "without workers, $n");
	$reader->ask('COMMIT');
	$dropper->answer;
	work("after it has waited, $n");
}
is($ask->(q{SELECT max(failures) FROM qms.worker_status WHERE database = 'hall'}), '0', 'no failure is counted');
$_->end foreach $reader, $dropper;

# Again and again, under load: whoever is in a deadlock, it is no worker.
my $load = "SELECT 1 FROM qms.join_queue((SELECT min(queue_id) FROM qms.queue));\n" x 1000;
my @sessions = map { my ($out, $err); { out => \$out, err => \$err,
	run => IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('hall') ], '<', \$load, '>', \$out, '2>', \$err, IPC::Run::timeout($Qms::timeout)) } } 1 .. 2;
foreach my $n (1 .. 10)
{
	my ($rc, $out, $err);
	foreach my $try (1 .. 20)
	{
		($rc, $out, $err) = $node->psql('hall', $n % 2 ? 'BEGIN; DROP OWNED BY dba; ROLLBACK' : 'DROP OWNED BY dba', timeout => $Qms::timeout, on_error_stop => 1);
		last if $rc == 0 || $err !~ /deadlock detected/;
	}
	is($rc, 0, "under load, $n") or diag($err);
	make() if $n % 2 == 0;
}
$_->{run}->finish foreach @sessions;
unlike(slurp_file($node->logfile), qr/Process \d+: (?:publisher|scheduler|probe)$/m, 'no worker was part of a deadlock');
work('after it');

# ---- DROP DATABASE that fails: a session is in the way ----

my $session = Session->new($node, 'dbname=hall');
is($session->ask('SELECT 1'), '1', 'a session is in the way');
fails('DROP DATABASE hall', qr/database "hall" is being accessed by other users\n.*There is 1 other session/, 'DROP DATABASE fails', 'postgres');
work('afterwards');
is($ask->(q{SELECT max(failures) FROM qms.worker_status WHERE database = 'hall'}), '0', 'no failure is counted');
# One that does not even begin: the workers need not stop, but they may.
fails('BEGIN; DROP DATABASE hall', qr/cannot run inside a transaction block/, 'DROP DATABASE in a transaction block', 'postgres');
work('after that');

# While it waits for the session it can be cancelled.
fails(q{SET statement_timeout = '500ms'; DROP DATABASE hall}, qr/canceling statement|is being accessed/, 'DROP DATABASE is cancelled while it waits', 'postgres');
work('after a cancelled one');

# ---- with force ----

my $begin = time();
my ($rc, $out, $err) = $node->psql('postgres', 'DROP DATABASE hall WITH (FORCE)', timeout => $Qms::timeout);
is($rc, 0, 'DROP DATABASE WITH (FORCE)') or diag($err);
cmp_ok(time() - $begin, '<', 15, 'within seconds');
$session->gone;
foreach my $n (1 .. 5)
{
	$ask->('CREATE DATABASE hall', 'postgres');
	make();
	work("with force, $n") if $n % 2;
	my $busy = Session->new($node, 'dbname=hall');
	$busy->ask('BEGIN; SELECT 1 FROM qms.join_queue(1)');
	($rc, $out, $err) = $node->psql('postgres', 'DROP DATABASE hall WITH (FORCE)', timeout => $Qms::timeout);
	is($rc, 0, "forced out with a session that has written, $n") or diag($err);
	$busy->gone;
}
# Force cannot get past a prepared transaction.
$ask->('CREATE DATABASE hall', 'postgres');
make();
$ask->(q{BEGIN; SELECT 1 FROM qms.join_queue(1); PREPARE TRANSACTION 'there'});
fails('DROP DATABASE hall WITH (FORCE)', qr/being accessed by other users|used by prepared transactions/, 'a prepared transaction stops it', 'postgres');
$ask->(q{COMMIT PREPARED 'there'});
work('after a forced one that failed');
$ask->('DROP DATABASE hall', 'postgres');
$ask->('CREATE EXTENSION qms', 'postgres');
ok(Qms::poll(sub { $ask->(q{SELECT count(*) FROM qms.worker_status WHERE database IS NULL AND worker <> 'launcher'}, 'postgres') eq '0' }), 'nothing is left of it in the status');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
