# Storm::Desk: reception and supervisors, who act on anybody's ticket and at any counter.
package Storm::Desk;

use strict;
use warnings;

use Storm::Customer;

*pick = \&Storm::Customer::pick;

my @actions = (
	[ 10, \&join_vip ], [ 4, \&transfer ], [ 4, \&hold ], [ 8, \&resume ], [ 3, \&requeue ], [ 3, \&cancel ],
	[ 4, \&reinstate ], [ 4, \&update ], [ 3, \&look ], [ 2, \&survey ], [ 0.3, \&shut ], [ 2, \&at_some_counter ], [ 1, \&call_at_some_counter ], [ 6, \&rivals ]);

sub new
{
	my ($class, $client, $pool, $site) = @_;
	return bless { client => $client, pool => $pool, site => $site }, $class;
}

sub work
{
	my ($self) = @_;

	until ($self->{client}->over())
	{
		my $action = Storm::Customer::weighted(@actions);

		$self->$action();
	}
}

sub on_some_ticket
{
	my ($self, $function, %arguments) = @_;
	my ($ticket_id) = $self->{pool}->some() or return $self->join_vip();

	return $self->{client}->mutate($function, ticket_id => $ticket_id, %arguments);
}

# Classes and priorities that need staff.
sub join_vip
{
	my ($self) = @_;
	my $answer = $self->{client}->mutate('join_queue', queue_id => pick(@{ $self->{site}{queues} }),
		customer_class => pick(qw(regular senior VIP VIP)), priority => int(rand(4)));

	$self->{pool}->add($answer->{rows}[0]) if $answer->{rows} && defined $answer->{rows}[0]{ticket_id};
}

sub transfer
{
	my ($self) = @_;
	$self->on_some_ticket('transfer_ticket', queue_id => pick(@{ $self->{site}{queues} }),
		place => pick(qw(credit first last)));
}

sub hold
{
	my ($self) = @_;
	$self->on_some_ticket('hold_ticket', hold_kind => pick(qw(staff parked deferred away not_arrived)),
		rand() < 0.5 ? (resume_at => $self->{client}->moment(10 + rand(20))) : ());
}

sub update
{
	my ($self) = @_;
	my %what = pick([ priority => int(rand(4)) ], [ customer_class => pick(qw(regular senior VIP)) ],
		[ notes => 'seen' ], [ language => 'fr' ], [ service_id => pick(@{ $self->{site}{services} }) ])->@*;

	$self->on_some_ticket('update_ticket', %what);
}

sub resume { $_[0]->on_some_ticket('resume_ticket') }
sub requeue { $_[0]->on_some_ticket('requeue_ticket') }
sub cancel { $_[0]->on_some_ticket('cancel_ticket', reason => 'asked to') }
sub reinstate { $_[0]->on_some_ticket('reinstate_ticket', place => pick(qw(credit first last))) }

sub look
{
	my ($self) = @_;
	my ($ticket_id) = $self->{pool}->some() or return;
	$self->{client}->run(pick(qw(get_ticket explain_call)), { ticket_id => $ticket_id });
}

# What supervisors watch.
sub survey
{
	my ($self) = @_;
	my $queue_id = pick(@{ $self->{site}{queues} });
	my $branch_id = pick(@{ $self->{site}{offers} })->{branch_id};

	$self->{client}->run(@{ pick([ 'waiting_list', { queue_id => $queue_id } ], [ 'queue_status', { queue_id => $queue_id } ],
			[ 'branch_status', { branch_id => $branch_id } ]) });
}

# A queue is closed, or takes nobody for a moment, and opens again.
sub shut
{
	my ($self) = @_;
	my $queue_id = pick(@{ $self->{site}{queues} });
	my $how = rand();

	$how < 0.5 ? $self->{client}->mutate('pause_queue', queue_id => $queue_id)
	  : $self->{client}->mutate('close_queue', queue_id => $queue_id, waiting => $how < 0.75 ? 'expire' : 'serve');
	$self->{client}->mutate('open_queue', queue_id => $queue_id) foreach 1 .. 3;
}

# Two people press the buttons of one counter.
sub at_some_counter
{
	my ($self) = @_;
	my $counter = pick(@{ $self->{site}{counters} });

	$self->{client}->mutate(pick(qw(complete_service mark_no_show start_service recall_ticket undo)),
		counter_id => $counter->{counter_id});
}

sub call_at_some_counter
{
	my ($self) = @_;
	my $counter = pick(@{ $self->{site}{counters} });
	my ($ticket_id) = $self->{pool}->some() or return;

	return $self->{client}->mutate('call_ticket', counter_id => $counter->{counter_id}, ticket_id => $ticket_id)
	  if rand() < 0.5;
	$self->{client}->twice_at_once('call_next', counter_id => $counter->{counter_id}, finish_current => 'completed');
}

# Two of us, or one of us and the customer, at once: at one counter, or with one ticket.
sub rivals
{
	my ($self) = @_;
	my ($ticket_id, $queue_id, $token) = $self->{pool}->some() or return;
	my ($one, $two) = map { pick(@{ $self->{site}{counters} })->{counter_id} } 1, 2;
	my @calls = @{ pick(
			[ [ 'call_next', { counter_id => $one } ], [ 'call_next', { counter_id => $one } ] ],
			[ [ 'call_next', { counter_id => $one, finish_current => 'completed' } ], [ 'call_next', { counter_id => $one, finish_current => 'no_show' } ] ],
			[ [ 'call_ticket', { counter_id => $one, ticket_id => $ticket_id } ], [ 'call_ticket', { counter_id => $two, ticket_id => $ticket_id } ] ],
			[ [ 'call_ticket', { counter_id => $one, ticket_id => $ticket_id } ], [ 'leave_queue', { token => $token } ] ],
			[ [ 'transfer_ticket', { ticket_id => $ticket_id, queue_id => $queue_id } ], [ 'cancel_ticket', { ticket_id => $ticket_id } ] ],
			[ [ 'reinstate_ticket', { ticket_id => $ticket_id } ], [ 'reinstate_ticket', { ticket_id => $ticket_id } ] ],
			[ [ 'undo', { counter_id => $one } ], [ 'undo', { counter_id => $one } ] ],
			[ [ 'undo', { counter_id => $one } ], [ 'complete_service', { counter_id => $one } ] ],
			[ [ 'close_counter', { counter_id => $one } ], [ 'call_next', { counter_id => $one } ] ],
			[ [ 'join_queue', { queue_id => $queue_id, subject => 'person 1' } ], [ 'join_queue', { queue_id => $queue_id, subject => 'person 1' } ] ]) };

	$self->{client}->rivals(@calls);
}

1;
