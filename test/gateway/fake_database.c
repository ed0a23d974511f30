/*
 * fake_database.c
 *		A database that is played: what it knows, and two connections that answer
 *		when the test lets them.
 */
#include "hub_fake.h"

#include <inttypes.h>
#include <jansson.h>
#include <time.h>

FakeDatabase fake_db;

#define QUEUE 16

typedef struct FakeQuery
{
	QmsStatement statement;
	char	   *values[QMS_MAX_PARAMS];
	QmsQueryDone done;
	PGresult   *result;			/* it ran, but the answer is still on its way */
	int64_t		asked_at;
} FakeQuery;

struct QmsLink
{
	QmsDatabase *db;
	const QmsLinkEvents *events;
	bool		listens;
	bool		is_up;
	bool		is_rung;
	FakeQuery	queries[QUEUE];
	int			nqueries;
};

static QmsLink *links[2];

const char *
fake_epoch(void)
{
	static char text[16];

	snprintf(text, sizeof(text), "e%d", fake_db.epoch);
	return text;
}

/* An event more. */
void
fake_publish(int branch, int zone, int queue, int visit, bool is_public)
{
	FakeEvent  *event = &fake_db.events[fake_db.nevents++];

	CHECK(fake_db.nevents < FAKE_EVENTS);
	memset(event, 0, sizeof(*event));
	/* Positions have holes. */
	event->position = fake_db.last += 1 + fake_random(3);
	event->branch = branch;
	event->zone = zone;
	event->queue = queue;
	event->visit = visit;
	event->is_public = is_public;
}

/* The doorbell, for connections that are there. */
void
fake_ring(void)
{
	if (links[0] != NULL && links[0]->is_up)
		links[0]->is_rung = true;
}

/* Does an event belong to a channel? */
bool
fake_is_of(const FakeEvent *event, const char *channel)
{
	int			id = 0;
	int			zone = 0;

	if (strncmp(channel, "display:acme/", 13) == 0)
		return event->is_public && event->branch == atoi(channel + 14);
	if (sscanf(channel, "display:%d:%d", &id, &zone) >= 1)
		return event->is_public && event->branch == id && (zone == 0 || event->zone == 0 || event->zone == zone);
	if (sscanf(channel, "queue:%d", &id) == 1)
		return event->is_public && event->queue == id;
	if (sscanf(channel, "staff:%d", &id) == 1)
		return event->branch == id;
	if (sscanf(channel, "visit:%d", &id) == 1)
		return event->visit == id;
	return false;
}

/* A result with so many columns. */
static PGresult *
new_result(int columns)
{
	PGresult   *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc *attributes = calloc(columns, sizeof(PGresAttDesc));
	int			i;

	for (i = 0; i < columns; i++)
		attributes[i].name = (char *) "c";
	PQsetResultAttrs(result, columns, attributes);
	free(attributes);
	return result;
}

static void
set_text(PGresult *result, int row, int column, const char *value)
{
	PQsetvalue(result, row, column, (char *) value, value == NULL ? -1 : (int) strlen(value));
}

static void
set_number(PGresult *result, int row, int column, int64_t value)
{
	char		text[32];

	snprintf(text, sizeof(text), "%" PRId64, value);
	set_text(result, row, column, text);
}

static void
set_id(PGresult *result, int row, int column, int value)
{
	if (value == 0)
		set_text(result, row, column, NULL);
	else
		set_number(result, row, column, value);
}

/* An error with a SQLSTATE is made by a broken status: the fields cannot be set from outside. */
static PGresult *
refused(void)
{
	return PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
}

static PGresult *
hello(void)
{
	PGresult   *result = new_result(3);

	if (!fake_db.is_adopted)
		return result;
	set_text(result, 0, 0, fake_epoch());
	set_number(result, 0, 1, fake_db.last);
	set_number(result, 0, 2, fake_db.pruned);
	return result;
}

/* The envelope, with a line break as it may come. */
static void
envelope(char *text, size_t size, const FakeEvent *event)
{
	snprintf(text, size, "{\"v\":1,\n\"position\":%" PRId64 ",\"kind\":\"ticket.called\"}", event->position);
}

/* Events carry a moment of the real clock. */
static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static PGresult *
events(const FakeQuery *query)
{
	int64_t		after = strtoll(query->values[0], NULL, 10);
	int			most = atoi(query->values[2]);
	PGresult   *result;
	int			row = 0;
	int			i;

	fake_db.nreads++;
	if (strcmp(query->values[1], fake_epoch()) != 0 || after < fake_db.pruned)
		return refused();
	result = new_result(16);
	for (i = 0; i < fake_db.nevents && row < most; i++)
	{
		const FakeEvent *event = &fake_db.events[i];
		char		text[256];

		if (event->position <= after)
			continue;
		envelope(text, sizeof(text), event);
		set_number(result, row, 0, event->position);
		set_number(result, row, 1, 1);
		set_id(result, row, 2, event->branch);
		set_id(result, row, 3, event->zone);
		set_id(result, row, 4, event->queue);
		set_text(result, row, 5, NULL);
		set_id(result, row, 6, event->visit);
		set_text(result, row, 7, "f");
		set_text(result, row, 8, event->recheck ? "t" : "f");
		set_text(result, row, 9, event->is_public ? text : NULL);
		set_text(result, row, 10, text);
		set_text(result, row, 11, NULL);
		set_text(result, row, 12, text);
		set_text(result, row, 13, NULL);
		set_text(result, row, 14, event->resnapshot ? "t" : "f");
		set_number(result, row, 15, now_us() - 2500);
		row++;
	}
	return result;
}

/* Whom one request is about, and what he may. */
static void
check_one(PGresult *result, int row, json_t *request)
{
	const char *token = json_string_value(json_object_get(request, "token"));
	const char *channel = json_string_value(json_object_get(request, "channel"));
	const char *visit = json_string_value(json_object_get(json_object_get(request, "data"), "token"));
	bool		has_token = token != NULL && !fake_db.token_is_revoked;
	char		canonical[FAKE_CHANNEL];
	int			code = 0;

	if (token != NULL && (fake_db.token_is_revoked || strcmp(token, "forged") == 0))
		code = 3500;
	else if (token != NULL && fake_db.token_expires != 0 && fake_db.token_expires <= fake_now / 1000)
		code = 109;
	else if (channel != NULL && (strncmp(channel, "display:", 8) == 0 || strncmp(channel, "queue:", 6) == 0))
		code = fake_db.is_public || has_token ? 0 : 103;
	else if (channel != NULL && strncmp(channel, "visit:", 6) == 0)
		code = has_token || (visit != NULL && strcmp(visit, channel + 6) == 0) ? 0 : 103;
	else if (channel != NULL)
		code = has_token ? 0 : 103;
	if (channel != NULL && strstr(channel, ":404") != NULL)
		code = 102;
	snprintf(canonical, sizeof(canonical), "%s", channel == NULL ? "" : channel);
	if (strncmp(canonical, "display:acme/", 13) == 0)
		snprintf(canonical, sizeof(canonical), "display:%d", atoi(channel + 14));
	set_number(result, row, 0, json_integer_value(json_object_get(request, "n")));
	set_number(result, row, 1, code);
	set_id(result, row, 2, token == NULL ? 0 : (int) fake_db.token_expires);
	/* Of somebody without a token it is not said. */
	set_id(result, row, 3, token != NULL || visit != NULL ? 1 : 0);
	set_text(result, row, 4, token);
	set_text(result, row, 5, channel == NULL && token != NULL && strcmp(token, "server-side") == 0 ?
			 "staff:1\nvisit:3" : "");
	set_text(result, row, 6, channel == NULL ? NULL : canonical);
}

static PGresult *
check(const FakeQuery *query)
{
	json_t	   *requests = json_loads(query->values[0], 0, NULL);
	PGresult   *result = new_result(7);
	size_t		i;

	CHECK(json_is_array(requests));
	fake_db.nchecks++;
	for (i = 0; i < json_array_size(requests); i++)
		check_one(result, (int) i, json_array_get(requests, i));
	json_decref(requests);
	return result;
}

/* Snapshot, from and the last events of one channel. */
static void
load_one(PGresult *result, const char *channel, int most)
{
	int			row = PQntuples(result);
	int			nevents = fake_db.nevents;
	int			first;
	int64_t		last = fake_db.last;
	int64_t		from = fake_db.pruned;
	char		text[256];
	int			n = 0;
	int			i;

	/* Behind by one event, or by several. */
	if (fake_db.lags && nevents > 5 && fake_random(3) == 0)
	{
		nevents -= 1 + fake_random(5);
		last = fake_db.events[nevents - 1].position;
	}
	first = nevents;
	for (i = nevents - 1; i >= 0; i--)
	{
		if (fake_db.events[i].position <= fake_db.pruned)
			break;
		if (!fake_is_of(&fake_db.events[i], channel))
			continue;
		if (n++ == most)
		{
			from = fake_db.events[i].position;
			break;
		}
		first = i;
	}
	snprintf(text, sizeof(text), "{\"kind\":\"snapshot\",\n\"position\":%" PRId64 "}", last);
	set_text(result, row, 0, channel);
	set_text(result, row, 1, "snapshot");
	set_number(result, row, 2, last);
	set_text(result, row, 3, fake_epoch());
	set_text(result, row++, 4, text);
	set_text(result, row, 0, channel);
	set_text(result, row, 1, "from");
	set_number(result, row, 2, from);
	set_text(result, row, 3, fake_epoch());
	set_text(result, row++, 4, NULL);
	for (i = first; most > 0 && i < nevents; i++)
	{
		if (!fake_is_of(&fake_db.events[i], channel))
			continue;
		envelope(text, sizeof(text), &fake_db.events[i]);
		set_text(result, row, 0, channel);
		set_text(result, row, 1, "event");
		set_number(result, row, 2, fake_db.events[i].position);
		set_text(result, row, 3, fake_epoch());
		set_text(result, row++, 4, text);
	}
}

static PGresult *
channels(const FakeQuery *query)
{
	PGresult   *result = new_result(5);
	char	   *names = query->values[0];
	char	   *name;

	fake_db.nloads++;
	for (name = strtok(names, "{},\""); name != NULL; name = strtok(NULL, "{},\""))
		if (strstr(name, ":405") == NULL)
			load_one(result, name, atoi(query->values[1]));
	return result;
}

/*
 * A read that waits until there is something: not if others wait behind it, and
 * not always.
 */
static bool
waits(const QmsLink *link)
{
	const FakeQuery *query = &link->queries[0];
	int64_t		after;
	int			i;

	if (query->statement != QMS_SQL_EVENTS || query->result != NULL || link->nqueries > 1 ||
		fake_now - query->asked_at >= atoi(query->values[4]))
		return false;
	after = strtoll(query->values[0], NULL, 10);
	if (strcmp(query->values[1], fake_epoch()) != 0 || after < fake_db.pruned)
		return false;
	for (i = 0; i < fake_db.nevents; i++)
		if (fake_db.events[i].position > after)
			return false;
	return true;
}

static PGresult *
run(const FakeQuery *query)
{
	switch (query->statement)
	{
		case QMS_SQL_HELLO:
			return hello();
		case QMS_SQL_EVENTS:
			return events(query);
		case QMS_SQL_CHECK:
			return check(query);
		default:
			return channels(query);
	}
}

static void
free_query(FakeQuery *query)
{
	int			i;

	PQclear(query->result);
	for (i = 0; i < QMS_MAX_PARAMS; i++)
		free(query->values[i]);
}

/* The first query of a connection is answered; null: it never will be. */
static void
answer(QmsLink *link, bool lost)
{
	FakeQuery	query = link->queries[0];

	link->nqueries--;
	memmove(&link->queries[0], &link->queries[1], link->nqueries * sizeof(FakeQuery));
	query.done(link->db, lost ? NULL : query.result);
	free_query(&query);
}

static void
go_down(QmsLink *link)
{
	link->is_up = false;
	link->is_rung = false;
	link->events->down(link->db);
	while (link->nqueries > 0)
		answer(link, true);
}

/* One step of one connection, in a random order. */
bool
fake_database_step(void)
{
	int			which = fake_random(2);
	int			i;

	for (i = 0; i < 2; i++)
	{
		QmsLink    *link = links[(which + i) % 2];

		if (link == NULL)
			continue;
		if (!link->is_up)
		{
			if (!fake_db.is_open)
				continue;
			link->is_up = true;
			link->events->up(link->db);
			return true;
		}
		if (link->is_rung && fake_random(2) == 0)
		{
			link->is_rung = false;
			link->events->notified(link->db);
			return true;
		}
		if (link->nqueries == 0)
			continue;
		if (waits(link) && fake_random(50) != 0)
			continue;
		if (link->queries[0].result == NULL)
			link->queries[0].result = run(&link->queries[0]);
		else
			answer(link, false);
		return true;
	}
	return links[0] != NULL && links[0]->is_rung;
}

bool
fake_database_is_idle(void)
{
	int			i;

	for (i = 0; i < 2; i++)
		if (links[i] != NULL && ((links[i]->nqueries > 0 && !waits(links[i])) || links[i]->is_rung || links[i]->is_up != fake_db.is_open))
			return false;
	return true;
}

/* Both connections break. */
void
fake_database_cut(void)
{
	int			i;

	for (i = 0; i < 2; i++)
		if (links[i] != NULL && links[i]->is_up)
			go_down(links[i]);
}

/* What the hub calls. */
QmsLink *
qms_link_new(QmsDatabase *db, const char *purpose, bool listen, const QmsLinkEvents *events_of)
{
	QmsLink    *link = calloc(1, sizeof(QmsLink));

	(void) purpose;
	link->db = db;
	link->listens = listen;
	link->events = events_of;
	links[listen ? 0 : 1] = link;
	return link;
}

void
qms_link_free(QmsLink *link)
{
	if (link == NULL)
		return;
	if (link->is_up)
		go_down(link);
	links[link->listens ? 0 : 1] = NULL;
	free(link);
}

void
qms_link_restart(QmsLink *link)
{
	if (link->is_up)
		go_down(link);
}

bool
qms_link_is_up(const QmsLink *link)
{
	return link != NULL && link->is_up;
}

void
qms_link_query(QmsLink *link, QmsStatement statement, const char *const *values, QmsQueryDone done)
{
	static const int nparams[QMS_STATEMENTS] = {0, 5, 1, 2};
	FakeQuery  *query = &link->queries[link->nqueries++];
	int			i;

	CHECK(link->nqueries <= QUEUE);
	memset(query, 0, sizeof(*query));
	query->statement = statement;
	query->done = done;
	query->asked_at = fake_now;
	for (i = 0; i < nparams[statement]; i++)
		query->values[i] = strdup(values[i]);
}
