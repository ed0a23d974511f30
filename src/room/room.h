/*
 * room.h
 *		Waiting rooms: the lottery at the opening, invitations, hooks, limits.
 */
#ifndef QMS_ROOM_H
#define QMS_ROOM_H

#include "queue/queue.h"

/* lottery.c: what changes of a queue's settings mean for its draw; "was" is NULL for a new queue */
extern void qms_lottery_check(int64 queue_id, const QmsQueueSettings *was, const QmsQueueSettings *will_be,
							  TimestampTz now);
extern void qms_lottery_commit(QmsCall *call, int64 queue_id, const QmsEvent *about,
							   const QmsQueueSettings *settings);

/* draw.c: one step of a draw, in a transaction of its own */
typedef enum QmsDrawStep
{
	QMS_DRAW_NOTHING,			/* nothing to draw there, or not yet */
	QMS_DRAW_BUSY,				/* somebody else is at work there, for long */
	QMS_DRAW_MORE,				/* there is another step */
	QMS_DRAW_DONE
} QmsDrawStep;

extern QmsDrawStep qms_draw_step(QmsCall *call, int64 queue_id);

extern Datum qms_room_answer(QmsCall *call, uint64 nrows, int ncolumns);

/* hook.c */
extern void qms_hook_check(const char *name);

#endif							/* QMS_ROOM_H */
