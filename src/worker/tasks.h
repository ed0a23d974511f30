/*
 * tasks.h
 *		The scheduler's table of tasks.
 */
#ifndef QMS_TASKS_H
#define QMS_TASKS_H

#include "queue/queue.h"

#define QMS_TASK_BATCH 100

typedef struct QmsTaskRun
{
	QmsCall    *call;			/* of the running transaction */
	MemoryContext result_context;	/* items live here */
	int64	   *items;			/* ids that are due now */
	int			nitems;
	TimestampTz next;			/* when the task is due again; DT_NOEND: when something happens */
} QmsTaskRun;

typedef struct QmsTask
{
	const char *name;
	bool		follows_events; /* look also whenever a transaction has written events */
	void		(*plan) (QmsTaskRun *run);	/* finds items and next */
	void		(*run) (QmsTaskRun *run, int64 item);	/* one of them, in a transaction */
} QmsTask;

extern const QmsTask qms_tasks[];	/* ends with a name of NULL */

#endif							/* QMS_TASKS_H */
