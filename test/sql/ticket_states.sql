-- The guard of qms.ticket: the table of states, whoever writes.
\set base 250000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

-- a ticket in each open state, and an UPDATE to each: what a superuser may write
CREATE FUNCTION test.put(was text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	id bigint;
BEGIN
	INSERT INTO qms.ticket (organization_id, branch_id, queue_id, customer_class_id, visit_id, state, effective_arrival, sort_key, joined_at, entered_at, token_nonce, hold_kind, counter_id)
	SELECT organization_id, branch_id, queue_id, (SELECT min(customer_class_id) FROM qms.customer_class k WHERE k.organization_id = q.organization_id), 1, was, now(), 1, now(), now(), 1,
		CASE WHEN was = 'on_hold' THEN 'staff' END, CASE WHEN was IN ('called', 'serving') THEN 1 END
	FROM qms.queue q WHERE organization_id = current_setting('test.org')::bigint AND prefix = 'A' RETURNING ticket_id INTO id;
	RETURN id;
END $$;
CREATE FUNCTION test.may(was text, next text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id bigint;
BEGIN
	id := test.put(was);
	UPDATE qms.ticket SET state = next, hold_kind = CASE WHEN next = 'on_hold' THEN 'staff' END, counter_id = CASE WHEN next IN ('called', 'serving') THEN 1 END
		WHERE ticket_id = id;
	IF NOT FOUND THEN
		RETURN 'lost';
	END IF;
	RAISE 'written' USING ERRCODE = '00001';
EXCEPTION WHEN SQLSTATE '00001' THEN RETURN 'yes';
	WHEN check_violation THEN RETURN 'finished';
	WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
\pset null -
SELECT was, test.may(was, 'booked') AS booked, test.may(was, 'waiting') AS waiting, test.may(was, 'called') AS called, test.may(was, 'serving') AS serving, test.may(was, 'on_hold') AS on_hold,
	test.may(was, 'released') AS released, test.may(was, 'admitted') AS admitted
FROM unnest('{booked,waiting,called,serving,on_hold,released,admitted}'::text[]) WITH ORDINALITY s (was, o) ORDER BY o;
-- "finished": the guard allows the pair, but a finished ticket is in qms.ticket_history, so an UPDATE cannot write it
SELECT was, test.may(was, 'completed') AS completed, test.may(was, 'no_show') AS no_show, test.may(was, 'cancelled') AS cancelled, test.may(was, 'expired') AS expired, test.may(was, 'revoked') AS revoked, test.may(was, 'lost') AS lost
FROM unnest('{booked,waiting,called,serving,on_hold,released,admitted}'::text[]) WITH ORDINALITY s (was, o) ORDER BY o;
-- INSERT: each open state, as a restore does
SELECT was, test.put(was) IS NOT NULL AS put FROM unnest('{booked,waiting,called,on_hold,released,admitted}'::text[]) WITH ORDINALITY s (was, o) ORDER BY o;
SELECT test.put('completed');
SELECT test.put('nonsense');
-- the id stays
UPDATE qms.ticket SET ticket_id = 1 WHERE organization_id = :org AND state = 'booked';
-- DELETE and TRUNCATE
DELETE FROM qms.ticket WHERE organization_id = :org;
DELETE FROM ONLY qms.ticket WHERE organization_id = :org AND state = 'booked';
TRUNCATE qms.ticket;
TRUNCATE qms.ticket CASCADE;
\set VERBOSITY default
DO $$ BEGIN DELETE FROM qms.ticket WHERE organization_id = current_setting('test.org')::bigint; EXCEPTION WHEN OTHERS THEN RAISE '% % ', SQLSTATE, SQLERRM; END $$;
\set VERBOSITY sqlstate
-- not after a function that ended another one either, nor in the same transaction
BEGIN;
SELECT test.join(:qa), test.join(:qa);
SELECT state FROM qms.cancel_ticket(test.id('A001'));
DELETE FROM qms.ticket WHERE ticket_id = test.id('A002');
ROLLBACK;
-- the triggers are there, for every row
SELECT tgname, tgenabled, tgtype FROM pg_trigger WHERE tgrelid = 'qms.ticket'::regclass AND NOT tgisinternal ORDER BY 1;
SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE organization_id = :org;

SELECT * FROM test.broken();
