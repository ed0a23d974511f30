/*
 * queue.h
 *		Tickets at counters: states, order, numbers, and every operation.
 */
#ifndef QMS_QUEUE_H
#define QMS_QUEUE_H

#include "auth/auth.h"
#include "config/config.h"
#include "events/events.h"
#include "predict/predict.h"
#include "queue/slot.h"

/* ---- The columns of qms.ticket, in the order of QmsRow; the key comes first. ---- */
#define QMS_TICKET_COLUMNS(X) \
	X(ticket_id) X(organization_id) \
	X(branch_id) X(application_id) X(queue_id) X(service_id) X(customer_class_id) X(visit_id) \
	X(customer_id) X(number) X(previous_number) X(service_day) X(state) X(version) X(leg) \
	X(priority) X(credit) X(effective_arrival) X(sort_key) X(joined_at) X(entered_at) \
	X(called_at) X(started_at) X(counter_id) X(staff_id) X(staff_session_id) X(counter_free_since) X(calls) X(recalls) \
	X(last_recall_at) X(defers) X(hold_kind) X(hold_reason) X(held_at) X(resume_at) X(resume_to) \
	X(due_at) X(wanted_counter_id) X(wanted_staff_id) X(wanted_until) X(requires_skill) X(by_class) \
	X(shared_visit) X(simulated) X(subject) X(language) X(contact) X(metadata) X(notes) \
	X(token_nonce) X(quoted_p10) X(quoted_p50) X(quoted_p90) X(quoted_n) X(quoted_s)

/* What ticket_history has on top. */
#define QMS_HISTORY_COLUMNS(X) X(ended_at) X(ended_from) X(outcome) X(end_reason)

#define QMS_LEG_COLUMNS(X) \
	X(ticket_id) X(organization_id) X(leg) X(visit_id) X(branch_id) X(queue_id) X(service_id) \
	X(customer_class_id) X(number) X(simulated) X(entered_at) X(called_at) X(started_at) X(left_at) \
	X(counter_id) X(staff_id) X(staff_session_id) X(counter_free_since) X(sort_key) X(quoted_p10) X(quoted_p50) \
	X(quoted_p90) X(quoted_n) X(quoted_s) X(note)

#define QMS_SESSION_COLUMNS(X) \
	X(staff_session_id) X(organization_id) X(branch_id) X(counter_id) X(staff_id) \
	X(counter_profile_id) X(skills) X(opened_at) X(paused_at) X(pause_reason) X(closed_at) \
	X(current_ticket_id) X(idle_since) X(tickets_called) X(tickets_served) X(service_time) \
	X(pause_time) X(passes) X(undo_event_id) X(undo_at)

#define QMS_COLUMN_T(c) T_##c,
#define QMS_COLUMN_L(c) L_##c,
#define QMS_COLUMN_S(c) S_##c,
enum
{
	QMS_TICKET_COLUMNS(QMS_COLUMN_T)
	T_COLUMNS,
	T_MORE = T_COLUMNS - 1,
	QMS_HISTORY_COLUMNS(QMS_COLUMN_T)
	T_ALL_COLUMNS
};
enum
{
	QMS_LEG_COLUMNS(QMS_COLUMN_L)
	L_COLUMNS
};
enum
{
	QMS_SESSION_COLUMNS(QMS_COLUMN_S)
	S_COLUMNS
};

/* ---- state.c: the states and the one table of transitions ---- */
typedef enum QmsState
{
	QMS_BOOKED,
	QMS_WAITING,
	QMS_CALLED,
	QMS_SERVING,
	QMS_ON_HOLD,
	QMS_RELEASED,
	QMS_ADMITTED,
	QMS_COMPLETED,				/* from here on finished */
	QMS_NO_SHOW,
	QMS_CANCELLED,
	QMS_EXPIRED,
	QMS_REVOKED,
	QMS_STATES
} QmsState;

extern const char *qms_state_name(QmsState state);
extern QmsState qms_state_by_name(const char *name);
extern bool qms_state_is_open(QmsState state);
extern bool qms_state_is_in_room(QmsState state);
extern bool qms_state_may_become(QmsState from, QmsState to);
extern void qms_state_check(QmsState from, QmsState to, int64 ticket_id);

/* guard.c: the trigger; the mover declares what it is about to delete */
extern void qms_guard_declare_end(int64 ticket_id, QmsState final);


/* ---- heartbeat.c: signs of life that are not written yet ---- */
extern void qms_heartbeat_init(void);
extern bool qms_heartbeat_note(int64 ticket_id, TimestampTz at);
extern TimestampTz qms_heartbeat_noted(int64 ticket_id);
extern int	qms_heartbeat_copy(int *bucket, int64 *ticket_ids, TimestampTz *seen_at, int most);
extern void qms_heartbeat_written(const int64 *ticket_ids, const TimestampTz *seen_at, int n);
extern void qms_heartbeat_forget(Oid database);

/* ---- ticket.c: rows of tickets, legs and history ---- */
typedef QmsRow QmsTicket;

extern QmsTable qms_ticket_table;
extern QmsTable qms_history_table;
extern QmsTable qms_leg_table;
extern QmsTicket *qms_ticket_new(void);
extern QmsTicket *qms_ticket_lock(QmsCall *call, int64 ticket_id, bool announce);
typedef enum QmsTicketCondition
{
	QMS_IF_OPEN,
	QMS_IF_WAITING,
	QMS_IF_HELD_FOR_OTHER
} QmsTicketCondition;

extern bool qms_ticket_is_waiting(int64 ticket_id);
extern QmsTicket *qms_ticket_lock_if(QmsTicketCondition condition, int64 ticket_id);
extern QmsTicket *qms_ticket_read(int64 ticket_id, bool *ended);
extern QmsState qms_ticket_state(const QmsTicket *ticket);
extern void qms_ticket_set_state(QmsTicket *ticket, QmsState state);
extern void qms_ticket_set_service(QmsTicket *ticket, const QmsQueue *queue, int64 service_id, const char *hint);
extern void qms_ticket_store(QmsTicket *ticket);
extern void qms_ticket_end(QmsCall *call, QmsTicket *ticket, QmsState final, const char *outcome, const char *reason);
extern void qms_ticket_write_leg(QmsCall *call, const QmsTicket *ticket, const char *note);
extern void qms_ticket_clear_call(QmsTicket *ticket);
extern void qms_ticket_clear_hold(QmsTicket *ticket);
extern void qms_ticket_gate(QmsCall *call, const QmsTicket *ticket);
extern TimestampTz qms_ticket_no_show_due(const QmsTicket *ticket);
extern int64 qms_ticket_event(QmsCall *call, const QmsTicket *ticket, const char *kind, const Jsonb *data,
							  int64 event_id);
extern void qms_ticket_order_json(QmsJson *json, const QmsTicket *ticket);
extern int64 qms_ticket_credit(const QmsTicket *ticket, const QmsQueue *queue);
extern void qms_ticket_set_key(QmsTicket *ticket, int64 sort_key);
extern Datum qms_ticket_answer(QmsCall *call, const QmsTicket *ticket);
extern void qms_ticket_fill_answer(const QmsTicket *ticket, Datum *values, bool *nulls);

/* ---- contact.c: how to reach people ---- */
extern void qms_ticket_set_contact(QmsTicket *ticket, const Jsonb *contact);
extern void qms_ticket_set_customer(QmsCall *call, QmsTicket *ticket, int64 customer_id, bool needed);
extern bool qms_ticket_sees_contacts(QmsCall *call);
extern void qms_ticket_show_contact(QmsCall *call, const QmsTicket *ticket, bool raise, Datum *value, bool *isnull);

/* ---- session.c: who works at a counter ---- */
typedef QmsRow QmsSession;

extern QmsTable qms_session_table;
extern QmsCounter *qms_counter_needed(QmsCall *call, int64 counter_id);
extern QmsSession *qms_session_read(int64 counter_id);	/* NULL: not open */
extern QmsSession *qms_session_needed(int64 counter_id);
extern QmsProfile *qms_session_profile(const QmsSession *session, const QmsCounter *counter);
extern void qms_session_check_may_call(const QmsSession *session);
extern void qms_session_lock(const QmsSession *session);
extern int64 qms_session_take(QmsCall *call, QmsSession *session, int64 ticket_id, int64 finished_ticket_id,
							  int64 served_usec, const float8 *passes, int npasses);
extern void qms_session_let_go(QmsCall *call, const QmsTicket *ticket, int64 served_usec, int64 event_id);
extern void qms_session_remember(QmsCall *call, const QmsTicket *ticket, int64 event_id);
extern QmsTicket *qms_session_current_ticket(QmsCall *call, int64 counter_id, bool needed);
extern Datum qms_counter_answer(QmsCall *call, QmsCounter *counter, QmsSession *session);

/* ---- session_hint.c: where the row of an open session lies ---- */
extern void qms_session_hint_init(void);
extern bool qms_session_hint(int64 counter_id, ItemPointer place);
extern void qms_session_hint_remember(int64 counter_id, const ItemPointerData *place);

/* ---- eta.c: when somebody in a waiting room will be let in ---- */
typedef struct QmsFlow
{
	double		n;				/* people ahead, and the part of a release that is still to come */
	double		opens_in;		/* seconds until anybody is let in; 0 or less: now */
	double		rate;			/* releases a second, while there is room inside */
	double		rate_sd;		/* how well that is known, as a part of it */
	double		theta;			/* of each who waits, leaving a second */
	double		theta_sd;		/* how well that is known */
	double		max_inside;		/* 0: no limit */
	double		inside;
	double		visit;			/* seconds that somebody is inside; 0: not known */
} QmsFlow;

extern bool qms_eta(const QmsFlow *flow, double wait[3]);

/* ---- inside.c: who is inside a waiting room, and how fast it lets people in ---- */

/* What is known of a release queue; speeds in millionths of a person per day, as in types.h. */
typedef struct QmsReleaseFigures
{
	int64		speed;			/* of this queue while it moves: its share of the pool, load and no-shows counted in; 0: no rate */
	int64		gate_speed;		/* that of all that share the rate, at this moment; 0: it stands still */
	int			no_show;		/* thousandths of those let in who do not come */
	int			load_factor;	/* thousandths of the rate that the reported load leaves */
	int64		inside;			/* let in and not gone */
	int64		pool_inside;	/* of all queues of the pool; without one the same */
	int64		released;		/* ever */
	int64		claimed;
	int64		missed;			/* let in, and ended without having come */
	int64		ended;			/* came, and ended */
	int64		abandoned;		/* left the line */
	TimestampTz stopped_at;		/* QMS_NO_TIME: not stopped */
} QmsReleaseFigures;

/* What a waiting room waits for; bits. */
#define QMS_INTEREST_LINE	QMS_BELL_LINE	/* somebody who comes into the line, */
#define QMS_INTEREST_ROOM	QMS_BELL_ROOM	/* somebody who goes and makes room, */
#define QMS_INTEREST_DRAW	8	/* the draw of its lottery, which wakes the scheduler itself */

extern void qms_inside_note_line(int64 queue_id);
extern void qms_inside_set_interest(int64 queue_id, uint32 interest);
extern bool qms_inside_is_rung(int64 queue_id, bool otherwise);
extern bool qms_inside_is_listened_for(int64 queue_id);
extern void qms_inside_answer(int64 queue_id);
extern void qms_inside_note_room(int64 queue_id);
extern void qms_inside_note_left(const QmsTicket *ticket, QmsState from);
extern void qms_inside_note_claimed(const QmsTicket *ticket);
extern int64 qms_release_gate_of(const QmsQueue *queue);
extern int64 qms_release_speed(const QmsQueue *queue, int load_factor, int no_show);
extern bool qms_release_figures(const QmsQueue *queue, QmsReleaseFigures *figures);
extern bool qms_release_is_stopped(int64 queue_id);

/* The status of a queue has been set, in this transaction; set by release. */
extern void (*qms_queue_status_hook) (QmsCall *call, int64 queue_id, char status);

/* ---- flow.c: how a waiting room flows ---- */
enum
{
	QMS_WAITED,					/* seconds of people in the line */
	QMS_LEFT,					/* people who left it */
	QMS_STAYED,					/* seconds of people inside */
	QMS_WENT,					/* people who went from there */
	QMS_LEARNED_SUMS
};

typedef struct QmsLearned
{
	TimestampTz at;				/* QMS_NO_TIME: nothing learned yet */
	int64		waiting;		/* as it was then */
	int64		inside;
	int64		abandoned;
	int64		gone;
	double		sums[QMS_LEARNED_SUMS];
} QmsLearned;

/* What everybody may know of a waiting room. */
typedef struct QmsCounters
{
	int64		released;		/* ever */
	int64		abandoned;		/* left the line, ever */
	double		rate;			/* let in a second, now */
} QmsCounters;

extern void qms_flow_of(const QmsQueue *queue, int64 people_ahead, TimestampTz now, QmsFlow *flow, bool *drawn);
extern bool qms_flow_counters(const QmsQueue *queue, TimestampTz now, QmsCounters *counters);
extern bool qms_flow_learn(QmsQueue *queue, TimestampTz now);

/* ---- place.c: position and wait figures ---- */
typedef struct QmsPlace
{
	int64		people_ahead;
	bool		exact;
	bool		undrawn;		/* a lottery will tell the place */
	Interval   *p10;			/* the three: or NULL, cannot be told */
	Interval   *p50;
	Interval   *p90;
	int			n;				/* what the figures were made from: people, those booked too, */
	double		s;				/* and counters */
} QmsPlace;

extern void qms_place_of(QmsQueue *queue, int64 sort_key, int64 ticket_id, TimestampTz now,
						 QmsPlace *place);
extern void qms_place_count(QmsQueue *queue, int64 sort_key, int64 ticket_id, TimestampTz now, QmsPlace *place);
extern void qms_place_quote(QmsTicket *ticket, const QmsPlace *place);

/* ---- wait.c: the wait in a counter queue ---- */
extern void qms_wait_in_line(QmsQueue *queue, int64 sort_key, TimestampTz now, double *ahead, double *counters, QmsWait *wait);

/* ---- join.c ---- */
extern QmsTicket *qms_join_walk_up(QmsCall *call, int64 queue_id, int64 service_id);

/* ---- progress.c: how a customer sees his ticket ---- */
#define QMS_PROGRESS_COLUMNS 17

extern void qms_progress_fill(const QmsTicket *ticket, const QmsPlace *place,
							  bool with_token, Datum *values, bool *nulls);
extern Datum qms_progress_answer(QmsCall *call, const QmsTicket *ticket);

/* ---- line.c: places in a line ---- */
typedef enum QmsPlaceWord
{
	QMS_PLACE_CREDIT,
	QMS_PLACE_FIRST,
	QMS_PLACE_LAST
} QmsPlaceWord;

extern QmsPlaceWord qms_place_word(const char *word);
extern int64 qms_line_key(const QmsTicket *ticket, const QmsQueue *queue, QmsPlaceWord place, TimestampTz now);
extern int64 qms_line_key_behind(int64 queue_id, int64 sort_key, int64 ticket_id, int64 places);
extern int64 qms_line_subject(int64 queue_id, const char *subject);
extern QmsQueue *qms_line_enter(QmsCall *call, int64 queue_id, bool from_outside);

/* ---- lottery.c: the draw of a waiting room ---- */
extern TimestampTz qms_lottery_arrival(const QmsQueue *queue, TimestampTz now);
extern TimestampTz qms_lottery_drawn(const QmsQueue *queue);

/* ---- challenge.c, invitation.c: who may come in ---- */
extern bool qms_hook_fits(Oid function, bool *strict);
extern char *qms_hook_signature(const char *name);
extern void qms_challenge_check(QmsCall *call, const QmsQueue *queue, const char *challenge, const char *subject);
extern void qms_invitation_check(const QmsQueue *queue, const char *subject, TimestampTz now);

/* ---- hold.c, transfer.c: shared with undo ---- */
extern QmsTicket *qms_call_next_ticket(QmsCall *call, const QmsCounter *counter, const char *word);
extern bool qms_hold_resume(QmsCall *call, QmsTicket *ticket);
extern void qms_hold_leave_counter(QmsCall *call, const QmsTicket *before, int64 event_id);
extern QmsTicket *qms_transfer_take_back(QmsCall *call, int64 ticket_id);

/* ---- change.c: what a change of a ticket changed, for its event and for undo ---- */
extern void qms_change_json(QmsJson *json, const QmsTicket *before, const QmsTicket *after);
extern void qms_change_revert(QmsTicket *ticket, const Jsonb *data);

/* ---- number.c: numbers and moments of arrival ---- */
extern bool qms_number_keep(const QmsTicket *ticket);
extern void qms_number_take(QmsCall *call, QmsQueue *queue, QmsTicket *ticket);
extern void qms_number_mark_live(QmsCall *call, const QmsTicket *ticket);

/* ---- pick.c, policy.c: whose turn it is ---- */
typedef struct QmsHead
{
	int			source;			/* of the profile */
	int64		queue_id;
	int64		ticket_id;
	int64		sort_key;
	int64		customer_class_id;
	TimestampTz effective_arrival;
	double		weight;
	double		score;			/* as the policy saw it */
	QmsTicket  *locked;			/* set once the row is ours */
	int64		passed;			/* then: who was passed over for it, as in QmsPick */
	bool		passed_in_change;
} QmsHead;

typedef struct QmsPick
{
	QmsTicket  *ticket;			/* NULL: nobody waits */
	const QmsHead *chosen;
	QmsHead    *heads;			/* what was compared; NULL for a single source */
	int			nheads;
	int64		passed;			/* a ticket that was passed over because it, or its visit, was locked, or 0 */
	bool		passed_in_change;	/* by its customer or a desk, not by another call */
	float8	   *passes;			/* of the ratio policy, charged; else NULL */
	int			npasses;
} QmsPick;

/* scan.c: a counter that looks for somebody */
typedef struct QmsPicker
{
	QmsCall    *call;
	const QmsSession *session;
	const QmsProfile *profile;
	int64	   *skipped;		/* people who are being called elsewhere */
	int			nskipped;
} QmsPicker;

/* What a look at one source found. */
typedef struct QmsFound
{
	bool		waiting;		/* somebody waits there, whoever may call him */
	int64		first_key;		/* of the first one that waits */
	int64		first_id;
	QmsHead		head;			/* the first one that this counter may call, locked or not; ticket_id 0: none */
	QmsTicket  *ticket;			/* the one that was taken, locked; or NULL */
} QmsFound;

extern void qms_scan_source(QmsPicker *picker, const QmsSource *source, bool take, QmsFound *found);

extern void qms_pick(QmsCall *call, const QmsSession *session, const QmsProfile *profile, QmsPick *pick);
extern int	qms_policy_choose(QmsPolicy policy, QmsHead *heads, int nheads, TimestampTz now,
							  const float8 *passes);
extern void qms_policy_join_passes(const QmsHead *heads, int nheads, float8 *passes, int npasses);
extern void qms_policy_charge(const QmsHead *chosen, float8 *passes);

/* ---- call.c, finish.c: shared by operations of a counter ---- */
extern int64 qms_finish(QmsCall *call, QmsTicket *ticket, QmsState final, const char *outcome,
						const char *reason, bool let_go);
extern QmsState qms_finish_word(const char *word, const char **outcome, const char **reason);
extern int64 qms_served_usec(const QmsTicket *ticket, QmsState final, TimestampTz now);

/* ---- visit.c: several tickets of one visit ---- */
extern void qms_visit_lock_of(int64 ticket_id);
extern bool qms_visit_is_shared(int64 visit_id);
extern bool qms_visit_claim(QmsTicket *ticket);
extern bool qms_visit_is_changing(const QmsTicket *ticket);
extern void qms_visit_lock_others(const QmsTicket *ticket);
extern void qms_visit_pause_others(QmsCall *call, const QmsTicket *ticket);
extern void qms_visit_resume_others(QmsCall *call, const QmsTicket *ticket);
extern int64 qms_visit_of_token(QmsCall *call, const QmsTicketToken *token, int64 *nonce);
extern int64 *qms_visit_open_tickets(int64 visit_id, int *n);

#endif							/* QMS_QUEUE_H */
