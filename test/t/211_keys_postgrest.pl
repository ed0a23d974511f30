# API keys, devices and limits through the real PostgREST.
use strict;
use warnings;

use lib 'test/lib';
use Postgrest;
use Qms;
use Test::More;

my $node = Qms::node('rest', "qms.trusted_proxies = 'local, 10.0.0.0/8'");

sub ask
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

ask(q{
	CREATE ROLE web LOGIN NOINHERIT;
	GRANT qms_authenticator, qms_customer, qms_app, qms_kiosk, qms_display TO web;
	SELECT FROM qms.create_organization('City', settings => '{"limit_create": "3/h"}');
	SELECT FROM qms.create_branch(1, 'Hall', networks => '{192.0.2.0/24}');
	SELECT FROM qms.create_queue('A', 1);
	SELECT FROM qms.create_queue('B', 1);
	SELECT FROM qms.create_application(1, 'Shop')});
my ($key, $id) = split /\|/, ask(q{SELECT key, api_key_id FROM qms.create_api_key(1, 'web', '{1}', '{join_queue,current_principal,exchange_api_key}')});
# The key that signs tokens is made by the first of them.
ask(qq{SELECT access_token FROM qms.exchange_api_key('$key')});

my $rest = Postgrest->new($node, user => 'web') or plan skip_all => $Postgrest::why;

# A visitor without a name.
my $answer = $rest->call('current_principal');
is("$answer->{status} $answer->{json}{kind}", '200 customer', 'without a header: a visitor') or diag($answer->{content});
$answer = $rest->call('join_queue', { queue_id => 1 }, { 'x-forwarded-for' => '192.0.2.7' });
is("$answer->{status} $answer->{json}{number}", '200 A001', 'who joins');

# By the header.
my %with = ('x-api-key' => $key);
$answer = $rest->call('current_principal', {}, \%with);
is("$answer->{status} $answer->{json}{kind} $answer->{json}{id} $answer->{json}{role}", '200 application 1 application', 'with a key: the application');
is($rest->call('join_queue', { queue_id => 1, priority => 5 }, \%with)->{status}, 200, 'who may give a priority');
is($rest->call('join_queue', { queue_id => 2 }, \%with)->{json}{code}, '42501', 'in the queue of the key only');
$answer = $rest->call('queue_status', { queue_id => 1 }, \%with);
# PostgREST says 401, not 403, wherever there is no token.
is("$answer->{status} $answer->{json}{code}", '401 42501', 'and with the functions of the key only');
$answer = $rest->request('GET', '/queues?select=queue_id', \%with);
is("$answer->{status} " . @{ $answer->{json} }, '200 2', 'a list, in a transaction that is read only');
is($rest->call('current_principal')->{json}{kind}, 'customer', 'and the next request of the pool is a visitor again');
$answer = $rest->call('current_principal', {}, { 'x-api-key' => "${key}x" });
is("$answer->{status} $answer->{json}{code}", '401 QM520', 'a wrong key: 401');
is($answer->{headers}{'www-authenticate'}, 'ApiKey, Bearer', 'with what would do instead');
unlike($answer->{content}, qr/\Q$key\E/, 'and the answer does not repeat it');
is($rest->request('GET', '/queues', { 'x-api-key' => 'nonsense' })->{status}, 401, 'for lists too');

# By a token for it.
$answer = $rest->call('exchange_api_key', { key => $key });
is("$answer->{status} $answer->{json}{token_type} $answer->{json}{expires_in}", '200 Bearer 300', 'a token for the key');
my %bearer = (Authorization => "Bearer $answer->{json}{access_token}");
$answer = $rest->call('current_principal', {}, \%bearer);
is("$answer->{status} " . ($answer->{json}{kind} // '') . ' ' . ($answer->{json}{via} // ''), '200 application claims', 'PostgREST takes it as it is') or diag($answer->{content});
is($rest->call('join_queue', { queue_id => 2 }, \%bearer)->{json}{code}, '42501', 'with the queues of the key');
is($rest->call('queue_status', { queue_id => 1 }, \%bearer)->{json}{code}, '42501', 'and its functions');
$answer = $rest->call('current_principal', {}, { %with, %bearer });
is("$answer->{status} $answer->{json}{code}", '400 QM221', 'a token and a key are one too many');
ask("SELECT FROM qms.revoke_api_key($id)");
is($rest->call('current_principal', {}, \%with)->{status}, 401, 'revoked: the key is good no longer');
is($rest->call('current_principal', {}, \%bearer)->{json}{code}, 'QM201', 'nor is the token');

# A device.
my $code = ask(q{SELECT pairing_code FROM qms.create_device(1, 'kiosk', 'Door')});
$answer = $rest->call('pair_device', { code => 'AAAA-AAAA' });
is("$answer->{status} $answer->{json}{error}", '401 invalid_code', 'a wrong code: an answer, with status 401');
$answer = $rest->call('pair_device', { code => $code });
is("$answer->{status} $answer->{json}{kind}", '200 kiosk', 'the right one pairs');
$answer = $rest->call('exchange_device_key', { key => $answer->{json}{key} });
%bearer = (Authorization => "Bearer $answer->{json}{access_token}", 'x-forwarded-for' => '203.0.113.50');
$answer = $rest->call('current_principal', {}, \%bearer);
is("$answer->{status} $answer->{json}{kind} $answer->{json}{id}", '200 kiosk 1', 'and its token is a kiosk');

# Where people are, and how often.
sub joins
{
	my ($n, $forwarded) = @_;
	return join(' ', map { $rest->call('join_queue', { queue_id => 1 }, $forwarded ? { 'x-forwarded-for' => $forwarded } : {})->{status} } 1 .. $n);
}
is($rest->call('my_address', {}, { 'x-forwarded-for' => '198.51.100.1, 203.0.113.1, 10.0.0.1' })->{json}, '203.0.113.1', 'the address is the one that our proxy saw');
is(joins(5, '203.0.113.1'), '200 200 200 429 429', 'three tickets an hour from there');
is(ask(q{SELECT string_agg(DISTINCT host(address), ' ') FROM qms.event WHERE address <<= '203.0.113.1'}), '203.0.113.1', 'the log has it too');
is(joins(1, '198.51.100.1, 203.0.113.1'), '429', 'whatever the client writes before it');
is(joins(1, '203.0.113.2'), '200', 'another address is somebody else');
is(joins(5, '192.0.2.200'), '200 200 200 200 200', 'people in the branch are many');
is(joins(5), '200 200 200 200 200', 'and somebody whose address nobody knows is not counted by it');
is(join(' ', map { $rest->call('join_queue', { queue_id => 1 }, \%bearer)->{status} } 1 .. 5), '200 200 200 200 200', 'nor is a kiosk');
$answer = $rest->call('join_queue', { queue_id => 1 }, { 'x-forwarded-for' => '203.0.113.1' });
is("$answer->{json}{code} $answer->{json}{message}", 'QM220 too many ticket requests', 'the refusal says what it is');
cmp_ok($answer->{headers}{'retry-after'}, '>', 600, 'and when to come again');
cmp_ok($answer->{headers}{'retry-after'}, '<=', 1200, 'in seconds');

$rest->stop;
$node->stop;
done_testing();
