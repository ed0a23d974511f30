# Maintenance under load: ALTER EXTENSION, pg_dump, VACUUM FULL.  Nobody hangs, no worker takes part in
# a deadlock.  (CREATE and DROP EXTENSION: 128_loops.pl.)
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
	foreach my $n (1 .. 2)
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

$ask->(q{
	CREATE EXTENSION qms;
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1, settings => '{"max_number": 99999}')});

# ---- maintenance while sessions call and workers work ----

my @sessions = load('SELECT number FROM qms.join_queue(1);', 500);
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
my $begin = time();
$node->stop('fast');
cmp_ok(time() - $begin, '<', 12, 'a shutdown does not wait for long');
like(slurp_file($node->logfile), qr/ERROR:  canceling statement due to lock timeout/, 'and the log says what was waited for');
$node->start;
$ask->(q{ROLLBACK PREPARED 'locked'});
Qms::wait_for($node, $all_published, 'and it goes on');

$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
