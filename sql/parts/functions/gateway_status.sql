/* Gateways: which are there, and how they are. */
CREATE FUNCTION qms_internal.gateway_status(OUT name text, OUT host text, OUT pid int, OUT state text, OUT reason text, OUT listen text, OUT since timestamptz,
	OUT restarts bigint, OUT last_error text, OUT last_error_at timestamptz, OUT connections bigint, OUT subscriptions bigint, OUT messages bigint, OUT bytes bigint,
	OUT lag interval, OUT drops bigint, OUT reported_at timestamptz, OUT databases jsonb)
RETURNS SETOF record LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_gateway_status';
COMMENT ON FUNCTION qms_internal.gateway_status IS 'Rows of the view qms.gateway_status.';

CREATE FUNCTION qms_internal.gateway_report(name text, status jsonb)
RETURNS void LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_gateway_report';
COMMENT ON FUNCTION qms_internal.gateway_report IS 'A gateway elsewhere says how it is, for qms.gateway_status; it does so every few seconds, and is forgotten after five minutes. name: at most 63 bytes, its own, such as its host and port. status: an object with pid, listen, connections, subscriptions, messages, bytes, lag_ms, drops, last_error, databases ([{"name", "connected", "position", "error"}]), each of which may be missing. Kept in shared memory, 64 gateways at most (who has been silent for longest goes); nothing is written, so it works on a standby. Callers: members of qms_gateway. Errors: 22003, 22004, 22023.';

CREATE VIEW qms.gateway_status WITH (security_barrier) AS
SELECT s.name, s.host, s.pid, s.state, s.reason, s.listen, s.since, s.restarts, s.last_error, s.last_error_at, s.connections, s.subscriptions, s.messages, s.bytes,
	s.lag, s.drops, s.reported_at, s.databases
FROM qms_internal.gateway_status() s;
COMMENT ON VIEW qms.gateway_status IS 'The gateways: the one that this server runs itself, and those elsewhere that have said something in this database (superusers: in any) within the last five minutes. Empty without shared_preload_libraries.';
COMMENT ON COLUMN qms.gateway_status.name IS 'local for the one that this server runs itself; others say how they are called.';
COMMENT ON COLUMN qms.gateway_status.host IS 'Address that its connections come from; null for the local one.';
COMMENT ON COLUMN qms.gateway_status.pid IS 'Process id of the program, on its host; null: it does not run, or has not said.';
COMMENT ON COLUMN qms.gateway_status.state IS 'off: it is not to run; waiting: for a database, or on a standby; starting; listening; failed: see last_error, it is tried again within a minute. Those elsewhere are listening.';
COMMENT ON COLUMN qms.gateway_status.reason IS 'Why it does not run, where that is no failure.';
COMMENT ON COLUMN qms.gateway_status.listen IS 'Addresses and ports that it listens on.';
COMMENT ON COLUMN qms.gateway_status.since IS 'Since when it is in this state; of others: since when they have been heard of.';
COMMENT ON COLUMN qms.gateway_status.restarts IS 'How often the program was started again since the server started.';
COMMENT ON COLUMN qms.gateway_status.last_error IS 'What went wrong last; for superusers and members of qms_super_admin or pg_monitor.';
COMMENT ON COLUMN qms.gateway_status.last_error_at IS 'When that was.';
COMMENT ON COLUMN qms.gateway_status.connections IS 'Clients that are connected. This and the other figures: of all databases that it serves; for superusers and members of qms_super_admin or pg_monitor.';
COMMENT ON COLUMN qms.gateway_status.subscriptions IS 'Subscriptions of these clients.';
COMMENT ON COLUMN qms.gateway_status.messages IS 'Messages sent since the program started.';
COMMENT ON COLUMN qms.gateway_status.bytes IS 'Bytes sent since the program started.';
COMMENT ON COLUMN qms.gateway_status.lag IS 'From the doorbell of the database to the last client, for the last events.';
COMMENT ON COLUMN qms.gateway_status.drops IS 'Clients that were disconnected, or messages left out, because they did not read fast enough.';
COMMENT ON COLUMN qms.gateway_status.reported_at IS 'When it has said this; it says nothing while nothing changes.';
COMMENT ON COLUMN qms.gateway_status.databases IS 'Of each database (others than superusers: this one) name, connected, position that its clients have seen, error.';
