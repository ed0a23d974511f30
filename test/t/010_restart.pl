# A crash with live tickets: afterwards numbers and ids go on, and so do calls, with the memory of
# where lines begin empty; without shared_preload_libraries and with qms.queue_slots = 0 as well.
use strict;
use warnings;

use lib 'test/lib';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $world = slurp_file('test/specs/world.sql');
my $tickets = q{SELECT string_agg(number || ' ' || state, ', ' ORDER BY number) FROM iso.tickets};
my $next_ids = q{
	SELECT nextval('qms.ticket_ticket_id_seq') > (SELECT max(ticket_id) FROM (
			SELECT ticket_id FROM qms.ticket UNION ALL SELECT ticket_id FROM qms.ticket_history) t),
		nextval('qms.event_event_id_seq') > (SELECT max(event_id) FROM qms.event),
		nextval('qms.staff_session_staff_session_id_seq') > (SELECT max(staff_session_id) FROM qms.staff_session)};

foreach my $case (
	[ 'preloaded', {}, [] ],
	[ 'not preloaded', { preload => 0 }, [] ],
	[ 'no queue slots', {}, ['qms.queue_slots = 0'] ])
{
	my ($how, $option, $settings) = @$case;
	my $node = Qms::node("restart_" . $how =~ s/\W/_/gr, $option, @$settings);
	my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

	$ask->($world);
	$ask->(q{SELECT iso.world(6)});
	is($ask->(q{SELECT iso.call('one'), iso.call('one', 'completed'), iso.call('two')}), 'A001|A002|A003',
		"$how: calls in order");
	is($ask->(q{SELECT iso.act('hold_ticket', 'A004'), iso.act('cancel_ticket', 'A005')}), 'on_hold|cancelled',
		"$how: a hold and a cancellation");
	my $tokens = $ask->(q{SELECT name || ' ' || token FROM iso.things WHERE token IS NOT NULL ORDER BY name});

	# What is under way at the crash is gone, what has committed or is prepared is there.
	is($ask->(q{BEGIN; SELECT iso.join('r'); PREPARE TRANSACTION 'restart'}), 'B001', "$how: a join is prepared");
	my ($in, $out, $err) = (qq{BEGIN;\nSELECT iso.join();\nSELECT iso.call('two', 'completed');\n}, '', '');
	my $open = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout($Qms::timeout));
	$open->pump until $out =~ /A007\nA006\n/;

	$node->stop('immediate');
	$open->kill_kill;
	$node->start;

	is($ask->($tickets),
		'A001 completed, A002 called, A003 called, A004 on_hold, A005 cancelled, A006 waiting',
		"$how: tickets after the crash");
	is($ask->($next_ids), 't|t|t', "$how: ids are above those in use");
	is($ask->(q{SELECT string_agg(n, ' ') FROM (SELECT iso.join() AS n FROM generate_series(1, 2)) j}), 'A007 A008',
		"$how: numbers go on without a gap");
	is($ask->(q{SELECT iso.act('resume_ticket', 'A004')}), 'waiting', "$how: back from the hold");
	is($ask->(q{SELECT iso.join('q', 'vip')}), 'A009', "$how: somebody with credit");
	is($ask->(q{SELECT string_agg(n, ' ') FROM (SELECT iso.call('one', 'completed') AS n FROM generate_series(1, 6)) c}),
		'A009 A004 A006 A007 A008 nobody', "$how: calls go on in order");
	is($ask->(q{SELECT position FROM qms.join_queue(iso.id('q'))}), '1', "$how: first in line");
	is($ask->(q{SELECT position, people_ahead, position_exact FROM qms.join_queue(iso.id('q'))}), '2|1|t',
		"$how: second in line");
	is($ask->(q{SELECT iso.call('four')}), 'nobody', "$how: who is prepared does not wait yet");
	is($ask->(q{COMMIT PREPARED 'restart'; SELECT iso.call('four')}), 'B001', "$how: prepared before the crash, called after it");
	is($ask->(q{SELECT name || ' ' || token FROM iso.things WHERE name <= 'A006' AND token IS NOT NULL ORDER BY name}),
		$tokens, "$how: tokens as before");
	is($ask->(q{SELECT (qms.ticket_status(iso.token('A005'))).state}), 'cancelled', "$how: a token is still valid");

	$node->restart;
	is($ask->(q{SELECT iso.call('two', 'completed'), iso.call('two', 'completed'), iso.call('two', 'completed')}),
		'A010|A011|nobody', "$how: calls after a clean restart");
	unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, "$how: a quiet log");
	$node->stop;
}

done_testing();
