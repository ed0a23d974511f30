/* qms.release_rate: 30/min, 5/s, 1000/h, 1.5/min */

CREATE TYPE qms.release_rate;

CREATE FUNCTION qms_internal.release_rate_in(pg_catalog.cstring) RETURNS qms.release_rate
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_in';
COMMENT ON FUNCTION qms_internal.release_rate_in(pg_catalog.cstring) IS
	'Text input of qms.release_rate.';
CREATE FUNCTION qms_internal.release_rate_out(qms.release_rate) RETURNS pg_catalog.cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_out';
COMMENT ON FUNCTION qms_internal.release_rate_out(qms.release_rate) IS
	'Text output of qms.release_rate.';
CREATE FUNCTION qms_internal.release_rate_recv(pg_catalog.internal) RETURNS qms.release_rate
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_recv';
COMMENT ON FUNCTION qms_internal.release_rate_recv(pg_catalog.internal) IS
	'Binary input of qms.release_rate; checks everything.';
CREATE FUNCTION qms_internal.release_rate_send(qms.release_rate) RETURNS pg_catalog.bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_send';
COMMENT ON FUNCTION qms_internal.release_rate_send(qms.release_rate) IS
	'Binary output of qms.release_rate.';

CREATE TYPE qms.release_rate (
	INPUT = qms_internal.release_rate_in,
	OUTPUT = qms_internal.release_rate_out,
	RECEIVE = qms_internal.release_rate_recv,
	SEND = qms_internal.release_rate_send,
	INTERNALLENGTH = 16,
	ALIGNMENT = double,
	STORAGE = plain
);
COMMENT ON TYPE qms.release_rate IS
	'Speed of admission, like 30/min, 5/s, 1000/h or 1.5/min (units s, min, h, d). Exact; compared by speed, so 60/min = 1/s; never zero, at most a million per second.';

-- operators
CREATE FUNCTION qms_internal.release_rate_eq(a qms.release_rate, b qms.release_rate) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_eq';
COMMENT ON FUNCTION qms_internal.release_rate_eq(a qms.release_rate, b qms.release_rate) IS
	'Implementation of the operator =.';
CREATE FUNCTION qms_internal.release_rate_ne(a qms.release_rate, b qms.release_rate) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_ne';
COMMENT ON FUNCTION qms_internal.release_rate_ne(a qms.release_rate, b qms.release_rate) IS
	'Implementation of the operator <>.';
CREATE FUNCTION qms_internal.release_rate_lt(a qms.release_rate, b qms.release_rate) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_lt';
COMMENT ON FUNCTION qms_internal.release_rate_lt(a qms.release_rate, b qms.release_rate) IS
	'Implementation of the operator <.';
CREATE FUNCTION qms_internal.release_rate_le(a qms.release_rate, b qms.release_rate) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_le';
COMMENT ON FUNCTION qms_internal.release_rate_le(a qms.release_rate, b qms.release_rate) IS
	'Implementation of the operator <=.';
CREATE FUNCTION qms_internal.release_rate_gt(a qms.release_rate, b qms.release_rate) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_gt';
COMMENT ON FUNCTION qms_internal.release_rate_gt(a qms.release_rate, b qms.release_rate) IS
	'Implementation of the operator >.';
CREATE FUNCTION qms_internal.release_rate_ge(a qms.release_rate, b qms.release_rate) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_ge';
COMMENT ON FUNCTION qms_internal.release_rate_ge(a qms.release_rate, b qms.release_rate) IS
	'Implementation of the operator >=.';

CREATE OPERATOR qms.= (
	FUNCTION = qms_internal.release_rate_eq,
	LEFTARG = qms.release_rate, RIGHTARG = qms.release_rate,
	COMMUTATOR = OPERATOR(qms.=), NEGATOR = OPERATOR(qms.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel,
	HASHES, MERGES
);
COMMENT ON OPERATOR qms.= (qms.release_rate, qms.release_rate) IS
	'Same speed, in whatever unit.';
CREATE OPERATOR qms.<> (
	FUNCTION = qms_internal.release_rate_ne,
	LEFTARG = qms.release_rate, RIGHTARG = qms.release_rate,
	COMMUTATOR = OPERATOR(qms.<>), NEGATOR = OPERATOR(qms.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR qms.<> (qms.release_rate, qms.release_rate) IS
	'Another speed.';
CREATE OPERATOR qms.< (
	FUNCTION = qms_internal.release_rate_lt,
	LEFTARG = qms.release_rate, RIGHTARG = qms.release_rate,
	COMMUTATOR = OPERATOR(qms.>), NEGATOR = OPERATOR(qms.>=),
	RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR qms.< (qms.release_rate, qms.release_rate) IS
	'Slower.';
CREATE OPERATOR qms.<= (
	FUNCTION = qms_internal.release_rate_le,
	LEFTARG = qms.release_rate, RIGHTARG = qms.release_rate,
	COMMUTATOR = OPERATOR(qms.>=), NEGATOR = OPERATOR(qms.>),
	RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR qms.<= (qms.release_rate, qms.release_rate) IS
	'Slower or as fast.';
CREATE OPERATOR qms.> (
	FUNCTION = qms_internal.release_rate_gt,
	LEFTARG = qms.release_rate, RIGHTARG = qms.release_rate,
	COMMUTATOR = OPERATOR(qms.<), NEGATOR = OPERATOR(qms.<=),
	RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR qms.> (qms.release_rate, qms.release_rate) IS
	'Faster.';
CREATE OPERATOR qms.>= (
	FUNCTION = qms_internal.release_rate_ge,
	LEFTARG = qms.release_rate, RIGHTARG = qms.release_rate,
	COMMUTATOR = OPERATOR(qms.<=), NEGATOR = OPERATOR(qms.<),
	RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR qms.>= (qms.release_rate, qms.release_rate) IS
	'Faster or as fast.';

-- indexes, sorts and hashes
CREATE FUNCTION qms_internal.release_rate_cmp(a qms.release_rate, b qms.release_rate) RETURNS pg_catalog.int4
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_cmp';
COMMENT ON FUNCTION qms_internal.release_rate_cmp(a qms.release_rate, b qms.release_rate) IS
	'Btree comparison: less than, equal to or greater than zero.';
CREATE FUNCTION qms_internal.release_rate_sortsupport(pg_catalog.internal) RETURNS pg_catalog.void
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_sortsupport';
COMMENT ON FUNCTION qms_internal.release_rate_sortsupport(pg_catalog.internal) IS
	'Btree sort support with abbreviated keys.';
CREATE FUNCTION qms_internal.release_rate_hash(value qms.release_rate) RETURNS pg_catalog.int4
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_hash';
COMMENT ON FUNCTION qms_internal.release_rate_hash(value qms.release_rate) IS
	'Hash that agrees with the operator =.';
CREATE FUNCTION qms_internal.release_rate_hash_extended(value qms.release_rate, seed pg_catalog.int8) RETURNS pg_catalog.int8
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_hash_extended';
COMMENT ON FUNCTION qms_internal.release_rate_hash_extended(value qms.release_rate, seed pg_catalog.int8) IS
	'Seeded 64-bit hash that agrees with the operator =.';

CREATE OPERATOR FAMILY qms.release_rate_ops USING btree;
COMMENT ON OPERATOR FAMILY qms.release_rate_ops USING btree IS 'Btree operators of qms.release_rate.';
CREATE OPERATOR CLASS qms.release_rate_ops
	DEFAULT FOR TYPE qms.release_rate USING btree FAMILY qms.release_rate_ops AS
	OPERATOR 1 qms.<,
	OPERATOR 2 qms.<=,
	OPERATOR 3 qms.=,
	OPERATOR 4 qms.>=,
	OPERATOR 5 qms.>,
	FUNCTION 1 qms_internal.release_rate_cmp(qms.release_rate, qms.release_rate),
	FUNCTION 2 qms_internal.release_rate_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS qms.release_rate_ops USING btree IS 'Order of qms.release_rate: by exact speed.';

CREATE OPERATOR FAMILY qms.release_rate_ops USING hash;
COMMENT ON OPERATOR FAMILY qms.release_rate_ops USING hash IS 'Hash operators of qms.release_rate.';
CREATE OPERATOR CLASS qms.release_rate_ops
	DEFAULT FOR TYPE qms.release_rate USING hash FAMILY qms.release_rate_ops AS
	OPERATOR 1 qms.=,
	FUNCTION 1 qms_internal.release_rate_hash(qms.release_rate),
	FUNCTION 2 qms_internal.release_rate_hash_extended(qms.release_rate, pg_catalog.int8);
COMMENT ON OPERATOR CLASS qms.release_rate_ops USING hash IS 'Hash of qms.release_rate: by exact speed.';

-- casts
CREATE CAST (qms.release_rate AS pg_catalog.text) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (qms.release_rate AS pg_catalog.text) IS 'The release rate as written, without needless zeros.';
CREATE CAST (pg_catalog.text AS qms.release_rate) WITH INOUT;
COMMENT ON CAST (pg_catalog.text AS qms.release_rate) IS 'Read a release rate.';

-- arithmetic
CREATE FUNCTION qms.released(rate qms.release_rate, elapsed pg_catalog.interval) RETURNS pg_catalog.int8
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_released';
COMMENT ON FUNCTION qms.released(rate qms.release_rate, elapsed pg_catalog.interval) IS
	'How many people a rate has released after a time, rounded down exactly. A day is 24 hours; months and negative intervals are refused.';
CREATE FUNCTION qms.per_second(rate qms.release_rate) RETURNS pg_catalog.float8
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_release_rate_per_second';
COMMENT ON FUNCTION qms.per_second(rate qms.release_rate) IS
	'A release rate in people per second, as a floating-point number.';
