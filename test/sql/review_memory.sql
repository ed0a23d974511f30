-- Answers with values that are stored out of line: they must not point into memory that is given back.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SELECT organization_id AS o FROM qms.create_organization('One') \gset
SELECT branch_id AS b FROM qms.create_branch(:o, 'Main') \gset
SELECT queue_id AS q FROM qms.create_queue('Q', :b) \gset
SELECT counter_id AS c FROM qms.create_counter(:b, 'C', ARRAY[:q]::bigint[]) \gset
SELECT status FROM qms.open_counter(:c);
CREATE TABLE big AS SELECT jsonb_object_agg(g, md5(g::text)) AS metadata FROM generate_series(1, 300) g;
SELECT ticket_id AS t FROM qms.join_queue(:q, metadata => (SELECT metadata FROM big)) \gset
SELECT h.metadata = big.metadata AS hold FROM big, qms.hold_ticket(:t) h;
SELECT h.metadata = big.metadata AS resume FROM big, qms.resume_ticket(:t) h;
SELECT h.metadata = big.metadata AS update, length(h.notes) FROM big, qms.update_ticket(:t, notes => repeat(md5('n'), 125)) h;
SELECT h.metadata = big.metadata AS call FROM big, qms.call_next(:c) h;
SELECT h.metadata = big.metadata AS complete, h.notes = repeat(md5('n'), 125) AS notes FROM big, qms.complete_service(:c) h;
SELECT h.metadata = big.metadata AS undo, h.notes = repeat(md5('n'), 125) AS notes FROM big, qms.undo(:c) h;
SELECT h.metadata = big.metadata AS cancel, h.notes = repeat(md5('n'), 125) AS notes FROM big, qms.cancel_ticket(:t) h;
SELECT h.metadata = big.metadata AS reinstate, h.notes = repeat(md5('n'), 125) AS notes FROM big, qms.reinstate_ticket(:t) h;
SELECT h.metadata = big.metadata AS get FROM big, qms.get_ticket(:t) h;
DROP TABLE big;
