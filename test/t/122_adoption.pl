# Dormant until adopted: a database that was restored while the launcher runs, and a template copy.
# No position, no partition, no timer before qms.adopt_database(); then a new epoch, old events are
# not published again, new ones are, numbers and ids go on, overdue timers are skipped or run.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

chomp(my $bin = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);
my $node = Qms::node('adopt', { init => [ allows_streaming => 1 ] }, 'qms.workers = on', 'max_worker_processes = 30');
my $ask = sub { return $node->safe_psql($_[1] // 'postgres', $_[0]) };

# What workers would leave behind.
my $traces = q{
	SELECT (SELECT count(*) FROM qms_internal.event_position), (SELECT count(*) FROM pg_inherits),
		(SELECT count(*) FROM qms.event), (SELECT count(*) FROM qms.ticket WHERE state = 'on_hold' AND resume_at IS NOT NULL)};

# ---- an empty database: nobody's yet ----

Qms::wait_for($node, q{SELECT count(*) = 2 FROM qms.worker_status WHERE database = 'postgres' AND state = 'active' AND last_run_at IS NOT NULL},
	'workers are there');
is($ask->('SELECT count(*) FROM pg_inherits'), '0', 'an empty database is left alone');
$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{SELECT iso.world(4)});
Qms::wait_for($node, q{SELECT count(*) >= 4 FROM qms_internal.event_position}, 'the first organization wakes the publisher');
Qms::wait_for($node, q{SELECT count(*) = 4 FROM pg_inherits WHERE inhparent = 'qms.event'::regclass}, 'and the scheduler');

# ---- the original: somebody on hold for an hour, who is away when the copies are made ----

$ask->(q{SELECT qms.hold_ticket(iso.id('A002'), resume_at => now() + interval '1 h')});
my $original = $ask->(q{SELECT state, resume_at IS NULL FROM qms.ticket WHERE ticket_id = iso.id('A002')});
is($original, 'on_hold|f', 'a timer');
Qms::wait_for($node, q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)}, 'all is published');
my $epoch = $ask->('SELECT epoch FROM qms_internal.publisher');

# ---- the copies: by a dump and by a template ----

my $folder = PostgreSQL::Test::Utils::tempdir();
command_ok([ "$bin/pg_dump", '-Fc', '-f', "$folder/dump", $node->connstr('postgres') ], 'pg_dump while the workers run');
foreach my $name (qw(restored again))
{
	my $offset = -s $node->logfile;
	$ask->("CREATE DATABASE $name");
	command_ok([ "$bin/pg_restore", '--exit-on-error', '-d', $node->connstr($name), "$folder/dump" ], "$name: restored under a running launcher");
	ok(Qms::poll(sub { $ask->(qq{SELECT DISTINCT state || ': ' || dormant_reason FROM qms.worker_status WHERE database = '$name'})
			eq 'dormant: Its data was restored from a dump.' }), "$name: dormant, and why");
	ok(Qms::poll(sub { substr(slurp_file($node->logfile), $offset) =~ /WARNING:  qms is dormant in database "$name"\n.*DETAIL:  Its data was restored from a dump.\n.*HINT:  .*qms.adopt_database/ }),
		"$name: a warning in the log");
}
$ask->('CREATE DATABASE hub TEMPLATE restored');
ok(Qms::poll(sub { $ask->(q{SELECT DISTINCT state FROM qms.worker_status WHERE database = 'hub'}) eq 'dormant' }), 'a copy of the dormant one is dormant');
$ask->('DROP DATABASE hub');
# Only the original can be copied with its row of instance.
my $offset = -s $node->logfile;
my $template = $node->safe_psql('template1', 'CREATE DATABASE copy TEMPLATE postgres');
ok(Qms::poll(sub { $ask->(q{SELECT DISTINCT state || ': ' || dormant_reason FROM qms.worker_status WHERE database = 'copy'})
		eq 'dormant: It is a copy of another database of this server.' }), 'copy: dormant, and why');
ok(Qms::poll(sub { substr(slurp_file($node->logfile), $offset) =~ /WARNING:  qms is dormant in database "copy"/ }), 'copy: a warning in the log');

foreach my $name (qw(restored again copy))
{
	my $on = sub { return $ask->($_[0], $name) };
	my $run_overdue = $name eq 'again' ? 'true' : 'false';

	# People may work in it; nothing is done by itself.
	my $held = $on->($traces);
	$on->(q{UPDATE qms.ticket SET resume_at = now() - interval '1 h' WHERE state = 'on_hold'});
	my $calls = $on->(q{SELECT iso.join()});
	is($calls, 'A005', "$name: numbers go on");
	is($on->(q{SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type ~ '^qms'}), '0', "$name: no worker");
	my $then = $on->($traces);
	is($then, join('|', (split /\|/, $held)[0, 1], (split /\|/, $held)[2] + 1, 1), "$name: no position, no partition, no timer");

	# The epoch that it came with, and the one that it gets.
	my $old_epoch = $on->('SELECT epoch FROM qms_internal.publisher');
	my $old_events = $on->('SELECT max(event_id) FROM qms.event');
	$on->("SELECT qms.adopt_database($run_overdue)");
	ok(Qms::poll(sub { $ask->(qq{SELECT count(*) FROM qms.worker_status WHERE database = '$name' AND state = 'active' AND pid IS NOT NULL AND dormant_reason IS NULL}) eq '2' }),
		"$name: active after adoption");
	my $new_epoch = $on->('SELECT epoch FROM qms_internal.publisher');
	ok($new_epoch ne $old_epoch && $new_epoch ne $epoch, "$name: a new epoch");
	is($on->(q{SELECT iso.join()}), 'A006', "$name: numbers go on after adoption");
	is($on->(q{SELECT ticket_id = (SELECT max(ticket_id) FROM qms.ticket) FROM qms.ticket WHERE ticket_id = iso.id('A006')}), 't', "$name: and so do ids");
	ok($node->poll_query_until($name, "SELECT count(*) > 0 FROM qms_internal.event_position WHERE event_id > $old_events"), "$name: what is new is published");
	if ($run_overdue eq 'true')
	{
		ok($node->poll_query_until($name, q{SELECT state <> 'on_hold' FROM qms.ticket WHERE ticket_id = iso.id('A002')}), "$name: the overdue timer is run");
	}
	else
	{
		is($on->(q{SELECT state, resume_at IS NULL FROM qms.ticket WHERE ticket_id = iso.id('A002')}), 'on_hold|t', "$name: the overdue timer is skipped");
	}
	ok($node->poll_query_until($name, "SELECT count(*) = (SELECT count(*) FROM qms.event WHERE event_id > $old_events) FROM qms_internal.event_position"),
		"$name: all that is new and nothing that is old");
	is($on->('SELECT count(*), count(DISTINCT position), count(DISTINCT event_id) FROM qms_internal.event_position') =~ /^(\d+)\|\1\|\1$/ ? 1 : 0, 1,
		"$name: a position for each");
	ok($node->poll_query_until($name, q{SELECT count(*) = 4 FROM pg_inherits WHERE inhparent = 'qms.event'::regclass}), "$name: partitions ahead");
}

is($ask->('SELECT epoch FROM qms_internal.publisher'), $epoch, 'the original has not noticed');
is($ask->(q{SELECT state FROM qms.ticket WHERE ticket_id = iso.id('A002')}), 'on_hold', 'its timer neither');

# ---- a writer that is under way when it is adopted: its events are published, or it is waited for ----

$ask->('CREATE DATABASE late TEMPLATE copy', 'template1');
ok(Qms::poll(sub { $ask->(q{SELECT DISTINCT state FROM qms.worker_status WHERE database = 'late'}) eq 'dormant' }), 'late: dormant');
my $writer = $node->background_psql('late', on_error_stop => 1);
$writer->query_safe('BEGIN');
$writer->query_safe('SELECT iso.join()');
my $floor = $node->background_psql('late', on_error_stop => 1);
$floor->query_until(qr/go/, "\\echo go\nSELECT qms.adopt_database();\n");
ok($node->poll_query_until('late', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ 'adopt_database' AND wait_event_type = 'Lock'}), 'adoption waits for who is writing');
$writer->query_safe('COMMIT');
$writer->quit;
$floor->quit;
ok($node->poll_query_until('late', q{SELECT count(*) = 1 FROM qms_internal.instance WHERE database_oid = (SELECT oid FROM pg_database WHERE datname = current_database())}), 'and is done then');
$ask->('SELECT iso.join()', 'late');
ok($node->poll_query_until('late', 'SELECT count(*) > 0 FROM qms_internal.event_position'), 'late: publishes');

# ---- a clone with the same identifier ----

$node->backup('clone');
my $clone = PostgreSQL::Test::Cluster->new('clone');
$clone->init_from_backup($node, 'clone');
$clone->append_conf('postgresql.conf', 'qms.workers = off');
$clone->start;
is($clone->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^qms'}), '0', 'a clone with qms.workers = off: nothing runs');
$clone->stop;
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
