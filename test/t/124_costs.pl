# What workers cost when there is nothing to do: an idle database sees no transaction of theirs.
# (Memory: 129_memory.pl.)
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('costs', 'qms.workers = on', 'autovacuum = off', "qms.excluded_databases = 'template1'");
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $all_published = 'SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)';

$ask->(q{
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1, settings => '{"max_number": 99999}')});

$ask->("SELECT 1 FROM qms.join_queue(1);\n" x 100);

# ---- idle ----

# Counted from another database: asking there is no transaction here.
$ask->('CREATE DATABASE elsewhere');
my $there = sub { return $node->safe_psql('elsewhere', $_[0]) };
my $count = q{SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'};
Qms::wait_for($node, $all_published, 'nothing is left to do');
$node->safe_psql('elsewhere', 'SELECT 1');
my ($last, $same) = ('', 0);
# The counters of ended sessions come with a delay: wait until they stand still, then watch.
ok(Qms::poll(sub { my $now = $there->($count); $same = $now eq $last ? $same + 1 : 0; $last = $now; return $same >= 20 }), 'transactions come to rest');
my $from = $there->('SELECT clock_timestamp()');
Qms::poll(sub { $there->("SELECT clock_timestamp() > '$from'::timestamptz + interval '5 s'") eq 't' });
is($there->($count), $last, 'an idle database: no transaction in five seconds');

# ---- publishing: what is new is found by the transactions that wrote it, whatever statistics say ----

$ask->("SELECT count(*) FROM generate_series(1, 5000) g, qms.join_queue(1, metadata => jsonb_build_object('g', g))");
Qms::wait_for($node, $all_published, 'many events are published');
my $read = q{SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE indexrelname ~ '^event_20\d\d_\d\d_pkey$'};
my $position = 'SELECT last_position FROM qms_internal.publisher_progress ORDER BY turn DESC LIMIT 1';
foreach my $table ('qms.event', 'qms.ticket', 'qms_internal.publisher_progress')
{
	# As autovacuum comes to the tables, one after the other; each time the plan is made anew.
	$ask->("VACUUM ANALYZE $table");
	my $before = $ask->($read);
	foreach (1 .. 10)
	{
		my $last = $ask->($position);
		$ask->('SELECT 1 FROM qms.join_queue(1)');
		Qms::poll(sub { $ask->($position) > $last }) or last;
	}
	# What it has read is told with its commit; each event is read once for its position.
	my $by_id = $ask->($read) - $before;
	cmp_ok($by_id, '<', 500, "$table analyzed: not by the index of event_id ($by_id entries read)");
}
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
