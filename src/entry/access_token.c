/*
 * access_token.c
 *		Access tokens: what is kept of one, what it says, and how one that comes
 *		back is recognized.
 *
 * Kept is a nonce for each ticket that was claimed, not the token: it is signed
 * again when it is asked for again.  The token's id ("jti") is the ticket and
 * that nonce, so that whoever can sign, with a key that verifiers hold too, can
 * still not make a token that is known here.
 */
#include "entry/entry.h"

#include <openssl/crypto.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"

/* ---- the row ---- */

/* Of a ticket; false if it was never claimed. */
bool
qms_access_token_read(int64 ticket_id, QmsAccessToken *token)
{
	static QmsPlan plan = QMS_PLAN(
								   "SELECT organization_id, queue_id, nonce, issued_at, expires_at, used_at, revoked_at "
								   "FROM qms_internal.access_token WHERE ticket_id = $1", INT8OID);
	QmsParams	params = {0};
	bytea	   *nonce;
	bool		isnull;

	qms_param_int64(&params, ticket_id);
	if (qms_spi_look(&plan, &params) == 0)
		return false;
	memset(token, 0, sizeof(*token));
	token->ticket_id = ticket_id;
	token->organization_id = qms_spi_int64(0, 0);
	token->queue_id = qms_spi_int64(0, 1);
	nonce = DatumGetByteaPP(qms_spi_datum(0, 2, &isnull));
	if (VARSIZE_ANY_EXHDR(nonce) != QMS_ACCESS_NONCE_SIZE)
		return false;
	memcpy(token->nonce, VARDATA_ANY(nonce), QMS_ACCESS_NONCE_SIZE);
	token->issued_at = qms_spi_time(0, 3);
	token->expires_at = qms_spi_time(0, 4);
	token->used_at = qms_spi_time(0, 5);
	token->revoked_at = qms_spi_time(0, 6);
	return true;
}

/* A new one; if the ticket had one before it was put back into its queue, that one is good for nothing now. */
void
qms_access_token_store(const QmsAccessToken *token)
{
	static QmsPlan plan = QMS_PLAN(
								   "INSERT INTO qms_internal.access_token (ticket_id, organization_id, queue_id, nonce, issued_at, expires_at) "
								   "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (ticket_id, organization_id) DO UPDATE SET "
								   "queue_id = $3, nonce = $4, issued_at = $5, expires_at = $6, used_at = NULL, revoked_at = NULL",
								   INT8OID, INT8OID, INT8OID, BYTEAOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, token->ticket_id);
	qms_param_int64(&params, token->organization_id);
	qms_param_int64(&params, token->queue_id);
	qms_param_pointer(&params, qms_bytes(token->nonce, QMS_ACCESS_NONCE_SIZE));
	qms_param_time(&params, token->issued_at);
	qms_param_time(&params, token->expires_at);
	qms_spi_run(&plan, &params);
}

/* The token of a ticket whose row is locked is good for nothing any more. */
void
qms_access_token_revoke(int64 ticket_id, TimestampTz now)
{
	static QmsPlan plan = QMS_PLAN(
								   "UPDATE qms_internal.access_token SET revoked_at = $2 WHERE ticket_id = $1 AND revoked_at IS NULL",
								   INT8OID, TIMESTAMPTZOID);
	QmsParams	params = {0};

	qms_param_int64(&params, ticket_id);
	qms_param_time(&params, now);
	qms_spi_run_now(&plan, &params);
}

/* ---- what a token says ---- */

static char *
audience_of(int64 queue_id)
{
	return psprintf("queue:%lld", (long long) queue_id);
}

/* Whom the token is bound to: who took the ticket, or the ticket. */
char *
qms_access_token_subject(const QmsTicket *ticket)
{
	char	   *subject = qms_row_text(ticket, T_subject);

	return subject ? subject : psprintf("ticket:%lld", (long long) qms_row_int64(ticket, T_ticket_id));
}

char *
qms_access_token_sign(const QmsSigningKey *key, const QmsAccessKeys *keys, const QmsAccessToken *token)
{
	char		nonce[2 * QMS_ACCESS_NONCE_SIZE + 1];
	QmsJson		json;

	nonce[hex_encode((const char *) token->nonce, QMS_ACCESS_NONCE_SIZE, nonce)] = '\0';
	qms_json_begin(&json);
	qms_json_text(&json, "iss", keys->slug);
	qms_json_text(&json, "sub", token->subject);
	qms_json_text(&json, "aud", audience_of(token->queue_id));
	qms_json_int64(&json, "org", token->organization_id);
	qms_json_int64(&json, "queue", token->queue_id);
	qms_json_int64(&json, "iat", qms_unix_seconds(token->issued_at));
	qms_json_int64(&json, "nbf", qms_unix_seconds(token->issued_at));
	qms_json_int64(&json, "exp", qms_unix_seconds(token->expires_at));
	qms_json_text(&json, "jti", psprintf("%lld.%s", (long long) token->ticket_id, nonce));
	return qms_jwt_sign_with(key, qms_access_kid(token->organization_id, key), qms_json_end(&json));
}

/* ---- one that comes back ---- */

/* The argument, which may be anything. */
char *
qms_access_token_argument(QmsCall *call, int n)
{
	FunctionCallInfo fcinfo = call->fcinfo;
	text	   *value;

	if (PG_ARGISNULL(n))
		return NULL;
	value = PG_GETARG_TEXT_PP(n);
	return VARSIZE_ANY_EXHDR(value) <= QMS_JWT_MAX_SIZE ? text_to_cstring(value) : NULL;
}

typedef struct Search
{
	const QmsCall *call;
	int64		organization_id;	/* whose key signed the token */
} Search;

/* Keys of other organizations are not there for the caller. */
static const QmsSigningKey *
find_key(void *arg, const char *kid)
{
	Search	   *search = arg;
	const QmsPrincipal *who = search->call->who;
	int			number;

	if (!qms_access_kid_parse(kid, &search->organization_id, &number) ||
		(who->organization_id != 0 && who->organization_id != search->organization_id))
		return NULL;
	return qms_access_key_named(search->organization_id, number, search->call->now);
}

/* "12.00ff...": the ticket and its nonce. */
static bool
read_jti(const char *jti, QmsAccessToken *token)
{
	size_t		digits = strspn(jti, "0123456789");
	const char *nonce = jti + digits + 1;

	if (digits < 1 || digits > 18 || jti[0] == '0' || jti[digits] != '.' ||
		strlen(nonce) != 2 * QMS_ACCESS_NONCE_SIZE || strspn(nonce, "0123456789abcdef") != 2 * QMS_ACCESS_NONCE_SIZE)
		return false;
	token->ticket_id = strtoll(jti, NULL, 10);
	(void) hex_decode(nonce, 2 * QMS_ACCESS_NONCE_SIZE, (char *) token->nonce);
	return true;
}

/* A moment in seconds since 1970, if it is a time that there is. */
static bool
read_moment(const Jsonb *claims, const char *name, TimestampTz *moment)
{
	int64		seconds;

	if (!qms_jsonb_int64(claims, name, &seconds) || seconds < 0)
		return false;
	*moment = qms_unix_moment(seconds);
	return true;
}

/* Does it say what ours say, of the organization whose key signed it? */
static bool
read_claims(const Jsonb *claims, int64 organization_id, QmsAccessToken *token)
{
	char	   *jti = qms_jsonb_text(claims, "jti");
	char	   *audience = qms_jsonb_text(claims, "aud");
	TimestampTz not_before;

	token->subject = qms_jsonb_text(claims, "sub");
	if (!read_moment(claims, "nbf", &not_before) || !read_moment(claims, "iat", &token->issued_at))
		return false;
	token->issued_at = Max(token->issued_at, not_before);
	return jti != NULL && audience != NULL && token->subject != NULL && read_jti(jti, token) &&
		qms_jsonb_int64(claims, "org", &token->organization_id) && token->organization_id == organization_id &&
		qms_jsonb_int64(claims, "queue", &token->queue_id) && strcmp(audience, audience_of(token->queue_id)) == 0 &&
		read_moment(claims, "exp", &token->expires_at);
}

/*
 * What a token says, if it was signed with a key of an organization that is one
 * for the caller; else why not.  Raises no error, whatever the text is.
 */
const char *
qms_access_token_open(QmsCall *call, const char *text, QmsAccessToken *token)
{
	static const char *const reasons[] = {
		[QMS_JWT_MALFORMED] = QMS_ENTRY_MALFORMED, [QMS_JWT_UNKNOWN_KEY] = QMS_ENTRY_UNKNOWN_KEY,
		[QMS_JWT_BAD_SIGNATURE] = QMS_ENTRY_BAD_SIGNATURE
	};
	Search		search = {call, 0};
	QmsJwtFault fault;
	const char *why;
	Jsonb	   *claims;

	memset(token, 0, sizeof(*token));
	if (text == NULL)
		return QMS_ENTRY_MALFORMED;
	claims = qms_jwt_read(text, find_key, &search, &fault, &why);
	if (claims == NULL)
		return reasons[fault];
	return read_claims(claims, search.organization_id, token) ? NULL : QMS_ENTRY_MALFORMED;
}
