# Never more people in a waiting room than max_waiting, in any snapshot: 100 sessions join, leave, roll
# back, prepare and are killed, and so is the server; and afterwards the room can be filled to the
# last place.  With shared memory and without.
use strict;
use warnings;

use lib 'test/lib';
use POSIX ();
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;
use Time::HiRes qw(sleep time);

my $short = $ENV{QMS_LONG} ? 0 : 1;
my $cap = 1000;
my $folder = PostgreSQL::Test::Utils::tempdir();
my $inside = q{SELECT count(*) FROM qms.ticket WHERE queue_id = 1 AND state IN ('waiting', 'on_hold')};

srand(20300107);

# One session's work: a script for psql that goes on after errors.
sub script
{
	my ($me, $n, $prepare) = @_;
	my $join = 'SELECT ticket_id FROM qms.join_queue(1)';
	my $leave = q{SELECT qms.cancel_ticket(ticket_id) FROM (SELECT ticket_id FROM qms.ticket WHERE queue_id = 1 AND state = 'waiting' ORDER BY ticket_id OFFSET %d LIMIT %d FOR UPDATE SKIP LOCKED) t};
	my @lines;

	foreach my $i (1 .. $n)
	{
		my $what = int(rand(20));
		my $leave_some = sprintf $leave, rand(500), 1 + rand(8);

		push @lines,
			$what < 9 ? "$join;"
			: $what < 12 ? "$leave_some;"
			: $what < 13 ? "BEGIN; $join; $join; ROLLBACK;"
			: $what < 14 ? "BEGIN; $leave_some; ROLLBACK;"
			: $what < 15 ? "BEGIN; $join; SAVEPOINT a; $join; ROLLBACK TO a; $join; COMMIT;"
			: $what < 16 ? "BEGIN; $join; $leave_some; $join; COMMIT;"
			: $what < 17 ? "BEGIN; SELECT qms.hold_ticket(ticket_id) FROM (SELECT ticket_id FROM qms.ticket WHERE queue_id = 1 AND state = 'waiting' ORDER BY ticket_id DESC LIMIT 1 FOR UPDATE SKIP LOCKED) t; COMMIT;"
			: $what < 18 ? "SELECT qms.resume_ticket(ticket_id) FROM (SELECT ticket_id FROM qms.ticket WHERE queue_id = 1 AND state = 'on_hold' LIMIT 1 FOR UPDATE SKIP LOCKED) t;"
			: $what < 19 || !$prepare ? "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; $join; COMMIT;"
			: 'BEGIN; ' . (rand() < 0.7 ? $join : $leave_some) . "; PREPARE TRANSACTION 'p$me-$i'; " . (rand() < 0.4 ? "COMMIT PREPARED 'p$me-$i';" : rand() < 0.7 ? "ROLLBACK PREPARED 'p$me-$i';" : '');
	}
	return join "\n", @lines, '';
}

# Sessions at work for so many seconds, in a room that is nearly full; the most people that any of
# many snapshots has seen in it meanwhile.
sub storm
{
	my ($node, $seconds, $prepare, $disturb, $sessions) = @_;
	my $watcher = $disturb ? undef : Session->new($node);
	my @running;

	$node->safe_psql('postgres', "SELECT count(t.ticket_id) FROM generate_series(1, $cap - 40 - ($inside)) i, qms.join_queue(1, metadata => jsonb_build_object('i', i)) t");
	foreach my $me (1 .. ($sessions || 100))
	{
		my $file = "$folder/$me.sql";

		unlink $file;
		append_to_file($file, script($me, 300, $prepare));
		my $pid = fork();

		defined $pid or die "fork: $!";
		if ($pid == 0)
		{
			open STDIN, '<', '/dev/null';
			open STDOUT, '>', '/dev/null';
			open STDERR, '>', '/dev/null';
			exec 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $file;
			POSIX::_exit(1);
		}
		push @running, $pid;
		$watcher->tell("SELECT * FROM watch($seconds)") if $watcher && $me == 1;
	}
	$disturb->() if $disturb;
	my ($most, $looks) = $watcher ? split /\|/, $watcher->answer : (0, 0);
	kill 'KILL', @running;
	waitpid $_, 0 foreach @running;
	$watcher->end if $watcher;
	return ($most, $looks);
}

# Everybody is gone who was at work; then the room takes as many as it may, and not one more.
sub full_use
{
	my ($node, $how) = @_;
	my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()}) or die "sessions that do not end:\n" . $ask->(q{SELECT pid, state, wait_event_type, wait_event, pg_blocking_pids(pid), now() - query_start, left(query, 200), (SELECT array_agg(format('%s %s %s %s', locktype, mode, granted, coalesce(relation::regclass::text, transactionid::text))) FROM pg_locks l WHERE l.pid = a.pid AND NOT granted) FROM pg_stat_activity a WHERE backend_type = 'client backend'});
	foreach my $gid (split /\n/, $ask->('SELECT gid FROM pg_prepared_xacts ORDER BY gid'))
	{
		$ask->((rand() < 0.5 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$gid'");
	}
	my $was = $ask->($inside);
	cmp_ok($was, '<=', $cap, "$how: not one too many is in the room at the end ($was)");
	$ask->(q{SELECT count(qms.cancel_ticket(ticket_id)) FROM (SELECT ticket_id FROM qms.ticket ORDER BY ticket_id LIMIT 300) t});
	my $free = $cap - $ask->($inside);
	my $given = 0;
	my $join = sub {
		my ($out, $err) = ('', '');
		$node->psql('postgres', "SELECT count(*) FROM qms.join_queue(1);\n" x $_[0], stdout => \$out, stderr => \$err, on_error_stop => 0);
		$given += () = $out =~ /^1$/mg;
		return scalar(() = $err =~ /queue 1 is full/g);
	};
	# Counting again is not done all the time: whoever is refused in doubt comes once more.
	Qms::poll(sub { return $join->($free - $given) == 0 });
	is($given, $free, "$how: every free place is given ($free)");
	is($join->(50), 50, "$how: and not one more");
	is($ask->($inside), $cap, "$how: the room is full");
	return;
}

foreach my $case ([ 'preloaded', {}, [] ], [ 'not preloaded', { preload => 0 }, [] ], [ 'no queue slots', {}, ['qms.queue_slots = 0'] ])
{
	my ($how, $option, $settings) = @$case;
	my $node = Qms::node('cap_' . $how =~ s/\W/_/gr, $option, 'max_connections = 130', 'max_prepared_transactions = 2000', 'fsync = off', 'restart_after_crash = on', 'log_min_messages = fatal', 'log_min_error_statement = panic', @$settings);
	my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
	my $begin = sub {
		$ask->(qq{SELECT qms.create_organization('city'); SELECT qms.create_application(1, 'shop');
			CREATE FUNCTION watch(seconds float, most OUT bigint, looks OUT bigint) LANGUAGE plpgsql AS \$f\$
			DECLARE
				n bigint;
				until timestamptz := clock_timestamp() + seconds * interval '1 s';
			BEGIN
				most := 0;
				looks := 0;
				WHILE clock_timestamp() < until LOOP
					$inside INTO n;
					most := greatest(most, n);
					looks := looks + 1;
				END LOOP;
			END \$f\$;
			SELECT qms.create_queue('room', application_id => 1, kind => 'release', settings => '{"max_waiting": $cap, "rate": "120/min"}')});
	};

	$begin->();
	my ($most, $looks) = storm($node, $short ? 4 : 30, 0, undef, $how eq 'preloaded' ? 100 : 20);
	cmp_ok($most, '<=', $cap, "$how: never more than the room holds (at most $most in $looks looks)");
	cmp_ok($most, '>', $cap - 100, "$how: and it was nearly full");
	full_use($node, "$how, joins and leaves");

	next if $how ne 'preloaded';

	# Prepared transactions are in the way of nobody with shared memory.
	$ask->(q{SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket});
	($most, $looks) = storm($node, $short ? 4 : 30, 1);
	cmp_ok($most, '<=', $cap, "$how: with prepared transactions never more ($most in $looks looks)");
	my $left = $ask->('SELECT count(*) FROM pg_prepared_xacts');
	ok($left > 0, "$how: some stay prepared ($left)");
	full_use($node, "$how, prepared");

	# Backends are killed, and so everybody; then the postmaster.
	$ask->(q{SELECT count(qms.cancel_ticket(ticket_id)) FROM (SELECT ticket_id FROM qms.ticket ORDER BY ticket_id LIMIT 600) t});
	foreach my $round (1 .. ($short ? 1 : 5))
	{
		my $victim = Session->new($node);
		my $pid = $victim->ask('SELECT pg_backend_pid()');

		storm($node, 0, 1, sub {
			Qms::poll(sub { my ($rc, $n) = $node->psql('postgres', $inside); return $rc == 0 && $n >= $cap - 5 }, 20);
			kill 'KILL', $pid;
			sleep 0.5;
		}, 30);
		$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
		($most, $looks) = storm($node, 2, 1, undef, 30);
		cmp_ok($most, '<=', $cap, "$how: kill -9 of a backend, round $round: never more afterwards ($most in $looks looks)");
	}
	full_use($node, "$how, backends killed");
	$ask->(q{SELECT count(qms.cancel_ticket(ticket_id)) FROM (SELECT ticket_id FROM qms.ticket ORDER BY ticket_id LIMIT 600) t});
	storm($node, 1, 1, undef, 30);
	$node->stop('immediate');
	$node->start;
	($most, $looks) = storm($node, 2, 1, undef, 30);
	cmp_ok($most, '<=', $cap, "$how: the server killed: never more afterwards ($most in $looks looks)");
	full_use($node, "$how, server killed");

	# What is prepared when the server stops counts when it is back, though nothing else is known.
	$ask->(qq{SELECT count(qms.cancel_ticket(ticket_id)) FROM (SELECT ticket_id FROM qms.ticket ORDER BY ticket_id LIMIT 10) t;
		BEGIN; SELECT qms.join_queue(1); SAVEPOINT a; SELECT qms.join_queue(1); SELECT qms.join_queue(1); RELEASE a; PREPARE TRANSACTION 'three'});
	$node->restart;
	my ($out, $err) = ('', '');
	$node->psql('postgres', "SELECT count(*) FROM qms.join_queue(1);\n" x 12, stdout => \$out, stderr => \$err, on_error_stop => 0);
	is(scalar(() = $out =~ /^1$/mg), 7, "$how: three are prepared since before the restart: seven places");
	$ask->(q{ROLLBACK PREPARED 'three'});
	Qms::poll(sub { $node->psql('postgres', "SELECT count(*) FROM qms.join_queue(1);\n" x 12, on_error_stop => 0); return $ask->($inside) >= $cap });
	is($ask->($inside), $cap, "$how: and three more when they are rolled back");
	# The overflow answer.
	($out, $err) = ('', '');
	$node->psql('postgres', '\set VERBOSITY verbose' . "\nSELECT qms.join_queue(1)", stderr => \$err);
	like($err, qr/QM303: queue 1 is full\n.*DETAIL:  1000 are waiting.*\n.*HINT:  About 1\d\d people a minute are let in; try again in [45] s\./, "$how: a full room says when to come back");
	$ask->(q{SELECT qms.update_queue(1, settings => '{"overflow_hint": "Come to counter 3."}')});
	$node->psql('postgres', 'SELECT qms.join_queue(1)', stderr => \$err);
	like($err, qr/HINT:  Come to counter 3\./, "$how: or what the setting says");
	# A limit that changes.
	$ask->(q{SELECT qms.update_queue(1, settings => '{"max_waiting": 1002}')});
	$out = $ask->('SELECT count(*) FROM qms.join_queue(1)');
	is($out, 1, "$how: a higher limit holds at once");
	$ask->(q{SELECT qms.update_queue(1, settings => '{"max_waiting": 5}'); SELECT count(qms.cancel_ticket(ticket_id)) FROM (SELECT ticket_id FROM qms.ticket ORDER BY ticket_id LIMIT 997) t});
	$node->psql('postgres', "SELECT count(*) FROM qms.join_queue(1);\n" x 3, stdout => \$out, stderr => \$err, on_error_stop => 0);
	is($ask->($inside), 5, "$how: a lower one when they have left");
}
done_testing();
