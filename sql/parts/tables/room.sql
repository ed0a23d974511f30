/*
 * Waiting rooms: who comes in, and in which order when the doors open.
 */

-- The draw of a queue with the setting lottery: one in its life.
CREATE TABLE qms_internal.lottery (
	queue_id bigint NOT NULL,
	organization_id bigint NOT NULL,
	commitment bytea NOT NULL CHECK (pg_catalog.octet_length(commitment) = 32),
	committed_at timestamptz NOT NULL,
	opens_at timestamptz,
	closed_at timestamptz,
	list_hash bytea CHECK (pg_catalog.octet_length(list_hash) = 32),
	entries int,
	placed int NOT NULL DEFAULT 0,
	seed bytea,
	drawn_at timestamptz,
	CHECK ((closed_at IS NULL) = (opens_at IS NULL)),
	CHECK ((list_hash IS NULL) = (entries IS NULL)),
	CHECK (list_hash IS NULL OR closed_at IS NOT NULL),
	CHECK (placed = 0 OR placed <= entries),
	-- The seed is told when everybody has his place, not before, and is the one that was promised.
	CHECK ((seed IS NULL) = (drawn_at IS NULL)),
	CHECK (drawn_at IS NULL OR (list_hash IS NOT NULL AND placed = entries)),
	CHECK (seed IS NULL OR commitment = pg_catalog.sha256(seed)),
	PRIMARY KEY (queue_id, organization_id)
);
CREATE INDEX lottery_to_draw ON qms_internal.lottery (queue_id) WHERE drawn_at IS NULL;

-- Seeds that nobody may know yet; a row goes when its draw is complete.
CREATE TABLE qms_internal.lottery_seed (
	queue_id bigint NOT NULL,
	organization_id bigint NOT NULL,
	seed bytea NOT NULL CHECK (pg_catalog.octet_length(seed) = 32),
	PRIMARY KEY (queue_id, organization_id)
);

-- Who took part, in the order that was drawn.
CREATE TABLE qms_internal.lottery_entry (
	queue_id bigint NOT NULL,
	organization_id bigint NOT NULL,
	rank int NOT NULL,
	ticket_id bigint NOT NULL,
	credit interval NOT NULL,
	PRIMARY KEY (queue_id, rank, organization_id)
);

COMMENT ON TABLE qms_internal.lottery IS 'The draw of a waiting room with the setting lottery. The hash of the seed is there from the beginning; the list of those who take part, its hash, the places and the seed follow in this order once opens_at has come.';
COMMENT ON COLUMN qms_internal.lottery.queue_id IS 'Queue.';
COMMENT ON COLUMN qms_internal.lottery.organization_id IS 'Organization of the queue.';
COMMENT ON COLUMN qms_internal.lottery.commitment IS 'SHA-256 of the seed.';
COMMENT ON COLUMN qms_internal.lottery.committed_at IS 'When the seed was made, and its hash told.';
COMMENT ON COLUMN qms_internal.lottery.opens_at IS 'The setting opens_at when the list was closed; those who came before it take part.';
COMMENT ON COLUMN qms_internal.lottery.closed_at IS 'When the list was closed: whoever joins from then on queues behind. Null: not yet.';
COMMENT ON COLUMN qms_internal.lottery.list_hash IS 'SHA-256 over the ids of the tickets that take part, ascending, 8 bytes each, big endian.';
COMMENT ON COLUMN qms_internal.lottery.entries IS 'How many take part.';
COMMENT ON COLUMN qms_internal.lottery.placed IS 'Ranks up to this one have their places in the line.';
COMMENT ON COLUMN qms_internal.lottery.seed IS 'The 32 bytes that the order follows from; null until the draw is complete.';
COMMENT ON COLUMN qms_internal.lottery.drawn_at IS 'When the draw was complete and letting in could begin.';
COMMENT ON TABLE qms_internal.lottery_seed IS 'Seeds of draws to come. Nobody but the owner sees them, and no function shows them.';
COMMENT ON COLUMN qms_internal.lottery_seed.queue_id IS 'Queue.';
COMMENT ON COLUMN qms_internal.lottery_seed.organization_id IS 'Organization of the queue.';
COMMENT ON COLUMN qms_internal.lottery_seed.seed IS '32 random bytes.';
COMMENT ON TABLE qms_internal.lottery_entry IS 'Those who took part in a draw, in the order drawn.';
COMMENT ON COLUMN qms_internal.lottery_entry.queue_id IS 'Queue.';
COMMENT ON COLUMN qms_internal.lottery_entry.organization_id IS 'Organization of the queue.';
COMMENT ON COLUMN qms_internal.lottery_entry.rank IS 'Place in the draw, from 1.';
COMMENT ON COLUMN qms_internal.lottery_entry.ticket_id IS 'Ticket.';
COMMENT ON COLUMN qms_internal.lottery_entry.credit IS 'Its credit when the list was made: the place in the line is that of the draw less the credit.';

ALTER TABLE qms_internal.lottery ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.lottery_seed ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.lottery_entry ENABLE ROW LEVEL SECURITY;

-- Whom queues with the setting invite_only let join.
CREATE TABLE qms_internal.invitation (
	queue_id bigint NOT NULL,
	organization_id bigint NOT NULL,
	subject text COLLATE "C" NOT NULL,
	invited_at timestamptz NOT NULL,
	expires_at timestamptz,
	PRIMARY KEY (queue_id, subject, organization_id)
);
CREATE INDEX invitation_expires ON qms_internal.invitation (queue_id, expires_at) WHERE expires_at IS NOT NULL;
COMMENT ON TABLE qms_internal.invitation IS 'Subjects that may join a queue with the setting invite_only.';
COMMENT ON COLUMN qms_internal.invitation.queue_id IS 'Queue.';
COMMENT ON COLUMN qms_internal.invitation.organization_id IS 'Organization of the queue.';
COMMENT ON COLUMN qms_internal.invitation.subject IS 'Who: the subject that join_queue must name.';
COMMENT ON COLUMN qms_internal.invitation.invited_at IS 'When the subject was invited first.';
COMMENT ON COLUMN qms_internal.invitation.expires_at IS 'Until when it holds; null: until it is withdrawn.';
ALTER TABLE qms_internal.invitation ENABLE ROW LEVEL SECURITY;

-- Functions of the installation that settings may name; text, since an OID would not outlive a dump.
CREATE TABLE qms_internal.hook (
	name text COLLATE "C" PRIMARY KEY,
	function text NOT NULL,
	registered_at timestamptz NOT NULL
);
COMMENT ON TABLE qms_internal.hook IS 'Functions that settings of queues may name. Registered by superusers of the server only.';
COMMENT ON COLUMN qms_internal.hook.name IS 'Name that settings use.';
COMMENT ON COLUMN qms_internal.hook.function IS 'The function with its schema and the types of its arguments.';
COMMENT ON COLUMN qms_internal.hook.registered_at IS 'When it was registered last.';
ALTER TABLE qms_internal.hook ENABLE ROW LEVEL SECURITY;
