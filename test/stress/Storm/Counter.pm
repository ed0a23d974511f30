# Storm::Counter: a clerk at a counter of his own.
package Storm::Counter;

use strict;
use warnings;

use Storm::Customer;

*pick = \&Storm::Customer::pick;

# With somebody at the counter.
my @busy = (
	[ 14, \&start ], [ 12, \&complete ], [ 10, \&next_and_finish ], [ 3, \&no_show ], [ 3, \&recall ],
	[ 3, \&hold ], [ 4, \&transfer ], [ 3, \&requeue ], [ 4, \&undo ], [ 1, \&next_without_finish ],
	[ 1, \&pause ], [ 1, \&explain ], [ 1, \&close ], [ 1, \&status ]);
# With nobody.
my @idle = (
	[ 30, \&call_next ], [ 3, \&call_chosen ], [ 2, \&walk_up ], [ 4, \&undo ], [ 1, \&pause ], [ 1, \&close ],
	[ 3, \&resume_held ], [ 1, \&complete ], [ 1, \&status ]);

sub new
{
	my ($class, $client, $pool, $site, $counter) = @_;
	return bless { client => $client, pool => $pool, site => $site, counter => $counter, held => [] }, $class;
}

sub work
{
	my ($self) = @_;

	$self->open();
	until ($self->{client}->over())
	{
		my $action = Storm::Customer::weighted($self->{current} ? @busy : @idle);

		$self->$action();
	}
}

# A call of the counter; what it answers is believed, errors mend what we believed wrongly.
sub at_counter
{
	my ($self, $function, %arguments) = @_;
	my $answer = $self->{client}->mutate($function, counter_id => $self->{counter}{counter_id}, %arguments);
	my $row = $answer->{rows} ? $answer->{rows}[0] : undef;

	if ($row && defined $row->{ticket_id})
	{
		$self->{current} = $row->{state} =~ /^(?:called|serving)$/ ? $row : undef;
	}
	elsif ($answer->{rows})
	{
		$self->{current} = undef if $function eq 'call_next';
	}
	elsif ($answer->{state} eq 'QM404')
	{
		$self->open();
	}
	elsif ($answer->{state} eq 'QM405')
	{
		$self->{client}->mutate('resume_counter', counter_id => $self->{counter}{counter_id});
	}
	elsif ($answer->{state} eq 'QM407')
	{
		$self->{current} = undef;
	}
	elsif ($answer->{state} eq 'QM403')
	{
		$self->{current} = { ticket_id => undef };
		$self->next_and_finish();
	}
	return $answer;
}

sub open
{
	my ($self) = @_;
	my $counter = $self->{counter};
	my %more = defined $counter->{profile_id} ? (profile_id => $counter->{profile_id}) : ();

	$self->{current} = undef;
	$self->{client}->mutate('open_counter', counter_id => $counter->{counter_id},
		staff_id => $counter->{staff_id}, %more);
}

sub call_next { $_[0]->at_counter('call_next') }
sub next_without_finish { $_[0]->at_counter('call_next') }
sub next_and_finish { $_[0]->at_counter('call_next', finish_current => pick(qw(completed completed no_show left))) }
sub start { $_[0]->at_counter('start_service') }
sub complete { $_[0]->at_counter('complete_service', outcome => pick('done', 'referred', undef)) }
sub no_show { $_[0]->at_counter('mark_no_show') }
sub recall { $_[0]->at_counter('recall_ticket') }
sub undo { $_[0]->at_counter('undo') }
sub walk_up { $_[0]->at_counter('serve_walk_up', service_id => pick(@{ $_[0]{site}{services} })) }

sub status
{
	my ($self) = @_;
	$self->{client}->run('counter_status', { counter_id => $self->{counter}{counter_id} }) if $self->{site}{has}{counter_status};
}

sub explain
{
	my ($self) = @_;
	$self->{client}->run('explain_call', { ticket_id => $self->{current}{ticket_id} }) if defined $self->{current}{ticket_id};
}

sub pause
{
	my ($self) = @_;
	my $id = $self->{counter}{counter_id};

	$self->{client}->mutate('pause_counter', counter_id => $id, reason => 'coffee');
	$self->{client}->mutate('resume_counter', counter_id => $id) if rand() < 0.8;
}

sub close
{
	my ($self) = @_;
	my $answer = $self->{client}->mutate('close_counter', counter_id => $self->{counter}{counter_id});

	$self->open() if $answer->{rows} && rand() < 0.8;
}

sub call_chosen
{
	my ($self) = @_;
	my ($ticket_id) = $self->{pool}->some() or return;
	$self->at_counter('call_ticket', ticket_id => $ticket_id);
}

# Functions on the ticket, which then is at the counter no more.
sub with_current
{
	my ($self, $function, %arguments) = @_;
	my $ticket_id = $self->{current}{ticket_id} // return;
	my $answer = $self->{client}->mutate($function, ticket_id => $ticket_id, %arguments);

	$self->{current} = undef if $answer->{rows} || $answer->{state} =~ /^QM40[12]/;
	return $answer;
}

sub hold
{
	my ($self) = @_;
	my $ticket_id = $self->{current}{ticket_id};
	my %more = rand() < 0.3 ? (resume_at => $self->{client}->moment(10 + rand(20))) : ();

	$self->with_current('hold_ticket', reason => 'papers', hold_kind => pick(qw(staff parked away offline)),
		resume_to => pick(qw(place counter clerk)), %more);
	push @{ $self->{held} }, $ticket_id if defined $ticket_id;
}

sub resume_held
{
	my ($self) = @_;
	my $ticket_id = shift @{ $self->{held} } // return;
	$self->{client}->mutate('resume_ticket', ticket_id => $ticket_id);
}

sub requeue { $_[0]->with_current('requeue_ticket') }

sub transfer
{
	my ($self) = @_;
	my $counter = pick(@{ $self->{site}{counters} });
	my %more = rand() < 0.2 ? (counter_id => $counter->{counter_id})
	  : rand() < 0.2 ? (staff_id => $counter->{staff_id}) : ();

	$self->with_current('transfer_ticket', queue_id => pick(@{ $self->{site}{queues} }),
		place => pick(qw(credit credit first last)), note => 'please', %more);
}

1;
