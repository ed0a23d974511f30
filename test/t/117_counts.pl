# Counts of those who wait beyond 1,000: right after prepared transactions that are rolled back or
# committed, after a crash, after what nobody noticed, and while people come and go.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

$SIG{PIPE} = 'IGNORE';
my $node = Qms::node('counts', 'qms.workers = on', 'restart_after_crash = on', 'autovacuum = off', q{qms.mock_now = '2030-01-07 09:00:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $minute = 0;
# Of several queues that are due one is counted, then after a pause the next: the counters serve two.
my $later = sub { $minute += $_[0]; $clock->at(sprintf '2030-01-07 %02d:%02d:%02d+00', 9 + int($minute / 60), $minute % 60, $_) foreach 0, 1 };

$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{SELECT iso.world(0, '{"max_number": 99999, "live_past_midnight": true}')});
my $many = sub { return "SELECT count(*) FROM generate_series(1, $_[0]) g, LATERAL qms.join_queue(iso.id('$_[1]'), metadata => jsonb_build_object('g', g))" };
$ask->($many->(3000, 'q'));
# What is told and what is true.
my $told = sub { return $ask->(q{SELECT waiting, waiting_exact FROM qms.queue_status(iso.id('} . ($_[0] // 'q') . q{'))}) };
my $true = sub { return $ask->(q{SELECT count(*) FROM qms.ticket WHERE state = 'waiting' AND queue_id = iso.id('} . ($_[0] // 'q') . q{')}) . '|f' };
my $right = sub { return ok(Qms::poll(sub { $told->() eq $true->() }, 20), $_[0]) || diag($told->() . ', not ' . $true->()) };

is($told->(), '3000|f', 'counted');
$later->(1);

# ---- prepared transactions
$ask->('BEGIN; ' . $many->(700, 'q') . q{; PREPARE TRANSACTION 'joins'});
is($told->(), '3700|f', 'those of a prepared transaction are counted');
$ask->(q{ROLLBACK PREPARED 'joins'});
$right->('and not any more when it is rolled back');
is($told->(), '3000|f', 'as before');
$ask->(q{BEGIN; SELECT count(*) FROM (SELECT qms.cancel_ticket(ticket_id, 'x') FROM qms.ticket WHERE state = 'waiting' ORDER BY sort_key LIMIT 100) x; PREPARE TRANSACTION 'leaves'});
is($told->(), '2900|f', 'those who leave by one');
$later->(1);
is($told->(), '2900|f', 'which is still there');
$ask->(q{ROLLBACK PREPARED 'leaves'});
$right->('are back');
is($told->(), '3000|f', 'all of them');

# One that stays for long, while others are rolled back and the queue is counted again: then it commits.
my $cancel = sub { return "BEGIN; SELECT count(*) FROM (SELECT qms.cancel_ticket(ticket_id, 'x') FROM qms.ticket WHERE state = 'waiting' ORDER BY sort_key LIMIT $_[0]) x; PREPARE TRANSACTION 'goes'" };
$ask->('BEGIN; ' . $many->(500, 'q') . q{; PREPARE TRANSACTION 'stays'});
$later->(6);
$ask->($cancel->(10));
$ask->(q{ROLLBACK PREPARED 'goes'});
$later->(6);
is($told->(), '3490|f', 'nothing is corrected before it is known');
$ask->(q{COMMIT PREPARED 'stays'});
$later->(6);
$right->('it has been committed');
is($told->(), '3500|f', 'and is counted once');
# One that nobody ends: not for ever.
$ask->('BEGIN; ' . $many->(20, 'q') . q{; PREPARE TRANSACTION 'forgotten'});
$ask->($cancel->(300));
$ask->(q{ROLLBACK PREPARED 'goes'});
is($told->(), '3220|f', 'off by those who were rolled back');
$later->(6) foreach 1 .. 12;
is($told->(), '3500|f', 'behind a transaction that nobody ends');
$ask->(q{ROLLBACK PREPARED 'forgotten'});
$later->(6);
$right->('nobody waits twice');

# ---- what nobody noticed: triggers were off
$ask->(q{SET session_replication_role = replica; DELETE FROM qms.ticket WHERE ticket_id IN (SELECT ticket_id FROM qms.ticket WHERE state = 'waiting' ORDER BY sort_key LIMIT 250)});
is($told->(), '3500|f', 'unnoticed');
$later->(6);
$right->('corrected with the next count');
my $done = $ask->(q{SELECT done FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'});
$later->(1);
is($ask->(q{SELECT done FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'}), $done, 'not all the time');
ok($clock->idle, 'the scheduler sleeps');

# ---- a crash, with somebody prepared
$ask->('BEGIN; ' . $many->(150, 'q') . q{; PREPARE TRANSACTION 'before'});
kill 'KILL', $ask->(q{SELECT pid FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres'});
ok(Qms::poll(sub { my ($rc, $out) = eval { $node->psql('postgres', q{SELECT count(*) FROM qms.worker_status WHERE pid > 0}) }; defined $rc && $rc == 0 && $out eq '3' }), 'killed, and up again');
is($told->(), $true->(), 'counted anew');
$ask->(q{COMMIT PREPARED 'before'});
$later->(6);
$right->('prepared before the crash, committed after it');

# ---- while people come and go: counted again and again, and right in the end
$ask->($many->(1200, 'r'));
is($told->('r'), '1200|f', 'another queue');
my $folder = PostgreSQL::Test::Utils::tempdir();
append_to_file("$folder/churn.sql", join("\n",
	q{SELECT ticket_id FROM qms.join_queue(iso.id('q'));}, q{BEGIN; SELECT ticket_id FROM qms.join_queue(iso.id('q')); ROLLBACK;},
	q{BEGIN; SELECT ticket_id FROM qms.join_queue(iso.id('r')); SAVEPOINT s; SELECT ticket_id FROM qms.join_queue(iso.id('q')); ROLLBACK TO s; COMMIT;},
	q{SELECT count(qms.cancel_ticket(ticket_id, 'x')) FROM (SELECT ticket_id FROM qms.ticket WHERE state = 'waiting' ORDER BY random() LIMIT 2 FOR UPDATE SKIP LOCKED) t;}) . "\n");
my $churn = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', 6, '-f', "$folder/churn.sql", $node->connstr('postgres') ], '<', \undef, '>&', \my $said);
foreach (1 .. 6)
{
	$later->(6);
	# Nobody may see a count far from the truth meanwhile.
	my ($off) = $ask->(q{SELECT abs(waiting - (SELECT count(*) FROM qms.ticket WHERE state = 'waiting' AND queue_id = iso.id('q'))) FROM qms.queue_status(iso.id('q'))});
	cmp_ok($off, '<', 100, "off by $off while people come and go");
}
$churn->finish;
is($churn->result(0), 0, 'the load has run') or diag($said);
my $off = $ask->(q{SELECT sum(abs(s.waiting - c.n)) FROM (VALUES ('q'), ('r')) v (name), LATERAL qms.queue_status(iso.id(v.name)) s,
	LATERAL (SELECT count(*) AS n FROM qms.ticket WHERE state = 'waiting' AND queue_id = s.queue_id) c});
cmp_ok($off, '<=', 8, "in the end off by $off: no more than were committing at one moment");
$later->(6);
$later->(6);
$right->('and right when it is quiet');
is($told->('r'), $true->('r'), 'the other one too');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|task "/, 'a quiet log');
done_testing();
