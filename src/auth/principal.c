/*
 * principal.c
 *		Who is calling.
 *
 * A superuser acts directly, or as somebody else (qms.act_as).  In sessions of
 * PostgREST and of the gateway, whose logins are members of qms_authenticator,
 * the claims of the request say who it is (claims.c).  Everybody else is what
 * role_binding says of his session_user: no binding, no organization.  A
 * superuser who did SET ROLE is what that role's binding says, so that SET ROLE
 * drops rights here as well.  All functions are SECURITY DEFINER, so the
 * current user says nothing; the session user and the role set outside of
 * functions do.
 */
#include "auth/auth.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/memutils.h"

static const char *const kind_names[] = {
	[QMS_NOBODY] = "nobody", [QMS_SUPERUSER] = "superuser", [QMS_ADMIN] = "admin", [QMS_STAFF] = "staff",
	[QMS_APPLICATION] = "application", [QMS_KIOSK] = "kiosk", [QMS_DISPLAY] = "display",
	[QMS_CUSTOMER] = "customer"
};

/* Whom a superuser acts as; kind QMS_NOBODY: himself. */
typedef struct ActedAs
{
	QmsPrincipalKind kind;
	int64		id;
} ActedAs;

/* A change of it in this transaction: what was before, and in which subtransaction. */
typedef struct ActingChange
{
	struct ActingChange *previous;
	SubTransactionId subtransaction;
	ActedAs		before;
} ActingChange;

static MemoryContext principal_context = NULL;
static QmsPrincipal current;
static Oid	current_role = InvalidOid;
static Oid	current_session = InvalidOid;
static char *current_claims = NULL;
static uint64 current_generation = 0;
static uint64 current_rights = 0;
static ActedAs acts_as = {QMS_NOBODY, 0};
static ActingChange *acting_changes = NULL; /* the latest first */

const char *
qms_principal_kind_name(QmsPrincipalKind kind)
{
	return kind_names[kind];
}

QmsPrincipalKind
qms_principal_kind_by_name(const char *name)
{
	size_t		i;

	for (i = QMS_ADMIN; i < lengthof(kind_names); i++)
	{
		if (strcmp(kind_names[i], name) == 0)
			return (QmsPrincipalKind) i;
	}
	return QMS_NOBODY;
}

MemoryContext
qms_principal_context(void)
{
	return principal_context;
}

/* ---- a superuser as somebody else ---- */

/* Take back what this subtransaction, or all of the transaction for InvalidSubTransactionId, has changed. */
static void
take_back(SubTransactionId subtransaction)
{
	while (acting_changes != NULL &&
		   (subtransaction == InvalidSubTransactionId || acting_changes->subtransaction == subtransaction))
	{
		acts_as = acting_changes->before;
		acting_changes = acting_changes->previous;
		current_generation = 0;
	}
}

/* What was said in a transaction that failed was not said. */
static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	if (event == XACT_EVENT_ABORT)
		take_back(InvalidSubTransactionId);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		acting_changes = NULL;
}

/* ... nor in a part of it that failed; of a part that did not, it is said in what is around it. */
static void
end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
				   void *arg pg_attribute_unused())
{
	ActingChange *change;

	if (event == SUBXACT_EVENT_ABORT_SUB)
		take_back(mine);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (change = acting_changes; change != NULL && change->subtransaction == mine; change = change->previous)
			change->subtransaction = parent;
	}
}

void
qms_principal_act_as(QmsPrincipalKind kind, int64 id)
{
	static bool registered = false;
	ActingChange *change = MemoryContextAlloc(TopTransactionContext, sizeof(ActingChange));

	if (!registered)
	{
		RegisterXactCallback(end_transaction, NULL);
		RegisterSubXactCallback(end_subtransaction, NULL);
	}
	registered = true;
	change->previous = acting_changes;
	change->subtransaction = GetCurrentSubTransactionId();
	change->before = acts_as;
	acting_changes = change;
	acts_as.kind = kind;
	acts_as.id = id;
	current_generation = 0;
}

/* ---- reading ---- */

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

void
qms_principal_read_ids(int64 **ids, int *n, int column)
{
	bool		isnull;
	Datum		value = qms_spi_datum(0, column, &isnull);
	MemoryContext context;

	*n = 0;
	if (isnull)
		return;
	context = MemoryContextSwitchTo(principal_context);
	*ids = qms_array_read(value, n);
	MemoryContextSwitchTo(context);
}

static void
become(QmsPrincipal *who, QmsPrincipalKind kind, QmsRole column, const Jsonb *permissions)
{
	who->kind = kind;
	who->kind_name = kind_names[kind];
	who->column = column;
	who->reach = qms_rights_of(principal_context, column, permissions);
}

/*
 * A staff member.  "narrowed": the role that he acts in if that is less than his
 * own; then what he was granted beyond his role does not count.
 */
bool
qms_principal_read_staff(QmsPrincipal *who, int64 staff_id, int64 organization_id, const QmsRole *narrowed)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT s.organization_id, s.role, s.branch_ids, s.queue_ids, s.application_ids, s.permissions "
								   "FROM qms.staff s JOIN qms.organization o ON o.organization_id = s.organization_id AND o.deleted_at IS NULL "
								   "WHERE s.staff_id = $1 AND ($2 IS NULL OR s.organization_id = $2) AND s.deleted_at IS NULL "
								   "AND s.disabled_at IS NULL", INT8OID, INT8OID);
	QmsParams	params = {0};
	QmsRole		column;
	bool		isnull;
	Datum		permissions;

	qms_param_int64(&params, staff_id);
	qms_param_id(&params, organization_id);
	/* As of now also in REPEATABLE READ: what is found is remembered beyond this transaction. */
	if (qms_spi_look(&plan, &params) == 0 || !qms_role_by_name(qms_spi_text(0, 1), &column))
		return false;
	permissions = qms_spi_datum(0, 5, &isnull);
	if (narrowed != NULL && *narrowed != column)
	{
		column = *narrowed;
		isnull = true;
	}
	who->id = staff_id;
	who->organization_id = qms_spi_int64(0, 0);
	who->role = qms_role_name(column);
	qms_principal_read_ids(&who->branch_ids, &who->nbranches, 2);
	qms_principal_read_ids(&who->queue_ids, &who->nqueues, 3);
	qms_principal_read_ids(&who->application_ids, &who->napplications, 4);
	become(who, column == QMS_ROLE_ADMIN ? QMS_ADMIN : QMS_STAFF, column,
		   isnull ? NULL : DatumGetJsonbP(permissions));
	who->kind_name = kind_names[QMS_STAFF];
	return true;
}

bool
qms_principal_read_application(QmsPrincipal *who, int64 application_id, int64 organization_id)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT a.organization_id, a.name FROM qms.application a "
								   "JOIN qms.organization o ON o.organization_id = a.organization_id AND o.deleted_at IS NULL "
								   "WHERE a.application_id = $1 AND ($2 IS NULL OR a.organization_id = $2) AND a.deleted_at IS NULL",
								   INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, application_id);
	qms_param_id(&params, organization_id);
	if (qms_spi_look(&plan, &params) == 0)
		return false;
	who->id = application_id;
	who->organization_id = qms_spi_int64(0, 0);
	who->role = MemoryContextStrdup(principal_context, qms_spi_text(0, 1));
	become(who, QMS_APPLICATION, QMS_ROLE_APPLICATION, NULL);
	return true;
}

/*
 * What the role is bound to.  The binding is of the role itself, not of its name:
 * one that was dropped and made again is another one.
 */
static void
read_binding(QmsPrincipal *who, Oid role)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT b.kind, b.staff_id, b.application_id, b.organization_id, b.branch_ids, b.role_name "
								   "FROM qms.role_binding b "
								   "JOIN qms.organization o ON o.organization_id = b.organization_id AND o.deleted_at IS NULL "
								   "WHERE b.role_name = $1 AND (b.role_oid = $2 OR b.role_oid IS NULL) AND b.deleted_at IS NULL", TEXTOID, OIDOID);
	QmsParams	params = {0};
	QmsPrincipalKind kind;
	QmsRole		column;
	int64		staff_id;
	int64		application_id;
	int64	   *branch_ids = NULL;
	int			nbranches;

	qms_param_text(&params, GetUserNameFromId(role, false));
	qms_param_datum(&params, ObjectIdGetDatum(role));
	if (qms_spi_look(&plan, &params) == 0)
		return;
	kind = qms_principal_kind_by_name(qms_spi_text(0, 0));
	staff_id = qms_spi_int64(0, 1);
	application_id = qms_spi_int64(0, 2);
	who->organization_id = qms_spi_int64(0, 3);
	qms_principal_read_ids(&branch_ids, &nbranches, 4);
	who->role = MemoryContextStrdup(principal_context, qms_spi_text(0, 5));
	who->via = "binding";
	if (kind == QMS_STAFF)
		(void) qms_principal_read_staff(who, staff_id, who->organization_id, NULL);
	else if (kind == QMS_APPLICATION && qms_principal_read_application(who, application_id, who->organization_id))
		who->role = MemoryContextStrdup(principal_context, GetUserNameFromId(role, false));
	else if (qms_role_by_name(kind_names[kind], &column))
		become(who, kind, column, NULL);
	/* A staff member's own branches count before those of the binding. */
	if (who->nbranches == 0)
	{
		who->nbranches = nbranches;
		who->branch_ids = branch_ids;
	}
}

/* Is the principal of this moment remembered? */
bool
qms_principal_is_known(void)
{
	const char *claims;

	if (current_generation != qms_inval_generation() || current_rights != qms_rights_version() ||
		current_session != GetSessionUserId() || current_role != GetOuterUserId())
		return false;
	claims = qms_claims_text();
	if (claims == NULL || current_claims == NULL)
		return claims == current_claims;
	return strcmp(claims, current_claims) == 0 && qms_clock_now() < current.until;
}

/* Half of somebody is nobody. */
static void
settle(QmsPrincipal *who)
{
	if (who->reach == NULL)
		who->organization_id = who->id = 0;
}

static void
be_nobody(QmsPrincipal *who)
{
	memset(who, 0, sizeof(*who));
	who->kind_name = kind_names[QMS_NOBODY];
	who->until = DT_NOEND;
}

/*
 * Whom claims (NULL: none) name when they come with this role.  The session is
 * and stays whom it was; what the answer points to is in the present context.
 */
void
qms_principal_of_claims(QmsPrincipal *who, const Jsonb *claims, Oid active)
{
	MemoryContext kept = principal_context;

	be_nobody(who);
	principal_context = CurrentMemoryContext;
	PG_TRY();
	{
		qms_claims_apply(who, claims, active);
	}
	PG_FINALLY();
	{
		principal_context = kept;
	}
	PG_END_TRY();
	settle(who);
}

/* The principal of a session, who is not remembered. */
static void
find(QmsPrincipal *found, Oid active, const char *claims)
{
	Oid			role = role_that_counts();

	if (!OidIsValid(role) && acts_as.kind == QMS_NOBODY)
	{
		found->role = MemoryContextStrdup(principal_context, GetUserNameFromId(active, false));
		found->via = "superuser";
		become(found, QMS_SUPERUSER, QMS_ROLE_SUPER_ADMIN, NULL);
	}
	else if (!OidIsValid(role))
	{
		found->via = "act_as";
		if (!(acts_as.kind == QMS_STAFF ? qms_principal_read_staff(found, acts_as.id, 0, NULL) :
			  qms_principal_read_application(found, acts_as.id, 0)))
			found->refusal = "Whom this session acts as does not exist any more.";
	}
	else if (claims != NULL)
		qms_claims_read(found, claims, active);
	else
		read_binding(found, role);
	settle(found);
}

/* The principal of the running call; needs SPI unless it is known. */
const QmsPrincipal *
qms_principal_current(void)
{
	Oid			session = GetSessionUserId();
	Oid			active = GetOuterUserId();
	const char *claims;
	QmsPrincipal found;

	if (qms_principal_is_known())
		return &current;

	/* Nothing below may leave a half-made principal behind when it fails. */
	current_generation = 0;
	if (principal_context == NULL)
		principal_context = AllocSetContextCreate(TopMemoryContext, "qms principal",
												  ALLOCSET_SMALL_SIZES);
	MemoryContextReset(principal_context);
	qms_rights_refresh();
	claims = qms_claims_text();
	be_nobody(&found);
	find(&found, active, claims);
	current = found;
	current_session = session;
	current_role = active;
	current_claims = claims ? MemoryContextStrdup(principal_context, claims) : NULL;
	current_rights = qms_rights_version();
	current_generation = qms_inval_generation();
	return &current;
}

/* The principal of the session itself, whoever it acts as. */
const QmsPrincipal *
qms_principal_himself(void)
{
	ActedAs		acts = acts_as;
	const QmsPrincipal *who;

	if (acts.kind == QMS_NOBODY)
		return qms_principal_current();
	acts_as.kind = QMS_NOBODY;
	current_generation = 0;
	PG_TRY();
	{
		who = qms_principal_current();
	}
	PG_FINALLY();
	{
		acts_as = acts;
		/* It is right for this call only. */
		current_generation = 0;
	}
	PG_END_TRY();
	return who;
}
