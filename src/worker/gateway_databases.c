/*
 * gateway_databases.c
 *		The databases that the gateway serves: those in which qms is at work,
 *		as the launcher's slots say; and how it connects to them.
 */
#include "worker/gateway.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

typedef struct Served
{
	Oid			oid;
	bool		blocked;		/* somebody needs it for himself; it comes back */
	int			failures;		/* to set the login through it */
	char		name[NAMEDATALEN];
} Served;

static Served databases[QMS_MAX_DATABASES];
static int	ndatabases = 0;

static int
compare(const void *a, const void *b)
{
	Oid			one = ((const Served *) a)->oid;
	Oid			other = ((const Served *) b)->oid;

	return one < other ? -1 : one > other;
}

/* One that is being looked at again is what it was. */
static bool
was_served(Oid database)
{
	int			i;

	for (i = 0; i < ndatabases; i++)
	{
		if (databases[i].oid == database)
			return true;
	}
	return false;
}

/* A copy of the slots that count, in "list". */
static int
copy_slots(Served *list)
{
	int			n = 0;
	int			i;

	LWLockAcquire(qms_worker_shared->lock, LW_SHARED);
	for (i = 0; i < QMS_MAX_DATABASES; i++)
	{
		const QmsDatabaseSlot *slot = &qms_worker_shared->databases[i];

		if (slot->database == InvalidOid || slot->excluded)
			continue;
		if (slot->state != QMS_DB_ACTIVE && !(slot->state == QMS_DB_UNKNOWN && was_served(slot->database)))
			continue;
		list[n].oid = slot->database;
		list[n].blocked = slot->blocked_by != 0;
		list[n].failures = slot->workers[QMS_LOGIN].failures;
		n++;
	}
	LWLockRelease(qms_worker_shared->lock);
	return n;
}

/* See which databases there are now, and what they are called. */
void
qms_gateway_look_at_databases(void)
{
	static Served list[QMS_MAX_DATABASES];
	MemoryContext context = CurrentMemoryContext;
	int			n = copy_slots(list);
	int			i;

	ndatabases = 0;
	StartTransactionCommand();
	for (i = 0; i < n; i++)
	{
		char	   *name = get_database_name(list[i].oid);

		/* Dropped meanwhile, or of a name that cannot be said in JSON. */
		if (name == NULL || pg_encoding_verifymbstr(PG_UTF8, name, strlen(name)) != (int) strlen(name))
			continue;
		strlcpy(list[i].name, name, NAMEDATALEN);
		databases[ndatabases++] = list[i];
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	qsort(databases, ndatabases, sizeof(Served), compare);
}

int
qms_gateway_count_databases(void)
{
	return ndatabases;
}

/* The database to set the login through; *failures: how often that went wrong. */
Oid
qms_gateway_best_database(int *failures)
{
	const Served *best = NULL;
	int			i;

	for (i = 0; i < ndatabases; i++)
	{
		if (!databases[i].blocked && (best == NULL || databases[i].failures < best->failures))
			best = &databases[i];
	}
	*failures = best ? best->failures : 0;
	return best ? best->oid : InvalidOid;
}

Oid
qms_gateway_database_named(const char *name)
{
	int			i;

	for (i = 0; i < ndatabases; i++)
	{
		if (strcmp(databases[i].name, name) == 0)
			return databases[i].oid;
	}
	return InvalidOid;
}

/* An address of this machine that the server listens on; false if there is none. */
bool
qms_gateway_find_server(char *host, Size size)
{
	char	   *copy = pstrdup(ListenAddresses ? ListenAddresses : "");
	List	   *names;
	ListCell   *cell;

	*host = '\0';
	if (!SplitGUCList(copy, ',', &names))
		return false;
	foreach(cell, names)
	{
		const char *name = lfirst(cell);

		if (strcmp(name, "*") == 0 || strcmp(name, "0.0.0.0") == 0 || strcmp(name, "127.0.0.1") == 0 ||
			pg_strcasecmp(name, "localhost") == 0)
			strlcpy(host, "127.0.0.1", size);
		else if ((strcmp(name, "::") == 0 || strcmp(name, "::1") == 0) && *host == '\0')
			strlcpy(host, "::1", size);
	}
	return *host != '\0';
}

/* In libpq's quotes. */
static void
append_quoted(StringInfo text, const char *value)
{
	const char *c;

	appendStringInfoChar(text, '\'');
	for (c = value; *c != '\0'; c++)
	{
		if (*c == '\'' || *c == '\\')
			appendStringInfoChar(text, '\\');
		appendStringInfoChar(text, *c);
	}
	appendStringInfoChar(text, '\'');
}

/* Over loopback nothing has to be encrypted; where pg_hba.conf asks for TLS, it is. */
static void
write_conninfo(StringInfo json, const Served *database, const char *host)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "host=%s port=%d dbname=", host, PostPortNumber);
	append_quoted(&text, database->name);
	appendStringInfo(&text, " user=%s password=%s application_name=qms_gateway connect_timeout=10 sslmode=allow gssencmode=disable",
					 QMS_GATEWAY_LOGIN, qms_gateway_shared->password);
	appendStringInfoString(json, ",\"conninfo\":");
	escape_json(json, text.data);
	explicit_bzero(text.data, text.len);
	pfree(text.data);
}

static void
write_database(StringInfo json, const Served *database, const char *host)
{
	appendStringInfoString(json, json->data[json->len - 1] == '[' ? "{\"name\":" : ",{\"name\":");
	escape_json(json, database->name);
	write_conninfo(json, database, host);
	appendStringInfoChar(json, '}');
}

/* The databases as a member of an object: the one for all other host names first, then the older ones. */
void
qms_gateway_write_databases(StringInfo json, const char *host)
{
	const char *first = qms_gateway_default_database();
	Oid			first_oid = first ? qms_gateway_database_named(first) : InvalidOid;
	int			turn;
	int			i;

	appendStringInfoString(json, ",\"databases\":[");
	for (turn = 0; turn < 2; turn++)
	{
		for (i = 0; i < ndatabases; i++)
		{
			if (!databases[i].blocked && (databases[i].oid == first_oid) == (turn == 0))
				write_database(json, &databases[i], host);
		}
	}
	appendStringInfoChar(json, ']');
}
