# The scheduler hears of every change of the configuration when it is committed, not of most of them:
# what it sees when it is woken must be the new one.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $queues = 150;
my $node = Qms::node('noticed', 'qms.workers = on', "qms.excluded_databases = 'template1'", q{qms.mock_now = '2030-05-06 09:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

# Somebody in each queue who may wait past midnight, on the next day.
$ask->(qq{
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT count(qms.create_queue('q' || i, 1, prefix => chr(65 + i / 26) || chr(65 + i % 26), settings => '{"live_past_midnight": true}')) FROM generate_series(0, $queues - 1) i;
	SELECT count(qms.join_queue(queue_id)) FROM qms.queue});
$clock->at('2030-05-07 09:00+00');
is($ask->('SELECT count(*) FROM qms.ticket'), $queues, 'all wait past midnight');

# Now he may not any more; nothing else happens that could wake the scheduler.
is($ask->(q{
	CREATE TABLE missed (queue_id bigint);
	DO $$
	DECLARE
		q bigint;
	BEGIN
		FOR q IN SELECT queue_id FROM qms.queue ORDER BY 1 LOOP
			PERFORM qms.update_queue(q, settings => '{"live_past_midnight": false}');
			COMMIT;
			FOR i IN 1..200 LOOP
				EXIT WHEN NOT EXISTS (SELECT FROM qms.ticket WHERE queue_id = q);
				PERFORM pg_sleep(0.01 * (1 + i / 20));
			END LOOP;
			INSERT INTO missed SELECT q FROM qms.ticket WHERE queue_id = q;
			COMMIT;
		END LOOP;
	END $$;
	SELECT count(*) FROM missed}), '0', 'each change is noticed');
ok($clock->idle, 'the scheduler sleeps');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal|ERROR/, 'a quiet log');
$node->stop;
done_testing();
