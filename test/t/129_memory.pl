# Memory of the workers stays flat: more than 100,000 events published, in large transactions and in
# thousands of small ones, thousands of timers, hundreds of changes of the configuration and of
# reloads, measured before and after by the server itself and by the kernel.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('memory', 'qms.workers = on', 'autovacuum = off', "qms.excluded_databases = 'template1'", q{qms.mock_now = '2030-05-06 09:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my @kinds = qw(launcher publisher scheduler);

$ask->(q{
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1, settings => '{"max_number": 999999}');
	SELECT queue_id FROM qms.create_queue('r', 1, settings => '{"expire_after_closing": "10 min", "heartbeat_timeout": "1 h"}');
	SELECT FROM qms.set_opening_hours('{"mon": [["08:00", "12:00"], ["14:00", "16:00"]]}', queue_id => 2)});

# Kilobytes that its memory contexts hold, as it says in the log.
sub contexts
{
	my ($pid) = @_;
	my $from = -s $node->logfile;
	my $total = qr/\[$pid\] LOG:  Grand total: (\d+) bytes in \d+ blocks; \d+ free \(\d+ chunks\); (\d+) used/;

	# A worker that sleeps is woken by the signal.
	$ask->("SELECT pg_log_backend_memory_contexts($pid)");
	my @bytes = Qms::poll(sub { substr(slurp_file($node->logfile), $from) =~ $total ? [ $1, $2 ] : 0 });
	return map { int($_ / 1024) } @{ $bytes[0] // [ 0, 0 ] };
}

# What is private to it: shared buffers that it has touched are not its own.
sub private
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : 0;
}

sub memory
{
	my %memory;
	foreach my $kind (@kinds)
	{
		my $pid = $ask->("SELECT pid FROM qms.worker_status WHERE worker = '$kind' AND coalesce(database, 'postgres') = 'postgres'");
		my ($held, $used) = contexts($pid);
		$memory{$kind} = { pid => $pid, held => $held, used => $used, private => private($pid) };
	}
	return %memory;
}

# Everything that has a price, so many times; LARGE events in one transaction are the same each time.
my $day = 6;
my $large = 10000;
sub churn
{
	my ($turns, $small, $people) = @_;

	foreach my $turn (1 .. $turns)
	{
		$ask->(qq{INSERT INTO qms.event (organization_id, branch_id, queue_id, at, kind, actor_kind, actor_role)
			SELECT 1, 1, 1, '2030-05-06', 'test', 'system', 'test' FROM generate_series(1, $large)});
		$ask->(qq{DO \$\$ BEGIN FOR i IN 1..$small LOOP PERFORM qms.join_queue(1); COMMIT; END LOOP; END \$\$});
		# Holds that end, then the end of the day for everybody.
		my $month = sprintf '2030-05-%02d', $day++;
		$ask->(qq{DO \$\$ BEGIN FOR i IN 1..$people LOOP PERFORM qms.hold_ticket(j.ticket_id, 'x', 'away', '$month 09:30+00') FROM qms.join_queue(1) j; END LOOP; END \$\$});
		$clock->at("$month 10:00+00");
		# Changes that make the scheduler plan anew.
		$ask->(qq{DO \$\$ BEGIN FOR i IN 1..50 LOOP PERFORM qms.update_queue(2, name => 'r' || i); COMMIT; END LOOP; END \$\$});
		$ask->('SELECT pg_reload_conf()') for 1 .. 10;
		$clock->at(sprintf '2030-05-%02d 09:00+00', $day);
		Qms::wait_for($node, 'SELECT (SELECT count(*) FROM qms.event) = (SELECT last_position FROM qms.stream_position()) AND NOT EXISTS (SELECT FROM qms.ticket)',
			"turn $turn: all is published, nobody is left");
	}
	return;
}

my $done = q{SELECT string_agg(done::text, ' ' ORDER BY worker) FROM qms.worker_status WHERE database = 'postgres'};
# Single events go another way than batches, and a plan is as large as it will be at its sixth use.
foreach (1 .. 12)
{
	$ask->('SELECT qms.join_queue(1)');
	Qms::poll(sub { $ask->('SELECT (SELECT count(*) FROM qms.event) = (SELECT last_position FROM qms.stream_position())') eq 't' });
}
# The heap grows in steps while tasks of different size come together for the first time, and stays
# there; a leak shows in each of several equal rounds.  So what counts is the round that added least.
churn(5, 400, 400);
my @seen = ({ memory() });
my ($events, $items) = split / /, $ask->($done);
foreach my $round (1 .. 3)
{
	churn(3, 400, 400);
	push @seen, { memory() };
}
my ($more_events, $more_items) = split / /, $ask->($done);

note(sprintf '%d events, %d items', $more_events - $events, $more_items - $items);
cmp_ok($more_events - $events, '>=', 100000, 'events published');
cmp_ok($more_items - $items, '>=', 7000, 'timers and other items done');
foreach my $kind (@kinds)
{
	my %least;

	foreach my $what (qw(held used private))
	{
		my @kb = map { $_->{$kind}{$what} } @seen;

		note("$kind: $what " . join(' -> ', @kb) . ' kB');
		ok($kb[0] > 0, "$kind: $what is measured");
		($least{$what}) = sort { $a <=> $b } map { $kb[$_] - $kb[ $_ - 1 ] } 1 .. $#kb;
	}
	is($seen[-1]{$kind}{pid}, $seen[0]{$kind}{pid}, "$kind: the same process");
	# Each of the three days brings a partition, which a worker that writes it knows from then on: some 9 kB.
	cmp_ok($least{used}, '<', 48, "$kind: its memory contexts use no more after 34,000 events");
	cmp_ok($least{held}, '<', 170, "$kind: nor do they hold more");
	cmp_ok($least{private}, '<', 340, "$kind: nor does the process");
}
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
