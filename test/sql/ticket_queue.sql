-- Queues open, pause and close; those who wait are served or sent home.
\set base 180000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT count(qms.open_counter(:c1));
SELECT test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qa);
SELECT number FROM qms.call_next(:c1);
SELECT count(qms.hold_ticket(test.id('A002')));
SELECT status FROM qms.pause_queue(:qa);
SELECT qms.join_queue(queue_id => :qa);
SELECT number FROM qms.call_next(:c1, 'completed');
SELECT status FROM qms.pause_queue(:qa);
SELECT status FROM qms.close_queue(:qa);
SELECT qms.join_queue(queue_id => :qa);
-- closed: those who are there are served, resumed, held
SELECT state FROM qms.resume_ticket(test.id('A002'));
SELECT state FROM qms.requeue_ticket(test.id('A003'));
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.hold_ticket(test.id('A003'));
SELECT status FROM qms.open_queue(:qa);
SELECT test.join(:qa);
SELECT qms.close_queue(:qa, 'burn');
-- expire: who waits or is on hold; not who is at a counter
SELECT status FROM qms.close_queue(:qa, waiting => 'expire');
SELECT number, state, end_reason, outcome, ended_from FROM qms.ticket_history WHERE organization_id = :org ORDER BY ticket_id;
SELECT number, state FROM qms.ticket WHERE organization_id = :org;
SELECT state FROM qms.complete_service(:c1);
SELECT number, state, ended_at FROM qms.ticket_status(test.token('A004'));
-- nobody there: fine
SELECT status FROM qms.close_queue(:qa, 'expire');
SELECT status FROM qms.open_queue(:qa);
SELECT qms.open_queue(99), qms.pause_queue(NULL);
SELECT qms.close_queue(99);
SELECT * FROM test.news();

SELECT * FROM test.broken();
