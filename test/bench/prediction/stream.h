/*
 * stream.h
 *		A simulated branch: who comes when, needs how long, and leaves after how
 *		long; and what each predictor would have told him.
 */
#ifndef STREAM_H
#define STREAM_H

#include "postgres.h"

#include "predict/predict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The server's own are not here. */
#undef printf
#undef fprintf
#undef snprintf
#undef qsort

/* The unit of time, one mean service, is five minutes. */
#define SERVICE 300.0
#define TURN QMS_LEARN_EVERY
#define LAG QMS_LEARN_LAG
#define PRIOR_WEIGHT 2			/* of a service about which nothing is said, see src/predict/outlook.c */

typedef enum Law
{
	EXPONENTIAL, FIXED, LOGNORMAL
} Law;

typedef struct Setting
{
	const char *name;
	int			s;
	double		rho;
	Law			law;
	double		cv;				/* of LOGNORMAL */
	double		theta;			/* of each who waits, in a unit of time; 0: nobody leaves */
	double		swing;			/* of the load over a day of 288 units */
	int			other;			/* counters in every second stretch; 0: always s */
	double		stretch;		/* in units of time */
	double		limit;			/* of ASE, times that of the rates known; 0: none */
	double		absolute;		/* of ASE; 0: none */
	double		least_coverage;
	double		most_coverage;
	double		most_bias;		/* part; 0: none */
	double		floor;			/* of theory.md table B, or 0 */
} Setting;

/* Predictors, in the order of the table. */
enum
{
	KNOWN, LEARNED, LES, HOL, LAST30, NAIVE, NOW, PREDICTORS
};

typedef struct Score
{
	double		n;
	double		waited;
	double		error[PREDICTORS];
	double		square[PREDICTORS];
	double		absolute[PREDICTORS];
	double		inside;			/* between P10 and P90 */
	double		inside_known;
} Score;

extern double uniform(void);
extern double exponential(double mean);
extern double normal(void);
extern void seed_with(uint64 seed);
extern double told_p90(const QmsWait *told);
extern double told_mean(const QmsWait *told);

/* Things by a moment, the earliest first. */
typedef struct Heap
{
	void	  **items;
	TimestampTz *keys;
	int			n;
	int			size;
} Heap;

extern void heap_push(Heap *heap, TimestampTz key, void *item);
extern void *heap_pop(Heap *heap);

#endif							/* STREAM_H */
