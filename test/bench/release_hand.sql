WITH t AS (
	INSERT INTO bench.ticket (ticket_id, organization_id, application_id, queue_id, customer_class_id, visit_id,
		state, version, leg, priority, credit, effective_arrival, sort_key, joined_at, entered_at,
		calls, recalls, defers, by_class, shared_visit, simulated, metadata, token_nonce,
		quoted_p10, quoted_p50, quoted_p90, quoted_n, quoted_s)
	SELECT i.id, :org, :application, :release_queue, :class, i.id, 'waiting', 1, 1, 0, '0',
		i.at, (extract(epoch FROM i.at) * 1000000)::bigint - 946684800000000,
		i.at, i.at, 0, 0, 0, false, false, false, '{}', (random() * 9007199254740991)::bigint,
		'10 min', '20 min', '30 min', 10, 4
	FROM (SELECT nextval('bench.ticket_ticket_id_seq') AS id, clock_timestamp() AS at OFFSET 0) i
	RETURNING *
), e AS (
	INSERT INTO bench.event (organization_id, at, kind, application_id, queue_id, visit_id, ticket_id, state,
		version, actor_kind, actor_role, data)
	SELECT t.organization_id, t.joined_at, 'ticket.joined', t.application_id, t.queue_id, t.visit_id, t.ticket_id,
		t.state, t.version, 'superuser', 'postgres',
		jsonb_build_object('sort_key', t.sort_key, 'effective_arrival', t.effective_arrival,
			'customer_class_id', t.customer_class_id, 'priority', t.priority)
	FROM t
)
SELECT ticket_id, token_nonce FROM t;
