/*
 * arguments.c
 *		Arguments of a call, checked.
 */
#include "auth/auth.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

/* Larger values in a ticket would make every call that reads it slow. */
#define MAX_JSON_SIZE	16384
#define MAX_TEXT_SIZE	4096
#define MAX_NAME		200

static pg_attribute_noreturn() void
null_argument(QmsCall *call, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("argument %s of qms.%s must not be null", name, call->function->name),
			 errdetail("There is nothing that a null could stand for here."),
			 errhint("Give %s => a value.", name)));
}

bool
qms_arg_isnull(QmsCall *call, int n)
{
	FunctionCallInfo fcinfo = call->fcinfo;

	return PG_ARGISNULL(n);
}

int64
qms_arg_id_or_0(QmsCall *call, int n, const char *name)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	int64		id;

	if (PG_ARGISNULL(n))
		return 0;
	id = PG_GETARG_INT64(n);
	if (id <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be positive, not %lld", name, (long long) id),
				 errdetail("Ids begin with 1."),
				 errhint("Ids are the numbers that the create functions answered.")));
	return id;
}

int64
qms_arg_id(QmsCall *call, int n, const char *name)
{
	if (qms_arg_isnull(call, n))
		null_argument(call, name);
	return qms_arg_id_or_0(call, n, name);
}

char *
qms_arg_text_or_null(QmsCall *call, int n)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	text	   *value;

	if (PG_ARGISNULL(n))
		return NULL;
	value = PG_GETARG_TEXT_PP(n);
	if (VARSIZE_ANY_EXHDR(value) > MAX_TEXT_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_TOO_LARGE),
				 errmsg("a text argument of qms.%s is too large", call->function->name),
				 errdetail("It has %d bytes; at most %d are kept.",
						   (int) VARSIZE_ANY_EXHDR(value), MAX_TEXT_SIZE),
				 errhint("Keep long texts elsewhere and store a reference.")));
	return text_to_cstring(value);
}

char *
qms_arg_text(QmsCall *call, int n, const char *name)
{
	char	   *value = qms_arg_text_or_null(call, n);

	if (value == NULL)
		null_argument(call, name);
	if (*value == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name),
				 errdetail("An empty text names nothing."),
				 errhint("Give %s => a text.", name)));
	return value;
}

int32
qms_arg_int32(QmsCall *call, int n, int32 if_null)
{
	FunctionCallInfo fcinfo = call->fcinfo;

	return PG_ARGISNULL(n) ? if_null : PG_GETARG_INT32(n);
}

bool
qms_arg_bool(QmsCall *call, int n, bool if_null)
{
	FunctionCallInfo fcinfo = call->fcinfo;

	return PG_ARGISNULL(n) ? if_null : PG_GETARG_BOOL(n);
}

TimestampTz
qms_arg_time(QmsCall *call, int n)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	TimestampTz value;

	if (PG_ARGISNULL(n))
		return QMS_NO_TIME;
	value = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_NOT_FINITE(value))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a timestamp argument of qms.%s must be finite", call->function->name),
				 errdetail("Neither infinity nor -infinity is a moment."),
				 errhint("Give a moment, or leave the argument out.")));
	return value;
}

Jsonb *
qms_arg_jsonb(QmsCall *call, int n, const char *name)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	Jsonb	   *value;

	if (PG_ARGISNULL(n))
		return NULL;
	value = PG_GETARG_JSONB_P(n);
	if (VARSIZE(value) > MAX_JSON_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_TOO_LARGE),
				 errmsg("%s is too large", name),
				 errdetail("It takes %d bytes; at most %d are kept.", (int) VARSIZE(value), MAX_JSON_SIZE),
				 errhint("Keep documents elsewhere and store a reference.")));
	if (!JB_ROOT_IS_OBJECT(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", name),
				 errdetail("It is an array or a single value."),
				 errhint("Write it as {\"key\": value}.")));
	return value;
}

/* One of a few words was expected. */
void
qms_arg_choice_error(const char *name, const char *value, const char *choices)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown %s \"%s\"", name, value),
			 errdetail("Known are %s.", choices),
			 errhint("Use one of them.")));
}

/* A name that people read: trimmed, 1 to 200 characters, none of them a control character. */
char *
qms_arg_clean_name(const char *value, const char *what)
{
	const char *end = value + strlen(value);
	const char *p;
	int			length;

	while (*value == ' ' || *value == '\t' || *value == '\n' || *value == '\r')
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n' || end[-1] == '\r'))
		end--;
	length = pg_mbstrlen_with_len(value, end - value);
	if (length < 1 || length > MAX_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have 1 to %d characters", what, MAX_NAME),
				 errdetail("It has %d, without spaces around it.", length),
				 errhint("Give a shorter text, or one that is not empty.")));
	for (p = value; p < end; p++)
	{
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must not contain control characters", what),
					 errdetail("It is shown on one line."),
					 errhint("Give a text of one line.")));
	}
	return pnstrdup(value, end - value);
}
