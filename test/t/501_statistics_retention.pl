# Partitions of the log are dropped, snapshots stay, and are not made anew to nothing; nothing is dropped before it is counted.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('history', 'qms.workers = on', 'qms.statistics_interval = 0', q{qms.mock_now = '2030-01-10 09:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $partitions = sub { return $ask->(q{SELECT string_agg(substr(relname, 7), ' ' ORDER BY relname) FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'qms.event'::regclass}) };
my $stored = q{SELECT md5(string_agg(s::text, E'\n' ORDER BY s::text)) || ' ' || count(*) FROM (SELECT to_jsonb(a) - 'computed_at' AS s FROM qms.analytics_snapshot a UNION ALL SELECT to_jsonb(a) - 'computed_at' FROM qms.staff_snapshot a) s WHERE s ->> 'starts_at' < '2030-02'};
my $quiet = q{SELECT NOT EXISTS (SELECT 1 FROM qms_internal.stats_due) AND (SELECT turn > 1 FROM qms_internal.stats_progress)};

$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{SELECT iso.world(0)});
my $serve = sub {
	my ($at, $q) = @_;

	$ask->("SET qms.mock_now = '$at'; SELECT iso.join('q'); SELECT iso.try(format('SELECT qms.open_counter(%s)', iso.id('one')))");
	$ask->("SET qms.mock_now = '$at'; SELECT set_config('qms.mock_now', (timestamptz '$at' + interval '7 min')::text, false); SELECT qms.call_next(iso.id('one')); SELECT set_config('qms.mock_now', (timestamptz '$at' + interval '12 min')::text, false); SELECT qms.complete_service(iso.id('one'))");
	return;
};
$serve->("2030-01-$_ 10:20+00") foreach 10 .. 12;
$serve->('2030-01-31 23:58+00');
$ask->(q{SET qms.mock_now = '2030-02-01 00:30+00'; SELECT qms.close_counter(counter_id) FROM qms.staff_session WHERE closed_at IS NULL});

# The statistics are off: the log goes by its date alone.  They are on, and have not looked yet: it stays.
$ask->(q{ALTER SYSTEM SET qms.history_retention = 1});
$ask->(q{ALTER SYSTEM SET qms.statistics_interval = 60});
my $busy = $node->background_psql('postgres');
# Whoever makes snapshots by hand holds the lock; the scheduler waits with its own.
$busy->query_safe(q{BEGIN; SET qms.mock_now = '2030-01-01 00:00+00'; SELECT qms.recompute_snapshots('2029-12-01', '2029-12-02')});
$clock->at('2030-04-05 09:00+00');
$clock->at('2030-04-05 10:30+00');
like($partitions->(), qr/^2030_01 /, 'a month that is not in the snapshots is not dropped');
$busy->query_safe('COMMIT');
$busy->quit;
$clock->at('2030-04-05 10:35+00');
Qms::wait_for($node, $quiet, 'it is counted');
my $before = $ask->($stored);
is($ask->(q{SELECT sum(joined) || ' ' || sum(wait_count) || ' ' || sum(service_count) FROM qms.analytics_snapshot WHERE queue_id IS NULL AND branch_id IS NULL AND period = 'hour' AND customer_class IS NULL}), '4 4 4', 'all of it');
is($ask->(q{SELECT string_agg(extract(epoch FROM wait_sum)::int || ' ' || joined, ', ' ORDER BY starts_at) FROM qms.analytics_snapshot WHERE queue_id = iso.id('q') AND period = 'hour' AND customer_class IS NULL AND starts_at >= '2030-01-31'}),
	'0 1, 420 0', 'over midnight and month');
$clock->at('2030-04-05 11:40+00');
$clock->at('2030-04-05 12:45+00');
Qms::wait_for($node, q{SELECT count(*) = 0 FROM pg_class WHERE relname IN ('event_2030_01', 'ticket_history_2030_01')}, 'then it is dropped, and the history with it');
is($ask->($stored), $before, 'the snapshots stay');

# By hand: nothing of January is made anew, nor of the first of February, whose tickets came in January.
$serve->('2030-04-05 10:20+00');
$ask->(q{SELECT qms.recompute_snapshots()});
is($ask->($stored), $before, 'recompute_snapshots leaves alone what the log does not have');
is($ask->(q{SELECT extract(epoch FROM wait_sum)::int FROM qms.analytics_snapshot WHERE queue_id = iso.id('q') AND period = 'hour' AND customer_class IS NULL AND starts_at = '2030-02-01 00:00+00'}), '420', '... and what it has in part only');
is($ask->(q{SELECT sum(joined) FROM qms.analytics_snapshot WHERE queue_id IS NULL AND branch_id IS NULL AND period = 'hour' AND customer_class IS NULL}), '5', '... and makes what it has');
is($ask->(q{SELECT arrivals || ' ' || waits FROM qms.queue_stats(iso.id('q'), '2030-01-01', '2030-05-01') WHERE customer_class IS NULL}), '5 5', 'sums reach back beyond the log');

# Another month on: February goes too, without anybody having to count it again.
$clock->at('2030-05-09 09:00+00');
$clock->at('2030-05-09 10:05+00');
Qms::wait_for($node, q{SELECT count(*) = 0 FROM pg_class WHERE relname IN ('event_2030_02')}, 'the next month is dropped');
is($ask->($stored), $before, 'the snapshots stay');
is($ask->(q{SELECT count(*) FROM qms_internal.stats_slot WHERE starts_at < '2030-03-01'}), '0', 'what is known of the log goes with it');

# Off again: nothing is made.
$ask->(q{ALTER SYSTEM SET qms.statistics_interval = 0});
$serve->('2030-05-09 10:20+00');
$clock->at('2030-05-09 11:30+00');
$clock->at('2030-05-09 12:30+00');
is($ask->(q{SELECT sum(joined) FROM qms.analytics_snapshot WHERE queue_id IS NULL AND branch_id IS NULL AND period = 'hour' AND customer_class IS NULL}), '5', 'turned off, the scheduler makes no snapshots');
$ask->(q{ALTER SYSTEM SET qms.statistics_interval = 60});
$clock->at('2030-05-09 13:30+00');
Qms::wait_for($node, q{SELECT sum(joined) = 6 FROM qms.analytics_snapshot WHERE queue_id IS NULL AND branch_id IS NULL AND period = 'hour' AND customer_class IS NULL}, 'turned on, it makes up for it');
ok($clock->idle, 'the scheduler sleeps');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal|task "(?:statistics|snapshots)" failed|snapshot of/, 'nothing failed');

done_testing();
