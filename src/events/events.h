/*
 * events.h
 *		The event log: one row per change, in the transaction of the change.
 */
#ifndef QMS_EVENTS_H
#define QMS_EVENTS_H

#include "auth/auth.h"

#include "port/atomics.h"

typedef struct QmsEvent
{
	int64		event_id;		/* 0: the next one */
	const char *kind;			/* "ticket.called" */
	int64		organization_id;
	int64		branch_id;
	int64		application_id;
	int64		queue_id;
	int64		visit_id;
	int64		ticket_id;
	const void *number;			/* QmsTicketNumber, or NULL */
	const char *state;			/* the ticket's or thing's state afterwards, or NULL */
	int32		version;		/* the ticket's version, or 0 */
	int64		counter_id;
	int64		staff_id;
	const Jsonb *data;
} QmsEvent;

extern int64 qms_event_next_id(void);

/* Write it; answers its event_id.  Who and when come from the call. */
extern int64 qms_event_write(QmsCall *call, const QmsEvent *event);

/* A change of configuration: "<thing>.<verb>" with what it is now, and what it was. */
extern int64 qms_event_configuration(QmsCall *call, const char *thing, const char *verb, int64 organization_id,
									 int64 branch_id, int64 thing_id, const Jsonb *values);
extern int64 qms_event_change(QmsCall *call, const char *thing, const char *verb, int64 organization_id,
							  int64 branch_id, int64 thing_id, const Jsonb *before, const Jsonb *values);

/* actor.c: from where, as values of columns; NULL: not known */
typedef struct QmsActor
{
	const void *session_role;
	const void *address;
	const void *application_name;
	const void *user_agent;
} QmsActor;

extern void qms_actor_read(QmsActor *actor);

/* channel.c: what can be followed */
typedef enum QmsChannelKind
{
	QMS_CHANNEL_DISPLAY,
	QMS_CHANNEL_QUEUE,
	QMS_CHANNEL_VISIT,
	QMS_CHANNEL_STAFF,
	QMS_CHANNEL_ADMIN,
	QMS_CHANNEL_APPLICATION,
	QMS_CHANNEL_SYSTEM,
	QMS_CHANNEL_KINDS
} QmsChannelKind;

typedef struct QmsChannel
{
	QmsChannelKind kind;
	int64		id;
	int64		zone_id;		/* of a display, 0: all */
} QmsChannel;

typedef struct QmsChannelOwner
{
	bool		found;
	int64		organization_id;
	int64		branch_id;		/* 0: none */
	int64		application_id; /* of a channel of an application */
	bool		is_deleted;		/* it, or what it belongs to */
	bool		is_public;		/* a queue may not be */
	bool		has_zone;		/* the zone, if one is named, is there */
} QmsChannelOwner;

extern const char *qms_channel_kind_name(QmsChannelKind kind);
extern bool qms_channel_is_public(QmsChannelKind kind);
extern bool qms_channel_parse(const char *text, QmsChannel *channel);
extern bool qms_channel_find(const char *text, QmsChannel *channel);
extern char *qms_channel_name(const QmsChannel *channel);
extern void qms_channel_owner(const QmsChannel *channel, QmsChannelOwner *owner);
extern bool qms_channel_administers_all(const QmsPrincipal *who);
extern bool qms_channel_is_for(const QmsCall *call, const QmsChannel *channel);
extern QmsVerdict qms_channel_verdict(const QmsCall *call, const QmsChannel *channel, const QmsChannelOwner *owner,
									  const char **outside);

/*
 * Pieces of statements, of an event e and its queue q.  Public are tickets,
 * counters and queues, but nothing of a queue that is not.
 */
#define QMS_IS_SHOWN_PUBLICLY \
	"(e.ticket_id IS NOT NULL OR e.kind IN ('counter.opened', 'counter.paused', 'counter.resumed', 'counter.closed', " \
	"'queue.opened', 'queue.paused', 'queue.closed', 'queue.rate_changed', 'queue.lottery_committed', 'queue.lottery_drawn', 'notice.posted')) " \
	"AND q.settings -> 'public' IS DISTINCT FROM 'false'"
#define QMS_IS_SYSTEM "e.kind IN ('notice.posted', 'alert.raised')"

/* stream.c: where the stream is */
typedef struct QmsStream
{
	char	   *epoch;
	int64		last_position;
	int64		pruned_position;
	bool		is_ours;
} QmsStream;

extern bool qms_stream_read(QmsStream *stream, Snapshot snapshot);
extern void qms_stream_needed(QmsStream *stream, Snapshot snapshot);
extern void qms_stream_check(const QmsStream *stream, const char *epoch, int64 position);

/* doorbell.c */
#define QMS_MAX_DATABASES 256

/* What the scheduler is woken for. */
#define QMS_WAKE_TIMERS 1		/* something is due earlier than it knows */
#define QMS_WAKE_CALLS	2		/* a counter that calls by itself may have somebody to call */
#define QMS_WAKE_ROOM	4		/* somebody may be let in: a place is free, or a line is not empty any more */
#define QMS_WAKE_ALL	(QMS_WAKE_TIMERS | QMS_WAKE_CALLS | QMS_WAKE_ROOM)

extern void qms_doorbell_init(void);
extern int	qms_doorbell_place(void);
extern bool qms_doorbell_attach(void);
extern void qms_doorbell_detach(void);
extern TimestampTz qms_doorbell_heard(void);
extern TimestampTz qms_doorbell_rung_at(Oid database);
extern void qms_doorbell_pause(void);
extern bool qms_doorbell_is_quiet(void);
extern void qms_doorbell_put_off(void);
extern void qms_doorbell_ring(void);
extern uint32 qms_doorbell_listen(void);
extern void qms_doorbell_set_due(TimestampTz due);
extern void qms_doorbell_stop_listening(void);
extern bool qms_doorbell_scheduler_is_home(void);
extern void qms_doorbell_poke_scheduler(void);
extern void qms_doorbell_beat(void);
extern bool qms_doorbell_has_beats(void);
extern void qms_doorbell_answer_beats(void);
extern void qms_doorbell_wake_scheduler(uint32 bits, TimestampTz due);
extern void qms_doorbell_note(void);
extern void qms_doorbell_note_work(uint32 bits);
extern void qms_doorbell_note_timer(TimestampTz due);

/* A bell of one queue for the scheduler: bits of what it listens for, and whether it has been rung. */
#define QMS_BELL_LINE	1
#define QMS_BELL_ROOM	2
#define QMS_BELL_RUNG	4

extern void qms_doorbell_note_bell(pg_atomic_uint32 *bell, uint32 bit);

/* published.c */
extern void qms_published_init(void);
extern void qms_published_note(const char *epoch, int64 position);
extern bool qms_published_wait(const char *epoch, int64 after, int milliseconds);

#endif							/* QMS_EVENTS_H */
