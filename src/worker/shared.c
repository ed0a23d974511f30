/*
 * shared.c
 *		What the workers share: which database has the extension, who runs where,
 *		what went wrong.
 */
#include "worker/worker.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"

QmsWorkerShared *qms_worker_shared = NULL;


static Size
memory_size(void)
{
	return sizeof(QmsWorkerShared);
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks)
{
	qms_worker_shared = memory;
	if (found)
		return;
	memset(qms_worker_shared, 0, sizeof(QmsWorkerShared));
	qms_worker_shared->lock = &locks->lock;
	qms_worker_shared->rescan = true;
	qms_random(&qms_worker_shared->run_id, sizeof(uint64));
}

static void
register_launcher(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_name, "qms launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "qms launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "qms", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "qms_launcher_main", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
qms_worker_init(void)
{
	static const QmsMemory part = {"qms workers", memory_size, NULL, 1, start_memory};

	qms_launcher_define_settings();
	if (!process_shared_preload_libraries_in_progress)
		return;
	qms_memory_register(&part);
	qms_doorbell_init();
	qms_published_init();
	qms_hooks_init();
	if (qms_launcher_enabled() && !IsBinaryUpgrade)
		register_launcher();
}

const char *
qms_worker_kind_name(QmsWorkerKind kind)
{
	static const char *const names[QMS_WORKER_KINDS] = {"probe", "login", "publisher", "scheduler"};

	return names[kind];
}

/* The slot of a database; the caller has the lock.  NULL if there is none, or no room. */
QmsDatabaseSlot *
qms_worker_database(Oid database, bool create)
{
	QmsDatabaseSlot *free_slot = NULL;
	int			i;

	for (i = 0; i < QMS_MAX_DATABASES; i++)
	{
		QmsDatabaseSlot *slot = &qms_worker_shared->databases[i];

		if (slot->database == database)
			return slot;
		if (free_slot == NULL && slot->database == InvalidOid)
			free_slot = slot;
	}
	if (!create || free_slot == NULL)
		return NULL;
	memset(free_slot, 0, sizeof(*free_slot));
	free_slot->database = database;
	free_slot->state = QMS_DB_UNKNOWN;
	return free_slot;
}

static void
wake_process(int procno)
{
	if (procno != 0)
		SetLatch(&ProcGlobal->allProcs[procno - 1].procLatch);
}

void
qms_worker_wake_launcher(void)
{
	if (qms_worker_shared != NULL)
		wake_process(qms_worker_shared->launcher_procno);
}

/* The caller has the lock. */
void
qms_worker_wake(QmsDatabaseSlot *slot, QmsWorkerKind kind)
{
	if (slot->workers[kind].pid != 0)
		wake_process(slot->workers[kind].procno);
}

/* Something about the extension in this database has been committed: look again. */
void
qms_worker_probe_again(Oid database)
{
	QmsDatabaseSlot *slot;
	int			kind;

	if (qms_worker_shared == NULL)
		return;
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	slot = qms_worker_database(database, true);
	if (slot != NULL)
	{
		slot->state = QMS_DB_UNKNOWN;
		slot->changes++;
		for (kind = 0; kind < QMS_WORKER_KINDS; kind++)
		{
			slot->workers[kind].not_before = 0;
			slot->workers[kind].failures = 0;
			qms_worker_wake(slot, kind);
		}
	}
	/* The launcher may not know of the database, or it may be an excluded one. */
	qms_worker_shared->rescan = true;
	LWLockRelease(qms_worker_shared->lock);
	qms_worker_wake_launcher();
}

void
qms_worker_record_error(QmsWorkerSlot *worker, const char *message)
{
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	worker->error_at = GetCurrentTimestamp();
	/* Whole characters only, or nobody with another encoding can read the status. */
	strlcpy(worker->error, message, pg_mbcliplen(message, strlen(message), QMS_ERROR_SIZE - 1) + 1);
	LWLockRelease(qms_worker_shared->lock);
}
