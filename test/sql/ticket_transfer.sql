-- To other queues and branches, cancelled, brought back, changed, looked at.
\set base 160000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT count(qms.open_counter(:c1, :ada)), count(qms.open_counter(:c2, :ben)), count(qms.open_counter(:l1));
SELECT test.join(:qa), test.join(:qb), test.join(:qa), test.join(:qb);
SET qms.mock_now = '2026-03-02 09:05+01';
-- place credit: the arrival counts; the number stays within the branch; the leg is kept
SELECT number, previous_number, queue_id = :qb AS qb, service_id, state, leg, entered_at, effective_arrival < entered_at AS old_arrival, called_at FROM qms.transfer_ticket(test.id('A001'), :qb);
SELECT test.line(:qa) AS a, test.line(:qb) AS b;
SELECT number, leg, queue_id = :qa AS qa, entered_at, called_at, started_at, left_at, note FROM qms.ticket_leg WHERE ticket_id = test.id('A001');
-- first, last; within one's own queue too
SELECT number FROM qms.transfer_ticket(test.id('A002'), :qb, place => 'first');
SELECT test.line(:qb);
SELECT number FROM qms.transfer_ticket(test.id('A001'), :qb, place => 'last', note => 'asked to');
SELECT test.line(:qb);
SELECT number FROM qms.transfer_ticket(test.id('B002'), :qb, place => 'first');
SELECT test.line(:qb);
SELECT qms.transfer_ticket(test.id('A001'), :qb, place => 'middle');
-- the service: its own if offered there, the only one, or the one given
SELECT number AS adv FROM qms.join_queue(queue_id => :qa, service_id => :advice) \gset
SELECT number, service_id = :advice AS advice FROM qms.transfer_ticket(test.id(:'adv'), :qb);
SELECT number, service_id = :cars AS cars FROM qms.transfer_ticket(test.id(:'adv'), :qb, service_id => :cars);
SELECT number, service_id FROM qms.transfer_ticket(test.id(:'adv'), :qa);
SELECT qms.transfer_ticket(test.id(:'adv'), :qa, service_id => :cars);
-- from called and serving: the counter is free, the leg has its times
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.start_service(:c1);
SET qms.mock_now = '2026-03-02 09:07+01';
SELECT number, state, counter_name, called_at, started_at, leg FROM qms.transfer_ticket(test.id('B002'), :qa, note => 'needs a passport first');
SELECT leg, called_at, started_at, left_at, counter_id = :c1 AS c1, staff_id = :ada AS ada, note FROM qms.ticket_leg WHERE ticket_id = test.id('B002') ORDER BY leg;
SELECT status, tickets_served FROM qms.counter_status(:c1);
-- wanted: a counter, a clerk; nobody else while they are open, for wanted_fallback
SELECT wanted_counter_id = :c2 AS c2, wanted_staff_id FROM qms.transfer_ticket(test.id('B002'), :qa, 'first', counter_id => :c2);
SELECT wanted_staff_id = :ben AS ben FROM qms.transfer_ticket(test.id('A002'), :qa, 'first', staff_id => :ben);
SELECT test.line(:qa) AS a, test.line(:qb) AS b;
SELECT number FROM qms.call_next(:c1);
SELECT number FROM qms.call_next(:c2);
SELECT number FROM qms.call_next(:c2, 'completed');
SELECT state FROM qms.complete_service(:c2);
SELECT qms.transfer_ticket(test.id('A001'), :qa, counter_id => :l1);
SELECT qms.transfer_ticket(test.id('A001'), :qa, counter_id => 99);
SELECT qms.transfer_ticket(test.id('A001'), :qa, staff_id => 99);
-- to another branch: a number of there, the old one beside it; and back
SELECT test.join(:ql);
SELECT number, previous_number, branch_id = :library AS library, leg FROM qms.transfer_ticket(test.id('A001'), :ql);
SELECT test.line(:ql);
SELECT number, previous_number FROM qms.transfer_ticket(test.id('L002'), :qa);
SELECT number, state FROM qms.ticket_status(test.token('A001'));
SELECT test.join(:qa);
-- not to closed, paused, release or foreign queues, nor what has ended
SELECT count(qms.pause_queue(:qb)), count(qms.close_queue(:ql));
SELECT qms.transfer_ticket(test.id('A005'), :qb);
SELECT qms.transfer_ticket(test.id('A005'), :ql);
SELECT qms.transfer_ticket(test.id('A005'), 99);
SELECT qms.transfer_ticket(99, :qa);
SELECT count(qms.open_queue(:qb)), count(qms.open_queue(:ql));
SELECT state FROM qms.cancel_ticket(test.id('A005'));
SELECT qms.transfer_ticket(test.id('A005'), :qb);
SELECT queue_id AS room FROM qms.create_queue('Room', branch_id => :hall, kind => 'release') \gset
SELECT qms.transfer_ticket(test.id('B001'), :room);
SELECT * FROM test.news();

-- one live place per subject and queue holds for transfers too
SELECT test.join(:qa, subject => 'S-1'), test.join(:qb, subject => 'S-1');
SELECT qms.transfer_ticket(test.id('B003'), :qa);
SELECT number FROM qms.transfer_ticket(test.id('B003'), :qb, 'last');
SELECT count(qms.cancel_ticket(test.id('B003'))), count(qms.cancel_ticket(test.id('A006')));

-- cancel: from every open state; once
SELECT test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qa);
SELECT state, end_reason, outcome FROM qms.cancel_ticket(test.id('A007'), 'mistake');
SELECT count(qms.hold_ticket(test.id('A008')));
SELECT state, hold_kind FROM qms.cancel_ticket(test.id('A008'));
SELECT number FROM qms.call_ticket(:c2, test.id('A009'));
SELECT state, counter_name FROM qms.cancel_ticket(test.id('A009'));
SELECT status FROM qms.counter_status(:c2);
SELECT number FROM qms.call_ticket(:c2, test.id('A010'));
SELECT state FROM qms.start_service(:c2);
SELECT state FROM qms.cancel_ticket(test.id('A010'));
SELECT qms.cancel_ticket(test.id('A010'));
SELECT qms.cancel_ticket(999999999);
SELECT * FROM test.news();

-- reinstate: what has ended waits again, as a new leg, with its old number and arrival
SELECT number, previous_number, state, leg, version, counter_name, outcome, end_reason FROM qms.reinstate_ticket(test.id('A009'));
SELECT number, state FROM qms.reinstate_ticket(test.id('A010'), 'first');
SELECT number, state FROM qms.reinstate_ticket(test.id('A007'), 'last');
SELECT test.line(:qa);
SELECT qms.reinstate_ticket(test.id('A009'));
SELECT qms.reinstate_ticket(test.id('A008'), 'middle');
SELECT qms.reinstate_ticket(999999999);
SELECT count(*) FROM qms.ticket_history WHERE ticket_id IN (test.id('A007'), test.id('A009'), test.id('A010'));
SELECT count(qms.close_queue(:qa));
SELECT qms.reinstate_ticket(test.id('A008'));
SELECT count(qms.open_queue(:qa));
-- not while its subject has another place
SELECT test.join(:qa, subject => 'S-1');
SELECT qms.reinstate_ticket(test.id('A006'));
SELECT count(qms.cancel_ticket(test.id('A011')));
SELECT state, subject FROM qms.reinstate_ticket(test.id('A006'));
SELECT * FROM test.news();
-- yesterday's number: kept if nobody has it, and the numbers of today go round it
SELECT count(qms.close_queue(:qa, 'expire')), count(qms.open_queue(:qa));
SELECT test.id('A002') AS a2, test.id('A003') AS a3 \gset
SET qms.mock_now = '2026-03-03 09:00+01';
SELECT test.join(:qa);
SELECT number, previous_number, state FROM qms.reinstate_ticket(:a3, 'last');
SELECT test.join(:qa), test.join(:qa);
SELECT number, previous_number, state FROM qms.reinstate_ticket(:a2, 'last');
SELECT test.join(:qa);
SELECT test.line(:qa);

-- update: what is given; class, priority and service move the place by the difference of credits
SELECT count(qms.close_queue(:qa, 'expire')), count(qms.open_queue(:qa));
SELECT test.join(:qa);
SET qms.mock_now = '2026-03-03 09:04+01';
SELECT test.join(:qa);
SET qms.mock_now = '2026-03-03 09:08+01';
SELECT test.join(:qa);
SELECT test.line(:qa);
SELECT customer_class, priority FROM qms.update_ticket(test.id('A008'), customer_class => 'senior');
SELECT test.line(:qa);
SELECT priority FROM qms.update_ticket(test.id('A008'), priority => 1);
SELECT test.line(:qa);
SELECT priority, customer_class FROM qms.update_ticket(test.id('A008'), priority => 0, customer_class => 'regular');
SELECT test.line(:qa);
SELECT service_id = :advice AS advice FROM qms.update_ticket(test.id('A008'), service_id => :advice);
SELECT test.line(:qa);
SELECT service_id = :passports AS passports FROM qms.update_ticket(test.id('A008'), service_id => :passports);
SELECT test.line(:qa);
SELECT language, contact, metadata, notes FROM qms.update_ticket(test.id('A008'), language => 'fr', contact => '{"phone": "1"}', metadata => '{"a": [1]}', notes => 'loud');
SELECT language, contact, metadata, notes, version FROM qms.update_ticket(test.id('A008'), notes => 'quiet');
SELECT qms.update_ticket(test.id('A008'), service_id => :cars);
SELECT qms.update_ticket(test.id('A008'), customer_class => 'royal');
SELECT qms.update_ticket(test.id('A008'), priority => 11);
SELECT qms.update_ticket(test.id('A008'), priority => -1);
SELECT qms.update_ticket(:a2, notes => 'late');
SELECT * FROM test.news();
-- get: open, past, none
SELECT number, state, notes, end_reason FROM qms.get_ticket(test.id('A008'));
SELECT number, state, notes, end_reason, ended_at FROM qms.get_ticket(:a2);
SELECT count(*) FROM qms.get_ticket(999999999);

SELECT * FROM test.broken();
