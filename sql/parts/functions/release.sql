/* Waiting rooms: letting people in. */

CREATE TYPE qms.release_state AS (
	queue_id bigint,
	release_pool_id bigint,
	state text,
	rate qms.release_rate,
	effective_rate qms.release_rate,
	load_factor float8,
	no_show float8,
	inside bigint,
	max_active int,
	pool_inside bigint,
	pool_max_active int,
	released bigint,
	claimed bigint,
	missed bigint,
	ended bigint,
	waiting bigint,
	next_release_at timestamptz,
	stopped_at timestamptz,
	opens_at timestamptz,
	drawn_at timestamptz
);
CREATE TYPE qms.released_ticket AS (
	ticket_id bigint,
	visit_id bigint,
	queue_id bigint,
	subject text,
	released_at timestamptz,
	claim_until timestamptz
);

CREATE FUNCTION qms.set_release_rate(queue_id bigint, rate qms.release_rate, request_id uuid DEFAULT NULL)
RETURNS qms.release_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_set_release_rate';
COMMENT ON FUNCTION qms.set_release_rate IS 'Sets how fast people are let in, from this moment on: what has been earned until now stays to the fraction of a person. Null: only by release_next. The same as the setting rate of the queue. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM307 no release queue, QM702 a queue of a release pool, which shares the rate of that.';

CREATE FUNCTION qms.release_next(queue_id bigint, count int DEFAULT 1, request_id uuid DEFAULT NULL)
RETURNS SETOF qms.released_ticket LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_release_next';
COMMENT ON FUNCTION qms.release_next IS 'Lets the next people of the line in, at once and beside the rate, also while the queue is paused; never more than max_active of the queue and its pool leave room for, so perhaps fewer rows than count (1 to 1000), or none. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM306 before opens_at or the draw, QM307 no release queue, QM420 stopped, 22023.';

CREATE FUNCTION qms.report_load(queue_id bigint, load float8, request_id uuid DEFAULT NULL)
RETURNS qms.release_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_report_load';
COMMENT ON FUNCTION qms.report_load IS 'The application says how busy it is: 1 is as much as it can bear. Above 1 the rate becomes nine tenths of what it was, down to adapt_min percent; below 0.9 it gains a twentieth of the full rate, up to all of it. At most one step a second; in a release pool for all of its queues. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM307 no release queue, 22023.';

CREATE FUNCTION qms.stop_queue(queue_id bigint, reason text DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.release_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_stop_queue';
COMMENT ON FUNCTION qms.stop_queue IS 'Emergency stop of a waiting room: from the commit on nobody is let in, no right to enter is claimed and no access is found valid, until open_queue. Places are kept. Callers: superusers, administrators, applications and staff but callers, in their branches. Errors: QM101, QM307 no release queue.';

CREATE FUNCTION qms.release_status(queue_id bigint)
RETURNS qms.release_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_release_status';
COMMENT ON FUNCTION qms.release_status IS 'What a waiting room does now: its rate, who is inside, counters, and when the next person is let in. Callers: superusers, administrators, applications and staff. Errors: QM101, QM307 no release queue.';
