-- hours and days by the local clock: zones of 30 and 45 minutes, changes of the clock, also over midnight; waiting rooms
\set ON_ERROR_STOP on
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO, YMD';
set intervalstyle = postgres;
create function pg_temp.clock(t timestamptz) returns void language sql as $$ select set_config('qms.mock_now', t::text, false) $$;
select pg_temp.clock('2030-01-01');
select organization_id as org from qms.create_organization('Days', time_zone => 'Europe/Berlin') \gset
create temp table place as select z.zone, b.branch_id, q.queue_id from unnest('{Europe/Berlin,Asia/Kolkata,Asia/Kathmandu,America/Havana,Australia/Lord_Howe,America/St_Johns,Pacific/Chatham}'::text[]) z (zone),
    lateral qms.create_branch((select organization_id from qms.organization where name = 'Days'), z.zone, time_zone => z.zone) b, lateral qms.create_queue('q', branch_id => b.branch_id, settings => '{"live_past_midnight": true, "max_number": 999999}') q;
-- a join every 10 minutes, for the days around each change of the clock
create procedure pg_temp.come(zone text, since timestamptz, before timestamptz) language plpgsql as $$
declare
    at timestamptz := since;
begin
    while at < before loop
        perform set_config('qms.mock_now', at::text, false);
        perform qms.join_queue((select queue_id from place p where p.zone = $1));
        at := at + interval '10 min';
    end loop;
end $$;
call pg_temp.come('Europe/Berlin', '2030-03-30 20:00+00', '2030-04-01 02:00+00');
call pg_temp.come('Europe/Berlin', '2030-10-26 20:00+00', '2030-10-28 02:00+00');
call pg_temp.come('America/Havana', '2030-03-10 02:00+00', '2030-03-11 08:00+00');
call pg_temp.come('America/Havana', '2030-11-03 02:00+00', '2030-11-04 08:00+00');
call pg_temp.come('Australia/Lord_Howe', '2030-04-06 10:00+00', '2030-04-07 18:00+00');
call pg_temp.come('Australia/Lord_Howe', '2030-10-05 10:00+00', '2030-10-06 18:00+00');
do $$ declare z text; begin foreach z in array '{Asia/Kolkata,Asia/Kathmandu,America/St_Johns,Pacific/Chatham}'::text[] loop call pg_temp.come(z, '2030-06-01 00:00+00', '2030-06-03 00:00+00'); end loop; end $$;
select pg_temp.clock('2031-01-01');
select qms.recompute_snapshots(organization_id => :org) > 200 as made;

-- whole days: their length, and everybody who came
select p.zone, s.local_date, s.ends_at - s.starts_at as length, s.joined, s.starts_at at time zone p.zone as begins, s.ends_at at time zone p.zone as ends
from qms.analytics_snapshot s join place p using (queue_id) where s.period = 'day' and s.customer_class is null and s.ends_at - s.starts_at <> '24 h' order by 1, 2;
-- each row is what a query by the local clock counts
create view pg_temp.came as select p.zone, e.at at time zone p.zone as at, e.at - (e.at at time zone p.zone - date_trunc('hour', e.at at time zone p.zone)) as hour, p.queue_id from qms.event e join place p using (queue_id) where e.kind = 'ticket.joined';
select count(*) as hours, count(*) filter (where s.joined is distinct from c.n or s.local_hour <> extract(hour from c.at) or s.local_date <> c.at::date) as differ
from (select queue_id, hour, min(at) as at, count(*) as n from pg_temp.came group by 1, 2) c full join (select * from qms.analytics_snapshot where organization_id = (select organization_id from qms.organization where name = 'Days') and period = 'hour' and customer_class is null and queue_id is not null) s on s.queue_id = c.queue_id and s.starts_at = c.hour;
select count(*) as days, count(*) filter (where s.joined is distinct from c.n) as differ
from (select queue_id, at::date as day, count(*) as n from pg_temp.came group by 1, 2) c full join (select * from qms.analytics_snapshot where organization_id = (select organization_id from qms.organization where name = 'Days') and period = 'day' and customer_class is null and queue_id is not null) s on s.queue_id = c.queue_id and s.local_date = c.day;
select p.zone, to_char(s.starts_at at time zone 'UTC', 'MI') as begins, count(*) from qms.analytics_snapshot s join place p using (queue_id) where s.period = 'hour' and s.customer_class is null and s.starts_at >= '2030-06-01' and s.starts_at < '2030-06-04' group by 1, 2 order by 1;
-- the organization: all of them, in its own hours
select sum(joined) = (select count(*) from pg_temp.came) as all_hours from qms.analytics_snapshot where organization_id = (select organization_id from qms.organization where name = 'Days') and period = 'hour' and customer_class is null and branch_id is null and queue_id is null;
select sum(joined) = (select count(*) from pg_temp.came) as all_days from qms.analytics_snapshot where organization_id = (select organization_id from qms.organization where name = 'Days') and period = 'day' and customer_class is null and branch_id is null and queue_id is null;
select count(*) as not_full_hours from qms.analytics_snapshot where organization_id = (select organization_id from qms.organization where name = 'Days') and branch_id is null and extract(minute from starts_at) <> 0;
-- sums over spans that begin and end within days
select count(*) as spans, count(*) filter (where arrivals <> (select count(*) from pg_temp.came c where c.zone = p.zone and c.hour >= since and c.hour < before)) as differ
from place p, (values (timestamptz '2030-03-30 21:00+00', timestamptz '2030-03-31 21:00+00'), ('2030-03-30 23:00+00', '2030-03-31 22:00+00'), ('2030-10-27 00:30+00', '2030-10-27 01:30+00'), ('2030-01-01', '2031-01-01'), ('2030-11-03 03:59+00', '2030-11-03 05:01+00'),
    ('2030-06-01 05:15+00', '2030-06-02 18:15+00'), ('2030-06-01 18:30+00', '2030-06-01 18:30+00')) s (since, before), lateral qms.analytics('queue:' || p.queue_id, since, before, 'total') a;

-- a waiting room: let in, came, finished; let in and did not come; left the line
select pg_temp.clock('2031-01-02 10:00+00');
select application_id as app from qms.create_application(:org, 'Shop') \gset
select queue_id as room from qms.create_queue('Room', application_id => :app, kind => 'release', settings => '{"claim_window": "5 min"}') \gset
select token as k1 from qms.join_queue(:room) \gset
select token as k2 from qms.join_queue(:room) \gset
select token as k3 from qms.join_queue(:room) \gset
select pg_temp.clock('2031-01-02 10:04+00');
select count(*) as released from qms.release_next(:room, 2);
select pg_temp.clock('2031-01-02 10:05+00');
select access_token as a1 from qms.claim_access(:'k1') \gset
select state from qms.leave_queue(:'k3');
select pg_temp.clock('2031-01-02 10:08+00');
select state from qms.finish_visit(:'a1');
select pg_temp.clock('2031-01-02 10:20+00');
select qms_internal.release_turn(:room) is null as turned;
select qms.recompute_snapshots('2031-01-02', organization_id => :org) as hours;
select branch_id is null as no_branch, queue_id = :room as room, local_hour, joined, released, admitted, completed, expired, cancelled, abandoned, wait_count, wait_sum, within_target, service_sum, abandoned_wait_sum
from qms.analytics_snapshot where organization_id = (select organization_id from qms.organization where name = 'Days') and starts_at >= '2031-01-02' and period = 'hour' and customer_class is null order by queue_id;
