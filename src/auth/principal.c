/*
 * principal.c
 *		Who is calling.
 *
 * A superuser acts directly.  Everybody else is what role_binding says of his
 * session_user: no binding, no organization.  A superuser who did SET ROLE is
 * what that role's binding says, so that SET ROLE drops rights here as well.
 * All functions are SECURITY DEFINER, so the current user says nothing; the
 * session user and the role set outside of functions do.
 */
#include "auth/auth.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/memutils.h"

static MemoryContext principal_context = NULL;
static QmsPrincipal current;
static Oid	current_role = InvalidOid;
static Oid	current_session = InvalidOid;
static uint64 current_generation = 0;

/* The role whose binding counts; InvalidOid for somebody who acts directly. */
static Oid
role_that_counts(void)
{
	Oid			session = GetSessionUserId();
	Oid			active = GetOuterUserId();
	Oid			owner = get_role_oid("qms_owner", true);
	Oid			super_admin = get_role_oid("qms_super_admin", true);

	if (superuser_arg(session))
	{
		if (superuser_arg(active) || active == owner)
			return InvalidOid;
		session = active;
	}
	if (OidIsValid(super_admin) && is_member_of_role_nosuper(session, super_admin))
		return InvalidOid;
	return session;
}

static QmsPrincipalKind
kind_of_name(const char *name, const char **kind_name)
{
	static const struct
	{
		const char *name;
		QmsPrincipalKind kind;
	}			kinds[] = {
		{"admin", QMS_ADMIN}, {"staff", QMS_STAFF}, {"application", QMS_APPLICATION},
		{"kiosk", QMS_KIOSK}, {"display", QMS_DISPLAY}, {"customer", QMS_CUSTOMER}
	};
	size_t		i;

	for (i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i].name, name) == 0)
		{
			*kind_name = kinds[i].name;
			return kinds[i].kind;
		}
	}
	return QMS_NOBODY;
}

static void
read_branches(QmsPrincipal *who, int column)
{
	bool		isnull;
	Datum		value = qms_spi_datum(0, column, &isnull);
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			i;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(value), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, &n);
	if (n == 0)
		return;
	who->branch_ids = MemoryContextAlloc(principal_context, sizeof(int64) * n);
	for (i = 0; i < n; i++)
		who->branch_ids[i] = DatumGetInt64(elements[i]);
	who->nbranches = n;
}

/* A staff member's own branches count before those of the binding. */
static void
read_binding(QmsPrincipal *who, Oid role)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.kind, coalesce(b.staff_id, b.application_id), b.organization_id, "
								   "coalesce(s.role, b.role_name), "
								   "CASE WHEN pg_catalog.cardinality(s.branch_ids) > 0 THEN s.branch_ids ELSE b.branch_ids END, s.role = 'admin' "
								   "FROM qms.role_binding b "
								   "JOIN qms.organization o ON o.organization_id = b.organization_id AND o.deleted_at IS NULL "
								   "LEFT JOIN qms.staff s ON s.staff_id = b.staff_id "
								   "LEFT JOIN qms.application a ON a.application_id = b.application_id "
								   "WHERE b.role_name = $1 AND b.deleted_at IS NULL AND s.deleted_at IS NULL AND a.deleted_at IS NULL",
								   TEXTOID);
	QmsParams	params = {0};

	qms_param_text(&params, GetUserNameFromId(role, false));
	/* As of now also in REPEATABLE READ: what is found is remembered beyond this transaction. */
	if (qms_spi_look(&plan, &params) == 0)
		return;
	who->kind = kind_of_name(qms_spi_text(0, 0), &who->kind_name);
	who->id = qms_spi_int64(0, 1);
	who->organization_id = qms_spi_int64(0, 2);
	who->role = MemoryContextStrdup(principal_context, qms_spi_text(0, 3));
	read_branches(who, 4);
	if (who->kind == QMS_STAFF && qms_spi_bool(0, 5))
		who->kind = QMS_ADMIN;
}

/* Is the principal of this moment remembered? */
bool
qms_principal_is_known(void)
{
	return current_generation == qms_inval_generation() &&
		current_session == GetSessionUserId() && current_role == GetOuterUserId();
}

/* The principal of the running call; needs SPI unless it is known. */
const QmsPrincipal *
qms_principal_current(void)
{
	Oid			session = GetSessionUserId();
	Oid			active = GetOuterUserId();
	Oid			role;
	QmsPrincipal found = {0};

	if (qms_principal_is_known())
		return &current;

	/* Nothing below may leave a half-made principal behind when it fails. */
	current_generation = 0;
	if (principal_context == NULL)
		principal_context = AllocSetContextCreate(TopMemoryContext, "qms principal",
												  ALLOCSET_SMALL_SIZES);
	MemoryContextReset(principal_context);
	role = role_that_counts();
	found.kind_name = "nobody";
	if (!OidIsValid(role))
	{
		found.kind = QMS_SUPERUSER;
		found.kind_name = "superuser";
		found.role = MemoryContextStrdup(principal_context, GetUserNameFromId(active, false));
	}
	else
		read_binding(&found, role);
	current = found;
	current_session = session;
	current_role = active;
	current_generation = qms_inval_generation();
	return &current;
}
