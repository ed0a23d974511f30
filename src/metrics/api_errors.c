/*
 * api_errors.c
 *		The share of calls that failed lately: from counters that only grow,
 *		remembered by the scheduler each time it looks.
 *
 * Of the whole database; a restart of the scheduler begins anew.
 */
#include "metrics/metrics.h"

#define SAMPLES 720
/* Fewer calls say nothing about a share. */
#define LEAST_CALLS 20

typedef struct Sample
{
	TimestampTz at;
	uint64		calls;
	uint64		failed;
} Sample;

static Sample samples[SAMPLES];
static int	nsamples = 0;		/* ever; the newest is at (nsamples - 1) % SAMPLES */

static bool
take(Sample *sample, TimestampTz now)
{
	int			group;

	sample->at = now;
	sample->calls = sample->failed = 0;
	for (group = 0; group < QMS_ACT_MANY; group++)
	{
		QmsTiming	timing;

		if (!qms_timing_read(group, &timing))
			return false;
		sample->calls += timing.calls;
		sample->failed += timing.failed;
	}
	return true;
}

/* Remember how it stands; once for all rules that are looked at together. */
void
qms_alert_sample(TimestampTz now)
{
	Sample		sample;

	qms_timing_prepare();
	if (!take(&sample, now))
		return;
	/* After a step back of the clock, or counters that began anew, what was before says nothing. */
	if (nsamples > 0)
	{
		const Sample *last = &samples[(nsamples - 1) % SAMPLES];

		if (last->at > now || last->calls > sample.calls)
			nsamples = 0;
		else if (now - last->at < USECS_PER_SEC)
			return;
	}
	/* Day-long windows with the usual interval: older samples are thinned out. */
	if (nsamples > 0 && nsamples % SAMPLES == 0)
	{
		int			i;

		for (i = 0; i < SAMPLES / 2; i++)
			samples[i] = samples[2 * i + 1];
		nsamples = SAMPLES / 2;
	}
	samples[nsamples++ % SAMPLES] = sample;
}

/* Failed calls of all within the window; 0 if there were too few to say. */
double
qms_alert_api_errors(TimestampTz now, int64 window)
{
	Sample		sample;
	const Sample *from = NULL;
	int			i;

	if (!take(&sample, now))
		return 0;
	/* The youngest one that is as old as the window, else the oldest. */
	for (i = 0; i < Min(nsamples, SAMPLES); i++)
	{
		if (from == NULL || samples[i].at <= now - window)
			from = &samples[i];
	}
	if (from == NULL || sample.calls - from->calls < LEAST_CALLS)
		return 0;
	return (double) (sample.failed - from->failed) / (double) (sample.calls - from->calls);
}
