/*
 * page.h
 *		Inside of src/report: what a page is made of.
 */
#ifndef QMS_PAGE_H
#define QMS_PAGE_H

#include "report/report.h"

/* ---- words.c ---- */
typedef enum QmsWord
{
	W_REPORT, W_ORGANIZATION, W_BRANCH, W_QUEUE, W_CLASS, W_PERIOD, W_MADE, W_TIME_ZONE, W_KEY_FIGURES, W_ARRIVALS,
	W_SERVED, W_MEAN_WAIT, W_P90_WAIT, W_P90, W_LONGEST_WAIT, W_WITHIN, W_TARGET, W_LEFT, W_NO_SHOW, W_MEAN_SERVICE,
	W_BY_HOUR, W_BY_HOUR_DESC, W_HOUR, W_LOAD, W_LOAD_DESC, W_WEEKDAY, W_BY_DAY, W_BY_WEEK, W_BY_MONTH, W_BY_DAY_DESC,
	W_DATE, W_WEEK_FROM, W_MONTH, W_LEVEL, W_LEVEL_DESC, W_CALLED, W_QUEUES, W_BRANCHES, W_CLASSES, W_PARTS_DESC,
	W_STAFF, W_STAFF_DESC, W_NAME, W_DAYS, W_SERVING, W_WALKING, W_IDLE, W_PAUSED, W_UNNAMED, W_EXPECTED,
	W_EXPECTED_DESC, W_MINUTES, W_HOURS, W_TOTAL, W_NOTHING, W_METHOD, W_TO, W_MORE,
	QMS_WORDS
} QmsWord;

extern const char *qms_word(QmsLanguage language, QmsWord word);
extern const char *qms_weekday_word(QmsLanguage language, int weekday);
extern const char *qms_form_colon(QmsLanguage language);
extern char *qms_form_int(QmsLanguage language, int64 value);
extern char *qms_form_tenths(QmsLanguage language, double value);
extern char *qms_form_percent(QmsLanguage language, double share);
extern char *qms_form_duration(int64 usec);
extern char *qms_form_date(QmsLanguage language, int day);
extern char *qms_form_day(QmsLanguage language, int day);
extern char *qms_form_month(QmsLanguage language, int day);
extern char *qms_form_short(QmsLanguage language, int day);
extern char *qms_form_moment(QmsLanguage language, TimestampTz at, pg_tz *zone);

/* ---- html.c: a page being written; all of it is ASCII, what is not is a character reference ---- */
typedef struct QmsPage
{
	StringInfoData out;
	QmsLanguage language;
	int			charts;			/* so far, for ids */
} QmsPage;

extern void qms_html(QmsPage *page, const char *html);	/* as it is: ours, ASCII */
/* Likewise.  clang knows no gnu_printf, which pg_attribute_printf says. */
extern void qms_htmlf(QmsPage *page, const char *format,...) __attribute__((format(printf, 2, 3)));
extern void qms_html_text(QmsPage *page, const char *utf8); /* ours, to be escaped */
extern void qms_html_word(QmsPage *page, QmsWord word);
extern void qms_html_name(QmsPage *page, const char *name); /* of people, in the encoding of the database */
extern char *qms_html_cut(const char *name, int most);
extern void qms_html_begin_table(QmsPage *page, QmsWord caption);
extern void qms_html_head(QmsPage *page, const char *utf8);
extern void qms_html_begin_rows(QmsPage *page);
extern void qms_html_table(QmsPage *page, QmsWord caption, const QmsWord *heads, int n);
extern void qms_html_cell(QmsPage *page, const char *utf8);
extern void qms_html_end_table(QmsPage *page);

/* ---- style.c ---- */
extern const char *qms_style(void);
extern char *qms_style_hash(void);

/* ---- chart.c ---- */
typedef struct QmsChart
{
	QmsWord		title;
	QmsWord		description;
	int			n;				/* things on the axis */
	char	  **labels;			/* UTF-8, ours; or names of people: */
	bool		are_names;
	double	   *bars;			/* below 0: there is none */
	double	   *line;			/* NULL: no line; below 0: a gap */
	double		full;			/* the top of the axis; 0: as the figures need it */
} QmsChart;

extern void qms_chart_bars(QmsPage *page, const QmsChart *chart);

#define QMS_CHART_PARTS 4
typedef struct QmsStack
{
	QmsWord		title;
	QmsWord		description;
	QmsWord		parts[QMS_CHART_PARTS];
	int			n;
	char	  **names;			/* of people; NULL: nobody's */
	double		(*values)[QMS_CHART_PARTS];
} QmsStack;

extern void qms_chart_stacks(QmsPage *page, const QmsStack *stack);

/* Seven weekdays, some hours; below 0: nothing to show. */
typedef struct QmsHeat
{
	QmsWord		title;
	QmsWord		description;
	double		values[7][24];
	char	   *labels[7];		/* UTF-8, ours */
} QmsHeat;

extern void qms_chart_heat(QmsPage *page, const QmsHeat *heat);

/* ---- figures.c: what a report shows ---- */
typedef struct QmsReportBucket
{
	int			first_day;		/* Julian */
	QmsStats   *stats;
} QmsReportBucket;

typedef enum QmsReportStep
{
	QMS_BY_DAY,
	QMS_BY_WEEK,
	QMS_BY_MONTH
} QmsReportStep;

typedef struct QmsReportPart
{
	char	   *name;
	QmsStats   *stats;
} QmsReportPart;

typedef struct QmsReport
{
	const QmsReportScope *scope;
	int			first_day;		/* Julian, local */
	int			end_day;		/* the first one that is not in it any more */
	TimestampTz since;
	TimestampTz before;
	TimestampTz made_at;
	QmsLanguage language;
	int64		target;			/* microseconds; 0: of several, or none */
	QmsStats   *all;
	QmsStats   *hours[24];		/* NULL: nothing then */
	double		arrivals[7][24];
	int			weekdays[7];	/* how often each is in it */
	QmsReportStep step;
	int			nbuckets;
	QmsReportBucket *buckets;
	int			nparts;			/* branches, queues or classes */
	QmsReportPart *parts;
	int			nstaff;
	QmsStaffStats *staff;
	bool		has_forecast;
	QmsArrivals forecast;
} QmsReport;

extern void qms_report_read(QmsReport *report, bool with_staff);
extern char *qms_report_name(const char *name, const Jsonb *names, QmsLanguage language);

/* ---- sections.c, page.c, make.c ---- */
extern void qms_report_sections(QmsPage *page, const QmsReport *report);
extern char *qms_report_make(QmsReport *report, bool with_staff);
extern QmsLanguage qms_report_language(int64 organization_id, const char *tag);
extern void qms_report_keep(QmsCall *call, QmsReport *report, int64 report_schedule_id, bool with_staff, int32 kept);

#endif							/* QMS_PAGE_H */
