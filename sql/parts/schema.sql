/* qms: install script, joined from sql/parts in the order of sql/parts/ORDER */
\echo Use "CREATE EXTENSION qms" to load this file. \quit

CREATE SCHEMA qms;
COMMENT ON SCHEMA qms IS 'qms: queue management for people. Everything promised to users: functions, types, tables, views.';
CREATE SCHEMA qms_internal;
COMMENT ON SCHEMA qms_internal IS 'qms: what the extension keeps for itself. Names and shapes here may change with any release.';
