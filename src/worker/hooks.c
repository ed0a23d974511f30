/*
 * hooks.c
 *		How the workers learn of what happens to databases and to the extension.
 *
 * CREATE EXTENSION calls a C function of ours, DROP EXTENSION passes the object
 * access hook; both are acted upon at commit only.  Commands that need a
 * database without other sessions stop our workers in it first, and let the
 * launcher start them again afterwards, whether the command succeeded or not.
 */
#include "worker/worker.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/utility.h"

#define STOP_TIMEOUT_MS 20000

static object_access_hook_type prev_access_hook = NULL;
static ProcessUtility_hook_type prev_utility_hook = NULL;
static bool extension_changed = false;
static Oid	blocked_database = InvalidOid;
static bool blocked_to_end = false; /* of the transaction */

static void unblock(void);

static void
end_transaction(XactEvent event, void *arg)
{
	/* A transaction that dropped or altered the extension is over. */
	if ((event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) &&
		blocked_to_end)
	{
		blocked_to_end = false;
		unblock();
	}
	if (event == XACT_EVENT_COMMIT && extension_changed)
		qms_worker_probe_again(MyDatabaseId);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		extension_changed = false;
}

static void
watch_transaction(void)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		registered = true;
	}
}

/* The extension is made, dropped or adopted by this transaction. */
void
qms_worker_extension_changed(void)
{
	watch_transaction();
	extension_changed = true;
}

static void
see_drop(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (prev_access_hook)
		prev_access_hook(access, classId, objectId, subId, arg);
	if (access == OAT_DROP && classId == ExtensionRelationId)
	{
		char	   *name = get_extension_name(objectId);

		if (name != NULL && strcmp(name, "qms") == 0)
			qms_worker_extension_changed();
	}
}

/* Let the launcher start workers in the database again. */
static void
unblock(void)
{
	QmsDatabaseSlot *slot;

	if (blocked_database == InvalidOid)
		return;
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	slot = qms_worker_database(blocked_database, false);
	if (slot != NULL && slot->blocked_by == MyProcPid)
		slot->blocked_by = 0;
	qms_worker_shared->rescan = true;
	LWLockRelease(qms_worker_shared->lock);
	blocked_database = InvalidOid;
	qms_worker_wake_launcher();
}

static void
unblock_at_exit(int code, Datum arg)
{
	unblock();
}

/* Any worker of ours still there?  Those that are get SIGTERM. */
static bool
workers_are_there(Oid database)
{
	QmsDatabaseSlot *slot;
	bool		some = false;
	int			kind;

	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	slot = qms_worker_database(database, false);
	for (kind = 0; slot != NULL && kind < QMS_WORKER_KINDS; kind++)
	{
		QmsWorkerSlot *worker = &slot->workers[kind];

		if (worker->pid > 0)
		{
			(void) kill(worker->pid, SIGTERM);
			some = true;
		}
		else if (worker->pid == -1)
			some = true;
	}
	LWLockRelease(qms_worker_shared->lock);
	return some;
}

/* Stop our workers in a database and keep them out until unblock(). */
static void
block(Oid database)
{
	static bool registered = false;
	QmsDatabaseSlot *slot;
	int			waited;

	if (!registered)
	{
		before_shmem_exit(unblock_at_exit, 0);
		registered = true;
	}
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	slot = qms_worker_database(database, true);
	if (slot != NULL)
		slot->blocked_by = MyProcPid;
	LWLockRelease(qms_worker_shared->lock);
	if (slot == NULL)
		return;
	blocked_database = database;
	/* Nothing is promised beyond that; the command says then who is in the way. */
	for (waited = 0; waited < STOP_TIMEOUT_MS && workers_are_there(database); waited += 10)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* The database that a command needs for itself; NULL if it needs none. */
static const char *
database_of(Node *statement)
{
	ListCell   *cell;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) statement)->dbname;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				return ((RenameStmt *) statement)->subname;
			return NULL;
		case T_AlterDatabaseStmt:
			foreach(cell, ((AlterDatabaseStmt *) statement)->options)
			{
				if (strcmp(((DefElem *) lfirst(cell))->defname, "tablespace") == 0)
					return ((AlterDatabaseStmt *) statement)->dbname;
			}
			return NULL;
		case T_CreatedbStmt:
			foreach(cell, ((CreatedbStmt *) statement)->options)
			{
				DefElem    *option = lfirst(cell);

				if (strcmp(option->defname, "template") == 0 && option->arg != NULL &&
					IsA(option->arg, String))
					return strVal(option->arg);
			}
			return "template1";
		default:
			return NULL;
	}
}

/*
 * Does the command take strong locks on our tables one by one, as DROP and ALTER
 * EXTENSION do?  A worker in the middle of them would be a deadlock.
 */
static bool
changes_extension(Node *statement)
{
	ListCell   *cell;

	if (IsA(statement, AlterExtensionStmt))
		return strcmp(((AlterExtensionStmt *) statement)->extname, "qms") == 0;
	if (!IsA(statement, DropStmt) || ((DropStmt *) statement)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(cell, ((DropStmt *) statement)->objects)
	{
		if (IsA(lfirst(cell), String) && strcmp(strVal(lfirst(cell)), "qms") == 0)
			return true;
	}
	return false;
}

static bool
commits_prepared(Node *statement)
{
	return IsA(statement, TransactionStmt) &&
		((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED;
}

/* The command, with our workers out of the database until it is over. */
static void
run_blocked(Oid database, PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
			DestReceiver *dest, QueryCompletion *qc);

static void
run_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
			DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_utility_hook)
		prev_utility_hook(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
}

static void
run_blocked(Oid database, PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
			DestReceiver *dest, QueryCompletion *qc)
{
	block(database);
	PG_TRY();
	{
		run_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	}
	PG_FINALLY();
	{
		unblock();
	}
	PG_END_TRY();
}

static void
see_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
			DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;
	bool		prepared = commits_prepared(statement);
	const char *name = database_of(statement);
	Oid			database = name && !RecoveryInProgress() ? get_database_oid(name, true) : InvalidOid;

	if (qms_worker_shared != NULL && !RecoveryInProgress() && !blocked_to_end && changes_extension(statement))
	{
		watch_transaction();
		blocked_to_end = true;
		block(MyDatabaseId);
	}
	if (qms_worker_shared == NULL || !OidIsValid(database))
		run_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		run_blocked(database, pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	if (prepared)
		qms_doorbell_ring();
}

void
qms_hooks_init(void)
{
	prev_access_hook = object_access_hook;
	object_access_hook = see_drop;
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = see_utility;
}
