-- One person, several tickets: one token, called in one place at a time.
\set base 120000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT count(*) FROM (SELECT status FROM qms.open_counter(:c1) UNION ALL SELECT status FROM qms.open_counter(:c3)) o;
SELECT test.join(:qa);
SELECT test.id('A001') AS visit \gset
-- a second ticket of the visit: same token, same visit; the first is marked
SELECT number, state, token::text = test.token('A001')::text AS same_token, visit_id = :visit AS same_visit FROM qms.join_queue(queue_id => :qb, visit_token => test.token('A001')::text);
SELECT number, shared_visit, version FROM qms.ticket WHERE organization_id = :org ORDER BY 1;
SELECT count(*) FROM qms.visit WHERE organization_id = :org;
SELECT number, state, position FROM qms.visit_status(test.token('A001'));
SELECT number, state FROM qms.ticket_status(test.token('A001'));
SELECT * FROM test.news();
-- somebody else behind each
SELECT test.join(:qa), test.join(:qb);
-- called at one counter: the other ticket is on hold, and the next one there is called
SELECT number, state FROM qms.call_next(:c1);
SELECT number, state, hold_kind FROM qms.get_ticket(test.id('B001'));
SELECT number FROM qms.call_next(:c3);
SELECT number, state FROM qms.visit_status(test.token('A001'));
SELECT number, state, counter_name FROM qms.ticket_status(test.token('A001'));
-- a third ticket of somebody who is called waits on hold as well; nobody can resume or call it
SELECT number, state FROM qms.join_queue(queue_id => :ql, visit_token => test.token('A001')::text);
SELECT qms.resume_ticket(test.id('B001'));
SELECT state FROM qms.complete_service(:c3);
SELECT qms.call_ticket(:c3, test.id('B001'));
-- done: they go on waiting at their old places, and the token tells of the next
SELECT * FROM test.news();
SELECT state FROM qms.complete_service(:c1);
SELECT * FROM test.news();
SELECT number, state, position FROM qms.visit_status(test.token('A001'));
SELECT number, state FROM qms.ticket_status(test.token('A001'));
SELECT number FROM qms.call_next(:c3, 'completed');
SELECT number, state, hold_kind FROM qms.ticket WHERE visit_id = :visit ORDER BY ticket_id;
-- leaving one of those on hold does not wake the others while the person is at a counter
SELECT number, state FROM qms.join_queue(queue_id => :qa, visit_token => test.token('A001')::text);
SELECT state FROM qms.cancel_ticket(test.id('A003'));
SELECT number, state, hold_kind FROM qms.ticket WHERE visit_id = :visit ORDER BY ticket_id;
-- each way away from a counter wakes them: hold, requeue, transfer, no-show, undo
SELECT state FROM qms.hold_ticket(test.id('B001'), 'photo');
SELECT number, state, hold_kind FROM qms.ticket WHERE visit_id = :visit ORDER BY ticket_id;
SELECT number FROM qms.undo(:c3);
SELECT number, state, hold_kind FROM qms.ticket WHERE visit_id = :visit ORDER BY ticket_id;
SELECT state FROM qms.requeue_ticket(test.id('B001'));
SELECT number, state, hold_kind FROM qms.ticket WHERE visit_id = :visit ORDER BY ticket_id;
SELECT number FROM qms.call_ticket(:c3, test.id('B001'));
SELECT state FROM qms.transfer_ticket(test.id('B001'), :qa);
SELECT number, state, hold_kind FROM qms.ticket WHERE visit_id = :visit ORDER BY ticket_id;
SET qms.mock_now = '2026-03-02 09:20+01';
-- leaving: every ticket of the visit but the one that is being served
SELECT count(qms.transfer_ticket(test.id('B001'), :qb)), count(qms.call_ticket(:c3, test.id('B001')));
SELECT * FROM (SELECT count(*) FROM test.news()) n;
SELECT state FROM qms.start_service(:c3);
SELECT number, state FROM qms.leave_queue(test.token('A001'));
SELECT number, state FROM qms.visit_status(test.token('A001'));
SET qms.mock_now = '2026-03-02 09:21+01';
SELECT state FROM qms.complete_service(:c3);
SELECT number, state FROM qms.ticket_status(test.token('A001'));
SELECT * FROM test.news();
-- nobody is left: another ticket of the visit may be taken, and leaves with a called one
SELECT number FROM qms.join_queue(queue_id => :qa, visit_token => test.token('A001')::text);
SELECT number FROM qms.join_queue(queue_id => :qb, visit_token => test.token('A001')::text);
SELECT number FROM qms.call_ticket(:c1, test.id('A004'));
SELECT number, state FROM qms.leave_queue(test.token('A001'));
SELECT status FROM qms.counter_status(:c1);
SELECT * FROM test.news();
-- a token of nobody, of another organization, and of a past visit
SELECT number FROM qms.join_queue(queue_id => :qa, visit_token => 'nonsense');
SELECT number FROM qms.join_queue(queue_id => :qa, visit_token => overlay(test.token('A001')::text PLACING 'AAAA' FROM 30));

SELECT * FROM test.broken();
