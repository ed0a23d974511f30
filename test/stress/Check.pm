# Check: the whole check of a database, on an open transaction.
package Check;

use strict;
use warnings;

use Check::Config;
use Check::Fold;
use Check::Ids;
use Check::Numbers;
use Check::Order;
use Check::Report;
use Check::Sessions;
use Check::Tables;
use Scalar::Util qw(weaken);

# Nothing is read through an index or our functions: a wrong index or function must not hide anything.
my @settings = (
	"search_path = pg_catalog, qms", 'enable_indexscan = off', 'enable_indexonlyscan = off', 'enable_bitmapscan = off',
	"timezone = 'UTC'", "datestyle = 'ISO'", "intervalstyle = 'postgres'", 'jit = off', 'cursor_tuple_fraction = 1',
	'statement_timeout = 0');

# run(dbh, acks => folder, margin => seconds, ids_only => 1): a Check::Report, and how many events there were.
sub run
{
	my ($dbh, %option) = @_;
	my $report = Check::Report->new();
	my $events = 0;

	$dbh->do("SET LOCAL $_") foreach @settings;
	$events = check_log($dbh, $report, %option) unless $option{ids_only};
	Check::Ids::run($dbh, $report);
	return ($report, $events);
}

# The log, and what of the tables it tells.
sub check_log
{
	my ($dbh, $report, %option) = @_;
	my $config = Check::Config->new($dbh);
	my $margin = int(1_000_000 * ($option{margin} // 3));
	# Retention drops old months of the log: then tickets may be known only in part.
	my ($begins, $begins_usec, $partial) = $dbh->selectrow_array(
		'SELECT min(at), ' . Check::Tables::usec('min(at)') . q{, coalesce(date_trunc('month', min(at))
			> date_trunc('month', (SELECT min(created_at) FROM qms.organization)), false)::int FROM qms.event});
	my %shared = (report => $report, config => $config, margin => $margin, partial => $partial, begins => $begins_usec);
	my $numbers = Check::Numbers->new(%shared);
	my $fold = Check::Fold->new(%shared, numbers => $numbers);

	$numbers->read_older($dbh, $begins) if $partial;
	my $folded = $fold;
	weaken($folded);
	$fold->{sessions} = Check::Sessions->new(%shared, fold => $fold);
	$fold->{orders} = [
		Check::Order->new(%shared, name => 'order: nobody passed by turn', key => sub { $_[0]{key} }),
		Check::Order->new(%shared, name => 'order: bound by credits', key => sub { $folded->expected_key($_[0]) })];
	my $events = Check::Tables::read_log($dbh, $fold, $margin);
	$fold->finish();
	Check::Tables::compare_tickets($dbh, $fold, $report);
	Check::Tables::compare_legs($dbh, $fold, $report);
	$numbers->finish($dbh);
	$fold->{sessions}->finish($dbh);
	Check::Tables::compare_acknowledged($dbh, $fold, $report, $option{acks}) if defined $option{acks};
	return $events;
}

1;
