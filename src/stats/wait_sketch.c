/*
 * wait_sketch.c
 *		The type qms.wait_sketch: a distribution of durations that can be added.
 *
 * Text: {bin:count,bin:count}, bins in order.
 */
#include "stats/stats.h"

#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define TYPE_NAME "qms.wait_sketch"

PG_FUNCTION_INFO_V1(qms_wait_sketch_in);
PG_FUNCTION_INFO_V1(qms_wait_sketch_out);
PG_FUNCTION_INFO_V1(qms_wait_sketch_recv);
PG_FUNCTION_INFO_V1(qms_wait_sketch_send);
PG_FUNCTION_INFO_V1(qms_wait_sketch_make);
PG_FUNCTION_INFO_V1(qms_wait_sketch_accumulate);
PG_FUNCTION_INFO_V1(qms_wait_sketch_finish);
PG_FUNCTION_INFO_V1(qms_wait_sketch_quantile);
PG_FUNCTION_INFO_V1(qms_wait_sketch_count);
PG_FUNCTION_INFO_V1(qms_wait_sketch_count_up_to);

static pg_attribute_noreturn() void
bad_text(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid value for type %s: \"%s\"", TYPE_NAME, text),
			 errdetail("It is bins with their counts, in order: bins from 0 to %d, counts from 1.", QMS_SKETCH_BINS - 1),
			 errhint("Write it like {0:3,57:12}; {} is empty.")));
}

/* A number without sign or spaces; moves on behind it.  -1: there is none, or it is too long. */
static int64
read_number(const char **at)
{
	int64		number = 0;
	const char *begin = *at;

	while (**at >= '0' && **at <= '9' && *at - begin < 18)
		number = number * 10 + *(*at)++ - '0';
	return *at == begin ? -1 : number;
}

/* Text input. */
Datum
qms_wait_sketch_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	const char *at = text;
	QmsSketch  *sketch = palloc0(sizeof(QmsSketch));
	int64		last = -1;

	if (*at++ != '{')
		bad_text(text);
	while (*at != '}')
	{
		int64		bin;
		int64		n;

		if (last >= 0 && *at++ != ',')
			bad_text(text);
		bin = read_number(&at);
		if (bin <= last || bin >= QMS_SKETCH_BINS || *at++ != ':')
			bad_text(text);
		n = read_number(&at);
		if (n <= 0 || n > PG_INT64_MAX - sketch->count)
			bad_text(text);
		sketch->bins[bin] = n;
		sketch->count += n;
		last = bin;
	}
	if (at[1] != '\0')
		bad_text(text);
	PG_RETURN_BYTEA_P(qms_sketch_pack(sketch));
}

/* Text output. */
Datum
qms_wait_sketch_out(PG_FUNCTION_ARGS)
{
	QmsSketch  *sketch = palloc(sizeof(QmsSketch));
	StringInfoData text;
	int			i;

	qms_sketch_unpack(PG_GETARG_RAW_VARLENA_P(0), sketch);
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (i = 0; i < QMS_SKETCH_BINS; i++)
	{
		if (sketch->bins[i] > 0)
			appendStringInfo(&text, "%s%d:%lld", text.len > 1 ? "," : "", i, (long long) sketch->bins[i]);
	}
	appendStringInfoChar(&text, '}');
	PG_RETURN_CSTRING(text.data);
}

/* Binary input: what is stored; checked, and stored in the one way there is to write it. */
Datum
qms_wait_sketch_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			size = buf->len - buf->cursor;
	QmsSketch  *sketch = palloc(sizeof(QmsSketch));

	if (!qms_sketch_read((const uint8 *) pq_getmsgbytes(buf, size), size, sketch))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary value for type %s", TYPE_NAME)));
	PG_RETURN_BYTEA_P(qms_sketch_pack(sketch));
}

/* Binary output, see qms_wait_sketch_recv. */
Datum
qms_wait_sketch_send(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbytes(&buf, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* make_wait_sketch(durations): those that are not null. */
Datum
qms_wait_sketch_make(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	QmsSketch  *sketch = palloc0(sizeof(QmsSketch));
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			i;

	deconstruct_array(array, INTERVALOID, sizeof(Interval), false, TYPALIGN_DOUBLE, &elements, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		if (!nulls[i])
			qms_sketch_add(sketch, Max(qms_interval_usec(DatumGetIntervalP(elements[i]), "duration"), 0));
	}
	PG_RETURN_BYTEA_P(qms_sketch_pack(sketch));
}

/* Step of sketch_merge(). */
Datum
qms_wait_sketch_accumulate(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	QmsSketch  *sum = PG_ARGISNULL(0) ? NULL : (QmsSketch *) PG_GETARG_POINTER(0);

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "qms_wait_sketch_accumulate called in non-aggregate context");
	if (sum == NULL)
		sum = MemoryContextAllocZero(context, sizeof(QmsSketch));
	if (!PG_ARGISNULL(1))
	{
		QmsSketch  *value = palloc(sizeof(QmsSketch));

		qms_sketch_unpack(PG_GETARG_RAW_VARLENA_P(1), value);
		qms_sketch_merge(sum, value);
		pfree(value);
	}
	PG_RETURN_POINTER(sum);
}

/* End of sketch_merge(); null: there was nothing. */
Datum
qms_wait_sketch_finish(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(qms_sketch_pack((QmsSketch *) PG_GETARG_POINTER(0)));
}

/* sketch_quantile(sketch, q); null: it is empty. */
Datum
qms_wait_sketch_quantile(PG_FUNCTION_ARGS)
{
	double		q = PG_GETARG_FLOAT8(1);
	QmsSketch  *sketch = palloc(sizeof(QmsSketch));

	if (!(q >= 0 && q <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a quantile is from 0 to 1, not %g", q),
				 errhint("The 90th percentile is 0.9.")));
	qms_sketch_unpack(PG_GETARG_RAW_VARLENA_P(0), sketch);
	if (sketch->count == 0)
		PG_RETURN_NULL();
	PG_RETURN_INTERVAL_P(qms_interval_make(qms_sketch_quantile(sketch, q)));
}

/* sketch_count(sketch) */
Datum
qms_wait_sketch_count(PG_FUNCTION_ARGS)
{
	QmsSketch  *sketch = palloc(sizeof(QmsSketch));

	qms_sketch_unpack(PG_GETARG_RAW_VARLENA_P(0), sketch);
	PG_RETURN_INT64(sketch->count);
}

/* sketch_count_up_to(sketch, duration) */
Datum
qms_wait_sketch_count_up_to(PG_FUNCTION_ARGS)
{
	QmsSketch  *sketch = palloc(sizeof(QmsSketch));

	qms_sketch_unpack(PG_GETARG_RAW_VARLENA_P(0), sketch);
	PG_RETURN_INT64(qms_sketch_count_up_to(sketch, qms_interval_usec(PG_GETARG_INTERVAL_P(1), "duration")));
}
