# Snapshots of a month equal a recomputation from the event log in another language (test/lib/stats_check.py): with undo,
# transfers between branches, the end of summer time, a branch in a zone of 45 minutes, late commits, a crash.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('month', 'qms.workers = on', 'qms.statistics_interval = 60', q{qms.mock_now = '2030-10-01 00:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

sub settled
{
	my ($test) = @_;
	# What is committed has been looked at, and nothing is due.
	my $target = $ask->('SELECT pg_current_snapshot()');

	return Qms::wait_for($node, qq{SELECT NOT EXISTS (SELECT 1 FROM qms_internal.stats_due) AND NOT EXISTS (SELECT 1 FROM qms.event e, qms_internal.stats_progress p
		WHERE e.xid < pg_snapshot_xmax('$target') AND (p.target IS NOT NULL OR NOT pg_visible_in_snapshot(e.xid, p.snapshot)))}, $test);
}

# The tables as files, and what the other program says of them.
sub checked
{
	my ($test) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $sketches = join ', ', map { "CASE WHEN ${_}_count > 0 THEN ARRAY(SELECT extract(epoch FROM least(qms.sketch_quantile(${_}_sketch, q), ${_}_max)) FROM unnest('{0.5,0.9,0.95}'::float8[]) q) END AS ${_}_quantiles" } qw(wait service abandoned_wait);
	my $spans = sub { return join ', ', map { "extract(epoch FROM $_) AS $_" } @_ };
	my %query = (
		events => 'SELECT event_id, at, kind, organization_id, branch_id, queue_id, visit_id, ticket_id, state, counter_id, staff_id, data FROM qms.event ORDER BY event_id',
		snapshots => "SELECT to_jsonb(s) - ARRAY['wait_sum', 'wait_max', 'service_sum', 'service_max', 'abandoned_wait_sum', 'abandoned_wait_max', 'wait_sketch', 'service_sketch', 'abandoned_wait_sketch'] || to_jsonb(x) FROM qms.analytics_snapshot s, LATERAL (SELECT " .
			$spans->(qw(wait_sum wait_max service_sum service_max abandoned_wait_sum abandoned_wait_max)) . ", $sketches) x",
		staff => "SELECT to_jsonb(s) - ARRAY['service_sketch', 'service_sum', 'service_max', 'idle', 'walking', 'serving', 'paused'] || to_jsonb(x) FROM qms.staff_snapshot s, LATERAL (SELECT " . $spans->(qw(service_sum service_max idle walking serving paused)) . ') x',
		setup => q{SELECT jsonb_build_object('now', current_setting('qms.mock_now')::timestamptz,
			'queues', (SELECT jsonb_agg(jsonb_build_object('queue_id', queue_id, 'organization_id', organization_id, 'branch_id', branch_id, 'target', extract(epoch FROM (settings ->> 'wait_target')::interval))) FROM qms.queue),
			'branches', (SELECT jsonb_agg(jsonb_build_object('branch_id', b.branch_id, 'organization_id', b.organization_id, 'zone', coalesce(b.time_zone, o.time_zone))) FROM qms.branch b JOIN qms.organization o USING (organization_id)),
			'organizations', (SELECT jsonb_agg(jsonb_build_object('organization_id', organization_id, 'zone', time_zone)) FROM qms.organization),
			'classes', (SELECT jsonb_agg(jsonb_build_object('customer_class_id', customer_class_id, 'name', name)) FROM qms.customer_class))});

	while (my ($name, $query) = each %query)
	{
		my $column = $name eq 'events' ? 'to_jsonb(r)' : 'r.*';
		$column = 'r.*' if $name ne 'events';
		append_to_file("$folder/$name", $ask->("SELECT $column FROM ($query) r") . "\n");
	}
	my ($out, $err) = ('', '');
	my $good = IPC::Run::run(['python3', 'test/lib/stats_check.py', $folder], '>', \$out, '2>', \$err);
	note($out);
	return ok($good, $test) || diag($out . $err);
}

$ask->(slurp_file('test/fixtures/stats_month.sql'));
$ask->(q{SELECT sim.act('open', counter_id, b) FROM sim.counter});

# Days of a month, the scheduler behind them.  One session writes an hour and commits a day later.
my $day = sub { return sprintf '2030-10-%02d %s+02', @_ };
my $run = sub { my ($d, $since, $before, $steps) = @_; $ask->(sprintf "CALL sim.run('%s', '%s', %d, %f)", $day->($d, $since), $day->($d, $before), $steps, ($d * 100 + $steps % 97) / 3200 - 0.5) };
foreach my $d (1 .. 9)
{
	$run->($d, '06:00', '23:30', 350);
	$clock->set($day->($d, '23:45'));
}
settled('what was committed is in the snapshots');
checked('nine days: every figure of every hour and day, queue, branch, organization and staff member');

my $late = $node->background_psql('postgres');
$late->query_safe(q{SET qms.mock_now = '2030-10-10 09:10+02'; BEGIN; SELECT qms.join_queue(sim.id('north3')); SELECT qms.join_queue(sim.id('north3')); SELECT qms.join_queue(sim.id('room'))});
$run->(10, '06:00', '23:30', 350);
$clock->set($day->(10, '23:45'));
settled('behind an open transaction');
my $hour = q{SELECT joined FROM qms.analytics_snapshot WHERE branch_id = sim.id('north') AND queue_id IS NULL AND period = 'hour' AND starts_at = '2030-10-10 09:00+02' AND customer_class IS NULL};
my $before = $ask->($hour) || 0;
$late->query_safe('COMMIT');
$late->quit;
$clock->set($day->(11, '00:50'));
Qms::wait_for($node, "SELECT ($hour) = $before + 2", 'what commits late is added to its hour');
settled('and then nothing is due');
checked('with late events');

# A crash in the midst of it: of what people do, and of the scheduler's work.
my $lost = $node->background_psql('postgres');
$lost->query_safe(q{SET qms.mock_now = '2030-10-11 09:10+02'; BEGIN; SELECT qms.join_queue(sim.id('room'))});
$run->(11, '06:00', '23:30', 350);
$node->safe_psql('postgres', "ALTER SYSTEM SET qms.mock_now = '" . $day->(11, '23:45') . "'");
$ask->('SELECT pg_reload_conf()');
$node->stop('immediate');
eval { $lost->quit };
$node->start;
settled('after a crash');
checked('with a crash in the midst of a day');

# The rest of the month; the 27th has 25 hours, and people come in all of them.
$run->($_, $_ == 27 ? '00:00' : '06:00', '23:30', $_ == 27 ? 900 : 150) foreach 12 .. 31;
$clock->at('2030-11-01 06:30+01');
ok($clock->idle, 'the day is over for tickets');
$clock->set('2030-11-01 08:00+01');
settled('the rest of the month at once');
checked('the whole month');
is($ask->(q{SELECT string_agg(local_hour || ' ' || (starts_at AT TIME ZONE 'UTC')::time(0), ', ' ORDER BY starts_at) FROM qms.analytics_snapshot
	WHERE queue_id IS NULL AND branch_id = sim.id('north') AND period = 'hour' AND customer_class IS NULL AND local_date = '2030-10-27' AND local_hour BETWEEN 1 AND 3}),
	'1 23:00:00, 2 00:00:00, 2 01:00:00, 3 02:00:00', 'the hour that is there twice has two rows');
is($ask->(q{SELECT ends_at - starts_at FROM qms.analytics_snapshot WHERE queue_id IS NULL AND branch_id = sim.id('north') AND period = 'day' AND customer_class IS NULL AND local_date = '2030-10-27'}),
	'1 day 01:00:00', 'the day has 25 hours');
is($ask->(q{SELECT count(*) FROM qms.analytics_snapshot WHERE branch_id = sim.id('east') AND period = 'hour' AND extract(minute FROM starts_at) <> 15}), '0', 'hours begin when the local clock says so');
note($ask->(q{SELECT string_agg(action || ' ' || done, ', ' ORDER BY done DESC) FROM sim.count}));
is($ask->(q{SELECT count(*) FROM sim.count WHERE done >= 10}), '23', 'everything was done often enough');

# Made anew by hand: the same.
$ask->(q{CREATE TABLE sim.before AS SELECT to_jsonb(s) - 'computed_at' AS row FROM qms.analytics_snapshot s UNION ALL SELECT to_jsonb(s) - 'computed_at' FROM qms.staff_snapshot s});
my $again = $ask->(q{SELECT qms.recompute_snapshots()});
cmp_ok($again, '>', 500, "recompute_snapshots makes $again hours anew");
is($ask->(q{SELECT count(*) FROM (SELECT row FROM sim.before EXCEPT SELECT row FROM (SELECT to_jsonb(s) - 'computed_at' AS row FROM qms.analytics_snapshot s UNION ALL SELECT to_jsonb(s) - 'computed_at' FROM qms.staff_snapshot s) a) d}),
	'0', 'which are as they were') || diag($ask->(q{SELECT row FROM sim.before EXCEPT SELECT row FROM (SELECT to_jsonb(s) - 'computed_at' AS row FROM qms.analytics_snapshot s UNION ALL SELECT to_jsonb(s) - 'computed_at' FROM qms.staff_snapshot s) a LIMIT 5}));
ok($clock->idle, 'the scheduler sleeps');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal|task "(?:statistics|snapshots)" failed|snapshot of/, 'no crash but ours, nothing failed');

done_testing();
