/*
 * settings_read.c
 *		Settings of a gateway that is run by hand: the file, over it the
 *		environment, over it the command line.
 */
#include "net.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_SIZE 8192

/* Which of the repeatable settings the source at hand has named already. */
typedef struct Source
{
	QmsConfig  *config;
	bool		databases;
	bool		hosts;
} Source;

/* A source that names databases or hosts names all of them. */
static bool
set(Source *source, const char *name, const char *value, QmsText *problem)
{
	QmsConfig  *config = source->config;

	if (strcmp(name, "database") == 0 && !source->databases)
	{
		source->databases = true;
		for (; config->ndatabases > 0; config->ndatabases--)
		{
			free(config->databases[config->ndatabases - 1].name);
			free(config->databases[config->ndatabases - 1].conninfo);
		}
	}
	if (strcmp(name, "host-map") == 0 && !source->hosts)
	{
		source->hosts = true;
		for (; config->nhosts > 0; config->nhosts--)
		{
			free(config->hosts[config->nhosts - 1].host);
			free(config->hosts[config->nhosts - 1].database);
		}
	}
	return qms_settings_set(config, name, value, problem);
}

/* The text without blanks around it and without one pair of quotes, in its place. */
static char *
trimmed(char *text)
{
	size_t		length;

	while (isspace((unsigned char) *text))
		text++;
	length = strlen(text);
	while (length > 0 && isspace((unsigned char) text[length - 1]))
		text[--length] = '\0';
	if (length >= 2 && text[0] == '\'' && text[length - 1] == '\'')
	{
		char	   *from = text + 1,
				   *to = text;

		text[length - 1] = '\0';
		while (*from != '\0')
		{
			if (from[0] == '\'' && from[1] == '\'')
				from++;
			*to++ = *from++;
		}
		*to = '\0';
	}
	return text;
}

/* "name = value"; an empty line and a comment are nothing. */
static bool
read_line(Source *source, char *line, QmsText *problem)
{
	char	   *name = line,
			   *equal,
			   *p;

	while (isspace((unsigned char) *name))
		name++;
	if (*name == '\0' || *name == '#')
		return true;
	equal = strchr(name, '=');
	if (equal == NULL)
	{
		qms_text_puts(problem, "a line must be \"name = value\"");
		return false;
	}
	*equal = '\0';
	name = trimmed(name);
	for (p = name; *p != '\0'; p++)
		if (*p == '_')
			*p = '-';
	return set(source, name, trimmed(equal + 1), problem);
}

/* The file; it may hold passwords, so others should not read it. */
static bool
read_file(QmsConfig *config, const char *path, QmsText *problem)
{
	Source		source = {config, false, false};
	FILE	   *file = fopen(path, "r");
	char	   *line = malloc(LINE_SIZE);
	struct stat st;
	bool		good = line != NULL && file != NULL;
	int			number = 0;
	int			i;

	if (file == NULL)
		qms_text_printf(problem, "could not open the file \"%s\": %s", path, strerror(errno));
	while (good && fgets(line, LINE_SIZE, file) != NULL)
	{
		QmsText		why = {0};

		number++;
		if (strlen(line) == LINE_SIZE - 1)
		{
			qms_text_puts(&why, "the line is too long");
			good = false;
		}
		else
			good = read_line(&source, line, &why);
		if (!good)
			qms_text_printf(problem, "%s:%d: %s", path, number, why.data);
		qms_text_free(&why);
	}
	if (good && fstat(fileno(file), &st) == 0 && (st.st_mode & S_IROTH) != 0)
		for (i = 0; i < config->ndatabases; i++)
			if (strstr(config->databases[i].conninfo, "password") != NULL)
			{
				qms_log(QMS_LOG_WARNING, "the settings file holds a password and everybody can read it", NULL,
						"Take the right from others: chmod o-r.");
				break;
			}
	if (file != NULL)
		fclose(file);
	free(line);
	return good;
}

/* QMS_GATEWAY_MAX_CONNECTIONS and so on; of what is repeatable there may be one a line. */
static bool
read_environment(QmsConfig *config, QmsText *problem)
{
	Source		source = {config, false, false};
	const char *name;
	bool		repeatable;
	int			i;

	for (i = 0; (name = qms_settings_name(i, &repeatable)) != NULL; i++)
	{
		char		variable[64] = "QMS_GATEWAY_";
		char	   *p = variable + strlen(variable);
		char	   *copy,
				   *line,
				   *rest;

		for (; *name != '\0'; name++)
			*p++ = *name == '-' ? '_' : (char) toupper((unsigned char) *name);
		*p = '\0';
		name = qms_settings_name(i, &repeatable);
		if (getenv(variable) == NULL)
			continue;
		copy = rest = qms_copy(getenv(variable));
		while ((line = repeatable ? strsep(&rest, "\n") : rest) != NULL)
		{
			QmsText		why = {0};

			if (!repeatable)
				rest = NULL;
			if ((!repeatable || *line != '\0') && !set(&source, name, line, &why))
			{
				qms_text_printf(problem, "%s: %s", variable, why.data);
				qms_text_free(&why);
				free(copy);
				return false;
			}
			qms_text_free(&why);
		}
		free(copy);
	}
	return true;
}

/* The settings for which the command line has a value. */
static bool
read_flags(QmsConfig *config, const QmsFlags *flags, QmsText *problem)
{
	Source		source = {config, false, false};
	int			i;

	for (i = 0; i < flags->n; i++)
	{
		QmsText		why = {0};
		bool		good = set(&source, flags->names[i], flags->values[i], &why);

		if (!good)
			qms_text_printf(problem, "--%s", why.data);
		qms_text_free(&why);
		if (!good)
			return false;
	}
	return true;
}

/* All settings, or null and what is wrong. */
QmsConfig *
qms_settings_read(const QmsFlags *flags, QmsText *problem)
{
	QmsConfig  *config = qms_settings_new();
	const char *file = flags->file != NULL ? flags->file : getenv("QMS_GATEWAY_CONFIG");

	if ((file == NULL || read_file(config, file, problem)) &&
		read_environment(config, problem) &&
		read_flags(config, flags, problem) &&
		qms_settings_check(config, problem))
		return config;
	qms_settings_free(config);
	return NULL;
}

/* The command line; false, and what is wrong, if it is not understood. */
bool
qms_flags_parse(int argc, char **argv, QmsFlags *flags, QmsText *problem)
{
	int			i;

	memset(flags, 0, sizeof(*flags));
	for (i = 1; i < argc; i++)
	{
		char	   *name = argv[i];
		char	   *value;

		if (strncmp(name, "--", 2) != 0 || flags->n == QMS_MAX_FLAGS)
		{
			qms_text_printf(problem, "unexpected argument \"%s\"", name);
			return false;
		}
		name += 2;
		if (strcmp(name, "help") == 0)
			flags->help = true;
		else if (strcmp(name, "version") == 0)
			flags->version = true;
		else if (strcmp(name, "check-config") == 0)
			flags->check = true;
		else if (strcmp(name, "supervised") == 0)
			flags->supervised = true;
		else
		{
			value = strchr(name, '=');
			if (value != NULL)
				*value++ = '\0';
			else if (i + 1 < argc)
				value = argv[++i];
			else
			{
				qms_text_printf(problem, "--%s needs a value", name);
				return false;
			}
			if (strcmp(name, "config") == 0)
				flags->file = value;
			else if (strcmp(name, "try-forbidden") == 0)
				flags->forbidden = value;
			else
			{
				flags->names[flags->n] = name;
				flags->values[flags->n++] = value;
			}
		}
	}
	return true;
}
