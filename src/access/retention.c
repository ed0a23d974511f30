/*
 * retention.c
 *		Personal data that has been kept as long as its organization wants: wiped
 *		by the scheduler, some rows at a time.
 *
 * A queue's history is walked in the order in which tickets ended, and how far
 * is kept, so every row is looked at once.  Setting a shorter time goes on from
 * there; nothing comes back by setting a longer one.
 */
#include "access/access.h"

#include "catalog/pg_type.h"

#define BATCH	500

/* Whole hours, so that a queue is looked at once in an hour. */
TimestampTz
qms_retention_cutoff(const Jsonb *settings, TimestampTz now)
{
	int64		retention = qms_organization_retention(settings);
	TimestampTz cutoff = now - retention;
	int64		rest = cutoff % USECS_PER_HOUR;

	if (retention == 0)
		return DT_NOBEGIN;
	return cutoff - (rest < 0 ? rest + USECS_PER_HOUR : rest);
}

/* The settings of a queue's organization, or of an organization; NULL if it is gone. */
static Jsonb *
settings_of(QmsPlan *plan, int64 id, int64 *organization_id)
{
	QmsParams	params = {0};
	bool		isnull;

	qms_param_int64(&params, id);
	if (qms_spi_look(plan, &params) == 0)
		return NULL;
	*organization_id = qms_spi_int64(0, 1);
	return DatumGetJsonbP(qms_spi_datum(0, 0, &isnull));
}

/* What ended in the queue before that is wiped; DT_NOBEGIN: nothing yet. */
static TimestampTz
wiped_until(int64 queue_id)
{
	static QmsPlan plan = QMS_PLAN("SELECT wiped_until FROM qms_internal.wiped WHERE queue_id = $1", INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	return qms_spi_run(&plan, &params) == 0 ? DT_NOBEGIN : qms_spi_time(0, 0);
}

static void
remember(int64 queue_id, int64 organization_id, TimestampTz until)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.wiped (queue_id, organization_id, wiped_until) VALUES ($1, $2, $3) "
								   "ON CONFLICT (queue_id, organization_id) DO UPDATE SET wiped_until = excluded.wiped_until",
								   INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, queue_id);
	qms_param_int64(&params, organization_id);
	qms_param_time(&params, until);
	qms_spi_run(&plan, &params);
}

static void
write_event(QmsCall *call, int64 organization_id, int64 queue_id, TimestampTz cutoff, const char *what, int64 count,
			int64 visits)
{
	QmsEvent	event = {0};
	QmsJson		json;

	if (count + visits == 0)
		return;
	event.kind = "personal_data.wiped";
	event.organization_id = organization_id;
	event.queue_id = queue_id;
	qms_json_begin(&json);
	qms_json_time(&json, "before", cutoff);
	qms_json_int64(&json, what, count);
	if (queue_id != 0)
		qms_json_int64(&json, "visits", visits);
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

/* Does the queue have history to be looked at? */
bool
qms_retention_is_due(int64 queue_id, TimestampTz cutoff)
{
	return cutoff != DT_NOBEGIN && wiped_until(queue_id) < cutoff;
}

/* Wipe the next tickets of a queue's history; true if there may be more. */
bool
qms_retention_queue(QmsCall *call, int64 queue_id)
{
	static QmsPlan of_queue = QMS_PLAN(
									   "SELECT o.settings, o.organization_id FROM qms.queue q JOIN qms.organization o "
									   "ON o.organization_id = q.organization_id WHERE q.queue_id = $1", INT8OID);
	/* All that ended in the same moment, so that the walk can go on behind it. */
	static QmsPlan next = QMS_PLAN(
								   "SELECT ticket_id, ended_at FROM qms.ticket_history WHERE queue_id = $1 AND ended_at < $3 "
								   "AND ended_at >= coalesce($2, '-infinity') ORDER BY ended_at FETCH FIRST $4 ROWS WITH TIES",
								   INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};
	QmsWiped	wiped = {0};
	int64		organization_id;
	Jsonb	   *settings = settings_of(&of_queue, queue_id, &organization_id);
	TimestampTz cutoff = settings ? qms_retention_cutoff(settings, call->now) : DT_NOBEGIN;
	TimestampTz last;
	int64	   *ids;
	uint64		n;
	uint64		i;

	if (!qms_retention_is_due(queue_id, cutoff))
		return false;
	qms_param_int64(&params, queue_id);
	qms_param_time(&params, wiped_until(queue_id));
	qms_param_time(&params, cutoff);
	qms_param_int64(&params, BATCH);
	n = qms_spi_run(&next, &params);
	ids = palloc(sizeof(int64) * Max(n, 1));
	for (i = 0; i < n; i++)
		ids[i] = qms_spi_int64(i, 0);
	last = n > 0 ? qms_spi_time(n - 1, 1) : QMS_NO_TIME;
	qms_wipe_tickets(call, ids, n, false, &wiped);
	remember(queue_id, organization_id, n >= BATCH ? last + 1 : cutoff);
	write_event(call, organization_id, queue_id, cutoff, "tickets", wiped.tickets, wiped.visits);
	return n >= BATCH;
}

/* Customers who have not been seen or changed for that long; true if there may be more. */
bool
qms_retention_customers(QmsCall *call, int64 organization_id)
{
	static QmsPlan of_organization = QMS_PLAN(
											  "SELECT settings, organization_id FROM qms.organization WHERE organization_id = $1", INT8OID);
	static QmsPlan next = QMS_PLAN(NULL, INT8OID, TIMESTAMPTZOID, INT8OID);
	static QmsPlan forget = QMS_PLAN("DELETE FROM qms_internal.customer_ticket WHERE customer_id = $1", INT8OID);
	QmsParams	params = {0};
	Jsonb	   *settings = settings_of(&of_organization, organization_id, &organization_id);
	TimestampTz cutoff = settings ? qms_retention_cutoff(settings, call->now) : DT_NOBEGIN;
	QmsCustomer **customers;
	uint64		n;
	uint64		i;

	if (cutoff == DT_NOBEGIN)
		return false;
	qms_param_int64(&params, organization_id);
	qms_param_time(&params, cutoff);
	qms_param_int64(&params, BATCH);
	n = qms_spi_run(qms_table_plan(&qms_customer_table, &next,
								   "SELECT %s FROM qms.customer t WHERE t.organization_id = $1 AND t.updated_at < $2 "
								   "AND (pg_catalog.num_nonnulls(t.name, t.contact, t.external_subject, t.language) > 0 OR t.metadata <> '{}') "
								   "AND NOT EXISTS (SELECT 1 FROM qms_internal.customer_ticket l LEFT JOIN qms.ticket o ON o.ticket_id = l.ticket_id "
								   "WHERE l.customer_id = t.customer_id AND (l.linked_at >= $2 OR o.ticket_id IS NOT NULL)) "
								   "LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED"), &params);
	customers = palloc(sizeof(QmsCustomer *) * Max(n, 1));
	for (i = 0; i < n; i++)
		customers[i] = qms_row_fetch(&qms_customer_table, i, 0);
	for (i = 0; i < n; i++)
	{
		QmsParams	who = {0};

		qms_customer_wipe(customers[i], call->now);
		qms_row_update(customers[i]);
		qms_param_int64(&who, qms_row_int64(customers[i], C_customer_id));
		qms_spi_run(&forget, &who);
	}
	write_event(call, organization_id, 0, cutoff, "customers", n, 0);
	return n >= BATCH;
}
