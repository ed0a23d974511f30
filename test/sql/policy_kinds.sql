-- What a counter calls next from several sources: fifo, strict, ratio, weighted; and why.
\set base 210000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT queue_id AS qc FROM qms.create_queue('Deliveries', branch_id => :hall) \gset
SELECT counter_id AS c4 FROM qms.create_counter(:hall, 'Counter 4', ARRAY[:qa, :qb, :qc]) \gset
CREATE FUNCTION test.profile(name text, policy text, sources text) RETURNS bigint LANGUAGE sql AS $$
	SELECT counter_profile_id FROM qms.create_counter_profile((SELECT branch_id FROM qms.branches WHERE organization_id = current_setting('test.org')::bigint AND slug = 'town-hall'), $1, $2, $3::jsonb) $$;
-- join a letter's queue at a minute: 'A0 B1 A2'
CREATE FUNCTION test.people(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	one text;
BEGIN
	FOREACH one IN ARRAY string_to_array(what, ' ') LOOP
		PERFORM set_config('qms.mock_now', ('2026-03-02 09:00+01'::timestamptz + substr(one, 2, 2)::int * interval '1 min')::text, false);
		PERFORM qms.join_queue(queue_id => q.queue_id, customer_class => CASE WHEN one ~ 'v' THEN 'vip' ELSE 'regular' END) FROM qms.queues q
			WHERE q.organization_id = current_setting('test.org')::bigint AND q.prefix = left(one, 1);
	END LOOP;
	RETURN what;
END $$;
CREATE FUNCTION test.calls(counter bigint, n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text := '';
	got text;
BEGIN
	FOR i IN 1 .. n LOOP
		SELECT number::text INTO got FROM qms.call_next(counter, 'completed');
		answer := answer || coalesce(got, '-') || ' ';
	END LOOP;
	RETURN rtrim(answer);
END $$;
CREATE FUNCTION test.why(number text) RETURNS TABLE (policy text, number qms.ticket_number, customer_class text, credit interval, weight float8, score float8, chosen boolean, reason text) LANGUAGE sql AS $$
	SELECT policy, number, customer_class, credit, weight, CASE WHEN policy = 'fifo' THEN NULL ELSE score END, chosen, reason FROM qms.explain_call(test.id($1)) $$;

-- one source: no comparison
SELECT test.people('A00 A01');
SELECT count(qms.open_counter(:c1, profile_id => test.profile('only cars', 'strict', format('[{"queue_id": %s}]', :qb))));
SELECT test.calls(:c1, 1);
SELECT count(qms.close_counter(:c1)), count(qms.open_counter(:c1, profile_id => test.profile('only passports', 'weighted', format('[{"queue_id": %s}]', :qa))));
SELECT test.calls(:c1, 1);
SELECT * FROM test.why('A001');
SELECT count(*) FROM test.why('A002');
SELECT test.calls(:c1, 2);

-- fifo: the smallest key of all sources
SELECT count(qms.open_counter(:c4, profile_id => test.profile('fifo', 'fifo', NULL)));
SELECT test.people('A10 B11 C12 A13 B14v C15');
SELECT test.calls(:c4, 2);
SELECT * FROM test.why('B002');
SELECT * FROM test.why('A003');
SELECT test.calls(:c4, 6);
-- strict: the order of the sources, whatever the keys
SELECT count(qms.close_counter(:c4)), count(qms.open_counter(:c4, profile_id => test.profile('strict', 'strict', format('[{"queue_id": %s}, {"queue_id": %s}, {"queue_id": %s}]', :qc, :qa, :qb))));
SELECT test.people('A20 B21 C22 A23 B24v C25');
SELECT test.calls(:c4, 3);
SELECT * FROM test.why('C003');
SELECT * FROM test.why('A005');
SELECT test.people('C26');
SELECT test.calls(:c4, 5);
-- strict with classes of one queue: vip of cars, then passports, then whoever is left
SELECT count(qms.close_counter(:c4)), count(qms.open_counter(:c4, profile_id => test.profile('vip first', 'strict', format('[{"queue_id": %s, "customer_class": "vip"}, {"queue_id": %s}, {"queue_id": %s}]', :qb, :qa, :qb))));
SELECT test.people('B30 A31 B32v B33 A34 B35v');
SELECT test.calls(:c4, 7);

-- ratio 3:1, exact shares over 40 calls; both always have somebody
SELECT count(qms.close_counter(:c4)), count(qms.open_counter(:c4, profile_id => test.profile('ratio', 'ratio', format('[{"queue_id": %s, "weight": 3}, {"queue_id": %s, "weight": 1}]', :qa, :qb))));
CREATE FUNCTION test.crowd(letter text, n int) RETURNS int LANGUAGE sql AS $$
	SELECT count(qms.join_queue(queue_id => q.queue_id))::int FROM qms.queues q, generate_series(1, n) WHERE q.organization_id = current_setting('test.org')::bigint AND q.prefix = letter $$;
SELECT test.crowd('A', 60), test.crowd('B', 40);
SELECT calls, length(translate(calls, 'B', '')) AS a, length(translate(calls, 'A', '')) AS b FROM (SELECT regexp_replace(test.calls(:c4, 40), '[0-9]+ ?', '', 'g') AS calls OFFSET 0) c;
SELECT policy, left(number::text, 1) AS source, weight, round(score::numeric, 6) AS pass, chosen, reason FROM qms.explain_call((SELECT current_ticket_id FROM qms.counter_status(:c4)));
-- a source that was empty saves up nothing: A is empty for ten calls, then gets its share, no more
SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE queue_id = :qa AND state = 'waiting';
SELECT regexp_replace(test.calls(:c4, 10), '[0-9]+ ?', '', 'g') AS calls;
SELECT test.crowd('A', 20);
SELECT regexp_replace(test.calls(:c4, 16), '[0-9]+ ?', '', 'g') AS calls;
-- equal shares of three, and a weight that is a fraction
SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE organization_id = :org AND state = 'waiting';
SELECT count(qms.complete_service(:c4)), count(qms.close_counter(:c4)), count(qms.open_counter(:c4, profile_id => test.profile('thirds', 'ratio', format('[{"queue_id": %s}, {"queue_id": %s}, {"queue_id": %s, "weight": 0.5}]', :qa, :qb, :qc))));
SELECT test.crowd('A', 20), test.crowd('B', 20), test.crowd('C', 20);
SELECT regexp_replace(test.calls(:c4, 20), '[0-9]+ ?', '', 'g') AS calls;
SELECT count(qms.cancel_ticket(ticket_id)) FROM qms.ticket WHERE organization_id = :org AND state = 'waiting';
-- the passes belong to the session: opened again, it begins anew
SELECT passes IS NOT NULL AS passes FROM qms.staff_session WHERE counter_id = :c4 AND closed_at IS NULL;

-- weighted: the largest weight x waiting time.  At 09:50: B45 waits 5 min x 3 = 900, A38 12 min x 1 = 720, C44 6 min x 2 = 720
SELECT count(qms.complete_service(:c4)), count(qms.close_counter(:c4)), count(qms.open_counter(:c4, profile_id => test.profile('weighted', 'weighted', format('[{"queue_id": %s}, {"queue_id": %s, "weight": 3}, {"queue_id": %s, "weight": 2}]', :qa, :qb, :qc))));
SELECT test.people('A38 A39 B45 B49 C44 C47');
SET qms.mock_now = '2026-03-02 09:50+01';
SELECT test.calls(:c4, 1);
SELECT policy, left(number::text, 1) AS source, weight, score, chosen, reason FROM qms.explain_call((SELECT current_ticket_id FROM qms.counter_status(:c4)));
-- then A38 720 = C44 720, and A's key is smaller; then C44 720, A39 660, B49 180
SELECT left(test.calls(:c4, 1), 1);
SELECT policy, left(number::text, 1) AS source, weight, score, chosen FROM qms.explain_call((SELECT current_ticket_id FROM qms.counter_status(:c4)));
SELECT left(test.calls(:c4, 1), 1);
SELECT policy, left(number::text, 1) AS source, weight, score, chosen FROM qms.explain_call((SELECT current_ticket_id FROM qms.counter_status(:c4)));
-- at 10:10: A39 31 min = 1860, C47 2 x 23 min = 2760, B49 3 x 21 min = 3780
SET qms.mock_now = '2026-03-02 10:10+01';
SELECT regexp_replace(test.calls(:c4, 4), '[0-9]+', '', 'g');
-- classes of one queue: a vip's time counts fourfold.  At 10:30 30 min x 1, 10 min x 4; at 10:50 49 min x 1, 12 min x 4
SELECT count(qms.close_counter(:c4)), count(qms.open_counter(:c4, profile_id => test.profile('weighted classes', 'weighted', format('[{"queue_id": %1$s, "customer_class": "regular"}, {"queue_id": %1$s, "customer_class": "vip", "weight": 4}]', :qb))));
SELECT test.people('B60 B61 B80v B98v');
SET qms.mock_now = '2026-03-02 10:30+01';
SELECT test.calls(:c4, 1);
SELECT customer_class, weight, score, chosen FROM qms.explain_call((SELECT current_ticket_id FROM qms.counter_status(:c4)));
SELECT count(qms.complete_service(:c4));
SET qms.mock_now = '2026-03-02 10:50+01';
SELECT test.calls(:c4, 1);
SELECT customer_class, weight, score, chosen FROM qms.explain_call((SELECT current_ticket_id FROM qms.counter_status(:c4)));
-- chosen and walk-up calls say so; a ticket that was never called, or is not there
SELECT test.people('A59');
SELECT count(qms.complete_service(:c4)), count(qms.close_counter(:c4)), count(qms.open_counter(:c4));
SELECT test.id('A' || lpad((SELECT last_number::text FROM qms_internal.queue_number WHERE queue_id = :qa), 3, '0')) AS last \gset
SELECT count(*) FROM qms.explain_call(:last);
SELECT count(qms.call_ticket(:c4, :last));
SELECT policy, chosen, reason FROM qms.explain_call(:last);
SELECT count(qms.complete_service(:c4)), count(qms.serve_walk_up(:c4, :passports));
SELECT policy, chosen, reason FROM qms.explain_call((SELECT current_ticket_id FROM qms.counter_status(:c4)));
SELECT * FROM qms.explain_call(99);

SELECT * FROM test.broken();
