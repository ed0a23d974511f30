#!/usr/bin/perl
# selftest.pl: can the checker fail?  Damages the data of the storm in one way after the other, each in
# a transaction that is rolled back, and expects the invariant that is meant to find it.
#
#   selftest.pl [--acks FOLDER] [--only PATTERN]      connection as for check.pl, as a superuser
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Check;
use DBI;
use Getopt::Long;

# Some ticket that fits, by a condition on qms.ticket t or qms.ticket_history t.
sub live { return "(SELECT t.ticket_id FROM qms.ticket t WHERE $_[0] ORDER BY 1 DESC LIMIT 1)" }
sub past { return "(SELECT t.ticket_id FROM qms.ticket_history t WHERE $_[0] ORDER BY 1 DESC LIMIT 1)" }

my $waiting = live(q{t.state = 'waiting'});
my $called = live(q{t.state = 'called'});
my $ended = past(q{t.state = 'completed' AND EXISTS (SELECT FROM qms.event e WHERE e.ticket_id = t.ticket_id AND e.kind = 'ticket.called')});
my $last_joined = q{(SELECT e.ticket_id FROM qms.event e JOIN qms_internal.queue_number n ON n.queue_id = e.queue_id
	WHERE e.kind = 'ticket.joined' ORDER BY e.event_id DESC LIMIT 1)};
# Another live ticket of the same branch or queue.
my $pair = q{
	(SELECT array[a.ticket_id, b.ticket_id] FROM qms.ticket a JOIN qms.ticket b
		ON b.queue_id = a.queue_id AND b.ticket_id > a.ticket_id WHERE a.state = 'waiting' AND b.state = 'waiting' LIMIT 1)};
# Somebody whose first wait was long, without limits on who may call him, while a counter called by turn
# in his queue: seconds on both sides.
my $passed = q{
	(SELECT l.ticket_id
		FROM (SELECT j.ticket_id, j.queue_id, j.at, coalesce(n.at, (SELECT max(at) FROM qms.event)) AS until
			FROM qms.event j
			LEFT JOIN qms.event n ON n.ticket_id = j.ticket_id AND n.version = 2
			LEFT JOIN qms.service s ON s.service_id = (j.data->>'service_id')::bigint
			WHERE j.kind = 'ticket.joined' AND j.state = 'waiting' AND j.visit_id = j.ticket_id
				AND coalesce(s.requires_skill, '{}') = '{}'
			ORDER BY coalesce(n.at, 'infinity') = 'infinity' DESC, n.at - j.at DESC LIMIT 300) l
		JOIN qms.event c ON c.queue_id = l.queue_id AND c.kind = 'ticket.called' AND c.data->>'policy' = 'fifo'
			AND c.at > l.at + interval '%1$s s' AND c.at < l.until - interval '%1$s s'
			AND NOT (c.data ? 'passed_ticket_id') AND c.visit_id = c.ticket_id
	ORDER BY c.event_id LIMIT 1)};

# What is done, and the invariant that must be broken then.
my @damages = (
	[ 'a waiting ticket is lost', 'ticket: none lost, none out of nowhere',
		"DELETE FROM qms.ticket WHERE ticket_id = $waiting" ],
	[ 'a past ticket is lost', 'ticket: none lost, none out of nowhere',
		"DELETE FROM qms.ticket_history WHERE ticket_id = $ended" ],
	[ 'a ticket is in both tables', 'ticket: live or past, not both',
		"UPDATE qms.ticket SET ticket_id = $ended WHERE ticket_id = $waiting" ],
	[ 'a ticket is on hold without an event', 'ticket: state = fold(events)',
		"UPDATE qms.ticket SET state = 'on_hold', hold_kind = 'staff', held_at = now() WHERE ticket_id = $waiting" ],
	[ 'a place in the line is changed', 'ticket: state = fold(events)',
		"UPDATE qms.ticket SET sort_key = sort_key - 1, credit = credit + interval '1 microsecond' WHERE ticket_id = $waiting" ],
	[ 'credit does not fit the key', 'ticket: columns fit its state',
		"UPDATE qms.ticket SET credit = credit + interval '1 microsecond' WHERE ticket_id = $waiting" ],
	[ 'an event is gone', 'log: versions without gaps',
		"DELETE FROM qms.event WHERE event_id = (SELECT event_id FROM qms.event WHERE ticket_id = $ended AND version = 2)" ],
	[ 'a first event is gone', 'log: from the first version on',
		"DELETE FROM qms.event WHERE ticket_id = $ended AND version = 1" ],
	[ 'a change that no ticket may make', 'log: transitions',
		"UPDATE qms.event SET kind = 'ticket.completed', state = 'completed' WHERE ticket_id = $ended AND kind = 'ticket.called'" ],
	[ 'an event says what it did not do', 'log: kinds say what they do',
		"UPDATE qms.event SET kind = 'ticket.held' WHERE ticket_id = $ended AND kind = 'ticket.called'" ],
	[ 'an undo that names another event', 'log: undo gives back what was',
		q{UPDATE qms.event SET data = data || '{"undone_event_id": 1}' WHERE event_id = (SELECT max(event_id) FROM qms.event WHERE kind = 'ticket.undone')} ],
	[ 'a ticket was called by two counters', 'log: one counter per ticket',
		q{UPDATE qms.event SET counter_id = counter_id + 1 WHERE event_id = (SELECT max(event_id) FROM qms.event WHERE kind = 'ticket.recalled')} ],
	[ 'a counter had two open calls', 'log: one open call per counter',
		q{UPDATE qms.event e SET counter_id = p.counter_id
			FROM (SELECT c.event_id, f.counter_id FROM qms.event f
				JOIN qms.event g ON g.ticket_id = f.ticket_id AND g.version = f.version + 1
				JOIN qms.event c ON c.kind = 'ticket.called' AND c.event_id > f.event_id AND c.event_id < g.event_id
				WHERE f.kind = 'ticket.called' LIMIT 1) p
			WHERE e.event_id = p.event_id} ],
	[ 'two open calls at a counter', 'one open call per counter',
		q{
		UPDATE qms.ticket SET (counter_id, staff_id, staff_session_id) = (SELECT counter_id, staff_id, staff_session_id
			FROM qms.ticket WHERE state IN ('called', 'serving') ORDER BY ticket_id LIMIT 1) WHERE state IN ('called', 'serving')} ],
	[ 'a person is called at two places', 'one place at a time per visit',
		q{UPDATE qms.ticket SET visit_id = (SELECT min(visit_id) FROM qms.ticket WHERE state IN ('called', 'serving'))
			WHERE state IN ('called', 'serving')} ],
	[ 'a session forgets its ticket', 'session: current ticket agrees',
		"UPDATE qms.staff_session SET current_ticket_id = NULL WHERE current_ticket_id = $called" ],
	[ 'two open sessions of a counter', 'session: one open per counter',
		'DROP INDEX qms.staff_session_open', 'DROP INDEX qms.staff_session_staff',
		'UPDATE qms.staff_session SET closed_at = NULL' ],
	[ 'a number is left out', 'numbers: consecutive',
		"UPDATE qms.event SET number = 'A900' WHERE ticket_id = $last_joined",
		"UPDATE qms.ticket SET number = 'A900' WHERE ticket_id = $last_joined" ],
	[ 'a number is given twice', 'numbers: unique among the live', 'DROP INDEX qms.ticket_number',
		"UPDATE qms.ticket SET number = (SELECT number FROM qms.ticket WHERE ticket_id = ($pair)[1]) WHERE ticket_id = ($pair)[2]" ],
	[ 'a number is given while in use', 'numbers: not given while in use',
		"UPDATE qms.event SET number = (SELECT number FROM qms.ticket WHERE ticket_id = ($pair)[1]) WHERE ticket_id = ($pair)[2]" ],
	[ 'the number row is behind', 'numbers: queue_number agrees',
		'UPDATE qms_internal.queue_number SET last_number = last_number - 1' ],
	[ 'a ticket in a queue of another organization', 'ids: exist and agree',
		"UPDATE qms.ticket t SET queue_id = (SELECT queue_id FROM qms.queue q WHERE q.organization_id <> t.organization_id LIMIT 1) WHERE ticket_id = $waiting" ],
	[ 'a service that does not exist', 'ids: exist and agree',
		"UPDATE qms.ticket_history SET service_id = 999999 WHERE ticket_id = $ended" ],
	[ 'a call without its session', 'ids: exist and agree',
		"UPDATE qms.ticket SET staff_session_id = 999999 WHERE ticket_id = $called" ],
	[ 'a request had two effects', 'request: one effect',
		q{UPDATE qms.event SET request_id = (SELECT max(request_id::text)::uuid FROM qms.event)
			WHERE event_id = (SELECT max(event_id) FROM qms.event WHERE request_id IS NULL)} ],
	[ 'two tokens of a visit', 'visit: one token',
		q{UPDATE qms.ticket_history SET token_nonce = token_nonce + 1 WHERE visit_id <> ticket_id} ],
	[ 'a visit that does not exist', 'visit: known, of one organization',
		"UPDATE qms.ticket SET visit_id = 999999 WHERE ticket_id = $waiting" ],
	[ 'one subject in two places', 'one live place per subject', 'DROP INDEX qms.ticket_subject',
		"UPDATE qms.ticket SET subject = 'twin' WHERE ticket_id = ANY (($pair)::bigint[])" ],
	[ 'a leg is gone', 'leg: one for each transfer',
		'DELETE FROM qms.ticket_leg WHERE ticket_id = (SELECT max(ticket_id) FROM qms.ticket_leg)' ],
	[ 'an event was published twice', 'stream: one position per event',
		'UPDATE qms_internal.event_position SET event_id = (SELECT max(event_id) FROM qms_internal.event_position)
			WHERE position = (SELECT max(position) - 1 FROM qms_internal.event_position)' ],
	[ 'an event was published before the one before it', 'stream: in the order of changes',
		"UPDATE qms_internal.event_position SET position = position + 1000000
			WHERE event_id = (SELECT event_id FROM qms.event WHERE ticket_id = $ended AND version = 2)" ],
	[ 'an event was never published', 'stream: no committed event left out',
		'DELETE FROM qms_internal.event_position WHERE event_id = (SELECT min(event_id) FROM qms.event)' ],
	[ 'held for another ticket that is not called', 'visit: held only while called elsewhere',
		"UPDATE qms.ticket SET state = 'on_hold', hold_kind = 'other_ticket', held_at = now() WHERE ticket_id = $waiting" ],
	[ 'somebody was passed over', 'order: nobody passed by turn',
		"UPDATE qms.event SET data = jsonb_set(data, '{sort_key}', '0') WHERE data ? 'sort_key' AND kind <> 'ticket.called' AND ticket_id = PASSED" ],
	[ 'somebody came earlier than the credits allow', 'order: bound by credits',
		"UPDATE qms.event SET data = data || '{\"effective_arrival\": \"2001-01-01\"}' WHERE data ? 'effective_arrival' AND ticket_id = PASSED" ],
	[ 'a key that credits do not give', 'order: key is arrival less credit',
		"UPDATE qms.event SET data = jsonb_set(data, '{sort_key}', '1') WHERE kind = 'ticket.joined' AND ticket_id = $ended" ],
	[ 'an arrival before the one before', 'log: arrivals grow',
		"UPDATE qms.event SET data = data || '{\"effective_arrival\": \"2001-01-01\"}' WHERE kind = 'ticket.joined' AND ticket_id = $last_joined" ],
	[ 'what was acknowledged has vanished with all traces', 'acknowledged: is there',
		"DELETE FROM qms.ticket WHERE ticket_id = $waiting",
		'DELETE FROM qms.event e WHERE e.ticket_id IS NOT NULL
			AND NOT EXISTS (SELECT FROM qms.ticket t WHERE t.ticket_id = e.ticket_id)
			AND NOT EXISTS (SELECT FROM qms.ticket_history t WHERE t.ticket_id = e.ticket_id)' ],
);

my %option = (margin => 1);
GetOptions(\%option, 'acks=s', 'only=s', 'margin=f') or exit 2;
my $dbh = DBI->connect('dbi:Pg:', undef, undef, { RaiseError => 1, PrintError => 0, pg_server_prepare => 0 }) or exit 2;
$dbh->do('SET statement_timeout = 0');
my ($passed_count, $failed_count) = (0, 0);

foreach my $damage (@damages)
{
	my ($what, $invariant, @statements) = @$damage;
	my $touched = 0;
	my $verdict;

	next if defined $option{only} && $what !~ /$option{only}/;
	$dbh->do('BEGIN');
	$dbh->do('SET LOCAL session_replication_role = replica');
	foreach my $sql (@statements)
	{
		my $margin = $option{margin} + 1;

		$sql =~ s/PASSED/sprintf($passed, $margin)/ge;
		$touched += $dbh->do($sql);
	}
	if ($touched == 0)
	{
		$verdict = 'there was nothing to damage';
	}
	else
	{
		my ($report) = Check::run($dbh, acks => $option{acks}, margin => $option{margin},
			ids_only => scalar(Check::Ids::has($invariant)));

		$verdict = 'was not found, but: ' . join(', ', $report->failed()) unless $report->{bad}{$invariant};
	}
	$dbh->do('ROLLBACK');
	printf("%-4s %-52s %s\n", $verdict ? 'FAIL' : 'ok', $what, $verdict // $invariant);
	$verdict ? $failed_count++ : $passed_count++;
}
print "$passed_count passed, $failed_count failed\n";
exit($failed_count ? 1 : 0);
