\set i :i + 1
\set c :c0 + :client_id * 8 + :i % 8
\set q :q0 + :client_id / 4
WITH p AS (
	SELECT ticket_id, organization_id, nextval('bench.event_event_id_seq') AS event_id FROM (
		SELECT ticket_id, organization_id FROM bench.ticket
		WHERE queue_id = :q AND state = 'waiting'
		ORDER BY sort_key, ticket_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) o
), s AS (
	UPDATE bench.staff_session s SET current_ticket_id = p.ticket_id, idle_since = NULL,
		tickets_called = tickets_called + 1, undo_event_id = p.event_id, undo_at = now()
	FROM p
	WHERE s.counter_id = :c AND s.closed_at IS NULL AND s.paused_at IS NULL AND s.current_ticket_id IS NULL
	RETURNING s.staff_session_id, s.counter_id, s.staff_id, p.ticket_id, p.organization_id, p.event_id
), t AS (
	UPDATE bench.ticket t SET state = 'called', version = version + 1, counter_id = s.counter_id, staff_id = s.staff_id,
		staff_session_id = s.staff_session_id, called_at = now(), started_at = NULL, calls = calls + 1,
		recalls = 0, last_recall_at = NULL
	FROM s WHERE t.ticket_id = s.ticket_id AND t.organization_id = s.organization_id
	RETURNING t.*, s.event_id
), e AS (
	INSERT INTO bench.event (event_id, organization_id, at, kind, branch_id, queue_id, visit_id, ticket_id, number, state,
		version, counter_id, staff_id, actor_kind, actor_role, data)
	SELECT t.event_id, t.organization_id, t.called_at, 'ticket.called', t.branch_id, t.queue_id, t.visit_id, t.ticket_id,
		t.number, t.state, t.version, t.counter_id, t.staff_id, 'superuser', 'postgres',
		jsonb_build_object('policy', 'fifo', 'sort_key', t.sort_key)
	FROM t
) /* request , r AS (
	INSERT INTO bench.request (request_id, organization_id, principal, function, arguments_hash, answer, created_at)
	SELECT gen_random_uuid(), t.organization_id, 'superuser=postgres', 'call_next', t.token_nonce,
		ARRAY[t.ticket_id::text, t.visit_id::text, t.queue_id::text, NULL, t.number::text, 'regular', NULL, t.state,
			t.called_at::text, (t.called_at - t.entered_at)::text, t.organization_id::text, t.branch_id::text, NULL, NULL,
			t.priority::text, t.joined_at::text, t.effective_arrival::text, t.entered_at::text, NULL, NULL,
			t.counter_id::text, 'Counter 7', NULL, '0', '0', '1', t.version::text, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
			t.metadata::text, NULL, NULL, NULL], t.called_at
	FROM t
) */
SELECT ticket_id, number, state, called_at - entered_at FROM t;
\if (:i % 8) = 0
\set lo :c0 + :client_id * 8
\set hi :c0 + :client_id * 8 + 7
WITH t AS (
	UPDATE bench.ticket SET state = 'waiting', counter_id = NULL, staff_session_id = NULL, called_at = NULL,
		sort_key = sort_key + :span
	WHERE state IN ('called', 'serving') AND counter_id BETWEEN :lo AND :hi
)
UPDATE bench.staff_session SET current_ticket_id = NULL
WHERE counter_id BETWEEN :lo AND :hi AND closed_at IS NULL;
\endif
