# The worker with the real program: it listens, logs in, serves two databases, ends in all the ways that a
# server can, and no command has to wait for its sessions.
use strict;
use warnings;

use lib 'test/lib';
use HTTP::Tiny;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Supervised;
use Test::More;
use Time::HiRes qw(time);

chomp(my $bindir = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);
my ($program) = grep { -x } "$ENV{PWD}/qms_gateway", "$bindir/qms_gateway";
plan skip_all => 'qms_gateway is not built' unless $program;

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $gateway = Supervised->new('program', { program => $program }, "qms.gateway_listen = '127.0.0.1:$port'", 'qms.gateway_max_connections = 100');
my $node = $gateway->node;
sub ask { return $gateway->ask(@_) }
sub get { return HTTP::Tiny->new(timeout => 10)->get("http://127.0.0.1:$port$_[0]")->{status} }

$gateway->state_is('listening', 'CREATE EXTENSION, and it listens');
is($gateway->status('listen'), "127.0.0.1:$port", 'where it was told to');
is(get('/healthz'), 200, 'it answers');
my $serves = sub { my ($names) = @_; return sub { ask(q{SELECT string_agg(d->>'name', ' ' ORDER BY d->>'name') FROM qms.gateway_status, jsonb_array_elements(databases) d WHERE (d->>'connected')::bool}) eq $names } };
$gateway->becomes($serves->('postgres'), 'it has logged in');
is(ask(q{SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name = 'qms_gateway' AND backend_type = 'client backend'}), 'qms_gateway_local', 'as its own role');

# ---- it dies, a session in a transaction does not

ask(q{
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1)});
my $session = Session->new($node);
my $n = 0;
foreach my $signal (qw(SEGV KILL TERM))
{
	my $pid = $gateway->status('pid');
	is($session->ask('BEGIN; SELECT number FROM qms.join_queue(1)'), sprintf('A%03d', ++$n), "a session in a transaction, SIG$signal");
	kill $signal, $pid;
	$gateway->becomes(sub { $gateway->status(q{state || (pid <> } . $pid . ')') eq 'listeningtrue' }, 'the program is started again');
	is($session->ask('COMMIT; SELECT count(*) FROM qms.ticket'), $n, 'the session goes on');
	$node->reload;
}
is(get('/healthz'), 200, 'it answers');

# ---- databases

ask('CREATE DATABASE shop');
ask('CREATE EXTENSION qms', 'shop');
$gateway->becomes($serves->('postgres shop'), 'a second database');
my $pid = $gateway->status('pid');
foreach my $command ('ALTER DATABASE shop RENAME TO town', 'CREATE DATABASE copy TEMPLATE town', 'DROP DATABASE town', 'DROP DATABASE copy')
{
	my $begin = time;
	is(($node->psql('postgres', $command))[2], '', $command);
	cmp_ok(time - $begin, '<', 10, '... within seconds');
	$gateway->becomes($serves->($command =~ /RENAME/ ? 'postgres town' : $command =~ /CREATE/ ? 'copy postgres town' : $command =~ /town/ ? 'copy postgres' : 'postgres'), '... and it serves what is left');
}
is($gateway->status('pid'), $pid, 'all that with one process');

# ---- a second server wants the port

{
	my $other = Supervised->new('other', { program => $program }, "qms.gateway_listen = '127.0.0.1:$port'", 'qms.gateway_max_connections = 100');
	$other->becomes(sub { $other->status('state') eq 'failed' && $other->status('last_error') =~ /could not listen on 127\.0\.0\.1:$port/ }, 'a busy port is in the status');
	like($other->log, qr/WARNING:  qms gateway: could not listen on 127\.0\.0\.1:$port.*\n.*HINT/, 'and in the log');
	$node->stop;
	$other->node->reload;
	$other->state_is('listening', 'until it is free');
	$other->node->stop;
	$node->start;
	$gateway->state_is('listening', 'it is the first one\'s again');
}

# ---- the ends of a server

foreach my $mode (qw(fast immediate smart kill9))
{
	my @processes = (split(/\n/, ask('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()')), slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/);
	$pid = $gateway->status('pid');
	my $begin = time;

	$mode eq 'kill9' ? $node->kill9 : $node->stop($mode);
	ok(Qms::poll(sub { Supervised::is_gone($pid) }, 30), "$mode: the program ends");
	my $took = time - $begin;
	cmp_ok($took, '<', $mode eq 'smart' ? 30 : 4, sprintf('... %.1f s after', $took));
	Qms::poll(sub { !grep { kill 0, $_ } @processes });
	$node->start;
	$gateway->state_is('listening', 'and starts again');
	is(get('/healthz'), 200, 'it answers');
}
ask('DROP EXTENSION qms');
ok(Qms::poll(sub { get('/healthz') == 599 }), 'DROP EXTENSION: nobody answers any more');
$node->stop;
unlike($gateway->log =~ s/child process was terminated by signal//gr, qr/PANIC|TRAP:|terminated by signal|deadlock detected/, 'no crash');
done_testing();
