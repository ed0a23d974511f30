# Signing keys from a file: everything goes on, no dump carries a key, and a file that is not as it
# must be is refused, with the reason in the server's log only.
use strict;
use warnings;

use lib 'test/lib';
use IPC::Run;
use JSON::PP;
use MIME::Base64 ();
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

chomp(my $bin = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);
my $json = JSON::PP->new->canonical->pretty;
my $node = Qms::node('keys');
my $folder = PostgreSQL::Test::Utils::tempdir();
my $file = "$folder/keys.json";
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

sub write_file
{
	my ($text, $mode) = @_;
	unlink $file;
	append_to_file($file, $text);
	chmod $mode // 0600, $file;
	return;
}

# A new session has what the postmaster has read.
sub reload
{
	my $before = $ask->('SELECT pg_conf_load_time()');
	$node->reload;
	Qms::poll(sub { $ask->('SELECT pg_conf_load_time()') ne $before }, 30) or die 'no reload';
	return;
}

# ---- from the table to the file, as security.md says
$ask->(q{SELECT FROM qms.create_organization('One'); SELECT FROM qms.create_branch(1, 'Main'); SELECT FROM qms.create_queue('Q', 1);
	SELECT FROM qms.create_staff(1, 'ada'); SELECT qms.set_password(1, 'correct horse battery'); SELECT FROM qms.rotate_signing_key('jwt', 'ES256')});
my $ticket = $ask->('SELECT token FROM qms.join_queue(1)');
my ($access, $refresh) = split /\|/, $ask->(q{SELECT access_token, refresh_token FROM qms.login('ada', 'correct horse battery')});
my ($export) = slurp_file('contrib-docs/security.md') =~ /```sql\n(SELECT jsonb_pretty.*?)\n```/s;
ok($export, 'security.md says how');
write_file($ask->($export) . "\n");
my $keys = $json->decode(slurp_file($file));
is(join(' ', sort map { "$_->{purpose}:$_->{kid}:$_->{algorithm}" } @{ $keys->{keys} }), 'jwt:1:ES256 login:1:HMAC-SHA256 ticket_token:1:HMAC-SHA256', 'the keys are in the file');
$ask->("ALTER SYSTEM SET qms.signing_key_file = '$file'");
reload();
$ask->(q{DELETE FROM qms_internal.signing_key WHERE purpose IN ('jwt', 'ticket_token', 'login')});
is($ask->("SELECT state FROM qms.ticket_status('$ticket')"), 'waiting', 'a ticket token from before');
is($ask->("SELECT why IS NULL, claims->>'sub' FROM qms_internal.jwt_check('jwt', '$access')"), 't|staff:1', 'an access token from before');
is($ask->("SELECT error IS NULL FROM qms.refresh('$refresh')"), 't', 'a refresh token from before');
is($ask->(q{SELECT error IS NULL FROM qms.login('ada', 'correct horse battery')}), 't', 'a login');
is($ask->('SELECT number FROM qms.join_queue(1)'), 'A002', 'another ticket');
is($ask->('SELECT string_agg(purpose || kid || signs || source, \' \') FROM qms.signing_keys()'), 'jwt1truefile login1truefile ticket_token1truefile', 'signing_keys tells the source');
is($ask->(q{SELECT jsonb_array_length(qms.jwks()->'keys')}), '1', 'jwks');
is($ask->(q{SELECT count(*) FROM qms_internal.signing_key WHERE purpose !~ 'seal'}), '0', 'nothing is written into the table');

# No dump carries a key: neither in base64 nor in hex.
command_ok([ "$bin/pg_dump", '-f', "$folder/dump", $node->connstr('postgres') ], 'pg_dump');
my $dump = slurp_file("$folder/dump");
like($dump, qr/correct|COPY qms\.staff /, 'the dump has data');
my @found = grep {
	my $hex = unpack 'H*', MIME::Base64::decode_base64($_->{secret});
	index($dump, $_->{secret}) >= 0 || index($dump, $hex) >= 0
} @{ $keys->{keys} };
is(scalar(@found), 0, 'and none of the keys');

# ---- who may see the setting, and rotate
$ask->('CREATE ROLE plain LOGIN');
Qms::fails_with($node, q{SET ROLE plain; SHOW qms.signing_key_file}, '42501', 'only superusers see where it is');
Qms::fails_with($node, q{SET qms.signing_key_file = ''}, '55P02', 'a session cannot change it');
Qms::fails_with($node, q{SELECT qms.rotate_signing_key('jwt')}, '55000', 'keys are not rotated in the table');

# ---- rotation in the file: edit, reload
push @{ $keys->{keys} }, { purpose => 'jwt', kid => 2, algorithm => 'HS256', secret => MIME::Base64::encode_base64('x' x 32) };
$keys->{keys}[$_]{active_from} = '2020-01-01 00:00:00+00' foreach grep { $keys->{keys}[$_]{purpose} eq 'jwt' } 0 .. 2;
$keys->{keys}[3]{active_from} = '2030-01-01 00:00:00+01';
write_file($json->encode($keys));
reload();
is($ask->(q{SELECT string_agg(kid || ' ' || signs, ', ' ORDER BY kid) FROM qms.signing_keys() WHERE purpose = 'jwt'}), '1 true, 2 false', 'a key that will sign');
is($ask->(q{SET qms.mock_now = '2029-12-31 23:00+00'; SELECT string_agg(kid || ' ' || signs, ', ' ORDER BY kid) FROM qms.signing_keys() WHERE purpose = 'jwt'}), '1 false, 2 true', 'from then on');
my $open = $node->background_psql('postgres');
is($open->query_safe(q{SELECT count(*) FROM qms.signing_keys()}), '4', 'a session that knows the keys');
pop @{ $keys->{keys} };
write_file($json->encode($keys));
reload();
ok(Qms::poll(sub { $open->query_safe(q{SELECT count(*) FROM qms.signing_keys()}) eq '3' }, 30), 'reads them again after a reload');
$open->quit;

# ---- private keys as PEM
my ($made) = '';
IPC::Run::run([ (-x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3'), '-c', <<'PYTHON' ], '<', \undef, '>', \$made) or die 'python3-cryptography is missing';
import json
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
def pem(key, form=s.PrivateFormat.PKCS8, how=s.NoEncryption()):
    return key.private_bytes(s.Encoding.PEM, form, how).decode()
p256, strong = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
print(json.dumps({"es": pem(p256), "es_sec1": pem(p256, s.PrivateFormat.TraditionalOpenSSL), "rs": pem(strong),
    "rs_pkcs1": pem(strong, s.PrivateFormat.TraditionalOpenSSL), "weak": pem(rsa.generate_private_key(65537, 1024)),
    "p384": pem(ec.generate_private_key(ec.SECP384R1())), "k1": pem(ec.generate_private_key(ec.SECP256K1())),
    "ed": pem(ed25519.Ed25519PrivateKey.generate()), "locked": pem(p256, how=s.BestAvailableEncryption(b"x")),
    "public": p256.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo).decode()}))
PYTHON
my $pem = $json->decode($made);
my @rest = grep { $_->{purpose} ne 'jwt' } @{ $keys->{keys} };
foreach my $case ([ES256 => 'es'], [ES256 => 'es_sec1'], [RS256 => 'rs'], [RS256 => 'rs_pkcs1'])
{
	my ($algorithm, $name) = @$case;
	write_file($json->encode({ keys => [ @rest, { purpose => 'jwt', kid => 7, algorithm => $algorithm, private_key => $pem->{$name} } ] }));
	reload();
	is($ask->(q{SELECT why, claims->>'a' FROM qms_internal.jwt_check('jwt', qms_internal.jwt_sign('jwt', '{"exp": 4102444800, "a": 1}'))}), '|1', "a private key for $algorithm ($name)");
}

# ---- files that are not as they must be
my $secret = MIME::Base64::encode_base64('y' x 32, '');
my %good = (purpose => 'jwt', kid => 1, algorithm => 'HS256', secret => $secret);
my @bad = (
	[ 'no such file', undef, qr/No such file/ ],
	[ 'others may read it', $json->encode({ keys => [ \%good ] }), qr/others may read or write it/, 0644 ],
	[ 'a group may read it', $json->encode({ keys => [ \%good ] }), qr/others may read or write it/, 0640 ],
	[ 'empty', '', qr/not readable as JSON/ ],
	[ 'no JSON', 'jwt = secret', qr/not readable as JSON/ ],
	[ 'a name twice', '{"keys": [], "keys": []}', qr/a name is there twice/ ],
	[ 'a list', '[]', qr/not a JSON object/ ],
	[ 'no list', '{"keys": {}}', qr/not an object with a list/ ],
	[ 'not objects', '{"keys": ["jwt"]}', qr/a key is not an object/ ],
	[ 'an unknown member', $json->encode({ keys => [ { %good, expire_at => '2030-01-01' } ] }), qr/unknown member "expire_at"/ ],
	[ 'no purpose', '{"keys": [{"kid": 1, "algorithm": "HS256", "secret": ""}]}', qr/lacks purpose, kid or algorithm/ ],
	[ 'kid as text', $json->encode({ keys => [ { %good, kid => 'one' } ] }), qr/lacks purpose, kid or algorithm/ ],
	[ 'kid too large', $json->encode({ keys => [ { %good, kid => 65536 } ] }), qr/not between 1 and 65535/ ],
	[ 'unknown algorithm', $json->encode({ keys => [ { %good, algorithm => 'none' } ] }), qr/algorithm "none" is not known/ ],
	[ 'wrong algorithm', $json->encode({ keys => [ { %good, algorithm => 'HMAC-SHA256' } ] }), qr/its algorithm is not one for its purpose/ ],
	[ 'no secret', $json->encode({ keys => [ { map { $_ => $good{$_} } qw(purpose kid algorithm) } ] }), qr/either secret or private_key/ ],
	[ 'both', $json->encode({ keys => [ { %good, private_key => 'x' } ] }), qr/either secret or private_key/ ],
	[ 'no base64', $json->encode({ keys => [ { %good, secret => '!!!!' } ] }), qr/key 1 of "jwt" is not readable/ ],
	[ 'too short', $json->encode({ keys => [ { %good, secret => 'c2hvcnQ=' } ] }), qr/secret does not fit/ ],
	[ 'twice', $json->encode({ keys => [ \%good, \%good ] }), qr/key 1 of "jwt" is there twice/ ],
	[ 'no PEM', $json->encode({ keys => [ { %good, algorithm => 'ES256', secret => undef, private_key => 'x' } ] }) =~ s/"secret" : null,//r, qr/is not readable/ ],
	[ 'random bytes for RS256', $json->encode({ keys => [ { %good, algorithm => 'RS256' } ] }), qr/secret does not fit/ ],
	(map { my ($algorithm, $name, $reason) = @$_; [ "$name for $algorithm", $json->encode({ keys => [ { purpose => 'jwt', kid => 1, algorithm => $algorithm, private_key => $pem->{$name} } ] }), $reason ] }
		[ RS256 => 'weak', qr/does not fit/ ], [ RS256 => 'es', qr/does not fit/ ], [ ES256 => 'rs', qr/does not fit/ ], [ ES256 => 'p384', qr/does not fit/ ],
		[ ES256 => 'k1', qr/does not fit/ ], [ ES256 => 'ed', qr/does not fit/ ], [ ES256 => 'locked', qr/is not readable/ ], [ ES256 => 'public', qr/is not readable/ ]),
	[ 'too large', '{"keys": []}' . ' ' x 70000, qr/larger than 64 kB/ ]);
foreach my $case (@bad)
{
	my ($name, $text, $reason, $mode) = @$case;
	my $offset = -s $node->logfile;

	if (defined $text) { write_file($text, $mode) } else { unlink $file }
	reload();
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT qms.jwks()");
	my $log = slurp_file($node->logfile, $offset);
	ok($err =~ /ERROR:  F0000: the signing keys cannot be read/ && $err !~ /\Q$folder\E|\Q$secret\E/ && $log =~ $reason && $log =~ /\Q$file\E/ && $log !~ /\Q$secret\E/, "$name: refused, and why is in the log")
	  or diag("$err\n$log");
}
mkdir "$folder/dir" or die $!;
$ask->("ALTER SYSTEM SET qms.signing_key_file = '$folder/dir'");
reload();
Qms::fails_with($node, 'SELECT qms.jwks()', 'F0000', 'a folder is no file');

# ---- a purpose is missing
$ask->("ALTER SYSTEM SET qms.signing_key_file = '$file'");
write_file($json->encode({ keys => [ grep { $_->{purpose} eq 'ticket_token' } @rest ] }));
reload();
Qms::fails_with($node, q{SELECT * FROM qms.login('ada', 'correct horse battery')}, 'F0000', 'no key for logins in the file');
is($ask->("SELECT state FROM qms.ticket_status('$ticket')"), 'waiting', 'tickets go on');

# ---- back to the table, which makes new ones
$ask->('ALTER SYSTEM RESET qms.signing_key_file');
reload();
ok(Qms::poll(sub { $ask->(q{SELECT coalesce((SELECT error FROM qms.login('ada', 'correct horse battery')), 'in')}) eq 'in' }, 30), 'without the file keys are made in the table');
is($ask->(q{SELECT string_agg(purpose || kid || source, ' ') FROM qms.signing_keys()}), 'jwt1table login1table', 'those that were needed');
Qms::fails_with($node, "SELECT state FROM qms.ticket_status('$ticket')", 'QM501', 'a token of a key that is not there any more');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'no crash');
$node->stop;
done_testing();
