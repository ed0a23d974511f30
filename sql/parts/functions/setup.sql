/* Set-up: what an organization is made of. */

CREATE FUNCTION qms.create_organization(name text, slug text DEFAULT NULL, time_zone text DEFAULT 'UTC', settings jsonb DEFAULT '{}',
	names jsonb DEFAULT '{}', request_id uuid DEFAULT NULL)
RETURNS qms.organization LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_organization';
COMMENT ON FUNCTION qms.create_organization IS 'Creates an organization with the customer class regular (no credit, self-service). The first one in an empty database also marks the database as set up here. slug: for URLs, made from the name; time_zone: of branches that have none of their own; names: {language tag: text} shown instead of name. Callers: superusers. Errors: QM703 unknown time zone, 22023 bad name or slug, 23505 slug in use.';

CREATE FUNCTION qms.update_organization(organization_id bigint, name text DEFAULT NULL, slug text DEFAULT NULL, time_zone text DEFAULT NULL,
	settings jsonb DEFAULT NULL, names jsonb DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.organization LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_organization';
COMMENT ON FUNCTION qms.update_organization IS 'Changes what is given; null leaves it as it is. settings are merged, a key with null is removed; names are replaced. Callers: superusers and whoever administers the whole organization. Errors: QM101, QM703, 22023, 23505.';

CREATE FUNCTION qms.delete_organization(organization_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.organization LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_organization';
COMMENT ON FUNCTION qms.delete_organization IS 'Deletes an organization (softly: the row stays with deleted_at) and unbinds its roles. Callers: superusers. Errors: QM101, QM416 while branches or applications are left.';

CREATE FUNCTION qms.create_branch(organization_id bigint, name text, time_zone text DEFAULT NULL, slug text DEFAULT NULL,
	names jsonb DEFAULT '{}', networks cidr[] DEFAULT '{}', settings jsonb DEFAULT '{}',
	request_id uuid DEFAULT NULL)
RETURNS qms.branch LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_branch';
COMMENT ON FUNCTION qms.create_branch IS 'Creates a branch. time_zone: null is that of the organization; networks: where its devices are. Callers: superusers and whoever administers the whole organization. Errors: QM101, QM703, 22023, 23505 slug in use.';

CREATE FUNCTION qms.update_branch(branch_id bigint, name text DEFAULT NULL, time_zone text DEFAULT NULL, slug text DEFAULT NULL,
	names jsonb DEFAULT NULL, networks cidr[] DEFAULT NULL, settings jsonb DEFAULT NULL,
	request_id uuid DEFAULT NULL)
RETURNS qms.branch LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_branch';
COMMENT ON FUNCTION qms.update_branch IS 'Changes what is given; null leaves it as it is. An empty time_zone is that of the organization; settings are merged, a key with null is removed. Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM703, 22023, 23505.';

CREATE FUNCTION qms.delete_branch(branch_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.branch LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_branch';
COMMENT ON FUNCTION qms.delete_branch IS 'Deletes a branch (softly). Callers: superusers and whoever administers the whole organization. Errors: QM101, QM416 while queues or counters are left.';

CREATE FUNCTION qms.create_zone(branch_id bigint, name text, names jsonb DEFAULT '{}', request_id uuid DEFAULT NULL)
RETURNS qms.zone LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_zone';
COMMENT ON FUNCTION qms.create_zone IS 'Creates a zone of a branch, such as a floor or a waiting area: counters stand in it, displays show it. Callers: superusers and administrators of the organization or the branch. Errors: QM101, 22023, 23505 name in use.';

CREATE FUNCTION qms.update_zone(zone_id bigint, name text DEFAULT NULL, names jsonb DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.zone LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_zone';
COMMENT ON FUNCTION qms.update_zone IS 'Changes what is given; null leaves it as it is. Callers: superusers and administrators of the organization or the branch. Errors: QM101, 22023, 23505.';

CREATE FUNCTION qms.delete_zone(zone_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.zone LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_zone';
COMMENT ON FUNCTION qms.delete_zone IS 'Deletes a zone (softly). Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM416 while counters stand in it.';

CREATE FUNCTION qms.create_service(organization_id bigint, name text, expected_duration interval DEFAULT NULL, code text DEFAULT NULL,
	credit interval DEFAULT '0', requires_skill text[] DEFAULT '{}', slug text DEFAULT NULL,
	names jsonb DEFAULT '{}', request_id uuid DEFAULT NULL)
RETURNS qms.service LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_service';
COMMENT ON FUNCTION qms.create_service IS 'Creates a service of the organization; branches offer it with offer_service. expected_duration: of one customer; code: a short key of the organization''s own, unique; credit: how much earlier than he came its customer counts as having come; requires_skill: what a staff member must be able to do. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023, 23505 slug or code in use.';

CREATE FUNCTION qms.update_service(service_id bigint, name text DEFAULT NULL, expected_duration interval DEFAULT NULL, code text DEFAULT NULL,
	credit interval DEFAULT NULL, requires_skill text[] DEFAULT NULL, slug text DEFAULT NULL,
	names jsonb DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.service LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_service';
COMMENT ON FUNCTION qms.update_service IS 'Changes what is given; null leaves it as it is; an expected_duration of 0 or an empty code removes it. Tickets that wait keep the credit and skills they joined with. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023, 23505.';

CREATE FUNCTION qms.delete_service(service_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.service LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_service';
COMMENT ON FUNCTION qms.delete_service IS 'Deletes a service (softly). Callers: superusers and whoever administers the whole organization. Errors: QM101, QM416 while queues offer it.';

CREATE FUNCTION qms.offer_service(branch_id bigint, service_id bigint, queue_id bigint, requires_skill text[] DEFAULT '{}',
	is_default boolean DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.service_offer LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_offer_service';
COMMENT ON FUNCTION qms.offer_service IS 'Offers a service in a branch through one of its counter queues. is_default: the queue for those who name branch and service only; the first queue that offers a service is the default one unless false is given, and true takes it from the one before. requires_skill: on top of those of the service. Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM307, 22023 queue of another branch, 23505 offered there already.';

CREATE FUNCTION qms.update_service_offer(service_offer_id bigint, requires_skill text[] DEFAULT NULL, is_default boolean DEFAULT NULL,
	request_id uuid DEFAULT NULL)
RETURNS qms.service_offer LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_service_offer';
COMMENT ON FUNCTION qms.update_service_offer IS 'Changes what is given; null leaves it as it is. Callers: superusers and administrators of the organization or the branch. Errors: QM101, 22023.';

CREATE FUNCTION qms.delete_service_offer(service_offer_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.service_offer LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_service_offer';
COMMENT ON FUNCTION qms.delete_service_offer IS 'Ends an offer (softly); tickets that wait keep their service. Callers: superusers and administrators of the organization or the branch. Errors: QM101.';

CREATE FUNCTION qms.create_application(organization_id bigint, name text, allowed_origins text[] DEFAULT '{}', settings jsonb DEFAULT '{}',
	names jsonb DEFAULT '{}', request_id uuid DEFAULT NULL)
RETURNS qms.application LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_application';
COMMENT ON FUNCTION qms.create_application IS 'Creates an application, which owns waiting rooms (release queues). allowed_origins: from which web pages browsers may call, such as https://shop.example. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023, 23505 name in use.';

CREATE FUNCTION qms.update_application(application_id bigint, name text DEFAULT NULL, allowed_origins text[] DEFAULT NULL,
	settings jsonb DEFAULT NULL, names jsonb DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.application LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_application';
COMMENT ON FUNCTION qms.update_application IS 'Changes what is given; null leaves it as it is; settings are merged, a key with null is removed. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023, 23505.';

CREATE FUNCTION qms.delete_application(application_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.application LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_application';
COMMENT ON FUNCTION qms.delete_application IS 'Deletes an application (softly) and unbinds its roles. Callers: superusers and whoever administers the whole organization. Errors: QM101, QM416 while queues or release pools are left.';

CREATE FUNCTION qms.create_release_pool(application_id bigint, rate qms.release_rate, max_active int DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.release_pool LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_release_pool';
COMMENT ON FUNCTION qms.create_release_pool IS 'Creates a pool: several release queues of an application share its rate, and max_active people let in at a time (null or 0: no limit). Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023.';

CREATE FUNCTION qms.update_release_pool(release_pool_id bigint, rate qms.release_rate DEFAULT NULL, max_active int DEFAULT NULL,
	request_id uuid DEFAULT NULL)
RETURNS qms.release_pool LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_release_pool';
COMMENT ON FUNCTION qms.update_release_pool IS 'Changes what is given; null leaves it as it is; a max_active of 0 removes the limit. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023.';

CREATE FUNCTION qms.delete_release_pool(release_pool_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.release_pool LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_release_pool';
COMMENT ON FUNCTION qms.delete_release_pool IS 'Deletes a pool (softly). Callers: superusers and whoever administers the whole organization. Errors: QM101, QM416 while queues share it.';

CREATE FUNCTION qms.create_queue(name text, branch_id bigint DEFAULT NULL, application_id bigint DEFAULT NULL, kind text DEFAULT 'counter',
	prefix text DEFAULT NULL, settings jsonb DEFAULT '{}', slug text DEFAULT NULL, names jsonb DEFAULT '{}',
	release_pool_id bigint DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.queue LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_queue';
COMMENT ON FUNCTION qms.create_queue IS 'Creates a queue of a branch or of an application; it is open at once. kind: counter (people are called to counters) or release (people are let in by a rate; the only kind of an application). prefix: 0 to 5 letters before the numbers of a counter queue, unique in the branch; the next free of A, B, ... Z, AA, ... when left out. settings: see qms.queue_setting_keys(). Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM307, QM701 unknown setting, QM702 bad value of a setting, 22023, 23505 prefix or slug in use.';

CREATE FUNCTION qms.update_queue(queue_id bigint, name text DEFAULT NULL, prefix text DEFAULT NULL, settings jsonb DEFAULT NULL,
	slug text DEFAULT NULL, names jsonb DEFAULT NULL, release_pool_id bigint DEFAULT NULL,
	request_id uuid DEFAULT NULL)
RETURNS qms.queue LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_queue';
COMMENT ON FUNCTION qms.update_queue IS 'Changes what is given; null leaves it as it is. settings are merged, a key with null goes back to its default; a release_pool_id of 0 takes the queue out of its pool; a new prefix counts for tickets from now on. Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM701, QM702, 22023, 23505.';

CREATE FUNCTION qms.delete_queue(queue_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.queue LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_queue';
COMMENT ON FUNCTION qms.delete_queue IS 'Deletes a queue (softly). Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM416 while a ticket is open in it, a counter or profile names it, or a service is offered through it.';

CREATE FUNCTION qms.create_counter(branch_id bigint, name text, queue_ids bigint[], zone_id bigint DEFAULT NULL, slug text DEFAULT NULL,
	names jsonb DEFAULT '{}', request_id uuid DEFAULT NULL)
RETURNS qms.counter LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_counter';
COMMENT ON FUNCTION qms.create_counter IS 'Creates a counter that serves these counter queues of its branch, in a zone or in none. Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM307, 22023 queue or zone of another branch, 23505 slug in use.';

CREATE FUNCTION qms.update_counter(counter_id bigint, name text DEFAULT NULL, queue_ids bigint[] DEFAULT NULL, zone_id bigint DEFAULT NULL,
	slug text DEFAULT NULL, names jsonb DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.counter LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_counter';
COMMENT ON FUNCTION qms.update_counter IS 'Changes what is given; null leaves it as it is; a zone_id of 0 puts it in no zone. Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM307, 22023, 23505.';

CREATE FUNCTION qms.delete_counter(counter_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.counter LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_counter';
COMMENT ON FUNCTION qms.delete_counter IS 'Deletes a counter (softly). Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM416 while it is open.';

CREATE FUNCTION qms.create_counter_profile(branch_id bigint, name text, policy text DEFAULT 'fifo', sources jsonb DEFAULT NULL,
	blind boolean DEFAULT false, auto_call boolean DEFAULT false, request_id uuid DEFAULT NULL)
RETURNS qms.counter_profile LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_counter_profile';
COMMENT ON FUNCTION qms.create_counter_profile IS 'Creates a profile to open counters with. policy: fifo (smallest key of all sources), strict (the order of the sources), ratio (turns by weight), weighted (waiting time times weight). sources: an array of {"queue_id": id, "customer_class": name (optional), "weight": above 0 to 1000 (optional, 1)}; null: the queues of the counter. blind: staff see no personal data and may not choose; auto_call: the next is called when one is done. Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM307, 22023 bad policy or source, 23505 name in use.';

CREATE FUNCTION qms.update_counter_profile(counter_profile_id bigint, name text DEFAULT NULL, policy text DEFAULT NULL, sources jsonb DEFAULT NULL,
	blind boolean DEFAULT NULL, auto_call boolean DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.counter_profile LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_counter_profile';
COMMENT ON FUNCTION qms.update_counter_profile IS 'Changes what is given; null leaves it as it is; sources of JSON null are the queues of the counter. Counters that are open with it follow with their next call. Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM307, 22023, 23505.';

CREATE FUNCTION qms.delete_counter_profile(counter_profile_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.counter_profile LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_counter_profile';
COMMENT ON FUNCTION qms.delete_counter_profile IS 'Deletes a profile (softly). Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM416 while a counter is open with it.';

CREATE FUNCTION qms.create_customer_class(organization_id bigint, name text, credit interval DEFAULT '0', self_service boolean DEFAULT false,
	names jsonb DEFAULT '{}', request_id uuid DEFAULT NULL)
RETURNS qms.customer_class LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_customer_class';
COMMENT ON FUNCTION qms.create_customer_class IS 'Creates a class of customers. credit: how much earlier than he came a customer of the class counts as having come (negative: later); self_service: customers may name it themselves. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023, 23505 name in use.';

CREATE FUNCTION qms.update_customer_class(customer_class_id bigint, name text DEFAULT NULL, credit interval DEFAULT NULL,
	self_service boolean DEFAULT NULL, names jsonb DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.customer_class LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_customer_class';
COMMENT ON FUNCTION qms.update_customer_class IS 'Changes what is given; null leaves it as it is. Tickets that wait keep their credit. Callers: superusers and whoever administers the whole organization. Errors: QM101, QM416 a name that a profile uses or regular, 22023, 23505.';

CREATE FUNCTION qms.delete_customer_class(customer_class_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.customer_class LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_customer_class';
COMMENT ON FUNCTION qms.delete_customer_class IS 'Deletes a class (softly); its open tickets keep it. Callers: superusers and whoever administers the whole organization. Errors: QM101, QM416 for regular and while a profile names it.';

CREATE FUNCTION qms.create_staff(organization_id bigint, username text, display_name text DEFAULT NULL, role text DEFAULT 'servicer',
	skills text[] DEFAULT '{}', branch_ids bigint[] DEFAULT '{}', queue_ids bigint[] DEFAULT '{}', application_ids bigint[] DEFAULT '{}',
	permissions jsonb DEFAULT '{}', request_id uuid DEFAULT NULL)
RETURNS qms.staff LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_staff';
COMMENT ON FUNCTION qms.create_staff IS 'Creates a staff member. role: admin, app_admin, reception, caller or servicer; branch_ids: where he works ({}: everywhere); queue_ids: with whose tickets ({}: all there); application_ids: what an app_admin administers ({}: all); permissions: {"grant": [...], "deny": [...]} of actions in qms.permission, such as "ticket.cancel:self" or "ticket.*"; display_name: the user name when left out. Bind a database role to him with bind_role. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023, 23505 user name in use.';

CREATE FUNCTION qms.update_staff(staff_id bigint, username text DEFAULT NULL, display_name text DEFAULT NULL, role text DEFAULT NULL,
	skills text[] DEFAULT NULL, branch_ids bigint[] DEFAULT NULL, queue_ids bigint[] DEFAULT NULL, application_ids bigint[] DEFAULT NULL,
	permissions jsonb DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.staff LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_staff';
COMMENT ON FUNCTION qms.update_staff IS 'Changes what is given; null leaves it as it is; permissions are merged, a key with null is removed. An open counter keeps the skills it was opened with. Callers: superusers and whoever administers the whole organization. Errors: QM101, 22023, 23505.';

CREATE FUNCTION qms.delete_staff(staff_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.staff LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_staff';
COMMENT ON FUNCTION qms.delete_staff IS 'Deletes a staff member (softly) and unbinds his roles. Callers: superusers and whoever administers the whole organization. Errors: QM101, QM416 while he has a counter open.';

CREATE FUNCTION qms.bind_role(role_name text, organization_id bigint, kind text DEFAULT NULL, staff_id bigint DEFAULT NULL,
	application_id bigint DEFAULT NULL, branch_ids bigint[] DEFAULT '{}', request_id uuid DEFAULT NULL)
RETURNS qms.role_binding LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_bind_role';
COMMENT ON FUNCTION qms.bind_role IS 'Says who a database role is in qms. kind: admin, kiosk, display or customer; staff and application follow from staff_id and application_id. branch_ids: only these branches ({}: all). One binding a role. Callers: superusers; whoever administers the whole organization, for roles that he administers in the database (ADMIN OPTION or CREATEROLE). Errors: QM101, QM202 a superuser or a role of qms itself, 42704 no such role, 42501, 22023, 23505 bound already.';

CREATE FUNCTION qms.unbind_role(role_name text, request_id uuid DEFAULT NULL)
RETURNS qms.role_binding LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_unbind_role';
COMMENT ON FUNCTION qms.unbind_role IS 'Takes a role''s place in its organization away. Callers: superusers and whoever administers the whole organization. Errors: QM101 when it is not bound.';

CREATE FUNCTION qms.set_opening_hours(hours jsonb, branch_id bigint DEFAULT NULL, queue_id bigint DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS SETOF qms.opening_hours LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_set_opening_hours';
COMMENT ON FUNCTION qms.set_opening_hours IS 'Replaces the opening hours of a branch or of a queue, whose own count before those of its branch. hours: {"mon": [["08:00", "12:00"], ["13:00", "18:00"]], "tue": ...}, keys mon to sun, in local time; a day that is not named is closed; until midnight is "24:00". null or {} removes them: without hours it is always open. When they open or close a queue that nobody has closed, the scheduler writes queue.opened or queue.closed. Callers: superusers and administrators of the organization or the branch. Errors: QM101, QM704 hours that make no sense or overlap.';

CREATE FUNCTION qms.add_closure(branch_id bigint, during tstzrange, reason text, request_id uuid DEFAULT NULL)
RETURNS qms.closure LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_add_closure';
COMMENT ON FUNCTION qms.add_closure IS 'Closes a branch for a time, whatever its hours are: holidays, works, an assembly. At its beginning and end the scheduler writes queue.closed and queue.opened for each queue. Callers: superusers and administrators of the organization or the branch. Errors: QM101, 22023.';

CREATE FUNCTION qms.update_closure(closure_id bigint, during tstzrange DEFAULT NULL, reason text DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.closure LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_closure';
COMMENT ON FUNCTION qms.update_closure IS 'Changes what is given; null leaves it as it is. Callers: superusers and administrators of the organization or the branch. Errors: QM101, 22023.';

CREATE FUNCTION qms.delete_closure(closure_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.closure LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_closure';
COMMENT ON FUNCTION qms.delete_closure IS 'Takes a closure back (softly). Callers: superusers and administrators of the organization or the branch. Errors: QM101.';

CREATE FUNCTION qms.queue_setting_keys(OUT key text, OUT kind text, OUT unit text, OUT default_value text, OUT description text, OUT applies_to text)
RETURNS SETOF record LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_queue_setting_keys';
COMMENT ON FUNCTION qms.queue_setting_keys IS 'The settings of a queue: key, kind of value, unit, default (null: none), what it does, and to which kind of queue it applies (counter, release, both). Durations are interval texts such as "90 s", or numbers of seconds. Callers: everybody in an organization.';
