/*
 * hooks.c
 *		How the workers learn of what happens to databases and to the extension.
 *
 * CREATE EXTENSION calls a C function of ours, DROP EXTENSION passes the object
 * access hook; both are acted upon at commit only.  Commands that need a
 * database without other sessions stop our workers in it first, and let the
 * launcher start them again when their transaction ends, whether they succeeded
 * or not.
 */
#include "worker/gateway.h"
#include "queue/queue.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "commands/user.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define STOP_TIMEOUT_MS 20000

static object_access_hook_type prev_access_hook = NULL;
static ProcessUtility_hook_type prev_utility_hook = NULL;
static bool extension_changed = false;
static List *blocked = NIL;		/* databases that this transaction keeps our workers out of */

static void unblock(void);

/*
 * Only now others see what the transaction did: a database that is new or gone,
 * the extension made or dropped.  Its locks are still held, so a worker that is
 * started right now waits a moment.
 */
static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (event == XACT_EVENT_COMMIT && extension_changed)
		qms_worker_probe_again(MyDatabaseId);
	extension_changed = false;
	unblock();
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

/*
 * Organizations have appeared or gone: the first one makes an empty database
 * ours, or shows that it is being restored.
 */
static void
see_configuration(Relation rel)
{
	qms_doorbell_note_work(QMS_WAKE_ALL);
	if (strcmp(RelationGetRelationName(rel), "organization") == 0)
		qms_worker_extension_changed();
}

/* Somebody was refused: the scheduler writes it down, at that moment. */
static void
see_refusal(TimestampTz due)
{
	qms_doorbell_wake_scheduler(0, due);
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

/* Let the launcher start workers in the databases again. */
static void
unblock(void)
{
	ListCell   *cell;

	if (blocked == NIL)
		return;
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	foreach(cell, blocked)
	{
		QmsDatabaseSlot *slot = qms_worker_database(lfirst_oid(cell), false);

		/* Several sessions may want the same database for themselves. */
		if (slot != NULL && --slot->blockers <= 0)
			slot->blockers = slot->blocked_by = 0;
	}
	qms_worker_shared->rescan = true;
	LWLockRelease(qms_worker_shared->lock);
	list_free(blocked);
	blocked = NIL;
	qms_worker_wake_launcher();
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
	return qms_gateway_sessions_are_there(database) || some;
}

/* Stop our workers in a database and keep them out until the transaction ends. */
static void
block(Oid database)
{
	MemoryContext old;
	QmsDatabaseSlot *slot;
	int			waited;

	if (list_member_oid(blocked, database))
		return;
	watch_transaction();
	old = MemoryContextSwitchTo(TopMemoryContext);
	blocked = lappend_oid(blocked, database);
	MemoryContextSwitchTo(old);
	LWLockAcquire(qms_worker_shared->lock, LW_EXCLUSIVE);
	slot = qms_worker_database(database, true);
	if (slot != NULL)
	{
		slot->blocked_by = MyProcPid;
		slot->blockers++;
	}
	LWLockRelease(qms_worker_shared->lock);
	if (slot == NULL)
	{
		blocked = list_delete_oid(blocked, database);
		return;
	}
	qms_gateway_wake();
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

/* Is the extension among what these roles own?  Superusers count as owners. */
static bool
owned_by(List *roles)
{
	Oid			extension = get_extension_oid("qms", true);
	ListCell   *cell;

	if (!OidIsValid(extension))
		return false;
	foreach(cell, roleSpecsToIds(roles))
	{
		if (pg_extension_ownercheck(extension, lfirst_oid(cell)))
			return true;
	}
	return false;
}

/*
 * Does the command take strong locks on our tables one by one, as DROP and ALTER
 * EXTENSION do?  A worker in the middle of them would be a deadlock.
 */
static bool
changes_extension(Node *statement)
{
	ListCell   *cell;

	if (IsA(statement, DropOwnedStmt))
		return owned_by(((DropOwnedStmt *) statement)->roles);
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
ends_prepared(Node *statement, TransactionStmtKind kind)
{
	return IsA(statement, TransactionStmt) && ((TransactionStmt *) statement)->kind == kind;
}

/* What was prepared may have made the extension; its session could not tell at PREPARE. */
static void
probe_if_absent(void)
{
	QmsDatabaseSlot *slot;
	bool		active;

	if (qms_worker_shared == NULL)
		return;
	LWLockAcquire(qms_worker_shared->lock, LW_SHARED);
	slot = qms_worker_database(MyDatabaseId, false);
	active = slot != NULL && slot->state == QMS_DB_ACTIVE;
	if (active)
		qms_worker_wake(slot, QMS_SCHEDULER);
	LWLockRelease(qms_worker_shared->lock);
	if (!active)
		qms_worker_probe_again(MyDatabaseId);
}

/*
 * May this user do it at all?  Who may not must not be able to stop the workers
 * by trying; the command itself says what is missing.
 */
static bool
may_command(Node *statement, Oid database)
{
	bool		may = pg_database_ownercheck(database, GetUserId());
	HeapTuple	tuple;

	if (may || !IsA(statement, CreatedbStmt))
		return may;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	may = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	may = may && HeapTupleIsValid(tuple) && ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return may;
}

static bool
may_change_extension(void)
{
	Oid			extension = get_extension_oid("qms", true);

	return OidIsValid(extension) && pg_extension_ownercheck(extension, GetUserId());
}

/* Keep our workers out of the database that the command needs without them. */
static void
make_room(Node *statement)
{
	const char *name = database_of(statement);
	Oid			database = name ? get_database_oid(name, true) : InvalidOid;

	if (OidIsValid(database) && may_command(statement, database))
		block(database);
	if (changes_extension(statement) && may_change_extension())
	{
		block(MyDatabaseId);
		/* After an update it may be of the version of this library now, or not any more. */
		qms_worker_extension_changed();
	}
}

static void
see_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
			DestReceiver *dest, QueryCompletion *qc)
{
	bool		committed = ends_prepared(pstmt->utilityStmt, TRANS_STMT_COMMIT_PREPARED);
	bool		rolled_back = ends_prepared(pstmt->utilityStmt, TRANS_STMT_ROLLBACK_PREPARED);

	/* Not for statements of an aborted transaction, such as ROLLBACK. */
	if (qms_worker_shared != NULL && IsTransactionState() && !RecoveryInProgress())
		make_room(pstmt->utilityStmt);
	if (prev_utility_hook)
		prev_utility_hook(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	if (rolled_back)
	{
		/* Who came and went by it has been counted already (queue/bucket.c). */
		qms_slot_note_doubt();
		qms_doorbell_poke_scheduler();
	}
	if (committed)
	{
		qms_doorbell_ring();
		qms_doorbell_wake_scheduler(QMS_WAKE_ALL, DT_NOEND);
		probe_if_absent();
	}
}

void
qms_hooks_init(void)
{
	prev_access_hook = object_access_hook;
	object_access_hook = see_drop;
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = see_utility;
	qms_inval_hook = see_configuration;
	qms_refusal_hook = see_refusal;
}
