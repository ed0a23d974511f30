# Maintenance under load: CREATE and DROP EXTENSION in a loop, ALTER EXTENSION, pg_dump, VACUUM FULL.
# Sessions may get errors, nobody hangs, no worker takes part in a deadlock.  And what workers cost:
# memory stays flat over thousands of events, an idle database sees no transaction of theirs.
use strict;
use warnings;

use lib 'test/lib';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

chomp(my $bin = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);
my $node = Qms::node('maintenance', { extension => 0 }, 'qms.workers = on', 'max_worker_processes = 20', 'deadlock_timeout = 100ms', 'autovacuum = off',
	"qms.excluded_databases = 'template1'");
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $all_published = 'SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)';
my $folder = PostgreSQL::Test::Utils::tempdir();

# Sessions that call one function after the other, whatever comes back.
sub load
{
	my ($sql, $times) = @_;
	append_to_file("$folder/load", "$sql\n" x $times);
	my @sessions;
	foreach my $n (1 .. 3)
	{
		my ($in, $out, $err) = ('', '', '');
		push @sessions, { out => \$out, err => \$err,
			run => IPC::Run::start([ "$bin/psql", '-XAtq', '-d', $node->connstr('postgres'), '-f', "$folder/load" ],
				'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout($Qms::timeout)) };
	}
	return @sessions;
}

sub finished
{
	my ($test, @sessions) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $fine = grep { eval { $_->{run}->finish; 1 } && $_->{run}->result(0) == 0 } @sessions;
	is($fine, scalar(@sessions), $test);
	unlink "$folder/load";
	return;
}

# The command; a session that calls at this moment may make it the victim of a deadlock: again.
sub insist
{
	my ($sql, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($rc, $out, $err);
	foreach my $try (1 .. 20)
	{
		($rc, $out, $err) = $node->psql('postgres', $sql, timeout => $Qms::timeout, on_error_stop => 1);
		last if $rc == 0 || $err !~ /deadlock detected/;
	}
	return is($rc, 0, $test) || diag($err);
}

# ---- made and dropped in a loop, while sessions call ----

my $make = q{
	CREATE EXTENSION qms;
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1, settings => '{"max_number": 99999}')};
my @sessions = load('SELECT number FROM qms.join_queue(1);', 3000);
foreach my $n (1 .. 6)
{
	insist($make, "made under load, $n");
	insist('DROP EXTENSION qms', "dropped under load, $n") if $n < 6;
}
finished('every session has come to its end', @sessions);
like(join('', map { ${ $_->{err} } } @sessions), qr/ERROR/, 'they got errors meanwhile');
Qms::wait_for($node, q{SELECT count(*) = 2 FROM qms.worker_status WHERE state = 'active' AND database = 'postgres' AND pid IS NOT NULL}, 'workers of the last one');
$ask->('SELECT qms.join_queue(1)');
Qms::wait_for($node, $all_published, 'which publish');

# ---- maintenance while sessions call and workers work ----

@sessions = load('SELECT number FROM qms.join_queue(1);', 500);
insist('CREATE FUNCTION harmless() RETURNS int LANGUAGE sql AS $$SELECT 1$$; ALTER EXTENSION qms ADD FUNCTION harmless()', 'ALTER EXTENSION ADD');
insist('ALTER EXTENSION qms DROP FUNCTION harmless(); DROP FUNCTION harmless()', 'ALTER EXTENSION DROP');
insist("VACUUM FULL $_", "VACUUM FULL $_")
	foreach qw(qms_internal.publisher qms_internal.event_position qms.event qms.ticket qms_internal.instance qms_internal.queue_number qms.queue);
insist('VACUUM (FULL, ANALYZE)', 'VACUUM FULL of everything');
insist('REINDEX SCHEMA qms_internal', 'REINDEX');
command_ok([ "$bin/pg_dump", '-Fc', '-f', "$folder/dump", $node->connstr('postgres') ], 'pg_dump');
finished('every session has come to its end', @sessions);
is(join('', map { ${ $_->{err} } } @sessions), '', 'without an error');
Qms::wait_for($node, $all_published, 'all is published');
unlike(slurp_file($node->logfile), qr/Process \d+: (?:publisher|scheduler|probe)$/m, 'no worker was part of a deadlock');

# A transaction that holds tables for long, and a shutdown meanwhile: nobody waits for it.
$ask->(q{BEGIN; LOCK TABLE qms_internal.publisher; PREPARE TRANSACTION 'locked'});
$ask->('SELECT qms.join_queue(1)');
Qms::wait_for($node, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'qms publisher' AND wait_event_type = 'Lock'}, 'the publisher waits for a prepared transaction');
$node->stop('fast');
$node->start;
Qms::wait_for($node, q{SELECT last_error ~ 'lock timeout' FROM qms.worker_status WHERE worker = 'publisher' AND database = 'postgres'}, 'what it waits for is in the status');
$ask->(q{ROLLBACK PREPARED 'locked'});
Qms::wait_for($node, $all_published, 'and it goes on');

# ---- memory ----

sub memory
{
	my ($kind) = @_;
	my $pid = $ask->("SELECT pid FROM qms.worker_status WHERE worker = '$kind' AND database = 'postgres'");
	# What is private to it: shared buffers that it has touched are not its own.
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : 0;
}

sub churn
{
	my ($times) = @_;
	my @sessions = load('SELECT number FROM qms.join_queue(1);', $times);
	finished("$times joins of each session", @sessions);
	Qms::wait_for($node, $all_published, 'published');
	return;
}

churn(500);
my %before = map { $_ => memory($_) } qw(publisher scheduler);
churn(1500);
foreach my $kind (qw(publisher scheduler))
{
	cmp_ok($before{$kind}, '>', 0, "memory of the $kind");
	cmp_ok(memory($kind) - $before{$kind}, '<', 1024, "memory of the $kind after 4,500 events: less than 1 MB more");
}

# ---- idle ----

# Counted from another database: asking there is no transaction here.
$ask->('CREATE DATABASE elsewhere');
my $there = sub { return $node->safe_psql('elsewhere', $_[0]) };
my $count = q{SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'};
Qms::wait_for($node, $all_published, 'nothing is left to do');
$node->safe_psql('elsewhere', 'SELECT 1');
my ($last, $same) = ('', 0);
# The counters of ended sessions come with a delay: wait until they stand still, then watch.
ok(Qms::poll(sub { my $now = $there->($count); $same = $now eq $last ? $same + 1 : 0; $last = $now; return $same >= 20 }), 'transactions come to rest');
my $from = $there->('SELECT clock_timestamp()');
Qms::poll(sub { $there->("SELECT clock_timestamp() > '$from'::timestamptz + interval '5 s'") eq 't' });
is($there->($count), $last, 'an idle database: no transaction in five seconds');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
