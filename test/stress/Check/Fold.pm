# Check::Fold: folds the event log into tickets, by the states and rules of the design, without
# looking at any table: what each ticket is, who is at which counter, which numbers are in use.
package Check::Fold;

use strict;
use warnings;

# The states a ticket may go to: the table of transitions.
my %may_become = (
	booked => [qw(waiting cancelled no_show)],
	waiting => [qw(waiting called serving on_hold released expired cancelled)],
	called => [qw(called serving waiting on_hold no_show cancelled)],
	serving => [qw(serving completed on_hold waiting cancelled)],
	on_hold => [qw(on_hold waiting expired cancelled)],
	released => [qw(released admitted expired cancelled)],
	admitted => [qw(admitted completed expired revoked cancelled)]);
my %transition = map { my $from = $_; map { ("$from $_" => 1) } @{ $may_become{$from} } } keys %may_become;
my %finished = map { $_ => 1 } qw(completed no_show cancelled expired revoked);
my %at_counter = map { $_ => 1 } qw(called serving);

# What each kind of event does: states before, states after.
my $any_open = [ keys %may_become ];
my %kinds = (
	'ticket.joined' => [ [], [qw(waiting on_hold booked)] ],
	'ticket.called' => [ ['waiting'], ['called'] ],
	'ticket.recalled' => [ ['called'], ['called'] ],
	'ticket.serving' => [ [qw(waiting called)], ['serving'] ],
	'ticket.completed' => [ [qw(serving admitted)], ['completed'] ],
	'ticket.no_show' => [ [qw(called booked)], ['no_show'] ],
	# Whose hold is over while the person is at a counter is on hold for that instead.
	'ticket.held' => [ [qw(waiting called serving on_hold)], ['on_hold'] ],
	'ticket.resumed' => [ ['on_hold'], ['waiting'] ],
	'ticket.arrived' => [ [qw(on_hold booked)], ['waiting'] ],
	'ticket.requeued' => [ ['called'], ['waiting'] ],
	'ticket.deferred' => [ ['waiting'], [qw(waiting on_hold)] ],
	'ticket.transferred' => [ [qw(waiting called serving on_hold)], [qw(waiting on_hold)] ],
	'ticket.cancelled' => [ $any_open, ['cancelled'] ],
	'ticket.expired' => [ [qw(waiting on_hold released admitted)], ['expired'] ],
	'ticket.released' => [ ['waiting'], ['released'] ],
	'ticket.admitted' => [ ['released'], ['admitted'] ],
	'ticket.revoked' => [ ['admitted'], ['revoked'] ],
	'ticket.updated' => [ $any_open, undef ],
	'ticket.reinstated' => [ [ keys %finished ], ['waiting'] ],
	'ticket.undone' => [ undef, undef ]);

# Kinds that may change the queue, and those that may change the number.
my %may_move = map { $_ => 1 } qw(ticket.transferred ticket.undone);
my %may_number = map { $_ => 1 } qw(ticket.transferred ticket.undone ticket.reinstated);

my @invariants = (
	'log: from the first version on', 'log: versions without gaps', 'log: transitions', 'log: kinds say what they do',
	'log: undo gives back what was', 'log: one open call per counter', 'log: one counter per ticket',
	'log: one place at a time per visit', 'log: arrivals grow', 'order: key is arrival less credit');

# new(report =>, config =>, margin =>, numbers => Check::Numbers, orders => [Check::Order...], since => first moment of the log)
sub new
{
	my ($class, %self) = @_;
	my $self = bless { %self, ticket => {}, counter => {}, visit => {}, several => {}, arrival => {} }, $class;

	$self->{report}->invariant($_) foreach @invariants;
	return $self;
}

# The ticket as an event says, on top of what it was.
sub apply
{
	my ($self, $event, $before) = @_;
	my %ticket = $before ? %$before : (legs => []);

	delete @ticket{qw(before action)};
	$ticket{xid} = $event->{xid};
	@ticket{qw(id state version queue branch number counter staff visit organization kind event)} =
	  @{$event}{qw(ticket_id state version queue_id branch_id number counter_id staff_id visit_id organization_id kind event_id)};
	$ticket{key} = $event->{sort_key} if defined $event->{sort_key};
	$ticket{arrival} = $event->{arrival} if defined $event->{arrival};
	# These four come together; a service that is not named is none.
	@ticket{qw(class service priority)} = @{$event}{qw(customer_class_id service_id priority)} if defined $event->{arrival};
	$ticket{legs} = [ @{ $before->{legs} }, $before->{queue} ] if $before && $event->{kind} =~ /^ticket\.(?:transferred|reinstated)$/;
	$self->note_limits(\%ticket, $event);
	return \%ticket;
}

# Who may not be called by every counter, and whose key is no longer arrival less credit.
sub note_limits
{
	my ($self, $ticket, $event) = @_;
	my $kind = $event->{kind};

	$self->{several}{ $ticket->{visit} } = 1 if $ticket->{visit} != $ticket->{id};
	$ticket->{wanted} = 1 if $event->{changes_wanted};
	$ticket->{wanted} = $event->{wanted_counter_id} || $event->{wanted_staff_id} ? 1 : 0
	  if $kind =~ /^ticket\.(?:transferred|reinstated)$/;
	$ticket->{moved} = 1 if $kind eq 'ticket.deferred' && $ticket->{state} eq 'waiting';
	$ticket->{moved} = ($event->{place} // '') ne 'credit' if $kind =~ /^ticket\.(?:transferred|reinstated)$/;
	$ticket->{free} = !$self->{several}{ $ticket->{visit} } && !$ticket->{wanted} && !$self->{config}->needs_skill($ticket);
}

sub event
{
	my ($self, $event) = @_;
	my $report = $self->{report};

	return $self->{sessions}->event($event) unless defined $event->{ticket_id};
	# A ticket that comes back from the past is told as resumed.
	$event->{kind} = 'ticket.reinstated' if $event->{kind} eq 'ticket.resumed' && ($event->{reinstated} // '') eq 'true';
	my $id = $event->{ticket_id};
	my $before = $self->{ticket}{$id};
	my $after = $self->apply($event, $before);
	if (!$before)
	{
		# Where old events were dropped, a ticket may be known from the middle of its life on.
		my $whole = $event->{kind} eq 'ticket.joined' && $event->{version} == 1;

		$report->check($invariants[0], $whole || $self->{partial},
			"ticket $id begins with event $event->{event_id}, $event->{kind}, version $event->{version}");
		# Of its place before we know nothing.
		$after->{partial} = $after->{moved} = 1 unless $whole;
	}
	else
	{
		$self->check_step($event, $before, $after);
	}
	$self->check_counters($event, $before, $after);
	$self->check_numbers($event, $before, $after);
	$self->check_key($event, $after);
	$self->follow_orders($event, $before, $after);
	$self->remember($event, $before, $after);
	$self->{ticket}{$id} = $after;
}

# For undo: what it was before this event, and before all that the same transaction did to it.  Recalls
# belong to their call.
sub remember
{
	my ($self, $event, $before, $after) = @_;

	if ($event->{kind} eq 'ticket.recalled')
	{
		@{$after}{qw(before action undoable)} = @{$before}{qw(before action undoable)} if $before;
	}
	else
	{
		$after->{before} = $before;
		$after->{action} = $before && $before->{xid} == $event->{xid} ? $before->{action} : $before;
		$after->{undoable} = $event->{event_id};
	}
	delete @{$before}{qw(before action)} if $before;
}

sub check_step
{
	my ($self, $event, $before, $after) = @_;
	my $report = $self->{report};
	my $where = "event $event->{event_id} ($event->{kind}) of ticket $event->{ticket_id}: ";

	$report->check('log: versions without gaps', $after->{version} == $before->{version} + 1,
		"${where}version $after->{version} after $before->{version}");
	return $self->check_undo($event, $before, $after, $where) if $event->{kind} eq 'ticket.undone';
	my $rule = $kinds{ $event->{kind} };

	$report->check('log: transitions',
		$transition{"$before->{state} $after->{state}"} || $event->{kind} eq 'ticket.reinstated',
		"$where$before->{state} became $after->{state}");
	my $fits = $rule && (grep { $_ eq $before->{state} } @{ $rule->[0] })
	  && ($rule->[1] ? grep { $_ eq $after->{state} } @{ $rule->[1] } : $before->{state} eq $after->{state});
	$fits &&= $before->{queue} == $after->{queue} unless $may_move{ $event->{kind} };
	$fits &&= ($before->{number} // '') eq ($after->{number} // '') unless $may_number{ $event->{kind} };
	$fits &&= $before->{visit} == $after->{visit} && $before->{organization} == $after->{organization};
	$report->check('log: kinds say what they do', $fits,
		"$where$before->{state} in queue $before->{queue} as ", $before->{number},
		" became $after->{state} in queue $after->{queue} as ", $after->{number});
}

# What undo gives back: the ticket as it was before the event that it names, which was its last, or
# before all that the same call did (a call from hold, an end that implied a start).
sub check_undo
{
	my ($self, $event, $before, $after, $where) = @_;
	my $was = $before->{before};

	$was = $before->{action} if $was && $was->{state} ne $after->{state} && $before->{action};
	my $undone = $event->{undone_event_id};
	my @wrong;

	return if $before->{partial} && !$was;
	push @wrong, 'names event ' . ($undone // 'null') . ', the last one was ' . ($before->{undoable} // 'null')
	  if !defined $undone || $undone != ($before->{undoable} // 0);
	if ($was)
	{
		foreach my $what (qw(state queue branch number key arrival class service priority))
		{
			next if $before->{partial} && !defined $was->{$what};
			push @wrong, "$what " . ($after->{$what} // 'null') . ' instead of ' . ($was->{$what} // 'null')
			  if ($after->{$what} // '') ne ($was->{$what} // '');
		}
		push @wrong, 'counter ' . ($after->{counter} // 'null') . ' instead of ' . ($was->{counter} // 'null')
		  if $at_counter{ $was->{state} } && ($after->{counter} // 0) != ($was->{counter} // 0);
		@{$after}{qw(moved wanted free legs)} = @{$was}{qw(moved wanted free legs)};
	}
	$self->{report}->check('log: undo gives back what was', !@wrong, $where, join(', ', @wrong));
}

# Who is at which counter, and where a person is called, at each moment of the log.
sub check_counters
{
	my ($self, $event, $before, $after) = @_;
	my ($id, $visit, $counter) = @{$after}{qw(id visit counter)};
	my $report = $self->{report};

	if ($before && $at_counter{ $before->{state} })
	{
		delete $self->{counter}{ $before->{counter} } if ($self->{counter}{ $before->{counter} } // 0) == $id;
		delete $self->{visit}{ $before->{visit} } if ($self->{visit}{ $before->{visit} } // 0) == $id;
	}
	return unless $at_counter{ $after->{state} };
	my $where = "event $event->{event_id}: ticket $id at counter ";
	my $same = !$before || !$at_counter{ $before->{state} } || $before->{counter} == $counter;

	$report->check('log: one counter per ticket', defined $counter && $same, $where, $counter, ' and at ', $before && $before->{counter});
	return unless defined $counter;
	$self->{sessions}->called($event) if $before && $before->{state} eq 'waiting' && $event->{kind} ne 'ticket.undone';
	$report->check('log: one open call per counter', !$self->{counter}{$counter}, "$where$counter, where ",
		$self->{counter}{$counter}, ' is');
	$report->check('log: one place at a time per visit', !$self->{visit}{$visit}, "$where$counter, while ",
		$self->{visit}{$visit}, " of visit $visit is called elsewhere");
	$self->{counter}{$counter} = $id;
	$self->{visit}{$visit} = $id;
}

# Numbers given, taken along, in use and free again.
sub check_numbers
{
	my ($self, $event, $before, $after) = @_;
	my $numbers = $self->{numbers};
	my ($old, $new) = map {
		$_ && defined $_->{number} && !$finished{ $_->{state} } ? "$_->{branch} $_->{number}" : ''
	} $before, $after;
	my $is_new = !$before ? !$after->{partial}
	  : $event->{kind} ne 'ticket.undone' && defined $after->{number}
	  && ($before->{branch} != $after->{branch} || $before->{number} ne $after->{number});

	return unless defined $after->{number} || $old ne '';
	$numbers->free(split(/ /, $old), $after->{id}, $event) if $old ne '' && $old ne $new;
	$numbers->given($after, $after->{id}, $event) if $is_new;
	$numbers->take(split(/ /, $new), $after->{id}, $event) if $new ne '' && $new ne $old;
}

# Arrival grows in each queue; the key is arrival less what class, service and priority are worth.
sub check_key
{
	my ($self, $event, $after) = @_;
	my $report = $self->{report};
	my $queue = $after->{queue};

	if ($event->{kind} eq 'ticket.joined' && defined $after->{number})
	{
		my $last = $self->{arrival}{$queue};

		$report->check('log: arrivals grow', !defined $last || $after->{arrival} > $last,
			"event $event->{event_id}: ticket $after->{id} arrived at ", $after->{arrival}, ' after ', $last);
		$self->{arrival}{$queue} = $after->{arrival};
	}
	my $expected = $self->expected_key($after, $event);
	return unless defined $expected && defined $event->{sort_key};
	$report->check('order: key is arrival less credit', $expected == $after->{key},
		"event $event->{event_id} ($event->{kind}): ticket $after->{id} has key $after->{key} instead of $expected");
}

# Undef where a place was given otherwise, or the configuration has changed since.
sub expected_key
{
	my ($self, $ticket, $event) = @_;

	return if $ticket->{moved} || !defined $ticket->{arrival};
	my $credit = $self->{config}->credit($ticket, $event ? $event->{at} : undef);
	return defined $credit ? $ticket->{arrival} - $credit : undef;
}

# A call by turn is judged before the ticket leaves the line.
sub follow_orders
{
	my ($self, $event, $before, $after) = @_;

	if ($event->{kind} eq 'ticket.called' && $before && ($event->{policy} // '') ne 'chosen')
	{
		my %how = (same_class => ($event->{policy} // '') ne 'fifo', passed => $event->{passed_ticket_id});

		$_->called($after->{id}, $event, \%how) foreach @{ $self->{orders} };
	}
	$_->changed($after->{id}, $after, $event) foreach @{ $self->{orders} };
}

sub finish
{
	my ($self) = @_;
	$_->finish() foreach @{ $self->{orders} };
}

1;
