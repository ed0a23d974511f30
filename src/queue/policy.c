/*
 * policy.c
 *		Whose turn it is, among the heads of a counter's sources: one function
 *		per policy, in a small table.
 *
 * fifo: the smallest sort_key of all.  strict: the first source that has
 * anybody.  ratio: stride scheduling by weight; over any time in which all
 * sources have somebody, each gets its share within one call.  weighted: the
 * class multiplies its waiting time (Kleinrock 1964): the largest weight x
 * waiting time; inside a class it is the order of the line.
 */
#include "queue/queue.h"

typedef int (*PolicyChoice) (QmsHead *heads, int nheads, TimestampTz now, const float8 *passes);

/* a before b in the order of the line? */
static bool
comes_before(const QmsHead *a, const QmsHead *b)
{
	if (a->sort_key != b->sort_key)
		return a->sort_key < b->sort_key;
	return a->ticket_id < b->ticket_id;
}

static int
choose_fifo(QmsHead *heads, int nheads, TimestampTz now pg_attribute_unused(),
			const float8 *passes pg_attribute_unused())
{
	int			best = 0;
	int			i;

	for (i = 0; i < nheads; i++)
	{
		heads[i].score = (double) heads[i].sort_key;
		if (comes_before(&heads[i], &heads[best]))
			best = i;
	}
	return best;
}

static int
choose_strict(QmsHead *heads, int nheads, TimestampTz now pg_attribute_unused(),
			  const float8 *passes pg_attribute_unused())
{
	int			i;

	for (i = 0; i < nheads; i++)
		heads[i].score = heads[i].source;
	return 0;					/* heads come in the order of the sources */
}

static int
choose_ratio(QmsHead *heads, int nheads, TimestampTz now pg_attribute_unused(),
			 const float8 *passes)
{
	int			best = 0;
	int			i;

	for (i = 0; i < nheads; i++)
	{
		heads[i].score = passes[heads[i].source];
		if (heads[i].score < heads[best].score ||
			(heads[i].score == heads[best].score && comes_before(&heads[i], &heads[best])))
			best = i;
	}
	return best;
}

static int
choose_weighted(QmsHead *heads, int nheads, TimestampTz now,
				const float8 *passes pg_attribute_unused())
{
	int			best = 0;
	int			i;

	for (i = 0; i < nheads; i++)
	{
		heads[i].score = heads[i].weight * (double) (now - heads[i].effective_arrival) / USECS_PER_SEC;
		if (heads[i].score > heads[best].score ||
			(heads[i].score == heads[best].score && comes_before(&heads[i], &heads[best])))
			best = i;
	}
	return best;
}

static const PolicyChoice choices[QMS_POLICIES] = {
	[QMS_FIFO] = choose_fifo,
	[QMS_STRICT] = choose_strict,
	[QMS_RATIO] = choose_ratio,
	[QMS_WEIGHTED] = choose_weighted
};

/* Which of the heads is called; sets their scores.  nheads > 0. */
int
qms_policy_choose(QmsPolicy policy, QmsHead *heads, int nheads, TimestampTz now, const float8 *passes)
{
	return choices[policy] (heads, nheads, now, passes);
}

/*
 * Passes before a choice: a source that was empty and has somebody again starts
 * at the least pass of the others, so it can save up nothing while empty.  The
 * least becomes 0, which keeps the numbers small: only differences count.
 */
void
qms_policy_join_passes(const QmsHead *heads, int nheads, float8 *passes, int npasses)
{
	float8	   *joined = palloc(sizeof(float8) * Max(npasses, 1));
	float8		least = -1;
	int			i;

	for (i = 0; i < nheads; i++)
	{
		float8		pass = passes[heads[i].source];

		if (pass >= 0 && (least < 0 || pass < least))
			least = pass;
	}
	for (i = 0; i < npasses; i++)
		joined[i] = -1;			/* empty */
	for (i = 0; i < nheads; i++)
	{
		int			source = heads[i].source;

		joined[source] = passes[source] < 0 ? 0 : passes[source] - least;
	}
	memcpy(passes, joined, sizeof(float8) * npasses);
}

/* The chosen source pays for its call. */
void
qms_policy_charge(const QmsHead *chosen, float8 *passes)
{
	passes[chosen->source] += 1.0 / chosen->weight;
}
