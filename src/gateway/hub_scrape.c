/*
 * hub_scrape.c
 *		The figures of the databases for /metrics: asked for when somebody wants
 *		them, at most once a second of each, and kept.
 *
 * Nothing waits here: who asks is told when all that can be had is there.  A
 * database that does not answer is left out after a while by whoever waits; what
 * it said last stands until it says something new, and its age is told.
 */
#include "hub.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_NS INT64_C(1000000000)
#define MOST_BYTES (64 * 1024 * 1024)
/* What is this old says nothing any more. */
#define STALE_NS (300 * FRESH_NS)

static int	pending = 0;		/* databases that have been asked */
static void (*when_done) (void) = NULL;

/* A database has answered, or is gone. */
static void
on_answer(QmsDatabase *db, PGresult *result)
{
	db->scraping = false;
	db->scraped = result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
		PQgetlength(result, 0, 0) <= MOST_BYTES;
	if (db->scraped)
	{
		qms_text_clear(&db->figures_text);
		qms_text_puts(&db->figures_text, PQgetvalue(result, 0, 0));
		db->scraped_at = qms_now_ns();
	}
	if (--pending == 0 && when_done != NULL)
		when_done();
}

/*
 * Are the figures of all databases at most a second old?  If not, they are asked
 * for, and done is called when the last one has answered.
 */
bool
qms_hub_metrics_ask(void (*done) (void))
{
	QmsDatabase *db;

	when_done = done;
	for (db = qms_hub.databases; db != NULL; db = db->next)
	{
		if (db->scraping || !qms_link_is_up(db->work) ||
			(db->scraped_at != 0 && qms_now_ns() - db->scraped_at < FRESH_NS))
			continue;
		db->scraping = true;
		pending++;
		qms_link_query(db->work, QMS_SQL_METRICS, NULL, on_answer);
	}
	return pending == 0;
}

/* ---- joining ---- */

/* A family in the text of a database: from its HELP line to the next one. */
typedef struct Family
{
	const char *name;
	size_t		name_size;
	const char *samples;		/* behind its HELP and TYPE lines */
	const char *end;
} Family;

/* The family that begins at or after a place; false: there is none. */
static bool
next_family(const char **at, Family *family)
{
	const char *begin = strncmp(*at, "# HELP ", 7) == 0 ? *at : strstr(*at, "\n# HELP ");

	if (begin == NULL)
		return false;
	begin += *begin == '\n' ? 1 : 0;
	family->name = begin + 7;
	family->name_size = strcspn(family->name, " \n");
	family->end = strstr(family->name, "\n# HELP ");
	family->end = family->end == NULL ? begin + strlen(begin) : family->end + 1;
	family->samples = begin;
	while (family->samples < family->end && *family->samples == '#')
	{
		const char *line_end = strchr(family->samples, '\n');

		family->samples = line_end == NULL ? family->end : line_end + 1;
	}
	*at = family->end;
	return true;
}

/* Whether the figures of a database count. */
static bool
has_figures(const QmsDatabase *db)
{
	return db->figures_text.size > 0 && qms_now_ns() - db->scraped_at < STALE_NS;
}

/* The family of that name in the text of a database. */
static bool
find_family(const QmsDatabase *db, const Family *wanted, Family *family)
{
	const char *at = db->figures_text.data;

	while (has_figures(db) && next_family(&at, family))
		if (family->name_size == wanted->name_size && memcmp(family->name, wanted->name, wanted->name_size) == 0)
			return true;
	return false;
}

/* A family with its samples of this database and of those behind it; those before it do not have it. */
static void
put_family(QmsText *out, const QmsDatabase *db, const Family *family)
{
	const char *begin = family->name - 7;
	const QmsDatabase *other;
	Family		theirs;

	for (other = qms_hub.databases; other != db; other = other->next)
		if (find_family(other, family, &theirs))
			return;
	qms_text_append(out, begin, (size_t) (family->end - begin));
	for (other = db->next; other != NULL; other = other->next)
		if (find_family(other, family, &theirs))
			qms_text_append(out, theirs.samples, (size_t) (theirs.end - theirs.samples));
}

/* One line for each database. */
static void
put_of_databases(QmsText *out, const char *name, const char *help, double (*value) (const QmsDatabase *db))
{
	const QmsDatabase *db;

	qms_text_printf(out, "# HELP qms_gateway_%s %s\n# TYPE qms_gateway_%s gauge\n", name, help, name);
	for (db = qms_hub.databases; db != NULL; db = db->next)
	{
		if (value(db) < 0)
			continue;
		qms_text_printf(out, "qms_gateway_%s{database=", name);
		qms_text_json_string(out, db->name);
		qms_text_printf(out, "} %.9g\n", value(db));
	}
}

static double
is_scraped(const QmsDatabase *db)
{
	return db->scraped ? 1 : 0;
}

static double
age_of(const QmsDatabase *db)
{
	return db->scraped_at == 0 ? -1 : (double) (qms_now_ns() - db->scraped_at) / 1e9;
}

static double
waiting_for(const QmsDatabase *db)
{
	return qms_link_waiting(db->work);
}

/* What the databases say of themselves, each family once. */
void
qms_scrape_write(QmsText *out)
{
	const QmsDatabase *db;

	put_of_databases(out, "database_metrics_up", "Whether the database answered when its figures were asked for last.", is_scraped);
	put_of_databases(out, "database_metrics_age_seconds", "How old the figures of the database are.", age_of);
	put_of_databases(out, "database_queue_length", "Questions about rights, snapshots and figures that wait for the database.", waiting_for);
	for (db = qms_hub.databases; db != NULL; db = db->next)
	{
		const char *at = db->figures_text.data;
		Family		family;

		while (has_figures(db) && next_family(&at, &family))
			put_family(out, db, &family);
	}
}
