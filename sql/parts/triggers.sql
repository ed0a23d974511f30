/* Caches in every backend follow each change of the configuration, whoever makes it. */
CREATE FUNCTION qms_internal.configuration_changed() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'qms_configuration_changed';
COMMENT ON FUNCTION qms_internal.configuration_changed() IS 'Statement trigger: tells every backend, at commit, that remembered configuration is out of date.';

CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.organization FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.branch FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.zone FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.service FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.service_offer FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.application FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.release_pool FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.queue FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.customer_class FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.counter FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.counter_profile FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.staff FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.role_binding FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.opening_hours FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.closure FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.api_key FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.device FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms_internal.signing_key FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms_internal.access_key FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.alert_rule FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();
CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON qms.staffing_plan FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.configuration_changed();

/* The states of a ticket, for every writer. */
CREATE FUNCTION qms_internal.guard_ticket() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'qms_guard_ticket';
COMMENT ON FUNCTION qms_internal.guard_ticket() IS 'Row trigger of qms.ticket: refuses every change of state that the transition table does not hold, and every DELETE or TRUNCATE that is not part of ending a ticket. Errors: QM401, QM415.';

CREATE TRIGGER guard_ticket BEFORE INSERT OR UPDATE OR DELETE ON qms.ticket FOR EACH ROW EXECUTE FUNCTION qms_internal.guard_ticket();
CREATE TRIGGER guard_ticket_truncate BEFORE TRUNCATE ON qms.ticket FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.guard_ticket();

/* The event log is written once.  The row trigger reaches every partition when it is attached; that of TRUNCATE is made with each. */
CREATE FUNCTION qms_internal.guard_event() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'qms_guard_event';
COMMENT ON FUNCTION qms_internal.guard_event() IS 'Trigger of qms.event and its partitions: refuses every UPDATE, DELETE and TRUNCATE. Errors: QM415.';

CREATE TRIGGER guard_event BEFORE UPDATE OR DELETE ON qms.event FOR EACH ROW EXECUTE FUNCTION qms_internal.guard_event();
CREATE TRIGGER guard_event_truncate BEFORE TRUNCATE ON qms.event FOR EACH STATEMENT EXECUTE FUNCTION qms_internal.guard_event();

/* The pick asks it for each row of its scan. */
CREATE FUNCTION qms_internal.may_call(sort_key bigint, ticket_id bigint, visit_id bigint, customer_class_id bigint, effective_arrival timestamptz,
	wanted_counter_id bigint, wanted_staff_id bigint, wanted_until timestamptz, requires_skill text[])
RETURNS boolean LANGUAGE c VOLATILE
AS 'MODULE_PATHNAME', 'qms_may_call';
COMMENT ON FUNCTION qms_internal.may_call IS 'May the counter that is calling call this waiting ticket? Of use in the scan of call_next only; refused elsewhere.';
