# What workers cost: memory stays flat over thousands of events, and an idle database sees no
# transaction of theirs.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('costs', 'qms.workers = on', 'autovacuum = off', "qms.excluded_databases = 'template1'");
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };
my $all_published = 'SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)';

$ask->(q{
	SELECT organization_id FROM qms.create_organization('o');
	SELECT branch_id FROM qms.create_branch(1, 'b');
	SELECT queue_id FROM qms.create_queue('q', 1, settings => '{"max_number": 99999}')});

# ---- memory ----

sub memory
{
	my ($kind) = @_;
	my $pid = $ask->("SELECT pid FROM qms.worker_status WHERE worker = '$kind' AND database = 'postgres'");
	# What is private to it: shared buffers that it has touched are not its own.
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m ? $1 : 0;
}

sub churn
{
	my ($times) = @_;
	$ask->("SELECT 1 FROM qms.join_queue(1);\n" x $times);
	Qms::wait_for($node, $all_published, 'published');
	return;
}

churn(1000);
my %before = map { $_ => memory($_) } qw(publisher scheduler);
churn(4000);
foreach my $kind (qw(publisher scheduler))
{
	cmp_ok($before{$kind}, '>', 0, "memory of the $kind");
	cmp_ok(memory($kind) - $before{$kind}, '<', 1024, "memory of the $kind after 4,000 events: less than 1 MB more");
}

# ---- idle ----

# Counted from another database: asking there is no transaction here.
$ask->('CREATE DATABASE elsewhere');
my $there = sub { return $node->safe_psql('elsewhere', $_[0]) };
my $count = q{SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'};
Qms::wait_for($node, $all_published, 'nothing is left to do');
$node->safe_psql('elsewhere', 'SELECT 1');
my ($last, $same) = ('', 0);
# The counters of ended sessions come with a delay: wait until they stand still, then watch.
ok(Qms::poll(sub { my $now = $there->($count); $same = $now eq $last ? $same + 1 : 0; $last = $now; return $same >= 20 }), 'transactions come to rest');
my $from = $there->('SELECT clock_timestamp()');
Qms::poll(sub { $there->("SELECT clock_timestamp() > '$from'::timestamptz + interval '5 s'") eq 't' });
is($there->($count), $last, 'an idle database: no transaction in five seconds');
$node->stop;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal/, 'a quiet log');
done_testing();
