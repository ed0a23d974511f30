# Office.pm: the people of the demo.  Every one of them is a process with its own connection and
# its own login, and uses the public functions only; what they do is random, from a seed.
package Office;

use strict;
use warnings;
use utf8;

use DBI;
use Time::HiRes qw(sleep time);

# connect(OFFICE, ROLE): a connection as that role.
sub connect
{
	my ($office, $role) = @_;
	my $dbh = DBI->connect("dbi:Pg:dbname=town;host=$office->{dir};port=$office->{port}", $role, '',
		{ RaiseError => 1, PrintError => 0, AutoCommit => 1, AutoInactiveDestroy => 1, pg_enable_utf8 => 1 });
	$dbh->do("SET application_name = 'demo $role'");
	return $dbh;
}

# call(CONNECTION, FUNCTION, ARGUMENT => VALUE...): the first row of its answer, or nothing.
sub call
{
	my ($dbh, $function, @arguments) = @_;
	my (@names, @values);

	while (my ($name, $value) = splice @arguments, 0, 2)
	{
		push @names, "$name => ?";
		push @values, $value;
	}
	return $dbh->selectrow_hashref("SELECT * FROM qms.$function(" . join(', ', @names) . ')', undef, @values);
}

# Minutes of the office until something of that mean happens.
sub exponential
{
	my ($mean) = @_;
	my $value = -$mean * log(1 - rand);
	return $value < 3 * $mean ? $value : 3 * $mean;
}

# nap(OFFICE, MINUTES): minutes of the office, but not beyond the end of the morning.
sub nap
{
	my ($office, $minutes) = @_;
	my $until = time + $minutes * $office->{unit};

	$until = $office->{end} if $until > $office->{end};
	while (!$office->{stop})
	{
		my $left = $until - time;
		last if $left <= 0;
		sleep($left < 0.2 ? $left : 0.2);
	}
	return;
}

# Something for the log that is not in the database: to the process that shows it.
sub say_to_board
{
	my ($office, $kind, $text) = @_;
	$text =~ s/\s+/ /g;
	syswrite $office->{pipe}, do { my $line = "$kind\t$text\n"; utf8::encode($line); $line };
	return;
}

# What must happen in every morning, by clerk and by the how manieth customer; the rest is chance.
my %planned = (
	1 => { 2 => 'undo', 4 => 'park' },
	2 => { 2 => 'no_show', 4 => 'transfer' },
	3 => { 2 => 'park', 4 => 'late' },
	4 => { 2 => 'transfer', 3 => 'undo' });

sub chance
{
	my $roll = rand;
	return
		$roll < 0.05 ? 'no_show'
	  : $roll < 0.08 ? 'late'
	  : $roll < 0.14 ? 'transfer'
	  : $roll < 0.19 ? 'park'
	  : $roll < 0.21 ? 'undo'
	  : 'complete';
}

# Called, but nobody comes; true if he does after the second call.
sub comes_late
{
	my ($office, $dbh, $counter, $late) = @_;

	nap($office, 1.2);
	call($dbh, 'recall_ticket', counter_id => $counter);
	nap($office, $late ? 0.5 : 1.2);
	return 1 if $late;
	call($dbh, 'mark_no_show', counter_id => $counter);
	return 0;
}

# One customer, from his call to his leaving the counter.
sub serve
{
	my ($office, $dbh, $counter, $ticket, $deed, $parked) = @_;
	my %service = %{ $office->{services}{ $ticket->{service_id} || 0 } || { minutes => 5 } };

	nap($office, 0.3 + exponential(0.4));
	if ($deed eq 'no_show' || $deed eq 'late')
	{
		return unless comes_late($office, $dbh, $counter, $deed eq 'late');
		$deed = 'complete';
	}
	call($dbh, 'start_service', counter_id => $counter);
	nap($office, 0.5 + exponential($service{minutes} - 0.5));
	if ($deed eq 'transfer' && time < $office->{doors})
	{
		my $papers = $ticket->{queue_id} == $office->{queues}{papers};
		call($dbh, 'transfer_ticket', ticket_id => $ticket->{ticket_id},
			queue_id => $office->{queues}{ $papers ? 'vehicles' : 'papers' },
			service_id => $office->{service}{ $papers ? 'vehicle' : 'address' },
			note => $papers ? 'new plates as well' : 'has moved house');
		return;
	}
	if ($deed eq 'park' && time < $office->{doors})
	{
		call($dbh, 'hold_ticket', ticket_id => $ticket->{ticket_id}, reason => 'fills in a form',
			hold_kind => 'parked', resume_to => 'counter');
		push @$parked, [ $ticket->{ticket_id}, time + 4 * $office->{unit} ];
		return;
	}
	call($dbh, 'complete_service', counter_id => $counter, outcome => 'done');
	if ($deed eq 'undo')
	{
		# The wrong key: the customer still stands there.
		nap($office, 0.4);
		call($dbh, 'undo', counter_id => $counter);
		nap($office, 1);
		call($dbh, 'complete_service', counter_id => $counter, outcome => 'done');
	}
	return;
}

# Those who have filled in their forms wait again, for this counter.
sub resume_parked
{
	my ($dbh, $parked, $all) = @_;

	while (@$parked && ($all || $parked->[0][1] <= time))
	{
		my $ticket = shift @$parked;
		# At closing time he may have been sent home meanwhile.
		eval { call($dbh, 'resume_ticket', ticket_id => $ticket->[0]); 1 } or $dbh->state =~ /^QM40[12]$/ or die $@;
	}
	return;
}

# Has everybody gone?
sub is_empty
{
	my ($office, $dbh) = @_;
	my ($n) = $dbh->selectrow_array(
		'SELECT sum(waiting + on_hold + called + serving) FROM qms.branch_status(?)', undef, $office->{branch});
	return $n == 0;
}

# A clerk's morning.
sub clerk
{
	my ($office, $n) = @_;
	my $dbh = Office::connect($office, "clerk_$n");
	my $counter = $office->{counters}[ $n - 1 ];
	my $break = $n == 2 ? $office->{start} + 0.45 * ($office->{doors} - $office->{start}) : 0;
	my $customers = 0;
	my @parked;

	# The first customers are there before the clerks.
	nap($office, 2 + 0.4 * $n);
	call($dbh, 'open_counter', counter_id => $counter);
	while (!$office->{stop} && time < $office->{end})
	{
		if ($break && time > $break)
		{
			$break = 0;
			call($dbh, 'pause_counter', counter_id => $counter, reason => 'coffee');
			nap($office, 5);
			call($dbh, 'resume_counter', counter_id => $counter);
		}
		resume_parked($dbh, \@parked, time > $office->{doors});
		my $ticket = call($dbh, 'call_next', counter_id => $counter);
		if (!$ticket)
		{
			last if time > $office->{doors} && is_empty($office, $dbh);
			nap($office, 0.4 + rand 0.4);
			next;
		}
		$customers++;
		my $deed = $ticket->{customer_class} eq 'vip' ? 'complete' : $planned{$n}{$customers} || chance();
		serve($office, $dbh, $counter, $ticket, $deed, \@parked);
		nap($office, 0.2);
	}
	call($dbh, 'close_counter', counter_id => $counter) unless $office->{stop};
	$dbh->disconnect;
	return;
}

# request_id: a repeated call with the same one has no second effect.
sub new_request_id
{
	my @bytes = map { int rand 256 } 1 .. 16;
	$bytes[6] = $bytes[6] & 0x0f | 0x40;
	$bytes[8] = $bytes[8] & 0x3f | 0x80;
	return join '', map { sprintf '%02x', $_ } @bytes;
}

sub join_queue
{
	my ($office, $dbh, $service, @more) = @_;
	return call($dbh, 'join_queue', branch_id => $office->{branch}, service_id => $office->{service}{$service},
		request_id => new_request_id(), @more);
}

# Somebody asks the kiosk to make him a VIP, and is told to ask at the reception.
sub join_as_vip
{
	my ($office, $dbh, $service, @more) = @_;

	eval { join_queue($office, $dbh->{kiosk}, $service, customer_class => 'vip', @more); 1 }
	  and die "the kiosk gave somebody the class vip\n";
	my ($state, $message) = ($dbh->{kiosk}->state, $dbh->{kiosk}->errstr =~ /ERROR:\s+(.*)/);
	die $@ if $state ne 'QM305';
	say_to_board($office, 'refused', "kiosk asks for class vip: $state, $message");
	nap($office, 0.5);
	join_queue($office, $dbh->{reception}, $service, customer_class => 'vip', @more);
	return;
}

# What somebody with a phone may do later: let others go first, or give up.
sub later
{
	my ($office, $dbh, $what, $token) = @_;
	my $ticket = call($dbh->{phone}, 'ticket_status', token => $token);

	return 1 if $ticket->{state} ne 'waiting';
	if ($what eq 'defer')
	{
		return 0 if $ticket->{people_ahead} < 1;
		call($dbh->{phone}, 'defer_ticket', token => $token, places => 2);
	}
	else
	{
		call($dbh->{phone}, 'leave_queue', token => $token, reason => 'no time left');
	}
	return 1;
}

# One customer comes.  Answers what he will do later, if anything: [moment, what, token].
sub arrive
{
	my ($office, $dbh, $n) = @_;
	my @language = (language => rand() < 0.7 ? 'de' : 'en');
	my $by = rand() < 0.35 ? 'phone' : 'kiosk';
	my $roll = rand;
	my $service = $roll < 0.42 ? 'card' : $roll < 0.74 ? 'address' : 'vehicle';

	if ($n == 4 || $n == 20)
	{
		join_as_vip($office, $dbh, $service, @language);
		return;
	}
	if ($n == 6 || rand() < 0.06)
	{
		# Two errands, one visit, one token.
		my $first = join_queue($office, $dbh->{kiosk}, 'card', @language);
		join_queue($office, $dbh->{kiosk}, 'vehicle', @language, visit_token => $first->{token});
		return;
	}
	$by = 'phone' if $n == 8;
	my $ticket = join_queue($office, $dbh->{$by}, $service, @language);
	return if $by ne 'phone';
	return [ time + 1.5 * $office->{unit}, 'defer', $ticket->{token} ] if $n == 8 || rand() < 0.15;
	return [ time + (6 + exponential(6)) * $office->{unit}, 'leave', $ticket->{token} ] if rand() < 0.4;
	return;
}

# All customers of the morning: they come at random, six of them before the doors open.
sub customers
{
	my ($office) = @_;
	my %dbh = map { $_ => Office::connect($office, $_) } qw(kiosk phone reception);
	my @queues = sort { $a <=> $b } values %{ $office->{queues} };
	my $next = time;
	my $n = 0;
	my @later;

	while (!$office->{stop} && time < $office->{doors})
	{
		if (time >= $next)
		{
			push @later, arrive($office, \%dbh, ++$n);
			$next = time + ($n < 6 ? 0.3 : exponential($office->{interval})) * $office->{unit};
		}
		foreach my $due (grep { $_->[0] <= time } @later)
		{
			# Who stands first has nobody to let through: the next one of the phones may.
			later($office, \%dbh, @$due[ 1, 2 ]);
		}
		@later = grep { $_->[0] > time } @later;
		nap($office, 0.15);
	}
	# The doors close; who waits is still served, as long as the morning lasts.
	call($dbh{reception}, 'close_queue', queue_id => $_, waiting => 'serve') foreach $office->{stop} ? () : @queues;
	while (!$office->{stop} && time < $office->{end} && !is_empty($office, $dbh{reception}))
	{
		nap($office, 1);
	}
	call($dbh{reception}, 'close_queue', queue_id => $_, waiting => 'expire') foreach $office->{stop} ? () : @queues;
	$_->disconnect foreach values %dbh;
	return;
}

1;
