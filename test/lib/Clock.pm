# Clock.pm: moves the clock of a whole server, and waits until the scheduler has nothing left to do.
#
#   my $clock = Clock->new($node);
#   $clock->at('2030-01-07 09:00+00');     # sessions and workers; the scheduler has done what is due
package Clock;

use strict;
use warnings;

use Qms;

sub new
{
	my ($class, $node) = @_;

	return bless { node => $node }, $class;
}

sub ask
{
	my ($self, $sql) = @_;

	return $self->{node}->safe_psql('postgres', $sql);
}

# The clock is set, and what is due at that moment is done.
sub at
{
	my ($self, $moment) = @_;

	$self->set($moment);
	$self->settle;
	return;
}

# Only set: new sessions have it, so the postmaster has passed it on.
sub set
{
	my ($self, $moment) = @_;

	$self->{node}->safe_psql('postgres', "ALTER SYSTEM SET qms.mock_now = '$moment'");
	$self->ask('SELECT pg_reload_conf()');
	Qms::poll(sub { $self->ask("SELECT current_setting('qms.mock_now')") eq $moment })
		or die "the clock is not set to $moment";
	return;
}

# Two turns that begin after now have ended.  One that is under way may have the old clock, the
# second has not.
sub settle
{
	my ($self) = @_;

	for (1 .. 2)
	{
		my $now = $self->ask('SELECT clock_timestamp(); SELECT pg_reload_conf()') =~ s/\nt$//r;

		Qms::poll(sub {
			$self->ask("SELECT coalesce(bool_and(last_run_at > '$now'), false) FROM qms.worker_status WHERE worker = 'scheduler'") eq 't';
		}, 60) or die "the scheduler does not come to rest";
	}
	return;
}

# Does nothing happen, neither statements nor turns?  The scheduler's transactions in a second.
sub idle
{
	my ($self) = @_;
	my $count = q{SELECT last_run_at FROM qms.worker_status WHERE worker = 'scheduler'};

	$self->settle;
	my $before = $self->ask($count);
	$self->ask('SELECT pg_sleep(0.5)');
	return $before eq $self->ask($count);
}

1;
