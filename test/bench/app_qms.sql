SELECT ticket_id, token, position FROM qms.join_queue(queue_id => :release_queue);
