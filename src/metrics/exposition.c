/*
 * exposition.c
 *		Writes Prometheus' text format, version 0.0.4.
 */
#include "metrics/metrics.h"

#include <math.h>

#include "mb/pg_wchar.h"

/* HELP and TYPE; what follows is of this family.  Help is a constant of ours. */
void
qms_exposition_family(QmsExposition *x, const char *name, const char *type, const char *help)
{
	x->family = name;
	appendStringInfo(&x->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A sample of the family; labels and a value follow.  suffix: of a histogram, else "". */
void
qms_exposition_sample(QmsExposition *x, const char *suffix)
{
	appendStringInfo(&x->out, "%s%s", x->family, suffix);
	x->labelled = false;
	qms_exposition_label(x, "database", x->database);
}

/* In a database without an encoding nobody knows what the other half of bytes means. */
static char
clean(char c)
{
	return GetDatabaseEncoding() == PG_SQL_ASCII && IS_HIGHBIT_SET(c) ? '?' : c;
}

void
qms_exposition_label(QmsExposition *x, const char *name, const char *value)
{
	const char *c;

	if (value == NULL)
		return;
	appendStringInfo(&x->out, "%c%s=\"", x->labelled ? ',' : '{', name);
	x->labelled = true;
	for (c = value; *c != '\0'; c++)
	{
		if (*c == '\n')
			appendStringInfoString(&x->out, "\\n");
		else
		{
			if (*c == '\\' || *c == '"')
				appendStringInfoChar(&x->out, '\\');
			appendStringInfoChar(&x->out, clean(*c));
		}
	}
	appendStringInfoChar(&x->out, '"');
}

static void
end_labels(QmsExposition *x)
{
	appendStringInfoString(&x->out, x->labelled ? "} " : " ");
}

void
qms_exposition_int64(QmsExposition *x, int64 value)
{
	end_labels(x);
	appendStringInfo(&x->out, INT64_FORMAT "\n", value);
}

void
qms_exposition_float8(QmsExposition *x, double value)
{
	end_labels(x);
	if (isnan(value))
		appendStringInfoString(&x->out, "NaN\n");
	else if (isinf(value))
		appendStringInfoString(&x->out, value > 0 ? "+Inf\n" : "-Inf\n");
	else
		appendStringInfo(&x->out, "%.9g\n", value);
}

/* A moment, in seconds since 1970. */
void
qms_exposition_time(QmsExposition *x, TimestampTz value)
{
	end_labels(x);
	appendStringInfo(&x->out, "%.3f\n", qms_unix_usec(value) / 1e6);
}
