/*
 * access.c
 *		What the functions about keys and devices share.
 */
#include "access/access.h"

#include <openssl/crypto.h>

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* The answer: the first columns of the present result, with a secret that is shown once in its place. */
Datum
qms_access_answer(QmsCall *call, const char *secret_column, const char *secret)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	int			natts = qms_answer_desc(call)->natts;
	int			column = secret_column ? qms_answer_column(call, secret_column) : -1;

	if (desc->natts < natts || (secret_column && column < 0))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("the result type of qms.%s is not the one of this library", call->function->name),
				 errhint("Run ALTER EXTENSION qms UPDATE.")));
	heap_deform_tuple(SPI_tuptable->vals[0], desc, values, nulls);
	if (column >= 0)
	{
		nulls[column] = secret == NULL;
		values[column] = secret ? CStringGetTextDatum(secret) : (Datum) 0;
	}
	return qms_answer_tuple(call, values, nulls);
}

/* "api_key.created": what happened to a key or device; key names its id in the data. */
void
qms_access_event(QmsCall *call, const char *kind, const QmsObject *object, const char *key, const Jsonb *values)
{
	QmsEvent	event = {0};
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_int64(&json, key, object->id);
	qms_json_jsonb(&json, "values", values);
	event.kind = kind;
	event.organization_id = object->organization_id;
	event.branch_id = object->branch_id;
	event.application_id = object->application_id;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

bytea *
qms_access_bytes(const uint8 *hash)
{
	return qms_bytes(hash, QMS_HMAC_SIZE);
}

/* Is a stored hash this one?  In constant time. */
bool
qms_access_same(Datum stored, const uint8 *hash)
{
	bytea	   *bytes = DatumGetByteaPP(stored);

	return VARSIZE_ANY_EXHDR(bytes) == QMS_HMAC_SIZE &&
		CRYPTO_memcmp(VARDATA_ANY(bytes), hash, QMS_HMAC_SIZE) == 0;
}

/* One error for every reason, so that nobody learns which keys there are or were; noted, as other refusals are. */
void
qms_access_refuse(const char *what)
{
	QmsHttpError error = {0};

	error.status = 401;
	error.sqlstate = ERRCODE_QMS_INVALID_KEY;
	error.message = psprintf("%s is not valid", what);
	error.detail = "It was never there, has expired, or has been revoked.";
	error.hint = "Ask an administrator of the organization for a new one.";
	qms_refusal_note(what, NULL, error.sqlstate);
	qms_http_error(&error);
}

/* Where this request comes from, for whoever sets up a proxy. */
QMS_FUNCTION(my_address, QMS_ACT_PUBLIC, 0)
{
	const char *address = qms_client_address();
	MemoryContext old;
	Datum		result;

	if (address == NULL)
		return qms_answer_none(call);
	old = MemoryContextSwitchTo(call->result_context);
	result = DirectFunctionCall1(inet_in, CStringGetDatum(address));
	MemoryContextSwitchTo(old);
	return result;
}
