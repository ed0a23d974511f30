/*
 * gateway_login.c
 *		The login of the gateway that the server runs itself: a role with a new
 *		password at each start of the server.
 *
 * The password lives in shared memory and in the pipe to the program, nowhere
 * else: what is stored is a SCRAM verifier that we make here, so no statement
 * has the password in it that could be logged.  Roles are written by a short
 * worker in one of the databases (QMS_LOGIN), because the gateway's own worker
 * is in none.
 */
#include "worker/gateway.h"
#include "auth/auth.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/user.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#define PASSWORD_BYTES 32

/* Its header, libpq/scram.h, needs those of GSSAPI. */
extern char *pg_be_scram_build_secret(const char *password);

/* Connections of one program to one database, and of all of an old and a new one beside it. */
#define CONNECTIONS_PER_DATABASE 6
#define CONNECTIONS_MORE 10

static bool
has_rights_of_its_own(Form_pg_authid role)
{
	return role->rolsuper || role->rolcreaterole || role->rolcreatedb || role->rolreplication || role->rolbypassrls;
}

static int
connection_limit(int ndatabases)
{
	return CONNECTIONS_MORE + CONNECTIONS_PER_DATABASE * ndatabases;
}

/* In the gateway's worker: does the role have our password, and all that it needs, and nothing more? */
bool
qms_gateway_login_is_set(int ndatabases)
{
	bool		is_set = false;
	HeapTuple	tuple;

	StartTransactionCommand();
	tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(QMS_GATEWAY_LOGIN));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_authid role = (Form_pg_authid) GETSTRUCT(tuple);
		bool		isnull;
		Datum		password = SysCacheGetAttr(AUTHNAME, tuple, Anum_pg_authid_rolpassword, &isnull);

		is_set = !isnull && role->rolcanlogin && role->rolinherit && !has_rights_of_its_own(role) &&
			role->rolconnlimit >= connection_limit(ndatabases) &&
			qms_gateway_shared->verifier[0] != '\0' &&
			strcmp(TextDatumGetCString(password), qms_gateway_shared->verifier) == 0;
		ReleaseSysCache(tuple);
	}
	CommitTransactionCommand();
	return is_set;
}

/* Have the login set, through this database; the launcher starts a worker for it. */
void
qms_gateway_want_login(Oid database, int ndatabases)
{
	bool		is_new;

	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	is_new = qms_gateway_shared->login_wanted != database;
	qms_gateway_shared->login_wanted = database;
	qms_gateway_shared->login_limit = connection_limit(ndatabases);
	LWLockRelease(qms_gateway_shared->lock);
	if (is_new)
		qms_worker_wake_launcher();
}

/* The database through which somebody has to set it; InvalidOid: nobody has to. */
Oid
qms_gateway_login_database(void)
{
	Oid			database;

	LWLockAcquire(qms_gateway_shared->lock, LW_SHARED);
	database = qms_gateway_shared->login_wanted;
	LWLockRelease(qms_gateway_shared->lock);
	return database;
}

/* ---- in the worker that sets it ---- */

/* A password and its verifier, once for this shared memory. */
static void
make_password(void)
{
	uint8		bytes[PASSWORD_BYTES];
	char	   *text;
	char	   *verifier;

	if (qms_gateway_shared->verifier[0] != '\0')
		return;
	qms_random(bytes, sizeof(bytes));
	text = qms_base64url_encode(bytes, sizeof(bytes));
	verifier = pg_be_scram_build_secret(text);
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	strlcpy(qms_gateway_shared->password, text, sizeof(qms_gateway_shared->password));
	strlcpy(qms_gateway_shared->verifier, verifier, sizeof(qms_gateway_shared->verifier));
	LWLockRelease(qms_gateway_shared->lock);
	explicit_bzero(text, strlen(text));
	explicit_bzero(bytes, sizeof(bytes));
}

static pg_attribute_noreturn() void
refuse(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_QMS_UNSAFE_ROLE),
			 errmsg("role \"%s\" is not one that the gateway may log in as", QMS_GATEWAY_LOGIN),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
}

/*
 * A role of that name that somebody has made, with more than the gateway needs,
 * or that somebody can become, is not used: whoever made it might wait for that.
 */
static void
check_role(void)
{
	static QmsPlan others = QMS_PLAN(
									 "SELECT pg_catalog.string_agg(DISTINCT CASE WHEN m.member = r.oid THEN g.rolname ELSE u.rolname END, ', ') "
									 "FROM pg_catalog.pg_roles r JOIN pg_catalog.pg_auth_members m ON r.oid IN (m.member, m.roleid) "
									 "JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles u ON u.oid = m.member "
									 "WHERE r.rolname = $1 AND (m.roleid = r.oid OR m.admin_option OR g.rolname NOT IN ('qms_gateway', 'qms_authenticator'))",
									 TEXTOID);
	static const char *const hint = "Find out who made it; then drop it, and it is made anew.";
	HeapTuple	tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(QMS_GATEWAY_LOGIN));
	Form_pg_authid role;
	QmsParams	params = {0};

	if (!HeapTupleIsValid(tuple))
		return;
	role = (Form_pg_authid) GETSTRUCT(tuple);
	if (has_rights_of_its_own(role))
		refuse("It has one of SUPERUSER, CREATEROLE, CREATEDB, REPLICATION and BYPASSRLS.", hint);
	if (!role->rolcanlogin)
		refuse("It has NOLOGIN.", "Run ALTER ROLE qms_gateway_local LOGIN, or set qms.gateway = off.");
	ReleaseSysCache(tuple);
	qms_param_text(&params, QMS_GATEWAY_LOGIN);
	if (qms_spi_run(&others, &params) > 0 && !qms_spi_isnull(0, 0))
		refuse(psprintf("It is a member of other roles, or others are members of it: %s.", qms_spi_text(0, 0)), hint);
}

/* Not by a statement: what is logged of those, and by whom, is not ours to say. */
static void
set_verifier(const char *verifier, int limit)
{
	AlterRoleStmt *stmt = makeNode(AlterRoleStmt);
	RoleSpec   *role = makeNode(RoleSpec);

	role->roletype = ROLESPEC_CSTRING;
	role->rolename = pstrdup(QMS_GATEWAY_LOGIN);
	role->location = -1;
	stmt->role = role;
	stmt->action = +1;
	stmt->options = list_make3(makeDefElem("password", (Node *) makeString(pstrdup(verifier)), -1),
							   makeDefElem("inherit", (Node *) makeBoolean(true), -1),
							   makeDefElem("connectionlimit", (Node *) makeInteger(limit), -1));
	(void) AlterRole(make_parsestate(NULL), stmt);
}

/* Make the role if it is missing, and give it the password that is in shared memory. */
void
qms_gateway_set_login(void)
{
	/* It must not wait for a standby that is away. */
	SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
	qms_worker_begin();
	check_role();
	make_password();
	if (!SearchSysCacheExists1(AUTHNAME, CStringGetDatum(QMS_GATEWAY_LOGIN)))
		qms_spi_utility("CREATE ROLE qms_gateway_local LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS");
	qms_spi_utility("GRANT qms_gateway, qms_authenticator TO qms_gateway_local");
	CommandCounterIncrement();
	set_verifier(qms_gateway_shared->verifier, qms_gateway_shared->login_limit);
	qms_worker_commit();
	LWLockAcquire(qms_gateway_shared->lock, LW_EXCLUSIVE);
	qms_gateway_shared->login_wanted = InvalidOid;
	LWLockRelease(qms_gateway_shared->lock);
	qms_gateway_wake();
}

/* It could not be set; the launcher tries again, later each time. */
void
qms_gateway_login_failed(const char *message)
{
	qms_gateway_note_error(message);
	qms_gateway_wake();
}
