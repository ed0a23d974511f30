/*
 * priority.c
 *		B5 of theory.md: people of three classes at five counters, by credits and by
 *		slopes; the order by the code that the server runs (src/queue/policy.c), what
 *		they are told by src/predict.
 *
 * priority [--arrivals N] [--seeds N]
 * priority --stream SEED N		one stream by credits, ticket by ticket, for the SQL path
 *
 * Credits 0, 2, 4: the smallest arrival - credit of all who wait.  Slopes 1, 2, 4: of
 * the heads of the classes the largest slope x waiting time.
 */
#include "stream.h"

#include "queue/queue.h"

#define CLASSES 3
#define COUNTERS 5
#define RHO 0.95

typedef struct Rule
{
	const char *name;
	QmsPolicy	policy;
	double		credits[CLASSES];	/* units of time */
	double		weights[CLASSES];
	double		means[CLASSES]; /* of theory.md, where first come, first served was 3.48, */
	double		p99[CLASSES];	/* and 17.7 */
} Rule;

static const Rule rules[] = {
	{"first come", QMS_FIFO, {0, 0, 0}, {1, 1, 1}, {3.48, 3.48, 3.48}, {17.7, 17.7, 17.7}},
	{"credits 0, 2, 4", QMS_FIFO, {0, 2, 4}, {1, 1, 1}, {3.87, 2.49, 1.55}, {18.3, 16.3, 14.3}},
	{"slopes 1, 2, 4", QMS_WEIGHTED, {0, 0, 0}, {1, 2, 4}, {4.00, 2.10, 1.14}, {20.4, 10.4, 5.3}}
};
static const double shares[CLASSES] = {0.75, 0.20, 0.05};

/* For policy.c. */
void *
palloc(Size size)
{
	return malloc(size);
}

typedef struct Customer
{
	TimestampTz came;
	TimestampTz start;
	TimestampTz end;
	int64		service;
	int64		key;
	int			class;
	int			ahead;
	bool		at_once;
	int			passed_by;		/* people who came later and were called before */
	QmsWait		told;
} Customer;

typedef struct Tally
{
	int			n;
	double	   *waits;
	double		sum;
	double		delayed;		/* waits of those who had to wait, their number, */
	double		ndelayed;
	double		error;			/* and what they were told */
	double		square;
	double		inside;
	double		passed_by;
	int			most_passed_by;
} Tally;

typedef struct Line
{
	const Rule *rule;
	Customer   *customers;
	int			n;
	Customer  **waiting;		/* in the order of coming */
	int			nwaiting;
	Customer   *serving[COUNTERS];
	Customer  **ended;			/* not learned yet, in the order of ending */
	int			nended;
	QmsWaitSums sums;
	QmsWaitModel model;
	int64		violations;
} Line;

static int64
credit_of(const Rule *rule, int class)
{
	return (int64) (rule->credits[class] * SERVICE) * USECS_PER_SEC;
}

static void
learn(Line *line, TimestampTz now)
{
	TimestampTz until = now - LAG;
	double		open_calls = 0;
	int			i;
	int			j;

	if (line->nended == 0 || line->ended[0]->end > until)
		return;
	for (i = 0; i < line->nended && line->ended[i]->end <= until; i++)
	{
		Customer   *customer = line->ended[i];
		QmsWaitLeg	leg = {
			.entered_at = customer->came, .called_at = customer->start, .busy_from = customer->start, .ended_at = customer->end,
			.usable = !customer->at_once, .ahead = customer->ahead, .counters = COUNTERS, .told = told_mean(&customer->told), .credit = credit_of(line->rule, customer->class)
		};
		QmsWaitCase where;

		where.ahead = customer->ahead;
		where.npieces = 1;
		where.pieces[0].until = INFINITY;
		where.pieces[0].counters = COUNTERS;
		for (j = 0; j < line->model.nlevels; j++)
			where.passed[j] = (double) (line->model.credits[j] - leg.credit) / USECS_PER_SEC;
		qms_sums_add(&line->sums, &line->model, &leg, &where);
		qms_sums_model(&line->sums, SERVICE, PRIOR_WEIGHT, &line->model);
	}
	line->nended -= i;
	memmove(line->ended, line->ended + i, sizeof(Customer *) * line->nended);
	for (i = 0; i < COUNTERS; i++)
	{
		if (line->serving[i] != NULL && line->serving[i]->start <= until)
			open_calls += (double) (until - line->serving[i]->start) / USECS_PER_SEC;
	}
	for (i = 0; i < line->nended; i++)
	{
		if (line->ended[i]->start <= until)
			open_calls += (double) (until - line->ended[i]->start) / USECS_PER_SEC;
	}
	qms_sums_close(&line->sums, until, open_calls);
	qms_sums_model(&line->sums, SERVICE, PRIOR_WEIGHT, &line->model);
}

/* Whose turn it is: the heads of the classes, and the policy's choice among them. */
static int
choose(Line *line, TimestampTz now)
{
	QmsHead		heads[CLASSES];
	int			places[CLASSES];
	int			n = 0;
	int			class;
	int			i;

	memset(heads, 0, sizeof(heads));
	for (class = 0; class < CLASSES; class++)
	{
		for (i = 0; i < line->nwaiting && line->waiting[i]->class != class; i++)
			;
		if (i == line->nwaiting)
			continue;
		heads[n].source = n;
		heads[n].ticket_id = line->waiting[i] - line->customers;
		heads[n].sort_key = line->waiting[i]->key;
		heads[n].effective_arrival = line->waiting[i]->came;
		heads[n].weight = line->rule->weights[class];
		places[n++] = i;
	}
	return places[qms_policy_choose(line->rule->policy, heads, n, now, NULL)];
}

static void
serve(Line *line, int counter, TimestampTz now)
{
	int			place = choose(line, now);
	Customer   *customer = line->waiting[place];
	int			i;

	for (i = 0; i < place; i++)
	{
		Customer   *other = line->waiting[i];

		other->passed_by++;
		/* The stated bound: not later than the difference of the credits. */
		if (line->rule->policy == QMS_FIFO &&
			customer->came - other->came > credit_of(line->rule, customer->class) - credit_of(line->rule, other->class))
			line->violations++;
	}
	line->nwaiting--;
	memmove(line->waiting + place, line->waiting + place + 1, sizeof(Customer *) * (line->nwaiting - place));
	customer->start = now;
	customer->end = now + customer->service;
	line->serving[counter] = customer;
}

static int
free_counter(const Line *line)
{
	int			i;

	for (i = 0; i < COUNTERS && line->serving[i] != NULL; i++)
		;
	return i;
}

static void
come(Line *line, Customer *customer)
{
	QmsWaitCase where;
	int			counter = free_counter(line);
	int			i;

	customer->key = customer->came - credit_of(line->rule, customer->class);
	for (i = 0; i < line->nwaiting; i++)
		customer->ahead += line->waiting[i]->key <= customer->key;
	where.ahead = customer->ahead;
	where.npieces = 1;
	where.pieces[0].until = INFINITY;
	where.pieces[0].counters = COUNTERS;
	qms_sums_passed(&line->model, customer->key, customer->came, &where);
	customer->at_once = counter < COUNTERS;
	if (customer->at_once)
		qms_wait_none(&customer->told);
	else
		qms_wait_forecast(&line->model, &where, &customer->told);
	line->waiting[line->nwaiting++] = customer;
	if (customer->at_once)
		serve(line, counter, customer->came);
}

/* All that ends before a moment, and who is called then; turns of learning in between. */
static void
go_on(Line *line, TimestampTz until)
{
	for (;;)
	{
		TimestampTz next = DT_NOEND;
		TimestampTz turn = DT_NOEND;
		int			counter = 0;
		int			i;

		for (i = 0; i < COUNTERS; i++)
		{
			if (line->serving[i] != NULL && line->serving[i]->end < next)
			{
				next = line->serving[i]->end;
				counter = i;
			}
		}
		if (line->nended > 0)
			turn = (line->ended[0]->end + LAG + TURN - 1) / TURN * TURN;
		if (turn <= next && turn <= until)
		{
			learn(line, turn);
			continue;
		}
		if (next > until)
			return;
		line->ended[line->nended++] = line->serving[counter];
		line->serving[counter] = NULL;
		if (line->nwaiting > 0)
			serve(line, counter, next);
	}
}

static void
run_line(Line *line, int n, int seed)
{
	TimestampTz now = 0;
	int			i;

	seed_with(seed);
	qms_sums_start(&line->sums);
	qms_sums_model(&line->sums, SERVICE, PRIOR_WEIGHT, &line->model);
	line->n = n;
	line->customers = calloc(n, sizeof(Customer));
	line->waiting = calloc(n, sizeof(Customer *));
	line->ended = calloc(n, sizeof(Customer *));
	for (i = 0; i < n; i++)
	{
		Customer   *customer = &line->customers[i];
		double		class = uniform();

		now += (int64) (exponential(SERVICE / (COUNTERS * RHO)) * USECS_PER_SEC) + 1;
		customer->came = now;
		customer->class = class < shares[0] ? 0 : class < shares[0] + shares[1] ? 1 : 2;
		customer->service = (int64) (exponential(SERVICE) * USECS_PER_SEC);
		go_on(line, now);
		come(line, customer);
	}
	go_on(line, DT_NOEND - 1);
	free(line->waiting);
	free(line->ended);
}

static int
compare(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

static void
add_up(const Line *line, Tally *tallies, int most)
{
	int			i;

	for (i = line->n / 20; i < line->n; i++)
	{
		const Customer *customer = &line->customers[i];
		Tally	   *tally = &tallies[customer->class];
		double		waited = (double) (customer->start - customer->came) / USECS_PER_SEC;

		if (tally->waits == NULL)
			tally->waits = calloc(most, sizeof(double));
		tally->waits[tally->n++] = waited;
		tally->sum += waited;
		tally->passed_by += customer->passed_by;
		tally->most_passed_by = Max(tally->most_passed_by, customer->passed_by);
		if (customer->at_once)
			continue;
		tally->ndelayed++;
		tally->delayed += waited;
		tally->error += customer->told.mean - waited;
		tally->square += (customer->told.mean - waited) * (customer->told.mean - waited);
		tally->inside += waited >= customer->told.p10 && waited <= customer->told.p90;
	}
}

static double
p99_of(Tally *tally)
{
	qsort(tally->waits, tally->n, sizeof(double), compare);
	return tally->waits[(int) (tally->n * 0.99)];
}

/*
 * What the number of theory.md is on this path, where first come, first served has
 * another mean than there: credits shift the waits, slopes stretch them.
 */
static double
expected(const Rule *rule, double there, double first_there, double first_here)
{
	return rule->policy == QMS_FIFO ? there + first_here - first_there : there * first_here / first_there;
}

/* A row for each class; mean, p99: of all by first come, first served, in units of time. */
static void
print_rule(const Rule *rule, Tally *tallies, int64 violations, double mean, double p99)
{
	static const char *const names[] = {"normal", "priority", "VIP"};
	double		error = 0;
	double		delayed = 0;
	int			c;

	for (c = 0; c < CLASSES; c++)
	{
		error += tallies[c].error;
		delayed += tallies[c].delayed;
	}
	for (c = 0; c < CLASSES; c++)
	{
		Tally	   *tally = &tallies[c];
		double		mine = tally->sum / tally->n / SERVICE;
		double		late = p99_of(tally) / SERVICE;
		double		off = mine / expected(rule, rule->means[c], 3.48, mean) - 1;
		double		off99 = late / expected(rule, rule->p99[c], 17.7, p99) - 1;
		bool		told = rule->policy == QMS_FIFO;
		bool		pass = fabs(off) <= 0.03 && violations == 0 && (!told || fabs(error / delayed) <= 0.02);

		printf("| %s | %s | %.2f (%+.1f %%) | %.1f (%+.1f %%) | %.0f | %.2f | %d | ", rule->name, names[c], mine, 100 * off,
			   late, 100 * off99, tally->waits[tally->n - 1] / SERVICE, tally->passed_by / tally->n, tally->most_passed_by);
		if (told)
			printf("%lld | %+.1f %% | %.2f | %.3f | %s |\n", (long long) violations, 100 * tally->error / tally->delayed,
				   sqrt(tally->square / tally->ndelayed) / SERVICE, tally->inside / tally->ndelayed, pass ? "pass" : "**FAIL**");
		else
			printf("- | - | - | - | %s |\n", pass ? "pass" : "**FAIL**");
	}
}

int
main(int argc, char **argv)
{
	int			arrivals = 1500000;
	int			seeds = 5;
	double		mean = 0;
	double		p99 = 0;
	size_t		r;
	int			a;

	if (argc == 4 && strcmp(argv[1], "--stream") == 0)
	{
		Line		line = {.rule = &rules[1]};
		int			i;

		run_line(&line, atoi(argv[3]), atoi(argv[2]));
		for (i = 0; i < line.n; i++)
		{
			const Customer *c = &line.customers[i];

			printf("%d,%lld,%lld,%lld,%d,%.0f,%.0f,%.0f,%lld,%d\n", i, (long long) c->came, (long long) c->start, (long long) c->service,
				   c->ahead, rint(c->told.p10), rint(c->told.p50), told_p90(&c->told), (long long) c->start,
				   (int) (credit_of(line.rule, c->class) / USECS_PER_SEC));
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
	for (r = 0; r < lengthof(rules); r++)
	{
		Tally		tallies[CLASSES] = {{0}};
		int64		violations = 0;
		int			seed;

		for (seed = 1; seed <= seeds; seed++)
		{
			Line		line = {.rule = &rules[r]};

			run_line(&line, arrivals, seed);
			add_up(&line, tallies, arrivals * seeds);
			violations += line.violations;
			free(line.customers);
		}
		if (r == 0)
		{
			Tally		all = {.waits = calloc(arrivals * seeds, sizeof(double))};
			int			c;
			int			i;

			for (c = 0; c < CLASSES; c++)
			{
				for (i = 0; i < tallies[c].n; i++)
					all.waits[all.n++] = tallies[c].waits[i];
				all.sum += tallies[c].sum;
			}
			mean = all.sum / all.n / SERVICE;
			p99 = p99_of(&all) / SERVICE;
		}
		print_rule(&rules[r], tallies, violations, mean, p99);
		fflush(stdout);
	}
	return 0;
}
