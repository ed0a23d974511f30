/*
 * strict.c
 *		base64url and JSON, read so that two readers cannot see two things in one
 *		text.  No text raises an error here: it may come from anybody.
 */
#include "auth/auth.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#define MAX_DEPTH 8
#define MAX_NUMBER_LENGTH 18	/* so that every number fits into a bigint */

/* ---- base64url without padding (RFC 4648 section 5) ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *
qms_base64url_encode(const uint8 *bytes, int size)
{
	char	   *text = palloc(size / 3 * 4 + 4 + 1);
	char	   *c = text;
	uint32		buffer = 0;
	int			bits = 0;
	int			i;

	for (i = 0; i < size; i++)
	{
		buffer = (buffer << 8) | bytes[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*c++ = alphabet[(buffer >> (bits - 6)) & 63];
	}
	if (bits > 0)
		*c++ = alphabet[(buffer << (6 - bits)) & 63];
	*c = '\0';
	return text;
}

/* The bytes of a text; NULL unless it is the one text that encodes them. */
uint8 *
qms_base64url_decode(const char *text, int length, int *size)
{
	uint8	   *bytes = palloc(length / 4 * 3 + 3 + 1);
	uint32		buffer = 0;
	int			bits = 0;
	int			i;

	*size = 0;
	for (i = 0; i < length; i++)
	{
		const char *found = text[i] != '\0' ? strchr(alphabet, text[i]) : NULL;

		if (found == NULL)
			return NULL;
		buffer = (buffer << 6) | (uint32) (found - alphabet);
		bits += 6;
		if (bits >= 8)
		{
			bits -= 8;
			bytes[(*size)++] = (uint8) (buffer >> bits);
		}
	}
	/* One character too many, or bits behind the last byte that are not zero. */
	if (bits >= 6 || (buffer & ((1U << bits) - 1)) != 0)
		return NULL;
	bytes[*size] = '\0';
	return bytes;
}

/* ---- JSON, strictly ---- */

typedef struct Level
{
	JsonbIteratorToken value;	/* what a value is here: WJB_VALUE in an object, WJB_ELEM in an array */
	List	   *names;			/* so far, of an object */
} Level;

typedef struct Reading
{
	JsonbParseState *state;
	JsonbValue *root;
	int			depth;
	Level		levels[MAX_DEPTH + 1];
	const char *why;			/* the first thing that is wrong */
} Reading;

static void
begin(Reading *reading, JsonbIteratorToken token, JsonbIteratorToken value)
{
	/* Deeper nesting has been refused before. */
	Level	   *level = &reading->levels[++reading->depth];

	level->names = NIL;
	level->value = value;
	reading->root = pushJsonbValue(&reading->state, token, NULL);
}

static void
end(Reading *reading, JsonbIteratorToken token)
{
	reading->depth--;
	reading->root = pushJsonbValue(&reading->state, token, NULL);
}

static void
begin_object(void *state)
{
	begin(state, WJB_BEGIN_OBJECT, WJB_VALUE);
}

static void
end_object(void *state)
{
	end(state, WJB_END_OBJECT);
}

static void
begin_array(void *state)
{
	begin(state, WJB_BEGIN_ARRAY, WJB_ELEM);
}

static void
end_array(void *state)
{
	end(state, WJB_END_ARRAY);
}

static void
begin_member(void *state, char *name, bool isnull pg_attribute_unused())
{
	Reading    *reading = state;
	Level	   *level = &reading->levels[reading->depth];
	JsonbValue	v;
	ListCell   *cell;

	foreach(cell, level->names)
	{
		if (strcmp(lfirst(cell), name) == 0 && reading->why == NULL)
			reading->why = "a name is there twice";
	}
	level->names = lappend(level->names, name);
	v.type = jbvString;
	v.val.string.val = name;
	v.val.string.len = strlen(name);
	pushJsonbValue(&reading->state, WJB_KEY, &v);
}

static void
read_number(Reading *reading, const char *token, JsonbValue *v)
{
	v->type = jbvNull;
	if (strlen(token) > MAX_NUMBER_LENGTH || strpbrk(token, "eE") != NULL)
	{
		if (reading->why == NULL)
			reading->why = "a number is too large";
		return;
	}
	v->type = jbvNumeric;
	v->val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(token),
														 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static void
read_scalar(void *state, char *token, JsonTokenType type)
{
	Reading    *reading = state;
	JsonbValue	v;

	/* A single value alone is not what anybody wants here. */
	if (reading->depth == 0)
		return;
	v.type = jbvNull;
	if (type == JSON_TOKEN_STRING)
	{
		v.type = jbvString;
		v.val.string.val = token;
		v.val.string.len = strlen(token);
	}
	else if (type == JSON_TOKEN_NUMBER)
		read_number(reading, token, &v);
	else if (type != JSON_TOKEN_NULL)
	{
		v.type = jbvBool;
		v.val.boolean = type == JSON_TOKEN_TRUE;
	}
	pushJsonbValue(&reading->state, reading->levels[reading->depth].value, &v);
}

/* Before the parser, which calls itself for each level, sees it; brackets in strings do not count. */
static bool
is_nested_too_deep(const char *text, int length)
{
	bool		in_string = false;
	int			depth = 0;
	int			i;

	for (i = 0; i < length; i++)
	{
		char		c = text[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
		{
			if (++depth > MAX_DEPTH)
				return true;
		}
		else if (!in_string && (c == '}' || c == ']'))
			depth--;
	}
	return false;
}

/* Can this text become strings of the database without an error?  JSON is UTF-8. */
static bool
has_good_characters(const char *text, int length)
{
	int			i;

	if (memchr(text, '\0', length) != NULL)
		return false;
	if (GetDatabaseEncoding() == PG_UTF8)
		return pg_encoding_verifymbstr(PG_UTF8, text, length) == length;
	for (i = 0; i < length; i++)
	{
		if (IS_HIGHBIT_SET(text[i]) || (text[i] == '\\' && i + 1 < length && text[i + 1] == 'u'))
			return false;
	}
	return true;
}

/*
 * A JSON object, read so that two readers cannot see two things in it: no name
 * twice, no deep nesting, no number that is not exactly one.  NULL, and why,
 * for anything else.  Raises no error, whatever the text is.
 */
Jsonb *
qms_strict_json(const char *text, int length, const char **why)
{
	Reading		reading = {0};
	JsonSemAction actions = {0};
	JsonLexContext *lex;

	*why = "it is not readable as JSON";
	if (!has_good_characters(text, length))
		return NULL;
	if (is_nested_too_deep(text, length))
	{
		*why = "it is nested too deep";
		return NULL;
	}
	actions.semstate = &reading;
	actions.object_start = begin_object;
	actions.object_end = end_object;
	actions.array_start = begin_array;
	actions.array_end = end_array;
	actions.object_field_start = begin_member;
	actions.scalar = read_scalar;
	lex = makeJsonLexContextCstringLen(unconstify(char *, text), length, PG_UTF8, true);
	if (pg_parse_json(lex, &actions) != JSON_SUCCESS)
		return NULL;
	*why = reading.why;
	if (reading.why == NULL && (reading.root == NULL || reading.root->type != jbvObject))
		*why = "it is not a JSON object";
	return *why == NULL ? JsonbValueToJsonb(reading.root) : NULL;
}
