-- The history as lines: CSV and JSON, hostile words, order, who may, and cursors that stay open for nobody.
\set base 520000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

-- words that spreadsheets, CSV and JSON could trip over
SELECT name FROM qms.update_queue(:qa, name => '=1+1 "Passports", and <more>');
SELECT name FROM qms.update_counter(:c1, name => '+49 30 \ 1');
SELECT username FROM qms.update_staff(:ada, username => '@ada');
SELECT status FROM qms.open_counter(:c1, staff_id => :ada);
SELECT test.join(:qa), test.join(:qa, 'regular', :passports), test.join(:qb), test.join(:qa);
SELECT number FROM qms.update_ticket(test.id('A001'), notes => 'secret notes', metadata => '{"secret": "metadata"}');
SET qms.mock_now = '2026-03-02 09:05+01';
SELECT number FROM qms.call_next(:c1);
SET qms.mock_now = '2026-03-02 09:06+01';
SELECT state FROM qms.start_service(:c1);
SET qms.mock_now = '2026-03-02 09:16:30.5+01';
SELECT state FROM qms.complete_service(:c1, outcome => E'-done,\n"well"');
SELECT state FROM qms.cancel_ticket(test.id('A003'), 'secret reason');
SELECT queue_id = :qb AS there FROM qms.transfer_ticket(test.id('A002'), :qb, note => 'secret note');
SET qms.mock_now = '2026-03-02 09:20+01';
SELECT state FROM qms.cancel_ticket(test.id('A002'));
SELECT number FROM qms.call_next(:c1);
SELECT state FROM qms.mark_no_show(:c1);
SET qms.mock_now = '2026-03-02 10:00+01';
-- what was quoted is a matter of other tests
UPDATE qms.ticket_history SET quoted_p10 = NULL, quoted_p50 = '90 s', quoted_p90 = NULL WHERE organization_id = :org;
UPDATE qms.ticket_leg SET quoted_p10 = NULL, quoted_p50 = '90 s', quoted_p90 = NULL WHERE organization_id = :org;

-- a line each, in the order of the ends; ids are above base
CREATE FUNCTION test.lines(format text, what text, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT regexp_replace(l, '52\d\d\d\d', '520000', 'g') FROM qms.export_history($1, since, before, scope => 'organization:' || current_setting('test.org'), what => $2) l $$;
SELECT test.lines('csv', 'tickets') AS line;
SELECT test.lines('csv', 'legs') AS line;
SELECT jsonb_pretty(test.lines('json', 'tickets')::jsonb) AS object LIMIT 1;
SELECT l::json ->> 'number' AS number, l::json ->> 'queue' AS queue, l::json ->> 'counter' AS counter, l::json ->> 'state' AS state, l::json ->> 'waited_seconds' AS waited,
	l::json ->> 'served_seconds' AS served, l::json ->> 'outcome' AS outcome, l::json ->> 'end_reason' AS end_reason FROM test.lines('json', 'tickets') l;
SELECT l::json ->> 'number' AS number, l::json ->> 'leg' AS leg, l::json ->> 'queue' AS queue, l::json ->> 'left_at' AS left_at FROM test.lines('json', 'legs') l;
-- nothing that is personal, or was written by people in words
SELECT count(*) FROM (SELECT test.lines(f, w) AS l FROM unnest('{csv,json}'::text[]) f, unnest('{tickets,legs}'::text[]) w) x WHERE l ~ 'secret|token';
-- as it is streamed: bytes that COPY leaves as they are
COPY (SELECT test.lines('json', 'tickets', before => '2026-03-02 09:17+01')) TO STDOUT WITH (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01');
-- in between
SELECT count(*) FROM test.lines('json', 'tickets', since => '2026-03-02 09:16:30.5+01', before => '2026-03-02 09:20+01');
SELECT count(*) FROM test.lines('csv', 'tickets', since => '2026-03-03');
SELECT count(*) AS of_queue FROM qms.export_history('json', scope => 'queue:' || :qb);
SELECT count(*) AS of_branch FROM qms.export_history('json', scope => 'branch:' || :library);

-- a reader who stops leaves no cursor; several at a time do not disturb one another
SELECT set_config('test.hall', :'hall', false) \g /dev/null
BEGIN;
SELECT count(*) AS read FROM (SELECT qms.export_history('json', scope => 'branch:' || :hall) LIMIT 1) x;
SELECT count(*) AS cursors FROM pg_cursors;
SELECT count(*) AS pairs FROM (SELECT qms.export_history('json', scope => 'queue:' || :qa) AS a, qms.export_history('json', scope => 'queue:' || :qb) AS b) x WHERE a IS NOT NULL AND b IS NOT NULL;
SELECT count(*) AS joined FROM qms.export_history('json', scope => 'queue:' || :qa) a, qms.export_history('json', scope => 'queue:' || :qa) b;
SELECT count(*) AS cursors FROM pg_cursors;
COMMIT;

-- a cursor of the caller's: closed, left open at the end, rolled back to before it, held
CREATE FUNCTION test.first(line text) RETURNS text LANGUAGE sql AS $$ SELECT $1::json ->> 'number' $$;
BEGIN;
DECLARE mine CURSOR FOR SELECT test.first(qms.export_history('json', scope => 'branch:' || current_setting('test.hall')));
FETCH 2 FROM mine;
SELECT count(*) AS cursors FROM pg_cursors;
CLOSE mine;
SELECT count(*) AS cursors FROM pg_cursors;
DECLARE mine CURSOR FOR SELECT test.first(qms.export_history('json', scope => 'branch:' || current_setting('test.hall')));
FETCH 1 FROM mine;
COMMIT;
BEGIN;
SAVEPOINT before;
DECLARE mine CURSOR FOR SELECT test.first(qms.export_history('json', scope => 'branch:' || current_setting('test.hall')));
FETCH 1 FROM mine;
ROLLBACK TO before;
SELECT count(*) AS cursors FROM pg_cursors;
DECLARE mine CURSOR WITH HOLD FOR SELECT test.first(qms.export_history('json', scope => 'branch:' || current_setting('test.hall')));
COMMIT;
FETCH 2 FROM mine;
CLOSE mine;
SELECT count(*) AS cursors FROM pg_cursors;
-- an error in the middle, caught
DO $$ BEGIN PERFORM 1 / (length(qms.export_history('csv', scope => 'branch:' || current_setting('test.hall'))) - length(qms.export_history('csv', scope => 'branch:' || current_setting('test.hall')))); EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SELECT count(*) AS cursors FROM pg_cursors;

-- who took what is in the log, also where nothing was read
SELECT count(*) AS events FROM qms.event WHERE organization_id = :org AND kind = 'history.exported' \gset before_
SELECT qms.export_history('csv', '2026-03-01', '2026-03-02', scope => 'queue:' || :qa, what => 'legs') \g /dev/null
SELECT data - 'scope' AS data, queue_id = :qa AS of_queue FROM qms.event WHERE organization_id = :org AND kind = 'history.exported' ORDER BY event_id DESC LIMIT 1;
SELECT count(*) - :before_events AS one FROM qms.event WHERE organization_id = :org AND kind = 'history.exported';

-- what cannot be
SELECT qms.export_history('xml', scope => 'queue:' || :qa);
SELECT qms.export_history('csv', scope => 'queue:' || :qa, what => 'people');
SELECT qms.export_history('csv', scope => 'queue');
SELECT qms.export_history('csv', scope => 'queue:');
SELECT qms.export_history('csv', scope => 'queue:0');
SELECT qms.export_history('csv', scope => 'queue:-1');
SELECT qms.export_history('csv', scope => 'queue:99999999999999999999');
SELECT qms.export_history('csv', scope => 'zone:1');
SELECT qms.export_history('csv', scope => 'queue:999999999');
SELECT qms.export_history('csv');
SELECT qms.export_history(NULL, scope => 'queue:' || :qa);
SELECT qms.export_history('csv', since => 'infinity', scope => 'queue:' || :qa);

-- who may: an administrator, of a branch for it; nobody else, and nobody from elsewhere
SELECT organization_id AS other FROM qms.create_organization('Elsewhere 520') \gset
CREATE ROLE report_admin LOGIN IN ROLE qms_admin;
CREATE ROLE report_half LOGIN IN ROLE qms_admin;
CREATE ROLE report_desk LOGIN IN ROLE qms_reception;
SELECT kind FROM qms.bind_role('report_admin', :org, kind => 'admin');
SELECT kind FROM qms.bind_role('report_half', :org, kind => 'admin', branch_ids => ARRAY[:library]);
SELECT staff_id AS eve FROM qms.create_staff(:org, 'eve', role => 'reception') \gset
SELECT kind FROM qms.bind_role('report_desk', :org, staff_id => :eve);
SET SESSION AUTHORIZATION report_admin;
SELECT count(*) AS own_organization FROM qms.export_history('json');
SELECT qms.export_history('json', scope => 'organization:' || :other);
SET SESSION AUTHORIZATION report_half;
SELECT count(*) AS own_branch FROM qms.export_history('json', scope => 'branch:' || :library);
SELECT qms.export_history('json', scope => 'branch:' || :hall);
SELECT qms.export_history('json', scope => 'queue:' || :qa);
SELECT qms.export_history('json');
SET SESSION AUTHORIZATION report_desk;
SELECT qms.export_history('json', scope => 'branch:' || :hall);
RESET SESSION AUTHORIZATION;
DROP ROLE report_admin, report_half, report_desk;
