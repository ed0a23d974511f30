# The gateway itself on a real server: what people see on displays, consoles and phones is what
# events_since says, once, in order, through cuts, kills, restarts, a crash and a promotion.
use strict;
use warnings;

use lib 'test/lib';
use Follower;
use Gateway;
use JSON::PP;
use Qms;
use Test::More;
use Time::HiRes qw(time);

my $node = Qms::node('gateway_stream', 'qms.workers = on', "listen_addresses = '127.0.0.1'");
my $program = -x './qms_gateway' ? './qms_gateway' : undef;
plan skip_all => 'qms_gateway was not built' if !$program;

sub ask { return $node->safe_psql($_[1] // 'postgres', $_[0]) }

ask(q{CREATE ROLE gw LOGIN; GRANT qms_gateway, qms_authenticator TO gw;
	SELECT FROM qms.create_organization('City');
	SELECT FROM qms.create_branch(1, 'North'); SELECT FROM qms.create_branch(1, 'South');
	SELECT FROM qms.create_queue('Passports', 1); SELECT FROM qms.create_queue('Cars', 2);
	SELECT FROM qms.create_counter(1, 'Counter 1', '{1}'); SELECT FROM qms.open_counter(1);
	SELECT FROM qms.create_staff(1, 'ada', role => 'admin'); SELECT FROM qms.create_staff(1, 'ben', role => 'admin');
	SELECT qms.set_password(staff_id, 'correct horse battery ' || staff_id) FROM qms.staff});
my $token = ask(q{SELECT access_token FROM qms.login('ada', 'correct horse battery 1')});
# Over TCP: the gateway's sandbox lets it make no new connection to a Unix socket.
my $conninfo = 'host=127.0.0.1 port=' . $node->port . ' user=gw dbname=';
my %settings = (database => "shop: ${conninfo}postgres");
my $gateway = Gateway->start(program => $program, settings => \%settings);

# All that was published and a channel shows after a position.
sub published
{
	my ($channel, $after) = @_;
	ok(Qms::poll(sub { ask('SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)') eq 't' }), 'all is published');
	return ask("SELECT string_agg(position::text, ' ' ORDER BY position) FROM qms.events_since('$channel', $after, 10000)");
}

# The follower has everything of the channel since its first snapshot.
sub is_complete
{
	my ($f, $channel, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $first = $f->{subs}{$channel}{results}[0]{offset};
	my $expected = published($channel, $first);
	$f->until(sub { join(' ', $f->offsets($channel)) eq $expected }, 20);
	return is(join(' ', $f->offsets($channel)), $expected, $test);
}

sub ready
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(Qms::poll(sub { ($gateway->http('GET', '/readyz'))[0] eq '200' }), 'the gateway is ready');
}

# Screens, a console, a phone.
ready();
my $display = Follower->new($gateway)->subscribe('display:1');
my $staff = Follower->new($gateway, token => $token)->subscribe('staff:1')->subscribe('admin:1');
ok($display->live('display:1'), 'a display');
ok($staff->live('staff:1') && $staff->live('admin:1'), 'a console');
is($display->{subs}{'display:1'}{results}[0]{data}{branch}{name}, 'North', 'the snapshot says what the display shows');
my ($visit, $phone_token) = split /\|/, ask('SELECT visit_id, token FROM qms.join_queue(1)');
my $phone = Follower->new($gateway)->subscribe("visit:$visit", data => { token => $phone_token });
ok($phone->live("visit:$visit"), 'a phone');
is($phone->{subs}{"visit:$visit"}{results}[0]{data}{tickets}[0]{state}, 'waiting', 'it sees its place');
ask('SELECT FROM qms.call_next(1); SELECT FROM qms.join_queue(1); SELECT FROM qms.join_queue(2)');
is_complete($display, 'display:1', 'the display has it all, in order');
is_complete($staff, 'staff:1', 'the console of the branch too');
is_complete($staff, 'admin:1', 'and that of the organization');
is_complete($phone, "visit:$visit", 'the phone has what concerns it');
is($phone->{subs}{"visit:$visit"}{got}[-1]{data}{state}, 'called', 'it is called');

my ($arrivals, $seconds) = map { $gateway->metric("arrival_seconds_$_") } qw(count sum);
ok($arrivals > 0 && $seconds > 0 && $seconds < 30 * $arrivals, "events come soon: $arrivals looks, $seconds s");

# What others may not see.
my $stranger = Follower->new($gateway)->subscribe('staff:1')->subscribe("visit:$visit", data => { token => 'x' x 43 });
$stranger->until(sub { @{ $stranger->{errors} } == 2 });
is("@{$stranger->{errors}}", '103 103', 'a stranger sees neither');
is($stranger->call(subscribe => { channel => 'display:999' })->{error}{code}, 102, 'a branch that does not exist');
my $forger = Follower->new($gateway, token => "$token.x");
$forger->until(sub { $forger->{closed} });
is($forger->{closed}, 3500, 'a forged token');

# The client is cut, and comes back.
$display->cut;
ask('SELECT FROM qms.complete_service(1); SELECT FROM qms.call_next(1)');
$display->connect;
ok($display->live('display:1'), 'back');
ok($display->{subs}{'display:1'}{results}[-1]{recovered}, 'recovered');
is_complete($display, 'display:1', 'with exactly what was missed');

# The gateway is killed, and comes back.
sub restart_gateway
{
	my ($signal) = @_;
	my $port = $gateway->{port};
	$gateway->stop($signal);
	ask('SELECT FROM qms.join_queue(1)');
	$gateway = Gateway->start(program => $program, settings => { %settings, listen => "127.0.0.1:$port" });
	ready();
	foreach my $f ($display, $staff, $phone)
	{
		$f->{gateway} = $gateway;
		$f->connect;
		$f->live($_) foreach keys %{ $f->{subs} };
	}
	return;
}
foreach my $signal (qw(KILL TERM))
{
	restart_gateway($signal);
	ok($display->{subs}{'display:1'}{results}[-1]{recovered}, "SIG$signal to the gateway: recovered");
	ask('SELECT FROM qms.join_queue(1)');
	is_complete($display, 'display:1', 'nothing missed');
	is_complete($staff, 'staff:1', 'nothing missed on the console');
}
is($display->{closed}, undef, 'the display is connected');

# The server restarts: connections of clients stay, the epoch too.
$node->restart;
ask('SELECT FROM qms.join_queue(1)');
is_complete($display, 'display:1', 'server restart: nothing missed');
is(scalar(@{ $display->{subs}{'display:1'}{results} }), 4, '... and it was not told');

# The server crashes: another epoch, which everybody is told.  Twice, if the last positions are lost before it begins.
my $epoch = $display->{subs}{'display:1'}{epoch};
$node->stop('immediate');
$node->start;
ok($display->until(sub { my $sub = $display->{subs}{'display:1'}; ($sub->{unsubscribed} // 0) == 2500 && $sub->{live} && $sub->{epoch} ne $epoch }), 'server crash: told, and subscribed again');
ok($display->{subs}{'display:1'}{results}[-1]{data} && !$display->{subs}{'display:1'}{results}[-1]{recovered}, '... with a snapshot');
is($display->{closed}, undef, '... on the same connection');
@{ $display->{subs}{'display:1'} }{qw(got results)} = ([], [ $display->{subs}{'display:1'}{results}[-1] ]);
ask('SELECT FROM qms.join_queue(1)');
is_complete($display, 'display:1', 'and it goes on');

# Rights end within a second.
my $end = time() + 1;
ask(q{SELECT FROM qms.disable_staff(1)});
ok($staff->until(sub { $staff->{closed} }), 'a clerk is disabled');
is($staff->{closed}, 3500, 'the console is closed');
my $seen = @{ $staff->{subs}{'staff:1'}{got} };
my $ben = Follower->new($gateway, token => ask(q{SELECT access_token FROM qms.login('ben', 'correct horse battery 2')}))->subscribe('admin:1');
ok($ben->live('admin:1'), 'another one');
my $rotations = sub { return grep { ($_->{data}{kind} // '') eq 'signing_key.rotated' } @{ $ben->{subs}{'admin:1'}{got} } };
ask(q{SELECT FROM qms.rotate_signing_key('jwt')});
ok($ben->until(sub { $rotations->() == 1 }), 'sees that there is another key');
is($ben->{closed}, undef, '... and stays');
my $begin = time();
ask(q{SELECT FROM qms.rotate_signing_key('jwt', overlap => '0')});
ok($ben->until(sub { $ben->{closed} }), 'the key of his token is ended');
cmp_ok(time() - $begin, '<', 15, 'the console is closed soon, not at the next look at everybody');
is($ben->{closed} . ' ' . $rotations->(), '3500 2', '... after it was told why');

# What displays show and no event tells.
ask(q{SELECT FROM qms.update_branch(1, name => 'North Hall')});
ok($display->until(sub { (grep { ($_->{data}{kind} // '') eq 'snapshot' && $_->{data}{branch}{name} eq 'North Hall' } @{ $display->{subs}{'display:1'}{got} }) }),
	'a new name comes as a snapshot');

# Two tenants, one port.
$node->safe_psql('postgres', 'CREATE DATABASE other');
ask(q{CREATE EXTENSION qms; SELECT FROM qms.create_organization('Other'); SELECT FROM qms.create_branch(1, 'Elsewhere');
	SELECT FROM qms.create_queue('X', 1)}, 'other');
$gateway->stop;
$gateway = Gateway->start(program => $program, args => [ '--database', "other: ${conninfo}other" ],
	settings => { %settings, 'host-map' => 'a.example=shop, b.example=other' });
ready();
Qms::poll(sub { ($gateway->http('GET', '/metrics'))[2] =~ /database_up\{database="other"\} 1/ });
my $a = Follower->new($gateway, host => 'a.example')->subscribe('display:1');
my $b = Follower->new($gateway, host => 'B.example:8080')->subscribe('display:1');
ok($a->live('display:1') && $b->live('display:1'), 'two tenants');
is($a->{subs}{'display:1'}{results}[0]{data}{branch}{name}, 'North Hall', 'the first sees its own');
is($b->{subs}{'display:1'}{results}[0]{data}{branch}{name}, 'Elsewhere', 'the second too');
ask('SELECT FROM qms.join_queue(1)', 'other');
ok($b->until(sub { $b->offsets('display:1') }), 'what happens at one');
$a->read(0);
is(scalar($a->offsets('display:1')), 0, '... is not seen at the other');

# The simplest client: an event stream.
my ($buffer, $stream) = ('', $gateway->connect);
syswrite $stream, "GET /events?channel=display:1 HTTP/1.1\r\nHost: b.example\r\n\r\n";
Gateway::read_until($stream, \$buffer, qr/"snapshot"/);
ask('SELECT FROM qms.join_queue(1)', 'other');
is(Gateway::read_until($stream, \$buffer, qr/^id: [0-9a-f]+:\d+\ndata: \{"channel":"display:1","pub":.*"ticket\.joined"/m), '', 'an event stream');
my ($event_id) = $buffer =~ /.*^id: ([0-9a-f]+:\d+)\ndata: /ms;
close $stream;
ask('SELECT FROM qms.join_queue(1)', 'other');
($buffer, $stream) = ('', $gateway->connect);
syswrite $stream, "GET /events?channel=display:1 HTTP/1.1\r\nHost: b.example\r\nLast-Event-ID: $event_id\r\n\r\n";
is(Gateway::read_until($stream, \$buffer, qr/"recovered":true.*"ticket\.joined"/s), '', '... goes on where it was');
close $stream;

is($gateway->stop & 0x7f, 0, 'the gateway ends by itself');
unlike($gateway->log_text, qr/ERROR|Sanitizer/, 'its log is quiet');
done_testing();
