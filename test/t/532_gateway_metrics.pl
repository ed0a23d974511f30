# /metrics of the gateway: its own figures and those of its databases in one text, each family once; the
# databases are asked when somebody scrapes, at most once a second, and a slow one holds up nobody else.
use strict;
use warnings;

use lib 'test/lib';
use HTTP::Tiny;
use IPC::Run;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Prometheus;
use Qms;
use Session;
use Supervised;
use Test::More;
use Time::HiRes qw(time sleep);

chomp(my $bindir = `${\ ($ENV{PG_CONFIG} || 'pg_config')} --bindir`);
my ($program) = grep { -x } "$ENV{PWD}/qms_gateway", "$bindir/qms_gateway";
plan skip_all => 'qms_gateway is not built' unless $program;

my $port = PostgreSQL::Test::Cluster::get_free_port();
my $gateway = Supervised->new('scraped', { program => $program, extension => 0 }, "qms.gateway_listen = '127.0.0.1:$port'", 'log_statement = all');
my $node = $gateway->node;
sub get { return HTTP::Tiny->new(timeout => 30)->get("http://127.0.0.1:$port$_[0]") }
sub metrics { return Prometheus->new(get('/metrics')->{content}) }
my $set_up = q{
	SELECT organization_id FROM qms.create_organization('City');
	SELECT branch_id FROM qms.create_branch(1, 'Hall');
	SELECT queue_id FROM qms.create_queue('Papers', 1);
	SELECT FROM qms.join_queue(1)};

$node->safe_psql('postgres', "CREATE EXTENSION qms; $set_up");
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', "CREATE EXTENSION qms; $set_up; SELECT FROM qms.join_queue(1)");
$gateway->state_is('listening', 'it listens');
sub sizes { my ($m) = @_; return join ' ', map { $m->value('qms_queue_size', database => $_, organization => 'city', branch => 'hall', queue => 'papers') } qw(postgres second) }
ok(Qms::poll(sub { sizes(metrics()) eq '1 2' }), 'the sizes of queues of both databases');

# ---- one text

my $reply = get('/metrics');
is($reply->{headers}{'content-type'}, 'text/plain; version=0.0.4; charset=utf-8', 'its type');
my $m = Prometheus->new($reply->{content});
Prometheus::metrics_are_fine($reply->{content}, 'promtool check metrics finds nothing');
is(join(' ', grep { !$m->{type}{"qms_$_"} } qw(websocket_connections queue_size api_response_time queue_users_released_total worker_lag_seconds gateway_bytes_total gateway_drops_total gateway_rpc_queue_length)),
	'', 'figures of both kinds');
is($m->value('qms_websocket_connections'), 0, 'nobody is connected');
is(join(' ', map { $m->value('qms_gateway_database_metrics_up', database => $_) } qw(postgres second)), '1 1', 'both have answered');

my %seen;
is(join(' ', grep { $seen{$_}++ } map { /^(\w+(?:\{.*\})?) / ? $1 : () } split /\n/, $reply->{content}), '', 'no sample twice');

# ---- fresh for who asks, and asked once a second at most

sub asked { my $n = () = slurp_file($node->logfile) =~ /execute qms_metrics:/g; return $n }
sleep 1.1;
$node->safe_psql('postgres', 'SELECT FROM qms.join_queue(1)');
is(sizes(metrics()), '2 2', 'a scrape shows what is there when it is made');
my $before = asked();
my $begun = time;
metrics() foreach 1 .. 50;
my $took = time - $begun;
cmp_ok(asked() - $before, '<=', 2 * (1 + int $took), 'many scrapes are few questions: once a second of each database at most');
is(HTTP::Tiny->new(timeout => 30)->head("http://127.0.0.1:$port/metrics")->{status}, 200, 'HEAD');

# ---- Prometheus itself

SKIP:
{
	my ($prometheus) = grep { -x } map { "$_/prometheus" } split /:/, $ENV{PATH};
	skip 'no prometheus', 3 unless $prometheus && -e 'contrib-docs/monitoring/prometheus.yml';
	my $place = PostgreSQL::Test::Utils::tempdir();
	my $web = PostgreSQL::Test::Cluster::get_free_port();
	(my $config = slurp_file('contrib-docs/monitoring/prometheus.yml')) =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/;
	$config =~ s/scrape_interval: 15s/scrape_interval: 1s/;
	$config =~ s/scrape_timeout: 10s/scrape_timeout: 1s/;
	append_to_file("$place/prometheus.yml", "global:\n  evaluation_interval: 1s\n$config");
	append_to_file("$place/alerts.yml", slurp_file('contrib-docs/monitoring/alerts.yml'));
	my ($out, $err) = ('', '');
	my $server = IPC::Run::start([ $prometheus, "--config.file=$place/prometheus.yml", "--storage.tsdb.path=$place/data", "--web.listen-address=127.0.0.1:$web" ],
		'<', \undef, '>', \$out, '2>', \$err);
	my $query = sub {
		my $answer = HTTP::Tiny->new(timeout => 10)->get("http://127.0.0.1:$web/api/v1/$_[0]")->{content} // '';
		return $answer;
	};
	ok(Qms::poll(sub { $query->('query?query=up') =~ /"job":"qms"\},"value":\[[\d.]+,"1"\]/ }, 60), 'Prometheus scrapes it with the configuration that comes with qms');
	ok(Qms::poll(sub { $query->('query?query=sum(qms_queue_size)') =~ /"value":\[[\d.]+,"4"\]/ }, 60), 'and has the figures of both databases');
	my $rules;
	Qms::poll(sub { $rules = $query->('rules'); $rules !~ /"health":"unknown"/ }, 60);
	my %health;
	$health{$1}++ while $rules =~ /"health":"(\w+)"/g;
	is_deeply([ keys %health ], ['ok'], 'its rules can be evaluated');
	$server->signal('TERM');
	eval { $server->finish };
}

# ---- a database that does not answer

sleep 1.1;
my $lock = Session->new($node, 'dbname=second');
$lock->ask('BEGIN; LOCK TABLE qms.queue');
my @slow = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) } 1 .. 5;
print $_ "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" foreach @slow;
$_->flush foreach @slow;
$begun = time;
is(get('/healthz')->{status}, 200, 'while a database does not answer the loop goes on');
cmp_ok(time - $begun, '<', 4, 'at once');
# One of them goes away, one talks on.
close shift @slow;
{ local $SIG{PIPE} = 'IGNORE'; my $chatty = shift @slow; print $chatty 'more'; $chatty->flush; }
my @texts = map { local $/; my $text = readline $_; $text } @slow;
is(scalar(grep { /\AHTTP\/1\.1 200 .*qms_queue_size\{database="postgres"[^}]*\} 2/s } @texts), 3, 'and after some seconds they get what there is');
$lock->ask('COMMIT');
ok(Qms::poll(sub { sizes(metrics()) eq '2 2' }), 'all is well again');

# ---- a database that is gone

$node->safe_psql('second', 'DROP EXTENSION qms');
ok(Qms::poll(sub { my $now = metrics(); !$now->all('qms_queue_size', database => 'second') && $now->value('qms_queue_size', database => 'postgres') eq '2' }),
	'a database that is served no more is not in the figures');
$node->stop;

done_testing();
