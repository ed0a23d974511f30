/*
 * predict.h
 *		How long people wait: formulas, what is learned of a queue, planned staff.
 */
#ifndef QMS_PREDICT_H
#define QMS_PREDICT_H

#include "config/config.h"

/* ---- erlang.c: lines with s counters; pure functions; seconds, and a second ---- */
typedef struct QmsErlang
{
	double		delayed;		/* part of all that has to wait */
	double		left;			/* part of all that leaves the line */
	double		wait;			/* mean of all, those who leave included; INFINITY: the line grows without end */
	double		within;			/* part of all that would wait no longer than the target if they stayed */
} QmsErlang;

extern double qms_erlang_b(int counters, double load);
extern double qms_erlang_c(int counters, double load);
extern void qms_erlang(int counters, double rate, double service, double leave_rate, double target, QmsErlang *answer);
extern int	qms_erlang_counters(double rate, double service, double leave_rate, double target, double share, int limit);

/* ---- wait.c: the wait behind so many people; pure functions, seconds ---- */
#define QMS_WAIT_LEVELS 8
#define QMS_WAIT_PIECES 24

/* What is known of a line. */
typedef struct QmsWaitModel
{
	double		service;		/* seconds of a counter for each who is called */
	double		intercept;		/* the wait behind nobody, in those seconds over counters */
	double		fixed;			/* variance of that, in the same unit, */
	double		each;			/* and what each who is ahead adds to it */
	double		doubt;			/* variance of what "service" is known by, as a part of its square */
	double		leave_rate;		/* of each who waits, a second */
	int			nlevels;		/* of credit that people come with */
	int64		credits[QMS_WAIT_LEVELS];	/* microseconds */
	double		rates[QMS_WAIT_LEVELS]; /* people of that credit a second */
} QmsWaitModel;

/* Counters until then, in seconds from now. */
typedef struct QmsWaitPiece
{
	double		until;
	double		counters;
} QmsWaitPiece;

/* Where somebody stands. */
typedef struct QmsWaitCase
{
	double		ahead;
	double		passed[QMS_WAIT_LEVELS];	/* so many seconds yet, those who come with that credit pass him */
	int			npieces;		/* the last one until INFINITY, with counters */
	QmsWaitPiece pieces[QMS_WAIT_PIECES];
} QmsWaitCase;

typedef struct QmsWait
{
	double		mean;
	double		variance;
	double		gain;			/* seconds that one more ahead would cost */
	double		pace;			/* people a second, when his turn comes */
	double		noise;			/* of the variance, in people: what "each" is counted for */
	double		p10;
	double		p50;
	double		p90;
} QmsWait;

extern void qms_wait_forecast(const QmsWaitModel *model, const QmsWaitCase *where, QmsWait *wait);
extern void qms_wait_none(QmsWait *wait);
extern double qms_wait_mean_of(double p10, double p50, double p90);

/* ---- sums.c: what is learned; pure functions ---- */
#define QMS_WAIT_STAFF 16
#define QMS_WAIT_SUMS ((int) (offsetof(QmsWaitSums, until) / sizeof(double)))

typedef struct QmsWaitSums
{
	/* stored as they stand here */
	double		busy;			/* seconds of counters */
	double		calls;			/* people called */
	double		open_calls;		/* of busy: seconds of those who were still at a counter */
	double		waited;			/* seconds in the line */
	double		left;			/* people who left it */
	double		weight;			/* of the waits that the next two are sums of: */
	double		behind;			/* the wait behind nobody, */
	double		counters;		/* and counters that were open */
	double		error_weight;	/* of the errors; */
	double		noise;			/* QmsWait.noise, */
	double		noise_noise;	/* its square, */
	double		error;			/* squared errors, */
	double		error_noise;	/* and their product */
	double		came;			/* people who came in */
	double		came_seconds;	/* so many seconds */
	/* the others */
	TimestampTz until;			/* what ended by then is in it; QMS_NO_TIME: nothing yet */
	TimestampTz came_at;		/* the last who came; QMS_NO_TIME: nobody */
	int			nlevels;
	int64		credits[QMS_WAIT_LEVELS];
	double		levels[QMS_WAIT_LEVELS];	/* people who came with that credit */
	int			nstaff;			/* open counters, newest first: since when, and how many */
	TimestampTz staff_at[QMS_WAIT_STAFF];
	double		staff[QMS_WAIT_STAFF];
} QmsWaitSums;

/* One that has come, waited, and been called or left. */
typedef struct QmsWaitLeg
{
	TimestampTz entered_at;
	TimestampTz called_at;		/* QMS_NO_TIME: never */
	TimestampTz busy_from;		/* the counter was his from then */
	TimestampTz ended_at;
	bool		left;			/* out of the line, by his own will */
	bool		usable;			/* what he was told can be compared with his wait */
	int64		credit;			/* microseconds */
	double		ahead;			/* what he was told from: people, */
	double		counters;		/* and counters; */
	double		told;			/* and the mean of what it was, in seconds */
} QmsWaitLeg;

extern void qms_sums_start(QmsWaitSums *sums);
extern void qms_sums_model(const QmsWaitSums *sums, double prior_service, double prior_weight, QmsWaitModel *model);
extern void qms_sums_add(QmsWaitSums *sums, const QmsWaitModel *model, const QmsWaitLeg *leg, QmsWaitCase *where);
extern void qms_sums_close(QmsWaitSums *sums, TimestampTz until, double open_calls);
extern void qms_sums_staff(QmsWaitSums *sums, TimestampTz now, double counters);
extern double qms_sums_usual(const QmsWaitSums *sums);
extern void qms_sums_pieces(const QmsWaitSums *sums, const QmsWaitLeg *leg, QmsWaitCase *where);
extern void qms_sums_service(double *busy, double *calls, double seconds);
extern double qms_sums_mean(double busy, double calls, double prior, double prior_weight);
extern void qms_sums_passed(const QmsWaitModel *model, int64 sort_key, TimestampTz now, QmsWaitCase *where);

/* ---- outlook.c: what is expected of a queue ---- */
#define QMS_LEARN_EVERY (30 * USECS_PER_SEC)	/* by the clock, while there is something to learn */
#define QMS_LEARN_LAG	(5 * USECS_PER_SEC) /* what ended as long ago, and earlier */
#define QMS_WAIT_BOOKED 64

typedef struct QmsOutlook
{
	int64		queue_id;		/* hash key */
	uint64		generation;		/* of the configuration */
	int64		turn;			/* of the clock: what is learned changes from turn to turn */
	QmsWaitModel model;
	double		usual;			/* counters */
	int			nbooked;		/* people who are booked, in the order of their places */
	int64		booked_keys[QMS_WAIT_BOOKED];
	TimestampTz booked_at[QMS_WAIT_BOOKED];
} QmsOutlook;

/* What is asked: somebody at a place in the line, now. */
typedef struct QmsAsked
{
	double		ahead;
	int64		sort_key;
	TimestampTz now;
	double		counters;		/* that work for the queue, shares added up */
} QmsAsked;

extern const QmsOutlook *qms_outlook_of(const QmsQueue *queue, TimestampTz now);
extern double qms_outlook_wait(const QmsOutlook *outlook, QmsQueue *queue, const QmsAsked *asked, QmsWait *wait);
extern TimestampTz qms_outlook_next_turn(TimestampTz at);
extern bool qms_sums_read(int64 queue_id, bool lock, QmsWaitSums *sums, double *prior, double *prior_weight);

/* ---- learn.c: the sums of a queue follow what has happened ---- */
extern bool qms_wait_learn(QmsQueue *queue, TimestampTz now);

#endif							/* QMS_PREDICT_H */
