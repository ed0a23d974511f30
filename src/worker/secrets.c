/*
 * secrets.c
 *		Task of the scheduler: codes, tokens and logins that are of no use any
 *		more, and failed logins that are long ago, are removed.
 */
#include "worker/tasks.h"

#include "catalog/pg_type.h"

#define BATCH "1000"
#define SESSION_KEPT (90 * USECS_PER_DAY)

/* What is removed how long after which moment; $1 is now less that. */
#define STALE(table, column, kept) \
	{QMS_PLAN("SELECT 1 FROM qms_internal." table " WHERE " column " < $1 LIMIT 1", TIMESTAMPTZOID), \
	 QMS_PLAN("DELETE FROM qms_internal." table " WHERE ctid = ANY (ARRAY(SELECT ctid FROM qms_internal." table \
			  " WHERE " column " < $1 ORDER BY " column " LIMIT " BATCH " FOR UPDATE SKIP LOCKED))", TIMESTAMPTZOID), \
	 kept}

static struct
{
	QmsPlan		look;
	QmsPlan		remove;
	int64		kept;
}			stale[] = {
	STALE("secret_delivery", "expires_at", 0),
	STALE("password_reset", "expires_at", 0),
	STALE("one_time_code", "expires_at", USECS_PER_DAY),
	STALE("login_attempt", "failed_at", USECS_PER_DAY),
	STALE("login_session", "expires_at", SESSION_KEPT)
};

/* A removal of logins makes every session forget what it remembers, so there must be something to remove. */
void
qms_plan_secrets(QmsTaskRun *run)
{
	size_t		i;

	for (i = 0; i < lengthof(stale); i++)
	{
		QmsParams	params = {0};

		qms_param_time(&params, run->call->now - stale[i].kept);
		if (qms_spi_run(&stale[i].look, &params) > 0)
			qms_task_add(run, (int64) i + 1);
	}
	run->next = run->call->now + USECS_PER_HOUR;
}

void
qms_run_secrets(QmsTaskRun *run, int64 item)
{
	QmsParams	params = {0};

	qms_param_time(&params, run->call->now - stale[item - 1].kept);
	if (qms_spi_run(&stale[item - 1].remove, &params) >= 1000)
		qms_task_next(run, run->call->now);
}
