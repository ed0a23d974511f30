-- The order of the line: credits of class, service and priority, and the stated bound.
\set base 200000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT count(qms.open_counter(:c1));
-- who came first is first; a credit counts as having come that much earlier
CREATE FUNCTION test.at(minute int, class text DEFAULT 'regular', priority int DEFAULT 0, service bigint DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT set_config('qms.mock_now', ('2026-03-02 09:00+01'::timestamptz + minute * interval '1 min')::text, false);
	SELECT test.join((SELECT queue_id FROM qms.queues WHERE organization_id = current_setting('test.org')::bigint AND prefix = 'A'), class, service, priority) $$;
SELECT test.at(0) AS regular, test.at(1) AS regular, test.at(4, 'senior') AS senior_5, test.at(29, 'vip') AS vip_30, test.at(31, 'vip') AS vip_30;
SELECT number, effective_arrival, credit FROM qms.ticket WHERE queue_id = :qa ORDER BY sort_key;
SELECT test.at(32, service => :advice) AS service_10, test.at(33, priority => 1) AS priority_5, test.at(34, priority => 10) AS priority_50, test.at(35, 'vip', 2, :advice) AS all_50;
SELECT number, effective_arrival, credit FROM qms.ticket WHERE queue_id = :qa ORDER BY sort_key;
-- priority_step of the queue
SELECT count(qms.update_queue(:qa, settings => '{"priority_step": "1 min"}'));
SELECT test.at(36, priority => 10) AS priority_10;
SELECT credit FROM qms.ticket WHERE ticket_id = test.id('A010');
SELECT count(qms.update_queue(:qa, settings => '{"priority_step": 0}'));
SELECT test.at(37, priority => 10) AS priority_0;
SELECT credit FROM qms.ticket WHERE ticket_id = test.id('A011');
-- a negative credit counts as having come later
SELECT credit FROM qms.create_customer_class(:org, 'patient', credit => '-10 min');
SELECT test.at(38, 'patient') AS patient, test.at(47) AS regular, test.at(49) AS regular;
SELECT test.line(:qa);
-- and so they are called
SELECT string_agg(number::text, ' ' ORDER BY o) FROM generate_series(1, 14) o, LATERAL (SELECT number FROM qms.call_next(:c1, CASE WHEN o > 0 THEN 'completed' END)) c;
SELECT state FROM qms.complete_service(:c1);
-- a class whose credit changes: those who wait keep theirs
SELECT test.at(60, 'senior');
SELECT count(qms.update_customer_class(:senior, credit => '20 min'));
SELECT test.at(61, 'senior');
SELECT number, credit FROM qms.ticket WHERE queue_id = :qa ORDER BY sort_key;
SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE queue_id = :qa;

-- the bound: nobody is passed by anyone who came more than the difference of credits later.
-- 200 people of all classes and priorities, joining and called in turn
CREATE TABLE test.called (place serial, ticket_id bigint);
CREATE FUNCTION test.day() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	org bigint := current_setting('test.org')::bigint;
	counter bigint := (SELECT min(counter_id) FROM qms.counters WHERE organization_id = org);
	queue bigint := (SELECT queue_id FROM qms.queues WHERE organization_id = org AND prefix = 'A');
	n int := 0;
BEGIN
	FOR i IN 1 .. 200 LOOP
		PERFORM set_config('qms.mock_now', ('2026-03-02 11:00+01'::timestamptz + i * interval '37 s')::text, false);
		PERFORM qms.join_queue(queue_id => queue, customer_class => (ARRAY['regular', 'senior', 'regular', 'vip', 'patient'])[1 + i * 7 % 5], priority => i * 11 % 4);
		IF i % 5 <> 0 THEN
			INSERT INTO test.called (ticket_id) SELECT ticket_id FROM qms.call_next(counter, 'completed');
		END IF;
	END LOOP;
	LOOP
		INSERT INTO test.called (ticket_id) SELECT ticket_id FROM qms.call_next(counter, 'completed');
		EXIT WHEN NOT FOUND;
	END LOOP;
END $$;
SELECT count(qms.update_queue(:qa, settings => '{"priority_step": "2 min", "max_number": 9999}'));
SELECT test.day();
SELECT count(*), count(DISTINCT ticket_id) FROM test.called;
SELECT count(*) AS passed_although_present, count(*) FILTER (WHERE later.effective_arrival - first.effective_arrival > later.credit - first.credit) AS beyond_the_bound
FROM test.called p JOIN qms.ticket_history later ON later.ticket_id = p.ticket_id
	JOIN test.called q ON q.place > p.place JOIN qms.ticket_history first ON first.ticket_id = q.ticket_id
WHERE first.effective_arrival < later.effective_arrival AND first.joined_at <= later.called_at;

SELECT * FROM test.broken();
