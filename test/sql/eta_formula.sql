-- the wait in a waiting room: W = ln(1 + n theta / r) / theta with its interval, and what has no limit
set extra_float_digits = 0;
create function pg_temp.wait(n float8, r float8, theta float8 default 0, variadic more float8[] default '{0,0,0,0,0}')
returns numeric[] language sql as $$
    select array_agg(round(w::numeric, 1) order by i)
    from unnest(qms_internal.release_wait(n, r, theta, more[1], more[2], more[3], more[4], more[5])) with ordinality u (w, i)
$$;

-- theory.md section 3: 20,000 in the room, 10 a second arrive of 85 in 100 released, silent leaving 1/h
select n, pg_temp.wait(n, 10 / 0.85, 1 / 3600.0) as seconds, expected,
    abs((pg_temp.wait(n, 10 / 0.85, 1 / 3600.0))[2] - expected) <= 0.1 as agrees
from (values (2000, 166.1), (5000, 401.7), (10000, 763.1), (15000, 1091.5), (20000, 1392.3)) v (n, expected);
-- its simulated means
select n, round(100 * ((pg_temp.wait(n, 10 / 0.85, 1 / 3600.0))[2] / simulated - 1), 2) as error_percent
from (values (2000, 166.2), (5000, 401.9), (10000, 763.1), (15000, 1091.3), (20000, 1392.6)) v (n, simulated);
-- n / r for the last would say 2,000 s; without leaving it is n (1 - p) / r
select pg_temp.wait(20000, 10), pg_temp.wait(20000, 10 / 0.85), pg_temp.wait(20000, 10 / 0.85, 1e-15);
-- standard deviation of the last one: sqrt(n q (1 - q)) / r
select round(((w)[3] - (w)[2])::numeric / 1.2816, 1) as sd from (select qms_internal.release_wait(20000, 10 / 0.85, 1 / 3600.0) as w) w;

-- the first in line: within one release; nobody waits less than nothing
select qms_internal.release_wait(0, 1)::numeric[] as next_one, pg_temp.wait(0.5, 0.1);
-- nobody is let in
select qms_internal.release_wait(10, 0) is null as stands_still, qms_internal.release_wait(10, 'NaN') is null as unknown;
-- not open yet: nobody waits less than until then, and people leave meanwhile
select pg_temp.wait(600, 10, 0, 0, 3600, 0, 0, 0) as opens_in_an_hour, pg_temp.wait(600, 10, 1 / 3600.0, 0, 3600, 0, 0, 0) as some_leave,
    (qms_internal.release_wait(600, 10, 0, 0, 3600))[1] >= 3600 as not_before;
select pg_temp.wait(600, 10, 0, 0, -5, 0, 0, 0) as open_already;
-- a cap: full, with visits of 100 s, 50 inside: one each 2 s however fast the rate is
select pg_temp.wait(100, 10, 0, 0, 0, 50, 50, 100) as full_room;
-- not full yet: first at the rate, then one for each who goes; the fill is exponential
select pg_temp.wait(10, 10, 0, 0, 0, 50, 0, 100) as within_the_first, pg_temp.wait(1000, 10, 0, 0, 0, 50, 0, 100) as beyond,
    round(((qms_internal.release_wait(1000, 10, 0, 0, 0, 50, 0, 100))[2])::numeric, 3)
    = round((100 * ln(1000 / 950.0) + (1000 - 10 * 100 * ln(1000 / 950.0)) / 0.5)::numeric, 3) as by_hand;
-- a cap that the rate never reaches, and one whose visits nobody has seen yet
select pg_temp.wait(1000, 1, 0, 0, 0, 500, 0, 100) as never_full, pg_temp.wait(1000, 1, 0, 0, 0, 5, 5, 0) as visits_unknown;
-- how well leaving is known widens the interval
select pg_temp.wait(20000, 10 / 0.85, 1 / 3600.0, 1e-5, 0, 0, 0, 0) as well, pg_temp.wait(20000, 10 / 0.85, 0, 1 / 3600.0, 0, 0, 0, 0) as nothing_seen;
-- and how well the rate is known
select round(((w)[2] - (w)[1])::numeric, 1) as earlier, round(((w)[3] - (w)[2])::numeric, 1) as later
from (select qms_internal.release_wait(1000, 10, rate_sd => 0.05) as w) w;
-- always in order and finite
select count(*) as cases, bool_and(w[1] >= 0 and w[1] <= w[2] and w[2] <= w[3] and w[3] < 'Infinity') as in_order
from unnest('{0,1,0.5,999,1000000}'::float8[]) n, unnest('{0.0001,1,1000000}'::float8[]) r, unnest('{0,1e-9,0.001,10}'::float8[]) theta,
    unnest('{0,0.001}'::float8[]) sd, unnest('{0,86400}'::float8[]) opens, unnest('{0,1,100000}'::float8[]) cap, unnest('{0,600}'::float8[]) visit,
    lateral qms_internal.release_wait(n, r, theta, sd, opens, cap, least(cap, 50), visit) w;
