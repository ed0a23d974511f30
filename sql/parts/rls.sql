/*
 * Row-level security, for whoever has been given SELECT on a table: the groups
 * of administrators by grants.sql, others by the DBA.  The functions and list
 * views run as the owner, who is not subject to it, and have checks of their own.
 */
CREATE FUNCTION qms_internal.sees_queue(organization_id bigint, branch_id bigint, application_id bigint, queue_id bigint) RETURNS boolean
LANGUAGE c STABLE COST 50
AS 'MODULE_PATHNAME', 'qms_sees_queue';
COMMENT ON FUNCTION qms_internal.sees_queue IS 'For row-level security: may the caller, a superuser, admin, staff member or application, see what belongs to this queue?';

-- What everybody in an organization may see.
ALTER TABLE qms.organization ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.organization FOR SELECT USING (qms_internal.sees(organization_id, NULL));
ALTER TABLE qms.branch ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.branch FOR SELECT USING (qms_internal.sees(organization_id, branch_id));
ALTER TABLE qms.zone ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.zone FOR SELECT USING (qms_internal.sees(organization_id, branch_id));
ALTER TABLE qms.service ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.service FOR SELECT USING (qms_internal.sees(organization_id, NULL));
ALTER TABLE qms.service_offer ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.service_offer FOR SELECT USING (qms_internal.sees(organization_id, branch_id));
ALTER TABLE qms.customer_class ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.customer_class FOR SELECT USING (qms_internal.sees(organization_id, NULL));
ALTER TABLE qms.counter ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.counter FOR SELECT USING (qms_internal.sees(organization_id, branch_id));
ALTER TABLE qms.opening_hours ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.opening_hours FOR SELECT USING (qms_internal.sees(organization_id, branch_id));
ALTER TABLE qms.closure ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.closure FOR SELECT USING (qms_internal.sees(organization_id, branch_id));

-- What staff and applications see.
ALTER TABLE qms.application ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.application FOR SELECT USING (qms_internal.staff_sees(organization_id, NULL));
ALTER TABLE qms.release_pool ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.release_pool FOR SELECT USING (qms_internal.staff_sees(organization_id, NULL));
ALTER TABLE qms.counter_profile ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.counter_profile FOR SELECT USING (qms_internal.staff_sees(organization_id, branch_id));
ALTER TABLE qms.staff ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.staff FOR SELECT USING (qms_internal.staff_sees(organization_id, NULL));
ALTER TABLE qms.staff_session ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.staff_session FOR SELECT USING (qms_internal.staff_sees(organization_id, branch_id));
ALTER TABLE qms.queue ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.queue FOR SELECT USING (qms_internal.sees_queue(organization_id, branch_id, application_id, queue_id));
ALTER TABLE qms.visit ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.visit FOR SELECT USING (qms_internal.staff_sees(organization_id, branch_id));
ALTER TABLE qms.ticket ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.ticket FOR SELECT USING (qms_internal.sees_queue(organization_id, branch_id, application_id, queue_id));
ALTER TABLE qms.ticket_history ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.ticket_history FOR SELECT USING (qms_internal.sees_queue(organization_id, branch_id, application_id, queue_id));
ALTER TABLE qms.ticket_leg ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.ticket_leg FOR SELECT USING (qms_internal.sees_queue(organization_id, branch_id, NULL, queue_id));

-- What administrators see.
ALTER TABLE qms.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.customer FOR SELECT USING (qms_internal.admin_sees(organization_id, NULL));
ALTER TABLE qms.role_binding ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.role_binding FOR SELECT USING (qms_internal.admin_sees(organization_id, NULL));
ALTER TABLE qms.setting ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.setting FOR SELECT USING (qms_internal.admin_sees(organization_id, NULL));
ALTER TABLE qms.event_consumer ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.event_consumer FOR SELECT USING (qms_internal.admin_sees(organization_id, NULL));
ALTER TABLE qms.event ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.event FOR SELECT USING (qms_internal.admin_sees(organization_id, branch_id));

ALTER TABLE qms.api_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.api_key FOR SELECT USING (qms_internal.sees_application(organization_id, application_id));
ALTER TABLE qms.device ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.device FOR SELECT USING (qms_internal.staff_sees(organization_id, branch_id));

-- Of nobody but the owner; security without a policy shows nothing, whatever is granted.
ALTER TABLE qms_internal.event_position ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.queue_hours ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.queue_number ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.release_gate ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.release_queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.release_delta ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.release_flow ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.request ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.customer_ticket ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.wiped ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.reseal ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.login_attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.login_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.one_time_code ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.password_reset ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.refresh_token ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.secret_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.signing_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.staff_password ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.verified_contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.ticket_seen ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.api_key_secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.device_secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.last_seen ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.limit_bucket ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.access_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.access_token ENABLE ROW LEVEL SECURITY;

-- met
ALTER TABLE qms.alert_rule ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.alert_rule FOR SELECT USING (qms_internal.staff_sees(organization_id, branch_id));
ALTER TABLE qms_internal.alert_state ENABLE ROW LEVEL SECURITY;
-- snap: statistics
ALTER TABLE qms.analytics_snapshot ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.analytics_snapshot FOR SELECT USING (qms_internal.admin_sees(organization_id, coalesce(branch_id, -1))); -- what is of no branch is for those of all
ALTER TABLE qms.staff_snapshot ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.staff_snapshot FOR SELECT USING (qms_internal.admin_sees(organization_id, branch_id));
ALTER TABLE qms_internal.stats_progress ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.stats_slot ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.stats_due ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.stats_hour ENABLE ROW LEVEL SECURITY;

-- report
ALTER TABLE qms.report_schedule ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.report_schedule FOR SELECT USING (qms_internal.admin_sees(organization_id, -1)); -- for those of all branches
ALTER TABLE qms.report ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.report FOR SELECT USING (qms_internal.admin_sees(organization_id, coalesce(branch_id, -1)));
-- predict
ALTER TABLE qms.staffing_plan ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON qms.staffing_plan FOR SELECT USING (qms_internal.sees_queue(organization_id, branch_id, NULL, queue_id));
ALTER TABLE qms_internal.wait_model ENABLE ROW LEVEL SECURITY;
ALTER TABLE qms_internal.service_time ENABLE ROW LEVEL SECURITY;
