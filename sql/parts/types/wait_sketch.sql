/* qms.wait_sketch: a distribution of durations that can be added, {0:3,57:12} */

CREATE TYPE qms.wait_sketch;

CREATE FUNCTION qms_internal.wait_sketch_in(pg_catalog.cstring) RETURNS qms.wait_sketch
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_in';
COMMENT ON FUNCTION qms_internal.wait_sketch_in(pg_catalog.cstring) IS
	'Text input of qms.wait_sketch.';
CREATE FUNCTION qms_internal.wait_sketch_out(qms.wait_sketch) RETURNS pg_catalog.cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_out';
COMMENT ON FUNCTION qms_internal.wait_sketch_out(qms.wait_sketch) IS
	'Text output of qms.wait_sketch.';
CREATE FUNCTION qms_internal.wait_sketch_recv(pg_catalog.internal) RETURNS qms.wait_sketch
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_recv';
COMMENT ON FUNCTION qms_internal.wait_sketch_recv(pg_catalog.internal) IS
	'Binary input of qms.wait_sketch; checks everything.';
CREATE FUNCTION qms_internal.wait_sketch_send(qms.wait_sketch) RETURNS pg_catalog.bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_send';
COMMENT ON FUNCTION qms_internal.wait_sketch_send(qms.wait_sketch) IS
	'Binary output of qms.wait_sketch.';

CREATE TYPE qms.wait_sketch (
	INPUT = qms_internal.wait_sketch_in,
	OUTPUT = qms_internal.wait_sketch_out,
	RECEIVE = qms_internal.wait_sketch_recv,
	SEND = qms_internal.wait_sketch_send,
	INTERNALLENGTH = variable,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE qms.wait_sketch IS
	'A distribution of durations that can be added, as counts in bins: bin 0 is below a second, bin i ends at (1.01 / 0.99)^i seconds, the last holds all from about 7 days. Written {bin:count,...}. A quantile is at most 1 % from a duration that was there (below a second: 0), of a sum as of its parts.';

CREATE FUNCTION qms.make_wait_sketch(durations interval[]) RETURNS qms.wait_sketch
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_make';
COMMENT ON FUNCTION qms.make_wait_sketch IS
	'The distribution of some durations; nulls are left out, negative ones count as 0. Errors: 22023 (months).';
CREATE FUNCTION qms.sketch_quantile(sketch qms.wait_sketch, q float8) RETURNS interval
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_quantile';
COMMENT ON FUNCTION qms.sketch_quantile IS
	'The duration that a part q (0 to 1) of all does not exceed: at most 1 % from the one at that rank, 0 if that is below a second; null if there is none. Errors: 22003.';
CREATE FUNCTION qms.sketch_count(sketch qms.wait_sketch) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_count';
COMMENT ON FUNCTION qms.sketch_count IS
	'How many durations are in it.';
CREATE FUNCTION qms.sketch_count_up_to(sketch qms.wait_sketch, duration interval) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_count_up_to';
COMMENT ON FUNCTION qms.sketch_count_up_to IS
	'How many of them are not longer than a duration; exact but for those within 1 % of it. Errors: 22023 (months).';

CREATE FUNCTION qms_internal.wait_sketch_accumulate(pg_catalog.internal, qms.wait_sketch) RETURNS pg_catalog.internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_accumulate';
COMMENT ON FUNCTION qms_internal.wait_sketch_accumulate IS
	'Step of qms.sketch_merge.';
CREATE FUNCTION qms_internal.wait_sketch_finish(pg_catalog.internal) RETURNS qms.wait_sketch
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_wait_sketch_finish';
COMMENT ON FUNCTION qms_internal.wait_sketch_finish IS
	'End of qms.sketch_merge.';
CREATE AGGREGATE qms.sketch_merge(sketch qms.wait_sketch) (
	SFUNC = qms_internal.wait_sketch_accumulate,
	STYPE = pg_catalog.internal,
	FINALFUNC = qms_internal.wait_sketch_finish
);
COMMENT ON AGGREGATE qms.sketch_merge(qms.wait_sketch) IS
	'The sum of distributions: that of all their durations together. Null if there is none.';
