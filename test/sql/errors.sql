-- Bad input: SQLSTATE, message, detail and hint, and nothing is left behind.
\set base 260000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

\set ECHO none
\pset format unaligned
\pset tuples_only on
-- What would be left: rows of tickets, events, numbers, requests and sessions.
CREATE FUNCTION test.counts() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', (SELECT count(*) FROM qms.ticket), (SELECT count(*) FROM qms.ticket_history), (SELECT count(*) FROM qms.ticket_leg), (SELECT count(*) FROM qms.event),
		(SELECT (count(*), sum(last_number)) FROM qms_internal.queue_number), (SELECT count(*) FROM qms_internal.request), (SELECT (count(*), count(closed_at), count(current_ticket_id)) FROM qms.staff_session),
		(SELECT count(*) FROM qms.visit), (SELECT (count(*), sum(version)) FROM qms.ticket), (SELECT count(*) FROM qms.queue), (SELECT count(*) FROM qms.organization)) $$;
-- Run one statement that must fail, as a role or as ourselves.  Ids are printed as N.
CREATE FUNCTION test.fails(what text, statement text, role text DEFAULT NULL) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	before text := test.counts();
	message text;
	detail text;
	hint text;
BEGIN
	BEGIN
		IF role IS NOT NULL THEN
			EXECUTE format('SET LOCAL ROLE %I', role);
		END IF;
		EXECUTE statement;
		RAISE 'no error' USING ERRCODE = '00001';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		RETURN NEXT regexp_replace(format('%s: %s: %s', what, SQLSTATE, message), '[0-9]{6,}', 'N', 'g');
		RETURN NEXT regexp_replace('    detail: ' || detail, '[0-9]{6,}', 'N', 'g');
		RETURN NEXT regexp_replace('    hint: ' || hint, '[0-9]{6,}', 'N', 'g');
	END;
	IF test.counts() <> before THEN
		RETURN NEXT '    LEFT SOMETHING BEHIND';
	END IF;
END $$;
-- Of another organization, the same set-up with one ticket
SELECT organization_id AS org2 FROM qms.create_organization('Other ' || :base) \gset
SELECT branch_id AS hall2 FROM qms.create_branch(:org2, 'Hall') \gset
SELECT service_id AS service2 FROM qms.create_service(:org2, 'Service') \gset
SELECT queue_id AS queue2 FROM qms.create_queue('Queue', branch_id => :hall2) \gset
SELECT counter_id AS counter2 FROM qms.create_counter(:hall2, 'Counter', ARRAY[:queue2]) \gset
SELECT staff_id AS staff2 FROM qms.create_staff(:org2, 'eve') \gset
SELECT counter_profile_id AS profile2 FROM qms.create_counter_profile(:hall2, 'fifo') \gset
SELECT count(qms.open_counter(:counter2)) AS one FROM qms.offer_service(:hall2, :service2, :queue2) \gset
SELECT ticket_id AS ticket2, token AS token2 FROM qms.join_queue(queue_id => :queue2, subject => 'S') \gset
CREATE ROLE errors_admin;
CREATE ROLE errors_customer;
CREATE ROLE errors_clerk;
CREATE ROLE errors_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA qms TO errors_admin, errors_customer, errors_clerk, errors_nobody;
SELECT count(*) AS three FROM qms.bind_role('errors_admin', :org, 'admin') a, qms.bind_role('errors_customer', :org, 'customer') b, qms.bind_role('errors_clerk', :org, staff_id => :ada) c \gset
SELECT ticket_id AS ticket, token FROM qms.join_queue(queue_id => :qa, request_id => '00000000-0000-4000-8000-00000000e001') \gset
\set ECHO all
-- an id of nothing
SELECT test.fails('queue', 'SELECT qms.join_queue(queue_id => 999999999)');
SELECT test.fails('branch and service', format('SELECT qms.join_queue(branch_id => 999999999, service_id => %s)', :passports));
SELECT test.fails('service of a queue', format('SELECT qms.join_queue(queue_id => %s, service_id => 999999999)', :qa));
SELECT test.fails('class', format('SELECT qms.join_queue(queue_id => %s, customer_class => ''royal'')', :qa));
SELECT test.fails('ticket: ' || f, format('SELECT qms.' || f, 999999999, :qa)) FROM unnest('{hold_ticket(%s),resume_ticket(%s),requeue_ticket(%s),cancel_ticket(%s),reinstate_ticket(%s),update_ticket(%s),explain_call(%s)}'::text[]) f;
SELECT test.fails('ticket: transfer', format('SELECT qms.transfer_ticket(999999999, %s)', :qa));
SELECT test.fails('counter: ' || f, 'SELECT qms.' || f) FROM unnest(ARRAY['open_counter(999999999)', 'pause_counter(999999999, ''x'')', 'resume_counter(999999999)', 'close_counter(999999999)', 'counter_status(999999999)', 'call_next(999999999)',
	'call_ticket(999999999, 1)', 'recall_ticket(999999999)', 'start_service(999999999)', 'complete_service(999999999)', 'mark_no_show(999999999)', 'serve_walk_up(999999999, 1)', 'undo(999999999)']) f;
SELECT test.fails('queue: ' || f, 'SELECT qms.' || f) FROM unnest(ARRAY['open_queue(999999999)', 'pause_queue(999999999)', 'close_queue(999999999)', 'queue_status(999999999)', 'update_queue(999999999)']) f;
-- things of another organization: to the letter as if they were not there
SELECT test.fails('its queue', format('SELECT qms.join_queue(queue_id => %s)', :queue2), 'errors_admin');
SELECT test.fails('its branch and service', format('SELECT qms.join_queue(branch_id => %s, service_id => %s)', :hall2, :service2), 'errors_admin');
SELECT test.fails('its ticket: ' || f, format('SELECT qms.' || f, :ticket2), 'errors_admin') FROM unnest('{hold_ticket(%s),resume_ticket(%s),requeue_ticket(%s),cancel_ticket(%s),reinstate_ticket(%s),update_ticket(%s),explain_call(%s)}'::text[]) f;
SELECT test.fails('its ticket here', format('SELECT qms.transfer_ticket(%s, %s)', :ticket2, :qa), 'errors_admin');
SELECT test.fails('our ticket there', format('SELECT qms.transfer_ticket(%s, %s)', :ticket, :queue2), 'errors_admin');
SELECT test.fails('our ticket there, by a superuser', format('SELECT qms.transfer_ticket(%s, %s)', :ticket, :queue2));
SELECT test.fails('its counter: ' || f, format('SELECT qms.' || f, :counter2), 'errors_admin') FROM unnest(ARRAY['open_counter(%s)', 'pause_counter(%s, ''x'')', 'resume_counter(%s)', 'close_counter(%s)', 'counter_status(%s)', 'call_next(%s)',
	'call_ticket(%s, 1)', 'recall_ticket(%s)', 'start_service(%s)', 'complete_service(%s)', 'mark_no_show(%s)', 'serve_walk_up(%s, 1)', 'undo(%s)']) f;
SELECT test.fails('its clerk', format('SELECT qms.open_counter(%s, staff_id => %s)', :c1, :staff2), 'errors_admin');
SELECT test.fails('its profile', format('SELECT qms.open_counter(%s, profile_id => %s)', :c1, :profile2), 'errors_admin');
SELECT test.fails('its counter wanted', format('SELECT qms.transfer_ticket(%s, %s, counter_id => %s)', :ticket, :qb, :counter2), 'errors_admin');
SELECT test.fails('its clerk wanted', format('SELECT qms.transfer_ticket(%s, %s, staff_id => %s)', :ticket, :qb, :staff2), 'errors_admin');
SELECT test.fails('its token', format('SELECT qms.ticket_status(%L)', :'token2'), 'errors_customer');
SELECT test.fails('its visit', format('SELECT qms.join_queue(queue_id => %s, visit_token => %L)', :qa, :'token2'), 'errors_admin');
SELECT test.fails('its visit, by a superuser', format('SELECT qms.join_queue(queue_id => %s, visit_token => %L)', :qa, :'token2'));
SET ROLE errors_admin;
SELECT count(*) FROM qms.get_ticket(:ticket2);
SELECT count(*) FROM qms.get_ticket(999999999);
RESET ROLE;
-- who may what
SELECT test.fails('nobody', format('SELECT qms.join_queue(queue_id => %s)', :qa), 'errors_nobody');
SELECT test.fails('a customer at a counter', format('SELECT qms.call_next(%s)', :c1), 'errors_customer');
SELECT test.fails('a customer at the desk', format('SELECT qms.cancel_ticket(%s)', :ticket), 'errors_customer');
SELECT test.fails('a class that is not self-service', format('SELECT qms.join_queue(queue_id => %s, customer_class => ''vip'')', :qa), 'errors_customer');
SELECT test.fails('a priority', format('SELECT qms.join_queue(queue_id => %s, priority => 1)', :qa), 'errors_customer');
-- closed, paused, full
SELECT count(qms.close_queue(:qb));
SELECT test.fails('closed', format('SELECT qms.join_queue(queue_id => %s)', :qb));
SELECT test.fails('closed, transfer', format('SELECT qms.transfer_ticket(%s, %s)', :ticket, :qb));
SELECT count(qms.pause_queue(:qb));
SELECT test.fails('paused', format('SELECT qms.join_queue(queue_id => %s)', :qb));
SELECT count(qms.open_queue(:qb)), count(qms.update_queue(:qb, settings => '{"max_waiting": 1, "overflow_hint": "Come tomorrow."}'));
SELECT test.join(:qb) IS NOT NULL;
SELECT test.fails('full', format('SELECT qms.join_queue(queue_id => %s)', :qb));
SELECT count(qms.update_queue(:qb, settings => '{"max_waiting": null, "overflow_hint": null, "max_number": 1}'));
SELECT test.fails('number space exhausted', format('SELECT qms.join_queue(queue_id => %s)', :qb));
SELECT count(qms.update_queue(:qb, settings => '{"max_number": null, "subject_required": true}'));
SELECT test.fails('no subject', format('SELECT qms.join_queue(queue_id => %s)', :qb));
SELECT count(*) FROM qms.update_queue(:qb, settings => '{"subject_required": null}') u, qms.set_opening_hours('{"tue": [["08:00", "12:00"]]}', queue_id => :qb) h;
SELECT test.fails('outside opening hours', format('SELECT qms.join_queue(queue_id => %s)', :qb), 'errors_customer');
SELECT count(*) FROM qms.set_opening_hours('{}', queue_id => :qb);
SELECT queue_id AS room FROM qms.create_queue('Room', branch_id => :hall, kind => 'release') \gset
SELECT test.fails('a waiting room', format('SELECT qms.transfer_ticket(%s, %s)', :ticket, :room));
SELECT test.fails('a service that is not offered', format('SELECT qms.join_queue(branch_id => %s, service_id => %s)', :library, :cars));
SELECT test.fails('neither queue nor service', 'SELECT qms.join_queue()');
SELECT test.fails('a branch alone', format('SELECT qms.join_queue(branch_id => %s)', :hall));
-- counters
SELECT test.fails('not open', format('SELECT qms.call_next(%s)', :c1));
SELECT count(qms.open_counter(:c1, :ada));
SELECT test.fails('open already', format('SELECT qms.open_counter(%s)', :c1));
SELECT test.fails('the clerk works elsewhere', format('SELECT qms.open_counter(%s, %s)', :c2, :ada));
SELECT test.fails('no current ticket: ' || f, format('SELECT qms.' || f, :c1)) FROM unnest('{start_service(%s),complete_service(%s),mark_no_show(%s),recall_ticket(%s)}'::text[]) f;
SELECT test.fails('nothing to undo', format('SELECT qms.undo(%s)', :c1));
SELECT number FROM qms.call_next(:c1);
SELECT test.fails('an open call: ' || f, format('SELECT qms.' || f, :c1, :ticket)) FROM unnest('{call_next(%s),close_counter(%s),"call_ticket(%s, %s)"}'::text[]) f;
SELECT test.fails('an open call: walk-up', format('SELECT qms.serve_walk_up(%s, %s)', :c1, :passports));
SELECT test.fails('finish_current', format('SELECT qms.call_next(%s, ''maybe'')', :c1));
SELECT count(qms.pause_counter(:c1, 'coffee'));
SELECT test.fails('paused', format('SELECT qms.call_next(%s, ''completed'')', :c1));
SELECT count(qms.resume_counter(:c1));
SELECT test.fails('not paused', format('SELECT qms.resume_counter(%s)', :c1));
-- illegal transitions
SELECT current_ticket_id AS now FROM qms.counter_status(:c1) \gset
SELECT test.fails('called: ' || f, format('SELECT qms.' || f, :now)) FROM unnest('{resume_ticket(%s),reinstate_ticket(%s)}'::text[]) f;
SELECT count(qms.open_counter(:c2));
SELECT test.fails('called: call it', format('SELECT qms.call_ticket(%s, %s)', :c2, :now));
SELECT count(qms.hold_ticket(:now));
SELECT test.fails('on hold: hold', format('SELECT qms.hold_ticket(%s)', :now));
SELECT count(qms.call_ticket(:c1, :now));
SELECT count(qms.start_service(:c1));
SELECT test.fails('serving: ' || f, format('SELECT qms.' || f, :c1)) FROM unnest('{start_service(%s),mark_no_show(%s),recall_ticket(%s)}'::text[]) f;
SELECT test.fails('serving: requeue', format('SELECT qms.requeue_ticket(%s)', :now));
SELECT test.fails('serving: leave', format('SELECT qms.leave_queue(%L)', :'token'));
SELECT test.fails('serving: defer', format('SELECT qms.defer_ticket(%L, 1)', :'token'));
SELECT test.fails('serving: no_show', format('SELECT qms.call_next(%s, ''no_show'')', :c1));
SELECT count(qms.complete_service(:c1));
SELECT test.fails('ended: ' || f, format('SELECT qms.' || f, :now, :qa)) FROM unnest('{hold_ticket(%s),resume_ticket(%s),requeue_ticket(%s),cancel_ticket(%s),"transfer_ticket(%s, %s)",update_ticket(%s)}'::text[]) f;
SELECT test.fails('ended: leave', format('SELECT qms.leave_queue(%L)', :'token'));
SELECT test.fails('ended: defer', format('SELECT qms.defer_ticket(%L, 1)', :'token'));
SELECT test.fails('a direct UPDATE', format('UPDATE qms.ticket SET state = ''admitted'' WHERE organization_id = %s', :org));
SELECT test.fails('a direct DELETE', format('DELETE FROM qms.ticket WHERE organization_id = %s', :org));
SELECT test.fails('a direct TRUNCATE', 'TRUNCATE qms.ticket');
-- tokens
SELECT test.fails('token: ' || t, format('SELECT qms.ticket_status(%L)', t)) FROM unnest(ARRAY['', 'x', repeat('A', 43), repeat('A', 44), repeat('!', 43)]) t;
SELECT test.fails('token: not ours', format('SELECT qms.ticket_status(%L)', overlay(:'token' PLACING 'AAAA' FROM 1)));
SELECT test.fails('token: null', 'SELECT qms.ticket_status(NULL)');
SELECT test.fails('token: visit_token', format('SELECT qms.join_queue(queue_id => %s, visit_token => ''x'')', :qa));
-- rates
SELECT test.fails('rate ' || r, format('SELECT qms.create_queue(''r'', branch_id => %s, kind => ''release'', settings => jsonb_build_object(''rate'', %L))', :hall, r)) FROM unnest('{0/min,-1/min,1000001/s,99999999999999/d,1/week,fast}'::text[]) r;
SELECT test.fails('rate ' || r, format('SELECT %L::qms.release_rate', r)) FROM unnest('{0/min,-1/min,1000001/s,99999999999999/d,1/week,fast}'::text[]) r;
SELECT test.fails('rate as a number', format('SELECT qms.create_queue(''r'', branch_id => %s, kind => ''release'', settings => ''{"rate": 5}'')', :hall));
-- durations
SELECT test.fails('setting ' || s, format('SELECT qms.update_queue(%s, settings => %L)', :qb, s)) FROM unnest(ARRAY['{"no_show_after": "-1 s"}', '{"recall_gap": -5}', '{"undo_window": "1 month"}', '{"undo_window": "1000 years"}', '{"recall_limit": -1}', '{"recall_limit": 1.5}', '{"wrap": "yes"}', '{"reset_time": "25:00"}', '{"max_number": 0}', '{"max_number": 1000000}']) s;
SELECT test.fails('negative expected_duration', format('SELECT qms.create_service(%s, ''s'', expected_duration => ''-1 min'')', :org));
SELECT test.fails('credit of a month', format('SELECT qms.create_customer_class(%s, ''c'', credit => ''1 month'')', :org));
SELECT test.fails('unknown setting', format('SELECT qms.update_queue(%s, settings => ''{"max_wating": 5}'')', :qb));
SELECT test.fails('unknown setting', format('SELECT qms.create_queue(''q'', branch_id => %s, settings => ''{"colour": "red"}'')', :hall));
SELECT test.fails('a setting of waiting rooms', format('SELECT qms.update_queue(%s, settings => ''{"lottery": true}'')', :qb));
SELECT test.fails('time zone', 'SELECT qms.create_organization(''o'', time_zone => ''Europe/Atlantis'')');
SELECT test.fails('time zone', format('SELECT qms.create_branch(%s, ''b'', time_zone => ''Mars'')', :org));
SELECT test.fails('opening hours', format('SELECT qms.set_opening_hours(''{"mon": [["12:00", "08:00"]]}'', branch_id => %s)', :hall));
-- sizes and shapes
SELECT test.fails('1 MB of metadata', format('SELECT qms.join_queue(queue_id => %s, metadata => jsonb_build_object(''a'', repeat(''x'', 1048576)))', :qa));
SELECT test.fails('1 MB of metadata in an update', format('SELECT qms.update_ticket(%s, metadata => jsonb_build_object(''a'', repeat(''x'', 1048576)))', (SELECT min(ticket_id) FROM qms.ticket WHERE organization_id = :org)));
SELECT test.fails('1 MB of contact', format('SELECT qms.join_queue(queue_id => %s, contact => jsonb_build_object(''a'', repeat(''x'', 1048576)))', :qa));
SELECT test.fails('1 MB of subject', format('SELECT qms.join_queue(queue_id => %s, subject => repeat(''x'', 1048576))', :qa));
SELECT test.fails('1 MB of notes', format('SELECT qms.update_ticket(%s, notes => repeat(''x'', 1048576))', (SELECT min(ticket_id) FROM qms.ticket WHERE organization_id = :org)));
SELECT test.fails('metadata ' || m, format('SELECT qms.join_queue(queue_id => %s, metadata => %L)', :qa, m)) FROM unnest(ARRAY['[]', '1', 'null', '{']) m;
SELECT test.fails('priority ' || p, format('SELECT qms.join_queue(queue_id => %s, priority => %s)', :qa, p)) FROM unnest('{-1,11,2147483647}'::int[]) p;
SELECT test.fails('id ' || i, format('SELECT qms.join_queue(queue_id => %s)', i)) FROM unnest('{0,-1,-9223372036854775808}'::bigint[]) i;
SELECT test.fails('null: ' || f, 'SELECT qms.' || f) FROM unnest('{call_next(NULL),hold_ticket(NULL),open_queue(NULL),get_ticket(NULL)}'::text[]) f;
SELECT test.fails('null queue of a transfer', format('SELECT qms.transfer_ticket(%s, NULL)', :ticket));
SELECT test.fails('empty class', format('SELECT qms.join_queue(queue_id => %s, customer_class => '''')', :qa));
SELECT test.fails('place', format('SELECT qms.transfer_ticket(%s, %s, place => ''middle'')', :ticket, :qa));
SELECT test.fails('hold_kind', format('SELECT qms.hold_ticket(%s, hold_kind => ''lost'')', :ticket));
SELECT test.fails('resume_at in the past', format('SELECT qms.hold_ticket(%s, resume_at => ''2026-03-02 08:00+01'')', :ticket));
SELECT test.fails('resume_at never', format('SELECT qms.hold_ticket(%s, resume_at => ''infinity'')', :ticket));
SELECT test.fails('defer', format('SELECT qms.defer_ticket(%L)', :'token'));
SELECT test.fails('close_queue', format('SELECT qms.close_queue(%s, ''burn'')', :qa));
SELECT test.fails('ticket_number ' || n, format('SELECT %L::qms.ticket_number', n)) FROM unnest('{A0,A1000000,ABCDEF1,1A}'::text[]) n;
-- request_id
SELECT test.fails('request_id with other arguments', format('SELECT qms.join_queue(queue_id => %s, request_id => ''00000000-0000-4000-8000-00000000e001'')', :qb));
SELECT test.fails('request_id that is none', format('SELECT qms.join_queue(queue_id => %s, request_id => ''first'')', :qb));
\set ECHO none
DROP OWNED BY errors_admin, errors_customer, errors_clerk, errors_nobody;
DROP ROLE errors_admin, errors_customer, errors_clerk, errors_nobody;
\pset format aligned
\pset tuples_only off
\set ECHO all

SELECT * FROM test.broken();
