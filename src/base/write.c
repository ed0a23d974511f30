/*
 * write.c
 *		JSON written as text, key by key, where it is sent on and not looked into:
 *		keys stay in the order in which they are written.
 */
#include "base/base.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"

/* A comma if something stands before, and the key; key NULL inside an array. */
static void
write_key(StringInfo out, const char *key)
{
	char		last = out->len > 0 ? out->data[out->len - 1] : '{';

	if (last != '{' && last != '[')
		appendStringInfoChar(out, ',');
	if (key == NULL)
		return;
	/* Keys are ours: there is nothing to escape. */
	appendStringInfoChar(out, '"');
	appendStringInfoString(out, key);
	appendStringInfoString(out, "\":");
}

/* Begin an object '{' or an array '['. */
void
qms_write_begin(StringInfo out, const char *key, char bracket)
{
	if (out->len > 0)
		write_key(out, key);
	appendStringInfoChar(out, bracket);
}

void
qms_write_end(StringInfo out, char bracket)
{
	appendStringInfoChar(out, bracket);
}

/* NULL: left out. */
void
qms_write_text(StringInfo out, const char *key, const char *value)
{
	if (value == NULL)
		return;
	write_key(out, key);
	escape_json(out, value);
}

void
qms_write_int64(StringInfo out, const char *key, int64 value)
{
	char		buffer[MAXINT8LEN + 1];

	write_key(out, key);
	appendBinaryStringInfo(out, buffer, pg_lltoa(value, buffer));
}

/* Nine digits; what is no number is left out. */
void
qms_write_float8(StringInfo out, const char *key, double value)
{
	if (isnan(value) || isinf(value))
		return;
	write_key(out, key);
	appendStringInfo(out, "%.9g", value);
}

/* 0: left out. */
void
qms_write_id(StringInfo out, const char *key, int64 id)
{
	if (id != 0)
		qms_write_int64(out, key, id);
}

void
qms_write_bool(StringInfo out, const char *key, bool value)
{
	write_key(out, key);
	appendStringInfoString(out, value ? "true" : "false");
}

/* ISO 8601 in UTC, whatever the session's settings are; QMS_NO_TIME: left out. */
void
qms_write_time(StringInfo out, const char *key, TimestampTz value)
{
	char		buffer[MAXDATELEN + 1];
	int			tz = 0;

	if (value == QMS_NO_TIME)
		return;
	write_key(out, key);
	appendStringInfoChar(out, '"');
	appendStringInfoString(out, JsonEncodeDateTime(buffer, TimestampTzGetDatum(value), TIMESTAMPTZOID, &tz));
	appendStringInfoChar(out, '"');
}

/* ISO 8601, in whole seconds: "PT1H2M3S". */
void
qms_write_duration(StringInfo out, const char *key, int64 usec)
{
	int64		seconds = Max(usec, 0) / USECS_PER_SEC;
	int64		hours = seconds / SECS_PER_HOUR;
	int			minutes = (int) (seconds / SECS_PER_MINUTE % MINS_PER_HOUR);
	int			rest = (int) (seconds % SECS_PER_MINUTE);

	write_key(out, key);
	appendStringInfoString(out, "\"PT");
	if (hours > 0)
		appendStringInfo(out, "%lldH", (long long) hours);
	if (minutes > 0)
		appendStringInfo(out, "%dM", minutes);
	if (rest > 0 || seconds == 0)
		appendStringInfo(out, "%dS", rest);
	appendStringInfoChar(out, '"');
}

/* NULL: left out. */
void
qms_write_jsonb(StringInfo out, const char *key, Jsonb *value)
{
	if (value == NULL)
		return;
	write_key(out, key);
	(void) JsonbToCString(out, &value->root, VARSIZE(value));
}

/* A text that is JSON already; NULL: left out. */
void
qms_write_raw(StringInfo out, const char *key, const char *json)
{
	if (json == NULL)
		return;
	write_key(out, key);
	appendStringInfoString(out, json);
}

/*
 * The text as a value of SQL, which PostgreSQL hands over in the encoding of the
 * client.  In a database that does not know its own encoding there may be
 * anything in it: what is not UTF-8 is replaced, or one bad name would stop the
 * whole stream.
 */
Datum
qms_write_datum(StringInfo out)
{
	int			i;

	for (i = 0; GetDatabaseEncoding() == PG_SQL_ASCII && i < out->len;)
	{
		int			length = pg_utf_mblen((unsigned char *) out->data + i);

		if (i + length <= out->len && pg_utf8_islegal((unsigned char *) out->data + i, length))
			i += length;
		else
			out->data[i++] = '?';
	}
	return PointerGetDatum(cstring_to_text_with_len(out->data, out->len));
}
