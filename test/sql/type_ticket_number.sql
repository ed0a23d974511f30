-- qms.ticket_number: text and binary form, order, indexes, casts, parts
\set SHOW_CONTEXT never
set search_path = qms, public;
-- runs a statement and shows how it fails: SQLSTATE, message, detail, hint
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

-- text round trips: case is folded, dash and zeros are kept
select t, t::qms.ticket_number as value
from unnest('{A001,a1,VIP-042,vip-42,042,1,999999,000001,ABCDE-999999,ABCDE123456,Z9,z-000009}'::text[]) t;
select pg_typeof('A001'::qms.ticket_number), pg_column_size('A001'::qms.ticket_number);
select null::qms.ticket_number is null as null_stays;

-- what is refused
select t as text, f.* from unnest(array['', 'A', 'VIP-', 'ABCDEF1', '-1', 'A--1', 'A-1-', 'A1B', ' A1', 'A1 ', 'A+1',
    'A0', '000', '0', 'A0000001', '1000000', '99999999999999999999']) t,
    pg_temp.failure(format('select %L::qms.ticket_number', t)) f where f.item in ('message', 'detail', 'sqlstate');
-- letters and digits of other scripts (their bytes are not printed: alignment depends on the encoding)
select f.item, f.says from unnest(array[E'\303\2041', E'A\357\274\221']) t,
    pg_temp.failure(format('select %L::qms.ticket_number', t)) f where f.item in ('detail', 'sqlstate');
select 'A-'::qms.ticket_number;
\echo :SQLSTATE
select 'A1000000'::qms.ticket_number;
\echo :SQLSTATE

-- order: prefix, then number; width and dash are display only
select n::text from (values ('B001'), ('A10'), ('A9'), ('AA1'), ('10'), ('9'), ('A-010'), ('Z1'), ('ABCDE1'), ('VIP-1')) v(t),
    lateral (select t::qms.ticket_number) x(n) order by n, t collate "C";
select a, b, a = b as eq, a <> b as ne, a < b as lt, a <= b as le, a > b as gt, a >= b as ge,
    qms_internal.ticket_number_cmp(a, b) as cmp
from (values ('A1', 'A001'), ('A-1', 'a1'), ('A1', 'A2'), ('A2', 'AA1'), ('1', 'A1'), ('B1', 'A999999')) v(x, y),
    lateral (select x::qms.ticket_number, y::qms.ticket_number) w(a, b);

-- hash agrees with equality
select qms_internal.ticket_number_hash('A1') = qms_internal.ticket_number_hash('A-001') as same,
    qms_internal.ticket_number_hash_extended('A1', 7) = qms_internal.ticket_number_hash_extended('a-01', 7) as same_seeded,
    qms_internal.ticket_number_hash_extended('A1', 7) = qms_internal.ticket_number_hash_extended('A1', 8) as other_seed,
    qms_internal.ticket_number_hash_extended('A1', 0)::bit(32) = qms_internal.ticket_number_hash('A1')::bit(32) as low_bits,
    qms_internal.ticket_number_hash('A1') = qms_internal.ticket_number_hash('B1') as others;

-- a table with indexes
create temp table number_test (id int, number qms.ticket_number);
insert into number_test
    select i, make_ticket_number((array['', 'A', 'B', 'VIP-'])[i % 4 + 1], i / 4 + 1) from generate_series(0, 3999) i;
create index number_btree on number_test (number);
create index number_hash on number_test using hash (number);
analyze number_test;
set enable_seqscan = off;
set enable_bitmapscan = off;
explain (costs off) select * from number_test where number between 'A7' and 'A9' order by number;
select number from number_test where number between 'A7' and 'A9' order by number;
drop index number_btree;
explain (costs off) select id from number_test where number = 'VIP42';
select id, number from number_test where number = 'VIP42';
drop index number_hash;
create unique index number_key on number_test (number);
insert into number_test values (-1, 'a-0001');
reset enable_seqscan;
reset enable_bitmapscan;

-- sorts, merge and hash joins, grouping
select count(*) filter (where not ok) as out_of_order from
    (select coalesce(lag(prefix(number)) over w collate "C" < prefix(number) collate "C"
        or (lag(prefix(number)) over w = prefix(number) and lag(number(number)) over w < number(number)), true) as ok
     from number_test window w as (order by number)) x;
set enable_hashjoin = off; set enable_nestloop = off;
explain (costs off) select count(*) from number_test a join number_test b using (number);
select count(*) from number_test a join number_test b using (number);
reset enable_hashjoin; set enable_mergejoin = off;
explain (costs off) select count(*) from number_test a join number_test b using (number);
select count(*) from number_test a join number_test b using (number);
reset enable_mergejoin; reset enable_nestloop;
set enable_sort = off;
explain (costs off) select number, count(*) from (values ('A1'::qms.ticket_number), ('A01'), ('B1')) v(number) group by number;
select prefix(number), count(*) from (values ('A1'::qms.ticket_number), ('A01'), ('B1')) v(number) group by number order by 1;
reset enable_sort;

-- binary form
select t, qms_internal.ticket_number_send(t::qms.ticket_number) from unnest('{A001,VIP-042,042,ABCDE-999999}'::text[]) t;
\set file `mktemp /tmp/qms_number.XXXXXX`
create temp table number_back (like number_test);
insert into number_test values (4000, 'abcde-000007'), (4001, 'Q-5'), (4002, null);
\set copy_out '\\copy number_test to ' :file ' (format binary)'
\set copy_in '\\copy number_back from ' :file ' (format binary)'
:copy_out
:copy_in
\setenv QMS_TEST_FILE :file
\! rm -f "$QMS_TEST_FILE"
select count(*) as rows, count(*) filter (where a.number::text is distinct from b.number::text) as different,
    count(*) filter (where not (a.* *= b.*)) as not_identical
from number_test a full join number_back b using (id);

-- binary form that is refused: the frame of a COPY file around one bad field
create function pg_temp.bad_binary(field bytea) returns bytea language sql as
    $$ select '\x5047434f50590aff0d0a000000000000000000'::bytea || '\x0001'::bytea || int4send(length(field)) || field || '\xffff'::bytea $$;
create temp table one_number (number qms.ticket_number);
select what, f.item, f.says from (values
    ('good', '\x01410003' || '00000001'), ('six letters', '\x06414141414141000300000001'), ('lower case', '\x0161000300000001'),
    ('zero byte', '\x0100000300000001'), ('unknown flag', '\x0141020300000001'), ('dash without prefix', '\x00010300000001'),
    ('no width', '\x0141000000000001'), ('width 7', '\x0141000700000001'), ('width too small', '\x014100020000007b'),
    ('zero', '\x0141000300000000'), ('negative', '\x01410003ffffffff'), ('too large', '\x01410006000f4240'),
    ('short', '\x014100'), ('long', '\x014100030000000100')) v(what, field),
    lateral (select pg_temp.bad_binary(field::bytea)) b(frame),
    lateral (select encode(frame, 'base64')) e(b64),
    lateral pg_temp.failure(format('copy one_number from program %L (format binary)',
        'echo ' || replace(b64, E'\n', '') || ' | base64 -d')) f
where f.item = 'accepted' or f.item <> 'hint' and f.says <> '';
select * from one_number;

-- casts
select 'A001'::text::qms.ticket_number, 'vip-7'::qms.ticket_number::text || '!' as text;
create temp table cast_test (t text, n qms.ticket_number);
insert into cast_test (t) values ('A001'::qms.ticket_number);
insert into cast_test (n) values ('A001'::text);
select * from cast_test;
select to_jsonb('A-001'::qms.ticket_number), jsonb_populate_record(null::cast_test, '{"n": "b-07"}');

-- parts and making
select n, prefix(n), number(n) from unnest('{A001,VIP-042,042}'::qms.ticket_number[]) n;
select prefix(ticket_number => 'VIP-042'), number(ticket_number => 'VIP-042');
select make_ticket_number('A', 1), make_ticket_number('', 42), make_ticket_number('vip-', 42), make_ticket_number('A', 1000),
    make_ticket_number(prefix => 'B', number => 7, width => 1), make_ticket_number('ABCDE-', 999999, 6), make_ticket_number(null, 1);
select t, f.* from unnest(array['''A'', 0', '''A'', -1', '''A'', 1000000', '''A'', 1, 0', '''A'', 1, 7', '''ABCDEF'', 1', '''A1'', 1',
    '''-'', 1', '''A--'', 1', '''A B'', 1']) t, pg_temp.failure('select make_ticket_number(' || t || ')') f where f.item <> 'hint';
select make_ticket_number('A', 0);
\echo :SQLSTATE

-- finished: every operator, function and class has a comment
select count(*) as without_comment from pg_depend d
where d.refclassid = 'pg_extension'::regclass and d.refobjid = (select oid from pg_extension where extname = 'qms')
    and pg_describe_object(d.classid, d.objid, d.objsubid) ~ 'ticket_number'
    and d.classid <> 'pg_type'::regclass and obj_description(d.objid, d.classid::regclass::name) is null;
select amvalidate(oid) from pg_opclass where opcname = 'ticket_number_ops' order by oid;
select proname from pg_proc where proname ~ 'ticket_number' and not (provolatile = 'i' and proisstrict and proparallel = 's');
