# The gateway's hub in a played world (test/gateway/hub_test.c), under the address and undefined
# behaviour sanitizers: rights, recovery, slow clients, breaks of the stream, and random worlds in
# which nothing may be missed, come twice or out of order.
use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

my $dir = tempdir(CLEANUP => 1);
my $out = `bash test/gateway/build_hub_test.sh $dir/hub_test 2>&1`;
is($?, 0, 'it builds') or BAIL_OUT($out);
is($out, '', 'without a warning');

my @lines = split /\n/, `ASAN_OPTIONS=detect_leaks=0 timeout 900 $dir/hub_test 2>&1`;
is($?, 0, 'it ends well') or diag(join "\n", @lines);
foreach (@lines)
{
	my ($not, $name) = /^(not )?ok (?:\d+ )?- (.*)/ or next;
	ok(!$not, $name);
}
done_testing();
