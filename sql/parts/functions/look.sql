/* Looking: what staff and the public read.  Nothing here changes anything. */

CREATE TYPE qms.waiting_ticket AS (
	place int,
	ticket_id bigint,
	visit_id bigint,
	number qms.ticket_number,
	queue_id bigint,
	queue_name text,
	service_id bigint,
	customer_class text,
	state text,
	hold_kind text,
	hold_reason text,
	resume_at timestamptz,
	priority int,
	language text,
	joined_at timestamptz,
	effective_arrival timestamptz,
	waited interval,
	may_call boolean,
	wanted_counter_id bigint,
	wanted_staff_id bigint,
	customer_id bigint,
	subject text,
	contact jsonb,
	metadata jsonb,
	notes text
);
COMMENT ON TYPE qms.waiting_ticket IS 'Somebody who waits or is on hold, as staff see it. Under a blind profile only place, number, queue_id, queue_name, state and waited are given.';
COMMENT ON COLUMN qms.waiting_ticket.place IS 'Place in this list, from 1; null: on hold.';
COMMENT ON COLUMN qms.waiting_ticket.ticket_id IS 'Ticket; null under a blind profile.';
COMMENT ON COLUMN qms.waiting_ticket.visit_id IS 'Visit that it belongs to.';
COMMENT ON COLUMN qms.waiting_ticket.number IS 'Number shown to people; null in release queues.';
COMMENT ON COLUMN qms.waiting_ticket.queue_id IS 'Queue.';
COMMENT ON COLUMN qms.waiting_ticket.queue_name IS 'Name of the queue.';
COMMENT ON COLUMN qms.waiting_ticket.service_id IS 'Service; null: not said.';
COMMENT ON COLUMN qms.waiting_ticket.customer_class IS 'Name of the customer class.';
COMMENT ON COLUMN qms.waiting_ticket.state IS 'waiting or on_hold.';
COMMENT ON COLUMN qms.waiting_ticket.hold_kind IS 'staff, parked, deferred, away, not_arrived, other_ticket or offline; null: it waits.';
COMMENT ON COLUMN qms.waiting_ticket.hold_reason IS 'Why it is on hold, in words; null: it waits, or not said.';
COMMENT ON COLUMN qms.waiting_ticket.resume_at IS 'When it comes back by itself; null: it waits, or when somebody says so.';
COMMENT ON COLUMN qms.waiting_ticket.priority IS '0 to 10.';
COMMENT ON COLUMN qms.waiting_ticket.language IS 'Language to call and answer in; null: not said.';
COMMENT ON COLUMN qms.waiting_ticket.joined_at IS 'When the person joined the first queue.';
COMMENT ON COLUMN qms.waiting_ticket.effective_arrival IS 'Moment of arrival that the order counts from.';
COMMENT ON COLUMN qms.waiting_ticket.waited IS 'Time since it entered this queue.';
COMMENT ON COLUMN qms.waiting_ticket.may_call IS 'Whether this counter may call it now: false when a skill is missing, or another counter or clerk is wanted; null: the list is of a queue, or the counter is closed.';
COMMENT ON COLUMN qms.waiting_ticket.wanted_counter_id IS 'Counter that is to call it; null: any.';
COMMENT ON COLUMN qms.waiting_ticket.wanted_staff_id IS 'Staff member who is to call it; null: anybody.';
COMMENT ON COLUMN qms.waiting_ticket.customer_id IS 'Known customer; null: nobody known.';
COMMENT ON COLUMN qms.waiting_ticket.subject IS 'What holds at most one live place per queue, such as a customer number; null: nothing.';
COMMENT ON COLUMN qms.waiting_ticket.contact IS 'Ways to reach the person: {kind: address}; null: none, or not for the caller.';
COMMENT ON COLUMN qms.waiting_ticket.metadata IS 'Whatever the caller keeps with the ticket.';
COMMENT ON COLUMN qms.waiting_ticket.notes IS 'Notes of staff; null: none.';

CREATE FUNCTION qms.waiting_list(counter_id bigint DEFAULT NULL, queue_id bigint DEFAULT NULL, max_rows int DEFAULT 100)
RETURNS SETOF qms.waiting_ticket LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_waiting_list';
COMMENT ON FUNCTION qms.waiting_list IS 'Who waits for a counter (all sources of the profile it works by, or its queues), or in a queue; exactly one of counter_id and queue_id. First those who wait, in the order in which they came into line (sort_key; what a fifo policy calls by), then those on hold; of each kind at most max_rows (1 to 10,000).
Where the counter works by a blind profile, or the caller does, only place, number, queue, state and waited are given.
Callers: staff and applications, in their branches. Errors: QM101, 42501 for another branch, 22023.';

/* For the statement of find_tickets: contacts are sealed. */
CREATE FUNCTION qms_internal.contact_matches(contact jsonb, organization_id bigint, ticket_id bigint, query text)
RETURNS boolean LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'qms_contact_matches';
COMMENT ON FUNCTION qms_internal.contact_matches IS 'Has the contact of a ticket, sealed or not, this piece of text in it? For the statements of find_tickets only.';

CREATE FUNCTION qms.find_tickets(branch_id bigint, query text DEFAULT NULL, number qms.ticket_number DEFAULT NULL, metadata jsonb DEFAULT NULL,
	since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL, max_rows int DEFAULT 100)
RETURNS SETOF qms.ticket_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_find_tickets';
COMMENT ON FUNCTION qms.find_tickets IS 'Tickets of a branch, the newest first, at most max_rows (1 to 10,000): open ones, and those that have ended since the beginning of today, local to the branch, or as far back as since says. since and before limit by joined_at.
query is a piece of text, in any case, of the number, the number before a transfer, the subject, a contact or the notes (a contact for those who see contacts; a phone number is found however it is written); number is a whole number (A1 finds A001); metadata is what the ticket''s metadata must contain. All that is given must hold. Tickets without a number (of release queues) are found only once they have ended.
Under a blind profile the query matches numbers only, and customer, subject, contact, metadata and notes are null.
Callers: staff and applications, in their branches. Errors: QM101, 42501 for another branch, QM309 too large, QM412 for metadata under a blind profile, 22023.';

CREATE TYPE qms.branch_information AS (
	organization_id bigint,
	organization_slug text,
	organization_name text,
	organization_names jsonb,
	branch_id bigint,
	slug text,
	name text,
	names jsonb,
	time_zone text,
	local_date date,
	is_open boolean,
	opening_hours jsonb,
	closures jsonb,
	zones jsonb,
	services jsonb,
	queues jsonb,
	counters jsonb,
	customer_classes jsonb
);
COMMENT ON TYPE qms.branch_information IS 'What a kiosk or display needs of a branch. Lists are JSON arrays of objects, [] when there is nothing.';
COMMENT ON COLUMN qms.branch_information.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.branch_information.organization_slug IS 'Its slug.';
COMMENT ON COLUMN qms.branch_information.organization_name IS 'Its name.';
COMMENT ON COLUMN qms.branch_information.organization_names IS 'Its name in other languages: {language tag: text}.';
COMMENT ON COLUMN qms.branch_information.branch_id IS 'Branch.';
COMMENT ON COLUMN qms.branch_information.slug IS 'Its slug.';
COMMENT ON COLUMN qms.branch_information.name IS 'Its name.';
COMMENT ON COLUMN qms.branch_information.names IS 'Its name in other languages: {language tag: text}.';
COMMENT ON COLUMN qms.branch_information.time_zone IS 'Its time zone: of the branch, else of the organization.';
COMMENT ON COLUMN qms.branch_information.local_date IS 'Date there now.';
COMMENT ON COLUMN qms.branch_information.is_open IS 'True within opening hours and outside of closures.';
COMMENT ON COLUMN qms.branch_information.opening_hours IS 'Opening hours of today in local time, [{opens, closes}], [] when closed all day; null: always open.';
COMMENT ON COLUMN qms.branch_information.closures IS 'Closures that touch today: [{from, until, reason}], moments in UTC.';
COMMENT ON COLUMN qms.branch_information.zones IS '[{zone_id, name, names}].';
COMMENT ON COLUMN qms.branch_information.services IS 'What is offered, one object per service and queue: [{service_id, slug, name, names, code, expected_seconds, queue_id, is_default}].';
COMMENT ON COLUMN qms.branch_information.queues IS '[{queue_id, slug, name, names, kind, prefix, status, opening_hours}]; opening_hours is null where those of the branch hold.';
COMMENT ON COLUMN qms.branch_information.counters IS '[{counter_id, slug, name, names, zone_id, status}]; status is open, paused or closed.';
COMMENT ON COLUMN qms.branch_information.customer_classes IS 'Classes that people may take by themselves: [{name, names}].';

CREATE FUNCTION qms.branch_info(organization_slug text, branch_slug text)
RETURNS qms.branch_information LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_branch_info';
COMMENT ON FUNCTION qms.branch_info IS 'What a kiosk or display needs of a branch, in one row: names, zones, services, queues, counters, today''s opening hours. Queues with the setting public = false, and services offered through them, are shown to staff and applications only.
Callers: everybody in the organization. Errors: QM101.';

CREATE TYPE qms.queue_state AS (
	queue_id bigint,
	organization_id bigint,
	branch_id bigint,
	application_id bigint,
	name text,
	names jsonb,
	kind text,
	prefix text,
	status text,
	serving jsonb,
	waiting bigint,
	waiting_exact boolean,
	wait_p10 interval,
	wait_p50 interval,
	wait_p90 interval,
	open_counters int,
	is_open boolean,
	opening_hours jsonb,
	released bigint,
	abandoned bigint,
	rate float8,
	counted_at timestamptz
);
COMMENT ON TYPE qms.queue_state IS 'A queue as everybody may see it.';
COMMENT ON COLUMN qms.queue_state.queue_id IS 'Queue.';
COMMENT ON COLUMN qms.queue_state.organization_id IS 'Organization.';
COMMENT ON COLUMN qms.queue_state.branch_id IS 'Branch; null: of an application.';
COMMENT ON COLUMN qms.queue_state.application_id IS 'Application; null: of a branch.';
COMMENT ON COLUMN qms.queue_state.name IS 'Name.';
COMMENT ON COLUMN qms.queue_state.names IS 'Name in other languages: {language tag: text}.';
COMMENT ON COLUMN qms.queue_state.kind IS 'counter or release.';
COMMENT ON COLUMN qms.queue_state.prefix IS 'Letters in front of the numbers; empty: none; null for release queues.';
COMMENT ON COLUMN qms.queue_state.status IS 'open, paused or closed.';
COMMENT ON COLUMN qms.queue_state.serving IS 'Numbers called to counters or served there now, the last called first, at most 20: [{number, state, counter_id, counter_name, zone_id, called_at}].';
COMMENT ON COLUMN qms.queue_state.waiting IS 'How many wait.';
COMMENT ON COLUMN qms.queue_state.waiting_exact IS 'False when more than 1,000 wait: waiting is then at most one second old.';
COMMENT ON COLUMN qms.queue_state.wait_p10 IS 'Expected wait of somebody who joins now: one in ten waits less; null: cannot be told, as in a waiting room that lets nobody in.';
COMMENT ON COLUMN qms.queue_state.wait_p50 IS 'Expected wait of somebody who joins now: half wait less; null: cannot be told.';
COMMENT ON COLUMN qms.queue_state.wait_p90 IS 'Expected wait of somebody who joins now: nine in ten wait less; null: cannot be told.';
COMMENT ON COLUMN qms.queue_state.open_counters IS 'Counters that are open, not paused, and take from this queue; null for release queues.';
COMMENT ON COLUMN qms.queue_state.is_open IS 'True within opening hours (of the queue, else of the branch) and outside of closures.';
COMMENT ON COLUMN qms.queue_state.opening_hours IS 'Opening hours of today in local time, [{opens, closes}], [] when closed all day; null: always open.';
COMMENT ON COLUMN qms.queue_state.released IS 'How many have been let in, ever; only grows; null: a counter queue.';
COMMENT ON COLUMN qms.queue_state.abandoned IS 'How many have left the line without having been let in, ever; only grows; null: a counter queue.';
COMMENT ON COLUMN qms.queue_state.rate IS 'People let in a second, as things are: load, no-shows, its share of a pool and a full room counted in; 0: nobody is let in; null: a counter queue.';
COMMENT ON COLUMN qms.queue_state.counted_at IS 'The moment that these counters are of; with an earlier reading of them one can tell his own place (contrib-docs/waiting-rooms.md); null: a counter queue.';

CREATE FUNCTION qms.queue_status(queue_id bigint)
RETURNS qms.queue_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_queue_status';
COMMENT ON FUNCTION qms.queue_status IS 'A queue as everybody may see it: names, status, what is served, how many wait and how long. A queue with the setting public = false is there for staff and applications only.
Callers: everybody in the organization. Errors: QM101.';

CREATE TYPE qms.branch_queue AS (
	queue_id bigint,
	name text,
	names jsonb,
	kind text,
	status text,
	waiting bigint,
	waiting_exact boolean,
	on_hold bigint,
	called bigint,
	serving bigint,
	longest_wait interval,
	open_counters int,
	paused_counters int,
	served_today bigint
);
COMMENT ON TYPE qms.branch_queue IS 'A queue of a branch as its staff watch it.';
COMMENT ON COLUMN qms.branch_queue.queue_id IS 'Queue.';
COMMENT ON COLUMN qms.branch_queue.name IS 'Name.';
COMMENT ON COLUMN qms.branch_queue.names IS 'Name in other languages: {language tag: text}.';
COMMENT ON COLUMN qms.branch_queue.kind IS 'counter or release.';
COMMENT ON COLUMN qms.branch_queue.status IS 'open, paused or closed.';
COMMENT ON COLUMN qms.branch_queue.waiting IS 'How many wait.';
COMMENT ON COLUMN qms.branch_queue.waiting_exact IS 'False when more than 1,000 wait: waiting is then at most one second old.';
COMMENT ON COLUMN qms.branch_queue.on_hold IS 'How many are on hold.';
COMMENT ON COLUMN qms.branch_queue.called IS 'How many are called and have not come yet.';
COMMENT ON COLUMN qms.branch_queue.serving IS 'How many are being served.';
COMMENT ON COLUMN qms.branch_queue.longest_wait IS 'Longest time that one of the first 1,001 in line has been in this queue; null: nobody waits.';
COMMENT ON COLUMN qms.branch_queue.open_counters IS 'Counters that are open, not paused, and take from this queue.';
COMMENT ON COLUMN qms.branch_queue.paused_counters IS 'Counters that are paused and take from this queue.';
COMMENT ON COLUMN qms.branch_queue.served_today IS 'Tickets completed in this queue since the beginning of the day, local to the branch.';

CREATE FUNCTION qms.branch_status(branch_id bigint)
RETURNS SETOF qms.branch_queue LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_branch_status';
COMMENT ON FUNCTION qms.branch_status IS 'The queues of a branch as its staff watch them, one row each, by name. Callers: staff and applications, in their branches. Errors: QM101, 42501 for another branch.';
