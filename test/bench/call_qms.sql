\set i :i + 1
\set c :c0 + :client_id * 8 + :i % 8
SELECT ticket_id, number, state, waited FROM qms.call_next(counter_id => :c /* request , request_id => gen_random_uuid() */);
\if (:i % 8) = 0
\set lo :c0 + :client_id * 8
\set hi :c0 + :client_id * 8 + 7
WITH t AS (
	UPDATE qms.ticket SET state = 'waiting', counter_id = NULL, staff_session_id = NULL, called_at = NULL,
		sort_key = sort_key + :span
	WHERE state IN ('called', 'serving') AND counter_id BETWEEN :lo AND :hi
)
UPDATE qms.staff_session SET current_ticket_id = NULL
WHERE counter_id BETWEEN :lo AND :hi AND closed_at IS NULL;
\endif
