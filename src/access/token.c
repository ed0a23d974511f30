/*
 * token.c
 *		What an access token (JWT) says: who may act as which database role, for
 *		how long.  It says nothing that the tables say; the gate reads those.
 */
#include "access/access.h"

#define JTI_SIZE 16

Jsonb *
qms_token_claims(const QmsToken *token)
{
	QmsJson		json;

	qms_json_begin(&json);
	qms_json_text(&json, "iss", "qms");
	qms_json_text(&json, "sub", token->subject);
	qms_json_text(&json, "role", token->role);
	qms_json_int64(&json, "organization_id", token->organization_id);
	qms_json_id(&json, "session_id", token->session_id);
	qms_json_id(&json, "api_key_id", token->api_key_id);
	qms_json_int64(&json, "iat", qms_unix_seconds(token->issued_at));
	qms_json_int64(&json, "exp", qms_unix_seconds(token->expires_at));
	qms_json_text(&json, "jti", qms_random_hex(JTI_SIZE));
	return qms_json_end(&json);
}

char *
qms_token_sign(const QmsToken *token)
{
	return qms_jwt_sign("jwt", qms_token_claims(token));
}

/* For somebody who has signed in: as long as access tokens live, to the second as tokens count. */
char *
qms_token_of_login(QmsCall *call, QmsToken *token)
{
	token->issued_at = call->now;
	token->expires_at = qms_unix_moment(qms_unix_seconds(call->now) + qms_access_token_life());
	return qms_token_sign(token);
}
