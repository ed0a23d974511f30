-- a simulated waiting room runs fully, and counts nowhere
\set ON_ERROR_STOP on
set client_min_messages = warning;
set timezone = 'UTC';
set intervalstyle = postgres;
set qms.mock_now = '2030-01-07 09:00+00';
select organization_id as org from qms.create_organization('Rehearsal') \gset
select branch_id as branch from qms.create_branch(:org, 'Hall') \gset
create temp table world as select :branch::bigint as branch;
-- of a branch, so that its board shows it; one that is real beside it
select queue_id as sim from qms.create_queue('Dry run', branch_id => :branch, kind => 'release', settings => '{"rate": "1/s", "simulated": true, "no_show_compensation": false}') \gset
select queue_id as real from qms.create_queue('Real', branch_id => :branch, kind => 'release', settings => '{"rate": "1/s", "no_show_compensation": false}') \gset
create temp table person as
select q, j.ticket_id, j.token, j.position, j.wait_p50 from (values (:sim), (:real)) v (q), generate_series(1, 6) i, lateral qms.join_queue(q + 0 * i) j;
select q = :sim as simulated, count(*), max(position), max(wait_p50) from person group by q order by 1;
select t.queue_id = :sim as simulated_queue, t.simulated, count(*) from qms.ticket t join person using (ticket_id) group by 1, 2 order by 1;

-- let in, one who does not come, one who leaves, one who goes through
set qms.mock_now = '2030-01-07 09:00:03+00';
select qms_internal.release_turn(:sim) is not null as sim, qms_internal.release_turn(:real) is not null as real;
select q = :sim as simulated, count(*) from person join qms.ticket using (ticket_id) where state = 'released' group by q order by 1;
create temp table access as
select q, c.access_token from (select distinct on (q) q, token from person join qms.ticket t using (ticket_id) where t.state = 'released' order by q, ticket_id) p, lateral qms.claim_access(p.token) c;
select bool_and(v.valid) as both_valid, count(*) from access, lateral qms.verify_access(access_token) v;
select count(*) as finished from access, lateral qms.finish_visit(access_token);
select count(*) as left_the_line from (select distinct on (q) token from person join qms.ticket t using (ticket_id) where t.state = 'waiting' order by q, ticket_id desc) p, lateral qms.leave_queue(p.token);
set qms.mock_now = '2030-01-07 10:00+00';
select qms_internal.release_turn(:sim) is not null as sim, qms_internal.release_turn(:real) is not null as real;
-- all of it is kept, with the mark
select h.queue_id = :sim as simulated_queue, h.simulated, h.state, count(*) from qms.ticket_history h join person using (ticket_id) group by 1, 2, 3 order by 1, 2, 3;
-- the same events
select kind, count(*) filter (where queue_id = :sim) as simulated, count(*) filter (where queue_id = :real) as real
from qms.event where kind like 'ticket.%' and queue_id in (:sim, :real) group by kind order by kind;
-- the counters that waiters use are its own; what staff count, leaves it out
select q = :sim as simulated, s.released, s.abandoned, s.rate from (select distinct q from person) p, lateral qms.queue_status(q) s order by 1;
select name, served_today from qms.branch_status(:branch) order by name;
