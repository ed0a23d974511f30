/*
 * scheduler.c
 *		Does what is due: a table of tasks, each with its next due moment.
 *
 * A task works on a bounded batch of items, each in a transaction of its own.
 * An item that fails is logged, counted and left alone for a while; the others
 * go on.  Between turns the scheduler sleeps until the next due moment of any
 * task; a commit that brings an earlier one wakes it.  All moments are of
 * qms_clock_now(), which tests set.
 */
#include "worker/worker.h"
#include "worker/tasks.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

typedef struct TaskState
{
	TimestampTz due;			/* of qms_clock_now() */
	int			failures;		/* in a row */
} TaskState;

static TaskState states[16];

/* Log a failure and go on; the transaction is over. */
static void
note_failure(const QmsTask *task, int64 item, MemoryContext context)
{
	ErrorData  *error;
	char	   *message;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(context);
	message = psprintf("%s: %s", task->name, error->message);
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("qms scheduler: task \"%s\" failed for %lld: %s", task->name, (long long) item,
					error->message),
			 error->detail ? errdetail("%s", error->detail) : 0,
			 errhint("It is tried again later; other work goes on.")));
	qms_worker_record_error(qms_worker_mine(), message);
	FreeErrorData(error);
}

/* One transaction of a task; false if it failed. */
static bool
run_step(const QmsTask *task, QmsTaskRun *run, int64 item, bool plan)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool good = true;

	PG_TRY();
	{
		qms_worker_begin();
		if (!qms_worker_extension_is_here())
		{
			qms_worker_commit();
			qms_worker_leave();
		}
		run->call = qms_worker_call();
		run->result_context = context;
		if (plan)
			task->plan(run);
		else
			task->run(run, item);
		qms_worker_commit();
	}
	PG_CATCH();
	{
		note_failure(task, item, context);
		good = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return good;
}

/* A failed task waits longer each time, up to five minutes. */
static TimestampTz
backoff(const TaskState *state)
{
	return qms_clock_now() + Min((int64) USECS_PER_SEC << Min(state->failures, 9), 5 * USECS_PER_MINUTE);
}

/* Find what is due and do it; sets when the task is due again. */
static void
run_task(const QmsTask *task, TaskState *state)
{
	QmsTaskRun	run = {0};
	bool		failed;
	int			i;

	run.next = DT_NOEND;
	failed = !run_step(task, &run, 0, true);
	for (i = 0; !failed && i < run.nitems && !ProcDiePending; i++)
	{
		if (!run_step(task, &run, run.items[i], false))
			failed = true;
		else
			qms_worker_mine()->done++;
		CHECK_FOR_INTERRUPTS();
	}
	state->failures = failed ? state->failures + 1 : 0;
	state->due = failed ? backoff(state) : run.next;
	/* A batch that was full has more behind it. */
	if (!failed && run.nitems >= QMS_TASK_BATCH)
		state->due = qms_clock_now();
}

/*
 * One turn.  Tasks that depend on what people do (timers, counters that call by
 * themselves) look each time they are woken; the others when they are due.
 */
TimestampTz
qms_scheduler_turn(void)
{
	TimestampTz now = qms_clock_now();
	TimestampTz next = DT_NOEND;
	bool		listen = false;
	int			i;

	/* Before looking: whoever commits afterwards wakes us. */
	qms_doorbell_listen(true);
	for (i = 0; qms_tasks[i].name != NULL; i++)
	{
		Assert(i < lengthof(states));
		if (states[i].due <= now || (qms_tasks[i].follows_events && states[i].failures == 0))
			run_task(&qms_tasks[i], &states[i]);
		listen = listen || qms_tasks[i].follows_events;
		next = Min(next, states[i].due);
	}
	qms_doorbell_listen(listen);
	if (next == DT_NOEND)
		return DT_NOEND;
	/* The sleep is of the real clock; a mocked one is moved by a reload, which wakes us. */
	if (qms_clock_is_mocked())
		return next <= qms_clock_now() ? 0 : DT_NOEND;
	return next;
}
