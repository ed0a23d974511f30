# Check::Order: replays who waited, and asks of each call by turn whom it passed over.
#
# The log orders events, not commits, so a pair (called, passed) counts only if it is certain: the
# passed one's place had been committed before the call began, and whoever changed him next began
# after the call had committed.  Commit times come from track_commit_timestamp where it is on, else a
# margin stands for them.  A pair that is not certain is noted as "at the same moment".
package Check::Order;

use strict;
use warnings;

# new(name => invariant, report, key => sub {snapshot} -> number or undef, margin => microseconds)
sub new
{
	my ($class, %self) = @_;
	my $self = bless { %self, line => {}, place => {}, pending => {} }, $class;

	$self->{report}->invariant($self->{name});
	return $self;
}

# Where (key, ticket) stands or would stand in a line.
sub position
{
	my ($line, $key, $id) = @_;
	my ($low, $high) = (0, scalar @$line);

	while ($low < $high)
	{
		my $middle = int(($low + $high) / 2);
		my $entry = $line->[$middle];

		if ($entry->{key} < $key || ($entry->{key} == $key && $entry->{id} < $id)) { $low = $middle + 1 }
		else { $high = $middle }
	}
	return $low;
}

sub leave
{
	my ($self, $id) = @_;
	my $entry = delete $self->{place}{$id} or return;
	my $line = $self->{line}{ $entry->{queue} };

	splice(@$line, position($line, $entry->{key}, $id), 1);
	return $entry;
}

sub enter
{
	my ($self, $id, $ticket, $event, $before) = @_;
	my $key = $self->{key}->($ticket) // return;
	my $line = $self->{line}{ $ticket->{queue} } //= [];
	my $entry = { id => $id, key => $key, queue => $ticket->{queue}, class => $ticket->{class},
		free => $ticket->{free}, since => $event->{committed}, before => $before };

	$self->{place}{$id} = $entry;
	splice(@$line, position($line, $key, $id), 0, $entry);
}

# A ticket changed: calls that passed him are settled, and his place follows.
sub changed
{
	my ($self, $id, $ticket, $event) = @_;

	$self->settle($id, $event->{at});
	my $before = $self->leave($id);
	$before = undef if $before && $before->{queue} != $ticket->{queue};
	$self->enter($id, $ticket, $event, $before) if $ticket->{state} eq 'waiting';
}

# Calls that passed him, now that we know when somebody touched him next.
sub settle
{
	my ($self, $id, $next_at) = @_;

	foreach my $call (@{ delete $self->{pending}{$id} // [] })
	{
		if (defined $next_at && $next_at <= $call->{committed})
		{
			$self->{report}->note($self->{name}, 'at the same moment');
			next;
		}
		$self->{report}->add($self->{name}, 0, 1,
			"event $call->{event} called ticket $call->{ticket} (key $call->{key}) while $id (key $call->{his}) waited in queue $call->{queue}");
	}
}

# Somebody is called by turn: $ticket as he waited.  How says which of those before him count.
sub called
{
	my ($self, $id, $event, $how) = @_;
	my $entry = $self->{place}{$id} or return;
	my $line = $self->{line}{ $entry->{queue} };
	my $n = position($line, $entry->{key}, $id);

	$self->{report}->check($self->{name}, 1);
	foreach my $other (@{$line}[ 0 .. $n - 1 ])
	{
		next if $other->{key} == $entry->{key};
		$self->judge($entry, $other, $event, $how);
	}
}

# The call names the first one that it found locked; others behind him may have been locked too.
sub was_locked
{
	my ($self, $other, $passed) = @_;

	return 0 unless defined $passed;
	my $named = $self->{place}{$passed} // return 1;
	return $named->{key} <= $other->{key};
}

# He stood before the other until a moment ago, and was found at his old place.
sub moved_back
{
	my ($self, $entry, $other, $event) = @_;

	return $entry->{before} && $entry->{before}{key} <= $other->{key} && $entry->{since} + $self->{margin} >= $event->{at};
}

sub judge
{
	my ($self, $entry, $other, $event, $how) = @_;
	my $why =
	    $how->{same_class} && ($other->{class} // 0) != ($entry->{class} // 0) ? 'by policy'
	  : !$other->{free} ? 'not for every counter'
	  : $self->was_locked($other, $how->{passed}) ? 'was locked'
	  : $other->{since} + $self->{margin} >= $event->{at} ? 'at the same moment'
	  : $self->moved_back($entry, $other, $event) ? 'at the same moment'
	  : undef;

	return $self->{report}->note($self->{name}, $why) if defined $why;
	push @{ $self->{pending}{ $other->{id} } },
	  { event => $event->{event_id}, ticket => $entry->{id}, key => $entry->{key}, his => $other->{key},
		queue => $entry->{queue}, committed => $event->{committed} };
}

# The log is over: nobody touched the others any more.
sub finish
{
	my ($self) = @_;
	$self->settle($_) foreach keys %{ $self->{pending} };
}

1;
