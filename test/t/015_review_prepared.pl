# A join that was prepared before the server started is nobody's but its own: when it commits, it is
# in front of those who came later, though they have been called from in the meantime.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('prepared', {});
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{SELECT iso.world()});
is($ask->(q{SELECT iso.join('r'), iso.join('r'), iso.join('r')}), 'B001|B002|B003', 'others wait elsewhere');
is($ask->(q{BEGIN; SELECT iso.join(); PREPARE TRANSACTION 'before'}), 'A001', 'a join is prepared');
foreach my $mode ('immediate', 'fast')
{
	$node->stop($mode);
	$node->start;
}
is($ask->(q{SELECT number FROM generate_series(1, 3) n, LATERAL qms.transfer_ticket(iso.id('B00' || n), iso.id('q'), 'last')}),
	"B001\nB002\nB003", 'three come after it');
is($ask->(q{SELECT iso.call('one')}), 'B001', 'it does not wait yet');
$ask->(q{COMMIT PREPARED 'before'});
is($ask->(q{SELECT iso.call('one', 'completed'), iso.call('one', 'completed'), iso.call('one', 'completed'), iso.call('one', 'completed')}),
	'A001|B002|B003|nobody', 'and now it comes first');

done_testing();
