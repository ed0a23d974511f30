# Calls that are refused come into the event log, though their transactions roll back: counted, never a flood.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

# The local socket, and TCP: the address is told.
$PostgreSQL::Test::Cluster::use_tcp = 0;
my $node = Qms::node('refusals', 'qms.workers = on', q{qms.mock_now = '2030-05-06 12:00+00'}, q{listen_addresses = '127.0.0.1'}, 'max_connections = 50');
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
append_to_file($node->data_dir . '/pg_hba.conf', "host all all 127.0.0.1/32 trust\n");
$node->reload;

$ask->(q{SELECT organization_id FROM qms.create_organization('City'); SELECT branch_id FROM qms.create_branch(1, 'Hall'); SELECT branch_id FROM qms.create_branch(1, 'Library');
	SELECT queue_id FROM qms.create_queue('Q', 1); SELECT counter_id FROM qms.create_counter(2, 'One', '{}')});
$ask->(q{SELECT staff_id FROM qms.create_staff(1, 'ada', branch_ids => '{1}'); CREATE ROLE ada LOGIN IN ROLE qms_servicer; SELECT qms.bind_role('ada', 1, staff_id => 1);
	CREATE ROLE stranger LOGIN IN ROLE qms_servicer; SELECT organization_id FROM qms.create_organization('Other')});

sub as
{
	my ($who, $sql, $host) = @_;
	my ($out, $err) = ('', '');
	my $connection = $node->connstr('postgres') . " user=$who application_name=desk" . ($host ? " host=$host" : '');

	IPC::Run::run([ 'psql', '-XAtq', '-d', $connection, '-c', $sql ], '>', \$out, '2>', \$err);
	return $err;
}
my $refused = q{SELECT coalesce(string_agg(concat_ws(' ', organization_id, actor_kind, actor_id, actor_role, session_role, application_name, host(address), data->>'function', data->>'sqlstate', data->>'count'), E'\n' ORDER BY event_id), '')
	FROM qms.event WHERE kind = 'access.refused'};

like(as('ada', 'SELECT * FROM qms.find_customers(1)'), qr/permission denied for function find_customers/, 'refused');
as('ada', 'SELECT * FROM qms.find_customers(1)') for 1 .. 4;
like(as('ada', 'SELECT * FROM qms.branch_status(2)'), qr/permission denied for branch 2/, 'refused inside, for another branch');
like(as('stranger', 'SELECT * FROM qms.find_customers(1)', '127.0.0.1'), qr/does not belong to any organization/, 'nobody');
as('ada', q{DO $$ BEGIN PERFORM qms.get_customer(1); EXCEPTION WHEN OTHERS THEN NULL; END $$});
like(as('ada', 'SELECT qms.create_branch(1, $$x$$)'), qr/permission denied for function create_branch/, 'refused by PostgreSQL itself');
like(as('ada', 'SELECT * FROM qms.branch_status(99)'), qr/does not exist/, 'not there: that is no refusal');
is($ask->($refused), '', 'not at once: it is still being counted');
$clock->at('2030-05-06 12:00:59+00');
is($ask->($refused), '', 'within a minute');
$clock->at('2030-05-06 12:01+00');
Qms::wait_for($node, $refused, 'a minute later each is one event, with who, from where and how often', join("\n",
	'1 staff 1 servicer ada desk find_customers 42501 5', '1 staff 1 servicer ada desk branch_status 42501 1', '0 nobody  stranger desk 127.0.0.1 find_customers QM201 1', '1 staff 1 servicer ada desk get_customer 42501 1'));
is($ask->(q{SELECT data->>'first_at' FROM qms.event WHERE kind = 'access.refused' LIMIT 1}), '2030-05-06T12:00:00+00:00', 'and when');
ok($clock->idle, 'the scheduler sleeps');
as('ada', 'SELECT * FROM qms.find_customers(1)');
$clock->at('2030-05-06 12:03+00');
Qms::wait_for($node, qq{SELECT count(*) = 5 FROM regexp_split_to_table(($refused), E'\n')}, 'another minute, another event');
is($ask->(q{SELECT count(*) FROM qms.export_audit(1, kinds => '{access.refused}', before => '2031-01-01')}), '4', 'the administrator of the organization finds those of his people');

# A key that is not valid.
like(as('ada', q{SELECT * FROM qms.authenticate_api_key('qms_wrong')}), qr/is not valid/, 'a wrong API key');
$clock->at('2030-05-06 12:04:30+00');
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.event WHERE kind = 'access.refused' AND data->>'function' = 'API key' AND data->>'sqlstate' = 'QM520' AND session_role = 'ada'}, 'is a refusal too');

# A flood: as many different ones as one can make.
$ask->(q{DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE ROLE flood%s LOGIN IN ROLE qms_servicer', i); END LOOP; END $$});
append_to_file($node->basedir . '/flood.sql', join('', map { "SET SESSION AUTHORIZATION flood$_;\nSELECT qms.find_customers(1);\nRESET SESSION AUTHORIZATION;\n" } map { $_, $_ } 1 .. 300));
IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $node->basedir . '/flood.sql' ], '>', \my $nothing, '2>', \my $errors);
is(scalar(() = $errors =~ /does not belong/g), 600, 'six hundred refusals of three hundred logins');
$clock->at('2030-05-06 12:06+00');
Qms::wait_for($node, q{SELECT sum((data->>'count')::int) = 600 FROM qms.event WHERE kind = 'access.refused' AND data->>'first_at' > '2030-05-06T12:04:30'}, 'all of them are counted');
my ($events, $rest) = split /\|/, $ask->(q{SELECT count(*), max((data->>'count')::int) FILTER (WHERE data->>'function' = 'several') FROM qms.event WHERE kind = 'access.refused' AND data->>'first_at' > '2030-05-06T12:04:30'});
cmp_ok($events, '<=', 256, 'in no more events than there is room for');
cmp_ok($rest, '>', 100, 'the rest as one number');
$ask->(q{DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('DROP ROLE flood%s', i); END LOOP; END $$});

# Many at a time, into one place.
my $bin = $ENV{PG_CONFIG} || 'pg_config';
chomp($bin = `$bin --bindir`);
append_to_file($node->basedir . '/many.sql', "DO \$\$ BEGIN PERFORM qms.find_customers(1); EXCEPTION WHEN OTHERS THEN NULL; END \$\$;\n");
command_ok([ "$bin/pgbench", '-n', '-c', 8, '-t', 50, '-U', 'ada', '-f', $node->basedir . '/many.sql', $node->connstr('postgres') ], 'eight sessions at a time');
$clock->at('2030-05-06 12:08+00');
Qms::wait_for($node, q{SELECT count(*) = 1 AND sum((data->>'count')::int) = 400 FROM qms.event WHERE kind = 'access.refused' AND data->>'first_at' > '2030-05-06T12:06'}, 'are one event, and none is lost');

# The real clock: the scheduler comes by itself, with nothing else going on.
$node->adjust_conf('postgresql.conf', 'qms.mock_now', undef);
$ask->(q{ALTER SYSTEM RESET qms.mock_now});
$node->append_conf('postgresql.conf', 'qms.refusal_window = 1');
$node->restart;
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres' AND pid IS NOT NULL}, 'started anew') or diag($ask->('SELECT * FROM qms.worker_status'));
as('ada', 'SELECT * FROM qms.find_customers(1)');
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.event WHERE kind = 'access.refused' AND at BETWEEN now() - interval '10 min' AND now() + interval '10 min'}, 'written when its time has come');
$node->stop;

# Without shared memory: a line in the log, and the call is refused all the same.
my $plain = Qms::node('plain', { preload => 0 });
$plain->safe_psql('postgres', q{SELECT organization_id FROM qms.create_organization('City'); CREATE ROLE nobody LOGIN IN ROLE qms_servicer});
my ($rc, $out, $err) = $plain->psql('postgres', 'SET ROLE nobody; SELECT qms.find_customers(1)');
like($err, qr/does not belong to any organization/, 'refused');
like(slurp_file($plain->logfile), qr/LOG:  qms refused find_customers to nobody/, 'a line in the log');
$plain->stop;
done_testing();
