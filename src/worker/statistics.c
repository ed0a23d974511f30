/*
 * statistics.c
 *		Tasks of the scheduler: looks for what is new in the event log, and makes
 *		the snapshots that are due (src/stats).
 *
 * Every qms.statistics_interval.  An hour is read in batches of some thousand
 * events, each in a transaction of its own, so that what is urgent goes between;
 * what has been read so far is in memory, and if the scheduler ends the hour is
 * begun again.
 */
#include "stats/fold.h"
#include "worker/tasks.h"
#include "worker/worker.h"

#include "utils/guc.h"
#include "utils/memutils.h"

/* After a failure, or when somebody else is at it. */
#define REST (5 * USECS_PER_MINUTE)

static QmsWindow *window = NULL;	/* the hour that is being read */
static TimestampTz last_made = QMS_NO_TIME; /* the hour that was made just before */

void
qms_statistics_define_settings(void)
{
	DefineCustomIntVariable("qms.statistics_interval",
							"How often the statistics take in what is new in the event log.",
							"0 turns it off; qms.recompute_snapshots() makes up for it.",
							&qms_statistics_interval, 300, 0, 86400, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
}

/* The scheduler begins anew: so does the hour. */
void
qms_statistics_forget(void)
{
	if (window != NULL)
		qms_window_free(window);
	window = NULL;
}

static bool
is_mine(void)
{
	return qms_lock_if_free(QMS_LOCK_STATS, 0, true);
}

/* ---- what is new ---- */

void
qms_plan_statistics(QmsTaskRun *run)
{
	/* Turned on again, it is looked at soon enough. */
	if (qms_statistics_interval > 0)
		qms_task_add(run, 1);
	qms_task_next(run, run->call->now + (qms_statistics_interval > 0 ? qms_statistics_interval * USECS_PER_SEC : REST));
}

/* One batch. */
void
qms_run_statistics(QmsTaskRun *run, int64 item pg_attribute_unused())
{
	if (!is_mine())
		qms_task_next(run, run->call->now + USECS_PER_MINUTE);
	else if (qms_stats_collect())
		qms_task_next(run, run->call->now);
	else
		qms_stats_mark_ended(run->call->now);
}

/* ---- snapshots ---- */

void
qms_plan_snapshots(QmsTaskRun *run)
{
	if (qms_statistics_interval > 0 && (window != NULL || qms_stats_is_due(run->call->now)))
		qms_task_add(run, 1);
	/* Sooner, if there is more. */
	qms_task_next(run, run->call->now + (qms_statistics_interval > 0 ? qms_statistics_interval * USECS_PER_SEC : REST));
}

static void
step(void *arg)
{
	bool	   *more = arg;

	*more = qms_window_step(window);
}

/* The hour that is being read goes on, or the next one begins; if it is all read, it is written. */
static void
make_hour(QmsTaskRun *run)
{
	bool		more = false;
	ErrorData  *error = qms_try(step, &more);

	if (error != NULL)
	{
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("qms scheduler: the snapshots of the hour from %s failed: %s",
						pstrdup(timestamptz_to_str(window->starts_at)), error->message),
				 errhint("They are tried again later; other work goes on.")));
		FreeErrorData(error);
		qms_window_postpone(window, run->call->now + REST);
	}
	else if (more)
		return;
	else
	{
		qms_window_write(window, run->call->now);
		last_made = window->starts_at;
	}
	qms_statistics_forget();
}

/* One step of what is due. */
void
qms_run_snapshots(QmsTaskRun *run, int64 item pg_attribute_unused())
{
	if (!is_mine())
	{
		qms_task_next(run, run->call->now + USECS_PER_MINUTE);
		return;
	}
	if (window == NULL)
	{
		window = qms_window_next(TopMemoryContext, run->call->now, 0);
		if (window != NULL && window->starts_at == last_made)
		{
			/* Whatever makes it due at once again may wait. */
			qms_window_postpone(window, run->call->now + REST);
			qms_statistics_forget();
			last_made = QMS_NO_TIME;
			qms_task_next(run, run->call->now);
			return;
		}
	}
	if (window != NULL)
		make_hour(run);
	else
	{
		last_made = QMS_NO_TIME;
		if (!qms_days_step(run->call->now, 0))
			return;
	}
	qms_task_next(run, run->call->now);
}
