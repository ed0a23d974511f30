# Qms.pm: what the TAP tests share, around PostgreSQL::Test::Cluster.
#
#   use lib 'test/lib';
#   use Qms;
#   my $node = Qms::node('main', 'qms.workers = off');
#   Qms::wait_for($node, 'SELECT count(*) = 3 FROM qms.ticket', 'three tickets');
package Qms;

use strict;
use warnings;

use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# Seconds until a wait is given up; long, because a busy machine is not a failure.
our $timeout = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 180;

# node(NAME, [\%option,] SETTING...): a started server with the settings of test/qms.conf and then
# ours, and the extension in database postgres.  Options: init => [arguments of ->init],
# preload => 0 leaves shared_preload_libraries out, extension => 0 leaves CREATE EXTENSION out,
# start => 0 leaves the server stopped (and so without the extension); install_path => where its
# programs are, see installation().
sub node
{
	my ($name, @settings) = @_;
	my %option = (init => [], preload => 1, extension => 1, start => 1);
	%option = (%option, %{ shift @settings }) if ref $settings[0];

	my $conf = slurp_file('test/qms.conf');
	$conf =~ s/^shared_preload_libraries\b.*\n//m unless $option{preload};

	my $node = PostgreSQL::Test::Cluster->new($name, $option{install_path} ? (install_path => $option{install_path}) : ());
	$node->init(@{ $option{init} });
	$node->append_conf('postgresql.conf', join("\n", $conf, @settings) . "\n");
	return $node unless $option{start};

	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION qms') if $option{extension};
	return $node;
}

# installation(): a copy of the programs, with a folder of extensions that a test may write to; the
# install_path for node(), and that folder.  Nothing if this PostgreSQL cannot be moved.
sub installation
{
	my %real;

	foreach my $what (qw(bindir sharedir pkglibdir))
	{
		chomp($real{$what} = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --$what`);
	}
	my ($common) = "$real{bindir}\0$real{sharedir}\0$real{pkglibdir}" =~ m{^(/(?:[^/\0]+/)*)[^\0]*\0\1[^\0]*\0\1} or return;
	my $top = PostgreSQL::Test::Utils::tempdir() . '/';
	my %copy = map { $_ => $top . substr($real{$_}, length $common) } keys %real;

	# A program finds its files by where it is itself, links resolved: these are copied.
	system('mkdir', '-p', $copy{bindir}, "$copy{sharedir}/extension", dirname($copy{pkglibdir})) == 0 or die "mkdir: $!";
	system('cp', (map { "$real{bindir}/$_" } qw(postgres initdb pg_ctl)), $copy{bindir}) == 0 or die "cp: $!";
	foreach my $file (glob("$real{bindir}/*"), glob("$real{sharedir}/*"), glob("$real{sharedir}/extension/*"), $real{pkglibdir})
	{
		my $place = $top . substr($file, length $common);

		-e $place or symlink $file, $place or die "$place: $!";
	}
	return (dirname($copy{bindir}), "$copy{sharedir}/extension");
}

# poll(CODE [, SECONDS]): call CODE until it answers true; that answer, or nothing when time is up.
sub poll
{
	my ($code, $seconds) = @_;
	my $end = time() + ($seconds || $timeout);

	while (1)
	{
		my $answer = $code->();
		return $answer if $answer;
		return if time() >= $end;
		sleep 0.05;
	}
}

# wait_for(NODE, SQL, TEST NAME [, EXPECTED]): a test that passes once SQL answers EXPECTED ('t').
sub wait_for
{
	my ($node, $sql, $test, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($node->poll_query_until('postgres', $sql, $expected), $test);
}

# fails_with(NODE, SQL, SQLSTATE, TEST NAME): a test that passes when SQL ends with that SQLSTATE.
sub fails_with
{
	my ($node, $sql, $sqlstate, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	return like($err, qr/\b(?:ERROR|FATAL): +\Q$sqlstate\E:/, $test);
}

1;
