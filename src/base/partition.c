/*
 * partition.c
 *		Monthly partitions (UTC) of the insert-only tables, made when the first
 *		row of a month needs one.
 *
 * A partition is made as a table of its own and then attached: CREATE TABLE
 * ... PARTITION OF would wait for every open transaction that has touched the
 * parent.  It is made before the caller touches the parent, so that no lock
 * has to be strengthened.
 */
#include "base/base.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

typedef struct PartitionedTable
{
	const char *parent;
	const char *keys[4];		/* column lists of its indexes; the first is the primary key */
	TimestampTz known_from;		/* the month last seen to be there, committed */
	TimestampTz known_to;
} PartitionedTable;

static PartitionedTable tables[] = {
	[QMS_PART_HISTORY] = {"ticket_history",
		{"ticket_id, organization_id", "queue_id, ended_at", "visit_id", NULL}, 0, 0},
	[QMS_PART_LEG] = {"ticket_leg",
		{"ticket_id, leg, organization_id", "queue_id, left_at", NULL, NULL}, 0, 0},
	[QMS_PART_EVENT] = {"event",
		{"event_id, organization_id", "ticket_id", NULL, NULL}, 0, 0},
};

/* The UTC month that a moment lies in. */
static void
month_of(TimestampTz at, int *year, int *month, TimestampTz *from, TimestampTz *to)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			next_year;
	int			next_month;

	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	*year = tm.tm_year;
	*month = tm.tm_mon;
	next_year = tm.tm_mon == 12 ? tm.tm_year + 1 : tm.tm_year;
	next_month = tm.tm_mon == 12 ? 1 : tm.tm_mon + 1;
	*from = (TimestampTz) (date2j(tm.tm_year, tm.tm_mon, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	*to = (TimestampTz) (date2j(next_year, next_month, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
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

	run_ddl(psprintf("CREATE TABLE qms_internal.%s (LIKE qms.%s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
					 name, table->parent));
	run_ddl(psprintf("ALTER TABLE qms_internal.%s ADD PRIMARY KEY (%s)", name, table->keys[0]));
	for (i = 1; i < lengthof(table->keys) && table->keys[i] != NULL; i++)
		run_ddl(psprintf("CREATE INDEX ON qms_internal.%s (%s)", name, table->keys[i]));
	/* The bounds are written as numbers of microseconds turned into text by us: no user text. */
	run_ddl(psprintf("ALTER TABLE qms.%s ATTACH PARTITION qms_internal.%s FOR VALUES FROM (%s) TO (%s)",
					 table->parent, name,
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
	int			year;
	int			month;
	char	   *name;
	Oid			namespace;
	Oid			relid;

	if (at >= table->known_from && at < table->known_to)
		return;
	month_of(at, &year, &month, &from, &to);
	name = psprintf("%s_%04d_%02d", table->parent, year, month);
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
	int			i;

	for (i = 0; i < lengthof(tables); i++)
		tables[i].known_from = tables[i].known_to = 0;
}
