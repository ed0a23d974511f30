# Twenty databases: each has its workers; one that fails does not stop the others, its error is in
# the status, and it recovers.  Too few slots: one clear log line, and a status.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $databases = 20;
my $node = Qms::node('many', { extension => 0 }, 'qms.workers = on', 'max_worker_processes = 60', 'max_connections = 50');
my $ask = sub { return $node->safe_psql($_[1] // 'postgres', $_[0]) };
my $running = q{SELECT count(DISTINCT (datname, backend_type)) FROM pg_stat_activity WHERE backend_type IN ('qms publisher', 'qms scheduler')};

$ask->('CREATE DATABASE db1');
$ask->(q{CREATE EXTENSION qms}, 'db1');
# Copies of an empty database are nobody's yet: they are taken for new ones.
$ask->("CREATE DATABASE db$_ TEMPLATE db1") for 2 .. $databases;
Qms::wait_for($node, $running, 'each database has its two workers', 2 * $databases);
$ask->(q{
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1)}, "db$_") for 1 .. $databases;
$ask->('SELECT number FROM qms.join_queue(1)', "db$_") for 1 .. $databases;

# Everything that was written has its position.
sub published
{
	my ($database, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($node->poll_query_until($database,
		'SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)'), $test);
}
published("db$_", "db$_ publishes") for 1 .. $databases;

# ---- one fails ----

my $status = sub { return $ask->("SELECT $_[0] FROM qms.worker_status WHERE database = 'db7' AND worker = '$_[1]'", 'db1') };
$ask->('ALTER TABLE qms_internal.publisher RENAME TO gone', 'db7');
$ask->('SELECT number FROM qms.join_queue(1)', 'db7');
ok(Qms::poll(sub { $status->('last_error', 'publisher') =~ /relation "qms_internal.publisher" does not exist/ }), 'its error is in the status');
ok(Qms::poll(sub { $status->('failures', 'publisher') >= 2 }), 'and how often it failed');
$ask->('SELECT qms.join_queue(1) FROM generate_series(1, 50)', "db7");
$ask->('SELECT number FROM qms.join_queue(1)', "db7") for 1 .. 10;
cmp_ok($status->('failures', 'publisher'), '<', 8, 'commits do not make it fail faster');
$ask->('SELECT number FROM qms.join_queue(1)', "db$_") for 6, 8, 20;
published("db$_", "db$_ goes on") for 6, 8, 20;
like(slurp_file($node->logfile), qr/ERROR:  relation "qms_internal.publisher" does not exist/, 'the log says it');
my $pid = $status->('pid', 'publisher');
$ask->('ALTER TABLE qms_internal.gone RENAME TO publisher', 'db7');
published('db7', 'it recovers when it is mended');
is($status->('failures', 'publisher'), '0', 'no failures any more');
is($status->('pid', 'publisher'), $pid, 'in the same process');

# A table missing for the scheduler and for a probe: half restored, or half upgraded.
$ask->('ALTER TABLE qms_internal.request RENAME TO gone; ALTER TABLE qms_internal.instance RENAME TO nowhere', 'db9');
$ask->(q{SELECT pg_terminate_backend(pid) FROM qms.worker_status WHERE database = 'db9' AND worker = 'scheduler'}, 'db1');
my $error = sub { return $ask->("SELECT last_error FROM qms.worker_status WHERE database = '$_[0]' AND worker = '$_[1]'", 'db1') };
ok(Qms::poll(sub { $error->('db9', 'scheduler') =~ /relation "qms_internal.instance" does not exist/ }), 'a missing table is in the status');
$ask->('ALTER TABLE qms_internal.nowhere RENAME TO instance', 'db9');
ok(Qms::poll(sub { $error->('db9', 'scheduler') =~ /relation "qms_internal.request" does not exist/ }), 'and another one, of one task');
$ask->('ALTER TABLE qms_internal.gone RENAME TO request', 'db9');
$ask->('SELECT number FROM qms.join_queue(1)', 'db9');
published('db9', 'and that one works on');
Qms::wait_for($node, $running, 'all workers are there', 2 * $databases);

# ---- too few slots ----

$node->adjust_conf('postgresql.conf', 'max_worker_processes', '12');
my $offset = -s $node->logfile;
$node->restart;
my $needed = 3 + 2 * $databases;
ok(Qms::poll(sub { $ask->(q{SELECT state FROM qms.worker_status WHERE worker = 'launcher'}, 'db1') eq 'too few slots' }), 'too few slots: the status');
$ask->(q{SELECT number FROM qms.join_queue(1)}, 'db1');
published('db1', 'who has workers works');
# It tries again every five seconds, and whenever it is woken.
foreach my $n (1 .. 3)
{
	my $retry = $ask->('SELECT clock_timestamp(); SELECT pg_reload_conf()') =~ s/\nt$//r;
	Qms::wait_for($node, "SELECT state_change > '$retry' FROM pg_stat_activity WHERE backend_type = 'qms launcher'", "tried again, $n");
}
my @lines = substr(slurp_file($node->logfile), $offset) =~ /(WARNING:  qms could not start a background worker.*\n.*\n.*)/g;
is(scalar(@lines), 1, 'one log line');
like($lines[0] // '', qr/qms needs $needed:.*raise max_worker_processes \(now 12\)/s, 'which names the slots needed');
my (undef, undef, $warning) = $node->psql('postgres', 'CREATE EXTENSION qms');
like($warning, qr/WARNING:  the background workers of qms will not all find a place\nDETAIL:  For \d+ databases qms needs \d+ worker processes; max_worker_processes is 12\.\nHINT:  Raise/, 'CREATE EXTENSION says so, too');
$ask->('DROP EXTENSION qms');
$node->adjust_conf('postgresql.conf', 'max_worker_processes', $needed);
$ask->('ALTER TABLE qms_internal.instance RENAME TO nowhere', 'db11');
$node->restart;
Qms::wait_for($node, $running, 'a database that cannot be probed does not stop the others', 2 * $databases - 2);
ok(Qms::poll(sub { $error->('db11', 'probe') =~ /relation "qms_internal.instance" does not exist/ }), 'the status says why');
$ask->('ALTER TABLE qms_internal.nowhere RENAME TO instance', 'db11');
Qms::wait_for($node, $running, 'with that many slots all run', 2 * $databases);
is($ask->(q{SELECT state FROM qms.worker_status WHERE worker = 'launcher'}, 'db1'), 'active', 'and the status says so');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
