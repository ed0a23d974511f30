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

#endif							/* QMS_PREDICT_H */
