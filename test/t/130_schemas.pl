# The schemas of contrib-docs/events fit what is emitted, and the programs of events.md work.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use IPC::Run qw(start);
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $folder = 'contrib-docs/events';
# Noon in the town of the fixture, far from the end of its day; it stands still until it is moved.
my $node = Qms::node('schemas', 'qms.workers = on', q{qms.mock_now = '2030-05-06 12:00+02'});

sub ask
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}


# Validate with python3-jsonschema: Debian's python, whichever comes first in PATH.
my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';

sub faults
{
	my ($lines) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ $python, 'test/lib/check_events.py', $folder ], '<', \"$lines\n", '>', \$out, '2>', \$err);
	return $err . $out;
}

command_ok([ 'psql', '-X', '-d', $node->connstr('postgres'), '-f', 'test/fixtures/events.sql' ], 'every kind of event is made');
is(ask(q{SELECT count(*) FROM qms.event WHERE actor_kind = 'system' AND ticket_id IS NOT NULL}), '0', 'nothing is due yet');
# It keeps all positions, however far the clock is moved.
ask(q{SELECT FROM qms.create_consumer('all', from_oldest => true)});
Clock->new($node)->at('2030-05-06 12:00:01+02');
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.event WHERE kind = 'ticket.no_show' AND actor_kind = 'system'}, 'the scheduler has ended a call');
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.event WHERE kind = 'ticket.resumed' AND actor_kind = 'system'}, 'the scheduler has ended a hold');
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.event WHERE kind = 'ticket.held' AND actor_kind = 'system'}, 'and another one, of somebody who is at a counter');
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.event WHERE kind = 'queue.lottery_drawn' AND actor_kind = 'system'}, 'and a draw is made');
Qms::wait_for($node, q{SELECT count(*) > 0 FROM qms.event WHERE kind = 'alert.raised' AND actor_kind = 'system'}, 'and an alert raised');
ask(q{SELECT FROM qms.alert_rule r, qms.update_alert_rule(r.alert_rule_id, enabled => false) WHERE r.name = 'Anybody'});
Qms::wait_for($node, q{SELECT count(*) > 0 FROM qms.event WHERE kind = 'alert.recovered' AND data->>'reason' = 'rule_off'}, 'which ends with its rule');
# Opening hours: what a closure says of a queue that is open and of one that is paused.
ask(q{SELECT FROM qms.create_branch(1, 'Shut') b, qms.create_queue('Up', b.branch_id);
	SELECT FROM qms.branch b, qms.create_queue('Idle', b.branch_id) q, qms.pause_queue(q.queue_id) WHERE b.name = 'Shut';
	SELECT FROM qms.branch b, qms.add_closure(b.branch_id, '[2030-05-06 11:00+02, 2030-05-06 13:00+02)', 'leak') WHERE b.name = 'Shut'});
my $by_hours = q{SELECT string_agg(kind || ' ' || (data ? 'until') || coalesce(' ' || (data->>'reason'), ''), ', ' ORDER BY event_id) FROM qms.event
	JOIN qms.branch b USING (branch_id) WHERE b.name = 'Shut' AND data->>'by' = 'hours'};
Qms::wait_for($node, $by_hours, 'a closure closes queues', 'queue.closed true leak, queue.closed true leak');
ask(q{SELECT FROM qms.delete_closure((SELECT closure_id FROM qms.closure WHERE reason = 'leak'))});
Qms::wait_for($node, $by_hours, 'and its end opens them', 'queue.closed true leak, queue.closed true leak, queue.opened false, queue.paused false');
Clock->new($node)->at('2030-05-06 12:02+02');
Qms::wait_for($node, q{SELECT string_agg(actor_kind || ' ' || (data->>'count'), ', ' ORDER BY actor_kind) = 'nobody 1, staff 2' FROM qms.event WHERE kind = 'access.refused'},
	'refusals come into the log, the same ones as one');
# Once or twice: the scheduler may have begun between the two rotations of the fixture.
Qms::wait_for($node, q{SELECT count(*) BETWEEN 1 AND 2 AND bool_or(data->>'keys' ~ '2/.*2') FROM qms.event WHERE kind = 'personal_data.resealed'}, 'all is sealed with the new keys');
Clock->new($node)->at('2030-05-10 12:00+02');
Qms::wait_for($node, q{SELECT count(*) > 1 FROM qms.event WHERE kind = 'personal_data.wiped'}, 'what is too old is wiped');
Qms::wait_for($node, q{SELECT count(*) > 0 FROM qms.event WHERE kind = 'report.made'}, 'reports are made');
Qms::wait_for($node, q{SELECT (SELECT count(*) FROM qms.consumer_read('all', 10000)) = (SELECT count(*) FROM qms.event)}, 'everything is published');

my $events = ask(q{SELECT jsonb_build_object('schema', null, 'event', to_jsonb(e)) FROM qms.consumer_read('all', 10000) e});
my $n = () = $events =~ /\n/g;
is(faults($events), $n + 1 . " events, 0 faults\n", 'every event fits the schema of its kind');

# The public channels, as a display reads them.
ask(q{CREATE VIEW channel AS SELECT 'display:' || branch_id AS name FROM qms.branch UNION ALL SELECT 'queue:' || queue_id FROM qms.queue
	UNION ALL SELECT 'system:' || organization_id FROM qms.organization});
my $public = ask(q{SELECT jsonb_build_object('schema', 'public', 'event', to_jsonb(e)) FROM channel, qms.events_since(name, 0, 10000) e});
$n = () = $public =~ /\n/g;
cmp_ok($n, '>', 50, 'there are public events');
is(faults($public), $n + 1 . " events, 0 faults\n", 'every public event fits public.json');

# The validator does see what is wrong.
my ($called) = grep { /"kind": "ticket\.called"/ } split /\n/, $events;
like(faults($called =~ s/"policy"/"polizei"/r), qr/'polizei' was unexpected.*\n.*'policy' is a required property|'policy' is a required.*\n.*'polizei' was unexpected/,
	'a field that no schema knows is a fault');
like(faults($called =~ s/"ticket\.called"/"ticket.invited"/r), qr/^ticket\.invited: there is no schema$/m, 'so is a kind that none knows');
like(faults($called =~ s/"schema": null/"schema": "public"/r), qr/public\.json\) ticket_id/, 'and a field that is not for everybody');

# Schemas, code and document name the same kinds.  Kinds of configuration are made of thing and verb.
my %made = map { $_ => 1 } split /\n/, ask('SELECT DISTINCT kind FROM qms.event');
my %coded = map { $_ => 1 } map { slurp_file($_) =~ /"((?:ticket|counter|queue|notice|alert)\.[a-z_]+)"/g } glob('src/queue/*.c src/worker/*.c src/entry/*.c src/release/*.c src/room/*.c src/metrics/*.c');
my @schemas = map { m{/([a-z_.]+)\.json$} } glob("$folder/*.json");
my %described = map { $_ => 1 } grep { /\./ } @schemas;

foreach my $thing (grep { !/\./ && !/^(?:common|envelope|public)$/ } @schemas)
{
	my ($kinds) = slurp_file("$folder/$thing.json") =~ /"title": "[^"]*: ([^"]+)"/;
	$described{$_} = 1 foreach split /, /, $kinds;
}
my $document = slurp_file('contrib-docs/events.md');

sub none
{
	my ($test, @found) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join("\n", sort @found), '', $test);
	return;
}
none('every kind of the code was made', grep { !$made{$_} } keys %coded);
none('every kind that is described was made', grep { !$made{$_} } keys %described);
none('every kind that was made is described', grep { !$described{$_} } keys %made);
none('every kind is in events.md', grep { my ($thing, $verb) = split /\./; $document !~ /`\Q$_\E`/ && !($verb =~ /^(?:created|updated|deleted)$/ && $document =~ /`$thing`/) } keys %made);
none('every field of an event is in events.md', grep { $document !~ /`$_`/ } split /\n/, ask(q{
	SELECT attname FROM pg_attribute WHERE attrelid = 'qms.published_event'::regclass AND attnum > 0}));

# The programs of events.md, run as the clerk.
my %program;
$program{$1} = $2 while $document =~ /^```(python|js)\n(.*?)^```$/gms;
my @runs = ([ python => 'follow.py', $python ]);
if (eval { IPC::Run::run([ 'node', '-e', q{require('pg')} ], '<', \undef, '>&', \my $nothing) })
{
	push @runs, [ js => 'follow.js', 'node' ];
}
else
{
	note('not run, because there is no node, or none with the module pg: the program for node');
}
my $place = PostgreSQL::Test::Utils::tempdir();
foreach my $run (@runs)
{
	my ($language, $file, @command) = @$run;
	my $seen = '';

	append_to_file("$place/$file", $program{$language} // die "no $language in events.md");
	my $child = start([ @command, "$place/$file", 'staff:1' ], '<', \undef, '>&', \$seen,
		init => sub { @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($node->host, $node->port, 'desk_clerk', 'postgres') });
	my $sees = sub {
		my ($what, $test) = @_;
		ok(Qms::poll(sub { $child->pump_nb; $seen =~ $what || !$child->pumpable }, 30) && $seen =~ $what, "$file: $test") or diag($seen);
		$seen = '';
	};
	my $join = sub { return ask(q{SELECT number FROM qms.join_queue(1)}) };

	$sees->(qr/^state is read$/m, 'begins');
	my ($first, $second) = ($join->(), $join->());
	$sees->(qr/^ticket\.joined $first waiting .*^ticket\.joined $second waiting /ms, 'shows events');
	ask('SELECT qms.adopt_database()');
	$join->();
	$sees->(qr/^state is read$/m, 'begins anew in another epoch (QM901)');
	$first = $join->();
	$sees->(qr/^ticket\.joined $first waiting /m, 'goes on there');
	ask(q{WITH later AS (UPDATE qms_internal.publisher_progress SET last_position = last_position + 5 RETURNING last_position)
		UPDATE qms_internal.publisher SET pruned_position = (SELECT last_position FROM later)});
	$join->();
	$sees->(qr/^state is read$/m, 'begins anew after its position was dropped (QM902)');
	$first = $join->();
	$sees->(qr/^ticket\.joined $first waiting /m, 'goes on again');
	$child->kill_kill;
}

# The psql examples: \watch shows once, and the batch of a consumer.
my ($follow, $create, $batch) = $document =~ /^```sql\n(.*?)^```$/gms;
my ($begin, $look) = split /\n\n/, $follow =~ s/\s*\\watch 1/;/r;
my $joined = 'SELECT number FROM qms.join_queue(1)';
my $published = sub { return qq{DO 'BEGIN FOR i IN 1..3000 LOOP PERFORM pg_sleep(0.01); EXIT WHEN (SELECT last_position FROM qms.stream_position()) $_[0]; COMMIT; END LOOP; END';} };
my $shown = ask("$begin $joined; " . $published->(q{> current_setting(''follow.position'')::bigint}) . " $look $look");
like($shown, qr/\n[\d:]+\|ticket\.joined\|\w+\|\|\d+\z/, 'psql: a new event is shown, once');
ask($create);
ask("$joined; " . $published->(q{> (SELECT position FROM qms.event_consumer WHERE name = ''reports'')}));
like(ask($batch), qr/^ticket\.joined\|1\n\d+\z/m, 'psql: a consumer reads and advances');
like(ask($batch), qr{^\d+\z}, 'psql: there is nothing more, and it stays where it is');

$node->stop;
done_testing();
