# What the gateway is given is what events_since gives, channel by channel and field by field; nothing
# of one organization is in what another one is sent, and nothing that is not public in what is public.
use strict;
use warnings;

use lib 'test/lib';
use Qms;
use Test::More;

my $node = Qms::node('gateway_events', 'qms.workers = on', q{qms.mock_now = '2030-05-06 12:00+02'});

sub ask { return $node->safe_psql('postgres', $_[0]) }

sub none
{
	my ($sql, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(ask($sql), '', $test);
}

# Every kind of event, then two cities with one of everything; ids of city two begin at 5000000000.
$node->safe_psql('postgres', "\\i test/fixtures/$_") foreach 'events.sql', 'two_cities.sql';
ask(<<'END');
INSERT INTO qms.event (organization_id, branch_id, at, kind, actor_kind, actor_role, data)
SELECT organization_id, branch_id, '2030-05-06 12:00+02', kind, 'system', 'test', '{"secret": 1}' FROM qms.branch, unnest('{notice.posted,alert.raised}'::text[]) kind;
-- calls in zones, and at a counter in none
DO $$
DECLARE
	b record;
	z bigint;
BEGIN
	FOR b IN SELECT * FROM qms.branch WHERE name IN ('own', 'other', 'foreign') ORDER BY name = 'foreign' LOOP
		IF b.name = 'foreign' THEN
			PERFORM setval('qms.ticket_ticket_id_seq', 5000001000), setval('qms.zone_zone_id_seq', 5000001000);
		END IF;
		z := zone_id FROM qms.create_zone(b.branch_id, 'second');
		PERFORM qms.update_counter(c.counter_id, zone_id => CASE WHEN c.name ~ 'idle' THEN z ELSE (SELECT min(zone_id) FROM qms.zone WHERE branch_id = b.branch_id) END) FROM qms.counter c WHERE c.branch_id = b.branch_id AND c.name ~ 'idle|called';
		PERFORM qms.join_queue(q.queue_id, priority => 0 * n) FROM qms.queue q, generate_series(1, 3) n WHERE q.branch_id = b.branch_id AND q.status = 'open';
		PERFORM qms.call_next(c.counter_id, 'completed') FROM qms.counter c JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL AND s.paused_at IS NULL WHERE c.branch_id = b.branch_id;
	END LOOP;
END $$;
END
Qms::wait_for($node, q{SELECT (SELECT count(*) FROM qms.event) = (SELECT count(*) FROM qms_internal.event_position)}, 'everything is published');
cmp_ok(ask('SELECT count(DISTINCT kind) FROM qms.event'), '>', 60, 'there are events of many kinds');

# As the hub routes them, and as events_since does.
ask(<<'END');
CREATE SCHEMA gw;
CREATE TABLE gw.event AS SELECT * FROM qms_internal.gateway_events(0, NULL, 10000, (SELECT array_agg(branch_id) FROM qms.branch));
CREATE TABLE gw.routed (channel text, position bigint, body text);
INSERT INTO gw.routed
SELECT 'admin:' || organization_id, position, full_text FROM gw.event
UNION ALL SELECT 'staff:' || branch_id, position, full_text FROM gw.event WHERE branch_id IS NOT NULL
UNION ALL SELECT 'application:' || application_id, position, full_text FROM gw.event WHERE application_id IS NOT NULL
UNION ALL SELECT 'visit:' || visit_id, position, visit_text FROM gw.event WHERE visit_id IS NOT NULL
UNION ALL SELECT 'system:' || organization_id, position, system_text FROM gw.event WHERE is_system
UNION ALL SELECT 'display:' || branch_id, position, public_text FROM gw.event WHERE public_text IS NOT NULL AND branch_id IS NOT NULL
UNION ALL SELECT 'display:' || e.branch_id || ':' || z.zone_id, position, public_text FROM gw.event e JOIN qms.zone z ON z.branch_id = e.branch_id AND z.deleted_at IS NULL AND (e.zone_id IS NULL OR e.zone_id = z.zone_id) WHERE public_text IS NOT NULL
UNION ALL SELECT 'queue:' || queue_id, position, public_text FROM gw.event WHERE public_text IS NOT NULL AND queue_id IS NOT NULL;
CREATE TABLE gw.channel (name text);
INSERT INTO gw.channel SELECT 'admin:' || organization_id FROM qms.organization UNION ALL SELECT 'system:' || organization_id FROM qms.organization UNION ALL SELECT 'staff:' || branch_id FROM qms.branch
UNION ALL SELECT 'display:' || branch_id FROM qms.branch UNION ALL SELECT 'display:' || branch_id || ':' || zone_id FROM qms.zone WHERE deleted_at IS NULL UNION ALL SELECT 'queue:' || queue_id FROM qms.queue
UNION ALL SELECT 'application:' || application_id FROM qms.application UNION ALL SELECT DISTINCT 'visit:' || visit_id FROM qms.event WHERE visit_id IS NOT NULL;
CREATE TABLE gw.since AS SELECT c.name AS channel, e.* FROM gw.channel c, qms.events_since(c.name, 0, 10000) e;
END
cmp_ok(ask("SELECT count(*) FROM gw.channel WHERE name LIKE '$_:%'"), '>', 1, "there are channels of $_") foreach qw(admin staff application visit system display queue);
cmp_ok(ask(q{SELECT count(*) FROM gw.since WHERE channel ~ '^display:\d+:'}), '>', 20, 'there are events of zones');
cmp_ok(ask(q{SELECT count(*) FROM gw.event WHERE zone_id = -1 AND public_text IS NOT NULL}), '>', 2, 'and of counters in no zone');
is(ask('SELECT count(*) FROM gw.event'), ask('SELECT count(*) FROM qms.event'), 'the gateway has all events');
# Of the whole installation: of no organization that could have a channel.
none(q{SELECT coalesce(r.channel, s.channel), r.position, s.position FROM (SELECT * FROM gw.routed WHERE channel <> 'admin:0') r FULL JOIN gw.since s USING (channel, position) WHERE r.position IS NULL OR s.position IS NULL},
	'each channel has the events that events_since has of it');
none(q{SELECT r.channel, r.body, to_jsonb(s) FROM gw.routed r JOIN gw.since s USING (channel, position) WHERE r.channel ~ '^(display|queue|system)'
	AND (r.body::jsonb - '{v,data,at}'::text[] <> jsonb_strip_nulls(to_jsonb(s)) - '{at,channel}'::text[] OR (r.body::jsonb->>'at')::timestamptz <> s.at OR r.body::jsonb->>'v' <> '1')}, 'public ones: the same fields');
none(q{SELECT r.channel, r.body, to_jsonb(s) FROM gw.routed r JOIN gw.since s USING (channel, position) WHERE r.channel ~ '^(staff|admin|application)'
	AND (r.body::jsonb - '{v,at}'::text[] <> jsonb_strip_nulls(to_jsonb(s) - '{at,channel,event_id,actor_kind,actor_id,actor_role,request_id,data}'::text[] || jsonb_build_object('id', s.event_id, 'actor', jsonb_build_object('kind', s.actor_kind, 'id', s.actor_id, 'role', s.actor_role)))
		|| CASE WHEN s.data IS NULL THEN '{}' ELSE jsonb_build_object('data', s.data) END OR (r.body::jsonb->>'at')::timestamptz <> s.at)}, 'private ones: all of them');
none(q{SELECT r.channel, r.body, to_jsonb(s) FROM gw.routed r JOIN gw.since s USING (channel, position) WHERE r.channel ~ '^visit'
	AND (r.body::jsonb - '{v,at,data}'::text[] <> jsonb_strip_nulls(to_jsonb(s) - '{at,channel,organization_id,event_id,actor_kind,actor_id,actor_role,request_id,data}'::text[] || jsonb_build_object('id', s.event_id))
		OR NOT coalesce(s.data, '{}') @> coalesce(r.body::jsonb->'data', '{}') OR r.body::jsonb->'data' ?| '{note,reason,heads,was,passed_ticket_id,other_ticket_id,policy,customer_class_id,sort_key,from_counter_id,wanted_staff_id}')},
	'what a person reads of his visit: without who, why, and others');

# Pages are the whole.
ask(<<'END');
CREATE TABLE gw.paged (position bigint, texts text);
DO $$
DECLARE
	at bigint := 0;
	n int := 1;
	found int;
BEGIN
	LOOP
		INSERT INTO gw.paged SELECT position, concat(full_text, visit_text, system_text, recheck) FROM qms_internal.gateway_events(at, NULL, n);
		GET DIAGNOSTICS found = ROW_COUNT;
		EXIT WHEN found = 0;
		at := max(position) FROM gw.paged;
		n := n % 50 + 7;
	END LOOP;
END $$;
END
none('SELECT position FROM (SELECT position, concat(full_text, visit_text, system_text, recheck) AS texts FROM gw.event) e FULL JOIN gw.paged p USING (position, texts) WHERE e.texts IS NULL OR p.texts IS NULL', 'page by page it is the same');

# What is told to those who begin: the last events of each channel are complete after "from".
foreach my $rows (0, 1, 3, 20, 10000)
{
	ask("DROP TABLE IF EXISTS gw.begun; CREATE TABLE gw.begun AS SELECT b.*, row_number() OVER () AS n FROM qms_internal.gateway_channels((SELECT array_agg(name ORDER BY name) FROM gw.channel), $rows) b");
	none(q{SELECT coalesce(b.channel, s.channel), b.position, s.position FROM (SELECT * FROM gw.begun WHERE kind = 'event') b FULL JOIN (SELECT s.* FROM gw.since s JOIN gw.begun f USING (channel) WHERE f.kind = 'from' AND s.position > f.position) s USING (channel, position) WHERE b.position IS NULL OR s.position IS NULL},
		"$rows events: complete after the position that is told");
	none(qq{SELECT channel FROM gw.begun WHERE kind = 'event' GROUP BY channel HAVING count(*) > $rows OR (count(*) < $rows AND (SELECT max(position) FROM gw.begun f WHERE f.channel = begun.channel AND f.kind = 'from') > 0 AND channel ~ '^(staff|admin|application|visit)')}, "$rows events: no more, and no less if there are");
	none(q{SELECT channel, string_agg(kind, ' ' ORDER BY n) FROM gw.begun GROUP BY channel HAVING string_agg(kind, ' ' ORDER BY n) !~ '^snapshot from( event)*$' OR array_agg(position ORDER BY n) FILTER (WHERE kind = 'event') <> array_agg(position ORDER BY position) FILTER (WHERE kind = 'event')
		OR max(position) FILTER (WHERE kind = 'from') > max(position) FILTER (WHERE kind = 'snapshot')}, "$rows events: snapshot, from, events in order");
	none(q{SELECT b.channel, b.body, r.body FROM gw.begun b JOIN gw.routed r USING (channel, position) WHERE kind = 'event' AND b.body::jsonb <> CASE WHEN channel ~ '^(display|queue)' THEN r.body::jsonb - 'data' ELSE r.body::jsonb END}, "$rows events: the same texts");
}
is(ask('SELECT count(DISTINCT position) FROM gw.begun WHERE kind = \'snapshot\''), '1', 'all snapshots are of one moment');

# Nothing of the one in what the other is sent.
my $two = ask(q{SELECT attack.of('foreign', 'organization')});
my $foreign = '\m50000\d{5}\M';
none(qq{SELECT position FROM gw.event WHERE organization_id <> $two AND concat(public_text, full_text, system_text, visit_text) ~ '$foreign'}, 'no event of city one names anything of city two');
none(qq{SELECT channel, body FROM gw.begun WHERE kind = 'snapshot' AND channel !~ '50000\\d{5}' AND (body ~ '$foreign' OR body ~ 'city-two')}, 'nor does a snapshot');
none(q{SELECT channel FROM gw.begun b WHERE kind = 'snapshot' AND channel ~ '50000\d{5}' AND (body ~ 'city-one' OR body ~ '"(branch_id|queue_id|counter_id|zone_id|ticket_id|visit_id|staff_id|service_id)":\d{1,5}\M')}, 'nor the other way round');
cmp_ok(ask(qq{SELECT count(*) FROM gw.begun WHERE kind = 'snapshot' AND body ~ '$foreign'}), '>', 20, '(which would be seen)');

# Nothing that is not public in what is: queues that are hidden, people, staff, tokens.
ask(q{CREATE VIEW gw.public AS SELECT channel, kind, body FROM gw.begun WHERE channel ~ '^(display|queue|system)' AND body IS NOT NULL UNION ALL SELECT 'display', 'event', public_text FROM gw.event WHERE public_text IS NOT NULL UNION ALL SELECT 'system', 'event', system_text FROM gw.event WHERE system_text IS NOT NULL});
cmp_ok(ask(q{SELECT count(*) FROM qms.queue WHERE settings->'public' = 'false'}), '>', 2, 'there are hidden queues');
none(q{SELECT p.channel, p.body FROM gw.public p, qms.queue q WHERE q.settings->'public' = 'false' AND (p.body ~ ('"queue_id":' || q.queue_id || '\M') OR p.body ~ '"Hidden"' OR EXISTS (SELECT FROM qms.ticket t WHERE t.queue_id = q.queue_id AND p.channel IN ('queue:' || t.queue_id, 'display:' || t.branch_id) AND p.body ~ ('"' || t.number || '"')))}, 'a hidden queue is nowhere');
none(q{SELECT channel, body FROM gw.public WHERE body ~ '"(organization_id|application_id|visit_id|ticket_id|id|version|actor|actor_kind|actor_role|request_id|staff_id|staff_name|subject|contact|notes|note|metadata|token|reason|settings|sort_key)":'}, 'and no field that since.c hides');
none(q{SELECT channel, body FROM gw.public WHERE kind = 'event' AND body::jsonb - '{v,position,epoch,at,kind,queue_id,number,state,counter_id,counter_name,zone_id,data}'::text[] <> '{}'}, 'events have public fields only');
none(q{SELECT channel, body FROM gw.public WHERE kind = 'event' AND (body::jsonb->'data') - '{waiting,waiting_exact,wait_p50,status,queues,released,abandoned,rate,counted_at}'::text[] <> '{}'}, 'and figures');
none(q{SELECT body FROM gw.begun b WHERE EXISTS (SELECT FROM attack.thing t WHERE t.name ~ 'token$' AND position(t.value IN b.body) > 0)}, 'no token is in anything');
none(q{SELECT body FROM gw.begun b WHERE kind = 'snapshot' AND channel ~ '^visit' AND body ~ '"(staff\w*|actor\w*|subject|contact|notes?|metadata|customer\w*|organization\w*|sort_key|hold_reason)":'}, 'a visit shows what a person may know');

# Figures are those that queue_status tells.
none(q{SELECT e.public_text, s FROM gw.event e, LATERAL qms.queue_status(e.queue_id) s WHERE e.public_text::jsonb ? 'data' AND EXISTS (SELECT FROM qms.queue q WHERE q.queue_id = e.queue_id AND q.deleted_at IS NULL)
	AND (e.public_text::jsonb->'data'->'waiting' <> to_jsonb(s.waiting) OR e.public_text::jsonb->'data'->'waiting_exact' <> to_jsonb(s.waiting_exact) OR (e.public_text::jsonb->'data'->>'wait_p50')::interval <> s.wait_p50)}, 'figures of events are those of now');
none(q{SELECT b.body, s FROM gw.begun b JOIN qms.queue q ON b.channel = 'queue:' || q.queue_id, LATERAL qms.queue_status(q.queue_id) s WHERE b.kind = 'snapshot' AND q.deleted_at IS NULL AND q.settings->'public' IS DISTINCT FROM 'false'
	AND (b.body::jsonb->'waiting' <> to_jsonb(s.waiting) OR (b.body::jsonb->>'wait_p50')::interval <> s.wait_p50 OR b.body::jsonb->'serving' <> jsonb_path_query_array(s.serving, '$[*].number'))}, 'and so are those of snapshots');
none(q{SELECT t.value, s FROM attack.thing t, LATERAL qms.visit_status(t.value::qms.ticket_token) s, LATERAL (SELECT x FROM gw.begun b, jsonb_array_elements(b.body::jsonb->'tickets') x WHERE b.kind = 'snapshot' AND b.channel = 'visit:' || s.visit_id AND x->>'ticket_id' = s.ticket_id::text) v
	WHERE t.name = 'token' AND t.place <> 'never' AND (x->>'state' <> s.state OR (x->>'position')::bigint IS DISTINCT FROM s.position OR (x->>'people_ahead')::bigint IS DISTINCT FROM s.people_ahead OR x->>'number' <> s.number::text OR (x->>'wait_p90')::interval IS DISTINCT FROM s.wait_p90)}, 'visits are as visit_status answers them');
my $branch = ask(q{SELECT attack.of('own', 'branch')});
is(ask(qq{SELECT jsonb_agg(jsonb_build_array(x->'queue_id', x->'name', x->'status', x->'waiting', x->'on_hold', x->'called', x->'serving', x->'served_today', x->'open_counters', x->'paused_counters')) FROM gw.begun, jsonb_array_elements(body::jsonb->'queues') x WHERE channel = 'staff:$branch' AND kind = 'snapshot'}),
	ask(qq{SELECT jsonb_agg(jsonb_build_array(queue_id, name, status, waiting, on_hold, called, serving, served_today, open_counters, paused_counters)) FROM qms.branch_status($branch)}), 'staff see the rows of branch_status');
none(qq{SELECT x, s FROM gw.begun, jsonb_array_elements(body::jsonb->'counters') x, LATERAL qms.counter_status((x->>'counter_id')::bigint) s WHERE channel = 'staff:$branch' AND kind = 'snapshot'
	AND ((x->>'status', x->>'name', x->'current_ticket'->>'number', x->>'staff_session_id') IS DISTINCT FROM (s.status, s.name, s.current_number::text, s.staff_session_id::text))}, 'and of counter_status');

# A database that does not know its encoding: what is in it goes out as UTF-8 all the same.
ask(q{CREATE DATABASE unknown TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'});
my $odd = sub { return $node->safe_psql('unknown', $_[0]) };
$odd->(q{CREATE EXTENSION qms; SELECT FROM qms.create_organization('City'); SELECT FROM qms.create_branch(1, 'Branch'); UPDATE qms.branch SET name = E'Stra\xdfe \xc3\x9f \xf0\x9f\x98'});
is($odd->(q{SET client_encoding = 'SQL_ASCII'; SELECT encode(convert_to((body::jsonb->'branch'->>'name'), 'SQL_ASCII'), 'escape') FROM qms_internal.gateway_channels('{display:1}', 0) WHERE kind = 'snapshot'}), 'Stra?e \303\237 ???', 'what is not UTF-8 is replaced');
# One that has another: the client's is what counts.
ask(q{CREATE DATABASE western TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'});
is($node->safe_psql('western', q{SET client_encoding = 'UTF8'; CREATE EXTENSION qms; SELECT FROM qms.create_organization('City'); SELECT FROM qms.create_branch(1, 'Straße'); SELECT body::jsonb->'branch'->>'name' FROM qms_internal.gateway_channels('{display:1}', 0) WHERE kind = 'snapshot'}) =~ s/\n//gr, 'Straße', 'another encoding is converted');

$node->stop;
done_testing();
