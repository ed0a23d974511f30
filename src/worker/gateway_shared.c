/*
 * gateway_shared.c
 *		What the server's processes know of the gateway: its worker, its login,
 *		its program, what it counts.
 */
#include "worker/gateway.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

QmsGatewayShared *qms_gateway_shared = NULL;

static Size
memory_size(void)
{
	return sizeof(QmsGatewayShared);
}

static void
start_memory(void *memory, bool found, LWLockPadded *locks)
{
	qms_gateway_shared = memory;
	if (found)
		return;
	memset(qms_gateway_shared, 0, sizeof(QmsGatewayShared));
	qms_gateway_shared->lock = &locks->lock;
}

/*
 * One that fails is started again, and so is one that somebody terminates.  It
 * starts where writing is possible: on a standby after its promotion.
 */
static void
register_worker(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_name, "qms gateway", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "qms gateway", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "qms", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "qms_gateway_main", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

/* Behind qms_worker_init(). */
void
qms_gateway_init(void)
{
	static const QmsMemory part = {"qms gateway", memory_size, NULL, 1, start_memory};

	qms_gateway_define_settings();
	if (!process_shared_preload_libraries_in_progress)
		return;
	qms_memory_register(&part);
	if (qms_launcher_enabled() && !IsBinaryUpgrade)
		register_worker();
}

/* Something has changed that it may want to know. */
void
qms_gateway_wake(void)
{
	int			procno = qms_gateway_shared ? qms_gateway_shared->procno : 0;

	if (procno != 0)
		SetLatch(&ProcGlobal->allProcs[procno - 1].procLatch);
}

/* Whole characters only, or nobody with another encoding can read the status. */
static void
copy_text(char *place, Size size, const char *text)
{
	strlcpy(place, text, pg_mbcliplen(text, strlen(text), size - 1) + 1);
}

void
qms_gateway_note_state(QmsGatewayState state, const char *reason)
{
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	if (qms_gateway_shared->state != state || qms_gateway_shared->since == 0)
	{
		qms_gateway_shared->state = state;
		qms_gateway_shared->since = GetCurrentTimestamp();
	}
	copy_text(qms_gateway_shared->reason, QMS_ERROR_SIZE, reason ? reason : "");
	LWLockRelease(qms_gateway_shared->lock);
}

void
qms_gateway_note_error(const char *message)
{
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	copy_text(qms_gateway_shared->error, QMS_ERROR_SIZE, message);
	qms_gateway_shared->error_at = GetCurrentTimestamp();
	LWLockRelease(qms_gateway_shared->lock);
}

/* The program has been started, or (0) has ended. */
void
qms_gateway_note_program(pid_t pid)
{
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	qms_gateway_shared->program = pid;
	if (pid != 0)
		qms_gateway_shared->starts++;
	qms_gateway_shared->listen[0] = '\0';
	memset(&qms_gateway_shared->figures, 0, sizeof(QmsGatewayFigures));
	qms_gateway_shared->databases[0].database = InvalidOid;
	LWLockRelease(qms_gateway_shared->lock);
}

void
qms_gateway_note_listening(const char *listen)
{
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	copy_text(qms_gateway_shared->listen, QMS_GATEWAY_LISTEN_SIZE, listen);
	LWLockRelease(qms_gateway_shared->lock);
	qms_gateway_note_state(QMS_GATEWAY_LISTENING, NULL);
}

/*
 * For commands that need a database for themselves: are sessions of the gateway
 * in it?  Those that are get SIGTERM; it has been told to leave.
 */
bool
qms_gateway_sessions_are_there(Oid database)
{
	Oid			role = get_role_oid(QMS_GATEWAY_LOGIN, true);
	bool		some = false;
	uint32		i;

	if (!OidIsValid(role))
		return false;
	for (i = 0; i < ProcGlobal->allProcCount; i++)
	{
		PGPROC	   *proc = &ProcGlobal->allProcs[i];
		int			pid = proc->pid;

		/* What is left of a session that has ended looks the same, but is not in the array of processes. */
		if (pid == 0 || proc->databaseId != database || proc->roleId != role || proc->isBackgroundWorker ||
			BackendPidGetProc(pid) != proc)
			continue;
		(void) kill(pid, SIGTERM);
		some = true;
	}
	return some;
}
