/*
 * access.h
 *		Who comes in, what is kept of people, and who looks after it: logins,
 *		keys, the audit trail, customers.
 */
#ifndef QMS_ACCESS_H
#define QMS_ACCESS_H

#include "queue/queue.h"

/* ---- customer.c ---- */
#define QMS_CUSTOMER_COLUMNS(X) \
	X(customer_id) X(organization_id) X(name) X(contact) X(find) X(language) X(external_subject) \
	X(metadata) X(created_at) X(updated_at) X(deleted_at)
#define QMS_COLUMN_C(c) C_##c,
enum
{
	QMS_CUSTOMER_COLUMNS(QMS_COLUMN_C)
	C_COLUMNS
};

typedef QmsRow QmsCustomer;

extern QmsTable qms_customer_table;
extern QmsCustomer *qms_customer_lock(QmsCall *call, int64 customer_id);
extern char *qms_customer_name(const QmsCustomer *customer, bool raise);
extern Jsonb *qms_customer_contact(const QmsCustomer *customer, bool raise);
extern void qms_customer_seal(QmsCustomer *customer, const char *name, const Jsonb *contact);
extern void qms_customer_wipe(QmsCustomer *customer, TimestampTz now);
extern Datum qms_customer_answer(QmsCall *call, const QmsCustomer *customer, bool raise);
extern void qms_customer_organization(QmsCall *call, int64 organization_id);
extern void qms_customer_event(QmsCall *call, const char *verb, const QmsCustomer *customer, QmsJson *data);

/* ---- wipe.c: personal data that goes ---- */
typedef struct QmsWiped
{
	int64		tickets;
	int64		visits;
	int64		answers;
} QmsWiped;

extern void qms_wipe_tickets(QmsCall *call, const int64 *ids, int n, bool answers, QmsWiped *wiped);
extern uint64 qms_wipe_customer_answers(int64 customer_id);

/* ---- retention.c ---- */
extern TimestampTz qms_retention_cutoff(const Jsonb *settings, TimestampTz now);
extern bool qms_retention_is_due(int64 queue_id, TimestampTz cutoff);
extern bool qms_retention_queue(QmsCall *call, int64 queue_id);
extern bool qms_retention_customers(QmsCall *call, int64 organization_id);

/* ---- audit.c ---- */
extern TimestampTz qms_audit_refusals(QmsCall *call);

/* ---- reseal.c: after a change of keys ---- */
typedef struct QmsReseal
{
	const char *keys;			/* of now: that of the data, and that of the index */
	int			stage;			/* which table is gone through */
	int64		after_id;		/* up to which row */
	int64		resealed;
	int64		failed;
} QmsReseal;

extern bool qms_reseal_read(QmsReseal *progress);
extern bool qms_reseal_some(QmsCall *call, QmsReseal *progress, int max_rows);

#endif							/* QMS_ACCESS_H */
