/*
 * unique.c
 *		Values that only one live row of an organization, branch or owner has.
 *
 * All of set-up runs under one lock per organization (thing.c), so what is
 * looked up here still holds when the row is written.  The unique indexes stand
 * behind it for whoever writes in another way.
 */
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

/* How a scope is told in SQL and in words. */
static const struct
{
	const char *expression;
	const char *noun;
}			scopes[] = {
	[QMS_NOT_UNIQUE] = {NULL, NULL},
	[QMS_UNIQUE] = {"0::pg_catalog.int8", "database"},
	[QMS_IN_ORGANIZATION] = {"t.organization_id", "organization"},
	[QMS_IN_BRANCH] = {"t.branch_id", "branch"},
	[QMS_IN_OWNER] = {"coalesce(t.branch_id, -t.application_id)", "owner"}
};

static int64
scope_value(const QmsSetup *setup, QmsScope scope)
{
	switch (scope)
	{
		case QMS_IN_ORGANIZATION:
			return setup->organization_id;
		case QMS_IN_BRANCH:
			return setup->branch_id;
		case QMS_IN_OWNER:
			return setup->branch_id != 0 ? setup->branch_id : -setup->application_id;
		default:
			return 0;
	}
}

/* Does another live row of the scope have this value? */
static bool
in_use(QmsSetup *setup, QmsField *field, const char *value)
{
	QmsThing   *thing = setup->thing;
	QmsParams	params = {0};

	if (field->plan == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
		QmsPlan    *plan = palloc0(sizeof(QmsPlan));

		plan->sql = psprintf("SELECT 1 FROM qms.%s t WHERE t.%s = $1 AND %s = $2 AND t.%s <> $3 AND t.deleted_at IS NULL",
							 thing->name, field->name, scopes[field->scope].expression, thing->fields[0].name);
		plan->nargs = 3;
		plan->argtypes[0] = TEXTOID;
		plan->argtypes[1] = INT8OID;
		plan->argtypes[2] = INT8OID;
		field->plan = plan;
		MemoryContextSwitchTo(old);
	}
	qms_param_text(&params, value);
	qms_param_int64(&params, scope_value(setup, field->scope));
	qms_param_int64(&params, setup->id);
	return qms_spi_look(field->plan, &params) > 0;
}

/* Make a slug from the name that nobody has: "passports", "passports-2", ... */
static void
choose_slug(QmsSetup *setup, QmsField *field, int column)
{
	char	   *name = qms_row_text(setup->row, qms_setup_column(setup, "name"));
	char	   *base = qms_slug_make(name, setup->thing->name);
	char	   *slug = base;
	int			i;

	for (i = 2; in_use(setup, field, slug); i++)
		slug = psprintf("%s-%d", base, i);
	qms_row_set_text(setup->row, column, slug);
}

/* Choose slugs that were not given, and refuse values that others have. */
void
qms_setup_unique(QmsSetup *setup)
{
	int			i;

	for (i = 0; i < setup->thing->nfields; i++)
	{
		QmsField   *field = &setup->thing->fields[i];
		const char *value;

		if (field->scope == QMS_NOT_UNIQUE)
			continue;
		if (setup->creating && field->kind == QMS_F_SLUG && !setup->given[i])
			choose_slug(setup, field, i);
		value = qms_row_text(setup->row, i);
		if (value != NULL && (setup->creating || setup->given[i]) && in_use(setup, field, value))
			ereport(ERROR,
					(errcode(ERRCODE_UNIQUE_VIOLATION),
					 errmsg("%s \"%s\" is already in use", field->name, value),
					 errdetail("Another %s of the same %s has this %s.",
							   setup->thing->noun, scopes[field->scope].noun, field->name),
					 errhint("Choose another %s, or change that %s first.",
							 field->name, setup->thing->noun)));
	}
}
