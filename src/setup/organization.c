/*
 * organization.c
 *		Organizations, their branches and zones, and their applications.
 */
#include "setup/setup.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"

/* ---- organization ---- */

static QmsField organization_fields[] = {
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("name", QMS_F_NAME),
	QMS_FIELD_UNIQUE("slug", QMS_F_SLUG, QMS_UNIQUE),
	QMS_FIELD("names", QMS_F_NAMES),
	QMS_FIELD("time_zone", QMS_F_ZONE),
	QMS_FIELD("settings", QMS_F_SETTINGS),
	QMS_FIELDS_AT_END
};

static QmsUse organization_uses[] = {
	{QMS_PLAN("SELECT b.name FROM qms.branch b WHERE b.organization_id = $1 AND b.deleted_at IS NULL LIMIT 1", INT8OID),
	"Branch", "still belongs to it.", "Delete its branches and applications first."},
	{QMS_PLAN("SELECT a.name FROM qms.application a WHERE a.organization_id = $1 AND a.deleted_at IS NULL LIMIT 1", INT8OID),
	"Application", "still belongs to it.", "Delete its branches and applications first."}
};

/* A time zone is needed: branches without one use it.  Settings of our own are checked. */
static void
check_organization(QmsSetup *setup)
{
	int			zone = qms_setup_column(setup, "time_zone");

	if (qms_setup_given(setup, "settings"))
		qms_organization_check_settings(qms_setup_jsonb(setup->row, qms_setup_column(setup, "settings")));
	if (qms_row_isnull(setup->row, zone))
	{
		if (setup->old != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("time_zone of an organization must not be empty"),
					 errdetail("Branches without a time zone of their own use it."),
					 errhint("Give a name such as \"Europe/Berlin\".")));
		qms_row_set_text(setup->row, zone, "UTC");
	}
}

/* The class that join_queue gives when none is named. */
static void
make_regular_class(QmsSetup *setup)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms.customer_class (organization_id, name, self_service, created_at, updated_at) "
								   "VALUES ($1, 'regular', true, $2, $2)", INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, setup->organization_id);
	qms_param_time(&params, setup->call->now);
	qms_spi_run(&plan, &params);
}

/*
 * The first organization in an empty database makes the database this one:
 * workers leave a database alone whose mark is missing or of another cluster.
 * The row is never dumped.
 */
static void
mark_instance(QmsSetup *setup)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.instance (system_identifier, database_oid, created_at) "
								   "SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM qms_internal.instance) "
								   "AND NOT EXISTS (SELECT 1 FROM qms.organization o WHERE o.organization_id <> $4)",
								   INT8OID, OIDOID, TIMESTAMPTZOID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, (int64) GetSystemIdentifier());
	qms_param_datum(&params, ObjectIdGetDatum(MyDatabaseId));
	qms_param_time(&params, setup->call->now);
	qms_param_int64(&params, setup->organization_id);
	qms_spi_run(&plan, &params);
}

static void
organization_written(QmsSetup *setup)
{
	if (!setup->creating)
		return;
	qms_token_ensure_key();
	qms_seal_ensure_keys();
	make_regular_class(setup);
	mark_instance(setup);
}

/* Roles bound to it belong to nobody then, and may be bound again. */
static void
unbind_all(QmsSetup *setup)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.role_binding SET deleted_at = $2 WHERE organization_id = $1 AND deleted_at IS NULL",
								   INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, setup->id);
	qms_param_time(&params, setup->call->now);
	qms_spi_run(&plan, &params);
}

static QmsThing organization = {
	.name = "organization", .noun = "organization", .owner = QMS_OWNER_NONE, .global = true,
	QMS_FIELDS(organization_fields), QMS_USES(organization_uses),
	.check = check_organization, .written = organization_written, .deleted = unbind_all
};

QMS_FUNCTION(create_organization, QMS_ACT_INSTALL, QMS_MUTATES)
{
	return qms_thing_create(call, &organization);
}

QMS_FUNCTION(update_organization, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &organization);
}

QMS_FUNCTION(delete_organization, QMS_ACT_INSTALL, QMS_MUTATES)
{
	return qms_thing_delete(call, &organization);
}

/* ---- branch ---- */

static QmsField branch_fields[] = {
	QMS_FIELD("branch_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("name", QMS_F_NAME),
	QMS_FIELD_UNIQUE("slug", QMS_F_SLUG, QMS_IN_ORGANIZATION),
	QMS_FIELD("names", QMS_F_NAMES),
	QMS_FIELD("time_zone", QMS_F_ZONE),
	QMS_FIELD("networks", QMS_F_OTHER),
	QMS_FIELD("settings", QMS_F_SETTINGS),
	QMS_FIELDS_AT_END
};

static QmsUse branch_uses[] = {
	{QMS_PLAN("SELECT q.name FROM qms.queue q WHERE q.branch_id = $1 AND q.deleted_at IS NULL LIMIT 1", INT8OID),
	"Queue", "still belongs to it.", "Delete its queues and counters first."},
	{QMS_PLAN("SELECT c.name FROM qms.counter c WHERE c.branch_id = $1 AND c.deleted_at IS NULL LIMIT 1", INT8OID),
	"Counter", "still belongs to it.", "Delete its queues and counters first."}
};

/* Networks: the type checks each; none of them may be null. */
static void
check_branch(QmsSetup *setup)
{
	int			column = qms_setup_column(setup, "networks");
	int			n = qms_setup_argument(setup, "networks");

	if (qms_setup_given(setup, "networks"))
	{
		Datum		value = setup->call->fcinfo->args[n].value;

		if (ARR_NDIM(DatumGetArrayTypeP(value)) > 1 || array_contains_nulls(DatumGetArrayTypeP(value)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("networks must be an array of one dimension without nulls"),
					 errhint("Write it as '{192.0.2.0/24}'.")));
		qms_row_set_datum(setup->row, column, value);
	}
	else if (setup->creating)
		qms_row_set_pointer(setup->row, column, construct_empty_array(CIDROID));
}

/* To end a branch is for those who could make one. */
static void
deleting_branch(QmsSetup *setup)
{
	qms_setup_gate(setup->call, setup->organization_id, 0, 0, "branch", setup->id);
}

static QmsThing branch = {
	.name = "branch", .noun = "branch", .owner = QMS_OWNER_ORGANIZATION,
	QMS_FIELDS(branch_fields), QMS_USES(branch_uses), .check = check_branch, .deleting = deleting_branch
};

QMS_FUNCTION(create_branch, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &branch);
}

QMS_FUNCTION(update_branch, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &branch);
}

QMS_FUNCTION(delete_branch, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &branch);
}

/* ---- zone ---- */

static QmsField zone_fields[] = {
	QMS_FIELD("zone_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("branch_id", QMS_F_HELD),
	QMS_FIELD_UNIQUE("name", QMS_F_NAME, QMS_IN_BRANCH),
	QMS_FIELD("names", QMS_F_NAMES),
	QMS_FIELDS_AT_END
};

static QmsUse zone_uses[] = {
	{QMS_PLAN("SELECT c.name FROM qms.counter c WHERE c.zone_id = $1 AND c.deleted_at IS NULL LIMIT 1", INT8OID),
	"Counter", "still stands in it.", "Move its counters with qms.update_counter(zone_id => ...), or to none with 0, first."}
};

static QmsThing zone = {
	.name = "zone", .noun = "zone", .owner = QMS_OWNER_BRANCH,
	QMS_FIELDS(zone_fields), QMS_USES(zone_uses)
};

QMS_FUNCTION(create_zone, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &zone);
}

QMS_FUNCTION(update_zone, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &zone);
}

QMS_FUNCTION(delete_zone, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &zone);
}
