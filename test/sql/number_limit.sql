-- Numbers: max_number, wrap, width, prefixes.
\set base 230000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

CREATE FUNCTION test.joins(queue bigint, n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text := '';
BEGIN
	FOR i IN 1 .. n LOOP
		answer := answer || test.join(queue) || ' ';
	END LOOP;
	RETURN rtrim(answer);
END $$;
SELECT count(qms.open_counter(:c1));
-- the end: an error, nothing is given; the next day begins again
SELECT count(qms.update_queue(:qa, settings => '{"max_number": 3}'));
SELECT test.joins(:qa, 3);
SELECT qms.join_queue(queue_id => :qa);
SELECT qms.serve_walk_up(:c1, :passports);
SELECT last_number FROM qms_internal.queue_number WHERE queue_id = :qa;
SET qms.mock_now = '2026-03-03 09:00+01';
SELECT count(qms.cancel_ticket(test.id('A001'))), count(qms.cancel_ticket(test.id('A003')));
-- A002 is still live: gone round
SELECT test.joins(:qa, 2);
SELECT qms.join_queue(queue_id => :qa);
-- wrap: 1 again, round those who are live
SELECT count(qms.update_queue(:qa, settings => '{"wrap": true, "max_number": 5}'));
SELECT test.joins(:qa, 2);
SELECT qms.join_queue(queue_id => :qa);
SELECT count(qms.cancel_ticket(test.id('A001')));
SELECT test.joins(:qa, 1);
SELECT number FROM qms.call_ticket(:c1, test.id('A004'));
SELECT count(qms.complete_service(:c1)), count(qms.cancel_ticket(test.id('A003')));
SELECT test.joins(:qa, 2);
SELECT qms.join_queue(queue_id => :qa);
-- undo when the number has gone to somebody else
SELECT number FROM qms.call_next(:c1);
SELECT number FROM qms.complete_service(:c1);
SELECT test.joins(:qa, 1);
SELECT qms.undo(:c1);
-- reinstated with another number then
SELECT number, previous_number FROM qms.reinstate_ticket((SELECT ticket_id FROM qms.ticket_history WHERE organization_id = :org ORDER BY ended_at DESC, ticket_id LIMIT 1));
SELECT count(qms.cancel_ticket(test.id('A005')));
SELECT number, previous_number FROM qms.reinstate_ticket((SELECT min(ticket_id) FROM qms.ticket_history WHERE organization_id = :org));
-- a limit below what has been given
SELECT count(qms.close_queue(:qa, 'expire')), count(qms.open_queue(:qa)), count(qms.update_queue(:qa, settings => '{"wrap": null, "max_number": 900}'));
SELECT test.joins(:qa, 1);
SELECT count(qms.update_queue(:qa, settings => '{"max_number": 2}'));
SELECT qms.join_queue(queue_id => :qa);
-- width: three digits, more when max_number has more
SELECT count(qms.update_queue(:qb, settings => '{"max_number": 1000}'));
SELECT test.joins(:qb, 1);
SELECT count(qms.update_queue(:qb, settings => '{"max_number": 999999}'));
SELECT test.joins(:qb, 1);
SELECT count(qms.update_queue(:qb, settings => '{"max_number": 9}'));
SELECT test.joins(:qb, 1);
-- prefixes: none, five letters; one that another queue had and whose numbers are still live
SELECT queue_id AS q0, prefix FROM qms.create_queue('No prefix', branch_id => :hall, prefix => '') \gset q0_
SELECT queue_id, prefix FROM qms.create_queue('Long', branch_id => :hall, prefix => 'LOUNG') \gset q5_
SELECT queue_id, prefix FROM qms.create_queue('Next free', branch_id => :hall) \gset qn_
SELECT :'q0_prefix' AS none, :'q5_prefix' AS five, :'qn_prefix' AS next_free;
SELECT test.joins(:q0_q0, 2), test.joins(:q5_queue_id, 2);
SELECT prefix FROM qms.update_queue(:qb, prefix => 'X');
SELECT test.joins(:qb, 1);
SELECT prefix FROM qms.update_queue(:qn_queue_id, prefix => 'B');
SELECT test.joins(:qn_queue_id, 4);
SELECT prefix FROM qms.update_queue(:qn_queue_id, prefix => 'Y');
SELECT prefix FROM qms.update_queue(:qb, prefix => 'B');
SELECT count(qms.update_queue(:qb, settings => '{"max_number": null}'));
SELECT test.joins(:qb, 3);
-- the same number may be live in two branches
SELECT prefix FROM qms.update_queue(:ql, prefix => 'A');
SELECT test.joins(:ql, 2);

SELECT * FROM test.broken();
