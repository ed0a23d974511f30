#!/usr/bin/perl
# setup.pl FOLDER BINDIR: a server in FOLDER with the database "stress", set up for the storm.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use DBI;
use Storm::Cluster;
use Storm::Site;

my ($folder, $bindir) = @ARGV;
my $cluster = Storm::Cluster->new($folder, $bindir);

$cluster->make(
	"shared_preload_libraries = 'qms'", 'qms.gateway = off', 'max_connections = 200', 'max_prepared_transactions = 100', 'jit = off', 'track_commit_timestamp = on',
	'deadlock_timeout = 200ms', 'statement_timeout = 60s', 'log_min_messages = log',
	"log_line_prefix = '%m [%p] %e '", 'fsync = on', 'checkpoint_timeout = 30s', 'restart_after_crash = on');
$cluster->start();
my %attributes = (RaiseError => 1, PrintError => 0);
DBI->connect("dbi:Pg:host=$folder;dbname=postgres", 'postgres', '', \%attributes)->do('CREATE DATABASE stress');
my $dbh = DBI->connect("dbi:Pg:host=$folder;dbname=stress", 'postgres', '', \%attributes);
$dbh->do('CREATE EXTENSION qms');
Storm::Site::build($dbh, $folder);
