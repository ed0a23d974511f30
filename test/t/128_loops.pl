# All at once, ten turns each, while sessions work elsewhere: the extension made and dropped under
# sessions that call it; a database copied as a template and the copy dropped; a database made,
# filled and dropped, with force when somebody is in it.  Nobody hangs, nothing is lost.
use strict;
use warnings;

use lib 'test/lib';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;
use Time::HiRes qw(time);

my $turns = 10;
my $node = Qms::node('loops', { extension => 0 }, 'qms.workers = on', 'max_worker_processes = 30', 'max_connections = 50', 'deadlock_timeout = 100ms', 'autovacuum = off');
my $ask = sub { return $node->safe_psql($_[1] // 'work', $_[0]) };

my $world = q{
	CREATE EXTENSION qms;
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1, settings => '{"max_number": 99999, "live_past_midnight": true}');
	SELECT counter_id FROM qms.create_counter(1, 'c', '{1}');
	SELECT FROM qms.open_counter(1);
};
my $all_published = 'SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)';

# A psql that runs a script to its end, or until the first error.  Files, not pipes that nobody empties.
my $children = 0;
sub run
{
	my ($database, $script, $stop) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/child' . ++$children;
	my %child = (file => "$file.err");

	append_to_file("$file.sql", $script);
	$child{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=' . ($stop // 1), '-d', $node->connstr($database), '-f', "$file.sql" ],
		'<', \undef, '>', '/dev/null', '2>', "$file.err", IPC::Run::timeout($Qms::timeout));
	return \%child;
}

sub ended
{
	my ($child, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $fine = eval { $child->{run}->finish; 1 } && $child->{run}->result(0) == 0;
	$child->{err} = slurp_file($child->{file});
	return ok($fine, $test) || diag(($@ // '') . substr($child->{err}, -2000));
}

# In a script: wait until something holds; an error after a minute.
sub until_it_holds
{
	my ($condition) = @_;
	return qq{DO \$\$ BEGIN FOR i IN 1..3000 LOOP IF $condition THEN RETURN; END IF; PERFORM pg_sleep(0.02); END LOOP; RAISE 'not within a minute: %', \$x\$$condition\$x\$; END \$\$;\n};
}

sub workers_of
{
	my ($database) = @_;
	return "(SELECT count(*) = 2 FROM qms.worker_status WHERE database = '$database' AND state = 'active' AND pid IS NOT NULL AND worker <> 'probe')";
}

foreach my $database (qw(work source))
{
	$ask->("CREATE DATABASE $database", 'postgres');
	$ask->($world, $database);
	ok($node->poll_query_until($database, $all_published), "$database is published");
}
my $epoch = $ask->('SELECT epoch FROM qms.stream_position()', 'source');

# ---- sessions that work all the time ----

# Call after call, until there is a table "over"; what fails is tried again.
my $calls = q{
	DO $$
	BEGIN
		WHILE to_regclass('over') IS NULL LOOP
			BEGIN
				PERFORM number FROM qms.join_queue(1);
				PERFORM number FROM qms.call_next(1, 'completed');
			EXCEPTION WHEN OTHERS THEN
				RAISE NOTICE '%', sqlerrm;
				PERFORM pg_sleep(0.01);
			END;
			COMMIT;
		END LOOP;
	END $$;
};
my @busy = map { run('work', $calls) } 1;

# ---- the loops ----

$ask->('CREATE DATABASE made', 'postgres');
my $begin = time();

# The extension, under sessions that call it, whatever comes back.  DROP EXTENSION may be the victim
# of a deadlock with one of them: it is said again.
my @callers = map { run('made', $calls) } 1 .. 2;
my $make = run('made', join('', map { $world . until_it_holds('(SELECT count(*) > 20 FROM qms.event WHERE kind = \'ticket.joined\')')
	. "DROP EXTENSION IF EXISTS qms;\n" x 25 } 1 .. $turns), 0);

# Copies of a database that has just been written to: 20 events that nobody may have published yet.
my $copy = run('work', join('', map {
	"\\c source\nSELECT qms.join_queue(1) FROM generate_series(1, 20);\n\\c work\nCREATE DATABASE copy TEMPLATE source;\n"
	. until_it_holds("(SELECT count(*) = 2 FROM qms.worker_status WHERE database = 'copy' AND state = 'dormant')")
	. "DROP DATABASE copy;\n" . ($_ % 2 ? until_it_holds(workers_of('source')) : '') } 1 .. $turns));

# A database of its own, dropped as soon as its workers are there, or before; or with force.
my $drop = run('work', join('', map {
	"CREATE DATABASE short;\n\\c short\n$world\nSELECT qms.join_queue(1) FROM generate_series(1, 20);\n\\c work\n"
	. ($_ % 2 ? until_it_holds(workers_of('short')) : '') . 'DROP DATABASE short' . ($_ % 3 ? '' : ' WITH (FORCE)') . ";\n" } 1 .. $turns));

ended($copy, "$turns copies made and dropped");
ended($drop, "$turns databases made, filled and dropped");
ended($make, "the extension made and dropped $turns times");
my $took = time() - $begin;
$ask->('CREATE TABLE over ()', $_) foreach qw(work made);
ended($_, 'a session that called it has come to its end') foreach @callers;
like($_->{err}, qr/NOTICE:  .*does not exist/, 'it had errors meanwhile') foreach @callers;
ended($_, 'a session that worked elsewhere has come to its end') foreach @busy;
is(join('', map { $_->{err} } @busy), '', 'without an error');
cmp_ok($took, '<', 60, 'nobody waited for long');
is(join('', grep { !/deadlock detected|skipping|^(?:DETAIL|HINT|Process|\s)/ } split /^/, $make->{err}), '',
	'the loop of the extension met nothing but deadlocks');

# ---- what is left ----

Qms::poll(sub { $ask->('SELECT ' . workers_of('work') . ' AND ' . workers_of('source')) eq 't' });
ok($node->poll_query_until($_, $all_published), "$_: everything is published") foreach qw(work source);
foreach my $database (qw(work source))
{
	is($ask->('SELECT count(*) - count(DISTINCT event_id), count(*) - count(DISTINCT position), max(position) - count(*) FROM qms_internal.event_position', $database), '0|0|0',
		"$database: each event once, without a gap");
}
is($ask->('SELECT count(*) FROM qms.ticket', 'source'), 20 * $turns, 'source: every ticket is there');
is($ask->('SELECT epoch FROM qms.stream_position()', 'source'), $epoch, 'source: still the same epoch');
is($ask->(q{SELECT count(*) FROM qms.worker_status WHERE database IN ('work', 'source') AND failures > 0}), '0', 'no failure is counted');
$ask->("DROP EXTENSION IF EXISTS qms; $world", 'made');
ok(Qms::poll(sub { $ask->('SELECT ' . workers_of('made')) eq 't' }), 'made: workers come');
ok(Qms::poll(sub { $ask->(q{SELECT count(*) FROM qms.worker_status WHERE database IS NULL AND worker <> 'launcher'}) eq '0' }), 'nothing is left of the dropped databases');
my $log = slurp_file($node->logfile);
unlike($log, qr/Process \d+: (?:publisher|scheduler|probe)$/m, 'no worker was part of a deadlock');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
