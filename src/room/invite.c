/*
 * invite.c
 *		invite, withdraw_invitation, invitations.
 */
#include "room/room.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define MAX_SUBJECTS	10000
#define MAX_SUBJECT		1000	/* bytes */
#define MAX_ROWS		10000

static QmsQueue *
find_queue(QmsCall *call, int64 queue_id)
{
	QmsQueue   *queue = qms_config_queue(queue_id);

	if (queue == NULL)
		qms_not_found("queue", queue_id);
	qms_gate_queue(call, queue);
	return queue;
}

/* The subjects of an argument, checked. */
static ArrayType *
read_subjects(QmsCall *call, int n)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;
	int			count = 0;
	int			i;

	if (!PG_ARGISNULL(n))
	{
		array = PG_GETARG_ARRAYTYPE_P(n);
		deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	}
	if (count < 1 || count > MAX_SUBJECTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("subjects must be 1 to %d texts, not %d", MAX_SUBJECTS, count),
				 errdetail("Each names somebody who is invited."),
				 errhint("Call it again for more.")));
	for (i = 0; i < count; i++)
	{
		if (nulls[i] || VARSIZE_ANY_EXHDR(DatumGetPointer(elements[i])) == 0 ||
			VARSIZE_ANY_EXHDR(DatumGetPointer(elements[i])) > MAX_SUBJECT)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("subject %d of %d cannot be invited", i + 1, count),
					 errdetail("The subject of an invitation has 1 to %d bytes.", MAX_SUBJECT),
					 errhint("Leave it out, or give a shorter one.")));
	}
	return array;
}

/* What has been done for how many; who they are stays out of the log. */
static void
write_event(QmsCall *call, const QmsQueue *queue, const char *kind, uint64 n, TimestampTz expires_at)
{
	QmsEvent	event = {0};
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_int64(&json, "subjects", (int64) n);
	qms_json_time(&json, "expires_at", expires_at);
	event.kind = kind;
	event.organization_id = queue->organization_id;
	event.branch_id = queue->branch_id;
	event.application_id = queue->application_id;
	event.queue_id = queue->queue_id;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

static Datum
answer_count(QmsCall *call, const QmsQueue *queue, uint64 n)
{
	Datum		values[2] = {Int64GetDatum(queue->queue_id), Int32GetDatum((int32) n)};
	bool		nulls[2] = {false, false};

	return qms_answer_tuple(call, values, nulls);
}

/* Invitations that have expired go when others come. */
QMS_FUNCTION(invite, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	static QmsPlan tidy = QMS_PLAN(
								   "DELETE FROM qms_internal.invitation WHERE queue_id = $1 AND expires_at <= $2", INT8OID, TIMESTAMPTZOID);
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.invitation (queue_id, organization_id, subject, invited_at, expires_at) "
								   "SELECT DISTINCT $1, $2, s, $4, $5 FROM pg_catalog.unnest($3) s ORDER BY s "
								   "ON CONFLICT (queue_id, subject, organization_id) DO UPDATE SET expires_at = excluded.expires_at",
								   INT8OID, INT8OID, TEXTARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsQueue   *queue = find_queue(call, qms_arg_id(call, 0, "queue_id"));
	ArrayType  *subjects = read_subjects(call, 1);
	TimestampTz expires_at = qms_arg_time(call, 2);
	QmsParams	old = {0};
	QmsParams	params = {0};
	uint64		n;

	if (expires_at != QMS_NO_TIME && expires_at <= call->now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("expires_at must be in the future"),
				 errdetail("Nobody could come with this invitation."),
				 errhint("Leave it out for an invitation that does not expire.")));
	qms_param_int64(&old, queue->queue_id);
	qms_param_time(&old, call->now);
	qms_spi_run(&tidy, &old);
	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	qms_param_pointer(&params, subjects);
	qms_param_time(&params, call->now);
	qms_param_time(&params, expires_at);
	n = qms_spi_run(&plan, &params);
	write_event(call, queue, "queue.invited", n, expires_at);
	return answer_count(call, queue, n);
}

QMS_FUNCTION(withdraw_invitation, QMS_ACT_RECEPTION, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms_internal.invitation WHERE queue_id = $1 AND organization_id = $2 AND subject = ANY ($3)",
								   INT8OID, INT8OID, TEXTARRAYOID);
	QmsQueue   *queue = find_queue(call, qms_arg_id(call, 0, "queue_id"));
	ArrayType  *subjects = read_subjects(call, 1);
	QmsParams	params = {0};
	uint64		n;

	qms_param_int64(&params, queue->queue_id);
	qms_param_int64(&params, queue->organization_id);
	qms_param_pointer(&params, subjects);
	n = qms_spi_run(&plan, &params);
	if (n > 0)
		write_event(call, queue, "queue.uninvited", n, QMS_NO_TIME);
	return answer_count(call, queue, n);
}

QMS_FUNCTION(invitations, QMS_ACT_RECEPTION, QMS_SETOF)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT i.subject, i.invited_at, i.expires_at, EXISTS (SELECT 1 FROM qms.ticket t "
								   "WHERE t.queue_id = i.queue_id AND t.subject = i.subject) FROM qms_internal.invitation i "
								   "WHERE i.queue_id = $1 AND i.subject > $2 AND (i.expires_at IS NULL OR i.expires_at > $3) "
								   "ORDER BY i.subject LIMIT $4", INT8OID, TEXTOID, TIMESTAMPTZOID, INT4OID);
	QmsQueue   *queue = find_queue(call, qms_arg_id(call, 0, "queue_id"));
	char	   *after = qms_arg_text_or_null(call, 1);
	int32		max_rows = qms_arg_int32(call, 2, 1000);
	QmsParams	params = {0};

	if (max_rows < 1 || max_rows > MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be between 1 and %d, not %d", MAX_ROWS, max_rows),
				 errdetail("It limits the rows of one answer."),
				 errhint("Ask again with the last subject as after_subject.")));
	qms_param_int64(&params, queue->queue_id);
	qms_param_text(&params, after ? after : "");
	qms_param_time(&params, call->now);
	qms_param_int32(&params, max_rows);
	return qms_room_answer(call, qms_spi_run(&plan, &params), 4);
}
