# Storm::Cluster: a throw-away server that is killed and started again.
package Storm::Cluster;

use strict;
use warnings;

use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

# new(FOLDER, BINDIR): nothing is made yet.
sub new
{
	my ($class, $folder, $bindir) = @_;
	return bless { folder => $folder, data => "$folder/data", bindir => $bindir, log => "$folder/server.log" }, $class;
}

# Quietly, unless it fails.
sub command
{
	my ($self, $name, @arguments) = @_;
	my $output = "$self->{folder}/$name.out";
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>', $output);
		open(STDERR, '>&', \*STDOUT);
		exec("$self->{bindir}/$name", @arguments) or POSIX::_exit(127);
	}
	waitpid($pid, 0);
	return $? == 0;
}

sub output_of
{
	my ($self, $name) = @_;
	open(my $file, '<', "$self->{folder}/$name.out") or return '';
	local $/;
	return <$file>;
}

# make(SETTING...): initdb and settings.
sub make
{
	my ($self, @settings) = @_;

	$self->command('initdb', '-D', $self->{data}, qw(-A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync))
	  or die 'initdb failed: ' . $self->output_of('initdb');
	open(my $conf, '>>', "$self->{data}/postgresql.conf") or die $!;
	print $conf map { "$_\n" } "listen_addresses = ''", "unix_socket_directories = '$self->{folder}'", @settings;
	close($conf);
}

sub postmaster
{
	my ($self) = @_;
	open(my $file, '<', "$self->{data}/postmaster.pid") or return;
	my $pid = <$file>;
	return defined $pid && $pid =~ /^(\d+)$/ ? $1 : undef;
}

# Until it accepts connections.  After a kill the old children must go first: so try again.
sub start
{
	my ($self) = @_;
	my $end = time() + 120;

	until ($self->command('pg_ctl', '-D', $self->{data}, '-l', $self->{log}, '-w', '-s', 'start'))
	{
		die 'the server does not start: ' . $self->output_of('pg_ctl') if time() > $end;
		sleep 0.1;
	}
}

sub stop
{
	my ($self, $mode) = @_;
	return unless $self->postmaster();
	$self->command('pg_ctl', '-D', $self->{data}, '-m', $mode // 'fast', '-w', '-s', 'stop');
}

# A crash of the whole server, and its recovery.
sub crash
{
	my ($self) = @_;
	my $pid = $self->postmaster() or return;

	kill('KILL', $pid);
	sleep 0.01 while kill(0, $pid);
	$self->start();
}

# Lines of the server's log that must not be there.
sub bad_lines
{
	my ($self) = @_;
	my @bad;

	open(my $file, '<', $self->{log}) or return ('no server log');
	while (my $line = <$file>)
	{
		push @bad, $line
		  if $line =~ /PANIC|TRAP:|Sanitizer|runtime error|deadlock detected|terminated by signal (?!9\b)|could not read block|invalid page|unexpected zero page/;
	}
	chomp @bad;
	return @bad;
}

1;
