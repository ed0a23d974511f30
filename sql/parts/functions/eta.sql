/* Waiting rooms: how long it takes. */

CREATE FUNCTION qms_internal.release_wait(people_ahead float8, rate float8, leave_rate float8 DEFAULT 0, leave_rate_sd float8 DEFAULT 0,
	opens_in float8 DEFAULT 0, max_inside float8 DEFAULT 0, inside float8 DEFAULT 0, visit float8 DEFAULT 0)
RETURNS float8[] LANGUAGE c IMMUTABLE STRICT
AS 'MODULE_PATHNAME', 'qms_release_wait';
COMMENT ON FUNCTION qms_internal.release_wait IS 'Seconds that one in ten, half and nine in ten wait less behind so many people: released at rate a second, each leaving at leave_rate a second (known that well), once the room is open in opens_in seconds, with at most max_inside inside (0: no limit) where inside are now and stay for visit seconds. Null: nobody is let in. What ticket_status is made of, for tests.';
