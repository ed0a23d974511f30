-- Known customers.
\set base 320000
\getenv here PG_ABS_SRCDIR
\set fixture :here '/fixtures/city.sql'
\i :fixture

SELECT customer_id AS eva, organization_id = :org AS here, name, contact, language, external_subject, metadata, created_at, updated_at FROM qms.create_customer(:org, '  Eva Müller ', '{"phone": "+49 170 5551234"}', 'de', 'E-1', '{"note": "x"}') \gset
\echo :here :name :contact :language :external_subject :metadata
SELECT customer_id AS bob, name, contact, language, external_subject, metadata FROM qms.create_customer(:org, 'Bob Miller', '{"mail": "Bob@Example.org", "phones": ["+1 202 5550100", 4930123456]}') \gset
SELECT customer_id AS kim, name FROM qms.create_customer(:org, 'Kim') \gset
SELECT customer_id AS none, name, contact FROM qms.create_customer(:org) \gset
SELECT name ~ '^1\.t' AS name_sealed, contact ? 'sealed' AS contact_sealed, cardinality(find) AS find, language, external_subject, metadata FROM qms.customer WHERE organization_id = :org ORDER BY customer_id;
SELECT count(*) FROM qms.customer c WHERE organization_id = :org AND c::text ~* 'müller|miller|kim|5551234|example';

-- found: exactly by name or address, however written; else by pieces; in pages
SELECT query, string_agg(name, ', ' ORDER BY c.customer_id) FROM unnest(ARRAY['eva  müller', 'EVA MÜLLER', 'müll', 'ill', '0049 170/5551234', '0170 5551234', 'bob@example.org', 'BOB', '+12025550100', '202 555', '030 123456', '4930123456', 'nobody', 'k']) WITH ORDINALITY q(query, n)
	LEFT JOIN LATERAL qms.find_customers(:org, query) c ON true GROUP BY n, query ORDER BY n;
SELECT name FROM qms.find_customers(:org, external_subject => 'E-1');
SELECT name FROM qms.find_customers(:org, 'Bob Miller', external_subject => 'E-1');
SELECT name, customer_id = :bob AS second FROM qms.find_customers(:org, max_rows => 1, after_customer_id => :eva);
SELECT count(*) FROM qms.find_customers(:org);
SELECT qms.find_customers(:org, max_rows => 0);
SELECT qms.find_customers(:org, after_customer_id => -1);
SELECT name, contact FROM qms.get_customer(:eva);

-- changed: what is not given stays; empty removes; found by the new value only
SELECT name, contact, language, external_subject, metadata FROM qms.update_customer(:eva, contact => '{"mail": "eva@example.org"}');
SELECT count(*) FROM qms.find_customers(:org, '+49 170 5551234');
SELECT name, contact, language, external_subject, metadata FROM qms.update_customer(:eva, name => 'Eva Schmidt', metadata => '{}');
SELECT name, contact FROM qms.find_customers(:org, 'EVA@EXAMPLE.ORG');
SELECT name, contact, language, external_subject FROM qms.update_customer(:eva, name => '', contact => '{}', language => '', external_subject => '');
SELECT name IS NULL AS no_name, contact IS NULL AS no_contact, find FROM qms.customer WHERE customer_id = :eva;
SELECT name, external_subject FROM qms.update_customer(:eva, name => 'Eva', external_subject => 'E-1');
-- refused
SELECT qms.create_customer(:org, repeat('x', 201));
SELECT qms.create_customer(:org, E'two\nlines');
SELECT qms.create_customer(:org, '1.t1.AAAA');
SELECT qms.create_customer(:org, contact => '[]');
SELECT qms.create_customer(:org, contact => '{"sealed": "x"}');
SELECT qms.create_customer(:org, contact => jsonb_build_object('a', repeat('x', 20000)));
SELECT qms.create_customer(:org, external_subject => 'E-1');
SELECT qms.update_customer(:bob, external_subject => 'E-1');
SELECT qms.update_customer(999999, name => 'x');
SELECT qms.create_customer(NULL, 'x');
SELECT qms.create_customer(999999, 'x');
-- a request twice is one customer, and what is kept of it is sealed
SELECT customer_id AS r, name, contact, metadata FROM qms.create_customer(:org, 'Zoe Zimmer', '{"phone": "333 444 555"}', metadata => '{"k": "secret"}', external_subject => 'Z-9', request_id => '00000000-0000-4000-8000-000000000033') \gset a_
SELECT customer_id AS r, name, contact, metadata, external_subject FROM qms.create_customer(:org, 'Zoe Zimmer', '{"phone": "333 444 555"}', metadata => '{"k": "secret"}', external_subject => 'Z-9', request_id => '00000000-0000-4000-8000-000000000033') \gset b_
SELECT :a_r = :b_r AS same, :'b_name' AS name, :'b_contact' AS contact, :'b_metadata' AS metadata, :'b_external_subject' AS subject;
SELECT count(*) FILTER (WHERE r::text ~* 'zimmer|333 444|"secret"|Z-9') AS in_clear, count(*) FROM qms_internal.request r WHERE organization_id = :org;

-- linked with tickets
SELECT ticket_id AS t FROM qms.join_queue(queue_id => :qa) \gset
SELECT customer_id = :bob AS bob FROM qms.update_ticket(:t, customer_id => :bob);
SELECT count(*) FROM qms_internal.customer_ticket WHERE customer_id = :bob;
SELECT qms.update_ticket(:t, customer_id => 999999);

-- deleted: not found, not changed; its subject is free
SELECT name FROM qms.delete_customer(:kim);
SELECT count(*) FROM qms.find_customers(:org, 'kim');
SELECT qms.get_customer(:kim);
SELECT qms.update_customer(:kim, name => 'x');
SELECT qms.delete_customer(:kim);
SELECT count(qms.delete_customer(:eva));
SELECT external_subject FROM qms.update_customer(:bob, external_subject => 'E-1');

-- events say what happened to whom, and nothing of it
SELECT kind, data->'fields' AS fields, data - 'fields' - 'customer_id' AS more FROM qms.event WHERE organization_id = :org AND kind ~ '^customer\.' ORDER BY event_id;
SELECT count(*) FROM qms.event e WHERE organization_id = :org AND e::text ~* 'müller|miller|zimmer|5551234|example\.org|E-1';

-- who may: reception and administrators, of their own organization
SELECT staff_id AS eve FROM qms.create_staff(:org, 'eve', role => 'reception', branch_ids => ARRAY[:library]) \gset
SELECT organization_id AS other FROM qms.create_organization('Other ' || :base) \gset
SELECT customer_id AS stranger FROM qms.create_customer(:other, 'Stranger', external_subject => 'E-1') \gset
CREATE ROLE sealc_reception IN ROLE qms_reception; CREATE ROLE sealc_servicer IN ROLE qms_servicer; CREATE ROLE sealc_admin IN ROLE qms_admin;
SELECT kind FROM qms.bind_role('sealc_reception', :org, staff_id => :eve);
SELECT kind FROM qms.bind_role('sealc_servicer', :org, staff_id => :ada);
SELECT kind FROM qms.bind_role('sealc_admin', :org, kind => 'admin');
SET ROLE sealc_reception;
SELECT name FROM qms.get_customer(:bob);
SELECT qms.get_customer(:stranger);
SELECT qms.find_customers(:other);
SELECT qms.update_customer(:stranger, name => 'mine');
SELECT qms.create_customer(:other, 'x');
SELECT qms.anonymize_customer(:bob);
SELECT contact FROM qms.customer;
SET ROLE sealc_servicer;
SELECT qms.get_customer(:bob);
SELECT qms.find_customers(:org);
SET ROLE sealc_admin;
SELECT name FROM qms.get_customer(:bob);
SELECT qms.anonymize_customer(:stranger);
SELECT contact FROM qms.customer;
RESET ROLE;

-- tampered with
SET client_min_messages = warning;
UPDATE qms.customer SET name = (SELECT name FROM qms.customer WHERE customer_id = :stranger) WHERE customer_id = :bob;
SELECT qms.get_customer(:bob);
SELECT name IS NULL AS no_name, contact->>'mail' AS mail FROM qms.find_customers(:org, 'bob@example.org');
SELECT qms.update_customer(:bob, contact => '{}');
SELECT name FROM qms.update_customer(:bob, name => 'Bob again', contact => '{"phone": "1"}');

DROP OWNED BY sealc_reception, sealc_servicer, sealc_admin;
DROP ROLE sealc_reception, sealc_servicer, sealc_admin;
SELECT * FROM test.broken();
