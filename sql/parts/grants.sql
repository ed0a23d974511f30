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
	qms_internal.sees, qms_internal.staff_sees, qms_internal.admin_sees
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_display, qms_kiosk, qms_customer, qms_app;

GRANT SELECT ON
	qms.organizations, qms.branches, qms.zones, qms.services, qms.service_offers, qms.queues, qms.customer_classes,
	qms.counters, qms.opening_hours_list, qms.closures
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_display, qms_kiosk, qms_customer, qms_app;
GRANT SELECT ON
	qms.applications, qms.release_pools, qms.counter_profiles, qms.staff_members
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_app;
GRANT SELECT ON qms.role_bindings TO qms_super_admin, qms_admin;

/* What the public looks at. */
GRANT EXECUTE ON FUNCTION qms.branch_info, qms.queue_status, qms.queue_setting_keys
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_display, qms_kiosk, qms_customer, qms_app;

/* Customers. */
GRANT EXECUTE ON FUNCTION
	qms.join_queue, qms.ticket_status, qms.visit_status, qms.leave_queue, qms.defer_ticket, qms.heartbeat
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_kiosk, qms_customer, qms_app;

/* Work at a counter. */
GRANT EXECUTE ON FUNCTION
	qms.open_counter, qms.pause_counter, qms.resume_counter, qms.close_counter, qms.call_next, qms.call_ticket,
	qms.recall_ticket, qms.start_service, qms.complete_service, qms.mark_no_show, qms.serve_walk_up, qms.undo
TO qms_super_admin, qms_admin, qms_reception, qms_caller, qms_servicer;

/* What staff see. */
GRANT EXECUTE ON FUNCTION
	qms.counter_status, qms.waiting_list, qms.find_tickets, qms.get_ticket, qms.explain_call, qms.branch_status
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_app;

/* Other people's tickets. */
GRANT EXECUTE ON FUNCTION
	qms.hold_ticket, qms.resume_ticket, qms.requeue_ticket, qms.transfer_ticket, qms.cancel_ticket, qms.reinstate_ticket,
	qms.update_ticket, qms.open_queue, qms.pause_queue, qms.close_queue
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_servicer, qms_app;

/* Configuration. */
GRANT EXECUTE ON FUNCTION
	qms.update_organization,
	qms.create_branch, qms.update_branch, qms.delete_branch,
	qms.create_zone, qms.update_zone, qms.delete_zone,
	qms.create_service, qms.update_service, qms.delete_service,
	qms.offer_service, qms.update_service_offer, qms.delete_service_offer,
	qms.create_application, qms.update_application, qms.delete_application,
	qms.create_release_pool, qms.update_release_pool, qms.delete_release_pool,
	qms.create_queue, qms.update_queue, qms.delete_queue,
	qms.create_counter, qms.update_counter, qms.delete_counter,
	qms.create_counter_profile, qms.update_counter_profile, qms.delete_counter_profile,
	qms.create_customer_class, qms.update_customer_class, qms.delete_customer_class,
	qms.create_staff, qms.update_staff, qms.delete_staff,
	qms.set_opening_hours, qms.add_closure, qms.update_closure, qms.delete_closure,
	qms.bind_role, qms.unbind_role
TO qms_super_admin, qms_admin;
GRANT EXECUTE ON FUNCTION qms.create_organization, qms.delete_organization TO qms_super_admin;

/* The stream. */
GRANT EXECUTE ON FUNCTION qms.events_since, qms.stream_position
TO qms_super_admin, qms_admin, qms_app_admin, qms_reception, qms_caller, qms_servicer, qms_display, qms_kiosk, qms_customer, qms_app, qms_gateway;
GRANT EXECUTE ON FUNCTION qms.create_consumer, qms.delete_consumer, qms.consumer_read, qms.consumer_advance TO qms_super_admin, qms_admin;
GRANT EXECUTE ON FUNCTION qms.adopt_database TO qms_super_admin;
GRANT EXECUTE ON FUNCTION qms_internal.worker_status TO qms_super_admin, qms_admin;
GRANT SELECT ON qms.worker_status TO qms_super_admin, qms_admin;
