# A streaming standby: what reads works there or says clearly that it cannot, what changes is
# refused; after promotion joins and calls go on.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $primary = Qms::node('primary', { init => [ allows_streaming => 1 ] });
$primary->safe_psql('postgres', slurp_file('test/specs/world.sql'));
$primary->safe_psql('postgres', q{SELECT iso.world(4)});
$primary->safe_psql('postgres', q{SELECT iso.call('one'), iso.call('one', 'completed'), iso.act('hold_ticket', 'A003')});

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', q{SELECT iso.join()});
$primary->wait_for_catchup($standby, 'replay');

my $ask = sub { return $standby->safe_psql('postgres', $_[0]) };
is($ask->('SELECT pg_is_in_recovery()'), 't', 'a hot standby');
is($ask->(q{SELECT number, state FROM qms.get_ticket(iso.id('A001'))}), 'A001|completed', 'get_ticket of a past ticket');
is($ask->(q{SELECT number, state FROM qms.get_ticket(iso.id('A002'))}), 'A002|called', 'get_ticket of a live one');
is($ask->(q{SELECT number, state, position FROM qms.ticket_status(iso.token('A005'))}), 'A005|waiting|2', 'ticket_status');
is($ask->(q{SELECT count(*) FROM qms.visit_status(iso.token('A003'))}), '1', 'visit_status');
is($ask->(q{SELECT status, current_number FROM qms.counter_status(iso.id('one'))}), 'called|A002', 'counter_status');
is($ask->(q{SELECT waiting, status FROM qms.queue_status(iso.id('q'))}), '2|open', 'queue_status');
is($ask->(q{SELECT string_agg(number::text, ' ') FROM qms.waiting_list(queue_id => iso.id('q'))}), 'A004 A005 A003', 'waiting_list');
is($ask->(q{SELECT count(*) FROM qms.explain_call(iso.id('A002'))}), '1', 'explain_call');
is($ask->(q{SELECT count(*) FROM qms.branch_status(iso.id('branch'))}), '2', 'branch_status');
like($ask->('SELECT qms.metrics()'), qr/^qms_queue_size\{[^}]*\} 2$/m, 'metrics');

foreach my $call (
	q{qms.join_queue(iso.id('q'))},
	q{qms.join_queue(iso.id('q'), subject => 'Ada')},
	q{qms.join_queue(iso.id('q'), request_id => '00000000-0000-0000-0000-000000000001')},
	q{qms.call_next(iso.id('two'))},
	q{qms.call_next(iso.id('one'), 'completed')},
	q{qms.cancel_ticket(iso.id('A004'))},
	q{qms.leave_queue(iso.token('A004'))},
	q{qms.heartbeat(iso.token('A004'))},
	q{qms.close_queue(iso.id('q'))},
	q{qms.open_counter(iso.id('one'))},
	q{qms.create_organization('another')})
{
	Qms::fails_with($standby, "SELECT * FROM $call", '25006', "refused: $call");
}
is($ask->(q{SELECT waiting FROM qms.queue_status(iso.id('q'))}), '2', 'nothing has changed');

$primary->stop('immediate');
$standby->promote;
is($ask->(q{SELECT iso.call('one', 'completed'), iso.call('two')}), 'A004|A005', 'calls go on after promotion');
is($ask->(q{SELECT iso.join(), iso.join('q', 'vip')}), 'A006|A007', 'numbers go on');
is($ask->(q{SELECT nextval('qms.ticket_ticket_id_seq') > max(ticket_id), nextval('qms.event_event_id_seq') > (SELECT max(event_id) FROM qms.event)
		FROM qms.ticket}), 't|t', 'ids are above those in use');
is($ask->(q{SELECT iso.act('resume_ticket', 'A003'), iso.call('one', 'completed'), iso.call('one', 'completed'), iso.call('one', 'completed')}),
	'waiting|A007|A003|A006', 'the order holds');
is($ask->(q{SELECT number, state FROM qms.ticket_status(iso.token('A005'))}), 'A005|called', 'tokens hold');

$standby->stop;
done_testing();
