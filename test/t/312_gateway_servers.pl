# Servers that stop, crash, and are promoted: the program ends with its server, within a second or so and
# however the server ends; on a standby it starts with the promotion.
use strict;
use warnings;

use lib 'test/lib';
use Supervised;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;
use Time::HiRes qw(time);

my $gateway = Supervised->new('primary', { init => [ allows_streaming => 1 ] }, 'restart_after_crash = on');
my $node = $gateway->node;
sub ask { return $gateway->ask(@_) }
$gateway->state_is('listening', 'it runs on the primary');
ask(q{SELECT qms.create_organization('o')});

# Gone within some seconds of the moment that the server was told to stop: a second is what it should take
# on a machine that has nothing else to do.
sub ends
{
	my ($pid, $begin, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $gone = Qms::poll(sub { Supervised::is_gone($pid) }, 30);
	my $took = time - $begin;
	ok($gone, "$test: the program ends");
	cmp_ok($took, '<', 4, sprintf('... %.1f s after', $took));
	return;
}

# ---- the ends of a server

foreach my $mode (qw(fast immediate smart))
{
	my $pid = $gateway->last_start->{pid};
	my $begin = time;

	$node->stop($mode);
	if ($mode eq 'smart')
	{
		ok(Supervised::is_gone($pid), 'a smart shutdown does not wait for it for ever');
	}
	else
	{
		ends($pid, $begin, $mode);
	}
	$node->start;
	$gateway->becomes(sub { $gateway->last_start->{pid} != $pid && $gateway->status('state') eq 'listening' }, 'and starts with it');
}

# One that hears nothing.
$gateway->mode('deaf');
foreach my $mode (qw(fast immediate))
{
	ask('SELECT pg_reload_conf()');
	$node->restart;
	$gateway->state_is('listening', 'one that is deaf');
	my $pid = $gateway->last_start->{pid};
	my $begin = time;
	$node->stop($mode);
	ends($pid, $begin, "deaf, $mode");
	$node->start;
}
$gateway->mode('');
$node->restart;
$gateway->state_is('listening', 'it runs again');

# A smart shutdown with a session of it: as the real program has.
{
	my ($entry) = @{ $gateway->config->{databases} };
	my $begin = time;
	my $pid = $gateway->last_start->{pid};

	# It ends when the program does, as the program's own would.
	system('sh', '-c', qq{(tail --pid=$pid -f /dev/null | psql -XAtq -d "$entry->{conninfo}" >/dev/null 2>&1) &});
	$gateway->becomes(sub { ask(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'qms_gateway_local'}) eq '1' }, 'it is connected');
	$node->stop('smart');
	cmp_ok(time - $begin, '<', 40, 'a smart shutdown with a connected gateway ends');
	$node->start;
	$gateway->state_is('listening', 'it runs again');
}

# The postmaster dies: nobody is left to tell the worker.
{
	my $pid = $gateway->last_start->{pid};
	my @processes = (split(/\n/, ask('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()')), slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/);
	my $begin = time;

	$node->kill9;
	ends($pid, $begin, 'kill -9 of the postmaster');
	# The next postmaster needs the memory that its children share.
	Qms::poll(sub { !grep { kill 0, $_ } @processes });
	$node->start;
	$gateway->becomes(sub { $gateway->last_start->{pid} != $pid && $gateway->status('state') eq 'listening' }, 'it runs again');
}

# A session crashes: the server throws all sessions out, and makes its shared memory anew.
{
	my $pid = $gateway->last_start->{pid};
	my $old = $gateway->config->{databases}[0]{conninfo};
	my $session = Session->new($node);
	my $begin = time;

	kill 'KILL', $session->ask('SELECT pg_backend_pid()');
	ends($pid, $begin, 'a crash of the server');
	$gateway->becomes(sub { my ($rc, $out) = eval { $node->psql('postgres', q{SELECT state, pid FROM qms.gateway_status}) }; defined $rc && $rc == 0 && $out =~ /^listening\|/ && $gateway->last_start->{pid} != $pid }, 'it runs again');
	isnt($gateway->config->{databases}[0]{conninfo}, $old, 'with another password');
}

# The worker is killed: that is a crash, too; the kernel tells the program.
{
	my $pid = $gateway->last_start->{pid};
	my $begin = time;

	kill 'KILL', $gateway->last_start->{ppid};
	ends($pid, $begin, 'kill -9 of the worker');
	$gateway->becomes(sub { my ($rc, $out) = eval { $node->psql('postgres', q{SELECT state, pid FROM qms.gateway_status}) }; defined $rc && $rc == 0 && $out =~ /^listening\|/ && $gateway->last_start->{pid} != $pid }, 'it runs again');
}

# ---- a standby

my $there = Supervised->new('standby', { start => 0 });
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('promoted');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->append_conf('postgresql.conf', "qms.gateway_program = '" . $there->program . "'\nlisten_addresses = '127.0.0.1'");
$there->{node} = $standby;
$standby->start;
$node->wait_for_catchup($standby, 'replay');
is($there->status(q{concat_ws(' ', state, reason, pid)}), 'waiting standby', 'a standby waits');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'qms gateway'}), '0', 'without a worker');
is($standby->safe_psql('postgres', q{SELECT qms_internal.gateway_report('elsewhere', '{"connections": 4}'); SELECT count(*) FROM qms.gateway_status}), "\n2", 'others may report there');
is(scalar($there->starts), 0, 'nothing was started');
my $verifier = q{SELECT rolpassword FROM pg_authid WHERE rolname = 'qms_gateway_local'};
my $primary = ask($verifier);
is($standby->safe_psql('postgres', $verifier), $primary, 'its login is the one of the primary');
$node->stop('immediate');
my $begin = time;
$standby->promote;
$there->state_is('listening', 'it starts with the promotion');
note(sprintf 'after %.1f s', time - $begin);
isnt($standby->safe_psql('postgres', $verifier), $primary, 'with a password of its own');
is($there->served, 'postgres', 'and serves the database');
$standby->stop;

unlike(slurp_file($standby->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
