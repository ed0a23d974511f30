-- Reports: hostile names, the page's own policy, languages, figures, who may.
\set base 540000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\set days :here '/fixtures/days.sql'
\i :fixture
\i :days

-- names that would be markup, styles, entities, comments, or turn the direction of what follows
SELECT name FROM qms.update_organization(:org, name => '<script>alert("org")</script>', names => '{"de": "Stadt <b>Müsli</b> & Söhne", "fr": "]]>--></title></style>"}');
SELECT name FROM qms.update_branch(:hall, name => '"><img src=x onerror=alert(1)>', names => '{"es": "Ayuntamiento ''&quot;&#60;"}');
SELECT name FROM qms.update_queue(:qa, name => '</style><script>alert(2)</script>', names => '{"de": "日本語 🎫 ünïcødé"}');
SELECT name FROM qms.update_queue(:qb, name => U&'turn\202Earound\2066 \FEFF&amp; ${x} %s %n \\u003c');
SELECT name FROM qms.update_customer_class(:senior, name => '<svg onload=alert(3)>');
SELECT display_name FROM qms.update_staff(:ada, display_name => '</td><td onclick="alert(4)">Ada');
SELECT display_name FROM qms.update_staff(:ben, display_name => 'A name that is much longer than any chart has room for, so it is cut there');
UPDATE qms.customer_class SET name = 'senior' WHERE customer_class_id = :senior;
CALL test.day('2026-03-02', ARRAY[:qa, :qb], ARRAY[:c1, :c2, :c3], ARRAY[:ada, :ben, NULL]::bigint[], 190, 0.1);
CALL test.day('2026-03-03', ARRAY[:qa, :qb], ARRAY[:c1, :c2], ARRAY[:ada, :ben], 50, 0.2);
UPDATE qms.customer_class SET name = '<svg onload=alert(3)>' WHERE customer_class_id = :senior;
SET client_min_messages = error;
SELECT qms.recompute_snapshots(organization_id => :org) > 0 AS made;
RESET client_min_messages;
SET qms.mock_now = '2026-03-09 07:00+01';

CREATE TABLE test.page AS SELECT scope, language, qms.report_html(scope, '2026-03-02', '2026-03-09', language) AS html
FROM unnest(ARRAY['organization:' || :org, 'branch:' || :hall, 'queue:' || :qa, 'queue:' || :qb]) scope, unnest('{en,de,fr,es}'::text[]) language;
CREATE FUNCTION test.nodes(html text, path text) RETURNS SETOF text LANGUAGE sql AS 'SELECT unnest(xpath($2, $1::xml))::text';
-- well formed, ASCII, nothing but these elements and attributes
SELECT count(*) AS pages, bool_and(html::xml IS DOCUMENT) AS well_formed, bool_and(html !~ '[^\x01-\x7f]') AS ascii, max(octet_length(html)) < 100000 AS small FROM test.page;
SELECT string_agg(DISTINCT n, ' ' ORDER BY n) AS elements FROM test.page, LATERAL (SELECT (regexp_matches(html, '<([a-zA-Z!/][^\s>]*)', 'g'))[1] AS n) m WHERE n NOT LIKE '/%';
SELECT string_agg(DISTINCT n, ' ' ORDER BY n) AS attributes FROM test.page, LATERAL (SELECT (regexp_matches(t, '\s([^\s=">]+)="', 'g'))[1] AS n FROM (SELECT (regexp_matches(html, '<[a-zA-Z][^>]*>', 'g'))[1] AS t) x) m;
SELECT count(*) AS bad FROM test.page WHERE html ~* '<script|<img|<link|<iframe|<object|<a |<form|\son[a-z]+=[''"]|\sstyle=|javascript:|url\(|@import|https?://|src=[''"]|href=';
-- no other direction, no character that is no text
SELECT count(*) AS turned FROM test.page WHERE html ~ '&#(8234|8235|8236|8237|8238|8294|8295|8296|8297|65279|0|8|27);';
-- what people see is what was typed
SELECT test.nodes(html, '//*[local-name()="h1"]//text()') AS h1 FROM test.page WHERE language = 'en';
SELECT language, test.nodes(html, '//*[local-name()="h1"]/*[local-name()="bdi"]/text()') AS name FROM test.page WHERE scope LIKE 'org%';
SELECT DISTINCT n AS name FROM test.page, LATERAL test.nodes(html, '//*[local-name()="th"]/*[local-name()="bdi"]/text()') n WHERE language = 'en' ORDER BY 1;
-- the policy allows the style sheet by its hash, and nothing else
SELECT DISTINCT replace(policy, encode(sha256(convert_to(style, 'UTF8')), 'base64'), '(its hash)') AS policy FROM test.page,
	LATERAL (SELECT substring(html FROM 'Content-Security-Policy" content="([^"]*)"') AS policy, substring(html FROM '<style>(.*)</style>') AS style) x;
-- charts: each has a title and a description that it refers to, and a table beside it
SELECT DISTINCT charts, charts = titles AND charts = descriptions AS described, tables >= charts AS tables FROM test.page,
	LATERAL (SELECT count(*) AS charts FROM regexp_matches(html, '<svg ', 'g')) a, LATERAL (SELECT count(*) AS titles FROM regexp_matches(html, 'aria-labelledby="t(\d+) d\1"><title id="t\1">', 'g')) b,
	LATERAL (SELECT count(*) AS descriptions FROM regexp_matches(html, '<desc id="d\d+">[^<]{10,}</desc>', 'g')) c, LATERAL (SELECT count(*) AS tables FROM regexp_matches(html, '<table', 'g')) d ORDER BY 1;
SELECT count(*) AS undefined FROM test.page WHERE html ~ '(nan|inf|\(null\))[ ,"<]';
SELECT bool_and(html LIKE '%prefers-color-scheme:dark%' AND html LIKE '%@page{size:A4%' AND html LIKE '%@media print%') AS dark_and_print FROM test.page;

-- languages: the words of a chart and of a card, the days, the numbers
SELECT language, substring(html FROM '<html lang="(..)"') AS lang, string_agg(h, ' | ' ORDER BY n) AS sections FROM test.page, LATERAL test.nodes(html, '//*[local-name()="h2"]/text()') WITH ORDINALITY h (h, n) WHERE scope LIKE 'branch%' GROUP BY 1, 2 ORDER BY 1;
SELECT language, (SELECT string_agg(p, ' | ' ORDER BY n) FROM test.nodes(html, '//*[local-name()="header"]/*[local-name()="p"]/text()') WITH ORDINALITY p (p, n)) AS head FROM test.page WHERE scope LIKE 'branch%' ORDER BY 1;
SELECT language, (SELECT string_agg(p, ' | ' ORDER BY n) FROM (SELECT * FROM test.nodes(html, '(//*[local-name()="section"])[4]//*[local-name()="tbody"]/*[local-name()="tr"]/*[local-name()="th"]/text()') WITH ORDINALITY p (p, n) LIMIT 3) x) AS days FROM test.page WHERE scope LIKE 'branch%' ORDER BY 1;
-- every page of a language has no word of English where there is another one
SELECT language, bool_or(html ~ 'Mean wait|Arrivals|Served|Waiting time|People who|Day by day|Staff<') AS english FROM test.page GROUP BY 1 ORDER BY 1;

-- figures: those of the statistics
CREATE FUNCTION test.cards(html text) RETURNS TABLE (word text, figure text) LANGUAGE sql AS $$
	SELECT (xpath('//*[local-name()="dt"]/text()', d::xml))[1]::text, (xpath('//*[local-name()="dd"]/text()', d::xml))[1]::text FROM test.nodes(html, '//*[local-name()="dl"]/*[local-name()="div"]') d $$;
SELECT c.word, c.figure, s.figure = c.figure AS right FROM test.page p, LATERAL test.cards(p.html) c JOIN LATERAL (
	SELECT sum(joined + transferred_in)::text, sum(completed)::text, sum(no_show)::text, sum(abandoned)::text, (round(100.0 * sum(within_target) / sum(wait_count), 1) || '%')::text
	FROM qms.analytics_snapshot WHERE branch_id = :hall AND queue_id IS NULL AND customer_class IS NULL AND period = 'hour') x (a, b, c, d, e) ON true
	JOIN LATERAL (VALUES ('Arrivals', x.a), ('Served', x.b), ('Did not come when called', x.c), ('Left before being called', x.d), ('Within target', x.e)) s (word, figure) ON s.word = c.word
WHERE p.scope LIKE 'branch%' AND p.language = 'en';
-- two queues are all of the branch
SELECT sum(c.figure::int) = (SELECT c.figure::int FROM test.page p, test.cards(p.html) c WHERE p.scope LIKE 'branch%' AND p.language = 'en' AND c.word = 'Arrivals') AS whole FROM test.page p, test.cards(p.html) c WHERE p.scope LIKE 'queue%' AND p.language = 'en' AND c.word = 'Arrivals';

-- the language of the organization; staff are left out when not wanted
SELECT substring(qms.report_html('branch:' || :hall) FROM 'lang="(..)"') AS of_nobody;
SELECT settings FROM qms.update_organization(:org, settings => '{"report_language": "de-AT"}');
SELECT substring(qms.report_html('branch:' || :hall) FROM 'lang="(..)"') AS of_organization;
SELECT substring(qms.report_html('branch:' || :hall, language => 'ES') FROM 'lang="(..)"') AS given;
SELECT qms.update_organization(:org, settings => '{"report_language": "tlh"}');
SELECT qms.update_organization(:org, settings => '{"report_lang": "de"}');
SELECT html LIKE '%A name that is much longer%' AS named, bare LIKE '%A name that is much%' OR bare LIKE '%Personal%' AS named_or_not FROM (SELECT qms.report_html('branch:' || :hall), qms.report_html('branch:' || :hall, with_staff => false)) x (html, bare);
-- days, weeks, months; a report of nothing
SELECT days, substring(qms.report_html('branch:' || :hall, timestamptz '2026-03-09 00:00+01' - days * interval '1 day', '2026-03-09 00:00+01', 'en') FROM '(Day|Week|Month) by') AS step FROM unnest('{1,45,46,200,201,732}'::int[]) days ORDER BY 1;
SELECT qms.report_html('branch:' || :library, language => 'fr') LIKE '%Rien n&#8217;a &#233;t&#233; enregistr&#233;%' AS nothing;
-- what cannot be
SELECT qms.report_html('branch:' || :hall, '2026-03-09', '2026-03-09');
SELECT qms.report_html('branch:' || :hall, '2024-01-01', '2026-03-09');
SELECT qms.report_html('branch:' || :hall, language => 'nl');
SELECT qms.report_html('branch:999999999');
SELECT qms.report_html('hall');
SELECT qms.report_html();

-- who may
CREATE ROLE report_admin LOGIN IN ROLE qms_admin;
CREATE ROLE report_half LOGIN IN ROLE qms_admin;
CREATE ROLE report_desk LOGIN IN ROLE qms_reception;
SELECT kind FROM qms.bind_role('report_admin', :org, kind => 'admin');
SELECT kind FROM qms.bind_role('report_half', :org, kind => 'admin', branch_ids => ARRAY[:library]);
SELECT staff_id AS eve FROM qms.create_staff(:org, 'eve', role => 'reception') \gset
SELECT kind FROM qms.bind_role('report_desk', :org, staff_id => :eve);
SELECT organization_id AS other FROM qms.create_organization('Elsewhere 540') \gset
SET SESSION AUTHORIZATION report_admin;
SELECT length(qms.report_html()) > 1000 AS own_organization;
SELECT qms.report_html('organization:' || :other);
SET SESSION AUTHORIZATION report_half;
SELECT length(qms.report_html('branch:' || :library)) > 1000 AS own_branch;
SELECT qms.report_html('branch:' || :hall);
SELECT qms.report_html();
SET SESSION AUTHORIZATION report_desk;
SELECT qms.report_html('branch:' || :hall);
RESET SESSION AUTHORIZATION;
UPDATE qms.staff SET permissions = '{"grant": ["report.make"]}' WHERE staff_id = :eve;
SET SESSION AUTHORIZATION report_desk;
SELECT length(qms.report_html('branch:' || :hall)) > 1000 AS granted;
RESET SESSION AUTHORIZATION;
DROP ROLE report_admin, report_half, report_desk;
