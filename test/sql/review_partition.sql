-- A transaction that makes the partitions of a month, uses them again and rolls back.
\set VERBOSITY sqlstate
SET client_min_messages = warning;
DROP EXTENSION qms CASCADE;
CREATE EXTENSION qms;
SET qms.mock_now = '2031-05-05 10:00+00';
BEGIN;
SELECT name FROM qms.create_organization('One');
SELECT name FROM qms.create_organization('Two');
SELECT name FROM qms.create_organization('Three');
ROLLBACK;
SELECT name FROM qms.create_organization('One');
-- the same with a savepoint
SET qms.mock_now = '2031-06-05 10:00+00';
BEGIN;
SAVEPOINT before;
SELECT name FROM qms.create_organization('Two');
SELECT name FROM qms.create_organization('Three');
ROLLBACK TO before;
SELECT name FROM qms.create_organization('Two');
COMMIT;
SELECT name FROM qms.create_organization('Three');
