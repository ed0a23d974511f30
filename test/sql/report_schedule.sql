-- Report schedules: setting them up, when the next one is due, who may.  Making them is in test/t/520.
\set base 550000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture
CREATE FUNCTION test.plain(text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace($1, '55\d\d\d\d', '55nnnn', 'g') $$;

-- a Monday, 09:00
SELECT name, test.plain(scope) AS scope, every, time_of_day, language, with_staff, keep, next_due_at FROM qms.create_report_schedule(:org, 'All');
SELECT report_schedule_id AS daily, next_due_at FROM qms.create_report_schedule(:org, 'Hall, daily', 'branch:' || :hall, 'day', '09:00', 'de', false, 3) \gset
SELECT :'next_due_at' AS next_due_at;
SELECT next_due_at FROM qms.create_report_schedule(:org, 'Hall, in a minute', 'branch:' || :hall, 'day', '09:01');
SELECT next_due_at FROM qms.create_report_schedule(:org, 'Monthly', 'queue:' || :qa, 'month', '23:59:59');
-- clocks are put on at 02:00 on 2026-03-29: what would be due at 02:30 is due at 03:30
SET qms.mock_now = '2026-03-28 12:00+01';
SELECT next_due_at FROM qms.create_report_schedule(:org, 'Left out', every => 'day', time_of_day => '02:30');
-- by the clocks of the branch
SELECT time_zone FROM qms.update_branch(:library, time_zone => 'Asia/Kathmandu');
SELECT next_due_at AT TIME ZONE 'Asia/Kathmandu' AS next_due_at FROM qms.create_report_schedule(:org, 'Kathmandu', 'branch:' || :library, 'week', '06:30');
-- changes: when is counted anew if it changes, and only then
SET qms.mock_now = '2026-04-01 12:00+02';
SELECT name, keep, next_due_at, language FROM qms.update_report_schedule(:daily, name => 'Hall', keep => 5);
SELECT next_due_at FROM qms.update_report_schedule(:daily, every => 'week');
SELECT language IS NULL AS of_organization, with_staff, test.plain(scope) AS scope FROM qms.update_report_schedule(:daily, language => '', with_staff => true, scope => 'queue:' || :qb);
SELECT name, test.plain(scope) AS scope, every, time_of_day, keep FROM qms.report_schedules WHERE organization_id = :org ORDER BY report_schedule_id;
SELECT kind, test.plain(data::text) AS data FROM qms.event WHERE organization_id = :org AND kind LIKE 'report_schedule.%' AND (data ->> 'report_schedule_id')::bigint = :daily ORDER BY event_id;
SELECT deleted_at IS NOT NULL AS deleted FROM qms.delete_report_schedule(:daily);
SELECT count(*) FROM qms.report_schedules WHERE report_schedule_id = :daily;
SELECT qms.update_report_schedule(:daily, keep => 6);
-- the name is free again
SELECT name FROM qms.create_report_schedule(:org, 'Hall', request_id => '00000000-0000-0000-0000-000000000055');
SELECT name FROM qms.create_report_schedule(:org, 'Hall', request_id => '00000000-0000-0000-0000-000000000055');

-- what cannot be
SELECT qms.create_report_schedule(:org, 'Hall');
SELECT qms.create_report_schedule(:org, ' ');
SELECT qms.create_report_schedule(:org, 'x', 'hall');
SELECT qms.create_report_schedule(:org, 'x', 'branch:999999999');
SELECT qms.create_report_schedule(:org, 'x', every => 'year');
SELECT qms.create_report_schedule(:org, 'x', every => NULL);
SELECT qms.create_report_schedule(:org, 'x', time_of_day => '24:00');
SELECT qms.create_report_schedule(:org, 'x', time_of_day => NULL);
SELECT qms.create_report_schedule(:org, 'x', language => 'nl');
SELECT qms.create_report_schedule(:org, 'x', keep => 0);
SELECT qms.create_report_schedule(:org, 'x', keep => 1001);
SELECT qms.create_report_schedule(999999999, 'x');
SELECT organization_id AS other FROM qms.create_organization('Elsewhere 550') \gset
SELECT qms.create_report_schedule(:other, 'x', 'branch:' || :hall);
SELECT qms.get_report(999999999);
SELECT qms.get_report(NULL);

-- who may: whoever administers all of it; reports of a branch are for its administrators too
INSERT INTO qms.report (report_id, organization_id, branch_id, report_schedule_id, scope, since, before, language, made_at, html) VALUES
	(550001, :org, :hall, :daily, 'branch:' || :hall, '2026-03-02', '2026-03-09', 'en', '2026-03-09', '<p>hall</p>'),
	(550002, :org, :library, :daily, 'branch:' || :library, '2026-03-02', '2026-03-09', 'en', '2026-03-09', '<p>library</p>'),
	(550003, :org, NULL, :daily, 'organization:' || :org, '2026-03-02', '2026-03-09', 'en', '2026-03-09', '<p>all</p>');
CREATE ROLE report_admin LOGIN IN ROLE qms_admin;
CREATE ROLE report_half LOGIN IN ROLE qms_admin;
CREATE ROLE report_other LOGIN IN ROLE qms_admin;
SELECT kind FROM qms.bind_role('report_admin', :org, kind => 'admin');
SELECT kind FROM qms.bind_role('report_half', :org, kind => 'admin', branch_ids => ARRAY[:library]);
SELECT kind FROM qms.bind_role('report_other', :other, kind => 'admin');
SET SESSION AUTHORIZATION report_admin;
SELECT name FROM qms.create_report_schedule(:org, 'Of an admin');
SELECT report_id, html FROM qms.get_report(550003);
SELECT count(*) AS reports, sum(bytes) AS bytes FROM qms.reports;
SELECT count(*) AS schedules FROM qms.report_schedules;
SET SESSION AUTHORIZATION report_half;
SELECT qms.create_report_schedule(:org, 'Of half an admin');
SELECT qms.create_report_schedule(:org, 'Of half an admin', 'branch:' || :library);
SELECT html FROM qms.get_report(550002);
SELECT html FROM qms.get_report(550001);
SELECT html FROM qms.get_report(550003);
SELECT report_id FROM qms.reports ORDER BY 1;
SELECT count(*) AS schedules FROM qms.report_schedules;
SET SESSION AUTHORIZATION report_other;
SELECT html FROM qms.get_report(550001);
SELECT count(*) AS reports FROM qms.reports;
SELECT count(*) AS schedules FROM qms.report_schedules;
SELECT html FROM qms.report;
RESET SESSION AUTHORIZATION;
DROP ROLE report_admin, report_half, report_other;
