\set i random(1, 100)
SELECT position, people_ahead, position_exact, wait_p50 FROM qms.ticket_status((SELECT token FROM bench.token WHERE i = :i));
