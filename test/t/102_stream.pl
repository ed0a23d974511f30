# Reading the stream: channels, rights, what is public, epochs, what is pruned, durable consumers.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

my $node = Qms::node('stream', 'qms.workers = on');
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

# as(ROLE, SQL): the answer, or the SQLSTATE of the error.
sub as
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql", extra_params => [ '-U', $role ]);
	return $err =~ /ERROR: +(\w+)/ ? $1 : $out;
}

sub published
{
	Qms::wait_for($node, q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)}, "published: $_[0]");
	return;
}

$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{SELECT iso.world(2); GRANT USAGE ON SCHEMA iso TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA iso TO PUBLIC});
# Two zones with a counter each, a private queue, an application, another branch, another organization.
$ask->(q{
	SELECT iso.remember('east', zone_id) FROM qms.create_zone(iso.id('branch'), 'east');
	SELECT iso.remember('west', zone_id) FROM qms.create_zone(iso.id('branch'), 'west');
	SELECT qms.update_counter(iso.id('one'), zone_id => iso.id('east')), qms.update_counter(iso.id('two'), zone_id => iso.id('west'));
	SELECT iso.remember('private', queue_id) FROM qms.create_queue('private', iso.id('branch'), prefix => 'X', settings => '{"public": false}');
	SELECT iso.remember('shop', application_id) FROM qms.create_application(iso.id('organization'), 'shop');
	SELECT iso.remember('shop2', application_id) FROM qms.create_application(iso.id('organization'), 'shop2');
	SELECT iso.remember('branch2', branch_id) FROM qms.create_branch(iso.id('organization'), 'branch2');
	SELECT iso.remember('b2', queue_id) FROM qms.create_queue('b2', iso.id('branch2'), prefix => 'Y');
	SELECT iso.remember('organization2', organization_id) FROM qms.create_organization('second', 'second');
	SELECT iso.remember('clerk', staff_id) FROM qms.create_staff(iso.id('organization'), 'clerk', role => 'servicer', branch_ids => ARRAY[iso.id('branch')]);
	SELECT iso.remember('chief', staff_id) FROM qms.create_staff(iso.id('organization'), 'chief', role => 'admin', branch_ids => ARRAY[iso.id('branch')])});
foreach my $role (qw(super admin otheradmin clerk chief customer display shop nobody))
{
	$ask->("CREATE ROLE $role LOGIN " . ($role eq 'super' ? 'SUPERUSER' : '') . '; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA qms TO ' . $role);
}
$ask->(q{
	SELECT qms.bind_role('admin', iso.id('organization'), 'admin'), qms.bind_role('otheradmin', iso.id('organization2'), 'admin'),
		qms.bind_role('clerk', iso.id('organization'), staff_id => iso.id('clerk')), qms.bind_role('chief', iso.id('organization'), staff_id => iso.id('chief')),
		qms.bind_role('customer', iso.id('organization'), 'customer'), qms.bind_role('display', iso.id('organization'), 'display'),
		qms.bind_role('shop', iso.id('organization'), application_id => iso.id('shop'))});
published('the world');
my $start = $ask->('SELECT last_position FROM qms.stream_position()');
my $epoch = $ask->('SELECT epoch FROM qms.stream_position()');

$ask->(q{SELECT iso.call('one'), iso.call('two')});	# A001 in the east, A002 in the west
$ask->(q{SELECT iso.join(), iso.join('r'), iso.join('private'), iso.join('b2')});
$ask->(q{INSERT INTO qms.event (organization_id, branch_id, application_id, at, kind, actor_kind, actor_role) VALUES
	(iso.id('organization'), NULL, iso.id('shop'), now(), 'test.shop', 'system', 'test'),
	(iso.id('organization'), NULL, NULL, now(), 'notice.posted', 'system', 'test'),
	(iso.id('organization'), iso.id('branch'), NULL, now(), 'alert.raised', 'system', 'test');
	SELECT qms.update_branch(iso.id('branch2'), name => 'other')});
published('what is looked at');

# Each kind of channel: which events, in order of position.
sub channel
{
	my ($role, $channel, $more) = @_;
	$more //= '';
	return as($role, "SELECT string_agg(concat_ws(' ', kind, number), ', ' ORDER BY position) FROM qms.events_since($channel, $start$more)");
}
my $branch = q{'display:' || iso.id('branch')};
my %expected = (
	$branch => 'ticket.called A001, ticket.called A002, ticket.joined A003, ticket.joined B001',
	"$branch || ':' || iso.id('east')" => 'ticket.called A001, ticket.joined A003, ticket.joined B001',
	"$branch || ':' || iso.id('west')" => 'ticket.called A002, ticket.joined A003, ticket.joined B001',
	q{'queue:' || iso.id('q')} => 'ticket.called A001, ticket.called A002, ticket.joined A003',
	q{'queue:' || iso.id('b2')} => 'ticket.joined Y001',
	q{'visit:' || iso.id('A003')} => 'ticket.joined A003',
	q{'staff:' || iso.id('branch')} => 'ticket.called A001, ticket.called A002, ticket.joined A003, ticket.joined B001, ticket.joined X001, alert.raised',
	q{'application:' || iso.id('shop')} => 'test.shop',
	q{'system:' || iso.id('organization')} => 'notice.posted, alert.raised',
	q{'admin:' || iso.id('organization')} => 'ticket.called A001, ticket.called A002, ticket.joined A003, ticket.joined B001, ticket.joined X001, ticket.joined Y001, test.shop, notice.posted, alert.raised, branch.updated');
is(channel('super', $_), $expected{$_}, "events of $_") foreach sort keys %expected;
is(channel('super', $branch, ', max_rows => 3'), 'ticket.called A001, ticket.called A002, ticket.joined A003', 'max_rows takes the first ones');
is(as('super', "SELECT bool_and(later) FROM (SELECT position > lag(position, 1, $start\::bigint) OVER () AS later FROM qms.events_since('admin:' || iso.id('organization'), $start)) p"),
	't', 'they come in order');
is(as('super', "SELECT max(position) = (SELECT last_position FROM qms.stream_position()) FROM qms.events_since('admin:' || iso.id('organization'), $start)"), 't', 'up to the last position');

# Who may read what.
my @channels = ($branch, q{'queue:' || iso.id('q')}, q{'queue:' || iso.id('private')}, q{'system:' || iso.id('organization')}, q{'visit:' || iso.id('A003')},
	q{'staff:' || iso.id('branch')}, q{'staff:' || iso.id('branch2')}, q{'application:' || iso.id('shop')}, q{'application:' || iso.id('shop2')}, q{'admin:' || iso.id('organization')});
my %rights = (
	super => 'ok ok ok ok ok ok ok ok ok ok',
	admin => 'ok ok ok ok ok ok ok ok ok ok',
	# of one branch
	chief => 'ok ok ok ok ok ok 42501 ok ok 42501',
	clerk => 'ok ok ok ok ok ok 42501 ok ok 42501',
	shop => 'ok ok ok ok ok ok ok ok 42501 42501',
	customer => 'ok ok QM101 ok 42501 42501 42501 42501 42501 42501',
	display => 'ok ok QM101 ok 42501 42501 42501 42501 42501 42501',
	otheradmin => join(' ', ('QM101') x 10),
	nobody => join(' ', ('QM201') x 10));
foreach my $role (sort keys %rights)
{
	is(join(' ', map { as($role, "SELECT 'ok' FROM (SELECT count(*) FROM qms.events_since($_, $start)) n") } @channels), $rights{$role}, "what $role may read");
}
is(as('nobody', 'SELECT * FROM qms.stream_position()'), 'QM201', 'nobody does not even learn the position');
is(as('customer', 'SELECT epoch FROM qms.stream_position()'), $epoch, 'everybody in an organization does');

# Public channels give public columns only, whoever asks.
my $hidden = q{SELECT count(*), count(event_id), count(organization_id), count(branch_id), count(application_id), count(visit_id), count(ticket_id), count(version),
	count(actor_kind), count(actor_id), count(actor_role), count(request_id), count(data) FROM qms.events_since(%s, %s)};
is(as($_, sprintf($hidden, $branch, $start)), '4' . '|0' x 12, "public columns for $_") foreach qw(customer display super);
is(as('customer', sprintf($hidden, q{'system:' || iso.id('organization')}, $start)), '2' . '|0' x 12, 'public columns of the system channel');
is(as('customer', "SELECT count(epoch), count(position), count(at), count(queue_id), count(number), count(state), count(counter_name), count(zone_id) FROM qms.events_since($branch, $start)"),
	'4|4|4|4|4|4|2|2', 'those that are public');
like(as('clerk', sprintf($hidden, q{'staff:' || iso.id('branch')}, $start)), qr/^6\|6\|6\|6\|0\|5\|5\|5\|6\|/, 'staff see more');

# What cannot be answered is said.
is(as('customer', "SELECT * FROM qms.events_since($_, $start)"), '22023', "not a channel: $_")
	foreach q{''}, q{'display'}, q{'display:'}, q{'display:x'}, q{'display:1:0'}, q{'queue:1:2'}, q{'nonsense:1'}, q{'display:-1'}, q{'display:1 '},
	q{'display:99999999999999999999999'}, q{'display:1:2:3'}, q{'DISPLAY:1'};
is(as('customer', "SELECT * FROM qms.events_since($branch, $start, $_)"), '22023', "max_rows $_") foreach 0, -1, 10001;
is(as('customer', "SELECT * FROM qms.events_since('display:999999', $start)"), 'QM101', 'a branch that is not there');
is(as('customer', "SELECT count(*) FROM qms.events_since($branch, $start, epoch => '$epoch')"), '4', 'this epoch');
is(as('customer', "SELECT count(*) FROM qms.events_since($branch, $start, epoch => 'another')"), 'QM901', 'another epoch');

# Consumers.
is(as('admin', "SELECT name, position = (SELECT last_position FROM qms.stream_position()) FROM qms.create_consumer('mail')"), 'mail|t', 'a consumer begins at the end');
is(as('admin', "SELECT position FROM qms.create_consumer('archive', from_oldest => true)"), '0', 'or with the oldest event');
is(as('admin', "SELECT qms.create_consumer('mail')"), '23505', 'its name is in use');
is(as('super', "SELECT organization_id IS NULL FROM qms.create_consumer('all')"), 't', 'a superuser has one of all organizations');
foreach my $role (qw(chief clerk shop customer display))
{
	is(as($role, "SELECT qms.create_consumer('x')"), '42501', "$role makes no consumer");
	is(as($role, "SELECT * FROM qms.consumer_read('mail')"), '42501', "$role reads none");
}
is(as('otheradmin', $_), 'QM101', "another organization: $_")
	foreach "SELECT * FROM qms.consumer_read('mail')", "SELECT qms.consumer_advance('mail', 1)", "SELECT qms.delete_consumer('mail')",
	"SELECT * FROM qms.consumer_read('all')", "SELECT qms.create_consumer('x', iso.id('organization'))";
is(as('admin', "SELECT * FROM qms.consumer_read('all')"), 'QM101', 'the one of all organizations is not his');
is(as('otheradmin', "SELECT count(*) > 0 FROM qms.create_consumer('theirs', from_oldest => true)"), 't', 'another organization has its own');

$ask->(q{SELECT iso.join('r'), iso.join('r'), iso.join('r')});
$ask->(q{SELECT qms.create_branch(iso.id('organization2'), 'theirs')});
published('for consumers');
my $read = "SELECT string_agg(concat_ws(' ', kind, number), ', ') FROM qms.consumer_read('mail')";
is(as('admin', $read), 'ticket.joined B002, ticket.joined B003, ticket.joined B004', 'what is new, of the own organization');
is(as('admin', $read), 'ticket.joined B002, ticket.joined B003, ticket.joined B004', 'the same until it is advanced');
is(as('admin', "SELECT number FROM qms.consumer_read('mail', 1)"), 'B002', 'or less of it');
my ($first, $third) = split /\|/, as('admin', "SELECT min(position), max(position) FROM qms.consumer_read('mail')");
is(as('admin', "SELECT qms.consumer_advance('mail', $first)"), $first, 'advanced');
is(as('admin', $read), 'ticket.joined B003, ticket.joined B004', 'the rest');
is(as('admin', "SELECT qms.consumer_advance('mail', $first - 1)"), $first, 'never backwards');
is(as('admin', "SELECT qms.consumer_advance('mail', 1000000)"), '22023', 'nor to what is not published');
is(as('admin', "SELECT qms.consumer_advance('mail', NULL)"), $first, 'an empty batch moves nothing');
is(as('super', "SELECT count(DISTINCT organization_id) FROM qms.consumer_read('all')"), '2', 'all organizations');
is(as('otheradmin', "SELECT count(*) FILTER (WHERE organization_id <> iso.id('organization2')), count(*) > 0 FROM qms.consumer_read('theirs')"), '0|t', 'nothing of others');

# Two readers of one name: the second waits for the first and gets what that one has left.
my $one = Session->new($node, 'user=admin');
my $two = Session->new($node, 'user=admin');
is($one->ask("BEGIN; SELECT number FROM qms.consumer_read('mail', 1)"), 'B003', 'the first reader');
$two->tell("SELECT number FROM qms.consumer_read('mail', 1)");
ok(Qms::poll(sub { $ask->(q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'admin' AND wait_event_type = 'Lock'}) eq '1' }), 'the second waits');
$one->ask("SELECT qms.consumer_advance('mail', $first + 1); COMMIT");
is($two->answer, 'B004', 'and has the next one');
$_->end foreach $one, $two;

# What has been pruned (as the scheduler notes it).
my $pruned = $start + 2;
$ask->("DELETE FROM qms_internal.event_position WHERE position <= $pruned; UPDATE qms_internal.publisher SET pruned_position = $pruned");
is(as('customer', "SELECT * FROM qms.events_since($branch, $start)"), 'QM902', 'not kept any more');
is(as('customer', "SELECT count(*) FROM qms.events_since($branch, $pruned)"), '5', 'what is kept');
is(as('admin', "SELECT * FROM qms.consumer_read('archive')"), 'QM902', 'a consumer learns it too');
is(as('admin', "SELECT qms.consumer_advance('archive') = last_position FROM qms.stream_position()"), 't', 'and goes to the end when it has read the state');
is(as('admin', "SELECT count(*) FROM qms.consumer_read('archive')"), '0', 'where nothing is new');

# A crash: another epoch.
$node->stop('immediate');
$node->start;
Qms::wait_for($node, "SELECT epoch <> '$epoch' FROM qms.stream_position()", 'a new epoch');
is(as('customer', "SELECT * FROM qms.events_since($branch, $third, epoch => '$epoch')"), 'QM901', 'the old one is not served');
is(as('admin', "SELECT * FROM qms.consumer_read('mail')"), 'QM901', 'a consumer learns it');
is(as('admin', "SELECT qms.consumer_advance('mail', $third)"), 'QM901', 'and may not go on in the old one');
is(as('admin', "SELECT qms.consumer_advance('mail') = last_position FROM qms.stream_position()"), 't', 'it begins anew');
$ask->(q{SELECT iso.join('r')});
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.events_since('staff:' || iso.id('branch'), (SELECT position FROM qms.event_consumer WHERE name = 'mail'))}, 'the next event');
is(as('admin', $read), 'ticket.joined B005', 'and reads on');
is(as('admin', "SELECT qms.delete_consumer('mail'); SELECT * FROM qms.consumer_read('mail')"), 'QM101', 'deleted');

# A consumer keeps its positions: days that have passed are dropped, but not what it has not read.
sub day
{
	my ($moment) = @_;
	$ask->("ALTER SYSTEM SET qms.mock_now = '$moment'");
	$ask->('SELECT pg_reload_conf()');
	Qms::wait_for($node, 'SHOW qms.mock_now', "it is $moment", $moment);
	return;
}
my $days = q{SELECT count(DISTINCT published_at::date) FROM qms_internal.event_position};
$ask->(q{DELETE FROM qms.event_consumer WHERE name <> 'theirs'; SELECT qms.consumer_advance('theirs')});
foreach my $day (1 .. 4)
{
	day("2098-03-0$day 12:00:00+00");
	$ask->(q{SELECT iso.join('r')});
	Qms::wait_for($node, "SELECT EXISTS (SELECT FROM qms_internal.event_position WHERE published_at::date = '2098-03-0$day')", "day $day is published");
}
day('2098-03-04 14:00:00+00');
my $pruned_to = 'SELECT pruned_position FROM qms.stream_position()';
my $place = $ask->(q{SELECT position FROM qms.event_consumer WHERE name = 'theirs'});
# The hourly look drops one day at a time: everything before the event that the consumer reads next.
foreach my $hour (15 .. 18) { day("2098-03-04 $hour:30:00+00") }
Qms::wait_for($node, $pruned_to, 'dropped up to where the consumer is', $place);
# (More than the four joins: each night the scheduler ends what is left over.)
is(as('super', "SELECT count(*) = (SELECT count(*) FROM qms.event WHERE branch_id = iso.id('branch') AND at >= '2098-03-01') AND count(*) >= 4
	FROM qms.events_since('staff:' || iso.id('branch'), $place)"), 't', 'nothing that it has not read');
$ask->(q{SELECT qms.consumer_advance('theirs', (SELECT last_position FROM qms.stream_position()))});
foreach my $hour (19 .. 23) { day("2098-03-04 $hour:30:00+00") }
Qms::wait_for($node, $days, 'when it has read, a day and what is of the day before stay', '2');
is(as('super', "SELECT * FROM qms.events_since('staff:' || iso.id('branch'), $place)"), 'QM902', 'what is dropped is said to be');

$node->stop;
done_testing();
