# Alert rules: hold-off, hysteresis, repetition, each queue by itself, every metric; a rule that fails stops
# no other; rules that are disabled, deleted or without their queue; who may see and change them.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use Qms;
use Session;
use Test::More;

my $node = Qms::node('alerts', 'qms.workers = on', q{qms.mock_now = '2030-05-06 09:00+00'});
my $clock = Clock->new($node);
sub ask { return $node->safe_psql('postgres', @_) }

# events(RULE): what was told of a rule, in order, as "kind queue value ..."
sub events
{
	my ($rule) = @_;
	return ask(qq{SELECT string_agg(concat_ws(' ', to_char(at AT TIME ZONE 'UTC', 'HH24:MI:SS'), substr(kind, 7), queue_id, data->>'value', 'notice ' || (data->>'notice'), data->>'reason'), ', ' ORDER BY event_id)
		FROM qms.event WHERE kind IN ('alert.raised', 'alert.recovered') AND data->>'name' = '$rule'});
}
sub state { my ($rule) = @_; return ask(qq{SELECT string_agg(concat_ws(' ', state, queue_id), ', ' ORDER BY queue_id) FROM qms.alerts WHERE name = '$rule'}) }
sub join_many { my ($queue, $n) = @_; return ask("SELECT FROM generate_series(1, $n) n, qms.join_queue($queue, metadata => jsonb_build_object('n', n))") }
sub leave { my ($queue, $n) = @_; return ask("SELECT FROM (SELECT ticket_id FROM qms.ticket WHERE queue_id = $queue AND state = 'waiting' ORDER BY ticket_id DESC LIMIT $n) t, qms.cancel_ticket(t.ticket_id, 'test')") }

ask(q{
	SELECT organization_id FROM qms.create_organization('City');
	SELECT organization_id FROM qms.create_organization('Other');
	SELECT branch_id FROM qms.create_branch(1, 'Hall');
	SELECT branch_id FROM qms.create_branch(2, 'Far');
	SELECT queue_id FROM qms.create_queue('Papers', 1);
	SELECT queue_id FROM qms.create_queue('Cars', 1);
	SELECT queue_id FROM qms.create_queue('Foreign', 2);
	SELECT counter_id FROM qms.create_counter(1, 'One', ARRAY[1])});

# ---- the usual ones

is(ask(q{SELECT count(*) || ' ' || string_agg(metric, ' ' ORDER BY alert_rule_id) FROM qms.create_default_alert_rules(2)}),
	'6 queue_length mean_wait nobody_serving api_errors callback_failures worker_lag', 'the usual rules');
is(ask(q{SELECT count(*) FROM qms.create_default_alert_rules(2)}), 0, 'once');
is(ask(q{SELECT count(*) FROM qms.alert_rule WHERE organization_id = 1}), 0, 'create_organization makes none');

# ---- hold-off, recovery, repetition

ask(q{SELECT FROM qms.create_alert_rule(1, 'line', 'queue_length', 5, recover_at => 3, hold_for => '2 min', repeat_every => '10 min')});
join_many(1, 6);
$clock->at('2030-05-06 09:01+00');
is(state('line'), 'pending 1', 'above the threshold: pending');
is(events('line'), '', 'nobody is told');
leave(1, 1);
$clock->at('2030-05-06 09:02+00');
is(state('line'), 'ok 1', 'back before its time');
join_many(1, 1);
$clock->at('2030-05-06 09:03+00');
$clock->at('2030-05-06 09:04:59+00');
is(state('line'), 'pending 1', 'the time begins anew');
$clock->at('2030-05-06 09:05+00');
is(events('line'), '09:05:00 raised 1 6 notice 1', 'held for so long: raised, to the second');
leave(1, 2);
$clock->at('2030-05-06 09:06+00');
is(state('line'), 'raised 1', 'between recover_at and threshold nothing changes');
$clock->at('2030-05-06 09:14:59+00');
is(events('line'), '09:05:00 raised 1 6 notice 1', 'told once');
$clock->at('2030-05-06 09:15+00');
is(events('line'), '09:05:00 raised 1 6 notice 1, 09:15:00 raised 1 4 notice 2', 'and again after repeat_every');
leave(1, 1);
$clock->at('2030-05-06 09:16+00');
is(events('line') =~ s/.*, //r, '09:16:00 recovered 1 3 recovered', 'recovered');
is(ask(q{SELECT concat_ws(' ', state, value, notices, since IS NULL, raised_at < recovered_at) FROM qms.alerts WHERE name = 'line'}), 'ok 3 2 t t', 'what is left of it');

# ---- each queue by itself, and no others

join_many(2, 9);
join_many(3, 9);
$clock->at('2030-05-06 09:20+00');
$clock->at('2030-05-06 09:22+00');
is(state('line'), 'ok 1, raised 2', 'each queue by itself, none of other organizations');
is(ask(q{SELECT string_agg(DISTINCT organization_id || ' ' || branch_id, ',') FROM qms.event WHERE kind = 'alert.raised' AND data->>'name' = 'line'}), '1 1', 'the event has organization and branch');

# ---- a restart of the server forgets nothing

join_many(1, 9);
$clock->at('2030-05-06 09:23+00');
is(state('line'), 'pending 1, raised 2', 'pending');
$node->restart;
$clock->at('2030-05-06 09:25+00');
is(state('line'), 'raised 1, raised 2', 'a restart forgets no hold-off');
is(ask(q{SELECT count(*) FROM qms.event WHERE kind = 'alert.raised' AND queue_id = 2 AND data->>'name' = 'line'}), 1, 'and tells nothing twice');

# ---- a clock that goes back

$clock->at('2030-05-06 09:10+00');
like(events('line'), qr/09:10:00 raised 1 \d+ notice 2/, 'after a step back of the clock it is told again, once');
$clock->at('2030-05-06 09:11+00');
unlike(events('line'), qr/09:11:00/, 'and not more');
$clock->at('2030-05-06 09:30+00');

# ---- waits: of those who were called, or of the first in line

ask(q{SELECT FROM qms.create_alert_rule(1, 'mean', 'mean_wait', 1800, queue_id => 1, measured_over => '20 min')});
ask(q{SELECT FROM qms.create_alert_rule(1, 'p90', 'p90_wait', 1800, queue_id => 1, measured_over => '20 min')});
$clock->at('2030-05-06 09:40+00');
is(ask(q{SELECT string_agg(name || ' ' || value, ', ' ORDER BY name) FROM qms.alerts WHERE metric IN ('mean_wait', 'p90_wait') AND state = 'raised'}), 'mean 2400, p90 2400',
	'nobody was called: the wait so far of the first in line');
ask(q{SELECT FROM qms.open_counter(1)});
ask(q{SELECT FROM qms.call_next(1)});
ask(q{SELECT FROM qms.call_next(1, 'completed')}) foreach 1 .. 2;
leave(1, 8);
join_many(1, 2);
ask(q{SELECT FROM qms.call_next(1, 'completed')}) while ask(q{SELECT count(*) FROM qms.ticket WHERE queue_id = 1 AND state = 'waiting'}) > 0;
ask(q{SELECT FROM qms.create_alert_rule(1, 'any wait', 'mean_wait', 0.5, queue_id => 1, measured_over => '20 min')});
$clock->at('2030-05-06 09:41+00');
is(ask(q{SELECT round(value) FROM qms.alerts WHERE name = 'any wait'}), ask(q{SELECT round(avg(extract(epoch FROM called_at - entered_at))) FROM
	(SELECT called_at, entered_at FROM qms.ticket_history WHERE queue_id = 1 AND called_at IS NOT NULL UNION ALL SELECT called_at, entered_at FROM qms.ticket WHERE queue_id = 1 AND called_at IS NOT NULL) t}),
	'the mean of those who were called');
like(events('p90'), qr/^09:40:00 raised 1 2400 notice 1/, 'p90 was raised');
$clock->at('2030-05-06 10:30+00');
is(ask(q{SELECT string_agg(state, ' ') FROM qms.alerts WHERE name IN ('mean', 'p90')}), 'ok ok', 'nobody waits and nobody was called: recovered');

# ---- nobody serving

ask(q{SELECT FROM qms.create_alert_rule(1, 'nobody', 'nobody_serving', 0, branch_id => 1)});
$clock->at('2030-05-06 10:31+00');
is(state('nobody'), 'raised 2', 'people wait and no counter takes from the queue');
ask(q{SELECT FROM qms.update_counter(1, queue_ids => ARRAY[1, 2])});
$clock->at('2030-05-06 10:32+00');
is(state('nobody'), 'ok 2', 'one does');
ask(q{SELECT FROM qms.pause_counter(1, 'lunch')});
$clock->at('2030-05-06 10:33+00');
is(state('nobody'), 'raised 2', 'but is paused');

# ---- one that fails does not stop the others

ask(q{SELECT FROM qms.create_alert_rule(1, 'broken', 'queue_length', 1, queue_id => 2);
	SELECT FROM qms.create_alert_rule(1, 'after', 'queue_length', 2, queue_id => 2)});
ask(q{ALTER TABLE qms.alert_rule DROP CONSTRAINT alert_rule_metric_check; UPDATE qms.alert_rule SET hold_for = '178000000 years' WHERE name = 'broken'});
$clock->at('2030-05-06 10:40+00');
is(state('after'), 'raised 2', 'a rule that fails stops no other');
like(ask(q{SELECT last_error FROM qms.worker_status WHERE worker = 'scheduler'}), qr/^alerts for \d+: /, 'and the status says so');
ask(q{UPDATE qms.alert_rule SET hold_for = '0' WHERE name = 'broken'});

# ---- the end of rules and queues

ask(q{SELECT FROM qms.alert_rule r, qms.update_alert_rule(r.alert_rule_id, enabled => false) WHERE r.name = 'after'});
$clock->at('2030-05-06 10:41+00');
like(events('after'), qr/recovered 2 9 rule_off$/, 'a rule that is disabled ends its alerts');
ask(q{SELECT FROM qms.alert_rule r, qms.update_alert_rule(r.alert_rule_id, enabled => true) WHERE r.name = 'after'});
$clock->at('2030-05-06 10:42+00');
ask(q{SELECT FROM qms.alert_rule r, qms.delete_alert_rule(r.alert_rule_id) WHERE r.name = 'after'});
$clock->at('2030-05-06 10:43+00');
like(events('after'), qr/rule_off, \S+ raised 2 9 notice 1, \S+ recovered 2 9 rule_off$/, 'so does one that is deleted');
leave(2, 9);
ask(q{SELECT FROM qms.resume_counter(1); SELECT FROM qms.complete_service(1); SELECT FROM qms.close_counter(1)});
join_many(1, 9);
$clock->at('2030-05-06 10:50+00');
$clock->at('2030-05-06 10:53+00');
is(ask(q{SELECT state FROM qms.alerts WHERE name = 'line' AND queue_id = 1}), 'raised', 'raised');
leave(1, 9);
ask(q{UPDATE qms.queue SET deleted_at = now() WHERE queue_id = 1});
$clock->at('2030-05-06 10:54+00');
like(events('line'), qr/recovered 1 \d+ queue_gone$/, 'nor does an alert outlive its queue');

# ---- of the database

ask(q{SELECT FROM qms.create_alert_rule(1, 'errors', 'api_errors', 0.3, measured_over => '1 h')});
$clock->at('2030-05-06 11:00+00');
ask(q{SELECT FROM qms.create_alert_rule(1, 'lag', 'worker_lag', 60)});
$clock->at('2030-05-06 11:01+00');
is(events('errors') . events('lag'), '', 'neither errors nor lag');
# Calls that end by the server's fault: here they wait for a lock until they are cancelled.
my $lock = Session->new($node);
$lock->ask('BEGIN; LOCK TABLE qms.queue');
$node->psql('postgres', q{SET statement_timeout = '50ms'; SELECT qms.queue_status(2)}) foreach 1 .. 20;
$lock->ask('COMMIT');
$clock->at('2030-05-06 11:02+00');
like(events('errors'), qr/^11:02:00 raised 0\.\d+ notice 1$/, 'a share of calls that failed');
ask(q{SELECT qms.queue_status(2) FROM generate_series(1, 200)});
$clock->at('2030-05-06 11:03+00');
like(events('errors'), qr/11:03:00 recovered 0\.\d+ recovered$/, 'and of more that did not');

# ---- a great many rules

ask(q{SELECT FROM generate_series(1, 150) n, qms.create_alert_rule(1, 'many ' || n, 'queue_length', 0, queue_id => 2)});
Qms::fails_with($node, q{SELECT FROM generate_series(1, 100) n, qms.create_alert_rule(1, 'too many ' || n, 'queue_length', 0)}, 'QM309', 'there is a limit');
join_many(2, 1);
$clock->at('2030-05-06 11:10+00');
is(ask(q{SELECT count(*) FROM qms.alerts WHERE name LIKE 'many %' AND state = 'raised'}), 150, 'more rules than fit into a batch are all looked at');

# ---- arguments, and who may

foreach my $case (
	[ q{1, 'x', 'queue_lengt', 1}, '22023', 'an unknown metric' ],
	[ q{1, 'x', 'queue_length', -1}, '22023', 'a negative threshold' ],
	[ q{1, 'x', 'queue_length', 'nan'}, '22023', 'no number' ],
	[ q{1, 'x', 'api_errors', 1.5}, '22023', 'a share above 1' ],
	[ q{1, 'x', 'queue_length', 1, recover_at => 2}, '22023', 'recover_at above the threshold' ],
	[ q{1, 'x', 'worker_lag', 1, branch_id => 1}, '22023', 'a branch where there is none' ],
	[ q{1, 'x', 'queue_length', 1, queue_id => 3}, 'QM101', 'a queue of another organization' ],
	[ q{1, 'x', 'queue_length', 1, branch_id => 2}, 'QM101', 'a branch of another organization' ],
	[ q{1, 'x', 'queue_length', 1, hold_for => '-1 s'}, '22023', 'a negative hold_for' ],
	[ q{1, 'x', 'mean_wait', 1, measured_over => '2 days'}, '22023', 'a window of days' ],
	[ q{1, 'line', 'queue_length', 1}, '23505', 'a name in use' ])
{
	Qms::fails_with($node, "SELECT FROM qms.create_alert_rule($case->[0])", $case->[1], $case->[2]);
}
is(ask(q{SELECT concat_ws(' ', threshold, recover_at) FROM qms.update_alert_rule((SELECT alert_rule_id FROM qms.alert_rule WHERE name = 'nobody'), threshold => 7)}), '7 7', 'recover_at follows the threshold if it was the same');
is(ask(q{SELECT concat_ws(' ', threshold, recover_at) FROM qms.update_alert_rule((SELECT alert_rule_id FROM qms.alert_rule WHERE name = 'line'), threshold => 7)}), '7 3', 'else it stays');
ask(q{
	CREATE ROLE desk_clerk LOGIN; GRANT qms_servicer TO desk_clerk; SELECT FROM qms.create_staff(1, 'desk_clerk'); SELECT FROM qms.bind_role('desk_clerk', 1, staff_id => 1);
	CREATE ROLE other LOGIN; GRANT qms_admin TO other; SELECT FROM qms.bind_role('other', 2, kind => 'admin')});
is($node->safe_psql('postgres', q{SELECT count(*) > 3 FROM qms.alerts}, extra_params => [ '-U', 'desk_clerk' ]), 't', 'staff see alerts');
is($node->safe_psql('postgres', q{SELECT count(*) FROM qms.alerts WHERE organization_id = 1}, extra_params => [ '-U', 'other' ]), '0', 'not those of others');
is(scalar($node->psql('postgres', q{SELECT FROM qms.delete_alert_rule(1)}, extra_params => [ '-U', 'desk_clerk' ])), 3, 'and do not change rules');

# ---- off

$node->append_conf('postgresql.conf', 'qms.alert_interval = 0');
$node->reload;
ask(q{SELECT FROM qms.create_alert_rule(1, 'off', 'queue_length', 0)});
$clock->at('2030-05-06 12:00+00');
is(state('off'), '', 'qms.alert_interval = 0: nobody looks');
$node->stop;

done_testing();
