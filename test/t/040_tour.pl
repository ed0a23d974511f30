# The tour of README.md works as printed.
#
# Blocks that begin with ```sql tour are run, in their order, in one psql session of a new server
# with ON_ERROR_STOP; in those that begin with ```sql tour error, statements may and must fail.  A
# ```text block right behind one is its output, compared line by line.
# QMS_TOUR_WRITE=FILE writes README.md with the output as it was into FILE.
use strict;
use warnings;

use lib 'test/lib';
use IPC::Run qw(run);
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $readme = slurp_file('README.md');
my (@blocks, @pieces);

while ($readme =~ /\G(.*?)^```sql tour( error)?\n(.*?)^```\n(?:(\s*^```text\n)(.*?)(?=^```\n))?/gcms)
{
	my ($before, $fails, $sql, $lead, $output) = ($1, $2, $3, $4, $5);
	push @pieces, $before . "```sql tour" . ($fails || '') . "\n$sql```\n" . ($lead || '');
	push @blocks, { sql => $sql, fails => $fails, expected => $output,
		line => 2 + (substr($readme, 0, $-[3]) =~ tr/\n//) - 1 };
}
my $rest = substr($readme, pos($readme) // 0);
cmp_ok(scalar(@blocks), '>', 5, 'README.md has a tour');

my $node = Qms::node('tour', { extension => 0 });
my $script = '';
foreach my $n (0 .. $#blocks)
{
	my $block = $blocks[$n];
	my $stop = $block->{fails} ? 0 : 1;
	$script .= "\\set ON_ERROR_STOP $stop\n\\echo @@ $n\n$block->{sql}";
}
my $output = '';
run([ 'psql', '-X', '-q', '-d', $node->connstr('postgres') ], '<', \"$script\\echo @@ end\n", '>&', \$output);

my %shown;
while ($output =~ /^@@ (\w+)\n(.*?)(?=^@@ |\z)/gms)
{
	$shown{$1} = $2;
}

# Trailing blanks and the empty lines between answers are psql's, not ours.
sub tidy
{
	my ($text) = @_;
	$text =~ s/[ \t]+$//mg;
	$text =~ s/\A\n+|\n+\z//g;
	return $text eq '' ? '' : "$text\n";
}

foreach my $n (0 .. $#blocks)
{
	my $block = $blocks[$n];
	my $where = "README.md:$block->{line}";
	my $got = tidy($shown{$n} // '(not reached)');

	if ($block->{fails})
	{
		like($got, qr/^ERROR:/m, "$where: fails, as it says");
	}
	else
	{
		unlike($got, qr/^(?:ERROR|FATAL|WARNING):|^\(not reached\)/m, "$where: runs");
	}
	is($got, tidy($block->{expected}), "$where: shows what is printed") if defined $block->{expected};
	$block->{got} = $got;
}
ok(exists $shown{end}, 'the tour comes to its end') or diag($output);

if (my $file = $ENV{QMS_TOUR_WRITE})
{
	open my $fh, '>', $file or die "$file: $!";
	print $fh map({ $pieces[$_] . (defined $blocks[$_]{expected} ? $blocks[$_]{got} : '') } 0 .. $#blocks), $rest;
	close $fh or die "$file: $!";
}
$node->stop;

done_testing();
