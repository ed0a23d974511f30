-- alert rules: arguments, levels that follow one another, who may; metrics without workers
\set SHOW_CONTEXT never
set client_min_messages = warning;
-- ids begin with 1 again, whatever ran before
drop extension qms cascade;
create extension qms;
set qms.mock_now = '2030-05-06 09:00+00';
select organization_id as o from qms.create_organization('City') \gset
select organization_id as other from qms.create_organization('Other') \gset
select branch_id as b from qms.create_branch(:o, 'Hall') \gset
select queue_id as q from qms.create_queue('Papers', :b) \gset
select branch_id as far from qms.create_branch(:other, 'Far') \gset

create function code(statement text) returns text language plpgsql as $$
declare m text; d text; h text;
begin
	execute statement;
	return 'fine';
exception when others then
	get stacked diagnostics m = message_text, d = pg_exception_detail, h = pg_exception_hint;
	return concat_ws(' | ', sqlstate, m, nullif(d, ''), nullif(h, ''));
end $$;

-- what a rule has when little is said
select name, metric, threshold, recover_at, hold_for, repeat_every, measured_over, enabled, branch_id, queue_id
from qms.create_alert_rule(:o, 'Line', 'queue_length', 50);
-- a queue brings its branch
select branch_id = :b as of_its_branch, queue_id = :q as of_it, recover_at from qms.create_alert_rule(:o, 'Wait', 'mean_wait', 1800, queue_id => :q, recover_at => 1500.5);
-- refusals
select code(format('select qms.create_alert_rule(%s, %s)', :o, a)) from (values
	(1, $$'x', 'queue_lengt', 1$$), (2, $$'x', 'queue_length', -1$$), (3, $$'x', 'queue_length', 'nan'$$), (4, $$'x', 'queue_length', 'infinity'$$),
	(5, $$'x', 'api_errors', 1.01$$), (6, $$'x', 'queue_length', 1, recover_at => 2$$), (7, $$'x', 'queue_length', 1, recover_at => -1$$),
	(8, $$'x', 'worker_lag', 1, branch_id => 1$$), (9, $$'x', 'queue_length', 1, hold_for => '-1 s'$$), (10, $$'x', 'queue_length', 1, hold_for => '1 month'$$),
	(11, $$'x', 'queue_length', 1, repeat_every => '-1 h'$$), (12, $$'x', 'mean_wait', 1, measured_over => '25 h'$$), (13, $$'Line', 'mean_wait', 1$$),
	(14, $$'x', 'queue_length', 1, queue_id => 4711$$), (15, $$'x', 'queue_length', 1, branch_id => 2$$), (16, $$'x', 'queue_length', NULL$$), (17, $$NULL, 'queue_length', 1$$),
	(18, $$'x', NULL, 1$$)) v (n, a) order by n;
-- changes: recover_at follows the threshold as long as it is the same
select threshold, recover_at from qms.update_alert_rule(1, threshold => 60);
select threshold, recover_at from qms.update_alert_rule(1, recover_at => 40);
select threshold, recover_at from qms.update_alert_rule(1, threshold => 70);
select code('select qms.update_alert_rule(1, threshold => 30)');
select threshold, recover_at from qms.update_alert_rule(1, threshold => 30, recover_at => 30);
select repeat_every from qms.update_alert_rule(1, repeat_every => '1 h');
select repeat_every is null as removed, measured_over from qms.update_alert_rule(1, repeat_every => '0', measured_over => '0');
select enabled from qms.update_alert_rule(1, enabled => false);
select kind, data from qms.event where kind like 'alert_rule.%' order by event_id desc limit 2;
-- a name is free again
select deleted_at is not null as deleted from qms.delete_alert_rule(1);
select code('select qms.delete_alert_rule(1)');
select name from qms.create_alert_rule(:o, 'Line', 'queue_length', 50);
-- the usual ones, once
select name, metric, threshold, recover_at, hold_for, repeat_every from qms.create_default_alert_rules(:o) order by alert_rule_id;
select count(*) from qms.create_default_alert_rules(:o);
select count(*) from qms.create_default_alert_rules(:other, request_id => '00000000-0000-4000-8000-000000000001');
select count(*) from qms.create_default_alert_rules(:other, request_id => '00000000-0000-4000-8000-000000000001');
select organization_id, count(*) from qms.alert_rules group by 1 order by 1;
select count(*) from qms.alerts;
-- the table holds what the functions do
select split_part(code($$insert into qms.alert_rule (organization_id, name, metric, threshold, recover_at) values (1, 'y', 'queue_length', 1, 2)$$), ' | ', 1) as code;

-- metrics without workers: gauges, and counters that stand still
select joined.state from generate_series(1, 3) n, qms.join_queue(:q, metadata => jsonb_build_object('n', n)) joined;
select line from regexp_split_to_table(qms.metrics(), E'\n') line where line ~ '^qms_queue_(size|users_joined_total|length_by_type|open|head_wait_seconds)\{';
set qms.mock_now = '2030-05-06 09:10+00';
select line from regexp_split_to_table(qms.metrics(), E'\n') line where line ~ '^qms_queue_head_wait_seconds\{';
-- many wait
insert into qms.ticket (organization_id, branch_id, queue_id, customer_class_id, visit_id, state, effective_arrival, sort_key, joined_at, entered_at, token_nonce)
	select t.organization_id, t.branch_id, t.queue_id, t.customer_class_id, 1000 + n, 'waiting', now(), t.sort_key + n, now(), now(), 1 from generate_series(1, 2500) n, (select * from qms.ticket limit 1) t;
select line from regexp_split_to_table(qms.metrics(), E'\n') line where line ~ '^qms_queue_size\{';
-- every line is one of the format
select count(*) from regexp_split_to_table(rtrim(qms.metrics(), E'\n'), E'\n') line
	where line !~ '^(# (HELP|TYPE) qms_[a-z0-9_]+ .+|qms_[a-z0-9_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? ([-+0-9.e]+|NaN|[+-]Inf))$';

drop function code(text);
-- nothing of it is left for those that come after
drop extension qms cascade;
create extension qms;
