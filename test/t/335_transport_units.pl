# Pieces of the gateway's transport by themselves (test/gateway/transport_test.c), under the address and
# undefined behaviour sanitizers.
use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

my $dir = tempdir(CLEANUP => 1);
my $sources = join ' ', 'test/gateway/transport_test.c', map { "src/gateway/$_.c" } qw(wheel address origin text settings);
my $out = `cc -g -O1 -Wall -Wextra -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all -Isrc/gateway -isystem \$(pg_config --includedir) -o $dir/test $sources -lpq 2>&1`;
is($out, '', 'it builds without a warning') or BAIL_OUT($out);
my @lines = split /\n/, `timeout 120 $dir/test 2>&1`;
is($?, 0, 'it ends well') or diag(join "\n", @lines);
foreach (@lines)
{
	my ($not, $name) = /^(not )?ok - (.*)/ or next;
	ok(!$not, $name);
}
done_testing();
