/*
 * settings.c
 *		What can be set: names, ranges, defaults, and the check of each value.
 *		Where the values come from is in settings_read.c and settings_json.c.
 */
#include "net.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum SettingKind
{
	INTEGER, TEXT, LIST, DATABASE, HOSTS
} SettingKind;

typedef bool (*SettingCheck) (const char *value, QmsText *problem);

typedef struct Setting
{
	const char *name;
	SettingKind kind;
	size_t		offset;
	int			min,
				max;
	const char *fallback;
	SettingCheck check;
	const char *help;
} Setting;

static bool check_listen(const char *value, QmsText *problem);
static bool check_level(const char *value, QmsText *problem);

#ifndef QMS_PAGES
#define QMS_PAGES ""
#endif

#define AT(field) offsetof(QmsConfig, field)

static const Setting settings[] = {
	{"listen", LIST, AT(listen), 0, 0, "127.0.0.1:8080", check_listen, "host:port to listen on; several with commas"},
	{"database", DATABASE, 0, 0, 0, NULL, NULL, "connection string of a database, or \"name: connection string\"; repeatable"},
	{"host-map", HOSTS, 0, 0, 0, NULL, NULL, "host=database, ...: which database a host name is for (else the first)"},
	{"pages", TEXT, AT(pages), 0, 0, QMS_PAGES, NULL, "folder of the pages; empty: none"},
	{"max-connections", INTEGER, AT(max_connections), 1, 1000000, "20000", NULL, "clients at the same time"},
	{"max-connections-per-address", INTEGER, AT(max_connections_per_address), 1, 1000000, "1000", NULL, "clients of one address (IPv6: of one /64)"},
	{"max-frame-size", INTEGER, AT(max_frame_size), 1024, 16777216, "65536", NULL, "bytes of the longest message from a client"},
	{"max-commands-per-second", INTEGER, AT(max_commands_per_second), 1, 100000, "50", NULL, "commands of one client"},
	{"max-subscriptions", INTEGER, AT(max_subscriptions), 1, 10000, "100", NULL, "channels of one client"},
	{"max-requests-per-second", INTEGER, AT(max_requests_per_second), 1, 1000000, "200", NULL, "HTTP requests of one address, beside connecting"},
	{"ping-interval", INTEGER, AT(ping_interval), 0, 3600, "25", NULL, "seconds between pings to a client; 0: none"},
	{"pong-timeout", INTEGER, AT(pong_timeout), 1, 3600, "10", NULL, "seconds until a ping must be answered"},
	{"request-timeout", INTEGER, AT(request_timeout), 1, 3600, "10", NULL, "seconds until a connection must have sent its request"},
	{"allowed-origins", LIST, AT(allowed_origins), 0, 0, "", qms_origins_check, "origins of pages that may connect beside our own: https://app.example, https://*.example, or *"},
	{"tls-cert", TEXT, AT(tls_cert), 0, 0, "", NULL, "file with the certificate chain (PEM); with tls-key: listen with TLS"},
	{"tls-key", TEXT, AT(tls_key), 0, 0, "", NULL, "file with the private key (PEM)"},
	{"trusted-proxies", LIST, AT(trusted_proxies), 0, 0, "", qms_networks_check, "addresses and networks whose X-Forwarded-For is believed"},
	{"metrics-from", LIST, AT(metrics_from), 0, 0, "127.0.0.0/8, ::1", qms_networks_check, "addresses and networks that may read /metrics"},
	{"history-size", INTEGER, AT(history_size), 10, 1000000, "1000", NULL, "publications kept per channel"},
	{"send-threads", INTEGER, AT(send_threads), 0, 16, "0", NULL, "threads that send what is for many; 0: up to 4, as the machine has processors"},
	{"log-level", TEXT, AT(log_level), 0, 0, "info", check_level, "debug, info, warning or error"},
};

#define NSETTINGS ((int) (sizeof(settings) / sizeof(settings[0])))

/* A copy, or the end of the program. */
char *
qms_copy(const char *text)
{
	char	   *copy = strdup(text);

	if (copy == NULL)
		abort();
	return copy;
}

/* The next word between commas, without the blanks around it; false at the end of the list. */
bool
qms_list_next(const char **list, char *word, size_t size)
{
	const char *begin = *list + strspn(*list, ", \t");
	size_t		length = strcspn(begin, ",");

	*list = begin + length;
	while (length > 0 && (begin[length - 1] == ' ' || begin[length - 1] == '\t'))
		length--;
	if (length >= size)
		length = size - 1;
	memcpy(word, begin, length);
	word[length] = '\0';
	return length > 0;
}

/* "host:port" or "[::1]:port" or "*:port" into its two parts. */
bool
qms_listen_split(const char *word, char host[QMS_HOST_SIZE], char port[QMS_PORT_SIZE])
{
	const char *colon = strrchr(word, ':');
	size_t		length = colon == NULL ? 0 : (size_t) (colon - word);
	char	   *end;
	long		number;

	if (length == 0 || length >= QMS_HOST_SIZE || strlen(colon + 1) >= QMS_PORT_SIZE)
		return false;
	if (word[0] == '[' && word[length - 1] == ']')
	{
		word++;
		length -= 2;
	}
	else if (memchr(word, ':', length) != NULL)
		return false;
	memcpy(host, word, length);
	host[length] = '\0';
	strcpy(port, colon + 1);
	number = strtol(port, &end, 10);
	return length > 0 && *end == '\0' && port[0] >= '0' && port[0] <= '9' && number <= 65535;
}

/* Each word of listen is an address and a port. */
static bool
check_listen(const char *value, QmsText *problem)
{
	char		word[QMS_HOST_SIZE + QMS_PORT_SIZE + 8];
	char		host[QMS_HOST_SIZE],
				port[QMS_PORT_SIZE];
	int			n = 0;

	for (; qms_list_next(&value, word, sizeof(word)); n++)
		if (!qms_listen_split(word, host, port))
		{
			qms_text_printf(problem, "\"%s\" is not an address to listen on, such as 127.0.0.1:8080, [::1]:8080 or *:8080", word);
			return false;
		}
	if (n == 0)
		qms_text_puts(problem, "there must be an address to listen on, such as 127.0.0.1:8080");
	return n > 0;
}

/* A level of the log. */
static bool
check_level(const char *value, QmsText *problem)
{
	if (strcmp(value, "debug") == 0 || strcmp(value, "info") == 0 ||
		strcmp(value, "warning") == 0 || strcmp(value, "error") == 0)
		return true;
	qms_text_printf(problem, "must be debug, info, warning or error, not \"%s\"", value);
	return false;
}

/* A whole number in its range. */
static bool
set_integer(const Setting *setting, int *field, const char *value, QmsText *problem)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0 || number < setting->min || number > setting->max)
	{
		qms_text_printf(problem, "must be a whole number from %d to %d, not \"%s\"", setting->min, setting->max, value);
		return false;
	}
	*field = (int) number;
	return true;
}

/* The value of an option of a connection string, or null. */
static const char *
option_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0 && options->val != NULL && options->val[0] != '\0')
			return options->val;
	return NULL;
}

/* Whether it leads over TCP: the sandbox allows no Unix socket. */
static bool
is_remote(const PQconninfoOption *options)
{
	const char *host = option_of(options, "host");

	if (host == NULL)
		host = getenv("PGHOST");
	if (option_of(options, "hostaddr") != NULL || option_of(options, "service") != NULL)
		return true;
	return host != NULL && host[0] != '/' && host[0] != '@' && strstr(host, ",/") == NULL && strstr(host, ",@") == NULL;
}

/* The dbname of a connection string, or null; false if it is none. */
static bool
name_of_conninfo(const char *conninfo, char **name, QmsText *problem)
{
	char	   *error = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &error);
	bool		good;

	*name = NULL;
	if (options == NULL)
	{
		qms_text_puts(problem, "is not a connection string such as \"host=127.0.0.1 dbname=shop user=gateway\"");
		/* The library's message names the place, and may quote it. */
		if (error != NULL && strstr(conninfo, "pass") == NULL && strchr(conninfo, '@') == NULL)
			qms_text_printf(problem, ": %.*s", (int) strcspn(error, "\n"), error);
		PQfreemem(error);
		return false;
	}
	if (option_of(options, "dbname") != NULL)
		*name = qms_copy(option_of(options, "dbname"));
	good = is_remote(options);
	PQconninfoFree(options);
	if (!good)
		qms_text_puts(problem, "must name a host to connect to by TCP, such as host=127.0.0.1: the program may not use Unix sockets");
	return good;
}

/* One database more; its name is given, or the dbname of the connection string. */
bool
qms_settings_add_database(QmsConfig *config, const char *name, const char *conninfo, QmsText *problem)
{
	QmsConfigDatabase *databases;
	char	   *own_name = NULL;
	int			i;

	if (!name_of_conninfo(conninfo, &own_name, problem))
	{
		free(own_name);
		return false;
	}
	if (name != NULL || own_name == NULL)
	{
		free(own_name);
		own_name = qms_copy(name != NULL ? name : "default");
	}
	for (i = 0; i < config->ndatabases; i++)
		if (strcmp(config->databases[i].name, own_name) == 0)
		{
			qms_text_printf(problem, "there are two databases with the name \"%s\": write \"name: connection string\"", own_name);
			free(own_name);
			return false;
		}
	databases = realloc(config->databases, (config->ndatabases + 1) * sizeof(*databases));
	if (databases == NULL)
		abort();
	config->databases = databases;
	databases[config->ndatabases].name = own_name;
	databases[config->ndatabases++].conninfo = qms_copy(conninfo);
	return true;
}

/* One host name more, in lower case and without a port. */
bool
qms_settings_add_host(QmsConfig *config, const char *host, const char *database, QmsText *problem)
{
	QmsConfigHost *hosts;
	char	   *p;

	if (*host == '\0' || *database == '\0' || strlen(host) > 253 || host[strcspn(host, "/ \t@")] != '\0')
	{
		qms_text_printf(problem, "\"%s=%s\" is not a host name and a database, such as tenant.example=shop", host, database);
		return false;
	}
	hosts = realloc(config->hosts, (config->nhosts + 1) * sizeof(*hosts));
	if (hosts == NULL)
		abort();
	config->hosts = hosts;
	hosts[config->nhosts].host = qms_copy(host);
	for (p = hosts[config->nhosts].host; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p += 'a' - 'A';
	hosts[config->nhosts++].database = qms_copy(database);
	return true;
}

/* "conninfo" or "name: conninfo". */
static bool
set_database(QmsConfig *config, const char *value, QmsText *problem)
{
	size_t		length = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
	char		name[64];

	if (length == 0 || length >= sizeof(name) || strncmp(value + length, ": ", 2) != 0)
		return qms_settings_add_database(config, NULL, value, problem);
	memcpy(name, value, length);
	name[length] = '\0';
	return qms_settings_add_database(config, name, value + length + 2, problem);
}

/* "host=database, host=database". */
static bool
set_hosts(QmsConfig *config, const char *value, QmsText *problem)
{
	char		word[400];
	char	   *equal;

	while (qms_list_next(&value, word, sizeof(word)))
	{
		equal = strchr(word, '=');
		if (equal != NULL)
			*equal = '\0';
		if (!qms_settings_add_host(config, word, equal == NULL ? "" : equal + 1, problem))
			return false;
	}
	return true;
}

/* Sets one; the problem, if any, is a message that begins with the name. */
bool
qms_settings_set(QmsConfig *config, const char *name, const char *value, QmsText *problem)
{
	const Setting *setting = NULL;
	char	  **field;
	int			i;

	for (i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].name, name) == 0)
			setting = &settings[i];
	if (setting == NULL)
	{
		qms_text_printf(problem, "there is no setting \"%s\"", name);
		return false;
	}
	qms_text_printf(problem, "%s: ", name);
	if (setting->check != NULL && !setting->check(value, problem))
		return false;
	switch (setting->kind)
	{
		case INTEGER:
			if (!set_integer(setting, (int *) ((char *) config + setting->offset), value, problem))
				return false;
			break;
		case DATABASE:
			if (!set_database(config, value, problem))
				return false;
			break;
		case HOSTS:
			if (!set_hosts(config, value, problem))
				return false;
			break;
		case TEXT:
		case LIST:
			field = (char **) ((char *) config + setting->offset);
			free(*field);
			*field = qms_copy(value);
			break;
	}
	qms_text_clear(problem);
	return true;
}

/* The name of setting i, or null behind the last; whether it may be given more than once. */
const char *
qms_settings_name(int i, bool *repeatable)
{
	if (i >= NSETTINGS)
		return NULL;
	*repeatable = settings[i].kind == DATABASE || settings[i].kind == HOSTS;
	return settings[i].name;
}

/* A configuration with the default of every setting. */
QmsConfig *
qms_settings_new(void)
{
	QmsConfig  *config = calloc(1, sizeof(QmsConfig));
	QmsText		problem = {0};
	int			i;

	if (config == NULL)
		abort();
	for (i = 0; i < NSETTINGS; i++)
		if (settings[i].fallback != NULL && !qms_settings_set(config, settings[i].name, settings[i].fallback, &problem))
			abort();
	qms_text_free(&problem);
	return config;
}

/* No more needed; null is none. */
void
qms_settings_free(QmsConfig *config)
{
	int			i;

	if (config == NULL)
		return;
	for (i = 0; i < NSETTINGS; i++)
		if (settings[i].kind == TEXT || settings[i].kind == LIST)
			free(*(char **) ((char *) config + settings[i].offset));
	for (i = 0; i < config->ndatabases; i++)
	{
		free(config->databases[i].name);
		free(config->databases[i].conninfo);
	}
	for (i = 0; i < config->nhosts; i++)
	{
		free(config->hosts[i].host);
		free(config->hosts[i].database);
	}
	free(config->databases);
	free(config->hosts);
	free(config);
}

/* The lines of --help. */
void
qms_settings_help(FILE *to)
{
	int			i;

	for (i = 0; i < NSETTINGS; i++)
	{
		fprintf(to, "  --%-28s %s", settings[i].name, settings[i].help);
		if (settings[i].fallback != NULL && settings[i].fallback[0] != '\0')
			fprintf(to, " (default %s)", settings[i].fallback);
		fputc('\n', to);
	}
}

/* A file that must be readable. */
static bool
check_file(const char *name, const char *path, QmsText *problem)
{
	if (access(path, R_OK) == 0)
		return true;
	qms_text_printf(problem, "%s: could not read \"%s\": %s", name, path, strerror(errno));
	return false;
}

/* What must fit together, once all are set. */
bool
qms_settings_check(const QmsConfig *config, QmsText *problem)
{
	struct stat st;
	int			i,
				j;

	if (config->ndatabases == 0 && !config->supervised)
	{
		qms_text_puts(problem, "database: there must be one, such as --database \"host=127.0.0.1 dbname=shop user=gateway\"");
		return false;
	}
	for (i = 0; i < config->nhosts; i++)
	{
		for (j = 0; j < config->ndatabases; j++)
			if (strcmp(config->hosts[i].database, config->databases[j].name) == 0)
				break;
		if (j == config->ndatabases && !config->supervised)
		{
			qms_text_printf(problem, "host-map: there is no database \"%s\" for the host \"%s\"", config->hosts[i].database, config->hosts[i].host);
			return false;
		}
	}
	if ((config->tls_cert[0] == '\0') != (config->tls_key[0] == '\0'))
	{
		qms_text_puts(problem, "tls-cert and tls-key must be given both or not at all");
		return false;
	}
	if (config->tls_cert[0] != '\0' &&
		(!check_file("tls-cert", config->tls_cert, problem) || !check_file("tls-key", config->tls_key, problem)))
		return false;
	/* The folder that is the default may be missing: then there are no pages. */
	if (config->pages[0] != '\0' && strcmp(config->pages, QMS_PAGES) != 0 &&
		(stat(config->pages, &st) != 0 || !S_ISDIR(st.st_mode)))
	{
		qms_text_printf(problem, "pages: there is no folder \"%s\"", config->pages);
		return false;
	}
	return true;
}
