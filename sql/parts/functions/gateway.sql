/*
 * What the gateway asks.  For members of qms_gateway only, who serve people of
 * all organizations: none of these passes the gate.
 */
CREATE FUNCTION qms_internal.gateway_hello(OUT database text, OUT epoch text, OUT last_position bigint, OUT pruned_position bigint, OUT version text)
RETURNS SETOF record LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_gateway_hello';
COMMENT ON FUNCTION qms_internal.gateway_hello IS 'For the gateway: where the stream is, and the version of the extension. No row while the database has not been adopted. Callers: members of qms_gateway. Errors: 42501.';

CREATE FUNCTION qms_internal.gateway_events(after_position bigint, epoch text DEFAULT NULL, max_rows int DEFAULT 1000, figures_of bigint[] DEFAULT NULL, patience int DEFAULT 0,
	OUT "position" bigint, OUT organization_id bigint, OUT branch_id bigint, OUT zone_id bigint, OUT queue_id bigint, OUT application_id bigint, OUT visit_id bigint,
	OUT is_system boolean, OUT recheck boolean, OUT public_text text, OUT full_text text, OUT system_text text, OUT visit_text text, OUT other_queue_id bigint, OUT resnapshot boolean, OUT at_us bigint)
RETURNS SETOF record LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_gateway_events';
COMMENT ON FUNCTION qms_internal.gateway_events IS 'For the gateway: all events published after a position of an epoch, in order, as JSON in the forms that different people may see: public_text for display and queue (null: not shown there), full_text for staff, admin and application, visit_text for visit, system_text for system. other_queue_id: a public queue that a ticket has left with this event, whose channel should have it as well. resnapshot: something has changed that displays and queues of the branch (null: of the organization) show and no public event tells. zone_id is null for every zone, -1 for none: at a counter that is in no zone. recheck: somebody may have lost or won the right to read something. at_us: the moment of the event, in microseconds since 1970. figures_of: branches, or minus the id of a queue, whose public events say how many wait. patience: so many milliseconds, up to 60,000, the call waits for an event if there is none; it holds no lock meanwhile. Callers: members of qms_gateway. Errors: QM901 another epoch, QM902 position no longer kept, QM801 not adopted, 22023, 42501.';

CREATE FUNCTION qms_internal.gateway_check(requests jsonb, OUT n int, OUT code int, OUT message text, OUT temporary boolean, OUT expires_at bigint,
	OUT organization_id bigint, OUT subject text, OUT role text, OUT channels text[], OUT canonical text)
RETURNS SETOF record LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_gateway_check';
COMMENT ON FUNCTION qms_internal.gateway_check IS 'For the gateway: who may connect and subscribe. requests is an array of {"n", "do": "connect", "token", "address"} and {"n", "do": "subscribe", "token", "channel", "data": {"token"}, "address"}; one row for each, none of which is an error: code 0, or one of the client protocol (100 internal, 102 unknown channel, 103 permission denied, 107 bad request, 109 token expired, 3500 invalid token). expires_at: seconds since 1970, null for no end. Callers: members of qms_gateway. Errors: 22023 not an array, 42501.';

CREATE FUNCTION qms_internal.gateway_channels(channels text[], max_rows int DEFAULT 100, OUT channel text, OUT kind text, OUT "position" bigint, OUT epoch text, OUT body text)
RETURNS SETOF record LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_gateway_channels';
COMMENT ON FUNCTION qms_internal.gateway_channels IS 'For the gateway: of each channel, all read in one moment, a row of kind snapshot (what it shows, and the last published position), then one of kind from (after its position the events that follow are complete), then its last max_rows events in order. Callers: members of qms_gateway. Errors: QM801 not adopted, 22023, 42501.';
