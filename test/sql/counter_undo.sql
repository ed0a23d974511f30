-- Undo: each kind of action, its window, and what has changed since.
\set base 170000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT count(qms.open_counter(:c1, :ada)), count(qms.open_counter(:c2, :ben));
SELECT qms.undo(:c1);
SELECT test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qb);
CREATE FUNCTION test.desk(counter bigint) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', status, current_number, 'called', tickets_called, 'served', tickets_served, 'in', service_time) FROM qms.counter_status(counter) $$;
SET qms.mock_now = '2026-03-02 09:05+01';
-- a call
SELECT number FROM qms.call_next(:c1);
SELECT number, state, called_at, counter_name FROM qms.undo(:c1);
SELECT test.desk(:c1), test.line(:qa);
SELECT calls FROM qms.ticket WHERE ticket_id = test.id('A001');
SELECT qms.undo(:c1);
-- a start; once
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.start_service(:c1);
SELECT number, state, started_at FROM qms.undo(:c1);
SELECT test.desk(:c1);
SELECT qms.undo(:c1);
-- a completion: with its time of service
SELECT state FROM qms.start_service(:c1);
SET qms.mock_now = '2026-03-02 09:15+01';
SELECT state FROM qms.complete_service(:c1, 'done', 'note');
SELECT test.desk(:c1);
SELECT number, state, started_at, ended_at, outcome FROM qms.undo(:c1);
SELECT test.desk(:c1);
SELECT count(*) FROM qms.ticket_history WHERE organization_id = :org;
-- ... of a ticket that nobody started
SELECT state FROM qms.hold_ticket(test.id('A001'));
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.complete_service(:c1);
SELECT number, state FROM qms.undo(:c1);
-- a no-show
SELECT state FROM qms.complete_service(:c1);
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.mark_no_show(:c1);
SELECT number, state FROM qms.undo(:c1);
SELECT test.desk(:c1);
-- a cancellation at the counter; not one elsewhere
SELECT state FROM qms.cancel_ticket(test.id('A002'), 'oops');
SELECT number, state FROM qms.undo(:c1);
SELECT state FROM qms.cancel_ticket(test.id('A003'));
SELECT qms.undo(:c1);
SELECT state FROM qms.reinstate_ticket(test.id('A003'));
-- a hold, also of somebody who was being served
SELECT state FROM qms.start_service(:c1);
SELECT state FROM qms.hold_ticket(test.id('A002'), 'copy', 'parked', resume_to => 'counter');
SELECT test.desk(:c1);
SELECT number, state, hold_kind, wanted_counter_id, started_at FROM qms.undo(:c1);
SELECT test.desk(:c1);
-- a requeue
SELECT state FROM qms.complete_service(:c1);
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.requeue_ticket(test.id('A003'));
SELECT number, state, called_at FROM qms.undo(:c1);
-- a transfer: within the branch, and to another one with its number; the leg goes
SELECT queue_id = :qb AS qb, leg FROM qms.transfer_ticket(test.id('A003'), :qb, 'last', note => 'wrong');
SELECT number, state, queue_id = :qa AS qa, leg, service_id FROM qms.undo(:c1);
SELECT leg, note FROM qms.ticket_leg WHERE ticket_id = test.id('A003') ORDER BY leg;
SELECT number, previous_number FROM qms.transfer_ticket(test.id('A003'), :ql);
SELECT number, previous_number, state, branch_id = :hall AS hall FROM qms.undo(:c1);
SELECT test.desk(:c1);
SELECT state FROM qms.complete_service(:c1);
-- a chosen call from hold: on hold again, as it was
SELECT number FROM qms.call_ticket(:c1, test.id('A001'));
SELECT number, state, hold_kind, hold_reason FROM qms.undo(:c1);
-- a walk-up
SELECT number, state FROM qms.serve_walk_up(:c1, :cars);
SELECT number, state FROM qms.undo(:c1);
SELECT count(qms.cancel_ticket(test.id('B002')));
SELECT * FROM test.news();

-- call_next with finish_current: undo takes back the call, undo again the end
SELECT test.join(:qa), test.join(:qa);
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.start_service(:c1);
SET qms.mock_now = '2026-03-02 09:20+01';
SELECT number FROM qms.call_next(:c1, 'completed');
SELECT test.desk(:c1);
SELECT number, state FROM qms.undo(:c1);
SELECT test.desk(:c1);
SELECT number, state FROM qms.undo(:c1);
SELECT test.desk(:c1);
SELECT qms.undo(:c1);
-- also when nobody was left to call
SELECT number FROM qms.call_next(:c1, 'completed');
SELECT number FROM qms.call_next(:c1, 'no_show');
SELECT number, state FROM qms.undo(:c1);
SELECT data ->> 'undone_kind' AS undone FROM qms.event WHERE organization_id = :org AND kind = 'ticket.undone' ORDER BY event_id;

-- too late: after undo_window; 0 is never
SET qms.mock_now = '2026-03-02 09:30+01';
SELECT state FROM qms.mark_no_show(:c1);
SET qms.mock_now = '2026-03-02 09:31:00.000001+01';
SELECT qms.undo(:c1);
SET qms.mock_now = '2026-03-02 09:31+01';
SELECT number, state FROM qms.undo(:c1);
SELECT count(qms.update_queue(:qa, settings => '{"undo_window": 0}'));
SELECT state FROM qms.mark_no_show(:c1);
SELECT qms.undo(:c1);
SELECT count(qms.update_queue(:qa, settings => '{"undo_window": null}'));
SELECT number, state FROM qms.undo(:c1);

-- changed since: recalled, changed at the desk, called elsewhere, reinstated, its number or subject taken, the counter busy or closed
SELECT state FROM qms.recall_ticket(:c1);
SELECT qms.undo(:c1);
SELECT state FROM qms.mark_no_show(:c1);
SELECT test.join(:qa, subject => 'S-9');
SELECT number FROM qms.call_next(:c1);
SELECT number FROM qms.update_ticket(test.id('A006'), notes => 'hi');
SELECT qms.undo(:c1);
SELECT state FROM qms.complete_service(:c1);
SELECT test.join(:qa, subject => 'S-9');
SELECT qms.undo(:c1);
SELECT state FROM qms.cancel_ticket(test.id('A007'));
SELECT state FROM qms.reinstate_ticket(test.id('A006'));
SELECT qms.undo(:c1);
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.requeue_ticket(test.id('A006'));
SELECT number FROM qms.call_next(:c2);
SELECT qms.undo(:c1);
SELECT state FROM qms.complete_service(:c2);
SELECT count(qms.close_counter(:c2)), count(qms.open_counter(:c2));
SELECT qms.undo(:c2);
SELECT * FROM test.news();

SELECT * FROM test.broken();
