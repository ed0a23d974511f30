# The scheduler's timers on a clock that the test moves: each fires once, when it is due.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('scheduler', 'qms.workers = on', q{qms.mock_now = '2030-01-07 09:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $at = sub { $clock->at("2030-01-07 $_[0]+00") };

# What happened to a ticket, in order; what the scheduler did is marked.
$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{
	CREATE FUNCTION iso.events(thing text) RETURNS text LANGUAGE sql AS
	$$ SELECT string_agg(substr(kind, 8) || CASE WHEN actor_role = 'qms scheduler' OR actor_kind = 'system' THEN '*' ELSE '' END, ' ' ORDER BY event_id)
	   FROM qms.event WHERE ticket_id = iso.id(thing) $$});
my $events = sub { return $ask->("SELECT iso.events('$_[0]')") };
my $state = sub { return $ask->("SELECT state FROM iso.tickets WHERE number = '$_[0]'") };

# ---- called customers who do not come
$ask->(q{SELECT iso.world(6, '{"no_show_after": "3 min", "recall_gap": "0 s"}')});
$at->('09:00:00');
is($ask->(q{SELECT iso.call('one'), iso.call('two')}), 'A001|A002', 'two are called');
$at->('09:02:59');
is($state->('A001'), 'called', 'no-show: not before its time');
is($ask->(q{SELECT iso.act('recall_ticket', 'one'), iso.act('start_service', 'two')}), 'called|serving',
	'one is recalled, one begins');
$at->('09:03:00');
is($state->('A001') . ' ' . $state->('A002'), 'called serving', 'no-show: a recall begins the time anew, service ends it');
$at->('09:05:59');
is($events->('A001'), 'joined called recalled no_show*', 'no-show after the recall, once');
is($ask->(q{SELECT end_reason FROM qms.ticket_history WHERE ticket_id = iso.id('A001')}), 'no_show_after', 'why it ended');
is($ask->(q{SELECT current_ticket_id IS NULL FROM qms.staff_session WHERE counter_id = iso.id('one')}), 't',
	'the counter is idle again');
$at->('09:30:00');
is($events->('A002'), 'joined called serving', 'who is served is left alone');

# ---- holds
is($ask->(q{SELECT (qms.hold_ticket(iso.id('A003'), 'x', 'parked', '2030-01-07 09:40+00')).state}), 'on_hold', 'a hold');
is($ask->(q{SELECT (qms.defer_ticket(iso.token('A004'), until => '2030-01-07 09:35+00')).state}), 'on_hold', 'deferred until');
$at->('09:34:59');
is($state->('A004'), 'on_hold', 'hold: not before its time');
$at->('09:35:00');
is($events->('A004') . '; ' . $state->('A003'), 'joined deferred resumed*; on_hold', 'the earlier one is back');
# Made while the scheduler sleeps until 09:40, due before.
is($ask->(q{SELECT (qms.hold_ticket(iso.id('A005'), 'x', 'away', '2030-01-07 09:38+00')).state}), 'on_hold', 'an earlier hold');
$at->('09:39:00');
is($state->('A005') . ' ' . $state->('A003'), 'waiting on_hold', 'it fires on its own time');
$at->('11:00:00');
is($events->('A003'), 'joined held resumed*', 'late, and once');

# A person at another counter: the ticket waits again when he is done there.
$ask->(q{SELECT iso.join('r', 'regular', 'A006')});
is($ask->(q{SELECT (qms.hold_ticket(iso.id('A006'), 'x', 'away', '2030-01-07 11:10+00')).state, iso.call('four'), iso.act('start_service', 'four')}),
	'on_hold|B001|serving', 'on hold here, called there');
$at->('11:10:00');
is($ask->(q{SELECT state, hold_kind, resume_at IS NULL FROM qms.ticket WHERE ticket_id = iso.id('A006')}),
	'on_hold|other_ticket|t', 'the end of the hold finds the person at a counter');
is($ask->(q{SELECT iso.act('complete_service', 'four')}), 'completed', 'that one is done');
is($state->('A006'), 'waiting', 'then it waits');
ok($clock->idle, 'the scheduler sleeps');

# ---- real time: a timer made while it sleeps wakes it
$clock->at('');
$ask->(q{SELECT iso.world(1, '{"no_show_after": "1 s"}')});
$ask->(q{SELECT iso.join() FROM generate_series(1, 2)});
$ask->(q{SELECT iso.call('one'), qms.hold_ticket(iso.id('A002'), 'x', 'away', now() + interval '1 s'),
	qms.hold_ticket(iso.id('A003'), 'x', 'away', now() + interval '1 h')});
Qms::wait_for($node, q{SELECT iso.events('A001') = 'joined called no_show*' AND iso.events('A002') = 'joined held resumed*'},
	'on the real clock: a no-show and a resume');
Qms::wait_for($node, q{SELECT next_due_at > now() + interval '10 s' FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'},
	'and a long sleep after it');

# A commit that brings nothing earlier leaves it asleep; several timers, made in any order, all fire.
my $last = q{SELECT last_run_at FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'};
ok($clock->idle, 'asleep');
my $before = $ask->($last);
my $from = $ask->('SELECT max(event_id) FROM qms.event');
$ask->(q{SELECT iso.join() FROM generate_series(1, 20)});
$ask->(q{SELECT qms.hold_ticket(iso.id('A004'), 'x', 'away', now() + interval '2 h')});
is($ask->(q{SELECT pg_sleep(0.3)}) . $ask->($last), $before, 'joins and a hold until later do not wake it');
$ask->(q{SELECT iso.call('one'), qms.hold_ticket(iso.id('A005'), 'x', 'away', now() + interval '1.6 s')});
$ask->(q{SELECT qms.hold_ticket(iso.id('A006'), 'x', 'away', now() + interval '1.3 s')});
$ask->(q{SELECT qms.hold_ticket(iso.id('A007'), 'x', 'away', now() + interval '0.1 s')});
Qms::wait_for($node, qq{SELECT count(*) = 4 AND bool_and(n = 1) FROM (SELECT count(*) FILTER (WHERE kind IN ('ticket.no_show', 'ticket.resumed')) AS n
	FROM qms.event WHERE event_id > $from AND ticket_id <> iso.id('A004') GROUP BY ticket_id HAVING bool_or(kind IN ('ticket.called', 'ticket.held'))) x},
	'each timer fires once, behind others or before them');

# A counter that calls by itself: a join wakes the scheduler.
$ask->(q{SELECT qms.open_counter(iso.id('two'), profile_id => (SELECT counter_profile_id FROM qms.create_counter_profile(iso.id('branch'), 'auto', auto_call => true)))
	FROM qms.close_counter(iso.id('two'))});
Qms::wait_for($node, q{SELECT (SELECT current_ticket_id IS NOT NULL FROM qms.staff_session WHERE counter_id = iso.id('two') AND closed_at IS NULL)}, 'it calls');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal|ERROR/, 'a quiet log');

done_testing();
