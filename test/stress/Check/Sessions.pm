# Check::Sessions: counters opened, paused, resumed and closed by the log, calls only at open ones, and
# the rows of staff_session as the log leaves them.
package Check::Sessions;

use strict;
use warnings;

use Scalar::Util qw(weaken);

my $steps = 'session: steps in order';
my $calls = 'session: calls only while open';
my $rows = 'session: row = fold(events)';

sub new
{
	my ($class, %self) = @_;
	my $self = bless { %self, open => {}, session => {} }, $class;

	weaken($self->{fold});
	$self->{report}->invariant($_) foreach $steps, $calls, $rows;
	return $self;
}

# An event counter.*
sub event
{
	my ($self, $event) = @_;
	my $what = substr($event->{kind}, length 'counter.');
	my $counter = $event->{counter_id};
	my $id = $event->{staff_session_id} // return;
	my $session = $self->{open}{$counter};
	my $paused = $session && $session->{paused};
	my $fits =
	    $what eq 'opened' ? !$session
	  : $what eq 'paused' ? $session && $session->{id} == $id && !$paused
	  : $what eq 'resumed' ? $session && $session->{id} == $id && $paused
	  : $what eq 'closed' ? $session && $session->{id} == $id && !$self->{fold}{counter}{$counter}
	  : 1;

	# A session that was opened before the log begins.
	$fits = 1 if $self->{partial} && !$session;
	$self->{report}->check($steps, $fits, "event $event->{event_id}: $event->{kind} of session $id at counter $counter");
	$session = $self->{session}{$id} //= { id => $id, counter => $counter, calls => 0, paused => 0 };
	$session->{staff} = $event->{staff_id};
	$session->{paused} = $what eq 'paused' ? 1 : 0;
	$session->{closed} = $what eq 'closed';
	$self->{open}{$counter} = $session->{closed} ? undef : $session;
}

# A ticket came to a counter.
sub called
{
	my ($self, $event) = @_;
	my $session = $self->{open}{ $event->{counter_id} };

	$self->{report}->check($calls, $self->{partial} || $session && !$session->{paused},
		"event $event->{event_id} ($event->{kind}): counter $event->{counter_id} is ", $session ? 'paused' : 'closed');
	$session->{calls}++ if $session;
}

sub finish
{
	my ($self, $dbh) = @_;
	my $found = $dbh->selectall_hashref(q{
		SELECT staff_session_id, counter_id, staff_id, (paused_at IS NOT NULL)::int AS paused, (closed_at IS NOT NULL)::int AS closed
		FROM qms.staff_session}, 'staff_session_id');

	foreach my $id (keys %{ $self->{session} })
	{
		my $session = $self->{session}{$id};
		my $row = delete $found->{$id};
		my @wrong = !$row ? 'is not there' : (
			$row->{counter_id} == $session->{counter} ? () : "is of counter $row->{counter_id}",
			($row->{staff_id} // 0) == ($session->{staff} // 0) ? () : 'is of staff ' . ($row->{staff_id} // 'null'),
			$session->{closed} || $row->{paused} == $session->{paused} ? () : "paused is $row->{paused}",
			$row->{closed} == ($session->{closed} ? 1 : 0) ? () : "closed is $row->{closed}");

		$self->{report}->check($rows, !@wrong, "session $id: ", join(', ', @wrong));
	}
	foreach my $id (keys %$found)
	{
		$self->{report}->check($rows, $self->{partial}, "session $id was never opened");
	}
}

1;
