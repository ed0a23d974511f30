# The head of the line is busy with its own customer's change while a counter calls: the call waits
# for it, briefly, and takes it if it is free in time.  (That it is passed, on record, if it is not,
# is iso_leave_call's.)  The call waits for a tenth of a second, which a busy machine may miss: so
# there are several rounds, and one is enough.
use strict;
use warnings;

use lib 'test/lib';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('head');
$node->safe_psql('postgres', slurp_file('test/specs/world.sql'));
$node->safe_psql('postgres', q{
	CREATE FUNCTION iso.wait_for_caller() RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		until timestamptz := clock_timestamp() + '1 min';
	BEGIN
		LOOP
			PERFORM pg_stat_clear_snapshot();
			EXIT WHEN clock_timestamp() > until OR EXISTS (
				SELECT FROM pg_stat_activity WHERE application_name = 'caller' AND (wait_event = 'Extension' OR state = 'idle' AND query ~ 'iso.call'));
		END LOOP;
	END $$});

sub session
{
	my ($in, $out) = @_;
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ],
		'<', $in, '>', $out, '2>&1', IPC::Run::timeout($Qms::timeout));
}

# Who is called while the head, A001, is changed, and then that is committed or rolled back?
sub round
{
	my ($change, $end) = @_;

	$node->safe_psql('postgres', 'SELECT iso.world(2)');
	my ($customer_in, $customer_out, $caller_in, $caller_out) = ("BEGIN;\nSELECT $change;\n\\echo changed\n", '', '', '');
	my $customer = session(\$customer_in, \$customer_out);
	$customer->pump until $customer_out =~ /changed/;
	$caller_in = "SET application_name = 'caller';\n\\echo ready\n";
	my $caller = session(\$caller_in, \$caller_out);
	$caller->pump until $caller_out =~ /ready/;
	$customer_in .= "SELECT iso.wait_for_caller();\n$end;\n";
	$customer->pump_nb;
	$caller_in .= "SELECT 'called ' || iso.call('one');\n";
	$caller->pump until $caller_out =~ /called \w+/;
	$customer->finish;
	$caller->finish;
	my ($called) = $caller_out =~ /called (\w+)/;
	return $called . '|' . $node->safe_psql('postgres', 'SELECT count(*) FROM iso.passes');
}

foreach my $case (
	[ q{iso.try($$ SELECT state FROM qms.update_ticket(iso.id('A001'), language => 'de') $$)}, 'COMMIT', 'changed' ],
	[ q{iso.act('cancel_ticket', 'A001')}, 'ROLLBACK', 'not cancelled after all' ],
	[ q{iso.try($$ SELECT state FROM qms.leave_queue(iso.token('A001')) $$)}, 'ROLLBACK', 'not gone after all' ])
{
	my ($change, $end, $name) = @$case;
	my ($answer, $rounds) = ('', 0);

	$answer = round($change, $end) while $answer ne 'A001|0' && $rounds++ < 20;
	is($answer, 'A001|0', "the head is waited for: $name");
	note("$rounds rounds");
}

# The one who left in time is not there any more: no pass is recorded.
my ($answer, $rounds) = ('', 0);
$answer = round(q{iso.act('cancel_ticket', 'A001')}, 'COMMIT') while $answer ne 'A002|0' && $rounds++ < 20;
is($answer, 'A002|0', 'nobody is passed when the head has left in time');

$node->stop;
done_testing();
