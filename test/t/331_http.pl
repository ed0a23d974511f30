# The gateway's HTTP: pages, paths, methods, limits, event streams, figures, TLS.
use strict;
use warnings;

use lib 'test/lib';
use File::Temp qw(tempdir);
use Gateway;
use POSIX qw(mkfifo);
use Test::More;
use Time::HiRes qw(time sleep);

my $top = tempdir(CLEANUP => 1);
my $pages = "$top/pages";
mkdir $_ foreach $pages, "$pages/sub", "$pages/.git";
put("$top/secret.html", 'SECRET');
put("$pages/index.html", '<h1>index</h1>');
put("$pages/display.html", '<h1>display</h1>');
put("$pages/sub/script.js", 'x = 1');
put("$pages/style.css", 'a {}');
put("$pages/LICENSE", 'free');
put("$pages/picture.svg", '<svg/>');
put("$pages/.git/config", 'SECRET');
put("$pages/.hidden.html", 'SECRET');
my $big = join '', map { sprintf '%07d ', $_ } 1 .. 400_000;
put("$pages/big.txt", $big);
symlink "$top/secret.html", "$pages/link.html";
symlink $top, "$pages/up";
mkfifo("$pages/pipe.html", 0600);

sub put
{
	my ($path, $text) = @_;
	open my $f, '>', "$path.new" or die "$path: $!";
	print $f $text;
	close $f;
	rename "$path.new", $path;
	return;
}

my $gateway = Gateway->start(
	settings => {
		pages => $pages,
		'request-timeout' => 2,
		'allowed-origins' => 'https://app.example, https://*.apps.example' });

# Pages.
my ($status, $headers, $body, $how) = $gateway->http('GET', '/');
is("$status $body $how", '200 <h1>index</h1> end', 'the first page');
my ($etag) = $headers =~ /^ETag: (\S+)\r$/m;
foreach my $header (
	'X-Content-Type-Options: nosniff', 'Referrer-Policy: no-referrer', 'X-Frame-Options: SAMEORIGIN', 'Cache-Control: no-cache',
	'Connection: close', 'Content-Length: 14', 'Content-Type: text/html; charset=utf-8')
{
	like($headers, qr/^\Q$header\E\r$/m, "a page says $header");
}
like($headers, qr/^Content-Security-Policy: default-src 'none'; script-src 'self'; .*connect-src 'self' ws:\/\/localhost:$gateway->{port} .*frame-ancestors 'self'\r$/m,
	'a page has a content security policy');
(undef, $headers) = $gateway->raw_http("GET / HTTP/1.1\r\nHost: evil;script-src *\r\n\r\n");
unlike($headers, qr/evil/, 'a strange host does not get into the policy');
foreach my $case (
	[ '/sub/script.js', 'text/javascript; charset=utf-8' ], [ '/style.css', 'text/css; charset=utf-8' ],
	[ '/LICENSE', 'text/plain; charset=utf-8' ], [ '/picture.svg', 'image/svg+xml' ])
{
	($status, $headers) = $gateway->http('GET', $case->[0]);
	like("$status $headers", qr/\A200 .*^Content-Type: \Q$case->[1]\E\r$/ms, "type of $case->[0]");
}
foreach my $path (qw(/display/12 /display/1/2 /display/city/town-hall /display/12?theme=dark))
{
	(undef, undef, $body) = $gateway->http('GET', $path);
	is($body, '<h1>display</h1>', "$path is the display");
}
($status, $headers, $body) = $gateway->http('GET', '/big.txt');
ok($status eq '200' && $body eq $big, 'a page of 3 MB');

# HEAD and conditions.
($status, $headers, $body) = $gateway->http('HEAD', '/');
is("$status <$body>", '200 <>', 'HEAD has no body');
like($headers, qr/^Content-Length: 14\r$/m, 'HEAD has the length');
foreach my $case ([ $etag, 304 ], [ "W/$etag", 304 ], [ "\"a\", $etag", 304 ], [ '*', 304 ], [ '"a"', 200 ], [ 'garbage', 200 ])
{
	($status, $headers, $body) = $gateway->http('GET', '/', "If-None-Match: $case->[0]");
	is($status . ($status == 304 ? "<$body>" : ''), $case->[1] == 304 ? '304<>' : 200, "If-None-Match: $case->[0]");
}
put("$pages/index.html", '<h1>other!</h1>');
ok(Gateway::poll(sub { ($gateway->http('GET', '/', "If-None-Match: $etag"))[2] eq '<h1>other!</h1>' }), 'a changed page is read again');
unlink "$pages/style.css";
ok(Gateway::poll(sub { ($gateway->http('GET', '/style.css'))[0] == 404 }), 'a page that is gone is not there');

# Paths.
foreach my $path (
	'/secret.html', '/../secret.html', '/../../secret.html', '/..%2fsecret.html', '/%2e%2e/secret.html', '/%2e%2e%2fsecret.html',
	'/.%2e/secret.html', '/..%5csecret.html', '/..\\secret.html', '//secret.html', '/./../secret.html', '/sub/../../secret.html',
	'/sub/%2e%2e/%2e%2e/secret.html', '/sub/..%2f..%2fsecret.html', '/%252e%252e/secret.html', '/..%c0%afsecret.html',
	'/....//secret.html', '/..;/secret.html', '/display/../../secret.html', "$top/secret.html", "/$top/secret.html", '/link.html',
	'/up/secret.html', '/.git/config', '/.hidden.html', '/sub', '/sub/', '/pipe.html', '/index.html%00.css', '/index.html/', '/index.html.',
	'/INDEX.HTML', '/display/', '/display/<b>', '/%', '/%zz', '/' . 'a' x 6000, '/?', 'http://localhost/../secret.html', '*', 'secret.html', '')
{
	my ($status, undef, $body) = $gateway->http('GET', $path);
	ok($body !~ /SECRET/ && $status =~ /^(?:200|400|403|404|)$/ && ($status ne '200' || $body =~ /other!/),
		'no way out: ' . substr $path, 0, 60)
	  or diag("$status: " . substr $body, 0, 100);
}

# Methods, and what is no HTTP.
foreach my $method (qw(POST PUT DELETE PATCH))
{
	($status, $headers) = $gateway->http($method, '/', 'Content-Length: 3');
	like("$status $headers", qr/\A405 .*^Allow: GET, HEAD, OPTIONS\r$/ms, "$method is not allowed");
}
($status) = $gateway->raw_http("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
is($status, 405, 'POST with its body');
foreach my $case (
	[ 'unknown method', "BREW / HTTP/1.1\r\nHost: x\r\n\r\n" ],
	[ 'CONNECT', "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\nhello" ],
	[ 'HTTP/2 preface', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" ],
	[ 'TLS hello', "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . "\x55" x 508 ],
	[ 'zeros', "\0" x 1000 ],
	[ 'line ends', "\r\n" x 1000 ],
	[ 'two methods', "GET / HTTP/1.1\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n" ],
	[ 'no method', "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" ],
	[ 'no host', "GET / HTTP/1.1\r\n\r\n" ],
	[ 'a header of 100 kB', "GET / HTTP/1.1\r\nHost: x\r\nX-Long: " . 'x' x 100_000 . "\r\n\r\n" ],
	[ 'a cookie of 100 kB', "GET / HTTP/1.1\r\nHost: x\r\nCookie: " . 'x' x 100_000 . "\r\n\r\n" ],
	[ '5,000 headers', "GET / HTTP/1.1\r\nHost: x\r\n" . join('', map { "X-$_: $_\r\n" } 1 .. 5000) . "\r\n" ],
	[ '5,000 times the same header', "GET / HTTP/1.1\r\nHost: x\r\n" . "Accept: a\r\n" x 5000 . "\r\n" ],
	[ '5,000 arguments', 'GET /?' . join('&', map { "a$_" } 1 .. 5000) . " HTTP/1.1\r\nHost: x\r\n\r\n" ])
{
	local $SIG{PIPE} = 'IGNORE';
	my ($status, undef, $body, $how) = $gateway->raw_http($case->[1]);
	ok($status !~ /^[12]/ && $how eq 'end', "$case->[0]: an error or the end") or diag("$status, $how: $body");
}
($status) = $gateway->raw_http("GET /healthz HTTP/1.0\r\n\r\n");
is($status, 200, 'HTTP/1.0 without a host');
($status, undef, $body) = $gateway->raw_http("GET /healthz HTTP/1.1\nHost: x\n\n");
is("$status $body", "200 ok\n", 'lines without a carriage return');
($status, undef, $body) = $gateway->raw_http("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" x 3);
is("$status $body", "200 ok\n", 'of requests in a row the first is answered, then it ends');
($status, $headers, $body) = $gateway->http('GET', '/nothing');
like("$status $body", qr/\A404 .*Not Found/s, 'a page for what is not there');
like($headers, qr/^Content-Security-Policy: default-src 'none'/m, 'it allows nothing');
is(($gateway->http('GET', '/readyz'))[0], 200, 'ready');
is(($gateway->http('GET', '/connection/websocket'))[0], 426, 'a plain request where a WebSocket is');

# Slow requests, and none at all.
sub lasts
{
	my ($socket, $drip) = @_;
	my $begin = time();
	my $buffer = '';
	local $SIG{PIPE} = 'IGNORE';
	while (time() - $begin < 20)
	{
		syswrite $socket, $drip if defined $drip;
		my $how = Gateway::read_until($socket, \$buffer, qr/\A(?!)/, 0.2);
		return time() - $begin if $how eq 'end';
	}
	return 99;
}
my $seconds = lasts($gateway->connect);
ok($seconds > 1 && $seconds < 6, 'who says nothing is cut off') or diag($seconds);
my $socket = $gateway->connect;
syswrite $socket, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ";
$seconds = lasts($socket, 'x');
ok($seconds > 1 && $seconds < 6, 'who writes a request byte by byte is cut off') or diag($seconds);
$socket = $gateway->connect;
shutdown $socket, 1;
ok(lasts($socket) < 1.5, 'who has nothing to say is let go at once');
cmp_ok($gateway->metric('refused_total{reason="slow_request"}'), '>=', 2, 'slow requests are counted');

# Slow readers, and those who talk meanwhile.  The socket's buffers hold less than the page.
sub small_window
{
	my ($path) = @_;
	my $socket = IO::Socket::INET->new(Proto => 'tcp') or die $!;
	setsockopt $socket, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), 8192;
	connect $socket, Socket::pack_sockaddr_in($gateway->{port}, Socket::inet_aton('127.0.0.1')) or die $!;
	syswrite $socket, "GET $path HTTP/1.1\r\nHost: x\r\n\r\n";
	return $socket;
}
$socket = small_window('/big.txt');
my $cpu = $gateway->cpu;
sleep(1);
cmp_ok($gateway->cpu - $cpu, '<', 0.3, 'a reader that waits costs nothing');
my $buffer = '';
Gateway::read_until($socket, \$buffer, qr/\A(?!)/, 20);
ok(substr($buffer, -length $big) eq $big, 'a reader that waited has it all');
$socket = small_window('/big.txt');
sleep(0.2);
$cpu = $gateway->cpu;
{ local $SIG{PIPE} = 'IGNORE'; syswrite $socket, 'and another thing'; }
ok(Gateway::poll(sub { $gateway->metric('cut_total{reason="chatter"}') >= 1 }, 10), 'who talks instead of reading is cut off');
$buffer = '';
Gateway::read_until($socket, \$buffer, qr/\A(?!)/, 20);
cmp_ok(length $buffer, '<', length $big, 'he has not got it all');
cmp_ok($gateway->cpu - $cpu, '<', 0.5, 'and has kept nobody busy');

# Event streams.
sub stream
{
	my ($path, @headers) = @_;
	my $socket = $gateway->connect;
	syswrite $socket, join "\r\n", "GET $path HTTP/1.1", 'Host: x', @headers, '', '';
	return $socket;
}
$socket = stream('/events?channel=display%3A1&channel=queue:2', 'Last-Event-ID: 17:ab', 'Authorization: Bearer tok.en');
$buffer = '';
Gateway::read_until($socket, \$buffer, qr/\n\n/);
like($buffer, qr/\AHTTP\/1\.1 200 .*^Content-Type: text\/event-stream\r$/ms, 'an event stream');
like($buffer, qr/^data: kind=2 host=x address=127\.0\.0\.1 origin=- token=tok\.en last=17:ab channel=display:1 channel=queue:2\n\n/m,
	'what the hub knows of it');
$cpu = $gateway->cpu;
sleep(0.7);
cmp_ok($gateway->cpu - $cpu, '<', 0.2, 'a stream that waits costs nothing');
syswrite $socket, 'hello?';
is(Gateway::read_until($socket, \$buffer, qr/\A(?!)/, 10), 'end', 'who talks on a stream is cut off');
$socket = stream('/events?channel=many:50000');
$buffer = '';
Gateway::read_until($socket, \$buffer, qr/data: 50000\n\n/);
is(join(' ', grep { !/^kind/ } $buffer =~ /^data: (.*)$/mg), join(' ', 1 .. 50000), 'a stream of 50,000 events, in order');
ok(Gateway::poll(sub { $gateway->metric('transport_clients{kind="sse"}') == 1 }), 'one stream is counted');
close $socket;
ok(Gateway::poll(sub { $gateway->metric('transport_clients{kind="sse"}') == 0 }, 5), 'a stream that was closed is gone');
my @streams = map { stream('/events?channel=x') } 1 .. 50;
ok(Gateway::poll(sub { $gateway->metric('transport_clients{kind="sse"}') == 50 }), '50 streams');
shutdown $_, 1 foreach @streams;
ok(Gateway::poll(sub { $gateway->metric('transport_clients{kind="sse"}') == 0 }, 5), 'half closed, they are gone');
$cpu = $gateway->cpu;
sleep(0.5);
cmp_ok($gateway->cpu - $cpu, '<', 0.2, 'and cost nothing');
is(($gateway->http('GET', '/events?channel=refuse'))[0], 503, 'a stream that the hub refuses');
like(($gateway->http('GET', '/events?channel=end'))[2], qr/\Adata: kind=2.*\n\n\z/, 'a stream that the hub ends has what was written before');
($status, $headers) = $gateway->http('HEAD', '/events');
is($status, 200, 'HEAD of a stream ends');
foreach my $case (
	[ 'https://app.example', 200 ], [ 'https://APP.example', 200 ], [ 'https://x.apps.example', 200 ], [ 'https://a.b.apps.example', 200 ],
	[ 'https://apps.example', 403 ], [ 'http://app.example', 403 ], [ 'https://app.example.evil', 403 ], [ 'https://evil.example/.apps.example', 403 ],
	[ 'https://evilapps.example', 403 ], [ 'null', 403 ], [ 'http://x', 200 ])
{
	$socket = stream('/events?channel=end', "Origin: $case->[0]");
	$buffer = '';
	Gateway::read_until($socket, \$buffer, qr/\A(?!)/);
	like($buffer, qr/\AHTTP\/1\.1 $case->[1] /, "a stream for the origin $case->[0]: $case->[1]");
	like($buffer, qr/^Access-Control-Allow-Origin: \Q$case->[0]\E\r$/m, 'which is named') if $case->[1] == 200;
}
($status, $headers) = $gateway->http('OPTIONS', '/events', 'Origin: https://app.example', 'Access-Control-Request-Headers: authorization');
like("$status $headers", qr/\A204 .*^Access-Control-Allow-Headers: Authorization/ms, 'the question before a stream');
is(($gateway->http('OPTIONS', '/events', 'Origin: https://evil.example'))[0], 403, 'and for another origin');

# Figures.
($status, $headers, $body) = $gateway->http('GET', '/metrics');
like($headers, qr/^Content-Type: text\/plain; version=0\.0\.4/m, 'figures are Prometheus text');
my (%family, @faults, $family);
foreach my $line (split /\n/, $body)
{
	if ($line =~ /^# HELP (\S+) \S/) { push @faults, "twice $1" if $family{$1}++; $family = $1 }
	elsif ($line =~ /^# TYPE (\S+) (?:counter|gauge|histogram)$/) { push @faults, "type of $1" if $1 ne $family }
	elsif ($line =~ /^(qms_(?:gateway|websocket)_\w+)(?:\{\w+="[^"]*"(?:,\w+="[^"]*")*\})? -?[\d.e+]+$/) { push @faults, "no family: $1" if index($1, $family) != 0 }
	else { push @faults, $line }
}
is(join("\n", @faults), '', 'every figure has its help and type');
is(($gateway->http('GET', '/metrics', 'X-Forwarded-For: 192.0.2.1'))[0], 403, 'through a proxy that is not trusted there are no figures');
is($gateway->stop, 0, 'it ends without an error');

# Limits of addresses, and proxies.
$gateway = Gateway->start(
	settings => {
		'trusted-proxies' => '127.0.0.1, 10.0.0.0/8',
		'max-connections-per-address' => 4,
		'max-requests-per-second' => 5 });
sub address_of
{
	my ($forwarded) = @_;
	my $ws = $gateway->websocket(headers => { 'X-Forwarded-For' => $forwarded });
	$ws->text('about');
	my $frame = $ws->next_frame;
	return ref $frame && $frame->[1] =~ /address=(\S+)/ ? $1 : $frame;
}
foreach my $case (
	[ '192.0.2.7', '192.0.2.7' ], [ '6.6.6.6, 192.0.2.7', '192.0.2.7' ], [ '192.0.2.7, 10.1.2.3', '192.0.2.7' ], [ '192.0.2.7:5555', '192.0.2.7' ],
	[ '2001:db8::1', '2001:db8::1' ], [ '[2001:db8::2]:443', '2001:db8::2' ], [ 'nonsense', '127.0.0.1' ], [ '6.6.6.6, nonsense', '127.0.0.1' ],
	[ '::ffff:192.0.2.9', '192.0.2.9' ], [ '10.1.1.1', '10.1.1.1' ], [ undef, '127.0.0.1' ])
{
	is(address_of($case->[0]), $case->[1], 'address behind a proxy: ' . ($case->[0] // 'none'));
}
my @held = map { $gateway->websocket(headers => { 'X-Forwarded-For' => '192.0.2.50' }) } 1 .. 5;
is(join(' ', map { $_->{status} } @held), '101 101 101 101 503', 'an address has so many connections and no more');
is($gateway->websocket(headers => { 'X-Forwarded-For' => '192.0.2.51' })->{status}, 101, 'another address has its own');
my @six = map { $gateway->websocket(headers => { 'X-Forwarded-For' => "2001:db8:1:2::$_" }) } 1 .. 5;
is(join(' ', map { $_->{status} } @six), '101 101 101 101 503', 'a /64 of IPv6 counts as one');
@held = ();
ok(Gateway::poll(sub { $gateway->websocket(headers => { 'X-Forwarded-For' => '192.0.2.50' })->{status} == 101 }), 'connections that have gone do not count');
my %seen;
$seen{ ($gateway->http('GET', '/healthz', 'X-Forwarded-For: 192.0.2.60'))[0] }++ foreach 1 .. 20;
ok($seen{200} >= 10 && $seen{429} >= 3, 'a flood of requests is refused') or diag(join ' ', %seen);
is(($gateway->http('GET', '/healthz', 'X-Forwarded-For: 192.0.2.61'))[0], 200, 'another address is not');
ok(Gateway::poll(sub { ($gateway->http('GET', '/healthz', 'X-Forwarded-For: 192.0.2.60'))[0] == 200 }, 10), 'the flood is forgotten');
is($gateway->stop, 0, 'it ends without an error');

$gateway = Gateway->start(settings => { 'max-connections' => 10, 'max-connections-per-address' => 8 });
@held = map { $gateway->websocket } 1 .. 9;
is(join(' ', map { $_->{status} } @held), '101 ' x 8 . '503', 'without a proxy the address of the socket counts');
is($gateway->stop, 0, 'it ends without an error');
$gateway = Gateway->start(settings => { 'max-connections' => 6 });
@held = map { $gateway->websocket } 1 .. 8;
is(join(' ', map { $_->{status} } @held), '101 101 101 101 101 101 503 503', 'all together have so many connections');
@held = ();
ok(Gateway::poll(sub { $gateway->websocket->{status} == 101 }), 'then there is room again');
is($gateway->stop, 0, 'it ends without an error');

done_testing();
