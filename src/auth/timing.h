/*
 * timing.h
 *		How long calls of SQL functions take, by group of functions.
 */
#ifndef QMS_TIMING_H
#define QMS_TIMING_H

#include "auth/auth.h"

#include "portability/instr_time.h"

#define QMS_TIMING_BUCKETS 16

typedef struct QmsTiming
{
	uint64		buckets[QMS_TIMING_BUCKETS + 1];
	uint64		calls;
	double		seconds;		/* of all of them */
	uint64		refused;		/* of them */
	uint64		failed;
} QmsTiming;

extern const double qms_timing_bounds[QMS_TIMING_BUCKETS];	/* seconds */
extern void qms_timing_init(void);
extern void qms_timing_prepare(void);
extern void qms_timing_note(QmsAction group, instr_time begun, int sqlstate);
extern bool qms_timing_is_failure(int sqlstate);
extern const char *qms_timing_group_name(QmsAction group);
extern bool qms_timing_read(QmsAction group, QmsTiming *timing);

#endif							/* QMS_TIMING_H */
