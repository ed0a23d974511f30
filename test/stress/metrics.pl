#!/usr/bin/perl
# metrics.pl: what qms.metrics() counts during a storm is what the event log gained: for each queue and
# each kind of event, to the last one.  Sessions and workers are ended meanwhile, but the server is not
# killed: its counters begin at 0 then.
#
#   metrics.pl FOLDER BINDIR [SECONDS]
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use DBI;
use Storm::Killer;

my ($folder, $bindir, $seconds) = @ARGV;
my @kinds = qw(joined called recalled serving completed no_show held requeued transferred cancelled released admitted expired revoked undone);
my ($passed, $failed) = (0, 0);

sub dbh { return DBI->connect("dbi:Pg:host=$folder;dbname=stress", 'postgres', '', { RaiseError => 1, PrintError => 0 }) }

# By "organization/branch/application/queue/kind": what metrics count, and what the log has.
sub counted
{
	my %count;
	foreach my $line (split /\n/, (dbh()->selectrow_array('SELECT qms.metrics()'))[0])
	{
		my ($kind, $labels, $n) = $line =~ /^qms_queue_users_(\w+)_total\{(.*)\} (\d+)$/ or next;
		my %label = $labels =~ /(\w+)="((?:[^"\\]|\\.)*)"/g;
		$count{ join '/', (map { $label{$_} // '' } qw(organization branch application queue)), $kind } = $n;
	}
	return \%count;
}

sub logged
{
	my $rows = dbh()->selectall_arrayref(q{
		SELECT concat_ws('/', o.slug, coalesce(b.slug, ''), coalesce(a.name, ''), q.slug, substr(e.kind, 8)), count(*)
		FROM qms.event e JOIN qms.queue q USING (queue_id) JOIN qms.organization o ON o.organization_id = q.organization_id
		LEFT JOIN qms.branch b ON b.branch_id = q.branch_id LEFT JOIN qms.application a ON a.application_id = q.application_id
		WHERE e.kind LIKE 'ticket.%' AND q.deleted_at IS NULL GROUP BY 1});
	return { map { @$_ } @$rows };
}

sub check
{
	my ($ok, $what, @details) = @_;
	$ok ? $passed++ : $failed++;
	print $ok ? 'ok' : 'BROKEN', " $what\n", map { "    $_\n" } @details[ 0 .. ($#details > 9 ? 9 : $#details) ];
	return;
}

check(Storm::Killer::all_published($folder, 60), 'metrics: everything is published before');
my ($counted, $logged) = (counted(), logged());
system($^X, "$FindBin::Bin/storm.pl", '--folder', $folder, '--bindir', $bindir, '--seconds', $seconds || 10, '--kill', 0, '--crash', 0) == 0
  or check(0, 'metrics: the storm');
check(Storm::Killer::all_published($folder, 60), 'metrics: and after');
my ($counted_after, $logged_after) = (counted(), logged());
my ($events, %broken) = (0);
foreach my $key (keys %$counted_after)
{
	my $n = $counted_after->{$key} - ($counted->{$key} // 0);
	my $is = ($logged_after->{$key} // 0) - ($logged->{$key} // 0);
	$events += $is;
	$broken{$key} = "$key: $n counted, $is in the log" if $n != $is;
}
check($events > 100, "metrics: something has happened: $events events");
check(!%broken, 'metrics: every counter grew by what the event log gained', map { $broken{$_} } sort keys %broken);
print "$passed passed, $failed failed\n";
exit($failed > 0);
