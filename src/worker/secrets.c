/*
 * secrets.c
 *		Task of the scheduler: codes, tokens and logins that are of no use any
 *		more, and failed logins that are long ago, are removed.
 */
#include "worker/tasks.h"

#include "catalog/pg_type.h"

#define BATCH 1000
#define SESSION_KEPT (90 * USECS_PER_DAY)

/* What is removed how long after which moment; $1 is now less that. */
static struct
{
	QmsPlan		look;
	QmsPlan		remove;
	int64		kept;
}			stale[] = {
	{
		QMS_PLAN("SELECT 1 FROM qms_internal.secret_delivery WHERE expires_at < $1 LIMIT 1", TIMESTAMPTZOID),
		QMS_PLAN("DELETE FROM qms_internal.secret_delivery WHERE ctid = ANY (ARRAY(SELECT ctid FROM qms_internal.secret_delivery "
				 "WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED))", TIMESTAMPTZOID),
		0
	},
	{
		QMS_PLAN("SELECT 1 FROM qms_internal.password_reset WHERE expires_at < $1 LIMIT 1", TIMESTAMPTZOID),
		QMS_PLAN("DELETE FROM qms_internal.password_reset WHERE ctid = ANY (ARRAY(SELECT ctid FROM qms_internal.password_reset "
				 "WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED))", TIMESTAMPTZOID),
		0
	},
	{
		QMS_PLAN("SELECT 1 FROM qms_internal.one_time_code WHERE expires_at < $1 LIMIT 1", TIMESTAMPTZOID),
		QMS_PLAN("DELETE FROM qms_internal.one_time_code WHERE ctid = ANY (ARRAY(SELECT ctid FROM qms_internal.one_time_code "
				 "WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED))", TIMESTAMPTZOID),
		USECS_PER_DAY
	},
	{
		QMS_PLAN("SELECT 1 FROM qms_internal.login_attempt WHERE failed_at < $1 LIMIT 1", TIMESTAMPTZOID),
		QMS_PLAN("DELETE FROM qms_internal.login_attempt WHERE ctid = ANY (ARRAY(SELECT ctid FROM qms_internal.login_attempt "
				 "WHERE failed_at < $1 ORDER BY failed_at LIMIT 1000 FOR UPDATE SKIP LOCKED))", TIMESTAMPTZOID),
		USECS_PER_DAY
	},
	{
		QMS_PLAN("SELECT 1 FROM qms_internal.login_session WHERE expires_at < $1 LIMIT 1", TIMESTAMPTZOID),
		QMS_PLAN("DELETE FROM qms_internal.login_session WHERE ctid = ANY (ARRAY(SELECT ctid FROM qms_internal.login_session "
				 "WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED))", TIMESTAMPTZOID),
		SESSION_KEPT
	}
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
	if (qms_spi_run(&stale[item - 1].remove, &params) >= BATCH)
		qms_task_next(run, run->call->now);
}
