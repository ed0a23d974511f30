/*
 * invitation.c
 *		Queues that only those may join who are invited.
 */
#include "queue/queue.h"

#include "catalog/pg_type.h"

/* Error QM311 for a subject that is not invited to a queue that wants it. */
void
qms_invitation_check(const QmsQueue *queue, const char *subject, TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms_internal.invitation WHERE queue_id = $1 AND organization_id = $2 "
								   "AND subject = $3 AND (expires_at IS NULL OR expires_at > $4)",
								   INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	if (!queue->settings.invite_only)
		return;
	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	qms_param_text(&params, subject);
	qms_param_time(&params, now);
	if (subject == NULL || qms_spi_look(&plan, &params) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_INVITED),
				 errmsg("queue %lld is for those who are invited", (long long) queue->queue_id),
				 subject ? errdetail("This subject is not, or not any more.") : errdetail("No subject was given."),
				 errhint("Join with the subject of the invitation.")));
}
