# Access tokens: two other libraries accept what we sign, with the keys that we give out; and whatever
# forgers make, or somebody who has one shows again, elsewhere or too late, is refused with a reason.
use strict;
use warnings;

use lib 'test/lib';
use Digest::SHA qw(hmac_sha256);
use IPC::Run;
use JSON::PP;
use MIME::Base64 qw(encode_base64url decode_base64url);
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $json = JSON::PP->new->canonical->ascii;
my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';
my $node = Qms::node('access', 'qms.workers = off', 'log_statement = all');

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

sub quoted
{
	return defined $_[0] ? "'" . $_[0] =~ s/'/''/gr . "'" : 'NULL';
}

sub others
{
	my ($out, $err) = ('', '');
	IPC::Run::run([ $python, 'test/lib/jwt_check.py' ], '<', \$json->encode($_[0]), '>', \$out, '2>', \$err) or die "jwt_check.py: $err";
	return $json->decode($out);
}

ask(q{SELECT FROM qms.create_organization('One'); SELECT FROM qms.create_organization('Two');
	SELECT FROM qms.create_application(1, 'Shop'); SELECT FROM qms.create_application(1, 'Fair'); SELECT FROM qms.create_application(2, 'Mall');
	SELECT FROM qms.create_queue('Room', application_id => 1, kind => 'release', settings => '{"token_life": "1 h"}');
	SELECT FROM qms.create_queue('Hall', application_id => 1, kind => 'release', settings => '{"single_use": false}');
	SELECT FROM qms.create_queue('Far', application_id => 3, kind => 'release');
	CREATE ROLE shop LOGIN IN ROLE qms_app; SELECT FROM qms.bind_role('shop', 1, application_id => 1);
	CREATE ROLE fair LOGIN IN ROLE qms_app; SELECT FROM qms.bind_role('fair', 1, application_id => 2);
	CREATE ROLE mall LOGIN IN ROLE qms_app; SELECT FROM qms.bind_role('mall', 2, application_id => 3);
	CREATE ROLE web LOGIN IN ROLE qms_customer; SELECT FROM qms.bind_role('web', 1, kind => 'customer');
	CREATE ROLE boss LOGIN IN ROLE qms_admin; SELECT FROM qms.bind_role('boss', 1, kind => 'admin')});

my $people = 0;

# Somebody who has claimed: {ticket, token, access, subject, claims}.
sub admit
{
	my ($queue) = @_;
	my %who = (subject => 'person ' . ++$people, queue => $queue // 1);
	@who{qw(ticket token)} = split /\|/, ask("SELECT ticket_id, token FROM qms.join_queue($who{queue}, subject => '$who{subject}')");
	ask("SELECT FROM qms.release_next($who{queue}, 1)");
	$who{access} = ask("SELECT access_token FROM qms.claim_access('$who{token}')");
	@who{qw(header claims)} = map { $json->decode(decode_base64url($_)) } (split /\./, $who{access})[ 0, 1 ];
	return \%who;
}

# verify(TOKEN, OPTION...): "t" or the reason.  Options: subject, queue, role, now.
sub verify
{
	my ($token, %option) = @_;
	my $as = $option{role} ? "SET SESSION AUTHORIZATION $option{role};" : '';
	my $now = $option{now} ? "SET qms.mock_now = '$option{now}';" : '';
	my $answer = ask("$now $as SELECT CASE WHEN valid THEN 't' ELSE reason END FROM qms.verify_access("
		. quoted($token) . ', ' . quoted($option{subject}) . ', ' . ($option{queue} // 'NULL') . ')');
	return $answer;
}

# Those of many tokens that are not refused; and how often each reason was given.
sub not_refused
{
	my (@tokens) = @_;
	my %reason;
	my @good;
	my @rows = split /\n/, ask('SELECT n, CASE WHEN valid THEN \'t\' ELSE reason END FROM (VALUES '
		. join(', ', map { "($_, " . quoted($tokens[$_]) . ')' } 0 .. $#tokens) . ') v(n, t), LATERAL qms.verify_access(t)');
	foreach (@rows)
	{
		my ($n, $reason) = split /\|/;
		$reason{$reason}++;
		push @good, $n if $reason eq 't';
	}
	die 'some were not answered' if @rows != @tokens;
	return (\@good, \%reason);
}

# Signed with an HS256 key that the test knows.
sub sign_hs
{
	my ($key, $header, $claims) = @_;
	my $text = encode_base64url($json->encode($header)) . '.' . encode_base64url($json->encode($claims));
	return "$text." . encode_base64url(hmac_sha256($text, $key));
}

# ---- what others say of ours

my (%key, %kid, %someone);
foreach my $alg (qw(RS256 ES256 HS256))
{
	my ($kid, $secret, $pem) = split /\|/, ask("SELECT kid, secret, replace(public_key, E'\\n', '~') FROM qms.rotate_access_key(1, '$alg')");
	$kid{$alg} = $kid;
	$key{$alg} = ask("SELECT translate(encode(secret, 'base64'), E'\\n', '') FROM qms_internal.access_key WHERE organization_id = 1 ORDER BY kid DESC LIMIT 1");
	is($secret, $alg eq 'HS256' ? encode_base64url(MIME::Base64::decode_base64($key{$alg})) : '', "$alg: " . ($secret ? 'the key is shown, in base64url' : 'the private key is not shown'));
	is(($pem =~ /\A-----BEGIN PUBLIC KEY-----~/ ? 1 : 0), ($alg eq 'HS256' ? 0 : 1), "$alg: " . ($secret ? 'there is no public key' : 'the public key is'));
	$someone{$alg} = admit();
	is("$someone{$alg}{header}{alg} $someone{$alg}{header}{kid} $someone{$alg}{header}{typ}", "$alg $kid JWT", "$alg: signs what is claimed now");
}
my $jwks = $json->decode(ask(q{SELECT qms.access_jwks('one')}));
is(join(' ', sort map { $_->{kid} } @{ $jwks->{keys} }), "$kid{RS256} $kid{ES256}", 'the public keys of the organization');
ok(!grep({ grep { /^(?:d|p|q|dp|dq|qi|k)$/ } keys %$_ } @{ $jwks->{keys} }), 'and nothing of the private ones');
foreach my $alg (qw(HS256 RS256 ES256))
{
	my $answer = others({ jwks => $jwks, verify => [ { alg => $alg, key => $key{$alg}, token => $someone{$alg}{access}, aud => 'queue:1' } ] });
	is(scalar(@{ $answer->{verified} }), $alg eq 'HS256' ? 2 : 4, "$alg: ours are accepted by PyJWT and jwcrypto");
	is_deeply([ grep { $json->encode($_->{claims}) ne $json->encode($someone{$alg}{claims}) } @{ $answer->{verified} } ], [], "$alg: with the claims that they have");
}
my %claims = %{ $someone{HS256}{claims} };
is(join(' ', sort keys %claims), 'aud exp iat iss jti nbf org queue sub', 'the claims');
is("$claims{iss} $claims{aud} $claims{org} $claims{queue} $claims{sub}", "one queue:1 1 1 $someone{HS256}{subject}", 'what they say');
is($claims{exp} - $claims{iat}, 3600 + ($claims{exp} - $claims{iat} > 3600), 'it lives for token_life, or less than a second longer');
ok(verify($someone{$_}{access}, role => 'shop', subject => $someone{$_}{subject}) eq 't', "$_: qms accepts it too") foreach sort keys %someone;

# ---- shown again, by others, elsewhere, at other times

my $hs = MIME::Base64::decode_base64($key{HS256});
my $one = admit();
is(verify($one->{access}, subject => 'person 0'), 'other_subject', 'another subject');
is(verify($one->{access}, subject => ''), 'other_subject', 'nobody as the subject');
is(verify($one->{access}, subject => "$one->{subject} "), 'other_subject', 'a space more');
is(verify($one->{access}, queue => 2), 'other_queue', 'for another queue');
is(verify($one->{access}, role => 'fair'), 'denied', 'another application of the organization');
is(verify($one->{access}, role => 'mall'), 'unknown_key', 'an application of another organization');
is($node->psql('postgres', "SET SESSION AUTHORIZATION web; SELECT * FROM qms.verify_access('$one->{access}')"), 3, 'customers may not ask');
is(verify($one->{access}, now => '2000-01-01 00:00+00'), 'unknown_key', 'before its key was there');
like(verify($one->{access}, now => ask("SELECT to_timestamp($one->{claims}{iat}) - interval '31 s'")), qr/^(?:not_yet_valid|unknown_key)$/, 'more than half a minute before it was made');
is(verify($one->{access}, now => ask("SELECT to_timestamp($one->{claims}{exp})")), 'expired', 'when it expires');
is(verify($one->{access}, now => ask("SELECT to_timestamp($one->{claims}{exp}) - interval '1 us'"), role => 'shop', subject => $one->{subject}, queue => 1), 't', 'until then it lets in');
is(verify($one->{access}, role => 'shop', subject => $one->{subject}), 'used', 'once');
is(verify($one->{access}), 'used', 'whoever asks');
is(ask("SELECT used_at IS NOT NULL FROM qms_internal.access_token WHERE ticket_id = $one->{ticket}"), 't', 'it is known when');

my $many = admit(2);
is(join(' ', map { verify($many->{access}, role => 'shop') } 1 .. 3), 't t t', 'without single_use: as often as it is shown');
ask("SELECT qms.revoke_access($many->{ticket}, 'a robot')");
is(verify($many->{access}), 'revoked', '... until it is revoked');
my $gone = admit();
ask("SELECT FROM qms.leave_queue('$gone->{token}')");
is(verify($gone->{access}), 'ended', 'the visitor has left');
$gone = admit();
ask("SELECT FROM qms.finish_visit('$gone->{access}')");
is(verify($gone->{access}), 'ended', 'the visit is finished');
$gone = admit();
ask("SELECT FROM qms.cancel_ticket($gone->{ticket})");
is(verify($gone->{access}), 'ended', 'the ticket is cancelled');
is($node->psql('postgres', "SELECT FROM qms.finish_visit('$gone->{access}')"), 3, '... and cannot be finished any more');

# ---- what somebody signs who has the key, as those who verify HS256 themselves do

my $two = admit();
my $header = $two->{header};
my %good = %{ $two->{claims} };
my $hour = ask('SELECT extract(epoch FROM now())::bigint + 3600');
my @signed = (
	[ 'unknown', 'a nonce of his own', { %good, jti => $two->{ticket} . '.' . '0' x 32 } ],
	[ 'unknown', 'that of another ticket', { %good, jti => $good{jti} =~ s/^\d+/$one->{ticket}/r } ],
	[ 'unknown', 'a ticket that never was', { %good, jti => $good{jti} =~ s/^\d+/4711000/r } ],
	[ 'unknown', 'the ticket, for another queue', { %good, queue => 2, aud => 'queue:2' } ],
	[ 'queue_deleted', 'for a queue of another organization', { %good, queue => 3, aud => 'queue:3' } ],
	[ 'queue_deleted', 'for a queue that never was', { %good, queue => 99, aud => 'queue:99' } ],
	[ 'malformed', 'for two queues at once', { %good, queue => 2 } ],
	[ 'malformed', 'of another organization', { %good, org => 2 } ],
	[ 'malformed', 'org as a text', { %good, org => '1' } ],
	[ 'not_yet_valid', 'from the future', { %good, iat => $hour, exp => $hour + 600 } ],
	[ 'not_yet_valid', 'not before', { %good, nbf => $hour } ],
	[ 'expired', 'expired', { %good, exp => $good{iat} } ],
	[ 'malformed', 'for ever', { map { $_ => $good{$_} } grep { $_ ne 'exp' } keys %good } ],
	[ 'malformed', 'exp below zero', { %good, exp => -1 } ],
	[ 'malformed', 'exp as a text', { %good, exp => "$good{exp}" } ],
	[ 'malformed', 'audiences in a list', { %good, aud => ['queue:1'] } ],
	[ 'malformed', 'a jti of another form', { %good, jti => "0$good{jti}" } ],
	[ 'malformed', 'a jti in capitals', { %good, jti => uc $good{jti} } ],
	[ 'malformed', 'a jti of a thousand digits', { %good, jti => '1' x 1000 . '.' . '0' x 32 } ],
	[ 'malformed', 'nobody', { map { $_ => $good{$_} } grep { $_ ne 'sub' } keys %good } ]);
is(verify(sign_hs($hs, $header, $_->[2])), $_->[0], "signed with the right key: $_->[1]") foreach @signed;
is(verify(sign_hs($hs, { %$header, kid => $_->[1] }, \%good)), $_->[0], "kid $_->[1]")
  foreach [ 'unknown_key', '1.9' ], [ 'unknown_key', '2.1' ], [ 'unknown_key', '1' ], [ 'unknown_key', '3' ], [ 'unknown_key', '01.3' ], [ 'unknown_key', '1.03' ], [ 'unknown_key', '1.3 ' ],
  [ 'unknown_key', '1.-3' ], [ 'unknown_key', '99999999999999999999.3' ], [ 'unknown_key', '1.3.3' ], [ 'unknown_key', '' ], [ 'bad_signature', $kid{RS256} ], [ 'bad_signature', $kid{ES256} ];
is(verify(sign_hs($hs, { %$header, kid => 3 }, \%good)), 'unknown_key', 'kid that is a number');
ask(q{SELECT FROM qms.rotate_access_key(2)});
my $foreign = MIME::Base64::decode_base64(ask(q{SELECT translate(encode(secret, 'base64'), E'\n', '') FROM qms_internal.access_key WHERE organization_id = 2}));
is(verify(sign_hs($foreign, { %$header, kid => '2.1' }, \%good)), 'malformed', 'a key of another organization, which signs for this one');
is(verify(sign_hs($foreign, { %$header, kid => '2.1' }, { %good, org => 2 })), 'queue_deleted', '... and for itself, with a queue of this one');
is(verify(sign_hs($foreign, $header, \%good)), 'bad_signature', '... under a name of this one');
is(verify($_->[0]), 'malformed', $_->[1])
  foreach [ undef, 'no token' ], [ '', 'an empty one' ], [ 'x', 'no token at all' ], [ 'a' x 100000, 'a long text' ], [ " $two->{access}", 'before it' ],
  [ "$two->{access}.", 'a dot behind it' ], [ "Bearer $two->{access}", 'Bearer in front' ];
is(verify("$two->{access}$_"), 'bad_signature', 'something behind it') foreach ' ', "\n", '=', '==', 'A';

# The same list as for logins (200_jwt.pl): algorithms, keys, signatures, headers and forms.
my $forged = others({ forge => { claims => \%good, map { lc(substr($_, 0, 2)) => { kid => $kid{$_}, key => $key{$_} } } qw(HS256 RS256 ES256) } })->{forged};
cmp_ok(scalar(@$forged), '>', 80, 'there are ' . @$forged . ' forged tokens');
my ($accepted, $reasons) = not_refused(map { $_->{token} } @$forged);
is(join("\n", map { $forged->[$_]{name} } @$accepted), '', 'none of them is accepted');
note(join ', ', map { "$_ $reasons->{$_}" } sort keys %$reasons);

# ---- every bit

foreach my $who (admit(), $someone{ES256}, $someone{RS256})
{
	my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
	my %place = map { $alphabet[$_] => $_ } 0 .. 63;
	my @changed;
	my $text = $who->{access};

	foreach my $i (0 .. length($text) - 1)
	{
		my $c = substr $text, $i, 1;
		# Each of the six bits that the character stands for, and each bit of the character.
		my @instead = ((defined $place{$c} ? map { $alphabet[ $place{$c} ^ 1 << $_ ] } 0 .. 5 : ()), grep { $_ ne "\0" } map { chr(ord($c) ^ 1 << $_) } 0 .. 6);
		push @changed, substr($text, 0, $i) . $_ . substr($text, $i + 1) foreach @instead;
	}
	push @changed, map { substr $text, 0, $_ } 0 .. length($text) - 1;
	push @changed, map { substr $text, $_ } 1 .. length($text);
	($accepted, $reasons) = not_refused(@changed);
	is(scalar(@$accepted), 0, "$who->{header}{alg}: " . @changed . ' tokens with one bit changed, or cut, are refused');
	is(join(' ', sort keys %$reasons), 'bad_signature malformed unknown_key', '... by what they are') or diag(explain($reasons));
}
is(verify($two->{access}, role => 'shop', subject => $two->{subject}), 't', 'nothing of this has used the true one');

# ---- keys that come and go

my $old = admit();
my $older = admit();
my ($new_kid) = ask(q{SELECT kid FROM qms.rotate_access_key(1, 'HS256', overlap => '30 min')});
my $new = admit();
is("$old->{header}{kid} $new->{header}{kid}", "$kid{HS256} $new_kid", 'a rotation: the new key signs');
my $within = ask("SELECT now() + interval '29 min'");
my $beyond = ask("SELECT now() + interval '31 min'");
is(verify($old->{access}, now => $within), 't', 'what the old one signed counts within the overlap');
is(verify($older->{access}, now => $beyond), 'unknown_key', 'and not beyond');
is(verify($new->{access}, now => $beyond), 't', 'what the new one signed does');
is(ask(qq{SET qms.mock_now = '$beyond'; SELECT count(*) FROM qms.access_keys(1) WHERE expires_at > '$beyond' OR expires_at IS NULL}), 1, 'one key is left then');
ask(q{SELECT FROM qms.rotate_access_key(1, overlap => '0')});
my $cut = admit();
is(verify($cut->{access}, role => 'shop'), 't', 'a key after a rotation without overlap');
# One that is announced, and then another that is not.
my ($planned) = ask(q{SELECT kid FROM qms.rotate_access_key(1, 'ES256', active_from => now() + interval '1 h')});
is(ask(qq{SELECT count(*) FROM jsonb_array_elements(qms.access_jwks('one')->'keys') k WHERE k->>'kid' = '$planned'}), 1, 'a key is published before it signs');
isnt(admit()->{header}{kid}, $planned, '... and does not sign yet');
is(ask(qq{SET qms.mock_now = '} . ask("SELECT now() + interval '61 min'") . qq{'; SELECT signs FROM qms.access_keys(1) WHERE kid = '$planned'}), 't', '... but then');
my ($latest) = ask(q{SELECT kid FROM qms.rotate_access_key(1, 'HS256')});
is(ask(qq{SET qms.mock_now = '} . ask("SELECT now() + interval '2 h'") . qq{'; SELECT kid FROM qms.access_keys(1) WHERE signs}), $latest, 'the rotation after it counts');

# A key that is made and then not: whoever made it does not go on with it.
is( ask(q{SELECT organization_id AS o FROM qms.create_organization('Three') \gset
	SELECT application_id AS a FROM qms.create_application(:o, 'Shop') \gset
	SELECT queue_id AS q FROM qms.create_queue('Room', application_id => :a, kind => 'release') \gset
	SELECT token FROM qms.join_queue(:q) \gset
	SELECT FROM qms.release_next(:q);
	BEGIN;
	SELECT access_token AS lost FROM qms.claim_access(:'token') \gset
	ROLLBACK;
	BEGIN; SAVEPOINT s;
	SELECT access_token AS lost_too FROM qms.claim_access(:'token') \gset
	ROLLBACK TO s;
	SELECT access_token AS good FROM qms.claim_access(:'token') \gset
	COMMIT;
	BEGIN;
	SELECT kid FROM qms.rotate_access_key(:o, overlap => '0') \gset
	ROLLBACK;
	\connect -
	SELECT string_agg(coalesce(reason, 't'), ' ' ORDER BY n) || (SELECT string_agg(kid, '') FROM qms.access_keys(:o)) FROM (VALUES (1, :'lost'), (2, :'lost_too'), (3, :'good')) v(n, t), qms.verify_access(t)}),
	'bad_signature bad_signature t3.1', 'a first key that is rolled back is not remembered');

# ---- what is not there any more

my $last = admit();
ask(q{BEGIN; UPDATE qms.queue SET deleted_at = now() WHERE queue_id = 1; COMMIT});
is(verify($last->{access}, role => 'shop'), 'queue_deleted', 'the queue has been deleted');
ask(q{UPDATE qms.queue SET deleted_at = NULL WHERE queue_id = 1; UPDATE qms.organization SET deleted_at = now() WHERE organization_id = 1});
is(verify($last->{access}), 'unknown_key', 'the organization has been deleted');
ask(q{UPDATE qms.organization SET deleted_at = NULL WHERE organization_id = 1; UPDATE qms.application SET deleted_at = now() WHERE application_id = 1});
is(verify($last->{access}), 'queue_deleted', 'its application has been deleted');
ask(q{UPDATE qms.application SET deleted_at = NULL WHERE application_id = 1});
ask(q{SELECT FROM qms.stop_queue(1, 'fire')});
is(verify($last->{access}, role => 'shop'), 'queue_stopped', 'the queue has been stopped');
Qms::fails_with($node, "SELECT FROM qms.claim_access('$last->{token}')", 'QM420', 'nor can be claimed');
ask(q{SELECT FROM qms.open_queue(1)});
is(verify($last->{access}, role => 'shop'), 't', 'back again');

# ---- nothing is kept that would open a door

my $id = '00000000-0000-0000-0000-00000000000a';
my $person = { subject => 'repeats' };
@$person{qw(ticket token)} = split /\|/, ask(q{SELECT ticket_id, token FROM qms.join_queue(1, subject => 'repeats')});
ask('SELECT FROM qms.release_next(1, 1)');
my ($first, $second) = map { ask("SELECT access_token FROM qms.claim_access('$person->{token}', '$id')") } 1 .. 2;
is($first, $second, 'a claim that is repeated answers the same token');
my ($secret, $again) = map { ask(q{SELECT secret FROM qms.rotate_access_key(1, 'HS256', request_id => '00000000-0000-0000-0000-00000000000b')}) } 1 .. 2;
is($again, $secret, 'and a rotation that is repeated the same key');
foreach my $what ([ 'a token', (split /\./, $first)[2] ], [ 'its nonce', $json->decode(decode_base64url((split /\./, $first)[1]))->{jti} =~ s/.*\.//r ], [ 'a key', $secret ])
{
	is( ask(q{SELECT count(*) FROM qms_internal.request r WHERE r::text LIKE '%} . $what->[1] . q{%'}) . ask(q{SELECT count(*) FROM qms.event e WHERE e::text LIKE '%} . $what->[1] . q{%'}),
		'00', "$what->[0] is neither in the answers that are kept nor in the event log");
}
is(verify($first), 't', 'the repeated one lets in');
is(ask("SELECT access_token IS NULL, expires_at IS NOT NULL FROM qms.claim_access('$person->{token}', '$id')"), 't|t', 'repeated once more, it is not there any more');
Qms::fails_with($node, "SELECT FROM qms.claim_access('$person->{token}')", 'QM532', 'claimed once more, the error says that it has been used');
my ($yes, $still) = map { ask("SELECT valid FROM qms.verify_access(" . quoted($new->{access}) . ", request_id => '00000000-0000-0000-0000-00000000000c')") } 1 .. 2;
is("$yes $still", 'f f', 'a check that is repeated answers the same');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'no crash');
$node->stop;
done_testing();
