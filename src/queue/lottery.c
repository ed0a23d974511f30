/*
 * lottery.c
 *		What joining and letting in have to know of the draw of a waiting room;
 *		the draw itself is made in room/draw.c.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"

/*
 * The moment that somebody who joins now counts as having come.  Once the list
 * of the draw is closed that is opens_at at the earliest, whatever the clock
 * said when his call began: nobody slips in before those who were drawn.
 *
 * The caller holds the lock of the queue shared, and whoever closes the list
 * takes it exclusive.
 */
TimestampTz
qms_lottery_arrival(const QmsQueue *queue, TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT opens_at FROM qms_internal.lottery WHERE queue_id = $1 AND organization_id = $2 "
								   "AND closed_at IS NOT NULL", INT8OID, INT8OID);
	QmsParams	params = {0};

	if (!queue->is_release || !queue->settings.lottery || now >= queue->settings.opens_at)
		return now;
	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	return qms_spi_look(&plan, &params) > 0 ? Max(now, qms_spi_time(0, 0)) : now;
}

/* When the draw of the queue's lottery was complete; QMS_NO_TIME: it is not, or there is none. */
TimestampTz
qms_lottery_drawn(const QmsQueue *queue)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT drawn_at FROM qms_internal.lottery WHERE queue_id = $1 AND organization_id = $2 "
								   "AND drawn_at IS NOT NULL", INT8OID, INT8OID);
	QmsParams	params = {0};

	if (!queue->settings.lottery)
		return QMS_NO_TIME;
	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	return qms_spi_look(&plan, &params) > 0 ? qms_spi_time(0, 0) : QMS_NO_TIME;
}
