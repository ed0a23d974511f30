-- Blind profiles, and skills.
\set base 190000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT counter_profile_id AS blind FROM qms.create_counter_profile(:hall, 'blind', blind => true) \gset
CREATE ROLE counter_blind_ada;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA qms TO counter_blind_ada;
SELECT kind FROM qms.bind_role('counter_blind_ada', :org, staff_id => :ada);
SELECT number FROM qms.join_queue(queue_id => :qa, contact => '{"phone": "1"}', metadata => '{"a": 1}', subject => 'S', language => 'en');
SELECT number FROM qms.join_queue(queue_id => :qa, contact => '{"phone": "2"}');
SELECT test.id('A001') AS a1 \gset
SET ROLE counter_blind_ada;
SELECT number, contact, metadata, subject FROM qms.get_ticket(:a1);
SELECT blind, staff_id = :ada AS ada FROM qms.open_counter(:c1, profile_id => :blind);
-- only numbers, and no choice
SELECT number, language, contact, metadata, subject, notes FROM qms.get_ticket(:a1);
SELECT qms.call_ticket(:c1, :a1);
SELECT place, ticket_id, number, contact FROM qms.waiting_list(counter_id => :c1);
SELECT number, contact, metadata, subject, notes FROM qms.call_next(:c1);
SELECT state, contact, subject FROM qms.complete_service(:c1, notes => 'seen');
-- undo and walk-up are allowed
SELECT number, contact, notes FROM qms.undo(:c1);
SELECT state FROM qms.complete_service(:c1);
SELECT number FROM qms.serve_walk_up(:c1, :passports);
SELECT state FROM qms.complete_service(:c1);
RESET ROLE;
SELECT count(qms.close_counter(:c1)), count(qms.cancel_ticket(test.id('A002')));

-- skills: of the service, and of the offer on top
SELECT requires_skill FROM qms.update_service(:cars, requires_skill => '{driving}');
SELECT o.requires_skill FROM qms.service_offers s, qms.update_service_offer(s.service_offer_id, requires_skill => '{english}') o WHERE s.queue_id = :qb AND s.service_id = :cars;
SELECT count(qms.update_staff(:ada, skills => '{driving}')), count(qms.update_staff(:ben, skills => '{english,driving,chess}'));
SELECT test.join(:qb, service => :cars), test.join(:qb, service => :advice), test.join(:qb, service => :cars);
SELECT requires_skill FROM qms.ticket WHERE organization_id = :org ORDER BY ticket_id;
SELECT count(qms.open_counter(:c1, :ada)), count(qms.open_counter(:c2, :ben)), count(qms.open_counter(:c3));
SELECT number FROM qms.call_next(:c1);
SELECT count(*) FROM qms.call_next(:c3);
SELECT hint FROM qms.counter_status(:c3);
SELECT number FROM qms.call_next(:c2);
-- another service of the ticket needs other skills
SELECT service_id = :advice AS advice FROM qms.update_ticket(test.id('B003'), service_id => :advice);
SELECT number FROM qms.call_next(:c3);
-- the session keeps the skills that it was opened with
SELECT count(qms.update_staff(:ben, skills => '{}'));
SELECT test.join(:qb, service => :cars);
SELECT number FROM qms.call_next(:c2, 'completed');
SELECT number FROM qms.call_next(:c2, 'completed');
SELECT count(qms.close_counter(:c2)), count(qms.open_counter(:c2, :ben));
SELECT test.join(:qb, service => :cars);
SELECT count(*) FROM qms.call_next(:c2);
-- a clerk who lacks the skill may still choose
SELECT number FROM qms.call_ticket(:c2, test.id('B005'));
DROP OWNED BY counter_blind_ada;
DROP ROLE counter_blind_ada;

SELECT * FROM test.broken();
