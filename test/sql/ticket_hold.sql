-- On hold and back; requeue; wanted counters and clerks.
\set base 150000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT count(qms.open_counter(:c1, :ada)), count(qms.open_counter(:c2, :ben));
SELECT test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qa);
SET qms.mock_now = '2026-03-02 09:05+01';
-- each kind; whoever waits, keeps the place in the order
CREATE FUNCTION test.hold_kinds() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	k text;
	t qms.ticket_details;
BEGIN
	FOREACH k IN ARRAY '{staff,parked,deferred,away,not_arrived,offline}'::text[] LOOP
		SELECT * INTO t FROM qms.hold_ticket(test.id('A002'), 'because', k);
		RETURN NEXT concat_ws(' ', t.state, t.hold_kind, t.hold_reason);
		SELECT * INTO t FROM qms.resume_ticket(test.id('A002'));
		RETURN NEXT concat_ws(' ', t.state, t.hold_kind, t.hold_reason);
	END LOOP;
END $$;
SELECT * FROM test.hold_kinds();
SELECT test.line(:qa);
SELECT qms.hold_ticket(test.id('A002'), hold_kind => 'other_ticket');
SELECT qms.hold_ticket(test.id('A002'), hold_kind => 'lost');
SELECT qms.hold_ticket(test.id('A002'), resume_to => 'home');
SELECT qms.hold_ticket(test.id('A002'), resume_at => '2026-03-02 09:05+01');
SELECT qms.hold_ticket(test.id('A002'), resume_at => 'infinity');
SELECT state, hold_kind, resume_at FROM qms.hold_ticket(test.id('A002'), 'back soon', resume_at => '2026-03-02 10:00+01');
SELECT qms.hold_ticket(test.id('A002'));
SELECT qms.requeue_ticket(test.id('A002'));
SELECT number FROM qms.call_next(:c1);
SELECT qms.resume_ticket(test.id('A001'));
SELECT number FROM qms.call_next(:c2);
SELECT state, hold_kind, hold_reason, resume_at FROM qms.resume_ticket(test.id('A002'));
SELECT qms.resume_ticket(test.id('A002'));
SELECT qms.resume_ticket(999999999);
SELECT * FROM test.news();
-- from called and from serving: the counter is free
SELECT state, counter_name, called_at, recalls FROM qms.hold_ticket(test.id('A001'), 'photo');
SELECT status FROM qms.counter_status(:c1);
SELECT state FROM qms.start_service(:c2);
SELECT state, started_at FROM qms.hold_ticket(test.id('A003'), 'form', 'parked');
SELECT status, tickets_served, service_time FROM qms.counter_status(:c2);
SELECT count(qms.resume_ticket(test.id('A001'))), count(qms.resume_ticket(test.id('A003')));
SELECT test.line(:qa);
-- back to the same counter: others leave it alone while that one is open, until wanted_fallback
SELECT number FROM qms.call_next(:c2);
SELECT state FROM qms.hold_ticket(test.id('A001'), resume_to => 'counter');
SELECT wanted_counter_id = :c2 AS c2, wanted_staff_id FROM qms.resume_ticket(test.id('A001'));
SELECT number FROM qms.call_next(:c1);
SELECT number FROM qms.call_next(:c2);
SELECT count(qms.complete_service(:c1)), count(qms.complete_service(:c2));
-- back to the same clerk
SELECT number FROM qms.call_next(:c2);
SELECT state FROM qms.hold_ticket(test.id('A003'), resume_to => 'clerk');
SELECT wanted_counter_id, wanted_staff_id = :ben AS ben FROM qms.resume_ticket(test.id('A003'));
SELECT number FROM qms.call_next(:c1);
SELECT count(*) FROM qms.call_next(:c1, 'completed');
SELECT hint FROM qms.counter_status(:c1);
-- he has gone: anybody
SELECT count(qms.close_counter(:c2));
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.hold_ticket(test.id('A003'), resume_to => 'counter');
SELECT count(qms.open_counter(:c2, :ben));
SELECT state FROM qms.resume_ticket(test.id('A003'));
SET qms.mock_now = '2026-03-02 09:19:59+01';
SELECT count(*) FROM qms.call_next(:c2);
SET qms.mock_now = '2026-03-02 09:20+01';
SELECT number FROM qms.call_next(:c2);
-- wanted by nobody for longer than the fall-back, also when called from hold by somebody else
SELECT state FROM qms.complete_service(:c2);
SELECT test.join(:qa);
SELECT number FROM qms.call_next(:c2);
SELECT state FROM qms.hold_ticket(test.id('A005'), resume_to => 'counter');
SELECT number FROM qms.call_ticket(:c1, test.id('A005'));
SELECT state FROM qms.requeue_ticket(test.id('A005'));
SELECT count(*) FROM qms.call_next(:c1);
SET qms.mock_now = '2026-03-02 09:40+01';
SELECT number FROM qms.call_next(:c1);
-- requeue: the old place; the counter is free; only what is called
SELECT test.join(:qa);
SELECT number, state, called_at, recalls FROM qms.requeue_ticket(test.id('A005'));
SELECT qms.requeue_ticket(test.id('A005'));
SELECT test.line(:qa);
SELECT status FROM qms.counter_status(:c1);
SELECT * FROM test.news();
SELECT data - 'was' AS data FROM qms.event WHERE organization_id = :org AND kind IN ('ticket.held', 'ticket.requeued') AND data ? 'from_counter_id' ORDER BY event_id LIMIT 1 \gset
SELECT (:'data'::jsonb) - 'from_counter_id' AS data;

SELECT * FROM test.broken();
