/*
 * gateway_messages.c
 *		What the program says: lines of JSON on its standard output, anything on
 *		its standard error.
 *
 * It talks to the whole world, so it is not believed more than it has to be: a
 * line that cannot be read is dropped, what goes into the log is clean text and
 * not more of it than a log can bear, and a figure is a figure.
 */
#include "worker/gateway.h"
#include "auth/auth.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#define LINES_PER_TURN 200
#define LOG_BURST 200			/* lines at once, */
#define LOG_RATE 20				/* and then per second */
#define MAX_LOGGED 1000			/* bytes of a text */
#define REPEAT_AFTER_MS (60 * 60 * 1000)

static bool ready = false;
static bool given_up = false;
static bool misses_database = false;
static char complaint[QMS_ERROR_SIZE];	/* the last one that was logged, */
static TimestampTz complained_at = 0;	/* and when */

/* A program has just been started. */
void
qms_gateway_begin_messages(void)
{
	ready = given_up = misses_database = false;
}

bool
qms_gateway_is_ready(void)
{
	return ready;
}

bool
qms_gateway_has_given_up(void)
{
	return given_up;
}

/* It says that it cannot connect to one of its databases. */
bool
qms_gateway_misses_database(void)
{
	return misses_database;
}

/* Printable, one line, valid UTF-8, not too long; in place. */
static char *
clean(char *text)
{
	size_t		length = strlen(text);
	bool		is_utf8;
	size_t		i;

	if (length > MAX_LOGGED)
		length = pg_encoding_mbcliplen(PG_UTF8, text, length, MAX_LOGGED);
	text[length] = '\0';
	is_utf8 = pg_encoding_verifymbstr(PG_UTF8, text, length) == (int) length;
	for (i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (c < ' ' || c == 0x7f)
			text[i] = ' ';
		else if (IS_HIGHBIT_SET(c) && !is_utf8)
			text[i] = '?';
	}
	return text;
}

/* May one more line go into the log?  What may not is counted, and the number told. */
static bool
may_log(void)
{
	static TimestampTz at = 0;
	static double tokens = LOG_BURST;
	static int64 dropped = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (now > at)
		tokens = Min(tokens + (double) (now - at) / USECS_PER_SEC * LOG_RATE, LOG_BURST);
	at = now;
	if (tokens < 1)
	{
		dropped++;
		return false;
	}
	tokens--;
	if (dropped > 0)
		ereport(WARNING,
				(errmsg("qms_gateway: %lld more lines were not logged", (long long) dropped)));
	dropped = 0;
	return true;
}

static void
log_message(const Jsonb *json)
{
	char	   *level = qms_jsonb_text(json, "level");
	char	   *message = qms_jsonb_text(json, "message");
	char	   *detail = qms_jsonb_text(json, "detail");
	char	   *hint = qms_jsonb_text(json, "hint");

	if (message == NULL || !may_log())
		return;
	/* What it says at all is a matter of qms.gateway_log_level, not of log_min_messages. */
	if (level != NULL && (strcmp(level, "warning") == 0 || strcmp(level, "error") == 0))
		ereport(WARNING,
				(errmsg("qms_gateway: %s", clean(message)),
				 detail ? errdetail("%s", clean(detail)) : 0,
				 hint ? errhint("%s", clean(hint)) : 0));
	else
		ereport(LOG,
				(errmsg("qms_gateway: %s", clean(message)),
				 detail ? errdetail("%s", clean(detail)) : 0,
				 hint ? errhint("%s", clean(hint)) : 0));
}

/*
 * Something keeps the gateway from running: in the status, and in the log, but
 * there once an hour only while it is the same.
 */
void
qms_gateway_complain(const char *message, const char *detail, const char *hint)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		is_same = strncmp(complaint, message, QMS_ERROR_SIZE - 1) == 0 && complained_at <= now &&
		now < TimestampTzPlusMilliseconds(complained_at, REPEAT_AFTER_MS);

	qms_gateway_note_error(message);
	qms_gateway_note_state(QMS_GATEWAY_FAILED, NULL);
	if (is_same)
		return;
	ereport(WARNING,
			(errmsg("qms gateway: %s", message),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0));
	strlcpy(complaint, message, QMS_ERROR_SIZE);
	complained_at = now;
}

/* What was wrong is not any more, or somebody has changed something. */
void
qms_gateway_forget_complaint(void)
{
	complaint[0] = '\0';
}

/* It cannot go on, and says why; it ends by itself. */
static void
give_up(const Jsonb *json)
{
	char	   *message = qms_jsonb_text(json, "message");
	char	   *detail = qms_jsonb_text(json, "detail");
	char	   *hint = qms_jsonb_text(json, "hint");

	given_up = true;
	message = clean(message ? message : pstrdup("the program gave up"));
	if (hint != NULL)
		hint = clean(hint);
	else if (strstr(message, "listen") != NULL)
		hint = "Another program, or the gateway of another server, uses the address: end it, or set qms.gateway_listen. It is tried again within a minute.";
	qms_gateway_complain(message, detail ? clean(detail) : NULL, hint);
}

/* The system would not run it at all. */
static void
note_exec(const Jsonb *json)
{
	char	   *number = qms_jsonb_text(json, "errno");
	char	   *path = qms_gateway_program_path();

	given_up = true;
	qms_gateway_complain(psprintf("could not execute \"%s\": %s", path, strerror(number ? atoi(number) : 0)), NULL,
						 "Install qms_gateway, or set qms.gateway_program, or qms.gateway = off.");
}

static void
read_count(const Jsonb *json, const char *key, int64 *place)
{
	(void) qms_jsonb_int64(json, key, place);
}

static double
read_lag(const Jsonb *json)
{
	JsonbValue	buffer;
	JsonbValue *v = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &json->root), "lag_ms", 6, &buffer);

	if (v == NULL || v->type != jbvNumeric)
		return -1;
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(v->val.numeric)));
}

/* What gateways say of themselves; also of others, see gateway_status.c. */
void
qms_gateway_read_figures(const Jsonb *json, QmsGatewayFigures *figures)
{
	memset(figures, 0, sizeof(*figures));
	figures->at = GetCurrentTimestamp();
	read_count(json, "connections", &figures->connections);
	read_count(json, "subscriptions", &figures->subscriptions);
	read_count(json, "messages", &figures->messages);
	read_count(json, "bytes", &figures->bytes);
	read_count(json, "drops", &figures->drops);
	figures->lag_ms = read_lag(json);
}

/* One entry of the list of databases; false if it is none of ours. */
static bool
read_database(const JsonbValue *v, QmsGatewayDatabase *database)
{
	Jsonb	   *json = v->type == jbvBinary ? JsonbValueToJsonb(unconstify(JsonbValue *, v)) : NULL;
	char	   *name = json ? qms_jsonb_text(json, "name") : NULL;
	char	   *error = json ? qms_jsonb_text(json, "error") : NULL;

	memset(database, 0, sizeof(*database));
	database->database = name ? qms_gateway_database_named(name) : InvalidOid;
	if (!OidIsValid(database->database))
		return false;
	if (!qms_jsonb_bool(json, "connected", &database->connected) || !database->connected)
		misses_database = true;
	read_count(json, "position", &database->position);
	if (error != NULL)
	{
		clean(error);
		strlcpy(database->error, error, pg_encoding_mbcliplen(PG_UTF8, error, strlen(error), QMS_ERROR_SIZE - 1) + 1);
	}
	return true;
}

static void
note_status(const Jsonb *json)
{
	static QmsGatewayDatabase list[QMS_MAX_DATABASES];
	Jsonb	   *databases = qms_jsonb_object(json, "databases");
	QmsGatewayFigures figures;
	int			n = 0;
	uint32		i;

	qms_gateway_read_figures(json, &figures);
	misses_database = false;
	for (i = 0; databases != NULL && JB_ROOT_IS_ARRAY(databases) && i < JB_ROOT_COUNT(databases) && n < QMS_MAX_DATABASES; i++)
	{
		if (read_database(getIthJsonbValueFromContainer(&databases->root, i), &list[n]))
			n++;
	}
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	qms_gateway_shared->figures = figures;
	memcpy(qms_gateway_shared->databases, list, sizeof(QmsGatewayDatabase) * n);
	if (n < QMS_MAX_DATABASES)
		qms_gateway_shared->databases[n].database = InvalidOid;
	LWLockRelease(qms_gateway_shared->lock);
}

static void
note_ready(const Jsonb *json)
{
	char	   *listen = qms_jsonb_text(json, "listen");

	ready = true;
	listen = clean(listen ? listen : pstrdup("?"));
	qms_gateway_note_listening(listen);
	qms_gateway_forget_complaint();
	ereport(LOG,
			(errmsg("qms gateway: the program (PID %d) listens on %s", (int) qms_program_pid(), listen)));
}

/* It is of another version, or not ours. */
static void
note_nonsense(char *line)
{
	static TimestampTz noted_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (noted_at != 0 && now < TimestampTzPlusMilliseconds(noted_at, REPEAT_AFTER_MS))
		return;
	noted_at = now;
	ereport(WARNING,
			(errmsg("qms gateway: the program says something that is not understood"),
			 errdetail("%s", clean(line)),
			 errhint("Is \"%s\" of the same version as qms?", qms_gateway_program_path())));
}

static void
read_message(char *line)
{
	const char *why;
	Jsonb	   *json = qms_strict_json(line, strlen(line), &why);
	char	   *type = json ? qms_jsonb_text(json, "type") : NULL;

	if (type == NULL)
		note_nonsense(line);
	else if (strcmp(type, "ready") == 0)
		note_ready(json);
	else if (strcmp(type, "status") == 0)
		note_status(json);
	else if (strcmp(type, "log") == 0)
		log_message(json);
	else if (strcmp(type, "fatal") == 0)
		give_up(json);
	else if (strcmp(type, "exec") == 0)
		note_exec(json);
	/* "alive" has been heard, and that is all. */
}

/* Read what it has said, up to some lines; true if there may be more. */
bool
qms_gateway_read_messages(void)
{
	bool		is_error;
	char	   *line;
	int			n;

	for (n = 0; n < LINES_PER_TURN && (line = qms_program_line(&is_error)) != NULL; n++)
	{
		qms_alive_hear();
		if (!is_error)
			read_message(line);
		else if (*line != '\0' && may_log())
			ereport(LOG,
					(errmsg("qms_gateway: %s", clean(line))));
	}
	return n == LINES_PER_TURN;
}
