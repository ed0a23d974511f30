-- qms.ticket_token: text and binary form, comparison, casts, silence about the secret
\set SHOW_CONTEXT never
set search_path = qms, public;
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
-- a token from its 32 bytes
create function pg_temp.token_text(bytes bytea) returns text language sql as
    $$ select rtrim(translate(encode(bytes, 'base64'), '+/', '-_'), '=') $$;

-- text round trips
create temp table token_test (id int, bytes bytea, token qms.ticket_token);
insert into token_test select i, b, pg_temp.token_text(b)::qms.ticket_token
from generate_series(1, 200) i,
    lateral (select decode(md5('secret' || i), 'hex') || int8send(i * 7919) || substr(int8send(i), 3) || int2send(i::int2)) x(b);
insert into token_test
    select i, b, pg_temp.token_text(b)::qms.ticket_token from (values
        (201, '\x00000000000000000000000000000000' || '0000000000000001' || '000000000001' || '0001'),
        (202, '\xffffffffffffffffffffffffffffffff' || '7fffffffffffffff' || 'ffffffffffff' || 'ffff')) v(i, x),
    lateral (select x::bytea) y(b);
select count(*), count(*) filter (where token::text = pg_temp.token_text(bytes)) as same_text,
    count(*) filter (where qms_internal.ticket_token_send(token) = bytes) as same_bytes,
    min(length(token::text)) as shortest, max(length(token::text)) as longest, max(pg_column_size(token)) as size from token_test;
select id, token from token_test where id > 200 order by id;

-- comparison: = and <>, nothing else
select count(*) filter (where a.token = b.token) as equal, count(*) filter (where a.token <> b.token) as different,
    count(*) filter (where (a.token = b.token) <> (a.id = b.id)) as wrong from token_test a, token_test b;
-- one bit anywhere makes another token (bit 135 is the sign of the visit)
select count(*) filter (where t.token = pg_temp.token_text(set_bit(t.bytes, bit, 1 - get_bit(t.bytes, bit)))::qms.ticket_token) as equal,
    count(*) as bits from token_test t, generate_series(0, 255) bit where t.id = 7 and bit <> 135;
select token < token from token_test;
select id from token_test order by token;
select token from token_test group by token;
create index on token_test (token);
create index on token_test using hash (token);
analyze token_test;
select count(*) as values_in_statistics from pg_stats where tablename = 'token_test' and attname = 'token'
    and (most_common_vals is not null or histogram_bounds is not null);

-- what is refused; nothing of the token is repeated
select what, f.item, f.says from (values
    ('empty', ''),
    ('42 characters', left('SECRETSECRETSECRETSECRETSECRETSECRETSECRETA', 42)),
    ('44 characters', 'SECRETSECRETSECRETSECRETSECRETSECRETSECRETAA'), ('padded', 'SECRETSECRETSECRETSECRETSECRETSECRETSECRETA='),
    ('very long', repeat('SECRET', 1000)),
    ('plus', '+ECRETSECRETSECRETSECRETSECRETSECRETSECRETA'), ('slash', 'SECRETSECRETSECRETSECRETSECRETSECRETSECRE/A'),
    ('space', ' SECRETSECRETSECRETSECRETSECRETSECRETSECRETA'), ('not ASCII', 'SECRETSECRETSECRETSECRETSECRETSECRETSECR' || E'\303\204A'),
    ('trailing bit 1', 'SECRETSECRETSECRETSECRETSECRETSECRETSECRETB'), ('trailing bit 2', 'SECRETSECRETSECRETSECRETSECRETSECRETSECRETC')) v(what, t),
    pg_temp.failure(format('select %L::qms.ticket_token', t)) f where f.item <> 'hint';
select what, f.item, f.says from (values
    ('visit 0', '\x' || repeat('5a', 16) || '0000000000000000' || '000000000001' || '0001'),
    ('visit negative', '\x' || repeat('5a', 16) || '8000000000000001' || '000000000001' || '0001'),
    ('organization 0', '\x' || repeat('5a', 16) || '0000000000000001' || '000000000000' || '0001'),
    ('key 0', '\x' || repeat('5a', 16) || '0000000000000001' || '000000000001' || '0000')) v(what, x),
    pg_temp.failure(format('select %L::qms.ticket_token', pg_temp.token_text(x::bytea))) f;
select pg_temp.token_text('\x')::qms.ticket_token;
\echo :SQLSTATE
select count(*) as leaks from (values ('SECRETSECRET'), (repeat('SECRET', 8)), ('+SECRET')) v(t),
    pg_temp.failure(format('select %L::qms.ticket_token', t)) f where f.says like '%SECRET%';

-- binary form
create temp table token_back (like token_test);
\set file `mktemp /tmp/qms_token.XXXXXX`
\set copy_out '\\copy token_test to ' :file ' (format binary)'
\set copy_in '\\copy token_back from ' :file ' (format binary)'
:copy_out
:copy_in
\setenv QMS_TEST_FILE :file
\! rm -f "$QMS_TEST_FILE"
select count(*) as rows, count(*) filter (where a.token = b.token) as equal from token_test a full join token_back b using (id);
create temp table one_token (token qms.ticket_token);
select what, f.item, f.says from (values
    ('good', '\x' || repeat('5a', 16) || '0000000000000001' || '000000000001' || '0001'),
    ('visit 0', '\x' || repeat('5a', 16) || '0000000000000000' || '000000000001' || '0001'),
    ('organization 0', '\x' || repeat('5a', 16) || '0000000000000001' || '000000000000' || '0001'),
    ('key 0', '\x' || repeat('5a', 16) || '0000000000000001' || '000000000001' || '0000'),
    ('31 bytes', '\x' || repeat('5a', 31)), ('33 bytes', '\x' || repeat('5a', 16) || '0000000000000001' || '000000000001' || '000100')) v(what, x),
    lateral (select '\x5047434f50590aff0d0a000000000000000000'::bytea || '\x0001'::bytea || int4send(length(x::bytea)) || x::bytea || '\xffff'::bytea) b(frame),
    lateral pg_temp.failure(format('copy one_token from program %L (format binary)',
        'echo ' || replace(encode(frame, 'base64'), E'\n', '') || ' | base64 -d')) f
where f.item = 'accepted' or f.item <> 'hint' and f.says <> '';
select * from one_token;

-- casts are explicit: no secret slips into a text column
create temp table cast_test (t text, v varchar, token qms.ticket_token);
insert into cast_test (t) select token from token_test limit 1;
insert into cast_test (v) select token from token_test limit 1;
insert into cast_test (token) values ('WlpaWlpaWlpaWlpaWlpaWgAAAAAAAAABAAAAAAABAAE'::text);
insert into cast_test (token) values ('WlpaWlpaWlpaWlpaWlpaWgAAAAAAAAABAAAAAAABAAE');
insert into cast_test (token) values ('WlpaWlpaWlpaWlpaWlpaWgAAAAAAAAABAAAAAAABAAE'::text::qms.ticket_token);
insert into cast_test (t, v) select token::text, token::varchar from one_token;
select * from cast_test;

-- finished
select count(*) as without_comment from pg_depend d
where d.refclassid = 'pg_extension'::regclass and d.refobjid = (select oid from pg_extension where extname = 'qms')
    and pg_describe_object(d.classid, d.objid, d.objsubid) ~ 'ticket_token'
    and d.classid <> 'pg_type'::regclass and obj_description(d.objid, d.classid::regclass::name) is null;
select proname from pg_proc where proname ~ 'ticket_token' and not (provolatile = 'i' and proisstrict and proparallel = 's');
select count(*) as classes from pg_opclass where opcintype = 'qms.ticket_token'::regtype;
