# qms.metrics(): names, labels, who sees what; counters count what was committed, once, whatever kind of
# transaction wrote it; they agree with the event log after a storm, and begin at 0 with the server.
use strict;
use warnings;

use lib 'test/lib';
use Prometheus;
use PostgreSQL::Test::Cluster;
use Qms;
use Session;
use Test::More;

my $node = Qms::node('metrics', 'qms.workers = on');
sub ask { return $node->safe_psql('postgres', @_) }
sub metrics { return Prometheus->new(ask('SELECT qms.metrics()')) }

# Wait until everything is published, and counted.
sub settled
{
	return Qms::poll(sub {
		my $m = metrics();
		return $m if $m->value('qms_events_published_total') eq ask('SELECT count(*) FROM qms.event');
	});
}

ask(q{
	SELECT organization_id FROM qms.create_organization('City');
	SELECT organization_id FROM qms.create_organization('Other');
	SELECT branch_id FROM qms.create_branch(1, 'Hall');
	SELECT branch_id FROM qms.create_branch(1, 'Annex');
	SELECT branch_id FROM qms.create_branch(2, 'Hall');
	SELECT queue_id FROM qms.create_queue('Papers', 1, settings => '{"undo_window": "10 min"}');
	SELECT queue_id FROM qms.create_queue('Cars', 1);
	SELECT queue_id FROM qms.create_queue('Papers', 2);
	SELECT queue_id FROM qms.create_queue('Papers', 3);
	SELECT application_id FROM qms.create_application(1, E'Shop "x\\\\y"');
	SELECT queue_id FROM qms.create_queue('Sale', application_id => 1, kind => 'release', settings => '{"claim_window": "1 s"}');
	SELECT counter_id FROM qms.create_counter(1, 'One', ARRAY[1, 2])});

my @papers = (organization => 'city', branch => 'hall', queue => 'papers');
my $m = settled();
ok($m, 'everything is published');

# ---- names

my @contract = qw(queue_users_released_total queue_users_expired_total callback_success_total callback_failure_total queue_size
	callback_duration_seconds_count queue_length_by_type api_response_time_bucket);
my %have = map { $_ => 1 } $m->names;
is(join(' ', grep { !$have{"qms_$_"} } @contract), '', 'the names of the contract, with the prefix qms_');
is(join(' ', map { $m->{type}{"qms_$_"} // "no $_" } qw(average_wait_time service_completion_rate websocket_connections)), 'gauge gauge gauge', 'those without a value yet are declared');
is(join(' ', grep { !$m->{help}{$_} || !$m->{type}{$_} } map { my $n = $_; $n =~ s/_(?:bucket|sum|count)$// if $m->{type}{ $n =~ s/_(?:bucket|sum|count)$//r }; $n } keys %have), '', 'each has HELP and TYPE');
is(join(' ', grep { !/^qms_/ } keys %have), '', 'and the prefix');
my %labels = map { $_ => 1 } map { keys %{ $_->{labels} } } @{ $m->{samples} };
is(join(' ', sort keys %labels), 'application branch group le organization outcome queue type version worker', 'labels are these');
is($m->value('qms_queue_size', organization => 'city', application => 'Shop "x\\y"'), 0, 'values of labels are escaped');
is(scalar($m->all('qms_queue_size')), 5, 'every queue has a size');
Prometheus::metrics_are_fine(ask('SELECT qms.metrics()'), 'promtool check metrics finds nothing');

# ---- counted once, when committed

is($m->value('qms_queue_users_joined_total', @papers), 0, 'nobody has joined');
ask('SELECT FROM qms.join_queue(1)');
ask('BEGIN; SELECT FROM qms.join_queue(1); ROLLBACK');
ask('BEGIN; SAVEPOINT a; SELECT FROM qms.join_queue(1); SELECT FROM qms.join_queue(2); ROLLBACK TO a; SELECT FROM qms.join_queue(1); RELEASE a; COMMIT');
is(settled()->value('qms_queue_users_joined_total', @papers), 2, 'a rollback counts nothing, nor does a savepoint');
is($m->value('qms_queue_users_joined_total', @papers, queue => 'cars'), 0, 'in no queue');
ask(q{BEGIN; SELECT FROM qms.join_queue(2); PREPARE TRANSACTION 'a'});
ask(q{BEGIN; SELECT FROM qms.join_queue(3); PREPARE TRANSACTION 'b'});
ask('SELECT FROM qms.join_queue(1)');
is(settled()->value('qms_queue_users_joined_total', @papers, queue => 'cars'), 0, 'PREPARE TRANSACTION counts nothing');
ask(q{COMMIT PREPARED 'a'; });
ask(q{ROLLBACK PREPARED 'b'});
$m = settled();
is($m->value('qms_queue_users_joined_total', @papers, queue => 'cars') . ' ' . $m->value('qms_queue_users_joined_total', organization => 'city', branch => 'annex'), '1 0',
	'COMMIT PREPARED does, ROLLBACK PREPARED does not');

# ---- figures

ask(q{SELECT FROM qms.open_counter(1)});
ask(q{SELECT FROM qms.call_next(1)});
ask(q{SELECT FROM qms.start_service(1)});
ask(q{SELECT FROM qms.complete_service(1)});
ask(q{SELECT FROM qms.call_next(1)});
$m = settled();
is(join(' ', map { $m->value("qms_queue_users_${_}_total", @papers) } qw(joined called serving completed no_show)), '3 2 1 1 0', 'one went through, one is called');
is(join(' ', map { $m->value($_, @papers) } qw(qms_queue_size qms_queue_open_counters qms_queue_paused_counters qms_queue_open qms_service_completion_rate)), '1 1 0 1 1', 'figures of now');
cmp_ok($m->value('qms_average_wait_time', @papers), '>=', 0, 'a mean wait');
is($m->value('qms_queue_length_by_type', branch => 'hall', organization => 'city', type => 'counter'), 2, 'length by kind of queue');
is($m->value('qms_queue_open_counters', organization => 'city', branch => 'annex'), 0, 'no counter in the annex');
is(join(' ', map { $m->value('qms_worker_up', worker => $_) } qw(publisher scheduler)), '1 1', 'the workers run');
is($m->value('qms_shared_memory'), 1, 'with shared memory');

# ---- times of calls

my $before = $m->value('qms_api_response_time_count', group => 'join');
ask('SELECT FROM qms.join_queue(3), generate_series(1, 5)');
$node->psql('postgres', 'SELECT FROM qms.join_queue(4711)');
$m = metrics();
is($m->value('qms_api_response_time_count', group => 'join') - $before, 2, 'calls are counted, failed ones too (FROM a constant call is one)');
is($m->value('qms_api_errors_total', group => 'join', outcome => 'refused'), 1, 'one was refused');
is($m->value('qms_api_errors_total', group => 'join', outcome => 'failed'), 0, 'none failed');
is($m->value('qms_api_response_time_bucket', group => 'join', le => '+Inf'), $m->value('qms_api_response_time_count', group => 'join'), 'the last bucket has all');
cmp_ok($m->value('qms_api_response_time_sum', group => 'join'), '>', 0, 'and they took some time');

# ---- who sees what

ask(q{
	CREATE ROLE mayor LOGIN; GRANT qms_admin TO mayor; SELECT FROM qms.bind_role('mayor', 1, kind => 'admin');
	CREATE ROLE warden LOGIN; GRANT qms_admin TO warden; SELECT FROM qms.bind_role('warden', 1, kind => 'admin', branch_ids => '{2}');
	CREATE ROLE desk_clerk LOGIN; GRANT qms_servicer TO desk_clerk; SELECT FROM qms.create_staff(1, 'desk_clerk'); SELECT FROM qms.bind_role('desk_clerk', 1, staff_id => 1);
	CREATE ROLE nobody LOGIN; GRANT qms_admin TO nobody;
	CREATE ROLE watcher LOGIN; GRANT qms_super_admin TO watcher});
sub metrics_of { return Prometheus->new($node->safe_psql('postgres', 'SELECT qms.metrics()', extra_params => [ '-U', $_[0] ])) }
sub queues_of { return join ' ', sort map { join '/', map { $_ // '' } @{ $_->{labels} }{qw(organization branch application queue)} } $_[0]->all('qms_queue_size') }
is(queues_of(metrics_of('mayor')), 'city//Shop "x\y"/sale city/annex//papers city/hall//cars city/hall//papers', 'an administrator sees his organization');
is(queues_of(metrics_of('warden')), 'city//Shop "x\y"/sale city/annex//papers', 'one of a branch sees that, and what belongs to none');
is(join(' ', map { scalar metrics_of('mayor')->all($_) } qw(qms_api_response_time_count qms_events_published_total qms_websocket_connections)), '0 0 0', 'nothing of the whole database');
is(scalar(metrics_of('mayor')->all('qms_callback_success_total')), 1, 'nor of other organizations');
is(queues_of(metrics_of('watcher')), queues_of(metrics()), 'a super admin sees all');
foreach my $role (qw(desk_clerk nobody))
{
	my ($rc, undef, $error) = $node->psql('postgres', 'SELECT qms.metrics()', extra_params => [ '-U', $role ]);
	isnt($rc, 0, "$role does not");
	like($error, qr/permission denied|does not belong/, 'and is told why');
}
my ($rc) = $node->psql('postgres', 'SELECT qms_internal.gateway_metrics()', extra_params => [ '-U', 'mayor' ]);
isnt($rc, 0, 'the figures for the gateway are for the gateway');
Prometheus::metrics_are_fine($node->safe_psql('postgres', 'SET ROLE qms_gateway; SELECT qms_internal.gateway_metrics()'), 'which promtool likes too');
is(Prometheus->new($node->safe_psql('postgres', 'SET ROLE qms_gateway; SELECT qms_internal.gateway_metrics()'))->value('qms_queue_size', @papers, database => 'postgres'), 1, 'with the name of the database');

# ---- a storm: counters agree with the event log

my $dir = PostgreSQL::Test::Utils::tempdir();
my %script = (
	join => 'SELECT FROM qms.join_queue(:client_id % 4 + 1);',
	undone => "BEGIN;\nSAVEPOINT a;\nSELECT FROM qms.join_queue(:client_id % 4 + 1);\nROLLBACK TO a;\nCOMMIT;",
	rolled => "BEGIN;\nSELECT FROM qms.join_queue(:client_id % 4 + 1);\nROLLBACK;",
	call => 'SELECT FROM qms.call_next(1, finish_current => CASE WHEN (SELECT current_ticket_id IS NOT NULL FROM qms.staff_session WHERE counter_id = 1 AND closed_at IS NULL) THEN \'completed\' END);');
foreach my $name (keys %script)
{
	open my $file, '>', "$dir/$name.sql" or die $!;
	print $file "$script{$name}\n";
	close $file;
}
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', 60, (map { ('-f', "$dir/$_.sql\@" . { join => 5, undone => 1, rolled => 1 }->{$_}) } qw(join undone rolled)), 'postgres' ], 'a storm of joins, some taken back');
$node->command_ok([ 'pgbench', '-n', '-c', 1, '-t', 100, '-f', "$dir/call.sql", 'postgres' ], 'and of calls');
$m = settled();
ok($m, 'everything is published');
my $log = ask(q{SELECT string_agg(concat_ws(' ', o.slug, b.slug, q.slug, substr(e.kind, 8), e.n), E'\n' ORDER BY q.queue_id, e.kind)
	FROM (SELECT queue_id, kind, count(*) AS n FROM qms.event WHERE kind IN ('ticket.joined', 'ticket.called', 'ticket.completed', 'ticket.serving') GROUP BY 1, 2) e
	JOIN qms.queue q USING (queue_id) JOIN qms.branch b USING (branch_id) JOIN qms.organization o ON o.organization_id = q.organization_id});
my $counted = join "\n", map { my ($o, $b, $q, $kind) = split / /; "$o $b $q $kind " . $m->value("qms_queue_users_${kind}_total", organization => $o, branch => $b, queue => $q) } split /\n/, $log;
is($counted, $log, 'every counter is what the event log says');
is($m->value('qms_queue_size', @papers), ask(q{SELECT count(*) FROM qms.ticket WHERE queue_id = 1 AND state = 'waiting'}), 'and the sizes are those of the table');

# ---- a publisher that ends in between loses nothing and counts nothing twice

ask(q{SELECT pg_terminate_backend(pid) FROM qms.worker_status WHERE worker = 'publisher' AND pid IS NOT NULL});
ask('SELECT FROM qms.join_queue(3)') foreach 1 .. 20;
ok(settled(), 'after a publisher was ended all is counted, nothing twice');

# ---- a restart begins at 0

$node->restart;
$m = metrics();
is($m->value('qms_queue_users_joined_total', @papers), 0, 'a restart of the server begins at 0');
cmp_ok($m->value('qms_queue_size', @papers), '>', 0, 'gauges are read from the tables');
ask('SELECT FROM qms.join_queue(1)');
ok(Qms::poll(sub { metrics()->value('qms_queue_users_joined_total', @papers) == 1 }), 'and goes on from there');

# ---- the extension made anew

ask('DROP EXTENSION qms; CREATE EXTENSION qms');
ask(q{
	SELECT organization_id FROM qms.create_organization('New');
	SELECT branch_id FROM qms.create_branch(1, 'Hall');
	SELECT queue_id FROM qms.create_queue('Papers', 1)});
is(metrics()->value('qms_queue_users_joined_total', organization => 'new'), 0, 'queues of an extension made anew begin at 0');
$node->stop;

# ---- without shared memory

my $plain = Qms::node('plain', { preload => 0 });
$plain->safe_psql('postgres', q{
	SELECT organization_id FROM qms.create_organization('City');
	SELECT branch_id FROM qms.create_branch(1, 'Hall');
	SELECT queue_id FROM qms.create_queue('Papers', 1);
	SELECT FROM qms.join_queue(1)});
my $text = $plain->safe_psql('postgres', 'SELECT qms.metrics()');
$m = Prometheus->new($text);
is(join(' ', map { $m->value($_) } qw(qms_shared_memory qms_queue_size)), '0 1', 'without shared memory the tables are read');
is(scalar($m->all('qms_queue_users_joined_total')), 0, 'and nothing is said of what is not counted');
is($m->{type}{qms_queue_users_joined_total}, 'counter', 'but it is declared');
Prometheus::metrics_are_fine($text, 'promtool check metrics finds nothing');
$plain->stop;

done_testing();
