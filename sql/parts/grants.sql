/*
 * Owner and grants, in one place and after everything else.  The groups say who
 * may call a function at all; the gate in C decides on each call.
 */
CREATE FUNCTION qms_internal.take_ownership() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'qms_take_ownership';
SELECT qms_internal.take_ownership();
DROP FUNCTION qms_internal.take_ownership();

GRANT USAGE ON SCHEMA qms TO PUBLIC;

/* Operators and helpers of the types, the list views: everybody who works with qms. */
GRANT EXECUTE ON FUNCTION
	qms.prefix, qms.number, qms.make_ticket_number, qms.released, qms.per_second,
	qms_internal.ticket_number_eq, qms_internal.ticket_number_ne, qms_internal.ticket_number_lt,
	qms_internal.ticket_number_le, qms_internal.ticket_number_gt, qms_internal.ticket_number_ge,
	qms_internal.ticket_number_cmp, qms_internal.ticket_number_hash, qms_internal.ticket_number_in, qms_internal.ticket_number_out,
	qms_internal.ticket_token_eq, qms_internal.ticket_token_ne, qms_internal.ticket_token_in, qms_internal.ticket_token_out,
	qms_internal.release_rate_eq, qms_internal.release_rate_ne, qms_internal.release_rate_lt,
	qms_internal.release_rate_le, qms_internal.release_rate_gt, qms_internal.release_rate_ge,
	qms_internal.release_rate_cmp, qms_internal.release_rate_hash, qms_internal.release_rate_in, qms_internal.release_rate_out,
	qms_internal.sees, qms_internal.staff_sees, qms_internal.admin_sees, qms_internal.sees_queue
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_display, qms_kiosk, qms_customer, qms_app;

GRANT SELECT ON
	qms.organizations, qms.branches, qms.zones, qms.services, qms.service_offers, qms.queues, qms.customer_classes,
	qms.counters, qms.opening_hours_list, qms.closures
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_display, qms_kiosk, qms_customer, qms_app;
GRANT SELECT ON
	qms.applications, qms.release_pools, qms.counter_profiles, qms.staff_members, qms.staffing_plans
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_app;
GRANT SELECT ON qms.role_bindings, qms.hooks TO qms_super_admin, qms_admin;

/* Functions: the table of permissions says it all. */
CREATE FUNCTION qms_internal.grant_permissions() RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'qms_grant_permissions';
SELECT qms_internal.grant_permissions();
DROP FUNCTION qms_internal.grant_permissions();
GRANT EXECUTE ON FUNCTION qms.events_since, qms.stream_position TO qms_gateway;
GRANT USAGE ON SCHEMA qms_internal TO qms_gateway;
GRANT EXECUTE ON FUNCTION qms_internal.gateway_hello, qms_internal.gateway_events, qms_internal.gateway_check, qms_internal.gateway_channels TO qms_gateway;
GRANT SELECT ON qms.permission TO qms_super_admin, qms_admin;

/* Tables, within row-level security.  What identifies or opens something stays with the functions. */
GRANT SELECT ON
	qms.organization, qms.branch, qms.zone, qms.service, qms.service_offer, qms.application, qms.release_pool, qms.queue,
	qms.customer_class, qms.counter, qms.counter_profile, qms.staff, qms.role_binding, qms.opening_hours, qms.closure, qms.staffing_plan,
	qms.staff_session, qms.setting, qms.event, qms.event_consumer
TO qms_super_admin, qms_admin;

GRANT EXECUTE ON FUNCTION qms_internal.worker_status TO qms_super_admin, qms_admin;
GRANT SELECT ON qms.worker_status TO qms_super_admin, qms_admin;
GRANT EXECUTE ON FUNCTION qms_internal.gateway_status TO qms_super_admin, qms_admin;
GRANT SELECT ON qms.gateway_status TO qms_super_admin, qms_admin;
GRANT USAGE ON SCHEMA qms_internal TO qms_gateway;
GRANT EXECUTE ON FUNCTION qms_internal.gateway_report TO qms_gateway;

/* Keys and devices: lists for those who look after them; what PostgREST calls for every role it acts as. */
GRANT SELECT ON qms.api_keys TO qms_super_admin, qms_admin, qms_app_admin;
GRANT SELECT ON qms.devices TO qms_super_admin, qms_admin, qms_reception, qms_caller, qms_servicer;
GRANT SELECT ON qms.api_key, qms.device TO qms_super_admin, qms_admin;
GRANT EXECUTE ON FUNCTION qms_internal.sees_application TO qms_super_admin, qms_admin, qms_app_admin;
GRANT EXECUTE ON FUNCTION qms.pre_request
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_display, qms_kiosk, qms_customer, qms_app;

/* met: metrics and alerts. */
GRANT EXECUTE ON FUNCTION qms_internal.gateway_metrics TO qms_gateway;
GRANT SELECT ON qms.alert_rules, qms.alerts TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_app;
GRANT SELECT ON qms.alert_rule TO qms_super_admin, qms_admin;
/* snap: statistics */
GRANT SELECT ON qms.analytics_snapshot, qms.staff_snapshot TO qms_super_admin, qms_admin;
GRANT EXECUTE ON FUNCTION
	qms.make_wait_sketch, qms.sketch_quantile, qms.sketch_count, qms.sketch_count_up_to, qms.sketch_merge,
	qms_internal.wait_sketch_in, qms_internal.wait_sketch_out
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_display, qms_kiosk, qms_customer, qms_app;

/* report */
GRANT SELECT ON qms.report_schedules, qms.reports TO qms_super_admin, qms_admin;
