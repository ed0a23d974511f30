# The end of service days, closing time and silent waiters, on a clock that the test moves: over both
# changes of the clocks, in far zones, at the ends of months and on a leap day.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

# Its leaps leave a counter open for months, whose hours the statistics would count one by one meanwhile.
my $node = Qms::node('days', 'qms.statistics_interval = 0', 'qms.workers = on', q{qms.mock_now = '2028-02-28 08:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

$ask->(q{
	CREATE SCHEMA d;
	CREATE TABLE d.queue (name text PRIMARY KEY, queue_id bigint, counter_id bigint);
	CREATE TABLE d.ticket (name text PRIMARY KEY, ticket_id bigint, token qms.ticket_token);
	CREATE FUNCTION d.queue(name text, zone text, settings jsonb) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		branch bigint;
		q bigint;
	BEGIN
		branch := branch_id FROM qms.create_branch((SELECT min(organization_id) FROM qms.organization), queue.name, zone);
		q := queue_id FROM qms.create_queue(queue.name, branch, settings => queue.settings);
		INSERT INTO d.queue VALUES (queue.name, q, (SELECT counter_id FROM qms.create_counter(branch, 'c', ARRAY[q])));
		PERFORM qms.open_counter(counter_id) FROM d.queue o WHERE o.queue_id = q;
	END $$;
	CREATE FUNCTION d.join(queue text, ticket text) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO d.ticket SELECT $2, ticket_id, token FROM qms.join_queue((SELECT queue_id FROM d.queue WHERE name = $1)) $$;
	CREATE FUNCTION d.state(ticket text) RETURNS text LANGUAGE sql AS $$
		SELECT coalesce((SELECT state FROM qms.ticket WHERE ticket_id = d.ticket_id),
			(SELECT state || ': ' || coalesce(end_reason, '') FROM qms.ticket_history WHERE ticket_id = d.ticket_id))
		FROM d.ticket d WHERE name = $1 $$;
	SELECT qms.create_organization('days');
	SELECT d.queue('berlin', 'Europe/Berlin', '{}'), d.queue('reset', 'Europe/Berlin', '{"reset_time": "02:30"}'),
		d.queue('kiritimati', 'Pacific/Kiritimati', '{}'), d.queue('midway', 'Pacific/Midway', '{"reset_time": "04:00"}'),
		d.queue('live', 'Europe/Berlin', '{"live_past_midnight": true}')});
my $state = sub { return $ask->('SELECT ' . join(', ', map { "d.state('$_')" } @_)) };
my $gone = 'expired: the day is over';

# boundary(queue, joined, the last moment of the day, the first of the next): expires then, not before.
my $n = 0;
sub boundary
{
	my ($queue, $joined, $last, $first, $what) = @_;
	my $ticket = 't' . ++$n;

	$clock->at($joined);
	$ask->("SELECT d.join('$queue', '$ticket')");
	$clock->at($last);
	is($state->($ticket), 'waiting', "$what: not before");
	$clock->at($first);
	is($state->($ticket), $gone, "$what: then");
	return;
}

boundary('berlin', '2028-02-28 15:00+00', '2028-02-28 22:59:59+00', '2028-02-28 23:00:00+00', 'a leap year\'s 28th of February');
boundary('berlin', '2028-02-29 15:00+00', '2028-02-29 22:59:59+00', '2028-02-29 23:00:00+00', 'the leap day, end of a month');
boundary('reset', '2028-03-25 15:00+00', '2028-03-26 00:59:59+00', '2028-03-26 01:00:00+00', 'reset_time left out in spring');
boundary('berlin', '2028-03-26 15:00+00', '2028-03-26 21:59:59+00', '2028-03-26 22:00:00+00', 'the day of 23 hours');
boundary('kiritimati', '2028-03-31 09:00+00', '2028-03-31 09:59:59+00', '2028-03-31 10:00:00+00', 'UTC+14');
boundary('midway', '2028-03-31 11:00+00', '2028-03-31 14:59:59+00', '2028-03-31 15:00:00+00', 'UTC-11, reset_time 04:00, end of a month');
boundary('reset', '2028-10-28 15:00+00', '2028-10-29 00:29:59+00', '2028-10-29 00:30:00+00', 'reset_time comes twice in autumn: the first');
# Between the two, local time is before reset_time again.
$ask->(q{SELECT d.join('reset', 'between')});
$clock->at('2028-10-29 01:05+00');
is($state->('between'), 'waiting', 'between the two nobody goes');
ok($clock->idle, 'and the scheduler sleeps');
$clock->at('2028-10-29 01:30+00');
is($state->('between'), 'waiting', 'the second ends no day');
boundary('berlin', '2028-10-29 15:00+00', '2028-10-29 22:59:59+00', '2028-10-29 23:00:00+00', 'the day of 25 hours');
boundary('berlin', '2028-12-31 15:00+00', '2028-12-31 22:59:59+00', '2028-12-31 23:00:00+00', 'the end of a year');
is($state->('between'), $gone, 'who was left between went with that day');

# Who stays: at a counter, and where the queue lives on.  Who is on hold goes.
$clock->at('2029-01-10 10:00+00');
$ask->(q{SELECT d.join('berlin', 'called'), d.join('live', 'live')});
$ask->(q{SELECT qms.call_next(counter_id) FROM d.queue WHERE name = 'berlin'});
$ask->(q{SELECT d.join('berlin', 'held'), d.join('berlin', 'back')});
$ask->(q{SELECT qms.hold_ticket(ticket_id, 'x', 'parked', '2029-01-12 10:00+00') FROM d.ticket WHERE name = 'held'});
$clock->at('2029-01-11 10:00+00');
is($state->('called', 'live', 'held', 'back'), "called|waiting|$gone|$gone", 'who stays and who goes');
$ask->(q{SELECT qms.reinstate_ticket(ticket_id, 'first') FROM d.ticket WHERE name = 'back'});
$ask->(q{SELECT d.queue('new', 'UTC', '{}')});
$clock->at('2029-01-11 20:00+00');
is($state->('back'), 'waiting', 'who is reinstated stays for that day');
$clock->at('2029-01-11 23:00+00');
is($state->('back'), $gone, 'and no longer');

# ---- closing time
$clock->at('2029-06-04 05:00+00');
$ask->(q{SELECT d.queue('office', 'Europe/Berlin', '{"expire_after_closing": "30 min", "join_from": "2 h"}'),
	d.queue('plain', 'Europe/Berlin', '{}')});
$ask->(q{SELECT qms.set_opening_hours('{"mon": [["08:00", "12:00"], ["14:00", "16:00"]], "tue": [["08:00", "12:00"]]}', queue_id => queue_id) FROM d.queue
	WHERE name IN ('office', 'plain')});
$clock->at('2029-06-04 07:00+00');
$ask->(q{SELECT d.join('office', 'morning'), d.join('office', 'held2'), d.join('plain', 'plain')});
$ask->(q{SELECT qms.hold_ticket(ticket_id, 'x', 'away') FROM d.ticket WHERE name = 'held2'});
$clock->at('2029-06-04 10:15+00');
$ask->(q{SELECT d.join('office', 'early')});
$clock->at('2029-06-04 10:29:59+00');
is($state->('morning', 'held2', 'early'), 'waiting|on_hold|waiting', 'closing time: half an hour is not over');
$clock->at('2029-06-04 10:30+00');
is($state->('morning', 'held2', 'early', 'plain'), 'expired: closing time|expired: closing time|waiting|waiting',
	'then they go; who came for the afternoon stays, and who is in a queue without the setting');
$clock->at('2029-06-04 12:30+00');
$ask->(q{SELECT qms.add_closure(branch_id, tstzrange('2029-06-04 13:00+00', '2029-06-04 20:00+00'), 'power cut') FROM qms.queue JOIN d.queue d USING (queue_id)
	WHERE d.name = 'office'});
$clock->at('2029-06-04 13:29+00');
is($state->('early'), 'waiting', 'a closure ends the afternoon sooner: not yet');
$clock->at('2029-06-04 13:30+00');
is($state->('early'), 'expired: closing time', 'now');
ok($clock->idle, 'the scheduler sleeps');

# ---- silent waiters; those of a queue without the setting hide nobody
$clock->at('2029-07-02 08:00+00');
$ask->(q{SELECT d.queue('silent', 'UTC', '{"heartbeat_timeout": "2 min"}')});
$ask->(q{SELECT setval('qms.ticket_ticket_id_seq', 10000)});
$ask->(q{INSERT INTO qms_internal.ticket_seen SELECT 1000 + g, t.organization_id, '2029-07-02 08:00+00'
	FROM generate_series(1, 2500) g, (SELECT max(ticket_id) AS ticket_id, max(organization_id) AS organization_id FROM qms.ticket_history) t});
$ask->(q{SELECT d.join('silent', 'talks'), d.join('silent', 'stops'), d.join('silent', 'never'), d.join('live', 'elsewhere'), d.join('silent', 'ends')});
my $beat = sub { $ask->("SELECT qms.heartbeat(token) FROM d.ticket WHERE name = '$_'") foreach @_ };
$beat->('talks', 'stops', 'elsewhere', 'ends');
$ask->(q{SELECT qms.cancel_ticket(ticket_id, 'x') FROM d.ticket WHERE name = 'ends'});
$clock->at('2029-07-02 08:01:30+00');
$beat->('talks');
is($ask->(q{SELECT count(*) FROM qms_internal.ticket_seen}), '3', 'rows of tickets that ended are gone');
$clock->at('2029-07-02 08:01:59+00');
is($state->('stops'), 'waiting', 'silent: not before its time');
$clock->at('2029-07-02 08:02:40+00');
is($state->('talks', 'stops', 'never', 'elsewhere'), 'waiting|expired: not heard of|waiting|waiting', 'who stops is out');
$clock->at('2029-07-02 08:05+00');
is($state->('talks'), 'expired: not heard of', 'later the other one too');
is($ask->(q{SELECT count(*) FROM (SELECT FROM qms.event WHERE kind = 'ticket.expired'
	AND ticket_id <> (SELECT ticket_id FROM d.ticket WHERE name = 'back') GROUP BY ticket_id HAVING count(*) > 1) x}), '0',
	'nobody expired twice');
ok($clock->idle, 'the scheduler sleeps');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal|ERROR|task "(?!retention)/, 'a quiet log');

done_testing();
