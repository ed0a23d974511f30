/*
 * hub.c
 *		The hub as a whole: databases and host names, the turn of the loop,
 *		beginning and end.
 */
#include "hub.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

QmsHub		qms_hub;

/* Memory set to zero; without it the program ends. */
void *
qms_alloc(size_t size)
{
	void	   *memory = calloc(1, size == 0 ? 1 : size);

	if (memory == NULL)
		abort();
	return memory;
}

/* A copy of a string. */
char *
qms_hub_copy(const char *text)
{
	size_t		size = strlen(text) + 1;

	return memcpy(qms_alloc(size), text, size);
}

/* Seconds since 1970. */
int64_t
qms_now_unix(void)
{
	return (int64_t) time(NULL);
}

/* Nanoseconds of the monotonic clock. */
int64_t
qms_now_ns(void)
{
	return (int64_t) uv_hrtime();
}

/* Keeps the loop from sleeping while the fan-out has more to do. */
static void
on_busy(uv_idle_t *handle)
{
	(void) handle;
}

/* Once each turn of the loop: what it gathered goes out. */
static void
on_turn(uv_check_t *handle)
{
	QmsDatabase *db;

	(void) handle;
	for (db = qms_hub.databases; db != NULL; db = db->next)
	{
		qms_check_flush(db);
		qms_load_flush(db);
	}
	qms_fanout_run();
	if (qms_fanout_is_done())
		uv_idle_stop(&qms_hub.busy);
}

/* There is something to do in this turn or the next. */
void
qms_hub_busy(void)
{
	if (qms_hub.started)
		uv_idle_start(&qms_hub.busy, on_busy);
}

/* Begin to serve a database. */
static void
add_database(const QmsConfigDatabase *config)
{
	QmsDatabase *db = qms_alloc(sizeof(QmsDatabase));
	QmsDatabase **last = &qms_hub.databases;

	while (*last != NULL)
		last = &(*last)->next;
	*last = db;
	db->name = qms_hub_copy(config->name);
	db->conninfo = qms_hub_copy(config->conninfo);
	qms_recheck_start(db);
	qms_stream_start(db);
}

/* Memory of a database that is no longer served. */
static void
free_database(QmsDatabase *db)
{
	QmsDatabase **at = &qms_hub.databases;
	int			i;

	while (*at != db)
		at = &(*at)->next;
	*at = db->next;
	qms_check_drop_all(db);
	for (i = 0; i < db->nbuckets; i++)
		while (db->by_name[i] != NULL)
			qms_channel_free(db->by_name[i]);
	free(db->by_name);
	free(db->by_canonical);
	free(db->name);
	free(db->conninfo);
	free(db->error);
	qms_text_free(&db->figures);
	qms_text_free(&db->figures_text);
	free(db);
}

/* A client of a database is gone; the last one of a doomed database closes the door. */
void
qms_hub_let_go(QmsDatabase *db)
{
	if (db->doomed && db->clients == NULL)
		free_database(db);
}

/* A database is no longer served: its clients are told why and go. */
static void
drop_database(QmsDatabase *db, int code)
{
	QmsClient  *client;

	db->doomed = true;
	qms_recheck_stop(db);
	qms_stream_stop(db);
	for (client = db->clients; client != NULL; client = client->next)
		qms_client_disconnect(client, code);
	qms_hub_let_go(db);
}

/* A database of that name, not doomed. */
static QmsDatabase *
find_database(const char *name)
{
	QmsDatabase *db;

	for (db = qms_hub.databases; db != NULL; db = db->next)
		if (!db->doomed && strcmp(db->name, name) == 0)
			return db;
	return NULL;
}

/* The database that a host name stands for; else the first. */
QmsDatabase *
qms_hub_database_of(const char *host)
{
	size_t		size = host == NULL ? 0 : strcspn(host, ":");
	QmsDatabase *db;
	int			i;

	/* An IPv6 address has colons of its own. */
	if (host != NULL && host[0] == '[' && strchr(host, ']') != NULL)
		size = strchr(host, ']') - host + 1;
	for (i = 0; i < qms_hub.nhosts && host != NULL; i++)
		if (strlen(qms_hub.hosts[i].host) == size && strncasecmp(qms_hub.hosts[i].host, host, size) == 0)
			return find_database(qms_hub.hosts[i].database);
	for (db = qms_hub.databases; db != NULL && db->doomed;)
		db = db->next;
	return db;
}

/* Take over settings that are numbers, and the host names. */
static void
take_settings(const QmsConfig *config)
{
	int			i;

	qms_hub.max_commands_per_second = config->max_commands_per_second > 0 ? config->max_commands_per_second : 50;
	qms_hub.max_subscriptions = config->max_subscriptions > 0 ? config->max_subscriptions : 100;
	qms_hub.ping_interval = config->ping_interval;
	qms_hub.pong_timeout = config->pong_timeout;
	qms_hub.history_size = config->history_size > 0 ? config->history_size : 1000;
	for (i = 0; i < qms_hub.nhosts; i++)
	{
		free(qms_hub.hosts[i].host);
		free(qms_hub.hosts[i].database);
	}
	free(qms_hub.hosts);
	qms_hub.nhosts = config->nhosts;
	qms_hub.hosts = qms_alloc(config->nhosts * sizeof(QmsConfigHost));
	for (i = 0; i < config->nhosts; i++)
	{
		qms_hub.hosts[i].host = qms_hub_copy(config->hosts[i].host);
		qms_hub.hosts[i].database = qms_hub_copy(config->hosts[i].database);
	}
}

/* Begin. */
void
qms_hub_init(const QmsConfig *config, uv_loop_t *loop)
{
	int			i;

	memset(&qms_hub, 0, sizeof(qms_hub));
	qms_hub.loop = loop;
	/* Both read random bytes once, which a sandbox may forbid later. */
	json_object_seed(0);
	srand((unsigned) uv_hrtime());
	uv_check_init(loop, &qms_hub.turn);
	uv_check_start(&qms_hub.turn, on_turn);
	uv_unref((uv_handle_t *) &qms_hub.turn);
	uv_idle_init(loop, &qms_hub.busy);
	uv_unref((uv_handle_t *) &qms_hub.busy);
	qms_hub.started = true;
	take_settings(config);
	for (i = 0; i < config->ndatabases; i++)
		add_database(&config->databases[i]);
}

/* The settings changed: databases come, go, or have another password. */
void
qms_hub_reload(const QmsConfig *config)
{
	QmsDatabase *db = qms_hub.databases;
	int			i;

	take_settings(config);
	while (db != NULL)
	{
		QmsDatabase *next = db->next;
		bool		stays = db->doomed;

		for (i = 0; i < config->ndatabases; i++)
			stays = stays || strcmp(config->databases[i].name, db->name) == 0;
		if (!stays)
			drop_database(db, QMS_DISCONNECT_FORCE_RECONNECT);
		db = next;
	}
	for (i = 0; i < config->ndatabases; i++)
	{
		db = find_database(config->databases[i].name);
		if (db == NULL)
			add_database(&config->databases[i]);
		else if (strcmp(db->conninfo, config->databases[i].conninfo) != 0)
		{
			free(db->conninfo);
			db->conninfo = qms_hub_copy(config->databases[i].conninfo);
			qms_link_restart(db->stream);
			qms_link_restart(db->work);
		}
	}
}

/* The end: all clients are told. */
void
qms_hub_stop(void)
{
	QmsDatabase *db = qms_hub.databases;

	qms_hub.stopping = true;
	while (db != NULL)
	{
		QmsDatabase *next = db->next;

		if (!db->doomed)
			drop_database(db, QMS_DISCONNECT_SHUTDOWN);
		db = next;
	}
	if (qms_hub.started)
	{
		uv_check_stop(&qms_hub.turn);
		uv_idle_stop(&qms_hub.busy);
		uv_close((uv_handle_t *) &qms_hub.turn, NULL);
		uv_close((uv_handle_t *) &qms_hub.busy, NULL);
	}
	qms_hub.started = false;
}

/* Can it serve anybody? */
bool
qms_hub_ready(void)
{
	const QmsDatabase *db;

	for (db = qms_hub.databases; db != NULL; db = db->next)
		if (db->streaming && qms_link_is_up(db->work))
			return true;
	return false;
}
