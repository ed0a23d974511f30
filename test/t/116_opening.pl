# Opening hours and closures open and close queues: one event for each queue and change, on a clock
# that the test moves: over both changes of the clocks, jumps, downtime; nothing of what a person has
# closed.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

my $node = Qms::node('opening', 'qms.workers = on', q{qms.mock_now = '2028-03-06 06:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

$ask->(q{
	SELECT qms.create_organization('city');
	SELECT qms.create_branch(1, 'hall', 'Europe/Berlin');
	SELECT queue_id FROM qms.create_queue('a', 1);
	SELECT queue_id FROM qms.create_queue('b', 1);
	SELECT queue_id FROM qms.create_queue('own', 1);
	SELECT qms.create_branch(1, 'other', 'Europe/Berlin');
	SELECT queue_id FROM qms.create_queue('always', 2);
	CREATE ROLE wall LOGIN IN ROLE qms_display; SELECT FROM qms.bind_role('wall', 1, kind => 'display');
	CREATE TABLE seen (event_id bigint);
	CREATE FUNCTION q(name text) RETURNS bigint LANGUAGE sql AS 'SELECT queue_id FROM qms.queue WHERE queue.name = $1'});
# What was said since the last time, in order; a star: by the hours.
my $said = sub {
	return $ask->(q{
		WITH new AS (SELECT e.*, q.name FROM qms.event e JOIN qms.queue q USING (queue_id)
				WHERE e.kind IN ('queue.opened', 'queue.paused', 'queue.closed') AND e.event_id NOT IN (SELECT event_id FROM seen)),
			noted AS (INSERT INTO seen SELECT event_id FROM new)
		SELECT coalesce(string_agg(name || ' ' || state || CASE WHEN data->>'by' = 'hours' AND actor_kind = 'system' THEN '*' ELSE '' END
			|| CASE WHEN kind = 'queue.' || CASE state WHEN 'open' THEN 'opened' ELSE state END THEN '' ELSE ' NOT ' || kind END, ', ' ORDER BY event_id), '')
		FROM new});
};
my $at = sub { $clock->at("$_[0]+00"); return $said->() };
my $last = sub { return $ask->(q{SELECT data FROM qms.event WHERE kind ~ '^queue' AND data->>'by' = 'hours' ORDER BY event_id DESC LIMIT 1}) };

$clock->settle;
is($said->(), '', 'queues without hours');

# ---- a day
$ask->(q{SELECT FROM qms.set_opening_hours('{"mon": [["08:00", "12:00"], ["13:00", "17:00"]], "tue": [["08:00", "24:00"]], "wed": [["00:00", "12:00"]]}', 1);
	SELECT FROM qms.set_opening_hours('{"mon": [["09:00", "10:00"]]}', queue_id => q('own'))});
$clock->settle;
is($said->(), 'a closed*, b closed*, own closed*', 'hours that begin later');
is($ask->(q{SELECT data FROM qms.event WHERE kind = 'queue.closed' AND queue_id = q('a')}), '{"by": "hours", "until": "2028-03-06T07:00:00+00:00"}', 'it says until when');
is($at->('2028-03-06 06:59:59'), '', 'not before');
is($at->('2028-03-06 07:00:00'), 'a open*, b open*', 'opening time');
is($at->('2028-03-06 07:00:01'), '', 'once');
ok($clock->idle, 'the scheduler sleeps');
is($at->('2028-03-06 08:30:00'), 'own open*', 'a queue with hours of its own');
is($at->('2028-03-06 10:59:59'), 'own closed*', 'which end');
is($at->('2028-03-06 11:00:00'), 'a closed*, b closed*', 'lunch');
is($at->('2028-03-06 12:00:00'), 'a open*, b open*', 'after lunch');
is($ask->(q{SELECT DISTINCT is_open FROM qms.queue_status(q('a'))}), 't', 'queue_status says the same');
is($at->('2028-03-06 16:00:00'), 'a closed*, b closed*', 'closing time');
is($at->('2028-03-07 07:00:00'), 'a open*, b open*', 'the next day');
is($at->('2028-03-07 23:00:00'), '', 'hours that meet at midnight');
is($at->('2028-03-08 11:00:00'), 'a closed*, b closed*', 'and end at noon');

# ---- the server is down; the clock jumps
$ask->(q{ALTER SYSTEM SET qms.mock_now = '2028-03-13 09:00+00'});
$node->restart;
ok(Qms::poll(sub { $ask->(q{SELECT count(*) FROM qms.event WHERE kind = 'queue.opened' AND at = '2028-03-13 09:00+00'}) >= 2 }), 'after days of downtime');
$clock->settle;
is($said->(), 'a open*, b open*', 'what is true now, once');
is($at->('2028-03-14 09:00:00'), '', 'a day ahead, from open to open');
is($at->('2028-03-14 23:30:00'), '', 'into the night');
is($at->('2028-03-14 03:00:00'), 'a closed*, b closed*', 'and back');
is($at->('2028-03-13 08:30:00'), 'a open*, b open*, own open*', 'a day back');

# ---- a person closes, pauses, opens
$ask->(q{SELECT FROM qms.close_queue(q('a')); SELECT FROM qms.pause_queue(q('b'))});
is($at->('2028-03-13 11:00:00'), 'a closed, b paused, b closed*, own closed*', 'nothing of who is closed anyway; who is paused closes too');
is($at->('2028-03-13 12:00:00'), 'b paused*', 'and is paused again');
is($ask->(q{SELECT status FROM qms.queue WHERE queue_id = q('b')}), 'paused', 'as it is');
$ask->(q{SELECT FROM qms.open_queue(q('a')); SELECT FROM qms.open_queue(q('b'))});
is($at->('2028-03-13 12:30:00'), 'a open, b open', 'opened within the hours');
$ask->(q{SELECT FROM qms.close_queue(q('a'))});
is($at->('2028-03-13 18:00:00'), 'a closed, b closed*', 'closed for the night');
$ask->(q{SELECT FROM qms.open_queue(q('a'))});
is($at->('2028-03-13 18:01:00'), 'a open, a closed*', 'opened outside of the hours: it is not open');
$ask->(q{SELECT FROM qms.close_queue(q('b'))});
is($at->('2028-03-14 08:00:00'), 'b closed, a open*', 'in the morning');
$ask->(q{SELECT FROM qms.open_queue(q('b'))});
is($at->('2028-03-14 08:01:00'), 'b open', 'and who was closed over night');

# ---- closures
$ask->(q{SELECT FROM qms.add_closure(1, '[2028-03-14 10:00+00, 2028-03-14 12:00+00)', 'assembly'); SELECT FROM qms.add_closure(2, '[2028-03-14 10:00+00,)', 'for ever')});
is($at->('2028-03-14 09:59:59'), '', 'a closure is ahead');
is($at->('2028-03-14 10:00:00'), 'a closed*, b closed*, always closed*', 'it begins');
is($last->(), '{"by": "hours", "reason": "for ever"}', 'why; no end is in sight');
is($ask->(q{SELECT data FROM qms.event WHERE kind = 'queue.closed' AND queue_id = q('a') ORDER BY event_id DESC LIMIT 1}),
	'{"by": "hours", "until": "2028-03-14T12:00:00+00:00", "reason": "assembly"}', 'of the other one');
is($at->('2028-03-14 12:00:00'), 'a open*, b open*', 'it ends');
$ask->(q{SELECT FROM qms.delete_closure((SELECT closure_id FROM qms.closure WHERE reason = 'for ever'))});
$clock->settle;
is($said->(), 'always open*', 'one that is taken back');
$ask->(q{SELECT FROM qms.set_opening_hours('{"fri": [["08:00", "12:00"]]}', 1)});
$clock->settle;
is($said->(), 'a closed*, b closed*', 'other hours');
$ask->(q{SELECT FROM qms.set_opening_hours(NULL, 1)});
$clock->settle;
is($said->(), 'a open*, b open*', 'none any more');

# ---- rolled back, deleted, and a transaction that is just at it
$ask->(q{BEGIN; SELECT FROM qms.set_opening_hours('{"fri": [["08:00", "12:00"]]}', 1); ROLLBACK});
$clock->settle;
is($said->(), '', 'rolled back');
my $desk = Session->new($node);
$desk->ask(q{BEGIN; SELECT FROM qms.pause_queue(q('a'))});
$ask->(q{SELECT FROM qms.set_opening_hours('{"fri": [["08:00", "12:00"]]}', 1)});
$clock->settle;
is($said->(), 'b closed*', 'a queue that is being paused is left alone');
$desk->ask('COMMIT');
$clock->settle;
is($said->(), 'a paused, a closed*', 'until that is done');
$desk->ask(q{BEGIN; SELECT FROM qms.join_queue(q('always'))});
$ask->(q{SELECT FROM qms.add_closure(2, '[2028-03-14 11:00+00, 2028-03-14 18:00+00)', 'leak')});
$clock->settle;
is($said->(), 'always closed*', 'a join that is open does not hold it up');
$desk->ask('ROLLBACK');
$desk->end;
$ask->(q{SELECT FROM qms.delete_queue(q('own')); SELECT FROM qms.set_opening_hours(NULL, 1); SELECT FROM qms.delete_closure((SELECT max(closure_id) FROM qms.closure))});
$clock->settle;
# One who is looked at while another commits comes a turn later.
is(join(', ', sort split /, /, $said->()), 'a paused*, always open*, b open*', 'a deleted queue is not spoken of');
$ask->(q{SELECT FROM qms.open_queue(q('a'))});

# ---- both changes of the clocks
$ask->(q{SELECT FROM qms.set_opening_hours('{"sun": [["01:00", "02:30"], ["03:15", "04:00"]]}', queue_id => q('a'));
	SELECT FROM qms.set_opening_hours('{"sun": [["02:30", "04:00"]]}', queue_id => q('b'))});
$clock->settle;
is($said->(), 'a open, a closed*, b closed*', 'hours in the night');
# Spring: 02:30 is left out, and taken as 03:30 (01:30 UTC).
is($at->('2028-03-26 00:00:00'), 'a open*', 'spring: 01:00');
is($at->('2028-03-26 01:14:59'), '', 'half past two does not come');
is($at->('2028-03-26 01:15:00'), '', 'the two spans overlap');
is($at->('2028-03-26 01:29:59'), '', 'half past two is');
is($at->('2028-03-26 01:30:00'), 'b open*', 'half past three');
is($at->('2028-03-26 02:00:00'), 'a closed*, b closed*', 'four');
# Autumn: 02:30 comes twice, and is the second one (01:30 UTC).
is($at->('2028-10-28 23:00:00'), 'a open*', 'autumn: 01:00');
is($at->('2028-10-29 00:30:00'), '', 'the first half past two');
is($at->('2028-10-29 01:00:00'), '', 'two again');
is($at->('2028-10-29 01:30:00'), 'a closed*, b open*', 'the second');
is($ask->(q{SELECT is_open FROM qms.queue_status(q('a'))}), 'f', 'queue_status agrees');
is($at->('2028-10-29 02:15:00'), 'a open*', 'quarter past three');
is($at->('2028-10-29 03:00:00'), 'a closed*, b closed*', 'four');
ok($clock->idle, 'the scheduler sleeps');

# ---- a display hears of it
my $shown = $ask->(q{SET SESSION AUTHORIZATION wall; SELECT string_agg(DISTINCT kind || ' ' || state || ' ' || (queue_id = 1) || ' ' || (data IS NULL), ', ') FROM qms.events_since('queue:1', (SELECT pruned_position FROM qms.stream_position()), 10000)});
is($shown, 'queue.closed closed true true, queue.opened open true true', 'on a public channel');

# ---- many queues at once: more than one batch
$ask->(q{SELECT count(*) FROM generate_series(1, 250) n, qms.create_queue('many ' || n, 2, kind => 'release')});
$clock->settle;
$said->();
$ask->(q{SELECT FROM qms.add_closure(2, '[2028-10-29 04:00+00, 2028-10-29 05:00+00)', 'alarm')});
$clock->at('2028-10-29 04:00+00');
ok(Qms::poll(sub { $ask->(q{SELECT count(*), count(DISTINCT queue_id) FROM qms.event WHERE data->>'reason' = 'alarm'}) eq '251|251' }), 'each of many queues once');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal|task "/, 'a quiet log');
done_testing();
