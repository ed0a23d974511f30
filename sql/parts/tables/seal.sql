/*
 * Personal data: which tickets belong to a known customer, and how far the
 * tasks are that wipe what is too old and seal anew what has an old key.
 */
CREATE TABLE qms_internal.customer_ticket (
	customer_id bigint NOT NULL,
	organization_id bigint NOT NULL,
	ticket_id bigint NOT NULL,
	linked_at timestamptz NOT NULL,
	PRIMARY KEY (customer_id, ticket_id, organization_id)
);
CREATE INDEX customer_ticket_ticket ON qms_internal.customer_ticket (ticket_id);

-- Up to when the history of a queue has no personal data any more.
CREATE TABLE qms_internal.wiped (
	queue_id bigint NOT NULL,
	organization_id bigint NOT NULL,
	wiped_until timestamptz NOT NULL,
	PRIMARY KEY (queue_id, organization_id)
);

-- One row: the walk through all that is sealed, after a change of keys.
CREATE TABLE qms_internal.reseal (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	keys text NOT NULL,
	horizon xid8 NOT NULL,
	seen_at timestamptz NOT NULL,
	pass int NOT NULL,
	settled boolean NOT NULL,
	stage int NOT NULL,
	after_id bigint NOT NULL,
	resealed bigint NOT NULL,
	failed bigint NOT NULL
);

-- A customer is found by the keys of what is sealed, or by the subject.
CREATE INDEX customer_find ON qms.customer USING gin (find) WITH (fastupdate = off);
