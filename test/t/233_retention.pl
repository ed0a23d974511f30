# Personal data that is as old as the organization wants is wiped by the scheduler; figures stay.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('retention', 'qms.workers = on', q{qms.mock_now = '2030-01-07 09:00+00'}, q{timezone = 'UTC'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

foreach my $n (1 .. 3)
{
	$ask->(qq{SELECT organization_id FROM qms.create_organization('City $n'); SELECT branch_id FROM qms.create_branch($n, 'Hall');
		SELECT queue_id FROM qms.create_queue('A', $n, settings => '{"max_number": 999999, "live_past_midnight": true}'); SELECT queue_id FROM qms.create_queue('B', $n)});
}
# People of a queue, who come and leave at once, in one statement.
sub people
{
	my ($queue, $n) = @_;

	$ask->("SELECT count(c) FROM generate_series(1, $n) i, LATERAL qms.join_queue(queue_id => $queue, subject => 'S' || i, contact => jsonb_build_object('phone', 1000000 + i), metadata => jsonb_build_object('i', i)) j, LATERAL qms.cancel_ticket(j.ticket_id, 'in words') c");
	return;
}
my $personal = sub {
	return $ask->("SELECT count(*) FROM qms.ticket_history WHERE queue_id = $_[0] AND (num_nonnulls(contact, subject, customer_id, notes, end_reason) > 0 OR metadata <> '{}')");
};
my $figures = sub {
	return $ask->(q{SELECT md5(string_agg(row(ticket_id, queue_id, visit_id, number, state, customer_class_id, joined_at, entered_at, called_at, started_at, ended_at, ended_from, outcome, sort_key)::text, ',' ORDER BY ticket_id)) FROM qms.ticket_history});
};
# More than one batch, all of one moment; then some by the day.
people(1, 1300);
people(2, 20);
people(3, 20);
people(5, 20);
$clock->at('2030-01-09 09:00+00');
people(1, 10);
$ask->(q{SELECT queue_id FROM qms.delete_queue(2)});
$ask->(q{SELECT qms.create_customer(1, 'Old'), qms.create_customer(1, 'Known'), qms.create_customer(2, 'Elsewhere'), qms.create_customer(1, 'Changed')});
$clock->at('2030-01-15 09:00+00');
people(1, 5);
$ask->(q{SELECT qms.join_queue(queue_id => 1, contact => '{"phone": "1"}', metadata => '{"still": "here"}'); SELECT qms.update_customer(4, language => 'de')});
$ask->(q{SELECT qms.update_ticket((SELECT max(ticket_id) FROM qms.ticket), customer_id => 2)});
my $had = $figures->();

$clock->at('2030-01-20 09:30+00');
is($personal->(1), '1315', 'without the setting nothing is wiped');
ok($clock->idle, 'and nobody looks');
# A broken one beside it, by hand, stops nobody.
$ask->(q{UPDATE qms.organization SET settings = '{"personal_data_retention": "for ever"}' WHERE organization_id = 3});
$ask->(q{SELECT qms.update_organization(1, settings => '{"personal_data_retention": "12 days"}')});
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms_internal.wiped WHERE queue_id = 1 AND wiped_until = '2030-01-08 09:00+00'}, 'wiped up to twelve days ago, whole hours') or diag($ask->('SELECT * FROM qms_internal.wiped'));
Qms::wait_for($node, q{SELECT count(*) = 2 FROM qms_internal.wiped}, 'of each queue, a deleted one too');
is($personal->(1), '15', 'what is older has no personal data any more, in all batches');
is($personal->(2), '0', 'of the deleted queue as well');
is(join(' ', $personal->(3), $personal->(5)), '20 20', 'other organizations keep theirs');
is($figures->(), $had, 'not one figure is another');
is($ask->(q{SELECT sum((data->>'tickets')::int) || ' ' || count(*) FROM qms.event WHERE kind = 'personal_data.wiped' AND queue_id = 1}), '1300 1', 'said by an event');
is($ask->(q{SELECT contact IS NOT NULL, metadata FROM qms.ticket}), 't|{"still": "here"}', 'an open ticket keeps all');
is($ask->(q{SELECT string_agg(name, ' ' ORDER BY customer_id) FROM qms.find_customers(1)}), 'Old Known Changed', 'customers are not that old');
ok($clock->idle, 'the scheduler sleeps');

$clock->at('2030-01-21 10:00+00');
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms_internal.wiped WHERE queue_id = 1 AND wiped_until = '2030-01-09 10:00+00'}, 'a day later it goes on');
is($personal->(1), '5', 'from where it was');
Qms::wait_for($node, q{SELECT string_agg(customer_id::text, ' ' ORDER BY customer_id) = '2 4' FROM qms.customer WHERE name IS NOT NULL AND organization_id = 1}, 'a customer whom nobody has seen is forgotten, not one who has a ticket, nor one who was changed');
is($ask->(q{SELECT name FROM qms.get_customer(3)}), 'Elsewhere', 'nor one of another organization');
is($ask->(q{SELECT data - 'before' FROM qms.event WHERE kind = 'personal_data.wiped' AND queue_id IS NULL}), '{"customers": 1}', 'said by an event');

# Shorter, longer; over a restart.
$ask->(q{SELECT qms.update_organization(1, settings => '{"personal_data_retention": "3 days"}')});
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms_internal.wiped WHERE queue_id = 1 AND wiped_until = '2030-01-18 10:00+00'}, 'a shorter time counts at once');
is($personal->(1), '0', 'and takes what is left');
$ask->(q{SELECT qms.update_organization(1, settings => '{"personal_data_retention": "100 days"}')});
people(1, 3);
$clock->settle;
is($personal->(1), '3', 'a longer one keeps what comes');
is($ask->(q{SELECT wiped_until FROM qms_internal.wiped WHERE queue_id = 1}), '2030-01-18 10:00:00+00', 'and brings nothing back');
$node->restart;
$ask->(q{SELECT qms.update_organization(1, settings => '{"personal_data_retention": "3 days"}')});
$clock->at('2030-01-25 10:00+00');
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms_internal.wiped WHERE queue_id = 1 AND wiped_until = '2030-01-22 10:00+00'}, 'goes on after a restart');
is($personal->(1), '0', 'where it was');
$ask->(q{UPDATE qms.organization SET settings = '{"personal_data_retention": "3 days"}' WHERE organization_id = 3});
Qms::wait_for($node, q{SELECT count(*) = 2 FROM qms_internal.wiped WHERE organization_id = 3}, 'one that was broken, once it is mended');
is($personal->(5), '0', 'is wiped too');

# Old months are dropped as before, though no row of them could be deleted.
$node->append_conf('postgresql.conf', 'qms.history_retention = 1');
$node->reload;
$clock->at('2030-04-01 10:00+00');
Qms::wait_for($node, q{SELECT to_regclass('qms_internal.event_2030_01') IS NULL}, 'a month of events is dropped');
$ask->(q{SELECT qms.create_customer(1)});
Qms::fails_with($node, 'DELETE FROM qms.event', 'QM415', 'none is deleted');

$node->stop;
done_testing();
