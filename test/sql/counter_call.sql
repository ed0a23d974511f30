-- Calling: next, a chosen one, again; service, no-show, walk-up.
\set base 140000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT status FROM qms.open_counter(:c1, :ada);
-- nobody waits: no row, no error, nothing written
SELECT count(*) FROM test.news();
SELECT count(*) FROM qms.call_next(:c1);
SELECT count(*) FROM qms.call_next(:c1, finish_current => 'completed');
SELECT count(*) FROM test.news();
SELECT test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qb);
SET qms.mock_now = '2026-03-02 09:04:30+01';
-- the whole row of a call
SELECT number, customer_class, language, state, called_at, waited, counter_name, staff_id = :ada AS ada, previous_number, priority, joined_at, effective_arrival, entered_at, started_at, ended_at, recalls, defers, leg, version FROM qms.call_next(:c1);
-- in the middle of a call
SELECT * FROM qms.call_next(:c1);
SELECT qms.call_ticket(:c1, test.id('A002'));
SELECT qms.serve_walk_up(:c1, :passports);
SELECT qms.call_next(:c1, 'gone');
SELECT qms.call_next(:c1, '');
-- finish_current: each word
SELECT number FROM qms.call_next(:c1, 'completed');
SELECT state, outcome, started_at = called_at AS served_since_call FROM qms.get_ticket(test.id('A001'));
SELECT number FROM qms.call_next(:c1, 'no_show');
SELECT state, outcome FROM qms.get_ticket(test.id('B001'));
SELECT number FROM qms.call_next(:c1, 'left');
SELECT state, outcome FROM qms.get_ticket(test.id('A002'));
SELECT state FROM qms.start_service(:c1);
SELECT * FROM qms.call_next(:c1, 'no_show');
SELECT number FROM qms.call_next(:c1, 'completed');
SELECT * FROM test.news();
-- with nobody left the current one ends all the same
SELECT number FROM qms.call_next(:c1, 'completed');
SELECT number FROM qms.call_next(:c1, 'completed');
SELECT status, tickets_called, tickets_served FROM qms.counter_status(:c1);
SELECT * FROM test.news();

-- a chosen one: out of turn, from hold; not of a queue of others, not twice, not when ended
SELECT test.join(:qa), test.join(:qa), test.join(:qb);
SELECT number, state FROM qms.call_ticket(:c1, test.id('A007'));
SELECT number FROM qms.call_next(:c1, 'completed');
SELECT state FROM qms.hold_ticket(test.id('B002'), 'photo', 'parked');
SELECT qms.call_ticket(:c1, test.id('B002'));
SELECT count(qms.open_counter(:c3));
SELECT qms.call_ticket(:c3, test.id('A006'));
SELECT qms.call_ticket(:c3, test.id('A007'));
SELECT qms.call_ticket(:c3, 99);
SELECT test.join(:qa), test.join(:qb);
SELECT qms.call_ticket(:c3, test.id('A008'));
SELECT test.join(:ql);
SELECT qms.call_ticket(:c3, test.id('L001'));
SELECT number, state, hold_kind, hold_reason FROM qms.call_ticket(:c3, test.id('B002'));
SELECT qms.call_ticket(:c3, test.id('B003'));
SELECT state FROM qms.complete_service(:c3);
SELECT qms.call_ticket(:c3, test.id('B002'));
SELECT count(qms.cancel_ticket(test.id('B003')));
SELECT * FROM test.news();

-- recall: limit 3, no gap; then a gap
SELECT state, recalls FROM qms.recall_ticket(:c1);
SELECT state, recalls FROM qms.recall_ticket(:c1);
SELECT state, recalls FROM qms.recall_ticket(:c1);
SELECT qms.recall_ticket(:c1);
SELECT count(qms.update_queue(:qa, settings => '{"recall_limit": 5, "recall_gap": "20 s"}'));
SELECT number, recalls FROM qms.call_next(:c1, 'no_show');
SELECT qms.recall_ticket(:c1);
SET qms.mock_now = '2026-03-02 09:04:49.999999+01';
SELECT qms.recall_ticket(:c1);
SET qms.mock_now = '2026-03-02 09:04:50+01';
SELECT recalls FROM qms.recall_ticket(:c1);
SELECT qms.recall_ticket(:c1);
SET qms.mock_now = '2026-03-02 09:05:10+01';
SELECT recalls, called_at FROM qms.recall_ticket(:c1);
-- start, and what does not fit afterwards
SELECT state, started_at FROM qms.start_service(:c1);
SELECT qms.start_service(:c1);
SELECT qms.recall_ticket(:c1);
SELECT qms.mark_no_show(:c1);
SELECT qms.requeue_ticket(test.id('A008'));
SET qms.mock_now = '2026-03-02 09:15:10+01';
SELECT state, outcome, notes, ended_at, started_at FROM qms.complete_service(:c1, outcome => 'passport issued', notes => 'cash');
SELECT tickets_called, tickets_served, service_time FROM qms.counter_status(:c1);
SELECT qms.start_service(:c1), qms.recall_ticket(:c1);
SELECT qms.complete_service(:c1);
SELECT qms.mark_no_show(:c1);
SELECT kind, data FROM qms.event WHERE ticket_id = test.id('A008') AND kind IN ('ticket.completed', 'ticket.recalled') ORDER BY event_id;
-- no-show
SELECT test.join(:qa);
SELECT number FROM qms.call_next(:c1);
SELECT state, counter_name, started_at FROM qms.mark_no_show(:c1);
SELECT count(*) FROM test.news();

-- a walk-up: numbered, served at once; also when the queue is full of people who wait
SELECT number, state, waited, customer_class, called_at = started_at AS at_once FROM qms.serve_walk_up(:c1, :cars);
SELECT state FROM qms.complete_service(:c1);
SELECT qms.serve_walk_up(:c1, 99);
SELECT count(qms.update_queue(:qb, settings => '{"max_waiting": 1}'));
SELECT test.join(:qb);
SELECT qms.join_queue(queue_id => :qb);
SELECT number, state FROM qms.serve_walk_up(:c1, :cars);
SELECT state FROM qms.complete_service(:c1);
SELECT count(qms.pause_queue(:qb));
SELECT qms.serve_walk_up(:c1, :cars);
SELECT * FROM test.news();

SELECT * FROM test.broken();
