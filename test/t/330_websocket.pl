# RFC 6455 over plain sockets: handshakes, frames, closing.  What libwebsockets 4.1.6 does otherwise
# than the RFC is in the table, with the RFC's wish behind it.
use strict;
use warnings;

use lib 'test/lib';
use Digest::SHA qw(sha1_base64);
use Gateway;
use Test::More;

my $gateway = Gateway->start(settings => { 'max-frame-size' => 65536, 'request-timeout' => 5 });
my $f = \&Gateway::WebSocket::frame;

# Handshakes.
my $ws = $gateway->websocket;
is($ws->{status}, 101, 'a handshake');
my $accept = sha1_base64($Gateway::key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
like($ws->{headers}, qr/^Sec-WebSocket-Accept: \Q$accept\E\r$/m, 'its accept key');
unlike($ws->{headers}, qr/^Sec-WebSocket-(?:Protocol|Extensions)/mi, 'no subprotocol, no extension unasked');

# name, options of the handshake, status, and what the headers have
my @handshakes = (
	[ 'subprotocol', { headers => { 'Sec-WebSocket-Protocol' => 'foo, centrifuge-json' } }, 101, qr/^Sec-WebSocket-Protocol: centrifuge-json\r$/m ],
	[ 'Protobuf', { binary => 1, headers => { 'Sec-WebSocket-Protocol' => 'centrifuge-protobuf' } }, 101, qr/^Sec-WebSocket-Protocol: centrifuge-protobuf\r$/m ],
	[ 'Protobuf before JSON', { binary => 1, headers => { 'Sec-WebSocket-Protocol' => 'foo, centrifuge-protobuf, centrifuge-json' } }, 101, qr/^Sec-WebSocket-Protocol: centrifuge-protobuf\r$/m ],
	[ 'JSON before Protobuf', { headers => { 'Sec-WebSocket-Protocol' => 'centrifuge-json, centrifuge-protobuf' } }, 101, qr/^Sec-WebSocket-Protocol: centrifuge-json\r$/m ],
	[ 'Protobuf by the address', { binary => 1, path => '/connection/websocket?a=b&format=protobuf' }, 101 ],
	[ 'Protobuf by the address, as others say it', { binary => 1, path => '/connection/websocket?cf_protocol=protobuf' }, 101 ],
	[ 'Protobuf by the address, JSON by the subprotocol', { path => '/connection/websocket?format=protobuf', headers => { 'Sec-WebSocket-Protocol' => 'centrifuge-json' } }, 101 ],
	[ 'some other format', { path => '/connection/websocket?format=protobuf2' }, 101 ],
	[ 'Protobuf, unidirectional', { path => '/connection/uni_websocket?channel=display:1', headers => { 'Sec-WebSocket-Protocol' => 'centrifuge-json, centrifuge-protobuf' } }, 400 ],
	[ 'unknown subprotocol', { headers => { 'Sec-WebSocket-Protocol' => 'centrifuge-protobuf2' } }, 400 ],
	[ 'compression offered', { headers => { 'Sec-WebSocket-Extensions' => 'permessage-deflate; client_max_window_bits' } }, 101, qr/\A(?!.*Sec-WebSocket-Extensions)/s ],
	[ 'no key', { headers => { 'Sec-WebSocket-Key' => undef } }, 400 ],
	[ 'short key', { headers => { 'Sec-WebSocket-Key' => 'abc' } }, 400 ],
	[ 'long key', { headers => { 'Sec-WebSocket-Key' => 'A' x 300 } }, 400 ],
	[ 'key with foreign characters', { headers => { 'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25j!Q==' } }, 400 ],
	[ 'no version', { headers => { 'Sec-WebSocket-Version' => undef } }, 426, qr/^Sec-WebSocket-Version: 13\r$/m ],
	[ 'version 8', { headers => { 'Sec-WebSocket-Version' => 8 } }, 426, qr/^Sec-WebSocket-Version: 13\r$/m ],
	[ 'version 13x', { headers => { 'Sec-WebSocket-Version' => '13x' } }, 426 ],
	[ 'no Connection', { headers => { Connection => undef } }, 400 ],
	[ 'Connection: close', { headers => { Connection => 'close' } }, 400 ],
	[ 'Connection: up', { headers => { Connection => 'up' } }, 400 ],
	[ 'Connection: keep-alive, Upgrade', { headers => { Connection => 'keep-alive, Upgrade' } }, 101 ],
	[ 'Connection: UPGRADE', { headers => { Connection => 'UPGRADE' } }, 101 ],
	[ 'Upgrade: WebSocket', { headers => { Upgrade => 'WebSocket' } }, 101 ],
	[ 'Upgrade: h2c', { headers => { Upgrade => 'h2c', 'HTTP2-Settings' => 'AAMAAABkAAQAAP__' } }, 400 ],
	[ 'Upgrade: foo', { headers => { Upgrade => 'foo' } }, 403 ],
	[ 'Upgrade: websocketx', { headers => { Upgrade => 'websocketx' } }, 403 ],
	[ 'Upgrade: websocket, foo', { headers => { Upgrade => 'websocket, foo' } }, 403 ],
	[ 'empty Upgrade', { headers => { Upgrade => '' } }, 426 ],
	[ 'no Host', { headers => { Host => undef } }, 400 ],
	[ 'POST', { method => 'POST' }, 400 ],
	[ 'HEAD', { method => 'HEAD' }, 400 ],
	[ 'HTTP/1.0', { version => '1.0' }, 400 ],
	[ 'unknown path', { path => '/connection/other' }, 404 ],
	[ 'path with arguments', { path => '/connection/websocket?a=b' }, 101 ],
	[ 'unidirectional', { path => '/connection/uni_websocket?channel=display:1' }, 101 ],
	[ 'own origin', { headers => { Origin => "http://localhost:$gateway->{port}" } }, 101 ],
	[ 'other origin', { headers => { Origin => 'http://evil.example' } }, 403 ],
	[ 'origin null', { headers => { Origin => 'null' } }, 403 ],
);
foreach my $case (@handshakes)
{
	my ($name, $options, $status, $like) = @$case;
	my $ws = $gateway->websocket(%$options);
	is($ws->{status} // "none: $ws->{buffer}", $status, "handshake: $name: $status");
	like($ws->{headers} // '', $like, "handshake: $name: headers") if $like;
	if ($status == 101 && ($options->{path} // '') !~ /uni/)
	{
		my $opcode = $options->{binary} ? 2 : 1;
		$ws->send($f->($opcode, 'x'));
		my $frame = $ws->next_frame;
		is(ref $frame && "$frame->[0] $frame->[1]", "$opcode x", "handshake: $name: it works");
	}
}

# The shape of CVE-2025-11677, also behind a request on the same connection: 300 times, then it lives.
my $raw = join "\r\n", 'GET / HTTP/1.1', 'Host: localhost', 'Connection: keep-alive', '', '';
my $bad = $gateway->handshake(headers => { Upgrade => 'x' x 40, Connection => 'keep-alive, Upgrade' });
foreach my $i (1 .. 100)
{
	my $socket = $gateway->connect;
	syswrite $socket, $i % 3 == 0 ? $bad . $bad : $i % 3 == 1 ? $raw . $bad : $bad;
	my $buffer = '';
	Gateway::read_until($socket, \$buffer, qr/\A(?!)/);
	fail("a bad Upgrade was answered: $buffer") if $buffer !~ m{\AHTTP/1\.[01] (?:40[34]|200)};
}
ok($gateway->running, '100 bad upgrades, with and without a request before them');

# Frames: name, what is sent, what comes.  The echo says "text:...".
my $long = 'x' x 65536;
my $two = "\xc3\xa4";
my @frames = (
	[ 'text', [ $f->(1, 'hello') ], 'text:hello' ],
	[ 'text of no byte', [ $f->(1, '') ], 'text:' ],
	[ 'text of 125 bytes', [ $f->(1, 'a' x 125) ], 'text:' . 'a' x 125 ],
	[ 'text of 126 bytes', [ $f->(1, 'a' x 126) ], 'text:' . 'a' x 126 ],
	[ 'text of 128 bytes', [ $f->(1, 'a' x 128) ], 'text:' . 'a' x 128 ],
	[ 'text of 65535 bytes', [ $f->(1, 'a' x 65535) ], 'text:' . 'a' x 65535 ],
	[ 'text of 65536 bytes, the limit', [ $f->(1, $long) ], "text:$long" ],
	[ '16 bit form of a short length', [ $f->(1, 'hello', form => 16) ], 'text:hello' ],
	[ '64 bit form of a short length', [ $f->(1, 'hello', form => 64) ], 'text:hello' ],
	[ 'mask of zeros', [ $f->(1, 'hello', mask => "\0\0\0\0") ], 'text:hello' ],
	[ 'byte by byte', [ split //, $f->(1, 'hello') ], 'text:hello', 'slowly' ],
	[ 'two texts in one packet', [ $f->(1, 'a') . $f->(1, 'b') ], 'text:a text:b' ],
	[ 'fragments', [ $f->(1, 'hel', fin => 0), $f->(0, 'l', fin => 0), $f->(0, 'o') ], 'text:hello' ],
	[ 'fragments of no byte', [ $f->(1, '', fin => 0), $f->(0, '', fin => 0), $f->(0, '') ], 'text:' ],
	[ 'ping between fragments', [ $f->(1, 'hel', fin => 0), $f->(9, 'p'), $f->(0, 'lo') ], qr/^(?:pong:p text:hello|text:hello pong:p)$/ ],
	[ 'pong between fragments', [ $f->(1, 'hel', fin => 0), $f->(10, ''), $f->(0, 'lo') ], 'text:hello' ],
	[ 'one byte fragments', [ $f->(1, 'h', fin => 0), (map { $f->(0, 'x', fin => 0) } 1 .. 200), $f->(0, '!') ], 'text:h' . 'x' x 200 . '!' ],
	[ 'ping', [ $f->(9, '') ], 'pong:' ],
	[ 'ping with 125 bytes', [ $f->(9, "\xff" x 125) ], 'pong:' . "\xff" x 125 ],
	[ 'pong unasked', [ $f->(10, 'x'), $f->(1, 'y') ], 'text:y' ],
	[ 'UTF-8', [ $f->(1, "$two\xe2\x82\xac\xf0\x9f\x98\x80") ], "text:$two\xe2\x82\xac\xf0\x9f\x98\x80" ],
	[ 'UTF-8 split over frames', [ $f->(1, "a\xc3", fin => 0), $f->(0, "\xa4") ], "text:a$two" ],
	[ 'UTF-8 split over packets', [ substr($f->(1, $two), 0, 7), substr($f->(1, $two), 7) ], "text:$two", 'slowly' ],
	[ 'UTF-8 split, ping between', [ $f->(1, "a\xc3", fin => 0), $f->(9, "\xff"), $f->(0, "\xa4") ], qr/^(?:pong:\xff text:a$two|text:a$two pong:\xff)$/ ],
	[ 'U+10FFFF', [ $f->(1, "\xf4\x8f\xbf\xbf") ], "text:\xf4\x8f\xbf\xbf" ],

	[ 'unknown opcode 3', [ $f->(3, '') ], 'close:1002*' ],
	[ 'unknown opcode 11', [ $f->(11, '') ], 'close:1002*' ],
	[ 'reserved bit 1', [ $f->(1, 'x', rsv => 4) ], 'close:1002*' ],
	[ 'reserved bit 2', [ $f->(1, 'x', rsv => 2) ], 'close:1002*' ],
	[ 'reserved bit 3 of a ping', [ $f->(9, 'x', rsv => 1) ], 'close:1002*' ],
	[ 'ping in fragments', [ $f->(9, 'x', fin => 0) ], 'close:1002*' ],
	[ 'close in fragments', [ $f->(8, '', fin => 0) ], 'close:1002*' ],
	[ 'ping of 126 bytes', [ $f->(9, 'x' x 126) ], 'end' ],    # the RFC: close 1002 may go before
	[ 'close of 126 bytes', [ $f->(8, pack('n', 1000) . 'x' x 124) ], 'end' ],
	[ 'continuation of nothing', [ $f->(0, 'x') ], 'close:1002*' ],
	[ 'continuation of nothing, open', [ $f->(0, 'x', fin => 0) ], 'close:1002*' ],
	[ 'text inside of a text', [ $f->(1, 'a', fin => 0), $f->(1, 'b') ], 'close:1002*' ],
	[ 'continuation after the end', [ $f->(1, 'a', fin => 0), $f->(0, 'b'), $f->(0, 'c') ], 'text:ab close:1002*' ],
	[ 'length with the highest bit', [ $f->(1, '', length => -1, form => 64) ], 'end' ],
	[ 'binary', [ $f->(2, "\0\1") ], 'close:1003*' ],
	[ 'binary in fragments', [ $f->(2, "\0\1", fin => 0) ], 'close:1003*' ],
	[ 'one byte too many', [ $f->(1, $long . 'x') ], 'close:1009*' ],
	[ 'announced too long', [ $f->(1, 'abc', length => 1_000_000_000_000, form => 64) ], 'close:1009*' ],
	[ 'too long in fragments', [ $f->(1, substr($long, 1), fin => 0), $f->(0, 'xy') ], 'close:1009*' ],

	[ 'byte that is never UTF-8', [ $f->(1, "a\xffb") ], 'close:1007*' ],
	[ 'overlong /', [ $f->(1, "\xc0\xaf") ], 'close:1007*' ],
	[ 'surrogate', [ $f->(1, "\xed\xa0\x80") ], 'close:1007*' ],
	[ 'beyond U+10FFFF', [ $f->(1, "\xf4\x90\x80\x80") ], 'close:1007*' ],
	[ 'end within a character', [ $f->(1, "a\xc3") ], 'close:1007*' ],
	[ 'end within a character, by fragments', [ $f->(1, "a\xc3", fin => 0), $f->(0, 'b') ], 'close:1007*' ],
	[ 'end within a character, last fragment empty', [ $f->(1, "a\xc3", fin => 0), $f->(0, '') ], 'close:1007*' ],
	[ 'bad UTF-8 before the message is over', [ $f->(1, "a\xff", fin => 0) ], 'close:1007*' ],

	[ 'close 1000', [ $f->(8, pack('n', 1000) . 'bye') ], 'close:1000 bye' ],
	[ 'close 3000', [ $f->(8, pack 'n', 3000) ], 'close:3000' ],
	[ 'close 4999', [ $f->(8, pack 'n', 4999) ], 'close:4999' ],
	[ 'close without a code', [ $f->(8, '') ], 'close:' ],
	[ 'close 999', [ $f->(8, pack 'n', 999) ], 'close:1002*' ],
	[ 'close 1005', [ $f->(8, pack 'n', 1005) ], 'close:1002*' ],
	[ 'close 1006', [ $f->(8, pack 'n', 1006) ], 'close:1002*' ],
	[ 'close 2999', [ $f->(8, pack 'n', 2999) ], 'close:1002*' ],
	[ 'close with bad UTF-8', [ $f->(8, pack('n', 1000) . "\xff") ], 'end' ],
	[ 'text after a close', [ $f->(8, pack 'n', 1000), $f->(1, 'x') ], 'close:1000' ],

	[ 'the hub closes', [ $f->(1, 'close 3001 shutdown') ], 'close:3001 shutdown' ],
	[ 'the hub closes without words', [ $f->(1, 'close 3008 ') ], 'close:3008' ],
	[ 'the hub closes with many words', [ $f->(1, 'close 3500 ' . 'w' x 200) ], 'close:3500 ' . 'w' x 123 ],
	[ 'a message behind the close is not heard', [ $f->(1, 'close 3001 shutdown') . $f->(1, 'x') ], 'close:3001 shutdown' ],
	[ 'the hub sends 65536 bytes', [ $f->(1, 'big 65536') ], "text:$long" ],

	# Where the library is laxer than the RFC, which wants 1002: no harm to us, masks protect proxies.
	[ 'no mask', [ $f->(1, 'hello', mask => undef) ], 'text:hello' ],
	# It answers the first of several pings that wait; the RFC wants the last or all.
	[ 'two pings in one packet', [ $f->(9, 'a') . $f->(9, 'b') ], 'pong:a' ],
);

# Where a client speaks Protobuf.
my @binary = (
	[ 'bytes', [ $f->(2, "\0\1\xff\xfe") ], "binary:\0\1\xff\xfe" ],
	[ 'bytes of no byte', [ $f->(2, '') ], 'binary:' ],
	[ 'bytes in fragments', [ $f->(2, "\xff", fin => 0), $f->(9, 'p'), $f->(0, '', fin => 0), $f->(0, "\xfe") ], qr/^(?:pong:p binary:\xff\xfe|binary:\xff\xfe pong:p)$/ ],
	[ 'bytes, one too many', [ $f->(2, $long . 'x') ], 'close:1009*' ],
	[ 'text', [ $f->(1, 'x') ], 'close:3501 bad request' ],
	[ 'text in fragments', [ $f->(1, 'x', fin => 0) ], 'close:3501 bad request' ],
	[ 'the hub sends 65536 bytes', [ $f->(2, 'big 65536') ], 'binary:' . 'x' x 65536 ],
	[ 'the hub sends 126 bytes', [ $f->(2, 'big 126') ], 'binary:' . 'x' x 126 ],
);
foreach my $case (@frames, map { [ "Protobuf: $_->[0]", @$_[1, 2], '', 1 ] } @binary)
{
	my ($name, $send, $want, $slowly, $binary) = @$case;
	my $ws = $gateway->websocket($binary ? (headers => { 'Sec-WebSocket-Protocol' => 'centrifuge-protobuf' }) : ());
	foreach my $bytes (@$send)
	{
		$ws->send($bytes);
		select undef, undef, undef, 0.005 if $slowly;
	}
	# What should come, and no more: a close is answered, then the end; else a close of ours ends it.
	my $closes = !ref $want && $want =~ /(?:^| )close:|^end$/;
	my $words = $closes ? 0 : ref $want ? ($want =~ /\|/ ? 2 : 1) : 1 + ($want =~ tr/ //);
	my @got;
	while (1)
	{
		$ws->send($f->(8, pack('n', 1000) . 'mark')) if !$closes && @got == $words;
		my $word = next_word($ws);
		last if $word eq 'close:1000 mark' && !$closes;
		if ($word =~ /^(?:end|timeout)$/)
		{
			push @got, $word if $word eq 'timeout' || !$closes || $want eq 'end' && !@got;
			last;
		}
		push @got, $word;
		$ws->send($f->(8, substr $ws->{last}, 0, 2)) if $word =~ /^close:\d/;
	}
	my $got = join ' ', @got;
	if (ref $want) { like($got, $want, "frames: $name"); next }
	my $pattern = join '.*', map { quotemeta } split /\*/, $want, -1;
	ok($got =~ /\A$pattern\z/s, "frames: $name") or diag('got ', substr($got, 0, 200), ', wanted ', substr($want, 0, 200));
}

# One frame as words.
sub next_word
{
	my ($ws) = @_;
	my $frame = $ws->next_frame(10);
	return $frame if !ref $frame;
	my ($opcode, $payload) = @$frame;
	$ws->{last} = $payload;
	my $name = { 1 => 'text', 2 => 'binary', 8 => 'close', 9 => 'ping', 10 => 'pong' }->{$opcode} // "opcode$opcode";
	$payload = unpack('n', $payload) . (length $payload > 2 ? ' ' . substr $payload, 2 : '') if $opcode == 8 && length $payload >= 2;
	return "$name:$payload";
}

# The first frames may come with the handshake.
$ws = $gateway->websocket(behind => $f->(1, 'early') . $f->(1, 'bird'));
is($ws->{status}, 101, 'frames behind the handshake: it succeeds');
is(join(' ', map { $_->[1] } $ws->next_frame, $ws->next_frame), 'early bird', 'frames behind the handshake: they are answered');

# A client that does not answer our close is gone after a while, as is one that goes on sending.
$ws = $gateway->websocket;
my $talker = $gateway->websocket;
$_->text('close 3001 shutdown') foreach $ws, $talker;
is($ws->next_frame->[0], 8, 'a close that is not answered: it comes');
is($ws->next_frame(15), 'end', 'a close that is not answered: the socket goes');
my $end = time + 15;
my $gone;
while (!$gone && time < $end)
{
	$gone = !$talker->text('x' x 1000);
	select undef, undef, undef, 0.05;
}
ok($gone, 'who goes on talking after a close is cut off');

# A client that does not read gets everything, in order, once it reads; others do not wait for it.
$ws = $gateway->websocket;
$ws->text('polite 20000');
my $other = $gateway->websocket;
$other->text('hello');
is($other->next_frame->[1], 'hello', 'a client that does not read keeps nobody waiting');
my $sum = 0;
foreach my $i (1 .. 20000)
{
	my $frame = $ws->next_frame;
	last if !ref $frame || $frame->[1] ne $i;
	$sum++;
}
is($sum, 20000, 'a client that reads late has all, in order');

# Who is sent much and reads nothing is cut off, not kept in memory without end.
$ws = $gateway->websocket;
setsockopt($ws->{socket}, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), 4096);
$ws->text('big 16000000');
$ws->text("big 900000 $_") foreach 1 .. 20;
ok(Gateway::poll(sub { $gateway->metric('cut_total{reason="stuck"}') > 0 }), 'a client that is sent too much is cut off');

cmp_ok($gateway->metric('cut_total{reason="bad_frame"}'), '>=', 15, 'bad frames are counted');
cmp_ok($gateway->metric('cut_total{reason="binary"}'), '>=', 2, 'binary frames are counted');
cmp_ok($gateway->metric('cut_total{reason="oversize"}'), '>=', 3, 'oversize messages are counted');
cmp_ok($gateway->metric('refused_total{reason="bad_upgrade"}'), '>=', 10, 'bad upgrades are counted');
cmp_ok($gateway->metric('refused_total{reason="origin"}'), '>=', 2, 'foreign origins are counted');
undef $_ foreach $ws, $other, $talker;
ok(Gateway::poll(sub { $gateway->metric('transport_clients{kind="websocket"}') == 0 }), 'all clients have gone');
is($gateway->stop, 0, 'it ends without an error');

done_testing();
