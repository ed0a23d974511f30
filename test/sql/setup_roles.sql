-- set-up: who may, through role bindings
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
select organization_id from qms.create_organization('Two');
select branch_id from qms.create_branch(1, 'One-A');
select branch_id from qms.create_branch(2, 'Two-A');
select branch_id from qms.create_branch(1, 'One-B');
select queue_id from qms.create_queue('A', 1);
select queue_id from qms.create_queue('B', 2);
select queue_id from qms.create_queue('C', 3);
select staff_id from qms.create_staff(1, 'anna', role => 'servicer');
select staff_id from qms.create_staff(2, 'otto', role => 'admin');
select staff_id from qms.create_staff(1, 'bea', role => 'admin', branch_ids => '{3}');
select application_id from qms.create_application(1, 'Shop');
create role setup_admin login;
create role setup_staff login;
create role setup_branch_admin login;
create role setup_other_admin login;
create role setup_app login;
create role setup_kiosk login;
create role setup_customer login;
create role setup_nobody login;
create role setup_super superuser;
create role setup_mine;
create role setup_all;
grant setup_all to setup_admin, setup_staff, setup_branch_admin, setup_other_admin, setup_app, setup_kiosk, setup_customer, setup_nobody;
grant execute on all functions in schema qms to setup_all;
grant setup_mine to setup_admin with admin option;

-- binding
\x on
select role_binding_id, role_name, role_oid = 'setup_admin'::regrole as is_its_oid, organization_id, kind, staff_id, application_id, branch_ids, created_at, deleted_at from qms.bind_role(role_name => 'setup_admin', organization_id => 1, kind => 'admin', staff_id => null, application_id => null, branch_ids => '{}');
\x off
select role_name, kind, staff_id from qms.bind_role('setup_staff', 1, staff_id => 1);
select role_name, kind, staff_id from qms.bind_role('setup_other_admin', 2, staff_id => 2);
select role_name, kind, staff_id from qms.bind_role('setup_branch_admin', 1, staff_id => 3);
select role_name, kind, application_id from qms.bind_role('setup_app', 1, application_id => 1);
select role_name, kind, branch_ids from qms.bind_role('setup_kiosk', 1, 'kiosk', branch_ids => '{1}');
select role_name, kind from qms.bind_role('setup_customer', 1, 'customer');
select * from pg_temp.try($$select * from qms.bind_role('setup_staff', 2, 'admin')$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_nothing', 1, 'admin')$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_super', 1, 'admin')$$);
select * from pg_temp.try($$select * from qms.bind_role('qms_owner', 1, 'admin')$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 1)$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 1, 'boss')$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 1, 'staff')$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 1, 'admin', staff_id => 1)$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 1, staff_id => 2)$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 1, 'admin', branch_ids => '{2}')$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 99, 'admin')$$);

-- an administrator: all of his organization, nothing of another, no organizations
set session authorization setup_admin;
select name from qms.create_branch(1, 'One-C');
select name from qms.update_organization(1, name => 'Uno');
select name, prefix from qms.create_queue('D', 4);
select * from pg_temp.try($$select * from qms.create_organization('x')$$);
select * from pg_temp.try($$select * from qms.delete_organization(1)$$);
select * from pg_temp.try($$select * from qms.update_organization(2, name => 'x')$$);
select * from pg_temp.try($$select * from qms.create_branch(2, 'x')$$);
select * from pg_temp.try($$select * from qms.create_queue('x', 2)$$);
select * from pg_temp.try($$select * from qms.update_queue(2, name => 'x')$$);
select * from pg_temp.try($$select * from qms.delete_queue(2)$$);
select * from pg_temp.try($$select * from qms.create_counter(1, 'x', '{2}')$$);
select * from pg_temp.try($$select * from qms.create_staff(1, 'x', branch_ids => '{2}')$$);
select * from pg_temp.try($$select * from qms.set_opening_hours('{"mon": [["08:00", "12:00"]]}', 2)$$);
select * from pg_temp.try($$select * from qms.set_opening_hours('{"mon": [["08:00", "12:00"]]}', queue_id => 2)$$);
select * from pg_temp.try($$select * from qms.add_closure(2, '[2030-01-01, 2030-01-02)', 'x')$$);
-- he binds roles that he administers in the database too
select role_name, kind from qms.bind_role('setup_mine', 1, 'display');
select role_name, deleted_at is not null as unbound from qms.unbind_role('setup_mine');
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 1, 'display')$$);
select * from pg_temp.try($$select * from qms.unbind_role('setup_other_admin')$$);
select role_name from qms.unbind_role('setup_kiosk');
reset session authorization;

-- an administrator of one branch: what belongs to it, and nothing that belongs to all
set session authorization setup_branch_admin;
select name from qms.update_branch(3, name => 'One-B2');
select name, prefix from qms.create_queue('E', 3);
select name from qms.update_queue(3, name => 'C2');
select * from pg_temp.try($$select * from qms.update_branch(1, name => 'x')$$);
select * from pg_temp.try($$select * from qms.create_queue('x', 1)$$);
select * from pg_temp.try($$select * from qms.update_queue(1, name => 'x')$$);
select * from pg_temp.try($$select * from qms.create_branch(1, 'x')$$);
select * from pg_temp.try($$select * from qms.delete_branch(3)$$);
select * from pg_temp.try($$select * from qms.create_staff(1, 'x', role => 'admin')$$);
select * from pg_temp.try($$select * from qms.update_staff(3, branch_ids => '{1,3}')$$);
select * from pg_temp.try($$select * from qms.update_organization(1, name => 'x')$$);
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 1, 'admin')$$);
reset session authorization;

-- everybody else: nothing, but the list of settings
set session authorization setup_staff;
select * from pg_temp.try($$select * from qms.create_queue('x', 1)$$);
select count(*) > 20 as settings from qms.queue_setting_keys();
reset session authorization;
set session authorization setup_app;
select * from pg_temp.try($$select * from qms.update_application(1, name => 'x')$$);
reset session authorization;
set session authorization setup_customer;
select * from pg_temp.try($$select * from qms.delete_queue(1)$$);
select count(*) > 20 as settings from qms.queue_setting_keys();
reset session authorization;
set session authorization setup_nobody;
select * from pg_temp.try($$select * from qms.create_queue('x', 1)$$);
select * from pg_temp.try($$select * from qms.queue_setting_keys()$$);
reset session authorization;
-- a superuser who takes a role on is no more than that role
set role setup_other_admin;
select name from qms.update_branch(2, name => 'Two-B');
select * from pg_temp.try($$select * from qms.update_branch(1, name => 'x')$$);
reset role;
-- a member of the super admins acts directly, and cannot be bound
grant qms_super_admin to setup_nobody;
set session authorization setup_nobody;
select name from qms.create_organization('Three');
reset session authorization;
select * from pg_temp.try($$select * from qms.bind_role('setup_nobody', 1, 'admin')$$);
revoke qms_super_admin from setup_nobody;

-- who is deleted is nobody, and his role is free
select staff_id from qms.delete_staff(1);
set session authorization setup_staff;
select * from pg_temp.try($$select * from qms.queue_setting_keys()$$);
reset session authorization;
select role_name, kind from qms.bind_role('setup_staff', 2, 'customer');
-- the audit trail says who
select kind, actor_kind, actor_id, actor_role, organization_id from qms.event where actor_kind <> 'superuser' order by event_id;

-- the same request_id of two principals is two requests
grant execute on function qms.create_zone to setup_admin, setup_other_admin;
set session authorization setup_admin;
select zone_id from qms.create_zone(1, 'Z', request_id => '00000000-0000-0000-0000-00000000000a');
select zone_id from qms.create_zone(1, 'Z', request_id => '00000000-0000-0000-0000-00000000000a');
reset session authorization;
set session authorization setup_other_admin;
select zone_id from qms.create_zone(2, 'Z', request_id => '00000000-0000-0000-0000-00000000000a');
reset session authorization;
drop owned by setup_all, setup_admin, setup_other_admin;
drop role setup_admin, setup_staff, setup_branch_admin, setup_other_admin, setup_app, setup_kiosk, setup_customer, setup_nobody, setup_super, setup_mine, setup_all;
