# Every argument of every function gets what an attacker would send: quotes, SQL, formats, very long
# texts, JSON of every shape, odd arrays, numbers and times at the end of their range.  Nothing may come
# of it but an error of the caller's making, and what is kept is kept as it was sent.
use strict;
use warnings;

use lib 'test/lib';
use PostgreSQL::Test::Utils;
use Qms;
use Test::More;

my $node = Qms::node('injection');

sub ask { return $node->safe_psql('postgres', $_[0]) }

$node->safe_psql('postgres', "\\i test/fixtures/$_") foreach 'two_cities.sql', 'examples.sql';
my $started = ask(<<'END');
CREATE TABLE attack.canary AS SELECT 1 AS alive;
GRANT ALL ON attack.canary TO PUBLIC;
GRANT CREATE ON SCHEMA attack TO PUBLIC;
CREATE TABLE attack.hostile (type text, value text);
INSERT INTO attack.hostile SELECT 'text', v FROM unnest(ARRAY[
	'', ' ', E'\t\n', '''', '''''', '"', '""', '\', '\\', '\''', '$$', '$1', '$1::text', '%', '_', '%s%s%s%n%x%p', '%1$s', '%L %I %s', '{0}', '${x}', '`id`', '$(id)', ';', '--', '/*', '*/',
	'x''; DROP TABLE attack.canary; --', 'x"; DROP TABLE attack.canary; --', '$$; DROP TABLE attack.canary; --', 'x''; DELETE FROM attack.canary; SELECT ''', ''' OR ''1''=''1', ''' OR 1=1 --', '1; UPDATE attack.canary SET alive = 0',
	'x'' UNION SELECT secret FROM qms_internal.signing_key --', E'x\'; COPY attack.canary TO PROGRAM \'id\'; --', 'null', 'NULL', 'true', '0', '-1', '1e400', 'NaN', 'public', 'pg_catalog.pg_authid', 'qms.ticket', 'qms_owner', 'postgres',
	'attack_free"; ALTER ROLE attack_clerk SUPERUSER; --', 'PUBLIC', 'none', 'current_user', 'admin', 'display:1:2:3', 'queue:', 'queue:-1', 'queue:99999999999999999999', 'queue:1 ', E'queue:1\n', 'staff:0x1', 'admin:1; DROP TABLE attack.canary',
	'\000', '\u0000', E'\x01\x02\x1f\x7f', E'\u202e\ufeff\uffff', U&'\+01F600\+01D518', '(((((a+)+)+)+)+$', '[', '(?=x', '<script>alert(1)</script>', '{"a":1}', '[]', '../../../../etc/passwd', E'a\r\nERROR:  forged', 'İ', 'ß', 'ﬀ'])  v;
INSERT INTO attack.hostile SELECT 'text', repeat(c, n) FROM unnest('{x,'',ü,%}'::text[]) c, unnest('{63,64,4097,16384}'::int[]) n UNION ALL SELECT 'text', repeat('x', 1000000);
-- JSON: the same as text, key and element; and shapes of its own.
INSERT INTO attack.hostile SELECT 'jsonb', j::text FROM attack.hostile, LATERAL (VALUES (to_jsonb(value)), (jsonb_build_object(value, value)), (jsonb_build_array(value)),
	(jsonb_build_object('queue_id', value, 'name', value, 'grant', value, 'mon', value, 'public', value, 'rate', value)), (jsonb_build_object('mon', jsonb_build_array(jsonb_build_array(value, value)), 'grant', jsonb_build_array(value)))) j (j)
	WHERE type = 'text' AND length(value) < 1000;
INSERT INTO attack.hostile SELECT 'jsonb', v FROM unnest(ARRAY['null', 'true', '0', '-1', '1e131000', '{}', '[]', '[[]]', '[null]', '{"a": null}', '{"": ""}', '[{}]', '[{"queue_id": 1e300}]', '[{"queue_id": -1}]', '[{"queue_id": 1.5}]', '[{"queue_id": null, "weight": -1e308}]',
	'{"a": "\u0000"}', '{', '{"a": 1, "a": 2}', '{"max_waiting": 1e400}', '{"max_waiting": -1}', '{"max_waiting": {}}', '{"rate": "1/0"}', '{"time_zone": "x"}', '{"mon": [["00:00", "24:00"], ["00:00", "24:00"]]}', '{"mon": [["99:99", "-1"]]}',
	'{"grant": ["*.*"]}', '{"grant": [[[["ticket.cancel"]]]]}', '{"deny": "all"}', repeat('[', 300) || repeat(']', 300), repeat('[', 20000) || repeat(']', 20000), repeat('{"a":', 5000) || '1' || repeat('}', 5000),
	'[' || repeat('1,', 200000) || '1]', '{"a": "' || repeat('x', 1000000) || '"}']) v;
INSERT INTO attack.hostile SELECT 'text[]', a FROM attack.hostile, LATERAL (VALUES (ARRAY[value]::text), (ARRAY[value, value]::text), (ARRAY['x', NULL, value]::text)) a (a) WHERE type = 'text' AND length(value) < 20000;
INSERT INTO attack.hostile SELECT t, v FROM unnest('{text[],bigint[],cidr[]}'::text[]) t, unnest(ARRAY['{}', '{NULL}', '{NULL,NULL}', '{{NULL}}', '[5:5]={NULL}', '{', '{"}', 'x']) v;
INSERT INTO attack.hostile SELECT 'bigint[]', v FROM unnest(ARRAY['{0}', '{-1}', '{1,1}', '{{1,2},{3,4}}', '[5:6]={1,2}', '{9223372036854775807}', '{-9223372036854775808}', '{1' || repeat(',1', 100000) || '}']) v;
INSERT INTO attack.hostile SELECT 'text[]', v FROM unnest(ARRAY['{{a,b},{c,d}}', '[5:6]={a,b}', '{a' || repeat(',a', 100000) || '}']) v;
INSERT INTO attack.hostile SELECT 'cidr[]', v FROM unnest(ARRAY['{0.0.0.0/0}', '{::/0}', '{{10.0.0.0/8}}', '[5:5]={10.0.0.0/8}', '{10.0.0.0/8' || repeat(',10.0.0.0/8', 10000) || '}']) v;
INSERT INTO attack.hostile SELECT t, v FROM unnest('{bigint,integer}'::text[]) t, unnest('{0,-1,2147483647,-2147483648}'::text[]) v UNION ALL SELECT 'bigint', v FROM unnest('{9223372036854775807,-9223372036854775808,4294967297}'::text[]) v;
INSERT INTO attack.hostile SELECT 'interval', v FROM unnest('{-1 s,0,1 month,-178000000 years,178000000 years,1 month -30 days,106751991 days}'::text[]) v;
INSERT INTO attack.hostile SELECT 'time without time zone', v FROM unnest('{24:00,23:59:59.999999,23:59:60,00:00,allballs}'::text[]) v;
INSERT INTO attack.hostile SELECT 'double precision', v FROM unnest('{NaN,Infinity,-Infinity,-1,-0,0,1e308,-1e308,5e-324}'::text[]) v;
INSERT INTO attack.hostile SELECT 'timestamp with time zone', v FROM unnest('{infinity,-infinity,4714-11-24 00:00:00+00 BC,294276-12-31 23:59:59+00,1970-01-01 00:00+00}'::text[]) v;
INSERT INTO attack.hostile SELECT 'tstzrange', v FROM unnest(ARRAY['empty', '(,)', '[infinity,infinity]', '(-infinity,infinity)', '[2030-01-01,2030-01-01]', '[4714-11-24 00:00:00+00 BC,294276-12-31 23:59:59+00]']) v;
INSERT INTO attack.hostile SELECT t, value FROM attack.hostile, unnest('{qms.ticket_token,qms.ticket_number,qms.release_rate}'::text[]) t WHERE type = 'text';
INSERT INTO attack.hostile SELECT 'qms.ticket_token', repeat(c, 43) FROM unnest('{A,-,_,Z}'::text[]) c;
INSERT INTO attack.hostile SELECT 'regprocedure', v FROM unnest(ARRAY['0', '1', '4294967295', 'pg_catalog.now()', 'qms.events_since(text,bigint,int,text)', 'pg_catalog.pg_terminate_backend(int,bigint)']) v;
INSERT INTO attack.hostile SELECT 'qms.release_rate', v FROM unnest('{0/s,-1/s,1/0s,999999999999/s,1e9/s,0.000000001/h}'::text[]) v;

-- Each argument of each function, with the others as they should be.
CREATE TABLE attack.slot AS
SELECT v.function, p.proargnames[n] AS argument, pg_catalog.format_type(p.proargtypes[n - 1], NULL) AS type,
	array_to_string(ARRAY(SELECT a FROM regexp_split_to_table(attack.fill(v.arguments, 'own'), ', (?=\w+ =>)') a WHERE split_part(a, ' =>', 1) <> p.proargnames[n] AND a <> ''
		-- one or the other
		AND NOT (v.function IN ('create_queue', 'set_opening_hours', 'waiting_list', 'bind_role', 'act_as') AND (split_part(a, ' =>', 1), p.proargnames[n]) IN (('branch_id', 'application_id'), ('application_id', 'branch_id'), ('branch_id', 'queue_id'), ('queue_id', 'counter_id'), ('counter_id', 'queue_id'), ('application_id', 'staff_id'), ('staff_id', 'application_id')))), ', ') AS others
FROM attack.example v JOIN pg_proc p ON p.proname = v.function AND p.pronamespace = 'qms'::regnamespace, generate_series(1, p.pronargs) n;
SELECT pg_postmaster_start_time();
END
is(ask(q{SELECT string_agg(DISTINCT s.type, ', ') FROM attack.slot s WHERE s.type NOT IN (SELECT type FROM attack.hostile) AND s.type NOT IN ('boolean', 'uuid')}), '', 'every type of argument has its hostile values');

sub state_of
{
	return ask(q{SELECT (SELECT alive FROM attack.canary), (SELECT count(*) FROM pg_class WHERE relpersistence = 'p'), (SELECT string_agg(rolname || rolsuper || rolcanlogin, ',' ORDER BY 1) FROM pg_roles),
		(SELECT count(*) FROM qms.event), (SELECT count(*) FROM qms.ticket), pg_postmaster_start_time()});
}

# As an administrator, who passes the gate; what a call does is undone.
my $before = state_of();
foreach my $type (split /\n/, ask('SELECT DISTINCT type FROM attack.hostile ORDER BY 1'))
{
	ask(qq{CREATE TABLE attack.said AS SELECT s.function, s.argument, h.value, o.state, o.message, o.detail, o.hint FROM attack.slot s JOIN attack.hostile h USING (type),
		LATERAL attack.try(CASE WHEN s.function ~ '^(create_organization|delete_organization|act_as|adopt_database)\$' THEN 'super_admin' ELSE 'admin' END,
			format('%s(%s)', s.function, concat_ws(', ', nullif(s.others, ''), format('%s => %L::%s', s.argument, h.value, s.type)))) o WHERE s.type = '$type'});
	cmp_ok(ask('SELECT count(*) FROM attack.said'), '>', 0, "arguments of type $type: " . ask('SELECT count(*) FROM attack.said') . ' calls');
	# 22, 23: what was sent is wrong; 42501, 42704, QM: it may not be, or is not there; 54: it is too much.
	is(ask(q{SELECT function, argument, left(value, 60), state, left(message, 100) FROM attack.said WHERE state !~ '^(ok|none|QM...|22...|23505|23514|42501|42704|54000|54001|54023)$' LIMIT 20}), '', '... nothing but errors of what was sent');
	is(ask(q{SELECT function, argument, left(value, 60), left(message, 100) FROM attack.said WHERE state LIKE '22%' AND (message || coalesce(detail, '') || coalesce(hint, '')) ~ '\$\d|SPI|(SELECT|INSERT|UPDATE) .* (FROM|INTO|SET)' AND value !~ '\$1|SELECT|UPDATE' LIMIT 20}), '', '... which show none of our statements');
	ask('DROP TABLE attack.said');
}
is(state_of(), $before, 'the canary is alive, and nothing else has changed');

# What is kept is what was sent.
is(ask(q{SELECT h.value FROM attack.hostile h, LATERAL attack.try('admin', format('create_zone(%s, %L)', attack.of('own', 'branch'), h.value)) o WHERE h.type = 'text' AND o.state = 'ok' AND o.answer::jsonb -> 0 ->> 'name' <> btrim(h.value, E' \t\n')}), '', 'names are kept as they were sent, but for blanks around them');
is(ask(q{SELECT h.value FROM attack.hostile h, LATERAL attack.try('admin', format('update_ticket(%s, notes => %L, metadata => %L)', attack.of('own', 'ticket'), h.value, jsonb_build_object(h.value, h.value))) o
	WHERE h.type = 'text' AND o.state = 'ok' AND (o.answer::jsonb -> 0 ->> 'notes' <> h.value OR o.answer::jsonb -> 0 -> 'metadata' <> jsonb_build_object(h.value, h.value))}), '', 'and so are notes and metadata');
is(ask(q{SELECT string_agg((attack.try('admin', format('find_tickets(%s, %L)', attack.of('own', 'branch'), q))).state, ' ') FROM unnest(ARRAY['%', '_', '\', '.*', '+49']) q}), 'none none none none ok', 'a search looks for characters, not for patterns');
is(ask(q{SELECT (attack.try('admin', format('create_queue(%L, %s)', E'<"''%$1\\\\', attack.of('own', 'branch')), format('UPDATE qms.queue SET name = %L', E'<"''%$1\\\\'))).state || (attack.try('anonymous', format('branch_info(%L, %L)', 'city-one', 'own'), format('UPDATE qms.queue SET name = %L', E'<"''%$1\\\\'))).state}), 'okok', 'what was kept is shown again');

# The client's encoding is not ours: bytes that are no characters do not come in.
my ($rc, $out, $err) = $node->psql('postgres', "SET client_encoding = 'LATIN1'; SELECT qms.create_zone(attack.id('own', 'branch'), 'caf\xe9') IS NOT NULL; SET client_encoding = 'UTF8'; SELECT qms.create_zone(attack.id('own', 'branch'), 'caf\xe9')");
like($err, qr/invalid byte sequence/, 'bytes that are no characters are refused');
ok(slurp_file($node->logfile) !~ /terminated by signal|PANIC|TRAP/, 'no process has died');

done_testing();
