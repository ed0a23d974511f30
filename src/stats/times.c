/*
 * times.c
 *		What is known of many durations, and of many hours: how it is added up.
 */
#include "stats/stats.h"

#include <math.h>

/* Columns of qms.analytics_snapshot, in the order of QmsStatsCount. */
static const char *const count_names[QMS_STATS_COUNTS] = {
	[QMS_N_VISITS] = "visits",
	[QMS_N_JOINED] = "joined",
	[QMS_N_WALK_UPS] = "walk_ups",
	[QMS_N_TRANSFERRED_IN] = "transferred_in",
	[QMS_N_CALLED] = "called",
	[QMS_N_RECALLED] = "recalled",
	[QMS_N_STARTED] = "started",
	[QMS_N_COMPLETED] = "completed",
	[QMS_N_NO_SHOW] = "no_show",
	[QMS_N_CANCELLED] = "cancelled",
	[QMS_N_EXPIRED] = "expired",
	[QMS_N_REVOKED] = "revoked",
	[QMS_N_TRANSFERRED_OUT] = "transferred_out",
	[QMS_N_REQUEUED] = "requeued",
	[QMS_N_HELD] = "held",
	[QMS_N_DEFERRED] = "deferred",
	[QMS_N_REINSTATED] = "reinstated",
	[QMS_N_RELEASED] = "released",
	[QMS_N_ADMITTED] = "admitted",
	[QMS_N_ABANDONED] = "abandoned",
	[QMS_N_WITHIN_TARGET] = "within_target"
};

const char *
qms_stats_count_name(QmsStatsCount which)
{
	return count_names[which];
}

/* One more. */
void
qms_times_add(QmsTimes *times, int64 usec)
{
	double		seconds;

	usec = Max(usec, 0);
	seconds = (double) usec / USECS_PER_SEC;
	times->count++;
	times->sum += usec;
	times->squares += seconds * seconds;
	times->max = Max(times->max, usec);
	qms_sketch_add(&times->sketch, usec);
}

void
qms_times_merge(QmsTimes *into, const QmsTimes *from)
{
	into->count += from->count;
	into->sum += from->sum;
	into->squares += from->squares;
	into->max = Max(into->max, from->max);
	qms_sketch_merge(&into->sketch, &from->sketch);
}

int64
qms_times_mean(const QmsTimes *times)
{
	return times->count == 0 ? -1 : times->sum / times->count;
}

double
qms_times_variance(const QmsTimes *times)
{
	double		mean;

	if (times->count < 2)
		return 0;
	mean = (double) times->sum / USECS_PER_SEC / times->count;
	return Max((times->squares - times->count * mean * mean) / (times->count - 1), 0);
}

int64
qms_times_quantile(const QmsTimes *times, double q)
{
	/* The greatest is known exactly. */
	return q >= 1 && times->count > 0 ? times->max : Min(qms_sketch_quantile(&times->sketch, q), times->max);
}

void
qms_stats_merge(QmsStats *into, const QmsStats *from)
{
	int			i;

	for (i = 0; i < QMS_STATS_COUNTS; i++)
		into->n[i] += from->n[i];
	qms_times_merge(&into->wait, &from->wait);
	qms_times_merge(&into->service, &from->service);
	qms_times_merge(&into->abandoned, &from->abandoned);
	if (from->computed_at != QMS_NO_TIME)
		into->computed_at = into->computed_at == QMS_NO_TIME || into->computed_at == 0 ? from->computed_at :
			Min(into->computed_at, from->computed_at);
}

int64
qms_stats_arrivals(const QmsStats *stats)
{
	return stats->n[QMS_N_JOINED] + stats->n[QMS_N_TRANSFERRED_IN];
}

double
qms_stats_within_target(const QmsStats *stats)
{
	return stats->wait.count == 0 ? -1 : (double) stats->n[QMS_N_WITHIN_TARGET] / stats->wait.count;
}

bool
qms_stats_scope_parse(const char *text, QmsStatsScope *scope)
{
	static const char *const words[] = {"organization:", "branch:", "queue:"};
	size_t		i;

	for (i = 0; i < lengthof(words); i++)
	{
		const char *digits = text + strlen(words[i]);
		size_t		length;

		if (strncmp(text, words[i], strlen(words[i])) != 0)
			continue;
		length = strspn(digits, "0123456789");
		if (length < 1 || length > 18 || digits[length] != '\0')
			return false;
		scope->of = (QmsStatsOf) i;
		scope->id = atoll(digits);
		return scope->id > 0;
	}
	return false;
}
