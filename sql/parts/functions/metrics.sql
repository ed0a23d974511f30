/* Metrics. */
CREATE FUNCTION qms.metrics()
RETURNS text LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_metrics';
COMMENT ON FUNCTION qms.metrics IS 'Everything that is measured, in the text format of Prometheus (version 0.0.4): queues, counters since the start of the server, workers; for superusers and super admins also times of calls and gateways. Administrators see the queues of their organization and branches. Labels are slugs and names of groups; nothing of people. See monitoring.md. Callers: superusers and administrators. Errors: 42501.';

CREATE FUNCTION qms_internal.gateway_metrics()
RETURNS text LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_gateway_metrics';
COMMENT ON FUNCTION qms_internal.gateway_metrics IS 'For the gateway: metrics() of the whole database, with its name as a label, without what gateways count themselves. Callers: members of qms_gateway. Errors: 42501.';

/* Alert rules. */
CREATE FUNCTION qms.create_alert_rule(organization_id bigint, name text, metric text, threshold float8, branch_id bigint DEFAULT NULL, queue_id bigint DEFAULT NULL,
	recover_at float8 DEFAULT NULL, hold_for interval DEFAULT '0', repeat_every interval DEFAULT NULL, measured_over interval DEFAULT NULL,
	enabled boolean DEFAULT true, request_id uuid DEFAULT NULL)
RETURNS qms.alert_rule LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_alert_rule';
COMMENT ON FUNCTION qms.create_alert_rule IS 'Creates an alert rule: when the metric has been above threshold for hold_for, the scheduler writes an event alert.raised, again after each repeat_every while it lasts, and alert.recovered when the value is at or below recover_at (null: the threshold). metric: queue_length (people), mean_wait and p90_wait (seconds, of those called within measured_over; when nobody was, the wait so far of the first in line), nobody_serving (people waiting while no counter that takes from the queue is open and unpaused), each for every queue of the organization, the branch or the one queue; callback_failures and api_errors (shares from 0 to 1; of callbacks there are none yet; of the calls in the whole database within measured_over, from 20 on), worker_lag (seconds), of the database. At most 200 rules in an organization. Callers: superusers and whoever administers the whole organization. Errors: QM101, QM309, 22023, 23505.';

CREATE FUNCTION qms.update_alert_rule(alert_rule_id bigint, name text DEFAULT NULL, threshold float8 DEFAULT NULL, recover_at float8 DEFAULT NULL,
	hold_for interval DEFAULT NULL, repeat_every interval DEFAULT NULL, measured_over interval DEFAULT NULL, enabled boolean DEFAULT NULL, request_id uuid DEFAULT NULL)
RETURNS qms.alert_rule LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_update_alert_rule';
COMMENT ON FUNCTION qms.update_alert_rule IS 'Changes what is given; null leaves it as it is; a repeat_every of 0 removes it. A recover_at that was the threshold follows it. A rule that is disabled ends its alerts (alert.recovered with reason rule_off). Callers: superusers and administrators of the organization, or of the branch of the rule. Errors: QM101, 22023, 23505.';

CREATE FUNCTION qms.delete_alert_rule(alert_rule_id bigint, request_id uuid DEFAULT NULL)
RETURNS qms.alert_rule LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_alert_rule';
COMMENT ON FUNCTION qms.delete_alert_rule IS 'Deletes an alert rule (softly); its alerts end. Callers: superusers and administrators of the organization, or of the branch of the rule. Errors: QM101.';

CREATE FUNCTION qms.create_default_alert_rules(organization_id bigint, request_id uuid DEFAULT NULL)
RETURNS SETOF qms.alert_rule LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_default_alert_rules';
COMMENT ON FUNCTION qms.create_default_alert_rules IS 'Creates the usual alert rules, those that are missing by name: more than 50 waiting, mean wait over 30 minutes, nobody serving for 5 minutes, more than 5 % of calls or callbacks failing, a worker a minute behind. That the database cannot be reached nobody inside it can tell: see monitoring.md. Answers the rules it made. Callers: superusers and whoever administers the whole organization. Errors: QM101, QM309.';

CREATE VIEW qms.alert_rules WITH (security_barrier) AS
SELECT r.alert_rule_id, r.organization_id, r.branch_id, r.queue_id, r.name, r.metric, r.threshold, r.recover_at, r.hold_for, r.repeat_every, r.measured_over, r.enabled,
	r.created_at, r.updated_at
FROM qms.alert_rule r
WHERE r.deleted_at IS NULL AND qms_internal.staff_sees(r.organization_id, r.branch_id);

CREATE VIEW qms.alerts WITH (security_barrier) AS
SELECT s.alert_rule_id, s.organization_id, s.branch_id, nullif(s.queue_id, 0) AS queue_id, r.name, r.metric, s.state, s.value, r.threshold, r.recover_at,
	s.since, s.raised_at, s.notified_at, s.notices, s.recovered_at
FROM qms_internal.alert_state s JOIN qms.alert_rule r ON r.alert_rule_id = s.alert_rule_id AND r.organization_id = s.organization_id
WHERE r.deleted_at IS NULL AND qms_internal.staff_sees(s.organization_id, s.branch_id);
