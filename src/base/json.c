/*
 * json.c
 *		Objects written key by key, and look-ups by key.
 */
#include "base/base.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/numeric.h"

static void
push_string(QmsJson *json, JsonbIteratorToken token, const char *text)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = pstrdup(text);
	v.val.string.len = strlen(text);
	pushJsonbValue(&json->state, token, &v);
}

static void
push_key(QmsJson *json, const char *key)
{
	if (key != NULL)
		push_string(json, WJB_KEY, key);
}

static void
push_numeric(QmsJson *json, JsonbIteratorToken token, Numeric value)
{
	JsonbValue	v;

	v.type = jbvNumeric;
	v.val.numeric = value;
	pushJsonbValue(&json->state, token, &v);
}

void
qms_json_begin(QmsJson *json)
{
	json->state = NULL;
	pushJsonbValue(&json->state, WJB_BEGIN_OBJECT, NULL);
}

void
qms_json_text(QmsJson *json, const char *key, const char *value)
{
	if (value == NULL)
		return;
	push_key(json, key);
	push_string(json, WJB_VALUE, value);
}

void
qms_json_int64(QmsJson *json, const char *key, int64 value)
{
	push_key(json, key);
	push_numeric(json, WJB_VALUE, int64_to_numeric(value));
}

void
qms_json_id(QmsJson *json, const char *key, int64 id)
{
	if (id != 0)
		qms_json_int64(json, key, id);
}

void
qms_json_bool(QmsJson *json, const char *key, bool value)
{
	JsonbValue	v;

	push_key(json, key);
	v.type = jbvBool;
	v.val.boolean = value;
	pushJsonbValue(&json->state, WJB_VALUE, &v);
}

void
qms_json_float8(QmsJson *json, const char *key, double value)
{
	push_key(json, key);
	push_numeric(json, WJB_VALUE,
				 DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(value))));
}

void
qms_json_time(QmsJson *json, const char *key, TimestampTz value)
{
	char		buffer[MAXDATELEN + 1];
	int			tz = 0;

	if (value == QMS_NO_TIME)
		return;
	push_key(json, key);
	/* ISO 8601 in UTC, whatever the session's settings are. */
	push_string(json, WJB_VALUE,
				JsonEncodeDateTime(buffer, TimestampTzGetDatum(value), TIMESTAMPTZOID, &tz));
}

void
qms_json_jsonb(QmsJson *json, const char *key, const Jsonb *value)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	bool		scalar;

	if (value == NULL)
		return;
	push_key(json, key);
	scalar = JB_ROOT_IS_SCALAR(value);
	it = JsonbIteratorInit((JsonbContainer *) &value->root);
	while ((token = JsonbIteratorNext(&it, &v, false)) != WJB_DONE)
	{
		/* A scalar comes wrapped into an array of one. */
		if (scalar)
		{
			if (token == WJB_ELEM)
				pushJsonbValue(&json->state, WJB_VALUE, &v);
		}
		else
			pushJsonbValue(&json->state, token, token < WJB_BEGIN_ARRAY ? &v : NULL);
	}
}

void
qms_json_null(QmsJson *json, const char *key)
{
	JsonbValue	v;

	push_key(json, key);
	v.type = jbvNull;
	pushJsonbValue(&json->state, WJB_VALUE, &v);
}

void
qms_json_begin_object(QmsJson *json, const char *key)
{
	push_key(json, key);
	pushJsonbValue(&json->state, WJB_BEGIN_OBJECT, NULL);
}

void
qms_json_end_object(QmsJson *json)
{
	pushJsonbValue(&json->state, WJB_END_OBJECT, NULL);
}

void
qms_json_begin_array(QmsJson *json, const char *key)
{
	push_key(json, key);
	pushJsonbValue(&json->state, WJB_BEGIN_ARRAY, NULL);
}

void
qms_json_end_array(QmsJson *json)
{
	pushJsonbValue(&json->state, WJB_END_ARRAY, NULL);
}

void
qms_json_element_text(QmsJson *json, const char *value)
{
	push_string(json, WJB_ELEM, value);
}

void
qms_json_element_int64(QmsJson *json, int64 value)
{
	push_numeric(json, WJB_ELEM, int64_to_numeric(value));
}

Jsonb *
qms_json_end(QmsJson *json)
{
	return JsonbValueToJsonb(pushJsonbValue(&json->state, WJB_END_OBJECT, NULL));
}

static JsonbValue *
look_up(const Jsonb *json, const char *key, JsonbValue *buffer)
{
	if (json == NULL || !JB_ROOT_IS_OBJECT(json))
		return NULL;
	return getKeyJsonValueFromContainer((JsonbContainer *) &json->root, key, strlen(key), buffer);
}

bool
qms_jsonb_has(const Jsonb *json, const char *key)
{
	JsonbValue	buffer;

	return look_up(json, key, &buffer) != NULL;
}

/* An object or array inside; NULL if there is none. */
Jsonb *
qms_jsonb_object(const Jsonb *json, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *v = look_up(json, key, &buffer);

	return v && v->type == jbvBinary ? JsonbValueToJsonb(v) : NULL;
}

char *
qms_jsonb_text(const Jsonb *json, const char *key)
{
	JsonbValue	buffer;
	JsonbValue *v = look_up(json, key, &buffer);

	return v && v->type == jbvString ? pnstrdup(v->val.string.val, v->val.string.len) : NULL;
}

bool
qms_jsonb_int64(const Jsonb *json, const char *key, int64 *value)
{
	JsonbValue	buffer;
	JsonbValue *v = look_up(json, key, &buffer);

	if (v == NULL || v->type != jbvNumeric)
		return false;
	*value = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(v->val.numeric)));
	return true;
}

bool
qms_jsonb_bool(const Jsonb *json, const char *key, bool *value)
{
	JsonbValue	buffer;
	JsonbValue *v = look_up(json, key, &buffer);

	if (v == NULL || v->type != jbvBool)
		return false;
	*value = v->val.boolean;
	return true;
}

TimestampTz
qms_jsonb_time(const Jsonb *json, const char *key)
{
	char	   *text = qms_jsonb_text(json, key);

	if (text == NULL)
		return QMS_NO_TIME;
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(text),
												   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}
