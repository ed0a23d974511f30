/* The audit trail and personal data. */

CREATE TYPE qms.audit_event AS (
	event_id bigint,
	at timestamptz,
	kind text,
	organization_id bigint,
	branch_id bigint,
	application_id bigint,
	queue_id bigint,
	visit_id bigint,
	ticket_id bigint,
	number qms.ticket_number,
	state text,
	version int,
	counter_id bigint,
	staff_id bigint,
	actor_kind text,
	actor_id bigint,
	actor_role text,
	session_role text,
	api_key_id bigint,
	address inet,
	application_name text,
	user_agent text,
	request_id uuid,
	data jsonb
);
CREATE TYPE qms.customer_details AS (
	customer_id bigint,
	organization_id bigint,
	name text,
	contact jsonb,
	language text,
	external_subject text,
	metadata jsonb,
	created_at timestamptz,
	updated_at timestamptz
);
CREATE TYPE qms.anonymization AS (
	customer_id bigint,
	visit_id bigint,
	tickets bigint,
	visits bigint,
	answers bigint
);
CREATE TYPE qms.personal_ticket AS (
	ticket_id bigint,
	number qms.ticket_number,
	state text,
	joined_at timestamptz,
	ended_at timestamptz,
	language text,
	subject text,
	contact jsonb,
	metadata jsonb
);
CREATE TYPE qms.reseal_progress AS (
	keys text,
	table_name text,
	resealed bigint,
	failed bigint,
	done boolean
);

CREATE FUNCTION qms.export_audit(organization_id bigint, since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL, kinds text[] DEFAULT NULL,
	after_event_id bigint DEFAULT 0, max_rows int DEFAULT 10000)
RETURNS SETOF qms.audit_event LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_export_audit';
COMMENT ON FUNCTION qms.export_audit IS 'A page of the audit trail: events of an organization (null, for superusers: of all), from since on and before a moment (default: now), of some kinds or all, in the order of event_id, at most max_rows (1 to 100,000). The next page: after_event_id => the last one''s; an empty page is the end. Events of transactions that are still running are not there yet, so take a before that lies behind the longest of them. The export itself is an event, audit.exported. Callers: superusers, and administrators of the whole organization. Errors: QM101, 42501 for an administrator of some branches, 22023.';

CREATE FUNCTION qms.create_customer(organization_id bigint, name text DEFAULT NULL, contact jsonb DEFAULT NULL, language text DEFAULT NULL,
	external_subject text DEFAULT NULL, metadata jsonb DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.customer_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_customer';
COMMENT ON FUNCTION qms.create_customer IS 'Makes somebody known beyond one visit. name and contact ({kind: address}) are stored sealed; external_subject is his id in a system of yours, unique in the organization. Nothing of it is in the event. Callers: superusers, administrators, reception. Errors: QM101, 22023 for a name that is too long or has several lines, 23505 external_subject in use, QM309 too large, QM802 without a key.';

CREATE FUNCTION qms.update_customer(customer_id bigint, name text DEFAULT NULL, contact jsonb DEFAULT NULL, language text DEFAULT NULL,
	external_subject text DEFAULT NULL, metadata jsonb DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.customer_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_customer';
COMMENT ON FUNCTION qms.update_customer IS 'Changes what is given; null leaves it as it is, an empty text or contact ({}) removes it. The event says which columns, not what. Callers: superusers, administrators, reception. Errors: QM101, 22023, 23505, QM309, QM802, QM803.';

CREATE FUNCTION qms.delete_customer(customer_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.customer_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_customer';
COMMENT ON FUNCTION qms.delete_customer IS 'Deletes a customer (softly: nobody finds him any more, the sealed row stays until it is anonymized or the organization''s personal_data_retention has passed). To forget somebody at once, call anonymize_customer. Callers: superusers, administrators, reception. Errors: QM101.';

CREATE FUNCTION qms.get_customer(customer_id bigint)
RETURNS qms.customer_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_get_customer';
COMMENT ON FUNCTION qms.get_customer IS 'A customer, in clear. Callers: superusers, administrators, reception. Errors: QM101, QM802 when the key is missing, QM803 when the row was tampered with.';

CREATE FUNCTION qms.find_customers(organization_id bigint, query text DEFAULT NULL, external_subject text DEFAULT NULL, after_customer_id bigint DEFAULT NULL, max_rows int DEFAULT 100)
RETURNS SETOF qms.customer_details LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_find_customers';
COMMENT ON FUNCTION qms.find_customers IS 'Customers of an organization in the order of their ids, at most max_rows (1 to 10,000); the next page: after_customer_id => the last one''s. query is a whole name, phone number or e-mail address in any case and however it is written: found by an index of keyed hashes. If nobody has it, a piece of one: then every customer is opened and looked at, some 100,000 a second. A value that cannot be opened is null, with a warning. Callers: superusers, administrators, reception. Errors: QM101, 22023.';

CREATE FUNCTION qms.anonymize_customer(customer_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.anonymization LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_anonymize_customer';
COMMENT ON FUNCTION qms.anonymize_customer IS 'Forgets a customer: his name, contact, language, external_subject and metadata, and of all his tickets, open and past (linked with him, or of his external_subject), and their visits: contact, subject, customer, notes, metadata, and reasons and notes of people in their own words; also in stored answers of repeated requests. All that counts stays: queues, numbers, classes, states, moments, counters, outcomes. There is no way back. Callers: superusers, administrators of the whole organization. Errors: QM101, 42501.';

CREATE FUNCTION qms.anonymize_visit(visit_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.anonymization LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_anonymize_visit';
COMMENT ON FUNCTION qms.anonymize_visit IS 'Forgets who came on a visit, for somebody who is no known customer: as anonymize_customer, of the tickets of one visit. Callers: superusers, administrators. Errors: QM101.';

CREATE FUNCTION qms.personal_data(token qms.ticket_token)
RETURNS SETOF qms.personal_ticket LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_personal_data';
COMMENT ON FUNCTION qms.personal_data IS 'What is kept of a person, for himself: of each ticket of the visit whose token he has, open or past, what he gave. Callers: customers by their token, superusers, administrators. Errors: QM501, QM802, QM803.';

CREATE FUNCTION qms.rotate_seal_key(purpose text DEFAULT 'seal')
RETURNS int LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_rotate_seal_key';
COMMENT ON FUNCTION qms.rotate_seal_key IS 'Makes a new key and answers its kid: purpose seal (AES-256-GCM, for what is stored) or seal_index (HMAC, to find by). New values use it at once; older ones open with the key that they name, and the scheduler seals them anew. Callers: superusers. Errors: 55000 when keys are in the file of qms.seal_key_file, 22023.';

CREATE FUNCTION qms.reseal(max_rows int DEFAULT 1000)
RETURNS qms.reseal_progress LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_reseal';
COMMENT ON FUNCTION qms.reseal IS 'Seals at most max_rows (1 to 100,000) values anew with the keys of now, and answers how far it is: call it until done, which it cannot be while a transaction is running that began to write before the keys were changed. The scheduler does the same by itself, 200 at a time. A value that does not open counts as failed, with a warning; once done, another call begins anew if there were any. Callers: superusers. Errors: 22023.';
