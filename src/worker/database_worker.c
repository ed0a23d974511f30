/*
 * database_worker.c
 *		What probe, publisher and scheduler have in common: how they begin, their
 *		transactions, their sleep, what happens when a turn fails.
 */
#include "worker/gateway.h"
#include "queue/queue.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/dbcommands.h"
#include "config/config.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MAX_BACKOFF_MS 300000
#define LONGEST_NAP_MS 60000L

static QmsWorkerStart mine;
static QmsWorkerSlot *my_slot = NULL;
static QmsDatabaseSlot *my_database = NULL;
static MemoryContext turn_context = NULL;
static bool is_ours = false;	/* the database was set up or adopted here */

QmsWorkerSlot *
qms_worker_mine(void)
{
	return my_slot;
}

/* The worker's end, however it comes, is known to the launcher. */
static void
leave(int code pg_attribute_unused(), Datum arg pg_attribute_unused())
{
	if (mine.kind == QMS_PUBLISHER)
		qms_doorbell_detach();
	if (mine.kind == QMS_SCHEDULER)
	{
		qms_doorbell_stop_listening();
		qms_heartbeat_forget(mine.database);
	}
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	if (my_slot->pid == MyProcPid)
	{
		my_slot->pid = 0;
		my_slot->procno = 0;
		/* Stopped by somebody who needs the database: no failure, however often. */
		if (code != 0 && my_database->blocked_by == 0)
		{
			int			delay = Min(1000 << Min(my_slot->failures, 8), MAX_BACKOFF_MS);

			my_slot->failures++;
			my_slot->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
		}
	}
	/* The slot of a database that was dropped or excluded can be given away now. */
	if (my_database->excluded)
		qms_worker_shared->rescan = true;
	LWLockRelease(qms_worker_shared->lock);
	qms_worker_wake_launcher();
}

/* Take the place in shared memory; false if nobody wants us any more. */
static bool
arrive(void)
{
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	my_database = qms_worker_database(mine.database, false);
	if (my_database == NULL || my_database->blocked_by != 0 || my_database->workers[mine.kind].pid > 0)
	{
		/* One that is there already came from a start that was taken for lost. */
		if (my_database != NULL && my_database->workers[mine.kind].pid <= 0)
			my_database->workers[mine.kind].pid = 0;
		LWLockRelease(qms_worker_shared->lock);
		return false;
	}
	my_slot = &my_database->workers[mine.kind];
	my_slot->pid = MyProcPid;
	my_slot->procno = MyProc->pgprocno + 1;
	my_slot->started_at = GetCurrentTimestamp();
	LWLockRelease(qms_worker_shared->lock);
	before_shmem_exit(leave, 0);
	return true;
}

/* Is the database still one that this worker should work in? */
static bool
may_stay(void)
{
	bool		stay;

	LWLockAcquire(qms_worker_shared->lock, LW_SHARED);
	stay = my_database->database == mine.database && my_database->blocked_by == 0 &&
		(mine.kind == QMS_PROBE || my_database->state == QMS_DB_ACTIVE ||
		 my_database->state == QMS_DB_UNKNOWN);
	LWLockRelease(qms_worker_shared->lock);
	return stay;
}

/*
 * A transaction of the worker, as qms_owner: what it makes belongs to the owner
 * of everything else.
 */
void
qms_worker_begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	qms_spi_begin();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, qms_worker_kind_name(mine.kind));
}

/* Become the owner, and see the extension as it is now; after qms_worker_extension_is_here(). */
static void
become_owner(void)
{
	SetUserIdAndSecContext(get_role_oid("qms_owner", false), SECURITY_LOCAL_USERID_CHANGE);
	if (qms_installation_check())
	{
		is_ours = false;
		qms_scheduler_forget();
	}
	qms_config_refresh();
}

/* Hear, outside of any transaction, that others have changed the configuration. */
void
qms_worker_notice_changes(void)
{
	MemoryContext context = CurrentMemoryContext;

	StartTransactionCommand();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

void
qms_worker_commit(void)
{
	qms_spi_end();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(turn_context);
}

/*
 * Is the extension here, whole, and of the version of this library?  ACTIVE,
 * ABSENT, or UNUSABLE with the reason: one that is half upgraded has tables that
 * this library was not made for.
 */
static QmsDatabaseState
extension_state(char *reason, Size size)
{
	char	   *version = qms_installation_version();

	reason[0] = '\0';
	if (version == NULL)
		return QMS_DB_ABSENT;
	if (strcmp(version, QMS_VERSION) != 0)
		snprintf(reason, size, "The extension is of version %s, the library of version %s.", version, QMS_VERSION);
	else if (!OidIsValid(get_namespace_oid(QMS_SCHEMA, true)) ||
			 !OidIsValid(get_namespace_oid(QMS_INTERNAL_SCHEMA, true)))
		snprintf(reason, size, "The extension has lost its schemas.");
	else
		return QMS_DB_ACTIVE;
	return QMS_DB_UNUSABLE;
}

/* In a transaction: may we work with the extension?  A probe says why not. */
bool
qms_worker_extension_is_here(void)
{
	char		reason[QMS_ERROR_SIZE];

	if (extension_state(reason, sizeof(reason)) != QMS_DB_ACTIVE)
		return false;
	become_owner();
	return true;
}

/* The call under which a worker uses the functions of the queue folder. */
QmsCall *
qms_worker_call(void)
{
	static const QmsPrincipal worker = {
		.kind = QMS_SUPERUSER, .kind_name = "system", .role = "qms scheduler", .via = "worker"
	};
	static QmsFunction function = {"scheduler", QMS_ACT_INSTALL, 0, NULL, 0, 0};
	QmsCall    *call = palloc0(sizeof(QmsCall));

	call->function = &function;
	call->who = &worker;
	call->reach = QMS_REACH_ALL;
	call->now = qms_clock_now();
	call->result_context = CurrentMemoryContext;
	return call;
}

/*
 * Sleep until a moment of the real clock, or until woken.  The time that a latch
 * waits stands still with a suspended machine and knows nothing of a clock that
 * is set forward; so long sleeps are taken in naps, and after each the clock is
 * looked at, nothing else.
 */
void
qms_worker_sleep(TimestampTz until)
{
	int			events = 0;

	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	my_slot->last_run_at = GetCurrentTimestamp();
	my_slot->next_due_at = until;
	LWLockRelease(qms_worker_shared->lock);
	while ((events & WL_LATCH_SET) == 0)
	{
		long		timeout = -1;

		if (until != DT_NOEND)
			timeout = Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until), LONGEST_NAP_MS);
		events = WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
						   timeout, PG_WAIT_EXTENSION);
		if (until <= GetCurrentTimestamp())
			break;
	}
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/* A database that has the extension gets no workers: say so in the log. */
static void
warn(QmsDatabaseState state, const char *database, const char *reason)
{
	if (state == QMS_DB_DORMANT)
		ereport(WARNING,
				(errcode(ERRCODE_QMS_NOT_ADOPTED),
				 errmsg("qms is dormant in database \"%s\"", database),
				 errdetail("%s", reason),
				 errhint("If this database is to work here, call qms.adopt_database() in it.")));
	if (state == QMS_DB_UNUSABLE)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("qms does no background work in database \"%s\"", database),
				 errdetail("%s", reason),
				 errhint("Run ALTER EXTENSION qms UPDATE in it; if it is the library that is older, restart the server.")));
}

/* Look whether the extension is here, and whether it is ours to work in. */
static void
probe(void)
{
	QmsDatabaseState state;
	char		reason[QMS_ERROR_SIZE];
	char	   *name;
	uint32		changes;
	bool		current;

	LWLockAcquire(qms_worker_shared->lock, LW_SHARED);
	changes = my_database->changes;
	LWLockRelease(qms_worker_shared->lock);
	qms_worker_begin();
	name = MemoryContextStrdup(turn_context, get_database_name(MyDatabaseId));
	state = extension_state(reason, sizeof(reason));
	if (state == QMS_DB_ACTIVE)
	{
		become_owner();
		state = qms_adoption_state(reason, sizeof(reason));
	}
	qms_worker_commit();
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	/* Has something been committed meanwhile?  What we saw may be out of date: another probe. */
	current = my_database->changes == changes && my_database->state == QMS_DB_UNKNOWN;
	if (current)
		my_database->state = state;
	strlcpy(my_database->dormant_reason, reason, QMS_ERROR_SIZE);
	my_slot->failures = 0;
	if (state != QMS_DB_ACTIVE)
	{
		qms_worker_wake(my_database, QMS_PUBLISHER);
		qms_worker_wake(my_database, QMS_SCHEDULER);
	}
	LWLockRelease(qms_worker_shared->lock);
	if (current)
		warn(state, name, reason);
}

/* A failed turn: say what it was, clean up, and wait a little longer each time. */
static TimestampTz
recover(MemoryContext context)
{
	ErrorData  *error;
	int			delay;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(context);
	qms_worker_record_error(my_slot, error->message);
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	delay = Min(500 << Min(my_slot->failures, 10), MAX_BACKOFF_MS);
	my_slot->failures++;
	LWLockRelease(qms_worker_shared->lock);
	FreeErrorData(error);
	pgstat_report_activity(STATE_IDLE, NULL);
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), delay);
}

/*
 * The extension is gone: so are we, quietly.  It may have been made again since
 * we looked, so a probe says what is there.
 */
void
qms_worker_leave(void)
{
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	if (my_database->state == QMS_DB_ACTIVE)
		my_database->state = QMS_DB_UNKNOWN;
	LWLockRelease(qms_worker_shared->lock);
	proc_exit(0);
}

/*
 * Nothing is done in a database that is not ours (yet).  Whoever makes it ours
 * wakes us; a safety look all the same, rarely.
 */
static TimestampTz
turn_if_ours(TimestampTz (*turn) (void))
{
	if (!is_ours)
	{
		/* Before looking: whoever makes it ours afterwards rings again. */
		TimestampTz rung_at = mine.kind == QMS_PUBLISHER ? qms_doorbell_heard() : 0;

		qms_worker_begin();
		if (!qms_worker_extension_is_here())
		{
			qms_worker_commit();
			qms_worker_leave();
		}
		is_ours = qms_adoption_is_ours();
		qms_worker_commit();
		if (my_slot->waiting_since == 0)
			my_slot->waiting_since = rung_at;
		/* Nothing waits in a database that is nobody's, whatever was in it before. */
		if (!is_ours)
			my_slot->waiting_since = my_slot->oldest_due = 0;
	}
	return is_ours ? turn() : TimestampTzPlusMilliseconds(GetCurrentTimestamp(), 600000);
}

static bool
go_on(void)
{
	return !ShutdownRequestPending && may_stay();
}

/*
 * Wait after a failure: commits that wake us do not shorten it, or each would
 * bring the same failure again.  Only who says that something has changed does.
 */
static void
wait_for_retry(TimestampTz until)
{
	while (go_on() && my_slot->failures > 0 && GetCurrentTimestamp() < until)
		qms_worker_sleep(until);
}

/* Turn after turn, until told to stop or nobody wants us here. */
static void
work(TimestampTz (*turn) (void))
{
	while (go_on())
	{
		volatile bool failed = false;
		TimestampTz next;

		PG_TRY();
		{
			next = turn_if_ours(turn);
			my_slot->failures = 0;
		}
		PG_CATCH();
		{
			next = recover(turn_context);
			failed = true;
		}
		PG_END_TRY();
		MemoryContextSwitchTo(turn_context);
		MemoryContextReset(turn_context);
		if (failed)
			wait_for_retry(next);
		/* Also when more is due already: a reload of the settings is noticed there. */
		else if (go_on())
			qms_worker_sleep(next);
	}
}

/* A worker that fails outside of its turns ends; say why in the status. */
static void
run_kind(void)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		switch (mine.kind)
		{
			case QMS_PROBE:
				probe();
				break;
			case QMS_LOGIN:
				qms_gateway_set_login();
				my_slot->failures = 0;
				break;
			case QMS_PUBLISHER:
				qms_publisher_start();
				work(qms_publisher_turn);
				qms_publisher_stop();
				break;
			default:
				work(qms_scheduler_turn);
				break;
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		qms_worker_record_error(my_slot, CopyErrorData()->message);
		if (mine.kind == QMS_LOGIN)
			qms_gateway_login_failed(my_slot->error);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

void
qms_database_worker_main(Datum arg pg_attribute_unused())
{
	memcpy(&mine, MyBgworkerEntry->bgw_extra, sizeof(mine));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	/* The publisher has something to write down before it goes; the others just go. */
	pqsignal(SIGTERM, mine.kind == QMS_PUBLISHER ? SignalHandlerForShutdownRequest : die);
	BackgroundWorkerUnblockSignals();
	if (!arrive())
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(mine.database, InvalidOid, 0);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	/* What ALTER DATABASE ... SET says of transactions is meant for people. */
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	/* Whoever holds a lock for long makes a turn fail, visibly; he does not hold up a shutdown. */
	SetConfigOption("lock_timeout", "5s", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_appname(psprintf("qms %s %s", qms_worker_kind_name(mine.kind), QMS_VERSION));
	turn_context = AllocSetContextCreate(TopMemoryContext, "qms turn", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(turn_context);
	run_kind();
	proc_exit(0);
}
