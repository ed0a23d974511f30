# Heartbeats: noted in shared memory, written some seconds later in one go, counted in between; nobody
# loses the place because some were lost.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

# A server that is killed closes its connections.
$SIG{PIPE} = 'IGNORE';
my $node = Qms::node('heartbeats', 'qms.workers = on', 'max_worker_processes = 20', 'restart_after_crash = on',
	q{qms.mock_now = '2030-01-07 09:00:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql($_[1] // 'postgres', $_[0]) };
my $at = sub { $clock->at("2030-01-07 $_[0]+00") };

$ask->(slurp_file('test/specs/world.sql'));
my $beat = sub { return $ask->(join('; ', map { "SELECT qms.heartbeat(iso.token('$_'))" } @_)) };
my $state = sub { return join ' ', split /\n/, $ask->("SELECT state FROM iso.tickets WHERE number IN ('" . join(q{','}, @_) . "') ORDER BY number") };
my $written = sub { return $ask->(q{SELECT coalesce(string_agg(i.name || to_char(s.seen_at AT TIME ZONE 'UTC', ' HH24:MI:SS'), ', ' ORDER BY i.name), '')
	FROM qms_internal.ticket_seen s JOIN iso.things i ON i.id = s.ticket_id AND i.token IS NOT NULL}) };
my $rows = sub { return $ask->('SELECT count(*) FROM qms_internal.ticket_seen', $_[0]) };
# The scheduler is there; it does not come before the database is somebody's.
my $home = sub {
	Qms::poll(sub { $ask->(q{SELECT count(*) FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres' AND pid > 0 AND last_run_at > started_at}) eq '1' })
		or die 'no scheduler';
	return;
};

$ask->(q{SELECT iso.world(6, '{"heartbeat_timeout": "2 min"}')});
$home->();
$clock->settle;

# ---- noted, then written
is($beat->('A001'), '2030-01-07 09:00:00+00', 'it answers the moment');
is($written->(), '', 'nothing is written at once');
$at->('09:00:05');
$beat->('A001', 'A002');
is($written->(), '', 'nor some seconds later');
$at->('09:00:10');
is($written->(), 'A001 09:00:05, A002 09:00:05', 'ten seconds after the first one: the last of each');
ok($clock->idle, 'the scheduler sleeps');
my $done = $ask->(q{SELECT done FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'});
$at->('09:00:40');
is($ask->(q{SELECT done FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'}), $done, 'nothing is flushed when there is nothing');

# What is noted and not written yet counts.
$at->('09:01:59');
$beat->('A001');
$at->('09:02:06');
is($written->(), 'A001 09:00:05', 'not written yet');
is($state->('A001', 'A002'), 'waiting expired', 'and yet it was heard');
$at->('09:02:09');
is($written->(), 'A001 09:01:59', 'then it is');
$at->('09:03:58');
is($state->('A001'), 'waiting', 'two minutes are not over');
$at->('09:04:03');
is($state->('A001'), 'expired', 'now they are');
is($written->(), '', 'no row is left');

# Whoever ended before it was written; a rollback; a prepared transaction; the old answers.
$beat->('A003');
$ask->(q{BEGIN; SELECT qms.heartbeat(iso.token('A004')); ROLLBACK});
$ask->(q{BEGIN; SELECT qms.heartbeat(iso.token('A005')); PREPARE TRANSACTION 'beat'});
$ask->(q{SELECT qms.cancel_ticket(iso.id('A003'), 'x')});
is($ask->(q{SELECT qms.heartbeat(iso.token('A003'))}), '2030-01-07 09:04:03+00', 'a ticket that has ended is answered');
Qms::fails_with($node, q{SELECT qms.heartbeat('____________________________________________')}, '22P02', 'what is no token is refused');
Qms::fails_with($node, q{SELECT qms.heartbeat((SELECT left(token::text, 34) || reverse(substr(token::text, 35, 8)) || right(token::text, 1) FROM iso.things WHERE name = 'A004')::qms.ticket_token)},
	'QM501', 'a forged token is refused');
Qms::fails_with($node, q{BEGIN READ ONLY; SELECT qms.heartbeat(iso.token('A004'))}, '25006', 'and a transaction that only reads');
$at->('09:04:13');
is($written->(), 'A004 09:04:03, A005 09:04:03', 'who ended is not written, who rolled back is');
$ask->(q{ROLLBACK PREPARED 'beat'});
$at->('09:06:03');
is($state->('A004', 'A005', 'A006'), 'expired expired waiting', 'silence of who has begun to talk');

# ---- a flush that fails loses nothing
$at->('09:07:00');
$ask->(q{SELECT iso.world(3, '{"heartbeat_timeout": "2 min"}')});
$clock->settle;
$beat->('A001', 'A002');
$at->('09:07:10');
$beat->('A001');
my $lock = Session->new($node);
$lock->ask('BEGIN; LOCK TABLE qms_internal.ticket_seen IN SHARE MODE');
$clock->set('2030-01-07 09:09:05+00');
ok(Qms::poll(sub { $ask->(q{SELECT last_error FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'}) =~ /^heartbeats for 1: .*lock timeout/ }),
	'it cannot be written: the status says so');
is($written->(), 'A001 09:07:00, A002 09:07:00', 'it was not written');
$lock->ask('ROLLBACK');
$lock->end;
ok(Qms::poll(sub { $state->('A001', 'A002') eq 'waiting expired' }), 'the noted one counts all the same');
is($written->(), 'A001 09:07:00', 'still not written');
$at->('09:09:07');
is($written->(), 'A001 09:07:10', 'it is when it can be');

# Whoever comes into the line again: silence begins there.
$at->('09:09:12');
ok(Qms::poll(sub { $state->('A001') eq 'expired' }), 'silent');
$beat->('A003');
$at->('09:09:30');
$ask->(q{SELECT qms.reinstate_ticket(iso.id('A001'))});
$ask->(q{INSERT INTO qms_internal.ticket_seen SELECT ticket_id, organization_id, '2030-01-07 09:07:10+00' FROM qms.ticket WHERE ticket_id = iso.id('A001')});
$at->('09:10:10');
is($state->('A001'), 'waiting', 'who is reinstated is not silent at once');
$at->('09:11:25');
is($state->('A001', 'A003'), 'waiting expired', 'not before the others');
$at->('09:11:35');
is($state->('A001'), 'expired', 'but then');

# ---- the clock jumps a day forward: nobody could be heard of
$clock->at('2030-01-08 08:00+00');
$ask->(q{SELECT iso.world(2, '{"heartbeat_timeout": "2 min", "live_past_midnight": true}')});
$clock->settle;
$beat->('A001', 'A002');
$clock->at('2030-01-08 08:00:10+00');
$clock->at('2030-01-09 08:00:00+00');
is($state->('A001', 'A002'), 'waiting waiting', 'a day ahead');
$beat->('A002');
$clock->at('2030-01-09 08:01:59+00');
$clock->at('2030-01-09 08:02:04+00');
is($state->('A001'), 'expired', 'silence began there');

# ---- a crash: what was noted is lost, nobody's place is
$ask->(q{SELECT iso.world(3, '{"heartbeat_timeout": "2 min"}')});
$clock->settle;
$beat->('A001', 'A002', 'A003');
$clock->at('2030-01-09 08:02:15+00');
is($written->(), 'A001 08:02:04, A002 08:02:04, A003 08:02:04', 'three are written');
$clock->at('2030-01-09 08:03:50+00');
$beat->('A001');
is($written->(), 'A001 08:02:04, A002 08:02:04, A003 08:02:04', 'one is noted');
kill 'KILL', $ask->(q{SELECT pid FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'});
ok(Qms::poll(sub { my ($rc, $out) = eval { $node->psql('postgres', q{SELECT count(*) FROM qms.worker_status WHERE pid > 0}) }; defined $rc && $rc == 0 && $out eq '3' }), 'killed, and up again');
$home->();
$clock->at('2030-01-09 08:04:30+00');
is($state->('A001', 'A002', 'A003'), 'waiting waiting waiting', 'silence counts from the start');
$beat->('A003');
$clock->at('2030-01-09 08:05:45+00');
is($state->('A001', 'A002', 'A003'), 'waiting waiting waiting', 'for the whole time');
$clock->at('2030-01-09 08:05:50+00');
is($state->('A001', 'A002', 'A003'), 'expired expired waiting', 'then it is over');
# Terminated: the same, and what comes meanwhile is not lost either.
$clock->at('2030-01-09 08:06:25+00');
$ask->(q{SELECT pg_terminate_backend(pid) FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'});
ok(Qms::poll(sub { $ask->(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'qms scheduler' AND datname = 'postgres' AND backend_start > now() - interval '20 s'}) eq '1' }), 'terminated');
$home->();
$clock->at('2030-01-09 08:06:40+00');
is($state->('A003'), 'waiting', 'the next scheduler listens first');
$clock->at('2030-01-09 08:08:25+00');
is($state->('A003'), 'expired', 'and then counts');

# ---- nobody to write it: written at once
$ask->('CREATE DATABASE copy TEMPLATE postgres');
Qms::wait_for($node, q{SELECT bool_and(state = 'dormant') FROM qms.worker_status WHERE database = 'copy'}, 'a copy is dormant');
$ask->(q{SELECT iso.world(1, '{"heartbeat_timeout": "2 min"}'); SELECT qms.heartbeat(iso.token('A001'))}, 'copy');
is($rows->('copy'), '1', 'dormant: written at once');
$ask->('DROP DATABASE copy');
$ask->(q{ALTER SYSTEM SET qms.excluded_databases = 'postgres'});
$node->reload;
Qms::wait_for($node, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'qms scheduler' AND datname = 'postgres'}, 'no scheduler');
$ask->(q{SELECT iso.world(3, '{"heartbeat_timeout": "2 min"}')});
$beat->('A001');
is($rows->(), '1', 'no scheduler: written at once');
$ask->(q{ALTER SYSTEM RESET qms.excluded_databases});
$node->reload;

# ---- more people than the table has places
$node->append_conf('postgresql.conf', q{qms.heartbeat_slots = 1});
$node->restart;
$ask->(q{SELECT iso.world(50, '{"heartbeat_timeout": "2 min"}')});
$home->();
$clock->settle;
$ask->(q{DELETE FROM qms_internal.ticket_seen; SELECT count(qms.heartbeat(token)) FROM iso.things WHERE token IS NOT NULL});
is($rows->(), '34', 'sixteen are noted, the others written at once');
$clock->at('2030-01-09 08:08:35+00');
is($rows->(), '50', 'then all are');
$clock->at('2030-01-09 08:10:20+00');
$ask->(q{SELECT count(qms.heartbeat(token)) FROM iso.things WHERE token IS NOT NULL});
$clock->at('2030-01-09 08:10:26+00');
is($ask->(q{SELECT count(*) FROM iso.tickets WHERE state = 'waiting'}), '50', 'nobody is taken for silent');
$clock->at('2030-01-09 08:12:20+00');
is($ask->(q{SELECT count(*) FROM iso.tickets WHERE state = 'expired'}), '50', 'before he is');
foreach my $slots ('0', '16')
{
	$node->append_conf('postgresql.conf', "qms.heartbeat_slots = $slots");
	$node->append_conf('postgresql.conf', 'qms.workers = off') if $slots eq '16';
	$node->restart;
	$ask->(q{SELECT iso.world(1); DELETE FROM qms_internal.ticket_seen; SELECT qms.heartbeat(iso.token('A001'))});
	is($rows->(), '1', $slots eq '0' ? 'no table: written at once' : 'no workers: written at once');
}
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', q{''});
$node->restart;
$ask->(q{SET client_min_messages = error; SELECT iso.world(1); DELETE FROM qms_internal.ticket_seen; SELECT qms.heartbeat(iso.token('A001'))});
is($rows->(), '1', 'not preloaded: written at once');

my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP:|task "(?!heartbeats)/, 'nothing else failed');
done_testing();
