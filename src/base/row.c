/*
 * row.c
 *		A row of one of our tables as arrays of values and nulls, in the order
 *		of a list of columns that the table's owner in C declares.
 *
 * The lists are the only place in C where a table's columns are named; the
 * types come from the catalog.  One insert and one update statement per table
 * serve every operation: whether an index has to be touched is decided by the
 * values, not by which columns a statement names.
 */
#include "base/base.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Look up the columns and write the statements; again after the extension was made anew. */
void
qms_table_prepare(QmsTable *table)
{
	Oid			relid = qms_relation_oid(table->schema, table->name);
	MemoryContext old;
	int			i;

	if (relid == table->relid)
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
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

static void
write_update(QmsTable *table)
{
	StringInfoData sql;
	int			i;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s.%s SET ", table->schema, table->name);
	for (i = table->nkey; i < table->ncols; i++)
		appendStringInfo(&sql, "%s%s = $%d", i > table->nkey ? ", " : "", table->columns[i], i + 1);
	for (i = 0; i < table->nkey; i++)
		appendStringInfo(&sql, "%s%s = $%d", i ? " AND " : " WHERE ", table->columns[i], i + 1);
	table->update.sql = MemoryContextStrdup(TopMemoryContext, sql.data);
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
	return row;
}

/* A copy that shares what the values point to. */
QmsRow *
qms_row_copy(const QmsRow *from)
{
	QmsRow	   *row = qms_row_new(from->table);

	memcpy(row->values, from->values, sizeof(Datum) * from->table->ncols);
	memcpy(row->nulls, from->nulls, from->table->ncols);
	return row;
}

/*
 * The row in columns first_column and following of row r of the last result.
 * It points into that result, which lives until SPI_finish.
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

static void
run_whole_row(QmsPlan *plan, const QmsRow *row)
{
	QmsTable   *table = row->table;
	QmsParams	params;

	if (plan->plan == NULL)
	{
		plan->nargs = table->ncols;
		memcpy(plan->argtypes, table->types, sizeof(Oid) * table->ncols);
	}
	params.n = table->ncols;
	memcpy(params.values, row->values, sizeof(Datum) * table->ncols);
	memcpy(params.nulls, row->nulls, table->ncols + 1);
	if (qms_spi_run(plan, &params) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a row of \"%s\" changed while it was worked on", table->name),
				 errhint("Try the call again.")));
}

void
qms_row_insert(QmsRow *row)
{
	StaticAssertStmt(QMS_MAX_ARGS >= 64, "whole rows must fit into QmsParams");
	if (row->table->insert.sql == NULL)
		write_insert(row->table);
	run_whole_row(&row->table->insert, row);
}

void
qms_row_update(QmsRow *row)
{
	if (row->table->update.sql == NULL)
		write_update(row->table);
	run_whole_row(&row->table->update, row);
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
}

void
qms_row_set_datum(QmsRow *row, int c, Datum value)
{
	row->values[c] = value;
	row->nulls[c] = ' ';
}

/* 0 is null. */
void
qms_row_set_id(QmsRow *row, int c, int64 id)
{
	row->values[c] = Int64GetDatum(id);
	row->nulls[c] = id == 0 ? 'n' : ' ';
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
}
