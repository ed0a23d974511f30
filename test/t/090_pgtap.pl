# Runs test/pgtap/*.sql, each in a database of its own with pgtap and qms in it, and passes every
# assertion on.  By hand: pg_prove -d DB test/pgtap/*.sql
use strict;
use warnings;

use lib 'test/lib';
use Qms;
use TAP::Parser;
use Test::More;

my @files = sort glob 'test/pgtap/*.sql';
plan skip_all => 'no pgTAP files' unless @files;

my $node = Qms::node('pgtap');
if ($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_catalog.pg_available_extensions WHERE name = 'pgtap'}) eq '0')
{
	plan skip_all => 'pgTAP is not installed';
}
$node->safe_psql('postgres', 'CREATE DATABASE pgtap_base');
$node->safe_psql('pgtap_base', 'CREATE EXTENSION pgtap; CREATE EXTENSION qms');

foreach my $file (@files)
{
	my ($database) = $file =~ m{([^/]+)\.sql$};
	$node->safe_psql('postgres', qq{CREATE DATABASE "$database" TEMPLATE pgtap_base});

	my ($out, $err) = ('', '');
	my $rc = $node->psql($database, undef,
		stdout => \$out,
		stderr => \$err,
		on_error_stop => 1,
		extra_params => [ '--tuples-only', '--no-align', '--quiet', '--file', $file ]);

	my $parser = TAP::Parser->new({ tap => $out });
	while (my $result = $parser->next)
	{
		if ($result->is_test)
		{
			my $test = "$file: " . ($result->description =~ s/^- //r);

			if ($result->has_skip)
			{
			  SKIP: { skip "$test: " . $result->explanation, 1; }
			}
			elsif ($result->has_todo)
			{
			  TODO:
				{
					local $TODO = $result->explanation;
					ok($result->is_actual_ok, $test);
				}
			}
			else
			{
				ok($result->is_ok, $test);
			}
		}
		elsif ($result->is_comment)
		{
			diag($result->as_string);
		}
		elsif ($result->is_unknown && $result->as_string =~ /\S/)
		{
			note($result->as_string);
		}
	}
	# The plan was kept and psql saw no error outside of an assertion.
	is($rc, 0, "$file: ran to its end") or diag($err);
	is(join('; ', $parser->parse_errors), '', "$file: plan kept");
	$node->safe_psql('postgres', qq{DROP DATABASE "$database"});
}

done_testing();
