/*
 * Waiting rooms: what is learned of each release queue; src/queue/flow.c says how.
 */
CREATE TABLE qms_internal.release_flow (
	queue_id bigint NOT NULL,
	organization_id bigint NOT NULL,
	at timestamptz NOT NULL,
	waiting bigint NOT NULL,
	inside bigint NOT NULL,
	abandoned bigint NOT NULL,
	gone bigint NOT NULL,
	waiting_seconds float8 NOT NULL,
	left_people float8 NOT NULL,
	inside_seconds float8 NOT NULL,
	gone_people float8 NOT NULL,
	PRIMARY KEY (queue_id, organization_id)
) WITH (fillfactor = 50);
