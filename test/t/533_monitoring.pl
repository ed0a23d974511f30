# contrib-docs/monitoring: rules, their tests and the dashboards name only what is measured, and monitoring.md
# names all of it; promtool likes them.
use strict;
use warnings;

use lib 'test/lib';
use File::Find;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Prometheus;
use Qms;
use Test::More;

my $folder = 'contrib-docs/monitoring';
my $node = Qms::node('monitoring');
my $m = Prometheus->new($node->safe_psql('postgres', 'SELECT qms.metrics()'));
my %type = %{ $m->{type} };

# The gateway's own, as its sources have them.
my %gateway = map { $_ => 1 } map { /"((?:qms_)?\w+)", "(?:gauge|counter)"/g, /begin_family\(out, "(\w+)"/g, /# TYPE (?:qms_gateway_)?(\w+) /g, /"(qms_gateway_\w+_seconds)"/g, /\{"(\w+_total)"/g, /put_of_databases\(out, "(\w+)"/g }
	map { slurp_file($_) } glob 'src/gateway/*metrics.c src/gateway/hub_scrape.c';
sub is_measured
{
	my ($name) = @_;
	(my $family = $name) =~ s/_(?:bucket|sum|count)$//;
	return $type{$name} || (($type{$family} // '') eq 'histogram') || $gateway{$name} || $gateway{$family} || $gateway{ $name =~ s/^qms_gateway_//r } || $gateway{ $family =~ s/^qms_gateway_//r };
}

foreach my $file (glob "$folder/*")
{
	my %unknown = map { $_ => 1 } grep { !is_measured($_) } slurp_file($file) =~ /\b(qms_[a-z0-9_]+)(?=[\[{ )<>=+]|$)/gm;
	is(join(' ', sort keys %unknown), '', "$file names only what is measured");
}

# Dashboards: every panel has a title, a place that no other has, and a query.
foreach my $file (glob "$folder/grafana-*.json")
{
	my $board = decode_json(slurp_file($file));
	my (@faults, %ids, %cells);
	foreach my $panel (@{ $board->{panels} })
	{
		push @faults, "no title: $panel->{id}" unless $panel->{title};
		push @faults, "twice: $panel->{id}" if $ids{ $panel->{id} }++;
		push @faults, "no query: $panel->{title}" unless $panel->{type} eq 'row' || @{ $panel->{targets} };
		my $at = $panel->{gridPos};
		push @faults, "too wide: $panel->{title}" if $at->{x} + $at->{w} > 24;
		foreach my $x ($at->{x} .. $at->{x} + $at->{w} - 1)
		{
			push @faults, "$panel->{title} covers another" if grep { $cells{"$x $_"}++ } $at->{y} .. $at->{y} + $at->{h} - 1;
		}
	}
	is(join("\n", @faults), '', "$file: panels");
	is(join(' ', map { $board->{$_} ? () : $_ } qw(title uid schemaVersion)), '', "$file: what Grafana needs");
}

SKIP:
{
	skip 'no promtool', 4 unless Prometheus::has_promtool();
	is(system('promtool', 'check', 'rules', "$folder/alerts.yml"), 0, 'finds nothing');
	is(system('promtool', 'test', 'rules', "$folder/alerts_test.yml"), 0, 'promtool test rules');
	is(system('promtool', 'check', 'config', "$folder/prometheus.yml"), 0, 'promtool check config');

	# Queries of dashboards are expressions: each as a rule, with Grafana's variables filled in.
	my $rules = "groups:\n  - name: dashboards\n    rules:\n";
	my $n = 0;
	foreach my $file (glob "$folder/grafana-*.json")
	{
		foreach my $expression (map { $_->{expr} } map { @{ $_->{targets} // [] } } @{ decode_json(slurp_file($file))->{panels} })
		{
			$expression =~ s/\$__rate_interval/5m/g;
			$expression =~ s/\$\w+/x/g;
			$rules .= "      - record: a" . $n++ . "\n        expr: '$expression'\n";
		}
	}
	my $place = PostgreSQL::Test::Utils::tempdir();
	append_to_file("$place/dashboards.yml", $rules);
	is(system('promtool', 'check', 'rules', "$place/dashboards.yml"), 0, "all $n queries of the dashboards are expressions");
}

# The page names every figure.
my $page = slurp_file('contrib-docs/monitoring.md');
is(join(' ', grep { $page !~ /`\Q$_\E`/ && !/^qms_queue_users_/ } sort keys %type), '', 'monitoring.md names every figure');
is(join(' ', grep { $page !~ /`$_`/ } map { /^qms_queue_users_(\w+)_total$/ } sort keys %type), '', 'and every counter of queues');
$node->stop;

done_testing();
