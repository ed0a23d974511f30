\set i random(1, 1000)
SELECT qms.heartbeat((SELECT token FROM bench.token WHERE i = :i));
