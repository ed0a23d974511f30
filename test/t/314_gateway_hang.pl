# A program that hangs - stopped, or in an endless loop - is killed and replaced; one that has nothing to
# say is not, nor is one whose silence is that of the whole machine.
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
my $period = 3;

# until_passed(SECONDS): that the time goes by is what is tested here.
sub until_passed { my $end = time + $_[0]; return Qms::poll(sub { time >= $end }) }

# The real program, with nothing to do while the rest is tested.
my ($real, $port, $idle);
if ($program)
{
	$port = PostgreSQL::Test::Cluster::get_free_port();
	$real = Supervised->new('real', { program => $program }, "qms.gateway_listen = '127.0.0.1:$port'", 'qms.gateway_max_connections = 100', "qms.gateway_hang_timeout = $period");
	$real->state_is('listening', 'the program listens');
	$idle = { pid => $real->status('pid'), since => time };
}

my $gateway = Supervised->new('hang', "qms.gateway_hang_timeout = '${period}s'", "log_line_prefix = '%b '");
my $node = $gateway->node;
sub ask { return $gateway->ask(@_) }
sub alive { my ($pid) = @_; return scalar grep { $_ eq $pid } $gateway->lines('alive') }
sub current { return $gateway->last_start->{pid} }
sub set { my ($value) = @_; ask("ALTER SYSTEM SET qms.gateway_hang_timeout = '$value'"); $node->reload; return }
sub listens_again { my ($pid) = @_; return sub { current() != $pid && $gateway->status('state') eq 'listening' } }

# ---- nothing to say is no failure

$gateway->state_is('listening', 'it runs');
is($gateway->config->{alive_every}, 1000 * $period / 6, 'it is told how often it should say that it is alive');
my $pid = current();
$gateway->becomes(sub { alive($pid) >= 20 }, 'it says so for several periods, and nothing else');
is($gateway->status(q{concat_ws(' ', pid, state, restarts, last_error)}), "$pid listening 0", 'and is left alone');

# ---- it is stopped

ask(q{
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1)});
my $session = Session->new($node);
my $backend = $session->ask('SELECT pg_backend_pid()');
is($session->ask('BEGIN; SELECT number FROM qms.join_queue(1)'), 'A001', 'a session in a transaction');
my $begin = time;
kill 'STOP', $pid;
$gateway->becomes(sub { Supervised::is_gone($pid) }, 'stopped, it is killed');
my $took = time - $begin;
ok($took > $period - 1 && $took < 60, sprintf('... after %.1f s', $took));
$gateway->becomes(listens_again($pid), 'another one serves');
is($gateway->status('restarts'), 1, 'counted');
is($gateway->status('last_error'), "the program (PID $pid) said nothing for $period s and was killed", 'the status says why');
like($gateway->log, qr/^qms gateway WARNING:  qms gateway: the program \(PID $pid\) said nothing for $period s and was killed\n.*DETAIL:  .*\n.*HINT:  It is started again\. .*qms\.gateway_hang_timeout/m, 'the log too, with a hint');
unlike($gateway->log, qr/ended by itself/, 'and nothing else');
is($session->ask('COMMIT; SELECT pg_backend_pid(), count(*) FROM qms.ticket'), "$backend|1", 'the session goes on');

# ---- it listens and does not come round any more, again and again

$gateway->mode('silent');
$pid = current();
kill 'STOP', $pid;
my $n = scalar $gateway->starts;
$gateway->becomes(sub { scalar($gateway->starts) >= $n + 2 }, 'one that loops for ever is replaced each time');
my @errors = $gateway->log =~ /WARNING:  qms gateway: the program \(PID (\d+)\) said nothing/g;
cmp_ok(scalar(@errors), '>=', 3, 'which is in the log each time');
is($session->ask('SELECT number FROM qms.join_queue(1)'), 'A002', 'nobody else notices');
$gateway->mode('');
$pid = current();
$gateway->becomes(sub { current() != $pid && alive(current()) > 2 }, 'until one lives');

# ---- off, and on again

$node->reload;
$pid = current();
set(0);
$gateway->becomes(sub { $gateway->config->{alive_every} == 0 }, 'switched off');
kill 'STOP', $pid;
until_passed(2 * $period);
is(Supervised::is_gone($pid), '', 'however long it says nothing, it is left alone');
$begin = time;
set($period);
$gateway->becomes(sub { Supervised::is_gone($pid) }, 'switched on, it is killed');
cmp_ok(time - $begin, '>', $period - 1, '... but has a full period to say that it lives');
$gateway->becomes(listens_again($pid), 'another one serves');

# ---- the machine was suspended: nobody has heard anything

$pid = current();
my $worker = ask(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'qms gateway'});
$gateway->becomes(sub { alive($pid) > 2 }, 'it lives');
$n = scalar $gateway->starts;
kill 'STOP', $pid;
kill 'STOP', $worker;
until_passed(2 * $period);
kill 'CONT', $worker;
until_passed($period / 3);
kill 'CONT', $pid;
my $before = alive($pid);
$gateway->becomes(sub { Supervised::is_gone($pid) || alive($pid) > $before + 12 }, 'worker and program stood still and go on');
is(Supervised::is_gone($pid) . ' ' . scalar($gateway->starts), " $n", 'it is left alone');
is(ask(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'qms gateway'}), $worker, 'by the same worker');
kill 'STOP', $pid;
$gateway->becomes(listens_again($pid), 'one that hangs afterwards is found');
$session->end;
$node->stop;
unlike($gateway->log, qr/PANIC|TRAP:|terminated by signal/, 'no crash');

# ---- the program itself

SKIP:
{
	skip 'qms_gateway is not built', 1 unless $program;
	my $get = sub { return HTTP::Tiny->new(timeout => 10)->get("http://127.0.0.1:$port/healthz")->{status} };

	cmp_ok(time - $idle->{since}, '>', 5 * $period, 'several periods later');
	is($real->status(q{concat_ws(' ', pid, state, restarts, last_error)}), "$idle->{pid} listening 0", 'the program, which nobody has used, is the same');
	is($get->(), 200, 'it answers');
	kill 'STOP', $idle->{pid};
	$real->becomes(sub { $real->status(q{state = 'listening' AND pid <> } . $idle->{pid}) eq 't' }, 'stopped, it is replaced');
	is($get->(), 200, 'by one that answers');
	like($real->log, qr/WARNING:  qms gateway: the program \(PID $idle->{pid}\) said nothing for $period s and was killed\n/, 'the log says why');
	$real->node->stop;
}
done_testing();
