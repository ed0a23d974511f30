-- settings of queues: keys, defaults, checks
\set SHOW_CONTEXT never
set client_min_messages = warning;
-- ids begin with 1 again, whatever ran before
drop extension qms cascade;
create extension qms;
set timezone = 'UTC';
set qms.mock_now = '2030-01-07 09:00+00';
create function pg_temp.try(statement text) returns table (sqlstate text, says text)
language plpgsql as $$
declare
    code text; message text; detail text; hint text;
begin
    execute statement;
    return query values ('00000', 'accepted');
exception when others then
    get stacked diagnostics code = returned_sqlstate, message = message_text,
        detail = pg_exception_detail, hint = pg_exception_hint;
    return query values (code, message), ('', 'detail: ' || detail), ('', 'hint: ' || hint);
end $$;
select organization_id from qms.create_organization('One');
select branch_id from qms.create_branch(1, 'One');
select application_id from qms.create_application(1, 'App');
select queue_id from qms.create_queue('A', 1);
select queue_id from qms.create_queue('R', application_id => 1, kind => 'release');
select * from qms.queue_setting_keys();

-- the default of each key is a value that it takes
select count(*) from qms.queue_setting_keys() k,
    lateral qms.create_queue('default ' || k.key, case when k.applies_to <> 'release' then 1 end, case when k.applies_to = 'release' then 1 end, kind => case when k.applies_to = 'release' then 'release' else 'counter' end,
        settings => jsonb_build_object(k.key, case when k.kind in ('integer', 'boolean') then k.default_value::jsonb else to_jsonb(k.default_value) end)) q
    where k.default_value is not null;

-- merged, null removes
select settings from qms.update_queue(1, settings => '{"max_waiting": 10, "wrap": true}');
select settings from qms.update_queue(1, settings => '{"max_waiting": null, "max_number": 50}');
select settings from qms.update_queue(1, settings => '{}');
select settings from qms.update_queue(1);

-- unknown
select * from pg_temp.try($$select * from qms.update_queue(1, settings => '{"max_waitng": 1}')$$);
select * from pg_temp.try($$select * from qms.update_queue(1, settings => '{"colour": "red"}')$$);
select * from pg_temp.try($$select * from qms.update_queue(1, settings => '{"rate": "30/min"}')$$);
select * from pg_temp.try($$select * from qms.update_queue(2, settings => '{"wrap": true}')$$);
select * from pg_temp.try(format('select * from qms.update_queue(1, settings => %L)', jsonb_build_object(repeat('x', 300), 1)));

-- values
select q, s, t.sqlstate, case when t.says not like 'accepted' then t.says end as hint from (values
    (1, '{"max_waiting": -1}'), (1, '{"max_waiting": 1.5}'), (1, '{"max_waiting": "1"}'), (1, '{"max_waiting": 1e30}'), (1, '{"max_number": 0}'), (1, '{"max_number": 1000000}'), (1, '{"max_number": 999999}'),
    (1, '{"wrap": 1}'), (1, '{"wrap": "true"}'), (1, '{"wrap": [true]}'), (1, '{"wrap": {}}'),
    (1, '{"recall_gap": "90 s"}'), (1, '{"recall_gap": 90}'), (1, '{"recall_gap": 0.25}'), (1, '{"recall_gap": "PT5M"}'), (1, '{"recall_gap": "00:05:00"}'), (1, '{"recall_gap": "-1 s"}'), (1, '{"recall_gap": -1}'),
    (1, '{"recall_gap": "1 month"}'), (1, '{"recall_gap": "1 hour 1 s"}'), (1, '{"recall_gap": "soon"}'), (1, '{"recall_gap": ""}'), (1, '{"recall_gap": true}'), (1, '{"no_show_after": "1 day"}'),
    (1, '{"reset_time": "04:00"}'), (1, '{"reset_time": "04:00:30"}'), (1, '{"reset_time": "4:00"}'), (1, '{"reset_time": "24:00"}'), (1, '{"reset_time": "04:60"}'), (1, '{"reset_time": 4}'),
    (1, '{"overflow_hint": "Come tomorrow"}'), (1, '{"overflow_hint": ""}'), (1, '{"overflow_hint": 1}'),
    (2, '{"rate": "30/min"}'), (2, '{"rate": "fast"}'), (2, '{"rate": 30}'), (2, '{"token_life": 0}'), (2, '{"max_active": 5}'),
    (2, '{"opens_at": "2030-01-31 10:00:00+01"}'), (2, '{"opens_at": "2030-01-31T10:00:00Z"}'), (2, '{"opens_at": "2030-01-31 10:00 Europe/Berlin"}'), (2, '{"opens_at": "2030-01-31 10:00"}'), (2, '{"opens_at": "31.01.2030 10:00+01"}'), (2, '{"opens_at": "tomorrow"}'), (2, '{"opens_at": 5}')) v(q, s),
    lateral pg_temp.try(format('select * from qms.update_queue(%s, settings => %L)', q, s)) t where t.says like 'hint%' or t.sqlstate = '00000' or t.sqlstate <> '' and t.sqlstate <> 'QM702';
select * from pg_temp.try($$select * from qms.update_queue(1, settings => '{"recall_gap": "1 month"}')$$);
select settings from qms.queue where queue_id <= 2 order by queue_id;
