# Check::Report: the invariants, how often each was checked, and what broke it.
package Check::Report;

use strict;
use warnings;

sub new
{
	my ($class) = @_;
	return bless { names => [], checked => {}, bad => {}, examples => {}, notes => {} }, $class;
}

# An invariant is known from its first mention on, in that order.
sub invariant
{
	my ($self, $name) = @_;

	return if exists $self->{checked}{$name};
	push @{ $self->{names} }, $name;
	$self->{checked}{$name} = 0;
	$self->{bad}{$name} = 0;
}

# One case: count it, and unless it holds say what is wrong.  Answers whether it holds.
sub check
{
	my ($self, $name, $holds, @what) = @_;

	$self->invariant($name) unless exists $self->{checked}{$name};
	$self->{checked}{$name}++;
	return 1 if $holds;
	$self->{bad}{$name}++;
	push @{ $self->{examples}{$name} }, join('', map { $_ // 'null' } @what)
	  if @{ $self->{examples}{$name} // [] } < 5;
	return 0;
}

# Many cases that were counted elsewhere.
sub add
{
	my ($self, $name, $checked, $bad, @examples) = @_;

	$self->invariant($name);
	$self->{checked}{$name} += $checked;
	$self->{bad}{$name} += $bad;
	my $room = 5 - @{ $self->{examples}{$name} // [] };
	push @{ $self->{examples}{$name} }, splice(@examples, 0, $room) if $room > 0;
}

# Something worth knowing beside an invariant, counted.
sub note
{
	my ($self, $name, $what) = @_;
	$self->{notes}{$name}{$what}++;
}

sub failed
{
	my ($self) = @_;
	return grep { $self->{bad}{$_} > 0 } @{ $self->{names} };
}

sub print
{
	my ($self) = @_;

	foreach my $name (@{ $self->{names} })
	{
		my $notes = $self->{notes}{$name} // {};

		printf("%-4s %-34s %9d checked %6d violations%s\n", $self->{bad}{$name} ? 'FAIL' : 'ok', $name,
			$self->{checked}{$name}, $self->{bad}{$name},
			%$notes ? '   (' . join(', ', map { "$_: $notes->{$_}" } sort keys %$notes) . ')' : '');
		print "       $_\n" foreach @{ $self->{examples}{$name} // [] };
	}
}

1;
