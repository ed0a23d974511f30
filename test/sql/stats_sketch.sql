-- qms.wait_sketch: the stated error, of parts and of sums; text and binary forms
\set ON_ERROR_STOP off
\set VERBOSITY verbose
\set SHOW_CONTEXT never
set intervalstyle = postgres;
select qms.make_wait_sketch('{}') as empty, qms.make_wait_sketch('{0 s, 0.999 s, 1 s, 1.04 s, 1.05 s}') as low, qms.make_wait_sketch('{7 days, 30 days, null, -5 s}') as high;
select qms.sketch_count(qms.make_wait_sketch('{1 s, 2 s, null}')), qms.sketch_quantile('{}', 0.5) is null as none, qms.sketch_quantile('{0:7}', 0.9) as below_a_second;

-- every duration from 1 s to 7 days, in steps of 0.1 %: what stands for it is at most 1 % away
select count(*) > 10000 as many, max(abs(extract(epoch from q) / s - 1)) <= 0.010001 as within, max(abs(extract(epoch from q) / s - 1)) > 0.0099 as and_no_less
from (select exp(i * 0.001) as s from generate_series(0, 13312) i) d,
    lateral qms.sketch_quantile(qms.make_wait_sketch(array[s * interval '1 s']), 1) q;

-- quantiles of 100 days of 200 waits, each in a sketch of its own, beside the exact ones of all 20,000
select setseed(0.25);
create temp table wait as select day, make_interval(secs => exp(6 + 1.3 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))) as wait from generate_series(1, 100) day, generate_series(1, 200);
create temp table day as select day, qms.make_wait_sketch(array_agg(wait)) as sketch from wait group by 1;
select q, abs(extract(epoch from qms.sketch_quantile(m.sketch, q)) / extract(epoch from x.exact) - 1) <= 0.0101 as within_1_percent
from (select qms.sketch_merge(sketch) as sketch from day) m, unnest('{0.01,0.1,0.5,0.9,0.95,0.99}'::float8[]) q, lateral (select percentile_disc(q) within group (order by wait) as exact from wait) x order by q;
select qms.sketch_merge(sketch)::text = (select qms.make_wait_sketch(array_agg(wait))::text from wait) as sum_is_sketch_of_all, qms.sketch_count(qms.sketch_merge(sketch)) as n from day;
select abs(qms.sketch_count_up_to((select qms.sketch_merge(sketch) from day), '10 min') - (select count(*) from wait where wait <= '10 min')) < 200 as share_within;
-- small ones: as percentile_disc counts
select p.n, p.q from (select n, q, qms.sketch_quantile(qms.make_wait_sketch(array_agg(make_interval(secs => 100 * i))), q) as s, percentile_disc(q) within group (order by make_interval(secs => 100 * i)) as d
    from generate_series(1, 20) n, generate_series(1, n) i, unnest('{0,0.5,0.9,0.95,1}'::float8[]) q group by n, q) p where abs(extract(epoch from s) / extract(epoch from d) - 1) > 0.010001;
select qms.sketch_merge(null) is null as nothing, qms.sketch_merge(s) as two from (values ('{0:1,5:2}'::qms.wait_sketch), ('{5:1,335:999999999999999999}'), (null)) v (s);

-- forms
select t, t::qms.wait_sketch::text = t as same from unnest('{"{}","{0:1}","{0:3,57:12}","{667:999999999999999999}"}'::text[]) t;
select pg_column_size(qms.make_wait_sketch(array_agg(wait))) < 1500 as small from wait;
create temp table copied (s qms.wait_sketch);
select qms_internal.wait_sketch_send('{0:3,57:300}');
\set ECHO none
select format('select %L::qms.wait_sketch;', t) from unnest(array['', '{', '{1}', '{1:}', '{1:0}', '{1:-1}', '{668:1}', '{2:1,1:1}', '{1:1,1:1}', '{1:1,}', '{1:1}}', '{1:1} ', '{1: 1}', '{1:9999999999999999999}', '{1:999999999999999999,2:999999999999999999,3:999999999999999999,4:999999999999999999,5:999999999999999999,6:999999999999999999,7:999999999999999999,8:999999999999999999,9:999999999999999999,10:999999999999999999}']) t \gexec
\set ECHO all
select qms.sketch_quantile('{1:1}', 1.5);
select qms.sketch_quantile('{1:1}', 'NaN');
select qms.make_wait_sketch('{1 month}');
