/*
 * delivery.c
 *		Codes and tokens on their way to people.
 *
 * An event says that there is one, and where; the secret itself is in a table of
 * the owner's, where whoever delivers reads it once.  So it is in no event, no
 * stream and no dump.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* Put a secret where it can be taken from; answers its id, for the event. */
int64
qms_secret_deliver(QmsCall *call, int64 organization_id, const char *kind, const char *recipient,
				   const char *secret, TimestampTz expires_at)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.secret_delivery (organization_id, kind, recipient, secret, created_at, expires_at) "
								   "VALUES ($1, $2, $3, $4, $5, $6) RETURNING secret_delivery_id",
								   INT8OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, organization_id);
	qms_param_text(&params, kind);
	qms_param_text(&params, recipient);
	qms_param_text(&params, secret);
	qms_param_time(&params, call->now);
	qms_param_time(&params, expires_at);
	qms_spi_run(&plan, &params);
	return qms_spi_int64(0, 0);
}

/* What somebody is answered who asked for a code or token: until when it is good, or why there is none. */
Datum
qms_requested_answer(QmsCall *call, TimestampTz expires_at, const char *error, int32 retry_after)
{
	Datum		values[3] = {0};
	bool		nulls[3];

	nulls[0] = error != NULL;
	nulls[1] = error == NULL;
	nulls[2] = error == NULL || retry_after == 0;
	if (error != NULL)
	{
		qms_sign_in_status(error, retry_after);
		values[1] = CStringGetTextDatum(error);
		values[2] = Int32GetDatum(retry_after);
	}
	else
		values[0] = TimestampTzGetDatum(expires_at);
	return qms_answer_tuple(call, values, nulls);
}

/* Read once, and gone: with the transaction, so that one who fails to deliver may try again. */
QMS_FUNCTION(take_secret, QMS_ACT_INSTALL, QMS_SETOF)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms_internal.secret_delivery WHERE secret_delivery_id = $1 "
								   "RETURNING organization_id, kind, recipient, secret, expires_at, expires_at > $2",
								   INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	Datum		values[5];
	bool		nulls[5];
	int			i;

	qms_param_int64(&params, qms_arg_id(call, 0, "secret_delivery_id"));
	qms_param_time(&params, call->now);
	if (qms_spi_run_now(&plan, &params) > 0 && qms_spi_bool(0, 5))
	{
		for (i = 0; i < 5; i++)
			values[i] = qms_spi_datum(0, i, &nulls[i]);
		qms_answer_row(call, values, nulls);
	}
	return qms_answer_none(call);
}
