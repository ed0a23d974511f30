\set q random(1, 5)
\set c random(1, 10)
SELECT qms.join_queue(:q);
SELECT ticket_id FROM qms.call_next(:c, finish_current => 'completed');
