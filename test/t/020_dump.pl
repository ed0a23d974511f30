# A dump with partitions of three months and tickets in all states, restored into another cluster,
# from the custom format and from plain SQL: the contents are equal, numbers, ids and tokens go on.
# And DROP EXTENSION leaves nothing behind.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

# The node's own programs: Debian's pg_dump is a wrapper that may pick another version.
chomp(my $bin = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);

# Contents of all tables of the extension (but what is never dumped), as one hash each.
my $tables = q{
	SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY c.oid::regclass::text)
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname IN ('qms', 'qms_internal') AND c.relkind IN ('r', 'p') AND c.oid NOT IN ('qms_internal.instance'::regclass, 'qms_internal.publisher'::regclass, 'qms_internal.publisher_progress'::regclass)};

sub contents
{
	my ($node, $database) = @_;
	my $sql = join "\nUNION ALL ", map {
		"SELECT '$_', count(*), md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM $_ t"
	} split / /, $node->safe_psql($database, $tables);
	return $node->safe_psql($database, "SET time zone 'UTC'; $sql");
}

sub sequences
{
	return $_[0]->safe_psql($_[1], q{
		SELECT string_agg(sequencename || ' ' || coalesce(last_value::text, '-'), ', ' ORDER BY sequencename)
		FROM pg_sequences WHERE schemaname IN ('qms', 'qms_internal')});
}

my $partitions = q{
	SELECT string_agg(inhrelid::regclass || ' ' || (SELECT count(*) FROM pg_index WHERE indrelid = inhrelid)
			|| ' ' || pg_get_userbyid(relowner), ', ' ORDER BY inhrelid::regclass::text)
	FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
	WHERE inhparent IN ('qms.event'::regclass, 'qms.ticket_history'::regclass, 'qms.ticket_leg'::regclass)
		AND c.relkind = 'r'};

# What has to work in the restored database; the answers are the test's.
sub lives
{
	my ($node, $database, $how) = @_;
	my $ask = sub { return $node->safe_psql($database, "SET qms.mock_now = '2030-03-20 10:00+00'; $_[0]") };

	is($ask->(q{SELECT number, state FROM qms.ticket_status(iso.token('A007'))}), 'A007|waiting', "$how: a token of a live ticket");
	is($ask->(q{SELECT number, state FROM qms.ticket_status(iso.token('A001'))}), 'A001|completed', "$how: a token of a past one");
	is($ask->(q{SELECT count(*) FROM qms.visit_status(iso.token('A003'))}), '2', "$how: a token of a visit of two tickets");
	is($ask->(q{SELECT number FROM qms.join_queue(iso.id('q'), request_id => '00000000-0000-0000-0000-00000000000a')}), 'A009',
		"$how: a request that was answered before the dump");
	my $row = $ask->(q{SELECT number, ticket_id > (SELECT max(id) FROM iso.things WHERE token IS NOT NULL) FROM qms.join_queue(iso.id('q'))});
	is($row, 'A010|t', "$how: next number and next id");
	is($ask->(q{SELECT iso.act('complete_service', 'one')}), 'completed', "$how: who was being served is completed");
	is($ask->(q{SELECT iso.act('undo', 'one')}), 'serving', "$how: and that is undone");
	is($ask->(q{SELECT iso.call('one', 'completed')}), 'A007', "$how: call_next");
	is($ask->(q{SELECT iso.call('two', 'completed')}), 'A009', "$how: call_next elsewhere");
	is($ask->(q{SELECT iso.act('resume_ticket', 'A008'), iso.call('two', 'completed')}), 'waiting|A008', "$how: back from a hold");
	is($ask->(q{SELECT iso.try('DELETE FROM qms.ticket'), iso.try('INSERT INTO qms.ticket SELECT * FROM qms.ticket')}), 'QM415|23505',
		"$how: guards and keys are there");
	is($ask->(q{SELECT iso.act('reinstate_ticket', 'A002')}), 'waiting', "$how: back from the history of January");
	is($node->safe_psql($database, q{SET qms.mock_now = '2030-05-01 10:00+00'; SELECT iso.call('three', 'completed')}),
		'A002', "$how: a call in a month without partition");
	return;
}

my $source = Qms::node('source');
my $ask = sub { return $source->safe_psql('postgres', $_[0]) };
my $at = sub { return $source->safe_psql('postgres', "SET qms.mock_now = '$_[0]'; $_[1]") };

# Three months: tickets end in each, and in March there is one live ticket in each state.
$ask->(slurp_file('test/specs/world.sql'));
$at->('2030-01-10 09:00+00', q{SELECT iso.world(2, '{"live_past_midnight": true}');
	SELECT iso.call('one'), iso.call('one', 'completed'), iso.act('mark_no_show', 'one');
	SELECT iso.join(), iso.join('r', visit => 'A003');
	SELECT iso.join() FROM generate_series(4, 6)});
$at->('2030-02-10 09:00+00', q{SELECT iso.call('one'), iso.act('complete_service', 'one');
	SELECT iso.try('SELECT state FROM qms.transfer_ticket(iso.id(''A004''), iso.id(''r''))');
	SELECT iso.act('cancel_ticket', 'A005')});
$at->('2030-03-20 09:00+00', q{SELECT iso.join() FROM generate_series(7, 8);
	SELECT iso.act('hold_ticket', 'A008');
	SELECT iso.try('SELECT number FROM qms.join_queue(iso.id(''q''), request_id => ''00000000-0000-0000-0000-00000000000a'')');
	SELECT iso.call('one'), iso.act('start_service', 'one'), iso.call('four');
	SELECT qms.heartbeat(iso.token('A007'))});
$ask->(q{CREATE ROLE desk_clerk LOGIN; GRANT qms_reception TO desk_clerk});
$ask->(q{SELECT qms.bind_role('desk_clerk', iso.id('organization'), 'staff', staff_id => (SELECT staff_id FROM qms.create_staff(iso.id('organization'), 'desk_clerk')))});

is($ask->(q{SELECT string_agg(number || ' ' || state, ', ' ORDER BY number) FROM iso.tickets}),
	'A001 completed, A002 no_show, A003 completed, A004 waiting, A005 cancelled, A006 serving, A007 waiting, A008 on_hold, A009 waiting, B001 called',
	'tickets in all states');
my $had = contents($source, 'postgres');
like($had, qr/event_2030_01.*event_2030_02.*event_2030_03.*ticket_history_2030_01.*ticket_history_2030_02.*ticket_leg_2030_02/s,
	'partitions of three months');
my $had_sequences = sequences($source, 'postgres');
my $had_partitions = $ask->($partitions);

my $folder = PostgreSQL::Test::Utils::tempdir();
command_ok([ "$bin/pg_dump", '-Fc', '-f', "$folder/custom", $source->connstr('postgres') ], 'pg_dump, custom format');
command_ok([ "$bin/pg_dump", '-f', "$folder/plain", $source->connstr('postgres') ], 'pg_dump, plain SQL');

# Another cluster: it knows no role of ours before CREATE EXTENSION makes them.
my $target = Qms::node('target', { extension => 0 });
foreach my $way (qw(custom plain))
{
	$target->safe_psql('postgres', "CREATE DATABASE $way");
	my @restore = $way eq 'custom'
		? ("$bin/pg_restore", '--exit-on-error', '-d', $target->connstr($way), "$folder/$way")
		: ("$bin/psql", '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', "$folder/out", '-d', $target->connstr($way), '-f', "$folder/$way");
	command_ok(\@restore, "$way: restored");
	is(contents($target, $way), $had, "$way: contents");
	is(sequences($target, $way), $had_sequences, "$way: sequences");
	is($target->safe_psql($way, $partitions), $had_partitions, "$way: partitions, their indexes and owner");
	is($target->safe_psql($way, q{SELECT count(*) FROM qms_internal.instance}), '0', "$way: it knows that it is not the original");
	lives($target, $way, $way);
}
is(contents($source, 'postgres'), $had, 'the source is as it was');

# A dump of a restored database can be restored again.
command_ok([ "$bin/pg_dump", '-Fc', '-f', "$folder/again", $target->connstr('custom') ], 'pg_dump of the restored one');
$target->safe_psql('postgres', 'CREATE DATABASE again');
command_ok([ "$bin/pg_restore", '--exit-on-error', '-d', $target->connstr('again'), "$folder/again" ], 'restored once more');
is(contents($target, 'again'), contents($target, 'custom'), 'contents of the second generation');

# DROP EXTENSION takes everything along, partitions too, and CREATE works in the same session.
$source->safe_psql('postgres', 'DROP SCHEMA iso CASCADE');
my $left = q{
	SELECT (SELECT count(*) FROM pg_namespace WHERE nspname ~ '^qms')
		+ (SELECT count(*) FROM pg_class WHERE relname ~ '^(event|ticket|queue)_')
		+ (SELECT count(*) FROM pg_proc WHERE prosrc ~ '^qms_')
		+ (SELECT count(*) FROM pg_type WHERE typname ~ '^(ticket|release)_')};
is($source->safe_psql('postgres', "SELECT 1; DROP EXTENSION qms; $left"), "1\n0", 'DROP EXTENSION without CASCADE leaves nothing');
is($source->safe_psql('postgres', q{
		CREATE EXTENSION qms;
		SELECT organization_id FROM qms.create_organization('first');
		SELECT branch_id FROM qms.create_branch(1, 'branch');
		SELECT queue_id FROM qms.create_queue('q', 1);
		SELECT number FROM qms.join_queue(1);
		DROP EXTENSION qms;
		CREATE EXTENSION qms;
		SELECT organization_id FROM qms.create_organization('second');
		SELECT branch_id FROM qms.create_branch(1, 'branch');
		SELECT queue_id FROM qms.create_queue('q', 1);
		SELECT counter_id FROM qms.create_counter(1, 'c', '{1}');
		SELECT number FROM qms.join_queue(1);
		SELECT status FROM qms.open_counter(1);
		SELECT number FROM qms.call_next(1);
		DROP EXTENSION qms}),
	join("\n", qw(1 1 1 A001 1 1 1 1 A001 idle A001)), 'made and dropped again in one session');
is($source->safe_psql('postgres', $left), '0', 'nothing is left again');

$source->stop;
$target->stop;
done_testing();
