/*
 * staff.c
 *		Staff, and which database role is whom.
 */
#include "setup/setup.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"

/* ---- staff ---- */

static QmsField staff_fields[] = {
	QMS_FIELD("staff_id", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD_UNIQUE("username", QMS_F_NAME, QMS_IN_ORGANIZATION),
	QMS_FIELD("display_name", QMS_F_CODE),
	QMS_FIELD("role", QMS_F_OTHER),
	QMS_FIELD("branch_ids", QMS_F_BRANCHES),
	QMS_FIELD("queue_ids", QMS_F_QUEUES),
	QMS_FIELD("application_ids", QMS_F_APPLICATIONS),
	QMS_FIELD("skills", QMS_F_WORDS),
	QMS_FIELD("permissions", QMS_F_SETTINGS),
	QMS_FIELD("disabled_at", QMS_F_HELD),
	QMS_FIELDS_AT_END
};

static QmsUse staff_uses[] = {
	{QMS_PLAN("SELECT c.name FROM qms.staff_session s JOIN qms.counter c ON c.counter_id = s.counter_id "
			  "WHERE s.staff_id = $1 AND s.closed_at IS NULL LIMIT 1", INT8OID),
	"Counter", "is still open with this person.", "Close it with qms.close_counter() first."}
};

static void
check_staff(QmsSetup *setup)
{
	static const char *const roles[] = {"admin", "app_admin", "reception", "caller", "servicer"};
	int			column = qms_setup_column(setup, "role");
	int			display_name = qms_setup_column(setup, "display_name");
	int			permissions = qms_setup_column(setup, "permissions");
	char	   *role = qms_arg_text_or_null(setup->call, qms_setup_argument(setup, "role"));
	size_t		i;

	/* Without a name to show, the user name is shown. */
	if (qms_row_isnull(setup->row, display_name))
		qms_row_copy_value(setup->row, display_name, setup->row, qms_setup_column(setup, "username"));
	if (setup->given[permissions])
		qms_rights_check_permissions(setup->call->who,
									 DatumGetJsonbP(PointerGetDatum(qms_row_pointer(setup->row, permissions))));
	if (role == NULL && !setup->creating)
		return;
	if (role == NULL)
		role = "servicer";
	for (i = 0; i < lengthof(roles); i++)
	{
		if (strcmp(roles[i], role) == 0)
			break;
	}
	if (i == lengthof(roles))
		qms_arg_choice_error("staff role", role, "admin, app_admin, reception, caller and servicer");
	qms_row_set_text(setup->row, column, role);
}

/* Roles bound to a staff member who is gone belong to nobody, and may be bound again; his logins end. */
static void
let_staff_go(QmsSetup *setup)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.role_binding SET deleted_at = $2 WHERE staff_id = $1 AND deleted_at IS NULL",
								   INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, setup->id);
	qms_param_time(&params, setup->call->now);
	qms_spi_run(&plan, &params);
	(void) qms_session_revoke_staff(setup->id, setup->call->now, "deleted");
}

static QmsThing staff = {
	.name = "staff", .noun = "staff member", .owner = QMS_OWNER_ORGANIZATION,
	QMS_FIELDS(staff_fields), QMS_USES(staff_uses), .check = check_staff, .deleted = let_staff_go
};

QMS_FUNCTION(create_staff, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &staff);
}

QMS_FUNCTION(update_staff, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_update(call, &staff);
}

QMS_FUNCTION(delete_staff, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_delete(call, &staff);
}

/* ---- role_binding ---- */

static QmsField role_binding_fields[] = {
	QMS_FIELD("role_binding_id", QMS_F_HELD),
	QMS_FIELD("role_name", QMS_F_OTHER),
	QMS_FIELD("role_oid", QMS_F_HELD),
	QMS_FIELD("organization_id", QMS_F_HELD),
	QMS_FIELD("kind", QMS_F_OTHER),
	QMS_FIELD("staff_id", QMS_F_OTHER),
	QMS_FIELD("application_id", QMS_F_OTHER),
	QMS_FIELD("branch_ids", QMS_F_BRANCHES),
	QMS_FIELD("created_at", QMS_F_HELD),
	QMS_FIELD("deleted_at", QMS_F_HELD)
};

/* Is this one of the roles that qms makes for itself? */
static bool
is_own_role(const char *name)
{
	return strncmp(name, "qms_", 4) == 0 &&
		(strcmp(name, "qms_owner") == 0 || strcmp(name, "qms_super_admin") == 0 ||
		 strcmp(name, "qms_gateway") == 0 || strcmp(name, "qms_authenticator") == 0);
}

/*
 * A role that may be bound.  Superusers, and members of the super admins, act
 * in every organization already; a binding would only pretend to narrow that.
 * An administrator binds roles that he administers in the database too: others
 * could be somebody else's people.
 */
static void
check_role(QmsCall *call, const char *name)
{
	Oid			role = get_role_oid(name, true);
	Oid			super_admin = get_role_oid("qms_super_admin", true);

	if (!OidIsValid(role))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", name),
				 errhint("Create it with CREATE ROLE first.")));
	if (superuser_arg(role) || is_own_role(name) ||
		(OidIsValid(super_admin) && is_member_of_role_nosuper(role, super_admin)))
		ereport(ERROR,
				(errcode(ERRCODE_QMS_UNSAFE_ROLE),
				 errmsg("role \"%s\" cannot be bound to an organization", name),
				 errdetail("It is a superuser, a super admin of qms, or a role of qms itself."),
				 errhint("Bind an ordinary role.")));
	if (call->who->kind != QMS_SUPERUSER && !is_admin_of_role(GetSessionUserId(), role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to bind role \"%s\"", name),
				 errdetail("It may be a role of other people: %s does not administer it in the database.",
						   GetUserNameFromId(GetSessionUserId(), false)),
				 errhint("A superuser can bind it, or GRANT it WITH ADMIN OPTION.")));
}

/* A binding of a role that was dropped, of the same name, binds nobody any more. */
static void
end_stale_binding(QmsCall *call, const char *name)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms.role_binding b SET deleted_at = $3 WHERE b.role_name = $1 "
								   "AND b.role_oid <> $2 AND b.deleted_at IS NULL RETURNING b.organization_id, b.role_binding_id",
								   TEXTOID, OIDOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_text(&params, name);
	qms_param_datum(&params, ObjectIdGetDatum(get_role_oid(name, false)));
	qms_param_time(&params, call->now);
	if (qms_spi_run(&plan, &params) > 0)
		(void) qms_event_configuration(call, "role_binding", "deleted", qms_spi_int64(0, 0), 0, qms_spi_int64(0, 1), NULL);
}

static void
check_not_bound(const char *name)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.role_binding b WHERE b.role_name = $1 AND b.deleted_at IS NULL", TEXTOID);
	QmsParams	params = {0};

	qms_param_text(&params, name);
	if (qms_spi_look(&plan, &params) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("role \"%s\" is bound already", name),
				 errdetail("A role is one person, application or device of one organization."),
				 errhint("Unbind it with qms.unbind_role() first.")));
}

/* The staff member or application that the role is. */
static int64
bound_to(QmsSetup *setup, QmsPlan *plan, const char *argument, const char *noun)
{
	int64		id = qms_arg_id_or_0(setup->call, qms_setup_argument(setup, argument), argument);

	if (id != 0 && qms_setup_organization_of(plan, noun, id) != setup->organization_id)
		qms_not_found(noun, id);
	qms_row_set_id(setup->row, qms_setup_column(setup, argument), id);
	return id;
}

static void
set_kind(QmsSetup *setup, bool has_staff, bool has_application)
{
	static const char *const kinds[] = {"admin", "staff", "application", "kiosk", "display", "customer"};
	char	   *kind = qms_arg_text_or_null(setup->call, qms_setup_argument(setup, "kind"));
	size_t		i;

	if (kind == NULL && has_staff != has_application)
		kind = has_staff ? "staff" : "application";
	if (kind == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("what the role is must be said"),
				 errhint("Give kind => 'admin', 'kiosk', 'display' or 'customer', or a staff_id, or an application_id.")));
	for (i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i], kind) == 0)
			break;
	}
	if (i == lengthof(kinds))
		qms_arg_choice_error("kind of principal", kind, "admin, staff, application, kiosk, display and customer");
	if (has_staff != (strcmp(kind, "staff") == 0) || has_application != (strcmp(kind, "application") == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("kind \"%s\" does not go with what is given", kind),
				 errdetail("A staff_id belongs to kind staff, an application_id to kind application, and neither to another kind."),
				 errhint("Leave kind out when you give one of them.")));
	qms_row_set_text(setup->row, qms_setup_column(setup, "kind"), kind);
}

static void
check_role_binding(QmsSetup *setup)
{
	static QmsPlan staff_plan = QMS_PLAN(
										 "SELECT s.organization_id FROM qms.staff s WHERE s.staff_id = $1 AND s.deleted_at IS NULL",
										 INT8OID);
	static QmsPlan application_plan = QMS_PLAN(
											   "SELECT a.organization_id FROM qms.application a "
											   "WHERE a.application_id = $1 AND a.deleted_at IS NULL", INT8OID);
	char	   *name = qms_arg_text(setup->call, qms_setup_argument(setup, "role_name"), "role_name");
	int64		staff_id;
	int64		application_id;

	check_role(setup->call, name);
	end_stale_binding(setup->call, name);
	check_not_bound(name);
	staff_id = bound_to(setup, &staff_plan, "staff_id", "staff member");
	application_id = bound_to(setup, &application_plan, "application_id", "application");
	set_kind(setup, staff_id != 0, application_id != 0);
	qms_row_set_text(setup->row, qms_setup_column(setup, "role_name"), name);
	qms_row_set_datum(setup->row, qms_setup_column(setup, "role_oid"), ObjectIdGetDatum(get_role_oid(name, false)));
}

static QmsThing role_binding = {
	.name = "role_binding", .noun = "role binding", .owner = QMS_OWNER_ORGANIZATION, .global = true,
	QMS_FIELDS(role_binding_fields), .check = check_role_binding
};

QMS_FUNCTION(bind_role, QMS_ACT_SETUP, QMS_MUTATES)
{
	return qms_thing_create(call, &role_binding);
}

QMS_FUNCTION(unbind_role, QMS_ACT_SETUP, QMS_MUTATES)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.role_binding_id FROM qms.role_binding b WHERE b.role_name = $1 "
								   "AND b.deleted_at IS NULL AND ($2 IS NULL OR b.organization_id = $2)", TEXTOID, INT8OID);
	char	   *name = qms_arg_text(call, 0, "role_name");
	QmsParams	params = {0};

	qms_param_text(&params, name);
	qms_param_id(&params, call->who->organization_id);
	if (qms_spi_look(&plan, &params) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QMS_NOT_FOUND),
				 errmsg("role \"%s\" is not bound", name),
				 errdetail("It was never bound, has been unbound, or is bound to another organization."),
				 errhint("See the bindings in qms.role_binding.")));
	return qms_thing_delete_id(call, &role_binding, qms_spi_int64(0, 0));
}
