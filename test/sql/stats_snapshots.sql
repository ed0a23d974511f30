-- what each event means for the figures: waits, services, transfers, holds, undo, walk-ups, staff time
\set ON_ERROR_STOP on
set client_min_messages = warning;
set timezone = 'UTC';
set intervalstyle = postgres;
set extra_float_digits = 0;
set qms.mock_now = '2030-01-07 09:00+00';
create function pg_temp.clock(t text) returns void language sql as $$ select set_config('qms.mock_now', '2030-01-07 ' || t || '+00', false) $$;
select organization_id as org from qms.create_organization('Stats') \gset
select branch_id as branch from qms.create_branch(:org, 'North') \gset
select queue_id as q from qms.create_queue('Passports', branch_id => :branch, settings => '{"wait_target": "5 min"}') \gset
select queue_id as r from qms.create_queue('Cars', branch_id => :branch) \gset
select queue_id as s from qms.create_queue('Simulated', branch_id => :branch, settings => '{"simulated": true}') \gset
select service_id as service from qms.create_service(:org, 'Passport') \gset
select service_offer_id > 0 as offered from qms.offer_service(:branch, :service, :q);
select customer_class_id > 0 as vip from qms.create_customer_class(:org, 'vip', credit => '10 min', self_service => true);
select staff_id as ada from qms.create_staff(:org, 'ada', 'Ada') \gset
select counter_id as one from qms.create_counter(:branch, 'One', array[:q, :r]) \gset
select counter_id as two from qms.create_counter(:branch, 'Two', array[:q, :r]) \gset
create view pg_temp.mine as select * from qms.analytics_snapshot where organization_id = (select max(organization_id) from qms.organization);
create view pg_temp.figures as select queue_id, local_hour as hour, customer_class as class, visits, joined, walk_ups as walk, transferred_in as t_in, transferred_out as t_out, called, recalled as again,
    started, completed as done, no_show, cancelled as gone, expired, requeued, held, deferred, reinstated as back, abandoned as left_line, wait_count as waits, wait_sum, wait_max, within_target as in_time, service_count as served, service_sum, abandoned_wait_sum as left_after
    from pg_temp.mine where period = 'hour';

\set columns 'hour, class, visits, joined, walk, t_in, t_out, called, again, started, done, no_show, gone, expired, requeued, held, deferred, back, left_line, waits, wait_sum, wait_max, in_time, served, service_sum, left_after'

select status from qms.open_counter(:one, :ada);
select status from qms.open_counter(:two);
-- 1: called after 4 min, started after 1 min, served for 5 min
select ticket_id as t1 from qms.join_queue(:q) \gset
-- 2: waits 3 min, is held for 10 min, waits 2 min more, is called, recalled, and does not come
select ticket_id as t2 from qms.join_queue(:q, customer_class => 'vip') \gset
select ticket_id as t3 from qms.join_queue(:q) \gset
select ticket_id as sim from qms.join_queue(:s) \gset
select pg_temp.clock('09:03');
select state from qms.hold_ticket(:t2, 'documents');
select pg_temp.clock('09:04');
select number from qms.call_next(:one);
select pg_temp.clock('09:05');
select state from qms.start_service(:one);
-- 3 is called at two, undone, called again; nobody presses start
select number from qms.call_next(:two);
select number from qms.recall_ticket(:two);
select pg_temp.clock('09:05:30');
select number, state from qms.undo(:two);
select pg_temp.clock('09:06');
select number from qms.call_next(:two);
select pg_temp.clock('09:10');
select state from qms.complete_service(:one);
select pg_temp.clock('09:12');
select state from qms.complete_service(:two);
select pg_temp.clock('09:13');
select state from qms.resume_ticket(:t2);
select pg_temp.clock('09:15');
select number from qms.call_next(:one);
select number from qms.recall_ticket(:one);
select pg_temp.clock('09:17');
select state from qms.mark_no_show(:one);
-- 4: leaves after 6 min; 5: is transferred while it waits, leaves there
select ticket_id as t4, token as k4 from qms.join_queue(:q) \gset
select ticket_id as t5, token as k5 from qms.join_queue(:q) \gset
select status from qms.pause_counter(:one, 'tea');
select pg_temp.clock('09:19');
select state from qms.transfer_ticket(:t5, :r);
select pg_temp.clock('09:23');
select state from qms.leave_queue(:'k4');
select state from qms.cancel_ticket(:t5, 'left');
select status from qms.resume_counter(:one);
-- 6: a walk-up; its end is undone once
select pg_temp.clock('09:25');
select state from qms.serve_walk_up(:one, :service);
select pg_temp.clock('09:30');
select state from qms.complete_service(:one);
select state from qms.undo(:one);
select pg_temp.clock('09:31');
select state from qms.complete_service(:one);
-- 7: called, requeued, called again; transferred from the counter, served there
select pg_temp.clock('09:40');
select ticket_id as t7 from qms.join_queue(:q) \gset
select pg_temp.clock('09:42');
select number from qms.call_next(:one);
select pg_temp.clock('09:43');
select state from qms.requeue_ticket(:t7);
select pg_temp.clock('09:46');
select number from qms.call_next(:one);
select state from qms.start_service(:one);
select pg_temp.clock('09:50');
select state, number from qms.transfer_ticket(:t7, :r);
select pg_temp.clock('09:58');
-- over the hour: called at 9:58, nobody presses start, done at 10:06
select number from qms.call_next(:two);
select pg_temp.clock('10:06');
select state from qms.complete_service(:two);
-- a no-show that is reinstated and served, another hour
select state from qms.reinstate_ticket(:t2);
select pg_temp.clock('10:10');
select number from qms.call_next(:two, request_id => null);
select pg_temp.clock('10:20');
select state from qms.complete_service(:two);
select status from qms.close_counter(:two);
select pg_temp.clock('11:30');
select qms.recompute_snapshots(organization_id => :org) as hours;

select :columns from pg_temp.figures where queue_id = :q order by hour, class nulls first;
select :columns from pg_temp.figures where queue_id = :r order by hour, class nulls first;
select count(*) as simulated from pg_temp.figures where queue_id = :s;
-- branch and organization are the sums; days too
select count(*) as differ from (
    select local_hour, customer_class, sum(joined), sum(called), sum(wait_count), sum(wait_sum), max(wait_max), sum(service_sum), qms.sketch_merge(wait_sketch)::text from pg_temp.mine where queue_id is not null and period = 'hour' group by 1, 2
    except select local_hour, customer_class, joined, called, wait_count, wait_sum, wait_max, service_sum, wait_sketch::text from pg_temp.mine where queue_id is null and branch_id = :branch and period = 'hour') d;
select count(*) as differ from (
    select period, starts_at, customer_class, visits, joined, called, wait_count, wait_sum, wait_squares, wait_sketch::text, service_sketch::text, abandoned from pg_temp.mine where queue_id is null and branch_id is null
    except select period, starts_at, customer_class, visits, joined, called, wait_count, wait_sum, wait_squares, wait_sketch::text, service_sketch::text, abandoned from pg_temp.mine where queue_id is null and branch_id is not null) d;
select queue_id = :q as q, customer_class, joined, called, wait_count, wait_sum, wait_max, service_count, service_sum, local_date, ends_at - starts_at as length from pg_temp.mine where period = 'day' and branch_id = :branch order by queue_id, customer_class nulls first;

-- staff
select s.staff_id = :ada as ada, local_hour as hour, called, served, no_show, transferred as sent, requeued, service_count as n, service_sum, idle, walking, serving, paused, pauses from qms.staff_snapshot s where organization_id = :org and period = 'hour' order by local_hour, s.staff_id;
select display_name, days, called, served, no_show, transferred, requeued, service_mean, service_max, idle, walking, serving, paused, pauses from qms.staff_performance(:branch, '2030-01-07', '2030-01-08');
select display_name, called, served, idle from qms.staff_performance(:branch, '2030-01-07 10:00', '2030-01-07 11:00');

-- functions
select customer_class, arrivals, waits, wait_mean, wait_max, within_target, target, services, service_mean, abandoned, round(abandonment::numeric, 3) as abandonment, abandoned_wait_mean from qms.queue_stats(:q, '2030-01-07', '2030-01-08');
select customer_class, arrivals, waits from qms.queue_stats(:q, '2030-01-07 10:00', '2030-01-08');
select local_date, local_hour, arrivals, called, starts_at, ends_at from qms.analytics('queue:' || :q, '2030-01-01', '2030-02-01', 'hour');
select local_date, local_hour, arrivals, called, customer_class from qms.analytics('branch:' || :branch, '2030-01-01', '2030-02-01', customer_class => 'vip');
select branch_id is null as no_branch, queue_id, arrivals, called, target from qms.analytics('organization:' || :org, '2030-01-01', '2030-02-01', 'total');
select count(*) as nothing from qms.analytics('organization:' || :org, '2029-01-01', '2030-01-01');
select * from qms.peak_hours('branch:' || :branch, '2030-01-01', '2030-02-01');
select branch_id is null as of_organization, name, waiting, at_counters, open_counters, paused_counters, longest_wait, today, arrivals, completed, no_show, abandoned, wait_mean, service_mean, computed_at from qms.summary(:org);
select count(*) as callbacks from qms.callback_errors(:org);

-- again: the same; nothing is left to be done
create temp table before as select * from pg_temp.mine;
select qms.recompute_snapshots('2030-01-07 09:30', '2030-01-07 09:31', :org) as hours;
select count(*) as differ from (select to_jsonb(b) - 'computed_at' from before b except select to_jsonb(a) - 'computed_at' from pg_temp.mine a) d;
select count(*) as due from qms_internal.stats_due where organization_id = :org;

-- errors
\set ON_ERROR_STOP off
\set VERBOSITY verbose
\set SHOW_CONTEXT never
\unset ECHO
set client_min_messages = error;
create function pg_temp.fails(statement text) returns text language plpgsql as $$
begin
    execute statement;
    return 'no error';
exception when others then
    return sqlstate || ': ' || sqlerrm;
end $$;
select pg_temp.fails(format(s, :q, :branch, :org)) from unnest(array['select qms.analytics(''branch:0'')', 'select qms.analytics(''counter:1'')', 'select qms.analytics(''queue:1x'')', 'select qms.analytics(''queue:999999'')', 'select qms.analytics(''queue:%1$s'', period => ''week'')',
    'select qms.queue_stats(%1$s, ''2030-01-02'', ''2030-01-01'')', 'select qms.queue_stats(null)', 'select qms.summary()', 'select qms.summary(999999)', 'select qms.callback_errors(%3$s, max_rows => 0)', 'select qms.create_queue(''x'', %2$s, settings => ''{"wait_target": "0 s"}'')']) s;
