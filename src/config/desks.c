/*
 * desks.c
 *		The open counters of a queue, and what else they serve.
 */
#include "config/config.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

/* The sources of one counter: of its profile, or all its queues. */
static void
desk_of(int64 counter_id, int64 profile_id, QmsDesk *desk)
{
	QmsCounter *counter = qms_config_counter(counter_id);
	QmsProfile *profile = profile_id ? qms_config_profile(profile_id) : NULL;
	const QmsProfile *of = profile != NULL && profile->nsources > 0 ? profile : counter ? &counter->profile : NULL;

	memset(desk, 0, sizeof(*desk));
	desk->counters = 1;
	if (of == NULL)
		return;
	desk->policy = profile != NULL ? profile->policy : of->policy;
	desk->nsources = of->nsources;
	desk->sources = of->sources;
}

static bool
is_same(const QmsDesk *a, const QmsDesk *b)
{
	int			i;

	if (a->policy != b->policy || a->nsources != b->nsources)
		return false;
	for (i = 0; i < a->nsources; i++)
	{
		if (a->sources[i].queue_id != b->sources[i].queue_id || a->sources[i].weight != b->sources[i].weight ||
			a->sources[i].customer_class_id != b->sources[i].customer_class_id)
			return false;
	}
	return true;
}

/* Counters that are open, not paused, and take from this queue; those that serve the same are one desk. */
const QmsDesks *
qms_config_desks(QmsQueue *queue)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.counter_id, s.counter_profile_id FROM qms.staff_session s "
								   "JOIN qms.counter c ON c.counter_id = s.counter_id "
								   "LEFT JOIN qms.counter_profile p ON p.counter_profile_id = s.counter_profile_id "
								   "AND p.deleted_at IS NULL "
								   "WHERE s.closed_at IS NULL AND s.paused_at IS NULL AND c.branch_id = $2 AND c.deleted_at IS NULL AND "
								   "CASE WHEN p.sources IS NULL THEN $1 = ANY (c.queue_ids) "
								   "ELSE p.sources @> pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('queue_id', $1)) END "
								   "ORDER BY s.counter_id", INT8OID, INT8OID);
	QmsParams	params = {0};
	int64	   *profile_ids;
	QmsDesks   *desks;
	int			i;
	int			d;

	if (queue->desks != NULL)
		return queue->desks;
	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->branch_id);
	desks = MemoryContextAllocZero(qms_config_context(), sizeof(QmsDesks));
	desks->ncounters = (int) qms_spi_look(&plan, &params);
	desks->counter_ids = MemoryContextAlloc(qms_config_context(), sizeof(int64) * Max(desks->ncounters, 1));
	desks->desks = MemoryContextAlloc(qms_config_context(), sizeof(QmsDesk) * Max(desks->ncounters, 1));
	profile_ids = palloc(sizeof(int64) * Max(desks->ncounters, 1));
	for (i = 0; i < desks->ncounters; i++)
	{
		desks->counter_ids[i] = qms_spi_int64(i, 0);
		profile_ids[i] = qms_spi_int64(i, 1);
	}
	for (i = 0; i < desks->ncounters; i++)
	{
		QmsDesk		desk;

		desk_of(desks->counter_ids[i], profile_ids[i], &desk);
		for (d = 0; d < desks->ndesks && !is_same(&desks->desks[d], &desk); d++)
			;
		if (d == desks->ndesks)
			desks->desks[desks->ndesks++] = desk;
		else
			desks->desks[d].counters++;
	}
	queue->desks = desks;
	return desks;
}

int
qms_config_open_counters(QmsQueue *queue)
{
	return qms_config_desks(queue)->ncounters;
}
