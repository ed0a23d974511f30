/*
 * drive.c
 *		B1 to B4 of theory.md: the predictor (src/predict/wait.c and sums.c, the code
 *		that the server runs, linked in) on simulated streams, beside others.
 *
 * drive [--arrivals N] [--seeds N] [NAME...]	tables
 * drive --stream NAME SEED N					one stream, ticket by ticket, for the SQL path
 *
 * First come, first served: each goes to the counter that is free first.  What has
 * ended is learned every 30 s of simulated time, up to 5 s before, as the scheduler
 * does.  All errors are of those who had to wait, after the first twentieth; who
 * leaves counts with the wait that he would have had.
 */
#include "stream.h"

static double
draw_service(const Setting *setting)
{
	double		v = log1p(setting->cv * setting->cv);

	switch (setting->law)
	{
		case EXPONENTIAL:
			return exponential(SERVICE);
		case FIXED:
			return SERVICE;
		case LOGNORMAL:
			return SERVICE * exp(sqrt(v) * normal() - v / 2);
	}
	return 0;
}

/* A person. */
typedef struct Person
{
	TimestampTz came;
	TimestampTz start;			/* when it is, or would have been, his turn */
	TimestampTz gone;			/* out of the line, called or left */
	TimestampTz end;
	int64		service;
	bool		left;
	int			ahead;
	double		counters;
	QmsWait		told;
	bool		at_once;
} Person;

/* One run. */
typedef struct Run
{
	const Setting *setting;
	QmsWaitSums sums;
	QmsWaitModel model;
	TimestampTz now;
	TimestampTz turned;			/* last turn of the scheduler */
	TimestampTz learned;
	Person	   *people;
	int			npeople;
	int			head;			/* first who may still wait */
	Heap		line;			/* by when they go out of it */
	Heap		legs;			/* by when they end */
	TimestampTz *free;			/* counters, a heap of when they are free */
	double		les;			/* wait of the last who was called */
	double		last30[30];
	int			n30;
} Run;

static int
counters_at(const Setting *setting, TimestampTz at)
{
	if (setting->other == 0)
		return setting->s;
	return (int64) (at / (setting->stretch * SERVICE * USECS_PER_SEC)) % 2 == 0 ? setting->s : setting->other;
}

/* The counters from a moment on; as planned, or as they are now. */
static void
set_pieces(const Setting *setting, TimestampTz at, bool planned, QmsWaitCase *where)
{
	int64		stretch = (int64) (setting->stretch * SERVICE * USECS_PER_SEC);
	TimestampTz end = stretch > 0 ? (at / stretch + 1) * stretch : 0;
	int			i;

	where->npieces = 1;
	where->pieces[0].until = INFINITY;
	where->pieces[0].counters = counters_at(setting, at);
	if (setting->other == 0 || !planned)
		return;
	where->npieces = QMS_WAIT_PIECES;
	for (i = 0; i < QMS_WAIT_PIECES; i++, end += stretch)
	{
		where->pieces[i].until = i == QMS_WAIT_PIECES - 1 ? INFINITY : (double) (end - at) / USECS_PER_SEC;
		where->pieces[i].counters = counters_at(setting, end - 1);
	}
}

/* What the scheduler does: learn what has ended up to 5 s ago. */
static void
learn(Run *run, TimestampTz now)
{
	TimestampTz until = now - LAG;
	double		open_calls = 0;
	int			i;

	if (run->legs.n == 0 || run->legs.keys[0] > until)
		return;
	qms_sums_staff(&run->sums, now, counters_at(run->setting, now));
	while (run->legs.n > 0 && run->legs.keys[0] <= until)
	{
		Person	   *person = heap_pop(&run->legs);
		QmsWaitCase where;
		QmsWaitLeg	leg = {
			.entered_at = person->came, .called_at = person->left ? QMS_NO_TIME : person->start,
			.busy_from = person->start, .ended_at = person->end, .left = person->left,
			.usable = !person->at_once, .ahead = person->ahead, .counters = person->counters, .told = told_mean(&person->told)
		};

		where.ahead = person->ahead;
		qms_sums_pieces(&run->sums, &leg, &where);
		qms_sums_add(&run->sums, &run->model, &leg, &where);
		qms_sums_model(&run->sums, SERVICE, PRIOR_WEIGHT, &run->model);
	}
	for (i = 0; i < run->legs.n; i++)
	{
		const Person *person = run->legs.items[i];

		if (!person->left && person->start < until)
			open_calls += (double) (until - person->start) / USECS_PER_SEC;
	}
	qms_sums_close(&run->sums, until, open_calls);
	qms_sums_model(&run->sums, SERVICE, PRIOR_WEIGHT, &run->model);
}

/* The counter that is free first takes somebody until then. */
static void
take_counter(TimestampTz *heap, int n, TimestampTz until)
{
	int			i = 0;

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= until)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = until;
}

/* With counters that come and go: a counter works on, but begins nothing while it is not planned. */
static TimestampTz
take_scheduled(Run *run, TimestampTz came, double service)
{
	const Setting *setting = run->setting;
	int64		stretch = (int64) (setting->stretch * SERVICE * USECS_PER_SEC);
	int			most = Max(setting->s, setting->other);
	int			least = Min(setting->s, setting->other);
	int			best = 0;
	TimestampTz at = 0;
	int			i;

	for (i = 0; i < most; i++)
	{
		TimestampTz start = Max(came, run->free[i]);

		if (i >= least && counters_at(setting, start) == least)
			start = (start / stretch + 1) * stretch;
		if (i == 0 || start < at)
		{
			best = i;
			at = start;
		}
	}
	run->free[best] = at + (int64) (service * USECS_PER_SEC);
	return at;
}

static double
rate_at(const Setting *setting, TimestampTz at)
{
	double		mean = setting->other == 0 ? setting->s : (setting->s + setting->other) / 2.0;

	return mean * setting->rho / SERVICE * (1 + setting->swing * sin(2 * M_PI * (double) at / USECS_PER_SEC / (288 * SERVICE)));
}

static TimestampTz
next_arrival(const Setting *setting, TimestampTz now)
{
	double		most = rate_at(setting, 0) * (1 + setting->swing);

	do
		now += (int64) (exponential(1 / most) * USECS_PER_SEC) + 1;
	while (setting->swing > 0 && uniform() * most > rate_at(setting, now));
	return now;
}

/* The wait by the rates as they are: unbiased, and the best that can be told from the length of the line. */
static double
known_wait(const Setting *setting, const Person *person, QmsWait *wait)
{
	QmsWaitModel model = {.service = SERVICE, .intercept = 1, .fixed = 1, .each = 1, .leave_rate = setting->theta / SERVICE};
	QmsWaitCase where;
	double		exact = 0;
	int			i;

	where.ahead = person->ahead;
	set_pieces(setting, person->came, true, &where);
	qms_wait_forecast(&model, &where, wait);
	if (setting->theta <= 0)
		return wait->mean;
	for (i = 0; i <= person->ahead; i++)
		exact += SERVICE / (setting->s + i * setting->theta);
	return exact;
}

static void
score(Score *score, int which, double told, double waited)
{
	score->error[which] += told - waited;
	score->square[which] += (told - waited) * (told - waited);
	score->absolute[which] += fabs(told - waited);
}

/* What each predictor would have told him. */
static void
judge(Run *run, Score *scores, const Person *person)
{
	double		waited = (double) (person->start - person->came) / USECS_PER_SEC;
	double		mean30 = 0;
	double		oldest = 0;
	QmsWait		known;
	int			i;

	if (person->at_once)
		return;
	for (i = 0; i < 30; i++)
		mean30 += run->last30[i] / 30;
	/* The head of the line: the first who has not gone. */
	while (run->head < run->npeople && run->people[run->head].gone <= person->came)
		run->head++;
	if (&run->people[run->head] < person)
		oldest = (double) (person->came - run->people[run->head].came) / USECS_PER_SEC;
	scores->n++;
	scores->waited += waited;
	score(scores, KNOWN, known_wait(run->setting, person, &known), waited);
	scores->inside_known += waited >= known.p10 && waited <= known.p90;
	score(scores, LEARNED, person->told.mean, waited);
	scores->inside += waited >= person->told.p10 && waited <= person->told.p90;
	score(scores, LES, run->les, waited);
	score(scores, HOL, oldest, waited);
	score(scores, LAST30, mean30, waited);
	score(scores, NAIVE, (person->ahead + 1) * run->model.service, waited);
	score(scores, NOW, (person->ahead + 1) * SERVICE / person->counters, waited);
}

/* Those who have gone out of the line by now: called, or left. */
static void
let_go(Run *run, TimestampTz now)
{
	while (run->line.n > 0 && run->line.keys[0] <= now)
	{
		Person	   *person = heap_pop(&run->line);

		if (person->left)
			continue;
		run->les = (double) (person->start - person->came) / USECS_PER_SEC;
		run->last30[run->n30++ % 30] = run->les;
	}
}

static bool
counter_is_free(const Run *run, TimestampTz now)
{
	int			i;

	if (run->setting->other == 0)
		return run->free[0] <= now;
	for (i = 0; i < counters_at(run->setting, now); i++)
	{
		if (run->free[i] <= now)
			return true;
	}
	return false;
}

static void
arrive(Run *run, Person *person)
{
	const Setting *setting = run->setting;
	double		service = draw_service(setting);
	QmsWaitCase where;

	person->ahead = run->line.n;
	person->counters = counters_at(setting, person->came);
	person->at_once = person->ahead == 0 && counter_is_free(run, person->came);
	where.ahead = person->ahead;
	set_pieces(setting, person->came, true, &where);
	if (person->at_once)
		qms_wait_none(&person->told);
	else
		qms_wait_forecast(&run->model, &where, &person->told);
	if (setting->other > 0)
		person->start = take_scheduled(run, person->came, service);
	else
		person->start = Max(person->came, run->free[0]);
	person->gone = person->start;
	person->service = (int64) (service * USECS_PER_SEC);
	person->end = person->start + person->service;
	if (setting->theta > 0)
	{
		TimestampTz patience = person->came + (int64) (exponential(SERVICE / setting->theta) * USECS_PER_SEC);

		person->left = patience < person->start;
		if (person->left)
			person->gone = person->end = patience;
	}
	if (!person->left && setting->other == 0)
		take_counter(run->free, setting->s, person->end);
	heap_push(&run->line, person->gone, person);
	heap_push(&run->legs, person->end, person);
}

/* i, came, his turn, service, people ahead, what he is told, gone out of the line, credit */
static void
print_person(int i, const Person *person)
{
	printf("%d,%lld,%lld,%lld,%d,%.0f,%.0f,%.0f,%lld,0\n", i, (long long) person->came, (long long) person->start,
		   (long long) person->service, person->ahead, rint(person->told.p10), rint(person->told.p50), told_p90(&person->told),
		   (long long) person->gone);
}

static void
run_stream(const Setting *setting, int arrivals, uint64 seed, Score *scores, bool print)
{
	Run			run = {.setting = setting};
	TimestampTz now = 0;
	int			i;

	seed_with(seed);
	qms_sums_start(&run.sums);
	qms_sums_model(&run.sums, SERVICE, PRIOR_WEIGHT, &run.model);
	run.people = calloc(arrivals, sizeof(Person));
	run.npeople = arrivals;
	run.free = calloc(Max(setting->s, setting->other), sizeof(TimestampTz));
	for (i = 0; i < arrivals; i++)
	{
		Person	   *person = &run.people[i];
		TimestampTz turn;

		now = next_arrival(setting, now);
		turn = now / TURN * TURN;
		/* Turns in which nothing has ended change nothing. */
		while (run.legs.n > 0 && run.legs.keys[0] <= turn - LAG)
			learn(&run, Max((run.legs.keys[0] + LAG + TURN - 1) / TURN * TURN, run.turned + TURN));
		let_go(&run, now);
		person->came = now;
		arrive(&run, person);
		if (i >= arrivals / 20)
			judge(&run, scores, person);
		if (print)
			print_person(i, person);
	}
	if (getenv("DEBUG"))
		fprintf(stderr, "m %.2f c0 %.3f v0 %.3f v1 %.3f theta %.5f\n", run.model.service, run.model.intercept, run.model.fixed, run.model.each, run.model.leave_rate * SERVICE);
	free(run.people);
	free(run.free);
	free(run.line.items);
	free(run.line.keys);
	free(run.legs.items);
	free(run.legs.keys);
}

#define M(s_, rho_) {.name = "M/M/" #s_ " " #rho_, .s = s_, .rho = rho_, .limit = 1.10, .most_bias = 0.02, .least_coverage = .77, .most_coverage = .83}
#define D(s_, rho_) {.name = "M/D/" #s_ " " #rho_, .s = s_, .rho = rho_, .law = FIXED, .limit = 1, .least_coverage = .73, .most_coverage = .87}
#define L(cv_, s_, rho_, limit_, floor_) {.name = "M/LN" #cv_ "/" #s_ " " #rho_, .s = s_, .rho = rho_, .law = LOGNORMAL, .cv = cv_, .limit = limit_, \
	.least_coverage = .73, .most_coverage = .87, .floor = floor_}
#define A(s_, rho_, theta_) {.name = "M/M/" #s_ "+M(" #theta_ ") " #rho_, .s = s_, .rho = rho_, .theta = theta_, .limit = 1.10}

static const Setting settings[] = {
	M(1, .90), M(1, .95), M(5, .90), M(5, .95), M(10, .90), M(10, .95), M(100, .90), M(100, .95),
	D(1, .90), D(1, .95), D(5, .90), D(5, .95), D(10, .90), D(10, .95), D(100, .90), D(100, .95),
	L(.5, 5, .90, 1, .0823), L(.5, 10, .90, 1, .0252),
	L(1.5, 1, .90, 1.15, 40.4), L(1.5, 1, .95, 1.15, 77), L(1.5, 5, .90, 1.15, 1.05), L(1.5, 5, .95, 1.15, 2.36),
	L(1.5, 10, .90, 1.15, .208), L(1.5, 10, .95, 1.15, .529), L(1.5, 100, .90, 1.15, .0012), L(1.5, 100, .95, 1.15, .0029),
	A(10, 1.0, 1), A(10, 1.2, 1), A(10, 1.4, 1), A(10, 1.2, .2), A(100, 1.0, 1), A(100, 1.2, 1), A(100, 1.4, 1),
	{.name = "M(t)/M/10 .2", .s = 10, .rho = .90, .swing = .2},
	{.name = "M(t)/M/10 .5", .s = 10, .rho = .90, .swing = .5, .limit = 1.3},
	{.name = "M(t)/M/100 .2", .s = 100, .rho = .90, .swing = .2},
	{.name = "M(t)/M/100 .5", .s = 100, .rho = .90, .swing = .5},
	{.name = "M(t)/LN1.5/10 .5", .s = 10, .rho = .90, .swing = .5, .law = LOGNORMAL, .cv = 1.5},
	{.name = "M(t)/M/10+M(.2) .5", .s = 10, .rho = 1, .swing = .5, .theta = .2},
	{.name = "staff 8, 4", .s = 8, .other = 4, .stretch = 60, .rho = .90, .absolute = 1.8}
};

static void
print_row(const Setting *setting, const Score *s)
{
	double		known = s->square[KNOWN] / s->n / SERVICE / SERVICE;
	double		learned = s->square[LEARNED] / s->n / SERVICE / SERVICE;
	double		mean = s->waited / s->n;
	double		bias = s->error[LEARNED] / s->waited;
	double		coverage = s->inside / s->n;
	bool		pass = (setting->limit == 0 || learned <= setting->limit * known) &&
		(setting->absolute == 0 || learned <= setting->absolute) &&
		(setting->most_bias == 0 || fabs(bias) <= setting->most_bias) &&
		(setting->most_coverage == 0 || (coverage >= setting->least_coverage && coverage <= setting->most_coverage));

	printf("| %s | %.4g | ", setting->name, mean / SERVICE);
	if (setting->floor > 0)
		printf("%.4g | ", setting->floor);
	else
		printf("%s | ", setting->law == FIXED ? "0" : "");
	printf("%.4g | **%.4g** (x%.3f) | %.3f | %.3f | %+.1f %% | %.3f | %.3f | x%.2f | x%.2f | x%.2f | x%.4g | x%.4g | %s |\n",
		   known, learned, learned / known, sqrt(learned) * SERVICE / mean, s->absolute[LEARNED] / s->waited,
		   100 * bias, coverage, s->inside_known / s->n,
		   s->square[LES] / s->square[KNOWN], s->square[HOL] / s->square[KNOWN],
		   s->square[LAST30] / s->square[KNOWN], s->square[NAIVE] / s->square[KNOWN], s->square[NOW] / s->square[KNOWN],
		   setting->limit == 0 && setting->absolute == 0 ? "-" : pass ? "pass" : "**FAIL**");
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	int			arrivals = 200000;
	int			seeds = 5;
	bool		named = false;
	size_t		i;
	int			seed;
	int			a;

	if (argc == 5 && strcmp(argv[1], "--stream") == 0)
	{
		Score		none = {0};

		for (i = 0; i < lengthof(settings); i++)
		{
			if (strcmp(settings[i].name, argv[2]) == 0)
				run_stream(&settings[i], atoi(argv[4]), atoi(argv[3]), &none, true);
		}
		return 0;
	}
	for (a = 1; a < argc - 1; a++)
	{
		if (strcmp(argv[a], "--arrivals") == 0)
			arrivals = atoi(argv[++a]);
		else if (strcmp(argv[a], "--seeds") == 0)
			seeds = atoi(argv[++a]);
	}
	for (i = 0; i < lengthof(settings); i++)
	{
		Score		sum = {0};
		bool		wanted = true;

		for (a = 1; a < argc; a++)
		{
			if (strncmp(argv[a], "--", 2) == 0)
			{
				a++;
				continue;
			}
			if (!named)
				wanted = false;
			named = true;
			if (strncmp(settings[i].name, argv[a], strlen(argv[a])) == 0)
				wanted = true;
		}
		named = false;
		if (!wanted)
			continue;
		for (seed = 1; seed <= seeds; seed++)
			run_stream(&settings[i], arrivals, seed, &sum, false);
		print_row(&settings[i], &sum);
	}
	return 0;
}
