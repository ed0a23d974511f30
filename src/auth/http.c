/*
 * http.c
 *		Errors that mean something in HTTP: 401, 429.
 *
 * PostgREST makes status and headers out of an error of SQLSTATE PGRST, whose
 * message and detail are JSON; the body then has our own SQLSTATE as its code.
 * (Its setting response.status does not outlive the rollback of an error.)
 * Everybody else gets the error itself.
 */
#include "auth/auth.h"

#include "utils/builtins.h"
#include "utils/guc.h"

#define ERRCODE_POSTGREST MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')

static char *
json_text(QmsJson *json)
{
	Jsonb	   *made = qms_json_end(json);

	return JsonbToCString(NULL, &made->root, VARSIZE(made));
}

/* Is PostgREST at work?  It tells the method of the request. */
static bool
is_postgrest(void)
{
	const char *method = GetConfigOption("request.method", true, false);

	return method != NULL && *method != '\0' && qms_session_speaks_for_others();
}

static char *
body_of(const QmsHttpError *error)
{
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_text(&json, "code", unpack_sql_state(error->sqlstate));
	qms_json_text(&json, "message", error->message);
	qms_json_text(&json, "details", error->detail);
	qms_json_text(&json, "hint", error->hint);
	return json_text(&json);
}

static char *
head_of(const QmsHttpError *error)
{
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_int64(&json, "status", error->status);
	qms_json_begin_object(&json, "headers");
	if (error->retry_after > 0)
		qms_json_text(&json, "Retry-After", psprintf("%lld", (long long) error->retry_after));
	if (error->status == 401)
		qms_json_text(&json, "WWW-Authenticate", "ApiKey, Bearer");
	qms_json_end_object(&json);
	return json_text(&json);
}

/* Raise it.  The statement may carry a key, so it stays out of the log. */
void
qms_http_error(const QmsHttpError *error)
{
	if (is_postgrest())
		ereport(ERROR,
				(errcode(ERRCODE_POSTGREST),
				 errmsg_internal("%s", body_of(error)),
				 errdetail_internal("%s", head_of(error)),
				 errhidestmt(true),
				 errhidecontext(true)));
	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg("%s", error->message),
			 errdetail("%s", error->detail),
			 errhint("%s", error->hint),
			 errhidestmt(true),
			 errhidecontext(true)));
}

/* The status that PostgREST answers with, of a call that does not fail. */
void
qms_http_status(int status)
{
	if (is_postgrest())
		(void) set_config_option("response.status", psprintf("%d", status), PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
}
