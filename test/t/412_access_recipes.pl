# The recipes of waiting-rooms.md, "Letting people in", as they are written: verifying with PyJWT and with
# Node, nginx and access_verifier.py in front of a site, and a change of keys that nobody notices.
use strict;
use warnings;

use lib 'test/lib';
use File::Temp qw(tempdir);
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $json = JSON::PP->new->canonical->ascii;
my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
my $doc = slurp_file('contrib-docs/waiting-rooms.md');
my $dir = tempdir(CLEANUP => 1);
my $node = Qms::node('recipes', 'qms.workers = off');

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# The code blocks of a language, in the order of the document.
sub blocks
{
	return $doc =~ /^```$_[0]\n(.*?)^```$/msg;
}

sub write_file
{
	my ($name, $text) = @_;
	open my $f, '>', "$dir/$name.new" or die $!;
	print $f $text;
	close $f;
	rename "$dir/$name.new", "$dir/$name" or die $!;
	return "$dir/$name";
}

sub run
{
	my ($in, @command) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(\@command, '<', \$in, '>', \$out, '2>', \$err);
	return $out . $err;
}

ask(q{SELECT FROM qms.create_organization('City'); SELECT FROM qms.create_application(1, 'Shop'); SELECT setval('qms.queue_queue_id_seq', 8);
	SELECT FROM qms.create_queue('Room', application_id => 1, kind => 'release')});
my $people = 0;

sub admit
{
	my $subject = 'person ' . ++$people;
	my $token = ask("SELECT token FROM qms.join_queue(9, subject => '$subject')");
	ask('SELECT FROM qms.release_next(9)');
	return ask("SELECT access_token FROM qms.claim_access('$token')");
}

# One token of each algorithm, and the keys as each of the programs wants them.
my (%token, %secret, @jwks);
foreach my $alg (qw(HS256 ES256 RS256))
{
	my ($kid, $secret) = split /\|/, ask("SELECT kid, secret FROM qms.rotate_access_key(1, '$alg')");
	push @jwks, { kty => 'oct', alg => 'HS256', kid => $kid, k => $secret } if $secret;
	%secret = (kid => $kid, secret => $secret) if $secret;
	$token{$alg} = admit();
}
my $public = $json->decode(ask(q{SELECT qms.access_jwks('city')}))->{keys};
push @jwks, @$public;
my $keys = write_file('keys.json', $json->encode({ keys => \@jwks }));
# A signature that is another one in the first character; a token of an organization of the same name elsewhere.
my %bad = (
	'a changed signature' => $token{HS256} =~ s/\.([^.])([^.]*)$/'.' . ($1 eq 'A' ? 'B' : 'A') . $2/er,
	'no signature' => $token{HS256} =~ s/[^.]*$//r,
	'alg none' => 'eyJhbGciOiJub25lIiwidHlwIjoiSldUIiwia2lkIjoiMS4xIn0' . $token{HS256} =~ s/^[^.]*//r =~ s/[^.]*$//r,
	'nothing' => '');

# ---- Python

my @python = blocks('python');
is(scalar(@python), 2, 'two programs in Python');
my $first = $python[0] =~ s/"1\.2"/"$secret{kid}"/r =~ s/SECRET/$secret{secret}/r;
write_file('first.py', $first . "import sys\nfor line in sys.stdin:\n    token, subject = line.rstrip('\\n').split('|')\n    try:\n        print(enter(token, subject)['queue'])\n    except Exception as error:\n        print('refused')\n");
is(run("$token{HS256}|person 1\n$token{HS256}|person 2\n$token{ES256}|person 2\n" . join('', map { "$bad{$_}|person 1\n" } sort keys %bad), $python, "$dir/first.py"),
	"9\n" . "refused\n" x (2 + keys %bad), 'Python: HS256 is accepted, of the right person; nothing else is');
is( run('', $python, '-c', "import sys\n" . ($python[1]) . "keys = load(sys.argv[1])\nfor token in sys.argv[2:]:\n    alg, key = keys[jwt.get_unverified_header(token)['kid']]\n    print(jwt.decode(token, key, algorithms=[alg], audience='queue:9', issuer='city')['sub'])\n",
		$json->encode({ keys => $public }), @token{qw(ES256 RS256)}),
	"person 2\nperson 3\n", 'Python: ES256 and RS256, with the public keys');

# ---- Node

SKIP:
{
	skip 'node is not installed', 1 if system('node --version >/dev/null 2>&1') != 0;
	my ($js) = grep { /function enter\b|enter = / } blocks('js');
	write_file('enter.mjs', $js . q{
import { readFileSync } from 'node:fs';
const { keys } = JSON.parse(readFileSync(process.argv[2]));
for (const line of readFileSync(0, 'utf8').trimEnd().split('\n')) {
  const [token, subject, audience, now] = line.split('|');
  try { console.log(enter(token, keys, { issuer: 'city', audience, subject, now: now ? Number(now) : undefined }).sub); } catch (error) { console.log('refused'); }
}
});
	is( run(join('', map { "$_\n" } "$token{HS256}|person 1|queue:9", "$token{ES256}|person 2|queue:9", "$token{RS256}|person 3|queue:9", "$token{RS256}|person 1|queue:9", "$token{RS256}|person 3|queue:1",
				"$token{RS256}|person 3|queue:9|4000000000", "$token{RS256}|person 3|queue:9|1000000000", map { "$bad{$_}|person 1|queue:9" } sort keys %bad), 'node', "$dir/enter.mjs", $keys),
		"person 1\nperson 2\nperson 3\n" . "refused\n" x (4 + keys %bad), 'Node: the three algorithms are accepted; another person, queue or time, and what is forged, are not');
}

# ---- access_verifier.py

my @port = map { IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport } 1 .. 3;
my @children;

sub start
{
	my ($log, @command) = @_;
	my $pid = fork() // die $!;
	if (!$pid)
	{
		open STDOUT, '>', "$dir/$log";
		open STDERR, '>&', \*STDOUT;
		exec @command or POSIX::_exit(127);
	}
	push @children, $pid;
	return $pid;
}

END { local $?; kill 'TERM', @children if @children; }

sub up
{
	my ($port) = @_;
	return Qms::poll(sub { IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $port) }, 30);
}

# get(PORT, PATH, HEADER...): the answer
sub get
{
	my ($port, $path, @headers) = @_;
	my $socket = IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $port, Timeout => 20) or return 'no connection';
	print $socket join("\r\n", "GET $path HTTP/1.1", 'Host: shop.example.org', 'Connection: close', @headers, '', '');
	local $/;
	return scalar <$socket> // '';
}

my $verifier = start('verifier.log', $python, 'contrib-docs/access_verifier.py', $keys, 'city', 'queue:9', $port[0]);
ok(up($port[0]), 'access_verifier.py listens') or diag(slurp_file("$dir/verifier.log"));
foreach my $alg (sort keys %token)
{
	like(get($port[0], '/check', "Cookie: a=b; access=$token{$alg}"), qr/\AHTTP\/1\.1 204 .*^X-Access-Subject: person \d\r\n.*^X-Access-Ticket: \d\r\n/ms, "it accepts $alg in the cookie");
}
like(get($port[0], '/check', "Authorization: Bearer $token{ES256}"), qr/\AHTTP\/1\.1 204 /, 'in a header too');
like(get($port[0], '/check', "Cookie: access=$bad{$_}"), qr/\AHTTP\/1\.1 401 /, "it refuses $_") foreach sort keys %bad;
like(get($port[0], '/check'), qr/\AHTTP\/1\.1 401 /, '... nobody');
like(get($port[0], '/other', "Cookie: access=$token{ES256}"), qr/\AHTTP\/1\.1 401 /, '... another path');

# A change of keys: announced, given to the verifier, signing, and the old one taken away.
my $before = admit();
my ($new) = ask(q{SELECT kid FROM qms.rotate_access_key(1, 'ES256', overlap => '1 day', active_from => now() + interval '1 hour')});
my @all = (@jwks, grep { $_->{kid} eq $new } @{ $json->decode(ask(q{SELECT qms.access_jwks('city')}))->{keys} });
is(scalar(@all), 4, 'the next key is public before it signs');
write_file('keys.json', $json->encode({ keys => \@all }));
like(get($port[0], '/check', "Cookie: access=$before"), qr/\AHTTP\/1\.1 204 /, 'the verifier has the new one, and accepts what the old one signed');
ask(q{UPDATE qms_internal.access_key SET active_from = now() WHERE kid = 4});
my $after = admit();
like(get($port[0], '/check', "Cookie: access=$_"), qr/\AHTTP\/1\.1 204 /, 'the new one signs, and both are accepted') foreach $before, $after;
write_file('keys.json', $json->encode({ keys => [ $all[-1] ] }));
like(get($port[0], '/check', "Cookie: access=$after"), qr/\AHTTP\/1\.1 204 /, 'the old ones are taken away');
like(get($port[0], '/check', "Cookie: access=$before"), qr/\AHTTP\/1\.1 401 /, '... and what they signed is refused');
write_file('keys.json', '{');
like(get($port[0], '/check', "Cookie: access=$after"), qr/\AHTTP\/1\.1 401 /, 'keys that cannot be read: nobody gets in');
write_file('keys.json', $json->encode({ keys => \@all }));
like(get($port[0], '/check', "Cookie: access=$after"), qr/\AHTTP\/1\.1 204 /, '... until they can');

# ---- nginx

SKIP:
{
	my ($nginx) = grep { -x } qw(/usr/sbin/nginx /usr/local/sbin/nginx /usr/bin/nginx);
	skip 'nginx is not installed', 1 if !$nginx;
	my ($conf) = blocks('nginx');
	# Our ports, and no certificate.
	$conf =~ s/127\.0\.0\.1:8099/127.0.0.1:$port[0]/;
	$conf =~ s/127\.0\.0\.1:8000/127.0.0.1:$port[1]/;
	$conf =~ s/listen 443 ssl http2/listen 127.0.0.1:$port[2]/;
	$conf =~ s/^\s*ssl_certificate.*\n//mg;
	write_file('nginx.conf', "daemon off; pid $dir/pid; error_log $dir/error.log; worker_processes 1;\nevents { worker_connections 64; }\nhttp {\naccess_log off;\n"
		  . join('', map { "${_}_temp_path $dir/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)) . "$conf}\n");
	write_file('site.py', "import sys\nfrom http.server import *\nclass H(BaseHTTPRequestHandler):\n    def do_GET(self):\n        self.send_response(200)\n        self.end_headers()\n"
		  . "        self.wfile.write(('the shop, for ' + str(self.headers['X-Access-Subject'])).encode())\nHTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n");
	start('site.log', $python, "$dir/site.py", $port[1]);
	start('nginx.log', $nginx, '-p', $dir, '-c', "$dir/nginx.conf", '-e', "$dir/error.log");
	ok(up($port[1]) && up($port[2]), 'nginx takes the configuration') or diag(join '', map { -e "$dir/$_" ? slurp_file("$dir/$_") : '' } qw(nginx.log error.log));
	like(get($port[2], '/', "Cookie: access=$after"), qr/\AHTTP\/1\.1 200 .*the shop, for person \d/s, 'nginx: whoever has been let in gets to the site');
	like(get($port[2], '/', "Cookie: access=$after", 'X-Access-Subject: somebody else'), qr/the shop, for person \d/, '... as himself');
	my @answers = map { get($port[2], '/', $_) } 'X-Access-Subject: somebody', "Cookie: access=$bad{'alg none'}", "Cookie: access=$bad{'a changed signature'}";
	is(scalar(grep { /\AHTTP\/1\.1 302 .*^Location: https:\/\/tickets\.example\.org\/room\r$/ms && !/the shop/ } @answers), 3, '... everybody else to the waiting room') or diag(@answers);
	like(get($port[2], '/access-check', "Cookie: access=$after"), qr/\AHTTP\/1\.1 404 /, '... and nobody to the check itself');
	kill 'STOP', $verifier;
	like(get($port[2], '/', "Cookie: access=$after"), qr/\AHTTP\/1\.1 500 /, 'a verifier that does not answer: nobody gets in');
	kill 'CONT', $verifier;
	kill 'KILL', $verifier;
	waitpid $verifier, 0;
	@children = grep { $_ != $verifier } @children;
	like(get($port[2], '/', "Cookie: access=$after"), qr/\AHTTP\/1\.1 500 /, 'a verifier that is not there: nobody gets in');
}

kill 'TERM', @children;
waitpid $_, 0 foreach @children;
@children = ();
$node->stop;
done_testing();
