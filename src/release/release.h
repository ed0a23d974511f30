/*
 * release.h
 *		Waiting rooms let people in: so many by now, never more than fit, in the
 *		order of the line.
 *
 * The first part, segment.c's, needs no server.
 */
#ifndef QMS_RELEASE_H
#define QMS_RELEASE_H

#include "queue/queue.h"

/* ---- segment.c: how many by now, as a function of time ---- */

/* What is saved up while nobody can be let in is what comes in this time, and again. */
#define QMS_RELEASE_TAU USECS_PER_SEC

/* S(t) = base + floor((rest + speed (t - at)) / 86400 10^12): one stretch of constant speed. */
typedef struct QmsSegment
{
	int64		at;				/* microseconds */
	int64		base;
	int64		rest;			/* what was rounded off at the beginning */
	int64		speed;			/* millionths of a person per day, as in types.h */
} QmsSegment;

extern int64 qms_segment_count(const QmsSegment *segment, int64 now);
extern void qms_segment_change(QmsSegment *segment, int64 from, int64 speed);
extern int64 qms_segment_due(const QmsSegment *segment, int64 count);
extern int64 qms_segment_burst(int64 speed);
extern bool qms_segment_cap(QmsSegment *segment, int64 now, int64 released);

/* ---- gate.c: a rate and those who share it ---- */

/* How many steps of claim_window ago the number of people let in is remembered. */
#define QMS_RECENT 9

typedef struct QmsGateQueue
{
	int64		queue_id;
	QmsQueue   *queue;			/* valid until the next qms_config_refresh() */
	TimestampTz starts_at;		/* DT_NOEND: not as things are; else nobody is let in before */
	TimestampTz stopped_at;
	int64		inside;
	int64		pass;
	int64		released;
	int64		claimed;
	int64		missed;
	int64		ended;
	int64		abandoned;
	bool		dirty;
	int64		waiting;		/* as far as anybody has looked */
	int64		first_key;
	int32		share;			/* people to let in */
} QmsGateQueue;

typedef struct QmsGate
{
	int64		gate;			/* queue, or the negative of a pool */
	int64		organization_id;
	QmsSegment	segment;
	int64		released;
	int			load_factor;
	TimestampTz load_at;
	int			no_show;
	int64		missed;
	int64		due;
	int			nrecent;
	int64		recent[QMS_RECENT];
	TimestampTz recent_at;
	int64		pass;
	bool		dirty;
	int			nqueues;
	QmsGateQueue *queues;
} QmsGate;

extern void qms_gate_make(int64 gate, int64 organization_id, TimestampTz now);
extern void qms_gate_make_queue(int64 queue_id, int64 organization_id);
extern QmsGate *qms_gate_lock(int64 gate, int64 organization_id, TimestampTz now, bool wait);
extern QmsGate *qms_gate_read(int64 gate, int64 organization_id);
extern void qms_gate_fold(QmsGate *gate);
extern void qms_gate_follow(QmsGate *gate, TimestampTz now);
extern void qms_gate_store(QmsGate *gate);
extern QmsGateQueue *qms_gate_queue_of(QmsGate *gate, int64 queue_id);

/* ---- admit.c: people are let in ---- */
#define QMS_RELEASE_BATCH 1000	/* people, in one transaction */

extern int	qms_admit_look(QmsGateQueue *q, int most);
extern int	qms_admit(QmsCall *call, QmsGate *gate, QmsGateQueue *q, int count, int64 *ticket_ids);
extern int64 qms_admit_room(const QmsGateQueue *q);
extern int64 qms_admit_pool_room(const QmsGate *gate);

/* ---- turn.c: what the rate lets in now ---- */
extern TimestampTz qms_release_turn(QmsCall *call, int64 gate, int64 organization_id, TimestampTz *claim_due);

/* ---- rate.c ---- */
extern void qms_release_init(void);
extern QmsQueue *qms_release_queue(QmsCall *call, int64 queue_id);
extern void qms_release_lock_gates(QmsCall *call, int64 queue_id, int64 was_in, int64 now_in, int64 organization_id);
extern void qms_release_queue_changed(QmsCall *call, int64 queue_id, int64 organization_id, int64 release_pool_id, bool created);
extern void qms_release_pool_changed(QmsCall *call, int64 release_pool_id, int64 organization_id, bool created);

/* ---- status.c ---- */
extern Datum qms_release_answer(QmsCall *call, QmsQueue *queue);

#endif							/* QMS_RELEASE_H */
