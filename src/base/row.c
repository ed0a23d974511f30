/*
 * row.c
 *		A row of one of our tables as arrays of values and nulls, in the order
 *		of a list of columns that the table's owner in C declares.
 *
 * The lists are the only place in C where a table's columns are named; the
 * types come from the catalog.  One insert statement per table serves every
 * operation, and one update statement per set of columns that an operation
 * changes: a row remembers which of its columns were set since it was read.
 */
#include "base/base.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#define BIT(c) (UINT64CONST(1) << (c))

/* The statement for one set of changed columns. */
struct QmsUpdate
{
	uint64		changed;
	QmsPlan		plan;
	struct QmsUpdate *next;
};

/* Look up the columns and write the statements; again after the extension was made anew. */
void
qms_table_prepare(QmsTable *table)
{
	Oid			relid = qms_relation_oid(table->schema, table->name);
	MemoryContext old;
	int			i;

	if (relid == table->relid)
		return;
	Assert(table->ncols <= 64);
	old = MemoryContextSwitchTo(TopMemoryContext);
	table->attnums = palloc(sizeof(AttrNumber) * table->ncols);
	table->types = palloc(sizeof(Oid) * table->ncols);
	table->byval = palloc(sizeof(bool) * table->ncols);
	table->typlen = palloc(sizeof(int16) * table->ncols);
	for (i = 0; i < table->ncols; i++)
	{
		AttrNumber	attnum = get_attnum(relid, table->columns[i]);

		if (attnum == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s.%s\" does not exist",
							table->columns[i], table->schema, table->name),
					 errdetail("The library is of another version than the extension in this database."),
					 errhint("Run ALTER EXTENSION qms UPDATE.")));
		table->attnums[i] = attnum;
		table->types[i] = get_atttype(relid, attnum);
		get_typlenbyval(table->types[i], &table->typlen[i], &table->byval[i]);
	}
	table->relid = relid;
	MemoryContextSwitchTo(old);
}

static void
write_insert(QmsTable *table)
{
	StringInfoData sql;
	int			i;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s.%s (", table->schema, table->name);
	for (i = 0; i < table->ncols; i++)
		appendStringInfo(&sql, "%s%s", i ? ", " : "", table->columns[i]);
	appendStringInfoString(&sql, ") VALUES (");
	for (i = 0; i < table->ncols; i++)
		appendStringInfo(&sql, "%s$%d", i ? ", " : "", i + 1);
	appendStringInfoChar(&sql, ')');
	table->insert.sql = MemoryContextStrdup(TopMemoryContext, sql.data);
}

/* The statement that changes these columns, the key first among its parameters. */
static QmsPlan *
update_plan(QmsTable *table, uint64 changed)
{
	struct QmsUpdate *update;
	StringInfoData sql;
	int			n = 0;
	int			i;

	for (update = table->updates; update != NULL; update = update->next)
	{
		if (update->changed == changed)
			return &update->plan;
	}
	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s.%s SET ", table->schema, table->name);
	for (i = table->nkey; i < table->ncols; i++)
	{
		if ((changed & BIT(i)) == 0)
			continue;
		appendStringInfo(&sql, "%s%s = $%d", n > 0 ? ", " : "", table->columns[i], table->nkey + n + 1);
		n++;
	}
	for (i = 0; i < table->nkey; i++)
		appendStringInfo(&sql, "%s%s = $%d", i ? " AND " : " WHERE ", table->columns[i], i + 1);
	update = MemoryContextAllocZero(TopMemoryContext, sizeof(struct QmsUpdate));
	update->changed = changed;
	update->plan.sql = MemoryContextStrdup(TopMemoryContext, sql.data);
	update->next = table->updates;
	table->updates = update;
	return &update->plan;
}

/* "t.a, t.b, ..." for a statement that reads whole rows under the alias t. */
const char *
qms_table_select_list(QmsTable *table)
{
	if (table->select_list == NULL)
	{
		StringInfoData list;
		int			i;

		initStringInfo(&list);
		for (i = 0; i < table->ncols; i++)
			appendStringInfo(&list, "%st.%s", i ? ", " : "", table->columns[i]);
		table->select_list = MemoryContextStrdup(TopMemoryContext, list.data);
	}
	return table->select_list;
}

/* Complete a plan whose text needs the table's columns: the one %s of format. */
QmsPlan *
qms_table_plan(QmsTable *table, QmsPlan *plan, const char *format)
{
	if (plan->sql == NULL)
	{
		char	   *sql;

		sql = psprintf(format, qms_table_select_list(table));
		plan->sql = MemoryContextStrdup(TopMemoryContext, sql);
		pfree(sql);
	}
	return plan;
}

/* An empty row: every column null. */
QmsRow *
qms_row_new(QmsTable *table)
{
	QmsRow	   *row = palloc(sizeof(QmsRow));

	qms_table_prepare(table);
	row->table = table;
	row->values = palloc0(sizeof(Datum) * table->ncols);
	row->nulls = palloc(table->ncols + 1);
	memset(row->nulls, 'n', table->ncols);
	row->nulls[table->ncols] = '\0';
	row->changed = 0;
	return row;
}

/* A copy that shares what the values point to. */
QmsRow *
qms_row_copy(const QmsRow *from)
{
	QmsRow	   *row = qms_row_new(from->table);

	memcpy(row->values, from->values, sizeof(Datum) * from->table->ncols);
	memcpy(row->nulls, from->nulls, from->table->ncols);
	row->changed = from->changed;
	return row;
}

/*
 * The row in columns first_column and following of row r of the last result.
 * It points into that result, which lives until qms_spi_end().
 */
QmsRow *
qms_row_fetch(QmsTable *table, int r, int first_column)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	QmsRow	   *row = qms_row_new(table);
	int			i;

	heap_deform_tuple(SPI_tuptable->vals[r], desc, values, nulls);
	for (i = 0; i < table->ncols; i++)
	{
		row->values[i] = values[first_column + i];
		row->nulls[i] = nulls[first_column + i] ? 'n' : ' ';
	}
	pfree(values);
	pfree(nulls);
	return row;
}

/*
 * The row in column c, a whole row of the table as one value ("SELECT t FROM
 * ... t"), of row r of the last result.  A statement of several levels starts
 * and runs much faster with one column than with all of the table's.
 */
QmsRow *
qms_row_fetch_whole(QmsTable *table, int r, int c)
{
	QmsRow	   *row = qms_row_new(table);
	bool		isnull;
	HeapTupleHeader header = DatumGetHeapTupleHeader(qms_spi_datum(r, c, &isnull));
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	HeapTupleData tuple;
	int			i;

	Assert(!isnull);
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, desc, values, nulls);
	for (i = 0; i < table->ncols; i++)
	{
		row->values[i] = values[table->attnums[i] - 1];
		row->nulls[i] = nulls[table->attnums[i] - 1] ? 'n' : ' ';
	}
	ReleaseTupleDesc(desc);
	pfree(values);
	pfree(nulls);
	return row;
}

/* Run an insert (of all columns) or an update (of those in the set) of one row. */
static void
run_row(QmsPlan *plan, QmsRow *row, uint64 columns)
{
	QmsTable   *table = row->table;
	bool		first = plan->plan == NULL;
	QmsParams	params;
	int			i;

	params.n = 0;
	for (i = 0; i < table->ncols; i++)
	{
		if ((columns & BIT(i)) == 0)
			continue;
		if (first)
			plan->argtypes[params.n] = table->types[i];
		params.values[params.n] = row->values[i];
		params.nulls[params.n] = row->nulls[i];
		params.n++;
	}
	plan->nargs = params.n;
	if (qms_spi_run(plan, &params) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a row of \"%s\" changed while it was worked on", table->name),
				 errhint("Try the call again.")));
	row->changed = 0;
}

void
qms_row_insert(QmsRow *row)
{
	StaticAssertStmt(QMS_MAX_ARGS >= 64, "whole rows must fit into QmsParams");
	if (row->table->insert.sql == NULL)
		write_insert(row->table);
	run_row(&row->table->insert, row, PG_UINT64_MAX);
}

/* Write the columns that were set since the row was read. */
void
qms_row_update(QmsRow *row)
{
	QmsTable   *table = row->table;
	uint64		key = BIT(table->nkey) - 1;
	uint64		changed = row->changed & ~key;

	if (changed != 0)
		run_row(update_plan(table, changed), row, key | changed);
}

/* What was written of a copy of this row has to be written of it as well, when it is stored. */
void
qms_row_supersede(QmsRow *row, const QmsRow *copy)
{
	row->changed |= copy->changed;
}

bool
qms_row_isnull(const QmsRow *row, int c)
{
	return row->nulls[c] == 'n';
}

int64
qms_row_int64(const QmsRow *row, int c)
{
	return qms_row_isnull(row, c) ? 0 : DatumGetInt64(row->values[c]);
}

int32
qms_row_int32(const QmsRow *row, int c)
{
	return qms_row_isnull(row, c) ? 0 : DatumGetInt32(row->values[c]);
}

bool
qms_row_bool(const QmsRow *row, int c)
{
	return qms_row_isnull(row, c) ? false : DatumGetBool(row->values[c]);
}

TimestampTz
qms_row_time(const QmsRow *row, int c)
{
	return qms_row_isnull(row, c) ? QMS_NO_TIME : DatumGetTimestampTz(row->values[c]);
}

char *
qms_row_text(const QmsRow *row, int c)
{
	return qms_row_isnull(row, c) ? NULL : TextDatumGetCString(row->values[c]);
}

void *
qms_row_pointer(const QmsRow *row, int c)
{
	return qms_row_isnull(row, c) ? NULL : DatumGetPointer(row->values[c]);
}

int64
qms_row_interval(const QmsRow *row, int c)
{
	return qms_row_isnull(row, c) ? 0 : qms_interval_usec(DatumGetIntervalP(row->values[c]), NULL);
}

void
qms_row_set_null(QmsRow *row, int c)
{
	row->values[c] = (Datum) 0;
	row->nulls[c] = 'n';
	row->changed |= BIT(c);
}

void
qms_row_set_datum(QmsRow *row, int c, Datum value)
{
	row->values[c] = value;
	row->nulls[c] = ' ';
	row->changed |= BIT(c);
}

/* 0 is null. */
void
qms_row_set_id(QmsRow *row, int c, int64 id)
{
	row->values[c] = Int64GetDatum(id);
	row->nulls[c] = id == 0 ? 'n' : ' ';
	row->changed |= BIT(c);
}

void
qms_row_set_int64(QmsRow *row, int c, int64 value)
{
	qms_row_set_datum(row, c, Int64GetDatum(value));
}

void
qms_row_set_int32(QmsRow *row, int c, int32 value)
{
	qms_row_set_datum(row, c, Int32GetDatum(value));
}

void
qms_row_set_bool(QmsRow *row, int c, bool value)
{
	qms_row_set_datum(row, c, BoolGetDatum(value));
}

void
qms_row_set_time(QmsRow *row, int c, TimestampTz value)
{
	row->values[c] = TimestampTzGetDatum(value);
	row->nulls[c] = value == QMS_NO_TIME ? 'n' : ' ';
	row->changed |= BIT(c);
}

void
qms_row_set_text(QmsRow *row, int c, const char *value)
{
	if (value == NULL)
		qms_row_set_null(row, c);
	else
		qms_row_set_datum(row, c, CStringGetTextDatum(value));
}

void
qms_row_set_pointer(QmsRow *row, int c, const void *value)
{
	if (value == NULL)
		qms_row_set_null(row, c);
	else
		qms_row_set_datum(row, c, PointerGetDatum(value));
}

void
qms_row_set_interval(QmsRow *row, int c, int64 usec)
{
	qms_row_set_datum(row, c, IntervalPGetDatum(qms_interval_make(usec)));
}

void
qms_row_copy_value(QmsRow *to, int c, const QmsRow *from, int from_c)
{
	to->values[c] = from->values[from_c];
	to->nulls[c] = from->nulls[from_c];
	to->changed |= BIT(c);
}
