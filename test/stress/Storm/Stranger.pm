# Storm::Stranger: an administrator of another organization, to whom our tickets do not exist.
package Storm::Stranger;

use strict;
use warnings;

use Storm::Customer;

*pick = \&Storm::Customer::pick;

sub new
{
	my ($class, $client, $pool, $site, $other) = @_;
	return bless { client => $client, pool => $pool, site => $site, other => $other }, $class;
}

sub work
{
	my ($self) = @_;

	until ($self->{client}->over())
	{
		$self->at_home();
		$self->elsewhere();
	}
}

# His own branch works meanwhile.
sub at_home
{
	my ($self) = @_;
	my $client = $self->{client};
	my $counter_id = $self->{other}{counter_id};
	my $answer = $client->mutate('join_queue', queue_id => $self->{other}{queue_id});

	push @{ $self->{mine} }, $answer->{rows}[0]{ticket_id} if $answer->{rows};
	$client->mutate('open_counter', counter_id => $counter_id) unless $self->{open}++;
	$client->mutate('call_next', counter_id => $counter_id, finish_current => 'completed');
	$client->mutate('undo', counter_id => $counter_id) if rand() < 0.2;
	$client->mutate('cancel_ticket', ticket_id => pick(@{ $self->{mine} })) if @{ $self->{mine} // [] } && rand() < 0.3;
}

sub elsewhere
{
	my ($self) = @_;
	my ($ticket_id, $queue_id, $token) = $self->{pool}->some() or return;
	my $counter = pick(@{ $self->{site}{counters} });
	my ($function, %arguments) = @{ pick(
			[ 'cancel_ticket', ticket_id => $ticket_id ],
			[ 'hold_ticket', ticket_id => $ticket_id ],
			[ 'transfer_ticket', ticket_id => $ticket_id, queue_id => $self->{other}{queue_id} ],
			[ 'call_ticket', ticket_id => $ticket_id, counter_id => $counter->{counter_id} ],
			[ 'call_next', counter_id => $counter->{counter_id} ],
			[ 'undo', counter_id => $counter->{counter_id} ],
			[ 'join_queue', queue_id => $queue_id ],
			[ 'ticket_status', token => $token ],
			[ 'leave_queue', token => $token ]) };
	my $answer = $self->{client}->run($function, \%arguments);

	$self->{client}->problem("another organization could call qms.$function: $answer->{state}")
	  if !$answer->{lost} && $answer->{state} ne 'QM101' && $answer->{state} ne 'QM501';
}

1;
