# export_history over a million tickets: the backend takes no more memory than for a few.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

plan skip_all => 'there is no /proc here' unless -r '/proc/self/status';

# Few shared buffers, or every page touched for the first time would count as memory of the backend.
my $node = Qms::node('export', q{shared_buffers = '8MB'}, q{qms.mock_now = '2026-03-20 08:00+00'}, q{timezone = 'UTC'});
my $rows = 1_000_000;

$node->safe_psql('postgres', q{SELECT qms.create_organization('City'), qms.create_branch(1, 'Hall'), qms.create_queue('A', 1);
	SELECT qms.cancel_ticket(ticket_id) FROM qms.join_queue(1)}); # so that the month has its partition
# As a month leaves them, written directly.
$node->safe_psql('postgres', qq{
	INSERT INTO qms.ticket_history (ticket_id, organization_id, branch_id, queue_id, customer_class_id, visit_id, number, state, version, leg, priority, credit, effective_arrival, sort_key,
		joined_at, entered_at, called_at, started_at, calls, recalls, defers, by_class, shared_visit, simulated, metadata, token_nonce, ended_at, ended_from)
	SELECT 1000 + g, 1, 1, 1, 1, 1000 + g, 'A001', 'completed', 3, 1, 0, '0', t, g, t, t, t + interval '5 min', t + interval '6 min', 1, 0, 0, false, false, false, '{}', g, t + interval '10 min', 'serving'
	FROM (SELECT g, timestamptz '2026-03-01 00:00' + g * interval '1.5 s' FROM generate_series(1, $rows) g) x (g, t)});

# One session: some rows, then all of them; kB of the most it has ever had.
my $export = sub {
	my ($statement, $lines) = @_;
	my $short = $statement =~ s/SCOPE/before => '2026-03-01 01:00', scope => 'queue:1'/r;
	my $long = $statement =~ s/SCOPE/scope => 'queue:1'/r;
	my $script = qq{\\o /dev/null\nSELECT pg_backend_pid() AS pid \\gset\n\\setenv PID :pid\n$short;\n\\! grep VmHWM /proc/\$PID/status\n$long;\n\\! grep VmHWM /proc/\$PID/status\n};
	my ($ret, $out, $err) = $node->psql('postgres', $script);
	my ($before, $after) = $out =~ /(\d+) kB/g;

	is("$ret $err", '0 ', $statement) or return;
	note("$before kB, then $after kB");
	cmp_ok($after - $before, '<', $lines, "no more than $lines kB for a million rows");
	return;
};
$export->(q{COPY (SELECT qms.export_history('csv', SCOPE)) TO STDOUT}, 6144);
$export->(q{COPY (SELECT qms.export_history('json', SCOPE)) TO STDOUT}, 6144);
# In FROM PostgreSQL puts the lines into a file first, of which work_mem is in memory.
$export->(q{COPY (SELECT * FROM qms.export_history('csv', SCOPE)) TO STDOUT}, 6144 + 4096);
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT qms.export_history('json', scope => 'queue:1')) x}), $rows, 'and all of them are there');
$node->stop;
done_testing();
