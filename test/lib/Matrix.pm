# Matrix.pm: the table of contrib-docs/security.md, made from qms.permission.
#
#   perl -Itest/lib -MMatrix -e 'print Matrix::table(...)'    test/lib/matrix.pl does that
#
# 050_docs.pl makes it again and compares.
package Matrix;

use strict;
use warnings;

my @roles = qw(super_admin admin app_admin reception caller servicer display kiosk customer application);

# table(QUERY): QUERY is a sub that runs SQL and answers psql's unaligned output.
sub table
{
	my ($query) = @_;
	my $text = '| function | action | ' . join(' | ', map { s/_/ /r } @roles) . " |\n|---|---|" . ('---|' x @roles) . "\n";
	my $columns = join ' , ', map { "CASE $_ WHEN 'no' THEN '' ELSE $_ END" } @roles;
	my @rows = split /\n/, $query->("SELECT format('| `%s` | %s | %s |', function, action, concat_ws(' | ', $columns)) FROM qms.permission ORDER BY action COLLATE \"C\"");
	return $text . join('', map { s{ +\|}{ |}gr . "\n" } @rows);
}

# What is between the two marks of the document.
sub of_document
{
	my ($document) = @_;
	return $document =~ /<!-- made by test\/lib\/matrix\.pl -->\n(.*?)<!-- end -->/s ? $1 : '';
}

1;
