# Epochs and positions over everything that can happen to a server: clean restarts, the publisher
# terminated, killed, the postmaster killed, immediate shutdown, promotion of an asynchronous
# standby.  Every (epoch, position) ever seen is kept: none may name two events.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

# What is committed asynchronously stays in memory until somebody flushes: a crash loses it for sure.
my $node = Qms::node('epoch', { init => [ allows_streaming => 1 ] }, 'qms.workers = on',
	'restart_after_crash = on', 'wal_writer_delay = 10s', 'bgwriter_lru_maxpages = 0', 'shared_buffers = 64MB',
	'synchronous_commit = off');
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my (%seen, $collisions, $walwriter);

# An event is told by more than its id: a crash takes ids back as well.
sub collect
{
	my ($phase) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @rows = split /\n/, $ask->(q{
		SELECT s.epoch, p.position, concat_ws(' ', e.event_id, e.kind, e.ticket_id, e.version, e.at)
		FROM qms.stream_position() s, qms_internal.event_position p JOIN qms.event e USING (event_id)});

	$collisions = 0;
	foreach my $row (@rows)
	{
		my ($epoch, $position, $event) = split /\|/, $row;
		my $known = $seen{"$epoch $position"} ||= $event;
		next if $known eq $event;
		$collisions++;
		diag("epoch $epoch, position $position: $known, and $event");
	}
	is($collisions, 0, "$phase: no position names two events");
	is($ask->(q{SELECT count(*) - count(DISTINCT event_id), count(*) - count(DISTINCT position) FROM qms_internal.event_position}),
		'0|0', "$phase: nothing twice");
	is($ask->(q{SELECT count(*) FROM (SELECT version < lag(version) OVER (PARTITION BY ticket_id ORDER BY position) AS late
			FROM qms_internal.event_position JOIN qms.event USING (event_id)) v WHERE late}),
		'0', "$phase: versions of each ticket in order");
	return;
}

sub all_published
{
	my ($phase) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Qms::wait_for($node, q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)}, "$phase: everything is published");
}

sub epoch { return $ask->('SELECT epoch FROM qms.stream_position()') }
sub last_position { return $ask->('SELECT last_position FROM qms.stream_position()') }
sub publisher { return $ask->(q{SELECT pid FROM qms.worker_status WHERE worker = 'publisher' AND pid > 0 AND database = 'postgres'}) }

# The publisher of this run of the server has settled its epoch and published what there was.
sub started
{
	my ($phase) = @_;
	Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.worker_status WHERE worker = 'publisher' AND last_run_at IS NOT NULL AND pid > 0 AND database = 'postgres'},
		"$phase: the publisher runs");
	all_published($phase);
	return;
}

sub change
{
	my ($phase) = @_;
	$ask->(q{SELECT iso.join(), iso.call('one', 'completed'), iso.act('hold_ticket', iso.join('r'))});
	all_published($phase);
	collect($phase);
	return;
}

# 12,000 events in one transaction.  The publisher is stopped in the middle of one of the batches, at
# a position chosen here, and BLOCK is run while it stands there.
sub mid_batch
{
	my ($phase, $block) = @_;
	my $holder = Session->new($node);
	my $before = last_position();

	$holder->ask(q{SELECT pg_advisory_lock(77)});
	$ask->('UPDATE public.hold SET position = ' . ($before + 4500));
	$ask->(q{BEGIN; INSERT INTO qms.event (organization_id, at, kind, actor_kind, actor_role)
		SELECT iso.id('organization'), now(), 'test', 'system', 'test' FROM generate_series(1, 12000);
		SELECT iso.join(); COMMIT});
	ok(Qms::poll(sub { $ask->(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'qms publisher' AND wait_event = 'advisory'}) eq '1' }),
		"$phase: in the middle of a batch");
	is(last_position(), $before + 4000, "$phase: four batches are out");
	collect($phase);
	$block->($holder);
	return $before;
}

sub crash
{
	my ($phase, $how) = @_;
	my $epoch = epoch();
	$how->();
	$node->start;
	started($phase);
	isnt(epoch(), $epoch, "$phase: a new epoch");
	change($phase);
	return;
}

sub kill_postmaster
{
	my @children = split /\n/, $ask->('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
	$node->kill9;
	kill 'KILL', $walwriter;
	# Its children notice by themselves; the next postmaster waits for the memory they share.
	Qms::poll(sub { !grep { kill 0, $_ } @children });
	return;
}

$ask->(slurp_file('test/specs/world.sql'));
$ask->(q{SELECT iso.world(4)});
$ask->(q{
	CREATE TABLE public.hold (position bigint);
	INSERT INTO public.hold VALUES (0);
	CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = 0 AS $$
	BEGIN
		IF NEW.position = (SELECT position FROM public.hold) THEN PERFORM pg_advisory_xact_lock_shared(77); END IF;
		RETURN NEW;
	END $$});
started('at first');
$ask->(q{CREATE TRIGGER hold BEFORE INSERT ON qms_internal.event_position FOR EACH ROW EXECUTE FUNCTION public.hold()});
change('at first');

# The same run, another publisher.
my $epoch = epoch();
my $pid = publisher();
my $before = mid_batch('publisher terminated', sub {
	$ask->("SELECT pg_terminate_backend($pid)");
	$_[0]->end;
});
ok(Qms::poll(sub { my $now = publisher(); $now ne '' && $now ne $pid }), 'publisher terminated: another one runs');
all_published('publisher terminated');
collect('publisher terminated');
is(last_position(), $before + 12001, 'publisher terminated: no position is skipped');
is(epoch(), $epoch, 'publisher terminated: the same epoch');

# Its end was clean, what came after it is not.
$ask->(q{SELECT iso.join()});
all_published('immediate shutdown');
collect('immediate shutdown, before');
crash('immediate shutdown', sub { $node->stop('immediate') });

$epoch = epoch();
$before = last_position();
$node->restart;
started('clean restart');
is(epoch(), $epoch, 'clean restart: the same epoch');
is(last_position(), $before, 'clean restart: nothing is published again');
change('clean restart');

# The worst moment: a publisher has ended cleanly, the next one has published (an event by plain SQL,
# which rings no bell, so it is found with its first look), and nobody else has flushed anything when
# the postmaster goes.
$pid = publisher();
$walwriter = $ask->(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'});
kill 'STOP', $walwriter;
$ask->(q{INSERT INTO qms.event (organization_id, at, kind, actor_kind, actor_role)
	VALUES (iso.id('organization'), now(), 'test', 'system', 'test')});
$ask->("SELECT pg_terminate_backend($pid)");
all_published('postmaster killed, before');
collect('postmaster killed, before');
crash('postmaster killed', \&kill_postmaster);

$epoch = epoch();
mid_batch('publisher killed', sub {
	my $old = publisher();
	kill 'KILL', $old;
	$_[0]->gone;
	# psql may end before it has read its statement: a broken pipe, and another try.
	Qms::poll(sub { my ($rc, $out) = eval { $node->psql('postgres', 'SELECT 1', stderr => \my $err) }; defined $rc && $rc == 0 && !kill(0, $old) });
});
started('publisher killed');
isnt(epoch(), $epoch, 'publisher killed: a new epoch');
change('publisher killed');

# A standby does nothing; promoted it goes on under an epoch of its own.
$ask->(q{ALTER SYSTEM SET synchronous_commit = 'local'; SELECT pg_reload_conf()});
my $primary = $node;
$epoch = epoch();
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('epoch_standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
change('before promotion');
# What is committed asynchronously is sent when it is on disk, which nobody else would see to for ten seconds.
$ask->('CHECKPOINT');
$primary->wait_for_catchup($standby, 'replay');
my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'qms%' AND backend_type <> 'qms gateway'};
is($standby->safe_psql('postgres', $workers), '0', 'a standby runs no worker');
is($standby->safe_psql('postgres', 'SELECT epoch, last_position FROM qms.stream_position()'), "$epoch|" . last_position(),
	'a standby shows where the primary is');

# Asynchronous: the last changes never arrive.
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$standby->stop;
change('not replicated');
$primary->stop('immediate');
$node = $standby;
$node->start;
is($ask->($workers), '0', 'and none after its restart');
$node->promote;
Qms::wait_for($node, $workers, 'promotion: launcher, publisher and scheduler start by themselves', '3');
started('promotion');
isnt(epoch(), $epoch, 'promotion: a new epoch');
change('promotion');

# The same with a clean end of both before: the timeline tells.
$epoch = epoch();
$node->backup('again');
my $second = PostgreSQL::Test::Cluster->new('epoch_second');
$second->init_from_backup($node, 'again', has_streaming => 1);
$second->start;
$node->wait_for_catchup($second, 'replay');
$node->stop;
$node = $second;
$node->promote;
started('promotion after a clean end');
isnt(epoch(), $epoch, 'promotion after a clean end: a new epoch');
change('promotion after a clean end');

my %epochs = map { (split / /)[0] => 1 } keys %seen;
is(scalar(keys %epochs), 6, 'six epochs in all');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:/, 'a quiet log');
$node->stop;
done_testing();
