# Check::Tables: reads the log in order into the fold, then compares the fold with every row of
# ticket, ticket_history and ticket_leg, and what sessions were told with both.
package Check::Tables;

use strict;
use warnings;

my $microseconds = q{(1000000 * extract(epoch FROM %1$s - timestamptz '2000-01-01 00:00+00'))::bigint};

sub usec
{
	my ($what) = @_;
	return sprintf($microseconds, $what);
}

# Is the moment of each commit known?
sub knows_commits
{
	my ($dbh) = @_;
	my ($on) = $dbh->selectrow_array('SHOW track_commit_timestamp');
	return $on eq 'on';
}

# What of an event's data the fold reads.
my @data_keys = qw(sort_key customer_class_id service_id priority wanted_counter_id wanted_staff_id
  reinstated place undone_event_id policy passed_ticket_id staff_session_id);

# The log, in order of event_id, into the fold.  Answers how many events there were.
sub read_log
{
	my ($dbh, $fold, $margin) = @_;
	my $at = usec('e.at');
	my $commit = knows_commits($dbh) ? usec('pg_catalog.pg_xact_commit_timestamp(e.xid::pg_catalog.xid)') : 'NULL';
	my $arrival = usec(q{(e.data->>'effective_arrival')::timestamptz});
	my $data = join(', ', map { "e.data->>'$_' AS $_" } @data_keys);
	my $n = 0;

	$dbh->do(qq{
		DECLARE log NO SCROLL CURSOR FOR
		SELECT e.event_id, $at AS at, $commit AS committed, e.xid::text AS xid, e.kind, e.organization_id, e.branch_id, e.queue_id, e.visit_id,
			e.ticket_id, e.number::text AS number, e.state, e.version, e.counter_id, e.staff_id, $data, $arrival AS arrival,
			jsonb_exists_any(e.data->'was', '{wanted_counter_id,wanted_staff_id}') AS changes_wanted,
			(e.at AT TIME ZONE coalesce(b.time_zone, o.time_zone) - coalesce((q.settings->>'reset_time')::interval, '0'))::date AS day
		FROM qms.event e
			JOIN qms.organization o ON o.organization_id = e.organization_id
			LEFT JOIN qms.branch b ON b.branch_id = e.branch_id
			LEFT JOIN qms.queue q ON q.queue_id = e.queue_id
		WHERE e.ticket_id IS NOT NULL OR e.kind IN ('counter.opened', 'counter.paused', 'counter.resumed', 'counter.closed')
		ORDER BY e.event_id});
	while (1)
	{
		my $rows = $dbh->selectall_arrayref('FETCH 5000 FROM log', { Slice => {} });

		last unless @$rows;
		foreach my $event (@$rows)
		{
			# A commit that is not known, or of another transaction of that number, may be that late.
			$event->{committed} = $event->{at} + $margin
			  unless defined $event->{committed} && $event->{committed} >= $event->{at}
			  && $event->{committed} - $event->{at} < 600_000_000;
			$fold->event($event);
			$n++;
		}
	}
	$dbh->do('CLOSE log');
	return $n;
}

# Names of what the fold knows, and the columns it is compared with.
my @columns = (
	[ state => 't.state' ], [ version => 't.version' ], [ queue => 't.queue_id' ], [ branch => 't.branch_id' ],
	[ number => 't.number::text' ], [ counter => 't.counter_id' ], [ staff => 't.staff_id' ],
	[ visit => 't.visit_id' ], [ organization => 't.organization_id' ], [ key => 't.sort_key' ],
	[ arrival => usec('t.effective_arrival') ], [ class => 't.customer_class_id' ], [ service => 't.service_id' ],
	[ priority => 't.priority' ]);

# Each row is what the fold says, and each ticket of the fold has its row.
sub compare_tickets
{
	my ($dbh, $fold, $report) = @_;
	my %seen;

	$report->invariant($_) foreach 'ticket: state = fold(events)', 'ticket: none lost, none out of nowhere';
	foreach my $table (qw(ticket ticket_history))
	{
		my $list = join(', ', 't.ticket_id', usec('t.joined_at') . ' AS joined', map { "$_->[1] AS $_->[0]" } @columns);

		$dbh->do("DECLARE tickets NO SCROLL CURSOR FOR SELECT $list FROM qms.$table t");
		while (my @rows = @{ $dbh->selectall_arrayref('FETCH 5000 FROM tickets', { Slice => {} }) })
		{
			foreach my $row (@rows)
			{
				$seen{ $row->{ticket_id} } = 1;
				compare_ticket($row, $fold, $report, $table);
			}
		}
		$dbh->do('CLOSE tickets');
	}
	foreach my $id (keys %{ $fold->{ticket} })
	{
		my $ticket = $fold->{ticket}{$id};

		# Old partitions of past tickets may have been dropped before those of the log.
		$report->check('ticket: none lost, none out of nowhere',
			$seen{$id} || ($fold->{partial} && $ticket->{state} =~ /^(?:completed|no_show|cancelled|expired|revoked)$/),
			"ticket $id: the log ends with $ticket->{state}, no table has it");
	}
}

sub compare_ticket
{
	my ($row, $fold, $report, $table) = @_;
	my $id = $row->{ticket_id};
	my $ticket = $fold->{ticket}{$id};
	my @wrong;

	if (!$ticket)
	{
		$report->check('ticket: none lost, none out of nowhere', $fold->{partial} && $row->{joined} < $fold->{begins},
			"ticket $id of qms.$table has no event");
		return;
	}
	foreach my $column (map { $_->[0] } @columns)
	{
		# What began before the log does is known from it in part.
		next if $ticket->{partial} && !defined $ticket->{$column};
		push @wrong, "$column is " . ($row->{$column} // 'null') . ", the log says " . ($ticket->{$column} // 'null')
		  if ($row->{$column} // '') ne ($ticket->{$column} // '');
	}
	push @wrong, "is in qms.$table" if ($table eq 'ticket') != ($row->{state} !~ /^(?:completed|no_show|cancelled|expired|revoked)$/);
	$report->check('ticket: state = fold(events)', !@wrong, "ticket $id of qms.$table: ", join(', ', @wrong));
}

# Finished legs: one for each transfer that was not undone, numbered from 1 without gaps, each with the
# queue that the ticket was in.
sub compare_legs
{
	my ($dbh, $fold, $report) = @_;
	my %legs;
	my $name = 'leg: one for each transfer';

	$report->invariant($name);
	push @{ $legs{ $_->[0] } }, "$_->[1]:$_->[2]"
	  foreach @{ $dbh->selectall_arrayref('SELECT ticket_id, leg, queue_id FROM qms.ticket_leg ORDER BY ticket_id, leg') };
	my $rows = $dbh->selectall_arrayref(
		'SELECT ticket_id, leg FROM qms.ticket UNION ALL SELECT ticket_id, leg FROM qms.ticket_history');
	foreach my $row (@$rows)
	{
		my ($id, $leg) = @$row;
		my $ticket = $fold->{ticket}{$id};

		next if !$ticket || $ticket->{partial};
		my $n = 0;
		my $expected = join(' ', map { ++$n . ":$_" } @{ $ticket->{legs} });
		my $found = join(' ', @{ delete $legs{$id} // [] });

		$report->check($name, $found eq $expected && $leg == $n + 1,
			"ticket $id in leg $leg: legs and queues $found, the log says $expected");
	}
	foreach my $id (keys %legs)
	{
		$report->check($name, $fold->{partial}, "leg of ticket $id, which is in no table");
	}
}

# What was acknowledged to sessions must be in the log: lines as Storm::Client writes them.
sub compare_acknowledged
{
	my ($dbh, $fold, $report, $folder) = @_;
	my %known = map { ($_->[0] => 1) } @{ $dbh->selectall_arrayref(
		q{SELECT ticket_id || ' ' || version || ' ' || state FROM qms.event WHERE ticket_id IS NOT NULL}) };
	my %numbers = map { ($_->[0] => 1) } @{ $dbh->selectall_arrayref(
		q{SELECT DISTINCT ticket_id || ' ' || number::text FROM qms.event WHERE number IS NOT NULL}) };
	my %sessions = map { ($_->[0] => 1) } @{ $dbh->selectall_arrayref('SELECT staff_session_id FROM qms.staff_session') };
	my $name = 'acknowledged: is there';

	$report->invariant($name);
	foreach my $path (glob("$folder/acks.*"))
	{
		open(my $file, '<', $path) or die "$path: $!";
		while (my $line = <$file>)
		{
			chomp $line;
			my ($function, $request, $id, $version, $state, $number, $session) = split(/\t/, $line, -1);
			my $holds =
			    $session ne '' ? $sessions{$session}
			  : $version ne '' ? $known{"$id $version $state"}
			  : $fold->{ticket}{$id} && ($number eq '' || $numbers{"$id $number"});

			$report->check($name, $holds, "qms.$function answered \"$line\"");
		}
	}
}

1;
