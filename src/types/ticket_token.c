/*
 * ticket_token.c
 *		qms.ticket_token: 43 url-safe characters, the secret of a visit.
 *
 * Whoever holds the text may act for the visit, so no message repeats it or a
 * part of it, and an error about one keeps the statement and the context, where
 * it stands in clear text, out of the server log.  Comparison takes the same
 * time wherever two tokens differ; there is no order and no hash, because an
 * index on a secret would tell more than that.
 */
#include "qms.h"

#include <openssl/crypto.h>

#include "libpq/pqformat.h"

#include "types/types.h"

StaticAssertDecl(sizeof(QmsTicketToken) == 32, "CREATE TYPE qms.ticket_token says 32 bytes");

PG_FUNCTION_INFO_V1(qms_ticket_token_in);
PG_FUNCTION_INFO_V1(qms_ticket_token_out);
PG_FUNCTION_INFO_V1(qms_ticket_token_recv);
PG_FUNCTION_INFO_V1(qms_ticket_token_send);
PG_FUNCTION_INFO_V1(qms_ticket_token_eq);
PG_FUNCTION_INFO_V1(qms_ticket_token_ne);

/* Write an integer big endian. */
static void
write_big_endian(uint8 *bytes, int count, uint64 value)
{
	int			i;

	for (i = count - 1; i >= 0; i--)
	{
		bytes[i] = (uint8) (value & 0xFF);
		value >>= 8;
	}
}

/* Put a token together. */
void
qms_types_token_pack(QmsTicketToken *out, int64 organization_id, int64 visit_id, int key_id,
					 const uint8 secret[QMS_TOKEN_SECRET_SIZE])
{
	if (organization_id < 1 || organization_id > QMS_TOKEN_MAX_ORGANIZATION ||
		visit_id < 1 || key_id < 1 || key_id > QMS_TOKEN_MAX_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("cannot make a ticket token of organization %lld, visit %lld and key %d",
						(long long) organization_id, (long long) visit_id, key_id),
				 errdetail("The organization is at least 1 and below 2^48, the visit at least 1, "
						   "the key between 1 and 65535."),
				 errhint("Retire old signing keys, or use smaller identifiers.")));
	memcpy(out->secret, secret, QMS_TOKEN_SECRET_SIZE);
	write_big_endian(out->visit, sizeof(out->visit), (uint64) visit_id);
	write_big_endian(out->organization, sizeof(out->organization), (uint64) organization_id);
	write_big_endian(out->key, sizeof(out->key), (uint64) key_id);
}

/* Are two tokens the same?  In constant time. */
bool
qms_types_token_equal(const QmsTicketToken *a, const QmsTicketToken *b)
{
	return CRYPTO_memcmp(a, b, sizeof(*a)) == 0;
}

/* Refuse a token without saying anything of it, in the log either. */
static void
refuse_token(int sqlstate, QmsRule rule)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("ticket token is malformed"),
			 errdetail("%s", qms_types_rule_detail(rule)),
			 errhint("%s", qms_types_rule_hint(rule)),
			 errhidestmt(true),
			 errhidecontext(true)));
}

/* Text input. */
Datum
qms_ticket_token_in(PG_FUNCTION_ARGS)
{
	QmsTicketToken *value = palloc(sizeof(*value));
	QmsRule		rule = qms_types_token_decode(PG_GETARG_CSTRING(0), value);

	if (rule != QMS_RULE_KEPT)
		refuse_token(qms_types_rule_sqlstate(rule), rule);
	PG_RETURN_POINTER(value);
}

/* Text output. */
Datum
qms_ticket_token_out(PG_FUNCTION_ARGS)
{
	char	   *str = palloc(QMS_TOKEN_TEXT_SIZE);

	qms_types_token_print(PG_GETARG_TICKET_TOKEN(0), str);
	PG_RETURN_CSTRING(str);
}

/* Binary input: the 32 bytes. */
Datum
qms_ticket_token_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	QmsTicketToken *value = palloc(sizeof(*value));
	QmsRule		rule;

	pq_copymsgbytes(buf, (char *) value, sizeof(*value));
	rule = qms_types_token_check(value);
	if (rule != QMS_RULE_KEPT)
		refuse_token(ERRCODE_INVALID_BINARY_REPRESENTATION, rule);
	PG_RETURN_POINTER(value);
}

/* Binary output: the 32 bytes. */
Datum
qms_ticket_token_send(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbytes(&buf, (char *) PG_GETARG_TICKET_TOKEN(0), sizeof(QmsTicketToken));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* Operator =. */
Datum
qms_ticket_token_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(qms_types_token_equal(PG_GETARG_TICKET_TOKEN(0), PG_GETARG_TICKET_TOKEN(1)));
}

/* Operator <>. */
Datum
qms_ticket_token_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!qms_types_token_equal(PG_GETARG_TICKET_TOKEN(0), PG_GETARG_TICKET_TOKEN(1)));
}
