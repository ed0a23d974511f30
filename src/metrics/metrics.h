/*
 * metrics.h
 *		What is measured: gauges of queues, Prometheus text, alert rules.
 */
#ifndef QMS_METRICS_H
#define QMS_METRICS_H

#include "auth/timing.h"
#include "look/look.h"
#include "setup/setup.h"

/* Mean wait and the like are of so long. */
#define QMS_GAUGES_WINDOW USECS_PER_HOUR

/* ---- gauges.c: figures of queues, as of now ---- */
typedef struct QmsGauges
{
	int64		queue_id;
	int64		organization_id;
	int64		branch_id;		/* 0: of an application */
	int64		application_id;
	char	   *organization;	/* slugs; of an application its name */
	char	   *branch;			/* or NULL */
	char	   *application;	/* or NULL */
	char	   *queue;
	char	   *name;
	bool		is_release;
	bool		is_open;		/* by its status, not by opening hours */
	int64		waiting;
	int64		on_hold;
	int64		inside;			/* of a waiting room */
	TimestampTz head_since;		/* since when the first in line is there; QMS_NO_TIME: nobody */
	int			open_counters;	/* that take from it */
	int			paused_counters;	/* of them */
	/* of those who were called within the window; counter queues only */
	int64		called;
	double		mean_wait;		/* seconds */
	double		p90_wait;
	int64		ended;
	int64		completed;		/* of those */
} QmsGauges;

typedef struct QmsGaugesScope
{
	int64		organization_id;	/* 0: all */
	int64		branch_id;		/* 0: all */
	int64		queue_id;		/* 0: all */
	int64		window;			/* microseconds; 0: nothing about waits */
} QmsGaugesScope;

extern QmsGauges *qms_gauges_read(const QmsGaugesScope *scope, TimestampTz now, int *n);

/* ---- exposition.c: the text format ---- */
typedef struct QmsExposition
{
	StringInfoData out;
	const char *database;		/* a label of every sample; NULL: left out */
	const char *family;
	bool		labelled;
} QmsExposition;

extern void qms_exposition_family(QmsExposition *x, const char *name, const char *type, const char *help);
extern void qms_exposition_sample(QmsExposition *x, const char *suffix);
extern void qms_exposition_label(QmsExposition *x, const char *name, const char *value);	/* NULL: left out */
extern void qms_exposition_int64(QmsExposition *x, int64 value);
extern void qms_exposition_float8(QmsExposition *x, double value);
extern void qms_exposition_time(QmsExposition *x, TimestampTz value);

/* Set by the workers, which are above: their health, and that of gateways if those are wanted too; */
extern void (*qms_metrics_of_workers) (QmsExposition *x, bool gateways);
/* and how far one of them is behind, in microseconds; -1: not known. */
extern int64 (*qms_metrics_worker_lag) (void);

/* ---- alert_rule.c: what there is to be alerted of ---- */
typedef enum QmsAlertMetric
{
	QMS_ALERT_QUEUE_LENGTH,
	QMS_ALERT_MEAN_WAIT,
	QMS_ALERT_P90_WAIT,
	QMS_ALERT_NOBODY_SERVING,
	QMS_ALERT_CALLBACK_FAILURES,
	QMS_ALERT_API_ERRORS,
	QMS_ALERT_WORKER_LAG,
	QMS_ALERT_METRICS
} QmsAlertMetric;

typedef struct QmsAlertMetricInfo
{
	const char *name;
	const char *unit;
	bool		of_queue;		/* else of the organization */
	double		most;			/* largest threshold that makes sense */
} QmsAlertMetricInfo;

extern const QmsAlertMetricInfo qms_alert_metrics[QMS_ALERT_METRICS];
extern bool qms_alert_metric_by_name(const char *name, QmsAlertMetric *metric);

/* alert.c */
extern void qms_alert_define_settings(void);
extern int64 qms_alert_interval(void);
extern TimestampTz qms_alert_evaluate(QmsCall *call, int64 alert_rule_id);

/* api_errors.c */
extern void qms_alert_sample(TimestampTz now);
extern double qms_alert_api_errors(TimestampTz now, int64 window);

#endif							/* QMS_METRICS_H */
