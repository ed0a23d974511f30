/*
 * Statistics, made from the event log (src/stats).  They stay when the events that
 * they were made from are dropped.
 */
CREATE TABLE qms.analytics_snapshot (
	organization_id bigint NOT NULL,
	branch_id bigint,
	queue_id bigint,
	period text COLLATE "C" NOT NULL CHECK (period IN ('hour', 'day')),
	starts_at timestamptz NOT NULL,
	ends_at timestamptz NOT NULL,
	local_date date NOT NULL,
	local_hour int CHECK (local_hour BETWEEN 0 AND 23),
	customer_class text,
	target interval,
	visits bigint NOT NULL DEFAULT 0,
	joined bigint NOT NULL DEFAULT 0,
	walk_ups bigint NOT NULL DEFAULT 0,
	transferred_in bigint NOT NULL DEFAULT 0,
	called bigint NOT NULL DEFAULT 0,
	recalled bigint NOT NULL DEFAULT 0,
	started bigint NOT NULL DEFAULT 0,
	completed bigint NOT NULL DEFAULT 0,
	no_show bigint NOT NULL DEFAULT 0,
	cancelled bigint NOT NULL DEFAULT 0,
	expired bigint NOT NULL DEFAULT 0,
	revoked bigint NOT NULL DEFAULT 0,
	transferred_out bigint NOT NULL DEFAULT 0,
	requeued bigint NOT NULL DEFAULT 0,
	held bigint NOT NULL DEFAULT 0,
	deferred bigint NOT NULL DEFAULT 0,
	reinstated bigint NOT NULL DEFAULT 0,
	released bigint NOT NULL DEFAULT 0,
	admitted bigint NOT NULL DEFAULT 0,
	abandoned bigint NOT NULL DEFAULT 0,
	within_target bigint NOT NULL DEFAULT 0,
	wait_count bigint NOT NULL DEFAULT 0,
	wait_sum interval NOT NULL DEFAULT '0',
	wait_squares float8 NOT NULL DEFAULT 0,
	wait_max interval NOT NULL DEFAULT '0',
	wait_sketch qms.wait_sketch NOT NULL DEFAULT '{}',
	service_count bigint NOT NULL DEFAULT 0,
	service_sum interval NOT NULL DEFAULT '0',
	service_squares float8 NOT NULL DEFAULT 0,
	service_max interval NOT NULL DEFAULT '0',
	service_sketch qms.wait_sketch NOT NULL DEFAULT '{}',
	abandoned_wait_count bigint NOT NULL DEFAULT 0,
	abandoned_wait_sum interval NOT NULL DEFAULT '0',
	abandoned_wait_squares float8 NOT NULL DEFAULT 0,
	abandoned_wait_max interval NOT NULL DEFAULT '0',
	abandoned_wait_sketch qms.wait_sketch NOT NULL DEFAULT '{}',
	computed_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX analytics_snapshot_row ON qms.analytics_snapshot (organization_id, period, starts_at, branch_id, queue_id, customer_class) NULLS NOT DISTINCT;
CREATE INDEX analytics_snapshot_queue ON qms.analytics_snapshot (queue_id, period, starts_at) WHERE queue_id IS NOT NULL;
CREATE INDEX analytics_snapshot_branch ON qms.analytics_snapshot (branch_id, period, starts_at) WHERE queue_id IS NULL AND branch_id IS NOT NULL;
CREATE INDEX analytics_snapshot_organization ON qms.analytics_snapshot (organization_id, period, starts_at) WHERE queue_id IS NULL AND branch_id IS NULL;

CREATE TABLE qms.staff_snapshot (
	organization_id bigint NOT NULL,
	branch_id bigint NOT NULL,
	staff_id bigint,
	period text COLLATE "C" NOT NULL CHECK (period IN ('hour', 'day')),
	starts_at timestamptz NOT NULL,
	ends_at timestamptz NOT NULL,
	local_date date NOT NULL,
	local_hour int CHECK (local_hour BETWEEN 0 AND 23),
	called bigint NOT NULL DEFAULT 0,
	served bigint NOT NULL DEFAULT 0,
	no_show bigint NOT NULL DEFAULT 0,
	transferred bigint NOT NULL DEFAULT 0,
	requeued bigint NOT NULL DEFAULT 0,
	service_count bigint NOT NULL DEFAULT 0,
	service_sum interval NOT NULL DEFAULT '0',
	service_squares float8 NOT NULL DEFAULT 0,
	service_max interval NOT NULL DEFAULT '0',
	service_sketch qms.wait_sketch NOT NULL DEFAULT '{}',
	idle interval NOT NULL DEFAULT '0',
	walking interval NOT NULL DEFAULT '0',
	serving interval NOT NULL DEFAULT '0',
	paused interval NOT NULL DEFAULT '0',
	pauses jsonb NOT NULL DEFAULT '{}',
	computed_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX staff_snapshot_row ON qms.staff_snapshot (branch_id, period, starts_at, staff_id, organization_id) NULLS NOT DISTINCT;

/*
 * What the statistics have seen of the log.  None of this is dumped: after a
 * restore the log is looked through from its beginning.
 */
CREATE TABLE qms_internal.stats_progress (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	turn bigint NOT NULL,
	snapshot pg_snapshot NOT NULL,
	target pg_snapshot,
	last_xid xid8,
	floor_event_id bigint NOT NULL DEFAULT 0,
	scanned_event_id bigint NOT NULL DEFAULT 0
);
INSERT INTO qms_internal.stats_progress (turn, snapshot) VALUES (1, '3:3:');

-- Where in the log the events of a quarter of an hour are.
CREATE TABLE qms_internal.stats_slot (
	starts_at timestamptz PRIMARY KEY,
	first_event_id bigint NOT NULL,
	last_event_id bigint NOT NULL,
	events bigint NOT NULL
);

-- What has to be made, or made anew.  branch_id 0: the queues of applications.
CREATE TABLE qms_internal.stats_due (
	level text COLLATE "C" NOT NULL CHECK (level IN ('hour', 'day', 'organization')),
	organization_id bigint NOT NULL,
	branch_id bigint NOT NULL,
	starts_at timestamptz NOT NULL,
	mark bigint NOT NULL,
	not_before timestamptz,
	PRIMARY KEY (level, starts_at, organization_id, branch_id)
) WITH (fillfactor = 70);

-- Hours that have been made, and the counters that were open at their end.
CREATE TABLE qms_internal.stats_hour (
	organization_id bigint NOT NULL,
	branch_id bigint NOT NULL,
	starts_at timestamptz NOT NULL,
	ends_at timestamptz NOT NULL,
	is_final boolean NOT NULL,
	computed_at timestamptz NOT NULL,
	carry jsonb,
	PRIMARY KEY (organization_id, branch_id, starts_at)
) WITH (fillfactor = 70);
CREATE INDEX stats_hour_open ON qms_internal.stats_hour (ends_at) WHERE NOT is_final;
