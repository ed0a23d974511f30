/*
 * counters.c
 *		How often what has happened in each queue since the server started, for
 *		Prometheus.
 *
 * The publisher counts: it sees every committed event exactly once, whoever
 * wrote it and in whatever kind of transaction (savepoints, PREPARE).  Writers
 * pay nothing, and what was rolled back is never seen.  So counters follow the
 * stream: they say what has been published, and stand still while the publisher
 * does.  Places are reserved in the transaction that gives positions, and counts
 * are added when it has committed, where nothing can fail.
 *
 * Lock: one for all, exclusive for the publisher's few additions a batch, shared
 * for whoever reads.  Entries of dropped databases are removed when there is no
 * room for a new one.
 */
#include "events/events.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/hsearch.h"

typedef struct CounterKey
{
	int64		queue_id;		/* 0: the database */
	Oid			database;
	uint32		zero;
} CounterKey;

typedef struct CounterEntry
{
	CounterKey	key;
	int64		counts[QMS_COUNT_MANY];
} CounterEntry;

typedef struct CounterShared
{
	TimestampTz since;
	int64		lost;			/* events of queues for which there was no room */
} CounterShared;

/* What is counted by queue; the kind of event is "ticket.<name>". */
static const char *const names[QMS_COUNT_MANY] = {
	[QMS_COUNT_ALL] = "",
	[QMS_COUNT_JOINED] = "joined",
	[QMS_COUNT_CALLED] = "called",
	[QMS_COUNT_RECALLED] = "recalled",
	[QMS_COUNT_SERVING] = "serving",
	[QMS_COUNT_COMPLETED] = "completed",
	[QMS_COUNT_NO_SHOW] = "no_show",
	[QMS_COUNT_HELD] = "held",
	[QMS_COUNT_REQUEUED] = "requeued",
	[QMS_COUNT_TRANSFERRED] = "transferred",
	[QMS_COUNT_CANCELLED] = "cancelled",
	[QMS_COUNT_RELEASED] = "released",
	[QMS_COUNT_ADMITTED] = "admitted",
	[QMS_COUNT_EXPIRED] = "expired",
	[QMS_COUNT_REVOKED] = "revoked",
	[QMS_COUNT_UNDONE] = "undone"
};

static CounterShared *shared = NULL;
static HTAB *entries = NULL;
static LWLock *lock = NULL;

/* As many queues as are remembered otherwise, and each database. */
static long
most_entries(void)
{
	const char *slots = GetConfigOption("qms.queue_slots", true, false);

	return (slots ? atol(slots) : 0) + QMS_MAX_DATABASES;
}

static Size
memory_size(void)
{
	return sizeof(CounterShared);
}

static Size
table_size(void)
{
	return hash_estimate_size(most_entries(), sizeof(CounterEntry));
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(CounterKey);
	ctl.entrysize = sizeof(CounterEntry);
	entries = ShmemInitHash("qms counters", most_entries(), most_entries(), &ctl, HASH_ELEM | HASH_BLOBS);
	shared = memory;
	lock = &locks->lock;
	if (found)
		return;
	shared->since = GetCurrentTimestamp();
	shared->lost = 0;
}

void
qms_counters_init(void)
{
	static const QmsMemory part = {"qms event counters", memory_size, table_size, 1, start_memory};

	qms_memory_register(&part);
}

const char *
qms_counters_name(QmsCounted which)
{
	return names[which];
}

/* What an event of this kind is counted as, besides as one of all. */
QmsCounted
qms_counters_of_kind(const char *kind)
{
	int			i;

	if (strncmp(kind, "ticket.", 7) != 0)
		return QMS_COUNT_ALL;
	for (i = QMS_COUNT_ALL + 1; i < QMS_COUNT_MANY; i++)
	{
		if (strcmp(names[i], kind + 7) == 0)
			return (QmsCounted) i;
	}
	return QMS_COUNT_ALL;
}

/* The entry of a queue, or of the database; the caller has the lock. */
static CounterEntry *
find_entry(int64 queue_id, HASHACTION action)
{
	CounterKey	key = {queue_id, MyDatabaseId, 0};
	CounterEntry *entry;
	bool		found;

	entry = hash_search(entries, &key, action, &found);
	if (entry != NULL && !found)
		memset(entry->counts, 0, sizeof(entry->counts));
	return entry;
}

/* Databases that have any entry. */
static int
list_databases(Oid *databases)
{
	HASH_SEQ_STATUS status;
	CounterEntry *entry;
	int			n = 0;
	int			i;

	LWLockAcquire(lock, LW_SHARED);
	hash_seq_init(&status, entries);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		for (i = 0; i < n && databases[i] != entry->key.database; i++)
			;
		if (i == n && n < QMS_MAX_DATABASES)
			databases[n++] = entry->key.database;
	}
	LWLockRelease(lock);
	return n;
}

static void
remove_database(Oid database)
{
	HASH_SEQ_STATUS status;
	CounterEntry *entry;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	hash_seq_init(&status, entries);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.database == database)
			hash_search(entries, &entry->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(lock);
}

/* Make room where a database is no more; catalogs are looked at without the lock. */
static void
remove_dropped(void)
{
	static TimestampTz last = 0;
	Oid			databases[QMS_MAX_DATABASES];
	int			n;
	int			i;

	if (GetCurrentTimestamp() < last + USECS_PER_MINUTE)
		return;
	last = GetCurrentTimestamp();
	n = list_databases(databases);
	for (i = 0; i < n; i++)
	{
		if (get_database_name(databases[i]) == NULL)
			remove_database(databases[i]);
	}
}

/* See to it that what is to be added finds its place; in a transaction. */
void
qms_counters_reserve(const QmsCount *counts, int n)
{
	bool		full = false;
	int			i;

	if (entries == NULL || n == 0)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	(void) find_entry(0, HASH_ENTER_NULL);
	for (i = 0; i < n; i++)
		full = find_entry(counts[i].queue_id, HASH_ENTER_NULL) == NULL || full;
	LWLockRelease(lock);
	if (full)
		remove_dropped();
}

/* Count what has been committed. */
void
qms_counters_add(const QmsCount *counts, int n)
{
	CounterEntry *all;
	int			i;

	if (entries == NULL || n == 0)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	all = find_entry(0, HASH_FIND);
	for (i = 0; i < n; i++)
	{
		CounterEntry *entry = counts[i].queue_id == 0 ? NULL : find_entry(counts[i].queue_id, HASH_FIND);

		if (all != NULL)
			all->counts[QMS_COUNT_ALL] += counts[i].n;
		if (entry == NULL)
		{
			if (counts[i].queue_id != 0)
				shared->lost += counts[i].n;
			continue;
		}
		entry->counts[QMS_COUNT_ALL] += counts[i].n;
		if (counts[i].which != QMS_COUNT_ALL)
			entry->counts[counts[i].which] += counts[i].n;
	}
	LWLockRelease(lock);
}

static int
compare_counters(const void *a, const void *b)
{
	int64		x = ((const QmsQueueCounters *) a)->queue_id;
	int64		y = ((const QmsQueueCounters *) b)->queue_id;

	return x < y ? -1 : x > y;
}

/* Those of this database, in the order of their queues (0, the database itself, first); NULL without shared memory. */
QmsQueueCounters *
qms_counters_read(int *n, TimestampTz *since, int64 *lost)
{
	HASH_SEQ_STATUS status;
	CounterEntry *entry;
	QmsQueueCounters *result;

	*n = 0;
	if (entries == NULL)
		return NULL;
	result = palloc(sizeof(QmsQueueCounters) * most_entries());
	LWLockAcquire(lock, LW_SHARED);
	*since = shared->since;
	*lost = shared->lost;
	hash_seq_init(&status, entries);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.database != MyDatabaseId || *n >= most_entries())
			continue;
		result[*n].queue_id = entry->key.queue_id;
		memcpy(result[*n].counts, entry->counts, sizeof(entry->counts));
		(*n)++;
	}
	LWLockRelease(lock);
	qsort(result, *n, sizeof(QmsQueueCounters), compare_counters);
	return result;
}

/* The extension is made in this database: ids begin anew. */
void
qms_counters_forget_database(void)
{
	if (entries != NULL)
		remove_database(MyDatabaseId);
}
