-- the wait in a counter queue as a formula, and the formulas of Erlang behind it (theory.md, sections 1 and 2)
set extra_float_digits = 0;
create function pg_temp.wait(ahead float8, counters float8, service float8 default 1, theta float8 default 0, passed float8[] default '{}', rates float8[] default '{}',
    plan_until float8[] default '{}', plan_counters float8[] default '{}') returns float8[] language sql as $$
    select qms_internal.wait_forecast(ahead, counters, service, leave_rate => theta, passed => wait.passed, rates => wait.rates, plan_until => wait.plan_until, plan_counters => wait.plan_counters)
$$;

-- n + 1 services over s counters; sd the root of that number; quantiles in order
select n, s, (w).mean, (w).sd, round((w).p10::numeric, 3) as p10, round((w).p50::numeric, 3) as p50, round((w).p90::numeric, 3) as p90
from unnest('{0,1,9,99}'::float8[]) n, unnest('{1,5}'::float8[]) s,
    lateral (select x[1]::numeric(10,4) as mean, x[2]::numeric(10,4) as sd, x[3] as p10, x[4] as p50, x[5] as p90 from pg_temp.wait(n, s) x) w;
-- who waits leaves: ln(1 + k theta m / s) / theta, and the sum of exponential times, which it is good to 4 % for (the intercept that is learned makes up for it)
select n, s, theta, abs(w[1] / (ln(1 + (n + 1) * theta / s) / theta) - 1) < 1e-9 as as_written,
    abs(w[1] / mean - 1) < 0.04 as mean_agrees, abs(w[2] / sqrt(variance) - 1) < 0.05 as sd_agrees
from unnest('{0,5,40,300}'::int[]) n, unnest('{10,100}'::int[]) s, unnest('{0.2,1}'::float8[]) theta,
    lateral (select sum(1 / (s + i * theta)) as mean, sum((s + i * theta) ^ -2) as variance from generate_series(0, n) i) e,
    lateral pg_temp.wait(n, s, theta => theta) w;
-- people who come within 4 and 2 pass: the wait solves W = (k + sum of rate x min(W, 4 or 2)) / s
select n, round(w[1]::numeric, 6) as wait, abs(w[1] - (n + 1 + 0.95 * least(w[1], 2) + 0.24 * least(w[1], 4)) / 5) < 1e-9 as solves_it
from unnest('{0,3,12,30}'::float8[]) n, lateral pg_temp.wait(n, 5, passed => '{2,4}', rates => '{0.95,0.24}') w;
-- so many come that the line grows: it goes on when they come no more
select round((pg_temp.wait(4, 1, passed => '{10}', rates => '{1.5}'))[1]::numeric, 3) as ten_and_what_is_left;
-- 8 and 4 counters: the integral of the plan over the service is k
select n, round(w[1]::numeric, 6) as wait,
    abs((8 * least(w[1], 2) + 4 * greatest(least(w[1], 5) - 2, 0) + 8 * greatest(w[1] - 5, 0)) - (n + 1)) < 1e-9 as solves_it
from unnest('{0,14,15,16,27,28,60}'::float8[]) n, lateral pg_temp.wait(n, 8, plan_until => '{2,5}', plan_counters => '{8,4}') w;
-- nobody is there for an hour
select n, round(w[1]::numeric, 3) as wait from unnest('{0,9}'::float8[]) n, lateral pg_temp.wait(n, 2, plan_until => '{60}', plan_counters => '{0}') w;
-- both: they leave while nobody is there
select round((pg_temp.wait(99, 2, theta => 0.01, plan_until => '{60}', plan_counters => '{0}'))[1]::numeric, 3) as wait,
    round((60 + ln(1 + 100 * exp(-0.6) * 0.01 / 2) / 0.01)::numeric, 3) as by_hand;
-- all services alike: hardly any spread; and what the mean is known by
select round(w[2]::numeric, 4) as sd from qms_internal.wait_forecast(50, 1, 1, 0.5, 0.083, 0) w;
select round((w[2] / w[1])::numeric, 4) as part from qms_internal.wait_forecast(1e6, 1, 1, 0.5, 0.083, 0, doubt => 0.01) w;
-- the mean can be had from the three that are told
select n, s, abs(qms_internal.wait_mean(make_interval(secs => w[3]), make_interval(secs => w[4]), make_interval(secs => w[5])) / w[1] - 1) < 0.02 as mean_agrees
from unnest('{0,1,9,99}'::float8[]) n, unnest('{1,5}'::float8[]) s, lateral pg_temp.wait(n, s, 300) w;
-- in order and finite, whatever is asked
select count(*) as cases, bool_and(w[3] >= 0 and w[3] <= w[4] and w[4] <= w[5] and w[5] < 'Infinity' and w[1] > 0) as in_order
from unnest('{0,1,0.5,999,1000000}'::float8[]) n, unnest('{0.02,1,3.5,1000}'::float8[]) s, unnest('{0,1e-9,0.001,10}'::float8[]) theta,
    unnest('{0,0.1,86400}'::float8[]) passed, unnest('{0,0.5,50}'::float8[]) rate, unnest('{0,1}'::float8[]) planned,
    lateral pg_temp.wait(n, s, 300, theta, array[passed], array[rate], '{1000}', array[planned]) w;
