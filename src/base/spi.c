/*
 * spi.c
 *		The one way statements are run: a static QmsPlan holds the text, the
 *		argument types and the kept plan; results are read by typed getters.
 */
#include "base/base.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/portal.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* Every kept plan of this backend. */
static QmsPlan *prepared_plans = NULL;

void
qms_spi_begin(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not connect to SPI")));
}

void
qms_spi_end(void)
{
	if (SPI_finish() != SPI_OK_FINISH)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not finish SPI")));
}

/* A utility command, such as CREATE ROLE; no user text in it that is not quoted. */
void
qms_spi_utility(const char *sql)
{
	int			rc = SPI_execute(sql, false, 0);

	if (rc != SPI_OK_UTILITY)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not run \"%s\"", sql),
				 errdetail("%s", SPI_result_code_string(rc))));
}

static void
add_param(QmsParams *p, Datum value, char null)
{
	Assert(p->n < QMS_MAX_ARGS);
	p->values[p->n] = value;
	p->nulls[p->n] = null;
	p->n++;
}

void
qms_param_null(QmsParams *p)
{
	add_param(p, (Datum) 0, 'n');
}

void
qms_param_datum(QmsParams *p, Datum value)
{
	add_param(p, value, ' ');
}

void
qms_param_int64(QmsParams *p, int64 value)
{
	add_param(p, Int64GetDatum(value), ' ');
}

void
qms_param_id(QmsParams *p, int64 id)
{
	add_param(p, Int64GetDatum(id), id == 0 ? 'n' : ' ');
}

void
qms_param_int32(QmsParams *p, int32 value)
{
	add_param(p, Int32GetDatum(value), ' ');
}

void
qms_param_bool(QmsParams *p, bool value)
{
	add_param(p, BoolGetDatum(value), ' ');
}

void
qms_param_text(QmsParams *p, const char *value)
{
	if (value == NULL)
		qms_param_null(p);
	else
		add_param(p, CStringGetTextDatum(value), ' ');
}

void
qms_param_time(QmsParams *p, TimestampTz value)
{
	add_param(p, TimestampTzGetDatum(value), value == QMS_NO_TIME ? 'n' : ' ');
}

void
qms_param_pointer(QmsParams *p, const void *value)
{
	add_param(p, PointerGetDatum(value), value == NULL ? 'n' : ' ');
}

/* OID of a relation of ours; the schema belongs to the extension, so a look-up by name is safe. */
Oid
qms_relation_oid(const char *schema, const char *name)
{
	Oid			relid = get_relname_relid(name, get_namespace_oid(schema, false));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" does not exist", schema, name),
				 errdetail("The extension qms is not completely installed in this database."),
				 errhint("Run CREATE EXTENSION qms, or ALTER EXTENSION qms UPDATE.")));
	return relid;
}

/* The OID behind one of the QMS_..._TYPE stand-ins; other OIDs stand for themselves. */
Oid
qms_type_oid(Oid stand_in)
{
	static const char *const names[] = {NULL, "ticket_number", "ticket_token", "release_rate", "wait_sketch"};

	if (stand_in < 1 || stand_in > 4)
		return stand_in;
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(names[stand_in]),
						   ObjectIdGetDatum(get_namespace_oid(QMS_SCHEMA, false)));
}

static void
prepare(QmsPlan *plan)
{
	Oid			types[QMS_MAX_ARGS];
	SPIPlanPtr	made;
	int			i;

	for (i = 0; i < plan->nargs; i++)
		types[i] = qms_type_oid(plan->argtypes[i]);
	made = SPI_prepare_cursor(plan->sql, plan->nargs, types, CURSOR_OPT_GENERIC_PLAN);
	if (made == NULL || SPI_keepplan(made) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not prepare a statement of qms"),
				 errdetail("%s", SPI_result_code_string(SPI_result))));
	plan->plan = made;
	plan->next = prepared_plans;
	prepared_plans = plan;
}

/* Forget the kept plans: what they refer to has other OIDs now. */
void
qms_spi_forget_plans(void)
{
	while (prepared_plans != NULL)
	{
		QmsPlan    *plan = prepared_plans;

		prepared_plans = plan->next;
		SPI_freeplan(plan->plan);
		plan->plan = NULL;
	}
}

/* Will running this plan make it anew?  A statement of ours is always a single one. */
static bool
needs_planning(QmsPlan *plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan->plan));

	return !source->is_valid || source->gplan == NULL || !source->gplan->is_valid;
}

/*
 * Make a plan ready.  Plans are generic.  When one has to be made, that is done
 * with sequential scans, bitmaps and sorts discouraged: a plan made while a
 * table is empty must still be right with a million rows in it, and nothing
 * would tell us to make it anew before the next ANALYZE.  Answers the nesting
 * level of the settings to go back from, -1 for none.
 */
static int
make_ready(QmsPlan *plan)
{
	static const char *const discouraged[] = {"enable_seqscan", "enable_bitmapscan",
	"enable_sort", "enable_hashjoin", "enable_mergejoin"};
	int			nestlevel;
	size_t		i;

	if (plan->plan == NULL)
		prepare(plan);
	if (!needs_planning(plan))
		return -1;
	nestlevel = NewGUCNestLevel();
	for (i = 0; i < lengthof(discouraged); i++)
		(void) set_config_option(discouraged[i], "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return nestlevel;
}

static uint64
finish(int rc, int nestlevel)
{
	if (nestlevel >= 0)
		AtEOXact_GUC(true, nestlevel);
	if (rc < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not run a statement of qms"),
				 errdetail("%s", SPI_result_code_string(rc))));
	return SPI_processed;
}

/* Run a statement; answers the number of rows. */
uint64
qms_spi_run(QmsPlan *plan, QmsParams *params)
{
	int			nestlevel = make_ready(plan);

	Assert((params ? params->n : 0) == plan->nargs);
	return finish(SPI_execute_plan(plan->plan, params ? params->values : NULL,
								   params ? params->nulls : NULL, false, 0), nestlevel);
}

/*
 * Run a statement that changes rows, on what there is at this very moment, also
 * inside REPEATABLE READ: what has to end must end, whenever it began.
 */
uint64
qms_spi_run_now(QmsPlan *plan, QmsParams *params)
{
	int			nestlevel = make_ready(plan);

	Assert((params ? params->n : 0) == plan->nargs);
	/* Our own last change is seen too. */
	CommandCounterIncrement();
	return finish(SPI_execute_snapshot(plan->plan, params ? params->values : NULL,
									   params ? params->nulls : NULL, GetLatestSnapshot(),
									   InvalidSnapshot, false, true, 0), nestlevel);
}

/* Run a SELECT with a snapshot of the caller's. */
uint64
qms_spi_look_at(QmsPlan *plan, QmsParams *params, Snapshot snapshot)
{
	int			nestlevel = make_ready(plan);

	Assert((params ? params->n : 0) == plan->nargs);
	return finish(SPI_execute_snapshot(plan->plan, params ? params->values : NULL,
									   params ? params->nulls : NULL, snapshot,
									   InvalidSnapshot, true, false, 0), nestlevel);
}

/*
 * ... with one of this very moment, also inside REPEATABLE READ: for the
 * configuration, and for what is asked under a lock, where the lock and not the
 * transaction's beginning says what holds.
 */
uint64
qms_spi_look(QmsPlan *plan, QmsParams *params)
{
	int			nestlevel = make_ready(plan);

	Assert((params ? params->n : 0) == plan->nargs);
	/* Our own last change is seen too. */
	CommandCounterIncrement();
	return finish(SPI_execute_snapshot(plan->plan, params ? params->values : NULL,
									   params ? params->nulls : NULL, GetLatestSnapshot(),
									   InvalidSnapshot, true, false, 0), nestlevel);
}

/*
 * A cursor on a SELECT, with the snapshot of the statement that is running, for
 * what is too large to be held in memory.  It outlives the connection to SPI;
 * answers its name, which does not.
 */
const char *
qms_spi_open(QmsPlan *plan, QmsParams *params)
{
	int			nestlevel = make_ready(plan);
	Portal		portal;

	Assert((params ? params->n : 0) == plan->nargs);
	portal = SPI_cursor_open(NULL, plan->plan, params ? params->values : NULL, params ? params->nulls : NULL, true);
	(void) finish(SPI_OK_CURSOR, nestlevel);
	return portal->name;
}

/* The next rows of a cursor; 0: that was all, or it has been closed. */
uint64
qms_spi_fetch(const char *cursor, long count)
{
	Portal		portal = SPI_cursor_find(cursor);

	if (portal == NULL)
		return 0;
	SPI_cursor_fetch(portal, true, count);
	return SPI_processed;
}

/* Without a connection to SPI as well. */
void
qms_spi_close(const char *cursor)
{
	Portal		portal = SPI_cursor_find(cursor);

	if (portal != NULL)
		SPI_cursor_close(portal);
}

/*
 * Values that are kept as text must read the same in every session: fix the
 * settings that output and input functions look at.  Answers what
 * qms_text_modes_end() needs.
 */
int
qms_text_modes_begin(void)
{
	static const char *const modes[][2] = {
		{"DateStyle", "ISO, YMD"}, {"IntervalStyle", "postgres"}, {"TimeZone", "UTC"},
		{"extra_float_digits", "3"}
	};
	int			nestlevel = NewGUCNestLevel();
	size_t		i;

	for (i = 0; i < lengthof(modes); i++)
		(void) set_config_option(modes[i][0], modes[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return nestlevel;
}

void
qms_text_modes_end(int nestlevel)
{
	AtEOXact_GUC(true, nestlevel);
}

Datum
qms_spi_datum(int r, int c, bool *isnull)
{
	return heap_getattr(SPI_tuptable->vals[r], c + 1, SPI_tuptable->tupdesc, isnull);
}

bool
qms_spi_isnull(int r, int c)
{
	bool		isnull;

	(void) qms_spi_datum(r, c, &isnull);
	return isnull;
}

int64
qms_spi_int64(int r, int c)
{
	bool		isnull;
	Datum		value = qms_spi_datum(r, c, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
qms_spi_int32(int r, int c)
{
	bool		isnull;
	Datum		value = qms_spi_datum(r, c, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

bool
qms_spi_bool(int r, int c)
{
	bool		isnull;
	Datum		value = qms_spi_datum(r, c, &isnull);

	return isnull ? false : DatumGetBool(value);
}

TimestampTz
qms_spi_time(int r, int c)
{
	bool		isnull;
	Datum		value = qms_spi_datum(r, c, &isnull);

	return isnull ? QMS_NO_TIME : DatumGetTimestampTz(value);
}

Jsonb *
qms_spi_jsonb(int r, int c)
{
	bool		isnull;
	Datum		value = qms_spi_datum(r, c, &isnull);

	return isnull ? NULL : DatumGetJsonbP(value);
}

/* The last result, for whoever runs other statements and returns to it: results stay until SPI is finished. */
SPITupleTable *
qms_spi_result(void)
{
	return SPI_tuptable;
}

void
qms_spi_return_to(SPITupleTable *result)
{
	SPI_tuptable = result;
}

char *
qms_spi_text(int r, int c)
{
	bool		isnull;
	Datum		value = qms_spi_datum(r, c, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * Next value of an identity sequence in schema qms.  Taken in C where the value
 * is needed before the row is written, which saves reading it back.
 */
int64
qms_sequence_next(const char *name)
{
	return nextval_internal(qms_relation_oid(QMS_SCHEMA, name), false);
}
