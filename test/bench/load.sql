/*
 * :n people waiting, spread over :nq queues, one millisecond apart, on both
 * sides.  Triggers are off: the server is started again afterwards, so nothing
 * in its memory is of before.
 */
\set ON_ERROR_STOP on
\set QUIET on
SET session_replication_role = replica;
SET client_min_messages = warning;
SET maintenance_work_mem = '512MB';
SELECT * FROM bench.ids \gset
TRUNCATE qms.ticket, qms.event, qms.ticket_history, qms_internal.request, qms_internal.queue_number,
	bench.ticket, bench.event, bench.request, bench.queue_number, bench.token RESTART IDENTITY;
UPDATE qms.staff_session SET current_ticket_id = NULL, tickets_called = 0;
UPDATE bench.staff_session SET current_ticket_id = NULL, tickets_called = 0;
INSERT INTO qms.ticket (ticket_id, organization_id, branch_id, queue_id, customer_class_id, visit_id, number,
	service_day, state, effective_arrival, sort_key, joined_at, entered_at, token_nonce,
	quoted_p10, quoted_p50, quoted_p90, quoted_n, quoted_s)
SELECT g, :org, :branch, :q0 + g % :nq, :class, g,
	('ZZ' || chr(65 + g / 900000) || lpad((g % 900000 + 1)::text, 6, '0'))::qms.ticket_number,
	current_date, 'waiting', a.at, (extract(epoch FROM a.at) * 1000000)::bigint - 946684800000000, a.at, a.at, g::bigint * 7919,
	'00:10', '00:20', '00:30', g, 4
FROM generate_series(1, :n) g, LATERAL (SELECT date_trunc('second', now()) - (:n - g + 1) * interval '1 ms' AS at) a;
INSERT INTO bench.ticket SELECT * FROM qms.ticket;
SELECT setval('qms.ticket_ticket_id_seq', :n + 1), setval('bench.ticket_ticket_id_seq', :n + 1) \gset
INSERT INTO qms_internal.queue_number
SELECT :q0 + i, :org, current_date, 0, '-infinity' FROM generate_series(0, 24) i;
INSERT INTO bench.queue_number SELECT * FROM qms_internal.queue_number;
VACUUM ANALYZE qms.ticket, bench.ticket, qms.staff_session, bench.staff_session, qms_internal.queue_number, bench.queue_number;
CHECKPOINT;
