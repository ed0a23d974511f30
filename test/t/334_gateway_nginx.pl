# The configuration of contrib-docs/nginx.md, with nginx in front of the gateway.
use strict;
use warnings;

use lib 'test/lib';
use File::Temp qw(tempdir);
use Gateway;
use IO::Socket::INET;
use Test::More;

my ($nginx) = grep { -x } qw(/usr/sbin/nginx /usr/local/sbin/nginx /usr/bin/nginx);
plan skip_all => 'nginx is not installed' if !$nginx;
plan skip_all => 'openssl is not installed' if system('openssl version >/dev/null 2>&1') != 0;

my $dir = tempdir(CLEANUP => 1);
mkdir "$dir/pages";
open my $page, '>', "$dir/pages/display.html" or die $!;
print $page '<h1>display</h1>';
close $page;
my $gateway = Gateway->start(settings => { pages => "$dir/pages", 'trusted-proxies' => '127.0.0.1' });

# The file as it is written, with our ports and certificate.
open my $doc, '<', 'contrib-docs/nginx.md' or die $!;
my ($conf) = do { local $/; <$doc> } =~ /```nginx\n(.*?)```/s;
my @port = map { IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport } 1 .. 2;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tickets.example.org -keyout $dir/key -out $dir/cert >/dev/null 2>&1") == 0 or die 'openssl';
$conf =~ s/127\.0\.0\.1:8080/127.0.0.1:$gateway->{port}/;
$conf =~ s/^\s*listen \[::\].*\n//mg;
$conf =~ s/listen 443/listen 127.0.0.1:$port[0]/;
$conf =~ s/listen 80\b/listen 127.0.0.1:$port[1]/;
$conf =~ s/(ssl_certificate\s+)\S+;/$1$dir\/cert;/;
$conf =~ s/(ssl_certificate_key\s+)\S+;/$1$dir\/key;/;
open my $f, '>', "$dir/nginx.conf" or die $!;
print $f "daemon off; pid $dir/pid; error_log $dir/error.log; worker_processes 1;\nevents { worker_connections 512; }\nhttp {\naccess_log off;\n",
  (map { "${_}_temp_path $dir/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)), "$conf}\n";
close $f;
my $pid = fork() // die $!;
if (!$pid)
{
	open STDERR, '>', "$dir/stderr";
	exec $nginx, '-p', $dir, '-c', "$dir/nginx.conf", '-e', "$dir/error.log" or POSIX::_exit(127);
}
my $up = Gateway::poll(sub { IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $port[0]) }, 20);
ok($up, 'nginx takes the configuration') or diag(`cat $dir/stderr $dir/error.log`);

# What openssl gets for a request.
sub ask
{
	my ($request, $seconds) = @_;
	open my $f, '>', "$dir/request" or die $!;
	print $f $request;
	close $f;
	return scalar `(cat $dir/request; sleep @{[ $seconds // 1 ]}) | timeout 10 openssl s_client -connect 127.0.0.1:$port[0] -bind 127.0.0.9:0 -servername tickets.example.org -quiet 2>/dev/null`;
}
my $host = "Host: tickets.example.org:$port[0]";
my $answer = ask("GET /display/1 HTTP/1.1\r\n$host\r\nConnection: close\r\n\r\n");
like($answer, qr/\AHTTP\/1\.1 200 .*<h1>display<\/h1>/s, 'a page');
like($answer, qr/^Strict-Transport-Security: max-age/m, 'with strict transport security');
like($answer, qr/^Content-Security-Policy: .*wss:\/\/tickets\.example\.org:$port[0];/m, 'its policy has the name of the site');
like(ask("GET /metrics HTTP/1.1\r\n$host\r\nConnection: close\r\n\r\n"), qr/\AHTTP\/1\.1 403/, 'no figures from outside');
my $other = bless { port => $port[0] }, 'Gateway';
$other->{status} = 0;
$answer = ask(
	$other->handshake(headers => { Host => "tickets.example.org:$port[0]", Origin => "https://tickets.example.org:$port[0]", 'X-Forwarded-For' => '203.0.113.5' })
	  . Gateway::WebSocket::frame(1, 'about'));
like($answer, qr/\AHTTP\/1\.1 101 .*kind=0 host=tickets\.example\.org:$port[0] address=127\.0\.0\.9 /s,
	'a WebSocket; the address is the one that nginx names, not the one that the client claims');
like(ask($other->handshake(headers => { Host => "tickets.example.org:$port[0]", Origin => 'https://evil.example' })), qr/\AHTTP\/1\.1 403/, 'not for another origin');
like(ask("GET /events?channel=x HTTP/1.1\r\n$host\r\n\r\n"), qr/\AHTTP\/1\.1 200 .*data: kind=2 .*channel=x/s, 'an event stream, not kept back');
my $plain = IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $port[1]) or die $!;
syswrite $plain, "GET /display/1 HTTP/1.1\r\n$host\r\nConnection: close\r\n\r\n";
my $buffer = '';
Gateway::read_until($plain, \$buffer, qr/\A(?!)/, 10);
like($buffer, qr/\AHTTP\/1\.1 301 .*^Location: https:\/\/tickets\.example\.org\/display\/1\r$/ms, 'plain HTTP is sent to TLS');

kill 'TERM', $pid;
waitpid $pid, 0;
is($gateway->stop, 0, 'the gateway ends without an error');
done_testing();
