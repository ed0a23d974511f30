/* Waiting rooms: how long it takes. */

CREATE FUNCTION qms_internal.release_wait(people_ahead float8, rate float8, leave_rate float8 DEFAULT 0, leave_rate_sd float8 DEFAULT 0,
	opens_in float8 DEFAULT 0, max_inside float8 DEFAULT 0, inside float8 DEFAULT 0, visit float8 DEFAULT 0, rate_sd float8 DEFAULT 0)
RETURNS float8[] LANGUAGE c IMMUTABLE STRICT
AS 'MODULE_PATHNAME', 'qms_release_wait';
COMMENT ON FUNCTION qms_internal.release_wait IS 'Seconds that one in ten, half and nine in ten wait less behind so many people: released at rate a second (known to that part of it, rate_sd), each leaving at leave_rate a second (known that well), once the room is open in opens_in seconds, with at most max_inside inside (0: no limit) where inside are now and stay for visit seconds. Null: nobody is let in. What ticket_status is made of, for tests.';

CREATE FUNCTION qms_internal.release_turn(queue_id bigint, learn boolean DEFAULT false)
RETURNS timestamptz LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'qms_release_turn_by_hand';
COMMENT ON FUNCTION qms_internal.release_turn IS 'What the scheduler does for a waiting room at the moment of qms_clock_now(), in the caller''s transaction: ends what has run out, lets in whoever is due, and with learn looks at how the room flows. Answers when the next turn is due; null: when somebody comes or goes. For tests and benches of superusers, with qms.workers off.';
CREATE FUNCTION qms_internal.draw_step(queue_id bigint)
RETURNS text LANGUAGE c VOLATILE STRICT
AS 'MODULE_PATHNAME', 'qms_draw_step_by_hand';
COMMENT ON FUNCTION qms_internal.draw_step IS 'The next step of a waiting room''s draw, as the scheduler makes it at the moment of qms_clock_now(), in the caller''s transaction: more (there is another step), done, busy (somebody who came before has not committed) or nothing. For tests of superusers, with qms.workers off.';
