#!/usr/bin/perl
# check.pl: checks any database with the extension qms, without qms's own code: folds the event log by
# a model of its own and compares it with the tables, and looks for what foreign keys and unique
# indexes would have told.  Reads only, in one snapshot, so it may run on a live database.
#
#   check.pl [--dsn dbname=...] [--user NAME] [--acks FOLDER] [--margin SECONDS] [--busy]
#
# --busy: an invariant that found nothing to check counts as broken.
# The connection is libpq's: PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, or --dsn.  The role must
# be allowed to read schemas qms and qms_internal, without row security: a superuser or qms_owner.
# It keeps every ticket of the log in memory: about 2 kB each.
#
# One line for each invariant; the exit code is 1 if any is broken, 2 if it could not be checked.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Check;
use DBI;
use Getopt::Long;
use Time::HiRes qw(time);

my %option = (dsn => '', user => undef, margin => 3);
GetOptions(\%option, 'dsn=s', 'user=s', 'acks=s', 'margin=f', 'busy') && !@ARGV or exit 2;
my $dsn = $option{dsn};
$dsn =~ s/\s+/;/g;
my $dbh = DBI->connect("dbi:Pg:$dsn", $option{user}, undef,
	{ RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_server_prepare => 0 }) or do { warn DBI->errstr . "\n"; exit 2 };
my $begin = time();
my ($report, $events);

$dbh->do('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
eval { ($report, $events) = Check::run($dbh, %option); 1 } or do { warn $@; exit 2 };
$dbh->do('ROLLBACK');
foreach my $name (@{ $report->{names} })
{
	$report->add($name, 0, 1, 'there was nothing to check') if $option{busy} && !$report->{checked}{$name};
}
$report->print();
my @failed = $report->failed();
printf("%d events in %.1f s\n%d passed, %d failed\n", $events, time() - $begin,
	@{ $report->{names} } - @failed, scalar @failed);
exit(@failed ? 1 : 0);
