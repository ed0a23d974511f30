/*
 * claims.c
 *		Who is calling, by the claims of a request.
 *
 * PostgREST, PostGraphile and the gateway check a JSON Web Token, set the role
 * that it names and put its claims into request.jwt.claims, for one transaction.
 * Any SQL user can SET that, so it counts only if the session's login is a
 * member of qms_authenticator, and then it only narrows: whoever the claims name
 * must be somebody that the active role's group may be.  What the named one may
 * do is read from the tables, never from the token.
 */
#include "auth/auth.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/*
 * Does this session act for whom it names, as PostgREST's login and the gateway
 * do?  Only then do claims and headers count.  A superuser acts for himself.
 */
bool
qms_session_speaks_for_others(void)
{
	static Oid	known = InvalidOid;
	static uint64 generation = 0;
	static bool speaks = false;
	Oid			session = GetSessionUserId();

	if (known != session || generation != qms_inval_generation())
	{
		Oid			group = get_role_oid("qms_authenticator", true);

		speaks = OidIsValid(group) && !superuser_arg(session) && is_member_of_role_nosuper(session, group);
		known = session;
		generation = qms_inval_generation();
	}
	return speaks;
}

/*
 * The claims of this moment; NULL in sessions where they do not count.  An empty
 * text: they would count, and there are none.
 */
const char *
qms_claims_text(void)
{
	const char *text;

	if (!qms_session_speaks_for_others())
		return NULL;
	text = GetConfigOption("request.jwt.claims", true, false);
	return text == NULL ? "" : text;
}

/* Does the active role have the rights of this column's group? */
static bool
is_in_group(Oid active, QmsRole column)
{
	static const char *const groups[QMS_ROLES] = {
		[QMS_ROLE_SUPER_ADMIN] = NULL, [QMS_ROLE_ADMIN] = "qms_admin", [QMS_ROLE_APP_ADMIN] = "qms_app_admin",
		[QMS_ROLE_RECEPTION] = "qms_reception", [QMS_ROLE_CALLER] = "qms_caller",
		[QMS_ROLE_SERVICER] = "qms_servicer", [QMS_ROLE_DISPLAY] = "qms_display", [QMS_ROLE_KIOSK] = "qms_kiosk",
		[QMS_ROLE_CUSTOMER] = "qms_customer", [QMS_ROLE_APPLICATION] = "qms_app"
	};
	Oid			group = groups[column] ? get_role_oid(groups[column], true) : InvalidOid;

	return OidIsValid(group) && has_privs_of_role(active, group);
}

/* "staff:12": the word, and the number behind it. */
static bool
split_subject(const char *subject, const char *word, int64 *id)
{
	Size		length = strlen(word);
	char	   *end;

	if (strncmp(subject, word, length) != 0 || subject[length] < '1' || subject[length] > '9')
		return false;
	errno = 0;
	*id = strtoll(subject + length, &end, 10);
	return errno == 0 && *end == '\0';
}

/* The role that a staff member may act in: his own, or a lesser one that the active role is. */
static bool
narrow_staff(Oid active, QmsRole own, QmsRole *column)
{
	static const QmsRole lesser[] = {QMS_ROLE_RECEPTION, QMS_ROLE_SERVICER, QMS_ROLE_CALLER};
	size_t		i;

	*column = own;
	if (is_in_group(active, own))
		return true;
	if (own == QMS_ROLE_APP_ADMIN)
		return false;
	for (i = 0; i < lengthof(lesser); i++)
	{
		*column = lesser[i];
		/* Only what comes after his own in the list is less. */
		if ((own == QMS_ROLE_ADMIN || own == QMS_ROLE_RECEPTION || (own == QMS_ROLE_SERVICER && i > 1)) &&
			is_in_group(active, lesser[i]))
			return true;
	}
	return false;
}

static void
read_staff(QmsPrincipal *who, int64 staff_id, int64 organization_id, Oid active)
{
	static QmsPlan session = QMS_PLAN(
									  "SELECT 1 FROM qms_internal.login_session WHERE login_session_id = $1 AND staff_id = $2 "
									  "AND revoked_at IS NULL", INT8OID, INT8OID);
	QmsParams	params = {0};
	QmsRole		column;

	if (!qms_principal_read_staff(who, staff_id, organization_id, NULL))
	{
		who->refusal = "The staff member of the token does not exist, or his account is disabled.";
		return;
	}
	if (!narrow_staff(active, who->column, &column))
	{
		who->refusal = "The role of the request is not that of the staff member whom its token names.";
		who->reach = NULL;
	}
	else if (column != who->column)
		(void) qms_principal_read_staff(who, staff_id, organization_id, &column);
	qms_param_int64(&params, who->session_id);
	qms_param_int64(&params, staff_id);
	if (who->session_id != 0 && qms_spi_look(&session, &params) == 0)
	{
		who->refusal = "The login of the token has ended.";
		who->reach = NULL;
	}
}

static void
read_application(QmsPrincipal *who, int64 application_id, int64 organization_id, Oid active)
{
	static QmsPlan key = QMS_PLAN(
								  "SELECT queue_ids, functions, expires_at FROM qms.api_key WHERE api_key_id = $1 AND application_id = $2 "
								  "AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3)",
								  INT8OID, INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};
	Datum		functions;
	bool		isnull;

	if (!is_in_group(active, QMS_ROLE_APPLICATION) ||
		!qms_principal_read_application(who, application_id, organization_id))
	{
		who->refusal = "The application of the token does not exist, or the role of the request is another one.";
		return;
	}
	if (who->api_key_id == 0)
		return;
	qms_param_int64(&params, who->api_key_id);
	qms_param_int64(&params, application_id);
	qms_param_time(&params, qms_clock_now());
	if (qms_spi_look(&key, &params) == 0)
	{
		who->refusal = "The key of the token has been revoked, or has expired.";
		who->reach = NULL;
		return;
	}
	/* The key may end before its token does. */
	if (!qms_spi_isnull(0, 2))
		who->until = Min(who->until, qms_spi_time(0, 2));
	qms_principal_read_ids(&who->queue_ids, &who->nqueues, 0);
	functions = qms_spi_datum(0, 1, &isnull);
	if (!isnull)
		qms_rights_keep_only(who->reach, functions);
}

/* A principal of which only the organization is known. */
static void
be_plain(QmsPrincipal *who, QmsPrincipalKind kind, QmsRole column, int64 id, int64 organization_id, Oid active)
{
	if (!is_in_group(active, column))
	{
		who->refusal = "The role of the request is not that of its token.";
		return;
	}
	who->kind = kind;
	who->kind_name = qms_principal_kind_name(kind);
	who->column = column;
	who->id = id;
	who->organization_id = organization_id;
	who->role = qms_role_name(column);
	who->reach = qms_rights_of(qms_principal_context(), column, NULL);
}

static void
read_device(QmsPrincipal *who, int64 device_id, int64 organization_id, Oid active)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT d.kind = 'kiosk', d.organization_id, d.branch_id FROM qms.device d "
								   "JOIN qms.branch b ON b.branch_id = d.branch_id AND b.deleted_at IS NULL "
								   "JOIN qms.organization o ON o.organization_id = d.organization_id AND o.deleted_at IS NULL "
								   "WHERE d.device_id = $1 AND ($2 IS NULL OR d.organization_id = $2) AND d.revoked_at IS NULL",
								   INT8OID, INT8OID);
	QmsParams	params = {0};
	bool		kiosk;

	qms_param_int64(&params, device_id);
	qms_param_id(&params, organization_id);
	if (qms_spi_look(&plan, &params) == 0)
	{
		who->refusal = "The device of the token does not exist, or has been revoked.";
		return;
	}
	kiosk = qms_spi_bool(0, 0);
	organization_id = qms_spi_int64(0, 1);
	who->branch_ids = MemoryContextAlloc(qms_principal_context(), sizeof(int64));
	who->branch_ids[0] = qms_spi_int64(0, 2);
	who->nbranches = 1;
	be_plain(who, kiosk ? QMS_KIOSK : QMS_DISPLAY, kiosk ? QMS_ROLE_KIOSK : QMS_ROLE_DISPLAY, device_id,
			 organization_id, active);
}

/* A customer who has proved who he is. */
static void
read_customer(QmsPrincipal *who, int64 customer_id, int64 organization_id, Oid active)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT 1 FROM qms.customer WHERE customer_id = $1 AND organization_id = $2 AND deleted_at IS NULL",
								   INT8OID, INT8OID);
	QmsParams	params = {0};

	qms_param_int64(&params, customer_id);
	qms_param_int64(&params, organization_id);
	if (qms_spi_look(&plan, &params) == 0)
		who->refusal = "The customer of the token does not exist.";
	else
		be_plain(who, QMS_CUSTOMER, QMS_ROLE_CUSTOMER, customer_id, organization_id, active);
}

/* Somebody without a name: a customer, or a display that shows what is public. */
static void
read_anonymous(QmsPrincipal *who, int64 organization_id, Oid active)
{
	if (is_in_group(active, QMS_ROLE_CUSTOMER))
		be_plain(who, QMS_CUSTOMER, QMS_ROLE_CUSTOMER, 0, organization_id, active);
	else if (is_in_group(active, QMS_ROLE_DISPLAY))
		be_plain(who, QMS_DISPLAY, QMS_ROLE_DISPLAY, 0, organization_id, active);
	else
		who->refusal = "The request has no token that says who it is, and its role is not qms_customer.";
}

/* A number among the claims; 0 if it is not there, false if it is something else. */
static bool
claimed_number(const Jsonb *claims, const char *key, int64 *number)
{
	*number = 0;
	return !qms_jsonb_has(claims, key) || (qms_jsonb_int64(claims, key, number) && *number > 0);
}

/* Who do the claims, a JSON object or NULL, say is calling? */
void
qms_claims_apply(QmsPrincipal *who, const Jsonb *claims, Oid active)
{
	char	   *subject = NULL;
	int64		organization_id = 0;
	int64		expires = 0;
	int64		id;

	who->via = "claims";
	if (claims != NULL)
	{
		if (!JB_ROOT_IS_OBJECT(claims) || !claimed_number(claims, "organization_id", &organization_id) ||
			!claimed_number(claims, "exp", &expires) || !claimed_number(claims, "session_id", &who->session_id) ||
			!claimed_number(claims, "api_key_id", &who->api_key_id))
		{
			who->refusal = "The claims of the request are not as qms makes them.";
			return;
		}
		subject = qms_jsonb_text(claims, "sub");
	}
	if (expires != 0)
		who->until = qms_unix_moment(expires);
	if (who->until <= qms_clock_now())
		who->refusal = "The token of the request has expired.";
	else if (subject == NULL)
		read_anonymous(who, organization_id, active);
	else if (organization_id == 0)
		who->refusal = "The token of the request names no organization.";
	else if (split_subject(subject, "staff:", &id))
		read_staff(who, id, organization_id, active);
	else if (split_subject(subject, "application:", &id))
		read_application(who, id, organization_id, active);
	else if (split_subject(subject, "device:", &id))
		read_device(who, id, organization_id, active);
	else if (split_subject(subject, "customer:", &id))
		read_customer(who, id, organization_id, active);
	else
		who->refusal = "The subject of the token is not one that qms knows.";
}

/* ... as the text of a setting, which may be empty. */
void
qms_claims_read(QmsPrincipal *who, const char *text, Oid active)
{
	qms_claims_apply(who, *text == '\0' ? NULL : DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text))), active);
}
