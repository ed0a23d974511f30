/*
 * thing.c
 *		Creating, changing and deleting any kind of thing.
 *
 * Lock: one per organization, exclusive, held to the end of the transaction.
 * Set-up is rare, and under it everything that is looked up before a row is
 * written (owners, slugs, prefixes, who uses what) still holds at commit; it
 * covers the branches of the organization, whose prefixes are chosen under it.
 * What is unique in the whole database (slugs of organizations, role names) is
 * guarded by the lock of organization 0, taken first.  Calls at counters and
 * joins never take either; where set-up meets them, the lock of the queue
 * decides, taken after this one.
 */
#include "setup/setup.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* Number of a column; the descriptors name no others. */
int
qms_setup_column(const QmsSetup *setup, const char *name)
{
	int			i;

	for (i = 0; i < setup->thing->nfields; i++)
	{
		if (strcmp(setup->thing->fields[i].name, name) == 0)
			return i;
	}
	return -1;
}

/* A descriptor's table and statements, from constant names. */
static void
prepare_thing(QmsThing *thing)
{
	if (thing->table.name == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
		const char **columns = palloc(sizeof(char *) * thing->nfields);
		const char *key = thing->fields[0].name;
		const char *list;
		int			i;

		for (i = 0; i < thing->nfields; i++)
			columns[i] = thing->fields[i].name;
		thing->table.schema = QMS_SCHEMA;
		thing->table.ncols = thing->nfields;
		thing->table.columns = columns;
		thing->table.nkey = 1;
		list = qms_table_select_list(&thing->table);
		thing->peek.sql = psprintf("SELECT %s FROM qms.%s t WHERE t.%s = $1 AND t.deleted_at IS NULL",
								   list, thing->name, key);
		thing->fetch.sql = psprintf("%s FOR NO KEY UPDATE", thing->peek.sql);
		thing->peek.nargs = thing->fetch.nargs = 1;
		thing->peek.argtypes[0] = thing->fetch.argtypes[0] = INT8OID;
		thing->table.name = thing->name;
		MemoryContextSwitchTo(old);
	}
	qms_table_prepare(&thing->table);
}

static void
read_argument_names(QmsSetup *setup)
{
	HeapTuple	proc = SearchSysCache1(PROCOID, ObjectIdGetDatum(setup->call->fcinfo->flinfo->fn_oid));
	Datum		names;
	bool		isnull;

	if (!HeapTupleIsValid(proc))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %u does not exist", setup->call->fcinfo->flinfo->fn_oid)));
	names = SysCacheGetAttr(PROCOID, proc, Anum_pg_proc_proargnames, &isnull);
	setup->nargs = isnull ? 0 : get_func_input_arg_names(names, PointerGetDatum(NULL), &setup->arg_names);
	ReleaseSysCache(proc);
}

static void
begin(QmsSetup *setup, QmsCall *call, QmsThing *thing, bool creating)
{
	prepare_thing(thing);
	memset(setup, 0, sizeof(*setup));
	setup->call = call;
	setup->thing = thing;
	setup->creating = creating;
	setup->given = palloc0(sizeof(bool) * thing->nfields);
	read_argument_names(setup);
}

/* The organization of something that is there, not deleted, nor its owners; else an error. */
int64
qms_setup_organization_of(QmsPlan *plan, const char *what, int64 id)
{
	QmsParams	params = {0};

	qms_param_int64(&params, id);
	if (qms_spi_look(plan, &params) == 0)
		qms_not_found(what, id);
	return qms_spi_int64(0, 0);
}

static int64
organization_itself(int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT o.organization_id FROM qms.organization o "
								   "WHERE o.organization_id = $1 AND o.deleted_at IS NULL", INT8OID);

	return qms_setup_organization_of(&plan, "organization", organization_id);
}

/* The organization of a branch. */
int64
qms_setup_branch(int64 branch_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.organization_id FROM qms.branch b "
								   "JOIN qms.organization o ON o.organization_id = b.organization_id AND o.deleted_at IS NULL "
								   "WHERE b.branch_id = $1 AND b.deleted_at IS NULL", INT8OID);

	return qms_setup_organization_of(&plan, "branch", branch_id);
}

static int64
organization_of_application(int64 application_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT a.organization_id FROM qms.application a "
								   "JOIN qms.organization o ON o.organization_id = a.organization_id AND o.deleted_at IS NULL "
								   "WHERE a.application_id = $1 AND a.deleted_at IS NULL", INT8OID);

	return qms_setup_organization_of(&plan, "application", application_id);
}

/* May the caller change this? */
void
qms_setup_gate(QmsCall *call, int64 organization_id, int64 branch_id, int64 application_id,
			   const char *what, int64 id)
{
	QmsObject	object = {
		.what = what, .id = id, .organization_id = organization_id, .branch_id = branch_id,
		.application_id = application_id
	};

	qms_gate_administers(call, &object);
}

/* Find out in what a thing is to be created, and whether the caller may. */
static void
find_owner(QmsSetup *setup)
{
	QmsCall    *call = setup->call;
	int			branch = qms_setup_argument(setup, "branch_id");
	int			application = qms_setup_argument(setup, "application_id");
	int			organization = qms_setup_argument(setup, "organization_id");
	QmsOwner	owner = setup->thing->owner;

	if (owner == QMS_OWNER_EITHER)
	{
		if (qms_arg_isnull(call, branch) == qms_arg_isnull(call, application))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a %s belongs to a branch or to an application", setup->thing->noun),
					 errhint("Give exactly one of branch_id and application_id.")));
		owner = qms_arg_isnull(call, branch) ? QMS_OWNER_APPLICATION : QMS_OWNER_BRANCH;
	}
	switch (owner)
	{
		case QMS_OWNER_BRANCH:
			setup->branch_id = qms_arg_id(call, branch, "branch_id");
			setup->organization_id = qms_setup_branch(setup->branch_id);
			qms_setup_gate(call, setup->organization_id, setup->branch_id, 0, "branch", setup->branch_id);
			break;
		case QMS_OWNER_APPLICATION:
			setup->application_id = qms_arg_id(call, application, "application_id");
			setup->organization_id = organization_of_application(setup->application_id);
			qms_setup_gate(call, setup->organization_id, 0, setup->application_id, "application", setup->application_id);
			break;
		case QMS_OWNER_ORGANIZATION:
			setup->organization_id = organization_itself(qms_arg_id(call, organization, "organization_id"));
			qms_setup_gate(call, setup->organization_id, 0, 0, "organization", setup->organization_id);
			break;
		default:
			break;
	}
}

static void
lock_setup(QmsSetup *setup)
{
	if (setup->thing->global)
		qms_lock(QMS_LOCK_SETUP, 0, true);
	if (setup->organization_id != 0)
		qms_lock(QMS_LOCK_SETUP, setup->organization_id, true);
	qms_config_refresh();
}

static void
set_if_there(QmsSetup *setup, const char *name, int64 id)
{
	int			column = qms_setup_column(setup, name);

	if (column > 0)
		qms_row_set_id(setup->row, column, id);
}

/* A moment of the row itself: created_at and the like. */
static void
touch(QmsSetup *setup, const char *name)
{
	int			column = qms_setup_column(setup, name);

	if (column > 0)
		qms_row_set_time(setup->row, column, setup->call->now);
}

static Datum
answer(QmsSetup *setup)
{
	TupleDesc	desc = qms_answer_desc(setup->call);
	Datum	   *values = palloc0(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		int			column = qms_setup_column(setup, NameStr(TupleDescAttr(desc, i)->attname));

		nulls[i] = column < 0 || qms_row_isnull(setup->row, column);
		if (!nulls[i])
			values[i] = setup->row->values[column];
	}
	return qms_answer_tuple(setup->call, values, nulls);
}

static Datum
finish(QmsSetup *setup, const char *verb, const Jsonb *values)
{
	setup->call->answer_organization = setup->organization_id;
	qms_event_change(setup->call, setup->thing->name, verb, setup->organization_id,
					 setup->branch_id, setup->id, qms_setup_before(setup), values);
	return answer(setup);
}

Datum
qms_thing_create(QmsCall *call, QmsThing *thing)
{
	QmsSetup	setup;

	begin(&setup, call, thing, true);
	find_owner(&setup);
	lock_setup(&setup);
	/* Again, now that nobody can delete it any more. */
	find_owner(&setup);
	setup.row = qms_row_new(&thing->table);
	setup.id = qms_sequence_next(psprintf("%s_%s_seq", thing->name, thing->fields[0].name));
	qms_row_set_id(setup.row, 0, setup.id);
	if (thing->owner == QMS_OWNER_NONE)
		setup.organization_id = setup.id;
	set_if_there(&setup, "organization_id", setup.organization_id);
	set_if_there(&setup, "branch_id", setup.branch_id);
	set_if_there(&setup, "application_id", setup.application_id);
	touch(&setup, "created_at");
	touch(&setup, "updated_at");
	qms_setup_apply(&setup);
	if (thing->check)
		thing->check(&setup);
	qms_setup_unique(&setup);
	qms_row_insert(setup.row);
	if (strcmp(thing->name, "branch") == 0)
		setup.branch_id = setup.id;
	if (thing->written)
		thing->written(&setup);
	return finish(&setup, "created", qms_setup_values(&setup));
}

/* Find the thing, see whether the caller may change it, and lock it. */
static void
find_thing(QmsSetup *setup, int64 id, bool deleting)
{
	QmsThing   *thing = setup->thing;
	QmsParams	params = {0};
	int			column;

	setup->id = id;
	qms_param_int64(&params, id);
	if (qms_spi_look(&thing->peek, &params) == 0)
		qms_not_found(thing->noun, id);
	setup->row = qms_row_fetch(&thing->table, 0, 0);
	setup->organization_id = qms_row_int64(setup->row, qms_setup_column(setup, "organization_id"));
	column = qms_setup_column(setup, "branch_id");
	setup->branch_id = column < 0 ? 0 : qms_row_int64(setup->row, column);
	column = qms_setup_column(setup, "application_id");
	setup->application_id = column < 0 ? 0 : qms_row_int64(setup->row, column);
	qms_setup_gate(setup->call, setup->organization_id, setup->branch_id,
				   strcmp(thing->name, "application") == 0 ? id : setup->application_id, thing->noun, id);
	lock_setup(setup);
	if (deleting && thing->deleting)
		thing->deleting(setup);
	if (qms_spi_run(&thing->fetch, &params) == 0)
		qms_not_found(thing->noun, id);
	setup->row = qms_row_fetch(&thing->table, 0, 0);
}

Datum
qms_thing_update(QmsCall *call, QmsThing *thing)
{
	QmsSetup	setup;

	begin(&setup, call, thing, false);
	find_thing(&setup, qms_arg_id(call, 0, thing->fields[0].name), false);
	setup.old = setup.row;
	setup.row = qms_row_copy(setup.old);
	touch(&setup, "updated_at");
	qms_setup_apply(&setup);
	if (thing->check)
		thing->check(&setup);
	qms_setup_unique(&setup);
	qms_row_update(setup.row);
	if (thing->written)
		thing->written(&setup);
	return finish(&setup, "updated", qms_setup_values(&setup));
}

/* Nothing live may hang on what is deleted. */
static void
check_uses(QmsSetup *setup)
{
	QmsThing   *thing = setup->thing;
	int			i;

	for (i = 0; i < thing->nuses; i++)
	{
		QmsUse	   *use = &thing->uses[i];
		QmsParams	params = {0};

		qms_param_int64(&params, setup->id);
		if (qms_spi_look(&use->plan, &params) == 0)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_QMS_IN_USE),
				 errmsg("%s %lld is in use", thing->noun, (long long) setup->id),
				 errdetail("%s \"%s\" %s", use->who, qms_spi_text(0, 0), use->does),
				 errhint("%s", use->hint)));
	}
}

Datum
qms_thing_delete_id(QmsCall *call, QmsThing *thing, int64 id)
{
	QmsSetup	setup;

	begin(&setup, call, thing, false);
	find_thing(&setup, id, true);
	check_uses(&setup);
	touch(&setup, "updated_at");
	touch(&setup, "deleted_at");
	qms_row_update(setup.row);
	if (thing->deleted)
		thing->deleted(&setup);
	return finish(&setup, "deleted", NULL);
}

Datum
qms_thing_delete(QmsCall *call, QmsThing *thing)
{
	return qms_thing_delete_id(call, thing, qms_arg_id(call, 0, thing->fields[0].name));
}
