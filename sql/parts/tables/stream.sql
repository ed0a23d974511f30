/*
 * The stream: positions of published events, and how far the publisher is.
 * Positions are partitioned by day (UTC) of their publication and dropped when
 * the window has passed.
 */
CREATE TABLE qms_internal.event_position (
	position bigint NOT NULL,
	event_id bigint NOT NULL,
	at timestamptz NOT NULL,
	published_at timestamptz NOT NULL,
	organization_id bigint NOT NULL,
	branch_id bigint,
	queue_id bigint,
	application_id bigint,
	visit_id bigint
) PARTITION BY RANGE (published_at);

-- Never dumped, like qms_internal.instance: transaction ids mean nothing in another cluster.
CREATE TABLE qms_internal.publisher (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	epoch text NOT NULL,
	run_id bigint NOT NULL DEFAULT 0,
	timeline int NOT NULL DEFAULT 0,
	clean boolean NOT NULL DEFAULT false,
	floor_event_id bigint NOT NULL DEFAULT 0,
	pruned_position bigint NOT NULL DEFAULT 0
);
INSERT INTO qms_internal.publisher (epoch) VALUES (pg_catalog.substr(pg_catalog.md5(pg_catalog.gen_random_uuid()::text), 1, 12));

/*
 * What changes with each batch.  A row that is updated leaves all its old versions
 * in the way of everybody while one old transaction is open; so each batch has a
 * new row, deletes the one before, and readers begin at the highest turn.
 */
CREATE TABLE qms_internal.publisher_progress (
	turn bigint PRIMARY KEY,
	snapshot pg_snapshot NOT NULL,
	target pg_snapshot,
	last_event_id bigint NOT NULL DEFAULT 0,
	last_position bigint NOT NULL DEFAULT 0
);
INSERT INTO qms_internal.publisher_progress (turn, snapshot) VALUES (1, pg_catalog.pg_current_snapshot());
