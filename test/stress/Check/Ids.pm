# Check::Ids: what foreign keys would have guaranteed, and what unique indexes promise, by plain SQL
# that uses neither: every id exists, and in the same organization and branch.
package Check::Ids;

use strict;
use warnings;

# Tables with the columns that name something, and what they name: table.key, and the columns that
# must be the same on both sides (null here is no statement).
my @places = qw(qms.ticket qms.ticket_history);
my %references = (
	'qms.ticket' => {
		organization_id => ['qms.organization'],
		branch_id => [ 'qms.branch', 'organization_id' ],
		application_id => [ 'qms.application', 'organization_id' ],
		queue_id => [ 'qms.queue', 'organization_id', 'branch_id' ],
		service_id => [ 'qms.service', 'organization_id' ],
		customer_class_id => [ 'qms.customer_class', 'organization_id' ],
		customer_id => [ 'qms.customer', 'organization_id' ],
		counter_id => [ 'qms.counter', 'organization_id', 'branch_id' ],
		staff_id => [ 'qms.staff', 'organization_id' ],
		staff_session_id => [ 'qms.staff_session', 'organization_id', 'branch_id', 'counter_id', 'staff_id' ],
		wanted_counter_id => [ 'qms.counter', 'organization_id' ],
		wanted_staff_id => [ 'qms.staff', 'organization_id' ],
	},
	'qms.ticket_leg' => {
		organization_id => ['qms.organization'],
		branch_id => [ 'qms.branch', 'organization_id' ],
		queue_id => [ 'qms.queue', 'organization_id', 'branch_id' ],
		service_id => [ 'qms.service', 'organization_id' ],
		customer_class_id => [ 'qms.customer_class', 'organization_id' ],
		counter_id => [ 'qms.counter', 'organization_id', 'branch_id' ],
		staff_id => [ 'qms.staff', 'organization_id' ],
		staff_session_id => [ 'qms.staff_session', 'organization_id', 'branch_id', 'counter_id', 'staff_id' ],
	},
	'qms.staff_session' => {
		organization_id => ['qms.organization'],
		branch_id => [ 'qms.branch', 'organization_id' ],
		counter_id => [ 'qms.counter', 'organization_id', 'branch_id' ],
		staff_id => [ 'qms.staff', 'organization_id' ],
		counter_profile_id => [ 'qms.counter_profile', 'organization_id', 'branch_id' ],
	},
	'qms.visit' => {
		organization_id => ['qms.organization'],
		branch_id => [ 'qms.branch', 'organization_id' ],
		customer_id => [ 'qms.customer', 'organization_id' ],
	},
	'qms.event' => {
		organization_id => ['qms.organization'],
		branch_id => [ 'qms.branch', 'organization_id' ],
		application_id => [ 'qms.application', 'organization_id' ],
		queue_id => [ 'qms.queue', 'organization_id', 'branch_id' ],
		counter_id => [ 'qms.counter', 'organization_id' ],
		staff_id => [ 'qms.staff', 'organization_id' ],
	},
	'qms_internal.queue_number' => {
		organization_id => ['qms.organization'],
		queue_id => [ 'qms.queue', 'organization_id' ],
	},
	'qms_internal.queue_hours' => {
		organization_id => ['qms.organization'],
		queue_id => [ 'qms.queue', 'organization_id' ],
	});
$references{'qms.ticket_history'} = $references{'qms.ticket'};

# The primary key of a table that is named by others.
sub key_of
{
	my ($table) = @_;
	my ($name) = $table =~ /\.(\w+)$/;
	return "${name}_id";
}

sub check_references
{
	my ($dbh, $report) = @_;

	foreach my $table (sort keys %references)
	{
		foreach my $column (sort keys %{ $references{$table} })
		{
			my ($target, @same) = @{ $references{$table}{$column} };
			my $key = key_of($target);
			my $wrong = join(' OR ', "r.$key IS NULL", map { "t.$_ IS NOT NULL AND r.$_ IS DISTINCT FROM t.$_" } @same);
			my ($n, $bad, $example) = $dbh->selectrow_array(qq{
				SELECT count(*), count(*) FILTER (WHERE $wrong), min(t.$column) FILTER (WHERE $wrong)
				FROM $table t LEFT JOIN $target r ON r.$key = t.$column
				WHERE t.$column IS NOT NULL});

			$report->add('ids: exist and agree', $n, $bad, $bad ? "$table.$column $example" : ());
		}
	}
}

# Invariants that one statement answers: name, then SQL that gives (checked, violations, example).
my @statements = (
	[ 'ticket: live or past, not both', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(ticket_id) FILTER (WHERE n > 1)
		FROM (SELECT ticket_id, count(*) AS n
			FROM (SELECT ticket_id FROM qms.ticket UNION ALL SELECT ticket_id FROM qms.ticket_history) a
			GROUP BY ticket_id) b} ],
	[ 'ticket: columns fit its state', q{
		SELECT count(*), count(*) FILTER (WHERE bad), min(ticket_id) FILTER (WHERE bad)
		FROM (SELECT ticket_id,
				(state IN ('called', 'serving')) <> (counter_id IS NOT NULL AND called_at IS NOT NULL AND staff_session_id IS NOT NULL)
				OR (state = 'serving') <> (started_at IS NOT NULL)
				OR (state = 'on_hold') <> (hold_kind IS NOT NULL AND held_at IS NOT NULL)
				OR state <> 'on_hold' AND (resume_at IS NOT NULL OR resume_to IS NOT NULL)
				OR credit <> make_interval(secs => 0) + (effective_arrival - timestamptz '2000-01-01 00:00+00') - sort_key * interval '1 microsecond'
				AS bad
			FROM qms.ticket) a} ],
	[ 'numbers: unique among the live', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(number) FILTER (WHERE n > 1)
		FROM (SELECT number::text, count(*) AS n FROM qms.ticket WHERE number IS NOT NULL GROUP BY branch_id, number::text) a} ],
	[ 'one live place per subject', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(subject) FILTER (WHERE n > 1)
		FROM (SELECT subject, count(*) AS n FROM qms.ticket WHERE subject IS NOT NULL GROUP BY queue_id, subject) a} ],
	[ 'one open call per counter', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(counter_id) FILTER (WHERE n > 1)
		FROM (SELECT counter_id, count(*) AS n FROM qms.ticket WHERE state IN ('called', 'serving') GROUP BY counter_id) a} ],
	[ 'one place at a time per visit', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(visit_id) FILTER (WHERE n > 1)
		FROM (SELECT visit_id, count(*) AS n FROM qms.ticket WHERE state IN ('called', 'serving') GROUP BY visit_id) a} ],
	[ 'session: one open per counter', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(counter_id) FILTER (WHERE n > 1)
		FROM (SELECT counter_id, count(*) AS n FROM qms.staff_session WHERE closed_at IS NULL GROUP BY counter_id) a} ],
	[ 'session: one open per staff member', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(staff_id) FILTER (WHERE n > 1)
		FROM (SELECT staff_id, count(*) AS n FROM qms.staff_session WHERE closed_at IS NULL AND staff_id IS NOT NULL GROUP BY staff_id) a} ],
	[ 'session: current ticket agrees', q{
		SELECT count(*), count(*) FILTER (WHERE bad), min(example) FILTER (WHERE bad)
		FROM (SELECT coalesce(s.staff_session_id, t.staff_session_id) AS example,
				s.staff_session_id IS NULL OR t.ticket_id IS NULL OR s.closed_at IS NOT NULL
				OR t.counter_id IS DISTINCT FROM s.counter_id OR t.staff_session_id IS DISTINCT FROM s.staff_session_id
				OR t.staff_id IS DISTINCT FROM s.staff_id AS bad
			FROM (SELECT * FROM qms.staff_session WHERE current_ticket_id IS NOT NULL) s
			FULL JOIN (SELECT * FROM qms.ticket WHERE state IN ('called', 'serving')) t ON t.ticket_id = s.current_ticket_id) a} ],
	[ 'visit: known, of one organization', q{
		SELECT count(*), count(*) FILTER (WHERE bad), min(visit_id) FILTER (WHERE bad)
		FROM (SELECT t.visit_id, bool_or(o.organization_id IS DISTINCT FROM t.organization_id) AS bad
			FROM (SELECT visit_id, organization_id FROM qms.ticket
				UNION ALL SELECT visit_id, organization_id FROM qms.ticket_history
				UNION ALL SELECT visit_id, organization_id FROM qms.ticket_leg) t
			LEFT JOIN (SELECT ticket_id AS visit_id, organization_id FROM qms.ticket
				UNION SELECT ticket_id, organization_id FROM qms.ticket_history
				UNION SELECT visit_id, organization_id FROM qms.visit) o USING (visit_id)
			GROUP BY t.visit_id) a} ],
	[ 'visit: held only while called elsewhere', q{
		SELECT count(*), count(*) FILTER (WHERE bad), min(ticket_id) FILTER (WHERE bad)
		FROM (SELECT ticket_id, hold_kind = 'other_ticket'
				AND bool_or(state IN ('called', 'serving')) OVER (PARTITION BY visit_id) IS NOT TRUE AS bad
			FROM qms.ticket) a} ],
	[ 'visit: one token', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(visit_id) FILTER (WHERE n > 1)
		FROM (SELECT visit_id, count(DISTINCT token_nonce) AS n
			FROM (SELECT visit_id, token_nonce FROM qms.ticket
				UNION ALL SELECT visit_id, token_nonce FROM qms.ticket_history
				UNION ALL SELECT visit_id, token_nonce FROM qms.visit) a
			GROUP BY visit_id) b} ],
	[ 'request: one effect', q{
		SELECT count(*), count(*) FILTER (WHERE effects > rows), min(request_id::text) FILTER (WHERE effects > rows)
		FROM (SELECT e.request_id, e.effects, coalesce(r.rows, 0) AS rows
			FROM (SELECT request_id, count(DISTINCT xid) AS effects FROM qms.event
				WHERE request_id IS NOT NULL AND at > now() - interval '47 hours' GROUP BY request_id) e
			LEFT JOIN (SELECT request_id, count(*) AS rows FROM qms_internal.request GROUP BY request_id) r USING (request_id)) a} ],
	[ 'stream: one position per event', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(id) FILTER (WHERE n > 1)
		FROM (SELECT event_id AS id, count(*) AS n FROM qms_internal.event_position GROUP BY event_id
			UNION ALL SELECT position, count(*) FROM qms_internal.event_position GROUP BY position) a} ],
	[ 'stream: in the order of changes', q{
		SELECT count(*), count(*) FILTER (WHERE bad), min(event_id) FILTER (WHERE bad)
		FROM (SELECT e.event_id, e.version <= lag(e.version) OVER (PARTITION BY e.ticket_id ORDER BY p.position) AS bad
			FROM qms_internal.event_position p JOIN qms.event e USING (event_id)
			WHERE e.version IS NOT NULL) a} ],
	# What the publisher says it has seen, as far back as positions are surely kept.
	[ 'stream: no committed event left out', q{
		SELECT count(*), count(*) FILTER (WHERE p.event_id IS NULL), min(e.event_id) FILTER (WHERE p.event_id IS NULL)
		FROM qms.event e CROSS JOIN qms_internal.publisher f
			CROSS JOIN (SELECT snapshot FROM qms_internal.publisher_progress ORDER BY turn DESC LIMIT 1) s
			LEFT JOIN qms_internal.event_position p ON p.event_id = e.event_id
		WHERE e.event_id > f.floor_event_id AND e.at > now() - interval '20 hours'
			AND pg_visible_in_snapshot(e.xid, s.snapshot)} ],
	[ 'event: one of a version', q{
		SELECT count(*), count(*) FILTER (WHERE n > 1), min(ticket_id) FILTER (WHERE n > 1)
		FROM (SELECT ticket_id, version, count(*) AS n FROM qms.event WHERE version IS NOT NULL GROUP BY ticket_id, version) a} ],
);

# Is it one of the invariants that are checked here?
sub has
{
	my ($name) = @_;
	return $name =~ /^ids:/ || grep { $_->[0] eq $name } @statements;
}

sub run
{
	my ($dbh, $report) = @_;

	check_references($dbh, $report);
	foreach my $statement (@statements)
	{
		my ($name, $sql) = @$statement;
		my ($n, $bad, $example) = $dbh->selectrow_array($sql);

		$report->add($name, $n, $bad, $bad ? "for example $example" : ());
	}
}

1;
