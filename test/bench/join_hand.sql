\set q :q0 + :client_id / 4
WITH n AS (
	UPDATE bench.queue_number SET last_number = last_number + 1,
		last_arrival = greatest(last_arrival + interval '1 microsecond', clock_timestamp())
	WHERE queue_id = :q AND organization_id = :org AND service_day >= current_date
	RETURNING queue_id, organization_id, last_number, last_arrival, service_day
), t AS (
	INSERT INTO bench.ticket (ticket_id, organization_id, branch_id, queue_id, customer_class_id, visit_id, number,
		service_day, state, version, leg, priority, credit, effective_arrival, sort_key, joined_at, entered_at,
		calls, recalls, defers, by_class, shared_visit, simulated, metadata, token_nonce,
		quoted_p10, quoted_p50, quoted_p90, quoted_n, quoted_s)
	SELECT i.id, n.organization_id, :branch, n.queue_id, :class, i.id,
		('B' || chr(65 + (n.queue_id - :q0)::int) || lpad(n.last_number::text, 6, '0'))::qms.ticket_number, n.service_day, 'waiting', 1, 1, 0, '0',
		n.last_arrival, (extract(epoch FROM n.last_arrival) * 1000000)::bigint - 946684800000000,
		now(), now(), 0, 0, 0, false, false, false, '{}', (random() * 9007199254740991)::bigint,
		'10 min', '20 min', '30 min', 10, 4
	FROM n, LATERAL (SELECT nextval('bench.ticket_ticket_id_seq') AS id OFFSET 0) i
	RETURNING *
), e AS (
	INSERT INTO bench.event (organization_id, at, kind, branch_id, queue_id, visit_id, ticket_id, number, state,
		version, actor_kind, actor_role, data)
	SELECT t.organization_id, t.joined_at, 'ticket.joined', t.branch_id, t.queue_id, t.visit_id, t.ticket_id, t.number,
		t.state, t.version, 'superuser', 'postgres',
		jsonb_build_object('sort_key', t.sort_key, 'effective_arrival', t.effective_arrival,
			'customer_class_id', t.customer_class_id, 'priority', t.priority)
	FROM t
) /* request , r AS (
	INSERT INTO bench.request (request_id, organization_id, principal, function, arguments_hash, answer, created_at)
	SELECT gen_random_uuid(), t.organization_id, 'superuser=postgres', 'join_queue', t.token_nonce,
		ARRAY[t.ticket_id::text, t.visit_id::text, t.queue_id::text, NULL, t.number::text, NULL, t.state, '11', '10', 't',
			'00.10.00', '00.20.00', '00.30.00', t.joined_at::text], t.joined_at
	FROM t
) */
SELECT ticket_id, number, token_nonce FROM t;
