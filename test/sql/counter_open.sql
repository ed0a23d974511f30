-- Counters: open, pause, resume, close; what they say of themselves.
\set base 130000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

-- nothing is open
SELECT name, status, staff_session_id, policy, blind, allowed_actions, hint FROM qms.counter_status(:c1);
SELECT qms.call_next(:c1);
SELECT qms.pause_counter(:c1, 'coffee');
SELECT qms.resume_counter(:c1);
SELECT qms.close_counter(:c1);
SELECT qms.undo(:c1);
-- open without anybody, with a clerk, with a clerk and a profile
SELECT name, status, staff_id, opened_at, idle_since, tickets_called, tickets_served, service_time, pause_time, policy, blind, allowed_actions, hint FROM qms.open_counter(:c1);
SELECT name, staff_id = :ada AS ada FROM qms.open_counter(:c2, :ada);
SELECT counter_profile_id AS profile FROM qms.create_counter_profile(:hall, 'cars first', 'strict', jsonb_build_array(jsonb_build_object('queue_id', :qb), jsonb_build_object('queue_id', :qa))) \gset
SELECT name, staff_id = :ben AS ben, counter_profile_id = :profile AS profile, policy FROM qms.open_counter(:c3, staff_id => :ben, profile_id => :profile);
-- taken: the counter, the clerk; a profile, clerk or counter that is not there, or of another branch
SELECT qms.open_counter(:c1);
SELECT qms.open_counter(:l1, :ada);
SELECT qms.open_counter(:l1, profile_id => :profile);
SELECT qms.open_counter(:l1, staff_id => 99);
SELECT qms.open_counter(99);
SELECT qms.open_counter(NULL);
SELECT qms.open_counter(-1);
SELECT count(*) FROM qms.staff_members s, qms.update_staff(s.staff_id, branch_ids => ARRAY[:library]) u WHERE s.staff_id = :ben;
SELECT status FROM qms.close_counter(:c3);
SELECT qms.open_counter(:c3, :ben);
SELECT status FROM qms.open_counter(:l1, :ben);
SELECT * FROM test.news();
-- pause and resume: the time is added up, and nobody is called meanwhile
SELECT test.join(:qa), test.join(:qa), test.join(:qb);
SELECT hint FROM qms.counter_status(:c1);
SET qms.mock_now = '2026-03-02 09:05+01';
SELECT status, paused_at, pause_reason, idle_since, allowed_actions, hint FROM qms.pause_counter(:c1, 'coffee');
SELECT qms.pause_counter(:c1, 'again');
SELECT qms.pause_counter(:c2, NULL);
SELECT qms.pause_counter(:c2, '');
SELECT qms.call_next(:c1);
SELECT qms.call_ticket(:c1, test.id('A001'));
SELECT qms.serve_walk_up(:c1, :passports);
SELECT is_open, is_paused FROM qms.counters WHERE counter_id IN (:c1, :c2) ORDER BY counter_id;
SET qms.mock_now = '2026-03-02 09:12+01';
SELECT status, paused_at, pause_reason, pause_time, idle_since FROM qms.resume_counter(:c1);
SELECT qms.resume_counter(:c1);
-- with a ticket: status and actions follow its state
SELECT number FROM qms.call_next(:c1);
SELECT status, current_number, current_state, idle_since, tickets_called, allowed_actions, hint FROM qms.counter_status(:c1);
SELECT qms.close_counter(:c1);
SELECT qms.call_next(:c1);
SET qms.mock_now = '2026-03-02 09:14+01';
SELECT state FROM qms.start_service(:c1);
SELECT status, current_number, current_state, allowed_actions FROM qms.counter_status(:c1);
-- paused while serving: what may be done is what is left, and resume
SELECT status, current_state, pause_reason FROM qms.pause_counter(:c1, 'after this one');
SELECT status, allowed_actions FROM qms.counter_status(:c1);
SELECT qms.call_next(:c1, 'completed');
SET qms.mock_now = '2026-03-02 09:20+01';
SELECT state FROM qms.complete_service(:c1);
SELECT status, tickets_called, tickets_served, service_time, pause_time, idle_since, allowed_actions FROM qms.counter_status(:c1);
-- closing ends the pause
SET qms.mock_now = '2026-03-02 09:21+01';
SELECT status, closed_at, pause_time, tickets_served, service_time, current_ticket_id, allowed_actions, hint FROM qms.close_counter(:c1);
SELECT status, staff_session_id, tickets_served FROM qms.counter_status(:c1);
SELECT tickets_called, tickets_served, service_time, pause_time, closed_at FROM qms.staff_session WHERE counter_id = :c1;
-- hints: somebody waits, only on hold, nobody
SELECT status, hint FROM qms.open_counter(:c1);
SELECT count(qms.hold_ticket(ticket_id)) FROM qms.ticket WHERE organization_id = :org AND state = 'waiting';
SELECT hint FROM qms.counter_status(:c1);
SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE organization_id = :org;
SELECT hint FROM qms.counter_status(:c1);
-- every action that a state allows exists; what a blind profile takes away
SELECT DISTINCT a FROM qms.counter_status(:c1), unnest(allowed_actions) a WHERE to_regproc('qms.' || a) IS NULL;
SELECT counter_profile_id AS blind FROM qms.create_counter_profile(:hall, 'blind', blind => true) \gset
SELECT count(qms.close_counter(:c1)), count(qms.open_counter(:c1, profile_id => :blind));
SELECT blind, policy, allowed_actions FROM qms.counter_status(:c1);
SELECT * FROM test.news();

SELECT * FROM test.broken();
