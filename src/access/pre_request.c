/*
 * pre_request.c
 *		What PostgREST calls before each request (its setting db-pre-request): a
 *		request with an API key in the header x-api-key becomes one of its
 *		application.
 *
 * qms.pre_request is SECURITY INVOKER, because the role of a transaction cannot
 * be set inside a SECURITY DEFINER function; it runs no statement of its own and
 * looks up nothing by search_path.  The key is checked by
 * qms_internal.api_key_claims, which is SECURITY DEFINER with a search_path of
 * its own, granted to nobody, and called from here by its OID.
 *
 * Anybody may SET request.headers, so they count only where the session user is
 * a member of qms_authenticator; there the key is still what it takes.
 */
#include "access/access.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Does the request bring a token too? */
static bool
has_subject(void)
{
	const char *claims = GetConfigOption("request.jwt.claims", true, false);
	Jsonb	   *json;

	if (claims == NULL || *claims == '\0')
		return false;
	json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(claims)));
	return JB_ROOT_IS_OBJECT(json) && qms_jsonb_has(json, "sub");
}

/* Two answers to the question who calls are one too many. */
static void
refuse_two(void)
{
	QmsHttpError error = {0};

	error.status = 400;
	error.sqlstate = ERRCODE_QMS_TWO_CREDENTIALS;
	error.message = "the request has both a token and an API key";
	error.detail = "Each of them says who calls.";
	error.hint = "Send either Authorization or x-api-key.";
	qms_http_error(&error);
}

/* OID of qms_internal.api_key_claims(text). */
static Oid
claims_function(void)
{
	Oid			arguments[] = {TEXTOID};
	oidvector  *vector = buildoidvector(arguments, 1);
	Oid			oid = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("api_key_claims"),
									  PointerGetDatum(vector),
									  ObjectIdGetDatum(get_namespace_oid(QMS_INTERNAL_SCHEMA, false)));

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function qms_internal.api_key_claims(text) does not exist"),
				 errhint("Run ALTER EXTENSION qms UPDATE.")));
	return oid;
}

static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/* The session must be allowed to become an application; else SET ROLE says less. */
static void
check_may_become(const char *role)
{
	Oid			oid = get_role_oid(role, false);

	if (!is_member_of_role(GetSessionUserId(), oid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not become \"%s\"", GetUserNameFromId(GetSessionUserId(), false), role),
				 errdetail("A request with an API key runs as that role."),
				 errhint("Run GRANT %s TO %s.", role, quote_identifier(GetUserNameFromId(GetSessionUserId(), false)))));
}

PG_FUNCTION_INFO_V1(qms_pre_request);

Datum
qms_pre_request(PG_FUNCTION_ARGS pg_attribute_unused())
{
	char	   *key;
	Jsonb	   *claims;

	(void) qms_installation_check();
	if (!qms_session_speaks_for_others())
		PG_RETURN_VOID();
	key = qms_request_header("x-api-key");
	if (key == NULL || *key == '\0')
		PG_RETURN_VOID();
	if (has_subject())
		refuse_two();
	check_may_become("qms_app");
	claims = DatumGetJsonbP(OidFunctionCall1(claims_function(), CStringGetTextDatum(key)));
	set_local("request.jwt.claims", JsonbToCString(NULL, &claims->root, VARSIZE(claims)));
	set_local("role", "qms_app");
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(qms_api_key_claims);

/* What a token for this key would say. */
Datum
qms_api_key_claims(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now = qms_clock_now();
	QmsApiKey	key = {0};
	QmsToken	token = {0};
	Jsonb	   *claims;
	Jsonb	   *copy;

	qms_spi_begin();
	qms_gate_refresh();
	qms_api_key_authenticate(text_to_cstring(PG_GETARG_TEXT_PP(0)), now, &key);
	qms_seen_note(QMS_SEEN_API_KEY, key.api_key_id, key.organization_id, now);
	qms_token_of_api_key(&key, now, &token);
	claims = qms_token_claims(&token);
	copy = MemoryContextAlloc(context, VARSIZE(claims));
	memcpy(copy, claims, VARSIZE(claims));
	qms_spi_end();
	PG_RETURN_JSONB_P(copy);
}
