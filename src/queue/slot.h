/*
 * slot.h
 *		What shared memory holds of a queue: its line, its counts, its room.
 *		Included by queue.h, and nowhere else.
 */
#ifndef QMS_SLOT_H
#define QMS_SLOT_H

#include "config/config.h"

#include "port/atomics.h"
#include "storage/spin.h"

/* ---- bound.c: where the line begins ---- */
#define QMS_MAX_EXCEPTIONS 32

typedef struct QmsBound
{
	bool		known;			/* false: no hint, scan from the start */
	bool		may_raise;
	int64		from;			/* nobody waits below, but perhaps at the exceptions */
	int64		limit;			/* lowest key at or above "from" of a running transaction */
	int			nexceptions;
	int64		exceptions[QMS_MAX_EXCEPTIONS];
	uint64		serial;
	int			nentries;		/* what was there, for qms_bound_raise */
	uint64		serials[QMS_MAX_EXCEPTIONS];
	bool		running[QMS_MAX_EXCEPTIONS];
} QmsBound;

extern void qms_bound_register(int64 queue_id, int64 sort_key);
extern void qms_bound_left(void);
extern int64 qms_bound_lowest(int64 queue_id);
extern void qms_bound_read(int64 queue_id, QmsBound *bound);
extern void qms_bound_lower(int64 queue_id, const QmsBound *seen, int64 key);
extern void qms_bound_raise(int64 queue_id, const QmsBound *seen, int64 first_waiting,
							const int64 *still_waiting, int nstill);

/* ---- bucket.c: counts of those who wait, by stretches of sort_key ---- */
#define QMS_BUCKETS 2048
#define QMS_BUCKET_BITS 27		/* 2^27 microseconds */

enum
{
	QMS_NOT_COUNTED, QMS_COUNTING, QMS_COUNTED
};

typedef struct QmsBuckets
{
	pg_atomic_uint32 state;
	pg_atomic_uint32 moving;	/* people that transactions add or take which are committing just now */
	pg_atomic_uint32 moved;		/* those of transactions that have, ever */
	pg_atomic_uint32 doubts;	/* of qms_slot_news(), when last looked at */
	pg_atomic_uint32 skips;		/* of recount.c, in a row */
	pg_atomic_uint64 prepared_at;	/* real time at which a transaction that changed this was prepared; 0: none since it was right */
	pg_atomic_uint64 looked_at; /* last counted, or left alone; of qms_clock_now() */
	pg_atomic_uint32 cells[QMS_BUCKETS];
} QmsBuckets;

extern void qms_bucket_take_mine(const QmsBuckets *buckets, int32 *counts);
extern void qms_bucket_note(int64 queue_id, int64 sort_key, int by);
extern int64 qms_bucket_ahead(int64 queue_id, int64 sort_key, TimestampTz now, bool count);
extern int64 qms_bucket_about(int64 queue_id, int64 sort_key, TimestampTz now);

/* ---- recount.c: counting them, for the first time and again ---- */
extern void qms_bucket_count(int64 queue_id, QmsBuckets *buckets, TimestampTz now);
extern void qms_bucket_recount(int64 queue_id, TimestampTz now);

/* ---- roll.c: exactly who waits, while they are few ---- */
#define QMS_LOG_SIZE 256

typedef struct QmsLogEntry
{
	int64		sort_key;
	int64		ticket_id;
	TransactionId xid;
	int32		change;			/* +1: begins to wait, -1: stops */
} QmsLogEntry;

typedef struct QmsLog
{
	slock_t		mutex;
	TransactionId lost_until;	/* valid: entries up to it may be missing */
	uint64		next;			/* serial of the next entry */
	QmsLogEntry entries[QMS_LOG_SIZE];
} QmsLog;

extern void qms_roll_note(int64 queue_id, int64 ticket_id, int64 sort_key, int change);
extern bool qms_roll_ahead(int64 queue_id, int64 sort_key, int64 ticket_id, TimestampTz now, int64 *ahead);

/* ---- room.c: places in a waiting room ---- */
typedef struct QmsRoom
{
	slock_t		mutex;
	bool		known;			/* taken means something */
	bool		doubt;			/* it may be too high */
	int64		taken;			/* never less than there are people in the room */
	int64		coming;			/* of them, in transactions that are running */
	int64		leaving;		/* people who leave by transactions that are committing just now */
	uint64		came;			/* places taken, ever */
	int64		moving;			/* people who come or leave by transactions that are committing just now */
	uint64		moved;			/* those of transactions that have ended, ever */
	TimestampTz counted_at;		/* real time of the last count for doubt, and when the next may be */
	TimestampTz count_after;
} QmsRoom;

extern void qms_room_enter(const QmsQueue *queue, TimestampTz now);
extern void qms_room_note(int64 queue_id, int by);
extern int64 qms_room_mine(const QmsRoom *room);

/* ---- room_count.c ---- */
extern void qms_room_count(int64 queue_id, QmsRoom *room);

/* ---- slot.c: what shared memory holds of a queue ---- */
typedef struct QmsSlotKey
{
	int64		queue_id;
	Oid			database;
	uint32		zero;
} QmsSlotKey;

typedef struct QmsBoundEntry
{
	int64		sort_key;
	TransactionId xid;
	uint64		serial;
} QmsBoundEntry;

typedef struct QmsSlot
{
	QmsSlotKey	key;
	slock_t		mutex;
	int64		from;
	uint64		serial;			/* of the newest entry */
	uint64		purged;			/* newest serial that was dropped */
	uint64		frozen_until;	/* no raising while a transaction before this one runs; 0: none */
	int			nentries;
	QmsBoundEntry entries[QMS_MAX_EXCEPTIONS];
	pg_atomic_uint32 interest;	/* not under the spinlock either; see inside.c */
	QmsBuckets	buckets;		/* atomics, not under the spinlock; see bucket.c */
	QmsLog		log;			/* under a spinlock of its own; see roll.c */
	QmsRoom		room;			/* the same; see room.c */
} QmsSlot;

extern void qms_slot_init(void);
extern void qms_slot_forget_database(void);
extern QmsSlot *qms_slot(int64 queue_id);
extern QmsBuckets *qms_slot_buckets(int64 queue_id);
extern QmsLog *qms_slot_log(int64 queue_id);
extern QmsRoom *qms_slot_room(int64 queue_id);
extern void qms_slot_each_buckets(void (*function) (int64 queue_id, QmsBuckets *buckets, void *arg), void *arg);
extern void qms_slot_news(uint32 *counted, uint32 *doubts);
extern void qms_slot_note_counted(void);
extern void qms_slot_note_doubt(void);
extern uint64 qms_slot_next_xid(void);

#endif							/* QMS_SLOT_H */
