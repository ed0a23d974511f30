/*
 * tasks.h
 *		The scheduler's table of tasks.
 */
#ifndef QMS_TASKS_H
#define QMS_TASKS_H

#include "queue/queue.h"

#define QMS_TASK_BATCH 100

struct QmsTask;

typedef struct QmsTaskRun
{
	const struct QmsTask *task;
	QmsCall    *call;			/* of the running transaction */
	MemoryContext result_context;	/* items live here */
	int64	   *items;			/* ids that are due now */
	int			nitems;
	bool		more;			/* the batch is full: plan again at once */
	uint64		generation;		/* of the configuration that the plan has seen */
	uint32		woken_for;		/* QMS_WAKE_ bits: what the plan runs for, beside the moment */
	TimestampTz next;			/* when the task is due again; DT_NOEND: when something happens */
} QmsTaskRun;

typedef struct QmsTask
{
	const char *name;
	uint32		follows;		/* QMS_WAKE_ bits: look also when woken for one of these */
	bool		follows_configuration;	/* and when the configuration is another one */
	TimestampTz (*peek) (TimestampTz now);	/* or NULL: due by then, as shared memory says; at each wake */
	void		(*plan) (QmsTaskRun *run);	/* finds items and next */
	void		(*run) (QmsTaskRun *run, int64 item);	/* one of them, in a transaction */
	bool		urgent;			/* when it is due, it is done between the items of others */
} QmsTask;

extern const QmsTask qms_tasks[];	/* ends with a name of NULL */

/* scheduler.c: for plans */
extern void qms_task_add(QmsTaskRun *run, int64 item);
extern int	qms_task_limit(const QmsTaskRun *run);
extern void qms_task_next(QmsTaskRun *run, TimestampTz at);
extern bool qms_task_with_queue(QmsTaskRun *run, int64 queue_id,
								void (*function) (QmsTaskRun *run, QmsQueue *queue, void *arg), void *arg);

/* closing.c */
extern void qms_plan_day_ends(QmsTaskRun *run);
extern void qms_run_day_end(QmsTaskRun *run, int64 ticket_id);
extern void qms_plan_closings(QmsTaskRun *run);
extern void qms_run_closing(QmsTaskRun *run, int64 ticket_id);

/* counts.c */
extern TimestampTz qms_peek_counts(TimestampTz now);
extern void qms_plan_counts(QmsTaskRun *run);
extern void qms_run_counts(QmsTaskRun *run, int64 queue_id);

/* drawing.c */
extern void qms_plan_draws(QmsTaskRun *run);
extern void qms_run_draw(QmsTaskRun *run, int64 queue_id);

/* flow.c */
extern void qms_plan_flows(QmsTaskRun *run);
extern void qms_run_flow(QmsTaskRun *run, int64 queue_id);

/* learning.c */
extern void qms_plan_learning(QmsTaskRun *run);
extern void qms_run_learning(QmsTaskRun *run, int64 queue_id);

/* opening.c */
extern void qms_plan_hours(QmsTaskRun *run);
extern void qms_run_hours(QmsTaskRun *run, int64 queue_id);

/* releasing.c */
extern void qms_releasing_forget(void);
extern TimestampTz qms_peek_release(TimestampTz now);
extern void qms_plan_release(QmsTaskRun *run);
extern void qms_run_release(QmsTaskRun *run, int64 queue_id);
extern TimestampTz qms_peek_release_pool(TimestampTz now);
extern void qms_plan_release_pool(QmsTaskRun *run);
extern void qms_run_release_pool(QmsTaskRun *run, int64 release_pool_id);
extern TimestampTz qms_peek_ends(TimestampTz now);
extern void qms_plan_ends(QmsTaskRun *run);
extern void qms_run_ends(QmsTaskRun *run, int64 queue_id);

/* silence.c */
extern TimestampTz qms_peek_heartbeats(TimestampTz now);
extern void qms_plan_heartbeats(QmsTaskRun *run);
extern void qms_run_heartbeats(QmsTaskRun *run, int64 item);
extern void qms_silence_forgive(TimestampTz now);
extern void qms_plan_silent(QmsTaskRun *run);
extern void qms_run_silent(QmsTaskRun *run, int64 ticket_id);

/* upkeep.c */
extern void qms_plan_partitions(QmsTaskRun *run);
extern void qms_run_partitions(QmsTaskRun *run, int64 item);
extern void qms_plan_retention(QmsTaskRun *run);
extern void qms_run_retention(QmsTaskRun *run, int64 which);
extern void qms_plan_requests(QmsTaskRun *run);
extern void qms_run_requests(QmsTaskRun *run, int64 item);
extern void qms_plan_access_tokens(QmsTaskRun *run);
extern void qms_run_access_tokens(QmsTaskRun *run, int64 item);
extern void qms_plan_last_seen(QmsTaskRun *run);
extern void qms_run_last_seen(QmsTaskRun *run, int64 item);

/* statistics.c */
extern void qms_statistics_forget(void);
extern void qms_plan_statistics(QmsTaskRun *run);
extern void qms_run_statistics(QmsTaskRun *run, int64 item);
extern void qms_plan_snapshots(QmsTaskRun *run);
extern void qms_run_snapshots(QmsTaskRun *run, int64 item);

/* secrets.c */
extern void qms_plan_secrets(QmsTaskRun *run);
extern void qms_run_secrets(QmsTaskRun *run, int64 which);

/* privacy.c */
extern void qms_plan_refusals(QmsTaskRun *run);
extern void qms_run_refusals(QmsTaskRun *run, int64 item);
extern void qms_plan_old_tickets(QmsTaskRun *run);
extern void qms_run_old_tickets(QmsTaskRun *run, int64 queue_id);
extern void qms_plan_old_customers(QmsTaskRun *run);
extern void qms_run_old_customers(QmsTaskRun *run, int64 organization_id);
extern void qms_plan_reseal(QmsTaskRun *run);
extern void qms_run_reseal(QmsTaskRun *run, int64 item);

/* met: alerting.c */
extern void qms_plan_alerts(QmsTaskRun *run);
extern void qms_run_alert(QmsTaskRun *run, int64 alert_rule_id);
/* reports.c */
extern void qms_plan_reports(QmsTaskRun *run);
extern void qms_run_report(QmsTaskRun *run, int64 report_schedule_id);

#endif							/* QMS_TASKS_H */
