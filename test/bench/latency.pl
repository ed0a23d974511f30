#!/usr/bin/perl
# latency.pl [ROUNDS] [PSQL CONNECTION STRING]: from COMMIT to a client that has read the batch.
#
# One session joins, another listens and reads with events_since when the doorbell rings.  The time
# runs from the answer to COMMIT to the answer of events_since.  A report, not a test: say what else
# the machine was doing.  Needs a database with the extension and its workers running; it makes an
# organization of its own.
use strict;
use warnings;

use DBI;
use IO::Select;
use Time::HiRes qw(time);

my $rounds = shift @ARGV || 500;
my $target = shift @ARGV || 'dbname=postgres';
my @options = ($target =~ s/ /;/gr, undef, undef, { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
my ($writer, $reader) = map { DBI->connect("dbi:Pg:$options[0]", @options[ 1 .. 3 ]) } 1 .. 2;

my ($organization) = $writer->selectrow_array(q{SELECT organization_id FROM qms.create_organization('latency', 'latency-' || gen_random_uuid())});
my ($branch) = $writer->selectrow_array('SELECT branch_id FROM qms.create_branch(?, ?)', undef, $organization, 'latency');
my ($queue) = $writer->selectrow_array(q{SELECT queue_id FROM qms.create_queue(?, ?, settings => '{"max_number": 999999}')}, undef, 'latency', $branch);

$reader->do('LISTEN qms');
my $joins = $writer->prepare('SELECT ticket_id FROM qms.join_queue(?)');
my $reads = $reader->prepare('SELECT max(position), bool_or(ticket_id = ?) FROM qms.events_since(?, ?)');
my $socket = IO::Select->new;
$socket->add($reader->{pg_socket});

my ($position) = $reader->selectrow_array('SELECT last_position FROM qms.stream_position()');
my @times;
foreach my $round (1 .. $rounds)
{
	my $ticket = $writer->selectrow_array($joins, undef, $queue);
	my $begin = time();
	my $found;
	while (!$found)
	{
		# What another command brought along is in hand already.
		until ($reader->pg_notifies)
		{
			$socket->can_read(10) or die "no doorbell within 10 seconds: do the workers run?\n";
		}
		(my $last, $found) = $reader->selectrow_array($reads, undef, $ticket, "staff:$branch", $position);
		$position = $last if defined $last;
	}
	push @times, (time() - $begin) * 1000 if $round > $rounds / 10;    # the first ones make plans
}
@times = sort { $a <=> $b } @times;
printf "%d commits: median %.2f ms, p95 %.2f ms, p99 %.2f ms, worst %.2f ms\n", scalar(@times),
  map { $times[ int($_ * $#times) ] } 0.5, 0.95, 0.99, 1;
