/*
 * database.c
 *		Connections to a database on the loop: connecting, asking, listening, and
 *		again after a loss.  Nothing here waits.
 *
 * A database has two: one listens and reads events, the other asks about
 * rights and snapshots, so that a slow snapshot never holds up an event.
 */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

typedef struct QmsQuery
{
	struct QmsQuery *next;
	QmsStatement statement;
	QmsQueryDone done;
	char	   *values[QMS_MAX_PARAMS];
} QmsQuery;

typedef enum LinkState
{
	LINK_DOWN, LINK_CONNECTING, LINK_SETTING_UP, LINK_UP
} LinkState;

struct QmsLink
{
	QmsDatabase *db;
	const char *purpose;
	bool		listen;
	const QmsLinkEvents *events;
	LinkState	state;
	PGconn	   *conn;
	uv_poll_t  *poll;
	QmsTimer	timer;			/* backoff, or the patience with what is under way */
	int			backoff;
	bool		complained;
	bool		prepared[QMS_STATEMENTS];
	QmsQuery   *first;
	QmsQuery   *last;
	bool		asked;			/* the first one is under way */
	bool		preparing;		/* its statement is */
	PGresult   *result;
};

static const struct
{
	const char *name;
	const char *sql;
	int			nparams;
}			statements[QMS_STATEMENTS] = {
	[QMS_SQL_HELLO] = {"qms_hello",
		"SELECT epoch, last_position, pruned_position FROM qms_internal.gateway_hello()", 0},
	[QMS_SQL_EVENTS] = {"qms_events",
		"SELECT position, organization_id, branch_id, zone_id, queue_id, application_id, visit_id, "
		"is_system, recheck, public_text, full_text, system_text, visit_text, "
		"other_queue_id, resnapshot, at_us "
		"FROM qms_internal.gateway_events(after_position => $1::bigint, epoch => $2::text, "
	"max_rows => $3::integer, figures_of => $4::bigint[], patience => $5::integer)", 5},
	[QMS_SQL_CHECK] = {"qms_check",
		"SELECT n, code, expires_at, organization_id, subject, "
		"pg_catalog.array_to_string(channels, E'\\n'), canonical "
	"FROM qms_internal.gateway_check(requests => $1::jsonb)", 1},
	[QMS_SQL_CHANNELS] = {"qms_channels",
		"SELECT channel, kind, position, epoch, body "
	"FROM qms_internal.gateway_channels(channels => $1::text[], max_rows => $2::integer)", 2}
};

#define SETUP \
	"SELECT pg_catalog.set_config('search_path', 'pg_catalog', false), " \
	"pg_catalog.set_config('statement_timeout', '25s', false), " \
	"pg_catalog.set_config('lock_timeout', '5s', false), " \
	"pg_catalog.set_config('default_transaction_read_only', 'off', false)"

static void pump(QmsLink *link);
static void watch(QmsLink *link, int events);
static void connect_now(void *arg);

/* The watcher's memory, once libuv is through with it. */
static void
on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

/* No more news of the socket; libpq may close it then. */
static void
unwatch(QmsLink *link)
{
	if (link->poll == NULL)
		return;
	uv_poll_stop(link->poll);
	uv_close((uv_handle_t *) link->poll, on_poll_closed);
	link->poll = NULL;
}

/* What libpq says, on one line. */
static void
complain(QmsLink *link, const char *message)
{
	char		detail[512];
	size_t		i;

	if (link->complained)
		return;
	link->complained = true;
	snprintf(detail, sizeof(detail), "%s (%s): %s", link->db->name, link->purpose,
			 link->conn == NULL ? "no memory" : PQerrorMessage(link->conn));
	for (i = strlen(detail); i > 0 && (detail[i - 1] == '\n' || detail[i - 1] == ' '); i--)
		detail[i - 1] = '\0';
	for (i = 0; detail[i] != '\0'; i++)
		if (detail[i] == '\n')
			detail[i] = ' ';
	free(link->db->error);
	link->db->error = qms_hub_copy(detail);
	qms_log(QMS_LOG_WARNING, message, detail,
			"The gateway tries again by itself; clients keep their connections.");
}

/* The connection is gone: whoever waits is told, and after a while a new one is made. */
static void
lost(QmsLink *link)
{
	bool		was_up = link->state == LINK_UP;
	QmsQuery   *query;

	unwatch(link);
	PQclear(link->result);
	link->result = NULL;
	PQfinish(link->conn);
	link->conn = NULL;
	link->state = LINK_DOWN;
	link->asked = link->preparing = false;
	memset(link->prepared, 0, sizeof(link->prepared));
	if (was_up)
		link->events->down(link->db);
	while ((query = link->first) != NULL)
	{
		int			i;

		link->first = query->next;
		query->done(link->db, NULL);
		for (i = 0; i < QMS_MAX_PARAMS; i++)
			free(query->values[i]);
		free(query);
	}
	link->last = NULL;
	qms_hub.counters.reconnects++;
	qms_wheel_add(&link->timer, link->backoff + rand() % link->backoff, connect_now, link);
	link->backoff = link->backoff * 2 > QMS_BACKOFF_MOST ? QMS_BACKOFF_MOST : link->backoff * 2;
}

/* Too long without an answer. */
static void
on_impatience(void *arg)
{
	QmsLink    *link = arg;

	complain(link, link->state == LINK_UP ? "a database does not answer" : "could not connect to a database in time");
	lost(link);
}

/* Write what libpq still has; watch for what comes next. */
static bool
flush(QmsLink *link)
{
	int			rc = PQflush(link->conn);

	if (rc < 0)
		return false;
	watch(link, rc > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
	return true;
}

/* The server took us in: settings of the session, and the doorbell. */
static bool
set_up(QmsLink *link)
{
	link->state = LINK_SETTING_UP;
	qms_wheel_add(&link->timer, QMS_QUERY_MS, on_impatience, link);
	return PQsetnonblocking(link->conn, 1) == 0 &&
		PQsendQuery(link->conn, link->listen ? "LISTEN qms; " SETUP : SETUP) == 1 &&
		flush(link);
}

/* One result of the set-up; null: it is done. */
static bool
set_up_result(QmsLink *link, PGresult *result)
{
	if (result == NULL)
	{
		qms_wheel_cancel(&link->timer);
		link->state = LINK_UP;
		link->backoff = QMS_BACKOFF_FIRST;
		if (link->complained)
			qms_log(QMS_LOG_INFO, "connected to a database again", link->db->name, NULL);
		link->complained = false;
		link->events->up(link->db);
		pump(link);
		return true;
	}
	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		complain(link, "could not set up a session");
		return false;
	}
	return true;
}

/* The first query has its last result. */
static void
finish_query(QmsLink *link)
{
	QmsQuery   *query = link->first;
	PGresult   *result = link->result;
	int			i;

	link->asked = false;
	link->result = NULL;
	qms_wheel_cancel(&link->timer);
	if (link->preparing)
	{
		link->preparing = false;
		if (PQresultStatus(result) == PGRES_COMMAND_OK)
		{
			link->prepared[query->statement] = true;
			PQclear(result);
			return;
		}
	}
	link->first = query->next;
	if (link->first == NULL)
		link->last = NULL;
	query->done(link->db, result);
	PQclear(result);
	for (i = 0; i < QMS_MAX_PARAMS; i++)
		free(query->values[i]);
	free(query);
}

/* Everything that has arrived; false: the connection is broken. */
static bool
take_results(QmsLink *link)
{
	while ((link->state == LINK_SETTING_UP || link->asked) && PQisBusy(link->conn) == 0)
	{
		PGresult   *result = PQgetResult(link->conn);

		if (link->state == LINK_SETTING_UP)
		{
			bool		fine = set_up_result(link, result);

			PQclear(result);
			if (!fine)
				return false;
		}
		else if (result == NULL)
		{
			finish_query(link);
			pump(link);
			/* pump may have found it broken */
			if (link->conn == NULL)
				return true;
		}
		else
		{
			/* Only one is expected; of several the last one counts, as in PQexec. */
			PQclear(link->result);
			link->result = result;
		}
	}
	return true;
}

/* Readable or writable, while connected. */
static void
on_ready(uv_poll_t *handle, int status, int events)
{
	QmsLink    *link = handle->data;
	PGnotify   *notify;
	bool		rung = false;

	(void) events;
	if (status < 0 || PQconsumeInput(link->conn) == 0)
	{
		complain(link, "lost the connection to a database");
		lost(link);
		return;
	}
	if (!take_results(link))
	{
		lost(link);
		return;
	}

	/*
	 * After the results, not before: a notification that comes right behind
	 * the end of a query in the same read shows only once that is taken, and
	 * nothing says that the socket is readable again.
	 */
	while (link->conn != NULL && (notify = PQnotifies(link->conn)) != NULL)
	{
		rung = true;
		PQfreemem(notify);
	}
	if (rung && link->state == LINK_UP)
		link->events->notified(link->db);
	if (link->conn != NULL && (PQstatus(link->conn) != CONNECTION_OK || !flush(link)))
	{
		complain(link, "lost the connection to a database");
		lost(link);
	}
}

/* Readable or writable, while connecting. */
static void
on_connecting(uv_poll_t *handle, int status, int events)
{
	QmsLink    *link = handle->data;
	PostgresPollingStatusType next;

	(void) status;
	(void) events;
	/* libpq may go on to the next host with another socket of the same number. */
	unwatch(link);
	next = PQconnectPoll(link->conn);
	if (next == PGRES_POLLING_READING)
		watch(link, UV_READABLE);
	else if (next == PGRES_POLLING_WRITING)
		watch(link, UV_WRITABLE);
	else if (next != PGRES_POLLING_OK || !set_up(link))
	{
		complain(link, "could not connect to a database");
		lost(link);
	}
}

/* News of the socket from here on. */
static void
watch(QmsLink *link, int events)
{
	if (link->poll == NULL)
	{
		uv_poll_t  *poll = qms_alloc(sizeof(uv_poll_t));

		if (uv_poll_init(qms_hub.loop, poll, PQsocket(link->conn)) != 0)
		{
			free(poll);
			return;				/* the timer finds out */
		}
		poll->data = link;
		link->poll = poll;
	}
	uv_poll_start(link->poll, events, link->state == LINK_CONNECTING ? on_connecting : on_ready);
}

/* Notices of the server are nobody's business here. */
static void
ignore_notice(void *arg, const PGresult *result)
{
	(void) arg;
	(void) result;
}

/* Begin to connect. */
static void
connect_now(void *arg)
{
	QmsLink    *link = arg;

	link->conn = qms_link_begin(link->db->conninfo);
	if (link->conn == NULL || PQstatus(link->conn) == CONNECTION_BAD)
	{
		complain(link, "could not connect to a database");
		lost(link);
		return;
	}
	PQsetNoticeReceiver(link->conn, ignore_notice, NULL);
	link->state = LINK_CONNECTING;
	qms_wheel_add(&link->timer, QMS_QUERY_MS / 2, on_impatience, link);
	watch(link, UV_WRITABLE);
}

/* Send the first query if nothing is under way. */
static void
pump(QmsLink *link)
{
	QmsQuery   *query = link->first;
	const char *const *values;
	int			sent;

	if (link->state != LINK_UP || link->asked || query == NULL)
		return;
	values = (const char *const *) query->values;
	if (link->prepared[query->statement])
		sent = PQsendQueryPrepared(link->conn, statements[query->statement].name,
								   statements[query->statement].nparams, values, NULL, NULL, 0);
	else
	{
		link->preparing = true;
		sent = PQsendPrepare(link->conn, statements[query->statement].name,
							 statements[query->statement].sql, 0, NULL);
	}
	link->asked = true;
	qms_wheel_add(&link->timer, QMS_QUERY_MS, on_impatience, link);
	if (sent != 1 || !flush(link))
	{
		complain(link, "lost the connection to a database");
		lost(link);
	}
}

/* Ask; the answer comes from the loop, also if the connection is down. */
void
qms_link_query(QmsLink *link, QmsStatement statement, const char *const *values, QmsQueryDone done)
{
	QmsQuery   *query = qms_alloc(sizeof(QmsQuery));
	int			i;

	query->statement = statement;
	query->done = done;
	for (i = 0; i < statements[statement].nparams; i++)
		query->values[i] = qms_hub_copy(values[i]);
	if (link->last == NULL)
		link->first = query;
	else
		link->last->next = query;
	link->last = query;
	pump(link);
}

/* A connection that makes itself. */
QmsLink *
qms_link_new(QmsDatabase *db, const char *purpose, bool listen, const QmsLinkEvents *events)
{
	QmsLink    *link = qms_alloc(sizeof(QmsLink));

	link->db = db;
	link->purpose = purpose;
	link->listen = listen;
	link->events = events;
	link->backoff = QMS_BACKOFF_FIRST;
	connect_now(link);
	return link;
}

/* Is it up?  Then a query goes out now. */
bool
qms_link_is_up(const QmsLink *link)
{
	return link != NULL && link->state == LINK_UP;
}

/* The settings changed. */
void
qms_link_restart(QmsLink *link)
{
	link->complained = false;
	link->backoff = QMS_BACKOFF_FIRST;
	if (link->state == LINK_DOWN)
		qms_wheel_add(&link->timer, 0, connect_now, link);
	else
		lost(link);
}

/* The end; whoever waits is told. */
void
qms_link_free(QmsLink *link)
{
	if (link == NULL)
		return;
	if (link->state != LINK_DOWN)
		lost(link);
	qms_wheel_cancel(&link->timer);
	free(link);
}
