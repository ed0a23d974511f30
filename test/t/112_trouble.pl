# The scheduler in trouble: a day of downtime, jumps of the clock, things that fail for ever, open
# transactions in its way.  Nothing is lost, nothing is done twice, nobody else is held up.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('trouble', 'qms.workers = on', q{qms.mock_now = '2031-05-05 09:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $log_has = sub { return slurp_file($node->logfile) =~ $_[0] };

$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{
	CREATE FUNCTION iso.events(thing text) RETURNS text LANGUAGE sql AS
	$$ SELECT string_agg(substr(kind, 8), ' ' ORDER BY event_id) FROM qms.event WHERE ticket_id = iso.id(thing) $$});
my $events = sub { return $ask->('SELECT ' . join(', ', map { "iso.events('$_')" } @_)) };

# ---- a day of downtime
$ask->(q{SELECT iso.world(4, '{"no_show_after": "3 min"}')});
is($ask->(q{SELECT iso.call('one'), iso.call('two'), iso.act('start_service', 'two')}), 'A001|A002|serving', 'two are called');
$ask->(q{SELECT qms.hold_ticket(iso.id('A003'), 'x', 'away', '2031-05-05 18:00+00')});
$node->stop;
$node->append_conf('postgresql.conf', q{qms.mock_now = '2031-05-06 10:00+00'});
$node->start;
Qms::wait_for($node, q{SELECT iso.events('A004') = 'joined expired'}, 'overdue work is done');
$clock->settle;
is($events->('A001', 'A002', 'A003', 'A004'),
	'joined called no_show|joined called serving|joined held resumed expired|joined expired', 'in order, once');
ok($clock->idle, 'then the scheduler sleeps');

# ---- jumps of the clock
$ask->(q{SELECT iso.world(3, '{"no_show_after": "3 min"}')});
is($ask->(q{SELECT iso.call('one')}), 'A001', 'called');
$ask->(q{SELECT qms.hold_ticket(iso.id('A002'), 'x', 'away', '2031-05-06 11:00+00')});
$clock->at('2031-05-07 10:00+00');
is($events->('A001', 'A002', 'A003'), 'joined called no_show|joined held resumed expired|joined expired', 'a day forward');
ok($log_has->(qr/qms scheduler: woke up \d+ s late/), 'a line in the log');
$clock->at('2031-05-06 10:00+00');
ok($log_has->(qr/qms scheduler: the clock went back by 86400 s/), 'a day back: a line in the log');
$ask->(q{SELECT iso.world(2, '{"no_show_after": "3 min"}')});
is($ask->(q{SELECT iso.call('one')}), 'A001', 'called in the past');
$clock->at('2031-05-06 10:03+00');
is($events->('A001'), 'joined called no_show', 'timers of before fire on time');
$clock->at('2031-05-07 00:00+00');
is($events->('A002'), 'joined expired', 'and so does the end of that day');
ok($clock->idle, 'the scheduler sleeps');

# ---- what fails for ever: a branch without a time zone, a queue that cannot be read
$clock->at('2031-06-02 08:00+00');
$ask->(q{SELECT iso.world(3, '{"no_show_after": "3 min"}'); SELECT iso.call('one')});
$ask->(q{CREATE TABLE iso.first AS SELECT * FROM iso.things});
$ask->(q{SELECT iso.world(3, '{"no_show_after": "3 min"}'); SELECT iso.call('one')});
$ask->(q{CREATE TABLE iso.second AS SELECT * FROM iso.things});
$ask->(q{SELECT iso.world(3, '{"no_show_after": "3 min"}'); SELECT iso.call('one')});
$ask->(q{UPDATE qms.branch SET time_zone = 'Nowhere/X' WHERE branch_id = (SELECT id FROM iso.first WHERE name = 'branch')});
$ask->(q{UPDATE qms.queue SET settings = '{"no_show_after": "soon"}' WHERE queue_id = (SELECT id FROM iso.second WHERE name = 'q')});
$clock->at('2031-06-02 08:03+00');
is($events->('A001'), 'joined called no_show', 'two broken queues do not stop the third');
ok($log_has->(qr/task "no_show" failed for queue \d+: time zone "Nowhere\/X" is not known.*?HINT: .*tried again later/s), 'a line with a hint in the log');
is($ask->(q{SELECT last_error LIKE '%: %' AND last_error_at IS NOT NULL FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'}), 't', 'visible in worker_status');
ok($clock->idle, 'no spinning');
$clock->at('2031-06-03 00:00+00');
is($events->('A002'), 'joined expired', 'the day ends for the third');
is($ask->(q{SELECT count(*) FROM qms.ticket WHERE branch_id IN (SELECT id FROM iso.first UNION SELECT id FROM iso.second) AND state = 'waiting'}), '4',
	'those of the broken ones wait');
my $lines = () = slurp_file($node->logfile) =~ /task "no_show" failed/g;
# Two queues, looked at when they were broken (a change of the configuration wakes the scheduler) and at two moments since.
cmp_ok($lines, '<=', 6, "$lines lines, not one a turn");
$ask->(q{UPDATE qms.branch SET time_zone = 'UTC' WHERE time_zone = 'Nowhere/X'; UPDATE qms.queue SET settings = '{"no_show_after": "3 min"}' WHERE settings->>'no_show_after' = 'soon'});
$clock->at('2031-06-03 00:10+00');
is($ask->(q{SELECT count(*), count(*) FILTER (WHERE state = 'no_show') FROM qms.ticket_history h
	WHERE branch_id IN (SELECT id FROM iso.first WHERE name = 'branch' UNION SELECT id FROM iso.second WHERE name = 'branch')}), '6|2', 'repaired: what was left is done');

# ---- many items that fail hide nobody behind them
$clock->at('2031-06-10 08:00+00');
$ask->(q{SELECT iso.world(130)});
$ask->(q{SELECT qms.hold_ticket(ticket_id, 'x', 'away', timestamptz '2031-06-10 09:00+00' + ticket_id * interval '1 ms') FROM qms.ticket WHERE queue_id = iso.id('q')});
$ask->(q{
	CREATE FUNCTION iso.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused for ever'; END $$;
	CREATE TRIGGER refuse BEFORE UPDATE ON qms.ticket FOR EACH ROW WHEN (qms.number(NEW.number) <= 120 AND NEW.state = 'waiting') EXECUTE FUNCTION iso.refuse()});
$clock->at('2031-06-10 10:00+00');
is($ask->(q{SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM (SELECT state, count(*) AS n FROM qms.ticket WHERE queue_id = iso.id('q') GROUP BY 1) x}),
	'on_hold 120, waiting 10', 'ten behind 120 that fail');
ok($clock->idle, 'no spinning');
$ask->(q{DROP TRIGGER refuse ON qms.ticket});
$clock->at('2031-06-10 10:10+00');
is($ask->(q{SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM (SELECT state, count(*) AS n FROM qms.ticket WHERE queue_id = iso.id('q') GROUP BY 1) x}),
	'waiting 130', 'repaired: all');
is($ask->(q{SELECT max(n) FROM (SELECT count(*) AS n FROM qms.event WHERE kind = 'ticket.resumed' AND queue_id = iso.id('q') GROUP BY ticket_id) x}), '1', 'each once');

# ---- a whole task that fails does not disturb the others
$ask->(q{ALTER TABLE qms_internal.request RENAME TO request_gone});
$ask->(q{SELECT iso.world(1, '{"no_show_after": "3 min"}'); SELECT iso.call('one')});
$clock->at('2031-06-10 14:00+00');
is($events->('A001'), 'joined called no_show', 'a task fails, timers go on');
ok($log_has->(qr/task "requests" failed/), 'a line in the log');
ok($clock->idle, 'no spinning');
$ask->(q{ALTER TABLE qms_internal.request_gone RENAME TO request});
$clock->at('2031-06-10 15:00+00');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'no crash');

done_testing();
