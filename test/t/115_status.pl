# qms.worker_status: how far behind publisher and scheduler are, and an honest row for a launcher that
# is not there.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

my $node = Qms::node('status', { init => [ allows_streaming => 1 ] }, 'qms.workers = on', 'max_worker_processes = 20', q{qms.mock_now = '2030-01-07 09:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $lag = sub { my ($worker, $database) = @_; return $ask->("SELECT $_[2] FROM qms.worker_status WHERE worker = '$worker' AND database = '$database'") };
my $of = sub { return $lag->($_[0], 'postgres', $_[1]) };

Qms::wait_for($node, q{SELECT count(*) = 2 FROM qms.worker_status WHERE database = 'postgres' AND last_run_at > started_at}, 'workers are there');
is($ask->(q{SELECT string_agg(worker || ' ' || coalesce(lag::text, 'null'), ', ' ORDER BY worker) FROM qms.worker_status WHERE database = 'postgres' OR worker = 'launcher'}),
	'launcher null, publisher 00:00:00, scheduler null', 'a database that is nobody\'s yet');
$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{SELECT iso.world(3, '{"no_show_after": "3 min"}')});
$clock->settle;
my $current = sub { return ok(Qms::poll(sub { $of->('publisher', 'lag') eq '00:00:00' && $of->('scheduler', 'lag') eq '00:00:00' }), $_[0]) };
$current->('nothing waits');

# ---- the publisher: counted from the commit, not from the event
my $pid = $of->('publisher', 'pid');
my $writer = Session->new($node);
$writer->ask(q{BEGIN; SELECT iso.join()});
my $begun = $ask->('SELECT clock_timestamp()');
Qms::poll(sub { $ask->("SELECT clock_timestamp() > '$begun'::timestamptz + interval '2 s'") eq 't' });
kill 'STOP', $pid;
is($of->('publisher', 'lag'), '00:00:00', 'a transaction that is open is not behind');
my $before = $ask->('SELECT clock_timestamp()');
$writer->ask('COMMIT');
$writer->end;
my $after = $ask->('SELECT clock_timestamp()');
$ask->(q{SELECT iso.join()});
is($of->('publisher', "lag BETWEEN clock_timestamp() - '$after'::timestamptz - interval '0.1 s' AND clock_timestamp() - '$before'::timestamptz"), 't',
	'a publisher that stands still: the age of the first commit');
$ask->(q{BEGIN; SELECT iso.join(); PREPARE TRANSACTION 'later'});
kill 'CONT', $pid;
$current->('it has caught up');
kill 'STOP', $pid;
$ask->(q{COMMIT PREPARED 'later'});
is($of->('publisher', q{lag > '0' AND lag < '10 s'}), 't', 'a prepared transaction counts from its commit');
kill 'CONT', $pid;
$current->('it has caught up again');
$ask->(q{BEGIN; SELECT iso.join(); ROLLBACK; BEGIN; SAVEPOINT s; SELECT iso.join(); ROLLBACK TO s; COMMIT});
$current->('a rollback leaves nothing');

# One that fails: the lag lasts over all its tries, and over its end.
$before = $ask->('SELECT clock_timestamp()');
$ask->(q{ALTER TABLE qms_internal.event_position RENAME TO away; SELECT iso.join()});
Qms::wait_for($node, q{SELECT failures >= 2 FROM qms.worker_status WHERE worker = 'publisher' AND database = 'postgres'}, 'a publisher that fails');
$after = $ask->(q{SELECT clock_timestamp(); SELECT iso.join()}) =~ s/\n.*//sr;
is($of->('publisher', "lag BETWEEN clock_timestamp() - '$after'::timestamptz AND clock_timestamp() - '$before'::timestamptz"), 't', 'counts from the first');
$ask->(q{SELECT pg_terminate_backend(pid) FROM qms.worker_status WHERE worker = 'publisher' AND database = 'postgres'});
Qms::wait_for($node, "SELECT pid <> $pid AND failures >= 1 FROM qms.worker_status WHERE worker = 'publisher' AND database = 'postgres'", 'another one that fails');
is($of->('publisher', "lag BETWEEN clock_timestamp() - '$after'::timestamptz AND clock_timestamp() - '$before'::timestamptz"), 't', 'counts from there too');
$ask->(q{ALTER TABLE qms_internal.away RENAME TO event_position; SELECT pg_terminate_backend(pid) FROM qms.worker_status WHERE worker = 'publisher' AND database = 'postgres'});
$current->('until it is mended');
Qms::wait_for($node, q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)}, 'all is published');

# ---- the scheduler: what was due first, by the clock of the database
is($ask->(q{SELECT iso.call('one')}), 'A001', 'called');
$clock->settle;
is($of->('scheduler', 'lag'), '00:00:00', 'due in three minutes');
$pid = $of->('scheduler', 'pid');
kill 'STOP', $pid;
$clock->set('2030-01-07 09:02:59+00');
is($of->('scheduler', 'lag'), '00:00:00', 'not due');
$clock->set('2030-01-07 09:10:00+00');
is($of->('scheduler', 'lag'), '00:07:00', 'a scheduler that stands still: since it was due');
kill 'CONT', $pid;
$current->('done');
$ask->(q{ALTER TABLE qms_internal.request RENAME TO away});
$clock->at('2030-01-07 12:00:00+00');
is($of->('scheduler', 'lag'), '00:00:00', 'one item that fails rests');
$ask->(q{ALTER TABLE qms_internal.away RENAME TO request});
$ask->(q{ALTER TABLE qms_internal.ticket_seen RENAME TO away});
$clock->at('2030-01-07 14:00:00+00');
my $late = $of->('scheduler', 'lag');
cmp_ok($late, 'gt', '00:00:00', "a task that cannot even be planned is late: $late");
$clock->at('2030-01-07 14:01:00+00');
is($of->('scheduler', "lag - '$late'::interval"), '00:01:00', 'and later each time');
$ask->(q{ALTER TABLE qms_internal.away RENAME TO ticket_seen});
$clock->at('2030-01-07 14:10:00+00');
$current->('mended');

# ---- others have none
$ask->('CREATE DATABASE copy TEMPLATE postgres');
Qms::wait_for($node, q{SELECT bool_and(state = 'dormant' AND lag IS NULL) FROM qms.worker_status WHERE database = 'copy'}, 'a dormant database has no lag');
$ask->('DROP DATABASE copy');

# ---- a launcher that is not there
my $launcher = q{SELECT string_agg(worker || ' ' || state || ' ' || (pid IS NOT NULL), ', ') FROM qms.worker_status};
is($ask->("$launcher WHERE worker = 'launcher'"), 'launcher active true', 'the launcher is there');
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', $launcher), 'launcher standby false', 'a standby says so, and nothing else');
$standby->promote;
ok($standby->poll_query_until('postgres', "$launcher WHERE worker = 'launcher'", 'launcher active true'), 'not any more after promotion');
$standby->stop;
$node->append_conf('postgresql.conf', 'qms.workers = off');
$node->restart;
$ask->(q{SELECT iso.world(1)});
is($ask->($launcher), 'launcher off false', 'switched off: it says so, and nothing else');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'no crash');
done_testing();
