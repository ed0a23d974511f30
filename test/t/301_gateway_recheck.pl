# As the gateway asks about people, with its own login: tokens as the functions make them, and what
# becomes of the same question when a right ends.  Each end comes with an event that says "recheck".
use strict;
use warnings;

use lib 'test/lib';
use JSON::PP;
use Qms;
use Session;
use Test::More;

my $node = Qms::node('gateway_recheck', 'qms.workers = on');
my $json = JSON::PP->new->canonical;

sub ask { return $node->safe_psql('postgres', $_[0]) }

ask(q{CREATE ROLE gw LOGIN; GRANT qms_gateway, qms_authenticator TO gw;
	SELECT FROM qms.create_organization('City');
	SELECT FROM qms.create_branch(1, 'North'); SELECT FROM qms.create_branch(1, 'South');
	SELECT FROM qms.create_queue('A', 1); SELECT FROM qms.create_application(1, 'Shop'); SELECT FROM qms.create_customer(1, 'Eve');
	SELECT FROM qms.create_staff(1, 'ada', role => 'admin'); SELECT FROM qms.create_staff(1, 'ben', branch_ids => '{1}'); SELECT FROM qms.create_staff(1, 'cy'); SELECT FROM qms.create_staff(1, 'dee'); SELECT FROM qms.create_staff(1, 'eve');
	SELECT qms.set_password(staff_id, 'correct horse battery ' || staff_id) FROM qms.staff});
my $gateway = Session->new($node, 'user=gw');

# check(REQUEST...): the answers of one batch.
sub check
{
	my @requests = @_;
	my $n = 0;
	$_->{n} = ++$n foreach @requests;
	my $rows = $gateway->ask(q{SELECT to_jsonb(c) FROM qms_internal.gateway_check($request$} . $json->encode(\@requests) . q{$request$) c ORDER BY n});
	return map { $json->decode($_) } split /\n/, $rows;
}
sub codes { return join ' ', map { $_->{code} } check(@_) }
# The token's connection, and a subscription.
sub both { my ($token, $channel) = @_; return codes({ do => 'connect', token => $token }, { do => 'subscribe', token => $token, channel => $channel }) }
sub login { my ($name, $id) = @_; return $json->decode(ask("SELECT to_jsonb(l) FROM qms.login('$name', 'correct horse battery $id') l")) }
# The events since the last look that say that rights have changed.
my $position = 0;
sub rechecks
{
	ok(Qms::poll(sub { ask('SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)') eq 't' }), "published: $_[0]");
	my @rows = split /\n/, $gateway->ask("SELECT position, CASE WHEN recheck THEN full_text::jsonb->>'kind' END FROM qms_internal.gateway_events($position)");
	($position) = $rows[-1] =~ /^(\d+)/ if @rows;
	return join ' ', map { /\|(.+)/ ? $1 : () } @rows;
}
is($gateway->ask('SELECT database, last_position > 0, pruned_position FROM qms_internal.gateway_hello()'), 'postgres|t|0', 'the gateway is greeted');
rechecks('the world');

# Logins.
my %who = map { $_->[0] => login(@$_) } [ ada => 1 ], [ ben => 2 ], [ cy => 3 ], [ dee => 4 ], [ eve => 5 ];
my %token = map { $_ => $who{$_}{access_token} } keys %who;
is(rechecks('logins'), '', 'nobody has to be looked at again because somebody logs in');
my ($ada) = check({ do => 'connect', token => $token{ada}, address => '192.0.2.1' });
is("$ada->{code} $ada->{organization_id} $ada->{subject} $ada->{role}", '0 1 staff:1 admin', 'ada connects');
is($ada->{expires_at}, ask("SELECT extract(epoch FROM '$who{ada}{expires_at}'::timestamptz)::bigint"), 'until her token expires');
is(both($token{ada}, 'admin:1'), '0 0', 'and reads all');
is(both($token{ben}, 'staff:1'), '0 0', 'ben reads his branch');
is(both($token{$_}, 'staff:1'), '0 0', "$_ too") foreach qw(cy dee eve);
is($gateway->ask('SELECT (p).kind FROM (SELECT qms.current_principal() AS p) x'), '', 'the session of the gateway is nobody of them');
like($gateway->errors, qr/permission denied|does not belong/, '... and is refused');

# Each ends in its own way; the others go on.
is(ask(qq{SELECT qms.logout('$who{ben}{refresh_token}')}), '1', 'ben logs out');
is(both($token{ben}, 'staff:1'), '3500 103', 'his token opens nothing any more');
is(rechecks('logout'), 'staff.logged_out', 'which was told');
ask('SELECT FROM qms.disable_staff(3)');
is(both($token{cy}, 'staff:1'), '3500 103', 'cy is disabled');
is(rechecks('disabled'), 'staff.disabled', 'which was told');
ask(q{SELECT qms.set_password(4, 'correct horse battery other')});
is(both($token{dee}, 'staff:1'), '3500 103', 'the password of dee was changed');
is(rechecks('password'), 'staff.password_changed', 'which was told');
ask(q{SELECT FROM qms.update_staff(5, branch_ids => '{2}')});
is(both($token{eve}, 'staff:1') . ' ' . both($token{eve}, 'staff:2'), '0 103 0 0', 'eve works elsewhere');
is(rechecks('moved'), 'staff.updated', 'which was told');
ask(q{SELECT FROM qms.update_staff(5, permissions => '{"deny": ["event.read"]}')});
is(both($token{eve}, 'staff:2'), '0 103', 'eve reads nothing any more');
rechecks('denied');
ask('SELECT FROM qms.delete_staff(5)');
is(both($token{eve}, 'staff:2'), '3500 103', 'eve is gone');
is(rechecks('deleted'), 'staff.deleted', 'which was told');
is(both($token{ada}, 'staff:1'), '0 0', 'ada goes on');

# Keys.
my $key = $json->decode(ask("SELECT to_jsonb(k) FROM qms.create_api_key(1, 'web') k"));
my $shop = ask("SELECT access_token FROM qms.exchange_api_key('$key->{key}')");
is(both($shop, 'application:1'), '0 0', 'the shop reads its own');
rechecks('key');
ask("SELECT FROM qms.revoke_api_key($key->{api_key_id})");
is(both($shop, 'application:1'), '3500 103', 'its key was revoked');
is(rechecks('revoked'), 'api_key.revoked', 'which was told');
my $brief = $json->decode(ask("SELECT to_jsonb(k) FROM qms.create_api_key(1, 'brief', expires_in => '1 min') k"));
my $brief_token = ask("SELECT access_token FROM qms.exchange_api_key('$brief->{key}')");
my ($connected) = check({ do => 'connect', token => $brief_token });
is($connected->{expires_at}, ask("SELECT floor(extract(epoch FROM expires_at))::bigint FROM qms.api_key WHERE api_key_id = $brief->{api_key_id}"), 'a token ends with its key');

# Devices.
my $device = $json->decode(ask("SELECT to_jsonb(d) FROM qms.create_device(1, 'display', 'Wall') d"));
my $paired = ask("SELECT key FROM qms.pair_device('$device->{pairing_code}')");
my $wall = ask("SELECT access_token FROM qms.exchange_device_key('$paired')");
is(both($wall, 'display:1') . ' ' . both($wall, 'display:2'), '0 0 0 103', 'a display shows its branch');
rechecks('device');
ask("SELECT FROM qms.revoke_device($device->{device_id})");
is(both($wall, 'display:1'), '3500 103', 'it was revoked');
is(rechecks('device revoked'), 'device.revoked', 'which was told');

# What is shown to everybody, and not any more.
is(codes({ do => 'subscribe', channel => 'queue:1' }), '0', 'a queue is public');
ask(q{SELECT FROM qms.update_queue(1, settings => '{"public": false}')});
is(codes({ do => 'subscribe', channel => 'queue:1' }), '102', 'and is not any more');
is(rechecks('hidden'), 'queue.updated', 'which was told');
ask(q{SELECT FROM qms.delete_queue(1)});
is(rechecks('deleted'), 'queue.deleted', 'nor is it there');
ask(q{SELECT FROM qms.update_branch(2, name => 'West'); SELECT FROM qms.delete_branch(2)});
is(rechecks('a branch less'), 'branch.updated branch.deleted', 'a branch goes');
is(codes({ do => 'subscribe', channel => 'display:2' }), '102', 'its display too');

# Tokens that end by themselves.
ask(q{CREATE FUNCTION token(more jsonb) RETURNS text LANGUAGE sql AS $$ SELECT qms_internal.jwt_sign('jwt', '{"role": "qms_admin", "sub": "staff:1", "organization_id": 1}' || more) $$});
my $old = ask(q{SELECT token(jsonb_build_object('exp', extract(epoch FROM now())::bigint - 3600))});
is(both($old, 'admin:1'), '109 109', 'an old token has expired');
my $ends = ask(q{SELECT token(jsonb_build_object('exp', extract(epoch FROM now())::bigint + 2))});
is(both($ends, 'admin:1'), '0 0', 'one that is about to');
ok(Qms::poll(sub { both($ends, 'admin:1') eq '109 109' }, 30), 'has');
# Keys that sign are changed, at once.
my $signed = ask(q{SELECT token(jsonb_build_object('exp', extract(epoch FROM now())::bigint + 3600))});
is(both($signed, 'admin:1'), '0 0', 'a token signed by the present key');
ask(q{SELECT FROM qms.rotate_signing_key('jwt', overlap => '0')});
is(both($signed, 'admin:1'), '3500 103', 'is none when the key has gone');
is(rechecks('key gone'), 'signing_key.rotated', 'which was told');
is(ask(q{SELECT string_agg(organization_id || ' ' || (data - 'active_from' - 'older_expire_at')::text, ' ') FROM qms.event WHERE kind = 'signing_key.rotated'}),
	'1 {"kid": 2, "at_once": true, "purpose": "jwt", "algorithm": "HS256", "older_kids": [1]}', 'in the log of the organization, without the key');
my $gentle = ask(q{SELECT token(jsonb_build_object('exp', extract(epoch FROM now())::bigint + 3600))});
ask($_) foreach q{SELECT FROM qms.rotate_signing_key('jwt')}, q{SELECT FROM qms.rotate_signing_key('jwt', 'ES256', active_from => now() + interval '1 h', overlap => '0')},
	q{SELECT FROM qms.rotate_signing_key('login', overlap => '0')}, q{SELECT FROM qms.rotate_signing_key('ticket_token')};
is(both($gentle, 'admin:1'), '0 0', 'a token outlives a key that makes room for another one');
is(rechecks('other rotations'), '', 'nobody has to be looked at again because of that');
is(ask(q{SELECT string_agg((data->>'purpose') || ' ' || (data->>'at_once'), ', ' ORDER BY event_id) FROM qms.event WHERE kind = 'signing_key.rotated'}),
	'jwt true, jwt false, jwt false, login true, ticket_token false', 'each is in the log');
my $ticket = $json->decode(ask(q{SELECT to_jsonb(j) FROM qms.create_queue('T', 1) q, LATERAL qms.join_queue(q.queue_id) j}));
my @visit = ({ do => 'subscribe', channel => "visit:$ticket->{visit_id}", data => { token => $ticket->{token} } });
is(codes(@visit), '0', 'a visit and its token');
rechecks('visit');
ask(q{SELECT FROM qms.rotate_signing_key('ticket_token', overlap => '0')});
is(codes(@visit), '103', 'its key has gone');
is(rechecks('ticket key gone'), 'signing_key.rotated', 'which was told');
ask(q{SELECT FROM qms.delete_organization((SELECT organization_id FROM qms.create_organization('Village')))});
rechecks('village');
ask(q{SELECT FROM qms.rotate_signing_key('jwt')});
is(ask(q{SELECT string_agg(DISTINCT organization_id::text, ' ') FROM qms.event WHERE kind = 'signing_key.rotated'}), '1', 'nothing new in an organization that is gone');

# The role of a token must be one that the gateway may become.
ask(q{CREATE ROLE web_admin NOLOGIN IN ROLE qms_admin});
my $custom = ask(q{SELECT token(jsonb_build_object('exp', extract(epoch FROM now())::bigint + 3600, 'role', 'web_admin'))});
is(both($custom, 'admin:1'), '3500 103', 'a role of somebody else');
ask('GRANT web_admin TO gw');
is(both($custom, 'admin:1'), '0 0', 'one that was granted to the gateway');
is(both(ask(qq{SELECT token(jsonb_build_object('exp', extract(epoch FROM now())::bigint + 3600, 'role', '$_'))}), 'admin:1'), '3500 103', "no token makes anybody $_") foreach qw(qms_super_admin qms_owner postgres qms_gateway);

# Refusals are in the log of the organization, with the address of the person, counted.
ask('ALTER SYSTEM SET qms.refusal_window = 1');
ask('SELECT pg_reload_conf()');
check(map { { do => 'subscribe', token => login(ada => 1)->{access_token}, channel => 'application:1', address => '192.0.2.7' } } 1);
my $mine = ask(q{SELECT token(jsonb_build_object('exp', extract(epoch FROM now())::bigint + 3600, 'role', 'qms_customer', 'sub', 'customer:1'))});
check(map { { do => 'subscribe', token => $mine, channel => 'staff:1', address => '192.0.2.77' } } 1 .. 5);
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.event WHERE kind = 'access.refused' AND data->>'function' = 'events_since' AND address = '192.0.2.77' AND actor_kind = 'customer' AND actor_id = 1 AND organization_id = 1 AND (data->>'count')::int = 5}, 'who was refused is in the log');

is($gateway->ask(q{SELECT count(*) FROM pg_settings WHERE name = 'request.jwt.claims' AND setting <> ''}), '0', 'nothing is left in the session');
$gateway->end;
$node->stop;
done_testing();
