/*
 * field.c
 *		Values of columns: where they come from, how each kind is checked, and
 *		how they look in an event.
 */
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define MAX_WORDS	100
#define MAX_CREDIT	(366 * USECS_PER_DAY)

/*
 * Number of the argument of that name, -1 if the function has none.  Arguments
 * are called like the columns they fill, so the declaration in SQL is the only
 * place that orders them.
 */
int
qms_setup_argument(const QmsSetup *setup, const char *name)
{
	int			i;

	for (i = 0; i < setup->nargs; i++)
	{
		if (setup->arg_names[i] != NULL && strcmp(setup->arg_names[i], name) == 0)
			return i;
	}
	return -1;
}

/* Did the caller give a value that is not null? */
bool
qms_setup_given(const QmsSetup *setup, const char *name)
{
	int			n = qms_setup_argument(setup, name);

	return n >= 0 && !qms_arg_isnull(setup->call, n);
}

/* A jsonb of a row, unpacked; NULL if null. */
Jsonb *
qms_setup_jsonb(const QmsRow *row, int column)
{
	return qms_row_isnull(row, column) ? NULL : DatumGetJsonbP(row->values[column]);
}

/* "de", "pt-BR", "zh-Hant-TW": letters, then groups of letters and digits. */
static bool
is_language_tag(const char *tag, int length)
{
	int			group = 0;
	int			i;

	for (i = 0; i < length; i++)
	{
		if (tag[i] == '-' && group >= (i > 4 ? 1 : 2))
			group = 0;
		else if (isalpha((unsigned char) tag[i]) || (isdigit((unsigned char) tag[i]) && memchr(tag, '-', i)))
			group++;
		else
			return false;
		if (group > 8)
			return false;
	}
	return group > 0 && length >= 2;
}

static void
check_names(const Jsonb *names)
{
	JsonbIterator *it = JsonbIteratorInit(unconstify(JsonbContainer *, &names->root));
	JsonbIteratorToken token;
	JsonbValue	v;

	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY && !is_language_tag(v.val.string.val, v.val.string.len))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%.*s\" is not a language tag", v.val.string.len, v.val.string.val),
					 errdetail("The keys of names are language tags such as \"de\" or \"pt-BR\"."),
					 errhint("Write names as {\"de\": \"Bürgeramt\", \"en\": \"Citizens' office\"}.")));
		if (token != WJB_VALUE)
			continue;
		if (v.type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("names must contain texts only"),
					 errhint("Write names as {\"de\": \"Bürgeramt\", \"en\": \"Citizens' office\"}.")));
		(void) qms_arg_clean_name(pnstrdup(v.val.string.val, v.val.string.len), "a text in names");
	}
}

/* An id given to be set, or 0 to be removed. */
int64
qms_setup_id_or_0(const QmsSetup *setup, int n)
{
	FunctionCallInfo fcinfo = setup->call->fcinfo;
	int64		id = PG_GETARG_INT64(n);

	if (id < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", setup->arg_names[n]),
				 errhint("Give an id, or 0 for none.")));
	return id;
}

/* The elements of an array of one dimension without nulls. */
static Datum *
array_elements(Datum array, Oid type, const char *what, int *n)
{
	ArrayType  *value = DatumGetArrayTypeP(array);
	Datum	   *elements;
	bool	   *nulls;
	int			i;

	if (ARR_NDIM(value) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be an array of one dimension", what),
				 errhint("Write it as '{a,b}'.")));
	if (type == TEXTOID)
		deconstruct_array(value, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	else
		deconstruct_array(value, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, n);
	for (i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not contain nulls", what),
					 errhint("Leave the element out.")));
	}
	if (*n > MAX_WORDS)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_TOO_LARGE),
				 errmsg("%s has too many elements", what),
				 errdetail("It has %d; at most %d are kept.", *n, MAX_WORDS),
				 errhint("Give fewer elements.")));
	return elements;
}

/* A bigint[] of distinct ids. */
int64 *
qms_setup_ids(Datum array, const char *what, int *n)
{
	Datum	   *elements = array_elements(array, INT8OID, what, n);
	int64	   *ids = palloc(sizeof(int64) * Max(*n, 1));
	int			i;
	int			j;

	for (i = 0; i < *n; i++)
	{
		ids[i] = DatumGetInt64(elements[i]);
		for (j = 0; j < i; j++)
		{
			if (ids[i] == ids[j])
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("%s contains %lld twice", what, (long long) ids[i]),
						 errhint("Give each id once.")));
		}
	}
	return ids;
}

static void
check_branches(QmsSetup *setup, Datum array, const char *what)
{
	int			n;
	int64	   *ids = qms_setup_ids(array, what, &n);
	int			i;

	for (i = 0; i < n; i++)
	{
		if (qms_setup_branch(ids[i]) != setup->organization_id)
			qms_not_found("branch", ids[i]);
	}
}

/* Queues, or applications, of the organization. */
static void
check_ids(QmsSetup *setup, Datum array, const char *column, const char *what)
{
	static QmsPlan queue = QMS_PLAN(
									"SELECT q.organization_id FROM qms.queue q WHERE q.queue_id = $1 AND q.deleted_at IS NULL", INT8OID);
	static QmsPlan application = QMS_PLAN(
										  "SELECT a.organization_id FROM qms.application a "
										  "WHERE a.application_id = $1 AND a.deleted_at IS NULL", INT8OID);
	int			n;
	int64	   *ids = qms_setup_ids(array, column, &n);
	int			i;

	for (i = 0; i < n; i++)
	{
		if (qms_setup_organization_of(strcmp(what, "queue") == 0 ? &queue : &application, what, ids[i]) !=
			setup->organization_id)
			qms_not_found(what, ids[i]);
	}
}

/* Skills and the like: texts as they are written, compared letter by letter. */
static void
check_words(Datum array, const char *what)
{
	int			n;
	Datum	   *elements = array_elements(array, TEXTOID, what, &n);
	int			i;

	for (i = 0; i < n; i++)
	{
		char	   *word = TextDatumGetCString(elements[i]);

		if (strcmp(qms_arg_clean_name(word, psprintf("an element of %s", what)), word) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" in %s has spaces around it", word, what),
					 errhint("Write it without them: elements are compared as they are.")));
	}
}

static void
check_interval(QmsSetup *setup, QmsField *field, int column, int n)
{
	FunctionCallInfo fcinfo = setup->call->fcinfo;
	Interval   *value = PG_GETARG_INTERVAL_P(n);
	int64		usec = qms_interval_usec(value, field->name);

	if (field->kind == QMS_F_DURATION && usec == 0)
	{
		qms_row_set_null(setup->row, column);
		return;
	}
	if (usec > MAX_CREDIT || usec < -MAX_CREDIT || (field->kind == QMS_F_DURATION && usec < 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is out of range", field->name),
				 errdetail(field->kind == QMS_F_DURATION ?
						   "It must not be negative, and not longer than 366 days." :
						   "It must not be longer than 366 days in either direction."),
				 errhint("Write it as an interval, such as '10 minutes'.")));
	qms_row_set_pointer(setup->row, column, value);
}

/* A short text, or none. */
static void
set_code(QmsSetup *setup, QmsField *field, int column, int n)
{
	char	   *value = qms_arg_text_or_null(setup->call, n);

	if (*value == '\0')
		qms_row_set_null(setup->row, column);
	else if (field->kind == QMS_F_ZONE)
	{
		(void) qms_zone_by_name(value);
		qms_row_set_text(setup->row, column, value);
	}
	else
		qms_row_set_text(setup->row, column, qms_arg_clean_name(value, field->name));
}

static void
set_count(QmsSetup *setup, QmsField *field, int column, int n)
{
	int32		value = qms_arg_int32(setup->call, n, 0);

	if (value < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", field->name),
				 errhint("Give 0 for no limit.")));
	qms_row_set_int32(setup->row, column, value);
	if (value == 0)
		qms_row_set_null(setup->row, column);
}

/* Take one argument, which is not null, over into the row. */
static void
set_field(QmsSetup *setup, QmsField *field, int column, int n)
{
	QmsCall    *call = setup->call;
	Datum		value = call->fcinfo->args[n].value;

	switch (field->kind)
	{
		case QMS_F_NAME:
			qms_row_set_text(setup->row, column, qms_arg_clean_name(qms_arg_text(call, n, field->name), field->name));
			break;
		case QMS_F_SLUG:
			qms_slug_check(qms_arg_text(call, n, field->name));
			qms_row_set_datum(setup->row, column, value);
			break;
		case QMS_F_NAMES:
			check_names(qms_arg_jsonb(call, n, field->name));
			qms_row_set_datum(setup->row, column, value);
			break;
		case QMS_F_SETTINGS:
			qms_row_set_pointer(setup->row, column,
								qms_settings_merge(qms_setup_jsonb(setup->row, column),
												   qms_arg_jsonb(call, n, field->name)));
			break;
		case QMS_F_ZONE:
		case QMS_F_CODE:
			set_code(setup, field, column, n);
			break;
		case QMS_F_CREDIT:
		case QMS_F_DURATION:
			check_interval(setup, field, column, n);
			break;
		case QMS_F_COUNT:
			set_count(setup, field, column, n);
			break;
		case QMS_F_WORDS:
			check_words(value, field->name);
			qms_row_set_datum(setup->row, column, value);
			break;
		case QMS_F_BRANCHES:
			check_branches(setup, value, field->name);
			qms_row_set_datum(setup->row, column, value);
			break;
		case QMS_F_QUEUES:
		case QMS_F_APPLICATIONS:
			check_ids(setup, value, field->name, field->kind == QMS_F_QUEUES ? "queue" : "application");
			qms_row_set_datum(setup->row, column, value);
			break;
		case QMS_F_BOOL:
		case QMS_F_PLAIN:
			qms_row_set_datum(setup->row, column, value);
			break;
		case QMS_F_HELD:
		case QMS_F_OTHER:
			break;
	}
}

/* What a column that must not be null holds when nothing was given for it. */
static void
set_default(QmsSetup *setup, QmsField *field, int column)
{
	QmsJson		empty;

	switch (field->kind)
	{
		case QMS_F_NAME:
		case QMS_F_PLAIN:
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument %s of qms.%s must not be null", field->name, setup->call->function->name),
					 errhint("Give %s => a value.", field->name)));
			break;
		case QMS_F_NAMES:
		case QMS_F_SETTINGS:
			qms_json_begin(&empty);
			qms_row_set_pointer(setup->row, column, qms_json_end(&empty));
			break;
		case QMS_F_CREDIT:
			qms_row_set_interval(setup->row, column, 0);
			break;
		case QMS_F_BOOL:
			qms_row_set_bool(setup->row, column, false);
			break;
		case QMS_F_WORDS:
			qms_row_set_pointer(setup->row, column, construct_empty_array(TEXTOID));
			break;
		case QMS_F_BRANCHES:
		case QMS_F_QUEUES:
		case QMS_F_APPLICATIONS:
			qms_row_set_pointer(setup->row, column, construct_empty_array(INT8OID));
			break;
		default:
			break;
	}
}

/* Take all arguments over.  On a change, what is not given stays. */
void
qms_setup_apply(QmsSetup *setup)
{
	int			i;

	for (i = 0; i < setup->thing->nfields; i++)
	{
		QmsField   *field = &setup->thing->fields[i];
		int			n = qms_setup_argument(setup, field->name);

		if (field->kind == QMS_F_HELD)
			continue;
		setup->given[i] = n >= 0 && !qms_arg_isnull(setup->call, n);
		if (setup->given[i])
			set_field(setup, field, i, n);
		else if (setup->creating)
			set_default(setup, field, i);
	}
}
