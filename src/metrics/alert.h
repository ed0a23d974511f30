/*
 * alert.h
 *		What the scheduler needs of alert rules.
 */
#ifndef QMS_ALERT_H
#define QMS_ALERT_H

#include "auth/auth.h"

/* alert.c */
extern void qms_alert_define_settings(void);
extern int64 qms_alert_interval(void);
extern TimestampTz qms_alert_evaluate(QmsCall *call, int64 alert_rule_id);

/* api_errors.c */
extern void qms_alert_sample(TimestampTz now);
extern double qms_alert_api_errors(TimestampTz now, int64 window);

#endif							/* QMS_ALERT_H */
