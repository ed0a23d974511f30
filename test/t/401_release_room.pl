# Who fits in: max_active with people who do not come, stay and leave; pools that share and lend;
# compensation of no-shows; reported load.  The clock is moved by the test.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('room', 'qms.workers = on', q{qms.mock_now = '2030-01-07 09:00:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $second = 0;
my $by = sub
{
	$second += $_[0];
	my $s = int($second);
	$clock->at(sprintf '2030-01-07 %02d:%02d:%06.3f+00', 9 + int($s / 3600), int($s / 60) % 60, $second - 60 * int($s / 60));
};
my $counts = sub { return $ask->("SELECT released, inside, waiting FROM room.counts('$_[0]')") };
my $first = sub { return "(SELECT ticket_id FROM qms.ticket WHERE queue_id = room.id('$_[0]') AND state = '$_[1]' ORDER BY ticket_id LIMIT $_[2])" };
my $come = sub { $ask->('SELECT room.come(ticket_id) FROM ' . $first->($_[0], 'released', $_[1]) . ' t') };
my $go = sub { $ask->(q{SELECT count(qms.cancel_ticket(ticket_id, 'done')) FROM } . $first->($_[0], 'admitted', $_[1]) . ' t'); $clock->settle };

$ask->(slurp_file('test/fixtures/room.sql'));
$clock->settle;

# ---- max_active
$ask->(q{SELECT room.make('small', '{"rate": "600/min", "max_active": 5, "claim_window": "1 min"}')});
$ask->(q{SELECT room.fill('small', 60)});
$by->(1);
is($counts->('small'), '5|5|55', 'as many as fit');
$by->(1);
is($counts->('small'), '5|5|55', 'and no more');
is($ask->(q{SELECT state, next_release_at IS NULL, inside, max_active FROM qms.release_status(room.id('small'))}), 'full|t|5|5', 'full');
is($ask->(q{SELECT count(*) FROM qms.release_next(room.id('small'), 10)}), 0, 'nobody by hand either');
$come->('small', 3);
$clock->settle;
is($counts->('small'), '5|5|55', 'who came is still inside');
$go->('small', 2);
is($counts->('small'), '7|5|53', 'who goes makes room, at once');
$by->(59);
is($counts->('small'), '9|5|51', 'two have not come within a minute: two others');
is($ask->(q{SELECT released, claimed, missed, ended, inside FROM qms.release_status(room.id('small'))}), '9|3|2|2|5', 'counters');
is($ask->(q{SELECT string_agg(DISTINCT end_reason, ',') FROM qms.ticket_history WHERE queue_id = room.id('small') AND state = 'expired'}), 'not claimed', 'their end is said');
# A rollback keeps the place.
$ask->(q{BEGIN; SELECT count(qms.cancel_ticket(ticket_id, 'x')) FROM } . $first->('small', 'released', 3) . q{ t; ROLLBACK});
$clock->settle;
is($counts->('small'), '9|5|51', 'who stays after all makes no room');
$ask->(q{BEGIN; SELECT count(qms.cancel_ticket(ticket_id, 'x')) FROM } . $first->('small', 'released', 1) . q{ t; PREPARE TRANSACTION 'p'});
$clock->settle;
is($counts->('small'), '9|5|51', 'nor a prepared transaction');
$ask->(q{COMMIT PREPARED 'p'});
ok(Qms::poll(sub { $counts->('small') eq '10|5|50' }, 20), 'until it is committed') || diag($counts->('small'));
# Lowered: nobody until there is room; raised: at once.
$ask->(q{SELECT qms.update_queue(room.id('small'), settings => '{"max_active": 3}')});
$go->('small', 1);
is($counts->('small'), '10|4|50', 'lowered: who is inside stays, nobody follows');
$ask->(q{SELECT qms.update_queue(room.id('small'), settings => '{"max_active": 6}')});
$clock->settle;
is($counts->('small'), '12|6|48', 'raised: two more');

# ---- the scenario of aws-solutions/virtual-waiting-room-on-aws#154: 10 of 30 never come
$ask->(q{SELECT room.make('shop', '{"rate": "600/min", "max_active": 60, "claim_window": "5 s"}')});
$ask->(q{SELECT room.fill('shop', 1400)});
my $came = 0;
# Six seconds; of each three who are let in the third never comes, whoever comes stays five seconds.
my $go_on = sub
{
	my $before = $came;

	foreach (1 .. 6)
	{
		$by->(1);
		$came += $ask->(q{SELECT count(room.come(ticket_id)) FROM qms.ticket WHERE queue_id = room.id('shop') AND state = 'released' AND ticket_id % 3 <> 0});
		$ask->(sprintf q{SELECT count(qms.cancel_ticket(ticket_id, 'done')) FROM qms.ticket WHERE queue_id = room.id('shop') AND state = 'admitted' AND started_at <= '2030-01-07 09:00+00'::timestamptz + interval '%s s'}, $second - 5);
	}
	return $came - $before;
};
my @came = map { $go_on->() } 1 .. 6;
ok(!(grep { $_ < 38 || $_ > 42 } @came[2 .. 5]), "two of three of 60 come, time after time: @came");
is($ask->(q{SELECT max(inside) <= 60 FROM qms_internal.release_queue WHERE queue_id = room.id('shop')}), 't', 'with never more than 60 inside');
# With compensation the rate is that of people who come.
$ask->(q{SELECT qms.update_queue(room.id('shop'), settings => '{"no_show_compensation": true, "max_active": 200}')});
@came = map { $go_on->() } 1 .. 8;
my $sum = 0;
$sum += $_ foreach @came[4 .. 7];
cmp_ok(abs($sum / 4 - 60), '<', 3, "compensated: 60 come: @came");
cmp_ok(abs($ask->(q{SELECT no_show FROM qms.release_status(room.id('shop'))}) - 0.333), '<', 0.03, 'a third is known not to come');

# ---- pools: shared by weight, lent, taken back
$ask->(q{SELECT room.pool('pool', '600/min'), room.make('a', '{"weight": 3}', 'pool'), room.make('b', '{}', 'pool'), room.make('c', '{}', 'pool')});
Qms::fails_with($node, q{SELECT qms.set_release_rate(room.id('a'), '5/s')}, 'QM702', 'a queue of a pool has no rate of its own');
Qms::fails_with($node, q{SELECT qms.update_queue(room.id('a'), settings => '{"rate": "5/s"}')}, 'QM702', 'nor in its settings');
$ask->(q{SELECT room.fill('a', 120), room.fill('b', 120)});
$by->(2);		# what was saved up: 20 people
my $before = $ask->(q{SELECT a.released, b.released FROM room.counts('a') a, room.counts('b') b});
$by->(1.6);
is($ask->(q{SELECT a.released, b.released FROM room.counts('a') a, room.counts('b') b}),
	join('|', map { my ($x, $n) = @$_; $x + $n } [ (split /\|/, $before)[0], 12 ], [ (split /\|/, $before)[1], 4 ]), 'three to one; the third lends its share');
$ask->(q{SELECT room.fill('c', 50)});
$before = $ask->(q{SELECT a.released, b.released FROM room.counts('a') a, room.counts('b') b});
$by->(1.5);
is($ask->(q{SELECT a.released, b.released, c.released FROM room.counts('a') a, room.counts('b') b, room.counts('c') c}),
	join('|', (split /\|/, $before)[0] + 9, (split /\|/, $before)[1] + 3, 3), 'it has its share back, and no more');
$ask->(q{SELECT qms.pause_queue(room.id('a'))});
$before = $ask->(q{SELECT b.released, c.released FROM room.counts('b') b, room.counts('c') c});
$by->(1);
is($ask->(q{SELECT b.released, c.released FROM room.counts('b') b, room.counts('c') c}),
	join('|', map { $_ + 5 } split /\|/, $before), 'a paused queue lends its share too');
# All inside the pool count together.
$ask->(q{SELECT qms.update_release_pool(room.id('pool'), max_active => (SELECT sum(inside)::int + 4 FROM qms_internal.release_queue WHERE queue_id IN (room.id('a'), room.id('b'), room.id('c'))))});
$before = $ask->(q{SELECT sum(inside) FROM unnest('{a,b,c}'::text[]) q, room.counts(q)});
$by->(1);
is($ask->(q{SELECT sum(inside) FROM unnest('{a,b,c}'::text[]) q, room.counts(q)}) - $before, 4, 'max_active of a pool is that of all its queues');
is($ask->(q{SELECT state, pool_inside = pool_max_active FROM qms.release_status(room.id('c'))}), 'full|t', 'and it is full');
# A queue leaves the pool and has a rate of its own.
$ask->(q{SELECT qms.update_queue(room.id('c'), release_pool_id => 0, settings => '{"rate": "60/min"}')});
$before = (split /\|/, $counts->('c'))[0];
$by->(1);
is((split /\|/, $counts->('c'))[0] - $before, 1, 'on its own');

# ---- reported load: a tenth less, a twentieth more, at most once a second
$ask->(q{SELECT room.make('busy', '{"rate": "600/min", "adapt_min": 80}')});
my $load = sub { return $ask->("SELECT load_factor, effective_rate FROM qms.report_load(room.id('busy'), $_[0])") };
is($load->(1.2), '0.9|540/min', 'overloaded');
is($load->(1.2), '0.9|540/min', 'a step a second');
$by->(1);
is($load->(3), '0.81|486/min', 'still');
$by->(1);
is($load->(3), '0.8|480/min', 'down to adapt_min');
$by->(1);
is($load->(0.95), '0.8|480/min', 'neither');
is($load->(0.5), '0.85|510/min', 'relaxed');
$ask->(q{SELECT room.fill('busy', 100)});
$by->(2);
$before = (split /\|/, $counts->('busy'))[0];
$by->(1);
is((split /\|/, $counts->('busy'))[0] - $before, 8, '8.5 a second');
$by->(1);
is((split /\|/, $counts->('busy'))[0] - $before, 17, 'exactly');
is($ask->(q{SELECT count(*) FROM qms.event WHERE kind = 'queue.rate_changed' AND queue_id = room.id('busy')}), 4, 'each change is an event');

# ---- stop
$ask->(q{SELECT qms.stop_queue(room.id('busy'), 'fire')});
$before = (split /\|/, $counts->('busy'))[0];
$by->(400);
is((split /\|/, $counts->('busy'))[0] - $before, 0, 'stopped: nobody');
is($ask->(q{SELECT state, missed FROM qms.release_status(room.id('busy'))}), 'stopped|0', 'and nobody loses what he cannot use');
$ask->(q{SELECT qms.open_queue(room.id('busy'))});
$clock->settle;
is($ask->(q{SELECT state, missed FROM qms.release_status(room.id('busy'))}), 'releasing|0', 'open again: there is time to come');
$by->(300);
cmp_ok($ask->(q{SELECT missed FROM qms.release_status(room.id('busy'))}), '>', 30, 'but not for ever');

is($ask->('SELECT count(*) FROM room.broken'), 0, 'the books agree with the tickets');
ok($clock->idle, 'the scheduler sleeps');
done_testing();
