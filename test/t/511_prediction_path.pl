# The figures that people are told are those of the model: streams of the benchmark through join_queue, call_next,
# complete_service and leave_queue give the same, ticket by ticket, as the program that links the same code.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
chomp(my $include = `$pg_config --includedir-server`);
chomp(my $client = `$pg_config --includedir`);
my $cc = $ENV{CC} || 'cc';
plan skip_all => 'no compiler' if system("$cc --version >/dev/null 2>&1") != 0;

my $node = Qms::node('path', 'qms.workers = off');
my $folder = $node->basedir;
foreach my $program ('drive', 'priority')
{
	my @more = $program eq 'priority' ? ('src/queue/policy.c') : ();
	system_or_bail($cc, '-O2', '-Isrc', '-isystem', $include, '-isystem', $client, '-o', "$folder/$program",
		"test/bench/prediction/$program.c", 'test/bench/prediction/random.c', 'test/bench/prediction/heap.c', 'src/predict/wait.c', 'src/predict/sums.c', @more, '-lm');
}
my $compare = sub {
	my ($name, $counters, $more, @command) = @_;
	my ($out, $err) = run_command(\@command);
	append_to_file("$folder/stream.csv", $out);
	local $ENV{STREAM} = "$folder/stream.csv";
	my $row = $node->safe_psql('postgres', slurp_file('test/bench/prediction/path.sql'), extra_params => [ '-v', "counters=$counters", '-v', "name=$name", map { ('-v', $_) } @$more ]);
	unlink "$folder/stream.csv";
	my @cells = $row =~ /\| (\S+)/g;
	my @numbers = $row =~ /\| (\d+)(?= \|)/g;
	is("@numbers[0..4]", "400 400 400 0 400", "$name: the same, ticket by ticket") || diag($row);
};
$compare->('one counter', 1, [], "$folder/drive", '--stream', 'M/M/1 .90', 1, 400);
$compare->('five counters', 5, [], "$folder/drive", '--stream', 'M/M/5 .95', 2, 400);
$compare->('uneven services', 10, [], "$folder/drive", '--stream', 'M/LN1.5/10 .95', 3, 400);
$compare->('people leave', 10, [], "$folder/drive", '--stream', 'M/M/10+M(1) 1.4', 1, 400);
$compare->('a plan of staff', 8, [ 'always=4', 'stretch=18000000000' ], "$folder/drive", '--stream', 'staff 8, 4', 1, 400);
$compare->('credits', 5, [], "$folder/priority", '--stream', 1, 400);
$node->stop;
done_testing();
