/*
 * sums.c
 *		What is learned of a line from those who have passed through it: pure
 *		functions over sums that fade.
 *
 * service: seconds that counters were busy / people called, with the memory of
 * the last thousand calls.  Who is still at a counter counts with his time so far,
 * so a long service is felt while it lasts, not when it is over; busy_from is when
 * the counter could have taken him, so the clerk's way and pause for breath count.
 *
 * intercept, fixed, each: each who was called tells, by what he was told from
 * (people ahead, counters), how long he should have waited by the model of today,
 * and so what the wait behind nobody would have been: its running mean is the
 * intercept.  How far off he was from what he had been told, squared, in people, is
 * regressed on what the formula says of the noise: so whatever makes the figures
 * uncertain makes the interval wider.  Memory: 5,000.  Where people leave, those who stayed are the ones
 * with short waits: each counts for exp(theta W) like him who were there.
 *
 * leave rate: people who left / seconds waited, the same memory.  Arrivals: people
 * a second over the last hour in which any came, by their credit.
 */
#include "predict/predict.h"

#include <math.h>

#define SERVICE_MEMORY 1000.0	/* people */
#define DOUBT 1.5				/* 2: of independent services; a run of long ones makes the line it is asked about */
#define WAIT_MEMORY 2500.0		/* 5,000 */
#define COME_MEMORY 3600.0		/* seconds */
#define LEAST_COME 600.0		/* seconds; before, nobody is expected to pass */
#define LEVEL_MEMORY 500.0		/* people */

/* Weight of what is supposed before anything is known. */
#define PRIOR_WAITS 20.0
#define PRIOR_ERRORS 2.0		/* behind nobody, and as many behind so many: */
#define PRIOR_NOISE 4.0
#define PRIOR_WAITED 20.0		/* services, without anybody leaving */
#define LEAST_INTERCEPT 0.25
#define MOST_INTERCEPT 5.0
#define LEAST_FIXED 0.02
#define MOST_EACH 10.0
#define FAR_OFF 6.0				/* standard deviations; whoever is further off counts as that */
#define MOST_WEIGHT 20.0

void
qms_sums_start(QmsWaitSums *sums)
{
	memset(sums, 0, sizeof(*sums));
	sums->until = QMS_NO_TIME;
	sums->came_at = QMS_NO_TIME;
	/* Exponential service: intercept 1, fixed 1, each 1. */
	sums->weight = sums->behind = sums->counters = PRIOR_WAITS;
	sums->error_weight = 2 * PRIOR_ERRORS;
	sums->noise = PRIOR_ERRORS * PRIOR_NOISE;
	sums->noise_noise = sums->noise * PRIOR_NOISE;
	sums->error = PRIOR_ERRORS * (2 + PRIOR_NOISE);
	sums->error_noise = PRIOR_ERRORS * (1 + PRIOR_NOISE) * PRIOR_NOISE;
}

double
qms_sums_mean(double busy, double calls, double prior, double prior_weight)
{
	return Max((busy + prior * prior_weight) / (calls + prior_weight), 0.001);
}

/* One more of the last thousand. */
void
qms_sums_service(double *busy, double *calls, double seconds)
{
	*busy += seconds - *busy / SERVICE_MEMORY;
	*calls += 1 - *calls / SERVICE_MEMORY;
}

/* The line as the sums say. */
void
qms_sums_model(const QmsWaitSums *sums, double prior_service, double prior_weight, QmsWaitModel *model)
{
	double		spread = sums->error_weight * sums->noise_noise - sums->noise * sums->noise;
	int			i;

	memset(model, 0, sizeof(*model));
	model->service = qms_sums_mean(sums->busy, sums->calls, prior_service, prior_weight);
	model->intercept = Min(Max(sums->behind / sums->weight, LEAST_INTERCEPT), MOST_INTERCEPT);
	if (spread > 1e-9 * sums->error_weight * sums->error_weight)
		model->each = (sums->error_weight * sums->error_noise - sums->noise * sums->error) / spread;
	model->each = Min(Max(model->each, 0), MOST_EACH);
	model->fixed = Max((sums->error - model->each * sums->noise) / sums->error_weight, LEAST_FIXED);
	model->doubt = model->each / (DOUBT * (sums->calls + prior_weight));
	model->leave_rate = sums->left / (sums->waited + PRIOR_WAITED * model->service);
	if (sums->came_seconds < LEAST_COME)
		return;
	model->nlevels = sums->nlevels;
	for (i = 0; i < sums->nlevels; i++)
	{
		double		all = 0;
		int			j;

		for (j = 0; j < sums->nlevels; j++)
			all += sums->levels[j];
		model->credits[i] = sums->credits[i];
		model->rates[i] = sums->came / sums->came_seconds * sums->levels[i] / all;
	}
}

/* How long those who come with each credit pass a place in the line. */
void
qms_sums_passed(const QmsWaitModel *model, int64 sort_key, TimestampTz now, QmsWaitCase *where)
{
	int			i;

	for (i = 0; i < model->nlevels; i++)
		where->passed[i] = (double) (sort_key + model->credits[i] - now) / USECS_PER_SEC;
}

/* The level of a credit; the rarest makes room for a new one. */
static int
level_of(QmsWaitSums *sums, int64 credit)
{
	int			rarest = 0;
	int			i;

	for (i = 0; i < sums->nlevels; i++)
	{
		if (sums->credits[i] == credit)
			return i;
		if (sums->levels[i] < sums->levels[rarest])
			rarest = i;
	}
	if (sums->nlevels < QMS_WAIT_LEVELS)
		rarest = sums->nlevels++;
	sums->credits[rarest] = credit;
	sums->levels[rarest] = 0;
	return rarest;
}

/* He came; hours in which nobody did count as one. */
static void
add_arrival(QmsWaitSums *sums, const QmsWaitLeg *leg)
{
	double		seconds = 0;
	int			level = level_of(sums, leg->credit);
	int			i;

	if (sums->came_at == QMS_NO_TIME)
		sums->came_at = leg->entered_at;
	if (leg->entered_at > sums->came_at)
	{
		seconds = Min((double) (leg->entered_at - sums->came_at) / USECS_PER_SEC, COME_MEMORY);
		sums->came_at = leg->entered_at;
	}
	sums->came = sums->came * exp(-seconds / COME_MEMORY) + 1;
	sums->came_seconds = sums->came_seconds * exp(-seconds / COME_MEMORY) - COME_MEMORY * expm1(-seconds / COME_MEMORY);
	for (i = 0; i < sums->nlevels; i++)
		sums->levels[i] *= 1 - 1 / LEVEL_MEMORY;
	sums->levels[level] += 1;
}

static double
within(double value, double limit)
{
	return Min(Max(value, -limit), limit);
}

/* How long he waited, how long he should have, and how long he was told. */
static void
add_wait(QmsWaitSums *sums, const QmsWaitModel *model, const QmsWaitCase *where, const QmsWaitLeg *leg, double waited)
{
	QmsWait		wait;
	double		error;
	double		limit;
	double		weight = Min(exp(model->leave_rate * waited), MOST_WEIGHT);
	double		fade;

	qms_wait_forecast(model, where, &wait);
	limit = FAR_OFF * sqrt(model->fixed + model->each * wait.noise + 1);
	error = within((waited - wait.mean) * wait.pace, limit);
	/* While little is known, what was learned first is forgotten first. */
	fade = 1 - weight * Max(1 / WAIT_MEMORY, 0.5 / sums->weight);
	sums->weight = sums->weight * fade + weight;
	sums->behind = sums->behind * fade + weight * (model->intercept + error / (wait.pace * wait.gain));
	sums->counters = sums->counters * fade + weight * leg->counters;
	/* How far off it was told, less what is put down to the doubt about the service. */
	error = within((waited - leg->told) * wait.pace, limit);
	error = error * error - model->doubt * leg->told * leg->told * wait.pace * wait.pace;
	/* Large errors are expected far behind, and say less. */
	weight /= (1 + wait.noise) * (1 + wait.noise);
	sums->error_weight = sums->error_weight * fade + weight;
	sums->noise = sums->noise * fade + weight * wait.noise;
	sums->noise_noise = sums->noise_noise * fade + weight * wait.noise * wait.noise;
	sums->error = sums->error * fade + weight * error;
	sums->error_noise = sums->error_noise * fade + weight * error * wait.noise;
}

/*
 * One more.  The model is that of the sums before; where: as he stood when he
 * came, with the counters that there were then; needed if he is usable.
 */
void
qms_sums_add(QmsWaitSums *sums, const QmsWaitModel *model, const QmsWaitLeg *leg, QmsWaitCase *where)
{
	TimestampTz waited_until = leg->called_at == QMS_NO_TIME ? leg->ended_at : leg->called_at;
	double		waited = Max((double) (waited_until - leg->entered_at) / USECS_PER_SEC, 0);

	add_arrival(sums, leg);
	if (leg->called_at != QMS_NO_TIME)
		qms_sums_service(&sums->busy, &sums->calls, (double) (leg->ended_at - leg->busy_from) / USECS_PER_SEC);
	sums->waited += waited - sums->waited / WAIT_MEMORY;
	sums->left += (leg->left ? 1 : 0) - sums->left / WAIT_MEMORY;
	if (leg->usable && leg->called_at != QMS_NO_TIME)
		add_wait(sums, model, where, leg, waited);
}

/* All that ended by then are in it; so many seconds have those spent who are at counters still. */
void
qms_sums_close(QmsWaitSums *sums, TimestampTz until, double open_calls)
{
	sums->busy = Max(sums->busy + open_calls - sums->open_calls, 0);
	sums->open_calls = open_calls;
	sums->until = until;
}

/* How many counters are open now. */
void
qms_sums_staff(QmsWaitSums *sums, TimestampTz now, double counters)
{
	if (sums->nstaff > 0 && sums->staff[0] == counters)
		return;
	memmove(&sums->staff[1], &sums->staff[0], sizeof(double) * (QMS_WAIT_STAFF - 1));
	memmove(&sums->staff_at[1], &sums->staff_at[0], sizeof(TimestampTz) * (QMS_WAIT_STAFF - 1));
	sums->staff[0] = counters;
	sums->staff_at[0] = now;
	sums->nstaff = Min(sums->nstaff + 1, QMS_WAIT_STAFF);
}

/* The counters that were open while he waited, in parts of those he was told of. */
void
qms_sums_pieces(const QmsWaitSums *sums, const QmsWaitLeg *leg, QmsWaitCase *where)
{
	double		then;
	int			i;

	where->npieces = 1;
	where->pieces[0].until = INFINITY;
	where->pieces[0].counters = leg->counters;
	/* As they were when he came: the last change before it. */
	for (i = 0; i < sums->nstaff - 1 && sums->staff_at[i] > leg->entered_at; i++)
		;
	if (sums->nstaff == 0 || sums->staff[i] <= 0)
		return;
	then = sums->staff[i];
	while (i-- > 0)
	{
		where->pieces[where->npieces - 1].until = (double) (sums->staff_at[i] - leg->entered_at) / USECS_PER_SEC;
		where->pieces[where->npieces].until = INFINITY;
		where->pieces[where->npieces].counters = leg->counters * sums->staff[i] / then;
		where->npieces++;
	}
	/* Nobody there any more: whoever came afterwards was called all the same. */
	if (where->pieces[where->npieces - 1].counters <= 0)
		where->pieces[where->npieces - 1].counters = leg->counters;
}

/* Counters that are open when people wait. */
double
qms_sums_usual(const QmsWaitSums *sums)
{
	return Max(sums->counters / sums->weight, 1);
}
