/* qms.ticket_number: A001, VIP-042, 042 */

CREATE TYPE qms.ticket_number;

CREATE FUNCTION qms_internal.ticket_number_in(pg_catalog.cstring) RETURNS qms.ticket_number
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_in';
COMMENT ON FUNCTION qms_internal.ticket_number_in(pg_catalog.cstring) IS
	'Text input of qms.ticket_number.';
CREATE FUNCTION qms_internal.ticket_number_out(qms.ticket_number) RETURNS pg_catalog.cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_out';
COMMENT ON FUNCTION qms_internal.ticket_number_out(qms.ticket_number) IS
	'Text output of qms.ticket_number.';
CREATE FUNCTION qms_internal.ticket_number_recv(pg_catalog.internal) RETURNS qms.ticket_number
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_recv';
COMMENT ON FUNCTION qms_internal.ticket_number_recv(pg_catalog.internal) IS
	'Binary input of qms.ticket_number; checks everything.';
CREATE FUNCTION qms_internal.ticket_number_send(qms.ticket_number) RETURNS pg_catalog.bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_send';
COMMENT ON FUNCTION qms_internal.ticket_number_send(qms.ticket_number) IS
	'Binary output of qms.ticket_number.';

CREATE TYPE qms.ticket_number (
	INPUT = qms_internal.ticket_number_in,
	OUTPUT = qms_internal.ticket_number_out,
	RECEIVE = qms_internal.ticket_number_recv,
	SEND = qms_internal.ticket_number_send,
	INTERNALLENGTH = 12,
	ALIGNMENT = int4,
	STORAGE = plain
);
COMMENT ON TYPE qms.ticket_number IS
	'Number on a ticket, like A001, VIP-042 or 042: 0-5 letters, a dash if wanted, 1 to 999999. Ordered by prefix, then number; zeros and dash are display only.';

-- operators
CREATE FUNCTION qms_internal.ticket_number_eq(a qms.ticket_number, b qms.ticket_number) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_eq';
COMMENT ON FUNCTION qms_internal.ticket_number_eq(a qms.ticket_number, b qms.ticket_number) IS
	'Implementation of the operator =.';
CREATE FUNCTION qms_internal.ticket_number_ne(a qms.ticket_number, b qms.ticket_number) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_ne';
COMMENT ON FUNCTION qms_internal.ticket_number_ne(a qms.ticket_number, b qms.ticket_number) IS
	'Implementation of the operator <>.';
CREATE FUNCTION qms_internal.ticket_number_lt(a qms.ticket_number, b qms.ticket_number) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_lt';
COMMENT ON FUNCTION qms_internal.ticket_number_lt(a qms.ticket_number, b qms.ticket_number) IS
	'Implementation of the operator <.';
CREATE FUNCTION qms_internal.ticket_number_le(a qms.ticket_number, b qms.ticket_number) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_le';
COMMENT ON FUNCTION qms_internal.ticket_number_le(a qms.ticket_number, b qms.ticket_number) IS
	'Implementation of the operator <=.';
CREATE FUNCTION qms_internal.ticket_number_gt(a qms.ticket_number, b qms.ticket_number) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_gt';
COMMENT ON FUNCTION qms_internal.ticket_number_gt(a qms.ticket_number, b qms.ticket_number) IS
	'Implementation of the operator >.';
CREATE FUNCTION qms_internal.ticket_number_ge(a qms.ticket_number, b qms.ticket_number) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_ge';
COMMENT ON FUNCTION qms_internal.ticket_number_ge(a qms.ticket_number, b qms.ticket_number) IS
	'Implementation of the operator >=.';

CREATE OPERATOR qms.= (
	FUNCTION = qms_internal.ticket_number_eq,
	LEFTARG = qms.ticket_number, RIGHTARG = qms.ticket_number,
	COMMUTATOR = OPERATOR(qms.=), NEGATOR = OPERATOR(qms.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel,
	HASHES, MERGES
);
COMMENT ON OPERATOR qms.= (qms.ticket_number, qms.ticket_number) IS
	'Same prefix and number, however written.';
CREATE OPERATOR qms.<> (
	FUNCTION = qms_internal.ticket_number_ne,
	LEFTARG = qms.ticket_number, RIGHTARG = qms.ticket_number,
	COMMUTATOR = OPERATOR(qms.<>), NEGATOR = OPERATOR(qms.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR qms.<> (qms.ticket_number, qms.ticket_number) IS
	'Another prefix or number.';
CREATE OPERATOR qms.< (
	FUNCTION = qms_internal.ticket_number_lt,
	LEFTARG = qms.ticket_number, RIGHTARG = qms.ticket_number,
	COMMUTATOR = OPERATOR(qms.>), NEGATOR = OPERATOR(qms.>=),
	RESTRICT = pg_catalog.scalarltsel, JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR qms.< (qms.ticket_number, qms.ticket_number) IS
	'Before, by prefix and number.';
CREATE OPERATOR qms.<= (
	FUNCTION = qms_internal.ticket_number_le,
	LEFTARG = qms.ticket_number, RIGHTARG = qms.ticket_number,
	COMMUTATOR = OPERATOR(qms.>=), NEGATOR = OPERATOR(qms.>),
	RESTRICT = pg_catalog.scalarlesel, JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR qms.<= (qms.ticket_number, qms.ticket_number) IS
	'Before or the same.';
CREATE OPERATOR qms.> (
	FUNCTION = qms_internal.ticket_number_gt,
	LEFTARG = qms.ticket_number, RIGHTARG = qms.ticket_number,
	COMMUTATOR = OPERATOR(qms.<), NEGATOR = OPERATOR(qms.<=),
	RESTRICT = pg_catalog.scalargtsel, JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR qms.> (qms.ticket_number, qms.ticket_number) IS
	'After, by prefix and number.';
CREATE OPERATOR qms.>= (
	FUNCTION = qms_internal.ticket_number_ge,
	LEFTARG = qms.ticket_number, RIGHTARG = qms.ticket_number,
	COMMUTATOR = OPERATOR(qms.<=), NEGATOR = OPERATOR(qms.<),
	RESTRICT = pg_catalog.scalargesel, JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR qms.>= (qms.ticket_number, qms.ticket_number) IS
	'After or the same.';

-- indexes, sorts and hashes
CREATE FUNCTION qms_internal.ticket_number_cmp(a qms.ticket_number, b qms.ticket_number) RETURNS pg_catalog.int4
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_cmp';
COMMENT ON FUNCTION qms_internal.ticket_number_cmp(a qms.ticket_number, b qms.ticket_number) IS
	'Btree comparison: less than, equal to or greater than zero.';
CREATE FUNCTION qms_internal.ticket_number_sortsupport(pg_catalog.internal) RETURNS pg_catalog.void
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_sortsupport';
COMMENT ON FUNCTION qms_internal.ticket_number_sortsupport(pg_catalog.internal) IS
	'Btree sort support with abbreviated keys.';
CREATE FUNCTION qms_internal.ticket_number_hash(value qms.ticket_number) RETURNS pg_catalog.int4
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_hash';
COMMENT ON FUNCTION qms_internal.ticket_number_hash(value qms.ticket_number) IS
	'Hash that agrees with the operator =.';
CREATE FUNCTION qms_internal.ticket_number_hash_extended(value qms.ticket_number, seed pg_catalog.int8) RETURNS pg_catalog.int8
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_hash_extended';
COMMENT ON FUNCTION qms_internal.ticket_number_hash_extended(value qms.ticket_number, seed pg_catalog.int8) IS
	'Seeded 64-bit hash that agrees with the operator =.';

CREATE OPERATOR FAMILY qms.ticket_number_ops USING btree;
COMMENT ON OPERATOR FAMILY qms.ticket_number_ops USING btree IS 'Btree operators of qms.ticket_number.';
CREATE OPERATOR CLASS qms.ticket_number_ops
	DEFAULT FOR TYPE qms.ticket_number USING btree FAMILY qms.ticket_number_ops AS
	OPERATOR 1 qms.<,
	OPERATOR 2 qms.<=,
	OPERATOR 3 qms.=,
	OPERATOR 4 qms.>=,
	OPERATOR 5 qms.>,
	FUNCTION 1 qms_internal.ticket_number_cmp(qms.ticket_number, qms.ticket_number),
	FUNCTION 2 qms_internal.ticket_number_sortsupport(pg_catalog.internal);
COMMENT ON OPERATOR CLASS qms.ticket_number_ops USING btree IS 'Order of qms.ticket_number: by prefix, then number.';

CREATE OPERATOR FAMILY qms.ticket_number_ops USING hash;
COMMENT ON OPERATOR FAMILY qms.ticket_number_ops USING hash IS 'Hash operators of qms.ticket_number.';
CREATE OPERATOR CLASS qms.ticket_number_ops
	DEFAULT FOR TYPE qms.ticket_number USING hash FAMILY qms.ticket_number_ops AS
	OPERATOR 1 qms.=,
	FUNCTION 1 qms_internal.ticket_number_hash(qms.ticket_number),
	FUNCTION 2 qms_internal.ticket_number_hash_extended(qms.ticket_number, pg_catalog.int8);
COMMENT ON OPERATOR CLASS qms.ticket_number_ops USING hash IS 'Hash of qms.ticket_number: by prefix, then number.';

-- casts
CREATE CAST (qms.ticket_number AS pg_catalog.text) WITH INOUT AS ASSIGNMENT;
COMMENT ON CAST (qms.ticket_number AS pg_catalog.text) IS 'The ticket number as displayed.';
CREATE CAST (pg_catalog.text AS qms.ticket_number) WITH INOUT;
COMMENT ON CAST (pg_catalog.text AS qms.ticket_number) IS 'Read a ticket number.';

-- parts
CREATE FUNCTION qms.prefix(ticket_number qms.ticket_number) RETURNS pg_catalog.text
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_prefix';
COMMENT ON FUNCTION qms.prefix(ticket_number qms.ticket_number) IS
	'Letters of a ticket number, without the dash; empty when it has none.';
CREATE FUNCTION qms.number(ticket_number qms.ticket_number) RETURNS pg_catalog.int4
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_number_number';
COMMENT ON FUNCTION qms.number(ticket_number qms.ticket_number) IS
	'Number of a ticket number: 42 of VIP-042.';
CREATE FUNCTION qms.make_ticket_number(prefix pg_catalog.text, number pg_catalog.int4, width pg_catalog.int4 DEFAULT 3) RETURNS qms.ticket_number
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_make_ticket_number';
COMMENT ON FUNCTION qms.make_ticket_number(prefix pg_catalog.text, number pg_catalog.int4, width pg_catalog.int4) IS
	'Make a ticket number of up to 5 letters (a dash behind them is kept), a number and how many digits to show at least.';
