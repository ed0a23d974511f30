/*
 * report.h
 *		What is made of the history: exports, forecasts, advice and reports.
 */
#ifndef QMS_REPORT_H
#define QMS_REPORT_H

#include "stats/stats.h"

/* scope.c: what a report is about, "organization:1", "branch:2" or "queue:3" */
typedef struct QmsReportScope
{
	QmsStatsScope of;			/* kind and id */
	int64		organization_id;
	int64		branch_id;		/* 0: none */
	int64		application_id; /* of a queue, or 0 */
	int64		queue_id;		/* 0: all */
	char	   *name;
	Jsonb	   *names;			/* {language: text} */
	pg_tz	   *zone;			/* its local time */
} QmsReportScope;

extern void qms_report_scope_read(const char *text, QmsReportScope *scope);
extern void qms_report_scope_of_call(QmsCall *call, const char *text, QmsReportScope *scope);
extern char *qms_report_scope_text(const QmsReportScope *scope);
extern const char *qms_report_scope_noun(const QmsReportScope *scope);

/* ---- clock.c: days and hours of a time zone ---- */

/* An hour by the clocks of a zone: from one full hour they show to the next. */
typedef struct QmsReportHour
{
	TimestampTz starts_at;
	TimestampTz ends_at;
	int			day;			/* Julian */
	int			weekday;		/* 1 Monday to 7 Sunday */
	int			hour;			/* 0 to 23; one comes twice when clocks are put back */
} QmsReportHour;

extern int	qms_report_day(TimestampTz at, pg_tz *zone);
extern TimestampTz qms_report_midnight(int day, pg_tz *zone);
extern void qms_report_hour(TimestampTz at, pg_tz *zone, QmsReportHour *hour);

/* ---- forecast.c: arrivals by weekday and hour ---- */
#define QMS_FORECAST_WEEKS	8
#define QMS_FORECAST_TREND_WEEKS 4	/* with less there is no trend */
#define QMS_FORECAST_CELLS	(7 * 24)

typedef struct QmsForecastHour
{
	double		week;			/* since the first midnight observed; the whole part is below QMS_FORECAST_WEEKS */
	int			cell;			/* (weekday - 1) * 24 + local hour */
	double		arrivals;
} QmsForecastHour;

typedef struct QmsForecast
{
	double		mean[QMS_FORECAST_CELLS];
	int			weeks[QMS_FORECAST_CELLS];	/* observed */
	double		level;			/* in the middle of the weeks observed, */
	double		middle;			/* here */
	double		slope;			/* a week */
	double		level_variance;
	double		slope_variance;
	double		dispersion;		/* variance by mean of the counts; 1: Poisson */
} QmsForecast;

extern void qms_forecast_fit(const QmsForecastHour *hours, int n, QmsForecast *forecast);
extern double qms_forecast_mean(const QmsForecast *forecast, double week, int cell);
extern void qms_forecast_range(const QmsForecast *forecast, double week, int cell, double *low, double *high);

/* ---- arrivals.c: the forecast for a queue, a branch or an organization ---- */
typedef struct QmsArrivals
{
	QmsForecast forecast;
	bool		known;			/* something was observed */
	int			first_day;		/* Julian, of week 0 */
	int			today;
	TimestampTz since;			/* midnights: observed were [since, before) */
	TimestampTz before;
	pg_tz	   *zone;
	int			nclosures;
	TimestampTz (*closures)[2];
} QmsArrivals;

extern void qms_arrivals_fit(const QmsReportScope *scope, TimestampTz now, QmsArrivals *arrivals);
extern bool qms_arrivals_is_closed(const QmsArrivals *arrivals, const QmsReportHour *hour);
extern double qms_arrivals_expected(const QmsArrivals *arrivals, const QmsReportHour *hour, double *low, double *high);

/* ---- schedule.c: for the scheduler ---- */
extern TimestampTz qms_report_make_due(QmsCall *call, int64 report_schedule_id);

#endif							/* QMS_REPORT_H */
