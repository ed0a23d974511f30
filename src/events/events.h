/*
 * events.h
 *		The event log: one row per change, in the transaction of the change.
 */
#ifndef QMS_EVENTS_H
#define QMS_EVENTS_H

#include "auth/auth.h"

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

/* A change of configuration: "<thing>.<verb>" with data. */
extern int64 qms_event_configuration(QmsCall *call, const char *thing, const char *verb, int64 organization_id,
									 int64 branch_id, int64 thing_id, const Jsonb *data);

/* doorbell.c */
#define QMS_MAX_DATABASES 256

extern Size qms_doorbell_size(void);
extern void qms_doorbell_start(void);
extern bool qms_doorbell_attach(void);
extern void qms_doorbell_detach(void);
extern TimestampTz qms_doorbell_answer(void);
extern TimestampTz qms_doorbell_rung_at(Oid database);
extern void qms_doorbell_put_off(void);
extern void qms_doorbell_ring(void);
extern bool qms_doorbell_listen(void);
extern void qms_doorbell_stop_listening(void);
extern bool qms_doorbell_scheduler_is_home(void);
extern void qms_doorbell_beat(void);
extern bool qms_doorbell_has_beats(void);
extern void qms_doorbell_answer_beats(void);
extern void qms_doorbell_note(void);

#endif							/* QMS_EVENTS_H */
