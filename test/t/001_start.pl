# The extension comes and goes, with and without shared_preload_libraries.
use strict;
use warnings;

use lib 'test/lib';
use Qms;
use Test::More;

my $left = q{
	SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_catalog.pg_namespace
	WHERE nspname ~ '^qms'};

foreach my $preload (1, 0)
{
	my $how = $preload ? 'preloaded' : 'not preloaded';
	my $node = Qms::node("preload_$preload", { preload => $preload, extension => 0 });

	is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'),
		$preload ? 'qms' : '', $how);
	foreach my $time (qw(first second))
	{
		$node->safe_psql('postgres', 'CREATE EXTENSION qms');
		is( $node->safe_psql('postgres', q{
			SELECT e.extversion = a.default_version
			FROM pg_catalog.pg_extension e
				JOIN pg_catalog.pg_available_extensions a ON a.name = e.extname
			WHERE e.extname = 'qms'}),
			't', "$how: created, $time time");
		$node->safe_psql('postgres', 'LOAD \'qms\'') if $time eq 'second';
		$node->safe_psql('postgres', 'DROP EXTENSION qms');
		is($node->safe_psql('postgres', $left), '', "$how: dropped without a trace, $time time");
	}
	$node->restart;
	is($node->safe_psql('postgres', 'SELECT 1'), '1', "$how: restarted");
	$node->stop;
}

done_testing();
