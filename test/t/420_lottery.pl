# The lottery at the opening of a waiting room: the seed is promised and not seen before, the draw
# waits for joins that have not committed, goes on after a crash, and is what the verifier computes;
# which notices every change of seed, list and order.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Qms;
use Session;
use Test::More;

my $node = Qms::node('lottery', 'qms.workers = on', q{qms.mock_now = '2030-01-07 09:00+00'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $folder = PostgreSQL::Test::Utils::tempdir();
my $settings = q{{"lottery": true, "opens_at": "2030-01-07 10:00+00"}};

$ask->(qq{
	SELECT qms.create_organization('city');
	SELECT qms.create_application(1, 'shop');
	SELECT qms.create_customer_class(1, 'vip', '1 h');
	SELECT qms.create_queue('sale', application_id => 1, kind => 'release', settings => '$settings');
	CREATE FUNCTION q(which text) RETURNS bigint LANGUAGE sql AS 'SELECT queue_id FROM qms.queue WHERE name = which';
	CREATE FUNCTION people(q bigint, n int, class text DEFAULT 'regular') RETURNS bigint LANGUAGE sql
		AS 'SELECT count(t.ticket_id) FROM generate_series(1, n) i, qms.join_queue(q, customer_class => class, metadata => jsonb_build_object(''n'', i)) t'});

# verify(QUEUE, EDIT, OPTION...): what the verifier says of the public data, after EDIT of the entries
# (a reference to an array of lines of CSV) and of the draw; with its exit code.
sub verify
{
	my ($queue, $edit, @options) = @_;
	my @draw = split /\n/, run_csv("SELECT * FROM qms.lottery_draw($queue)");
	my @entries = split /\n/, run_csv("SELECT e.* FROM generate_series(0, 9000, 1000) a, qms.lottery_entries($queue, a) e");
	my ($out, $err);

	$edit->(\@entries, \@draw) if $edit;
	write_file("$folder/draw.csv", @draw);
	write_file("$folder/entries.csv", @entries);
	IPC::Run::run([ 'python3', 'contrib-docs/verify_lottery.py', '--draw', "$folder/draw.csv", '--entries', "$folder/entries.csv", @options ], '>', \$out, '2>', \$err);
	return (($? >> 8) . " $out$err") =~ s/\n+$//r;
}

sub run_csv
{
	my ($sql) = @_;
	my ($out, $err);

	IPC::Run::run([ 'psql', '-Xq', '--csv', '-d', $node->connstr('postgres'), '-c', $sql ], '>', \$out, '2>', \$err) or die $err;
	return $out;
}

sub write_file
{
	my ($name, @lines) = @_;

	open my $file, '>', $name or die "$name: $!";
	print $file map { "$_\n" } @lines;
	close $file;
	return;
}

# ---- before the draw
my $promised = $ask->('SELECT encode(commitment, $$hex$$) FROM qms.lottery_draw(1) WHERE seed IS NULL AND drawn_at IS NULL');
like($promised, qr/^[0-9a-f]{64}$/, 'the hash of the seed is told at once');
is($ask->(q{SELECT data FROM qms.event WHERE kind = 'queue.lottery_committed'}), qq{{"opens_at": "2030-01-07T10:00:00+00:00", "commitment": "$promised"}}, '... by an event too');
is($ask->('SELECT people(1, 2400), people(1, 20, $$vip$$), people(1, 80)'), '2400|20|80', 'people come');
$ask->('SELECT count(qms.cancel_ticket(t)) FROM generate_series(1, 40) t; SELECT count(qms.hold_ticket(t)) FROM generate_series(41, 50) t');
is($ask->('SELECT count(*) FROM qms.lottery_entries(1)'), '0', 'no order is told');
like(verify(1), qr/^2 cannot verify: seed is missing: not drawn yet/, 'the verifier says so');
my $seed = $ask->(q{SELECT encode(seed, 'hex') FROM qms_internal.lottery_seed});
is($ask->(qq{SELECT count(*) FROM qms.event WHERE data::text LIKE '%$seed%'}), '0', 'the seed is in no event');
is($ask->(qq{SELECT count(*) FROM qms_internal.request WHERE request::text LIKE '%$seed%'}), '0', '... and in no answer that is kept');
my @groups = split /\n/, $ask->(q{SELECT rolname FROM pg_roles WHERE rolname ~ '^qms_' AND rolname <> 'qms_owner'});
foreach my $group (@groups)
{
	my ($rc, $out, $err) = $node->psql('postgres', qq{SET ROLE $group; SELECT seed FROM qms_internal.lottery_seed});
	like($err, qr/permission denied/, "$group does not see it");
}

# ---- a join that has not committed; another that comes too late but says otherwise
my $slow = Session->new($node);
$slow->ask('BEGIN; SELECT ticket_id FROM qms.join_queue(1)');
$clock->set('2030-01-07 10:00:00+00');
ok($node->wait_for_log(qr/the draw of queue 1 waits for a transaction that does not end/), 'the draw waits for a join that came before');
is($ask->('SELECT closed_at IS NULL FROM qms.lottery_draw(1)'), 't', 'nobody is left out');
is($ask->('SELECT people(1, 1)'), '1', 'and lets joins in meanwhile');

# ---- a crash in the middle of it: a ticket that is locked holds it up
$ask->(q{UPDATE qms_internal.lottery_seed SET seed = sha256('test');
	UPDATE qms_internal.lottery SET commitment = sha256(sha256('test'))});
$promised = $ask->(q{SELECT encode(sha256(sha256('test')), 'hex')});
my $holder = Session->new($node);
$holder->ask('BEGIN; SELECT count(*) FROM (SELECT 1 FROM qms.ticket WHERE ticket_id > 2000 FOR UPDATE) x');
$slow->ask('COMMIT');
$clock->set('2030-01-07 10:00:02+00');
Qms::wait_for($node, q{SELECT entries = 2461 FROM qms_internal.lottery}, 'the list is made: 2,500 and one, less forty, those on hold too; not who came at ten');
Qms::poll(sub { slurp_file($node->logfile) =~ /waits for a transaction.*waits for a transaction/s }) or die 'it does not wait';
is($ask->('SELECT drawn_at IS NULL AND seed IS NULL FROM qms.lottery_draw(1)'), 't', 'nothing is told of a draw that is not complete');
$node->stop('immediate');
$node->start;
Qms::wait_for($node, 'SELECT drawn_at IS NOT NULL FROM qms.lottery_draw(1)', 'after a crash it goes on');
is($ask->('SELECT count(*) FROM qms_internal.lottery_seed'), '0', 'the seed is secret no more');
is($ask->(q{SELECT count(*) FROM qms.event WHERE kind = 'queue.lottery_drawn'}), '1', 'and told once');
is($ask->(q{SELECT string_agg(k, ' ' ORDER BY k) FROM qms.event, jsonb_object_keys(data) k WHERE kind = 'queue.lottery_drawn'}), 'commitment entries list_hash opens_at seed', 'with all that is needed');

# ---- the order
is($ask->(q{SET qms.mock_now = '2030-01-07 09:59:59+00'; SELECT count(j) FROM qms.join_queue(1) j; SELECT effective_arrival = '2030-01-07 10:00+00' FROM qms.ticket ORDER BY ticket_id DESC LIMIT 1}), "1\nt", 'whoever joins when the list is closed came at opens_at, whatever his clock says');
is($ask->(q{SELECT count(*) FROM (SELECT ticket_id, row_number() OVER (ORDER BY sort_key, ticket_id) AS place FROM qms.ticket WHERE queue_id = 1 AND credit = '0') t
	JOIN (SELECT ticket_id, row_number() OVER (ORDER BY rank) AS place FROM generate_series(0, 2000, 1000) a, qms.lottery_entries(1, a) e WHERE credit = '0') d USING (ticket_id) WHERE t.place <> d.place}), '0', 'the line is in the order drawn');
is($ask->(q{SELECT bool_and(t.sort_key = (extract(epoch FROM l.opens_at - (l.entries - e.rank + 1) * interval '1 us' - e.credit) - extract(epoch FROM timestamptz '2000-01-01 00:00+00')) * 1000000)
	FROM qms.lottery_draw(1) l, generate_series(0, 2000, 1000) a, qms.lottery_entries(1, a) e JOIN qms.ticket t USING (ticket_id)}), 't', 'exactly, less the credit');
is($ask->(q{SELECT bool_and(credit = '1 h') FROM (SELECT credit FROM qms.ticket WHERE state = 'waiting' AND queue_id = 1 ORDER BY sort_key LIMIT 20) t}), 't', 'credits still count');
is($ask->(q{SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM (SELECT state, count(*) AS n FROM qms.ticket WHERE effective_arrival < '2030-01-07 10:00+00' GROUP BY state) s}), 'on_hold 10, waiting 2451', 'those on hold have their places too');
is($ask->(q{SELECT bool_and(sort_key > (SELECT max(sort_key) FROM qms.ticket WHERE effective_arrival < '2030-01-07 10:00+00')) FROM qms.ticket WHERE effective_arrival >= '2030-01-07 10:00+00'}), 't', 'whoever came later is behind');

# ---- the verifier
is(verify(1, undef, '--commitment', $promised, '--ticket', 1), "0 ticket 1: did not take part\nthe draw is right: 2461 entries, queue 1", 'the verifier computes the same');
my @wrong = (
	[ 'two that are exchanged', sub { @{ $_[0] }[7, 9] = map { my ($n, $l) = @$_; $l =~ s/^\d+/$n/r } [ 7, $_[0][9] ], [ 9, $_[0][7] ] }, qr/line 7: ticket \d+ has rank 7, the seed gives it rank 9\n.*line 9: ticket \d+ has rank 9, the seed gives it rank 7\nthe/ ],
	[ 'another seed', sub { $_[1][1] =~ s/(,\\x[0-9a-f]{63})[0-9a-f](,[^,]*)$/"$1" . "0$2"/e; $_[1][1] =~ s/\\x([0-9a-f]{64})(,[^,]*)$/'\\x' . ('0' x 64) . $2/e }, qr/seed: its hash is .*line 1/s ],
	[ 'another ticket', sub { $_[0][5] =~ s/^5,\d+/5,1/ }, qr/list_hash: .* somebody was added, left out or exchanged/ ],
	[ 'one that is left out', sub { pop @{ $_[0] } }, qr/entries: the draw says 2461, 2460 are listed\n.*list_hash/s ],
	[ 'one that is there twice', sub { my ($other) = $_[0][3] =~ /^3,(\d+)/; $_[0][4] =~ s/^4,\d+/4,$other/ }, qr/entries: a ticket is listed twice/ ],
	[ 'another list', sub { $_[1][1] =~ s/,2461,\\x../,2461,\\x00/ }, qr/list_hash: that of the tickets listed is/ ]);
foreach my $case (@wrong)
{
	my $said = verify(1, $case->[1]);
	like($said, qr/^1 WRONG/, "it rejects $case->[0]");
	like($said, $case->[2], '... and says which line is wrong');
}
like(verify(1, undef, '--commitment', '0' x 64), qr/^1 WRONG  commitment: .* is not the one promised/, 'and a seed that was not the one promised');
like(verify(1, sub { $_[0][3] = '3,x,00:00:00' }), qr/^2 cannot verify: line 3/, 'what it cannot read it does not judge');

# ---- nobody there; a queue that is deleted; a draw whose time came while the server was down
$ask->(q{SELECT qms.create_queue(n, application_id => 1, kind => 'release', settings => '{"lottery": true, "opens_at": "2030-01-07 11:00+00"}') FROM unnest('{empty,gone,off,late}'::text[]) n;
	SELECT people(q('late'), 30), people(q('off'), 5); SELECT qms.delete_queue(q('gone')); SELECT qms.update_queue(q('off'), settings => '{"lottery": false}')});
$node->stop;
$node->append_conf('postgresql.auto.conf', q{qms.mock_now = '2030-01-07 12:00+00'});
$node->start;
Qms::wait_for($node, q{SELECT string_agg(name || ':' || coalesce(entries, -1), ' ' ORDER BY queue_id) FROM qms_internal.lottery JOIN qms.queue USING (queue_id) WHERE drawn_at IS NOT NULL}, 'draws of an hour ago are made; one of nobody too, none of a queue that is gone or has none any more', 'sale:2461 empty:0 late:30');
like(verify($ask->(q{SELECT q('empty')})), qr/^0 the draw is right: 0 entries/, 'a draw of nobody is right');
like(verify($ask->(q{SELECT q('late')})), qr/^0 the draw is right: 30 entries/, 'and of thirty');
ok($clock->idle, 'the scheduler sleeps');
$slow->end;
$holder->end;
done_testing();
