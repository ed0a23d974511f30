# Check::Numbers: the numbers that each queue gave, in the order of the log: from 1 on without gaps in
# a service day, beginning again behind max_number where the queue wraps, never one that is in use.
package Check::Numbers;

use strict;
use warnings;

my $consecutive = 'numbers: consecutive';
my $unused = 'numbers: not given while in use';
my $rows = 'numbers: queue_number agrees';

sub new
{
	my ($class, %self) = @_;
	my $self = bless { %self, queue => {}, live => {}, freed => {}, older => {}, late => {} }, $class;

	$self->{report}->invariant($_) foreach $consecutive, $unused, $rows;
	return $self;
}

# Numbers of tickets that are older than the log: they may have been in use at any time.
sub read_older
{
	my ($self, $dbh, $begins) = @_;
	my $numbers = $dbh->selectcol_arrayref(q{
		SELECT branch_id || ' ' || number::text FROM (
			SELECT branch_id, number, joined_at FROM qms.ticket
			UNION ALL SELECT branch_id, number, joined_at FROM qms.ticket_history) t
		WHERE number IS NOT NULL AND joined_at < ?}, {}, $begins);

	$self->{older}{$_} = 1 foreach @$numbers;
}

# A number of a branch comes into use, or out of it.
sub take
{
	my ($self, $branch, $number, $id, $event) = @_;
	my $holder = $self->{live}{"$branch $number"};

	# A transfer draws its event before its number: the other may have left it in between.
	if (defined $holder && $holder != $id && $event->{kind} eq 'ticket.transferred')
	{
		$self->{late}{"$branch $number"} = [ $id, $event ];
		return;
	}
	$self->{report}->check($unused, !defined $holder || $holder == $id,
		"event $event->{event_id} gave $number of branch $branch to ticket $id, ", $holder, ' holds it');
	$self->{live}{"$branch $number"} = $id;
}

sub free
{
	my ($self, $branch, $number, $id, $event) = @_;
	my $key = "$branch $number";

	return delete $self->{late}{$key} if $self->{late}{$key} && $self->{late}{$key}[0] == $id;
	return unless ($self->{live}{$key} // 0) == $id;
	delete $self->{live}{$key};
	$self->{freed}{$key} = $event->{committed};
	my $late = delete $self->{late}{$key} or return;
	$self->{report}->check($unused, $event->{at} <= $late->[1]{committed},
		"event $late->[1]{event_id} gave $number of branch $branch to ticket $late->[0], $id held it");
	$self->{live}{$key} = $late->[0];
}

# In use, or still seen in use by somebody who began before the other's commit.
sub maybe_live
{
	my ($self, $branch, $number, $event, $surely) = @_;

	return 1 if defined $self->{live}{"$branch $number"};
	return 0 if $surely;
	return 1 if $self->{older}{"$branch $number"};
	my $freed = $self->{freed}{"$branch $number"} // return 0;
	return $freed + $self->{margin} >= $event->{at};
}

# The number after the last one, as far as numbers in use do not matter.
sub next_number
{
	my ($config, $n) = @_;

	$n++;
	return $config->{wrap} && $n > $config->{max_number} ? 1 : $n;
}

# A queue gave a new number.
sub given
{
	my ($self, $ticket, $id, $event) = @_;
	my ($n) = $ticket->{number} =~ /(\d+)$/;
	my $config = $self->{config}{queue}{ $ticket->{queue} };
	my $line = $self->{queue}{ $ticket->{queue} } //= { last => $self->{partial} ? undef : 0, day => '' };
	my $day = $event->{day};
	my $known = defined $line->{last};

	$n += 0;

	if ($day gt $line->{day})
	{
		# A new day begins at 1, unless somebody still holds a number and the queue lives on.
		$line->{last} = 0 if $line->{day} ne '' && !($config->{live_past_midnight} && $n == ($line->{last} // 0) + 1);
		$line->{day} = $day;
	}
	# A transfer draws its event before its number, so a join may come in between.
	if ($known && $event->{kind} eq 'ticket.transferred' && !$self->follows($line->{last}, $n, $ticket, $config, $event, 1))
	{
		$line->{early}{$n} = [ $ticket, $event ];
		return;
	}
	$self->{report}->check($consecutive, $self->follows($line->{last}, $n, $ticket, $config, $event),
		"event $event->{event_id} gave $ticket->{number} in queue $ticket->{queue} after ", $line->{last}) if $known;
	$self->advance($line, $n, $config);
}

# This one was the next; and perhaps one that a transfer drew early is next now.
sub advance
{
	my ($self, $line, $n, $config) = @_;

	$line->{last} = $n;
	while (my $early = delete $line->{early}{ next_number($config, $line->{last}) })
	{
		$self->{report}->check($consecutive, 1);
		$line->{last} = next_number($config, $line->{last});
	}
}

# Is n the next after last, but for numbers that were (surely) in use?
sub follows
{
	my ($self, $last, $n, $ticket, $config, $event, $surely) = @_;
	my $early = $self->{queue}{ $ticket->{queue} }{early} // {};
	my $try = $last;
	my @passed;

	# Limits that were other ones then are no measure.
	return $n == $last + 1 || $n == 1 if $config->{updated} > $event->{at};
	return 0 if $n > $config->{max_number};
	for (0 .. $config->{max_number})
	{
		$try = next_number($config, $try);
		if ($try == $n)
		{
			delete @{$early}{@passed};
			return 1;
		}
		push @passed, $try;
		return 0 unless $self->maybe_live($ticket->{branch}, $self->text($ticket->{number}, $try), $event, $surely);
		$self->{report}->note($consecutive, 'skipped, in use');
	}
	return 0;
}

# Another number in the form of this one.
sub text
{
	my ($self, $number, $n) = @_;
	my ($head, $digits) = $number =~ /^(.*?)(\d+)$/;

	return $head . sprintf('%0*d', length($digits), $n);
}

# What the table remembers is the last of the log.
sub finish
{
	my ($self, $dbh) = @_;
	$self->{report}->check($unused, 0, "event $_->[1]{event_id} gave ticket $_->[0] a number that is in use")
	  foreach values %{ $self->{late} };
	my $table = $dbh->selectall_hashref('SELECT queue_id, last_number FROM qms_internal.queue_number', 'queue_id');

	foreach my $queue (keys %{ $self->{queue} })
	{
		my $last = $table->{$queue}{last_number};
		my $line = $self->{queue}{$queue};
		my $early = $line->{early} // {};

		# Transfers that nobody followed.
		foreach my $n (sort { $early->{$a}[1]{event_id} <=> $early->{$b}[1]{event_id} } keys %$early)
		{
			my ($ticket, $event) = @{ delete $early->{$n} // next };

			$self->{report}->check($consecutive,
				$self->follows($line->{last}, $n, $ticket, $self->{config}{queue}{$queue}, $event),
				"event $event->{event_id} gave $ticket->{number} in queue $queue after ", $line->{last});
			$line->{last} = $n;
		}
		$self->{report}->check($rows, defined $last && $last == $self->{queue}{$queue}{last},
			"queue $queue: the log ends with $self->{queue}{$queue}{last}, the table has ", $last);
	}
	foreach my $queue (keys %$table)
	{
		$self->{report}->check($rows, $self->{partial} || $self->{queue}{$queue}, "queue $queue gave no number that the log knows");
	}
}

1;
