/*
 * heartbeat.c
 *		Signs of life of those who wait, in shared memory until the scheduler
 *		writes them to qms_internal.ticket_seen.
 *
 * A table of a fixed size: (database, ticket, moment), in buckets of BUCKET
 * places.  A bucket that is full, like no shared memory at all, only means that
 * the heartbeat is written by its own transaction.  Only the scheduler of a
 * database writes its beats and takes them out, and only when what it wrote has
 * committed; so whoever asks when somebody was last heard of finds it here or in
 * the table.  A crash loses what is here: the scheduler counts silence from its
 * own start at the earliest (worker/silence.c).
 *
 * Nothing is undone when the transaction of a heartbeat rolls back.  That is
 * right: its sender was there all the same.
 */
#include "queue/queue.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"

#define BUCKET		16
#define PARTITIONS	16

typedef struct Beat
{
	int64		ticket_id;		/* 0: free */
	TimestampTz seen_at;
	Oid			database;
} Beat;

static int	heartbeat_slots = 65536;
static int	nbuckets = 0;
static Beat *beats = NULL;

/*
 * One lock for every PARTITIONS'th bucket.  A heartbeat holds one of them,
 * exclusively, for a look at the 16 places of one bucket and three stores: no
 * memory is asked for, nothing is waited for and nothing can fail meanwhile, and
 * nobody ever holds two.  So a hundred heartbeats at once rarely meet, and those
 * that do wait for less than their own look-up of the ticket takes.  The
 * scheduler goes through the table bucket by bucket and lets the lock go in
 * between; it never holds one while it writes rows.
 */
static LWLockPadded *locks = NULL;


static Size
table_size(void)
{
	return mul_size(mul_size(nbuckets, BUCKET), sizeof(Beat));
}

static void
start_memory(void *memory, bool found, LWLockPadded *its_locks)
{
	beats = memory;
	if (!found)
		memset(beats, 0, table_size());
	locks = its_locks;
}

void
qms_heartbeat_init(void)
{
	static const QmsMemory part = {"qms heartbeats", table_size, NULL, PARTITIONS, start_memory};

	if (!process_shared_preload_libraries_in_progress)
		return;
	DefineCustomIntVariable("qms.heartbeat_slots",
							"Number of people of the server whose last heartbeat is kept in memory until it is written.",
							"Heartbeats beyond that are written at once, one by one. 24 bytes each, in steps of 16. 0 turns it off.",
							&heartbeat_slots, 65536, 0, 10000000, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	if (heartbeat_slots == 0)
		return;
	nbuckets = (heartbeat_slots + BUCKET - 1) / BUCKET;
	qms_memory_register(&part);
}

static int
bucket_of(Oid database, int64 ticket_id)
{
	uint32		hash = murmurhash32((uint32) ticket_id ^ (uint32) (ticket_id >> 32));

	return hash_combine(hash, murmurhash32(database)) % nbuckets;
}

static LWLock *
lock_of(int bucket)
{
	return &locks[bucket % PARTITIONS].lock;
}

/* The place of a ticket of this database; without one: a free place, or NULL.  The caller has the lock. */
static Beat *
find_place(int bucket, int64 ticket_id)
{
	Beat	   *free_place = NULL;
	int			i;

	for (i = bucket * BUCKET; i < (bucket + 1) * BUCKET; i++)
	{
		if (beats[i].ticket_id == ticket_id && beats[i].database == MyDatabaseId)
			return &beats[i];
		if (beats[i].ticket_id == 0 && free_place == NULL)
			free_place = &beats[i];
	}
	return free_place;
}

/*
 * The holder of a ticket was there at a moment.  False: it could not be noted,
 * so it has to be written.
 */
bool
qms_heartbeat_note(int64 ticket_id, TimestampTz at)
{
	int			bucket;
	Beat	   *place;

	/* Without a scheduler at home nobody would ever write it. */
	if (beats == NULL || !qms_doorbell_scheduler_is_home())
		return false;
	bucket = bucket_of(MyDatabaseId, ticket_id);
	LWLockAcquire(lock_of(bucket), LW_EXCLUSIVE);
	place = find_place(bucket, ticket_id);
	if (place != NULL)
	{
		place->seen_at = place->ticket_id == ticket_id ? Max(place->seen_at, at) : at;
		place->database = MyDatabaseId;
		place->ticket_id = ticket_id;
	}
	LWLockRelease(lock_of(bucket));
	if (place != NULL)
		qms_doorbell_beat();
	return place != NULL;
}

/* The moment that is noted and not written yet; QMS_NO_TIME: none. */
TimestampTz
qms_heartbeat_noted(int64 ticket_id)
{
	TimestampTz at = QMS_NO_TIME;
	int			bucket;
	Beat	   *place;

	if (beats == NULL)
		return at;
	bucket = bucket_of(MyDatabaseId, ticket_id);
	LWLockAcquire(lock_of(bucket), LW_SHARED);
	place = find_place(bucket, ticket_id);
	if (place != NULL && place->ticket_id == ticket_id)
		at = place->seen_at;
	LWLockRelease(lock_of(bucket));
	return at;
}

/*
 * Copies of what is noted for this database, from a bucket on.  *bucket becomes
 * the one to go on with, 0 at the end of the table.  Answers how many.
 */
int
qms_heartbeat_copy(int *bucket, int64 *ticket_ids, TimestampTz *seen_at, int most)
{
	int			n = 0;
	int			i;

	for (; *bucket < nbuckets && n <= most - BUCKET; (*bucket)++)
	{
		LWLockAcquire(lock_of(*bucket), LW_SHARED);
		for (i = *bucket * BUCKET; i < (*bucket + 1) * BUCKET; i++)
		{
			if (beats[i].ticket_id == 0 || beats[i].database != MyDatabaseId)
				continue;
			ticket_ids[n] = beats[i].ticket_id;
			seen_at[n++] = beats[i].seen_at;
		}
		LWLockRelease(lock_of(*bucket));
	}
	if (*bucket >= nbuckets)
		*bucket = 0;
	return n;
}

/* These have been written: out with them, unless somebody has been heard of again meanwhile. */
void
qms_heartbeat_written(const int64 *ticket_ids, const TimestampTz *seen_at, int n)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		int			bucket = bucket_of(MyDatabaseId, ticket_ids[i]);
		Beat	   *place;

		LWLockAcquire(lock_of(bucket), LW_EXCLUSIVE);
		place = find_place(bucket, ticket_ids[i]);
		if (place != NULL && place->ticket_id == ticket_ids[i] && place->seen_at <= seen_at[i])
			place->ticket_id = 0;
		LWLockRelease(lock_of(bucket));
	}
}

/*
 * The scheduler of a database goes.  Its database may be dropped, or the
 * extension made anew with other tickets of the same ids; and if another one
 * comes, silence begins anew.
 */
void
qms_heartbeat_forget(Oid database)
{
	int			bucket;
	int			i;

	for (bucket = 0; bucket < nbuckets; bucket++)
	{
		LWLockAcquire(lock_of(bucket), LW_EXCLUSIVE);
		for (i = bucket * BUCKET; i < (bucket + 1) * BUCKET; i++)
		{
			if (beats[i].database == database)
				beats[i].ticket_id = 0;
		}
		LWLockRelease(lock_of(bucket));
	}
}
