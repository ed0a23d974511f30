# Storm::Killer: ends sessions by SIGTERM and SIGKILL, and the whole server by SIGKILL.
package Storm::Killer;

use strict;
use warnings;

use DBI;
use Time::HiRes qw(sleep time);

# new(cluster, end, seconds between: terminate, kill, crash)
sub new
{
	my ($class, $cluster, $end, %every) = @_;
	my $self = bless { cluster => $cluster, end => $end, every => \%every, count => {} }, $class;

	$self->{next}{$_} = time() + $every{$_} * (0.5 + rand()) foreach keys %every;
	return $self;
}

sub connection
{
	my ($self) = @_;

	$self->{dbh} = undef if $self->{dbh} && $self->{dbh}->ping() <= 0;
	return $self->{dbh} //= DBI->connect("dbi:Pg:host=$self->{cluster}{folder};dbname=stress", 'postgres', '',
		{ RaiseError => 0, PrintError => 0, PrintWarn => 0 });
}

# Any session but ours, rather one at work; now and then a worker of qms.
sub victim
{
	my ($self) = @_;
	my $dbh = $self->connection() or return;
	my $type = rand() < 0.1 ? 'qms%' : 'client backend';

	return $dbh->selectrow_array(q{
		SELECT pid FROM pg_stat_activity
		WHERE backend_type LIKE ? AND pid <> pg_backend_pid() AND coalesce(datname, 'stress') = 'stress'
		ORDER BY state = 'active' DESC, random() LIMIT 1}, {}, $type);
}

sub terminate
{
	my ($self) = @_;
	my $pid = $self->victim() or return 0;

	return $self->{dbh}->selectrow_array('SELECT pg_terminate_backend(?)', {}, $pid) ? 1 : 0;
}

# The server takes that for a crash and starts all sessions anew.
sub kill
{
	my ($self) = @_;
	my $pid = $self->victim() or return 0;

	return CORE::kill('KILL', $pid);
}

sub crash
{
	my ($self) = @_;

	$self->{dbh} = undef;
	$self->{cluster}->crash();
	return 1;
}

# What the sessions left prepared.
sub end_prepared
{
	my ($self) = @_;
	my $dbh = $self->connection() or return;

	$dbh->do("ROLLBACK PREPARED '$_'") foreach @{ $dbh->selectcol_arrayref('SELECT gid FROM pg_prepared_xacts') };
}

# all_published(folder, seconds): has the publisher, after the last crash, published every event by then?
sub all_published
{
	my ($folder, $seconds) = @_;
	my $end = time() + $seconds;
	my $dbh = DBI->connect("dbi:Pg:host=$folder;dbname=stress", 'postgres', '', { RaiseError => 1, PrintError => 1 });
	my $left;

	do
	{
		sleep 0.1;
		($left) = $dbh->selectrow_array(q{
			SELECT count(*) FROM qms.event e
			WHERE NOT EXISTS (SELECT FROM qms_internal.event_position p WHERE p.event_id = e.event_id)});
	} while ($left > 0 && time() < $end);
	print "$left events are not published\n" if $left;
	return !$left;
}

sub work
{
	my ($self) = @_;

	while (time() < $self->{end})
	{
		foreach my $how (sort keys %{ $self->{every} })
		{
			next if time() < $self->{next}{$how};
			$self->{count}{$how} += $self->$how();
			$self->{next}{$how} = time() + $self->{every}{$how} * (0.5 + rand());
		}
		sleep 0.02;
	}
}

1;
