/*
 * array.c
 *		Arrays of whole numbers and of moments, and bytes, from and to C.
 */
#include "base/base.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

/* Numbers as an array of bigint, or moments as one of timestamptz. */
ArrayType *
qms_array_make(const int64 *values, int n, Oid type)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));
	int			i;

	for (i = 0; i < n; i++)
		elements[i] = Int64GetDatum(values[i]);
	return construct_array(elements, n, type, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

/* The numbers of an array of bigint; nulls are left out. */
int64 *
qms_array_read(Datum array, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	int64	   *values;
	int			count;
	int			i;

	deconstruct_array(DatumGetArrayTypeP(array), INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, &count);
	values = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * Max(count, 1));
	*n = 0;
	for (i = 0; i < count; i++)
	{
		if (!nulls[i])
			values[(*n)++] = DatumGetInt64(elements[i]);
	}
	pfree(elements);
	pfree(nulls);
	return values;
}

/* So many bytes as a bytea. */
bytea *
qms_bytes(const void *data, Size size)
{
	bytea	   *bytes = palloc(VARHDRSZ + size);

	SET_VARSIZE(bytes, VARHDRSZ + size);
	memcpy(VARDATA(bytes), data, size);
	return bytes;
}
