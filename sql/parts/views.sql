/*
 * List views: what is not deleted, of the organizations and branches that the
 * caller may see.  They are there for everybody but empty for somebody without
 * a principal.
 */
CREATE FUNCTION qms_internal.sees(organization_id bigint, branch_id bigint) RETURNS boolean
LANGUAGE c STABLE COST 50
AS 'MODULE_PATHNAME', 'qms_sees';
COMMENT ON FUNCTION qms_internal.sees IS 'For the list views: may the caller see this organization, and this branch (null: what belongs to no branch)? False, and no error, for somebody without a principal.';

CREATE FUNCTION qms_internal.staff_sees(organization_id bigint, branch_id bigint) RETURNS boolean
LANGUAGE c STABLE COST 50
AS 'MODULE_PATHNAME', 'qms_staff_sees';
COMMENT ON FUNCTION qms_internal.staff_sees IS 'As sees, but true for superusers, admins, staff and applications only.';

CREATE FUNCTION qms_internal.admin_sees(organization_id bigint, branch_id bigint) RETURNS boolean
LANGUAGE c STABLE COST 50
AS 'MODULE_PATHNAME', 'qms_admin_sees';
COMMENT ON FUNCTION qms_internal.admin_sees IS 'As sees, but true for superusers and admins only.';

-- What everybody in an organization may see.
CREATE VIEW qms.organizations WITH (security_barrier) AS
SELECT o.organization_id, o.name, o.slug, o.names, o.time_zone,
	CASE WHEN qms_internal.staff_sees(o.organization_id, NULL) THEN o.settings END AS settings, o.created_at, o.updated_at
FROM qms.organization o
WHERE o.deleted_at IS NULL AND qms_internal.sees(o.organization_id, NULL);

CREATE VIEW qms.branches WITH (security_barrier) AS
SELECT b.branch_id, b.organization_id, b.name, b.slug, b.names, coalesce(b.time_zone, o.time_zone) AS time_zone,
	CASE WHEN qms_internal.staff_sees(b.organization_id, b.branch_id) THEN b.networks END AS networks,
	CASE WHEN qms_internal.staff_sees(b.organization_id, b.branch_id) THEN b.settings END AS settings, b.created_at, b.updated_at
FROM qms.branch b JOIN qms.organization o ON o.organization_id = b.organization_id
WHERE b.deleted_at IS NULL AND o.deleted_at IS NULL AND qms_internal.sees(b.organization_id, b.branch_id);

CREATE VIEW qms.zones WITH (security_barrier) AS
SELECT z.zone_id, z.organization_id, z.branch_id, z.name, z.names, z.created_at, z.updated_at
FROM qms.zone z JOIN qms.branch b ON b.branch_id = z.branch_id
WHERE z.deleted_at IS NULL AND b.deleted_at IS NULL AND qms_internal.sees(z.organization_id, z.branch_id);

CREATE VIEW qms.services WITH (security_barrier) AS
SELECT s.service_id, s.organization_id, s.name, s.slug, s.names, s.code, s.expected_duration, s.credit, s.requires_skill, s.created_at, s.updated_at
FROM qms.service s
WHERE s.deleted_at IS NULL AND qms_internal.sees(s.organization_id, NULL);

CREATE VIEW qms.queues WITH (security_barrier) AS
SELECT q.queue_id, q.organization_id, q.branch_id, q.application_id, q.release_pool_id, q.kind, q.name, q.slug, q.names, q.prefix, q.status, q.settings, q.created_at, q.updated_at
FROM qms.queue q LEFT JOIN qms.branch b ON b.branch_id = q.branch_id LEFT JOIN qms.application a ON a.application_id = q.application_id
WHERE q.deleted_at IS NULL AND b.deleted_at IS NULL AND a.deleted_at IS NULL AND qms_internal.sees(q.organization_id, q.branch_id)
	AND (q.settings -> 'public' IS DISTINCT FROM 'false' OR qms_internal.staff_sees(q.organization_id, q.branch_id));

CREATE VIEW qms.service_offers WITH (security_barrier) AS
SELECT f.service_offer_id, f.organization_id, f.branch_id, f.service_id, s.name AS service_name, f.queue_id, q.name AS queue_name, f.requires_skill, f.is_default, f.created_at, f.updated_at
FROM qms.service_offer f JOIN qms.service s ON s.service_id = f.service_id JOIN qms.queue q ON q.queue_id = f.queue_id JOIN qms.branch b ON b.branch_id = f.branch_id
WHERE f.deleted_at IS NULL AND s.deleted_at IS NULL AND q.deleted_at IS NULL AND b.deleted_at IS NULL AND qms_internal.sees(f.organization_id, f.branch_id)
	AND (q.settings -> 'public' IS DISTINCT FROM 'false' OR qms_internal.staff_sees(f.organization_id, f.branch_id));

CREATE VIEW qms.customer_classes WITH (security_barrier) AS
SELECT k.customer_class_id, k.organization_id, k.name, k.names, k.credit, k.self_service, k.created_at, k.updated_at
FROM qms.customer_class k
WHERE k.deleted_at IS NULL AND qms_internal.sees(k.organization_id, NULL);

CREATE VIEW qms.counters WITH (security_barrier) AS
SELECT c.counter_id, c.organization_id, c.branch_id, c.zone_id, c.name, c.slug, c.names, c.queue_ids,
	s.staff_session_id IS NOT NULL AS is_open, s.paused_at IS NOT NULL AS is_paused, c.created_at, c.updated_at
FROM qms.counter c JOIN qms.branch b ON b.branch_id = c.branch_id
	LEFT JOIN qms.staff_session s ON s.counter_id = c.counter_id AND s.closed_at IS NULL
WHERE c.deleted_at IS NULL AND b.deleted_at IS NULL AND qms_internal.sees(c.organization_id, c.branch_id);

CREATE VIEW qms.opening_hours_list WITH (security_barrier) AS
SELECT h.opening_hours_id, h.organization_id, coalesce(h.branch_id, q.branch_id) AS branch_id, h.queue_id, h.weekday, h.opens, h.closes
FROM qms.opening_hours h LEFT JOIN qms.queue q ON q.queue_id = h.queue_id LEFT JOIN qms.branch b ON b.branch_id = coalesce(h.branch_id, q.branch_id)
WHERE q.deleted_at IS NULL AND b.deleted_at IS NULL AND qms_internal.sees(h.organization_id, coalesce(h.branch_id, q.branch_id))
	AND (q.settings -> 'public' IS DISTINCT FROM 'false' OR qms_internal.staff_sees(h.organization_id, coalesce(h.branch_id, q.branch_id)));

CREATE VIEW qms.closures WITH (security_barrier) AS
SELECT l.closure_id, l.organization_id, l.branch_id, l.during, l.reason, l.created_at, l.updated_at
FROM qms.closure l JOIN qms.branch b ON b.branch_id = l.branch_id
WHERE l.deleted_at IS NULL AND b.deleted_at IS NULL AND qms_internal.sees(l.organization_id, l.branch_id);

-- What staff and applications see.
CREATE VIEW qms.applications WITH (security_barrier) AS
SELECT a.application_id, a.organization_id, a.name, a.names, a.allowed_origins, a.settings, a.created_at, a.updated_at
FROM qms.application a
WHERE a.deleted_at IS NULL AND qms_internal.staff_sees(a.organization_id, NULL);

CREATE VIEW qms.release_pools WITH (security_barrier) AS
SELECT p.release_pool_id, p.organization_id, p.application_id, p.rate, p.max_active, p.created_at, p.updated_at
FROM qms.release_pool p JOIN qms.application a ON a.application_id = p.application_id
WHERE p.deleted_at IS NULL AND a.deleted_at IS NULL AND qms_internal.staff_sees(p.organization_id, NULL);

CREATE VIEW qms.counter_profiles WITH (security_barrier) AS
SELECT p.counter_profile_id, p.organization_id, p.branch_id, p.name, p.policy, p.sources, p.blind, p.auto_call, p.created_at, p.updated_at
FROM qms.counter_profile p JOIN qms.branch b ON b.branch_id = p.branch_id
WHERE p.deleted_at IS NULL AND b.deleted_at IS NULL AND qms_internal.staff_sees(p.organization_id, p.branch_id);

CREATE VIEW qms.staff_members WITH (security_barrier) AS
SELECT s.staff_id, s.organization_id, s.username, s.display_name, s.role, s.branch_ids, s.queue_ids, s.application_ids, s.skills, s.permissions, s.disabled_at, s.created_at, s.updated_at
FROM qms.staff s
WHERE s.deleted_at IS NULL AND qms_internal.staff_sees(s.organization_id, NULL);

-- What admins see.
CREATE VIEW qms.role_bindings WITH (security_barrier) AS
SELECT r.role_binding_id, r.organization_id, r.role_name, r.kind, r.staff_id, r.application_id, r.branch_ids, r.created_at
FROM qms.role_binding r
WHERE r.deleted_at IS NULL AND qms_internal.admin_sees(r.organization_id, NULL);

-- Keys and devices.
CREATE FUNCTION qms_internal.sees_application(organization_id bigint, application_id bigint) RETURNS boolean
LANGUAGE c STABLE COST 50
AS 'MODULE_PATHNAME', 'qms_sees_application';
COMMENT ON FUNCTION qms_internal.sees_application IS 'For the list of API keys and row-level security: does the caller administer this application?';

CREATE VIEW qms.api_keys WITH (security_barrier) AS
SELECT k.api_key_id, k.organization_id, k.application_id, a.name AS application_name, k.name, k.prefix, k.previous_prefix, k.previous_expires_at,
	k.queue_ids, k.functions, k.expires_at, k.revoked_at, l.seen_at AS last_used_at, k.created_at, k.updated_at
FROM qms.api_key k JOIN qms.application a ON a.application_id = k.application_id
	LEFT JOIN qms_internal.last_seen l ON l.kind = 'api_key' AND l.id = k.api_key_id AND l.organization_id = k.organization_id
WHERE a.deleted_at IS NULL AND qms_internal.sees_application(k.organization_id, k.application_id);

CREATE VIEW qms.devices WITH (security_barrier) AS
SELECT d.device_id, d.organization_id, d.branch_id, d.kind, d.name, d.prefix, d.paired_at,
	s.code_expires_at AS pairing_expires_at, l.seen_at AS last_seen_at, d.revoked_at, d.created_at, d.updated_at
FROM qms.device d JOIN qms.branch b ON b.branch_id = d.branch_id
	LEFT JOIN qms_internal.device_secret s ON s.device_id = d.device_id
	LEFT JOIN qms_internal.last_seen l ON l.kind = 'device' AND l.id = d.device_id AND l.organization_id = d.organization_id
WHERE b.deleted_at IS NULL AND qms_internal.staff_sees(d.organization_id, d.branch_id);

-- report
CREATE VIEW qms.report_schedules WITH (security_barrier) AS
SELECT s.report_schedule_id, s.organization_id, s.name, s.scope, s.every, s.time_of_day, s.language, s.with_staff, s.keep, s.next_due_at, s.created_at, s.updated_at
FROM qms.report_schedule s
WHERE s.deleted_at IS NULL AND qms_internal.admin_sees(s.organization_id, -1); -- those of all branches

CREATE VIEW qms.reports WITH (security_barrier) AS
SELECT r.report_id, r.organization_id, r.branch_id, r.queue_id, r.report_schedule_id, r.scope, r.since, r.before, r.language, r.made_at,
	pg_catalog.octet_length(r.html) AS bytes
FROM qms.report r
WHERE qms_internal.admin_sees(r.organization_id, coalesce(r.branch_id, -1));
-- predict
CREATE VIEW qms.staffing_plans WITH (security_barrier) AS
SELECT p.staffing_plan_id, p.organization_id, p.branch_id, p.queue_id, p.weekday, p.begins, p.ends, p.counters
FROM qms.staffing_plan p JOIN qms.queue q ON q.queue_id = p.queue_id JOIN qms.branch b ON b.branch_id = p.branch_id
WHERE q.deleted_at IS NULL AND b.deleted_at IS NULL AND qms_internal.staff_sees(p.organization_id, p.branch_id);
