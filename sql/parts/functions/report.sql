/*
 * Exports, forecasts, advice and reports: src/report.
 */
CREATE FUNCTION qms.export_history(format text DEFAULT 'csv', since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL,
	scope text DEFAULT NULL, what text DEFAULT 'tickets')
RETURNS SETOF text LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 100000
AS 'MODULE_PATHNAME', 'qms_export_history';
COMMENT ON FUNCTION qms.export_history IS 'The history as lines of text, to be streamed: COPY (SELECT qms.export_history(...)) TO STDOUT. format: csv (a line of names first, then RFC 4180; words that a spreadsheet would take for a formula get an apostrophe before them) or json (an object per line, without a line of names). what: tickets that ended, from since on and before a moment (default: now), or legs, which a transfer ended. scope: organization:1, branch:2 or queue:3; null: the organization of the caller. Queue by queue, in each by the moment of the end. Moments are in UTC. Personal data is not in it: no contact, subject, notes, metadata, nor reasons in words. The export is an event, history.exported, whether or not it is read to its end. Callers: superusers and administrators; those of some branches name one of them. Errors: QM101, 42501, 22023.';

CREATE TYPE qms.arrivals_forecast AS (
	starts_at timestamptz,
	ends_at timestamptz,
	local_date date,
	weekday int,
	local_hour int,
	arrivals float8,
	low float8,
	high float8,
	weeks int,
	closed boolean
);
COMMENT ON TYPE qms.arrivals_forecast IS 'An hour to come, with the arrivals that are expected. Of forecast_arrivals.';
COMMENT ON COLUMN qms.arrivals_forecast.starts_at IS 'When the hour begins.';
COMMENT ON COLUMN qms.arrivals_forecast.ends_at IS 'When it ends.';
COMMENT ON COLUMN qms.arrivals_forecast.local_date IS 'Date by the clocks of the branch (or organization).';
COMMENT ON COLUMN qms.arrivals_forecast.weekday IS '1 Monday to 7 Sunday.';
COMMENT ON COLUMN qms.arrivals_forecast.local_hour IS 'Hour by those clocks, 0 to 23.';
COMMENT ON COLUMN qms.arrivals_forecast.arrivals IS 'How many are expected to come, transfers from other queues included; 0 in a closure.';
COMMENT ON COLUMN qms.arrivals_forecast.low IS 'As few or fewer come in one hour of ten.';
COMMENT ON COLUMN qms.arrivals_forecast.high IS 'As many or more come in one hour of ten.';
COMMENT ON COLUMN qms.arrivals_forecast.weeks IS 'Hours of that weekday and time that were observed, up to 8.';
COMMENT ON COLUMN qms.arrivals_forecast.closed IS 'Whether the branch has a closure then.';

CREATE FUNCTION qms.forecast_arrivals(scope text DEFAULT NULL, days int DEFAULT 7)
RETURNS SETOF qms.arrivals_forecast LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_forecast_arrivals';
COMMENT ON FUNCTION qms.forecast_arrivals IS 'How many people are expected in each hour of the coming days (1 to 92), today included, of a scope: organization:1, branch:2 or queue:3; null: the organization of the caller. From the eight weeks before today: the mean of each weekday and local hour, times a linear trend through the weeks by least squares (from four weeks on; a slope that is not clearly more than noise is made smaller). Closures, and days on which nobody came though that weekday is busy otherwise, are left out. Hours in which nobody ever came are not in the answer. Callers: superusers, administrators, reception. Errors: QM101, 42501, 22023.';

CREATE TYPE qms.staffing_hour AS (
	starts_at timestamptz,
	ends_at timestamptz,
	local_date date,
	weekday int,
	local_hour int,
	is_forecast boolean,
	arrivals float8,
	service_time interval,
	patience interval,
	counters int,
	counters_if_busy int,
	within_target float8,
	mean_wait interval,
	left_share float8,
	occupancy float8
);
COMMENT ON TYPE qms.staffing_hour IS 'An hour with the counters that it needs. Of staffing_advice.';
COMMENT ON COLUMN qms.staffing_hour.starts_at IS 'When the hour begins.';
COMMENT ON COLUMN qms.staffing_hour.ends_at IS 'When it ends.';
COMMENT ON COLUMN qms.staffing_hour.local_date IS 'Date by the clocks of the branch (or organization).';
COMMENT ON COLUMN qms.staffing_hour.weekday IS '1 Monday to 7 Sunday.';
COMMENT ON COLUMN qms.staffing_hour.local_hour IS 'Hour by those clocks, 0 to 23.';
COMMENT ON COLUMN qms.staffing_hour.is_forecast IS 'Whether the arrivals are expected (from today on) or were counted (before today).';
COMMENT ON COLUMN qms.staffing_hour.arrivals IS 'People who come in this hour.';
COMMENT ON COLUMN qms.staffing_hour.service_time IS 'How long one keeps a counter busy, the way there included: mean of the eight weeks before today.';
COMMENT ON COLUMN qms.staffing_hour.patience IS 'Mean time after which somebody who waits goes, from the same weeks (Erlang A); null: fewer than ten have gone (Erlang C).';
COMMENT ON COLUMN qms.staffing_hour.counters IS 'The least number of counters with which target_share of the people wait at most target_wait; null: more than 1000.';
COMMENT ON COLUMN qms.staffing_hour.counters_if_busy IS 'The same if as many come as in one hour of ten (high of forecast_arrivals).';
COMMENT ON COLUMN qms.staffing_hour.within_target IS 'Share (0 to 1) that waits at most target_wait with that number of counters, as long as they stay.';
COMMENT ON COLUMN qms.staffing_hour.mean_wait IS 'Mean wait with that number of counters, of all.';
COMMENT ON COLUMN qms.staffing_hour.left_share IS 'Share (0 to 1) that goes without being served.';
COMMENT ON COLUMN qms.staffing_hour.occupancy IS 'Share (0 to 1) of their time that these counters are busy.';

CREATE FUNCTION qms.staffing_advice(scope text, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL,
	target_wait interval DEFAULT '10 min', target_share float8 DEFAULT 0.8)
RETURNS SETOF qms.staffing_hour LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_staffing_advice';
COMMENT ON FUNCTION qms.staffing_advice IS 'How many counters each hour needs, for target_share (0 to 1) of the people to wait at most target_wait, in a scope (queue:3, branch:2 or organization:1), from since on (default: today) and before a moment (default: seven days later; at most 92 days). Hours before today are counted, later ones are those of forecast_arrivals. Erlang C, or Erlang A where at least ten people left in the last eight weeks. Each hour is taken by itself and all counters of the scope as one group that serves one line: a queue with specialists needs to be asked for by itself. No rows: nothing is known of how long services take. Callers: superusers, administrators, reception. Errors: QM101, 42501, 22023.';

CREATE FUNCTION qms.report_html(scope text DEFAULT NULL, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL,
	language text DEFAULT NULL, with_staff boolean DEFAULT true)
RETURNS text LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_report_html';
COMMENT ON FUNCTION qms.report_html IS 'A report as one page of HTML that needs nothing else: tables and charts of waits by hour, load, days, service level, branches or queues or classes, staff, and what is expected next. scope: organization:1, branch:2 or queue:3; null: the organization of the caller. All local days that [since, before) touches, up to 732; before: default today (not in it), since: default seven days earlier. language: en, de, fr or es; null: the setting report_language of the organization. with_staff: whether staff are named. The page has no script, allows itself nothing but its own style sheet, and is all in ASCII. Callers: superusers and administrators, those of some branches for them. Errors: QM101, 42501, 22023.';

CREATE FUNCTION qms.get_report(report_id bigint)
RETURNS qms.report LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_get_report';
COMMENT ON FUNCTION qms.get_report IS 'A report that a schedule has made, with its page (html). qms.reports lists them. Callers: superusers and administrators, those of some branches for reports of theirs. Errors: QM101, 42501.';

CREATE FUNCTION qms.create_report_schedule(organization_id bigint, name text, scope text DEFAULT NULL, every text DEFAULT 'week',
	time_of_day time DEFAULT '06:00', language text DEFAULT NULL, with_staff boolean DEFAULT true, keep int DEFAULT 60, request_id uuid DEFAULT NULL)
RETURNS qms.report_schedule LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_report_schedule';
COMMENT ON FUNCTION qms.create_report_schedule IS 'Has a report made every day (of the day before), week (on Mondays, of the week before) or month (on the first, of the month before) at a time of the day, by the clocks of its scope: organization:1, branch:2 or queue:3; null: all of the organization. The scheduler makes it, keeps the newest ones (keep, 1 to 1000) and writes the event report.made; qms.reports lists them and get_report answers one. After an outage, those that are due and would be kept are made. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023, 22004, 23505 name in use.';

CREATE FUNCTION qms.update_report_schedule(report_schedule_id bigint, name text DEFAULT NULL, scope text DEFAULT NULL, every text DEFAULT NULL,
	time_of_day time DEFAULT NULL, language text DEFAULT NULL, with_staff boolean DEFAULT NULL, keep int DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.report_schedule LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_report_schedule';
COMMENT ON FUNCTION qms.update_report_schedule IS 'Changes what is given; null leaves it as it is, an empty language goes back to that of the organization. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023, 23505.';

CREATE FUNCTION qms.delete_report_schedule(report_schedule_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.report_schedule LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_report_schedule';
COMMENT ON FUNCTION qms.delete_report_schedule IS 'Deletes a schedule (softly); the reports it has made stay. Callers: superusers and whoever administers the whole organization. Errors: QM101.';

CREATE TYPE qms.visit_option AS (
	option text,
	queue_id bigint,
	branch_id bigint,
	branch_name text,
	branch_names jsonb,
	starts_at timestamptz,
	ends_at timestamptz,
	wait_p50 interval,
	wait_p90 interval,
	saves interval
);
COMMENT ON TYPE qms.visit_option IS 'When or where somebody could join. Of visit_advice.';
COMMENT ON COLUMN qms.visit_option.option IS 'now: this queue at once; elsewhere: the same service in another branch, at once; later: this queue in an hour to come.';
COMMENT ON COLUMN qms.visit_option.queue_id IS 'Queue to join.';
COMMENT ON COLUMN qms.visit_option.branch_id IS 'Its branch; null: none.';
COMMENT ON COLUMN qms.visit_option.branch_name IS 'Name of the branch.';
COMMENT ON COLUMN qms.visit_option.branch_names IS 'Its name in other languages: {language tag: text}.';
COMMENT ON COLUMN qms.visit_option.starts_at IS 'later: when the hour begins.';
COMMENT ON COLUMN qms.visit_option.ends_at IS 'later: when it ends.';
COMMENT ON COLUMN qms.visit_option.wait_p50 IS 'Expected wait: half of the people wait less. now and elsewhere: predicted, as a join would be quoted; later: what people waited in that hour of that weekday in the last eight weeks.';
COMMENT ON COLUMN qms.visit_option.wait_p90 IS 'Nine of ten wait less.';
COMMENT ON COLUMN qms.visit_option.saves IS 'How much less than now (wait_p50); null: nobody can join now.';

CREATE FUNCTION qms.visit_advice(queue_id bigint DEFAULT NULL, service_id bigint DEFAULT NULL, branch_id bigint DEFAULT NULL,
	days int DEFAULT 3, max_rows int DEFAULT 5)
RETURNS SETOF qms.visit_option LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_visit_advice';
COMMENT ON FUNCTION qms.visit_advice IS 'A better time or branch for somebody who is about to join a queue (or the queue of a branch and service): first what it would be now, if it is open, then at most max_rows (0 to 20) options with a shorter wait, the shortest first: the same service in other branches, where the queue that people come to first is open, and hours of the coming days (0 to 14, today included) in which this queue is open and at least eight people were called in the last eight weeks. Callers: everybody, of queues that are public. Errors: QM101, QM308, 42501, 22004, 22023.';
