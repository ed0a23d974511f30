/*
 * export.c
 *		The history as lines of CSV or JSON, for whoever takes it elsewhere.
 *
 * Lines are made as they are asked for, from a cursor on one queue after the
 * other, so that memory does not grow with the history.  What identifies a
 * person or was written by one in words is not in it.
 */
#include "report/report.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define BATCH 1000				/* rows fetched at a time */

typedef enum Kind
{
	INTEGER,
	TEXT,						/* of ours, or a number of a ticket */
	WORDS,						/* of people */
	MOMENT,
	SECONDS,
	TRUTH
} Kind;

typedef struct Column
{
	const char *name;
	Kind		kind;
	const char *sql;
} Column;

/* What tickets and legs have in common; then each its own. */
#define COMMON(t) \
	{"ticket_id", INTEGER, #t ".ticket_id"}, \
	{"visit_id", INTEGER, #t ".visit_id"}, \
	{"leg", INTEGER, #t ".leg::pg_catalog.int8"}, \
	{"number", TEXT, #t ".number::pg_catalog.text"}, \
	{"branch_id", INTEGER, #t ".branch_id"}, \
	{"branch", WORDS, "b.name"}, \
	{"queue_id", INTEGER, #t ".queue_id"}, \
	{"queue", WORDS, "q.name"}, \
	{"service_id", INTEGER, #t ".service_id"}, \
	{"service", WORDS, "s.name"}, \
	{"customer_class", WORDS, "k.name"}, \
	{"simulated", TRUTH, #t ".simulated"}, \
	{"entered_at", MOMENT, #t ".entered_at"}, \
	{"called_at", MOMENT, #t ".called_at"}, \
	{"started_at", MOMENT, #t ".started_at"}, \
	{"counter_id", INTEGER, #t ".counter_id"}, \
	{"counter", WORDS, "c.name"}, \
	{"staff_id", INTEGER, #t ".staff_id"}, \
	{"staff", WORDS, "f.username"}, \
	{"waited_seconds", SECONDS, "extract(epoch FROM " #t ".called_at - " #t ".entered_at)::pg_catalog.float8"}, \
	{"quoted_p10_seconds", SECONDS, "extract(epoch FROM " #t ".quoted_p10)::pg_catalog.float8"}, \
	{"quoted_p50_seconds", SECONDS, "extract(epoch FROM " #t ".quoted_p50)::pg_catalog.float8"}, \
	{"quoted_p90_seconds", SECONDS, "extract(epoch FROM " #t ".quoted_p90)::pg_catalog.float8"}

#define JOINS(t) \
	"JOIN qms.queue q ON q.queue_id = " #t ".queue_id " \
	"LEFT JOIN qms.branch b ON b.branch_id = " #t ".branch_id " \
	"LEFT JOIN qms.service s ON s.service_id = " #t ".service_id " \
	"LEFT JOIN qms.customer_class k ON k.customer_class_id = " #t ".customer_class_id " \
	"LEFT JOIN qms.counter c ON c.counter_id = " #t ".counter_id " \
	"LEFT JOIN qms.staff f ON f.staff_id = " #t ".staff_id "

static const Column ticket_columns[] = {
	COMMON(h),
	{"joined_at", MOMENT, "h.joined_at"},
	{"ended_at", MOMENT, "h.ended_at"},
	{"served_seconds", SECONDS, "CASE WHEN h.state = 'completed' THEN extract(epoch FROM h.ended_at - h.started_at) END::pg_catalog.float8"},
	{"state", TEXT, "h.state"},
	{"outcome", WORDS, "h.outcome"},
	/* Of a cancelled one these are words of a person, which may be about him. */
	{"end_reason", WORDS, "CASE WHEN h.state <> 'cancelled' THEN h.end_reason END"},
	{"priority", INTEGER, "h.priority::pg_catalog.int8"},
	{"calls", INTEGER, "h.calls::pg_catalog.int8"},
	{"recalls", INTEGER, "h.recalls::pg_catalog.int8"},
	{"defers", INTEGER, "h.defers::pg_catalog.int8"},
	{"language", WORDS, "h.language"}
};

static const Column leg_columns[] = {
	COMMON(l),
	{"left_at", MOMENT, "l.left_at"},
	{"served_seconds", SECONDS, "extract(epoch FROM l.left_at - l.started_at)::pg_catalog.float8"}
};

/* What can be taken: a statement of $1 queue, $2 since, $3 before, in the order of the index. */
typedef struct Source
{
	const char *name;
	const Column *columns;
	int			ncolumns;
	const char *from;
	QmsPlan		plan;
} Source;

static Source sources[] = {
	{"tickets", ticket_columns, lengthof(ticket_columns),
		"FROM qms.ticket_history h " JOINS(h)
		"WHERE h.queue_id = $1 AND h.ended_at >= coalesce($2, '-infinity') AND h.ended_at < $3 ORDER BY h.ended_at",
	QMS_PLAN(NULL, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID)},
	{"legs", leg_columns, lengthof(leg_columns),
		"FROM qms.ticket_leg l " JOINS(l)
		"WHERE l.queue_id = $1 AND l.left_at >= coalesce($2, '-infinity') AND l.left_at < $3 ORDER BY l.left_at",
	QMS_PLAN(NULL, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID)},
};

/* One export at work. */
typedef struct Export
{
	QmsRows		rows;			/* first: it is what the gate knows */
	Source	   *source;
	bool		json;
	bool		header;			/* still to be answered */
	TimestampTz since;
	TimestampTz before;
	int64	   *queue_ids;
	int			nqueues;
	int			queue;			/* the next one */
	char	   *cursor;			/* NULL: none is open */
	MemoryContext context;		/* of all this */
	MemoryContext batch;		/* of the lines that were fetched */
	Datum	   *lines;
	int			nlines;
	int			line;			/* the next one */
} Export;

static void
prepare(Source *source)
{
	StringInfoData sql;
	int			i;

	if (source->plan.sql != NULL)
		return;
	initStringInfo(&sql);
	for (i = 0; i < source->ncolumns; i++)
		appendStringInfo(&sql, "%s%s", i == 0 ? "SELECT " : ", ", source->columns[i].sql);
	appendStringInfo(&sql, " %s", source->from);
	source->plan.sql = MemoryContextStrdup(TopMemoryContext, sql.data);
}

/* ---- lines ---- */

/*
 * A field of CSV (RFC 4180).  Every field stays on its line, and words that a
 * spreadsheet would take for a formula get an apostrophe before them.
 */
static void
write_field(StringInfo line, const char *value, bool of_people)
{
	bool		quote = strpbrk(value, ",\"") != NULL || *value == ' ' || (*value && value[strlen(value) - 1] == ' ');
	const char *p;

	if (quote)
		appendStringInfoChar(line, '"');
	if (of_people && strchr("=+-@\t\r", *value) != NULL && *value != '\0')
		appendStringInfoChar(line, '\'');
	for (p = value; *p != '\0'; p++)
	{
		if (*p == '"')
			appendStringInfoChar(line, '"');
		appendStringInfoChar(line, (unsigned char) *p < ' ' || *p == 0x7f ? ' ' : *p);
	}
	if (quote)
		appendStringInfoChar(line, '"');
}

/* Moments are in ISO 8601 and UTC, a null is nothing. */
static void
write_csv(StringInfo line, const Column *column, int r, int c)
{
	char		buffer[MAXDATELEN + 1];
	int			tz = 0;
	bool		isnull;

	if (qms_spi_isnull(r, c))
		return;
	switch (column->kind)
	{
		case INTEGER:
			appendStringInfo(line, "%lld", (long long) qms_spi_int64(r, c));
			break;
		case SECONDS:
			appendStringInfo(line, "%.3f", DatumGetFloat8(qms_spi_datum(r, c, &isnull)));
			break;
		case TRUTH:
			appendStringInfoString(line, qms_spi_bool(r, c) ? "true" : "false");
			break;
		case MOMENT:
			appendStringInfoString(line, JsonEncodeDateTime(buffer, TimestampTzGetDatum(qms_spi_time(r, c)),
															TIMESTAMPTZOID, &tz));
			break;
		default:
			write_field(line, qms_spi_text(r, c), column->kind == WORDS);
			break;
	}
}

static void
write_json(StringInfo line, const Column *column, int r, int c)
{
	bool		isnull;

	if (qms_spi_isnull(r, c))
		qms_write_raw(line, column->name, "null");
	else if (column->kind == INTEGER)
		qms_write_int64(line, column->name, qms_spi_int64(r, c));
	else if (column->kind == SECONDS)
		qms_write_raw(line, column->name, psprintf("%.3f", DatumGetFloat8(qms_spi_datum(r, c, &isnull))));
	else if (column->kind == TRUTH)
		qms_write_bool(line, column->name, qms_spi_bool(r, c));
	else if (column->kind == MOMENT)
		qms_write_time(line, column->name, qms_spi_time(r, c));
	else
		qms_write_text(line, column->name, qms_spi_text(r, c));
}

/* Row r of the last result. */
static Datum
make_line(const Export *export, int r)
{
	const Source *source = export->source;
	StringInfoData line;
	int			c;

	initStringInfo(&line);
	if (export->json)
		qms_write_begin(&line, NULL, '{');
	for (c = 0; c < source->ncolumns; c++)
	{
		if (export->json)
			write_json(&line, &source->columns[c], r, c);
		else
		{
			if (c > 0)
				appendStringInfoChar(&line, ',');
			write_csv(&line, &source->columns[c], r, c);
		}
	}
	if (export->json)
		qms_write_end(&line, '}');
	return PointerGetDatum(cstring_to_text_with_len(line.data, line.len));
}

static Datum
make_header(const Source *source)
{
	StringInfoData line;
	int			c;

	initStringInfo(&line);
	for (c = 0; c < source->ncolumns; c++)
		appendStringInfo(&line, "%s%s", c > 0 ? "," : "", source->columns[c].name);
	return PointerGetDatum(cstring_to_text_with_len(line.data, line.len));
}

/* ---- rows ---- */

static void
open_next_queue(Export *export)
{
	QmsParams	params = {0};

	qms_param_int64(&params, export->queue_ids[export->queue++]);
	qms_param_time(&params, export->since);
	qms_param_time(&params, export->before);
	prepare(export->source);
	export->cursor = MemoryContextStrdup(export->context, qms_spi_open(&export->source->plan, &params));
}

/* The next lines, of this queue or of one after it; false: that was all. */
static bool
fetch(Export *export)
{
	MemoryContext old;
	uint64		n;
	uint64		i;

	while (export->cursor != NULL || export->queue < export->nqueues)
	{
		if (export->cursor == NULL)
			open_next_queue(export);
		n = qms_spi_fetch(export->cursor, BATCH);
		if (n > 0)
			break;
		qms_spi_close(export->cursor);
		pfree(export->cursor);
		export->cursor = NULL;
	}
	if (export->cursor == NULL)
		return false;
	MemoryContextReset(export->batch);
	old = MemoryContextSwitchTo(export->batch);
	export->lines = palloc(sizeof(Datum) * n);
	for (i = 0; i < n; i++)
		export->lines[i] = make_line(export, (int) i);
	MemoryContextSwitchTo(old);
	export->nlines = (int) n;
	export->line = 0;
	return true;
}

static bool
next_line(QmsRows *rows, Datum *value)
{
	Export	   *export = (Export *) rows;
	bool		more = true;

	if (export->header)
	{
		export->header = false;
		*value = make_header(export->source);
		return true;
	}
	if (export->line == export->nlines)
	{
		qms_spi_begin();
		more = fetch(export);
		qms_spi_end();
	}
	if (more)
		*value = export->lines[export->line++];
	return more;
}

/* Whoever asked has had enough. */
static void
stop(QmsRows *rows)
{
	Export	   *export = (Export *) rows;

	if (export->cursor != NULL)
		qms_spi_close(export->cursor);
}

/* ---- the call ---- */

/* Queues that are or were there, in the order of their ids. */
static void
find_queues(Export *export, const QmsReportScope *scope)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT q.queue_id FROM qms.queue q WHERE q.organization_id = $1 AND ($2 IS NULL OR q.branch_id = $2) "
								   "AND ($3 IS NULL OR q.queue_id = $3) ORDER BY q.queue_id", INT8OID, INT8OID, INT8OID);
	QmsParams	params = {0};
	int			i;

	qms_param_int64(&params, scope->organization_id);
	qms_param_id(&params, scope->branch_id);
	qms_param_id(&params, scope->queue_id);
	export->nqueues = (int) qms_spi_run(&plan, &params);
	export->queue_ids = MemoryContextAlloc(export->context, sizeof(int64) * Max(export->nqueues, 1));
	for (i = 0; i < export->nqueues; i++)
		export->queue_ids[i] = qms_spi_int64(i, 0);
}

/* Who took what is written down before the first line goes out. */
static void
write_event(QmsCall *call, const QmsReportScope *scope, const Export *export)
{
	QmsEvent	event = {0};
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_text(&json, "scope", qms_report_scope_text(scope));
	qms_json_text(&json, "what", export->source->name);
	qms_json_text(&json, "format", export->json ? "json" : "csv");
	qms_json_time(&json, "since", export->since);
	qms_json_time(&json, "before", export->before);
	event.kind = "history.exported";
	event.organization_id = scope->organization_id;
	event.branch_id = scope->branch_id;
	event.queue_id = scope->queue_id;
	event.data = qms_json_end(&json);
	qms_event_write(call, &event);
}

static Source *
find_source(const char *name)
{
	size_t		i;

	for (i = 0; i < lengthof(sources); i++)
	{
		if (strcmp(sources[i].name, name) == 0)
			return &sources[i];
	}
	qms_arg_choice_error("what", name, "tickets and legs");
}

QMS_FUNCTION(export_history, QMS_ACT_AUDIT, QMS_STREAMS)
{
	Export	   *export = MemoryContextAllocZero(call->result_context, sizeof(Export));
	const char *format = qms_arg_text(call, 0, "format");
	const char *scope_text = qms_arg_text_or_null(call, 3);
	QmsReportScope scope;

	export->rows.next = next_line;
	export->rows.stop = stop;
	export->context = call->result_context;
	if (strcmp(format, "csv") != 0 && strcmp(format, "json") != 0)
		qms_arg_choice_error("format", format, "csv and json");
	export->json = strcmp(format, "json") == 0;
	export->header = !export->json;
	export->since = qms_arg_time(call, 1);
	export->before = qms_arg_isnull(call, 2) ? call->now : qms_arg_time(call, 2);
	export->source = find_source(qms_arg_text(call, 4, "what"));
	qms_partition_ensure(QMS_PART_EVENT, call->now);
	qms_report_scope_of_call(call, scope_text, &scope);
	find_queues(export, &scope);
	export->batch = AllocSetContextCreate(export->context, "qms export", ALLOCSET_DEFAULT_SIZES);
	write_event(call, &scope, export);
	return PointerGetDatum(export);
}
