/*
 * partition.c
 *		Partitions (UTC months, or days) of the insert-only tables: made when the
 *		first row needs one, or ahead; dropped when their time has passed.
 *
 * A partition is made as a table of its own and then attached: CREATE TABLE
 * ... PARTITION OF would wait for every open transaction that has touched the
 * parent.  It is made before the caller touches the parent, so that no lock
 * has to be strengthened.
 */
#include "base/base.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#define MAX_KEYS 8

typedef struct PartitionedTable
{
	const char *schema;
	const char *parent;
	bool		daily;			/* else monthly */
	const char *keys[MAX_KEYS]; /* column lists of its indexes; the first is the primary key */
	const char *guard;			/* trigger function that refuses TRUNCATE; NULL: none */
	TimestampTz known_from;		/* the period last seen to be there, committed */
	TimestampTz known_to;
} PartitionedTable;

static PartitionedTable tables[] = {
	[QMS_PART_HISTORY] = {QMS_SCHEMA, "ticket_history", false,
		{"ticket_id, organization_id", "queue_id, ended_at", "visit_id"}, NULL, 0, 0},
	[QMS_PART_LEG] = {QMS_SCHEMA, "ticket_leg", false,
		{"ticket_id, leg, organization_id", "queue_id, left_at"}, NULL, 0, 0},
	[QMS_PART_EVENT] = {QMS_SCHEMA, "event", false,
		{"event_id, organization_id", "ticket_id", "xid"}, "guard_event", 0, 0},
	[QMS_PART_POSITION] = {QMS_INTERNAL_SCHEMA, "event_position", true,
		{"position", "organization_id, position", "branch_id, position", "queue_id, position",
		"visit_id, position", "application_id, position"}, NULL, 0, 0},
};

static TimestampTz
midnight_of(int year, int month, int day)
{
	return (TimestampTz) (date2j(year, month, day) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

/* The UTC month or day that a moment lies in, and the name of its partition. */
static char *
period_of(const PartitionedTable *table, TimestampTz at, TimestampTz *from, TimestampTz *to)
{
	struct pg_tm tm;
	fsec_t		fsec;

	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	if (table->daily)
	{
		*from = midnight_of(tm.tm_year, tm.tm_mon, tm.tm_mday);
		*to = *from + USECS_PER_DAY;
		return psprintf("%s_%04d_%02d_%02d", table->parent, tm.tm_year, tm.tm_mon, tm.tm_mday);
	}
	*from = midnight_of(tm.tm_year, tm.tm_mon, 1);
	*to = tm.tm_mon == 12 ? midnight_of(tm.tm_year + 1, 1, 1) : midnight_of(tm.tm_year, tm.tm_mon + 1, 1);
	return psprintf("%s_%04d_%02d", table->parent, tm.tm_year, tm.tm_mon);
}

static void
run_ddl(const char *sql)
{
	int			rc = SPI_execute(sql, false, 0);

	if (rc != SPI_OK_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not make a partition"),
				 errdetail("%s", SPI_result_code_string(rc))));
}

static void
make_partition(const PartitionedTable *table, const char *name, TimestampTz from, TimestampTz to)
{
	int			i;

	run_ddl(psprintf("CREATE TABLE qms_internal.%s (LIKE %s.%s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
					 name, table->schema, table->parent));
	run_ddl(psprintf("ALTER TABLE qms_internal.%s ADD PRIMARY KEY (%s)", name, table->keys[0]));
	run_ddl(psprintf("ALTER TABLE qms_internal.%s ENABLE ROW LEVEL SECURITY", name));
	for (i = 1; i < MAX_KEYS && table->keys[i] != NULL; i++)
		run_ddl(psprintf("CREATE INDEX ON qms_internal.%s (%s)", name, table->keys[i]));
	/* Row triggers come with ATTACH, those of statements do not. */
	if (table->guard != NULL)
		run_ddl(psprintf("CREATE TRIGGER %s_truncate BEFORE TRUNCATE ON qms_internal.%s FOR EACH STATEMENT "
						 "EXECUTE FUNCTION qms_internal.%s()", table->guard, name, table->guard));
	/* The bounds are written as numbers of microseconds turned into text by us: no user text. */
	run_ddl(psprintf("ALTER TABLE %s.%s ATTACH PARTITION qms_internal.%s FOR VALUES FROM (%s) TO (%s)",
					 table->schema, table->parent, name,
					 quote_literal_cstr(timestamptz_to_str(from)),
					 quote_literal_cstr(timestamptz_to_str(to))));
}

/* Has the running transaction made this table itself?  Then it goes when that rolls back. */
static bool
is_made_here(Oid relid)
{
	Relation	relation = table_open(relid, AccessShareLock);
	bool		result = relation->rd_createSubid != InvalidSubTransactionId;

	table_close(relation, AccessShareLock);
	return result;
}

/* Make sure that rows of that moment have a partition to go to. */
void
qms_partition_ensure(QmsPartitioned which, TimestampTz at)
{
	PartitionedTable *table = &tables[which];
	TimestampTz from;
	TimestampTz to;
	char	   *name;
	Oid			namespace;
	Oid			relid;

	if (at >= table->known_from && at < table->known_to)
		return;
	name = period_of(table, at, &from, &to);
	namespace = get_namespace_oid(QMS_INTERNAL_SCHEMA, false);
	relid = get_relname_relid(name, namespace);
	if (OidIsValid(relid))
	{
		if (is_made_here(relid))
			return;
		table->known_from = from;
		table->known_to = to;
		return;
	}
	/* Two sessions may miss the same month: the second waits and finds it made. */
	qms_lock(QMS_LOCK_PARTITION, which, true);
	if (!OidIsValid(get_relname_relid(name, namespace)))
		make_partition(table, name, from, to);
	/* Not remembered as known yet: our transaction may still roll back. */
}

/* Forget what is known, for an extension made anew. */
void
qms_partition_forget(void)
{
	size_t		i;

	for (i = 0; i < lengthof(tables); i++)
		tables[i].known_from = tables[i].known_to = 0;
}

/* The moment at which the period after the one of a moment begins. */
TimestampTz
qms_partition_next(QmsPartitioned which, TimestampTz at)
{
	TimestampTz from;
	TimestampTz to;

	(void) period_of(&tables[which], at, &from, &to);
	return to;
}

/*
 * Drop the oldest partition that lies wholly before a moment; true if there was
 * one.  Detaching waits for whoever uses the parent; the caller sets a short
 * lock_timeout and tries again later.
 */
bool
qms_partition_drop_one(QmsPartitioned which, TimestampTz before)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT c.relname::text FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid "
								   "WHERE i.inhparent = $1 ORDER BY c.relname LIMIT 1", OIDOID);
	PartitionedTable *table = &tables[which];
	QmsParams	params = {0};
	TimestampTz from;
	TimestampTz to;
	char	   *oldest;

	qms_param_datum(&params, ObjectIdGetDatum(qms_relation_oid(table->schema, table->parent)));
	if (qms_spi_run(&plan, &params) == 0)
		return false;
	oldest = qms_spi_text(0, 0);
	/* Names sort as their periods do. */
	if (strcmp(oldest, period_of(table, before, &from, &to)) >= 0)
		return false;
	table->known_from = table->known_to = 0;
	run_ddl(psprintf("ALTER TABLE %s.%s DETACH PARTITION qms_internal.%s", table->schema, table->parent,
					 quote_identifier(oldest)));
	run_ddl(psprintf("DROP TABLE qms_internal.%s", quote_identifier(oldest)));
	return true;
}

/* Where the oldest partition begins, of those by month; DT_NOEND: there is none. */
TimestampTz
qms_partition_oldest(QmsPartitioned which)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT c.relname::text FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid "
								   "WHERE i.inhparent = $1 ORDER BY c.relname LIMIT 1", OIDOID);
	PartitionedTable *table = &tables[which];
	QmsParams	params = {0};
	int			year;
	int			month;

	qms_param_datum(&params, ObjectIdGetDatum(qms_relation_oid(table->schema, table->parent)));
	if (qms_spi_run(&plan, &params) == 0 ||
		sscanf(qms_spi_text(0, 0) + strlen(table->parent), "_%4d_%2d", &year, &month) != 2)
		return DT_NOEND;
	return midnight_of(year, month, 1);
}
