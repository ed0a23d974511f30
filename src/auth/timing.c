/*
 * timing.c
 *		How long calls of SQL functions take, by group of functions, and how many
 *		fail: for Prometheus.
 *
 * Each call adds one to a bucket and its time to a sum, in shared memory, with
 * two atomic additions and no lock.  A call counts whether its transaction
 * commits or not: it was answered, and took its time.
 *
 * Lock: a spinlock for taking the place of a database, once in a backend's life.
 */
#include "auth/timing.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/spin.h"

#define MAX_DATABASES 256

typedef struct Cells
{
	pg_atomic_uint64 buckets[QMS_TIMING_BUCKETS + 1];	/* the last one: longer than all bounds */
	pg_atomic_uint64 nanoseconds;
	pg_atomic_uint64 refused;
	pg_atomic_uint64 failed;
} Cells;

typedef struct DatabaseCells
{
	pg_atomic_uint32 database;	/* InvalidOid: free */
	Cells		groups[QMS_ACT_MANY];
} DatabaseCells;

typedef struct TimingShared
{
	slock_t		claiming;
	DatabaseCells databases[MAX_DATABASES];
} TimingShared;

const double qms_timing_bounds[QMS_TIMING_BUCKETS] = {
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
};

/* The same in nanoseconds. */
static const uint64 bounds[QMS_TIMING_BUCKETS] = {
	UINT64CONST(100000), UINT64CONST(250000), UINT64CONST(500000), UINT64CONST(1000000), UINT64CONST(2500000),
	UINT64CONST(5000000), UINT64CONST(10000000), UINT64CONST(25000000), UINT64CONST(50000000), UINT64CONST(100000000),
	UINT64CONST(250000000), UINT64CONST(500000000), UINT64CONST(1000000000), UINT64CONST(2500000000),
	UINT64CONST(5000000000), UINT64CONST(10000000000)
};

static const char *const names[QMS_ACT_MANY] = {
	[QMS_ACT_INSTALL] = "install",
	[QMS_ACT_SETUP] = "setup",
	[QMS_ACT_JOIN] = "join",
	[QMS_ACT_TOKEN] = "token",
	[QMS_ACT_RECEPTION] = "reception",
	[QMS_ACT_COUNTER] = "counter",
	[QMS_ACT_LOOK] = "look",
	[QMS_ACT_PERSONAL] = "personal",
	[QMS_ACT_AUDIT] = "audit",
	[QMS_ACT_PUBLIC] = "public",
	[QMS_ACT_SIGN_IN] = "sign_in",
	[QMS_ACT_ENTRY] = "entry"
};

static TimingShared *shared = NULL;
static DatabaseCells *mine = NULL;

static Size
memory_size(void)
{
	return sizeof(TimingShared);
}

static void
start_cells(DatabaseCells *place)
{
	int			i;
	int			j;

	for (i = 0; i < QMS_ACT_MANY; i++)
	{
		Cells	   *cells = &place->groups[i];

		for (j = 0; j <= QMS_TIMING_BUCKETS; j++)
			pg_atomic_init_u64(&cells->buckets[j], 0);
		pg_atomic_init_u64(&cells->nanoseconds, 0);
		pg_atomic_init_u64(&cells->refused, 0);
		pg_atomic_init_u64(&cells->failed, 0);
	}
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks pg_attribute_unused())
{
	int			i;

	shared = memory;
	if (found)
		return;
	SpinLockInit(&shared->claiming);
	for (i = 0; i < MAX_DATABASES; i++)
	{
		pg_atomic_init_u32(&shared->databases[i].database, InvalidOid);
		start_cells(&shared->databases[i]);
	}
}

void
qms_timing_init(void)
{
	static const QmsMemory part = {"qms timing", memory_size, NULL, 0, start_memory};

	qms_memory_register(&part);
}

/* Take a place, or find the one of this database; the caller has the lock. */
static DatabaseCells *
claim(Oid instead_of)
{
	DatabaseCells *place = NULL;
	int			i;

	for (i = 0; i < MAX_DATABASES; i++)
	{
		Oid			database = pg_atomic_read_u32(&shared->databases[i].database);

		if (database == MyDatabaseId)
			return &shared->databases[i];
		if (place == NULL && database == instead_of)
			place = &shared->databases[i];
	}
	if (place == NULL)
		return NULL;
	if (OidIsValid(instead_of))
		start_cells(place);
	pg_atomic_write_u32(&place->database, MyDatabaseId);
	return place;
}

/* A database that has a place and is no more; InvalidOid if there is none. */
static Oid
find_dropped(void)
{
	int			i;

	for (i = 0; i < MAX_DATABASES; i++)
	{
		Oid			database = pg_atomic_read_u32(&shared->databases[i].database);

		if (OidIsValid(database) && get_database_name(database) == NULL)
			return database;
	}
	return InvalidOid;
}

/* The place of this database is needed; in a transaction. */
void
qms_timing_prepare(void)
{
	static bool tried = false;
	Oid			dropped;

	if (tried || shared == NULL)
		return;
	tried = true;
	SpinLockAcquire(&shared->claiming);
	mine = claim(InvalidOid);
	SpinLockRelease(&shared->claiming);
	if (mine != NULL)
		return;
	dropped = find_dropped();
	if (!OidIsValid(dropped))
		return;
	SpinLockAcquire(&shared->claiming);
	mine = claim(dropped);
	SpinLockRelease(&shared->claiming);
}

/* A call that was begun at that moment is over; sqlstate 0: well. */
void
qms_timing_note(QmsAction group, instr_time begun, int sqlstate)
{
	Cells	   *cells;
	instr_time	now;
	uint64		took;
	int			i = 0;

	if (mine == NULL)
		return;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, begun);
	took = (uint64) now.tv_sec * 1000000000 + (uint64) now.tv_nsec;
	while (i < QMS_TIMING_BUCKETS && took > bounds[i])
		i++;
	cells = &mine->groups[group];
	pg_atomic_fetch_add_u64(&cells->buckets[i], 1);
	pg_atomic_fetch_add_u64(&cells->nanoseconds, took);
	if (sqlstate != 0)
		pg_atomic_fetch_add_u64(qms_timing_is_failure(sqlstate) ? &cells->failed : &cells->refused, 1);
}

/*
 * Is it our failure, not the caller's?  What he may not, what he asked for
 * wrongly and what cannot be done as things are is refused; a broken
 * server, a full disk, a deadlock or a cancelled statement is a failure.
 */
bool
qms_timing_is_failure(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case MAKE_SQLSTATE('Q', 'M', '0', '0', '0'):
		case MAKE_SQLSTATE('2', '2', '0', '0', '0'):
		case MAKE_SQLSTATE('2', '3', '0', '0', '0'):
		case MAKE_SQLSTATE('2', '8', '0', '0', '0'):
		case MAKE_SQLSTATE('4', '2', '0', '0', '0'):
		case MAKE_SQLSTATE('P', 'T', '0', '0', '0'):
			return false;
		default:
			return true;
	}
}

const char *
qms_timing_group_name(QmsAction group)
{
	return names[group];
}

/* What has been counted of a group in this database; false: there is no shared memory for it. */
bool
qms_timing_read(QmsAction group, QmsTiming *timing)
{
	const Cells *cells;
	int			i;

	memset(timing, 0, sizeof(*timing));
	if (mine == NULL)
		return false;
	cells = &mine->groups[group];
	for (i = 0; i <= QMS_TIMING_BUCKETS; i++)
	{
		timing->buckets[i] = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &cells->buckets[i]));
		timing->calls += timing->buckets[i];
	}
	timing->seconds = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &cells->nanoseconds)) / 1e9;
	timing->refused = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &cells->refused));
	timing->failed = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &cells->failed));
	return true;
}
