/*
 * segment.c
 *		How many people may have been let in by now, as an exact function of time.
 *
 * S(t) grows with a constant speed along a segment, and is carried over to the
 * next one with the fraction of a person that has been rounded off: however often
 * the speed changes, S is the sum of speed times time, rounded down once.  No
 * ticks, so no drift; no floating point, so no error.
 */
#include "postgres.h"

#include "release/release.h"

/* A speed of one person per microsecond, the fastest there is. */
#define ONE (QMS_RATE_SCALE * INT64CONST(86400000000))

typedef __int128 Wide;

/* S at a moment, in parts of a person; before the segment begins, as it begins. */
static Wide
parts(const QmsSegment *segment, int64 now)
{
	Wide		elapsed = now > segment->at ? (Wide) now - segment->at : 0;

	return (Wide) segment->base * ONE + segment->rest + elapsed * segment->speed;
}

/* S at a moment. */
int64
qms_segment_count(const QmsSegment *segment, int64 now)
{
	return (int64) (parts(segment, now) / ONE);
}

/* From a moment on another speed; nothing is lost or won. */
void
qms_segment_change(QmsSegment *segment, int64 from, int64 speed)
{
	Wide		all = parts(segment, from);

	segment->base = (int64) (all / ONE);
	segment->rest = (int64) (all % ONE);
	segment->at = from;
	segment->speed = speed;
}

/* The first moment at which S is at least that; PG_INT64_MAX: never, as things are. */
int64
qms_segment_due(const QmsSegment *segment, int64 count)
{
	Wide		missing = (Wide) count * ONE - segment->rest - (Wide) segment->base * ONE;
	Wide		usec;

	if (missing <= 0)
		return segment->at;
	if (segment->speed <= 0)
		return PG_INT64_MAX;
	usec = (missing + segment->speed - 1) / segment->speed;
	return usec > (Wide) PG_INT64_MAX - Max(segment->at, 0) ? PG_INT64_MAX : segment->at + (int64) usec;
}

/* What may be saved up: max(1, 2 r tau) people, rounded down. */
int64
qms_segment_burst(int64 speed)
{
	return Max((int64) ((Wide) 2 * speed * QMS_RELEASE_TAU / ONE), 1);
}

/*
 * Nobody came, or fitted in, or did the work: what is saved up is at most the
 * burst.  True if something was lost.
 *
 * The fraction is that of the next person, not saved up: of a slow rate it stays,
 * so being late by less than a person's time costs nothing.
 */
bool
qms_segment_cap(QmsSegment *segment, int64 now, int64 released)
{
	Wide		saved = parts(segment, now) - (Wide) released * ONE;
	Wide		most = (Wide) 2 * segment->speed * QMS_RELEASE_TAU;

	if (most < 2 * (Wide) ONE)
		most = ONE + saved % ONE;
	if (saved <= most || saved < 2 * (Wide) ONE)
		return false;
	qms_segment_change(segment, now, segment->speed);
	segment->base = (int64) (((Wide) released * ONE + most) / ONE);
	segment->rest = (int64) (most % ONE);
	return true;
}
