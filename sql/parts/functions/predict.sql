/* How long people wait. */

CREATE FUNCTION qms.set_staffing_plan(queue_id bigint, plan jsonb, request_id uuid DEFAULT NULL)
RETURNS SETOF qms.staffing_plan LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_set_staffing_plan';
COMMENT ON FUNCTION qms.set_staffing_plan IS 'Replaces the plan of how many counters work for a counter queue in the course of a week: {"mon": [["08:00", "10:00", 2], ["10:00", "12:00", 4]], "tue": ...}, keys mon to sun, local time from, until ("24:00" at most) and counters (0: nobody). Where the plan says nothing, it is as many as are open. Wait figures look ahead along it; it opens and closes nothing. null or {} removes it. Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM704 a plan that makes no sense or overlaps; QM307 a waiting room.';

CREATE TYPE qms.wait_quality AS (
	queue_id bigint,
	since timestamptz,
	before timestamptz,
	waits bigint,
	mean_waited interval,
	mean_told interval,
	bias float8,
	mean_error interval,
	ase float8,
	rrase float8,
	coverage float8,
	sooner float8,
	later float8,
	at_once bigint,
	at_once_waited interval,
	learned_service interval,
	learned_leave_rate float8,
	learned_from float8
);
CREATE FUNCTION qms.prediction_quality(queue_id bigint, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL)
RETURNS qms.wait_quality LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_prediction_quality';
COMMENT ON FUNCTION qms.prediction_quality IS 'How well the wait figures that people of a counter queue were given agree with how long they waited: of those called from since (default: 7 days before "before") to before (default: now), and told to wait. Callers: staff, administrators. Errors: QM101, QM307 a waiting room.';

CREATE FUNCTION qms_internal.wait_mean(p10 interval, p50 interval, p90 interval) RETURNS float8
LANGUAGE c IMMUTABLE STRICT
AS 'MODULE_PATHNAME', 'qms_wait_mean';
COMMENT ON FUNCTION qms_internal.wait_mean IS 'Mean, in seconds, of the gamma distribution whose quantiles somebody was told.';

CREATE FUNCTION qms_internal.wait_forecast(people_ahead float8, counters float8, service float8 DEFAULT 300, intercept float8 DEFAULT 1,
	fixed float8 DEFAULT 1, each_ahead float8 DEFAULT 1, doubt float8 DEFAULT 0, leave_rate float8 DEFAULT 0,
	passed float8[] DEFAULT '{}', rates float8[] DEFAULT '{}', plan_until float8[] DEFAULT '{}', plan_counters float8[] DEFAULT '{}')
RETURNS float8[] LANGUAGE c IMMUTABLE STRICT
AS 'MODULE_PATHNAME', 'qms_wait_forecast_by_hand';
COMMENT ON FUNCTION qms_internal.wait_forecast IS 'Seconds: mean, standard deviation, and what one in ten, half and nine in ten wait less, behind so many people at so many counters; service in seconds, leave_rate of each who waits a second, passed: seconds in which people still come who pass, at rates a second; plan: counters until so many seconds from now, then those given. What place figures are made of, for tests.';

CREATE FUNCTION qms_internal.learn_waits(queue_id bigint) RETURNS boolean
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'qms_learn_waits_by_hand';
COMMENT ON FUNCTION qms_internal.learn_waits IS 'What the scheduler does for a counter queue at the moment of qms_clock_now(), in the caller''s transaction: learns from those who have been called or left. True: there is more to learn. For tests and benches of superusers, and where no scheduler runs.';

CREATE FUNCTION qms_internal.wait_figures(queue_id bigint, people_ahead bigint, times int DEFAULT 1) RETURNS float8[]
LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'qms_wait_figures_by_hand';
COMMENT ON FUNCTION qms_internal.wait_figures IS 'Seconds that one in ten, half and nine in ten wait less behind so many people of a counter queue, now, and microseconds that it took to say so; asked so many times. For benches of superusers.';
