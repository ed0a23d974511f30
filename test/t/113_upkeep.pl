# Counters that call by themselves; partitions ahead, retention, requests; behind an open transaction.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('upkeep', 'qms.workers = on', q{qms.mock_now = '2030-01-30 09:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

$ask->(slurp_file('test/specs/world.sql'));

# ---- counters that call by themselves: who has been idle longest is first
$ask->(q{SELECT iso.world(0); SELECT qms.close_counter(id) FROM iso.things WHERE name IN ('one', 'two', 'three', 'four')});
$ask->(q{SELECT iso.remember('auto', (SELECT counter_profile_id FROM qms.create_counter_profile(iso.id('branch'), 'auto',
	sources => jsonb_build_array(jsonb_build_object('queue_id', iso.id('q'))), auto_call => true)))});
foreach my $counter ('two', 'one', 'three')
{
	$clock->set('2030-01-30 09:0' . ++$main::minute . '+00');
	$ask->("SELECT qms.open_counter(iso.id('$counter'), profile_id => iso.id('auto'))");
}
$clock->settle;
my $at = sub { return $ask->("SELECT string_agg(number || ' ' || counter, ', ' ORDER BY number) FROM iso.tickets WHERE state = 'called'") };
my $called = sub {
	my ($who, $test) = @_;

	Qms::poll(sub { $at->() eq $who }, 30);
	return is($at->(), $who, $test);
};
$ask->(q{SELECT iso.join()});
$called->('A001 two', 'who joins is called at once, by the counter that is idle longest');
$ask->(q{SELECT iso.join()});
$called->('A001 two, A002 one', 'then the next');
$ask->(q{SELECT qms.pause_counter(iso.id('three'), 'tea'); SELECT iso.join()});
$clock->settle;
is($at->(), 'A001 two, A002 one', 'a paused counter does not call');
$ask->(q{SELECT qms.resume_counter(iso.id('three'))});
$called->('A001 two, A002 one, A003 three', 'a resumed one does');
$ask->(q{SELECT iso.join()});
$ask->(q{SELECT iso.act('complete_service', 'one')});
$called->('A001 two, A003 three, A004 one', 'one that becomes idle does');
$ask->(q{SELECT iso.act('complete_service', 'one'), qms.close_counter(iso.id('one'))});
$ask->(q{SELECT iso.join()});
$clock->settle;
is($at->(), 'A001 two, A003 three', 'a closed one does not');
is($ask->(q{SELECT count(*) FROM qms.event WHERE kind = 'ticket.called'}), '4', 'each was called once');
ok($clock->idle, 'the scheduler sleeps');

# ---- partitions: three months and two days ahead
my $partitions = sub {
	return $ask->(qq{SELECT coalesce(string_agg(substr(relname, length('$_[0]') + 2), ' ' ORDER BY relname), '') FROM pg_inherits JOIN pg_class ON oid = inhrelid
		WHERE inhparent = '$_[1].$_[0]'::regclass});
};
like($partitions->('event', 'qms'), qr/2030_01 2030_02 2030_03 2030_04$/, 'events: three months ahead');
like($partitions->('ticket_history', 'qms'), qr/2030_01 2030_02 2030_03 2030_04$/, 'history');
like($partitions->('ticket_leg', 'qms'), qr/2030_01 2030_02 2030_03 2030_04$/, 'legs');
like($partitions->('event_position', 'qms_internal'), qr/2030_01_30 2030_01_31 2030_02_01$/, 'positions: two days ahead');

# Behind an open transaction that has read and written: made all the same, and nobody waits.
my $busy = $node->background_psql('postgres');
$busy->query_safe(q{BEGIN; SELECT count(*) FROM qms.event; SELECT count(*) FROM qms_internal.event_position; SELECT iso.join('r')});
$clock->at('2030-02-01 09:00+00');
like($partitions->('event', 'qms'), qr/2030_04 2030_05$/, 'made behind an open transaction');
$ask->(q{ALTER SYSTEM SET qms.history_retention = 1});
$clock->set('2030-03-05 09:00+00');
$node->poll_query_until('postgres', q{SELECT last_error LIKE 'retention%' FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'});
like($partitions->('event', 'qms'), qr/2030_01 /, 'retention waits for the open transaction');
$ask->(q{SET statement_timeout = '5s'; SELECT iso.join('q', 'vip') FROM qms.event LIMIT 1});
ok($clock->idle, 'joins go on, and it does not spin');
$busy->quit;
$clock->at('2030-03-05 10:00+00');
$clock->at('2030-03-05 11:01+00');
like($partitions->('event', 'qms'), qr/^2030_02 2030_03/, 'retention: what is older than a whole month has gone');
like($partitions->('ticket_history', 'qms'), qr/^2030_02 /, 'history too');

# ---- positions: 24 h, and not past the slowest enabled consumer
$ask->(q{SELECT qms.create_consumer('slow', iso.id('organization')), iso.join('r')});
Qms::wait_for($node, q{SELECT count(*) > 0 FROM qms.consumer_read('slow')}, 'a consumer has something to read');
my $start = $ask->(q{SELECT pruned_position FROM qms.stream_position()});
$clock->at('2030-03-09 12:00+00');
like($partitions->('event_position', 'qms_internal'), qr/^2030_03_05/, 'kept for the slow consumer');
is($ask->(q{SELECT count(*) > 0 FROM qms.consumer_read('slow')}), 't', 'which reads on');
$ask->(q{UPDATE qms.event_consumer SET enabled = false});
$clock->at('2030-03-09 13:01+00');
like($partitions->('event_position', 'qms_internal'), qr/^2030_03_09/, 'then only the window is kept');
Qms::fails_with($node, "SELECT * FROM qms.events_since('admin:' || iso.id('organization'), $start)", 'QM902', 'what is pruned is said to be');

# ---- answers of requests
$ask->(q{SELECT qms.join_queue(iso.id('r'), request_id => gen_random_uuid())});
$clock->at('2030-03-11 13:00+00');
is($ask->('SELECT count(*) FROM qms_internal.request'), '1', 'requests are kept for 48 hours');
$clock->at('2030-03-11 14:02+00');
is($ask->('SELECT count(*) FROM qms_internal.request'), '0', 'and no longer');

# ---- codes, tokens and logins
$ask->(q{SELECT qms.set_password(staff_id, 'correct horse battery') FROM qms.create_staff(iso.id('organization'), 'ada');
	SELECT qms.login('ada', 'wrong'), qms.login('ada', 'correct horse battery'), qms.login('eve', 'wrong');
	SELECT qms.request_otp('+4915112345678'), qms.request_password_reset('ada')});
my $secrets = sub {
	return $ask->(q{SELECT concat_ws(' ', (SELECT count(*) FROM qms_internal.secret_delivery), (SELECT count(*) FROM qms_internal.password_reset),
		(SELECT count(*) FROM qms_internal.one_time_code), (SELECT count(*) FROM qms_internal.login_attempt),
		(SELECT count(*) FROM qms_internal.login_session), (SELECT count(*) FROM qms_internal.refresh_token))});
};
is($secrets->(), '2 1 1 1 1 1', 'codes, tokens, failures and logins are there');
$clock->at('2030-03-11 15:05+00');
is($secrets->(), '0 0 1 1 1 1', 'what waits for delivery goes when it is of no use any more');
$clock->at('2030-03-12 16:05+00');
is($secrets->(), '0 0 0 0 1 1', 'failures and the pauses between codes are forgotten after a day');
$clock->at('2030-06-10 16:05+00');
is($secrets->(), '0 0 0 0 1 1', 'logins stay for a while');
$clock->at('2030-06-20 16:05+00');
is($secrets->(), '0 0 0 0 0 0', 'and go with their tokens 90 days after they could be continued');
ok($clock->idle, 'the scheduler sleeps');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal|spinlock/, 'no crash');

done_testing();
