/*
 * errors.h
 *		qms's own SQLSTATEs, class QM, grouped by hundred.
 *
 * contrib-docs/sql-api.md documents each of them; a test compares the two
 * lists.  Where a standard SQLSTATE says the same, that one is used.
 */
#ifndef QMS_ERRORS_H
#define QMS_ERRORS_H

#include "utils/elog.h"

/* 1xx: things that are not there */
#define ERRCODE_QMS_NOT_FOUND			MAKE_SQLSTATE('Q', 'M', '1', '0', '1')

/* 2xx: who may do what (a right that is missing is 42501) */
#define ERRCODE_QMS_NO_PRINCIPAL		MAKE_SQLSTATE('Q', 'M', '2', '0', '1')
#define ERRCODE_QMS_UNSAFE_ROLE			MAKE_SQLSTATE('Q', 'M', '2', '0', '2')

#define ERRCODE_QMS_TOO_MANY			MAKE_SQLSTATE('Q', 'M', '2', '2', '0')
#define ERRCODE_QMS_TWO_CREDENTIALS		MAKE_SQLSTATE('Q', 'M', '2', '2', '1')

/* 3xx: joining a queue */
#define ERRCODE_QMS_QUEUE_CLOSED		MAKE_SQLSTATE('Q', 'M', '3', '0', '1')
#define ERRCODE_QMS_QUEUE_PAUSED		MAKE_SQLSTATE('Q', 'M', '3', '0', '2')
#define ERRCODE_QMS_QUEUE_FULL			MAKE_SQLSTATE('Q', 'M', '3', '0', '3')
#define ERRCODE_QMS_NUMBERS_EXHAUSTED	MAKE_SQLSTATE('Q', 'M', '3', '0', '4')
#define ERRCODE_QMS_CLASS_NOT_ALLOWED	MAKE_SQLSTATE('Q', 'M', '3', '0', '5')
#define ERRCODE_QMS_OUTSIDE_HOURS		MAKE_SQLSTATE('Q', 'M', '3', '0', '6')
#define ERRCODE_QMS_WRONG_QUEUE_KIND	MAKE_SQLSTATE('Q', 'M', '3', '0', '7')
#define ERRCODE_QMS_SERVICE_NOT_OFFERED MAKE_SQLSTATE('Q', 'M', '3', '0', '8')
#define ERRCODE_QMS_TOO_LARGE			MAKE_SQLSTATE('Q', 'M', '3', '0', '9')
#define ERRCODE_QMS_SUBJECT_REQUIRED	MAKE_SQLSTATE('Q', 'M', '3', '1', '0')
#define ERRCODE_QMS_NOT_INVITED			MAKE_SQLSTATE('Q', 'M', '3', '1', '1')
#define ERRCODE_QMS_CHALLENGE_FAILED	MAKE_SQLSTATE('Q', 'M', '3', '1', '2')
#define ERRCODE_QMS_LOTTERY_BEGUN		MAKE_SQLSTATE('Q', 'M', '3', '1', '3')

/* 4xx: the state of a ticket or counter */
#define ERRCODE_QMS_ILLEGAL_TRANSITION	MAKE_SQLSTATE('Q', 'M', '4', '0', '1')
#define ERRCODE_QMS_ALREADY_ENDED		MAKE_SQLSTATE('Q', 'M', '4', '0', '2')
#define ERRCODE_QMS_COUNTER_BUSY		MAKE_SQLSTATE('Q', 'M', '4', '0', '3')
#define ERRCODE_QMS_COUNTER_NOT_OPEN	MAKE_SQLSTATE('Q', 'M', '4', '0', '4')
#define ERRCODE_QMS_COUNTER_PAUSED		MAKE_SQLSTATE('Q', 'M', '4', '0', '5')
#define ERRCODE_QMS_COUNTER_TAKEN		MAKE_SQLSTATE('Q', 'M', '4', '0', '6')
#define ERRCODE_QMS_NO_CURRENT_TICKET	MAKE_SQLSTATE('Q', 'M', '4', '0', '7')
#define ERRCODE_QMS_RECALL_LIMIT		MAKE_SQLSTATE('Q', 'M', '4', '0', '8')
#define ERRCODE_QMS_RECALL_TOO_SOON		MAKE_SQLSTATE('Q', 'M', '4', '0', '9')
#define ERRCODE_QMS_DEFER_LIMIT			MAKE_SQLSTATE('Q', 'M', '4', '1', '0')
#define ERRCODE_QMS_NOT_ELIGIBLE		MAKE_SQLSTATE('Q', 'M', '4', '1', '1')
#define ERRCODE_QMS_BLIND_CALL			MAKE_SQLSTATE('Q', 'M', '4', '1', '2')
#define ERRCODE_QMS_NOTHING_TO_UNDO		MAKE_SQLSTATE('Q', 'M', '4', '1', '3')
#define ERRCODE_QMS_UNDO_EXPIRED		MAKE_SQLSTATE('Q', 'M', '4', '1', '4')
#define ERRCODE_QMS_DIRECT_CHANGE		MAKE_SQLSTATE('Q', 'M', '4', '1', '5')
#define ERRCODE_QMS_IN_USE				MAKE_SQLSTATE('Q', 'M', '4', '1', '6')
#define ERRCODE_QMS_QUEUE_STOPPED		MAKE_SQLSTATE('Q', 'M', '4', '2', '0')

/* 5xx: tokens and passwords */
#define ERRCODE_QMS_INVALID_TOKEN		MAKE_SQLSTATE('Q', 'M', '5', '0', '1')
#define ERRCODE_QMS_WEAK_PASSWORD		MAKE_SQLSTATE('Q', 'M', '5', '0', '2')

#define ERRCODE_QMS_INVALID_KEY			MAKE_SQLSTATE('Q', 'M', '5', '2', '0')

#define ERRCODE_QMS_NOT_RELEASED		MAKE_SQLSTATE('Q', 'M', '5', '3', '0')
#define ERRCODE_QMS_ACCESS_ENDED		MAKE_SQLSTATE('Q', 'M', '5', '3', '1')
#define ERRCODE_QMS_ACCESS_USED			MAKE_SQLSTATE('Q', 'M', '5', '3', '2')

/* 6xx: idempotency */
#define ERRCODE_QMS_REQUEST_REUSED		MAKE_SQLSTATE('Q', 'M', '6', '0', '1')

/* 7xx: settings */
#define ERRCODE_QMS_UNKNOWN_SETTING		MAKE_SQLSTATE('Q', 'M', '7', '0', '1')
#define ERRCODE_QMS_INVALID_SETTING		MAKE_SQLSTATE('Q', 'M', '7', '0', '2')
#define ERRCODE_QMS_INVALID_TIME_ZONE	MAKE_SQLSTATE('Q', 'M', '7', '0', '3')
#define ERRCODE_QMS_INVALID_HOURS		MAKE_SQLSTATE('Q', 'M', '7', '0', '4')

/* 8xx: the installation */
#define ERRCODE_QMS_NOT_ADOPTED			MAKE_SQLSTATE('Q', 'M', '8', '0', '1')
#define ERRCODE_QMS_NO_SEAL_KEY			MAKE_SQLSTATE('Q', 'M', '8', '0', '2')
#define ERRCODE_QMS_SEAL_BROKEN			MAKE_SQLSTATE('Q', 'M', '8', '0', '3')

/* 9xx: the stream of events */
#define ERRCODE_QMS_FOREIGN_EPOCH		MAKE_SQLSTATE('Q', 'M', '9', '0', '1')
#define ERRCODE_QMS_POSITION_PRUNED		MAKE_SQLSTATE('Q', 'M', '9', '0', '2')

#endif							/* QMS_ERRORS_H */
