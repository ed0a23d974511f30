# pg_upgrade: it passes with qms preloaded in both clusters, no worker runs
# under it, and afterwards the database is dormant until it is adopted; numbers, ids, tokens and
# partitions go on.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

chomp(my $bin = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);
my $folder = PostgreSQL::Test::Utils::tempdir();
my $launcher = qr/registering background worker "qms launcher"/;
# One moment for everybody: nobody's day ends meanwhile.
my @settings = ('qms.workers = on', 'max_worker_processes = 20', 'log_min_messages = debug1', q{qms.mock_now = '2030-05-06 10:00+00'});

# Everything of a database as its dump says it.
sub dump_of
{
	my ($node, $database) = @_;
	my $file = "$folder/" . $node->name . ".$database.sql";

	command_ok([ "$bin/pg_dump", '-f', $file, $node->connstr($database) ], $node->name . ": dump of $database");
	# Tokens that psql is given along, new ones in each dump.
	return slurp_file($file) =~ s/^\\(?:un)?restrict .*\n//mgr;
}

sub ask
{
	my ($node, $sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

# ---- the old cluster: tickets in many states, a past month, a timer, a second database ----

my $old = Qms::node('old', @settings);
ask($old, slurp_file('test/specs/world.sql'));
ask($old, q{SELECT iso.world(4); GRANT qms_reception TO CURRENT_USER});
ask($old, q{SELECT iso.call('one'), iso.act('start_service', 'one'), iso.call('two', NULL)});
ask($old, q{SELECT iso.call('one', 'completed'), iso.act('cancel_ticket', 'A004'), iso.join(), iso.join('r')});
ask($old, q{SELECT qms.hold_ticket(iso.id('A005'), resume_at => '2030-05-06 11:00+00')});
# In January 2020: partitions of then, and somebody who waits since then.
ask($old, q{SET qms.mock_now = '2020-01-10 10:00+00'; SELECT iso.remember('past', queue_id) FROM qms.create_queue('past', iso.id('branch'), prefix => 'P', settings => '{"live_past_midnight": true}');
	SELECT iso.join('past'), iso.join('past'); SELECT iso.act('cancel_ticket', 'P001')});
$old->safe_psql('postgres', 'CREATE DATABASE second');
ask($old, 'CREATE EXTENSION qms', 'second');
ask($old, slurp_file('test/specs/world.sql'), 'second');
ask($old, q{SELECT iso.world(2)}, 'second');
foreach my $database (qw(postgres second))
{
	ok($old->poll_query_until($database, q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)
		AND (SELECT count(*) >= 4 FROM pg_inherits WHERE inhparent = 'qms.event'::regclass)}), "old: the workers have done their work in $database");
}
like(slurp_file($old->logfile), $launcher, 'old: its log names the launcher');
my %state = map { $_ => ask($old, $_) } (q{SELECT count(*) FROM qms.event}, q{SELECT string_agg(number || ' ' || state, ', ' ORDER BY number) FROM iso.tickets},
	q{SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY inhrelid::regclass::text) FROM pg_inherits}, q{SELECT extconfig IS NULL, array_length(extconfig, 1) FROM pg_extension WHERE extname = 'qms'},
	q{SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'qms')});
my $epoch = ask($old, 'SELECT epoch FROM qms_internal.publisher');
my $last_id = ask($old, 'SELECT max(ticket_id) FROM (SELECT ticket_id FROM qms.ticket UNION ALL SELECT ticket_id FROM qms.ticket_history) t');
my $last_event = ask($old, 'SELECT max(event_id) FROM qms.event');

# Only now: dumps are compared, and nothing changes them any more.
$old->stop;
$old->append_conf('postgresql.conf', 'qms.workers = off');
$old->start;
my %had = map { $_ => dump_of($old, $_) } qw(postgres second);
$old->stop;
$old->append_conf('postgresql.conf', 'qms.workers = on');

# Links differ in nothing that is ours; they are tried with QMS_UPGRADE_MODES='copy link'.
foreach my $mode (split ' ', $ENV{QMS_UPGRADE_MODES} // 'copy')
{
	my $new = Qms::node($mode, { start => 0 }, @settings);
	my $place = "$folder/$mode";

	mkdir $place;
	command_ok([ 'sh', '-c', 'cd "$0" && exec "$@"', $place, "$bin/pg_upgrade", '--no-sync', '--retain', '--jobs', '2', ($mode eq 'link' ? '--link' : ()), '-b', $bin, '-B', $bin,
		'-d', $old->data_dir, '-D', $new->data_dir, '-s', $new->host, '-p', $old->port, '-P', $new->port ], "$mode: pg_upgrade");
	my $log = join '', map { slurp_file($_) } glob($new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_server.log');
	like($log, qr/database system is ready to accept connections/, "$mode: pg_upgrade has started servers");
	unlike($log, qr/background worker "qms/, "$mode: no worker of qms ran in them");

	# Without workers: is it what it was?
	$new->append_conf('postgresql.conf', 'qms.workers = off');
	$new->start;
	ok(dump_of($new, $_) eq $had{$_}, "$mode: $_ is what it was") foreach qw(postgres second);
	is(ask($new, $_), $state{$_}, "$mode: $_") foreach sort keys %state;
	$new->stop;

	$new->append_conf('postgresql.conf', 'qms.workers = on');
	$new->start;
	foreach my $database (qw(postgres second))
	{
		ok(Qms::poll(sub { ask($new, qq{SELECT DISTINCT state || ': ' || dormant_reason FROM qms.worker_status WHERE database = '$database'})
				eq 'dormant: Its data was set up on another server.' }), "$mode: $database is dormant, and why");
		like(slurp_file($new->logfile), qr/WARNING:  qms is dormant in database "$database"/, "$mode: $database: a warning in the log");
	}
	my $positions = ask($new, 'SELECT count(*), max(position) FROM qms_internal.event_position');

	# People work; nothing is done by itself.
	ask($new, q{UPDATE qms.ticket SET resume_at = '2030-05-06 09:00+00' WHERE state = 'on_hold'});
	is(ask($new, q{SELECT iso.join()}), 'A006', "$mode: the next number");
	is(ask($new, q{SELECT iso.join('past')}), 'P003', "$mode: also where somebody waits since long ago");
	is(ask($new, qq{SELECT min(ticket_id) - $last_id, max(ticket_id) - $last_id FROM qms.ticket WHERE ticket_id > $last_id}), '1|2', "$mode: the next ids");
	is(ask($new, q{SELECT number, state FROM qms.ticket_status(iso.token('A003'))}), 'A003|called', "$mode: a token");
	is(ask($new, q{SELECT count(*) FROM pg_stat_activity WHERE datname IN ('postgres', 'second') AND backend_type ~ '^qms'}), '0', "$mode: no worker");
	is(ask($new, 'SELECT count(*), max(position) FROM qms_internal.event_position'), $positions, "$mode: nothing is published");
	is(ask($new, q{SELECT state FROM qms.ticket WHERE ticket_id = iso.id('A005')}), 'on_hold', "$mode: no timer fires");

	# Adopted: one database, not the other.
	my $before = ask($new, 'SELECT max(event_id) FROM qms.event');
	cmp_ok($before, '>', $last_event, "$mode: events go on");
	ask($new, 'SELECT qms.adopt_database()');
	Qms::wait_for($new, q{SELECT count(*) = 2 FROM qms.worker_status WHERE database = 'postgres' AND state = 'active' AND pid IS NOT NULL}, "$mode: active after adoption");
	isnt(ask($new, 'SELECT epoch FROM qms_internal.publisher'), $epoch, "$mode: a new epoch");
	is(ask($new, q{SELECT iso.join(), iso.join('past'), iso.act('cancel_ticket', 'P003')}), 'A007|P004|cancelled', "$mode: numbers go on after adoption");
	Qms::wait_for($new, qq{SELECT count(*) > 0 AND count(*) = (SELECT count(*) FROM qms.event WHERE event_id > $before) AND min(event_id) > $before FROM qms_internal.event_position},
		"$mode: what is new is published, and nothing that is old");
	is(ask($new, q{SELECT state, resume_at IS NULL FROM qms.ticket WHERE ticket_id = iso.id('A005')}), 'on_hold|t', "$mode: the overdue timer was skipped");
	is(ask($new, q{SELECT DISTINCT state FROM qms.worker_status WHERE database = 'second'}), 'dormant', "$mode: the other database is left alone");
	is(ask($new, 'DROP SCHEMA iso CASCADE; DROP EXTENSION qms; CREATE EXTENSION qms; SELECT count(*) FROM qms.ticket', 'second'), '0', "$mode: the extension can be dropped and made");
	Qms::wait_for($new, q{SELECT count(*) = 2 FROM qms.worker_status WHERE database = 'second' AND state = 'active' AND pid IS NOT NULL}, "$mode: and has workers then");
	$new->stop;
	unlike(slurp_file($new->logfile), qr/PANIC|TRAP:|terminated by signal/, "$mode: a quiet log");

	# A copy leaves the old cluster usable; it has not noticed anything.
	next if $mode eq 'link';
	$old->start;
	Qms::wait_for($old, q{SELECT count(*) = 4 FROM qms.worker_status WHERE database IN ('postgres', 'second') AND state = 'active' AND pid IS NOT NULL}, 'old: active as before');
	is(ask($old, 'SELECT epoch FROM qms_internal.publisher'), $epoch, 'old: its epoch goes on');
	$old->stop;
}
done_testing();
