/*
 * seen.c
 *		When a key or a device was seen last.
 *
 * Nobody waits to say so.  A backend notes each of them at most once a minute,
 * in shared memory, where one spinlock is held to look at a short list; the
 * scheduler writes the list down a minute after its first entry.  That also
 * serves transactions that are read only, as those of GET requests are.  Where no
 * scheduler is at home, or the list is full, the transaction writes the row
 * itself, if it can, the row is a minute old, and nobody else is writing it.
 */
#include "access/access.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/spin.h"
#include "utils/hsearch.h"

#define EVERY USECS_PER_MINUTE
#define LIST_SIZE 512

typedef struct SeenKey
{
	int64		id;
	Oid			database;
	int32		kind;
} SeenKey;

typedef struct SeenEntry
{
	SeenKey		key;
	int64		organization_id;
	TimestampTz first_at;		/* since it was written down */
	TimestampTz last_at;
} SeenEntry;

typedef struct SeenShared
{
	slock_t		mutex;
	int			n;
	SeenEntry	entries[LIST_SIZE];
} SeenShared;

typedef struct NotedEntry
{
	SeenKey		key;
	TimestampTz at;
} NotedEntry;

static SeenShared *shared = NULL;

static Size
memory_size(void)
{
	return sizeof(SeenShared);
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks pg_attribute_unused())
{
	shared = memory;
	if (!found)
	{
		SpinLockInit(&shared->mutex);
		shared->n = 0;
	}
}

void
qms_seen_init(void)
{
	static const QmsMemory part = {"qms last seen", memory_size, NULL, 0, start_memory};

	qms_memory_register(&part);
}

/* When this backend said so last; QMS_NO_TIME: not yet. */
static TimestampTz *
last_noted(const SeenKey *key)
{
	static HTAB *noted = NULL;
	NotedEntry *entry;
	bool		found;

	if (noted == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(SeenKey);
		ctl.entrysize = sizeof(NotedEntry);
		noted = hash_create("qms noted as seen", 16, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	entry = hash_search(noted, key, HASH_ENTER, &found);
	if (!found)
		entry->at = QMS_NO_TIME;
	return &entry->at;
}

/* Put it onto the list; false if there is none, or it is full. */
static bool
note_shared(const SeenKey *key, int64 organization_id, TimestampTz now)
{
	SeenEntry  *entry = NULL;
	int			i;

	if (shared == NULL || RecoveryInProgress() || !qms_doorbell_scheduler_is_home())
		return false;
	SpinLockAcquire(&shared->mutex);
	for (i = 0; i < shared->n && entry == NULL; i++)
	{
		if (memcmp(&shared->entries[i].key, key, sizeof(SeenKey)) == 0)
			entry = &shared->entries[i];
	}
	if (entry == NULL && shared->n < LIST_SIZE)
	{
		entry = &shared->entries[shared->n++];
		entry->key = *key;
		entry->organization_id = organization_id;
		entry->first_at = now;
	}
	if (entry != NULL)
		entry->last_at = now;
	SpinLockRelease(&shared->mutex);
	/* At once: what is on the list stays there, whatever becomes of the transaction. */
	if (entry != NULL)
		qms_doorbell_wake_scheduler(0, now + EVERY);
	return entry != NULL;
}

static const char *
kind_name(int kind)
{
	return kind == QMS_SEEN_DEVICE ? "device" : "api_key";
}

/* Write one down, unless somebody else is about to, or did lately. */
static void
write_one(int kind, int64 id, int64 organization_id, TimestampTz at)
{
	static QmsPlan update = QMS_PLAN(
									 "UPDATE qms_internal.last_seen SET seen_at = $4 WHERE (kind, id, organization_id) IN ("
									 "SELECT l.kind, l.id, l.organization_id FROM qms_internal.last_seen l "
									 "WHERE l.kind = $1 AND l.id = $2 AND l.organization_id = $3 AND l.seen_at < $4 FOR UPDATE SKIP LOCKED)",
									 TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID);
	static QmsPlan insert = QMS_PLAN(
									 "INSERT INTO qms_internal.last_seen (kind, id, organization_id, seen_at) SELECT $1, $2, $3, $4 "
									 "WHERE NOT EXISTS (SELECT 1 FROM qms_internal.last_seen WHERE kind = $1 AND id = $2 AND organization_id = $3) "
									 "ON CONFLICT DO NOTHING", TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_text(&params, kind_name(kind));
	qms_param_int64(&params, id);
	qms_param_int64(&params, organization_id);
	qms_param_time(&params, at);
	if (qms_spi_run(&update, &params) == 0)
		qms_spi_run(&insert, &params);
}

/* It shows itself now. */
void
qms_seen_note(QmsSeenKind kind, int64 id, int64 organization_id, TimestampTz now)
{
	SeenKey		key = {id, MyDatabaseId, kind};
	TimestampTz *noted = last_noted(&key);

	if (*noted != QMS_NO_TIME && *noted <= now && now - *noted < EVERY)
		return;
	if (!note_shared(&key, organization_id, now))
	{
		if (XactReadOnly || RecoveryInProgress())
			return;
		write_one(kind, id, organization_id, now);
	}
	*noted = now;
}

/* For the scheduler: when there is something to write down; DT_NOEND: nothing so far. */
TimestampTz
qms_seen_due(void)
{
	TimestampTz due = DT_NOEND;
	int			i;

	if (shared == NULL)
		return due;
	SpinLockAcquire(&shared->mutex);
	for (i = 0; i < shared->n; i++)
	{
		if (shared->entries[i].key.database == MyDatabaseId)
			due = Min(due, shared->entries[i].first_at + EVERY);
	}
	SpinLockRelease(&shared->mutex);
	return due;
}

/* Take an entry of this database off the list; false if there is none. */
static bool
take_off(SeenEntry *out)
{
	bool		found = false;
	int			i;

	SpinLockAcquire(&shared->mutex);
	for (i = 0; i < shared->n && !found; i++)
	{
		found = shared->entries[i].key.database == MyDatabaseId;
		if (found)
		{
			*out = shared->entries[i];
			shared->entries[i] = shared->entries[--shared->n];
		}
	}
	SpinLockRelease(&shared->mutex);
	return found;
}

/*
 * ... and write all of it.  What was taken off is lost if this transaction
 * fails; the next minute brings it again.
 */
void
qms_seen_write(void)
{
	SeenEntry	entry;
	int			i;

	for (i = 0; shared != NULL && i < LIST_SIZE && take_off(&entry); i++)
		write_one(entry.key.kind, entry.key.id, entry.organization_id, entry.last_at);
}
