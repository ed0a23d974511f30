/*
 * Exports, forecasts, advice and reports: src/report.
 */
CREATE FUNCTION qms.export_history(format text DEFAULT 'csv', since timestamptz DEFAULT NULL, before timestamptz DEFAULT NULL,
	scope text DEFAULT NULL, what text DEFAULT 'tickets')
RETURNS SETOF text LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 100000
AS 'MODULE_PATHNAME', 'qms_export_history';
COMMENT ON FUNCTION qms.export_history IS 'The history as lines of text, to be streamed: COPY (SELECT qms.export_history(...)) TO STDOUT. format: csv (a line of names first, then RFC 4180; words that a spreadsheet would take for a formula get an apostrophe before them) or json (an object per line, without a line of names). what: tickets that ended, from since on and before a moment (default: now), or legs, which a transfer ended. scope: organization:1, branch:2 or queue:3; null: the organization of the caller. Queue by queue, in each by the moment of the end. Moments are in UTC. Personal data is not in it: no contact, subject, notes, metadata, nor reasons in words. The export is an event, history.exported, whether or not it is read to its end. Callers: superusers and administrators; those of some branches name one of them. Errors: QM101, 42501, 22023.';
