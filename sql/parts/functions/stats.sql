/* Statistics: what people ask of the snapshots, and making them anew. */

CREATE TYPE qms.period_stats AS (
	organization_id bigint,
	branch_id bigint,
	queue_id bigint,
	customer_class text,
	starts_at timestamptz,
	ends_at timestamptz,
	local_date date,
	local_hour int,
	arrivals bigint,
	visits bigint,
	joined bigint,
	walk_ups bigint,
	transferred_in bigint,
	called bigint,
	recalled bigint,
	started bigint,
	completed bigint,
	no_show bigint,
	cancelled bigint,
	expired bigint,
	revoked bigint,
	transferred_out bigint,
	requeued bigint,
	held bigint,
	deferred bigint,
	reinstated bigint,
	released bigint,
	admitted bigint,
	abandoned bigint,
	abandonment float8,
	waits bigint,
	wait_mean interval,
	wait_p50 interval,
	wait_p90 interval,
	wait_p95 interval,
	wait_max interval,
	within_target float8,
	target interval,
	services bigint,
	service_mean interval,
	service_p50 interval,
	service_p90 interval,
	service_p95 interval,
	service_max interval,
	abandoned_wait_mean interval,
	computed_at timestamptz
);
COMMENT ON TYPE qms.period_stats IS 'What an hour, a day or a span of time was like, for a class or all. What each figure means is in contrib-docs/analytics.md.';
COMMENT ON COLUMN qms.period_stats.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.period_stats.branch_id IS 'Branch; null: of an organization, or a queue of an application.';
COMMENT ON COLUMN qms.period_stats.queue_id IS 'Queue; null: of a branch or organization.';
COMMENT ON COLUMN qms.period_stats.customer_class IS 'Name of the customer class; null: all classes.';
COMMENT ON COLUMN qms.period_stats.starts_at IS 'Beginning of the hour or day, or what was asked for.';
COMMENT ON COLUMN qms.period_stats.ends_at IS 'Its end.';
COMMENT ON COLUMN qms.period_stats.local_date IS 'Date where it is; null: a sum.';
COMMENT ON COLUMN qms.period_stats.local_hour IS 'Hour of the local clock, 0 to 23; null: a day or a sum.';
COMMENT ON COLUMN qms.period_stats.arrivals IS 'Legs begun: joined and transferred in.';
COMMENT ON COLUMN qms.period_stats.visits IS 'People who came: joins that begin a visit.';
COMMENT ON COLUMN qms.period_stats.joined IS 'Tickets taken, walk-ups too.';
COMMENT ON COLUMN qms.period_stats.walk_ups IS 'Of those: served at once, without waiting.';
COMMENT ON COLUMN qms.period_stats.transferred_in IS 'Tickets that came from another queue.';
COMMENT ON COLUMN qms.period_stats.called IS 'Calls to a counter.';
COMMENT ON COLUMN qms.period_stats.recalled IS 'Calls repeated.';
COMMENT ON COLUMN qms.period_stats.started IS 'Services begun.';
COMMENT ON COLUMN qms.period_stats.completed IS 'Services completed, or in a waiting room visits finished.';
COMMENT ON COLUMN qms.period_stats.no_show IS 'Called in vain.';
COMMENT ON COLUMN qms.period_stats.cancelled IS 'Cancelled by staff or left, before the call or after it.';
COMMENT ON COLUMN qms.period_stats.expired IS 'Expired: at the end of the day, silent, or let in without coming.';
COMMENT ON COLUMN qms.period_stats.revoked IS 'Access taken back, in waiting rooms.';
COMMENT ON COLUMN qms.period_stats.transferred_out IS 'Tickets that went to another queue.';
COMMENT ON COLUMN qms.period_stats.requeued IS 'Calls taken back, the person waits again.';
COMMENT ON COLUMN qms.period_stats.held IS 'Put on hold; not while another ticket of the visit is served.';
COMMENT ON COLUMN qms.period_stats.deferred IS 'Customers who let others go first.';
COMMENT ON COLUMN qms.period_stats.reinstated IS 'Tickets that had ended and were put in again.';
COMMENT ON COLUMN qms.period_stats.released IS 'Let in, in waiting rooms.';
COMMENT ON COLUMN qms.period_stats.admitted IS 'Let in and came, in waiting rooms.';
COMMENT ON COLUMN qms.period_stats.abandoned IS 'Went before they were called: of cancelled and expired.';
COMMENT ON COLUMN qms.period_stats.abandonment IS 'Share of those who went before they were called, among all whose wait ended; null: nobody''s did.';
COMMENT ON COLUMN qms.period_stats.waits IS 'How many waits ended.';
COMMENT ON COLUMN qms.period_stats.wait_mean IS 'Mean of these waits, exact; null: none ended.';
COMMENT ON COLUMN qms.period_stats.wait_p50 IS 'Half of these waits were not longer; within 1 %.';
COMMENT ON COLUMN qms.period_stats.wait_p90 IS 'Nine in ten were not longer; within 1 %.';
COMMENT ON COLUMN qms.period_stats.wait_p95 IS '19 in 20 were not longer; within 1 %.';
COMMENT ON COLUMN qms.period_stats.wait_max IS 'The longest, exact.';
COMMENT ON COLUMN qms.period_stats.within_target IS 'Share of waits within the target; null: none ended.';
COMMENT ON COLUMN qms.period_stats.target IS 'Target (setting wait_target); null: queues with several.';
COMMENT ON COLUMN qms.period_stats.services IS 'How many services ended.';
COMMENT ON COLUMN qms.period_stats.service_mean IS 'Mean of these services, exact; null: none ended.';
COMMENT ON COLUMN qms.period_stats.service_p50 IS 'Half of these services were not longer; within 1 %.';
COMMENT ON COLUMN qms.period_stats.service_p90 IS 'Nine in ten were not longer; within 1 %.';
COMMENT ON COLUMN qms.period_stats.service_p95 IS '19 in 20 were not longer; within 1 %.';
COMMENT ON COLUMN qms.period_stats.service_max IS 'The longest, exact.';
COMMENT ON COLUMN qms.period_stats.abandoned_wait_mean IS 'How long those waited who went before they were called, in the mean; null: nobody did.';
COMMENT ON COLUMN qms.period_stats.computed_at IS 'When the oldest of this was computed; null: there is nothing.';

CREATE FUNCTION qms.queue_stats(queue_id bigint, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL)
RETURNS SETOF qms.period_stats LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_queue_stats';
COMMENT ON FUNCTION qms.queue_stats IS 'What a queue was like over a span of time: a row for all classes, then one for each. What counts are the hours that begin within [since, before); null: the last 30 days, to now. Figures are as of computed_at. Callers: staff; app_admins and applications of their waiting rooms. Errors: QM101, 22023, 42501.';

CREATE FUNCTION qms.analytics(scope text, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL, period text DEFAULT 'day', customer_class text DEFAULT NULL)
RETURNS SETOF qms.period_stats LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_analytics';
COMMENT ON FUNCTION qms.analytics IS 'Hours, days or the sum of a span of time, of organization:<id>, branch:<id> or queue:<id>; period is hour, day or total. A row for each that begins within [since, before) and has something; null: the last 30 days, to now. Days are local days: 23 or 25 hours when the clock is changed. Callers: admins and reception; an organization, those of all its branches. Errors: QM101, 22023, 42501.';

CREATE TYPE qms.peak_hour AS (
	rank int,
	weekday int,
	local_hour int,
	days int,
	arrivals bigint,
	arrivals_mean float8,
	wait_mean interval,
	wait_p90 interval,
	within_target float8
);
COMMENT ON TYPE qms.peak_hour IS 'An hour of the week, and how busy it is.';
COMMENT ON COLUMN qms.peak_hour.rank IS '1 is the busiest.';
COMMENT ON COLUMN qms.peak_hour.weekday IS '1 Monday to 7 Sunday.';
COMMENT ON COLUMN qms.peak_hour.local_hour IS 'Hour of the local clock, 0 to 23.';
COMMENT ON COLUMN qms.peak_hour.days IS 'Days of that weekday on which anybody came.';
COMMENT ON COLUMN qms.peak_hour.arrivals IS 'Arrivals in that hour of all those days.';
COMMENT ON COLUMN qms.peak_hour.arrivals_mean IS 'Arrivals a day.';
COMMENT ON COLUMN qms.peak_hour.wait_mean IS 'Mean wait of those called in it; null: nobody.';
COMMENT ON COLUMN qms.peak_hour.wait_p90 IS 'Nine in ten waited no longer; within 1 %.';
COMMENT ON COLUMN qms.peak_hour.within_target IS 'Share of waits within the target; null: nobody was called.';

CREATE FUNCTION qms.peak_hours(scope text, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL)
RETURNS SETOF qms.peak_hour LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_peak_hours';
COMMENT ON FUNCTION qms.peak_hours IS 'The hours of the week in which people come, busiest first, over a span of time (null: the last 30 days, to now) of organization:<id>, branch:<id> or queue:<id>. Callers: admins and reception. Errors: QM101, 22023, 42501.';

CREATE TYPE qms.staff_figures AS (
	staff_id bigint,
	display_name text,
	days int,
	called bigint,
	served bigint,
	no_show bigint,
	transferred bigint,
	requeued bigint,
	service_mean interval,
	service_p50 interval,
	service_p90 interval,
	service_max interval,
	idle interval,
	walking interval,
	serving interval,
	paused interval,
	pauses jsonb
);
COMMENT ON TYPE qms.staff_figures IS 'What a staff member did over a span of time.';
COMMENT ON COLUMN qms.staff_figures.staff_id IS 'Staff member; null: counters that were opened without a name.';
COMMENT ON COLUMN qms.staff_figures.display_name IS 'Name.';
COMMENT ON COLUMN qms.staff_figures.days IS 'Days on which there is something.';
COMMENT ON COLUMN qms.staff_figures.called IS 'Calls.';
COMMENT ON COLUMN qms.staff_figures.served IS 'Services completed.';
COMMENT ON COLUMN qms.staff_figures.no_show IS 'Called in vain.';
COMMENT ON COLUMN qms.staff_figures.transferred IS 'Sent on to another queue.';
COMMENT ON COLUMN qms.staff_figures.requeued IS 'Calls taken back.';
COMMENT ON COLUMN qms.staff_figures.service_mean IS 'Mean length of the completed services; null: none.';
COMMENT ON COLUMN qms.staff_figures.service_p50 IS 'Half were not longer; within 1 %.';
COMMENT ON COLUMN qms.staff_figures.service_p90 IS 'Nine in ten were not longer; within 1 %.';
COMMENT ON COLUMN qms.staff_figures.service_max IS 'The longest.';
COMMENT ON COLUMN qms.staff_figures.idle IS 'Time at an open counter with nobody called.';
COMMENT ON COLUMN qms.staff_figures.walking IS 'From calls to the beginnings of services: while people walk to the counter.';
COMMENT ON COLUMN qms.staff_figures.serving IS 'Time of services.';
COMMENT ON COLUMN qms.staff_figures.paused IS 'Time of pauses.';
COMMENT ON COLUMN qms.staff_figures.pauses IS '{reason: seconds}.';

CREATE FUNCTION qms.staff_performance(branch_id bigint, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL)
RETURNS SETOF qms.staff_figures LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_staff_performance';
COMMENT ON FUNCTION qms.staff_performance IS 'What the staff of a branch did in the hours that begin within [since, before); null: the last 30 days, to now. Callers: admins. Errors: QM101, 22023, 42501.';

CREATE TYPE qms.summary_row AS (
	organization_id bigint,
	branch_id bigint,
	name text,
	waiting bigint,
	at_counters bigint,
	open_counters bigint,
	paused_counters bigint,
	longest_wait interval,
	today date,
	arrivals bigint,
	completed bigint,
	no_show bigint,
	abandoned bigint,
	wait_mean interval,
	wait_p90 interval,
	within_target float8,
	service_mean interval,
	computed_at timestamptz
);
COMMENT ON TYPE qms.summary_row IS 'What goes on now, and what today was like so far.';
COMMENT ON COLUMN qms.summary_row.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.summary_row.branch_id IS 'Branch; null: the whole organization, which comes first.';
COMMENT ON COLUMN qms.summary_row.name IS 'Name.';
COMMENT ON COLUMN qms.summary_row.waiting IS 'Who wait now.';
COMMENT ON COLUMN qms.summary_row.at_counters IS 'Who are called or served now.';
COMMENT ON COLUMN qms.summary_row.open_counters IS 'Counters that are open now, paused ones too.';
COMMENT ON COLUMN qms.summary_row.paused_counters IS 'Of those, paused.';
COMMENT ON COLUMN qms.summary_row.longest_wait IS 'How long the one has waited who came into line first; null: nobody waits.';
COMMENT ON COLUMN qms.summary_row.today IS 'The local date that the rest is of.';
COMMENT ON COLUMN qms.summary_row.arrivals IS 'Arrivals today, as of computed_at.';
COMMENT ON COLUMN qms.summary_row.completed IS 'Services completed today.';
COMMENT ON COLUMN qms.summary_row.no_show IS 'Called in vain today.';
COMMENT ON COLUMN qms.summary_row.abandoned IS 'Went before they were called, today.';
COMMENT ON COLUMN qms.summary_row.wait_mean IS 'Mean wait today; null: nobody was called.';
COMMENT ON COLUMN qms.summary_row.wait_p90 IS 'Nine in ten waited no longer today; within 1 %.';
COMMENT ON COLUMN qms.summary_row.within_target IS 'Share of waits within the target today; null: nobody was called.';
COMMENT ON COLUMN qms.summary_row.service_mean IS 'Mean length of services today; null: none.';
COMMENT ON COLUMN qms.summary_row.computed_at IS 'When the oldest of the figures of today was computed; null: there are none.';

CREATE FUNCTION qms.summary(organization_id bigint DEFAULT NULL)
RETURNS SETOF qms.summary_row LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_summary';
COMMENT ON FUNCTION qms.summary IS 'What goes on in an organization (null: that of the caller) and in each branch: first columns of this moment, the rest of today as of computed_at. Callers: admins and reception of all branches. Errors: QM101, 42501.';

CREATE TYPE qms.callback_error AS (
	delivery_id bigint,
	organization_id bigint,
	endpoint text,
	event_id bigint,
	kind text,
	attempts int,
	last_attempt_at timestamptz,
	status int,
	error text
);
COMMENT ON TYPE qms.callback_error IS 'A callback that failed.';
COMMENT ON COLUMN qms.callback_error.delivery_id IS 'What was to be delivered.';
COMMENT ON COLUMN qms.callback_error.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.callback_error.endpoint IS 'Name of the endpoint.';
COMMENT ON COLUMN qms.callback_error.event_id IS 'Event that it told of.';
COMMENT ON COLUMN qms.callback_error.kind IS 'Kind of the event.';
COMMENT ON COLUMN qms.callback_error.attempts IS 'Attempts so far.';
COMMENT ON COLUMN qms.callback_error.last_attempt_at IS 'When it was tried last.';
COMMENT ON COLUMN qms.callback_error.status IS 'HTTP status of the answer; null: there was none.';
COMMENT ON COLUMN qms.callback_error.error IS 'What went wrong.';

CREATE FUNCTION qms.callback_errors(organization_id bigint DEFAULT NULL, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL, max_rows int DEFAULT 100)
RETURNS SETOF qms.callback_error LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_callback_errors';
COMMENT ON FUNCTION qms.callback_errors IS 'Callbacks that failed, the last ones first. No callbacks are made yet, so there are none. Callers: admins of all branches. Errors: QM101, 22023, 42501.';

CREATE FUNCTION qms.recompute_snapshots(since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL, organization_id bigint DEFAULT NULL)
RETURNS bigint LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_recompute_snapshots';
COMMENT ON FUNCTION qms.recompute_snapshots IS 'Makes the snapshots of the hours in [since, before) anew from the event log, and the days that they belong to; since null: from the beginning of the log, before null: to its end; organization_id null: that of the caller, for a superuser all. Answers how many hours were made; tells the days as it goes, as notices. What partitions of the log have been dropped for stays as it is. Callers: admins of all branches. Errors: QM101, 42501.';
