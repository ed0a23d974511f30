# The gateway under many: 10,000 clients at once, connections that come and go, memory of those that wait.
use strict;
use warnings;

use lib 'test/lib';
use Gateway;
use IO::Select;
use POSIX ();
use Socket;
use Test::More;
use Time::HiRes qw(time sleep);

my $clients = 10_000;

# How many descriptors we may have ourselves: the same limit counts for both.
chomp(my $hard = `bash -c 'ulimit -Hn'`);
if ($hard ne 'unlimited' && $hard < $clients + 500)
{
	plan skip_all => "$clients clients need more open files than the limit of $hard (ulimit -Hn)";
}
if (!$ENV{GATEWAY_LOAD_LIMIT})
{
	# Perl cannot raise its own limit: a shell does.
	$ENV{GATEWAY_LOAD_LIMIT} = 1;
	my $need = $clients + 500;
	exec 'bash', '-c', 'ulimit -Sn "$0" && exec "$@"', $need, $^X, '-Itest/lib', $0;
}
my $gateway = Gateway->start(fds => 1024, settings => { 'max-connections' => 15000, 'request-timeout' => 60 });
cmp_ok($gateway->metric('sockets_limit'), '>=', $clients + 200, 'from a soft limit of 1,024 files it serves more');

# Connections from several addresses of 127/8, so that ports do not run short; none waits for another.
sub open_all
{
	my ($n, $bytes) = @_;
	my @sockets;
	my $to = pack_sockaddr_in($gateway->{port}, inet_aton('127.0.0.1'));
	foreach my $i (1 .. $n)
	{
		socket my $socket, PF_INET, SOCK_STREAM | Socket::SOCK_NONBLOCK(), 0 or die "socket: $!";
		bind $socket, pack_sockaddr_in(0, inet_aton('127.0.0.' . (2 + $i % 50)));
		connect $socket, $to;
		push @sockets, $socket;
	}
	if (defined $bytes)
	{
		my $poll = IO::Select->new(@sockets);
		my %left = map { fileno $_ => 1 } @sockets;
		my $end = time() + 60;
		while (%left && time() < $end)
		{
			foreach my $socket ($poll->can_write(1))
			{
				$poll->remove($socket);
				delete $left{ fileno $socket };
				syswrite $socket, $bytes;
			}
		}
	}
	return \@sockets;
}

# How many of the sockets have got what matches.
sub answered
{
	my ($sockets, $pattern, $seconds) = @_;
	my %buffer;
	my $good = 0;
	my $poll = IO::Select->new(@$sockets);
	my $end = time() + $seconds;
	while ($poll->count && time() < $end)
	{
		foreach my $socket ($poll->can_read(0.5))
		{
			my $n = sysread $socket, $buffer{ fileno $socket }, 4096, length($buffer{ fileno $socket } // '');
			if (!$n) { $poll->remove($socket) }
			elsif ($buffer{ fileno $socket } =~ $pattern) { $good++; $poll->remove($socket) }
		}
	}
	return $good;
}

# Select works on so many descriptors only because perl's bit strings grow.
my $handshake = $gateway->handshake;
my $other = $gateway->websocket;
my $before = $gateway->private_kb;
my $begin = time();
my $sockets = open_all($clients, $handshake);
my $good = answered($sockets, qr/\r\n\r\n/, 60);
is($good, $clients, "$clients clients at once: all are in");
note(sprintf 'in %.1f s together with their own work', time() - $begin);
$other->text('hello');
is($other->next_frame->[1], 'hello', 'the others are served');
is($gateway->metric('transport_clients{kind="websocket"}'), $clients + 1, 'they are counted');

SKIP:
{
	skip 'a build with a sanitizer needs more memory', 1 if `./qms_gateway_echo --version` =~ /without sandbox/;
	my $each = ($gateway->private_kb - $before) / $clients;
	cmp_ok($each, '<=', 4, 'a client that waits needs at most 4 kB') or diag("$each kB");
	note(sprintf '%.2f kB for each client', $each);
}
my $cpu = $gateway->cpu;
sleep(1);
cmp_ok($gateway->cpu - $cpu, '<', 0.1, 'they cost nothing while they wait');

# All are told, within the second.
$begin = time();
kill 'TERM', $gateway->{pid};
is(answered($sockets, qr/\x88\x0a\x0b\xb9shutdown/, 10), $clients, 'at the end all are told');
is($gateway->stop('CONT'), 0, 'it ends without an error');
cmp_ok(time() - $begin, '<', 5, 'soon');
$sockets = undef;

# 5,000 that come and go in all ways: no descriptor and no client stays behind.
$gateway = Gateway->start(settings => { 'request-timeout' => 60 });
$gateway->metric('sockets_limit');
my $idle = $gateway->descriptors;
my @ways = (
	undef,    # nothing is said
	"GET / HTTP/1.1\r\nHo",
	$handshake,
	substr($handshake, 0, -2),
	$handshake . Gateway::WebSocket::frame(1, 'hello'),
	$handshake . substr(Gateway::WebSocket::frame(1, 'x' x 3000), 0, 1000),
	$handshake . Gateway::WebSocket::frame(1, 'big 500000'),
	"GET /events?channel=x HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
	"\0\1\2\3");
foreach my $round (1 .. 10)
{
	foreach my $way (@ways)
	{
		my $some = open_all(50, $way);
		# Half of them with a reset.
		setsockopt $_, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) foreach @$some[ 0 .. 24 ];
		close $_ foreach @$some;
	}
}
ok(Gateway::poll(sub { $gateway->metric('sockets') == 1 }), '5,000 connections came and went: none is left');
foreach my $kind (qw(websocket sse))
{
	is($gateway->metric("transport_clients{kind=\"$kind\"}"), 0, "no client is left: $kind");
}
ok(Gateway::poll(sub { $gateway->descriptors <= $idle }), 'no descriptor is left') or diag($gateway->descriptors . " of $idle");
is($gateway->stop, 0, 'it ends without an error');

done_testing();
