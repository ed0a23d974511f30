/* The stream of events, and the workers. */
CREATE TYPE qms.published_event AS (
	epoch text,
	position bigint,
	event_id bigint,
	at timestamptz,
	kind text,
	organization_id bigint,
	branch_id bigint,
	queue_id bigint,
	application_id bigint,
	visit_id bigint,
	ticket_id bigint,
	number qms.ticket_number,
	state text,
	version int,
	counter_id bigint,
	counter_name text,
	zone_id bigint,
	actor_kind text,
	actor_id bigint,
	actor_role text,
	request_id uuid,
	data jsonb
);
COMMENT ON TYPE qms.published_event IS 'A published event. On public channels (display, queue, system) only epoch, position, at, kind, queue_id, number, state, counter_id, counter_name and zone_id are given.';
CREATE TYPE qms.stream_state AS (epoch text, last_position bigint, pruned_position bigint);
COMMENT ON TYPE qms.stream_state IS 'Where the stream of this database is.';

CREATE FUNCTION qms.events_since(channel text, after_position bigint, max_rows int DEFAULT 1000, epoch text DEFAULT NULL)
RETURNS SETOF qms.published_event LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_events_since';
COMMENT ON FUNCTION qms.events_since IS 'Events of a channel published after a position, in order of position. Channels: display:<branch>, display:<branch>:<zone>, queue:<queue>, system:<organization> (public); visit:<visit>, staff:<branch>, application:<application> (staff; an application its own); admin:<organization> (whoever administers the whole organization). epoch: the epoch that after_position is of. Errors: QM901 another epoch, QM902 position no longer kept, QM101, 42501.';

CREATE FUNCTION qms.stream_position()
RETURNS qms.stream_state LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_stream_position';
COMMENT ON FUNCTION qms.stream_position IS 'Epoch and last position of the stream, and the position up to which it has been dropped. Callers: everybody in an organization.';

CREATE FUNCTION qms.create_consumer(name text, organization_id bigint DEFAULT NULL, from_oldest boolean DEFAULT false, request_id uuid DEFAULT NULL)
RETURNS qms.event_consumer LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_create_consumer';
COMMENT ON FUNCTION qms.create_consumer IS 'A durable place in the stream of an organization (null, superusers only: of all), under a name that is unique in it. It begins at the end of the stream, or with from_oldest at the oldest event that is kept; nothing it has not read is dropped. Callers: superusers and whoever administers the whole organization. Errors: 23505, QM101, 42501.';

CREATE FUNCTION qms.delete_consumer(name text, request_id uuid DEFAULT NULL)
RETURNS void LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_delete_consumer';
COMMENT ON FUNCTION qms.delete_consumer IS 'Removes a consumer. Callers: superusers and whoever administers the whole organization. Errors: QM101, 42501.';

CREATE FUNCTION qms.consumer_read(name text, max_rows int DEFAULT 1000)
RETURNS SETOF qms.published_event LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_consumer_read';
COMMENT ON FUNCTION qms.consumer_read IS 'The next events of a consumer; the same ones until consumer_advance. Callers: superusers and whoever administers the whole organization. Errors: QM101, 42501, QM901, QM902.';

CREATE FUNCTION qms.consumer_advance(name text, up_to bigint DEFAULT NULL)
RETURNS bigint LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_consumer_advance';
COMMENT ON FUNCTION qms.consumer_advance IS 'The consumer has worked on everything up to a position; never goes back. up_to null: a consumer that cannot go on (QM901, QM902) goes to the end of the present epoch, after the state was read anew; any other stays where it is. Answers the position. Callers: superusers and whoever administers the whole organization. Errors: QM101, 42501, QM901, 22023.';

CREATE FUNCTION qms.adopt_database(run_overdue boolean DEFAULT false)
RETURNS void LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_adopt_database';
COMMENT ON FUNCTION qms.adopt_database IS 'This database (restored, copied, cloned or upgraded) is to work here: a new epoch begins, events that are there are not published again, sequences and numbers are checked, overdue timers are skipped, or run with run_overdue. Callers: superusers.';

CREATE FUNCTION qms_internal.worker_status(OUT database_oid oid, OUT worker text, OUT state text, OUT pid int, OUT started_at timestamptz,
	OUT last_run_at timestamptz, OUT next_due_at timestamptz, OUT lag interval, OUT done bigint, OUT failures int, OUT last_error text, OUT last_error_at timestamptz,
	OUT dormant_reason text, OUT blocked_by int)
RETURNS SETOF record LANGUAGE c VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'qms_worker_status';
COMMENT ON FUNCTION qms_internal.worker_status IS 'Rows of the view qms.worker_status.';
CREATE VIEW qms.worker_status WITH (security_barrier) AS
SELECT d.datname::text AS database, s.worker, s.state, s.pid, s.started_at, s.last_run_at, s.next_due_at, s.lag, s.done, s.failures, s.last_error, s.last_error_at, s.dormant_reason, s.blocked_by
FROM qms_internal.worker_status() s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.database_oid;
COMMENT ON VIEW qms.worker_status IS 'The background workers of this database (superusers: of all): launcher, publisher, scheduler. Empty without shared_preload_libraries.';
COMMENT ON COLUMN qms.worker_status.database IS 'Database; null for the launcher.';
COMMENT ON COLUMN qms.worker_status.worker IS 'launcher, publisher or scheduler; probe while it cannot be found out whether the extension is there.';
COMMENT ON COLUMN qms.worker_status.state IS 'Of the database: probing, active, dormant or unusable (see dormant_reason), no extension; of the launcher: active, too few slots (raise max_worker_processes), not running (it is about to be started), and where no worker runs at all, off (qms.workers) or standby.';
COMMENT ON COLUMN qms.worker_status.pid IS 'Process id; null when it does not run.';
COMMENT ON COLUMN qms.worker_status.started_at IS 'When it started.';
COMMENT ON COLUMN qms.worker_status.last_run_at IS 'When it last went to sleep after its work.';
COMMENT ON COLUMN qms.worker_status.next_due_at IS 'When it wakes up by itself at the latest; null: when something happens.';
COMMENT ON COLUMN qms.worker_status.lag IS 'How far behind it is. Publisher: time since the oldest commit whose events are not all published; what was committed before it began counts from there. Scheduler: time since the oldest task that has not been done was due; a single ticket or queue that failed rests and does not count. 0: nothing waits. Null for others, and where it is not known.';
COMMENT ON COLUMN qms.worker_status.done IS 'Events published, items worked on, since the server started.';
COMMENT ON COLUMN qms.worker_status.failures IS 'Failures in a row; each makes it wait longer before the next try.';
COMMENT ON COLUMN qms.worker_status.last_error IS 'Message of the last failure; for superusers and members of qms_super_admin or pg_monitor, because it may name things of any organization.';
COMMENT ON COLUMN qms.worker_status.last_error_at IS 'When that was.';
COMMENT ON COLUMN qms.worker_status.dormant_reason IS 'Why no worker touches this database: dormant until qms.adopt_database(), unusable until ALTER EXTENSION qms UPDATE or, if the library is older, a restart of the server.';
COMMENT ON COLUMN qms.worker_status.blocked_by IS 'Process id of a session that needs the database without workers, such as DROP DATABASE.';
