/*
 * delivery.c
 *		Codes and tokens on their way to people.
 *
 * An event says that there is one, and where; the secret itself is in a table of
 * the owner's, sealed, where whoever delivers reads it once.  So it is in no
 * event, no stream and no dump.
 */
#include "access/access.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#define SEAL_PURPOSE "delivery"

/* Recipient and secret as they wait; in clear only where nothing is sealed. */
static bytea *
pack(int64 organization_id, const char *recipient, const char *secret)
{
	QmsJson		json;
	Jsonb	   *message;
	char	   *clear;

	qms_json_begin(&json);
	qms_json_text(&json, "recipient", recipient);
	qms_json_text(&json, "secret", secret);
	message = qms_json_end(&json);
	clear = JsonbToCString(NULL, &message->root, VARSIZE(message));
	return qms_seal_is_on() ? qms_seal(organization_id, SEAL_PURPOSE, clear) : (bytea *) cstring_to_text(clear);
}

static Jsonb *
unpack(int64 organization_id, const bytea *message)
{
	char	   *clear;

	/* What is sealed begins with its version, and no object does. */
	if (VARSIZE_ANY_EXHDR(message) > 0 && *VARDATA_ANY(message) == '{')
		clear = text_to_cstring((const text *) message);
	else
		clear = qms_unseal(organization_id, SEAL_PURPOSE, message);
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(clear)));
}

/* Put a secret where it can be taken from; answers its id, for the event. */
int64
qms_secret_deliver(QmsCall *call, int64 organization_id, const char *kind, const char *recipient,
				   const char *secret, TimestampTz expires_at)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.secret_delivery (organization_id, kind, message, created_at, expires_at) "
								   "VALUES ($1, $2, $3, $4, $5) RETURNING secret_delivery_id",
								   INT8OID, TEXTOID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, organization_id);
	qms_param_text(&params, kind);
	qms_param_pointer(&params, pack(organization_id, recipient, secret));
	qms_param_time(&params, call->now);
	qms_param_time(&params, expires_at);
	qms_spi_run(&plan, &params);
	return qms_spi_int64(0, 0);
}

/* What somebody is answered who asked for a code or token: until when it is good, or why there is none. */
Datum
qms_requested_answer(QmsCall *call, TimestampTz expires_at, const char *error, int32 retry_after)
{
	return qms_sign_in_answer(call, TimestampTzGetDatum(expires_at), error, retry_after);
}

/* Read once, and gone: with the transaction, so that one who fails to deliver may try again. */
QMS_FUNCTION(take_secret, QMS_ACT_INSTALL, QMS_SETOF | QMS_PERSONAL)
{
	static QmsPlan plan = QMS_PLAN(
								   "DELETE FROM qms_internal.secret_delivery WHERE secret_delivery_id = $1 "
								   "RETURNING organization_id, kind, message, expires_at", INT8OID);
	QmsParams	params = {0};
	Datum		values[5];
	bool		nulls[5] = {0};
	Jsonb	   *message;

	qms_param_int64(&params, qms_arg_id(call, 0, "secret_delivery_id"));
	if (qms_spi_run_now(&plan, &params) == 0 || qms_spi_time(0, 3) <= call->now)
		return qms_answer_none(call);
	values[0] = qms_spi_datum(0, 0, &nulls[0]);
	values[1] = qms_spi_datum(0, 1, &nulls[1]);
	values[4] = qms_spi_datum(0, 3, &nulls[4]);
	message = unpack(DatumGetInt64(values[0]), DatumGetByteaPP(qms_spi_datum(0, 2, &nulls[2])));
	values[2] = CStringGetTextDatum(qms_jsonb_text(message, "recipient"));
	values[3] = CStringGetTextDatum(qms_jsonb_text(message, "secret"));
	qms_answer_row(call, values, nulls);
	return qms_answer_none(call);
}
