# Keys are rotated while people join and are called: nobody waits for it, nothing is lost, all ends up under the newest keys.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

chomp(my $bin = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);
my $node = Qms::node('reseal', 'qms.workers = on', 'max_connections = 30', 'synchronous_commit = off', 'log_statement = none');
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $place = PostgreSQL::Test::Utils::tempdir();

$ask->(q{SELECT organization_id FROM qms.create_organization('City'); SELECT branch_id FROM qms.create_branch(1, 'Hall');
	SELECT queue_id FROM qms.create_queue('Q', 1, settings => '{"max_number": 999999}')});
$ask->("SELECT counter_id FROM qms.create_counter(1, 'C$_', '{1}'); SELECT qms.open_counter($_)") for 1 .. 4;
append_to_file("$place/join.sql", q{SELECT number FROM qms.join_queue(1, contact => jsonb_build_object('phone', 1000000 + (random() * 1000)::int)) \gset} . "\n");
append_to_file("$place/call.sql", q{\set c :client_id + 1} . "\n" . q{SELECT count(*) FROM qms.call_next(:c, (SELECT 'completed' FROM qms.staff_session WHERE counter_id = :c AND current_ticket_id IS NOT NULL)) \gset} . "\n");
$ask->(q{SELECT count(*) FROM generate_series(1, 500) n, LATERAL qms.join_queue(1, contact => jsonb_build_object('phone', 1000000 + n))});
$ask->(q{SELECT count(qms.create_customer(1, 'Person ' || n, jsonb_build_object('phone', 1000000 + n))) FROM generate_series(1, 300) n});

my ($out, $err) = ('', '');
my $load = IPC::Run::start([ "$bin/pgbench", '-n', '-T', 6, '-c', 4, '-f', "$place/join.sql\@3", '-f', "$place/call.sql\@1", '--max-tries=20', $node->connstr('postgres') ], '>', \$out, '2>', \$err);
foreach my $turn (1 .. 3)
{
	$ask->(q{SELECT qms.rotate_seal_key()});
	$ask->(q{SELECT qms.rotate_seal_key('seal_index')}) if $turn == 2;
	my $keys = sprintf 't%d/t%d', $turn + 1, $turn > 1 ? 2 : 1;
	Qms::wait_for($node, qq{SELECT count(*) = 1 FROM qms.event WHERE kind = 'personal_data.resealed' AND data->>'keys' = '$keys'}, "turn $turn: all is sealed anew under load");
	is($ask->(q{SELECT coalesce(sum((data->>'failed')::int), 0) FROM qms.event WHERE kind = 'personal_data.resealed'}), '0', 'nothing failed to open');
}
$load->finish;
unlike($err, qr/ERROR|aborted/, 'no call failed') or diag($err);
cmp_ok($ask->(q{SELECT count(*) FROM qms.event WHERE kind = 'ticket.joined'}), '>', 600, 'people joined meanwhile');
cmp_ok($ask->(q{SELECT count(*) FROM qms.ticket_history}), '>', 10, 'and were served');

# Those who came between a look and the next are under the key of then; by hand, until nothing is left.
my $old = q{SELECT count(*) FROM (SELECT contact FROM qms.ticket UNION ALL SELECT contact FROM qms.ticket_history) t WHERE contact->>'sealed' !~ '^1\.t4\.' OR contact->'find'->>0 !~ '^t2\.'};
is($ask->($old), '0', 'all tickets are under the newest keys');
is($ask->(q{SELECT count(*) FROM qms.customer WHERE name !~ '^1\.t4\.' OR contact->>'sealed' !~ '^1\.t4\.' OR EXISTS (SELECT 1 FROM unnest(find) f WHERE f !~ '^t2\.')}), '0', 'and all customers');
$ask->(q{DELETE FROM qms_internal.signing_key WHERE (purpose = 'seal' AND kid < 4) OR (purpose = 'seal_index' AND kid < 2)});
is($ask->(q{SELECT count(*) = count(d.contact) AND count(*) > 600 FROM (SELECT ticket_id FROM qms.ticket UNION ALL SELECT ticket_id FROM qms.ticket_history) t, LATERAL qms.get_ticket(t.ticket_id) d}), 't', 'every contact opens without the old ones');
is($ask->(q{SELECT count(*) FROM qms.find_customers(1, '1000042')}), '1', 'and is found');
is($ask->(q{SELECT count(*) FROM (SELECT ticket_id, version, count(*) FROM qms.event WHERE ticket_id IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1) x}), '0', 'each version of a ticket has one event');

# Somebody has taken a ticket under the old key and has not committed: it is not said that all is done before he has.
my $slow = Session->new($node);
$slow->ask('BEGIN');
$slow->ask(q{SELECT number FROM qms.join_queue(1, contact => '{"phone": "7654321"}')});
$ask->(q{SELECT qms.rotate_seal_key()});
Qms::wait_for($node, q{SELECT pass = 2 AND NOT settled AND keys = 't5/t2' FROM qms_internal.reseal}, 'a second pass waits for him');
is($ask->(q{SELECT done FROM qms.reseal()}), 'f', 'not done, by hand neither');
is($ask->(q{SELECT count(*) FROM qms.event WHERE kind = 'personal_data.resealed' AND data->>'keys' = 't5/t2'}), '0', 'nobody says so');
$slow->ask('COMMIT');
$slow->end;
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.event WHERE kind = 'personal_data.resealed' AND data->>'keys' = 't5/t2'}, 'then it is');
is($ask->(q{SELECT count(*) FROM qms.ticket WHERE contact->>'sealed' !~ '^1\.t5\.'}), '0', 'and his is among them');

$node->stop;
done_testing();
