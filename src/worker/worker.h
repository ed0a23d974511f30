/*
 * worker.h
 *		The background workers: launcher, publisher, scheduler.
 */
#ifndef QMS_WORKER_H
#define QMS_WORKER_H

#include "events/events.h"

#include "postmaster/bgworker.h"
#include "storage/lwlock.h"

typedef enum QmsWorkerKind
{
	QMS_PROBE,					/* looks whether a database has the extension */
	QMS_LOGIN,					/* sets the login of the gateway, which is the same for all databases */
	QMS_PUBLISHER,
	QMS_SCHEDULER,
	QMS_WORKER_KINDS
} QmsWorkerKind;

typedef enum QmsDatabaseState
{
	QMS_DB_UNKNOWN,				/* to be probed */
	QMS_DB_ABSENT,				/* has no extension */
	QMS_DB_UNUSABLE,			/* has one of another version, or parts of one */
	QMS_DB_DORMANT,				/* has it, and data that was not made here */
	QMS_DB_ACTIVE
} QmsDatabaseState;

#define QMS_ERROR_SIZE 200
#define QMS_EPOCH_SIZE 6		/* random bytes */

/* One worker of a database, as the status view shows it. */
typedef struct QmsWorkerSlot
{
	pid_t		pid;			/* 0: not running */
	int			procno;
	TimestampTz started_at;
	TimestampTz last_run_at;
	TimestampTz next_due_at;
	TimestampTz not_before;		/* after a failure: when it may start again */
	int			failures;		/* in a row */
	int64		done;			/* events published, items worked on */
	TimestampTz waiting_since;	/* publisher: the oldest commit that is not published yet; 0: none */
	TimestampTz oldest_due;		/* scheduler: of all tasks, by qms_clock_now(); 0: not known */
	TimestampTz error_at;
	char		error[QMS_ERROR_SIZE];
} QmsWorkerSlot;

typedef struct QmsDatabaseSlot
{
	Oid			database;		/* InvalidOid: free */
	QmsDatabaseState state;
	uint32		changes;		/* counts what may have changed the state */
	bool		excluded;		/* by qms.excluded_databases, or dropped */
	int			blockers;		/* sessions that need the database for themselves */
	pid_t		blocked_by;		/* the last of them; 0: none */
	char		dormant_reason[QMS_ERROR_SIZE];
	QmsWorkerSlot workers[QMS_WORKER_KINDS];
} QmsDatabaseSlot;

typedef struct QmsWorkerShared
{
	LWLock	   *lock;			/* of everything below */
	uint64		run_id;			/* new with each shared memory: tells a crash from a restart */
	int			launcher_procno;	/* plus 1; 0: none */
	pid_t		launcher_pid;
	bool		rescan;			/* the list of databases has changed */
	bool		too_few_slots;	/* a worker could not be started */
	QmsDatabaseSlot databases[QMS_MAX_DATABASES];
} QmsWorkerShared;

extern QmsWorkerShared *qms_worker_shared;

/* What a worker is started with; travels in bgw_extra. */
typedef struct QmsWorkerStart
{
	Oid			database;
	QmsWorkerKind kind;
} QmsWorkerStart;

StaticAssertDecl(sizeof(QmsWorkerStart) <= BGW_EXTRALEN, "worker arguments must fit into bgw_extra");

/* shared.c */
extern void qms_worker_init(void);
extern QmsDatabaseSlot *qms_worker_database(Oid database, bool create);
extern void qms_worker_wake_launcher(void);
extern void qms_worker_wake(QmsDatabaseSlot *slot, QmsWorkerKind kind);
extern void qms_worker_probe_again(Oid database);
extern void qms_worker_record_error(QmsWorkerSlot *worker, const char *message);
extern const char *qms_worker_kind_name(QmsWorkerKind kind);

/* status.c, health.c */
extern int64 qms_worker_lag(const QmsDatabaseSlot *database, QmsWorkerKind kind);
extern void qms_health_init(void);

/* launcher.c */
extern PGDLLEXPORT void qms_launcher_main(Datum arg);
extern bool qms_launcher_enabled(void);
extern void qms_launcher_define_settings(void);
extern int qms_history_retention_months(void);
extern void qms_launcher_warn_of_slots(void);
extern void qms_statistics_define_settings(void);

/* database_worker.c: what probe, publisher and scheduler have in common */
extern PGDLLEXPORT void qms_database_worker_main(Datum arg);
extern QmsWorkerSlot *qms_worker_mine(void);
extern pg_attribute_noreturn() void qms_worker_leave(void);
extern void qms_worker_begin(void);
extern void qms_worker_commit(void);
extern void qms_worker_notice_changes(void);
extern bool qms_worker_extension_is_here(void);
extern void qms_worker_sleep(TimestampTz until);
extern QmsCall *qms_worker_call(void);

/* publisher.c, scheduler.c: one turn; answers when to wake up at the latest */
extern TimestampTz qms_publisher_turn(void);
extern void qms_publisher_start(void);
extern void qms_publisher_stop(void);
extern TimestampTz qms_scheduler_turn(void);
extern void qms_scheduler_forget(void);
extern QmsDatabaseState qms_adoption_state(char *reason, Size size);
extern bool qms_adoption_is_ours(void);

/* hooks.c */
extern void qms_hooks_init(void);
extern void qms_worker_extension_changed(void);

#endif							/* QMS_WORKER_H */
