/*
 * sections.c
 *		The sections of a report.
 */
#include "report/page.h"

/* "08:00-09:00" */
static char *
hour_text(int hour)
{
	return psprintf("%02d:00\u2013%02d:00", hour, hour + 1);
}

static double
minutes(int64 usec)
{
	return usec < 0 ? -1 : (double) usec / USECS_PER_MINUTE;
}

static void
begin_section(QmsPage *page, QmsWord title, bool two)
{
	qms_html(page, "<section><h2>");
	qms_html_word(page, title);
	qms_htmlf(page, "</h2><div class=\"pair%s\">\n", two ? " two" : "");
}

static void
end_section(QmsPage *page)
{
	qms_html(page, "</div></section>\n");
}

static void
begin_row(QmsPage *page, const char *utf8)
{
	qms_html(page, "<tr><th scope=\"row\">");
	qms_html_text(page, utf8);
	qms_html(page, "</th>");
}

static void
end_row(QmsPage *page)
{
	qms_html(page, "</tr>\n");
}

static void
write_card(QmsPage *page, QmsWord word, const char *utf8)
{
	qms_html(page, "<div><dt>");
	qms_html_word(page, word);
	qms_html(page, "</dt><dd>");
	qms_html_text(page, utf8);
	qms_html(page, "</dd></div>\n");
}

/* ---- key figures ---- */

static void
write_key_figures(QmsPage *page, const QmsReport *report)
{
	const QmsStats *all = report->all;
	QmsLanguage language = page->language;

	qms_html(page, "<section><h2>");
	qms_html_word(page, W_KEY_FIGURES);
	qms_html(page, "</h2><dl class=\"key\">\n");
	write_card(page, W_ARRIVALS, qms_form_int(language, qms_stats_arrivals(all)));
	write_card(page, W_SERVED, qms_form_int(language, all->n[QMS_N_COMPLETED]));
	write_card(page, W_MEAN_WAIT, qms_form_duration(qms_times_mean(&all->wait)));
	write_card(page, W_P90_WAIT, qms_form_duration(qms_times_quantile(&all->wait, 0.9)));
	write_card(page, W_LONGEST_WAIT, qms_form_duration(all->wait.count > 0 ? all->wait.max : -1));
	write_card(page, W_WITHIN, qms_form_percent(language, qms_stats_within_target(all)));
	if (report->target > 0)
		write_card(page, W_TARGET, qms_form_duration(report->target));
	write_card(page, W_MEAN_SERVICE, qms_form_duration(qms_times_mean(&all->service)));
	write_card(page, W_LEFT, qms_form_int(language, all->n[QMS_N_ABANDONED]));
	write_card(page, W_NO_SHOW, qms_form_int(language, all->n[QMS_N_NO_SHOW]));
	qms_html(page, "</dl></section>\n");
}

/* ---- waits by hour ---- */

static void
write_hour_table(QmsPage *page, const QmsReport *report)
{
	static const QmsWord heads[] = {W_HOUR, W_ARRIVALS, W_CALLED, W_MEAN_WAIT, W_P90};
	int			h;

	qms_html_table(page, W_BY_HOUR, heads, lengthof(heads));
	for (h = 0; h < 24; h++)
	{
		const QmsStats *stats = report->hours[h];

		if (stats == NULL)
			continue;
		begin_row(page, hour_text(h));
		qms_html_cell(page, qms_form_int(page->language, qms_stats_arrivals(stats)));
		qms_html_cell(page, qms_form_int(page->language, stats->wait.count));
		qms_html_cell(page, qms_form_duration(qms_times_mean(&stats->wait)));
		qms_html_cell(page, qms_form_duration(qms_times_quantile(&stats->wait, 0.9)));
		end_row(page);
	}
	qms_html_end_table(page);
}

static void
write_hours(QmsPage *page, const QmsReport *report)
{
	QmsChart	chart = {.title = W_BY_HOUR, .description = W_BY_HOUR_DESC};
	char	   *labels[24];
	double		bars[24];
	double		line[24];
	int			first = 0;
	int			last = 23;
	int			h;

	while (first < 23 && report->hours[first] == NULL)
		first++;
	while (last > first && report->hours[last] == NULL)
		last--;
	for (h = first; h <= last; h++)
	{
		const QmsStats *stats = report->hours[h];

		labels[chart.n] = psprintf("%02d", h);
		bars[chart.n] = stats == NULL ? -1 : minutes(qms_times_mean(&stats->wait));
		line[chart.n++] = stats == NULL ? -1 : minutes(qms_times_quantile(&stats->wait, 0.9));
	}
	chart.labels = labels;
	chart.bars = bars;
	chart.line = line;
	begin_section(page, W_BY_HOUR, true);
	qms_chart_bars(page, &chart);
	write_hour_table(page, report);
	end_section(page);
}

/* ---- heat maps ---- */

/* The figures of a heat map: hours down, weekdays across. */
static void
write_heat_table(QmsPage *page, const QmsHeat *heat)
{
	int			d;
	int			h;

	qms_html_begin_table(page, heat->title);
	qms_html_head(page, qms_word(page->language, W_HOUR));
	for (d = 0; d < 7; d++)
		qms_html_head(page, heat->labels[d]);
	qms_html_begin_rows(page);
	for (h = 0; h < 24; h++)
	{
		bool		any = false;

		for (d = 0; d < 7; d++)
			any |= heat->values[d][h] > 0;
		if (!any)
			continue;
		begin_row(page, hour_text(h));
		for (d = 0; d < 7; d++)
			qms_html_cell(page, heat->values[d][h] > 0 ? qms_form_tenths(page->language, heat->values[d][h]) : "\u2013");
		end_row(page);
	}
	qms_html_end_table(page);
}

static void
write_load(QmsPage *page, const QmsReport *report)
{
	QmsHeat		heat = {.title = W_LOAD, .description = W_LOAD_DESC};
	int			d;
	int			h;

	for (d = 0; d < 7; d++)
	{
		heat.labels[d] = unconstify(char *, qms_weekday_word(page->language, d + 1));
		for (h = 0; h < 24; h++)
			heat.values[d][h] = report->weekdays[d] == 0 ? -1 : report->arrivals[d][h] / report->weekdays[d];
	}
	begin_section(page, W_LOAD, true);
	qms_chart_heat(page, &heat);
	write_heat_table(page, &heat);
	end_section(page);
}

static void
write_forecast(QmsPage *page, const QmsReport *report)
{
	const QmsArrivals *forecast = &report->forecast;
	QmsHeat		heat = {.title = W_EXPECTED, .description = W_EXPECTED_DESC};
	QmsReportHour hour;
	TimestampTz at;
	double		low;
	double		high;
	double		sum = 0;
	int			d;

	for (d = 0; d < 7; d++)
	{
		int			day = forecast->today + d;

		heat.labels[d] = psprintf("%s %s", qms_weekday_word(page->language, qms_local_weekday(day)),
								  qms_form_short(page->language, day));
		for (at = qms_report_midnight(day, forecast->zone); at < qms_report_midnight(day + 1, forecast->zone); at = hour.ends_at)
		{
			qms_report_hour(at, forecast->zone, &hour);
			if (!qms_arrivals_is_closed(forecast, &hour))
				heat.values[d][hour.hour] += qms_arrivals_expected(forecast, &hour, &low, &high);
			sum += heat.values[d][hour.hour];
		}
	}
	if (sum <= 0)
		return;
	begin_section(page, W_EXPECTED, true);
	qms_chart_heat(page, &heat);
	write_heat_table(page, &heat);
	end_section(page);
}

/* ---- days, weeks or months ---- */

static char *
bucket_text(const QmsReport *report, const QmsReportBucket *bucket)
{
	if (report->step == QMS_BY_MONTH)
		return qms_form_month(report->language, bucket->first_day);
	return qms_form_day(report->language, bucket->first_day);
}

/* For an axis. */
static char **
bucket_labels(const QmsReport *report)
{
	char	  **labels = palloc(sizeof(char *) * Max(report->nbuckets, 1));
	int			i;

	for (i = 0; i < report->nbuckets; i++)
		labels[i] = qms_form_short(report->language, report->buckets[i].first_day);
	return labels;
}

static void
write_days(QmsPage *page, const QmsReport *report)
{
	static const QmsWord titles[] = {W_BY_DAY, W_BY_WEEK, W_BY_MONTH};
	static const QmsWord firsts[] = {W_DATE, W_WEEK_FROM, W_MONTH};
	QmsWord		heads[] = {firsts[report->step], W_ARRIVALS, W_SERVED, W_LEFT, W_NO_SHOW, W_MEAN_WAIT, W_P90};
	QmsChart	chart = {.title = titles[report->step], .description = W_BY_DAY_DESC, .n = report->nbuckets};
	int			i;

	chart.labels = bucket_labels(report);
	chart.bars = palloc(sizeof(double) * Max(chart.n, 1));
	chart.line = palloc(sizeof(double) * Max(chart.n, 1));
	for (i = 0; i < chart.n; i++)
	{
		chart.bars[i] = qms_stats_arrivals(report->buckets[i].stats);
		/* A day without anybody, such as a Sunday, is a gap. */
		chart.line[i] = chart.bars[i] > 0 ? report->buckets[i].stats->n[QMS_N_COMPLETED] : -1;
	}
	begin_section(page, chart.title, false);
	qms_chart_bars(page, &chart);
	qms_html_table(page, chart.title, heads, lengthof(heads));
	for (i = 0; i < chart.n; i++)
	{
		const QmsStats *stats = report->buckets[i].stats;

		begin_row(page, bucket_text(report, &report->buckets[i]));
		qms_html_cell(page, qms_form_int(page->language, qms_stats_arrivals(stats)));
		qms_html_cell(page, qms_form_int(page->language, stats->n[QMS_N_COMPLETED]));
		qms_html_cell(page, qms_form_int(page->language, stats->n[QMS_N_ABANDONED]));
		qms_html_cell(page, qms_form_int(page->language, stats->n[QMS_N_NO_SHOW]));
		qms_html_cell(page, qms_form_duration(qms_times_mean(&stats->wait)));
		qms_html_cell(page, qms_form_duration(qms_times_quantile(&stats->wait, 0.9)));
		end_row(page);
	}
	qms_html_end_table(page);
	end_section(page);
}

/* ---- service level ---- */

static void
write_level(QmsPage *page, const QmsReport *report)
{
	static const QmsWord firsts[] = {W_DATE, W_WEEK_FROM, W_MONTH};
	QmsWord		heads[] = {firsts[report->step], W_CALLED, W_WITHIN};
	QmsChart	chart = {.title = W_LEVEL, .description = W_LEVEL_DESC, .n = report->nbuckets, .full = 100};
	int			i;

	if (qms_stats_within_target(report->all) < 0)
		return;
	chart.labels = bucket_labels(report);
	chart.bars = palloc(sizeof(double) * Max(chart.n, 1));
	for (i = 0; i < chart.n; i++)
		chart.bars[i] = 100 * qms_stats_within_target(report->buckets[i].stats);
	begin_section(page, W_LEVEL, true);
	qms_chart_bars(page, &chart);
	qms_html_table(page, W_LEVEL, heads, lengthof(heads));
	for (i = 0; i < chart.n; i++)
	{
		const QmsStats *stats = report->buckets[i].stats;

		begin_row(page, bucket_text(report, &report->buckets[i]));
		qms_html_cell(page, qms_form_int(page->language, stats->wait.count));
		qms_html_cell(page, qms_form_percent(page->language, qms_stats_within_target(stats)));
		end_row(page);
	}
	qms_html_end_table(page);
	end_section(page);
}

/* ---- branches, queues or classes ---- */

static void
write_part_row(QmsPage *page, const QmsStats *stats)
{
	qms_html_cell(page, qms_form_int(page->language, qms_stats_arrivals(stats)));
	qms_html_cell(page, qms_form_int(page->language, stats->n[QMS_N_COMPLETED]));
	qms_html_cell(page, qms_form_duration(qms_times_mean(&stats->wait)));
	qms_html_cell(page, qms_form_duration(qms_times_quantile(&stats->wait, 0.9)));
	qms_html_cell(page, qms_form_percent(page->language, qms_stats_within_target(stats)));
	qms_html_cell(page, qms_form_int(page->language, stats->n[QMS_N_ABANDONED]));
	qms_html_cell(page, qms_form_duration(qms_times_mean(&stats->service)));
	end_row(page);
}

static void
write_parts(QmsPage *page, const QmsReport *report)
{
	static const QmsWord titles[] = {[QMS_OF_ORGANIZATION] = W_BRANCHES, [QMS_OF_BRANCH] = W_QUEUES, [QMS_OF_QUEUE] = W_CLASSES};
	static const QmsWord firsts[] = {[QMS_OF_ORGANIZATION] = W_BRANCH, [QMS_OF_BRANCH] = W_QUEUE, [QMS_OF_QUEUE] = W_CLASS};
	QmsStatsOf	of = report->scope->of.of;
	QmsWord		heads[] = {firsts[of], W_ARRIVALS, W_SERVED, W_MEAN_WAIT, W_P90, W_WITHIN, W_LEFT, W_MEAN_SERVICE};
	QmsChart	chart = {.title = titles[of], .description = W_PARTS_DESC, .n = Min(report->nparts, 24), .are_names = true};
	int			i;

	if (report->nparts == 0)
		return;
	chart.labels = palloc(sizeof(char *) * chart.n);
	chart.bars = palloc(sizeof(double) * chart.n);
	chart.line = palloc(sizeof(double) * chart.n);
	for (i = 0; i < chart.n; i++)
	{
		chart.labels[i] = report->parts[i].name;
		chart.bars[i] = minutes(qms_times_mean(&report->parts[i].stats->wait));
		chart.line[i] = minutes(qms_times_quantile(&report->parts[i].stats->wait, 0.9));
	}
	begin_section(page, chart.title, false);
	qms_chart_bars(page, &chart);
	qms_html_table(page, chart.title, heads, lengthof(heads));
	for (i = 0; i < report->nparts; i++)
	{
		qms_html(page, "<tr><th scope=\"row\"><bdi>");
		qms_html_name(page, report->parts[i].name);
		qms_html(page, "</bdi></th>");
		write_part_row(page, report->parts[i].stats);
	}
	qms_html(page, "</tbody><tfoot>");
	begin_row(page, qms_word(page->language, W_TOTAL));
	write_part_row(page, report->all);
	qms_html(page, "</tfoot></table></div>\n");
	end_section(page);
}

/* ---- staff ---- */

static void
write_staff_table(QmsPage *page, const QmsReport *report)
{
	static const QmsWord heads[] = {W_NAME, W_DAYS, W_SERVED, W_MEAN_SERVICE, W_SERVING, W_WALKING, W_IDLE, W_PAUSED};
	int			i;

	qms_html_table(page, W_STAFF, heads, lengthof(heads));
	for (i = 0; i < report->nstaff; i++)
	{
		const QmsStaffStats *staff = &report->staff[i];

		qms_html(page, "<tr><th scope=\"row\"><bdi>");
		if (staff->display_name == NULL)
			qms_html_word(page, W_UNNAMED);
		else
			qms_html_name(page, staff->display_name);
		qms_html(page, "</bdi></th>");
		qms_html_cell(page, qms_form_int(page->language, staff->days));
		qms_html_cell(page, qms_form_int(page->language, staff->served));
		qms_html_cell(page, qms_form_duration(qms_times_mean(&staff->service)));
		qms_html_cell(page, qms_form_duration(staff->serving));
		qms_html_cell(page, qms_form_duration(staff->walking));
		qms_html_cell(page, qms_form_duration(staff->idle));
		qms_html_cell(page, qms_form_duration(staff->paused));
		end_row(page);
	}
	qms_html_end_table(page);
}

static void
write_staff(QmsPage *page, const QmsReport *report)
{
	QmsStack	stack = {.title = W_STAFF, .description = W_STAFF_DESC,
	.parts = {W_SERVING, W_WALKING, W_IDLE, W_PAUSED}, .n = Min(report->nstaff, 60)};
	int			i;

	if (report->nstaff == 0)
		return;
	stack.names = palloc(sizeof(char *) * stack.n);
	stack.values = palloc(sizeof(*stack.values) * stack.n);
	for (i = 0; i < stack.n; i++)
	{
		const QmsStaffStats *staff = &report->staff[i];

		stack.names[i] = staff->display_name;
		stack.values[i][0] = (double) staff->serving / USECS_PER_HOUR;
		stack.values[i][1] = (double) staff->walking / USECS_PER_HOUR;
		stack.values[i][2] = (double) staff->idle / USECS_PER_HOUR;
		stack.values[i][3] = (double) staff->paused / USECS_PER_HOUR;
	}
	begin_section(page, W_STAFF, false);
	qms_chart_stacks(page, &stack);
	write_staff_table(page, report);
	end_section(page);
}

void
qms_report_sections(QmsPage *page, const QmsReport *report)
{
	write_key_figures(page, report);
	write_hours(page, report);
	write_load(page, report);
	write_days(page, report);
	write_level(page, report);
	write_parts(page, report);
	write_staff(page, report);
	if (report->has_forecast)
		write_forecast(page, report);
}
