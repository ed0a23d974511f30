/*
 * settings_json.c
 *		Settings of the supervised form: one JSON object with the names of the
 *		settings (with _ for -), "databases" and "hosts".
 */
#include "net.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A value as text: strings, numbers, and lists of strings with commas between them. */
static bool
value_text(json_t *value, QmsText *text)
{
	size_t		i;
	json_t	   *item;

	if (json_is_string(value))
		qms_text_puts(text, json_string_value(value));
	else if (json_is_integer(value))
		qms_text_printf(text, "%lld", (long long) json_integer_value(value));
	else if (json_is_array(value))
	{
		qms_text_puts(text, "");
		json_array_foreach(value, i, item)
		{
			if (!json_is_string(item))
				return false;
			qms_text_printf(text, "%s%s", i == 0 ? "" : ", ", json_string_value(item));
		}
	}
	else
		return false;
	return true;
}

/* "databases":[{"name","conninfo"}] */
static bool
set_databases(QmsConfig *config, json_t *list, QmsText *problem)
{
	size_t		i;
	json_t	   *item;

	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *conninfo = json_string_value(json_object_get(item, "conninfo"));

		if (name == NULL || conninfo == NULL)
		{
			qms_text_puts(problem, "databases: each must have a name and a conninfo");
			return false;
		}
		if (!qms_settings_add_database(config, name, conninfo, problem))
			return false;
	}
	return true;
}

/* "hosts":{"host":"database"} */
static bool
set_hosts(QmsConfig *config, json_t *map, QmsText *problem)
{
	const char *host;
	json_t	   *database;

	json_object_foreach(map, host, database)
	{
		const char *name = json_string_value(database);

		if (!qms_settings_add_host(config, host, name == NULL ? "" : name, problem))
			return false;
	}
	return true;
}

/* How often the supervisor wants a sign of life; nobody else can set it. */
static bool
set_alive_every(QmsConfig *config, json_t *value, QmsText *problem)
{
	json_int_t	every = json_integer_value(value);

	if (!json_is_integer(value) || (every != 0 && every < 100) || every > 3600000)
	{
		qms_text_puts(problem, "alive_every: must be milliseconds, 0 or from 100 to 3600000");
		return false;
	}
	config->alive_every = (int) every;
	return true;
}

/* One member of the object; a name that is not known is only warned about. */
static bool
set_member(QmsConfig *config, const char *key, json_t *value, QmsText *problem)
{
	char		name[64];
	char	   *p;
	QmsText		text = {0};
	bool		good,
				repeatable;
	int			i;

	if (strcmp(key, "type") == 0 || json_is_null(value))
		return true;
	if (strcmp(key, "databases") == 0)
		return set_databases(config, value, problem);
	if (strcmp(key, "hosts") == 0)
		return set_hosts(config, value, problem);
	if (strcmp(key, "alive_every") == 0)
		return set_alive_every(config, value, problem);
	strncpy(name, key, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (p = name; *p != '\0'; p++)
		if (*p == '_')
			*p = '-';
	for (i = 0; qms_settings_name(i, &repeatable) != NULL; i++)
		if (strcmp(qms_settings_name(i, &repeatable), name) == 0)
			break;
	if (qms_settings_name(i, &repeatable) == NULL)
	{
		qms_log(QMS_LOG_WARNING, "the supervisor sent a setting that is not known", name, NULL);
		return true;
	}
	good = value_text(value, &text);
	if (!good)
		qms_text_printf(problem, "%s: must be a string or a number", name);
	else
		good = qms_settings_set(config, name, text.data, problem);
	qms_text_free(&text);
	return good;
}

/* All settings of a line of the supervisor, or null and what is wrong. */
QmsConfig *
qms_settings_of_json(const char *line, size_t size, QmsText *problem)
{
	QmsConfig  *config = qms_settings_new();
	json_error_t error;
	json_t	   *object = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
	json_t	   *value;
	const char *key;
	const char *type = json_string_value(json_object_get(object, "type"));
	bool		good = true;

	config->supervised = true;
	if (type == NULL || strcmp(type, "config") != 0)
	{
		/* The line may hold passwords: it is not quoted. */
		qms_text_puts(problem, "the supervisor sent a line that is no settings");
		good = false;
	}
	if (good)
		json_object_foreach(object, key, value)
			if (good)
				good = set_member(config, key, value, problem);
	if (good)
		good = qms_settings_check(config, problem);
	json_decref(object);
	if (good)
		return config;
	qms_settings_free(config);
	return NULL;
}
