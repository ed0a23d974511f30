# The gateway program under test, and clients made of plain sockets.
package Gateway;
use strict;
use warnings;

use Digest::SHA qw(sha1_base64);
use Errno qw(EAGAIN EINTR);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use POSIX ":sys_wait_h";
use Socket qw(IPPROTO_TCP TCP_NODELAY SHUT_WR);
use Test::More;
use Time::HiRes qw(time sleep);

our $timeout = 60;

# The program with the echoing hub; built if it is not there.
sub echo_program
{
	if (!-x 'qms_gateway_echo')
	{
		my $out = `make -s qms_gateway_echo 2>&1`;
		die "could not build qms_gateway_echo: $out" if $? != 0;
	}
	return './qms_gateway_echo';
}

# Runs it on a port of its own.  Options: program, args, env, settings (a hash of flags), fds.
sub start
{
	my ($class, %o) = @_;
	my $dir = tempdir(CLEANUP => 1);
	my $self = bless { dir => $dir, log => "$dir/log" }, $class;
	my @command = ($o{program} // echo_program());
	my %settings = (
		listen => '127.0.0.1:0',
		database => 'host=127.0.0.1 port=1 dbname=none',
		pages => '',
		'max-connections-per-address' => 100000,
		'max-requests-per-second' => 1000000,
		%{ $o{settings} // {} });

	push @command, map { ("--$_", $settings{$_}) } grep { defined $settings{$_} } sort keys %settings;
	push @command, @{ $o{args} // [] };
	$self->{pid} = fork() // die "fork: $!";
	if (!$self->{pid})
	{
		local %ENV = (%ENV, %{ $o{env} // {} });
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', $self->{log};
		@command = ('bash', '-c', 'ulimit -Sn "$0" && exec "$@"', $o{fds}, @command) if $o{fds};
		exec @command or POSIX::_exit(127);
	}
	poll(sub { $self->log_text =~ /listens on (\S+?):(\d+)(?:,|$)/m && ($self->{port} = $2) || !$self->running })
	  or die 'the gateway does not come up: ' . $self->log_text;
	return $self;
}

sub poll
{
	my ($condition, $seconds) = @_;
	my $end = time() + ($seconds // $timeout);
	while (time() < $end)
	{
		return 1 if $condition->();
		sleep(0.02);
	}
	return $condition->();
}

sub log_text
{
	my ($self) = @_;
	open my $f, '<', $self->{log} or return '';
	local $/;
	return scalar(<$f>) // '';
}

sub running
{
	my ($self) = @_;
	return 0 if defined $self->{status};
	return 1 if waitpid($self->{pid}, WNOHANG) == 0;
	$self->{status} = $?;
	return 0;
}

# Its wait status, after that signal; undef if it does not end.
sub stop
{
	my ($self, $signal) = @_;
	kill $signal // 'TERM', $self->{pid} if $self->running;
	poll(sub { !$self->running }, 30) or do { kill 'KILL', $self->{pid}; waitpid($self->{pid}, 0); return };
	return $self->{status};
}

sub DESTROY
{
	my ($self) = @_;
	local $?;
	return if defined $self->{status} || !$self->{pid};
	kill 'KILL', $self->{pid};
	waitpid($self->{pid}, 0);
	return;
}

# A number of /metrics.
sub metric
{
	my ($self, $name) = @_;
	my (undef, undef, $body) = $self->http('GET', '/metrics');
	return $body =~ /^qms_gateway_\Q$name\E (\S+)$/m ? $1 : undef;
}

sub descriptors
{
	my ($self) = @_;
	my @fds = glob "/proc/$self->{pid}/fd/*";
	return scalar @fds;
}

# Kilobytes of memory that are its own.
sub private_kb
{
	my ($self) = @_;
	open my $f, '<', "/proc/$self->{pid}/smaps_rollup" or return;
	my $kb = 0;
	/^Private_\w+:\s+(\d+)/ and $kb += $1 while <$f>;
	return $kb;
}

# CPU seconds so far.
sub cpu
{
	my ($self) = @_;
	open my $f, '<', "/proc/$self->{pid}/stat" or return;
	my @field = split ' ', (<$f> =~ s/.*\) //r);
	return ($field[11] + $field[12]) / POSIX::sysconf(&POSIX::_SC_CLK_TCK);
}

sub connect
{
	my ($self) = @_;
	my $socket = IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $self->{port}, Timeout => 20)
	  or die "connect: $!";
	setsockopt($socket, IPPROTO_TCP, TCP_NODELAY, 1);
	return $socket;
}

# Everything until the pattern matches, the end, or the time is over.
sub read_until
{
	my ($socket, $buffer, $pattern, $seconds) = @_;
	my $end = time() + ($seconds // 20);
	my $select = IO::Select->new($socket);
	while ($$buffer !~ $pattern)
	{
		my $left = $end - time();
		return 'timeout' if $left <= 0 || !$select->can_read($left);
		my $n = sysread $socket, $$buffer, 65536, length $$buffer;
		return 'end' if !$n;
	}
	return '';
}

# A request with these bytes; status, headers (a text), body, and how it ended.
sub raw_http
{
	my ($self, $bytes, $seconds) = @_;
	my $socket = $self->connect;
	my $buffer = '';
	syswrite $socket, $bytes;
	my $how = read_until($socket, \$buffer, qr/\A(?!)/, $seconds);
	my ($status, $headers, $body) = $buffer =~ m{\AHTTP/1\.[01] (\d+)[^\r\n]*\r\n(.*?\r\n)\r\n(.*)\z}s;
	return ($status // '', $headers // '', $body // $buffer, $how);
}

sub http
{
	my ($self, $method, $path, @headers) = @_;
	return $self->raw_http(join("\r\n", "$method $path HTTP/1.1", "Host: localhost:$self->{port}", @headers, '', ''));
}

our $key = 'dGhlIHNhbXBsZSBub25jZQ==';

sub handshake
{
	my ($self, %o) = @_;
	my %headers = (
		Host => "localhost:$self->{port}",
		Upgrade => 'websocket',
		Connection => 'Upgrade',
		'Sec-WebSocket-Key' => $key,
		'Sec-WebSocket-Version' => 13,
		%{ $o{headers} // {} });
	return join("\r\n", ($o{method} // 'GET') . ' ' . ($o{path} // '/connection/websocket') . ' HTTP/' . ($o{version} // '1.1'),
		(map { "$_: $headers{$_}" } grep { defined $headers{$_} } sort keys %headers), '', '');
}

# A WebSocket: {socket, buffer, status, headers}.
sub websocket
{
	my ($self, %o) = @_;
	my $ws = bless { socket => $self->connect, buffer => '' }, 'Gateway::WebSocket';
	syswrite $ws->{socket}, $self->handshake(%o) . ($o{behind} // '');
	read_until($ws->{socket}, \$ws->{buffer}, qr/\r\n\r\n/);
	if ($ws->{buffer} =~ s{\AHTTP/1\.[01] (\d+)[^\r\n]*\r\n(.*?\r\n)\r\n}{}s)
	{
		@$ws{qw(status headers)} = ($1, $2);
	}
	return $ws;
}

package Gateway::WebSocket;
use strict;
use warnings;

# One frame as a client sends it.  Options: fin, rsv, mask (undef: none), length (as announced), form (7, 16, 64 bits)
sub frame
{
	my ($opcode, $payload, %o) = @_;
	my $length = $o{length} // length $payload;
	my $mask = exists $o{mask} ? $o{mask} : "\x12\x34\x56\x78";
	my $form = $o{form} // ($length < 126 ? 7 : $length < 65536 ? 16 : 64);
	my $bit = defined $mask ? 0x80 : 0;
	my $head = pack 'C', ($o{fin} // 1) << 7 | ($o{rsv} // 0) << 4 | $opcode;
	$head .=
	    $form == 7 ? pack('C', $bit | $length)
	  : $form == 16 ? pack('Cn', $bit | 126, $length)
	  : pack('CQ>', $bit | 127, $length);
	return $head . $payload if !defined $mask;
	my $pad = $mask x (length($payload) / 4 + 1);
	return $head . $mask . ($payload ^ substr $pad, 0, length $payload);
}

sub send
{
	my ($self, @frames) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $bytes = join '', @frames;
	while (length $bytes)
	{
		my $n = syswrite $self->{socket}, $bytes;
		return 0 if !defined $n;
		substr($bytes, 0, $n, '');
	}
	return 1;
}

sub text
{
	my ($self, $text) = @_;
	return $self->send(frame(1, $text));
}

# So many bytes at least into the buffer.
sub fill
{
	my ($self, $size, $seconds) = @_;
	my $select = IO::Select->new($self->{socket});
	while (length $self->{buffer} < $size)
	{
		return 'timeout' if !$select->can_read($seconds // 20);
		return 'end' if !sysread $self->{socket}, $self->{buffer}, 65536, length $self->{buffer};
	}
	return '';
}

# The next frame as [opcode, payload, fin], or 'end' or 'timeout'.
sub next_frame
{
	my ($self, $seconds) = @_;
	my ($at, $how) = (2, '');
	$how = $self->fill(2, $seconds) and return $how;
	my ($first, $length) = unpack 'CC', $self->{buffer};
	my $more = $length == 126 ? 2 : $length == 127 ? 8 : 0;
	$how = $self->fill($at += $more, $seconds) and return $how if $more;
	$length = unpack $more == 2 ? 'x2 n' : 'x2 Q>', $self->{buffer} if $more;
	$how = $self->fill($at + $length, $seconds) and return $how;
	my $payload = substr $self->{buffer}, $at, $length;
	substr($self->{buffer}, 0, $at + $length, '');
	return [ $first & 0x0f, $payload, $first >> 7 ];
}

1;
