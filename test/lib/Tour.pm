# Tour.pm: runs the walk-through of a document and compares what it prints.
#
#   Tour::run('README.md', 5);                     # at least 5 blocks
#   Tour::run('contrib-docs/x.md', 5, 'qms.workers = on');
#
# Blocks that begin with ```sql tour are run, in their order, in one psql session of a new server
# with ON_ERROR_STOP; in those that begin with ```sql tour error, statements may and must fail.  A
# ```text block right behind one is its output, compared line by line.  A line
# <!-- until: CONDITION --> somewhere before a block waits until the condition holds.
# QMS_TOUR_WRITE=FILE writes the document with the output as it was into FILE.
package Tour;

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

# Trailing blanks and the empty lines between answers are psql's, not ours.
sub tidy
{
	my ($text) = @_;
	$text =~ s/[ \t]+$//mg;
	$text =~ s/\A\n+|\n+\z//g;
	return $text eq '' ? '' : "$text\n";
}

# Polls, with a new snapshot each time, until the condition holds.
sub waiting
{
	my ($condition) = @_;
	my $turns = $Qms::timeout * 20;

	return <<"SQL";
DO \$until\$ BEGIN
	FOR i IN 1 .. $turns LOOP
		EXIT WHEN ($condition);
		PERFORM pg_catalog.pg_sleep(0.05);
	END LOOP;
END \$until\$;
SQL
}

# The document in pieces: what comes before each block, and the blocks.
sub read_document
{
	my ($text, $name) = @_;
	my (@blocks, @pieces);

	while ($text =~ /\G(.*?)^```sql tour( error)?\n(.*?)^```\n(?:(\s*^```text\n)(.*?)(?=^```\n))?/gcms)
	{
		my ($before, $fails, $sql, $lead, $output) = ($1, $2, $3, $4, $5);
		my $where = $name . ':' . (1 + (substr($text, 0, $-[3]) =~ tr/\n//));
		my ($until) = $before =~ /^<!-- until: (.*?) -->$/m;
		push @pieces, $before . "```sql tour" . ($fails || '') . "\n$sql```\n" . ($lead || '');
		push @blocks, { sql => $sql, fails => $fails, expected => $output, until => $until, where => $where };
	}
	return (\@blocks, \@pieces, substr($text, pos($text) // 0));
}

sub check_block
{
	my ($block, $shown) = @_;
	my $got = tidy($shown // '(not reached)');

	if ($block->{fails})
	{
		like($got, qr/^ERROR:/m, "$block->{where}: fails, as it says");
	}
	else
	{
		unlike($got, qr/^(?:ERROR|FATAL|WARNING):|^\(not reached\)/m, "$block->{where}: runs");
	}
	is($got, tidy($block->{expected}), "$block->{where}: shows what is printed") if defined $block->{expected};
	$block->{got} = $got;
	return;
}

sub run
{
	my ($name, $least, @settings) = @_;
	my ($blocks, $pieces, $rest) = read_document(slurp_file($name), $name);
	my $node = Qms::node('tour', { extension => 0 }, @settings);
	my $script = '';
	my $output = '';
	my %shown;

	cmp_ok(scalar(@$blocks), '>', $least, "$name has a tour");
	foreach my $n (0 .. $#$blocks)
	{
		my $block = $blocks->[$n];
		$script .= sprintf "\\set ON_ERROR_STOP %d\n%s\\echo @@ %d\n%s", $block->{fails} ? 0 : 1,
			$block->{until} ? waiting($block->{until}) : '', $n, $block->{sql};
	}
	IPC::Run::run([ 'psql', '-X', '-q', '-d', $node->connstr('postgres') ], '<', \"$script\\echo @@ end\n", '>&', \$output);
	while ($output =~ /^@@ (\w+)\n(.*?)(?=^@@ |\z)/gms)
	{
		$shown{$1} = $2;
	}
	check_block($blocks->[$_], $shown{$_}) foreach 0 .. $#$blocks;
	ok(exists $shown{end}, 'the tour comes to its end') or diag($output);
	if (my $file = $ENV{QMS_TOUR_WRITE})
	{
		open my $fh, '>', $file or die "$file: $!";
		print $fh map({ $pieces->[$_] . (defined $blocks->[$_]{expected} ? $blocks->[$_]{got} : '') } 0 .. $#$blocks), $rest;
		close $fh or die "$file: $!";
	}
	$node->stop;
	return;
}

1;
