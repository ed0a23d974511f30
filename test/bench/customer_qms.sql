\set q :q0 + :client_id / 4
SELECT ticket_id, number, token, position FROM qms.join_queue(queue_id => :q, subject => gen_random_uuid()::text);
