/*
 * What the isolation specs share.  A spec's setup loads it once and calls
 * iso.world(), which makes a new organization, so that nothing of the spec or
 * permutation before is in the way.
 *
 *	  branch with queues q (numbers A...) and r (B...)
 *	  counters one and two call from q, three from q and r, four from r; open
 *	  customer class vip: one hour ahead of the others
 *	  tickets A001, A002, ... wait in q; iso.token('A001') is the token
 */
-- Another spec may have dropped the extension, and half of this with it.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS iso CASCADE;
RESET client_min_messages;
CREATE SCHEMA iso;

CREATE TABLE iso.things (name text PRIMARY KEY, id bigint, token qms.ticket_token);

CREATE TABLE iso.answer (who text, number text, token text);

CREATE FUNCTION iso.id(thing text) RETURNS bigint STABLE LANGUAGE sql
AS 'SELECT id FROM iso.things WHERE name = thing';

CREATE FUNCTION iso.token(thing text) RETURNS qms.ticket_token STABLE LANGUAGE sql
AS 'SELECT token FROM iso.things WHERE name = thing';

CREATE FUNCTION iso.remember(thing text, thing_id bigint) RETURNS void LANGUAGE sql
AS 'INSERT INTO iso.things (name, id) VALUES (thing, thing_id)';

CREATE FUNCTION iso.world(tickets int DEFAULT 0, settings jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	org bigint;
	branch bigint;
	q bigint;
	r bigint;
	joined record;
BEGIN
	DELETE FROM iso.things;
	DELETE FROM iso.answer;
	org := organization_id FROM qms.create_organization('iso', 'iso-' || gen_random_uuid());
	branch := branch_id FROM qms.create_branch(org, 'branch');
	settings := '{"undo_window": "1 h"}' || settings;
	q := queue_id FROM qms.create_queue('q', branch, prefix => 'A', settings => settings);
	r := queue_id FROM qms.create_queue('r', branch, prefix => 'B', settings => settings);
	PERFORM qms.create_customer_class(org, 'vip', '1 h');
	PERFORM iso.remember('organization', org), iso.remember('branch', branch), iso.remember('q', q), iso.remember('r', r);
	PERFORM iso.remember('one', (SELECT counter_id FROM qms.create_counter(branch, 'one', ARRAY[q])));
	PERFORM iso.remember('two', (SELECT counter_id FROM qms.create_counter(branch, 'two', ARRAY[q])));
	PERFORM iso.remember('three', (SELECT counter_id FROM qms.create_counter(branch, 'three', ARRAY[q, r])));
	PERFORM iso.remember('four', (SELECT counter_id FROM qms.create_counter(branch, 'four', ARRAY[r])));
	PERFORM qms.open_counter(id) FROM iso.things WHERE name IN ('one', 'two', 'three', 'four');
	PERFORM iso.join() FROM generate_series(1, tickets);
END $$;

/* Join and remember the ticket by its number. */
CREATE FUNCTION iso.join(queue text DEFAULT 'q', class text DEFAULT 'regular', visit text DEFAULT NULL, subject text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	joined qms.joined_ticket;
BEGIN
	SELECT * INTO joined FROM qms.join_queue(queue_id => iso.id(queue), customer_class => class,
		visit_token => iso.token(visit)::text, subject => subject);
	INSERT INTO iso.things VALUES (joined.number::text, joined.ticket_id, joined.token)
		ON CONFLICT (name) DO UPDATE SET id = excluded.id, token = excluded.token;
	RETURN joined.number;
END $$;

/* The single value that a statement answers, or its SQLSTATE: messages hold ids, which vary. */
CREATE FUNCTION iso.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE statement INTO answer;
	RETURN coalesce(answer, 'nobody');
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;

/* call_next at a counter: the number, nobody, or SQLSTATE */
CREATE FUNCTION iso.call(counter text, finish text DEFAULT NULL) RETURNS text LANGUAGE sql
AS $$ SELECT iso.try(format('SELECT number FROM qms.call_next(iso.id(%L), %L)', counter, finish)) $$;

/* Another function of a counter or a ticket: the state it answers, or SQLSTATE */
CREATE FUNCTION iso.act(function text, thing text) RETURNS text LANGUAGE sql
AS $$ SELECT iso.try(format('SELECT t.state FROM qms.%I(iso.id(%L)) t', function, thing)) $$;

CREATE VIEW iso.tickets AS
	SELECT t.number::text AS number, q.name AS queue, t.state, t.hold_kind, c.name AS counter, t.outcome
	FROM (
		SELECT organization_id, number, queue_id, state, hold_kind, counter_id, NULL AS outcome FROM qms.ticket
		UNION ALL
		SELECT organization_id, number, queue_id, state, hold_kind, counter_id, outcome FROM qms.ticket_history
	) t JOIN qms.queue q USING (queue_id) LEFT JOIN qms.counter c USING (counter_id)
	WHERE t.organization_id = iso.id('organization');

CREATE VIEW iso.counters AS
	SELECT c.name AS counter, CASE WHEN s.closed_at IS NOT NULL THEN 'closed' WHEN s.paused_at IS NOT NULL THEN 'paused' ELSE 'open' END AS status,
		t.number::text AS current, s.tickets_called AS called, s.tickets_served AS served
	FROM qms.staff_session s JOIN qms.counter c USING (counter_id) LEFT JOIN qms.ticket t ON t.ticket_id = s.current_ticket_id
	WHERE s.organization_id = iso.id('organization') AND (s.closed_at IS NULL OR s.tickets_called > 0 OR c.name IN ('one', 'two'));

/* Calls that went past somebody who was busy. */
CREATE VIEW iso.passes AS
	SELECT e.number::text AS called, n.name AS passed
	FROM qms.event e JOIN iso.things n ON n.id = (e.data->>'passed_ticket_id')::bigint AND n.token IS NOT NULL
	WHERE e.organization_id = iso.id('organization') AND e.kind = 'ticket.called';
