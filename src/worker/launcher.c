/*
 * launcher.c
 *		The one worker that is always there: it looks at shared catalogs only,
 *		has each database probed for the extension, one after the other, and
 *		keeps a publisher and a scheduler running in each that has it.
 *
 * It sleeps until somebody wakes it (a worker that ended, CREATE or DROP
 * EXTENSION at commit, CREATE or DROP DATABASE) or a worker that failed may
 * start again.
 */
#include "worker/gateway.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#define MAX_BACKOFF_SECONDS 300

#define PROBE_PATIENCE_MS 5000

static bool workers_enabled = true;
static char *excluded_databases = NULL;
static int	history_retention = 0;

void
qms_launcher_define_settings(void)
{
	if (process_shared_preload_libraries_in_progress)
		DefineCustomBoolVariable("qms.workers",
								 "Starts the background workers of qms.",
								 "Turn it off for a clone of a server that still runs: it has the same identifier.",
								 &workers_enabled, true, PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("qms.excluded_databases",
							   "Databases in which no worker of qms runs.",
							   "A list of names, separated by commas.",
							   &excluded_databases, "", PGC_SIGHUP, GUC_LIST_INPUT, NULL, NULL, NULL);
	DefineCustomIntVariable("qms.history_retention",
							"Months after which history, legs and events are dropped.",
							"0 keeps them for ever. Whole months are dropped.",
							&history_retention, 0, 0, 1200, PGC_SIGHUP, 0, NULL, NULL, NULL);
	qms_statistics_define_settings();
}

int
qms_history_retention_months(void)
{
	return history_retention;
}

bool
qms_launcher_enabled(void)
{
	return workers_enabled;
}

static bool
is_excluded(const char *name)
{
	char	   *copy = pstrdup(excluded_databases ? excluded_databases : "");
	List	   *names;
	ListCell   *cell;

	if (!SplitIdentifierString(copy, ',', &names))
		return false;
	foreach(cell, names)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/* The databases that may have workers, in the current memory context. */
static List *
list_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		if (!database->datallowconn || is_excluded(NameStr(database->datname)))
			continue;
		old = MemoryContextSwitchTo(context);
		databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/* Compare the slots with pg_database. */
static void
scan_databases(void)
{
	List	   *databases;
	ListCell   *cell;
	int			i;

	qms_worker_shared->rescan = false;
	databases = list_databases();
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	foreach(cell, databases)
	{
		QmsDatabaseSlot *slot = qms_worker_database(lfirst_oid(cell), true);

		if (slot != NULL && slot->excluded)
		{
			slot->excluded = false;
			slot->state = QMS_DB_UNKNOWN;
		}
	}
	for (i = 0; i < QMS_MAX_DATABASES; i++)
	{
		QmsDatabaseSlot *slot = &qms_worker_shared->databases[i];
		bool		empty = slot->blocked_by == 0;
		int			kind;

		if (slot->database == InvalidOid || list_member_oid(databases, slot->database))
			continue;
		/* Dropped or excluded: its workers go when they see it, then the slot is free. */
		slot->state = QMS_DB_ABSENT;
		slot->excluded = true;
		for (kind = 0; kind < QMS_WORKER_KINDS; kind++)
		{
			qms_worker_wake(slot, kind);
			empty = empty && slot->workers[kind].pid == 0;
		}
		if (empty)
			slot->database = InvalidOid;
	}
	LWLockRelease(qms_worker_shared->lock);
	list_free(databases);
}

/* Ask the postmaster for a worker; false if there is no slot. */
static bool
start_worker(Oid database, QmsWorkerKind kind)
{
	BackgroundWorker worker = {0};
	QmsWorkerStart start = {database, kind};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	snprintf(worker.bgw_name, BGW_MAXLEN, "qms %s for database %u", qms_worker_kind_name(kind), database);
	snprintf(worker.bgw_type, BGW_MAXLEN, "qms %s", qms_worker_kind_name(kind));
	strlcpy(worker.bgw_library_name, "qms", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "qms_database_worker_main", BGW_MAXLEN);
	memcpy(worker.bgw_extra, &start, sizeof(start));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

/* Workers that this database should have; the caller has the lock. */
static bool
wants(const QmsDatabaseSlot *slot, QmsWorkerKind kind)
{
	if (slot->database == InvalidOid || slot->blocked_by != 0)
		return false;
	if (kind == QMS_LOGIN && slot->database != qms_gateway_login_database())
		return false;
	return kind == QMS_PROBE ? slot->state == QMS_DB_UNKNOWN : slot->state == QMS_DB_ACTIVE;
}

static bool
process_exists(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

/*
 * A worker marks its end itself; one that was killed takes the whole shared
 * memory with it.  What is left is a start that never came about.
 */
static void
reap(QmsWorkerSlot *worker)
{
	if (worker->pid != 0 && worker->pid != -1 && !process_exists(worker->pid))
		worker->pid = 0;
}

/* Worker processes for so many databases: launcher, gateway, one that probes or sets the login, and two for each. */
static int
slots_needed(int databases)
{
	return 3 + 2 * databases;
}

static void
say_slots_are_missing(int databases)
{
	if (!qms_worker_shared->too_few_slots)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("qms could not start a background worker"),
				 errdetail("All of max_worker_processes are in use."),
				 errhint("qms needs %d: one for the launcher, one for the gateway, two for each of %d databases, and one more while databases are probed; raise max_worker_processes (now %d).",
						 slots_needed(databases), databases, max_worker_processes)));
	qms_worker_shared->too_few_slots = true;
}

/* CREATE EXTENSION in one more database: say at once if its workers will find no place. */
void
qms_launcher_warn_of_slots(void)
{
	int			databases = 1;
	int			i;

	if (qms_worker_shared == NULL || !workers_enabled)
		return;
	LWLockAcquire(qms_worker_shared->lock, LW_SHARED);
	for (i = 0; i < QMS_MAX_DATABASES; i++)
		databases += qms_worker_shared->databases[i].state == QMS_DB_ACTIVE &&
			qms_worker_shared->databases[i].database != MyDatabaseId;
	LWLockRelease(qms_worker_shared->lock);
	if (slots_needed(databases) > max_worker_processes)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the background workers of qms will not all find a place"),
				 errdetail("For %d databases qms needs %d worker processes; max_worker_processes is %d.",
						   databases, slots_needed(databases), max_worker_processes),
				 errhint("Raise max_worker_processes and restart the server.")));
}

/* Start one worker if it is time; false if there is no slot for it. */
static bool
start_if_due(QmsDatabaseSlot *slot, QmsWorkerKind kind, TimestampTz now, TimestampTz *next)
{
	QmsWorkerSlot *worker = &slot->workers[kind];

	if (!wants(slot, kind) || worker->pid != 0)
		return true;
	if (worker->not_before > now)
	{
		*next = Min(*next, worker->not_before);
		return true;
	}
	if (!start_worker(slot->database, kind))
	{
		*next = Min(*next, TimestampTzPlusMilliseconds(now, 5000));
		return false;
	}
	worker->pid = -1;			/* asked for; the worker puts its own here */
	worker->started_at = now;
	return true;
}

/*
 * Probe one database after the other; false if there is no slot for it.  A probe
 * that hangs, because its database is locked, holds the others up for a moment
 * only.  *done tells whether every database that can be looked at has been: the
 * workers are started then, so that who runs out of slots knows how many it takes.
 */
static bool
start_probes(TimestampTz now, TimestampTz *next, bool *done)
{
	bool		good = true;
	int			i;

	*done = true;
	for (i = 0; i < QMS_MAX_DATABASES && *done; i++)
	{
		QmsWorkerSlot *probe = &qms_worker_shared->databases[i].workers[QMS_PROBE];
		TimestampTz patience = TimestampTzPlusMilliseconds(probe->started_at, PROBE_PATIENCE_MS);

		if (probe->pid != 0 && patience > now)
		{
			*done = false;
			*next = Min(*next, patience);
		}
	}
	for (i = 0; i < QMS_MAX_DATABASES && *done; i++)
	{
		QmsDatabaseSlot *slot = &qms_worker_shared->databases[i];
		bool		idle = slot->workers[QMS_PROBE].pid == 0;

		good = start_if_due(slot, QMS_PROBE, now, next);
		*done = good && !(idle && slot->workers[QMS_PROBE].pid != 0);
	}
	return good;
}

/* Start what is missing; answers when to look again. */
static TimestampTz
start_missing(void)
{
	TimestampTz next = DT_NOEND;
	TimestampTz now = GetCurrentTimestamp();
	bool		probed;
	bool		good;
	int			active = 0;
	int			i;
	int			kind;

	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	for (i = 0; i < QMS_MAX_DATABASES; i++)
	{
		for (kind = 0; kind < QMS_WORKER_KINDS; kind++)
			reap(&qms_worker_shared->databases[i].workers[kind]);
		active += qms_worker_shared->databases[i].state == QMS_DB_ACTIVE;
	}
	good = start_probes(now, &next, &probed);
	for (i = 0; i < QMS_MAX_DATABASES && probed; i++)
	{
		good = start_if_due(&qms_worker_shared->databases[i], QMS_LOGIN, now, &next) && good;
		good = start_if_due(&qms_worker_shared->databases[i], QMS_PUBLISHER, now, &next) && good;
		good = start_if_due(&qms_worker_shared->databases[i], QMS_SCHEDULER, now, &next) && good;
	}
	LWLockRelease(qms_worker_shared->lock);
	if (!good)
		say_slots_are_missing(active);
	else if (probed)
		qms_worker_shared->too_few_slots = false;
	return next;
}

/*
 * A start that was asked for may never come about (a database dropped at that
 * moment).  After some time without a sign of life it is tried again.
 */
static void
forget_lost_starts(void)
{
	TimestampTz long_ago = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), -20000);
	int			i;
	int			kind;

	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	for (i = 0; i < QMS_MAX_DATABASES; i++)
	{
		for (kind = 0; kind < QMS_WORKER_KINDS; kind++)
		{
			QmsWorkerSlot *worker = &qms_worker_shared->databases[i].workers[kind];

			if (worker->pid == -1 && worker->started_at < long_ago)
				worker->pid = 0;
		}
	}
	LWLockRelease(qms_worker_shared->lock);
}

static bool
some_start_is_open(void)
{
	bool		open = false;
	int			i;
	int			kind;

	LWLockAcquire(qms_worker_shared->lock, LW_SHARED);
	for (i = 0; i < QMS_MAX_DATABASES; i++)
	{
		for (kind = 0; kind < QMS_WORKER_KINDS; kind++)
			open = open || qms_worker_shared->databases[i].workers[kind].pid == -1;
	}
	LWLockRelease(qms_worker_shared->lock);
	return open;
}

static void
leave(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	qms_worker_shared->launcher_procno = 0;
	qms_worker_shared->launcher_pid = 0;
}

void
qms_launcher_main(Datum arg pg_attribute_unused())
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	before_shmem_exit(leave, 0);
	/* No database: shared catalogs only.  It is visible in pg_stat_activity so. */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("qms launcher");
	qms_worker_shared->launcher_pid = MyProcPid;
	qms_worker_shared->launcher_procno = MyProc->pgprocno + 1;
	qms_worker_shared->rescan = true;
	while (!ShutdownRequestPending)
	{
		TimestampTz next;
		long		timeout = -1;

		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			qms_worker_shared->rescan = true;
		}
		if (qms_worker_shared->rescan)
			scan_databases();
		forget_lost_starts();
		next = start_missing();
		qms_gateway_wake();
		if (some_start_is_open())
			next = Min(next, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 21000));
		if (next != DT_NOEND)
			timeout = Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next), 10);
		pgstat_report_activity(STATE_IDLE, NULL);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
						 timeout, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	/* Not 0: somebody who terminates it by hand gets it back. */
	proc_exit(1);
}
