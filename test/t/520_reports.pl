# Report schedules: the scheduler makes what is due, of the right days, keeps the newest ones, catches
# up after an outage, and nothing that is broken stops the others.
use strict;
use warnings;

use lib 'test/lib';
use Clock;
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('reports', 'qms.workers = on', q{qms.mock_now = '2026-03-02 08:00+01'}, q{timezone = 'UTC'});
my $clock = Clock->new($node);
my $ask = sub { return $node->safe_psql('postgres', $_[0]) };

$ask->(q{SELECT qms.create_organization('City', time_zone => 'Europe/Berlin'), qms.create_branch(1, 'Hall'), qms.create_queue('A', 1), qms.create_counter(1, 'C', ARRAY[1]),
	qms.create_branch(1, 'Elsewhere', time_zone => 'America/New_York')});
# Three people on Monday.
$ask->(q{SELECT qms.open_counter(1); SELECT count(qms.join_queue(1)) FROM generate_series(1, 3)});
$clock->at('2026-03-02 08:10+01');
$ask->(q{SELECT qms.call_next(1); SELECT qms.start_service(1)});
$clock->at('2026-03-02 08:15+01');
$ask->(q{SELECT qms.complete_service(1); SELECT qms.close_counter(1); SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket});
$ask->(q{SELECT qms.create_report_schedule(1, 'Daily', 'branch:1', 'day', '06:00', 'de', keep => 3); SELECT qms.create_report_schedule(1, 'Weekly');
	SELECT qms.create_report_schedule(1, 'Monthly', 'queue:1', 'month', '07:00', 'fr'); SELECT qms.create_report_schedule(1, 'New York', 'branch:2', 'day', '00:30')});
is($ask->(q{SELECT string_agg(name || ' ' || next_due_at, ', ' ORDER BY report_schedule_id) FROM qms.report_schedules}),
	'Daily 2026-03-03 05:00:00+00, Weekly 2026-03-09 05:00:00+00, Monthly 2026-04-01 05:00:00+00, New York 2026-03-03 05:30:00+00', 'when they are due');
$clock->at('2026-03-03 05:59+01');
is($ask->('SELECT count(*) FROM qms.report'), '0', 'not before');
ok($clock->idle, 'and nobody looks');

# Another look a minute later if the day has not been counted yet.
$clock->at("2026-03-03 06:$_+01") for qw(00 01 02);
Qms::wait_for($node, q{SELECT count(*) = 1 FROM qms.report}, 'the daily one is made');
is($ask->(q{SELECT report_id, scope, since, before, language, made_at < '2026-03-03 05:03+00', branch_id, queue_id IS NULL, html LIKE '%lang="de"%', html ~ 'Angekommen</dt><dd>3</dd>', html ~ 'Bedient</dt><dd>1</dd>' FROM qms.report}),
	'1|branch:1|2026-03-01 23:00:00+00|2026-03-02 23:00:00+00|de|t|1|t|t|t|t', 'of the day before, with its figures');
is($ask->(q{SELECT kind, actor_kind, organization_id, branch_id, data - 'bytes', (data ->> 'bytes')::int = (SELECT length(html) FROM qms.report) FROM qms.event WHERE kind = 'report.made'}),
	'report.made|system|1|1|{"scope": "branch:1", "since": "2026-03-01T23:00:00+00:00", "before": "2026-03-02T23:00:00+00:00", "language": "de", "report_id": 1, "report_schedule_id": 1}|t',
	'and there is an event');
is($ask->(q{SELECT next_due_at FROM qms.report_schedules WHERE name = 'Daily'}), '2026-03-04 05:00:00+00', 'the next one is due a day later');
is($ask->(q{SELECT r.report_id, length(r.html) > 5000 FROM qms.get_report(1) r}), '1|t', 'get_report answers it');

# Broken by hand: its queue is not there.  It fails by itself.
$ask->(q{INSERT INTO qms.report_schedule (organization_id, name, scope, every, time_of_day, with_staff, keep, next_due_at) VALUES (1, 'Broken', 'queue:4711', 'day', '06:00', true, 1, '2026-03-03 05:30+00')});
# Two weeks and more in which nobody made any: those that are kept are made, and the weekly and monthly ones.
$clock->at("2026-04-02 $_+02") for qw(12:00 12:05 12:10);
Qms::wait_for($node, q{SELECT count(*) = 0 FROM qms.report_schedules WHERE next_due_at < '2026-04-02 10:00+00' AND name <> 'Broken'}, 'after an outage all is made that is due, whatever is broken');
is($ask->(q{SELECT string_agg(since::date || ' ' || made_at::date, ', ' ORDER BY report_id) FROM qms.report WHERE report_schedule_id = 1}),
	'2026-03-29 2026-04-02, 2026-03-30 2026-04-02, 2026-03-31 2026-04-02', 'the newest daily ones are kept')
  or diag($ask->(q{SELECT report_id, since, before FROM qms.report WHERE report_schedule_id = 1}));
is($ask->(q{SELECT count(*) FROM qms.event WHERE kind = 'report.made' AND (data ->> 'report_schedule_id')::int = 1}), '5', 'and hardly more than that were made');
is($ask->(q{SELECT string_agg(since || ' to ' || before, ', ' ORDER BY report_id) FROM qms.report WHERE report_schedule_id = 2}),
	'2026-03-01 23:00:00+00 to 2026-03-08 23:00:00+00, 2026-03-08 23:00:00+00 to 2026-03-15 23:00:00+00, 2026-03-15 23:00:00+00 to 2026-03-22 23:00:00+00, 2026-03-22 23:00:00+00 to 2026-03-29 22:00:00+00',
	'every week, one of them an hour shorter');
is($ask->(q{SELECT since || ' to ' || before || ' ' || language || (html ~ 'Arriv&#233;es</dt><dd>3</dd>') FROM qms.report WHERE report_schedule_id = 3}), '2026-02-28 23:00:00+00 to 2026-03-31 22:00:00+00 frtrue', 'the month');
is($ask->(q{SELECT next_due_at FROM qms.report_schedules WHERE name = 'Broken'}), '2026-03-03 05:30:00+00', 'the broken one is still to be made');
# Deleted: no more.
$ask->(q{SELECT qms.delete_report_schedule(report_schedule_id) FROM qms.report_schedules});
my $made = $ask->(q{SELECT count(*) FROM qms.report});
$clock->at('2026-04-20 12:00+02');
is($ask->(q{SELECT count(*) FROM qms.report}), $made, 'a deleted schedule makes none');
$node->stop;
done_testing();
