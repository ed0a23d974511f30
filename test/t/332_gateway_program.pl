# The gateway as a program: command line, settings and what is wrong with them, signals, the supervised
# form, TLS, and what its sandbox stops.
use strict;
use warnings;

use lib 'test/lib';
use File::Temp qw(tempdir);
use Gateway;
use IO::Socket::INET;
use IPC::Open3;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time sleep);

my $dir = tempdir(CLEANUP => 1);
my $program = Gateway::echo_program();
my @database = ('--database', 'host=127.0.0.1 port=1 dbname=shop');

# Exit code and all that it says, of a run that ends by itself.
sub run
{
	my (@command) = @_;
	my $pid = open3(my $in, my $out, undef, 'timeout', '30', $program, @command);
	close $in;
	local $/;
	my $text = <$out>;
	waitpid $pid, 0;
	return ($? >> 8, $text);
}

sub put
{
	my ($name, $text) = @_;
	open my $f, '>', "$dir/$name" or die "$name: $!";
	print $f $text;
	close $f;
	return "$dir/$name";
}

# The command line.
my ($rc, $text) = run('--help');
is($rc, 0, '--help');
like($text, qr/^  --max-connections-per-address\s+\S.*\(default 1000\)$/m, '--help names settings with their defaults');
($rc, $text) = run('--version');
like("$rc $text", qr/\A0 qms_gateway \d+\.\d+\.\d+/, '--version');
my $sandbox = $text !~ /without sandbox/;
($rc, $text) = run('--listn', 'x', '--check-config', @database);
like("$rc $text", qr/\A1 qms_gateway: --there is no setting "listn"\n/, 'an unknown option') ;
($rc, $text) = run('nonsense');
like("$rc $text", qr/\A2 qms_gateway: unexpected argument "nonsense"\n/, 'an argument that is none');
($rc, $text) = run('--listen');
like("$rc $text", qr/\A2 qms_gateway: --listen needs a value\n/, 'an option without its value');

# Values.  Flag, value, message ('' is good).
my @values = (
	[ 'listen', '127.0.0.1:8080', '' ], [ 'listen', '127.0.0.1:8080, [::1]:8081,*:0', '' ], [ 'listen', 'localhost:65535', '' ],
	[ 'listen', '', 'listen: there must be an address to listen on, such as 127.0.0.1:8080' ],
	[ 'listen', '8080', 'listen: "8080" is not an address to listen on, such as 127.0.0.1:8080, [::1]:8080 or *:8080' ],
	[ 'listen', '127.0.0.1:65536', 'listen: "127.0.0.1:65536" is not an address' ], [ 'listen', '127.0.0.1:', 'is not an address' ],
	[ 'listen', '::1:8080', 'is not an address' ], [ 'listen', '127.0.0.1:-1', 'is not an address' ],
	[ 'max-connections', '0', 'max-connections: must be a whole number from 1 to 1000000, not "0"' ],
	[ 'max-connections', 'many', 'must be a whole number' ], [ 'max-connections', '10 ', 'must be a whole number' ], [ 'max-connections', '', 'must be a whole number' ],
	[ 'max-connections', '99999999999999999999', 'must be a whole number' ], [ 'max-connections', '1e3', 'must be a whole number' ],
	[ 'ping-interval', '0', '' ], [ 'pong-timeout', '0', 'pong-timeout: must be' ], [ 'max-frame-size', '100', 'max-frame-size: must be' ],
	[ 'allowed-origins', 'https://a.example, https://*.b.example, *', '' ], [ 'allowed-origins', 'a.example', 'allowed-origins: "a.example" is not an origin' ],
	[ 'allowed-origins', 'https://a.example/path', 'is not an origin' ], [ 'allowed-origins', 'https://a.*.example', 'is not an origin' ],
	[ 'trusted-proxies', '127.0.0.1, 10.0.0.0/8, 2001:db8::/32, ::1', '' ], [ 'trusted-proxies', '10.0.0.0/33', 'trusted-proxies: "10.0.0.0/33" is not an address or a network' ],
	[ 'trusted-proxies', 'proxy.example', 'is not an address or a network' ], [ 'metrics-from', '300.1.1.1', 'metrics-from: "300.1.1.1" is not' ],
	[ 'log-level', 'warning', '' ], [ 'log-level', 'loud', 'log-level: must be debug, info, warning or error, not "loud"' ],
	[ 'pages', '/nonexistent', 'pages: there is no folder "/nonexistent"' ], [ 'pages', '', '' ], [ 'pages', $dir, '' ],
	[ 'tls-cert', '/nonexistent', 'tls-cert and tls-key must be given both or not at all' ],
	[ 'database', 'host=db1,db2 dbname=other', '' ], [ 'database', 'dbname=other', 'database: must name a host to connect to by TCP' ], [ 'database', 'host=/tmp dbname=other', 'must name a host' ], [ 'database', 'postgresql://127.0.0.1/other', '' ], [ 'database', 'hst=x', 'database: is not a connection string such as "host=127.0.0.1 dbname=shop user=gateway": invalid connection option "hst"' ],
	[ 'database', 'host=db1 dbname=shop', 'there are two databases with the name "shop": write "name: connection string"' ], [ 'database', 'two: host=db1 dbname=shop', '' ],
	[ 'host-map', 'tenant.example=shop, b.example = shop', 'b.example' ], [ 'host-map', 'tenant.example=shop,b.example=shop', '' ],
	[ 'host-map', 'tenant.example=mall', 'host-map: there is no database "mall" for the host "tenant.example"' ], [ 'host-map', 'tenant.example', 'is not a host name and a database' ],
);
foreach my $case (@values)
{
	my ($name, $value, $want) = @$case;
	my ($rc, $text) = run('--check-config', @database, "--$name=$value");
	if ($want eq '') { is("$rc $text", "0 the settings are good\n", "$name = $value: good") }
	else { ok($rc == 1 && index($text, $want) >= 0, "$name = $value: a clear message") or diag("$rc $text") }
}
($rc, $text) = run('--check-config', '--database', 'dbname=shop password=secret broken');
unlike($text, qr/secret/, 'a message does not quote a password');
($rc, $text) = run('--check-config');
like("$rc $text", qr/\A1 .*database: there must be one/, 'without a database there is nothing to do');

# File, environment, command line.
my $file = put('gateway.conf', "# a comment\n\nmax_connections = 77\nlisten='127.0.0.1:0'  \ndatabase = host=127.0.0.1 port=1 dbname=shop\nlog-level = 'info'\n");
is((run('--config', $file, '--check-config'))[0], 0, 'a settings file');
foreach my $case (
	[ "x\n", ':1: a line must be "name = value"' ], [ "\nwhat = 1\n", ':2: there is no setting "what"' ],
	[ "max-connections = a lot\n", ':1: max-connections: must be a whole number' ], [ 'pages = ' . 'x' x 9000 . "\n", ':1: the line is too long' ])
{
	($rc, $text) = run('--check-config', @database, '--config', put('bad.conf', $case->[0]));
	ok($rc == 1 && index($text, "$dir/bad.conf$case->[1]") >= 0, "file: $case->[1]") or diag($text);
}
($rc, $text) = run('--check-config', '--config', "$dir/none.conf");
like("$rc $text", qr/\A1 .*could not open the file .*No such file or directory/, 'a file that is not there');
{
	local $ENV{QMS_GATEWAY_MAX_CONNECTIONS} = 'x';
	($rc, $text) = run('--check-config', '--config', $file);
	like("$rc $text", qr/\A1 .*QMS_GATEWAY_MAX_CONNECTIONS: max-connections: must be/, 'a bad variable');
	local $ENV{QMS_GATEWAY_CONFIG} = $file;
	$ENV{QMS_GATEWAY_MAX_CONNECTIONS} = 5;
	is((run('--check-config'))[0], 0, 'file and variables by the environment');
}
foreach my $case ([ {}, [], 77 ], [ { QMS_GATEWAY_MAX_CONNECTIONS => 88 }, [], 88 ], [ { QMS_GATEWAY_MAX_CONNECTIONS => 88 }, [ '--max-connections', 99 ], 99 ])
{
	my $g = Gateway->start(settings => { database => undef, listen => undef }, args => [ '--config', $file, @{ $case->[1] } ], env => $case->[0]);
	is($g->metric('sockets_limit'), $case->[2], "of file, environment and command line the last counts: $case->[2]");
	$g->stop;
}

# Several addresses, in their order.
{
	my $g = Gateway->start(settings => { listen => '127.0.0.1:0, 127.0.0.2:0' });
	like($g->log_text, qr/listens on 127\.0\.0\.1:\d+, 127\.0\.0\.2:\d+, 0 pages/, 'two addresses');
	my ($second) = $g->log_text =~ /127\.0\.0\.2:(\d+)/;
	ok(IO::Socket::INET->new(PeerHost => '127.0.0.2', PeerPort => $second), 'the second one works');
	$g->stop;
}

# A busy port, an address that is not ours.
my $busy = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
($rc, $text) = run(@database, '--listen', '127.0.0.1:' . $busy->sockport);
ok($rc == 1 && $text =~ /ERROR:  could not listen on 127\.0\.0\.1:\d+: Address already in use/, 'a busy port ends it, and is said') or diag($text);
($rc, $text) = run(@database, '--listen', '127.0.0.1:0,127.0.0.1:' . $busy->sockport);
is($rc, 1, 'a busy port among others as well');
($rc, $text) = run(@database, '--listen', '192.0.2.1:0');
like("$rc $text", qr/\A1 .*could not listen on 192\.0\.2\.1:0: Cannot assign/s, 'an address of somebody else');

# SIGHUP.
my $gateway = Gateway->start(settings => { database => undef, listen => undef }, args => [ '--config', $file ]);
my $ws = $gateway->websocket;
is($gateway->websocket(headers => { Origin => 'https://app.example' })->{status}, 403, 'before the reload: a foreign origin');
put('gateway.conf', "allowed-origins = https://app.example\nlisten = 127.0.0.1:0\ndatabase = host=127.0.0.1 port=1 dbname=shop\n");
kill 'HUP', $gateway->{pid};
ok(Gateway::poll(sub { $gateway->websocket(headers => { Origin => 'https://app.example' })->{status} == 101 }), 'SIGHUP: the file is read again');
put('gateway.conf', "allowed-origins = nonsense\n");
kill 'HUP', $gateway->{pid};
ok(Gateway::poll(sub { $gateway->log_text =~ /ERROR:  .*gateway\.conf:1: allowed-origins: "nonsense" is not an origin/ }), 'SIGHUP: what is wrong is said');
is($gateway->websocket(headers => { Origin => 'https://app.example' })->{status}, 101, 'and everything stays as it was');
my ($other) = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport;
put('gateway.conf', "listen = 127.0.0.1:0, 127.0.0.1:$other\ndatabase = host=127.0.0.1 port=1 dbname=shop\n");
kill 'HUP', $gateway->{pid};
ok(Gateway::poll(sub { IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $other) }), 'SIGHUP: it listens elsewhere');
$ws->text('still here');
is($ws->next_frame->[1], 'still here', 'whoever was connected stays');
$gateway->{port} = $other;
put('gateway.conf', "listen = 127.0.0.1:$other, 127.0.0.1:" . $busy->sockport . "\ndatabase = host=127.0.0.1 port=1 dbname=shop\n");
kill 'HUP', $gateway->{pid};
ok(Gateway::poll(sub { $gateway->log_text =~ /ERROR:  could not listen on/ }), 'SIGHUP: a busy port is said');
ok(Gateway::poll(sub { ($gateway->http('GET', '/healthz'))[2] eq "ok\n" }), 'and it listens where it did');
is($gateway->stop, 0, 'it ends without an error');

# The end: everybody is told.
$gateway = Gateway->start;
my @clients = map { $gateway->websocket } 1 .. 500;
my $deaf = $gateway->websocket;
$deaf->text('big 3000000');
$clients[-1]->text('hello');
$clients[-1]->next_frame;
my $begin = time();
kill 'TERM', $gateway->{pid};
my $told = grep { my $f = $_->next_frame(5); ref $f && $f->[0] == 8 && $f->[1] eq pack('n', 3001) . 'shutdown' } @clients;
is($told, 500, 'SIGTERM: every client is told');
is($gateway->stop('CONT'), 0, 'SIGTERM: it ends without an error');
cmp_ok(time() - $begin, '<', 3, 'SIGTERM: soon, also when a client does not read');
$gateway = Gateway->start;
is($gateway->stop('INT'), 0, 'SIGINT is the same');
$gateway = Gateway->start;
$ws = $gateway->websocket;
$ws->text('busy 20000');
sleep(0.2);
$begin = time();
$gateway->stop('TERM');
cmp_ok(time() - $begin, '<', 8, 'SIGTERM while the loop is stuck: the alarm ends it');

# What it is given it gives back: descriptors, privileges.
{
	open my $leak, '<', '/etc/passwd' or die $!;
	fcntl $leak, Fcntl::F_SETFD(), 0;
	$gateway = Gateway->start;
	ok(!grep { (readlink($_) // '') eq '/etc/passwd' } glob("/proc/$gateway->{pid}/fd/*"), 'descriptors of who started it are closed');
	open my $f, '<', "/proc/$gateway->{pid}/status" or die $!;
	my $status = join '', <$f>;
	like($status, qr/^NoNewPrivs:\s+1$/m, 'no new privileges');
	SKIP:
	{
		skip 'a build without sandbox', 1 if !$sandbox;
		like($status, qr/^Seccomp:\s+2$/m, 'the filter is on');
	}
	$gateway->stop;
}

# The sandbox: what is tried, and what comes of it.
SKIP:
{
	skip 'a build without sandbox', 1 if !$sandbox;
	foreach my $what (qw(execve execveat ptrace process-vm))
	{
		my $pid = open3(my $in, my $out, undef, $program, @database, '--listen', '127.0.0.1:0', '--try-forbidden', $what);
		waitpid $pid, 0;
		is($? & 127, 31, "$what kills it (SIGSYS)");
	}
	my %want = (
		(map { $_ => 'Operation not permitted' } qw(fork raw-fork unix-socket unix-socket-high socketpair write-file open-rdwr unlink rename chmod kill wx-memory prlimit)),
		(map { $_ => 'Function not implemented' } qw(openat2 io-uring)),
		(map { $_ => 'done' } qw(getaddrinfo tcp thread read-file read-outside)));
	$gateway = Gateway->start(args => [ '--try-forbidden', join ',', sort keys %want ]);
	is($gateway->websocket->{status}, 101, 'it serves behind its filter');
	my %got = $gateway->log_text =~ /try-forbidden (\S+): (.*)/g;
	is($got{$_}, $want{$_}, "$_: $want{$_}") foreach sort keys %want;
	ok(!-e '/tmp/qms_gateway.forbidden', 'no file was written');
	$gateway->stop;
}

# The supervised form.
sub supervised
{
	my ($settings, @flags) = @_;
	my $self = { buffer => '' };
	pipe my $child_in, $self->{in};
	pipe $self->{out}, my $child_out;
	$self->{pid} = fork() // die $!;
	if (!$self->{pid})
	{
		open STDIN, '<&', $child_in;
		open STDOUT, '>&', $child_out;
		open STDERR, '>', "$dir/supervised.err";
		exec $program, '--supervised', @flags or POSIX::_exit(127);
	}
	close $child_in;
	close $child_out;
	$self->{in}->autoflush(1);
	tell_it($self, $settings) if $settings;
	return $self;
}

sub tell_it
{
	my ($self, $settings) = @_;
	local $SIG{PIPE} = 'IGNORE';
	print { $self->{in} } encode_json({ type => 'config', listen => '127.0.0.1:0', pages => '', databases => [], %$settings }), "\n";
	return;
}

# The next line of that type, as an object; undef at the end.
sub line_of
{
	my ($self, $type) = @_;
	while (1)
	{
		if ($self->{buffer} =~ s/\A(.*)\n//)
		{
			my $line = decode_json($1);
			return $line if $line->{type} eq $type;
			next;
		}
		return if Gateway::read_until($self->{out}, \$self->{buffer}, qr/\n/, 20);
	}
	return;
}

my $self = supervised({ max_connections => 50, max_frame_size => '2048', hosts => { 'a.example' => 'shop' }, new_thing => 1,
		databases => [ { name => 'shop', conninfo => 'host=127.0.0.1 port=1 dbname=shop' } ] });
is(line_of($self, 'log')->{detail}, 'new-thing', 'supervised: a setting of a newer server is only warned about');
my $ready = line_of($self, 'ready');
my ($port) = $ready->{listen} =~ /\A127\.0\.0\.1:(\d+)\z/;
ok($port, 'supervised: ready');
$gateway = bless { port => $port }, 'Gateway::Borrowed';
@Gateway::Borrowed::ISA = ('Gateway');
sub Gateway::Borrowed::DESTROY { return }
is($gateway->metric('sockets_limit'), 50, 'supervised: the settings are taken');
ok(defined line_of($self, 'status')->{connections}, 'supervised: a status');
$ws = $gateway->websocket;
tell_it($self, { max_connections => 60, listen => "127.0.0.1:$port" });
ok(Gateway::poll(sub { $gateway->metric('sockets_limit') == 60 }), 'supervised: other settings');
print { $self->{in} } "nonsense password=secret\n";
my $log = line_of($self, 'log');
is($log->{message}, 'the supervisor sent a line that is no settings', 'supervised: a line that is none');
tell_it($self, { max_connections => 'x' });
like(line_of($self, 'log')->{message}, qr/\Amax-connections: must be/, 'supervised: a setting that is wrong');
tell_it($self, { alive_every => 50, listen => "127.0.0.1:$port" });
like(line_of($self, 'log')->{message}, qr/\Aalive_every: must be/, 'supervised: signs of life faster than its clock');
unlike($self->{buffer}, qr/"alive"/, 'supervised: none are told to whom has not asked for them');
tell_it($self, { alive_every => 100, listen => "127.0.0.1:$port" });
is(scalar(grep { line_of($self, 'alive') } 1 .. 5), 5, 'supervised: signs of life');
kill 'STOP', $self->{pid};
Gateway::read_until($self->{out}, \$self->{buffer}, qr/\A(?!)/, 0.5);
$self->{buffer} = '';
is(Gateway::read_until($self->{out}, \$self->{buffer}, qr/\n/, 0.5), 'timeout', 'supervised: none while it cannot run');
kill 'CONT', $self->{pid};
ok(line_of($self, 'alive'), 'supervised: it goes on');
tell_it($self, { alive_every => 0, listen => "127.0.0.1:$port" });
kill 'HUP', $self->{pid};
$ws->text('here');
is($ws->next_frame->[1], 'here', 'supervised: it goes on');
$begin = time();
close $self->{in};
is(unpack('n', $ws->next_frame->[1]), 3001, 'supervised: at the end of input clients are told');
waitpid $self->{pid}, 0;
is($?, 0, 'supervised: and it ends');
cmp_ok(time() - $begin, '<', 3, 'supervised: soon');

SKIP:
{
	skip 'a build without sandbox', 7 if !$sandbox;
	mkdir "$dir/pages";
	put('pages/index.html', '<h1>index</h1>');
	$self = supervised({ pages => "$dir/pages" }, '--try-forbidden', 'read-outside,read-file,getaddrinfo,tcp,thread,unix-socket');
	($gateway->{port}) = line_of($self, 'ready')->{listen} =~ /:(\d+)\z/;
	my %got = map { line_of($self, 'log')->{message} =~ /try-forbidden (\S+): (.*)/ } 1 .. 6;
	SKIP:
	{
		skip 'a kernel without Landlock', 1 if $got{'read-outside'} eq 'done' && syscall(444, 0, 0, 1) < 0;
		is($got{'read-outside'}, 'Permission denied', 'supervised: files that are not its business cannot be read');
	}
	is($got{'unix-socket'}, 'Operation not permitted', 'supervised: unix-socket is not permitted');
	is($got{$_}, 'done', "supervised: $_ is") foreach qw(read-file getaddrinfo tcp thread);
	put('pages/other.html', '<h1>other</h1>');
	ok(Gateway::poll(sub { ($gateway->http('GET', '/other.html'))[2] eq '<h1>other</h1>' && $gateway->metric('open_fds') > 3 }),
		'supervised: pages and figures can be read');
	close $self->{in};
	waitpid $self->{pid}, 0;
	is($?, 0, 'supervised: it ends');
}
$self = supervised({ listen => '127.0.0.1:' . $busy->sockport });
like(line_of($self, 'fatal')->{message}, qr/\Acould not listen on 127\.0\.0\.1:\d+: Address already in use\z/, 'supervised: a busy port is fatal');
waitpid $self->{pid}, 0;
is($? >> 8, 1, 'supervised: and an error');
$self = supervised();
print { $self->{in} } "{\n";
like(line_of($self, 'fatal')->{message}, qr/no settings/, 'supervised: no settings, no start');
waitpid $self->{pid}, 0;
is($? >> 8, 1, 'supervised: which is an error');
$self = supervised();
close $self->{in};
waitpid $self->{pid}, 0;
is($?, 0, 'supervised: told nothing, it ends');
($rc, $text) = run('--supervised');
is($rc >> 0, 0, 'supervised: an input that ends at once');

# It dies with who started it, however that ends.
{
	pipe my $in, my $hold;
	pipe my $read, my $write;
	my $between = fork() // die $!;
	if (!$between)
	{
		my $pid = fork();
		if (!$pid)
		{
			open STDIN, '<&', $in;
			open STDOUT, '>&', $write;
			exec $program, '--supervised' or POSIX::_exit(127);
		}
		syswrite $write, "$pid\n";
		sleep 60;
		POSIX::_exit(0);
	}
	print { $hold } '';
	my $pid = readline $read;
	chomp $pid;
	syswrite $hold, encode_json({ type => 'config', listen => '127.0.0.1:0', pages => '', databases => [] }) . "\n";
	like(readline($read), qr/ready|log/, 'supervised by another process: it is up');
	kill 'KILL', $between;
	waitpid $between, 0;
	ok(Gateway::poll(sub { !-e "/proc/$pid" || do { open my $f, '<', "/proc/$pid/stat"; ($f ? <$f> : ' Z ') =~ /\) Z / } }, 10), 'it goes when that is killed');
}

# TLS.
SKIP:
{
	skip 'openssl is not there', 1 if system('openssl version >/dev/null 2>&1') != 0;
	my $make = sub {
		system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$_[0] -keyout $dir/$_[0].key -out $dir/$_[0].crt >/dev/null 2>&1") == 0
		  or die 'openssl req';
	};
	$make->($_) foreach qw(one two);
	my @tls = ('--tls-cert', "$dir/cert", '--tls-key', "$dir/key", '--listen', '127.0.0.1:0', @database);
	($rc, $text) = run(@tls);
	like("$rc $text", qr/\A1 .*tls-cert: could not read .*No such file/, 'TLS without its certificate does not start');
	system("cp $dir/one.crt $dir/cert; cp $dir/two.key $dir/key");
	($rc, $text) = run(@tls);
	like("$rc $text", qr/\A1 .*could not (?:use|start)/, 'TLS with the key of another certificate does not start');
	system("cp $dir/one.key $dir/key");
	$gateway = Gateway->start(settings => { 'tls-cert' => "$dir/cert", 'tls-key' => "$dir/key", listen => '127.0.0.1:0' });
	my $ask = sub {
		my ($request, @options) = @_;
		my $later = ref $options[0] ? ${ shift @options } : '';
		my $out = put('request', $request);
		my $more = put('later', $later);
		return scalar `(cat $out; sleep 0.3; cat $more; sleep 0.5) | timeout 10 openssl s_client -connect 127.0.0.1:$gateway->{port} -ign_eof @options 2>&1`;
	};
	my $get = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	my $out = $ask->($get, '-alpn', 'h2,http/1.1');
	like($out, qr/HTTP\/1\.1 200 .*\r\n\r\nok\n/s, 'a page over TLS');
	like($out, qr/ALPN protocol: http\/1\.1/, 'no HTTP/2 over TLS');
	like($out, qr/subject=CN = one/, 'the certificate');
	unlike($ask->($get, '-tls1_1', '-cipher', 'ALL:\@SECLEVEL=0'), qr/HTTP\/1\.1 200/, 'no TLS 1.1');
	like($ask->(Gateway::handshake($gateway) . Gateway::WebSocket::frame(1, 'sealed letter')), qr/101 Switching.*sealed letter/s, 'a WebSocket over TLS');
	# More than one TLS record: the library holds decrypted bytes that no socket tells of.
	my $long = 'y' x 60000;
	my $count = () = $ask->(Gateway::handshake($gateway), \join '', map { Gateway::WebSocket::frame(1, $long) } 1 .. 3) =~ /y/g;
	cmp_ok($count, '>=', 180_000, 'long messages over TLS');
	system("cp $dir/two.crt $dir/cert; cp $dir/two.key $dir/key");
	kill 'HUP', $gateway->{pid};
	ok(Gateway::poll(sub { $ask->($get) =~ /subject=CN = two/ }), 'a renewed certificate, without a restart');
	system("cp $dir/one.crt $dir/cert");
	kill 'HUP', $gateway->{pid};
	ok(Gateway::poll(sub { $gateway->log_text =~ /ERROR:  could not use/ }), 'a renewal that does not fit is said');
	like($ask->($get), qr/subject=CN = two.*200 OK/s, 'and the old one stays');
	my $plain = $gateway->connect;
	syswrite $plain, $get;
	my $buffer = '';
	is(Gateway::read_until($plain, \$buffer, qr/\A(?!)/, 20), 'end', 'who does not speak TLS is let go');
	is($gateway->stop, 0, 'it ends without an error');
}

done_testing();
