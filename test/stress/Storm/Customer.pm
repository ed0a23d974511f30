# Storm::Customer: a phone or kiosk with a few tickets.
package Storm::Customer;

use strict;
use warnings;

my @actions = (
	[ 12, \&join_somewhere ], [ 12, \&look ], [ 3, \&leave ], [ 4, \&defer ], [ 2, \&heartbeat ],
	[ 2, \&further_ticket ], [ 1, \&walk_away ], [ 2, \&meddle ], [ 1, \&bad_token ]);

# new(client, pool, configuration, how many tickets at once)
sub new
{
	my ($class, $client, $pool, $site, $want) = @_;
	return bless { client => $client, pool => $pool, site => $site, want => $want, mine => [] }, $class;
}

sub pick
{
	my (@list) = @_;
	return $list[ rand @list ];
}

# One of the actions by its weight.
sub weighted
{
	my (@table) = @_;
	my $sum = 0;

	$sum += $_->[0] foreach @table;
	my $at = rand($sum);
	foreach my $row (@table)
	{
		return $row->[1] if ($at -= $row->[0]) < 0;
	}
}

sub work
{
	my ($self) = @_;

	until ($self->{client}->over())
	{
		my $action = @{ $self->{mine} } ? weighted(@actions) : \&join_somewhere;

		$self->$action();
	}
}

sub keep
{
	my ($self, $answer) = @_;
	my $row = $answer->{rows} ? $answer->{rows}[0] : undef;

	return unless $row && defined $row->{ticket_id} && defined $row->{token};
	$self->{pool}->add($row);
	push @{ $self->{mine} }, $row unless grep { $_->{ticket_id} == $row->{ticket_id} } @{ $self->{mine} };
}

sub drop
{
	my ($self, $ticket) = @_;
	@{ $self->{mine} } = grep { $_->{ticket_id} != $ticket->{ticket_id} } @{ $self->{mine} };
}

# Where to: a queue, or a branch and a service it offers.
sub place
{
	my ($self) = @_;
	my $site = $self->{site};

	return (queue_id => pick(@{ $site->{queues} })) if rand() < 0.5;
	my $offer = pick(@{ $site->{offers} });
	return (branch_id => $offer->{branch_id}, service_id => $offer->{service_id});
}

sub join_somewhere
{
	my ($self) = @_;
	my %arguments = ($self->place(), customer_class => rand() < 0.2 ? 'senior' : 'regular');

	return $self->look() if @{ $self->{mine} } >= $self->{want};
	$arguments{subject} = 'person ' . int(rand(40)) if rand() < 0.2;
	$arguments{language} = pick(qw(de en tr)) if rand() < 0.3;
	$arguments{metadata} = '{"windows": ' . int(rand(9)) . '}' if rand() < 0.2;
	# Not for him: answered with an error.
	$arguments{customer_class} = 'VIP' if rand() < 0.02;
	$self->keep(rand() < 0.05
		? $self->{client}->twice_at_once('join_queue', %arguments)
		: $self->{client}->mutate('join_queue', %arguments));
}

sub further_ticket
{
	my ($self) = @_;
	my $ticket = pick(@{ $self->{mine} });

	return if @{ $self->{mine} } >= $self->{want} + 3;
	$self->keep($self->{client}->mutate('join_queue', $self->place(), visit_token => $ticket->{token}));
}

sub look
{
	my ($self) = @_;
	my $ticket = pick(@{ $self->{mine} });
	my $answer = $self->{client}->run('visit_status', { token => $ticket->{token} });

	foreach my $row (@{ $answer->{rows} // [] })
	{
		$self->drop($row) if $row->{state} =~ /^(?:completed|no_show|cancelled|expired)$/;
	}
	$self->{client}->run('ticket_status', { token => $ticket->{token} }) if rand() < 0.3;
	$self->drop($ticket) if $answer->{state} =~ /^QM/;
}

sub leave
{
	my ($self) = @_;
	my $ticket = pick(@{ $self->{mine} });
	my $answer = $self->{client}->mutate('leave_queue', token => $ticket->{token}, reason => 'tired');

	$self->drop($ticket) if $answer->{rows} || $answer->{state} =~ /^QM[45]0[12]/;
}

sub defer
{
	my ($self) = @_;
	my $ticket = pick(@{ $self->{mine} });
	my %how = rand() < 0.7 ? (places => 1 + int(rand(6))) : (until => $self->{client}->moment(10 + rand(20)));

	$self->{client}->mutate('defer_ticket', token => $ticket->{token}, %how);
}

sub heartbeat
{
	my ($self) = @_;
	$self->{client}->run('heartbeat', { token => pick(@{ $self->{mine} })->{token} });
}

# Goes home without a word.
sub walk_away
{
	my ($self) = @_;
	$self->drop(pick(@{ $self->{mine} }));
}

# The same token in another hand at the same moment.
sub meddle
{
	my ($self) = @_;
	my ($ticket_id, $queue_id, $token) = $self->{pool}->some() or return;
	my $how = rand();

	return $self->{client}->mutate('defer_ticket', token => $token, places => 1) if $how < 0.4;
	return $self->{client}->mutate('leave_queue', token => $token) if $how < 0.6;
	$self->{client}->run('ticket_status', { token => $token });
}

sub bad_token
{
	my ($self) = @_;
	my $token = pick(@{ $self->{mine} })->{token};
	my $at = 20 + int(rand(20));

	substr($token, $at, 1) = substr($token, $at, 1) eq 'A' ? 'B' : 'A';
	my $answer = $self->{client}->run('ticket_status', { token => $token });
	$self->{client}->problem("a changed token was accepted: $token") if $answer->{rows};
}

1;
