# JSON Web Tokens against two other libraries, PyJWT and jwcrypto: each side accepts what the other
# signs, in all three algorithms, and we refuse what forgers make.
use strict;
use warnings;

use lib 'test/lib';
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $json = JSON::PP->new->canonical->ascii;
my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
my $node = Qms::node('jwt', 'log_statement = none');

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# What the other libraries say.
sub others
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ $python, 'test/lib/jwt_check.py' ], '<', \$json->encode($_[0]), '>', \$out, '2>', \$err) or die "jwt_check.py: $err";
	return $json->decode($out);
}

# Text as an SQL literal.
sub quoted
{
	return "'" . $_[0] =~ s/'/''/gr . "'";
}

my (%key, %kid);
foreach my $alg (qw(HS256 RS256 ES256))
{
	($kid{$alg}, $key{$alg}) = split /\|/, ask(qq{WITH made AS (SELECT kid FROM qms.rotate_signing_key('jwt', '$alg')) SELECT kid FROM made;
		SELECT kid, translate(encode(secret, 'base64'), E'\\n', '') FROM qms_internal.signing_key WHERE purpose = 'jwt' ORDER BY kid DESC LIMIT 1}) =~ s/^\d+\n//r;
	ok($key{$alg}, "$alg: there is a key");
}
is(ask(q{SELECT string_agg(k->>'alg', ' ' ORDER BY k->>'kid') FROM jsonb_array_elements(qms.jwks()->'keys') k}), 'RS256 ES256', 'the public keys are those of RS256 and ES256');
my $jwks = $json->decode(ask('SELECT qms.jwks()'));
ok(!grep({ grep { /^(?:d|p|q|dp|dq|qi|k)$/ } keys %$_ } @{ $jwks->{keys} }), 'and nothing of the private ones');

my @claims = (
	{ exp => 4102444800 },
	{ iss => 'qms', sub => 'staff:12', role => 'qms_servicer', organization_id => 3, session_id => 9007199254740991, iat => 1700000000, exp => 4102444800, jti => 'x' },
	{ exp => 4102444800, name => "Zo\x{eb} \x{1f600} \"\\/\b\f\n\r\t\x{7f}\x{2028}", list => [ 1, -2, 1.5, JSON::PP::true, JSON::PP::null, { a => [] } ], empty => {} });

# ---- ours, checked by them
my $sign = sub {
	my ($alg, @list) = @_;
	# The newest that is active signs.
	ask("UPDATE qms_internal.signing_key SET active_from = now() - CASE kid WHEN $kid{$alg} THEN interval '1 min' ELSE interval '1 h' END WHERE purpose = 'jwt'");
	return split /\n/, ask('SELECT qms_internal.jwt_sign(\'jwt\', c::jsonb) FROM (VALUES '
		. join(', ', map { "($_, " . quoted($json->encode($list[$_])) . ')' } 0 .. $#list) . ') v(n, c) ORDER BY n');
};
foreach my $alg (qw(HS256 RS256 ES256))
{
	my @tokens = $sign->($alg, @claims);
	my $answer = others({ jwks => $jwks, verify => [ map { { alg => $alg, key => $key{$alg}, token => $_ } } @tokens ] });
	my $ways = $alg eq 'HS256' ? 2 : 4;
	my @wrong = grep { $json->encode($answer->{verified}[$_]{claims}) ne $json->encode($claims[ $_ / $ways ]) } 0 .. $#{ $answer->{verified} };
	is(scalar(@{ $answer->{verified} }), $ways * @claims, "$alg: ours are accepted by PyJWT and jwcrypto" . ($ways == 4 ? ', with the key and with the key set' : ''));
	is_deeply(\@wrong, [], "$alg: with the claims that we signed");
}

# ---- theirs, checked by us
my $check = sub {
	# psql answers UTF-8.
	return map { JSON::PP->new->utf8->decode($_) } split /\n/, ask('SELECT to_json(r) FROM (SELECT n, claims, why FROM (VALUES '
		. join(', ', map { "($_, " . quoted($_[$_]) . ')' } 0 .. $#_) . ") v(n, t), qms_internal.jwt_check('jwt', t)) r ORDER BY n");
};
my $theirs = others({ sign => [ map { my $alg = $_; map { { alg => $alg, kid => $kid{$alg}, key => $key{$alg}, claims => $_ } } @claims } qw(HS256 RS256 ES256) ] })->{tokens};
my @checked = $check->(map { $_->{token} } @$theirs);
is(scalar(@checked), 18, 'theirs: two libraries, three algorithms');
is_deeply([ map { $_->{why} // () } @checked ], [], 'are accepted by us');
is_deeply([ grep { $json->encode($checked[$_]{claims}) ne $json->encode($theirs->[$_]{claims}) } 0 .. $#checked ], [], 'with the claims that they signed');

# ---- ES256 many times: r and s begin with zero bytes now and then
my @many = $sign->('ES256', map { { exp => 4102444800, n => $_ } } 1 .. 300);
my $answer = others({ jwks => $jwks, verify => [ map { { alg => 'ES256', key => $key{ES256}, token => $_ } } @many ] });
is(scalar(@{ $answer->{verified} }), 1200, 'ES256, ours: 300 signatures are accepted by them');
my $short = grep { length($_) != 86 } map { /([^.]+)$/ } @many;
is($short, 0, 'each is 64 bytes');
my $signed = others({ sign => [ map { { alg => 'ES256', kid => $kid{ES256}, key => $key{ES256}, claims => { exp => 4102444800, n => $_ } } } 1 .. 150 ] })->{tokens};
is_deeply([ map { $_->{why} // () } $check->(map { $_->{token} } @$signed) ], [], 'ES256, theirs: 300 signatures are accepted by us');

# ---- forged
my $forged = others({ forge => { claims => { sub => 'staff:1', role => 'qms_admin', organization_id => 1, iat => 1700000000, exp => 4102444800 },
		map { lc(substr($_, 0, 2)) => { kid => $kid{$_}, key => $key{$_} } } qw(HS256 RS256 ES256) } })->{forged};
cmp_ok(scalar(@$forged), '>', 80, 'there are ' . @$forged . ' forged tokens');
my @refused = $check->(map { $_->{token} } @$forged);
is(join("\n", map { $forged->[ $_->{n} ]{name} } grep { !defined $_->{why} } @refused), '', 'none of them is accepted');
is(join("\n", map { "$forged->[$_->{n}]{name}: $_->{why}" } grep { defined $_->{why} && $_->{why} !~ /^it(?:s)? / } @refused), '', 'each has a reason');

# The same forger with what is right is accepted, so the list above fails for the reasons it names.
my $right = others({ sign => [ { alg => 'HS256', kid => $kid{HS256}, key => $key{HS256}, claims => { exp => 4102444800 } } ] })->{tokens}[0]{token};
is(($check->($right))[0]{why}, undef, 'a good one is accepted');

# ---- any bytes at all: an answer, and the server lives on
srand(4711);
my @noise = map { join('.', map { join('', map { ('A' .. 'Z', 'a' .. 'z', '0' .. '9', '-', '_', '=', '+', '/', '.', ' ')[ rand 69 ] } 1 .. rand 60) } 1 .. 1 + rand 4) } 1 .. 2000;
my @mutated = map {
	my $token = $right;
	substr($token, rand length $token, 1) = ('A' .. 'Z', 'a' .. 'z', '0' .. '9', '-', '_')[ rand 64 ] for 1 .. 1 + rand 3;
	$token;
} 1 .. 2000;
my @answers = $check->(@noise, grep { $_ ne $right } @mutated);
is(scalar(grep { !defined $_->{why} } @answers), 0, scalar(@answers) . ' random and changed tokens: none is accepted');

# ---- a database in another encoding
ask(q{CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
$node->safe_psql('latin', 'CREATE EXTENSION qms');
is($node->safe_psql('latin', q{SELECT claims, why FROM qms_internal.jwt_check('jwt', qms_internal.jwt_sign('jwt', '{"exp": 4102444800, "n": "Ada"}'))}), '{"n": "Ada", "exp": 4102444800}|', 'LATIN1: plain claims');
is($node->safe_psql('latin', q{SELECT claims, why FROM qms_internal.jwt_check('jwt', qms_internal.jwt_sign('jwt', ('{"exp": 4102444800, "n": "' || chr(235) || '"}')::jsonb))}),
	'|it is not readable as JSON', 'LATIN1: others are refused, without an error');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'no crash');
$node->stop;
done_testing();
