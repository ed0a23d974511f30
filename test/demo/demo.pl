# demo.pl: starts the cluster, sets the office up, lets the people in, shows what happens, and
# leaves nothing behind.  Called by demo.sh.
use strict;
use warnings;
use utf8;

use Board;
use Fcntl qw(:flock);
use Getopt::Long;
use IO::Handle;
use IO::Socket::INET;
use Office;
use Room;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

my %option = (seconds => 180, speed => 60, seed => 1, lang => 'en', color => 1);
GetOptions(\%option, 'bindir=s', 'dir=s', 'seconds=i', 'speed=i', 'seed=i', 'lang=s', 'plain', 'color!', 'keep', 'listen=s')
  or die "demo.pl: see demo.sh --help\n";
my ($bin, $dir) = @option{qw(bindir dir)};
my $log = "$dir/log";
my %office = (
	dir => $dir,
	port => free_port(),
	unit => 60 / $option{speed},
	interval => 1.9,
	stop => 0);
my ($postmaster, %children, $board);

# Ctrl-C, or a parent that wants us gone: end in order.
$SIG{$_} = sub { $office{stop} = 1 } foreach qw(INT TERM HUP PIPE);

# A port of this machine that nobody uses.
sub free_port
{
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no free port: $@\n";
	return $socket->sockport;
}

sub run_logged
{
	my ($what, @command) = @_;
	my $pid = fork // die "fork: $!\n";

	if ($pid == 0)
	{
		open STDOUT, '>>', $log or die;
		open STDERR, '>&', \*STDOUT or die;
		open STDIN, '<', '/dev/null' or die;
		exec @command or POSIX::_exit(127);
	}
	waitpid $pid, 0;
	return if $? == 0 || $office{stop};
	print STDERR do { open my $fh, '<', $log or die; local $/; <$fh> };
	die "demo: $what failed\n";
}

# In a session of its own: Ctrl-C is for us, we stop the server ourselves.
sub start_server
{
	run_logged('initdb', "$bin/initdb", '-D', "$dir/data", '-U', 'postgres', '-E', 'UTF8', '--locale=C',
		'--auth-local=trust', '--auth-host=scram-sha-256', '--no-sync', '--no-instructions');
	my $listen = $option{listen} || '127.0.0.1:' . free_port();
	open my $conf, '>>', "$dir/data/postgresql.conf" or die "postgresql.conf: $!\n";
	print $conf <<"CONF";
shared_preload_libraries = 'qms'
qms.gateway_listen = '$listen'
listen_addresses = '127.0.0.1'
port = $office{port}
unix_socket_directories = '$dir'
unix_socket_permissions = 0700
max_connections = 40
fsync = off
jit = off
CONF
	close $conf or die "postgresql.conf: $!\n";
	$postmaster = fork // die "fork: $!\n";
	if ($postmaster == 0)
	{
		POSIX::setsid();
		POSIX::close(9);
		open STDIN, '<', '/dev/null' or die;
		open STDOUT, '>>', $log or die;
		open STDERR, '>&', \*STDOUT or die;
		exec "$bin/postgres", '-D', "$dir/data" or POSIX::_exit(127);
	}
	foreach (1 .. 600)
	{
		return if $office{stop} || system("$bin/pg_isready -q -h $dir -p $office{port} >/dev/null 2>&1") == 0;
		last if waitpid($postmaster, WNOHANG) != 0;
		sleep 0.1;
	}
	$postmaster = undef if kill(0, $postmaster) == 0;
	print STDERR do { open my $fh, '<', $log or die; local $/; <$fh> };
	die "demo: the server did not start\n";
}

# Fast, and if that takes too long, immediate.
sub stop_server
{
	return unless $postmaster;
	kill 'INT', $postmaster;
	foreach my $turn (1 .. 150)
	{
		last if waitpid($postmaster, WNOHANG) != 0;
		kill 'QUIT', $postmaster if $turn == 100;
		sleep 0.1;
	}
	$postmaster = undef;
	return;
}

sub set_up
{
	run_logged('createdb', "$bin/psql", '-X', '-q', '-h', $dir, '-p', $office{port}, '-U', 'postgres',
		'-d', 'postgres', '-c', 'CREATE DATABASE town');
	run_logged('the set-up of the office', "$bin/psql", '-X', '-q', '-h', $dir, '-p', $office{port}, '-U', 'postgres',
		'-d', 'town', '-v', "unit=$office{unit}", '-f', "$dir/town.sql");
	return if $office{stop};
	# qms is loaded: another installation may replace its files.
	if (open my $lock, '<&=', 9)
	{
		flock $lock, LOCK_UN;
	}
	my $dbh = Office::connect(\%office, 'display');
	find_display();
	$office{branch} = $dbh->selectrow_array(q{SELECT branch_id FROM qms.branch_info('auenfeld', 'citizens')});
	$office{queues} = { map { @$_ } @{ $dbh->selectall_arrayref(q{SELECT slug, queue_id FROM qms.queues WHERE kind = 'counter'}) } };
	$office{room} = $dbh->selectrow_array(q{SELECT queue_id FROM qms.queues WHERE slug = 'concert'});
	$office{counters} = $dbh->selectcol_arrayref('SELECT counter_id FROM qms.counters ORDER BY name');
	foreach my $row (@{ $dbh->selectall_arrayref(
				'SELECT service_id, slug, extract(epoch FROM expected_duration) AS seconds FROM qms.services', { Slice => {} }) })
	{
		$office{service}{ $row->{slug} } = $row->{service_id};
		$office{services}{ $row->{service_id} } = { minutes => $row->{seconds} / $office{unit} };
	}
	$dbh->disconnect;
	return;
}

# The page that hangs on the wall: its address, or why there is none.
sub find_display
{
	my $dbh = Office::connect(\%office, 'postgres');
	my $state;

	foreach (1 .. 150)
	{
		$state = $dbh->selectrow_hashref(q{SELECT state, listen, coalesce(last_error, reason) AS why FROM qms.gateway_status WHERE name = 'local'});
		last if $office{stop} || !$state || $state->{state} eq 'listening';
		sleep 0.1;
	}
	$dbh->disconnect;
	$office{display} = $state && $state->{state} eq 'listening' ? "http://$state->{listen}/display/auenfeld/citizens" : '';
	$office{display} =~ s{//(?:0\.0\.0\.0|\*|\[::\])}{//127.0.0.1};
	$office{no_display} = 'no display: ' . ($state ? $state->{why} || $state->{state} : 'this server has no gateway');
	return;
}

# person(NAME, CODE): a process; what it says comes through a pipe.
sub person
{
	my ($name, $code) = @_;
	pipe my $from, my $to or die "pipe: $!\n";
	my $pid = fork // die "fork: $!\n";

	if ($pid == 0)
	{
		$SIG{INT} = $SIG{HUP} = $SIG{PIPE} = 'IGNORE';
		$SIG{TERM} = sub { $office{stop} = 1 };
		close $from;
		$office{pipe} = $to;
		srand($option{seed} * 101 + keys %children);
		my $ok = eval { $code->(); 1 } || $office{stop};
		Office::say_to_board(\%office, 'error', "$name: $@") unless $ok;
		POSIX::_exit($ok ? 0 : 1);
	}
	close $to;
	$from->blocking(0);
	$children{$pid} = { name => $name, pipe => $from, text => '' };
	return;
}

# What people said since the last time; who has gone home.
sub listen_to_people
{
	my @said;

	foreach my $pid (keys %children)
	{
		my $child = $children{$pid};
		my $gone = waitpid($pid, WNOHANG) != 0;
		my $status = $?;

		while (sysread $child->{pipe}, my $piece, 4096)
		{
			$child->{text} .= $piece;
		}
		while ($child->{text} =~ s/^([^\t\n]*)\t([^\n]*)\n//)
		{
			my ($kind, $text) = ($1, $2);
			utf8::decode($text);
			push @said, [ $kind, $text ];
		}
		next unless $gone;
		push @said, [ 'error', "$child->{name} ended with status $status" ] if $status != 0;
		delete $children{$pid};
	}
	return @said;
}

sub send_home
{
	kill 'TERM', $_ foreach keys %children;
	foreach (1 .. 50)
	{
		listen_to_people();
		last unless keys %children;
		sleep 0.1;
	}
	kill 'KILL', $_ foreach keys %children;
	waitpid $_, 0 foreach keys %children;
	%children = ();
	return;
}

sub morning
{
	$office{start} = time;
	$office{end} = $office{start} + $option{seconds};
	$office{doors} = $office{start} + 0.82 * $option{seconds};
	$board = Board->new(\%office, \%option);
	person('customers', sub { Office::customers(\%office) });
	person('visitors', sub { Room::visitors(\%office) });
	foreach my $n (1 .. @{ $office{counters} })
	{
		person("clerk $n", sub { Office::clerk(\%office, $n) });
	}
	while (!$office{stop})
	{
		$board->said(@$_) foreach listen_to_people();
		$board->show;
		last if !keys %children || time > $office{end} + 15;
		# Until something happens; what people say comes by another way.
		$board->wait(0.15);
	}
	send_home();
	$board->catch_up;
	$board->show(1);
	$board->close;
	$board->summary($office{stop} ? 'ended early' : '');
	return;
}

my $ok = eval {
	start_server();
	set_up() unless $office{stop};
	morning() unless $office{stop};
	1;
};
my $error = $@;
$board->close if $board;
send_home();
if ($option{keep} && $postmaster && $ok)
{
	open my $kept, '>', "$dir/kept" or die "$dir/kept: $!\n";
	print "\nThe cluster stays.  Connect:\n  psql -h $dir -p $office{port} -U postgres town\n",
	  $office{display} ? "The display:\n  $office{display}\n" : '',
	  "Stop and remove it:\n  kill -INT $postmaster; sleep 1; rm -rf $dir\n";
	exit 0;
}
stop_server();
print STDERR $error unless $ok;
exit($ok && !($board && @{ $board->{trouble} }) ? 0 : 1);
