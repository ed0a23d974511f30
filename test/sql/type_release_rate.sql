-- qms.release_rate: text and binary form, exact speed, indexes, arithmetic
\set SHOW_CONTEXT never
set search_path = qms, public;
set intervalstyle = postgres;
create function pg_temp.failure(statement text) returns table (item text, says text)
language plpgsql as $$
declare
    code text; message text; detail text; hint text;
begin
    execute statement;
    return query values ('accepted', null::text);
exception when others then
    get stacked diagnostics code = returned_sqlstate, message = message_text,
        detail = pg_exception_detail, hint = pg_exception_hint;
    return query values ('message', message), ('detail', detail), ('hint', hint), ('sqlstate', code);
end $$;

-- text round trips
select t, t::qms.release_rate as value, t::qms.release_rate::text::qms.release_rate::text = t::qms.release_rate::text as stable
from unnest('{30/min,5/s,1000/h,1.5/min,1.50/min,030/min,2.000000/h,0.000001/d,0.100000/s,10.01/day,1/sec,1/second,1/minute,1/hour,1/DAY,7/Min,
    1000000/s,60000000/min,3600000000/h,86400000000/d,86399999999.999999/d,0000000000000000000000000001/s}'::text[]) t;
select pg_column_size('5/s'::qms.release_rate);

-- what is refused
select t as text, f.* from unnest(array['', '30', '30/', '/min', '30/week', '30/mins', '30/minu', '30/s ', ' 30/s', '30 /s', '30/ s', '-1/s', '+1/s',
    '1e3/s', '.5/s', '5./s', '1..5/s', '1.5.5/s', '1,5/s', '1/s/s', 'NaN/s', '1.0000001/s', '1.0000000/s', '0/s', '0.000000/min',
    '1000000.000001/s', '1000001/s', '60000000.000001/min', '3600000001/h', '86400000000.000001/d', '9223372036854775807/s',
    '99999999999999999999999999999999999999/d']) t,
    pg_temp.failure(format('select %L::qms.release_rate', t)) f where f.item <> 'hint';
select '0/min'::qms.release_rate;
\echo :SQLSTATE
select '5/fortnight'::qms.release_rate;
\echo :SQLSTATE
select '1000001/s'::qms.release_rate;
\echo :SQLSTATE

-- compared by speed, exactly
select a, b, a = b as eq, a <> b as ne, a < b as lt, a <= b as le, a > b as gt, a >= b as ge,
    qms_internal.release_rate_cmp(a, b) as cmp
from (values ('60/min', '1/s'), ('3600/h', '60/min'), ('86400/d', '1/s'), ('1.5/min', '90/h'), ('0.000001/s', '0.000001/min'),
    ('1000000/s', '86400000000/d'), ('999999.999999/s', '86399999999.999999/d'), ('1/min', '0.016667/s'), ('1/min', '0.016666/s')) v(x, y),
    lateral (select x::qms.release_rate, y::qms.release_rate) w(a, b);
select r from unnest('{1/s,61/min,59/min,3600/h,86401/d,0.000001/d,1000000/s}'::qms.release_rate[]) r order by r, r::text;

-- hash agrees with equality
select bool_and(qms_internal.release_rate_hash(a) = qms_internal.release_rate_hash(b)) as same,
    bool_and(qms_internal.release_rate_hash_extended(a, 42) = qms_internal.release_rate_hash_extended(b, 42)) as same_seeded,
    bool_or(qms_internal.release_rate_hash_extended(a, 42) = qms_internal.release_rate_hash_extended(b, 43)) as other_seed,
    bool_and(qms_internal.release_rate_hash_extended(a, 0)::bit(32) = qms_internal.release_rate_hash(b)::bit(32)) as low_bits
from (values ('60/min'::qms.release_rate, '1/s'::qms.release_rate), ('1.5/min', '90/h'), ('1000000/s', '86400000000/d')) v(a, b);

-- a table with indexes
create temp table rate_test (id int, rate qms.release_rate);
insert into rate_test select i, (i || '/min')::qms.release_rate from generate_series(1, 3000) i;
create index rate_btree on rate_test (rate);
create index rate_hash on rate_test using hash (rate);
analyze rate_test;
set enable_seqscan = off;
set enable_bitmapscan = off;
explain (costs off) select rate from rate_test where rate > '0.1/s' and rate <= '540/h' order by rate;
select rate from rate_test where rate > '0.1/s' and rate <= '540/h' order by rate;
drop index rate_btree;
explain (costs off) select id from rate_test where rate = '7/s';
select id, rate from rate_test where rate = '7/s';
drop index rate_hash;
create unique index rate_key on rate_test (rate);
insert into rate_test values (-1, '7/s');
reset enable_seqscan;
reset enable_bitmapscan;

-- sorts, merge and hash joins, grouping
select array_agg(id order by rate) = array_agg(id order by id) as sorted from rate_test;
create temp table rate_per_second as select i as id, (i || '/s')::qms.release_rate as rate from generate_series(1, 3000) i;
analyze rate_per_second;
set enable_hashjoin = off; set enable_nestloop = off;
explain (costs off) select count(*) from rate_test a join rate_per_second b using (rate);
select count(*), bool_and(a.id = 60 * b.id) as right_ones from rate_test a join rate_per_second b using (rate);
reset enable_hashjoin; set enable_mergejoin = off;
explain (costs off) select count(*) from rate_test a join rate_per_second b using (rate);
select count(*), bool_and(a.id = 60 * b.id) as right_ones from rate_test a join rate_per_second b using (rate);
reset enable_mergejoin; reset enable_nestloop;
set enable_sort = off;
select count(*) from unnest('{1/s,60/min,3600/h,86400/d,2/s}'::qms.release_rate[]) r group by r order by 1;
reset enable_sort;

-- binary form
select t, qms_internal.release_rate_send(t::qms.release_rate) from unnest('{30/min,5/s,1.5/h,86400000000/d}'::text[]) t;
create temp table rate_back (like rate_test);
insert into rate_test values (4001, '0.000001/d'), (4002, '999999.999999/s'), (4003, null);
\set file `mktemp /tmp/qms_rate.XXXXXX`
\set copy_out '\\copy rate_test to ' :file ' (format binary)'
\set copy_in '\\copy rate_back from ' :file ' (format binary)'
:copy_out
:copy_in
\setenv QMS_TEST_FILE :file
\! rm -f "$QMS_TEST_FILE"
select count(*) as rows, count(*) filter (where not (a.* *= b.*)) as not_identical from rate_test a full join rate_back b using (id);
create temp table one_rate (rate qms.release_rate);
select what, f.item, f.says from (values
    ('good', '\x00000000000f4240' || '01'), ('zero', '\x0000000000000000' || '01'), ('negative', '\xffffffffffffffff' || '01'),
    ('too fast', '\x000000e8d4a51001' || '00'), ('largest', '\x7fffffffffffffff' || '03'), ('unit 4', '\x00000000000f4240' || '04'),
    ('unit 255', '\x00000000000f4240' || 'ff'), ('short', '\x00000000000f4240'), ('long', '\x00000000000f4240' || '0100')) v(what, x),
    lateral (select '\x5047434f50590aff0d0a000000000000000000'::bytea || '\x0001'::bytea || int4send(length(x::bytea)) || x::bytea || '\xffff'::bytea) b(frame),
    lateral pg_temp.failure(format('copy one_rate from program %L (format binary)',
        'echo ' || replace(encode(frame, 'base64'), E'\n', '') || ' | base64 -d')) f
where f.item = 'accepted' or f.item <> 'hint' and f.says <> '';
select * from one_rate;

-- casts
create temp table cast_test (t text, r qms.release_rate);
insert into cast_test (t) values ('1.50/min'::qms.release_rate);
insert into cast_test (r) values ('5/s'::text);
insert into cast_test (r) values ('5/s'::text::qms.release_rate);
select * from cast_test;

-- released: rounded down, exact
select r as rate, i as elapsed, released(r::qms.release_rate, i::interval) from (values
    ('30/min', '0'), ('30/min', '1.999999 s'), ('30/min', '2 s'), ('30/min', '1 min'), ('1.5/min', '59.999999 s'), ('1.5/min', '40 s'),
    ('1.5/min', '39.999999 s'), ('1/s', '1 day'), ('1/d', '23:59:59.999999'), ('1/d', '24:00'), ('1/d', '1 day -1 us'), ('7/h', '2 days 3 hours'),
    ('0.000001/d', '999999 days'), ('0.000001/d', '1000000 days'), ('3/h', '20 min'), ('3/h', '19 min 59.999999 s'), ('1000000/s', '1 us'),
    ('1000000/s', '106751991 days 04:00:54.775807'), ('86399999999.999999/d', '106751991 days 04:00:54.775807'),
    ('0.000001/d', '106751991 days 04:00:54.775807')) v(r, i);
-- the same as numeric arithmetic
select count(*) as compared, count(*) filter (where released(r::qms.release_rate, make_interval(secs => s)) <> floor(p * s::numeric / u)) as wrong
from (select format('%s/%s', p, (array['s', 'min', 'h', 'd'])[k + 1]) as r, p, (array[1, 60, 3600, 86400])[k + 1]::numeric as u, s
      from generate_series(0, 3) k, generate_series(1, 40) x, lateral (select x * 7.000013) y(p), generate_series(0, 100) z, lateral (select z * 61.25) w(s)) t;
-- named arguments, strictness, intervals that are refused
select released(rate => '20/min', elapsed => '90 s');
select released(null, '1 s') is null and released('1/s', null) is null as strict;
select i as elapsed, f.* from unnest('{1 month,1 year,1 month -30 days,-1 s,-1 day,1 day -25 hours,2147483647 days}'::text[]) i,
    pg_temp.failure(format('select released(''1/s'', %L)', i)) f;
select released('1/s', '1 month');
\echo :SQLSTATE
select r, per_second(r::qms.release_rate) from unnest('{30/min,5/s,1000/h,1.5/min,1000000/s,86400/d}'::text[]) r;
select per_second(rate => '60/min') = 1 as one;

-- finished
select count(*) as without_comment from pg_depend d
where d.refclassid = 'pg_extension'::regclass and d.refobjid = (select oid from pg_extension where extname = 'qms')
    and pg_describe_object(d.classid, d.objid, d.objsubid) ~ 'release_rate'
    and d.classid <> 'pg_type'::regclass and obj_description(d.objid, d.classid::regclass::name) is null;
select amvalidate(oid) from pg_opclass where opcname = 'release_rate_ops' order by oid;
select proname from pg_proc where (proname ~ '^release_rate' or proname in ('released', 'per_second')) and pronamespace::regnamespace::text ~ '^qms'
    and not (provolatile = 'i' and proisstrict and proparallel = 's');
