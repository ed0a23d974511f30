# The publisher: every committed event gets exactly one position, in order, whoever else has a
# transaction open, and each wake-up costs what it brings, not what others leave lying about.
use strict;
use warnings;

use lib 'test/lib';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

my $writers = 16;
my $node = Qms::node('publisher', 'qms.workers = on', 'deadlock_timeout = 50ms', 'autovacuum = off', 'max_connections = 60');
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

sub all_published
{
	my ($phase, $other) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	Qms::wait_for($node, q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)},
		"$phase: everything committed is published");
	is($ask->(q{SELECT count(*) - count(DISTINCT event_id), count(*) - count(DISTINCT position), max(position) - min(position) + 1 - count(*),
			count(*) FILTER (WHERE e.event_id IS NULL) FROM qms_internal.event_position LEFT JOIN qms.event e USING (event_id)}),
		'0|0|0|0', "$phase: each event once, each position once, without a gap, nothing that was rolled back");
	is($ask->(q{SELECT count(*) FROM (SELECT version <> lag(version, 1, 0) OVER (PARTITION BY ticket_id ORDER BY position) + 1 AS wrong
			FROM qms_internal.event_position JOIN qms.event USING (event_id) WHERE ticket_id IS NOT NULL) v WHERE wrong}),
		'0', "$phase: positions of each ticket follow its versions");
	return;
}

sub done { return $ask->(q{SELECT done FROM qms.worker_status WHERE worker = 'publisher' AND database = 'postgres'}) }

# What the publisher has read so far: rows by the index on xid, and blocks of its own state.
my $costs = q{SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE indexrelname ~ '^event_\d+_\d+_xid_idx$'),
	(SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read) FROM pg_statio_all_tables WHERE relname ~ '^publisher')};

# The cost of 20 commits, each heard by itself.
sub cost
{
	my @before = split /\|/, $ask->($costs);
	my $session = Session->new($node);
	for (1 .. 20)
	{
		$session->ask('SELECT iso.join()');
		Qms::poll(sub { $session->ask('SELECT (SELECT last_position FROM qms.stream_position()) = (SELECT max(position) FROM qms_internal.event_position)
			AND EXISTS (SELECT FROM qms_internal.event_position WHERE event_id = (SELECT max(event_id) FROM qms.event WHERE queue_id = iso.id(\'q\')))') eq 't' });
	}
	$session->end;
	my @after = split /\|/, $ask->($costs);
	return ($after[0] - $before[0], $after[1] - $before[1]);
}

$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{SELECT iso.world(4)});
$ask->(q{SELECT iso.remember('z', queue_id) FROM qms.create_queue('z', iso.id('branch'), prefix => 'Z');
	SELECT iso.remember('p', queue_id) FROM qms.create_queue('p', iso.id('branch'), prefix => 'P')});
# Something at random to a ticket or counter at random; most of it is refused, inside of a savepoint.
$ask->(q{CREATE FUNCTION iso.step() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		ticket bigint := (SELECT ticket_id FROM qms.ticket WHERE queue_id IN (iso.id('q'), iso.id('r')) ORDER BY random() LIMIT 1);
	BEGIN
		CASE floor(random() * 6)
			WHEN 0 THEN RETURN iso.try(format('SELECT state FROM qms.hold_ticket(%s)', ticket));
			WHEN 1 THEN RETURN iso.try(format('SELECT state FROM qms.resume_ticket(%s)', ticket));
			WHEN 2 THEN RETURN iso.try(format('SELECT state FROM qms.transfer_ticket(%s, iso.id(%L))', ticket, CASE WHEN random() < 0.5 THEN 'q' ELSE 'r' END));
			WHEN 3 THEN RETURN iso.call(CASE WHEN random() < 0.5 THEN 'one' ELSE 'three' END, 'completed');
			ELSE RETURN iso.join(CASE WHEN random() < 0.5 THEN 'q' ELSE 'r' END);
		END CASE;
	END $$});
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.worker_status WHERE worker = 'publisher' AND pid > 0}, 'the publisher runs');
all_published('at first');
my @cost = cost();
cmp_ok($cost[0], '<', 200, 'the cost of a wake-up is that of its events');

# For all that follows: a transaction that has written much and stays open, and one that has read.
my $open = Session->new($node);
is($open->ask(q{BEGIN; SELECT iso.join('z');
	INSERT INTO qms.event (organization_id, at, kind, actor_kind, actor_role)
	SELECT iso.id('organization'), now(), 'test', 'system', 'test' FROM generate_series(1, 3000)}), 'Z001', 'a writer stays open');
my $reader = Session->new($node);
is($reader->ask(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) > 0 FROM qms.event}), 't', 'so does a reader');

# Writers: short transactions of several steps, with savepoints taken back, or taken back whole.
my (@children, @out);
foreach my $writer (1 .. $writers)
{
	my $script = '';
	foreach my $n (1 .. 25)
	{
		my @steps = ('SELECT iso.step()') x (1 + $n % 3);
		push @steps, 'SAVEPOINT s', 'SELECT iso.step()', "SELECT iso.join('q')", ($n + $writer) % 4 < 2 ? 'ROLLBACK TO s' : 'RELEASE s', 'SELECT iso.step()' if ($n + $writer) % 2;
		$script .= join(";\n", $n % 4 ? ('BEGIN', @steps, ($n + $writer) % 5 ? 'COMMIT' : 'ROLLBACK') : 'SELECT iso.step()') . ";\n";
	}
	push @children, IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \$script, '>', \$out[ $writer - 1 ], '2>', '/dev/null', IPC::Run::timeout($Qms::timeout));
}
$_->finish foreach @children;
all_published("$writers writers");
cmp_ok($ask->('SELECT count(*) FROM qms_internal.event_position'), '>', 200, 'a good many');
cmp_ok($ask->('SELECT count(DISTINCT xid) FROM qms.event'), '>', 150, 'of many transactions');

# The order of event_id is not that of positions: some were overtaken while they were open.
$ask->(q{DO $$ BEGIN FOR i IN 1..300 LOOP PERFORM iso.join('r'); COMMIT; END LOOP; END $$});
all_published('many small commits');
my @later = cost();
cmp_ok($later[0], '<=', $cost[0] * 2 + 20, "behind an open writer and a reader a wake-up reads no more events ($cost[0], then $later[0])");
cmp_ok($later[1], '<=', $cost[1] * 1.5 + 50, "and no more blocks of its own state ($cost[1], then $later[1])");

my $last = $ask->('SELECT max(event_id) FROM qms_internal.event_position');
$open->ask('COMMIT');
all_published('the open writer commits');
cmp_ok($ask->(q{SELECT min(position) FROM qms_internal.event_position JOIN qms.event USING (event_id) WHERE kind = 'test'}), '>',
	$ask->("SELECT position FROM qms_internal.event_position WHERE event_id = $last"), 'its events come after those published meanwhile');

# Prepared here, committed by somebody else.
$ask->(q{BEGIN; SELECT iso.join('p'); SAVEPOINT s; SELECT iso.join('p'); ROLLBACK TO s; SELECT iso.join('p'); PREPARE TRANSACTION 'one'});
$ask->(q{BEGIN; SELECT iso.join('z'); PREPARE TRANSACTION 'two'});
$ask->(q{SELECT iso.join('q')});
all_published('prepared');
is($ask->(q{SELECT count(*) FROM qms_internal.event_position WHERE queue_id = iso.id('p')}), '1', 'prepared: not published yet');
$ask->(q{COMMIT PREPARED 'one'});
$ask->(q{ROLLBACK PREPARED 'two'});
all_published('committed by another session');
is($ask->(q{SELECT count(*) FROM qms_internal.event_position WHERE queue_id = iso.id('p')}), '3', 'and there they are');

# 100,000 events in one transaction: batches of 1,000, one doorbell each, others are not lost.
my $listener = Session->new($node);
$listener->ask('LISTEN qms');
my $before = $ask->('SELECT last_position FROM qms.stream_position()');
my $other = Session->new($node);
$ask->(q{BEGIN; SELECT iso.join('q');
	INSERT INTO qms.event (organization_id, at, kind, actor_kind, actor_role)
	SELECT iso.id('organization'), now(), 'bulk', 'system', 'test' FROM generate_series(1, 100000); COMMIT});
$other->ask(q{DO $$ BEGIN FOR i IN 1..20 LOOP PERFORM iso.join('r'); COMMIT; END LOOP; END $$});
$other->end;
all_published('100,000 in one transaction');
my @positions = $listener->ask('SELECT 1') =~ /"position": (\d+)/g;
my $biggest = 0;
my $from = $before;
foreach my $position (@positions)
{
	$biggest = $position - $from if $position - $from > $biggest;
	$from = $position;
}
cmp_ok(scalar(@positions), '>=', 101, 'one doorbell for each batch');
is($biggest, 1000, 'no batch is bigger than 1,000');
is_deeply(\@positions, [ sort { $a <=> $b } @positions ], 'positions in the doorbells grow');
is($positions[-1], $ask->('SELECT last_position FROM qms.stream_position()'), 'the last doorbell names the last position');

# Nobody else's doorbell counts.
my $known = $ask->('SELECT s FROM qms.stream_position() s');
$ask->(q{CREATE ROLE forger LOGIN});
my $forger = Session->new($node, 'user=forger');
$forger->ask(q{SELECT pg_notify('qms', '{"epoch": "forged", "position": 999999999}'); NOTIFY qms, 'nonsense'; NOTIFY qms});
$forger->end;
like($listener->ask('SELECT 1'), qr/forged/, 'a forged doorbell is heard');
is($ask->('SELECT s FROM qms.stream_position() s'), $known, 'and changes nothing');
is($ask->(qq{SELECT count(*) FROM qms.events_since('admin:' || iso.id('organization'), $positions[-1])}), '0', 'who reads finds nothing');

# A publisher that fails waits longer each time, however many commits ring, and goes on afterwards.
my $log = -s $node->logfile;
$ask->(q{ALTER TABLE qms_internal.publisher_progress RENAME TO not_there});
$ask->(q{DO $$ BEGIN FOR i IN 1..200 LOOP PERFORM iso.join('r'); COMMIT; END LOOP; END $$});
Qms::wait_for($node, q{SELECT failures > 0 AND last_error IS NOT NULL FROM qms.worker_status WHERE worker = 'publisher' AND database = 'postgres'},
	'a failure is shown');
my $errors = () = substr(slurp_file($node->logfile), $log) =~ /ERROR:  relation "qms_internal.publisher_progress"/g;
cmp_ok($errors, '<=', 6, "and not written for every commit ($errors times)");
$ask->(q{ALTER TABLE qms_internal.not_there RENAME TO publisher_progress});
all_published('after a failure');

# Settings of the database that are meant for people do not stop it.
$ask->(q{ALTER DATABASE postgres SET default_transaction_read_only = on;
	ALTER DATABASE postgres SET default_transaction_isolation = 'serializable';
	SELECT pg_terminate_backend(pid) FROM qms.worker_status WHERE worker = 'publisher' AND pid > 0});
$ask->(q{SET default_transaction_read_only = off; SELECT iso.join('r')});
all_published('under strange settings');

$_->end foreach $reader, $open, $listener;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
$node->stop;
done_testing();
