/*
 * gateway_settings.c
 *		Settings of the gateway: qms.gateway and qms.gateway_*.  Most are for the
 *		program and are handed over to it as they are.
 */
#include "worker/gateway.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/json.h"

#define LEAST_HANG_TIMEOUT 3	/* seconds */

typedef struct Text
{
	const char *name;			/* behind "qms.gateway_", and of the program */
	const char *initial;
	GucStringCheckHook check;
	bool		restarts;		/* a running program cannot take another value */
	const char *short_text;
	const char *long_text;
	char	   *value;
} Text;

typedef struct Number
{
	const char *name;
	int			initial;
	int			least;
	int			most;
	int			flags;
	bool		restarts;
	const char *short_text;
	const char *long_text;
	int			value;
} Number;

enum
{
	LISTEN, PAGES, ORIGINS, PROXIES, METRICS, CERT, KEY, TEXTS
};

static Text texts[TEXTS] = {
	{"listen", "127.0.0.1:8080", qms_gateway_check_listen, true,
		"Addresses and ports that the gateway listens on.",
		"A list, separated by commas: 127.0.0.1:8080, [::1]:8080, *:8080. It listens on loopback only unless told otherwise.", NULL},
	{"pages", "", qms_gateway_check_path, false,
		"Folder with the pages that the gateway serves.",
		"An absolute path; empty: the pages that come with qms.", NULL},
	{"allowed_origins", "", qms_gateway_check_origins, false,
		"Origins of web pages that may connect to the gateway, besides its own.",
		"A list, separated by commas, such as https://tickets.example.org; * allows all.", NULL},
	{"trusted_proxies", "", qms_gateway_check_proxies, false,
		"Networks of proxies that the gateway believes where a client is (x-forwarded-for).",
		"A list of addresses and networks, separated by commas. Empty: nobody is believed.", NULL},
	{"metrics_from", "127.0.0.0/8, ::1", qms_gateway_check_proxies, false,
		"Networks that may read the figures of the gateway at /metrics.",
		"A list of addresses and networks, separated by commas. Empty: nobody may.", NULL},
	{"tls_cert", "", qms_gateway_check_path, true,
		"File with the certificate chain of the gateway.",
		"An absolute path; empty: no TLS.", NULL},
	{"tls_key", "", qms_gateway_check_path, true,
		"File with the private key of the gateway.",
		"An absolute path. The server's user reads it.", NULL}
};

static Number numbers[] = {
	{"max_connections", 20000, 1, 1000000, 0, true,
		"Connections that the gateway takes at a time.", NULL, 0},
	{"max_connections_per_address", 1000, 1, 1000000, 0, false,
		"Of these, connections from one address.", NULL, 0},
	{"max_frame_size", 65536, 1024, 16777216, GUC_UNIT_BYTE, false,
		"Size of a message that the gateway takes from a client.", NULL, 0},
	{"max_commands_per_second", 50, 1, 100000, 0, false,
		"Commands that the gateway takes from one client in a second.", NULL, 0},
	{"max_subscriptions", 100, 1, 10000, 0, false,
		"Channels that one client may be subscribed to.", NULL, 0},
	{"max_requests_per_second", 200, 1, 1000000, 0, false,
		"HTTP requests that the gateway takes from one address in a second, besides new connections of clients.", NULL, 0},
	{"ping_interval", 25, 0, 3600, GUC_UNIT_S, false,
		"Time between two pings of the gateway to a client; 0: no pings.", NULL, 0},
	{"pong_timeout", 10, 1, 3600, GUC_UNIT_S, false,
		"Time within which a client must answer a ping.", NULL, 0},
	{"request_timeout", 10, 1, 3600, GUC_UNIT_S, false,
		"Time within which a connection must have sent its request.", NULL, 0},
	{"history_size", 1000, 10, 1000000, 0, false,
		"Publications of each channel that the gateway keeps for clients that come back.", NULL, 0},
	{"send_threads", 0, 0, 16, 0, true,
		"Threads of the gateway that send what is for many clients; 0: up to 4, as the machine has processors.", NULL, 0}
};

static const struct config_enum_entry log_levels[] = {
	{"debug", 0, false}, {"info", 1, false}, {"warning", 2, false}, {"error", 3, false}, {NULL, 0, false}
};

static bool is_on = true;
static char *program = NULL;
static char *hosts = NULL;
static int	log_level = 1;
static int	hang_timeout = 60;

/* Less than that is no sign of anything. */
static bool
check_hang_timeout(int *newval, void **extra pg_attribute_unused(), GucSource source pg_attribute_unused())
{
	if (*newval == 0 || *newval >= LEAST_HANG_TIMEOUT)
		return true;
	GUC_check_errdetail("It is at least %d seconds, or 0 for none.", LEAST_HANG_TIMEOUT);
	return false;
}

void
qms_gateway_define_settings(void)
{
	size_t		i;

	DefineCustomBoolVariable("qms.gateway",
							 "Keeps the program qms_gateway running, which tells browsers and phones of changes.",
							 "It runs on the primary, while some database has the extension.",
							 &is_on, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("qms.gateway_program",
							   "The program qms_gateway.",
							   "An absolute path; empty: qms_gateway in the folder of the server's own program.",
							   &program, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, qms_gateway_check_path, NULL, NULL);
	DefineCustomStringVariable("qms.gateway_hosts",
							   "Which host name belongs to which database.",
							   "A list, separated by commas, of host=database; *=database is for all other names. Empty: all names belong to the first database.",
							   &hosts, "", PGC_SIGHUP, 0, qms_gateway_check_hosts, NULL, NULL);
	DefineCustomEnumVariable("qms.gateway_log_level",
							 "What the gateway says in the server's log.",
							 NULL, &log_level, 1, log_levels, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("qms.gateway_hang_timeout",
							"Time without a sign of life after which the gateway is killed and started again.",
							"0: however long it says nothing, it is left alone.",
							&hang_timeout, 60, 0, 3600, PGC_SIGHUP, GUC_UNIT_S, check_hang_timeout, NULL, NULL);
	for (i = 0; i < TEXTS; i++)
		DefineCustomStringVariable(psprintf("qms.gateway_%s", texts[i].name), texts[i].short_text, texts[i].long_text,
								   &texts[i].value, texts[i].initial, PGC_SIGHUP, 0, texts[i].check, NULL, NULL);
	for (i = 0; i < lengthof(numbers); i++)
		DefineCustomIntVariable(psprintf("qms.gateway_%s", numbers[i].name), numbers[i].short_text, numbers[i].long_text,
								&numbers[i].value, numbers[i].initial, numbers[i].least, numbers[i].most,
								PGC_SIGHUP, numbers[i].flags, NULL, NULL, NULL);
}

bool
qms_gateway_is_on(void)
{
	return is_on;
}

/* Seconds; 0: off. */
int
qms_gateway_hang_timeout(void)
{
	return hang_timeout;
}

/* Where the program is, in the current memory context. */
char *
qms_gateway_program_path(void)
{
	char		folder[MAXPGPATH];

	if (*program != '\0')
		return pstrdup(program);
	strlcpy(folder, my_exec_path, MAXPGPATH);
	get_parent_directory(folder);
	return psprintf("%s/qms_gateway", folder);
}

bool
qms_gateway_has_certificate(void)
{
	return *texts[CERT].value != '\0';
}

/* The database of all host names that have none of their own. */
const char *
qms_gateway_default_database(void)
{
	char	   *rest = *hosts ? pstrdup(hosts) : NULL;
	char	   *word;

	while ((word = qms_gateway_next_word(&rest)) != NULL)
	{
		if (strncmp(word, "*=", 2) == 0)
			return word + 2;
	}
	return NULL;
}

/* ,"key":"value" */
void
qms_gateway_write_member(StringInfo json, const char *key, const char *value)
{
	appendStringInfo(json, ",\"%s\":", key);
	escape_json(json, value);
}

/* The pages that come with qms. */
static char *
default_pages(void)
{
	char		share[MAXPGPATH];

	get_share_path(my_exec_path, share);
	return psprintf("%s/extension/qms-web", share);
}

/* The settings as members of an object: all of them, an empty one means nothing of that kind. */
void
qms_gateway_write_settings(StringInfo json)
{
	size_t		i;

	for (i = 0; i < TEXTS; i++)
	{
		char	   *value = i == PAGES && *texts[i].value == '\0' ? default_pages() : texts[i].value;

		qms_gateway_write_member(json, texts[i].name, value);
	}
	for (i = 0; i < lengthof(numbers); i++)
		appendStringInfo(json, ",\"%s\":%d", numbers[i].name, numbers[i].value);
	qms_gateway_write_member(json, "log_level", log_levels[log_level].name);
}

/* Host names are ASCII. */
static char *
lower_case(char *name)
{
	char	   *c;

	for (c = name; *c != '\0'; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	return name;
}

/* Which host name belongs to which database, as a member of an object. */
void
qms_gateway_write_hosts(StringInfo json)
{
	char	   *rest = *hosts ? pstrdup(hosts) : NULL;
	const char *comma = "";
	char	   *word;

	appendStringInfoString(json, ",\"hosts\":{");
	while ((word = qms_gateway_next_word(&rest)) != NULL)
	{
		char	   *sign = strchr(word, '=');

		if (*word == '*')
			continue;
		*sign = '\0';
		appendStringInfoString(json, comma);
		escape_json(json, lower_case(word));
		appendStringInfoChar(json, ':');
		escape_json(json, sign + 1);
		comma = ",";
	}
	appendStringInfoChar(json, '}');
}

/* Another value, and a running program has to be replaced. */
uint64
qms_gateway_restart_key(void)
{
	StringInfoData text;
	size_t		i;

	initStringInfo(&text);
	appendStringInfo(&text, "%s\n", program);
	for (i = 0; i < TEXTS; i++)
	{
		if (texts[i].restarts)
			appendStringInfo(&text, "%s\n", texts[i].value);
	}
	for (i = 0; i < lengthof(numbers); i++)
	{
		if (numbers[i].restarts)
			appendStringInfo(&text, "%d\n", numbers[i].value);
	}
	return DatumGetUInt64(hash_any_extended((unsigned char *) text.data, text.len, 0));
}
