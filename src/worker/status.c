/*
 * status.c
 *		Who of the workers runs, since when, what is due, what went wrong: the
 *		rows of qms.worker_status.
 */
#include "worker/worker.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#define COLUMNS 14

static void
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL || *text == '\0';
	if (!nulls[column])
		values[column] = CStringGetTextDatum(text);
}

static void
put_time(Datum *values, bool *nulls, int column, TimestampTz at)
{
	nulls[column] = at == 0 || at == DT_NOEND;
	values[column] = TimestampTzGetDatum(at);
}

static const char *
state_name(QmsDatabaseState state)
{
	switch (state)
	{
		case QMS_DB_UNKNOWN:
			return "probing";
		case QMS_DB_ABSENT:
			return "no extension";
		case QMS_DB_UNUSABLE:
			return "unusable";
		case QMS_DB_DORMANT:
			return "dormant";
		default:
			return "active";
	}
}

/*
 * How far behind a worker is, in microseconds; -1: that is not known.  The
 * publisher's lag is the age of the oldest commit with events that are not all
 * published, the scheduler's the delay of what has been due for longest.
 */
int64
qms_worker_lag(const QmsDatabaseSlot *database, QmsWorkerKind kind)
{
	const QmsWorkerSlot *worker = &database->workers[kind];
	TimestampTz since = worker->waiting_since;
	TimestampTz rung_at;

	if (database->state != QMS_DB_ACTIVE || kind == QMS_PROBE)
		return -1;
	if (kind == QMS_SCHEDULER)
		return worker->oldest_due == 0 ? -1 : Max(qms_clock_now() - worker->oldest_due, 0);
	rung_at = qms_doorbell_rung_at(database->database);
	if (since == 0 || (rung_at != 0 && rung_at < since))
		since = rung_at;
	if (since == 0)
		return worker->pid > 0 ? 0 : -1;
	return Max(GetCurrentTimestamp() - since, 0);
}

/* What has failed names tickets and queues of whatever organization: for who runs the server. */
static bool
may_see_errors(Oid session)
{
	Oid			super_admin = get_role_oid("qms_super_admin", true);

	return superuser_arg(session) || is_member_of_role_nosuper(session, ROLE_PG_MONITOR) ||
		(OidIsValid(super_admin) && is_member_of_role_nosuper(session, super_admin));
}

static void
put_worker(ReturnSetInfo *set, const QmsDatabaseSlot *database, QmsWorkerKind kind)
{
	const QmsWorkerSlot *worker = &database->workers[kind];
	int64		lag = qms_worker_lag(database, kind);
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS] = {false};

	values[0] = ObjectIdGetDatum(database->database);
	put_text(values, nulls, 1, qms_worker_kind_name(kind));
	put_text(values, nulls, 2, state_name(database->state));
	values[3] = Int32GetDatum(worker->pid);
	nulls[3] = worker->pid <= 0;
	put_time(values, nulls, 4, worker->pid > 0 ? worker->started_at : 0);
	put_time(values, nulls, 5, worker->last_run_at);
	put_time(values, nulls, 6, worker->pid > 0 ? worker->next_due_at : 0);
	values[7] = IntervalPGetDatum(qms_interval_make(lag));
	nulls[7] = lag < 0;
	values[8] = Int64GetDatum(worker->done);
	values[9] = Int32GetDatum(worker->failures);
	put_text(values, nulls, 10, may_see_errors(GetSessionUserId()) ? worker->error : NULL);
	put_time(values, nulls, 11, worker->error_at);
	put_text(values, nulls, 12, database->dormant_reason);
	values[13] = Int32GetDatum(database->blocked_by);
	nulls[13] = database->blocked_by == 0;
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/* Without a launcher nobody looks at any database. */
static const char *
launcher_state(void)
{
	if (!qms_launcher_enabled())
		return "off";
	if (RecoveryInProgress())
		return "standby";
	if (qms_worker_shared->launcher_pid == 0)
		return "not running";
	return qms_worker_shared->too_few_slots ? "too few slots" : "active";
}

static void
put_launcher(ReturnSetInfo *set)
{
	Datum		values[COLUMNS] = {0};
	bool		nulls[COLUMNS];

	memset(nulls, true, sizeof(nulls));
	put_text(values, nulls, 1, "launcher");
	put_text(values, nulls, 2, launcher_state());
	values[3] = Int32GetDatum(qms_worker_shared->launcher_pid);
	nulls[3] = qms_worker_shared->launcher_pid == 0;
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(qms_worker_status);

/* Of this database; superusers see those of all. */
Datum
qms_worker_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	QmsDatabaseSlot *copy;
	bool		all = superuser_arg(GetSessionUserId());
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	if (qms_worker_shared == NULL)
		return (Datum) 0;
	copy = palloc(sizeof(QmsDatabaseSlot) * QMS_MAX_DATABASES);
	LWLockAcquire(qms_worker_shared->lock, LW_SHARED);
	memcpy(copy, qms_worker_shared->databases, sizeof(QmsDatabaseSlot) * QMS_MAX_DATABASES);
	LWLockRelease(qms_worker_shared->lock);
	put_launcher(set);
	if (!qms_launcher_enabled() || RecoveryInProgress())
		return (Datum) 0;
	for (i = 0; i < QMS_MAX_DATABASES; i++)
	{
		if (copy[i].database == InvalidOid || (!all && copy[i].database != MyDatabaseId))
			continue;
		/* One that cannot be looked at says why; else it would be "probing" for ever. */
		if (copy[i].state == QMS_DB_UNKNOWN && copy[i].workers[QMS_PROBE].failures > 0)
			put_worker(set, &copy[i], QMS_PROBE);
		put_worker(set, &copy[i], QMS_PUBLISHER);
		put_worker(set, &copy[i], QMS_SCHEDULER);
	}
	return (Datum) 0;
}
