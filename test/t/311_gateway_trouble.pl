# What can go wrong with the program that the worker "qms gateway" runs: it dies, does not start, is
# missing, does not end, talks nonsense, loses its login.  No SQL session notices any of it.
use strict;
use warnings;

use lib 'test/lib';
use Supervised;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;
use Time::HiRes qw(time);

my $gateway = Supervised->new('trouble', "log_line_prefix = '%b '");
my $node = $gateway->node;
sub ask { return $gateway->ask(@_) }
sub reload { $node->reload; return }

# ---- it dies, and no session does

$gateway->state_is('listening', 'it runs');
ask(q{
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1)});
my $postmaster = ask('SELECT pg_postmaster_start_time()');
my $session = Session->new($node);
my $backend = $session->ask('SELECT pg_backend_pid()');
my $dead = 0;
foreach my $signal (qw(SEGV KILL ABRT TERM))
{
	my $pid = $gateway->last_start->{pid};

	is($session->ask('BEGIN; SELECT number FROM qms.join_queue(1)'), sprintf('A%03d', ++$dead), "a session in a transaction, SIG$signal");
	kill $signal, $pid;
	$gateway->becomes(sub { $gateway->last_start->{pid} != $pid }, 'the program is started again');
	is($session->ask('COMMIT; SELECT pg_backend_pid(), count(*) FROM qms.ticket'), "$backend|$dead", 'the session goes on');
	# After a reload the next failure is the first one.
	reload();
	$gateway->state_is('listening', 'it listens');
	is($gateway->status('restarts'), $dead, 'counted');
}
is(ask('SELECT pg_postmaster_start_time()') , $postmaster, 'no restart of the server');
unlike($gateway->log, qr/terminating any other active|PANIC|reinitializing/, 'nor of its sessions');
like($gateway->log, qr/qms gateway WARNING:  qms gateway: the program \(PID \d+\) has ended by itself: child process was terminated by signal 11.*\n.*HINT:  It is started again/, 'the log says how it ended');
like($gateway->status('last_error'), qr/^the program \(PID \d+\) has ended by itself/, 'the status too');

# The worker itself: somebody terminates it, and gets it back.
my $pid = $gateway->last_start->{pid};
ask(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'qms gateway'});
$gateway->becomes(sub { $gateway->last_start->{pid} != $pid && $gateway->status('state') eq 'listening' }, 'a worker that is terminated comes back');
ok(Supervised::is_gone($pid), 'its program went with it');

# ---- it ends at once, again and again: later each time

my $n = scalar($gateway->starts);
$gateway->mode('exit');
my $begin = time;
kill 'KILL', $gateway->last_start->{pid};
$gateway->becomes(sub { scalar($gateway->starts) >= $n + 3 }, 'it is tried again');
cmp_ok(time - $begin, '>=', 6.5, 'after one second, then two, then four');
is($gateway->status('state'), 'failed', 'meanwhile it has failed');
is($session->ask('SELECT number FROM qms.join_queue(1)'), sprintf('A%03d', ++$dead), 'nobody else notices');
$gateway->mode('');
$n = scalar($gateway->starts);
reload();
$gateway->becomes(sub { scalar($gateway->starts) > $n && $gateway->status('state') eq 'listening' }, 'a reload tries at once');

# ---- the port is taken

my $from = -s $node->logfile;
$gateway->mode('busy');
kill 'TERM', $gateway->last_start->{pid};
$n = scalar($gateway->starts);
$gateway->becomes(sub { scalar($gateway->starts) >= $n + 2 }, 'a busy port');
is($gateway->status(q{state || ': ' || last_error || (last_error_at > now() - interval '1 h')}), 'failed: could not listen on 127.0.0.1:8080: Address already in usetrue', 'the status says so');
my @lines = $gateway->log($from) =~ /(qms gateway WARNING:  qms gateway: could not listen on 127.0.0.1:8080.*\n.*HINT:  .*qms\.gateway_listen.*)/g;
is(scalar(@lines), 1, 'the log too, once, with a hint');
$gateway->mode('');
reload();
$gateway->state_is('listening', 'the port is free');

# ---- it does not go

$gateway->mode('deaf');
reload();
$pid = $gateway->last_start->{pid};
kill 'KILL', $pid;
$gateway->becomes(sub { $gateway->last_start->{pid} != $pid && $gateway->status('state') eq 'listening' }, 'one that is deaf');
$pid = $gateway->last_start->{pid};
$gateway->mode('');
$begin = time;
ask(q{ALTER SYSTEM SET qms.gateway_max_connections = 100});
reload();
$gateway->becomes(sub { Supervised::is_gone($pid) }, 'is killed');
my $took = time - $begin;
ok($took >= 4.5 && $took < 30, "after five seconds ($took)");
$gateway->becomes(sub { $gateway->last_start->{pid} != $pid && $gateway->status('state') eq 'listening' }, 'and replaced');

# ---- it cannot be started

my $empty = "$gateway->{folder}/empty";
append_to_file($empty, "\x{7f}nothing that runs\n");
append_to_file("$gateway->{folder}/script", "#!/nowhere/interpreter\n");
foreach my $try ([ '/nowhere/qms_gateway', qr{there is no program "/nowhere/qms_gateway"}, qr/DETAIL:  No such file/ ],
	[ $empty, qr/there is no program ".*empty"/, qr/DETAIL:  Permission denied/, 0644 ], [ $gateway->{folder}, qr/there is no program/, qr/DETAIL:  Permission denied/ ],
	[ $empty, qr/could not execute ".*empty": Exec format error/, qr/HINT:  Install qms_gateway/, 0755 ], [ "$gateway->{folder}/script", qr/could not execute ".*script": No such file/, qr/HINT:  Install/, 0755 ])
{
	my ($program, $message, $more, $permissions) = @$try;

	chmod $permissions, $program if $permissions;
	$from = -s $node->logfile;
	ask("ALTER SYSTEM SET qms.gateway_program = '$program'");
	reload();
	$gateway->becomes(sub { $gateway->status('last_error') =~ $message && $gateway->status('state') eq 'failed' }, "not started: $message");
	like($gateway->log($from), qr/WARNING:  qms gateway: $message/, 'the log says so');
	like($gateway->log($from), $more, '... and more');
	is($gateway->status('pid'), '', 'no process');
	is($session->ask('SELECT number FROM qms.join_queue(1)'), sprintf('A%03d', ++$dead), 'nobody else notices');
	ask('ALTER SYSTEM RESET qms.gateway_program');
	reload();
	$gateway->state_is('listening', 'mended');
}

# ---- it talks

$from = -s $node->logfile;
$gateway->mode('chatty');
$pid = $gateway->last_start->{pid};
kill 'TERM', $pid;
$gateway->becomes(sub { $gateway->last_start->{pid} != $pid && $gateway->status('connections') eq '3' }, 'one that says much');
my $log = $gateway->log($from);
like($log, qr/^qms gateway LOG:  qms_gateway: good day$/m, 'its log lines are in the log');
like($log, qr/^qms gateway WARNING:  qms_gateway: a warning\n.*DETAIL:  Some detail\.\n.*HINT:  Some hint\.$/m, 'with their level, detail and hint');
like($log, qr/^qms gateway WARNING:  qms_gateway: two lines \x{c3}\x{a4}$/m, 'a line is a line');
like($log, qr/^qms gateway LOG:  qms_gateway: something on standard error$/m, 'and its standard error');
like($log, qr/WARNING:  qms gateway: the program says something that is not understood\n.*DETAIL:  not JSON at all/, 'nonsense is named');
my $floods = () = $log =~ /qms_gateway: flood/g;
ok($floods > 50 && $floods < 400, "not more than a log can bear ($floods of 3000)");
is($gateway->status('state'), 'listening', 'it is listened to nevertheless');

# Thousands of lines that are nearly right: the worker, which a crash would take the whole server with, bears it.
$gateway->mode('noise');
$pid = $gateway->last_start->{pid};
my $worker = ask(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'qms gateway'});
kill 'TERM', $pid;
$gateway->becomes(sub { $gateway->last_start->{pid} != $pid && $gateway->status(q{state || connections || messages}) eq 'listening38' }, 'one that makes noise is listened to nevertheless');
is(ask(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'qms gateway'}), $worker, 'by the same worker');
is($gateway->status('databases'), '[{"name": "postgres", "position": 17, "connected": true}]', 'what it says last counts');

# ---- its login is taken away

$gateway->mode('lost');
$pid = $gateway->last_start->{pid};
kill 'TERM', $pid;
$gateway->becomes(sub { $gateway->status('databases') =~ /"no password".*"connected": false|"connected": false/ }, 'one that cannot connect says so');
my $verifier = q{SELECT rolpassword FROM pg_authid WHERE rolname = 'qms_gateway_local'};
my $before = ask($verifier);
ask(q{ALTER ROLE qms_gateway_local PASSWORD 'something'});
$gateway->becomes(sub { ask($verifier) eq $before }, 'the login is set again');
my $told = ($gateway->config->{databases}[0]{conninfo});
ask(q{DROP ROLE qms_gateway_local});
$gateway->becomes(sub { ask(q{SELECT count(*) FROM pg_authid WHERE rolname = 'qms_gateway_local' AND rolcanlogin}) eq '1' }, 'and made again');
is($gateway->config->{databases}[0]{conninfo}, $told, 'with the same password: nothing has to be restarted');

# ---- a role of that name that is more than that

ask('CREATE ROLE boss; CREATE ROLE thief');
foreach my $planted ([ 'ALTER ROLE qms_gateway_local SUPERUSER', 'ALTER ROLE qms_gateway_local NOSUPERUSER', qr/one of SUPERUSER/ ],
	[ 'ALTER ROLE qms_gateway_local CREATEDB', 'ALTER ROLE qms_gateway_local NOCREATEDB', qr/CREATEDB/ ],
	[ 'ALTER ROLE qms_gateway_local NOLOGIN', 'ALTER ROLE qms_gateway_local LOGIN', qr/NOLOGIN/ ],
	[ 'GRANT boss TO qms_gateway_local', 'REVOKE boss FROM qms_gateway_local', qr/member of other roles.*: boss\./ ],
	[ 'GRANT qms_admin TO qms_gateway_local', 'REVOKE qms_admin FROM qms_gateway_local', qr/: qms_admin\./ ],
	[ 'GRANT qms_gateway_local TO thief', 'REVOKE qms_gateway_local FROM thief', qr/others are members of it: thief\./ ],
	[ 'GRANT qms_gateway TO qms_gateway_local WITH ADMIN OPTION', 'REVOKE ADMIN OPTION FOR qms_gateway FROM qms_gateway_local', qr/: qms_gateway\./ ])
{
	my ($plant, $mend, $like) = @$planted;

	ask($plant);
	$gateway->mode('');
	$from = -s $node->logfile;
	$node->restart;
	$gateway->becomes(sub { $gateway->status('state') eq 'failed' }, "refused after $plant");
	like($gateway->status('last_error'), qr/role "qms_gateway_local" is not one that the gateway may log in as/, 'the status says so');
	is($gateway->status('pid'), '', 'the program is not started');
	like($gateway->log($from), qr/ERROR:  role "qms_gateway_local" is not one that the gateway may log in as\n.*DETAIL:  .*$like.*\n.*HINT:  \S/, 'the log says why, with a hint');
	is(ask($verifier), $before, 'its password is left alone');
	ask($mend);
	reload();
	$gateway->state_is('listening', 'mended, it goes on');
	$before = ask($verifier);
}
$session = Session->new($node);

# ---- it cannot connect

$node->stop;
$node->append_conf('postgresql.conf', "listen_addresses = ''");
$from = -s $node->logfile;
$node->start;
$gateway->becomes(sub { $gateway->status('state') eq 'failed' }, 'a server without TCP');
is($gateway->status('last_error'), 'it could not connect to the server', 'the status says so');
like($gateway->log($from), qr/WARNING:  qms gateway: it could not connect to the server\n.*DETAIL:  .*loopback.*\n.*HINT:  .*listen_addresses/, 'the log says why, with a hint');
$node->append_conf('postgresql.conf', "listen_addresses = '*'");
$node->restart;
$gateway->state_is('listening', 'a server that listens everywhere');
like($gateway->config->{databases}[0]{conninfo}, qr/^host=127\.0\.0\.1 /, 'is reached on loopback');
$node->append_conf('postgresql.conf', "qms.gateway = off");
$node->restart;
is($gateway->status(q{state || ' ' || reason}), 'off qms.gateway is off', 'switched off from the start') if $gateway->state_is('off', 'switched off');
$node->append_conf('postgresql.conf', "qms.workers = off");
$node->restart;
is($gateway->status(q{state || ' ' || reason}), 'off qms.workers is off', 'no workers, no gateway');
$node->stop;
unlike($gateway->log =~ s/child process was terminated by signal//gr, qr/PANIC|TRAP:|terminated by signal/, 'no process of the server crashed');
done_testing();
