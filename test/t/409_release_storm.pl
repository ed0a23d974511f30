# A storm at a waiting room that is full all the time: people join, claim, finish, leave, are let in
# by the rate and by hand, by several clients at once, with rollbacks and prepared transactions, while
# the scheduler and the postmaster are killed.  Afterwards the event log is replayed, transaction by
# transaction in the order of their commits, by code that shares nothing with the extension: the
# number of people inside is never above max_active, nobody is let in twice, and nobody is lost.
#
#   QMS_RELEASE_PEOPLE=100000 for a long run, QMS_RELEASE_KILLS=0 for a calm one
use strict;
use warnings;

use lib 'test/lib';
use POSIX ();
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;
use Time::HiRes qw(sleep time);

my $people = $ENV{QMS_RELEASE_PEOPLE} || 5_000;
my $limit = $people > 20_000 ? 200 : 40;
my $clients = 6;
$SIG{PIPE} = 'IGNORE';

my $node = Qms::node('storm', 'qms.workers = on', 'restart_after_crash = on', 'track_commit_timestamp = on', 'log_statement = none',
	'max_connections = 60', 'log_min_messages = error', 'deadlock_timeout = 50ms');
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
# While the server may be down: nothing then.
my $try = sub { my ($rc, $out) = $node->psql('postgres', $_[0]); return $rc == 0 ? $out : undef };

$ask->(slurp_file('test/fixtures/room.sql'));
$ask->(qq{SELECT room.make('hall', '{"rate": "5000/s", "max_active": $limit, "claim_window": "1 s", "token_life": "2 s"}')});
$ask->(q{
	CREATE TABLE room.person (ticket_id bigint PRIMARY KEY, token qms.ticket_token NOT NULL, access text);
	CREATE TABLE room.seen (inside bigint NOT NULL);

	-- Some people in this state, by chance: those of one client; now and then anybody, so that two meet.
	CREATE FUNCTION room.some(wanted text, people int, lane int) RETURNS SETOF bigint LANGUAGE sql AS $$
		SELECT t FROM (SELECT ticket_id AS t FROM (SELECT ticket_id FROM qms.ticket WHERE queue_id = room.id('hall') AND state = wanted ORDER BY sort_key LIMIT 200) l
			WHERE lane < 0 OR ticket_id % 6 = lane ORDER BY random() LIMIT CASE WHEN lane < 0 THEN 1 ELSE people END) x ORDER BY t $$;
	CREATE FUNCTION room.join_some(most bigint) RETURNS void LANGUAGE sql AS $$
		INSERT INTO room.person SELECT j.ticket_id, j.token FROM generate_series(1, 40) g, LATERAL qms.join_queue(room.id('hall'), metadata => jsonb_build_object('g', g)) j
			WHERE (SELECT count(*) FROM room.person) < most $$;
	-- What somebody does; what is refused is no error here.
	CREATE FUNCTION room.does(what text, who bigint) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		CASE what
			WHEN 'claim' THEN UPDATE room.person p SET access = (qms.claim_access(p.token)).access_token WHERE ticket_id = who;
			WHEN 'finish' THEN PERFORM (qms.finish_visit(p.access)).state FROM room.person p WHERE ticket_id = who;
			WHEN 'leave' THEN PERFORM (qms.leave_queue(p.token)).state FROM room.person p WHERE ticket_id = who;
			WHEN 'revoke' THEN PERFORM qms.revoke_access(who);
		END CASE;
	EXCEPTION WHEN OTHERS THEN
		IF sqlstate !~ '^(QM...|40001|40P01|22004|55P03)$' THEN
			RAISE;
		END IF;
	END $$;
	CREATE FUNCTION room.act(dice int, most bigint, client int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		lane int := CASE WHEN random() < 0.1 THEN -1 ELSE client END;
	BEGIN
		IF dice < 12 THEN PERFORM room.join_some(most);
		ELSIF dice < 50 THEN PERFORM room.does('claim', t) FROM room.some('released', 10, lane) t;
		ELSIF dice < 82 THEN PERFORM room.does('finish', t) FROM room.some('admitted', 10, lane) t;
		ELSIF dice < 84 THEN PERFORM room.does('leave', t) FROM room.some('waiting', 2, lane) t;
		ELSIF dice < 88 THEN PERFORM room.does('leave', t) FROM room.some('released', 5, lane) t;
		ELSIF dice < 90 THEN PERFORM room.does('leave', t) FROM room.some('admitted', 5, lane) t;
		ELSIF dice < 93 THEN PERFORM room.does('revoke', t) FROM room.some('admitted', 5, lane) t;
		ELSIF dice < 97 THEN PERFORM qms.release_next(room.id('hall'), 1 + dice % 5);
		ELSE INSERT INTO room.seen SELECT count(*) FROM qms.ticket WHERE queue_id = room.id('hall') AND state IN ('released', 'admitted');
		END IF;
	EXCEPTION WHEN OTHERS THEN
		IF sqlstate !~ '^(40001|40P01|55P03)$' THEN
			RAISE;
		END IF;
	END $$});
my $folder = PostgreSQL::Test::Utils::tempdir();
my %script = (
	act => "\\set dice random(0, 99)\nSELECT room.act(:dice, $people, :client_id);\n",
	back => "\\set dice random(0, 96)\nBEGIN;\nSELECT room.act(:dice, $people, :client_id);\nROLLBACK;\n",
	prepare => "\\set dice random(12, 96)\n\\set id random(1, 1000000000)\nBEGIN;\nSELECT room.act(:dice, $people, :client_id);\nPREPARE TRANSACTION 'storm:id';\nCOMMIT PREPARED 'storm:id';\n",
	undo => "\\set dice random(12, 96)\n\\set id random(1, 1000000000)\nBEGIN;\nSELECT room.act(:dice, $people, :client_id);\nPREPARE TRANSACTION 'storm:id';\nROLLBACK PREPARED 'storm:id';\n");
foreach my $name (keys %script)
{
	# pgbench puts variables only where they stand alone.
	$script{$name} =~ s/'storm:id'/':id'/g;
	append_to_file("$folder/$name.sql", $script{$name});
}
sub storm
{
	my @command = ('pgbench', '-n', '-c', $clients, '-j', 2, '-T', 600, '-f', "$folder/act.sql\@20", '-f', "$folder/back.sql\@1", '-f', "$folder/prepare.sql\@1",
		'-f', "$folder/undo.sql\@1", '-d', 'postgres');
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;
	$ENV{PGHOST} = $node->host;
	$ENV{PGPORT} = $node->port;
	open STDOUT, '>', "$folder/out" or POSIX::_exit(1);
	open STDERR, '>', "$folder/err" or POSIX::_exit(1);
	exec @command or POSIX::_exit(1);
}

# Its children notice by themselves; the next one waits for the memory they share.
sub kill_postmaster
{
	my @processes = (split(/\n/, $try->('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()') // ''), slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/);

	$node->kill9;
	Qms::poll(sub { !grep { kill 0, $_ } @processes }, 60);
	$node->start;
	return;
}

# ---- the storm
my ($killed, $crashed, $ended, $restarts, $odd) = (0, 0, 0, 0, '');
my $begun = time();
my $storm = storm();
my $every = $people > 20_000 ? 8 : 3;
my $kills = $ENV{QMS_RELEASE_KILLS} // ($people > 20_000 ? 60 : 6);
my $next = $begun + $every;
my $done;
while (time() - $begun < ($people > 20_000 ? 3_000 : 240))
{
	sleep 0.2;
	if (waitpid($storm, POSIX::WNOHANG()) != 0)
	{
		my $err = slurp_file("$folder/err");
		# Connections that were lost are what the storm is about; anything else is not.
		$odd .= join '', grep { /ERROR/ && !/terminating connection|the database system is|recovery mode|connection|server closed/ } map { "$_\n" } split /\n/, $err;
		Qms::poll(sub { defined $try->('SELECT 1') }, 60);
		$storm = storm();
		$restarts++;
	}
	next if time() < $next;
	$next = time() + $every;
	# What a crash has left prepared holds its locks until somebody decides.
	foreach my $end (qw(COMMIT ROLLBACK COMMIT))
	{
		my $left = $try->(q{SELECT gid FROM pg_prepared_xacts WHERE prepared < now() - interval '2 s' LIMIT 1});
		$try->("$end PREPARED '$left'") if $left;
	}
	my $state = $try->(qq{SELECT (SELECT count(*) FROM room.person), (SELECT count(*) FROM qms.ticket WHERE queue_id = room.id('hall'))});
	if (defined $state && $state =~ /^(\d+)\|(\d+)$/)
	{
		$done = $1 >= $people && $2 <= $limit / 2;
		last if $done || $odd;
	}
	next if $ended + $killed + $crashed >= $kills;
	my $pid = $try->(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'qms scheduler' AND datname = 'postgres'});
	my $dice = ($ended + $killed + $crashed) % 3;
	if ($dice == 0 && $pid)
	{
		kill 'TERM', $pid;
		$ended++;
	}
	elsif ($dice == 1 && $pid)
	{
		kill 'KILL', $pid;
		$killed++;
	}
	elsif ($dice == 2)
	{
		kill_postmaster();
		$crashed++;
	}
}
kill 'KILL', $storm;
waitpid $storm, 0;
my $seconds = time() - $begun;
is($odd, '', 'no error but those of lost connections');
diag(sprintf '%d people in %.0f s; scheduler ended %d times, killed %d times, postmaster killed %d times; clients begun anew %d times', $people, $seconds, $ended, $killed, $crashed, $restarts);
Qms::poll(sub { defined $try->('SELECT 1') }, 60);
$ask->("ROLLBACK PREPARED '$_'") foreach split /\n/, $ask->('SELECT gid FROM pg_prepared_xacts');
Qms::wait_for($node, q{SELECT count(*) = 0 FROM qms.ticket WHERE queue_id = room.id('hall')}, 'everybody is let in in the end, and ends');
cmp_ok($ask->('SELECT count(*) FROM room.person'), '>=', $people, 'so many have joined');

# ---- what was seen in snapshots, and the books
cmp_ok($ask->('SELECT coalesce(max(inside), 0) FROM room.seen'), '<=', $limit, 'no snapshot showed more than max_active inside');
is($ask->('SELECT count(*) FROM room.broken'), 0, 'the books agree with the tickets');
is($ask->(q{SELECT r.released + coalesce(d.x, 0) FROM qms_internal.release_queue r, LATERAL (SELECT 0 AS x) d WHERE queue_id = room.id('hall')}),
	$ask->(q{SELECT count(*) FROM qms.event WHERE kind = 'ticket.released'}), 'as many let in as events say');

# ---- the event log, replayed in the order of commits
my %state;
my ($inside, $most, $events, $last) = (0, 0, 0, '');
my (@over, @wrong);
my %next_of = (
	'ticket.joined' => { '' => 'waiting' },
	'ticket.released' => { waiting => 'released' },
	'ticket.admitted' => { released => 'admitted' },
	'ticket.completed' => { admitted => 'ended' },
	'ticket.revoked' => { admitted => 'ended' },
	'ticket.expired' => { released => 'ended', admitted => 'ended' },
	'ticket.cancelled' => { waiting => 'ended', released => 'ended', admitted => 'ended' });
my %is_inside = (released => 1, admitted => 1);
$node->safe_psql('postgres', qq{COPY (SELECT kind, ticket_id, pg_xact_commit_timestamp(xid::xid) AS committed FROM qms.event
	WHERE queue_id = room.id('hall') AND ticket_id IS NOT NULL ORDER BY 3, event_id) TO '$folder/events'});
open my $log, '<', "$folder/events" or die "$folder/events: $!";
while (<$log>)
{
	chomp;
	my ($kind, $ticket, $committed) = split /\t/;
	my $was = $state{$ticket} // '';
	my $is = $next_of{$kind}{$was};

	$events++;
	push @wrong, "$ticket: $kind when $was" if !defined $is;
	push @wrong, "$ticket: nobody knows when it was committed" if $committed eq '\N';
	$state{$ticket} = $is // $was;
	$inside += ($is_inside{ $state{$ticket} } // 0) - ($is_inside{$was} // 0);
	$most = $inside if $inside > $most;
	push @over, "$inside at $committed ($kind of $ticket)" if $inside > $limit;
}
close $log;
is(join("\n", @wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]), '', 'every event fits the state before it: nobody is let in twice, or comes without being let in');
is(join("\n", @over[0 .. ($#over > 9 ? 9 : $#over)]), '', "at none of $events events more than $limit inside");
is($most, $limit, 'and the room was full: the limit was what held');
is(scalar(grep { $_ ne 'ended' } values %state), 0, 'everybody who joined has ended: nobody is lost');
diag(sprintf '%d events, at most %d inside; %.0f people let in and ended per second', $events, $most, scalar(keys %state) / $seconds);
done_testing();
