/*
 * scheduler.c
 *		Does what is due: a table of tasks, each with its next due moment.
 *
 * A task works on a bounded batch of items, each in a transaction of its own.
 * An item that fails is logged and rests for a while, longer each time; the
 * others go on.  Between turns the scheduler sleeps until the next due moment of
 * any task; a commit that brings an earlier one wakes it.  All moments are of
 * qms_clock_now(), which tests set.
 */
#include "worker/worker.h"
#include "worker/tasks.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#define LONGEST_REST (5 * USECS_PER_MINUTE)
#define MAX_RESTING 256

typedef struct TaskState
{
	TimestampTz due;			/* of qms_clock_now() */
	int			failures;		/* of its plan, in a row */
	uint64		generation;		/* of the configuration at its last plan */
	int64		first_of_full;	/* first item of the last batch, if that was full */
	TimestampTz late_since;		/* its plan fails: when it was due first; 0: it does not */
} TaskState;

static TaskState states[32];

/* What failed and is left alone for a while; an item of 0 is free. */
typedef struct Resting
{
	const QmsTask *task;
	int64		item;			/* negative: the queue of that id, which a plan could not look at */
	int			failures;
	TimestampTz until;
} Resting;

static Resting resting[MAX_RESTING];

/* The extension was made anew in this database: nothing that we know holds. */
void
qms_scheduler_forget(void)
{
	memset(states, 0, sizeof(states));
	memset(resting, 0, sizeof(resting));
	qms_releasing_forget();
	qms_statistics_forget();
}

static int64
rest_of(int failures)
{
	return Min((int64) USECS_PER_SEC << Min(failures, 9), LONGEST_REST);
}

static Resting *
find_resting(const QmsTask *task, int64 item)
{
	int			i;

	for (i = 0; i < MAX_RESTING; i++)
	{
		if (resting[i].item == item && resting[i].task == task)
			return &resting[i];
	}
	return NULL;
}

/* Until when an item rests; QMS_NO_TIME: it does not. */
static TimestampTz
rests_until(const QmsTask *task, int64 item, TimestampTz now)
{
	Resting    *entry = find_resting(task, item);

	return entry == NULL || entry->until <= now ? QMS_NO_TIME : entry->until;
}

/*
 * An item failed: until when it rests.  QMS_NO_TIME if there are too many to
 * remember; then the whole task has to rest.
 */
static TimestampTz
let_rest(const QmsTask *task, int64 item)
{
	TimestampTz now = qms_clock_now();
	Resting    *entry = find_resting(task, item);
	int			i;

	/* An entry that is long over is of something that went away otherwise. */
	for (i = 0; entry == NULL && i < MAX_RESTING; i++)
	{
		if (resting[i].item == 0 || resting[i].until + 2 * LONGEST_REST < now)
		{
			entry = &resting[i];
			entry->task = task;
			entry->item = item;
			entry->failures = 0;
		}
	}
	if (entry == NULL)
		return QMS_NO_TIME;
	entry->until = now + rest_of(entry->failures++);
	return entry->until;
}

static void
end_rest(const QmsTask *task, int64 item)
{
	Resting    *entry = find_resting(task, item);

	if (entry != NULL)
		entry->item = 0;
}

/* Say what failed, in the log and in qms.worker_status. */
static void
report_failure(const QmsTask *task, int64 item, const ErrorData *error)
{
	char	   *what = item > 0 ? psprintf(" for %lld", (long long) item) :
		item < 0 ? psprintf(" for queue %lld", -(long long) item) : "";

	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("qms scheduler: task \"%s\" failed%s: %s", task->name, what, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s  It is tried again later; other work goes on.", error->hint) :
			 errhint("It is tried again later; other work goes on.")));
	qms_worker_record_error(qms_worker_mine(), psprintf("%s%s: %s", task->name, what, error->message));
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
		{
			run->generation = qms_inval_generation();
			task->plan(run);
		}
		else
			task->run(run, item);
		qms_worker_commit();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		report_failure(task, item, error);
		FreeErrorData(error);
		pgstat_report_activity(STATE_IDLE, NULL);
		good = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return good;
}

/* ---- what plans use ---- */

/* The task is due again at that moment, or before. */
void
qms_task_next(QmsTaskRun *run, TimestampTz at)
{
	run->next = Min(run->next, at);
}

/* That item is due.  One that rests is not; one that is too many comes with the next batch. */
void
qms_task_add(QmsTaskRun *run, int64 item)
{
	TimestampTz until = rests_until(run->task, item, run->call->now);

	if (until != QMS_NO_TIME)
	{
		qms_task_next(run, until);
		return;
	}
	if (run->items == NULL)
		run->items = MemoryContextAlloc(run->result_context, sizeof(int64) * QMS_TASK_BATCH);
	if (run->nitems < QMS_TASK_BATCH)
		run->items[run->nitems++] = item;
	else
		run->more = true;
}

/* How many rows a plan has to read, so that those that rest hide nobody behind them. */
int
qms_task_limit(const QmsTaskRun *run)
{
	int			limit = QMS_TASK_BATCH + 1;
	int			i;

	for (i = 0; i < MAX_RESTING; i++)
	{
		if (resting[i].item != 0 && resting[i].task == run->task)
			limit++;
	}
	return limit;
}

/* A plan that looks at a queue. */
typedef struct LookAtQueue
{
	QmsTaskRun *run;
	int64		queue_id;
	void		(*function) (QmsTaskRun *run, QmsQueue *queue, void *arg);
	void	   *arg;
	bool		found;
} LookAtQueue;

static void
look_at_queue(void *arg)
{
	LookAtQueue *look = arg;
	QmsQueue   *queue = qms_config_queue(look->queue_id);

	look->found = queue != NULL;
	if (look->found)
		look->function(look->run, queue, look->arg);
}

/*
 * Have a plan look at a queue: one whose settings or time zone are broken must
 * not stop the others.  False if there is none, or it failed.
 */
bool
qms_task_with_queue(QmsTaskRun *run, int64 queue_id,
					void (*function) (QmsTaskRun *run, QmsQueue *queue, void *arg), void *arg)
{
	LookAtQueue look = {run, queue_id, function, arg, false};
	TimestampTz until = rests_until(run->task, -queue_id, run->call->now);
	ErrorData  *error;

	if (until != QMS_NO_TIME)
	{
		qms_task_next(run, until);
		return false;
	}
	error = qms_try(look_at_queue, &look);
	if (error != NULL)
	{
		report_failure(run->task, -queue_id, error);
		FreeErrorData(error);
		until = let_rest(run->task, -queue_id);
		qms_task_next(run, until != QMS_NO_TIME ? until : run->call->now + LONGEST_REST);
		return false;
	}
	if (look.found)
		end_rest(run->task, -queue_id);
	return look.found;
}

/* ---- turns ---- */

/* A plan that failed, or more failures than can be remembered: the task rests. */
static void
rest_task(TaskState *state)
{
	TimestampTz now = qms_clock_now();

	if (state->late_since == 0)
		state->late_since = state->due == 0 ? now : Min(state->due, now);
	state->due = now + rest_of(state->failures++);
}

static void run_task(const QmsTask *task, TaskState *state, uint32 woken_for);

/* Between two items of another task: what is urgent and due by now. */
static void
give_way(const QmsTask *task)
{
	TimestampTz now = qms_clock_now();
	int			i;

	for (i = 0; qms_tasks[i].name != NULL && !task->urgent; i++)
	{
		if (!qms_tasks[i].urgent)
			continue;
		states[i].due = Min(states[i].due, qms_tasks[i].peek(now));
		if (states[i].due <= now)
			run_task(&qms_tasks[i], &states[i], 0);
	}
}

/* Find what is due and do it; sets when the task is due again. */
static void
run_task(const QmsTask *task, TaskState *state, uint32 woken_for)
{
	QmsTaskRun	run = {0};
	bool		overflow = false;
	int			i;

	run.task = task;
	run.woken_for = woken_for;
	run.next = DT_NOEND;
	if (!run_step(task, &run, 0, true))
	{
		rest_task(state);
		return;
	}
	state->generation = run.generation;
	for (i = 0; i < run.nitems && !ProcDiePending; i++)
	{
		if (run_step(task, &run, run.items[i], false))
		{
			end_rest(task, run.items[i]);
			qms_worker_mine()->done++;
		}
		else
		{
			TimestampTz until = let_rest(task, run.items[i]);

			overflow = overflow || until == QMS_NO_TIME;
			if (until != QMS_NO_TIME)
				qms_task_next(&run, until);
		}
		CHECK_FOR_INTERRUPTS();
		give_way(task);
	}
	if (overflow)
	{
		rest_task(state);
		return;
	}
	state->failures = 0;
	state->late_since = 0;
	/* A batch that was full has more behind it; unless the same one comes again and again. */
	if (run.more && run.nitems > 0 && run.items[0] == state->first_of_full)
		state->due = Min(run.next, qms_clock_now() + USECS_PER_MINUTE);
	else
		state->due = run.more ? qms_clock_now() : run.next;
	state->first_of_full = run.more && run.nitems > 0 ? run.items[0] : 0;
}

/*
 * The clock is an input like any other.  After a step back what was planned
 * from the moments before is planned anew; a step forward, or a time of not
 * running, only means that much is due.
 */
static void
notice_steps(TimestampTz now, TimestampTz planned)
{
	static TimestampTz last = QMS_NO_TIME;

	if (last != QMS_NO_TIME && now < last - USECS_PER_SEC)
	{
		ereport(LOG,
				(errmsg("qms scheduler: the clock went back by %lld s", (long long) ((last - now) / USECS_PER_SEC)),
				 errdetail("What is due is looked up anew; what has been done is not done again.")));
		qms_scheduler_forget();
	}
	else if (last != QMS_NO_TIME && planned != DT_NOEND && now - Max(planned, last) > 10 * USECS_PER_MINUTE)
	{
		ereport(LOG,
				(errmsg("qms scheduler: woke up %lld s late", (long long) ((now - Max(planned, last)) / USECS_PER_SEC)),
				 errdetail("The clock went forward, or the server stood still.  What is overdue is done now.")));
		qms_silence_forgive(now);
	}
	last = now;
}

/* The earliest moment at which a task that follows one of these, or any (0), is due. */
static TimestampTz
next_due(uint32 follows)
{
	TimestampTz next = DT_NOEND;
	int			i;

	for (i = 0; qms_tasks[i].name != NULL; i++)
	{
		if (follows == 0 || (qms_tasks[i].follows & follows) != 0)
			next = Min(next, states[i].due);
	}
	return next;
}

/*
 * For the status: the moment at which the task was due that has been due for
 * longest, or will be next.  now: the beginning of the turn, when those are due
 * that have not been looked at by this scheduler.
 */
static void
note_oldest_due(TimestampTz now)
{
	TimestampTz oldest = DT_NOEND;
	int			i;

	for (i = 0; qms_tasks[i].name != NULL; i++)
	{
		if (states[i].late_since != 0)
			oldest = Min(oldest, states[i].late_since);
		else
			oldest = Min(oldest, states[i].due == 0 ? now : states[i].due);
	}
	qms_worker_mine()->oldest_due = oldest;
}

/*
 * One turn.  Tasks whose work comes from what people do (timers, counters that
 * call by themselves) also look when a commit has woken us for them; the others
 * when they are due.
 */
TimestampTz
qms_scheduler_turn(void)
{
	static TimestampTz planned = DT_NOEND;
	TimestampTz now = qms_clock_now();
	uint32		woken_for;
	int			i;

	notice_steps(now, planned);
	/* Before looking: whoever commits afterwards wakes us. */
	woken_for = qms_doorbell_listen();
	qms_worker_notice_changes();
	note_oldest_due(now);
	/* Commits that brought a timer behind the earliest one were not told apart. */
	if (next_due(QMS_WAKE_TIMERS) <= now)
		woken_for |= QMS_WAKE_TIMERS;
	for (i = 0; qms_tasks[i].name != NULL; i++)
	{
		const QmsTask *task = &qms_tasks[i];
		TaskState  *state = &states[i];
		TimestampTz seen = task->peek != NULL ? task->peek(now) : DT_NOEND;

		Assert(i < lengthof(states));
		state->due = Min(state->due, seen);
		if (state->due <= now ||
			(state->failures == 0 && ((task->follows & woken_for) != 0 ||
									  (task->follows_configuration && state->generation != qms_inval_generation()))))
		{
			run_task(task, state, woken_for);
			note_oldest_due(now);
		}
	}
	qms_doorbell_set_due(next_due(QMS_WAKE_TIMERS));
	/* Last: the extension may have been made anew meanwhile, and all is due. */
	planned = next_due(0);
	if (planned == DT_NOEND)
		return DT_NOEND;
	/* The sleep is of the real clock; a mocked one is moved by a reload, which wakes us. */
	if (qms_clock_is_mocked())
		return planned <= qms_clock_now() ? 0 : DT_NOEND;
	return planned;
}
