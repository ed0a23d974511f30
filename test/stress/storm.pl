#!/usr/bin/perl
# storm.pl: the storm.  Many sessions join, call, serve, leave, transfer, park, defer and undo at
# random, while sessions and the server are killed.  Called by run.sh.
#
#   storm.pl --folder DIR --bindir DIR [--seconds 180] [--sessions 64] [--seed N]
#            [--terminate S] [--kill S] [--crash S]   mean seconds between; 0: never
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Getopt::Long;
use POSIX ();
use Storm::Client;
use Storm::Cluster;
use Storm::Counter;
use Storm::Customer;
use Storm::Desk;
use Storm::Killer;
use Storm::Pool;
use Storm::Site;
use Storm::Stranger;
use Time::HiRes qw(time);

my %option = (seconds => 180, sessions => 64, terminate => 0.7, kill => 8, crash => 15, seed => time() % 1_000_000);
GetOptions(\%option, 'folder=s', 'bindir=s', 'seconds=f', 'sessions=i', 'seed=i', 'terminate=f', 'kill=f', 'crash=f')
  or exit 2;

my $folder = $option{folder};
my $cluster = Storm::Cluster->new($folder, $option{bindir});
my $site = Storm::Site::read_site($folder);
my $begin = time();
my $end = $begin + $option{seconds};
my @pids;

# A clerk may not touch what has gone to another branch; a token may be no token at all.
my %allowed = (counter => { 42501 => 1 }, customer => { '22P02' => 1 });

# One process: a session with its own random numbers.
sub spawn
{
	my ($n, $name, $user, $make) = @_;
	my $pid = fork() // die "fork: $!";

	if ($pid)
	{
		push @pids, $pid;
		return;
	}
	open(STDERR, '>>', "$folder/stderr");
	srand($option{seed} * 1000 + $n);
	my $client = Storm::Client->new(name => $name, socket => $folder, user => $user, folder => $folder, end => $end,
		allowed => $allowed{ $name =~ s/\d+$//r } // {});
	my $ok = eval {
		$make->($client, Storm::Pool->new("$folder/pool"))->work();
		1;
	};
	$client->problem("died: $@") unless $ok;
	$client->report();
	POSIX::_exit($ok ? 0 : 1);
}

# 24 counters, one session in eight at the desk, two strangers, the others customers.
sub spawn_all
{
	my $n = 0;
	my $desks = int($option{sessions} / 8);

	foreach my $counter (@{ $site->{counters} })
	{
		spawn(++$n, "counter$n", $counter->{login}, sub { Storm::Counter->new(@_, $site, $counter) });
	}
	spawn(++$n, "desk$_", 'stress_desk', sub { Storm::Desk->new(@_, $site) }) foreach 1 .. $desks;
	foreach my $other (@{ $site->{others} })
	{
		spawn(++$n, "stranger$n", 'stress_stranger', sub { Storm::Stranger->new(@_, $site, $other) });
	}
	while ($n < $option{sessions})
	{
		$n++;
		spawn($n, "customer$n", 'stress_customer', sub { Storm::Customer->new(@_, $site, 4 + $n % 7) });
	}
}

# What all sessions counted, added up.
sub add_up
{
	my %sum;

	foreach my $path (glob("$folder/counts.*"))
	{
		open(my $file, '<', $path) or die $!;
		while (<$file>)
		{
			chomp;
			my ($name, $count) = split(/\t/);
			$sum{$name} += $count;
		}
	}
	return \%sum;
}

# Answers by function: how many went well, and the errors.
sub print_counts
{
	my ($sum, $seconds) = @_;
	my (%by_function, %by_state, $calls);

	foreach my $name (grep { /^\w+ (?:ok|lost|\w{5})$/ && !/^(?:asked|two|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|PREPARE|rolled) / } keys %$sum)
	{
		my ($function, $state) = split(/ /, $name);

		$by_function{$function}{$state} = $sum->{$name};
		$by_state{$state} += $sum->{$name};
		$calls += $sum->{$name};
	}
	foreach my $function (sort keys %by_function)
	{
		my $states = $by_function{$function};

		printf("   %-17s %7d ok  %s\n", $function, delete $states->{ok} // 0,
			join('  ', map { "$_ $states->{$_}" } sort keys %$states));
	}
	printf("   in transactions: %s\n", join(', ', map { ($sum->{$_} // 0) . " $_" } 'committed', 'rolled back',
			'prepared and committed', 'prepared and rolled back'));
	printf("   %d calls in %.0f s (%.0f/s): %d ok, %d lost; %d connections, %d asked again, %d repeated, %d pairs at once\n",
		$calls, $seconds, $calls / $seconds, map { $_ // 0 } $by_state{ok}, $by_state{lost},
		@{$sum}{ 'connections', 'asked again', 'repeated', 'two at once' });
}

# The first lines of a file, without the usual ones.
sub print_lines
{
	my ($path, $usual) = @_;

	open(my $file, '<', $path) or return;
	my @lines = grep { $_ !~ $usual } <$file>;
	print "   problem: $_" foreach @lines[ 0 .. ($#lines < 39 ? $#lines : 39) ];
}

$SIG{INT} = $SIG{TERM} = sub { kill('TERM', @pids); exit 1 };
print "seed $option{seed}, $option{sessions} sessions, $option{seconds} s\n";
spawn_all();
srand($option{seed});
my %every = map { $_ => $option{$_} } grep { $option{$_} > 0 } qw(terminate kill crash);
my $killer = Storm::Killer->new($cluster, $end, %every);
$killer->work();

my $failed = 0;
foreach my $pid (@pids)
{
	waitpid($pid, 0);
	$failed++ if $?;
}
$killer->end_prepared();
my $sum = add_up();
print_counts($sum, time() - $begin);
printf("   killed: %s\n", join(', ', map { ($killer->{count}{$_} // 0) . " by $_" } sort keys %every));
print_lines("$folder/problems", qr/^$/);
# libpq says itself that a connection is ended, DBI that it had a statement.
print_lines("$folder/stderr",
	qr/terminating connection|The postmaster has commanded|In a moment you should|invalidates \d+ active statement|^$/);
exit($failed || $sum->{problems} ? 1 : 0);
