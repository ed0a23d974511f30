# One message for everybody at once, sent by several threads: whole, in order, once; also to those who are
# slow, stop reading, go away or are told to.
use strict;
use warnings;

use lib 'test/lib';
use Gateway;
use IO::Select;
use Test::More;

my ($readers, $rounds) = (80, 20);

# How many threads the program has.
sub threads
{
	my ($gateway) = @_;
	return scalar(() = glob "/proc/$gateway->{pid}/task/*");
}

foreach my $wanted (4, 1)
{
	my $gateway = Gateway->start(settings => { 'send-threads' => $wanted });
	my $alone = threads($gateway);
	# Every other one speaks Protobuf: its frames have another opcode.
	my @readers = map { $gateway->websocket($_ % 2 ? () : (headers => { 'Sec-WebSocket-Protocol' => 'centrifuge-protobuf' })) } 1 .. $readers;
	my %opcode = map { ($readers[$_] => 1 + $_ % 2) } 0 .. $#readers;
	my @stopped = map { $gateway->websocket } 1 .. 10;
	my @fickle = map { $gateway->websocket } 1 .. 5;
	my @gone = map { $gateway->websocket } 1 .. 5;
	my @streams = map { my $socket = $gateway->connect; print $socket "GET /events?channel=a HTTP/1.1\r\nHost: x\r\n\r\n"; $socket->flush; $socket } 1 .. 5;
	foreach my $one (@fickle)
	{
		$one->text('fickle');
		$one->text('there');
		$one->next_frame;
	}
	my @text = ('') x @streams;
	Gateway::read_until($streams[$_], \$text[$_], qr/kind=/) foreach 0 .. $#streams;
	foreach my $one (@gone)
	{
		# Gone with a reset, which the program has not seen yet.
		setsockopt $one->{socket}, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack('ii', 1, 0);
		close $one->{socket};
	}

	# Small ones, and such that a socket does not take at once.
	foreach my $size (300, 30_000)
	{
		$readers[0]->text("all $rounds $size");
		my @bad;
		foreach my $one (@readers, $size == 300 ? () : @stopped)
		{
			my @sizes = grep({ $_ == $one } @stopped) ? (300, $size) : ($size);
			foreach my $each (@sizes)
			{
				foreach my $i (1 .. $rounds)
				{
					my $frame = $one->next_frame;
					push @bad, "$i: " . (ref $frame ? "$frame->[0] " . substr $frame->[1], 0, 20 : $frame)
					  if !ref $frame || $frame->[0] != ($opcode{$one} // 1) || $frame->[1] ne "$i " . 'x' x ($each - length "$i ");
					last if !ref $frame;
				}
			}
		}
		is_deeply([ @bad[0 .. ($#bad < 3 ? $#bad : 3)] ], [], "$wanted thread(s), $size bytes: each has all, whole and in order");
	}
	my @told = map { my $frame = $_->next_frame; my $end = $_->next_frame; "$frame->[0] $end->[0] " . unpack('n', $end->[1]) } @fickle;
	is_deeply(\@told, [ ('1 8 3000') x 5 ], 'who is told to go has what was written before, then the reason');
	my ($stream, $need) = ('', $rounds * (300 + 30_000 + 2 * 2));
	my $select = IO::Select->new($streams[0]);
	while (length $stream < $need && $select->can_read(20))
	{
		sysread($streams[0], $stream, 1 << 20, length $stream) or last;
	}
	is(join(' ', map { "$_->[0] $_->[1]" } map { [ /^data: (\d+) /, length ] } split /\n\n/, $stream),
		join(' ', map { my $size = $_; map { "$_ $size" } 1 .. $rounds } 300, 30_000), 'an event stream, too');
	is(threads($gateway) - $alone, $wanted - 1, 'helpers, from the first fan-out that is worth it');
	ok($gateway->running, 'and it runs');
	is($gateway->stop, 0, 'and ends');
}
done_testing();
