/* qms.ticket_token: 43 url-safe characters, a visitor's secret */

CREATE TYPE qms.ticket_token;

CREATE FUNCTION qms_internal.ticket_token_in(pg_catalog.cstring) RETURNS qms.ticket_token
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_token_in';
COMMENT ON FUNCTION qms_internal.ticket_token_in(pg_catalog.cstring) IS
	'Text input of qms.ticket_token.';
CREATE FUNCTION qms_internal.ticket_token_out(qms.ticket_token) RETURNS pg_catalog.cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_token_out';
COMMENT ON FUNCTION qms_internal.ticket_token_out(qms.ticket_token) IS
	'Text output of qms.ticket_token.';
CREATE FUNCTION qms_internal.ticket_token_recv(pg_catalog.internal) RETURNS qms.ticket_token
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_token_recv';
COMMENT ON FUNCTION qms_internal.ticket_token_recv(pg_catalog.internal) IS
	'Binary input of qms.ticket_token; checks everything.';
CREATE FUNCTION qms_internal.ticket_token_send(qms.ticket_token) RETURNS pg_catalog.bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_token_send';
COMMENT ON FUNCTION qms_internal.ticket_token_send(qms.ticket_token) IS
	'Binary output of qms.ticket_token.';

CREATE TYPE qms.ticket_token (
	INPUT = qms_internal.ticket_token_in,
	OUTPUT = qms_internal.ticket_token_out,
	RECEIVE = qms_internal.ticket_token_recv,
	SEND = qms_internal.ticket_token_send,
	INTERNALLENGTH = 32,
	ALIGNMENT = char,
	STORAGE = plain
);
COMMENT ON TYPE qms.ticket_token IS
	'Secret that names a visit: 43 url-safe characters holding organization, visit, key and 128 secret bits. Only = and <>, in constant time; errors never repeat it.';

-- operators
CREATE FUNCTION qms_internal.ticket_token_eq(a qms.ticket_token, b qms.ticket_token) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_token_eq';
COMMENT ON FUNCTION qms_internal.ticket_token_eq(a qms.ticket_token, b qms.ticket_token) IS
	'Implementation of the operator =.';
CREATE FUNCTION qms_internal.ticket_token_ne(a qms.ticket_token, b qms.ticket_token) RETURNS pg_catalog.bool
	LANGUAGE c IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qms_ticket_token_ne';
COMMENT ON FUNCTION qms_internal.ticket_token_ne(a qms.ticket_token, b qms.ticket_token) IS
	'Implementation of the operator <>.';

CREATE OPERATOR qms.= (
	FUNCTION = qms_internal.ticket_token_eq,
	LEFTARG = qms.ticket_token, RIGHTARG = qms.ticket_token,
	COMMUTATOR = OPERATOR(qms.=), NEGATOR = OPERATOR(qms.<>),
	RESTRICT = pg_catalog.eqsel, JOIN = pg_catalog.eqjoinsel
);
COMMENT ON OPERATOR qms.= (qms.ticket_token, qms.ticket_token) IS
	'Same token, compared in constant time.';
CREATE OPERATOR qms.<> (
	FUNCTION = qms_internal.ticket_token_ne,
	LEFTARG = qms.ticket_token, RIGHTARG = qms.ticket_token,
	COMMUTATOR = OPERATOR(qms.<>), NEGATOR = OPERATOR(qms.=),
	RESTRICT = pg_catalog.neqsel, JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR qms.<> (qms.ticket_token, qms.ticket_token) IS
	'Another token, compared in constant time.';

-- casts
CREATE CAST (qms.ticket_token AS pg_catalog.text) WITH INOUT;
COMMENT ON CAST (qms.ticket_token AS pg_catalog.text) IS 'The token as its 43 characters; explicit only, so that no secret slips into a text column.';
CREATE CAST (qms.ticket_token AS pg_catalog.varchar) WITH INOUT;
COMMENT ON CAST (qms.ticket_token AS pg_catalog.varchar) IS 'The token as its 43 characters; explicit only, so that no secret slips into a text column.';
CREATE CAST (qms.ticket_token AS pg_catalog.bpchar) WITH INOUT;
COMMENT ON CAST (qms.ticket_token AS pg_catalog.bpchar) IS 'The token as its 43 characters; explicit only, so that no secret slips into a text column.';
CREATE CAST (qms.ticket_token AS pg_catalog.name) WITH INOUT;
COMMENT ON CAST (qms.ticket_token AS pg_catalog.name) IS 'The token as its 43 characters; explicit only, so that no secret slips into a text column.';
CREATE CAST (pg_catalog.text AS qms.ticket_token) WITH INOUT;
COMMENT ON CAST (pg_catalog.text AS qms.ticket_token) IS 'Read a token.';
