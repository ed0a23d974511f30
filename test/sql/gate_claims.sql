-- Who is calling by the claims of a request, and what he may do.
SET client_min_messages = warning;
SET qms.mock_now = '2030-01-07 09:00+00';
\set VERBOSITY sqlstate
CREATE ROLE gate_web LOGIN NOINHERIT;
GRANT qms_authenticator, qms_customer, qms_display, qms_kiosk, qms_servicer, qms_caller, qms_reception, qms_admin, qms_app_admin, qms_app TO gate_web;
CREATE ROLE gate_plain LOGIN;
GRANT qms_servicer, qms_admin TO gate_plain;
SELECT organization_id AS one FROM qms.create_organization('One', 'gate-one') \gset
SELECT organization_id AS two FROM qms.create_organization('Two', 'gate-two') \gset
SELECT branch_id AS north FROM qms.create_branch(:one, 'North') \gset
SELECT branch_id AS south FROM qms.create_branch(:one, 'South') \gset
SELECT branch_id AS far FROM qms.create_branch(:two, 'Far') \gset
SELECT application_id AS shop FROM qms.create_application(:one, 'Shop') \gset
SELECT application_id AS fair FROM qms.create_application(:one, 'Fair') \gset
SELECT queue_id AS qa FROM qms.create_queue('A', :north) \gset
SELECT queue_id AS qb FROM qms.create_queue('B', :north) \gset
SELECT queue_id AS qs FROM qms.create_queue('S', :south) \gset
SELECT queue_id AS qf FROM qms.create_queue('F', :far) \gset
SELECT queue_id AS qh FROM qms.create_queue('Hidden', :north, settings => '{"public": false}') \gset
SELECT device_id AS kiosk FROM qms.create_device(:north, 'kiosk', 'door') \gset
SELECT device_id AS screen FROM qms.create_device(:north, 'display', 'wall') \gset
SELECT queue_id AS room FROM qms.create_queue('Room', application_id => :shop, kind => 'release') \gset
SELECT queue_id AS other_room FROM qms.create_queue('Other', application_id => :fair, kind => 'release') \gset
SELECT counter_id AS ca FROM qms.create_counter(:north, 'ca', ARRAY[:qa, :qb]) \gset
SELECT counter_id AS cb FROM qms.create_counter(:north, 'cb', ARRAY[:qa, :qb]) \gset
SELECT counter_id AS cs FROM qms.create_counter(:south, 'cs', ARRAY[:qs]) \gset
SELECT staff_id AS anna FROM qms.create_staff(:one, 'anna', role => 'admin') \gset
SELECT staff_id AS sam FROM qms.create_staff(:one, 'sam', branch_ids => ARRAY[:north]) \gset
SELECT staff_id AS cal FROM qms.create_staff(:one, 'cal', role => 'caller', permissions => '{"grant": ["ticket.cancel:self", "ticket.hold:limited"], "deny": ["counter.no_show"]}') \gset
SELECT staff_id AS quinn FROM qms.create_staff(:one, 'quinn', queue_ids => ARRAY[:qa]) \gset
SELECT staff_id AS abby FROM qms.create_staff(:one, 'abby', role => 'app_admin', application_ids => ARRAY[:shop]) \gset
SELECT customer_id AS carl FROM qms.create_customer(:one, 'Carl', external_subject => 'carl') \gset
SELECT ticket_id AS ta FROM qms.join_queue(:qa) \gset
SELECT ticket_id AS tb FROM qms.join_queue(:qb) \gset
SELECT ticket_id AS ts FROM qms.join_queue(:qs) \gset
SELECT ticket_id AS tf FROM qms.join_queue(:qf) \gset
SELECT ticket_id AS tr FROM qms.join_queue(:room) \gset
SELECT ticket_id AS tother FROM qms.join_queue(:other_room) \gset

-- A request as PostgREST makes it: role and claims.
CREATE FUNCTION be(active text, sub text, org bigint, more jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('role', 'none', false);
	PERFORM set_config('request.jwt.claims', CASE WHEN sub IS NULL AND org IS NULL THEN '' ELSE
		(jsonb_strip_nulls(jsonb_build_object('role', active, 'sub', sub, 'organization_id', org)) || more)::text END, false);
	PERFORM set_config('role', active, false);
	RETURN active || coalesce(' ' || split_part(sub, ':', 1), '');
END $$;
-- What a call comes to: its SQLSTATE.
CREATE FUNCTION try(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	why text;
BEGIN
	EXECUTE 'SELECT count(*) FROM (SELECT * FROM ' || call || ') x' INTO n;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;
-- Ids differ from run to run.
CREATE FUNCTION names(kind text, id bigint, org bigint, branches bigint[], queues bigint[], applications bigint[]) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT concat_ws(' ', kind, CASE WHEN kind = 'customer' THEN (SELECT external_subject FROM qms.customer WHERE customer_id = id) ELSE coalesce((SELECT username FROM qms.staff WHERE staff_id = id AND kind IN ('staff', 'admin')), (SELECT name FROM qms.application WHERE application_id = id AND kind = 'application')) END,
		'of ' || (SELECT name FROM qms.organization WHERE organization_id = org), (SELECT 'branches ' || string_agg(name, ',') FROM qms.branch WHERE branch_id = ANY (branches)),
		(SELECT 'queues ' || string_agg(name, ',') FROM qms.queue WHERE queue_id = ANY (queues)), (SELECT 'applications ' || string_agg(name, ',') FROM qms.application WHERE application_id = ANY (applications))) $$;
CREATE FUNCTION who() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	p record;
	why text;
BEGIN
	SELECT * INTO p FROM qms.current_principal();
	RETURN names(p.kind, p.id, p.organization_id, p.branch_ids, p.queue_ids, p.application_ids) || format(' %s by %s', p.role, p.via);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS why = PG_EXCEPTION_DETAIL;
	RETURN sqlstate || ' ' || why;
END $$;
GRANT EXECUTE ON FUNCTION be, try, who, names TO PUBLIC;

SET SESSION AUTHORIZATION gate_web;
-- who it is
SELECT who();
SELECT be('qms_customer', NULL, NULL), who();
SELECT be('qms_customer', NULL, :one), who();
SELECT be('qms_customer', 'customer:' || :carl, :one), who();
SELECT be('qms_customer', 'customer:' || :carl, :two), who();
SELECT be('qms_customer', 'customer:999999', :one), who();
SELECT be('qms_display', NULL, NULL), who();
SELECT be('qms_kiosk', NULL, NULL), who();
SELECT be('qms_servicer', NULL, NULL), who();
SELECT be('qms_servicer', 'staff:' || :sam, :one), who();
SELECT be('qms_admin', 'staff:' || :anna, :one), who();
SELECT be('qms_app_admin', 'staff:' || :abby, :one), who();
SELECT be('qms_app', 'application:' || :shop, :one), who();
-- claims only narrow
SELECT be('qms_servicer', 'staff:' || :anna, :one), who();
SELECT be('qms_caller', 'staff:' || :sam, :one), who();
SELECT be('qms_admin', 'staff:' || :cal, :one), who();
SELECT be('qms_customer', 'staff:' || :anna, :one), who();
SELECT be('qms_customer', 'application:' || :shop, :one), who();
SELECT be('qms_servicer', 'customer:' || :carl, :one), who();
-- a customer who is deleted meanwhile
SELECT be('qms_customer', 'customer:' || :carl, :one), who();
RESET SESSION AUTHORIZATION;
SELECT customer_id = :carl AS deleted FROM qms.delete_customer(:carl);
SET SESSION AUTHORIZATION gate_web;
SELECT be('qms_customer', 'customer:' || :carl, :one), who();
-- claims that do not fit
SELECT be('qms_servicer', 'staff:' || :sam, :two), who();
SELECT be('qms_servicer', 'staff:' || :sam, NULL), who();
SELECT be('qms_servicer', 'staff:999999', :one), who();
SELECT be('qms_servicer', 'staff:' || :sam || ' ', :one), who();
SELECT be('qms_servicer', 'staff:0', :one), be('qms_servicer', 'staff:-1', :one), who();
SELECT be('qms_servicer', 'staff:99999999999999999999', :one), who();
SELECT be('qms_servicer', 'king', :one), who();
SELECT be('qms_servicer', 'staff:' || :sam, :one, '{"organization_id": "1"}'), who();
SELECT be('qms_servicer', 'staff:' || :sam, :one, '{"session_id": -1}'), who();
SELECT be('qms_servicer', 'staff:' || :sam, :one, '{"exp": 1894006799}'), who();
SELECT be('qms_servicer', 'staff:' || :sam, :one, '{"exp": 1894006801}'), who();
RESET SESSION AUTHORIZATION;
SET qms.mock_now = '2030-01-07 10:00+00';
SET SESSION AUTHORIZATION gate_web;
SELECT be('qms_servicer', 'staff:' || :sam, :one, '{"exp": 1894006801}'), who();
SET request.jwt.claims = 'nonsense';
SELECT who();
SET request.jwt.claims = '[1]';
SELECT who();
RESET SESSION AUTHORIZATION;
SET qms.mock_now = '2030-01-07 09:00+00';
UPDATE qms.staff SET disabled_at = now() WHERE staff_id = :sam;
SET SESSION AUTHORIZATION gate_web;
SELECT be('qms_servicer', 'staff:' || :sam, :one), who();
RESET SESSION AUTHORIZATION;
UPDATE qms.staff SET disabled_at = NULL WHERE staff_id = :sam;

-- Forged from a direct login: they change nothing.
SET SESSION AUTHORIZATION gate_plain;
SELECT be('none', 'staff:' || :anna, :one), who();
SELECT be('qms_admin', 'staff:' || :anna, :one), who();
RESET SESSION AUTHORIZATION;
SET ROLE qms_admin;
SELECT who();
RESET ROLE;
RESET request.jwt.claims;

-- an anonymous visitor
SET SESSION AUTHORIZATION gate_web;
SELECT be('qms_customer', NULL, NULL);
SELECT try(format('qms.queue_status(%s)', :qf)) AS status, try(format('qms.join_queue(%s)', :qf)) AS joined, try($$qms.branch_info('gate-one', 'north')$$) AS info,
	try(format('qms.join_queue(%s, priority => 1)', :qf)) AS priority, try(format('qms.waiting_list(queue_id => %s)', :qf)) AS list, try(format('qms.get_ticket(%s)', :tf)) AS ticket;
SELECT count(*) FROM qms.queues;
-- a queue that is not public: for staff and kiosks
SELECT be('qms_customer', NULL, :one), try(format('qms.join_queue(%s)', :qh)) AS joined, try(format('qms.queue_status(%s)', :qh)) AS status;
SELECT be('qms_display', 'device:' || :screen, :one), try(format('qms.queue_status(%s)', :qh)) AS status;
SELECT be('qms_kiosk', 'device:' || :kiosk, :one), try(format('qms.join_queue(%s)', :qh)) AS joined, try(format('qms.queue_status(%s)', :qh)) AS status;
SELECT be('qms_customer', NULL, :one);
SELECT try(format('qms.queue_status(%s)', :qf)) AS elsewhere, try(format('qms.queue_status(%s)', :qa)) AS here;

-- a servicer of one branch
SELECT be('qms_servicer', 'staff:' || :sam, :one);
SELECT try(format('qms.open_counter(%s)', :ca)) AS own_branch, try(format('qms.open_counter(%s)', :cs)) AS other_branch,
	try(format('qms.get_ticket(%s)', :ta)) AS own, try(format('qms.get_ticket(%s)', :ts)) AS other, try(format('qms.hold_ticket(%s, %L)', :tf, 'x')) AS foreign_,
	try(format('qms.create_queue(%L, %s)', 'X', :north)) AS setup;
SELECT be('qms_caller', 'staff:' || :sam, :one);
SELECT try(format('qms.hold_ticket(%s, %L)', :tb, 'x')) AS as_caller;
-- a servicer of one queue
SELECT be('qms_servicer', 'staff:' || :quinn, :one);
SELECT try(format('qms.get_ticket(%s)', :ta)) AS own, try(format('qms.get_ticket(%s)', :tb)) AS other, try(format('qms.waiting_list(queue_id => %s)', :qb)) AS list,
	try(format('qms.transfer_ticket(%s, %s)', :ta, :qb)) AS away;
-- grants and denials of his own
SELECT be('qms_caller', 'staff:' || :cal, :one);
SELECT try(format('qms.open_counter(%s)', :cb)) AS open, try(format('qms.hold_ticket(%s, %L)', :tb, 'x')) AS limited, try(format('qms.hold_ticket(%s, %L)', :ts, 'x')) AS beyond,
	try(format('qms.cancel_ticket(%s, %L)', :tb, 'x')) AS not_his;
SELECT ticket_id AS called FROM qms.call_next(:cb) \gset
SELECT try(format('qms.mark_no_show(%s)', :cb)) AS denied, try(format('qms.cancel_ticket(%s, %L)', :called, 'x')) AS his, try(format('qms.requeue_ticket(%s)', :tb)) AS never;
-- an application, and its administrator
SELECT be('qms_app', 'application:' || :shop, :one);
SELECT try(format('qms.join_queue(%s)', :room)) AS joined, try(format('qms.join_queue(%s)', :other_room)) AS other_room, try(format('qms.join_queue(%s)', :qa)) AS branch,
	try(format('qms.get_ticket(%s)', :tr)) AS own, try(format('qms.get_ticket(%s)', :tother)) AS other, try(format('qms.get_ticket(%s)', :ta)) AS at_branch,
	try(format('qms.find_tickets(%s)', :north)) AS find;
SELECT be('qms_app_admin', 'staff:' || :abby, :one);
SELECT try(format('qms.update_queue(%s, name => %L)', :room, 'Hall')) AS own, try(format('qms.update_queue(%s, name => %L)', :other_room, 'Hall')) AS other,
	try(format('qms.update_queue(%s, name => %L)', :qa, 'Hall')) AS branch, try(format('qms.update_application(%s, name => %L)', :shop, 'Shops')) AS app,
	try(format('qms.create_queue(%L, %s)', 'X', :north)) AS create_, try(format('qms.cancel_ticket(%s, %L)', :tr, 'x')) AS ticket, try(format('qms.cancel_ticket(%s, %L)', :ts, 'x')) AS branch_ticket;
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;

-- permissions of a staff member are checked, and nobody gives what he has not
SELECT try(format('qms.update_staff(%s, permissions => %L)', :sam, p)), p FROM unnest(ARRAY['{"grant": ["ticket.fly"]}', '{"grant": ["ticket.cancel:mine"]}', '{"grant": "ticket.cancel"}', '{"deny": ["ticket.cancel:self"]}',
	'{"may": []}', '{"grant": [1]}', '{"grant": [["ticket.cancel"]]}', '{"grant": ["*"]}', '{"grant": ["ticket.*"], "deny": ["counter.undo", "queue.*"]}', '{"grant": ["tick.*"]}']) p;
SET SESSION AUTHORIZATION gate_web;
SELECT be('qms_admin', 'staff:' || :anna, :one);
SELECT try(format('qms.update_staff(%s, permissions => %L)', :sam, '{"grant": ["organization.create"]}')), try(format('qms.update_staff(%s, permissions => %L)', :sam, '{"grant": ["ticket.cancel"]}'));
RESET SESSION AUTHORIZATION;
RESET request.jwt.claims;

-- a superuser as somebody else
SELECT kind, id = :sam AS is_sam, organization_id = :one AS of_one, via FROM qms.act_as(:sam);
SELECT try(format('qms.get_ticket(%s)', :ta)) AS own, try(format('qms.get_ticket(%s)', :ts)) AS other, try($$qms.create_organization('Three')$$) AS superuser;
BEGIN;
SELECT kind FROM qms.act_as();
SELECT kind FROM qms.current_principal();
SAVEPOINT s;
SELECT kind = 'application' FROM qms.act_as(application_id => :shop);
SAVEPOINT t;
SELECT id = :anna FROM qms.act_as(:anna);
RELEASE t;
SELECT id = :anna FROM qms.current_principal();
ROLLBACK TO s;
SELECT kind FROM qms.current_principal();
SAVEPOINT s;
SELECT id = :anna FROM qms.act_as(:anna);
RELEASE s;
SELECT id = :anna FROM qms.current_principal();
ROLLBACK;
SELECT kind, via FROM qms.current_principal();
SELECT kind, via FROM qms.act_as();
SELECT try(format('qms.act_as(%s, %s)', :sam, :shop)), try('qms.act_as(999999)');
SELECT kind, organization_id = :one AS one, staff_id = :sam AS sam, actor_kind, data->>'session_user' IS NOT NULL AS who FROM qms.event WHERE kind = 'principal.acted_as' AND organization_id = :one;
SET ROLE qms_admin;
SELECT try('qms.act_as(1)');
RESET ROLE;

-- a role that was dropped and made again is another one
CREATE ROLE gate_bound;
GRANT qms_servicer TO gate_bound;
SELECT role_name FROM qms.bind_role('gate_bound', :one, staff_id => :sam);
SET ROLE gate_bound;
SELECT who() ~ '^staff';
RESET ROLE;
DROP ROLE gate_bound;
CREATE ROLE gate_bound;
GRANT qms_servicer TO gate_bound;
SET ROLE gate_bound;
SELECT who();
RESET ROLE;

-- row-level security, for those who may SELECT
GRANT SELECT ON qms.ticket, qms.queue, qms.branch, qms.organization, qms.staff, qms.event, qms.ticket_history TO gate_web, qms_servicer, qms_customer, qms_app;
SET SESSION AUTHORIZATION gate_web;
CREATE FUNCTION pg_temp.seen() RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', (SELECT count(*) FROM qms.organization), (SELECT count(*) FROM qms.branch), (SELECT count(*) FROM qms.queue),
	(SELECT count(*) FROM qms.staff), (SELECT count(*) FROM qms.ticket), (SELECT count(*) > 0 FROM qms.event)) $$;
SELECT be('qms_servicer', 'staff:' || :sam, :one), pg_temp.seen();
SELECT be('qms_servicer', 'staff:' || :quinn, :one), pg_temp.seen();
SELECT be('qms_app', 'application:' || :shop, :one), pg_temp.seen();
SELECT be('qms_customer', NULL, NULL), pg_temp.seen();
SELECT be('qms_servicer', NULL, NULL), pg_temp.seen();
UPDATE qms.ticket SET notes = 'x';
RESET SESSION AUTHORIZATION;
SELECT count(*) AS without_security FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('qms'::regnamespace, 'qms_internal'::regnamespace) AND NOT relrowsecurity
	AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'organization_id');
