-- what people of a counter queue are told: learned service, shared counters, plans, hours, people who are booked; and how well it was told
\set ON_ERROR_STOP on
set client_min_messages = warning;
set intervalstyle = postgres;
set timezone = 'UTC';
set qms.mock_now = '2030-01-07 09:00+00';
select organization_id as org from qms.create_organization('Wait') \gset
select branch_id as hall from qms.create_branch(:org, 'Hall', 'UTC') \gset
create function pg_temp.clock(seconds float8) returns void language sql as $$
    select set_config('qms.mock_now', (timestamptz '2030-01-07 09:00+00' + seconds * interval '1 s')::text, false)
$$;
create function pg_temp.queue(name text) returns bigint language sql as $$
    select q.queue_id from qms.branch b, lateral qms.create_queue($1, b.branch_id) q where b.name = 'Hall'
$$;
create function pg_temp.counter(name text, variadic queues bigint[]) returns bigint language sql as $$
    select c.counter_id from qms.branch b, lateral qms.create_counter(b.branch_id, $1, queues) c, lateral qms.open_counter(c.counter_id) o where b.name = 'Hall'
$$;
create function pg_temp.come(queue_id bigint, n int) returns setof qms.joined_ticket language sql as $$
    select j.* from generate_series(1, n) i, lateral qms.join_queue(queue_id + 0 * i) j
$$;
create function pg_temp.told(queue_id bigint) returns interval language sql as $$ select wait_p50 from qms.queue_status(queue_id) $$;

-- nothing is known: five minutes each, and a wide interval; a counter that is free: at once
select pg_temp.queue('alone') as alone \gset
select pg_temp.counter('One', :alone) as one \gset
select people_ahead, wait_p10, wait_p50, wait_p90 from pg_temp.come(:alone, 3);
select quoted_n, quoted_s from qms.ticket where queue_id = :alone order by sort_key;

-- it learns: 40 people who take two minutes each, and half a minute between two
do $$
declare
    q bigint := (select queue_id from qms.queue where name = 'alone'); c bigint := (select counter_id from qms.counter where name = 'One'); i int;
begin
    perform count(*) from pg_temp.come(q, 40);
    for i in 0 .. 39 loop
        perform pg_temp.clock(i * 150);
        perform qms.call_next(c);
        perform pg_temp.clock(i * 150 + 120);
        perform qms.complete_service(c);
    end loop;
end $$;
select pg_temp.clock(6030);
select qms_internal.learn_waits(:alone) as more;
select learned_service between '2 min 28 s' and '2 min 40 s' as service_learned, learned_leave_rate, round(learned_from::numeric) as people, waits, at_once from qms.prediction_quality(:alone);
-- nothing more to learn; a rolled back service teaches nothing
select sums as before from qms_internal.wait_model where queue_id = :alone \gset
select qms_internal.learn_waits(:alone) as more;
begin;
select number from qms.call_next(:one);
select state from qms.complete_service(:one);
rollback;
select pg_temp.clock(6090);
select qms_internal.learn_waits(:alone) as more;
select sums = :'before' as as_before from qms_internal.wait_model where queue_id = :alone;
-- how well it was told so far
select waits, mean_waited, bias > 0 as told_too_long, coverage + sooner + later = 1 as adds_up, rrase > 0 as some_error, at_once, at_once_waited
from qms.prediction_quality(:alone, '2030-01-07 09:00+00', '2030-01-07 11:00+00');
select waits, mean_waited, coverage, learned_from > 0 as learned from qms.prediction_quality(:alone, '2030-02-01', '2030-02-02');

-- a counter that serves two queues is not there twice: by order of arrival, two lines of it are one line
select pg_temp.clock(7200);
select pg_temp.queue('left') as left, pg_temp.queue('right') as right, pg_temp.queue('both') as both \gset
select pg_temp.counter('Two', :left, :right) as two, pg_temp.counter('Three', :left, :right) as three, pg_temp.counter('Four', :both) as four, pg_temp.counter('Five', :both) as five \gset
select count(*) from pg_temp.come(:left, 20);
select count(*) from pg_temp.come(:right, 20);
select count(*) from pg_temp.come(:both, 40);
-- as one line of 40 at two counters
select pg_temp.told(:left) = pg_temp.told(:right) as left_as_right, abs(extract(epoch from pg_temp.told(:left)) / extract(epoch from pg_temp.told(:both)) - 1) < 0.05 as as_one_line,
    (qms.queue_status(:left)).open_counters, (qms.queue_status(:both)).open_counters;
-- the first in the one line waits for nobody in the other
select j.people_ahead, s.wait_p50 < pg_temp.told(:both) / 5 as soon from qms.ticket t, qms.join_queue(:left, priority => 10) j, lateral qms.ticket_status(j.token) s where t.queue_id = :left limit 1;
-- an empty line takes nothing
select pg_temp.queue('empty') as empty, pg_temp.queue('full') as full \gset
select pg_temp.counter('Six', :empty, :full) as six \gset
select count(*) from pg_temp.come(:full, 10);
select round(quoted_s::numeric, 4) as quoted_s from qms.ticket where queue_id = :full order by sort_key desc limit 1;
-- by ratio it is the weight, of those that have anybody
select counter_profile_id as ratio from qms.create_counter_profile(:hall, 'three to one', 'ratio', format('[{"queue_id": %s, "weight": 3}, {"queue_id": %s, "weight": 1}]', :empty, :full)::jsonb) \gset
select status from qms.close_counter(:six);
select status from qms.open_counter(:six, profile_id => :ratio);
select count(*) from pg_temp.come(:full, 1);
select round(quoted_s::numeric, 4) as quoted_s from qms.ticket where queue_id = :full order by sort_key desc limit 1;
select count(*) from pg_temp.come(:empty, 2);
select count(*) from pg_temp.come(:full, 1);
select round(quoted_s::numeric, 4) as quoted_s from qms.ticket where queue_id = :full order by sort_key desc limit 1;
-- strict: who comes first takes what he needs; the other has nothing to share
select counter_profile_id as strict from qms.create_counter_profile(:hall, 'one first', 'strict', format('[{"queue_id": %s}, {"queue_id": %s}]', :empty, :full)::jsonb) \gset
select status from qms.close_counter(:six);
select status from qms.open_counter(:six, profile_id => :strict);
select count(*) from pg_temp.come(:empty, 1);
select round(quoted_s::numeric, 4) as quoted_s from qms.ticket where queue_id = :empty order by sort_key desc limit 1;
select count(*) from pg_temp.come(:full, 1);
select quoted_s < 1 as shares, quoted_s > 0.5 as keeps_most from qms.ticket where queue_id = :full order by sort_key desc limit 1;

-- a plan: eight tonight instead of two
select pg_temp.queue('planned') as planned \gset
select pg_temp.counter('Seven', :planned) as seven, pg_temp.counter('Eight', :planned) as eight \gset
select count(*) from pg_temp.come(:planned, 100);
select pg_temp.told(:planned) as without \gset
select weekday, begins, ends, counters from qms.set_staffing_plan(:planned, '{"mon": [["13:00", "24:00", 8], ["11:00", "13:00", 2]], "tue": [["00:00", "02:00", 8]]}');
select pg_temp.told(:planned) < :'without' as sooner, pg_temp.told(:planned) > '2 h' as not_before_one_o_clock, pg_temp.told(:planned) < '4 h' as then_quickly;
-- one counter more is open than planned: it counts until the plan changes
select weekday, counters from qms.set_staffing_plan(:planned, '{"mon": [["00:00", "24:00", 1]]}');
select pg_temp.told(:planned) = :'without' as as_open_now;
select weekday, begins, ends, counters from qms.staffing_plans where queue_id = :planned;
select count(*) from qms.set_staffing_plan(:planned, '{}');
select pg_temp.told(:planned) = :'without' as as_before;
-- plans that are none
\set ON_ERROR_STOP off
select qms.set_staffing_plan(:planned, '{"mon": [["08:00", "12:00"]]}');
select qms.set_staffing_plan(:planned, '{"mon": [["08:00", "12:00", -1]]}');
select qms.set_staffing_plan(:planned, '{"mon": [["08:00", "12:00", 1.5]]}');
select qms.set_staffing_plan(:planned, '{"mon": [["12:00", "08:00", 1]]}');
select qms.set_staffing_plan(:planned, '{"mon": [["08:00", "12:00", 1], ["11:00", "13:00", 2]]}');
select qms.set_staffing_plan(:planned, '{"day": [["08:00", "12:00", 1]]}');
select qms.set_staffing_plan(:planned, '[]');
select qms.set_staffing_plan(0, '{}');
\set ON_ERROR_STOP on

-- hours: who comes before it opens waits until then at least; over a break, too
select pg_temp.queue('hours') as hours \gset
select count(*) from qms.set_opening_hours('{"mon": [["08:00", "12:00"], ["13:00", "18:00"]]}', queue_id => :hours);
select status from qms.update_queue(:hours, settings => '{"join_from": "2 h"}');
select pg_temp.clock(-2 * 3600);
select wait_p50 between '55 min' and '2 h' as after_opening, wait_p90 > wait_p50 as in_order from qms.join_queue(:hours);
select pg_temp.clock(2.5 * 3600);
select pg_temp.counter('Nine', :hours) as nine \gset
select count(*) from pg_temp.come(:hours, 3);
select pg_temp.told(:hours) < '30 min' as before_the_break;
select count(*) from pg_temp.come(:hours, 10);
select pg_temp.told(:hours) between '1 h 20 min' and '2 h 30 min' as over_the_break;

-- booked: those who come in between count
select pg_temp.clock(4 * 3600);
select pg_temp.queue('booked') as booked \gset
select pg_temp.counter('Ten', :booked) as ten \gset
select count(*) from pg_temp.come(:booked, 10);
select pg_temp.told(:booked) as without \gset
insert into qms.ticket (organization_id, branch_id, queue_id, customer_class_id, visit_id, state, effective_arrival, sort_key, joined_at, entered_at, token_nonce)
select organization_id, branch_id, queue_id, customer_class_id, 0, 'booked', at, (extract(epoch from at - '2000-01-01 00:00+00') * 1000000)::bigint, joined_at, entered_at, 0
from (select t.*, timestamptz '2030-01-07 12:58+00' + i * interval '30 s' as at from generate_series(1, 3) i, lateral (select * from qms.ticket where queue_id = :booked limit 1) t) b;
select pg_temp.clock(4 * 3600 + 60);
select pg_temp.told(:booked) > :'without' as counts from qms.queue where queue_id = :booked;
select people_ahead from pg_temp.come(:booked, 1);
select quoted_n from qms.ticket where queue_id = :booked and state = 'waiting' order by sort_key desc limit 1;

-- a waiting room has other figures
select application_id as app from qms.create_application(:org, 'Shop') \gset
select queue_id as room from qms.create_queue('Room', application_id => :app, kind => 'release') \gset
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
select qms.prediction_quality(:room);
select qms.set_staffing_plan(:room, '{}');
select qms.prediction_quality(0);
