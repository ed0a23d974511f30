# What is learned of waits: by the scheduler, from what is committed, over restarts and crashes; and without it.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('learning', 'qms.workers = on', 'restart_after_crash = on', 'autovacuum = off', q{qms.mock_now = '2030-01-07 09:00:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $second = 0;
my $later = sub { $second += $_[0]; $clock->at(sprintf '2030-01-07 %02d:%02d:%02d+00', 9 + int($second / 3600), int($second / 60) % 60, $second % 60) };
my $calls = sub { return $ask->(q{SELECT coalesce((SELECT round(sums[2]) FROM qms_internal.wait_model WHERE queue_id = 1), 0)}) };
my $told = sub { return $ask->(q{SELECT wait_p50 FROM qms.queue_status(1)}) };

$ask->(q{
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b', 'UTC');
	SELECT queue_id FROM qms.create_queue('q', 1);
	SELECT queue_id FROM qms.create_queue('broken', 1);
	SELECT counter_id FROM qms.create_counter(1, 'c', '{1}');
	SELECT counter_id FROM qms.create_counter(1, 'd', '{2}');
	SELECT status FROM qms.open_counter(1);
	SELECT status FROM qms.open_counter(2);
	SELECT count(*) FROM generate_series(1, 200) g, LATERAL qms.join_queue(1 + 0 * g) j;
	SELECT count(*) FROM generate_series(1, 20) g, LATERAL qms.join_queue(2 + 0 * g) j;
});
$later->(1);
my $before = $told->();
# One after the other, a minute each.
my $serve = sub {
	foreach (1 .. $_[0])
	{
		$ask->(q{SELECT number FROM qms.call_next(1)});
		$later->(60);
		$ask->(q{SELECT state FROM qms.complete_service(1)});
	}
};
$serve->(10);
is($calls->(), 9, 'learned turn by turn, but for the last one');
$later->(60);
is($calls->(), 10, 'and that one with the next turn');
cmp_ok($told->(), 'lt', $before, 'services are short: a shorter wait is told');
ok($clock->idle, 'the scheduler sleeps when there is nothing more to learn');

# ---- rolled back, prepared
$ask->(q{BEGIN; SELECT number FROM qms.call_next(1); SELECT state FROM qms.complete_service(1); ROLLBACK});
$later->(60);
is($calls->(), 10, 'what is rolled back teaches nothing');
my $state = q{SELECT until, sums FROM qms_internal.wait_model WHERE queue_id = 1};

# ---- restarts and crashes
my $known = $ask->($state);
my $figures = $told->();
$node->restart;
is($ask->($state), $known, 'a restart: what was learned is there');
is($told->(), $figures, 'and the same is told');
$node->stop('immediate');
$node->start;
is($ask->($state), $known, 'a crash: likewise');
$serve->(5);
$later->(60);
is($calls->(), 15, 'and it goes on');

# ---- one queue that fails does not stop the others
$ask->(q{INSERT INTO qms_internal.wait_model (queue_id, organization_id, until, sums, credits, levels, staff_at, staff)
	VALUES (2, 1, '2030-01-07 08:00+00', '{}', '{}', '{}', '{}', '{}');
	ALTER TABLE qms_internal.wait_model ADD CONSTRAINT broken CHECK (queue_id <> 2) NOT VALID});
$ask->(q{SELECT number FROM qms.call_next(2)});
$later->(30);
$ask->(q{SELECT state FROM qms.complete_service(2)});
$serve->(2);
$later->(60);
is($calls->(), 17, 'the other queue is learned from');
like($ask->(q{SELECT last_error FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'}), qr/learning.*2.*broken/, 'and it is said what fails');
$ask->(q{ALTER TABLE qms_internal.wait_model DROP CONSTRAINT broken});
$later->(600);
is($ask->(q{SELECT round(sums[2]) FROM qms_internal.wait_model WHERE queue_id = 2}), 1, 'later it is learned, too');

# ---- a service that is known elsewhere
$ask->(q{
	SELECT service_id FROM qms.create_service(1, 's', expected_duration => '30 min');
	SELECT service_offer_id FROM qms.offer_service(1, 1, 2);
	SELECT queue_id FROM qms.create_queue('new', 1);
	SELECT service_offer_id FROM qms.offer_service(1, 1, 3);
	SELECT count(*) FROM generate_series(1, 30) g, LATERAL qms.join_queue(2 + 0 * g, service_id => 1) j;
	SELECT count(*) FROM generate_series(1, 5) g, LATERAL qms.join_queue(3 + 0 * g) j});
my $new = sub { return $ask->(q{SELECT extract(epoch FROM learned_service) FROM qms.prediction_quality(3)}) };
cmp_ok($new->(), '==', 1800, 'a new queue supposes what is expected of its service');
foreach (1 .. 45)
{
	$ask->(q{SELECT number FROM qms.call_next(2)});
	$later->(60);
	$ask->(q{SELECT state FROM qms.complete_service(2)});
}
$later->(60);
cmp_ok($new->(), '<', 1200, 'and what it takes elsewhere');

# ---- nobody learns: the stored figures hold, and can be learned by hand
$figures = $told->();
$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$node->restart;
is($told->(), $figures, 'without shared_preload_libraries the stored figures are told');
$known = $calls->();
$ask->(q{SELECT number FROM qms.call_next(1)});
$node->append_conf('postgresql.conf', q{qms.mock_now = '2030-01-07 18:00+00'});
$node->reload;
$ask->(q{SET qms.mock_now = '2030-01-07 18:00+00'; SELECT state FROM qms.complete_service(1)});
is($calls->(), $known, 'nobody learns');
is($ask->(q{SET qms.mock_now = '2030-01-07 18:01+00'; SELECT qms_internal.learn_waits(1)}), 'f', 'by hand');
is($calls->(), $known + 1, 'it does');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
