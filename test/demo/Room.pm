# Room.pm: the waiting room of the demo: people who want tickets for a concert, the shop behind it,
# and what the board says of it.
package Room;

use strict;
use warnings;
use utf8;

use Office;
use Time::HiRes qw(sleep time);

# One more person, if there is room.
sub come
{
	my ($office, $phone, $n) = @_;
	my $ticket = eval { Office::call($phone, 'join_queue', queue_id => $office->{room}, language => rand() < 0.7 ? 'de' : 'en') };

	if (!$ticket)
	{
		die $@ if $phone->state ne 'QM301';
		Office::say_to_board($office, 'room', 'web: the waiting room is full, somebody is sent away');
		return;
	}
	return {
		name => "web $n", token => $ticket->{token}, state => 'waiting', comes => rand() < 0.85,
		leaves_at => rand() < 0.25 ? time + 3 + rand 20 : 0 };
}

# in_time(CONNECTION, FUNCTION, ARGUMENT...): as Office::call; nothing if it is too late by now.
sub in_time
{
	my ($dbh, @call) = @_;
	my $row = eval { Office::call($dbh, @call) };

	die $@ if !$row && $@ && $dbh->state !~ /^QM(?:40[12]|53[0-2])$/;
	return $row;
}

# He has been let in: he takes his access and shows it to the shop, which looks whether it is good.
sub go_in
{
	my ($office, $phone, $shop, $person) = @_;
	my $access = in_time($phone, 'claim_access', token => $person->{token}) or return;
	my $verdict = Office::call($shop, 'verify_access', access_token => $access->{access_token});

	die "access of $person->{name} is not valid: $verdict->{reason}\n" unless $verdict->{valid};
	die "access of $person->{name} is valid twice\n"
	  if $person->{name} =~ /0$/ && Office::call($shop, 'verify_access', access_token => $access->{access_token})->{valid};
	$person->{access} = $access->{access_token};
	# One in six forgets to log out: his access runs out.
	$person->{done_at} = rand() < 0.17 ? 0 : time + 1 + Office::exponential(4);
	Office::say_to_board($office, 'room', "$person->{name}: let in, buys tickets");
	return;
}

# What has become of somebody; false when he is gone.
sub look_after
{
	my ($office, $phone, $shop, $person) = @_;
	my $state = $person->{state};

	if ($person->{access})
	{
		return 1 if $person->{done_at} && $person->{done_at} > time;
		if ($person->{done_at})
		{
			my $done = in_time($shop, 'finish_visit', access_token => $person->{access});
			Office::say_to_board($office, 'room', "$person->{name}: " . ($done ? 'has his tickets' : 'access has run out'));
			return 0;
		}
	}
	my $now = Office::call($phone, 'ticket_status', token => $person->{token});
	$person->{state} = $now->{state};
	if ($now->{state} eq 'expired')
	{
		Office::say_to_board($office, 'room', "$person->{name}: " . ($person->{access} ? 'access has run out' : 'did not come, the place goes to the next one'));
		return 0;
	}
	return 1 if $person->{access};
	if ($now->{state} eq 'waiting' && $person->{leaves_at} && $person->{leaves_at} < time)
	{
		my $gone = in_time($phone, 'leave_queue', token => $person->{token});
		Office::say_to_board($office, 'room', "$person->{name}: gives up, with $now->{people_ahead} ahead") if $gone;
		return 0;
	}
	go_in($office, $phone, $shop, $person) if $now->{state} eq 'released' && $person->{comes};
	return 1;
}

# All who want tickets: a rush at first, then one after the other until the doors close.
sub visitors
{
	my ($office) = @_;
	my ($phone, $shop) = map { Office::connect($office, $_) } qw(phone shop);
	my ($n, $next) = (0, time);
	my @people;

	while (!$office->{stop} && time < $office->{end} && (@people || time < $office->{doors}))
	{
		while (time >= $next && time < $office->{doors})
		{
			my $person = come($office, $phone, ++$n);
			push @people, $person if $person;
			$next += $n < 15 ? 0.1 : Office::exponential(2.2);
		}
		@people = grep { look_after($office, $phone, $shop, $_) } @people;
		sleep 0.25;
	}
	$_->disconnect foreach $phone, $shop;
	return;
}

# The room in one line.
sub line
{
	my ($board) = @_;
	my $room = $board->{office}{room};
	my $state = $board->{display}->selectrow_hashref(<<'SQL', undef, $room);
SELECT waiting, released, abandoned, extract(epoch FROM wait_p10) AS p10, extract(epoch FROM wait_p90) AS p90 FROM qms.queue_status(?)
SQL
	my $inside = $board->{postgres}->selectrow_hashref('SELECT inside, max_active, missed FROM qms.release_status(?)', undef, $room);
	return sprintf '%d waiting, %s expected, %d of %d inside, %d let in, %d did not come, %d gave up',
	  $state->{waiting}, $board->range(@$state{qw(p10 p90)}), @$inside{qw(inside max_active)}, $state->{released}, $inside->{missed}, $state->{abandoned};
}

1;
