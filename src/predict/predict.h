/*
 * predict.h
 *		Formulas of waiting lines.
 */
#ifndef QMS_PREDICT_H
#define QMS_PREDICT_H

#include "postgres.h"

/* ---- erlang.c: counters that share one line, in a steady state.  Pure arithmetic ---- */

/* Times are in one unit, say seconds, and the rate is in its inverse. */
typedef struct QmsErlang
{
	double		rate;			/* arrivals per unit of time */
	double		service;		/* mean time that one keeps a counter busy */
	double		patience;		/* mean time after which somebody goes; 0: nobody goes (Erlang C) */
	int			counters;
} QmsErlang;

typedef struct QmsErlangLine
{
	double		delayed;		/* share who have to wait */
	double		mean_wait;		/* of all, those who go included; infinite if the line only grows */
	double		delayed_wait;	/* mean potential wait of those who have to wait: had they infinite patience */
	double		abandoned;		/* share who go */
	double		occupancy;		/* share of their time that counters are busy */
} QmsErlangLine;

extern double qms_erlang_b(int counters, double load);
extern double qms_erlang_c(int counters, double load);
extern void qms_erlang_line(const QmsErlang *erlang, QmsErlangLine *line);
extern double qms_erlang_within(const QmsErlang *erlang, double target);	/* share served after at most that wait */
extern int	qms_erlang_counters(const QmsErlang *erlang, double target, double share, int most);

#endif							/* QMS_PREDICT_H */
