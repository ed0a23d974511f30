-- A customer's side of a ticket: join, look, leave, defer, heartbeat; visits of several tickets.
\set base 110000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

-- by queue; what is answered
SELECT number, state, position, people_ahead, position_exact, wait_p10, wait_p50, wait_p90, joined_at, length(token::text) AS token_length, ticket_id = visit_id AS own_visit, queue_id = :qa AS queue, service_id
	FROM qms.join_queue(queue_id => :qa);
-- by branch and service, through the default queue; by queue and service
SELECT number, queue_id = :qa AS queue, service_id = :advice AS advice FROM qms.join_queue(branch_id => :hall, service_id => :advice);
SELECT number, queue_id = :qb AS queue, service_id = :advice AS advice FROM qms.join_queue(queue_id => :qb, service_id => :advice);
SELECT number, queue_id = :ql AS queue, service_id = :passports AS service FROM qms.join_queue(branch_id => :library, service_id => :passports);
-- the only service of a queue needs no naming
SELECT number, service_id = :passports AS service FROM qms.join_queue(queue_id => :ql);
-- another queue becomes the default one
SELECT count(*) FROM qms.service_offers, LATERAL qms.update_service_offer(service_offers.service_offer_id, is_default => true) u WHERE service_offers.queue_id = :qb AND service_offers.service_id = :advice;
SELECT number, queue_id = :qb AS queue FROM qms.join_queue(branch_id => :hall, service_id => :advice);
-- every argument; and what is kept of it
SELECT ticket_id AS t, number, state FROM qms.join_queue(queue_id => :qa, service_id => :passports, customer_class => 'senior', contact => '{"mail": "eve@example.org"}', language => 'de', metadata => '{"form": 7}', priority => 2, subject => 'S-1', challenge => 'unused') \gset j_
SELECT :'j_number' AS number, :'j_state' AS state;
SELECT customer_class, contact, language, metadata, priority, subject, previous_number, recalls, defers, leg, version, waited FROM qms.get_ticket(:j_t);
SELECT credit, simulated, shared_visit, quoted_n, quoted_s, service_day, sort_key = extract(epoch FROM effective_arrival - '2000-01-01 00:00+00' - credit) * 1000000 AS key_is_arrival_less_credit FROM qms.ticket WHERE ticket_id = :j_t;
-- one live place per subject and queue: the second join answers the first, with its token for staff
SELECT ticket_id = :j_t AS same, number, length(token::text) AS token_length, position FROM qms.join_queue(queue_id => :qa, subject => 'S-1');
SELECT number FROM qms.join_queue(queue_id => :qb, subject => 'S-1');
SELECT * FROM test.news();
SELECT test.line(:qa) AS a, test.line(:qb) AS b;
-- arrivals grow strictly although the clock stands still
SELECT count(*), count(DISTINCT effective_arrival), max(effective_arrival) - min(effective_arrival) AS span FROM qms.ticket WHERE queue_id = :qa;

-- no row without FROM: a call per column is what .* would make of it
SELECT (j).number, (j).state FROM (SELECT qms.join_queue(queue_id => :qb) AS j OFFSET 0) once;

-- wait figures: 0 and 1 counter count alike, two halve them
SELECT test.join(:ql);
SELECT people_ahead, wait_p10, wait_p50, wait_p90 FROM qms.ticket_status(test.token('L003'));
SELECT status FROM qms.open_counter(:l1);
SELECT people_ahead, wait_p10, wait_p50, wait_p90 FROM qms.ticket_status(test.token('L003'));
SELECT number FROM qms.call_next(:l1);
SELECT people_ahead, wait_p50, position FROM qms.ticket_status(test.token('L003'));
SELECT status FROM qms.counter_status(:l1);

-- ticket_status as the ticket goes on; the token answered is the token given
SET qms.mock_now = '2026-03-02 09:10:00+01';
SELECT test.join(:qa);
SELECT number, state, position, counter_name, called_at, ended_at, joined_at, token::text = test.token('A004')::text AS same_token FROM qms.ticket_status(test.token('A004'));
SELECT status FROM qms.open_counter(:c1);
SELECT number FROM qms.call_ticket(:c1, test.id('A004'));
SELECT number, state, position, people_ahead, position_exact, wait_p50, counter_name, called_at FROM qms.ticket_status(test.token('A004'));
SELECT number, state FROM qms.start_service(:c1);
SELECT number, state FROM qms.ticket_status(test.token('A004'));
SELECT number, state FROM qms.complete_service(:c1);
SELECT number, state, counter_name, called_at, ended_at FROM qms.ticket_status(test.token('A004'));
SELECT number, state FROM qms.visit_status(test.token('A004'));
SELECT qms.leave_queue(test.token('A004'));
SELECT qms.defer_ticket(test.token('A004'), 1);
SELECT qms.heartbeat(test.token('A004'));

-- leave: waiting, on hold and called, not while being served
SELECT test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qa);
SELECT number, state, ended_at FROM qms.leave_queue(test.token('A005'), 'bus came');
SELECT outcome, end_reason, state FROM qms.get_ticket(test.id('A005'));
SELECT number, state FROM qms.hold_ticket(test.id('A006'));
SELECT number, state FROM qms.leave_queue(test.token('A006'));
SELECT number FROM qms.call_ticket(:c1, test.id('A007'));
SELECT number, state FROM qms.leave_queue(test.token('A007'));
SELECT status, current_ticket_id FROM qms.counter_status(:c1);
SELECT number FROM qms.call_ticket(:c1, test.id('A008'));
SELECT state FROM qms.start_service(:c1);
SELECT state FROM qms.leave_queue(test.token('A008'));
SELECT state FROM qms.complete_service(:c1);
SELECT * FROM test.news();

-- defer by places: behind so many people; more than there are is last; arrival stays
SELECT count(qms.close_queue(:qa, 'expire')), count(qms.open_queue(:qa));
SELECT test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qa), test.join(:qa);
SELECT test.line(:qa);
SELECT number, position, people_ahead FROM qms.defer_ticket(test.token('A009'), places => 2);
SELECT test.line(:qa);
SELECT number, position FROM qms.defer_ticket(test.token('A009'), places => 1);
SELECT test.line(:qa);
SELECT number, position FROM qms.defer_ticket(test.token('A009'), places => 1000);
SELECT defers, effective_arrival < (SELECT effective_arrival FROM qms.get_ticket(test.id('A010'))) AS came_first FROM qms.get_ticket(test.id('A009'));
SELECT qms.defer_ticket(test.token('A009'), places => 1);
-- until: on hold, and back to the old place
SELECT number, state, position FROM qms.defer_ticket(test.token('A010'), until => '2026-03-02 09:30+01');
SELECT state, hold_kind, resume_at FROM qms.get_ticket(test.id('A010'));
SELECT qms.defer_ticket(test.token('A010'), places => 1);
SELECT number, state FROM qms.resume_ticket(test.id('A010'));
SELECT test.line(:qa);
-- neither, both, nonsense, the past
SELECT qms.defer_ticket(test.token('A010'));
SELECT qms.defer_ticket(test.token('A010'), 1, '2026-03-02 09:30+01');
SELECT qms.defer_ticket(test.token('A010'), 0);
SELECT qms.defer_ticket(test.token('A010'), -1);
SELECT qms.defer_ticket(test.token('A010'), 1001);
SELECT qms.defer_ticket(test.token('A010'), until => '2026-03-02 09:10+01');
SELECT qms.defer_ticket(test.token('A010'), until => 'infinity');
SELECT * FROM test.news();

-- heartbeat: at most every ten seconds, never the ticket
SELECT version FROM qms.ticket WHERE ticket_id = test.id('A011');
SELECT qms.heartbeat(test.token('A011'));
SET qms.mock_now = '2026-03-02 09:10:09+01';
SELECT qms.heartbeat(test.token('A011'));
SELECT seen_at FROM qms_internal.ticket_seen WHERE ticket_id = test.id('A011');
SET qms.mock_now = '2026-03-02 09:10:11+01';
SELECT qms.heartbeat(test.token('A011'));
SELECT seen_at FROM qms_internal.ticket_seen WHERE ticket_id = test.id('A011');
SELECT version FROM qms.ticket WHERE ticket_id = test.id('A011');

-- a simulated queue marks its tickets
SELECT settings FROM qms.update_queue(:qb, settings => '{"simulated": true}');
SELECT number AS sim FROM qms.join_queue(queue_id => :qb) \gset
SELECT simulated FROM qms.ticket WHERE ticket_id = test.id(:'sim');
SELECT number, state FROM qms.cancel_ticket(test.id(:'sim'), 'only a test');
SELECT simulated, state, end_reason FROM qms.ticket_history WHERE ticket_id = test.id(:'sim');
SELECT settings FROM qms.update_queue(:qb, settings => '{"simulated": null}');

-- requires_arrival: customers wait on hold until they have come, others are there
SELECT settings FROM qms.update_queue(:qb, settings => '{"requires_arrival": true}');
CREATE ROLE ticket_join_web;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA qms TO ticket_join_web;
SELECT kind FROM qms.bind_role('ticket_join_web', :org, 'customer');
SET ROLE ticket_join_web;
SELECT ticket_id AS id, state, position IS NULL AS no_position, length(token::text) AS length FROM qms.join_queue(queue_id => :qb) \gset far_
RESET ROLE;
SELECT :'far_state' AS state, :'far_no_position' AS no_position, :far_length AS token_length;
SELECT hold_kind FROM qms.get_ticket(:far_id);
SELECT state FROM qms.join_queue(queue_id => :qb);
SELECT count(*) FROM test.news();
SELECT state FROM qms.resume_ticket(:far_id);
SELECT split_part(n, ' ', 1) FROM test.news() n;
-- a customer who names somebody else's subject gets no token
SELECT count(qms.update_queue(:qb, settings => '{"requires_arrival": null, "subject_required": true}'));
SELECT number IS NOT NULL FROM qms.join_queue(queue_id => :qb, subject => 'S-2');
SET ROLE ticket_join_web;
SELECT state, token FROM qms.join_queue(queue_id => :qb, subject => 'S-2');
SELECT 1 FROM qms.join_queue(queue_id => :qb);
RESET ROLE;
DROP OWNED BY ticket_join_web;
DROP ROLE ticket_join_web;

SELECT * FROM test.broken();
