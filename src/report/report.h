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

#endif							/* QMS_REPORT_H */
