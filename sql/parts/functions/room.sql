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

CREATE TYPE qms.invitation_count AS (
	queue_id bigint,
	subjects int
);
COMMENT ON TYPE qms.invitation_count IS 'How many invitations a call has changed.';
COMMENT ON COLUMN qms.invitation_count.queue_id IS 'Queue.';
COMMENT ON COLUMN qms.invitation_count.subjects IS 'How many.';

CREATE FUNCTION qms.invite(queue_id bigint, subjects text[], expires_at timestamptz DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.invitation_count LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_invite';
COMMENT ON FUNCTION qms.invite IS 'Lets these subjects join a queue with the setting invite_only, until expires_at or until it is withdrawn; for one that is invited already expires_at is set anew. Answers how many were named. An invitation can be used again when its ticket has ended.
Callers: superusers, administrators, reception, and applications for their own queues. Errors: QM101, 22023 no subject, too many, or one that is too long, expires_at in the past.';

CREATE FUNCTION qms.withdraw_invitation(queue_id bigint, subjects text[], request_id uuid DEFAULT NULL)
RETURNS qms.invitation_count LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_withdraw_invitation';
COMMENT ON FUNCTION qms.withdraw_invitation IS 'Takes invitations back; tickets that have joined by them stay. Answers how many there were.
Callers: superusers, administrators, reception, and applications for their own queues. Errors: QM101, 22023.';

CREATE TYPE qms.invited_subject AS (
	subject text,
	invited_at timestamptz,
	expires_at timestamptz,
	is_there boolean
);
COMMENT ON TYPE qms.invited_subject IS 'Somebody who may join a queue with the setting invite_only.';
COMMENT ON COLUMN qms.invited_subject.subject IS 'Who: the subject that join_queue must name.';
COMMENT ON COLUMN qms.invited_subject.invited_at IS 'When the subject was invited first.';
COMMENT ON COLUMN qms.invited_subject.expires_at IS 'Until when it holds; null: until it is withdrawn.';
COMMENT ON COLUMN qms.invited_subject.is_there IS 'Whether the subject has a live ticket in the queue.';

CREATE FUNCTION qms.invitations(queue_id bigint, after_subject text DEFAULT NULL, max_rows int DEFAULT 1000)
RETURNS SETOF qms.invited_subject LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_invitations';
COMMENT ON FUNCTION qms.invitations IS 'Who is invited to a queue, in the order of the subjects, page by page; without those whose invitation has expired.
Callers: superusers, administrators, reception, and applications for their own queues. Errors: QM101, 22023 max_rows out of range.';

CREATE TYPE qms.hook_function AS (
	name text,
	function text
);
COMMENT ON TYPE qms.hook_function IS 'A function that settings of queues may name.';
COMMENT ON COLUMN qms.hook_function.name IS 'Name that settings use.';
COMMENT ON COLUMN qms.hook_function.function IS 'The function with its schema and the types of its arguments.';

CREATE FUNCTION qms.register_hook(name text, function regprocedure, request_id uuid DEFAULT NULL)
RETURNS qms.hook_function LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_register_hook';
COMMENT ON FUNCTION qms.register_hook IS 'Gives a function of your own a name that the setting challenge of queues can use, or that name to another function. It has the arguments (queue_id bigint, challenge text, subject text, address inet), answers boolean, and is asked by join_queue before anything is locked, with the rights of the caller, who needs EXECUTE on it; its search_path is pg_catalog unless it sets its own. True lets the person in; false, null and errors do not.
Callers: superusers of the server only. Errors: 42501, 42P13 not such a function.';

CREATE FUNCTION qms.delete_hook(name text, request_id uuid DEFAULT NULL)
RETURNS qms.hook_function LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_hook';
COMMENT ON FUNCTION qms.delete_hook IS 'Takes a hook out. The function stays.
Callers: superusers of the server only. Errors: 42501, QM101, QM416 while a queue names it.';

CREATE VIEW qms.hooks WITH (security_barrier) AS
SELECT name, function, registered_at FROM qms_internal.hook;
COMMENT ON VIEW qms.hooks IS 'Functions that settings of queues may name. For administrators.';
COMMENT ON COLUMN qms.hooks.name IS 'Name that settings use.';
COMMENT ON COLUMN qms.hooks.function IS 'The function with its schema and the types of its arguments.';
COMMENT ON COLUMN qms.hooks.registered_at IS 'When it was registered last.';

CREATE TYPE qms.limit_answer AS (
	allowed boolean,
	retry_after interval
);
COMMENT ON TYPE qms.limit_answer IS 'Whether something may be done now.';
COMMENT ON COLUMN qms.limit_answer.allowed IS 'True: one was taken from the bucket. False: there was none.';
COMMENT ON COLUMN qms.limit_answer.retry_after IS 'How long until there is one; 0 when allowed.';

CREATE FUNCTION qms.take_limit(bucket text, allowance text)
RETURNS qms.limit_answer LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_take_limit';
COMMENT ON FUNCTION qms.take_limit IS 'A rate limiter for your own purposes: takes one from a bucket that holds as many as the allowance says and fills up again in its span of time, such as 100/h. Buckets belong to the organization of the caller and are there when they are named first. What is taken stays taken when the transaction rolls back. Nothing is written and nobody waits (without shared_preload_libraries: a row).
Callers: superusers, administrators and applications. Errors: 22023 no such allowance, name too long.';
