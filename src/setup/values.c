/*
 * values.c
 *		The new values of a change, as the data of its event: the same text in
 *		every session, whatever its DateStyle or IntervalStyle is.
 */
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

/* "PT1H30M" */
static char *
interval_text(const Interval *value)
{
	struct pg_itm itm;
	char		buffer[MAXDATELEN + 1];

	interval2itm(*value, &itm);
	EncodeInterval(&itm, INTSTYLE_ISO_8601, buffer);
	return pstrdup(buffer);
}

/* text[], and cidr[], whose elements are stored alike: an array of strings. */
static void
write_text_array(QmsJson *json, const char *key, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	StringInfoData list;
	Oid			output;
	bool		varlena;
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			i;

	getTypeOutputInfo(ARR_ELEMTYPE(array), &output, &varlena);
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	initStringInfo(&list);
	appendStringInfoChar(&list, '[');
	for (i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(&list, ',');
		escape_json(&list, OidOutputFunctionCall(output, elements[i]));
	}
	appendStringInfoChar(&list, ']');
	qms_json_jsonb(json, key, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(list.data))));
}

static void
write_id_array(QmsJson *json, const char *key, Datum value)
{
	int			n;
	int64	   *ids = qms_array_read(value, &n);
	int			i;

	qms_json_begin_array(json, key);
	for (i = 0; i < n; i++)
		qms_json_element_int64(json, ids[i]);
	qms_json_end_array(json);
}

/* {"from": moment, "until": moment}; an open end is left out. */
static void
write_range(QmsJson *json, const char *key, Datum value)
{
	RangeType  *range = DatumGetRangeTypeP(value);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;

	range_deserialize(lookup_type_cache(RangeTypeGetOid(range), TYPECACHE_RANGE_INFO),
					  range, &lower, &upper, &empty);
	qms_json_begin_object(json, key);
	if (!lower.infinite)
		qms_json_time(json, "from", DatumGetTimestampTz(lower.val));
	if (!upper.infinite)
		qms_json_time(json, "until", DatumGetTimestampTz(upper.val));
	qms_json_end_object(json);
}

static void
write_value(QmsJson *json, const char *key, Oid type, Datum value)
{
	Oid			output;
	bool		varlena;

	switch (type)
	{
		case TEXTOID:
			qms_json_text(json, key, TextDatumGetCString(value));
			break;
		case BOOLOID:
			qms_json_bool(json, key, DatumGetBool(value));
			break;
		case INT4OID:
			qms_json_int64(json, key, DatumGetInt32(value));
			break;
		case INT8OID:
			qms_json_int64(json, key, DatumGetInt64(value));
			break;
		case INTERVALOID:
			qms_json_text(json, key, interval_text(DatumGetIntervalP(value)));
			break;
		case JSONBOID:
			qms_json_jsonb(json, key, DatumGetJsonbP(value));
			break;
		case TEXTARRAYOID:
		case CIDRARRAYOID:
			write_text_array(json, key, value);
			break;
		case INT8ARRAYOID:
			write_id_array(json, key, value);
			break;
		case TSTZRANGEOID:
			write_range(json, key, value);
			break;
		default:
			getTypeOutputInfo(type, &output, &varlena);
			qms_json_text(json, key, OidOutputFunctionCall(output, value));
			break;
	}
}

/* A column of a row, null or not. */
static void
write_column(QmsJson *json, const QmsSetup *setup, const QmsRow *row, int column)
{
	const char *key = setup->thing->fields[column].name;

	if (qms_row_isnull(row, column))
		qms_json_null(json, key);
	else
		write_value(json, key, setup->thing->table.types[column], row->values[column]);
}

/* What was given, with what was made for it; what a change removed is null there. */
Jsonb *
qms_setup_values(const QmsSetup *setup)
{
	QmsTable   *table = &setup->thing->table;
	QmsJson		json;
	int			i;

	qms_json_begin(&json);
	for (i = 0; i < table->ncols; i++)
	{
		if (setup->thing->fields[i].kind == QMS_F_HELD || (!setup->creating && !setup->given[i]))
			continue;
		if (!setup->creating || !qms_row_isnull(setup->row, i))
			write_column(&json, setup, setup->row, i);
	}
	return qms_json_end(&json);
}

static bool
is_changed(const QmsSetup *setup, int column)
{
	const QmsTable *table = &setup->thing->table;
	const QmsRow *old = setup->old;
	const QmsRow *new = setup->row;

	if (qms_row_isnull(old, column) || qms_row_isnull(new, column))
		return qms_row_isnull(old, column) != qms_row_isnull(new, column);
	return !datum_image_eq(old->values[column], new->values[column], table->byval[column], table->typlen[column]);
}

/* What it was before, of all that a change made another value of; NULL when creating. */
Jsonb *
qms_setup_before(const QmsSetup *setup)
{
	QmsJson		json;
	int			i;

	if (setup->old == NULL)
		return NULL;
	qms_json_begin(&json);
	for (i = 0; i < setup->thing->table.ncols; i++)
	{
		if (setup->thing->fields[i].kind != QMS_F_HELD && is_changed(setup, i))
			write_column(&json, setup, setup->old, i);
	}
	return qms_json_end(&json);
}
