# A read that waits: gateway_events with patience is answered by the next event, holds no lock while it
# waits, ends with its client, and hears of another epoch.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

my $node = Qms::node('patience', 'qms.workers = on', 'log_min_messages = warning');
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

$ask->(slurp_file('test/specs/world.sql'));
$ask->('SELECT iso.world(0)');
my $published = q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)};
my $waits = sub {
	my ($reader) = @_;
	return Qms::wait_for($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $reader->{pid}", $_[1]);
};
my $where = sub { return split /\|/, $ask->('SELECT epoch, last_position FROM qms_internal.gateway_hello()') };
my $reader = sub {
	my $session = Session->new($node);

	$session->{pid} = $session->ask('SELECT pg_backend_pid()');
	return $session;
};
my $read = sub {
	my ($epoch, $after, $patience) = @_;
	return "SELECT string_agg((full_text::jsonb)->>'kind', ',' ORDER BY position) FROM qms_internal.gateway_events($after, '$epoch', patience => $patience)";
};

# ---- the next event
Qms::wait_for($node, $published, 'the world is published');
my ($epoch, $at) = $where->();
my $one = $reader->();
$one->tell($read->($epoch, $at, 60000));
$waits->($one, 'a read waits when there is nothing');
is($ask->("SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE l.pid = $one->{pid} AND c.relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace)"), '0', '... with no lock of ours');
is($ask->('BEGIN; LOCK TABLE qms.event, qms_internal.event_position, qms_internal.publisher_progress IN ACCESS EXCLUSIVE MODE NOWAIT; COMMIT; SELECT 1'), '1', '... so it is in nobody\'s way');
$ask->('SELECT iso.join()');
is($one->answer, 'ticket.joined', 'the next event answers it');
($epoch, $at) = $where->();
$one->tell($read->($epoch, $at, 60000));
$waits->($one, 'it waits again');
$ask->("BEGIN; SELECT iso.join('q'), iso.join('q'); COMMIT");
is($one->answer, 'ticket.joined,ticket.joined', 'two events of a transaction come together');
# Rolled back, and events in a savepoint that goes.
($epoch, $at) = $where->();
$one->tell($read->($epoch, $at, 60000));
$waits->($one, 'and again');
$ask->('BEGIN; SELECT iso.join(); ROLLBACK');
$waits->($one, 'what is rolled back does not answer it');
$ask->('BEGIN; SAVEPOINT a; SELECT iso.join(); ROLLBACK TO a; SELECT iso.join(); COMMIT');
is($one->answer, 'ticket.joined', 'what is committed does');

# ---- an older transaction that commits later, several at once
my $old = Session->new($node);
($epoch, $at) = $where->();
$old->ask('BEGIN; SELECT iso.join()');
$one->tell($read->($epoch, $at, 60000));
$ask->(q{SELECT iso.join('r')});
is($one->answer, 'ticket.joined', 'one event beside a transaction that is open');
Qms::wait_for($node, qq{SELECT last_position = $at + 1 FROM qms_internal.gateway_hello()}, 'of it nothing is published');
$one->tell($read->($epoch, $at + 1, 60000));
$waits->($one, 'the rest is waited for');
$old->ask('COMMIT');
is($one->answer, 'ticket.joined', '... and comes when it commits');
$old->ask('BEGIN; SELECT iso.join()');
$ask->(q{SELECT iso.join('r')}) foreach 1 .. 3;
$old->ask('COMMIT');
$ask->(q{SELECT iso.join('r')}) foreach 1 .. 3;
Qms::wait_for($node, $published, 'nothing is forgotten between the short way and the long one');
is($ask->('SELECT count(*), count(DISTINCT position), count(DISTINCT event_id), max(position) - min(position) + 1 FROM qms_internal.event_position') =~ s/\|.*//r,
	$ask->('SELECT count(*) FROM qms.event'), '... nor published twice');
is($ask->('SELECT count(*) = max(position) - min(position) + 1 AND count(*) = count(DISTINCT event_id) FROM qms_internal.event_position'), 't', '... without a gap');

# ---- what it does not wait for
is($one->ask($read->($epoch, $at, 60000)) ne '', 1, 'what is there already is answered at once');
($epoch, $at) = $where->();
is($one->ask($read->($epoch, $at, 1)), '', 'patience ends');
is($one->ask($read->($epoch, $at, 0)), '', 'without patience nothing is waited for');
my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n" . $read->('other', $at, 60000));
like($err, qr/QM901/, 'another epoch is told at once');
foreach my $patience (-1, 60001)
{
	($rc, $out, $err) = $node->psql('postgres', $read->($epoch, $at, $patience));
	like($err, qr/patience must be from 0 to 60000, not $patience/, "patience $patience is refused");
}

# ---- a client that goes; one that is cancelled
my $two = $reader->();
$two->tell($read->($epoch, $at, 60000));
$waits->($two, 'another waits');
$two->{psql}->signal('KILL');
Qms::wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $two->{pid}", 'a session ends with its client');
$two->gone;
my $three = $reader->();
$three->tell($read->($epoch, $at, 60000));
$waits->($three, 'a third waits');
$ask->("SELECT pg_cancel_backend($three->{pid})");
$three->answer;
like($three->errors, qr/canceling statement due to user request/, 'and can be cancelled');

# ---- a new epoch, and the publisher begins anew
$three->tell($read->($epoch, $at, 60000));
$waits->($three, 'it waits once more');
$ask->('SELECT qms.adopt_database()');
$three->answer;
like($three->errors, qr/the stream has another epoch now/, 'an adopted database ends what waits for the old epoch');
$ask->('SELECT iso.join()');
Qms::wait_for($node, qq{SELECT count(*) = 1 FROM qms_internal.event_position}, 'and goes on publishing');
($epoch, $at) = $where->();
$three->tell($read->($epoch, $at, 60000));
$waits->($three, 'under the new epoch it waits');
my $publisher = $ask->(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'qms publisher'});
$ask->("SELECT pg_terminate_backend($publisher)");
$ask->('SELECT iso.join()');
is($three->answer, 'ticket.joined', 'another publisher answers it as well');

$node->stop('fast');
ok(1, 'a server that stops does not wait for those who wait');
done_testing();
