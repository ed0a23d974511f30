/*
 * figures.c
 *		What a report shows, read from the statistics.
 */
#include "report/page.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/datetime.h"

#define MOST_PARTS	200
#define DAYS_BY_DAY	45			/* longer reports go week by week, */
#define DAYS_BY_WEEK 200		/* and still longer ones month by month */

/* A name in the language of the report, if there is one. */
char *
qms_report_name(const char *name, const Jsonb *names, QmsLanguage language)
{
	char	   *translated = names == NULL ? NULL : qms_jsonb_text(names, qms_language_tag(language));

	return translated != NULL && *translated != '\0' ? translated : pstrdup(name);
}

/* ---- hours ---- */

static void
add_hour(const QmsStatsRow *row, void *arg)
{
	QmsReport  *report = arg;
	QmsStats  **hour = &report->hours[row->local_hour];

	if (*hour == NULL)
		*hour = palloc0(sizeof(QmsStats));
	qms_stats_merge(*hour, row->stats);
	report->arrivals[row->weekday - 1][row->local_hour] += qms_stats_arrivals(row->stats);
	/* The target, where it was the same all the time. */
	if (report->target == -1)
		report->target = row->target;
	else if (report->target != row->target)
		report->target = 0;
}

/* ---- days, weeks, months ---- */

static int
bucket_of(const QmsReport *report, int day)
{
	int			y;
	int			m;
	int			d;

	if (report->step == QMS_BY_WEEK)
		day = day - qms_local_weekday(day) + 1;
	if (report->step == QMS_BY_MONTH)
	{
		j2date(day, &y, &m, &d);
		day = date2j(y, m, 1);
	}
	return day;
}

static void
add_day(const QmsStatsRow *row, void *arg)
{
	QmsReport  *report = arg;
	int			first = bucket_of(report, row->local_date + POSTGRES_EPOCH_JDATE);
	int			i;

	for (i = 0; i < report->nbuckets; i++)
	{
		if (report->buckets[i].first_day == first)
			qms_stats_merge(report->buckets[i].stats, row->stats);
	}
}

/* One for each day, week or month, also for those in which nothing happened. */
static void
make_buckets(QmsReport *report)
{
	int			days = report->end_day - report->first_day;
	int			last = -1;
	int			day;

	report->step = days <= DAYS_BY_DAY ? QMS_BY_DAY : days <= DAYS_BY_WEEK ? QMS_BY_WEEK : QMS_BY_MONTH;
	report->buckets = palloc(sizeof(QmsReportBucket) * Max(days, 1));
	for (day = report->first_day; day < report->end_day; day++)
	{
		int			first = bucket_of(report, day);

		report->weekdays[qms_local_weekday(day) - 1]++;
		if (first == last)
			continue;
		last = first;
		report->buckets[report->nbuckets].first_day = first;
		report->buckets[report->nbuckets++].stats = palloc0(sizeof(QmsStats));
	}
}

/* ---- branches of an organization, queues of a branch, classes of a queue ---- */

static void
add_part(QmsReport *report, char *name, QmsStatsScope of, const char *customer_class)
{
	QmsStats   *stats = palloc(sizeof(QmsStats));

	CHECK_FOR_INTERRUPTS();
	qms_stats_sum(of, report->since, report->before, customer_class, stats);
	if (qms_stats_arrivals(stats) == 0 && stats->n[QMS_N_CALLED] == 0)
	{
		pfree(stats);
		return;
	}
	report->parts[report->nparts].name = name;
	report->parts[report->nparts++].stats = stats;
}

static void
read_children(QmsReport *report, QmsPlan *plan, QmsStatsOf of)
{
	QmsParams	params = {0};
	uint64		n;
	uint64		i;
	QmsStatsScope *scopes;
	char	  **names;

	qms_param_int64(&params, report->scope->of.id);
	qms_param_int32(&params, MOST_PARTS);
	n = qms_spi_run(plan, &params);
	scopes = palloc(sizeof(QmsStatsScope) * Max(n, 1));
	names = palloc(sizeof(char *) * Max(n, 1));
	for (i = 0; i < n; i++)
	{
		scopes[i].of = of;
		scopes[i].id = qms_spi_int64(i, 0);
		names[i] = qms_report_name(qms_spi_text(i, 1), qms_spi_jsonb(i, 2), report->language);
	}
	for (i = 0; i < n; i++)
		add_part(report, names[i], scopes[i], NULL);
}

/* Classes with their names in the language. */
static void
read_classes(QmsReport *report)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT k.names FROM qms.customer_class k WHERE k.organization_id = $1 AND k.name = $2 "
								   "ORDER BY k.deleted_at IS NOT NULL, k.customer_class_id DESC LIMIT 1", INT8OID, TEXTOID);
	char	  **names;
	int			n = qms_stats_classes(report->scope->of, report->since, report->before, &names);
	int			i;

	for (i = 0; i < Min(n, MOST_PARTS); i++)
	{
		QmsParams	params = {0};
		Jsonb	   *translations = NULL;

		qms_param_int64(&params, report->scope->organization_id);
		qms_param_text(&params, names[i]);
		if (qms_spi_run(&plan, &params) > 0)
			translations = qms_spi_jsonb(0, 0);
		add_part(report, qms_report_name(names[i], translations, report->language), report->scope->of, names[i]);
	}
}

static void
read_parts(QmsReport *report)
{
	static QmsPlan branches = QMS_PLAN(
									   "SELECT b.branch_id, b.name, b.names FROM qms.branch b WHERE b.organization_id = $1 "
									   "ORDER BY b.name COLLATE \"C\", b.branch_id LIMIT $2", INT8OID, INT4OID);
	static QmsPlan queues = QMS_PLAN(
									 "SELECT q.queue_id, q.name, q.names FROM qms.queue q WHERE q.branch_id = $1 "
									 "ORDER BY q.name COLLATE \"C\", q.queue_id LIMIT $2", INT8OID, INT4OID);

	report->parts = palloc(sizeof(QmsReportPart) * MOST_PARTS);
	if (report->scope->of.of == QMS_OF_ORGANIZATION)
		read_children(report, &branches, QMS_OF_BRANCH);
	else if (report->scope->of.of == QMS_OF_BRANCH)
		read_children(report, &queues, QMS_OF_QUEUE);
	else
		read_classes(report);
}

/* ---- staff ---- */

/* Somebody may have worked in several branches. */
static void
add_staff(const QmsStaffStats *row, void *arg)
{
	QmsReport  *report = arg;
	QmsStaffStats *staff = NULL;
	int			i;

	for (i = 0; i < report->nstaff && staff == NULL; i++)
	{
		if (report->staff[i].staff_id == row->staff_id)
			staff = &report->staff[i];
	}
	if (staff == NULL)
	{
		/* By powers of two. */
		if (report->nstaff == 0)
			report->staff = palloc(sizeof(QmsStaffStats));
		else if ((report->nstaff & (report->nstaff - 1)) == 0)
			report->staff = repalloc_huge(report->staff, sizeof(QmsStaffStats) * report->nstaff * 2);
		staff = &report->staff[report->nstaff++];
		memset(staff, 0, sizeof(*staff));
		staff->staff_id = row->staff_id;
		staff->display_name = row->display_name == NULL ? NULL : pstrdup(row->display_name);
	}
	staff->days += row->days;
	staff->called += row->called;
	staff->served += row->served;
	qms_times_merge(&staff->service, &row->service);
	staff->idle += row->idle;
	staff->walking += row->walking;
	staff->serving += row->serving;
	staff->paused += row->paused;
}

static void
read_staff(QmsReport *report)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.branch_id FROM qms.branch b WHERE b.organization_id = $1 AND ($2 IS NULL OR b.branch_id = $2) "
								   "ORDER BY b.branch_id", INT8OID, INT8OID);
	QmsParams	params = {0};
	int64	   *ids;
	uint64		n;
	uint64		i;

	qms_param_int64(&params, report->scope->organization_id);
	qms_param_id(&params, report->scope->branch_id);
	n = qms_spi_run(&plan, &params);
	ids = palloc(sizeof(int64) * Max(n, 1));
	for (i = 0; i < n; i++)
		ids[i] = qms_spi_int64(i, 0);
	for (i = 0; i < n; i++)
		qms_staff_each(ids[i], report->since, report->before, add_staff, report);
}

/* Read it all; scope, language and days are there. */
void
qms_report_read(QmsReport *report, bool with_staff)
{
	QmsStatsScope of = report->scope->of;

	report->since = qms_report_midnight(report->first_day, report->scope->zone);
	report->before = qms_report_midnight(report->end_day, report->scope->zone);
	report->target = -1;
	report->all = palloc(sizeof(QmsStats));
	qms_stats_sum(of, report->since, report->before, NULL, report->all);
	qms_stats_each(of, QMS_STATS_HOUR, report->since, report->before, NULL, add_hour, report);
	report->target = Max(report->target, 0);
	make_buckets(report);
	qms_stats_each(of, QMS_STATS_DAY, report->since, report->before, NULL, add_day, report);
	read_parts(report);
	/* Staff are counted by branch, whatever queue they serve. */
	if (with_staff && of.of != QMS_OF_QUEUE)
		read_staff(report);
	/* What is expected now belongs to a report of the present only. */
	if (report->before > report->made_at - 8 * USECS_PER_DAY)
	{
		qms_arrivals_fit(report->scope, report->made_at, &report->forecast);
		report->has_forecast = report->forecast.known;
	}
}
