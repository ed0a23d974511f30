# The worker that keeps the gateway running: without any configuration the program starts with the first
# CREATE EXTENSION and ends with the last DROP EXTENSION; it is told its settings and databases, and gets
# nothing else of the server; its login, and that nobody learns of the password.
use strict;
use warnings;

use lib 'test/lib';
use Supervised;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;
use Time::HiRes qw(time);

$ENV{QMS_TEST_SECRET} = 'of the environment';
my $gateway = Supervised->new('gateway', { extension => 0 }, 'log_statement = all', 'log_min_messages = debug2', "log_line_prefix = '%b %Q '");
my $node = $gateway->node;
sub ask { return $gateway->ask(@_) }

# ---- it comes with the extension

is(ask(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'qms gateway' AND datname IS NULL}), '1', 'its worker is there, in no database');
is(scalar($gateway->starts), 0, 'no program without the extension');
ask('BEGIN; CREATE EXTENSION qms; ROLLBACK');
ask('CREATE EXTENSION qms');
$gateway->state_is('listening', 'CREATE EXTENSION, and it listens');
is($gateway->status(q{concat_ws(' ', name, host, listen, restarts, last_error, reason, since > now() - interval '1 h')}), 'local 127.0.0.1:8080 0 t', 'the status says so');
is(scalar($gateway->starts), 1, 'started once');

# ---- what it was started with

my $start = $gateway->last_start;
is($gateway->status('pid'), $start->{pid}, 'its process is known');
is($start->{ppid}, ask(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'qms gateway'}), 'it is a child of the worker');
is($start->{pgrp}, $start->{pid}, 'in a group of its own');
is("$start->{args} $start->{fds} $start->{cwd}", '--supervised 0,1,2 /', 'three descriptors and no folder of the server');
is("$start->{nnp} $start->{blocked}", '1 0', 'no new privileges, no blocked signals');
is($start->{ignored} & 0x7fffffff & ~128, 0, 'no ignored signals (but the one that perl ignores, and those of the C library)');
is($start->{oom}, 200, 'the kernel takes it before a session');
unlike($start->{env}, qr/PG|QMS|HOME|USER/, "environment: $start->{env}");
my $environment = slurp_file("/proc/$start->{pid}/environ") . slurp_file("/proc/$start->{pid}/cmdline");

# ---- what it is told

my $config = $gateway->config;
my ($database) = @{ $config->{databases} };
is($config->{type} . ' ' . $gateway->served, 'config postgres', 'the configuration names the database');
is_deeply($config->{hosts}, {}, 'no host names');
is(join(' ', map { $config->{$_} } qw(listen max_connections max_connections_per_address max_frame_size max_commands_per_second max_subscriptions ping_interval pong_timeout max_requests_per_second request_timeout history_size send_threads alive_every log_level)),
	'127.0.0.1:8080 20000 1000 65536 50 100 25 10 200 10 1000 0 10000 info', 'and has the defaults');
like($config->{pages}, qr{^/.*/extension/qms-web$}, "pages: $config->{pages}");
is(join(' ', map { "'$config->{$_}'" } qw(tls_cert tls_key allowed_origins trusted_proxies metrics_from)), "'' '' '' '' '127.0.0.0/8, ::1'", 'what is not set is empty');

# ---- its login

my ($password) = $database->{conninfo} =~ /password=(\S+)/;
cmp_ok(length $password, '>=', 40, 'a long password');
my $port = $node->port;
like($database->{conninfo}, qr/^host=127\.0\.0\.1 port=$port dbname='postgres' user=qms_gateway_local /, 'over TCP, on loopback');
sub login
{
	my ($conninfo, $sql) = @_;
	IPC::Run::run([ 'psql', '-XAtq', '-d', $conninfo, '-c', $sql ], '>', \my $out, '2>', \my $err, IPC::Run::timeout(60));
	return $out . $err;
}
is(login($database->{conninfo}, q{SELECT session_user, current_database(), current_setting('application_name'), pg_has_role('qms_gateway', 'USAGE'), pg_has_role('qms_authenticator', 'USAGE'), pg_has_role('qms_admin', 'USAGE')}),
	"qms_gateway_local|postgres|qms_gateway|t|t|f\n", 'it can log in; it has the rights of the gateway, and not at once those of everybody');
like(login($database->{conninfo} =~ s/password=\S+/password=guess/r, 'SELECT 1'), qr/password authentication failed/, 'others cannot');
is(ask(q{SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolconnlimit BETWEEN 10 AND 100 FROM pg_roles WHERE rolname = 'qms_gateway_local'}),
	't|f|f|f|f|f|t', 'the role may log in, and nothing else');
like(ask(q{SELECT rolpassword FROM pg_authid WHERE rolname = 'qms_gateway_local'}), qr/^SCRAM-SHA-256\$/, 'a verifier is stored');
is(ask(q{SELECT string_agg(g.rolname, ' ' ORDER BY g.rolname) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = 'qms_gateway_local'::regrole}), 'qms_authenticator qms_gateway', 'its groups');
$node->restart;
$gateway->state_is('listening', 'after a restart');
my ($other) = $gateway->config->{databases}[0]{conninfo} =~ /password=(\S+)/;
isnt($other, $password, 'another password after a restart');
is(login($gateway->config->{databases}[0]{conninfo}, 'SELECT 1'), "1\n", 'which is good');
like(login($database->{conninfo}, 'SELECT 1'), qr/password authentication failed/, 'and the old one is not');
my ($verifier) = ask(q{SELECT rolpassword FROM pg_authid WHERE rolname = 'qms_gateway_local'});
foreach my $secret ($password, $other)
{
	ok(index($gateway->log, $secret) < 0, 'the password is not in the log, though all statements are');
	ok(index($environment, $secret) < 0, 'nor in environment or arguments');
	is(ask("SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND strpos(query, '$secret') > 0"), '0', 'nor in pg_stat_activity');
}
unlike($gateway->log =~ s/.*SELECT rolpassword.*\n//r, qr/SCRAM-SHA-256\$/, 'nor is the verifier in the log');
like($gateway->log, qr/LOG:  statement: SELECT/, 'which does have statements');

# ---- who sees what

ask(q{CREATE ROLE mayor LOGIN IN ROLE qms_admin; CREATE ROLE watcher LOGIN IN ROLE qms_admin, pg_monitor; CREATE ROLE desk_clerk LOGIN IN ROLE qms_servicer});
my $figures = q{concat_ws(' ', state, listen, connections, subscriptions, messages, bytes, lag, drops, reported_at IS NOT NULL, databases)};
$gateway->becomes(sub { $gateway->status('connections') eq '3' }, 'it has reported');
is($gateway->status($figures), 'listening 127.0.0.1:8080 3 5 8 11 00:00:00.0125 1 t [{"name": "postgres", "position": 17, "connected": true}]', 'a superuser sees all');
is(ask("SET ROLE mayor; SELECT $figures FROM qms.gateway_status") =~ s/^SET\n//r, 'listening 127.0.0.1:8080 3 5 8 11 00:00:00.0125 1 t [{"name": "postgres", "position": 17, "connected": true}]', 'a superuser who has become somebody still is one');
sub as { my ($who, $sql) = @_; my ($rc, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $who ]); return $rc == 0 ? $out : $err }
is(as('mayor', "SELECT $figures FROM qms.gateway_status"), 'listening 127.0.0.1:8080 t [{"name": "postgres", "position": 17, "connected": true}]', 'an administrator sees no figures, which are of all databases');
like(as('watcher', "SELECT $figures FROM qms.gateway_status"), qr/^listening 127.0.0.1:8080 3 5 /, 'whoever monitors the server does');
like(as('desk_clerk', 'SELECT 1 FROM qms.gateway_status'), qr/permission denied/, 'a clerk sees nothing');

# ---- settings

my $pid = $gateway->last_start->{pid};
ask($_) foreach q{ALTER SYSTEM SET qms.gateway_ping_interval = '7s'}, q{ALTER SYSTEM SET qms.gateway_allowed_origins = 'https://a.example, http://localhost:3000'},
	q{ALTER SYSTEM SET qms.gateway_trusted_proxies = '127.0.0.1, 2001:db8::/32'};
$node->reload;
$gateway->becomes(sub { $gateway->config->{ping_interval} == 7 }, 'a reload is passed on');
is($gateway->config->{allowed_origins} . ' ' . $gateway->config->{trusted_proxies}, 'https://a.example, http://localhost:3000 127.0.0.1, 2001:db8::/32', 'with all that has changed');
is($gateway->last_start->{pid}, $pid, 'to the same process');
my $n = scalar($gateway->told);
$node->reload;
ask(q{ALTER SYSTEM SET qms.gateway_listen = '127.0.0.1:8081, [::1]:8081'});
$node->reload;
$gateway->becomes(sub { $gateway->last_start->{pid} != $pid && $gateway->status('state') eq 'listening' }, 'another address: another process');
is($gateway->config->{listen}, '127.0.0.1:8081, [::1]:8081', 'which is told the address');
is(scalar($gateway->told), $n + 1, 'a reload without changes is not passed on');
is($gateway->status('restarts'), '1', 'and counts as a restart');
ok(Supervised::is_gone($pid), 'the old one is gone');
unlike($gateway->log, qr/ended by itself/, 'no failure');

my %bad = (
	gateway_listen => [ '8080', '127.0.0.1', '127.0.0.1:99999', 'a b:80', '[::g]:80', '', '127.0.0.1:8080,' ],
	gateway_hosts => [ 'shop', '=shop', 'a.example=', 'a.example:80=shop', 'a.example=x, A.example=y', '*=a,*=b' ],
	gateway_allowed_origins => [ 'a.example', 'https://', 'https://a.example/path', 'https://a.example:x' ],
	gateway_trusted_proxies => [ 'local', 'here', '300.0.0.1' ],
	gateway_tls_cert => ['server.crt'], gateway_pages => ['pages'], gateway_program => ['qms_gateway'],
	gateway_ping_interval => ['-1'], gateway_hang_timeout => [ '-1', '1', '2s', '3601' ], gateway_log_level => ['loud']);
foreach my $name (sort keys %bad)
{
	foreach my $value (@{ $bad{$name} })
	{
		my ($rc, $out, $err) = $node->psql('postgres', "ALTER SYSTEM SET qms.$name = '$value'");
		like($err, qr/invalid value for parameter|outside the valid range/, "refused: $name = '$value'");
		next if $name =~ /interval|level/ || $err =~ /outside the valid range/;
		like($err, qr/^DETAIL:  \S/m, '... with a reason');
	}
}
foreach my $good (q{gateway_listen = '*:8080'}, q{gateway_listen = 'localhost:0,[::]:80'}, q{gateway_hosts = ''}, q{gateway_hosts = 'a.example=x,*=y'}, q{gateway_allowed_origins = '*'}, q{gateway_allowed_origins = 'https://[::1]:8443,capacitor://localhost'})
{
	is(($node->psql('postgres', "SET qms.$good"))[2] =~ s/^.*cannot be changed now.*$//r, '', "taken: $good") or 1;
}
is(ask(q{SELECT count(*) FROM pg_settings WHERE name ~ '^qms.gateway' AND (short_desc IS NULL OR context <> 'sighup')}), '0', 'all settings are explained and can be reloaded');

# ---- more databases

ask('CREATE DATABASE shop');
ask('CREATE EXTENSION qms', 'shop');
$gateway->becomes(sub { $gateway->served eq 'postgres shop' }, 'a second database: the older one first');
ask($_) foreach q{ALTER SYSTEM SET qms.gateway_hosts = 'Town.example=postgres, shop.example=shop, *=shop'};
$node->reload;
$gateway->becomes(sub { $gateway->served eq 'shop postgres' }, 'the one for all other host names first');
is_deeply($gateway->config->{hosts}, { 'town.example' => 'postgres', 'shop.example' => 'shop' }, 'and the host names');
is(login((grep { $_->{name} eq 'shop' } @{ $gateway->config->{databases} })[0]{conninfo}, 'SELECT current_database()'), "shop\n", 'the same login');
is(ask(q{SELECT databases FROM qms.gateway_status}), '[{"name": "shop", "position": 17, "connected": true}, {"name": "postgres", "position": 17, "connected": true}]', 'a superuser sees both');
is(as('mayor', q{SELECT databases FROM qms.gateway_status}), '[{"name": "postgres", "position": 17, "connected": true}]', 'others their own');
my $strange = q{it's "a\\n" name};
ask(q{CREATE DATABASE "it's ""a\\n"" name"});
{
	my $name = $strange =~ s/([\\'])/\\$1/gr;
	IPC::Run::run([ 'psql', '-XAtq', '-d', 'host=' . $node->host . ' port=' . $node->port . " dbname='$name'", '-c', 'CREATE EXTENSION qms' ]) or die;
}
$gateway->becomes(sub { $gateway->served eq "shop postgres $strange" }, 'a database with a strange name');
is(login($gateway->config->{databases}[2]{conninfo}, 'SELECT current_database()'), "$strange\n", 'the login knows it');
ask(q{DROP DATABASE "it's ""a\\n"" name"});
ask(q{SELECT qms.create_organization('o')}, 'shop');
ask('CREATE DATABASE copy TEMPLATE shop');
$gateway->becomes(sub { ask(q{SELECT DISTINCT state FROM qms.worker_status WHERE database = 'copy'}) eq 'dormant' }, 'a copy is dormant');
$gateway->becomes(sub { $gateway->served eq 'shop postgres' }, 'and is not served; the template is, again');
ask('SELECT qms.adopt_database()', 'copy');
$gateway->becomes(sub { $gateway->served eq 'shop postgres copy' }, 'until it is adopted');
$pid = $gateway->last_start->{pid};

# Commands that need a database for themselves get it, though the gateway is connected.
sub connected
{
	my ($name) = @_;
	my ($entry) = grep { $_->{name} eq $name } @{ $gateway->config->{databases} };
	my $in = "SELECT 'here';\n";
	my $out = '';
	my $err = '';
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $entry->{conninfo} ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	$psql->pump until $out =~ /here/;
	return $psql;
}
foreach my $command ('ALTER DATABASE copy RENAME TO other', 'CREATE DATABASE third TEMPLATE other', 'DROP DATABASE other', 'DROP DATABASE third')
{
	my ($name) = $command =~ /TEMPLATE (\w+)|DATABASE (\w+)/ ? $1 // $2 : '';
	my $session = grep({ $_ eq $name } split / /, $gateway->served) ? connected($name) : undef;
	my $begin = time;

	is(($node->psql('postgres', $command))[2], '', $command);
	cmp_ok(time - $begin, '<', 10, '... within seconds');
	my $expected = $command =~ /RENAME|CREATE/ ? 'shop postgres other' : 'shop postgres';
	$gateway->becomes(sub { $gateway->served eq $expected }, "served then: $expected");
	eval { $session->kill_kill } if $session;
}
my $session = connected('shop');
is(($node->psql('shop', 'BEGIN; DROP EXTENSION qms; ROLLBACK'))[2], '', 'DROP EXTENSION rolled back');
eval { $session->kill_kill };
$gateway->becomes(sub { $gateway->served eq 'shop postgres' }, 'it is served again');
is($gateway->last_start->{pid}, $pid, 'all that with one process');

# ---- it goes with the extension

ask('DROP EXTENSION qms');
$gateway->becomes(sub { $gateway->served eq 'shop' }, 'dropped in one: the other is served');
$gateway->{database} = 'shop';
is($gateway->last_start->{pid}, $pid, 'by the same process');
my $watch = q{SELECT state || ' ' || coalesce(reason, '') FROM qms.gateway_status};
ask('CREATE DATABASE quiet; ');
ask(q{ALTER SYSTEM SET qms.excluded_databases = 'shop'}, 'shop');
$node->reload;
$gateway->becomes(sub { Supervised::is_gone($pid) }, 'no database left: the program ends');
is($gateway->becomes(sub { ask($watch, 'shop') eq 'waiting no database has the extension' }, 'and it waits') && $gateway->status('pid'), '', 'without a process');
ask(q{ALTER SYSTEM RESET qms.excluded_databases}, 'shop');
$node->reload;
$gateway->state_is('listening', 'there is one again');
ask(q{ALTER SYSTEM SET qms.gateway = off}, 'shop');
$node->reload;
$gateway->becomes(sub { ask($watch, 'shop') eq 'off qms.gateway is off' }, 'switched off');
ok(Supervised::is_gone($gateway->last_start->{pid}), 'no process');
ask(q{ALTER SYSTEM SET qms.gateway = on}, 'shop');
$node->reload;
$gateway->state_is('listening', 'and on');
$pid = $gateway->last_start->{pid};
ask('DROP EXTENSION qms', 'shop');
$gateway->becomes(sub { Supervised::is_gone($pid) }, 'the last DROP EXTENSION ends it');
$node->stop;
unlike($gateway->log, qr/PANIC|TRAP:|terminated by signal|ended by itself/, 'a quiet log');
done_testing();
