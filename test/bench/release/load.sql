/* :n people waiting in release queue :q, one millisecond apart; triggers are off, the server is started again afterwards. */
\set ON_ERROR_STOP on
\set QUIET on
SET session_replication_role = replica;
SET client_min_messages = warning;
SET maintenance_work_mem = '512MB';
TRUNCATE qms.ticket, qms.event, qms.ticket_history, bench.token;
INSERT INTO qms.ticket (organization_id, application_id, queue_id, customer_class_id, visit_id, state, effective_arrival, sort_key,
	joined_at, entered_at, token_nonce)
SELECT i.org, i.app, :q, c.customer_class_id, g, 'waiting', a.at, (extract(epoch FROM a.at) * 1000000)::bigint - 946684800000000, a.at, a.at, g * 7919::bigint
FROM bench.ids i JOIN qms.customer_class c ON c.organization_id = i.org AND c.name = 'regular', generate_series(1, :n) g,
	LATERAL (SELECT date_trunc('second', now()) - (:n - g + 1) * interval '1 ms' AS at) a;
VACUUM ANALYZE qms.ticket;
CHECKPOINT;
