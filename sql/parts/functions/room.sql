/*
 * Waiting rooms: the lottery at the opening, who may come in, limits.
 */
CREATE TYPE qms.lottery_state AS (
	queue_id bigint,
	commitment bytea,
	committed_at timestamptz,
	opens_at timestamptz,
	closed_at timestamptz,
	entries int,
	list_hash bytea,
	seed bytea,
	drawn_at timestamptz
);
COMMENT ON TYPE qms.lottery_state IS 'The draw of a waiting room, as everybody may see it and check it.';
COMMENT ON COLUMN qms.lottery_state.queue_id IS 'Queue.';
COMMENT ON COLUMN qms.lottery_state.commitment IS 'SHA-256 of the seed, told before anybody could know who takes part.';
COMMENT ON COLUMN qms.lottery_state.committed_at IS 'When it was told.';
COMMENT ON COLUMN qms.lottery_state.opens_at IS 'Those who came before this moment take part.';
COMMENT ON COLUMN qms.lottery_state.closed_at IS 'When the list of those was closed; null: not yet.';
COMMENT ON COLUMN qms.lottery_state.entries IS 'How many take part; null: the list is not made yet.';
COMMENT ON COLUMN qms.lottery_state.list_hash IS 'SHA-256 over the ids of their tickets, ascending, 8 bytes each, big endian.';
COMMENT ON COLUMN qms.lottery_state.seed IS 'The 32 bytes that the order follows from; null until the draw is complete.';
COMMENT ON COLUMN qms.lottery_state.drawn_at IS 'When the draw was complete and letting in could begin; null: not yet.';

CREATE FUNCTION qms.lottery_draw(queue_id bigint)
RETURNS SETOF qms.lottery_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_lottery_draw';
COMMENT ON FUNCTION qms.lottery_draw IS 'The draw of a waiting room with the setting lottery: the hash of its seed from the beginning, the seed itself and the hash of the list once the draw is complete. No row where there was never a lottery. The order is that of sha256(seed || list_hash || ticket_id), the id as 8 bytes, big endian; contrib-docs/verify_lottery.py computes it again.
Callers: everybody in the organization. Errors: QM101.';

CREATE TYPE qms.lottery_place AS (
	rank int,
	ticket_id bigint,
	credit interval
);
COMMENT ON TYPE qms.lottery_place IS 'One who took part in a draw.';
COMMENT ON COLUMN qms.lottery_place.rank IS 'Place in the draw, from 1.';
COMMENT ON COLUMN qms.lottery_place.ticket_id IS 'Ticket.';
COMMENT ON COLUMN qms.lottery_place.credit IS 'Credit of the ticket: it waits as if drawn so much earlier.';

CREATE FUNCTION qms.lottery_entries(queue_id bigint, after_rank int DEFAULT 0, max_rows int DEFAULT 1000)
RETURNS SETOF qms.lottery_place LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_lottery_entries';
COMMENT ON FUNCTION qms.lottery_entries IS 'Who took part in the draw of a waiting room, in the order drawn, page by page; no row before the draw is complete. Those who have left since are listed too.
Callers: everybody in the organization. Errors: QM101, 22023 max_rows out of range.';
